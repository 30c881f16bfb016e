//! Which parts of a Standard machine would be cheaper as Express children?
//!
//! A part can be moved when it has one way in and one way out, because one Task calls it, and when nothing in it needs
//! Standard. Within one list of states (the outermost, a branch, a Map's processor) every such region is the closure
//! of its entry up to its exit. Lists nest, so the best choice of a list is known before that of the list around it;
//! in one list, the best set of disjoint regions is found exactly, state by state.
//!
//! What a region saves is measured, not estimated from means: its transitions in each recorded run, less two for each
//! call (the calling Task, and the Choice that reads the child's status), less what the child would be billed for
//! each call's own duration. Logs of the child are not in it: Express has no history without them.
//!
//! Source of the regions: Johnson, Pearson and Pingali, "The Program Structure Tree", PLDI 1994.

mod split;

use std::collections::{BTreeMap, HashMap};

use crate::asl::{ProcessorMode, State, StateMachine};
use crate::eligibility::{EXPRESS_LIMIT, blocking_call};
use crate::execution::Run;
use crate::model::{GbMillis, Micros, Name, StateType, Usd};
use crate::pricing::billed_ms;
use crate::projection::interval_of_sum;
use crate::timeline::Visit;

pub use split::{child_parameter, split};

/// Transitions of the parent for each call of a child.
const TRANSITIONS_A_CALL: u64 = 2;
/// Lists with more states than fit a mask are left alone.
const MOST_STATES: usize = 128;

/// What the parts are priced with: list prices, the first Express tier.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    pub per_transition: Usd,
    pub per_request: Usd,
    pub per_gb_second: Usd,
    /// Billed memory of a child.
    pub memory_mb: u64,
}

/// Where a visit happens: its parent, branch and iteration.
type Scope = (Option<u64>, Option<u32>, Option<u32>);

/// A part that could be an Express child, and what it did in the recorded runs.
#[derive(Clone, Debug)]
pub struct Region {
    pub entry: Name,
    /// In the order of the definition, without what is inside Parallels and Maps.
    pub states: Vec<Name>,
    /// The state that follows; `None` where the list ends.
    pub exit: Option<Name>,
    pub calls: u64,
    pub transitions: u64,
    pub longest: Micros,
    memory_time: GbMillis,
    /// Calls, transitions and memory-time by day of start.
    days: BTreeMap<i64, (u64, u64, GbMillis)>,
}

impl Region {
    /// What moving it would have saved; negative where it would have cost more.
    pub fn saves(&self, rates: &Rates) -> Usd {
        saved(rates, (self.calls, self.transitions, self.memory_time))
    }

    /// In what range that lies, judging by how days differ; `None` with fewer than three.
    pub fn saves_between(&self, rates: &Rates) -> Option<(Usd, Usd)> {
        let (first, last) = (self.days.keys().next()?, self.days.keys().next_back()?);
        let day = |it: i64| self.days.get(&it).map_or(Usd::ZERO, |it| saved(rates, *it));
        let days: Vec<Usd> = (*first..=*last).map(day).collect();
        interval_of_sum(&days, days.len())
    }
}

fn saved(rates: &Rates, (calls, transitions, memory_time): (u64, u64, GbMillis)) -> Usd {
    let before = rates.per_transition * transitions;
    let calls = rates.per_transition * (calls * TRANSITIONS_A_CALL) + rates.per_request * calls;
    before - calls - rates.per_gb_second.scaled(memory_time.0, 1_024_000)
}

/// One list of states, with what it is inside of.
struct List<'a> {
    machine: &'a StateMachine,
    /// The Parallel or Map around it.
    owner: Option<&'a Name>,
    regions: Vec<(Region, u128)>,
}

/// The parts of a machine that could be moved, filled with measured runs.
pub struct Hybrid<'a> {
    lists: Vec<List<'a>>,
    /// The list of each state.
    list_of: HashMap<&'a Name, usize>,
    rates: Rates,
    runs: u64,
}

