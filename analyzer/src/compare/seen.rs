//! What is kept of one execution to compare it.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::{Comparison, Side};
use crate::digest::{Digest, StateSums};
use crate::model::{Micros, Name, Timestamp};
use crate::timeline::Category;

/// A state, by its place in [`States`]: there are few of them, and many executions.
pub(super) type State = u32;

/// A part of an execution's wall time; the state is `None` for the execution's own.
pub(super) type Part = (Option<State>, Spent);

/// What time was spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Spent {
    On(Category),
    ColdStart,
}

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

impl<K: Copy + Eq, V: Copy> Few<K, V> {
    pub(super) fn get(&self, key: K) -> Option<V> {
        self.0.iter().find(|it| it.0 == key).map(|it| it.1)
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
    /// Of each state's work on the path, where it is known.
    pub(super) cold_starts: Few<State, i64>,
    /// Visits of each state that are on the path.
    pub(super) on_path: Few<State, u64>,
    /// Visits of each state, on the path or not.
    pub(super) visits: Few<State, u64>,
    /// Items of each Map, over all its rounds.
    pub(super) items: Few<State, u64>,
    /// The time of each state, on the path or not.
    pub(super) spans: Few<State, i64>,
    /// Where Choices led, and how often.
    pub(super) choices: Vec<((State, State), u64)>,
    pub(super) transitions: u64,
    /// Transitions that each state bills: its visits and retries.
    pub(super) billed: Few<State, u64>,
}

impl Comparison {
    /// Takes an execution in.
    pub fn add(&mut self, it: &Digest, side: Side) {
        let mut seen = Seen {
            arn: it.arn.clone(),
            started_at: it.started_at,
            duration: it.duration,
            failure: it.failure(),
            version: it.version_arn.clone(),
            group: 0,
            cold_starts: Few::default(),
            critical: Few(it.sums.own.iter().map(|(category, time)| ((None, Spent::On(*category)), time.0)).collect()),
            on_path: Few::default(),
            visits: Few::default(),
            items: Few::default(),
            spans: Few::default(),
            choices: Vec::new(),
            transitions: it.transitions,
            billed: Few::default(),
        };
        for own in &it.sums.states {
            self.add_state(own, &mut seen);
        }
        let mut way: Vec<State> = Vec::new();
        for it in &it.sums.branches {
            let (choice, next) = (self.states.id(&it.choice), self.states.id(&it.next));
            seen.choices.push(((choice, next), it.times));
            // What happens inside items is no way of the run.
            if !it.is_inside_items {
                way.extend([choice, next]);
            }
        }
        let next_group = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        seen.group = *self.groups.entry(way).or_insert(next_group);
        match side {
            Side::Baseline => self.baseline.push(seen),
            Side::Incident => self.incident.push(seen),
        }
    }

    /// Takes a closed execution in of which only the duration and the outcome are known.
    pub fn add_partial(&mut self, duration: Micros, has_failed: bool, side: Side) {
        self.partial[side as usize].push((duration, has_failed));
    }

    fn add_state(&mut self, it: &StateSums, seen: &mut Seen) {
        let state = self.states.id(&it.state);
        seen.critical
            .0
            .extend(it.critical.iter().map(|(category, time)| ((Some(state), Spent::On(*category)), time.0)));
        seen.cold_starts.0.extend(it.cold_start.map(|time| (state, time.0)));
        if it.on_path > 0 {
            seen.on_path.0.push((state, it.on_path));
        }
        seen.visits.0.push((state, it.visits));
        seen.billed.0.push((state, it.visits + it.retries));
        seen.spans.0.push((state, it.span.0));
        if it.items > 0 {
            seen.items.0.push((state, it.items));
        }
        if it.kind.is_container() {
            self.containers.insert(state);
        }
        if let Some(map) = &it.map {
            let map = self.states.id(map);
            self.maps.entry(state).or_insert(map);
        }
    }

    /// Takes cold starts out of the work of those states of which they are known in every execution.
    pub(super) fn split_cold_starts(&mut self) {
        let runs = || self.baseline.iter().chain(&self.incident);
        let mut states: BTreeSet<State> = runs().flat_map(|it| it.cold_starts.0.iter().map(|it| it.0)).collect();
        let work = |state: State| (Some(state), Spent::On(Category::Work));
        let is_known =
            |it: &Seen, state: State| it.critical.get(work(state)).is_none() || it.cold_starts.get(state).is_some();
        states.retain(|&state| runs().all(|it| is_known(it, state)));
        for seen in self.baseline.iter_mut().chain(&mut self.incident) {
            for (state, cold) in std::mem::take(&mut seen.cold_starts).0.into_iter().filter(|it| states.contains(&it.0))
            {
                if let Some((_, time)) = seen.critical.0.iter_mut().find(|it| it.0 == work(state)) {
                    *time -= cold;
                    seen.critical.0.push(((Some(state), Spent::ColdStart), cold));
                }
            }
        }
    }
}
