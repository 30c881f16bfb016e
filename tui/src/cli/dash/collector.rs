//! The collector next to the dashboard: a process of its own, which is watched, and started again when it ends.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use analyzer::model::{ApiUse, Micros, Timestamp};
use crossbeam_channel::{Receiver, Sender, unbounded};
use queries::Reader;
use tui::collecting::{CollectorState, Ended, SCHEMA};
use tui::text;

use crate::cli::{Context, collector_state};
use crate::failure::{EXIT_USAGE, Failure};

/// What was said of collecting before is old.
const COLLECTED_LATELY: Micros = Micros(120_000_000);
/// How long a collector that was just started may take to make the database.
const TO_START: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(100);
/// How long the first start after an end waits, and each further one twice as long as the one before, up to this.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// One that has gone on for so long, and had an answer, begins with the first pause again.
const WENT_WELL: Duration = Duration::from_secs(30);
/// What is read of the end of a log.
const LOG_END: u64 = 16 << 10;
const REASON: usize = 300;

/// A collector in a process of its own: it alone writes the database.
pub(super) struct Collector {
    states: Receiver<CollectorState>,
    stop: Arc<AtomicBool>,
    watching: JoinHandle<()>,
}

impl Collector {
    /// Starts this program once more with the same options; its log goes next to the database.
    pub(super) fn start(context: &Context, path: &Path) -> Result<Self, Failure> {
        let mut log = path.as_os_str().to_owned();
        log.push(".collect.log");
        let arguments = collect_arguments(std::env::args_os().skip(1));
        let (sender, states) = unbounded();
        let starter = Starter { context: context.clone(), database: path.into(), log: log.into(), arguments, sender };
        let failed = |error: io::Error| Failure::new("the collector cannot be started").because(error.to_string());
        File::create(&starter.log).map_err(failed)?;
        let mut first = starter.start().map_err(failed)?;
        first.await_database(path)?;
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let watching = thread::spawn(move || starter.watch(first, &flag));
        Ok(Self { states, stop, watching })
    }

    /// What was said since it was last asked for.
    pub(super) fn news(&self) -> Option<CollectorState> {
        self.states.try_iter().last()
    }

    /// Lets it store what it has read.
    pub(super) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.watching.join();
    }
}

/// Where the dashboard learns how collecting goes.
pub(super) enum Watch {
    Own(Collector),
    /// Another process may collect into this database: its file is looked at.
    Others(Box<Context>),
}

impl Watch {
    pub(super) fn of_others(context: &Context) -> Self {
        Self::Others(Box::new(context.clone()))
    }

    /// How often it is asked: a file is read for some of them.
    pub(super) fn every(&self) -> Duration {
        match self {
            Self::Own(_) => TICK,
            Self::Others(_) => Duration::from_secs(1),
        }
    }

    /// What was said lately, if anything.
    pub(super) fn news(&self) -> Option<CollectorState> {
        match self {
            Self::Own(collector) => collector.news(),
            Self::Others(context) => collector_state::read(context),
        }
    }
}

/// Starts the collector, as often as it takes.
struct Starter {
    context: Context,
    database: PathBuf,
    log: PathBuf,
    arguments: Vec<OsString>,
    sender: Sender<CollectorState>,
}

/// A collector that was started.
struct Running {
    child: Child,
    begun: Instant,
    /// What it said last.
    said: Arc<Mutex<CollectorState>>,
    log: PathBuf,
    /// Where its part of the log begins.
    log_from: u64,
}

impl Starter {
    fn start(&self) -> io::Result<Running> {
        let log = OpenOptions::new().append(true).create(true).open(&self.log)?;
        let log_from = log.metadata()?.len();
        let mut child = Command::new(std::env::current_exe()?)
            .args(&self.arguments)
            .args(["--follow", "--until-input-ends"])
            .env("STEPSCOPE_DB", &self.database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let now = collector_state::now().0;
        let begun = CollectorState {
            schema: SCHEMA.to_owned(),
            pid: child.id(),
            follows: true,
            started_at_us: now,
            spoke_at_us: now,
            ..CollectorState::default()
        };
        let _ = self.sender.send(begun.clone());
        let said = Arc::new(Mutex::new(begun));
        if let Some(stdout) = child.stdout.take() {
            let (said, sender) = (Arc::clone(&said), self.sender.clone());
            thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    // Its result is printed there, too.
                    let Ok(state) = serde_json::from_str::<CollectorState>(&line) else { continue };
                    *said.lock().unwrap_or_else(PoisonError::into_inner) = state.clone();
                    let _ = sender.send(state);
                }
            });
        }
        Ok(Running { child, begun: Instant::now(), said, log: self.log.clone(), log_from })
    }

    /// Waits for its end, says what happened, and starts it again, until all of it is to stop.
    fn watch(&self, first: Running, stop: &AtomicBool) {
        let (mut running, mut pause) = (first, FIRST_PAUSE);
        while let Some(status) = running.wait(stop) {
            let mut state = running.ended(status);
            collector_state::note_end(&self.context, &state);
            if state.answered_at().is_some() && running.begun.elapsed() >= WENT_WELL {
                pause = FIRST_PAUSE;
            }
            running = loop {
                let after = Micros(i64::try_from(pause.as_micros()).unwrap_or(i64::MAX));
                state.next_start_at_us = Some((collector_state::now() + after).0);
                if !self.wait_to_start(&state, pause, stop) {
                    return;
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
                match self.start() {
                    Ok(it) => break it,
                    Err(error) => {
                        let reason = Some(format!("it cannot be started: {error}"));
                        state.ended = Some(Ended { at_us: collector_state::now().0, reason, ..Ended::default() });
                    }
                }
            };
        }
    }

    /// Waits before the next start; `false` when there is to be none.
    fn wait_to_start(&self, state: &CollectorState, pause: Duration, stop: &AtomicBool) -> bool {
        let begun = Instant::now();
        let mut said = None;
        while begun.elapsed() < pause {
            if stop.load(Ordering::Relaxed) {
                return false;
            }
            // Where another collector writes this database, how that one goes is what matters.
            if said.is_none_or(|at: Instant| at.elapsed() >= Duration::from_secs(1)) {
                let other = collector_state::read(&self.context);
                let other = other.filter(|it| it.pid != state.pid && it.is_running(collector_state::now()));
                let _ = self.sender.send(other.unwrap_or_else(|| state.clone()));
                said = Some(Instant::now());
            }
            thread::sleep(TICK);
        }
        true
    }
}

