//! What did a run find, what was it refused, and what would it do?

use std::collections::BTreeMap;

use analyzer::model::Usd;
use serde::Serialize;

use super::health::Health;

use super::ObjectsReport;

/// A permission that was denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Denied {
    pub permission: String,
    pub lost: String,
}

/// What kind of thing is missing, or is in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GapKind {
    /// It could not be read now; the next run asks for it again.
    NotCollected,
    /// It is gone for good.
    Lost,
    /// The settings of a state machine make it impossible to see.
    NotVisible,
    /// The service left a part of it out.
    Truncated,
    /// A permission is missing.
    Denied,
    /// The clock of the service and the one here differ.
    ClockDiffers,
    /// The service does not state the time.
    ClockUnknown,
}

/// Something that a report of collecting has to say about what is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TargetGap {
    pub kind: GapKind,
    /// Whether records are missing because of it.
    pub incomplete: bool,
    pub text: String,
    /// Which clock is ahead, and by how much.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub clocks: Option<ClockDifference>,
}

/// Which clock is ahead, and by how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ClockDifference {
    pub ahead: Ahead,
    pub difference_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ahead {
    Service,
    Local,
    /// The service's answers contradict each other.
    Unclear,
}

impl TargetGap {
    pub(super) fn new(kind: GapKind, text: impl Into<String>) -> Self {
        let incomplete = !matches!(kind, GapKind::ClockDiffers | GapKind::ClockUnknown);
        Self { kind, incomplete, text: text.into(), clocks: None }
    }
}

impl std::fmt::Display for TargetGap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// What was collected from one account and region.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TargetReport {
    pub account: Option<String>,
    pub region: Option<String>,
    pub ok: bool,
    pub denied: Vec<Denied>,
    pub machines: u64,
    pub executions: u64,
    pub events: u64,
    pub segments: u64,
    pub gaps: Vec<TargetGap>,
    /// How old what was read last was when it was read.
    pub lag_ms: Option<u64>,
    /// How it answers at this moment.
    #[serde(skip)]
    pub health: Health,
}

/// What would be read of one machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Planned {
    pub state_machine_arn: String,
    pub source: String,
    pub executions: Option<u64>,
    pub calls: u64,
    pub seconds: f64,
    #[serde(skip)]
    pub usd: Usd,
    pub limits: Vec<String>,
}

/// What a run did, over all targets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveReport {
    pub targets: Vec<TargetReport>,
    pub calls: BTreeMap<&'static str, u64>,
    pub throttled: BTreeMap<&'static str, u64>,
    /// What the calls cost, as far as they have a price.
    pub usd: Usd,
    pub plan: Vec<Planned>,
    pub objects: Vec<ObjectsReport>,
}

/// Why nothing could be collected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CollectError {
    Runtime(String),
    Stopped,
}

impl std::fmt::Display for CollectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Runtime(why) => write!(f, "the collector cannot start: {why}"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

impl std::error::Error for CollectError {}
