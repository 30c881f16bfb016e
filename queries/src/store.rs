//! The database, open for writing.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use duckdb::{Config, Connection};

use crate::StoreError;
use crate::catalogue::{Catalogue, CollectorId};
use crate::erase;
use crate::error::is_locked;
use crate::lake::{Access, Lake};
use crate::membership::Membership;
use crate::remote::Server;
use crate::spill::Spill;
use crate::writer::{self, Commits};

/// The migrations in order; the schema's version is their count.
const MIGRATIONS: [Migration; 3] = [
    Migration { sql: include_str!("../sql/migrations/0001_initial.sql"), changes_analysis: false },
    Migration { sql: include_str!("../sql/migrations/0002_active_time.sql"), changes_analysis: true },
    Migration { sql: include_str!("../sql/migrations/0003_forgotten.sql"), changes_analysis: false },
];

/// One step from a version of the schema to the next.
struct Migration {
    sql: &'static str,
    /// What is computed from the events of stored executions changes with it, so they are analysed again.
    changes_analysis: bool,
}

/// The file is one of several databases of its instance, and each connection has to be told.
pub(crate) const USE: &str = "USE stepscope";
pub(crate) const LOCAL: &str = include_str!("../sql/local.sql");
const LAKE: &str = include_str!("../sql/lake.sql");
pub(crate) const VIEWS: &str = include_str!("../sql/views.sql");
/// What defines our macros.
pub(crate) const MACROS: [&str; 3] = [VIEWS, LOCAL, LAKE];
/// How long to wait for another process that has the file open.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// What the name of a database that is being created ends with, before the id of the process.
const NEW: &str = ".new-";
const MEMORY_LIMIT: &str = "400MB";
/// A transaction above this goes to the file at once, without a detour through the log.
const CHECKPOINT_THRESHOLD: &str = "1MB";
/// Rows that are compressed together. With DuckDB's own 122,880 the last commit of an import has a good deal left to
/// compress, alone; and an execution's rows are found among fewer when they are looked up.
pub(crate) const ROW_GROUP_SIZE: u32 = 40_960;

/// The database, open for writing in this process alone. Readers are served while it is open.
pub struct Store {
    pub(crate) connection: Connection,
    is_lake: bool,
    /// What was forgotten is taken in when it comes again.
    pub(crate) takes_again: bool,
    /// Where the file was when it was opened.
    place: Option<Place>,
    /// Who gives ids where several write.
    pub(crate) catalogue: Option<Rc<Catalogue>>,
    /// The collector whose commits the catalogue refuses once others have taken over.
    collector: Option<CollectorId>,
    /// Ends with the store.
    _membership: Option<Membership>,
    #[cfg_attr(not(test), expect(dead_code, reason = "it ends with the store"))]
    server: Option<Server>,
    /// Why other processes cannot read meanwhile.
    unheard: Option<String>,
    /// Goes after the connection.
    _spill: Option<Spill>,
}

