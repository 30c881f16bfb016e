//! What happened below a Task, as X-Ray and Lambda saw it?
//!
//! A trace has one segment for the execution, a subsegment for each state visit, below that one for each call of a service,
//! and below the calls what the services sent themselves. It has neither event ids nor attempts, so visits are found by
//! name and time. X-Ray alters names with characters it does not allow, and samples: what is not matched is counted.
//!
//! A function's initialisation before the request came (proactive) costs no latency: only the part of it that lies inside the
//! attempt is a cold start.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Value;

use crate::execution::Run;
use crate::model::{LambdaReport, Micros, Name, Timestamp};
use crate::timeline::Attempt;

/// A visit and its subsegment begin within so much of each other.
const TOLERANCE: Micros = Micros(500_000);

/// One segment or subsegment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub name: Name,
    pub origin: Option<Name>,
    pub operation: Option<Name>,
    pub request_id: Option<Name>,
    pub started_at: Timestamp,
    /// Missing while in progress.
    pub ended_at: Option<Timestamp>,
    pub outcome: SpanOutcome,
    /// Spans below, by place in the trace.
    pub children: Vec<usize>,
    is_call: bool,
    execution_arn: Option<Name>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanOutcome {
    Fine,
    /// The caller's fault: 4xx.
    Error,
    Throttle,
    /// The callee's fault: 5xx.
    Fault,
}

impl SpanOutcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Error => "error",
            Self::Throttle => "throttle",
            Self::Fault => "fault",
        }
    }
}

/// All spans of the traces that an execution is part of.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    pub spans: Vec<Span>,
}

/// What joins an execution to its traces and reports.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    pub trace: Trace,
    pub trace_ids: Vec<Name>,
    pub reports: Vec<LambdaReport>,
    /// Requests of functions by the event that ended the attempt, read off stored outputs.
    pub requests: Vec<(u64, Name)>,
}

/// Which spans belong to which attempt.
#[derive(Clone, Debug, Default)]
pub struct Joined {
    /// Calls by visit and attempt, each by place in the trace.
    pub calls: BTreeMap<(usize, usize), Vec<usize>>,
    /// Subsegments of state visits that were found in the history, and those that were not.
    pub matched: usize,
    pub unmatched: usize,
}

