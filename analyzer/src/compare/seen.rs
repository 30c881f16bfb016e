//! What is kept of one execution to compare it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;

use rustc_hash::FxHashMap;

use super::{Comparison, Side};
use crate::execution::Run;
use crate::model::{Micros, Name, StateType, Timestamp};
use crate::timeline::Category;

/// A state, by its place in [`States`]: there are few of them, and many executions.
pub(super) type State = u32;

/// A part of an execution's wall time; the state is `None` for the execution's own.
pub(super) type Part = (Option<State>, Category);

/// The names of states.
#[derive(Debug, Default)]
pub(super) struct States {
    pub(super) ids: FxHashMap<Name, State>,
    names: Vec<Name>,
}

impl States {
    pub(super) fn id(&mut self, name: &Name) -> State {
        if let Some(&id) = self.ids.get(name) {
            return id;
        }
        let id = State::try_from(self.names.len()).unwrap_or(State::MAX);
        self.ids.insert(name.clone(), id);
        self.names.push(name.clone());
        id
    }

    pub(super) fn name(&self, id: State) -> &Name {
        &self.names[id as usize]
    }
}

/// A map of a few entries.
#[derive(Clone, Debug)]
pub(super) struct Few<K, V>(pub(super) Vec<(K, V)>);

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Copy + Eq, V: Copy + Default + AddAssign> Few<K, V> {
    pub(super) fn get(&self, key: K) -> Option<V> {
        self.0.iter().find(|it| it.0 == key).map(|it| it.1)
    }

    pub(super) fn add(&mut self, key: K, more: V) {
        match self.0.iter_mut().find(|it| it.0 == key) {
            Some(it) => it.1 += more,
            None => self.0.push((key, more)),
        }
    }
}

/// What is kept of one execution.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) arn: Name,
    pub(super) started_at: Timestamp,
    pub(super) duration: Micros,
    /// Where and with what it failed.
    pub(super) failure: Option<(Option<Name>, Name)>,
    pub(super) version: Option<Name>,
    pub(super) group: u32,
    pub(super) critical: Few<Part, i64>,
    /// Visits of each state that are on the path.
    pub(super) on_path: Few<State, u32>,
    /// Visits of each state, on the path or not.
    pub(super) visits: Few<State, u32>,
    /// Items of each Map, over all its rounds.
    pub(super) items: Few<State, u32>,
    /// The time of each state, on the path or not.
    pub(super) spans: Few<State, i64>,
    /// Branches that each Choice took.
    pub(super) choices: Vec<(State, State)>,
    pub(super) transitions: u64,
    /// Transitions that each state bills: its visits and retries.
    pub(super) billed: Few<State, u64>,
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
        let inside = run.timeline.inside_items();
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
            if visit.kind == StateType::Choice
                && let Some(next) = run.timeline.next_in_place(index)
            {
                let taken = (state, states[next]);
                // A way through a loop is one way, however often it is gone; inside items it is no way of the run.
                if !inside[index] && !choices.contains(&taken) {
                    way.extend([taken.0, taken.1]);
                }
                choices.push(taken);
            }
        }
        let next_group = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        let group = *self.groups.entry(way).or_insert(next_group);
        let failure = run.failure();
        let seen = Seen {
            arn: it.arn.clone(),
            started_at,
            duration,
            failure,
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
}
