//! The JSON of `bottlenecks`, as the contract fixes it.

use analyzer::model::{Micros, Name, StateType};
use analyzer::patterns::Pattern;
use analyzer::population::{Findings, StateFinding, Variant};
use analyzer::timeline::Category;
use queries::OpenedRow;
use serde_json::{Value, json};

use super::told::{pattern_sentence, sentence};
use super::{Found, share};
use crate::cli::bill::{Prices, number};
use crate::cli::show::split_to_json;

fn opened_to_json(it: &OpenedRow, waiting: &StateFinding, findings: &Findings) -> Value {
    let path: Micros = findings.states.iter().map(|it| it.critical_total).sum();
    // The part of the waiting state's own path time that this stands for.
    let own = share(it.time.min(waiting.critical_total), path);
    json!({
        "state_machine_arn": it.machine_arn,
        "state": it.state,
        "category": it.category.map(Category::as_str),
        "executions": it.executions,
        "time_ms": it.time.as_millis(),
        "critical_share": own,
    })
}

fn pattern_to_json(it: &Pattern, prices: &Prices, arn: &Name) -> Value {
    let usd = |transitions: u64| prices.transitions(arn, transitions).map(number);
    let mut value = match it {
        Pattern::PollingLoop { wait, states, executions, rounds, transitions, time, time_share, transition_share } => {
            json!({
                "kind": "polling_loop", "state": wait.as_str(), "states": states.iter().map(Name::as_str).collect::<Vec<_>>(),
                "executions": executions, "rounds": rounds, "transitions": transitions, "time_ms": time.as_millis(),
                "time_share": time_share, "transition_share": transition_share, "usd": usd(*transitions),
            })
        }
        Pattern::Stragglers { map, rounds, skewed, skew_p50, lost } => json!({
            "kind": "stragglers", "state": map.as_str(), "rounds": rounds, "skewed": skewed, "skew_p50": skew_p50,
            "time_ms": lost.as_millis(),
        }),
        Pattern::RetryStorm { state, visits, retries, error, backoff, transitions } => json!({
            "kind": "retry_storm", "state": state.as_str(), "visits": visits, "retries": retries,
            "error": error.as_deref(), "time_ms": backoff.as_millis(), "transitions": transitions, "usd": usd(*transitions),
        }),
        Pattern::EventLimit { executions, most_events, example, time_left } => json!({
            "kind": "event_limit", "state": Value::Null, "executions": executions, "most_events": most_events,
            "limit": analyzer::patterns::EVENT_LIMIT, "example": example.as_str(), "time_left_ms": time_left.map(Micros::as_millis),
        }),
        Pattern::TightTimeout { state, timeout, p99, timed_out } => json!({
            "kind": "tight_timeout", "state": state.as_str(), "timeout_ms": timeout.as_millis(), "p99_ms": p99.as_millis(),
            "timed_out": timed_out,
        }),
        Pattern::DuplicateStarts { executions, inputs, transitions, example } => json!({
            "kind": "duplicate_starts", "state": Value::Null, "executions": executions, "inputs": inputs,
            "examples": [example.0.as_str(), example.1.as_str()], "transitions": transitions, "usd": usd(*transitions),
        }),
    };
    value["finding"] = pattern_sentence(it).into();
    value
}

pub(super) fn to_json(found: &Found, prices: &Prices) -> Value {
    let Found { arn, findings, stuck, opened } = found;
    let ms = |it: Option<Micros>| it.map(Micros::as_millis);
    json!({
        "state_machine_arn": arn.as_str(),
        "executions": findings.executions,
        "modelled": findings.modelled,
        "p50_ms": ms(findings.p50),
        "p95_ms": ms(findings.p95),
        "p99_ms": ms(findings.p99),
        "variants": findings.variants.iter().map(|it| variant_to_json(it, findings.executions, arn, prices)).collect::<Vec<_>>(),
        "choices": findings.choices.iter().map(choice_to_json).collect::<Vec<_>>(),
        "stuck": stuck.iter().map(|it| it.to_json(findings.p99)).collect::<Vec<_>>(),
        "patterns": findings.patterns.iter().map(|it| pattern_to_json(it, prices, arn)).collect::<Vec<_>>(),
        "states": findings.states.iter().map(|it| state_to_json(arn, it, findings, opened, prices)).collect::<Vec<_>>(),
    })
}

#[expect(clippy::cast_precision_loss, reason = "shares are fractions")]
fn variant_to_json(it: &Variant, executions: usize, arn: &Name, prices: &Prices) -> Value {
    let ms = |it: Option<Micros>| it.map(Micros::as_millis);
    json!({
        "states": it.states.iter().map(Name::as_str).collect::<Vec<_>>(),
        "executions": it.durations.n_runs,
        "share": it.durations.n_runs as f64 / executions.max(1) as f64,
        "p50_ms": ms(it.durations.p50),
        "p95_ms": ms(it.durations.p95),
        "mean_ms": ms(it.durations.mean),
        "billed_transitions": it.transitions,
        "usd": prices.transitions(arn, it.transitions).map(number),
    })
}

#[expect(clippy::cast_precision_loss, reason = "shares are fractions")]
fn choice_to_json((state, ways): &(Name, Vec<(Name, u64)>)) -> Value {
    let total: u64 = ways.iter().map(|it| it.1).sum();
    let way = |(next, count): &(Name, u64)| json!({"next": next.as_str(), "visits": count, "share": *count as f64 / total.max(1) as f64});
    json!({"state": state.as_str(), "branches": ways.iter().map(way).collect::<Vec<_>>()})
}

#[expect(clippy::cast_precision_loss, reason = "a mean of microseconds")]
fn state_to_json(arn: &Name, it: &StateFinding, findings: &Findings, opened: &[OpenedRow], prices: &Prices) -> Value {
    let ms = |it: Option<Micros>| it.map(Micros::as_millis);
    let mean =
        (findings.executions > 0).then(|| (it.critical_total.0 as f64 / findings.executions as f64).round() / 1_000.0);
    let exemplars: Vec<&str> = findings.medoid.iter().chain(&it.worst).map(Name::as_str).collect();
    json!({
        "state": it.state.as_str(),
        "type": it.kind.map(StateType::as_str),
        "visits": it.visits,
        "failures": it.failures,
        "retries": it.retries,
        "p50_ms": ms(it.p50),
        "p95_ms": ms(it.p95),
        "p99_ms": ms(it.p99),
        "max_ms": ms(it.max),
        "critical_ms_mean": mean,
        "critical_share": it.share,
        "slack_p50_ms": ms(it.slack_p50),
        "split_ms": split_to_json(&it.split, it.cold_start),
        "critical_split_ms": (it.critical.total() == it.critical_total).then(|| split_to_json(&it.critical, None)),
        "rerun": it.reruns,
        "billed_transitions": it.transitions(),
        "usd": prices.transitions(arn, it.transitions()).map(number),
        "speedup_bound": {"p50_ms": ms(it.bound_p50), "p95_ms": ms(it.bound_p95)},
        "error": it.error.as_ref().map(|(error, count)| json!({"error": error.as_str(), "attempts": count})),
        "drag_ms": {"p50_ms": ms(it.drag_p50), "mean_ms": ms(it.drag_mean)},
        "concurrency_limit": it.limit,
        "concurrency_allowed": it.allowed,
        "slot_bound_ms": ms(it.slot_bound_mean),
        "executions": exemplars,
        "opens_into": opened.iter().filter(|row| *row.waiting == *it.state).map(|row| opened_to_json(row, it, findings)).collect::<Vec<_>>(),
        "finding": sentence(it),
    })
}
