//! The nouns: names, units, events, executions and what a source can observe of them.

mod arn;
mod event;
mod name;
mod observation;
mod record;
mod segment;
mod units;

pub use arn::{ExecutionArn, WorkflowType};
pub use event::{Detail, Event, EventKind, Payload, PayloadField, StateType, entered_id};
pub use name::{Interner, Name};
pub use observation::{
    ApiUse, Collected, DefinitionText, Gap, LambdaReport, MachineSettings, MachineTags, MachineVersion, MetricPoint,
    Observation, Observed,
};
pub use record::{ExecutionRecord, MapRunRecord, Status};
pub use segment::Segment;
pub use units::{GbMillis, Micros, Timestamp, Transitions, Usd};
