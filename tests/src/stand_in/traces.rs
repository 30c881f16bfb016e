//! X-Ray: traces of machines that are traced, kept by X-Ray or, with Transaction Search, by CloudWatch Logs.

use serde_json::{Value, json};

use super::service::{Answer, Call, Service};
use super::states::seconds;
use super::world::Run;

const MOST: usize = 100;
/// A listing may cover this much.
const LONGEST_S: f64 = 6.0 * 3_600.0;
const BATCH: usize = 5;

impl Service {
    fn traced(&self) -> impl Iterator<Item = (usize, &Run)> {
        let now = self.world.now_us();
        let runs = self.world.runs.iter().enumerate();
        runs.filter(move |(_, run)| self.world.machines[run.machine].is_traced && run.start_us <= now)
    }

    fn trace(&self, id: &str) -> Option<Value> {
        let number = usize::from_str_radix(id.rsplit('-').next()?, 16).ok()?;
        let run = self.world.runs.get(number).filter(|run| trace_id(number, run) == id)?;
        let segments: Vec<Value> = run
            .template
            .documents
            .iter()
            .enumerate()
            .map(|(place, it)| {
                let mut document = moved(it, run.start_us);
                document["trace_id"] = id.into();
                document["id"] = format!("{number:08x}{place:08x}").into();
                if document.pointer("/aws/resource_arn").is_some() {
                    document["aws"]["resource_arn"] = run.arn.as_str().into();
                }
                json!({"Id": document["id"], "Document": document.to_string()})
            })
            .collect();
        Some(json!({"Id": id, "Duration": 1.0, "LimitExceeded": false, "Segments": segments}))
    }
}

fn trace_id(number: usize, run: &Run) -> String {
    format!("1-{:08x}-{number:024x}", run.start_us / 1_000_000)
}

/// A document with its times moved from where simulations start to when a run did.
fn moved(document: &Value, start_us: i64) -> Value {
    match document {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, it)| match it.as_f64() {
                Some(at) if key.ends_with("_time") => (key.clone(), json!(at - 1_000_000_000.0 + seconds(start_us))),
                _ => (key.clone(), moved(it, start_us)),
            })
            .collect(),
        Value::Array(items) => items.iter().map(|it| moved(it, start_us)).collect(),
        other => other.clone(),
    }
}

impl Call<'_> {
    pub(super) fn trace_segment_destination(&mut self) -> Answer {
        let destination = if self.service.has_transaction_search { "CloudWatchLogs" } else { "XRay" };
        Answer::ok(&json!({"Destination": destination, "Status": "ACTIVE"}))
    }

    pub(super) fn trace_summaries(&mut self) -> Answer {
        let number = |key: &str| self.body.get(key).and_then(Value::as_f64).unwrap_or(0.0);
        let (from, to) = (number("StartTime"), number("EndTime"));
        if to - from > LONGEST_S {
            return Answer::error(400, "InvalidRequestException", "the range is longer than 6 hours");
        }
        let is_inside = |run: &Run| (from..=to).contains(&seconds(run.start_us / 1_000_000 * 1_000_000));
        let ids: Vec<String> =
            self.service.traced().filter(|it| is_inside(it.1)).map(|(number, run)| trace_id(number, run)).collect();
        let print = |it: usize| json!({"Id": ids[it], "IsPartial": false, "Duration": 1.0}).to_string();
        self.page("TraceSummaries", ids.len(), MOST, print)
    }

    pub(super) fn batch_get_traces(&mut self) -> Answer {
        let ids: Vec<&str> = self.body["TraceIds"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if ids.len() > BATCH {
            return Answer::error(400, "InvalidRequestException", "at most 5 traces");
        }
        let traces: Vec<Value> = ids.iter().filter_map(|it| self.service.trace(it)).collect();
        Answer::ok(&json!({"Traces": traces, "UnprocessedTraceIds": []}))
    }

    pub(super) fn start_trace_retrieval(&mut self) -> Answer {
        Answer::ok(&json!({"RetrievalToken": self.body["TraceIds"].to_string()}))
    }

    pub(super) fn list_retrieved_traces(&mut self) -> Answer {
        if self.number % 2 == 1 {
            return Answer::ok(&json!({"RetrievalStatus": "RUNNING", "TraceFormat": "XRAY", "Traces": []}));
        }
        let ids: Vec<String> = serde_json::from_str(self.text("RetrievalToken")).unwrap_or_default();
        let retrieved = |id: &String| {
            let mut trace = self.service.trace(id)?;
            trace["Spans"] = trace["Segments"].take();
            Some(trace)
        };
        let traces: Vec<Value> = ids.iter().filter_map(retrieved).collect();
        Answer::ok(&json!({"RetrievalStatus": "COMPLETE", "TraceFormat": "XRAY", "Traces": traces}))
    }
}
