//! The parts of a definition.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Graph, ParseError};
use crate::model::{Micros, Name, StateType};

/// Items that the service runs at once of an inline Map that names no limit.
pub const SERVICE_LIMIT: usize = 40;

/// A state machine, or a branch or item processor inside one.
#[derive(Clone, Debug, PartialEq)]
pub struct StateMachine {
    pub start_at: Name,
    /// In the order of the text.
    pub states: Vec<State>,
    pub timeout_seconds: Option<u64>,
    /// All fields but `States`.
    pub fields: Map<String, Value>,
}

/// One state.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub name: Name,
    /// `None` for a type that the language does not have.
    pub kind: Option<StateType>,
    pub next: Option<Name>,
    pub end: bool,
    pub resource: Option<Name>,
    pub retry: Vec<Retrier>,
    pub catch: Vec<Catcher>,
    /// Where the rules of a Choice lead, its `Default` last.
    pub choices: Vec<Name>,
    pub has_default: bool,
    /// Branches of a Parallel, or the item processor of a Map.
    pub inner: Vec<StateMachine>,
    pub processor: Option<ProcessorMode>,
    pub max_concurrency: Option<u64>,
    /// Every field as written.
    pub fields: Map<String, Value>,
}

/// How a Map runs its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessorMode {
    Inline,
    Distributed,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Retrier {
    pub error_equals: Vec<Name>,
    pub interval_seconds: f64,
    pub max_attempts: u64,
    pub backoff_rate: f64,
    pub max_delay_seconds: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catcher {
    pub error_equals: Vec<Name>,
    pub next: Option<Name>,
}

impl StateMachine {
    /// Reads a definition from its tree; refuses what has no states or no start.
    pub fn from_value(value: &Value) -> Result<Self, ParseError> {
        let fields = value.as_object().ok_or_else(|| refuse("a definition is an object"))?;
        let states =
            fields.get("States").and_then(Value::as_object).ok_or_else(|| refuse("the field `States` is missing"))?;
        let start_at = text(fields, "StartAt").ok_or_else(|| refuse("the field `StartAt` is missing"))?;
        // A stray member of `States` that is no object is no state; it stays among the fields.
        let (states, stray): (Vec<_>, Vec<_>) = states.iter().partition(|(_, state)| state.is_object());
        let states = states.into_iter().map(|(name, state)| state_of(name, state)).collect::<Result<_, _>>()?;
        let beside = fields.iter().filter(|it| it.0 != "States");
        let mut rest: Map<String, Value> = beside.map(|(name, value)| (name.clone(), value.clone())).collect();
        rest.extend(stray.into_iter().map(|(name, value)| (name.clone(), value.clone())));
        Ok(Self { start_at, states, timeout_seconds: fields.get("TimeoutSeconds").and_then(whole), fields: rest })
    }

    pub fn state(&self, name: &str) -> Option<&State> {
        self.states.iter().find(|it| &*it.name == name)
    }

    /// How many items each inline Map may run at once: what the definition names, or else the service's own limit.
    pub fn map_limits(&self) -> BTreeMap<Name, usize> {
        let limit = |it: &State| match it.max_concurrency {
            Some(named) if named > 0 => usize::try_from(named).ok(),
            _ if it.fields.contains_key("MaxConcurrencyPath") => None,
            _ => (it.processor == Some(ProcessorMode::Inline)).then_some(SERVICE_LIMIT),
        };
        let maps = self.all_states().into_iter().filter(|it| it.kind == Some(StateType::Map));
        maps.filter_map(|it| Some((it.name.clone(), limit(it)?))).collect()
    }

    /// Pass states that hand their input on as it is, and that the machine can do without.
    pub fn idle_passes(&self) -> Vec<Name> {
        let graph = Graph::of(self);
        let own = self.states.iter().filter(|it| it.is_idle() && self.states.len() > 1 && graph.can_go(it));
        let inner = self.states.iter().flat_map(|it| &it.inner).flat_map(Self::idle_passes);
        own.map(|it| it.name.clone()).chain(inner).collect()
    }

    /// The time-outs that states name as a number.
    pub fn timeouts(&self) -> BTreeMap<Name, Micros> {
        let seconds = |it: &State| it.fields.get("TimeoutSeconds").and_then(Value::as_i64);
        let timeout = |it: &State| Some((it.name.clone(), Micros::from_seconds(seconds(it)?)));
        self.all_states().into_iter().filter_map(timeout).collect()
    }

    /// Every state, also those inside branches and item processors, outer before inner.
    pub fn all_states(&self) -> Vec<&State> {
        let mut all = Vec::new();
        for state in &self.states {
            all.push(state);
            for inner in &state.inner {
                all.extend(inner.all_states());
            }
        }
        all
    }
}

impl State {
    /// The fields that a state has beside its type and its place on the way.
    pub fn own_fields(&self) -> impl Iterator<Item = &str> {
        const PLAIN: [&str; 5] = ["Type", "Next", "End", "Comment", "QueryLanguage"];
        self.fields.keys().map(String::as_str).filter(|it| !PLAIN.contains(it))
    }

    /// Whether it is a Pass without anything of its own.
    pub fn is_idle(&self) -> bool {
        self.kind == Some(StateType::Pass) && self.own_fields().next().is_none()
    }

    /// Where one of the machines inside stands, below the state: `Branches[0]`, `ItemProcessor` or `Iterator`.
    pub fn place_of_inner(&self, index: usize) -> String {
        match (self.processor, self.fields.contains_key("ItemProcessor")) {
            (None, _) => format!("Branches[{index}]"),
            (Some(_), true) => "ItemProcessor".to_owned(),
            (Some(_), false) => "Iterator".to_owned(),
        }
    }

    /// Every state that may follow.
    pub fn targets(&self) -> impl Iterator<Item = &Name> {
        self.next.iter().chain(&self.choices).chain(self.catch.iter().filter_map(|it| it.next.as_ref()))
    }
}

/// A whole number, also one that is written `2.0`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole and not negative")]
fn whole(value: &Value) -> Option<u64> {
    let float = || value.as_f64().filter(|it| it.fract() == 0.0 && (0.0..1e15).contains(it));
    value.as_u64().or_else(|| float().map(|it| it as u64))
}

fn refuse(message: &str) -> ParseError {
    ParseError::new(message.to_owned())
}

fn text(fields: &Map<String, Value>, key: &str) -> Option<Name> {
    fields.get(key).and_then(Value::as_str).map(Name::from)
}

fn items<'a>(fields: &'a Map<String, Value>, key: &str) -> impl Iterator<Item = &'a Map<String, Value>> {
    fields.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

