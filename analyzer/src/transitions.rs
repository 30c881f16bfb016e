//! How many state transitions did an execution bill?
//!
//! One for each state entered, one for each retry, one for each redrive and for each state that it ran again without
//! entering it again, and one for each child execution that a Distributed Map started. Whether start and end count too is not settled by any public page; the price book has a
//! constant for it, 0 by default.

use crate::model::{Event, EventKind, ExecutionRecord, Transitions};
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
            map_children: map_runs(events).map(|it| children(events, record, it)).sum(),
        }
    }

    /// The sum; a lower bound where the children of a Map Run are not known.
    pub fn billed(&self) -> Transitions {
        Transitions(self.entered + self.retries + self.redrives + self.rerun + self.map_children.unwrap_or(0))
    }
}

/// The events that started Map Runs.
fn map_runs(events: &[Event]) -> impl Iterator<Item = &Event> {
    events.iter().filter(|it| it.kind == EventKind::MapRunStarted)
}

/// The children that a Map Run started: what a description says that was made after its end, else the length of the Map
/// where all of it succeeded at once, else what an earlier description says. A redrive starts some of them again, and
/// nothing tells how many.
fn children(events: &[Event], record: &ExecutionRecord, started: &Event) -> Option<u64> {
    let described = started.detail.as_ref()?.map_run_arn.as_ref().and_then(|it| record.map_runs.get(it));
    let is_redriven = record.redrive_count.is_some_and(|it| it > 0)
        || described.and_then(|it| it.redrive_count).is_some_and(|it| it > 0)
        || events.iter().any(|it| matches!(it.kind, EventKind::ExecutionRedriven | EventKind::MapRunRedriven));
    if is_redriven {
        return None;
    }
    let counted = described.and_then(|it| it.children_started);
    let is_over = described.and_then(|it| it.status.as_deref()).is_some_and(|it| it != "RUNNING");
    counted.filter(|_| is_over).or_else(|| length(events, started)).or(counted)
}

/// The length of the Map, where it was known when it began and its Map Run has succeeded.
fn length(events: &[Event], started: &Event) -> Option<u64> {
    let of_id = |id: u64| events.binary_search_by_key(&id, |it| it.id).ok().map(|it| &events[it]);
    let has_succeeded = events.iter().any(|it| it.kind == EventKind::MapRunSucceeded && it.previous == started.id);
    let begun = of_id(started.previous).filter(|it| has_succeeded && it.kind == EventKind::MapStateStarted)?;
    // 0 where the items come from a reader.
    begun.number.filter(|it| *it > 0)
}
