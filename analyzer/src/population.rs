//! Over many executions of one machine: which states decide how long they take, and what would help?

use std::collections::BTreeMap;

use crate::execution::Run;
use crate::model::{Micros, Name, StateType, Timestamp};
use crate::outcome::Distribution;
use crate::patterns::{Pattern, Patterns};
use crate::quantile;
use crate::replay::{Limits, Plan, Program, Replay, States};
use crate::timeline::{Category, Split, VisitStatus};
use crate::what_if::Scenario;

/// Collects runs of one machine, keeping only what the findings need.
#[derive(Debug, Default)]
pub struct Population {
    runs: Vec<RunSums>,
    states: BTreeMap<Name, StateSums>,
    variants: BTreeMap<Vec<Name>, (Vec<Micros>, u64)>,
    /// How often each state followed each Choice.
    choices: BTreeMap<Name, BTreeMap<Name, u64>>,
    modelled: usize,
    patterns: Patterns,
    limits: Limits,
    timeouts: BTreeMap<Name, Micros>,
    numbers: States,
    /// Each state free, alone.
    plans: BTreeMap<Name, Plan>,
}

#[derive(Debug)]
struct RunSums {
    arn: Name,
    duration: Micros,
    /// Time on the critical path by state.
    critical: BTreeMap<Name, Micros>,
    /// How long the run would have taken with a state free; only where that differs.
    freed: BTreeMap<Name, Micros>,
}

#[derive(Debug, Default)]
struct StateSums {
    kind: Option<StateType>,
    spans: Vec<Micros>,
    failures: u64,
    retried_visits: u64,
    retries: u64,
    reruns: u64,
    split: Split,
    /// Cold starts, where any is known.
    cold_start: Option<Micros>,
    critical: Split,
    slack: Vec<Micros>,
    errors: BTreeMap<Name, u64>,
    limits: BTreeMap<usize, u64>,
    /// By how much its limit lengthened the execution, in runs where items waited.
    slot_bound: Vec<Micros>,
}

/// What was found out about a machine.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    pub executions: usize,
    /// Executions that the replay can follow.
    pub modelled: usize,
    pub p50: Option<Micros>,
    pub p95: Option<Micros>,
    pub p99: Option<Micros>,
    /// The largest share of the critical path first.
    pub states: Vec<StateFinding>,
    /// The execution whose critical path is most like the average one.
    pub medoid: Option<Name>,
    /// The ways that executions took, the most frequent first.
    pub variants: Vec<Variant>,
    /// Where each Choice led, and how often.
    pub choices: Vec<(Name, Vec<(Name, u64)>)>,
    pub patterns: Vec<Pattern>,
}

/// Executions that went through the same states of the outermost level.
#[derive(Clone, Debug)]
pub struct Variant {
    /// In the order in which they were entered first.
    pub states: Vec<Name>,
    pub durations: Distribution,
    /// Billed transitions of all of them.
    pub transitions: u64,
}

/// What was found out about one state.
#[derive(Clone, Debug, Default)]
pub struct StateFinding {
    pub state: Name,
    pub kind: Option<StateType>,
    pub visits: u64,
    pub failures: u64,
    pub retried_visits: u64,
    pub retries: u64,
    /// Redrives that ran a visit again without entering it again.
    pub reruns: u64,
    pub p50: Option<Micros>,
    pub p95: Option<Micros>,
    pub p99: Option<Micros>,
    pub max: Option<Micros>,
    pub split: Split,
    /// The part of the work that was cold starts, where that is known.
    pub cold_start: Option<Micros>,
    /// Time on critical paths: all of it, and by category where that is known.
    pub critical_total: Micros,
    pub critical: Split,
    /// The state's part of all critical paths.
    pub share: f64,
    pub slack_p50: Option<Micros>,
    /// By how much the percentiles would fall if the state took no time.
    pub bound_p50: Option<Micros>,
    pub bound_p95: Option<Micros>,
    /// By how much executions would be shorter without the state: in the middle one, and on average.
    pub drag_p50: Option<Micros>,
    pub drag_mean: Option<Micros>,
    /// The most frequent error and how often it came.
    pub error: Option<(Name, u64)>,
    /// The most frequent number of items at once, where some had to wait.
    pub limit: Option<usize>,
    /// The limit that the definition names.
    pub allowed: Option<usize>,
    /// By how much the limit lengthened executions on average: what a higher one can win at most.
    pub slot_bound_mean: Option<Micros>,
    /// The execution in which the state took most of the path.
    pub worst: Option<Name>,
}

impl StateFinding {
    /// Transitions that the state billed.
    pub fn transitions(&self) -> u64 {
        self.visits + self.retries + self.reruns
    }
}

impl Population {
    /// An empty population of a machine whose Maps have these limits, and whose states these time-outs.
    pub fn of_machine(limits: Limits, timeouts: BTreeMap<Name, Micros>) -> Self {
        Self { limits, timeouts, ..Self::default() }
    }

