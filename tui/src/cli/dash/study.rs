//! A machine as its runs show it, and what-if on them.

use std::sync::{Arc, Mutex, PoisonError};

use analyzer::asl::StateMachine;
use analyzer::model::{Micros, Name, Timestamp, WorkflowType};
use analyzer::outcome::{Rehearsal, Side};
use analyzer::population::{Findings, Population, StateFinding};
use analyzer::pricing::billed_memory_mb;
use analyzer::what_if::Scenario;
use queries::{ExecutionFilter, Hours, PathRow, Reader, Runs, StateRow, VersionRow};
use tui::dash::{Effects, MachineRef, StateItem, Study, TimeRange, VersionItem};

use super::loader::Loader;
use crate::cli::bill::BASE_MEMORY;
use crate::cli::bottlenecks::pattern_sentence;
use crate::cli::show::for_each_run;
use crate::failure::Failure;

/// Executions that are replayed: from all over the range.
const SAMPLE: u64 = 2_000;
/// With more executions than this, figures are within one percent, from the sums of whole hours.
const FEW: u64 = 100_000;

type Range = (Option<Timestamp>, Option<Timestamp>);

/// The runs of the machine that was looked at last, ready to be played again.
#[derive(Clone, Default)]
pub(super) struct Rehearsals(Arc<Mutex<Option<Prepared>>>);

struct Prepared {
    machine_arn: String,
    range: Range,
    is_express: bool,
    rehearsal: Rehearsal,
}

pub(super) fn study(loader: &Loader, reader: &Reader, machine: &MachineRef, range: Range) -> Result<Study, Failure> {
    let newest = reader.definitions(&machine.arn)?.into_iter().next();
    let definition = newest.and_then(|it| StateMachine::parse(&it).ok());
    let limits = definition.as_ref().map(StateMachine::map_limits).unwrap_or_default();
    let timeouts = definition.as_ref().map(StateMachine::timeouts).unwrap_or_default();
    let filter = ExecutionFilter {
        machine_arn: Some(Name::from(machine.arn.as_str())),
        since: range.0,
        until: range.1,
        limit: Some(SAMPLE),
        is_spread: true,
        ..ExecutionFilter::default()
    };
    let rows = reader.executions(&filter)?;
    let mut population = Population::of_machine(limits.clone(), timeouts);
    let mut rehearsal = Rehearsal::new(limits, billed_memory_mb(BASE_MEMORY));
    for_each_run(reader, &rows, |_, run| {
        population.add(run);
        rehearsal.add(run);
        Ok(())
    })?;
    let is_express = rows.first().is_some_and(|it| it.workflow_type == WorkflowType::Express);
    let prepared = Prepared { machine_arn: machine.arn.clone(), range, is_express, rehearsal };
    *loader.rehearsals.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(prepared);
    let mut findings = population.finish();
    let of =
        reader.machines(range.0, range.1)?.into_iter().find(|it| it.arn == machine.arn).map_or(0, |it| it.executions);
    let hours = Hours::around(range.0, range.1);
    let is_exact = of <= FEW;
    let (paths, states) = if is_exact {
        let runs = Runs { machine: Some(machine.arn.clone()), since: range.0, until: range.1, ids: None };
        (reader.paths(&runs)?, reader.states(&runs)?)
    } else {
        reader.rolled_up(Some(&machine.arn), hours)?
    };
    let histograms = reader.rolled_up_histograms(&machine.arn, hours)?;
    // The sample says what would help; how long executions take, and what they spend it on, all of the range say.
    if let Some(path) = paths.first() {
        rest_on_all(&mut findings, path, &states);
    }
    let path = paths.first().map_or(Micros::ZERO, |it| it.path);
    let state = |it: StateRow| {
        let histogram = histograms.iter().find(|row| row.state == it.state);
        let histogram = histogram.map(|row| row.buckets.clone()).unwrap_or_default();
        // An Express machine pays by time, not by transitions.
        let usd = if is_express { None } else { loader.prices.transitions(&machine.arn, it.transitions()) };
        StateItem { usd, ..state_item(it, path, histogram) }
    };
    Ok(Study {
        definition,
        patterns: findings.patterns.iter().map(pattern_sentence).collect(),
        sampled: findings.executions as u64,
        findings,
        of,
        is_cut: rows.len() as u64 >= SAMPLE,
        is_of_whole_hours: Hours::of(range.0, range.1).is_none() && !is_exact,
        is_express,
        states: states.into_iter().map(state).collect(),
        versions: reader.versions(&machine.arn)?.iter().map(version_item).collect(),
    })
}

