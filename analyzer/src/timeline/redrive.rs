//! Redrives: a closed execution runs again, and with it the states that had not succeeded.
//!
//! Whether a state is entered again or only scheduled again is not documented, and both are understood: what is scheduled
//! or left without a new entry re-opens the last visit of its place that had not succeeded.

use super::builder::Builder;
use super::cleanup::ends_with_failure;
use super::scope::{ScopeIndex, VisitIndex};
use super::{Category, Link, VisitStatus};
use crate::model::{Micros, Name, StateType};

impl Builder<'_> {
    pub(super) fn redrive(&mut self, index: usize) {
        let event = &self.events[index];
        let binding = self.closing.or(self.links[index].binding);
        self.links[index] = Link { binding, category: Category::RedriveIdle, owner: None };
        if self.closing.is_none() {
            self.close_unseen();
        }
        let closed_at = self.closing.map_or(event.at, |it| self.events[it].at.min(event.at));
        self.rests.push((closed_at, event.at));
        self.run_again();
        let told = event.number.and_then(|it| u32::try_from(it).ok()).unwrap_or(0);
        self.run = self.run.max(told);
        self.redriven = Some(index);
        self.scope_of[index] = 0;
    }

    /// The event is missing that closed the execution, and with it all that was open.
    fn close_unseen(&mut self) {
        let open: Vec<VisitIndex> = self.places.open().collect();
        for visit in open {
            let progress = &mut self.places.progress[visit];
            let last = &self.events[progress.last_event];
            if progress.failing && ends_with_failure(&last.kind) {
                self.leave(visit, last.at, VisitStatus::Failed);
                continue;
            }
            progress.is_closed = true;
            self.places.scopes[progress.scope].open = None;
            self.places.visits[visit].status = VisitStatus::Aborted;
        }
    }

    /// From here on the execution runs once more.
    pub(super) fn run_again(&mut self) {
        self.closing = None;
        self.run += 1;
    }

    fn may_run_again(&self, visit: VisitIndex) -> bool {
        let progress = &self.places.progress[visit];
        self.run > 0
            && progress.run < self.run
            && progress.is_closed
            && unsuccessful(self.places.visits[visit].status)
            && self.places.scopes[progress.scope].last == Some(visit)
            && self.places.is_of_newest_round(visit)
    }

    /// The first visit that fits and had not succeeded; what failed comes before what was cut off. Where the place of one of
    /// them is not known, it may have been followed by another round: then only a single one is certain.
    fn to_run_again(&self, fits: impl Fn(VisitIndex) -> bool) -> Option<VisitIndex> {
        let is_lost = |it: &VisitIndex| {
            self.places.outwards(self.places.progress[*it].scope).any(|it| self.places.scopes[it].is_lost)
        };
        let found: Vec<VisitIndex> =
            (0..self.places.visits.len()).filter(|&it| fits(it) && self.may_run_again(it)).collect();
        if found.len() > 1 && found.iter().any(is_lost) {
            return None;
        }
        let is_failed = |it: &&VisitIndex| self.places.visits[**it].status != VisitStatus::Aborted;
        found.iter().find(is_failed).or(found.first()).copied()
    }

    /// The Task that an event schedules again: the one it links to, else one that called the same, else any.
    pub(super) fn rerun_task(&mut self, index: usize, linked: Option<VisitIndex>) -> Option<VisitIndex> {
        let resource = self.events[index].resource.as_ref();
        let called = |it: VisitIndex| self.places.visits[it].attempts.last().and_then(|it| it.resource.as_ref());
        let is_task = |it: VisitIndex| self.places.visits[it].kind == StateType::Task;
        let task = linked
            .filter(|&it| self.may_run_again(it))
            .or_else(|| self.to_run_again(|it| is_task(it) && called(it) == resource))
            .or_else(|| self.to_run_again(is_task))?;
        self.reopen_with_owners(task);
        Some(task)
    }

    /// The visit of this state that a redrive runs again without entering it again.
    pub(super) fn rerun_named(&mut self, name: &Name) -> Option<VisitIndex> {
        let visit = self.to_run_again(|it| self.places.visits[it].state == *name)?;
        self.reopen_with_owners(visit);
        self.places.visits[visit].n_reruns += 1;
        self.places.progress[visit].run = self.run;
        Some(visit)
    }

    /// The Parallel or Map that a redrive starts again.
    pub(super) fn rerun_container(&mut self, kind: StateType, name: Option<&Name>) -> Option<VisitIndex> {
        let fits = |it: VisitIndex| {
            let visit = &self.places.visits[it];
            visit.kind == kind && name.is_none_or(|name| visit.state == *name)
        };
        let visit = self.to_run_again(fits)?;
        self.reopen_with_owners(visit);
        Some(visit)
    }

    /// Where a state is entered again that had not succeeded.
    pub(super) fn scope_redriven(&mut self, name: &Name) -> ScopeIndex {
        let Some(failed) = self.to_run_again(|it| self.places.visits[it].state == *name) else { return 0 };
        let scope = self.places.progress[failed].scope;
        self.reopen_owners(scope);
        scope
    }

    fn reopen_with_owners(&mut self, visit: VisitIndex) {
        self.reopen_owners(self.places.progress[visit].scope);
        self.reopen(visit);
    }

    pub(super) fn reopen_owners(&mut self, scope: ScopeIndex) {
        let owners: Vec<VisitIndex> = self.places.owners(scope).filter(|&it| !self.places.is_open(it)).collect();
        for owner in owners {
            self.reopen(owner);
            self.places.progress[owner].round_open = true;
            self.places.progress[owner].run = self.run;
        }
    }

    /// Opens a visit again that was closed with its execution, and books the time since.
    fn reopen(&mut self, visit: VisitIndex) {
        let now = self.redriven.map(|it| self.events[it].at);
        let progress = &mut self.places.progress[visit];
        (progress.failing, progress.is_closed) = (false, false);
        let scope = progress.scope;
        let it = &mut self.places.visits[visit];
        if let (Some(exited_at), Some(now)) = (it.exited_at, now) {
            let idle = |&(closed_at, redriven_at): &(_, _)| redriven_at - exited_at.max(closed_at);
            let idle: Micros = self.rests.iter().filter(|it| it.1 > exited_at).map(idle).sum();
            it.split[Category::RedriveIdle] += idle;
            it.split[Category::Overhead] += (now - exited_at - idle).max(Micros::ZERO);
        }
        (it.exited_at, it.status, it.error) = (None, VisitStatus::Running, None);
        self.places.scopes[scope].open = Some(visit);
    }
}

fn unsuccessful(status: VisitStatus) -> bool {
    matches!(status, VisitStatus::Failed | VisitStatus::TimedOut | VisitStatus::Aborted)
}
