//! The documented views as Parquet files, for whatever reads those.

use std::fs;
use std::path::{Path, PathBuf};

use duckdb::{Config, Connection};

use crate::StoreError;
use crate::error::is_locked;
use crate::lake::{Access, Lake};
use crate::reader::open_with;
use crate::spill::Spill;

const MEMORY_LIMIT: &str = "1GB";
/// The views that hold what was recorded and computed; prices and definitions are texts of their own.
const VIEWS: [&str; 9] =
    ["machines", "executions", "visits", "attempts", "critical_path", "events", "segments", "metrics", "tags"];
/// Those that grow, with the ARN that names the machine, if any, and the time that names the day.
const PARTITIONED: [(&str, &str, &str); 7] = [
    ("executions", "state_machine_arn", "started_at"),
    ("visits", "state_machine_arn", "entered_at"),
    ("attempts", "execution_arn", "scheduled_at"),
    ("critical_path", "execution_arn", "\"from\""),
    ("events", "execution_arn", "timestamp"),
    ("segments", "execution_arn", "started_at"),
    ("metrics", "state_machine_arn", "measured_at"),
];

/// Writes a file per view into a folder, which is made; says which files, and how many rows each has.
pub fn export_parquet(database: &Path, folder: &Path, is_partitioned: bool) -> Result<Vec<(PathBuf, u64)>, StoreError> {
    // Made first, so that it goes last.
    let spill = Spill::of_file(database);
    let connection = if let Some(lake) = Lake::of(database) {
        // It has to be told which folder it may write into, and that has to be there.
        fs::create_dir_all(folder)?;
        lake.attached(Access::Export(folder))?
    } else {
        opened(database, &spill)?
    };
    fs::create_dir_all(folder)?;
    let mut written = Vec::new();
    for view in VIEWS {
        let parts = PARTITIONED.iter().find(|it| is_partitioned && it.0 == view);
        let path = folder.join(if parts.is_some() { view.to_owned() } else { format!("{view}.parquet") });
        let quoted = path.to_string_lossy().replace('\'', "''");
        let copy = match parts {
            // `part` is the machine's name: some views have a `machine` of their own.
            Some((_, arn, time)) => format!(
                "COPY (SELECT *, split_part({arn}, ':', 7) AS part, strftime({time}, '%Y-%m-%d') AS dt FROM {view}) TO '{quoted}'
                (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (part, dt), OVERWRITE_OR_IGNORE)"
            ),
            None => format!("COPY (SELECT * FROM {view}) TO '{quoted}' (FORMAT parquet, COMPRESSION zstd)"),
        };
        if parts.is_some() {
            forget_partitions(&path)?;
        }
        connection.execute_batch(&copy)?;
        let files = if parts.is_some() { format!("{quoted}/part=*/**/*.parquet") } else { quoted };
        // Of nothing there are no partitions.
        let is_empty = parts.is_some() && partitions(&path)?.is_empty();
        let rows: i64 = if is_empty {
            0
        } else {
            connection.query_row(&format!("SELECT count(*) FROM read_parquet('{files}')"), [], |row| row.get(0))?
        };
        written.push((path, u64::try_from(rows).unwrap_or(0)));
    }
    Ok(written)
}

/// A file, opened for reading by somebody who may write other files.
fn opened(database: &Path, spill: &Spill) -> Result<Connection, StoreError> {
    // Rows may come in any order, so that few of them have to be held.
    let config = Config::default()
        .with("temp_directory", spill.setting())?
        .with("enable_external_access", "true")?
        .with("memory_limit", MEMORY_LIMIT)?
        .with("preserve_insertion_order", "false")?;
    open_with(database, config).map_err(|error| match error {
        error if is_locked(&error) => StoreError::Busy(database.to_owned()),
        error => StoreError::opening(database, error),
    })
}

/// Removes what an earlier export left behind, and nothing else: the folder may hold what is not ours.
fn forget_partitions(folder: &Path) -> Result<(), StoreError> {
    partitions(folder)?.into_iter().try_for_each(fs::remove_dir_all)?;
    Ok(())
}

fn partitions(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder)?.map(|it| it.map(|it| it.path())).collect::<Result<Vec<_>, _>>()?;
    let is_ours = |it: &PathBuf| it.file_name().is_some_and(|it| it.to_string_lossy().starts_with("part="));
    Ok(entries.into_iter().filter(is_ours).collect())
}
