//! What is known of one execution as a whole?

use crate::critical_path::{Step, critical_path};
use crate::gaps::{Gap, GapKind};
use crate::model::{
    Detail, Event, EventKind, ExecutionArn, ExecutionRecord, Micros, Name, Status, Timestamp, WorkflowType,
};
use crate::runs::Runs;
use crate::timeline::{Timeline, Visit, VisitStatus};
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
    /// Time in which a closed execution waited to be redriven; `None` where that is not known.
    pub idle: Option<Micros>,
    /// One, and one more for each redrive that is known.
    pub n_runs: u64,
    /// Milliseconds that it would be billed for as Express: each run rounded up for itself.
    pub express_ms: Option<u64>,
    pub n_events: u64,
    /// Events 1 to n are there, the last one closes the execution, and nothing newer is known from elsewhere.
    pub complete: bool,
    pub gaps: Vec<Gap>,
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
        // Times that contradict each other make no duration.
        Some(self.stopped_at? - self.started_at?).filter(|it| *it >= Micros::ZERO)
    }

    /// The time in which it ran: without what lay between its runs.
    pub fn active(&self) -> Option<Micros> {
        Some(self.duration()? - self.idle?)
    }

    /// Whether the service cut off any of its payloads.
    pub fn has_truncated_payload(&self) -> bool {
        self.gaps.iter().any(|it| it.kind == GapKind::TruncatedPayload)
    }
}

