//! `--by`: what was paid, split by day, error, path and so on. The parts add up to it.

use analyzer::model::{Timestamp, Usd, WorkflowType};
use analyzer::pricing::rounded_to_add_up;
use clap::ValueEnum;
use queries::{Reader, StateTransitions, Usage};
use serde_json::{Value, json};
use tui::text;

use super::advice::Advice;
use super::advice::memory_time;
use crate::cli::bill::{MachineCost, number};
use crate::failure::Failure;
use crate::report::{Report, TextTable};

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum GroupBy {
    State,
    Day,
    Error,
    Version,
    Path,
    Account,
    Region,
}

impl GroupBy {
    fn as_str(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Day => "day",
            Self::Error => "error",
            Self::Version => "version",
            Self::Path => "path",
            Self::Account => "account",
            Self::Region => "region",
        }
    }
}

/// The usage of each group; states have their own report.
pub(super) fn groups(
    reader: &Reader,
    by: GroupBy,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<Vec<Usage>, Failure> {
    if by == GroupBy::State {
        return Ok(Vec::new());
    }
    Ok(reader.cost_groups(by.as_str(), since, until)?)
}

/// Puts the groups into the report: under each machine in the JSON, as the table for people.
pub(super) fn add(
    report: &mut Report,
    all: &[(MachineCost, Advice)],
    by: GroupBy,
    groups: &[Usage],
    states: &[StateTransitions],
) {
    let mut table =
        TextTable::with_columns(&["machine", by.as_str(), "#executions", "#transitions", "#paid", "#share"]);
    let Some(Value::Array(machines)) = report.fields.get_mut("machines") else { return };
    for (machine, (it, _)) in machines.iter_mut().zip(all) {
        let own: Vec<Usage> = if by == GroupBy::State {
            let own = states.iter().filter(|row| row.machine_arn == it.machine.arn);
            own.map(of_state).collect()
        } else {
            groups.iter().filter(|row| row.machine_arn == it.machine.arn).cloned().collect()
        };
        let amounts = shares(it, &own);
        let total: u64 = own.iter().map(|it| it.transitions).sum();
        for (row, usd) in own.iter().zip(&amounts) {
            table.rows.push(vec![
                text::cut(&it.machine.name, 28),
                row.key.as_deref().map_or_else(|| "–".to_owned(), |it| text::cut(it, 60)),
                if by == GroupBy::State { "–".to_owned() } else { text::count(row.executions) },
                text::count(row.transitions),
                usd.map_or_else(|| "not known".to_owned(), text::usd),
                text::percent(row.transitions, total),
            ]);
        }
        let line = |(row, usd): (&Usage, &Option<Usd>)| {
            let executions = (by != GroupBy::State).then_some(row.executions);
            json!({by.as_str(): row.key, "executions": executions, "transitions": row.transitions, "usd": usd.map(number)})
        };
        machine["groups"] = own.iter().zip(&amounts).map(line).collect();
        machine["group_by"] = by.as_str().into();
    }
    report.table = table;
}

fn of_state(row: &StateTransitions) -> Usage {
    Usage {
        machine_arn: row.machine_arn.clone(),
        key: Some(row.state.clone()),
        executions: 0,
        transitions: row.transitions,
        mb_ms: 0,
    }
}

/// What was paid for each group, rounded so that the parts add up: a Standard machine's by transitions, an Express one's
/// requests by executions and its duration by memory-time.
fn shares(it: &MachineCost, rows: &[Usage]) -> Vec<Option<Usd>> {
    let Some(paid) = it.actual else { return vec![None; rows.len()] };
    let total = |of: fn(&Usage) -> u128| rows.iter().map(of).sum::<u128>().max(1);
    let by_transitions = |row: &Usage| paid.scaled(row.transitions.into(), total(|it| it.transitions.into()));
    let parts: Vec<Usd> = match (it.machine.workflow_type, it.express) {
        (WorkflowType::Express, Some(bill)) if rows.iter().any(|it| it.mb_ms > 0) => rows
            .iter()
            .map(|row| {
                bill.requests.scaled(row.executions.into(), total(|it| it.executions.into()))
                    + bill.duration.scaled(memory_time(row).0, total(|it| memory_time(it).0))
            })
            .collect(),
        _ => rows.iter().map(by_transitions).collect(),
    };
    rounded_to_add_up(&parts).into_iter().map(Some).collect()
}
