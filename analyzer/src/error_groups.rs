//! Which errors are there, and which of them are the same? By state, error and cause, the cause without what differs from one
//! execution to the next: ids, numbers, times.

use std::collections::BTreeMap;

use crate::compare::Side;
use crate::execution::Run;
use crate::model::{Event, Name, PayloadField, Timestamp};
use crate::timeline::VisitStatus;

/// Examples that are kept of a group.
const EXAMPLES: usize = 3;
/// Causes are compared up to so many characters: what follows is stack traces.
const CAUSE: usize = 160;

/// Errors that are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorGroup {
    /// `None` where no state is to blame.
    pub state: Option<Name>,
    pub error: Name,
    /// `None` where no cause is kept.
    pub cause: Option<String>,
    /// Executions that met it on each side: baseline, incident.
    pub executions: [u64; 2],
    /// Times that it came: those that were retried, those that a Catch took, and those that nothing took.
    pub retried: u64,
    pub caught: u64,
    pub fatal: u64,
    pub first_seen: Option<Timestamp>,
    pub last_seen: Option<Timestamp>,
    pub examples: Vec<Name>,
}

type Key = (Option<Name>, Name, Option<String>);

fn is_error(event: &Event) -> bool {
    event.kind.fails_attempt() || event.kind.times_out_attempt()
}

/// Collects the errors of executions.
#[derive(Debug, Default)]
pub struct ErrorGroups(BTreeMap<Key, ErrorGroup>);

impl ErrorGroups {
    /// Whether a run met any error.
    pub fn is_met_by(run: &Run) -> bool {
        run.failure().is_some() || run.events.iter().any(is_error)
    }

    pub fn add(&mut self, run: &Run, side: Side) {
        let mut met: Vec<Key> = Vec::new();
        for event in run.events.iter().filter(|it| is_error(it)) {
            let Some(owner) = run.visit_of_event(event.id) else { continue };
            let visit = &run.timeline.visits[owner];
            let last = visit.attempts.last().and_then(|it| it.ended_at);
            let detail = event.detail.as_ref();
            let Some(error) = detail.and_then(|it| it.error.clone()).or_else(|| visit.error.clone()) else { continue };
            let cause = event.payload(PayloadField::Cause).map(normalised);
            let key = (Some(visit.state.clone()), error, cause);
            let group = self.group(&key);
            // What came before the last attempt of a visit was tried again.
            match visit.status {
                _ if last.is_some_and(|last| event.at < last) => group.retried += 1,
                VisitStatus::Caught => group.caught += 1,
                VisitStatus::Succeeded | VisitStatus::Running => group.retried += 1,
                VisitStatus::Failed | VisitStatus::Aborted | VisitStatus::TimedOut => group.fatal += 1,
            }
            group.first_seen = Some(group.first_seen.map_or(event.at, |it| it.min(event.at)));
            group.last_seen = Some(group.last_seen.map_or(event.at, |it| it.max(event.at)));
            if !met.contains(&key) {
                met.push(key);
            }
        }
        // An execution that fails without an attempt that did: a Fail state, a time-out of the whole.
        if let Some((state, error)) = run.failure().filter(|(_, error)| met.iter().all(|it| it.1 != *error)) {
            let cause = run.events.last().and_then(|it| it.payload(PayloadField::Cause)).map(normalised);
            let key = (state, error, cause);
            let at = run.execution.stopped_at;
            let group = self.group(&key);
            group.fatal += 1;
            group.first_seen = [group.first_seen, at].into_iter().flatten().min();
            group.last_seen = group.last_seen.max(at);
            met.push(key);
        }
        for key in met {
            let group = self.group(&key);
            group.executions[usize::from(side == Side::Incident)] += 1;
            if group.examples.len() < EXAMPLES && side == Side::Incident {
                group.examples.push(run.execution.arn.clone());
            }
        }
    }

    fn group(&mut self, key: &Key) -> &mut ErrorGroup {
        self.0.entry(key.clone()).or_insert_with(|| ErrorGroup {
            state: key.0.clone(),
            error: key.1.clone(),
            cause: key.2.clone(),
            ..ErrorGroup::default()
        })
    }

    /// The groups, those that more executions of the incident met first.
    pub fn finish(self) -> Vec<ErrorGroup> {
        let mut groups: Vec<ErrorGroup> = self.0.into_values().collect();
        groups.sort_by_key(|it| std::cmp::Reverse((it.executions[1], it.executions[0])));
        groups
    }
}

/// A cause without what differs from one execution to the next.
pub fn normalised(cause: &str) -> String {
    let is_word = |it: char| it.is_alphanumeric() || it == '-' || it == '_';
    let mut text = String::new();
    let mut rest: &str = cause.lines().next().unwrap_or_default();
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|it| is_word(it) != is_word(first)).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        text += &if is_word(first) { masked(piece) } else { piece.to_owned() };
        rest = after;
        if text.chars().count() >= CAUSE {
            return text.chars().take(CAUSE).collect::<String>() + "…";
        }
    }
    text
}

/// A word as it is, or what it is an instance of.
fn masked(word: &str) -> String {
    let n_digits = word.chars().filter(char::is_ascii_digit).count();
    let is_hex = word.chars().all(|it| it.is_ascii_hexdigit() || it == '-');
    match n_digits {
        0 => word.to_owned(),
        n if n == word.len() => "<n>".to_owned(),
        _ if word.len() >= 8 && (is_hex || n_digits * 3 >= word.len()) => "<id>".to_owned(),
        // `12ms`, `T09`: the digits differ, the rest says what they are.
        _ => {
            let mut text = String::new();
            for it in word.chars() {
                match it {
                    it if !it.is_ascii_digit() => text.push(it),
                    _ if text.ends_with("<n>") => {}
                    _ => text.push_str("<n>"),
                }
            }
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_that_differ_in_ids_numbers_and_times_are_the_same() {
        let same = [
            "RequestId: 41cb7a2e-1f0b-4e62-9d3a-7f5f0c9a1b22 Error: Task timed out after 3.01 seconds at 2026-11-25T14:05:01Z",
            "RequestId: 9e02d7c1-aaaa-4bbb-8ccc-0123456789ab Error: Task timed out after 30.12 seconds at 2026-11-24T09:59:59Z",
        ];
        assert_eq!(normalised(same[0]), normalised(same[1]));
        assert_eq!(normalised("order A-1 refused by rule r2"), "order A-<n> refused by rule r<n>");
        assert_ne!(normalised("connection refused"), normalised("connection reset"));
        assert!(normalised(&"x ".repeat(500)).chars().count() <= CAUSE + 2);
    }
}
