//! May a machine run as Express, and what would have to be safe to repeat?
//!
//! Sources: Step Functions Developer Guide, "Choosing workflow type", "Service quotas", "Integrating optimized services"
//! and "Restarting state machine executions with redrive". A blocker comes from the definition, or from what the
//! executions did, with its evidence; a machine with one is promised no savings. What can only be known outside (does
//! anybody rely on its EventBridge events or its history?) is a risk that is always named.

use std::collections::BTreeMap;

use crate::asl::{ProcessorMode, State, StateMachine};
use crate::model::{Micros, Name, StateType};

/// An Express execution ends after five minutes.
pub const EXPRESS_LIMIT: Micros = Micros(300_000_000);

/// Why a machine, or one state of it, cannot or should not be moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub state: Option<Name>,
    /// A stable name, such as `sync_integration`.
    pub rule: &'static str,
    pub detail: String,
}

/// What was measured of a machine's executions.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Closed executions whose duration is known.
    pub timed: u64,
    pub over_limit: u64,
    pub longest: Option<Micros>,
    pub redriven: u64,
    pub map_runs: u64,
    /// What each state called, and how often.
    pub resources: BTreeMap<(Name, Name), u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Eligibility {
    /// `None` where neither a definition nor a measured execution tells.
    pub eligible: Option<bool>,
    pub blockers: Vec<Finding>,
    pub risks: Vec<Finding>,
}

/// Judges a machine by its definition, where there is one, and by what its executions did.
pub fn assess(definition: Option<&StateMachine>, measured: &Measured) -> Eligibility {
    let mut found = Eligibility::default();
    let mut calls: BTreeMap<(Name, Name), u64> = measured.resources.clone();
    for state in definition.map(StateMachine::all_states).unwrap_or_default() {
        if let Some(resource) = state.resource.as_ref().filter(|_| state.kind == Some(StateType::Task)) {
            // The recorded form of `arn:aws:states:::sqs:sendMessage` is `sqs:sendMessage`.
            let short = resource.split(":states:::").nth(1).map_or_else(|| resource.clone(), Name::from);
            calls.entry((state.name.clone(), short)).or_default();
        }
        found.blockers.extend(blocking_state(state));
    }
    for ((state, resource), count) in &calls {
        let evidence = if *count > 0 { format!(", called {}", counted(*count, "time")) } else { String::new() };
        if let Some((rule, why)) = blocking_call(resource) {
            let detail = format!("`{resource}`{evidence}: {why}");
            found.blockers.push(Finding { state: Some(state.clone()), rule, detail });
        } else if let Some(why) = repeating(resource) {
            let detail = format!("`{resource}`{evidence}: {why}");
            found.risks.push(Finding { state: Some(state.clone()), rule: "at_least_once", detail });
        }
    }
    found.blockers.extend(blocking_history(measured));
    found.risks.extend(tail(measured));
    for (rule, detail) in ALWAYS {
        found.risks.push(Finding { state: None, rule, detail: (*detail).to_owned() });
    }
    found.blockers.dedup();
    let is_known = definition.is_some() || measured.timed > 0 || !found.blockers.is_empty();
    found.eligible = is_known.then_some(found.blockers.is_empty());
    found
}

/// What nobody can read off executions and definitions.
const ALWAYS: &[(&str, &str)] = &[
    (
        "eventbridge",
        "Express executions send no status events to EventBridge: check that no rule or `.sync` caller waits for them",
    ),
    (
        "history",
        "an Express execution has no history in the service, only CloudWatch Logs, which are paid and delivered at best effort",
    ),
];

fn blocking_state(state: &State) -> Option<Finding> {
    let seconds = state.fields.get("Seconds").and_then(serde_json::Value::as_u64);
    let (rule, detail) = if state.processor == Some(ProcessorMode::Distributed) {
        ("distributed_map", "a Distributed Map runs only in a Standard parent".to_owned())
    } else if let Some(seconds) = seconds.filter(|it| state.kind == Some(StateType::Wait) && *it > 300) {
        ("long_wait", format!("waits {seconds} s, and an Express execution ends after 300 s"))
    } else {
        return None;
    };
    Some(Finding { state: Some(state.name.clone()), rule, detail })
}

/// Calls that Express does not have.
pub fn blocking_call(resource: &str) -> Option<(&'static str, &'static str)> {
    let (_, pattern) = resource.rsplit_once('.').unwrap_or_default();
    if pattern == "waitForTaskToken" {
        Some(("callback", "Express has no `.waitForTaskToken`"))
    } else if pattern == "sync" || pattern == "sync:2" {
        Some(("sync_integration", "Express has no `.sync`"))
    } else if resource.contains(":activity:") {
        Some(("activity", "Express has no Activities"))
    } else {
        None
    }
}

