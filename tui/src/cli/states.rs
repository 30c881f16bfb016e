//! `states`: where executions spend their time, state by state.

use std::collections::BTreeMap;

use analyzer::model::{Micros, Timestamp, Usd};
use analyzer::population::Findings;
use clap::Args;
use queries::{ExecutionFilter, Hours, PathRow, Runs, StateRow};
use serde_json::{Value, json};
use tui::text;

use super::bill::{Prices, number};
use super::bottlenecks::population;
use super::coverage::Coverage;
use super::selection::Selection;
use super::show::{for_each_run, split_to_json};
use super::{Context, select};
use crate::Outcome;
use crate::failure::Failure;
use crate::report::{Report, TextTable};

/// Machines with at most so many executions are replayed for slack and bounds; `bottlenecks` does it for any number.
const REPLAYED: u64 = 200;

#[derive(Args)]
pub(crate) struct StatesArguments {
    /// A state machine: its ARN, its name, or a unique part of it.
    machine: Option<String>,
    /// Percentiles within one percent, from hourly sums: at once, however many executions there are.
    #[arg(long)]
    approximate: bool,
    #[command(flatten)]
    selection: Selection,
}

pub(crate) fn run(context: &Context, arguments: &StatesArguments) -> Outcome {
    found(context, arguments)?.print(context.output)?;
    Ok(0)
}

/// What the command finds.
pub(crate) fn found(context: &Context, arguments: &StatesArguments) -> Result<Report, Failure> {
    let reader = context.reader()?;
    let machine = select::optional_machine(&reader, arguments.machine.as_deref())?;
    let prices = Prices::new(context)?;
    let mut findings = BTreeMap::new();
    if arguments.approximate {
        let (since, until) = arguments.selection.only_range(context)?;
        let (paths, states) = reader.rolled_up(machine.as_deref(), whole_hours(since, until)?)?;
        let mut told = report(&paths, &states, &findings, &prices, true);
        Coverage::load(&reader, since, until)?.tell(&reader, &mut told, machine.as_deref())?;
        return Ok(told);
    }
    let filter = arguments.selection.filter(context, machine.clone())?;
    let ids = arguments.selection.is_more_than_a_range().then(|| reader.executions(&filter)).transpose()?;
    let ids = ids.map(|rows| rows.iter().map(|it| it.id).collect());
    let runs = Runs { machine: machine.map(|it| it.to_string()), since: filter.since, until: filter.until, ids };
    let paths = reader.paths(&runs)?;
    let states = reader.states(&runs)?;
    for path in paths.iter().filter(|it| it.executions <= REPLAYED) {
        let filter = ExecutionFilter { machine_arn: Some(path.machine_arn.as_str().into()), ..filter.clone() };
        let mut population = population(&reader, &path.machine_arn)?;
        for_each_run(&reader, &reader.executions(&filter)?, |_, run| {
            population.add(run);
            Ok(())
        })?;
        findings.insert(path.machine_arn.as_str(), population.finish());
    }
    let mut told = report(&paths, &states, &findings, &prices, false);
    Coverage::load(&reader, runs.since, runs.until)?.tell(&reader, &mut told, runs.machine.as_deref())?;
    Ok(told)
}

/// The hours of a range; sums by the hour know nothing of shorter spans.
pub(super) fn whole_hours(since: Option<Timestamp>, until: Option<Timestamp>) -> Result<Hours, Failure> {
    Hours::of(since, until).ok_or_else(|| {
        Failure::usage("--approximate needs a range of whole hours")
            .hint("give --since and --until on the hour, or leave --approximate out")
    })
}

