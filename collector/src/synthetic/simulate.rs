//! Runs a plan: events with the moment, the link and the cause of each.
//!
//! Every flow (the root, a branch, an item) is run from its start to its end before the next one; all events go into one
//! list, and ids are given at the end, in the order of time. A failure in one flow cuts the others of its container off.

use super::kinds::{ContainerKinds, Kinds};
use super::plan::{Attempts, Call, Plan, Step};
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
    pub(super) state: &'static str,
    pub(super) end: Option<(i64, &'static str)>,
    pub(super) n_attempts: usize,
    pub(super) is_container: bool,
    pub(super) is_wait: bool,
    /// Its own events, in order.
    pub(super) own: Vec<usize>,
}

/// How a flow ended.
enum End {
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
}

/// Where a flow runs.
#[derive(Clone, Copy)]
struct Place {
    parent: Option<usize>,
    iteration: Option<u32>,
}

/// Simulates one execution that starts at a moment.
pub fn simulate(plan: &Plan, started_ms: i64, random: &mut Random) -> Simulated {
    let mut it = Simulator { random, events: Vec::new(), visits: Vec::new(), billed: 0 };
    let started = it.emit(started_ms, "ExecutionStarted", None, None, None, "overhead");
    let end = it.flow(&plan.steps, started, Place { parent: None, iteration: None });
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
    it.finish(closing, succeeded)
}

