//! Which costly habits do the executions of a machine have? Found without being asked.
//!
//! Each is read off the visits of complete executions: a polling loop is a Wait state that is entered again and again
//! in the same scope; a straggler is a Map item far slower than its siblings; a retry storm is a state that is
//! retried in a good part of its visits; a run near the limit has used most of the 25,000 events it may have; a duplicate
//! start ran while another execution with the same input did.

use std::collections::{BTreeMap, BTreeSet};

use crate::execution::Run;
use crate::model::{EventKind, Micros, Name, StateType, Timestamp};
use crate::quantile;
use crate::timeline::{AttemptStatus, Category, Visit};

/// Events that one Standard execution may have.
pub const EVENT_LIMIT: u64 = 25_000;
/// From this part of the limit on, an execution is said to be near it.
const NEAR: f64 = 0.8;
/// Retries per visit from which on a state is said to be in a retry storm, and the retries it takes at least.
const STORM: f64 = 0.2;
const STORM_RETRIES: u64 = 5;
/// The slow visits of a state against its time-out, from which on that is tight.
const TIGHT: f64 = 0.8;
/// A Map needs so many items before one of them can be called slow.
const ITEMS: usize = 4;
/// The slowest item against the median one, from which on it is a straggler.
const SKEW: f64 = 3.0;

/// Something that executions of a machine do and that costs time or money.
#[derive(Clone, Debug, PartialEq)]
pub enum Pattern {
    /// A cycle around a Wait state asks again and again whether something is done.
    PollingLoop {
        wait: Name,
        /// The states of the cycle, in the order of their first visits.
        states: Vec<Name>,
        executions: u64,
        rounds: u64,
        transitions: u64,
        time: Micros,
        /// The loop's part of all time and of all transitions of the machine.
        time_share: f64,
        transition_share: f64,
    },
    /// The slowest item of a Map decides when it ends.
    Stragglers { map: Name, rounds: u64, skewed: u64, skew_p50: f64, lost: Micros },
    /// A good part of a state's visits is retried.
    RetryStorm { state: Name, visits: u64, retries: u64, error: Option<Name>, backoff: Micros, transitions: u64 },
    /// Executions near the limit of events; of one that still runs, how long until it is reached at this rate.
    EventLimit { executions: u64, most_events: u64, example: Name, time_left: Option<Micros> },
    /// A state's time-out lies near what its slow visits take, or is reached.
    TightTimeout { state: Name, timeout: Micros, p99: Micros, timed_out: u64 },
    /// Executions that ran at the same time with the same input.
    DuplicateStarts { executions: u64, inputs: u64, transitions: u64, example: (Name, Name) },
}

/// Collects what the patterns are read off.
#[derive(Debug, Default)]
pub struct Patterns {
    loops: BTreeMap<Name, Loop>,
    maps: BTreeMap<Name, Items>,
    storms: BTreeMap<Name, Storm>,
    near_limit: u64,
    most_events: Option<(u64, Name)>,
    time_left: Option<Micros>,
    timed_out: BTreeMap<Name, u64>,
    starts: Vec<Start>,
    transitions: u64,
    time: Micros,
}

/// When an execution with some input ran.
#[derive(Debug)]
struct Start {
    input: u64,
    from: Timestamp,
    to: Timestamp,
    transitions: u64,
    arn: Name,
}

#[derive(Debug, Default)]
struct Loop {
    states: Vec<Name>,
    executions: u64,
    rounds: u64,
    transitions: u64,
    time: Micros,
}

#[derive(Debug, Default)]
struct Items {
    rounds: u64,
    skews: Vec<f64>,
    lost: Micros,
}

#[derive(Debug, Default)]
struct Storm {
    visits: u64,
    retries: u64,
    backoff: Micros,
    errors: BTreeMap<Name, u64>,
}

/// Where a visit happens: its parent, branch and iteration.
type Scope = (Option<u64>, Option<u32>, Option<u32>);

