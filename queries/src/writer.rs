//! A thread that appends prepared rows while the next ones are being computed.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use analyzer::model::{MachineTags, MetricPoint};
use duckdb::Connection;
use duckdb::types::{TimeUnit, Value};

use crate::StoreError;
use crate::batch::Batch;
use crate::beside::Replacement;
use crate::rollup::{self, Rollup};
use crate::rows::{Appenders, NameRows};

/// Events of one transaction: full row groups go to the file at once, and only the rest goes through the log.
const TRANSACTION_EVENTS: usize = 4_000_000;
/// Bytes of payloads of one transaction: what it holds of them in memory grows with it.
const TRANSACTION_BYTES: usize = 256 << 20;
/// Batches that wait to be appended.
const WAITING: usize = 1;

/// Rows that belong together: all of them are stored, or none.
#[derive(Default)]
pub(crate) struct Prepared {
    /// Executions whose rows are replaced.
    pub(crate) replaced: Vec<u32>,
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
    pub(crate) fn start(connection: Connection) -> Self {
        let (jobs, waiting) = sync_channel(WAITING);
        let thread = thread::spawn(move || {
            let result = work(&connection, &waiting);
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

fn append(connection: &Connection, appenders: &mut Appenders<'_>, prepared: &mut Prepared) -> Result<(), StoreError> {
    delete(connection, &prepared.replaced)?;
    prepared.names.append_to(appenders)?;
    prepared.batch.append_to(appenders)?;
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

pub(crate) fn delete(connection: &Connection, ids: &[u32]) -> Result<(), StoreError> {
    const TABLES: [(&str, &str); 6] = [
        ("execution", "id"),
        ("history", "execution_id"),
        ("event_detail", "execution_id"),
        ("payload", "execution_id"),
        ("visit", "execution_id"),
        ("child", "execution_id"),
    ];
    for ids in ids.chunks(4_000) {
        let list = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        rollup::remove(connection, &list)?;
        for (table, column) in TABLES {
            connection.execute_batch(&format!("DELETE FROM {table} WHERE {column} IN ({list})"))?;
        }
    }
    Ok(())
}
