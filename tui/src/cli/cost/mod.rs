//! `cost`: what was billed, and what Standard and Express would cost for the very same executions.

use std::path::PathBuf;

use analyzer::eligibility::Finding;
use analyzer::model::{Name, Usd, WorkflowType};
use analyzer::pricing::PriceBook;
use analyzer::pricing::rounded_to_add_up;
use analyzer::projection::Backtest;
use clap::{Args, Subcommand};
use queries::{Calibration, StateTransitions};
use serde_json::{Map, Value, json};
use tui::text;

use super::bill::{MachineCost, MemorySource, Prices, costs, number, period};
use super::{Context, Range, select};
use crate::Outcome;
use crate::failure::{EXIT_THRESHOLD, Failure};
use crate::report::{Report, TextTable};

mod advice;
mod functions;
mod groups;
mod months;
mod reconcile;
mod threshold;

use advice::{Advice, Adviser, BreakEven, Part, Recommendation, Waste};
use functions::Glue;
use groups::GroupBy;
use months::{Month, MonthForecast};
use threshold::Threshold;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct CostArguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// A state machine: its ARN, its name, or a unique part of it.
    machine: Option<String>,
    /// Price every transition, also those of the free tier.
    #[arg(long)]
    no_free_tier: bool,
    /// Split what was paid by state, day, error, version, path, account, region or tag:KEY.
    #[arg(long, value_name = "WHAT")]
    by: Option<GroupBy>,
    /// End with 3 when an amount of all machines together crosses a threshold, such as 'usd>100'.
    #[arg(long, value_name = "CONDITION")]
    fail_on: Vec<String>,
    /// What the executions would cost with something different: type=express or type=standard.
    #[arg(long, value_name = "type=TYPE")]
    what_if: Option<String>,
    #[command(flatten)]
    range: Range,
}

#[derive(Subcommand)]
enum Action {
    /// Compare a Cost and Usage Report or a FOCUS export of AWS (CSV or Parquet) with what was counted.
    Reconcile {
        file: PathBuf,
        #[command(flatten)]
        range: Range,
    },
}

pub(crate) fn run(context: &Context, arguments: &CostArguments) -> Outcome {
    if let Some(Action::Reconcile { file, range }) = &arguments.action {
        return reconcile::run(context, file, range);
    }
    let thresholds = arguments.fail_on.iter().map(|it| Threshold::parse(it)).collect::<Result<Vec<_>, _>>()?;
    let what_if = arguments.what_if.as_deref().map(parse_what_if).transpose()?;
    let reader = context.reader()?;
    let (since, until) = context.range(&arguments.range)?;
    let machine = select::optional_machine(&reader, arguments.machine.as_deref())?;
    let mut prices = Prices::new(context)?;
    if arguments.no_free_tier {
        prices.books.for_each(|it| it.free_transitions = 0);
    }
    // The whole account is priced also for one machine: it has its share of tiers and free tier.
    let everything = costs(&reader, &prices, since, until)?;
    let adviser = Adviser::new(&reader, &prices, since, until, &everything)?;
    let is_wanted = |it: &&MachineCost| machine.as_deref().is_none_or(|arn| it.machine.arn == arn);
    let advice: Vec<Advice> =
        everything.iter().filter(is_wanted).map(|it| adviser.advise(it, &everything)).collect::<Result<_, _>>()?;
    let groups = arguments.by.as_ref().map(|by| groups::groups(&reader, by, since, until)).transpose()?;
    let all: Vec<(MachineCost, Advice)> = everything
        .into_iter()
        .filter(|it| machine.as_deref().is_none_or(|arn| it.machine.arn == arn))
        .zip(advice)
        .collect();
    let states = reader.state_transitions(machine.as_deref(), since, until)?;
    let (first, last) = period(all.iter().map(|it| &it.0));
    let from = since.or(first).map(analyzer::time::format);
    let to = until.or(last).map(analyzer::time::format);
    let mut report = report(&all, &states, &prices, json!({"from": from, "to": to}));
    add_calibrations(&mut report, &reader.calibrations()?, &prices);
    if let Some(what_if) = what_if {
        add_what_if(&mut report, &all, what_if);
    }
    if let Some((by, groups)) = arguments.by.as_ref().zip(groups) {
        groups::add(&mut report, &all, by, &groups, &states);
    }
    report.print(context.output)?;
    let crossed: Vec<&Threshold> = thresholds.iter().filter(|it| it.is_crossed(&all)).collect();
    for it in &crossed {
        eprintln!("the threshold {it} is crossed");
    }
    Ok(if crossed.is_empty() { 0 } else { EXIT_THRESHOLD })
}