impl<'a> Hybrid<'a> {
    pub fn new(machine: &'a StateMachine, rates: Rates) -> Self {
        let mut lists = Vec::new();
        collect(machine, None, &mut lists);
        let mut list_of = HashMap::new();
        for (index, list) in lists.iter().enumerate() {
            list_of.extend(list.machine.states.iter().map(|it| (&it.name, index)));
        }
        Self { lists, list_of, rates, runs: 0 }
    }

    /// Takes a closed and complete run in; others are left out.
    pub fn add(&mut self, run: &Run) {
        if !run.execution.complete {
            return;
        }
        self.runs += 1;
        let day = run.execution.started_at.map_or(0, |it| it.0.div_euclid(86_400_000_000));
        let visits = &run.timeline.visits;
        let places: HashMap<u64, usize> = visits.iter().enumerate().map(|(index, it)| (it.id, index)).collect();
        // Visits come in the order of their entries, so what is inside comes after what is around it.
        let mut transitions: Vec<u64> = visits.iter().map(Visit::transitions).collect();
        for (index, visit) in visits.iter().enumerate().rev() {
            if let Some(parent) = visit.parent.and_then(|it| places.get(&it)) {
                transitions[*parent] += transitions[index];
            }
        }
        let mut scopes: BTreeMap<Scope, Vec<usize>> = BTreeMap::new();
        for (index, visit) in visits.iter().enumerate() {
            scopes.entry((visit.parent, visit.branch, visit.iteration)).or_default().push(index);
        }
        for scope in scopes.values() {
            let Some(&list) = self.list_of.get(&visits[scope[0]].state) else { continue };
            let list = &mut self.lists[list];
            let bits: Vec<u128> = scope.iter().map(|&it| bit(list.machine, &visits[it].state)).collect();
            for (region, mask) in &mut list.regions {
                let mut at = 0;
                while at < scope.len() {
                    let end = (at..scope.len()).find(|&it| bits[it] & *mask == 0).unwrap_or(scope.len());
                    if end > at {
                        let (entered, left) = (&visits[scope[at]], &visits[scope[end - 1]]);
                        let span = left
                            .exited_at
                            .map_or(Micros::ZERO, |it| run.timeline.active_between(entered.entered_at, it));
                        let n = scope[at..end].iter().map(|&it| transitions[it]).sum::<u64>();
                        let memory_time = GbMillis::of(self.rates.memory_mb, billed_ms(span));
                        region.calls += 1;
                        region.transitions += n;
                        region.longest = region.longest.max(span);
                        region.memory_time += memory_time;
                        let sums = region.days.entry(day).or_default();
                        *sums = (sums.0 + 1, sums.1 + n, sums.2 + memory_time);
                    }
                    at = end + 1;
                }
            }
        }
    }

    /// The set of parts that saves most: disjoint, and none inside another. Empty where nothing saves anything.
    pub fn best(&self) -> Vec<Region> {
        self.best_of(0).1
    }

    fn best_of(&self, index: usize) -> (Usd, Vec<Region>) {
        let list = &self.lists[index];
        let n_states = list.machine.states.len();
        // What the lists inside each state save when the state itself stays.
        let mut inside: Vec<(Usd, Vec<Region>)> = vec![(Usd::ZERO, Vec::new()); n_states];
        for (inner, it) in self.lists.iter().enumerate().filter(|(_, it)| it.owner.is_some()) {
            let place = list.machine.states.iter().position(|state| Some(&state.name) == it.owner);
            if let Some(place) = place {
                let (saves, regions) = self.best_of(inner);
                inside[place].0 += saves;
                inside[place].1.extend(regions);
            }
        }
        let weights: Vec<(u128, Usd)> = list
            .regions
            .iter()
            .map(|(it, mask)| {
                let feasible = it.calls > 0 && it.longest <= EXPRESS_LIMIT;
                let forgone: Usd = (0..n_states).filter(|&it| mask >> it & 1 == 1).map(|it| inside[it].0).sum();
                (*mask, if feasible { it.saves(&self.rates) - forgone } else { -Usd::from_atto(1) })
            })
            .collect();
        let chosen = heaviest_disjoint(&weights, n_states);
        let covered = chosen.iter().fold(0, |mask, &it| mask | weights[it].0);
        let mut regions: Vec<Region> = chosen.iter().map(|&it| list.regions[it].0.clone()).collect();
        for (place, it) in inside.into_iter().enumerate() {
            if covered >> place & 1 == 0 {
                regions.extend(it.1);
            }
        }
        (regions.iter().map(|it| it.saves(&self.rates)).sum(), regions)
    }

