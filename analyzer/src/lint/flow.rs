//! Advice about the way through a machine: Choice, Pass, Wait, and names.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Around, Sink};
use crate::asl::{Graph, State, StateMachine};
use crate::model::{Name, StateType, WorkflowType};

/// An Express execution ends after so many seconds.
const EXPRESS_SECONDS: u64 = 300;

pub(super) fn check(state: &State, around: &Around<'_>, sink: &mut Sink<'_>) {
    let name = &state.name;
    match state.kind {
        Some(StateType::Choice) if !state.has_default => {
            sink.add("choice_without_default", "", format!("`{name}` has no Default"));
        }
        Some(StateType::Pass) => check_pass(state, around, sink),
        Some(StateType::Wait) => check_wait(state, around, sink),
        _ => {}
    }
    if !name.is_ascii() {
        sink.add("name_not_ascii", "", format!("the name of `{name}` has characters beyond ASCII"));
    } else if name.contains(['?', '*', '"', '<', '>', '|', '\\', '^', '`', '#']) {
        sink.add("name_for_xray", "", format!("X-Ray rewrites the name of `{name}`"));
    }
}

fn check_pass(state: &State, around: &Around<'_>, sink: &mut Sink<'_>) {
    let shapes = ["Parameters", "ResultPath", "InputPath", "OutputPath", "Output", "Assign", "Result"];
    let only_shapes = || state.own_fields().all(|it| shapes.contains(&it));
    let paid = around.subject.runs.and_then(|runs| runs.paid_by(&[&state.name]));
    let finding = if state.is_idle() {
        // Alone in a branch it stands for "do nothing", which a Parallel cannot say otherwise.
        if around.machine.states.len() == 1 || !around.graph.can_go(state) {
            return;
        }
        sink.add("pass_does_nothing", "", format!("`{}` changes nothing", state.name))
    } else if only_shapes() && follows_a_task(state, around) {
        let message = format!("`{}` shapes what the state before it could give in that shape", state.name);
        sink.add("pass_reshapes", "", message)
    } else {
        return;
    };
    if let Some(paid) = paid {
        (finding.evidence, finding.cost) = (Some(paid.said), Some(paid.usd));
    }
}

/// Whether exactly one state leads to this one, a Task, and by its `Next`.
fn follows_a_task(state: &State, around: &Around<'_>) -> bool {
    let [one] = around.graph.before(&state.name) else { return false };
    let is_start = around.machine.start_at == state.name;
    !is_start && one.kind == Some(StateType::Task) && one.next.as_ref() == Some(&state.name)
}

fn check_wait(state: &State, around: &Around<'_>, sink: &mut Sink<'_>) {
    if let Some(states) = around.polling.get(&state.name) {
        let message = format!("`{}` waits in a loop that asks whether something is done", state.name);
        let paid = around.subject.runs.and_then(|runs| runs.paid_by(states));
        let finding = sink.add("polling_loop", "", message);
        if let Some(paid) = paid {
            (finding.evidence, finding.cost) = (Some(paid.said), Some(paid.usd));
        }
    }
    let seconds = state.fields.get("Seconds").and_then(Value::as_u64);
    let is_express = around.subject.deployment.workflow_type == Some(WorkflowType::Express);
    if let Some(seconds) = seconds.filter(|it| is_express && *it >= EXPRESS_SECONDS) {
        let message =
            format!("`{}` waits {seconds} s, and an Express execution ends after {EXPRESS_SECONDS} s", state.name);
        sink.add("express_wait", "/Seconds", message);
    }
}

/// Circles through a Wait, a Task and a Choice, each with the first Wait that lies on it: what is told once is paid once.
pub(super) fn polling<'a>(machine: &'a StateMachine, graph: &Graph<'a>) -> BTreeMap<&'a Name, Vec<&'a Name>> {
    let on_circles = graph.on_circles();
    let mut found: BTreeMap<&Name, Vec<&Name>> = BTreeMap::new();
    let mut told: BTreeSet<&Name> = BTreeSet::new();
    for wait in machine.states.iter().filter(|it| it.kind == Some(StateType::Wait)) {
        if told.contains(&wait.name) || !on_circles.contains(&*wait.name) {
            continue;
        }
        let Some(circle) = graph.circle(wait) else { continue };
        let has = |kind: StateType| circle.iter().any(|it| it.kind == Some(kind));
        if has(StateType::Task) && has(StateType::Choice) {
            let names: Vec<&Name> = circle.iter().map(|it| &it.name).collect();
            told.extend(&names);
            found.insert(&wait.name, names);
        }
    }
    found
}
