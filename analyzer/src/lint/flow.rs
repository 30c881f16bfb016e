//! Advice about the way through a machine: Choice, Pass, Wait, and names.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Around, Sink};
use crate::asl::{State, StateMachine};
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
    let plain = ["Type", "Next", "End", "Comment", "QueryLanguage"];
    let shapes = ["Parameters", "ResultPath", "InputPath", "OutputPath", "Output", "Assign", "Result"];
    let fields: Vec<&str> = state.fields.keys().map(String::as_str).filter(|it| !plain.contains(it)).collect();
    let paid = around.subject.runs.and_then(|runs| runs.paid_by(&[&state.name]));
    let finding = if fields.is_empty() {
        // Alone in a branch it stands for "do nothing", which a Parallel cannot say otherwise.
        if around.machine.states.len() == 1 {
            return;
        }
        sink.add("pass_does_nothing", "", format!("`{}` changes nothing", state.name))
    } else if fields.iter().all(|it| shapes.contains(it)) && follows_a_task(state, around.machine) {
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
fn follows_a_task(state: &State, machine: &StateMachine) -> bool {
    let mut before = machine.states.iter().filter(|it| it.targets().any(|target| *target == state.name));
    let Some(one) = before.next().filter(|_| before.next().is_none()) else { return false };
    let is_start = machine.start_at == state.name;
    !is_start && one.kind == Some(StateType::Task) && one.next.as_ref() == Some(&state.name)
}

fn check_wait(state: &State, around: &Around<'_>, sink: &mut Sink<'_>) {
    if let Some(states) = polled(around.machine, state) {
        let message = format!("`{}` waits in a loop that asks whether something is done", state.name);
        let names: Vec<&Name> = states.into_iter().collect();
        let paid = around.subject.runs.and_then(|runs| runs.paid_by(&names));
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

/// The states of a cycle from a Wait through a Task and a Choice back to itself; the shortest.
fn polled<'a>(machine: &'a StateMachine, wait: &'a State) -> Option<BTreeSet<&'a Name>> {
    let mut waiting = std::collections::VecDeque::from([vec![&wait.name]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = waiting.pop_front() {
        let Some(state) = machine.state(way[way.len() - 1]) else { continue };
        for target in state.targets() {
            let kinds = || way.iter().filter_map(|it| machine.state(it)?.kind);
            if *target == wait.name {
                if kinds().any(|it| it == StateType::Task) && kinds().any(|it| it == StateType::Choice) {
                    return Some(way.into_iter().collect());
                }
            } else if seen.insert(target) {
                waiting.push_back(way.iter().copied().chain([target]).collect());
            }
        }
    }
    None
}
