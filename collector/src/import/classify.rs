//! Of which form is a value, and which module reads it?

use analyzer::asl::is_definition;
use analyzer::model::{ExecutionArn, ExecutionRecord, Name, Observation};
use serde_json::Value;

use super::fields::text;
use super::history::Position;
use super::records::{Receive, Record};
use super::sink::Sink;
use super::{
    Format, ImportOptions, definition, eventbridge, executions, history, lambda_report, logs, metrics, scan, seen,
    tags, xray,
};
use crate::limits::MAX_HELD_BYTES;

/// What answers without content have next to their empty list.
const AROUND_NOTHING: [&str; 20] = [
    "nextToken",
    "NextToken",
    "nextForwardToken",
    "nextBackwardToken",
    "searchedLogStreams",
    "statistics",
    "status",
    "queryLanguage",
    "UnprocessedTraceIds",
    "TracesProcessedCount",
    "Messages",
    "ResponseMetadata",
    "executionArn",
    "execution",
    "Label",
    "messageType",
    "owner",
    "logGroup",
    "logStream",
    "subscriptionFilters",
];

/// The file that records come from, as far as it names executions and definitions.
pub(super) struct Place<'a> {
    pub(super) options: &'a ImportOptions,
    pub(super) folder: String,
    pub(super) stem: String,
    /// The ARN from a `describe-execution` document beside the file.
    pub(super) described_arn: Option<String>,
}

/// Receives the records of one file.
pub(super) struct Receiver<'a, 'b> {
    place: &'a Place<'a>,
    sink: &'a mut Sink<'b>,
    /// Parts of a history that may name its execution at its end.
    held: Vec<(String, Position)>,
    n_held: usize,
    /// They became too many, and the rest went in under the name of the file.
    gave_up: bool,
}

impl<'a, 'b> Receiver<'a, 'b> {
    pub(super) fn new(place: &'a Place<'a>, sink: &'a mut Sink<'b>) -> Self {
        Self { place, sink, held: Vec::new(), n_held: 0, gave_up: false }
    }
}

impl Receive for Receiver<'_, '_> {
    fn line(&mut self, line: &[u8], number: u64) -> bool {
        if !self.accepts(Format::Logs) || line.first() != Some(&b'{') {
            return false;
        }
        match scan::message(line, &self.place.options.privacy, &mut self.sink.names) {
            Some((execution_arn, event)) => {
                self.sink.event(execution_arn, event, Some(number));
                true
            }
            None => false,
        }
    }

    fn record(&mut self, record: Record<'_>, line: u64) {
        match record {
            Record::Value { value, text } => self.value(value, text, Position { line: Some(line), first_item: 0 }),
            Record::Piece { value, first_item } => self.piece(value, Position { line: Some(line), first_item }),
            Record::Text(text) => self.text(text, line),
            Record::Damaged(reason) => self.sink.quarantine(Some(line), reason),
            Record::Refused(reason) => self.sink.cut(Some(line), reason),
        }
    }

    fn ended(&mut self) {
        let held = std::mem::take(&mut self.held);
        let named = held.iter().rev().filter_map(|(text, _)| serde_json::from_str::<Value>(text).ok());
        let arn = named.map(|it| self.known_arn(&it)).find(Option::is_some).flatten();
        let arn = arn.unwrap_or_else(|| self.arn_of_file());
        for (text, at) in held {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                self.history(value, &arn, at);
            }
        }
        (self.n_held, self.gave_up) = (0, false);
    }

    fn wants_more(&self) -> bool {
        !self.sink.is_stopped()
    }
}

impl Receiver<'_, '_> {
    fn accepts(&self, format: Format) -> bool {
        self.place.options.format.is_none_or(|it| it == format)
    }

    /// A line without JSON is a Lambda report or not ours.
    fn text(&mut self, text: &str, line: u64) {
        let at =
            text.split_whitespace().find_map(|word| (word.len() >= 10).then(|| analyzer::time::parse(word)).flatten());
        if let Some(report) = lambda_report::read(text, at) {
            self.sink.observe(Observation::LambdaReport(Box::new(report)), Some(line));
        }
    }

