//! How did the executions of a range do, in figures that every face shows?

use analyzer::failure_rate::FailureRate;
use analyzer::model::{Micros, Timestamp};
use rustc_hash::FxHashMap;

use crate::cell::Take;
use crate::machines::{text, time};
use crate::{MachineRow, Reader, StoreError};

const FIGURES: &str = include_str!("../sql/figures.sql");
const STATE_FIGURES: &str = include_str!("../sql/state_figures.sql");
const FAILURES_ONLY: &str = include_str!("../sql/failures_only.sql");

/// One row of `figures.sql` or `state_figures.sql`: executions, or visits of a state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub n: u64,
    pub failed: u64,
    pub p50: Option<Micros>,
    pub p95: Option<Micros>,
}

impl Reader {
    /// The figures of a state machine's closed executions that started in a range, or of one state in them.
    pub fn figures(
        &self,
        machine_arn: &str,
        state: Option<&str>,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Figures, StoreError> {
        let mut params = vec![text(Some(machine_arn)), time(Some(from)), time(Some(to))];
        params.extend(state.map(|it| text(Some(it))));
        let sql = if state.is_some() { STATE_FIGURES } else { FIGURES };
        let mut it = Take::new(self.query(sql, &params)?.into_iter().next().unwrap_or_default());
        Ok(Figures {
            n: it.count()?,
            failed: it.count()?,
            p50: it.opt_int().map(Micros),
            p95: it.opt_int().map(Micros),
        })
    }

    /// Corrects the failure rates of state machines of which only failures are logged.
    pub(crate) fn with_failure_rates(
        &self,
        mut rows: Vec<MachineRow>,
        (since, until): (Option<Timestamp>, Option<Timestamp>),
    ) -> Result<Vec<MachineRow>, StoreError> {
        let row = |cells| {
            let mut it = Take::new(cells);
            Ok((it.text()?, (it.opt_count(), it.count()?)))
        };
        let found = self.query(FAILURES_ONLY, &[time(since), time(until)])?.into_iter().map(row);
        let found: FxHashMap<String, (Option<u64>, u64)> = found.collect::<Result<_, StoreError>>()?;
        for it in &mut rows {
            it.failure_rate = match found.get(&it.arn) {
                Some((Some(started), failed)) => FailureRate::Counted { failed: *failed, of: *started },
                Some((None, _)) => FailureRate::Unknown { failed: it.failed },
                None => it.failure_rate,
            };
        }
        Ok(rows)
    }
}
