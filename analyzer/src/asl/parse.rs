//! From the text of a definition to a tree of values, whichever of the three notations it is written in.

use jsonc_parser::ParseOptions;
use saphyr::{Scalar, Yaml};
use serde_json::{Map, Value};

use super::{Place, StateMachine, intrinsics, yaml};

/// Why a text is no state machine definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    pub message: String,
    /// Where in the text, if that is known.
    pub place: Option<Place>,
}

impl ParseError {
    pub(super) fn new(message: String) -> Self {
        Self { message, place: None }
    }

    pub(super) fn at(message: String, line: usize, column: usize) -> Self {
        Self { message, place: Some(Place { line: line.max(1), column: column.max(1) }) }
    }
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
    if looks_like_json(text) {
        return json5(text).or_else(|error| {
            let filled = with_quoted_substitutions(text).and_then(|it| json5(&it).ok());
            let message = format!("neither JSON ({json_error}) nor JSON5 ({})", error.message);
            filled.ok_or(ParseError { message, ..error })
        });
    }
    from_yaml_text(text)
}

/// Whether a value is a definition: it has a start and states.
pub fn is_definition(value: &Value) -> bool {
    value.get("States").is_some_and(Value::is_object) && value.get("StartAt").is_some_and(Value::is_string)
}

/// Whether a text is written in one of JSON's notations.
pub(super) fn looks_like_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[', '/'])
}

/// What counts as JSON5 here: comments, single quotes, bare names, trailing commas, its numbers and escapes.
pub(super) fn json_options() -> ParseOptions {
    ParseOptions { allow_missing_commas: false, ..ParseOptions::default() }
}

fn json5(text: &str) -> Result<Value, ParseError> {
    match jsonc_parser::parse_to_serde_value(text, &json_options()) {
        Ok(Value::Null) => Err(ParseError::new("the text is empty".to_owned())),
        Ok(value) => Ok(value),
        Err(error) => Err(ParseError::at(error.to_string(), error.line_display(), error.column_display())),
    }
}

/// The text with quotes around `${…}` where it stands for a whole value, and without quotes of its own inside one, as
/// deployment tools take it; `None` where there is nothing of the kind.
pub(super) fn with_quoted_substitutions(text: &str) -> Option<String> {
    let mut filled = String::with_capacity(text.len() + 16);
    let (mut is_quoted, mut is_escaped, mut n_filled) = (false, false, 0);
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if rest.starts_with("${") {
            let end = end_of_substitution(rest)?;
            let inner = rest[..end].replace(['"', '\\'], "'").replace(['\n', '\r'], " ");
            if is_quoted {
                filled.push_str(&inner);
            } else {
                filled.push('"');
                filled.push_str(&inner);
                filled.push('"');
            }
            (rest, n_filled) = (&rest[end..], n_filled + 1);
            continue;
        }
        match next {
            '"' if !is_escaped => is_quoted = !is_quoted,
            // No text of JSON goes over a line.
            '\n' => is_quoted = false,
            _ => {}
        }
        is_escaped = is_quoted && next == '\\' && !is_escaped;
        filled.push(next);
        rest = &rest[next.len_utf8()..];
    }
    (n_filled > 0).then_some(filled)
}

/// Where `${` ends: at its own brace, with those inside it and inside its texts passed over.
fn end_of_substitution(text: &str) -> Option<usize> {
    let (mut depth, mut is_quoted) = (0_usize, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'{' if !is_quoted => depth += 1,
            b'}' if !is_quoted => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b'\n' if is_quoted => return None,
            _ => {}
        }
    }
    None
}

fn from_yaml_text(text: &str) -> Result<Value, ParseError> {
    let readable = yaml::readable(text)?;
    let documents: Vec<Yaml<'_>> = yaml::load(&readable.text).unwrap_or_default();
    documents
        .into_iter()
        .next()
        .map(|document| from_yaml(&document))
        .ok_or_else(|| ParseError::new("the text is empty".to_owned()))
}

