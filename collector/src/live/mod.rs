//! From AWS: machines with their definitions, executions, and the histories of Standard ones.
//!
//! What is stored in full already is not read again, so that a finished execution costs ceil(events/1000) history calls
//! and no more. A denied call never ends the run: the report says which permission is missing and what is lost without it.

mod budget;
mod driver;
mod from_aws;
mod price_list;

use std::collections::{BTreeMap, HashSet};

use analyzer::model::{Name, Observed, Timestamp};
use serde::Serialize;

use crate::import::{PayloadPolicy, Stopped};

/// What to collect, and from where.
#[derive(Clone, Debug, Default)]
pub struct LiveOptions {
    pub profile: Option<String>,
    pub region: Option<String>,
    pub role_arn: Option<String>,
    pub endpoint_url: Option<String>,
    /// Parts of machine names or ARNs; none for all machines.
    pub machines: Vec<String>,
    /// Executions that closed before this are left alone.
    pub since: Timestamp,
    pub payloads: PayloadPolicy,
    /// Closed executions that are stored in full, with their count of redrives.
    pub known: HashSet<(Name, u64)>,
    /// The part of each API's quota that may be used.
    pub share: f64,
    /// Only tell what would be read; nothing is.
    pub plan: bool,
    /// Events of an execution, by machine, where some are stored.
    pub mean_events: BTreeMap<Name, u64>,
}

/// A permission that was denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Denied {
    pub permission: String,
    pub lost: String,
}

/// What was collected from one account and region.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Target {
    pub account: Option<String>,
    pub region: Option<String>,
    pub ok: bool,
    pub denied: Vec<Denied>,
    pub executions: u64,
    pub events: u64,
    pub segments: u64,
    pub gaps: Vec<String>,
}

/// What would be read of one machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Planned {
    pub state_machine_arn: String,
    pub source: &'static str,
    pub executions: u64,
    pub calls: u64,
    pub seconds: f64,
    pub usd: f64,
    pub limits: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub struct LiveReport {
    pub targets: Vec<Target>,
    pub calls: BTreeMap<&'static str, u64>,
    pub throttled: BTreeMap<&'static str, u64>,
    pub plan: Vec<Planned>,
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

/// Asks the service whether it would answer the collector; the error says what it said.
pub fn probe(options: &LiveOptions) -> Result<Result<(), String>, CollectError> {
    Ok(runtime()?.block_on(driver::probe(options)))
}

/// The products of Step Functions in AWS's Price List, as JSON texts; what the service said otherwise.
pub fn price_list(options: &LiveOptions) -> Result<Result<Vec<String>, String>, CollectError> {
    Ok(runtime()?.block_on(price_list::products(options)))
}

fn runtime() -> Result<tokio::runtime::Runtime, CollectError> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().map_err(|error| CollectError::Runtime(error.to_string()))
}

/// Collects once from each target in turn, sending what is found in batches. One that fails does not stop the others.
pub fn collect(
    targets: &[LiveOptions],
    send: &mut dyn FnMut(Observed) -> Result<(), Stopped>,
) -> Result<LiveReport, CollectError> {
    let mut all = LiveReport::default();
    for options in targets {
        let report = runtime()?.block_on(driver::run(options, send)).map_err(|_| CollectError::Stopped)?;
        all.targets.extend(report.targets);
        all.plan.extend(report.plan);
        for (sums, calls) in [(&mut all.calls, report.calls), (&mut all.throttled, report.throttled)] {
            for (api, count) in calls {
                *sums.entry(api).or_default() += count;
            }
        }
    }
    Ok(all)
}
