//! Sums and histograms by machine and hour, so that reports need not read every visit.
//!
//! They merge by addition. A transaction adds up what its executions contribute and appends that before it commits; when
//! rows of an execution are replaced or deleted, `rollup_remove.sql` has taken away what they had contributed.

use std::collections::BTreeMap;

use analyzer::execution::Run;
use analyzer::histogram;
use analyzer::model::{Micros, StateType, Timestamp};
use analyzer::timeline::{Category, Split, Visit, VisitStatus};
use duckdb::Connection;
use rustc_hash::FxHashMap;

use crate::cell::Take;
use crate::machines::{machine, text};
use crate::rows::{
    Appenders, RunHistogramLine, RunHistogramRows, RunRollupLine, RunRollupRows, StateHistogramLine,
    StateHistogramRows, StateRollupLine, StateRollupRows,
};
use crate::states::{split, state_kind};
use crate::{Activity, Cell, MachineRow, PathRow, Reader, StateRow, StoreError};

const REMOVE: &str = include_str!("../sql/rollup_remove.sql");
const COMPACT: &str = include_str!("../sql/rollup_compact.sql");
const STATES: &str = include_str!("../sql/portable/rolled_up_states.sql");
const RUNS: &str = include_str!("../sql/portable/rolled_up_runs.sql");
const MACHINES: &str = include_str!("../sql/rolled_up_machines.sql");
const TREND: &str = include_str!("../sql/rolled_up_trend.sql");
const BUCKETS: &str = include_str!("../sql/portable/rolled_up_buckets.sql");

/// Microseconds of an hour.
const HOUR: i64 = 3_600_000_000;
/// Rows of histograms from which on they are added up when the database is opened for writing.
const MANY_ROWS: i64 = 1_000_000;

/// What executions add to the rollups.
#[derive(Default)]
pub(crate) struct Contributions {
    visits: Vec<VisitPart>,
    runs: Vec<RunPart>,
}

type Hour = Option<u32>;

struct VisitPart {
    machine: u32,
    hour: Hour,
    state: u32,
    kind: StateType,
    failed: bool,
    retries: u64,
    reruns: u64,
    duration: Option<Micros>,
    critical: Micros,
    split: Split,
}

struct RunPart {
    machine: u32,
    hour: Hour,
    status: u8,
    is_closed: bool,
    is_complete: bool,
    duration: Option<Micros>,
    transitions: u64,
}

impl Contributions {
    pub(crate) fn add_run(&mut self, machine: u32, run: &Run) {
        let it = &run.execution;
        self.runs.push(RunPart {
            machine,
            hour: hour(it.started_at),
            status: it.status as u8,
            is_closed: it.status.is_closed(),
            is_complete: it.complete,
            duration: it.active(),
            transitions: it.transitions.billed().0,
        });
    }

    pub(crate) fn add_visit(&mut self, machine: u32, run: &Run, visit: &Visit, state: u32, critical: Micros) {
        if !run.execution.status.is_closed() {
            return;
        }
        let mut split = visit.split;
        if visit.exited_at.is_none() {
            // What `rollup_remove.sql` takes away again is the difference of two durations.
            split[Category::RedriveIdle] = Micros::ZERO;
        }
        self.visits.push(VisitPart {
            machine,
            hour: hour(run.execution.started_at),
            state,
            kind: visit.kind,
            failed: matches!(visit.status, VisitStatus::Failed | VisitStatus::Caught | VisitStatus::TimedOut),
            retries: visit.n_retries,
            duration: visit.active(),
            reruns: visit.n_reruns,
            critical: if run.execution.complete { critical } else { Micros::ZERO },
            split,
        });
    }
}

fn hour(at: Option<Timestamp>) -> Hour {
    u32::try_from(at?.0.div_euclid(HOUR)).ok()
}