impl Store {
    /// Opens the database at `path`, creates it when missing, and brings its schema up to date.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let store = Self::open_alone(path)?;
        if store.is_lake {
            return Ok(store);
        }
        let (server, unheard) = match Server::start(path, another(&store.connection)?) {
            Ok(server) => (Some(server), None),
            Err(cause) => (None, Some(cause)),
        };
        Ok(Self { server, unheard, ..store })
    }

    /// The same without answering readers, for what is short or ends with another file in its place.
    pub fn open_alone(path: &Path) -> Result<Self, StoreError> {
        if let Some(lake) = Lake::of(path) {
            let store = Self::open_lake(path, &lake, None)?;
            let catalogue = store.catalogue.as_ref().map(|it| it.another()).transpose()?;
            let membership = catalogue.map(Membership::alone).transpose()?;
            let collector = membership.as_ref().map(Membership::id);
            return Ok(Self { collector, _membership: membership, ..store });
        }
        if let Some(folder) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(|error| StoreError::from(error).creating(path))?;
        }
        remove_leftovers(path);
        if !path.exists() {
            create(path).map_err(|error| error.creating(path))?;
        }
        crate::probe::check(path)?;
        let spill = Spill::beside(path);
        let mut connection = open_current(path, &spill)?;
        if erase::is_pending(&connection)? {
            // A process was killed before it had rewritten the file.
            drop(connection);
            erase::rewrite(path)?;
            connection = open_current(path, &spill)?;
        }
        let place = Place::of(path)?;
        // In one transaction: each statement of its own would wait for the disk.
        connection.execute_batch(&format!("BEGIN; {VIEWS}; COMMIT"))?;
        crate::rollup::compact(&connection)?;
        Ok(Self {
            connection,
            is_lake: false,
            takes_again: false,
            place: Some(place),
            catalogue: None,
            collector: None,
            _membership: None,
            server: None,
            unheard: None,
            _spill: Some(spill),
        })
    }

    /// Opens a lake; a new one keeps its data at `data`, or else beside its catalogue. Readers attach it themselves, and see what is
    /// committed.
    pub fn open_lake(path: &Path, lake: &Lake, data: Option<&str>) -> Result<Self, StoreError> {
        let connection = lake.attached(Access::Write { data })?;
        let catalogue = Catalogue::of(lake)?;
        if schema_version(&connection)? != Some(known_version()) {
            migrate(&connection, path, catalogue.as_ref())?;
        }
        if let Some(catalogue) = &catalogue {
            catalogue.set_up()?;
        }
        Ok(Self {
            connection,
            is_lake: true,
            takes_again: false,
            place: None,
            catalogue: catalogue.map(Rc::new),
            collector: None,
            _membership: None,
            server: None,
            unheard: None,
            _spill: None,
        })
    }

    /// Why other processes cannot read while this one writes, where that is so; a line for people.
    pub fn unheard(&self) -> Option<&str> {
        self.unheard.as_deref()
    }

    /// From here on what was forgotten is taken in when it comes again, and is no longer forgotten.
    #[must_use]
    pub fn taking_again(self, takes_again: bool) -> Self {
        Self { takes_again, ..self }
    }

    pub(crate) fn is_lake(&self) -> bool {
        self.is_lake
    }

    #[cfg(all(test, unix))]
    pub(crate) fn n_callers(&self) -> usize {
        self.server.as_ref().map_or(0, Server::n_callers)
    }

    /// From here on commits are those of a collector that others may fence.
    #[must_use]
    pub fn of_collector(self, collector: CollectorId) -> Self {
        Self { collector: Some(collector), ..self }
    }

    pub(crate) fn commits(&self) -> Commits {
        if self.is_lake { Commits::Shared(self.collector) } else { Commits::Alone }
    }

    /// Adds up what many small transactions have left; of a lake that is for `lake compact` to do.
    pub(crate) fn tidy(&self) -> Result<(), StoreError> {
        if !self.is_lake {
            crate::rollup::compact(&self.connection)?;
        }
        self.checkpoint()
    }

    /// Fails once the file is no longer where it was opened: what is written into it then is lost.
    pub(crate) fn check_in_place(&self) -> Result<(), StoreError> {
        match &self.place {
            Some(place) if Place::of(&place.path).ok().as_ref() != Some(place) => {
                Err(StoreError::Gone(place.path.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Lets what is committed reach the file; a lake's commits have.
    pub(crate) fn checkpoint(&self) -> Result<(), StoreError> {
        if !self.is_lake {
            self.connection.execute_batch("CHECKPOINT")?;
        }
        Ok(())
    }

    /// Whether the price list is this one: one more snapshot for nothing would be in the way of others who write.
    fn has_prices(&self, lines: &[[String; 8]]) -> Result<bool, StoreError> {
        let mut statement = self.connection.prepare("SELECT * FROM price ORDER BY ALL")?;
        let row = |row: &duckdb::Row<'_>| (0..8).map(|it| row.get(it)).collect::<Result<Vec<Option<String>>, _>>();
        let stored = statement.query_map([], row)?.collect::<Result<Vec<_>, _>>()?;
        let mut wanted: Vec<Vec<Option<String>>> =
            lines.iter().map(|it| it.iter().map(|it| Some(it.clone())).collect()).collect();
        wanted.sort();
        Ok(stored == wanted)
    }

    /// Replaces the price list that the `prices` view shows.
    pub fn set_prices(&self, lines: &[[String; 8]]) -> Result<(), StoreError> {
        if self.is_lake && self.has_prices(lines)? {
            return Ok(());
        }
        self.in_transaction(|| {
            self.connection.execute_batch("DELETE FROM price")?;
            let mut appender = self.connection.appender("price")?;
            for line in lines {
                appender.append_row(duckdb::appender_params_from_iter(line))?;
            }
            appender.flush()?;
            Ok(())
        })
    }

    /// All or nothing; in a lake again when another writer was faster.
    pub(crate) fn in_transaction(&self, mut write: impl FnMut() -> Result<(), StoreError>) -> Result<(), StoreError> {
        if self.is_lake {
            return writer::in_shared_transaction(&self.connection, self.collector, write);
        }
        self.connection.execute_batch("BEGIN")?;
        let written = write();
        self.connection.execute_batch(if written.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        written
    }
}

/// Everything that creates relations of ours.
pub(crate) fn schema() -> impl Iterator<Item = &'static str> {
    MIGRATIONS.into_iter().map(|it| it.sql).chain([VIEWS, LAKE, "CREATE TABLE stepscope_meta"])
}

/// A file and its identity: another file at the same path is another place.
#[derive(PartialEq, Eq)]
struct Place {
    path: PathBuf,
    identity: (u64, u64),
}

impl Place {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        #[cfg(unix)]
        let identity = {
            use std::os::unix::fs::MetadataExt;
            (metadata.dev(), metadata.ino())
        };
        #[cfg(not(unix))]
        let identity = (u64::from(metadata.is_file()), 0);
        Ok(Self { path: path.to_owned(), identity })
    }
}

/// Removes what processes left behind that were killed while they created this database.
fn remove_leftovers(path: &Path) {
    let Some(name) = path.file_name().and_then(|it| it.to_str()) else { return };
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        let file_name = entry.file_name();
        let rest = file_name.to_str().and_then(|it| it.strip_prefix(name)?.strip_prefix(NEW));
        let process = rest.and_then(|it| it.strip_suffix(".wal").unwrap_or(it).parse::<u32>().ok());
        if process.is_some_and(|it| !is_running(it)) {
            // Another process that starts now may be faster.
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(unix)]
fn is_running(process: u32) -> bool {
    let pid = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw);
    // A process of another user is there too.
    pid.is_some_and(|it| rustix::process::test_kill_process(it) != Err(rustix::io::Errno::SRCH))
}

#[cfg(not(unix))]
fn is_running(_process: u32) -> bool {
    true
}

/// Creates the database in a temporary file next to `path` and links it into place, tables and views together, so a killed process
/// never leaves a partial database.
fn create(path: &Path) -> Result<(), StoreError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!("{NEW}{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let made = fill(&beside, path).and_then(|()| match fs::hard_link(&beside, path) {
        // Somebody else was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // Not every file system has links.
        Err(_) => Ok(fs::rename(&beside, path)?),
        Ok(()) => Ok(()),
    });
    if beside.exists() {
        fs::remove_file(&beside)?;
    }
    made
}

/// Makes the tables and views of a new database in the file `path`, which is to be put in place at `target`.
fn fill(path: &Path, target: &Path) -> Result<(), StoreError> {
    let spill = Spill::beside(target);
    let connection = attached(path, &spill)?;
    restrict(path)?;
    crate::unpacked::register(&connection)?;
    migrate(&connection, path, None)?;
    // Nothing stays in the log, which would be left behind.
    connection.execute_batch(&format!("BEGIN; {VIEWS}; COMMIT; CHECKPOINT"))?;
    Ok(())
}

/// The database with its schema up to date.
fn open_current(path: &Path, spill: &Spill) -> Result<Connection, StoreError> {
    let open = || patiently(path, PATIENCE, |it| attached(it, spill));
    let mut connection = open()?;
    if let Some(version) = schema_version(&connection)?.filter(|it| *it < known_version()) {
        // The file is closed while it is copied: locks of POSIX go with any descriptor of the file that is closed.
        connection.execute_batch("CHECKPOINT")?;
        drop(connection);
        back_up(path, version)?;
        connection = open()?;
    }
    restrict(path)?;
    crate::unpacked::register(&connection)?;
    migrate(&connection, path, None)?;
    Ok(connection)
}

/// Opens the file when no other process has it open.
pub(crate) fn patiently(
    path: &Path,
    patience: Duration,
    open: impl Fn(&Path) -> Result<Connection, duckdb::Error>,
) -> Result<Connection, StoreError> {
    let deadline = Instant::now() + patience;
    loop {
        let before = file_id(path);
        match open(path) {
            // Another process may have put a new file in place between opening this one and locking it.
            Ok(connection) if file_id(path) == before => return Ok(connection),
            Ok(_) => {}
            Err(error) if is_locked(&error) => {
                if Instant::now() >= deadline {
                    return Err(StoreError::Taken(path.to_owned()).held(path, &error));
                }
                thread::sleep(Duration::from_millis(50));
            }
            Err(error) => return Err(StoreError::opening(path, error)),
        }
    }
}

/// What tells a file from another that takes its place.
#[cfg(unix)]
fn file_id(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).ok().map(|it| (it.dev(), it.ino()))
}

