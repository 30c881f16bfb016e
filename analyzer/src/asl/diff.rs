//! What changed between two definitions, as a person would say it?

use std::collections::BTreeSet;

use serde_json::Value;

use super::{State, StateMachine};

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// As AWS writes it: `/States/Charge/TimeoutSeconds`.
    pub path: String,
    pub kind: ChangeKind,
    pub what: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    Added,
    Removed,
    Changed,
}

impl ChangeKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

/// The changes from one definition to another; order of states and comments count for nothing.
pub fn changes(old: &StateMachine, new: &StateMachine) -> Vec<Change> {
    let mut found = Vec::new();
    compare(old, new, "", &mut found);
    found
}

fn compare(old: &StateMachine, new: &StateMachine, path: &str, found: &mut Vec<Change>) {
    let mut add = |place: String, kind: ChangeKind, what: String| found.push(Change { path: place, kind, what });
    if old.start_at != new.start_at {
        let what = format!("starts at `{}` instead of `{}`", new.start_at, old.start_at);
        add(format!("{path}/StartAt"), ChangeKind::Changed, what);
    }
    if old.timeout_seconds != new.timeout_seconds {
        let what = format!(
            "the whole execution times out {}, before {}",
            after(new.timeout_seconds),
            after(old.timeout_seconds)
        );
        add(format!("{path}/TimeoutSeconds"), ChangeKind::Changed, what);
    }
    for state in old.states.iter().filter(|it| new.state(&it.name).is_none()) {
        add(
            format!("{path}/States/{}", state.name),
            ChangeKind::Removed,
            format!("`{}` ({}) is gone", state.name, kind(state)),
        );
    }
    for state in &new.states {
        let here = format!("{path}/States/{}", state.name);
        match old.state(&state.name) {
            None => add(here, ChangeKind::Added, format!("`{}` ({}) is new", state.name, kind(state))),
            Some(before) => {
                compare_states(before, state, &here, &mut add);
            }
        }
    }
    for state in &new.states {
        let Some(before) = old.state(&state.name) else { continue };
        for (index, (was, is)) in before.inner.iter().zip(&state.inner).enumerate() {
            let place =
                if state.processor.is_some() { "ItemProcessor".to_owned() } else { format!("Branches[{index}]") };
            compare(was, is, &format!("{path}/States/{}/{place}", state.name), found);
        }
        if before.inner.len() != state.inner.len() {
            let what = format!("`{}` has {} branches instead of {}", state.name, state.inner.len(), before.inner.len());
            found.push(Change {
                path: format!("{path}/States/{}/Branches", state.name),
                kind: ChangeKind::Changed,
                what,
            });
        }
    }
}

fn compare_states(old: &State, new: &State, path: &str, add: &mut impl FnMut(String, ChangeKind, String)) {
    let name = &new.name;
    let keys: BTreeSet<&String> = old.fields.keys().chain(new.fields.keys()).collect();
    for key in keys {
        // What is inside Parallels and Maps is compared state by state.
        if matches!(key.as_str(), "Comment" | "Branches" | "ItemProcessor" | "Iterator") {
            continue;
        }
        let (was, is) = (old.fields.get(key), new.fields.get(key));
        let (kind, what) = match (was, is) {
            (Some(was), Some(is)) if was != is => {
                (ChangeKind::Changed, format!("{key} of `{name}`: {} → {}", short(was), short(is)))
            }
            (None, Some(is)) => (ChangeKind::Added, format!("`{name}` has a {key}: {}", short(is))),
            (Some(was), None) => (ChangeKind::Removed, format!("`{name}` has no {key} any more (was {})", short(was))),
            _ => continue,
        };
        add(format!("{path}/{key}"), kind, what);
    }
}

fn kind(state: &State) -> &'static str {
    state.kind.map_or("?", crate::model::StateType::as_str)
}

fn after(seconds: Option<u64>) -> String {
    seconds.map_or_else(|| "never".to_owned(), |it| format!("after {it} s"))
}

/// A value on one line, cut where it is long.
fn short(value: &Value) -> String {
    let text = match value {
        Value::String(text) => format!("`{text}`"),
        other => other.to_string(),
    };
    if text.chars().count() <= 80 { text } else { text.chars().take(79).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(old: &str, new: &str) -> Vec<String> {
        let parse = |text: &str| StateMachine::parse(text).expect("a definition");
        changes(&parse(old), &parse(new)).into_iter().map(|it| it.what).collect()
    }

    #[test]
    fn changes_read_like_a_release_note() {
        let old = r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"x","TimeoutSeconds":5,"Next":"B"},"B":{"Type":"Succeed"}}}"#;
        let new = r#"{"StartAt":"A","States":{"C":{"Type":"Succeed"},"A":{"Type":"Task","Resource":"x","TimeoutSeconds":9,"Next":"C","Comment":"c"}}}"#;
        assert_eq!(
            said(old, new),
            ["`B` (Succeed) is gone", "`C` (Succeed) is new", "Next of `A`: `B` → `C`", "TimeoutSeconds of `A`: 5 → 9"]
        );
        assert_eq!(said(old, old), Vec::<String>::new());
    }

    #[test]
    fn what_is_inside_a_map_is_compared_state_by_state() {
        let map = |limit: u64, resource: &str| {
            format!(
                r#"{{"StartAt":"M","States":{{"M":{{"Type":"Map","MaxConcurrency":{limit},"End":true,
            "ItemProcessor":{{"StartAt":"I","States":{{"I":{{"Type":"Task","Resource":"{resource}","End":true}}}}}}}}}}}}"#
            )
        };
        assert_eq!(said(&map(5, "a"), &map(9, "b")), ["MaxConcurrency of `M`: 5 → 9", "Resource of `I`: `a` → `b`"]);
    }
}
