//! Rounds of Parallel and Map states, their items, and what is cleaned up when one fails.

use super::Link;
use super::builder::Builder;
use super::phase::between;
use super::scope::{Scope, VisitIndex};
use super::{Category, VisitStatus};
use crate::model::{EventKind, StateType};

impl Builder<'_> {
    pub(super) fn start_round(&mut self, index: usize, previous: Option<usize>, kind: StateType) {
        let scope = self.scope_of[index];
        let ready = |it: VisitIndex| self.places.visits[it].kind == kind && self.places.is_open(it);
        let entered =
            previous.filter(|&it| self.events[it].kind.enters() == Some(kind)).and_then(|it| self.visit_of[it]);
        // A retry: the innermost container around the failure whose failed round is not over yet.
        let retried = || self.places.enclosing(scope, |it| ready(it) && self.places.progress[it].round_open);
        let visit = entered.or_else(retried).or_else(|| self.places.enclosing(scope, ready));
        self.attach(index, visit, previous);
        let Some(visit) = visit else { return };
        // What is still open inside belongs to the round before, which the failure ended.
        let failed_at = previous.map_or(self.events[index].at, |it| self.events[it].at);
        if entered.is_none() {
            self.blame(previous);
        }
        self.leave_inside(visit, failed_at, VisitStatus::Aborted);
        let progress = &mut self.places.progress[visit];
        (progress.round_open, progress.failing, progress.branches) = (true, false, 0);
        self.blamed = None;
        self.places.visits[visit].rounds += 1;
        self.places.visits[visit].error = None;
        self.scope_of[index] = self.places.progress[visit].scope;
    }

    pub(super) fn map_of_iteration(&self, index: usize, previous: Option<usize>) -> Option<VisitIndex> {
        let name = self.events[index].name.as_ref()?;
        let is_it =
            |it: VisitIndex| self.places.is_open_container(it, StateType::Map) && self.places.visits[it].state == *name;
        let direct = previous
            .filter(|&it| self.events[it].kind == EventKind::MapStateStarted)
            .and_then(|it| self.visit_of[it])
            .filter(|&it| is_it(it));
        direct
            .or_else(|| self.places.enclosing(self.scope_of[index], is_it))
            .or_else(|| self.places.open_named(name).filter(|&it| is_it(it)))
    }

    pub(super) fn start_iteration(&mut self, index: usize, previous: Option<usize>) {
        let Some(map) = self.map_of_iteration(index, previous) else {
            self.unplaced += 1;
            return;
        };
        let event = &self.events[index];
        let (round, outer) = (self.places.visits[map].rounds, self.places.progress[map].scope);
        self.places.scopes.push(Scope {
            iteration: event.number.and_then(|it| u32::try_from(it).ok()),
            ..Scope::inside(map, round, outer)
        });
        self.scope_of[index] = self.places.scopes.len() - 1;
        self.visit_of[index] = Some(map);
        let binding = previous.or(Some(self.places.progress[map].last_event));
        let category = binding.map_or(Category::Overhead, |it| between(&self.events[it].kind, &event.kind));
        self.links[index] = Link { binding, category, owner: Some(map) };
    }

    pub(super) fn end_iteration(&mut self, index: usize, previous: Option<usize>) {
        let event = &self.events[index];
        let Some(map) = self.map_of_iteration(index, previous) else {
            self.unplaced += 1;
            return;
        };
        self.visit_of[index] = Some(map);
        self.links[index] = Link { binding: previous, category: Category::Overhead, owner: Some(map) };
        let Some(iteration) = event.number.and_then(|it| u32::try_from(it).ok()) else {
            return;
        };
        let round = self.places.visits[map].rounds;
        let around = self.places.outwards(self.scope_of[index]).find(|&scope| {
            self.places.scopes[scope].owner == Some((map, round))
                && self.places.scopes[scope].iteration == Some(iteration)
        });
        let Some(scope) = around.or_else(|| self.places.iteration(map, iteration)) else {
            return;
        };
        self.scope_of[index] = scope;
        if event.kind == EventKind::MapIterationFailed {
            self.blame(previous);
        }
        if let Some(open) = self.places.scopes[scope].open {
            self.leave_inside(open, event.at, VisitStatus::Aborted);
            self.leave_unsuccessful(open, event.at, VisitStatus::Aborted);
        }
    }

    /// The visit that a failure event came from failed, and so do the containers around it until one catches.
    pub(super) fn blame(&mut self, failure: Option<usize>) {
        if let Some(visit) = failure.and_then(|it| self.visit_of[it]).filter(|&it| self.places.is_open(it)) {
            self.places.progress[visit].failing = true;
            self.blamed = Some(visit);
        }
    }

    pub(super) fn end_round(&mut self, index: usize, previous: Option<usize>, kind: StateType) {
        let event = &self.events[index];
        // A round that failed before it started, in a query over its items, was never opened.
        let unstarted = || {
            let visit = previous.and_then(|it| self.visit_of[it])?;
            (self.places.visits[visit].kind == kind && self.places.is_open(visit)).then_some(visit)
        };
        let visit = self
            .places
            .enclosing(self.scope_of[index], |it| self.places.is_open_container(it, kind))
            .or_else(unstarted);
        self.attach(index, visit, previous);
        let Some(visit) = visit else { return };
        let failed = matches!(event.kind, EventKind::MapStateFailed | EventKind::ParallelStateFailed);
        if failed {
            self.blame(previous);
        }
        let ended_at = previous.filter(|_| failed).map_or(event.at, |it| self.events[it].at);
        self.leave_inside(visit, ended_at, VisitStatus::Aborted);
        let progress = &mut self.places.progress[visit];
        (progress.round_open, progress.failing) = (false, failed);
        self.scope_of[index] = progress.scope;
        if failed {
            self.places.visits[visit].error = previous.and_then(|it| self.events[it].error().cloned());
        }
    }

    fn has_open_inside(&self, container: VisitIndex) -> bool {
        (container + 1..self.places.visits.len())
            .any(|it| self.places.is_open(it) && it != container && self.places.is_inside(it, container))
    }

    /// A clean-up event without a name: it ends one state of this type beside the failure.
    pub(super) fn abort_one(&mut self, index: usize, previous: Option<usize>) {
        let event = &self.events[index];
        let kind = event.kind.aborts();
        // What waits for its next attempt beside the failure has not failed: it is cleaned up, too.
        self.blame(previous);
        let failed = previous.and_then(|it| self.visit_of[it]);
        let container = self.places.enclosing(self.scope_of[index], |it| {
            self.places.visits[it].kind.is_container() && Some(it) != failed && self.places.progress[it].round_open
        });
        let beside = |it: VisitIndex| {
            Some(self.places.visits[it].kind) == kind
                && self.places.is_open(it)
                && Some(it) != failed
                && container.is_none_or(|container| self.places.is_inside(it, container))
        };
        // Inner states are cleaned up before those around them, and what was at work surely is; what has failed may be
        // waiting for its next attempt, or have failed for good while its container waited for the next round.
        let is_settled = |it: VisitIndex| !self.places.progress[it].failing && !self.has_open_inside(it);
        let beside = (0..self.places.visits.len()).filter(|&it| beside(it));
        let visit = beside.clone().find(|&it| is_settled(it)).or_else(|| beside.min());
        self.visit_of[index] = visit;
        self.links[index] = Link { binding: previous, category: Category::Overhead, owner: visit };
        let Some(visit) = visit else { return };
        self.scope_of[index] = self.places.progress[visit].scope;
        // What waited for an attempt inside has its own clean-up event by now: what is still failing did fail, and the
        // container waited to be retried.
        let blamed = self.blamed.take();
        self.leave_inside(visit, event.at, VisitStatus::Aborted);
        self.blamed = blamed;
        self.leave(visit, event.at, VisitStatus::Aborted);
    }
}
