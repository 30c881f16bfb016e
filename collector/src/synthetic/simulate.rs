//! Runs a plan: events with the moment, the link and the cause of each.
//!
//! Every flow (the root, a branch, an item) is run from its start to its end before the next one; all events go into one
//! list, and ids are given at the end, in the order of time. A failure in one flow cuts the others of its container off.

use super::kinds::Kinds;
use super::plan::{Attempts, Call, Plan, Step};
use super::redrive::Rerun;
use super::{Random, Simulated};

/// An event before it has an id.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    pub(super) id: u64,
    pub(super) at: i64,
    pub(super) kind: &'static str,
    /// What `previousEventId` will say.
    pub(super) link: Option<usize>,
    pub(super) previous: u64,
    /// What really decided the moment, and whose time passed until then.
    pub(super) cause: Option<usize>,
    pub(super) owner: Option<usize>,
    pub(super) category: &'static str,
    pub(super) name: Option<&'static str>,
    pub(super) call: Option<Call>,
    pub(super) error: Option<&'static str>,
    pub(super) number: Option<u64>,
    pub(super) dropped: bool,
}

/// A visit while it is simulated.
pub(super) struct Visit {
    pub(super) entry: usize,
    pub(super) parent: Option<usize>,
    pub(super) iteration: Option<u32>,
    /// The flow that it runs in: the root, a branch, an item.
    pub(super) flow: usize,
    pub(super) state: &'static str,
    pub(super) end: Option<(i64, &'static str)>,
    pub(super) n_attempts: usize,
    pub(super) is_container: bool,
    pub(super) is_wait: bool,
    /// Its own events, in order.
    pub(super) own: Vec<usize>,
    /// Time of its own that no own event ends: what lay between two runs.
    pub(super) between_runs: Vec<(&'static str, i64)>,
}

/// How a flow ended.
pub(super) enum End {
    /// With its last event.
    Done(usize),
    /// With the failure that nothing caught: its event, its error, and the visit that failed.
    Failed { event: usize, error: &'static str, visit: usize },
}

pub(super) struct Simulator<'a> {
    pub(super) random: &'a mut Random,
    pub(super) events: Vec<Raw>,
    pub(super) visits: Vec<Visit>,
    pub(super) billed: u64,
    pub(super) n_flows: usize,
}

/// Where a flow runs.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) parent: Option<usize>,
    pub(super) iteration: Option<u32>,
    pub(super) flow: usize,
}

/// Simulates one execution that starts at a moment.
pub fn simulate(plan: &Plan, started_ms: i64, random: &mut Random) -> Simulated {
    let mut it = Simulator::new(random);
    let (closing, succeeded) = it.first_run(plan, started_ms);
    it.finish(closing, succeeded)
}

/// The same, redriven once where it has failed; `None` where it has not, or where nothing would run again.
pub fn simulate_redriven(plan: &Plan, started_ms: i64, rerun: Rerun, random: &mut Random) -> Option<Simulated> {
    let mut it = Simulator::new(random);
    let (failed, succeeded) = it.first_run(plan, started_ms);
    let closing = if succeeded { None } else { it.redrive(failed, rerun) };
    Some(it.finish(closing?, true))
}

impl<'a> Simulator<'a> {
    fn new(random: &'a mut Random) -> Self {
        Self { random, events: Vec::new(), visits: Vec::new(), billed: 0, n_flows: 1 }
    }

    /// Runs the plan from its start; the closing event, and whether it succeeded.
    fn first_run(&mut self, plan: &Plan, started_ms: i64) -> (usize, bool) {
        let it = self;
        let started = it.emit(started_ms, "ExecutionStarted", None, None, None, "overhead");
        let end = it.flow(&plan.steps, started, Place { parent: None, iteration: None, flow: 0 });
        let succeeded = matches!(end, End::Done(_));
        let closing = match end {
            End::Done(last) => {
                let owner = it.events[last].owner;
                let at = it.events[last].at + it.little(20);
                it.emit(at, "ExecutionSucceeded", Some(last), Some(last), owner, "overhead")
            }
            End::Failed { event, error, visit } => {
                let at = it.events[event].at + it.little(3);
                let closing = it.emit(at, "ExecutionFailed", Some(event), Some(event), Some(visit), "overhead");
                it.events[closing].error = Some(error);
                if it.visits[visit].end.is_none() {
                    it.visits[visit].end = Some((at, "failed"));
                }
                closing
            }
        };
        (closing, succeeded)
    }
}

impl Simulator<'_> {
    pub(super) fn new_flow(&mut self) -> usize {
        self.n_flows += 1;
        self.n_flows - 1
    }

