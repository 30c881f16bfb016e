//! What is the bill made of, and what speaks for another one?

use analyzer::eligibility::Measured;
use analyzer::model::{Micros, Name, Timestamp};
use rustc_hash::FxHashMap;

use crate::cell::Take;
use crate::machines::time;
use crate::{Cell, Reader, StoreError};

const MEASURED: &str = include_str!("../sql/measured.sql");
const RESOURCES: &str = include_str!("../sql/resources_used.sql");
const RETRIED: &str = include_str!("../sql/retried_errors.sql");
const CALIBRATION: &str = include_str!("../sql/calibration.sql");
const OBSERVING: &str = include_str!("../sql/observing.sql");

/// What was measured of one machine, by its ARN.
#[derive(Clone, Debug, Default)]
pub struct MachineMeasures {
    pub measured: Measured,
    pub failed: u64,
    pub failed_transitions: u64,
    pub log_bytes: u64,
    /// Redrives, each of which bills a transition of its own.
    pub redrives: u64,
    pub events: u64,
    /// Events of executions whose log bytes are known.
    pub logged_events: u64,
}

/// One row of `retried_errors.sql`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetriedError {
    pub machine_arn: String,
    pub error: String,
    pub retries: u64,
    pub backoff: Micros,
}

/// One row of `observing.sql`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observing {
    pub machine_arn: String,
    pub month: String,
    pub log_bytes: u64,
    pub traces: Option<u64>,
    pub invocations: Option<u64>,
    pub mb_ms: Option<u64>,
}

/// One row of `calibration.sql`.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    pub machine_arn: String,
    pub days: u64,
    pub executions: u64,
    /// Transitions beyond those counted, per execution.
    pub extra: f64,
}

impl Reader {
    /// What CloudWatch's `ConsumedCapacity` says beyond the transitions counted, of machines that have it.
    pub fn calibrations(&self) -> Result<Vec<Calibration>, StoreError> {
        let row = |cells: Vec<Cell>| {
            let mut it = Take::new(cells);
            let (machine_arn, days, executions) = (it.text()?, it.count()?, it.count()?);
            let Cell::Float(extra) = it.next() else {
                return Err(StoreError::Corrupt("a quotient is missing".to_owned()));
            };
            Ok(Calibration { machine_arn, days, executions, extra })
        };
        self.query(CALIBRATION, &[])?.into_iter().map(row).collect()
    }

    pub fn measures(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<FxHashMap<String, MachineMeasures>, StoreError> {
        let mut found: FxHashMap<String, MachineMeasures> = FxHashMap::default();
        for row in self.query(MEASURED, &[time(since), time(until)])? {
            let mut it = Take::new(row);
            let arn = it.text()?;
            let measured = Measured {
                timed: it.count()?,
                over_limit: it.count()?,
                longest: it.opt_int().map(Micros),
                redriven: it.count()?,
                map_runs: it.count()?,
                ..Measured::default()
            };
            let (failed_transitions, failed, log_bytes) = (it.count()?, it.count()?, it.count()?);
            let (redrives, events, logged_events) = (it.count()?, it.count()?, it.count()?);
            let all =
                MachineMeasures { measured, failed, failed_transitions, log_bytes, redrives, events, logged_events };
            found.insert(arn, all);
        }
        for row in self.query(RESOURCES, &[time(since), time(until)])? {
            let mut it = Take::new(row);
            let (arn, state, resource) = (it.text()?, Name::from(it.text()?), Name::from(it.text()?));
            let calls = it.count()?;
            found.entry(arn).or_default().measured.resources.insert((state, resource), calls);
        }
        Ok(found)
    }

    pub fn retried_errors(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Vec<RetriedError>, StoreError> {
        let row = |cells| {
            let mut it = Take::new(cells);
            Ok(RetriedError {
                machine_arn: it.text()?,
                error: it.text()?,
                retries: it.count()?,
                backoff: Micros(it.int()?),
            })
        };
        self.query(RETRIED, &[time(since), time(until)])?.into_iter().map(row).collect()
    }

    pub fn observing(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> Result<Vec<Observing>, StoreError> {
        let row = |cells| {
            let mut it = Take::new(cells);
            Ok(Observing {
                machine_arn: it.text()?,
                month: it.text()?,
                log_bytes: it.count()?,
                traces: it.opt_count(),
                invocations: it.opt_count(),
                mb_ms: it.opt_count(),
            })
        };
        self.query(OBSERVING, &[time(since), time(until)])?.into_iter().map(row).collect()
    }
}
