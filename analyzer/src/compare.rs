//! What changed between two sets of executions, where, and how sure is that?
//!
//! The difference of the mean durations is split exactly, without statistics: every execution's wall time is partitioned
//! over (state, category) by its critical path, so the differences of those means add up to it. Each is split again: a
//! part because executions take other ways (*mix*, Kitagawa 1955 over path groups), a part because a state is on the
//! path more often (more items, more rounds of a loop, fewer slots), and the rest because it is *slower*. Statistics
//! only decide which parts are worth naming.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;

use rustc_hash::FxHashMap;

use crate::execution::Run;
use crate::model::{Micros, Name, StateType, Status, Timestamp};
use crate::statistics::{
    Block, Estimate, benjamini_hochberg, hodges_lehmann, mann_whitney, mean_difference, proportions, van_elteren,
};
use crate::timeline::{Category, VisitStatus};

/// Named from this false-alarm rate on, and from this share of the difference.
const Q: f64 = 0.05;
const SHARE: f64 = 0.01;
/// Errors come first when the failure rate rose by this much.
const RISEN: f64 = 0.01;
const MINUTE: i64 = 60_000_000;
const EVIDENCE: usize = 3;

/// A state, by its place in [`States`]: there are few of them, and many executions.
type State = u32;

/// A part of an execution's wall time; the state is `None` for the execution's own.
type Part = (Option<State>, Category);

/// The names of states.
#[derive(Debug, Default)]
struct States {
    ids: FxHashMap<Name, State>,
    names: Vec<Name>,
}

impl States {
    fn id(&mut self, name: &Name) -> State {
        if let Some(&id) = self.ids.get(name) {
            return id;
        }
        let id = State::try_from(self.names.len()).unwrap_or(State::MAX);
        self.ids.insert(name.clone(), id);
        self.names.push(name.clone());
        id
    }

    fn name(&self, id: State) -> &Name {
        &self.names[id as usize]
    }
}

/// A map of a few entries.
#[derive(Clone, Debug)]
struct Few<K, V>(Vec<(K, V)>);

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Copy + Eq, V: Copy + Default + AddAssign> Few<K, V> {
    fn get(&self, key: K) -> Option<V> {
        self.0.iter().find(|it| it.0 == key).map(|it| it.1)
    }

    fn add(&mut self, key: K, more: V) {
        match self.0.iter_mut().find(|it| it.0 == key) {
            Some(it) => it.1 += more,
            None => self.0.push((key, more)),
        }
    }
}

/// What is kept of one execution.
#[derive(Clone, Debug)]
struct Seen {
    arn: Name,
    started_at: Timestamp,
    duration: Micros,
    /// Where and with what it failed.
    failure: Option<(Option<Name>, Name)>,
    is_failed: bool,
    version: Option<Name>,
    group: u32,
    critical: Few<Part, i64>,
    /// Visits of each state that are on the path.
    on_path: Few<State, u32>,
    /// Visits of each state, on the path or not.
    visits: Few<State, u32>,
    /// Items of each Map, over all its rounds.
    items: Few<State, u32>,
    /// The time of each state, on the path or not.
    spans: Few<State, i64>,
    /// Branches that each Choice took.
    choices: Vec<(State, State)>,
    transitions: u64,
    /// Transitions that each state bills: its visits and retries.
    billed: Few<State, u64>,
}

/// Collects the executions of both sides.
#[derive(Debug, Default)]
pub struct Comparison {
    baseline: Vec<Seen>,
    incident: Vec<Seen>,
    states: States,
    groups: BTreeMap<Vec<State>, u32>,
    /// The Map that a state runs inside of.
    maps: BTreeMap<State, State>,
    /// Parallels and Maps.
    containers: BTreeSet<State>,
}

/// Which side an execution belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Baseline,
    Incident,
}

/// Durations of one side.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SideSummary {
    pub n: usize,
    pub failed: u64,
    pub p50: Option<Micros>,
    pub p95: Option<Micros>,
    pub mean_ms: Option<f64>,
    pub mean_transitions: Option<f64>,
}

