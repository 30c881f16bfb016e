//! What needs a look? Asked beside the overview, because it takes longer than that may.

use std::collections::BTreeMap;

use analyzer::model::{Micros, Name, Status, Timestamp, Usd};
use queries::{ExecutionFilter, Reader};
use tui::dash::{ExecutionItem, Findout, Look, LookKind, MachineRef, MoneyItem, TimeRange, View};
use tui::text;

use super::investigate::{DAY, is_within};
use super::load::{add_current_states, item};
use super::loader::Loader;
use crate::cli::cost::{Spending, spending};
use crate::cli::coverage::Coverage;
use crate::cli::{compare, incidents};
use crate::failure::Failure;

/// Executions from which on only the newest days are looked at one by one.
const MANY: u64 = 200_000;
/// Running executions that are looked at: the oldest.
const OPEN: u64 = 1_000;
/// A saving is worth a line from a dollar a month on.
const WORTH: i128 = 1;

pub(super) fn find_out(loader: &Loader, range: TimeRange) -> Result<Findout, Failure> {
    let now = loader.context.now()?;
    let reader = loader.context.reader()?;
    let bounds = range.bounds(now);
    let newest = reader.first_and_last_start()?.1;
    let in_range = reader.machines(bounds.0, bounds.1)?;
    let is_many = in_range.iter().map(|it| it.executions).sum::<u64>() > MANY;
    let last = in_range.iter().filter_map(|it| it.last_at).max();
    let since = if is_many { last.map(|it| Timestamp(it.0 - DAY.0)).max(bounds.0) } else { bounds.0 };
    let machines = spending(&reader, &loader.prices, in_range, bounds, now, !is_many)?;
    // What is slow all the time shows against the day before.
    let before = since.map(|it| Timestamp(it.0 - DAY.0));
    let with_day_before = reader.machines(before, bounds.1)?;
    let coverage = Coverage::load(&reader, bounds.0, bounds.1)?;
    let stuck = stuck(loader, &reader, &machines, newest, now)?;
    let mut looks = Vec::new();
    for it in &machines {
        let machine = MachineRef { arn: it.cost.machine.arn.clone(), name: it.cost.machine.name.clone() };
        let mut changed = Vec::new();
        if let Some(row) = with_day_before.iter().find(|row| row.arn == machine.arn) {
            let mut found = incidents::found_of(&reader, row, (before, bounds.1))?;
            found.retain(|it| is_within(it.incident, since));
            changed = changes(&reader, &machine, found)?;
        }
        let has_failures = changed.iter().any(|it| it.kind == LookKind::Failing);
        looks.extend(changed);
        looks.extend(failing(it, &machine).filter(|_| !has_failures));
        looks.extend(stuck_look(it, &machine, &stuck, (newest, now)));
        looks.extend(unseen(&coverage, &machine));
        looks.extend(saving(it, &machine));
    }
    looks.sort_by_key(|it| it.kind);
    let limits = is_many.then(|| "changes: of the last day alone; savings: `:cost` looks for them".to_owned());
    Ok(Findout { looks, money: machines.into_iter().map(money).collect(), limits })
}

fn money(it: Spending) -> MoneyItem {
    MoneyItem { arn: it.cost.machine.arn, paid: it.cost.actual, per_day: it.per_day, month: it.month }
}

/// The newest change of each kind.
fn changes(reader: &Reader, machine: &MachineRef, mut found: Vec<incidents::Found>) -> Result<Vec<Look>, Failure> {
    let arn = Name::from(machine.arn.as_str());
    found.sort_by_key(|it| std::cmp::Reverse(it.at));
    let mut looks = Vec::new();
    let duration =
        found.iter().find(|it| it.metric == "p95_ms").or_else(|| found.iter().find(|it| it.metric == "p50_ms"));
    for it in duration.into_iter().chain(found.iter().find(|it| it.metric == "failure_rate")) {
        let (name, what) = match it.metric {
            "failure_rate" => (LookKind::Failing, "failures"),
            "p50_ms" => (LookKind::Slower, "p50"),
            _ => (LookKind::Slower, "p95"),
        };
        let kind = if it.after > it.before { name } else { LookKind::Better };
        let (before, after) = (text::measure(it.metric, it.before), text::measure(it.metric, it.after));
        let cause = compare::first_cause(reader, &arn, (it.baseline, it.incident))?;
        looks.push(Look {
            kind,
            machine: machine.clone(),
            what: format!("{what} {after}, was {before}"),
            detail: format!(
                "since {}{}",
                text::day_and_minute(it.at),
                cause.map_or_else(String::new, |it| format!(
                    "   {} {} {} ({:.0} % of it)",
                    it.state,
                    it.what,
                    it.contribution,
                    it.share * 100.0
                ))
            ),
            view: View::Incident,
            ranges: Some((it.baseline, it.incident)),
        });
    }
    Ok(looks)
}

