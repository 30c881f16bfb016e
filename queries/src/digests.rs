//! What is kept of the executions of a machine to compare them?

use analyzer::digest::Digest;
use analyzer::model::{Micros, Name, PayloadField, Status, Timestamp, WorkflowType};
use rustc_hash::FxHashMap;

use crate::cell::Take;
use crate::executions::{ExecutionFilter, status};
use crate::history::id_list;
use crate::machines::{text, time};
use crate::packed_sums::unpack;
use crate::{Cell, Reader, StoreError};

const SQL: &str = include_str!("../sql/digests.sql");
const PAYLOADS: &str = include_str!("../sql/payloads_of_executions.sql");

/// One row of `digests.sql`.
#[derive(Clone, Debug)]
pub struct DigestRow {
    pub id: u64,
    pub workflow_type: WorkflowType,
    /// `None` of an execution that is open or not known in full.
    pub digest: Option<Digest>,
    /// How long it took and whether it failed, of one that has closed.
    pub outcome: Option<(Micros, bool)>,
    /// Whether a trace or a Lambda report may know more of it.
    pub may_be_traced: bool,
}

impl Reader {
    /// Hands on the digests of a machine's executions, the newest first; of the filter machine, range, version and limit count.
    pub fn for_each_digest<E: From<StoreError>>(
        &self,
        filter: &ExecutionFilter,
        mut use_row: impl FnMut(DigestRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let limit = filter.limit.and_then(|it| i64::try_from(it).ok()).unwrap_or(i64::MAX);
        let params = [
            text(filter.machine_arn.as_deref()),
            time(filter.since),
            time(filter.until),
            text(filter.version.as_deref()),
            Cell::Int(limit),
        ];
        let names = self.names()?;
        self.for_each_row(SQL, &params, |cells| use_row(row(cells, &names)?))
    }

    /// The id of the execution with this ARN: found by its hash, without a look at the ARNs of the others.
    pub fn execution_id(&self, arn: &str) -> Result<Option<u64>, StoreError> {
        let hash = analyzer::assembly::hash_of(arn);
        let rows = self.query(
            "SELECT id FROM execution WHERE arn_hash = $1 AND arn = $2",
            &[Cell::Big(hash), Cell::Text(arn.to_owned())],
        )?;
        Ok(rows.into_iter().next().and_then(|row| Take::new(row).opt_count()))
    }

    /// The texts that stand behind ids.
    fn names(&self) -> Result<FxHashMap<u64, Name>, StoreError> {
        let row = |cells| {
            let mut it = Take::new(cells);
            Ok((it.count()?, it.text()?.into()))
        };
        self.query("SELECT id, text FROM name", &[])?.into_iter().map(row).collect()
    }

    /// The causes of errors of these executions that are kept, by execution and event.
    pub fn causes(&self, ids: &[u64]) -> Result<FxHashMap<(u64, u64), String>, StoreError> {
        let row = |cells| {
            let mut it = Take::new(cells);
            let key = (it.count()?, it.count()?);
            it.next();
            Ok((key, it.text()?))
        };
        let sql = PAYLOADS.replace("$ids", &id_list(ids)).replace("$fields", &(PayloadField::Cause as u8).to_string());
        self.query(&sql, &[])?.into_iter().map(row).collect()
    }
}

fn row(cells: Vec<Cell>, names: &FxHashMap<u64, Name>) -> Result<DigestRow, StoreError> {
    let mut it = Take::new(cells);
    let id = it.count()?;
    let arn = Name::from(it.text()?);
    let workflow_type = if it.count()? == 0 { WorkflowType::Standard } else { WorkflowType::Express };
    let status = status(it.count()?)?;
    let (started_at, duration) = (it.opt_int().map(Timestamp), it.opt_int().map(Micros));
    let (error, version_arn) = (it.opt_text().map(Name::from), it.opt_text().map(Name::from));
    let transitions = it.count()?;
    let outcome = duration.filter(|_| status.is_closed()).map(|it| (it, status != Status::Succeeded));
    let digest = match (it.opt_bytes(), started_at, duration) {
        (Some(packed), Some(started_at), Some(duration)) => {
            let sums = unpack(&packed, started_at, |id| names.get(&id))?;
            Some(Digest { arn, status, started_at, duration, error, version_arn, transitions, sums })
        }
        _ => None,
    };
    Ok(DigestRow { id, workflow_type, digest, outcome, may_be_traced: it.flag() })
}
