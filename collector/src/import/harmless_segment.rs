//! Which parts of a segment document hold nothing of the users' data? Only these are kept where payloads are not.
//!
//! Source: the segment documents of the X-Ray Developer Guide. What instrumented code and callers put in (annotations,
//! metadata, users, statements, addresses, messages of exceptions) is not on the list, and neither is what is new.

use serde_json::{Map, Value};

use super::PayloadPolicy;
use super::fields::as_time;
use super::shape::{is_token, type_name};

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
const AWS: [&str; 9] = [
    "operation",
    "account_id",
    "region",
    "request_id",
    "resource_arn",
    "execution_arn",
    "function_arn",
    "table_name",
    "retries",
];
const EXCEPTION: [&str; 5] = ["id", "type", "remote", "truncated", "skipped"];
/// X-Ray's own limit of a name.
const LONGEST_NAME: usize = 200;
/// No trace nests as deep; a document that does is cut off there.
const DEEPEST: usize = 100;

/// A document with what is harmless of it, and under `redacted` the types of what else it has.
pub(super) fn document(value: &Value, policy: PayloadPolicy) -> Value {
    below(value, policy, 0)
}

fn below(value: &Value, policy: PayloadPolicy, depth: usize) -> Value {
    let Some(fields) = value.as_object() else { return Value::Null };
    let mut kept = Map::new();
    for (key, value) in fields {
        let it = match key.as_str() {
            "subsegments" if depth < DEEPEST => {
                let items = value.as_array().into_iter().flatten().filter(|it| it.is_object());
                Some(items.map(|it| below(it, policy, depth + 1)).collect())
            }
            key => harmless(key, value),
        };
        if let Some(it) = it {
            kept.insert(key.clone(), it);
        } else if policy == PayloadPolicy::Redacted && is_member(key) {
            kept.insert(key.clone(), type_name(value).into());
        }
    }
    Value::Object(kept)
}

fn harmless(key: &str, value: &Value) -> Option<Value> {
    let text = |is_fine: fn(&str) -> bool| value.as_str().filter(|it| is_fine(it)).map(Value::from);
    match key {
        "id" | "parent_id" | "trace_id" => text(is_id),
        "name" => text(is_name),
        "origin" => text(|it| it.starts_with("AWS::") && is_token(it)),
        "namespace" => text(|it| matches!(it, "aws" | "remote")),
        "type" => text(|it| it == "subsegment"),
        "resource_arn" => text(|it| it.starts_with("arn:") && is_token(it)),
        "start_time" | "end_time" => as_time(value).map(|_| value.clone()),
        "in_progress" | "error" | "throttle" | "fault" | "inferred" => value.as_bool().map(Value::from),
        "precursor_ids" => {
            let ids = value.as_array()?.iter().filter_map(Value::as_str).filter(|it| is_id(it));
            Some(ids.map(Value::from).collect())
        }
        "http" => Some(http(value)),
        "aws" => Some(listed(value, &AWS)),
        "cause" => cause(value),
        _ => None,
    }
}

fn http(value: &Value) -> Value {
    let mut kept = Map::new();
    let method = value.pointer("/request/method").and_then(Value::as_str).filter(|it| METHODS.contains(it));
    if let Some(method) = method {
        kept.insert("request".to_owned(), Value::Object([("method".to_owned(), method.into())].into_iter().collect()));
    }
    let number = |key: &str| {
        let it = value.get("response")?.get(key)?.as_u64()?;
        Some((key.to_owned(), Value::from(it)))
    };
    let response: Map<String, Value> = ["status", "content_length"].into_iter().filter_map(number).collect();
    if !response.is_empty() {
        kept.insert("response".to_owned(), Value::Object(response));
    }
    Value::Object(kept)
}

/// The id of another segment's exception, or exceptions without their messages and stacks.
fn cause(value: &Value) -> Option<Value> {
    if let Some(id) = value.as_str() {
        return is_id(id).then(|| id.into());
    }
    let mut kept = Map::new();
    if let Some(exceptions) = value.as_object()?.get("exceptions").and_then(Value::as_array) {
        kept.insert("exceptions".to_owned(), exceptions.iter().map(|it| listed(it, &EXCEPTION)).collect());
    }
    Some(Value::Object(kept))
}

/// Members of an object by list, where they are single words, numbers or flags.
fn listed(value: &Value, names: &[&str]) -> Value {
    let is_fine = |it: &Value| match it {
        Value::String(text) => is_token(text),
        Value::Number(_) | Value::Bool(_) => true,
        _ => false,
    };
    let fields = value.as_object().into_iter().flatten();
    let kept = fields.filter(|(key, it)| names.contains(&key.as_str()) && is_fine(it));
    Value::Object(kept.map(|(key, it)| (key.clone(), it.clone())).collect())
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
}

/// The characters that X-Ray allows.
fn is_name(text: &str) -> bool {
    let is_allowed = |it: char| it.is_alphanumeric() || it == ' ' || "_.:/%&#=+\\-@,?".contains(it);
    text.chars().count() <= LONGEST_NAME && text.chars().all(is_allowed)
}

/// A key in the manner of the documents: small letters and underscores.
fn is_member(key: &str) -> bool {
    key.len() <= 40 && key.bytes().all(|it| it.is_ascii_lowercase() || it == b'_')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn segments_lose_what_callers_put_into_them() {
        let given = json!({
            "id": "1", "user": "ann", "http": {"request": {"method": "GET", "url": "https://x/?card=4111"}, "response": {"status": 200}},
            "aws": {"operation": "Invoke", "queue_url": "https://q/ann", "xray": {"x": 1}}, "brand_new": {"card": 4111},
            "subsegments": [{"id": "2", "metadata": {"a": 1}, "cause": {"exceptions": [{"type": "E", "message": "4111"}]}}],
        });
        let expected = json!({
            "id": "1", "http": {"request": {"method": "GET"}, "response": {"status": 200}}, "aws": {"operation": "Invoke"},
            "subsegments": [{"id": "2", "cause": {"exceptions": [{"type": "E"}]}}],
        });
        assert_eq!(document(&given, PayloadPolicy::None), expected);
        let redacted = document(&given, PayloadPolicy::Redacted);
        assert_eq!(redacted["user"], "string");
        assert_eq!(redacted["brand_new"], "object");
        assert_eq!(redacted["subsegments"][0]["metadata"], "object");
        assert!(!redacted.to_string().contains("4111"), "{redacted}");
    }
}