impl Trace {
    /// Reads segment documents; what is no segment was refused when it was imported.
    pub fn parse<'a>(documents: impl Iterator<Item = &'a str>) -> Self {
        let mut trace = Self::default();
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut parents: Vec<(usize, String)> = Vec::new();
        for document in documents.filter_map(|it| serde_json::from_str::<Value>(it).ok()) {
            trace.add(&document, None, &mut places, &mut parents);
        }
        for (place, parent) in parents {
            if let Some(&parent) = places.get(&parent).filter(|it| **it != place) {
                trace.spans[parent].children.push(place);
            }
        }
        trace
    }

    fn add(
        &mut self,
        value: &Value,
        parent: Option<usize>,
        places: &mut HashMap<String, usize>,
        parents: &mut Vec<(usize, String)>,
    ) {
        let text = |path: &str| value.pointer(path).and_then(Value::as_str);
        let (Some(id), Some(name), Some(started_at)) = (text("/id"), text("/name"), time(&value["start_time"])) else {
            return;
        };
        if places.contains_key(id) {
            return;
        }
        let is = |flag: &str| value[flag].as_bool() == Some(true);
        let outcome = match () {
            () if is("throttle") => SpanOutcome::Throttle,
            () if is("fault") => SpanOutcome::Fault,
            () if is("error") => SpanOutcome::Error,
            () => SpanOutcome::Fine,
        };
        let place = self.spans.len();
        self.spans.push(Span {
            name: name.into(),
            origin: text("/origin").map(Name::from),
            operation: text("/aws/operation").map(Name::from),
            request_id: text("/aws/request_id").map(Name::from),
            started_at,
            ended_at: time(&value["end_time"]),
            outcome,
            children: Vec::new(),
            is_call: text("/namespace").is_some(),
            execution_arn: text("/aws/resource_arn").map(Name::from),
        });
        places.insert(id.to_owned(), place);
        match (parent, text("/parent_id")) {
            (Some(parent), _) => self.spans[parent].children.push(place),
            (None, Some(parent)) => parents.push((place, parent.to_owned())),
            (None, None) => {}
        }
        for below in value["subsegments"].as_array().into_iter().flatten() {
            self.add(below, Some(place), places, parents);
        }
    }

    /// The functions below a call, and how long each ran.
    pub fn functions_below(&self, call: usize) -> Vec<(&Name, Micros)> {
        let spans = self.below(call).into_iter().map(|it| &self.spans[it]);
        let functions = spans.filter(|it| it.origin.as_deref() == Some("AWS::Lambda::Function"));
        functions.filter_map(|it| Some((&it.name, it.ended_at? - it.started_at))).collect()
    }

    /// The services that the functions below a call call themselves, as far as they are traced.
    pub fn services_below(&self, call: usize) -> BTreeSet<&Name> {
        let is_function = |it: &usize| self.spans[*it].origin.as_deref() == Some("AWS::Lambda::Function");
        let functions = self.below(call).into_iter().filter(is_function);
        let calls = functions.flat_map(|it| self.below(it)).filter(|&it| self.spans[it].is_call);
        calls.map(|it| &self.spans[it].name).collect()
    }

    /// A span and all below it, depth first, each with its depth.
    pub fn tree(&self, top: usize) -> Vec<(usize, &Span)> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        let mut open = vec![(0, top)];
        while let Some((depth, place)) = open.pop() {
            if !seen.insert(place) {
                continue;
            }
            found.push((depth, &self.spans[place]));
            let mut children = self.spans[place].children.clone();
            children.sort_by_key(|&it| std::cmp::Reverse(self.spans[it].started_at));
            open.extend(children.into_iter().map(|it| (depth + 1, it)));
        }
        found
    }

    /// A span and all below it; hostile documents may name each other as parents, so none is visited twice.
    fn below(&self, top: usize) -> Vec<usize> {
        let mut found = vec![top];
        let mut seen = HashSet::from([top]);
        let mut next = 0;
        while let Some(&place) = found.get(next) {
            next += 1;
            found.extend(self.spans[place].children.iter().filter(|&&it| seen.insert(it)));
        }
        found
    }
}

fn time(value: &Value) -> Option<Timestamp> {
    #[expect(clippy::cast_possible_truncation, reason = "seconds since the epoch, in microseconds, fit")]
    value.as_f64().filter(|it| it.is_finite()).map(|it| Timestamp((it * 1e6).round() as i64))
}

/// Finds the attempts that the spans and reports belong to, and notes their cold starts.
pub fn join(run: &mut Run, evidence: &Evidence) -> Joined {
    let trace = &evidence.trace;
    let mut joined = Joined::default();
    for (span, visit) in matched_visits(run, trace, &mut joined) {
        for &call in trace.spans[span].children.iter().filter(|&&it| trace.spans[it].is_call) {
            let attempts = &run.timeline.visits[visit].attempts;
            let started = trace.spans[call].started_at + Micros(5_000);
            let attempt =
                attempts.iter().rposition(|it| it.scheduled_at.or(it.started_at) <= Some(started)).unwrap_or(0);
            if attempt < attempts.len() {
                joined.calls.entry((visit, attempt)).or_default().push(call);
            }
        }
    }
    let mut requests: HashMap<Name, (usize, usize)> = HashMap::new();
    for (&place, calls) in &joined.calls {
        let below: Vec<usize> = calls.iter().flat_map(|&it| trace.below(it)).collect();
        requests.extend(below.iter().filter_map(|&it| Some((trace.spans[it].request_id.clone()?, place))));
        let attempt = &mut run.timeline.visits[place.0].attempts[place.1];
        attempt.cold_start = initialisation(trace, &below, attempt);
    }
    for (event, request) in &evidence.requests {
        if let Some(place) = attempt_of_event(run, *event) {
            requests.insert(request.clone(), place);
        }
    }
    for report in &evidence.reports {
        let place =
            requests.get(&report.request_id).copied().or_else(|| attempt_by_time(run, report, &evidence.trace_ids));
        if let Some((visit, attempt)) = place {
            take_report(&mut run.timeline.visits[visit].attempts[attempt], report);
        }
    }
    joined
}