/// Why a cause is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CauseKind {
    /// A state spends more or less time in a category.
    Time(Category),
    /// Other branches, more items, more rounds of a loop.
    PathMix,
    Errors,
    Version,
}

impl CauseKind {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Time(category) => category.as_str(),
            Self::PathMix => "path_mix",
            Self::Errors => "errors",
            Self::Version => "version",
        }
    }
}

/// One part of the difference.
#[derive(Clone, Debug)]
pub struct Cause {
    pub state: Option<Name>,
    pub kind: CauseKind,
    pub error: Option<Name>,
    /// Milliseconds of the difference of the means; 0 for errors and versions, which carry no latency of their own.
    pub contribution_ms: f64,
    pub share: f64,
    pub interval: Option<(f64, f64)>,
    pub p_value: f64,
    pub q_value: f64,
    pub first_seen: Option<Timestamp>,
    pub evidence: Vec<Name>,
    /// A sentence on what is behind it, where more is known.
    pub detail: Option<String>,
}

impl Cause {
    /// Whether it is significant and large enough to be named.
    pub fn is_named(&self) -> bool {
        let is_latency = !matches!(self.kind, CauseKind::Errors | CauseKind::Version);
        self.q_value <= Q && (!is_latency || self.share.abs() >= SHARE)
    }
}

/// What one execution adds to the mean of its side.
#[expect(clippy::cast_precision_loss, reason = "means")]
fn mean_of(n: u64, runs: &[Seen]) -> f64 {
    n as f64 / runs.len().max(1) as f64
}

/// A state that became slower without an effect on the end.
#[derive(Clone, Debug)]
pub struct Harmless {
    pub state: Name,
    pub before: Micros,
    pub after: Micros,
}

#[derive(Clone, Debug)]
pub struct Compared {
    pub baseline: SideSummary,
    pub incident: SideSummary,
    /// The typical shift of the duration in milliseconds.
    pub shift: Option<Estimate>,
    pub shift_p_value: f64,
    /// Of the failure rates.
    pub failures: Option<(Estimate, f64)>,
    pub difference_ms: Option<f64>,
    /// All parts, the most important first.
    pub causes: Vec<Cause>,
    pub harmless: Vec<Harmless>,
    /// What each state bills on average; the differences add up to that of the mean transitions.
    pub transitions: Vec<Billed>,
    /// How often executions fail where and with what; the differences add up to that of the failure rates.
    pub failing: Vec<Failing>,
}

/// Mean transitions of a state, before and after; `None` for redrives and the children of Map Runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Billed {
    pub state: Option<Name>,
    pub before: f64,
    pub after: f64,
}

/// The part of the executions that failed in a state with an error, before and after.
#[derive(Clone, Debug, PartialEq)]
pub struct Failing {
    pub state: Option<Name>,
    pub error: Name,
    pub before: f64,
    pub after: f64,
}

impl Compared {
    /// What is left of the difference of the means beside the named causes.
    pub fn unexplained_ms(&self, all: bool) -> Option<f64> {
        let named: f64 = self.causes.iter().filter(|it| all || it.is_named()).map(|it| it.contribution_ms).sum();
        self.difference_ms.map(|it| it - named)
    }
}

