//! The collector beside the dashboard, and how it goes.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use analyzer::model::{ApiUse, Micros, Timestamp};
use queries::Reader;
use tui::text;

use crate::failure::Failure;

/// What was said of collecting before is old.
const COLLECTED_LATELY: Micros = Micros(120_000_000);
/// How long a collector that was just started may take to make the database.
const TO_START: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(100);

/// A collector in a process of its own: it alone writes the database.
pub(super) struct Collector(Child);

impl Collector {
    /// Starts this program once more with the same options; its log goes beside the database.
    pub(super) fn start(path: &Path) -> Result<Self, Failure> {
        let mut log_path = path.as_os_str().to_owned();
        log_path.push(".collect.log");
        let failed = |error: io::Error| Failure::new("the collector cannot be started").because(error.to_string());
        let log = std::fs::File::create(&log_path).map_err(failed)?;
        let arguments = collect_arguments(std::env::args_os().skip(1));
        let child = Command::new(std::env::current_exe().map_err(failed)?)
            .args(arguments)
            .args(["--follow", "--until-input-ends"])
            .env("STEPSCOPE_DB", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(failed)?;
        let mut collector = Self(child);
        collector.await_database(path, &log_path)?;
        Ok(collector)
    }

    /// The first seconds of a new database: there is nothing to read until the collector has made it.
    fn await_database(&mut self, path: &Path, log: &std::ffi::OsStr) -> Result<(), Failure> {
        let begun = Instant::now();
        loop {
            if self.0.try_wait()?.is_some() {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                return Err(Failure::new("the collector has ended at once").because(said.trim().to_owned()));
            }
            if Reader::open(path).is_ok() || begun.elapsed() >= TO_START {
                return Ok(());
            }
            thread::sleep(TICK);
        }
    }

    /// Lets it store what it has read.
    pub(super) fn stop(mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// The arguments of the dashboard as those of a collector: without what is for the screen alone.
fn collect_arguments(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    const WITH_VALUE: [&str; 2] = ["--view", "--range"];
    let mut kept: Vec<OsString> = Vec::new();
    let (mut is_value, mut is_handed_on) = (false, false);
    for it in arguments {
        let text = it.to_string_lossy();
        // A profile may have the name, too: the command is what is no option's value.
        let is_command =
            !is_handed_on && text == "dash" && !kept.last().is_some_and(|it| awaits_value(&it.to_string_lossy()));
        is_handed_on |= is_command;
        let is_ours = WITH_VALUE.iter().any(|option| text == *option || text.starts_with(&format!("{option}=")));
        if !std::mem::take(&mut is_value) && !is_ours && text != "--ascii" {
            kept.push(if is_command { "collect".into() } else { it.clone() });
        }
        is_value = WITH_VALUE.contains(&&*text);
    }
    kept
}

/// Whether the value of an option is the next word: `--db`, `-o`, but not `--db=x`, `-ojson`.
fn awaits_value(word: &str) -> bool {
    if word.starts_with("--") { !word.contains('=') } else { word.starts_with('-') && word.len() == 2 }
}

/// How collecting goes, where somebody has collected in the last while.
pub(super) fn lines(reader: &Reader, now: Timestamp) -> Result<Vec<String>, Failure> {
    let uses = reader.api_uses()?;
    let recent = |it: &&ApiUse| now - it.at < COLLECTED_LATELY;
    let mut lines: Vec<(String, Vec<&ApiUse>)> = Vec::new();
    for it in uses.iter().filter(recent) {
        let place = format!("{} {}", it.account, it.region);
        match lines.iter_mut().find(|line| line.0 == place) {
            Some(line) => line.1.push(it),
            None => lines.push((place, vec![it])),
        }
    }
    Ok(lines.into_iter().map(|(place, uses)| line(&place, &uses)).collect())
}

fn line(place: &str, uses: &[&ApiUse]) -> String {
    let sum = |of: fn(&ApiUse) -> u64| uses.iter().map(|it| of(it)).sum::<u64>();
    let mut line = format!("collecting {place}: {} calls", text::count(sum(|it| it.calls)));
    let throttled = sum(|it| it.throttled);
    if throttled > 0 {
        line += &format!(", {} throttled", text::count(throttled));
    }
    let busiest =
        uses.iter().filter(|it| it.bucket > 0.0).min_by(|a, b| (a.tokens / a.bucket).total_cmp(&(b.tokens / b.bucket)));
    if let Some(it) = busiest {
        line += &format!(
            "; {} {:.0}/{:.0} left, {:.0}/s, {} wait",
            it.api, it.tokens, it.bucket, it.per_second, it.waiting
        );
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_the_screen_is_not_handed_on() {
        let kept = |words: &str| -> String {
            let kept = collect_arguments(words.split(' ').map(OsString::from));
            kept.iter().map(|it| it.to_string_lossy()).collect::<Vec<_>>().join(" ")
        };
        let words = "--db x dash --region eu-west-1 --view executions --ascii --range=1h --profile dash";
        assert_eq!(kept(words), "--db x collect --region eu-west-1 --profile dash");
        assert_eq!(kept("--db=dash dash --range 1h"), "--db=dash collect");
        assert_eq!(kept("-ojson dash"), "-ojson collect");
        assert_eq!(kept("--db dash dash"), "--db dash collect");
    }
}
