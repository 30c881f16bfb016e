//! `--by`: what was paid, split by day, error, path and so on. The parts add up to it, to the attodollar.

use std::collections::BTreeMap;

use analyzer::model::{Usd, WorkflowType};
use analyzer::pricing::{rounded_to_add_up, shared_out};
use queries::StateTransitions;
use serde_json::{Value, json};
use tui::text;

use super::advice::{Advice, Adviser};
use crate::cli::bill::{Ledger, MachineCost, Swapped, by_usage_day, number};
use crate::failure::Failure;
use crate::report::{Report, TextTable};

#[derive(Clone, PartialEq, Eq)]
pub(super) enum GroupBy {
    State,
    /// The day on which an execution started.
    Day,
    /// The day on which a transition was made.
    UsageDay,
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
        let simple = [
            Self::State,
            Self::Day,
            Self::UsageDay,
            Self::Error,
            Self::Version,
            Self::Path,
            Self::Account,
            Self::Region,
        ];
        if let Some(key) = text.strip_prefix("tag:").filter(|it| !it.is_empty()) {
            return Ok(Self::Tag(key.to_owned()));
        }
        let found = simple.into_iter().find(|it| it.as_str() == text);
        found.ok_or_else(|| "use state, day, usage-day, error, version, path, account, region or tag:KEY".to_owned())
    }
}

impl GroupBy {
    fn as_str(&self) -> &str {
        match self {
            Self::State => "state",
            Self::Day => "day",
            Self::UsageDay => "usage-day",
            Self::Error => "error",
            Self::Version => "version",
            Self::Path => "path",
            Self::Account => "account",
            Self::Region => "region",
            Self::Tag(key) => key,
        }
    }

    /// The key of a group in JSON.
    fn key(&self) -> &str {
        if *self == Self::UsageDay { "usage_day" } else { self.as_str() }
    }

    /// What decides which day something belongs to.
    fn counted_by(&self) -> &'static str {
        if *self == Self::UsageDay { "event" } else { "start" }
    }
}

/// What one machine paid under one key.
pub(super) struct Group {
    machine_arn: String,
    key: Option<String>,
    /// `None` of states, which have none of their own.
    executions: Option<u64>,
    transitions: u64,
    usd: Option<Usd>,
}

/// The groups of every machine.
pub(super) fn groups(by: &GroupBy, adviser: &Adviser<'_>, all: &[MachineCost]) -> Result<Vec<Group>, Failure> {
    let ledger = adviser.ledger;
    Ok(match by {
        GroupBy::State => {
            let paid = ledger.by_state()?;
            all.iter().flat_map(|it| states_of(it, &adviser.states, &paid)).collect()
        }
        GroupBy::UsageDay => by_usage_day(ledger)?
            .into_iter()
            .map(|it| Group {
                machine_arn: it.machine_arn,
                key: it.day,
                executions: Some(it.executions),
                transitions: it.transitions,
                usd: it.paid,
            })
            .collect(),
        GroupBy::Tag(key) => {
            let values = ledger.reader.tag_values(key)?;
            let mut groups = by_key(ledger, "machine", all)?;
            for it in &mut groups {
                it.key = values.iter().find(|(arn, _)| *arn == it.machine_arn).map(|it| it.1.clone());
            }
            groups
        }
        other => by_key(ledger, other.as_str(), all)?,
    })
}

fn by_key(ledger: &Ledger<'_>, key: &str, all: &[MachineCost]) -> Result<Vec<Group>, Failure> {
    let types: BTreeMap<&str, &MachineCost> = all.iter().map(|it| (it.machine.arn.as_str(), it)).collect();
    let group = |((machine_arn, key), line): ((String, Option<String>), crate::cli::bill::Line)| {
        let it = types.get(machine_arn.as_str())?;
        let paid = match it.machine.workflow_type {
            WorkflowType::Standard => line.standard.map(|it| it.net()),
            WorkflowType::Express => line.express.map(|it| it.total()),
        };
        Some(Group {
            // What of the whole is not known is not known of its parts.
            usd: it.actual.and(paid),
            machine_arn,
            key,
            executions: Some(line.executions),
            transitions: line.transitions,
        })
    };
    Ok(ledger.by_key(key, &Swapped::new())?.into_iter().filter_map(group).collect())
}

