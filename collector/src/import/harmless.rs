//! Which members of an event hold nothing of the users' data? Only these are kept where payloads are not.
//!
//! The list names what is kept, by event type, so that a member that AWS adds tomorrow is left out until it is listed here.
//! Source: the event details of the Step Functions API, 2016-11-23.

use analyzer::model::EventKind;
use serde_json::{Value, json};

use super::PayloadPolicy;
use super::shape::{is_field_name, is_token, type_name};

/// `name`: the state that is entered or left, or the Map that an iteration belongs to.
pub(super) const NAME: u16 = 1;
/// `state`, which is how a failed evaluation names it.
pub(super) const STATE: u16 = 1 << 1;
/// `resource` and `resourceType`.
pub(super) const RESOURCE: u16 = 1 << 2;
/// `error`: the name of an error, never its cause.
pub(super) const ERROR: u16 = 1 << 3;
pub(super) const INDEX: u16 = 1 << 4;
pub(super) const LENGTH: u16 = 1 << 5;
pub(super) const REDRIVE_COUNT: u16 = 1 << 6;
pub(super) const MAP_RUN: u16 = 1 << 7;
/// `roleArn`, `stateMachineAliasArn` and `stateMachineVersionArn`.
pub(super) const STARTED: u16 = 1 << 8;
/// `region`, `timeoutInSeconds`, `heartbeatInSeconds` and `taskCredentials.roleArn`.
pub(super) const SCHEDULED: u16 = 1 << 9;
/// `location`: the field of the definition whose evaluation failed.
pub(super) const LOCATION: u16 = 1 << 10;

/// The longest path of a field in a definition that is kept.
const LONGEST_LOCATION: usize = 256;

/// What events of a type may keep.
pub(super) fn members_of(kind: &EventKind) -> u16 {
    use EventKind as Kind;
    if kind.enters().is_some() || kind.exits().is_some() {
        return NAME;
    }
    match kind {
        Kind::ExecutionStarted => STARTED,
        Kind::ExecutionRedriven => REDRIVE_COUNT,
        Kind::TaskScheduled | Kind::LambdaFunctionScheduled | Kind::ActivityScheduled => RESOURCE | SCHEDULED,
        Kind::TaskStarted | Kind::TaskSubmitted | Kind::TaskSucceeded => RESOURCE,
        Kind::TaskFailed | Kind::TaskTimedOut | Kind::TaskStartFailed | Kind::TaskSubmitFailed => RESOURCE | ERROR,
        Kind::ExecutionFailed
        | Kind::ExecutionAborted
        | Kind::ExecutionTimedOut
        | Kind::LambdaFunctionFailed
        | Kind::LambdaFunctionTimedOut
        | Kind::LambdaFunctionScheduleFailed
        | Kind::LambdaFunctionStartFailed
        | Kind::ActivityFailed
        | Kind::ActivityTimedOut
        | Kind::ActivityScheduleFailed
        | Kind::ParallelStateFailed
        | Kind::MapStateFailed
        | Kind::MapRunFailed => ERROR,
        Kind::MapStateStarted => LENGTH,
        Kind::MapIterationStarted
        | Kind::MapIterationSucceeded
        | Kind::MapIterationFailed
        | Kind::MapIterationAborted => NAME | INDEX,
        Kind::MapRunStarted => MAP_RUN,
        Kind::MapRunRedriven => MAP_RUN | REDRIVE_COUNT,
        Kind::EvaluationFailed => STATE | ERROR | LOCATION,
        _ => 0,
    }
}

/// A type of event as it is kept: one that we do not know only where it looks like AWS's own names.
pub(super) fn kind(kind: EventKind, policy: PayloadPolicy) -> EventKind {
    match kind {
        EventKind::Other(name) if policy != PayloadPolicy::Full && !is_type_name(&name) => {
            EventKind::Other("Unknown".into())
        }
        kind => kind,
    }
}

/// Several words in camel case, such as `TaskStateEntered`.
fn is_type_name(name: &str) -> bool {
    let n_words = name.bytes().filter(u8::is_ascii_uppercase).count();
    let runs_on = name.as_bytes().windows(2).any(|it| it.iter().all(u8::is_ascii_uppercase));
    name.len() <= 64
        && n_words >= 2
        && !runs_on
        && name.starts_with(|it: char| it.is_ascii_uppercase())
        && name.bytes().all(|it| it.is_ascii_alphabetic())
}

