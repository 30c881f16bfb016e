//! Would AWS refuse this definition, and why?

use serde_json::{Map, Value};

use super::{State, StateMachine};
use crate::model::{Name, StateType};

/// One reason for which a definition would be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, as AWS writes it: `/States/Charge/Next`.
    pub path: String,
    pub message: String,
}

/// Everything that makes a definition invalid; empty for one that AWS would take.
pub fn problems(machine: &StateMachine) -> Vec<Problem> {
    let mut found = Vec::new();
    check_machine(machine, "", is_jsonata(&machine.fields), &mut found);
    let mut names: Vec<&Name> = machine.all_states().into_iter().map(|it| &it.name).collect();
    names.sort();
    for pair in names.windows(2).filter(|pair| pair[0] == pair[1]) {
        found.push(Problem {
            path: "/States".to_owned(),
            message: format!("the name `{}` is used by two states", pair[0]),
        });
    }
    found
}

fn is_jsonata(fields: &Map<String, Value>) -> bool {
    fields.get("QueryLanguage").and_then(Value::as_str) == Some("JSONata")
}

fn check_machine(machine: &StateMachine, path: &str, is_in_jsonata: bool, found: &mut Vec<Problem>) {
    let mut report = |place: &str, message: String| {
        found.push(Problem { path: format!("{path}{place}"), message });
    };
    if machine.states.is_empty() {
        report("/States", "a state machine needs a state".to_owned());
    } else if machine.state(&machine.start_at).is_none() {
        report("/StartAt", format!("`{}` is not among the states", machine.start_at));
    }
    if !machine.states.is_empty() && !machine.states.iter().any(is_terminal) {
        report("/States", "no state ends the machine".to_owned());
    }
    for state in &machine.states {
        let here = format!("{path}/States/{}", state.name);
        for target in state.targets().filter(|it| machine.state(it).is_none()) {
            found
                .push(Problem { path: here.clone(), message: format!("`{target}` is not among the states beside it") });
        }
        check_state(state, &here, found);
        let language = state.fields.get("QueryLanguage").and_then(Value::as_str);
        if is_in_jsonata && language == Some("JSONPath") {
            let message = "a machine in JSONata has no states in JSONPath".to_owned();
            found.push(Problem { path: format!("{here}/QueryLanguage"), message });
        } else if !is_in_jsonata && language != Some("JSONata") {
            for field in ["Parameters", "ResultSelector", "ItemSelector"] {
                if let Some(template) = state.fields.get(field) {
                    check_template(template, &format!("{here}/{field}"), found);
                }
            }
        }
        for (index, inner) in state.inner.iter().enumerate() {
            check_machine(
                inner,
                &format!(
                    "{here}/{}",
                    if state.processor.is_some() { "ItemProcessor".to_owned() } else { format!("Branches[{index}]") }
                ),
                is_in_jsonata,
                found,
            );
        }
    }
}

/// In a payload template, what a key ending in `.$` has is a path or the call of an intrinsic function.
fn check_template(value: &Value, path: &str, found: &mut Vec<Problem>) {
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields {
                let here = format!("{path}/{key}");
                if !key.ends_with(".$") {
                    check_template(inner, &here, found);
                } else if !inner.as_str().is_some_and(is_path_or_call) {
                    found.push(Problem {
                        path: here,
                        message: "neither a path nor the call of an intrinsic function".to_owned(),
                    });
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|it| check_template(it, path, found)),
        _ => {}
    }
}

fn is_path_or_call(text: &str) -> bool {
    const INTRINSICS: [&str; 18] = [
        "Format",
        "StringToJson",
        "JsonToString",
        "Array",
        "ArrayPartition",
        "ArrayContains",
        "ArrayRange",
        "ArrayGetItem",
        "ArrayLength",
        "ArrayUnique",
        "Base64Encode",
        "Base64Decode",
        "Hash",
        "JsonMerge",
        "MathRandom",
        "MathAdd",
        "StringSplit",
        "UUID",
    ];
    let text = text.trim();
    if let Some(call) = text.strip_prefix("States.") {
        return call.split_once('(').is_some_and(|(name, _)| INTRINSICS.contains(&name.trim()));
    }
    match text.strip_prefix("$$") {
        Some(rest) => rest.is_empty() || rest.starts_with(['.', '[']),
        // A path, a variable, or a text that deployment substitutes.
        None => text.starts_with('$') || text.contains("${") || (text.starts_with('%') && text.ends_with('%')),
    }
}

fn is_terminal(state: &State) -> bool {
    state.end || matches!(state.kind, Some(StateType::Succeed | StateType::Fail))
}

