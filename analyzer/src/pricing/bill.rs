//! Quantities times rates.

use super::{ExpressRates, LogRates};
use crate::model::{GbMillis, Micros, Usd};

/// A Standard bill: all transitions at list price, and what those of the free tier would have cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StandardBill {
    pub gross: Usd,
    pub free: Usd,
}

impl StandardBill {
    pub fn net(&self) -> Usd {
        self.gross - self.free
    }
}

/// What Express executions used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExpressUsage {
    pub requests: u64,
    pub memory_time: GbMillis,
}

impl std::ops::AddAssign for ExpressUsage {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.memory_time += other.memory_time;
    }
}

/// An Express bill, by the tiers that the account had reached when each execution started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExpressBill {
    pub requests: Usd,
    pub duration: Usd,
    /// The duration at list price, that is, in the first tier.
    pub list: Usd,
}

impl std::ops::AddAssign for ExpressBill {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.duration += other.duration;
        self.list += other.list;
    }
}

impl ExpressBill {
    pub fn total(&self) -> Usd {
        self.requests + self.duration
    }

    pub fn list_total(&self) -> Usd {
        self.requests + self.list
    }
}

/// The duration that is billed: up to the next 100 ms, and at least that.
pub fn billed_ms(duration: Micros) -> u64 {
    u64::try_from(duration.0.max(1)).unwrap_or(0).div_ceil(100_000) * 100
}

/// The memory that is billed: up to the next 64 MB.
pub fn billed_memory_mb(bytes: u64) -> u64 {
    bytes.max(1).div_ceil(64_000_000) * 64
}

impl ExpressUsage {
    /// The list price, in the first tier.
    pub fn list(&self, rates: &ExpressRates) -> ExpressBill {
        let duration = rates.in_tier(0, self.memory_time);
        ExpressBill { requests: rates.per_request * self.requests, duration, list: duration }
    }

    /// The price of what an account used in a month, all of it.
    pub fn alone(&self, rates: &ExpressRates) -> ExpressBill {
        let duration = rates.after(GbMillis::default(), self.memory_time);
        ExpressBill { duration, ..self.list(rates) }
    }
}

/// The price of log bytes of one month over marginal tiers. A gigabyte is 10^9 bytes here, as the tiers are terabytes of a
/// thousand gigabytes.
pub fn log_ingestion(bytes: u64, rates: &LogRates) -> Usd {
    const GB: u128 = 1_000_000_000;
    let bytes = u128::from(bytes);
    let bounds = rates.tiers.iter().skip(1).map(|it| u128::from(it.0) * GB).chain([u128::MAX]);
    let mut sum = Usd::ZERO;
    for (&(above, rate), below) in rates.tiers.iter().zip(bounds) {
        sum += rate.scaled(bytes.min(below).saturating_sub(u128::from(above) * GB), GB);
    }
    sum
}

/// Rounds parts to pico-dollars so that they add up to their rounded sum: the largest remainders are rounded up.
pub fn rounded_to_add_up(parts: &[Usd]) -> Vec<Usd> {
    const PICO: i128 = 1_000_000;
    let total = parts.iter().copied().sum::<Usd>().round_to_pico();
    let mut rounded: Vec<i128> = parts.iter().map(|it| it.atto().div_euclid(PICO)).collect();
    let missing = total - rounded.iter().sum::<i128>();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|&it| std::cmp::Reverse(parts[it].atto().rem_euclid(PICO)));
    for &index in order.iter().take(usize::try_from(missing).unwrap_or(0)) {
        rounded[index] += 1;
    }
    rounded.into_iter().map(|it| Usd::from_atto(it * PICO)).collect()
}

/// Shares an amount out by weights, in attodollars: the parts add up to it exactly. Without any weight all of it is the last part's.
pub fn shared_out(amount: Usd, weights: &[u128]) -> Vec<Usd> {
    let total: u128 = weights.iter().sum();
    let (mut before, mut given) = (0_u128, Usd::ZERO);
    let last = weights.len().saturating_sub(1);
    let part = |(index, weight): (usize, &u128)| {
        before += weight;
        let upto = if index == last { amount } else { amount.scaled(before, total) };
        let upto = if total == 0 && index < last { Usd::ZERO } else { upto };
        let part = upto - given;
        given = upto;
        part
    };
    weights.iter().enumerate().map(part).collect()
}
