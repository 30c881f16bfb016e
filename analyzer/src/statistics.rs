//! How sure is a difference? Rank tests, shifts, proportions, resampling, and the correction for asking often.
//!
//! Sources: Mann and Whitney 1947 (with the tie correction of the normal approximation, exact for small samples without
//! ties); Hodges and Lehmann 1963 (the shift and its distribution-free interval); Newcombe 1998, method 10 (interval of a
//! difference of proportions); Fisher 1922; Benjamini and Hochberg 1995; Künsch 1989 (block bootstrap).

use statrs::distribution::{ContinuousCDF, Normal};
use statrs::function::gamma::ln_gamma;

use crate::random::SplitMix;

/// The 97.5 percentile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;
const DRAWS: usize = 2_000;
/// Samples up to this size are tested exactly.
const SMALL: usize = 20;

/// An estimate with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub estimate: f64,
    pub low: f64,
    pub high: f64,
}

/// The chance of a normal variable to be at least this far from 0 on either side.
fn two_sided(z: f64) -> f64 {
    let normal = Normal::standard();
    (2.0 * normal.sf(z.abs())).clamp(0.0, 1.0)
}

/// The two-sided p-value of the Mann-Whitney U test.
pub fn mann_whitney(a: &[i64], b: &[i64]) -> f64 {
    let it = RankSum::of(a, b);
    if !it.has_ties && !a.is_empty() && a.len().min(b.len()) <= SMALL && a.len() * b.len() <= 2_000 {
        return exact_u(a.len(), b.len(), it.u);
    }
    if it.variance <= 0.0 {
        return 1.0;
    }
    two_sided(((it.u - it.mean).abs() - 0.5).max(0.0) / it.variance.sqrt())
}

/// The two-sided p-value over strata, each compared within itself (van Elteren 1960): what only moves executions from
/// one stratum to another is no difference. One stratum is the Mann-Whitney test.
#[expect(clippy::cast_precision_loss, reason = "counts")]
pub fn van_elteren(strata: &[[Vec<i64>; 2]]) -> f64 {
    let strata: Vec<_> = strata.iter().filter(|[a, b]| !a.is_empty() && !b.is_empty()).collect();
    if let [[a, b]] = strata[..] {
        return mann_whitney(a, b);
    }
    let (mut distance, mut variance) = (0.0, 0.0);
    for [a, b] in strata {
        let (it, weight) = (RankSum::of(a, b), 1.0 / (a.len() + b.len() + 1) as f64);
        distance += weight * (it.u - it.mean);
        variance += weight * weight * it.variance;
    }
    if variance <= 0.0 { 1.0 } else { two_sided(distance.abs() / variance.sqrt()) }
}

/// The U statistic of the first of two samples, and what it is when they do not differ.
struct RankSum {
    u: f64,
    mean: f64,
    variance: f64,
    has_ties: bool,
}

impl RankSum {
    #[expect(clippy::cast_precision_loss, reason = "ranks and counts, named as in the papers")]
    fn of(a: &[i64], b: &[i64]) -> Self {
        let mut all: Vec<(i64, bool)> = a.iter().map(|&it| (it, true)).chain(b.iter().map(|&it| (it, false))).collect();
        all.sort_unstable();
        let (n, m) = (a.len() as f64, b.len() as f64);
        let (mut rank_sum, mut ties, mut at) = (0.0, 0.0, 0);
        while at < all.len() {
            let end = at + all[at..].iter().take_while(|it| it.0 == all[at].0).count();
            let equal = (end - at) as f64;
            // Ranks count from 1; tied values share the mean of theirs.
            let rank = (at + 1 + end) as f64 / 2.0;
            rank_sum += rank * all[at..end].iter().filter(|it| it.1).count() as f64;
            ties += equal * equal * equal - equal;
            at = end;
        }
        let total = n + m;
        Self {
            u: rank_sum - n * (n + 1.0) / 2.0,
            mean: n * m / 2.0,
            variance: n * m / 12.0 * ((total + 1.0) - ties / (total * (total - 1.0)).max(1.0)),
            has_ties: ties > 0.0,
        }
    }
}

/// The exact p-value: of all orders of two samples, how many are at least as far from the middle?
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
fn exact_u(n: usize, m: usize, u: f64) -> f64 {
    // For j values of the second sample, `before[i][v]` is the number of orders with i of the first that have U = v:
    // f(i, j, v) = f(i-1, j, v-j) + f(i, j-1, v).
    let most = n * m;
    let mut before = vec![vec![0.0_f64; most + 1]; n + 1];
    before[0][0] = 1.0;
    for row in before.iter_mut().skip(1) {
        // With nothing of the second sample every order has U = 0.
        row[0] = 1.0;
    }
    for j in 1..=m {
        let mut now = vec![vec![0.0_f64; most + 1]; n + 1];
        now[0][0] = 1.0;
        for i in 1..=n {
            for v in 0..=i * j {
                let with = if v >= j { now[i - 1][v - j] } else { 0.0 };
                now[i][v] = with + before[i][v];
            }
        }
        before = now;
    }
    let counts = &before[n];
    let total: f64 = counts.iter().sum();
    let low = u.min(most as f64 - u).floor() as usize;
    let tail: f64 = counts[..=low.min(most)].iter().sum();
    (2.0 * tail / total).min(1.0)
}

