//! What is stored beside the executions: definitions, segments, reports, settings, and what the collector remembers.

use analyzer::assembly::hash_of;
use analyzer::model::{
    ApiUse, Collected, DefinitionText, Gap, LambdaReport, MachineSettings, MachineVersion, Segment, WorkflowType,
};
use duckdb::types::{TimeUnit, Value};
use serde_json::{Map, Value as Json};

use crate::Ingest;
use crate::forgotten::Kind;
use crate::ingest::QuarantineRow;

/// Entries of the quarantine that a result names; all are stored.
pub(crate) const NAMED: usize = 10_000;

pub(crate) const SEGMENT: &str = "segment";
pub(crate) const DEFINITION: &str = "definition";
pub(crate) const LAMBDA_REPORT: &str = "lambda_report";
pub(crate) const QUARANTINED: &str = "quarantined";
pub(crate) const VERSION: &str = "machine_version";
pub(crate) const GAP: &str = "gap";

impl Ingest<'_> {
    /// Adds a row unless one of the same fingerprint is stored; says whether it did.
    fn add_side(&mut self, table: &'static str, parts: &[&str], values: Vec<Value>) -> bool {
        let fingerprint = hash_of(&parts.join("\u{1f}"));
        if !self.known_side.insert((table, fingerprint)) {
            return false;
        }
        let mut row = vec![Value::UBigInt(fingerprint)];
        row.extend(values);
        self.side.push((table, row));
        true
    }

    /// Where something was forgotten, it has to wait.
    pub(crate) fn add_segment(&mut self, it: Segment) {
        if self.forgotten.is_empty() { self.store_segment(&it) } else { self.waiting.segments.push(it) }
    }

    pub(crate) fn store_segment(&mut self, it: &Segment) {
        let values = vec![
            text(it.trace_id.as_deref()),
            text(Some(&it.id)),
            text(it.parent_id.as_deref()),
            text(Some(&it.name)),
            text(it.origin.as_deref()),
            time(Some(it.started_at.0)),
            time(it.ended_at.map(|it| it.0)),
            text(it.execution_arn.as_deref()),
            text(Some(&it.document)),
        ];
        let is_fresh = self.add_side(SEGMENT, &[&it.document], values);
        self.stats.segments += u64::from(is_fresh);
        self.stats.duplicates += u64::from(!is_fresh);
    }

    pub(crate) fn add_definition(&mut self, it: &DefinitionText) {
        let values = vec![
            text(it.machine_arn.as_deref()),
            text(Some(&it.name)),
            text(it.workflow_type.map(WorkflowType::as_str)),
            text(Some(&it.text)),
            time(it.seen_at.map(|it| it.0)),
        ];
        let machine = it.machine_arn.as_deref().unwrap_or(&it.name);
        let is_fresh = self.add_side(DEFINITION, &[machine, &it.text], values);
        self.stats.definitions += u64::from(is_fresh);
        self.stats.duplicates += u64::from(!is_fresh);
    }

    pub(crate) fn add_report(&mut self, it: LambdaReport) {
        if self.forgotten.is_empty() { self.store_report(&it) } else { self.waiting.reports.push(it) }
    }

    pub(crate) fn store_report(&mut self, it: &LambdaReport) {
        let values = vec![
            text(Some(&it.request_id)),
            time(it.at.map(|it| it.0)),
            Value::BigInt(it.duration_us),
            Value::UBigInt(it.billed_ms),
            Value::UBigInt(it.memory_mb),
            it.max_memory_mb.map_or(Value::Null, Value::UBigInt),
            it.init_us.map_or(Value::Null, Value::BigInt),
            text(it.trace_id.as_deref()),
        ];
        let is_fresh = self.add_side(LAMBDA_REPORT, &[&it.request_id, &it.duration_us.to_string()], values);
        self.stats.lambda_reports += u64::from(is_fresh);
        self.stats.duplicates += u64::from(!is_fresh);
    }

    pub(crate) fn add_version(&mut self, it: &MachineVersion) {
        let definition = definition_fingerprint(&it.machine_arn, &it.definition);
        let values = vec![
            text(Some(&it.machine_arn)),
            text(Some(&it.version_arn)),
            Value::UBigInt(definition),
            time(Some(it.created_at.0)),
        ];
        self.add_side(VERSION, &[&it.machine_arn, &it.version_arn], values);
    }

    pub(crate) fn add_gap(&mut self, it: &Gap) {
        if self.forgotten.holds_back(Kind::Execution, &it.subject) {
            return;
        }
        let key = format!("{:?}", (it.from.map(|it| it.0), it.to.map(|it| it.0)));
        let values = vec![
            text(Some(it.source)),
            text(Some(&it.subject)),
            time(it.from.map(|it| it.0)),
            time(it.to.map(|it| it.0)),
            text(Some(&it.reason)),
        ];
        self.add_side(GAP, &[it.source, &it.subject, &key], values);
    }

    pub(crate) fn set_aside(&mut self, mut row: QuarantineRow) {
        for it in [&mut row.source, &mut row.reason] {
            if let Some(clean) = self.forgotten.scrubbed(it) {
                *it = clean;
            }
        }
        let values =
            vec![text(Some(&row.source)), row.line.map_or(Value::Null, Value::UBigInt), text(Some(&row.reason))];
        self.add_side(QUARANTINED, &[&row.source, &format!("{:?}", row.line), &row.reason], values);
        self.stats.quarantined += 1;
        if self.stats.quarantine.len() < NAMED {
            self.stats.quarantine.push(row);
        }
    }
}

