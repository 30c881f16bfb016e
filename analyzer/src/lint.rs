//! What is wrong with a definition, what is not wise, and what have its runs to say about it?
//!
//! An error is what AWS would refuse. Everything else is advice: from the best practices of the Step Functions Developer
//! Guide ("sfn-best-practices") and from what was measured. A state whose `Comment` says `stepscope:ignore RULE` is spared
//! that rule.

use std::collections::{BTreeMap, BTreeSet};

use crate::asl::{State, StateMachine, problems};
use crate::model::{Micros, Name, StateType};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Info,
    Warning,
    Error,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Info, Self::Warning, Self::Error].into_iter().find(|it| it.as_str() == text)
    }
}

/// What a rule says in general.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub name: &'static str,
    pub severity: Severity,
    pub why: &'static str,
    pub fix: &'static str,
}

const fn rule(name: &'static str, severity: Severity, why: &'static str, fix: &'static str) -> Rule {
    Rule { name, severity, why, fix }
}

/// Every rule there is.
pub const RULES: [Rule; 14] = [
    rule("invalid", Severity::Error, "AWS refuses a definition like this.", "Correct the field that is named."),
    rule(
        "unreachable",
        Severity::Warning,
        "No way leads from the start to this state: it never runs.",
        "Remove the state, or lead a Next, a Choice or a Catch to it.",
    ),
    rule(
        "timeout_missing",
        Severity::Info,
        "The language has no default time-out: a call that never answers keeps the execution open, for up to a year.",
        "Set TimeoutSeconds to a little more than the slowest call that is still good.",
    ),
    rule(
        "callback_without_timeout",
        Severity::Warning,
        "A job, an activity or a task token that is never answered keeps the execution open for up to a year.",
        "Set TimeoutSeconds, and HeartbeatSeconds below it where a token or an activity is waited for.",
    ),
    rule(
        "heartbeat_missing",
        Severity::Info,
        "Without HeartbeatSeconds a worker that died is noticed only when the whole time-out is over.",
        "Set HeartbeatSeconds below TimeoutSeconds, and let the worker send heartbeats.",
    ),
    rule(
        "lambda_transient_errors",
        Severity::Warning,
        "Lambda fails now and then through no fault of the function; without a Retry the whole execution fails.",
        "Retry Lambda.ClientExecutionTimeoutException, Lambda.ServiceException, Lambda.AWSLambdaException, Lambda.SdkClientException and Lambda.TooManyRequestsException: IntervalSeconds 2, MaxAttempts 6, BackoffRate 2.",
    ),
    rule(
        "function_arn",
        Severity::Info,
        "A function's ARN as the resource is the old form: no version pinning by the integration, no status code, other errors.",
        "Use arn:aws:states:::lambda:invoke with FunctionName.",
    ),
    rule(
        "iterator_deprecated",
        Severity::Info,
        "`Iterator` is the old name of `ItemProcessor`.",
        "Rename it, with ProcessorConfig.Mode INLINE.",
    ),
    rule(
        "choice_without_default",
        Severity::Warning,
        "A Choice whose rules all fail ends the execution with States.NoChoiceMatched.",
        "Give it a Default.",
    ),
    rule(
        "polling_loop",
        Severity::Info,
        "A Wait, a Task and a Choice in a cycle bill three transitions a round and notice late.",
        "Use the `.sync` form of the integration, or a task token.",
    ),
    rule(
        "pass_does_nothing",
        Severity::Info,
        "A Pass state without any field of its own changes nothing and bills a transition.",
        "Lead its predecessor to what follows.",
    ),
    rule(
        "timeout_near_p99",
        Severity::Warning,
        "The time-out lies so close to the usual tail that ordinary runs will run into it.",
        "Raise TimeoutSeconds, or make the call faster.",
    ),
    rule(
        "error_uncaught",
        Severity::Warning,
        "Executions failed here with an error that no Retry and no Catch of the state names.",
        "Retry it if it passes by itself, catch it if the machine can go on.",
    ),
    rule(
        "retry_unused",
        Severity::Info,
        "No recorded visit ever needed this Retry.",
        "Keep it if the error is possible; otherwise it only hides what can happen.",
    ),
];

/// Looks a rule up.
pub fn rule_named(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|it| it.name == name)
}

/// One place where a rule applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// As AWS writes it: `/States/Charge/Retry`.
    pub path: String,
    pub rule: &'static str,
    pub severity: Severity,
    pub message: String,
    pub fix: &'static str,
    /// What was measured, where it was.
    pub evidence: Option<String>,
}

/// What the runs of a machine say about one of its states.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    pub visits: u64,
    pub retries: u64,
    pub p99: Option<Micros>,
    /// Errors that ended executions in this state, and how often.
    pub fatal: BTreeMap<Name, u64>,
    /// Errors of attempts, and how often.
    pub errors: BTreeMap<Name, u64>,
}

/// Checks a definition; `evidence` by state where runs of it are known.
pub fn lint(machine: &StateMachine, evidence: &BTreeMap<Name, Evidence>) -> Vec<Finding> {
    let mut found: Vec<Finding> =
        problems(machine).into_iter().map(|it| finding("invalid", it.path, it.message)).collect();
    if found.is_empty() {
        advise(machine, "", evidence, &mut found);
    }
    found
}

