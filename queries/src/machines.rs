//! How is each machine doing, and what did it use?

use analyzer::failure_rate::FailureRate;
use analyzer::model::{Micros, Timestamp, WorkflowType};

use crate::cell::Take;
use crate::{Cell, Reader, StoreError};

const MACHINES: &str = include_str!("../sql/portable/machines.sql");
const STATES: &str = include_str!("../sql/portable/state_transitions.sql");
const ACTIVITY: &str = include_str!("../sql/activity.sql");
const STARTED_SINCE: &str = include_str!("../sql/started_since.sql");
const DEFINITIONS: &str = include_str!("../sql/definitions.sql");
const DEFINITION_SIZES: &str = include_str!("../sql/definition_sizes.sql");
const SERIES: &str = include_str!("../sql/portable/duration_series.sql");
const WITHOUT_START: &str = include_str!("../sql/without_start.sql");
const STATE_SERIES: &str = include_str!("../sql/state_series.sql");

/// One row of `machines.sql`, in column order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineRow {
    pub arn: String,
    pub name: String,
    pub region: String,
    pub account: String,
    pub workflow_type: WorkflowType,
    pub executions: u64,
    pub running: u64,
    pub failed: u64,
    pub p50: Option<Micros>,
    pub p95: Option<Micros>,
    pub p99: Option<Micros>,
    pub first_at: Option<Timestamp>,
    pub last_at: Option<Timestamp>,
    pub transitions: u64,
    pub complete: u64,
    pub closed: u64,
    pub failure_rate: FailureRate,
}

/// One row of `state_transitions.sql`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateTransitions {
    pub machine_arn: String,
    pub state: String,
    /// The month of the start of the executions, and behind a `#` the place of its price book where there are several.
    pub period: Option<String>,
    pub transitions: u64,
    pub retries: u64,
    /// Time on critical paths: the key by which an Express machine's cost is shared.
    pub critical: Micros,
}

/// One row of `activity.sql`: one span of time of one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    pub machine_arn: String,
    pub span: usize,
    /// Executions that started in it.
    pub started: u64,
    /// `None` where none of them has ended.
    pub p95: Option<Micros>,
}

/// One row of `duration_series.sql`: the executions that started in one span of time.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanRow {
    pub from: Timestamp,
    pub executions: u64,
    pub p50: Micros,
    pub p95: Micros,
    pub failed: u64,
}

fn span_row(it: &mut Take) -> Result<SpanRow, StoreError> {
    Ok(SpanRow {
        from: Timestamp(it.int()?),
        executions: it.count()?,
        p50: Micros(it.int()?),
        p95: Micros(it.int()?),
        failed: it.count()?,
    })
}

impl Reader {
    /// How a machine's executions did over time, in spans of so many seconds, one of which begins at `begin`.
    pub fn duration_series(
        &self,
        machine_arn: &str,
        span_s: i64,
        (since, until): (Option<Timestamp>, Option<Timestamp>),
        begin: Timestamp,
    ) -> Result<Vec<SpanRow>, StoreError> {
        let params = [text(Some(machine_arn)), Cell::Int(span_s), time(since), time(until), time(Some(begin))];
        self.portable(SERIES, &params)?.into_iter().map(|cells| span_row(&mut Take::new(cells))).collect()
    }

    /// The same of its states, in the order of their names; what is counted are visits.
    pub fn state_series(
        &self,
        machine_arn: &str,
        span_s: i64,
        (since, until): (Option<Timestamp>, Option<Timestamp>),
        begin: Timestamp,
    ) -> Result<Vec<(String, Vec<SpanRow>)>, StoreError> {
        let params = [text(Some(machine_arn)), Cell::Int(span_s), time(since), time(until), time(Some(begin))];
        let mut states: Vec<(String, Vec<SpanRow>)> = Vec::new();
        for cells in self.query(STATE_SERIES, &params)? {
            let mut it = Take::new(cells);
            let state = it.text()?;
            if states.last().is_none_or(|last| last.0 != state) {
                states.push((state, Vec::new()));
            }
            let row = span_row(&mut it)?;
            if let Some((_, rows)) = states.last_mut() {
                rows.push(row);
            }
        }
        Ok(states)
    }

    /// The texts of a machine's definitions, the newest first.
    pub fn definitions(&self, machine_arn: &str) -> Result<Vec<String>, StoreError> {
        self.query(DEFINITIONS, &[text(Some(machine_arn))])?.into_iter().map(|row| Take::new(row).text()).collect()
    }

    /// The bytes of each machine's newest definition, by ARN.
    pub fn definition_sizes(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let rows = self.query(DEFINITION_SIZES, &[])?;
        rows.into_iter().map(Take::new).map(|mut it| Ok((it.text()?, it.count()?))).collect()
    }

    pub fn state_transitions(
        &self,
        machine: Option<&str>,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        book_starts: Option<&str>,
    ) -> Result<Vec<StateTransitions>, StoreError> {
        let rows = self.portable(STATES, &[text(machine), time(since), time(until), text(book_starts)])?;
        rows.into_iter()
            .map(|row| {
                let mut it = Take::new(row);
                Ok(StateTransitions {
                    machine_arn: it.text()?,
                    state: it.text()?,
                    period: it.opt_text(),
                    transitions: it.count()?,
                    retries: it.count()?,
                    critical: Micros(it.int()?),
                })
            })
            .collect()
    }

