//! `redrivable`: failed runs that can still be redriven, grouped by cause, with the command for each. It never runs one.

use std::collections::BTreeMap;

use analyzer::model::{Micros, Status, Timestamp, WorkflowType};
use clap::Args;
use queries::{ExecutionFilter, ExecutionRow};
use serde_json::{Value, json};
use tui::safe::Command;
use tui::text;

use super::{Context, select};
use crate::Outcome;
use crate::failure::Failure;
use crate::report::{Report, TextTable, sentences};

/// A Standard execution can be redriven for 14 days after it closed.
const WINDOW: Micros = Micros(14 * 86_400_000_000);

#[derive(Args)]
pub(crate) struct RedrivableArguments {
    /// A state machine: its ARN, its name, or a unique part of it.
    machine: Option<String>,
}

pub(crate) fn run(context: &Context, arguments: &RedrivableArguments) -> Outcome {
    found(context, arguments)?.print(context.output)?;
    Ok(0)
}

/// What the command finds.
pub(crate) fn found(context: &Context, arguments: &RedrivableArguments) -> Result<Report, Failure> {
    let reader = context.reader()?;
    let now = context.now()?;
    let machine_arn = select::optional_machine(&reader, arguments.machine.as_deref())?;
    let mut groups: BTreeMap<(String, String), Vec<ExecutionRow>> = BTreeMap::new();
    for status in [Status::Failed, Status::TimedOut, Status::Aborted] {
        let filter =
            ExecutionFilter { machine_arn: machine_arn.clone(), status: Some(status), ..ExecutionFilter::default() };
        for row in reader.executions(&filter)? {
            let is_open = row.stopped_at.is_some_and(|it| it + WINDOW > now && it <= now);
            if row.workflow_type == WorkflowType::Standard && is_open {
                let cause = row.error.clone().unwrap_or_else(|| status.as_str().to_owned());
                groups.entry((row.machine_arn.clone(), cause)).or_default().push(row);
            }
        }
    }
    let mut groups: Vec<((String, String), Vec<ExecutionRow>)> = groups.into_iter().collect();
    groups.sort_by_key(|it| std::cmp::Reverse(it.1.len()));
    Ok(report(&groups))
}

fn report(groups: &[((String, String), Vec<ExecutionRow>)]) -> Report {
    let mut table =
        TextTable::with_columns(&["machine", "cause", "#executions", "first (UTC)", "last (UTC)", "until (UTC)"]);
    let mut commands = Vec::new();
    let mut lines = Vec::new();
    for ((machine, cause), rows) in groups {
        let closed: Vec<Timestamp> = rows.iter().filter_map(|it| it.stopped_at).collect();
        let (first, last) = (closed.iter().min().copied(), closed.iter().max().copied());
        let minute = |it: Option<Timestamp>| it.map_or_else(|| "–".to_owned(), text::minute);
        table.rows.push(vec![
            text::cut(machine.rsplit(':').next().unwrap_or(machine), 32),
            text::cut(cause, 48),
            text::count(rows.len() as u64),
            minute(first),
            minute(last),
            minute(first.map(|it| it + WINDOW)),
        ]);
        commands.extend(rows.iter().map(command));
        let executions = |row: &ExecutionRow| {
            json!({
                "execution_arn": row.arn, "stopped_at": row.stopped_at.map(analyzer::time::format),
                "until": row.stopped_at.map(|it| analyzer::time::format(it + WINDOW)), "command": command(row),
            })
        };
        lines.push(json!({
            "state_machine_arn": machine, "error": cause, "count": rows.len(),
            "first_seen": first.map(analyzer::time::format), "last_seen": last.map(analyzer::time::format),
            "executions": rows.iter().map(executions).collect::<Vec<_>>(),
        }));
    }
    Report {
        command: "redrivable",
        fields: [("groups".to_owned(), Value::from(lines))].into_iter().collect(),
        rows: "groups",
        table,
        heading: if groups.is_empty() {
            "Nothing that failed in the last 14 days can be redriven.".to_owned()
        } else {
            String::new()
        },
        footer: sentences(&commands),
    }
}

fn command(row: &ExecutionRow) -> String {
    Command::new("aws stepfunctions redrive-execution")
        .option("--region", &row.region)
        .option("--execution-arn", &row.arn)
        .to_string()
}
