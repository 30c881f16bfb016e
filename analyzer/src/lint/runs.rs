//! What the runs of a machine say about it.

use std::collections::BTreeMap;

use super::{Finding, Sink, handlers, took};
use crate::asl::State;
use crate::model::{Micros, Name, StateType, Timestamp, Usd, WorkflowType};
use crate::patterns::EVENT_LIMIT;

/// What is known of the runs of a machine.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    pub executions: u64,
    pub workflow_type: Option<WorkflowType>,
    /// When the first and the last of them started.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Events of the longest history.
    pub most_events: u64,
    /// What a state transition costs at list price; `None` for an Express machine and where no price is known.
    pub per_transition: Option<Usd>,
    pub states: BTreeMap<Name, StateRuns>,
}

/// What is known of the visits of a state.
#[derive(Clone, Debug, Default)]
pub struct StateRuns {
    pub visits: u64,
    pub retries: u64,
    /// Of the attempts, which a time-out is about.
    pub p99: Option<Micros>,
    pub longest: Option<Micros>,
    /// Errors that ended executions in this state, and how often.
    pub fatal: BTreeMap<Name, u64>,
    /// Errors of attempts, and how often.
    pub errors: BTreeMap<Name, u64>,
    /// Errors that a Catch took, and how often.
    pub caught: BTreeMap<Name, u64>,
    /// Bytes of the largest input that was kept.
    pub largest_input: Option<u64>,
    /// For a Map.
    pub map: Option<MapRuns>,
}

/// What is known of the visits of a Map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapRuns {
    pub visits: u64,
    pub items_p50: u64,
    pub most_items: u64,
    pub duration_p50: Micros,
    pub longest_item_p50: Micros,
}

/// What some states cost.
pub(super) struct Paid {
    pub(super) usd: Usd,
    pub(super) said: String,
}

/// From this part of the limit on, a history is said to be near it.
const NEAR_EVENTS: u64 = EVENT_LIMIT / 10 * 8;
/// Bytes that an input or output may have, and from which on it is said to be near that.
const PAYLOAD: u64 = 262_144;
const NEAR_PAYLOAD: u64 = PAYLOAD / 10 * 8;
/// A time-out is far above what visits take when it is so many times the p99, and this long.
const FAR: i64 = 50;
const LONG: Micros = Micros(300_000_000);
/// Visits from which on a p99 means something: that a time-out is near, and that it is far.
const ENOUGH: u64 = 100;
const SOME: u64 = 20;

impl Runs {
    /// What the transitions of some states cost, retries included.
    pub(super) fn paid_by(&self, states: &[&Name]) -> Option<Paid> {
        let known = states.iter().filter_map(|it| self.states.get(*it));
        let transitions: u64 = known.map(|it| it.visits + it.retries).sum();
        let usd = self.per_transition? * transitions;
        let said = format!("{transitions} transitions in {} executions, {} USD", self.executions, usd.to_decimal());
        (transitions > 0).then_some(Paid { usd, said })
    }

    pub(super) fn check_machine(&self, found: &mut Vec<Finding>) {
        if self.most_events >= NEAR_EVENTS {
            let message = format!("histories come near the {EVENT_LIMIT} events that an execution may have");
            let mut finding = Finding::new("history_near_limit", String::new(), message);
            finding.evidence = Some(format!("the longest has {} events", self.most_events));
            found.push(finding);
        }
    }
}

impl StateRuns {
    pub(super) fn check(&self, state: &State, all: &Runs, sink: &mut Sink<'_>) {
        self.check_timeout(state, sink);
        self.check_errors(state, all, sink);
        if let Some(bytes) = self.largest_input.filter(|it| *it >= NEAR_PAYLOAD) {
            let message =
                format!("the input of `{}` comes near the {} KiB that it may have", state.name, PAYLOAD / 1_024);
            sink.add("payload_near_limit", "", message).evidence =
                Some(format!("the largest has {} KiB", bytes / 1_024));
        }
    }

    fn check_timeout(&self, state: &State, sink: &mut Sink<'_>) {
        let timeout = state.fields.get("TimeoutSeconds").and_then(serde_json::Value::as_i64).map(Micros::from_seconds);
        let Some((timeout, p99)) = timeout.zip(self.p99) else { return };
        let message = format!("`{}` has a time-out of {} s", state.name, timeout.0 / 1_000_000);
        let evidence = format!("the p99 of its attempts is {} in {} visits", took(p99), self.visits);
        if self.visits >= SOME && p99.0.saturating_mul(5) > timeout.0.saturating_mul(4) {
            sink.add("timeout_near_p99", "/TimeoutSeconds", message).evidence = Some(evidence);
        } else if self.visits >= ENOUGH && timeout > LONG && timeout.0 > p99.0.saturating_mul(FAR) {
            sink.add("timeout_far_above_p99", "/TimeoutSeconds", message).evidence = Some(evidence);
        }
    }

    fn check_errors(&self, state: &State, all: &Runs, sink: &mut Sink<'_>) {
        if state.kind != Some(StateType::Task) {
            return;
        }
        let named = |error: &Name| {
            let retried = state.retry.iter().map(|it| &it.error_equals);
            retried.chain(state.catch.iter().map(|it| &it.error_equals)).any(|it| handlers::takes(it, error))
        };
        for (error, count) in self.fatal.iter().filter(|it| !named(it.0)) {
            let message = format!("nothing handles `{error}` of `{}`", state.name);
            sink.add("error_uncaught", "", message).evidence =
                Some(format!("{count} of {} executions failed with it here", all.executions));
        }
        if self.retries * 5 >= self.visits && self.retries >= 5 {
            let usd = all.per_transition.map(|rate| rate * self.retries);
            let paid = usd.map_or_else(String::new, |it| format!(", {} USD", it.to_decimal()));
            let finding =
                sink.add("retry_storm", "/Retry", format!("a good part of the visits of `{}` is retried", state.name));
            finding.evidence = Some(format!("{} retries in {} visits{paid}", self.retries, self.visits));
            finding.cost = usd;
        }
    }
}
