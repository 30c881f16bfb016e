//! Observations in, rows of all tables out; the same observations twice change nothing.

use analyzer::assembly::{Assembler, Assembly, fingerprint, hash_of};
use analyzer::execution::Run;
use analyzer::model::{DefinitionText, LambdaReport, Name, Observation, Observed, Segment};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::batch::{Batch, MachineIds};
use crate::history::{StoredExecution, stored_executions, stored_records};
use crate::names::Names;
use crate::{Store, StoreError, reader};

/// Events held of executions that are not complete yet.
const HELD_EVENTS: usize = 400_000;
/// Events that are written in one transaction: a little more than DuckDB's row group.
const BATCH_EVENTS: usize = 150_000;
/// Bytes of payloads that are written in one transaction.
const BATCH_BYTES: usize = 32 << 20;

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportStats {
    pub files: u64,
    /// Executions that are new or have changed.
    pub executions: u64,
    pub events: u64,
    pub segments: u64,
    pub definitions: u64,
    pub lambda_reports: u64,
    pub duplicates: u64,
    pub skipped: u64,
    pub quarantined: u64,
    pub quarantine: Vec<QuarantineRow>,
}

/// Input that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineRow {
    pub source: String,
    pub line: Option<u64>,
    pub reason: String,
}

/// Writes observations into the store, batch by batch, each in one transaction.
pub struct Ingest<'a> {
    store: &'a Store,
    names: Names,
    machines: MachineIds,
    /// Ids of all stored executions by the hash of their ARN.
    executions: FxHashMap<u64, u32>,
    next_execution: u32,
    assembler: Assembler,
    ready: Vec<Assembly>,
    ready_events: usize,
    ready_bytes: usize,
    changed: FxHashSet<u32>,
    stats: ImportStats,
    side: SideRows,
}

/// What is stored beside the executions, waiting for the next transaction.
#[derive(Default)]
struct SideRows {
    segments: Vec<Segment>,
    definitions: Vec<DefinitionText>,
    reports: Vec<LambdaReport>,
    quarantine: Vec<QuarantineRow>,
}

