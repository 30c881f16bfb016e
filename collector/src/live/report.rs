//! What did a run find, what was it refused, and what would it do?

use std::collections::BTreeMap;

use analyzer::model::Usd;
use serde::Serialize;

use super::ObjectsReport;

/// A permission that was denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Denied {
    pub permission: String,
    pub lost: String,
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
    pub gaps: Vec<String>,
    /// How old what was read last was when it was read.
    pub lag_ms: Option<u64>,
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