fn finding(rule: &'static str, path: String, message: String) -> Finding {
    let known = rule_named(rule).unwrap_or(&RULES[0]);
    Finding { path, rule: known.name, severity: known.severity, message, fix: known.fix, evidence: None }
}

fn advise(machine: &StateMachine, path: &str, evidence: &BTreeMap<Name, Evidence>, found: &mut Vec<Finding>) {
    let reachable = reachable(machine);
    for state in &machine.states {
        let here = format!("{path}/States/{}", state.name);
        let mut own = Vec::new();
        let mut add = |rule: &'static str, place: &str, message: String| {
            own.push(finding(rule, format!("{here}{place}"), message));
        };
        if !reachable.contains(&state.name) {
            add("unreachable", "", format!("no way leads to `{}`", state.name));
        }
        match state.kind {
            Some(StateType::Task) => advise_task(state, &mut add),
            Some(StateType::Choice) if !state.has_default => {
                add("choice_without_default", "", format!("`{}` has no Default", state.name));
            }
            Some(StateType::Map) if state.fields.contains_key("Iterator") => {
                add("iterator_deprecated", "/Iterator", format!("`{}` uses `Iterator`", state.name));
            }
            Some(StateType::Pass) if is_idle(state) => {
                add("pass_does_nothing", "", format!("`{}` changes nothing", state.name));
            }
            Some(StateType::Wait) if polls(machine, state) => {
                add(
                    "polling_loop",
                    "",
                    format!("`{}` waits in a loop that asks whether something is done", state.name),
                );
            }
            _ => {}
        }
        if let Some(seen) = evidence.get(&state.name) {
            own.extend(by_evidence(state, &here, seen));
        }
        let comment = state.fields.get("Comment").and_then(serde_json::Value::as_str).unwrap_or_default();
        own.retain(|it| !comment.contains(&format!("stepscope:ignore {}", it.rule)));
        found.extend(own);
        for (index, inner) in state.inner.iter().enumerate() {
            let place = if state.fields.contains_key("Branches") {
                format!("{here}/Branches[{index}]")
            } else if state.fields.contains_key("Iterator") {
                format!("{here}/Iterator")
            } else {
                format!("{here}/ItemProcessor")
            };
            advise(inner, &place, evidence, found);
        }
    }
}

fn advise_task(state: &State, add: &mut impl FnMut(&'static str, &str, String)) {
    let resource = state.resource.as_deref().unwrap_or_default();
    let has = |field: &str| state.fields.contains_key(field) || state.fields.contains_key(&format!("{field}Path"));
    let pattern = resource.rsplit_once('.').map_or("", |it| it.1);
    let is_token = pattern == "waitForTaskToken";
    let is_activity = resource.contains(":activity:");
    let waits = is_token || is_activity || pattern == "sync" || pattern == "sync:2";
    if !has("TimeoutSeconds") {
        if waits {
            add("callback_without_timeout", "", format!("`{}` waits for an answer without a time-out", state.name));
        } else {
            add("timeout_missing", "", format!("`{}` has no TimeoutSeconds", state.name));
        }
    }
    if (is_token || is_activity) && !has("HeartbeatSeconds") {
        add("heartbeat_missing", "", format!("`{}` has no HeartbeatSeconds", state.name));
    }
    let is_function = resource.contains(":lambda:") && resource.contains(":function:");
    if is_function {
        add("function_arn", "/Resource", format!("`{}` calls a function by its ARN", state.name));
    }
    if is_function || resource.ends_with(":lambda:invoke") || resource.contains(":lambda:invoke.") {
        let handled = |error: &Name| {
            ["States.ALL", "States.TaskFailed", "Lambda.ServiceException", "Lambda.AWSLambdaException"]
                .contains(&&**error)
        };
        if !state.retry.iter().flat_map(|it| &it.error_equals).any(handled) {
            add("lambda_transient_errors", "", format!("`{}` does not retry Lambda's transient errors", state.name));
        }
    }
}

/// Whether a Pass has nothing but its place in the flow.
fn is_idle(state: &State) -> bool {
    state.fields.keys().all(|it| matches!(it.as_str(), "Type" | "Next" | "End" | "Comment"))
}

/// Whether a Wait leads through a Task and a Choice back to itself.
fn polls(machine: &StateMachine, wait: &State) -> bool {
    let mut waiting = vec![(wait, false, false)];
    let mut seen = BTreeSet::new();
    while let Some((state, task, choice)) = waiting.pop() {
        for target in state.targets() {
            if *target == wait.name && task && (choice || state.kind == Some(StateType::Choice)) {
                return true;
            }
            if let Some(next) = machine.state(target).filter(|_| seen.insert((target, task, choice))) {
                let task = task || next.kind == Some(StateType::Task);
                let choice = choice || next.kind == Some(StateType::Choice);
                waiting.push((next, task, choice));
            }
        }
    }
    false
}

fn reachable(machine: &StateMachine) -> BTreeSet<&Name> {
    let mut seen = BTreeSet::new();
    let mut waiting = vec![&machine.start_at];
    while let Some(name) = waiting.pop() {
        if seen.insert(name)
            && let Some(state) = machine.state(name)
        {
            waiting.extend(state.targets());
        }
    }
    seen
}

/// Visits from which on it means something that a Retry was never needed.
const ENOUGH: u64 = 100;

fn by_evidence(state: &State, here: &str, seen: &Evidence) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |rule: &'static str, place: &str, message: String, evidence: String| {
        found.push(Finding { evidence: Some(evidence), ..finding(rule, format!("{here}{place}"), message) });
    };
    let timeout = state.fields.get("TimeoutSeconds").and_then(serde_json::Value::as_i64).map(Micros::from_seconds);
    if let Some((timeout, p99)) = timeout.zip(seen.p99).filter(|(timeout, p99)| p99.0 * 5 > timeout.0 * 4) {
        let message = format!("`{}` has a time-out of {} s", state.name, timeout.0 / 1_000_000);
        add(
            "timeout_near_p99",
            "/TimeoutSeconds",
            message,
            format!("its p99 is {:.1} s in {} visits", p99.as_millis() / 1e3, seen.visits),
        );
    }
    let handled = |error: &Name| {
        let names = state.retry.iter().flat_map(|it| &it.error_equals);
        let mut names = names.chain(state.catch.iter().flat_map(|it| &it.error_equals));
        names.any(|it| {
            it == error || **it == *"States.ALL" || (**it == *"States.TaskFailed" && **error != *"States.Timeout")
        })
    };
    for (error, count) in seen.fatal.iter().filter(|it| !handled(it.0) && state.kind == Some(StateType::Task)) {
        let message = format!("nothing handles `{error}` of `{}`", state.name);
        add("error_uncaught", "", message, format!("{count} executions failed with it here"));
    }
    if !state.retry.is_empty() && seen.visits >= ENOUGH && seen.retries == 0 && seen.errors.is_empty() {
        let message = format!("the Retry of `{}` was never needed", state.name);
        add("retry_unused", "/Retry", message, format!("no error in {} visits", seen.visits));
    }
    found
}