/// What CloudWatch says of transitions that nobody counts; it is told, and the price book decides.
fn add_calibrations(report: &mut Report, found: &[Calibration], prices: &Prices) {
    let line = |it: &Calibration| json!({"state_machine_arn": it.machine_arn, "days": it.days, "executions": it.executions, "extra_per_execution": (it.extra * 1_000.0).round() / 1_000.0});
    report.fields.insert("calibration".to_owned(), found.iter().map(line).collect());
    for it in found {
        let name = it.machine_arn.rsplit(':').next().unwrap_or(&it.machine_arn);
        report.footer += &format!(
            "\n{name}: CloudWatch's ConsumedCapacity has {:.3} transitions per execution beyond those counted, over {} days \
             and {} executions; the price book has {} (`transitions_per_execution_extra`).",
            it.extra,
            it.days,
            text::count(it.executions),
            prices.book().extra_transitions
        );
    }
}

/// The same executions as the other type, beside what was paid.
fn add_what_if(report: &mut Report, all: &[(MachineCost, Advice)], as_type: WorkflowType) {
    let amount = |it: &MachineCost| match as_type {
        WorkflowType::Standard => it.standard.map(|it| it.net()),
        WorkflowType::Express => it.express.map(|it| it.total()),
    };
    if let Some(Value::Array(machines)) = report.fields.get_mut("machines") {
        for (machine, (it, advice)) in machines.iter_mut().zip(all) {
            let possible = as_type == WorkflowType::Standard || advice.eligibility.eligible.unwrap_or(true);
            machine["what_if"] = json!({"type": as_type.as_str(), "usd": amount(it).map(number), "possible": possible});
        }
    }
    let paid: Usd = all.iter().filter_map(|it| it.0.actual).sum();
    let other: Usd = all.iter().filter_map(|it| amount(&it.0)).sum();
    report.heading +=
        &format!("\nAll of it as {}: {} instead of {}.", as_type.as_str(), text::usd(other), text::usd(paid));
}

fn parse_what_if(text: &str) -> Result<WorkflowType, Failure> {
    let kind = text.strip_prefix("type=").and_then(|it| WorkflowType::parse(&it.to_ascii_uppercase()));
    kind.ok_or_else(|| {
        Failure::usage(format!("`{text}` changes nothing that is known")).hint("use type=express or type=standard")
    })
}

fn report(all: &[(MachineCost, Advice)], states: &[StateTransitions], prices: &Prices, period: Value) -> Report {
    let mut table = TextTable::with_columns(&[
        "machine",
        "type",
        "#executions",
        "#transitions",
        "#paid",
        "#as Standard",
        "#as Express",
        "Express memory",
        "#a month",
        "advice",
    ]);
    for (it, advice) in all {
        table.rows.push(table_row(it, advice));
    }
    let mut fields = Map::new();
    fields.insert("period".to_owned(), period);
    fields.insert("prices".to_owned(), prices_to_json(all, prices));
    fields.insert("machines".to_owned(), all.iter().map(|(it, advice)| to_json(it, advice, states)).collect());
    fields.insert("assumptions".to_owned(), assumptions(all, prices).into());
    Report {
        command: "cost",
        fields,
        rows: "machines",
        table,
        heading: format!("Prices of {} ({}). Paid is net of the free tier.", prices.book().as_of, prices.book().source),
        footer: all
            .iter()
            .flat_map(|(it, advice)| sentences(it, advice))
            .chain(left_out(all))
            .chain(assumptions(all, prices))
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

fn table_row(it: &MachineCost, advice: &Advice) -> Vec<String> {
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
            |mb| format!("{mb} MB{}", if it.memory_source == MemorySource::Estimate { " (estimate)" } else { "" }),
        ),
        advice.projection.as_ref().map_or_else(|| "–".to_owned(), |it| text::usd(it.usd)),
        advice.recommendation.as_str().replace('_', " "),
    ]
}

