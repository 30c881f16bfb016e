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
            map_children: counted_children(events, record).map(|it| it.iter().map(|it| it.1).sum()),
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

/// The children of each Map Run, in the order of the events that started them; nothing where those of one cannot be counted.
pub(crate) fn counted_children(events: &[Event], record: &ExecutionRecord) -> Option<Vec<(u64, u64)>> {
    map_runs(events).map(|it| Some((it.id, children(events, record, it)?))).collect()
}

/// The children that a Map Run started: what a description says that was made after its end, else the length of the Map
/// where all of it succeeded at once, else what an earlier description says. A redrive of the Map Run starts some of them
/// again, and nothing says how many.
fn children(events: &[Event], record: &ExecutionRecord, started: &Event) -> Option<u64> {
    let described = started.detail.as_ref()?.map_run_arn.as_ref().and_then(|it| record.map_runs.get(it));
    if described.and_then(|it| it.redrive_count).is_some_and(|it| it > 0) || may_be_redriven(events, record, started) {
        return None;
    }
    let counted = described.and_then(|it| it.children_started);
    let is_over = described.and_then(|it| it.status.as_deref()).is_some_and(|it| it != "RUNNING");
    counted.filter(|_| is_over).or_else(|| length(events, started)).or(counted)
}

/// Whether a redrive is known that can have come after the start of a Map Run. One that came before does not concern it.
fn may_be_redriven(events: &[Event], record: &ExecutionRecord, started: &Event) -> bool {
    let is_redrive = |it: &&Event| matches!(it.kind, EventKind::ExecutionRedriven | EventKind::MapRunRedriven);
    let redrives = || events.iter().filter(|it| it.kind == EventKind::ExecutionRedriven);
    let seen = redrives().filter_map(|it| it.number).max().unwrap_or(0).max(redrives().count() as u64);
    // Where no event stands for a redrive, it is not known when it was.
    let is_unseen = record.redrive_count.is_some_and(|it| it > seen);
    is_unseen || events.iter().filter(is_redrive).any(|it| it.id > started.id)
}

/// The length of the Map, where it was known when it began and its Map Run has succeeded.
fn length(events: &[Event], started: &Event) -> Option<u64> {
    let of_id = |id: u64| events.binary_search_by_key(&id, |it| it.id).ok().map(|it| &events[it]);
    let has_succeeded = events.iter().any(|it| it.kind == EventKind::MapRunSucceeded && it.previous == started.id);
    let begun = of_id(started.previous).filter(|it| has_succeeded && it.kind == EventKind::MapStateStarted)?;
    // 0 where the items come from a reader.
    begun.number.filter(|it| *it > 0)
}