/// Where a path stands in a text: line and column, both from 1. The keys of the path are looked for one after the other,
/// in JSON's notation and in YAML's.
pub fn locate(text: &str, path: &str) -> (usize, usize) {
    let mut at = 0;
    for key in path.split('/').filter(|it| !it.is_empty()) {
        let key = key.split('[').next().unwrap_or(key);
        let forms = [format!("\"{key}\""), format!("'{key}'"), format!("{key}:")];
        let next = forms.iter().filter_map(|form| text[at..].find(form.as_str()).map(|it| at + it)).min();
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    let line = text[..at].matches('\n').count() + 1;
    let column = text[..at].rsplit('\n').next().map_or(0, |it| it.chars().count()) + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str, evidence: &BTreeMap<Name, Evidence>) -> Vec<(&'static str, String)> {
        let machine = StateMachine::parse(text).expect("a definition");
        lint(&machine, evidence).into_iter().map(|it| (it.rule, it.path)).collect()
    }

    const POLL: &str = r#"{"StartAt":"W","States":{
        "W":{"Type":"Wait","Seconds":5,"Next":"T"},
        "T":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:glue:getJobRun","TimeoutSeconds":10,"Next":"C"},
        "C":{"Type":"Choice","Choices":[{"Variable":"$.s","StringEquals":"DONE","Next":"E"}],"Default":"W"},
        "E":{"Type":"Succeed"}, "X":{"Type":"Pass","Comment":"stepscope:ignore pass_does_nothing","End":true}}}"#;

    #[test]
    fn loops_and_lost_states_are_found_and_comments_spare() {
        let found = rules(POLL, &BTreeMap::new());
        assert_eq!(found, [("polling_loop", "/States/W".to_owned()), ("unreachable", "/States/X".to_owned())]);
    }

    #[test]
    fn an_invalid_definition_has_errors_only() {
        let found = rules(r#"{"StartAt":"A","States":{"A":{"Type":"Task","Next":"B"}}}"#, &BTreeMap::new());
        assert!(found.iter().all(|it| it.0 == "invalid") && found.len() >= 2, "{found:?}");
    }

    #[test]
    fn the_runs_have_their_say() {
        let seen = Evidence {
            visits: 200,
            p99: Some(Micros::from_seconds(9)),
            fatal: [("Oops".into(), 3)].into(),
            ..Evidence::default()
        };
        let found = rules(POLL, &[("T".into(), seen)].into());
        assert!(found.contains(&("timeout_near_p99", "/States/T/TimeoutSeconds".to_owned())), "{found:?}");
        assert!(found.contains(&("error_uncaught", "/States/T".to_owned())), "{found:?}");
    }

    #[test]
    fn places_are_lines_and_columns() {
        assert_eq!(locate(POLL, "/States/T/TimeoutSeconds"), (3, 81));
        assert_eq!(locate("StartAt: A\nStates:\n  A:\n    Type: Pass\n", "/States/A/Type"), (4, 5));
    }
}
