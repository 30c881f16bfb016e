//! Events in, visits and links out.

use crate::model::{Event, EventKind, Micros, Name, StateType, Timestamp};

use super::phase::{between, cut_off_after};
use super::scope::{Places, Progress, Scope, ScopeIndex, VisitIndex};
use super::{Attempt, AttemptStatus, Category, Flow, Link, Split, Timeline, Visit, VisitStatus};

pub(super) struct Builder<'a> {
    pub(super) events: &'a [Event],
    pub(super) places: Places,
    /// Per event: the scope it happened in and the visit it belongs to.
    pub(super) scope_of: Vec<ScopeIndex>,
    pub(super) visit_of: Vec<Option<VisitIndex>>,
    pub(super) links: Vec<Link>,
    pub(super) closing: Option<usize>,
    pub(super) gaps: Vec<String>,
    pub(super) unplaced: u64,
    pub(super) redriven: bool,
    /// The visit whose failure is being dealt with; others that wait to be retried then are aborted.
    pub(super) blamed: Option<VisitIndex>,
}

const NO_LINK: Link = Link { binding: None, category: Category::Overhead, owner: None };

impl<'a> Builder<'a> {
    pub(super) fn new(events: &'a [Event]) -> Self {
        Self {
            events,
            places: Places::for_events(events.len()),
            scope_of: Vec::with_capacity(events.len()),
            visit_of: Vec::with_capacity(events.len()),
            links: Vec::with_capacity(events.len()),
            closing: None,
            gaps: Vec::new(),
            unplaced: 0,
            redriven: false,
            blamed: None,
        }
    }

    pub(super) fn take(&mut self, index: usize) {
        let event = &self.events[index];
        let previous = self.index_of(event.previous).filter(|&it| it < index);
        self.scope_of.push(previous.map_or(0, |it| self.scope_of[it]));
        self.visit_of.push(None);
        self.links.push(Link { binding: previous, ..NO_LINK });
        if let Some(kind) = event.kind.enters() {
            self.enter(index, previous, kind);
        } else if event.kind.exits().is_some() {
            self.exit(index, previous);
        } else if event.kind.closes_execution() {
            self.close(index, previous);
        } else if event.kind.aborts().is_some() {
            self.abort_one(index, previous);
        } else if let Some(kind) = event.kind.starts_round() {
            self.start_round(index, previous, kind);
        } else {
            self.take_inner(index, previous);
        }
    }

    /// Events that neither enter nor leave a state.
    pub(super) fn take_inner(&mut self, index: usize, previous: Option<usize>) {
        use EventKind as E;
        match self.events[index].kind {
            E::ExecutionStarted => {}
            E::ExecutionRedriven => self.redrive(index),
            E::MapIterationStarted => self.start_iteration(index, previous),
            E::MapIterationSucceeded | E::MapIterationFailed | E::MapIterationAborted => {
                self.end_iteration(index, previous);
            }
            E::MapStateSucceeded | E::MapStateFailed => self.end_round(index, previous, StateType::Map),
            E::ParallelStateSucceeded | E::ParallelStateFailed => self.end_round(index, previous, StateType::Parallel),
            E::MapRunStarted | E::MapRunSucceeded | E::MapRunFailed | E::MapRunAborted | E::MapRunRedriven => {
                let map = previous.and_then(|it| self.visit_of[it]).or_else(|| {
                    self.places.enclosing(self.scope_of[index], |it| self.places.visits[it].kind == StateType::Map)
                });
                self.attach(index, map, previous);
            }
            E::EvaluationFailed => self.fail_evaluation(index, previous),
            E::Other(_) => self.visit_of[index] = previous.and_then(|it| self.visit_of[it]),
            _ => self.take_attempt(index, previous),
        }
    }

    pub(super) fn index_of(&self, id: u64) -> Option<usize> {
        let first = self.events.first()?.id;
        let guess = usize::try_from(id.checked_sub(first)?).ok()?;
        if self.events.get(guess).is_some_and(|event| event.id == id) {
            return Some(guess);
        }
        self.events.binary_search_by_key(&id, |event| event.id).ok()
    }

    // ---- states -------------------------------------------------------------------------------------------------

