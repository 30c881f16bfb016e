//! A run in few numbers, to be run again under many scenarios.
//!
//! Which event waited for which, and what a Map's slots do not explain, does not depend on the scenario. It is worked out
//! once; what is left are spans to add up, the flows inside each Parallel and Map, and the points where those are waited
//! for. Only the end of the execution comes out, the same as that of [`Replay::simulate`].

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::recorded::Awaited;
use super::{Limits, Replay};
use crate::asl::SERVICE_LIMIT;
use crate::execution::Run;
use crate::model::{Micros, Name, StateType};
use crate::timeline::Category;
use crate::what_if::{Scenario, times};

/// Numbers for the names of states, shared by the programs of a machine.
#[derive(Clone, Debug, Default)]
pub struct States {
    numbers: HashMap<Name, usize>,
}

impl States {
    fn number(&mut self, state: &Name) -> usize {
        let next = self.numbers.len();
        *self.numbers.entry(state.clone()).or_insert(next)
    }

    /// A scenario in numbers.
    pub fn plan(&mut self, scenario: &Scenario) -> Plan {
        let mut changes: Vec<Change> = Vec::new();
        let mut of = |state: &Name| {
            let number = self.number(state);
            changes.resize(changes.len().max(number + 1), Change::default());
            number
        };
        let work: Vec<_> = scenario.work.iter().map(|(state, factor)| (of(state), *factor)).collect();
        let free: Vec<_> = scenario.free.iter().map(&mut of).collect();
        let concurrency: Vec<_> = scenario.concurrency.iter().map(|(state, limit)| (of(state), *limit)).collect();
        for (state, factor) in work {
            changes[state].work = Some(factor);
        }
        for state in free {
            changes[state].is_free = true;
        }
        for (state, limit) in concurrency {
            changes[state].limit = Some(if limit == 0 { SERVICE_LIMIT } else { limit });
        }
        Plan {
            changes,
            no_retries: scenario.no_retries,
            no_backoff: scenario.no_backoff,
            no_cold_starts: scenario.no_cold_starts,
            delay: None,
        }
    }
}

/// A scenario, by the numbers of states.
#[derive(Clone, Debug)]
pub struct Plan {
    changes: Vec<Change>,
    no_retries: bool,
    no_backoff: bool,
    no_cold_starts: bool,
    /// A flow that ends, and frees its slot, later by so much.
    delay: Option<(usize, Micros)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Change {
    work: Option<f64>,
    is_free: bool,
    limit: Option<usize>,
}

impl Plan {
    fn change(&self, state: Option<usize>) -> Change {
        state.and_then(|it| self.changes.get(it)).copied().unwrap_or_default()
    }

    fn scaled(&self, span: &Span) -> Micros {
        if (self.no_retries && span.is_repeated)
            || (self.no_backoff && span.category == Category::Backoff && span.state.is_some())
        {
            return Micros::ZERO;
        }
        let change = self.change(span.state);
        if change.is_free {
            return Micros::ZERO;
        }
        let length = if self.no_cold_starts && span.state.is_some() { span.length - span.cold } else { span.length };
        match change.work.filter(|_| span.category == Category::Work) {
            Some(factor) => times(length, factor),
            None => length,
        }
    }
}

/// One run, ready for any number of plans.
#[derive(Debug)]
pub struct Program {
    flows: Vec<Vec<Op>>,
    rounds: Vec<Round>,
    n_marks: usize,
    /// The mark of the closing event.
    end: usize,
    /// How long the execution really took.
    pub recorded: Micros,
    /// Attempts that are known to have waited for a function's initialisation.
    pub cold_starts: usize,
}

#[derive(Debug)]
enum Op {
    Span(Span),
    /// Everything inside a Parallel or Map, and what follows waits for.
    Round(usize),
    /// Here a moment is noted that something else waits for.
    Mark(usize),
}

#[derive(Debug)]
struct Span {
    state: Option<usize>,
    category: Category,
    /// It lies before the last attempt of its visit.
    is_repeated: bool,
    length: Micros,
    /// The part of it in which a function was initialised.
    cold: Micros,
}

#[derive(Debug)]
struct Round {
    owner: usize,
    /// `None` for a Parallel.
    slots: Option<Slots>,
    flows: Vec<Inside>,
    join: Join,
    /// What follows lies before the last round.
    is_repeated: bool,
}

#[derive(Debug)]
struct Slots {
    limit: Option<usize>,
}

#[derive(Debug)]
struct Inside {
    flow: usize,
    residual: Micros,
}

/// What the event after a round waits for.
#[derive(Clone, Copy, Debug)]
enum Join {
    Start,
    Flows,
    Mark(usize),
}

impl Program {
    /// The program of a run that the replay reproduces to the microsecond; `None` for any other.
    pub fn exact(run: &Run, limits: &Limits, states: &mut States) -> Option<Self> {
        let replay = Replay::with_limits(run, limits).filter(|it| it.error() == Some(Micros::ZERO))?;
        Self::of(&replay, states)
    }