/// What one event may keep under a policy.
#[derive(Clone, Copy)]
pub(super) struct Kept {
    policy: PayloadPolicy,
    members: u16,
    is_known: bool,
}

impl Kept {
    pub(super) fn of(kind: &EventKind, policy: PayloadPolicy) -> Self {
        let is_known = !matches!(kind, EventKind::Other(_));
        let members = if policy == PayloadPolicy::Full { u16::MAX } else { members_of(kind) };
        Self { policy, members, is_known: is_known || policy == PayloadPolicy::Full }
    }

    pub(super) fn has(self, member: u16) -> bool {
        self.members & member != 0
    }

    /// Whether the type of event is one whose inputs and outputs are understood as such.
    pub(super) fn is_known(self) -> bool {
        self.is_known
    }

    /// An ARN, which only `full` takes in any form.
    pub(super) fn is_arn(self, text: &str) -> bool {
        self.policy == PayloadPolicy::Full || is_arn(text)
    }

    pub(super) fn is_execution_arn(self, text: &str) -> bool {
        self.policy == PayloadPolicy::Full || is_token(text) && analyzer::model::ExecutionArn::parse(text).is_some()
    }

    /// A member without a place of its own: as it came, its harmless part, its shape, or nothing.
    pub(super) fn rest(self, key: &str, value: Value) -> Option<Value> {
        if self.policy == PayloadPolicy::Full {
            return Some(value);
        }
        self.harmless(key, &value).or_else(|| {
            let has_shape = self.policy == PayloadPolicy::Redacted && is_field_name(key);
            has_shape.then(|| type_name(&value).into())
        })
    }

    fn harmless(self, key: &str, value: &Value) -> Option<Value> {
        let text = value.as_str();
        match key {
            "roleArn" | "stateMachineAliasArn" if self.has(STARTED) => text.filter(|it| is_arn(it)).map(Value::from),
            "region" if self.has(SCHEDULED) => text.filter(|it| is_region(it)).map(Value::from),
            "timeoutInSeconds" | "heartbeatInSeconds" if self.has(SCHEDULED) => value.as_u64().map(Value::from),
            "taskCredentials" if self.has(SCHEDULED) => {
                let role = value.get("roleArn")?.as_str().filter(|it| is_arn(it))?;
                Some(json!({"roleArn": role}))
            }
            "location" if self.has(LOCATION) => text.filter(|it| is_location(it)).map(Value::from),
            // These come here only where something was cut off.
            "inputDetails" | "outputDetails" | "assignedVariablesDetails" if self.is_known => {
                Some(json!({"truncated": true}))
            }
            _ => None,
        }
    }
}

fn is_arn(text: &str) -> bool {
    text.starts_with("arn:") && is_token(text)
}

fn is_region(text: &str) -> bool {
    text.len() <= 32 && text.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-')
}

fn is_location(text: &str) -> bool {
    text.len() <= LONGEST_LOCATION
        && text
            .bytes()
            .all(|it| it.is_ascii_alphanumeric() || matches!(it, b'/' | b'.' | b'_' | b'-' | b'[' | b']' | b'$'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_type_is_listed_or_carries_nothing() {
        let bare = |kind: &EventKind| members_of(kind) == 0;
        let names: Vec<&str> = EventKind::KNOWN.iter().filter(|it| bare(it)).map(EventKind::as_str).collect();
        let expected = [
            "ExecutionSucceeded",
            "TaskStateAborted",
            "WaitStateAborted",
            "ParallelStateAborted",
            "MapStateAborted",
            "LambdaFunctionStarted",
            "LambdaFunctionSucceeded",
            "ActivityStarted",
            "ActivitySucceeded",
            "ParallelStateStarted",
            "ParallelStateSucceeded",
            "MapStateSucceeded",
            "MapRunSucceeded",
            "MapRunAborted",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_new_type_of_event_keeps_a_name_in_the_manner_of_aws_and_no_other() {
        let kept = |name: &str| kind(EventKind::parse(name), PayloadPolicy::None).as_str().to_owned();
        assert_eq!(kept("TaskStateEntered"), "TaskStateEntered");
        assert_eq!(kept("SomethingNew"), "SomethingNew");
        for odd in ["ann@example.com", "CARD4111", "ORDER", "order 7", ""] {
            assert_eq!(kept(odd), "Unknown", "{odd}");
        }
        assert_eq!(kind(EventKind::parse("x 1"), PayloadPolicy::Full).as_str(), "x 1");
    }
}
