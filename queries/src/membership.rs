//! One who writes a shared lake: known to the others for as long as it reports, which a thread does for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::catalogue::{Catalogue, CollectorId, Role, WHATEVER};
use crate::lake::Lake;
use crate::{Held, StoreError};

/// How long one who writes alone may be silent, and how long the next one waits.
const LEASE: Duration = Duration::from_secs(8);
const PATIENCE: Duration = Duration::from_secs(10);

/// It ends with this value: its slices are free at once.
pub struct Membership {
    own: CollectorId,
    catalogue: Catalogue,
    is_lost: Arc<AtomicBool>,
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Membership {
    /// Joins those who write a lake; `None` where its catalogue is a file.
    pub fn join(lake: &Lake, role: Role, lease: Duration) -> Result<Option<Self>, StoreError> {
        Catalogue::of(lake)?.map(|it| Self::of(it, role, lease)).transpose()
    }

    fn of(catalogue: Catalogue, role: Role, lease: Duration) -> Result<Self, StoreError> {
        let beating = catalogue.another()?;
        let own = catalogue.join(role, lease)?;
        let is_lost = Arc::new(AtomicBool::new(false));
        let (end, ended) = channel();
        let lost = Arc::clone(&is_lost);
        let thread = thread::spawn(move || {
            while ended.recv_timeout(lease / 4) == Err(RecvTimeoutError::Timeout) {
                // While the catalogue cannot be reached nobody else can take over either.
                if matches!(beating.beat(own, lease), Ok(false)) {
                    lost.store(true, Ordering::Relaxed);
                    return;
                }
            }
        });
        Ok(Self { own, catalogue, is_lost, end: Some(end), thread: Some(thread) })
    }

    /// Joins as the one who writes whatever comes, and waits a while for another.
    pub(crate) fn alone(catalogue: Catalogue) -> Result<Self, StoreError> {
        let it = Self::of(catalogue, Role::Alone, LEASE)?;
        let begun = Instant::now();
        while it.claim(&[WHATEVER.to_owned()])?.slices.is_empty() {
            if begun.elapsed() > PATIENCE {
                return Err(StoreError::Shared);
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(it)
    }

    pub fn id(&self) -> CollectorId {
        self.own
    }

    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Whether others have taken over.
    pub fn is_lost(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_lost)
    }

    /// Whether it still counts, which the catalogue knows.
    pub fn is_current(&self) -> Result<bool, StoreError> {
        self.catalogue.is_current(self.own)
    }

    /// Takes free slices; see [`Catalogue::claim`].
    pub fn claim(&self, slices: &[String]) -> Result<Held, StoreError> {
        self.catalogue.claim(self.own, slices)
    }

    /// Takes no more than so many, of those that were not done since an instant in microseconds.
    pub fn claim_undone(&self, slices: &[String], since: i64, most: u32) -> Result<Held, StoreError> {
        self.catalogue.claim_undone(self.own, slices, since, most)
    }

    /// Gives slices back.
    pub fn release(&self, slices: &[String], is_done: bool) -> Result<(), StoreError> {
        self.catalogue.release(self.own, slices, is_done)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = self.catalogue.leave(self.own);
    }
}
