//! `measure`: how fast the analysis and the dashboard themselves are, for benchmarks.

mod frames;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use analyzer::change_point::change_points;
use analyzer::critical_path::critical_path;
use analyzer::execution::Run;
use analyzer::model::{Event, ExecutionRecord, Interner, Micros, Name, Observation};
use analyzer::outcome::Outcomes;
use analyzer::replay::Limits;
use analyzer::timeline::{Category, Timeline, Visit};
use analyzer::what_if::Scenario;
use clap::{Args, Subcommand};
use collector::synthetic::{Workload, demo, observations, twenty_states};
use serde_json::{Value, json};

use super::Context;
use super::whatif::FACTORS;
use crate::Outcome;
use crate::failure::Failure;

const END_MS: i64 = 1_793_491_200_000;

#[derive(Args)]
pub(crate) struct MeasureArguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Timelines and critical paths of the demo's executions, on one thread.
    Path {
        #[arg(long, default_value_t = 20_000)]
        executions: u64,
        /// Writes the same executions as Jaeger traces, one a line.
        #[arg(long)]
        jaeger: Option<PathBuf>,
    },
    /// The work of each of twenty states at five factors.
    Sweep {
        #[arg(long, default_value_t = 50_000)]
        executions: u64,
    },
    /// Frames of the dashboard: the timeline of one execution, a random key before each.
    Frames {
        #[arg(long, default_value_t = 10_000)]
        visits: u64,
        #[arg(long, default_value_t = 3_000)]
        frames: usize,
        #[arg(long, default_value_t = 7)]
        seed: u64,
    },
    /// Change points of series: a JSON list of lists of numbers.
    ChangePoints { series: PathBuf },
    /// What the overview asks the database for, so many times.
    Refresh {
        #[arg(long, default_value_t = 20)]
        times: usize,
    },
}

pub(crate) fn run(context: &Context, arguments: &MeasureArguments) -> Outcome {
    let measured = match &arguments.what {
        What::Path { executions, jaeger } => path(*executions, jaeger.as_deref())?,
        What::Sweep { executions } => sweep(*executions)?,
        What::Frames { visits, frames, seed } => frames::frames(*visits, *frames, *seed)?,
        What::ChangePoints { series } => change_points_of(series)?,
        What::Refresh { times } => super::dash::measure_refresh(context, *times)?,
    };
    let mut out = crate::output::text();
    writeln!(out, "{measured}")?;
    Ok(0)
}

/// The events of each execution, by ARN.
fn histories(workload: &Workload) -> Result<Vec<(Name, Vec<Event>)>, Failure> {
    let mut names = Interner::with_capacity(100_000);
    let mut all = Vec::new();
    workload.run(|started| -> Result<(), Failure> {
        let events = observations(&started, &mut names).into_iter().filter_map(|it| match it {
            Observation::Event { event, .. } => Some(event),
            _ => None,
        });
        all.push((Name::from(started.execution_arn.as_str()), events.collect()));
        Ok(())
    })?;
    Ok(all)
}

fn path(executions: u64, jaeger: Option<&Path>) -> Result<Value, Failure> {
    let histories = histories(&demo(executions, END_MS, 7))?;
    let n_events: usize = histories.iter().map(|it| it.1.len()).sum();
    if let Some(path) = jaeger {
        let mut out = BufWriter::new(File::create(path)?);
        for (arn, events) in &histories {
            let run = Run::of(arn.clone(), events.clone(), ExecutionRecord::default());
            writeln!(out, "{}", jaeger_trace(&run))?;
        }
        out.flush()?;
    }
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let began = Instant::now();
        let on_path: Micros = histories.iter().map(|(_, events)| time_by_visit(events).into_iter().sum()).sum();
        best = best.min(began.elapsed());
        if on_path == Micros::ZERO {
            return Err(Failure::new("no execution has a critical path"));
        }
    }
    Ok(json!({"executions": histories.len(), "events": n_events, "seconds": best.as_secs_f64()}))
}

