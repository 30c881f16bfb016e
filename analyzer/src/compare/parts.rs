//! The difference of the means in parts that add up to it.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use super::seen::{Part, Seen, Spent, State};
use super::{Comparison, mean_of};
use crate::model::Name;
use crate::timeline::Category;

/// The parts of the difference of the means, in microseconds.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) time: BTreeMap<Part, f64>,
    pub(super) mix: BTreeMap<Option<State>, f64>,
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
                *it.on_path.entry(*state).or_default() += *count as f64;
                *it.present.entry(*state).or_default() += 1.0;
            }
            for (state, count) in &seen.visits.0 {
                *it.visits.entry(*state).or_default() += *count as f64;
            }
            for (map, count) in &seen.items.0 {
                *it.items.entry(*map).or_default() += *count as f64;
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

impl Comparison {
    #[expect(clippy::cast_precision_loss, reason = "means")]
    pub(super) fn decomposed(&self) -> Parts {
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
                    *parts.time.entry((map, Spent::On(Category::SlotWait))).or_default() += weight * fewer_slots;
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
            for (branch, times) in side.iter().flat_map(|it| &it.choices) {
                *taken.entry(*branch).or_default() += times;
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
}
