//! Events in, visits and links out.

use crate::gaps::{Gap, GapKind};
use crate::model::{Event, EventKind, Micros, StateType, Timestamp};

use super::cleanup::Cleanup;
use super::missing::Missing;
use super::phase::between;
use super::scope::{Places, Scope, ScopeIndex, VisitIndex};
use super::{Category, Flow, Link, Timeline};

pub(super) struct Builder<'a> {
    pub(super) events: &'a [Event],
    pub(super) places: Places,
    /// Per event: the scope it happened in and the visit it belongs to.
    pub(super) scope_of: Vec<ScopeIndex>,
    pub(super) visit_of: Vec<Option<VisitIndex>>,
    pub(super) links: Vec<Link>,
    pub(super) closing: Option<usize>,
    pub(super) notes: Vec<Gap>,
    pub(super) unplaced: u64,
    /// The ids that are missing.
    pub(super) missing: Missing,
    /// What follows from failures in Parallels and Maps.
    pub(super) cleanup: Cleanup,
    /// Exits that belong to no known visit, until their place is known.
    pub(super) pending_exits: Vec<usize>,
    /// When the execution was closed before each redrive, and when that came.
    pub(super) rests: Vec<(Timestamp, Timestamp)>,
    /// The redrive that the execution runs in; 0 before the first.
    pub(super) run: u32,
    /// The event that tells of it.
    pub(super) redriven: Option<usize>,
}

const NO_LINK: Link = Link { binding: None, category: Category::Overhead, owner: None };

impl<'a> Builder<'a> {
    pub(super) fn new(events: &'a [Event]) -> Self {
        Self {
            events,
            places: Places::for_events(events.len()),
            scope_of: vec![0; events.len()],
            visit_of: vec![None; events.len()],
            links: vec![NO_LINK; events.len()],
            closing: None,
            notes: Vec::new(),
            unplaced: 0,
            missing: Missing::of(events),
            cleanup: Cleanup::of(events),
            pending_exits: Vec::new(),
            rests: Vec::new(),
            run: 0,
            redriven: None,
        }
    }

    pub(super) fn take(&mut self, index: usize) {
        for failure in self.cleanup.due_at(index) {
            self.clean_up(&failure);
        }
        let event = &self.events[index];
        if event.kind.cleans_up() {
            // It is placed together with all that follows from the same failure, in whatever order they come.
            return;
        }
        let previous = self.index_of(event.previous).filter(|&it| it < index).or_else(|| self.stand_in(index));
        self.scope_of[index] = previous.map_or(0, |it| self.scope_of[it]);
        self.links[index].binding = previous;
        if self.closing.is_some() && event.kind.belongs_to_a_run() && self.missing.has(event.previous) {
            self.run_again();
        }
        if let Some(kind) = event.kind.enters() {
            self.enter(index, previous, kind);
        } else if event.kind.exits().is_some() {
            self.exit(index, previous);
        } else if event.kind.closes_execution() {
            self.close(index, previous);
        } else if let Some(kind) = event.kind.starts_round() {
            self.start_round(index, previous, kind);
        } else {
            self.take_inner(index, previous);
        }
        if self.links[index].binding.is_none() && self.missing.has(event.previous) {
            self.links[index].binding = self.last_in(self.scope_of[index]).filter(|&it| it < index);
        }
    }

    /// The last event of what ran last in a place: whatever is missing since, what follows came after it.
    pub(super) fn last_in(&self, scope: ScopeIndex) -> Option<usize> {
        let here = &self.places.scopes[scope];
        here.last.filter(|_| !here.is_lost).map(|it| self.places.progress[it].last_event)
    }

    /// Events that neither enter nor leave a state.
    fn take_inner(&mut self, index: usize, previous: Option<usize>) {
        use EventKind as E;
        match self.events[index].kind {
            E::ExecutionStarted => {}
            E::ExecutionRedriven => self.redrive(index),
            E::MapIterationStarted => self.start_iteration(index, previous),
            E::MapIterationSucceeded => self.end_iteration(index, previous),
            E::MapStateSucceeded => self.end_round(index, previous, StateType::Map),
            E::ParallelStateSucceeded => self.end_round(index, previous, StateType::Parallel),
            E::MapRunStarted | E::MapRunSucceeded | E::MapRunFailed | E::MapRunAborted | E::MapRunRedriven => {
                self.take_map_run(index, previous);
            }
            E::EvaluationFailed => self.fail_evaluation(index, previous),
            E::Other(_) => self.visit_of[index] = previous.and_then(|it| self.visit_of[it]),
            _ => self.take_attempt(index, previous),
        }
    }

