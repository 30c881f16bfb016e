//! What is left of a value of which only the shape is kept?

use serde_json::{Map, Value};

pub(super) const REDACTED: &str = "[redacted]";

/// An object with more members than this is a table of data, whose keys are data, too.
const MOST_KEYS: usize = 100;
const LONGEST_KEY: usize = 64;
/// A key with more digits than this is a number of something.
const MOST_DIGITS: usize = 3;
const LONGEST_TOKEN: usize = 1_024;

/// The shape of a text that may be JSON.
pub(super) fn of_text(body: &str) -> String {
    match serde_json::from_str::<Value>(body) {
        Ok(value) if value.is_object() || value.is_array() => of_value(&value).to_string(),
        _ => "\"string\"".to_owned(),
    }
}

fn of_value(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(of_value).collect(),
        Value::Object(fields) => Value::Object(of_fields(fields)),
        Value::Null => Value::Null,
        scalar => type_name(scalar).into(),
    }
}

/// Keys that read like names stay; those that may be data, such as addresses and numbers, become one.
fn of_fields(fields: &Map<String, Value>) -> Map<String, Value> {
    let are_names = fields.len() <= MOST_KEYS;
    let key = |key: &String| if are_names && is_name(key) { key.clone() } else { REDACTED.to_owned() };
    fields.iter().map(|(name, value)| (key(name), of_value(value))).collect()
}

pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Whether a key of users' data reads like the name of a field.
fn is_name(key: &str) -> bool {
    key.len() <= LONGEST_KEY
        && key.starts_with(|it: char| it.is_ascii_alphabetic() || matches!(it, '_' | '$'))
        && key.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-' | b'.' | b'$'))
        && key.bytes().filter(u8::is_ascii_digit).count() <= MOST_DIGITS
}

/// Whether a key is written as AWS writes those of its events: letters alone, the first of them small.
pub(super) fn is_field_name(key: &str) -> bool {
    key.len() <= LONGEST_KEY
        && key.starts_with(|it: char| it.is_ascii_lowercase())
        && key.bytes().all(|it| it.is_ascii_alphabetic())
}

/// Whether a text is one word of the kind that ids, ARNs and names of operations are.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= LONGEST_TOKEN
        && text.chars().all(|it| !it.is_whitespace() && !it.is_control() && !matches!(it, '"' | '{' | '}' | '?' | '\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_keep_keys_and_drop_values() {
        assert_eq!(of_text(r#"{"card":"4111","n":[1,true]}"#), r#"{"card":"string","n":["number","boolean"]}"#);
        assert_eq!(of_text("Order 4111 failed"), "\"string\"");
    }

    #[test]
    fn keys_that_may_be_data_are_left_out() {
        let body = r#"{"ann@example.com":{"n":1},"4111111111111111":2,"order-20261130":3,"orderId":4}"#;
        assert_eq!(of_text(body), r#"{"[redacted]":"number","orderId":"number"}"#);
        let table: Map<String, Value> = (0..200).map(|it| (format!("k{it}"), Value::Null)).collect();
        assert_eq!(of_text(&Value::Object(table).to_string()), r#"{"[redacted]":null}"#);
    }
}
