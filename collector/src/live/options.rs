//! What is to be collected, from where, and how much of it is there already?

use std::collections::BTreeSet;
use std::time::Duration;

use analyzer::model::{Micros, Name, Timestamp};
use analyzer::spans::Spans;
use rustc_hash::{FxHashMap, FxHashSet};

use super::progress::Stored;
use super::quotas::Quotas;
use crate::import::Privacy;

/// One account and region.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveTarget {
    pub profile: Option<String>,
    pub region: Option<String>,
    /// Roles to assume, each with the credentials of the one before.
    pub role_chain: Vec<String>,
    pub external_id: Option<String>,
    pub endpoint_url: Option<String>,
    /// Parts of machine names or ARNs; none for all machines.
    pub machines: Vec<String>,
    /// Exactly these and no others, by their ARNs.
    pub only: Option<BTreeSet<String>>,
}

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each source is there or not, whatever the others are")]
pub struct Sources {
    pub history: bool,
    pub logs: bool,
    pub lambda_logs: bool,
    pub xray: bool,
    /// Traces are read also where no machine has tracing on: callers may begin them.
    pub xray_of_callers: bool,
    pub metrics: bool,
}

impl Sources {
    /// Whether accounts are asked for anything.
    pub fn is_any(self) -> bool {
        self.history || self.logs || self.lambda_logs || self.xray || self.metrics
    }
}

impl Default for Sources {
    fn default() -> Self {
        Self { history: true, logs: true, lambda_logs: false, xray: true, xray_of_callers: false, metrics: true }
    }
}

/// How every target is read.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    pub sources: Sources,
    /// Places with delivered logs, such as s3://BUCKET/PREFIX/.
    pub buckets: Vec<String>,
    /// How far back to read; where nothing is said, on from where the last run ended.
    pub since: Option<Timestamp>,
    /// How far a first run reaches back where nothing is said.
    pub backfill: Micros,
    /// What is read again of logs for events that came late.
    pub overlap: Micros,
    pub privacy: Privacy,
    /// The part of each API's quota that may be used.
    pub share: f64,
    pub quotas: Quotas,
    /// Time between two looks at the executions of a machine when following.
    pub interval: Duration,
    /// Follow log groups by Live Tail, which is billed by the minute.
    pub live_tail: bool,
    /// Makes retries spread differently from run to run.
    pub seed: u64,
    /// How far this machine's clock is moved on purpose, so that a run takes place at another time.
    pub clock_shift: Micros,
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self {
            sources: Sources::default(),
            buckets: Vec::new(),
            since: None,
            backfill: Micros(7 * 86_400_000_000),
            overlap: Micros(15 * 60_000_000),
            privacy: Privacy::default(),
            share: 0.5,
            quotas: Quotas::default(),
            interval: Duration::from_secs(15),
            live_tail: false,
            seed: 0,
            clock_shift: Micros(0),
        }
    }
}

/// An execution that had not ended when it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningExecution {
    pub execution_arn: Name,
    pub machine_arn: Name,
    pub started_at: Option<Timestamp>,
}

/// What the database has already.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// By the hash of the ARN.
    pub executions: FxHashMap<u64, Stored>,
    pub running: Vec<RunningExecution>,
    /// Fingerprints of definitions: hashes of the machine's ARN, a unit separator, and the text.
    pub definitions: FxHashSet<u64>,
    /// How far back each source and subject is to be read, and what of that has been.
    pub collected: FxHashMap<(String, String), (Timestamp, Spans)>,
    /// Events of an execution, by machine, where some are stored.
    pub mean_events: FxHashMap<Name, u64>,
    /// The newest start or end of an execution, by account.
    pub newest: FxHashMap<String, Timestamp>,
}