/// The contributions of a transaction, added up.
#[derive(Default)]
pub(crate) struct Rollup {
    states: FxHashMap<(u32, Hour, u32), StateSums>,
    runs: FxHashMap<(u32, Hour, u8), RunSums>,
    run_buckets: FxHashMap<(u32, Hour, u32), i64>,
}

#[derive(Default)]
struct StateSums {
    kind: u8,
    visits: i64,
    failures: i64,
    retries: i64,
    reruns: i64,
    critical: Micros,
    split: Split,
    buckets: FxHashMap<u32, i64>,
}

#[derive(Default)]
struct RunSums {
    executions: i64,
    complete: i64,
    path: Micros,
    transitions: i64,
}

impl Rollup {
    pub(crate) fn add(&mut self, parts: &mut Contributions) {
        for it in parts.visits.drain(..) {
            let sums = self.states.entry((it.machine, it.hour, it.state)).or_default();
            sums.kind = sums.kind.max(it.kind as u8);
            sums.visits += 1;
            sums.failures += i64::from(it.failed);
            sums.retries += it.retries.cast_signed();
            sums.reruns += it.reruns.cast_signed();
            sums.critical += it.critical;
            sums.split.add(&it.split);
            if let Some(duration) = it.duration {
                *sums.buckets.entry(histogram::bucket(duration)).or_default() += 1;
            }
        }
        for it in parts.runs.drain(..) {
            let sums = self.runs.entry((it.machine, it.hour, it.status)).or_default();
            sums.executions += 1;
            sums.complete += i64::from(it.is_complete);
            sums.transitions += it.transitions.cast_signed();
            if let Some(duration) = it.duration.filter(|_| it.is_closed) {
                if it.is_complete {
                    sums.path += duration;
                }
                *self.run_buckets.entry((it.machine, it.hour, histogram::bucket(duration))).or_default() += 1;
            }
        }
    }

    /// Appends the sums, and starts anew.
    pub(crate) fn append_to(&mut self, appenders: &mut Appenders<'_>) -> Result<(), StoreError> {
        let mut states = StateRollupRows::default();
        let mut buckets = StateHistogramRows::default();
        for ((machine, hour, state), it) in self.states.drain() {
            let part = |category: Category| Some(it.split[category].0);
            states.push(StateRollupLine {
                machine_id: Some(machine),
                hour,
                state_id: Some(state),
                state_type: Some(it.kind),
                visits: Some(it.visits),
                failures: Some(it.failures),
                retries: Some(it.retries),
                critical_us: Some(it.critical.0),
                work_us: part(Category::Work),
                callback_us: part(Category::Callback),
                queue_us: part(Category::Queue),
                backoff_us: part(Category::Backoff),
                wait_us: part(Category::Wait),
                slot_wait_us: part(Category::SlotWait),
                overhead_us: part(Category::Overhead),
                redrive_idle_us: part(Category::RedriveIdle),
                rerun: Some(it.reruns),
            });
            for (bucket, visits) in it.buckets {
                buckets.push(StateHistogramLine {
                    machine_id: Some(machine),
                    hour,
                    state_id: Some(state),
                    bucket: Some(bucket),
                    visits: Some(visits),
                });
            }
        }
        let mut runs = RunRollupRows::default();
        for ((machine, hour, status), it) in self.runs.drain() {
            runs.push(RunRollupLine {
                machine_id: Some(machine),
                hour,
                status: Some(status),
                executions: Some(it.executions),
                complete: Some(it.complete),
                path_us: Some(it.path.0),
                transitions: Some(it.transitions),
            });
        }
        let mut run_buckets = RunHistogramRows::default();
        for ((machine, hour, bucket), executions) in self.run_buckets.drain() {
            run_buckets.push(RunHistogramLine {
                machine_id: Some(machine),
                hour,
                bucket: Some(bucket),
                executions: Some(executions),
            });
        }
        states.append_to(appenders)?;
        buckets.append_to(appenders)?;
        runs.append_to(appenders)?;
        run_buckets.append_to(appenders)
    }
}