/// A tagged value, such as CloudFormation's `!Sub` or `!GetAtt`, is the text that deployment makes of it. What `<<` merges in
/// stands among the fields.
fn from_yaml(node: &Yaml<'_>) -> Value {
    match node {
        Yaml::Value(Scalar::Boolean(it)) => Value::from(*it),
        Yaml::Value(Scalar::Integer(it)) => Value::from(*it),
        Yaml::Value(Scalar::FloatingPoint(it)) => Value::from(it.into_inner()),
        Yaml::Value(Scalar::String(it)) | Yaml::Representation(it, ..) => Value::from(it.as_ref()),
        Yaml::Sequence(items) => items.iter().map(from_yaml).collect(),
        Yaml::Mapping(entries) => {
            let mut fields = Map::new();
            let mut merged = Vec::new();
            for (key, value) in entries {
                match key_text(key) {
                    key if key == "<<" => merged.push(from_yaml(value)),
                    key => drop(fields.insert(key, from_yaml(value))),
                }
            }
            for value in merged {
                let parts = if let Value::Array(parts) = value { parts } else { vec![value] };
                for (key, inner) in parts.into_iter().filter_map(|it| it.as_object().cloned()).flatten() {
                    fields.entry(key).or_insert(inner);
                }
            }
            Value::Object(fields)
        }
        Yaml::Tagged(tag, inner) => intrinsics::of_tag(&tag.handle, &tag.suffix, from_yaml(inner)),
        _ => Value::Null,
    }
}

fn key_text(key: &Yaml<'_>) -> String {
    match from_yaml(key) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json5_is_read() {
        let text = "// c\n{a: 'it\\'s', /* b */ \"b\": [1, +2, 0x1F, .5,], $c: null,}";
        let expected = serde_json::json!({"a": "it's", "b": [1, 2, 31, 0.5], "$c": null});
        assert_eq!(text_to_value(text), Ok(expected));
        assert!(text_to_value("{\"a\": 1 \"b\": 2}").is_err(), "a comma is missing");
        assert!(text_to_value("// nothing").is_err());
    }

    #[test]
    fn what_deployment_fills_in_stands_for_a_value() {
        let value = text_to_value("{\"TimeoutSeconds\": ${Seconds}, \"a\": \"x\\\"${Y}\"}").expect("a value");
        assert_eq!(value, serde_json::json!({"TimeoutSeconds": "${Seconds}", "a": "x\"${Y}"}));
        let terraform = "{\"a\": \"${f.x[\"k\"].arn}\", \"b\": ${jsonencode({ a = { b = \"}\" } })}}";
        let expected = serde_json::json!({"a": "${f.x['k'].arn}", "b": "${jsonencode({ a = { b = '}' } })}"});
        assert_eq!(text_to_value(terraform), Ok(expected));
    }

    #[test]
    fn tags_and_merge_keys_of_yaml_are_followed() {
        let text = "r: &r {a: 1, b: 2}\nx: {<<: *r, b: 3}\nt: !Ref T\ng: !GetAtt F.Arn\nj: !Join ['-', [a, !Ref B]]\ns: !Sub 'a${B}'\n";
        let value = text_to_value(text).expect("a value");
        assert_eq!(value["x"], serde_json::json!({"b": 3, "a": 1}));
        assert_eq!(value["t"], "${T}");
        assert_eq!((&value["g"], &value["j"], &value["s"]), (&"${F.Arn}".into(), &"a-${B}".into(), &"a${B}".into()));
    }

    #[test]
    fn what_is_nested_without_end_is_refused() {
        let block: String = (0..5_000).map(|it| format!("{}a:\n", " ".repeat(it))).collect();
        for text in [
            "[".repeat(100_000),
            "{\"a\":".repeat(50_000),
            format!("a: {}", "[".repeat(100_000)),
            "- ".repeat(50_000),
            block,
        ] {
            assert!(text_to_value(&text).is_err());
        }
    }
}
