//! One event is missing: what can it have been?
//!
//! What follows it tells: entries, ends of iterations and of rounds, and new iterations only follow an exit, the start of
//! a round, or the start or end of an iteration. All that would fit is listed when the first of them comes. Where there is
//! one only, that is certain, and the rest is read as if the event were there; where there are several, it is not known.

use rustc_hash::FxHashMap;

use super::VisitStatus;
use super::builder::Builder;
use super::missing::least_until_left;
use super::scope::{Scope, ScopeIndex, VisitIndex};
use crate::model::{Event, EventKind, Name, StateType};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The exit of a visit.
    Exit(VisitIndex),
    /// The start of a round of a Parallel or Map.
    Round(VisitIndex),
    /// The start of an iteration of a Map; which one, where its end tells.
    IterationStart(VisitIndex, Option<u32>),
    /// The event that says that an iteration has succeeded.
    IterationEnd(ScopeIndex),
    /// The event that says how a round of a Parallel or Map ended.
    RoundEnd(VisitIndex),
    /// The entry of a state in this place; `None` where it began a branch.
    Entry(Option<ScopeIndex>),
    /// The end of an attempt that was tried again.
    Attempt,
}

/// The only event that is missing.
#[derive(Debug)]
pub(super) struct Only {
    id: u64,
    /// What links to it.
    followers: Vec<usize>,
    /// Map and index of an iteration that ended and never began.
    begun_unseen: Option<(Name, u32)>,
    /// Whether iterations may have begun that never ended.
    pub(super) may_be_cut_off: bool,
    is_looked_for: bool,
    found: Option<Lost>,
}

impl Only {
    /// `None` where more than one event is missing.
    pub(super) fn of(events: &[Event], spans: &[(u64, u64)]) -> Option<Self> {
        let &[(id, last)] = spans else { return None };
        if id != last {
            return None;
        }
        let followers = (0..events.len()).filter(|&it| events[it].previous == id).collect();
        let begun_unseen = iteration_begun_unseen(events);
        let succeeded = events.last().is_some_and(|it| it.kind == EventKind::ExecutionSucceeded);
        let may_be_cut_off = !succeeded || events.iter().any(|it| it.kind.cleans_up());
        Some(Self { id, followers, begun_unseen, may_be_cut_off, is_looked_for: false, found: None })
    }

    /// Whether more follows it than an exit, which may follow a failure as well.
    fn goes_on(&self, events: &[Event]) -> bool {
        self.followers.iter().any(|&it| events[it].kind.exits().is_none())
    }
}

/// An iteration that ended and never began. What had failed before a redrive goes on after it, and does not begin again.
fn iteration_begun_unseen(events: &[Event]) -> Option<(Name, u32)> {
    let mut running: FxHashMap<(&Name, u64), u64> = FxHashMap::default();
    let (mut failed, mut redriven) = (Vec::new(), Vec::new());
    for event in events {
        if event.kind == EventKind::ExecutionRedriven {
            redriven.append(&mut failed);
        }
        let (Some(name), Some(number)) = (&event.name, event.number) else { continue };
        let key = (name, number);
        let n_running = running.entry(key).or_default();
        match event.kind {
            EventKind::MapIterationStarted => *n_running += 1,
            EventKind::MapIterationSucceeded | EventKind::MapIterationFailed | EventKind::MapIterationAborted => {
                if event.kind != EventKind::MapIterationSucceeded {
                    failed.push(key);
                }
                if *n_running > 0 {
                    *n_running -= 1;
                } else if let Some(place) = redriven.iter().position(|it| *it == key) {
                    redriven.swap_remove(place);
                } else {
                    return Some((name.clone(), u32::try_from(number).ok()?));
                }
            }
            _ => {}
        }
    }
    None
}

