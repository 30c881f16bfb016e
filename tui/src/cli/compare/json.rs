//! `compare` as a report: its JSON and its table.

use analyzer::compare::{Billed, Cause, Compared, Failing, SideSummary};
use analyzer::model::{Micros, Name, Usd};
use queries::ExecutionFilter;
use serde_json::{Map, Value, json};
use tui::safe::Command;

use super::evidence::{
    Deployed, changes_told, deployment_sentence, deployment_to_json, error_to_json, slice_sentence, slice_to_json,
};
use super::exemplars::{self, side_by_side};
use super::sides::Sides;
use super::{Explained, TOLD, cause_row, errors_told, findings, heading, listed};
use crate::report::{Report, TextTable, sentences};

pub(super) fn report(machine: &Name, it: &Explained, sides: &Sides, all: bool, rate: Option<Usd>) -> Report {
    let compared = &it.compared;
    let named = listed(compared, all);
    let mut table = TextTable::with_columns(&[
        "#",
        "cause",
        "what",
        "#contribution",
        "#share",
        "95 % interval",
        "#q",
        "since (UTC)",
    ]);
    for (rank, it) in (1_u64..).zip(&named) {
        table.rows.push(cause_row(rank, it).into());
    }
    let mut fields = fields(machine, compared, sides, &named, all, it.left_out, rate);
    fields.insert("slices".to_owned(), it.slices.iter().map(slice_to_json).collect());
    fields.insert("errors".to_owned(), it.errors.iter().map(error_to_json).collect());
    fields.insert("deployments".to_owned(), it.deployments.iter().map(deployment_to_json).collect());
    fields.insert("exemplars".to_owned(), it.exemplars.iter().map(exemplars::to_json).collect());
    fields.insert("throttled".to_owned(), json!({"baseline": it.throttled[0], "incident": it.throttled[1]}));
    let example = named.first().and_then(|it| it.evidence.first());
    let footer = findings(compared, &named, all, it.left_out)
        .into_iter()
        .chain(example.map(|it| format!("See for yourself: {}", Command::new("stepscope show").argument(it))))
        .chain(side_by_side(&it.exemplars).map(|it| format!("A typical run beside one like it before: {it}")))
        .chain(throttled_told(it.throttled))
        .chain(it.slices.iter().take(TOLD).map(slice_sentence))
        .chain(errors_told(it))
        .chain(it.deployments.iter().flat_map(deployment_told));
    let footer = sentences(footer);
    Report { command: "compare", fields, rows: "causes", table, heading: heading(machine, compared, sides), footer }
}

/// A deployment and what it changed, a line each.
fn deployment_told(it: &Deployed) -> Vec<String> {
    let changes = it.changes.as_deref().map(changes_told).unwrap_or_default();
    let first = format!("In the window: {}.", deployment_sentence(&it.it));
    std::iter::once(first).chain(changes.into_iter().map(|it| format!("  {it}"))).collect()
}

/// What the metrics say of throttling, where they say anything.
pub(super) fn throttled_told(throttled: [Option<f64>; 2]) -> Option<String> {
    let [before, after] = throttled;
    let said = |it: Option<f64>| it.map_or_else(|| "not known".to_owned(), |it| format!("{it:.0}"));
    after.or(before).filter(|it| *it > 0.0)?;
    Some(format!("The service throttled the machine {} times, {} before (whole hours).", said(after), said(before)))
}

pub(super) fn billed_to_json(it: &Billed, rate: Option<Usd>) -> Value {
    let usd = rate.map(|rate| ((it.after - it.before) * rate.as_f64() * 1e12).round() / 1e12);
    json!({
        "state": it.state.as_deref(), "baseline_mean_transitions": rounded(it.before),
        "incident_mean_transitions": rounded(it.after), "difference_usd": usd,
    })
}

pub(super) fn failing_to_json(it: &Failing) -> Value {
    json!({
        "state": it.state.as_deref(), "error": it.error.as_str(), "baseline_rate": it.before, "incident_rate": it.after,
        "difference": it.after - it.before,
    })
}

