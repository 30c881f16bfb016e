//! `alerts`: rules of the configuration, what they measure now, and who is notified when that changes.

mod delivery;
mod measure;
mod state;

use std::path::PathBuf;

use analyzer::model::Timestamp;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tui::text;

use super::deliveries::{Parcel, failed, send_all};
use super::{Context, state_file, when};
use crate::Outcome;
use crate::config::AlertConfig;
use crate::failure::{EXIT_THRESHOLD, Failure};
use crate::report::{Report, TextTable, sentences};
use measure::measured;
use state::{Owed, Phase, States};

#[derive(Args)]
pub(crate) struct AlertsArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the rules, what they measure now, and whether they fire; nothing is sent.
    List,
    /// Send a test message to every delivery of the rules, or of one of them.
    Test { name: Option<String> },
    /// Evaluate every rule, and notify of what began and what is over; what could not be delivered before is sent again.
    Run {
        /// End with 3 when a rule fires: one of this name, or `any`.
        #[arg(long, value_name = "NAME")]
        fail_on: Vec<String>,
    },
}

/// What a rule says of one machine.
struct Verdict<'a> {
    rule: &'a AlertConfig,
    /// `None` where it is about all of them together.
    machine: Option<String>,
    /// `None` where it cannot be known.
    value: Option<f64>,
    phase: Phase,
    since: Option<Timestamp>,
    /// Whether it began to fire, or stopped, just now.
    is_news: bool,
}

pub(crate) fn run(context: &Context, arguments: &AlertsArguments) -> Outcome {
    match &arguments.action {
        Action::List => {
            let states: States = state_file::load(&path(context))?;
            let (found, failed) = verdicts(context, &mut states.clone())?;
            report(context, &found, &states).print(context.output)?;
            failed.map_or(Ok(0), Err)
        }
        Action::Test { name } => test(context, name.as_deref()),
        Action::Run { fail_on } => evaluate(context, fail_on),
    }
}

/// Whether there is anything to evaluate.
pub(crate) fn are_there_any(context: &Context) -> bool {
    !context.config.alerts.is_empty()
}

fn path(context: &Context) -> PathBuf {
    state_file::path(context, "alerts.json")
}

/// Evaluates the rules, and delivers what is news, and what could not be delivered before. What is to be sent is stored before anything is: who is
/// killed in between sends it again, so a message arrives at least once. While it is on its way, other evaluations go on.
fn evaluate(context: &Context, fail_on: &[String]) -> Outcome {
    let known = |it: &&String| *it != "any" && !context.config.alerts.iter().any(|rule| rule.name == **it);
    if let Some(unknown) = fail_on.iter().find(known) {
        return Err(Failure::usage(format!("there is no alert `{unknown}`")).hint("`stepscope alerts list` lists them"));
    }
    let path = path(context);
    let (evaluated, courier) = {
        let _alone = state_file::patiently(&path)?;
        let mut states: States = state_file::load(&path)?;
        let evaluated = verdicts(context, &mut states);
        if evaluated.is_ok() {
            states.retain_owed(|delivery, it| is_wanted(context, delivery, it));
            state_file::store(&path, &states)?;
        }
        (evaluated, delivery::courier(&path)?)
    };
    for it in evaluated.iter().flat_map(|it| &it.0).filter(|it| it.is_news) {
        eprintln!("{}", told(it));
    }
    let undelivered = if let Some(courier) = courier {
        delivery::deliver(context, &path, courier)?
    } else {
        eprintln!("another process is delivering alerts just now: what is new goes with it");
        None
    };
    let (found, failed) = evaluated?;
    report(context, &found, &state_file::load(&path)?).print(context.output)?;
    if let Some(failure) = undelivered.or(failed) {
        return Err(failure);
    }
    let is_asked = |it: &&Verdict<'_>| fail_on.iter().any(|name| name == "any" || *name == it.rule.name);
    let is_firing = found.iter().filter(is_asked).any(|it| it.phase == Phase::Firing);
    Ok(if is_firing { EXIT_THRESHOLD } else { 0 })
}

/// Whether what was not delivered is still to be: its rule is there, and names the delivery.
fn is_wanted(context: &Context, delivery: &str, owed: &Owed) -> bool {
    let rule = context.config.alerts.iter().find(|it| it.name == owed.alert);
    let is_wanted = rule.is_some_and(|it| it.to.iter().any(|it| it == delivery));
    if !is_wanted {
        eprintln!(
            "`{}` does not name the delivery `{delivery}` any more: what it has not received is dropped",
            owed.alert
        );
    }
    is_wanted
}

fn test(context: &Context, name: Option<&str>) -> Outcome {
    let rules: Vec<&AlertConfig> =
        context.config.alerts.iter().filter(|it| name.is_none_or(|name| it.name == name)).collect();
    if rules.is_empty() {
        return Err(none(name));
    }
    let mut names: Vec<String> = rules.iter().flat_map(|it| it.to.clone()).collect();
    names.sort_unstable();
    names.dedup();
    let text = text::plain(&format!(
        "stepscope: a test message for {}",
        rules.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(", ")
    ));
    let json = json!({"alert": Value::Null, "state": "test", "text": text});
    let parcel = Parcel { file: "alert-test.txt".to_owned(), text, json, page: None };
    let results = send_all(context, names.iter().map(|it| (it.clone(), parcel.clone())).collect(), delivery::LIMIT);
    let (arrived, lost): (Vec<_>, Vec<_>) = names.into_iter().zip(results).partition(|it| it.1.is_ok());
    if !arrived.is_empty() {
        eprintln!("sent to {}", arrived.into_iter().map(|it| it.0).collect::<Vec<_>>().join(", "));
    }
    let lost: Vec<_> = lost.into_iter().filter_map(|(name, it)| Some((name, it.err()?.in_a_line()))).collect();
    failed(&lost).map_or(Ok(0), Err)
}

