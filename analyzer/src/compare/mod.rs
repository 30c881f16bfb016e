//! What changed between two sets of executions, where, and how sure is that?
//!
//! The difference of the mean durations is split exactly, without statistics: every execution's wall time is partitioned
//! over (state, category) by its critical path, so the differences of those means add up to it. Each is split again: a
//! part because executions take other ways (*mix*, Kitagawa 1955 over path groups), a part because a state is on the
//! path more often (more items, more rounds of a loop, fewer slots), and the rest because it is *slower*. Statistics
//! only decide which parts are worth naming.

mod causes;
mod exemplars;
mod parts;
mod seen;

pub use exemplars::{Exemplar, Exemplars};

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;
use seen::{Seen, State, States};

use crate::model::{Micros, Name, Timestamp};
use crate::statistics::{Estimate, benjamini_hochberg, hodges_lehmann, mann_whitney, proportions};
use crate::timeline::Category;

/// Named from this false-alarm rate on, and from this share of the difference.
const Q: f64 = 0.05;
const SHARE: f64 = 0.01;
/// Errors come first when the failure rate rose by this much.
const RISEN: f64 = 0.01;

/// Collects the executions of both sides.
#[derive(Debug, Default)]
pub struct Comparison {
    baseline: Vec<Seen>,
    incident: Vec<Seen>,
    /// Durations of closed executions that are not known in full, and whether they failed: baseline, incident.
    partial: [Vec<(Micros, bool)>; 2],
    states: States,
    groups: BTreeMap<Vec<State>, u32>,
    /// The Map that a state runs inside of.
    maps: BTreeMap<State, State>,
    /// Parallels and Maps.
    containers: BTreeSet<State>,
}

/// Which side an execution belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Baseline,
    Incident,
}

/// The closed executions of one side.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SideSummary {
    pub n: usize,
    /// Those of them whose parts are not known: they count in every figure here, and in no cause.
    pub n_partial: usize,
    pub failed: u64,
    pub p50: Option<Micros>,
    pub p95: Option<Micros>,
    pub mean_ms: Option<f64>,
    pub mean_transitions: Option<f64>,
}

/// Why a cause is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CauseKind {
    /// A state spends more or less time in a category.
    Time(Category),
    /// A part of its work, where traces or reports tell it of every execution.
    ColdStart,
    /// Other branches, more items, more rounds of a loop.
    PathMix,
    Errors,
    Version,
}

impl CauseKind {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Time(category) => category.as_str(),
            Self::ColdStart => "cold_start",
            Self::PathMix => "path_mix",
            Self::Errors => "errors",
            Self::Version => "version",
        }
    }
}

/// One part of the difference.
#[derive(Clone, Debug)]
pub struct Cause {
    pub state: Option<Name>,
    pub kind: CauseKind,
    pub error: Option<Name>,
    /// Milliseconds of the difference of the means; 0 for errors and versions, which carry no latency of their own.
    pub contribution_ms: f64,
    pub share: f64,
    pub interval: Option<(f64, f64)>,
    pub p_value: f64,
    pub q_value: f64,
    pub first_seen: Option<Timestamp>,
    pub evidence: Vec<Name>,
    /// A sentence on what is behind it, where more is known.
    pub detail: Option<String>,
}

impl Cause {
    /// Whether it is significant and large enough to be named.
    pub fn is_named(&self) -> bool {
        let is_latency = !matches!(self.kind, CauseKind::Errors | CauseKind::Version);
        self.q_value <= Q && (!is_latency || self.share.abs() >= SHARE)
    }
}

/// What one execution adds to the mean of its side.
#[expect(clippy::cast_precision_loss, reason = "means")]
fn mean_of(n: u64, runs: &[Seen]) -> f64 {
    n as f64 / runs.len().max(1) as f64
}

/// A state that became slower without an effect on the end.
#[derive(Clone, Debug)]
pub struct Harmless {
    pub state: Name,
    pub before: Micros,
    pub after: Micros,
}

#[derive(Clone, Debug)]
pub struct Compared {
    pub baseline: SideSummary,
    pub incident: SideSummary,
    /// The typical shift of the duration in milliseconds.
    pub shift: Option<Estimate>,
    pub shift_p_value: f64,
    /// Of the failure rates.
    pub failures: Option<(Estimate, f64)>,
    pub difference_ms: Option<f64>,
    /// All parts, the most important first.
    pub causes: Vec<Cause>,
    pub harmless: Vec<Harmless>,
    pub exemplars: Option<Exemplars>,
    /// What each state bills on average; the differences add up to that of the mean transitions.
    pub transitions: Vec<Billed>,
    /// How often executions fail where and with what; the differences add up to that of the failure rates.
    pub failing: Vec<Failing>,
}

/// Mean transitions of a state, before and after; `None` for redrives and the children of Map Runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Billed {
    pub state: Option<Name>,
    pub before: f64,
    pub after: f64,
}

/// The part of the executions that failed in a state with an error, before and after.
#[derive(Clone, Debug, PartialEq)]
pub struct Failing {
    pub state: Option<Name>,
    pub error: Name,
    pub before: f64,
    pub after: f64,
}

impl Compared {
    /// What is left of the difference of the means beside the named causes.
    pub fn unexplained_ms(&self, all: bool) -> Option<f64> {
        let named: f64 = self.causes.iter().filter(|it| all || it.is_named()).map(|it| it.contribution_ms).sum();
        self.difference_ms.map(|it| it - named)
    }
}

