//! Joins a source and the store: the source runs in a thread of its own, and a bounded channel lies between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use analyzer::model::Observed;
use collector::import::Stopped;
use crossbeam_channel::RecvTimeoutError;
use queries::{ImportStats, Ingest, Store};

use crate::failure::Failure;

/// Batches in flight between source and store.
const IN_FLIGHT: usize = 192;

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
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // A second signal ends the process at once.
        let _ = signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&interrupted));
        let _ = signal_hook::flag::register(signal, Arc::clone(&interrupted));
    }
    let (sender, receiver) = crossbeam_channel::bounded::<Observed>(IN_FLIGHT);
    // Not waited for when interrupted: it may be blocked in a read that never returns.
    let worker = thread::spawn(move || source(&mut |batch| sender.send(batch).map_err(|_| Stopped)));
    let store = open()?;
    let mut ingest = Ingest::new(&store)?;
    while !interrupted.load(Ordering::Relaxed) {
        match receiver.recv_timeout(LOOK) {
            Ok(batch) => ingest.observe(batch)?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let stats = ingest.finish()?;
    if interrupted.load(Ordering::Relaxed) {
        return Err(Stopped.into());
    }
    worker.join().map_err(|_| Failure::new("the reading thread broke down"))??;
    Ok(stats)
}
