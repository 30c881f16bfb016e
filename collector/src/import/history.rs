//! Execution histories: `{"events": […]}` as the CLI, the SDKs and the console's export print them.

use analyzer::model::{Event, EventKind, Interner, Name};
use serde_json::{Map, Value};

use super::Privacy;
use super::fields::{self, Head, as_count, as_time, text};
use super::sink::Sink;

/// Whether this value is one event of a history.
pub(super) fn is_event(value: &Value) -> bool {
    value.get("type").is_some_and(Value::is_string)
        && value.get("id").is_some()
        && value.get("timestamp").is_some()
        && !value.as_object().is_some_and(|it| it.contains_key("detail-type"))
}

/// Where events stand: the line that their list begins in, and how many came before them.
#[derive(Clone, Copy, Default)]
pub(super) struct Position {
    pub(super) line: Option<u64>,
    pub(super) first_item: u64,
}

/// Sends the events of one execution; a damaged one is set aside with its position.
pub(super) fn send_events(
    events: Vec<Value>,
    execution_arn: &Name,
    at: Position,
    privacy: &Privacy,
    sink: &mut Sink<'_>,
) {
    if events.is_empty() {
        sink.mark_used();
    } else {
        sink.recognise();
    }
    let region = analyzer::model::ExecutionArn::parse(execution_arn).map(|it| it.region.to_owned());
    for (position, value) in (at.first_item + 1..).zip(events) {
        match event(value, region.as_deref(), privacy, &mut sink.names) {
            Ok(event) => sink.event(execution_arn.clone(), event, at.line),
            Err(reason) => sink.quarantine(at.line, format!("event {position} of the history: {reason}")),
        }
    }
}

fn event(value: Value, region: Option<&str>, privacy: &Privacy, names: &mut Interner) -> Result<Event, String> {
    let id = value.get("id").and_then(as_count).ok_or("no `id`")?;
    let at = value.get("timestamp").and_then(as_time).ok_or("no readable `timestamp`")?;
    let kind = EventKind::parse(text(&value, "type").ok_or("no `type`")?);
    let previous = value.get("previousEventId").and_then(as_count).unwrap_or(0);
    let Value::Object(members) = value else {
        return Err("no object".to_owned());
    };
    let mut details = Map::new();
    for (key, value) in members {
        match (key.as_str(), value) {
            ("id" | "timestamp" | "type" | "previousEventId", _) => {}
            (key, Value::Object(inner)) if (key == "eventDetails" || key.ends_with("EventDetails")) => {
                details.extend(inner);
            }
            (_, value) => {
                // A member that stands beside the details, such as a `name` that a tool added.
                if !details.contains_key(&key) {
                    details.insert(key, value);
                }
            }
        }
    }
    Ok(fields::event(Head { id, previous, at, kind }, details, region, privacy, names))
}
