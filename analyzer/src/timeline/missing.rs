//! Which events are missing, and what can still be said for sure of those that follow them?
//!
//! Where an event is lost, what links to it hangs in the air. It is joined to a visit only where nothing else can be
//! true: the events that would have to be lost for any other reading are counted, and have to be more than there are.
//! Everything else is kept apart, in a hidden visit or a lost scope, until an event with a name tells where it belongs.

use rustc_hash::FxHashSet;

use super::behind::Only;
use super::builder::Builder;
use super::phase::between;
use super::scope::{Progress, Scope, ScopeIndex, VisitIndex};
use super::{Attempt, AttemptStatus, Link, Split, Visit, VisitStatus};
use crate::gaps::{Gap, GapKind};
use crate::model::{Event, EventKind, Micros, Name, StateType};

/// Spans of ids that are named in a sentence.
const NAMED_SPANS: usize = 3;

/// The ids between 1 and the last event that are not there.
#[derive(Debug, Default)]
pub(super) struct Missing {
    /// First and last of each span.
    spans: Vec<(u64, u64)>,
    last_id: u64,
    /// What events link to; only filled where ids are missing.
    followed: FxHashSet<u64>,
    /// Whether there is any Parallel or Map.
    has_containers: bool,
    /// Where one event is missing, what is known of it.
    pub(super) only: Option<Only>,
}

impl Missing {
    pub(super) fn of(events: &[Event]) -> Self {
        let Some(last) = events.last() else { return Self::default() };
        if last.id == events.len() as u64 && events[0].id == 1 {
            return Self { last_id: last.id, ..Self::default() };
        }
        let mut spans = Vec::new();
        let mut expected = 1;
        for event in events {
            if event.id > expected {
                spans.push((expected, event.id - 1));
            }
            expected = event.id + 1;
        }
        let is_of_container = |it: &Event| {
            it.kind.enters().or(it.kind.exits()).or(it.kind.starts_round()).is_some_and(StateType::is_container)
                || it.kind.cleans_up()
                || it.kind.as_str().starts_with("MapIteration")
        };
        Self {
            only: Only::of(events, &spans),
            spans,
            last_id: last.id,
            followed: events.iter().map(|it| it.previous).collect(),
            has_containers: events.iter().any(is_of_container),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Whether an event with this id is missing.
    pub(super) fn has(&self, id: u64) -> bool {
        self.spans.iter().any(|&(first, last)| (first..=last).contains(&id))
    }

    pub(super) fn count(&self) -> u64 {
        self.spans.iter().map(|it| it.1 - it.0 + 1).sum()
    }

    /// Whether anything links to an event.
    pub(super) fn is_followed(&self, event: &Event) -> bool {
        self.followed.contains(&event.id)
    }

    /// How many ids are missing between two.
    fn between(&self, after: u64, before: u64) -> u64 {
        let part = |&(first, last): &(u64, u64)| (last.min(before - 1) + 1).saturating_sub(first.max(after + 1));
        self.spans.iter().map(part).sum()
    }

    pub(super) fn gap(&self) -> Option<Gap> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let span = |&(first, last): &(u64, u64)| {
            if first == last { first.to_string() } else { format!("{first} to {last}") }
        };
        let named = self.spans.iter().take(NAMED_SPANS).map(span).collect::<Vec<_>>().join(", ");
        let more = if self.spans.len() > NAMED_SPANS { ", …" } else { "" };
        let text = format!("{count} of {} events are missing: {named}{more}", self.last_id);
        Some(Gap::missing(GapKind::MissingEvents, text).counting(count))
    }
}

/// Events of a visit that come at least before one of this kind: its entry, and what leads to it.
fn least_before(kind: &EventKind) -> u64 {
    if kind.schedules_attempt() {
        1
    } else if kind.starts_attempt() || kind.fails_attempt() {
        2
    } else {
        3
    }
}

/// Events of a visit that come at least after one of this kind.
fn least_after(kind: &EventKind) -> u64 {
    if kind.completes_attempt() || kind.fails_attempt() { 1 } else { 2 }
}

/// Events that a visit needs at least after its last one to be left.
pub(super) fn least_until_left(state: StateType, last: &EventKind) -> u64 {
    let has_ended = last.completes_attempt()
        || last.fails_attempt()
        || matches!(
            last,
            EventKind::MapStateSucceeded
                | EventKind::MapStateFailed
                | EventKind::ParallelStateSucceeded
                | EventKind::ParallelStateFailed
                | EventKind::EvaluationFailed
        );
    if has_ended || !(state == StateType::Task || state.is_container()) { 1 } else { 2 }
}

/// Whether one missing event, or a few, may lie between two events of one Task.
fn may_follow(last: &EventKind, kind: &EventKind) -> bool {
    let is_scheduled = last.enters().is_some() || last.fails_attempt();
    if kind.schedules_attempt() {
        last.schedules_attempt() || last.starts_attempt() || *last == EventKind::TaskSubmitted
    } else if kind.starts_attempt() {
        is_scheduled
    } else {
        is_scheduled || last.schedules_attempt() || last.starts_attempt()
    }
}

impl Builder<'_> {
    /// Whether nothing is known to follow what a visit did last.
    pub(super) fn is_cut_off(&self, visit: VisitIndex) -> bool {
        let last = &self.events[self.places.progress[visit].last_event];
        !self.missing.is_followed(last)
    }

