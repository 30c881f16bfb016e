//! Stored quantities times the price book: what each machine paid, and what it would pay as the other type.
//!
//! The price of a transition does not depend on the question. Which ones the free tier covers, and which tier an Express execution is
//! billed in, follows from the order of time of everything that is stored of the account (`ledger.rs`); a bill over any selection is
//! the sum over what is selected, exact to the attodollar.

use std::collections::BTreeMap;
use std::str::FromStr;

use analyzer::model::{GbMillis, Micros, Timestamp, Usd, WorkflowType};
use analyzer::pricing::{ExpressBill, ExpressUsage, PriceBook, PriceBooks, StandardBill, billed_memory_mb, gb_seconds};
use queries::{ExecutionRow, MachineRow, Reader};
use serde_json::{Number, Value};

use super::Context;
use crate::failure::Failure;

mod basis;
mod days;
mod free_tier;
mod ledger;
mod memory;
mod pools;
mod price_lines;
mod runs;

pub(crate) use basis::{free_tier_fields, free_tier_note, is_about};
pub(crate) use days::{DayLine, by_usage_day};
pub(crate) use ledger::{Ledger, Line, Swapped, Usage};
pub(crate) use price_lines::price_lines;

/// What the service takes before any payload, in bytes: the documented estimate for runs without billing details.
pub(crate) const BASE_MEMORY: u64 = 50_000_000;

/// CloudWatch's metric of the memory that Express executions were billed for, in megabytes.
const BILLED_MEMORY: &str = "ExpressExecutionBilledMemory";

/// A mean of megabytes as whole chunks of 64, which is what is billed.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "megabytes of an execution are few")]
fn whole_chunks(mb: f64) -> u64 {
    (mb.max(1.0).ceil() as u64).div_ceil(64) * 64
}

/// The price books in force, and the region for what has none.
pub(crate) struct Prices {
    pub(crate) books: PriceBooks,
    assumed_region: String,
    /// States that may run twice without harm, as `MACHINE/STATE`.
    repeatable: Vec<String>,
    /// Megabytes of functions by name, `*` for all others.
    function_memory: BTreeMap<String, u64>,
    /// Free transitions of each month, and GB-seconds of its tiers, that something used which is not stored here.
    free_tier_used: u64,
    tier_used: GbMillis,
}

/// Where the billed memory of Express executions is known from; the weakest that was needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MemorySource {
    BillingDetails,
    Metric,
    Estimate,
}

impl MemorySource {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::BillingDetails => "billing_details",
            Self::Metric => "metric",
            Self::Estimate => "estimate",
        }
    }
}

/// What one machine's stored executions cost.
#[derive(Clone)]
pub(crate) struct MachineCost {
    pub(crate) machine: MachineRow,
    pub(crate) region: String,
    /// The machine's own region is not known or has no price of its own.
    pub(crate) is_region_assumed: bool,
    pub(crate) transitions: u64,
    /// `None` where the region has no known price.
    pub(crate) standard: Option<StandardBill>,
    pub(crate) express: Option<ExpressBill>,
    pub(crate) usage: ExpressUsage,
    pub(crate) memory_mb: Option<u64>,
    pub(crate) memory_source: MemorySource,
    /// Net of the free tier and by volume tiers.
    pub(crate) actual: Option<Usd>,
    /// The same at list price: no free tier, the first volume tier.
    pub(crate) list: Option<Usd>,
    /// What is missing in the amounts; sentences.
    pub(crate) unpriced: Vec<String>,
}

impl Prices {
    pub(crate) fn new(context: &Context) -> Result<Self, Failure> {
        Ok(Self {
            books: context.price_books()?,
            assumed_region: context.config.price_region().to_owned(),
            repeatable: context.config.repeatable.clone(),
            function_memory: context.config.function_memory.clone(),
            free_tier_used: context.config.free_tier_used.unwrap_or(0),
            tier_used: gb_seconds(context.config.tier_used.unwrap_or(0)),
        })
    }

    /// What the user says of a function's memory, in megabytes.
    pub(crate) fn function_memory(&self, name: &str) -> Option<u64> {
        self.function_memory.get(name).or_else(|| self.function_memory.get("*")).copied()
    }

