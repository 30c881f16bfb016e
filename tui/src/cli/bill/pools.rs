//! Where do accounts leave the tiers of Express? A pool is an account's region in a month; its tiers are used up in the order of starts.

use std::collections::BTreeMap;
use std::rc::Rc;

use analyzer::model::{GbMillis, Timestamp, Usd, WorkflowType};
use analyzer::pricing::{Borders, ExpressRates, beyond_tier, gb_seconds};
use queries::{BillingMachine, ExpressStart, Range};

use super::free_tier::{month_of, months};
use super::ledger::{Exception, Kind, Ledger, Swapped, type_of};
use crate::failure::Failure;

const HOUR: i64 = 3_600_000_000;

/// An account, its region, and a month such as `2026-11`.
type PoolKey = (String, String, String);

/// The pools that leave their first tier.
#[derive(Default)]
pub(super) struct Pools {
    pools: BTreeMap<PoolKey, Pool>,
}

#[derive(Default)]
struct Pool {
    borders: Borders,
    instants: Vec<Instant>,
}

/// A border: the instant, what was used before it, and the executions that start at it, in order.
type Instant = (Timestamp, GbMillis, Vec<(u64, GbMillis)>);

impl Pools {
    pub(super) fn of(ledger: &Ledger<'_>, swapped: &Swapped) -> Result<Self, Failure> {
        // Whole months: what is asked for may be a part of them.
        let since = ledger.range.0.map(month_of);
        let until = ledger.range.1.and_then(|it| months(Timestamp(it.0 - 1), it).first().map(|it| it.1));
        let mut used: BTreeMap<PoolKey, GbMillis> = BTreeMap::new();
        for row in ledger.rows("machine", (since, until))?.iter() {
            let Some(machine) = ledger.machines.get(&row.machine_arn) else { continue };
            if let (WorkflowType::Express, Some(period)) = (type_of(machine, swapped), &row.period) {
                *used.entry(key(machine, period)).or_default() += ledger.used(row).0.memory_time;
            }
        }
        let mut pools = BTreeMap::new();
        for (key, used) in used {
            let begin = analyzer::time::parse(&format!("{}-01T00:00:00Z", key.2)).unwrap_or(Timestamp(0));
            let rates = ledger.prices.book_at(Some(begin)).express(ledger.prices.region(&key.1).0);
            let second = rates.and_then(|it| it.tiers.get(1)).map(|it| gb_seconds(it.0));
            if second.is_some_and(|it| used + ledger.prices.tier_used >= it) {
                let pool = Pool::of(ledger, swapped, &key, begin, rates)?;
                pools.insert(key, pool);
            }
        }
        Ok(Self { pools })
    }

    /// The parts of a range between the borders of all pools.
    pub(super) fn cuts(&self, (since, until): Range) -> Vec<Range> {
        let is_within = |at: &Timestamp| since.is_none_or(|it| *at > it) && until.is_none_or(|it| *at < it);
        let instants = self.pools.values().flat_map(|it| &it.instants).map(|it| it.0);
        let mut cuts: Vec<Timestamp> = instants.filter(is_within).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let starts = std::iter::once(since).chain(cuts.iter().copied().map(Some));
        let ends = cuts.iter().copied().map(Some).chain([until]);
        starts.zip(ends).collect()
    }

    /// The tier in which executions of a machine are priced that start from an instant on, up to the next cut.
    pub(super) fn tier(&self, machine: &BillingMachine, period: Option<&str>, from: Option<Timestamp>) -> usize {
        let pool = period.and_then(|it| self.pools.get(&key(machine, it)));
        pool.map_or(0, |it| it.borders.tier(from.unwrap_or(Timestamp(i64::MIN))))
    }

