//! How an execution ends, and what ends with it.

use super::builder::Builder;
use super::cleanup::ends_with_failure;
use super::phase::cut_off_after;
use super::scope::VisitIndex;
use super::{Category, Link, VisitStatus};
use crate::model::{Event, EventKind};

impl Builder<'_> {
    pub(super) fn close(&mut self, index: usize, previous: Option<usize>) {
        let event = &self.events[index];
        self.closing = Some(index);
        let open = previous.and_then(|it| self.visit_of[it]).filter(|&it| self.places.is_open(it));
        let cut_off = if matches!(event.kind, EventKind::ExecutionSucceeded | EventKind::ExecutionFailed) {
            open
        } else {
            open.filter(|&it| !self.places.visits[it].kind.is_container()).or_else(|| self.first_open_leaf())
        };
        self.links[index] = self.closing_link(index, previous, cut_off);
        self.scope_of[index] = 0;
        let at_fault =
            if event.kind == EventKind::ExecutionFailed { open.or_else(|| self.only_failing()) } else { None };
        let around: Vec<VisitIndex> =
            at_fault.map_or_else(Vec::new, |it| self.places.owners(self.places.progress[it].scope).collect());
        let open: Vec<VisitIndex> = self.places.open().collect();
        for visit in open.into_iter().rev() {
            self.end_with_execution(visit, event, at_fault, &around, previous);
        }
    }

    fn end_with_execution(
        &mut self,
        visit: VisitIndex,
        event: &Event,
        at_fault: Option<VisitIndex>,
        around: &[VisitIndex],
        failing: Option<usize>,
    ) {
        let progress = &self.places.progress[visit];
        let last = &self.events[progress.last_event];
        let is_container = self.places.visits[visit].kind.is_container();
        if Some(visit) == at_fault {
            if self.places.visits[visit].error.is_none() {
                self.places.visits[visit].error = event.error().cloned();
            }
            self.fail(visit, failing, event.at);
        } else if is_container && progress.failing && ends_with_failure(&last.kind) {
            self.leave(visit, last.at, VisitStatus::Failed);
        } else if is_container && progress.failing && event.kind == EventKind::ExecutionFailed {
            self.leave(visit, event.at, VisitStatus::Failed);
        } else if around.contains(&visit) {
            if self.places.visits[visit].error.is_none() {
                self.places.visits[visit].error = event.error().cloned();
            }
            self.leave(visit, event.at, VisitStatus::Failed);
        } else {
            match event.kind {
                EventKind::ExecutionTimedOut => self.leave(visit, event.at, VisitStatus::TimedOut),
                EventKind::ExecutionSucceeded if self.missing.is_empty() => {
                    self.leave(visit, event.at, VisitStatus::Succeeded);
                }
                EventKind::ExecutionSucceeded => self.lose_exit(visit),
                _ => self.leave(visit, event.at, VisitStatus::Aborted),
            }
        }
    }

    /// The only state that is open and has failed.
    fn only_failing(&self) -> Option<VisitIndex> {
        self.only_open(|it| self.places.progress[it].failing && !self.places.visits[it].kind.is_container())
    }

    /// An aborted or timed-out execution waited for the state that was open; of several, the one entered first.
    fn first_open_leaf(&self) -> Option<VisitIndex> {
        let mut leaves = self.places.open().filter(|&it| !self.places.visits[it].kind.is_container());
        leaves.next().or_else(|| self.places.open().next_back())
    }

    fn closing_link(&self, index: usize, previous: Option<usize>, cut_off: Option<VisitIndex>) -> Link {
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
}
