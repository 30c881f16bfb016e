//! What is kept of one execution to compare it with thousands of others: sums by state instead of visits and events, so that
//! it can be stored beside them and be read in their stead.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::critical_path::Step;
use crate::execution::Run;
use crate::model::{Event, Micros, Name, PayloadField, StateType, Status, Timestamp};
use crate::timeline::{Category, Visit, VisitStatus};

/// A closed execution whose events tell the whole story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    pub arn: Name,
    pub status: Status,
    pub started_at: Timestamp,
    /// Without the time in which the closed execution waited to be redriven.
    pub duration: Micros,
    pub error: Option<Name>,
    pub version_arn: Option<Name>,
    pub transitions: u64,
    pub sums: Sums,
}

/// What only its events tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub alias_arn: Option<Name>,
    /// Of the logged event where it was logged, of the input where that is kept.
    pub input_bytes: Option<u64>,
    /// The last state that failed, of an execution that did.
    pub failed_in: Option<Name>,
    /// Time on the critical path that is no state's.
    pub own: Vec<(Category, Micros)>,
    /// In the order in which they were entered first.
    pub states: Vec<StateSums>,
    /// Where Choices led, in the order in which it was first chosen.
    pub branches: Vec<Branch>,
    pub errors: Vec<MetError>,
}

/// All visits of one state in one execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateSums {
    pub state: Name,
    pub kind: StateType,
    /// The Map whose item it stands in directly.
    pub map: Option<Name>,
    /// Whether it runs in items of a Map, in branches of a Parallel there, too.
    pub is_inside_items: bool,
    pub visits: u64,
    /// Visits that are on the critical path.
    pub on_path: u64,
    pub retries: u64,
    /// The time of all visits, on the path or not.
    pub span: Micros,
    /// Items of a Map, over all its visits.
    pub items: u64,
    /// What its newest attempt called.
    pub resource: Option<Name>,
    pub critical: Vec<(Category, Micros)>,
    /// The part of its critical work in which functions were initialised; `None` where no trace or report tells, so never in what
    /// is stored.
    pub cold_start: Option<Micros>,
}

/// Where a Choice led, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    pub choice: Name,
    pub next: Name,
    pub times: u64,
    pub is_inside_items: bool,
}

/// An error, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetError {
    /// The event that tells it, and its cause.
    pub event: u64,
    pub at: Timestamp,
    /// `None` where no state is to blame.
    pub state: Option<Name>,
    pub error: Name,
    pub fate: Fate,
}

/// What became of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Retried,
    Caught,
    Fatal,
}

impl Fate {
    pub const ALL: [Self; 3] = [Self::Retried, Self::Caught, Self::Fatal];
}

impl Digest {
    /// Whether a run is closed and known in full; others have no exact path.
    pub fn is_of(run: &Run) -> bool {
        run.execution.complete && run.execution.active().is_some()
    }

    /// `None` of a run that is open or not known in full.
    pub fn of(run: &Run) -> Option<Self> {
        let it = &run.execution;
        let (started_at, duration) = (it.started_at?, it.active()?);
        Self::is_of(run).then(|| Self {
            arn: it.arn.clone(),
            status: it.status,
            started_at,
            duration,
            error: it.error.clone(),
            version_arn: it.version_arn.clone(),
            transitions: it.transitions.billed().0,
            sums: Sums::of(run),
        })
    }

    /// Where and with what it failed: the last state that did, and the execution's error, or its status where it has none.
    pub fn failure(&self) -> Option<(Option<Name>, Name)> {
        let is_failed = matches!(self.status, Status::Failed | Status::TimedOut | Status::Aborted);
        let error = || self.error.clone().unwrap_or_else(|| self.status.as_str().into());
        is_failed.then(|| (self.sums.failed_in.clone(), error()))
    }
}

impl Sums {
    pub fn of(run: &Run) -> Self {
        let (states, place_of) = states(run);
        let mut sums = Self {
            alias_arn: run.record.alias_arn.clone(),
            input_bytes: input_bytes(run),
            failed_in: run.failure().and_then(|it| it.0),
            states,
            ..Self::default()
        };
        sums.add_path(run, &place_of);
        sums.branches = branches(run, &sums.states, &place_of);
        sums.errors = errors(run);
        sums
    }

    fn add_path(&mut self, run: &Run, place_of: &[usize]) {
        let mut is_on_path = vec![false; place_of.len()];
        for step in run.path.iter().filter(|it| it.category != Category::RedriveIdle) {
            let Some(owner) = step.owner else {
                add(&mut self.own, step.category, step.span());
                continue;
            };
            let state = &mut self.states[place_of[owner]];
            add(&mut state.critical, step.category, step.span());
            if let Some(cold) = cold_start(&run.timeline.visits[owner], step) {
                *state.cold_start.get_or_insert_default() += cold;
            }
            if !std::mem::replace(&mut is_on_path[owner], true) {
                state.on_path += 1;
            }
        }
    }
}

