//! The database, open for reading: directly, or through the process that writes it.

use std::cell::OnceCell;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use duckdb::{AccessMode, Config, Connection};

use crate::console::{Asker, Checker};
use crate::error::is_locked;
use crate::lake::{Access, Lake};
use crate::remote::{Calls, Request, ask};
use crate::run::{self, Answer, Limit, Limits, Sink, bound};
use crate::spark::{Spark, SparkOptions};
use crate::spill::Spill;
use crate::store::{known_version, schema_version};
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
    calls: Arc<Calls>,
    /// Made when the console is first asked.
    checker: OnceCell<Checker>,
    /// Goes after the connection.
    _spill: Option<Spill>,
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
    calls: Arc<Calls>,
}

impl Interrupter {
    /// Lets the statement that runs, and every one after it, end with an error, also in a writer that answers for the reader.
    pub fn interrupt(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
        if let Some(statement) = &self.statement {
            statement.interrupt();
        }
        self.calls.give_up();
    }
}

impl Reader {
    pub fn interrupter(&self) -> Interrupter {
        let statement = match &self.source {
            Source::Here(connection) => Some(connection.interrupt_handle()),
            Source::Writer => None,
        };
        Interrupter { is_stopped: Arc::clone(&self.is_stopped), statement, calls: Arc::clone(&self.calls) }
    }

    /// Opens the database at `path`, or finds the process that has it open for writing.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let lake = Lake::of(path);
        let file = lake.as_ref().map_or(Some(path), |it| it.file());
        if file.is_some_and(|it| !it.exists()) {
            return Err(StoreError::Missing(path.to_owned()));
        }
        if let Some(lake) = lake {
            return match lake.attached(Access::Read) {
                Ok(connection) => Self::check(path, connection, None),
                Err(StoreError::Database(error)) if is_locked(&error) => Err(StoreError::Busy(path.to_owned())),
                Err(error) => Err(error),
            };
        }
        crate::probe::check(path)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let spill = Spill::beside(path);
            match open_here(path, &spill) {
                Ok(connection) => {
                    return Self::check(path, connection, Some(spill)).map_err(|error| error.at(path));
                }
                Err(locked) if is_locked(&locked) => {
                    let reader = Self::with(path, Source::Writer, None);
                    match reader.query("SELECT 1", &[]) {
                        Ok(_) => return Ok(reader),
                        Err(error) if Instant::now() >= deadline => return Err(error.held(path, &locked)),
                        Err(_) => thread::sleep(Duration::from_millis(25)),
                    }
                }
                Err(error) => return Err(StoreError::opening(path, error)),
            }
        }
    }

    fn with(path: &Path, source: Source, spill: Option<Spill>) -> Self {
        Self {
            path: path.to_owned(),
            source,
            spark: None,
            is_stopped: Arc::default(),
            calls: Arc::default(),
            checker: OnceCell::new(),
            _spill: spill,
        }
    }

    fn check(path: &Path, connection: Connection, spill: Option<Spill>) -> Result<Self, StoreError> {
        match schema_version(&connection)? {
            None => Err(StoreError::Foreign(path.to_owned())),
            Some(found) if found > known_version() => {
                Err(StoreError::Newer { path: path.to_owned(), found, known: known_version() })
            }
            Some(found) if found < known_version() => Err(StoreError::NotAllowed(format!(
                "`{}` has an older schema; any importing command brings it up to date",
                path.display()
            ))),
            Some(_) => Ok(Self::with(path, Source::Here(connection), spill)),
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
        let mut rows = Vec::new();
        self.for_each_row(sql, params, |row| {
            rows.push(row);
            Ok::<_, StoreError>(())
        })?;
        Ok(rows)
    }

    /// Hands on the rows of one of our own statements, one after the other.
    pub(crate) fn for_each_row<E: From<StoreError>>(
        &self,
        sql: &str,
        params: &[Cell],
        use_row: impl FnMut(Vec<Cell>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.until_stopped(|| match &self.source {
            Source::Here(connection) => for_each_row(connection, sql, params, use_row).map(|_| ()),
            Source::Writer => {
                let mut sink = EachRow(use_row);
                ask(&self.path, &self.calls, &Request::own(sql, params), &mut sink).map(|_| ())
            }
        })
    }

    /// Runs a statement that the user wrote: one, and one that only reads our views. The process that writes checks for itself.
    pub fn console(&self, sql: &str, limits: &Limits) -> Result<Answer, StoreError> {
        let mut table = Table::default();
        let truncated = self.until_stopped(|| match &self.source {
            Source::Here(connection) => {
                let sql = self.checker()?.check(sql, Asker::Console)?;
                run::stream_within(connection, &sql, limits, &mut table)
            }
            Source::Writer => self.ask_within(sql, limits, &mut table),
        })?;
        Ok(Answer { table, truncated })
    }

    fn checker(&self) -> Result<&Checker, StoreError> {
        if let Some(checker) = self.checker.get() {
            return Ok(checker);
        }
        let checker = Checker::new()?;
        Ok(self.checker.get_or_init(|| checker))
    }

    fn ask_within(&self, sql: &str, limits: &Limits, table: &mut Table) -> Result<Option<Limit>, StoreError> {
        ask(&self.path, &self.calls, &Request::console(sql, *limits), table)
    }

    #[cfg(test)]
    pub(crate) fn through_writer(path: &Path) -> Self {
        Self::with(path, Source::Writer, None)
    }

    #[cfg(test)]
    pub(crate) fn connection(&self) -> Option<&Connection> {
        match &self.source {
            Source::Here(connection) => Some(connection),
            Source::Writer => None,
        }
    }

    fn until_stopped<T, E: From<StoreError>>(&self, run: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let is_stopped = || self.is_stopped.load(Ordering::Relaxed);
        if is_stopped() {
            return Err(StoreError::Interrupted.into());
        }
        run().map_err(|error| if is_stopped() { StoreError::Interrupted.into() } else { error })
    }
}

/// A closure as the end of an answer.
struct EachRow<F>(F);

impl<E, F: FnMut(Vec<Cell>) -> Result<(), E>> Sink<E> for EachRow<F> {
    fn columns(&mut self, _names: Vec<String>) -> Result<(), E> {
        Ok(())
    }

    fn row(&mut self, cells: Vec<Cell>) -> Result<ControlFlow<()>, E> {
        (self.0)(cells).map(ControlFlow::Continue)
    }
}

fn open_here(path: &Path, spill: &Spill) -> Result<Connection, duckdb::Error> {
    // In this order: a closed database does not take another folder.
    let config = Config::default().with("temp_directory", spill.setting())?;
    open_with(path, config.with("enable_external_access", "false")?)
}

/// Opens the database for reading; only our own export may write files beside it.
pub(crate) fn open_with(path: &Path, config: Config) -> Result<Connection, duckdb::Error> {
    let config = config
        .access_mode(AccessMode::ReadOnly)?
        .with("autoinstall_known_extensions", "false")?
        .with("autoload_known_extensions", "false")?
        .with("lock_configuration", "true")?;
    // DuckDB follows links, and a closed database finds only what it was told of.
    let real = path.canonicalize();
    let connection = Connection::open_with_flags(real.as_deref().unwrap_or(path), config)?;
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

/// The same, row by row; returns the names of the columns. The answer is complete before the first row is used, so that the connection is free.
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
