//! Forgets executions: all their rows, and whatever else of the database was theirs alone.

use std::path::{Path, PathBuf};

use analyzer::assembly::hash_of;
use analyzer::model::{ExecutionArn, PayloadField, Timestamp};
use duckdb::params;
use rustc_hash::FxHashSet;

use crate::cell::Take;
use crate::forgotten::{Forgotten, Kind, MARK, requests_of};
use crate::held_back::segment_key;
use crate::history::stored_executions;
use crate::machines::{text, time};
use crate::own_traces::{self, TraceSegment, owners};
use crate::sidecars::scrub_sidecars;
use crate::{Cell, Ingest, Lake, Store, StoreError, erase, reader, rollup, unused, writer};

const OLDER: &str = "SELECT id FROM execution WHERE started_at < $1 AND status >= 2";
const BESIDE: [&str; 2] =
    ["DELETE FROM segment WHERE ended_at < $1", "DELETE FROM lambda_report WHERE reported_at < $1"];
const NAMED: &str = "SELECT id FROM execution WHERE arn = $1";
const TRACES: &str = "SELECT DISTINCT trace_id FROM segment WHERE execution_arn = $1 AND trace_id IS NOT NULL
    UNION SELECT json_extract_string(record, '$.trace_id') FROM execution WHERE arn = $1 AND record LIKE '%\"trace_id\"%'";
const SEGMENTS: &str = "SELECT fingerprint::VARCHAR, segment_id, parent_id, execution_arn, document FROM segment
    WHERE coalesce(trace_id, '') = $1";
const OTHERS_OF_TRACE: &str = "SELECT count(*) FROM execution WHERE arn != $1 AND contains(record, $2)";
/// Executions that speak of this one.
const SPEAKING: &str = "SELECT execution_id FROM child WHERE child_arn = $1
    UNION SELECT execution_id FROM payload WHERE contains(body, $1)
    UNION SELECT execution_id FROM event_detail WHERE contains(detail, $1)";
/// A name that is shorter may stand in a text by chance.
const TELLING: usize = 8;

/// What was forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forgot {
    pub executions: u64,
    /// Files next to the database that changed or went.
    pub files: Vec<PathBuf>,
}

/// What was pruned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    pub executions: u64,
}

/// What belongs to one execution beside its rows.
#[derive(Default)]
struct Belongings {
    ids: Vec<u64>,
    /// Fingerprints of segments.
    segments: Vec<String>,
    /// Traces that no other execution is part of.
    traces: Vec<String>,
    requests: FxHashSet<String>,
    hashes: Vec<String>,
}

impl Store {
    /// Forgets executions, also in the files next to the database, and remembers hashes of them so that they do not come
    /// back. Their bytes are in the file until it is [erased](Store::erase).
    pub fn forget(&self, execution_arns: &[String], database: &Path) -> Result<Forgot, StoreError> {
        let mut forgot = Forgot::default();
        for arn in execution_arns {
            self.forget_one(arn, database, &mut forgot)?;
        }
        self.checkpoint()?;
        forgot.files.sort();
        forgot.files.dedup();
        Ok(forgot)
    }

    fn forget_one(&self, arn: &str, database: &Path, forgot: &mut Forgot) -> Result<(), StoreError> {
        let mut forgotten = Forgotten::load(&self.connection, false)?;
        let found = self.belongings(arn, &mut forgotten)?;
        if found.ids.is_empty() {
            return Ok(());
        }
        self.remember(&found.hashes, forgotten.new_salt.as_deref())?;
        self.scrub_others(arn, &found.ids)?;
        let name = ExecutionArn::parse(arn).map(|it| it.name.to_owned()).filter(|it| it.len() >= TELLING);
        let mut ids = vec![arn.to_owned()];
        ids.extend(name.clone());
        ids.extend(found.requests.iter().cloned());
        ids.extend(found.traces.iter().cloned());
        let mut files = Vec::new();
        self.in_transaction(|| {
            writer::delete(&self.connection, &found.ids)?;
            self.delete_belongings(arn, name.as_deref(), &found, &forgotten)?;
            self.delete_machine_of_nothing()?;
            let names = self.delete_unused_names()?;
            // Only what is still stored tells what to look for: were the rows gone first, a process killed now would leave
            // the files as they are for ever.
            files = scrub_sidecars(database, &ids, &names)?;
            Ok(())
        })?;
        forgot.executions += found.ids.len() as u64;
        forgot.files.append(&mut files);
        Ok(())
    }

