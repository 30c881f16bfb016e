//! Which states have only got another name?

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::asl::{Graph, State, StateMachine};
use crate::model::Name;

/// New names by old ones: of states that are gone from a machine and that stand in it under another name, with the same
/// content. Ways are compared after that, by their new names.
pub(super) fn found(old: &StateMachine, new: &StateMachine) -> BTreeMap<Name, Name> {
    let mut renamed = BTreeMap::new();
    look(old, new, &mut renamed);
    renamed
}

fn look(old: &StateMachine, new: &StateMachine, renamed: &mut BTreeMap<Name, Name>) {
    let (old_graph, new_graph) = (Graph::of(old), Graph::of(new));
    let mut come: HashMap<String, Vec<&Name>> = HashMap::new();
    for state in new.states.iter().filter(|it| old_graph.state(&it.name).is_none()) {
        come.entry(content(state)).or_default().push(&state.name);
    }
    let mut gone: HashMap<String, Vec<&Name>> = HashMap::new();
    for state in old.states.iter().filter(|it| new_graph.state(&it.name).is_none()) {
        // Without anything of its own a state is like every other of its kind.
        if state.fields.keys().any(|it| !PLACE.contains(&it.as_str()) && it != "Type") {
            gone.entry(content(state)).or_default().push(&state.name);
        }
    }
    for (content, names) in gone {
        if let ([was], Some([is])) = (names.as_slice(), come.get(&content).map(Vec::as_slice)) {
            renamed.insert((*was).clone(), (*is).clone());
        }
    }
    for state in &old.states {
        let name = renamed.get(&state.name).unwrap_or(&state.name).clone();
        if let Some(now) = new_graph.state(&name) {
            for (was, is) in state.inner.iter().zip(&now.inner) {
                look(was, is, renamed);
            }
        }
    }
}

/// The fields that say where a state stands on the way, and what is for people.
const PLACE: [&str; 6] = ["Next", "End", "Comment", "Default", "Catch", "Choices"];

/// What a state has but its place on the way.
fn content(state: &State) -> String {
    let mut fields = state.fields.clone();
    for field in PLACE {
        fields.shift_remove(field);
    }
    fields.sort_keys();
    Value::Object(fields).to_string()
}