impl Comparison {
    /// Takes a closed and complete run in; others have no exact path and are left out.
    pub fn add(&mut self, run: &Run, side: Side) {
        let it = &run.execution;
        let (Some(started_at), Some(duration)) = (it.started_at, it.duration()) else { return };
        if !it.complete {
            return;
        }
        let visits = &run.timeline.visits;
        let states: Vec<State> = visits.iter().map(|it| self.states.id(&it.state)).collect();
        let mut critical = Few::default();
        let mut on_path: BTreeSet<usize> = BTreeSet::new();
        for step in &run.path {
            critical.add((step.owner.map(|owner| states[owner]), step.category), step.span().0);
            on_path.extend(step.owner);
        }
        let mut path_visits = Few::default();
        for &visit in &on_path {
            path_visits.add(states[visit], 1);
        }
        let containers = visits.iter().enumerate().filter(|it| it.1.kind.is_container());
        let places: FxHashMap<u64, usize> = containers.map(|(index, it)| (it.id, index)).collect();
        let mut items: BTreeMap<State, BTreeSet<(u64, u32)>> = BTreeMap::new();
        let (mut spans, mut counts, mut billed) = (Few::default(), Few::default(), Few::default());
        let mut choices = Vec::new();
        let mut way: Vec<State> = Vec::new();
        for (index, visit) in visits.iter().enumerate() {
            let state = states[index];
            counts.add(state, 1);
            billed.add(state, 1 + visit.retries());
            spans.add(state, visit.duration().unwrap_or_default().0);
            if visit.kind.is_container() {
                self.containers.insert(state);
            }
            if let (Some(parent), Some(iteration)) = (visit.parent, visit.iteration)
                && let Some(&map) = places.get(&parent)
            {
                items.entry(states[map]).or_default().insert((parent, iteration));
                self.maps.entry(state).or_insert(states[map]);
            }
            if visit.kind == StateType::Choice {
                let place = (visit.parent, visit.branch, visit.iteration);
                let next = (index + 1..visits.len())
                    .find(|&it| (visits[it].parent, visits[it].branch, visits[it].iteration) == place);
                if let Some(next) = next {
                    let taken = (state, states[next]);
                    // A way through a loop is one way, however often it is gone; inside items it is no way of the run.
                    if visit.iteration.is_none() && !choices.contains(&taken) {
                        way.extend([taken.0, taken.1]);
                    }
                    choices.push(taken);
                }
            }
        }
        let next_group = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        let group = *self.groups.entry(way).or_insert(next_group);
        let is_failed = matches!(it.status, Status::Failed | Status::TimedOut | Status::Aborted);
        let blamed = visits
            .iter()
            .rev()
            .find(|it| matches!(it.status, VisitStatus::Failed | VisitStatus::TimedOut) && !it.kind.is_container());
        let error = it.error.clone().or_else(|| is_failed.then(|| it.status.as_str().into()));
        let seen = Seen {
            arn: it.arn.clone(),
            started_at,
            duration,
            failure: error.filter(|_| is_failed).map(|error| (blamed.map(|it| it.state.clone()), error)),
            is_failed,
            version: it.version_arn.clone(),
            group,
            critical,
            on_path: path_visits,
            visits: counts,
            items: Few(items.into_iter().map(|(map, it)| (map, u32::try_from(it.len()).unwrap_or(u32::MAX))).collect()),
            spans,
            choices,
            transitions: it.transitions.billed().0,
            billed,
        };
        match side {
            Side::Baseline => self.baseline.push(seen),
            Side::Incident => self.incident.push(seen),
        }
    }

    pub fn finish(self) -> Compared {
        let (b, i) = (&self.baseline, &self.incident);
        let sorted = |side: &[Seen]| {
            let mut all: Vec<i64> = side.iter().map(|it| it.duration.0).collect();
            all.sort_unstable();
            all
        };
        let (before, after) = (sorted(b), sorted(i));
        let (baseline, incident) = (summary(b, &before), summary(i, &after));
        let difference_ms = incident.mean_ms.zip(baseline.mean_ms).map(|(i, b)| i - b);
        let milli = |it: Estimate| Estimate { estimate: it.estimate / 1e3, low: it.low / 1e3, high: it.high / 1e3 };
        let mut causes = if b.is_empty() || i.is_empty() { Vec::new() } else { self.causes() };
        let q_values = benjamini_hochberg(&causes.iter().map(|it| it.p_value).collect::<Vec<_>>());
        for (cause, q_value) in causes.iter_mut().zip(q_values) {
            cause.q_value = q_value;
            cause.share = difference_ms.filter(|it| *it != 0.0).map_or(0.0, |it| cause.contribution_ms / it);
        }
        let failures = proportions(baseline.failed, b.len() as u64, incident.failed, i.len() as u64);
        let has_risen = failures.is_some_and(|(it, p)| it.estimate >= RISEN && p <= Q);
        causes.sort_by(|x, y| {
            let first = |it: &Cause| has_risen && it.kind == CauseKind::Errors && it.is_named();
            let weight = |it: &Cause| difference_ms.map_or(0.0, |d| it.contribution_ms * d.signum());
            first(y).cmp(&first(x)).then(y.is_named().cmp(&x.is_named())).then(weight(y).total_cmp(&weight(x)))
        });
        let harmless = self.harmless(&causes);
        Compared {
            shift: hodges_lehmann(&before, &after).map(milli),
            shift_p_value: mann_whitney(&before, &after),
            failures,
            difference_ms,
            causes,
            harmless,
            transitions: self.billed(),
            failing: self.failing(),
            baseline,
            incident,
        }
    }

