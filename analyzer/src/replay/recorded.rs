//! The replay of one run, event by event.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use crate::asl::SERVICE_LIMIT;
use crate::execution::Run;
use crate::model::{EventKind, Micros, Name, StateType, Status, Timestamp};
use crate::timeline::{Attempt, Category, VisitStatus};
use crate::what_if::Scenario;

/// How many items of each Map a definition lets run at once.
pub type Limits = BTreeMap<Name, usize>;

/// An execution, ready to be run again.
pub struct Replay<'a> {
    pub(super) run: &'a Run,
    limits: Limits,
    /// The events of each flow, without those that only clean up.
    pub(super) flows: Vec<Vec<usize>>,
    /// The flows inside each round of a Parallel or Map, in the order of their starts.
    pub(super) inside: HashMap<(usize, u32), Vec<usize>>,
    pub(super) rounds: HashMap<usize, Vec<usize>>,
    /// The first and the last event that schedules an attempt of a visit.
    scheduled: HashMap<usize, (usize, usize)>,
    /// The part of the span before an event in which a function was initialised.
    cold: HashMap<usize, Micros>,
    pub(super) closing: usize,
}

/// The outcome of one simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// From the start to the end of the execution.
    pub duration: Micros,
    /// When each event would have happened; `None` for events that only clean up.
    pub times: Vec<Option<Timestamp>>,
}

/// What an event of a flow waited for.
pub(super) enum Awaited<'a> {
    /// The event before it in its flow.
    Before,
    /// The last of the flows inside the Parallel or Map that ran between the two.
    Flows { owner: usize, flows: &'a [usize] },
    /// The event that made the Parallel or Map between the two fail.
    Failure { owner: usize, event: usize },
}

/// How a Map's items shared its slots in the recording.
pub(super) struct Slots {
    /// `None` where no item had to wait for another.
    pub(super) limit: Option<usize>,
    /// What each item took beyond the model, in the order of starts.
    pub(super) residuals: Vec<Micros>,
}

impl<'a> Replay<'a> {
    /// Prepares a run; `None` for what cannot be replayed: runs that are not complete, were stopped from outside, or
    /// were redriven.
    pub fn new(run: &'a Run) -> Option<Self> {
        Self::with_limits(run, &Limits::new())
    }

    /// Prepares a run whose Maps have these limits. Without one, or where the recording shows more items at once, the
    /// limit is read off the recording.
    pub fn with_limits(run: &'a Run, limits: &Limits) -> Option<Self> {
        let is_whole = run.execution.complete && matches!(run.execution.status, Status::Succeeded | Status::Failed);
        if !is_whole || run.events.iter().any(|it| it.kind == EventKind::ExecutionRedriven) {
            return None;
        }
        let mut flows = vec![Vec::new(); run.timeline.flows.len()];
        let mut rounds: HashMap<usize, Vec<usize>> = HashMap::new();
        let mut scheduled: HashMap<usize, (usize, usize)> = HashMap::new();
        for (index, event) in run.events.iter().enumerate() {
            if !only_cleans_up(&event.kind) {
                flows[run.timeline.flow_of[index]].push(index);
            }
            let Some(owner) = run.timeline.links[index].owner else {
                continue;
            };
            if event.kind.starts_round().is_some() {
                rounds.entry(owner).or_default().push(index);
            } else if event.kind.schedules_attempt() {
                scheduled.entry(owner).or_insert((index, index)).1 = index;
            }
        }
        let mut inside: HashMap<(usize, u32), Vec<usize>> = HashMap::new();
        for (index, flow) in run.timeline.flows.iter().enumerate() {
            if let Some(owner) = flow.owner.filter(|_| !flows[index].is_empty()) {
                inside.entry(owner).or_default().push(index);
            }
        }
        for list in inside.values_mut() {
            list.sort_by_key(|&it| flows[it][0]);
        }
        let cold = cold_starts(run);
        Some(Self {
            run,
            limits: limits.clone(),
            flows,
            inside,
            rounds,
            scheduled,
            cold,
            closing: run.timeline.closing?,
        })
    }

    /// Runs the execution again; `None` where the model cannot follow it.
    pub fn simulate(&self, scenario: &Scenario) -> Option<Replayed> {
        self.run_again(scenario, None)
    }

    /// Runs the execution again with one visit ending so much later.
    pub fn simulate_with_delay(&self, visit: usize, delay: Micros) -> Option<Replayed> {
        let links = &self.run.timeline.links;
        let own =
            || (0..links.len()).rev().filter(|&it| links[it].owner == Some(visit) && !only_cleans_up(self.kind(it)));
        let last = own().find(|&it| self.kind(it).exits().is_some()).or_else(|| own().next())?;
        self.run_again(&Scenario::default(), Some((last, delay)))
    }