/// What to do about a machine and why, for somebody who pays the bill.
fn sentences(it: &MachineCost, advice: &Advice) -> Vec<String> {
    let name = &it.machine.name;
    let mut lines = Vec::new();
    let saves = advice.saves_per_month.map_or_else(|| "an unknown amount".to_owned(), text::usd);
    match advice.recommendation {
        Recommendation::MoveToExpress => lines.push(format!(
            "{name}: as Express it would cost {saves} a month less, logging at level ALL included; nothing in it needs Standard, but see the risks."
        )),
        Recommendation::MoveToStandard => {
            lines.push(format!("{name}: as Standard it would cost {saves} a month less, its logs counted."));
        }
        Recommendation::MoveParts => {
            let parts: Vec<String> =
                advice.hybrid.iter().map(|it| format!("{} ({})", joined(&it.region.states), text::usd(it.saves))).collect();
            lines.push(format!("{name}: moving {} into Express children would save {saves} a month.", parts.join("; ")));
        }
        Recommendation::Stay | Recommendation::Unknown => {}
    }
    if !advice.eligibility.blockers.is_empty() && it.machine.workflow_type == WorkflowType::Standard {
        let why: Vec<String> = advice
            .eligibility
            .blockers
            .iter()
            .map(|it| it.state.as_ref().map_or_else(|| it.detail.clone(), |state| format!("`{state}`: {}", it.detail)))
            .collect();
        lines.push(format!("{name}: cannot be Express. {}", why.join("; ")));
    }
    if let Some(Month { usd, interval, days }) = &advice.projection {
        let sure = interval.map_or_else(
            || format!("from {days:.1} days, too few to say how sure"),
            |(low, high)| {
                format!("{} to {} with 95 % confidence, from {days:.0} days", text::usd(low), text::usd(high))
            },
        );
        lines.push(format!("{name}: about {} a month at this rate ({sure}).", text::usd(*usd)));
    }
    if let Some(MonthForecast { month, so_far, forecast }) = &advice.forecast {
        let sure = forecast.interval.map_or_else(String::new, |(low, high)| {
            format!(", {} to {} with 95 % confidence", text::usd(low), text::usd(high))
        });
        let past = forecast.backtest.map_or_else(String::new, |it| {
            format!("; week-long forecasts of the days before were off by {:.0} % on average", it.mean_error * 100.0)
        });
        lines.push(format!(
            "{name}: {} so far in {month}, about {} by its end{sure}{past}.",
            text::usd(*so_far),
            text::usd(forecast.usd)
        ));
    }
    let Waste { retries, failed, polling, idle_passes, redrives, .. } = &advice.waste;
    let kinds = [
        ("retries", retries),
        ("failed executions", failed),
        ("polling", polling),
        ("Pass states that change nothing", idle_passes),
        ("redrives", redrives),
    ];
    let wasted: Vec<String> = kinds
        .into_iter()
        .filter_map(|(what, usd)| usd.filter(|it| *it > Usd::ZERO).map(|it| format!("{} in {what}", text::usd(it))))
        .collect();
    if !wasted.is_empty() {
        lines.push(format!("{name}: {}, at list price.", wasted.join(", ")));
    }
    for (state, it) in &advice.functions {
        let usd = it.usd.map_or_else(String::new, |it| format!(", which cost {} of Lambda", text::usd(it)));
        match &it.glue {
            Some(Glue::Service(service)) => lines.push(format!(
                "{name}: the function behind `{state}` only calls {service}{usd}: the Task can call it itself."
            )),
            Some(Glue::Computes) => lines.push(format!(
                "{name}: the function behind `{state}` is short and calls nothing that was traced{usd}: if it only computes, \
                 an intrinsic function or JSONata does that."
            )),
            None => {}
        }
    }
    lines
}

fn joined(states: &[Name]) -> String {
    states.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ")
}

/// Machines whose amounts leave something out, a line each.
fn left_out(all: &[(MachineCost, Advice)]) -> Vec<String> {
    all.iter()
        .map(|it| &it.0)
        .filter(|it| !it.unpriced.is_empty())
        .map(|it| format!("{}: {}", it.machine.name, it.unpriced.join("; ")))
        .collect()
}

