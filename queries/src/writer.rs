//! A thread that appends prepared rows while the next ones are being computed.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use analyzer::model::{MachineTags, MetricPoint};
use duckdb::Connection;
use duckdb::types::{TimeUnit, Value};

use crate::StoreError;
use crate::batch::Batch;
use crate::beside::Replacement;
use crate::catalogue::CollectorId;
use crate::rollup::{self, Rollup};
use crate::rows::{Appenders, Kept, NameRows};

/// Events of one transaction: full row groups go to the file at once, and only the rest goes through the log.
const TRANSACTION_EVENTS: usize = 4_000_000;
/// Bytes of payloads of one transaction: what it holds of them in memory grows with it.
const TRANSACTION_BYTES: usize = 256 << 20;
/// The same for a lake: what a transaction holds is kept, to be written anew when another writer was faster.
const SHARED_EVENTS: usize = 200_000;
/// Batches that wait to be appended.
const WAITING: usize = 1;
/// Times that a transaction of a lake is tried before it is given up.
const TRIES: u32 = 40;
/// What is said when another transaction was faster.
const WAS_FIRST: [&str; 4] =
    ["Transaction conflict", "could not serialize", "maximum retry count", "duplicate key value"];
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Who else commits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Commits {
    /// Nobody.
    Alone,
    /// Whoever else writes the lake. The catalogue refuses the commits of a collector once others have taken over.
    Shared(Option<CollectorId>),
}

/// Rows that belong together: all of them are stored, or none.
#[derive(Default)]
pub(crate) struct Prepared {
    /// Executions whose rows are replaced.
    pub(crate) replaced: Vec<u64>,
    /// As they were when what replaces them was made, by their fingerprints.
    pub(crate) replaced_as: Vec<u64>,
    pub(crate) names: NameRows,
    pub(crate) batch: Batch,
    /// Rows of the tables beside the executions: the table, and its values in column order.
    pub(crate) side: Vec<(&'static str, Vec<Value>)>,
    /// Tags of machines, which replace those told before.
    pub(crate) tags: Vec<MachineTags>,
    /// Data points, which replace those of the same moment.
    pub(crate) metrics: Vec<MetricPoint>,
    /// Rows that take the place of others.
    pub(crate) replacements: Vec<Replacement>,
    pub(crate) n_events: usize,
    /// Bytes of its payloads.
    pub(crate) n_bytes: usize,
}

enum Job {
    Append(Box<Prepared>),
    /// Commits, and says so.
    Commit(SyncSender<()>),
}

/// The writing end of an import.
pub(crate) struct Writer {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<Result<(), StoreError>>>,
}

impl Writer {
    pub(crate) fn start(connection: Connection, commits: Commits) -> Self {
        let (jobs, waiting) = sync_channel(WAITING);
        let thread = thread::spawn(move || {
            let result = match commits {
                Commits::Alone => work(&connection, &waiting),
                Commits::Shared(collector) => work_shared(&connection, collector, &waiting),
            };
            if result.is_err() {
                let _ = connection.execute_batch("ROLLBACK");
            }
            result
        });
        Self { jobs: Some(jobs), thread: Some(thread) }
    }

    pub(crate) fn append(&mut self, prepared: Prepared) -> Result<(), StoreError> {
        self.send(Job::Append(Box::new(prepared)))
    }

    /// Waits until everything sent so far is committed.
    pub(crate) fn commit(&mut self) -> Result<(), StoreError> {
        let (done, is_done) = sync_channel(1);
        self.send(Job::Commit(done))?;
        if is_done.recv().is_err() { self.failure() } else { Ok(()) }
    }

    fn send(&mut self, job: Job) -> Result<(), StoreError> {
        let is_sent = self.jobs.as_ref().is_some_and(|it| it.send(job).is_ok());
        if is_sent { Ok(()) } else { self.failure() }
    }