impl Simulator<'_> {
    /// A few milliseconds that the service takes; often none at all.
    fn little(&mut self, most: u64) -> i64 {
        let it = self.random.below(most + 1);
        if self.random.per_mille(300) { 0 } else { it.cast_signed() }
    }

    fn emit(
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
    fn own(&mut self, visit: usize, at: i64, kind: &'static str, link: usize, category: &'static str) -> usize {
        let event = self.emit(at, kind, Some(link), Some(link), Some(visit), category);
        self.visits[visit].own.push(event);
        event
    }

    fn enter(&mut self, name: &'static str, kind: &'static str, after: usize, place: Place) -> usize {
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
            state: name,
            end: None,
            n_attempts: 0,
            is_container: matches!(kind, "ParallelStateEntered" | "MapStateEntered"),
            is_wait: kind == "WaitStateEntered",
            own: Vec::new(),
        });
        visit
    }

    fn exit(&mut self, visit: usize, kind: &'static str, link: usize, after_ms: i64, status: &'static str) -> usize {
        let category = if self.visits[visit].is_wait { "wait" } else { "overhead" };
        let at = self.events[link].at + after_ms;
        let event = self.own(visit, at, kind, link, category);
        self.events[event].name = Some(self.visits[visit].state);
        self.visits[visit].end = Some((at, status));
        event
    }

    /// Runs states one after the other.
    fn flow(&mut self, steps: &[Step], after: usize, place: Place) -> End {
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

    fn container(&mut self, step: &Step, after: usize, place: Place) -> End {
        let (name, max_retries, is_caught, is_map) = match step {
            Step::Parallel { name, max_retries, is_caught, .. } => (*name, *max_retries, *is_caught, false),
            Step::Map { name, max_retries, is_caught, .. } => (*name, *max_retries, *is_caught, true),
            _ => unreachable!("only these two are containers"),
        };
        let kinds = if is_map { ContainerKinds::MAP } else { ContainerKinds::PARALLEL };
        let visit = self.enter(name, kinds.entered, after, place);
        let mut last = self.visits[visit].entry;
        for round in 0..=max_retries {
            if round > 0 {
                self.billed += 1;
            }
            let gap = if round == 0 { self.little(5) } else { 1_000 << (round - 1).min(10) };
            let at = self.events[last].at + gap;
            let started = self.own(visit, at, kinds.started, last, if round == 0 { "overhead" } else { "backoff" });
            let outcome = match step {
                Step::Parallel { branches, .. } => self.branches(branches, visit, started),
                Step::Map { items, max_concurrency, body, .. } => {
                    let n_items = items.0 + self.random.below(items.1 - items.0 + 1);
                    self.events[started].number = Some(n_items);
                    self.items(name, body, n_items, *max_concurrency, visit, started)
                }
                _ => unreachable!("only these two are containers"),
            };
            match outcome {
                End::Done(joined) => {
                    let at = self.events[joined].at + self.little(3);
                    let succeeded = self.own(visit, at, kinds.succeeded, joined, "overhead");
                    let at = at + self.little(2);
                    // On AWS the exit links to what the round ended with, not to the event that says so.
                    let exit = self.emit(at, kinds.exited, Some(joined), Some(succeeded), Some(visit), "overhead");
                    self.events[exit].name = Some(name);
                    self.visits[visit].own.push(exit);
                    self.visits[visit].end = Some((at, "succeeded"));
                    return End::Done(exit);
                }
                End::Failed { event, error, .. } => {
                    last = event;
                    if round < max_retries {
                        continue;
                    }
                    let at = self.events[event].at + self.little(2);
                    let failed = self.own(visit, at, kinds.failed, event, "overhead");
                    if is_caught {
                        let ms = self.little(3);
                        return End::Done(self.exit(visit, kinds.exited, failed, ms, "caught"));
                    }
                    self.visits[visit].end = Some((at, "failed"));
                    return End::Failed { event: failed, error, visit };
                }
            }
        }
        unreachable!("the last round returns")
    }

    fn branches(&mut self, branches: &[Vec<Step>], visit: usize, started: usize) -> End {
        let mut flows = Vec::new();
        for steps in branches {
            let (events, visits) = (self.events.len(), self.visits.len());
            let end = self.flow(steps, started, Place { parent: Some(visit), iteration: None });
            flows.push((end, events..self.events.len(), visits..self.visits.len()));
        }
        self.join(visit, started, flows, None)
    }

    fn items(
        &mut self,
        name: &'static str,
        body: &[Step],
        n_items: u64,
        max_concurrency: usize,
        visit: usize,
        started: usize,
    ) -> End {
        // Slots that are taken: when each is freed, and by which event.
        let mut busy: Vec<(i64, usize)> = Vec::new();
        let mut flows = Vec::new();
        let limit = if max_concurrency == 0 { 40 } else { max_concurrency };
        for item in 0..n_items {
            let freed = if busy.len() < limit {
                started
            } else {
                let slot = (0..busy.len()).min_by_key(|&it| busy[it]).unwrap_or(0);
                busy.swap_remove(slot).1
            };
            let (events, visits) = (self.events.len(), self.visits.len());
            let (delay, category) =
                if freed == started { (self.little(2), "overhead") } else { (self.little(1), "slot_wait") };
            let at = self.events[freed].at + delay;
            let begun = self.emit(at, "MapIterationStarted", Some(freed), Some(freed), Some(visit), category);
            (self.events[begun].name, self.events[begun].number) = (Some(name), Some(item));
            let iteration = u32::try_from(item).ok();
            let end = match self.flow(body, begun, Place { parent: Some(visit), iteration }) {
                End::Done(last) => {
                    busy.push((self.events[last].at, last));
                    let at = self.events[last].at;
                    let done = self.emit(at, "MapIterationSucceeded", Some(last), Some(last), Some(visit), "overhead");
                    (self.events[done].name, self.events[done].number) = (Some(name), Some(item));
                    End::Done(done)
                }
                failed @ End::Failed { event, .. } => {
                    busy.push((self.events[event].at, event));
                    failed
                }
            };
            flows.push((end, events..self.events.len(), visits..self.visits.len()));
        }
        self.join(visit, started, flows, Some(name))
    }

    /// The end of a round: that of the last flow, or the first failure, which cuts the others off.
    fn join(
        &mut self,
        container: usize,
        started: usize,
        flows: Vec<(End, std::ops::Range<usize>, std::ops::Range<usize>)>,
        map: Option<&'static str>,
    ) -> End {
        let failure = flows
            .iter()
            .enumerate()
            .filter_map(|(index, (end, ..))| match end {
                End::Failed { event, .. } => Some((self.events[*event].at, *event, index)),
                End::Done(_) => None,
            })
            .min();
        let Some((failed_at, failed_event, failed_flow)) = failure else {
            let ends = flows.iter().filter_map(|(end, ..)| match end {
                End::Done(event) => Some((self.events[*event].at, *event)),
                End::Failed { .. } => None,
            });
            let last = ends.max().map_or(started, |it| it.1);
            return End::Done(last);
        };
        for (index, (_, events, visits)) in flows.iter().enumerate() {
            if index != failed_flow {
                self.cut_off(events.clone(), visits.clone(), failed_event);
            }
        }
        let End::Failed { error, visit, .. } =
            flows.into_iter().nth(failed_flow).map(|it| it.0).unwrap_or(End::Done(started))
        else {
            return End::Done(started);
        };
        if self.visits[visit].end.is_none() {
            // A Fail state ends with the event that follows from it, in the same moment.
            self.visits[visit].end = Some((failed_at, "failed"));
        }
        if let Some(name) = map {
            let item = self.visits[visit].iteration;
            let item = self.item_of(visit, container).or(item);
            let event = self.emit(
                failed_at,
                "MapIterationFailed",
                Some(failed_event),
                Some(failed_event),
                Some(container),
                "overhead",
            );
            (self.events[event].name, self.events[event].number) = (Some(name), item.map(u64::from));
        }
        End::Failed { event: failed_event, error, visit }
    }

    /// The item of a Map that a visit runs in, at any depth.
    fn item_of(&self, visit: usize, map: usize) -> Option<u32> {
        let mut at = visit;
        while let Some(parent) = self.visits[at].parent {
            if parent == map {
                return self.visits[at].iteration;
            }
            at = parent;
        }
        None
    }

    /// Drops what would have happened after a failure elsewhere; what is open then is aborted, and said to be.
    fn cut_off(&mut self, events: std::ops::Range<usize>, visits: std::ops::Range<usize>, failure: usize) {
        let at = self.events[failure].at;
        for event in events {
            if (self.events[event].at, event) > (at, failure) && !self.events[event].dropped {
                self.events[event].dropped = true;
                let is_entry = self.events[event].kind.ends_with("StateEntered");
                if is_entry || self.is_retry(event) {
                    self.billed -= 1;
                }
            }
        }
        for visit in visits.rev() {
            if self.events[self.visits[visit].entry].dropped {
                continue;
            }
            let events = &self.events;
            let it = &mut self.visits[visit];
            let n_before = it.own.len();
            it.own.retain(|&event| !events[event].dropped);
            it.n_attempts = it.own.iter().filter(|&&event| events[event].kind.ends_with("Scheduled")).count();
            let was_open = it.own.len() < n_before || it.end.is_none_or(|(end, _)| end > at);
            if was_open {
                it.end = Some((at, "aborted"));
                self.emit_abort(visit, at, failure);
            }
        }
    }

    /// The clean-up event of a visit; it links to the failure, not to the visit.
    fn emit_abort(&mut self, visit: usize, at: i64, failure: usize) {
        let kind = match self.events[self.visits[visit].entry].kind {
            "TaskStateEntered" => "TaskStateAborted",
            "WaitStateEntered" => "WaitStateAborted",
            "ParallelStateEntered" => "ParallelStateAborted",
            "MapStateEntered" => "MapStateAborted",
            _ => return,
        };
        self.emit(at, kind, Some(failure), Some(failure), Some(visit), "overhead");
    }

    /// Whether an event is a second attempt or round of its visit, which was billed.
    fn is_retry(&self, event: usize) -> bool {
        let Some(visit) = self.events[event].owner else {
            return false;
        };
        let kind = self.events[event].kind;
        let counts = kind.ends_with("Scheduled") || matches!(kind, "MapStateStarted" | "ParallelStateStarted");
        counts && self.visits[visit].own.iter().find(|&&it| self.events[it].kind == kind) != Some(&event)
    }
}
