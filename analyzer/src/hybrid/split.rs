//! The definitions that moving parts into Express children makes of a machine.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::Region;
use crate::asl::{State, StateMachine};
use crate::model::Name;

/// The definitions after moving the regions: the parent, and each child by the name of its entry.
pub fn split(machine: &StateMachine, regions: &[Region]) -> (Value, Vec<(Name, Value)>) {
    let mut children = Vec::new();
    let parent = rewritten(machine, regions, &mut children);
    (parent, children)
}

fn rewritten(machine: &StateMachine, regions: &[Region], children: &mut Vec<(Name, Value)>) -> Value {
    let own: Vec<&Region> = regions.iter().filter(|it| machine.state(&it.entry).is_some()).collect();
    let moved: BTreeSet<&Name> = own.iter().flat_map(|it| &it.states).collect();
    let mut states = Map::new();
    for state in &machine.states {
        if let Some(region) = own.iter().find(|it| it.entry == state.name) {
            let (child, calling) = moved_out(machine, region);
            children.push((region.entry.clone(), child));
            states.extend(calling);
        } else if !moved.contains(&state.name) {
            states.insert(state.name.to_string(), kept(state, regions, children));
        }
    }
    let mut fields = machine.fields.clone();
    fields.insert("States".to_owned(), Value::Object(states));
    Value::Object(fields)
}

/// A state that stays, with regions inside it moved.
fn kept(state: &State, regions: &[Region], children: &mut Vec<(Name, Value)>) -> Value {
    let mut fields = state.fields.clone();
    let inner: Vec<Value> = state.inner.iter().map(|it| rewritten(it, regions, children)).collect();
    if fields.contains_key("Branches") {
        fields.insert("Branches".to_owned(), inner.into());
    } else if let Some(inner) = inner.into_iter().next() {
        let key = if fields.contains_key("ItemProcessor") { "ItemProcessor" } else { "Iterator" };
        fields.insert(key.to_owned(), inner);
    }
    Value::Object(fields)
}

/// The child's definition, and the states of the parent that call it: the call keeps the entry's name, so that whatever
/// led there still does; a Choice reads the child's status, because the call succeeds also when the child failed.
fn moved_out(machine: &StateMachine, region: &Region) -> (Value, Map<String, Value>) {
    let mut states = Map::new();
    for state in machine.states.iter().filter(|it| region.states.contains(&it.name)) {
        states.insert(state.name.to_string(), Value::Object(ending_at(state, region.exit.as_ref())));
    }
    // Ways by `Next` end the child themselves; AWS refuses a state that no way leads to.
    let own = || machine.states.iter().filter(|it| region.states.contains(&it.name));
    let leads =
        |it: &State, exit: &Name| it.targets().skip(usize::from(it.next.is_some())).any(|target| target == exit);
    if let Some(exit) = region.exit.as_ref().filter(|exit| own().any(|it| leads(it, exit))) {
        states.insert(exit.to_string(), json!({"Type": "Pass", "End": true}));
    }
    let child = json!({"Comment": format!("Express: called by `{}`", region.entry), "StartAt": region.entry.as_str(), "States": states});
    let (entry, check, failed, result) = (
        region.entry.to_string(),
        format!("{} succeeded?", region.entry),
        format!("{} failed", region.entry),
        format!("{} result", region.entry),
    );
    let mut calling = Map::new();
    calling.insert(
        entry,
        json!({
            "Type": "Task", "Resource": "arn:aws:states:::aws-sdk:sfn:startSyncExecution",
            "Parameters": {"StateMachineArn": format!("${{{}}}", child_parameter(&region.entry)), "Input.$": "$"},
            "Next": check,
        }),
    );
    calling.insert(check, json!({
        "Type": "Choice", "Choices": [{"Variable": "$.Status", "StringEquals": "SUCCEEDED", "Next": result}], "Default": failed,
    }));
    let mut unpack =
        json!({"Type": "Pass", "Parameters": {"output.$": "States.StringToJson($.Output)"}, "OutputPath": "$.output"});
    match &region.exit {
        Some(exit) => unpack["Next"] = exit.as_str().into(),
        None => unpack["End"] = true.into(),
    }
    calling.insert(result, unpack);
    calling.insert(failed, json!({"Type": "Fail", "ErrorPath": "$.Error", "CausePath": "$.Cause"}));
    (child, calling)
}

/// The name under which deployment substitutes the child's ARN in the parent's definition.
pub fn child_parameter(entry: &str) -> String {
    let letters: String = entry.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{letters}ExpressArn")
}

/// The fields of a state whose way to the exit ends there; Choices keep their targets, which the child has as a Pass.
fn ending_at(state: &State, exit: Option<&Name>) -> Map<String, Value> {
    let mut fields = state.fields.clone();
    if exit.is_some() && state.next.as_ref() == exit {
        fields.shift_remove("Next");
        fields.insert("End".to_owned(), true.into());
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::super::regions;
    use super::super::tests::{Joined, LINE};
    use super::*;

    #[test]
    fn the_split_definitions_are_what_aws_would_take() {
        check_split(LINE);
        // Here a Choice itself leads out of the part.
        let (_, children) = check_split(
            &LINE.replace(r#""Default":"D""#, r#""Default":"E""#).replace(r#","D":{"Type":"Pass","Next":"E"}"#, ""),
        );
        assert!(children[0].1["States"].get("E").is_some());
    }

    /// Moves `B` and what follows it up to `E` into a child.
    fn check_split(text: &str) -> (Value, Vec<(Name, Value)>) {
        let machine = StateMachine::parse(text).expect("a definition");
        let is_it = |it: &Region| it.states.join_names().starts_with("BC");
        let chosen: Vec<Region> = regions(&machine, true).into_iter().map(|it| it.0).filter(is_it).collect();
        let (parent, children) = split(&machine, &chosen);
        for value in children.iter().map(|it| &it.1).chain([&parent]) {
            let machine = StateMachine::from_value(value).expect("a definition");
            assert_eq!(crate::asl::problems(&machine), [], "{value}");
        }
        assert_eq!(children.len(), 1);
        assert!(parent["States"].get("C").is_none() && parent["States"].get("A").is_some());
        (parent, children)
    }
}