    pub fn runs(&self) -> u64 {
        self.runs
    }
}

fn collect<'a>(machine: &'a StateMachine, owner: Option<&'a Name>, lists: &mut Vec<List<'a>>) {
    lists.push(List { machine, owner, regions: regions(machine, owner.is_none()) });
    for state in machine.states.iter().filter(|it| it.processor != Some(ProcessorMode::Distributed)) {
        for inner in &state.inner {
            collect(inner, Some(&state.name), lists);
        }
    }
}

fn bit(machine: &StateMachine, state: &Name) -> u128 {
    machine.states.iter().position(|it| it.name == *state).map_or(0, |it| 1 << it)
}

/// Every part of a list with one way in and one way out in which nothing needs Standard.
fn regions(machine: &StateMachine, is_outermost: bool) -> Vec<(Region, u128)> {
    let states = &machine.states;
    let mut found: BTreeMap<u128, Region> = BTreeMap::new();
    if states.len() > MOST_STATES {
        return Vec::new();
    }
    let exits = states.iter().map(Some).chain([None]);
    for exit in exits {
        for entry in states.iter().filter(|it| Some(&it.name) != exit.map(|it| &it.name)) {
            let Some(mask) = closure(machine, entry, exit) else { continue };
            let is_whole = mask.count_ones() as usize == states.len();
            if (is_whole && is_outermost) || !has_one_way_in(machine, entry, mask) {
                continue;
            }
            let names = states.iter().enumerate().filter(|(it, _)| mask >> it & 1 == 1).map(|(_, it)| it.name.clone());
            found.entry(mask).or_insert_with(|| Region {
                entry: entry.name.clone(),
                states: names.collect(),
                exit: exit.map(|it| it.name.clone()),
                calls: 0,
                transitions: 0,
                longest: Micros::ZERO,
                memory_time: GbMillis(0),
                days: BTreeMap::new(),
            });
        }
    }
    found.into_iter().map(|(mask, region)| (region, mask)).collect()
}

/// Everything reachable from the entry before the exit; `None` where some of it needs Standard, leads nowhere, or ends
/// the list although an exit is given.
fn closure(machine: &StateMachine, entry: &State, exit: Option<&State>) -> Option<u128> {
    let mut mask = 0_u128;
    let mut reaches_exit = exit.is_none();
    let mut waiting = vec![entry];
    while let Some(state) = waiting.pop() {
        let own = bit(machine, &state.name);
        if mask & own != 0 {
            continue;
        }
        mask |= own;
        let ends = state.end || matches!(state.kind, Some(StateType::Succeed | StateType::Fail));
        if needs_standard(state) || (ends && exit.is_some()) {
            return None;
        }
        for target in state.targets() {
            if exit.is_some_and(|it| it.name == *target) {
                reaches_exit = true;
            } else {
                waiting.push(machine.state(target)?);
            }
        }
    }
    reaches_exit.then_some(mask)
}

fn needs_standard(state: &State) -> bool {
    let own = state.resource.as_deref().is_some_and(|it| blocking_call(it).is_some())
        || state.processor == Some(ProcessorMode::Distributed)
        || state.kind.is_none();
    own || state.inner.iter().flat_map(StateMachine::all_states).any(needs_standard)
}

fn has_one_way_in(machine: &StateMachine, entry: &State, mask: u128) -> bool {
    let inside = |name: &Name| mask & bit(machine, name) != 0;
    let outside = machine.states.iter().filter(|it| !inside(&it.name));
    let mut ways = outside.flat_map(State::targets).chain([&machine.start_at]);
    ways.all(|it| !inside(it) || *it == entry.name)
}

