//! Stored quantities times the price book: what each machine paid, and what it would pay as the other type.

use std::collections::BTreeMap;
use std::str::FromStr;

use analyzer::model::{GbMillis, Micros, Timestamp, Transitions, Usd, WorkflowType};
use analyzer::pricing::{
    ExpressBill, ExpressUsage, PriceBook, PriceBooks, StandardBill, billed_memory_mb, express, rounded_to_add_up,
    standard,
};
use queries::{ExecutionRow, MachineRow, Reader};
use serde_json::{Number, Value};

use super::Context;
use crate::failure::Failure;

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
    /// Net, rounded so that the machines' amounts add up to the account's.
    pub(crate) actual: Option<Usd>,
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

    /// The newest book: for what has no day, and for what might be.
    pub(crate) fn book(&self) -> &PriceBook {
        self.books.newest()
    }

    /// The month of a key of usage, and the book that prices it.
    fn month_and_book<'a>(&self, key: &'a str) -> (&'a str, &PriceBook) {
        let (month, place) = key.split_once('#').unwrap_or((key, "0"));
        (month, self.books.get(place.parse().unwrap_or(0)))
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
                let usage = ExpressUsage { requests: 1, memory_time: GbMillis::of(mb, ms) };
                Some(express(usage, usage.memory_time, book.express(region)?).total())
            }
        }
    }

    /// The list price of Express executions of a machine, in the first tier.
    pub(crate) fn express(&self, machine_arn: &str, usage: ExpressUsage) -> Option<Usd> {
        let (region, _) = self.region(machine_arn.split(':').nth(3).unwrap_or("local"));
        let rates = self.book().express(region)?;
        Some(express(usage, usage.memory_time, rates).total())
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

/// A pool in which tiers and the free tier are shared: an account's region and month.
type Pool = (String, String, String);

#[derive(Clone, Copy, Default)]
struct PoolUse {
    transitions: u64,
    memory_time: GbMillis,
}

#[derive(Default)]
struct MonthUse {
    transitions: u64,
    express: ExpressUsage,
}

/// Prices every machine over the executions that started in the range.
pub(crate) fn costs(
    reader: &Reader,
    prices: &Prices,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<Vec<MachineCost>, Failure> {
    costs_of(reader, prices, reader.machines(since, until)?, since, until)
}

/// Prices these machines over the executions that started in the range.
pub(crate) fn costs_of(
    reader: &Reader,
    prices: &Prices,
    machines: Vec<MachineRow>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<Vec<MachineCost>, Failure> {
    let mut used: BTreeMap<(String, String), MonthUse> = BTreeMap::new();
    let starts = prices.books.starts().join(",");
    let starts = (!starts.is_empty()).then_some(starts.as_str());
    for it in reader.month_transitions(None, since, until, starts)? {
        used.entry((it.machine_arn, it.month)).or_default().transitions += it.transitions;
    }
    let mut memory: BTreeMap<String, (u64, MemorySource)> = BTreeMap::new();
    let metrics: BTreeMap<String, f64> = reader.metric_means(BILLED_MEMORY)?.into_iter().collect();
    let definitions: BTreeMap<String, u64> = reader.definition_sizes()?.into_iter().collect();
    for it in reader.billed_runs(None, since, until, starts)? {
        // The documented estimate: what the service takes, the definition, and payloads.
        let bytes =
            BASE_MEMORY + definitions.get(&it.machine_arn).copied().unwrap_or_default() + it.payload_mb * 1_000_000;
        let by_metric = metrics.get(&it.machine_arn).map(|mb| whole_chunks(*mb));
        let (mb, source) = match (it.billed_memory_mb, by_metric) {
            (Some(mb), _) => (mb, MemorySource::BillingDetails),
            (None, Some(mb)) => (mb, MemorySource::Metric),
            (None, None) => (billed_memory_mb(bytes), MemorySource::Estimate),
        };
        let usage = ExpressUsage {
            requests: it.executions,
            memory_time: GbMillis(GbMillis::of(mb, it.billed_ms).0 * u128::from(it.executions)),
        };
        let seen = memory.entry(it.machine_arn.clone()).or_insert((mb, source));
        *seen = (seen.0.max(mb), seen.1.max(source));
        used.entry((it.machine_arn, it.month)).or_default().express += usage;
    }
    let pools = pools(&machines, &used);
    let mut costs: Vec<MachineCost> =
        machines.into_iter().map(|it| price(it, prices, &used, &pools, &memory)).collect();
    round_actuals(&mut costs);
    Ok(costs)
}

fn pools(machines: &[MachineRow], used: &BTreeMap<(String, String), MonthUse>) -> BTreeMap<Pool, PoolUse> {
    let mut pools: BTreeMap<Pool, PoolUse> = BTreeMap::new();
    for machine in machines {
        for ((_, month), it) in
            used.range((machine.arn.clone(), String::new())..).take_while(|((arn, _), _)| *arn == machine.arn)
        {
            let pool =
                pools.entry((machine.account.clone(), machine.region.clone(), month_of(month).to_owned())).or_default();
            match machine.workflow_type {
                WorkflowType::Standard => pool.transitions += it.transitions,
                WorkflowType::Express => pool.memory_time += it.express.memory_time,
            }
        }
    }
    pools
}

/// The month of a key of usage.
fn month_of(key: &str) -> &str {
    key.split('#').next().unwrap_or(key)
}

fn price(
    machine: MachineRow,
    prices: &Prices,
    used: &BTreeMap<(String, String), MonthUse>,
    pools: &BTreeMap<Pool, PoolUse>,
    memory: &BTreeMap<String, (u64, MemorySource)>,
) -> MachineCost {
    let (region, is_region_assumed) = prices.region(&machine.region);
    let region = region.to_owned();
    let extra = prices.book().extra_transitions * machine.executions;
    let mut standard_bill = prices.book().standard(&region).map(|_| StandardBill::default());
    let mut express_bill = prices.book().express(&region).map(|_| ExpressBill::default());
    let (mut transitions, mut usage) = (0, ExpressUsage::default());
    for ((_, month), it) in
        used.range((machine.arn.clone(), String::new())..).take_while(|((arn, _), _)| *arn == machine.arn)
    {
        let (month, book) = prices.month_and_book(month);
        let pool = pools
            .get(&(machine.account.clone(), machine.region.clone(), month.to_owned()))
            .copied()
            .unwrap_or_default();
        // As the other type, the machine would stand beside those that are of that type already.
        let is_standard = machine.workflow_type == WorkflowType::Standard;
        let all_transitions = if is_standard { pool.transitions } else { pool.transitions + it.transitions };
        let all_memory = if is_standard { pool.memory_time + it.express.memory_time } else { pool.memory_time };
        if let (Some(bill), Some(rate)) = (standard_bill.as_mut(), book.standard(&region)) {
            let month =
                standard(Transitions(it.transitions), Transitions(all_transitions), book.free_transitions, rate);
            bill.gross += month.gross;
            bill.free += month.free;
        }
        if let (Some(bill), Some(rates)) = (express_bill.as_mut(), book.express(&region)) {
            let month = express(it.express, all_memory, rates);
            bill.requests += month.requests;
            bill.duration += month.duration;
        }
        transitions += it.transitions;
        usage += it.express;
    }
    if let (Some(bill), Some(rate)) = (standard_bill.as_mut(), prices.book().standard(&region)) {
        bill.gross += rate.per_transition * extra;
    }
    let n_timed = usage.requests;
    if let (Some(bill), Some(rates)) = (express_bill.as_mut(), prices.book().express(&region)) {
        // A request is billed also where nobody knows how long it took.
        bill.requests += rates.per_request * machine.executions.saturating_sub(n_timed);
    }
    let unpriced = unpriced(&machine, &region, standard_bill.is_none(), n_timed);
    if machine.closed > 0 && machine.complete == 0 {
        standard_bill = None;
    }
    if n_timed == 0 {
        express_bill = None;
    }
    let (memory_mb, memory_source) =
        memory.get(&machine.arn).map_or((None, MemorySource::Estimate), |it| (Some(it.0), it.1));
    MachineCost {
        region,
        is_region_assumed,
        transitions: transitions + extra,
        standard: standard_bill,
        express: express_bill,
        usage,
        memory_mb,
        memory_source,
        actual: None,
        unpriced,
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

fn round_actuals(costs: &mut [MachineCost]) {
    let known: Vec<(usize, Usd)> = costs
        .iter()
        .enumerate()
        .filter_map(|(index, it)| {
            let actual = match it.machine.workflow_type {
                WorkflowType::Standard => it.standard.map(|it| it.net()),
                WorkflowType::Express => it.express.map(|it| it.total()),
            };
            actual.map(|it| (index, it))
        })
        .collect();
    let amounts: Vec<Usd> = known.iter().map(|it| it.1).collect();
    for ((index, _), rounded) in known.iter().zip(rounded_to_add_up(&amounts)) {
        costs[*index].actual = Some(rounded);
    }
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

/// The price book as lines of the `prices` view.
pub(crate) fn price_lines(books: &PriceBooks) -> Vec<[String; 8]> {
    books.iter().flat_map(lines_of_book).collect()
}

fn lines_of_book(book: &PriceBook) -> Vec<[String; 8]> {
    let mut lines = Vec::new();
    let mut add = |region: &str, item: &str, unit: &str, above: String, rate: Usd, source: String| {
        lines.push([
            region.to_owned(),
            book.as_of.clone(),
            "USD".to_owned(),
            item.to_owned(),
            unit.to_owned(),
            above,
            rate.to_decimal(),
            source,
        ]);
    };
    for region in book.regions() {
        if let Some(rate) = book.standard(region) {
            add(region, "standard_transition", "transition", "0".to_owned(), rate.per_transition, book.source.clone());
        }
        if let Some(rates) = book.logs(region) {
            for (above, rate) in &rates.tiers {
                add(region, "vended_logs", "GB", above.to_string(), *rate, book.source.clone());
            }
            add(region, "log_storage", "GB-month", "0".to_owned(), rates.per_gb_month_stored, book.source.clone());
        }
        if let Some(rates) = book.xray(region) {
            add(region, "xray_trace", "trace", rates.free_traces.to_string(), rates.per_trace, book.source.clone());
        }
        if let Some(rates) = book.lambda(region) {
            add(region, "lambda_request", "request", "0".to_owned(), rates.per_request, book.source.clone());
            add(region, "lambda_duration", "GB-second", "0".to_owned(), rates.per_gb_second, book.source.clone());
            add(
                region,
                "lambda_duration_arm",
                "GB-second",
                "0".to_owned(),
                rates.per_gb_second_arm,
                book.source.clone(),
            );
        }
        if let Some(rate) = book.kms_request(region) {
            add(region, "kms_request", "request", "0".to_owned(), rate, book.source.clone());
        }
        if let Some(rates) = book.express(region) {
            let source = if book.is_express_confirmed(region) {
                book.source.clone()
            } else {
                "assumed equal to us-east-1".to_owned()
            };
            add(region, "express_request", "request", "0".to_owned(), rates.per_request, source.clone());
            for (above, rate) in &rates.tiers {
                add(region, "express_duration", "GB-second", above.to_string(), *rate, source.clone());
            }
        }
    }
    lines
}