impl Builder<'_> {
    /// What stands for the missing event that this one links to, where there is no doubt about it.
    pub(super) fn stand_in(&mut self, index: usize) -> Option<usize> {
        match self.only_reading(index)? {
            Lost::Exit(visit) | Lost::Round(visit) | Lost::RoundEnd(visit) => {
                Some(self.places.progress[visit].last_event)
            }
            Lost::IterationEnd(scope) => self.places.scopes[scope].last.map(|it| self.places.progress[it].last_event),
            Lost::IterationStart(..) | Lost::Entry(_) | Lost::Attempt => None,
        }
    }

    /// The place of a state whose entry is the missing event that this one follows.
    pub(super) fn entered_unseen(&mut self, index: usize) -> Option<ScopeIndex> {
        match self.only_reading(index)? {
            Lost::Entry(scope) => scope,
            _ => None,
        }
    }

    /// The place of a state that begins a branch or an iteration, and the container that owns the step into it, where
    /// the missing event began it.
    pub(super) fn place_behind(&mut self, index: usize) -> Option<(ScopeIndex, Option<VisitIndex>)> {
        match self.only_reading(index)? {
            Lost::Round(visit) if self.places.visits[visit].kind == StateType::Parallel => {
                Some((self.new_branch(visit), Some(visit)))
            }
            Lost::IterationStart(map, iteration) => {
                let (round, outer) = (self.places.visits[map].rounds, self.places.progress[map].scope);
                self.places.scopes.push(Scope { iteration, ..Scope::inside(map, round, outer) });
                Some((self.places.scopes.len() - 1, Some(map)))
            }
            _ => None,
        }
    }

    /// The visit whose exit an event follows that is missing.
    pub(super) fn left_unseen(&mut self, index: usize) -> Option<VisitIndex> {
        match self.only_reading(index)? {
            Lost::Exit(visit) => Some(visit),
            _ => None,
        }
    }

    /// What the only missing event was, if this one follows it; settled when the first of its followers comes.
    fn only_reading(&mut self, index: usize) -> Option<Lost> {
        let only = self.missing.only.as_ref().filter(|it| it.id == self.events[index].previous)?;
        if only.is_looked_for {
            return only.found;
        }
        let found = self.only_fitting(only);
        let only = self.missing.only.as_mut()?;
        (only.is_looked_for, only.found) = (true, found);
        match found {
            Some(Lost::Exit(visit)) => self.lose_exit(visit),
            Some(Lost::Round(visit)) => self.begin_round_unseen(visit),
            Some(Lost::RoundEnd(visit)) => self.end_round_unseen(visit),
            Some(Lost::IterationEnd(_) | Lost::IterationStart(..) | Lost::Entry(_) | Lost::Attempt) | None => {}
        }
        found
    }

    fn only_fitting(&self, only: &Only) -> Option<Lost> {
        let of_visits = self.places.open().flat_map(|it| self.fitting_of(it, only));
        let mut fitting = of_visits.chain(self.entries_fitting(only));
        let first = fitting.next()?;
        fitting.next().is_none().then_some(first)
    }

    /// What the missing event can have been of this visit.
    fn fitting_of(&self, visit: VisitIndex, only: &Only) -> Vec<Lost> {
        let progress = &self.places.progress[visit];
        if progress.is_hidden {
            return Vec::new();
        }
        let is_running_map = self.places.visits[visit].kind == StateType::Map && progress.round_open;
        [
            self.exit_fitting(visit, only),
            self.round_fitting(visit, only),
            self.round_end_fitting(visit, only),
            self.start_fitting(visit, only).filter(|_| is_running_map),
            self.end_fitting(visit, only).filter(|_| is_running_map),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn exit_fitting(&self, visit: VisitIndex, only: &Only) -> Option<Lost> {
        let progress = &self.places.progress[visit];
        let it = &self.places.visits[visit];
        let last = &self.events[progress.last_event];
        let is_at_end = if it.kind.is_container() {
            !progress.round_open && (it.rounds > 0 || progress.failing)
        } else {
            least_until_left(it.kind, &last.kind) == 1 && self.is_cut_off(visit)
        };
        if last.id >= only.id || !is_at_end || only.begun_unseen.is_some() {
            return None;
        }
        let here = &self.places.scopes[progress.scope];
        let owner = here.owner.map(|it| &self.places.visits[it.0]);
        let is_named = |name: &Option<Name>| owner.is_some_and(|it| name.as_ref() == Some(&it.state));
        let is_inside = |kind: StateType| owner.is_some_and(|it| it.kind == kind);
        let mut n_entries = 0;
        let fits = |&follower: &usize| {
            let event = &self.events[follower];
            match &event.kind {
                EventKind::MapIterationSucceeded => {
                    is_named(&event.name) && here.iteration == event.number.and_then(|it| u32::try_from(it).ok())
                }
                EventKind::MapIterationStarted => is_inside(StateType::Map) && is_named(&event.name),
                EventKind::ParallelStateSucceeded => is_inside(StateType::Parallel),
                EventKind::ExecutionSucceeded => owner.is_none(),
                kind if kind.exits() == Some(StateType::Parallel) => is_named(&event.name),
                kind => {
                    n_entries += 1;
                    kind.enters().is_some() && n_entries == 1
                }
            }
        };
        only.followers.iter().all(fits).then_some(Lost::Exit(visit))
    }

    fn round_fitting(&self, visit: VisitIndex, only: &Only) -> Option<Lost> {
        let progress = &self.places.progress[visit];
        let it = &self.places.visits[visit];
        let is_first = it.rounds == 0 && !progress.failing && self.is_cut_off(visit);
        let is_again = progress.failing && progress.round_open;
        let is_parallel = it.kind == StateType::Parallel;
        if !it.kind.is_container() || !(is_first || is_again) || self.events[progress.last_event].id >= only.id {
            return None;
        }
        let fits = |&follower: &usize| {
            let event = &self.events[follower];
            match &event.kind {
                kind if is_parallel => kind.enters().is_some(),
                EventKind::MapStateSucceeded => true,
                EventKind::MapIterationStarted => event.name.as_ref() == Some(&it.state),
                kind => kind.exits() == Some(StateType::Map) && event.name.as_ref() == Some(&it.state),
            }
        };
        (only.followers.iter().all(fits) && only.goes_on(self.events)).then_some(Lost::Round(visit))
    }

    /// A round that may be over, and the exit that follows its end.
    fn round_end_fitting(&self, visit: VisitIndex, only: &Only) -> Option<Lost> {
        let &[follower] = &only.followers[..] else { return None };
        let (event, it) = (&self.events[follower], &self.places.visits[visit]);
        let is_exit = event.kind.exits() == Some(it.kind) && event.name.as_ref() == Some(&it.state);
        let is_running = it.kind.is_container() && self.places.progress[visit].round_open;
        let is_before = self.events[self.places.progress[visit].last_event].id < only.id;
        (is_exit && is_running && is_before).then_some(Lost::RoundEnd(visit))
    }

    fn start_fitting(&self, map: VisitIndex, only: &Only) -> Option<Lost> {
        let &[follower] = &only.followers[..] else { return None };
        self.events[follower].kind.enters()?;
        let is_start =
            |it: &usize| self.events[*it].kind == EventKind::MapStateStarted && self.visit_of[*it] == Some(map);
        let started = (0..follower).rev().find(is_start).map(|it| &self.events[it]);
        let owner = Some((map, self.places.visits[map].rounds));
        let begun = || self.places.scopes.iter().filter(|it| it.owner == owner);
        if let Some((name, iteration)) = &only.begun_unseen {
            let begins_later = self.events[follower..].iter().any(|it| {
                it.kind == EventKind::MapIterationStarted
                    && started.is_some_and(|start| it.previous == start.id)
                    && it.number == Some(u64::from(*iteration))
            });
            let begins = begins_later || begun().any(|it| it.iteration == Some(*iteration));
            let is_it = self.places.visits[map].state == *name && !begins;
            return is_it.then_some(Lost::IterationStart(map, Some(*iteration)));
        }
        let n_begun = begun().count() as u64;
        let has_more = started.and_then(|it| it.number).is_none_or(|it| n_begun < it);
        (only.may_be_cut_off && has_more).then_some(Lost::IterationStart(map, None))
    }

    /// Of all iterations, one has no end, and nothing goes on in it.
    fn end_fitting(&self, map: VisitIndex, only: &Only) -> Option<Lost> {
        let name = &self.places.visits[map].state;
        let fits = |&follower: &usize| {
            let event = &self.events[follower];
            match &event.kind {
                EventKind::MapStateSucceeded => true,
                EventKind::MapIterationStarted => event.name.as_ref() == Some(name),
                kind => kind.exits() == Some(StateType::Map) && event.name.as_ref() == Some(name),
            }
        };
        if !only.followers.iter().all(fits) || !only.goes_on(self.events) {
            return None;
        }
        let owner = Some((map, self.places.visits[map].rounds));
        let is_endless = |it: &ScopeIndex| {
            let here = &self.places.scopes[*it];
            let is_left =
                |it: VisitIndex| matches!(self.places.visits[it].status, VisitStatus::Succeeded | VisitStatus::Caught);
            here.owner == owner && here.ended_by.is_none() && self.is_at_rest(*it) && here.last.is_some_and(is_left)
        };
        let mut endless = (0..self.places.scopes.len()).filter(is_endless);
        let scope = endless.next()?;
        endless.next().is_none().then_some(Lost::IterationEnd(scope))
    }

    /// Something ran in a place, and nothing is known to follow it.
    fn is_at_rest(&self, scope: ScopeIndex) -> bool {
        let here = &self.places.scopes[scope];
        here.open.is_none() && here.last.is_some_and(|it| self.is_cut_off(it))
    }

    /// The places in which a state can have been entered.
    fn entries_fitting(&self, only: &Only) -> Vec<Lost> {
        let follows_entry = |&it: &usize| {
            let kind = &self.events[it].kind;
            let is_plain_exit = kind.exits().is_some_and(|it| it != StateType::Task && !it.is_container());
            is_plain_exit || kind.schedules_attempt() || kind.starts_round().is_some()
        };
        let &[follower] = &only.followers[..] else { return Vec::new() };
        if !follows_entry(&follower) {
            return Vec::new();
        }
        let waits = |scope: &ScopeIndex| {
            let here = &self.places.scopes[*scope];
            let is_running = here.owner.is_none_or(|it| self.places.is_open_container(it.0, StateType::Map));
            let is_begun = || {
                let start = (0..follower).find(|&it| self.scope_of[it] == *scope && self.begins_place(it));
                here.last.is_none() && start.is_some_and(|it| !self.missing.is_followed(&self.events[it]))
            };
            is_running && here.ended_by.is_none() && (self.is_at_rest(*scope) || is_begun())
        };
        // A Parallel may have more branches than have been seen.
        let is_parallel = |it: &VisitIndex| self.places.is_open_container(*it, StateType::Parallel);
        let branches = self.places.open().filter(is_parallel).map(|_| Lost::Entry(None));
        let places = (0..self.places.scopes.len()).filter(waits).map(|it| Lost::Entry(Some(it)));
        let schedules = self.events[follower].kind.schedules_attempt();
        let is_trying = |it: &VisitIndex| {
            self.places.visits[*it].attempts.last().is_some_and(|it| it.ended_at.is_none()) && self.is_cut_off(*it)
        };
        let retried = self.places.open().filter(|it| schedules && is_trying(it)).map(|_| Lost::Attempt);
        places.chain(branches).chain(retried).collect()
    }

    fn begins_place(&self, index: usize) -> bool {
        matches!(self.events[index].kind, EventKind::MapIterationStarted | EventKind::ExecutionStarted)
    }

    /// A round ended, with a failure where one inside is not followed by anything.
    fn end_round_unseen(&mut self, container: VisitIndex) {
        let is_failing = |it: &VisitIndex| {
            self.places.is_inside(*it, container) && self.places.progress[*it].failing && self.is_cut_off(*it)
        };
        let failing = self.places.open().find(is_failing).map(|it| self.places.progress[it].last_event);
        if let Some(failing) = failing {
            self.end_inside(container, Some(failing), self.events[failing].at);
            self.places.progress[container].failing = true;
        }
        self.places.progress[container].round_open = false;
    }

    fn begin_round_unseen(&mut self, visit: VisitIndex) {
        let progress = &mut self.places.progress[visit];
        (progress.round_open, progress.failing, progress.branches) = (true, false, 0);
        let it = &mut self.places.visits[visit];
        it.n_retries += u64::from(it.rounds > 0);
        it.rounds += 1;
        it.error = None;
    }
}