    pub(super) fn enter(&mut self, index: usize, previous: Option<usize>, kind: StateType) {
        let event = &self.events[index];
        let name = event.name.clone().unwrap_or_else(|| "?".into());
        let (scope, owner) = self.scope_entered(index, previous, &name);
        if let Some(left_open) = self.places.scopes[scope].open {
            self.gaps.push(format!(
                "`{}` (event {}) has no exit although `{name}` follows it",
                self.places.visits[left_open].state, self.places.visits[left_open].id
            ));
            self.leave(left_open, event.at, VisitStatus::Succeeded);
        }
        let visit = self.places.visits.len();
        let here = &mut self.places.scopes[scope];
        (here.open, here.last) = (Some(visit), Some(visit));
        let (parent, branch, iteration) = (here.owner.map(|(it, _)| it), here.branch, here.iteration);
        self.places.progress.push(Progress {
            scope,
            last_event: index,
            failing: false,
            round_open: false,
            branches: 0,
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
            split: Split::default(),
        });
        (self.scope_of[index], self.visit_of[index]) = (scope, Some(visit));
        let binding = previous.or_else(|| self.first_event_if(event.previous == 0));
        self.links[index] =
            Link { binding, category: Category::Overhead, owner: owner.or(self.owner_of_step(binding, visit)) };
    }

    /// The step into the first state of the execution is nobody's; any other belongs to the state it leads to.
    pub(super) fn owner_of_step(&self, binding: Option<usize>, visit: VisitIndex) -> Option<VisitIndex> {
        binding.filter(|&it| self.events[it].kind != EventKind::ExecutionStarted).map(|_| visit)
    }

    pub(super) fn first_event_if(&self, wanted: bool) -> Option<usize> {
        (wanted && self.events.first().is_some_and(|it| it.kind == EventKind::ExecutionStarted)).then_some(0)
    }