/// Milliseconds with at most three decimals.
pub(super) fn rounded(ms: f64) -> f64 {
    (ms * 1e3).round() / 1e3
}

pub(super) fn fields(
    machine: &Name,
    compared: &Compared,
    sides: &Sides,
    named: &[&Cause],
    all: bool,
    left_out: u64,
    rate: Option<Usd>,
) -> Map<String, Value> {
    let (b, i) = (&compared.baseline, &compared.incident);
    let side = |it: &SideSummary| {
        let ms = |it: Option<Micros>| it.map(Micros::as_millis);
        json!({"n": it.n, "n_partial": it.n_partial, "p50_ms": ms(it.p50), "p95_ms": ms(it.p95), "mean_ms": it.mean_ms.map(rounded)})
    };
    let range = |it: &ExecutionFilter| json!({"from": it.since.map(analyzer::time::format), "to": it.until.map(analyzer::time::format), "version": it.version});
    let shift = compared
        .shift
        .map(|it| json!({"estimate": rounded(it.estimate), "low": rounded(it.low), "high": rounded(it.high)}));
    let failed = |it: &SideSummary| {
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = it.failed as f64 / it.n.max(1) as f64;
        json!({"n": it.n, "failed": it.failed, "rate": rate})
    };
    let failures = compared.failures;
    let paid = |it: &SideSummary| {
        let usd = it.mean_transitions.zip(rate).map(|(mean, rate)| mean * rate.as_f64());
        json!({"mean_transitions": it.mean_transitions.map(rounded), "mean_usd": usd.map(|it| (it * 1e12).round() / 1e12)})
    };
    let causes: Vec<Value> = (1_u64..).zip(named).map(|(rank, it)| cause_to_json(rank, it)).collect();
    let harmless = |it: &analyzer::compare::Harmless| json!({"state": it.state.as_str(), "before_ms": it.before.as_millis(), "after_ms": it.after.as_millis(), "reason": "not on the critical path"});
    [
        ("state_machine_arn", Value::from(machine.as_str())),
        ("baseline", range(&sides.baseline)),
        ("incident", range(&sides.incident)),
        (
            "latency",
            json!({"baseline": side(b), "incident": side(i), "shift_ms": shift, "p_value": compared.shift_p_value, "difference_ms": compared.difference_ms.map(rounded)}),
        ),
        (
            "failures",
            json!({
                "baseline": failed(b), "incident": failed(i), "p_value": failures.map(|it| it.1),
                "difference": failures.map(|it| json!({"estimate": it.0.estimate, "low": it.0.low, "high": it.0.high})),
                "by_error": compared.failing.iter().map(failing_to_json).collect::<Value>(),
            }),
        ),
        ("cost", json!({
                "baseline": paid(b), "incident": paid(i),
                "by_state": compared.transitions.iter().map(|it| billed_to_json(it, rate)).collect::<Value>(),
            })),
        ("causes", causes.into()),
        ("unexplained_ms", compared.unexplained_ms(all).map(rounded).into()),
        ("harmless", compared.harmless.iter().map(harmless).collect()),
        ("left_out", left_out.into()),
    ]
    .into_iter()
    .map(|(key, it)| (key.to_owned(), it))
    .collect()
}

pub(super) fn cause_to_json(rank: u64, it: &Cause) -> Value {
    json!({
        "rank": rank,
        "state": it.state.as_deref(),
        "category": it.kind.as_str(),
        "error": it.error.as_deref(),
        "contribution_ms": rounded(it.contribution_ms),
        "contribution_share": it.share,
        "estimate": rounded(it.contribution_ms),
        "low": it.interval.map(|it| rounded(it.0)),
        "high": it.interval.map(|it| rounded(it.1)),
        "p_value": it.p_value,
        "q_value": it.q_value,
        "first_seen": it.first_seen.map(analyzer::time::format),
        "evidence": it.evidence.iter().map(Name::as_str).collect::<Vec<_>>(),
        "detail": it.detail,
    })
}
