//! What follows from a failure inside a Parallel or Map.
//!
//! Every event that cleans up after a failure links to the failing event: iterations that fail or are aborted, states that
//! are aborted (without a name), Parallels and Maps that fail. So they are taken together, when the last of them or
//! something that builds on them comes, and their order does not matter. They belong into the containers around the
//! failing event, and never to one elsewhere that only has the same name and index.

use rustc_hash::FxHashMap;

use super::builder::{Builder, index_of};
use super::scope::VisitIndex;
use super::{AttemptStatus, Category, Link, VisitStatus};
use crate::gaps::GapKind;
use crate::model::{Event, EventKind, StateType, Timestamp};

/// A failure, and the events that clean up after it.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// The failing event; `None` where it is missing.
    event: Option<usize>,
    /// In the order of their ids.
    members: Vec<usize>,
    /// A Parallel or Map starts again after it.
    retried: Option<StateType>,
}

/// All failures, by the event at which they have to be dealt with.
#[derive(Debug, Default)]
pub(super) struct Cleanup {
    due: FxHashMap<usize, Vec<Failure>>,
}

impl Cleanup {
    pub(super) fn of(events: &[Event]) -> Self {
        let mut failures: FxHashMap<u64, Failure> = FxHashMap::default();
        let mut failure_of: FxHashMap<u64, u64> = FxHashMap::default();
        for (index, event) in events.iter().enumerate().filter(|(_, it)| it.kind.cleans_up()) {
            let failure = failures.entry(event.previous).or_insert_with(|| Failure {
                event: index_of(events, event.previous).filter(|&it| it < index),
                members: Vec::new(),
                retried: None,
            });
            failure.members.push(index);
            failure_of.insert(event.id, event.previous);
        }
        if failures.is_empty() {
            return Self::default();
        }
        let mut due: FxHashMap<u64, usize> =
            failures.iter().map(|(id, it)| (*id, it.members.last().copied().unwrap_or_default())).collect();
        for (index, event) in events.iter().enumerate() {
            let kind = &event.kind;
            let builds_on_it = kind.starts_round().is_some() || kind.exits().is_some() || kind.closes_execution();
            let failing = if failures.contains_key(&event.previous) && builds_on_it && !kind.cleans_up() {
                Some(event.previous)
            } else {
                failure_of.get(&event.previous).copied()
            };
            let Some(failing) = failing else { continue };
            if let Some(due) = due.get_mut(&failing) {
                *due = index.min(*due);
            }
            if let (Some(kind), Some(failure)) = (kind.starts_round(), failures.get_mut(&failing)) {
                failure.retried.get_or_insert(kind);
            }
        }
        let mut all: Vec<(u64, Failure)> = failures.into_iter().collect();
        all.sort_unstable_by_key(|it| it.0);
        let mut cleanup = Self::default();
        for (id, failure) in all {
            cleanup.due.entry(due[&id]).or_default().push(failure);
        }
        cleanup
    }

    pub(super) fn due_at(&mut self, index: usize) -> Vec<Failure> {
        if self.due.is_empty() { Vec::new() } else { self.due.remove(&index).unwrap_or_default() }
    }
}

/// How far a failure reaches: places in the chain of containers around it, innermost first.
struct Reach {
    /// Containers whose round failed, with the event that says so.
    failed: Vec<(usize, usize)>,
    /// The outermost one in which everything ends.
    top: usize,
}

