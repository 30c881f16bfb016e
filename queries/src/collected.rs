//! What does the collector remember? How far executions are known, and which spans of time were read.

use analyzer::model::{ApiUse, Name, Timestamp};
use analyzer::spans::{Span, Spans};
use rustc_hash::FxHashMap;

use crate::cell::Take;
use crate::machines::time;
use crate::{Reader, StoreError};

const KNOWN: &str = include_str!("../sql/known_executions.sql");
const LOGGED_IN_PART: &str = "SELECT machine_arn FROM machine_settings GROUP BY machine_arn
    HAVING arg_max(log_level, seen_at) IN ('ERROR', 'FATAL') ORDER BY 1";
const SPANS: &str = "SELECT source, subject, wanted_from, from_at, to_at FROM collected";
const DEFINITIONS: &str = "SELECT fingerprint FROM definition UNION ALL SELECT fingerprint FROM machine_version";
const MEANS: &str =
    "SELECT m.arn, ceil(avg(e.n_events))::UBIGINT FROM execution e JOIN machine m ON m.id = e.machine_id
    WHERE e.complete GROUP BY ALL";
const NEWEST: &str = "SELECT split_part(m.arn, ':', 5), max(coalesce(e.stopped_at, e.started_at))
    FROM execution e JOIN machine m ON m.id = e.machine_id
    WHERE coalesce(e.stopped_at, e.started_at) IS NOT NULL GROUP BY ALL";
const USES: &str =
    "SELECT account, region, api, calls, throttled, waited_us, waiting, tokens, bucket, per_second, seen_at
    FROM api_use ORDER BY ALL";

const COVERAGE: &str = "SELECT state_machine_arn, machine, executions, complete, started, seen, coverage
    FROM coverage_between($1::TIMESTAMP, $2::TIMESTAMP) ORDER BY ALL";

/// How much of one machine is known.
#[derive(Clone, Debug, PartialEq)]
pub struct CoverageRow {
    pub machine_arn: String,
    pub machine: String,
    pub executions: u64,
    pub complete: u64,
    /// What CloudWatch counted, where it did, and what of that is stored.
    pub started: Option<u64>,
    pub seen: Option<u64>,
    /// The part of the executions that is known in full.
    pub coverage: Option<f64>,
}

/// How far one execution is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownExecution {
    pub arn_hash: u64,
    pub upto: u64,
    pub redrives: u64,
    pub is_complete: bool,
    /// The ARNs of the execution and its machine, and its start, where it has not ended.
    pub running: Option<(Name, Name, Option<Timestamp>)>,
}

/// How far back a subject is to be read, and what of that has been.
pub type SubjectSpans = (Timestamp, Spans);

impl Reader {
    /// Up to when anything was read, of what was read last; `None` where nothing was collected.
    pub fn newest_collected(&self) -> Result<Option<Timestamp>, StoreError> {
        let mut rows = self.query("SELECT max(to_at) FROM collected", &[])?.into_iter();
        Ok(rows.next().and_then(|row| Take::new(row).opt_int()).map(Timestamp))
    }

    /// Executions that are running, and finished ones that stopped since then.
    pub fn known_executions(&self, since: Option<Timestamp>) -> Result<Vec<KnownExecution>, StoreError> {
        let known = |row| {
            let mut take = Take::new(row);
            let (arn_hash, upto, redrives) = (take.hash()?, take.count()?, take.count()?);
            let is_complete = take.flag();
            let (arn, machine_arn, started_at) = (take.opt_text(), take.opt_text(), take.opt_int().map(Timestamp));
            let running = arn.zip(machine_arn).map(|(arn, machine)| (arn.into(), machine.into(), started_at));
            Ok(KnownExecution { arn_hash, upto, redrives, is_complete, running })
        };
        self.query(KNOWN, &[time(since)])?.into_iter().map(known).collect()
    }

