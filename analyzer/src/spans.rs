//! Which parts of time have been read, and which are missing? A set of half-open spans that merges what touches.

use crate::model::Timestamp;

/// From an instant up to, and without, another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: Timestamp,
    pub to: Timestamp,
}

/// Spans in ascending order; none touches another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans(Vec<Span>);

impl Spans {
    pub fn as_slice(&self) -> &[Span] {
        &self.0
    }

    /// Where the earliest span begins.
    pub fn start(&self) -> Option<Timestamp> {
        self.0.first().map(|it| it.from)
    }

    /// Where the latest span ends.
    pub fn end(&self) -> Option<Timestamp> {
        self.0.last().map(|it| it.to)
    }

    /// The same without what is not before an instant.
    #[must_use]
    pub fn until(&self, at: Timestamp) -> Self {
        self.0.iter().map(|it| Span { from: it.from, to: it.to.min(at) }).collect()
    }

    /// Adds a span; an empty one changes nothing.
    pub fn add(&mut self, span: Span) {
        if span.from >= span.to {
            return;
        }
        let mut merged = span;
        self.0.retain(|it| {
            let is_apart = it.to < merged.from || merged.to < it.from;
            if !is_apart {
                merged = Span { from: merged.from.min(it.from), to: merged.to.max(it.to) };
            }
            is_apart
        });
        let place = self.0.partition_point(|it| it.from < merged.from);
        self.0.insert(place, merged);
    }

    /// The parts of `span` that are in none of the set, in ascending order.
    pub fn missing(&self, span: Span) -> Vec<Span> {
        let mut missing = Vec::new();
        let mut from = span.from;
        for it in &self.0 {
            if it.from >= span.to {
                break;
            }
            if it.from > from {
                missing.push(Span { from, to: it.from });
            }
            from = from.max(it.to);
        }
        if from < span.to {
            missing.push(Span { from, to: span.to });
        }
        missing
    }
}

impl FromIterator<Span> for Spans {
    fn from_iter<I: IntoIterator<Item = Span>>(spans: I) -> Self {
        let mut set = Self::default();
        spans.into_iter().for_each(|it| set.add(it));
        set
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn span(from: i64, to: i64) -> Span {
        Span { from: Timestamp(from), to: Timestamp(to) }
    }

    #[test]
    fn what_touches_is_merged_and_holes_stay() {
        let set: Spans = [span(0, 10), span(20, 30), span(10, 12), span(5, 5)].into_iter().collect();
        assert_eq!(set.as_slice(), [span(0, 12), span(20, 30)]);
        assert_eq!(set.missing(span(-5, 40)), [span(-5, 0), span(12, 20), span(30, 40)]);
        assert_eq!(set.missing(span(21, 29)), []);
        assert_eq!(set.until(Timestamp(25)).as_slice(), [span(0, 12), span(20, 25)]);
        assert_eq!(set.until(Timestamp(0)).as_slice(), []);
    }

    proptest! {
        #[test]
        fn an_instant_is_missing_exactly_when_no_span_holds_it(
            spans in prop::collection::vec((0_i64..50, 0_i64..50), 0..12), from in 0_i64..50, length in 0_i64..50,
        ) {
            let set: Spans = spans.iter().map(|&(from, to)| span(from, to)).collect();
            prop_assert!(set.as_slice().windows(2).all(|it| it[0].to < it[1].from));
            let missing = set.missing(span(from, from + length));
            for at in from..from + length {
                let is_held = spans.iter().any(|it| it.0 <= at && at < it.1);
                let is_missing = missing.iter().any(|it| it.from.0 <= at && at < it.to.0);
                prop_assert!(is_held != is_missing, "{}", at);
            }
        }
    }
}
