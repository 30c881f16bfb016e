//! What changed between two definitions, as a person would say it?

mod fields;
mod handlers;
mod renamed;
mod ways;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;

use super::{State, StateMachine};
use crate::model::Name;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// As AWS writes it: `/States/Charge/TimeoutSeconds`.
    pub path: String,
    pub kind: ChangeKind,
    pub what: String,
    /// The states it is about, by their new names.
    pub states: Vec<Name>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    Added,
    Removed,
    Changed,
    Renamed,
}

impl ChangeKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Renamed => "renamed",
        }
    }
}

/// The changes from one definition to another; order of states and comments count for nothing.
pub fn changes(old: &StateMachine, new: &StateMachine) -> Vec<Change> {
    let renamed = renamed::found(old, new);
    let mut found = Found { changes: Vec::new(), names: Names { renamed: &renamed } };
    for (was, is) in &renamed {
        found.add(format!("/States/{is}"), ChangeKind::Renamed, &[is], format!("`{was}` is now called `{is}`"));
    }
    compare(old, new, "", &mut found);
    found.changes
}

/// What old names have become.
#[derive(Clone, Copy)]
struct Names<'a> {
    renamed: &'a BTreeMap<Name, Name>,
}

impl<'a> Names<'a> {
    /// What an old name is called now.
    fn now<'b>(self, old: &'b Name) -> &'b Name
    where
        'a: 'b,
    {
        self.renamed.get(old).unwrap_or(old)
    }
}

/// Takes changes, and knows which states have another name now.
struct Found<'a> {
    changes: Vec<Change>,
    names: Names<'a>,
}

impl Found<'_> {
    fn add(&mut self, path: String, kind: ChangeKind, states: &[&Name], what: String) {
        let states = states.iter().map(|it| (*it).clone()).collect();
        self.changes.push(Change { path, kind, what, states });
    }
}

fn compare(old: &StateMachine, new: &StateMachine, path: &str, found: &mut Found<'_>) {
    let names = found.names;
    let start = names.now(&old.start_at);
    let old_of = |name: &Name| old.states.iter().find(|it| names.now(&it.name) == name);
    let mut inserted: Vec<&Name> = Vec::new();
    for state in old.states.iter().filter(|it| new.state(names.now(&it.name)).is_none()) {
        let what = format!("{} `{}` is gone{}", kind(state), state.name, calling(state));
        found.add(format!("{path}/States/{}", state.name), ChangeKind::Removed, &[&state.name], what);
    }
    for state in &new.states {
        if old_of(&state.name).is_none() {
            let here = format!("{path}/States/{}", state.name);
            let between = ways::between(state, old, new, names);
            if between.is_some() {
                inserted.push(&state.name);
            }
            let what =
                format!("{} `{}` is new{}{}", kind(state), state.name, between.unwrap_or_default(), calling(state));
            found.add(here, ChangeKind::Added, &[&state.name], what);
        }
    }
    if *start != new.start_at && !inserted.contains(&&new.start_at) {
        let what = format!("the way begins at `{}` instead of `{}`", new.start_at, old.start_at);
        found.add(format!("{path}/StartAt"), ChangeKind::Changed, &[&new.start_at], what);
    }
    compare_machines(old, new, path, found);
    for state in &new.states {
        let Some(before) = old_of(&state.name) else { continue };
        let here = format!("{path}/States/{}", state.name);
        fields::compare(before, state, &here, &inserted, found);
        for (index, (was, is)) in before.inner.iter().zip(&state.inner).enumerate() {
            compare(was, is, &format!("{here}/{}", state.place_of_inner(index)), found);
        }
        if before.inner.len() != state.inner.len() {
            let what = format!("`{}` has {} branches instead of {}", state.name, state.inner.len(), before.inner.len());
            found.add(format!("{here}/Branches"), ChangeKind::Changed, &[&state.name], what);
        }
    }
}

/// Fields of the machines themselves.
fn compare_machines(old: &StateMachine, new: &StateMachine, path: &str, found: &mut Found<'_>) {
    if old.timeout_seconds != new.timeout_seconds {
        let after = |it: Option<u64>| it.map_or_else(|| "never".to_owned(), |it| format!("after {it} s"));
        let what =
            format!("an execution times out {}, before {}", after(new.timeout_seconds), after(old.timeout_seconds));
        found.add(format!("{path}/TimeoutSeconds"), ChangeKind::Changed, &[], what);
    }
    let text = |machine: &StateMachine, pointer: &str| {
        let (field, rest) = pointer.split_once('/').unwrap_or((pointer, ""));
        let value = machine.fields.get(field)?;
        let value = if rest.is_empty() { Some(value) } else { value.get(rest) };
        value.and_then(Value::as_str).map(str::to_owned)
    };
    for (pointer, said, unsaid) in [
        ("QueryLanguage", "the query language", "JSONPath"),
        ("ProcessorConfig/Mode", "the Map's mode", "INLINE"),
        ("ProcessorConfig/ExecutionType", "the type of the Map's children", "none"),
    ] {
        let of = |machine: &StateMachine| text(machine, pointer).unwrap_or_else(|| unsaid.to_owned());
        let (was, is) = (of(old), of(new));
        if was != is {
            found.add(
                format!("{path}/{pointer}"),
                ChangeKind::Changed,
                &[],
                format!("{said} is {is} instead of {was}"),
            );
        }
    }
}

fn kind(state: &State) -> &'static str {
    state.kind.map_or("?", crate::model::StateType::as_str)
}

/// What a Task calls.
fn calling(state: &State) -> String {
    state.resource.as_deref().map_or_else(String::new, |it| format!(", calling {}", fields::called(it)))
}
