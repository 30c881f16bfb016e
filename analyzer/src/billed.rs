//! When was each billed transition made, and by which state?
//!
//! A bill needs only counts; the order in which an account's transitions used up its free tier needs their instants. What is listed
//! here is exactly what is counted in `transitions`.

use crate::execution::Run;
use crate::model::{EventKind, Name, Timestamp};
use crate::transitions::counted_children;

/// One billed transition of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Billed {
    pub at: Timestamp,
    /// The event that it counts at; 0 where none is known.
    pub event: u64,
    /// Index of the visit that made it; `None` of redrives, started children and starts.
    pub visit: Option<usize>,
}

/// What an execution bills beyond its own events.
#[derive(Clone, Debug, Default)]
pub struct Beyond {
    /// Transitions that a start bills by itself.
    pub at_start: u64,
    /// Children that Map Runs of this execution started, as they are billed.
    pub children: u64,
    /// When the stored ones of them started, by Map Run, in ascending order.
    pub child_starts: Vec<(Name, Vec<Timestamp>)>,
    /// All transitions that are counted of it, without those at the start.
    pub counted: u64,
}

/// The transitions of an execution in the order of time. None is earlier than the start of the execution.
pub fn billed(run: &Run, beyond: &Beyond) -> Vec<Billed> {
    let first = run.events.first();
    let begun = run.execution.started_at.or(first.map(|it| it.at)).or(run.execution.stopped_at).unwrap_or(Timestamp(0));
    let at_begin = Billed { at: begun, event: first.map_or(0, |it| it.id), visit: None };
    let mut found = own(run);
    found.extend(children(run, beyond, at_begin));
    // What has no event that is known here counts where the execution began.
    let counted = usize::try_from(beyond.counted).unwrap_or(usize::MAX);
    found.sort_by_key(|it| (it.at, it.event));
    found.truncate(counted);
    let missing = counted - found.len();
    let at_start = usize::try_from(beyond.at_start).unwrap_or(0);
    found.extend(std::iter::repeat_n(at_begin, missing + at_start));
    for it in &mut found {
        it.at = it.at.max(begun);
    }
    found.sort_by_key(|it| (it.at, it.event));
    found
}

/// States entered, states scheduled again, and redrives.
fn own(run: &Run) -> Vec<Billed> {
    let timeline = &run.timeline;
    // The first time that a state is scheduled belongs to its entry.
    let mut again: Vec<(u64, u64)> = timeline.visits.iter().map(|it| (0, it.n_retries + it.n_reruns)).collect();
    let mut found = Vec::with_capacity(run.events.len());
    for (index, event) in run.events.iter().enumerate() {
        let owner = timeline.links.get(index).and_then(|it| it.owner);
        let mut add = |visit: Option<usize>| found.push(Billed { at: event.at, event: event.id, visit });
        if event.kind.enters().is_some() {
            add(timeline.visits.binary_search_by_key(&event.id, |it| it.id).ok().or(owner));
        } else if event.kind == EventKind::ExecutionRedriven {
            add(None);
        } else if event.kind.schedules_attempt()
            || matches!(event.kind, EventKind::MapStateStarted | EventKind::ParallelStateStarted)
        {
            let Some((seen, left)) = owner.and_then(|it| again.get_mut(it)) else { continue };
            *seen += 1;
            if *seen > 1 && *left > 0 {
                *left -= 1;
                add(owner);
            }
        }
    }
    for (visit, (_, left)) in again.into_iter().enumerate() {
        let it = &timeline.visits[visit];
        let at = it.attempts.last().and_then(|it| it.scheduled_at).unwrap_or(it.entered_at);
        found.extend((0..left).map(|_| Billed { at, event: it.id, visit: Some(visit) }));
    }
    found
}

