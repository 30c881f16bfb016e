//! Which traces of Step Functions does X-Ray have?
//!
//! Listing is sliced, because a call may cover a few hours at most; documents come in batches of five. Where an account keeps
//! its spans in CloudWatch Logs (Transaction Search), traces are retrieved there.

use std::time::Duration;

use analyzer::model::{Micros, Name, Observation, Timestamp};
use analyzer::spans::Span;
use aws_sdk_xray::error::SdkError;
use aws_sdk_xray::operation::get_trace_summaries::{GetTraceSummariesError, GetTraceSummariesOutput};
use aws_sdk_xray::primitives::DateTime;
use aws_sdk_xray::types::{RetrievalStatus, TimeRangeType, TraceFormatType, TraceSegmentDestination};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures_util::stream::{self, StreamExt};
use rustc_hash::FxHashSet;
use serde_json::Value;
use tokio::time::sleep;

use super::GapKind;
use super::budget::Priority;
use super::call::Refused;
use super::call_prices::CALL_PRICES;
use super::walk::Walk;
use crate::import::Stopped;
use crate::import::xray::segment;

/// The name under which spans of this source are stored.
pub(super) const SOURCE: &str = "xray";
const FILTER: &str = r#"service(id(type: "AWS::StepFunctions::StateMachine"))"#;
const SLICE_US: i64 = 6 * 3_600_000_000;
const SHORTEST_SLICE_US: i64 = 60_000_000;
/// X-Ray keeps traces this long.
const RETENTION_US: i64 = 30 * 86_400_000_000;
/// Segments may be added to a trace after it was listed.
const OVERLAP_US: i64 = 10 * 60_000_000;
/// When following, traces are listed this often: each listing is billed by the traces that it looks at.
pub(super) const EVERY_US: i64 = 5 * 60_000_000;
const BATCH: usize = 5;
const RETRIEVED: usize = 100;
const AT_ONCE: usize = 4;
/// Traces that are known to be finished; more are forgotten, and read again where they are shown again.
const REMEMBERED: usize = 100_000;
const LOOK: Duration = Duration::from_millis(500);
const LOOKS: u32 = 120;

/// Where an account keeps its traces.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    InXray,
    InLogs,
}

