//! How did each version of a machine do?

use analyzer::model::{Micros, Timestamp};

use crate::cell::Take;
use crate::machines::text;
use crate::{Reader, StoreError};

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

impl Reader {
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