    fn run_again(&self, scenario: &Scenario, delay: Option<(usize, Micros)>) -> Option<Replayed> {
        let times = vec![None; self.run.events.len()];
        let mut simulation = Simulation { replay: self, scenario, delay, times };
        simulation.flow(0, None)?;
        let start = self.at(0);
        Some(Replayed { duration: simulation.times[self.closing]? - start, times: simulation.times })
    }

    /// The largest difference between the recording and a simulation without a change.
    pub fn error(&self) -> Option<Micros> {
        let identity = self.simulate(&Scenario::default())?;
        let difference =
            |(index, time): (usize, &Option<Timestamp>)| time.map(|it| Micros((it - self.at(index)).0.abs()));
        identity.times.iter().enumerate().filter_map(difference).max()
    }

    pub(super) fn flow_of_visit(&self, visit: usize) -> usize {
        self.run.timeline.flow_of[self.entry_of(visit)]
    }

    /// How many items of each Map ran at once at most, where some had to wait for a slot.
    pub fn limited_maps(&self) -> Vec<(usize, usize)> {
        let mut limited = Vec::new();
        for (&(visit, round), flows) in &self.inside {
            let started = self.started_of(visit, round);
            if let (StateType::Map, Some(started)) = (self.run.timeline.visits[visit].kind, started) {
                limited.extend(self.slots(flows, started).limit.map(|limit| (visit, limit)));
            }
        }
        limited.sort_unstable();
        limited
    }

    /// By how much the limit of each Map lengthened the execution: T(C) − T(∞), for Maps whose items waited.
    pub fn slot_bounds(&self) -> Vec<(Name, Micros)> {
        let unlimited = |state: &Name| {
            let duration = self.run.execution.duration()?;
            Some((state.clone(), duration - self.simulate(&Scenario::without_limit(state))?.duration))
        };
        let limited = self.limited_maps();
        let mut states: Vec<&Name> = limited.iter().map(|&(visit, _)| &self.run.timeline.visits[visit].state).collect();
        states.sort_unstable();
        states.dedup();
        states.into_iter().filter_map(unlimited).collect()
    }

    /// By how much its limit lengthened each visit of a Map whose items waited.
    pub fn visit_slot_bounds(&self) -> Vec<(usize, Micros)> {
        let mut bounds = Vec::new();
        for (visit, _) in self.limited_maps() {
            let state = &self.run.timeline.visits[visit].state;
            let links = &self.run.timeline.links;
            let mut own =
                (0..links.len()).filter(|&it| links[it].owner == Some(visit) && self.kind(it).exits().is_some());
            let (first, last) = (self.entry_of(visit), own.next_back());
            let span = |replayed: Replayed| Some(replayed.times[last?]? - replayed.times[first]?);
            let simulated = self.simulate(&Scenario::without_limit(state)).and_then(span);
            let recorded = self.run.timeline.visits[visit].duration();
            bounds.extend(recorded.zip(simulated).map(|(recorded, simulated)| (visit, recorded - simulated)));
        }
        bounds
    }

    pub(super) fn entry_of(&self, visit: usize) -> usize {
        let id = self.run.timeline.visits[visit].id;
        self.run.events.binary_search_by_key(&id, |it| it.id).unwrap_or(0)
    }

    pub(super) fn at(&self, event: usize) -> Timestamp {
        self.run.events[event].at
    }

    pub(super) fn kind(&self, event: usize) -> &EventKind {
        &self.run.events[event].kind
    }

    /// The last event of a flow; that of an item says that it has ended, which frees its slot.
    pub(super) fn end_of(&self, flow: usize) -> usize {
        let events = &self.flows[flow];
        events[events.len() - 1]
    }