/// What the figures rest on and nobody has confirmed.
fn assumptions(all: &[(MachineCost, Advice)], prices: &Prices) -> Vec<String> {
    let all: Vec<&MachineCost> = all.iter().map(|it| &it.0).collect();
    let mut lines = vec![format!(
        "Start and end of an execution count as {} transitions: no public page settles it.",
        prices.book().extra_transitions
    )];
    if all.iter().any(|it| it.is_region_assumed) {
        lines.push("Executions without a region are priced in the assumed one (`--price-region`).".to_owned());
    }
    if all.iter().any(|it| it.memory_source == MemorySource::Estimate) {
        lines.push(
            "Express memory is the documented estimate where no billing details are known: 50 MB, the definition, and \
             inputs times branches and items where inputs are kept."
                .to_owned(),
        );
    }
    lines.push(
        "Moving to Express counts logging at level ALL, which its timelines need: measured bytes where there are logs, else 446 an event."
            .to_owned(),
    );
    if all.iter().any(|it| !prices.book().is_express_confirmed(&it.region)) {
        lines.push("Express rates outside us-east-1, sa-east-1 and ap-east-1 are assumed to be equal.".to_owned());
    }
    lines
}

fn prices_to_json(all: &[(MachineCost, Advice)], prices: &Prices) -> Value {
    let mut regions: Vec<(&str, bool)> =
        all.iter().map(|it| &it.0).map(|it| (it.region.as_str(), it.is_region_assumed)).collect();
    regions.sort_unstable();
    regions.dedup();
    let of_book = |(region, assumed): (&str, bool), it: &PriceBook| {
        let source = if assumed { "assumed" } else { &it.source };
        json!({"region": region, "as_of": it.as_of, "source": source})
    };
    let Some(&first) = regions.first() else {
        return json!({"region": Value::Null, "as_of": prices.book().as_of, "source": prices.book().source});
    };
    let mut newest = of_book(first, prices.book());
    let books: Vec<Value> =
        regions.iter().flat_map(|region| prices.books.iter().map(|it| of_book(*region, it))).collect();
    if books.len() > 1 {
        newest["books"] = books.into();
    }
    newest
}

#[expect(clippy::cast_precision_loss, reason = "coverage is a fraction")]
fn to_json(it: &MachineCost, advice: &Advice, states: &[StateTransitions]) -> Value {
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
            "memory_source": it.memory_source.as_str(),
            "logs_usd": advice.express_logs.map(|it| number(it.usd)),
            "logs_source": advice.express_logs.map(|it| if it.is_measured { "measured" } else { "estimate" }),
        },
        "logs_usd": advice.observing.logs.map(number),
        "xray_usd": advice.observing.xray.map(number),
        "lambda_usd": advice.observing.lambda.map(number),
        "express_eligible": advice.eligibility.eligible,
        "blockers": advice.eligibility.blockers.iter().map(finding_to_json).collect::<Vec<_>>(),
        "risks": advice.eligibility.risks.iter().map(finding_to_json).collect::<Vec<_>>(),
        "hybrid": advice.hybrid.iter().map(part_to_json).collect::<Vec<_>>(),
        "hybrid_parent_definition": advice.hybrid_parent,
        "break_even": advice.break_even.as_ref().map(break_even_to_json),
        "recommendation": advice.recommendation.as_str(),
        "saves_usd_per_month": advice.saves_per_month.map(number),
        "projection_month": advice.projection.as_ref().map(month_to_json),
        "forecast_month": advice.forecast.as_ref().map(forecast_to_json),
        "waste": waste_to_json(&advice.waste, advice),
        "by_state": by_state(it, advice, states),
        "unpriced": it.unpriced,
    })
}

fn finding_to_json(it: &Finding) -> Value {
    json!({"state": it.state.as_deref(), "rule": it.rule, "detail": it.detail})
}

fn part_to_json(it: &Part) -> Value {
    json!({
        "states": it.region.states.iter().map(Name::as_str).collect::<Vec<_>>(),
        "entry": it.region.entry.as_str(),
        "next": it.region.exit.as_deref(),
        "calls": it.region.calls,
        "transitions": it.region.transitions,
        "longest_ms": it.region.longest.as_millis(),
        "saves_usd": number(it.saves),
        "saves_low_usd": it.saves_between.map(|it| number(it.0)),
        "saves_high_usd": it.saves_between.map(|it| number(it.1)),
        "call": advice::call_form(&it.region.entry),
        "child_definition": it.child,
    })
}

