//! One batch of analysed executions as rows of all tables.

use analyzer::critical_path::{Step, merged};
use analyzer::digest::{Digest, Sums};
use analyzer::execution::{Execution, Run};
use analyzer::gaps::Gap;
use analyzer::model::{Detail, Event, Micros, Name, PayloadField, Timestamp};
use analyzer::timeline::{Category, Visit};
use rustc_hash::FxHashSet;
use serde_json::{Map, Value};

use crate::StoreError;
use crate::history::record_to_json;
use crate::names::Names;
use crate::packed::{PackedEvent, Packer};
use crate::packed_attempts::{self, PackedAttempt};
use crate::packed_path::{self, PackedStep};
use crate::packed_sums;
use crate::rollup::Contributions;
use crate::rows::{
    Appenders, At, ChildLine, ChildRows, EventDetailLine, EventDetailRows, ExecutionLine, ExecutionRows, HistoryLine,
    HistoryRows, MachineLine, MachineRows, PayloadLine, PayloadRows, VisitLine, VisitRows,
};

/// Rows waiting to be appended.
#[derive(Default)]
pub(crate) struct Batch {
    executions: ExecutionRows,
    packer: Packer,
    path: Vec<u8>,
    attempts: Vec<u8>,
    sums: Vec<u8>,
    histories: HistoryRows,
    event_details: EventDetailRows,
    payloads: PayloadRows,
    visits: VisitRows,
    children: ChildRows,
    machines: MachineRows,
    pub(crate) contributions: Contributions,
}

/// What stands for "none" among the ids of packed events.
const NONE: u32 = 0;

impl Batch {
    pub(crate) fn add(&mut self, id: u64, run: &Run, fingerprint: u64, names: &mut Names) {
        let mut critical = vec![Micros::ZERO; run.timeline.visits.len()];
        let path = merged(&run.path);
        for step in &path {
            if let Some(owner) = step.owner {
                critical[owner] += step.span();
            }
        }
        let machine_id = self.machine(&run.execution, names);
        self.contributions.add_run(machine_id, run);
        self.add_execution(id, machine_id, run, fingerprint, names);
        for event in &run.events {
            self.add_event(id, event, names);
        }
        self.add_history(id, run, &path, names);
        for (index, visit) in run.timeline.visits.iter().enumerate() {
            let state = names.id_of(&visit.state);
            self.contributions.add_visit(machine_id, run, visit, state, critical[index]);
            self.add_visit(id, visit, state, critical[index], names);
        }
        for (event_id, child) in run.execution.children.iter().chain(&run.execution.map_runs) {
            self.children.push(ChildLine {
                execution_id: Some(id),
                event_id: Some(small(*event_id)),
                visit_id: run.visit_of_event(*event_id).map(|it| small(run.timeline.visits[it].id)),
                child_arn: Some((**child).into()),
            });
        }
    }

    fn add_execution(&mut self, id: u64, machine_id: u32, run: &Run, fingerprint: u64, names: &mut Names) {
        let it = &run.execution;
        self.executions.push(ExecutionLine {
            id: Some(id),
            arn: Some((*it.arn).into()),
            arn_hash: Some(analyzer::assembly::hash_of(&it.arn)),
            machine_id: Some(machine_id),
            name: Some((*it.name).into()),
            workflow_type: Some(it.workflow_type as u8),
            status: Some(it.status as u8),
            started_at: it.started_at.map(at),
            stopped_at: it.stopped_at.map(at),
            duration_us: it.duration().map(|it| it.0),
            idle_us: it.idle.map(|it| it.0),
            n_events: u32::try_from(it.n_events).ok(),
            complete: Some(it.complete),
            gaps: gaps_to_json(&it.gaps),
            entered: Some(it.transitions.entered),
            retries: Some(it.transitions.retries),
            redrives: Some(it.transitions.redrives),
            map_children: it.transitions.map_children,
            billed_transitions: Some(it.transitions.billed().0),
            error_id: it.error.as_ref().map(|it| names.id(it)),
            version_arn: it.version_arn.as_deref().map(Into::into),
            map_run_arn: it.map_run_arn.as_deref().map(Into::into),
            log_bytes: Some(it.log_bytes),
            billed_ms: it.billed_ms,
            billed_memory_mb: it.billed_memory_mb,
            payload_mb: payload_mb(run),
            fingerprint: Some(fingerprint),
            record: record_to_json(&run.record),
            active_us: it.active().map(|it| it.0),
            rerun: Some(it.transitions.rerun),
            runs: Some(it.n_runs),
            express_ms: it.express_ms,
        });
    }