/// The subsegments of state visits, with the visits they tell of.
fn matched_visits(run: &Run, trace: &Trace, joined: &mut Joined) -> Vec<(usize, usize)> {
    let mut matching =
        Matching { run, trace, taken: vec![false; run.timeline.visits.len()], found: Vec::new(), left: Vec::new() };
    let is_own = |it: &usize| trace.spans[*it].execution_arn.as_ref() == Some(&run.execution.arn);
    for root in (0..trace.spans.len()).filter(is_own) {
        matching.level(root, Some(Around { visit: None, iteration: None }), 0);
    }
    // Where a trace nests otherwise than the history does, name and time have to do.
    for place in std::mem::take(&mut matching.left) {
        match matching.nearest(place, None) {
            Some(visit) => matching.take(place, visit),
            None => joined.unmatched += 1,
        }
    }
    joined.matched = matching.found.len();
    matching.found
}

/// Where a subsegment lies: inside which visit, and inside which item of it.
#[derive(Clone, Copy)]
struct Around {
    visit: Option<u64>,
    iteration: Option<u32>,
}

/// Subsegments nest less deep than this; documents that nest for ever end here.
const DEEPEST: usize = 200;

struct Matching<'a> {
    run: &'a Run,
    trace: &'a Trace,
    taken: Vec<bool>,
    found: Vec<(usize, usize)>,
    left: Vec<usize>,
}

impl Matching<'_> {
    /// Finds the visits of the subsegments right below one, and of all below those.
    fn level(&mut self, above: usize, around: Option<Around>, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        let mut below = self.trace.spans[above].children.clone();
        below.sort_by_key(|&it| self.trace.spans[it].started_at);
        for place in below {
            let span = &self.trace.spans[place];
            if span.is_call || span.execution_arn.is_some() {
                continue;
            }
            if let Some(item) = span.name.strip_prefix("Iteration ").and_then(|it| it.parse().ok()) {
                self.level(place, around.map(|it| Around { iteration: Some(item), ..it }), depth + 1);
                continue;
            }
            let visit = around.and_then(|it| self.nearest(place, Some(it)));
            if let Some(visit) = visit {
                self.take(place, visit);
                let id = self.run.timeline.visits[visit].id;
                self.level(place, Some(Around { visit: Some(id), iteration: None }), depth + 1);
            } else {
                self.left.push(place);
                self.level(place, None, depth + 1);
            }
        }
    }

    fn take(&mut self, place: usize, visit: usize) {
        self.taken[visit] = true;
        self.found.push((place, visit));
    }

    /// Of the visits that a subsegment may tell of, the one whose entry is nearest to its start.
    fn nearest(&self, place: usize, around: Option<Around>) -> Option<usize> {
        let span = &self.trace.spans[place];
        let visits = &self.run.timeline.visits;
        let distance = |visit: usize| Micros((visits[visit].entered_at - span.started_at).0.abs());
        // Visits are in the order of their entries, but for ties and redrives.
        let first = visits.partition_point(|it| it.entered_at < span.started_at - TOLERANCE);
        let last = visits.partition_point(|it| it.entered_at <= span.started_at + TOLERANCE);
        let fits = |visit: &usize| {
            let it = &visits[*visit];
            let lies_there = around.is_none_or(|around| {
                it.parent == around.visit && (around.iteration.is_none() || it.iteration == around.iteration)
            });
            !self.taken[*visit] && lies_there && distance(*visit) <= TOLERANCE && is_name_of(&span.name, &it.state)
        };
        (first..last.max(first)).filter(fits).min_by_key(|&it| distance(it))
    }
}

/// Whether X-Ray's name may stand for a state's: without the characters it does not allow, a hash follows.
fn is_name_of(name: &str, state: &str) -> bool {
    if name == state {
        return true;
    }
    let Some((kept, hash)) = name.rsplit_once('-') else { return false };
    let is_hash = hash.len() == 8 && hash.bytes().all(|it| it.is_ascii_hexdigit());
    let is_allowed = |it: &char| it.is_alphanumeric() || it.is_whitespace() || "_.:/%&#=+\\-@".contains(*it);
    is_hash && (state.starts_with(kept) || state.chars().filter(is_allowed).eq(kept.chars()))
}

