//! The members of an event's details, which the history and the logs name alike.

use analyzer::model::{Detail, Event, EventKind, Interner, Name, PayloadField, Timestamp, entered_id};
use serde_json::{Map, Value};

use super::Privacy;
use super::harmless::{ERROR, INDEX, Kept, LENGTH, MAP_RUN, NAME, REDRIVE_COUNT, RESOURCE, STARTED, STATE};

/// The head of an event: what both forms carry, each under its own key.
pub(crate) struct Head {
    pub(crate) id: u64,
    pub(crate) previous: u64,
    pub(crate) at: Timestamp,
    pub(crate) kind: EventKind,
}

/// Builds an event from its head and its details. `region` is the execution's own and need not be repeated.
pub(crate) fn event(
    head: Head,
    details: Map<String, Value>,
    region: Option<&str>,
    privacy: &Privacy,
    names: &mut Interner,
) -> Event {
    let Head { id, previous, at, kind } = head;
    let kind = privacy.kind(kind);
    let kept = Kept::of(&kind, privacy.payloads);
    let mut event =
        Event { id, previous, at, kind, name: None, resource: None, number: None, log_bytes: 0, detail: None };
    let mut detail = Detail::default();
    let mut rest = Map::new();
    let mut resource_type = None;
    for (key, value) in details {
        match (key.as_str(), value) {
            ("name", Value::String(it)) if kept.has(NAME) => event.name = Some(names.intern(&it)),
            ("state", Value::String(it)) if kept.has(STATE) => event.name = Some(names.intern(&it)),
            ("resource", Value::String(it)) if kept.has(RESOURCE) => event.resource = Some(names.intern(&it)),
            ("resourceType", Value::String(it)) if kept.has(RESOURCE) => resource_type = Some(it),
            ("region", Value::String(it)) if region == Some(it.as_str()) => {}
            ("error", Value::String(it)) if kept.has(ERROR) => {
                detail.error = Some(names.intern(&privacy.blotted_text(&it)));
            }
            (key @ ("index" | "length" | "redriveCount"), value)
                if as_count(&value).is_some() && kept.has(number_named(key)) =>
            {
                event.number = as_count(&value);
            }
            ("mapRunArn", Value::String(it)) if kept.has(MAP_RUN) && kept.is_arn(&it) => {
                detail.map_run_arn = Some(it.into());
            }
            ("stateMachineVersionArn", Value::String(it)) if kept.has(STARTED) && kept.is_arn(&it) => {
                detail.version_arn = Some(names.intern(&it));
            }
            ("inputDetails" | "outputDetails" | "assignedVariablesDetails", it) if !is_truncated(&it) => {}
            ("assignedVariables", it @ Value::Object(_)) if kept.is_known() => {
                detail.payloads.extend(privacy.apply(PayloadField::AssignedVariables, &it.to_string()));
            }
            (key, Value::String(it)) if kept.is_known() && PayloadField::parse(key).is_some() => {
                if let Some(field) = PayloadField::parse(key) {
                    if event.kind == EventKind::EvaluationFailed && field == PayloadField::Cause {
                        event.number = entered_id(&it);
                    }
                    note_child(&event, &mut detail, resource_type.as_deref(), field, &it);
                    if event.kind == EventKind::ExecutionStarted && field == PayloadField::Input {
                        event.number = Some(privacy.fingerprint(&it));
                    }
                    detail.payloads.extend(privacy.apply(field, &it));
                    detail.payloads.extend(privacy.keys_of(&event.kind, field, &it));
                }
            }
            (_, value) => {
                if let Some(value) = kept.rest(&key, value) {
                    rest.insert(key, value);
                }
            }
        }
    }
    if let Some(kind) = resource_type {
        let action = event.resource.as_deref().unwrap_or_default();
        if kind != "states" {
            detail.child_execution_arn = None;
        }
        event.resource = Some(names.intern(&format!("{kind}:{action}")));
    } else {
        detail.child_execution_arn = None;
    }
    if detail.child_execution_arn.as_ref().is_some_and(|it| !kept.is_execution_arn(it)) {
        detail.child_execution_arn = None;
    }
    if event.kind == EventKind::ExecutionStarted && rest.contains_key("inputDetails") {
        // Of an input that was cut off, nothing tells whether it is the same as another.
        event.number = None;
    }
    if !rest.is_empty() {
        rest.sort_keys();
        detail.rest = Some(privacy.blotted_text(&Value::Object(rest).to_string()).into_boxed_str());
    }
    detail.payloads.sort_by_key(|it| it.field);
    event.detail = (detail != Detail::default()).then(|| Box::new(detail));
    event
}

fn number_named(key: &str) -> u16 {
    match key {
        "index" => INDEX,
        "length" => LENGTH,
        _ => REDRIVE_COUNT,
    }
}

/// The answer of a call to Step Functions names the execution it started.
fn note_child(event: &Event, detail: &mut Detail, resource_type: Option<&str>, field: PayloadField, body: &str) {
    let may_name_one = matches!(event.kind, EventKind::TaskSubmitted | EventKind::TaskSucceeded);
    if field == PayloadField::Output && may_name_one && resource_type.is_none_or(|it| it == "states") {
        detail.child_execution_arn = serde_json::from_str::<Value>(body)
            .ok()
            .and_then(|it| it.get("ExecutionArn").and_then(Value::as_str).map(Name::from));
    }
}

/// `truncated` is a boolean, in some republished logs a text.
fn is_truncated(value: &Value) -> bool {
    match value.get("truncated") {
        Some(Value::Bool(it)) => *it,
        Some(Value::String(it)) => it != "false",
        Some(_) => true,
        None => !value.as_object().is_some_and(|it| it.keys().all(|key| key == "included" || key == "__type")),
    }
}

/// A whole number, also one that is written as a text.
pub(super) fn as_count(value: &Value) -> Option<u64> {
    match value {
        Value::Number(it) => it.as_u64().or_else(|| it.as_f64().and_then(whole)),
        Value::String(it) if !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()) => {
            Some(it.parse().unwrap_or(u64::MAX))
        }
        _ => None,
    }
}

/// A whole number that a tool wrote as a floating-point one; one beyond 64 bits becomes the largest, which no bound lets pass.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and the sign is checked"
)]
fn whole(number: f64) -> Option<u64> {
    (number >= 0.0 && number.fract() == 0.0).then_some(number as u64)
}

/// A point in time in any of the forms that AWS tools print.
pub(super) fn as_time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(it) => analyzer::time::parse(it),
        Value::Number(it) => analyzer::time::parse_number(&it.to_string()),
        _ => None,
    }
}

pub(super) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}
