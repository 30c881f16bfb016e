//! `show`: the timeline, attempts and critical path of executions.

use std::collections::BTreeMap;
use std::io::Write;
use std::thread;

use analyzer::critical_path::{Step, merged};
use analyzer::execution::Run;
use analyzer::gaps::Gap;
use analyzer::model::{Micros, Name, PayloadField};
use analyzer::replay::Replay;
use analyzer::timeline::{Attempt, Category, Visit};
use analyzer::traces::{self, Evidence, Joined, Span, Trace};
use clap::Args;
use crossbeam_channel::bounded;
use queries::{ExecutionFilter, ExecutionRow, Reader, StoredExecution};
use rustc_hash::FxHashMap;
use serde_json::{Map, Value, json};
use tui::{gantt, safe};

use super::{Context, Range, select};
use crate::Outcome;
use crate::failure::Failure;
use crate::output;
use crate::report::{Output, Report, TextTable};

/// Executions whose events are loaded at once.
const TOGETHER: usize = 2000;

#[derive(Args)]
pub(crate) struct ShowArguments {
    /// Executions: their ARNs, names, or unique parts of them.
    #[arg(required_unless_present = "all", value_name = "EXECUTION")]
    executions: Vec<String>,
    /// Show every execution.
    #[arg(long, conflicts_with = "executions")]
    all: bool,
    /// Do not fold long Maps.
    #[arg(long)]
    unfold: bool,
    #[command(flatten)]
    range: Range,
}

pub(crate) fn run(context: &Context, arguments: &ShowArguments) -> Outcome {
    let reader = context.reader()?;
    let rows = wanted(context, &reader, arguments)?;
    match context.output {
        Output::Table | Output::Markdown => draw(context, &reader, &rows, arguments.unfold)?,
        Output::Ndjson => lines(&reader, &rows)?,
        Output::Json | Output::Csv | Output::RawCsv => whole(context, &reader, &rows, arguments.all)?,
    }
    Ok(0)
}

fn wanted(context: &Context, reader: &Reader, arguments: &ShowArguments) -> Result<Vec<ExecutionRow>, Failure> {
    if arguments.all {
        let (since, until) = context.range(&arguments.range)?;
        return Ok(reader.executions(&ExecutionFilter { since, until, ..ExecutionFilter::default() })?);
    }
    arguments.executions.iter().map(|it| select::execution(reader, it)).collect()
}

/// Analyses the stored events of executions, a few at a time on all cores, and hands them on in the order of the rows.
pub(super) fn for_each_run(
    reader: &Reader,
    rows: &[ExecutionRow],
    mut use_run: impl FnMut(&ExecutionRow, &Run) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let ids: Vec<u64> = rows.iter().map(|it| it.id).collect();
    analyse(reader, &ids, |place, run, _| use_run(&rows[place], run))
}

/// The same where only their ids are known.
pub(super) fn for_each_run_of(
    reader: &Reader,
    ids: &[u64],
    mut use_run: impl FnMut(u64, &Run) -> Result<(), Failure>,
) -> Result<(), Failure> {
    analyse(reader, ids, |place, run, _| use_run(ids[place], run))
}

/// The spans of an execution's traces, and which attempt each belongs to.
pub(super) type Traced = (Trace, Joined);

