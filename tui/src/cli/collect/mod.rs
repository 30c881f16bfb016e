//! `collect`: from AWS into the database, once or again and again.

mod errands;
mod follow;
mod known;
mod options;
mod plan;
mod result;
mod shard;

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Instant;

use clap::Args;
use collector::import::Stopped;
use collector::live::{LiveReport, collect};
use queries::{ImportStats, Store};
use tui::collecting::NOT_COLLECTING;

pub(crate) use options::{SourceArguments, SourceName, live_options};

use self::options::Resolved;
use super::Context;
use super::aws::AwsArguments;
use super::collector_state::Keeper;
use crate::Outcome;
use crate::failure::{EXIT_SET_ASIDE, Failure};
use crate::ingest::Pace;

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
pub(crate) struct CollectArguments {
    /// Collect once and end; the default.
    #[arg(long, conflicts_with = "follow")]
    once: bool,
    /// Collect until stopped.
    #[arg(long)]
    follow: bool,
    /// Seconds between two looks at the executions of a machine when following [default: 15].
    #[arg(long, value_name = "SECONDS")]
    interval: Option<u64>,
    #[command(flatten)]
    aws: AwsArguments,
    /// Only machines with this in their ARN; may be repeated.
    #[arg(long = "machine", value_name = "TEXT")]
    machines: Vec<String>,
    /// Executions that closed since then [default: 7d at first, then on from the last run].
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    #[command(flatten)]
    sources: SourceArguments,
    /// Only tell what would be read, with how many calls, how long and for how much; nothing is stored.
    #[arg(long, conflicts_with = "follow")]
    plan: bool,
    /// Share the work with every other collector that writes the same lake: each takes slices (machines, log groups, buckets).
    #[arg(long, value_enum, value_name = "HOW", conflicts_with = "plan")]
    shard: Option<shard::Sharding>,
    /// Seconds that a sharing collector may be silent before the others take its slices over [default: 30].
    #[arg(long, value_name = "SECONDS", requires = "shard", value_parser = clap::value_parser!(u64).range(2..=3_600))]
    lease: Option<u64>,
    /// Take in executions again that were forgotten: what was collected before is listed once more.
    #[arg(long)]
    again: bool,
    /// End with 4 when a call was denied or something was set aside.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    service: follow::ServiceArguments,
}

pub(crate) fn run(context: &Context, arguments: &CollectArguments) -> Outcome {
    let resolved = Resolved::of(context, arguments)?;
    if arguments.plan {
        return plan::run(context, &resolved);
    }
    if arguments.shard.is_some() {
        return shard::run(context, arguments, resolved);
    }
    if arguments.follow {
        return follow::run(context, arguments, resolved);
    }
    let keeper = Arc::new(Keeper::start(context, &resolved.targets, &resolved.options, None, false));
    let outcome = collect_once(context, arguments, resolved, &keeper);
    keeper.end(&outcome);
    outcome
}

fn collect_once(context: &Context, arguments: &CollectArguments, resolved: Resolved, keeper: &Arc<Keeper>) -> Outcome {
    let begun = Instant::now();
    let (report, stats) = once(context, resolved, arguments.again, keeper)?;
    keeper.tell(&report);
    let is_lacking = is_lacking(&report, &stats);
    result::report(&report, &stats, begun.elapsed().as_millis()).print(context.output)?;
    if !report.targets.is_empty() && report.targets.iter().all(|it| !it.ok && it.segments == 0) {
        if let Some((words, fix)) = keeper.obstacle() {
            let why = words.trim_start_matches(NOT_COLLECTING).to_owned();
            return Err(Failure::new("nothing could be collected").because(why).hint(fix));
        }
        let gaps = report.targets.iter().flat_map(|it| it.gaps.iter().map(ToString::to_string));
        let denied = report.targets.iter().flat_map(|it| &it.denied).map(|it| format!("{} is denied", it.permission));
        return Err(Failure::new("nothing could be collected")
            .because(gaps.chain(denied).collect::<Vec<_>>().join("; "))
            .hint("check the credentials, the region and the permissions: `stepscope doctor`, `stepscope policy`"));
    }
    Ok(if is_lacking && arguments.strict { EXIT_SET_ASIDE } else { 0 })
}

/// Whether something was set aside, denied or could not be read.
fn is_lacking(report: &LiveReport, stats: &ImportStats) -> bool {
    stats.quarantined > 0
        || report.objects.iter().any(|it| !it.gaps.is_empty())
        || report.targets.iter().any(|it| !it.denied.is_empty())
}

fn once(
    context: &Context,
    resolved: Resolved,
    again: bool,
    keeper: &Arc<Keeper>,
) -> Result<(LiveReport, ImportStats), Failure> {
    let (told, report) = channel();
    let told_by = Arc::clone(keeper);
    let pace = Pace { stored_at: Some(keeper.stored_at()), ..Pace::ONCE };
    let stats = crate::ingest::run_live(opener(context, again)?, &pace, move |send| {
        let tell = &mut |report| told_by.tell(&report);
        let result = collect(&resolved.targets, &resolved.options, &resolved.known, send, tell);
        let outcome = if result.is_ok() { Ok(()) } else { Err(Stopped) };
        let _ = told.send(result);
        outcome
    })?;
    match report.recv() {
        Ok(Ok(report)) => Ok((report, stats)),
        Ok(Err(error)) => Err(Failure::new(error.to_string())),
        Err(_) => Err(Failure::new("the collecting thread broke down")),
    }
}

/// Opens the database with the prices in force; `again` takes in what was forgotten.
fn opener(context: &Context, again: bool) -> Result<impl FnOnce() -> Result<Store, Failure>, Failure> {
    let path = context.config.db_path();
    let prices = super::bill::price_lines(&context.price_books()?);
    Ok(move || {
        let store = super::opened(&path)?.taking_again(again);
        store.set_prices(&prices)?;
        Ok(store)
    })
}
