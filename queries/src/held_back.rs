//! What an import leaves out because it was forgotten: segments and Lambda reports, which name their execution only in part.
//!
//! They wait until the batch is written: a segment that names a forgotten execution may come after those it belongs to.

use analyzer::assembly::Assembly;
use analyzer::model::{LambdaReport, Segment};
use duckdb::types::Value;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::beside::{Replacement, SEGMENT};
use crate::cell::Take;
use crate::forgotten::{Kind, requests_of};
use crate::machines::text;
use crate::own_traces::{self, TraceSegment, owners};
use crate::{Ingest, StoreError, reader};

const STORED: &str =
    "SELECT fingerprint::VARCHAR, segment_id, parent_id, execution_arn, document FROM segment WHERE trace_id = $1";

/// Segments and reports that wait for it to be clear whether they may be stored.
#[derive(Default)]
pub(crate) struct Waiting {
    pub(crate) segments: Vec<Segment>,
    pub(crate) reports: Vec<LambdaReport>,
}

impl Waiting {
    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.reports.is_empty()
    }
}

struct Stored {
    fingerprint: String,
    segment_id: String,
    parent_id: Option<String>,
    execution_arn: Option<String>,
    document: String,
}

impl Ingest<'_> {
    /// Whether an execution is to be left out; the requests that it names are forgotten with it.
    pub(crate) fn is_held_back(&mut self, assembly: &Assembly) -> bool {
        if !self.forgotten.holds_back(Kind::Execution, &assembly.execution_arn) {
            return false;
        }
        for request in requests_of(&assembly.events) {
            self.forgotten.add(Kind::Request, &request);
        }
        if let Some(trace) = assembly.record.as_ref().and_then(|it| it.trace_id.as_ref()) {
            self.forgotten.add(Kind::Trace, trace);
        }
        true
    }

    /// Stores what has waited, without what belongs to forgotten executions.
    pub(crate) fn release_waiting(&mut self) -> Result<(), StoreError> {
        let waiting = std::mem::take(&mut self.waiting);
        let mut traces: FxHashMap<String, Vec<Segment>> = FxHashMap::default();
        for it in waiting.segments {
            traces.entry(it.trace_id.as_deref().unwrap_or_default().to_owned()).or_default().push(it);
        }
        for (trace, segments) in traces {
            for it in self.without_forgotten(&trace, segments)? {
                self.store_segment(&it);
            }
        }
        for it in waiting.reports {
            let is_of_trace =
                it.trace_id.as_ref().is_some_and(|trace| self.forgotten.holds_back(Kind::Trace, trace.as_str()));
            if !self.forgotten.holds_back(Kind::Request, &it.request_id) && !is_of_trace {
                self.store_report(&it);
            }
        }
        self.replacements.extend(std::mem::take(&mut self.forgotten.recalled).into_iter().map(|hash| Replacement {
            table: "forgotten",
            keys: vec![("hash", hash)],
            rows: Vec::new(),
        }));
        for hash in std::mem::take(&mut self.forgotten.fresh) {
            self.side.push(("forgotten", vec![Value::Text(hash), Value::Null, Value::Boolean(true)]));
        }
        Ok(())
    }

    /// The segments of one trace that may be stored; those that are stored and may not be are deleted.
    fn without_forgotten(&mut self, trace: &str, segments: Vec<Segment>) -> Result<Vec<Segment>, StoreError> {
        let is_of_forgotten = !trace.is_empty() && self.forgotten.holds_back(Kind::Trace, trace);
        let mut out: FxHashSet<&str> = FxHashSet::default();
        for arn in segments.iter().filter_map(|it| it.execution_arn.as_deref()) {
            if self.forgotten.holds_back(Kind::Execution, arn) {
                out.insert(arn);
            }
        }
        for it in &segments {
            if self.forgotten.holds_back(Kind::Segment, &segment_key(trace, &it.id)) {
                out.insert(it.id.as_str());
            }
        }
        if !is_of_forgotten && out.is_empty() {
            return Ok(segments.into_iter().map(|it| self.scrubbed(it)).collect());
        }
        let stored = self.stored_segments(trace)?;
        let given = segments.iter().map(|it| TraceSegment {
            id: &it.id,
            parent_id: it.parent_id.as_deref(),
            execution_arn: it.execution_arn.as_deref(),
            document: &it.document,
        });
        let known = stored.iter().map(|it| TraceSegment {
            id: &it.segment_id,
            parent_id: it.parent_id.as_deref(),
            execution_arn: it.execution_arn.as_deref(),
            document: &it.document,
        });
        let all: Vec<TraceSegment<'_>> = given.chain(known).collect();
        let goes: Vec<bool> = owners(&all)
            .into_iter()
            .zip(&all)
            .map(|(owner, it)| owner.map_or(is_of_forgotten || out.contains(it.id), |arn| out.contains(arn)))
            .collect();
        let requests: Vec<String> =
            all.iter().zip(&goes).filter(|it| *it.1).flat_map(|it| own_traces::requests_of(it.0.document)).collect();
        for it in stored.iter().zip(&goes[segments.len()..]).filter(|it| *it.1).map(|it| it.0) {
            let keys = vec![("fingerprint", it.fingerprint.clone())];
            self.replacements.push(Replacement { table: SEGMENT, keys, rows: Vec::new() });
            if let Ok(fingerprint) = it.fingerprint.parse() {
                self.known_side.remove(&(SEGMENT, fingerprint));
            }
        }
        for (it, _) in all.iter().zip(&goes).filter(|it| *it.1) {
            self.forgotten.add(Kind::Segment, &segment_key(trace, it.id));
        }
        for request in requests {
            self.forgotten.add(Kind::Request, &request);
        }
        let stays: Vec<bool> = goes[..segments.len()].iter().map(|it| !it).collect();
        let kept = segments.into_iter().zip(stays).filter(|it| it.1);
        Ok(kept.map(|it| self.scrubbed(it.0)).collect())
    }

    /// A segment without the ARNs of forgotten executions.
    fn scrubbed(&self, mut it: Segment) -> Segment {
        if let Some(clean) = self.forgotten.scrubbed(&it.document) {
            it.document = clean.into_boxed_str();
        }
        it
    }

    fn stored_segments(&self, trace: &str) -> Result<Vec<Stored>, StoreError> {
        if trace.is_empty() {
            return Ok(Vec::new());
        }
        let stored = |row| {
            let mut take = Take::new(row);
            Ok(Stored {
                fingerprint: take.text()?,
                segment_id: take.text()?,
                parent_id: take.opt_text(),
                execution_arn: take.opt_text(),
                document: take.text()?,
            })
        };
        reader::run(self.connection(), STORED, &[text(Some(trace))])?.rows.into_iter().map(stored).collect()
    }
}

/// A segment by trace and id.
pub(crate) fn segment_key(trace: &str, id: &str) -> String {
    format!("{trace}\u{1f}{id}")
}
