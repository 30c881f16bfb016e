//! What is to be collected: options, then the configuration, then what is usual.

use std::str::FromStr;
use std::time::Duration;

use analyzer::model::Micros;
use clap::{Args, ValueEnum};
use collector::live::{Known, LiveOptions, LiveTarget, Quotas, Sources};

use super::known::known;
use super::{CollectArguments, Context};
use crate::cli::when;
use crate::config::Config;
use crate::failure::Failure;

/// What is read, and how much of it is kept.
#[derive(Args, Default)]
pub(crate) struct SourceArguments {
    /// What to read: history, logs, xray, metrics, lambda-logs, or logs that were delivered to s3://BUCKET/PREFIX/ [default:
    /// history,logs,xray,metrics].
    #[arg(long, value_delimiter = ',', value_name = "SOURCE")]
    source: Vec<Source>,
    /// What is kept of inputs, outputs, parameters and causes: none, redacted (their shape) or full; with the first two, of
    /// everything else only fields known to be harmless [default: none].
    #[arg(long, value_name = "POLICY")]
    payloads: Option<String>,
    /// A JSON path of the input whose value is kept and can be searched for, such as $.orderId; may be repeated.
    #[arg(long, value_name = "PATH")]
    index: Vec<String>,
    /// A JSON path of what is blotted out before anything is written; may be repeated.
    #[arg(long, value_name = "PATH")]
    redact_path: Vec<String>,
    /// A regular expression of what is blotted out before anything is written; may be repeated.
    #[arg(long, value_name = "REGEX")]
    redact_pattern: Vec<String>,
    /// How far a first run reaches back [default: 7d].
    #[arg(long, value_name = "SPAN")]
    backfill: Option<String>,
    /// What is read again of logs for events that came late [default: 15m].
    #[arg(long, value_name = "SPAN")]
    overlap: Option<String>,
    /// The part of each API quota that may be used [default: 0.5].
    #[arg(long, value_name = "SHARE")]
    share: Option<f64>,
    /// A quota of the account instead of AWS's default, such as GetExecutionHistory=800/40; may be repeated.
    #[arg(long, value_name = "API=BUCKET/PER_SECOND")]
    quota: Vec<String>,
    /// Follow log groups by Live Tail as well: sooner by a fraction of a second, and billed by the minute.
    #[arg(long)]
    live_tail: bool,
}

/// What is named as a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Account(SourceName),
    /// Delivered logs, by where they lie.
    Bucket(String),
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(bucket) = text.strip_prefix("s3://") {
            let is_named = bucket.split('/').next().is_some_and(|it| !it.is_empty());
            return if is_named { Ok(Self::Bucket(text.to_owned())) } else { Err("name a bucket".to_owned()) };
        }
        let name = <SourceName as ValueEnum>::from_str(text, false);
        name.map(Self::Account)
            .map_err(|_| "use history, logs, xray, metrics, lambda-logs or s3://BUCKET/PREFIX/".to_owned())
    }
}

/// A source by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SourceName {
    History,
    Logs,
    Xray,
    Metrics,
    LambdaLogs,
}

impl SourceName {
    /// The sources that were named; the usual ones where none was.
    fn sources(named: &[Self]) -> Sources {
        if named.is_empty() {
            return Sources::default();
        }
        let has = |it| named.contains(&it);
        Sources {
            history: has(Self::History),
            logs: has(Self::Logs),
            xray: has(Self::Xray),
            xray_of_callers: has(Self::Xray),
            metrics: has(Self::Metrics),
            lambda_logs: has(Self::LambdaLogs),
        }
    }

    /// The sources that were named, else those of the configuration, else the usual ones.
    pub(crate) fn in_force(context: &Context, named: &[Self]) -> Result<Sources, Failure> {
        let named: Vec<Source> = named.iter().copied().map(Source::Account).collect();
        Source::in_force(&context.config, &named).map(|it| it.0)
    }
}

impl Source {
    /// What is read of accounts, and the buckets that are read. Where only buckets are named, no account is asked for anything.
    fn in_force(config: &Config, named: &[Self]) -> Result<(Sources, Vec<String>), Failure> {
        let parse = |name: &String| {
            name.parse().map_err(|why: String| Failure::usage(format!("`{name}` is no source")).hint(why))
        };
        let of_config = config.sources.iter().map(parse).collect::<Result<Vec<Self>, Failure>>()?;
        let (mut accounts, mut buckets) = (Vec::new(), Vec::new());
        for it in if named.is_empty() { of_config } else { named.to_vec() } {
            match it {
                Self::Account(name) => accounts.push(name),
                Self::Bucket(place) => buckets.push(place),
            }
        }
        let only_buckets = accounts.is_empty() && !buckets.is_empty();
        Ok((if only_buckets { NOTHING } else { SourceName::sources(&accounts) }, buckets))
    }
}

