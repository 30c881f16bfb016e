//! Which value lies at a given rank? Exact, by linear interpolation between the two nearest.

use crate::model::Micros;

/// The `q` quantile (0 to 1) of sorted spans, as DuckDB's `quantile_cont` computes it; `None` for none.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ranks are small"
)]
pub fn of_sorted(sorted: &[Micros], q: f64) -> Option<Micros> {
    let last = sorted.len().checked_sub(1)?;
    let rank = q.clamp(0.0, 1.0) * last as f64;
    let below = rank.floor() as usize;
    let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
    Some(low + Micros(((high - low).0 as f64 * (rank - below as f64)).round() as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate_between_neighbours() {
        let spans = [10, 20, 30, 40].map(Micros);
        assert_eq!(of_sorted(&spans, 0.5), Some(Micros(25)));
        assert_eq!(of_sorted(&spans, 1.0), Some(Micros(40)));
        assert_eq!(of_sorted(&[], 0.5), None);
    }
}
