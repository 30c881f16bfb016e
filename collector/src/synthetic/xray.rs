//! The X-Ray trace of a simulated execution: its own segment, and those of the functions it calls.

use serde_json::{Value, json};

use super::truth::{TruthCall, TruthVisit};
use super::workload::Started;

/// One call of so many finds no function that is ready.
const COLD_ONE_IN: u64 = 5;

/// A cold start: the visit by the id of its entry, the attempt from 0, and how long the function was initialised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColdStart {
    pub visit: u64,
    pub attempt: usize,
    pub ms: i64,
}

/// The segment documents of an execution's trace; subsegments are in no particular order, as X-Ray's are.
pub fn xray_documents(started: &Started) -> Vec<Value> {
    let run = &started.run;
    let machine = started.execution_arn.split(':').nth(6).unwrap_or_default();
    let mut documents = vec![json!({
        "id": id(started, 0, 0),
        "name": machine,
        "start_time": seconds(run.started_ms),
        "end_time": seconds(run.stopped_ms),
        "trace_id": trace_id(started),
        "fault": !run.succeeded,
        "aws": {"resource_arn": started.execution_arn},
        "origin": "AWS::StepFunctions::StateMachine",
        "resource_arn": format!("arn:aws:states:us-east-1:123456789012:stateMachine:{machine}"),
        "cause": {},
        "subsegments": inside(started, None),
    })];
    for visit in &run.visits {
        documents.extend(visit.calls.iter().map(|call| function(started, visit, call)));
    }
    documents
}

/// What the functions' initialisations took.
pub fn cold_starts(started: &Started) -> Vec<ColdStart> {
    let calls = started.run.visits.iter().flat_map(|visit| visit.calls.iter().map(move |call| (visit, call)));
    let cold = |(visit, call): (&TruthVisit, &TruthCall)| {
        let ms = initialised_ms(visit, call)?;
        Some(ColdStart { visit: visit.id, attempt: call.attempt, ms })
    };
    calls.filter_map(cold).collect()
}

fn initialised_ms(visit: &TruthVisit, call: &TruthCall) -> Option<i64> {
    let ms = (call.ended_ms - call.started_ms) * 2 / 5;
    let is_cold = (visit.id + call.started_ms.unsigned_abs()).is_multiple_of(COLD_ONE_IN);
    (is_cold && ms > 0).then_some(ms)
}

/// The subsegments of the states inside a visit, those of a Map under their items.
fn inside(started: &Started, parent: Option<u64>) -> Vec<Value> {
    let mut subsegments: Vec<Value> = Vec::new();
    let mut items: std::collections::BTreeMap<u32, Vec<&TruthVisit>> = std::collections::BTreeMap::new();
    for visit in started.run.visits.iter().rev().filter(|it| it.parent == parent) {
        match visit.iteration.filter(|_| parent.is_some()) {
            Some(item) => items.entry(item).or_default().push(visit),
            None => subsegments.push(state(started, visit)),
        }
    }
    for (item, visits) in items {
        let from = visits.iter().map(|it| it.entered_ms).min().unwrap_or_default();
        let to = visits.iter().map(|it| it.exited_ms).max().unwrap_or_default();
        subsegments.push(json!({
            "id": id(started, visits[0].id, 9),
            "name": format!("Iteration {item}"),
            "start_time": seconds(from),
            "end_time": seconds(to),
            "cause": {},
            "subsegments": visits.iter().map(|it| state(started, it)).collect::<Vec<_>>(),
        }));
    }
    subsegments
}

fn state(started: &Started, visit: &TruthVisit) -> Value {
    let call = |call: &TruthCall| {
        json!({
            "id": call_id(started, visit, call),
            "name": "Lambda",
            "namespace": "aws",
            "start_time": seconds(call.started_ms),
            "end_time": seconds(call.ended_ms),
            "aws": {"operation": "Invoke", "region": "us-east-1", "request_id": request_id(started, visit, call)},
            "cause": {},
        })
    };
    let mut below = inside(started, Some(visit.id));
    below.extend(visit.calls.iter().map(call));
    json!({
        "id": id(started, visit.id, 1),
        "name": visit.state,
        "start_time": seconds(visit.entered_ms),
        "end_time": seconds(visit.exited_ms),
        "cause": {},
        "subsegments": below,
    })
}

/// The segment that a function sends itself.
fn function(started: &Started, visit: &TruthVisit, call: &TruthCall) -> Value {
    let initialised = initialised_ms(visit, call);
    let begun = call.started_ms + initialised.unwrap_or(0);
    let part = |name: &str, place: u64, from: i64, to: i64| {
        let id = id(started, visit.id, place + 10 * (call.attempt as u64 + 1));
        json!({"id": id, "name": name, "start_time": seconds(from), "end_time": seconds(to)})
    };
    let mut parts = vec![part("Invocation", 2, begun, call.ended_ms)];
    if initialised.is_some() {
        parts.push(part("Initialization", 3, call.started_ms, begun));
    }
    json!({
        "id": id(started, visit.id, 4 + 10 * (call.attempt as u64 + 1)),
        "parent_id": call_id(started, visit, call),
        "trace_id": trace_id(started),
        "name": visit.state,
        "origin": "AWS::Lambda::Function",
        "start_time": seconds(call.started_ms),
        "end_time": seconds(call.ended_ms),
        "aws": {"request_id": request_id(started, visit, call)},
        "subsegments": parts,
    })
}

#[expect(clippy::cast_precision_loss, reason = "X-Ray writes seconds as floating-point numbers")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

/// Sixteen hexadecimal digits, the same whenever they are asked for.
fn id(started: &Started, visit: u64, place: u64) -> String {
    let number = (visit * 1_000 + place).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    format!("{:016x}", number ^ hash(&started.execution_arn))
}

fn call_id(started: &Started, visit: &TruthVisit, call: &TruthCall) -> String {
    id(started, visit.id, 5 + 10 * (call.attempt as u64 + 1))
}

fn request_id(started: &Started, visit: &TruthVisit, call: &TruthCall) -> String {
    let hash = hash(&started.execution_arn);
    format!("{:08x}-{:04x}-4000-8000-{:012x}", hash >> 32, call.attempt, (hash & 0xffff_ffff) << 16 | visit.id)
}

fn trace_id(started: &Started) -> String {
    format!("1-{:08x}-{:024x}", started.run.started_ms / 1_000, hash(&started.execution_arn))
}

/// Fowler, Noll and Vo's hash: the same on every machine.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
