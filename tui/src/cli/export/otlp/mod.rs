//! `export otlp`: executions as OpenTelemetry traces. An execution is a trace, a visit of a state a span inside it, an attempt a span
//! inside that; what an execution started is a link to that one's trace.
//!
//! Names follow OpenTelemetry's semantic conventions where there are any (`cloud.*`, `error.type`,
//! `aws.step_functions.state_machine.arn`); what they have no name for begins with `stepscope.`.

mod messages;

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use analyzer::assembly::hash_of;
use analyzer::execution::Run;
use analyzer::model::{Micros, Name, Status as ExecutionStatus, Timestamp};
use analyzer::timeline::{AttemptStatus, Visit, VisitStatus};
use clap::Args;
use collector::deliver;
use prost::Message;
use queries::ExecutionFilter;

use super::create;
use crate::Outcome;
use crate::cli::show::for_each_run;
use crate::cli::{Context, Range, select};
use crate::failure::Failure;
use crate::output;
use messages::{InstrumentationScope, KeyValue, Link, Resource, ResourceSpans, ScopeSpans, Span, Status, TracesData};

/// Executions that are sent to a collector at once, and how long that may take.
const TOGETHER: usize = 200;
const LIMIT: Duration = Duration::from_secs(60);
const INTERNAL: i32 = 1;
const CLIENT: i32 = 3;
const OK: i32 = 1;
const ERROR: i32 = 2;

#[derive(Args)]
pub(super) struct OtlpArguments {
    /// Executions: their ARNs, names, or unique parts of them; without any, all of the range.
    #[arg(value_name = "EXECUTION")]
    executions: Vec<String>,
    #[command(flatten)]
    range: Range,
    /// Send them to this OTLP/HTTP endpoint, such as <http://localhost:4318>.
    #[arg(long, value_name = "URL", conflicts_with = "out")]
    endpoint: Option<String>,
    /// A header for the endpoint, such as 'api-key=…'; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", requires = "endpoint")]
    header: Vec<String>,
}

pub(super) fn run(context: &Context, arguments: &OtlpArguments, out: Option<&Path>) -> Outcome {
    let reader = context.reader()?;
    let rows = if arguments.executions.is_empty() {
        let (since, until) = context.range(&arguments.range)?;
        reader.executions(&ExecutionFilter { since, until, ..ExecutionFilter::default() })?
    } else {
        arguments.executions.iter().map(|it| select::execution(&reader, it)).collect::<Result<_, _>>()?
    };
    let headers = arguments.header.iter().map(|it| {
        it.split_once('=')
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .ok_or_else(|| Failure::usage("a header is NAME=VALUE").hint("such as --header 'api-key=…'"))
    });
    let headers = headers.collect::<Result<Vec<_>, _>>()?;
    let mut destination = match (&arguments.endpoint, out) {
        (Some(endpoint), _) => Destination::Endpoint(traces_url(endpoint), headers),
        (None, Some(path)) => Destination::File(Box::new(create(path)?)),
        (None, None) => Destination::File(Box::new(output::binary()?)),
    };
    let mut n_spans = 0;
    for chunk in rows.chunks(TOGETHER) {
        let mut traces = TracesData::default();
        for_each_run(&reader, chunk, |_, run| {
            let spans = resource_spans(run);
            n_spans += spans.scope_spans.iter().map(|it| it.spans.len()).sum::<usize>();
            traces.resource_spans.push(spans);
            Ok(())
        })?;
        destination.take(&traces.encode_to_vec())?;
    }
    destination.finish()?;
    eprintln!("{} executions, {n_spans} spans{}", rows.len(), destination.told());
    Ok(0)
}

/// Where traces go, a few executions at a time.
enum Destination {
    Endpoint(String, Vec<(String, String)>),
    /// Messages of repeated fields that follow one another are one message.
    File(Box<dyn Write>),
}