const NOTHING: Sources =
    Sources { history: false, logs: false, lambda_logs: false, xray: false, xray_of_callers: false, metrics: false };

/// Everything that collecting needs to know.
pub(super) struct Resolved {
    pub(super) targets: Vec<LiveTarget>,
    pub(super) options: LiveOptions,
    pub(super) known: Known,
}

impl Resolved {
    pub(super) fn of(context: &Context, arguments: &CollectArguments) -> Result<Self, Failure> {
        arguments.aws.check_profiles()?;
        let targets = arguments.aws.targets(context, &arguments.machines);
        let mut options = live_options(context, &arguments.sources)?;
        let now = context.now()?;
        options.since = arguments.since.as_deref().map(|it| when::instant(it, now)).transpose()?;
        options.interval = Duration::from_secs(arguments.interval.unwrap_or(15).max(1));
        options.seed = now.0.unsigned_abs();
        options.clock_shift = context.clock_shift()?;
        let mut known = Self::known(context, &options)?;
        if arguments.again {
            // What was forgotten lies in spans that count as read.
            known.collected.clear();
        }
        Ok(Self { targets, options, known })
    }

    /// What is stored by now.
    pub(super) fn known(context: &Context, options: &LiveOptions) -> Result<Known, Failure> {
        if !context.config.has_db() {
            return Ok(Known::default());
        }
        known(&context.config.db_path(), options.since)
    }
}

/// How every target is read.
pub(crate) fn live_options(context: &Context, arguments: &SourceArguments) -> Result<LiveOptions, Failure> {
    let mut config = context.config.clone();
    // Live, nothing of the users' data is kept unless somebody says so.
    config.payloads = arguments.payloads.clone().or(config.payloads).or(Some("none".to_owned()));
    config.index.extend(arguments.index.iter().cloned());
    config.redact_paths.extend(arguments.redact_path.iter().cloned());
    config.redact_patterns.extend(arguments.redact_pattern.iter().cloned());
    let share = arguments.share.or(config.share).unwrap_or(0.5);
    if !(0.01..=1.0).contains(&share) {
        return Err(Failure::usage(format!("`{share}` is no share of a quota")).hint("use 0.01 to 1"));
    }
    let usual = LiveOptions::default();
    let span = |text: &Option<String>, usual: Micros| {
        text.as_deref().map_or(Ok(usual), |it| {
            when::span(it).ok_or_else(|| Failure::usage(format!("`{it}` is no span")).hint("use such as 90m, 24h, 7d"))
        })
    };
    let (sources, buckets) = Source::in_force(&config, &arguments.source)?;
    Ok(LiveOptions {
        sources,
        buckets,
        backfill: span(&arguments.backfill.clone().or(config.backfill.clone()), usual.backfill)?,
        overlap: span(&arguments.overlap.clone().or(config.overlap.clone()), usual.overlap)?,
        privacy: config.privacy()?,
        share,
        quotas: quotas(&config, &arguments.quota)?,
        live_tail: arguments.live_tail || config.live_tail.unwrap_or(false),
        ..usual
    })
}

fn quotas(config: &Config, given: &[String]) -> Result<Quotas, Failure> {
    let mut quotas = Quotas::default();
    let of_config = config.quotas.iter().map(|(api, text)| format!("{api}={text}"));
    for text in of_config.chain(given.iter().cloned()) {
        let parts = text.split_once('=').and_then(|(api, rates)| {
            let (bucket, per_second) = rates.split_once('/')?;
            Some((api, bucket.trim().parse().ok()?, per_second.trim().parse().ok()?))
        });
        let (api, bucket, per_second) = parts.ok_or_else(|| {
            Failure::usage(format!("`{text}` is no quota"))
                .hint("write API=BUCKET/PER_SECOND, such as GetExecutionHistory=800/40")
        })?;
        quotas.set(api, bucket, per_second).map_err(Failure::usage)?;
    }
    Ok(quotas)
}
