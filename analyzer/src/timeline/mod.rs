//! Which states did an execution visit, when, inside which branch or iteration, and where did their time go?
//!
//! ```text
//!   history events              visits
//!   2 <- 0 TaskStateEntered     Charge  #2   |==== attempt 1 ====|~~ back-off ~~|== attempt 2 ==|
//!   3 <- 2 TaskScheduled
//!   ...
//! ```
//!
//! `previousEventId` is not a parent pointer: a Map's iteration may follow the last event of another iteration, and a
//! clean-up event follows the failure that caused it. So every event is put into a *scope* (the root, one branch of a
//! Parallel, one iteration of a Map) and, in it, into a visit. Events are ordered by id, never by time.
//!
//! Each event also gets its *binding predecessor*: the event that decided when it could happen. The time between the
//! two belongs to one category of one visit; the critical path is a walk along these links.

mod attempts;
mod behind;
mod builder;
mod cleanup;
mod containers;
mod ending;
mod missing;
mod phase;
mod redrive;
mod scope;
mod states;
mod visit;

pub use phase::{Category, Split};
pub use visit::{Attempt, AttemptStatus, Visit, VisitStatus};

use builder::Builder;
use rustc_hash::FxHashMap;

use crate::gaps::Gap;
use crate::model::{Event, Micros, Timestamp};

/// The timeline of one execution, as far as its events tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// In the order in which they were entered.
    pub visits: Vec<Visit>,
    /// For every event, what it waited for.
    pub links: Vec<Link>,
    /// Index of the event that closed the execution for good.
    pub closing: Option<usize>,
    /// What the events do not tell.
    pub gaps: Vec<Gap>,
    /// The times in which the closed execution waited to be redriven, each from its closing event to the redrive.
    pub rests: Vec<(Timestamp, Timestamp)>,
    /// Retries that the events show, also in states whose entry is missing.
    pub n_retries: u64,
    /// States that a redrive ran again without entering them again.
    pub n_reruns: u64,
    /// The places in which states ran one after the other; the root is the first.
    pub flows: Vec<Flow>,
    /// For every event, the flow it happened in.
    pub flow_of: Vec<usize>,
}

/// The root, one branch of a Parallel, or one iteration of a Map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Index of the visit of the Parallel or Map, and the round of it, counted from 1.
    pub owner: Option<(usize, u32)>,
    pub iteration: Option<u32>,
}

/// What decided when an event could happen, and whose time the span between the two is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Index of the binding predecessor; `None` for the first event and where it is missing.
    pub binding: Option<usize>,
    pub category: Category,
    /// Index of the visit that owns the span; `None` before the first state.
    pub owner: Option<usize>,
}

impl Timeline {
    /// Reconstructs the timeline from events in ascending order of id, each id once.
    pub fn of(events: &[Event]) -> Self {
        let mut builder = Builder::new(events);
        for index in 0..events.len() {
            builder.take(index);
        }
        builder.finish()
    }

    /// The time between two instants in which the execution ran.
    pub fn active_between(&self, from: Timestamp, to: Timestamp) -> Micros {
        let idle = |(closed_at, redriven_at): &(Timestamp, Timestamp)| {
            Micros(((*redriven_at).min(to) - (*closed_at).max(from)).0.max(0))
        };
        (to - from) - self.rests.iter().map(idle).sum()
    }

    /// The visit that follows this one in the same place: at a Choice, where it led.
    pub fn next_in_place(&self, visit: usize) -> Option<usize> {
        let place = |it: &Visit| (it.parent, it.branch, it.iteration);
        let own = place(&self.visits[visit]);
        (visit + 1..self.visits.len()).find(|&it| place(&self.visits[it]) == own)
    }

    /// For every visit, whether it happened inside an item of a Map, in a branch of a Parallel there, too.
    pub fn inside_items(&self) -> Vec<bool> {
        let mut places: FxHashMap<u64, usize> = FxHashMap::default();
        let mut inside = Vec::with_capacity(self.visits.len());
        for (index, it) in self.visits.iter().enumerate() {
            let outer = it.parent.and_then(|it| places.get(&it)).is_some_and(|&it| inside[it]);
            inside.push(it.iteration.is_some() || outer);
            if it.kind.is_container() {
                places.insert(it.id, index);
            }
        }
        inside
    }
}

#[cfg(test)]
mod tests;