fn report(
    paths: &[PathRow],
    states: &[StateRow],
    findings: &BTreeMap<&str, Findings>,
    prices: &Prices,
    is_approximate: bool,
) -> Report {
    let mut table = TextTable::with_columns(&[
        "machine",
        "state",
        "type",
        "#visits",
        "#failed",
        "#retries",
        "#p50",
        "#p95",
        "#p99",
        "#max",
        "#path share",
        "#work",
        "#back-off",
        "#transitions",
    ]);
    let mut machines = Vec::new();
    for path in paths {
        let own: Vec<&StateRow> = states.iter().filter(|it| it.machine_arn == path.machine_arn).collect();
        for state in &own {
            table.rows.push(table_row(path, state));
        }
        machines.push(json!({
            "state_machine_arn": path.machine_arn,
            "executions": path.executions,
            "complete": path.complete,
            "p50_ms": path.p50.map(Micros::as_millis),
            "p95_ms": path.p95.map(Micros::as_millis),
            "p99_ms": path.p99.map(Micros::as_millis),
            "states": own.iter().map(|it| to_json(path, it, findings.get(path.machine_arn.as_str()), prices)).collect::<Vec<_>>(),
        }));
    }
    by_machine("states", is_approximate, machines, table, String::new())
}

/// A report with the machines as its rows.
pub(super) fn by_machine(
    command: &'static str,
    is_approximate: bool,
    machines: Vec<Value>,
    table: TextTable,
    footer: String,
) -> Report {
    let fields = [("approximate".to_owned(), is_approximate.into()), ("machines".to_owned(), machines.into())];
    let heading = if is_approximate { "percentiles ≈ within one percent; sums are exact" } else { "" };
    Report {
        command,
        fields: fields.into_iter().collect(),
        rows: "machines",
        table,
        heading: heading.to_owned(),
        footer,
    }
}

#[expect(clippy::cast_precision_loss, reason = "shares are fractions")]
fn share(part: Micros, whole: Micros) -> Option<f64> {
    (whole > Micros::ZERO).then(|| part.0 as f64 / whole.0 as f64)
}

fn table_row(path: &PathRow, state: &StateRow) -> Vec<String> {
    use analyzer::timeline::Category;
    let name = path.machine_arn.rsplit(':').next().unwrap_or(&path.machine_arn);
    vec![
        text::cut(name, 28),
        text::cut(&state.state, 32),
        state.kind.map_or("–", analyzer::model::StateType::as_str).to_owned(),
        text::count(state.visits),
        text::count(state.failures),
        text::count(state.retries),
        text::opt_span(state.p50),
        text::opt_span(state.p95),
        text::opt_span(state.p99),
        text::opt_span(state.max),
        share(state.critical, path.path).map_or_else(|| "–".to_owned(), |it| format!("{:.1} %", it * 100.0)),
        text::span(state.split[Category::Work]),
        text::span(state.split[Category::Backoff]),
        text::count(state.transitions()),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "a mean of microseconds")]
fn to_json(path: &PathRow, state: &StateRow, findings: Option<&Findings>, prices: &Prices) -> Value {
    let found = findings.and_then(|it| it.states.iter().find(|it| *it.state == *state.state));
    let ms = |it: Option<Micros>| it.map(Micros::as_millis);
    let mean = (path.complete > 0).then(|| (state.critical.0 as f64 / path.complete as f64).round() / 1_000.0);
    let usd: Option<Usd> = prices.transitions(&path.machine_arn, state.transitions());
    json!({
        "state": state.state,
        "type": state.kind.map(analyzer::model::StateType::as_str),
        "visits": state.visits,
        "failures": state.failures,
        "retries": state.retries,
        "rerun": state.reruns,
        "p50_ms": state.p50.map(Micros::as_millis),
        "p95_ms": state.p95.map(Micros::as_millis),
        "p99_ms": state.p99.map(Micros::as_millis),
        "max_ms": state.max.map(Micros::as_millis),
        "critical_ms_mean": mean,
        "critical_share": share(state.critical, path.path),
        "slack_p50_ms": ms(found.and_then(|it| it.slack_p50)),
        "split_ms": split_to_json(&state.split, found.and_then(|it| it.cold_start)),
        "billed_transitions": state.transitions(),
        "usd": usd.map(number),
        "speedup_bound": found.map(|it| json!({"p50_ms": ms(it.bound_p50), "p95_ms": ms(it.bound_p95)})),
    })
}
