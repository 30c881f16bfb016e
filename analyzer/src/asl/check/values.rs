//! Are the values of the fields of the right kind, and within their limits?

use serde_json::{Map, Value};

use super::{Language, Report, fields, resources};
use crate::asl::State;
use crate::model::StateType;

/// Seconds that a time-out or a wait may have.
const MOST_SECONDS: f64 = 99_999_999.0;
/// Characters that a name may have.
const LONGEST_NAME: usize = 80;
const LONGEST_LABEL: usize = 40;
const FORBIDDEN: &str = "?*<>{}[]:;,\\|^~$#%&`\"";

/// Whether a text stands for a value that is not known yet: an expression in JSONata, or what deployment fills in.
pub(super) fn is_open(value: &Value) -> bool {
    value.as_str().is_some_and(|it| it.starts_with("{%") || it.contains("${"))
}

/// Truths of YAML 1.1, as CloudFormation reads them.
fn is_yes_or_no(value: &Value) -> bool {
    value.as_str().is_some_and(|it| ["yes", "no", "on", "off"].iter().any(|known| it.eq_ignore_ascii_case(known)))
}

/// Checks the fields of a machine other than its states.
pub(super) fn check_machine(all: &Map<String, Value>, report: &mut Report<'_>) {
    is_whole(all, "TimeoutSeconds", 1.0, MOST_SECONDS, report);
    is_one_of(all, "QueryLanguage", &["JSONPath", "JSONata"], report);
    is_text(all, "Comment", report);
    is_text(all, "Version", report);
    let Some(config) = all.get("ProcessorConfig") else { return };
    let Some(config) = config.as_object() else {
        return report("/ProcessorConfig", "`ProcessorConfig` is an object".to_owned());
    };
    let mut report = |place: &str, message: String| report(&format!("/ProcessorConfig{place}"), message);
    is_one_of(config, "Mode", &["INLINE", "DISTRIBUTED"], &mut report);
    is_one_of(config, "ExecutionType", &["STANDARD", "EXPRESS"], &mut report);
    if config.get("Mode").and_then(Value::as_str) == Some("DISTRIBUTED") && !config.contains_key("ExecutionType") {
        report("", "a distributed Map needs an `ExecutionType`".to_owned());
    }
}

pub(super) fn check_state(state: &State, kind: StateType, language: Language, report: &mut Report<'_>) {
    let all = &state.fields;
    if state.name.chars().count() > LONGEST_NAME {
        report("", format!("a name has at most {LONGEST_NAME} characters"));
    }
    for field in ["Comment", "Next", "Default", "Resource", "Error", "Cause"] {
        is_text(all, field, report);
    }
    is_one_of(all, "QueryLanguage", &["JSONPath", "JSONata"], report);
    if all.get("End").is_some_and(|it| !it.is_boolean() && !is_open(it) && !is_yes_or_no(it)) {
        report("/End", "`End` is true or false".to_owned());
    }
    for field in ["TimeoutSeconds", "HeartbeatSeconds"] {
        is_whole(all, field, 1.0, MOST_SECONDS, report);
    }
    is_whole(all, "Seconds", 0.0, MOST_SECONDS, report);
    is_whole(all, "MaxConcurrency", 0.0, f64::MAX, report);
    is_whole(all, "ToleratedFailureCount", 0.0, f64::MAX, report);
    if let Some(value) = all.get("ToleratedFailurePercentage").filter(|it| !is_open(it))
        && !value.as_f64().is_some_and(|it| (0.0..=100.0).contains(&it))
    {
        report("/ToleratedFailurePercentage", "a percentage lies between 0 and 100".to_owned());
    }
    let seconds = |field: &str| all.get(field).and_then(Value::as_f64);
    if seconds("HeartbeatSeconds")
        .zip(seconds("TimeoutSeconds"))
        .is_some_and(|(heartbeat, timeout)| heartbeat >= timeout)
    {
        report("/HeartbeatSeconds", "`HeartbeatSeconds` lies below `TimeoutSeconds`".to_owned());
    }
    check_paths(all, report);
    if kind == StateType::Wait
        && let Some(value) = all.get("Timestamp").filter(|it| !is_open(it))
        && !value.as_str().is_some_and(is_timestamp)
    {
        report("/Timestamp", "the text is no RFC 3339 timestamp such as 2026-11-26T07:00:00Z".to_owned());
    }
    if let Some(label) = all.get("Label").and_then(Value::as_str).filter(|it| !it.contains("${")) {
        if !(1..=LONGEST_LABEL).contains(&label.chars().count()) {
            report("/Label", format!("a label has 1 to {LONGEST_LABEL} characters"));
        }
        if label.chars().any(|it| it.is_control() || it.is_whitespace() || FORBIDDEN.contains(it)) {
            report("/Label", "a label has no spaces, wildcards, brackets and special characters".to_owned());
        }
    }
    if let Some(message) = state.resource.as_deref().and_then(resources::refused) {
        report("/Resource", message);
    }
    match language {
        Language::Jsonata => check_endings(all, "", report),
        Language::JsonPath => check_expressions(all, report),
        Language::Unknown => {}
    }
}

