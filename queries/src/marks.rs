//! What was deployed when, and what somebody marks.

use analyzer::model::Timestamp;

use crate::cell::Take;
use crate::machines::{text, time};
use crate::{Reader, Store, StoreError, reader};

const SQL: &str = include_str!("../sql/deployments.sql");
const KNOWN: &str =
    "SELECT count(*) FROM mark WHERE machine_arn IS NOT DISTINCT FROM $1 AND deployed_at = $2 AND label = $3";
const INSERT: &str = "INSERT INTO mark (machine_arn, deployed_at, label) VALUES ($1, $2, $3)";

/// One row of `deployments.sql`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    pub at: Timestamp,
    /// `mark`, `version` or `definition`.
    pub kind: String,
    pub label: String,
}

impl Reader {
    /// The deployments of a machine, in order of time.
    pub fn deployments(&self, machine_arn: &str) -> Result<Vec<Deployment>, StoreError> {
        let row = |cells| {
            let mut it = Take::new(cells);
            Ok(Deployment { at: Timestamp(it.int()?), kind: it.text()?, label: it.text()? })
        };
        self.query(SQL, &[text(Some(machine_arn))])?.into_iter().map(row).collect()
    }
}

impl Store {
    /// Marks a deployment, of a machine or of all; says whether it is new.
    pub fn mark(&self, machine_arn: Option<&str>, at: Timestamp, label: &str) -> Result<bool, StoreError> {
        let mark = [text(machine_arn), time(Some(at)), text(Some(label))];
        let known = reader::run(&self.connection, KNOWN, &mark)?.rows.into_iter().next();
        if known.map_or(Ok(0), |row| Take::new(row).count())? > 0 {
            return Ok(false);
        }
        reader::run(&self.connection, INSERT, &mark)?;
        Ok(true)
    }
}
