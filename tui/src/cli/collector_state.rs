//! What a collector says about itself: in a file next to the database, for `doctor` and for dashboards that only watch, and on
//! standard output to the dashboard that started it.

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use analyzer::model::{Micros, Timestamp};
use collector::live::{Health, LiveOptions, LiveReport, LiveTarget, Obstacle as LiveObstacle};
use rustix::process::{Pid, test_kill_process};
use tui::collecting::{CollectorState, Ended, FailingApi, Obstacle, SCHEMA, TargetState};

use super::{Context, state_file};
use crate::Outcome;
use crate::failure::EXIT_FAILED;
use crate::output;

/// One that has spoken so lately is there.
const JUST_NOW: Micros = Micros(3_000_000);

/// Says how a collector goes, as long as it does.
pub(crate) struct Keeper {
    path: PathBuf,
    state: Mutex<CollectorState>,
    /// When something was stored last, in microseconds; 0 before.
    stored_at: Arc<AtomicI64>,
    /// The dashboard that started it listens.
    has_listener: bool,
    /// The file is this collector's, and not that of another that goes on.
    owns_file: AtomicBool,
}

impl Keeper {
    /// Begins: nothing is known yet but that it has started.
    pub(crate) fn start(
        context: &Context,
        targets: &[LiveTarget],
        options: &LiveOptions,
        interval_s: Option<u64>,
        has_listener: bool,
    ) -> Self {
        let now = now();
        let target = |it: &LiveTarget| TargetState {
            profile: it.profile.clone(),
            region: it.region.clone(),
            ..TargetState::default()
        };
        // In the order in which they are reported.
        let read = targets.iter().filter(|_| options.sources.is_any());
        let bucket = |it: &String| TargetState { region: Some(it.clone()), ..TargetState::default() };
        let all = read.map(target).chain(options.buckets.iter().map(bucket)).collect();
        let state = CollectorState {
            schema: SCHEMA.to_owned(),
            pid: std::process::id(),
            follows: interval_s.is_some(),
            interval_s: interval_s.unwrap_or(0),
            started_at_us: now.0,
            spoke_at_us: now.0,
            targets: all,
            ..CollectorState::default()
        };
        let keeper = Self {
            path: path(context),
            state: Mutex::new(state),
            stored_at: Arc::default(),
            has_listener,
            owns_file: AtomicBool::new(false),
        };
        keeper.say(|_| {});
        keeper
    }

    /// Where the time of each commit is to be noted.
    pub(crate) fn stored_at(&self) -> Arc<AtomicI64> {
        Arc::clone(&self.stored_at)
    }

    /// Says how it goes now.
    pub(crate) fn tell(&self, report: &LiveReport) {
        self.say(|state| {
            for (target, it) in state.targets.iter_mut().zip(&report.targets) {
                note(target, &it.health);
                target.account = it.account.clone().or(target.account.take());
                target.region = it.region.clone().or(target.region.take());
            }
            for (target, it) in state.targets.iter_mut().skip(report.targets.len()).zip(&report.objects) {
                note(target, &it.health);
            }
        });
    }

    /// What keeps everything from being read, and what to do about it.
    pub(crate) fn obstacle(&self) -> Option<(String, String)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).obstacle(now())
    }

    /// Says how it ended.
    pub(crate) fn end(&self, outcome: &Outcome) {
        let ended = match outcome {
            Ok(_) => Ended { at_us: now().0, code: Some(0), ..Ended::default() },
            Err(failure) => Ended {
                at_us: now().0,
                code: Some(i32::from(if failure.code == 0 { EXIT_FAILED } else { failure.code })),
                signal: None,
                reason: Some(failure.in_a_line()),
                fix: failure.what_to_do().map(str::to_owned),
            },
        };
        self.say(|state| state.ended = Some(ended));
    }

    fn say(&self, change: impl FnOnce(&mut CollectorState)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        state.spoke_at_us = now().0;
        let stored = self.stored_at.load(Ordering::Relaxed);
        state.stored_at_us = (stored > 0).then_some(stored);
        if self.has_listener
            && let Ok(line) = serde_json::to_string(&*state)
        {
            let _ = writeln!(output::json(), "{line}");
        }
        if !self.owns_file.load(Ordering::Relaxed) {
            let other = load(&self.path).filter(|it| it.pid != state.pid && it.is_running(now()));
            if other.is_some_and(|it| is_alive(it.pid)) {
                return;
            }
            self.owns_file.store(true, Ordering::Relaxed);
        }
        if let Err(failure) = state_file::store(&self.path, &*state) {
            tracing::debug!(why = failure.in_a_line(), "how collecting goes cannot be written");
        }
    }
}

fn note(target: &mut TargetState, health: &Health) {
    target.answered_at_us = health.answered_at.map(|it| it.0);
    target.next_try_at_us = health.next_try_at.map(|it| it.0);
    let failing = health.failing.iter().map(|it| FailingApi {
        api: it.api.clone(),
        obstacle: obstacle(it.obstacle),
        detail: it.detail.clone(),
        since_us: it.since.0,
    });
    target.failing = failing.collect();
    // What stops everything comes first.
    target.failing.sort_by_key(|it| it.obstacle);
}

fn obstacle(it: LiveObstacle) -> Obstacle {
    match it {
        LiveObstacle::NoCredentials => Obstacle::NoCredentials,
        LiveObstacle::ExpiredCredentials => Obstacle::ExpiredCredentials,
        LiveObstacle::InvalidCredentials => Obstacle::InvalidCredentials,
        LiveObstacle::WrongClock => Obstacle::WrongClock,
        LiveObstacle::Unreachable => Obstacle::Unreachable,
        LiveObstacle::ServiceError => Obstacle::ServiceError,
        LiveObstacle::Throttled => Obstacle::Throttled,
        LiveObstacle::Denied => Obstacle::Denied,
    }
}

/// The file that says how collecting into this database goes.
fn path(context: &Context) -> PathBuf {
    state_file::path(context, "collector.json")
}

/// What the last collector said, if any did. One that is gone without a word is said to have ended.
pub(crate) fn read(context: &Context) -> Option<CollectorState> {
    let mut state = load(&path(context))?;
    // One in another container has spoken a moment ago, and is not to be seen.
    let is_fresh = now() - Timestamp(state.spoke_at_us) < JUST_NOW;
    if state.ended.is_none() && !is_fresh && !is_alive(state.pid) {
        state.ended = Some(Ended { at_us: state.spoke_at_us, ..Ended::default() });
    }
    Some(state)
}

/// Says of a collector that can no longer say so itself how it ended.
pub(crate) fn note_end(context: &Context, state: &CollectorState) {
    let path = path(context);
    if load(&path).is_some_and(|it| it.pid == state.pid && it.ended.is_none()) {
        let _ = state_file::store(&path, state);
    }
}

/// A file that is damaged says nothing.
fn load(path: &std::path::Path) -> Option<CollectorState> {
    let state: CollectorState = serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()?;
    (state.schema == SCHEMA).then_some(state)
}

/// Whether a process is there. One of another user, or in another container, cannot be asked.
pub(crate) fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|it| test_kill_process(it) != Err(rustix::io::Errno::SRCH))
}

/// The clock's time; before 1970 where it cannot be told.
pub(crate) fn now() -> Timestamp {
    super::now().unwrap_or_default()
}
