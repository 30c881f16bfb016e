//! Answers of the API about executions as a whole: listings, descriptions, synchronous results, Map Runs.

use std::collections::BTreeMap;

use analyzer::model::{ExecutionArn, ExecutionRecord, MapRunRecord, Name, Status};
use serde_json::Value;

use super::fields::{as_count, as_time, text};
use super::sink::Sink;

/// Whether this value describes one execution.
pub(super) fn is_description(value: &Value) -> bool {
    text(value, "executionArn").is_some()
        && (text(value, "status").is_some() || value.get("billingDetails").is_some())
        && value.get("startDate").is_some()
        && value.get("mapRunArn").and_then(Value::as_str).is_none_or(|_| value.get("stateMachineArn").is_some())
}

pub(super) fn is_map_run(value: &Value) -> bool {
    text(value, "mapRunArn").is_some()
        && text(value, "executionArn").is_some()
        && value.get("executionCounts").is_some()
}

/// Whether this value is a listing of executions or of Map Runs.
pub(super) fn is_listing(value: &Value) -> bool {
    let first = |key: &str| value.get(key).and_then(Value::as_array).and_then(|it| it.first());
    first("executions").is_some_and(|it| text(it, "executionArn").is_some())
        || first("mapRuns").is_some_and(|it| text(it, "mapRunArn").is_some())
}

/// Sends every entry of a listing.
pub(super) fn send_listing(value: &Value, folder: &str, line: Option<u64>, sink: &mut Sink<'_>) {
    sink.recognise();
    for entry in value.get("executions").and_then(Value::as_array).into_iter().flatten() {
        send_description(entry, folder, line, sink);
    }
    for entry in value.get("mapRuns").and_then(Value::as_array).into_iter().flatten() {
        send_map_run(entry, line, sink);
    }
}

/// Sends what a description tells of its execution.
pub(super) fn send_description(value: &Value, folder: &str, line: Option<u64>, sink: &mut Sink<'_>) {
    let Some(arn) = text(value, "executionArn") else { return };
    let execution_arn = identity(arn, text(value, "name"), value.get("billingDetails").is_some(), folder);
    sink.record(execution_arn, record(value), line);
}

/// An ARN that was masked before publication names nothing; such an execution is known by folder and name.
fn identity(arn: &str, name: Option<&str>, is_synchronous: bool, folder: &str) -> Name {
    match (ExecutionArn::parse(arn), name) {
        (None, Some(name)) if is_synchronous => {
            format!("arn:aws:states:local:000000000000:express:{folder}-express:{name}:{name}").into()
        }
        (None, Some(name)) => format!("arn:aws:states:local:000000000000:execution:{folder}:{name}").into(),
        _ => arn.into(),
    }
}

fn record(value: &Value) -> ExecutionRecord {
    ExecutionRecord {
        machine_arn: text(value, "stateMachineArn").map(Name::from),
        status: text(value, "status").and_then(Status::parse),
        started_at: value.get("startDate").and_then(as_time),
        stopped_at: value.get("stopDate").and_then(as_time),
        error: text(value, "error").map(Name::from),
        version_arn: text(value, "stateMachineVersionArn").map(Name::from),
        alias_arn: text(value, "stateMachineAliasArn").map(Name::from),
        map_run_arn: text(value, "mapRunArn").map(Name::from),
        redrive_count: value.get("redriveCount").and_then(as_count),
        billed_ms: value.pointer("/billingDetails/billedDurationInMilliseconds").and_then(as_count),
        billed_memory_mb: value.pointer("/billingDetails/billedMemoryUsedInMB").and_then(as_count),
        trace_id: text(value, "traceHeader").and_then(root_of_trace).map(Name::from),
        map_runs: BTreeMap::new(),
        has_next_page: false,
    }
}

/// The trace id of a header such as `Root=1-…;Sampled=1`.
fn root_of_trace(header: &str) -> Option<&str> {
    let is_id = |it: &&str| it.len() <= 64 && it.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-');
    header.split(';').find_map(|part| part.trim().strip_prefix("Root=")).filter(is_id)
}

/// Sends what is known of a Map Run to the execution that started it.
pub(super) fn send_map_run(value: &Value, line: Option<u64>, sink: &mut Sink<'_>) {
    let (Some(arn), Some(parent)) = (text(value, "mapRunArn"), text(value, "executionArn")) else {
        return;
    };
    let count = |key: &str| value.pointer(&format!("/executionCounts/{key}")).and_then(as_count);
    let run = MapRunRecord {
        status: text(value, "status").filter(|it| Status::parse(it).is_some()).map(Name::from),
        children_started: count("total").map(|total| total.saturating_sub(count("pending").unwrap_or(0))),
        redrive_count: value.get("redriveCount").and_then(as_count),
        max_concurrency: value.get("maxConcurrency").and_then(as_count),
    };
    let map_runs = BTreeMap::from([(Name::from(arn), run)]);
    sink.record(parent.into(), ExecutionRecord { map_runs, ..ExecutionRecord::default() }, line);
}
