//! Which action is asked for, and may it be answered? Counts calls, keeps quotas, denies and misbehaves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::{Value, json};

use super::Faults;
use super::faults;
use super::http::Request;
use super::logs::GroupIndex;
use super::world::World;

/// What goes back.
pub(crate) enum Answer {
    Json(u16, String),
    Xml(String),
    /// A stream of events that goes on until somebody leaves.
    LiveTail(Vec<String>),
    /// The connection ends without a word, or in the middle of one.
    Reset,
    Cut,
}

impl Answer {
    pub(crate) fn ok(value: &Value) -> Self {
        Self::Json(200, value.to_string())
    }

    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::Json(status, json!({"__type": code, "message": message}).to_string())
    }
}

/// Calls at once and each second that are answered.
pub(crate) struct Bucket {
    tokens: f64,
    filled: Instant,
}

/// What the `Date` of answers says.
#[derive(Clone, Debug, Default)]
pub(crate) enum DateHeader {
    #[default]
    Right,
    /// There is none.
    Missing,
    /// So many microseconds ahead of the truth, or behind it.
    Off(i64),
    /// One after the other, again and again.
    Jumps(&'static [i64]),
}

/// What is wrong with the whole service at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Outage {
    #[default]
    None,
    /// Connections end without a word.
    Down,
    /// Every call is answered with this error.
    Refuses(&'static str, &'static str),
}

/// Places of runs in the order of a listing, by what was listed and when.
type Listings = BTreeMap<(String, i64), std::sync::Arc<Vec<usize>>>;

/// AWS, as far as the collector sees it.
pub(crate) struct Service {
    pub(crate) world: World,
    pub(crate) faults: Faults,
    /// Actions that are denied.
    pub(crate) denied: BTreeSet<&'static str>,
    /// The largest page, so that few items make several.
    pub(crate) page: usize,
    /// Bucket size and calls a second by action; others are not limited.
    pub(crate) quotas: BTreeMap<&'static str, (f64, f64)>,
    /// Traces are kept in CloudWatch Logs.
    pub(crate) has_transaction_search: bool,
    /// Of a thousand log events so many come minutes late.
    pub(crate) late: u32,
    pub(crate) date: Mutex<DateHeader>,
    pub(crate) outage: Mutex<Outage>,
    /// Actions that are denied from now on.
    pub(crate) lost: Mutex<BTreeSet<&'static str>>,
    /// Answers so far, and calls by their action and what they were about.
    pub(crate) answers: AtomicUsize,
    pub(crate) asked: Mutex<BTreeMap<String, u64>>,
    pub(crate) calls: Mutex<BTreeMap<String, u64>>,
    pub(crate) throttled: Mutex<BTreeMap<String, u64>>,
    pub(crate) buckets: Mutex<BTreeMap<String, Bucket>>,
    pub(crate) groups: Mutex<BTreeMap<String, std::sync::Arc<GroupIndex>>>,
    pub(crate) listings: Mutex<Listings>,
}

impl Service {
    pub(crate) fn new(world: World) -> Self {
        Self {
            world,
            faults: Faults::default(),
            denied: BTreeSet::new(),
            page: 1_000,
            quotas: BTreeMap::new(),
            has_transaction_search: false,
            late: 0,
            date: Mutex::default(),
            outage: Mutex::default(),
            lost: Mutex::default(),
            answers: AtomicUsize::new(0),
            asked: Mutex::default(),
            calls: Mutex::default(),
            throttled: Mutex::default(),
            buckets: Mutex::default(),
            groups: Mutex::default(),
            listings: Mutex::default(),
        }
    }

    /// How often an action was asked for.
    pub(crate) fn count(&self, action: &str) -> u64 {
        self.calls.lock().expect("the lock").get(action).copied().unwrap_or(0)
    }

    /// What the `Date` of the next answer says, in microseconds.
    pub(super) fn date_us(&self) -> Option<i64> {
        let now = self.world.clock_us();
        let number = self.answers.fetch_add(1, Ordering::SeqCst);
        match *self.date.lock().expect("the lock") {
            DateHeader::Right => Some(now),
            DateHeader::Missing => None,
            DateHeader::Off(us) => Some(now + us),
            DateHeader::Jumps(offsets) => Some(now + offsets[number % offsets.len()]),
        }
    }

    /// How often an action was asked for about a state machine or a log group.
    pub(crate) fn asked_about(&self, action: &str, subject: &str) -> u64 {
        self.asked.lock().expect("the lock").get(&format!("{action} {subject}")).copied().unwrap_or(0)
    }

