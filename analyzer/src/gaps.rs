//! What is not known of an execution, and why: a sentence for people, a kind for programs.

use serde_json::{Map, Value};

use crate::model::Name;

/// Something that the events and records of an execution do not tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    pub kind: GapKind,
    /// It is a reason for which the execution is not complete.
    pub incomplete: bool,
    pub text: String,
    /// The event that it is about.
    pub event: Option<u64>,
    /// The state that it is about.
    pub state: Option<Name>,
    /// How many events, payloads or transitions it is about.
    pub count: Option<u64>,
}

/// What is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GapKind {
    /// Ids between 1 and the last event are missing.
    MissingEvents,
    /// The file that the events came from names a following page.
    NextPage,
    /// The event with the highest id does not close the execution.
    NoClosingEvent,
    /// Neither an event nor a record says when the execution began.
    UnknownStart,
    /// A listing, description or status event knows a newer status, or more redrives, than the events.
    NewerStatus,
    /// No event could be read.
    NotCollected,
    /// More transitions may have been billed than can be counted.
    LowerBound,
    /// The children of a Map Run cannot be counted.
    UncountedChildren,
    /// A state was left, or an attempt ended, at a moment that no event tells.
    UnknownEnd,
    /// Events belong to states whose entry is not known.
    UnknownState,
    /// Nothing tells in which branch or iteration a state was entered.
    UnknownPlace,
    /// A clean-up event for which no open state is left over.
    UnmatchedCleanup,
    /// The service cut off a payload.
    TruncatedPayload,
}

impl GapKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingEvents => "missing_events",
            Self::NextPage => "next_page",
            Self::NoClosingEvent => "no_closing_event",
            Self::UnknownStart => "unknown_start",
            Self::NewerStatus => "newer_status",
            Self::NotCollected => "not_collected",
            Self::LowerBound => "lower_bound",
            Self::UncountedChildren => "uncounted_children",
            Self::UnknownEnd => "unknown_end",
            Self::UnknownState => "unknown_state",
            Self::UnknownPlace => "unknown_place",
            Self::UnmatchedCleanup => "unmatched_cleanup",
            Self::TruncatedPayload => "truncated_payload",
        }
    }
}

impl Gap {
    /// A gap that makes the execution incomplete.
    pub fn missing(kind: GapKind, text: impl Into<String>) -> Self {
        Self { kind, incomplete: true, text: text.into(), event: None, state: None, count: None }
    }

    /// A gap that does not make the execution incomplete.
    pub fn note(kind: GapKind, text: impl Into<String>) -> Self {
        Self { incomplete: false, ..Self::missing(kind, text) }
    }

    #[must_use]
    pub fn at_event(self, id: u64) -> Self {
        Self { event: Some(id), ..self }
    }

    #[must_use]
    pub fn in_state(self, state: &Name) -> Self {
        Self { state: Some(state.clone()), ..self }
    }

    #[must_use]
    pub fn counting(self, count: u64) -> Self {
        Self { count: Some(count), ..self }
    }

    /// The object that results print and the database stores.
    pub fn to_value(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("kind".to_owned(), self.kind.as_str().into());
        fields.insert("incomplete".to_owned(), self.incomplete.into());
        fields.insert("text".to_owned(), self.text.as_str().into());
        fields.extend(self.event.map(|it| ("event".to_owned(), it.into())));
        fields.extend(self.state.as_ref().map(|it| ("state".to_owned(), it.as_str().into())));
        fields.extend(self.count.map(|it| ("count".to_owned(), it.into())));
        Value::Object(fields)
    }
}