    fn machine(&mut self, execution: &Execution, names: &mut Names) -> u32 {
        let (id, is_fresh) = names.machine(&execution.machine_arn);
        if !is_fresh {
            return id;
        }
        self.machines.push(MachineLine {
            id: Some(id),
            arn: Some((*execution.machine_arn).into()),
            name: Some((*execution.machine).into()),
            region: Some((*execution.region).into()),
            account: Some((*execution.account).into()),
        });
        id
    }

    /// What is stored of an execution as one value each.
    fn add_history(&mut self, id: u64, run: &Run, path: &[Step], names: &mut Names) {
        let visits = &run.timeline.visits;
        self.path.clear();
        let steps = path.iter().map(|step| PackedStep {
            visit: step.owner.map(|it| small(visits[it].id)),
            category: step.category as u8,
            from: step.from.0,
            to: step.to.0,
        });
        packed_path::pack(steps, &mut self.path);
        self.attempts.clear();
        let numbered = visits.iter().flat_map(|visit| (1..).zip(&visit.attempts).map(move |it| (visit, it)));
        let attempts = numbered.map(|(visit, (number, it))| PackedAttempt {
            visit: small(visit.id),
            number,
            redrive: it.redrive,
            scheduled: it.scheduled_at.map(|it| it.0),
            started: it.started_at.map(|it| it.0),
            submitted: it.submitted_at.map(|it| it.0),
            ended: it.ended_at.map(|it| it.0),
            status: it.status as u8,
            error: it.error.as_ref().map(|it| names.id(it)),
            resource: it.resource.as_ref().map(|it| names.id_of(it)),
        });
        packed_attempts::pack(attempts, &mut self.attempts);
        self.sums.clear();
        if let Some(start) = run.execution.started_at.filter(|_| Digest::is_of(run)) {
            packed_sums::pack(&Sums::of(run), start, names, &mut self.sums);
        }
        let (histories, path, attempts, sums) = (&mut self.histories, &self.path, &self.attempts, &self.sums);
        self.packer.take(|events| {
            histories.push(HistoryLine {
                execution_id: Some(id),
                events: Some(events.into()),
                path: Some(path.as_slice().into()),
                attempts: Some(attempts.as_slice().into()),
                sums: (!sums.is_empty()).then(|| sums.as_slice().into()),
            });
        });
    }

    fn add_event(&mut self, id: u64, event: &Event, names: &mut Names) {
        self.packer.push(&PackedEvent {
            id: event.id,
            previous: event.previous,
            kind: names.kind_id(&event.kind),
            at: event.at.0,
            name: event.name.as_ref().map_or(NONE, |it| names.id_of(it)),
            resource: event.resource.as_ref().map_or(NONE, |it| names.id_of(it)),
            number: event.number,
            log_bytes: event.log_bytes,
        });
        let error_id = event.error().map(|it| names.id(it));
        let detail = event.detail.as_deref().and_then(detail_to_json);
        if error_id.is_some() || detail.is_some() {
            self.event_details.push(EventDetailLine {
                execution_id: Some(id),
                event_id: Some(small(event.id)),
                error_id,
                detail,
            });
        }
        for payload in event.detail.iter().flat_map(|it| &it.payloads) {
            self.payloads.push(PayloadLine {
                execution_id: Some(id),
                event_id: Some(small(event.id)),
                field: Some(payload.field as u8),
                body: Some(payload.body.clone()),
            });
        }
    }

