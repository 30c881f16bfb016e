//! `whatif`: how long executions would have taken if something had been different.

use analyzer::asl::SERVICE_LIMIT;
use analyzer::execution::Run;
use analyzer::model::{Micros, Name, StateType};
use analyzer::population::{Distribution, WhatIf};
use analyzer::what_if::Scenario;
use clap::Args;
use queries::Reader;
use serde_json::{Map, Value, json};
use tui::text;

use super::bill::{Prices, number};
use super::selection::Selection;
use super::show::for_each_run;
use super::{Context, select};
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
    /// The effect of several limits of a Map, and the knee of the curve.
    #[arg(long, value_name = "MAP")]
    curve: Option<String>,
    #[command(flatten)]
    selection: Selection,
}

pub(crate) fn run(context: &Context, arguments: &WhatifArguments) -> Outcome {
    let reader = context.reader()?;
    let machine = select::machine(&reader, &arguments.machine)?;
    let scenario = scenario(&reader, &machine, arguments)?;
    let rows = reader.executions(&arguments.selection.filter(context, Some(machine.clone()))?)?;
    let mut curve = Curve::new(&reader, &machine, arguments.curve.as_deref(), &scenario)?;
    let mut outcome = WhatIf::default();
    for_each_run(&reader, &rows, |_, run| {
        outcome.add(run, &scenario);
        curve.add(run);
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
    let curve = curve.finish();
    if let Some(knee) = knee(&curve) {
        notes.push(format!("from {knee} items at once on, a higher limit wins less than 5 % of all that can be won"));
    }
    report(&machine, outcome, &curve, &notes, &Prices::new(context)?).print(context.output)?;
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

/// Limits of a Map and what each would do, in ascending order; no limit last.
struct Curve {
    map: Option<Name>,
    sides: Vec<(Option<usize>, Scenario, WhatIf)>,
}

/// A step along the curve that wins less than this part of all that can be won is not worth it: the knee lies before.
const KNEE: f64 = 0.05;

impl Curve {
    fn new(reader: &Reader, machine: &Name, map: Option<&str>, base: &Scenario) -> Result<Self, Failure> {
        let Some(map) = map else {
            return Ok(Self { map: None, sides: Vec::new() });
        };
        let is_map = |it: &queries::StateRow| it.state == map && it.kind == Some(StateType::Map);
        if !reader.states(Some(machine), None, None)?.iter().any(is_map) {
            return Err(Failure::usage(format!("`{map}` is no Map that executions of this machine visited"))
                .hint("`stepscope states` lists the states with their types"));
        }
        let map = Name::from(map);
        let named = super::bottlenecks::map_limits(reader, machine)?.get(&map).copied();
        let mut limits: Vec<usize> = match named {
            Some(named) => vec![named, named * 2, named * 4, SERVICE_LIMIT],
            None => vec![1, 2, 4, 8, 16, SERVICE_LIMIT],
        };
        limits.sort_unstable();
        limits.dedup();
        let side = |limit: Option<usize>| {
            let mut scenario = base.clone();
            scenario.concurrency.insert(map.clone(), limit.unwrap_or(usize::MAX));
            (limit, scenario, WhatIf::default())
        };
        let sides = limits.into_iter().map(Some).chain([None]).map(side).collect();
        Ok(Self { map: Some(map), sides })
    }

    fn add(&mut self, run: &Run) {
        for (_, scenario, outcome) in &mut self.sides {
            outcome.add(run, scenario);
        }
    }

    fn finish(self) -> Vec<(Name, Option<usize>, Distribution)> {
        let Some(map) = self.map else { return Vec::new() };
        self.sides.into_iter().map(|(limit, _, it)| (map.clone(), limit, it.distributions().1)).collect()
    }
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

fn report(
    machine: &Name,
    outcome: WhatIf,
    curve: &[(Name, Option<usize>, Distribution)],
    notes: &[String],
    prices: &Prices,
) -> Report {
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
    for (map, limit, it) in curve {
        table.rows.push(vec![
            limit.map_or_else(|| format!("{map} without a limit"), |limit| format!("{map} {limit} at once")),
            text::opt_span(it.p50),
            text::opt_span(it.p95),
            text::opt_span(it.p99),
            text::opt_span(it.mean),
            String::new(),
        ]);
    }
    let point = |(map, limit, it): &(Name, Option<usize>, Distribution)| {
        let ms = |it: Option<Micros>| it.map(Micros::as_millis);
        json!({"map": map.as_str(), "concurrency": limit, "p50_ms": ms(it.p50), "p95_ms": ms(it.p95), "p99_ms": ms(it.p99), "mean_ms": ms(it.mean)})
    };
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
        ("curve", curve.iter().map(point).collect()),
        ("knee", knee(curve).into()),
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
