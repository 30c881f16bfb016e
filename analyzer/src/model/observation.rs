//! What a source can tell: the values that cross the channel from the collector to the store.

use super::{Event, ExecutionRecord, Name, Segment, Timestamp};
use crate::spans::Spans;

/// One thing that a source has seen.
#[derive(Clone, Debug)]
pub enum Observation {
    Event {
        execution_arn: Name,
        event: Event,
    },
    Execution {
        execution_arn: Name,
        record: Box<ExecutionRecord>,
    },
    Definition(Box<DefinitionText>),
    Segment(Box<Segment>),
    LambdaReport(Box<LambdaReport>),
    Tags(Box<MachineTags>),
    Metric(Box<MetricPoint>),
    /// As the service told them just now: they replace what was known.
    Settings(Box<MachineSettings>),
    /// As a description of some time tells them: what is known of other times stays.
    Described(Box<MachineSettings>),
    Version(Box<MachineVersion>),
    /// Everything before it is to be stored together with this, and not later.
    Collected(Box<Collected>),
    /// Something that was there and cannot be read any more.
    Gap(Box<Gap>),
    ApiUse(Vec<ApiUse>),
    /// Input that could not be used, kept with its place and the reason.
    Quarantined {
        source: Name,
        line: Option<u64>,
        reason: String,
    },
    /// A file that holds nothing of a known form, with what was expected and what was seen.
    Skipped {
        source: Name,
        reason: String,
        /// The user asked for this file, not for a folder that it lies in, or it could not be read.
        is_named: bool,
    },
    /// A file of a known form has been read.
    File {
        source: Name,
        /// Something of it went in, or it is a valid answer without content. Otherwise all of it was set aside.
        is_used: bool,
    },
}

impl Observation {
    /// About how many bytes of memory it holds beyond what every event does.
    pub fn n_bytes(&self) -> usize {
        const ROW: usize = 100;
        match self {
            Self::Event { event, .. } => event.detail.as_deref().map_or(0, |it| {
                it.payloads.iter().map(|it| it.body.len()).sum::<usize>() + it.rest.as_ref().map_or(0, |it| it.len())
            }),
            Self::Execution { .. } => 0,
            Self::Segment(it) => it.document.len() + ROW,
            Self::Definition(it) => it.text.len() + ROW,
            Self::Version(it) => it.definition.len() + ROW,
            Self::Quarantined { reason, .. } | Self::Skipped { reason, .. } => reason.len() + ROW,
            Self::Tags(it) => it.tags.iter().map(|(key, value)| key.len() + value.len() + ROW).sum(),
            _ => ROW,
        }
    }
}

/// A batch of observations: the unit of the channel.
pub type Observed = Vec<Observation>;

/// The text of a state machine definition and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinitionText {
    pub machine_arn: Option<Name>,
    pub name: Name,
    pub workflow_type: Option<super::WorkflowType>,
    pub text: Box<str>,
    pub seen_at: Option<Timestamp>,
}

/// All tags of a state machine; what was told before is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineTags {
    pub machine_arn: Name,
    pub tags: Vec<(String, String)>,
}

/// One data point of a CloudWatch metric of a state machine.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricPoint {
    pub machine_arn: Name,
    pub name: Name,
    pub at: Timestamp,
    /// Seconds that the point stands for, where that was told.
    pub period_s: Option<u32>,
    pub value: f64,
    pub unit: Option<Name>,
}

/// A Lambda `REPORT` line: what one invocation took and was billed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LambdaReport {
    pub request_id: Name,
    pub at: Option<Timestamp>,
    pub duration_us: i64,
    pub billed_ms: u64,
    pub memory_mb: u64,
    pub max_memory_mb: Option<u64>,
    pub init_us: Option<i64>,
    pub trace_id: Option<Name>,
}

/// How a state machine is set up in its account; what was told before is replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineSettings {
    pub machine_arn: Name,
    pub created_at: Option<Timestamp>,
    pub revision_id: Option<Name>,
    pub role_arn: Option<Name>,
    /// `ALL`, `ERROR`, `FATAL` or `OFF`.
    pub log_level: Name,
    pub logs_execution_data: bool,
    pub log_group_arn: Option<Name>,
    pub is_traced: bool,
    /// The customer's key that encrypts definition and histories.
    pub kms_key: Option<Name>,
    /// Aliases with the versions that they lead to and the percentage of each.
    pub aliases: Vec<(Name, Vec<(Name, u32)>)>,
    pub seen_at: Timestamp,
}

/// A version of a state machine, which never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineVersion {
    pub machine_arn: Name,
    pub version_arn: Name,
    /// The text of its definition.
    pub definition: Box<str>,
    pub created_at: Timestamp,
}

/// Which parts of time of a subject have been read from a source; what was told before is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collected {
    pub source: &'static str,
    pub subject: Name,
    /// How far back it is to be read.
    pub wanted_from: Timestamp,
    pub spans: Spans,
}

/// What is lost for good, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    pub source: &'static str,
    pub subject: Name,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub reason: String,
}

/// How much of its allowance of one API the collector uses in an account and region.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiUse {
    pub account: Name,
    pub region: Name,
    pub api: Name,
    pub calls: u64,
    pub throttled: u64,
    pub waited_us: i64,
    /// Calls that wait at this moment.
    pub waiting: u64,
    /// Calls that could be made at once, the most that there can be, and those that come back each second.
    pub tokens: f64,
    pub bucket: f64,
    pub per_second: f64,
    pub at: Timestamp,
}
