//! `collect`: from AWS into the database, once or again and again.

use std::collections::{BTreeMap, HashSet};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use analyzer::model::Name;
use clap::{Args, ValueEnum};
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
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
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
    /// What to read; only history is read live, the others are imported from files.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "history", value_name = "SOURCE")]
    source: Vec<Source>,
    /// Only tell what would be read, with how many calls and how long; nothing is stored.
    #[arg(long, conflicts_with = "follow")]
    plan: bool,
    /// End with 4 when a call was denied or something was set aside.
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Source {
    History,
    Logs,
    Xray,
    Metrics,
}

pub(crate) fn run(context: &Context, arguments: &CollectArguments) -> Outcome {
    if let Some(it) = arguments.source.iter().find(|it| **it != Source::History) {
        let name = it.to_possible_value().map_or_else(String::new, |it| it.get_name().to_owned());
        return Err(Failure::usage(format!("`{name}` is not collected live by this version"))
            .hint("`stepscope import` reads log exports, `batch-get-traces` and `get-metric-data` answers"));
    }
    if !(0.01..=1.0).contains(&arguments.share) {
        return Err(Failure::usage(format!("`{}` is no share of a quota", arguments.share)).hint("use 0.01 to 1"));
    }
    if arguments.plan {
        return plan(context, arguments);
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

/// What would be read.
fn plan(context: &Context, arguments: &CollectArguments) -> Outcome {
    let mut targets = targets(context, arguments)?;
    for it in &mut targets {
        it.plan = true;
    }
    let report = collect(&targets, &mut |_| Ok(())).map_err(|error| Failure::new(error.to_string()))?;
    let mut table = TextTable::with_columns(&["machine", "source", "#executions", "#calls", "#seconds", "#USD"]);
    for it in &report.plan {
        let name = it.state_machine_arn.rsplit(':').next().unwrap_or(&it.state_machine_arn).to_owned();
        let (executions, calls) = (text::count(it.executions), text::count(it.calls));
        table.rows.push(vec![
            name,
            it.source.to_owned(),
            executions,
            calls,
            format!("{:.0}", it.seconds),
            it.usd.to_string(),
        ]);
    }
    let mut limits: Vec<&str> = report.plan.iter().flat_map(|it| &it.limits).map(String::as_str).collect();
    limits.sort_unstable();
    limits.dedup();
    let fields = [("targets", json!(report.targets)), ("calls", json!(report.calls)), ("plan", json!(report.plan))];
    Report {
        command: "collect",
        footer: limits.join("\n"),
        fields: fields.into_iter().map(|(key, it)| (key.to_owned(), it)).collect(),
        rows: "plan",
        table,
        heading: "Nothing is read; a machine's executions are taken to have as many events as those that are stored."
            .to_owned(),
    }
    .print(context.output)?;
    Ok(0)
}

/// What to collect, from every account and region.
fn targets(context: &Context, arguments: &CollectArguments) -> Result<Vec<LiveOptions>, Failure> {
    let mut config = context.config.clone();
    // Live, nothing of the users' data is kept unless somebody says so.
    config.payloads = arguments.payloads.clone().or(config.payloads).or(Some("none".to_owned()));
    let path = config.db_path();
    let (known, mean_events) = if path.exists() { known(&path)? } else { Default::default() };
    let since = when::instant(arguments.since.as_deref().unwrap_or("7d"), context.now()?)?;
    let payloads = config.payload_policy()?;
    let target = |it: LiveOptions| LiveOptions {
        machines: arguments.machines.clone(),
        since,
        payloads,
        known: known.clone(),
        mean_events: mean_events.clone(),
        share: arguments.share,
        ..it
    };
    Ok(arguments.aws.targets().into_iter().map(target).collect())
}

fn round(context: &Context, arguments: &CollectArguments) -> Result<(LiveReport, ImportStats), Failure> {
    let targets = targets(context, arguments)?;
    let path = context.config.db_path();
    let prices = super::bill::price_lines(&context.price_books()?);
    let open = || {
        let store = Store::open(&path)?;
        store.set_prices(&prices)?;
        Ok(store)
    };
    let (told, report) = channel();
    let stats = crate::ingest::run(open, move |send| {
        let result = collect(&targets, send);
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

/// Closed executions by ARN and count of redrives, and events of an execution by machine.
type Known = (HashSet<(Name, u64)>, BTreeMap<Name, u64>);

/// The closed executions that are stored in full: nothing of them is asked for again, unless they are redriven.
fn known(path: &std::path::Path) -> Result<Known, Failure> {
    let rows = Reader::open(path)?.executions(&ExecutionFilter::default())?;
    let mut known = HashSet::new();
    let mut events: BTreeMap<Name, (u64, u64)> = BTreeMap::new();
    for it in rows.into_iter().filter(|it| it.status.is_closed() && it.complete) {
        let sums = events.entry(it.machine_arn.as_str().into()).or_default();
        *sums = (sums.0 + it.n_events, sums.1 + 1);
        known.insert((it.arn.as_str().into(), it.redrives));
    }
    let means = events.into_iter().map(|(machine, (events, count))| (machine, events.div_ceil(count)));
    Ok((known, means.collect()))
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