    /// The program of a replay, with the states numbered; `None` where the recording does not tell enough.
    pub fn of(replay: &Replay<'_>, states: &mut States) -> Option<Self> {
        let numbers = replay.run.timeline.visits.iter().map(|it| states.number(&it.state)).collect();
        let mut compiler = Compiler { replay, numbers, marks: HashMap::new(), rounds: Vec::new() };
        compiler.marks.insert(replay.closing, 0);
        for flow in &replay.flows {
            for pair in flow.windows(2) {
                if let Awaited::Failure { event, .. } = replay.awaited(pair[1], pair[0])? {
                    let next = compiler.marks.len();
                    compiler.marks.entry(event).or_insert(next);
                }
            }
        }
        let flows: Option<Vec<Vec<Op>>> = (0..replay.flows.len()).map(|it| compiler.flow(it)).collect();
        let recorded = replay.run.execution.duration()?;
        Some(Self {
            flows: flows?,
            rounds: compiler.rounds,
            n_marks: compiler.marks.len(),
            end: 0,
            recorded,
            cold_starts: replay.n_cold_starts(),
        })
    }

    /// By how much a flow could end later without the end of the execution being later. The starts of a Map's items are
    /// monotone in every duration, so halving the interval finds it exactly.
    pub(super) fn room(&self, flow: usize) -> Option<Micros> {
        let mut plan = States::default().plan(&Scenario::default());
        let (mut low, mut high) = (Micros::ZERO, self.recorded + Micros(1));
        while high - low > Micros(1) {
            let middle = Micros(i64::midpoint(low.0, high.0));
            plan.delay = Some((flow, middle));
            if self.duration(&plan)? > self.recorded {
                high = middle;
            } else {
                low = middle;
            }
        }
        Some(low)
    }

    /// Spans and containers: what one simulation costs.
    pub(super) fn len(&self) -> usize {
        self.flows.iter().map(Vec::len).sum()
    }

    /// How long the execution takes under a plan.
    pub fn duration(&self, plan: &Plan) -> Option<Micros> {
        let mut simulation = Simulation { program: self, plan, marks: vec![None; self.n_marks] };
        simulation.flow(0, Micros::ZERO)?;
        simulation.marks[self.end]
    }
}

struct Compiler<'a, 'b> {
    replay: &'b Replay<'a>,
    /// The number of each visit's state.
    numbers: Vec<usize>,
    marks: HashMap<usize, usize>,
    rounds: Vec<Round>,
}

impl Compiler<'_, '_> {
    fn flow(&mut self, flow: usize) -> Option<Vec<Op>> {
        let replay = self.replay;
        let events = &replay.flows[flow];
        let mut ops: Vec<Op> = Vec::with_capacity(events.len());
        let around = replay.run.timeline.flows[flow].owner.map(|it| it.0);
        let is_item = around.is_some_and(|it| replay.run.timeline.visits[it].kind == StateType::Map);
        for (place, &event) in events.iter().enumerate() {
            let next = events.get(place + 1).copied();
            match (place, flow) {
                (0, 0) => {}
                // The slots decide when an item starts.
                (0, _) if is_item => {}
                (0, _) => ops.push(Op::Span(self.span(event, self.started_of(flow)?)?)),
                _ => ops.push(Op::Span(self.span(event, events[place - 1])?)),
            }
            ops.extend(self.marks.get(&event).map(|&it| Op::Mark(it)));
            if replay.kind(event).starts_round().is_some()
                && let Some(owner) = replay.run.timeline.links[event].owner
            {
                let round = self.round(event, owner, next)?;
                self.rounds.push(round);
                ops.push(Op::Round(self.rounds.len() - 1));
            }
        }
        Some(ops)
    }

