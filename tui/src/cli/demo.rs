//! `demo`: a day of three machines in a temporary database, one of them with an incident in its last hour.

use std::io::IsTerminal;
use std::path::PathBuf;

use analyzer::model::{Collected, Interner, Micros, Observation, Timestamp};
use analyzer::spans::Span;
use clap::Args;
use queries::{Reader, Store};

use super::bill::{Ledger, Prices, costs_of, price_lines};
use super::{Context, cost, overview, when};
use crate::Outcome;
use crate::failure::Failure;
use crate::output;
use crate::report::Output;

#[derive(Args)]
pub(crate) struct DemoArguments {
    /// Print the overview and end, as without a terminal.
    #[arg(long)]
    once: bool,
    /// How many executions to make up.
    #[arg(long, default_value_t = 2_000)]
    executions: u64,
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// When the day ends; now when not given.
    #[arg(long, value_name = "TIME")]
    end: Option<String>,
    /// Keep the database here.
    #[arg(long, value_name = "PATH")]
    keep: Option<PathBuf>,
}

pub(crate) fn run(context: &Context, arguments: &DemoArguments) -> Outcome {
    let now = context.now()?;
    let end = arguments.end.as_deref().map_or(Ok(now), |it| when::instant(it, now))?;
    let folder = tempfile::Builder::new().prefix("stepscope-demo-").tempdir()?;
    let path = arguments.keep.clone().unwrap_or_else(|| folder.path().join("demo.duckdb"));
    crate::config::database::check(&path)?;
    if arguments.keep.is_some() && path.exists() {
        return Err(Failure::usage(format!("`{}` exists already", path.display()))
            .hint("give the name of a new file with `--keep`"));
    }
    fill(context, arguments, &path, end).map_err(|failure| failure.of_database(&path))?;
    let is_for_people =
        context.output == Output::Table && output::is_stdout_a_terminal() && std::io::stdin().is_terminal();
    if is_for_people && !arguments.once {
        return super::dash::open(context, &path);
    }
    let reader = Reader::open(&path)?;
    let prices = Prices::new(context)?;
    let ledger = Ledger::of_starts(&reader, &prices, (None, None))?;
    let costs = costs_of(&ledger, reader.machines(None, None)?)?;
    let mut report = overview::report(&costs, &cost::as_others(&ledger, &costs)?, "demo");
    report.heading =
        "A made-up day: three machines, and a throttled ChargeCard in order-processing during the last hour."
            .to_owned();
    report.footer = "In a terminal, `stepscope demo` opens the dashboard. `--keep PATH` keeps this database for the other commands.".to_owned();
    report.print(context.output)?;
    Ok(0)
}

fn fill(context: &Context, arguments: &DemoArguments, path: &std::path::Path, end: Timestamp) -> Result<(), Failure> {
    let prices = price_lines(&context.price_books()?);
    let open = || {
        let store = Store::open(path)?;
        store.set_prices(&prices)?;
        Ok(store)
    };
    // The last executions end after they start: the day is moved back by what the longest takes.
    let last = end - Micros::from_seconds(600);
    let workload = collector::synthetic::demo(arguments.executions, last.0 / 1_000, arguments.seed);
    crate::ingest::run(open, move |send| {
        let mut names = Interner::with_capacity(10_000);
        send(workload.definitions())?;
        send(vec![day_until(last)])?;
        workload.run(|started| send(collector::synthetic::observations(&started, &mut names)))
    })?;
    Ok(())
}

/// The day that the workload fills, as a collector would have noted that it was read.
fn day_until(end: Timestamp) -> Observation {
    let from = end - Micros::from_seconds(86_400);
    let spans = std::iter::once(Span { from, to: end }).collect();
    Observation::Collected(Box::new(Collected { source: "demo", subject: "demo".into(), wanted_from: from, spans }))
}