impl Builder<'_> {
    pub(super) fn clean_up(&mut self, failure: &Failure) {
        let chain = self.chain_of(failure);
        if chain.is_empty() {
            // It happened somewhere, and what follows from it stays there.
            let scope = match failure.event {
                Some(it) => self.scope_of[it],
                None => self.lost_scope(),
            };
            for &member in &failure.members {
                self.scope_of[member] = scope;
            }
        }
        let at_fault = failure.event.and_then(|it| self.visit_of[it]).filter(|&it| self.places.is_open(it));
        let reach = self.reach(failure, &chain);
        let outermost = chain.get(reach.top).copied();
        let around = &chain[..chain.len().min(reach.top + 1)];
        let beside: Vec<VisitIndex> = self.beside(outermost, around, at_fault, failure.event.is_some());
        let owners = self.owners_of_aborts(failure, &beside, at_fault, around);
        let follows_at = failure.members.first().map_or(Timestamp(0), |&it| self.events[it].at);
        if let Some(visit) = at_fault.filter(|it| !around.contains(it)) {
            self.fail(visit, failure.event, follows_at);
        }
        for (place, &container) in around.iter().enumerate() {
            let told = reach.failed.iter().find(|it| it.0 == place).map(|it| it.1);
            self.fail_container(container, failure.event, told, place == reach.top);
        }
        for &visit in beside.iter().rev() {
            let told = owners.iter().find(|it| it.1 == Some(visit)).map(|it| self.events[it.0].at);
            self.end_beside(visit, outermost, failure.event, told, follows_at);
        }
        self.place_members(failure, &owners, around);
    }

    /// The open Parallels and Maps around a failing event, innermost first.
    fn chain_of(&mut self, failure: &Failure) -> Vec<VisitIndex> {
        let chain = failure.event.map_or_else(Vec::new, |it| self.containers_around(it));
        if !chain.is_empty() {
            return chain;
        }
        // The failing event is missing, or nothing tells where it happened: what names a Map, or can mean one only.
        let Some(owner) = failure.members.iter().find_map(|&it| self.only_owner(it)) else { return Vec::new() };
        if let Some(failing) = failure.event
            && self.places.scopes[self.scope_of[failing]].is_lost
        {
            let iteration = failure.members.iter().find_map(|&it| {
                let event = &self.events[it];
                (event.kind == EventKind::MapIterationFailed).then(|| u32::try_from(event.number?).ok()).flatten()
            });
            self.places.adopt(self.scope_of[failing], owner, iteration);
        }
        let around: Vec<VisitIndex> = self.places.owners(self.places.progress[owner].scope).collect();
        std::iter::once(owner).chain(around).filter(|&it| self.places.is_open(it)).collect()
    }

    fn containers_around(&self, failing: usize) -> Vec<VisitIndex> {
        let mut chain = Vec::new();
        // An event of the container itself: a Map Run that failed, or a query over its items.
        let own = self.visit_of[failing].filter(|&it| {
            let progress = &self.places.progress[it];
            let has_no_round = self.places.visits[it].rounds == 0;
            self.places.visits[it].kind.is_container()
                && self.places.is_open(it)
                && (progress.round_open || has_no_round)
        });
        chain.extend(own);
        for owner in self.places.owners(self.scope_of[failing]) {
            if self.places.is_open(owner) && !chain.contains(&owner) {
                chain.push(owner);
            }
        }
        chain
    }

    /// The only container that an event can be about that says that one failed, or an iteration of it.
    fn only_owner(&self, member: usize) -> Option<VisitIndex> {
        let event = &self.events[member];
        let kind = match event.kind {
            EventKind::ParallelStateFailed => StateType::Parallel,
            EventKind::MapStateFailed | EventKind::MapIterationFailed => StateType::Map,
            _ => return None,
        };
        let is_named = |it: VisitIndex| event.name.as_ref().is_none_or(|name| self.places.visits[it].state == *name);
        self.only_open(|it| self.places.visits[it].kind == kind && is_named(it))
    }

    fn reach(&self, failure: &Failure, chain: &[VisitIndex]) -> Reach {
        let mut failed: Vec<(usize, usize)> = Vec::new();
        let free = |failed: &[(usize, usize)], kind: StateType| {
            let is_free = |place: &usize| failed.iter().all(|it| it.0 != *place);
            (0..chain.len()).filter(is_free).find(|&it| self.places.visits[chain[it]].kind == kind)
        };
        for &member in &failure.members {
            let kind = match self.events[member].kind {
                EventKind::ParallelStateFailed => StateType::Parallel,
                EventKind::MapStateFailed => StateType::Map,
                _ => continue,
            };
            failed.extend(free(&failed, kind).map(|place| (place, member)));
        }
        let retried = failure.retried.and_then(|kind| free(&failed, kind));
        let iterations = failure.members.iter().filter_map(|&it| {
            let event = &self.events[it];
            let is_it = |map: &VisitIndex| event.name.as_ref() == Some(&self.places.visits[*map].state);
            (event.kind == EventKind::MapIterationFailed).then(|| chain.iter().position(is_it)).flatten()
        });
        let top = failed.iter().map(|it| it.0).chain(retried).chain(iterations).max().unwrap_or(0);
        Reach { failed, top }
    }

    /// What else is open where everything ends.
    fn beside(
        &self,
        outermost: Option<VisitIndex>,
        around: &[VisitIndex],
        at_fault: Option<VisitIndex>,
        is_known: bool,
    ) -> Vec<VisitIndex> {
        let is_other = |it: &VisitIndex| Some(*it) != at_fault && !around.contains(it);
        match outermost {
            Some(outermost) => {
                let inside = |it: &VisitIndex| self.places.is_inside(*it, outermost);
                self.places.open().filter(|it| is_other(it) && inside(it)).collect()
            }
            // Nothing tells where it happened: what goes on has not been ended.
            None if !is_known && !self.missing.is_empty() => {
                self.places.open().filter(|it| is_other(it) && self.is_cut_off(*it)).collect()
            }
            None => Vec::new(),
        }
    }

    /// Which visit each nameless event aborts. What was at work surely is; what has failed may be waiting for its next
    /// attempt, or have failed for good while its container waited for the next round.
    fn owners_of_aborts(
        &mut self,
        failure: &Failure,
        beside: &[VisitIndex],
        at_fault: Option<VisitIndex>,
        around: &[VisitIndex],
    ) -> Vec<(usize, Option<VisitIndex>)> {
        let is_failing = |it: &VisitIndex| self.places.progress[*it].failing;
        let (failing, working): (Vec<VisitIndex>, Vec<VisitIndex>) = beside.iter().copied().partition(is_failing);
        // The failing state may have a clean-up event as well.
        let mut free: Vec<VisitIndex> =
            working.into_iter().chain(failing).chain(at_fault).chain(around.iter().copied()).collect();
        let mut owners = Vec::new();
        let mut unmatched = None;
        for &member in &failure.members {
            let Some(kind) = self.events[member].kind.aborts() else { continue };
            let place = free.iter().position(|&it| self.places.visits[it].kind == kind);
            let owner = place.map(|it| free.remove(it));
            if owner.is_none() {
                unmatched = unmatched.or(Some(member));
            }
            owners.push((member, owner));
        }
        if let Some(member) = unmatched {
            let count = owners.iter().filter(|it| it.1.is_none()).count() as u64;
            let id = self.events[member].id;
            let text = format!("no open state is left over for {count} clean-up events, the first being event {id}");
            let gap = self.note(GapKind::UnmatchedCleanup, text);
            (gap.incomplete, gap.event, gap.count) = (false, Some(id), Some(count));
        }
        owners
    }

    /// Ends the visit that a failure happened in.
    pub(super) fn fail(&mut self, visit: VisitIndex, failing: Option<usize>, follows_at: Timestamp) {
        let progress = &self.places.progress[visit];
        let last = &self.events[progress.last_event];
        let it = &mut self.places.visits[visit];
        if it.error.is_none() {
            it.error = failing.and_then(|it| self.events[it].error().cloned());
        }
        let timed_out = it.attempts.last().is_some_and(|it| it.status == AttemptStatus::TimedOut);
        // A Fail state, or one whose input or output could not be computed, has no failing event of its own.
        let at = if ends_with_failure(&last.kind) { last.at } else { follows_at };
        self.leave(visit, at, if timed_out { VisitStatus::TimedOut } else { VisitStatus::Failed });
    }

    /// A Parallel or Map around a failure has failed, too; the outermost waits for what catches it or tries it again.
    fn fail_container(&mut self, visit: VisitIndex, failing: Option<usize>, told: Option<usize>, is_outermost: bool) {
        if let Some(told) = told {
            self.attach(told, Some(visit), failing);
            let progress = &mut self.places.progress[visit];
            (progress.round_open, progress.failing) = (false, true);
            self.scope_of[told] = progress.scope;
            self.places.visits[visit].error = failing.and_then(|it| self.events[it].error().cloned());
        }
        if is_outermost && told.is_none() {
            // Its round is over, whether it is tried again, caught, or the event that says so is missing.
            self.places.progress[visit].failing = true;
        }
        if !is_outermost {
            let last = self.places.progress[visit].last_event;
            let at = told.or(failing).map_or(self.events[last].at, |it| self.events[it].at);
            self.leave(visit, at, VisitStatus::Failed);
        }
    }

    /// Ends what was open beside a failure.
    fn end_beside(
        &mut self,
        visit: VisitIndex,
        outermost: Option<VisitIndex>,
        failing: Option<usize>,
        told: Option<Timestamp>,
        follows_at: Timestamp,
    ) {
        let progress = &self.places.progress[visit];
        let last = &self.events[progress.last_event];
        let it = &self.places.visits[visit];
        let is_deeper = self.places.scopes[progress.scope].owner.map(|it| it.0) != outermost;
        // A container that had failed waited for its next round, and so did the one around a Task that nothing aborts.
        let had_failed = progress.failing
            && ends_with_failure(&last.kind)
            && (it.kind.is_container() || (told.is_none() && is_deeper));
        if had_failed {
            let timed_out = it.attempts.last().is_some_and(|it| it.status == AttemptStatus::TimedOut);
            self.leave(visit, last.at, if timed_out { VisitStatus::TimedOut } else { VisitStatus::Failed });
        } else {
            let at = told.unwrap_or_else(|| failing.map_or(follows_at, |it| self.events[it].at));
            self.leave(visit, at, VisitStatus::Aborted);
        }
    }

    /// Gives every event of a clean-up its place; those of containers have theirs.
    fn place_members(&mut self, failure: &Failure, owners: &[(usize, Option<VisitIndex>)], around: &[VisitIndex]) {
        for &member in &failure.members {
            if self.visit_of[member].is_some() {
                continue;
            }
            let event = &self.events[member];
            let binding = failure.event.or_else(|| member.checked_sub(1));
            let owner = match event.kind {
                EventKind::MapIterationFailed | EventKind::MapIterationAborted => {
                    let iteration = event.number.and_then(|it| u32::try_from(it).ok());
                    let scopes = (0..self.places.scopes.len()).rev();
                    let is_it = |it: &usize| {
                        event.name.as_ref().is_some_and(|name| self.places.is_iteration(*it, name, iteration))
                            && self.places.scopes[*it].owner.is_some_and(|(owner, _)| {
                                around.contains(&owner)
                                    || around.last().is_none_or(|&outermost| self.places.is_inside(owner, outermost))
                            })
                    };
                    let scope = scopes.clone().find(is_it);
                    self.scope_of[member] = scope.unwrap_or(self.scope_of[member]);
                    scope.and_then(|it| self.places.scopes[it].owner).map(|it| it.0)
                }
                _ => owners.iter().find(|it| it.0 == member).and_then(|it| it.1),
            };
            if let Some(owner) = owner.filter(|_| event.kind.aborts().is_some()) {
                self.scope_of[member] = self.places.progress[owner].scope;
            }
            if owner.is_none() && event.kind.aborts().is_none() {
                self.unplaced += 1;
            }
            self.visit_of[member] = owner;
            self.links[member] = Link { binding, category: Category::Overhead, owner };
        }
    }

    /// Ends what is open inside a container whose round a failure has ended.
    pub(super) fn end_inside(&mut self, container: VisitIndex, failing: Option<usize>, at: Timestamp) {
        let open: Vec<VisitIndex> = (container + 1..self.places.visits.len())
            .filter(|&it| self.places.is_open(it) && self.places.is_inside(it, container))
            .collect();
        if open.is_empty() {
            return;
        }
        let at_fault = failing.and_then(|it| self.visit_of[it]).filter(|it| open.contains(it));
        let around: Vec<VisitIndex> = failing.map_or_else(Vec::new, |it| self.containers_around(it));
        for &visit in open.iter().rev() {
            if Some(visit) == at_fault {
                self.fail(visit, failing, at);
            } else if around.contains(&visit) {
                self.fail_container(visit, failing, None, false);
            } else {
                self.end_beside(visit, Some(container), failing, None, at);
            }
        }
    }
}

/// Whether an event is itself the failure of the visit it belongs to.
pub(super) fn ends_with_failure(last: &EventKind) -> bool {
    last.fails_attempt()
        || matches!(last, EventKind::EvaluationFailed | EventKind::MapStateFailed | EventKind::ParallelStateFailed)
}
