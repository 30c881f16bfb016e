//! `whatif`: how long executions would have taken if something had been different.

use analyzer::model::{Micros, Name, StateType};
use analyzer::population::{Distribution, WhatIf};
use analyzer::what_if::Scenario;
use clap::Args;
use queries::{ExecutionFilter, Reader};
use serde_json::{Map, Value, json};
use tui::text;

use super::bill::{Prices, number};
use super::show::for_each_run;
use super::{Context, Range, select};
use crate::Outcome;
use crate::failure::Failure;
use crate::report::{Report, TextTable};

#[derive(Args)]
pub(crate) struct WhatifArguments {
    /// A state machine: its ARN, its name, or a unique part of it.
    machine: String,
    /// Work of a state at a factor, such as ChargeCard=0.5; may be repeated.
    #[arg(long, value_name = "STATE=FACTOR")]
    work: Vec<String>,
    /// A state that takes no time; may be repeated.
    #[arg(long, value_name = "STATE")]
    free: Vec<String>,
    /// Another limit of a Map, 0 for the service's own; may be repeated.
    #[arg(long, value_name = "MAP=LIMIT")]
    concurrency: Vec<String>,
    /// Only the last attempt of every state.
    #[arg(long)]
    no_retries: bool,
    /// Retries follow at once.
    #[arg(long)]
    no_backoff: bool,
    /// Without cold starts, as far as they are known.
    #[arg(long)]
    no_cold_starts: bool,
    #[command(flatten)]
    range: Range,
}

pub(crate) fn run(context: &Context, arguments: &WhatifArguments) -> Outcome {
    let reader = context.reader()?;
    let (since, until) = context.range(&arguments.range)?;
    let machine = select::machine(&reader, &arguments.machine)?;
    let scenario = scenario(&reader, &machine, arguments)?;
    let filter = ExecutionFilter { machine_arn: Some(machine.clone()), since, until, ..ExecutionFilter::default() };
    let mut outcome = WhatIf::default();
    for_each_run(&reader, &reader.executions(&filter)?, |_, run| {
        outcome.add(run, &scenario);
        Ok(())
    })?;
    let mut notes = Vec::new();
    if arguments.no_cold_starts {
        notes.push("no cold start of these executions is known, so none could be taken away".to_owned());
    }
    if outcome.unmodelled > 0 {
        notes.push(format!(
            "{} executions are left out: running, stopped from outside, redriven, or not complete",
            outcome.unmodelled
        ));
    }
    report(&machine, outcome, &notes, &Prices::new(context)?).print(context.output)?;
    Ok(0)
}

fn scenario(reader: &Reader, machine: &Name, arguments: &WhatifArguments) -> Result<Scenario, Failure> {
    let states = reader.states(Some(machine), None, None)?;
    let known = |name: &str| {
        states.iter().find(|it| it.state == name).ok_or_else(|| {
            let names = states.iter().map(|it| it.state.as_str()).collect::<Vec<_>>().join(", ");
            Failure::usage(format!("`{name}` is no state that executions of this machine visited"))
                .hint(format!("they visited: {names}"))
        })
    };
    let pair = |text: &str| {
        text.rsplit_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(|| {
            Failure::usage(format!("`{text}` names no value")).hint("write STATE=VALUE, such as ChargeCard=0.5")
        })
    };
    let mut scenario =
        Scenario { no_retries: arguments.no_retries, no_backoff: arguments.no_backoff, ..Scenario::default() };
    for text in &arguments.work {
        let (name, value) = pair(text)?;
        let factor = value.parse::<f64>().ok().filter(|it| it.is_finite() && *it >= 0.0);
        let factor = factor.ok_or_else(|| {
            Failure::usage(format!("`{value}` is no factor")).hint("use a number from 0 on, such as 0.5")
        })?;
        scenario.work.insert(known(&name)?.state.as_str().into(), factor);
    }
    for name in &arguments.free {
        scenario.free.push(known(name)?.state.as_str().into());
    }
    for text in &arguments.concurrency {
        let (name, value) = pair(text)?;
        let limit = value.parse::<usize>().map_err(|_| {
            Failure::usage(format!("`{value}` is no limit")).hint("use a whole number; 0 is the service's own limit")
        })?;
        let state = known(&name)?;
        if state.kind != Some(StateType::Map) {
            return Err(Failure::usage(format!("`{name}` is no Map")).hint("only a Map has a limit of items at once"));
        }
        scenario.concurrency.insert(state.state.as_str().into(), limit);
    }
    Ok(scenario)
}

fn report(machine: &Name, outcome: WhatIf, notes: &[String], prices: &Prices) -> Report {
    let unmodelled = outcome.unmodelled;
    let replay_error = outcome.replay_error;
    let usd_before = prices.transitions(machine, outcome.transitions);
    let usd_after = prices.transitions(machine, outcome.transitions - outcome.saved_transitions);
    let (before, after) = outcome.distributions();
    let mut table = TextTable::with_columns(&["", "#p50", "#p95", "#p99", "#mean", "#list price"]);
    for (what, it, usd) in [("before", &before, usd_before), ("after", &after, usd_after)] {
        table.rows.push(vec![
            what.to_owned(),
            text::opt_span(it.p50),
            text::opt_span(it.p95),
            text::opt_span(it.p99),
            text::opt_span(it.mean),
            usd.map_or_else(|| "–".to_owned(), text::usd),
        ]);
    }
    let side = |it: &Distribution, usd: Option<analyzer::model::Usd>| {
        let ms = |it: Option<Micros>| it.map(Micros::as_millis);
        json!({"p50_ms": ms(it.p50), "p95_ms": ms(it.p95), "p99_ms": ms(it.p99), "mean_ms": ms(it.mean), "usd": usd.map(number)})
    };
    let fields: Map<String, Value> = [
        ("state_machine_arn", Value::from(machine.as_str())),
        ("executions", before.n_runs.into()),
        ("unmodelled", unmodelled.into()),
        ("before", side(&before, usd_before)),
        ("after", side(&after, usd_after)),
        ("replay_error_ms", replay_error.as_millis().into()),
        ("notes", notes.into()),
    ]
    .into_iter()
    .map(|(key, it)| (key.to_owned(), it))
    .collect();
    Report {
        command: "whatif",
        fields,
        rows: "whatif",
        table,
        heading: format!(
            "{} executions re-simulated; without a change the replay is off by {}",
            before.n_runs,
            text::span(replay_error)
        ),
        footer: notes.join("\n"),
    }
}