/// What each state was paid for: a Standard machine's by its transitions, an Express one's by its path time. What no visible state billed
/// has no key.
pub(super) fn states_of(
    it: &MachineCost,
    states: &[StateTransitions],
    paid: &BTreeMap<(String, String), Usd>,
) -> Vec<Group> {
    let own: Vec<&StateTransitions> = states.iter().filter(|state| state.machine_arn == it.machine.arn).collect();
    let rest = it.transitions.saturating_sub(own.iter().map(|it| it.transitions).sum());
    let is_express = it.machine.workflow_type == WorkflowType::Express;
    let path_time = |it: &StateTransitions| u128::from(it.critical.0.max(0).unsigned_abs());
    let has_path = own.iter().any(|it| path_time(it) > 0);
    let mut parts: Vec<Option<Usd>> = if is_express {
        // Without any path, by transitions: the rest has its share then.
        let weight = |it: &&StateTransitions| if has_path { path_time(it) } else { it.transitions.into() };
        let weights: Vec<u128> =
            own.iter().map(weight).chain((rest > 0).then_some(if has_path { 0 } else { rest.into() })).collect();
        it.actual.map_or_else(
            || vec![None; weights.len()],
            |paid| shared_out(paid, &weights).into_iter().map(Some).collect(),
        )
    } else {
        let of = |state: &&StateTransitions| {
            it.actual.and_then(|_| paid.get(&(state.machine_arn.clone(), state.state.clone())).copied())
        };
        own.iter().map(of).collect()
    };
    if !is_express && rest > 0 {
        let visible: Usd = parts.iter().flatten().copied().sum();
        parts.push(it.actual.map(|paid| paid - visible));
    }
    let group = |(key, transitions, usd)| Group {
        machine_arn: it.machine.arn.clone(),
        key,
        executions: None,
        transitions,
        usd,
    };
    let keys = own.iter().map(|it| (Some(it.state.clone()), it.transitions)).chain((rest > 0).then_some((None, rest)));
    keys.zip(parts).map(|((key, transitions), usd)| group((key, transitions, usd))).collect()
}

impl Group {
    /// The state, the day, or whatever it is grouped by.
    pub(super) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    pub(super) fn is_of(&self, machine_arn: &str) -> bool {
        self.machine_arn == machine_arn
    }

    pub(super) fn transitions(&self) -> u64 {
        self.transitions
    }

    pub(super) fn usd(&self) -> Option<Usd> {
        self.usd
    }
}

/// Puts the groups into the report: under each machine in the JSON, as the table for people.
pub(super) fn add(report: &mut Report, all: &[(MachineCost, Advice)], by: &GroupBy, groups: &[Group]) {
    let mut table =
        TextTable::with_columns(&["machine", by.as_str(), "#executions", "#transitions", "#paid", "#share"]);
    let mut totals: BTreeMap<Option<String>, Total> = BTreeMap::new();
    let Some(Value::Array(machines)) = report.fields.get_mut("machines") else { return };
    for (machine, (it, _)) in machines.iter_mut().zip(all) {
        let own: Vec<&Group> = groups.iter().filter(|row| row.machine_arn == it.machine.arn).collect();
        let total: u64 = own.iter().map(|it| it.transitions).sum();
        let known: Option<Vec<Usd>> = own.iter().map(|it| it.usd).collect();
        // The table is rounded so that what it shows adds up.
        let shown = known.map(|it| rounded_to_add_up(&it));
        for (place, row) in own.iter().enumerate() {
            totals.entry(row.key.clone()).or_default().add(row);
            let usd = shown.as_ref().map_or(row.usd, |it| Some(it[place]));
            table.rows.push(vec![
                text::cut(&it.machine.name, 28),
                row.key.as_deref().map_or_else(|| "–".to_owned(), |it| text::cut(it, 60)),
                row.executions.map_or_else(|| "–".to_owned(), text::count),
                text::count(row.transitions),
                usd.map_or_else(|| "not known".to_owned(), text::usd),
                text::percent(row.transitions, total),
            ]);
        }
        let line = |row: &&Group| json!({by.key(): row.key, "executions": row.executions, "transitions": row.transitions, "usd": row.usd.map(number)});
        machine["groups"] = own.iter().map(line).collect();
        machine["group_by"] = by.key().into();
    }
    report.fields.insert("grouped_by_time_of".to_owned(), by.counted_by().into());
    if *by == GroupBy::UsageDay {
        report.footer +=
            "\nA usage day is that of the transition itself, of Express that of the start of the execution.";
    } else if *by == GroupBy::Day {
        report.footer += "\nA day is that of the start of the execution; `--by usage-day` has that of each transition.";
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
    fn add(&mut self, row: &Group) {
        self.machines += 1;
        self.executions += row.executions.unwrap_or(0);
        self.transitions += row.transitions;
        let before = if self.is_begun { self.usd } else { Some(Usd::ZERO) };
        self.usd = before.zip(row.usd).map(|(a, b)| a + b);
        self.is_begun = true;
    }

    fn to_json(&self, by: &GroupBy, key: Option<&str>, all: Option<Usd>) -> Value {
        let executions = (*by != GroupBy::State).then_some(self.executions);
        json!({
            by.key(): key, "machines": self.machines, "executions": executions, "transitions": self.transitions,
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
