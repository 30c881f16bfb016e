//! Files, folders and streams in; observations out. One file per input form.
//!
//! ```text
//!   paths -> source (folders, stdin) -> packed (.gz, .zst) -> records (lines, documents) -> classify -> history | logs | ...
//!                                                                                                -> sane -> sink
//! ```
//!
//! The form is told by content, never by name. What is damaged is set aside with source, line and reason, and the rest
//! goes in. What is not of a known form is skipped, with what was seen instead.

mod classify;
mod definition;
mod document;
mod eventbridge;
mod executions;
pub(crate) mod fields;
mod gzip;
mod harmless;
mod harmless_segment;
mod history;
mod lambda_report;
pub(crate) mod logs;
mod metrics;
mod packed;
mod privacy;
mod records;
pub(crate) mod sane;
mod scan;
mod seen;
mod shape;
mod sheet;
mod sink;
mod source;
mod tags;
pub(crate) mod xray;
mod zstandard;

use std::path::PathBuf;

use analyzer::model::{Observed, Timestamp};

pub use privacy::{PayloadPolicy, Privacy};
pub use sink::Stopped;

/// What the user said about the input.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    pub format: Option<Format>,
    pub execution_arn: Option<String>,
    pub state_machine_arn: Option<String>,
    pub privacy: Privacy,
    /// The time of the clock: what is dated far ahead of it is set aside. Without it, only what is dated far back is.
    pub now: Option<Timestamp>,
}

impl ImportOptions {
    fn latest(&self) -> Timestamp {
        self.now.map_or(Timestamp(i64::MAX), sane::latest)
    }
}

/// The input forms that can be forced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    History,
    Logs,
    Xray,
    Definition,
    Executions,
    EventBridge,
}

/// Where input comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    Path(PathBuf),
    Stdin,
}

/// Reads what somebody has opened, as [`import`] reads a file.
pub(crate) fn stream(
    input: impl std::io::BufRead + 'static,
    name: &str,
    options: &ImportOptions,
    send: &mut dyn FnMut(Observed) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    let mut sink = sink::Sink::new(send, options.latest());
    source::read_stream(input, name, std::path::Path::new(name), options, false, &mut sink)?;
    sink.flush()
}

/// Reads every input and sends what it holds, in batches, to `send`; stops early when `send` says so.
pub fn import(
    inputs: &[Input],
    options: &ImportOptions,
    send: &mut dyn FnMut(Observed) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    let mut sink = sink::Sink::new(send, options.latest());
    for input in inputs {
        source::read(input, options, &mut sink)?;
    }
    sink.flush()
}
