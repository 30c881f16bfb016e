//! Observations in, rows of all tables out; the same observations twice change nothing.

use std::rc::Rc;

use analyzer::assembly::{Assembler, Assembly, fingerprint, hash_of};
use analyzer::execution::Run;
use analyzer::model::{MachineTags, MetricPoint, Name, Observation, Observed, PayloadField, Timestamp};
use duckdb::types::Value;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::beside::{DEFINITION, GAP, LAMBDA_REPORT, NAMED, QUARANTINED, Replacement, SEGMENT, VERSION};
use crate::catalogue::Catalogue;
use crate::forgotten::Forgotten;
use crate::held_back::Waiting;
use crate::history::{StoredExecution, id_list, stored_executions, stored_records};
use crate::names::Names;
use crate::store::another;
use crate::writer::{Prepared, Writer};
use crate::{Store, StoreError, reader};

/// Events held of executions that are not complete yet.
const HELD_EVENTS: usize = 400_000;
/// Bytes of payloads that may come before what is held of them is written, complete or not.
const HELD_BYTES: usize = 96 << 20;
/// Events that are analysed and appended together.
const BATCH_EVENTS: usize = 15_000;
/// Bytes of payloads that are appended together.
const BATCH_BYTES: usize = 12 << 20;

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
    /// Executions, segments and reports that were left out because they were forgotten.
    pub forgotten: u64,
    pub quarantine: Vec<QuarantineRow>,
    pub skipped_files: Vec<SkippedFile>,
    /// Files of which something went in, and valid answers without content.
    pub used_files: u64,
}

