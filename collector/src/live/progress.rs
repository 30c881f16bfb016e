//! How far is each execution known? By what the database had at first, and by every event that was read since.

use std::time::Duration;

use analyzer::assembly::hash_of;
use analyzer::model::EventKind;
use rustc_hash::FxHashMap;
use tokio::time::Instant;

/// What the database has of one execution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Events without a hole from the first on.
    pub upto: u64,
    pub redrives: u64,
    pub is_complete: bool,
}

const A_DAY: Duration = Duration::from_secs(86_399);

/// What is known of every execution that matters now, by the hash of its ARN.
#[derive(Debug, Default)]
pub(super) struct Progress(FxHashMap<u64, Seen>);

#[derive(Debug, Default)]
struct Seen {
    upto: u64,
    redrives: u64,
    /// The id of the last event that closes the execution.
    closing: u64,
    /// Ids that came before those that lead up to them.
    ahead: Vec<u64>,
    touched: Option<Instant>,
    is_express: bool,
}

impl Seen {
    fn is_younger(&self, age: Duration) -> bool {
        self.touched.is_none_or(|at| at.elapsed() < age)
    }
}

impl Progress {
    pub(super) fn new(stored: &FxHashMap<u64, Stored>) -> Self {
        let now = Instant::now();
        let seen = |it: &Stored| Seen {
            upto: it.upto,
            redrives: it.redrives,
            closing: if it.is_complete { it.upto } else { 0 },
            ahead: Vec::new(),
            touched: Some(now),
            is_express: false,
        };
        Self(stored.iter().map(|(arn, it)| (*arn, seen(it))).collect())
    }

    /// Whether nothing was known of an execution until now.
    pub(super) fn is_first_sight(&mut self, execution_arn: &str) -> bool {
        let mut is_first = false;
        self.0.entry(hash_of(execution_arn)).or_insert_with(|| {
            is_first = true;
            Seen { touched: Some(Instant::now()), ..Seen::default() }
        });
        is_first
    }

    /// Takes note of an event; `false` when it was seen before.
    pub(super) fn note(&mut self, execution_arn: &str, id: u64, kind: &EventKind) -> bool {
        let seen = self.0.entry(hash_of(execution_arn)).or_default();
        if id <= seen.upto {
            return false;
        }
        seen.touched = Some(Instant::now());
        seen.is_express = execution_arn.contains(":express:");
        if id == seen.upto + 1 {
            seen.upto = id;
        } else {
            let Err(place) = seen.ahead.binary_search(&id) else { return false };
            seen.ahead.insert(place, id);
        }
        let n_reached = seen.ahead.iter().zip(seen.upto + 1..).take_while(|(id, next)| *id == next).count();
        seen.upto += n_reached as u64;
        seen.ahead.drain(..n_reached);
        if kind.closes_execution() {
            seen.closing = seen.closing.max(id);
        }
        if *kind == EventKind::ExecutionRedriven {
            seen.redrives += 1;
        }
        true
    }

    /// Forgets finished executions of which nothing was heard for a while, and all others after a day.
    pub(super) fn forget_finished(&mut self, after: Duration) {
        self.0.retain(|_, it| it.is_younger(if it.closing > 0 { after } else { A_DAY }));
    }

    /// Forgets finished Express executions: only logs tell of them, and nobody will ask for them.
    pub(super) fn forget_finished_express(&mut self, after: Duration) {
        self.0.retain(|_, it| !it.is_express || it.closing == 0 || it.closing != it.upto || it.is_younger(after));
    }

    /// The event up to which everything is known.
    pub(super) fn upto(&self, execution_arn: &str) -> u64 {
        self.0.get(&hash_of(execution_arn)).map_or(0, |it| it.upto)
    }

    /// Whether all of an execution is known that was redriven so often.
    pub(super) fn is_complete(&self, execution_arn: &str, redrives: u64) -> bool {
        self.0
            .get(&hash_of(execution_arn))
            .is_some_and(|it| it.closing > 0 && it.closing == it.upto && it.ahead.is_empty() && it.redrives >= redrives)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_is_complete_once_nothing_is_missing_before_its_end() {
        let mut progress = Progress::default();
        let pass = EventKind::parse("PassStateEntered");
        let end = EventKind::parse("ExecutionSucceeded");
        for (id, kind) in [(4, &end), (1, &pass), (3, &pass)] {
            assert!(progress.note("a", id, kind));
        }
        assert!(!progress.note("a", 3, &pass), "seen before");
        assert_eq!((progress.upto("a"), progress.is_complete("a", 0)), (1, false));
        assert!(progress.note("a", 2, &pass));
        assert_eq!((progress.upto("a"), progress.is_complete("a", 0)), (4, true));
        assert!(!progress.is_complete("a", 1), "it was redriven since");
        progress.note("a", 5, &EventKind::ExecutionRedriven);
        assert!(!progress.is_complete("a", 1));
        progress.note("a", 6, &end);
        assert!(progress.is_complete("a", 1));
    }
}
