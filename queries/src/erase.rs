//! Writes the file again without what was deleted: DuckDB leaves the bytes of deleted rows where they are.
//!
//! ```text
//!   lock the file ── copy its tables into a file next to it ── sync ── rename over it ── sync the folder
//! ```
//!
//! A process that is killed leaves the old file, or the new one. What it leaves besides is removed by the next.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use duckdb::{Config, Connection};

use crate::StoreError;
use crate::spill::Spill;
use crate::store::{LOCAL, PATIENCE, ROW_GROUP_SIZE, VIEWS, is_whole, migrate, patiently, restrict};

const FRESH: &str = ".rewrite-";
const MEMORY_LIMIT: &str = "400MB";
const TABLES: &str = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'stepscope' AND NOT internal AND NOT temporary ORDER BY 1";

/// Whether something was deleted whose bytes are still in the file.
pub(crate) fn is_pending(connection: &Connection) -> Result<bool, StoreError> {
    let left: i64 = connection.query_row("SELECT count(*) FROM forgotten WHERE NOT is_erased", [], |row| row.get(0))?;
    Ok(left > 0)
}

/// Writes the database at `path` again. No other process reads or writes it meanwhile.
pub(crate) fn rewrite(path: &Path) -> Result<(), StoreError> {
    let path = path.canonicalize()?;
    let spill = Spill::beside(&path);
    let connection = patiently(&path, PATIENCE, |it| attached(it, &spill))?;
    remove_leftovers(&path)?;
    let fresh = with(&path, &format!("{FRESH}{}", std::process::id()));
    let written = copy(&connection, &fresh).and_then(|()| put_in_place(&fresh, &path));
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
        let _ = fs::remove_file(with(&fresh, ".wal"));
    }
    written
}

/// An instance that has the file, and may attach another.
fn attached(path: &Path, spill: &Spill) -> Result<Connection, duckdb::Error> {
    let config = Config::default()
        .with("memory_limit", MEMORY_LIMIT)?
        .with("temp_directory", spill.setting())?
        .with("threads", "1")?
        .with("autoinstall_known_extensions", "false")?
        .with("autoload_known_extensions", "false")?;
    let connection = Connection::open_in_memory_with_flags(config)?;
    connection.execute_batch(&format!("ATTACH '{}' AS stepscope", quoted(path)))?;
    Ok(connection)
}

fn copy(connection: &Connection, fresh: &Path) -> Result<(), StoreError> {
    crate::unpacked::register(connection)?;
    connection.execute_batch(LOCAL)?;
    // What is in the log goes into the old file, so that no log is left that could be taken for the new one's.
    connection.execute_batch("CHECKPOINT stepscope")?;
    connection
        .execute_batch(&format!("ATTACH '{}' AS fresh (ROW_GROUP_SIZE {ROW_GROUP_SIZE}); USE fresh", quoted(fresh)))?;
    restrict(fresh)?;
    migrate(connection, fresh, None)?;
    let mut statement = connection.prepare(TABLES)?;
    let tables = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    for table in &tables {
        let name = format!("\"{}\"", table.replace('"', "\"\""));
        // Nothing is owed any more in the new file.
        let columns = if table == "forgotten" { "* REPLACE (true AS is_erased)" } else { "*" };
        connection.execute_batch(&format!(
            "DELETE FROM fresh.{name}; INSERT INTO fresh.{name} BY NAME SELECT {columns} FROM stepscope.{name}"
        ))?;
        let count = |database: &str| {
            connection.query_row(&format!("SELECT count(*) FROM {database}.{name}"), [], |row| row.get::<_, i64>(0))
        };
        if count("stepscope")? != count("fresh")? {
            return Err(StoreError::Corrupt(format!("the table `{table}` could not be copied")));
        }
    }
    connection.execute_batch(&format!("BEGIN; {VIEWS}; COMMIT; CHECKPOINT fresh; USE stepscope; DETACH fresh"))?;
    Ok(())
}

/// Puts the new file where the old one is, which stays locked until then.
fn put_in_place(fresh: &Path, path: &Path) -> Result<(), StoreError> {
    same_owner(path, fresh);
    restrict(fresh)?;
    File::open(fresh)?.sync_all()?;
    if !is_whole(fresh) {
        return Err(StoreError::Corrupt("the new file has a log of its own".to_owned()));
    }
    fs::rename(fresh, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Removes what killed processes have left: the lock on the file is held, so they are gone.
fn remove_leftovers(path: &Path) -> Result<(), StoreError> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let name = name.to_string_lossy();
    for entry in fs::read_dir(folder)?.flatten() {
        let found = entry.file_name().to_string_lossy().into_owned();
        let rest = found.strip_prefix(&*name).unwrap_or_default();
        let is_ours = rest.starts_with(FRESH) || rest.starts_with(".new-");
        if is_ours && entry.file_type().is_ok_and(|it| !it.is_dir()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn same_owner(path: &Path, fresh: &Path) {
    use std::os::unix::fs::{MetadataExt, chown};
    if let (Ok(old), Ok(new)) = (fs::metadata(path), fs::metadata(fresh))
        && (old.uid(), old.gid()) != (new.uid(), new.gid())
    {
        // Root may write the file of another user, and gives it back.
        let _ = chown(fresh, Some(old.uid()), Some(old.gid()));
    }
}

#[cfg(not(unix))]
fn same_owner(_path: &Path, _fresh: &Path) {}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn quoted(path: &Path) -> String {
    path.to_string_lossy().replace('\'', "''")
}
