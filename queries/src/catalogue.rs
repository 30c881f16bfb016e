//! What the writers of one lake agree on: ids, and who collects which slice. It needs a catalogue in PostgreSQL, which is spoken to
//! through DuckDB, so that it is reached as DuckLake reaches it.
//!
//! A collector holds slices as long as its lease runs, which it prolongs by beats. Whoever takes slices of one whose lease has run out
//! fences it first: from then on the catalogue refuses its commits, whatever it still believes.

use std::fs;
use std::thread;
use std::time::Duration;

use duckdb::Connection;

use crate::cell::Take;
use crate::lake::{Lake, instance, quoted};
use crate::{StoreError, reader};

const SETUP: &str = include_str!("../sql/catalogue.sql");
/// Execution ids that a writer gets at once.
const BLOCK: u64 = 65_536;
/// The slice of those who write whatever comes.
pub(crate) const WHATEVER: &str = "whatever comes";
/// Times that a statement is tried again that others were in the way of.
const TRIES: u32 = 60;

/// A connection to the catalogue's server.
pub struct Catalogue {
    connection: Connection,
}

/// What a collector holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub slices: Vec<String>,
    /// How many one collector should hold, and how many collectors there are.
    pub fair: usize,
    pub live: usize,
}

/// What somebody writes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Some slices, beside others who write theirs.
    Shard,
    /// Whatever comes: one at a time.
    Alone,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::Shard => "shard",
            Self::Alone => "alone",
        }
    }
}

/// A collector that is known to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectorId(pub i64);

impl Catalogue {
    /// The catalogue of a lake; `None` where it is a file, which only one process writes.
    pub fn of(lake: &Lake) -> Result<Option<Self>, StoreError> {
        let Some(server) = lake.server() else { return Ok(None) };
        let connection = instance(&["postgres_scanner"])?;
        connection.execute_batch(&format!("ATTACH '{}' AS catalogue (TYPE postgres)", quoted(server)))?;
        Ok(Some(Self { connection }))
    }

    /// Another connection to it, for another thread.
    pub fn another(&self) -> Result<Self, StoreError> {
        Ok(Self { connection: self.connection.try_clone()? })
    }

    /// Adds what is not there yet.
    pub(crate) fn set_up(&self) -> Result<(), StoreError> {
        let there = self.ask("SELECT to_regclass('stepscope_slice') IS NOT NULL AS there")?;
        if there.into_iter().next().is_some_and(|row| Take::new(row).flag()) {
            return Ok(());
        }
        self.connection.execute_batch(&format!("CALL postgres_execute('catalogue', '{}')", quoted(SETUP)))?;
        Ok(())
    }

