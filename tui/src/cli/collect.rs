//! `collect`: from AWS into the database, once or again and again.

use std::collections::HashSet;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use analyzer::model::Name;
use clap::Args;
use collector::import::Stopped;
use collector::live::{LiveOptions, LiveReport, collect};
use queries::{ExecutionFilter, ImportStats, Reader, Store};
use serde_json::{Map, Value, json};
use tui::text;

use super::aws::AwsArguments;
use super::{Context, when};
use crate::Outcome;
use crate::failure::{EXIT_SET_ASIDE, Failure};
use crate::report::{Report, TextTable};

#[derive(Args)]
pub(crate) struct CollectArguments {
    /// Collect once and end; the default.
    #[arg(long, conflicts_with = "follow")]
    once: bool,
    /// Collect again and again until stopped.
    #[arg(long)]
    follow: bool,
    /// Seconds between two rounds of `--follow`.
    #[arg(long, default_value_t = 15, value_name = "SECONDS")]
    interval: u64,
    #[command(flatten)]
    aws: AwsArguments,
    /// Only machines with this in their ARN; may be repeated.
    #[arg(long = "machine", value_name = "TEXT")]
    machines: Vec<String>,
    /// Executions that closed since then [default: 7d].
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// What is kept of inputs, outputs, parameters and causes: none, redacted or full [default: none].
    #[arg(long, value_name = "POLICY")]
    payloads: Option<String>,
    /// The part of each API quota that may be used.
    #[arg(long, default_value_t = 0.5, value_name = "SHARE")]
    share: f64,
    /// End with 4 when a call was denied or something was set aside.
    #[arg(long)]
    strict: bool,
}

pub(crate) fn run(context: &Context, arguments: &CollectArguments) -> Outcome {
    if !(0.01..=1.0).contains(&arguments.share) {
        return Err(Failure::usage(format!("`{}` is no share of a quota", arguments.share)).hint("use 0.01 to 1"));
    }
    loop {
        let begun = Instant::now();
        let (report, stats) = round(context, arguments)?;
        let is_lacking = stats.quarantined > 0 || report.targets.iter().any(|it| !it.denied.is_empty());
        to_report(&report, &stats, begun.elapsed().as_millis()).print(context.output)?;
        if !arguments.follow {
            if report.targets.iter().all(|it| !it.ok) {
                return Err(Failure::new("nothing could be collected")
                    .because(report.targets.iter().flat_map(|it| &it.gaps).cloned().collect::<Vec<_>>().join("; "))
                    .hint("check the credentials, the region and the permissions (`stepscope policy` prints them)"));
            }
            return Ok(if is_lacking && arguments.strict { EXIT_SET_ASIDE } else { 0 });
        }
        std::thread::sleep(Duration::from_secs(arguments.interval));
    }
}

fn round(context: &Context, arguments: &CollectArguments) -> Result<(LiveReport, ImportStats), Failure> {
    let now = context.now()?;
    let mut config = context.config.clone();
    // Live, nothing of the users' data is kept unless somebody says so.
    config.payloads = arguments.payloads.clone().or(config.payloads).or(Some("none".to_owned()));
    let path = config.db_path();
    let options = LiveOptions {
        machines: arguments.machines.clone(),
        since: when::instant(arguments.since.as_deref().unwrap_or("7d"), now)?,
        payloads: config.payload_policy()?,
        known: if path.exists() { known(&path)? } else { HashSet::new() },
        share: arguments.share,
        ..arguments.aws.options()
    };
    let prices = super::bill::price_lines(&context.price_books()?);
    let open = || {
        let store = Store::open(&path)?;
        store.set_prices(&prices)?;
        Ok(store)
    };
    let (told, report) = channel();
    let stats = crate::ingest::run(open, move |send| {
        let result = collect(&options, send);
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

/// The closed executions that are stored in full: nothing of them is asked for again, unless they are redriven.
fn known(path: &std::path::Path) -> Result<HashSet<(Name, u64)>, Failure> {
    let rows = Reader::open(path)?.executions(&ExecutionFilter::default())?;
    let complete = rows.into_iter().filter(|it| it.status.is_closed() && it.complete);
    Ok(complete.map(|it| (it.arn.as_str().into(), it.redrives)).collect())
}

fn to_report(report: &LiveReport, stats: &ImportStats, elapsed_ms: u128) -> Report {
    let mut table = TextTable::with_columns(&["account", "region", "#executions", "#events", "denied", "gaps"]);
    for it in &report.targets {
        table.rows.push(vec![
            it.account.clone().unwrap_or_else(|| "–".to_owned()),
            it.region.clone().unwrap_or_else(|| "–".to_owned()),
            text::count(it.executions),
            text::count(it.events),
            it.denied.iter().map(|it| it.permission.as_str()).collect::<Vec<_>>().join(", "),
            it.gaps.len().to_string(),
        ]);
    }
    let gaps = report.targets.iter().flat_map(|it| &it.gaps);
    let lost = report
        .targets
        .iter()
        .flat_map(|it| &it.denied)
        .map(|it| format!("{} is denied: no {}", it.permission, it.lost));
    let footer: Vec<String> = lost.chain(gaps.cloned()).collect();
    let fields: [(&str, Value); 8] = [
        ("targets", json!(report.targets)),
        ("calls", json!(report.calls)),
        // Calls of Step Functions' own API are not billed, and no other API is called.
        ("calls_usd", json!(0.0)),
        ("throttled", json!(report.throttled)),
        ("new_events", stats.events.into()),
        ("duplicates", stats.duplicates.into()),
        ("quarantined", stats.quarantined.into()),
        ("elapsed_ms", u64::try_from(elapsed_ms).unwrap_or(u64::MAX).into()),
    ];
    let calls: u64 = report.calls.values().sum();
    Report {
        command: "collect",
        fields: fields.into_iter().map(|(key, it)| (key.to_owned(), it)).collect::<Map<_, _>>(),
        rows: "targets",
        table,
        heading: format!(
            "{} new executions or changes, {} new events, {} calls, {} throttled ({} ms)",
            text::count(stats.executions),
            text::count(stats.events),
            text::count(calls),
            text::count(report.throttled.values().sum()),
            elapsed_ms
        ),
        footer: footer.join("\n"),
    }
}
