//! Joins a source and the store: the source runs in a thread of its own, and a bounded channel lies between them.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use analyzer::model::{Micros, Observation, Observed};
use collector::import::Stopped;
use crossbeam_channel::RecvTimeoutError;
use queries::{ImportStats, Ingest, Store};

use crate::failure::Failure;

/// Batches in flight between source and store.
const IN_FLIGHT: usize = 192;
/// Bytes of payloads and documents in flight; one that is larger goes alone.
const BYTES_IN_FLIGHT: usize = 48 << 20;

/// Sends a batch to the store; fails once nobody takes it any more.
pub(crate) type Send<'a> = &'a mut dyn FnMut(Observed) -> Result<(), Stopped>;

/// How often an interruption is looked for while the source has nothing to say.
const LOOK: Duration = Duration::from_millis(100);

/// Runs a source to its end and stores what it observes. The source starts at once, while the store is being opened.
/// Ctrl-C ends that, also while the source waits for input; what was read is stored.
pub(crate) fn run(
    open: impl FnOnce() -> Result<Store, Failure>,
    source: impl FnOnce(Send<'_>) -> Result<(), Stopped> + std::marker::Send + 'static,
) -> Result<ImportStats, Failure> {
    run_live(open, &Pace::BULK, source)
}

/// How soon what has come is committed, and what else a long run needs.
#[derive(Clone, Default)]
pub(crate) struct Pace {
    /// What has come is committed after this; `None` commits when enough has come together.
    pub(crate) commit_after: Option<Duration>,
    /// Closed executions that started longer ago are forgotten, once an hour.
    pub(crate) retain: Option<Micros>,
    /// A source that watches for interruptions ends by itself, and is waited for.
    pub(crate) ends_by_itself: bool,
    /// Where the time of each commit is noted, in microseconds.
    pub(crate) stored_at: Option<Arc<AtomicI64>>,
}

impl Pace {
    pub(crate) const BULK: Self = Self { commit_after: None, retain: None, ends_by_itself: false, stored_at: None };
    pub(crate) const ONCE: Self = Self { commit_after: Some(Duration::from_secs(2)), ..Self::BULK };
    /// Each commit to a lake makes files.
    pub(crate) const LAKE: Self = Self { commit_after: Some(Duration::from_secs(5)), ..Self::BULK };
    pub(crate) const FOLLOW: Self = Self { commit_after: Some(Duration::from_millis(150)), ..Self::BULK };
}

impl Pace {
    fn note_commit(&self) {
        if let (Some(at), Ok(now)) = (&self.stored_at, crate::cli::now()) {
            at.store(now.0, Ordering::Relaxed);
        }
    }
}

/// Many small transactions leave things behind that are tidied up after this.
const TIDY_AFTER: Duration = Duration::from_secs(600);
const FORGET_AFTER: Duration = Duration::from_secs(3_600);

/// Set once somebody asks the process to end.
pub(crate) fn interrupted() -> Arc<AtomicBool> {
    static INTERRUPTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    let flag = INTERRUPTED.get_or_init(|| {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            // A second signal ends the process at once.
            let _ = signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&flag));
            let _ = signal_hook::flag::register(signal, Arc::clone(&flag));
        }
        flag
    });
    Arc::clone(flag)
}

/// Keeps a source from running ahead of the store by more than some bytes.
#[derive(Default)]
struct Gate {
    flying: Mutex<Flying>,
    landed: Condvar,
}

#[derive(Default)]
struct Flying {
    n_bytes: usize,
    is_closed: bool,
}

impl Gate {
    /// Waits until there is room for so many bytes.
    fn start(&self, n_bytes: usize) {
        let mut flying = self.flying.lock().unwrap_or_else(PoisonError::into_inner);
        while flying.n_bytes > 0 && flying.n_bytes + n_bytes > BYTES_IN_FLIGHT && !flying.is_closed {
            flying = self.landed.wait(flying).unwrap_or_else(PoisonError::into_inner);
        }
        flying.n_bytes += n_bytes;
    }

    fn land(&self, n_bytes: usize) {
        let mut flying = self.flying.lock().unwrap_or_else(PoisonError::into_inner);
        flying.n_bytes = flying.n_bytes.saturating_sub(n_bytes);
        self.landed.notify_all();
    }
}

/// Nothing waits for room once the store takes no more.
struct Closing(Arc<Gate>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.flying.lock().unwrap_or_else(PoisonError::into_inner).is_closed = true;
        self.0.landed.notify_all();
    }
}

fn weight(batch: &Observed) -> usize {
    batch.iter().map(Observation::n_bytes).sum()
}

/// Runs a source as [`run`] does, at a pace of its own.
pub(crate) fn run_live(
    open: impl FnOnce() -> Result<Store, Failure>,
    pace: &Pace,
    source: impl FnOnce(Send<'_>) -> Result<(), Stopped> + std::marker::Send + 'static,
) -> Result<ImportStats, Failure> {
    let interrupted = interrupted();
    let ends_by_itself = pace.ends_by_itself;
    let (sender, receiver) = crossbeam_channel::bounded::<Observed>(IN_FLIGHT);
    // Not waited for when interrupted: it may be blocked in a read that never returns.
    let gate = Arc::new(Gate::default());
    let closing = Closing(Arc::clone(&gate));
    let worker = thread::spawn(move || {
        source(&mut |batch| {
            gate.start(weight(&batch));
            sender.send(batch).map_err(|_| Stopped)
        })
    });
    let store = open()?;
    let mut ingest = Ingest::new(&store)?;
    let look = pace.commit_after.map_or(LOOK, |it| (it / 2).min(LOOK));
    let now = Instant::now();
    let (mut committed, mut tidied, mut forgotten) = (now, now, None::<Instant>);
    while ends_by_itself || !interrupted.load(Ordering::Relaxed) {
        match receiver.recv_timeout(look) {
            Ok(batch) => {
                let n_bytes = weight(&batch);
                ingest.observe(batch)?;
                closing.0.land(n_bytes);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if pace.commit_after.is_some_and(|it| committed.elapsed() >= it) {
            // All that was read is stored then, also where nothing new was.
            ingest.flush()?;
            committed = Instant::now();
            pace.note_commit();
        }
        if pace.commit_after.is_some() && tidied.elapsed() >= TIDY_AFTER {
            ingest.tidy()?;
            tidied = Instant::now();
        }
        if let Some(retain) = pace.retain.filter(|_| forgotten.is_none_or(|it| it.elapsed() >= FORGET_AFTER)) {
            ingest.forget_before(crate::cli::now()? - retain)?;
            forgotten = Some(Instant::now());
        }
    }
    drop(closing);
    let stats = ingest.finish()?;
    pace.note_commit();
    if interrupted.load(Ordering::Relaxed) && !ends_by_itself {
        return Err(Stopped.into());
    }
    worker.join().map_err(|_| Failure::new("the reading thread broke down"))??;
    Ok(stats)
}
