//! Evidence against "no more often than usual" that may be looked at as often as one likes.
//!
//! A p-value that is looked at again and again is below 0.05 sooner or later. An e-process is not: under the null hypothesis the chance that it
//! ever exceeds 1/α is at most α (Ville 1939). Ours is the likelihood of what happened under larger rates, averaged over a grid of them,
//! against the usual rate; each term is a supermartingale while the true rate is at most the usual one, and so is their mean.
//!
//! Sources: Robbins, "Statistical Methods Related to the Law of the Iterated Logarithm", Ann. Math. Stat. 1970 (mixtures); Lindon, Sanden
//! and Shirikian, "Rapid Regression Detection in Software Deployments through Sequential Testing", KDD 2022 (their use in operation).

/// Rates that are averaged over.
const GRID: u32 = 64;

/// The evidence that something that usually happens in a part `usual` of all cases happens more often, after `hits` of `cases`.
#[expect(clippy::cast_precision_loss, reason = "counts")]
pub fn evidence_of_more(usual: f64, hits: u64, cases: u64) -> f64 {
    let usual = usual.clamp(1e-9, 1.0 - 1e-9);
    let (hits, misses) = (hits as f64, cases.saturating_sub(hits) as f64);
    let term = |place: u32| {
        // Evenly in the logarithm of the odds: twice as often matters at any level.
        let odds = usual / (1.0 - usual) * (f64::from(place + 1) / f64::from(GRID) * LARGEST).exp();
        let rate = odds / (1.0 + odds);
        hits * (rate / usual).ln() + misses * ((1.0 - rate) / (1.0 - usual)).ln()
    };
    let terms: Vec<f64> = (0..GRID).map(term).collect();
    let largest = terms.iter().copied().fold(f64::MIN, f64::max);
    let sum: f64 = terms.iter().map(|it| (it - largest).exp()).sum();
    (largest + (sum / f64::from(GRID)).ln()).exp()
}

/// The largest factor of the odds, as a logarithm: about 400 times.
const LARGEST: f64 = 6.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix;

    /// The most evidence in a stream of cases that is looked at after each.
    fn most(usual: f64, true_per_mille: usize, seed: u64) -> f64 {
        let mut random = SplitMix(seed);
        let (mut hits, mut most) = (0, 0.0_f64);
        for cases in 1..=1_000 {
            hits += u64::from(random.below(1_000) < true_per_mille);
            most = most.max(evidence_of_more(usual, hits, cases));
        }
        most
    }

    #[test]
    fn looking_after_every_case_raises_no_more_false_alarms_than_promised() {
        let alarms = (0..1_000).filter(|&seed| most(0.02, 20, seed) > 20.0).count();
        assert!(alarms <= 50, "{alarms} of 1,000 exceeded 20 at some time");
        assert!(alarms > 0, "the bound is not so loose that it says nothing");
    }

    #[test]
    fn what_happens_three_times_as_often_is_found() {
        let found = (0..200).filter(|&seed| most(0.02, 60, seed) > 1_000.0).count();
        assert!(found >= 190, "{found} of 200");
    }

    #[test]
    fn nothing_is_evidence_of_nothing() {
        assert!((evidence_of_more(0.02, 0, 0) - 1.0).abs() < 1e-12);
        assert!(evidence_of_more(0.02, 0, 500) < 1.0 && evidence_of_more(0.02, 10, 500) < 1.5);
        assert!(evidence_of_more(0.0, 3, 10).is_finite() && evidence_of_more(1.0, 10, 10).is_finite());
    }
}
