//! Does a target answer? When it last did, and what is in the way, API by API.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use analyzer::model::{Micros, Timestamp};

use super::call::{Refused, Trouble};

/// What is in the way of collecting, by what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    NoCredentials,
    ExpiredCredentials,
    InvalidCredentials,
    /// The signature is refused because of its time.
    WrongClock,
    Unreachable,
    /// The service answers with errors of its own.
    ServiceError,
    Throttled,
    Denied,
}

impl Obstacle {
    fn of(refused: &Refused) -> Option<Self> {
        Some(match refused.trouble {
            Trouble::Denied | Trouble::Encrypted => Self::Denied,
            Trouble::Clock => Self::WrongClock,
            Trouble::Throttled => Self::Throttled,
            Trouble::Credentials if refused.has_expired() => Self::ExpiredCredentials,
            Trouble::Credentials if refused.code.is_none() => Self::NoCredentials,
            Trouble::Credentials => Self::InvalidCredentials,
            Trouble::Passing | Trouble::Lasting if refused.code.is_none() => Self::Unreachable,
            Trouble::Passing => Self::ServiceError,
            // The service has answered; what it does not have is no obstacle.
            Trouble::Gone | Trouble::Token | Trouble::Lasting => return None,
        })
    }
}

/// An API that does not answer as it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    pub api: String,
    pub obstacle: Obstacle,
    /// The permission that is missing, or the code of the service's error.
    pub detail: Option<String>,
    pub since: Timestamp,
}

/// How a target answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// When it last gave an answer that could be used.
    pub answered_at: Option<Timestamp>,
    pub failing: Vec<Failing>,
    /// When the next try is due, where something is in the way.
    pub next_try_at: Option<Timestamp>,
}

/// Keeps it while calls are made.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    answered: Cell<Option<Timestamp>>,
    failing: RefCell<BTreeMap<&'static str, Failing>>,
    next_try: Cell<Option<Timestamp>>,
}

impl Pulse {
    pub(super) fn answered(&self, api: &'static str, now: Timestamp) {
        self.answered.set(Some(now));
        self.failing.borrow_mut().remove(api);
    }

    pub(super) fn failed(&self, refused: &Refused, now: Timestamp) {
        let Some(obstacle) = Obstacle::of(refused) else { return self.answered(refused.api, now) };
        let detail = match obstacle {
            Obstacle::Denied => Some(refused.permission()),
            _ => refused.code.clone(),
        };
        let mut failing = self.failing.borrow_mut();
        let since = failing.get(refused.api).filter(|it| it.obstacle == obstacle).map_or(now, |it| it.since);
        failing.insert(refused.api, Failing { api: refused.api.to_owned(), obstacle, detail, since });
    }

    /// Nothing is asked for until then.
    pub(super) fn tries_again(&self, now: Timestamp, after: Duration) {
        self.next_try.set(Some(now + Micros(i64::try_from(after.as_micros()).unwrap_or(i64::MAX))));
    }

    pub(super) fn health(&self) -> Health {
        let failing: Vec<Failing> = self.failing.borrow().values().cloned().collect();
        let next_try_at = self.next_try.get().filter(|_| !failing.is_empty());
        Health { answered_at: self.answered.get(), failing, next_try_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: Option<&str>, trouble: Trouble) -> Refused {
        Refused { api: "ListExecutions", code: code.map(str::to_owned), message: String::new(), trouble }
    }

    #[test]
    fn an_obstacle_has_a_beginning_and_ends_with_an_answer() {
        let pulse = Pulse::default();
        assert_eq!(pulse.health(), Health::default());
        let lost = refused(None, Trouble::Passing);
        pulse.failed(&lost, Timestamp(10));
        pulse.failed(&lost, Timestamp(20));
        pulse.tries_again(Timestamp(20), Duration::from_micros(5));
        let health = pulse.health();
        assert_eq!((health.failing[0].obstacle, health.failing[0].since), (Obstacle::Unreachable, Timestamp(10)));
        assert_eq!((health.answered_at, health.next_try_at), (None, Some(Timestamp(25))));
        pulse.failed(&refused(Some("AccessDeniedException"), Trouble::Denied), Timestamp(30));
        let denied = &pulse.health().failing[0];
        assert_eq!((denied.obstacle, denied.since), (Obstacle::Denied, Timestamp(30)));
        assert_eq!(denied.detail.as_deref(), Some("states:ListExecutions"));
        pulse.answered("ListExecutions", Timestamp(40));
        let health = pulse.health();
        assert_eq!((health.answered_at, health.failing.len(), health.next_try_at), (Some(Timestamp(40)), 0, None));
    }

    #[test]
    fn obstacles_are_told_apart() {
        for (code, trouble, expected) in [
            (None, Trouble::Credentials, Some(Obstacle::NoCredentials)),
            (Some("ExpiredTokenException"), Trouble::Credentials, Some(Obstacle::ExpiredCredentials)),
            (Some("UnrecognizedClientException"), Trouble::Credentials, Some(Obstacle::InvalidCredentials)),
            (Some("InvalidSignatureException"), Trouble::Clock, Some(Obstacle::WrongClock)),
            (Some("InternalFailure"), Trouble::Passing, Some(Obstacle::ServiceError)),
            (Some("ThrottlingException"), Trouble::Throttled, Some(Obstacle::Throttled)),
            (Some("ExecutionDoesNotExist"), Trouble::Gone, None),
        ] {
            assert_eq!(Obstacle::of(&refused(code, trouble)), expected, "{code:?}");
        }
    }
}
