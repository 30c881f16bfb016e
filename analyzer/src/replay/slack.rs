//! By how much could a visit take longer without the end of its run being later?

use std::cell::OnceCell;

use super::Replay;
use super::program::{Program, States};
use crate::model::{Micros, StateType};
use crate::timeline::VisitStatus;

/// Steps of simulations that the slack inside one Map may cost.
const EFFORT: usize = 200_000;

/// By how much later a flow could end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    Known(Micros),
    /// Not known off the critical path; on it there is none.
    Unknown,
    /// Not even the path tells.
    Unknowable,
}

impl Room {
    fn known(self) -> Option<Micros> {
        match self {
            Self::Known(it) => Some(it),
            Self::Unknown | Self::Unknowable => None,
        }
    }
}

struct Rooms {
    of_flow: Vec<Room>,
    /// Compiled when it is needed first; `None` where it cannot be.
    program: OnceCell<Option<Program>>,
}

impl Rooms {
    /// Items that wait for one another: by simulation, unless that would take too long.
    fn of_items(&mut self, replay: &Replay<'_>, items: &[usize]) {
        let program = self.program.get_or_init(|| Program::of(replay, &mut States::default()));
        for program in program.iter().filter(|it| it.len() * items.len() <= EFFORT) {
            for &flow in items {
                self.of_flow[flow] = program.room(flow).map_or(Room::Unknowable, Room::Known);
            }
        }
    }
}

impl Replay<'_> {
    /// By how much each visit could take longer without the end being later; `None` where that is not known: off the path
    /// inside a round that failed, and in a long Map, or one that failed, whose items wait for one another.
    pub fn slack(&self) -> Vec<Option<Micros>> {
        let mut rooms = Rooms { of_flow: vec![Room::Unknown; self.flows.len()], program: OnceCell::new() };
        rooms.of_flow[0] = Room::Known(Micros::ZERO);
        let mut slack = Vec::with_capacity(self.run.timeline.visits.len());
        // Visits come in the order of their entries, so a container's slack is known before that of what is inside.
        for visit in 0..self.run.timeline.visits.len() {
            let own = rooms.of_flow[self.flow_of_visit(visit)];
            slack.push(own);
            let n_rounds = self.rounds.get(&visit).map_or(0, Vec::len);
            for (round, is_last) in (1..).zip((1..=n_rounds).map(|it| it == n_rounds)) {
                if let Some(flows) = self.inside.get(&(visit, round)) {
                    self.rooms_of_round((visit, round), is_last, flows, own, &mut rooms);
                }
            }
        }
        for step in self.run.path.iter().filter(|it| it.span() > Micros::ZERO) {
            if let Some(owner) = step.owner.filter(|&it| slack[it] == Room::Unknown) {
                slack[owner] = Room::Known(Micros::ZERO);
            }
        }
        slack.into_iter().map(Room::known).collect()
    }

    fn rooms_of_round(
        &self,
        (visit, round): (usize, u32),
        is_last: bool,
        flows: &[usize],
        own: Room,
        rooms: &mut Rooms,
    ) {
        let it = &self.run.timeline.visits[visit];
        let started = self.started_of(visit, round);
        let shares_slots = it.kind == StateType::Map && started.is_some_and(|it| self.slots(flows, it).limit.is_some());
        let succeeded = is_last && it.status == VisitStatus::Succeeded;
        for &flow in flows {
            rooms.of_flow[flow] = match own {
                // One item on the path may have room, where another one frees a slot at the same moment.
                _ if shares_slots => Room::Unknowable,
                Room::Known(own) if succeeded => {
                    let latest = self.last_end(flows).unwrap_or_default();
                    Room::Known(latest - self.at(self.end_of(flow)) + own)
                }
                Room::Known(Micros::ZERO) | Room::Unknown => Room::Unknown,
                Room::Known(_) | Room::Unknowable => Room::Unknowable,
            };
        }
        if shares_slots && succeeded && matches!(own, Room::Known(_)) {
            rooms.of_items(self, flows);
        }
    }
}