/// The part of a step of work in which functions were initialised, where that is known.
fn cold_start(visit: &Visit, step: &Step) -> Option<Micros> {
    let attempts = visit.attempts.iter().filter(|_| step.category == Category::Work);
    let known = attempts.filter_map(|it| {
        let (from, to) = (it.started_at?, it.started_at?.0 + it.cold_start?.0);
        Some(Micros((to.min(step.to.0) - from.0.max(step.from.0)).max(0)))
    });
    known.reduce(|a, b| a + b)
}

fn add(times: &mut Vec<(Category, Micros)>, category: Category, more: Micros) {
    match times.iter_mut().find(|it| it.0 == category) {
        Some(it) => it.1 += more,
        None => times.push((category, more)),
    }
}

/// The states without their path, and for every visit its state's place among them.
fn states(run: &Run) -> (Vec<StateSums>, Vec<usize>) {
    let visits = &run.timeline.visits;
    let inside = run.timeline.inside_items();
    let mut states: Vec<StateSums> = Vec::new();
    let mut known: FxHashMap<&Name, usize> = FxHashMap::default();
    let mut place_of = Vec::with_capacity(visits.len());
    // The place of the state of each Parallel and Map, and the items of it that were seen.
    let mut containers: FxHashMap<u64, usize> = FxHashMap::default();
    let mut items: FxHashSet<(u64, u32)> = FxHashSet::default();
    for (index, visit) in visits.iter().enumerate() {
        let item = visit
            .parent
            .zip(visit.iteration)
            .and_then(|(parent, item)| Some((parent, item, *containers.get(&parent)?)));
        if let Some((parent, number, map)) = item
            && items.insert((parent, number))
        {
            states[map].items += 1;
        }
        let place = *known.entry(&visit.state).or_insert(states.len());
        if place == states.len() {
            states.push(StateSums::new(visit, item.map(|it| states[it.2].state.clone()), inside[index]));
        }
        states[place].add(visit);
        place_of.push(place);
        if visit.kind.is_container() {
            containers.insert(visit.id, place);
        }
    }
    (states, place_of)
}

impl StateSums {
    fn new(visit: &Visit, map: Option<Name>, is_inside_items: bool) -> Self {
        Self {
            state: visit.state.clone(),
            kind: visit.kind,
            map,
            is_inside_items,
            visits: 0,
            on_path: 0,
            retries: 0,
            span: Micros::ZERO,
            items: 0,
            resource: None,
            critical: Vec::new(),
            cold_start: None,
        }
    }

    fn add(&mut self, visit: &Visit) {
        self.visits += 1;
        self.retries += visit.n_retries;
        self.span += visit.active().unwrap_or_default();
        if let Some(resource) = visit.attempts.last().and_then(|it| it.resource.as_ref()) {
            self.resource = Some(resource.clone());
        }
    }
}

fn branches(run: &Run, states: &[StateSums], place_of: &[usize]) -> Vec<Branch> {
    let visits = &run.timeline.visits;
    let mut branches: Vec<Branch> = Vec::new();
    for index in (0..visits.len()).filter(|&it| visits[it].kind == StateType::Choice) {
        let Some(next) = run.timeline.next_in_place(index) else { continue };
        let (choice, next) = (&states[place_of[index]], &states[place_of[next]].state);
        match branches.iter_mut().find(|it| it.choice == choice.state && it.next == *next) {
            Some(it) => it.times += 1,
            None => branches.push(Branch {
                choice: choice.state.clone(),
                next: next.clone(),
                times: 1,
                is_inside_items: choice.is_inside_items,
            }),
        }
    }
    branches
}

fn input_bytes(run: &Run) -> Option<u64> {
    let first = run.events.first()?;
    let logged = (first.log_bytes > 0).then(|| u64::from(first.log_bytes));
    logged.or_else(|| first.payload(PayloadField::Input).map(|it| it.len() as u64))
}

fn errors(run: &Run) -> Vec<MetError> {
    let is_error = |it: &&Event| it.kind.fails_attempt() || it.kind.times_out_attempt();
    let mut errors: Vec<MetError> = run.events.iter().filter(is_error).filter_map(|it| met_error(run, it)).collect();
    // An execution that fails without an attempt that did: a Fail state, a time-out of the whole.
    if let Some((state, error)) = run.failure().filter(|(_, error)| errors.iter().all(|it| it.error != *error))
        && let (Some(last), Some(at)) = (run.events.last(), run.execution.stopped_at)
    {
        errors.push(MetError { event: last.id, at, state, error, fate: Fate::Fatal });
    }
    errors
}

fn met_error(run: &Run, event: &Event) -> Option<MetError> {
    let visit = &run.timeline.visits[run.visit_of_event(event.id)?];
    let error = event.error().or(visit.error.as_ref())?.clone();
    // What came before the last attempt of a visit was tried again.
    let is_earlier = visit.attempts.last().and_then(|it| it.ended_at).is_some_and(|last| event.at < last);
    let fate = match visit.status {
        _ if is_earlier => Fate::Retried,
        VisitStatus::Caught => Fate::Caught,
        VisitStatus::Succeeded | VisitStatus::Running => Fate::Retried,
        VisitStatus::Failed | VisitStatus::Aborted | VisitStatus::TimedOut => Fate::Fatal,
    };
    Some(MetError { event: event.id, at: event.at, state: Some(visit.state.clone()), error, fate })
}