/// Takes away what executions had contributed; `ids` is a list for SQL.
pub(crate) fn remove(connection: &Connection, ids: &str) -> Result<(), StoreError> {
    connection.execute_batch(&REMOVE.replace("$ids", ids))?;
    Ok(())
}

/// Adds the rollups up where many transactions have left many rows.
pub(crate) fn compact(connection: &Connection) -> Result<(), StoreError> {
    let rows: i64 = connection.query_row("SELECT count(*) FROM state_histogram", [], |row| row.get(0))?;
    let distinct = "SELECT count(*) FROM (SELECT DISTINCT machine_id, hour, state_id, bucket FROM state_histogram)";
    if rows > MANY_ROWS && connection.query_row(distinct, [], |row| row.get::<_, i64>(0))? * 2 < rows {
        connection.execute_batch(&format!("BEGIN; {COMPACT} COMMIT"))?;
    }
    Ok(())
}

/// The same at once, inside of a transaction.
pub(crate) fn add_up(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch(COMPACT)?;
    Ok(())
}

/// A range of whole hours.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hours {
    since: Hour,
    until: Hour,
}

impl Hours {
    /// The hours of a range; `None` where it does not begin and end with an hour.
    pub fn of(since: Option<Timestamp>, until: Option<Timestamp>) -> Option<Self> {
        let is_whole = |it: Option<Timestamp>| it.is_none_or(|it| it.0.rem_euclid(HOUR) == 0);
        (is_whole(since) && is_whole(until)).then(|| Self { since: hour(since), until: hour(until) })
    }

    /// The whole hours around a range.
    pub fn around(since: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        let up = |it: Timestamp| Timestamp(it.0 + (-it.0).rem_euclid(HOUR));
        Self { since: hour(since), until: hour(until.map(up)) }
    }

    fn params(self, machine: Option<&str>) -> [Cell; 3] {
        let cell = |it: Hour| it.map_or(Cell::Null, |it| Cell::Int(it.into()));
        [text(machine), cell(self.since), cell(self.until)]
    }
}

/// How long the visits of a state took: the middle of each bucket, in ascending order, and visits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateHistogram {
    pub state: String,
    pub buckets: Vec<(Micros, u64)>,
}

/// Buckets in ascending order by machine and state; those of the executions are without a state.
type Buckets = FxHashMap<(String, Option<String>), Vec<(u32, u64)>>;

impl Reader {
    /// The report on machines and their states from the rollups: sums are exact, percentiles within one percent.
    pub fn rolled_up(&self, machine: Option<&str>, hours: Hours) -> Result<(Vec<PathRow>, Vec<StateRow>), StoreError> {
        let buckets = self.buckets(machine, hours)?;
        let params = hours.params(machine);
        let paths =
            self.portable(RUNS, &params)?.into_iter().map(|it| path_row(it, &buckets)).collect::<Result<_, _>>()?;
        let states = self.portable(STATES, &params)?.into_iter().map(|it| state_row(it, &buckets));
        Ok((paths, states.collect::<Result<_, _>>()?))
    }

