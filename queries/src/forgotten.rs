//! What was forgotten must not come back, in whatever form it is told again.
//!
//! Salted hashes remain: of the execution's ARN, and of the traces, segments and Lambda requests that were its own. An
//! execution that had started the forgotten one, or that it had started, speaks of it in its payloads: there the object that
//! describes it is blotted out, and elsewhere its ARN.

use std::fmt::Write;

use analyzer::assembly::hash_of;
use analyzer::model::{Detail, Event, ExecutionArn, Payload, PayloadField};
use duckdb::Connection;
use rustc_hash::FxHashSet;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::StoreError;

/// What stands in the place of what was forgotten.
pub(crate) const MARK: &str = "[forgotten]";
/// Among the members of an event: it spoke of an execution that was forgotten.
const OF_FORGOTTEN: &str = "startedForgotten";
/// Hexadecimal digits of a hash: 128 bits.
const DIGITS: usize = 32;
/// Events between the answer of a call and its parameters.
const FAR: usize = 4;
/// Texts in texts in texts are not looked into deeper than this.
const DEEP: usize = 8;

/// Of what a hash is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Execution,
    Trace,
    Segment,
    Request,
}

/// The hashes of a database.
#[derive(Default)]
pub(crate) struct Forgotten {
    salt: String,
    /// The same where the database has none yet: it is stored with the first hash.
    pub(crate) new_salt: Option<String>,
    hashes: FxHashSet<String>,
    /// What comes again is taken in again.
    is_again: bool,
    /// Hashes of what was held back, each once.
    pub(crate) held_back: FxHashSet<String>,
    /// To be stored with the next batch, and to be deleted by it.
    pub(crate) fresh: Vec<String>,
    pub(crate) recalled: Vec<String>,
}

impl Forgotten {
    pub(crate) fn load(connection: &Connection, is_again: bool) -> Result<Self, StoreError> {
        let mut hashes = FxHashSet::default();
        let mut statement = connection.prepare("SELECT hash FROM forgotten")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            hashes.insert(row.get(0)?);
        }
        let mut statement = connection.prepare("SELECT min(salt) FROM forgotten_salt")?;
        let salt: Option<String> = statement.query_row([], |row| row.get(0))?;
        let new_salt = if salt.is_none() { Some(new_salt()) } else { None };
        let salt = salt.or_else(|| new_salt.clone()).unwrap_or_default();
        Ok(Self { salt, new_salt, hashes, is_again, ..Self::default() })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    pub(crate) fn hash(&self, kind: Kind, text: &str) -> String {
        let digest = Sha256::digest([self.salt.as_str(), &format!("{kind:?}"), text].join("\u{1f}").as_bytes());
        let mut hex = String::with_capacity(digest.len() * 2);
        for byte in &digest {
            let _ = write!(hex, "{byte:02x}");
        }
        hex.truncate(DIGITS);
        hex
    }

    pub(crate) fn has(&self, kind: Kind, text: &str) -> bool {
        !self.hashes.is_empty() && self.hashes.contains(&self.hash(kind, text))
    }

    /// Whether something is to be left out; it is counted. With `--again` it is taken in, and no longer forgotten.
    pub(crate) fn holds_back(&mut self, kind: Kind, text: &str) -> bool {
        if self.hashes.is_empty() {
            return false;
        }
        let hash = self.hash(kind, text);
        if !self.hashes.contains(&hash) {
            return false;
        }
        if self.is_again {
            self.hashes.remove(&hash);
            self.recalled.push(hash);
            return false;
        }
        self.held_back.insert(hash);
        true
    }

    /// Remembers one more, unless it is known.
    pub(crate) fn add(&mut self, kind: Kind, text: &str) {
        let hash = self.hash(kind, text);
        if self.hashes.insert(hash.clone()) {
            self.fresh.push(hash);
        }
    }