/// The median of all differences b − a with its distribution-free interval. Both samples have to be sorted.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "order statistics"
)]
pub fn hodges_lehmann(a: &[i64], b: &[i64]) -> Option<Estimate> {
    let pairs = a.len() * b.len();
    if pairs == 0 {
        return None;
    }
    let (n, m) = (a.len() as f64, b.len() as f64);
    let middle = f64::midpoint(difference(a, b, (pairs - 1) / 2) as f64, difference(a, b, pairs / 2) as f64);
    let reach = n * m / 2.0 - Z * (n * m * (n + m + 1.0) / 12.0).sqrt();
    let first = (reach.floor().max(0.0) as usize).min(pairs - 1);
    let (low, high) = (difference(a, b, first), difference(a, b, pairs - 1 - first));
    Some(Estimate { estimate: middle, low: low as f64, high: high as f64 })
}

/// The k-th smallest difference b − a of sorted samples, k from 0: by bisection over the values.
fn difference(a: &[i64], b: &[i64], k: usize) -> i64 {
    let (mut low, mut high) = (b[0] - a[a.len() - 1], b[b.len() - 1] - a[0]);
    while low < high {
        let middle = low + (high - low) / 2;
        if at_most(a, b, middle) > k { high = middle } else { low = middle + 1 }
    }
    low
}

/// How many differences b − a are at most `limit`.
fn at_most(a: &[i64], b: &[i64], limit: i64) -> usize {
    let mut place = 0;
    let mut count = 0;
    for &it in a {
        while place < b.len() && b[place] - it <= limit {
            place += 1;
        }
        count += place;
    }
    count
}

/// The interval of a proportion (Wilson).
fn wilson(part: f64, whole: f64) -> (f64, f64) {
    let p = part / whole;
    let square = Z * Z / whole;
    let middle = (p + square / 2.0) / (1.0 + square);
    let reach = Z / (1.0 + square) * (p * (1.0 - p) / whole + square / whole / 4.0).sqrt();
    (middle - reach, middle + reach)
}

/// The difference of two proportions, b − a, with its interval and p-value: Fisher's exact test where a count is small.
#[expect(clippy::cast_precision_loss, clippy::many_single_char_names, reason = "counts, named as in the paper")]
pub fn proportions(part_a: u64, whole_a: u64, part_b: u64, whole_b: u64) -> Option<(Estimate, f64)> {
    if whole_a == 0 || whole_b == 0 {
        return None;
    }
    let (x, n, y, m) = (part_a as f64, whole_a as f64, part_b as f64, whole_b as f64);
    let (p, q) = (x / n, y / m);
    let ((low_a, high_a), (low_b, high_b)) = (wilson(x, n), wilson(y, m));
    let low = (q - p) - ((q - low_b).powi(2) + (high_a - p).powi(2)).sqrt();
    let high = (q - p) + ((high_b - q).powi(2) + (p - low_a).powi(2)).sqrt();
    let is_small = [x, n - x, y, m - y].into_iter().any(|it| it < 5.0);
    let p_value = if is_small {
        fisher(part_a, whole_a, part_b, whole_b)
    } else {
        let pooled = (x + y) / (n + m);
        two_sided((q - p) / (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt())
    };
    Some((Estimate { estimate: q - p, low, high }, p_value))
}

/// Fisher's exact test, two-sided: all tables at most as likely as the one at hand.
#[expect(clippy::cast_precision_loss, reason = "counts")]
fn fisher(part_a: u64, whole_a: u64, part_b: u64, whole_b: u64) -> f64 {
    let (part, whole) = (part_a + part_b, whole_a + whole_b);
    let choose = |n: u64, k: u64| ln_gamma(n as f64 + 1.0) - ln_gamma(k as f64 + 1.0) - ln_gamma((n - k) as f64 + 1.0);
    let likelihood = |x: u64| choose(whole_a, x) + choose(whole_b, part - x) - choose(whole, part);
    let seen = likelihood(part_a);
    let range = part.saturating_sub(whole_b)..=part.min(whole_a);
    range.map(likelihood).filter(|it| *it <= seen + 1e-7).map(f64::exp).sum::<f64>().min(1.0)
}

/// p-values as q-values: the share of false alarms among all that are at least as significant.
#[expect(clippy::cast_precision_loss, reason = "counts of tests")]
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut q_values = vec![1.0; p_values.len()];
    let mut least: f64 = 1.0;
    for (rank, &index) in order.iter().enumerate().rev() {
        least = least.min(p_values[index] * p_values.len() as f64 / (rank + 1) as f64);
        q_values[index] = least;
    }
    q_values
}

/// Values of one block, such as a minute: their sum and count.
pub type Block = (f64, f64);

