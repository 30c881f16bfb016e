//! Which executions show the difference best? The typical one of the incident, its worst, and the one before it that went the same
//! way with as many items: side by side they tell in two timelines what the numbers say.

use rustc_hash::FxHashMap;

use super::Comparison;
use super::seen::{Part, Seen};
use crate::model::{Micros, Name};

/// One execution to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exemplar {
    pub arn: Name,
    pub duration: Micros,
}

/// What to look at first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exemplars {
    /// The execution of the incident whose critical path is nearest to the mean.
    pub typical: Exemplar,
    /// The longest of the incident.
    pub worst: Exemplar,
    /// The one of the baseline that is most like the typical one; `None` where none went its way.
    pub twin: Option<Exemplar>,
}

fn exemplar(it: &Seen) -> Exemplar {
    Exemplar { arn: it.arn.clone(), duration: it.duration }
}

impl Comparison {
    pub(super) fn exemplars(&self) -> Option<Exemplars> {
        let means = mean_path(&self.incident);
        let far = |it: &&Seen| (distance(it, &means), it.arn.clone());
        let typical = self.incident.iter().min_by(|a, b| {
            let ((a, a_arn), (b, b_arn)) = (far(a), far(b));
            a.total_cmp(&b).then(a_arn.cmp(&b_arn))
        })?;
        let worst = self.incident.iter().max_by(|a, b| a.duration.cmp(&b.duration).then(b.arn.cmp(&a.arn)))?;
        Some(Exemplars {
            typical: exemplar(typical),
            worst: exemplar(worst),
            twin: self.twin_of(typical).map(exemplar),
        })
    }

    fn twin_of(&self, typical: &Seen) -> Option<&Seen> {
        let same_way = || self.baseline.iter().filter(|it| it.group == typical.group);
        let mut spans: Vec<Micros> = same_way().map(|it| it.duration).collect();
        spans.sort_unstable();
        let usual = *spans.get(spans.len() / 2)?;
        let items = |it: &Seen| it.items.0.iter().map(|it| it.1).sum::<u64>();
        let wanted = items(typical);
        same_way().min_by_key(|it| (items(it).abs_diff(wanted), (it.duration - usual).0.abs(), it.arn.clone()))
    }
}

/// The mean time of each part.
#[expect(clippy::cast_precision_loss, reason = "means")]
fn mean_path(runs: &[Seen]) -> FxHashMap<Part, f64> {
    let mut means: FxHashMap<Part, f64> = FxHashMap::default();
    for (part, us) in runs.iter().flat_map(|it| &it.critical.0) {
        *means.entry(*part).or_default() += *us as f64 / runs.len() as f64;
    }
    means
}

/// How far a path is from the mean one, over all parts.
#[expect(clippy::cast_precision_loss, reason = "a distance")]
fn distance(run: &Seen, means: &FxHashMap<Part, f64>) -> f64 {
    let own: f64 = run
        .critical
        .0
        .iter()
        .map(|(part, us)| {
            let mean = means.get(part).copied().unwrap_or_default();
            (*us as f64 - mean).abs() - mean
        })
        .sum();
    // Parts that it does not have are as far as the mean is from nothing.
    own + means.values().sum::<f64>()
}