/// The time in which functions below an attempt were initialised while it waited; `None` where no function sent anything.
fn initialisation(trace: &Trace, below: &[usize], attempt: &Attempt) -> Option<Micros> {
    let functions: Vec<&Span> = below
        .iter()
        .map(|&it| &trace.spans[it])
        .filter(|it| it.origin.as_deref() == Some("AWS::Lambda::Function"))
        .collect();
    let inside = |it: &Span| {
        let (from, to) = window(attempt)?;
        Some(it.ended_at?.min(to) - it.started_at.max(from)).filter(|it| *it > Micros::ZERO)
    };
    let initialised = functions.iter().flat_map(|it| &it.children).map(|&it| &trace.spans[it]);
    let total = initialised.filter(|it| &*it.name == "Initialization").filter_map(inside).sum();
    (!functions.is_empty()).then_some(total)
}

/// The work of an attempt: from its start to its submission or end.
fn window(attempt: &Attempt) -> Option<(Timestamp, Timestamp)> {
    Some((attempt.started_at?, attempt.submitted_at.or(attempt.ended_at)?))
}

fn attempt_of_event(run: &Run, event: u64) -> Option<(usize, usize)> {
    let index = run.events.binary_search_by_key(&event, |it| it.id).ok()?;
    let visit = run.visit_of_event(event)?;
    let at = run.events[index].at;
    let attempt = run.timeline.visits[visit].attempts.iter().position(|it| it.ended_at == Some(at))?;
    Some((visit, attempt))
}

/// A report of the same trace is written when its invocation ends: the attempt that ends next after it, within a second.
fn attempt_by_time(run: &Run, report: &LambdaReport, trace_ids: &[Name]) -> Option<(usize, usize)> {
    let at = report.at.filter(|_| report.trace_id.as_ref().is_some_and(|it| trace_ids.contains(it)))?;
    let mut found = None;
    for (visit, it) in run.timeline.visits.iter().enumerate() {
        for (index, attempt) in it.attempts.iter().enumerate() {
            let Some((from, to)) = window(attempt).filter(|_| attempt.cold_start.is_none()) else { continue };
            let calls_function = attempt.resource.as_deref().is_some_and(|it| it.contains("lambda"));
            let distance = Micros((to - at).0.abs());
            if calls_function
                && from <= at
                && distance <= Micros(1_000_000)
                && found.is_none_or(|it: (Micros, _)| distance < it.0)
            {
                found = Some((distance, (visit, index)));
            }
        }
    }
    found.map(|it| it.1)
}

fn take_report(attempt: &mut Attempt, report: &LambdaReport) {
    attempt.billed_mb_ms = Some(report.billed_ms * report.memory_mb);
    let Some((from, to)) = window(attempt) else { return };
    let told = Micros(report.init_us.unwrap_or(0)).min(to - from);
    // A trace knows when the function was initialised, a report only how long that took.
    if attempt.cold_start.is_none_or(|it| it == Micros::ZERO && report.init_us.is_some()) {
        attempt.cold_start = Some(told.max(Micros::ZERO));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn altered_names_are_recognised() {
        for (name, state) in [
            ("Charge", "Charge"),
            ("HasNextToken-0d5e615a", "HasNextToken?"),
            ("Work Complete-02f515d2", "Work Complete?"),
            ("WhatNext-1400634c", "What(Next)"),
        ] {
            assert!(is_name_of(name, state), "{name} is {state}");
        }
        for (name, state) in
            [("Charge", "ChargeCard"), ("HasNext-zz5e615a", "HasNext?"), ("Other-0d5e615a", "HasNext?")]
        {
            assert!(!is_name_of(name, state), "{name} is not {state}");
        }
    }

    #[test]
    fn segments_that_name_each_other_as_parents_end() {
        let document = |id: &str, parent: &str| {
            format!(r#"{{"id":"{id}","parent_id":"{parent}","name":"n","start_time":1.0,"end_time":2.0}}"#)
        };
        let documents = [document("a", "b"), document("b", "a")];
        let trace = Trace::parse(documents.iter().map(String::as_str));
        assert_eq!(trace.below(0).len(), 2);
    }
}
