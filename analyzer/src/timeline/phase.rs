//! To which category does the time between two events belong?

use std::ops::{Index, IndexMut};

use crate::model::{EventKind, Micros, StateType};

/// What an execution's time was spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// Started to ended of every attempt, or started to submitted where it was submitted.
    Work,
    /// Submitted to ended: a job, a nested execution or a task token that is waited for.
    Callback,
    /// Scheduled to started.
    Queue,
    /// Failed to scheduled again.
    Backoff,
    /// A Wait state.
    Wait,
    /// What remains between a freed Map slot and the start of the next iteration.
    SlotWait,
    /// A closed execution waiting to be redriven.
    RedriveIdle,
    /// What the service itself takes.
    Overhead,
}

impl Category {
    pub const ALL: [Self; 8] = [
        Self::Work,
        Self::Callback,
        Self::Queue,
        Self::Backoff,
        Self::Wait,
        Self::SlotWait,
        Self::RedriveIdle,
        Self::Overhead,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Callback => "callback",
            Self::Queue => "queue",
            Self::Backoff => "backoff",
            Self::Wait => "wait",
            Self::SlotWait => "slot_wait",
            Self::RedriveIdle => "redrive_idle",
            Self::Overhead => "overhead",
        }
    }
}

/// Time per category.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Split([Micros; 8]);

impl Split {
    pub fn total(&self) -> Micros {
        self.0.iter().copied().sum()
    }

    /// Adds another split, category by category.
    pub fn add(&mut self, other: &Self) {
        for category in Category::ALL {
            self[category] += other[category];
        }
    }
}

impl Index<Category> for Split {
    type Output = Micros;

    fn index(&self, category: Category) -> &Micros {
        &self.0[category as usize]
    }
}

impl IndexMut<Category> for Split {
    fn index_mut(&mut self, category: Category) -> &mut Micros {
        &mut self.0[category as usize]
    }
}

/// The category of the time that ends with `event` and began with `before`, its binding predecessor.
pub(crate) fn between(before: &EventKind, event: &EventKind) -> Category {
    use EventKind as E;
    if event.starts_attempt() {
        Category::Queue
    } else if event.completes_attempt() || event.fails_attempt() {
        ending_attempt(before)
    } else if event.schedules_attempt() {
        if before.fails_attempt() { Category::Backoff } else { Category::Overhead }
    } else if event.exits().is_some()
        && (before.starts_attempt() || before.schedules_attempt() || *before == E::TaskSubmitted)
    {
        // The event that ended the attempt is missing: it went on until the exit at most.
        ending_attempt(before)
    } else {
        match event {
            E::TaskSubmitted => Category::Work,
            E::WaitStateExited => Category::Wait,
            E::MapIterationStarted if *before != E::MapStateStarted => Category::SlotWait,
            E::MapStateStarted | E::ParallelStateStarted if before.enters().is_none_or(|it| !it.is_container()) => {
                if *before == E::ExecutionRedriven {
                    Category::Overhead
                } else {
                    Category::Backoff
                }
            }
            E::MapRunSucceeded | E::MapRunFailed | E::MapRunAborted => Category::Callback,
            E::ExecutionRedriven => Category::RedriveIdle,
            _ => Category::Overhead,
        }
    }
}

fn ending_attempt(before: &EventKind) -> Category {
    if before.starts_attempt() {
        Category::Work
    } else if before.schedules_attempt() {
        Category::Queue
    } else if *before == EventKind::TaskSubmitted {
        Category::Callback
    } else {
        Category::Overhead
    }
}

/// The category of the time after `last`, an open visit's last event, until the visit is cut off from outside.
pub(crate) fn cut_off_after(last: &EventKind, state: StateType) -> Category {
    if last.fails_attempt() {
        Category::Backoff
    } else if state == StateType::Wait {
        Category::Wait
    } else if *last == EventKind::MapRunStarted {
        Category::Callback
    } else {
        ending_attempt(last)
    }
}
