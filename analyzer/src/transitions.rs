//! How many state transitions did an execution bill?
//!
//! One for each state entered, one for each retry, one for each redrive and for each state that it ran again without
//! entering it again, and one for each child execution that a Distributed Map started. Whether start and end count too is not settled by any public page; the price book has a
//! constant for it, 0 by default.

use crate::model::{Event, EventKind, ExecutionRecord, Name, Transitions};
use crate::timeline::Timeline;

/// The parts of the count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransitionCount {
    pub entered: u64,
    pub retries: u64,
    pub redrives: u64,
    /// States that a redrive ran again without entering them again.
    pub rerun: u64,
    /// `None` where a Map Run's children cannot be counted.
    pub map_children: Option<u64>,
}

impl TransitionCount {
    pub fn of(events: &[Event], timeline: &Timeline, record: &ExecutionRecord) -> Self {
        let entered = events.iter().filter(|it| it.kind.enters().is_some()).count();
        let redrives = events.iter().filter(|it| it.kind == EventKind::ExecutionRedriven).count();
        Self {
            entered: u64::try_from(entered).unwrap_or(u64::MAX),
            retries: timeline.n_retries,
            redrives: u64::try_from(redrives).unwrap_or(u64::MAX),
            rerun: timeline.n_reruns,
            map_children: map_runs(events).map(|arn| children(record, arn)).sum(),
        }
    }

    /// The sum; a lower bound where the children of a Map Run are not known.
    pub fn billed(&self) -> Transitions {
        Transitions(self.entered + self.retries + self.redrives + self.rerun + self.map_children.unwrap_or(0))
    }
}

/// The Map Runs that these events started.
fn map_runs(events: &[Event]) -> impl Iterator<Item = Option<&Name>> {
    events
        .iter()
        .filter(|it| it.kind == EventKind::MapRunStarted)
        .map(|it| it.detail.as_ref().and_then(|detail| detail.map_run_arn.as_ref()))
}

fn children(record: &ExecutionRecord, map_run: Option<&Name>) -> Option<u64> {
    record.map_runs.get(map_run?)?.children_started
}