    /// Whether the user says that a state may run twice without harm.
    pub(crate) fn is_repeatable(&self, machine: &str, state: &str) -> bool {
        self.repeatable.iter().any(|it| it.split_once('/') == Some((machine, state)))
    }

    /// Free transitions of a month that are not used elsewhere, by the newest book.
    pub(crate) fn free_transitions(&self) -> u64 {
        self.book().free_transitions.saturating_sub(self.free_tier_used)
    }

    /// The newest book: for what has no day, and for what might be.
    pub(crate) fn book(&self) -> &PriceBook {
        self.books.newest()
    }

    /// The book of a period, which is a month and behind a `#` the place of its book.
    fn book_of(&self, period: Option<&str>) -> &PriceBook {
        let place = period.and_then(|it| it.split_once('#')).and_then(|it| it.1.parse().ok());
        match place {
            Some(place) => self.books.get(place),
            None if self.books.starts().is_empty() => self.books.get(0),
            None => self.book(),
        }
    }

    /// The days from which on other books apply than the first, with commas between.
    fn book_starts(&self) -> Option<String> {
        let starts = self.books.starts().join(",");
        (!starts.is_empty()).then_some(starts)
    }

    /// The book of an instant.
    pub(crate) fn book_at(&self, at: Option<Timestamp>) -> &PriceBook {
        if self.books.starts().is_empty() {
            return self.book();
        }
        at.map_or(self.book(), |it| self.book_of_day(&analyzer::time::format(it)))
    }

    /// The book of a day, given as RFC 3339 writes it.
    pub(crate) fn book_of_day(&self, day: &str) -> &PriceBook {
        self.books.get(self.books.starts().iter().filter(|it| day >= **it).count())
    }

    /// The region whose prices apply, and whether that is an assumption.
    fn region<'a>(&'a self, region: &'a str) -> (&'a str, bool) {
        if region == "local" || region.is_empty() { (&self.assumed_region, true) } else { (region, false) }
    }

    /// The list price of one execution, before free tier and volume tiers.
    pub(crate) fn execution(&self, row: &ExecutionRow) -> Option<Usd> {
        let (region, _) = self.region(&row.region);
        let book = self.book_at(row.started_at);
        match row.workflow_type {
            // Of a closed execution whose events are not all there, only a part of the price is known.
            WorkflowType::Standard if row.status.is_closed() && !row.complete => None,
            WorkflowType::Standard => {
                Some(book.standard(region)?.per_transition * (row.billed_transitions + book.extra_transitions))
            }
            WorkflowType::Express => {
                let ms = row.billed_ms.or(row.express_ms)?;
                let mb = row.billed_memory_mb.unwrap_or_else(|| billed_memory_mb(BASE_MEMORY));
                let usage = ExpressUsage { requests: row.runs, memory_time: GbMillis::of(mb, ms) };
                Some(usage.list(book.express(region)?).total())
            }
        }
    }

    /// The list price of Express executions of a machine, in the first tier.
    pub(crate) fn express(&self, machine_arn: &str, usage: ExpressUsage) -> Option<Usd> {
        let (region, _) = self.region(machine_arn.split(':').nth(3).unwrap_or("local"));
        Some(usage.list(self.book().express(region)?).total())
    }

    /// What a state transition of a machine costs at list price, at some time.
    pub(crate) fn per_transition(&self, machine_arn: &str, at: Option<Timestamp>) -> Option<Usd> {
        let region = machine_arn.split(':').nth(3).unwrap_or_default();
        self.book_at(at).standard(self.region(region).0).map(|it| it.per_transition)
    }

    /// The list price of transitions of a machine, told by its ARN.
    pub(crate) fn transitions(&self, machine_arn: &str, count: u64) -> Option<Usd> {
        let region = machine_arn.split(':').nth(3).unwrap_or("local");
        let (region, _) = self.region(if machine_arn == "unknown" { "local" } else { region });
        Some(self.book().standard(region)?.per_transition * count)
    }
}

