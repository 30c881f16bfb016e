//! What does a month cost: at the rate so far, by its end, and without one machine?

use analyzer::model::{Usd, WorkflowType};
use analyzer::projection::{Forecast, Projection, month_of, project};
use queries::Usage;

use super::advice::Adviser;
use crate::cli::bill::MachineCost;

const DAY: i64 = 86_400_000_000;

/// A month as the executions so far suggest.
pub(super) struct Month {
    pub(super) usd: Usd,
    pub(super) interval: Option<(Usd, Usd)>,
    /// How much time it rests on.
    pub(super) days: f64,
}

/// What the month in which the last execution started will cost.
pub(super) struct MonthForecast {
    pub(super) month: String,
    pub(super) so_far: Usd,
    pub(super) forecast: Forecast,
}

impl Adviser<'_> {
    /// A month from whole days; from less than a day, in proportion and without an interval.
    pub(super) fn project(&self, it: &MachineCost, all: &[MachineCost]) -> Option<Month> {
        let (end, first) = (self.end?, it.machine.first_at?);
        let span = (end - self.since.map_or(first, |since| since.max(first))).0.max(60_000_000);
        let own: Vec<&Usage> = self.daily.iter().filter(|row| row.machine_arn == it.machine.arn).collect();
        let n_days = usize::try_from(span / DAY).unwrap_or(0);
        let amount = |row: &Usage| self.list_price(it, row);
        let free = |month: Usd| self.free_in_a_month(it, all).min(month);
        if n_days == 0 {
            let total: Usd = own.iter().map(|row| amount(row)).sum::<Option<Usd>>()?;
            let day = total.scaled(DAY.cast_unsigned().into(), span.cast_unsigned().into());
            let month = month_of(day, 1);
            #[expect(clippy::cast_precision_loss, reason = "a part of a day")]
            let days = span as f64 / DAY as f64;
            return Some(Month { usd: month - free(month), interval: None, days });
        }
        let mut days = vec![Usd::ZERO; n_days];
        for row in own {
            let day = row.key.as_deref().and_then(|it| it.parse::<usize>().ok());
            if let Some(day) = day.filter(|it| *it < n_days) {
                days[day] += amount(row)?;
            }
        }
        let Projection { month, interval, .. } = project(&days)?;
        #[expect(clippy::cast_precision_loss, reason = "a count of days")]
        let days = n_days as f64;
        Some(Month {
            usd: month - free(month),
            interval: interval.map(|(low, high)| (low - free(low), high - free(high))),
            days,
        })
    }

    /// The month that has begun: what it has cost, and its remaining time at the rate of the whole days so far.
    pub(super) fn forecast(&self, it: &MachineCost, all: &[MachineCost]) -> Option<MonthForecast> {
        let (end, first) = (self.end?, it.machine.first_at?);
        let month = analyzer::time::month(end);
        let (year, number) = month.split_once('-')?;
        let (year, number): (u32, u32) = (year.parse().ok()?, number.parse().ok()?);
        let (year, number) = if number == 12 { (year + 1, 1) } else { (year, number + 1) };
        let next_month = analyzer::time::parse(&format!("{year}-{number:02}-01"))?;
        // The first day is whole only where the range begins with it, and the last one is not over.
        let first_whole = self.since.map_or(first.0.div_euclid(DAY) + 1, |since| (since.0 + DAY - 1).div_euclid(DAY));
        let last = end.0.div_euclid(DAY);
        let mut days = vec![Usd::ZERO; usize::try_from(last - first_whole).unwrap_or(0)];
        let mut so_far = Usd::ZERO;
        for row in self.calendar.iter().filter(|row| row.machine_arn == it.machine.arn) {
            let Some(key) = row.key.as_deref() else { continue };
            let amount = self.list_price(it, row)?;
            if key.starts_with(&month) {
                so_far += amount;
            }
            let day = analyzer::time::parse(key)?.0.div_euclid(DAY) - first_whole;
            if let Some(day) = usize::try_from(day).ok().and_then(|it| days.get_mut(it)) {
                *day += amount;
            }
        }
        let remaining = u64::try_from((next_month - end).0 / (DAY / 1_000)).unwrap_or(0);
        let mut found = analyzer::projection::forecast(&days, so_far, remaining)?;
        let net = |amount: Usd| amount - self.free_in_a_month(it, all).min(amount);
        found.usd = net(found.usd);
        found.interval = found.interval.map(|(low, high)| (net(low), net(high)));
        Some(MonthForecast { month, so_far: net(so_far), forecast: found })
    }

    fn list_price(&self, it: &MachineCost, row: &Usage) -> Option<Usd> {
        self.list_price_as(it, row, it.machine.workflow_type)
    }

    /// What usage would cost as either type, at list price.
    pub(super) fn list_price_as(&self, it: &MachineCost, row: &Usage, as_type: WorkflowType) -> Option<Usd> {
        match as_type {
            WorkflowType::Standard => {
                let extra = self.prices.book().extra_transitions * row.executions;
                Some(self.prices.book().standard(&it.region)?.per_transition * (row.transitions + extra))
            }
            WorkflowType::Express => {
                let rates = self.prices.book().express(&it.region)?;
                let bill = it.express?;
                // The rate that the whole period paid, tiers and all.
                let duration = bill.duration.scaled(row.mb_ms.into(), it.usage.memory_time.0.max(1));
                Some(rates.per_request * row.executions + duration)
            }
        }
    }

    /// The machine's share of a month's free transitions: that of its transitions among those of its account.
    fn free_in_a_month(&self, it: &MachineCost, all: &[MachineCost]) -> Usd {
        if it.machine.workflow_type == WorkflowType::Express {
            return Usd::ZERO;
        }
        let Some(rate) = self.prices.book().standard(&it.region) else { return Usd::ZERO };
        let shares = |other: &&MachineCost| {
            other.machine.account == it.machine.account && other.machine.workflow_type == WorkflowType::Standard
        };
        let total: u64 = all.iter().filter(shares).map(|it| it.transitions).sum();
        (rate.per_transition * self.prices.book().free_transitions).scaled(it.transitions.into(), total.max(1).into())
    }

    /// An amount of the whole period as that of a month.
    pub(super) fn monthly(&self, it: &MachineCost, amount: Usd) -> Option<Usd> {
        let (end, first) = (self.end?, it.machine.first_at?);
        let span = (end - self.since.map_or(first, |since| since.max(first))).0.max(60_000_000);
        Some(month_of(amount.scaled(DAY.cast_unsigned().into(), span.cast_unsigned().into()), 1))
    }
}
