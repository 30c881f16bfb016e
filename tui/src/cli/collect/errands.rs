//! What a following collector does beside collecting: reports that are due, and a look at the alerts. Each in a process of its own, since
//! only one may write the database, and what collects must not wait for what reads.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Context;
use crate::cli::{alerts, schedule};

const FIRST: Duration = Duration::from_secs(3);
const EVERY: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(200);

/// Runs them until the collector stops.
pub(super) fn start(context: &Context, stop: Arc<AtomicBool>) {
    let context = context.clone();
    thread::spawn(move || {
        // The first look comes soon: what was missed while nothing ran is caught up at once.
        let (mut begun, mut wait) = (Instant::now(), FIRST);
        while !stop.load(Ordering::Relaxed) {
            thread::sleep(TICK);
            if begun.elapsed() < wait {
                continue;
            }
            (begun, wait) = (Instant::now(), EVERY);
            if schedule::are_there_any(&context) {
                run(&context, &["schedule", "run"]);
            }
            if alerts::are_there_any(&context) {
                run(&context, &["alerts", "run"]);
            }
        }
    });
}

/// This program once more, with the same settings; what it has to say goes to the log.
fn run(context: &Context, command: &[&str]) {
    let ended = std::env::current_exe().and_then(|binary| {
        let mut child = Command::new(binary);
        child.env("STEPSCOPE_DB", context.config.db_path()).stdin(Stdio::null()).stdout(Stdio::null());
        if let Some(file) = &context.config.file {
            child.arg("--config").arg(file);
        }
        if let Some(prices) = &context.config.prices {
            child.arg("--prices").arg(prices);
        }
        let config = &context.config;
        child.args(config.price_region.iter().flat_map(|it| ["--price-region".to_owned(), it.clone()]));
        child.args(config.discounts.iter().flat_map(|(name, it)| ["--discount".to_owned(), format!("{name}={it}")]));
        let memory = config.function_memory.iter();
        child.args(memory.flat_map(|(name, mb)| ["--function-memory".to_owned(), format!("{name}={mb}")]));
        child.args(config.repeatable.iter().flat_map(|it| ["--repeatable".to_owned(), it.clone()]));
        child.args(command).output()
    });
    let name = command.join(" ");
    match ended {
        Ok(output) => {
            for line in String::from_utf8_lossy(&output.stderr).lines() {
                tracing::info!("{name}: {line}");
            }
        }
        Err(error) => tracing::warn!(%error, "`{name}` cannot be started"),
    }
}
