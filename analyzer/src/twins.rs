//! Where do two executions differ? The difference of their durations, split exactly over states and categories.
//!
//! Each execution's wall time is partitioned by its critical path, so the differences of the parts add up to the difference
//! of the wholes; nothing is left over.

use std::collections::BTreeMap;

use crate::execution::Run;
use crate::model::{Micros, Name};
use crate::timeline::Category;

/// A part of both critical paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// `None` for the execution's own.
    pub state: Option<Name>,
    pub category: Category,
    pub first: Micros,
    pub second: Micros,
}

impl Part {
    /// How much longer the first one is.
    pub fn difference(&self) -> Micros {
        self.first - self.second
    }
}

/// The parts in which the two differ, the largest difference first.
pub fn differences(first: &Run, second: &Run) -> Vec<Part> {
    let mut parts: BTreeMap<(Option<Name>, Category), (Micros, Micros)> = BTreeMap::new();
    for (run, is_first) in [(first, true), (second, false)] {
        for step in run.path.iter().filter(|it| it.category != Category::RedriveIdle) {
            let state = step.owner.map(|it| run.timeline.visits[it].state.clone());
            let part = parts.entry((state, step.category)).or_default();
            let side = if is_first { &mut part.0 } else { &mut part.1 };
            *side += step.span();
        }
    }
    let part = |((state, category), (first, second))| Part { state, category, first, second };
    let mut parts: Vec<Part> = parts.into_iter().map(part).filter(|it| it.first != it.second).collect();
    parts.sort_by_key(|it| std::cmp::Reverse(it.difference().0.abs()));
    parts
}
