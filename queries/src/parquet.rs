//! The documented views as Parquet files, for whatever reads those.

use std::fs;
use std::path::{Path, PathBuf};

use crate::StoreError;
use crate::reader::open_with_access;
use crate::store::{is_locked, not_ours};

/// The views that hold what was recorded and computed; prices and definitions are texts of their own.
const VIEWS: [&str; 9] =
    ["machines", "executions", "visits", "attempts", "critical_path", "events", "segments", "metrics", "tags"];

/// Writes a file per view into a folder, which is made; says which files, and how many rows each has.
pub fn export_parquet(database: &Path, folder: &Path) -> Result<Vec<(PathBuf, u64)>, StoreError> {
    let connection = open_with_access(database, "true").map_err(|error| match error {
        error if is_locked(&error) => StoreError::Busy(database.to_owned()),
        error => not_ours(database, error),
    })?;
    fs::create_dir_all(folder)?;
    let mut written = Vec::new();
    for view in VIEWS {
        let path = folder.join(format!("{view}.parquet"));
        let quoted = path.to_string_lossy().replace('\'', "''");
        let copy = format!("COPY (SELECT * FROM {view}) TO '{quoted}' (FORMAT parquet, COMPRESSION zstd)");
        connection.execute_batch(&copy)?;
        let rows: i64 =
            connection.query_row(&format!("SELECT count(*) FROM read_parquet('{quoted}')"), [], |row| row.get(0))?;
        written.push((path, u64::try_from(rows).unwrap_or(0)));
    }
    Ok(written)
}
