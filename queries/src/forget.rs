//! Forgets executions: all their rows, payloads first of all.

use analyzer::model::Timestamp;

use crate::cell::Take;
use crate::machines::{text, time};
use crate::{Store, StoreError, reader, writer};

const OLDER: &str = "SELECT id FROM execution WHERE started_at < $1 AND status >= 2";
const BESIDE: [&str; 2] =
    ["DELETE FROM segment WHERE ended_at < $1", "DELETE FROM lambda_report WHERE reported_at < $1"];
const NAMED: &str = "SELECT id FROM execution WHERE arn = $1";

impl Store {
    /// Forgets one execution; says whether it was stored.
    pub fn forget(&self, execution_arn: &str) -> Result<bool, StoreError> {
        self.delete_found(NAMED, &[text(Some(execution_arn))]).map(|it| it > 0)
    }

    /// Forgets the closed executions that started before an instant, and traces and reports from before it; says how many
    /// executions there were.
    pub fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        let before = [time(Some(before))];
        for sql in BESIDE {
            reader::run(&self.connection, sql, &before)?;
        }
        self.delete_found(OLDER, &before)
    }

    fn delete_found(&self, sql: &str, params: &[crate::Cell]) -> Result<u64, StoreError> {
        let mut ids = Vec::new();
        for row in reader::run(&self.connection, sql, params)?.rows {
            ids.push(Take::new(row).count()?);
        }
        self.in_transaction(|| writer::delete(&self.connection, &ids))?;
        self.checkpoint()?;
        Ok(ids.len() as u64)
    }
}
