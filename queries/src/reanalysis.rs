//! Analyses everything that is stored again, for a version that computes something else from the same events.
//!
//! It runs inside the transaction that changes the schema, so an older database gives either its old answers or the new
//! ones. Rollups are not corrected but filled anew.

use std::rc::Rc;

use analyzer::assembly::fingerprint;
use analyzer::execution::Run;
use analyzer::model::{Event, PayloadField};
use duckdb::Connection;

use crate::batch::Batch;
use crate::catalogue::Catalogue;
use crate::history::{StoredExecution, id_list, stored_executions};
use crate::names::Names;
use crate::rollup::Rollup;
use crate::rows::Appenders;
use crate::writer::EXECUTION_TABLES;
use crate::{StoreError, reader};

/// Executions that are loaded, analysed and replaced together.
const TOGETHER: usize = 1_000;
/// What is filled anew.
const ROLLUPS: [&str; 4] = ["state_rollup", "state_histogram", "run_rollup", "run_histogram"];
pub(crate) fn analyse_all(
    connection: &Connection,
    catalogue: Option<&Catalogue>,
    is_lake: bool,
) -> Result<(), StoreError> {
    let catalogue = catalogue.map(Catalogue::another).transpose()?.map(Rc::new);
    let mut names = Names::load(connection, catalogue)?;
    let ids: Vec<u64> = {
        let mut statement = connection.prepare("SELECT id FROM execution ORDER BY id")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        rows.collect::<Result<_, _>>()?
    };
    for table in ROLLUPS {
        connection.execute_batch(&format!("DELETE FROM {table}"))?;
    }
    let query = |sql: &str, params: &[crate::Cell]| reader::run(connection, sql, params).map(|it| it.rows);
    let mut rollup = Rollup::default();
    for ids in ids.chunks(TOGETHER) {
        let stored = stored_executions(&query, ids, &PayloadField::ALL)?;
        let list = id_list(ids);
        for (table, column) in EXECUTION_TABLES {
            connection.execute_batch(&format!("DELETE FROM {table} WHERE {column} IN ({list})"))?;
        }
        let mut batch = Batch::default();
        for it in stored {
            add(it, &mut batch, &mut names);
        }
        rollup.add(&mut batch.contributions);
        let mut fresh = names.take_fresh()?;
        append(connection, is_lake, |appenders| {
            fresh.append_to(appenders)?;
            batch.append_to(appenders)
        })?;
    }
    append(connection, is_lake, |appenders| rollup.append_to(appenders))
}

fn add(mut stored: StoredExecution, batch: &mut Batch, names: &mut Names) {
    stored.events.iter_mut().for_each(Event::note_entered);
    let mark = fingerprint(&stored.events, stored.record.as_ref());
    let run = Run::of(stored.arn, stored.events, stored.record.unwrap_or_default());
    batch.add(stored.id, &run, mark, names);
}

