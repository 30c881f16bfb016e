//! What is billed, in quantities: sums over executions, and the executions that have to be read event by event.

use analyzer::model::{Timestamp, WorkflowType};

use crate::cell::Take;
use crate::history::id_list;
use crate::machines::{text, time};
use crate::{Cell, Reader, StoreError};

const METERED: &str = include_str!("../sql/portable/metered.sql");
const WHOLE_DAYS: &str = include_str!("../sql/portable/whole_days.sql");
const PATHS: &str = include_str!("../sql/cost_paths.sql");
const PARTS_OF_DAYS: &str = include_str!("../sql/parts_of_days.sql");
const BILLED: &str = include_str!("../sql/billed_executions.sql");
const CROSSING: &str = include_str!("../sql/crossing_executions.sql");
const CHILD_STARTS: &str = include_str!("../sql/child_starts.sql");
const MACHINES: &str = include_str!("../sql/billing_machines.sql");
const MONTHS: &str = include_str!("../sql/months_of_accounts.sql");
const EXPRESS_STARTS: &str = include_str!("../sql/express_starts.sql");

/// From, inclusive, to, exclusive; `None` where a side is open.
pub type Range = (Option<Timestamp>, Option<Timestamp>);

/// One row of `metered.sql`, in column order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metered {
    pub machine_arn: String,
    pub key: Option<String>,
    /// The month of the start, and behind a `#` the place of its price book where there are several.
    pub period: Option<String>,
    pub billed_memory_mb: Option<u64>,
    /// What payloads add to the estimate of memory.
    pub payload_mb: u64,
    pub executions: u64,
    /// Those of them whose duration is known.
    pub timed: u64,
    pub transitions: u64,
    pub requests: u64,
    pub billed_ms: u64,
}

/// One row of `whole_days.sql`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeDay {
    pub machine_arn: String,
    pub day: String,
    pub executions: u64,
    pub transitions: u64,
}

/// One row of `billed_executions.sql`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BilledExecution {
    pub id: u64,
    pub machine_arn: String,
    pub started_at: Option<Timestamp>,
    pub billed_transitions: u64,
}

/// One row of `billing_machines.sql`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillingMachine {
    pub arn: String,
    pub account: String,
    pub region: String,
    pub workflow_type: WorkflowType,
    pub first_at: Option<Timestamp>,
    pub last_at: Option<Timestamp>,
    pub created_at: Option<Timestamp>,
}

/// One row of `express_starts.sql`: an hour of one machine, or an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressStart {
    pub at: Timestamp,
    pub machine_arn: String,
    pub billed_memory_mb: Option<u64>,
    pub payload_mb: u64,
    pub id: Option<u64>,
    pub arn: Option<String>,
    pub billed_ms: u64,
}

impl Reader {
    /// Usage by machine and `key`: machine (no key), day, error, version, account, region or path.
    /// Executions whose start is not known are in it without a range, or where they are asked for.
    pub fn metered(
        &self,
        key: &str,
        range: Range,
        with_unknown: bool,
        book_starts: Option<&str>,
    ) -> Result<Vec<Metered>, StoreError> {
        let params = [time(range.0), time(range.1), text(Some(key)), text(book_starts), Cell::Bool(with_unknown)];
        let rows = if key == "path" { self.query(PATHS, &params) } else { self.portable(METERED, &params) }?;
        let row = |cells| {
            let mut it = Take::new(cells);
            Ok(Metered {
                machine_arn: it.text()?,
                key: it.opt_text(),
                period: it.opt_text(),
                billed_memory_mb: it.opt_count(),
                payload_mb: it.count()?,
                executions: it.count()?,
                timed: it.count()?,
                transitions: it.count()?,
                requests: it.count()?,
                billed_ms: it.count()?,
            })
        };
        rows.into_iter().map(row).collect()
    }

    /// Transitions by day, of executions that lie within one: `by_stop` leaves out what stopped after the range.
    pub fn whole_days(&self, range: Range, by_stop: bool) -> Result<Vec<WholeDay>, StoreError> {
        let params = [time(range.0), time(range.1), time(range.1.filter(|_| by_stop))];
        let row = |cells| {
            let mut it = Take::new(cells);
            Ok(WholeDay { machine_arn: it.text()?, day: it.text()?, executions: it.count()?, transitions: it.count()? })
        };
        self.portable(WHOLE_DAYS, &params)?.into_iter().map(row).collect()
    }

    /// The executions of a range that do not: the range is one of starts, or one of transitions.
    pub fn parts_of_days(&self, range: Range, is_of_starts: bool) -> Result<Vec<u64>, StoreError> {
        self.ids(PARTS_OF_DAYS, &[time(range.0), time(range.1), Cell::Bool(is_of_starts)])
    }

