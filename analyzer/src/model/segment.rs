//! One X-Ray segment or subsegment that was sent on its own.

use super::{Name, Timestamp};

/// A segment document, with what joins it to an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub trace_id: Option<Name>,
    pub id: Name,
    pub parent_id: Option<Name>,
    pub name: Name,
    pub origin: Option<Name>,
    pub started_at: Timestamp,
    /// Missing while the segment is in progress.
    pub ended_at: Option<Timestamp>,
    /// The execution this segment belongs to, where it is a state machine's.
    pub execution_arn: Option<Name>,
    pub document: Box<str>,
}
