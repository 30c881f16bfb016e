//! `alerts`: rules of the configuration, what they measure now, and who is told when that changes.

mod measure;
mod state;

use std::path::PathBuf;

use analyzer::model::Timestamp;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tui::text;

use super::deliveries::{Parcel, file_name, send};
use super::{Context, state_file, when};
use crate::Outcome;
use crate::config::AlertConfig;
use crate::failure::{EXIT_THRESHOLD, Failure};
use crate::report::{Report, TextTable};
use measure::measured;
use state::{Phase, States};

#[derive(Args)]
pub(crate) struct AlertsArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// The rules, what they measure now, and whether they fire; nothing is sent.
    List,
    /// Send a message of trial to every delivery of the rules, or of one of them.
    Test { name: Option<String> },
    /// Look at every rule, and tell what began and what is over.
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
            let (found, failed) = verdicts(context, &mut state_file::load(&path(context))?)?;
            report(&found).print(context.output)?;
            failed.map_or(Ok(0), Err)
        }
        Action::Test { name } => test(context, name.as_deref()),
        Action::Run { fail_on } => look(context, fail_on),
    }
}

/// Whether there is anything to look at.
pub(crate) fn are_there_any(context: &Context) -> bool {
    !context.config.alerts.is_empty()
}

fn path(context: &Context) -> PathBuf {
    state_file::path(context, "alerts.json")
}

fn look(context: &Context, fail_on: &[String]) -> Outcome {
    let known = |it: &&String| *it != "any" && !context.config.alerts.iter().any(|rule| rule.name == **it);
    if let Some(unknown) = fail_on.iter().find(known) {
        return Err(Failure::usage(format!("there is no alert `{unknown}`")).hint("`stepscope alerts list` lists them"));
    }
    let _alone = state_file::patiently(&path(context))?;
    let mut states: States = state_file::load(&path(context))?;
    let (found, failed) = verdicts(context, &mut states)?;
    let now = context.now()?;
    let mut undelivered = None;
    for it in found.iter().filter(|it| it.is_news) {
        let text = told(it);
        eprintln!("{text}");
        let parcel = Parcel {
            file: format!(
                "{}.txt",
                file_name(&format!("alert {}{} {}", it.rule.name, machine_of(it), analyzer::time::format(now)))
            ),
            text: &text,
            json: to_json(it),
            page: None,
        };
        if let Err(failure) = send(context, &it.rule.to, &parcel) {
            undelivered.get_or_insert(failure);
        }
    }
    // What was said is said: a delivery that failed is told, not repeated without end.
    state_file::store(&path(context), &states)?;
    report(&found).print(context.output)?;
    if let Some(failure) = undelivered.or(failed) {
        return Err(failure);
    }
    let is_asked = |it: &&Verdict<'_>| fail_on.iter().any(|name| name == "any" || *name == it.rule.name);
    let is_firing = found.iter().filter(is_asked).any(|it| it.phase == Phase::Firing);
    Ok(if is_firing { EXIT_THRESHOLD } else { 0 })
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
    let text = format!(
        "stepscope: a message of trial for {}",
        rules.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(", ")
    );
    let json = json!({"alert": Value::Null, "state": "test", "text": text});
    send(context, &names, &Parcel { file: "alert-test.txt".to_owned(), text: &text, json, page: None })?;
    eprintln!("sent to {}", names.join(", "));
    Ok(0)
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
        let values = match measured(context, &reader, rule, now) {
            Ok(values) => values,
            // The other rules are looked at all the same.
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
        Failure::usage(format!("`{text}` of the alert `{}` is no span of time", rule.name)).hint("use 90m, 24h, 7d")
    })
}

fn is_silenced(rule: &AlertConfig, now: Timestamp) -> bool {
    rule.silenced_until.as_deref().and_then(analyzer::time::parse).is_some_and(|until| now < until)
}

fn threshold(rule: &AlertConfig) -> String {
    let told = |word: &str, it: f64| format!("{word} {}", text::measure(&rule.rule, it));
    let above = rule.above.map(|it| told("above", it));
    above.or_else(|| rule.below.map(|it| told("below", it))).unwrap_or_default()
}

fn shown(it: &Verdict<'_>) -> String {
    it.value.map_or_else(|| "not known".to_owned(), |value| text::measure(&it.rule.rule, value))
}

/// ` of NAME`, where it is about one.
fn machine_of(it: &Verdict<'_>) -> String {
    let name = it.machine.as_deref().and_then(|it| it.rsplit(':').next());
    name.map_or_else(String::new, |it| format!(" of {it}"))
}

fn told(it: &Verdict<'_>) -> String {
    let machine = machine_of(it);
    let what = match it.phase {
        Phase::Firing => "FIRING",
        Phase::Pending => "PENDING",
        Phase::Quiet => "RESOLVED",
    };
    format!("{what} {}: {}{machine} is {} (fires {})", it.rule.name, it.rule.rule, shown(it), threshold(it.rule))
}

fn to_json(it: &Verdict<'_>) -> Value {
    json!({
        "alert": it.rule.name, "rule": it.rule.rule, "state_machine_arn": it.machine, "value": it.value,
        "above": it.rule.above, "below": it.rule.below, "state": it.phase.as_str(),
        "since": it.since.map(analyzer::time::format), "is_news": it.is_news, "text": told(it),
    })
}

fn report(found: &[Verdict<'_>]) -> Report {
    let mut table = TextTable::with_columns(&["alert", "rule", "machine", "#value", "fires", "state", "since (UTC)"]);
    for it in found {
        table.rows.push(vec![
            it.rule.name.clone(),
            it.rule.rule.clone(),
            it.machine.as_deref().and_then(|it| it.rsplit(':').next()).unwrap_or("–").to_owned(),
            shown(it),
            threshold(it.rule),
            it.phase.as_str().to_owned(),
            it.since.map_or_else(|| "–".to_owned(), |it| analyzer::time::format(it)[..16].replace('T', " ")),
        ]);
    }
    Report {
        command: "alerts",
        fields: [("alerts".to_owned(), found.iter().map(to_json).collect())].into_iter().collect(),
        rows: "alerts",
        table,
        heading: String::new(),
        footer: String::new(),
    }
}