    /// The mean of a metric by machine ARN.
    pub fn metric_means(&self, name: &str) -> Result<Vec<(String, f64)>, StoreError> {
        let sql = "SELECT machine_arn, avg(value) FROM metric WHERE name = $1 GROUP BY machine_arn ORDER BY ALL";
        let rows = self.query(sql, &[text(Some(name))])?.into_iter();
        rows.map(|row| {
            let mut it = Take::new(row);
            let arn = it.text()?;
            match it.next() {
                Cell::Float(mean) => Ok((arn, mean)),
                _ => Err(StoreError::Corrupt("a mean is missing".to_owned())),
            }
        })
        .collect()
    }

    /// Every tag: machine ARN, key, value.
    pub fn tags(&self) -> Result<Vec<[String; 3]>, StoreError> {
        let rows = self.query("SELECT machine_arn, key, value FROM machine_tag ORDER BY ALL", &[])?.into_iter();
        rows.map(|row| {
            let mut it = Take::new(row);
            Ok([it.text()?, it.text()?, it.text()?])
        })
        .collect()
    }

    /// The value of one tag by machine ARN.
    pub fn tag_values(&self, key: &str) -> Result<Vec<(String, String)>, StoreError> {
        let rows =
            self.query("SELECT machine_arn, value FROM machine_tag WHERE key = $1 ORDER BY ALL", &[text(Some(key))])?;
        rows.into_iter()
            .map(|row| {
                let mut it = Take::new(row);
                Ok((it.text()?, it.text()?))
            })
            .collect()
    }

    pub fn machines(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> Result<Vec<MachineRow>, StoreError> {
        let rows = self.portable(MACHINES, &[time(since), time(until)])?.into_iter().map(machine);
        self.with_failure_rates(rows.collect::<Result<_, _>>()?, (since, until))
    }

    /// What went on on each machine between two instants, in so many equal spans.
    pub fn activity(&self, from: Timestamp, until: Timestamp, n_spans: usize) -> Result<Vec<Activity>, StoreError> {
        let n_spans = Cell::Int(i64::try_from(n_spans).unwrap_or(i64::MAX));
        let row = |cells| {
            let mut it = Take::new(cells);
            Ok(Activity {
                machine_arn: it.text()?,
                span: usize::try_from(it.count()?).unwrap_or(0),
                started: it.count()?,
                p95: it.opt_int().map(Micros),
            })
        };
        self.query(ACTIVITY, &[time(Some(from)), time(Some(until)), n_spans])?.into_iter().map(row).collect()
    }

    /// How many executions of each machine started since an instant.
    pub fn started_since(&self, since: Timestamp) -> Result<Vec<(String, u64)>, StoreError> {
        let row = |cells| {
            let mut it = Take::new(cells);
            Ok((it.text()?, it.count()?))
        };
        self.query(STARTED_SINCE, &[time(Some(since))])?.into_iter().map(row).collect()
    }

    /// When the oldest and the newest execution of all started.
    pub fn first_and_last_start(&self) -> Result<(Option<Timestamp>, Option<Timestamp>), StoreError> {
        let mut rows = self.query("SELECT min(started_at), max(started_at) FROM execution", &[])?.into_iter();
        let mut row = Take::new(rows.next().unwrap_or_default());
        Ok((row.opt_int().map(Timestamp), row.opt_int().map(Timestamp)))
    }

    /// How many executions have no known start, and are left out of statistics by time.
    pub fn without_start(&self, machine: Option<&str>) -> Result<u64, StoreError> {
        let rows = self.query(WITHOUT_START, &[text(machine)])?;
        rows.into_iter().next().map_or(Ok(0), |row| Take::new(row).count())
    }
}

pub(crate) fn time(at: Option<Timestamp>) -> Cell {
    at.map_or(Cell::Null, |it| Cell::Time(it.0))
}

pub(crate) fn text(it: Option<&str>) -> Cell {
    it.map_or(Cell::Null, |it| Cell::Text(it.to_owned()))
}

pub(crate) fn machine(cells: Vec<Cell>) -> Result<MachineRow, StoreError> {
    let mut it = Take::new(cells);
    let mut row = MachineRow {
        arn: it.text()?,
        name: it.text()?,
        region: it.text()?,
        account: it.text()?,
        workflow_type: if it.count()? == 0 { WorkflowType::Standard } else { WorkflowType::Express },
        executions: it.count()?,
        running: it.count()?,
        failed: it.count()?,
        p50: it.opt_int().map(Micros),
        p95: it.opt_int().map(Micros),
        p99: it.opt_int().map(Micros),
        first_at: it.opt_int().map(Timestamp),
        last_at: it.opt_int().map(Timestamp),
        transitions: it.count()?,
        complete: it.count()?,
        closed: it.count()?,
        failure_rate: FailureRate::default(),
    };
    row.failure_rate = FailureRate::Stored { failed: row.failed, of: row.closed };
    Ok(row)
}