    /// Transitions by state, the largest difference first.
    fn billed(&self) -> Vec<Billed> {
        let mut means: BTreeMap<Option<Name>, [f64; 2]> = BTreeMap::new();
        for (side, runs) in [&self.baseline, &self.incident].into_iter().enumerate() {
            let mut sums: FxHashMap<Option<State>, u64> = FxHashMap::default();
            for it in runs {
                let mut rest = it.transitions;
                for &(state, n) in &it.billed.0 {
                    *sums.entry(Some(state)).or_default() += n;
                    rest = rest.saturating_sub(n);
                }
                if rest > 0 {
                    *sums.entry(None).or_default() += rest;
                }
            }
            for (state, n) in sums {
                means.entry(state.map(|it| self.states.name(it).clone())).or_default()[side] = mean_of(n, runs);
            }
        }
        let mut all: Vec<Billed> =
            means.into_iter().map(|(state, [before, after])| Billed { state, before, after }).collect();
        all.sort_by(|x, y| (y.after - y.before).abs().total_cmp(&(x.after - x.before).abs()));
        all
    }

    /// Failures by state and error, the largest difference first.
    fn failing(&self) -> Vec<Failing> {
        let mut rates: BTreeMap<(Option<Name>, Name), [f64; 2]> = BTreeMap::new();
        for (side, runs) in [&self.baseline, &self.incident].into_iter().enumerate() {
            for key in runs.iter().filter_map(|it| it.failure.clone()) {
                rates.entry(key).or_default()[side] += mean_of(1, runs);
            }
        }
        let mut all: Vec<Failing> = rates
            .into_iter()
            .map(|((state, error), [before, after])| Failing { state, error, before, after })
            .collect();
        all.sort_by(|x, y| (y.after - y.before).abs().total_cmp(&(x.after - x.before).abs()));
        all
    }

    /// The parts of the difference of the means, which add up to it, and what carries no latency.
    fn causes(&self) -> Vec<Cause> {
        let parts = self.decomposed();
        let mut causes = Vec::new();
        // In the order of the names, not of their appearance.
        let mut time: Vec<(Part, f64)> = parts.time.into_iter().collect();
        time.sort_by_key(|((state, category), _)| (self.name_of(*state), *category));
        for ((state, category), us) in time {
            causes.push(self.time_cause(state, category, us));
        }
        let mut mix: Vec<(Option<State>, f64)> = parts.mix.into_iter().collect();
        mix.sort_by_key(|(state, _)| self.name_of(*state));
        for (state, us) in mix {
            causes.push(self.mix_cause(state, us));
        }
        causes.extend(self.error_causes());
        causes.extend(self.version_cause());
        causes
    }

