//! `show`: the timeline, attempts and critical path of executions.

use std::io::Write;

use analyzer::critical_path::{Step, merged};
use analyzer::execution::Run;
use analyzer::model::Micros;
use analyzer::replay::Replay;
use analyzer::timeline::{Attempt, Category, Visit};
use clap::Args;
use queries::{ExecutionFilter, ExecutionRow, Reader};
use serde_json::{Map, Value, json};
use tui::gantt;

use super::{Context, Range, select};
use crate::Outcome;
use crate::failure::Failure;
use crate::report::{Output, Report, TextTable};

/// Executions whose events are loaded at once.
const TOGETHER: usize = 500;

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
        Output::Json | Output::Csv => whole(context, &reader, &rows, arguments.all)?,
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

/// Analyses the stored events of executions, a few at a time, in the order of the rows.
pub(super) fn for_each_run(
    reader: &Reader,
    rows: &[ExecutionRow],
    mut use_run: impl FnMut(&ExecutionRow, &Run) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for rows in rows.chunks(TOGETHER) {
        let ids: Vec<u32> = rows.iter().map(|it| it.id).collect();
        for (row, stored) in rows.iter().zip(reader.stored_executions(&ids, false)?) {
            use_run(row, &Run::of(stored.arn, stored.events, stored.record.unwrap_or_default()))?;
        }
    }
    Ok(())
}

fn whole(context: &Context, reader: &Reader, rows: &[ExecutionRow], all: bool) -> Result<(), Failure> {
    let mut executions = Vec::with_capacity(rows.len());
    for_each_run(reader, rows, |row, run| {
        executions.push(to_json(row, run));
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
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for_each_run(reader, rows, |row, run| {
        let mut line = Map::new();
        line.insert("schema".to_owned(), "stepscope.show/1".into());
        if let Value::Object(fields) = to_json(row, run) {
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
    let fold = if unfold { gantt::Fold::Nothing } else { gantt::Fold::LongMaps };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for_each_run(reader, rows, |_, run| {
        let chart = gantt::chart(run, width, &fold);
        for line in gantt::to_text(&chart, context.is_coloured()) {
            writeln!(out, "{line}")?;
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
pub(crate) fn to_json(row: &ExecutionRow, run: &Run) -> Value {
    let it = &run.execution;
    let transitions = &it.transitions;
    let bounds = Replay::new(run).filter(|it| it.error() == Some(Micros::ZERO)).map(|it| it.visit_slot_bounds());
    let bound = |visit: usize| bounds.iter().flatten().find(|it| it.0 == visit).map(|it| it.1);
    json!({
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
        "events": it.n_events,
        "complete": it.complete,
        "gaps": it.gaps,
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
            "map_children": transitions.map_children,
        },
        "visits": run.timeline.visits.iter().enumerate().map(|(index, it)| visit_to_json(it, bound(index))).collect::<Vec<_>>(),
        "critical_path": merged(&run.path).iter().map(|step| step_to_json(step, &run.timeline.visits)).collect::<Vec<_>>(),
    })
}

fn visit_to_json(visit: &Visit, slot_bound: Option<Micros>) -> Value {
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
        "status": visit.status.as_str(),
        "error": visit.error.as_deref(),
        "rounds": visit.rounds,
        "attempts": (1..).zip(&visit.attempts).map(|(number, it): (u64, _)| attempt_to_json(number, it)).collect::<Vec<_>>(),
        "split_ms": split_to_json(&visit.split),
        "slot_bound_ms": slot_bound.map(Micros::as_millis),
    })
}

fn attempt_to_json(number: u64, attempt: &Attempt) -> Value {
    json!({
        "attempt": number,
        "scheduled_at": analyzer::time::format(attempt.scheduled_at),
        "started_at": attempt.started_at.map(analyzer::time::format),
        "submitted_at": attempt.submitted_at.map(analyzer::time::format),
        "ended_at": attempt.ended_at.map(analyzer::time::format),
        "status": attempt.status.as_str(),
        "error": attempt.error.as_deref(),
        "resource": attempt.resource.as_deref(),
    })
}

/// Time per category; cold starts need X-Ray or Lambda reports and are not known from a history.
pub(crate) fn split_to_json(split: &analyzer::timeline::Split) -> Value {
    let ms = |category: Category| split[category].as_millis();
    json!({
        "work": ms(Category::Work),
        "callback": ms(Category::Callback),
        "queue": ms(Category::Queue),
        "backoff": ms(Category::Backoff),
        "wait": ms(Category::Wait),
        "slot_wait": ms(Category::SlotWait),
        "overhead": ms(Category::Overhead),
        "cold_start": Value::Null,
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
