//! May users' data be kept? Whatever is read passes here first, so nothing beyond it sees more.

use analyzer::assembly::hash_of;
use analyzer::model::{EventKind, Payload, PayloadField};
use regex::Regex;
use serde_json::{Map, Value};
use serde_json_path::JsonPath;
use sha2::{Digest, Sha256};

use super::shape::{self, REDACTED};
use super::{harmless, harmless_segment};

/// Hexadecimal digits of a hashed key: 128 bits.
const HASH_DIGITS: usize = 32;

/// What becomes of inputs, outputs, parameters, variables and causes, and of everything that is not known to be harmless.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PayloadPolicy {
    /// They are not kept.
    None,
    /// Their shape is kept: names of fields stay, values become the name of their type.
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
}

/// The policy, what is blotted out whatever the policy, and the business keys that are kept whatever the policy.
#[derive(Clone, Debug, Default)]
pub struct Privacy {
    pub payloads: PayloadPolicy,
    paths: Vec<JsonPath>,
    patterns: Vec<Regex>,
    keys: Vec<(String, JsonPath)>,
    /// Keys are kept as hashes, salted with this.
    salt: Option<String>,
}

impl From<PayloadPolicy> for Privacy {
    fn from(payloads: PayloadPolicy) -> Self {
        Self { payloads, ..Self::default() }
    }
}

impl Privacy {
    /// Blots out what lies at a JSON path.
    pub fn redact_path(&mut self, path: &str) -> Result<(), String> {
        self.paths.push(parse_path(path)?);
        Ok(())
    }

    /// Blots out whatever matches a regular expression.
    pub fn redact_pattern(&mut self, pattern: &str) -> Result<(), String> {
        self.patterns.push(Regex::new(pattern).map_err(|error| error.to_string())?);
        Ok(())
    }

    /// Keeps what lies at a JSON path of the input of an execution.
    pub fn keep_key(&mut self, path: &str) -> Result<(), String> {
        self.keys.push((path.to_owned(), parse_path(path)?));
        Ok(())
    }

    /// Keys are kept as hashes from now on.
    pub fn hash_keys(&mut self, salt: &str) {
        self.salt = Some(salt.to_owned());
    }

    /// Whether anything of the users' data is looked at.
    pub(crate) fn needs_payloads(&self) -> bool {
        self.payloads != PayloadPolicy::None || !self.keys.is_empty()
    }

    pub(super) fn has_rules(&self) -> bool {
        !(self.paths.is_empty() && self.patterns.is_empty() && self.keys.is_empty()) || self.salt.is_some()
    }

    pub(super) fn apply(&self, field: PayloadField, body: &str) -> Option<Payload> {
        let body = match self.payloads {
            PayloadPolicy::None => return None,
            PayloadPolicy::Redacted => shape::of_text(&self.blotted(body)),
            PayloadPolicy::Full => self.blotted(body),
        };
        Some(Payload { field, body: body.into_boxed_str() })
    }

    /// The business keys in the input of an execution.
    pub(super) fn keys_of(&self, kind: &EventKind, field: PayloadField, body: &str) -> Option<Payload> {
        if self.keys.is_empty() || *kind != EventKind::ExecutionStarted || field != PayloadField::Input {
            return None;
        }
        let input: Value = serde_json::from_str(body).ok()?;
        let key = |(name, path): &(String, JsonPath)| {
            let found = path.query(&input).first()?;
            let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
            Some((name.clone(), Value::from(self.key(&text))))
        };
        let keys: Map<String, Value> = self.keys.iter().filter_map(key).collect();
        let body = Value::Object(keys).to_string().into_boxed_str();
        (body.len() > 2).then_some(Payload { field: PayloadField::Keys, body })
    }

    /// What tells equal inputs from others; salted where keys are, since short inputs could be guessed.
    pub(super) fn fingerprint(&self, input: &str) -> u64 {
        if self.salt.is_some() { hash_of(&self.key(input)) } else { hash_of(input) }
    }

    /// A key as it is kept; whoever searches has to ask for it in this form.
    pub fn key(&self, value: &str) -> String {
        let Some(salt) = &self.salt else { return value.to_owned() };
        let digest = Sha256::digest(format!("{salt}\u{1f}{value}").as_bytes());
        digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()[..HASH_DIGITS].to_owned()
    }

    /// A text that is kept whatever the policy, such as the name of an error.
    pub(super) fn blotted_text(&self, text: &str) -> String {
        self.patterns.iter().fold(text.to_owned(), |text, it| it.replace_all(&text, REDACTED).into_owned())
    }

    fn blotted(&self, body: &str) -> String {
        if self.paths.is_empty() && self.patterns.is_empty() {
            return body.to_owned();
        }
        let Ok(mut value) = serde_json::from_str::<Value>(body) else { return self.blotted_text(body) };
        self.blot_paths(&mut value);
        self.blot_patterns(&mut value);
        value.to_string()
    }