    pub(super) fn index_of(&self, id: u64) -> Option<usize> {
        index_of(self.events, id)
    }

    /// Books an event to a visit and the time before it to the visit's split.
    pub(super) fn attach(&mut self, index: usize, visit: Option<VisitIndex>, previous: Option<usize>) {
        let Some(visit) = visit else {
            self.unplaced += 1;
            return;
        };
        let event = &self.events[index];
        let progress = &mut self.places.progress[visit];
        let last = progress.last_event;
        // What follows a redrive does not follow what came before it, whatever it links to.
        let binding = [previous, self.redriven, Some(last)].into_iter().flatten().filter(|&it| it < index).max();
        progress.last_event = index;
        self.visit_of[index] = Some(visit);
        let Some(binding) = binding else {
            // The first event of a visit whose entry is missing.
            self.links[index].owner = Some(visit);
            return;
        };
        let before = &self.events[binding];
        let category = between(&before.kind, &event.kind);
        self.places.visits[visit].split[category] += Micros((event.at - before.at).0.max(0));
        self.links[index] = Link { binding: Some(binding), category, owner: Some(visit) };
    }

    /// Whether an event belongs to a visit that was ended before, as clean-up races with what it cleans up.
    pub(super) fn is_late(&self, previous: Option<usize>) -> bool {
        previous.and_then(|it| self.visit_of[it]).is_some_and(|it| !self.places.is_open(it))
    }

    pub(super) fn note(&mut self, kind: GapKind, text: String) -> &mut Gap {
        let gap = if self.missing.is_empty() { Gap::note(kind, text) } else { Gap::missing(kind, text) };
        self.notes.push(gap);
        let last = self.notes.len() - 1;
        &mut self.notes[last]
    }

    pub(super) fn finish(mut self) -> Timeline {
        let hidden = |it: &Option<VisitIndex>| it.is_some_and(|it| self.places.progress[it].is_hidden);
        self.unplaced += self.visit_of.iter().filter(|it| hidden(it)).count() as u64;
        if self.unplaced > 0 {
            let unplaced = self.unplaced;
            let text = format!("{unplaced} events belong to states whose entry is missing");
            self.note(GapKind::UnknownState, text).count = Some(unplaced);
        }
        let mut gaps: Vec<Gap> = self.missing.gap().into_iter().collect();
        let is_closed = self.closing.is_some_and(|it| it + 1 == self.events.len());
        if !is_closed && !self.events.is_empty() {
            let text = "no closing event: the execution is still running, or its end was not delivered";
            gaps.push(Gap::missing(GapKind::NoClosingEvent, text));
        }
        gaps.append(&mut self.notes);
        let n_retries = self.places.visits.iter().map(|it| it.n_retries).sum();
        let n_reruns = self.places.visits.iter().map(|it| it.n_reruns).sum();
        self.forget_hidden();
        let flow = |it: &Scope| Flow { owner: it.owner, iteration: it.iteration };
        Timeline {
            flows: self.places.scopes.iter().map(flow).collect(),
            flow_of: self.scope_of,
            visits: self.places.visits,
            links: self.links,
            closing: self.closing,
            gaps,
            rests: self.rests,
            n_retries,
            n_reruns,
        }
    }

    /// Takes out what only stood for states whose entry is missing.
    fn forget_hidden(&mut self) {
        let places = &mut self.places;
        if !places.progress.iter().any(|it| it.is_hidden) {
            return;
        }
        let mut n_kept = 0;
        let mut new: Vec<Option<VisitIndex>> = Vec::with_capacity(places.visits.len());
        for it in &places.progress {
            new.push((!it.is_hidden).then_some(n_kept));
            n_kept += usize::from(!it.is_hidden);
        }
        let known = |it: Option<VisitIndex>| it.and_then(|it| new[it]);
        for index in 0..places.visits.len() {
            let around = places.scopes[places.progress[index].scope].owner;
            if around.is_some_and(|it| new[it.0].is_none()) {
                places.visits[index].parent = None;
            }
        }
        for link in &mut self.links {
            link.owner = known(link.owner);
        }
        for scope in &mut places.scopes {
            scope.owner = scope.owner.and_then(|(owner, round)| Some((new[owner]?, round)));
        }
        let mut is_kept = new.iter().map(Option::is_some);
        places.visits.retain(|_| is_kept.next().unwrap_or(true));
    }
}

pub(super) fn index_of(events: &[Event], id: u64) -> Option<usize> {
    let first = events.first()?.id;
    let guess = usize::try_from(id.checked_sub(first)?).ok()?;
    if events.get(guess).is_some_and(|event| event.id == id) {
        return Some(guess);
    }
    events.binary_search_by_key(&id, |event| event.id).ok()
}