fn none(name: Option<&str>) -> Failure {
    let what = name.map_or_else(|| "no alerts are configured".to_owned(), |it| format!("there is no alert `{it}`"));
    Failure::usage(what).hint("write `[[alerts]]` into the configuration; docs/alerts.md has an example of each")
}

/// Every rule on every machine it is about, with what was known of it before.
fn verdicts<'a>(context: &'a Context, states: &mut States) -> Result<(Vec<Verdict<'a>>, Option<Failure>), Failure> {
    let rules = &context.config.alerts;
    if rules.is_empty() {
        return Err(none(None));
    }
    let reader = context.reader()?;
    let now = context.now()?;
    let (mut found, mut failed) = (Vec::new(), None);
    for rule in rules {
        let hold = rule.hold.as_deref().map(|it| span(rule, it)).transpose()?.unwrap_or_default();
        if rule.above.is_none() == rule.below.is_none() {
            return Err(Failure::usage(format!("the alert `{}` needs either `above` or `below`", rule.name)));
        }
        if let Some(text) = rule.silenced_until.as_deref().filter(|it| analyzer::time::parse(it).is_none()) {
            let what = format!("invalid time `{text}` in `silenced_until` of the alert `{}`", rule.name);
            return Err(Failure::usage(what).hint("use RFC 3339, such as 2026-11-25T14:00:00Z"));
        }
        let values = match measured(context, &reader, rule, now) {
            Ok(values) => values,
            // The other rules are evaluated all the same.
            Err(failure) => {
                eprintln!("`{}`: {}", rule.name, failure.in_a_line());
                failed.get_or_insert(failure);
                continue;
            }
        };
        for (machine, value) in values {
            // What begins in silence is news when the silence is over.
            let mut aside = is_silenced(rule, now).then(|| states.clone());
            let states = aside.as_mut().unwrap_or(states);
            let (phase, since, is_news) = states.moved(rule, machine.as_deref(), value, hold, now);
            let is_news = is_news && !is_silenced(rule, now);
            found.push(Verdict { rule, machine, value, phase, since, is_news });
        }
    }
    Ok((found, failed))
}

fn span(rule: &AlertConfig, text: &str) -> Result<analyzer::model::Micros, Failure> {
    when::span(text).ok_or_else(|| {
        Failure::usage(format!("invalid span `{text}` of the alert `{}`", rule.name)).hint("use 90m, 24h, 7d")
    })
}

fn is_silenced(rule: &AlertConfig, now: Timestamp) -> bool {
    rule.silenced_until.as_deref().and_then(analyzer::time::parse).is_some_and(|until| now < until)
}

fn threshold(rule: &AlertConfig) -> String {
    let side = |word: &str, it: f64| format!("{word} {}", text::measure(&rule.rule, it));
    let above = rule.above.map(|it| side("above", it));
    above.or_else(|| rule.below.map(|it| side("below", it))).unwrap_or_default()
}

fn shown(rule: &AlertConfig, value: Option<f64>) -> String {
    value.map_or_else(|| "not known".to_owned(), |value| text::measure(&rule.rule, value))
}

/// ` of NAME`, where it is about one.
fn of_machine(arn: Option<&str>) -> String {
    let name = arn.and_then(|it| it.rsplit(':').next());
    name.map_or_else(String::new, |it| format!(" of {it}"))
}

fn told(it: &Verdict<'_>) -> String {
    let machine = of_machine(it.machine.as_deref());
    let (name, rule) = (&it.rule.name, &it.rule.rule);
    let (word, shown, threshold) = (word(it.phase), shown(it.rule, it.value), threshold(it.rule));
    // One line, whatever the machine is called.
    text::plain(&format!("{word} {name}: {rule}{machine} is {shown} (fires {threshold})"))
}

fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Firing => "FIRING",
        Phase::Pending => "PENDING",
        Phase::Quiet => "RESOLVED",
    }
}

fn to_json(it: &Verdict<'_>) -> Value {
    json!({
        "alert": it.rule.name, "rule": it.rule.rule, "state_machine_arn": it.machine, "value": it.value,
        "above": it.rule.above, "below": it.rule.below, "state": it.phase.as_str(),
        "since": it.since.map(analyzer::time::format), "is_news": it.is_news, "text": told(it),
    })
}

fn report(context: &Context, found: &[Verdict<'_>], states: &States) -> Report {
    let mut table = TextTable::with_columns(&["alert", "rule", "machine", "#value", "fires", "state", "since (UTC)"]);
    for it in found {
        table.rows.push(vec![
            it.rule.name.clone(),
            it.rule.rule.clone(),
            it.machine.as_deref().and_then(|it| it.rsplit(':').next()).unwrap_or("–").to_owned(),
            shown(it.rule, it.value),
            threshold(it.rule),
            it.phase.as_str().to_owned(),
            it.since.map_or_else(|| "–".to_owned(), text::minute),
        ]);
    }
    Report {
        command: "alerts",
        fields: [
            ("alerts".to_owned(), found.iter().map(to_json).collect()),
            ("undelivered".to_owned(), delivery::undelivered_to_json(context, states)),
        ]
        .into_iter()
        .collect(),
        rows: "alerts",
        table,
        heading: String::new(),
        footer: sentences(delivery::undelivered(states)),
    }
}
