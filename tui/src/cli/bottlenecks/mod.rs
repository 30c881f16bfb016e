//! `bottlenecks`: which states decide how long executions take, and what would help.

mod json;
mod told;

pub(crate) use told::{pattern_sentence, report};

use analyzer::asl::StateMachine;
use analyzer::execution::Run;
use analyzer::model::{Micros, Name, Timestamp};
use analyzer::population::{Findings, Population, StateFinding};
use analyzer::replay::Limits;
use clap::Args;
use queries::{ExecutionFilter, OpenedRow, PathRow, Reader, StateRow};
use serde_json::{Value, json};
use tui::text;

use super::bill::Prices;
use super::coverage::Coverage;
use super::selection::Selection;
use super::show::for_each_run;
use super::states::whole_hours;
use super::{Context, select};
use crate::Outcome;
use crate::failure::Failure;
use crate::report::Report;

#[derive(Args)]
pub(crate) struct BottlenecksArguments {
    /// A state machine: its ARN, its name, or a unique part of it.
    machine: Option<String>,
    /// The ranking alone, from hourly sums: at once, however many executions there are.
    #[arg(long)]
    approximate: bool,
    #[command(flatten)]
    selection: Selection,
}

pub(crate) fn run(context: &Context, arguments: &BottlenecksArguments) -> Outcome {
    found(context, arguments)?.print(context.output)?;
    Ok(0)
}

/// What the command finds.
pub(crate) fn found(context: &Context, arguments: &BottlenecksArguments) -> Result<Report, Failure> {
    let reader = context.reader()?;
    let wanted = select::optional_machine(&reader, arguments.machine.as_deref())?;
    let prices = Prices::new(context)?;
    let (all, (since, until)) = if arguments.approximate {
        let range = arguments.selection.only_range(context)?;
        let hours = whole_hours(range.0, range.1)?;
        let (paths, states) = reader.rolled_up(wanted.as_deref(), hours)?;
        (ranking(&paths, &states), range)
    } else {
        let filter = arguments.selection.filter(context, None)?;
        (
            look(context, &reader, &ExecutionFilter { machine_arn: wanted.clone(), ..filter.clone() })?,
            (filter.since, filter.until),
        )
    };
    let mut told = report(&all, &prices, arguments.approximate);
    Coverage::load(&reader, since, until)?.tell(&reader, &mut told, wanted.as_deref())?;
    Ok(told)
}

/// What every run of a filter says, machine by machine.
pub(crate) fn look(context: &Context, reader: &Reader, filter: &ExecutionFilter) -> Result<Vec<Found>, Failure> {
    let now = context.now()?;
    let mut found = Vec::new();
    for machine in reader.machines(None, None)? {
        if filter.machine_arn.as_deref().is_some_and(|it| it != machine.arn) {
            continue;
        }
        let machine_arn = Some(machine.arn.as_str().into());
        let rows = reader.executions(&ExecutionFilter { machine_arn, ..filter.clone() })?;
        if rows.is_empty() {
            continue;
        }
        let mut population = population(reader, &machine.arn)?;
        let mut open = Vec::new();
        for_each_run(reader, &rows, |_, run| {
            population.add(run);
            if let Some(it) = Open::of(run, now) {
                population.add_open(run, now);
                open.push(it);
            }
            Ok(())
        })?;
        let findings = population.finish();
        open.retain(|it| findings.p99.is_some_and(|p99| it.age > p99));
        open.sort_by_key(|it| std::cmp::Reverse(it.age));
        let opened = reader.opened_children(&machine.arn)?;
        found.push(Found { arn: machine.arn.as_str().into(), findings, stuck: open, opened });
    }
    Ok(found)
}

/// The states by their share of the path alone: from sums, without a look at the runs.
pub(crate) fn ranking(paths: &[PathRow], states: &[StateRow]) -> Vec<Found> {
    let one = |path: &PathRow| {
        let own = states.iter().filter(|it| it.machine_arn == path.machine_arn);
        let arn = Name::from(path.machine_arn.as_str());
        Found { findings: ranked(path, own), arn, stuck: Vec::new(), opened: Vec::new() }
    };
    paths.iter().map(one).collect()
}

