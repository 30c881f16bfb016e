//! `whatif`: how long executions would have taken if something had been different.

use analyzer::asl::SERVICE_LIMIT;
use analyzer::model::{Micros, Name, StateType, Usd, WorkflowType};
use analyzer::outcome::{Distribution, Outcomes};
use analyzer::pricing::{ExpressUsage, billed_memory_mb};
use analyzer::replay::Limits;
use analyzer::timeline::Category;
use analyzer::what_if::Scenario;
use clap::Args;
use queries::{Reader, Runs};
use serde_json::{Map, Value, json};
use tui::text;

use super::bill::{BASE_MEMORY, Prices, number};
use super::bottlenecks::map_limits;
use super::selection::Selection;
use super::show::for_each_run;
use super::{Context, select};
use crate::Outcome;
use crate::failure::Failure;
use crate::report::{Report, TextTable, sentences};

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
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
    /// The effect of several limits of a Map, and the knee of the curve.
    #[arg(long, value_name = "MAP")]
    curve: Option<String>,
    /// The work of every state at 90, 75, 50, 25 and 0 %, one state at a time.
    #[arg(long)]
    sweep: bool,
    #[command(flatten)]
    selection: Selection,
}

pub(crate) fn run(context: &Context, arguments: &WhatifArguments) -> Outcome {
    found(context, arguments)?.print(context.output)?;
    Ok(0)
}

/// What the command finds.
pub(crate) fn found(context: &Context, arguments: &WhatifArguments) -> Result<Report, Failure> {
    let reader = context.reader()?;
    let machine = select::machine(&reader, &arguments.machine)?;
    let scenario = scenario(&reader, &machine, arguments)?;
    let limits = map_limits(&reader, &machine)?;
    let rows = reader.executions(&arguments.selection.filter(context, Some(machine.clone()))?)?;
    let curve = curve_limits(&reader, &machine, arguments.curve.as_deref(), &limits)?;
    let sweep = sweep_steps(&reader, &machine, arguments.sweep)?;
    let mut scenarios = vec![scenario.clone()];
    scenarios.extend(curve.iter().map(|(map, limit)| {
        let mut it = scenario.clone();
        it.concurrency.insert(map.clone(), limit.unwrap_or(usize::MAX));
        it
    }));
    scenarios.extend(sweep.iter().map(|(state, factor)| {
        let mut it = scenario.clone();
        it.work.insert(state.clone(), *factor);
        it
    }));
    let mut outcomes = Outcomes::new(limits, &scenarios, billed_memory_mb(BASE_MEMORY));
    for_each_run(&reader, &rows, |_, run| {
        outcomes.add(run);
        Ok(())
    })?;
    let mut notes = Vec::new();
    if arguments.no_cold_starts && outcomes.cold_starts == 0 {
        notes.push("no cold start of these executions is known, so none could be taken away".to_owned());
    }
    if outcomes.unmodelled > 0 {
        notes.push(format!(
            "{} executions are left out: running, stopped from outside, redriven, or not complete",
            outcomes.unmodelled
        ));
    }
    let unmodelled = outcomes.unmodelled;
    let (before, after) = outcomes.finish();
    let mut after = after.into_iter().map(|it| (it.transitions, it.usage, it.distribution()));
    let (transitions, usage) = (before.transitions, before.usage);
    let prices = Prices::new(context)?;
    let is_express = rows.first().is_some_and(|it| it.workflow_type == WorkflowType::Express);
    let usd = |transitions: u64, usage: ExpressUsage| {
        if is_express { prices.express(&machine, usage) } else { prices.transitions(&machine, transitions) }
    };
    let mut next = || after.next().map(|(transitions, usage, it)| (it, usd(transitions, usage))).unwrap_or_default();
    let found = Found {
        unmodelled,
        before: (before.distribution(), usd(transitions, usage)),
        after: next(),
        curve: curve.into_iter().map(|(map, limit)| (map, limit, next().0)).collect(),
        sweep: sweep.into_iter().map(|(state, factor)| (state, factor, next())).collect(),
    };
    if let Some(knee) = knee(&found.curve) {
        notes.push(format!("from {knee} items at once on, a higher limit wins less than 5 % of all that can be won"));
    }
    Ok(report(&machine, &found, &notes))
}

/// Durations and the list price of all runs together.
type Priced = (Distribution, Option<Usd>);

struct Found {
    unmodelled: usize,
    before: Priced,
    after: Priced,
    /// Limits of a Map and what each would do, in ascending order; no limit last.
    curve: Vec<(Name, Option<usize>, Distribution)>,
    /// Work of each state at each factor.
    sweep: Vec<(Name, f64, Priced)>,
}