impl Comparison {
    pub fn finish(mut self) -> Compared {
        self.split_cold_starts();
        let (b, i) = (&self.baseline, &self.incident);
        let sorted = |side: &[Seen], partial: &[(Micros, bool)]| {
            let partial = partial.iter().map(|it| it.0);
            let mut all: Vec<i64> = side.iter().map(|it| it.duration).chain(partial).map(|it| it.0).collect();
            all.sort_unstable();
            all
        };
        let [partial_b, partial_i] = &self.partial;
        let (before, after) = (sorted(b, partial_b), sorted(i, partial_i));
        let (baseline, incident) = (summary(b, partial_b, &before), summary(i, partial_i, &after));
        let difference_ms = incident.mean_ms.zip(baseline.mean_ms).map(|(i, b)| i - b);
        let milli = |it: Estimate| Estimate { estimate: it.estimate / 1e3, low: it.low / 1e3, high: it.high / 1e3 };
        let mut causes = if b.is_empty() || i.is_empty() { Vec::new() } else { self.causes() };
        let q_values = benjamini_hochberg(&causes.iter().map(|it| it.p_value).collect::<Vec<_>>());
        for (cause, q_value) in causes.iter_mut().zip(q_values) {
            cause.q_value = q_value;
            cause.share = difference_ms.filter(|it| *it != 0.0).map_or(0.0, |it| cause.contribution_ms / it);
        }
        let failures = proportions(baseline.failed, baseline.n as u64, incident.failed, incident.n as u64);
        let has_risen = failures.is_some_and(|(it, p)| it.estimate >= RISEN && p <= Q);
        causes.sort_by(|x, y| {
            let first = |it: &Cause| has_risen && it.kind == CauseKind::Errors && it.is_named();
            let weight = |it: &Cause| difference_ms.map_or(0.0, |d| it.contribution_ms * d.signum());
            first(y).cmp(&first(x)).then(y.is_named().cmp(&x.is_named())).then(weight(y).total_cmp(&weight(x)))
        });
        let harmless = self.harmless(&causes);
        Compared {
            shift: hodges_lehmann(&before, &after).map(milli),
            shift_p_value: mann_whitney(&before, &after),
            failures,
            difference_ms,
            causes,
            harmless,
            exemplars: self.exemplars(),
            transitions: self.billed(),
            failing: self.failing(),
            baseline,
            incident,
        }
    }

    /// Transitions by state, the largest difference first.
    fn billed(&self) -> Vec<Billed> {
        let mut means: BTreeMap<Option<Name>, [f64; 2]> = BTreeMap::new();
        for (side, runs) in [&self.baseline, &self.incident].into_iter().enumerate() {
            let mut sums: FxHashMap<Option<State>, u64> = FxHashMap::default();
            for it in runs {
                let mut rest = it.transitions;
                for &(state, n) in &it.billed.0 {
                    *sums.entry(Some(state)).or_default() += n;
                    rest = rest.saturating_sub(n);
                }
                if rest > 0 {
                    *sums.entry(None).or_default() += rest;
                }
            }
            for (state, n) in sums {
                means.entry(state.map(|it| self.states.name(it).clone())).or_default()[side] = mean_of(n, runs);
            }
        }
        let mut all: Vec<Billed> =
            means.into_iter().map(|(state, [before, after])| Billed { state, before, after }).collect();
        all.sort_by(|x, y| (y.after - y.before).abs().total_cmp(&(x.after - x.before).abs()));
        all
    }

    /// Failures by state and error, the largest difference first.
    fn failing(&self) -> Vec<Failing> {
        let mut rates: BTreeMap<(Option<Name>, Name), [f64; 2]> = BTreeMap::new();
        for (side, runs) in [&self.baseline, &self.incident].into_iter().enumerate() {
            for key in runs.iter().filter_map(|it| it.failure.clone()) {
                rates.entry(key).or_default()[side] += mean_of(1, runs);
            }
        }
        let mut all: Vec<Failing> = rates
            .into_iter()
            .map(|((state, error), [before, after])| Failing { state, error, before, after })
            .collect();
        all.sort_by(|x, y| (y.after - y.before).abs().total_cmp(&(x.after - x.before).abs()));
        all
    }

    fn name_of(&self, state: Option<State>) -> Option<Name> {
        state.map(|it| self.states.name(it).clone())
    }
}

#[expect(clippy::cast_precision_loss, reason = "means")]
fn summary(side: &[Seen], partial: &[(Micros, bool)], sorted: &[i64]) -> SideSummary {
    let spans: Vec<Micros> = sorted.iter().map(|&it| Micros(it)).collect();
    let mean = |sum: f64, n: usize| (n > 0).then(|| sum / n as f64);
    let failed = side.iter().filter(|it| it.failure.is_some()).count() + partial.iter().filter(|it| it.1).count();
    SideSummary {
        n: sorted.len(),
        n_partial: partial.len(),
        failed: failed as u64,
        p50: crate::quantile::of_sorted(&spans, 0.5),
        p95: crate::quantile::of_sorted(&spans, 0.95),
        mean_ms: mean(sorted.iter().sum::<i64>() as f64 / 1e3, sorted.len()),
        mean_transitions: mean(side.iter().map(|it| it.transitions).sum::<u64>() as f64, side.len()),
    }
}
