//! What will a month cost, judging by the days so far, and how sure is that?
//!
//! The month is the mean day times its length. The interval is a bootstrap over whole days (a day's executions depend
//! on one another, so days are drawn, not executions): 2,000 draws with a fixed seed, the 2.5 and 97.5 percentiles.
//!
//! Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13.

use crate::model::Usd;
use crate::random::SplitMix;

const DRAWS: usize = 2_000;
/// Days that a sum is drawn from at most.
const MOST_DRAWN: usize = 366;
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
    let interval = interval_of_sum(days, days.len());
    let interval = interval.map(|(low, high)| (month_of(low, days.len()), month_of(high, days.len())));
    Some(Projection { month, interval, days: days.len() })
}

/// In what range the sum of so many days lies that are like these; `None` with fewer than three to judge by.
pub fn interval_of_sum(days: &[Usd], n_days: usize) -> Option<(Usd, Usd)> {
    if days.len() < DAYS {
        return None;
    }
    let mut random = SplitMix(0x5eed);
    // Beyond a year fewer days are drawn and scaled: the interval is a little too wide, and the work does not grow with the time.
    let n_drawn = n_days.min(MOST_DRAWN);
    let mut sums: Vec<Usd> = (0..DRAWS).map(|_| (0..n_drawn).map(|_| days[random.below(days.len())]).sum()).collect();
    sums.sort_unstable();
    let at = |per_mille: usize| sums[(DRAWS - 1) * per_mille / 1_000].scaled(n_days as u128, n_drawn.max(1) as u128);
    Some((at(25), at(975)))
}

/// What a month that has begun will cost, and how well such forecasts did on the days before.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    pub usd: Usd,
    /// `None` with fewer than three whole days.
    pub interval: Option<(Usd, Usd)>,
    pub backtest: Option<Backtest>,
}

/// Forecasts of past days from those before them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backtest {
    pub forecasts: usize,
    /// How far off they were on average, as a fraction.
    pub mean_error: f64,
    /// The part of them whose interval held what came.
    pub within_interval: f64,
}

/// Forecasts of the backtest: the latest say how well it does now.
const BACKTESTED: usize = 90;
/// Days that a forecast of the backtest looks ahead.
const AHEAD: usize = 7;
/// Whole days that a forecast of the backtest has to judge by at least.
const BEHIND: usize = 7;

/// Adds to what a month has cost so far its remaining time at the rate of these whole days, in thousandths of a day.
pub fn forecast(days: &[Usd], so_far: Usd, remaining_millidays: u64) -> Option<Forecast> {
    if days.is_empty() {
        return None;
    }
    let total: Usd = days.iter().copied().sum();
    let scale = |amount: Usd, n: usize| amount.scaled(remaining_millidays.into(), 1_000 * n.max(1) as u128);
    let n_ahead = usize::try_from(remaining_millidays.div_ceil(1_000)).unwrap_or(0).max(1);
    let interval =
        interval_of_sum(days, n_ahead).map(|(low, high)| (so_far + scale(low, n_ahead), so_far + scale(high, n_ahead)));
    Some(Forecast { usd: so_far + scale(total, days.len()), interval, backtest: backtest(days) })
}

/// Forecasts a week at each day that has a week before it and a week after it.
fn backtest(days: &[Usd]) -> Option<Backtest> {
    let (mut forecasts, mut errors, mut within) = (0_usize, 0.0, 0_usize);
    let end = days.len().saturating_sub(AHEAD - 1);
    for at in BEHIND.max(end.saturating_sub(BACKTESTED))..end {
        let (before, after) = (&days[..at], &days[at..at + AHEAD]);
        let truth: Usd = after.iter().copied().sum();
        let mean: Usd = before.iter().copied().sum();
        let told = mean.scaled(AHEAD as u128, at as u128);
        let (low, high) = interval_of_sum(before, AHEAD)?;
        if truth > Usd::ZERO {
            forecasts += 1;
            errors += (told.as_f64() - truth.as_f64()).abs() / truth.as_f64();
            within += usize::from((low..=high).contains(&truth));
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of days")]
    let of = |it: f64| it / forecasts as f64;
    #[expect(clippy::cast_precision_loss, reason = "a count of days")]
    (forecasts > 0).then(|| Backtest { forecasts, mean_error: of(errors), within_interval: of(within as f64) })
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
    fn a_forecast_of_steady_days_is_right_and_says_so() {
        let it = forecast(&dollars(&[10; 21]), dollars(&[50])[0], 2_500).expect("days");
        assert_eq!(it.usd.to_decimal(), "75");
        assert_eq!(
            it.interval.map(|it| (it.0.to_decimal(), it.1.to_decimal())),
            Some(("75".to_owned(), "75".to_owned()))
        );
        assert_eq!(it.backtest, Some(Backtest { forecasts: 8, mean_error: 0.0, within_interval: 1.0 }));
    }

    #[test]
    fn a_backtest_shows_that_growth_was_not_foreseen() {
        let growing: Vec<i128> = (1..=28).map(|it| it * it).collect();
        let it = forecast(&dollars(&growing), Usd::ZERO, 1_000).expect("days").backtest.expect("enough days");
        assert!(it.mean_error > 0.3 && it.within_interval < 0.5, "{it:?}");
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