/// Paths are texts that begin with `$`, calls, or null where nothing is to be taken.
fn check_paths(all: &Map<String, Value>, report: &mut Report<'_>) {
    for (field, value) in all.iter().filter(|(_, it)| !is_open(it)) {
        let may_be_null = matches!(field.as_str(), "InputPath" | "OutputPath" | "ResultPath");
        let is_path = may_be_null
            || field == "ItemsPath"
            || (field.ends_with("Path") && fields::JSONPATH.contains(&field.as_str()));
        if !is_path || (may_be_null && value.is_null()) {
            continue;
        }
        if !value.as_str().is_some_and(|it| it.starts_with('$') || it.trim_start().starts_with("States.")) {
            report(&format!("/{field}"), format!("`{field}` is a path, which begins with `$`"));
        }
    }
}

/// Numbers are no expressions where the language is JSONPath.
fn check_expressions(all: &Map<String, Value>, report: &mut Report<'_>) {
    let numbers = [
        "TimeoutSeconds",
        "HeartbeatSeconds",
        "Seconds",
        "MaxConcurrency",
        "ToleratedFailureCount",
        "ToleratedFailurePercentage",
    ];
    for field in numbers {
        if all.get(field).and_then(Value::as_str).is_some_and(|it| it.starts_with("{%")) {
            report(&format!("/{field}"), "an expression is JSONata, and this state is in JSONPath".to_owned());
        }
    }
}

/// What begins as an expression in JSONata ends as one.
fn check_endings(all: &Map<String, Value>, path: &str, report: &mut Report<'_>) {
    // States inside are looked at by themselves.
    for (field, value) in all
        .iter()
        .filter(|it| !matches!(it.0.as_str(), "Comment" | "States" | "Branches" | "ItemProcessor" | "Iterator"))
    {
        let here = format!("{path}/{field}");
        match value {
            Value::String(text) if text.starts_with("{%") && !text.trim_end().ends_with("%}") => {
                report(&here, "an expression that begins with `{%` ends with `%}`".to_owned());
            }
            Value::Object(inner) => check_endings(inner, &here, report),
            _ => {}
        }
    }
}

pub(super) fn is_whole(all: &Map<String, Value>, field: &str, least: f64, most: f64, report: &mut Report<'_>) {
    let Some(value) = all.get(field).filter(|it| !is_open(it)) else { return };
    let is_right = value.as_f64().is_some_and(|it| it.fract() == 0.0 && it >= least && it <= most);
    if !is_right {
        let upto = if most < f64::MAX { format!(" up to {most}") } else { String::new() };
        report(&format!("/{field}"), format!("`{field}` is a whole number from {least}{upto}"));
    }
}

pub(super) fn is_one_of(all: &Map<String, Value>, field: &str, known: &[&str], report: &mut Report<'_>) {
    let Some(value) = all.get(field).filter(|it| !is_open(it)) else { return };
    if !value.as_str().is_some_and(|it| known.contains(&it)) {
        report(&format!("/{field}"), format!("`{field}` is one of {}", known.join(", ")));
    }
}

fn is_text(all: &Map<String, Value>, field: &str, report: &mut Report<'_>) {
    if all.get(field).is_some_and(|it| !it.is_string()) {
        report(&format!("/{field}"), format!("`{field}` is a text"));
    }
}

/// As RFC 3339 has it, with capital T and Z.
pub(super) fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |from: usize, to: usize| bytes.get(from..to).is_some_and(|it| it.iter().all(u8::is_ascii_digit));
    let signs = bytes.len() >= 20
        && [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')].iter().all(|(at, sign)| bytes[*at] == *sign);
    let numbers = [(0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19)].iter().all(|(from, to)| digits(*from, *to));
    signs && numbers && crate::time::parse(text).is_some()
}
