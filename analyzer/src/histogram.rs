//! Durations in buckets that merge by addition.
//!
//! Sixty-four buckets to each doubling: a bucket's middle is within 0.8 % of every duration in it, in whole numbers. SQL
//! computes the same buckets (`rollup_remove.sql`), so what is taken out again is what was put in.

use crate::model::Micros;

const BITS: u32 = 6;

/// The bucket of a duration.
pub fn bucket(duration: Micros) -> u32 {
    let value = duration.0.max(0).cast_unsigned();
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(BITS + 1);
    (shift << BITS) + u32::try_from(value >> shift).unwrap_or(u32::MAX)
}

/// The middle of a bucket.
pub fn middle(bucket: u32) -> Micros {
    let shift = (bucket >> BITS).saturating_sub(1).min(57);
    let base = i64::from(bucket - (shift << BITS)) << shift;
    Micros(base.saturating_add((1 << shift) / 2))
}

/// The middle of the bucket in which a quantile lies; `buckets` in ascending order, each with its count.
pub fn quantile(buckets: &[(u32, u64)], q: f64) -> Option<Micros> {
    let total: u64 = buckets.iter().map(|it| it.1).sum();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank among counts"
    )]
    let rank = (total.checked_sub(1)? as f64 * q).round() as u64;
    let mut before = 0;
    let holds = |&&(_, count): &&(u32, u64)| {
        before += count;
        rank < before
    };
    buckets.iter().find(holds).map(|it| middle(it.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_middle_of_a_bucket_is_within_one_percent(micros in 0..40_000_000_000_000_i64) {
            let error = (middle(bucket(Micros(micros))).0 - micros).abs();
            prop_assert!(error * 100 <= micros, "{error} of {micros}");
        }

        #[test]
        fn longer_durations_are_in_no_lower_bucket(a in 0..i64::MAX, b in 0..i64::MAX) {
            prop_assert_eq!(bucket(Micros(a.min(b))) <= bucket(Micros(a.max(b))), true);
        }

        #[test]
        fn a_quantile_is_within_one_percent_of_the_exact_one(mut spans in prop::collection::vec(0..9_000_000_000_i64, 1..200)) {
            spans.sort_unstable();
            let mut counts = std::collections::BTreeMap::new();
            for it in &spans {
                *counts.entry(bucket(Micros(*it))).or_insert(0_u64) += 1;
            }
            let buckets: Vec<(u32, u64)> = counts.into_iter().collect();
            for (q, rank) in [(0.0, 0), (1.0, spans.len() - 1)] {
                let found = quantile(&buckets, q).expect("not empty").0;
                prop_assert!((found - spans[rank]).abs() * 100 <= spans[rank], "{found} for {}", spans[rank]);
            }
        }
    }
}
