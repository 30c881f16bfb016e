//! FOCUS 1.2: what was billed, a row per machine, day and charge. Projections are no charges and are not in it.
//!
//! Source: the FinOps Open Cost and Usage Specification, version 1.2. As in AWS's own bill, transitions belong to the day on which they were
//! made, and Express executions to that of their start; a range is one of these days.

use analyzer::model::{Micros, Timestamp, Usd, WorkflowType};
use serde_json::{Map, Value};
use tui::safe;

use crate::cli::bill::{DayLine, Ledger, MachineCost, Prices, by_usage_day, paid_of};
use crate::cli::{Context, Range};
use crate::failure::Failure;
use crate::report::Output;

const DAY: Micros = Micros(86_400_000_000);

/// The columns, in the order of the rows: the 21 mandatory ones of FOCUS 1.2, the conditional ones that apply, our own.
const COLUMNS: [&str; 48] = [
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingCurrency",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "RegionName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "Tags",
    "AvailabilityZone",
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "x_ExecutionType",
    "x_Scenario",
];

/// Columns of numbers; those of all others are texts, which a spreadsheet must not take for formulas.
const NUMBERS: [&str; 8] = [
    "BilledCost",
    "ConsumedQuantity",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "ListCost",
    "ListUnitPrice",
    "PricingQuantity",
];

/// The place of the tags among the columns.
const TAGS: usize = 39;

/// One charge of a machine in a day.
struct Charge {
    day: String,
    meter: &'static str,
    unit: &'static str,
    quantity: String,
    rate: Usd,
    list: Usd,
    billed: Usd,
}