    /// What an event of a flow waited for; `None` where the recording does not tell which failure it was.
    pub(super) fn awaited(&self, event: usize, previous: usize) -> Option<Awaited<'_>> {
        if self.kind(previous).starts_round().is_none() {
            return Some(Awaited::Before);
        }
        let owner = self.run.timeline.links[previous].owner?;
        let flows = self.flows_of_round(previous, owner);
        if flows.is_empty() {
            return Some(Awaited::Before);
        }
        let kind = self.kind(event);
        let succeeded = matches!(kind, EventKind::MapStateSucceeded | EventKind::ParallelStateSucceeded)
            || (kind.exits().is_some() && self.run.timeline.visits[owner].status == VisitStatus::Succeeded);
        if succeeded {
            return Some(Awaited::Flows { owner, flows });
        }
        // The round failed: with the event that this one links to.
        Some(Awaited::Failure { owner, event: self.run.timeline.links[event].binding? })
    }

    pub(super) fn cold_of(&self, event: usize) -> Micros {
        self.cold.get(&event).copied().unwrap_or_default()
    }

    /// How many attempts are known to have started cold.
    pub fn n_cold_starts(&self) -> usize {
        self.cold.len()
    }

    /// The event that starts a round of a visit.
    pub(super) fn started_of(&self, owner: usize, round: u32) -> Option<usize> {
        self.rounds.get(&owner)?.get(usize::try_from(round).ok()?.checked_sub(1)?).copied()
    }

    /// The flows inside the round that an event starts.
    pub(super) fn flows_of_round(&self, started: usize, owner: usize) -> &[usize] {
        self.inside.get(&(owner, self.round_of(started, owner))).map_or(&[], Vec::as_slice)
    }

    /// When the last of some flows ended in the recording.
    pub(super) fn last_end(&self, flows: &[usize]) -> Option<Timestamp> {
        flows.iter().map(|&it| self.at(self.end_of(it))).max()
    }

    fn round_of(&self, started: usize, owner: usize) -> u32 {
        let place = self.rounds.get(&owner).and_then(|it| it.iter().position(|&it| it == started));
        place.and_then(|it| u32::try_from(it + 1).ok()).unwrap_or(1)
    }

    /// Whether an event ends a span that lies before the last attempt or round of its visit begins.
    pub(super) fn is_repeated(&self, event: usize) -> bool {
        let Some(owner) = self.run.timeline.links[event].owner else {
            return false;
        };
        if self.kind(event).starts_round().is_some() {
            return self.round_of(event, owner) > 1;
        }
        self.scheduled.get(&owner).is_some_and(|&(first, last)| first < event && event <= last)
    }

    /// The slots of a Map's round as the recording shows them.
    pub(super) fn slots(&self, items: &[usize], started: usize) -> Slots {
        let waited = |&flow: &usize| {
            let binding = self.run.timeline.links[self.flows[flow][0]].binding;
            binding.is_some_and(|it| *self.kind(it) != EventKind::MapStateStarted)
        };
        let start = |flow: usize| self.at(self.flows[flow][0]);
        let end = |flow: usize| self.at(self.end_of(flow)).max(start(flow));
        let begun = self.at(started);
        if !items.iter().any(waited) {
            return Slots { limit: None, residuals: items.iter().map(|&it| start(it) - begun).collect() };
        }
        let observed = most_at_once(items.iter().map(|&it| (start(it), end(it))));
        let owner = self.run.timeline.links[started].owner;
        let named = owner.and_then(|it| self.limits.get(&self.run.timeline.visits[it].state));
        let limit = named.copied().filter(|it| *it >= observed).unwrap_or(observed);
        let mut busy: BinaryHeap<Reverse<Timestamp>> = BinaryHeap::new();
        let residuals = items.iter().map(|&item| {
            let freed = if busy.len() < limit { begun } else { busy.pop().map_or(begun, |it| it.0.max(begun)) };
            busy.push(Reverse(end(item)));
            start(item) - freed
        });
        Slots { residuals: residuals.collect(), limit: Some(limit) }
    }
}

/// How many items ran at once at most, when they start in this order.
fn most_at_once(items: impl Iterator<Item = (Timestamp, Timestamp)>) -> usize {
    let mut running: BinaryHeap<Reverse<Timestamp>> = BinaryHeap::new();
    let mut most = 1;
    for (start, end) in items {
        while running.peek().is_some_and(|it| it.0 <= start) {
            running.pop();
        }
        running.push(Reverse(end));
        most = most.max(running.len());
    }
    most
}

/// The cold starts of attempts, at the events that end their work.
fn cold_starts(run: &Run) -> HashMap<usize, Micros> {
    let mut cold = HashMap::new();
    let colds = run.timeline.visits.iter().map(|it| it.cold_start().is_some_and(|it| it > Micros::ZERO));
    let is_cold: Vec<bool> = colds.collect();
    if !is_cold.contains(&true) {
        return cold;
    }
    for (index, link) in run.timeline.links.iter().enumerate().filter(|(_, it)| it.category == Category::Work) {
        let Some(visit) = link.owner.filter(|&it| is_cold[it]) else { continue };
        let at = Some(run.events[index].at);
        let ended = |it: &&Attempt| it.submitted_at.or(it.ended_at) == at && it.cold_start > Some(Micros::ZERO);
        let attempt = run.timeline.visits[visit].attempts.iter().find(ended);
        cold.extend(attempt.and_then(|it| it.cold_start).map(|it| (index, it)));
    }
    cold
}