impl Patterns {
    /// Takes a run in.
    pub fn add(&mut self, run: &Run) {
        let visits = &run.timeline.visits;
        self.transitions += run.execution.transitions.billed().0;
        self.time += run.execution.active().unwrap_or_default();
        let mut scopes: BTreeMap<Scope, Vec<&Visit>> = BTreeMap::new();
        for visit in visits {
            scopes.entry((visit.parent, visit.branch, visit.iteration)).or_default().push(visit);
            if visit.kind == StateType::Task || visit.n_retries > 0 {
                self.add_retries(visit);
            }
        }
        let mut looped = BTreeSet::new();
        for visits in scopes.values().filter(|it| it.len() > 2) {
            self.add_loops(run, visits, &mut looped);
        }
        for wait in looped {
            self.loops.entry(wait).or_default().executions += 1;
        }
        self.add_items(&scopes, run);
        self.add_events(run);
        for visit in visits {
            let n = visit.attempts.iter().filter(|it| it.status == AttemptStatus::TimedOut).count() as u64;
            if n > 0 {
                *self.timed_out.entry(visit.state.clone()).or_default() += n;
            }
        }
        self.add_start(run);
    }

    /// Takes in how near an execution that still runs is to the limit of events.
    pub fn add_open(&mut self, run: &Run, now: Timestamp) {
        let n_events = run.execution.n_events;
        let age = run.execution.started_at.map_or(Micros::ZERO, |it| now - it);
        if self.add_events(run) && age > Micros::ZERO {
            let left =
                i128::from(EVENT_LIMIT.saturating_sub(n_events)) * i128::from(age.0) / i128::from(n_events.max(1));
            let left = Micros(i64::try_from(left).unwrap_or(i64::MAX));
            self.time_left = Some(self.time_left.map_or(left, |it| it.min(left)));
        }
    }

    fn add_start(&mut self, run: &Run) {
        let first = run.events.first().filter(|it| it.kind == EventKind::ExecutionStarted);
        let times = run.execution.started_at.zip(run.execution.stopped_at);
        if let (Some(input), Some((from, to))) = (first.and_then(|it| it.number), times) {
            let transitions = run.execution.transitions.billed().0;
            self.starts.push(Start { input, from, to, transitions, arn: run.execution.arn.clone() });
        }
    }

    /// Executions that began while another one with the same input ran. An input that most executions have, such as that of
    /// a schedule, tells nothing.
    fn duplicate_starts(&mut self) -> Option<Pattern> {
        let n_starts = self.starts.len();
        self.starts.sort_by(|a, b| (a.input, a.from, &a.arn).cmp(&(b.input, b.from, &b.arn)));
        let (mut executions, mut inputs, mut transitions, mut example) = (0, 0, 0, None);
        for same in self.starts.chunk_by(|a, b| a.input == b.input).filter(|it| it.len() * 2 <= n_starts) {
            let mut first = &same[0];
            let before = executions;
            for start in &same[1..] {
                if start.from < first.to {
                    executions += 1;
                    transitions += start.transitions;
                    example.get_or_insert_with(|| (first.arn.clone(), start.arn.clone()));
                }
                if start.to > first.to {
                    first = start;
                }
            }
            inputs += u64::from(executions > before);
        }
        Some(Pattern::DuplicateStarts { executions, inputs, transitions, example: example? })
    }

    /// States whose slow visits come near their time-out, or reach it.
    pub fn tight_timeouts<'a>(
        &self,
        timeouts: &BTreeMap<Name, Micros>,
        p99s: impl Iterator<Item = (&'a Name, Option<Micros>)>,
    ) -> Vec<Pattern> {
        let tight = |(state, p99): (&Name, Option<Micros>)| {
            let (timeout, p99) = (*timeouts.get(state)?, p99?);
            let timed_out = self.timed_out.get(state).copied().unwrap_or(0);
            let is_tight = timed_out > 0 || ratio(p99, timeout) >= TIGHT;
            is_tight.then(|| Pattern::TightTimeout { state: state.clone(), timeout, p99, timed_out })
        };
        p99s.filter_map(tight).collect()
    }

    fn add_retries(&mut self, visit: &Visit) {
        let storm = self.storms.entry(visit.state.clone()).or_default();
        storm.visits += 1;
        storm.retries += visit.n_retries;
        storm.backoff += visit.split[Category::Backoff];
        if visit.attempts.len() > 1 {
            for error in visit.attempts.iter().filter_map(|it| it.error.as_ref()) {
                *storm.errors.entry(error.clone()).or_default() += 1;
            }
        }
    }

