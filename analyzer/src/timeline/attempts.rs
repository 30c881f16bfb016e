//! The attempts of Tasks, and queries that fail.

use super::builder::Builder;
use super::scope::{ScopeIndex, VisitIndex};
use super::{Attempt, AttemptStatus, Visit};
use crate::model::{Event, EventKind, Name, StateType};

impl Builder<'_> {
    pub(super) fn take_attempt(&mut self, index: usize, previous: Option<usize>) {
        let event = &self.events[index];
        let Some(visit) = self.task_of(index, previous) else {
            if self.is_late(previous) {
                self.visit_of[index] = previous.and_then(|it| self.visit_of[it]);
            } else {
                self.unplaced += 1;
            }
            return;
        };
        self.attach(index, Some(visit), previous);
        self.scope_of[index] = self.places.progress[visit].scope;
        self.places.progress[visit].failing = event.kind.fails_attempt();
        let run = self.places.progress[visit].run;
        let it = &mut self.places.visits[visit];
        it.error = if event.kind.fails_attempt() { event.error().cloned() } else { None };
        begin_attempt(it, event, run, self.run);
        if let Some(attempt) = it.attempts.last_mut() {
            note(attempt, event);
        }
        self.places.progress[visit].run = self.run;
    }

    /// The open Task that an event belongs to; after a redrive, one that runs again. `None` where there is none.
    fn task_of(&mut self, index: usize, previous: Option<usize>) -> Option<VisitIndex> {
        let event = &self.events[index];
        let Some(previous) = previous else {
            if self.missing.has(event.previous) {
                return Some(self.lost_task(index));
            }
            return self.only_open_task().or_else(|| self.rerun_task(index, None));
        };
        let own = self.visit_of[previous].filter(|&it| self.places.visits[it].kind == StateType::Task);
        if let Some(own) = own {
            if self.places.is_open(own) {
                return Some(own);
            }
            // It was closed with its execution, and a redrive schedules it again.
            let is_rerun = self.redriven.is_some_and(|it| it > self.places.progress[own].last_event);
            return if is_rerun { self.rerun_task(index, Some(own)) } else { None };
        }
        self.open_task(self.scope_of[previous]).or_else(|| self.rerun_task(index, None))
    }

    fn open_task(&self, scope: ScopeIndex) -> Option<VisitIndex> {
        self.places.scopes[scope].open.filter(|&it| self.places.visits[it].kind == StateType::Task)
    }

    fn only_open_task(&self) -> Option<VisitIndex> {
        self.only_open(|it| self.places.visits[it].kind == StateType::Task)
    }

    /// The event of a failed query links to what came before the failing state, or to the state's own last event.
    pub(super) fn fail_evaluation(&mut self, index: usize, previous: Option<usize>) {
        let event = &self.events[index];
        let visit = event.name.as_ref().and_then(|name| self.failing_query(event, previous, name));
        self.attach(index, visit, previous);
        if let Some(visit) = visit {
            self.scope_of[index] = self.places.progress[visit].scope;
            self.places.progress[visit].failing = true;
            self.places.visits[visit].error = event.error().cloned();
        }
    }

    fn failing_query(&self, event: &Event, previous: Option<usize>, name: &Name) -> Option<VisitIndex> {
        let fits = |visit: VisitIndex| self.places.is_open(visit) && self.places.visits[visit].state == *name;
        let own = previous.and_then(|it| self.visit_of[it]).filter(|&it| fits(it));
        if own.is_some() {
            return own;
        }
        let follows_the_same = |visit: VisitIndex| {
            self.events[self.places.progress[visit].first_event].previous == event.previous && fits(visit)
        };
        let named = event.number.or_else(|| entered_id_of(event));
        let is_named = |visit: &VisitIndex| Some(self.places.visits[*visit].id) == named;
        let alike: Vec<VisitIndex> = self.places.open().filter(|&it| follows_the_same(it)).collect();
        alike
            .iter()
            .copied()
            .find(is_named)
            .or(alike.first().copied())
            .or_else(|| self.places.open().filter(|&it| fits(it)).find(is_named))
            .or_else(|| previous.and_then(|it| self.places.scopes[self.scope_of[it]].open).filter(|&it| fits(it)))
            .or_else(|| self.only_open(fits))
    }
}

/// The entry that the cause of a failed query names.
fn entered_id_of(event: &Event) -> Option<u64> {
    event.payload(crate::model::PayloadField::Cause).and_then(crate::model::entered_id)
}

/// Adds an attempt to a visit where an event begins one, and counts what is billed again.
fn begin_attempt(visit: &mut Visit, event: &Event, entered_in: u32, run: u32) {
    let redrive = (run > 0).then_some(run);
    let last = visit.attempts.last();
    // A start behind an end: the event that scheduled it is missing.
    let is_unscheduled = event.kind.starts_attempt() && last.is_some_and(|it| it.ended_at.is_some());
    if !event.kind.schedules_attempt() && !is_unscheduled && last.is_some_and(|it| it.redrive == redrive) {
        return;
    }
    match last {
        Some(last) if last.redrive == redrive => visit.n_retries += 1,
        _ if entered_in < run => visit.n_reruns += 1,
        _ => {}
    }
    // Most visits have one attempt, and room for four would be most of what a timeline takes.
    if visit.attempts.is_empty() {
        visit.attempts.reserve_exact(1);
    }
    visit.attempts.push(Attempt {
        scheduled_at: event.kind.schedules_attempt().then_some(event.at),
        started_at: None,
        submitted_at: None,
        ended_at: None,
        status: AttemptStatus::Running,
        error: None,
        resource: event.resource.clone(),
        redrive,
        cold_start: None,
        billed_mb_ms: None,
    });
}

/// Writes down in an attempt what an event tells of it.
fn note(attempt: &mut Attempt, event: &Event) {
    if event.kind.starts_attempt() {
        attempt.started_at = Some(event.at);
    } else if event.kind == EventKind::TaskSubmitted {
        attempt.submitted_at = Some(event.at);
    } else if event.kind.completes_attempt() {
        (attempt.ended_at, attempt.status) = (Some(event.at), AttemptStatus::Succeeded);
    } else if event.kind.fails_attempt() {
        let timed_out = event.kind.times_out_attempt();
        attempt.status = if timed_out { AttemptStatus::TimedOut } else { AttemptStatus::Failed };
        attempt.ended_at = Some(event.at);
        attempt.error = event.error().cloned();
    }
}