pub(super) fn export(context: &Context, range: &Range) -> Result<String, Failure> {
    let reader = context.reader()?;
    let (since, until) = context.range(range)?;
    let prices = Prices::new(context)?;
    let ledger = Ledger::of_transitions(&reader, &prices, (since, until))?;
    let usage = by_usage_day(&ledger)?;
    let all_tags = reader.tags()?;
    let mut writer = csv::Writer::from_writer(Vec::new());
    let broken = |error: csv::Error| Failure::new("the rows cannot be written").because(error.to_string());
    let to_cell = if context.csv() == Output::RawCsv { safe::raw_cell } else { safe::cell };
    writer.write_record(COLUMNS).map_err(broken)?;
    // A transition that is made in the range may be one of an execution that started before it.
    let machines = if since.is_some() { reader.machines(None, until)? } else { reader.machines(since, until)? };
    for it in paid_of(&ledger, machines)? {
        let charges: Vec<Charge> = usage
            .iter()
            .filter(|row| row.machine_arn == it.machine.arn)
            .flat_map(|row| charges(&it, row, &prices))
            .collect();
        let own = all_tags.iter().filter(|tag| tag[0] == it.machine.arn);
        let own: Map<String, Value> = own.map(|tag| (tag[1].clone(), tag[2].as_str().into())).collect();
        let tags = if own.is_empty() { String::new() } else { Value::from(own).to_string() };
        for charge in &charges {
            let mut record = row(&it, charge, charge.billed);
            record[TAGS].clone_from(&tags);
            let cells = COLUMNS.iter().zip(&record);
            let cells = cells.map(|(name, it)| if NUMBERS.contains(name) { it.clone() } else { to_cell(it) });
            writer.write_record(cells).map_err(broken)?;
        }
    }
    let bytes =
        writer.into_inner().map_err(|error| Failure::new("the rows cannot be written").because(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| Failure::new("the rows are no text").because(error.to_string()))
}

fn charges(it: &MachineCost, row: &DayLine, prices: &Prices) -> Vec<Charge> {
    let Some((day, paid)) = row.day.clone().zip(row.paid) else { return Vec::new() };
    let book = prices.book_of_day(&day);
    let mut found = Vec::new();
    match it.machine.workflow_type {
        WorkflowType::Standard => {
            if let Some(rate) = book.standard(&it.region).map(|it| it.per_transition) {
                let count = row.transitions;
                let list = rate * count;
                found.push(Charge {
                    day,
                    meter: "StateTransition",
                    unit: "StateTransitions",
                    quantity: count.to_string(),
                    rate,
                    list,
                    billed: paid,
                });
            }
        }
        WorkflowType::Express => {
            if let Some(rates) = book.express(&it.region) {
                let rate = rates.per_request;
                found.push(Charge {
                    day: day.clone(),
                    meter: "StepFunctions-Request",
                    unit: "Requests",
                    quantity: row.usage.requests.to_string(),
                    rate,
                    list: rate * row.usage.requests,
                    billed: rate * row.usage.requests,
                });
                let rate = rates.tiers.first().map_or(Usd::ZERO, |it| it.1);
                found.push(Charge {
                    day,
                    meter: "StepFunctions-GB-Second",
                    unit: "GB-Seconds",
                    // Exact: 1,024,000 MB-milliseconds are a GB-second, and a millionth of it is below any bill.
                    quantity: Usd::from_atto(1_000_000_000_000_000_000)
                        .scaled(row.usage.memory_time.0, 1_024_000)
                        .to_decimal(),
                    rate,
                    list: rates.in_tier(0, row.usage.memory_time),
                    billed: row.duration.unwrap_or_default(),
                });
            }
        }
    }
    found
}

fn row(it: &MachineCost, charge: &Charge, billed: Usd) -> Vec<String> {
    let machine = &it.machine;
    let day = analyzer::time::parse(&charge.day).unwrap_or(Timestamp(0));
    let (month, next_month) = month_around(&charge.day);
    let sku = format!("{}-{}", it.region, charge.meter);
    let null = String::new;
    vec![
        billed.to_decimal(),
        machine.account.clone(),
        machine.account.clone(),
        "USD".to_owned(),
        next_month,
        month,
        "Usage".to_owned(),
        null(),
        format!("AWS Step Functions {} ({})", charge.unit, machine.workflow_type.as_str()),
        "Usage-Based".to_owned(),
        seconds(day + DAY),
        seconds(day),
        charge.quantity.clone(),
        charge.unit.to_owned(),
        charge.list.to_decimal(),
        charge.rate.to_decimal(),
        billed.to_decimal(),
        "AWS".to_owned(),
        charge.list.to_decimal(),
        charge.rate.to_decimal(),
        "Standard".to_owned(),
        "USD".to_owned(),
        charge.quantity.clone(),
        charge.unit.to_owned(),
        "AWS".to_owned(),
        "AWS".to_owned(),
        it.region.clone(),
        it.region.clone(),
        machine.arn.clone(),
        machine.name.clone(),
        "State Machine".to_owned(),
        "Integration".to_owned(),
        "AWS Step Functions".to_owned(),
        "Other (Integration)".to_owned(),
        sku.clone(),
        charge.meter.to_owned(),
        format!("{sku}-OnDemand"),
        machine.account.clone(),
        machine.account.clone(),
        // Tags, availability zone and five columns of commitments: there are none.
        null(),
        null(),
        null(),
        null(),
        null(),
        null(),
        null(),
        machine.workflow_type.as_str().to_owned(),
        "actual".to_owned(),
    ]
}

/// FOCUS has no fractions of a second.
fn seconds(at: Timestamp) -> String {
    analyzer::time::format(at).replace(".000Z", "Z")
}

/// The first instants of the month of a day and of the month after it.
fn month_around(day: &str) -> (String, String) {
    let year: i64 = day.get(..4).and_then(|it| it.parse().ok()).unwrap_or(1970);
    let month: i64 = day.get(5..7).and_then(|it| it.parse().ok()).unwrap_or(1);
    let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    let text = |year: i64, month: i64| format!("{year:04}-{month:02}-01T00:00:00Z");
    (text(year, month), text(next_year, next_month))
}