    /// A Wait that comes back is a loop: from its first visit to the last state of its cycle after its last visit.
    fn add_loops(&mut self, run: &Run, visits: &[&Visit], looped: &mut BTreeSet<Name>) {
        let mut waits: BTreeMap<&Name, Vec<usize>> = BTreeMap::new();
        for (index, visit) in visits.iter().enumerate().filter(|(_, it)| it.kind == StateType::Wait) {
            waits.entry(&visit.state).or_default().push(index);
        }
        for (wait, places) in waits.into_iter().filter(|(_, it)| it.len() > 1) {
            let (first, last) = (places[0], places[places.len() - 1]);
            let body: BTreeSet<&Name> = visits[first..last].iter().map(|it| &it.state).collect();
            let asks = visits[first..last].iter().any(|it| it.kind == StateType::Task);
            if !asks {
                continue;
            }
            let end =
                visits[last..].iter().position(|it| !body.contains(&it.state)).map_or(visits.len(), |it| last + it);
            let cycle = &visits[first..end];
            looped.insert(wait.clone());
            let sums = self.loops.entry(wait.clone()).or_default();
            for visit in cycle {
                sums.transitions += visit.transitions();
                if !sums.states.contains(&visit.state) {
                    sums.states.push(visit.state.clone());
                }
            }
            sums.rounds += places.len() as u64;
            let ended = cycle.last().and_then(|it| it.exited_at);
            sums.time += ended.map_or(Micros::ZERO, |it| run.timeline.active_between(cycle[0].entered_at, it));
        }
    }

    fn add_items(&mut self, scopes: &BTreeMap<Scope, Vec<&Visit>>, run: &Run) {
        let all = &run.timeline.visits;
        let mut items: BTreeMap<u64, Vec<Micros>> = BTreeMap::new();
        for ((parent, _, iteration), visits) in scopes {
            if let (Some(parent), Some(_)) = (parent, iteration) {
                let last = visits.iter().filter_map(|it| it.exited_at).max();
                items
                    .entry(*parent)
                    .or_default()
                    .extend(last.map(|it| run.timeline.active_between(visits[0].entered_at, it)));
            }
        }
        for (map, mut spans) in items.into_iter().filter(|(_, it)| it.len() >= ITEMS) {
            let Some(visit) = all.iter().find(|it| it.id == map) else { continue };
            spans.sort_unstable();
            let slowest = spans[spans.len() - 1];
            let median = quantile::of_sorted(&spans, 0.5).unwrap_or_default();
            let sums = self.maps.entry(visit.state.clone()).or_default();
            sums.rounds += 1;
            let skew = ratio(slowest, median);
            sums.skews.push(skew);
            if skew >= SKEW {
                // Without the straggler the Map would have ended with the next slowest item, at best.
                sums.lost += slowest - spans[spans.len() - 2];
            }
        }
    }

    /// Notes an execution near the limit; says whether it is.
    fn add_events(&mut self, run: &Run) -> bool {
        let n_events = run.execution.n_events;
        let is_standard = run.execution.workflow_type == crate::model::WorkflowType::Standard;
        #[expect(clippy::cast_precision_loss, reason = "a part of the limit")]
        let is_near = is_standard && n_events as f64 >= EVENT_LIMIT as f64 * NEAR;
        if is_near {
            self.near_limit += 1;
            if self.most_events.as_ref().is_none_or(|it| it.0 < n_events) {
                self.most_events = Some((n_events, run.execution.arn.clone()));
            }
        }
        is_near
    }

