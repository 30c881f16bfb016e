//! What really happened, put together when a simulation is over.

use super::plan::Call;
use super::simulate::{Raw, Simulator, Visit};

/// One simulated execution, with its truth.
#[derive(Clone, Debug)]
pub struct Simulated {
    pub(super) events: Vec<Raw>,
    pub visits: Vec<TruthVisit>,
    pub path: Vec<TruthStep>,
    pub billed_transitions: u64,
    pub started_ms: i64,
    pub stopped_ms: i64,
    pub succeeded: bool,
}

/// What really happened in one visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TruthVisit {
    pub id: u64,
    pub parent: Option<u64>,
    pub iteration: Option<u32>,
    pub state: &'static str,
    pub entered_ms: i64,
    pub exited_ms: i64,
    pub status: &'static str,
    pub n_attempts: usize,
    /// Milliseconds of the visit's own time by category.
    pub split: Vec<(&'static str, i64)>,
    /// Calls of functions.
    pub calls: Vec<TruthCall>,
}

/// One call of a function, from its start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TruthCall {
    /// Counted from 0.
    pub attempt: usize,
    pub started_ms: i64,
    pub ended_ms: i64,
}

/// One span of the critical path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TruthStep {
    /// The visit that owns the span, by the id of its entry.
    pub visit: Option<u64>,
    pub category: &'static str,
    pub from_ms: i64,
    pub to_ms: i64,
}

impl Simulator<'_> {
    /// Gives ids in the order of time, and tells the truth.
    pub(super) fn finish(mut self, closing: usize, succeeded: bool) -> Simulated {
        let mut order: Vec<usize> = (0..self.events.len()).filter(|&it| !self.events[it].dropped).collect();
        order.sort_by_key(|&it| self.events[it].at);
        for (id, &index) in (1..).zip(&order) {
            self.events[index].id = id;
        }
        for index in 0..self.events.len() {
            self.events[index].previous = self.events[index].link.map_or(0, |it| self.events[it].id);
        }
        let visits = self.truth_of_visits();
        let path = self.truth_of_path(closing);
        let (started_ms, stopped_ms) = (self.events[0].at, self.events[closing].at);
        let events = order.iter().map(|&it| self.events[it].clone()).collect();
        Simulated { events, visits, path, billed_transitions: self.billed, started_ms, stopped_ms, succeeded }
    }

    fn truth_of_visits(&self) -> Vec<TruthVisit> {
        let mut visits: Vec<TruthVisit> = self
            .visits
            .iter()
            .filter(|it| !self.events[it.entry].dropped)
            .map(|it| {
                let entered_ms = self.events[it.entry].at;
                let (exited_ms, status) = it.end.unwrap_or((entered_ms, "running"));
                TruthVisit {
                    id: self.events[it.entry].id,
                    parent: it.parent.map(|parent| self.events[self.visits[parent].entry].id),
                    iteration: it.iteration,
                    state: it.state,
                    entered_ms,
                    exited_ms,
                    status,
                    n_attempts: it.n_attempts,
                    split: self.split(it, exited_ms, status),
                    calls: self.calls(it),
                }
            })
            .collect();
        visits.sort_by_key(|it| it.id);
        visits
    }

    fn calls(&self, visit: &Visit) -> Vec<TruthCall> {
        let mut calls = Vec::new();
        let mut n_attempts = 0_usize;
        for pair in visit.own.windows(2) {
            let (before, after) = (&self.events[pair[0]], &self.events[pair[1]]);
            n_attempts += usize::from(before.kind.ends_with("Scheduled"));
            let is_start = matches!(before.kind, "TaskStarted" | "LambdaFunctionStarted");
            if is_start && matches!(before.call, Some(Call::Invoke | Call::Function)) {
                let attempt = n_attempts.saturating_sub(1);
                calls.push(TruthCall { attempt, started_ms: before.at, ended_ms: after.at });
            }
        }
        calls
    }

    /// The visit's own time: the spans that end with its own events, and what was cut off.
    fn split(&self, visit: &Visit, exited_ms: i64, status: &str) -> Vec<(&'static str, i64)> {
        let mut sums = std::collections::BTreeMap::new();
        let mut last = visit.entry;
        for &event in &visit.own {
            let it = &self.events[event];
            let from = it.cause.map_or(it.at, |cause| self.events[cause].at);
            *sums.entry(it.category).or_insert(0) += it.at - from;
            last = event;
        }
        let has_started = visit.own.iter().any(|&it| self.events[it].kind.ends_with("StateStarted"));
        for (category, ms) in &visit.between_runs {
            *sums.entry(*category).or_insert(0) += ms;
        }
        if !(visit.is_container && has_started) && status == "aborted" {
            let (category, ms) = self.cut_off_part(visit, last, exited_ms);
            *sums.entry(category).or_insert(0) += ms;
        } else if !visit.is_container && visit.own.is_empty() {
            *sums.entry("overhead").or_insert(0) += exited_ms - self.events[visit.entry].at;
        }
        sums.into_iter().filter(|it| it.1 > 0).collect()
    }

    /// What a visit was doing when it was cut off, since its last event.
    pub(super) fn cut_off_part(&self, visit: &Visit, last: usize, exited_ms: i64) -> (&'static str, i64) {
        let it = &self.events[last];
        let category = match it.kind {
            _ if visit.is_wait => "wait",
            kind if kind.ends_with("Submitted") => "callback",
            kind if kind.ends_with("Scheduled") => "queue",
            kind if kind.ends_with("Failed") || kind.ends_with("TimedOut") => "backoff",
            "TaskStarted" | "LambdaFunctionStarted" | "ActivityStarted" => "work",
            _ => "overhead",
        };
        (category, exited_ms - it.at)
    }

    fn truth_of_path(&self, closing: usize) -> Vec<TruthStep> {
        let mut path: Vec<TruthStep> = Vec::new();
        let mut at = closing;
        while let Some(cause) = self.events[at].cause {
            let it = &self.events[at];
            let visit = it.owner.map(|it| self.events[self.visits[it].entry].id);
            let (from_ms, to_ms) = (self.events[cause].at, it.at);
            if from_ms < to_ms {
                match path.last_mut() {
                    Some(last) if last.visit == visit && last.category == it.category => last.from_ms = from_ms,
                    _ => path.push(TruthStep { visit, category: it.category, from_ms, to_ms }),
                }
            }
            at = cause;
        }
        path.reverse();
        path
    }
}