fn check_state(state: &State, path: &str, found: &mut Vec<Problem>) {
    let mut report = |place: &str, message: &str| {
        found.push(Problem { path: format!("{path}{place}"), message: message.to_owned() });
    };
    let Some(kind) = state.kind else {
        report("/Type", "a state needs one of the eight types");
        return;
    };
    let has = |field: &str| state.fields.contains_key(field);
    match kind {
        StateType::Task if !has("Resource") => report("/Resource", "a Task needs a resource"),
        StateType::Choice if !has("Choices") => report("/Choices", "a Choice needs rules"),
        StateType::Parallel if state.inner.is_empty() => report("/Branches", "a Parallel needs a branch"),
        StateType::Map if state.inner.is_empty() => report("/ItemProcessor", "a Map needs an item processor"),
        StateType::Map if has("ItemProcessor") && has("Iterator") => {
            report("/Iterator", "`ItemProcessor` and the deprecated `Iterator` exclude one another");
        }
        StateType::Map if has("ItemSelector") && has("Parameters") => {
            report("/Parameters", "`ItemSelector` and the deprecated `Parameters` exclude one another");
        }
        _ => {}
    }
    let leads_on = !matches!(kind, StateType::Choice | StateType::Succeed | StateType::Fail);
    if leads_on && state.next.is_some() == state.end {
        report("/Next", "a state needs exactly one of `Next` and `End`");
    }
    for field in state.fields.keys().filter(|field| !is_allowed(kind, field)) {
        report(&format!("/{field}"), &format!("a {} state has no such field", kind.as_str()));
    }
    for (one, other) in EXCLUSIVE.iter().filter(|(one, other)| has(one) && has(other)) {
        report(&format!("/{other}"), &format!("`{one}` and `{other}` exclude one another"));
    }
    check_handlers(state, &mut report);
}

const EXCLUSIVE: [(&str, &str); 8] = [
    ("TimeoutSeconds", "TimeoutSecondsPath"),
    ("HeartbeatSeconds", "HeartbeatSecondsPath"),
    ("Error", "ErrorPath"),
    ("Cause", "CausePath"),
    ("Seconds", "SecondsPath"),
    ("Timestamp", "TimestampPath"),
    ("Seconds", "Timestamp"),
    ("MaxConcurrency", "MaxConcurrencyPath"),
];

fn check_handlers(state: &State, report: &mut impl FnMut(&str, &str)) {
    for (place, key) in [("/Retry", "Retry"), ("/Catch", "Catch")] {
        let handlers =
            state.fields.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object);
        for handler in handlers {
            if handler.get("ErrorEquals").and_then(Value::as_array).is_none_or(Vec::is_empty) {
                report(place, "`ErrorEquals` needs at least one error name");
            }
            check_numbers(handler, place, report);
        }
    }
    if state.fields.get("Credentials").is_some_and(|it| !is_credentials(it)) {
        report("/Credentials", "credentials are an object with a `RoleArn`");
    }
}

fn check_numbers(handler: &Map<String, Value>, place: &str, report: &mut impl FnMut(&str, &str)) {
    let number = |key: &str| handler.get(key).and_then(Value::as_f64);
    if number("BackoffRate").is_some_and(|it| it < 1.0) {
        report(place, "`BackoffRate` is at least 1.0");
    }
    if number("MaxAttempts").is_some_and(|it| it < 0.0) || number("IntervalSeconds").is_some_and(|it| it < 1.0) {
        report(place, "`MaxAttempts` is not negative, `IntervalSeconds` at least 1");
    }
}

fn is_credentials(value: &Value) -> bool {
    match value {
        Value::Object(fields) => ["RoleArn", "RoleArn.$", "LambdaRole"].iter().any(|it| fields.contains_key(*it)),
        other => other.as_str().is_some_and(|it| it.starts_with("{%")),
    }
}

/// Whether a state of this type may have the field.
fn is_allowed(kind: StateType, field: &str) -> bool {
    const COMMON: [&str; 8] = ["Type", "Comment", "QueryLanguage", "Next", "End", "InputPath", "OutputPath", "Assign"];
    let own: &[&str] = match kind {
        StateType::Task => &[
            "Resource",
            "Parameters",
            "ResultSelector",
            "ResultPath",
            "Arguments",
            "Output",
            "Credentials",
            "TimeoutSeconds",
            "TimeoutSecondsPath",
            "HeartbeatSeconds",
            "HeartbeatSecondsPath",
            "Retry",
            "Catch",
        ],
        StateType::Pass => &["Result", "Parameters", "ResultPath", "Output"],
        StateType::Choice => &["Choices", "Default", "Output"],
        StateType::Wait => &["Seconds", "Timestamp", "SecondsPath", "TimestampPath", "Output"],
        StateType::Succeed => &["Output"],
        StateType::Fail => &["Error", "ErrorPath", "Cause", "CausePath"],
        StateType::Parallel => {
            &["Branches", "Parameters", "ResultSelector", "ResultPath", "Arguments", "Output", "Retry", "Catch"]
        }
        StateType::Map => &[
            "ItemProcessor",
            "Iterator",
            "ItemsPath",
            "Items",
            "ItemSelector",
            "Parameters",
            "MaxConcurrency",
            "MaxConcurrencyPath",
            "ItemReader",
            "ItemBatcher",
            "ResultWriter",
            "ToleratedFailurePercentage",
            "ToleratedFailurePercentagePath",
            "ToleratedFailureCount",
            "ToleratedFailureCountPath",
            "Label",
            "ResultSelector",
            "ResultPath",
            "Output",
            "Retry",
            "Catch",
        ],
    };
    let unused: &[&str] = match kind {
        StateType::Choice => &["End"],
        StateType::Succeed => &["Next", "End", "Assign"],
        StateType::Fail => &["Next", "End", "InputPath", "OutputPath", "Assign"],
        _ => &[],
    };
    (COMMON.contains(&field) && !unused.contains(&field)) || own.contains(&field)
}
