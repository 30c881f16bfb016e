//! Where observations go: batches for the channel, with quarantine held back until a file proves to be ours.

use analyzer::model::{Event, ExecutionRecord, Interner, Name, Observation, Observed, Timestamp};

use super::sane;
use crate::limits::MAX_SET_ASIDE;

/// Small enough that its memory is used again instead of being mapped anew.
const BATCH: usize = 512;
/// Bytes of payloads and documents from which on a batch is sent.
const BATCH_BYTES: usize = 1 << 20;
/// Distinct strings that are shared before the interner starts anew.
const INTERNED: usize = 50_000;

/// The receiver is gone or does not want more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// Collects observations and sends them in batches.
pub(super) struct Sink<'a> {
    send: &'a mut dyn FnMut(Observed) -> Result<(), Stopped>,
    batch: Observed,
    n_bytes: usize,
    pub(super) names: Interner,
    /// No time may be later.
    latest: Timestamp,
    file: File,
    stopped: bool,
}

/// What is known of the file that is being read.
#[derive(Default)]
struct File {
    source: Name,
    held: Vec<(Option<u64>, String)>,
    n_set_aside: u64,
    /// It could not be read to its end, or not all that it holds could be taken in.
    is_cut: bool,
    /// What stands in it, in the words of a reason.
    seen: Option<String>,
    standing: Standing,
}

/// How far a file has shown that it is ours.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    #[default]
    Unknown,
    /// It names what only our forms name, damaged as it may be.
    Likely,
    Recognised,
    /// Something of it went in, or it is a valid answer without content.
    Used,
}

impl<'a> Sink<'a> {
    pub(super) fn new(send: &'a mut dyn FnMut(Observed) -> Result<(), Stopped>, latest: Timestamp) -> Self {
        Self {
            send,
            batch: Vec::with_capacity(BATCH),
            n_bytes: 0,
            names: Interner::with_capacity(INTERNED),
            latest,
            file: File::default(),
            stopped: false,
        }
    }

    /// Begins a new source; what follows belongs to it.
    pub(super) fn begin(&mut self, source: &str) {
        self.file = File { source: source.into(), ..File::default() };
    }

    /// Notes what a file holds, for the reason in case it is none of ours; the first counts.
    pub(super) fn see(&mut self, seen: impl FnOnce() -> String) {
        self.file.seen.get_or_insert_with(seen);
    }

    /// The file names what only our forms name.
    pub(super) fn mark_likely(&mut self) {
        self.file.standing = self.file.standing.max(Standing::Likely);
    }

    /// Ends the source. One that holds nothing of ours is skipped, with what was `expected` and what was seen.
    pub(super) fn end(&mut self, is_named: bool, expected: &str) -> Result<(), Stopped> {
        let file = &mut self.file;
        let may_be_ours = file.standing == Standing::Likely || (file.is_cut && (is_named || file.seen.is_none()));
        if file.standing < Standing::Recognised && may_be_ours && !file.held.is_empty() {
            self.recognise();
        }
        let file = std::mem::take(&mut self.file);
        let source = file.source;
        if file.standing >= Standing::Recognised {
            let n_more = file.n_set_aside.saturating_sub(MAX_SET_ASIDE);
            if n_more > 0 {
                let reason = format!("{n_more} more records were set aside (`MAX_SET_ASIDE` are listed)");
                self.push(Observation::Quarantined { source: source.clone(), line: None, reason });
            }
            self.push(Observation::File { source, is_used: file.standing == Standing::Used });
        } else {
            let held = file.held.into_iter().next().map(|(line, reason)| match line {
                Some(line) => format!("line {line}: {reason}"),
                None => reason,
            });
            let seen = match (file.seen, held) {
                (Some(seen), _) if seen.ends_with('.') => seen.trim_end_matches('.').to_owned(),
                (Some(seen), _) => format!("{seen}; expected {expected}"),
                (None, Some(held)) => format!("{held}; expected {expected}"),
                (None, None) => format!("holds nothing of a known form; expected {expected}"),
            };
            self.push(Observation::Skipped { source, reason: seen, is_named });
        }
        if self.stopped { Err(Stopped) } else { Ok(()) }
    }

    /// The source cannot be read at all.
    pub(super) fn refuse_source(&mut self, source: &str, reason: String, is_named: bool) -> Result<(), Stopped> {
        self.push(Observation::Skipped { source: source.into(), reason, is_named });
        if self.stopped { Err(Stopped) } else { Ok(()) }
    }

    /// The source holds something of ours: what was held back counts.
    pub(super) fn recognise(&mut self) {
        if self.file.standing >= Standing::Recognised {
            return;
        }
        self.file.standing = Standing::Recognised;
        for (line, reason) in std::mem::take(&mut self.file.held) {
            self.push(Observation::Quarantined { source: self.file.source.clone(), line, reason });
        }
    }

    /// The source holds something of ours that goes in, or is an answer of ours without content.
    pub(super) fn mark_used(&mut self) {
        self.recognise();
        self.file.standing = Standing::Used;
    }

    pub(super) fn event(&mut self, execution_arn: Name, event: Event, line: Option<u64>) {
        match sane::event(&execution_arn, &event, self.latest) {
            Ok(()) => self.take(Observation::Event { execution_arn, event }),
            Err(reason) => self.set_aside(line, format!("event {}: {reason}", event.id)),
        }
    }

    pub(super) fn record(&mut self, execution_arn: Name, record: ExecutionRecord, line: Option<u64>) {
        match sane::record(&execution_arn, &record, self.latest) {
            Ok(()) => self.take(Observation::Execution { execution_arn, record: Box::new(record) }),
            Err(reason) => self.set_aside(line, format!("execution `{}`: {reason}", sane::short(&execution_arn))),
        }
    }

    pub(super) fn observe(&mut self, observation: Observation, line: Option<u64>) {
        match sane::observation(&observation, self.latest) {
            Ok(()) => self.take(observation),
            Err(reason) => self.set_aside(line, reason),
        }
    }

    fn take(&mut self, observation: Observation) {
        if self.file.standing < Standing::Used {
            self.mark_used();
        }
        self.push(observation);
    }

    /// Sets aside a record of ours.
    fn set_aside(&mut self, line: Option<u64>, reason: String) {
        self.recognise();
        self.quarantine(line, reason);
    }

    /// Sets a damaged record aside, if it turns out to be of ours.
    pub(super) fn quarantine(&mut self, line: Option<u64>, reason: impl Into<String>) {
        self.file.n_set_aside += 1;
        if self.file.n_set_aside > MAX_SET_ASIDE {
            return;
        }
        if self.file.standing >= Standing::Recognised {
            self.push(Observation::Quarantined { source: self.file.source.clone(), line, reason: reason.into() });
        } else {
            self.file.held.push((line, reason.into()));
        }
    }

    /// Sets aside what could not be read as a whole, so that nobody can say what it was.
    pub(super) fn cut(&mut self, line: Option<u64>, reason: impl Into<String>) {
        self.file.is_cut = true;
        self.quarantine(line, reason);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    fn push(&mut self, observation: Observation) {
        self.n_bytes += observation.n_bytes();
        self.batch.push(observation);
        if self.batch.len() >= BATCH || self.n_bytes >= BATCH_BYTES {
            self.n_bytes = 0;
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
