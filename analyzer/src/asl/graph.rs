//! The ways through a machine: who leads to whom, what can be reached, what goes in circles.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use super::{State, StateMachine};
use crate::model::Name;

/// The states of one level and the ways between them.
pub struct Graph<'a> {
    start: &'a Name,
    by_name: HashMap<&'a str, &'a State>,
    before: HashMap<&'a str, Vec<&'a State>>,
}

impl<'a> Graph<'a> {
    pub fn of(machine: &'a StateMachine) -> Self {
        let mut by_name = HashMap::new();
        let mut before: HashMap<&str, Vec<&State>> = HashMap::new();
        for state in &machine.states {
            by_name.entry(&*state.name).or_insert(state);
            for target in state.targets().collect::<BTreeSet<_>>() {
                before.entry(target).or_default().push(state);
            }
        }
        Self { start: &machine.start_at, by_name, before }
    }

    pub fn state(&self, name: &str) -> Option<&'a State> {
        self.by_name.get(name).copied()
    }

    /// The states that lead to one.
    pub fn before(&self, name: &str) -> &[&'a State] {
        self.before.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The states that a way leads to from the start; `None` where a way is filled in at deployment.
    pub fn reachable(&self) -> Option<HashSet<&'a str>> {
        let mut seen: HashSet<&str> = HashSet::new();
        let mut waiting: Vec<&'a Name> = vec![self.start];
        while let Some(name) = waiting.pop() {
            if name.contains("${") {
                return None;
            }
            if let Some(state) = self.state(name).filter(|_| seen.insert(name)) {
                waiting.extend(state.targets());
            }
        }
        Some(seen)
    }

    /// Whether a state does nothing that its predecessors could not do by leading on: a Choice or a Catch cannot end the way.
    pub fn can_go(&self, state: &State) -> bool {
        !state.end || self.before(&state.name).iter().all(|it| it.next.as_ref() == Some(&state.name))
    }

    /// The shortest circle from a state back to itself.
    pub fn circle(&self, state: &'a State) -> Option<Vec<&'a State>> {
        let mut from: HashMap<&str, &'a State> = HashMap::new();
        let mut waiting = VecDeque::from([state]);
        while let Some(at) = waiting.pop_front() {
            for target in at.targets() {
                if *target == state.name {
                    let mut way = vec![at];
                    while let Some(earlier) =
                        from.get(&*way[way.len() - 1].name).filter(|_| way[way.len() - 1].name != state.name)
                    {
                        way.push(earlier);
                    }
                    way.reverse();
                    return Some(way);
                }
                if let Some(next) = self.state(target).filter(|it| !from.contains_key(&*it.name)) {
                    from.insert(&next.name, at);
                    waiting.push_back(next);
                }
            }
        }
        None
    }

    /// The states that lie on circles: every one that is left when those without a way in or out are taken away, again and
    /// again. Takes the time of a walk; [`Graph::circle`] then looks at few.
    pub fn on_circles(&self) -> HashSet<&'a str> {
        let mut left: HashSet<&str> = self.by_name.keys().copied().collect();
        let is_left = |it: &str, left: &HashSet<&str>| left.contains(it);
        for forwards in [true, false] {
            let degree = |it: &State, left: &HashSet<&str>| {
                if forwards {
                    it.targets().collect::<BTreeSet<_>>().into_iter().filter(|it| is_left(it, left)).count()
                } else {
                    self.before(&it.name).iter().filter(|it| is_left(&it.name, left)).count()
                }
            };
            let mut degrees: HashMap<&str, usize> =
                left.iter().map(|it| (*it, degree(self.by_name[it], &left))).collect();
            let mut waiting: Vec<&str> = degrees.iter().filter(|it| *it.1 == 0).map(|it| *it.0).collect();
            while let Some(name) = waiting.pop() {
                left.remove(name);
                let state = self.by_name[name];
                let beside: Vec<&str> = if forwards {
                    self.before(name).iter().map(|it| &*it.name).collect()
                } else {
                    state.targets().collect::<BTreeSet<_>>().into_iter().map(|it| &**it).collect()
                };
                for it in beside {
                    if let Some(degree) = degrees.get_mut(it).filter(|degree| **degree > 0) {
                        *degree -= 1;
                        if *degree == 0 {
                            waiting.push(it);
                        }
                    }
                }
            }
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_are_found_and_lines_are_none() {
        let text = r#"{"StartAt":"A","States":{
            "A":{"Type":"Pass","Next":"W"},"W":{"Type":"Wait","Seconds":1,"Next":"T"},"T":{"Type":"Pass","Next":"C"},
            "C":{"Type":"Choice","Choices":[{"Variable":"$.a","IsNull":true,"Next":"W"}],"Default":"E"},"E":{"Type":"Succeed"}}}"#;
        let machine = StateMachine::parse(text).expect("a definition");
        let graph = Graph::of(&machine);
        let mut left: Vec<&str> = graph.on_circles().into_iter().collect();
        left.sort_unstable();
        assert_eq!(left, ["C", "T", "W"]);
        let circle = graph.circle(graph.state("W").expect("it")).expect("a circle");
        assert_eq!(circle.iter().map(|it| &*it.name).collect::<Vec<_>>(), ["W", "T", "C"]);
        assert!(graph.circle(graph.state("A").expect("it")).is_none());
        assert_eq!(graph.reachable().map(|it| it.len()), Some(5));
    }
}
