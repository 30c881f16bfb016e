//! EventBridge events: status changes of Standard executions.

use analyzer::model::{ExecutionRecord, Name, Status};
use serde_json::Value;

use super::fields::{as_count, as_time, text};
use super::seen;
use super::sink::Sink;

const STATUS_CHANGE: &str = "Step Functions Execution Status Change";

/// Whether this value is an event of EventBridge, ours or not.
pub(super) fn is_event(value: &Value) -> bool {
    text(value, "detail-type").is_some() && value.get("detail").is_some()
}

/// Sends a status change; other events are not ours.
pub(super) fn send(value: &Value, line: Option<u64>, sink: &mut Sink<'_>) {
    if text(value, "detail-type") != Some(STATUS_CHANGE) {
        let kind = text(value, "detail-type").unwrap_or_default();
        return sink.see(|| format!("EventBridge events of the type `{}`", seen::quoted(kind)));
    }
    let detail = &value["detail"];
    let Some(arn) = text(detail, "executionArn") else {
        sink.mark_likely();
        sink.quarantine(line, "status change event: no `executionArn`");
        return;
    };
    let record = ExecutionRecord {
        machine_arn: text(detail, "stateMachineArn").map(Name::from),
        status: text(detail, "status").and_then(Status::parse),
        started_at: detail.get("startDate").and_then(as_time),
        stopped_at: detail.get("stopDate").and_then(as_time),
        error: text(detail, "error").map(Name::from),
        version_arn: text(detail, "stateMachineVersionArn").map(Name::from),
        alias_arn: text(detail, "stateMachineAliasArn").map(Name::from),
        redrive_count: detail.get("redriveCount").and_then(as_count),
        ..ExecutionRecord::default()
    };
    sink.record(arn.into(), record, line);
}
