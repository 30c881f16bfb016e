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