    /// A page of the executions that can have transitions in a span of time, in the order of their starts: of the Standard machines of an
    /// account, or of one machine.
    pub fn billed_executions(
        &self,
        of: Result<&str, &str>,
        (from, to): (Timestamp, Timestamp),
        are_starts_billed: bool,
        (limit, offset): (usize, usize),
    ) -> Result<Vec<BilledExecution>, StoreError> {
        let number = |it: usize| Cell::Int(i64::try_from(it).unwrap_or(i64::MAX));
        let params = [
            text(of.ok()),
            text(of.err()),
            time(Some(from)),
            time(Some(to)),
            Cell::Bool(are_starts_billed),
            number(limit),
            number(offset),
        ];
        let row = |cells| {
            let mut it = Take::new(cells);
            Ok(BilledExecution {
                id: it.count()?,
                machine_arn: it.text()?,
                started_at: it.opt_int().map(Timestamp),
                billed_transitions: it.count()?,
            })
        };
        self.query(BILLED, &params)?.into_iter().map(row).collect()
    }

    /// Executions of a range of starts that were under way when one of these days began.
    pub fn crossing_executions(&self, range: Range, days: &str) -> Result<Vec<u64>, StoreError> {
        self.ids(CROSSING, &[time(range.0), time(range.1), text(Some(days))])
    }

    /// The counts that are stored of executions: all billed transitions, and those that are children of Map Runs.
    pub fn billed_counts(&self, ids: &[u64]) -> Result<Vec<(u64, u64, u64)>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT id, billed_transitions::BIGINT, coalesce(map_children, 0)::BIGINT FROM execution WHERE id IN ({})",
            id_list(ids)
        );
        let row = |cells| {
            let mut it = Take::new(cells);
            Ok((it.count()?, it.count()?, it.count()?))
        };
        self.query(&sql, &[])?.into_iter().map(row).collect()
    }

    /// When the stored children of Map Runs started, in ascending order by run.
    pub fn child_starts(&self, map_runs: &[&str]) -> Result<Vec<(String, Timestamp)>, StoreError> {
        if map_runs.is_empty() {
            return Ok(Vec::new());
        }
        let arns: Vec<String> = map_runs.iter().map(|it| format!("'{}'", it.replace('\'', "''"))).collect();
        let row = |cells| {
            let mut it = Take::new(cells);
            Ok((it.text()?, Timestamp(it.int()?)))
        };
        self.query(&CHILD_STARTS.replace("$arns", &arns.join(",")), &[])?.into_iter().map(row).collect()
    }

    pub fn billing_machines(&self) -> Result<Vec<BillingMachine>, StoreError> {
        let row = |cells| {
            let mut it = Take::new(cells);
            Ok(BillingMachine {
                arn: it.text()?,
                account: it.text()?,
                region: it.text()?,
                workflow_type: if it.count()? == 0 { WorkflowType::Standard } else { WorkflowType::Express },
                first_at: it.opt_int().map(Timestamp),
                last_at: it.opt_int().map(Timestamp),
                created_at: it.opt_int().map(Timestamp),
            })
        };
        self.query(MACHINES, &[])?.into_iter().map(row).collect()
    }

    /// By account, the first and the last instant of what started in a range.
    pub fn months_of_accounts(&self, range: Range) -> Result<Vec<(String, Timestamp, Timestamp)>, StoreError> {
        let row = |cells| {
            let mut it = Take::new(cells);
            Ok((it.text()?, Timestamp(it.int()?), Timestamp(it.int()?)))
        };
        self.query(MONTHS, &[time(range.0), time(range.1)])?.into_iter().map(row).collect()
    }

    /// Billed time by the hour of the start, or by execution, in the order of starts and then of ARNs.
    pub fn express_starts(
        &self,
        (account, region): (&str, &str),
        (from, to): (Timestamp, Timestamp),
        by_execution: bool,
    ) -> Result<Vec<ExpressStart>, StoreError> {
        let params =
            [text(Some(account)), text(Some(region)), time(Some(from)), time(Some(to)), Cell::Bool(by_execution)];
        let row = |cells| {
            let mut it = Take::new(cells);
            Ok(ExpressStart {
                at: Timestamp(it.int()?),
                machine_arn: it.text()?,
                billed_memory_mb: it.opt_count(),
                payload_mb: it.count()?,
                id: it.opt_count(),
                arn: it.opt_text(),
                billed_ms: it.count()?,
            })
        };
        self.query(EXPRESS_STARTS, &params)?.into_iter().map(row).collect()
    }

    fn ids(&self, sql: &str, params: &[Cell]) -> Result<Vec<u64>, StoreError> {
        self.query(sql, params)?.into_iter().map(|row| Take::new(row).count()).collect()
    }
}
