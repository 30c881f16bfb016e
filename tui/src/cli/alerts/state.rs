//! What fires, since when: a rule fires after it has held for long enough, and is over only when its value is well back.

use std::collections::BTreeMap;

use analyzer::model::{Micros, Timestamp};
use serde::{Deserialize, Serialize};

use crate::cli::state_file::Remembered;
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

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct State {
    phase: Phase,
    /// Microseconds since the epoch.
    since: Option<i64>,
    /// By delivery: what it has not received.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    owed: BTreeMap<String, Owed>,
}

/// What one delivery has not received about one rule and state machine. It stays until it was delivered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Owed {
    pub(super) alert: String,
    pub(super) machine: Option<String>,
    /// Oldest first; one message has all of it.
    pub(super) news: Vec<News>,
    /// Evaluations in which it could not be delivered, and why in the last of them.
    #[serde(default)]
    pub(super) attempts: u32,
    #[serde(default)]
    pub(super) error: Option<String>,
}

/// A rule began to fire, or stopped.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct News {
    pub(super) phase: Phase,
    /// The evaluation that found it, in microseconds since the epoch; it may have held for longer.
    pub(super) at: i64,
    pub(super) since: Option<i64>,
    pub(super) value: Option<f64>,
}

/// What a delivery that is down for long still gets of a rule that goes up and down.
const KEPT: usize = 16;

/// Which rule and state machine, and which delivery.
pub(super) type Debt = (String, String);

/// By rule and machine.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct States(BTreeMap<String, State>);

impl Remembered for States {
    const LOST: &str = "then alerts that fire are sent again, and what was not delivered is lost";

    fn fault(&self) -> Option<String> {
        let news = |it: &Owed| it.news.iter().flat_map(|it| [Some(it.at), it.since]).collect::<Vec<_>>();
        self.0.iter().find_map(|(key, it)| {
            let times = it.owed.values().flat_map(news).chain([it.since]).flatten();
            let wrong = times.into_iter().find(|it| !analyzer::time::is_plausible(Timestamp(*it)))?;
            Some(format!("`{}`: {wrong} microseconds since 1970 is not a time that an alert can have", key.trim_end()))
        })
    }
}

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
        let state = self.0.entry(key(rule, machine)).or_default();
        let (before, begun) = (state.phase, state.since);
        if let Some(value) = value {
            let holds = if before == Phase::Firing { is_still(rule, value) } else { is_crossed(rule, value) };
            let has_held = now - Timestamp(begun.unwrap_or(now.0)) >= hold;
            (state.phase, state.since) = match (holds, before) {
                (false, Phase::Quiet) | (true, Phase::Firing) => (before, begun),
                (false, _) => (Phase::Quiet, Some(now.0)),
                (true, Phase::Pending) if has_held => (Phase::Firing, begun),
                (true, Phase::Pending) => (before, begun),
                (true, Phase::Quiet) if hold > Micros::ZERO => (Phase::Pending, Some(now.0)),
                (true, Phase::Quiet) => (Phase::Firing, Some(now.0)),
            };
        }
        let is_news = (before == Phase::Firing) != (state.phase == Phase::Firing);
        if is_news {
            let news = News { phase: state.phase, at: now.0, since: state.since, value };
            for to in &rule.to {
                state.owe(to, rule, machine, news);
            }
        }
        (state.phase, state.since.map(Timestamp), is_news)
    }

    /// Everything that has not been delivered.
    pub(super) fn owed(&self) -> impl Iterator<Item = (Debt, &Owed)> {
        self.0.iter().flat_map(|(key, state)| {
            state.owed.iter().map(move |(delivery, owed)| ((key.clone(), delivery.clone()), owed))
        })
    }

    /// Forgets what is owed and not wanted any more.
    pub(super) fn retain_owed(&mut self, is_wanted: impl Fn(&str, &Owed) -> bool) {
        for state in self.0.values_mut() {
            state.owed.retain(|delivery, it| is_wanted(delivery, it));
        }
    }

    /// A message arrived: what it had is not owed any more. What came meanwhile is.
    pub(super) fn delivered(&mut self, (key, delivery): &Debt, sent: &[News]) {
        let Some(state) = self.0.get_mut(key) else { return };
        if let Some(owed) = state.owed.get_mut(delivery) {
            owed.news.retain(|it| !sent.contains(it));
            (owed.attempts, owed.error) = (0, None);
        }
        state.owed.retain(|_, it| !it.news.is_empty());
    }

    /// A message did not arrive: it stays owed.
    pub(super) fn undelivered(&mut self, (key, delivery): &Debt, why: &str) {
        if let Some(owed) = self.0.get_mut(key).and_then(|it| it.owed.get_mut(delivery)) {
            owed.attempts = owed.attempts.saturating_add(1);
            owed.error = Some(why.to_owned());
        }
    }
}