    fn belongings(&self, arn: &str, forgotten: &mut Forgotten) -> Result<Belongings, StoreError> {
        let mut found = Belongings::default();
        for row in self.rows(NAMED, &[text(Some(arn))])? {
            found.ids.push(Take::new(row).count()?);
        }
        if found.ids.is_empty() {
            return Ok(found);
        }
        let query = |sql: &str, params: &[Cell]| self.rows(sql, params);
        for it in stored_executions(&query, &found.ids, &[PayloadField::Output])? {
            found.requests.extend(requests_of(&it.events));
        }
        let mut traces = vec![String::new()];
        for row in self.rows(TRACES, &[text(Some(arn))])? {
            traces.extend(Take::new(row).opt_text().filter(|it| !it.is_empty()));
        }
        for trace in traces {
            self.add_segments(arn, &trace, &mut found, forgotten)?;
        }
        forgotten.add(Kind::Execution, arn);
        for it in &found.traces {
            forgotten.add(Kind::Trace, it);
        }
        for it in &found.requests {
            forgotten.add(Kind::Request, it);
        }
        found.hashes = std::mem::take(&mut forgotten.fresh);
        Ok(found)
    }

    /// Adds the segments of a trace that are the execution's own, or all where no other execution is part of it.
    fn add_segments(
        &self,
        arn: &str,
        trace: &str,
        found: &mut Belongings,
        forgotten: &mut Forgotten,
    ) -> Result<(), StoreError> {
        let mut rows = Vec::new();
        for row in self.rows(SEGMENTS, &[text(Some(trace))])? {
            let mut take = Take::new(row);
            rows.push((take.text()?, take.text()?, take.opt_text(), take.opt_text(), take.text()?));
        }
        let segments: Vec<TraceSegment<'_>> = rows
            .iter()
            .map(|(_, id, parent, execution, document)| TraceSegment {
                id,
                parent_id: parent.as_deref(),
                execution_arn: execution.as_deref(),
                document,
            })
            .collect();
        let is_known_elsewhere = || -> Result<bool, StoreError> {
            let params = [text(Some(arn)), text(Some(trace))];
            let row = self.rows(OTHERS_OF_TRACE, &params)?.into_iter().next();
            Ok(row.map_or(Ok(0), |it| Take::new(it).count())? > 0)
        };
        let is_alone = !trace.is_empty()
            && segments.iter().all(|it| it.execution_arn.is_none_or(|it| it == arn))
            && !is_known_elsewhere()?;
        for ((row, segment), owner) in rows.iter().zip(&segments).zip(owners(&segments)) {
            if owner == Some(arn) || is_alone {
                found.segments.push(row.0.clone());
                found.requests.extend(own_traces::requests_of(segment.document));
                forgotten.add(Kind::Segment, &segment_key(trace, segment.id));
            }
        }
        if is_alone {
            found.traces.push(trace.to_owned());
        }
        Ok(())
    }

    /// Before anything goes, so that it does not come back whatever happens.
    fn remember(&self, hashes: &[String], new_salt: Option<&str>) -> Result<(), StoreError> {
        self.in_transaction(|| {
            if let Some(salt) = new_salt {
                self.connection.execute("INSERT INTO forgotten_salt VALUES (?)", [salt])?;
            }
            for hash in hashes {
                let sql = "INSERT INTO forgotten VALUES (?, now()::TIMESTAMP, false)";
                self.connection.prepare_cached(sql)?.execute(params![hash])?;
            }
            Ok(())
        })
    }

    /// Blots out what other executions say of it, and computes their rows again.
    fn scrub_others(&self, arn: &str, own: &[u64]) -> Result<(), StoreError> {
        let mut others = Vec::new();
        for row in self.rows(SPEAKING, &[text(Some(arn))])? {
            others.push(Take::new(row).count()?);
        }
        others.retain(|it| !own.contains(it));
        if others.is_empty() {
            return Ok(());
        }
        let mut ingest = Ingest::new(self)?;
        for ids in others.chunks(200) {
            let query = |sql: &str, params: &[Cell]| self.rows(sql, params);
            ingest.scrub_stored(stored_executions(&query, ids, &PayloadField::ALL)?)?;
        }
        ingest.finish().map(|_| ())
    }