impl Destination {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Endpoint(url, headers) => {
                Ok(deliver::post(url, headers, "application/x-protobuf", bytes, Instant::now() + LIMIT)?)
            }
            Self::File(file) => Ok(file.write_all(bytes)?),
        }
    }

    fn finish(&mut self) -> Result<(), Failure> {
        match self {
            Self::Endpoint(..) => Ok(()),
            Self::File(file) => Ok(file.flush()?),
        }
    }

    fn told(&self) -> String {
        match self {
            Self::Endpoint(url, _) => format!(" sent to {}", deliver::host_of(url)),
            Self::File(_) => String::new(),
        }
    }
}

/// The address for traces of an OTLP endpoint.
fn traces_url(endpoint: &str) -> String {
    let (base, query) =
        endpoint.split_once('?').map_or((endpoint, String::new()), |(base, query)| (base, format!("?{query}")));
    let base = base.trim_end_matches('/');
    let path = if base.ends_with("/v1/traces") { "" } else { "/v1/traces" };
    format!("{base}{path}{query}")
}

fn resource_spans(run: &Run) -> ResourceSpans {
    let it = &run.execution;
    let attributes = vec![
        KeyValue::text("service.name", &it.machine),
        KeyValue::text("cloud.provider", "aws"),
        KeyValue::text("cloud.region", &it.region),
        KeyValue::text("cloud.account.id", &it.account),
        KeyValue::text("cloud.resource_id", &it.machine_arn),
        KeyValue::text("aws.step_functions.state_machine.arn", &it.machine_arn),
    ];
    let scope = InstrumentationScope { name: "stepscope".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    ResourceSpans {
        resource: Some(Resource { attributes }),
        scope_spans: vec![ScopeSpans { scope: Some(scope), spans: spans(run) }],
    }
}

fn trace_id(arn: &str) -> Vec<u8> {
    [hash_of(arn), hash_of(&format!("trace of {arn}"))].iter().flat_map(|it| it.to_be_bytes()).collect()
}

fn span_id(arn: &str, part: &str) -> Vec<u8> {
    hash_of(&format!("{arn} {part}")).to_be_bytes().to_vec()
}

fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.0).unwrap_or(0).saturating_mul(1_000)
}

fn spans(run: &Run) -> Vec<Span> {
    let it = &run.execution;
    let Some(from) = it.started_at.or_else(|| run.events.first().map(|it| it.at)) else { return Vec::new() };
    let last = run.events.last().map_or(from, |it| it.at);
    let root = span_id(&it.arn, "execution");
    let mut attributes = vec![
        KeyValue::text("stepscope.execution.arn", &it.arn),
        KeyValue::text("stepscope.execution.status", it.status.as_str()),
        KeyValue::text("stepscope.execution.type", it.workflow_type.as_str()),
        KeyValue::number("stepscope.billed_transitions", it.transitions.billed().0.cast_signed()),
    ];
    attributes.extend(it.error.iter().map(|it| KeyValue::text("error.type", it)));
    attributes.extend(run.record.trace_id.iter().map(|it| KeyValue::text("aws.xray.trace_id", it)));
    let failed = matches!(it.status, ExecutionStatus::Failed | ExecutionStatus::TimedOut | ExecutionStatus::Aborted);
    let is_done = it.status == ExecutionStatus::Succeeded;
    let mut spans = vec![Span {
        trace_id: trace_id(&it.arn),
        span_id: root.clone(),
        parent_span_id: Vec::new(),
        name: it.machine.to_string(),
        kind: INTERNAL,
        start_time_unix_nano: nanos(from),
        end_time_unix_nano: nanos(it.stopped_at.unwrap_or(last)),
        attributes,
        links: Vec::new(),
        status: status(failed, is_done, it.error.as_ref()),
    }];
    let mut critical = vec![Micros::ZERO; run.timeline.visits.len()];
    for step in &run.path {
        if let Some(owner) = step.owner {
            critical[owner] += step.span();
        }
    }
    for (index, visit) in run.timeline.visits.iter().enumerate() {
        let own = visit_span(run, visit, &root, last, critical[index], index);
        spans.extend(attempt_spans(run, visit, &own.span_id, last));
        spans.push(own);
    }
    spans
}

