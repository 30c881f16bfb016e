//! The stored events of executions, back as domain values.

use std::collections::{BTreeMap, BTreeSet};

use analyzer::model::{
    Event, EventKind, ExecutionRecord, MapRunRecord, Name, Payload, PayloadField, Status, Timestamp,
};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::batch::json_to_detail;
use crate::cell::Take;
use crate::packed::unpack;
use crate::{Cell, Reader, StoreError};

const HISTORIES: &str = include_str!("../sql/histories_of_executions.sql");
const DETAILS: &str = include_str!("../sql/details_of_executions.sql");
const NAMES: &str = include_str!("../sql/names.sql");
const PAYLOADS: &str = include_str!("../sql/payloads_of_executions.sql");
const RECORDS: &str = include_str!("../sql/records_of_executions.sql");

/// Everything stored of one execution.
#[derive(Clone, Debug)]
pub struct StoredExecution {
    pub id: u64,
    pub arn: Name,
    pub events: Vec<Event>,
    pub record: Option<ExecutionRecord>,
    pub fingerprint: u64,
}

/// Runs a statement with the ids as its parameter.
pub(crate) type Query<'a> = &'a dyn Fn(&str, &[Cell]) -> Result<Vec<Vec<Cell>>, StoreError>;

impl Reader {
    /// The executions with these ids, their events in ascending order of id, with the payloads that are asked for.
    pub fn stored_executions(
        &self,
        ids: &[u64],
        payloads: &[PayloadField],
    ) -> Result<Vec<StoredExecution>, StoreError> {
        stored_executions(&|sql, params| self.query(sql, params), ids, payloads)
    }
}

pub(crate) fn stored_executions(
    query: Query<'_>,
    ids: &[u64],
    payloads: &[PayloadField],
) -> Result<Vec<StoredExecution>, StoreError> {
    let mut executions = stored_records(query, ids)?;
    let list = id_list(ids);
    add_events(&mut executions, query, &list)?;
    for row in query(&DETAILS.replace("$ids", &list), &[])? {
        let mut take = Take::new(row);
        let (id, event_id) = (take.count()?, take.count()?);
        let error = take.opt_text().map(Name::from);
        if let Some(event) = event_of(&mut executions, id, event_id) {
            event.detail = json_to_detail(take.opt_text().as_deref(), error);
        }
    }
    if !payloads.is_empty() {
        let fields = PayloadField::ALL.iter().enumerate().filter(|it| payloads.contains(it.1));
        let fields = fields.map(|it| it.0.to_string()).collect::<Vec<_>>().join(",");
        for row in query(&PAYLOADS.replace("$ids", &list).replace("$fields", &fields), &[])? {
            add_payload(&mut executions, &mut Take::new(row))?;
        }
    }
    Ok(ids.iter().filter_map(|id| executions.remove(id)).collect())
}

/// The executions without their events.
pub(crate) fn stored_records(query: Query<'_>, ids: &[u64]) -> Result<BTreeMap<u64, StoredExecution>, StoreError> {
    let mut executions = BTreeMap::new();
    for row in query(&RECORDS.replace("$ids", &id_list(ids)), &[])? {
        let mut take = Take::new(row);
        let id = take.count()?;
        let arn = take.text()?.into();
        let fingerprint = take.text()?.parse().unwrap_or(0);
        let record = take.opt_text().as_deref().and_then(json_to_record);
        executions.insert(id, StoredExecution { id, arn, events: Vec::new(), record, fingerprint });
    }
    Ok(executions)
}

