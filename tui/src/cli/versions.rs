//! `versions`: what ran when, how it did, and what changed between the stored definitions.

use analyzer::asl::{StateMachine, changes};
use analyzer::model::{Micros, Timestamp};
use clap::Args;
use queries::VersionRow;
use serde_json::{Value, json};
use tui::text;

use super::{Context, select};
use crate::Outcome;
use crate::failure::Failure;
use crate::report::{Report, TextTable};

#[derive(Args)]
pub(crate) struct VersionsArguments {
    /// A state machine: its ARN, its name, or a unique part of it.
    machine: String,
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
    Ok(report(&machine, &reader.versions(&machine)?, definitions.len(), &steps))
}

fn report(machine: &str, versions: &[VersionRow], n_definitions: usize, steps: &[Vec<String>]) -> Report {
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
    let minute = |it: Option<Timestamp>| {
        it.map_or_else(|| "–".to_owned(), |it| analyzer::time::format(it)[..16].replace('T', " "))
    };
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
    ];
    let said =
        steps.first().map(|it| format!("The newest definition against the one before it:\n  {}", it.join("\n  ")));
    Report {
        command: "versions",
        fields: fields.into_iter().collect(),
        rows: "versions",
        table,
        heading: format!("Definitions stored: {n_definitions}."),
        footer: said.unwrap_or_default(),
    }
}
