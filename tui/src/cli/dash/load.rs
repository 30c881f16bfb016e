//! What each view needs from the database.

use std::sync::Arc;

use analyzer::execution::Run;
use analyzer::model::{Micros, Name, PayloadField, Status};
use queries::{ExecutionFilter, ExecutionRow, Reader};
use tui::dash::{Content, ExecutionItem, Executions, LISTED, Load, MachineRef, OpenedRun, Subject, View};

use super::loader::Loader;
use super::{investigate, overview, study};
use crate::cli::show::run_of;
use crate::cli::{cost, page, select};
use crate::failure::Failure;

/// Runs among which a typical one is looked for.
const TYPICAL_OF: u64 = 1_000;

pub(super) fn content(loader: &Loader, load: &Load) -> Result<Content, Failure> {
    let reader = loader.context.reader()?;
    let range = load.range.bounds_of_minute(loader.context.now()?);
    let machine = || load.machine.clone().ok_or_else(|| Failure::new("no machine was chosen"));
    Ok(match load.view {
        View::Overview => Content::Overview(Arc::new(overview::overview(loader, &reader, load.range)?)),
        View::Executions => Content::Executions(Arc::new(executions(loader, &reader, load)?)),
        View::Timeline => Content::Run(Arc::new(opened(loader, &reader, &row(&reader, &load.subject)?)?)),
        View::Twins => Content::Twins(Arc::new(twins(loader, &reader, &load.subject)?)),
        View::Machine | View::Bottlenecks => {
            Content::Study(Arc::new(study::study(loader, &reader, &machine()?, range)?))
        }
        View::Cost => Content::Cost(Arc::new(cost::study(&reader, &loader.prices, &machine()?.arn, range)?)),
        View::Incident => {
            Content::Incident(Arc::new(investigate::incident(loader, &reader, &machine()?, range, load)?))
        }
        View::Collector => Content::Page(Arc::new(page::page(&loader.context, &["collector".to_owned()])?)),
        View::Report => {
            let Subject::Words(words) = &load.subject else { return Err(Failure::new("no command was given")) };
            Content::Page(Arc::new(page::page(&loader.context, words)?))
        }
    })
}

pub(super) fn item(loader: &Loader, row: ExecutionRow) -> ExecutionItem {
    ExecutionItem {
        usd: loader.prices.execution(&row),
        id: row.id,
        machine: MachineRef { arn: row.machine_arn, name: row.machine },
        arn: row.arn,
        name: row.name,
        status: row.status,
        started_at: row.started_at,
        duration: row.active.or(row.duration),
        current: Vec::new(),
        transitions: row.billed_transitions,
        complete: row.complete,
        error: row.error,
        version: row.version_arn,
    }
}

fn executions(loader: &Loader, reader: &Reader, load: &Load) -> Result<Executions, Failure> {
    let (since, until) = load.range.bounds_of_minute(loader.context.now()?);
    let mut filter = ExecutionFilter {
        machine_arn: load.machine.as_ref().map(|it| Name::from(it.arn.as_str())),
        since,
        until,
        limit: Some(LISTED as u64),
        ..ExecutionFilter::default()
    };
    match &load.subject {
        Subject::Found(text) => filter.search = Some(text.clone()),
        Subject::Open => {
            (filter.since, filter.until) = (None, None);
            (filter.status, filter.is_oldest_first) = (Some(Status::Running), true);
        }
        // Children are of another machine, and may have started at any time.
        Subject::MapRun(arn) => {
            filter = ExecutionFilter { map_run: Some(arn.clone()), limit: filter.limit, ..ExecutionFilter::default() };
        }
        _ => {}
    }
    let rows = reader.executions(&filter)?;
    let is_cut = rows.len() >= LISTED;
    let is_own = |arn: &str| filter.machine_arn.as_deref().is_none_or(|own| own == arn);
    let of = match (is_cut, &load.subject) {
        (false, _) => Some(rows.len() as u64),
        (true, Subject::Nothing) => {
            let machines = reader.machines(since, until)?;
            Some(machines.iter().filter(|it| is_own(&it.arn)).map(|it| it.executions).sum())
        }
        (true, _) => None,
    };
    let mut rows: Vec<ExecutionItem> = rows.into_iter().map(|row| item(loader, row)).collect();
    add_current_states(reader, &mut rows)?;
    Ok(Executions::new(rows, of))
}

