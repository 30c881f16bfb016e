//! What each day's transitions cost: by the day on which they were made, as AWS bills them. Express is billed by the start of the execution.

use std::collections::BTreeMap;

use analyzer::model::{Usd, WorkflowType};
use analyzer::pricing::ExpressUsage;

use super::ledger::{Kind, Ledger, Swapped};
use super::runs::day;
use crate::failure::Failure;

/// A machine's usage of one day.
#[derive(Clone, Debug)]
pub(crate) struct DayLine {
    pub(crate) machine_arn: String,
    /// `None` where the instant is not known.
    pub(crate) day: Option<String>,
    /// Executions that started on it.
    pub(crate) executions: u64,
    pub(crate) transitions: u64,
    pub(crate) usage: ExpressUsage,
    /// `None` where the region has no known price.
    pub(crate) paid: Option<Usd>,
    /// What was paid for the memory-time of Express executions.
    pub(crate) duration: Option<Usd>,
}

#[derive(Default)]
struct Counted {
    executions: u64,
    transitions: u64,
}

/// The selection of a ledger by usage day.
pub(crate) fn by_usage_day(ledger: &Ledger<'_>) -> Result<Vec<DayLine>, Failure> {
    let mut counted = transitions(ledger)?;
    let mut lines = Vec::new();
    for ((arn, day), line) in ledger.by_key("day", &Swapped::new())? {
        let Some(machine) = ledger.machines.get(&arn) else { continue };
        if machine.workflow_type == WorkflowType::Standard {
            let it = counted.entry((arn, day.clone())).or_default();
            it.executions += line.executions;
            let book = day.as_deref().map_or(ledger.prices.book(), |it| ledger.prices.book_of_day(it));
            it.transitions += book.extra_transitions * line.executions;
            continue;
        }
        let bill = line.express;
        lines.push(DayLine {
            machine_arn: arn,
            day,
            executions: line.executions,
            transitions: line.transitions,
            usage: line.usage,
            paid: bill.map(|it| it.total()),
            duration: bill.map(|it| it.duration),
        });
    }
    let mut free: BTreeMap<(String, Option<String>), Usd> = BTreeMap::new();
    for it in ledger.exceptions(&Swapped::new())?.into_iter().filter(|it| it.kind == Kind::Free) {
        *free.entry((it.of.machine_arn.to_string(), Some(day(it.at)))).or_default() += it.usd;
    }
    for (key, it) in counted {
        let Some(machine) = ledger.machines.get(&key.0) else { continue };
        let book = key.1.as_deref().map_or(ledger.prices.book(), |it| ledger.prices.book_of_day(it));
        let rate = book.standard(ledger.prices.region(&machine.region).0).map(|it| it.per_transition);
        let list = rate.map(|rate| rate * it.transitions);
        let free = free.get(&key).copied().unwrap_or_default();
        lines.push(DayLine {
            machine_arn: key.0,
            day: key.1,
            executions: it.executions,
            transitions: it.transitions,
            usage: ExpressUsage::default(),
            paid: list.map(|it| it - free),
            duration: None,
        });
    }
    lines.sort_by(|a, b| (&a.machine_arn, &a.day).cmp(&(&b.machine_arn, &b.day)));
    Ok(lines)
}

/// Transitions by machine and day, without those that starts bill by themselves: sums of executions within one day, and the others one by one.
fn transitions(ledger: &Ledger<'_>) -> Result<BTreeMap<(String, Option<String>), Counted>, Failure> {
    let (since, until) = ledger.range;
    let mut counted: BTreeMap<(String, Option<String>), Counted> = BTreeMap::new();
    for it in ledger.reader.whole_days(ledger.range, !ledger.is_of_starts)? {
        counted.entry((it.machine_arn, Some(it.day))).or_default().transitions += it.transitions;
    }
    let ids = ledger.reader.parts_of_days(ledger.range, ledger.is_of_starts)?;
    ledger.runs.for_each(&ids, |it| {
        for (at, ..) in &it.billed {
            let is_within = since.is_none_or(|since| *at >= since) && until.is_none_or(|until| *at < until);
            if ledger.is_of_starts || is_within {
                counted.entry((it.of.machine_arn.to_string(), Some(day(*at)))).or_default().transitions += 1;
            }
        }
    })?;
    counted.retain(|(arn, _), _| ledger.machines.get(arn).is_some_and(|it| it.workflow_type == WorkflowType::Standard));
    Ok(counted)
}
