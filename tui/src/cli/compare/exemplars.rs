//! The executions to look at first, with what their own lines say: errors with their causes, and what Lambda reported.

use analyzer::compare::{Exemplar, Exemplars};
use analyzer::error_groups::normalised;
use analyzer::execution::Run;
use analyzer::model::{Event, Micros, PayloadField, Timestamp};
use queries::Reader;
use serde_json::{Value, json};
use tui::safe::Command;
use tui::text;

use crate::failure::Failure;

/// Lines of one execution.
const LINES: usize = 12;

/// An execution and its lines.
pub(super) struct Shown {
    pub(super) role: &'static str,
    pub(super) arn: String,
    pub(super) duration: Micros,
    pub(super) lines: Vec<(Timestamp, String)>,
}

pub(super) fn shown(reader: &Reader, found: Option<&Exemplars>) -> Result<Vec<Shown>, Failure> {
    let Some(it) = found else { return Ok(Vec::new()) };
    let roles = [("typical", Some(&it.typical)), ("worst", Some(&it.worst)), ("before", it.twin.as_ref())];
    let found = roles.into_iter().filter_map(|(role, it)| Some((role, it?)));
    found.map(|(role, it)| one(reader, role, it)).collect()
}

fn one(reader: &Reader, role: &'static str, it: &Exemplar) -> Result<Shown, Failure> {
    let mut lines = Vec::new();
    if let Some(id) = reader.execution_id(&it.arn)? {
        for stored in reader.stored_executions(&[id], &[PayloadField::Cause])? {
            let run = Run::of(stored.arn, stored.events, stored.record.unwrap_or_default());
            lines.extend(run.events.iter().filter_map(|event| error_line(&run, event)));
        }
        for report in reader.evidence(&[id])?.remove(&id).into_iter().flat_map(|it| it.reports) {
            let cold = report.init_us.map_or_else(String::new, |it| format!(", cold start {}", text::span(Micros(it))));
            let said = format!(
                "Lambda REPORT {}: {}, billed {} ms, {} MB{cold}",
                report.request_id,
                text::span(Micros(report.duration_us)),
                report.billed_ms,
                report.memory_mb
            );
            lines.extend(report.at.map(|at| (at, said)));
        }
    }
    lines.sort();
    lines.truncate(LINES);
    Ok(Shown { role, arn: it.arn.to_string(), duration: it.duration, lines })
}

/// What an event says of an error.
fn error_line(run: &Run, event: &Event) -> Option<(Timestamp, String)> {
    let error = event.error()?;
    let state = run.visit_of_event(event.id).map_or("the execution", |it| run.timeline.visits[it].state.as_str());
    // A page leaves the house: what differs from one execution to the next stays here.
    let cause = event.payload(PayloadField::Cause).map(normalised);
    let cause = cause.map_or_else(String::new, |it| format!(": {it}"));
    Some((event.at, format!("{state} {error}{cause}")))
}

pub(super) fn to_json(it: &Shown) -> Value {
    let line = |(at, said): &(Timestamp, String)| json!({"at": analyzer::time::format(*at), "text": said});
    json!({
        "role": it.role, "execution_arn": it.arn, "duration_ms": it.duration.as_millis(),
        "lines": it.lines.iter().map(line).collect::<Vec<_>>(),
    })
}

/// The two timelines side by side.
pub(super) fn side_by_side(all: &[Shown]) -> Option<String> {
    let of = |role: &str| all.iter().find(|it| it.role == role).map(|it| it.arn.rsplit(':').next().unwrap_or(&it.arn));
    Some(Command::new("stepscope compare").argument(of("typical")?).argument(of("before")?).to_string())
}