/// Says where those that run are.
pub(super) fn add_current_states(reader: &Reader, rows: &mut [ExecutionItem]) -> Result<(), Failure> {
    let open: Vec<u64> = rows.iter().filter(|it| !it.status.is_closed()).map(|it| it.id).take(500).collect();
    for (id, state, visits) in reader.current_states(&open)? {
        if let Some(row) = rows.iter_mut().find(|it| it.id == id) {
            row.current.push(if visits > 1 { format!("{state} ×{visits}") } else { state });
        }
    }
    Ok(())
}

fn row(reader: &Reader, subject: &Subject) -> Result<ExecutionRow, Failure> {
    match subject {
        Subject::Execution(arn) => by_arn(reader, arn),
        _ => Err(Failure::new("no execution was chosen")),
    }
}

fn by_arn(reader: &Reader, arn: &str) -> Result<ExecutionRow, Failure> {
    let missing = || Failure::new(format!("the execution `{arn}` is not stored"));
    if arn.is_empty() { Err(missing()) } else { select::execution(reader, arn).map_err(|_| missing()) }
}

/// Everything that is stored of an execution, its inputs and outputs, traces and reports among it.
fn opened(loader: &Loader, reader: &Reader, row: &ExecutionRow) -> Result<OpenedRun, Failure> {
    let found = run_of(reader, row, &PayloadField::ALL)?;
    let (run, traced) = found.ok_or_else(|| Failure::new("this execution is not stored any more"))?;
    Ok(OpenedRun { run, traced, usd: loader.prices.execution(row), parent: row.parent_arn.clone() })
}

/// Two executions; without the second, one that succeeded, took the same way, and as long as the middle one of those.
fn twins(loader: &Loader, reader: &Reader, subject: &Subject) -> Result<(OpenedRun, OpenedRun), Failure> {
    let Subject::Pair(first, second) = subject else { return Err(Failure::new("no two executions were chosen")) };
    let first = opened(loader, reader, &by_arn(reader, first)?)?;
    let second = match second {
        Some(arn) => by_arn(reader, arn)?,
        None => typical(reader, &first.run)?,
    };
    Ok((first, opened(loader, reader, &second)?))
}

fn typical(reader: &Reader, run: &Run) -> Result<ExecutionRow, Failure> {
    let mut way: Vec<&str> = Vec::new();
    for visit in run.timeline.visits.iter().filter(|it| it.parent.is_none()) {
        if !way.contains(&&*visit.state) {
            way.push(&visit.state);
        }
    }
    let of = |path: Option<String>| -> Result<Option<ExecutionRow>, Failure> {
        let filter = ExecutionFilter {
            machine_arn: Some(run.execution.machine_arn.clone()),
            status: Some(Status::Succeeded),
            limit: Some(TYPICAL_OF),
            path,
            ..ExecutionFilter::default()
        };
        let mut rows = reader.executions(&filter)?;
        rows.retain(|it| it.complete && it.arn != *run.execution.arn);
        rows.sort_by_key(|it| it.active.unwrap_or(Micros::ZERO));
        let middle = rows.len() / 2;
        Ok((!rows.is_empty()).then(|| rows.swap_remove(middle)))
    };
    // A run that failed went no whole way: any successful one is its twin.
    let found = if way.is_empty() { None } else { of(Some(way.join(" → ")))? };
    let found = match found {
        Some(found) => Some(found),
        None => of(None)?,
    };
    found.ok_or_else(|| Failure::new("no other execution of this machine has succeeded and is known in full"))
}
