//! Where everything that is read goes, in batches.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use analyzer::model::{Name, Observation, Observed, Timestamp};

use crate::import::{Stopped, sane};

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

    /// Takes an observation; what AWS cannot have sent is set aside.
    pub(super) fn observe(&self, observation: Observation) -> Result<(), Stopped> {
        let observation = match sane::observation(&observation, sane::latest(local_time())) {
            Ok(()) => observation,
            Err(reason) => Observation::Quarantined { source: subject(&observation), line: None, reason },
        };
        self.batch.borrow_mut().push(observation);
        if self.batch.borrow().len() >= BATCH { self.flush() } else { Ok(()) }
    }

    pub(super) fn flush(&self) -> Result<(), Stopped> {
        let batch = self.batch.replace(Vec::with_capacity(BATCH));
        if batch.is_empty() { Ok(()) } else { (self.send.borrow_mut())(batch) }
    }
}

/// What an observation is about.
fn subject(it: &Observation) -> Name {
    match it {
        Observation::Event { execution_arn, .. } | Observation::Execution { execution_arn, .. } => {
            execution_arn.clone()
        }
        Observation::Metric(it) => it.machine_arn.clone(),
        Observation::Settings(it) | Observation::Described(it) => it.machine_arn.clone(),
        Observation::Version(it) => it.machine_arn.clone(),
        Observation::Segment(it) => it.trace_id.clone().unwrap_or_else(|| it.id.clone()),
        Observation::LambdaReport(it) => it.request_id.clone(),
        _ => Name::from("AWS"),
    }
}

/// The time of this machine's clock.
pub(super) fn local_time() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