/// A file that holds nothing of a known form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedFile {
    pub source: String,
    pub reason: String,
    /// The user asked for this file, not for a folder that it lies in, or it could not be read.
    pub is_named: bool,
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
    /// Ids of all stored executions by the hash of their ARN.
    executions: FxHashMap<u64, u64>,
    /// Ids that may be given to new ones, up to the last; whoever shares a lake gets them in blocks.
    next_execution: u64,
    last_execution: u64,
    catalogue: Option<Rc<Catalogue>>,
    assembler: Assembler,
    ready: Vec<Assembly>,
    ready_events: usize,
    ready_bytes: usize,
    /// Bytes of what came since everything was written.
    held_bytes: usize,
    changed: FxHashSet<u64>,
    pub(crate) stats: ImportStats,
    /// Fingerprints of what is stored beside the executions.
    pub(crate) known_side: FxHashSet<(&'static str, u64)>,
    pub(crate) side: Vec<(&'static str, Vec<Value>)>,
    tags: Vec<MachineTags>,
    metrics: Vec<MetricPoint>,
    pub(crate) replacements: Vec<Replacement>,
    pub(crate) forgotten: Forgotten,
    pub(crate) waiting: Waiting,
    /// Spans that were read: they are stored together with everything that came before them.
    marks: Vec<Replacement>,
    writer: Writer,
}

impl<'a> Ingest<'a> {
    pub fn new(store: &'a Store) -> Result<Self, StoreError> {
        let connection = &store.connection;
        // Of one moment, and asked for once where the tables are a lake's.
        connection.execute_batch("BEGIN")?;
        let catalogue = store.catalogue.clone();
        let names = Names::load(connection, catalogue.clone())?;
        let mut executions = FxHashMap::default();
        let mut statement = connection.prepare("SELECT arn_hash, id FROM execution")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            executions.insert(row.get(0)?, row.get(1)?);
        }
        let mut known_side = FxHashSet::default();
        for table in [SEGMENT, DEFINITION, LAMBDA_REPORT, QUARANTINED, VERSION, GAP] {
            let mut statement = connection.prepare(&format!("SELECT fingerprint FROM {table}"))?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                known_side.insert((table, row.get(0)?));
            }
        }
        let forgotten = Forgotten::load(connection, store.takes_again)?;
        connection.execute_batch("COMMIT")?;
        let next_execution = match catalogue {
            // None yet.
            Some(_) => 1,
            None => executions.values().max().map_or(0, |it| it + 1),
        };
        Ok(Self {
            store,
            names,
            next_execution,
            executions,
            assembler: Assembler::with_capacity(HELD_EVENTS),
            ready: Vec::new(),
            ready_events: 0,
            ready_bytes: 0,
            held_bytes: 0,
            changed: FxHashSet::default(),
            stats: ImportStats::default(),
            known_side,
            side: Vec::new(),
            tags: Vec::new(),
            metrics: Vec::new(),
            replacements: Vec::new(),
            forgotten,
            waiting: Waiting::default(),
            marks: Vec::new(),
            last_execution: if catalogue.is_some() { 0 } else { u64::MAX },
            catalogue,
            writer: Writer::start(another(connection)?, store.commits()),
        })
    }

    /// Takes a batch of observations in, and writes when enough has come together.
    pub fn observe(&mut self, observed: Observed) -> Result<(), StoreError> {
        for observation in observed {
            let n_bytes = observation.n_bytes();
            self.ready_bytes += n_bytes;
            self.held_bytes += n_bytes;
            match observation {
                Observation::Event { execution_arn, event } => {
                    if let Some(assembly) = self.assembler.add_event(&execution_arn, event) {
                        self.ready_events += assembly.events.len();
                        self.ready.push(assembly);
                    }
                }
                Observation::Execution { execution_arn, record } => self.assembler.add_record(execution_arn, *record),
                Observation::Definition(it) => self.add_definition(&it),
                Observation::Segment(it) => self.add_segment(*it),
                Observation::LambdaReport(it) => self.add_report(*it),
                Observation::Tags(it) => self.tags.push(*it),
                Observation::Metric(it) => self.metrics.push(*it),
                Observation::Settings(it) => self.replacements.push(Replacement::settings(&it)),
                Observation::Described(it) => self.replacements.push(Replacement::described(&it)),
                Observation::Version(it) => self.add_version(&it),
                Observation::Collected(it) => self.marks.push(Replacement::collected(&it)),
                Observation::Gap(it) => self.add_gap(&it),
                Observation::ApiUse(uses) => self.replacements.extend(uses.iter().map(Replacement::api_use)),
                Observation::Quarantined { source, line, reason } => {
                    self.set_aside(QuarantineRow { source: source.to_string(), line, reason });
                }
                Observation::Skipped { source, reason, is_named } => {
                    self.stats.skipped += 1;
                    if self.stats.skipped_files.len() < NAMED {
                        self.stats.skipped_files.push(SkippedFile { source: source.to_string(), reason, is_named });
                    }
                }
                Observation::File { is_used, .. } => {
                    self.stats.files += 1;
                    self.stats.used_files += u64::from(is_used);
                }
            }
        }
        if !self.marks.is_empty() {
            self.ready.extend(self.assembler.take_all());
            self.replacements.append(&mut self.marks);
            return self.write();
        }
        let is_heavy = self.ready_bytes > BATCH_BYTES;
        if self.held_bytes > HELD_BYTES {
            self.ready.extend(self.assembler.take_all());
            self.held_bytes = 0;
            return self.write();
        }
        if self.assembler.is_full() || (is_heavy && self.ready.is_empty() && !self.assembler.is_empty()) {
            let quiet = self.assembler.take_quiet();
            self.ready_events += quiet.iter().map(|it| it.events.len()).sum::<usize>();
            self.ready.extend(quiet);
            return self.write();
        }
        if is_heavy || self.ready_events >= BATCH_EVENTS { self.write() } else { Ok(()) }
    }

    /// Writes all that is held, also of executions that are not complete.
    pub fn flush(&mut self) -> Result<(), StoreError> {
        self.ready.extend(self.assembler.take_all());
        self.write()?;
        self.writer.commit()?;
        self.store.check_in_place()
    }

    /// Whether anything waits to be written.
    pub fn is_idle(&self) -> bool {
        self.assembler.is_empty()
            && self.ready.is_empty()
            && self.side.is_empty()
            && self.replacements.is_empty()
            && self.waiting.is_empty()
    }

    /// What was done so far.
    pub fn stats(&self) -> &ImportStats {
        &self.stats
    }

    /// Writes all that is held, and tidies up what many small transactions leave behind.
    pub fn tidy(&mut self) -> Result<(), StoreError> {
        self.flush()?;
        self.store.tidy()?;
        Ok(())
    }

    /// Writes all that is held, and forgets closed executions that started before an instant.
    pub fn forget_before(&mut self, at: Timestamp) -> Result<u64, StoreError> {
        self.flush()?;
        let pruned = self.store.prune(at)?;
        // Names that nothing used are gone, so their ids are not to be used either.
        self.names = Names::load(&self.store.connection, self.catalogue.clone())?;
        Ok(pruned.executions)
    }

    /// Replaces stored executions by what is left of them without what they say of forgotten ones.
    pub(crate) fn scrub_stored(&mut self, stored: Vec<StoredExecution>) -> Result<(), StoreError> {
        let mut prepared = Prepared::default();
        for mut it in stored {
            self.forgotten.scrub(&mut it.events);
            if fingerprint(&it.events, it.record.as_ref()) == it.fingerprint {
                continue;
            }
            prepared.replaced.push(it.id);
            prepared.replaced_as.push(it.fingerprint);
            let mark = fingerprint(&it.events, it.record.as_ref());
            let run = Run::of(it.arn, it.events, it.record.unwrap_or_default());
            prepared.n_events += run.events.len();
            prepared.batch.add(it.id, &run, mark, &mut self.names);
        }
        prepared.names = self.names.take_fresh()?;
        self.writer.append(prepared)
    }

    pub(crate) fn connection(&self) -> &duckdb::Connection {
        &self.store.connection
    }

    /// From here on other ids stand for the executions that these do.
    pub(crate) fn forget_ids(&mut self, ids: &[u64]) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT arn_hash, min(id) FROM execution WHERE arn_hash IN (SELECT arn_hash FROM execution WHERE id IN ({})) AND id NOT IN ({}) GROUP BY arn_hash",
            id_list(ids),
            id_list(ids)
        );
        for row in reader::run(&self.store.connection, &sql, &[])?.rows {
            let mut it = crate::cell::Take::new(row);
            self.executions.insert(it.hash()?, it.count()?);
        }
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn begin_ids_at(&mut self, id: u64) {
        self.next_execution = id;
    }

    /// Writes everything and tells what was done.
    pub fn finish(mut self) -> Result<ImportStats, StoreError> {
        self.flush()?;
        self.store.checkpoint()?;
        self.store.check_in_place()?;
        self.stats.executions = self.changed.len() as u64;
        self.stats.forgotten = self.forgotten.held_back.len() as u64;
        Ok(self.stats)
    }

    /// Analyses what is ready and hands its rows to the writer.
    fn write(&mut self) -> Result<(), StoreError> {
        self.store.check_in_place()?;
        let mut prepared = Prepared::default();
        self.prepare_executions(&mut prepared)?;
        if !self.forgotten.is_empty() || !self.forgotten.recalled.is_empty() || !self.waiting.is_empty() {
            self.release_waiting()?;
        }
        prepared.names = self.names.take_fresh()?;
        prepared.side = std::mem::take(&mut self.side);
        prepared.tags = std::mem::take(&mut self.tags);
        prepared.metrics = std::mem::take(&mut self.metrics);
        prepared.replacements = std::mem::take(&mut self.replacements);
        self.writer.append(prepared)
    }

    fn prepare_executions(&mut self, prepared: &mut Prepared) -> Result<(), StoreError> {
        let mut assemblies = joined(std::mem::take(&mut self.ready));
        if !self.forgotten.is_empty() {
            assemblies.retain(|it| !self.is_held_back(it));
            for it in &mut assemblies {
                self.forgotten.scrub(&mut it.events);
            }
        }
        prepared.n_bytes = self.ready_bytes;
        (self.ready_events, self.ready_bytes) = (0, 0);
        if assemblies.is_empty() {
            return Ok(());
        }
        let mut stored = self.load_known(&assemblies)?;
        for mut assembly in assemblies {
            let known = self.executions.get(&hash_of(&assembly.execution_arn)).and_then(|id| stored.remove(id));
            let known = known.filter(|it| it.arn == assembly.execution_arn);
            self.note_conflicts(&assembly);
            self.stats.duplicates += assembly.duplicates;
            let Some(known) = known else {
                self.stats.events += assembly.events.len() as u64;
                let id = self.new_id(&assembly.execution_arn)?;
                self.add(id, assembly, prepared);
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
            self.forgotten.scrub(&mut assembly.events);
            self.note_conflicts(&assembly);
            self.stats.events += n_new;
            self.stats.duplicates += n_fresh - n_new;
            if fingerprint(&assembly.events, assembly.record.as_ref()) != old {
                prepared.replaced.push(id);
                prepared.replaced_as.push(old);
                self.add(id, assembly, prepared);
            } else if n_fresh == 0 {
                self.stats.duplicates += 1;
            }
        }
        Ok(())
    }

    fn add(&mut self, id: u64, assembly: Assembly, prepared: &mut Prepared) {
        let mark = fingerprint(&assembly.events, assembly.record.as_ref());
        let run = Run::of(assembly.execution_arn, assembly.events, assembly.record.unwrap_or_default());
        prepared.n_events += run.events.len();
        prepared.batch.add(id, &run, mark, &mut self.names);
        self.assembler.recycle(run.events);
        self.changed.insert(id);
    }

    fn new_id(&mut self, arn: &str) -> Result<u64, StoreError> {
        if let Some(catalogue) = self.catalogue.as_ref().filter(|_| self.next_execution > self.last_execution) {
            (self.next_execution, self.last_execution) = catalogue.execution_ids()?;
        }
        let id = self.next_execution;
        self.next_execution += 1;
        self.executions.insert(hash_of(arn), id);
        Ok(id)
    }

    /// Two tellings of one event that cannot both be true: one is kept, and that is said.
    fn note_conflicts(&mut self, assembly: &Assembly) {
        for id in &assembly.conflicts {
            let reason =
                format!("event {id} of `{}` came with two different types; one was kept", assembly.execution_arn);
            self.set_aside(QuarantineRow { source: assembly.execution_arn.to_string(), line: None, reason });
        }
    }

    /// What is stored of the executions in this batch; their events only where something may have changed.
    fn load_known(&mut self, assemblies: &[Assembly]) -> Result<FxHashMap<u64, StoredExecution>, StoreError> {
        let known: FxHashMap<u64, &Assembly> =
            assemblies.iter().filter_map(|it| Some((*self.executions.get(&hash_of(&it.execution_arn))?, it))).collect();
        let mut ids: Vec<u64> = known.keys().copied().collect();
        ids.sort_unstable();
        if !ids.is_empty() {
            // They may still be on their way to the database.
            self.writer.commit()?;
        }
        let query =
            |sql: &str, params: &[crate::Cell]| reader::run(&self.store.connection, sql, params).map(|it| it.rows);
        let mut found = FxHashMap::default();
        for ids in ids.chunks(4_000) {
            let records = stored_records(&query, ids)?;
            let is_same = |it: &StoredExecution| {
                known
                    .get(&it.id)
                    .is_some_and(|assembly| fingerprint(&assembly.events, assembly.record.as_ref()) == it.fingerprint)
            };
            let (same, other): (Vec<_>, Vec<_>) = records.into_values().partition(is_same);
            found.extend(same.into_iter().map(|it| (it.id, it)));
            let other: Vec<u64> = other.into_iter().map(|it| it.id).collect();
            if !other.is_empty() {
                found.extend(stored_executions(&query, &other, &PayloadField::ALL)?.into_iter().map(|it| (it.id, it)));
            }
        }
        Ok(found)
    }
}

/// Settles every assembly, and joins those of one execution.
fn joined(assemblies: Vec<Assembly>) -> Vec<Assembly> {
    let mut places: FxHashMap<Name, usize> = FxHashMap::default();
    let mut joined: Vec<Assembly> = Vec::with_capacity(assemblies.len());
    for mut assembly in assemblies {
        assembly.settle();
        if let Some(&place) = places.get(&assembly.execution_arn) {
            let known = &mut joined[place];
            let n_events = assembly.events.len() as u64;
            let n_before = known.events.len() as u64;
            known.duplicates += assembly.duplicates;
            known.absorb_other(assembly);
            known.duplicates += n_before + n_events - known.events.len() as u64;
        } else {
            places.insert(assembly.execution_arn.clone(), joined.len());
            joined.push(assembly);
        }
    }
    joined
}
