//! Which executions carry the difference: those of one version, one branch, with many items, of one hour?
//!
//! A slice's part of the difference of the means is what its executions take beyond the baseline's mean, after less before:
//! `w_I (m_I − M_B) − w_B (m_B − M_B)`. Over any partition the parts add up to the difference, exactly. Slices of one and of two
//! dimensions are searched exhaustively, since there are few; one is named when it carries a good part of the difference with
//! few of the executions, and one of two dimensions only when it says more than each of its halves.
//!
//! Source: Bhagwan et al., "Adtributor: Revenue Debugging in Advertising Systems", NSDI 2014 (explanatory power and
//! succinctness); we have durations instead of counts, and the definition above keeps the parts additive.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::compare::Side;
use crate::digest::Digest;
use crate::model::{Name, StateType, Timestamp};
use crate::statistics::{benjamini_hochberg, mann_whitney};

/// A slice is named from this part of the difference on,
const SHARE: f64 = 0.2;
/// with so many times its part of the executions,
const LIFT: f64 = 1.5;
/// and one of two dimensions with so many times the lift of its halves.
const SHARPER: f64 = 1.2;
/// Executions of the incident that a slice needs.
const LEAST: u64 = 5;
const NAMED: usize = 10;
const Q: f64 = 0.05;
const HOUR: i64 = 3_600_000_000;

/// What executions can be told apart by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    Version,
    Alias,
    Status,
    Error,
    Hour,
    /// The size of the input, in powers of two.
    Input,
    /// Where a Choice led.
    Branch(Name),
    /// How many items a Map had, in powers of two.
    Items(Name),
    /// What a Task called: a function's version, say.
    Resource(Name),
}

impl Dimension {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Alias => "alias",
            Self::Status => "status",
            Self::Error => "error",
            Self::Hour => "hour",
            Self::Input => "input_bytes",
            Self::Branch(_) => "branch",
            Self::Items(_) => "items",
            Self::Resource(_) => "resource",
        }
    }

    /// The state that it is about.
    pub fn state(&self) -> Option<&Name> {
        match self {
            Self::Branch(state) | Self::Items(state) | Self::Resource(state) => Some(state),
            _ => None,
        }
    }
}

/// Some executions, and their part of the difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// One or two, each with its value.
    pub of: Vec<(Dimension, String)>,
    pub n_baseline: u64,
    pub n_incident: u64,
    pub mean_baseline_ms: Option<f64>,
    pub mean_incident_ms: Option<f64>,
    pub contribution_ms: f64,
    pub share: f64,
    /// Its part of the executions of the incident.
    pub weight: f64,
    pub q_value: f64,
}

type Value = (u32, u32);

/// Collects executions.
#[derive(Debug, Default)]
pub struct Slices {
    dimensions: BTreeMap<Dimension, u32>,
    values: Vec<BTreeMap<String, u32>>,
    runs: Vec<(Side, i64, Vec<Value>)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    n: [u64; 2],
    us: [i64; 2],
}

impl Slices {
    /// Takes an execution in.
    pub fn add(&mut self, it: &Digest, side: Side) {
        let mut own: BTreeMap<Dimension, String> = BTreeMap::new();
        own.insert(Dimension::Status, it.status.as_str().to_owned());
        own.extend(it.version_arn.as_ref().map(|arn| (Dimension::Version, last_part(arn))));
        own.extend(it.sums.alias_arn.as_ref().map(|arn| (Dimension::Alias, last_part(arn))));
        own.extend(it.error.as_ref().map(|error| (Dimension::Error, error.to_string())));
        own.extend(it.sums.input_bytes.map(|n| (Dimension::Input, size(n))));
        own.insert(Dimension::Hour, hour(it.started_at));
        // What happens inside items is no property of the execution.
        for it in it.sums.branches.iter().filter(|it| !it.is_inside_items) {
            own.insert(Dimension::Branch(it.choice.clone()), it.next.to_string());
        }
        for it in it.sums.states.iter().filter(|it| !it.is_inside_items) {
            if it.kind == StateType::Map {
                own.insert(Dimension::Items(it.state.clone()), bucket(it.items));
            }
            own.extend(it.resource.as_ref().map(|what| (Dimension::Resource(it.state.clone()), what.to_string())));
        }
        let values = own.into_iter().map(|(dimension, value)| self.number(dimension, value)).collect();
        self.runs.push((side, it.duration.0, values));
    }