/// Puts the figures of all executions in the place of the sample's.
#[expect(clippy::cast_precision_loss, reason = "a share")]
fn rest_on_all(findings: &mut Findings, path: &PathRow, states: &[StateRow]) {
    (findings.p50, findings.p95, findings.p99) = (path.p50, path.p95, path.p99);
    for row in states {
        let known = findings.states.iter().position(|it| *it.state == *row.state).unwrap_or_else(|| {
            findings.states.push(StateFinding { state: row.state.as_str().into(), ..StateFinding::default() });
            findings.states.len() - 1
        });
        let it = &mut findings.states[known];
        it.kind = it.kind.or(row.kind);
        (it.visits, it.failures, it.retries) = (row.visits, row.failures, row.retries);
        (it.p50, it.p95, it.p99, it.max) = (row.p50, row.p95, row.p99, row.max);
        (it.split, it.critical_total) = (row.split, row.critical);
        it.share = if path.path > Micros::ZERO { row.critical.0 as f64 / path.path.0 as f64 } else { 0.0 };
    }
    findings.states.sort_by(|a, b| b.share.total_cmp(&a.share));
}

#[expect(clippy::cast_precision_loss, reason = "a share")]
fn state_item(it: StateRow, path: Micros, histogram: Vec<(Micros, u64)>) -> StateItem {
    StateItem {
        kind: it.kind,
        visits: it.visits,
        failures: it.failures,
        retries: it.retries,
        p50: it.p50,
        p95: it.p95,
        p99: it.p99,
        max: it.max,
        critical: it.critical,
        share: if path > Micros::ZERO { it.critical.0 as f64 / path.0 as f64 } else { 0.0 },
        split: it.split,
        usd: None,
        state: it.state,
        histogram,
    }
}

fn version_item(it: &VersionRow) -> VersionItem {
    let name = it.version_arn.as_deref().map_or("none named", |it| it.rsplit(':').next().unwrap_or(it)).to_owned();
    VersionItem { name, executions: it.executions, failed: it.failed, first_at: it.first_at, p50: it.p50, p95: it.p95 }
}

/// Plays the runs again with something changed.
pub(super) fn simulate(
    loader: &Loader,
    machine: &MachineRef,
    range: TimeRange,
    scenario: &Scenario,
) -> Result<Effects, Failure> {
    let range = range.bounds_of_minute(loader.context.now()?);
    let is_ready =
        |it: &Option<Prepared>| it.as_ref().is_some_and(|it| it.machine_arn == machine.arn && it.range == range);
    let lock = || loader.rehearsals.0.lock().unwrap_or_else(PoisonError::into_inner);
    if !is_ready(&lock()) {
        study(loader, &loader.context.reader()?, machine, range)?;
    }
    let mut prepared = lock();
    // Somebody may have looked at another machine in the meantime.
    if !is_ready(&prepared) {
        return Err(Failure::new("the runs are not ready: r loads them"));
    }
    let Some(prepared) = prepared.as_mut() else { return Err(Failure::new("the runs are not ready")) };
    let (before, after, unplayed) = prepared.rehearsal.play(scenario);
    let price = |side: &Side| {
        if prepared.is_express {
            loader.prices.express(&machine.arn, side.usage)
        } else {
            loader.prices.transitions(&machine.arn, side.transitions)
        }
    };
    Ok(Effects {
        usd_before: price(&before),
        usd_after: price(&after),
        before: before.distribution(),
        after: after.distribution(),
        left_out: prepared.rehearsal.unmodelled + unplayed,
    })
}