fn state_of(name: &str, value: &Value) -> Result<State, ParseError> {
    let fields = value.as_object().ok_or_else(|| refuse(&format!("the state `{name}` is no object")))?;
    let processor = fields.get("ItemProcessor").or_else(|| fields.get("Iterator"));
    let branches = fields.get("Branches").and_then(Value::as_array).into_iter().flatten();
    // What deployment fills in is a machine that nobody can look into.
    let inner = branches
        .chain(processor)
        .filter(|it| !it.is_string())
        .map(StateMachine::from_value)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| refuse(&format!("inside the state `{name}`: {error}")))?;
    let default = text(fields, "Default");
    Ok(State {
        name: name.into(),
        kind: fields.get("Type").and_then(Value::as_str).and_then(StateType::parse),
        next: text(fields, "Next"),
        end: fields.get("End").and_then(Value::as_bool).unwrap_or(false),
        resource: text(fields, "Resource"),
        retry: items(fields, "Retry").map(retrier).collect(),
        catch: items(fields, "Catch").map(|it| Catcher { error_equals: names(it), next: text(it, "Next") }).collect(),
        has_default: default.is_some(),
        choices: items(fields, "Choices").filter_map(|it| text(it, "Next")).chain(default).collect(),
        inner,
        processor: processor.map(|it| match it.pointer("/ProcessorConfig/Mode").and_then(Value::as_str) {
            Some("DISTRIBUTED") => ProcessorMode::Distributed,
            _ => ProcessorMode::Inline,
        }),
        max_concurrency: fields.get("MaxConcurrency").and_then(whole),
        fields: fields.clone(),
    })
}

fn names(fields: &Map<String, Value>) -> Vec<Name> {
    fields
        .get("ErrorEquals")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(Name::from)
        .collect()
}

fn retrier(fields: &Map<String, Value>) -> Retrier {
    let number = |key: &str| fields.get(key).and_then(Value::as_f64);
    Retrier {
        error_equals: names(fields),
        interval_seconds: number("IntervalSeconds").unwrap_or(1.0),
        max_attempts: fields.get("MaxAttempts").and_then(whole).unwrap_or(3),
        backoff_rate: number("BackoffRate").unwrap_or(2.0),
        max_delay_seconds: number("MaxDelaySeconds"),
    }
}