    #[expect(clippy::cast_precision_loss, reason = "means")]
    fn decomposed(&self) -> Parts {
        let mut parts = Parts::default();
        let (n_b, n_i) = (self.baseline.len() as f64, self.incident.len() as f64);
        let decides = self.deciding_choice();
        let means = [&self.baseline, &self.incident].map(|side| Means::by_group(side, self.groups.len()));
        for (b, i) in means[0].iter().zip(&means[1]) {
            let (w_b, w_i) = (b.n / n_b, i.n / n_i);
            if b.n == 0.0 || i.n == 0.0 {
                let total = w_i * i.total() - w_b * b.total();
                *parts.mix.entry(decides).or_default() += total;
                continue;
            }
            *parts.mix.entry(decides).or_default() += (w_i - w_b) * f64::midpoint(b.total(), i.total());
            let weight = f64::midpoint(w_b, w_i);
            let keys: BTreeSet<Part> = b.critical.keys().chain(i.critical.keys()).copied().collect();
            for key in keys {
                let (m_b, m_i) = (b.mean(key), i.mean(key));
                let (often_b, often_i) = (b.often(key.0), i.often(key.0));
                let (Some(state), true) = (key.0, often_b != 0.0 && often_i != 0.0) else {
                    *parts.time.entry(key).or_default() += weight * (m_i - m_b);
                    continue;
                };
                let (each_b, each_i) = (m_b / often_b, m_i / often_i);
                let each = f64::midpoint(each_b, each_i);
                // A run has the state on its path or not, because of what is slow beside it; and if so, so often.
                let (present_b, present_i) = (b.present(state), i.present(state));
                let (rounds_b, rounds_i) = (often_b / present_b, often_i / present_i);
                let present = f64::midpoint(present_b, present_i);
                let map = self.maps.get(&state).copied();
                let (count_b, count_i) =
                    map.map_or_else(|| (b.visits(state), i.visits(state)), |map| (b.items(map), i.items(map)));
                let by_count = if count_b > 0.0 { rounds_b * count_i / count_b } else { rounds_i };
                // More items, or more rounds of a loop.
                let more = present * (by_count - rounds_b) * each;
                *parts.mix.entry(Some(map.unwrap_or(state))).or_default() += weight * more;
                // As many items, but more of them one after the other: fewer slots.
                let fewer_slots = if map.is_some() { present * (rounds_i - by_count) * each } else { 0.0 };
                if map.is_some() {
                    *parts.time.entry((map, Category::SlotWait)).or_default() += weight * fewer_slots;
                }
                *parts.time.entry(key).or_default() += weight * (m_i - m_b - more - fewer_slots);
            }
        }
        parts
    }

    /// The Choice whose branches changed their shares most; `None` where none did.
    fn deciding_choice(&self) -> Option<State> {
        let shares = |side: &[Seen]| {
            let mut taken: FxHashMap<(State, State), u64> = FxHashMap::default();
            for it in side.iter().flat_map(|it| &it.choices) {
                *taken.entry(*it).or_default() += 1;
            }
            taken
        };
        let (b, i) = (shares(&self.baseline), shares(&self.incident));
        let mut moved: BTreeMap<&Name, f64> = BTreeMap::new();
        for key in b.keys().chain(i.keys()).collect::<BTreeSet<_>>() {
            let share = |taken: &FxHashMap<_, u64>, side: &[Seen]| mean_of(taken.get(key).copied().unwrap_or(0), side);
            let change = share(&i, &self.incident) - share(&b, &self.baseline);
            *moved.entry(self.states.name(key.0)).or_default() += change.abs();
        }
        let name = moved.into_iter().max_by(|x, y| x.1.total_cmp(&y.1)).map(|it| it.0)?;
        self.states.ids.get(name).copied()
    }

    fn name_of(&self, state: Option<State>) -> Option<Name> {
        state.map(|it| self.states.name(it).clone())
    }

    fn time_cause(&self, state: Option<State>, category: Category, us: f64) -> Cause {
        let key = (state, category);
        let value = |it: &Seen| it.critical.get(key).unwrap_or(0);
        // Fewer slots show in how many items follow one another, not in the Map's own spans.
        let inner: Vec<State> = self.maps.iter().filter(|it| Some(*it.1) == state).map(|it| *it.0).collect();
        let slots = |it: &Seen| inner.iter().map(|&inner| i64::from(it.on_path.get(inner).unwrap_or(0))).sum();
        if category == Category::SlotWait && !inner.is_empty() {
            return self.cause(state, CauseKind::Time(category), us, &slots);
        }
        self.cause(state, CauseKind::Time(category), us, &value)
    }