/// A child counts when it started, where it is stored; else when its Map Run did.
fn children(run: &Run, beyond: &Beyond, at_begin: Billed) -> Vec<Billed> {
    let mut left = usize::try_from(beyond.children).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    let mut rest = at_begin;
    let counted = counted_children(&run.events, &run.record).unwrap_or_default();
    for (number, (event, n)) in counted.into_iter().enumerate() {
        let started = run.events.binary_search_by_key(&event, |it| it.id).ok().map(|it| &run.events[it]);
        let here = Billed { at: started.map_or(at_begin.at, |it| it.at), event, visit: None };
        if number == 0 {
            rest = here;
        }
        let map_run = started.and_then(|it| it.detail.as_ref()?.map_run_arn.as_ref());
        let stored = beyond.child_starts.iter().find(|it| Some(&it.0) == map_run).map_or(&[][..], |it| &it.1);
        let of_run = usize::try_from(n).unwrap_or(usize::MAX).min(left);
        left -= of_run;
        found.extend(stored.iter().take(of_run).map(|at| Billed { at: *at, ..here }));
        found.extend(std::iter::repeat_n(here, of_run.saturating_sub(stored.len())));
    }
    found.extend(std::iter::repeat_n(rest, left));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Detail, Event, ExecutionRecord, MapRunRecord};

    const ARN: &str = "arn:aws:states:us-east-1:123456789012:execution:m:e";
    const RUN: &str = "arn:aws:states:us-east-1:123456789012:mapRun:m/Many:r";

    /// Events one after the other: seconds, type, name of the state.
    fn run(rows: &[(i64, EventKind, Option<&str>)], children: Option<u64>) -> Run {
        let event = |(index, (at, kind, name)): (usize, &(i64, EventKind, Option<&str>))| Event {
            id: index as u64 + 1,
            previous: index as u64,
            at: Timestamp(at * 1_000_000),
            kind: kind.clone(),
            name: name.map(Name::from),
            resource: None,
            number: None,
            log_bytes: 0,
            detail: (*kind == EventKind::MapRunStarted)
                .then(|| Box::new(Detail { map_run_arn: Some(RUN.into()), ..Detail::default() })),
        };
        let mut record = ExecutionRecord::default();
        if children.is_some() {
            record.map_runs.insert(RUN.into(), MapRunRecord { children_started: children, ..MapRunRecord::default() });
        }
        Run::of(ARN.into(), rows.iter().enumerate().map(event).collect(), record)
    }

    /// Seconds, event and state of each.
    fn told(run: &Run, beyond: &Beyond) -> Vec<(i64, u64, Option<String>)> {
        let state = |it: usize| run.timeline.visits[it].state.to_string();
        billed(run, beyond).into_iter().map(|it| (it.at.0 / 1_000_000, it.event, it.visit.map(state))).collect()
    }

    fn counted(run: &Run) -> u64 {
        run.execution.transitions.billed().0
    }

    #[test]
    fn entries_retries_and_redrives_count_when_they_happen() {
        use EventKind as E;
        let it = run(
            &[
                (0, E::ExecutionStarted, None),
                (1, E::TaskStateEntered, Some("A")),
                (1, E::TaskScheduled, None),
                (1, E::TaskStarted, None),
                (2, E::TaskFailed, None),
                (5, E::TaskScheduled, None),
                (5, E::TaskStarted, None),
                (6, E::TaskFailed, None),
                (6, E::ExecutionFailed, None),
                (99, E::ExecutionRedriven, None),
                (99, E::TaskStateEntered, Some("A")),
                (99, E::TaskScheduled, None),
                (99, E::TaskStarted, None),
                (100, E::TaskSucceeded, None),
                (100, E::TaskStateExited, Some("A")),
                (101, E::ExecutionSucceeded, None),
            ],
            None,
        );
        let beyond = Beyond { at_start: 2, counted: counted(&it), ..Beyond::default() };
        let a = || Some("A".to_owned());
        assert_eq!(
            told(&it, &beyond),
            [(0, 1, None), (0, 1, None), (1, 2, a()), (5, 6, a()), (99, 10, None), (99, 11, a())]
        );
    }

    #[test]
    fn children_of_a_map_run_count_at_their_start_or_at_that_of_the_run() {
        use EventKind as E;
        let it = run(
            &[
                (0, E::ExecutionStarted, None),
                (1, E::MapStateEntered, Some("Many")),
                (1, E::MapStateStarted, None),
                (2, E::MapRunStarted, None),
                (20, E::MapRunSucceeded, None),
                (20, E::MapStateSucceeded, None),
                (20, E::MapStateExited, Some("Many")),
                (20, E::ExecutionSucceeded, None),
            ],
            Some(4),
        );
        assert_eq!(counted(&it), 5);
        let starts = vec![(RUN.into(), vec![Timestamp(7_000_000), Timestamp(9_000_000)])];
        let beyond = Beyond { children: 4, child_starts: starts, counted: 5, ..Beyond::default() };
        let many = Some("Many".to_owned());
        assert_eq!(told(&it, &beyond), [(1, 2, many), (2, 4, None), (2, 4, None), (7, 4, None), (9, 4, None)]);
    }

    #[test]
    fn as_many_are_listed_as_are_counted() {
        use EventKind as E;
        let it = run(&[(3, E::ExecutionStarted, None), (4, E::PassStateEntered, Some("P"))], None);
        for n in 0..4 {
            let beyond = Beyond { counted: n, ..Beyond::default() };
            let all = billed(&it, &beyond);
            assert_eq!(all.len() as u64, n);
            assert!(all.iter().all(|it| it.at >= Timestamp(3_000_000)));
        }
    }
}
