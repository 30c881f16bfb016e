//! What part of a state machine's executions failed, and what does that rest on?

/// How many executions failed, of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureRate {
    /// Of the stored executions that have closed.
    Stored { failed: u64, of: u64 },
    /// Only failures are logged; CloudWatch counted all executions.
    Counted { failed: u64, of: u64 },
    /// Only failures are logged: how many succeeded is not known.
    Unknown { failed: u64 },
}

impl Default for FailureRate {
    fn default() -> Self {
        Self::Stored { failed: 0, of: 0 }
    }
}

impl FailureRate {
    /// Failed executions and all of them; `None` where the latter are not known.
    pub fn counts(self) -> Option<(u64, u64)> {
        match self {
            Self::Stored { failed, of } | Self::Counted { failed, of } => Some((failed, of)),
            Self::Unknown { .. } => None,
        }
    }

    /// The rate, 0 to 1; `None` where it is not known, and of no executions.
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    pub fn value(self) -> Option<f64> {
        self.counts().filter(|it| it.1 > 0).map(|(failed, of)| failed as f64 / of as f64)
    }

    pub fn failed(self) -> u64 {
        match self {
            Self::Stored { failed, .. } | Self::Counted { failed, .. } | Self::Unknown { failed } => failed,
        }
    }

    /// The rate of several state machines together: known only where each is.
    pub fn of_all(all: impl IntoIterator<Item = Self>) -> Self {
        all.into_iter().fold(Self::default(), |sum, it| match (sum.counts(), it.counts()) {
            (Some((failed, of)), Some((more, of_more))) => {
                let (failed, of) = (failed + more, of + of_more);
                match (sum, it) {
                    (Self::Stored { .. }, Self::Stored { .. }) => Self::Stored { failed, of },
                    _ => Self::Counted { failed, of },
                }
            }
            _ => Self::Unknown { failed: sum.failed() + it.failed() },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_known_only_where_successes_are() {
        let stored = FailureRate::Stored { failed: 1, of: 4 };
        let counted = FailureRate::Counted { failed: 2, of: 4 };
        let unknown = FailureRate::Unknown { failed: 7 };
        assert_eq!((stored.value(), unknown.value(), FailureRate::default().value()), (Some(0.25), None, None));
        assert_eq!(FailureRate::of_all([stored, counted]), FailureRate::Counted { failed: 3, of: 8 });
        assert_eq!(FailureRate::of_all([stored, unknown]), FailureRate::Unknown { failed: 8 });
        assert_eq!(FailureRate::of_all([stored, stored]), FailureRate::Stored { failed: 2, of: 8 });
    }
}
