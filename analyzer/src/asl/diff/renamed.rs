//! Which states have only got another name?

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::asl::{State, StateMachine};
use crate::model::Name;

/// New names by old ones: of states that are gone from a machine and that stand in it under another name, with the same
/// content. Ways are compared after that, by their new names.
pub(super) fn found(old: &StateMachine, new: &StateMachine) -> BTreeMap<Name, Name> {
    let mut renamed = BTreeMap::new();
    look(old, new, &mut renamed);
    renamed
}

fn look(old: &StateMachine, new: &StateMachine, renamed: &mut BTreeMap<Name, Name>) {
    let gone: Vec<&State> = old.states.iter().filter(|it| new.state(&it.name).is_none()).collect();
    let mut come: Vec<&State> = new.states.iter().filter(|it| old.state(&it.name).is_none()).collect();
    for state in gone {
        let content = content(state);
        // Without anything of its own a state is like every other of its kind.
        if content.len() < 2 {
            continue;
        }
        let like: Vec<usize> = (0..come.len()).filter(|index| self::content(come[*index]) == content).collect();
        if let [only] = like[..] {
            renamed.insert(state.name.clone(), come.remove(only).name.clone());
        }
    }
    for state in &old.states {
        let name = renamed.get(&state.name).unwrap_or(&state.name).clone();
        if let Some(now) = new.state(&name) {
            for (was, is) in state.inner.iter().zip(&now.inner) {
                look(was, is, renamed);
            }
        }
    }
}

/// What a state has but its place on the way.
fn content(state: &State) -> Map<String, Value> {
    let mut fields = state.fields.clone();
    for field in ["Next", "End", "Comment", "Default", "Catch", "Choices"] {
        fields.shift_remove(field);
    }
    fields
}