    /// The scope that a state is entered in, and the container that owns the step into it, if it is a first state.
    pub(super) fn scope_entered(
        &mut self,
        index: usize,
        previous: Option<usize>,
        name: &Name,
    ) -> (ScopeIndex, Option<VisitIndex>) {
        let Some(previous) = previous else {
            let known = self.events[index].previous == 0;
            return (if known { 0 } else { self.guess_scope(index) }, None);
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

    /// Where a state is entered whose predecessor is missing: the innermost place that is free.
    pub(super) fn guess_scope(&mut self, index: usize) -> ScopeIndex {
        let event = &self.events[index];
        self.gaps.push(format!(
            "event {} (`{}`) follows event {}, which is missing: its place is a guess",
            event.id,
            event.name.as_deref().unwrap_or("?"),
            event.previous
        ));
        if self.places.scopes[0].open.is_none() {
            return 0;
        }
        let free = (0..self.places.scopes.len()).rev().find(|&scope| {
            let here = &self.places.scopes[scope];
            here.open.is_none() && here.owner.is_some_and(|(owner, _)| self.places.is_open(owner))
        });
        if let Some(scope) = free {
            return scope;
        }
        let container = (0..self.places.visits.len())
            .rev()
            .find(|&visit| self.places.is_open(visit) && self.places.visits[visit].kind.is_container());
        container.map_or(0, |visit| self.new_branch(visit))
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

    /// After a redrive an unsuccessful state is entered again where it failed.
    pub(super) fn scope_redriven(&mut self, name: &Name) -> ScopeIndex {
        let failed = (0..self.places.visits.len())
            .rev()
            .find(|&visit| self.places.visits[visit].state == *name && unsuccessful(self.places.visits[visit].status));
        let Some(failed) = failed else { return 0 };
        let scope = self.places.progress[failed].scope;
        self.reopen_owners(scope);
        scope
    }

    pub(super) fn reopen_owners(&mut self, scope: ScopeIndex) {
        let mut scope = scope;
        while let Some((owner, _)) = self.places.scopes[scope].owner {
            self.reopen(owner);
            self.places.progress[owner].round_open = true;
            scope = self.places.progress[owner].scope;
        }
    }

    pub(super) fn reopen(&mut self, visit: VisitIndex) {
        let it = &mut self.places.visits[visit];
        (it.exited_at, it.status, it.error) = (None, VisitStatus::Running, None);
        self.places.progress[visit].failing = false;
        let scope = self.places.progress[visit].scope;
        self.places.scopes[scope].open = Some(visit);
    }

    pub(super) fn exit(&mut self, index: usize, previous: Option<usize>) {
        let event = &self.events[index];
        let name = event.name.clone().unwrap_or_else(|| "?".into());
        let kind = event.kind.exits();
        let is_open = |visit: VisitIndex| self.places.visits[visit].state == name && self.places.is_open(visit);
        let fits = |visit: VisitIndex| is_open(visit) && Some(self.places.visits[visit].kind) == kind;
        let around = previous.map_or(0, |it| self.scope_of[it]);
        // Step Functions Local lets every state exit as a Task, so the name decides where the type does not fit.
        let visit = previous
            .and_then(|_| self.places.enclosing(around, fits).or_else(|| self.places.enclosing(around, is_open)))
            .or_else(|| self.places.open_named(&name));
        let Some(visit) = visit else {
            if !self.is_late(previous) {
                self.gaps.push(format!("exit without entry: `{name}` (event {})", event.id));
            }
            return;
        };
        self.attach(index, Some(visit), previous);
        self.blamed = None;
        let status = if self.places.progress[visit].failing { VisitStatus::Caught } else { VisitStatus::Succeeded };
        if self.places.visits[visit].kind.is_container() {
            self.leave_inside(visit, event.at, VisitStatus::Aborted);
        }
        self.leave(visit, event.at, status);
        self.scope_of[index] = self.places.progress[visit].scope;
    }

    /// Whether an event belongs to a visit that was ended before, as clean-up races with what it cleans up.
    pub(super) fn is_late(&self, previous: Option<usize>) -> bool {
        previous.and_then(|it| self.visit_of[it]).is_some_and(|it| !self.places.is_open(it))
    }

    /// Ends a visit. What it spent since its own last event, if anything, was cut off.
    pub(super) fn leave(&mut self, visit: VisitIndex, at: Timestamp, status: VisitStatus) {
        let progress = &self.places.progress[visit];
        let last = &self.events[progress.last_event];
        let scope = progress.scope;
        let it = &mut self.places.visits[visit];
        if !it.kind.is_container() || it.rounds == 0 {
            it.split[cut_off_after(&last.kind, it.kind)] += Micros((at - last.at).0.max(0));
        }
        (it.exited_at, it.status) = (Some(at), status);
        if let Some(attempt) = it.attempts.last_mut().filter(|it| it.status == AttemptStatus::Running) {
            attempt.ended_at = Some(at);
            attempt.status = match status {
                VisitStatus::TimedOut => AttemptStatus::TimedOut,
                VisitStatus::Succeeded => AttemptStatus::Succeeded,
                _ => AttemptStatus::Aborted,
            };
        }
        if self.places.scopes[scope].open == Some(visit) {
            self.places.scopes[scope].open = None;
        }
    }

    /// Ends what is still open inside a container.
    pub(super) fn leave_inside(&mut self, container: VisitIndex, at: Timestamp, status: VisitStatus) {
        for visit in container + 1..self.places.visits.len() {
            if self.places.is_open(visit) && self.places.is_inside(visit, container) {
                self.leave_unsuccessful(visit, at, status);
            }
        }
    }

    /// Ends a visit that has no exit: where it failed if it failed itself, else where its scope was cleaned up.
    pub(super) fn leave_unsuccessful(&mut self, visit: VisitIndex, at: Timestamp, status: VisitStatus) {
        let progress = &self.places.progress[visit];
        let it = &self.places.visits[visit];
        let last = &self.events[progress.last_event];
        if it.kind == StateType::Fail {
            self.leave(visit, at, VisitStatus::Failed);
        } else if progress.failing && (it.kind.is_container() || self.blamed.is_none_or(|blamed| blamed == visit)) {
            let timed_out = it.attempts.last().is_some_and(|it| it.status == AttemptStatus::TimedOut);
            let end = if ends_with_failure(&last.kind) { last.at } else { at };
            self.leave(visit, end, if timed_out { VisitStatus::TimedOut } else { VisitStatus::Failed });
        } else {
            self.leave(visit, at, status);
        }
    }

    /// Books an event to a visit and the time before it to the visit's split.
    pub(super) fn attach(&mut self, index: usize, visit: Option<VisitIndex>, previous: Option<usize>) {
        let Some(visit) = visit else {
            self.unplaced += 1;
            return;
        };
        let event = &self.events[index];
        let progress = &mut self.places.progress[visit];
        let binding = previous.map_or(progress.last_event, |it| it.max(progress.last_event));
        progress.last_event = index;
        let before = &self.events[binding];
        let category = between(&before.kind, &event.kind);
        // A closed execution's idle time is no visit's, and its own last event may lie before a redrive.
        self.places.visits[visit].split[category] += Micros((event.at - before.at).0.max(0));
        self.visit_of[index] = Some(visit);
        self.links[index] = Link { binding: Some(binding), category, owner: Some(visit) };
    }

    // ---- attempts -----------------------------------------------------------------------------------------------

    pub(super) fn take_attempt(&mut self, index: usize, previous: Option<usize>) {
        let event = &self.events[index];
        let visit = match previous {
            Some(it) => self.open_task(self.scope_of[it]),
            None => self.only_open_task(),
        };
        if visit.is_none() && self.is_late(previous) {
            self.visit_of[index] = previous.and_then(|it| self.visit_of[it]);
            return;
        }
        self.attach(index, visit, previous);
        let Some(visit) = visit else { return };
        self.scope_of[index] = self.places.progress[visit].scope;
        self.places.progress[visit].failing = event.kind.fails_attempt();
        let it = &mut self.places.visits[visit];
        it.error = if event.kind.fails_attempt() { event.error().cloned() } else { None };
        if event.kind.schedules_attempt() || it.attempts.is_empty() {
            // Most visits have one attempt, and room for four would be most of what a timeline takes.
            if it.attempts.is_empty() {
                it.attempts.reserve_exact(1);
            }
            it.attempts.push(Attempt {
                scheduled_at: event.at,
                started_at: None,
                submitted_at: None,
                ended_at: None,
                status: AttemptStatus::Running,
                error: None,
                resource: event.resource.clone(),
                cold_start: None,
                billed_mb_ms: None,
            });
        }
        if let Some(attempt) = it.attempts.last_mut() {
            note(attempt, event);
        }
    }

    /// The open Task of a scope; after a redrive, the one that failed there.
    pub(super) fn open_task(&mut self, scope: ScopeIndex) -> Option<VisitIndex> {
        if let Some(visit) = self.places.scopes[scope].open.filter(|&it| self.places.visits[it].kind == StateType::Task)
        {
            return Some(visit);
        }
        if !self.redriven {
            return None;
        }
        let failed = (0..self.places.visits.len()).rev().find(|&it| {
            self.places.visits[it].kind == StateType::Task && unsuccessful(self.places.visits[it].status)
        })?;
        self.reopen_owners(self.places.progress[failed].scope);
        self.reopen(failed);
        Some(failed)
    }

    pub(super) fn only_open_task(&self) -> Option<VisitIndex> {
        let mut open = (0..self.places.visits.len())
            .filter(|&it| self.places.is_open(it) && self.places.visits[it].kind == StateType::Task);
        open.next().filter(|_| open.next().is_none())
    }

    /// The event of a failed query links to what came before the failing state, so the state is found by its name.
    pub(super) fn fail_evaluation(&mut self, index: usize, previous: Option<usize>) {
        let event = &self.events[index];
        let visit = event.name.as_ref().and_then(|name| self.places.open_named(name));
        self.attach(index, visit, previous);
        if let Some(visit) = visit {
            self.scope_of[index] = self.places.progress[visit].scope;
            self.places.progress[visit].failing = true;
            self.places.visits[visit].error = event.error().cloned();
        }
    }

    // ---- the result ---------------------------------------------------------------------------------------------

    pub(super) fn finish(mut self) -> Timeline {
        let mut gaps = missing_events(self.events, self.closing);
        gaps.append(&mut self.gaps);
        if self.unplaced > 0 {
            gaps.push(format!("{} events belong to states whose entry is missing", self.unplaced));
        }
        let flow = |it: &Scope| Flow { owner: it.owner, iteration: it.iteration };
        Timeline {
            flows: self.places.scopes.iter().map(flow).collect(),
            flow_of: self.scope_of,
            visits: self.places.visits,
            links: self.links,
            closing: self.closing,
            gaps,
        }
    }
}

pub(super) fn unsuccessful(status: VisitStatus) -> bool {
    matches!(status, VisitStatus::Failed | VisitStatus::TimedOut | VisitStatus::Aborted)
}

/// Whether an event is itself the failure of the visit it belongs to.
pub(super) fn ends_with_failure(last: &EventKind) -> bool {
    last.fails_attempt()
        || matches!(last, EventKind::EvaluationFailed | EventKind::MapStateFailed | EventKind::ParallelStateFailed)
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

/// Says which ids are missing between 1 and the last event, and whether the end is.
fn missing_events(events: &[Event], closing: Option<usize>) -> Vec<String> {
    let mut gaps = Vec::new();
    let mut expected = 1;
    let mut missing = 0;
    let mut spans = Vec::new();
    for event in events {
        if event.id > expected {
            missing += event.id - expected;
            spans.push(if event.id - 1 == expected {
                format!("{expected}")
            } else {
                format!("{expected} to {}", event.id - 1)
            });
        }
        expected = event.id + 1;
    }
    if missing > 0 {
        let shown = spans.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
        let more = if spans.len() > 3 { ", …" } else { "" };
        gaps.push(format!("{missing} of {} events are missing: {shown}{more}", expected - 1));
    }
    if closing.is_none() && !events.is_empty() {
        gaps.push("no closing event: the execution is still running, or its end was not delivered".to_owned());
    }
    gaps
}