/// The indices of the disjoint sets whose weights add up to most. Exact: the first state is either left alone, or in one
/// of the sets that begin with it; what remains depends only on which later states are taken.
fn heaviest_disjoint(sets: &[(u128, Usd)], n_states: usize) -> Vec<usize> {
    let mut by_first: Vec<Vec<usize>> = vec![Vec::new(); n_states];
    for (index, (mask, weight)) in sets.iter().enumerate() {
        let first = mask.trailing_zeros() as usize;
        if *weight > Usd::ZERO && first < n_states {
            by_first[first].push(index);
        }
    }
    let mut search = Search { sets, by_first: &by_first, known: HashMap::new() };
    search.from(0, 0).1
}

struct Search<'a> {
    sets: &'a [(u128, Usd)],
    by_first: &'a [Vec<usize>],
    known: HashMap<(usize, u128), (Usd, Vec<usize>)>,
}

impl Search<'_> {
    fn from(&mut self, state: usize, taken: u128) -> (Usd, Vec<usize>) {
        if state >= self.by_first.len() {
            return (Usd::ZERO, Vec::new());
        }
        let key = (state, taken >> state);
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let mut best = self.from(state + 1, taken);
        if taken >> state & 1 == 0 {
            for &index in &self.by_first[state] {
                let (mask, weight) = self.sets[index];
                if mask & taken == 0 {
                    let (rest, mut chosen) = self.from(state + 1, taken | mask);
                    if weight + rest > best.0 {
                        chosen.insert(0, index);
                        best = (weight + rest, chosen);
                    }
                }
            }
        }
        self.known.insert(key, best.clone());
        best
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(super) const LINE: &str = r#"{"StartAt":"A","States":{
        "A":{"Type":"Pass","Next":"B"},
        "B":{"Type":"Choice","Choices":[{"Variable":"$.b","IsPresent":true,"Next":"C"}],"Default":"D"},
        "C":{"Type":"Pass","Next":"E"},"D":{"Type":"Pass","Next":"E"},
        "E":{"Type":"Task","Resource":"arn:aws:states:::glue:startJobRun.sync","Next":"F"},
        "F":{"Type":"Succeed"}}}"#;

    fn names(text: &str) -> Vec<String> {
        let machine = StateMachine::parse(text).expect("a definition");
        let mut all: Vec<String> = regions(&machine, true).iter().map(|it| it.0.states.join_names()).collect();
        all.sort();
        all
    }

    pub(super) trait Joined {
        fn join_names(&self) -> String;
    }

    impl Joined for Vec<Name> {
        fn join_names(&self) -> String {
            self.iter().map(Name::as_str).collect()
        }
    }

    #[test]
    fn regions_have_one_way_in_and_one_way_out_and_nothing_that_needs_standard() {
        assert_eq!(names(LINE), ["A", "ABCD", "BCD", "C", "D", "F"]);
    }

    /// Every subset of the sets, tried.
    fn brute_force(sets: &[(u128, Usd)]) -> Usd {
        let mut best = Usd::ZERO;
        for subset in 0..1_u32 << sets.len() {
            let chosen: Vec<&(u128, Usd)> =
                (0..sets.len()).filter(|it| subset >> it & 1 == 1).map(|it| &sets[it]).collect();
            let disjoint = chosen.iter().enumerate().all(|(a, x)| chosen[..a].iter().all(|y| x.0 & y.0 == 0));
            if disjoint {
                best = best.max(chosen.iter().map(|it| it.1).sum());
            }
        }
        best
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_choice_of_disjoint_sets_is_the_best_there_is(raw in prop::collection::vec((1_u128..1 << 10, -50_i128..100), 0..11)) {
            let sets: Vec<(u128, Usd)> = raw.into_iter().map(|(mask, weight)| (mask, Usd::from_atto(weight))).collect();
            let chosen = heaviest_disjoint(&sets, 10);
            let taken = chosen.iter().fold((0_u128, true), |(mask, ok), &it| (mask | sets[it].0, ok && mask & sets[it].0 == 0));
            prop_assert!(taken.1, "disjoint");
            prop_assert_eq!(chosen.iter().map(|&it| sets[it].1).sum::<Usd>(), brute_force(&sets));
        }
    }
}
