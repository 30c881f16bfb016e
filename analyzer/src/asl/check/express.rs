//! What does an Express machine not have?

use serde_json::Value;

use super::Problem;
use crate::asl::{ProcessorMode, State, StateMachine};
use crate::model::StateType;

/// What is refused of the children of a distributed Map that are Express, whatever the machine is.
pub(super) fn of_children(state: &State, path: &str, found: &mut Vec<Problem>) {
    let processor = state.fields.get("ItemProcessor").or_else(|| state.fields.get("Iterator"));
    let kind = processor.and_then(|it| it.pointer("/ProcessorConfig/ExecutionType")).and_then(Value::as_str);
    if let Some(inner) = state.inner.first().filter(|_| kind == Some("EXPRESS")) {
        look(inner, &format!("{path}/{}", state.place_of_inner(0)), found);
    }
}

/// What AWS refuses of a definition because its machine is Express.
pub fn express_problems(machine: &StateMachine) -> Vec<Problem> {
    let mut found = Vec::new();
    look(machine, "", &mut found);
    found
}

fn look(machine: &StateMachine, path: &str, found: &mut Vec<Problem>) {
    for state in &machine.states {
        let here = format!("{path}/States/{}", state.name);
        if let Some((place, message)) = refused(state) {
            found.push(Problem { rule: "express_unsupported", path: format!("{here}{place}"), message });
        }
        // Children of a distributed Map are executions of their own.
        if state.processor != Some(ProcessorMode::Distributed) {
            for (index, inner) in state.inner.iter().enumerate() {
                look(inner, &format!("{here}/{}", state.place_of_inner(index)), found);
            }
        }
    }
}

fn refused(state: &State) -> Option<(&'static str, String)> {
    let resource = state.resource.as_deref().unwrap_or_default();
    let pattern = resource.rsplit_once('.').map_or("", |it| it.1);
    match state.kind? {
        StateType::Task if matches!(pattern, "sync" | "sync:2") => {
            Some(("/Resource", "an Express state machine does not support the `.sync` service integration".to_owned()))
        }
        StateType::Task if pattern == "waitForTaskToken" => Some((
            "/Resource",
            "an Express state machine does not support the `.waitForTaskToken` service integration".to_owned(),
        )),
        StateType::Task if resource.contains(":activity:") => {
            Some(("/Resource", "an Express state machine does not support an Activity's ARN".to_owned()))
        }
        StateType::Map if state.processor == Some(ProcessorMode::Distributed) => {
            Some(("/ItemProcessor/ProcessorConfig", "an Express state machine has no distributed Map".to_owned()))
        }
        _ => None,
    }
}
