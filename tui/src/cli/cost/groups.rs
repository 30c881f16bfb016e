//! `--by`: what was paid, split by day, error, path and so on. The parts add up to it.

use std::collections::BTreeMap;

use analyzer::model::{Timestamp, Usd, WorkflowType};
use analyzer::pricing::rounded_to_add_up;
use queries::{Reader, StateTransitions, Usage};
use serde_json::{Value, json};
use tui::text;

use super::advice::Advice;
use super::advice::memory_time;
use crate::cli::bill::{MachineCost, number};
use crate::failure::Failure;
use crate::report::{Report, TextTable};

#[derive(Clone, PartialEq, Eq)]
pub(super) enum GroupBy {
    State,
    Day,
    Error,
    Version,
    Path,
    Account,
    Region,
    /// The value of a tag of the machine.
    Tag(String),
}

impl std::str::FromStr for GroupBy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let simple = [Self::State, Self::Day, Self::Error, Self::Version, Self::Path, Self::Account, Self::Region];
        if let Some(key) = text.strip_prefix("tag:").filter(|it| !it.is_empty()) {
            return Ok(Self::Tag(key.to_owned()));
        }
        let found = simple.into_iter().find(|it| it.as_str() == text);
        found.ok_or_else(|| "use state, day, error, version, path, account, region or tag:KEY".to_owned())
    }
}

impl GroupBy {
    fn as_str(&self) -> &str {
        match self {
            Self::State => "state",
            Self::Day => "day",
            Self::Error => "error",
            Self::Version => "version",
            Self::Path => "path",
            Self::Account => "account",
            Self::Region => "region",
            Self::Tag(key) => key,
        }
    }
}