impl Running {
    /// The first seconds of a new database: there is nothing to read until the collector has made it.
    fn await_database(&mut self, path: &Path) -> Result<(), Failure> {
        while self.begun.elapsed() < TO_START {
            if let Some(status) = self.child.try_wait()? {
                // What it was started with is wrong, or there is nothing to look at: starting it again does not help.
                if status.code() == Some(i32::from(EXIT_USAGE)) || Reader::open(path).is_err() {
                    let (reason, fix) = self.reason();
                    let reason = reason.unwrap_or_else(|| "it has said nothing".to_owned());
                    let mut failure = Failure::new("the collector has ended at once").because(reason);
                    failure.code = status.code().and_then(|it| u8::try_from(it).ok()).unwrap_or(failure.code);
                    return Err(match fix {
                        Some(fix) => failure.hint(fix),
                        None => failure,
                    });
                }
                return Ok(());
            }
            if Reader::open(path).is_ok() {
                return Ok(());
            }
            thread::sleep(TICK);
        }
        Ok(())
    }

    /// How it ended; `None` where it was stopped.
    fn wait(&mut self, stop: &AtomicBool) -> Option<ExitStatus> {
        loop {
            if stop.load(Ordering::Relaxed) {
                drop(self.child.stdin.take());
                let _ = self.child.wait();
                return None;
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            thread::sleep(TICK);
        }
    }

    /// What it said last, and how it ended.
    fn ended(&self, status: ExitStatus) -> CollectorState {
        let state = self.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (reason, fix) = self.reason();
        let code = status.code();
        let ended = Ended { at_us: collector_state::now().0, code, signal: status.signal(), reason, fix };
        // One that was not asked to end has not ended well, whatever its code is.
        let code = ended.code.filter(|it| *it != 0).or(if ended.signal.is_none() { Some(1) } else { None });
        CollectorState { ended: Some(Ended { code, ..ended }), ..state }
    }

    /// Why it ended, and what to do about it, by its log.
    fn reason(&self) -> (Option<String>, Option<String>) {
        let read = || -> io::Result<String> {
            let mut log = File::open(&self.log)?;
            let length = log.metadata()?.len();
            log.seek(SeekFrom::Start(self.log_from.max(length.saturating_sub(LOG_END))))?;
            let mut bytes = Vec::new();
            log.take(LOG_END).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        reason_of(&read().unwrap_or_default())
    }
}

/// What a log says last: its error with the reasons and the hint, or the message of a panic.
fn reason_of(log: &str) -> (Option<String>, Option<String>) {
    let lines: Vec<&str> = log.lines().map(str::trim).collect();
    let fix = lines.iter().rev().find_map(|it| it.strip_prefix("hint: ")).map(str::to_owned);
    let reason = if let Some(place) = lines.iter().rposition(|it| it.starts_with("error: ")) {
        let because = lines[place + 1..].iter().map_while(|it| it.strip_prefix("because: "));
        let error = lines[place].trim_start_matches("error: ");
        Some(std::iter::once(error).chain(because).collect::<Vec<_>>().join(": "))
    } else {
        let panic = lines.iter().rposition(|it| it.contains("panicked at"));
        panic.map(|place| format!("it panicked: {}", lines.get(place + 1).copied().unwrap_or_default()))
    };
    (reason.map(|it| text::cut(&it, REASON)), fix)
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
    fn a_log_says_why_it_ended() {
        let log = "2026-11-30T19:08:00Z INFO collecting begins\nerror: the database file cannot be used\n  because: no space left\n\nhint: make room\n";
        let (reason, fix) = reason_of(log);
        assert_eq!(reason.as_deref(), Some("the database file cannot be used: no space left"));
        assert_eq!(fix.as_deref(), Some("make room"));
        let panic = "thread 'main' panicked at src/x.rs:1:2:\nno such thing\nnote: run with RUST_BACKTRACE=1\n";
        assert_eq!(reason_of(panic).0.as_deref(), Some("it panicked: no such thing"));
        assert_eq!(reason_of("INFO collecting\n"), (None, None));
    }

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
