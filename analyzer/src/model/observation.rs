//! What a source can tell: the values that cross the channel from the collector to the store.

use super::{Event, ExecutionRecord, Name, Segment, Timestamp};

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
    /// Input that could not be used, kept with its place and the reason.
    Quarantined {
        source: Name,
        line: Option<u64>,
        reason: String,
    },
    /// A file of a folder that holds nothing of ours.
    Skipped {
        source: Name,
    },
    /// A file whose content is used, told once.
    File {
        source: Name,
    },
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