    fn add_visit(&mut self, id: u64, visit: &Visit, state: u32, critical: Micros, names: &mut Names) {
        let split = |category: Category| Some(visit.split[category].0);
        self.visits.push(VisitLine {
            execution_id: Some(id),
            visit_id: Some(small(visit.id)),
            parent_id: visit.parent.map(small),
            branch: visit.branch,
            iteration: visit.iteration,
            state_id: Some(state),
            state_type: Some(visit.kind as u8),
            entered_at: Some(at(visit.entered_at)),
            exited_at: visit.exited_at.map(at),
            duration_us: visit.duration().map(|it| it.0),
            status: Some(visit.status as u8),
            error_id: visit.error.as_ref().map(|it| names.id(it)),
            n_attempts: u32::try_from(visit.attempts.len()).ok(),
            retries: Some(small(visit.n_retries)),
            work_us: split(Category::Work),
            callback_us: split(Category::Callback),
            queue_us: split(Category::Queue),
            backoff_us: split(Category::Backoff),
            wait_us: split(Category::Wait),
            slot_wait_us: split(Category::SlotWait),
            overhead_us: split(Category::Overhead),
            critical_us: Some(critical.0),
            active_us: visit.active().map(|it| it.0),
            rerun: Some(small(visit.n_reruns)),
        });
    }

    pub(crate) fn append_to(&mut self, appenders: &mut Appenders<'_>) -> Result<(), StoreError> {
        self.machines.append_to(appenders)?;
        self.executions.append_to(appenders)?;
        self.histories.append_to(appenders)?;
        self.event_details.append_to(appenders)?;
        self.payloads.append_to(appenders)?;
        self.visits.append_to(appenders)?;
        self.children.append_to(appenders)
    }
}

/// The gaps of an execution as one list of objects; `None` where there are none.
fn gaps_to_json(gaps: &[Gap]) -> Option<Box<str>> {
    (!gaps.is_empty()).then(|| gaps.iter().map(Gap::to_value).collect::<Value>().to_string().into_boxed_str())
}

/// Ids and counts within one execution: the service allows 25,000 events, logs of Express executions a few more.
fn small(it: u64) -> u32 {
    u32::try_from(it).unwrap_or(u32::MAX)
}

fn at(instant: Timestamp) -> At {
    At(instant.0)
}

/// What the documented estimate of memory adds for payloads: the largest input times the branches and items that got one, in
/// whole megabytes; none where no input is kept.
fn payload_mb(run: &Run) -> Option<u64> {
    let inputs = run.events.iter().filter_map(|it| it.payload(PayloadField::Input));
    let largest = inputs.map(str::len).max()? as u64;
    let inner = run.timeline.visits.iter().filter(|it| it.parent.is_some());
    let got_one: FxHashSet<_> = inner.map(|it| (it.parent, it.branch, it.iteration)).collect();
    Some((largest * got_one.len() as u64).div_ceil(1_000_000))
}

/// The rarer members that have no column, as one object; `None` when there are none.
fn detail_to_json(detail: &Detail) -> Option<Box<str>> {
    let own = [
        ("mapRunArn", &detail.map_run_arn),
        ("childExecutionArn", &detail.child_execution_arn),
        ("stateMachineVersionArn", &detail.version_arn),
    ];
    if own.iter().all(|(_, it)| it.is_none()) {
        return detail.rest.clone();
    }
    let mut fields: Map<String, Value> =
        detail.rest.as_deref().and_then(|it| serde_json::from_str(it).ok()).unwrap_or_default();
    fields.extend(
        own.into_iter().filter_map(|(key, it)| it.as_ref().map(|it| (key.to_owned(), Value::from(it.as_str())))),
    );
    Some(Value::Object(fields).to_string().into_boxed_str())
}

/// The inverse of [`detail_to_json`].
pub(crate) fn json_to_detail(text: Option<&str>, error: Option<Name>) -> Option<Box<Detail>> {
    let mut fields: Map<String, Value> = text.and_then(|it| serde_json::from_str(it).ok()).unwrap_or_default();
    let mut own = |key: &str| match fields.shift_remove(key) {
        Some(Value::String(it)) => Some(Name::from(it)),
        _ => None,
    };
    let mut detail = Detail {
        error,
        map_run_arn: own("mapRunArn"),
        child_execution_arn: own("childExecutionArn"),
        version_arn: own("stateMachineVersionArn"),
        ..Detail::default()
    };
    detail.rest = (!fields.is_empty()).then(|| Value::Object(fields).to_string().into_boxed_str());
    (detail != Detail::default()).then(|| Box::new(detail))
}
