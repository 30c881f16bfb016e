//! How did each version of a machine do?

use analyzer::model::{Micros, Timestamp};

use crate::cell::Take;
use crate::machines::{text, time};
use crate::{Reader, StoreError};

const DEPLOYED: &str = include_str!("../sql/definitions_deployed.sql");
const THROTTLED: &str = include_str!("../sql/throttled.sql");
const SQL: &str = include_str!("../sql/versions.sql");

/// One row of `versions.sql`, in column order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRow {
    pub version_arn: Option<String>,
    pub executions: u64,
    pub first_at: Option<Timestamp>,
    pub last_at: Option<Timestamp>,
    pub p50: Option<Micros>,
    pub p95: Option<Micros>,
    pub failed: u64,
    pub transitions: u64,
}

/// One row of `definitions_deployed.sql`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployedDefinition {
    /// `version` or `definition`, as of a [`crate::Deployment`].
    pub kind: String,
    pub label: String,
    pub text: String,
}

impl Reader {
    /// The definitions that came with what was deployed to a machine, in order of time within each kind.
    pub fn deployed_definitions(&self, machine_arn: &str) -> Result<Vec<DeployedDefinition>, StoreError> {
        let row = |cells| {
            let mut it = Take::new(cells);
            Ok(DeployedDefinition { kind: it.text()?, label: it.text()?, text: it.text()? })
        };
        self.query(DEPLOYED, &[text(Some(machine_arn))])?.into_iter().map(row).collect()
    }

    /// How often the service throttled a machine in two ranges; `None` where that is not known.
    pub fn throttled(
        &self,
        machine_arn: &str,
        ranges: [(Timestamp, Timestamp); 2],
    ) -> Result<[Option<f64>; 2], StoreError> {
        let times = ranges.iter().flat_map(|it| [time(Some(it.0)), time(Some(it.1))]);
        let params: Vec<_> = std::iter::once(text(Some(machine_arn))).chain(times).collect();
        let row = self.query(THROTTLED, &params)?.into_iter().next().unwrap_or_default();
        let mut it = Take::new(row);
        Ok([it.opt_float(), it.opt_float()])
    }

    pub fn versions(&self, machine_arn: &str) -> Result<Vec<VersionRow>, StoreError> {
        let row = |cells| {
            let mut it = Take::new(cells);
            Ok(VersionRow {
                version_arn: it.opt_text(),
                executions: it.count()?,
                first_at: it.opt_int().map(Timestamp),
                last_at: it.opt_int().map(Timestamp),
                p50: it.opt_int().map(Micros),
                p95: it.opt_int().map(Micros),
                failed: it.count()?,
                transitions: it.count()?,
            })
        };
        self.query(SQL, &[text(Some(machine_arn))])?.into_iter().map(row).collect()
    }
}
