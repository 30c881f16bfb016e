//! What do executions look like? A history whose times count from its start, ready to be printed for any execution.

use collector::synthetic::{Plan, Random, Started, history_json, simulate, xray_documents};
use serde_json::{Map, Value, json};

/// Stands for the execution's own ARN, and for that of the Map Run that it starts.
const SELF_ARN: &str = "$SELF";
pub(crate) const MAP_RUN_ARN: &str = "$MAPRUN";
/// Where simulated executions start.
const ORIGIN_MS: i64 = 1_000_000_000_000;

/// One event, as the history and as the log have it.
pub(crate) struct TemplateEvent {
    pub(crate) offset_us: i64,
    pub(crate) id: u64,
    pub(crate) kind: String,
    /// Everything behind the timestamp, with and without the users' data.
    history: [String; 2],
    details: [String; 2],
    previous: u64,
}

/// The course of an execution.
pub(crate) struct Template {
    pub(crate) events: Vec<TemplateEvent>,
    /// Segments of its trace, whose times count from the start, too.
    pub(crate) documents: Vec<Value>,
}

impl Template {
    /// A run of a plan, by chance.
    pub(crate) fn of_plan(plan: &Plan, random: &mut Random) -> Self {
        let run = simulate(plan, ORIGIN_MS, random);
        let started = Started { execution_arn: SELF_ARN.to_owned(), run, payload: 40 };
        let documents = xray_documents(&started);
        let mut history = history_json(&started);
        let events = history["events"].as_array_mut().map(std::mem::take).unwrap_or_default();
        Self { documents, ..Self::of_events(&events) }
    }

    /// Events as `get-execution-history` prints them; the first begins the execution.
    pub(crate) fn of_events(events: &[Value]) -> Self {
        let at = |it: &Value| it["timestamp"].as_str().and_then(analyzer::time::parse).map_or(0, |it| it.0);
        let start = events.first().map_or(0, at);
        let events = events.iter().map(|it| TemplateEvent::of(it, at(it) - start)).collect();
        Self { events, documents: Vec::new() }
    }

    /// Events from their milliseconds, types and details.
    pub(crate) fn of_steps(steps: &[(i64, &str, Value)]) -> Self {
        let event = |(index, (ms, kind, details)): (usize, &(i64, &str, Value))| {
            let at = analyzer::time::format(analyzer::model::Timestamp::from_millis(ORIGIN_MS + ms));
            let mut event = json!({"timestamp": at, "type": kind, "id": index + 1, "previousEventId": index});
            if !details.is_null() {
                event[details_key(kind)] = details.clone();
            }
            event
        };
        Self::of_events(&steps.iter().enumerate().map(event).collect::<Vec<_>>())
    }

    /// The end of the last event that closes the execution before a time, with that event's type.
    pub(crate) fn closed_at(&self, elapsed_us: i64) -> Option<(i64, &str)> {
        let seen = self.events.iter().take_while(|it| it.offset_us <= elapsed_us);
        let last = seen.last()?;
        let is_closing = matches!(
            last.kind.as_str(),
            "ExecutionSucceeded" | "ExecutionFailed" | "ExecutionAborted" | "ExecutionTimedOut"
        );
        is_closing.then_some((last.offset_us, last.kind.as_str()))
    }
}

impl TemplateEvent {
    fn of(event: &Value, offset_us: i64) -> Self {
        let kind = event["type"].as_str().unwrap_or_default().to_owned();
        let key = event.as_object().and_then(|it| it.keys().find(|it| it.ends_with("EventDetails")).cloned());
        let details = key.as_ref().map_or_else(|| json!({}), |key| event[key].clone());
        let bare = without_data(&details);
        let tail = |details: &Value| {
            let mut rest = Map::new();
            for (name, it) in event.as_object().into_iter().flatten().filter(|it| it.0 != "timestamp") {
                let it = if Some(name) == key.as_ref() { details } else { it };
                rest.insert(name.clone(), it.clone());
            }
            Value::Object(rest).to_string()[1..].to_owned()
        };
        Self {
            offset_us,
            id: event["id"].as_u64().unwrap_or(0),
            previous: event["previousEventId"].as_u64().unwrap_or(0),
            history: [tail(&bare), tail(&details)],
            details: [bare.to_string(), details.to_string()],
            kind,
        }
    }

    /// The event of an execution that started then.
    pub(crate) fn history(&self, start_us: i64, map_run_arn: Option<&str>, with_data: bool) -> String {
        let us = start_us + self.offset_us;
        let text = &self.history[usize::from(with_data)];
        let text = map_run_arn.map_or_else(|| text.clone(), |it| text.replace(MAP_RUN_ARN, it));
        format!("{{\"timestamp\":{}.{:06},{text}", us / 1_000_000, us % 1_000_000)
    }

    /// The log message of the same event.
    pub(crate) fn message(&self, start_us: i64, execution_arn: &str, with_data: bool) -> String {
        format!(
            "{{\"id\":\"{}\",\"type\":\"{}\",\"details\":{},\"previous_event_id\":\"{}\",\"event_timestamp\":\"{}\",\"execution_arn\":\"{execution_arn}\",\"redrive_count\":\"0\"}}",
            self.id,
            self.kind,
            self.details[usize::from(with_data)],
            self.previous,
            (start_us + self.offset_us) / 1_000
        )
    }
}

/// What is left of details when execution data is not included.
fn without_data(details: &Value) -> Value {
    let mut bare = details.clone();
    if let Some(fields) = bare.as_object_mut() {
        for key in ["input", "output", "parameters", "inputDetails", "outputDetails"] {
            fields.remove(key);
        }
    }
    bare
}

fn details_key(kind: &str) -> String {
    if kind.ends_with("StateEntered") {
        return "stateEnteredEventDetails".to_owned();
    }
    if kind.ends_with("StateExited") {
        return "stateExitedEventDetails".to_owned();
    }
    let (first, rest) = kind.split_at(1);
    format!("{}{rest}EventDetails", first.to_lowercase())
}
