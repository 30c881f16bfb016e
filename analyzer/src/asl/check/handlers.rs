//! Are Retry and Catch as they have to be?

use serde_json::{Map, Value};

use super::Report;
use super::values::{is_one_of, is_open, is_whole};
use crate::asl::State;

/// The longest delay between two attempts, in seconds: a year of 366 days.
const MOST_DELAY: f64 = 31_622_400.0;

pub(super) fn check(state: &State, report: &mut Report<'_>) {
    for key in ["Retry", "Catch"] {
        let Some(value) = state.fields.get(key).filter(|it| !is_open(it)) else { continue };
        let Some(all) = value.as_array() else {
            report(&format!("/{key}"), format!("`{key}` is a list"));
            continue;
        };
        for (index, handler) in all.iter().enumerate() {
            let place = format!("/{key}[{index}]");
            if is_open(handler) {
                continue;
            }
            match handler.as_object() {
                Some(it) => check_one(key, it, index + 1 == all.len(), &mut |inner, message| {
                    report(&format!("{place}{inner}"), message);
                }),
                None => report(&place, format!("what stands in `{key}` are objects")),
            }
        }
    }
    if state.fields.get("Credentials").is_some_and(|it| !is_credentials(it)) {
        report("/Credentials", "credentials are an object with a `RoleArn`".to_owned());
    }
}

fn check_one(key: &str, handler: &Map<String, Value>, is_last: bool, report: &mut Report<'_>) {
    let named = handler.get("ErrorEquals");
    if named.is_some_and(|it| is_open(it) || it.as_array().is_some_and(|it| it.iter().any(is_open))) {
        return;
    }
    let errors: Option<Vec<&str>> =
        handler.get("ErrorEquals").and_then(Value::as_array).map(|it| it.iter().filter_map(Value::as_str).collect());
    match errors.as_deref() {
        None | Some([]) => report("/ErrorEquals", "`ErrorEquals` needs at least one error name".to_owned()),
        Some(errors) if errors.contains(&"States.ALL") => {
            if errors.len() > 1 {
                report("/ErrorEquals", "`States.ALL` stands alone".to_owned());
            } else if !is_last {
                report("/ErrorEquals", format!("`States.ALL` stands in the last part of `{key}`"));
            }
        }
        Some(_) => {}
    }
    if key == "Catch" {
        if !handler.get("Next").is_some_and(Value::is_string) {
            report("/Next", "a Catch needs a `Next`".to_owned());
        }
        return;
    }
    is_whole(handler, "MaxAttempts", 0.0, 99_999_999.0, report);
    is_whole(handler, "IntervalSeconds", 1.0, 99_999_999.0, report);
    is_whole(handler, "MaxDelaySeconds", 1.0, MOST_DELAY, report);
    is_one_of(handler, "JitterStrategy", &["FULL", "NONE"], report);
    if let Some(rate) = handler.get("BackoffRate").filter(|it| !is_open(it))
        && !rate.as_f64().is_some_and(|it| it >= 1.0)
    {
        report("/BackoffRate", "`BackoffRate` is at least 1.0".to_owned());
    }
}

fn is_credentials(value: &Value) -> bool {
    match value {
        Value::Object(fields) => ["RoleArn", "RoleArn.$", "LambdaRole"].iter().any(|it| fields.contains_key(*it)),
        other => other.as_str().is_some_and(|it| it.starts_with("{%")),
    }
}