/// The ranking of states by their share of the path, without what needs every execution.
fn ranked<'a>(path: &PathRow, states: impl Iterator<Item = &'a StateRow>) -> Findings {
    let state = |it: &StateRow| StateFinding {
        state: it.state.as_str().into(),
        kind: it.kind,
        visits: it.visits,
        failures: it.failures,
        retries: it.retries,
        reruns: it.reruns,
        p50: it.p50,
        p95: it.p95,
        p99: it.p99,
        max: it.max,
        split: it.split,
        critical_total: it.critical,
        share: share(it.critical, path.path),
        ..StateFinding::default()
    };
    Findings {
        executions: usize::try_from(path.complete).unwrap_or(usize::MAX),
        p50: path.p50,
        p95: path.p95,
        p99: path.p99,
        states: states.map(state).collect(),
        ..Findings::default()
    }
}

/// An empty population of a machine, with what its newest definition says.
pub(super) fn population(reader: &Reader, machine_arn: &str) -> Result<Population, Failure> {
    let newest = reader.definitions(machine_arn)?.into_iter().next();
    let machine = newest.and_then(|it| StateMachine::parse(&it).ok());
    Ok(machine.map_or_else(Population::default, |it| Population::of_machine(it.map_limits(), it.timeouts())))
}

/// The limits of the Maps in the machine's newest definition; none without one.
pub(super) fn map_limits(reader: &Reader, machine_arn: &str) -> Result<Limits, Failure> {
    let newest = reader.definitions(machine_arn)?.into_iter().next();
    Ok(newest.and_then(|it| StateMachine::parse(&it).ok()).map_or_else(Limits::new, |it| it.map_limits()))
}

/// What was found about one machine.
pub(crate) struct Found {
    pub(crate) arn: Name,
    pub(crate) findings: Findings,
    /// Executions that have run for longer than 99 % of the machine's own take, the oldest first.
    stuck: Vec<Open>,
    /// What the executions that its states waited for spent their critical paths on.
    opened: Vec<OpenedRow>,
}

/// An execution that has not ended.
struct Open {
    arn: Name,
    age: Micros,
    /// The innermost state it is in, and since when.
    state: Option<(Name, Micros)>,
}

impl Open {
    fn of(run: &Run, now: Timestamp) -> Option<Self> {
        let started = run.execution.started_at.filter(|_| !run.execution.status.is_closed())?;
        let open = run.timeline.visits.iter().rev().find(|it| it.exited_at.is_none());
        let state = open.map(|it| (it.state.clone(), now - it.entered_at));
        Some(Self { arn: run.execution.arn.clone(), age: now - started, state })
    }

    fn to_json(&self, p99: Option<Micros>) -> Value {
        json!({
            "execution_arn": self.arn.as_str(),
            "age_ms": self.age.as_millis(),
            "machine_p99_ms": p99.map(Micros::as_millis),
            "state": self.state.as_ref().map(|it| it.0.as_str()),
            "in_state_ms": self.state.as_ref().map(|it| it.1.as_millis()),
        })
    }

    fn sentence(&self) -> String {
        let state = self
            .state
            .as_ref()
            .map_or_else(String::new, |(state, since)| format!(", the last {} of it in `{state}`", text::span(*since)));
        let name = self.arn.rsplit(':').next().unwrap_or(&self.arn);
        format!("`{name}` has run for {}{state}; 99 % of the machine's executions take less.", text::span(self.age))
    }
}

#[expect(clippy::cast_precision_loss, reason = "shares are fractions")]
fn share(part: Micros, whole: Micros) -> f64 {
    if whole > Micros::ZERO { part.0 as f64 / whole.0 as f64 } else { 0.0 }
}
