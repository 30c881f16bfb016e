//! What will a month cost, judging by the days so far, and how sure is that?
//!
//! The month is what a covered time cost, times how often that goes into a month; from less than a day nothing is projected. The interval is a bootstrap over whole days (a day's executions depend
//! on one another, so days are drawn, not executions): 2,000 draws with a fixed seed, the 2.5 and 97.5 percentiles.
//!
//! Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13.

use crate::model::{Micros, Timestamp, Usd};
use crate::random::SplitMix;
use crate::spans::{Span, Spans};

const DAY: Micros = Micros(86_400_000_000);
/// Below this a projection is rough: a week has days that differ.
const WEEK: Micros = Micros(7 * DAY.0);

const DRAWS: usize = 2_000;
/// Days that a sum is drawn from at most.
const MOST_DRAWN: usize = 366;
/// With fewer days there is no interval: nobody knows how days differ.
const DAYS: usize = 3;
/// A month of the mean year, in thousandths of a day.
const MONTH_MILLIDAYS: u128 = 30_437;

/// The time that a projection rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Basis {
    pub begin: Timestamp,
    pub end: Timestamp,
    /// Less than from begin to end where parts in between were not collected.
    pub covered: Micros,
}

/// Why nothing is projected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooLittle {
    NoExecutions,
    /// So much was collected.
    Collected(Micros),
    /// Nothing was collected, and from the first start to the last are so many whole days, and so much time.
    Stored {
        days: i64,
        span: Micros,
    },
}

/// Finds what a projection may rest on. Where time was collected, it needs a day of that; else two whole days (UTC), from that of the first start to
/// that of the last, which lie a day apart. `starts` are those of the executions in the range.
pub fn basis(
    collected: &Spans,
    starts: Option<(Timestamp, Timestamp)>,
    (since, until): (Option<Timestamp>, Option<Timestamp>),
) -> Result<Basis, TooLittle> {
    let (first, last) = starts.ok_or(TooLittle::NoExecutions)?;
    let clip = |it: &Span| Span {
        from: since.map_or(it.from, |since| since.max(it.from)),
        to: until.map_or(it.to, |until| until.min(it.to)),
    };
    let clipped: Spans = collected.as_slice().iter().map(clip).collect();
    // Executions before and after what was collected came in another way: then their starts are what is known.
    let holds_all = |it: &(Timestamp, Timestamp)| it.0 <= first && last <= it.1;
    if let Some((begin, end)) = clipped.start().zip(clipped.end()).filter(holds_all) {
        let covered = clipped.as_slice().iter().map(|it| it.to - it.from).sum();
        return if covered >= DAY { Ok(Basis { begin, end, covered }) } else { Err(TooLittle::Collected(covered)) };
    }
    let day = |at: Timestamp| at.0.div_euclid(DAY.0);
    let begin = Timestamp(day(first) * DAY.0);
    let end = Timestamp((day(last) + 1) * DAY.0);
    let begin = since.map_or(begin, |since| since.max(begin));
    let end = until.map_or(end, |until| until.min(end));
    let covered = end - begin;
    let (days, span) = (covered.0.div_euclid(DAY.0), last - first);
    if days >= 2 && span >= DAY { Ok(Basis { begin, end, covered }) } else { Err(TooLittle::Stored { days, span }) }
}

impl Basis {
    /// Whether it is shorter than a week.
    pub fn is_rough(&self) -> bool {
        self.covered < WEEK
    }

    #[expect(clippy::cast_precision_loss, reason = "for people")]
    pub fn days(&self) -> f64 {
        self.covered.0 as f64 / DAY.0 as f64
    }

    /// Whole days in it, where it has no holes: what an interval is drawn from.
    pub fn whole_days(&self) -> usize {
        let is_whole = self.end - self.begin == self.covered;
        if is_whole { usize::try_from(self.covered.0 / DAY.0).unwrap_or(0) } else { 0 }
    }

    /// What an amount of this time comes to in a month of the mean year.
    pub fn month_of(&self, amount: Usd) -> Usd {
        amount.scaled(
            MONTH_MILLIDAYS * u128::from(DAY.0.unsigned_abs()),
            1_000 * u128::from(self.covered.0.max(1).unsigned_abs()),
        )
    }

