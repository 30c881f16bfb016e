//! The places in which states run one after the other: the root, a branch of a Parallel, an iteration of a Map.

use crate::model::{Name, StateType};
use crate::timeline::Visit;

/// An index into the scopes of one execution; the root is 0.
pub(super) type ScopeIndex = usize;
/// An index into the visits of one execution.
pub(super) type VisitIndex = usize;

/// A place in which at most one visit is open at a time.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// The Parallel or Map this is a branch or iteration of, and its round.
    pub(super) owner: Option<(VisitIndex, u32)>,
    pub(super) branch: Option<u32>,
    pub(super) iteration: Option<u32>,
    /// The scope in which the owner was entered.
    pub(super) outer: Option<ScopeIndex>,
    pub(super) open: Option<VisitIndex>,
    /// The visit entered last, open or not.
    pub(super) last: Option<VisitIndex>,
}

impl Scope {
    pub(super) fn root() -> Self {
        Self { owner: None, branch: None, iteration: None, outer: None, open: None, last: None }
    }

    pub(super) fn inside(owner: VisitIndex, round: u32, outer: ScopeIndex) -> Self {
        Self { owner: Some((owner, round)), outer: Some(outer), ..Self::root() }
    }
}

/// What the builder remembers of a visit beyond its result.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    pub(super) scope: ScopeIndex,
    /// Index of the visit's own last event.
    pub(super) last_event: usize,
    /// The visit's last attempt or round failed and nothing has followed yet.
    pub(super) failing: bool,
    /// A Parallel or Map whose current round has not ended.
    pub(super) round_open: bool,
    pub(super) branches: u32,
}

/// The visits and scopes as far as they are known.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) scopes: Vec<Scope>,
    pub(super) visits: Vec<Visit>,
    pub(super) progress: Vec<Progress>,
}

impl Places {
    /// The root, with room for as many visits as so many events usually tell of.
    pub(super) fn for_events(n_events: usize) -> Self {
        let n_visits = n_events / 4 + 2;
        Self {
            scopes: vec![Scope::root()],
            visits: Vec::with_capacity(n_visits),
            progress: Vec::with_capacity(n_visits),
        }
    }

    /// `scope` and the scopes around it, innermost first.
    pub(super) fn outwards(&self, scope: ScopeIndex) -> impl Iterator<Item = ScopeIndex> + '_ {
        std::iter::successors(Some(scope), |&scope| self.scopes[scope].outer)
    }

    /// The innermost visit around (or open in) `scope` that satisfies `wanted`.
    pub(super) fn enclosing(&self, scope: ScopeIndex, wanted: impl Fn(VisitIndex) -> bool) -> Option<VisitIndex> {
        self.outwards(scope).find_map(|scope| {
            let here = &self.scopes[scope];
            here.open
                .filter(|&visit| wanted(visit))
                .or_else(|| here.owner.map(|(visit, _)| visit).filter(|&visit| wanted(visit)))
        })
    }

    pub(super) fn is_open(&self, visit: VisitIndex) -> bool {
        self.visits[visit].exited_at.is_none()
    }

    pub(super) fn is_open_container(&self, visit: VisitIndex, kind: StateType) -> bool {
        self.visits[visit].kind == kind && self.is_open(visit) && self.progress[visit].round_open
    }

    /// The visit entered last that is open and has this name.
    pub(super) fn open_named(&self, name: &Name) -> Option<VisitIndex> {
        (0..self.visits.len()).rev().find(|&visit| self.is_open(visit) && self.visits[visit].state == *name)
    }

    /// The iteration of a Map's current round with this index.
    pub(super) fn iteration(&self, map: VisitIndex, index: u32) -> Option<ScopeIndex> {
        let round = self.visits[map].rounds;
        (0..self.scopes.len()).rev().find(|&scope| {
            self.scopes[scope].owner == Some((map, round)) && self.scopes[scope].iteration == Some(index)
        })
    }

    /// Whether `visit` runs inside `container`, at any depth.
    pub(super) fn is_inside(&self, visit: VisitIndex, container: VisitIndex) -> bool {
        self.outwards(self.progress[visit].scope)
            .any(|scope| self.scopes[scope].owner.is_some_and(|(it, _)| it == container))
    }
}
