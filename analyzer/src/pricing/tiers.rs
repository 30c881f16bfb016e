//! What does Express memory-time cost where an account, region and month already used some? Tiers are used up in the order of starts.
//!
//! Billed durations are whole steps of 100 ms and billed memory whole steps of 64 MB. A rate is divided once, into the price of such a
//! chunk, so that prices of parts add up to the price of the whole without any rounding.

use super::ExpressRates;
use crate::model::{GbMillis, Timestamp, Usd};

/// Megabyte-milliseconds of a chunk: 64 MB for 100 ms.
const CHUNK: u128 = 6_400;
/// Chunks of a GB-second, which is 1,024 MB for 1,000 ms.
const OF_GB_SECOND: u64 = 160;

fn chunks(amount: GbMillis) -> u64 {
    u64::try_from(amount.0.div_ceil(CHUNK)).unwrap_or(u64::MAX)
}

fn price_of(rate: Usd, chunks: u64) -> Usd {
    rate.scaled(1, OF_GB_SECOND.into()) * chunks
}

/// The memory-time of GB-seconds.
pub fn gb_seconds(amount: u64) -> GbMillis {
    GbMillis(u128::from(amount) * u128::from(OF_GB_SECOND) * CHUNK)
}

impl ExpressRates {
    /// The price of memory-time that comes after some that was used already in the same pool.
    pub fn after(&self, used: GbMillis, amount: GbMillis) -> Usd {
        let (from, to) = (chunks(used), chunks(used) + chunks(amount));
        let bounds = self.tiers.iter().skip(1).map(|it| it.0 * OF_GB_SECOND).chain([u64::MAX]);
        let of_tier = |(&(above, rate), below): (&(u64, Usd), u64)| {
            let above = above * OF_GB_SECOND;
            price_of(rate, to.min(below).saturating_sub(from.max(above)))
        };
        self.tiers.iter().zip(bounds).map(of_tier).sum()
    }

    /// The price of memory-time in one tier, counted from 0; beyond the last one, in that.
    pub fn in_tier(&self, tier: usize, amount: GbMillis) -> Usd {
        let rate = self.tiers.get(tier).or(self.tiers.last()).map_or(Usd::ZERO, |it| it.1);
        price_of(rate, chunks(amount))
    }
}

/// The instants at which a pool leaves its tiers, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Borders(pub Vec<Timestamp>);

impl Borders {
    /// The tier that executions are priced in which start at an instant; those that start at a border itself have their own exception.
    pub fn tier(&self, at: Timestamp) -> usize {
        self.0.partition_point(|it| *it <= at)
    }
}

/// What executions that start at one instant pay beyond the price of the tier that begins there: those of a pool, in order, after `used`.
pub fn beyond_tier(rates: &ExpressRates, tier: usize, mut used: GbMillis, starts: &[GbMillis]) -> Vec<Usd> {
    let one = |it: &GbMillis| {
        let exact = rates.after(used, *it);
        used += *it;
        exact - rates.in_tier(tier, *it)
    };
    starts.iter().map(one).collect()
}