    /// Every machine, its percentiles from the rollups.
    pub fn rolled_up_machines(&self) -> Result<Vec<MachineRow>, StoreError> {
        let buckets = self.buckets(None, Hours::default())?;
        let row = |cells: Vec<Cell>| {
            let machine = machine(cells)?;
            let own = buckets.get(&(machine.arn.clone(), None)).map_or(&[][..], Vec::as_slice);
            let quantile = |q: f64| histogram::quantile(own, q);
            Ok(MachineRow { p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99), ..machine })
        };
        let rows = self.query(MACHINES, &[])?.into_iter().map(row).collect::<Result<_, StoreError>>()?;
        self.with_failure_rates(rows, (None, None))
    }

    /// What went on on each machine in so many equal spans of the stored hours, and how long a span is. What has not ended is
    /// in no histogram, and so in no count.
    pub fn rolled_up_activity(&self, n_spans: usize) -> Result<(Vec<Activity>, Micros), StoreError> {
        let mut hours: Vec<(String, u64, u32, u64)> = Vec::new();
        for row in self.query(TREND, &[])? {
            let mut it = Take::new(row);
            hours.push((it.text()?, it.count()?, u32::try_from(it.count()?).unwrap_or(u32::MAX), it.count()?));
        }
        let first = hours.iter().map(|it| it.1).min().unwrap_or(0);
        let n_hours = hours.iter().map(|it| it.1 - first + 1).max().unwrap_or(1);
        let mut spans: BTreeMap<(String, usize), BTreeMap<u32, u64>> = BTreeMap::new();
        for (arn, hour, bucket, count) in hours {
            let span = usize::try_from((hour - first) * n_spans as u64 / n_hours).unwrap_or(0).min(n_spans - 1);
            *spans.entry((arn, span)).or_default().entry(bucket).or_default() += count;
        }
        let activity = |((machine_arn, span), buckets): ((String, usize), BTreeMap<u32, u64>)| {
            let started = buckets.values().sum();
            let buckets: Vec<(u32, u64)> = buckets.into_iter().collect();
            Activity { machine_arn, span, started, p95: histogram::quantile(&buckets, 0.95) }
        };
        let length = Micros(HOUR * n_hours.cast_signed() / i64::try_from(n_spans).unwrap_or(1).max(1));
        Ok((spans.into_iter().map(activity).collect(), length))
    }

    /// How long the visits of each state of a machine took.
    pub fn rolled_up_histograms(&self, machine: &str, hours: Hours) -> Result<Vec<StateHistogram>, StoreError> {
        let mut found = Vec::new();
        for ((_, state), buckets) in self.buckets(Some(machine), hours)? {
            let buckets = buckets.into_iter().map(|(bucket, count)| (histogram::middle(bucket), count)).collect();
            found.extend(state.map(|state| StateHistogram { state, buckets }));
        }
        Ok(found)
    }

    fn buckets(&self, machine: Option<&str>, hours: Hours) -> Result<Buckets, StoreError> {
        let mut buckets = Buckets::default();
        for row in self.portable(BUCKETS, &hours.params(machine))? {
            let mut it = Take::new(row);
            let key = (it.text()?, it.opt_text());
            let bucket = u32::try_from(it.count()?).unwrap_or(u32::MAX);
            buckets.entry(key).or_default().push((bucket, it.count()?));
        }
        Ok(buckets)
    }
}

fn path_row(cells: Vec<Cell>, buckets: &Buckets) -> Result<PathRow, StoreError> {
    let mut it = Take::new(cells);
    let machine_arn = it.text()?;
    let own = buckets.get(&(machine_arn.clone(), None)).map_or(&[][..], Vec::as_slice);
    Ok(PathRow {
        executions: it.count()?,
        p50: histogram::quantile(own, 0.5),
        p95: histogram::quantile(own, 0.95),
        p99: histogram::quantile(own, 0.99),
        path: Micros(it.int()?),
        complete: it.opt_count().unwrap_or(0),
        machine_arn,
    })
}

fn state_row(cells: Vec<Cell>, buckets: &Buckets) -> Result<StateRow, StoreError> {
    let mut it = Take::new(cells);
    let (machine_arn, state) = (it.text()?, it.text()?);
    let own = buckets.get(&(machine_arn.clone(), Some(state.clone()))).map_or(&[][..], Vec::as_slice);
    Ok(StateRow {
        kind: state_kind(it.count()?),
        visits: it.count()?,
        failures: it.count()?,
        retries: it.count()?,
        p50: histogram::quantile(own, 0.5),
        p95: histogram::quantile(own, 0.95),
        p99: histogram::quantile(own, 0.99),
        max: histogram::quantile(own, 1.0),
        critical: Micros(it.int()?),
        split: split(&mut it)?,
        reruns: it.count()?,
        machine_arn,
        state,
    })
}