impl<'a> Ingest<'a> {
    pub fn new(store: &'a Store) -> Result<Self, StoreError> {
        let connection = &store.connection;
        let names = Names::load(connection)?;
        let mut machines = MachineIds::default();
        for row in reader::run(connection, "SELECT arn, id FROM machine", &[])?.rows {
            let mut take = crate::cell::Take::new(row);
            machines.insert(take.text()?.into(), u32::try_from(take.count()?).unwrap_or(u32::MAX));
        }
        let mut executions = FxHashMap::default();
        let mut statement = connection.prepare("SELECT arn_hash, id FROM execution")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            executions.insert(row.get(0)?, row.get(1)?);
        }
        let next_execution = executions.values().max().map_or(0, |it| it + 1);
        Ok(Self {
            store,
            names,
            next_execution,
            machines,
            executions,
            assembler: Assembler::with_capacity(HELD_EVENTS),
            ready: Vec::new(),
            ready_events: 0,
            ready_bytes: 0,
            changed: FxHashSet::default(),
            stats: ImportStats::default(),
            side: SideRows::default(),
        })
    }

    /// Takes a batch of observations in, and writes when enough has come together.
    pub fn observe(&mut self, observed: Observed) -> Result<(), StoreError> {
        for observation in observed {
            match observation {
                Observation::Event { execution_arn, event } => {
                    self.ready_bytes += event.detail.as_ref().map_or(0, |it| it.payloads.iter().map(|it| it.body.len()).sum());
                    if let Some(assembly) = self.assembler.add_event(execution_arn, event) {
                        self.ready_events += assembly.events.len();
                        self.ready.push(assembly);
                    }
                }
                Observation::Execution { execution_arn, record } => self.assembler.add_record(execution_arn, *record),
                Observation::Definition(it) => self.side.definitions.push(*it),
                Observation::Segment(it) => self.side.segments.push(*it),
                Observation::LambdaReport(it) => self.side.reports.push(*it),
                Observation::Quarantined { source, line, reason } => self.quarantine(&source, line, reason),
                Observation::Skipped { .. } => self.stats.skipped += 1,
                Observation::File { .. } => self.stats.files += 1,
            }
        }
        if self.assembler.is_full() || self.ready_bytes > BATCH_BYTES {
            let quiet = self.assembler.take_quiet();
            self.ready_events += quiet.iter().map(|it| it.events.len()).sum::<usize>();
            self.ready.extend(quiet);
            return self.write();
        }
        if self.ready_events >= BATCH_EVENTS { self.write() } else { Ok(()) }
    }

    fn quarantine(&mut self, source: &Name, line: Option<u64>, reason: String) {
        self.side.quarantine.push(QuarantineRow { source: source.to_string(), line, reason });
    }

    /// Writes all that is held, also of executions that are not complete.
    pub fn flush(&mut self) -> Result<(), StoreError> {
        self.ready.extend(self.assembler.take_all());
        self.write()
    }

    /// Writes everything and tells what was done.
    pub fn finish(mut self) -> Result<ImportStats, StoreError> {
        self.flush()?;
        self.store.connection.execute_batch("CHECKPOINT")?;
        self.stats.executions = self.changed.len() as u64;
        Ok(self.stats)
    }

    fn write(&mut self) -> Result<(), StoreError> {
        let connection = &self.store.connection;
        connection.execute_batch("BEGIN")?;
        let result = self.write_executions().and_then(|()| self.write_side());
        match result {
            Ok(()) => Ok(connection.execute_batch("COMMIT")?),
            Err(error) => {
                let _ = connection.execute_batch("ROLLBACK");
                Err(error)
            }
        }
    }

    fn write_executions(&mut self) -> Result<(), StoreError> {
        let assemblies = joined(std::mem::take(&mut self.ready));
        (self.ready_events, self.ready_bytes) = (0, 0);
        if assemblies.is_empty() {
            return Ok(());
        }
        let mut stored = self.load_known(&assemblies)?;
        let mut batch = Batch::default();
        let mut replaced = Vec::new();
        for mut assembly in assemblies {
            let known = self.executions.get(&hash_of(&assembly.execution_arn)).and_then(|id| stored.remove(id));
            let known = known.filter(|it| it.arn == assembly.execution_arn);
            self.note_conflicts(&assembly);
            self.stats.duplicates += assembly.duplicates;
            let Some(known) = known else {
                self.stats.events += assembly.events.len() as u64;
                let id = self.new_id(&assembly.execution_arn);
                self.add(id, assembly, &mut batch);
                continue;
            };
            let n_fresh = assembly.events.len() as u64;
            let (id, old) = (known.id, known.fingerprint);
            if fingerprint(&assembly.events, assembly.record.as_ref()) == old {
                self.stats.duplicates += n_fresh.max(1);
                continue;
            }
            assembly.conflicts.clear();
            let n_new = assembly.absorb(known.events, known.record);
            self.note_conflicts(&assembly);
            self.stats.events += n_new;
            self.stats.duplicates += n_fresh - n_new;
            if fingerprint(&assembly.events, assembly.record.as_ref()) != old {
                replaced.push(id);
                self.add(id, assembly, &mut batch);
            } else if n_fresh == 0 {
                self.stats.duplicates += 1;
            }
        }
        self.delete(&replaced)?;
        self.names.append_fresh(&self.store.connection)?;
        batch.append_to(&self.store.connection)
    }

    fn add(&mut self, id: u32, assembly: Assembly, batch: &mut Batch) {
        let mark = fingerprint(&assembly.events, assembly.record.as_ref());
        let run = Run::of(assembly.execution_arn, assembly.events, assembly.record.unwrap_or_default());
        batch.add(id, &run, mark, &mut self.names, &mut self.machines);
        self.changed.insert(id);
    }

    fn new_id(&mut self, arn: &str) -> u32 {
        let id = self.next_execution;
        self.next_execution += 1;
        self.executions.insert(hash_of(arn), id);
        id
    }

    /// Two tellings of one event that cannot both be true: one is kept, and that is said.
    fn note_conflicts(&mut self, assembly: &Assembly) {
        for id in &assembly.conflicts {
            let reason = format!("event {id} of `{}` came with two different types; one was kept", assembly.execution_arn);
            self.side.quarantine.push(QuarantineRow { source: assembly.execution_arn.to_string(), line: None, reason });
        }
    }

    /// What is stored of the executions in this batch; their events only where something may have changed.
    fn load_known(&self, assemblies: &[Assembly]) -> Result<FxHashMap<u32, StoredExecution>, StoreError> {
        let known: FxHashMap<u32, &Assembly> = assemblies
            .iter()
            .filter_map(|it| Some((*self.executions.get(&hash_of(&it.execution_arn))?, it)))
            .collect();
        let mut ids: Vec<u32> = known.keys().copied().collect();
        ids.sort_unstable();
        let query = |sql: &str, params: &[crate::Cell]| reader::run(&self.store.connection, sql, params).map(|it| it.rows);
        let mut found = FxHashMap::default();
        for ids in ids.chunks(4_000) {
            let records = stored_records(&query, ids)?;
            let is_same = |it: &StoredExecution| {
                known.get(&it.id).is_some_and(|assembly| fingerprint(&assembly.events, assembly.record.as_ref()) == it.fingerprint)
            };
            let (same, other): (Vec<_>, Vec<_>) = records.into_values().partition(is_same);
            found.extend(same.into_iter().map(|it| (it.id, it)));
            let other: Vec<u32> = other.into_iter().map(|it| it.id).collect();
            if !other.is_empty() {
                found.extend(stored_executions(&query, &other, true)?.into_iter().map(|it| (it.id, it)));
            }
        }
        Ok(found)
    }

    fn delete(&self, ids: &[u32]) -> Result<(), StoreError> {
        for ids in ids.chunks(4_000) {
            let list = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            for (table, column) in [
                ("execution", "id"),
                ("event", "execution_id"),
                ("payload", "execution_id"),
                ("visit", "execution_id"),
                ("attempt", "execution_id"),
                ("child", "execution_id"),
            ] {
                self.store.connection.execute_batch(&format!("DELETE FROM {table} WHERE {column} IN ({list})"))?;
            }
        }
        Ok(())
    }
}