    /// The same of a count.
    pub fn month_of_count(&self, count: u64) -> u128 {
        u128::from(count) * MONTH_MILLIDAYS * u128::from(DAY.0.unsigned_abs())
            / (1_000 * u128::from(self.covered.0.max(1).unsigned_abs()))
    }
}

impl std::fmt::Display for TooLittle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let hours = |it: &Micros| it.0 as f64 / 3_600_000_000.0;
        match self {
            Self::NoExecutions => write!(f, "no execution is stored"),
            Self::Collected(covered) => {
                write!(f, "{:.1} hours were collected, and a projection needs 24", hours(covered))
            }
            Self::Stored { span, .. } => write!(
                f,
                "the stored executions cover {:.1} hours, and a projection needs two whole days (UTC) or 24 collected hours",
                hours(span)
            ),
        }
    }
}

/// The interval of a month that is like these days; `None` with fewer than three.
pub fn month_interval(days: &[Usd]) -> Option<(Usd, Usd)> {
    let (low, high) = interval_of_sum(days, days.len())?;
    Some((month_of(low, days.len()), month_of(high, days.len())))
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
fn month_of(amount: Usd, n_days: usize) -> Usd {
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
        let basis = Basis { begin: Timestamp(0), end: Timestamp(4 * DAY.0), covered: Micros(4 * DAY.0) };
        let month = basis.month_of(dollars(&[40])[0]);
        assert_eq!((month.to_decimal(), basis.month_of_count(4_000)), ("304.37".to_owned(), 30_437));
        assert_eq!(month_interval(&dollars(&[10, 10, 10, 10])), Some((month, month)));
    }

    const HOUR: i64 = 3_600_000_000;

    fn check(collected: &[(i64, i64)], starts: (i64, i64), range: (Option<i64>, Option<i64>), expected: &str) {
        let at = |hour: i64| Timestamp(hour * HOUR);
        let spans: Spans = collected.iter().map(|it| Span { from: at(it.0), to: at(it.1) }).collect();
        let found = basis(&spans, Some((at(starts.0), at(starts.1))), (range.0.map(at), range.1.map(at)));
        let text = match found {
            Ok(it) => format!("{}..{} {}", it.begin.0 / HOUR, it.end.0 / HOUR, it.covered.0 / HOUR),
            Err(why) => format!("{why:?}"),
        };
        assert!(text.starts_with(expected), "{text} for {collected:?} {starts:?} {range:?}");
    }

    #[test]
    fn nothing_is_projected_from_less_than_a_day() {
        let all = (None, None);
        check(&[(0, 24)], (1, 23), all, "0..24 24");
        check(&[(0, 23)], (1, 22), all, "Collected");
        check(&[(0, 12), (36, 48)], (1, 47), all, "0..48 24");
        check(&[(0, 24)], (1, 23), (Some(23), None), "Stored");
        check(&[(0, 24)], (23, 23), (Some(20), None), "Collected");
        check(&[(0, 72)], (30, 70), (Some(24), Some(72)), "24..72 48");
        check(&[], (5, 5), all, "Stored");
        check(&[], (23, 25), all, "Stored");
        check(&[], (12, 36), all, "0..48 48");
        check(&[], (12, 60), all, "0..72 72");
        check(&[], (12, 60), (Some(12), Some(61)), "12..61 49");
        // What was collected has nothing to do with executions of another time.
        check(&[(1_000, 1_048)], (0, 100), all, "0..120 120");
        assert_eq!(basis(&Spans::default(), None, (None, None)), Err(TooLittle::NoExecutions));
        assert!(Basis { begin: Timestamp(0), end: Timestamp(DAY.0), covered: DAY }.is_rough());
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
        let month = month_of(dollars(&[60])[0], 4);
        let (low, high) = month_interval(&dollars(&[5, 10, 15, 30])).expect("an interval");
        assert!(low < month && month < high);
        assert_eq!(month_interval(&dollars(&[5, 10])), None);
    }
}