    /// The reason for which the thread has ended.
    fn failure(&mut self) -> Result<(), StoreError> {
        self.jobs = None;
        let ended = || StoreError::Corrupt("the writing thread has ended".to_owned());
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result.and_then(|()| Err(ended())),
            _ => Err(ended()),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn work(connection: &Connection, jobs: &Receiver<Job>) -> Result<(), StoreError> {
    let mut n_open = None;
    let mut n_bytes = 0;
    let mut appenders = Appenders::new(connection);
    let mut rollup = Rollup::default();
    for job in jobs {
        match job {
            Job::Append(mut prepared) => {
                if n_open.is_none() {
                    connection.execute_batch("BEGIN")?;
                }
                append(connection, &mut appenders, &mut prepared)?;
                rollup.add(&mut prepared.batch.contributions);
                let n_events = n_open.unwrap_or(0) + prepared.n_events;
                n_open = Some(n_events);
                n_bytes += prepared.n_bytes;
                if n_events >= TRANSACTION_EVENTS || n_bytes >= TRANSACTION_BYTES {
                    n_bytes = 0;
                    rollup.append_to(&mut appenders)?;
                    appenders.flush()?;
                    connection.execute_batch("COMMIT")?;
                    n_open = None;
                }
            }
            Job::Commit(done) => {
                if n_open.take().is_some() {
                    rollup.append_to(&mut appenders)?;
                    appenders.flush()?;
                    connection.execute_batch("COMMIT")?;
                }
                let _ = done.send(());
            }
        }
    }
    // Dropping an appender hands on what it holds, and that must still be inside the transaction.
    drop(appenders);
    if n_open.is_some() {
        // Whoever sent the rows gave up before it asked for them to be kept.
        connection.execute_batch("ROLLBACK")?;
    }
    Ok(())
}

/// What is to be written into a lake, in order.
#[derive(Default)]
struct Shared {
    parts: Vec<(Prepared, Vec<Kept>)>,
    rollup: Rollup,
    n_events: usize,
    n_bytes: usize,
}

/// The same for a lake. Transactions are short, since whoever commits first wins: the others write theirs anew.
fn work_shared(
    connection: &Connection,
    collector: Option<CollectorId>,
    jobs: &Receiver<Job>,
) -> Result<(), StoreError> {
    let mut shared = Shared::default();
    for job in jobs {
        match job {
            Job::Append(prepared) => {
                shared.add(connection, *prepared)?;
                if shared.n_events >= SHARED_EVENTS || shared.n_bytes >= TRANSACTION_BYTES {
                    shared.commit(connection, collector)?;
                }
            }
            Job::Commit(done) => {
                shared.commit(connection, collector)?;
                let _ = done.send(());
            }
        }
    }
    Ok(())
}

impl Shared {
    fn add(&mut self, connection: &Connection, mut prepared: Prepared) -> Result<(), StoreError> {
        let mut keeping = Appenders::keeping(connection);
        prepared.names.append_to(&mut keeping)?;
        prepared.batch.append_to(&mut keeping)?;
        self.rollup.add(&mut prepared.batch.contributions);
        self.n_events += prepared.n_events;
        self.n_bytes += prepared.n_bytes;
        self.parts.push((prepared, keeping.take_kept()));
        Ok(())
    }

    fn commit(&mut self, connection: &Connection, collector: Option<CollectorId>) -> Result<(), StoreError> {
        let parts = std::mem::take(&mut self.parts);
        (self.n_events, self.n_bytes) = (0, 0);
        let mut keeping = Appenders::keeping(connection);
        self.rollup.append_to(&mut keeping)?;
        let sums = keeping.take_kept();
        if parts.iter().all(|(prepared, kept)| prepared.is_empty() && kept.is_empty()) {
            return Ok(());
        }
        in_shared_transaction(connection, collector, || {
            let mut appenders = Appenders::new(connection);
            for (prepared, kept) in &parts {
                check_unchanged(connection, &prepared.replaced, &prepared.replaced_as)?;
                delete(connection, &prepared.replaced)?;
                kept.iter().try_for_each(|it| appenders.append_kept(it))?;
                append_beside(connection, prepared)?;
            }
            sums.iter().try_for_each(|it| appenders.append_kept(it))?;
            appenders.flush()
        })
    }
}

/// Runs a transaction of a lake, anew when another writer was faster.
pub(crate) fn in_shared_transaction<T>(
    connection: &Connection,
    collector: Option<CollectorId>,
    mut write: impl FnMut() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    until_first(|| {
        connection.execute_batch("BEGIN")?;
        let written = match collector {
            // The catalogue's trigger reads this.
            Some(CollectorId(id)) => connection.execute_batch(&format!(
                "CALL stepscope.set_commit_message('stepscope', NULL, extra_info => 'stepscope collector {id}')"
            )),
            None => Ok(()),
        };
        let written = written.map_err(StoreError::from).and_then(|()| write());
        let result = written.and_then(|it| connection.execute_batch("COMMIT").map(|()| it).map_err(StoreError::from));
        if result.is_err() {
            // A commit that was refused has ended its transaction.
            let _ = connection.execute_batch("ROLLBACK");
        }
        result
    })
}

/// Tries again what another writer was faster with, after pauses that grow.
pub(crate) fn until_first<T>(mut write: impl FnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let mut pause = Duration::from_millis(20);
    let mut tries = 0;
    loop {
        tries += 1;
        let error = match write() {
            Ok(it) => return Ok(it),
            Err(error) => error,
        };
        let told = error.told();
        if told.contains("this collector was fenced") {
            return Err(StoreError::Fenced);
        }
        if tries >= TRIES || !WAS_FIRST.iter().any(|it| told.contains(it)) {
            return Err(error);
        }
        thread::sleep(pause.mul_f64(spread(tries)));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Lets writers that met not meet again.
fn spread(tries: u32) -> f64 {
    let mixed = (std::process::id() ^ tries.wrapping_mul(0x9E37_79B9)).wrapping_mul(0x85EB_CA6B) >> 16;
    0.5 + f64::from(mixed % 1_000) / 1_000.0
}

fn append(connection: &Connection, appenders: &mut Appenders<'_>, prepared: &mut Prepared) -> Result<(), StoreError> {
    delete(connection, &prepared.replaced)?;
    prepared.names.append_to(appenders)?;
    prepared.batch.append_to(appenders)?;
    append_beside(connection, prepared)
}

/// Writes what is no execution.
fn append_beside(connection: &Connection, prepared: &Prepared) -> Result<(), StoreError> {
    for it in &prepared.tags {
        connection.execute("DELETE FROM machine_tag WHERE machine_arn = ?", [it.machine_arn.as_str()])?;
        for (key, value) in &it.tags {
            let row = [it.machine_arn.as_str(), key, value];
            connection.execute("INSERT INTO machine_tag VALUES (?, ?, ?)", row)?;
        }
    }
    for it in &prepared.metrics {
        let at = Value::Timestamp(TimeUnit::Microsecond, it.at.0);
        let (arn, name) = (it.machine_arn.as_str(), it.name.as_str());
        connection
            .prepare_cached("DELETE FROM metric WHERE machine_arn = ? AND name = ? AND measured_at = ?")?
            .execute(duckdb::params![arn, name, at])?;
        connection
            .prepare_cached(
                "INSERT INTO metric (machine_arn, name, measured_at, period_s, value, unit) VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute(duckdb::params![arn, name, at, it.period_s, it.value, it.unit.as_deref()])?;
    }
    for it in &prepared.replacements {
        replace(connection, it)?;
    }
    for (table, values) in &prepared.side {
        insert(connection, table, values)?;
    }
    Ok(())
}

fn replace(connection: &Connection, it: &Replacement) -> Result<(), StoreError> {
    let condition = it.keys.iter().map(|(key, _)| format!("{key} = ?")).collect::<Vec<_>>().join(" AND ");
    connection
        .prepare_cached(&format!("DELETE FROM {} WHERE {condition}", it.table))?
        .execute(duckdb::params_from_iter(it.keys.iter().map(|(_, value)| value)))?;
    for row in &it.rows {
        insert(connection, it.table, row)?;
    }
    Ok(())
}

fn insert(connection: &Connection, table: &str, values: &[Value]) -> Result<(), StoreError> {
    let marks = vec!["?"; values.len()].join(", ");
    connection
        .prepare_cached(&format!("INSERT INTO {table} VALUES ({marks})"))?
        .execute(duckdb::params_from_iter(values))?;
    Ok(())
}

/// Refuses to replace executions that another writer has changed since they were read.
pub(crate) fn check_unchanged(connection: &Connection, ids: &[u64], fingerprints: &[u64]) -> Result<(), StoreError> {
    for (ids, fingerprints) in ids.chunks(1_000).zip(fingerprints.chunks(1_000)) {
        let pairs = ids.iter().zip(fingerprints).map(|(id, it)| format!("({id}, {it})")).collect::<Vec<_>>().join(", ");
        let unchanged: u64 = connection.query_row(
            &format!("SELECT count(*) FROM execution WHERE (id, fingerprint) IN ({pairs})"),
            [],
            |row| row.get(0),
        )?;
        if unchanged != ids.len() as u64 {
            return Err(StoreError::Stale);
        }
    }
    Ok(())
}

impl Prepared {
    /// Whether it holds nothing but rows for appenders.
    fn is_empty(&self) -> bool {
        self.replaced.is_empty()
            && self.side.is_empty()
            && self.tags.is_empty()
            && self.metrics.is_empty()
            && self.replacements.is_empty()
    }
}

/// The tables that have rows of an execution, and the column of its id.
pub(crate) const EXECUTION_TABLES: [(&str, &str); 6] = [
    ("execution", "id"),
    ("history", "execution_id"),
    ("event_detail", "execution_id"),
    ("payload", "execution_id"),
    ("visit", "execution_id"),
    ("child", "execution_id"),
];

pub(crate) fn delete(connection: &Connection, ids: &[u64]) -> Result<(), StoreError> {
    for ids in ids.chunks(4_000) {
        let list = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        rollup::remove(connection, &list)?;
        for (table, column) in EXECUTION_TABLES {
            connection.execute_batch(&format!("DELETE FROM {table} WHERE {column} IN ({list})"))?;
        }
    }
    Ok(())
}