    /// A few milliseconds that the service takes; often none at all.
    pub(super) fn little(&mut self, most: u64) -> i64 {
        let it = self.random.below(most + 1);
        if self.random.per_mille(300) { 0 } else { it.cast_signed() }
    }

    pub(super) fn emit(
        &mut self,
        at: i64,
        kind: &'static str,
        link: Option<usize>,
        cause: Option<usize>,
        owner: Option<usize>,
        category: &'static str,
    ) -> usize {
        self.events.push(Raw {
            id: 0,
            at,
            kind,
            link,
            previous: 0,
            cause,
            owner,
            category,
            name: None,
            call: None,
            error: None,
            number: None,
            dropped: false,
        });
        self.events.len() - 1
    }

    /// An event of a visit's own that follows its last one.
    pub(super) fn own(
        &mut self,
        visit: usize,
        at: i64,
        kind: &'static str,
        link: usize,
        category: &'static str,
    ) -> usize {
        let event = self.emit(at, kind, Some(link), Some(link), Some(visit), category);
        self.visits[visit].own.push(event);
        event
    }

    pub(super) fn enter(&mut self, name: &'static str, kind: &'static str, after: usize, place: Place) -> usize {
        let before = &self.events[after];
        let at = before.at;
        let is_first = before.kind == "ExecutionStarted";
        let opens_flow = matches!(before.kind, "ParallelStateStarted" | "MapIterationStarted");
        let at = at + if is_first { self.little(30) } else { self.little(4) };
        let visit = self.visits.len();
        // The first step is nobody's, that into a branch or item is the container's, any other leads to this state.
        let owner = if is_first {
            None
        } else if opens_flow {
            place.parent
        } else {
            Some(visit)
        };
        let link = if is_first { None } else { Some(after) };
        let entry = self.emit(at, kind, link, Some(after), owner, "overhead");
        self.events[entry].name = Some(name);
        self.billed += 1;
        self.visits.push(Visit {
            entry,
            parent: place.parent,
            iteration: place.iteration,
            flow: place.flow,
            state: name,
            end: None,
            n_attempts: 0,
            is_container: matches!(kind, "ParallelStateEntered" | "MapStateEntered"),
            is_wait: kind == "WaitStateEntered",
            own: Vec::new(),
            between_runs: Vec::new(),
        });
        visit
    }

    pub(super) fn exit(
        &mut self,
        visit: usize,
        kind: &'static str,
        link: usize,
        after_ms: i64,
        status: &'static str,
    ) -> usize {
        let category = if self.visits[visit].is_wait { "wait" } else { "overhead" };
        let at = self.events[link].at + after_ms;
        let event = self.own(visit, at, kind, link, category);
        self.events[event].name = Some(self.visits[visit].state);
        self.visits[visit].end = Some((at, status));
        event
    }

    /// Runs states one after the other.
    pub(super) fn flow(&mut self, steps: &[Step], after: usize, place: Place) -> End {
        let mut last = after;
        for step in steps {
            match self.step(step, last, place) {
                End::Done(event) => last = event,
                failed @ End::Failed { .. } => return failed,
            }
        }
        End::Done(last)
    }

    fn step(&mut self, step: &Step, after: usize, place: Place) -> End {
        match step {
            Step::Pass(name) => self.instant(name, "PassStateEntered", "PassStateExited", after, place),
            Step::Succeed(name) => self.instant(name, "SucceedStateEntered", "SucceedStateExited", after, place),
            Step::Wait(name, delay) => {
                let ms = delay.draw(self.random);
                self.wait(name, ms, after, place)
            }
            Step::Task { name, call, work, queue_ms, attempts } => {
                let draw = |it: &mut Self| work.draw(it.random).cast_signed();
                self.task(name, *call, &draw, *queue_ms, *attempts, after, place)
            }
            Step::Choice { name, ways } => {
                let End::Done(last) = self.instant(name, "ChoiceStateEntered", "ChoiceStateExited", after, place)
                else {
                    unreachable!("a choice always leads on")
                };
                let total: u32 = ways.iter().map(|it| it.0).sum();
                let mut drawn = u32::try_from(self.random.below(u64::from(total))).unwrap_or(0);
                for (weight, steps) in ways {
                    if drawn < *weight {
                        return self.flow(steps, last, place);
                    }
                    drawn -= weight;
                }
                End::Done(last)
            }
            Step::Poll { wait, ask, decide, interval_ms, rounds } => {
                self.poll([wait, ask, decide], *interval_ms, *rounds, after, place)
            }
            Step::Fail { name, error } => {
                let visit = self.enter(name, "FailStateEntered", after, place);
                End::Failed { event: self.visits[visit].entry, error, visit }
            }
            Step::Parallel { .. } | Step::Map { .. } => self.container(step, after, place),
        }
    }