/// The usage of each group; states have their own report.
pub(super) fn groups(
    reader: &Reader,
    by: &GroupBy,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<Vec<Usage>, Failure> {
    match by {
        GroupBy::State => Ok(Vec::new()),
        GroupBy::Tag(key) => {
            let values = reader.tag_values(key)?;
            let mut groups = reader.cost_groups(GroupBy::Account.as_str(), since, until)?;
            for it in &mut groups {
                it.key = values.iter().find(|(arn, _)| *arn == it.machine_arn).map(|it| it.1.clone());
            }
            Ok(groups)
        }
        other => Ok(reader.cost_groups(other.as_str(), since, until)?),
    }
}

/// Puts the groups into the report: under each machine in the JSON, as the table for people.
pub(super) fn add(
    report: &mut Report,
    all: &[(MachineCost, Advice)],
    by: &GroupBy,
    groups: &[Usage],
    states: &[StateTransitions],
) {
    let mut table =
        TextTable::with_columns(&["machine", by.as_str(), "#executions", "#transitions", "#paid", "#share"]);
    let mut totals: BTreeMap<Option<String>, Total> = BTreeMap::new();
    let Some(Value::Array(machines)) = report.fields.get_mut("machines") else { return };
    for (machine, (it, _)) in machines.iter_mut().zip(all) {
        let own: Vec<Usage> = if *by == GroupBy::State {
            let own = states.iter().filter(|row| row.machine_arn == it.machine.arn);
            own.map(of_state).collect()
        } else {
            groups.iter().filter(|row| row.machine_arn == it.machine.arn).cloned().collect()
        };
        let amounts = shares(it, &own);
        let total: u64 = own.iter().map(|it| it.transitions).sum();
        for (row, usd) in own.iter().zip(&amounts) {
            totals.entry(row.key.clone()).or_default().add(row, *usd);
            table.rows.push(vec![
                text::cut(&it.machine.name, 28),
                row.key.as_deref().map_or_else(|| "–".to_owned(), |it| text::cut(it, 60)),
                if *by == GroupBy::State { "–".to_owned() } else { text::count(row.executions) },
                text::count(row.transitions),
                usd.map_or_else(|| "not known".to_owned(), text::usd),
                text::percent(row.transitions, total),
            ]);
        }
        let line = |(row, usd): (&Usage, &Option<Usd>)| {
            let executions = (*by != GroupBy::State).then_some(row.executions);
            json!({by.as_str(): row.key, "executions": executions, "transitions": row.transitions, "usd": usd.map(number)})
        };
        machine["groups"] = own.iter().zip(&amounts).map(line).collect();
        machine["group_by"] = by.as_str().into();
    }
    if matches!(by, GroupBy::Tag(_)) {
        // A tag has one value in many machines.
        table = table_of_totals(by, &totals);
        let all: Option<Usd> = totals.values().map(|it| it.usd).sum();
        let groups = totals.iter().map(|(key, it)| it.to_json(by, key.as_deref(), all)).collect();
        report.fields.insert("groups".to_owned(), groups);
    }
    report.table = table;
}

/// A group over all machines.
#[derive(Default)]
struct Total {
    machines: u64,
    executions: u64,
    transitions: u64,
    /// `None` once a part of it is not known.
    usd: Option<Usd>,
    is_begun: bool,
}

impl Total {
    fn add(&mut self, row: &Usage, usd: Option<Usd>) {
        self.machines += 1;
        self.executions += row.executions;
        self.transitions += row.transitions;
        let before = if self.is_begun { self.usd } else { Some(Usd::ZERO) };
        self.usd = before.zip(usd).map(|(a, b)| a + b);
        self.is_begun = true;
    }

    fn to_json(&self, by: &GroupBy, key: Option<&str>, all: Option<Usd>) -> Value {
        let executions = (*by != GroupBy::State).then_some(self.executions);
        json!({
            by.as_str(): key, "machines": self.machines, "executions": executions, "transitions": self.transitions,
            "usd": self.usd.map(number), "share": self.usd.zip(all).and_then(|(part, all)| share(part, all)),
        })
    }
}

fn share(part: Usd, all: Usd) -> Option<f64> {
    (all > Usd::ZERO).then(|| part.as_f64() / all.as_f64())
}

/// What was paid by the value of a tag; what has no such tag comes last.
fn table_of_totals(by: &GroupBy, totals: &BTreeMap<Option<String>, Total>) -> TextTable {
    let mut table = TextTable::with_columns(&[by.as_str(), "#machines", "#executions", "#transitions", "#paid"]);
    let tagged = totals.iter().filter(|it| it.0.is_some());
    for (key, it) in tagged.chain(totals.iter().filter(|it| it.0.is_none())) {
        table.rows.push(vec![
            key.as_deref().map_or_else(|| "untagged".to_owned(), |it| text::cut(it, 60)),
            text::count(it.machines),
            text::count(it.executions),
            text::count(it.transitions),
            it.usd.map_or_else(|| "not known".to_owned(), text::usd),
        ]);
    }
    table
}

fn of_state(row: &StateTransitions) -> Usage {
    Usage {
        machine_arn: row.machine_arn.clone(),
        key: Some(row.state.clone()),
        executions: 0,
        transitions: row.transitions,
        // The memory is one for all states of a run, so path time shares its duration.
        mb_ms: row.critical.0.max(0).unsigned_abs(),
    }
}

/// What was paid for each group, rounded so that the parts add up: a Standard machine's by transitions, an Express one's
/// requests by executions and its duration by memory-time.
pub(super) fn shares(it: &MachineCost, rows: &[Usage]) -> Vec<Option<Usd>> {
    let Some(paid) = it.actual else { return vec![None; rows.len()] };
    let total = |of: fn(&Usage) -> u128| rows.iter().map(of).sum::<u128>().max(1);
    let by_transitions = |row: &Usage| paid.scaled(row.transitions.into(), total(|it| it.transitions.into()));
    let parts: Vec<Usd> = match (it.machine.workflow_type, it.express) {
        // States have no executions of their own: their path time stands for requests, too.
        (WorkflowType::Express, _)
            if rows.iter().all(|it| it.executions == 0) && rows.iter().any(|it| it.mb_ms > 0) =>
        {
            rows.iter().map(|row| paid.scaled(row.mb_ms.into(), total(|it| it.mb_ms.into()))).collect()
        }
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
