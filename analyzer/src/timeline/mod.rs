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

mod builder;
mod containers;
mod ending;
mod phase;
mod scope;
mod visit;

pub use builder::{Flow, Link, Timeline};
pub use phase::{Category, Split};
pub use visit::{Attempt, AttemptStatus, Visit, VisitStatus};

#[cfg(test)]
mod tests;