/// Settles every assembly, and joins those of one execution.
fn joined(assemblies: Vec<Assembly>) -> Vec<Assembly> {
    let mut places: FxHashMap<Name, usize> = FxHashMap::default();
    let mut joined: Vec<Assembly> = Vec::with_capacity(assemblies.len());
    for mut assembly in assemblies {
        assembly.settle();
        match places.get(&assembly.execution_arn) {
            Some(&place) => {
                let known = &mut joined[place];
                let n_events = assembly.events.len() as u64;
                let n_before = known.events.len() as u64;
                known.duplicates += assembly.duplicates;
                known.absorb_other(assembly);
                known.duplicates += n_before + n_events - known.events.len() as u64;
            }
            None => {
                places.insert(assembly.execution_arn.clone(), joined.len());
                joined.push(assembly);
            }
        }
    }
    joined
}

// ---- what is stored beside the executions ---------------------------------------------------------------------------

impl Ingest<'_> {
    fn write_side(&mut self) -> Result<(), StoreError> {
        let side = std::mem::take(&mut self.side);
        self.write_segments(&side.segments)?;
        self.write_definitions(&side.definitions)?;
        self.write_reports(&side.reports)?;
        self.write_quarantine(side.quarantine)
    }

    /// Inserts rows whose fingerprint is not stored yet; returns how many there were.
    fn insert_fresh<T>(&self, table: &str, n_columns: usize, items: &[T], row: impl Fn(&T) -> Vec<duckdb::types::Value>) -> Result<u64, StoreError> {
        if items.is_empty() {
            return Ok(0);
        }
        let marks = vec!["?"; n_columns].join(", ");
        let mut exists = self.store.connection.prepare(&format!("SELECT count(*) FROM {table} WHERE fingerprint = ?"))?;
        let mut insert = self.store.connection.prepare(&format!("INSERT INTO {table} VALUES ({marks})"))?;
        let mut n_fresh = 0;
        for item in items {
            let values = row(item);
            let known: i64 = exists.query_row(duckdb::params![&values[0]], |row| row.get(0))?;
            if known == 0 {
                insert.execute(duckdb::params_from_iter(values))?;
                n_fresh += 1;
            }
        }
        Ok(n_fresh)
    }

    fn write_segments(&mut self, segments: &[Segment]) -> Result<(), StoreError> {
        let fresh = self.insert_fresh("segment", 10, segments, |it| {
            vec![
                mark(&[&it.document]),
                text(it.trace_id.as_ref()),
                text(Some(&it.id)),
                text(it.parent_id.as_ref()),
                text(Some(&it.name)),
                text(it.origin.as_ref()),
                time(Some(it.started_at.0)),
                time(it.ended_at.map(|it| it.0)),
                text(it.execution_arn.as_ref()),
                duckdb::types::Value::Text(it.document.to_string()),
            ]
        })?;
        self.stats.segments += fresh;
        self.stats.duplicates += segments.len() as u64 - fresh;
        Ok(())
    }

    fn write_definitions(&mut self, definitions: &[DefinitionText]) -> Result<(), StoreError> {
        let fresh = self.insert_fresh("definition", 6, definitions, |it| {
            let machine = it.machine_arn.as_deref().unwrap_or(&it.name);
            vec![
                mark(&[machine, &it.text]),
                text(it.machine_arn.as_ref()),
                text(Some(&it.name)),
                it.workflow_type.map_or(duckdb::types::Value::Null, |it| duckdb::types::Value::Text(it.as_str().to_owned())),
                duckdb::types::Value::Text(it.text.to_string()),
                time(it.seen_at.map(|it| it.0)),
            ]
        })?;
        self.stats.definitions += fresh;
        self.stats.duplicates += definitions.len() as u64 - fresh;
        Ok(())
    }

    fn write_reports(&mut self, reports: &[LambdaReport]) -> Result<(), StoreError> {
        use duckdb::types::Value;
        let fresh = self.insert_fresh("lambda_report", 9, reports, |it| {
            vec![
                mark(&[&it.request_id, &it.duration_us.to_string()]),
                text(Some(&it.request_id)),
                time(it.at.map(|it| it.0)),
                Value::BigInt(it.duration_us),
                Value::UBigInt(it.billed_ms),
                Value::UBigInt(it.memory_mb),
                it.max_memory_mb.map_or(Value::Null, Value::UBigInt),
                it.init_us.map_or(Value::Null, Value::BigInt),
                text(it.trace_id.as_ref()),
            ]
        })?;
        self.stats.lambda_reports += fresh;
        self.stats.duplicates += reports.len() as u64 - fresh;
        Ok(())
    }

    fn write_quarantine(&mut self, rows: Vec<QuarantineRow>) -> Result<(), StoreError> {
        use duckdb::types::Value;
        self.insert_fresh("quarantined", 4, &rows, |it| {
            vec![
                mark(&[&it.source, &format!("{:?}", it.line), &it.reason]),
                Value::Text(it.source.clone()),
                it.line.map_or(Value::Null, Value::UBigInt),
                Value::Text(it.reason.clone()),
            ]
        })?;
        self.stats.quarantined += rows.len() as u64;
        self.stats.quarantine.extend(rows);
        Ok(())
    }
}

fn mark(parts: &[&str]) -> duckdb::types::Value {
    duckdb::types::Value::UBigInt(hash_of(&parts.join("\u{1f}")))
}

fn text(name: Option<&Name>) -> duckdb::types::Value {
    name.map_or(duckdb::types::Value::Null, |it| duckdb::types::Value::Text(it.to_string()))
}

fn time(micros: Option<i64>) -> duckdb::types::Value {
    micros.map_or(duckdb::types::Value::Null, |it| duckdb::types::Value::Timestamp(duckdb::types::TimeUnit::Microsecond, it))
}
