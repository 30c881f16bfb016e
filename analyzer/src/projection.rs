//! What will a month cost, judging by the days so far, and how sure is that?
//!
//! The month is the mean day times its length. The interval is a bootstrap over whole days (a day's executions depend
//! on one another, so days are drawn, not executions): 2,000 draws with a fixed seed, the 2.5 and 97.5 percentiles.
//!
//! Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13.

use crate::model::Usd;
use crate::random::SplitMix;

const DRAWS: usize = 2_000;
/// With fewer days there is no interval: nobody knows how days differ.
const DAYS: usize = 3;
/// A month of the mean year, in thousandths of a day.
const MONTH_MILLIDAYS: u128 = 30_437;

/// A month's amount with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Projection {
    pub month: Usd,
    /// `None` with fewer than three days.
    pub interval: Option<(Usd, Usd)>,
    pub days: usize,
}

/// Projects a month from the amounts of whole days; `None` without any.
pub fn project(days: &[Usd]) -> Option<Projection> {
    if days.is_empty() {
        return None;
    }
    let month = month_of(days.iter().copied().sum(), days.len());
    let interval = (days.len() >= DAYS).then(|| {
        let mut random = SplitMix(0x5eed);
        let mut sums: Vec<Usd> =
            (0..DRAWS).map(|_| (0..days.len()).map(|_| days[random.below(days.len())]).sum()).collect();
        sums.sort_unstable();
        let at = |per_mille: usize| month_of(sums[(DRAWS - 1) * per_mille / 1_000], days.len());
        (at(25), at(975))
    });
    Some(Projection { month, interval, days: days.len() })
}

/// What an amount of so many days is in a month.
pub fn month_of(amount: Usd, n_days: usize) -> Usd {
    amount.scaled(MONTH_MILLIDAYS, 1_000 * n_days.max(1) as u128)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dollars(amounts: &[i128]) -> Vec<Usd> {
        amounts.iter().map(|it| Usd::from_atto(it * 1_000_000_000_000_000_000)).collect()
    }

    #[test]
    fn equal_days_have_an_interval_of_no_width() {
        let it = project(&dollars(&[10, 10, 10, 10])).expect("days");
        assert_eq!(it.month.to_decimal(), "304.37");
        assert_eq!(it.interval, Some((it.month, it.month)));
    }

    #[test]
    fn days_that_differ_widen_it_and_two_days_have_none() {
        let it = project(&dollars(&[5, 10, 15, 30])).expect("days");
        let (low, high) = it.interval.expect("an interval");
        assert!(low < it.month && it.month < high);
        assert_eq!(project(&dollars(&[5, 10])).expect("days").interval, None);
        assert_eq!(project(&[]), None);
    }
}
