//! From the text of a definition to a tree of values, whichever of the three notations it is written in.

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value};

use super::StateMachine;

/// Why a text is no state machine definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    pub message: String,
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ParseError {}

impl StateMachine {
    /// Reads a definition from JSON, JSON5 or YAML.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::from_value(&text_to_value(text)?)
    }
}

/// Reads JSON, else JSON5, else YAML; the error is that of the notation which the text seems to be in.
pub fn text_to_value(text: &str) -> Result<Value, ParseError> {
    let text = text.trim_start_matches('\u{feff}');
    let json_error = match serde_json::from_str(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let looks_like_json = text.trim_start().starts_with(['{', '[', '/']);
    if looks_like_json {
        return json5::from_str(text)
            .map_err(|error| ParseError { message: format!("neither JSON ({json_error}) nor JSON5 ({error})") });
    }
    yaml(text)
}

fn yaml(text: &str) -> Result<Value, ParseError> {
    let documents = Yaml::load_from_str(text).map_err(|error| ParseError { message: format!("not YAML: {error}") })?;
    documents
        .into_iter()
        .next()
        .map(|document| from_yaml(&document))
        .ok_or_else(|| ParseError { message: "the text is empty".to_owned() })
}

/// A tagged value, such as CloudFormation's `!Sub` or `!GetAtt`, keeps its text: it is filled in at deployment.
fn from_yaml(node: &Yaml<'_>) -> Value {
    match node {
        Yaml::Value(Scalar::Boolean(it)) => Value::from(*it),
        Yaml::Value(Scalar::Integer(it)) => Value::from(*it),
        Yaml::Value(Scalar::FloatingPoint(it)) => Value::from(it.into_inner()),
        Yaml::Value(Scalar::String(it)) | Yaml::Representation(it, ..) => Value::from(it.as_ref()),
        Yaml::Sequence(items) => items.iter().map(from_yaml).collect(),
        Yaml::Mapping(entries) => {
            let entries = entries.iter().map(|(key, value)| (key_text(key), from_yaml(value)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
        Yaml::Tagged(_, inner) => from_yaml(inner),
        _ => Value::Null,
    }
}

fn key_text(key: &Yaml<'_>) -> String {
    match from_yaml(key) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