    /// A part of a long document. Of a list of documents the first may go on with what was held back, and the last may go
    /// on in the next part.
    fn piece(&mut self, value: Value, at: Position) {
        let Value::Array(items) = value else { return self.part(value, at) };
        let is_list_of_histories = self.accepts(Format::History) && items.iter().any(is_history);
        if self.held.is_empty() && !is_list_of_histories {
            return self.value(Value::Array(items), "", at);
        }
        let n_items = items.len();
        for (index, item) in items.into_iter().filter(Value::is_object).enumerate() {
            let is_last = index + 1 == n_items;
            let ends_here = !self.held.is_empty() && (!is_last || self.known_arn(&item).is_some());
            if ends_here {
                self.hold(&item, at);
                self.ended();
            } else if is_last {
                self.part(item, at);
            } else {
                let source =
                    if is_definition(&item) || logs::is_message(&item) { item.to_string() } else { String::new() };
                self.value(item, &source, Position { first_item: 0, ..at });
            }
        }
    }

    /// A part of one. Where only its end may say which execution a history belongs to, it waits for that.
    fn part(&mut self, value: Value, at: Position) {
        let waits = !self.held.is_empty() || (self.accepts(Format::History) && value.is_object() && is_history(&value));
        if !waits {
            return self.value(value, "", at);
        }
        if let Some(arn) = self.known_arn(&value).filter(|_| self.held.is_empty()) {
            return self.history(value, &arn, at);
        }
        if self.gave_up {
            let arn = self.arn_of_file();
            return self.history(value, &arn, at);
        }
        self.hold(&value, at);
        if self.n_held > MAX_HELD_BYTES {
            self.ended();
            self.gave_up = true;
            let size = MAX_HELD_BYTES >> 20;
            let reason = format!(
                "no `executionArn` in the first {size} MiB (`MAX_HELD_BYTES`): the history is stored under the name of the file"
            );
            self.sink.quarantine(at.line, reason);
        }
    }

    fn hold(&mut self, value: &Value, at: Position) {
        let text = value.to_string();
        self.n_held += text.len();
        self.held.push((text, at));
    }

    fn value(&mut self, value: Value, source: &str, at: Position) {
        let line = at.line;
        let privacy = &self.place.options.privacy;
        if self.accepts(Format::Logs) && logs::is_message(&value) {
            logs::send(value, source.trim().len(), line, privacy, self.sink);
        } else if self.accepts(Format::Logs) && logs::is_envelope(&value) {
            logs::send_envelope(&value, line, privacy, self.sink);
        } else if self.accepts(Format::History) && is_history(&value) {
            let arn = self.known_arn(&value).unwrap_or_else(|| self.arn_of_file());
            self.history(value, &arn, at);
        } else if self.accepts(Format::EventBridge) && eventbridge::is_event(&value) {
            eventbridge::send(&value, line, self.sink);
        } else if self.accepts(Format::Definition) && definition::is_description(&value) {
            definition::send_description(&value, line, self.sink);
        } else if self.accepts(Format::Definition) && is_definition(&value) {
            let text = if source.is_empty() { value.to_string() } else { source.to_owned() };
            definition::send_text(&text, &self.place.stem, self.place.options.state_machine_arn.as_deref(), self.sink);
        } else if self.accepts(Format::Xray) && xray::is_trace(&value) {
            xray::send_traces(&value, line, privacy, self.sink);
        } else if self.accepts(Format::Xray) && xray::is_segment(&value) {
            xray::send_segment(value, line, privacy, self.sink);
        } else if self.accepts(Format::Executions) && executions::is_map_run(&value) {
            executions::send_map_run(&value, line, self.sink);
        } else if self.accepts(Format::Executions) && executions::is_description(&value) {
            executions::send_description(&value, &self.place.folder, line, self.sink);
        } else if self.accepts(Format::Executions) && executions::is_listing(&value) {
            executions::send_listing(&value, &self.place.folder, line, self.sink);
        } else if self.accepts(Format::Executions) && tags::is_tags(&value) {
            tags::send(&value, self.place.options.state_machine_arn.as_deref(), line, self.sink);
        } else if self.accepts(Format::Executions) && metrics::is_metrics(&value) {
            metrics::send(&value, self.place.options.state_machine_arn.as_deref(), line, self.sink);
        } else if is_empty_answer(&value, self.place.options.format) {
            self.sink.mark_used();
        } else {
            self.sink.see(|| seen::value(&value));
            if let Value::Array(items) = value {
                self.array(items, at);
            }
        }
    }