    /// The rows of a query of PostgreSQL's, again when another session was in the way.
    fn ask(&self, sql: &str) -> Result<Vec<Vec<crate::Cell>>, StoreError> {
        let sql = format!("FROM postgres_query('catalogue', '{}')", quoted(sql));
        let mut tries = 0;
        loop {
            match reader::run(&self.connection, &sql, &[]) {
                Ok(table) => return Ok(table.rows),
                Err(error) if tries < TRIES && is_in_the_way(&error) => {
                    tries += 1;
                    thread::sleep(Duration::from_millis(5 + u64::from(tries * std::process::id() % 40)));
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn number(&self, sql: &str) -> Result<i64, StoreError> {
        let row = self.ask(&format!("SELECT ({sql})::bigint AS it"))?.into_iter().next();
        row.map_or_else(
            || Err(StoreError::Corrupt("the catalogue gave no answer".to_owned())),
            |it| Take::new(it).int(),
        )
    }

    /// The id of a text among those of a kind, `name` or `machine`.
    pub(crate) fn id_of(&self, kind: &str, text: &str) -> Result<u32, StoreError> {
        // In hexadecimal digits, whatever is in it.
        let hex: String = text.bytes().map(|it| format!("{it:02x}")).collect();
        let id = self.number(&format!("stepscope_id_of('{kind}', decode('{hex}', 'hex'))"))?;
        u32::try_from(id).map_err(|_| StoreError::Corrupt(format!("the catalogue has no more ids for a {kind}")))
    }

    /// The first and the last of a block of ids for executions that nobody else gets.
    pub(crate) fn execution_ids(&self) -> Result<(u64, u64), StoreError> {
        let block = self.number("nextval('stepscope_execution_blocks')")?.unsigned_abs();
        Ok((block * BLOCK, block * BLOCK + BLOCK - 1))
    }

    /// Makes a collector known to the others for as long as its lease runs.
    pub(crate) fn join(&self, role: Role, lease: Duration) -> Result<CollectorId, StoreError> {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let (role, host, process) = (literal(role.as_str()), literal(host.trim()), std::process::id());
        self.number(&format!("stepscope_join({role}, {host}, {process}, {})", lease.as_secs_f64())).map(CollectorId)
    }

    /// Prolongs its lease; `false` once others have taken over.
    pub(crate) fn beat(&self, own: CollectorId, lease: Duration) -> Result<bool, StoreError> {
        self.number(&format!("stepscope_beat_of({}, {})::int", own.0, lease.as_secs_f64())).map(|it| it == 1)
    }

    pub(crate) fn is_current(&self, own: CollectorId) -> Result<bool, StoreError> {
        let fenced =
            self.number(&format!("SELECT count(*) FROM stepscope_collector WHERE id = {} AND is_fenced", own.0))?;
        Ok(fenced == 0)
    }

    /// Takes slices that nobody holds, up to a fair share.
    pub fn claim(&self, own: CollectorId, slices: &[String]) -> Result<Held, StoreError> {
        self.take(own, slices, None, u32::MAX >> 1)
    }

    /// Takes no more than so many, of those that were not done since an instant in microseconds.
    pub(crate) fn claim_undone(
        &self,
        own: CollectorId,
        slices: &[String],
        since: i64,
        most: u32,
    ) -> Result<Held, StoreError> {
        self.take(own, slices, Some(since), most)
    }

    fn take(&self, own: CollectorId, slices: &[String], since: Option<i64>, most: u32) -> Result<Held, StoreError> {
        let since =
            since.map_or_else(|| "NULL::timestamptz".to_owned(), |it| format!("to_timestamp({it} / 1000000.0)"));
        let rows = self.ask(&format!("SELECT * FROM stepscope_claim({}, {}, {since}, {most})", own.0, list(slices)))?;
        let mut held = Held::default();
        for row in rows {
            let mut it = Take::new(row);
            held.slices.extend(it.opt_text());
            held.fair = usize::try_from(it.count()?).unwrap_or(usize::MAX);
            held.live = usize::try_from(it.count()?).unwrap_or(usize::MAX);
        }
        Ok(held)
    }

    /// Now, by the clock that leases go by, in microseconds.
    pub fn now(&self) -> Result<i64, StoreError> {
        self.number("extract(epoch FROM clock_timestamp()) * 1000000")
    }

    /// Whether all slices were read to the end since an instant.
    pub fn are_done(&self, slices: &[String], since: i64) -> Result<bool, StoreError> {
        let done = self.number(&format!(
            "SELECT count(*) FROM stepscope_slice WHERE slice = ANY ({}) AND done_at >= to_timestamp({since} / 1000000.0)",
            list(slices)
        ))?;
        Ok(usize::try_from(done) == Ok(slices.len()))
    }

    /// Gives slices back.
    pub fn release(&self, own: CollectorId, slices: &[String], is_done: bool) -> Result<(), StoreError> {
        self.number(&format!("stepscope_release({}, {}, {is_done})", own.0, list(slices))).map(|_| ())
    }

    /// Gives everything back, and is no collector any more.
    pub(crate) fn leave(&self, own: CollectorId) -> Result<(), StoreError> {
        self.number(&format!("stepscope_leave({})::int", own.0)).map(|_| ())
    }

    /// How many collectors there are, and of how many slices how many are held by one of them.
    pub fn holders(&self) -> Result<[u64; 3], StoreError> {
        let count = |sql: &str| self.number(sql).map(i64::unsigned_abs);
        let live = "stepscope_collector c JOIN stepscope_beat b ON b.collector = c.id AND NOT c.is_fenced AND b.expires_at >= clock_timestamp()";
        Ok([
            count(&format!("SELECT count(*) FROM {live}"))?,
            count(&format!("SELECT count(*) FROM stepscope_slice WHERE {}", shared_slices()))?,
            count(&format!(
                "SELECT count(*) FROM stepscope_slice s JOIN {live} ON c.id = s.collector WHERE {}",
                shared_slices()
            ))?,
        ])
    }
}

/// Slices but the one of those who write alone.
fn shared_slices() -> String {
    format!("slice <> {}", literal(WHATEVER))
}

fn is_in_the_way(error: &StoreError) -> bool {
    let text = error.told();
    ["could not serialize", "deadlock detected", "lock timeout", "could not obtain lock"]
        .iter()
        .any(|it| text.contains(it))
}

fn literal(text: &str) -> String {
    format!("'{}'", quoted(text))
}

fn list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|it| literal(it)).collect();
    format!("ARRAY[{}]::text[]", texts.join(", "))
}