/// The same with what X-Ray and Lambda tell of each execution.
pub(super) fn for_each_traced_run(
    reader: &Reader,
    rows: &[ExecutionRow],
    mut use_run: impl FnMut(&ExecutionRow, &Run, Option<&Traced>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let ids: Vec<u64> = rows.iter().map(|it| it.id).collect();
    analyse(reader, &ids, |place, run, traced| use_run(&rows[place], run, traced))
}

/// Hands the runs on with their places among the ids.
fn analyse(
    reader: &Reader,
    ids: &[u64],
    mut use_run: impl FnMut(usize, &Run, Option<&Traced>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let has_evidence = reader.has_evidence()?;
    let n_workers = thread::available_parallelism().map_or(1, |it| it.get().saturating_sub(1)).clamp(1, MOST_WORKERS);
    thread::scope(|scope| {
        let (jobs, taken) = bounded::<(usize, Vec<Stored>)>(n_workers);
        let (done, finished) = bounded::<(usize, Vec<Analysed>)>(n_workers + 1);
        for _ in 0..n_workers {
            let (taken, done) = (taken.clone(), done.clone());
            scope.spawn(move || {
                for (number, chunk) in taken {
                    if done.send((number, chunk.into_iter().map(analysed).collect())).is_err() {
                        return;
                    }
                }
            });
        }
        drop((taken, done));
        let mut ready: BTreeMap<usize, Vec<Analysed>> = BTreeMap::new();
        let chunks: Vec<&[u64]> = ids.chunks(TOGETHER).collect();
        let mut hand_on = |number: usize, runs: Vec<Analysed>| -> Result<(), Failure> {
            let mut runs = (number * TOGETHER..).zip(&runs);
            runs.try_for_each(|(place, (run, traced))| use_run(place, run, traced.as_ref()))
        };
        let (mut next, mut n_read) = (0, 0);
        while next < chunks.len() {
            // Reading goes on while the workers are busy, and no further ahead than they need.
            if n_read < chunks.len() && n_read - next <= n_workers {
                let chunk = read(reader, chunks[n_read], &[], has_evidence)?;
                if jobs.send((n_read, chunk)).is_err() {
                    return Err(Failure::new("the analysis has stopped"));
                }
                n_read += 1;
                continue;
            }
            let (number, runs) = finished.recv().map_err(|_| Failure::new("the analysis has stopped"))?;
            ready.insert(number, runs);
            while let Some(runs) = ready.remove(&next) {
                hand_on(next, runs)?;
                next += 1;
            }
        }
        Ok(())
    })
}

/// Workers that analyse, at most.
const MOST_WORKERS: usize = 8;

type Stored = (StoredExecution, Option<Evidence>);
type Analysed = (Run, Option<Traced>);

/// Everything that is known of one execution.
pub(super) fn run_of(
    reader: &Reader,
    row: &ExecutionRow,
    payloads: &[PayloadField],
) -> Result<Option<(Run, Option<Traced>)>, Failure> {
    let stored = read(reader, &[row.id], payloads, reader.has_evidence()?)?;
    Ok(stored.into_iter().next().map(analysed))
}

fn read(reader: &Reader, ids: &[u64], payloads: &[PayloadField], has_evidence: bool) -> Result<Vec<Stored>, Failure> {
    let mut evidence = if has_evidence { reader.evidence(ids)? } else { FxHashMap::default() };
    let stored = reader.stored_executions(ids, payloads)?;
    Ok(stored.into_iter().map(|it| (evidence.remove(&it.id), it)).map(|(evidence, it)| (it, evidence)).collect())
}

fn analysed((stored, evidence): Stored) -> Analysed {
    let mut run = Run::of(stored.arn, stored.events, stored.record.unwrap_or_default());
    let traced = evidence.map(|it| {
        let joined = traces::join(&mut run, &it);
        (it.trace, joined)
    });
    (run, traced)
}

fn whole(context: &Context, reader: &Reader, rows: &[ExecutionRow], all: bool) -> Result<(), Failure> {
    let mut executions = Vec::with_capacity(rows.len());
    for_each_traced_run(reader, rows, |row, run, traced| {
        executions.push(to_json(reader, row, run, traced)?);
        Ok(())
    })?;
    let fields = match executions.pop() {
        Some(Value::Object(only)) if executions.is_empty() && !all => only,
        last => {
            executions.extend(last);
            Map::from_iter([("executions".to_owned(), Value::from(executions))])
        }
    };
    let rows = if fields.contains_key("executions") { "executions" } else { "visits" };
    Report { command: "show", fields, rows, table: TextTable::default(), heading: String::new(), footer: String::new() }
        .print(context.output)
}

fn lines(reader: &Reader, rows: &[ExecutionRow]) -> Result<(), Failure> {
    let mut out = output::json();
    for_each_traced_run(reader, rows, |row, run, traced| {
        let mut line = Map::new();
        line.insert("schema".to_owned(), crate::report::schema_of("show").into());
        if let Value::Object(fields) = to_json(reader, row, run, traced)? {
            line.extend(fields);
        }
        serde_json::to_writer(&mut out, &line).map_err(std::io::Error::from)?;
        writeln!(out)?;
        Ok(())
    })?;
    out.flush()?;
    Ok(())
}

fn draw(context: &Context, reader: &Reader, rows: &[ExecutionRow], unfold: bool) -> Result<(), Failure> {
    let width = terminal_width();
    let fold = if unfold { gantt::Folds::nothing() } else { gantt::Folds::long_maps() };
    // In Markdown a picture is a block of code, which is what is indented: no text can end it.
    let is_markdown = context.output == Output::Markdown;
    let is_coloured = context.is_coloured() && !is_markdown;
    let indent = if is_markdown { "    " } else { "" };
    let shown = |line: String| if is_markdown { safe::markdown_code(&line) } else { line };
    let mut out = output::coloured_text(is_coloured);
    for_each_traced_run(reader, rows, |_, run, traced| {
        let chart = match traced {
            Some((trace, joined)) => gantt::chart_with_traces(run, trace, joined, width, &fold),
            None => gantt::chart(run, width, &fold),
        };
        for line in gantt::to_text(&chart, is_coloured) {
            writeln!(out, "{indent}{}", shown(line))?;
        }
        for (event, child) in &run.execution.children {
            let state = run.visit_of_event(*event).map_or("a state", |it| run.timeline.visits[it].state.as_str());
            let (state, child) = (safe::plain(state), safe::plain(child));
            let line = format!("{state} started {child}; `stepscope show` opens it, where it is stored");
            writeln!(out, "{indent}{}", shown(line))?;
        }
        writeln!(out)?;
        Ok(())
    })?;
    out.flush()?;
    Ok(())
}

fn terminal_width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|it| it.parse().ok());
    let size =
        rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|it| usize::from(it.ws_col)).filter(|it| *it > 0);
    size.or(columns).unwrap_or(110).clamp(60, 240)
}