    /// Takes in what a run tells that has not ended.
    pub fn add_open(&mut self, run: &Run, now: Timestamp) {
        self.patterns.add_open(run, now);
    }

    /// Takes a run in; what has not ended or is not known in full is left out.
    pub fn add(&mut self, run: &Run) {
        let Some(duration) = run.execution.active().filter(|_| run.execution.complete) else {
            return;
        };
        let mut critical: BTreeMap<Name, Micros> = BTreeMap::new();
        for step in run.path.iter().filter(|it| it.category != Category::RedriveIdle) {
            if let Some(owner) = step.owner {
                let state = &run.timeline.visits[owner].state;
                *critical.entry(state.clone()).or_default() += step.span();
                self.states.entry(state.clone()).or_default().critical[step.category] += step.span();
            }
        }
        self.patterns.add(run);
        self.add_visits(run);
        self.add_ways(run, duration);
        let freed = self.replay(run, duration);
        self.runs.push(RunSums { arn: run.execution.arn.clone(), duration, critical, freed });
    }

    fn add_visits(&mut self, run: &Run) {
        for visit in &run.timeline.visits {
            let sums = self.states.entry(visit.state.clone()).or_default();
            sums.kind = Some(visit.kind);
            sums.spans.extend(visit.active());
            sums.failures +=
                u64::from(matches!(visit.status, VisitStatus::Failed | VisitStatus::Caught | VisitStatus::TimedOut));
            sums.retries += visit.n_retries;
            sums.reruns += visit.n_reruns;
            sums.retried_visits += u64::from(visit.n_retries > 0);
            sums.split.add(&visit.split);
            if let Some(cold) = visit.cold_start() {
                *sums.cold_start.get_or_insert_default() += cold;
            }
            for error in visit.attempts.iter().filter_map(|it| it.error.as_ref()) {
                *sums.errors.entry(error.clone()).or_default() += 1;
            }
        }
    }

    fn add_ways(&mut self, run: &Run, duration: Micros) {
        let visits = &run.timeline.visits;
        let mut way: Vec<Name> = Vec::new();
        for (index, visit) in visits.iter().enumerate() {
            if visit.parent.is_none() && !way.contains(&visit.state) {
                way.push(visit.state.clone());
            }
            if visit.kind == StateType::Choice
                && let Some(next) = run.timeline.next_in_place(index)
            {
                let ways = self.choices.entry(visit.state.clone()).or_default();
                *ways.entry(visits[next].state.clone()).or_default() += 1;
            }
        }
        let (durations, transitions) = self.variants.entry(way).or_default();
        durations.push(duration);
        *transitions += run.execution.transitions.billed().0;
    }

    fn replay(&mut self, run: &Run, duration: Micros) -> BTreeMap<Name, Micros> {
        let mut freed = BTreeMap::new();
        let Some(replay) = Replay::with_limits(run, &self.limits).filter(|it| it.error() == Some(Micros::ZERO)) else {
            return freed;
        };
        let Some(program) = Program::of(&replay, &mut self.numbers) else {
            return freed;
        };
        self.modelled += 1;
        for (visit, slack) in run.timeline.visits.iter().zip(replay.slack()) {
            self.states.entry(visit.state.clone()).or_default().slack.extend(slack);
        }
        for (visit, limit) in replay.limited_maps() {
            let sums = self.states.entry(run.timeline.visits[visit].state.clone()).or_default();
            *sums.limits.entry(limit).or_default() += 1;
        }
        for (state, bound) in replay.slot_bounds() {
            self.states.entry(state).or_default().slot_bound.push(bound);
        }
        let mut states: Vec<&Name> = run.timeline.visits.iter().map(|it| &it.state).collect();
        states.sort();
        states.dedup();
        for state in states {
            let plan = self.plans.entry(state.clone()).or_insert_with(|| self.numbers.plan(&Scenario::freeing(state)));
            if let Some(without) = program.duration(plan).filter(|it| *it != duration) {
                freed.insert(state.clone(), without);
            }
        }
        freed
    }