    fn mix_cause(&self, state: Option<State>, us: f64) -> Cause {
        let choices = self.baseline.iter().chain(&self.incident).flat_map(|it| &it.choices);
        let taken: BTreeSet<State> = choices.filter(|it| Some(it.0) == state).map(|it| it.1).collect();
        let mut taken: Vec<State> = taken.into_iter().collect();
        taken.sort_by_key(|&it| self.states.name(it));
        if taken.is_empty() {
            let measure = |it: &Seen| {
                let Some(state) = state else { return 0 };
                i64::from(it.items.get(state).or_else(|| it.on_path.get(state)).unwrap_or(0))
            };
            return self.cause(state, CauseKind::PathMix, us, &measure);
        }
        // Each branch is asked about; the surest answer counts, corrected for their number.
        let (n_b, n_i) = (self.baseline.len() as u64, self.incident.len() as u64);
        let count = |side: &[Seen], branch: State| {
            side.iter().filter(|it| it.choices.iter().any(|it| Some(it.0) == state && it.1 == branch)).count() as u64
        };
        let tested = taken.iter().filter_map(|&branch| {
            let (b, i) = (count(&self.baseline, branch), count(&self.incident, branch));
            proportions(b, n_b, i, n_i).map(|it| (branch, it.0.estimate, it.1, b, i))
        });
        let Some((branch, change, p, b, i)) = tested.min_by(|x, y| x.2.total_cmp(&y.2)) else {
            return self.cause(state, CauseKind::PathMix, us, &|_| 0);
        };
        #[expect(clippy::cast_precision_loss, reason = "a count of branches")]
        let p_value = (p * taken.len() as f64).min(1.0);
        let measure = |it: &Seen| i64::from(it.choices.iter().any(|it| it.1 == branch));
        let mut cause = self.cause(state, CauseKind::PathMix, us, &measure);
        cause.p_value = p_value;
        let more = if change > 0.0 { "more" } else { "fewer" };
        let branch = self.states.name(branch);
        cause.detail = Some(format!("{more} executions go to `{branch}`: {b} of {n_b} before, {i} of {n_i} after"));
        cause
    }

    fn cause(&self, state: Option<State>, kind: CauseKind, us: f64, measure: &dyn Fn(&Seen) -> i64) -> Cause {
        let values = |side: &[Seen]| side.iter().map(measure).collect::<Vec<i64>>();
        let (b, i) = (values(&self.baseline), values(&self.incident));
        let mut sorted = b.clone();
        sorted.sort_unstable();
        let usual = sorted.get(sorted.len() * 95 / 100).or(sorted.last()).copied().unwrap_or(0);
        let mut unusual: Vec<(&Seen, i64)> =
            self.incident.iter().zip(i.iter().copied()).filter(|it| it.1 > usual).collect();
        let first_seen = unusual.iter().map(|it| it.0.started_at).min();
        unusual.sort_by_key(|it| (std::cmp::Reverse(it.1), it.0.arn.clone()));
        let is_time = matches!(kind, CauseKind::Time(category) if category != Category::SlotWait);
        let interval = is_time
            .then(|| mean_difference(&blocks(&self.baseline, &b), &blocks(&self.incident, &i)))
            .flatten()
            // The interval of the plain difference, moved to the part of it that the cause stands for.
            .map(|it| ((us + it.low - it.estimate) / 1e3, (us + it.high - it.estimate) / 1e3));
        Cause {
            state: self.name_of(state),
            kind,
            error: None,
            contribution_ms: us / 1e3,
            share: 0.0,
            interval,
            p_value: if is_time { self.p_within_groups(&b, &i) } else { mann_whitney(&b, &i) },
            q_value: 1.0,
            first_seen,
            evidence: unusual.iter().take(EVIDENCE).map(|it| it.0.arn.clone()).collect(),
            detail: None,
        }
    }

