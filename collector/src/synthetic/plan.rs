//! What a simulated machine does, state by state.

use super::Random;

/// A state machine to simulate.
#[derive(Clone, Debug)]
pub struct Plan {
    pub machine: &'static str,
    pub is_express: bool,
    pub steps: Vec<Step>,
    /// Characters of each input and output.
    pub payload: usize,
}

/// A random span of milliseconds: mostly near the typical one, now and then much longer.
#[derive(Clone, Copy, Debug)]
pub struct Delay {
    pub typical_ms: u64,
    pub tail_per_mille: u32,
}

/// How a Task is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `arn:aws:states:::lambda:invoke`.
    Invoke,
    /// A function's ARN as the resource.
    Function,
    /// A request-response integration.
    Service(&'static str, &'static str),
    /// A job that is waited for.
    Job(&'static str, &'static str),
    /// A task token that is waited for.
    Token(&'static str, &'static str),
    Activity,
}

/// How often a Task fails, and what is done about it.
#[derive(Clone, Copy, Debug)]
pub struct Attempts {
    pub fails_per_mille: u32,
    pub error: &'static str,
    pub times_out: bool,
    pub max_retries: u32,
    pub interval_ms: u64,
    pub is_caught: bool,
}

/// One state, or a few that belong together.
#[derive(Clone, Debug)]
pub enum Step {
    Pass(&'static str),
    Wait(&'static str, Delay),
    Task {
        name: &'static str,
        call: Call,
        work: Delay,
        queue_ms: u64,
        attempts: Attempts,
    },
    /// One of the ways, by weight.
    Choice {
        name: &'static str,
        ways: Vec<(u32, Vec<Step>)>,
    },
    Parallel {
        name: &'static str,
        branches: Vec<Vec<Step>>,
        max_retries: u32,
        is_caught: bool,
    },
    Map {
        name: &'static str,
        items: (u64, u64),
        max_concurrency: usize,
        body: Vec<Step>,
        max_retries: u32,
        is_caught: bool,
    },
    /// Wait, ask, decide, until done: the polling loop.
    Poll {
        wait: &'static str,
        ask: &'static str,
        decide: &'static str,
        interval_ms: u64,
        rounds: (u64, u64),
    },
    Succeed(&'static str),
    Fail {
        name: &'static str,
        error: &'static str,
    },
}

impl Delay {
    pub const fn of(typical_ms: u64) -> Self {
        Self { typical_ms, tail_per_mille: 20 }
    }

    /// A span in milliseconds: three quarters to five quarters of the typical one, in the tail up to five times.
    pub fn draw(self, random: &mut Random) -> u64 {
        let base = self.typical_ms * 3 / 4 + random.below(self.typical_ms / 2 + 1);
        if random.per_mille(self.tail_per_mille) { base * (2 + random.below(4)) } else { base }
    }
}

impl Attempts {
    pub const fn sound() -> Self {
        Self { fails_per_mille: 0, error: "", times_out: false, max_retries: 0, interval_ms: 1_000, is_caught: false }
    }

    pub const fn failing(fails_per_mille: u32, error: &'static str, max_retries: u32) -> Self {
        Self { fails_per_mille, error, times_out: false, max_retries, interval_ms: 1_000, is_caught: false }
    }

    #[must_use]
    pub const fn caught(self) -> Self {
        Self { is_caught: true, ..self }
    }
}

impl Step {
    pub const fn task(name: &'static str, call: Call, typical_ms: u64) -> Self {
        Self::Task { name, call, work: Delay::of(typical_ms), queue_ms: 25, attempts: Attempts::sound() }
    }

    pub const fn risky(name: &'static str, call: Call, typical_ms: u64, attempts: Attempts) -> Self {
        Self::Task { name, call, work: Delay::of(typical_ms), queue_ms: 25, attempts }
    }

    /// Applies a change to every step of a list, also inside containers.
    pub(super) fn for_each(steps: &mut [Self], change: &mut dyn FnMut(&mut Self)) {
        for step in steps {
            change(step);
            match step {
                Self::Choice { ways, .. } => ways.iter_mut().for_each(|(_, steps)| Self::for_each(steps, change)),
                Self::Parallel { branches, .. } => branches.iter_mut().for_each(|steps| Self::for_each(steps, change)),
                Self::Map { body, .. } => Self::for_each(body, change),
                _ => {}
            }
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Pass(name)
            | Self::Wait(name, _)
            | Self::Task { name, .. }
            | Self::Choice { name, .. }
            | Self::Parallel { name, .. }
            | Self::Map { name, .. }
            | Self::Poll { ask: name, .. }
            | Self::Succeed(name)
            | Self::Fail { name, .. } => name,
        }
    }
}
