//! `collect --follow`: a service that collects until it is told to stop.

use std::io::Read;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use collector::import::Stopped;
use collector::live::{LiveReport, follow};
use tui::text;

use super::options::Resolved;
use super::{CollectArguments, Context, opener, result};
use crate::Outcome;
use crate::cli::collector_state::Keeper;
use crate::failure::Failure;
use crate::ingest::{Pace, run_live};
use crate::output;
use crate::own_metrics::{OwnMetrics, serve};

/// How often a line of log tells how it goes, where there is no terminal to show it.
const LOG_EVERY: Duration = Duration::from_secs(60);

#[derive(Args)]
pub(crate) struct ServiceArguments {
    /// Keep the collector's own metrics in this file, for a textfile collector of Prometheus.
    #[arg(long, value_name = "PATH", requires = "follow")]
    metrics_file: Option<PathBuf>,
    /// Serve the collector's own metrics and health on this port of this machine: /metrics and /healthz.
    #[arg(long, value_name = "PORT", requires = "follow")]
    metrics_port: Option<u16>,
    /// Forget closed executions that started longer ago than this, once an hour.
    #[arg(long, value_name = "SPAN", requires = "follow")]
    retain: Option<String>,
    /// The form of the log on standard error.
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    log_format: crate::logging::LogFormat,
    /// Stop when standard input ends, because the process that started the collector is gone.
    #[arg(long, hide = true)]
    until_input_ends: bool,
}

impl ServiceArguments {
    pub(super) fn is_more_than_logging(&self) -> bool {
        self.metrics_file.is_some() || self.metrics_port.is_some() || self.retain.is_some() || self.until_input_ends
    }

    pub(super) fn log_format(&self) -> crate::logging::LogFormat {
        self.log_format
    }
}

pub(super) fn run(context: &Context, arguments: &CollectArguments, resolved: Resolved) -> Outcome {
    let service = &arguments.service;
    let interval = resolved.options.interval.as_secs();
    let is_watched = service.until_input_ends;
    let keeper = Keeper::start(context, &resolved.targets, &resolved.options, Some(interval), is_watched);
    let keeper = Arc::new(keeper);
    let outcome = follow_targets(context, arguments, resolved, &keeper);
    keeper.end(&outcome);
    outcome
}

fn follow_targets(
    context: &Context,
    arguments: &CollectArguments,
    resolved: Resolved,
    keeper: &Arc<Keeper>,
) -> Outcome {
    let service = &arguments.service;
    let is_terminal = output::is_stderr_a_terminal() && service.log_format == crate::logging::LogFormat::Text;
    crate::logging::start(service.log_format, is_terminal);
    let retain = service.retain.as_deref().map(retention).transpose()?;
    let interrupted = crate::ingest::interrupted();
    if service.until_input_ends {
        stop_with_input(Arc::clone(&interrupted));
    }
    let metrics = Arc::new(Mutex::new(OwnMetrics::default()));
    if let Some(port) = service.metrics_port {
        serve(port, Arc::clone(&metrics))
            .map_err(|error| Failure::new(format!("port {port} cannot be listened on")).because(error.to_string()))?;
    }
    super::errands::start(context, Arc::clone(&interrupted));
    let begun = Instant::now();
    let (told, ended) = channel();
    let (stop, shared) = (Arc::clone(&interrupted), Arc::clone(&metrics));
    let mut status = Status::new(is_terminal, service.metrics_file.clone(), shared);
    tracing::info!(targets = resolved.targets.len(), "collecting begins");
    let pace = Pace {
        retain,
        ends_by_itself: true,
        stored_at: Some(keeper.stored_at()),
        ..if context.config.is_lake() { Pace::LAKE } else { Pace::FOLLOW }
    };
    let told_by = Arc::clone(keeper);
    let stored = run_live(opener(context, arguments.again)?, &pace, move |send| {
        let is_stopped = || stop.load(Ordering::Relaxed);
        let result = follow(&resolved.targets, &resolved.options, &resolved.known, send, &is_stopped, &mut |report| {
            told_by.tell(&report);
            status.tell(report);
        });
        let outcome = if result.is_ok() { Ok(()) } else { Err(Stopped) };
        let _ = told.send(result);
        outcome
    })?;
    let report = match ended.recv() {
        Ok(Ok(report)) => report,
        Ok(Err(error)) => return Err(Failure::new(error.to_string())),
        Err(_) => return Err(Failure::new("the collecting thread broke down")),
    };
    if is_terminal {
        output::say_progress("");
    }
    tracing::info!(events = stored.events, "collecting ends: everything that was read is stored");
    result::report(&report, &stored, begun.elapsed().as_millis()).print(context.output)?;
    Ok(0)
}

fn retention(text: &str) -> Result<analyzer::model::Micros, Failure> {
    crate::cli::when::span(text).ok_or_else(|| Failure::usage(format!("`{text}` is no span")).hint("use such as 30d"))
}

fn stop_with_input(stop: Arc<AtomicBool>) {
    thread::spawn(move || {
        let mut buffer = [0; 64];
        while std::io::stdin().read(&mut buffer).is_ok_and(|it| it > 0) {}
        stop.store(true, Ordering::Relaxed);
    });
}

/// Tells how it goes: on a line of the terminal, in the log, in the metrics.
struct Status {
    is_terminal: bool,
    file: Option<PathBuf>,
    metrics: Arc<Mutex<OwnMetrics>>,
    logged: Instant,
    before: (Instant, u64),
}

impl Status {
    fn new(is_terminal: bool, file: Option<PathBuf>, metrics: Arc<Mutex<OwnMetrics>>) -> Self {
        let now = Instant::now();
        Self { is_terminal, file, metrics, logged: now, before: (now, 0) }
    }

    fn tell(&mut self, report: LiveReport) {
        let n_events: u64 = report.targets.iter().map(|it| it.events).sum();
        let elapsed = self.before.0.elapsed().as_secs_f64().max(0.001);
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = (n_events - self.before.1.min(n_events)) as f64 / elapsed;
        self.before = (Instant::now(), n_events);
        let line = line(&report, rate);
        if self.is_terminal {
            output::say_progress(&line);
        } else if self.logged.elapsed() >= LOG_EVERY {
            self.logged = Instant::now();
            tracing::info!(status = line, "collecting");
        }
        let Ok(mut metrics) = self.metrics.lock() else { return };
        metrics.update(report);
        if let Some(file) = &self.file
            && let Err(error) = metrics.write(file)
        {
            tracing::warn!(%error, "the metrics file cannot be written");
        }
    }
}

fn line(report: &LiveReport, rate: f64) -> String {
    let executions: u64 = report.targets.iter().map(|it| it.executions).sum();
    let events: u64 = report.targets.iter().map(|it| it.events).sum();
    let failing = report.targets.iter().filter(|it| !it.ok).count();
    let throttled: u64 = report.throttled.values().sum();
    let lag = report.targets.iter().filter_map(|it| it.lag_ms).max();
    let mut line = format!(
        "{} executions, {} events ({rate:.0}/s), {} calls",
        text::count(executions),
        text::count(events),
        text::count(report.calls.values().sum())
    );
    if let Some(lag) = lag.filter(|it| *it < 3_600_000) {
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let seconds = lag as f64 / 1_000.0;
        line += &format!(", {seconds:.1} s behind");
    }
    if throttled > 0 {
        line += &format!(", {} throttled", text::count(throttled));
    }
    if failing > 0 {
        line += &format!(", {failing} of {} targets cannot be reached", report.targets.len());
    }
    line
}
