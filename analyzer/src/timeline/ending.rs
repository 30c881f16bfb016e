//! How an execution ends, what that ends with it, and how a redrive opens it again.

use super::Link;
use super::builder::{Builder, ends_with_failure};
use super::phase::cut_off_after;
use super::scope::VisitIndex;
use super::{Category, VisitStatus};
use crate::model::{Event, EventKind};

impl Builder<'_> {
    pub(super) fn close(&mut self, index: usize, previous: Option<usize>) {
        let event = &self.events[index];
        self.closing = Some(index);
        if event.kind == EventKind::ExecutionFailed {
            self.blame(previous);
        }
        let open = previous.and_then(|it| self.visit_of[it]).filter(|&it| self.places.is_open(it));
        let cut_off = if matches!(event.kind, EventKind::ExecutionSucceeded | EventKind::ExecutionFailed) {
            open
        } else {
            open.filter(|&it| !self.places.visits[it].kind.is_container()).or_else(|| self.first_open_leaf())
        };
        self.links[index] = self.closing_link(index, previous, cut_off);
        self.scope_of[index] = 0;
        let status = match event.kind {
            EventKind::ExecutionTimedOut => VisitStatus::TimedOut,
            EventKind::ExecutionSucceeded => VisitStatus::Succeeded,
            _ => VisitStatus::Aborted,
        };
        if event.kind == EventKind::ExecutionFailed {
            self.fail_owners(open);
        }
        for visit in (0..self.places.visits.len()).rev() {
            if self.places.is_open(visit) {
                if event.kind == EventKind::ExecutionFailed && self.places.visits[visit].error.is_none() {
                    self.places.visits[visit].error =
                        self.places.progress[visit].failing.then(|| event.error().cloned()).flatten();
                }
                self.leave_at_the_end(visit, event, status);
            }
        }
    }

    pub(super) fn leave_at_the_end(&mut self, visit: VisitIndex, event: &Event, status: VisitStatus) {
        let last = &self.events[self.places.progress[visit].last_event].kind;
        let failing_without_event = self.places.progress[visit].failing && !ends_with_failure(last);
        if failing_without_event {
            // `States.Runtime`: the execution fails right after the entry, without an event of the state's own.
            self.leave(visit, event.at, VisitStatus::Failed);
        } else {
            self.leave_unsuccessful(visit, event.at, status);
        }
    }

    /// Containers around a failure that nothing caught have failed, too.
    pub(super) fn fail_owners(&mut self, visit: Option<VisitIndex>) {
        let Some(visit) = visit else { return };
        let owners: Vec<_> = self
            .places
            .outwards(self.places.progress[visit].scope)
            .filter_map(|scope| self.places.scopes[scope].owner.map(|(it, _)| it))
            .collect();
        for owner in owners {
            self.places.progress[owner].failing = true;
        }
    }

    /// An aborted or timed-out execution waited for the state that was open; of several, the one entered first.
    pub(super) fn first_open_leaf(&self) -> Option<VisitIndex> {
        let open = |it: &VisitIndex| self.places.is_open(*it);
        (0..self.places.visits.len())
            .filter(open)
            .find(|&it| !self.places.visits[it].kind.is_container())
            .or_else(|| (0..self.places.visits.len()).rfind(open))
    }

    pub(super) fn closing_link(&self, index: usize, previous: Option<usize>, cut_off: Option<VisitIndex>) -> Link {
        let event = &self.events[index];
        if let Some(visit) = cut_off {
            let last = self.places.progress[visit].last_event;
            let binding =
                if event.kind == EventKind::ExecutionFailed { previous.map_or(last, |it| it.max(last)) } else { last };
            let last = &self.events[binding].kind;
            let category = if event.kind == EventKind::ExecutionFailed {
                Category::Overhead
            } else {
                cut_off_after(last, self.places.visits[visit].kind)
            };
            return Link { binding: Some(binding), category, owner: Some(visit) };
        }
        let binding = previous.or_else(|| index.checked_sub(1));
        let owner = binding.and_then(|it| self.visit_of[it]);
        Link { binding, category: Category::Overhead, owner }
    }

    pub(super) fn redrive(&mut self, index: usize) {
        self.links[index] =
            Link { binding: self.closing.or(self.links[index].binding), category: Category::RedriveIdle, owner: None };
        self.closing = None;
        self.redriven = true;
        self.scope_of[index] = 0;
    }
}