    /// Of the executions that go the same way: fewer that go to a state do not hide that it is slower.
    fn p_within_groups(&self, baseline: &[i64], incident: &[i64]) -> f64 {
        let mut groups = vec![[Vec::new(), Vec::new()]; self.groups.len()];
        for (side, (runs, values)) in [(&self.baseline, baseline), (&self.incident, incident)].into_iter().enumerate() {
            for (run, value) in runs.iter().zip(values) {
                groups[run.group as usize][side].push(*value);
            }
        }
        van_elteren(&groups)
    }

    fn error_causes(&self) -> Vec<Cause> {
        let failures = |side: &[Seen]| {
            let mut found: BTreeMap<(Option<Name>, Name), u64> = BTreeMap::new();
            for failure in side.iter().filter_map(|it| it.failure.clone()) {
                *found.entry(failure).or_default() += 1;
            }
            found
        };
        let (b, i) = (failures(&self.baseline), failures(&self.incident));
        let (n_b, n_i) = (self.baseline.len() as u64, self.incident.len() as u64);
        let keys: BTreeSet<&(Option<Name>, Name)> = b.keys().chain(i.keys()).collect();
        let cause = |key: &(Option<Name>, Name)| {
            let (before, after) = (b.get(key).copied().unwrap_or(0), i.get(key).copied().unwrap_or(0));
            let (change, p_value) = proportions(before, n_b, after, n_i)?;
            let mut own: Vec<&Seen> = self.incident.iter().filter(|it| it.failure.as_ref() == Some(key)).collect();
            own.sort_by_key(|it| it.started_at);
            Some(Cause {
                state: key.0.clone(),
                kind: CauseKind::Errors,
                error: Some(key.1.clone()),
                contribution_ms: 0.0,
                share: 0.0,
                interval: None,
                p_value,
                q_value: 1.0,
                first_seen: own.first().map(|it| it.started_at),
                evidence: own.iter().take(EVIDENCE).map(|it| it.arn.clone()).collect(),
                detail: Some(format!(
                    "{before} of {n_b} before, {after} of {n_i} after ({:+.1} points)",
                    change.estimate * 100.0
                )),
            })
        };
        keys.into_iter().filter_map(cause).collect()
    }

    fn version_cause(&self) -> Option<Cause> {
        let newest = self.incident.iter().filter_map(|it| it.version.as_ref()).max()?;
        let with = |side: &[Seen]| side.iter().filter(|it| it.version.as_ref() == Some(newest)).count() as u64;
        let (b, i) = (with(&self.baseline), with(&self.incident));
        let (_, p_value) = proportions(b, self.baseline.len() as u64, i, self.incident.len() as u64)?;
        let own = self.incident.iter().filter(|it| it.version.as_ref() == Some(newest));
        Some(Cause {
            state: None,
            kind: CauseKind::Version,
            error: None,
            contribution_ms: 0.0,
            share: 0.0,
            interval: None,
            p_value,
            q_value: 1.0,
            first_seen: own.clone().map(|it| it.started_at).min(),
            evidence: own.take(EVIDENCE).map(|it| it.arn.clone()).collect(),
            detail: Some(format!("`{newest}`: {b} executions before, {i} after")),
        })
    }

    /// States that became a fifth slower, surely, without a named cause of their own: they are not on the path.
    fn harmless(&self, causes: &[Cause]) -> Vec<Harmless> {
        let mut states: Vec<(&Name, State)> = self.states.ids.iter().map(|(name, id)| (name, *id)).collect();
        states.sort_unstable();
        let mut found = Vec::new();
        for (name, state) in states {
            let is_named = causes.iter().any(|it| it.is_named() && it.state.as_ref() == Some(name));
            if is_named || self.containers.contains(&state) {
                continue;
            }
            let spans = |side: &[Seen]| {
                let mut all: Vec<i64> = side.iter().filter_map(|it| it.spans.get(state)).collect();
                all.sort_unstable();
                all
            };
            let (b, i) = (spans(&self.baseline), spans(&self.incident));
            let (Some(&before), Some(&after)) = (b.get(b.len() / 2), i.get(i.len() / 2)) else { continue };
            if after * 5 > before * 6 && mann_whitney(&b, &i) < 0.001 {
                found.push(Harmless { state: name.clone(), before: Micros(before), after: Micros(after) });
            }
        }
        found
    }
}