    /// The executions of the selection that start where a tier ends.
    pub(super) fn exceptions(&self, ledger: &Ledger<'_>) -> Result<Vec<Exception>, Failure> {
        let (since, until) = ledger.range;
        let mut found = Vec::new();
        for (key, pool) in &self.pools {
            for (at, used, starts) in &pool.instants {
                if since.is_some_and(|it| *at < it) || until.is_some_and(|it| *at >= it) {
                    continue;
                }
                let rates = ledger.prices.book_at(Some(*at)).express(ledger.prices.region(&key.1).0);
                let Some(rates) = rates else { continue };
                let amounts: Vec<GbMillis> = starts.iter().map(|it| it.1).collect();
                let more = beyond_tier(rates, pool.borders.tier(*at), *used, &amounts);
                let ids: Vec<u64> = starts.iter().map(|it| it.0).collect();
                for it in ledger.runs.known(&ids, |at| ledger.billed_at_start(at))? {
                    let more = ids.iter().position(|id| *id == it.id).map_or(Usd::ZERO, |place| more[place]);
                    let (of, at) = (Rc::clone(&it.of), *at);
                    found.push(Exception { of, at, state: None, kind: Kind::Tier, usd: more });
                }
            }
        }
        Ok(found)
    }
}

impl Pool {
    fn of(
        ledger: &Ledger<'_>,
        swapped: &Swapped,
        (account, region, _): &PoolKey,
        begin: Timestamp,
        rates: Option<&ExpressRates>,
    ) -> Result<Self, Failure> {
        let bounds: Vec<GbMillis> =
            rates.map_or(Vec::new(), |it| it.tiers.iter().skip(1).map(|it| gb_seconds(it.0)).collect());
        let end = months(begin, begin).first().map_or(begin, |it| it.1);
        let is_own = |it: &ExpressStart| {
            let machine = ledger.machines.get(&it.machine_arn);
            machine.is_some_and(|it| type_of(it, swapped) == WorkflowType::Express)
        };
        let amount =
            |it: &ExpressStart| ledger.memory_time(&it.machine_arn, it.billed_memory_mb, it.payload_mb, it.billed_ms);
        let mut pool = Self::default();
        let mut used = ledger.prices.tier_used;
        let mut left = bounds.into_iter().peekable();
        // What is used elsewhere comes first.
        while left.next_if(|it| *it <= used).is_some() {
            pool.borders.0.push(Timestamp(i64::MIN));
        }
        let mut hours: BTreeMap<Timestamp, GbMillis> = BTreeMap::new();
        for it in ledger.reader.express_starts((account, region), (begin, end), false)?.iter().filter(|it| is_own(it)) {
            *hours.entry(it.at).or_default() += amount(it);
        }
        for (hour, sum) in hours {
            if left.peek().is_some_and(|it| *it <= used + sum) {
                let span = (hour, Timestamp(hour.0 + HOUR));
                let starts = ledger.reader.express_starts((account, region), span, true)?;
                let mut so_far = used;
                for it in starts.iter().filter(|it| is_own(it)) {
                    so_far += amount(it);
                    while left.next_if(|it| *it <= so_far).is_some() {
                        pool.borders.0.push(it.at);
                    }
                }
                pool.note_instants(
                    used,
                    &starts.iter().filter(|it| is_own(it)).map(|it| (it, amount(it))).collect::<Vec<_>>(),
                );
            }
            used += sum;
        }
        Ok(pool)
    }

    /// Notes what starts at the borders within an hour.
    fn note_instants(&mut self, mut used: GbMillis, starts: &[(&ExpressStart, GbMillis)]) {
        for at_once in starts.chunk_by(|a, b| a.0.at == b.0.at) {
            let at = at_once[0].0.at;
            if self.borders.0.contains(&at) {
                let there = at_once.iter().filter_map(|(it, amount)| Some((it.id?, *amount))).collect();
                self.instants.push((at, used, there));
            }
            used += at_once.iter().map(|it| it.1).sum();
        }
    }
}

fn key(machine: &BillingMachine, period: &str) -> PoolKey {
    let month = period.split('#').next().unwrap_or(period);
    (machine.account.clone(), machine.region.clone(), month.to_owned())
}