fn break_even_to_json(it: &BreakEven) -> Value {
    let rounded = |it: f64| (it * 1_000.0).round() / 1_000.0;
    json!({
        "transitions": rounded(it.transitions),
        "duration_s": rounded(it.duration_s),
        "own_transitions": rounded(it.own_transitions),
        "own_duration_s": rounded(it.own_duration_s),
    })
}

fn forecast_to_json(it: &MonthForecast) -> Value {
    let backtest = |it: Backtest| json!({"forecasts": it.forecasts, "mean_error": it.mean_error, "within_interval": it.within_interval});
    json!({
        "month": it.month,
        "so_far_usd": number(it.so_far),
        "usd": number(it.forecast.usd),
        "low_usd": it.forecast.interval.map(|it| number(it.0)),
        "high_usd": it.forecast.interval.map(|it| number(it.1)),
        "backtest": it.forecast.backtest.map(backtest),
    })
}

fn month_to_json(it: &Month) -> Value {
    json!({
        "usd": number(it.usd),
        "low_usd": it.interval.map(|it| number(it.0)),
        "high_usd": it.interval.map(|it| number(it.1)),
        "basis_days": (it.days * 1_000.0).round() / 1_000.0,
    })
}

/// The service that a function only calls; none for one that calls nothing.
fn service_of(it: &Glue) -> Option<&str> {
    match it {
        Glue::Service(service) => Some(service),
        Glue::Computes => None,
    }
}

fn waste_to_json(it: &Waste, advice: &Advice) -> Value {
    let glue = advice.functions.iter().filter_map(|(state, it)| Some((state, it.glue.as_ref()?, it)));
    let glue = glue.map(|(state, service, it)| json!({"state": state.as_str(), "service": service_of(service), "calls": it.calls, "lambda_usd": it.usd.map(number)}));
    let error = |(error, retries, backoff, usd): &(String, u64, analyzer::model::Micros, Option<Usd>)| json!({"error": error, "retries": retries, "backoff_ms": backoff.as_millis(), "usd": usd.map(number)});
    json!({
        "retries_usd": it.retries.map(number),
        "failed_usd": it.failed.map(number),
        "polling_usd": it.polling.map(number),
        "idle_passes_usd": it.idle_passes.map(number),
        "redrives_usd": it.redrives.map(number),
        "glue": glue.collect::<Vec<_>>(),
        "by_error": it.by_error.iter().map(error).collect::<Vec<_>>(),
    })
}

/// Splits what was paid over the states by their transitions; what no visible state billed stands under `null`.
/// What each state was paid for: a Standard machine's by its transitions, an Express one's by its path time.
fn by_state(it: &MachineCost, advice: &Advice, states: &[StateTransitions]) -> Value {
    let own: Vec<&StateTransitions> = states.iter().filter(|state| state.machine_arn == it.machine.arn).collect();
    let visible: u64 = own.iter().map(|it| it.transitions).sum();
    let rest = it.transitions.saturating_sub(visible);
    let path_time: u64 = own.iter().map(|it| it.critical.0.max(0).unsigned_abs()).sum();
    let by_path = it.machine.workflow_type == WorkflowType::Express && path_time > 0;
    let weight = |it: &StateTransitions| if by_path { it.critical.0.max(0).unsigned_abs() } else { it.transitions };
    let mut lines: Vec<(Option<&str>, u64, u64)> =
        own.iter().map(|it| (Some(it.state.as_str()), it.transitions, weight(it))).collect();
    if rest > 0 {
        lines.push((None, rest, if by_path { 0 } else { rest }));
    }
    let total = lines.iter().map(|it| u128::from(it.2)).sum::<u128>().max(1);
    let parts: Option<Vec<Usd>> =
        it.actual.map(|paid| lines.iter().map(|it| paid.scaled(u128::from(it.2), total)).collect());
    let rounded = parts.map(|it| rounded_to_add_up(&it));
    let line = |(index, (state, transitions, _)): (usize, (Option<&str>, u64, u64))| {
        let functions = state.and_then(|it| advice.functions.get(it));
        json!({
            "state": state,
            "transitions": transitions,
            "usd": rounded.as_ref().map(|it| number(it[index])),
            "lambda_calls": functions.map(|it| it.calls),
            "lambda_usd": functions.and_then(|it| it.usd).map(number),
        })
    };
    lines.into_iter().enumerate().map(line).collect()
}
