//! Of which form is a value, and which module reads it?

use analyzer::asl::is_definition;
use analyzer::model::{ExecutionArn, ExecutionRecord, Name, Observation};
use serde_json::Value;

use super::fields::text;
use super::records::{Receive, Record};
use super::sink::Sink;
use super::{
    Format, ImportOptions, definition, eventbridge, executions, history, lambda_report, logs, metrics, scan, tags, xray,
};

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
    pub(super) place: &'a Place<'a>,
    pub(super) sink: &'a mut Sink<'b>,
}

impl Receive for Receiver<'_, '_> {
    fn line(&mut self, line: &[u8]) -> bool {
        if !self.accepts(Format::Logs) || line.first() != Some(&b'{') {
            return false;
        }
        match scan::message(line, &self.place.options.privacy, &mut self.sink.names) {
            Some((execution_arn, event)) => {
                self.sink.event(execution_arn, event);
                true
            }
            None => false,
        }
    }

    fn record(&mut self, record: Record<'_>, line: u64) {
        match record {
            Record::Value { value, text } => self.value(value, text, Some(line)),
            Record::Text(text) => self.text(text),
            Record::Damaged(reason) => self.sink.quarantine(Some(line), reason),
        }
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
    fn text(&mut self, text: &str) {
        let at =
            text.split_whitespace().find_map(|word| (word.len() >= 10).then(|| analyzer::time::parse(word)).flatten());
        if let Some(report) = lambda_report::read(text, at) {
            self.sink.observe(Observation::LambdaReport(Box::new(report)));
        }
    }

    pub(super) fn value(&mut self, value: Value, source: &str, line: Option<u64>) {
        let privacy = &self.place.options.privacy;
        if self.accepts(Format::Logs) && logs::is_message(&value) {
            logs::send(value, source.trim().len(), line, privacy, self.sink);
        } else if self.accepts(Format::Logs) && logs::is_envelope(&value) {
            logs::send_envelope(&value, line, privacy, self.sink);
        } else if self.accepts(Format::History) && is_history(&value) {
            self.history(value, line);
        } else if self.accepts(Format::EventBridge) && eventbridge::is_event(&value) {
            eventbridge::send(&value, line, self.sink);
        } else if self.accepts(Format::Definition) && definition::is_description(&value) {
            definition::send_description(&value, line, self.sink);
        } else if self.accepts(Format::Definition) && is_definition(&value) {
            definition::send_text(source, &self.place.stem, self.place.options.state_machine_arn.as_deref(), self.sink);
        } else if self.accepts(Format::Xray) && xray::is_trace(&value) {
            xray::send_traces(&value, line, privacy, self.sink);
        } else if self.accepts(Format::Xray) && xray::is_segment(&value) {
            xray::send_segment(value, line, privacy, self.sink);
        } else if self.accepts(Format::Executions) && executions::is_map_run(&value) {
            executions::send_map_run(&value, self.sink);
        } else if self.accepts(Format::Executions) && executions::is_description(&value) {
            executions::send_description(&value, &self.place.folder, self.sink);
        } else if self.accepts(Format::Executions) && executions::is_listing(&value) {
            executions::send_listing(&value, &self.place.folder, self.sink);
        } else if self.accepts(Format::Executions) && tags::is_tags(&value) {
            tags::send(&value, self.place.options.state_machine_arn.as_deref(), line, self.sink);
        } else if self.accepts(Format::Executions) && metrics::is_metrics(&value) {
            metrics::send(&value, self.place.options.state_machine_arn.as_deref(), line, self.sink);
        } else if let Value::Array(items) = value {
            self.array(items, line);
        }
    }

    /// A bare array: the events of one history, or a list of anything else.
    fn array(&mut self, items: Vec<Value>, line: Option<u64>) {
        if self.accepts(Format::History) && items.first().is_some_and(history::is_event) {
            let arn = self.execution_arn(&Value::Null);
            return history::send_events(items, &arn, line, &self.place.options.privacy, self.sink);
        }
        for item in items.into_iter().filter(Value::is_object) {
            let source = if is_definition(&item) || logs::is_message(&item) { item.to_string() } else { String::new() };
            self.value(item, &source, line);
        }
    }

    fn history(&mut self, mut value: Value, line: Option<u64>) {
        let arn = self.execution_arn(&value);
        if let Some(description) = value.get("execution").filter(|it| executions::is_description(it)) {
            executions::send_description(description, &self.place.folder, self.sink);
        }
        if ["nextToken", "NextToken"].iter().any(|it| text(&value, it).is_some_and(|it| !it.is_empty())) {
            self.sink.record(arn.clone(), ExecutionRecord { has_next_page: true, ..ExecutionRecord::default() });
        }
        let events = match value.get_mut("events").map(Value::take) {
            Some(Value::Array(events)) => events,
            _ => vec![value],
        };
        history::send_events(events, &arn, line, &self.place.options.privacy, self.sink);
    }

    /// Whose history is it? The option, the document itself, a description beside it, else the file's own name.
    fn execution_arn(&self, value: &Value) -> Name {
        let inside =
            text(value, "executionArn").or_else(|| value.get("execution").and_then(|it| text(it, "executionArn")));
        let known = self.place.options.execution_arn.as_deref().or(inside).or(self.place.described_arn.as_deref());
        if let Some(arn) = known.filter(|it| ExecutionArn::parse(it).is_some()) {
            return arn.into();
        }
        let machine = self.place.options.state_machine_arn.as_deref().and_then(|it| it.split_once(":stateMachine:"));
        match machine {
            Some((prefix, machine)) => format!("{prefix}:execution:{machine}:{}", self.place.stem).into(),
            None => {
                format!("arn:aws:states:local:000000000000:execution:{}:{}", self.place.folder, self.place.stem).into()
            }
        }
    }
}

/// A history document, or one event of a history on a line of its own.
fn is_history(value: &Value) -> bool {
    let first = value.get("events").and_then(Value::as_array).and_then(|it| it.first());
    first.is_some_and(history::is_event) || history::is_event(value)
}
