//! `cost`: what was billed, and what Standard and Express would cost for the very same executions.

use analyzer::model::{Usd, WorkflowType};
use analyzer::pricing::rounded_to_add_up;
use clap::Args;
use queries::StateTransitions;
use serde_json::{Map, Value, json};
use tui::text;

use super::bill::{MachineCost, Prices, costs, number, period};
use super::{Context, Range, select};
use crate::Outcome;
use crate::report::{Report, TextTable};

#[derive(Args)]
pub(crate) struct CostArguments {
    /// A state machine: its ARN, its name, or a unique part of it.
    machine: Option<String>,
    /// Price every transition, also those of the free tier.
    #[arg(long)]
    no_free_tier: bool,
    #[command(flatten)]
    range: Range,
}

pub(crate) fn run(context: &Context, arguments: &CostArguments) -> Outcome {
    let reader = context.reader()?;
    let (since, until) = context.range(&arguments.range)?;
    let machine = select::optional_machine(&reader, arguments.machine.as_deref())?;
    let mut prices = Prices::new(context)?;
    if arguments.no_free_tier {
        prices.book.free_transitions = 0;
    }
    // The whole account is priced also for one machine: it has its share of tiers and free tier.
    let mut all = costs(&reader, &prices, since, until)?;
    all.retain(|it| machine.as_deref().is_none_or(|arn| it.machine.arn == arn));
    let states = reader.state_transitions(machine.as_deref(), since, until)?;
    let (first, last) = period(&all);
    let from = since.or(first).map(analyzer::time::format);
    let to = until.or(last).map(analyzer::time::format);
    report(&all, &states, &prices, json!({"from": from, "to": to})).print(context.output)?;
    Ok(0)
}

fn report(all: &[MachineCost], states: &[StateTransitions], prices: &Prices, period: Value) -> Report {
    let mut table = TextTable::with_columns(&[
        "machine",
        "type",
        "#executions",
        "#transitions",
        "#paid",
        "#as Standard",
        "#as Express",
        "Express memory",
    ]);
    for it in all {
        table.rows.push(table_row(it));
    }
    let mut fields = Map::new();
    fields.insert("period".to_owned(), period);
    fields.insert("prices".to_owned(), prices_to_json(all, prices));
    fields.insert("machines".to_owned(), all.iter().map(|it| to_json(it, states)).collect());
    fields.insert("assumptions".to_owned(), assumptions(all, prices).into());
    Report {
        command: "cost",
        fields,
        rows: "machines",
        table,
        heading: format!("Prices of {} ({}). Paid is net of the free tier.", prices.book.as_of, prices.book.source),
        footer: assumptions(all, prices).into_iter().chain(left_out(all)).collect::<Vec<_>>().join("\n"),
    }
}

fn table_row(it: &MachineCost) -> Vec<String> {
    let money = |it: Option<Usd>| it.map_or_else(|| "not known".to_owned(), text::usd);
    vec![
        text::cut(&it.machine.name, 40),
        it.machine.workflow_type.as_str().to_owned(),
        text::count(it.machine.executions),
        text::count(it.transitions),
        money(it.actual),
        money(it.standard.map(|it| it.net())),
        money(it.express.map(|it| it.total())),
        it.memory_mb.map_or_else(
            || "–".to_owned(),
            |mb| format!("{mb} MB{}", if it.is_memory_measured { "" } else { " (estimate)" }),
        ),
    ]
}

/// Machines whose amounts leave something out, a line each.
fn left_out(all: &[MachineCost]) -> Vec<String> {
    all.iter()
        .filter(|it| !it.unpriced.is_empty())
        .map(|it| format!("{}: {}", it.machine.name, it.unpriced.join("; ")))
        .collect()
}

/// What the figures rest on and nobody has confirmed.
fn assumptions(all: &[MachineCost], prices: &Prices) -> Vec<String> {
    let mut lines = vec![format!(
        "Start and end of an execution count as {} transitions: no public page settles it.",
        prices.book.extra_transitions
    )];
    if all.iter().any(|it| it.is_region_assumed) {
        lines.push("Executions without a region are priced in the assumed one (`--price-region`).".to_owned());
    }
    if all.iter().any(|it| !it.is_memory_measured) {
        lines.push(
            "Express memory is the documented estimate (50 MB, billed as 64 MB) where no billing details are known."
                .to_owned(),
        );
    }
    if all.iter().any(|it| !prices.book.is_express_confirmed(&it.region)) {
        lines.push("Express rates outside us-east-1, sa-east-1 and ap-east-1 are assumed to be equal.".to_owned());
    }
    lines
}