/// Ids are our own numbers, so they may stand in the statement.
pub(crate) fn id_list(ids: &[impl ToString]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Adds what every event has; the names among it are fetched once, and each kept once.
fn add_events(executions: &mut BTreeMap<u64, StoredExecution>, query: Query<'_>, list: &str) -> Result<(), StoreError> {
    let mut histories = Vec::new();
    for row in query(&HISTORIES.replace("$ids", list), &[])? {
        let mut take = Take::new(row);
        histories.push((take.count()?, unpack(&take.bytes()?)?));
    }
    let wanted = histories.iter().flat_map(|(_, events)| events).flat_map(|it| [it.kind, it.name, it.resource]);
    let wanted: BTreeSet<u32> = wanted.filter(|&it| it != 0).collect();
    let mut names: FxHashMap<u32, Name> = FxHashMap::default();
    let mut kinds: FxHashMap<u32, EventKind> = FxHashMap::default();
    let wanted: Vec<u32> = wanted.into_iter().collect();
    for row in query(&NAMES.replace("$ids", &id_list(&wanted)), &[])? {
        let mut take = Take::new(row);
        let (id, text) = (u32::try_from(take.count()?).unwrap_or(u32::MAX), take.text()?);
        kinds.insert(id, EventKind::parse(&text));
        names.insert(id, text.into());
    }
    for (id, packed) in histories {
        let Some(execution) = executions.get_mut(&id) else { continue };
        for it in packed {
            let kind = kinds.get(&it.kind).cloned();
            let kind = kind.ok_or_else(|| StoreError::Corrupt(format!("event type {} has no name", it.kind)))?;
            execution.events.push(Event {
                id: it.id,
                previous: it.previous,
                at: Timestamp(it.at),
                kind,
                name: names.get(&it.name).cloned(),
                resource: names.get(&it.resource).cloned(),
                number: it.number,
                log_bytes: it.log_bytes,
                detail: None,
            });
        }
    }
    Ok(())
}

fn event_of(executions: &mut BTreeMap<u64, StoredExecution>, id: u64, event_id: u64) -> Option<&mut Event> {
    let events = &mut executions.get_mut(&id)?.events;
    let index = events.binary_search_by_key(&event_id, |it| it.id).ok()?;
    Some(&mut events[index])
}

fn add_payload(executions: &mut BTreeMap<u64, StoredExecution>, take: &mut Take) -> Result<(), StoreError> {
    let (id, event_id) = (take.count()?, take.count()?);
    let field = usize::try_from(take.count()?).ok().and_then(|it| PayloadField::ALL.get(it).copied());
    let body = take.text()?.into_boxed_str();
    if let (Some(event), Some(field)) = (event_of(executions, id, event_id), field) {
        event.detail_mut().payloads.push(Payload { field, body });
    }
    Ok(())
}

/// The stored form of a record: a promise of its own, apart from the domain type.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct StoredRecord {
    #[serde(skip_serializing_if = "Option::is_none")]
    machine_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_us: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped_us: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alias_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    map_run_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redrive_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    billed_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    billed_memory_mb: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    map_runs: BTreeMap<String, StoredMapRun>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    has_next_page: bool,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct StoredMapRun {
    status: Option<String>,
    children_started: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redrive_count: Option<u64>,
    max_concurrency: Option<u64>,
}

/// A record as JSON; `None` for an empty one.
pub(crate) fn record_to_json(record: &ExecutionRecord) -> Option<Box<str>> {
    if *record == ExecutionRecord::default() {
        return None;
    }
    let text = |it: &Option<Name>| it.as_ref().map(ToString::to_string);
    let stored = StoredRecord {
        machine_arn: text(&record.machine_arn),
        status: record.status.map(|it| it.as_str().to_owned()),
        started_us: record.started_at.map(|it| it.0),
        stopped_us: record.stopped_at.map(|it| it.0),
        error: text(&record.error),
        version_arn: text(&record.version_arn),
        alias_arn: text(&record.alias_arn),
        map_run_arn: text(&record.map_run_arn),
        redrive_count: record.redrive_count,
        billed_ms: record.billed_ms,
        billed_memory_mb: record.billed_memory_mb,
        trace_id: text(&record.trace_id),
        has_next_page: record.has_next_page,
        map_runs: record
            .map_runs
            .iter()
            .map(|(arn, run)| {
                let status = text(&run.status);
                (
                    arn.to_string(),
                    StoredMapRun {
                        status,
                        children_started: run.children_started,
                        redrive_count: run.redrive_count,
                        max_concurrency: run.max_concurrency,
                    },
                )
            })
            .collect(),
    };
    serde_json::to_string(&stored).ok().map(String::into_boxed_str)
}

fn json_to_record(text: &str) -> Option<ExecutionRecord> {
    let stored: StoredRecord = serde_json::from_str(text).ok()?;
    let name = |it: Option<String>| it.map(Name::from);
    Some(ExecutionRecord {
        machine_arn: name(stored.machine_arn),
        status: stored.status.as_deref().and_then(Status::parse),
        started_at: stored.started_us.map(Timestamp),
        stopped_at: stored.stopped_us.map(Timestamp),
        error: name(stored.error),
        version_arn: name(stored.version_arn),
        alias_arn: name(stored.alias_arn),
        map_run_arn: name(stored.map_run_arn),
        redrive_count: stored.redrive_count,
        billed_ms: stored.billed_ms,
        billed_memory_mb: stored.billed_memory_mb,
        trace_id: name(stored.trace_id),
        map_runs: stored
            .map_runs
            .into_iter()
            .map(|(arn, run)| {
                let status = run.status.map(Name::from);
                (
                    Name::from(arn),
                    MapRunRecord {
                        status,
                        children_started: run.children_started,
                        redrive_count: run.redrive_count,
                        max_concurrency: run.max_concurrency,
                    },
                )
            })
            .collect(),
        has_next_page: stored.has_next_page,
    })
}