/// Failing all the time, which is no change.
fn failing(it: &Spending, machine: &MachineRef) -> Option<Look> {
    let rate = it.cost.machine.failure_rate;
    let (failed, of) = rate.counts()?;
    (of >= 20 && failed * 20 > of).then(|| Look {
        kind: LookKind::Failing,
        machine: machine.clone(),
        what: format!("{} of all executions fail", text::failure_rate(rate)),
        detail: format!("{} of {}", text::count(failed), text::count(of)),
        view: View::Executions,
        ranges: None,
    })
}

/// What counts as now: of what ended long ago, when it ended.
fn reference(newest: Option<Timestamp>, now: Timestamp) -> Timestamp {
    newest.filter(|it| now - *it > DAY).unwrap_or(now)
}

/// Executions that have run for longer than 99 of 100 of their machine's own take; the oldest first.
fn stuck(
    loader: &Loader,
    reader: &Reader,
    machines: &[Spending],
    newest: Option<Timestamp>,
    now: Timestamp,
) -> Result<Vec<ExecutionItem>, Failure> {
    let filter = ExecutionFilter {
        status: Some(Status::Running),
        limit: Some(OPEN),
        is_oldest_first: true,
        ..ExecutionFilter::default()
    };
    let p99: BTreeMap<&str, Micros> =
        machines.iter().filter_map(|it| Some((it.cost.machine.arn.as_str(), it.cost.machine.p99?))).collect();
    let now = reference(newest, now);
    let is_old = |it: &ExecutionItem| {
        it.started_at.zip(p99.get(it.machine.arn.as_str())).is_some_and(|(at, p99)| now - at > *p99)
    };
    let mut items: Vec<ExecutionItem> =
        reader.executions(&filter)?.into_iter().map(|row| item(loader, row)).filter(is_old).collect();
    items.sort_by_key(|it| it.started_at);
    add_current_states(reader, &mut items)?;
    Ok(items)
}

fn stuck_look(
    it: &Spending,
    machine: &MachineRef,
    stuck: &[ExecutionItem],
    (newest, now): (Option<Timestamp>, Timestamp),
) -> Option<Look> {
    let own: Vec<&ExecutionItem> = stuck.iter().filter(|it| it.machine == *machine).collect();
    let oldest = own.first()?;
    let state = oldest.current.first().map_or_else(String::new, |it| format!(" in {it}"));
    // Of what was heard of last long ago, nobody knows whether it still runs.
    let seen = reference(newest, now);
    let age = oldest.started_at.map(|at| seen - at);
    let (kind, what) = match (seen == now, own.len()) {
        (true, 1) => (LookKind::Stuck, format!("1 run is stuck{state}")),
        (true, n) => (LookKind::Stuck, format!("{n} runs are stuck{state}")),
        (false, 1) => (LookKind::Unseen, format!("the end of 1 run is not known{state}")),
        (false, n) => (LookKind::Unseen, format!("the end of {n} runs is not known{state}")),
    };
    Some(Look {
        kind,
        machine: machine.clone(),
        what,
        detail: format!("{}; its own p99 is {}", text::opt_span(age), text::opt_span(it.cost.machine.p99)),
        view: View::Executions,
        ranges: None,
    })
}

fn unseen(coverage: &Coverage, machine: &MachineRef) -> Option<Look> {
    let (seen, started) = coverage.counted(&machine.arn)?;
    (seen * 20 < started * 19).then(|| Look {
        kind: LookKind::Unseen,
        machine: machine.clone(),
        what: format!("only {} is known in full", text::percent(seen, started)),
        detail: format!("CloudWatch counted {} executions", text::count(started)),
        view: View::Collector,
        ranges: None,
    })
}

fn saving(it: &Spending, machine: &MachineRef) -> Option<Look> {
    let (usd, how) = it.saving.as_ref()?;
    let least = Usd::parse(&WORTH.to_string())?;
    (*usd >= least).then(|| Look {
        kind: LookKind::Money,
        machine: machine.clone(),
        what: format!("{} a month can be saved", text::amount(*usd)),
        detail: how.clone(),
        view: View::Cost,
        ranges: None,
    })
}