fn prices_to_json(all: &[MachineCost], prices: &Prices) -> Value {
    let mut regions: Vec<(&str, bool)> = all.iter().map(|it| (it.region.as_str(), it.is_region_assumed)).collect();
    regions.sort_unstable();
    regions.dedup();
    let source = |assumed: bool| {
        if assumed { "assumed".to_owned() } else { prices.book.source.clone() }
    };
    let book = |(region, assumed): (&str, bool)| json!({"region": region, "as_of": prices.book.as_of, "source": source(assumed)});
    match regions.as_slice() {
        [] => json!({"region": Value::Null, "as_of": prices.book.as_of, "source": prices.book.source}),
        [only] => book(*only),
        many => {
            let mut first = book(many[0]);
            first["books"] = many.iter().map(|it| book(*it)).collect();
            first
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "coverage is a fraction")]
fn to_json(it: &MachineCost, states: &[StateTransitions]) -> Value {
    let is_standard = it.machine.workflow_type == WorkflowType::Standard;
    // The rounded net amount decides, and the free tier is what is left of the gross one.
    let standard_net = if is_standard { it.actual } else { it.standard.map(|it| it.net()) };
    json!({
        "state_machine_arn": it.machine.arn,
        "machine": it.machine.name,
        "type": it.machine.workflow_type.as_str(),
        "executions": it.machine.executions,
        "coverage": (it.machine.executions > 0).then(|| it.machine.complete as f64 / it.machine.executions as f64),
        "billed_transitions": it.transitions,
        "actual_usd": it.actual.map(number),
        "standard": {
            "usd": standard_net.map(number),
            "transitions_usd": it.standard.map(|it| number(it.gross)),
            "free_tier_usd": it.standard.zip(standard_net).map(|(bill, net)| number(bill.gross - net)),
        },
        "express": {
            "usd": it.express.map(|it| number(it.total())),
            "requests_usd": it.express.map(|it| number(it.requests)),
            "duration_usd": it.express.map(|it| number(it.duration)),
            "billed_gb_s": it.usage.memory_time.as_gb_seconds(),
            "billed_memory_mb": it.memory_mb,
            "memory_source": if it.is_memory_measured { "billing_details" } else { "estimate" },
        },
        "logs_usd": Value::Null,
        "xray_usd": Value::Null,
        "lambda_usd": Value::Null,
        "express_eligible": Value::Null,
        "blockers": [],
        "risks": [],
        "hybrid": [],
        "break_even": Value::Null,
        "recommendation": Value::Null,
        "saves_usd_per_month": Value::Null,
        "projection_month": Value::Null,
        "waste": Value::Null,
        "by_state": by_state(it, states),
        "unpriced": it.unpriced,
    })
}

/// Splits what was paid over the states by their transitions; what no visible state billed stands under `null`.
fn by_state(it: &MachineCost, states: &[StateTransitions]) -> Value {
    let own: Vec<&StateTransitions> = states.iter().filter(|state| state.machine_arn == it.machine.arn).collect();
    let visible: u64 = own.iter().map(|it| it.transitions).sum();
    let rest = it.transitions.saturating_sub(visible);
    let mut lines: Vec<(Value, u64)> = own.iter().map(|it| (it.state.clone().into(), it.transitions)).collect();
    if rest > 0 {
        lines.push((Value::Null, rest));
    }
    let total = u128::from(visible + rest).max(1);
    let parts: Option<Vec<Usd>> = it
        .actual
        .map(|paid| lines.iter().map(|(_, transitions)| paid.scaled(u128::from(*transitions), total)).collect());
    let rounded = parts.map(|it| rounded_to_add_up(&it));
    lines
        .into_iter()
        .enumerate()
        .map(|(index, (state, transitions))| {
            json!({"state": state, "transitions": transitions, "usd": rounded.as_ref().map(|it| number(it[index]))})
        })
        .collect()
}