    /// By source and subject.
    pub fn collected_spans(&self) -> Result<FxHashMap<(String, String), SubjectSpans>, StoreError> {
        let mut found: FxHashMap<(String, String), SubjectSpans> = FxHashMap::default();
        for row in self.query(SPANS, &[])? {
            let mut take = Take::new(row);
            let key = (take.text()?, take.text()?);
            let (wanted, from, to) = (Timestamp(take.int()?), Timestamp(take.int()?), Timestamp(take.int()?));
            let known = found.entry(key).or_insert_with(|| (wanted, Spans::default()));
            known.1.add(Span { from, to });
        }
        Ok(found)
    }

    /// The state machines that log failures alone: what was read of their logs does not tell of all executions.
    pub fn logged_in_part(&self) -> Result<Vec<String>, StoreError> {
        self.query(LOGGED_IN_PART, &[])?.into_iter().map(|row| Take::new(row).text()).collect()
    }

    /// Fingerprints of the definitions and versions that are stored.
    pub fn definition_fingerprints(&self) -> Result<Vec<u64>, StoreError> {
        self.query(DEFINITIONS, &[])?.into_iter().map(|row| Take::new(row).hash()).collect()
    }

    /// The mean number of events of a complete execution, by machine.
    pub fn mean_events(&self) -> Result<FxHashMap<Name, u64>, StoreError> {
        let mean = |row| {
            let mut take = Take::new(row);
            Ok((take.text()?.into(), take.count()?))
        };
        self.query(MEANS, &[])?.into_iter().map(mean).collect()
    }

    /// The newest start or end of an execution, by account.
    pub fn newest_by_account(&self) -> Result<FxHashMap<String, Timestamp>, StoreError> {
        let newest = |row| {
            let mut take = Take::new(row);
            Ok((take.text()?, Timestamp(take.int()?)))
        };
        self.query(NEWEST, &[])?.into_iter().map(newest).collect()
    }

    /// How the collector used each API when it last said so.
    pub fn api_uses(&self) -> Result<Vec<ApiUse>, StoreError> {
        let api_use = |row| {
            let mut take = Take::new(row);
            Ok(ApiUse {
                account: take.text()?.into(),
                region: take.text()?.into(),
                api: take.text()?.into(),
                calls: take.count()?,
                throttled: take.count()?,
                waited_us: take.int()?,
                waiting: take.count()?,
                tokens: take.opt_float().unwrap_or(0.0),
                bucket: take.opt_float().unwrap_or(0.0),
                per_second: take.opt_float().unwrap_or(0.0),
                at: Timestamp(take.int()?),
            })
        };
        self.query(USES, &[])?.into_iter().map(api_use).collect()
    }

    /// Whether CloudWatch's counts of any machine are stored.
    pub fn has_counts(&self) -> Result<bool, StoreError> {
        Ok(!self
            .query("SELECT 1 FROM metric WHERE name = 'ExecutionsStarted' AND period_s = 3600 LIMIT 1", &[])?
            .is_empty())
    }

    /// How much of each machine is known of a range of start times.
    pub fn coverage(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> Result<Vec<CoverageRow>, StoreError> {
        let covered = |row| {
            let mut take = Take::new(row);
            Ok(CoverageRow {
                machine_arn: take.text()?,
                machine: take.text()?,
                executions: take.count()?,
                complete: take.count()?,
                started: take.opt_count(),
                seen: take.opt_count(),
                coverage: take.opt_float(),
            })
        };
        self.query(COVERAGE, &[time(since), time(until)])?.into_iter().map(covered).collect()
    }

    /// What can never be read any more: its subject and the reason, the newest first.
    pub fn gaps(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.pairs("SELECT subject, reason FROM gap ORDER BY to_at DESC NULLS LAST, subject LIMIT 200")
    }

    /// Input that was set aside: its source and the reason.
    pub fn quarantine(&self, limit: usize) -> Result<Vec<(String, String)>, StoreError> {
        self.pairs(&format!("SELECT source, reason FROM quarantined ORDER BY ALL LIMIT {limit}"))
    }

    fn pairs(&self, sql: &str) -> Result<Vec<(String, String)>, StoreError> {
        let pair = |row| {
            let mut take = Take::new(row);
            Ok((take.text()?, take.text()?))
        };
        self.query(sql, &[])?.into_iter().map(pair).collect()
    }
}
