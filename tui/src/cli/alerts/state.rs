//! What fires, since when: a rule fires after it has held for long enough, and is over only when its value is well back.

use std::collections::BTreeMap;

use analyzer::model::{Micros, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::AlertConfig;

/// How far a value has to be back unless a rule says otherwise.
const HYSTERESIS: f64 = 0.1;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    #[default]
    Quiet,
    /// It holds, but not for long enough.
    Pending,
    Firing,
}

impl Phase {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    phase: Phase,
    /// Microseconds since the epoch.
    since: Option<i64>,
}

/// By rule and machine.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct States(BTreeMap<String, State>);

impl States {
    /// What a value makes of a rule: its phase, since when, and whether that is news. What is not known changes nothing.
    pub(super) fn moved(
        &mut self,
        rule: &AlertConfig,
        machine: Option<&str>,
        value: Option<f64>,
        hold: Micros,
        now: Timestamp,
    ) -> (Phase, Option<Timestamp>, bool) {
        let state = self.0.entry(format!("{} {}", rule.name, machine.unwrap_or_default())).or_default();
        let before = state.phase;
        if let Some(value) = value {
            let holds = if before == Phase::Firing { is_still(rule, value) } else { is_crossed(rule, value) };
            *state = match (holds, before) {
                (false, Phase::Quiet) | (true, Phase::Firing) => *state,
                (false, _) => State { phase: Phase::Quiet, since: Some(now.0) },
                (true, Phase::Pending) if now.0 - state.since.unwrap_or(now.0) < hold.0 => *state,
                (true, Phase::Pending) => State { phase: Phase::Firing, since: state.since },
                (true, Phase::Quiet) if hold > Micros::ZERO => State { phase: Phase::Pending, since: Some(now.0) },
                (true, Phase::Quiet) => State { phase: Phase::Firing, since: Some(now.0) },
            };
        }
        let is_news = (before == Phase::Firing) != (state.phase == Phase::Firing);
        (state.phase, state.since.map(Timestamp), is_news)
    }
}

fn is_crossed(rule: &AlertConfig, value: f64) -> bool {
    rule.above.is_some_and(|it| value > it) || rule.below.is_some_and(|it| value < it)
}

/// Whether a rule that fires is not well back yet.
fn is_still(rule: &AlertConfig, value: f64) -> bool {
    let part = rule.hysteresis.unwrap_or(HYSTERESIS);
    rule.above.is_some_and(|it| value > it - it.abs() * part)
        || rule.below.is_some_and(|it| value < it + it.abs() * part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fires_after_it_has_held_and_is_over_when_well_back() {
        let rule = AlertConfig { name: "x".to_owned(), above: Some(10.0), ..AlertConfig::default() };
        let mut states = States::default();
        let minutes = |it: i64| Timestamp(it * 60_000_000);
        let mut at = |minute: i64, value: Option<f64>| {
            let (phase, _, is_news) = states.moved(&rule, None, value, Micros::from_seconds(300), minutes(minute));
            (phase, is_news)
        };
        assert_eq!(at(0, Some(11.0)), (Phase::Pending, false));
        assert_eq!(at(3, Some(12.0)), (Phase::Pending, false));
        assert_eq!(at(5, Some(11.0)), (Phase::Firing, true));
        assert_eq!(at(6, Some(11.0)), (Phase::Firing, false), "told once");
        assert_eq!(at(7, Some(9.5)), (Phase::Firing, false), "not well back");
        assert_eq!(at(8, None), (Phase::Firing, false), "what is not known changes nothing");
        assert_eq!(at(9, Some(8.0)), (Phase::Quiet, true));
        assert_eq!(at(10, Some(11.0)), (Phase::Pending, false));
        assert_eq!(at(11, Some(9.0)), (Phase::Quiet, false), "it never fired");
    }
}
