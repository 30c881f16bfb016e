//! `bottlenecks`: which states decide how long executions take, and what would help.

use analyzer::model::{Micros, Name, StateType};
use analyzer::population::{Findings, Population, StateFinding, Variant};
use analyzer::timeline::Category;
use clap::Args;
use queries::ExecutionFilter;
use serde_json::{Value, json};
use tui::text;

use super::bill::{Prices, number};
use super::show::{for_each_run, split_to_json};
use super::{Context, Range, select};
use crate::Outcome;
use crate::report::{Report, TextTable};

/// A state is worth a sentence from this share of the critical path on.
const WORTH_SAYING: f64 = 0.05;

#[derive(Args)]
pub(crate) struct BottlenecksArguments {
    /// A state machine: its ARN, its name, or a unique part of it.
    machine: Option<String>,
    #[command(flatten)]
    range: Range,
}

pub(crate) fn run(context: &Context, arguments: &BottlenecksArguments) -> Outcome {
    let reader = context.reader()?;
    let (since, until) = context.range(&arguments.range)?;
    let wanted = select::optional_machine(&reader, arguments.machine.as_deref())?;
    let prices = Prices::new(context)?;
    let mut found = Vec::new();
    for machine in reader.machines(since, until)? {
        if wanted.as_deref().is_none_or(|it| it == machine.arn) {
            let filter = ExecutionFilter {
                machine_arn: Some(machine.arn.as_str().into()),
                since,
                until,
                ..ExecutionFilter::default()
            };
            let mut population = Population::default();
            for_each_run(&reader, &reader.executions(&filter)?, |_, run| {
                population.add(run);
                Ok(())
            })?;
            found.push((Name::from(machine.arn), population.finish()));
        }
    }
    report(&found, &prices).print(context.output)?;
    Ok(0)
}

fn report(found: &[(Name, Findings)], prices: &Prices) -> Report {
    let mut table = TextTable::with_columns(&[
        "machine",
        "state",
        "#path share",
        "of that",
        "#p95 if free",
        "#slack",
        "#p50",
        "#p99",
        "#retried",
        "#failed",
    ]);
    let mut sentences = Vec::new();
    for (arn, findings) in found {
        let machine = arn.rsplit(':').next().unwrap_or(arn);
        for state in findings.states.iter().filter(|it| it.share >= 0.005) {
            table.rows.push(table_row(machine, state));
        }
        sentences.extend(
            findings
                .states
                .iter()
                .filter(|it| it.share >= WORTH_SAYING)
                .take(3)
                .map(|it| format!("{machine}: {}", sentence(it))),
        );
    }
    let machines: Vec<Value> = found.iter().map(|(arn, it)| to_json(arn, it, prices)).collect();
    Report {
        command: "bottlenecks",
        fields: [("machines".to_owned(), machines.into())].into_iter().collect(),
        rows: "machines",
        table,
        heading: String::new(),
        footer: sentences.join("\n"),
    }
}

fn table_row(machine: &str, it: &StateFinding) -> Vec<String> {
    let main = it
        .main_category()
        .map_or_else(String::new, |(category, share)| format!("{} {:.0} %", label(category), share * 100.0));
    vec![
        text::cut(machine, 28),
        text::cut(&it.state, 32),
        format!("{:.1} %", it.share * 100.0),
        main,
        it.bound_p95.map_or_else(|| "–".to_owned(), |it| format!("−{}", text::span(it))),
        text::opt_span(it.slack_p50),
        text::opt_span(it.p50),
        text::opt_span(it.p99),
        text::percent(it.retried_visits, it.visits),
        text::percent(it.failures, it.visits),
    ]
}

fn label(category: Category) -> &'static str {
    match category {
        Category::Backoff => "back-off",
        Category::SlotWait => "slot wait",
        Category::RedriveIdle => "redrive idle",
        other => other.as_str(),
    }
}

/// One sentence that a person can act on.
fn sentence(it: &StateFinding) -> String {
    let mut parts = format!("`{}` is {:.0} % of the critical path", it.state, it.share * 100.0);
    if let Some((category, share)) = it.main_category() {
        parts += &format!("; {:.0} % of that is {}", share * 100.0, label(category));
        if let Some((error, _)) = it.error.as_ref().filter(|_| category == Category::Backoff) {
            parts +=
                &format!(" after `{error}` ({} of visits were retried)", text::percent(it.retried_visits, it.visits));
        }
    }
    if let Some(limit) = it.limit.filter(|_| it.kind == Some(StateType::Map)) {
        parts += &format!("; its items wait for one another, {limit} at once");
    }
    if let Some(bound) = it.bound_p95.filter(|it| *it > Micros::ZERO) {
        parts += &format!("; if it took no time, the p95 would fall by {}", text::span(bound));
    }
    parts + "."
}

fn to_json(arn: &Name, findings: &Findings, prices: &Prices) -> Value {
    let ms = |it: Option<Micros>| it.map(Micros::as_millis);
    json!({
        "state_machine_arn": arn.as_str(),
        "executions": findings.executions,
        "modelled": findings.modelled,
        "p50_ms": ms(findings.p50),
        "p95_ms": ms(findings.p95),
        "p99_ms": ms(findings.p99),
        "variants": findings.variants.iter().map(|it| variant_to_json(it, findings.executions)).collect::<Vec<_>>(),
        "choices": findings.choices.iter().map(choice_to_json).collect::<Vec<_>>(),
        "states": findings.states.iter().map(|it| state_to_json(arn, it, findings, prices)).collect::<Vec<_>>(),
    })
}

#[expect(clippy::cast_precision_loss, reason = "shares are fractions")]
fn variant_to_json(it: &Variant, executions: usize) -> Value {
    let ms = |it: Option<Micros>| it.map(Micros::as_millis);
    json!({
        "states": it.states.iter().map(Name::as_str).collect::<Vec<_>>(),
        "executions": it.durations.n_runs,
        "share": it.durations.n_runs as f64 / executions.max(1) as f64,
        "p50_ms": ms(it.durations.p50),
        "p95_ms": ms(it.durations.p95),
        "mean_ms": ms(it.durations.mean),
    })
}

#[expect(clippy::cast_precision_loss, reason = "shares are fractions")]
fn choice_to_json((state, ways): &(Name, Vec<(Name, u64)>)) -> Value {
    let total: u64 = ways.iter().map(|it| it.1).sum();
    let way = |(next, count): &(Name, u64)| json!({"next": next.as_str(), "visits": count, "share": *count as f64 / total.max(1) as f64});
    json!({"state": state.as_str(), "branches": ways.iter().map(way).collect::<Vec<_>>()})
}

#[expect(clippy::cast_precision_loss, reason = "a mean of microseconds")]
fn state_to_json(arn: &Name, it: &StateFinding, findings: &Findings, prices: &Prices) -> Value {
    let ms = |it: Option<Micros>| it.map(Micros::as_millis);
    let mean = (findings.executions > 0)
        .then(|| (it.critical.total().0 as f64 / findings.executions as f64).round() / 1_000.0);
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
        "split_ms": split_to_json(&it.split),
        "critical_split_ms": split_to_json(&it.critical),
        "billed_transitions": it.visits + it.retries,
        "usd": prices.transitions(arn, it.visits + it.retries).map(number),
        "speedup_bound": {"p50_ms": ms(it.bound_p50), "p95_ms": ms(it.bound_p95)},
        "error": it.error.as_ref().map(|(error, count)| json!({"error": error.as_str(), "attempts": count})),
        "concurrency_limit": it.limit,
        "executions": exemplars,
        "finding": sentence(it),
    })
}