impl State {
    fn owe(&mut self, to: &str, rule: &AlertConfig, machine: Option<&str>, news: News) {
        let owed = self.owed.entry(to.to_owned()).or_default();
        owed.alert.clone_from(&rule.name);
        owed.machine = machine.map(str::to_owned);
        // The same delivery named twice gets one message.
        if owed.news.last() != Some(&news) {
            owed.news.push(news);
        }
        if owed.news.len() > KEPT {
            // The first stays, since it says when the trouble began; then one that ended and one that began go.
            owed.news.drain(1..3);
        }
    }
}

fn key(rule: &AlertConfig, machine: Option<&str>) -> String {
    format!("{} {}", rule.name, machine.unwrap_or_default())
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
        assert_eq!(at(6, Some(11.0)), (Phase::Firing, false), "it is news once");
        assert_eq!(at(7, Some(9.5)), (Phase::Firing, false), "not well back");
        assert_eq!(at(8, None), (Phase::Firing, false), "what is not known changes nothing");
        assert_eq!(at(9, Some(8.0)), (Phase::Quiet, true));
        assert_eq!(at(10, Some(11.0)), (Phase::Pending, false));
        assert_eq!(at(11, Some(9.0)), (Phase::Quiet, false), "it never fired");
    }

    #[test]
    fn a_delivery_is_owed_what_it_has_not_received_and_nothing_else() {
        let to = vec!["ops".to_owned(), "archive".to_owned(), "ops".to_owned()];
        let rule = AlertConfig { name: "x".to_owned(), above: Some(10.0), to, ..AlertConfig::default() };
        let mut states = States::default();
        let at = |states: &mut States, minute: i64, value: f64| {
            states.moved(&rule, Some("m"), Some(value), Micros::ZERO, Timestamp(minute * 60_000_000));
        };
        let phases = |states: &States, delivery: &str| {
            let owed = states.owed().find(|it| it.0.1 == delivery).map(|it| it.1.news.clone()).unwrap_or_default();
            owed.iter().map(|it| it.phase).collect::<Vec<_>>()
        };
        let debt = |delivery: &str| ("x m".to_owned(), delivery.to_owned());
        at(&mut states, 1, 11.0);
        let sent = states.owed().next().expect("something is owed").1.news.clone();
        assert_eq!((phases(&states, "ops"), phases(&states, "archive")), (vec![Phase::Firing], vec![Phase::Firing]));
        states.delivered(&debt("archive"), &sent);
        states.undelivered(&debt("ops"), "down");
        assert_eq!((phases(&states, "ops"), phases(&states, "archive")), (vec![Phase::Firing], vec![]));
        // It is over while the first message is on its way again.
        at(&mut states, 2, 1.0);
        assert_eq!(phases(&states, "ops"), [Phase::Firing, Phase::Quiet]);
        assert_eq!(phases(&states, "archive"), [Phase::Quiet]);
        states.delivered(&debt("ops"), &sent);
        assert_eq!(phases(&states, "ops"), [Phase::Quiet]);
        // A rule that goes up and down for ever does not fill the file.
        (3..200).for_each(|minute| at(&mut states, minute, if minute % 2 == 0 { 1.0 } else { 11.0 }));
        let all = phases(&states, "ops");
        assert!(all.len() <= KEPT && all.windows(2).all(|it| it[0] != it[1]), "{all:?}");
        assert_eq!(all.last(), Some(&Phase::Firing), "{all:?}");
    }

    #[test]
    fn the_state_of_an_earlier_version_is_read() {
        let states: States =
            serde_json::from_str(r#"{"x m":{"phase":"firing","since":1764000000000000}}"#).expect("it is");
        assert_eq!((states.fault(), states.owed().count()), (None, 0));
        for wrong in ["9223372036854775807", "-1", "253402300800000000"] {
            let text = format!(r#"{{"x m":{{"phase":"firing","since":{wrong}}}}}"#);
            let states: States = serde_json::from_str(&text).expect("its form is right");
            assert!(states.fault().is_some_and(|it| it.contains(wrong)), "{wrong}");
        }
    }
}
