//! Sends what deliveries are owed: each on its own, and what arrived is struck off; the rest stays for the next evaluation.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use analyzer::model::Timestamp;
use serde_json::{Value, json};
use tui::text;

use super::state::{Debt, News, Owed, Phase, States};
use super::{is_silenced, of_machine, shown, threshold, word};
use crate::cli::deliveries::{Parcel, failed, file_name, send_all};
use crate::cli::{Context, state_file};
use crate::config::AlertConfig;
use crate::failure::Failure;

/// How long all messages of a run to one delivery may take, unless it has a limit of its own.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

/// The one process that sends.
pub(super) fn courier(path: &Path) -> Result<Option<state_file::Alone>, Failure> {
    state_file::at_once(path, "delivery")
}

/// Sends what is owed, also what other evaluations add meanwhile: they leave it to the courier. What fails is not tried twice in one run. Returns
/// what could not be delivered.
pub(super) fn deliver(context: &Context, path: &Path, courier: state_file::Alone) -> Result<Option<Failure>, Failure> {
    let now = context.now()?;
    let mut given_up: BTreeSet<Debt> = BTreeSet::new();
    let mut lost = Vec::new();
    loop {
        let batch = {
            let _alone = state_file::patiently(path)?;
            let states: States = state_file::load(path)?;
            let batch: Vec<_> = states
                .owed()
                .filter(|(debt, _)| !given_up.contains(debt))
                .filter_map(|(debt, owed)| {
                    let rule = context.config.alerts.iter().find(|it| it.name == owed.alert)?;
                    // What began in silence, or before it, waits until the silence is over.
                    (!is_silenced(rule, now)).then(|| (debt, owed.news.clone(), parcel(rule, owed)))
                })
                .collect();
            if batch.is_empty() {
                // Given back while nothing can be added: who adds something from now on is the courier.
                drop(courier);
                return Ok(failed(&lost));
            }
            batch
        };
        let parcels = batch.iter().map(|(debt, _, parcel)| (debt.1.clone(), parcel.clone())).collect();
        let results = send_all(context, parcels, LIMIT);
        let _alone = state_file::patiently(path)?;
        let mut states: States = state_file::load(path)?;
        for ((debt, news, _), result) in batch.into_iter().zip(results) {
            match result {
                Ok(()) => states.delivered(&debt, &news),
                Err(failure) => {
                    let why = failure.in_a_line();
                    states.undelivered(&debt, &why);
                    lost.push((debt.1.clone(), why));
                    given_up.insert(debt);
                }
            }
        }
        state_file::store(path, &states)?;
    }
}

fn parcel(rule: &AlertConfig, owed: &Owed) -> Parcel {
    let text = message(rule, owed);
    let first = owed.news.first().map_or(0, |it| it.at);
    let name = format!("alert {}{} {}", rule.name, of_machine(owed.machine.as_deref()), written(first));
    Parcel { file: format!("{}.txt", file_name(&name)), json: to_json(rule, owed, &text), text, page: None }
}

fn written(at: i64) -> String {
    analyzer::time::format(Timestamp(at))
}

/// What happened, in one line. Where a rule fired and recovered before anybody could hear of it, it says both.
fn message(rule: &AlertConfig, owed: &Owed) -> String {
    let Some((last, earlier)) = owed.news.split_last() else { return String::new() };
    let (name, what) = (&rule.name, format!("{}{}", rule.rule, of_machine(owed.machine.as_deref())));
    let value = |it: &News| shown(rule, it.value);
    let at = |it: &News| format!("{} UTC", text::minute(Timestamp(it.at)));
    let fires = format!("(fires {})", threshold(rule));
    match earlier.split_last() {
        None if owed.attempts == 0 => format!("{} {name}: {what} is {} {fires}", word(last.phase), value(last)),
        None => format!("{} {name}: {what} was {} at {} {fires}", word(last.phase), value(last), at(last)),
        Some((began, before)) if last.phase == Phase::Quiet => format!(
            "FIRED AND RESOLVED {name}: {what} was {} at {} {fires}, and recovered to {} by {}{}",
            value(began),
            at(began),
            value(last),
            at(last),
            history(before, &value, &at)
        ),
        Some(_) => format!(
            "{} {name}: {what} was {} at {} {fires}{}",
            word(last.phase),
            value(last),
            at(last),
            history(earlier, &value, &at)
        ),
    }
}

