//! Which segments belong to which execution? The one that names it, and all that was called from there.

use rustc_hash::FxHashMap;
use serde_json::Value;

/// A segment document of a trace.
pub(crate) struct TraceSegment<'a> {
    pub(crate) id: &'a str,
    pub(crate) parent_id: Option<&'a str>,
    /// The execution that it is the segment of.
    pub(crate) execution_arn: Option<&'a str>,
    pub(crate) document: &'a str,
}

/// The execution that each segment of one trace belongs to: its own, or that of the nearest segment that called it.
pub(crate) fn owners<'a>(segments: &[TraceSegment<'a>]) -> Vec<Option<&'a str>> {
    let mut places: FxHashMap<String, usize> = FxHashMap::default();
    for (place, it) in segments.iter().enumerate() {
        places.insert(it.id.to_owned(), place);
        for id in ids_of(it.document, "/id") {
            places.insert(id, place);
        }
    }
    let owner = |from: usize| {
        let mut at = from;
        // A damaged trace may run in a circle.
        for _ in 0..=segments.len() {
            if let Some(arn) = segments[at].execution_arn {
                return Some(arn);
            }
            at = *places.get(segments[at].parent_id?)?;
        }
        None
    };
    (0..segments.len()).map(owner).collect()
}

/// The requests that a document tells of.
pub(crate) fn requests_of(document: &str) -> Vec<String> {
    ids_of(document, "/aws/request_id")
}

/// The texts at a place of a document and of all subsegments below it.
fn ids_of(document: &str, pointer: &str) -> Vec<String> {
    let Ok(value) = serde_json::from_str::<Value>(document) else { return Vec::new() };
    let mut found = Vec::new();
    let mut open = vec![&value];
    while let Some(it) = open.pop() {
        found.extend(it.pointer(pointer).and_then(Value::as_str).map(str::to_owned));
        open.extend(it.get("subsegments").and_then(Value::as_array).into_iter().flatten());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_belong_to_the_nearest_execution_above_them() {
        let segment = |id, parent_id, execution_arn, document| TraceSegment { id, parent_id, execution_arn, document };
        let all = [
            segment("front", None, None, r#"{"id":"front"}"#),
            segment(
                "a",
                Some("front"),
                Some("A"),
                r#"{"id":"a","subsegments":[{"id":"a1","subsegments":[{"id":"a2"}]}]}"#,
            ),
            segment("lambda", Some("a2"), None, r#"{"id":"lambda","subsegments":[{"id":"l1"}]}"#),
            segment("b", Some("l1"), Some("B"), r#"{"id":"b","subsegments":[{"id":"b1"}]}"#),
            segment("other", Some("b1"), None, r#"{"id":"other"}"#),
            segment("lost", Some("nowhere"), None, "not JSON"),
            segment("x", Some("y"), None, "{}"),
            segment("y", Some("x"), None, "{}"),
        ];
        assert_eq!(owners(&all), [None, Some("A"), Some("A"), Some("B"), Some("B"), None, None, None]);
        assert_eq!(
            requests_of(r#"{"aws":{"request_id":"r1"},"subsegments":[{"aws":{"request_id":"r2"}}]}"#),
            ["r1", "r2"]
        );
    }
}