/// Events that follow from a failure elsewhere and decide nothing.
fn only_cleans_up(kind: &EventKind) -> bool {
    kind.aborts().is_some() || matches!(kind, EventKind::MapIterationFailed | EventKind::MapIterationAborted)
}

struct Simulation<'a, 'b> {
    replay: &'b Replay<'a>,
    scenario: &'b Scenario,
    /// An event that comes later by so much.
    delay: Option<(usize, Micros)>,
    times: Vec<Option<Timestamp>>,
}

impl Simulation<'_, '_> {
    /// Runs a flow. `before` is the event it starts after; an item's first event has its time already.
    fn flow(&mut self, flow: usize, before: Option<usize>) -> Option<()> {
        let replay = self.replay;
        let mut previous = before;
        for &event in &replay.flows[flow] {
            if self.times[event].is_none() {
                let delay = self.delay.filter(|it| it.0 == event).map_or(Micros::ZERO, |it| it.1);
                self.times[event] = Some(self.time_of(event, previous)? + delay);
            }
            if replay.kind(event).starts_round().is_some() {
                self.round(event)?;
            }
            previous = Some(event);
        }
        Some(())
    }

    fn state(&self, owner: Option<usize>) -> Option<&Name> {
        owner.map(|it| &self.replay.run.timeline.visits[it].state)
    }

    fn time_of(&self, event: usize, previous: Option<usize>) -> Option<Timestamp> {
        let replay = self.replay;
        let Some(previous) = previous else {
            return Some(replay.at(event));
        };
        let link = replay.run.timeline.links[event];
        if self.scenario.no_retries && replay.is_repeated(event) {
            return self.times[previous];
        }
        let (recorded, simulated) = self.reached(event, previous)?;
        let span = Micros((replay.at(event) - recorded).0.max(0));
        Some(simulated + self.scenario.scaled(self.state(link.owner), link.category, span, replay.cold_of(event)))
    }

    /// The moment that an event waited for, as recorded and as simulated: the event before it in the flow, or what is
    /// inside the Parallel or Map that runs between the two.
    fn reached(&self, event: usize, previous: usize) -> Option<(Timestamp, Timestamp)> {
        let replay = self.replay;
        let plain = Some((replay.at(previous), self.times[previous]?));
        match replay.awaited(event, previous)? {
            Awaited::Before => plain,
            Awaited::Flows { owner, .. } | Awaited::Failure { owner, .. }
                if self.scenario.is_free(&replay.run.timeline.visits[owner].state) =>
            {
                plain
            }
            Awaited::Flows { flows, .. } => {
                let ends: Option<Vec<Timestamp>> = flows.iter().map(|&it| self.times[replay.end_of(it)]).collect();
                Some((replay.last_end(flows)?, ends?.into_iter().max()?))
            }
            Awaited::Failure { event, .. } => Some((replay.at(event), self.times[event]?)),
        }
    }

    /// Runs everything inside a round of a Parallel or Map.
    fn round(&mut self, started: usize) -> Option<()> {
        let replay = self.replay;
        let Some(owner) = replay.run.timeline.links[started].owner else {
            return Some(());
        };
        let flows = replay.flows_of_round(started, owner);
        if replay.run.timeline.visits[owner].kind == StateType::Parallel {
            return flows.iter().try_for_each(|&flow| self.flow(flow, Some(started)));
        }
        let state = &replay.run.timeline.visits[owner].state;
        let slots = replay.slots(flows, started);
        let limit = match self.scenario.concurrency.get(state) {
            Some(0) => Some(SERVICE_LIMIT),
            Some(limit) => Some(*limit),
            None => slots.limit,
        };
        let begun = self.times[started]?;
        let mut busy: BinaryHeap<Reverse<Timestamp>> = BinaryHeap::new();
        for (&flow, &residual) in flows.iter().zip(&slots.residuals) {
            let freed = match limit {
                Some(limit) if busy.len() >= limit => busy.pop().map_or(begun, |it| it.0.max(begun)),
                _ => begun,
            };
            let is_free = self.scenario.is_free(state);
            self.times[replay.flows[flow][0]] = Some(if is_free { freed } else { freed + residual });
            self.flow(flow, None)?;
            busy.push(Reverse(self.times[replay.end_of(flow)]?));
        }
        Some(())
    }
}