/// The parts of the difference of the means, in microseconds.
#[derive(Debug, Default)]
struct Parts {
    time: BTreeMap<Part, f64>,
    mix: BTreeMap<Option<State>, f64>,
}

/// Sums of the executions of one path group.
#[derive(Clone, Default)]
struct Means {
    n: f64,
    present: FxHashMap<State, f64>,
    visits: FxHashMap<State, f64>,
    critical: BTreeMap<Part, f64>,
    on_path: FxHashMap<State, f64>,
    items: FxHashMap<State, f64>,
}

impl Means {
    #[expect(clippy::cast_precision_loss, reason = "means")]
    fn by_group(side: &[Seen], n_groups: usize) -> Vec<Self> {
        let mut groups = vec![Self::default(); n_groups];
        for seen in side {
            let it = &mut groups[seen.group as usize];
            it.n += 1.0;
            for (key, us) in &seen.critical.0 {
                *it.critical.entry(*key).or_default() += *us as f64;
            }
            for (state, count) in &seen.on_path.0 {
                *it.on_path.entry(*state).or_default() += f64::from(*count);
                *it.present.entry(*state).or_default() += 1.0;
            }
            for (state, count) in &seen.visits.0 {
                *it.visits.entry(*state).or_default() += f64::from(*count);
            }
            for (map, count) in &seen.items.0 {
                *it.items.entry(*map).or_default() += f64::from(*count);
            }
        }
        groups
    }

    fn mean(&self, key: Part) -> f64 {
        self.critical.get(&key).map_or(0.0, |it| it / self.n)
    }

    fn total(&self) -> f64 {
        if self.n == 0.0 { 0.0 } else { self.critical.values().sum::<f64>() / self.n }
    }

    fn often(&self, state: Option<State>) -> f64 {
        state.and_then(|it| self.on_path.get(&it)).map_or(0.0, |it| it / self.n)
    }

    /// The part of the executions that have the state on their path.
    fn present(&self, state: State) -> f64 {
        self.present.get(&state).map_or(0.0, |it| it / self.n)
    }

    fn visits(&self, state: State) -> f64 {
        self.visits.get(&state).map_or(0.0, |it| it / self.n)
    }

    fn items(&self, map: State) -> f64 {
        self.items.get(&map).map_or(0.0, |it| it / self.n)
    }
}

#[expect(clippy::cast_precision_loss, reason = "means")]
fn summary(side: &[Seen], sorted: &[i64]) -> SideSummary {
    let spans: Vec<Micros> = sorted.iter().map(|&it| Micros(it)).collect();
    let mean = |sum: f64| (!side.is_empty()).then(|| sum / side.len() as f64);
    SideSummary {
        n: side.len(),
        failed: side.iter().filter(|it| it.is_failed).count() as u64,
        p50: crate::quantile::of_sorted(&spans, 0.5),
        p95: crate::quantile::of_sorted(&spans, 0.95),
        mean_ms: mean(sorted.iter().sum::<i64>() as f64 / 1e3),
        mean_transitions: mean(side.iter().map(|it| it.transitions).sum::<u64>() as f64),
    }
}

/// Sums and counts by minute of start.
#[expect(clippy::cast_precision_loss, reason = "means")]
fn blocks(side: &[Seen], values: &[i64]) -> Vec<Block> {
    let mut minutes: BTreeMap<i64, Block> = BTreeMap::new();
    for (seen, value) in side.iter().zip(values) {
        let block = minutes.entry(seen.started_at.0.div_euclid(MINUTE)).or_default();
        *block = (block.0 + *value as f64, block.1 + 1.0);
    }
    minutes.into_values().collect()
}
