//! Texts of the table `name` that nothing uses any more, and how they go.
//!
//! Ids of names stand in columns and in packed values, so all of those are read once.

use std::cell::RefCell;

use analyzer::model::{Name, Timestamp};
use duckdb::Connection;
use rustc_hash::FxHashSet;

use crate::StoreError;
use crate::history::id_list;
use crate::packed::unpack as events_of;
use crate::packed_attempts::PackedAttempt;
use crate::packed_sums;
use crate::unpacked::Row;

/// Every column that holds ids of names.
const COLUMNS: [(&str, &str); 6] = [
    ("execution", "error_id"),
    ("event_detail", "error_id"),
    ("visit", "state_id"),
    ("visit", "error_id"),
    ("state_rollup", "state_id"),
    ("state_histogram", "state_id"),
];
/// Histories that are held at once.
const AT_ONCE: u64 = 2_000;

/// Deletes the names that nothing uses from the table of them; gives their texts.
pub(crate) fn delete_names(connection: &Connection, table: &str) -> Result<Vec<String>, StoreError> {
    let mut unused = ids(connection, "SELECT DISTINCT id FROM name")?;
    for (table, column) in COLUMNS {
        let used = format!("SELECT DISTINCT {column} FROM {table} WHERE {column} IS NOT NULL");
        for id in ids(connection, &used)? {
            unused.remove(&id);
        }
    }
    remove_packed(connection, &mut unused)?;
    let unused: Vec<u32> = unused.into_iter().collect();
    let mut texts = Vec::new();
    for ids in unused.chunks(4_000) {
        let list = id_list(ids);
        let mut statement = connection.prepare(&format!("SELECT text FROM name WHERE id IN ({list})"))?;
        let found = statement.query_map([], |row| row.get::<_, Option<String>>(0))?;
        texts.extend(found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten());
        connection.execute_batch(&format!("DELETE FROM {table} WHERE id IN ({list})"))?;
    }
    Ok(texts)
}

fn ids(connection: &Connection, sql: &str) -> Result<FxHashSet<u32>, StoreError> {
    let mut statement = connection.prepare(sql)?;
    let found = statement.query_map([], |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn remove_packed(connection: &Connection, unused: &mut FxHashSet<u32>) -> Result<(), StoreError> {
    let bounds = "SELECT coalesce(min(execution_id), 0), coalesce(max(execution_id), 0) FROM history";
    let (first, last): (u64, u64) = connection.query_row(bounds, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut statement =
        connection.prepare("SELECT events, attempts, sums FROM history WHERE execution_id BETWEEN ? AND ?")?;
    let mut from = first;
    while from <= last && !unused.is_empty() {
        let to = from.saturating_add(AT_ONCE - 1).min(last);
        let mut rows = statement.query([from, to])?;
        while let Some(row) = rows.next()? {
            let bytes = |index| row.get::<_, Option<Vec<u8>>>(index).map(Option::unwrap_or_default);
            remove_used(&bytes(0)?, &bytes(1)?, &bytes(2)?, unused)?;
        }
        let Some(next) = to.checked_add(1) else { break };
        from = next;
    }
    Ok(())
}

fn remove_used(events: &[u8], attempts: &[u8], sums: &[u8], unused: &mut FxHashSet<u32>) -> Result<(), StoreError> {
    for it in events_of(events)? {
        for id in [it.kind, it.name, it.resource] {
            unused.remove(&id);
        }
    }
    for it in PackedAttempt::unpack(attempts)? {
        for id in [it.error, it.resource].into_iter().flatten() {
            unused.remove(&id);
        }
    }
    if !sums.is_empty() {
        let (unused, any) = (RefCell::new(unused), Name::from(""));
        packed_sums::unpack(sums, Timestamp(0), |id| {
            if let Ok(id) = u32::try_from(id) {
                unused.borrow_mut().remove(&id);
            }
            Some(&any)
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;

    #[test]
    fn every_column_of_ids_is_known_to_hold_names_or_not() {
        const OTHERS: [&str; 6] = ["execution_id", "machine_id", "event_id", "visit_id", "parent_id", "segment_id"];
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("db")).expect("a database");
        let sql =
            "SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = 'stepscope' AND NOT internal
            AND data_type IN ('UINTEGER', 'UBIGINT') AND column_name LIKE '%\\_id' ESCAPE '\\'
            AND table_name IN (SELECT table_name FROM duckdb_tables() WHERE database_name = 'stepscope')";
        let mut statement = store.connection.prepare(sql).expect("a statement");
        let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)));
        let rows: Vec<(String, String)> = rows.expect("rows").collect::<Result<_, _>>().expect("rows");
        assert!(rows.len() >= COLUMNS.len(), "{rows:?}");
        for (table, column) in &rows {
            let is_name = COLUMNS.contains(&(table.as_str(), column.as_str()));
            assert!(is_name || OTHERS.contains(&column.as_str()), "`{table}.{column}`: does it hold ids of names?");
        }
    }
}