fn blocking_history(measured: &Measured) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |rule: &'static str, detail: String| found.push(Finding { state: None, rule, detail });
    if measured.over_limit > 0 {
        let longest = measured.longest.unwrap_or_default().0 / 1_000_000;
        let detail = format!(
            "{} of {} took longer than the 300 s an Express execution may take; the longest {longest} s",
            measured.over_limit,
            counted(measured.timed, "execution")
        );
        add("duration_over_limit", detail);
    }
    if measured.redriven > 0 {
        add("redrive", format!("{} redriven; Express has no redrive", was(measured.redriven)));
    }
    if measured.map_runs > 0 {
        add("distributed_map", format!("{} started a Map Run", counted(measured.map_runs, "execution")));
    }
    found
}

fn was(count: u64) -> String {
    if count == 1 { "1 execution was".to_owned() } else { format!("{count} executions were") }
}

/// `1 execution`, `2 executions`.
fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// The chance of an execution over the limit when none was seen: the upper end of the 95 % interval of Clopper and
/// Pearson, 1 − 0.05^(1/n).
pub fn tail_bound(n: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a probability")]
    (n > 0).then(|| 1.0 - 0.05_f64.powf(1.0 / n as f64))
}

fn tail(measured: &Measured) -> Option<Finding> {
    let bound = tail_bound(measured.timed).filter(|_| measured.over_limit == 0)?;
    let longest = measured.longest?;
    // An execution far below the limit says more than the count alone; near it, the tail is a risk.
    (longest.0 * 2 > EXPRESS_LIMIT.0 || measured.timed < 30).then(|| Finding {
        state: None,
        rule: "duration_tail",
        detail: format!(
            "the longest of {} took {:.1} s; with 95 % confidence at most {:.2} % take longer than 300 s",
            counted(measured.timed, "execution"),
            longest.as_millis() / 1_000.0,
            bound * 100.0
        ),
    })
}

/// Why a call may not be safe to repeat; `None` for one that is. The table is short and reviewed: what only reads, and
/// what writes the same thing again, is safe.
fn repeating(resource: &str) -> Option<&'static str> {
    if resource.contains(":function:") || resource.starts_with("lambda:invoke") {
        return Some("the function may run twice with the same input");
    }
    let action = resource.rsplit(':').find(|it| it.parse::<u32>().is_err())?;
    let action = action.split('.').next()?;
    let reads =
        ["get", "describe", "list", "head", "query", "scan", "batchGet", "select", "lookup", "estimate", "detect"];
    if reads.iter().any(|it| action.starts_with(it)) {
        return None;
    }
    Some(match action {
        "putItem" | "deleteItem" | "putObject" | "deleteObject" | "copyObject" | "putParameter" => return None,
        "updateItem" => "an update that adds or appends counts twice",
        "publish" => "subscribers may get the message twice",
        "sendMessage" | "sendMessageBatch" => "the queue may get the message twice",
        "putEvents" => "the event may be sent twice",
        "startExecution" | "startSyncExecution" => "the child may be started twice",
        "runTask" | "startJobRun" | "submitJob" | "createTransformJob" | "createTrainingJob" => {
            "the job may be started twice"
        }
        _ if resource.starts_with("http:") => "the request may be sent twice",
        _ => "whether it is safe to repeat is not known",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(definition: &str, measured: &Measured) -> (Option<bool>, Vec<&'static str>, Vec<&'static str>) {
        let machine = StateMachine::parse(definition).expect("a definition");
        let it = assess(Some(&machine), measured);
        let rules = |list: &[Finding]| list.iter().map(|it| it.rule).collect();
        (it.eligible, rules(&it.blockers), rules(&it.risks))
    }

    const PUT: &str =
        r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::dynamodb:putItem","End":true}}}"#;
    const JOB: &str = r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::glue:startJobRun.sync","End":true}}}"#;

    #[test]
    fn a_machine_of_safe_calls_may_move() {
        let measured = Measured { timed: 1_000, longest: Some(Micros(2_000_000)), ..Measured::default() };
        assert_eq!(judged(PUT, &measured), (Some(true), vec![], vec!["eventbridge", "history"]));
    }

    #[test]
    fn jobs_long_runs_and_redrives_keep_it_standard() {
        let measured = Measured {
            timed: 10,
            over_limit: 1,
            longest: Some(Micros(400_000_000)),
            redriven: 2,
            ..Measured::default()
        };
        let (eligible, blockers, _) = judged(JOB, &measured);
        assert_eq!((eligible, blockers), (Some(false), vec!["sync_integration", "duration_over_limit", "redrive"]));
    }

    #[test]
    fn without_a_long_run_the_tail_is_bounded_by_the_count() {
        assert_eq!(tail_bound(0), None);
        // The rule of three.
        assert!((tail_bound(1_000).unwrap_or(1.0) - 0.003).abs() < 0.000_01);
        let few = Measured { timed: 5, longest: Some(Micros(1_000_000)), ..Measured::default() };
        assert_eq!(judged(PUT, &few).2[0], "duration_tail");
    }

    #[test]
    fn a_machine_nobody_knows_anything_of_is_not_judged() {
        assert_eq!(assess(None, &Measured::default()).eligible, None);
    }
}
