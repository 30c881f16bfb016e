//! What is known of one execution as a whole?

use crate::critical_path::{Step, critical_path};
use crate::model::{
    Detail, Event, EventKind, ExecutionArn, ExecutionRecord, Micros, Name, Status, Timestamp, WorkflowType,
};
use crate::timeline::{Category, Timeline, Visit, VisitStatus};
use crate::transitions::TransitionCount;

/// Everything that is computed from the events and the record of one execution.
#[derive(Clone, Debug)]
pub struct Run {
    pub execution: Execution,
    pub events: Vec<Event>,
    pub record: ExecutionRecord,
    pub timeline: Timeline,
    pub path: Vec<Step>,
}

/// The summary of one execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    pub arn: Name,
    pub machine_arn: Name,
    pub machine: Name,
    pub name: Name,
    pub region: Name,
    pub account: Name,
    pub workflow_type: WorkflowType,
    pub status: Status,
    pub started_at: Option<Timestamp>,
    pub stopped_at: Option<Timestamp>,
    /// Time in which a closed execution waited to be redriven.
    pub idle: Micros,
    pub n_events: u64,
    /// The events tell the whole story.
    pub complete: bool,
    pub gaps: Vec<String>,
    pub transitions: TransitionCount,
    pub error: Option<Name>,
    pub version_arn: Option<Name>,
    pub map_run_arn: Option<Name>,
    pub log_bytes: u64,
    pub billed_ms: Option<u64>,
    pub billed_memory_mb: Option<u64>,
    /// Executions that Tasks of this one started: the Task's event id and the child.
    pub children: Vec<(u64, Name)>,
    /// Map Runs that this one started: the event's id and the run.
    pub map_runs: Vec<(u64, Name)>,
}

impl Execution {
    /// Wall time from start to the last end; `None` while either is not known.
    pub fn duration(&self) -> Option<Micros> {
        Some(self.stopped_at? - self.started_at?)
    }

    pub fn active(&self) -> Option<Micros> {
        self.duration().map(|it| it - self.idle)
    }
}

impl Run {
    /// Analyses events in ascending order of id, each id once, and what else is known of the execution.
    pub fn of(arn: Name, events: Vec<Event>, record: ExecutionRecord) -> Self {
        let timeline = Timeline::of(&events);
        let path = critical_path(&events, &timeline);
        let execution = summarise(arn, &events, &record, &timeline, &path);
        Self { execution, events, record, timeline, path }
    }

    /// Where and with what it failed: the last state that did, and the execution's error, or its status where it has none.
    pub fn failure(&self) -> Option<(Option<Name>, Name)> {
        let it = &self.execution;
        let is_failed = matches!(it.status, Status::Failed | Status::TimedOut | Status::Aborted);
        let failed = |it: &&Visit| matches!(it.status, VisitStatus::Failed | VisitStatus::TimedOut);
        let blamed = self.timeline.visits.iter().rev().filter(failed).find(|it| !it.kind.is_container());
        let error = || it.error.clone().unwrap_or_else(|| it.status.as_str().into());
        is_failed.then(|| (blamed.map(|it| it.state.clone()), error()))
    }

    /// The index of the visit that an event belongs to.
    pub fn visit_of_event(&self, id: u64) -> Option<usize> {
        let index = self.events.binary_search_by_key(&id, |it| it.id).ok()?;
        self.timeline.links[index].owner
    }
}

fn summarise(arn: Name, events: &[Event], record: &ExecutionRecord, timeline: &Timeline, path: &[Step]) -> Execution {
    let parts = ExecutionArn::parse(&arn);
    let closing = timeline.closing.map(|it| &events[it]);
    let first = events.first().filter(|it| it.kind == EventKind::ExecutionStarted);
    let transitions = TransitionCount::of(events, timeline, record);
    let status = closing.map(|it| status_of(&it.kind)).or(record.status).unwrap_or(Status::Running);
    let machine_arn = parts.map(|it| Name::from(it.machine_arn())).or_else(|| record.machine_arn.clone());
    Execution {
        machine_arn: machine_arn.unwrap_or_else(|| "unknown".into()),
        machine: parts.map_or_else(|| "unknown".into(), |it| it.machine.into()),
        name: parts.map_or_else(|| arn.clone(), |it| it.name.into()),
        region: parts.map_or_else(|| "local".into(), |it| it.region.into()),
        account: parts.map_or_else(|| "000000000000".into(), |it| it.account.into()),
        workflow_type: parts.map_or(WorkflowType::Standard, |it| it.workflow_type),
        status,
        started_at: first.map(|it| it.at).or(record.started_at),
        stopped_at: closing.map(|it| it.at).or(record.stopped_at.filter(|_| status.is_closed())),
        idle: path.iter().filter(|it| it.category == Category::RedriveIdle).map(Step::span).sum(),
        n_events: u64::try_from(events.len()).unwrap_or(u64::MAX),
        complete: first.is_some() && closing.is_some() && timeline.gaps.is_empty(),
        gaps: gaps(events, timeline, &transitions),
        transitions,
        error: closing.and_then(Event::error).or(record.error.as_ref()).cloned(),
        version_arn: first
            .and_then(|it| it.detail.as_ref()?.version_arn.clone())
            .or_else(|| record.version_arn.clone()),
        map_run_arn: record.map_run_arn.clone(),
        log_bytes: events.iter().map(|it| u64::from(it.log_bytes)).sum(),
        billed_ms: record.billed_ms,
        billed_memory_mb: record.billed_memory_mb,
        children: named_once(events, |it| it.child_execution_arn.as_ref()),
        map_runs: named_once(events, |it| it.map_run_arn.as_ref()),
        arn,
    }
}

fn status_of(closing: &EventKind) -> Status {
    match closing {
        EventKind::ExecutionSucceeded => Status::Succeeded,
        EventKind::ExecutionFailed => Status::Failed,
        EventKind::ExecutionTimedOut => Status::TimedOut,
        EventKind::ExecutionAborted => Status::Aborted,
        _ => Status::Running,
    }
}

fn gaps(events: &[Event], timeline: &Timeline, transitions: &TransitionCount) -> Vec<String> {
    let mut gaps = timeline.gaps.clone();
    if events.is_empty() {
        gaps.push(
            "no event of this execution could be read: it is known from a listing or a status event only".to_owned(),
        );
    } else if timeline.closing.is_some() && !timeline.gaps.is_empty() {
        gaps.push("billed transitions are a lower bound".to_owned());
    } else if transitions.map_children.is_none() {
        gaps.push("the children of a Map Run are not counted: billed transitions are a lower bound".to_owned());
    }
    gaps
}

/// What the details of events name, each once, at the first event that names it.
fn named_once(events: &[Event], name: impl Fn(&Detail) -> Option<&Name>) -> Vec<(u64, Name)> {
    let mut found: Vec<(u64, Name)> = Vec::new();
    for event in events {
        if let Some(named) = event.detail.as_deref().and_then(&name)
            && !found.iter().any(|(_, known)| known == named)
        {
            found.push((event.id, named.clone()));
        }
    }
    found
}
