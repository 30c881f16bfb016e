//! What changed between two definitions, as a person would say it?

mod branches;
mod fields;
mod handlers;
mod renamed;
mod ways;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::{Graph, State, StateMachine};
use crate::model::Name;
use ways::Between;

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

    /// What a new name was before.
    fn before<'b>(self, new: &'b Name) -> &'b Name
    where
        'a: 'b,
    {
        self.renamed.iter().find(|it| it.1 == new).map_or(new, |it| it.0)
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
    let (old_graph, new_graph) = (Graph::of(old), Graph::of(new));
    let before: HashMap<&Name, &State> = old.states.iter().map(|it| (names.now(&it.name), it)).collect();
    for state in &new.states {
        if let Some(was) = before.get(&state.name).filter(|it| it.name != state.name) {
            let what = format!("`{}` is now called `{}`", was.name, state.name);
            found.add(format!("{path}/States/{}", state.name), ChangeKind::Renamed, &[&state.name], what);
        }
    }
    for state in old.states.iter().filter(|it| new_graph.state(names.now(&it.name)).is_none()) {
        let what = format!("{} `{}` is gone{}", kind(state), state.name, calling(state));
        found.add(format!("{path}/States/{}", state.name), ChangeKind::Removed, &[&state.name], what);
    }
    let mut inserted: Vec<Between<'_>> = Vec::new();
    for state in new.states.iter().filter(|it| !before.contains_key(&it.name)) {
        let between = ways::between(state, (old, &old_graph), (new, &new_graph), names);
        let where_to = between.as_ref().map_or("", |it| it.1.as_str());
        let what = format!("{} `{}` is new{where_to}{}", kind(state), state.name, calling(state));
        found.add(format!("{path}/States/{}", state.name), ChangeKind::Added, &[&state.name], what);
        inserted.extend(between.map(|it| it.0));
    }
    let is_told = inserted.iter().any(|(before, new_state)| before.is_none() && **new_state == new.start_at);
    if *names.now(&old.start_at) != new.start_at && !is_told {
        let what = format!("the way begins at `{}` instead of `{}`", new.start_at, old.start_at);
        found.add(format!("{path}/StartAt"), ChangeKind::Changed, &[&new.start_at], what);
    }
    compare_machines(old, new, path, found);
    for state in &new.states {
        let Some(before) = before.get(&state.name) else { continue };
        let here = format!("{path}/States/{}", state.name);
        fields::compare(before, state, &here, &inserted, found);
        branches::compare(before, state, &here, found);
    }
}

/// Fields of the machines themselves.
fn compare_machines(old: &StateMachine, new: &StateMachine, path: &str, found: &mut Found<'_>) {
    let (was, is) = (old.fields.get("TimeoutSeconds"), new.fields.get("TimeoutSeconds"));
    if was != is {
        let what = fields::timeout("an execution times out", "time-out", was, is);
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
