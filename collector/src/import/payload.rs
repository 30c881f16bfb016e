//! May users' data be kept? The policy is applied where data is read, so nothing beyond it sees more.

use analyzer::model::{Payload, PayloadField};
use serde_json::Value;

/// What becomes of inputs, outputs, parameters, variables and causes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PayloadPolicy {
    /// They are not kept.
    None,
    /// Their shape is kept: keys stay, values become the name of their type.
    Redacted,
    #[default]
    Full,
}

impl PayloadPolicy {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "none" => Some(Self::None),
            "redacted" => Some(Self::Redacted),
            "full" => Some(Self::Full),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Redacted => "redacted",
            Self::Full => "full",
        }
    }

    pub(super) fn apply(self, field: PayloadField, body: &str) -> Option<Payload> {
        let body = match self {
            Self::None => return None,
            Self::Redacted => redact(body),
            Self::Full => body.to_owned(),
        };
        Some(Payload { field, body: body.into_boxed_str() })
    }
}

fn redact(body: &str) -> String {
    match serde_json::from_str::<Value>(body) {
        Ok(value) if value.is_object() || value.is_array() => shape(&value).to_string(),
        _ => "\"string\"".to_owned(),
    }
}

fn shape(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) => "boolean".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "string".into(),
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), shape(value))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redaction_keeps_keys_and_drops_values() {
        assert_eq!(redact(r#"{"card":"4111","n":[1,true]}"#), r#"{"card":"string","n":["number","boolean"]}"#);
        assert_eq!(redact("Order 4111 failed"), "\"string\"");
    }
}
