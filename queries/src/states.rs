//! Where did executions spend their time?

use analyzer::model::{Micros, StateType, Timestamp};
use analyzer::timeline::{Category, Split};

use crate::cell::Take;
use crate::history::id_list;
use crate::machines::{text, time};
use crate::{Cell, Reader, StoreError};

const STATES: &str = include_str!("../sql/portable/states.sql");
const PATHS: &str = include_str!("../sql/portable/machine_paths.sql");

/// One row of `states.sql`, in column order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRow {
    pub machine_arn: String,
    pub state: String,
    pub kind: Option<StateType>,
    pub visits: u64,
    pub failures: u64,
    pub retries: u64,
    pub p50: Option<Micros>,
    pub p95: Option<Micros>,
    pub p99: Option<Micros>,
    pub max: Option<Micros>,
    pub critical: Micros,
    pub split: Split,
    /// Redrives that ran a visit again without entering it again.
    pub reruns: u64,
}

impl StateRow {
    /// Transitions that the state billed.
    pub fn transitions(&self) -> u64 {
        self.visits + self.retries + self.reruns
    }
}

/// One row of `machine_paths.sql`, in column order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRow {
    pub machine_arn: String,
    pub executions: u64,
    pub p50: Option<Micros>,
    pub p95: Option<Micros>,
    pub p99: Option<Micros>,
    pub path: Micros,
    pub complete: u64,
}

/// Which executions a report on states is about.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    pub machine: Option<String>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Only the executions with these ids.
    pub ids: Option<Vec<u64>>,
}

impl Runs {
    /// All executions of a machine.
    pub fn of_machine(arn: &str) -> Self {
        Self { machine: Some(arn.to_owned()), ..Self::default() }
    }

    fn params(&self) -> [Cell; 3] {
        [text(self.machine.as_deref()), time(self.since), time(self.until)]
    }

    /// A statement about the executions that were chosen.
    fn chosen(&self, sql: &str) -> String {
        let condition = match self.ids.as_deref() {
            None => "TRUE".to_owned(),
            Some([]) => "FALSE".to_owned(),
            Some(ids) => format!("e.id IN ({})", id_list(ids)),
        };
        sql.replace("$chosen", &condition)
    }
}

impl Reader {
    pub fn states(&self, runs: &Runs) -> Result<Vec<StateRow>, StoreError> {
        self.portable(&runs.chosen(STATES), &runs.params())?.into_iter().map(state).collect()
    }

    pub fn paths(&self, runs: &Runs) -> Result<Vec<PathRow>, StoreError> {
        self.portable(&runs.chosen(PATHS), &runs.params())?.into_iter().map(path).collect()
    }
}

fn state(cells: Vec<Cell>) -> Result<StateRow, StoreError> {
    let mut it = Take::new(cells);
    Ok(StateRow {
        machine_arn: it.text()?,
        state: it.text()?,
        kind: state_kind(it.count()?),
        visits: it.count()?,
        failures: it.count()?,
        retries: it.count()?,
        p50: it.opt_int().map(Micros),
        p95: it.opt_int().map(Micros),
        p99: it.opt_int().map(Micros),
        max: it.opt_int().map(Micros),
        critical: Micros(it.int()?),
        split: split(&mut it)?,
        reruns: it.count()?,
    })
}

pub(crate) fn state_kind(code: u64) -> Option<StateType> {
    usize::try_from(code).ok().and_then(|it| StateType::ALL.get(it).copied())
}

pub(crate) fn split(it: &mut Take) -> Result<Split, StoreError> {
    let mut split = Split::default();
    for category in [
        Category::Work,
        Category::Callback,
        Category::Queue,
        Category::Backoff,
        Category::Wait,
        Category::SlotWait,
        Category::Overhead,
        Category::RedriveIdle,
    ] {
        split[category] = Micros(it.int()?);
    }
    Ok(split)
}

fn path(cells: Vec<Cell>) -> Result<PathRow, StoreError> {
    let mut it = Take::new(cells);
    Ok(PathRow {
        machine_arn: it.text()?,
        executions: it.count()?,
        p50: it.opt_int().map(Micros),
        p95: it.opt_int().map(Micros),
        p99: it.opt_int().map(Micros),
        path: Micros(it.int()?),
        complete: it.count()?,
    })
}
