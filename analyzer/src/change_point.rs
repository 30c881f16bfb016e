//! Since when is something different? PELT proposes, a test accepts.
//!
//! Sources: Killick, Fearnhead and Eckley, "Optimal Detection of Changepoints with a Linear Computational Cost", JASA 2012
//! (exact segmentation with a quadratic cost; the penalty is 2 log n times the noise variance, and the noise is that of
//! the differences between neighbours, which a change hardly moves). A proposal is accepted when the values before and
//! after it, within their segments, differ by the Mann-Whitney test and by a tenth.

use crate::statistics::mann_whitney;

/// Accepted from this p-value on.
pub const ALPHA: f64 = 0.001;
/// Points on both sides that a change needs.
const LEAST: usize = 4;

/// A change of the level of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChangePoint {
    /// The first point of the new level.
    pub at: usize,
    pub before: f64,
    pub after: f64,
    pub p_value: f64,
}

/// The accepted changes of a series, in order. The least significant proposal falls first, and its two sides become one.
pub fn change_points(values: &[f64]) -> Vec<ChangePoint> {
    let mut cuts = segments(values);
    loop {
        let found: Vec<ChangePoint> = (0..cuts.len()).map(|index| judged(values, &cuts, index)).collect();
        let weakest = (0..found.len()).max_by(|&a, &b| found[a].p_value.total_cmp(&found[b].p_value));
        match weakest.filter(|&it| found[it].p_value > ALPHA) {
            Some(weakest) => cuts.remove(weakest),
            None => return found,
        };
    }
}

/// A cut with the levels on both sides of it, up to the next cuts.
fn judged(values: &[f64], cuts: &[usize], index: usize) -> ChangePoint {
    let at = cuts[index];
    let from = if index == 0 { 0 } else { cuts[index - 1] };
    let to = cuts.get(index + 1).copied().unwrap_or(values.len());
    let (before, after) = (&values[from..at], &values[at..to]);
    #[expect(clippy::cast_possible_truncation, reason = "ranks of values to nine digits")]
    let ranks = |side: &[f64]| side.iter().map(|it| (it * 1e9) as i64).collect::<Vec<_>>();
    ChangePoint { at, before: mean(before), after: mean(after), p_value: mann_whitney(&ranks(before), &ranks(after)) }
}

#[expect(clippy::cast_precision_loss, reason = "a mean")]
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The optimal cuts, by PELT.
#[expect(clippy::cast_precision_loss, reason = "counts of points")]
fn segments(values: &[f64]) -> Vec<usize> {
    let n = values.len();
    if n < 2 * LEAST {
        return Vec::new();
    }
    let penalty = 2.0 * (n as f64).ln() * noise(values);
    if penalty <= 0.0 {
        return Vec::new();
    }
    let mut sums = vec![(0.0, 0.0)];
    for value in values {
        let last = sums[sums.len() - 1];
        sums.push((last.0 + value, last.1 + value * value));
    }
    let cost = |from: usize, to: usize| {
        let (sum, squares) = (sums[to].0 - sums[from].0, sums[to].1 - sums[from].1);
        squares - sum * sum / (to - from) as f64
    };
    let mut best = vec![-penalty];
    let mut last = vec![0_usize];
    let mut candidates = vec![0_usize];
    for to in 1..=n {
        // A level lasts for some points: one or two that stand out are no level.
        let (old, young): (Vec<usize>, Vec<usize>) = candidates.iter().partition(|&&from| to - from >= LEAST);
        let options: Vec<(f64, usize)> =
            old.iter().map(|&from| (best[from] + cost(from, to) + penalty, from)).collect();
        let (value, from) = options.iter().copied().min_by(|x, y| x.0.total_cmp(&y.0)).unwrap_or((f64::INFINITY, 0));
        best.push(value);
        last.push(from);
        // What is worse already can never be the last cut of the best segmentation.
        candidates = options.iter().filter(|it| it.0 - penalty <= value).map(|it| it.1).chain(young).collect();
        candidates.push(to);
    }
    let mut cuts = Vec::new();
    let mut at = n;
    while last[at] > 0 {
        at = last[at];
        cuts.push(at);
    }
    cuts.reverse();
    cuts
}

/// The variance of the noise, from the median of the differences between neighbours.
fn noise(values: &[f64]) -> f64 {
    let mut steps: Vec<f64> = values.windows(2).map(|it| (it[1] - it[0]).abs()).collect();
    steps.sort_by(f64::total_cmp);
    let median = steps.get(steps.len() / 2).copied().unwrap_or(0.0);
    // Of normal noise the median step is 0.6745 times √2 standard deviations.
    let deviation = median / (0.674_5 * std::f64::consts::SQRT_2);
    let spread = if deviation > 0.0 { deviation } else { mean(&steps) };
    spread * spread
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(levels: &[(usize, f64)]) -> Vec<f64> {
        let mut random = crate::random::SplitMix(7);
        levels
            .iter()
            .flat_map(|&(n, level)| vec![level; n])
            .map(|it| it + f64::from(u8::try_from(random.below(100)).unwrap_or(0)) / 100.0)
            .collect()
    }

    #[test]
    fn a_step_is_found_where_it_is() {
        let found = change_points(&series(&[(60, 1.0), (40, 4.0)]));
        assert_eq!(found.iter().map(|it| it.at).collect::<Vec<_>>(), [60]);
        assert!(found[0].p_value < 1e-9 && found[0].after > found[0].before);
    }

    #[test]
    fn noise_has_no_change_and_two_steps_are_two() {
        assert_eq!(change_points(&series(&[(200, 1.0)])), []);
        let found = change_points(&series(&[(50, 1.0), (30, 3.0), (50, 1.0)]));
        assert_eq!(found.iter().map(|it| it.at).collect::<Vec<_>>(), [50, 80]);
    }
}