    /// What was found, the costliest kinds first.
    #[expect(clippy::cast_precision_loss, reason = "shares are fractions")]
    pub fn finish(mut self) -> Vec<Pattern> {
        let mut found: Vec<Pattern> = self.duplicate_starts().into_iter().collect();
        if let Some((most_events, example)) = self.most_events {
            let time_left = self.time_left;
            found.push(Pattern::EventLimit { executions: self.near_limit, most_events, example, time_left });
        }
        for (wait, it) in self.loops {
            found.push(Pattern::PollingLoop {
                wait,
                states: it.states,
                executions: it.executions,
                rounds: it.rounds,
                transitions: it.transitions,
                time: it.time,
                time_share: ratio(it.time, self.time),
                transition_share: it.transitions as f64 / self.transitions.max(1) as f64,
            });
        }
        for (state, it) in self.storms {
            if it.retries >= STORM_RETRIES && it.retries as f64 >= it.visits as f64 * STORM {
                found.push(Pattern::RetryStorm {
                    state,
                    visits: it.visits,
                    retries: it.retries,
                    error: it.errors.into_iter().max_by_key(|it| it.1).map(|it| it.0),
                    backoff: it.backoff,
                    transitions: it.retries,
                });
            }
        }
        for (map, mut it) in self.maps {
            let skewed = it.skews.iter().filter(|&&it| it >= SKEW).count() as u64;
            if skewed > 0 && skewed * 10 >= it.rounds {
                it.skews.sort_by(f64::total_cmp);
                let skew_p50 = it.skews[it.skews.len() / 2];
                found.push(Pattern::Stragglers { map, rounds: it.rounds, skewed, skew_p50, lost: it.lost });
            }
        }
        found
    }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio of two spans")]
fn ratio(part: Micros, whole: Micros) -> f64 {
    if whole.0 <= 0 { 0.0 } else { part.0 as f64 / whole.0 as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Event, ExecutionRecord};

    /// A run of Wait and Task visits, one after the other, a second each: `W` waits, any other letter is a Task.
    fn run(letters: &str) -> Run {
        started("run", 0, 1, letters)
    }

    /// The same with a name, a start in seconds, and the hash of an input.
    fn started(run: &str, at_seconds: i64, input: u64, letters: &str) -> Run {
        let mut events = Vec::new();
        let mut push = |at: i64, kind: EventKind, name: Option<char>| {
            let id = events.len() as u64 + 1;
            let name = name.map(|it| Name::from(it.to_string()));
            let at = Timestamp(at);
            events.push(Event {
                id,
                previous: id - 1,
                at,
                kind,
                name,
                resource: None,
                number: (id == 1).then_some(input),
                log_bytes: 0,
                detail: None,
            });
        };
        let mut at = at_seconds * 1_000_000;
        push(at, EventKind::ExecutionStarted, None);
        for letter in letters.chars() {
            let (entered, exited) = match letter {
                'W' => (EventKind::WaitStateEntered, EventKind::WaitStateExited),
                _ => (EventKind::TaskStateEntered, EventKind::TaskStateExited),
            };
            push(at, entered, Some(letter));
            if letter != 'W' {
                push(at, EventKind::TaskScheduled, None);
                push(at, EventKind::TaskStarted, None);
                push(at + 1_000_000, EventKind::TaskSucceeded, None);
            }
            at += 1_000_000;
            push(at, exited, Some(letter));
        }
        push(at, EventKind::ExecutionSucceeded, None);
        let arn = format!("arn:aws:states:us-east-1:123456789012:execution:machine:{run}");
        Run::of(arn.into(), events, ExecutionRecord::default())
    }

    fn found(runs: &[&str]) -> Vec<Pattern> {
        let mut patterns = Patterns::default();
        for it in runs {
            patterns.add(&run(it));
        }
        patterns.finish()
    }

    #[test]
    fn a_wait_that_comes_back_around_a_task_is_a_polling_loop() {
        let patterns = found(&["aWpWpWpb", "aWpb"]);
        let [Pattern::PollingLoop { wait, states, executions, rounds, transitions, time, .. }] = &patterns[..] else {
            panic!("{patterns:?}");
        };
        assert_eq!((&**wait, *executions, *rounds, *transitions), ("W", 1, 3, 6));
        assert_eq!(states.iter().map(|it| &**it).collect::<Vec<_>>(), ["W", "p"]);
        assert_eq!(*time, Micros(6_000_000));
    }

    #[test]
    fn a_wait_that_comes_once_is_none() {
        assert_eq!(found(&["aWb", "Wab"]), []);
    }

    #[test]
    fn the_same_input_at_the_same_time_is_a_duplicate_start() {
        let mut patterns = Patterns::default();
        for (name, at, input) in [("a", 0, 1), ("b", 1, 1), ("c", 60, 1), ("d", 0, 2), ("e", 0, 3), ("f", 0, 4)] {
            patterns.add(&started(name, at, input, "xyz"));
        }
        let found = patterns.finish();
        let [Pattern::DuplicateStarts { executions, inputs, transitions, example }] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!((*executions, *inputs, *transitions), (1, 1, 3));
        assert!(example.0.ends_with(":a") && example.1.ends_with(":b"), "{example:?}");
    }

    #[test]
    fn an_input_that_most_executions_have_tells_nothing() {
        let mut patterns = Patterns::default();
        for (name, input) in [("a", 1), ("b", 1), ("c", 1), ("d", 2)] {
            patterns.add(&started(name, 0, input, "x"));
        }
        assert_eq!(patterns.finish(), []);
    }
}