/// The JSON of one execution, as the contract fixes it.
fn to_json(reader: &Reader, row: &ExecutionRow, run: &Run, traced: Option<&Traced>) -> Result<Value, Failure> {
    let it = &run.execution;
    let path = path_to_json(reader, run, DEEPEST)?;
    let transitions = &it.transitions;
    let bounds = Replay::new(run).filter(|it| it.error() == Some(Micros::ZERO)).map(|it| it.visit_slot_bounds());
    let bound = |visit: usize| bounds.iter().flatten().find(|it| it.0 == visit).map(|it| it.1);
    Ok(json!({
        "execution_arn": it.arn.as_str(),
        "state_machine_arn": it.machine_arn.as_str(),
        "machine": it.machine.as_str(),
        "name": it.name.as_str(),
        "type": it.workflow_type.as_str(),
        "status": it.status.as_str(),
        "started_at": it.started_at.map(analyzer::time::format),
        "stopped_at": it.stopped_at.map(analyzer::time::format),
        "duration_ms": it.duration().map(Micros::as_millis),
        "active_ms": it.active().map(Micros::as_millis),
        "runs": it.n_runs,
        "events": it.n_events,
        "complete": it.complete,
        "gaps": it.gaps.iter().map(Gap::to_value).collect::<Vec<_>>(),
        "error": it.error.as_deref(),
        "version": it.version_arn.as_deref(),
        "map_run_arn": it.map_run_arn.as_deref(),
        "parent_execution_arn": row.parent_arn,
        "child_executions": it.children.iter().map(|(event, child)| json!({"event": event, "execution_arn": child.as_str()})).collect::<Vec<_>>(),
        "billed_transitions": transitions.billed().0,
        "transitions": {
            "entered": transitions.entered,
            "retries": transitions.retries,
            "redrives": transitions.redrives,
            "rerun": transitions.rerun,
            "map_children": transitions.map_children,
        },
        "visits": run.timeline.visits.iter().enumerate().map(|(index, it)| visit_to_json(index, it, bound(index), traced)).collect::<Vec<_>>(),
        "trace": traced.map(|(trace, joined)| json!({"spans": trace.spans.len(), "matched": joined.matched, "unmatched": joined.unmatched})),
        "critical_path": path,
    }))
}

/// Executions that wait for executions that wait are opened so deep.
const DEEPEST: usize = 5;

/// The critical path; where a state waited for an execution that is stored, with that one's own path.
fn path_to_json(reader: &Reader, run: &Run, depth: usize) -> Result<Vec<Value>, Failure> {
    let mut steps = Vec::new();
    for step in merged(&run.path) {
        let mut value = step_to_json(&step, &run.timeline.visits);
        let waited_for = step.owner.filter(|_| step.category == Category::Callback && depth > 0);
        let child = waited_for.and_then(|owner| {
            let mut children = run.execution.children.iter();
            children.find(|(event, _)| run.visit_of_event(*event) == Some(owner)).map(|it| &it.1)
        });
        if let Some(child) = child {
            value["opens_into"] = opened(reader, child, depth - 1)?;
        }
        steps.push(value);
    }
    Ok(steps)
}

