//! `versions`: the log of a machine: what was deployed when, what that changed, and what it did.

use analyzer::asl::{Change, StateMachine, changes};
use analyzer::model::{Micros, Timestamp};
use clap::Args;
use queries::{Deployment, ExecutionFilter, Reader, VersionRow};
use serde_json::{Value, json};
use tui::text;

use super::bill::Prices;
use super::compare::effect::{Effect, Runs, effect};
use super::compare::evidence::{Deployed, deployed, deployed_in};
use super::compare::sides::around;
use super::{Context, select};
use crate::Outcome;
use crate::failure::Failure;
use crate::report::{Report, TextTable, sentences};

/// Changes that are told of an entry.
const TOLD: usize = 12;

#[derive(Args)]
pub(crate) struct VersionsArguments {
    /// A state machine: its ARN, its name, or a unique part of it.
    machine: String,
}

/// What was deployed at a time, or at several between which nothing ran.
struct Entry {
    at: Timestamp,
    deployed: Vec<Deployment>,
    changes: Option<Vec<Change>>,
    effect: Option<Effect>,
}

pub(crate) fn run(context: &Context, arguments: &VersionsArguments) -> Outcome {
    found(context, arguments)?.print(context.output)?;
    Ok(0)
}

/// What the command finds.
pub(crate) fn found(context: &Context, arguments: &VersionsArguments) -> Result<Report, Failure> {
    let reader = context.reader()?;
    let machine = select::machine(&reader, &arguments.machine)?;
    let definitions: Vec<StateMachine> =
        reader.definitions(&machine)?.iter().filter_map(|it| StateMachine::parse(it).ok()).collect();
    // The newest comes first: each against the one before it.
    let steps: Vec<Vec<String>> = definitions
        .windows(2)
        .map(|pair| changes(&pair[1], &pair[0]).into_iter().map(|it| it.what).collect())
        .collect();
    let log = log(&reader, &Prices::new(context)?, &machine)?;
    Ok(report(&machine, &reader.versions(&machine)?, definitions.len(), &steps, &log))
}

/// Everything that was deployed, the newest first.
fn log(reader: &Reader, prices: &Prices, machine: &str) -> Result<Vec<Entry>, Failure> {
    let all = reader.deployments(machine)?;
    let own = reader.machines(None, None)?.into_iter().find(|it| it.arn == machine);
    let span = own.and_then(|it| it.first_at.zip(it.last_at)).unwrap_or_default();
    let mut entries: Vec<Entry> = Vec::new();
    let mut waiting: Option<Entry> = None;
    for it in deployed_in(reader, machine, None, None)? {
        let (_, (from, to)) = around(it.it.at, &all, span);
        let mut entry = waiting.take().unwrap_or_else(|| Entry::at(it.it.at));
        entry.take(it);
        let ran = ExecutionFilter {
            machine_arn: Some(machine.into()),
            since: Some(from),
            until: Some(to),
            limit: Some(1),
            ..ExecutionFilter::default()
        };
        if reader.executions(&ran)?.is_empty() {
            waiting = Some(entry);
            continue;
        }
        let (before, _) = around(entry.at, &all, span);
        let sides = [Runs::Between(before), Runs::Between((from, to))];
        entry.effect = effect(reader, prices, &machine.into(), sides)?;
        entries.push(entry);
    }
    entries.extend(waiting);
    entries.reverse();
    Ok(entries)
}

impl Entry {
    fn at(at: Timestamp) -> Self {
        Self { at, deployed: Vec::new(), changes: None, effect: None }
    }

    fn take(&mut self, it: Deployed) {
        self.deployed.push(it.it);
        if let Some(new) = it.changes {
            let known = self.changes.get_or_insert_default();
            let unknown: Vec<Change> = new.into_iter().filter(|it| !known.contains(it)).collect();
            known.extend(unknown);
        }
    }
}

fn report(
    machine: &str,
    versions: &[VersionRow],
    n_definitions: usize,
    steps: &[Vec<String>],
    log: &[Entry],
) -> Report {
    let mut table = TextTable::with_columns(&[
        "version",
        "#executions",
        "first (UTC)",
        "last (UTC)",
        "#p50",
        "#p95",
        "#failed",
        "#transitions",
    ]);
    for it in versions {
        table.rows.push(vec![
            it.version_arn.as_deref().map_or("none named", |it| it.rsplit(':').next().unwrap_or(it)).to_owned(),
            text::count(it.executions),
            minute(it.first_at),
            minute(it.last_at),
            text::opt_span(it.p50),
            text::opt_span(it.p95),
            text::percent(it.failed, it.executions),
            text::count(it.transitions),
        ]);
    }
    let line = |it: &VersionRow| {
        json!({
            "version": it.version_arn, "executions": it.executions,
            "first_started_at": it.first_at.map(analyzer::time::format), "last_started_at": it.last_at.map(analyzer::time::format),
            "p50_ms": it.p50.map(Micros::as_millis), "p95_ms": it.p95.map(Micros::as_millis), "failed": it.failed,
            "billed_transitions": it.transitions,
        })
    };
    let fields = [
        ("state_machine_arn".to_owned(), Value::from(machine)),
        ("versions".to_owned(), versions.iter().map(line).collect()),
        ("definitions".to_owned(), n_definitions.into()),
        ("changes".to_owned(), steps.iter().map(|it| Value::from(it.clone())).collect()),
        ("log".to_owned(), log.iter().map(to_json).collect()),
    ];
    Report {
        command: "versions",
        fields: fields.into_iter().collect(),
        rows: "versions",
        table,
        heading: format!("Definitions stored: {n_definitions}."),
        footer: footer(steps, log),
    }
}

/// The log in words, the newest entry first.
fn footer(steps: &[Vec<String>], log: &[Entry]) -> String {
    if log.is_empty() {
        let Some(changes) = steps.first() else { return String::new() };
        let heading = "The newest definition against the one before it:".to_owned();
        return sentences(std::iter::once(heading).chain(changes.iter().map(|it| format!("  {it}"))));
    }
    let mut lines = Vec::new();
    for it in log {
        let names: Vec<String> = it.deployed.iter().map(deployed).collect();
        lines.push(format!("{}  {}", minute(Some(it.at)), names.join(", ")));
        let changes = it.changes.as_deref().unwrap_or_default();
        lines.extend(changes.iter().take(TOLD).map(|it| format!("    {}", it.what)));
        if changes.len() > TOLD {
            lines.push(format!("    and {} more: `stepscope diff` tells all", changes.len() - TOLD));
        }
        match &it.effect {
            Some(effect) => lines.extend(effect.sentences().into_iter().map(|it| format!("    => {it}"))),
            None => lines.push("    => what it did is not known: no execution on one of the sides".to_owned()),
        }
    }
    sentences(&lines)
}

fn minute(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "–".to_owned(), text::minute)
}

fn to_json(it: &Entry) -> Value {
    let change = |it: &Change| json!({"path": it.path, "kind": it.kind.as_str(), "what": it.what});
    json!({
        "at": analyzer::time::format(it.at),
        "deployed": it.deployed.iter().map(|it| json!({"kind": it.kind, "label": it.label})).collect::<Vec<_>>(),
        "changes": it.changes.as_ref().map(|all| all.iter().map(change).collect::<Vec<_>>()),
        "effect": it.effect.as_ref().map(Effect::to_json),
    })
}
