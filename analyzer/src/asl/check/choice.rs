//! Are the rules of a Choice rules?

use serde_json::{Map, Value};

use super::values::{is_open, is_timestamp};
use super::{Language, Report};
use crate::asl::State;

/// What a rule may have beside its comparison.
const BESIDE: [&str; 5] = ["Next", "Comment", "Assign", "Output", "Variable"];

pub(super) fn check(state: &State, language: Language, report: &mut Report<'_>) {
    let Some(value) = state.fields.get("Choices").filter(|it| !is_open(it)) else { return };
    let rules = value.as_array().map(Vec::as_slice).unwrap_or_default();
    if rules.is_empty() {
        report("/Choices", "a Choice needs at least one rule".to_owned());
    }
    for (index, rule) in rules.iter().enumerate() {
        let place = format!("/Choices[{index}]");
        if is_open(rule) {
            continue;
        }
        let Some(rule) = rule.as_object() else {
            report(&place, "a rule is an object".to_owned());
            continue;
        };
        if !rule.get("Next").is_some_and(Value::is_string) {
            report(&format!("{place}/Next"), "a rule needs a `Next`".to_owned());
        }
        match language {
            Language::Jsonata => check_condition(rule, &place, report),
            Language::JsonPath => check_comparison(rule, &place, report),
            Language::Unknown => {}
        }
    }
}

fn check_condition(rule: &Map<String, Value>, place: &str, report: &mut Report<'_>) {
    match rule.get("Condition") {
        None => report(place, "a rule in JSONata needs a `Condition`".to_owned()),
        Some(it) if !it.is_boolean() && !is_open(it) => {
            report(&format!("{place}/Condition"), "a condition is an expression `{% … %}`".to_owned());
        }
        Some(_) => {}
    }
    if rule.contains_key("Variable") {
        report(&format!("{place}/Variable"), "`Variable` belongs to JSONPath, and this state is in JSONata".to_owned());
    }
}

fn check_comparison(rule: &Map<String, Value>, place: &str, report: &mut Report<'_>) {
    if rule.contains_key("Condition") {
        return report(
            &format!("{place}/Condition"),
            "`Condition` belongs to JSONata, and this state is in JSONPath".to_owned(),
        );
    }
    let mut operators: Vec<&String> = rule.keys().filter(|it| !BESIDE.contains(&it.as_str())).collect();
    // A name that deployment fills in may be any operator.
    if operators.iter().any(|it| it.contains("${") || it.starts_with(['_', '%'])) {
        return;
    }
    let Some(operator) = operators.pop().filter(|_| operators.is_empty()) else {
        return report(place, "a rule has exactly one comparison".to_owned());
    };
    let here = format!("{place}/{operator}");
    match (operator.as_str(), &rule[operator]) {
        ("And" | "Or", Value::Array(parts)) if !parts.is_empty() => {
            for (index, part) in parts.iter().enumerate() {
                check_part(part, &format!("{here}[{index}]"), report);
            }
        }
        ("Not", part) => check_part(part, &here, report),
        ("And" | "Or", _) => report(&here, format!("`{operator}` is a list of comparisons")),
        (operator, value) => {
            if !rule.get("Variable").is_some_and(|it| {
                it.as_str().is_some_and(|it| it.starts_with('$') || it.contains("${") || it.starts_with("States."))
            }) {
                report(&format!("{place}/Variable"), "a comparison needs a `Variable`, which is a path".to_owned());
            }
            check_value(operator, value, &here, report);
        }
    }
}

fn check_part(part: &Value, place: &str, report: &mut Report<'_>) {
    match part.as_object() {
        Some(part) => {
            if part.contains_key("Next") {
                report(&format!("{place}/Next"), "`Next` stands beside the outermost comparison alone".to_owned());
            }
            check_comparison(part, place, report);
        }
        None => report(place, "a comparison is an object".to_owned()),
    }
}

fn check_value(operator: &str, value: &Value, place: &str, report: &mut Report<'_>) {
    const ORDERS: [&str; 5] = ["Equals", "LessThan", "GreaterThan", "LessThanEquals", "GreaterThanEquals"];
    const KINDS: [&str; 6] = ["IsNull", "IsPresent", "IsNumeric", "IsString", "IsBoolean", "IsTimestamp"];
    if KINDS.contains(&operator) {
        if !value.is_boolean() && !is_open(value) {
            report(place, format!("`{operator}` is true or false"));
        }
        return;
    }
    let is_path = operator.ends_with("Path");
    let bare = operator.strip_suffix("Path").unwrap_or(operator);
    let kind = ["Boolean", "Numeric", "String", "Timestamp"].into_iter().find(|it| {
        bare.strip_prefix(it).is_some_and(|order| ORDERS.contains(&order) && (*it != "Boolean" || order == "Equals"))
    });
    let is_right = match (kind, is_path) {
        (None, false) if operator == "StringMatches" => value.is_string(),
        (None, _) => return report(place, "there is no such comparison".to_owned()),
        (Some(_), true) => value.as_str().is_some_and(|it| it.starts_with('$')),
        (Some("Boolean"), _) => value.is_boolean(),
        (Some("Numeric"), _) => value.is_number(),
        (Some("Timestamp"), _) => value.as_str().is_some_and(is_timestamp),
        (Some(_), _) => value.is_string(),
    };
    if !is_right && !is_open(value) {
        report(place, format!("the value of `{operator}` is of another kind"));
    }
}
