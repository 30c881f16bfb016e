//! The runs of an execution: it runs once, and once more after each redrive. What lies between two runs is not run time.

use crate::model::{Event, EventKind, Micros, Timestamp};

/// Express executions are billed in steps of so many milliseconds, and at least one.
const BILLED_STEP: i64 = 100_000;

/// What the runs of one execution add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runs {
    /// One, and one more for each redrive that is known.
    pub n_runs: u64,
    /// The time between runs; `None` where it is not known when one of them ended or began.
    pub idle: Option<Micros>,
    /// Milliseconds that an Express execution would be billed for: each run rounded up for itself.
    pub express_ms: Option<u64>,
}

/// The time from a closing event to the redrive that follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rest {
    closed_at: Timestamp,
    redriven_at: Timestamp,
}

impl Runs {
    /// `n_redrives` is how many are known from anywhere; the events may tell of fewer.
    pub fn of(events: &[Event], start: Option<Timestamp>, stop: Option<Timestamp>, n_redrives: u64) -> Self {
        let rests = rests(events);
        let n_known = u64::try_from(rests.len()).unwrap_or(u64::MAX).max(n_redrives);
        let rests: Option<Vec<Rest>> = rests.into_iter().collect();
        let rests = rests.filter(|it| it.len() as u64 == n_known);
        Self {
            n_runs: 1 + n_known,
            idle: rests.as_ref().map(|it| it.iter().map(|it| (it.redriven_at - it.closed_at).max(Micros::ZERO)).sum()),
            express_ms: rests.zip(start).zip(stop).map(|((rests, start), stop)| express_ms(&rests, start, stop)),
        }
    }
}

/// One for each redrive; `None` where the event that closed the run before is missing.
fn rests(events: &[Event]) -> Vec<Option<Rest>> {
    let mut rests = Vec::new();
    let mut closed_at = None;
    for event in events {
        if event.kind.closes_execution() {
            closed_at = Some(event.at);
        } else if event.kind == EventKind::ExecutionRedriven {
            rests.push(closed_at.take().map(|closed_at| Rest { closed_at, redriven_at: event.at }));
        } else if closed_at.is_some() && event.kind.belongs_to_a_run() {
            // The event that told of the redrive is missing.
            closed_at = None;
            rests.push(None);
        }
    }
    rests
}

fn express_ms(rests: &[Rest], start: Timestamp, stop: Timestamp) -> u64 {
    let starts = std::iter::once(start).chain(rests.iter().map(|it| it.redriven_at));
    let stops = rests.iter().map(|it| it.closed_at).chain(std::iter::once(stop));
    let billed = |(start, stop): (Timestamp, Timestamp)| {
        let n_billed = (stop - start).0.max(0).cast_unsigned().div_ceil(BILLED_STEP.cast_unsigned());
        n_billed.max(1) * (BILLED_STEP / 1_000).cast_unsigned()
    };
    starts.zip(stops).map(billed).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: u64, kind: EventKind, ms: i64) -> Event {
        Event {
            id,
            previous: id - 1,
            at: Timestamp::from_millis(ms),
            kind,
            name: None,
            resource: None,
            number: None,
            log_bytes: 0,
            detail: None,
        }
    }

    fn runs(events: &[Event], n_redrives: u64) -> Runs {
        let (first, last) = (events[0].at, events[events.len() - 1].at);
        Runs::of(events, Some(first), Some(last), n_redrives)
    }

    #[test]
    fn each_run_is_rounded_up_for_itself_and_what_lies_between_is_idle() {
        let events = [
            event(1, EventKind::ExecutionStarted, 0),
            event(2, EventKind::ExecutionFailed, 101),
            event(3, EventKind::ExecutionRedriven, 5_000),
            event(4, EventKind::ExecutionSucceeded, 5_010),
        ];
        let whole = Runs { n_runs: 2, idle: Some(Micros::from_millis(4_899)), express_ms: Some(300) };
        assert_eq!(runs(&events, 1), whole);
        assert_eq!(runs(&events[..2], 0), Runs { n_runs: 1, idle: Some(Micros::ZERO), express_ms: Some(200) });
    }

    #[test]
    fn a_redrive_that_no_event_tells_of_leaves_the_times_unknown() {
        let events = [
            event(1, EventKind::ExecutionStarted, 0),
            event(2, EventKind::ExecutionFailed, 101),
            event(4, EventKind::TaskScheduled, 5_000),
            event(5, EventKind::ExecutionSucceeded, 5_010),
        ];
        assert_eq!(runs(&events, 0), Runs { n_runs: 2, idle: None, express_ms: None });
        assert_eq!(runs(&events[..2], 1), Runs { n_runs: 2, idle: None, express_ms: None });
    }
}
