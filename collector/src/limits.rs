//! How much of anything is taken in: every bound on input, in one place. What goes beyond one is set aside, and the reason
//! names the bound.
//!
//! Sizes are chosen so that no input takes a process beyond 1 GB of memory: a parsed JSON value takes up to 20 times the bytes of
//! its text. Numbers are far above the quotas of Step Functions, Lambda and CloudWatch, so that whatever is beyond them came
//! from damage and not from AWS.

use analyzer::model::{Micros, Timestamp};

/// The greatest length of one record: a log message, an event, an execution of a listing, a segment, a row of a CSV file. AWS
/// sends at most 1 MiB. A document of many records may be of any length, also on one line: it is read in pieces.
pub const MAX_RECORD_BYTES: usize = 16 << 20;
/// A longer document is read in pieces of about this size.
pub const PIECE_BYTES: usize = 4 << 20;
/// Values (numbers, texts, lists, objects) in a piece, and in one record.
pub const PIECE_VALUES: usize = 250_000;
pub const MAX_RECORD_VALUES: usize = 1_000_000;
/// Cells in a row of a CSV file.
pub const MAX_CELLS: usize = 1 << 14;
/// Lists and objects inside one another.
pub const MAX_DEPTH: usize = 127;
/// Events of one history that are held until its end because only that names the execution.
pub const MAX_HELD_BYTES: usize = 32 << 20;

/// How often a file may be packed: subscriptions of CloudWatch Logs arrive packed twice.
pub const MAX_PACKINGS: usize = 2;
/// What a packed file may become: so many times its size (gzip reaches 1,032 at most), and this much whatever its size.
pub const MAX_UNPACKED_RATIO: u64 = 2_000;
pub const MAX_UNPACKED_BYTES: u64 = 128 << 20;

/// A file with a description next to a history is a regular file of at most this size.
pub const MAX_SIDECAR_BYTES: u64 = 1 << 20;
/// Step Functions takes definitions of at most 1 MB, so no larger text can be one.
pub const MAX_DEFINITION_BYTES: u64 = 1 << 20;
/// A segment document of X-Ray; the service takes 64 KB.
pub const MAX_SEGMENT_BYTES: usize = 1 << 20;
/// Names of states, resources and errors, and ARNs.
pub const MAX_NAME_BYTES: usize = 1_024;
/// Records of one file that are set aside one by one; the rest is counted.
pub const MAX_SET_ASIDE: u64 = 1_000;

/// Step Functions began in 2016; earlier times come from clocks that were not set and numbers that were missing.
pub const MIN_TIME: Timestamp = Timestamp(946_684_800_000_000);
/// How far ahead of the clock a time may be.
pub const MAX_AHEAD: Micros = Micros(366 * 86_400_000_000);

/// Ids of events: a Standard execution has at most 25,000.
pub const MAX_EVENT_ID: u64 = 100_000_000;
/// Items, children and indexes of a Map, and its concurrency.
pub const MAX_ITEMS: u64 = 1_000_000_000;
/// AWS allows 1,000 redrives.
pub const MAX_REDRIVES: u64 = 10_000;
/// Express executions end after 5 minutes, Lambda functions after 15.
pub const MAX_BILLED_MS: u64 = 86_400_000;
/// 128 GiB; a Lambda function has 32 at most.
pub const MAX_MEMORY_MB: u64 = 1 << 17;
/// A data point of a metric: a sum, a count or a time.
pub const MAX_METRIC: f64 = 1e15;
