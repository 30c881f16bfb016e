//! `executions`: what is stored, newest first.

use clap::Args;
use queries::{ExecutionFilter, ExecutionRow};
use serde_json::{Value, json};
use tui::text;

use super::bill::Prices;
use super::selection::Selection;
use super::{Context, select};
use crate::Outcome;
use crate::failure::Failure;
use crate::report::{Output, Report, TextTable};

/// Rows of a table without `--limit`.
const TABLE_ROWS: u64 = 50;

#[derive(Args)]
pub(crate) struct ExecutionsArguments {
    /// A state machine: its ARN, its name, or a unique part of it.
    machine: Option<String>,
    /// At most this many; tables show 50, other forms all.
    #[arg(long)]
    limit: Option<u64>,
    #[command(flatten)]
    selection: Selection,
}

pub(crate) fn run(context: &Context, arguments: &ExecutionsArguments) -> Outcome {
    found(context, arguments)?.print(context.output)?;
    Ok(0)
}

/// What the command finds.
pub(crate) fn found(context: &Context, arguments: &ExecutionsArguments) -> Result<Report, Failure> {
    let reader = context.reader()?;
    let is_for_people = matches!(context.output, Output::Table | Output::Markdown);
    let limit = arguments.limit.or(is_for_people.then_some(TABLE_ROWS + 1));
    let machine_arn = select::optional_machine(&reader, arguments.machine.as_deref())?;
    let filter = ExecutionFilter { limit, ..arguments.selection.filter(context, machine_arn)? };
    let mut rows = reader.executions(&filter)?;
    let more = arguments.limit.is_none() && is_for_people && rows.len() as u64 > TABLE_ROWS;
    if more {
        rows.truncate(usize::try_from(TABLE_ROWS).unwrap_or(usize::MAX));
    }
    let prices = Prices::new(context)?;
    Ok(report(&rows, more, &prices))
}

fn report(rows: &[ExecutionRow], more: bool, prices: &Prices) -> Report {
    let mut table = TextTable::with_columns(&[
        "started (UTC)",
        "machine",
        "execution",
        "status",
        "#duration",
        "#transitions",
        "#list price",
        "error",
    ]);
    for row in rows {
        table.rows.push(vec![
            row.started_at.map_or_else(|| "–".to_owned(), analyzer::time::short),
            text::cut(&row.machine, 32),
            text::cut(&row.name, 40),
            status(row),
            text::opt_span(row.active.or(row.duration)),
            if row.n_events > 0 { text::count(row.billed_transitions) } else { "–".to_owned() },
            prices.execution(row).map_or_else(|| "–".to_owned(), text::usd),
            text::cut(row.error.as_deref().unwrap_or(""), 40),
        ]);
    }
    let executions: Vec<Value> = rows.iter().map(|row| to_json(row, prices)).collect();
    let footer = if more { format!("the newest {TABLE_ROWS}; `--limit` shows more") } else { String::new() };
    Report {
        command: "executions",
        fields: [("executions".to_owned(), executions.into())].into_iter().collect(),
        rows: "executions",
        table,
        heading: String::new(),
        footer,
    }
}

/// The status, and what of the execution is not known.
fn status(row: &ExecutionRow) -> String {
    let mut notes = Vec::new();
    notes.extend((!row.complete).then_some("partial"));
    notes.extend(row.has_truncated_payload().then_some("payload cut off"));
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
    format!("{}{notes}", row.status.as_str())
}

fn to_json(row: &ExecutionRow, prices: &Prices) -> Value {
    json!({
        "execution_arn": row.arn,
        "state_machine_arn": row.machine_arn,
        "machine": row.machine,
        "name": row.name,
        "type": row.workflow_type.as_str(),
        "status": row.status.as_str(),
        "started_at": row.started_at.map(analyzer::time::format),
        "stopped_at": row.stopped_at.map(analyzer::time::format),
        "duration_ms": row.duration.map(analyzer::model::Micros::as_millis),
        "active_ms": row.active.map(analyzer::model::Micros::as_millis),
        "runs": row.runs,
        "events": row.n_events,
        "complete": row.complete,
        "gaps": row.gaps,
        // Of an execution that could not be read nothing is known, which is not the same as nothing.
        "billed_transitions": (row.n_events > 0).then_some(row.billed_transitions),
        "usd": prices.execution(row).map(super::bill::number),
        "error": row.error,
        "version": row.version_arn,
        "redrives": row.redrives.max(row.runs.saturating_sub(1)),
        "map_run_arn": row.map_run_arn,
        "parent_execution_arn": row.parent_arn,
    })
}
