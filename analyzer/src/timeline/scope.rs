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
    /// The event that says that an iteration has succeeded.
    pub(super) ended_by: Option<usize>,
    /// Some place, and nothing tells which: the event before is missing.
    pub(super) is_lost: bool,
}

impl Scope {
    pub(super) fn root() -> Self {
        Self {
            owner: None,
            branch: None,
            iteration: None,
            outer: None,
            open: None,
            last: None,
            ended_by: None,
            is_lost: false,
        }
    }

    pub(super) fn inside(owner: VisitIndex, round: u32, outer: ScopeIndex) -> Self {
        Self { owner: Some((owner, round)), outer: Some(outer), ..Self::root() }
    }
}

/// What the builder remembers of a visit beyond its result.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each says something of its own")]
pub(super) struct Progress {
    pub(super) scope: ScopeIndex,
    /// Indices of the visit's own first and last event.
    pub(super) first_event: usize,
    pub(super) last_event: usize,
    /// The visit's last attempt or round failed and nothing has followed yet.
    pub(super) failing: bool,
    /// A Parallel or Map whose current round has not ended.
    pub(super) round_open: bool,
    pub(super) branches: u32,
    pub(super) is_closed: bool,
    /// It stands for a state whose entry is missing: it keeps events together and is no part of the result.
    pub(super) is_hidden: bool,
    /// The run that it was entered in or, after a redrive, runs in.
    pub(super) run: u32,
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

    /// The Parallels and Maps around `scope`, innermost first.
    pub(super) fn owners(&self, scope: ScopeIndex) -> impl Iterator<Item = VisitIndex> + '_ {
        self.outwards(scope).filter_map(|it| self.scopes[it].owner.map(|it| it.0))
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
        !self.progress[visit].is_closed
    }

    pub(super) fn is_open_container(&self, visit: VisitIndex, kind: StateType) -> bool {
        self.visits[visit].kind == kind && self.is_open(visit) && self.progress[visit].round_open
    }

    /// Visits that are open, in the order of their entries.
    pub(super) fn open(&self) -> impl DoubleEndedIterator<Item = VisitIndex> + '_ {
        (0..self.visits.len()).filter(|&it| self.is_open(it))
    }

    /// The visit entered last that is open and has this name.
    pub(super) fn open_named(&self, name: &Name) -> Option<VisitIndex> {
        self.open().rfind(|&it| self.visits[it].state == *name)
    }

    /// The innermost iteration around `scope` of a Map with this name and index.
    pub(super) fn iteration_around(&self, scope: ScopeIndex, map: &Name, index: Option<u32>) -> Option<ScopeIndex> {
        self.outwards(scope).find(|&it| self.is_iteration(it, map, index))
    }

    pub(super) fn is_iteration(&self, scope: ScopeIndex, map: &Name, index: Option<u32>) -> bool {
        let here = &self.scopes[scope];
        here.iteration == index && here.owner.is_some_and(|(owner, _)| self.visits[owner].state == *map)
    }

    /// Whether `visit` runs inside `container`, at any depth.
    pub(super) fn is_inside(&self, visit: VisitIndex, container: VisitIndex) -> bool {
        self.owners(self.progress[visit].scope).any(|it| it == container)
    }

    /// Whether `visit` belongs to the newest round of every Parallel and Map around it.
    pub(super) fn is_of_newest_round(&self, visit: VisitIndex) -> bool {
        let mut around = self.outwards(self.progress[visit].scope).filter_map(|it| self.scopes[it].owner);
        around.all(|(owner, round)| self.visits[owner].rounds == round)
    }

    /// Says that a lost place is a branch or an iteration of a Parallel or Map. Nothing lies inside itself.
    pub(super) fn adopt(&mut self, scope: ScopeIndex, owner: VisitIndex, iteration: Option<u32>) -> bool {
        if self.outwards(self.progress[owner].scope).any(|it| it == scope) {
            return false;
        }
        let (round, outer) = (self.visits[owner].rounds, self.progress[owner].scope);
        let parent = Some(self.visits[owner].id);
        let here = &mut self.scopes[scope];
        *here = Scope { owner: Some((owner, round)), outer: Some(outer), iteration, is_lost: false, ..here.clone() };
        for visit in 0..self.visits.len() {
            if self.progress[visit].scope == scope {
                (self.visits[visit].parent, self.visits[visit].iteration) = (parent, iteration);
            }
        }
        true
    }
}