    /// The only visit that an event behind a missing one can belong to; `None` where there may be another.
    fn only_choice(&self, event: &Event, before: u64, fits: impl Fn(VisitIndex) -> bool) -> Option<VisitIndex> {
        let last_id = |visit: VisitIndex| self.events[self.places.progress[visit].last_event].id;
        let mut fitting = self.places.open().filter(|&it| {
            !self.places.progress[it].is_hidden && fits(it) && self.is_cut_off(it) && last_id(it) < event.id
        });
        let visit = fitting.next()?;
        if fitting.next().is_some() {
            return None;
        }
        // Any other visit would have to be one whose entry is missing, too, and all up to this event; where states only
        // run one after the other, the rest of the visit before it as well.
        let last = &self.events[self.places.progress[visit].last_event].kind;
        let is_certain = if self.missing.only.as_ref().is_some_and(|it| !it.may_be_cut_off) {
            // Everything was left in the end, and this one only through the missing event.
            true
        } else if self.missing.has_containers {
            self.missing.between(0, event.id) < before
        } else {
            self.missing.between(last_id(visit), event.id) < least_after(last) + before
        };
        is_certain.then_some(visit)
    }

    /// The Task of an event whose predecessor is missing: a known one where that is certain, else one that stands for it.
    pub(super) fn lost_task(&mut self, index: usize) -> VisitIndex {
        let event = &self.events[index];
        let last = |visit: VisitIndex| &self.events[self.places.progress[visit].last_event].kind;
        let fits = |it: VisitIndex| self.places.visits[it].kind == StateType::Task && may_follow(last(it), &event.kind);
        match self.only_choice(event, least_before(&event.kind), fits) {
            Some(visit) => visit,
            None => self.hide(index, StateType::Task),
        }
    }

    /// The visit that an exit ends whose predecessor is missing.
    pub(super) fn lost_exit(&self, index: usize, name: &Name, kind: StateType) -> Option<VisitIndex> {
        let event = &self.events[index];
        // Of any other state the entry itself is what the exit links to.
        let has_more_events = kind == StateType::Task || kind.is_container();
        let fits = |it: VisitIndex| self.places.visits[it].kind == kind && self.places.visits[it].state == *name;
        if !kind.is_container() {
            return has_more_events.then(|| self.only_choice(event, 3, fits)).flatten();
        }
        // Others link to what a container did last, so that tells nothing; a failure that ended its round does.
        let is_failing = |it: VisitIndex| fits(it) && self.places.progress[it].failing;
        let found = self.only_open(is_failing).or_else(|| self.only_open(fits))?;
        (self.missing.between(0, event.id) < 3).then_some(found)
    }