#[cfg(not(unix))]
fn file_id(_path: &Path) -> Option<(u64, u64)> {
    None
}

/// Whether a file has no log beside it that still has to go into it.
pub(crate) fn is_whole(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push(".wal");
    !Path::new(&log).exists()
}

/// The file attached to an instance in memory: only so can the size of row groups be given.
fn attached(path: &Path, spill: &Spill) -> Result<Connection, duckdb::Error> {
    let config = Config::default()
        .with("memory_limit", MEMORY_LIMIT)?
        .with("temp_directory", spill.setting())?
        .with("checkpoint_threshold", CHECKPOINT_THRESHOLD)?
        .with("write_buffer_row_group_count", "1")?
        .with("autoinstall_known_extensions", "false")?
        .with("autoload_known_extensions", "false")?;
    let connection = Connection::open_in_memory_with_flags(config)?;
    // DuckDB follows links, and once it is closed finds only what it was told of.
    let real = path.canonicalize();
    let file = real.as_deref().unwrap_or(path).to_string_lossy().replace('\'', "''");
    connection.execute_batch(&format!("ATTACH '{file}' AS stepscope (ROW_GROUP_SIZE {ROW_GROUP_SIZE})"))?;
    connection.execute_batch("SET enable_external_access = false; SET lock_configuration = true")?;
    connection.execute_batch(USE)?;
    connection.execute_batch(LOCAL)?;
    Ok(connection)
}

