//! When would an execution have ended if something in it had been different?
//!
//! Not an edit of timestamps but a re-simulation: every flow (the root, a branch, an item) is run again from its start,
//! each span scaled as the scenario says; a Parallel and a Map end with their last flow, a failed one with the failure;
//! the items of a Map with a limit take the slot that is freed first, in the order of their starts. What the model does
//! not explain (a dispatch that took a while although a slot was free) is kept as a residual, so that replaying without
//! a change gives back every recorded timestamp, which is the test of the model.
//!
//! Source of the slot recursion: list scheduling with identical machines and a fixed order (Graham, "Bounds on
//! Multiprocessing Timing Anomalies", 1969). With a fixed order, every start is monotone in every duration.
//!
//! [`Replay`] follows every event; [`Program`] is the same run in few numbers, for questions asked a hundred times.

mod program;
mod recorded;
mod slack;

pub use program::{Plan, Program, States};
pub use recorded::{Limits, Replay, Replayed};
