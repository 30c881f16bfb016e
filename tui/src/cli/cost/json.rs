//! The cost report as JSON.

use analyzer::eligibility::Finding;
use analyzer::model::{Micros, Name, Usd, WorkflowType};
use analyzer::pricing::PriceBook;
use analyzer::projection::Backtest;
use serde_json::{Value, json};

use super::advice::{self, Advice, BreakEven, Part, Waste};
use super::functions::Glue;
use super::groups::Group;
use super::months::{Month, MonthForecast};
use crate::cli::bill::{MachineCost, Prices, number};

pub(super) fn prices_to_json(all: &[(MachineCost, Advice)], prices: &Prices) -> Value {
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
pub(super) fn machine_to_json(it: &MachineCost, advice: &Advice, states: &[Group]) -> Value {
    let is_standard = it.machine.workflow_type == WorkflowType::Standard;
    let other = &advice.as_other;
    json!({
        "state_machine_arn": it.machine.arn,
        "machine": it.machine.name,
        "type": it.machine.workflow_type.as_str(),
        "executions": it.machine.executions,
        "coverage": (it.machine.executions > 0).then(|| it.machine.complete as f64 / it.machine.executions as f64),
        "billed_transitions": it.transitions,
        "actual_usd": it.actual.map(number),
        "list_usd": it.list.map(number),
        "standard": {
            "usd": it.standard.map(|it| number(it.net())),
            "transitions_usd": it.standard.map(|it| number(it.gross)),
            "free_tier_usd": it.standard.map(|it| number(it.free)),
            "saves_usd": other.saves.filter(|_| !is_standard).map(number),
        },
        "express": {
            "usd": it.express.map(|it| number(it.total())),
            "requests_usd": it.express.map(|it| number(it.requests)),
            "duration_usd": it.express.map(|it| number(it.duration)),
            "billed_gb_s": it.usage.memory_time.as_gb_seconds(),
            "billed_memory_mb": it.memory_mb,
            "memory_source": it.memory_source.as_str(),
            "logs_usd": other.logs.map(|it| number(it.usd)),
            "logs_source": other.logs.map(|it| if it.is_measured { "measured" } else { "estimate" }),
            "usd_with_logs": other.express_with_logs().map(number),
            "blocked": other.is_blocked,
            "saves_usd": other.saves.filter(|_| is_standard).map(number),
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
        "saves_usd": advice.saves.map(number),
        "of_usd": other.of.map(number),
        "saves_usd_per_month": advice.saves_per_month.map(number),
        "projection_month": advice.projection.as_ref().map(month_to_json),
        "projection_reason": advice.projection_reason,
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

pub(super) fn month_to_json(it: &Month) -> Value {
    json!({
        "usd": number(it.usd),
        "low_usd": it.interval.map(|it| number(it.0)),
        "high_usd": it.interval.map(|it| number(it.1)),
        "basis_days": (it.days * 1_000.0).round() / 1_000.0,
        "rough": it.is_rough,
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
    let error = |(error, retries, backoff, usd): &(String, u64, Micros, Option<Usd>)| json!({"error": error, "retries": retries, "backoff_ms": backoff.as_millis(), "usd": usd.map(number)});
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

/// What each state of a machine was paid for; what no visible state billed stands under `null`.
fn by_state(it: &MachineCost, advice: &Advice, states: &[Group]) -> Value {
    let line = |group: &Group| {
        let functions = group.key().and_then(|it| advice.functions.get(it));
        json!({
            "state": group.key(),
            "transitions": group.transitions(),
            "usd": group.usd().map(number),
            "lambda_calls": functions.map(|it| it.calls),
            "lambda_usd": functions.and_then(|it| it.usd).map(number),
        })
    };
    states.iter().filter(|group| group.is_of(&it.machine.arn)).map(line).collect()
}