    /// Ranks the states.
    pub fn finish(self) -> Findings {
        let mut durations: Vec<Micros> = self.runs.iter().map(|it| it.duration).collect();
        durations.sort_unstable();
        let total: Micros = durations.iter().copied().sum();
        let is_modelled = self.modelled > 0;
        let mut variants: Vec<Variant> = self
            .variants
            .into_iter()
            .map(|(states, (durations, transitions))| Variant {
                states,
                durations: Distribution::of(durations),
                transitions,
            })
            .collect();
        variants.sort_by_key(|it| std::cmp::Reverse(it.durations.n_runs));
        let by_count = |ways: BTreeMap<Name, u64>| {
            let mut ways: Vec<(Name, u64)> = ways.into_iter().collect();
            ways.sort_by_key(|it| std::cmp::Reverse(it.1));
            ways
        };
        let choices = self.choices.into_iter().map(|(state, ways)| (state, by_count(ways))).collect();
        let mut states: Vec<StateFinding> = self
            .states
            .into_iter()
            .map(|(state, sums)| {
                let allowed = self.limits.get(&state).copied();
                StateFinding { allowed, ..finding(state, sums, &self.runs, &durations, total, is_modelled) }
            })
            .collect();
        states.sort_by(|a, b| b.critical.total().cmp(&a.critical.total()).then_with(|| a.state.cmp(&b.state)));
        let p99s = states.iter().map(|it| (&it.state, it.p99));
        let mut patterns = self.patterns.tight_timeouts(&self.timeouts, p99s);
        patterns.extend(self.patterns.finish());
        Findings {
            executions: self.runs.len(),
            modelled: self.modelled,
            p50: quantile::of_sorted(&durations, 0.5),
            p95: quantile::of_sorted(&durations, 0.95),
            p99: quantile::of_sorted(&durations, 0.99),
            medoid: medoid(&self.runs, &states),
            states,
            variants,
            choices,
            patterns,
        }
    }
}

fn finding(
    state: Name,
    mut sums: StateSums,
    runs: &[RunSums],
    durations: &[Micros],
    total: Micros,
    is_modelled: bool,
) -> StateFinding {
    sums.spans.sort_unstable();
    sums.slack.sort_unstable();
    let mut without: Vec<Micros> = runs.iter().map(|it| it.freed.get(&state).copied().unwrap_or(it.duration)).collect();
    let mut drags: Vec<Micros> = runs.iter().zip(&without).map(|(run, without)| run.duration - *without).collect();
    drags.sort_unstable();
    without.sort_unstable();
    let bound = |q: f64| {
        let before = quantile::of_sorted(durations, q).filter(|_| is_modelled)?;
        Some(before - quantile::of_sorted(&without, q)?)
    };
    let worst = runs.iter().max_by_key(|it| it.critical.get(&state).copied().unwrap_or_default());
    StateFinding {
        kind: sums.kind,
        visits: u64::try_from(sums.spans.len()).unwrap_or(u64::MAX),
        failures: sums.failures,
        retried_visits: sums.retried_visits,
        retries: sums.retries,
        reruns: sums.reruns,
        p50: quantile::of_sorted(&sums.spans, 0.5),
        p95: quantile::of_sorted(&sums.spans, 0.95),
        p99: quantile::of_sorted(&sums.spans, 0.99),
        max: sums.spans.last().copied(),
        split: sums.split,
        cold_start: sums.cold_start,
        share: share(sums.critical.total(), total),
        critical_total: sums.critical.total(),
        critical: sums.critical,
        slack_p50: quantile::of_sorted(&sums.slack, 0.5),
        bound_p50: bound(0.5),
        bound_p95: bound(0.95),
        drag_p50: quantile::of_sorted(&drags, 0.5).filter(|_| is_modelled),
        drag_mean: mean(&drags, drags.len()).filter(|_| is_modelled),
        allowed: None,
        slot_bound_mean: mean(&sums.slot_bound, runs.len()).filter(|_| !sums.slot_bound.is_empty()),
        error: sums.errors.into_iter().max_by_key(|it| it.1),
        limit: sums.limits.into_iter().max_by_key(|it| it.1).map(|it| it.0),
        worst: worst.filter(|it| it.critical.contains_key(&state)).map(|it| it.arn.clone()),
        state,
    }
}

/// The sum over so many runs, to the nearest microsecond.
fn mean(spans: &[Micros], n_runs: usize) -> Option<Micros> {
    let count = i64::try_from(n_runs).ok().filter(|it| *it > 0)?;
    Some(Micros((spans.iter().map(|it| it.0).sum::<i64>() + count / 2) / count))
}

/// The run whose time by state lies nearest to the mean, in the sum of differences.
fn medoid(runs: &[RunSums], states: &[StateFinding]) -> Option<Name> {
    let count = i64::try_from(runs.len()).ok().filter(|it| *it > 0)?;
    let distance = |run: &RunSums| -> i64 {
        let one = |it: &StateFinding| {
            let own = run.critical.get(&it.state).copied().unwrap_or_default();
            (own.0 - it.critical.total().0 / count).abs()
        };
        states.iter().map(one).sum()
    };
    runs.iter().min_by_key(|it| (distance(it), it.arn.clone())).map(|it| it.arn.clone())
}

#[expect(clippy::cast_precision_loss, reason = "shares are fractions")]
fn share(part: Micros, whole: Micros) -> f64 {
    if whole == Micros::ZERO { 0.0 } else { part.0 as f64 / whole.0 as f64 }
}

impl StateFinding {
    /// The category that takes most of the state's part of the path.
    pub fn main_category(&self) -> Option<(Category, f64)> {
        let total = self.critical.total();
        let main = Category::ALL.into_iter().max_by_key(|it| self.critical[*it]).filter(|_| total > Micros::ZERO)?;
        Some((main, share(self.critical[main], total)))
    }
}
