//! What listings, descriptions and status events tell of an execution as a whole.

use std::collections::BTreeMap;

use super::{Name, Timestamp};

/// The status of an execution, in AWS's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    Running,
    PendingRedrive,
    Succeeded,
    Failed,
    TimedOut,
    Aborted,
}

impl Status {
    pub const ALL: [Self; 6] =
        [Self::Running, Self::PendingRedrive, Self::Succeeded, Self::Failed, Self::TimedOut, Self::Aborted];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::PendingRedrive => "PENDING_REDRIVE",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Aborted => "ABORTED",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    pub fn is_closed(self) -> bool {
        !matches!(self, Self::Running | Self::PendingRedrive)
    }
}

/// Everything that `DescribeExecution`, `ListExecutions`, `StartSyncExecution` and EventBridge tell of one execution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutionRecord {
    pub machine_arn: Option<Name>,
    pub status: Option<Status>,
    pub started_at: Option<Timestamp>,
    pub stopped_at: Option<Timestamp>,
    pub error: Option<Name>,
    pub version_arn: Option<Name>,
    pub alias_arn: Option<Name>,
    pub map_run_arn: Option<Name>,
    pub redrive_count: Option<u64>,
    /// What `StartSyncExecution` says was billed: the best price evidence there is.
    pub billed_ms: Option<u64>,
    pub billed_memory_mb: Option<u64>,
    pub trace_id: Option<Name>,
    /// A file with some of its events names a page that follows.
    pub has_next_page: bool,
    /// The Map Runs that this execution started, by ARN.
    pub map_runs: BTreeMap<Name, MapRunRecord>,
}

/// What `DescribeMapRun` tells of one Map Run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapRunRecord {
    pub status: Option<Name>,
    /// Children that were started; each is billed to the parent as one transition.
    pub children_started: Option<u64>,
    /// How often the Map Run was redriven: which children ran again then is not told.
    pub redrive_count: Option<u64>,
    pub max_concurrency: Option<u64>,
}

impl ExecutionRecord {
    /// Merges two records of one execution; the result does not depend on their order.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        let later = (self.redrive_count, self.stopped_at) < (other.redrive_count, other.stopped_at);
        // A redriven execution runs again: the record with more redrives is the newer one.
        let newer = match (self.redrive_count, other.redrive_count) {
            (Some(a), Some(b)) if a < b => other.status,
            (Some(a), Some(b)) if a > b => self.status,
            _ => None,
        };
        let status = match (self.status, other.status) {
            _ if newer.is_some() => newer,
            (Some(a), Some(b)) if a.is_closed() && b.is_closed() && a != b => Some(if later { b } else { a.min(b) }),
            (a, b) => a.max(b),
        };
        let mut map_runs = self.map_runs;
        for (arn, run) in other.map_runs {
            let known = map_runs.entry(arn).or_default();
            *known = std::mem::take(known).merged(run);
        }
        Self {
            machine_arn: self.machine_arn.max(other.machine_arn),
            status,
            started_at: earliest(self.started_at, other.started_at),
            stopped_at: self.stopped_at.max(other.stopped_at),
            error: self.error.max(other.error),
            version_arn: self.version_arn.max(other.version_arn),
            alias_arn: self.alias_arn.max(other.alias_arn),
            map_run_arn: self.map_run_arn.max(other.map_run_arn),
            redrive_count: self.redrive_count.max(other.redrive_count),
            billed_ms: self.billed_ms.max(other.billed_ms),
            billed_memory_mb: self.billed_memory_mb.max(other.billed_memory_mb),
            trace_id: self.trace_id.max(other.trace_id),
            has_next_page: self.has_next_page || other.has_next_page,
            map_runs,
        }
    }
}

impl MapRunRecord {
    fn merged(self, other: Self) -> Self {
        Self {
            status: self.status.max(other.status),
            children_started: self.children_started.max(other.children_started),
            redrive_count: self.redrive_count.max(other.redrive_count),
            max_concurrency: self.max_concurrency.max(other.max_concurrency),
        }
    }
}

fn earliest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
