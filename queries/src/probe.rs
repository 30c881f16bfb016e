//! What kind of file is this? Asked before DuckDB is, which would open a text as a table, and say of SQLite's files that an extension is missing.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::StoreError;

/// The newest storage version that the linked DuckDB reads.
const NEWEST_STORAGE: u64 = 68;
/// DuckDB's file begins with three blocks of this size: what it is, and two headers that take turns.
const BLOCK: usize = 4_096;
const HEADERS: u64 = 3 * BLOCK as u64;
/// A log of changes begins with its version: the field 100 is the kind of entry, 98, and the field 101 follows.
const LOG_BEGINS: [u8; 5] = [100, 0, 98, 101, 0];

/// Fails where a path leads to something that cannot be one of our databases; what is not there passes.
pub(crate) fn check(path: &Path) -> Result<(), StoreError> {
    let foreign = |what: &str| Err(StoreError::NotDatabase { path: path.to_owned(), cause: what.into() });
    let denied = |error: &std::io::Error| StoreError::Denied { path: path.to_owned(), cause: error.to_string().into() };
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(denied(&error)),
    };
    if metadata.is_dir() {
        return foreign("it is a folder");
    }
    if !metadata.is_file() {
        return foreign("it is not a regular file");
    }
    let mut head = Vec::with_capacity(BLOCK);
    let file = File::open(path).map_err(|error| denied(&error))?;
    file.take(BLOCK as u64).read_to_end(&mut head).map_err(|error| denied(&error))?;
    if head.get(8..12) != Some(b"DUCK") {
        return foreign(kind_of(&head));
    }
    let damaged = |why: String| Err(StoreError::Damaged { path: Some(path.to_owned()), cause: why.into() });
    if metadata.len() < HEADERS {
        return damaged(format!("it ends after {} bytes, within its header", metadata.len()));
    }
    let version = word(&head[12..20]);
    match (word(&head[..8]) == checksum(&head[8..]), version > NEWEST_STORAGE) {
        (true, true) => {
            let cause =
                format!("its storage version is {version}, and this DuckDB reads up to {NEWEST_STORAGE}").into();
            Err(StoreError::NewerEngine { path: path.to_owned(), cause })
        }
        (false, true) => damaged(format!(
            "the checksum of its header is wrong, and its storage version is {version}, which only a newer DuckDB could have written"
        )),
        (false, false) => damaged("the checksum of its header is wrong".to_owned()),
        (true, false) => check_log(path),
    }
}

/// DuckDB passes over a log whose first entry it cannot read, and with it what was committed there.
fn check_log(path: &Path) -> Result<(), StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".wal");
    let mut head = Vec::new();
    let Ok(file) = File::open(&name) else { return Ok(()) };
    if file.take(LOG_BEGINS.len() as u64).read_to_end(&mut head).is_ok() && !LOG_BEGINS.starts_with(&head) {
        let cause = format!("`{}` does not begin as a log of DuckDB's does", Path::new(&name).display()).into();
        return Err(StoreError::Damaged { path: Some(path.to_owned()), cause });
    }
    Ok(())
}

fn kind_of(head: &[u8]) -> &'static str {
    match head {
        [] => "the file is empty",
        [b'S', b'Q', b'L', b'i', b't', b'e', b' ', ..] => {
            "it is an SQLite database; as the catalogue of a lake it is named ducklake:sqlite:PATH"
        }
        [b'P', b'A', b'R', b'1', ..] => "it is a Parquet file",
        [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => "it is a packed file",
        _ if std::str::from_utf8(head).map_or_else(|it| it.valid_up_to() + 4 > head.len(), |_| true)
            && !head.contains(&0) =>
        {
            "it is a text"
        }
        _ => "it does not begin as DuckDB's files do",
    }
}

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte))
}

/// DuckDB's sum of a block, of whole words.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(5_381, |sum, it| sum ^ word(it).wrapping_mul(0xbf58_476d_1ce4_e5b9))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(options: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.duckdb");
        let connection = duckdb::Connection::open_in_memory().expect("DuckDB");
        let attach = format!("ATTACH '{}' AS x {options}; CREATE TABLE x.t AS SELECT 1 AS a; DETACH x", path.display());
        connection.execute_batch(&attach).expect("a database");
        (folder, path)
    }

    #[test]
    fn the_newest_storage_is_that_of_the_linked_library() {
        let (_folder, path) = database("(STORAGE_VERSION 'latest')");
        let bytes = std::fs::read(&path).expect("a file");
        assert_eq!(word(&bytes[12..20]), NEWEST_STORAGE);
        assert!(check(&path).is_ok());
    }

    #[test]
    fn a_newer_storage_is_told_from_damage() {
        let (_folder, path) = database("");
        let mut bytes = std::fs::read(&path).expect("a file");
        bytes[12] = 200;
        std::fs::write(&path, &bytes).expect("a file");
        assert!(matches!(check(&path), Err(StoreError::Damaged { .. })));
        let sum = checksum(&bytes[8..BLOCK]);
        bytes[..8].copy_from_slice(&sum.to_le_bytes());
        std::fs::write(&path, &bytes).expect("a file");
        assert!(matches!(check(&path), Err(StoreError::NewerEngine { .. })));
        let error = duckdb::Connection::open(&path).expect_err("DuckDB refuses it, too");
        assert!(matches!(StoreError::from(error), StoreError::Database(_)));
    }
}
