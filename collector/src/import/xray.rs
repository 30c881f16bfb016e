//! X-Ray traces and segment documents.

use analyzer::model::{Name, Observation, Segment};
use serde_json::Value;

use super::Privacy;
use super::fields::{as_time, text};
use super::sink::Sink;
use crate::limits::MAX_SEGMENT_BYTES;

/// Whether this value is a segment document.
pub(super) fn is_segment(value: &Value) -> bool {
    value.get("start_time").is_some() && text(value, "id").is_some() && text(value, "name").is_some()
}

/// Whether this value is one trace, or the answer of `BatchGetTraces`.
pub(super) fn is_trace(value: &Value) -> bool {
    value.get("Traces").is_some_and(Value::is_array) || value.get("Segments").is_some_and(Value::is_array)
}

/// Sends every segment of a trace or of many.
pub(super) fn send_traces(value: &Value, line: Option<u64>, privacy: &Privacy, sink: &mut Sink<'_>) {
    let is_empty = |key: &str| value.get(key).and_then(Value::as_array).is_none_or(Vec::is_empty);
    if is_empty("Traces") && is_empty("Segments") {
        sink.mark_used();
    } else {
        sink.recognise();
    }
    for trace in value.get("Traces").and_then(Value::as_array).into_iter().flatten() {
        send_traces(trace, line, privacy, sink);
    }
    for entry in value.get("Segments").and_then(Value::as_array).into_iter().flatten() {
        match entry.get("Document") {
            // The API wraps each document into a text.
            Some(Value::String(document)) if document.len() > MAX_SEGMENT_BYTES => {
                let size = document.len();
                sink.quarantine(
                    line,
                    format!("segment document: {size} bytes are more than {MAX_SEGMENT_BYTES} (`MAX_SEGMENT_BYTES`)"),
                );
            }
            Some(Value::String(document)) => match serde_json::from_str(document) {
                Ok(document) => send_segment(document, line, privacy, sink),
                Err(error) => sink.quarantine(line, format!("segment document: {error}")),
            },
            Some(document) => send_segment(document.clone(), line, privacy, sink),
            None => send_segment(entry.clone(), line, privacy, sink),
        }
    }
}

/// Sends one segment document.
pub(super) fn send_segment(value: Value, line: Option<u64>, privacy: &Privacy, sink: &mut Sink<'_>) {
    match segment(value, privacy) {
        Some(it) => sink.observe(Observation::Segment(Box::new(it)), line),
        None => sink.quarantine(line, "segment document: no `id`, `name` or readable `start_time`"),
    }
}

/// Reads a segment document; `None` where it lacks what makes it one.
pub(crate) fn segment(mut value: Value, privacy: &Privacy) -> Option<Segment> {
    privacy.segment(&mut value);
    let started_at = value.get("start_time").and_then(as_time)?;
    let arns = ["/aws/resource_arn", "/aws/execution_arn", "/resource_arn"];
    let mut arns = arns.iter().filter_map(|it| value.pointer(it).and_then(Value::as_str));
    let execution_arn = arns.find(|it| it.contains(":execution:") || it.contains(":express:"));
    Some(Segment {
        trace_id: text(&value, "trace_id").map(Name::from),
        id: text(&value, "id")?.into(),
        parent_id: text(&value, "parent_id").map(Name::from),
        name: text(&value, "name")?.into(),
        origin: text(&value, "origin").map(Name::from),
        started_at,
        ended_at: value.get("end_time").and_then(as_time),
        execution_arn: execution_arn.map(Name::from),
        document: value.to_string().into_boxed_str(),
    })
}
