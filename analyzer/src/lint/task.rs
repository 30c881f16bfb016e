//! Advice about Task states.

use serde_json::Value;

use super::{Around, Sink, took};
use crate::asl::State;
use crate::model::{Name, StateType, WorkflowType};

/// Errors of Lambda that pass by themselves.
pub(super) const TRANSIENT: [&str; 5] = [
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
];

pub(super) fn check(state: &State, around: &Around<'_>, sink: &mut Sink<'_>) {
    if state.kind != Some(StateType::Task) {
        return;
    }
    let resource = state.resource.as_deref().unwrap_or_default();
    check_waiting(state, resource, around, sink);
    if resource.contains(":function:") && resource.contains(":lambda:") {
        sink.add("function_arn", "/Resource", format!("`{}` calls a function by its ARN", state.name));
    }
    if calls_lambda(resource) {
        if !around.is_retried {
            check_transient(state, sink);
        }
        check_native(state, sink);
    }
    if resource.contains(":::states:startExecution") {
        check_nested(state, resource, sink);
    }
}

pub(super) fn calls_lambda(resource: &str) -> bool {
    (resource.contains(":lambda:") && resource.contains(":function:"))
        || resource.ends_with(":lambda:invoke")
        || resource.contains(":lambda:invoke.")
}

/// Whether a call waits for somebody who may never answer.
fn check_waiting(state: &State, resource: &str, around: &Around<'_>, sink: &mut Sink<'_>) {
    let has = |field: &str| state.fields.contains_key(field) || state.fields.contains_key(&format!("{field}Path"));
    let pattern = resource.rsplit_once('.').map_or("", |it| it.1);
    let is_token = pattern == "waitForTaskToken";
    let is_activity = resource.contains(":activity:");
    let waits = is_token || is_activity || pattern == "sync" || pattern == "sync:2";
    let longest = around.subject.runs.and_then(|it| it.states.get(&state.name)?.longest);
    // Where the whole machine has a time-out nothing stays open for ever; Express ends after five minutes.
    let machine = around.subject.machine;
    let is_bounded = machine.fields.contains_key("TimeoutSeconds")
        || around.subject.deployment.workflow_type == Some(WorkflowType::Express);
    // A call over HTTP ends after a minute.
    let is_bounded = is_bounded || resource.ends_with(":http:invoke");
    if !has("TimeoutSeconds") && !is_bounded {
        let finding = if waits {
            sink.add("callback_without_timeout", "", format!("`{}` waits for an answer without a time-out", state.name))
        } else {
            sink.add("timeout_missing", "", format!("`{}` has no TimeoutSeconds", state.name))
        };
        finding.evidence = longest.map(|it| format!("its longest visit took {}", took(it)));
    }
    if (is_token || is_activity) && !has("HeartbeatSeconds") {
        sink.add("heartbeat_missing", "", format!("`{}` has no HeartbeatSeconds", state.name));
    }
}

/// Whether the transient errors are retried: all of them, by their names or by a general one.
fn check_transient(state: &State, sink: &mut Sink<'_>) {
    // What is filled in at deployment may name them.
    if state.fields.get("Retry").is_some_and(|it| !it.is_array()) {
        return;
    }
    let named: Vec<&Name> =
        state.retry.iter().filter(|it| it.max_attempts > 0).flat_map(|it| &it.error_equals).collect();
    let is_retried = |error: &str| named.iter().any(|it| ["States.ALL", "States.TaskFailed", error].contains(&&***it));
    let missing: Vec<&str> = TRANSIENT.into_iter().filter(|it| !is_retried(it)).collect();
    if TRANSIENT[..4].iter().all(|it| missing.contains(it)) {
        sink.add("lambda_transient_errors", "", format!("`{}` does not retry Lambda's transient errors", state.name));
    } else if missing.contains(&"Lambda.TooManyRequestsException") {
        let message = format!("`{}` retries Lambda's errors, but not being throttled", state.name);
        sink.add("lambda_throttling", "/Retry", message);
    }
}

/// Words of functions' names that say they do what the service does itself.
const NATIVE: [(&[&str], &str); 8] = [
    (&["putitem", "getitem", "updateitem", "deleteitem", "dynamodb"], "arn:aws:states:::dynamodb:putItem"),
    (&["sendmessage", "sqssend", "enqueue"], "arn:aws:states:::sqs:sendMessage"),
    (&["snspublish", "publishsns", "sendsns"], "arn:aws:states:::sns:publish"),
    (&["putevents", "sendevent"], "arn:aws:states:::events:putEvents"),
    (&["startexecution", "startstatemachine"], "arn:aws:states:::states:startExecution"),
    (&["startglue", "gluejob"], "arn:aws:states:::glue:startJobRun.sync"),
    (&["startquery", "athenaquery"], "arn:aws:states:::athena:startQueryExecution.sync"),
    (&["s3copy", "copyobject", "getobject", "putobject"], "arn:aws:states:::aws-sdk:s3:copyObject"),
];

fn check_native(state: &State, sink: &mut Sink<'_>) {
    let arguments = state.fields.get("Parameters").or_else(|| state.fields.get("Arguments"));
    let function = arguments.and_then(|it| it.get("FunctionName")).and_then(Value::as_str);
    let function = function.or(state.resource.as_deref()).unwrap_or_default();
    let function = function.split(":function:").last().unwrap_or(function);
    let words = words(function);
    let says = |wanted: &str| (1..=3).any(|n| words.windows(n).any(|it| it.concat() == wanted));
    if let Some((_, native)) = NATIVE.iter().find(|(names, _)| names.iter().any(|it| says(it))) {
        let message =
            format!("`{}` calls `{function}`, whose name says what `{native}` does without a function", state.name);
        sink.add("lambda_native", "/Resource", message);
    }
}

/// The words of a name, in small letters: `prod-PutItem_fn` has four.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for letter in name.chars() {
        let begins = letter.is_ascii_uppercase() && was_small;
        if begins || !letter.is_ascii_alphanumeric() {
            words.push(String::new());
        }
        if letter.is_ascii_alphanumeric() {
            words.last_mut().into_iter().for_each(|it| it.push(letter.to_ascii_lowercase()));
        }
        was_small = letter.is_ascii_lowercase() || letter.is_ascii_digit();
    }
    words.retain(|it| !it.is_empty());
    words
}

fn check_nested(state: &State, resource: &str, sink: &mut Sink<'_>) {
    if resource.ends_with("startExecution.sync") {
        sink.add("nested_output_text", "/Resource", format!("`{}` gets its child's output as a text", state.name));
    }
    let arguments = state.fields.get("Parameters").or_else(|| state.fields.get("Arguments"));
    // The whole input may be handed on, or come from an expression.
    let Some(Value::Object(input)) = arguments.and_then(|it| it.get("Input")) else { return };
    if !input.keys().any(|it| it.starts_with("AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID")) {
        let message = format!("the child of `{}` does not learn who started it", state.name);
        sink.add("nested_without_parent", "", message);
    }
}