    fn delete_belongings(
        &self,
        arn: &str,
        name: Option<&str>,
        found: &Belongings,
        forgotten: &Forgotten,
    ) -> Result<(), StoreError> {
        for fingerprints in found.segments.chunks(1_000) {
            let list = fingerprints.join(",");
            self.connection.execute_batch(&format!("DELETE FROM segment WHERE fingerprint IN ({list})"))?;
        }
        for trace in &found.traces {
            self.connection.execute("DELETE FROM lambda_report WHERE trace_id = ?", params![trace])?;
        }
        for request in &found.requests {
            self.connection
                .prepare_cached("DELETE FROM lambda_report WHERE request_id = ?")?
                .execute(params![request])?;
        }
        self.connection.execute("DELETE FROM child WHERE child_arn = ?", params![arn])?;
        self.scrub_segments(arn, forgotten)?;
        // A name counts where it stands as a word.
        let word = name.map(|it| format!("(^|[^A-Za-z0-9_-]){}($|[^A-Za-z0-9_-])", escaped(it)));
        let named = [
            ("quarantined", "source"),
            ("quarantined", "reason"),
            ("gap", "subject"),
            ("gap", "reason"),
            ("mark", "label"),
        ];
        for (table, column) in named {
            self.connection.execute(
                &format!("DELETE FROM {table} WHERE contains({column}, $1) OR ($2 IS NOT NULL AND regexp_matches({column}, $2))"),
                params![arn, word],
            )?;
        }
        Ok(())
    }

    /// Segments of other executions that name it, as an import would store them now.
    fn scrub_segments(&self, arn: &str, forgotten: &Forgotten) -> Result<(), StoreError> {
        let sql = "SELECT fingerprint::VARCHAR, document FROM segment WHERE contains(document, $1)";
        for row in self.rows(sql, &[text(Some(arn))])? {
            let mut take = Take::new(row);
            let (fingerprint, document) = (take.text()?, take.text()?);
            let clean = forgotten.scrubbed(&document).unwrap_or_else(|| document.replace(arn, MARK));
            self.connection.execute(
                "UPDATE segment SET document = ?, fingerprint = ? WHERE fingerprint = ?::UBIGINT",
                params![clean, hash_of(&clean), fingerprint],
            )?;
        }
        Ok(())
    }

    /// A state machine of which no execution is left goes with its tags. What was stored about it for its own sake (its
    /// definition, settings, versions and metrics) stays.
    fn delete_machine_of_nothing(&self) -> Result<(), StoreError> {
        const OF_NOTHING: &str = "(SELECT arn FROM machine WHERE id NOT IN (SELECT machine_id FROM execution))";
        self.connection.execute_batch(&format!("DELETE FROM machine_tag WHERE machine_arn IN {OF_NOTHING}"))?;
        if let Some(suffix) = self.suffix_of_rows() {
            self.connection.execute_batch(&format!(
                "DELETE FROM machine{suffix} WHERE id NOT IN (SELECT machine_id FROM execution)"
            ))?;
        }
        Ok(())
    }

    /// The rollups are added up first, since they name states.
    fn delete_unused_names(&self) -> Result<Vec<String>, StoreError> {
        let Some(suffix) = self.suffix_of_rows() else { return Ok(Vec::new()) };
        rollup::add_up(&self.connection)?;
        unused::delete_names(&self.connection, &format!("name{suffix}"))
    }

    /// The tables of names and machines are those of a file, or the rows behind a lake's views. Where several write a lake,
    /// the others rely on the rows whose ids they know, so those stay.
    fn suffix_of_rows(&self) -> Option<&'static str> {
        match (self.is_lake(), self.catalogue.is_some()) {
            (_, true) => None,
            (true, false) => Some("_row"),
            (false, false) => Some(""),
        }
    }

    /// Forgets the closed executions that started before an instant, and traces and reports from before it, all or nothing.
    pub fn prune(&self, before: Timestamp) -> Result<Pruned, StoreError> {
        let at = [time(Some(before))];
        let mut executions = 0;
        self.in_transaction(|| {
            let mut ids = Vec::new();
            for row in self.rows(OLDER, &at)? {
                ids.push(Take::new(row).count()?);
            }
            for sql in BESIDE {
                reader::run(&self.connection, sql, &at)?;
            }
            writer::delete(&self.connection, &ids)?;
            executions = ids.len() as u64;
            self.delete_unused_names().map(|_| ())
        })?;
        self.checkpoint()?;
        Ok(Pruned { executions })
    }

    /// Writes the file of a database again, so that nothing is left in it of what was deleted; a lake's files likewise, and
    /// its snapshots go.
    pub fn erase(self, path: &Path) -> Result<(), StoreError> {
        let lake = Lake::of(path);
        drop(self);
        match lake {
            Some(lake) => lake.compact(256 << 20, 0),
            None => erase::rewrite(path),
        }
    }

    fn rows(&self, sql: &str, params: &[Cell]) -> Result<Vec<Vec<Cell>>, StoreError> {
        reader::run(&self.connection, sql, params).map(|it| it.rows)
    }
}

/// A text as a regular expression that matches it.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut all, it| {
        if !it.is_alphanumeric() && it != '_' {
            all.push('\\');
        }
        all.push(it);
        all
    })
}