fn change_points_of(path: &Path) -> Result<Value, Failure> {
    let text = std::fs::read_to_string(path)?;
    let series: Vec<Vec<f64>> = serde_json::from_str(&text)
        .map_err(|error| Failure::usage("no lists of numbers").because(error.to_string()))?;
    let began = Instant::now();
    let found: Vec<Vec<usize>> =
        series.iter().map(|it| change_points(it).iter().map(|change| change.at).collect()).collect();
    Ok(json!({"change_points": found, "seconds": began.elapsed().as_secs_f64()}))
}

/// The time of each visit on the critical path.
fn time_by_visit(events: &[Event]) -> Vec<Micros> {
    let timeline = Timeline::of(events);
    let mut critical = vec![Micros::ZERO; timeline.visits.len()];
    for step in critical_path(events, &timeline) {
        if let Some(owner) = step.owner {
            critical[owner] += step.span();
        }
    }
    critical
}

/// A run as a trace of spans: the execution, and its visits inside one another.
fn jaeger_trace(run: &Run) -> Value {
    let trace = &run.execution.name;
    let span = |id: u64, parent: Option<u64>, name: &str, from: i64, to: i64| {
        let parent = parent.map(|it| json!({"refType": "CHILD_OF", "traceID": &**trace, "spanID": it.to_string()}));
        json!({
            "traceID": &**trace, "spanID": id.to_string(), "operationName": name, "processID": "p1", "flags": 1,
            "references": parent.into_iter().collect::<Vec<_>>(), "startTime": from, "duration": to - from, "tags": [], "logs": [],
        })
    };
    let (from, to) = (run.execution.started_at.unwrap_or_default(), run.execution.stopped_at.unwrap_or_default());
    let visit = |it: &Visit| {
        let end = it.exited_at.unwrap_or(it.entered_at);
        span(it.id, Some(it.parent.unwrap_or(1)), &it.state, it.entered_at.0, end.0)
    };
    let spans = std::iter::once(span(1, None, &run.execution.machine, from.0, to.0))
        .chain(run.timeline.visits.iter().map(visit));
    let processes = json!({"p1": {"serviceName": &*run.execution.machine, "tags": []}});
    json!({"data": [{"traceID": &**trace, "spans": spans.collect::<Vec<_>>(), "processes": processes}]})
}

fn sweep(executions: u64) -> Result<Value, Failure> {
    let workload = Workload { plans: vec![(twenty_states(), executions)], incidents: Vec::new(), ..demo(1, END_MS, 7) };
    let runs: Vec<Run> = histories(&workload)?
        .into_iter()
        .map(|(arn, events)| Run::of(arn, events, ExecutionRecord::default()))
        .collect();
    let works = |it: &&Visit| it.split[Category::Work].0 > 0;
    let mut states: Vec<Name> =
        runs.iter().flat_map(|it| &it.timeline.visits).filter(works).map(|it| it.state.clone()).collect();
    states.sort();
    states.dedup();
    let at = |state: &Name, factor: f64| Scenario { work: [(state.clone(), factor)].into(), ..Scenario::default() };
    let scenarios: Vec<Scenario> = states.iter().flat_map(|state| FACTORS.map(|it| at(state, it))).collect();
    let began = Instant::now();
    let mut outcomes = Outcomes::new(Limits::new(), &scenarios, 64);
    for run in &runs {
        outcomes.add(run);
    }
    let unmodelled = outcomes.unmodelled;
    let (_, after) = outcomes.finish();
    let n_distributions = after.into_iter().map(analyzer::outcome::Side::distribution).count();
    let seconds = began.elapsed().as_secs_f64();
    Ok(json!({
        "executions": runs.len(), "states": states.len(), "scenarios": n_distributions, "unmodelled": unmodelled, "seconds": seconds,
    }))
}
