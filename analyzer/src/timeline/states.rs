//! How states are entered and left.

use super::builder::Builder;
use super::phase::cut_off_after;
use super::scope::{Progress, Scope, ScopeIndex, VisitIndex};
use super::{AttemptStatus, Category, Link, Split, Visit, VisitStatus};
use crate::gaps::GapKind;
use crate::model::{Event, EventKind, Micros, Name, StateType, Timestamp};

impl Builder<'_> {
    pub(super) fn enter(&mut self, index: usize, previous: Option<usize>, kind: StateType) {
        let event = &self.events[index];
        let name = event.name.clone().unwrap_or_else(|| "?".into());
        let (scope, owner) = self.scope_entered(index, previous, &name);
        let left = self.places.scopes[scope].open;
        let unseen = self.left_unseen(index);
        let cut_off = left.or(unseen).map(|it| self.cut_off_link(it));
        if let Some(left) = left {
            self.pass_over(left, event, &name);
        }
        let before = self.last_in(scope).filter(|_| self.missing.has(event.previous));
        let visit = self.push_visit(index, scope, name, kind);
        (self.scope_of[index], self.visit_of[index]) = (scope, Some(visit));
        let binding = previous.filter(|_| unseen.is_none()).or_else(|| self.first_event_if(event.previous == 0));
        self.links[index] = match (binding, cut_off) {
            (None, Some(link)) => link,
            _ => Link {
                binding: binding.or(before),
                category: Category::Overhead,
                owner: owner.or(self.owner_of_step(binding, visit)),
            },
        };
        // It was on its way when a failure elsewhere ended all around it.
        if self.places.scopes[scope].owner.is_some_and(|it| !self.places.is_open(it.0)) {
            self.leave(visit, event.at, VisitStatus::Aborted);
        }
    }

    fn push_visit(&mut self, index: usize, scope: ScopeIndex, name: Name, kind: StateType) -> VisitIndex {
        let event = &self.events[index];
        let visit = self.places.visits.len();
        let here = &mut self.places.scopes[scope];
        (here.open, here.last) = (Some(visit), Some(visit));
        let (parent, branch, iteration) = (here.owner.map(|(it, _)| it), here.branch, here.iteration);
        self.places.progress.push(Progress {
            scope,
            first_event: index,
            last_event: index,
            failing: false,
            round_open: false,
            branches: 0,
            is_closed: false,
            is_hidden: false,
            run: self.run,
        });
        let parent = parent.map(|it| self.places.visits[it].id);
        self.places.visits.push(Visit {
            id: event.id,
            parent,
            branch,
            iteration,
            state: name,
            kind,
            entered_at: event.at,
            exited_at: None,
            status: VisitStatus::Running,
            error: None,
            attempts: Vec::new(),
            rounds: 0,
            n_retries: 0,
            n_reruns: 0,
            split: Split::default(),
        });
        visit
    }

    /// The step into the first state of the execution is nobody's; any other belongs to the state it leads to.
    fn owner_of_step(&self, binding: Option<usize>, visit: VisitIndex) -> Option<VisitIndex> {
        binding.filter(|&it| self.events[it].kind != EventKind::ExecutionStarted).map(|_| visit)
    }

    fn first_event_if(&self, wanted: bool) -> Option<usize> {
        (wanted && self.events.first().is_some_and(|it| it.kind == EventKind::ExecutionStarted)).then_some(0)
    }

    /// The time from what a visit did last to what follows it in its place, where its own end is missing.
    fn cut_off_link(&self, visit: VisitIndex) -> Link {
        let last = self.places.progress[visit].last_event;
        let category = cut_off_after(&self.events[last].kind, self.places.visits[visit].kind);
        Link { binding: Some(last), category, owner: Some(visit) }
    }

    /// Another state follows in the same place, so this one was left.
    fn pass_over(&mut self, left: VisitIndex, event: &Event, next: &Name) {
        if !self.missing.is_empty() {
            return self.lose_exit(left);
        }
        let it = &self.places.visits[left];
        let (id, state) = (it.id, it.state.clone());
        let text = format!("`{state}` (event {id}) has no exit although `{next}` follows it");
        let gap = self.note(GapKind::UnknownEnd, text);
        (gap.event, gap.state) = (Some(id), Some(state));
        self.leave(left, event.at, VisitStatus::Succeeded);
    }

    /// The scope that a state is entered in, and the container that owns the step into it, if it is a first state.
    fn scope_entered(
        &mut self,
        index: usize,
        previous: Option<usize>,
        name: &Name,
    ) -> (ScopeIndex, Option<VisitIndex>) {
        let before = previous.filter(|&it| self.events[it].id == self.events[index].previous);
        let Some(previous) = before.or(previous.filter(|_| self.left_unseen(index).is_some())) else {
            return self.place_behind(index).unwrap_or_else(|| (self.scope_without_link(index, name), None));
        };
        match self.events[previous].kind {
            EventKind::ParallelStateStarted => match self.visit_of[previous] {
                Some(parallel) => (self.new_branch(parallel), Some(parallel)),
                None => (self.scope_of[previous], None),
            },
            EventKind::MapIterationStarted => (self.scope_of[previous], self.visit_of[previous]),
            EventKind::ExecutionRedriven => (self.scope_redriven(name), None),
            _ => (self.scope_of[previous], None),
        }
    }

    fn scope_without_link(&mut self, index: usize, name: &Name) -> ScopeIndex {
        let event = &self.events[index];
        if event.previous == 0 {
            // A redrive that links to nothing, and a state that it runs again.
            return if self.run > 0 { self.scope_redriven(name) } else { 0 };
        }
        let scope = self.lost_scope();
        if self.places.scopes[scope].is_lost {
            let (id, missing) = (event.id, event.previous);
            let text =
                format!("`{name}` (event {id}) follows event {missing}, which is missing: its place is not known");
            let gap = self.note(GapKind::UnknownPlace, text);
            (gap.event, gap.state) = (Some(id), Some(name.clone()));
        }
        scope
    }

    pub(super) fn new_branch(&mut self, owner: VisitIndex) -> ScopeIndex {
        let progress = &mut self.places.progress[owner];
        let branch = progress.branches;
        progress.branches += 1;
        let outer = progress.scope;
        let round = self.places.visits[owner].rounds;
        self.places.scopes.push(Scope { branch: Some(branch), ..Scope::inside(owner, round, outer) });
        self.places.scopes.len() - 1
    }

    pub(super) fn exit(&mut self, index: usize, previous: Option<usize>) {
        let event = &self.events[index];
        let name = event.name.clone().unwrap_or_else(|| "?".into());
        let Some(visit) = self.exiting(index, previous, &name) else {
            if !self.is_late(previous) {
                let id = event.id;
                let gap = self.note(GapKind::UnknownState, format!("exit without entry: `{name}` (event {id})"));
                (gap.event, gap.state) = (Some(id), Some(name));
            }
            if previous.is_none() {
                self.scope_of[index] = self.entered_unseen(index).unwrap_or_else(|| self.lost_scope());
            }
            self.pending_exits.push(index);
            return;
        };
        let is_container = self.places.visits[visit].kind.is_container();
        if is_container {
            self.end_leftovers(visit, event.at);
        }
        let ends_unseen = self.ends_unseen(visit);
        self.attach(index, Some(visit), previous);
        let status = if self.places.progress[visit].failing { VisitStatus::Caught } else { VisitStatus::Succeeded };
        self.leave(visit, event.at, status);
        if ends_unseen && !self.places.progress[visit].is_hidden {
            let id = self.places.visits[visit].id;
            let text =
                format!("the last attempt of `{name}` (event {id}) has no end: it is counted as work until the exit");
            let gap = self.note(GapKind::UnknownEnd, text);
            (gap.event, gap.state) = (Some(id), Some(name));
        }
        self.scope_of[index] = self.places.progress[visit].scope;
    }

    /// The last attempt of a visit has begun, and nothing tells how it ended.
    fn ends_unseen(&self, visit: VisitIndex) -> bool {
        self.places.visits[visit].attempts.last().is_some_and(|it| it.status == AttemptStatus::Running)
    }

    /// The visit that an exit ends.
    fn exiting(&mut self, index: usize, previous: Option<usize>, name: &Name) -> Option<VisitIndex> {
        let event = &self.events[index];
        let kind = event.kind.exits();
        let Some(previous) = previous else {
            if !self.missing.has(event.previous) {
                return self.places.open_named(name).or_else(|| self.rerun_named(name));
            }
            return self.lost_exit(index, name, kind?);
        };
        let of_kind = |visit: VisitIndex| Some(self.places.visits[visit].kind) == kind && self.places.is_open(visit);
        let is_named = |visit: VisitIndex| self.places.visits[visit].state == *name && self.places.is_open(visit);
        let is_hidden = |visit: VisitIndex| self.places.progress[visit].is_hidden;
        let own = self.visit_of[previous].filter(|&it| of_kind(it) && (is_named(it) || is_hidden(it)));
        if let Some(own) = own {
            return Some(if is_hidden(own) && kind == Some(StateType::Task) { self.identify(own, name) } else { own });
        }
        let around = self.scope_of[previous];
        // Step Functions Local lets every state exit as a Task, so the name decides where the type does not fit.
        let found = self
            .places
            .enclosing(around, |it| of_kind(it) && (is_named(it) || is_hidden(it)))
            .or_else(|| self.places.enclosing(around, is_named));
        if found.is_some() {
            return found;
        }
        if self.events[previous].kind == EventKind::ExecutionRedriven {
            return self.rerun_named(name);
        }
        if self.missing.is_empty() {
            return self.places.open_named(name).filter(|_| !self.is_late(Some(previous)));
        }
        let is_container = kind.is_some_and(StateType::is_container);
        let only = self.only_open(|it| of_kind(it) && is_named(it)).filter(|_| is_container)?;
        if self.places.scopes[around].is_lost {
            self.places.adopt(around, only, None);
        }
        Some(only)
    }

    /// Ends a visit. What it spent since its own last event, if anything, was cut off.
    pub(super) fn leave(&mut self, visit: VisitIndex, at: Timestamp, status: VisitStatus) {
        let progress = &mut self.places.progress[visit];
        let last = &self.events[progress.last_event];
        // Its own events may be written after the one that ended it.
        let at = at.max(last.at);
        progress.is_closed = true;
        let scope = progress.scope;
        let it = &mut self.places.visits[visit];
        if !it.kind.is_container() || it.rounds == 0 {
            it.split[cut_off_after(&last.kind, it.kind)] += Micros((at - last.at).0.max(0));
        }
        (it.exited_at, it.status) = (Some(at), status);
        if let Some(attempt) = it.attempts.last_mut().filter(|it| it.status == AttemptStatus::Running) {
            // A visit that was left had ended its last attempt some time before; one that was cut off had not.
            let (ended_at, ended) = match status {
                VisitStatus::TimedOut => (Some(at), AttemptStatus::TimedOut),
                VisitStatus::Succeeded => (None, AttemptStatus::Succeeded),
                _ => (Some(at), AttemptStatus::Aborted),
            };
            (attempt.ended_at, attempt.status) = (ended_at, ended);
        }
        if self.places.scopes[scope].open == Some(visit) {
            self.places.scopes[scope].open = None;
        }
    }
}