/// What came before, and could not be delivered either.
fn history(news: &[News], value: &dyn Fn(&News) -> String, at: &dyn Fn(&News) -> String) -> String {
    if news.is_empty() {
        return String::new();
    }
    let lines: Vec<String> =
        news.iter().map(|it| format!("{} at {} ({})", word(it.phase).to_lowercase(), at(it), value(it))).collect();
    format!("; not delivered before: {}", lines.join(", "))
}

fn to_json(rule: &AlertConfig, owed: &Owed, text: &str) -> Value {
    let (phase, since, value) =
        owed.news.last().map_or((Phase::Quiet, None, None), |it| (it.phase, it.since, it.value));
    let earlier = owed.news.iter().rev().skip(1).rev();
    json!({
        "alert": rule.name, "rule": rule.rule, "state_machine_arn": owed.machine, "value": value,
        "above": rule.above, "below": rule.below, "state": phase.as_str(),
        "since": since.map(written), "is_news": true, "text": text,
        "earlier": earlier.map(|it| json!({"state": it.phase.as_str(), "at": written(it.at), "value": it.value})).collect::<Vec<_>>(),
    })
}

/// A line for each delivery that has not received everything.
pub(super) fn undelivered(states: &States) -> Vec<String> {
    let mut names: Vec<String> = states.owed().map(|(debt, _)| debt.1).collect();
    names.sort_unstable();
    names.dedup();
    let line = |name: String| {
        let owed: Vec<&Owed> = states.owed().filter(|(debt, _)| debt.1 == name).map(|it| it.1).collect();
        let messages = match owed.len() {
            1 => "1 message".to_owned(),
            n => format!("{n} messages"),
        };
        let why = owed.iter().find_map(|it| it.error.as_deref()).map_or_else(String::new, |it| format!(": {it}"));
        format!("Not delivered to `{name}`: {messages}, sent again at the next evaluation{why}.")
    };
    names.into_iter().map(line).collect()
}

pub(super) fn undelivered_to_json(context: &Context, states: &States) -> Value {
    let one = |((_, delivery), owed): (Debt, &Owed)| {
        let rule = context.config.alerts.iter().find(|it| it.name == owed.alert);
        json!({
            "alert": owed.alert, "state_machine_arn": owed.machine, "delivery": delivery, "attempts": owed.attempts,
            "error": owed.error, "since": owed.news.first().map(|it| written(it.at)),
            "text": rule.map(|it| message(it, owed)),
        })
    };
    states.owed().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(phases: &[(Phase, i64, f64)], attempts: u32, expected: &str) {
        let rule = AlertConfig {
            name: "slow".to_owned(),
            rule: "p95_ms".to_owned(),
            above: Some(2_500.0),
            ..AlertConfig::default()
        };
        let news = phases.iter().map(|(phase, minute, value)| News {
            phase: *phase,
            at: minute * 60_000_000,
            since: None,
            value: Some(*value),
        });
        let machine = Some("arn:aws:states:us-east-1:123456789012:stateMachine:orders".to_owned());
        let owed = Owed { alert: "slow".to_owned(), machine, news: news.collect(), attempts, error: None };
        assert_eq!(message(&rule, &owed), expected);
    }

    #[test]
    fn a_message_says_what_could_not_be_delivered_before() {
        let fired = (Phase::Firing, 10, 3_000.0);
        let over = (Phase::Quiet, 20, 1_000.0);
        check(&[fired], 0, "FIRING slow: p95_ms of orders is 3 s (fires above 2.5 s)");
        check(&[fired], 1, "FIRING slow: p95_ms of orders was 3 s at 1970-01-01 00:10 UTC (fires above 2.5 s)");
        check(&[over], 0, "RESOLVED slow: p95_ms of orders is 1 s (fires above 2.5 s)");
        check(
            &[fired, over],
            1,
            "FIRED AND RESOLVED slow: p95_ms of orders was 3 s at 1970-01-01 00:10 UTC (fires above 2.5 s), and recovered to 1 s by 1970-01-01 00:20 UTC",
        );
        check(
            &[over, (Phase::Firing, 30, 4_000.0)],
            2,
            "FIRING slow: p95_ms of orders was 4 s at 1970-01-01 00:30 UTC (fires above 2.5 s); not delivered before: resolved at 1970-01-01 00:20 UTC (1 s)",
        );
    }
}
