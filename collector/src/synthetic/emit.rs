//! Simulated executions in the forms that AWS emits.

use std::fmt::Write;

use analyzer::model::{Event, EventKind, Interner, Name, Observation, Timestamp};
use serde_json::{Map, Value, json};

use super::plan::Call;
use super::simulate::Raw;
use super::workload::Started;

const ROLE: &str = "arn:aws:iam::123456789012:role/stepscope-demo";

/// The events of an execution as observations, without payloads.
pub fn observations(started: &Started, names: &mut Interner) -> Vec<Observation> {
    let execution_arn = Name::from(started.execution_arn.as_str());
    let event = |raw: &Raw, names: &mut Interner| {
        let mut event = Event {
            id: raw.id,
            previous: raw.previous,
            at: Timestamp::from_millis(raw.at),
            kind: EventKind::parse(raw.kind),
            name: raw.name.map(|it| names.intern(it)),
            resource: resource(raw).map(|(kind, action)| {
                names.intern(&if kind.is_empty() { action.clone() } else { format!("{kind}:{action}") })
            }),
            number: raw.number,
            log_bytes: 0,
            detail: None,
        };
        if let Some(error) = raw.error {
            event.detail_mut().error = Some(names.intern(error));
        }
        event
    };
    started
        .run
        .events
        .iter()
        .map(|it| Observation::Event { execution_arn: execution_arn.clone(), event: event(it, names) })
        .collect()
}

/// Service and action of the events that name them.
fn resource(raw: &Raw) -> Option<(&'static str, String)> {
    let call = raw.call?;
    Some(match call {
        Call::Invoke => ("lambda", "invoke".to_owned()),
        Call::Service(kind, action) => (kind, action.to_owned()),
        Call::Job(kind, action) => (kind, format!("{action}.sync")),
        Call::Token(kind, action) => (kind, format!("{action}.waitForTaskToken")),
        Call::Function if raw.kind.ends_with("Scheduled") => {
            ("", "arn:aws:lambda:us-east-1:123456789012:function:prepare".to_owned())
        }
        Call::Activity if raw.kind.ends_with("Scheduled") => {
            ("", "arn:aws:states:us-east-1:123456789012:activity:work".to_owned())
        }
        Call::Function | Call::Activity => return None,
    })
}

/// The members of an event's details, in the order in which AWS writes them.
fn details(raw: &Raw, payload: &str) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut put = |key: &str, value: Value| {
        fields.insert(key.to_owned(), value);
    };
    let whole = json!({"truncated": false});
    if raw.kind == "ExecutionStarted" || raw.kind.ends_with("StateEntered") || raw.kind == "LambdaFunctionScheduled" {
        put("input", payload.into());
        put("inputDetails", whole.clone());
    }
    if raw.kind == "ExecutionStarted" {
        put("roleArn", ROLE.into());
    }
    if let Some(error) = raw.error {
        put("cause", "the call did not succeed".into());
        put("error", error.into());
    }
    if let Some(number) = raw.number {
        let key = match raw.kind {
            "ExecutionRedriven" => "redriveCount",
            kind if kind.starts_with("MapIteration") => "index",
            _ => "length",
        };
        put(key, number.into());
    }
    if let Some(name) = raw.name {
        put("name", name.into());
    }
    if raw.kind.ends_with("StateExited")
        || raw.kind == "ExecutionSucceeded"
        || (raw.kind.ends_with("Succeeded") && raw.call.is_some())
    {
        put("output", payload.into());
        put("outputDetails", whole);
    }
    if let Some((kind, action)) = resource(raw) {
        if raw.kind == "TaskScheduled" {
            put("parameters", payload.into());
            put("region", "us-east-1".into());
        }
        put("resource", action.into());
        if !kind.is_empty() {
            put("resourceType", kind.into());
        }
    }
    fields
}

/// A payload of about so many characters that looks like one.
fn payload(size: usize, number: u64) -> String {
    let mut text = format!("{{\"id\":\"{number:08}\",\"items\":[");
    let mut item = 0;
    while text.len() + 40 < size {
        let _ = write!(
            text,
            "{}{{\"sku\":\"SKU-{:05}\",\"count\":{}}}",
            if item > 0 { "," } else { "" },
            (number * 31 + item) % 100_000,
            item % 9 + 1
        );
        item += 1;
    }
    text.push_str("]}");
    text
}

/// The log messages of an execution, one line each, as a log group at level ALL with execution data has them.
pub fn log_lines(started: &Started, out: &mut Vec<(i64, String)>) {
    let payload = payload(started.payload, started.run.started_ms.cast_unsigned() % 1_000_000);
    for raw in &started.run.events {
        let details = Value::Object(details(raw, &payload)).to_string();
        out.push((
            raw.at,
            format!(
                "{{\"id\":\"{}\",\"type\":\"{}\",\"details\":{details},\"previous_event_id\":\"{}\",\"event_timestamp\":\"{}\",\"execution_arn\":\"{}\",\"redrive_count\":\"0\"}}",
                raw.id, raw.kind, raw.previous, raw.at, started.execution_arn
            ),
        ));
    }
}

/// The history of an execution, as `get-execution-history` prints it.
pub fn history_json(started: &Started) -> Value {
    let payload = payload(started.payload, started.run.started_ms.cast_unsigned() % 1_000_000);
    let event = |raw: &Raw| {
        let mut event = Map::new();
        event.insert("timestamp".to_owned(), analyzer::time::format(Timestamp::from_millis(raw.at)).into());
        event.insert("type".to_owned(), raw.kind.into());
        event.insert("id".to_owned(), raw.id.into());
        event.insert("previousEventId".to_owned(), raw.previous.into());
        let details = details(raw, &payload);
        if !details.is_empty() {
            event.insert(details_key(raw.kind), Value::Object(details));
        }
        Value::Object(event)
    };
    json!({"events": started.run.events.iter().map(event).collect::<Vec<_>>(), "executionArn": started.execution_arn})
}

/// `TaskStateEntered` has its details under `stateEnteredEventDetails`, `TaskFailed` under `taskFailedEventDetails`.
fn details_key(kind: &str) -> String {
    if kind.ends_with("StateEntered") {
        return "stateEnteredEventDetails".to_owned();
    }
    if kind.ends_with("StateExited") {
        return "stateExitedEventDetails".to_owned();
    }
    let mut letters = kind.chars();
    let first = letters.next().map(|it| it.to_ascii_lowercase()).unwrap_or_default();
    format!("{first}{}EventDetails", letters.as_str())
}
