//! Which executions are there?

use analyzer::model::{Micros, Name, Status, Timestamp, WorkflowType};

use serde_json::Value;

use crate::cell::Take;
use crate::history::id_list;
use crate::machines::{text, time};
use crate::{Cell, Reader, StoreError};

const SQL: &str = include_str!("../sql/executions.sql");
const CURRENT: &str = include_str!("../sql/current_states.sql");

/// One row of `executions.sql`, in column order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionRow {
    pub id: u64,
    pub arn: String,
    pub machine_arn: String,
    pub machine: String,
    pub name: String,
    pub workflow_type: WorkflowType,
    pub status: Status,
    pub started_at: Option<Timestamp>,
    pub stopped_at: Option<Timestamp>,
    pub duration: Option<Micros>,
    /// Without the time in which the closed execution waited to be redriven.
    pub active: Option<Micros>,
    /// Milliseconds that it would be billed for as Express.
    pub express_ms: Option<u64>,
    /// One, and one more for each redrive that is known.
    pub runs: u64,
    pub n_events: u64,
    pub complete: bool,
    /// Objects as `analyzer::gaps` makes them.
    pub gaps: Vec<Value>,
    pub billed_transitions: u64,
    pub entered: u64,
    pub retries: u64,
    pub redrives: u64,
    pub rerun: u64,
    pub map_children: Option<u64>,
    pub error: Option<String>,
    pub version_arn: Option<String>,
    pub map_run_arn: Option<String>,
    pub parent_arn: Option<String>,
    pub billed_ms: Option<u64>,
    pub billed_memory_mb: Option<u64>,
    pub region: String,
}

impl ExecutionRow {
    /// Whether the service cut off any of its payloads.
    pub fn has_truncated_payload(&self) -> bool {
        self.gaps.iter().any(|it| it.get("kind").and_then(Value::as_str) == Some("truncated_payload"))
    }
}

/// Which executions are wanted.
#[derive(Clone, Debug, Default)]
pub struct ExecutionFilter {
    pub machine_arn: Option<Name>,
    pub status: Option<Status>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub limit: Option<u64>,
    /// An ARN, a name, or a part of an ARN.
    pub matching: Option<String>,
    /// An error that it ended with, or that an attempt or a caught state failed with.
    pub error: Option<String>,
    /// A version's or alias's ARN, or what stands behind the machine's ARN.
    pub version: Option<String>,
    /// A text in the ARN, in such an error or in a kept payload.
    pub search: Option<String>,
    /// The outermost states in the order in which they were entered first, with ` → ` between them.
    pub path: Option<String>,
    /// A business key that was kept of the input: its JSON path and its value.
    pub key: Option<(String, String)>,
    /// The Map Run that it is a child of.
    pub map_run: Option<String>,
    pub is_oldest_first: bool,
    /// With a limit: executions from all over the range instead of the newest, always the same ones.
    pub is_spread: bool,
}

impl Reader {
    pub fn executions(&self, filter: &ExecutionFilter) -> Result<Vec<ExecutionRow>, StoreError> {
        let params = [
            text(filter.machine_arn.as_deref()),
            filter.status.map_or(Cell::Null, |it| Cell::Int(it as i64)),
            time(filter.since),
            time(filter.until),
            filter.limit.map_or(Cell::Int(i64::MAX), |it| Cell::Int(i64::try_from(it).unwrap_or(i64::MAX))),
            text(filter.matching.as_deref()),
            text(filter.error.as_deref()),
            text(filter.version.as_deref()),
            text(filter.search.as_deref()),
            text(filter.path.as_deref()),
            text(filter.key.as_ref().map(|it| it.0.as_str())),
            text(filter.key.as_ref().map(|it| it.1.as_str())),
            text(filter.map_run.as_deref()),
            Cell::Bool(filter.is_oldest_first),
            Cell::Bool(filter.is_spread),
        ];
        self.query(SQL, &params)?.into_iter().map(row).collect()
    }

    /// The states that running executions are in, and in how many visits: by execution.
    pub fn current_states(&self, ids: &[u64]) -> Result<Vec<(u64, String, u64)>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let row = |cells| {
            let mut it = Take::new(cells);
            Ok((it.count()?, it.text()?, it.count()?))
        };
        self.query(&CURRENT.replace("$ids", &id_list(ids)), &[])?.into_iter().map(row).collect()
    }
}

fn row(cells: Vec<Cell>) -> Result<ExecutionRow, StoreError> {
    let mut it = Take::new(cells);
    Ok(ExecutionRow {
        id: it.count()?,
        arn: it.text()?,
        machine_arn: it.text()?,
        machine: it.text()?,
        name: it.text()?,
        workflow_type: if it.count()? == 0 { WorkflowType::Standard } else { WorkflowType::Express },
        status: status(it.count()?)?,
        started_at: it.opt_int().map(Timestamp),
        stopped_at: it.opt_int().map(Timestamp),
        duration: it.opt_int().map(Micros),
        active: it.opt_int().map(Micros),
        express_ms: it.opt_count(),
        runs: it.count()?,
        n_events: it.count()?,
        complete: it.flag(),
        gaps: it.opt_text().and_then(|it| serde_json::from_str(&it).ok()).unwrap_or_default(),
        billed_transitions: it.count()?,
        entered: it.count()?,
        retries: it.count()?,
        redrives: it.count()?,
        rerun: it.count()?,
        map_children: it.opt_count(),
        error: it.opt_text(),
        version_arn: it.opt_text(),
        map_run_arn: it.opt_text(),
        parent_arn: it.opt_text(),
        billed_ms: it.opt_count(),
        billed_memory_mb: it.opt_count(),
        region: it.text()?,
    })
}

pub(crate) fn status(code: u64) -> Result<Status, StoreError> {
    usize::try_from(code)
        .ok()
        .and_then(|it| Status::ALL.get(it).copied())
        .ok_or_else(|| StoreError::Corrupt(format!("status {code}")))
}