    fn blot_paths(&self, value: &mut Value) {
        for path in &self.paths {
            let found: Vec<String> =
                path.query_located(value).locations().map(serde_json_path::NormalizedPath::to_json_pointer).collect();
            for pointer in found {
                if let Some(it) = value.pointer_mut(&pointer) {
                    *it = REDACTED.into();
                }
            }
        }
    }

    fn blot_patterns(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.blotted_text(text),
            Value::Number(number) => {
                let text = number.to_string();
                let blotted = self.blotted_text(&text);
                if blotted != text {
                    *value = blotted.into();
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|it| self.blot_patterns(it)),
            Value::Object(fields) if !self.patterns.is_empty() => {
                // Keys may be data, too.
                for (key, mut it) in std::mem::take(fields) {
                    self.blot_patterns(&mut it);
                    fields.insert(self.blotted_text(&key), it);
                }
            }
            Value::Object(_) | Value::Null | Value::Bool(_) => {}
        }
    }

    /// A type of event as it is kept.
    pub(super) fn kind(&self, kind: EventKind) -> EventKind {
        harmless::kind(kind, self.payloads)
    }

    /// A segment document without what instrumented code and callers have put into it.
    pub(crate) fn segment(&self, document: &mut Value) {
        if self.payloads == PayloadPolicy::Full {
            self.blot_paths(document);
            self.blot_patterns(document);
        } else {
            *document = harmless_segment::document(document, self.payloads);
            self.blot_names(document);
        }
    }

    /// Of what is harmless only names may match a pattern by more than chance: times and ids are numbers, too.
    fn blot_names(&self, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|it| self.blot_names(it)),
            Value::Object(fields) if !self.patterns.is_empty() => {
                for (key, it) in fields {
                    match it {
                        Value::String(text) if matches!(key.as_str(), "name" | "type" | "table_name") => {
                            *text = self.blotted_text(text);
                        }
                        it => self.blot_names(it),
                    }
                }
            }
            _ => {}
        }
    }
}

fn parse_path(path: &str) -> Result<JsonPath, String> {
    JsonPath::parse(path).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rules_blot_out_what_is_kept_otherwise() {
        let mut privacy = Privacy::default();
        privacy.redact_path("$..card.number").expect("a path");
        privacy.redact_pattern(r"\b\d{16}\b").expect("a pattern");
        let body = r#"{"items":[{"card":{"number":"4111","name":"Ann"}}],"note":"paid with 4111111111111111","n":4111111111111111}"#;
        let kept = privacy.apply(PayloadField::Input, body).expect("kept");
        let expected = json!({
            "items": [{"card": {"number": REDACTED, "name": "Ann"}}], "note": format!("paid with {REDACTED}"), "n": REDACTED,
        });
        assert_eq!(serde_json::from_str::<Value>(&kept.body).expect("JSON"), expected);
        let cause = privacy.apply(PayloadField::Cause, "card 4111111111111111 declined").expect("kept");
        assert_eq!(&*cause.body, "card [redacted] declined");
    }

    #[test]
    fn keys_of_objects_are_blotted_and_shapes_come_from_what_is_left() {
        let mut privacy = Privacy::from(PayloadPolicy::Redacted);
        privacy.redact_pattern("[a-z]+@[a-z.]+").expect("a pattern");
        let kept = privacy.apply(PayloadField::Input, r#"{"ann@x.com": {"n": 1}}"#).expect("kept");
        assert_eq!(&*kept.body, r#"{"[redacted]":{"n":"number"}}"#);
    }

    #[test]
    fn keys_are_kept_without_payloads_and_hashed_when_wanted() {
        let mut privacy = Privacy::from(PayloadPolicy::None);
        privacy.keep_key("$.orderId").expect("a path");
        privacy.keep_key("$.customer.id").expect("a path");
        let kind = EventKind::ExecutionStarted;
        let input = r#"{"orderId":"A-1","customer":{"id":7,"name":"Ann"}}"#;
        let keys = |it: &Privacy| it.keys_of(&kind, PayloadField::Input, input).map(|it| it.body.to_string());
        assert_eq!(keys(&privacy).as_deref(), Some(r#"{"$.orderId":"A-1","$.customer.id":"7"}"#));
        assert_eq!(privacy.apply(PayloadField::Input, input), None);
        privacy.hash_keys("salt");
        let hashed = keys(&privacy).expect("keys");
        assert!(!hashed.contains("A-1") && hashed.contains(&privacy.key("A-1")), "{hashed}");
    }

    #[test]
    fn patterns_leave_the_times_of_segments_alone_where_only_the_harmless_is_kept() {
        let mut privacy = Privacy::from(PayloadPolicy::None);
        privacy.redact_pattern(r"\d{4,}").expect("a pattern");
        let mut document =
            json!({"id": "12345678", "name": "card-4111", "start_time": 1_790_000_000.5, "metadata": {"a": 4111}});
        privacy.segment(&mut document);
        assert_eq!(
            document,
            json!({"id": "12345678", "name": format!("card-{REDACTED}"), "start_time": 1_790_000_000.5})
        );
    }
}