/// A second connection to the same database.
pub(crate) fn another(connection: &Connection) -> Result<Connection, duckdb::Error> {
    let other = connection.try_clone()?;
    other.execute_batch(USE)?;
    other.execute_batch(LOCAL)?;
    Ok(other)
}

/// Payloads may hold users' data: nobody else may read the file.
#[cfg(unix)]
pub(crate) fn restrict(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
pub(crate) fn restrict(_path: &Path) -> io::Result<()> {
    Ok(())
}

pub(crate) fn schema_version(connection: &Connection) -> Result<Option<u32>, StoreError> {
    let tables: i64 = connection.query_row(
        "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'stepscope_meta' AND database_name = current_database()",
        [],
        |row| row.get(0),
    )?;
    if tables == 0 {
        return Ok(None);
    }
    Ok(Some(connection.query_row("SELECT schema_version FROM stepscope_meta", [], |row| row.get(0))?))
}

pub(crate) fn known_version() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// Brings the schema, and what is stored under it, to this version: all of it or nothing.
pub(crate) fn migrate(connection: &Connection, path: &Path, catalogue: Option<&Catalogue>) -> Result<(), StoreError> {
    if Lake::of(path).is_none() {
        return migrate_once(connection, path, catalogue);
    }
    // Of several that open a lake at once, one brings it up to date, and the others find that done.
    writer::until_first(|| migrate_once(connection, path, catalogue))
}

fn migrate_once(connection: &Connection, path: &Path, catalogue: Option<&Catalogue>) -> Result<(), StoreError> {
    let found = schema_version(connection)?;
    let foreign: i64 = connection.query_row(
        "SELECT count(*) FROM duckdb_tables() WHERE database_name = current_database()",
        [],
        |row| row.get(0),
    )?;
    if found.is_none() && foreign > 0 {
        return Err(StoreError::Foreign(path.to_owned()));
    }
    let version = found.unwrap_or(0);
    if version > known_version() {
        return Err(StoreError::Newer { path: path.to_owned(), found: version, known: known_version() });
    }
    if version == known_version() {
        return Ok(());
    }
    let is_lake = Lake::of(path).is_some();
    connection.execute_batch("BEGIN")?;
    let migrated = migrate_from(version, connection, is_lake, catalogue)
        .and_then(|()| connection.execute_batch("COMMIT").map_err(StoreError::from));
    if migrated.is_err() {
        // A commit that was refused has ended its transaction.
        let _ = connection.execute_batch("ROLLBACK");
    }
    migrated
}

fn migrate_from(
    version: u32,
    connection: &Connection,
    is_lake: bool,
    catalogue: Option<&Catalogue>,
) -> Result<(), StoreError> {
    let missing = MIGRATIONS.iter().enumerate().skip(version as usize);
    for (index, migration) in missing.clone() {
        match (is_lake, index) {
            (false, _) => connection.execute_batch(migration.sql)?,
            // The files of a lake choose their compression themselves; the first brings what a lake has on top.
            (true, 0) => connection.execute_batch(&format!("{}; {LAKE}", without_compression(migration.sql)))?,
            (true, _) => connection.execute_batch(&without_compression(migration.sql))?,
        }
    }
    if version > 0 && missing.clone().any(|(_, it)| it.changes_analysis) {
        crate::reanalysis::analyse_all(connection, catalogue, is_lake)?;
    }
    if is_lake {
        // Whoever comes meanwhile finds all or nothing.
        connection.execute_batch(VIEWS)?;
    }
    let reached = known_version();
    connection.execute_batch(&format!(
        "CREATE OR REPLACE TABLE stepscope_meta AS SELECT {reached}::UINTEGER AS schema_version"
    ))?;
    Ok(())
}

fn without_compression(sql: &str) -> String {
    [" USING COMPRESSION bitpacking", " USING COMPRESSION fsst", " USING COMPRESSION uncompressed"]
        .iter()
        .fold(sql.to_owned(), |sql, it| sql.replace(it, ""))
}

/// Keeps a database of an older version; a lake keeps its snapshots instead. A copy takes the place of another only when it
/// is whole: nothing has written the database meanwhile.
fn back_up(path: &Path, version: u32) -> Result<(), StoreError> {
    let with = |suffix: String| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let state = || fs::metadata(path).and_then(|it| Ok((it.len(), it.modified()?)));
    let before = state()?;
    let fresh = with(format!(".new-{}", std::process::id()));
    let copied = fs::copy(path, &fresh).and_then(|_| fs::File::open(&fresh)?.sync_all());
    let is_whole = copied.is_ok() && state()? == before;
    if !is_whole {
        let _ = fs::remove_file(&fresh);
        copied?;
        return Err(StoreError::Taken(path.to_owned()));
    }
    restrict(&fresh)?;
    fs::rename(&fresh, with(format!(".v{version}.bak")))?;
    Ok(())
}