impl Walk<'_> {
    /// Reads the traces of the region since the last time, the newest first.
    pub(super) async fn traces(&self, priority: Priority) -> Result<(), Stopped> {
        let is_traced = self.machines.borrow().values().any(|it| it.settings.as_ref().is_some_and(|it| it.is_traced));
        if !is_traced && !self.options.sources.xray_of_callers {
            return Ok(());
        }
        let subject = {
            let report = self.report.borrow();
            let known = |it: &Option<String>| it.clone().unwrap_or_else(|| "unknown".to_owned());
            Name::from(format!("{}/{}", known(&report.account), known(&report.region)))
        };
        let begun = self.clock.moment();
        let now = self.clock.earlier(&begun);
        if self.follows.get() && !self.is_time_for_traces() {
            return Ok(());
        }
        let (wanted, _) = self.collected(SOURCE, &subject);
        if let Some(present) = self.certain(&begun) {
            let lost = Span { from: wanted, to: present - Micros(RETENTION_US) };
            self.lose_span(SOURCE, &subject, lost, "X-Ray keeps traces for 30 days")?;
        }
        let mut missing = self.missing(SOURCE, &subject, Micros(OVERLAP_US), now);
        let is_recent = |it: &mut Span| (it.to - it.from).0 < EVERY_US + OVERLAP_US && it.to >= now;
        if !self.collected(SOURCE, &subject).1.as_slice().is_empty() {
            missing.pop_if(is_recent);
        }
        if missing.is_empty() {
            return Ok(());
        }
        let destination = self.destination(priority).await;
        for span in missing.into_iter().rev() {
            let mut to = span.to;
            while to > span.from {
                let slice = Span { from: (to - Micros(SLICE_US)).max(span.from), to };
                if !self.slice_of_traces(slice, destination, priority).await? {
                    return Ok(());
                }
                self.mark(SOURCE, &subject, slice, &begun)?;
                to = slice.from;
            }
        }
        self.traces_read.set(Some(begun));
        Ok(())
    }

    /// Where clocks differ the mark stays behind, and by it alone the same traces would be listed, and billed, each time.
    fn is_time_for_traces(&self) -> bool {
        self.traces_read.get().is_none_or(|it| it.age() >= Duration::from_micros(EVERY_US.unsigned_abs()))
    }

    async fn destination(&self, priority: Priority) -> Kept {
        let request = || self.xray().get_trace_segment_destination().send();
        match self.call("GetTraceSegmentDestination", priority, request).await {
            Ok(it) if it.destination() == Some(&TraceSegmentDestination::CloudWatchLogs) => Kept::InLogs,
            // Without the answer the usual way is tried.
            _ => Kept::InXray,
        }
    }

    /// Reads one slice; halves of it when it is too long for a call.
    async fn slice_of_traces(&self, slice: Span, kept: Kept, priority: Priority) -> Result<bool, Stopped> {
        let (ids, done) = match self.trace_ids(slice, priority).await {
            Ok(found) => found,
            Err(refused) if refused.is("InvalidRequestException") && (slice.to - slice.from).0 > SHORTEST_SLICE_US => {
                let middle = Timestamp(i64::midpoint(slice.from.0, slice.to.0));
                let later = Box::pin(self.slice_of_traces(Span { from: middle, ..slice }, kept, priority)).await?;
                return Ok(later && Box::pin(self.slice_of_traces(Span { to: middle, ..slice }, kept, priority)).await?);
            }
            Err(refused) => {
                self.refuse("traces: cold starts, and what lies below a call", &refused);
                return Ok(false);
            }
        };
        self.spend(CALL_PRICES.trace, ids.len() as u64);
        let result = match kept {
            Kept::InXray => {
                let batches = ids.chunks(BATCH).map(|ids| self.batch_of_traces(ids, priority));
                let mut batches = stream::iter(batches).buffer_unordered(AT_ONCE);
                let mut is_whole = true;
                while let Some(batch) = batches.next().await {
                    is_whole &= batch?;
                }
                is_whole
            }
            Kept::InLogs => {
                let mut is_whole = true;
                for ids in ids.chunks(RETRIEVED) {
                    is_whole &= self.retrieve_traces(ids, slice, priority).await?;
                }
                is_whole
            }
        };
        if result {
            let mut traces = self.traces.borrow_mut();
            if traces.len() > REMEMBERED {
                traces.clear();
            }
            traces.extend(done);
        }
        Ok(result)
    }

    /// The ids of traces in a slice that are new, or were not finished when they were seen; and which are finished now.
    async fn trace_ids(&self, slice: Span, priority: Priority) -> Result<(Vec<String>, FxHashSet<String>), Refused> {
        let (mut ids, mut done) = (Vec::new(), FxHashSet::default());
        let mut token: Option<String> = None;
        let mut filter = (!self.lists_all_traces.get()).then(|| FILTER.to_owned());
        loop {
            let request = async || {
                let request = self.xray().get_trace_summaries().start_time(date(slice.from)).end_time(date(slice.to));
                let request = request.time_range_type(TimeRangeType::Event).set_filter_expression(filter.clone());
                Summaries::read(request.set_next_token(token.clone()).send().await)
            };
            let page = match self.call("GetTraceSummaries", priority, request).await {
                Ok(page) => page,
                // A service that cannot filter tells all traces.
                Err(refused) if filter.is_some() && refused.message.contains("Not implemented") => {
                    self.lists_all_traces.set(true);
                    filter = None;
                    continue;
                }
                Err(refused) => return Err(refused),
            };
            self.spend(CALL_PRICES.trace, page.n_processed.unsigned_abs());
            for (id, is_done) in page.traces {
                if self.traces.borrow().contains(&id) {
                    continue;
                }
                if is_done {
                    done.insert(id.clone());
                }
                ids.push(id);
            }
            token = page.next_token;
            if token.is_none() {
                return Ok((ids, done));
            }
        }
    }

    async fn batch_of_traces(&self, ids: &[String], priority: Priority) -> Result<bool, Stopped> {
        let mut token: Option<String> = None;
        loop {
            let request = || {
                let request = self.xray().batch_get_traces().set_trace_ids(Some(ids.to_vec()));
                request.set_next_token(token.clone()).send()
            };
            let page = match self.call("BatchGetTraces", priority, request).await {
                Ok(page) => page,
                Err(refused) => {
                    self.refuse("traces: cold starts, and what lies below a call", &refused);
                    return Ok(false);
                }
            };
            for trace in page.traces() {
                if trace.limit_exceeded() == Some(true) {
                    let text =
                        format!("the trace `{}` is too large: X-Ray has cut it off", trace.id().unwrap_or_default());
                    self.gap(GapKind::Truncated, text);
                }
                for it in trace.segments() {
                    self.segment(trace.id(), it.document())?;
                }
            }
            if !page.unprocessed_trace_ids().is_empty() {
                let text = format!("{} traces could not be read now", page.unprocessed_trace_ids().len());
                self.gap(GapKind::NotCollected, text);
            }
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                return Ok(page.unprocessed_trace_ids().is_empty());
            }
        }
    }

    /// Traces of an account with Transaction Search.
    async fn retrieve_traces(&self, ids: &[String], slice: Span, priority: Priority) -> Result<bool, Stopped> {
        let start = || {
            let request = self.xray().start_trace_retrieval().set_trace_ids(Some(ids.to_vec()));
            request.start_time(date(slice.from)).end_time(date(slice.to)).send()
        };
        let started = match self.call("StartTraceRetrieval", priority, start).await {
            Ok(it) => it,
            Err(refused) => {
                self.refuse("traces that CloudWatch Logs keeps", &refused);
                return Ok(false);
            }
        };
        let Some(retrieval) = started.retrieval_token() else { return Ok(false) };
        let mut token: Option<String> = None;
        let mut looks = 0;
        loop {
            let list = || {
                let request = self.xray().list_retrieved_traces().retrieval_token(retrieval);
                request.trace_format(TraceFormatType::Xray).set_next_token(token.clone()).send()
            };
            let page = match self.call("ListRetrievedTraces", priority, list).await {
                Ok(page) => page,
                Err(refused) => {
                    self.refuse("traces that CloudWatch Logs keeps", &refused);
                    return Ok(false);
                }
            };
            let is_running =
                matches!(page.retrieval_status(), Some(RetrievalStatus::Running | RetrievalStatus::Scheduled));
            if is_running && looks < LOOKS {
                looks += 1;
                sleep(LOOK).await;
                continue;
            }
            for trace in page.traces() {
                for it in trace.spans() {
                    self.segment(trace.id(), it.document())?;
                }
            }
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                let is_whole = page.retrieval_status() == Some(&RetrievalStatus::Complete);
                if !is_whole {
                    let text = "some traces could not be retrieved from CloudWatch Logs".to_owned();
                    self.gap(GapKind::NotCollected, text);
                }
                return Ok(is_whole);
            }
        }
    }

    fn segment(&self, trace_id: Option<&str>, document: Option<&str>) -> Result<(), Stopped> {
        let value = document.and_then(|it| serde_json::from_str::<Value>(it).ok());
        match value.and_then(|it| segment(it, &self.options.privacy)) {
            Some(it) => {
                self.report.borrow_mut().segments += 1;
                self.observe(Observation::Segment(Box::new(it)))
            }
            None => self.observe(Observation::Quarantined {
                source: format!("trace {}", trace_id.unwrap_or_default()).into(),
                line: None,
                reason: "segment document: not readable".to_owned(),
            }),
        }
    }
}

