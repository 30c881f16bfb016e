//! Which chain of events decided when an execution ended, and what was each span of it spent on?
//!
//! ```text
//!   Validate  |====|
//!   Charge         |=============|    <- on the path
//!   Notify         |===|
//! ```
//!
//! Source: Zhang et al., "CRISP: Critical Path Analysis of Large-Scale Microservice Architectures", USENIX ATC 2022, and
//! Eaton et al., "Distributed Latency Profiling through Critical Path Tracing", ACM Queue 20(1), 2022. Unlike those we
//! need not infer which call waited for which: a history links every event to the one it followed. The path is that
//! chain of binding predecessors from the closing event back to the start, so its spans partition the wall time
//! exactly, also where an exit and the next entry carry the same millisecond.

use crate::model::{Event, EventKind, Micros, Timestamp};
use crate::timeline::{Category, Timeline};

/// One span of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Index of the event that ends the span.
    pub event: usize,
    /// Index of the visit whose time it is; `None` for the execution's own.
    pub owner: Option<usize>,
    pub category: Category,
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Step {
    pub fn span(&self) -> Micros {
        self.to - self.from
    }
}

/// The path as far as it can be proven, in order of time, one step per event on it.
///
/// Where the link to an earlier event is missing, the time since the start of the execution is nobody's. It begins later
/// than the execution where its start is missing, and ends with the last event of a running one.
pub fn critical_path(events: &[Event], timeline: &Timeline) -> Vec<Step> {
    let Some(end) = timeline.closing.or_else(|| last_own_event(events, timeline)) else {
        return Vec::new();
    };
    let mut steps = Vec::with_capacity(events.len());
    let mut at = end;
    let mut to = events[end].at;
    while let Some(before) = timeline.links[at].binding.filter(|&it| it < at) {
        let link = timeline.links[at];
        // Clocks may disagree by a little: a predecessor never ends a span after it began.
        let from = events[before].at.min(to);
        steps.push(Step { event: at, owner: link.owner, category: link.category, from, to });
        (at, to) = (before, from);
    }
    if at > 0 && events[0].kind == EventKind::ExecutionStarted {
        // What came before the first event that can be linked is nobody's.
        let from = events[0].at.min(to);
        steps.push(Step { event: at, owner: None, category: Category::Overhead, from, to });
    }
    steps.reverse();
    steps
}

/// Joins neighbouring steps of one visit and category, and drops those that took no time.
pub fn merged(steps: &[Step]) -> Vec<Step> {
    let mut joined: Vec<Step> = Vec::new();
    for step in steps.iter().filter(|it| it.span() > Micros::ZERO) {
        match joined.last_mut() {
            Some(last) if (last.owner, last.category, last.to) == (step.owner, step.category, step.from) => {
                last.to = step.to;
                last.event = step.event;
            }
            _ => joined.push(*step),
        }
    }
    joined
}

/// Of an execution without an end, the last event that is no clean-up of another.
fn last_own_event(events: &[Event], timeline: &Timeline) -> Option<usize> {
    (0..events.len()).rev().find(|&it| {
        timeline.links[it].owner.is_some()
            && events[it].kind.aborts().is_none()
            && events[it].kind != EventKind::MapIterationAborted
    })
}