/// Prices every machine over the executions that started in the range, as what it is: what the other type would cost is left out.
pub(crate) fn paid(
    reader: &Reader,
    prices: &Prices,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<Vec<MachineCost>, Failure> {
    let ledger = Ledger::of_starts(reader, prices, (since, until))?;
    paid_of(&ledger, reader.machines(since, until)?)
}

/// The same of some machines.
pub(crate) fn paid_of(ledger: &Ledger<'_>, machines: Vec<MachineRow>) -> Result<Vec<MachineCost>, Failure> {
    let mut lines = ledger.by_machine(&Swapped::new())?;
    let price = |it: MachineRow| {
        let own = lines.remove(&it.arn).unwrap_or_default();
        price(it, ledger.prices, own, Line::default())
    };
    Ok(machines.into_iter().map(price).collect())
}

/// Prices these machines over the executions of the ledger's range, as what they are and as what they are not.
pub(crate) fn costs_of(ledger: &Ledger<'_>, machines: Vec<MachineRow>) -> Result<Vec<MachineCost>, Failure> {
    let mut lines = ledger.by_machine(&Swapped::new())?;
    let price = |it: MachineRow| {
        let swapped = Swapped::from([it.arn.clone()]);
        // As the other type, the machine takes its place among those that are of that type already.
        let other = ledger.by_machine(&swapped)?.remove(&it.arn).unwrap_or_default();
        let own = lines.remove(&it.arn).unwrap_or_default();
        Ok(price(it, ledger.prices, own, other))
    };
    machines.into_iter().map(price).collect()
}

fn price(machine: MachineRow, prices: &Prices, own: Line, other: Line) -> MachineCost {
    let (region, is_region_assumed) = prices.region(&machine.region);
    let region = region.to_owned();
    let is_standard = machine.workflow_type == WorkflowType::Standard;
    let (standard, express) = if is_standard { (own.standard, other.express) } else { (other.standard, own.express) };
    let is_region_known = prices.book().standard(&region).is_some();
    // What was paid is known in part where some executions are; what the other type would cost is not.
    let (n_complete, n_timed) = if is_standard { (1, machine.closed) } else { (machine.closed, 1) };
    let standard = standard.filter(|_| is_region_known && machine.complete >= machine.closed.min(n_complete));
    let express = express.filter(|_| is_region_known && own.timed > 0 && own.timed >= n_timed);
    let (memory_mb, memory_source) = own.memory.map_or((None, MemorySource::Estimate), |it| (Some(it.0), it.1));
    MachineCost {
        actual: if is_standard { standard.map(|it| it.net()) } else { express.map(|it| it.total()) },
        list: if is_standard { standard.map(|it| it.gross) } else { express.map(|it| it.list_total()) },
        unpriced: unpriced(&machine, &region, !is_region_known, own.timed),
        region,
        is_region_assumed,
        transitions: own.transitions,
        standard,
        express,
        usage: own.usage,
        memory_mb,
        memory_source,
        machine,
    }
}

/// What nobody can price, in sentences: the amounts are lower bounds then.
fn unpriced(machine: &MachineRow, region: &str, is_region_unknown: bool, n_timed: u64) -> Vec<String> {
    let mut lines = Vec::new();
    if is_region_unknown {
        lines.push(format!("no price is known for the region {region}"));
    }
    let n_partial = machine.closed.saturating_sub(machine.complete);
    if n_partial > 0 {
        lines.push(format!("the transitions of {n_partial} executions are not known in full"));
    }
    let n_untimed = machine.executions.saturating_sub(n_timed);
    if n_untimed > 0 {
        lines.push(format!("the duration of {n_untimed} executions is not known"));
    }
    lines
}

/// An amount as a JSON number with at most 12 decimals, written from the integer.
pub(crate) fn number(amount: Usd) -> Value {
    Number::from_str(&amount.to_decimal()).map_or(Value::Null, Value::Number)
}

/// How far the stored executions reach, for the period of a bill.
pub(crate) fn period<'a>(
    costs: impl Iterator<Item = &'a MachineCost> + Clone,
) -> (Option<Timestamp>, Option<Timestamp>) {
    let first = costs.clone().filter_map(|it| it.machine.first_at).min();
    let last = costs.filter_map(|it| it.machine.last_at).max();
    (first, last.map(|it| it + Micros(1)))
}