/// The path of an execution that was waited for; `null` where it is not stored.
fn opened(reader: &Reader, arn: &Name, depth: usize) -> Result<Value, Failure> {
    let filter = ExecutionFilter { matching: Some(arn.to_string()), ..ExecutionFilter::default() };
    let Some(row) = reader.executions(&filter)?.into_iter().find(|it| it.arn == **arn) else {
        return Ok(Value::Null);
    };
    let Some(stored) = reader.stored_executions(&[row.id], &[])?.pop() else { return Ok(Value::Null) };
    let run = Run::of(stored.arn, stored.events, stored.record.unwrap_or_default());
    Ok(json!({
        "execution_arn": arn.as_str(),
        "machine": run.execution.machine.as_str(),
        "status": run.execution.status.as_str(),
        "duration_ms": run.execution.duration().map(Micros::as_millis),
        "critical_path": path_to_json(reader, &run, depth)?,
    }))
}

fn visit_to_json(index: usize, visit: &Visit, slot_bound: Option<Micros>, traced: Option<&Traced>) -> Value {
    let attempt = |(number, it): (usize, &Attempt)| attempt_to_json((index, number), it, traced);
    json!({
        "id": visit.id,
        "parent": visit.parent,
        "branch": visit.branch,
        "iteration": visit.iteration,
        "state": visit.state.as_str(),
        "type": visit.kind.as_str(),
        "entered_at": analyzer::time::format(visit.entered_at),
        "exited_at": visit.exited_at.map(analyzer::time::format),
        "duration_ms": visit.duration().map(Micros::as_millis),
        "active_ms": visit.active().map(Micros::as_millis),
        "status": visit.status.as_str(),
        "error": visit.error.as_deref(),
        "rounds": visit.rounds,
        "attempts": visit.attempts.iter().enumerate().map(attempt).collect::<Vec<_>>(),
        "split_ms": split_to_json(&visit.split, visit.cold_start()),
        "slot_bound_ms": slot_bound.map(Micros::as_millis),
    })
}

fn attempt_to_json(place: (usize, usize), attempt: &Attempt, traced: Option<&Traced>) -> Value {
    let calls = traced.and_then(|(trace, joined)| Some((trace, joined.calls.get(&place)?)));
    json!({
        "attempt": place.1 + 1,
        "redrive": attempt.redrive,
        "scheduled_at": attempt.scheduled_at.map(analyzer::time::format),
        "started_at": attempt.started_at.map(analyzer::time::format),
        "submitted_at": attempt.submitted_at.map(analyzer::time::format),
        "ended_at": attempt.ended_at.map(analyzer::time::format),
        "status": attempt.status.as_str(),
        "error": attempt.error.as_deref(),
        "resource": attempt.resource.as_deref(),
        "cold_start_ms": attempt.cold_start.map(Micros::as_millis),
        "spans": calls.map(|(trace, calls)| calls.iter().flat_map(|&it| trace.tree(it)).map(span_to_json).collect::<Vec<_>>()),
    })
}

/// A span of a trace; `depth` tells what lies below what.
fn span_to_json((depth, span): (usize, &Span)) -> Value {
    json!({
        "depth": depth,
        "name": span.name.as_str(),
        "origin": span.origin.as_deref(),
        "operation": span.operation.as_deref(),
        "request_id": span.request_id.as_deref(),
        "started_at": analyzer::time::format(span.started_at),
        "ended_at": span.ended_at.map(analyzer::time::format),
        "ms": span.ended_at.map(|it| (it - span.started_at).as_millis()),
        "outcome": span.outcome.as_str(),
    })
}

/// Time per category; cold starts are known from X-Ray or Lambda reports only.
pub(crate) fn split_to_json(split: &analyzer::timeline::Split, cold_start: Option<Micros>) -> Value {
    let ms = |category: Category| split[category].as_millis();
    json!({
        "work": ms(Category::Work),
        "callback": ms(Category::Callback),
        "queue": ms(Category::Queue),
        "backoff": ms(Category::Backoff),
        "wait": ms(Category::Wait),
        "slot_wait": ms(Category::SlotWait),
        "redrive_idle": ms(Category::RedriveIdle),
        "overhead": ms(Category::Overhead),
        "cold_start": cold_start.map(Micros::as_millis),
    })
}

fn step_to_json(step: &Step, visits: &[Visit]) -> Value {
    let visit = step.owner.map(|it| &visits[it]);
    json!({
        "visit": visit.map(|it| it.id),
        "state": visit.map(|it| it.state.as_str()),
        "category": step.category.as_str(),
        "from": analyzer::time::format(step.from),
        "to": analyzer::time::format(step.to),
        "ms": step.span().as_millis(),
    })
}