    /// A visit that stands for one whose entry is missing.
    pub(super) fn hide(&mut self, index: usize, kind: StateType) -> VisitIndex {
        let event = &self.events[index];
        let scope = self.entered_unseen(index).unwrap_or_else(|| self.lost_scope());
        let visit = self.places.visits.len();
        self.places.progress.push(Progress {
            scope,
            first_event: index,
            last_event: index,
            failing: false,
            round_open: false,
            branches: 0,
            is_closed: false,
            is_hidden: true,
            run: self.run,
        });
        self.places.visits.push(Visit {
            id: event.id,
            parent: None,
            branch: None,
            iteration: None,
            state: "?".into(),
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

    /// The place of a state whose predecessor is missing: the root where nothing else is open, else one that is not known.
    pub(super) fn lost_scope(&mut self) -> ScopeIndex {
        if !self.places.open().any(|it| self.places.visits[it].kind.is_container()) {
            return 0;
        }
        self.places.scopes.push(Scope { is_lost: true, ..Scope::root() });
        self.places.scopes.len() - 1
    }

    /// An exit tells the name of a Task whose events hung in the air: where only one can be meant, they are its own.
    pub(super) fn identify(&mut self, hidden: VisitIndex, name: &Name) -> VisitIndex {
        let first = &self.events[self.places.progress[hidden].first_event];
        let last = |visit: VisitIndex| &self.events[self.places.progress[visit].last_event].kind;
        let fits = |it: VisitIndex| {
            let visit = &self.places.visits[it];
            visit.kind == StateType::Task && visit.state == *name && may_follow(last(it), &first.kind)
        };
        match self.only_choice(first, least_before(&first.kind), fits) {
            Some(visit) => {
                self.merge(hidden, visit);
                visit
            }
            None => hidden,
        }
    }

    fn merge(&mut self, hidden: VisitIndex, visit: VisitIndex) {
        let places = &mut self.places;
        let (first, last) = (places.progress[hidden].first_event, places.progress[hidden].last_event);
        let before = places.progress[visit].last_event;
        let category = between(&self.events[before].kind, &self.events[first].kind);
        let scope = places.progress[visit].scope;
        for index in first..=last {
            if self.visit_of[index] == Some(hidden) {
                (self.visit_of[index], self.scope_of[index]) = (Some(visit), scope);
                self.links[index].owner = Some(visit);
            }
        }
        self.links[first] = Link { binding: Some(before), category, owner: Some(visit) };
        let attempts = std::mem::take(&mut places.visits[hidden].attempts);
        let (split, n_retries) = (places.visits[hidden].split, places.visits[hidden].n_retries);
        (places.visits[hidden].n_retries, places.progress[hidden].is_closed) = (0, true);
        let it = &mut places.visits[visit];
        let is_retry = self.events[first].kind.schedules_attempt() && !it.attempts.is_empty();
        it.n_retries += n_retries + u64::from(is_retry);
        let mut attempts = attempts.into_iter();
        let goes_on = |last: &Attempt| last.ended_at.is_none() && !self.events[first].kind.schedules_attempt();
        if let Some(last) = it.attempts.last_mut().filter(|it| goes_on(it))
            && let Some(rest) = attempts.next()
        {
            last.go_on(rest);
        }
        it.attempts.extend(attempts);
        it.split.add(&split);
        it.split[category] += Micros((self.events[first].at - self.events[before].at).0.max(0));
        places.progress[visit].last_event = last;
        places.progress[visit].failing = places.progress[hidden].failing;
    }

    /// The only Parallel or Map that is open and fits; none where there are several.
    pub(super) fn only_open(&self, fits: impl Fn(VisitIndex) -> bool) -> Option<VisitIndex> {
        let mut fitting = self.places.open().filter(|&it| fits(it));
        fitting.next().filter(|_| fitting.next().is_none())
    }

    /// A state was left, and the event that says when is missing.
    pub(super) fn lose_exit(&mut self, visit: VisitIndex) {
        let progress = &mut self.places.progress[visit];
        progress.is_closed = true;
        let (scope, failing, is_hidden) = (progress.scope, progress.failing, progress.is_hidden);
        let last = &self.events[progress.last_event];
        if self.places.scopes[scope].open == Some(visit) {
            self.places.scopes[scope].open = None;
        }
        let it = &mut self.places.visits[visit];
        let was_cut_off = self.missing.between(last.id, u64::MAX) < least_until_left(it.kind, &last.kind);
        it.status = match (was_cut_off, failing) {
            (true, _) => VisitStatus::Aborted,
            (false, true) => VisitStatus::Caught,
            (false, false) => VisitStatus::Succeeded,
        };
        if was_cut_off && let Some(attempt) = it.attempts.last_mut().filter(|it| it.ended_at.is_none()) {
            attempt.status = AttemptStatus::Aborted;
        }
        if is_hidden {
            return;
        }
        let (id, state) = (it.id, it.state.clone());
        let what =
            if was_cut_off { "was aborted, and nothing tells when" } else { "was left, and its exit is missing" };
        let gap = self.note(GapKind::UnknownEnd, format!("`{state}` (event {id}) {what}"));
        (gap.event, gap.state) = (Some(id), Some(state));
    }
}
