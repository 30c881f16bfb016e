//! Which lines does the chart of a run have?

use std::collections::{BTreeMap, HashMap};

use analyzer::critical_path::merged;
use analyzer::execution::Run;
use analyzer::model::{Micros, StateType, Timestamp};
use analyzer::timeline::Visit;

use super::Traced;

/// Items of a long Map that are shown, and from how many on it is long.
const FEW: usize = 3;
const LONG: usize = FEW + 3;
/// Spans that are shown of one visit.
const SHOWN_SPANS: usize = 12;
/// An item is an outlier from so many times the median on.
const OUTLIER: i64 = 3;

/// How much of a Parallel or Map is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    All,
    /// Of a long Map the items on the critical path and the longest ones.
    Few,
    None,
}

/// What is folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folds {
    of_long_maps: Shown,
    own: BTreeMap<u64, Shown>,
}

impl Folds {
    /// Everything is shown.
    pub fn nothing() -> Self {
        Self { of_long_maps: Shown::All, own: BTreeMap::new() }
    }

    /// Of Maps with more than a few items, a few are shown.
    pub fn long_maps() -> Self {
        Self { of_long_maps: Shown::Few, own: BTreeMap::new() }
    }

    /// Shows the next amount of a container with so many items.
    pub fn turn(&mut self, visit: u64, n_items: usize) {
        let next = match self.of(visit, n_items) {
            Shown::All => Shown::None,
            Shown::None if n_items >= LONG => Shown::Few,
            Shown::Few | Shown::None => Shown::All,
        };
        self.own.insert(visit, next);
    }

    fn of(&self, visit: u64, n_items: usize) -> Shown {
        let default = if n_items >= LONG { self.of_long_maps } else { Shown::All };
        self.own.get(&visit).copied().unwrap_or(default)
    }
}

/// One line.
#[derive(Clone, Debug)]
pub(super) enum Slot {
    Visit {
        index: usize,
        depth: usize,
        is_folded: bool,
    },
    /// The items of a Map, of which some have no line of their own.
    Strip {
        visit: u64,
        depth: usize,
        n_hidden: usize,
    },
    Span {
        span: usize,
        depth: usize,
    },
}

/// The items of a Map.
#[derive(Clone, Debug, Default)]
pub(super) struct Items {
    /// By number: from when to when each took.
    pub(super) spans: BTreeMap<u32, (Timestamp, Timestamp)>,
    pub(super) on_path: Vec<u32>,
    pub(super) most_at_once: usize,
    pub(super) median: Micros,
}

impl Items {
    pub(super) fn span(&self, item: u32) -> Micros {
        self.spans.get(&item).map_or(Micros::ZERO, |it| it.1 - it.0)
    }

    pub(super) fn is_outlier(&self, span: Micros) -> bool {
        self.spans.len() >= LONG && self.median > Micros::ZERO && span.0 >= self.median.0 * OUTLIER
    }
}

pub(super) type CriticalSpans = HashMap<u64, Vec<(Timestamp, Timestamp)>>;

/// The lines of a chart, in order.
#[derive(Clone, Debug)]
pub struct Layout {
    pub(super) slots: Vec<Slot>,
    pub(super) critical: CriticalSpans,
    pub(super) items: HashMap<u64, Items>,
    ids: Vec<Option<u64>>,
}

impl Layout {
    pub fn of(run: &Run, traced: Traced<'_>, folds: &Folds) -> Self {
        let critical = critical_spans(run);
        let children = Children::of(&run.timeline.visits);
        let items = children.items(&critical);
        let mut walk = Walk { visits: &run.timeline.visits, traced, folds, children, items: &items, slots: Vec::new() };
        walk.add(None, 0);
        let slots = walk.slots;
        let id = |slot: &Slot| match slot {
            Slot::Visit { index, .. } => Some(run.timeline.visits[*index].id),
            Slot::Strip { visit, .. } => Some(*visit),
            Slot::Span { .. } => None,
        };
        let ids = slots.iter().map(id).collect();
        Self { slots, critical, items, ids }
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The visit of a line: the one that it is about.
    pub fn visit(&self, row: usize) -> Option<u64> {
        self.ids.get(row).copied().flatten()
    }

    /// How many items a Map had.
    pub fn n_items(&self, visit: u64) -> usize {
        self.items.get(&visit).map_or(0, |it| it.spans.len())
    }
}

struct Walk<'a> {
    visits: &'a [Visit],
    traced: Traced<'a>,
    folds: &'a Folds,
    children: Children<'a>,
    items: &'a HashMap<u64, Items>,
    slots: Vec<Slot>,
}