    fn number(&mut self, dimension: Dimension, value: String) -> Value {
        let next = u32::try_from(self.dimensions.len()).unwrap_or(u32::MAX);
        let place = *self.dimensions.entry(dimension).or_insert(next);
        if self.values.len() <= place as usize {
            self.values.push(BTreeMap::new());
        }
        let values = &mut self.values[place as usize];
        let next = u32::try_from(values.len()).unwrap_or(u32::MAX);
        (place, *values.entry(value).or_insert(next))
    }

    /// The slices that are worth naming, the most telling first.
    #[expect(clippy::cast_precision_loss, reason = "means")]
    pub fn finish(self) -> Vec<Slice> {
        // Many executions have the same values.
        let mut alike: FxHashMap<&[Value], Sums> = FxHashMap::default();
        for (side, us, values) in &self.runs {
            let it = alike.entry(values).or_default();
            let side = usize::from(*side == Side::Incident);
            it.n[side] += 1;
            it.us[side] += us;
        }
        let mut whole = Sums::default();
        let mut sums: FxHashMap<(Value, Option<Value>), Sums> = FxHashMap::default();
        for (values, own) in alike {
            let add = |it: &mut Sums| {
                for side in 0..2 {
                    it.n[side] += own.n[side];
                    it.us[side] += own.us[side];
                }
            };
            add(&mut whole);
            for (index, first) in values.iter().enumerate() {
                add(sums.entry((*first, None)).or_default());
                values[index + 1..].iter().for_each(|second| add(sums.entry((*first, Some(*second))).or_default()));
            }
        }
        if whole.n.contains(&0) {
            return Vec::new();
        }
        let mean = |side: usize| whole.us[side] as f64 / whole.n[side] as f64;
        let (usual, difference) = (mean(0), mean(1) - mean(0));
        if difference == 0.0 {
            return Vec::new();
        }
        let part = |it: &Sums| {
            let beyond = |side: usize| (it.us[side] as f64 - it.n[side] as f64 * usual) / whole.n[side] as f64;
            beyond(1) - beyond(0)
        };
        let lift = |it: &Sums| {
            let weight = it.n[1] as f64 / whole.n[1] as f64;
            if weight > 0.0 { part(it) / difference / weight } else { 0.0 }
        };
        let is_worth = |key: &(Value, Option<Value>), it: &Sums| {
            let share = part(it) / difference;
            let is_sharper = key.1.is_none_or(|second| {
                let halves = [(key.0, None), (second, None)];
                halves.iter().filter_map(|half| sums.get(half)).all(|half| lift(it) >= lift(half) * SHARPER)
            });
            it.n[1] >= LEAST && share >= SHARE && lift(it) >= LIFT && is_sharper
        };
        let mut found: Vec<((Value, Option<Value>), Sums)> =
            sums.iter().filter(|it| is_worth(it.0, it.1)).map(|it| (*it.0, *it.1)).collect();
        let score = |it: &Sums| part(it) / difference * (1.0 - it.n[1] as f64 / whole.n[1] as f64);
        found.sort_by(|a, b| score(&b.1).total_cmp(&score(&a.1)).then(a.0.cmp(&b.0)));
        let mut p_values: Vec<f64> = found.iter().map(|it| self.p_value(it.0)).collect();
        // All that were looked at count, also those that are not worth a test.
        let n_asked = sums.values().filter(|it| it.n[1] >= LEAST).count();
        p_values.resize(n_asked.max(found.len()), 1.0);
        let q_values = benjamini_hochberg(&p_values);
        let named = found.into_iter().zip(q_values).filter(|it| it.1 <= Q).take(NAMED);
        let average = |it: &Sums, side: usize| (it.n[side] > 0).then(|| it.us[side] as f64 / it.n[side] as f64 / 1e3);
        named
            .map(|((key, it), q_value)| Slice {
                of: std::iter::once(key.0).chain(key.1).map(|value| self.named(value)).collect(),
                n_baseline: it.n[0],
                n_incident: it.n[1],
                mean_baseline_ms: average(&it, 0),
                mean_incident_ms: average(&it, 1),
                contribution_ms: part(&it) / 1e3,
                share: part(&it) / difference,
                weight: it.n[1] as f64 / whole.n[1] as f64,
                q_value,
            })
            .collect()
    }