/// Appends rows; those of a lake may belong into tables behind views.
fn append(
    connection: &Connection,
    is_lake: bool,
    fill: impl FnOnce(&mut Appenders<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut appenders = Appenders::new(connection);
    if is_lake {
        let mut keeping = Appenders::keeping(connection);
        fill(&mut keeping)?;
        keeping.take_kept().iter().try_for_each(|it| appenders.append_kept(it))?;
    } else {
        fill(&mut appenders)?;
    }
    appenders.flush()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use analyzer::model::{Event, EventKind, Name, Observation, Timestamp};

    use crate::{Ingest, Store, StoreError};

    const ARN: &str = "arn:aws:states:us-east-1:123456789012:execution:m:r";
    /// What an older version had stored: sentences for gaps, wall time, no runs, and rollups over those.
    const AS_BEFORE: &str = "
        DROP TABLE forgotten; DROP TABLE forgotten_salt;
        UPDATE execution SET gaps = '[\"a sentence\"]', retries = 7, complete = false, fingerprint = 1;
        UPDATE history SET attempts = '\\x07\\x07'::BLOB;
        UPDATE run_histogram SET bucket = 1;
        INSERT INTO state_rollup BY NAME SELECT machine_id, hour, state_id, state_type, 5 AS visits FROM state_rollup;
        ALTER TABLE execution DROP COLUMN active_us; ALTER TABLE execution DROP COLUMN rerun;
        ALTER TABLE execution DROP COLUMN runs; ALTER TABLE execution DROP COLUMN express_ms;
        ALTER TABLE visit DROP COLUMN active_us; ALTER TABLE visit DROP COLUMN rerun;
        ALTER TABLE state_rollup DROP COLUMN redrive_idle_us; ALTER TABLE state_rollup DROP COLUMN rerun;
        CREATE OR REPLACE TABLE stepscope_meta AS SELECT 1::UINTEGER AS schema_version;";
    const TABLES: [&str; 8] = [
        "execution ORDER BY id",
        "history ORDER BY execution_id",
        "event_detail ORDER BY ALL",
        "visit ORDER BY execution_id, visit_id",
        "state_rollup ORDER BY ALL",
        "state_histogram ORDER BY ALL",
        "run_rollup ORDER BY ALL",
        "run_histogram ORDER BY ALL",
    ];

    /// A Task that fails, and succeeds a day later after a redrive.
    fn events() -> Vec<Event> {
        use EventKind as E;
        let kinds = [
            (E::ExecutionStarted, 0),
            (E::TaskStateEntered, 10),
            (E::TaskScheduled, 20),
            (E::TaskStarted, 30),
            (E::TaskFailed, 1_000),
            (E::ExecutionFailed, 1_010),
            (E::ExecutionRedriven, 86_400_000),
            (E::TaskScheduled, 86_400_010),
            (E::TaskStarted, 86_400_020),
            (E::TaskSucceeded, 86_400_500),
            (E::TaskStateExited, 86_400_510),
            (E::ExecutionSucceeded, 86_400_520),
        ];
        let event = |(id, (kind, ms)): (u64, (EventKind, i64))| Event {
            id,
            previous: if id == 2 { 0 } else { id - 1 },
            at: Timestamp::from_millis(1_790_000_000_000 + ms),
            name: (kind.enters().is_some() || kind.exits().is_some()).then(|| "Load".into()),
            kind,
            resource: None,
            number: None,
            log_bytes: 0,
            detail: None,
        };
        (1..).zip(kinds).map(event).collect()
    }

    fn filled(path: &Path) -> Result<(), StoreError> {
        let store = Store::open(path)?;
        let mut ingest = Ingest::new(&store)?;
        let execution_arn = Name::from(ARN);
        let observed =
            events().into_iter().map(|event| Observation::Event { execution_arn: execution_arn.clone(), event });
        ingest.observe(observed.collect())?;
        ingest.finish().map(|_| ())
    }

    fn rows(store: &Store) -> Result<Vec<String>, StoreError> {
        let rows = TABLES.iter().map(|table| {
            let rows = crate::reader::run(&store.connection, &format!("FROM {table}"), &[])?.rows;
            Ok(format!("{table}: {rows:?}"))
        });
        rows.collect()
    }

    #[test]
    fn an_older_database_gives_the_new_answers_once_it_is_opened_for_writing() -> Result<(), StoreError> {
        let folder = std::env::temp_dir().join(format!("stepscope-reanalysis-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let path = folder.join("old.duckdb");
        filled(&path)?;
        let expected = {
            let store = Store::open(&path)?;
            let expected = rows(&store)?;
            store.connection.execute_batch("DROP VIEW executions; DROP VIEW visits; DROP VIEW attempts;")?;
            store.connection.execute_batch(AS_BEFORE)?;
            expected
        };
        let refused = crate::Reader::open(&path).err().map(|it| it.to_string()).unwrap_or_default();
        assert!(refused.contains("has an older schema"), "{refused}");
        let store = Store::open(&path)?;
        assert_eq!(rows(&store)?, expected);
        let active = "SELECT active_us, runs, rerun, express_ms FROM execution";
        let found = crate::reader::run(&store.connection, active, &[])?.rows;
        assert_eq!(format!("{found:?}"), "[[Int(1530000), Int(2), Int(1), Int(1700)]]");
        drop(store);
        assert!(folder.join("old.duckdb.v1.bak").exists(), "the old one is kept");
        std::fs::remove_dir_all(&folder)?;
        Ok(())
    }
}
