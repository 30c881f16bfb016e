//! The database, open for reading: directly, or through the process that writes it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use duckdb::{AccessMode, Config, Connection};

use crate::lake::{Access, Lake};
use crate::server::{Request, ask};
use crate::spark::{Spark, SparkOptions};
use crate::store::{is_locked, known_version, not_ours, schema_version};
use crate::{Cell, StoreError, Table};

/// How long to wait for a writer that is just starting or ending.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs statements that only read.
pub struct Reader {
    path: PathBuf,
    source: Source,
    /// What answers the portable statements instead.
    spark: Option<Spark>,
    is_stopped: Arc<AtomicBool>,
}

enum Source {
    Here(Connection),
    Writer,
}

/// Stops what a reader is doing, from another thread.
#[derive(Clone)]
pub struct Interrupter {
    is_stopped: Arc<AtomicBool>,
    statement: Option<Arc<duckdb::InterruptHandle>>,
}

impl Interrupter {
    /// Lets the statement that runs, and every one after it, end with an error. One that a writer already answers for the
    /// reader runs on there.
    pub fn interrupt(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
        if let Some(statement) = &self.statement {
            statement.interrupt();
        }
    }
}

impl Reader {
    pub fn interrupter(&self) -> Interrupter {
        let statement = match &self.source {
            Source::Here(connection) => Some(connection.interrupt_handle()),
            Source::Writer => None,
        };
        Interrupter { is_stopped: Arc::clone(&self.is_stopped), statement }
    }

    /// Opens the database at `path`, or finds the process that has it open for writing.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let lake = Lake::of(path);
        let file = lake.as_ref().map_or(Some(path), |it| it.file());
        if file.is_some_and(|it| !fs::metadata(it).is_ok_and(|it| it.is_file())) {
            return Err(StoreError::Missing(path.to_owned()));
        }
        if let Some(lake) = lake {
            return match lake.attached(Access::Read) {
                Ok(connection) => Self::check(path, connection),
                Err(StoreError::Database(error)) if is_locked(&error) => Err(StoreError::Busy(path.to_owned())),
                Err(error) => Err(error),
            };
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            match open_here(path) {
                Ok(connection) => return Self::check(path, connection),
                Err(error) if is_locked(&error) => {
                    let probe = Request { sql: "SELECT 1".to_owned(), params: Vec::new() };
                    match ask(path, &probe) {
                        Ok(_) => {
                            return Ok(Self::with(path, Source::Writer));
                        }
                        Err(error) if Instant::now() >= deadline => return Err(error),
                        Err(_) => thread::sleep(Duration::from_millis(25)),
                    }
                }
                Err(error) => return Err(not_ours(path, error)),
            }
        }
    }

    fn with(path: &Path, source: Source) -> Self {
        Self { path: path.to_owned(), source, spark: None, is_stopped: Arc::default() }
    }

    fn check(path: &Path, connection: Connection) -> Result<Self, StoreError> {
        match schema_version(&connection)? {
            None => Err(StoreError::Foreign(path.to_owned())),
            Some(found) if found > known_version() => {
                Err(StoreError::Newer { path: path.to_owned(), found, known: known_version() })
            }
            Some(found) if found < known_version() => Err(StoreError::NotAllowed(format!(
                "`{}` has an older schema; any importing command brings it up to date",
                path.display()
            ))),
            Some(_) => Ok(Self::with(path, Source::Here(connection))),
        }
    }

    /// Lets Spark answer the portable statements; the few that look into single executions are still asked here.
    pub fn with_spark(self, options: &SparkOptions) -> Result<Self, StoreError> {
        let Source::Here(connection) = &self.source else { return Err(StoreError::Busy(self.path)) };
        // From here on both engines see the same moment.
        connection.execute_batch("BEGIN")?;
        let spark = Spark::start(options, connection)?;
        Ok(Self { spark: Some(spark), ..self })
    }

    /// Runs one of the statements of `sql/portable`.
    pub(crate) fn portable(&self, sql: &str, params: &[Cell]) -> Result<Vec<Vec<Cell>>, StoreError> {
        match &self.spark {
            Some(spark) => spark.query(sql, params),
            None => self.query(sql, params),
        }
    }

    /// Runs one of our own statements.
    pub(crate) fn query(&self, sql: &str, params: &[Cell]) -> Result<Vec<Vec<Cell>>, StoreError> {
        self.table(sql, params).map(|it| it.rows)
    }

    /// Hands on the rows of one of our own statements, one after the other.
    pub(crate) fn for_each_row<E: From<StoreError>>(
        &self,
        sql: &str,
        params: &[Cell],
        use_row: impl FnMut(Vec<Cell>) -> Result<(), E>,
    ) -> Result<(), E> {
        match &self.source {
            Source::Here(connection) if !self.is_stopped.load(Ordering::Relaxed) => {
                for_each_row(connection, sql, params, use_row).map(|_| ())
            }
            _ => self.query(sql, params)?.into_iter().try_for_each(use_row),
        }
    }

    fn table(&self, sql: &str, params: &[Cell]) -> Result<Table, StoreError> {
        if self.is_stopped.load(Ordering::Relaxed) {
            return Err(StoreError::Interrupted);
        }
        match &self.source {
            Source::Here(connection) => run(connection, sql, params),
            Source::Writer => ask(&self.path, &Request { sql: sql.to_owned(), params: params.to_vec() }),
        }
    }

    /// Runs a statement that the user wrote: one, and one that only reads.
    pub fn console(&self, sql: &str) -> Result<Table, StoreError> {
        let sql = only_reading(sql)?;
        self.table(sql, &[])
    }
}