    fn instant(
        &mut self,
        name: &'static str,
        entered: &'static str,
        exited: &'static str,
        after: usize,
        place: Place,
    ) -> End {
        let visit = self.enter(name, entered, after, place);
        let ms = self.little(3);
        End::Done(self.exit(visit, exited, self.visits[visit].entry, ms, "succeeded"))
    }

    fn wait(&mut self, name: &'static str, ms: u64, after: usize, place: Place) -> End {
        let visit = self.enter(name, "WaitStateEntered", after, place);
        End::Done(self.exit(visit, "WaitStateExited", self.visits[visit].entry, ms.cast_signed(), "succeeded"))
    }

    fn poll(
        &mut self,
        [wait, ask, decide]: [&'static str; 3],
        interval_ms: u64,
        rounds: (u64, u64),
        after: usize,
        place: Place,
    ) -> End {
        let n_rounds = rounds.0 + self.random.below(rounds.1 - rounds.0 + 1);
        let mut last = after;
        for _ in 0..n_rounds.max(1) {
            for step in 0..3 {
                let end = match step {
                    0 => self.wait(wait, interval_ms, last, place),
                    1 => self.task(
                        ask,
                        Call::Service("dynamodb", "getItem"),
                        &|it| 20 + it.little(10),
                        10,
                        Attempts::sound(),
                        last,
                        place,
                    ),
                    _ => self.instant(decide, "ChoiceStateEntered", "ChoiceStateExited", last, place),
                };
                match end {
                    End::Done(event) => last = event,
                    failed @ End::Failed { .. } => return failed,
                }
            }
        }
        End::Done(last)
    }

    #[expect(clippy::too_many_arguments, reason = "a task has that many sides")]
    fn task(
        &mut self,
        name: &'static str,
        call: Call,
        draw: &dyn Fn(&mut Self) -> i64,
        queue_ms: u64,
        attempts: Attempts,
        after: usize,
        place: Place,
    ) -> End {
        let visit = self.enter(name, "TaskStateEntered", after, place);
        let mut last = self.visits[visit].entry;
        let kinds = Kinds::of(call);
        for attempt in 0..=attempts.max_retries {
            let (gap, category) = if attempt == 0 {
                (self.little(5), "overhead")
            } else {
                self.billed += 1;
                ((attempts.interval_ms << (attempt - 1).min(10)).cast_signed(), "backoff")
            };
            let at = self.events[last].at + gap;
            last = self.own(visit, at, kinds.scheduled, last, category);
            self.events[last].call = Some(call);
            self.visits[visit].n_attempts += 1;
            let at = self.events[last].at + self.little(queue_ms);
            last = self.own(visit, at, kinds.started, last, "queue");
            self.events[last].call = Some(call);
            let mut ending = "work";
            if kinds.is_submitted {
                let at = self.events[last].at + 30 + self.little(40);
                last = self.own(visit, at, "TaskSubmitted", last, "work");
                self.events[last].call = Some(call);
                ending = "callback";
            }
            let at = self.events[last].at + draw(self);
            if !self.random.per_mille(attempts.fails_per_mille) {
                last = self.own(visit, at, kinds.succeeded, last, ending);
                self.events[last].call = Some(call);
                let ms = self.little(4);
                return End::Done(self.exit(visit, "TaskStateExited", last, ms, "succeeded"));
            }
            last = self.own(visit, at, if attempts.times_out { kinds.timed_out } else { kinds.failed }, last, ending);
            self.events[last].call = Some(call);
            self.events[last].error = Some(attempts.error);
        }
        if attempts.is_caught {
            let ms = self.little(4);
            return End::Done(self.exit(visit, "TaskStateExited", last, ms, "caught"));
        }
        self.visits[visit].end = Some((self.events[last].at, if attempts.times_out { "timed_out" } else { "failed" }));
        End::Failed { event: last, error: attempts.error, visit }
    }
}