fn scenario(reader: &Reader, machine: &Name, arguments: &WhatifArguments) -> Result<Scenario, Failure> {
    let states = reader.states(&Runs::of_machine(machine))?;
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
    let mut scenario = Scenario {
        no_retries: arguments.no_retries,
        no_backoff: arguments.no_backoff,
        no_cold_starts: arguments.no_cold_starts,
        ..Scenario::default()
    };
    for text in &arguments.work {
        let (name, value) = pair(text)?;
        let factor = value.parse::<f64>().ok().filter(|it| (0.0..=MOST).contains(it));
        let factor = factor.ok_or_else(|| {
            Failure::usage(format!("invalid factor `{value}`")).hint("use a number from 0 to 1,000,000, such as 0.5")
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

/// A step along the curve that wins less than this part of all that can be won is not worth it: the knee lies before.
const KNEE: f64 = 0.05;

/// The limits of a Map to try, in ascending order; no limit last.
fn curve_limits(
    reader: &Reader,
    machine: &Name,
    map: Option<&str>,
    limits: &Limits,
) -> Result<Vec<(Name, Option<usize>)>, Failure> {
    let Some(map) = map else { return Ok(Vec::new()) };
    let is_map = |it: &queries::StateRow| it.state == map && it.kind == Some(StateType::Map);
    if !reader.states(&Runs::of_machine(machine))?.iter().any(is_map) {
        return Err(Failure::usage(format!("`{map}` is no Map that executions of this machine visited"))
            .hint("`stepscope states` lists the states with their types"));
    }
    let map = Name::from(map);
    let mut tried: Vec<usize> = match limits.get(&map) {
        Some(named) => vec![*named, named * 2, named * 4, SERVICE_LIMIT],
        None => vec![1, 2, 4, 8, 16, SERVICE_LIMIT],
    };
    tried.sort_unstable();
    tried.dedup();
    Ok(tried.into_iter().map(Some).chain([None]).map(|it| (map.clone(), it)).collect())
}

/// The most that work can be multiplied by: spans stay far from the largest that can be counted.
const MOST: f64 = 1e6;

/// The factors of a sweep.
pub(super) const FACTORS: [f64; 5] = [0.9, 0.75, 0.5, 0.25, 0.0];

/// Every state that works, at every factor.
fn sweep_steps(reader: &Reader, machine: &Name, is_wanted: bool) -> Result<Vec<(Name, f64)>, Failure> {
    if !is_wanted {
        return Ok(Vec::new());
    }
    let states = reader.states(&Runs::of_machine(machine))?;
    let works = states.iter().filter(|it| it.split[Category::Work] > Micros::ZERO);
    Ok(works.flat_map(|it| FACTORS.map(|factor| (Name::from(it.state.as_str()), factor))).collect())
}

/// The smallest limit after which no further one wins much.
#[expect(clippy::cast_precision_loss, reason = "a share of what can be won")]
fn knee(curve: &[(Name, Option<usize>, Distribution)]) -> Option<usize> {
    let mean = |it: &(Name, Option<usize>, Distribution)| it.2.mean;
    let (first, last) = (curve.first().and_then(mean)?, curve.last().and_then(mean)?);
    let most = (first - last).0 as f64;
    let is_enough =
        |it: &&(Name, Option<usize>, Distribution)| mean(it).is_some_and(|mean| (mean - last).0 as f64 <= most * KNEE);
    curve.iter().find(is_enough)?.1
}

fn report(machine: &Name, found: &Found, notes: &[String]) -> Report {
    let mut table = TextTable::with_columns(&["", "#p50", "#p95", "#p99", "#mean", "#list price"]);
    let mut row = |what: String, it: &Distribution, price: String| {
        let spans = [it.p50, it.p95, it.p99, it.mean].map(text::opt_span);
        table.rows.push([what].into_iter().chain(spans).chain([price]).collect());
    };
    let price = |usd: Option<Usd>| usd.map_or_else(|| "–".to_owned(), text::usd);
    row("before".to_owned(), &found.before.0, price(found.before.1));
    row("after".to_owned(), &found.after.0, price(found.after.1));
    for (map, limit, it) in &found.curve {
        let what = limit.map_or_else(|| format!("{map} without a limit"), |limit| format!("{map} {limit} at once"));
        row(what, it, String::new());
    }
    for (state, factor, (it, usd)) in &found.sweep {
        row(format!("{state} at {:.0} % of its work", factor * 100.0), it, price(*usd));
    }
    let fields: Map<String, Value> = [
        ("state_machine_arn", Value::from(machine.as_str())),
        ("executions", found.before.0.n_runs.into()),
        ("unmodelled", found.unmodelled.into()),
        ("before", side_to_json(&found.before)),
        ("after", side_to_json(&found.after)),
        // What the replay is not exact for is left out and counted.
        ("replay_error_ms", Micros::ZERO.as_millis().into()),
        ("curve", found.curve.iter().map(point_to_json).collect()),
        ("knee", knee(&found.curve).into()),
        ("sweep", found.sweep.iter().map(step_to_json).collect()),
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
        heading: format!("{} executions re-simulated; without a change the replay is exact", found.before.0.n_runs),
        footer: sentences(notes),
    }
}

fn side_to_json((it, usd): &Priced) -> Value {
    let ms = |it: Option<Micros>| it.map(Micros::as_millis);
    json!({"p50_ms": ms(it.p50), "p95_ms": ms(it.p95), "p99_ms": ms(it.p99), "mean_ms": ms(it.mean), "usd": usd.map(number)})
}

fn point_to_json((map, limit, it): &(Name, Option<usize>, Distribution)) -> Value {
    let ms = |it: Option<Micros>| it.map(Micros::as_millis);
    json!({"map": map.as_str(), "concurrency": limit, "p50_ms": ms(it.p50), "p95_ms": ms(it.p95), "p99_ms": ms(it.p99), "mean_ms": ms(it.mean)})
}

fn step_to_json((state, factor, priced): &(Name, f64, Priced)) -> Value {
    let mut value = json!({"state": state.as_str(), "factor": factor});
    if let (Value::Object(value), Value::Object(side)) = (&mut value, side_to_json(priced)) {
        value.extend(side);
    }
    value
}
