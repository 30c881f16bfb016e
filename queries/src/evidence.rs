//! What traces and Lambda reports say about executions.

use analyzer::model::{LambdaReport, Name, Timestamp};
use analyzer::traces::{Evidence, Trace};
use rustc_hash::FxHashMap;

use crate::cell::Take;
use crate::history::id_list;
use crate::{Reader, StoreError};

const SEGMENTS: &str = include_str!("../sql/segments_of_executions.sql");
const REPORTS: &str = include_str!("../sql/reports_of_executions.sql");

impl Reader {
    /// Whether there are any traces or reports at all.
    pub fn has_evidence(&self) -> Result<bool, StoreError> {
        let count = "SELECT (SELECT count(*) FROM segment) + (SELECT count(*) FROM lambda_report)";
        let mut rows = self.query(count, &[])?.into_iter();
        rows.next().map_or(Ok(false), |row| Ok(Take::new(row).count()? > 0))
    }

    /// Traces and reports of the executions with these ids; executions without any are missing.
    pub fn evidence(&self, ids: &[u64]) -> Result<FxHashMap<u64, Evidence>, StoreError> {
        let list = id_list(ids);
        let mut documents: FxHashMap<u64, Vec<String>> = FxHashMap::default();
        let mut found: FxHashMap<u64, Evidence> = FxHashMap::default();
        for row in self.query(&SEGMENTS.replace("$ids", &list), &[])? {
            let mut take = Take::new(row);
            let (id, trace_id) = (take.count()?, Name::from(take.text()?));
            documents.entry(id).or_default().push(take.text()?);
            let trace_ids = &mut found.entry(id).or_default().trace_ids;
            if !trace_ids.contains(&trace_id) {
                trace_ids.push(trace_id);
            }
        }
        for (id, documents) in documents {
            found.entry(id).or_default().trace = Trace::parse(documents.iter().map(String::as_str));
        }
        for row in self.query(&REPORTS.replace("$ids", &list), &[])? {
            let mut take = Take::new(row);
            let id = take.count()?;
            let (event, trace_id) = (take.opt_count(), take.opt_text().map(Name::from));
            let report = LambdaReport {
                request_id: take.text()?.into(),
                at: take.opt_int().map(Timestamp),
                duration_us: take.int()?,
                billed_ms: take.count()?,
                memory_mb: take.count()?,
                max_memory_mb: take.opt_count(),
                init_us: take.opt_int(),
                trace_id: trace_id.clone(),
            };
            let evidence = found.entry(id).or_default();
            evidence.requests.extend(event.map(|it| (it, report.request_id.clone())));
            if let Some(trace_id) = trace_id.filter(|it| !evidence.trace_ids.contains(it)) {
                evidence.trace_ids.push(trace_id);
            }
            if !evidence.reports.iter().any(|it| it.request_id == report.request_id) {
                evidence.reports.push(report);
            }
        }
        Ok(found)
    }
}
