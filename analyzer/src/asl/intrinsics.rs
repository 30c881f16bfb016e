//! What CloudFormation's functions make of a value: a text, in which what deployment fills in stands as `${Name}`.

use serde_json::{Map, Value};

/// Replaces functions anywhere in a value by their texts; `Fn::ToJsonString` stays, for its argument is a tree.
pub(super) fn filled(value: &Value) -> Value {
    match value {
        Value::Object(fields) => match function_of(fields) {
            Some((function, argument)) => match text(function, argument) {
                Some(text) => Value::from(text),
                None => Value::Object(Map::from_iter([(function.to_owned(), filled(argument))])),
            },
            None => Value::Object(fields.iter().map(|(key, inner)| (key.clone(), filled(inner))).collect()),
        },
        Value::Array(items) => items.iter().map(filled).collect(),
        other => other.clone(),
    }
}

/// What a tag of YAML makes of its value: `!Ref` is `Ref`, `!Sub` is `Fn::Sub`; tags of YAML itself leave it as it is.
pub(super) fn of_tag(handle: &str, tag: &str, inner: Value) -> Value {
    if handle.starts_with("tag:yaml.org") || handle == "!!" {
        return inner;
    }
    let function = if tag == "Ref" || tag == "Condition" { tag.to_owned() } else { format!("Fn::{tag}") };
    match text(&function, &inner) {
        Some(text) => Value::from(text),
        None => Value::Object(Map::from_iter([(function, inner)])),
    }
}

fn function_of(fields: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (function, argument) = fields.iter().next().filter(|_| fields.len() == 1)?;
    let is_function = function == "Ref" || function.starts_with("Fn::");
    is_function.then_some((function.as_str(), argument))
}

/// The text that a function makes; `None` for one whose argument is a tree.
fn text(function: &str, argument: &Value) -> Option<String> {
    let name = |it: &Value| it.as_str().map_or_else(|| "?".to_owned(), str::to_owned);
    match (function, argument) {
        ("Fn::ToJsonString", _) => None,
        ("Fn::Sub", Value::String(text)) => Some(text.clone()),
        ("Fn::Sub", Value::Array(items)) => items.first().map(name),
        ("Fn::Join", Value::Array(items)) => match items.as_slice() {
            [Value::String(separator), Value::Array(parts)] => {
                let part = |it: &Value| match filled(it) {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                Some(parts.iter().map(part).collect::<Vec<_>>().join(separator))
            }
            _ => Some("${Fn::Join}".to_owned()),
        },
        ("Fn::GetAtt", Value::Array(parts)) => {
            Some(format!("${{{}}}", parts.iter().map(name).collect::<Vec<_>>().join(".")))
        }
        ("Ref" | "Condition" | "Fn::GetAtt", it) => Some(format!("${{{}}}", name(it))),
        (other, _) => Some(format!("${{{other}}}")),
    }
}

/// Whether a text is nothing but what deployment fills in.
pub(super) fn is_filled_in(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("${") && text.find('}') == Some(text.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn functions_become_texts() {
        let check = |value: Value, expected: &str| assert_eq!(filled(&value), Value::from(expected));
        check(json!({"Ref": "A"}), "${A}");
        check(json!({"Fn::GetAtt": ["F", "Arn"]}), "${F.Arn}");
        check(json!({"Fn::Sub": ["a${B}", {"B": 1}]}), "a${B}");
        check(json!({"Fn::Join": ["-", ["a", {"Ref": "B"}, 3]]}), "a-${B}-3");
        check(json!({"Fn::If": ["C", "a", "b"]}), "${Fn::If}");
        let tree = json!({"a": [{"Ref": "B"}], "c": {"Fn::ToJsonString": {"x": 1}}});
        assert_eq!(filled(&tree), json!({"a": ["${B}"], "c": {"Fn::ToJsonString": {"x": 1}}}));
    }
}