    /// The event that starts the round a flow belongs to.
    fn started_of(&self, flow: usize) -> Option<usize> {
        let (owner, round) = self.replay.run.timeline.flows[flow].owner?;
        self.replay.started_of(owner, round)
    }

    fn span(&self, event: usize, previous: usize) -> Option<Span> {
        let replay = self.replay;
        let link = replay.run.timeline.links[event];
        let reached = match replay.awaited(event, previous)? {
            Awaited::Before => replay.at(previous),
            Awaited::Flows { flows, .. } => replay.last_end(flows)?,
            Awaited::Failure { event, .. } => replay.at(event),
        };
        Some(Span {
            state: link.owner.map(|it| self.numbers[it]),
            category: link.category,
            is_repeated: replay.is_repeated(event),
            length: Micros((replay.at(event) - reached).0.max(0)),
            cold: replay.cold_of(event),
        })
    }

    fn round(&self, started: usize, owner: usize, next: Option<usize>) -> Option<Round> {
        let replay = self.replay;
        let flows = replay.flows_of_round(started, owner);
        let join = match next.map(|it| replay.awaited(it, started)) {
            None => Join::Start,
            Some(awaited) => match awaited? {
                Awaited::Before => Join::Start,
                Awaited::Flows { .. } => Join::Flows,
                Awaited::Failure { event, .. } => Join::Mark(*self.marks.get(&event)?),
            },
        };
        let slots = (replay.run.timeline.visits[owner].kind == StateType::Map).then(|| replay.slots(flows, started));
        let residuals = slots.as_ref().map_or(&[][..], |it| it.residuals.as_slice());
        let inside = |(place, &flow): (usize, &usize)| Inside {
            flow,
            residual: residuals.get(place).copied().unwrap_or_default(),
        };
        Some(Round {
            owner: self.numbers[owner],
            flows: flows.iter().enumerate().map(inside).collect(),
            slots: slots.map(|it| Slots { limit: it.limit }),
            join,
            is_repeated: next.is_some_and(|it| replay.is_repeated(it)),
        })
    }
}

struct Simulation<'a> {
    program: &'a Program,
    plan: &'a Plan,
    marks: Vec<Option<Micros>>,
}

impl Simulation<'_> {
    /// When a flow that starts at a moment ends.
    fn flow(&mut self, flow: usize, start: Micros) -> Option<Micros> {
        let program = self.program;
        let mut at = start;
        for op in &program.flows[flow] {
            match op {
                Op::Span(span) => at += self.plan.scaled(span),
                Op::Mark(mark) => self.marks[*mark] = Some(at),
                Op::Round(round) => at = self.round(&program.rounds[*round], at)?,
            }
        }
        let delay = self.plan.delay.filter(|it| it.0 == flow).map_or(Micros::ZERO, |it| it.1);
        Some(at + delay)
    }

    /// Runs everything inside, and gives the moment that the next event waits for.
    fn round(&mut self, round: &Round, start: Micros) -> Option<Micros> {
        let change = self.plan.change(Some(round.owner));
        let mut last = start;
        match &round.slots {
            None => {
                for inside in &round.flows {
                    last = last.max(self.flow(inside.flow, start)?);
                }
            }
            Some(slots) => {
                let limit = change.limit.or(slots.limit).unwrap_or(usize::MAX);
                let mut busy: BinaryHeap<Reverse<Micros>> = BinaryHeap::new();
                for inside in &round.flows {
                    let freed = if busy.len() < limit { start } else { busy.pop().map_or(start, |it| it.0.max(start)) };
                    let begun = if change.is_free { freed } else { freed + inside.residual };
                    let ended = self.flow(inside.flow, begun)?;
                    last = last.max(ended);
                    busy.push(Reverse(ended));
                }
            }
        }
        if change.is_free || (self.plan.no_retries && round.is_repeated) {
            return Some(start);
        }
        match round.join {
            Join::Start => Some(start),
            Join::Flows => Some(last),
            Join::Mark(mark) => self.marks[mark],
        }
    }
}
