//! Which states of a definition stand below which: its edges, those of them that lead back, and every state's layer.

use std::collections::{BTreeSet, HashMap};

use analyzer::asl::StateMachine;
use analyzer::model::Name;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) is_catch: bool,
}

/// Where each state leads; the number of a state is its place in the definition.
pub(super) fn edges_of(machine: &StateMachine, number: &HashMap<&Name, usize>) -> Vec<Edge> {
    let mut edges: Vec<Edge> = Vec::new();
    for (from, state) in machine.states.iter().enumerate() {
        let plain = state.choices.iter().chain(state.next.iter()).map(|it| (it, false));
        let caught = state.catch.iter().filter_map(|it| it.next.as_ref()).map(|it| (it, true));
        for (target, is_catch) in plain.chain(caught) {
            let Some(&to) = number.get(target) else { continue };
            if !edges.iter().any(|it| it.from == from && it.to == to) {
                edges.push(Edge { from, to, is_catch });
            }
        }
    }
    edges
}

/// Edges that lead to a state that is on the way to them.
pub(super) fn back_edges(n_states: usize, start: usize, edges: &[Edge]) -> BTreeSet<(usize, usize)> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        No,
        Open,
        Done,
    }
    let mut next: Vec<Vec<usize>> = vec![Vec::new(); n_states];
    for it in edges {
        next[it.from].push(it.to);
    }
    let mut seen = vec![Seen::No; n_states];
    let mut back = BTreeSet::new();
    let roots = std::iter::once(start).chain(0..n_states).filter(|it| *it < n_states);
    for root in roots {
        // A state, and which of its edges comes next.
        let mut open = Vec::new();
        if seen[root] == Seen::No {
            seen[root] = Seen::Open;
            open.push((root, 0));
        }
        while let Some((state, edge)) = open.last_mut() {
            let Some(&to) = next[*state].get(*edge) else {
                seen[*state] = Seen::Done;
                open.pop();
                continue;
            };
            *edge += 1;
            match seen[to] {
                Seen::No => {
                    seen[to] = Seen::Open;
                    open.push((to, 0));
                }
                Seen::Open => {
                    back.insert((*state, to));
                }
                Seen::Done => {}
            }
        }
    }
    back
}

/// Each state below everything that leads to it.
pub(super) fn ranks(n_states: usize, edges: &[Edge]) -> Vec<usize> {
    let mut n_before = vec![0; n_states];
    for it in edges {
        n_before[it.to] += 1;
    }
    let mut ranks = vec![0; n_states];
    let mut ready: Vec<usize> = (0..n_states).filter(|it| n_before[*it] == 0).collect();
    while let Some(state) = ready.pop() {
        for it in edges.iter().filter(|it| it.from == state) {
            ranks[it.to] = ranks[it.to].max(ranks[state] + 1);
            n_before[it.to] -= 1;
            if n_before[it.to] == 0 {
                ready.push(it.to);
            }
        }
    }
    ranks
}
