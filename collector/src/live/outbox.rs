//! Where everything that is read goes, in batches.

use std::cell::RefCell;

use analyzer::model::{Observation, Observed};

use crate::import::Stopped;

const BATCH: usize = 512;

/// Takes observations from everyone who reads.
pub(super) struct Outbox<'a> {
    send: RefCell<&'a mut dyn FnMut(Observed) -> Result<(), Stopped>>,
    batch: RefCell<Observed>,
}

impl<'a> Outbox<'a> {
    pub(super) fn new(send: &'a mut dyn FnMut(Observed) -> Result<(), Stopped>) -> Self {
        Self { send: RefCell::new(send), batch: RefCell::new(Vec::with_capacity(BATCH)) }
    }

    pub(super) fn observe(&self, observation: Observation) -> Result<(), Stopped> {
        self.batch.borrow_mut().push(observation);
        if self.batch.borrow().len() >= BATCH { self.flush() } else { Ok(()) }
    }

    pub(super) fn flush(&self) -> Result<(), Stopped> {
        let batch = self.batch.replace(Vec::with_capacity(BATCH));
        if batch.is_empty() { Ok(()) } else { (self.send.borrow_mut())(batch) }
    }
}