/// The interval of the difference of two means, b − a, by drawing whole blocks.
pub fn mean_difference(a: &[Block], b: &[Block]) -> Option<Estimate> {
    let mean = |blocks: &mut dyn Iterator<Item = &Block>| {
        let (sum, count) = blocks.fold((0.0, 0.0), |it, block| (it.0 + block.0, it.1 + block.1));
        if count > 0.0 { sum / count } else { 0.0 }
    };
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let estimate = mean(&mut b.iter()) - mean(&mut a.iter());
    let mut random = SplitMix(0x5eed);
    let mut drawn = |blocks: &[Block]| {
        let mut sums = (0.0, 0.0);
        for _ in 0..blocks.len() {
            let it = blocks[random.below(blocks.len())];
            sums = (sums.0 + it.0, sums.1 + it.1);
        }
        if sums.1 > 0.0 { sums.0 / sums.1 } else { 0.0 }
    };
    let mut differences: Vec<f64> = (0..DRAWS).map(|_| drawn(b) - drawn(a)).collect();
    differences.sort_by(f64::total_cmp);
    Some(Estimate { estimate, low: differences[DRAWS / 40], high: differences[DRAWS - 1 - DRAWS / 40] })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }

    /// The first value was calculated apart: the distances of U in each stratum, weighted by 1 / (N + 1).
    #[test]
    fn what_only_moves_between_strata_is_no_difference() {
        let fast = [vec![1, 2, 2, 3, 4, 5], vec![3, 4, 5, 6]];
        let slow = [vec![10, 12, 14], vec![12, 15, 16, 18, 20, 21]];
        near(van_elteren(&[fast.clone(), slow]), 0.012_172_516_488);
        near(van_elteren(&[fast.clone(), [vec![7], Vec::new()]]), mann_whitney(&fast[0], &fast[1]));
        // Most went to the slow stratum before and few do after; within each nothing changed.
        let (few, many) = ((0..20).collect::<Vec<i64>>(), (0..200).map(|it| it / 10).collect::<Vec<i64>>());
        let high = |side: &[i64]| side.iter().map(|it| it + 1_000).collect::<Vec<i64>>();
        let strata = [[few.clone(), many.clone()], [high(&many), high(&few)]];
        assert!(van_elteren(&strata) > 0.99);
        let all = |side: usize| strata.iter().flat_map(|it| it[side].clone()).collect::<Vec<i64>>();
        assert!(mann_whitney(&all(0), &all(1)) < 1e-6);
    }

    /// Reference values of scipy: `mannwhitneyu(a, b, method="exact")` and with `method="asymptotic"`.
    #[test]
    fn mann_whitney_agrees_with_scipy() {
        near(mann_whitney(&[19, 22, 16, 29, 24], &[20, 11, 17, 12]), 0.111_111_111_111);
        let a: Vec<i64> = (0..30).map(|it| it % 7).collect();
        let b: Vec<i64> = (0..25).map(|it| it % 5 + 2).collect();
        near(mann_whitney(&a, &b), 0.033_241_303_355);
        near(mann_whitney(&[1, 1, 1], &[1, 1]), 1.0);
    }

    #[test]
    fn the_shift_is_the_median_of_all_differences() {
        let a = [1, 5, 9, 12];
        let b = [11, 14, 20];
        let it = hodges_lehmann(&a, &b).expect("a shift");
        let mut all: Vec<i64> = a.iter().flat_map(|x| b.iter().map(move |y| y - x)).collect();
        all.sort_unstable();
        let doubled = i32::try_from(all[5] + all[6]).unwrap_or(0);
        assert!((it.estimate * 2.0 - f64::from(doubled)).abs() < 1e-9);
        assert!(it.low <= it.estimate && it.estimate <= it.high);
    }

    /// Reference value of scipy: `fisher_exact([[1, 9], [11, 3]])`; interval of Newcombe's paper, 56/70 against 48/80.
    #[test]
    fn proportions_agree_with_published_values() {
        let (_, p) = proportions(1, 10, 11, 14).expect("a difference");
        assert!((p - 0.002_759_456_2).abs() < 1e-6, "{p}");
        let (it, _) = proportions(48, 80, 56, 70).expect("a difference");
        assert!((it.low - 0.0524).abs() < 1e-3 && (it.high - 0.3339).abs() < 1e-3, "{it:?}");
    }

    #[test]
    fn q_values_correct_for_many_questions() {
        let q = benjamini_hochberg(&[0.01, 0.04, 0.03, 0.5]);
        let expected = [0.04, 0.053_333_333, 0.053_333_333, 0.5];
        assert!(q.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{q:?}");
    }

    #[test]
    fn blocks_that_do_not_differ_have_an_interval_around_zero() {
        let blocks: Vec<Block> = (0..60).map(|it| (f64::from(it % 7), 1.0)).collect();
        let it = mean_difference(&blocks, &blocks).expect("a difference");
        assert!(it.low < 0.0 && it.high > 0.0 && it.estimate.abs() < 1e-12);
    }
}
