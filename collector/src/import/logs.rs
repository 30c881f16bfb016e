//! Vended CloudWatch log messages, one history event each, in every envelope they travel in.

use analyzer::model::{Event, EventKind, ExecutionArn, Interner, LambdaReport, Name, Observation, Timestamp};
use serde_json::{Map, Value};

use super::Privacy;
use super::fields::{self, Head, as_count, as_time, text};
use super::lambda_report;
use super::sink::Sink;

/// Whether this value is one vended log message.
pub(super) fn is_message(value: &Value) -> bool {
    value.get("execution_arn").is_some_and(Value::is_string) && value.get("type").is_some_and(Value::is_string)
}

/// Sends one log message. `bytes` is its size as CloudWatch bills it.
pub(super) fn send(value: Value, bytes: usize, line: Option<u64>, privacy: &Privacy, sink: &mut Sink<'_>) {
    match read(value, bytes, privacy, &mut sink.names) {
        Ok((execution_arn, event)) => sink.event(execution_arn, event, line),
        Err(reason) => {
            sink.recognise();
            sink.quarantine(line, format!("log message: {reason}"));
        }
    }
}

fn read(value: Value, bytes: usize, privacy: &Privacy, names: &mut Interner) -> Result<(Name, Event), String> {
    let Value::Object(mut members) = value else {
        return Err("no object".to_owned());
    };
    let id = members.get("id").and_then(as_count).ok_or("no readable `id`")?;
    let previous = members.get("previous_event_id").and_then(as_count).unwrap_or(0);
    let at = members.get("event_timestamp").and_then(as_time).ok_or("no readable `event_timestamp`")?;
    let kind = EventKind::parse(members.get("type").and_then(Value::as_str).ok_or("no `type`")?);
    let arn = members.get("execution_arn").and_then(Value::as_str).ok_or("no `execution_arn`")?;
    let region = ExecutionArn::parse(arn).map(|it| it.region.to_owned());
    let execution_arn = names.intern(arn);
    let mut details = match members.remove("details") {
        Some(Value::Object(details)) => details,
        _ => Map::new(),
    };
    for key in ["id", "previous_event_id", "event_timestamp", "type", "execution_arn", "redrive_count"] {
        members.remove(key);
    }
    for (key, value) in members {
        details.entry(key).or_insert(value);
    }
    let mut event = fields::event(Head { id, previous, at, kind }, details, region.as_deref(), privacy, names);
    event.log_bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    Ok((execution_arn, event))
}

/// What a message of a log group turns out to be.
pub(crate) enum Message {
    Event(Name, Event),
    Report(LambdaReport),
    Damaged(String),
    Foreign,
}

/// Reads a message of a log group: a history event, a Lambda report, or something else that is not ours.
pub(crate) fn message(text: &str, at: Option<Timestamp>, privacy: &Privacy, names: &mut Interner) -> Message {
    let text = text.trim();
    if let Some((execution_arn, event)) = super::scan::message(text.as_bytes(), privacy, names) {
        return Message::Event(execution_arn, event);
    }
    match serde_json::from_str::<Value>(text) {
        Ok(value) if is_message(&value) => match read(value, text.len(), privacy, names) {
            Ok((execution_arn, event)) => Message::Event(execution_arn, event),
            Err(reason) => Message::Damaged(format!("log message: {reason}")),
        },
        Err(error) if text.starts_with('{') && text.contains("\"execution_arn\"") => {
            Message::Damaged(format!("log message: {error}"))
        }
        _ => lambda_report::read(text, at).map_or(Message::Foreign, Message::Report),
    }
}

/// Sends a message text out of an envelope.
pub(super) fn send_text(text: &str, line: Option<u64>, privacy: &Privacy, sink: &mut Sink<'_>) {
    match message(text, None, privacy, &mut sink.names) {
        Message::Event(execution_arn, event) => sink.event(execution_arn, event, line),
        Message::Report(it) => sink.observe(Observation::LambdaReport(Box::new(it)), line),
        Message::Damaged(reason) => {
            sink.recognise();
            sink.quarantine(line, reason);
        }
        Message::Foreign => {}
    }
}

/// Whether this value is an envelope around log messages.
pub(super) fn is_envelope(value: &Value) -> bool {
    messages(value).is_some_and(|it| it.first().is_some_and(is_enveloped))
        || value
            .get("results")
            .and_then(Value::as_array)
            .is_some_and(|rows| rows.iter().any(|row| insights_message(row).is_some()))
}

fn is_enveloped(value: &Value) -> bool {
    value.get("message").is_some_and(Value::is_string)
}

/// The messages of `filter-log-events` and `get-log-events` output, or of a subscription's envelope.
fn messages(value: &Value) -> Option<&Vec<Value>> {
    value.get("logEvents").or_else(|| value.get("events")).and_then(Value::as_array)
}

/// Sends every message of an envelope.
pub(super) fn send_envelope(value: &Value, line: Option<u64>, privacy: &Privacy, sink: &mut Sink<'_>) {
    sink.mark_used();
    for message in messages(value).into_iter().flatten() {
        if let Some(message) = text(message, "message") {
            send_text(message, line, privacy, sink);
        }
    }
    for row in value.get("results").and_then(Value::as_array).into_iter().flatten() {
        if let Some(message) = insights_message(row) {
            send_text(message, line, privacy, sink);
        }
    }
}

/// The `@message` field of one row of a Logs Insights answer.
fn insights_message(row: &Value) -> Option<&str> {
    let field = row.as_array()?.iter().find(|it| text(it, "field") == Some("@message"))?;
    text(field, "value")
}
