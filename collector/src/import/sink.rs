//! Where observations go: batches for the channel, with quarantine held back until a file proves to be ours.

use analyzer::model::{Event, ExecutionRecord, Interner, Name, Observation, Observed};

/// Small enough that its memory is used again instead of being mapped anew.
const BATCH: usize = 512;
/// Distinct strings that are shared before the interner starts anew.
const INTERNED: usize = 50_000;
/// Bad records of a file that may yet turn out to be none of ours.
const HELD: usize = 1_000;

/// The receiver is gone or does not want more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// Collects observations and sends them in batches.
pub(super) struct Sink<'a> {
    send: &'a mut dyn FnMut(Observed) -> Result<(), Stopped>,
    batch: Observed,
    pub(super) names: Interner,
    source: Name,
    held: Vec<(Option<u64>, String)>,
    recognised: bool,
    stopped: bool,
}

impl<'a> Sink<'a> {
    pub(super) fn new(send: &'a mut dyn FnMut(Observed) -> Result<(), Stopped>) -> Self {
        Self {
            send,
            batch: Vec::with_capacity(BATCH),
            names: Interner::with_capacity(INTERNED),
            source: "".into(),
            held: Vec::new(),
            recognised: false,
            stopped: false,
        }
    }

    /// Begins a new source; what follows belongs to it.
    pub(super) fn begin(&mut self, source: &str) {
        self.source = source.into();
        self.recognised = false;
        self.held.clear();
    }

    /// Ends the source. One that held nothing of ours is skipped in a folder, and set aside when named by the user.
    pub(super) fn end(&mut self, named_by_user: bool) -> Result<(), Stopped> {
        if !self.recognised {
            if named_by_user {
                let held = std::mem::take(&mut self.held);
                let (line, reason) =
                    held.into_iter().next().unwrap_or((None, "holds nothing that stepscope knows".to_owned()));
                self.push(Observation::Quarantined { source: self.source.clone(), line, reason });
            } else {
                self.push(Observation::Skipped { source: self.source.clone() });
            }
        }
        self.held.clear();
        if self.stopped { Err(Stopped) } else { Ok(()) }
    }

    /// The source holds something of ours: what was held back counts.
    pub(super) fn recognise(&mut self) {
        if self.recognised {
            return;
        }
        self.recognised = true;
        self.push(Observation::File { source: self.source.clone() });
        for (line, reason) in std::mem::take(&mut self.held) {
            self.push(Observation::Quarantined { source: self.source.clone(), line, reason });
        }
    }

    pub(super) fn event(&mut self, execution_arn: Name, event: Event) {
        self.recognise();
        self.push(Observation::Event { execution_arn, event });
    }

    pub(super) fn record(&mut self, execution_arn: Name, record: ExecutionRecord) {
        self.recognise();
        self.push(Observation::Execution { execution_arn, record: Box::new(record) });
    }

    pub(super) fn observe(&mut self, observation: Observation) {
        self.recognise();
        self.push(observation);
    }

    /// Sets a damaged record aside.
    pub(super) fn quarantine(&mut self, line: Option<u64>, reason: impl Into<String>) {
        if self.recognised {
            self.push(Observation::Quarantined { source: self.source.clone(), line, reason: reason.into() });
        } else if self.held.len() < HELD {
            self.held.push((line, reason.into()));
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    fn push(&mut self, observation: Observation) {
        self.batch.push(observation);
        if self.batch.len() >= BATCH {
            let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
            self.stopped |= (self.send)(batch).is_err();
        }
    }

    pub(super) fn flush(mut self) -> Result<(), Stopped> {
        if !self.batch.is_empty() {
            (self.send)(std::mem::take(&mut self.batch))?;
        }
        if self.stopped { Err(Stopped) } else { Ok(()) }
    }
}