    pub(super) fn answer(&self, request: &Request) -> Answer {
        if request.path == "/stats" {
            return self.stats();
        }
        let action = action(request);
        let number = {
            let mut calls = self.calls.lock().expect("the lock");
            let count = calls.entry(action.clone()).or_default();
            *count += 1;
            *count
        };
        match *self.outage.lock().expect("the lock") {
            Outage::None => {}
            Outage::Down => return Answer::Reset,
            Outage::Refuses(code, message) => {
                let status = if code == "InternalFailure" { 500 } else { 400 };
                return Answer::error(status, code, message);
            }
        }
        if self.denied.contains(action.as_str()) || self.lost.lock().expect("the lock").contains(action.as_str()) {
            return Answer::error(400, "AccessDeniedException", "not authorized");
        }
        if !self.is_within_quota(&action) {
            *self.throttled.lock().expect("the lock").entry(action).or_default() += 1;
            return Answer::error(400, "ThrottlingException", "Rate exceeded");
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        for key in ["stateMachineArn", "logGroupName"] {
            if let Some(subject) = body.get(key).and_then(Value::as_str) {
                *self.asked.lock().expect("the lock").entry(format!("{action} {subject}")).or_default() += 1;
            }
        }
        let mut random = self.faults.chance(&action, number);
        let has_token = body.get("nextToken").is_some();
        if let Some(instead) = self.faults.instead(&mut random, has_token) {
            return instead;
        }
        let mut call = Call { service: self, body: &body, random, number };
        match action.as_str() {
            "FilterLogEvents" => call.filter_log_events(),
            "DescribeLogGroups" => call.describe_log_groups(),
            "StartLiveTail" => call.start_live_tail(),
            "GetTraceSummaries" => call.trace_summaries(),
            "BatchGetTraces" => call.batch_get_traces(),
            "GetTraceSegmentDestination" => call.trace_segment_destination(),
            "StartTraceRetrieval" => call.start_trace_retrieval(),
            "ListRetrievedTraces" => call.list_retrieved_traces(),
            "GetMetricData" => call.metric_data(&request.form()),
            "GetCallerIdentity" => Answer::Xml(super::metrics::identity()),
            _ => call.states(&action),
        }
    }

    /// Calls so far, and events that can be read by now.
    fn stats(&self) -> Answer {
        let calls = self.calls.lock().expect("the lock").clone();
        let throttled = self.throttled.lock().expect("the lock").clone();
        let us = super::world::real_us();
        Answer::ok(&json!({"calls": calls, "throttled": throttled, "events": self.world.n_events(), "us": us}))
    }

    fn is_within_quota(&self, action: &str) -> bool {
        let Some((most, per_second)) = self.quotas.get(action) else { return true };
        let mut buckets = self.buckets.lock().expect("the lock");
        let now = Instant::now();
        let bucket = buckets.entry(action.to_owned()).or_insert(Bucket { tokens: *most, filled: now });
        bucket.tokens = (bucket.tokens + (now - bucket.filled).as_secs_f64() * per_second).min(*most);
        bucket.filled = now;
        let is_within = bucket.tokens >= 1.0;
        bucket.tokens -= f64::from(u8::from(is_within));
        is_within
    }
}

/// One call that is answered.
pub(super) struct Call<'a> {
    pub(super) service: &'a Service,
    pub(super) body: &'a Value,
    pub(super) random: collector::synthetic::Random,
    pub(super) number: u64,
}

impl Call<'_> {
    pub(super) fn text(&self, key: &str) -> &str {
        self.body.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// A page of items that are printed one by one.
    pub(super) fn page(&mut self, key: &str, total: usize, most: usize, print: impl Fn(usize) -> String) -> Answer {
        let token_key = if key.starts_with(char::is_uppercase) { "NextToken" } else { "nextToken" };
        let from = faults::place(self.body, token_key);
        let asked = self.body.get("maxResults").or_else(|| self.body.get("limit")).and_then(Value::as_u64);
        let asked = asked.filter(|it| *it > 0).and_then(|it| usize::try_from(it).ok()).unwrap_or(most);
        let size = asked.min(most).min(self.service.page);
        let (items, next) = self.service.faults.page(&mut self.random, from, size, total);
        let items: Vec<String> = items.into_iter().map(print).collect();
        let next =
            if next < total { format!(",\"{token_key}\":{}", faults::token(next, self.number)) } else { String::new() };
        Answer::Json(200, format!("{{\"{key}\":[{}]{next}}}", items.join(",")))
    }
}

/// The action's name: in a header, in a path, or in a form.
fn action(request: &Request) -> String {
    if let Some(target) = &request.target {
        return target.rsplit('.').next().unwrap_or_default().to_owned();
    }
    match request.path.trim_matches('/') {
        "TraceSummaries" => "GetTraceSummaries".to_owned(),
        "Traces" => "BatchGetTraces".to_owned(),
        "GetTraceSegmentDestination" | "TraceSegmentDestination" => "GetTraceSegmentDestination".to_owned(),
        "" => request.form().get("Action").cloned().unwrap_or_default(),
        other => other.to_owned(),
    }
}