fn status(is_failed: bool, is_done: bool, error: Option<&Name>) -> Option<Status> {
    let message = error.map(ToString::to_string).unwrap_or_default();
    match (is_failed, is_done) {
        (true, _) => Some(Status { message, code: ERROR }),
        (_, true) => Some(Status { message: String::new(), code: OK }),
        _ => None,
    }
}

fn visit_part(id: u64) -> String {
    format!("visit {id}")
}

fn visit_span(run: &Run, visit: &Visit, root: &[u8], last: Timestamp, critical: Micros, index: usize) -> Span {
    let arn = &run.execution.arn;
    let mut attributes = vec![
        KeyValue::text("stepscope.state.type", visit.kind.as_str()),
        KeyValue::text("stepscope.state.status", visit.status.as_str()),
        KeyValue::number("stepscope.critical_path_us", critical.0),
    ];
    attributes.extend(visit.error.iter().map(|it| KeyValue::text("error.type", it)));
    attributes.extend(visit.branch.map(|it| KeyValue::number("stepscope.branch", it.into())));
    attributes.extend(visit.iteration.map(|it| KeyValue::number("stepscope.iteration", it.into())));
    let children = run.execution.children.iter().filter(|(event, _)| run.visit_of_event(*event) == Some(index));
    let link = |child: &Name| Link { trace_id: trace_id(child), span_id: span_id(child, "execution") };
    let is_failed = matches!(visit.status, VisitStatus::Failed | VisitStatus::TimedOut | VisitStatus::Aborted);
    Span {
        trace_id: trace_id(arn),
        span_id: span_id(arn, &visit_part(visit.id)),
        parent_span_id: visit.parent.map_or_else(|| root.to_vec(), |it| span_id(arn, &visit_part(it))),
        name: visit.state.to_string(),
        kind: INTERNAL,
        start_time_unix_nano: nanos(visit.entered_at),
        end_time_unix_nano: nanos(visit.exited_at.unwrap_or(last)),
        attributes,
        links: children.map(|it| link(&it.1)).collect(),
        status: status(
            is_failed,
            matches!(visit.status, VisitStatus::Succeeded | VisitStatus::Caught),
            visit.error.as_ref(),
        ),
    }
}

fn attempt_spans(run: &Run, visit: &Visit, parent: &[u8], last: Timestamp) -> Vec<Span> {
    let arn = &run.execution.arn;
    let one = |(number, it): (i64, &analyzer::timeline::Attempt)| {
        let mut attributes = vec![KeyValue::number("stepscope.attempt", number)];
        attributes.extend(it.resource.iter().map(|it| KeyValue::text("stepscope.resource", it)));
        attributes.extend(it.error.iter().map(|it| KeyValue::text("error.type", it)));
        let is_failed = matches!(it.status, AttemptStatus::Failed | AttemptStatus::TimedOut | AttemptStatus::Aborted);
        Span {
            trace_id: trace_id(arn),
            span_id: span_id(arn, &format!("{} attempt {number}", visit_part(visit.id))),
            parent_span_id: parent.to_vec(),
            name: format!("{} attempt {number}", visit.state),
            kind: CLIENT,
            start_time_unix_nano: nanos(it.scheduled_at.or(it.started_at).unwrap_or(visit.entered_at)),
            end_time_unix_nano: nanos(it.ended_at.unwrap_or(last)),
            attributes,
            links: Vec::new(),
            status: status(is_failed, it.status == AttemptStatus::Succeeded, it.error.as_ref()),
        }
    };
    (1..).zip(&visit.attempts).map(one).collect()
}