impl Walk<'_> {
    fn add(&mut self, parent: Option<u64>, depth: usize) {
        let few = parent.and_then(|it| self.few(it));
        for index in self.children.inside(parent).to_vec() {
            let visit = &self.visits[index];
            if few.as_ref().is_some_and(|shown| visit.iteration.is_some_and(|it| !shown.contains(&it))) {
                continue;
            }
            let n_items = self.items.get(&visit.id).map_or(0, |it| it.spans.len());
            let is_folded = visit.kind.is_container() && self.folds.of(visit.id, n_items) == Shown::None;
            self.slots.push(Slot::Visit { index, depth, is_folded });
            if n_items >= LONG {
                let shown = match self.folds.of(visit.id, n_items) {
                    Shown::All => n_items,
                    Shown::Few => FEW,
                    Shown::None => 0,
                };
                self.slots.push(Slot::Strip { visit: visit.id, depth: depth + 1, n_hidden: n_items - shown });
            }
            self.add_spans(index, depth);
            if !is_folded {
                self.add(Some(visit.id), depth + 1);
            }
        }
    }

    fn add_spans(&mut self, visit: usize, depth: usize) {
        let Some((trace, joined)) = self.traced else { return };
        let calls = joined.calls.range((visit, 0)..=(visit, usize::MAX)).flat_map(|it| it.1);
        let below = calls.flat_map(|&it| trace.tree(it));
        let number = |span| trace.spans.iter().position(|it| std::ptr::eq(it, span));
        let slots = below
            .take(SHOWN_SPANS)
            .filter_map(|(inner, span)| Some(Slot::Span { span: number(span)?, depth: depth + inner + 1 }));
        self.slots.extend(slots);
    }

    /// Of a long Map, the items that are shown: those on the critical path come first, then the longest.
    fn few(&self, map: u64) -> Option<Vec<u32>> {
        let items = self.items.get(&map)?;
        if self.folds.of(map, items.spans.len()) != Shown::Few {
            return None;
        }
        let mut order: Vec<u32> = items.spans.keys().copied().collect();
        order.sort_by_key(|it| (!items.on_path.contains(it), std::cmp::Reverse(items.span(*it)), *it));
        order.truncate(FEW);
        Some(order)
    }
}

/// Indices of visits by parent, in the order in which they were entered.
struct Children<'a> {
    visits: &'a [Visit],
    by_parent: HashMap<Option<u64>, Vec<usize>>,
}

impl<'a> Children<'a> {
    fn of(visits: &'a [Visit]) -> Self {
        let mut by_parent: HashMap<Option<u64>, Vec<usize>> = HashMap::new();
        for (index, visit) in visits.iter().enumerate() {
            by_parent.entry(visit.parent).or_default().push(index);
        }
        // Branch by branch and item by item, each in its own order.
        for list in by_parent.values_mut() {
            list.sort_by_key(|&it| (visits[it].branch, visits[it].iteration, visits[it].id));
        }
        Self { visits, by_parent }
    }

    fn inside(&self, parent: Option<u64>) -> &[usize] {
        self.by_parent.get(&parent).map_or(&[], Vec::as_slice)
    }

    /// The items of every Map.
    fn items(&self, critical: &CriticalSpans) -> HashMap<u64, Items> {
        let maps = self.visits.iter().filter(|it| it.kind == StateType::Map);
        maps.map(|it| (it.id, self.items_of(it.id, critical))).collect()
    }

    fn items_of(&self, map: u64, critical: &CriticalSpans) -> Items {
        let mut items = Items::default();
        for &index in self.inside(Some(map)) {
            let visit = &self.visits[index];
            let Some(iteration) = visit.iteration else { continue };
            let end = visit.exited_at.unwrap_or(visit.entered_at);
            let span = items.spans.entry(iteration).or_insert((visit.entered_at, end));
            *span = (span.0.min(visit.entered_at), span.1.max(end));
            if critical.contains_key(&visit.id) && items.on_path.last() != Some(&iteration) {
                items.on_path.push(iteration);
            }
        }
        let mut spans: Vec<Micros> = items.spans.values().map(|it| it.1 - it.0).collect();
        spans.sort_unstable();
        items.median = analyzer::quantile::of_sorted(&spans, 0.5).unwrap_or_default();
        items.most_at_once = most_at_once(items.spans.values().copied());
        items
    }
}

/// How many of these spans overlap at most.
fn most_at_once(spans: impl Iterator<Item = (Timestamp, Timestamp)>) -> usize {
    // An end makes room for a start at the same instant.
    let mut ends: Vec<(Timestamp, i32)> = spans.flat_map(|(from, to)| [(from, 1), (to, -1)]).collect();
    ends.sort_unstable();
    let (mut now, mut most) = (0, 0);
    for (_, step) in ends {
        now += step;
        most = most.max(now);
    }
    usize::try_from(most).unwrap_or(0)
}

fn critical_spans(run: &Run) -> CriticalSpans {
    let mut spans = CriticalSpans::new();
    for step in merged(&run.path) {
        if let Some(owner) = step.owner {
            spans.entry(run.timeline.visits[owner].id).or_default().push((step.from, step.to));
        }
    }
    spans
}