fn text(it: Option<&str>) -> Value {
    it.map_or(Value::Null, |it| Value::Text(it.to_owned()))
}

fn time(micros: Option<i64>) -> Value {
    micros.map_or(Value::Null, |it| Value::Timestamp(TimeUnit::Microsecond, it))
}

/// As definitions are known by.
fn definition_fingerprint(machine: &str, definition: &str) -> u64 {
    hash_of(&[machine, definition].join("\u{1f}"))
}

// ---- rows that replace those of the same subject -----------------------------------------------------------------------

/// Rows that replace all rows of a table in which some columns have certain values.
pub(crate) struct Replacement {
    pub(crate) table: &'static str,
    pub(crate) keys: Vec<(&'static str, String)>,
    pub(crate) rows: Vec<Vec<Value>>,
}

impl Replacement {
    pub(crate) fn settings(it: &MachineSettings) -> Self {
        let route = |(version, weight): &(analyzer::model::Name, u32)| (version.to_string(), Json::from(*weight));
        let aliases: Map<String, Json> = it
            .aliases
            .iter()
            .map(|(alias, routes)| (alias.to_string(), Json::Object(routes.iter().map(route).collect())))
            .collect();
        let row = vec![
            text(Some(&it.machine_arn)),
            time(it.created_at.map(|it| it.0)),
            text(it.revision_id.as_deref()),
            text(it.role_arn.as_deref()),
            text(Some(&it.log_level)),
            Value::Boolean(it.logs_execution_data),
            text(it.log_group_arn.as_deref()),
            Value::Boolean(it.is_traced),
            text(it.kms_key.as_deref()),
            text(Some(&Json::Object(aliases).to_string())),
            time(Some(it.seen_at.0)),
        ];
        Self { table: "machine_settings", keys: vec![("machine_arn", it.machine_arn.to_string())], rows: vec![row] }
    }

    /// Settings of a time, beside those of others.
    pub(crate) fn described(it: &MachineSettings) -> Self {
        let mut own = Self::settings(it);
        own.keys.push(("seen_at", analyzer::time::format(it.seen_at)));
        own
    }

    pub(crate) fn collected(it: &Collected) -> Self {
        let row = |span: &analyzer::spans::Span| {
            let (from, to) = (time(Some(span.from.0)), time(Some(span.to.0)));
            vec![text(Some(it.source)), text(Some(&it.subject)), time(Some(it.wanted_from.0)), from, to]
        };
        Self {
            table: "collected",
            keys: vec![("source", it.source.to_owned()), ("subject", it.subject.to_string())],
            rows: it.spans.as_slice().iter().map(row).collect(),
        }
    }

    pub(crate) fn api_use(it: &ApiUse) -> Self {
        let row = vec![
            text(Some(&it.account)),
            text(Some(&it.region)),
            text(Some(&it.api)),
            Value::UBigInt(it.calls),
            Value::UBigInt(it.throttled),
            Value::BigInt(it.waited_us),
            Value::UBigInt(it.waiting),
            Value::Double(it.tokens),
            Value::Double(it.bucket),
            Value::Double(it.per_second),
            time(Some(it.at.0)),
        ];
        let keys = [("account", &it.account), ("region", &it.region), ("api", &it.api)];
        Self { table: "api_use", keys: keys.map(|(key, it)| (key, it.to_string())).to_vec(), rows: vec![row] }
    }
}