    /// Whether the incident's executions in the slice take as long as those outside.
    fn p_value(&self, key: (Value, Option<Value>)) -> f64 {
        let is_in = |values: &[Value]| values.contains(&key.0) && key.1.is_none_or(|it| values.contains(&it));
        let incident = self.runs.iter().filter(|it| it.0 == Side::Incident);
        let (mut inside, mut outside): (Vec<i64>, Vec<i64>) = (Vec::new(), Vec::new());
        for (_, us, values) in incident {
            if is_in(values) { inside.push(*us) } else { outside.push(*us) }
        }
        inside.sort_unstable();
        outside.sort_unstable();
        mann_whitney(&outside, &inside)
    }

    fn named(&self, (dimension, value): Value) -> (Dimension, String) {
        let name = self.dimensions.iter().find(|it| *it.1 == dimension).map(|it| it.0.clone());
        let value = self.values[dimension as usize].iter().find(|it| *it.1 == value).map(|it| it.0.clone());
        (name.unwrap_or(Dimension::Status), value.unwrap_or_default())
    }
}

fn last_part(arn: &Name) -> String {
    arn.rsplit(':').next().unwrap_or(arn).to_owned()
}

fn hour(at: Timestamp) -> String {
    crate::time::minute(Timestamp(at.0.div_euclid(HOUR) * HOUR)).replace(' ', "T")
}

/// The power of two above: `0`, `1`, `2`, `3–4`, `5–8`, …
fn bucket(n: u64) -> String {
    match n {
        0..=2 => n.to_string(),
        n => {
            let above = n.next_power_of_two();
            format!("{}–{above}", above / 2 + 1)
        }
    }
}

/// The power of two above, in kilobytes.
fn size(bytes: u64) -> String {
    format!("{} KB", bucket(bytes.div_ceil(1_024)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs of a side: version, hour, milliseconds.
    fn slices(runs: &[(Side, &str, &str, i64)]) -> Vec<Slice> {
        let mut slices = Slices::default();
        for (side, version, hour, ms) in runs {
            let values = vec![
                slices.number(Dimension::Version, (*version).to_owned()),
                slices.number(Dimension::Hour, (*hour).to_owned()),
            ];
            slices.runs.push((*side, ms * 1_000, values));
        }
        slices.finish()
    }

    fn many(
        side: Side,
        version: &'static str,
        hour: &'static str,
        ms: i64,
        n: i64,
    ) -> Vec<(Side, &'static str, &'static str, i64)> {
        (0..n).map(|it| (side, version, hour, ms + it % 7)).collect()
    }

    #[test]
    fn the_slice_that_carries_the_difference_is_named() {
        let runs = [
            many(Side::Baseline, "3", "13", 100, 200),
            many(Side::Incident, "3", "14", 100, 80),
            many(Side::Incident, "4", "14", 900, 20),
        ]
        .concat();
        let found = slices(&runs);
        assert_eq!(found[0].of, [(Dimension::Version, "4".to_owned())]);
        assert!((found[0].share - 1.0).abs() < 0.02 && (found[0].weight - 0.2).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn what_is_slow_everywhere_is_no_slice() {
        let runs = [
            many(Side::Baseline, "3", "13", 100, 100),
            many(Side::Baseline, "4", "13", 100, 100),
            many(Side::Incident, "3", "14", 900, 100),
            many(Side::Incident, "4", "14", 900, 100),
        ]
        .concat();
        assert_eq!(slices(&runs), []);
    }

    #[test]
    fn two_dimensions_are_named_where_neither_says_it_alone() {
        let runs = [
            many(Side::Baseline, "3", "13", 100, 100),
            many(Side::Incident, "3", "14", 100, 60),
            many(Side::Incident, "4", "14", 100, 60),
            many(Side::Incident, "3", "15", 100, 60),
            many(Side::Incident, "4", "15", 900, 60),
        ]
        .concat();
        let found = slices(&runs);
        assert_eq!(found[0].of.len(), 2, "{found:?}");
        assert!((found[0].share - 1.0).abs() < 0.02, "{found:?}");
    }

    #[test]
    fn items_stand_in_powers_of_two() {
        assert_eq!([0, 1, 2, 3, 4, 5, 9].map(bucket), ["0", "1", "2", "3–4", "3–4", "5–8", "9–16"]);
    }
}