    /// Blots out what events of other executions say of forgotten ones.
    pub(crate) fn scrub(&self, events: &mut [Event]) {
        if self.is_empty() || self.is_again {
            return;
        }
        for event in events.iter_mut() {
            if let Some(detail) = &mut event.detail {
                self.scrub_detail(detail);
            }
        }
        // What the forgotten one was given stands where the call was scheduled.
        let schedules: Vec<usize> = (0..events.len()).filter_map(|it| scheduled_by(events, it)).collect();
        for index in schedules {
            let payloads = events[index].detail.iter_mut().flat_map(|it| &mut it.payloads);
            for it in payloads.filter(|it| it.field == PayloadField::Parameters) {
                it.body = Value::from(MARK).to_string().into_boxed_str();
            }
        }
    }

    fn scrub_detail(&self, detail: &mut Detail) {
        let is_of_forgotten =
            detail.child_execution_arn.as_ref().is_some_and(|it| self.has(Kind::Execution, it.as_str()));
        if let Some(rest) = &mut detail.rest
            && let Some(clean) = self.scrubbed(rest)
        {
            *rest = clean.into_boxed_str();
        }
        for Payload { body, .. } in &mut detail.payloads {
            if let Some(clean) = self.scrubbed(body) {
                *body = clean.into_boxed_str();
            }
        }
        if is_of_forgotten {
            detail.child_execution_arn = None;
            let rest = detail.rest.as_deref().and_then(|it| serde_json::from_str(it).ok());
            let mut rest: Map<String, Value> = rest.unwrap_or_default();
            rest.insert(OF_FORGOTTEN.to_owned(), true.into());
            detail.rest = Some(Value::Object(rest).to_string().into_boxed_str());
        }
    }

    /// A text without what it says of forgotten executions; `None` where it says nothing.
    pub(crate) fn scrubbed(&self, text: &str) -> Option<String> {
        if self.is_empty() || self.is_again || !may_name_one(text) {
            return None;
        }
        self.scrubbed_at(text, 0)
    }

    fn scrubbed_at(&self, text: &str, depth: usize) -> Option<String> {
        let json = serde_json::from_str::<Value>(text).ok().filter(|it| it.is_object() || it.is_array());
        match json {
            Some(mut value) if depth < DEEP => self.scrub_value(&mut value, depth).then(|| value.to_string()),
            _ => self.without_arns(text),
        }
    }

    fn scrub_value(&self, value: &mut Value, depth: usize) -> bool {
        match value {
            Value::Object(fields) => {
                let own = ["ExecutionArn", "executionArn", "execution_arn"].iter().filter_map(|it| fields.get(*it));
                if own.filter_map(Value::as_str).any(|it| self.has(Kind::Execution, it)) {
                    *value = MARK.into();
                    return true;
                }
                let keys: Vec<String> = fields.keys().filter(|it| self.without_arns(it).is_some()).cloned().collect();
                for key in &keys {
                    fields.shift_remove(key);
                }
                fields.values_mut().fold(!keys.is_empty(), |changed, it| self.scrub_value(it, depth) | changed)
            }
            Value::Array(items) => items.iter_mut().fold(false, |changed, it| self.scrub_value(it, depth) | changed),
            Value::String(text) if may_name_one(text) => match self.scrubbed_at(text, depth + 1) {
                Some(clean) => {
                    *text = clean;
                    true
                }
                None => false,
            },
            _ => false,
        }
    }

    /// A text without the ARNs of forgotten executions.
    fn without_arns(&self, text: &str) -> Option<String> {
        let mut clean = String::new();
        let mut rest = text;
        let mut is_changed = false;
        while let Some(start) = rest.find("arn:") {
            let (before, from) = rest.split_at(start);
            let end = from.find(|it: char| it.is_whitespace() || "\"'`,;()[]{}<>\\".contains(it)).unwrap_or(from.len());
            let arn = from[..end].trim_end_matches('.');
            let is_it = ExecutionArn::parse(arn).is_some() && self.has(Kind::Execution, arn);
            is_changed |= is_it;
            clean += before;
            clean += if is_it { MARK } else { arn };
            rest = &from[arn.len()..];
        }
        clean += rest;
        is_changed.then_some(clean)
    }
}

