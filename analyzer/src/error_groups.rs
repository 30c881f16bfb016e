//! Which errors are there, and which of them are the same? By state, error and cause, the cause without what differs from one
//! execution to the next: ids, numbers, times.

use std::collections::BTreeMap;

use crate::compare::Side;
use crate::digest::{Fate, MetError};
use crate::model::{Name, Timestamp};

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

/// Collects the errors of executions.
#[derive(Debug, Default)]
pub struct ErrorGroups(BTreeMap<Key, ErrorGroup>);

impl ErrorGroups {
    /// Takes the errors of an execution in, and the cause of each where it is kept.
    pub fn add<'a>(&mut self, arn: &Name, errors: &[MetError], side: Side, cause: impl Fn(u64) -> Option<&'a str>) {
        let mut met: Vec<Key> = Vec::new();
        for it in errors {
            let key = (it.state.clone(), it.error.clone(), cause(it.event).map(normalised));
            let group = self.group(&key);
            match it.fate {
                Fate::Retried => group.retried += 1,
                Fate::Caught => group.caught += 1,
                Fate::Fatal => group.fatal += 1,
            }
            group.first_seen = Some(group.first_seen.map_or(it.at, |first| first.min(it.at)));
            group.last_seen = Some(group.last_seen.map_or(it.at, |last| last.max(it.at)));
            if !met.contains(&key) {
                met.push(key);
            }
        }
        for key in met {
            let group = self.group(&key);
            group.executions[usize::from(side == Side::Incident)] += 1;
            if group.examples.len() < EXAMPLES && side == Side::Incident {
                group.examples.push(arn.clone());
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
