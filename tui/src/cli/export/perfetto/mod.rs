//! A trace of executions for `ui.perfetto.dev`: a process each, a track per branch, slices with their category, the critical path on a track
//! of its own, flows from a state to the execution it started. As Chrome's JSON or as Perfetto's protobuf.

mod packets;

use std::collections::BTreeMap;

use analyzer::assembly::hash_of;
use analyzer::critical_path::merged;
use analyzer::execution::Run;
use analyzer::model::{Name, Timestamp};
use analyzer::timeline::Category;
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::cli::show::for_each_run;
use crate::cli::{Context, select};
use crate::failure::Failure;

/// Where a visit happens: its parent, branch and iteration.
type Scope = (Option<u64>, Option<u32>, Option<u32>);

/// The tracks of the execution itself and of its critical path.
const EXECUTION: u64 = 1;
const PATH: u64 = 2;

/// The two forms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// Chrome's trace events.
    #[default]
    Json,
    /// Perfetto's own packets.
    Protobuf,
}

pub(super) fn export(context: &Context, executions: &[String], form: Form) -> Result<Vec<u8>, Failure> {
    let reader = context.reader()?;
    let rows = executions.iter().map(|it| select::execution(&reader, it)).collect::<Result<Vec<_>, _>>()?;
    let mut events = Vec::new();
    let mut number = 0;
    for_each_run(&reader, &rows, |_, run| {
        number += 1;
        add(run, number, &mut events);
        Ok(())
    })?;
    if form == Form::Protobuf {
        return Ok(packets::of_events(&events));
    }
    let trace = json!({"traceEvents": events, "displayTimeUnit": "ms"});
    Ok((trace.to_string() + "\n").into_bytes())
}

fn add(run: &Run, process: u64, events: &mut Vec<Value>) {
    let it = &run.execution;
    let last = run.events.last().map(|it| it.at);
    let slice = |name: &str, track: u64, from: Timestamp, to: Timestamp, category: &str, arguments: Value| json!({"ph": "X", "name": name, "cat": category, "pid": process, "tid": track, "ts": from.0, "dur": (to - from).0, "args": arguments});
    let named = |what: &str, track: u64, name: &str| json!({"ph": "M", "name": what, "pid": process, "tid": track, "args": {"name": name}});
    events.push(named("process_name", EXECUTION, &format!("{} {}", it.machine, it.name)));
    events.push(named("thread_name", EXECUTION, "execution"));
    events.push(named("thread_name", PATH, "critical path"));
    if let (Some(from), Some(to)) = (it.started_at, it.stopped_at.or(last)) {
        let arguments =
            json!({"execution_arn": it.arn.as_str(), "status": it.status.as_str(), "error": it.error.as_deref()});
        let mut whole = slice(&it.name, EXECUTION, from, to, "execution", arguments);
        flow(&mut whole, std::iter::once(&it.arn), "flow_in");
        events.push(whole);
    }
    for step in merged(&run.path) {
        let state = step.owner.map_or("execution", |owner| &run.timeline.visits[owner].state);
        let arguments = json!({"category": step.category.as_str()});
        let mut own = slice(state, PATH, step.from, step.to, step.category.as_str(), arguments);
        own["cname"] = colour(step.category).into();
        events.push(own);
    }
    let mut tracks: BTreeMap<Scope, u64> = BTreeMap::new();
    for (index, visit) in run.timeline.visits.iter().enumerate() {
        let next = PATH + 1 + tracks.len() as u64;
        let track = *tracks.entry((visit.parent, visit.branch, visit.iteration)).or_insert(next);
        if track == next {
            let name = match (visit.branch, visit.iteration) {
                (Some(branch), _) => format!("branch {branch}"),
                (_, Some(item)) => format!("item {item}"),
                _ => "states".to_owned(),
            };
            events.push(named("thread_name", track, &name));
        }
        let Some(to) = visit.exited_at.or(last) else { continue };
        let arguments = json!({
            "id": visit.id, "status": visit.status.as_str(), "attempts": visit.attempts.len(), "error": visit.error.as_deref(),
        });
        let mut own = slice(&visit.state, track, visit.entered_at, to, visit.kind.as_str(), arguments);
        let started = it.children.iter().filter(|(event, _)| run.visit_of_event(*event) == Some(index));
        flow(&mut own, started.map(|it| &it.1), "flow_out");
        events.push(own);
        for (number, attempt) in (1..).zip(&visit.attempts) {
            let Some(ended) = attempt.ended_at.or(last) else { continue };
            let name = format!("attempt {number}");
            let from = attempt.started_at.or(attempt.scheduled_at).unwrap_or(visit.entered_at);
            events.push(slice(
                &name,
                track,
                from,
                ended,
                "attempt",
                json!({"status": attempt.status.as_str(), "error": attempt.error.as_deref()}),
            ));
        }
    }
}

/// Ties a slice to the executions with these ARNs: where they begin, or where they were started.
fn flow<'a>(slice: &mut Value, arns: impl Iterator<Item = &'a Name>, direction: &str) {
    // A number that JSON's readers keep, too.
    let ids: Vec<u64> = arns.map(|arn| hash_of(arn) >> 11).collect();
    if let Some(first) = ids.first() {
        slice["bind_id"] = format!("0x{first:x}").into();
        slice[direction] = true.into();
        slice["flows"] = ids.into();
    }
}

/// One of Chrome's reserved colours for what the path was spent on; Perfetto colours by name, and shows the category.
fn colour(category: Category) -> &'static str {
    match category {
        Category::Work => "good",
        Category::Callback => "rail_response",
        Category::Queue | Category::SlotWait => "bad",
        Category::Backoff => "terrible",
        Category::Wait | Category::RedriveIdle => "rail_idle",
        Category::Overhead => "grey",
    }
}