fn open_here(path: &Path) -> Result<Connection, duckdb::Error> {
    open_with(path, Config::default().with("enable_external_access", "false")?)
}

/// Opens the database for reading; only our own export may write files beside it.
pub(crate) fn open_with(path: &Path, config: Config) -> Result<Connection, duckdb::Error> {
    let config = config
        .access_mode(AccessMode::ReadOnly)?
        .with("autoinstall_known_extensions", "false")?
        .with("autoload_known_extensions", "false")?
        .with("lock_configuration", "true")?;
    let connection = Connection::open_with_flags(path, config)?;
    crate::unpacked::register(&connection)?;
    connection.execute_batch(crate::store::LOCAL)?;
    Ok(connection)
}

/// Runs a statement on a connection of this process.
pub(crate) fn run(connection: &Connection, sql: &str, params: &[Cell]) -> Result<Table, StoreError> {
    let mut rows = Vec::new();
    let columns = for_each_row(connection, sql, params, |row| {
        rows.push(row);
        Ok::<_, StoreError>(())
    })?;
    Ok(Table { columns, rows })
}

/// The same, row by row; returns the names of the columns.
fn for_each_row<E: From<StoreError>>(
    connection: &Connection,
    sql: &str,
    params: &[Cell],
    mut use_row: impl FnMut(Vec<Cell>) -> Result<(), E>,
) -> Result<Vec<String>, E> {
    let mut statement = connection.prepare(sql).map_err(StoreError::from)?;
    let params: Vec<duckdb::types::Value> = params.iter().map(bound).collect();
    let mut rows = statement.query(duckdb::params_from_iter(params)).map_err(StoreError::from)?;
    let columns = rows.as_ref().map(duckdb::Statement::column_names).unwrap_or_default();
    while let Some(row) = rows.next().map_err(StoreError::from)? {
        let cells = (0..columns.len()).map(|index| row.get_ref(index).map(Cell::of)).collect::<Result<_, _>>();
        use_row(cells.map_err(StoreError::from)?)?;
    }
    Ok(columns)
}

fn bound(cell: &Cell) -> duckdb::types::Value {
    use duckdb::types::{TimeUnit, Value};
    match cell {
        Cell::Null => Value::Null,
        Cell::Bool(it) => Value::Boolean(*it),
        Cell::Int(it) => Value::BigInt(*it),
        Cell::Big(it) => Value::UBigInt(*it),
        Cell::Float(it) => Value::Double(*it),
        Cell::Time(it) => Value::Timestamp(TimeUnit::Microsecond, *it),
        Cell::Text(it) => Value::Text(it.clone()),
        Cell::List(items) => Value::List(items.iter().map(bound).collect()),
    }
}

/// Refuses anything but one statement that reads.
fn only_reading(sql: &str) -> Result<&str, StoreError> {
    const READING: [&str; 11] =
        ["SELECT", "WITH", "FROM", "VALUES", "DESCRIBE", "SHOW", "SUMMARIZE", "EXPLAIN", "PIVOT", "UNPIVOT", "TABLE"];
    let (first, end) = outline(sql);
    let refuse = |what: &str| Err(StoreError::NotAllowed(format!("the console only reads: {what}")));
    if !sql[end..].trim().trim_matches(';').trim().is_empty() {
        return refuse("give one statement at a time");
    }
    match first {
        None => refuse("the statement is empty"),
        Some(word) if READING.contains(&word.to_ascii_uppercase().as_str()) || word == "(" => Ok(&sql[..end]),
        Some(word) => {
            refuse(&format!("`{word}` is not among SELECT, WITH, FROM, VALUES, DESCRIBE, SHOW, SUMMARIZE and EXPLAIN"))
        }
    }
}

/// The first word of a statement, and where it ends: at the first `;` outside of texts and comments.
fn outline(sql: &str) -> (Option<&str>, usize) {
    let bytes = sql.as_bytes();
    let mut first = None;
    let mut at = 0;
    while at < bytes.len() {
        let rest = &sql[at..];
        let step = match bytes[at] {
            b'\'' | b'"' => 1 + rest[1..].find(char::from(bytes[at])).map_or(rest.len() - 1, |it| it + 1),
            b'-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |it| it + 2),
            b';' => return (first, at),
            byte if byte.is_ascii_alphabetic() || byte == b'_' => {
                let length = rest.bytes().take_while(|it| it.is_ascii_alphanumeric() || *it == b'_').count();
                first = first.or(Some(&rest[..length]));
                length
            }
            b'(' => {
                first = first.or(Some(&rest[..1]));
                1
            }
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
        at += step;
    }
    (first, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reading_statement_passes_and_its_semicolon_is_dropped() {
        assert_eq!(only_reading("SELECT ';' -- ; no end\n;").ok(), Some("SELECT ';' -- ; no end\n"));
        assert!(only_reading("/* a */ with t AS (SELECT 1) FROM t").is_ok());
    }

    #[test]
    fn writing_and_several_statements_are_refused() {
        for sql in [
            "DELETE FROM event",
            "SELECT 1; DROP TABLE event",
            "ATTACH 'x'",
            "COPY event TO 'x'",
            "",
            "PRAGMA x",
            "INSTALL httpfs",
        ] {
            assert!(only_reading(sql).is_err(), "{sql}");
        }
    }
}
