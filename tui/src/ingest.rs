//! Joins a source and the store: the source runs in a thread of its own, and a bounded channel lies between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use analyzer::model::Observed;
use collector::import::Stopped;
use crossbeam_channel::Receiver;
use queries::{ImportStats, Ingest, Store};

use crate::failure::Failure;

/// Batches in flight between source and store.
const IN_FLIGHT: usize = 192;

/// Sends a batch to the store; fails once nobody takes it any more.
pub(crate) type Send<'a> = &'a mut dyn FnMut(Observed) -> Result<(), Stopped>;

/// Runs a source to its end and stores what it observes. The source starts at once, while the store is being opened.
/// Ctrl-C stops the source; what was read is stored.
pub(crate) fn run(
    open: impl FnOnce() -> Result<Store, Failure>,
    source: impl FnOnce(Send<'_>) -> Result<(), Stopped> + std::marker::Send,
) -> Result<ImportStats, Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // A second signal ends the process at once.
        let _ = signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&interrupted));
        let _ = signal_hook::flag::register(signal, Arc::clone(&interrupted));
    }
    let (sender, receiver) = crossbeam_channel::bounded::<Observed>(IN_FLIGHT);
    thread::scope(|scope| {
        let interrupted = &interrupted;
        let worker = scope.spawn(move || {
            source(&mut |batch| {
                if interrupted.load(Ordering::Relaxed) {
                    return Err(Stopped);
                }
                sender.send(batch).map_err(|_| Stopped)
            })
        });
        // Moved in, so that giving up closes the channel and with it the source.
        let stats = store_all(open, receiver)?;
        worker.join().map_err(|_| Failure::new("the reading thread broke down"))??;
        Ok(stats)
    })
}

fn store_all(
    open: impl FnOnce() -> Result<Store, Failure>,
    batches: Receiver<Observed>,
) -> Result<ImportStats, Failure> {
    let store = open()?;
    let mut ingest = Ingest::new(&store)?;
    for batch in batches {
        ingest.observe(batch)?;
    }
    Ok(ingest.finish()?)
}