fn date(at: Timestamp) -> DateTime {
    DateTime::from_secs(at.0.div_euclid(1_000_000))
}

/// A page of summaries, as far as it is used.
struct Summaries {
    /// Ids, and whether nothing more is expected of the trace.
    traces: Vec<(String, bool)>,
    n_processed: i64,
    next_token: Option<String>,
}

impl Summaries {
    #[expect(clippy::result_large_err, reason = "the SDK's own error, which is handed on")]
    /// Reads an answer; also one whose other members are not as they should be.
    fn read(
        answer: Result<GetTraceSummariesOutput, SdkError<GetTraceSummariesError, HttpResponse>>,
    ) -> Result<Self, SdkError<GetTraceSummariesError, HttpResponse>> {
        match answer {
            Ok(page) => Ok(Self {
                traces: page
                    .trace_summaries()
                    .iter()
                    .filter_map(|it| Some((it.id()?.to_owned(), it.is_partial() == Some(false))))
                    .collect(),
                n_processed: page.traces_processed_count().unwrap_or(0),
                next_token: page.next_token().map(str::to_owned),
            }),
            Err(error) => {
                let body = error.raw_response().filter(|it| it.status().is_success()).and_then(|it| it.body().bytes());
                body.and_then(Self::parse).ok_or(error)
            }
        }
    }

    fn parse(body: &[u8]) -> Option<Self> {
        let page: Value = serde_json::from_slice(body).ok()?;
        let summary =
            |it: &Value| Some((it.get("Id")?.as_str()?.to_owned(), it.get("IsPartial")?.as_bool() == Some(false)));
        Some(Self {
            traces: page
                .get("TraceSummaries")?
                .as_array()?
                .iter()
                .filter_map(|it| summary(it).or_else(|| Some((it.get("Id")?.as_str()?.to_owned(), false))))
                .collect(),
            n_processed: page.get("TracesProcessedCount").and_then(Value::as_i64).unwrap_or(0),
            next_token: page.get("NextToken").and_then(Value::as_str).map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_read_also_where_other_members_are_malformed() {
        let body = r#"{"TracesProcessedCount": 2, "TraceSummaries": [{"Id": "1-a", "Users": {}, "IsPartial": false}, {"Id": "1-b", "Users": {}}]}"#;
        let page = Summaries::parse(body.as_bytes()).expect("a page");
        assert_eq!(page.traces, [("1-a".to_owned(), true), ("1-b".to_owned(), false)]);
        assert!(Summaries::parse(b"{\"TraceSummaries\": [{").is_none());
    }
}