fn may_name_one(text: &str) -> bool {
    text.contains(":execution:") || text.contains(":express:")
}

/// Where the call was scheduled whose answer spoke of a forgotten execution.
fn scheduled_by(events: &[Event], index: usize) -> Option<usize> {
    let rest = events[index].detail.as_ref()?.rest.as_deref()?;
    rest.contains(OF_FORGOTTEN).then_some(())?;
    let mut at = index;
    for _ in 0..FAR {
        if events[at].kind.schedules_attempt() {
            return Some(at);
        }
        let previous = events[at].previous;
        at = events.binary_search_by_key(&previous, |it| it.id).ok()?;
    }
    events[at].kind.schedules_attempt().then_some(at)
}

/// The requests that an execution's outputs name.
pub(crate) fn requests_of(events: &[Event]) -> impl Iterator<Item = String> + '_ {
    let outputs = events.iter().filter_map(|it| it.payload(PayloadField::Output));
    outputs.filter_map(|it| {
        let (_, after) = it.split_once("\"RequestId\"")?;
        let (_, after) = after.trim_start().strip_prefix(':')?.split_once('"')?;
        after.split_once('"').map(|it| it.0.to_owned())
    })
}

/// A salt that no other database has.
fn new_salt() -> String {
    use std::hash::{BuildHasher, RandomState};
    // Each state has keys of its own, which the system's source of randomness gave.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |it| it.as_nanos());
    let parts = [0, 1].map(|it| RandomState::new().hash_one((now, std::process::id(), it)));
    format!("{:016x}{:016x}", parts[0], parts[1] ^ hash_of(&now.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:states:eu-west-1:123456789012:execution:child:secret";

    fn forgotten() -> Forgotten {
        let mut it = Forgotten { salt: "s".to_owned(), ..Forgotten::default() };
        it.add(Kind::Execution, ARN);
        it
    }

    #[test]
    fn hashes_depend_on_kind_and_salt_and_hold_nothing_readable() {
        let one = forgotten();
        let other = Forgotten { salt: "t".to_owned(), ..Forgotten::default() };
        assert_eq!(one.hash(Kind::Execution, ARN).len(), DIGITS);
        assert_ne!(one.hash(Kind::Execution, ARN), other.hash(Kind::Execution, ARN));
        assert_ne!(one.hash(Kind::Execution, ARN), one.hash(Kind::Trace, ARN));
        assert_ne!(new_salt(), new_salt());
    }

    #[test]
    fn what_describes_a_forgotten_execution_is_blotted_out_and_the_rest_stays() {
        let it = forgotten();
        let answer = format!(r#"{{"a":1,"child":{{"ExecutionArn":"{ARN}","Output":"{{\"card\":4111}}"}}}}"#);
        assert_eq!(it.scrubbed(&answer).as_deref(), Some(r#"{"a":1,"child":"[forgotten]"}"#));
        assert_eq!(it.scrubbed(&format!("failed in {ARN}.")).as_deref(), Some("failed in [forgotten]."));
        let nested = serde_json::json!({"body": answer, "by": ARN}).to_string();
        let clean = it.scrubbed(&nested).expect("it names one");
        assert!(!clean.contains("4111") && !clean.contains("secret") && clean.contains(r#"\"a\":1"#), "{clean}");
        assert_eq!(
            it.scrubbed(r#"{"ExecutionArn":"arn:aws:states:eu-west-1:123456789012:execution:child:other"}"#),
            None
        );
    }

    #[test]
    fn with_again_what_comes_is_taken_in_and_no_longer_forgotten() {
        let mut it = Forgotten { is_again: true, ..forgotten() };
        assert!(!it.holds_back(Kind::Execution, ARN));
        assert_eq!(it.recalled.len(), 1);
        assert!(!it.has(Kind::Execution, ARN));
        let mut it = forgotten();
        assert!(it.holds_back(Kind::Execution, ARN) && it.holds_back(Kind::Execution, ARN));
        assert_eq!(it.held_back.len(), 1);
    }
}
