//! Rounds of Parallel and Map states, their items, and Map Runs.

use super::Link;
use super::builder::Builder;
use super::phase::between;
use super::scope::{Scope, ScopeIndex, VisitIndex};
use super::{Category, VisitStatus};
use crate::model::{Event, EventKind, Name, StateType, Timestamp};

impl Builder<'_> {
    pub(super) fn start_round(&mut self, index: usize, previous: Option<usize>, kind: StateType) {
        let visit = self.starting(index, previous, kind);
        let entered_in = self.places.progress[visit].run;
        let is_again = self.places.visits[visit].rounds > 0;
        self.attach(index, Some(visit), previous);
        // What is still open inside belongs to the round before, which the failure ended.
        let failed_at = previous.map_or(self.events[index].at, |it| self.events[it].at);
        self.end_inside(visit, previous, failed_at);
        let progress = &mut self.places.progress[visit];
        (progress.round_open, progress.failing, progress.branches) = (true, false, 0);
        progress.run = self.run;
        self.scope_of[index] = progress.scope;
        let it = &mut self.places.visits[visit];
        it.rounds += 1;
        it.error = None;
        if entered_in < self.run {
            it.n_reruns += 1;
        } else if is_again {
            it.n_retries += 1;
        }
    }

    /// The Parallel or Map whose round begins.
    fn starting(&mut self, index: usize, previous: Option<usize>, kind: StateType) -> VisitIndex {
        let scope = self.scope_of[index];
        let ready = |it: VisitIndex| self.places.visits[it].kind == kind && self.places.is_open(it);
        let entered =
            previous.filter(|&it| self.events[it].kind.enters() == Some(kind)).and_then(|it| self.visit_of[it]);
        // A retry: the innermost container around the failure whose failed round is not over yet.
        let retried = || self.places.enclosing(scope, |it| ready(it) && self.places.progress[it].round_open);
        let is_known = previous.is_some() || !self.missing.has(self.events[index].previous);
        let found = entered
            .or_else(|| retried().filter(|_| is_known))
            .or_else(|| self.places.enclosing(scope, ready).filter(|_| is_known))
            .or_else(|| {
                // After a failure whose place is not known: the only one that can be tried again.
                let is_lost = self.places.outwards(scope).any(|it| self.places.scopes[it].is_lost);
                self.only_open(|it| ready(it) && self.places.progress[it].round_open).filter(|_| is_lost)
            })
            .or_else(|| self.rerun_container(kind, None));
        found.unwrap_or_else(|| self.hide(index, kind))
    }

    /// The Map that an event of one of its iterations belongs to.
    fn map_of_iteration(&self, index: usize, previous: Option<usize>, name: &Name) -> Option<VisitIndex> {
        let is_map = |it: VisitIndex| self.places.visits[it].kind == StateType::Map && self.places.is_open(it);
        let is_it = |it: VisitIndex| is_map(it) && self.places.visits[it].state == *name;
        let direct = previous
            .filter(|&it| self.events[it].kind == EventKind::MapStateStarted)
            .and_then(|it| self.visit_of[it])
            .filter(|&it| is_it(it) || (is_map(it) && self.places.progress[it].is_hidden));
        direct
            .or_else(|| self.places.enclosing(self.scope_of[index], is_it).filter(|_| previous.is_some()))
            .or_else(|| self.only_open(is_it))
            .or_else(|| {
                // Of several with this name, the one whose round nobody saw begin, where no other event is missing.
                let is_waiting =
                    |it: VisitIndex| is_it(it) && !self.places.progress[it].round_open && self.is_cut_off(it);
                self.only_open(is_waiting).filter(|_| self.missing.count() == 1)
            })
    }

    pub(super) fn start_iteration(&mut self, index: usize, previous: Option<usize>) {
        let event = &self.events[index];
        let iteration = event.number.and_then(|it| u32::try_from(it).ok());
        let map = event.name.as_ref().and_then(|name| {
            self.map_of_iteration(index, previous, name).or_else(|| self.rerun_container(StateType::Map, Some(name)))
        });
        let Some(map) = map else {
            self.places.scopes.push(Scope { iteration, is_lost: true, ..Scope::root() });
            self.scope_of[index] = self.places.scopes.len() - 1;
            self.unplaced += 1;
            return;
        };
        if let Some(name) = event.name.as_ref().filter(|_| self.places.progress[map].is_hidden) {
            self.places.visits[map].state = name.clone();
        }
        if !self.places.progress[map].round_open {
            // The event that started the round is missing.
            self.places.progress[map].round_open = true;
            self.places.visits[map].rounds += 1;
        }
        let (round, outer) = (self.places.visits[map].rounds, self.places.progress[map].scope);
        self.places.scopes.push(Scope { iteration, ..Scope::inside(map, round, outer) });
        self.scope_of[index] = self.places.scopes.len() - 1;
        self.visit_of[index] = Some(map);
        // The slot was free when the iteration before had ended, which is told after its last state's exit.
        let freed = previous.and_then(|it| self.places.scopes[self.scope_of[it]].ended_by);
        let freed = freed.filter(|&it| self.visit_of[it] == Some(map) && self.events[it].at <= event.at);
        let redriven = self.redriven.filter(|&it| previous.is_none_or(|before| before < it));
        let binding = freed.or(redriven).or(previous).or(Some(self.places.progress[map].last_event));
        let category = binding.map_or(Category::Overhead, |it| between(&self.events[it].kind, &event.kind));
        self.links[index] = Link { binding, category, owner: Some(map) };
    }

    pub(super) fn end_iteration(&mut self, index: usize, previous: Option<usize>) {
        let event = &self.events[index];
        let iteration = event.number.and_then(|it| u32::try_from(it).ok());
        let found = event.name.as_ref().and_then(|name| self.iteration_ended(index, previous, name, iteration));
        let Some(scope) = found else {
            self.unplaced += 1;
            return;
        };
        let map = self.places.scopes[scope].owner.map(|it| it.0);
        let last = self.places.scopes[scope].last.map(|it| self.places.progress[it].last_event);
        self.scope_of[index] = scope;
        self.visit_of[index] = map;
        self.links[index] = Link { binding: previous.or(last), category: Category::Overhead, owner: map };
        self.places.scopes[scope].ended_by = Some(index);
        if let Some(open) = self.places.scopes[scope].open {
            self.end_leftover(open, event.at);
        }
    }

    /// The place of an iteration that has succeeded.
    fn iteration_ended(
        &mut self,
        index: usize,
        previous: Option<usize>,
        name: &Name,
        iteration: Option<u32>,
    ) -> Option<ScopeIndex> {
        if previous.is_some() {
            let scope = self.scope_of[index];
            let around = self.places.iteration_around(scope, name, iteration);
            if around.is_some() {
                return around;
            }
            let lost = self.places.outwards(scope).find(|&it| self.places.scopes[it].is_lost)?;
            let map = self.only_open(|it| {
                self.places.visits[it].kind == StateType::Map && self.places.visits[it].state == *name
            })?;
            if !self.places.adopt(lost, map, iteration) {
                return None;
            }
            self.lose_rest_of_iteration(lost, map, iteration);
            return Some(lost);
        }
        let is_it = |it: &ScopeIndex| {
            let here = &self.places.scopes[*it];
            here.ended_by.is_none()
                && here.owner.is_some_and(|it| self.places.is_open(it.0))
                && self.places.is_iteration(*it, name, iteration)
        };
        let mut fitting = (0..self.places.scopes.len()).filter(is_it);
        fitting.next().filter(|_| fitting.next().is_none())
    }

    /// A place turned out to be the rest of an iteration: what was open in its beginning was left there.
    fn lose_rest_of_iteration(&mut self, found: ScopeIndex, map: VisitIndex, iteration: Option<u32>) {
        let owner = self.places.scopes[found].owner;
        for scope in 0..self.places.scopes.len() {
            let here = &self.places.scopes[scope];
            if scope != found
                && here.owner == owner
                && here.iteration == iteration
                && self.places.is_open(map)
                && let Some(open) = here.open
                && !self.find_exit(open, found)
            {
                self.lose_exit(open);
            }
        }
    }

    /// Looks for the exit of a visit among those that came in the rest of its place.
    fn find_exit(&mut self, visit: VisitIndex, rest: ScopeIndex) -> bool {
        let (kind, state) = (self.places.visits[visit].kind, self.places.visits[visit].state.clone());
        let fits = |it: &usize| {
            let event = &self.events[*it];
            self.scope_of[*it] == rest && event.kind.exits() == Some(kind) && event.name.as_ref() == Some(&state)
        };
        let Some(place) = self.pending_exits.iter().position(fits) else { return false };
        let exit = self.pending_exits.remove(place);
        self.notes.retain(|it| it.event != Some(self.events[exit].id));
        let previous = self.index_of(self.events[exit].previous);
        let failed = previous.filter(|&it| self.events[it].kind.cleans_up());
        if let Some(failed) = failed {
            let failing = self.index_of(self.events[failed].previous);
            self.end_inside(visit, failing, self.events[failed].at);
            self.places.progress[visit].failing = true;
        }
        self.end_leftovers(visit, self.events[exit].at);
        let at = self.events[exit].at;
        let last = self.places.progress[visit].last_event;
        self.visit_of[exit] = Some(visit);
        self.links[exit] = Link { binding: previous.or(Some(last)), category: Category::Overhead, owner: Some(visit) };
        self.places.progress[visit].last_event = exit.max(last);
        self.leave(visit, at, if failed.is_some() { VisitStatus::Caught } else { VisitStatus::Succeeded });
        true
    }

    /// A round of a Parallel or Map has succeeded.
    pub(super) fn end_round(&mut self, index: usize, previous: Option<usize>, kind: StateType) {
        let event = &self.events[index];
        let is_running = |it: VisitIndex| self.places.is_open_container(it, kind);
        let visit = previous
            .and_then(|_| self.places.enclosing(self.scope_of[index], is_running))
            .or_else(|| self.only_open(is_running));
        self.attach(index, visit, previous);
        let Some(visit) = visit else { return };
        self.end_leftovers(visit, event.at);
        let progress = &mut self.places.progress[visit];
        (progress.round_open, progress.failing) = (false, false);
        self.scope_of[index] = progress.scope;
    }

    /// What is still open inside a Parallel or Map that was left has been left as well, and its exit is missing.
    pub(super) fn end_leftovers(&mut self, container: VisitIndex, at: Timestamp) {
        if !self.places.progress[container].failing {
            let open: Vec<VisitIndex> =
                (container + 1..self.places.visits.len()).filter(|&it| self.places.is_open(it)).collect();
            for visit in open {
                if self.places.is_open(visit) && self.places.is_inside(visit, container) {
                    self.end_leftover(visit, at);
                }
            }
        }
    }

    fn end_leftover(&mut self, visit: VisitIndex, at: Timestamp) {
        if self.missing.is_empty() { self.leave(visit, at, VisitStatus::Aborted) } else { self.lose_exit(visit) }
    }

    pub(super) fn take_map_run(&mut self, index: usize, previous: Option<usize>) {
        let event: &Event = &self.events[index];
        let is_map = |it: VisitIndex| self.places.visits[it].kind == StateType::Map;
        let own = previous.and_then(|it| self.visit_of[it]).filter(|&it| is_map(it) && self.places.is_open(it));
        let around = || self.places.enclosing(self.scope_of[index], |it| is_map(it) && self.places.is_open(it));
        let map = own.or_else(around);
        let map = match map {
            None if event.kind == EventKind::MapRunRedriven => self.rerun_container(StateType::Map, None),
            None if self.missing.has(event.previous) => {
                let distributed = |it: VisitIndex| {
                    is_map(it) && self.places.scopes.iter().all(|scope| scope.owner.is_none_or(|owner| owner.0 != it))
                };
                self.only_open(distributed)
            }
            map => map,
        };
        if map.is_none() && self.is_late(previous) {
            self.visit_of[index] = previous.and_then(|it| self.visit_of[it]);
            return;
        }
        self.attach(index, map, previous);
        if let Some(map) = map {
            let progress = &mut self.places.progress[map];
            self.scope_of[index] = progress.scope;
            progress.run = self.run;
            // The round that had failed goes on.
            progress.round_open |= event.kind == EventKind::MapRunRedriven;
        }
    }
}
