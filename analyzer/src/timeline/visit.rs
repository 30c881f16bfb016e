//! One visit of a state, and the attempts made in it.

use super::{Category, Split};
use crate::model::{Micros, Name, StateType, Timestamp};

/// One visit of a state. Its identity within the execution is the id of its `…StateEntered` event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    pub id: u64,
    /// The visit of the Parallel or Map that this one runs inside.
    pub parent: Option<u64>,
    /// Which branch of the Parallel, in the order in which branches began.
    pub branch: Option<u32>,
    /// Which item of the Map.
    pub iteration: Option<u32>,
    pub state: Name,
    pub kind: StateType,
    pub entered_at: Timestamp,
    /// `None` only while the visit is open.
    pub exited_at: Option<Timestamp>,
    pub status: VisitStatus,
    pub error: Option<Name>,
    pub attempts: Vec<Attempt>,
    /// Rounds of a Parallel or Map: one, and one more for each retry.
    pub rounds: u32,
    /// Attempts or rounds that followed a failure: each is billed again.
    pub n_retries: u64,
    /// Redrives that ran it again without entering it again: each is billed again.
    pub n_reruns: u64,
    /// The visit's own time; that of the visits inside it is theirs.
    pub split: Split,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VisitStatus {
    Running,
    Succeeded,
    Failed,
    Caught,
    Aborted,
    TimedOut,
}

impl VisitStatus {
    pub const ALL: [Self; 6] =
        [Self::Running, Self::Succeeded, Self::Failed, Self::Caught, Self::Aborted, Self::TimedOut];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Caught => "caught",
            Self::Aborted => "aborted",
            Self::TimedOut => "timed_out",
        }
    }
}

/// One attempt of a Task: the first, or a retry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// `None` where the event is missing.
    pub scheduled_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub submitted_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub status: AttemptStatus,
    pub error: Option<Name>,
    pub resource: Option<Name>,
    /// The redrive that it belongs to; `None` before the first.
    pub redrive: Option<u32>,
    /// The part of the work in which a function was initialised; `None` where no trace and no report tells.
    pub cold_start: Option<Micros>,
    /// Megabytes times milliseconds that a function's report says were billed.
    pub billed_mb_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttemptStatus {
    Running,
    Succeeded,
    Failed,
    TimedOut,
    Aborted,
}

impl AttemptStatus {
    pub const ALL: [Self; 5] = [Self::Running, Self::Succeeded, Self::Failed, Self::TimedOut, Self::Aborted];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Aborted => "aborted",
        }
    }
}

impl Attempt {
    /// Takes in what is known of the rest of the same attempt.
    pub(super) fn go_on(&mut self, rest: Self) {
        self.started_at = self.started_at.or(rest.started_at);
        self.submitted_at = self.submitted_at.or(rest.submitted_at);
        self.ended_at = rest.ended_at;
        self.status = rest.status;
        self.error = rest.error;
    }
}

impl Visit {
    pub fn duration(&self) -> Option<Micros> {
        self.exited_at.map(|exit| exit - self.entered_at).filter(|it| *it >= Micros::ZERO)
    }

    /// The cold starts of all attempts; `None` where none of them is known.
    pub fn cold_start(&self) -> Option<Micros> {
        self.attempts.iter().filter_map(|it| it.cold_start).reduce(|a, b| a + b)
    }

    /// How long it took without the time in which the closed execution waited to be redriven.
    pub fn active(&self) -> Option<Micros> {
        self.duration().map(|it| it - self.split[Category::RedriveIdle])
    }

    /// Transitions that it billed: its entry, every retry, and every redrive that ran it again.
    pub fn transitions(&self) -> u64 {
        1 + self.n_retries + self.n_reruns
    }
}
