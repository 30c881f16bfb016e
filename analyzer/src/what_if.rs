//! What is changed in a re-simulation?

use std::collections::BTreeMap;

use crate::model::{Micros, Name};
use crate::timeline::Category;

/// Changes of a recorded execution, all of them at once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scenario {
    /// Work of these states at a factor.
    pub work: BTreeMap<Name, f64>,
    /// States that take no time at all, with everything inside them.
    pub free: Vec<Name>,
    /// Maps with another limit; 0 for the service's own.
    pub concurrency: BTreeMap<Name, usize>,
    pub no_retries: bool,
    pub no_backoff: bool,
    /// Without the initialisation of functions, as far as it is known.
    pub no_cold_starts: bool,
}

impl Scenario {
    /// Only one state free: the bound of what can be won there.
    pub fn freeing(state: &Name) -> Self {
        Self { free: vec![state.clone()], ..Self::default() }
    }

    /// Only the limit of one Map taken away.
    pub fn without_limit(map: &Name) -> Self {
        Self { concurrency: [(map.clone(), usize::MAX)].into(), ..Self::default() }
    }

    pub(crate) fn is_free(&self, state: &Name) -> bool {
        self.free.contains(state)
    }

    /// What a span of a state's own time becomes.
    /// Of the span, `cold` is the initialisation of a function.
    pub(crate) fn scaled(&self, state: Option<&Name>, category: Category, span: Micros, cold: Micros) -> Micros {
        let Some(state) = state else { return span };
        let span = if self.no_cold_starts { span - cold } else { span };
        if self.is_free(state) || (self.no_backoff && category == Category::Backoff) {
            return Micros::ZERO;
        }
        match self.work.get(state).filter(|_| category == Category::Work) {
            Some(factor) => times(span, *factor),
            None => span,
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "spans stay far below 2^53 microseconds"
)]
pub(crate) fn times(span: Micros, factor: f64) -> Micros {
    Micros((span.0 as f64 * factor).round() as i64)
}