    /// A bare array: the events of one history, or a list of anything else.
    fn array(&mut self, items: Vec<Value>, at: Position) {
        if self.accepts(Format::History) && items.first().is_some_and(history::is_event) {
            let arn = self.known_arn(&Value::Null).unwrap_or_else(|| self.arn_of_file());
            return history::send_events(items, &arn, at, &self.place.options.privacy, self.sink);
        }
        for item in items.into_iter().filter(Value::is_object) {
            let source = if is_definition(&item) || logs::is_message(&item) { item.to_string() } else { String::new() };
            self.value(item, &source, Position { first_item: 0, ..at });
        }
    }

    fn history(&mut self, mut value: Value, arn: &Name, at: Position) {
        if let Some(description) = value.get("execution").filter(|it| executions::is_description(it)) {
            executions::send_description(description, &self.place.folder, at.line, self.sink);
        }
        if ["nextToken", "NextToken"].iter().any(|it| text(&value, it).is_some_and(|it| !it.is_empty())) {
            let record = ExecutionRecord { has_next_page: true, ..ExecutionRecord::default() };
            self.sink.record(arn.clone(), record, at.line);
        }
        let events = match value.get_mut("events").map(Value::take) {
            Some(Value::Array(events)) => events,
            _ => vec![value],
        };
        history::send_events(events, arn, at, &self.place.options.privacy, self.sink);
    }

    /// Whose history is it? The option, the document itself or a description beside it says so, else the file's own name.
    fn known_arn(&self, value: &Value) -> Option<Name> {
        let inside =
            text(value, "executionArn").or_else(|| value.get("execution").and_then(|it| text(it, "executionArn")));
        let known = self.place.options.execution_arn.as_deref().or(inside).or(self.place.described_arn.as_deref());
        known.filter(|it| ExecutionArn::parse(it).is_some()).map(Name::from)
    }

    fn arn_of_file(&self) -> Name {
        let machine = self.place.options.state_machine_arn.as_deref().and_then(|it| it.split_once(":stateMachine:"));
        match machine {
            Some((prefix, machine)) => format!("{prefix}:execution:{machine}:{}", self.place.stem).into(),
            None => {
                format!("arn:aws:states:local:000000000000:execution:{}:{}", self.place.folder, self.place.stem).into()
            }
        }
    }
}

/// An answer that AWS gives where there is nothing: an empty list of a form of ours, and what always stands around it.
fn is_empty_answer(value: &Value, format: Option<Format>) -> bool {
    const LISTS: [(&str, &[Format]); 9] = [
        ("events", &[Format::History, Format::Logs]),
        ("logEvents", &[Format::Logs]),
        ("results", &[Format::Logs]),
        ("executions", &[Format::Executions]),
        ("mapRuns", &[Format::Executions]),
        ("tags", &[Format::Executions]),
        ("Traces", &[Format::Xray]),
        ("Datapoints", &[Format::Executions]),
        ("MetricDataResults", &[Format::Executions]),
    ];
    let Some(fields) = value.as_object() else { return false };
    let is_list = |key: &str, it: &Value| {
        let forms = LISTS.iter().find(|(name, _)| *name == key).map(|(_, forms)| *forms);
        forms.is_some_and(|forms| format.is_none_or(|it| forms.contains(&it)))
            && it.as_array().is_some_and(Vec::is_empty)
    };
    fields.iter().any(|(key, it)| is_list(key, it))
        && fields.iter().all(|(key, it)| is_list(key, it) || AROUND_NOTHING.contains(&key.as_str()))
}

/// A history document, or one event of a history on a line of its own.
fn is_history(value: &Value) -> bool {
    let first = value.get("events").and_then(Value::as_array).and_then(|it| it.first());
    first.is_some_and(history::is_event) || history::is_event(value)
}