impl Run {
    /// Analyses events in ascending order of id, each id once, and what else is known of the execution.
    pub fn of(arn: Name, events: Vec<Event>, record: ExecutionRecord) -> Self {
        let timeline = Timeline::of(&events);
        let path = critical_path(&events, &timeline);
        let execution = summarise(arn, &events, &record, &timeline);
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

    /// Transitions that would not have been billed without retries: those themselves, and all states of rounds of a Parallel
    /// or Map that were tried again.
    pub fn repeated_transitions(&self) -> u64 {
        let timeline = &self.timeline;
        let mut is_repeated: Vec<bool> = Vec::with_capacity(timeline.visits.len());
        let mut sum = 0;
        // Visits come in the order of their entries, so what is around one comes before it.
        for visit in &timeline.visits {
            let entry = self.events.binary_search_by_key(&visit.id, |it| it.id).ok();
            let around = entry.and_then(|it| timeline.flows[timeline.flow_of[it]].owner);
            let is_inside = around.is_some_and(|(owner, round)| {
                is_repeated.get(owner).copied().unwrap_or(false) || round < timeline.visits[owner].rounds
            });
            is_repeated.push(is_inside);
            sum += if is_inside { visit.transitions() } else { visit.n_retries };
        }
        sum
    }

    /// The index of the visit that an event belongs to.
    pub fn visit_of_event(&self, id: u64) -> Option<usize> {
        let index = self.events.binary_search_by_key(&id, |it| it.id).ok()?;
        self.timeline.links[index].owner
    }
}

fn summarise(arn: Name, events: &[Event], record: &ExecutionRecord, timeline: &Timeline) -> Execution {
    let parts = ExecutionArn::parse(&arn);
    let closing = timeline.closing.map(|it| &events[it]);
    let news = News::of(record, closing, events);
    let told = closing.filter(|_| news.is_none());
    let first = events.first().filter(|it| it.kind == EventKind::ExecutionStarted);
    let transitions = TransitionCount::of(events, timeline, record);
    let status = told.map(|it| status_of(&it.kind)).or(record.status).unwrap_or(Status::Running);
    let started_at = first.map(|it| it.at).or(record.started_at);
    let stopped_at = told.map(|it| it.at).or(record.stopped_at.filter(|_| status.is_closed()));
    let runs = Runs::of(events, started_at, stopped_at, record.redrive_count.unwrap_or(0));
    let gaps = gaps(events, record, timeline, &transitions, started_at, news.as_ref());
    let machine_arn = parts.map(|it| Name::from(it.machine_arn())).or_else(|| record.machine_arn.clone());
    Execution {
        machine_arn: machine_arn.unwrap_or_else(|| "unknown".into()),
        machine: parts.map_or_else(|| "unknown".into(), |it| it.machine.into()),
        name: parts.map_or_else(|| arn.clone(), |it| it.name.into()),
        region: parts.map_or_else(|| "local".into(), |it| it.region.into()),
        account: parts.map_or_else(|| "000000000000".into(), |it| it.account.into()),
        workflow_type: parts.map_or(WorkflowType::Standard, |it| it.workflow_type),
        status,
        started_at,
        stopped_at,
        idle: runs.idle,
        n_runs: runs.n_runs,
        express_ms: runs.express_ms,
        n_events: u64::try_from(events.len()).unwrap_or(u64::MAX),
        complete: !gaps.iter().any(|it| it.incomplete),
        gaps,
        transitions,
        error: told.and_then(Event::error).or(record.error.as_ref()).cloned(),
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

/// What a listing, a description or a status event knows that is newer than the events.
enum News {
    Redrives(u64),
    Status(Status),
}

impl News {
    fn of(record: &ExecutionRecord, closing: Option<&Event>, events: &[Event]) -> Option<Self> {
        let redrives = events.iter().filter(|it| it.kind == EventKind::ExecutionRedriven);
        let seen = redrives.clone().filter_map(|it| it.number).max().max(Some(redrives.count() as u64));
        let closing = closing?;
        if record.redrive_count > seen {
            return record.redrive_count.map(Self::Redrives);
        }
        let status = record.status.filter(|it| *it != status_of(&closing.kind))?;
        let is_later = status.is_closed() && record.stopped_at > Some(closing.at);
        (is_later || status == Status::PendingRedrive).then_some(Self::Status(status))
    }

    fn gap(&self) -> Gap {
        match self {
            Self::Redrives(count) => Gap::missing(
                GapKind::NewerStatus,
                format!(
                    "{count} redrives are known, and the events tell of fewer: import or collect the history again"
                ),
            )
            .counting(*count),
            Self::Status(status) => Gap::missing(
                GapKind::NewerStatus,
                format!(
                    "the status is {} by now, which no event tells: import or collect the history again",
                    status.as_str()
                ),
            ),
        }
    }
}

fn gaps(
    events: &[Event],
    record: &ExecutionRecord,
    timeline: &Timeline,
    transitions: &TransitionCount,
    started_at: Option<Timestamp>,
    news: Option<&News>,
) -> Vec<Gap> {
    if events.is_empty() {
        let text = "no event of this execution could be read: it is known from a listing or a status event only";
        return vec![Gap::missing(GapKind::NotCollected, text)];
    }
    let mut gaps = timeline.gaps.clone();
    let lacks_events = gaps.iter().any(|it| it.kind == GapKind::MissingEvents);
    let lacks_any = gaps.iter().any(|it| it.incomplete);
    if record.has_next_page && lacks_any {
        let text = "the file that the events came from ends with a `nextToken`: import the following pages, too \
                    (`aws stepfunctions get-execution-history` without `--max-items` and `--no-paginate` fetches them all)";
        gaps.push(Gap::missing(GapKind::NextPage, text));
    }
    if started_at.is_none() {
        gaps.push(Gap {
            incomplete: lacks_any,
            ..Gap::missing(GapKind::UnknownStart, "it is not known when the execution started")
        });
    }
    let closed_at = timeline.closing.map(|it| events[it].at);
    if closed_at.zip(started_at).is_some_and(|(closed, started)| closed < started) {
        let text = "the execution ends before it starts: its times contradict each other, and it has no duration";
        gaps.push(Gap::missing(GapKind::UnknownStart, text));
    }
    gaps.extend(news.map(News::gap));
    if timeline.closing.is_some() && lacks_events {
        gaps.push(Gap::missing(GapKind::LowerBound, "billed transitions are a lower bound"));
    } else if transitions.map_children.is_none() {
        let text = "the children of a Map Run are not counted: billed transitions are a lower bound";
        gaps.push(Gap::note(GapKind::UncountedChildren, text));
    }
    gaps.extend(truncated(events));
    gaps
}

/// Payloads that the service cut off, as logs say of each.
fn truncated(events: &[Event]) -> Option<Gap> {
    let cut = |event: &Event| event.detail.as_ref().map_or(0, |it| it.n_truncated());
    let first = events.iter().find(|it| cut(it) > 0)?;
    let count: u64 = events.iter().map(cut).sum();
    let payloads = if count == 1 { "1 payload was".to_owned() } else { format!("{count} payloads were") };
    let text = format!("{payloads} cut off by the service, the first at event {}", first.id);
    Some(Gap::note(GapKind::TruncatedPayload, text).at_event(first.id).counting(count))
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
