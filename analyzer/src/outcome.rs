//! What do changes do to many executions of one machine?

use crate::execution::Run;
use crate::model::{GbMillis, Micros};
use crate::pricing::{ExpressUsage, billed_ms};
use crate::quantile;
use crate::replay::{Limits, Plan, Program, States};
use crate::what_if::Scenario;

/// Percentiles and mean of durations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    pub n_runs: usize,
    pub p50: Option<Micros>,
    pub p95: Option<Micros>,
    pub p99: Option<Micros>,
    pub mean: Option<Micros>,
}

impl Distribution {
    pub fn of(mut durations: Vec<Micros>) -> Self {
        durations.sort_unstable();
        let count = i64::try_from(durations.len()).unwrap_or(i64::MAX);
        let total: Micros = durations.iter().copied().sum();
        Self {
            n_runs: durations.len(),
            p50: quantile::of_sorted(&durations, 0.5),
            p95: quantile::of_sorted(&durations, 0.95),
            p99: quantile::of_sorted(&durations, 0.99),
            mean: (count > 0).then(|| Micros((total.0 + count / 2) / count)),
        }
    }
}

/// Runs many executions under several scenarios at once.
#[derive(Debug)]
pub struct Outcomes {
    limits: Limits,
    states: States,
    before: Side,
    after: Vec<Changed>,
    /// Runs that the model cannot follow; they are left out of all sides.
    pub unmodelled: usize,
    /// Attempts that are known to have waited for a function's initialisation.
    pub cold_starts: usize,
    /// Billed memory of an Express execution that does not say.
    memory_mb: u64,
}

#[derive(Debug)]
struct Changed {
    plan: Plan,
    has_no_retries: bool,
    side: Side,
}

/// What executions take and use, as recorded or as simulated.
#[derive(Clone, Debug, Default)]
pub struct Side {
    durations: Vec<Micros>,
    /// Transitions that a Standard machine pays.
    pub transitions: u64,
    /// What an Express machine pays.
    pub usage: ExpressUsage,
}

impl Side {
    fn add(&mut self, duration: Micros, transitions: u64, memory_mb: u64) {
        self.durations.push(duration);
        self.transitions += transitions;
        self.usage += ExpressUsage { requests: 1, memory_time: GbMillis::of(memory_mb, billed_ms(duration)) };
    }

    pub fn distribution(self) -> Distribution {
        Distribution::of(self.durations)
    }
}

impl Outcomes {
    /// Scenarios for a machine whose Maps have these limits.
    pub fn new(limits: Limits, scenarios: &[Scenario], memory_mb: u64) -> Self {
        let mut states = States::default();
        let changed =
            |it: &Scenario| Changed { plan: states.plan(it), has_no_retries: it.no_retries, side: Side::default() };
        let after = scenarios.iter().map(changed).collect();
        Self { limits, states, before: Side::default(), after, unmodelled: 0, cold_starts: 0, memory_mb }
    }

    /// Takes a run in.
    pub fn add(&mut self, run: &Run) {
        let program = Program::exact(run, &self.limits, &mut self.states);
        self.cold_starts += program.as_ref().map_or(0, |it| it.cold_starts);
        let durations = program.as_ref().and_then(|program| {
            let ends = self.after.iter().map(|it| program.duration(&it.plan));
            Some((program.recorded, ends.collect::<Option<Vec<Micros>>>()?))
        });
        let Some((recorded, ends)) = durations else {
            self.unmodelled += 1;
            return;
        };
        let memory = run.execution.billed_memory_mb.unwrap_or(self.memory_mb);
        let transitions = run.execution.transitions.billed().0;
        self.before.add(recorded, transitions, memory);
        for (changed, end) in self.after.iter_mut().zip(ends) {
            let saved = if changed.has_no_retries { run.repeated_transitions() } else { 0 };
            changed.side.add(end, transitions - saved, memory);
        }
    }

    /// As recorded, and under each scenario.
    pub fn finish(self) -> (Side, Vec<Side>) {
        (self.before, self.after.into_iter().map(|it| it.side).collect())
    }
}

/// Runs that were prepared once, for scenarios that are asked one after another.
#[derive(Debug)]
pub struct Rehearsal {
    limits: Limits,
    states: States,
    memory_mb: u64,
    runs: Vec<Prepared>,
    /// Runs that the model cannot follow; they are left out.
    pub unmodelled: usize,
}

#[derive(Debug)]
struct Prepared {
    program: Program,
    transitions: u64,
    /// Those that would not have been billed without retries.
    repeated: u64,
    memory_mb: u64,
}

impl Rehearsal {
    /// None yet, of a machine whose Maps have these limits.
    pub fn new(limits: Limits, memory_mb: u64) -> Self {
        Self { limits, states: States::default(), memory_mb, runs: Vec::new(), unmodelled: 0 }
    }

    /// Takes a run in.
    pub fn add(&mut self, run: &Run) {
        let Some(program) = Program::exact(run, &self.limits, &mut self.states) else {
            self.unmodelled += 1;
            return;
        };
        self.runs.push(Prepared {
            program,
            transitions: run.execution.transitions.billed().0,
            repeated: run.repeated_transitions(),
            memory_mb: run.execution.billed_memory_mb.unwrap_or(self.memory_mb),
        });
    }

    /// As recorded, and under a scenario; runs that the scenario cannot be played with are left out of both, and counted.
    pub fn play(&mut self, scenario: &Scenario) -> (Side, Side, usize) {
        let plan = self.states.plan(scenario);
        let (mut before, mut after, mut unplayed) = (Side::default(), Side::default(), 0);
        for it in &self.runs {
            let Some(end) = it.program.duration(&plan) else {
                unplayed += 1;
                continue;
            };
            before.add(it.program.recorded, it.transitions, it.memory_mb);
            let saved = if scenario.no_retries { it.repeated } else { 0 };
            after.add(end, it.transitions - saved, it.memory_mb);
        }
        (before, after, unplayed)
    }
}
