//! `cost reconcile`: AWS's own bill against what was counted, day by day, and the likely reason of a difference.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use tui::text;

use crate::Outcome;
use crate::cli::bill::{Ledger, Prices, by_usage_day};
use crate::cli::{Context, Range};
use crate::failure::Failure;
use crate::report::{Report, TextTable};

/// What is billed, with the endings of the usage types and units that stand for it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Meter {
    Transitions,
    Requests,
    GbSeconds,
}

impl Meter {
    fn of(usage_type: &str) -> Option<Self> {
        let text = usage_type.to_ascii_lowercase();
        if text.ends_with("statetransition") || text.ends_with("statetransitions") {
            Some(Self::Transitions)
        } else if text.ends_with("-request") || text == "requests" {
            Some(Self::Requests)
        } else if text.ends_with("gb-second") || text.ends_with("gb-seconds") {
            Some(Self::GbSeconds)
        } else {
            None
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Transitions => "transitions",
            Self::Requests => "requests",
            Self::GbSeconds => "gb_seconds",
        }
    }
}

#[derive(Default)]
struct Counted {
    quantity: f64,
    executions: u64,
}

#[expect(clippy::cast_precision_loss, reason = "a bill's quantities are decimal numbers")]
pub(super) fn run(context: &Context, file: &Path, range: &Range) -> Outcome {
    if !file.is_file() {
        return Err(Failure::usage(format!("there is no file `{}`", file.display()))
            .hint("give a Cost and Usage Report or a FOCUS export, as CSV or Parquet"));
    }
    let reader = context.reader()?;
    let (since, until) = context.range(range)?;
    let mut billed: BTreeMap<(String, Meter), f64> = BTreeMap::new();
    let mut others = 0;
    for it in queries::billed_usage(file)? {
        match Meter::of(&it.usage_type) {
            Some(meter) => *billed.entry((it.day, meter)).or_default() += it.quantity,
            None => others += 1,
        }
    }
    let prices = Prices::new(context)?;
    let all = reader.machines(since, until)?;
    // A bill counts a transition on the day on which it was made.
    let ledger = Ledger::of_transitions(&reader, &prices, (since, until))?;
    let mut counted: BTreeMap<(String, Meter), Counted> = BTreeMap::new();
    for row in by_usage_day(&ledger)? {
        let Some(day) = row.day.clone() else { continue };
        let mut add = |meter: Meter, quantity: f64| {
            let it = counted.entry((day.clone(), meter)).or_default();
            it.quantity += quantity;
            it.executions += row.executions;
        };
        if row.duration.is_some() {
            add(Meter::Requests, row.usage.requests as f64);
            add(Meter::GbSeconds, row.usage.memory_time.as_gb_seconds());
        } else {
            add(Meter::Transitions, row.transitions as f64);
        }
    }
    let is_covered = all.iter().all(|it| it.complete == it.closed);
    let mut keys: Vec<&(String, Meter)> = billed.keys().chain(counted.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut table = TextTable::with_columns(&["day", "usage", "#billed", "#counted", "#difference", "likely reason"]);
    let mut days = Vec::new();
    for key in keys {
        let bill = billed.get(key).copied();
        let own = counted.get(key);
        let difference = bill.zip(own).map(|(bill, own)| bill - own.quantity);
        let reason = reason(bill, own, key.1, is_covered);
        let shown = |it: Option<f64>| it.map_or_else(|| "–".to_owned(), decimal);
        table.rows.push(vec![
            key.0.clone(),
            key.1.as_str().replace('_', " "),
            shown(bill),
            shown(own.map(|it| it.quantity)),
            shown(difference),
            reason.clone(),
        ]);
        days.push(json!({
            "day": key.0, "usage": key.1.as_str(), "billed_quantity": bill, "counted_quantity": own.map(|it| it.quantity),
            "difference": difference, "reason": reason,
        }));
    }
    let total = |meter: Meter| billed.iter().filter(|it| it.0.1 == meter).map(|it| it.1).fold(0.0, |sum, it| sum + it);
    let heading = format!(
        "{} transitions and {} requests billed. Transitions are counted on the day on which they were made, Express by its start.",
        decimal(total(Meter::Transitions)),
        decimal(total(Meter::Requests))
    );
    let footer = if others > 0 {
        format!("{} other usage types of the service are not compared.", text::count(others))
    } else {
        String::new()
    };
    let fields = [("counted_by".to_owned(), Value::from("event")), ("days".to_owned(), Value::from(days))];
    let fields = fields.into_iter().collect();
    Report { command: "reconcile", fields, rows: "days", table, heading, footer }.print(context.output)?;
    Ok(0)
}

fn decimal(it: f64) -> String {
    if (it - it.round()).abs() < 1e-6 { format!("{it:.0}") } else { format!("{it:.3}") }
}

/// Why the two may differ.
#[expect(clippy::cast_precision_loss, reason = "a ratio")]
fn reason(bill: Option<f64>, own: Option<&Counted>, meter: Meter, is_covered: bool) -> String {
    let (bill, own) = match (bill, own) {
        (Some(bill), Some(own)) => (bill, own),
        (Some(_), None) => {
            return "billed, but no execution of that day is stored: not collected, or another region".to_owned();
        }
        (None, _) => return "stored, but not in this bill: another account or region, or not billed yet".to_owned(),
    };
    let difference = bill - own.quantity;
    if difference.abs() < 0.5 {
        return "equal".to_owned();
    }
    let per_execution = difference / own.executions.max(1) as f64;
    let whole = per_execution.round();
    if meter == Meter::Transitions && (1.0..=2.0).contains(&whole) && (per_execution - whole).abs() < 0.02 {
        return format!(
            "{whole:.0} more for each execution: set transitions_per_execution_extra = {whole:.0} in the price book"
        );
    }
    if difference > 0.0 {
        if is_covered {
            "executions of that day are missing here, or another region is in the bill".to_owned()
        } else {
            "some executions are known in part only".to_owned()
        }
    } else {
        "more counted than billed: another account's executions are stored, or the bill is not final".to_owned()
    }
}
