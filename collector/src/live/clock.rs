//! What time is it, and up to when has a span been read?
//!
//! Three clocks are compared: the one of this machine, the one that the service states in the `Date` of its answers, and the one
//! that records prove: what happened at an instant had happened by the time it was read. Where the first two agree, a span counts
//! as read up to the earlier of them. Where they do not, or the service states no time, one of them is wrong and nothing says
//! which: then only records count.
//!
//! ```text
//!            newest record   this machine        the service
//!   ───────────────┼──────────────┼──────────────────┼──────▶
//!   read and stored│  read, and read again next time │
//! ```

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use analyzer::model::{Micros, Timestamp};
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::{DateTime, Format};
use tokio::time::Instant;

/// The header has whole seconds and takes time to arrive: less than this is no difference.
const NOISE_US: i64 = 2_000_000;
/// Clocks that differ by more than this do not agree.
pub(super) const AGREE_US: i64 = 60_000_000;
/// Answers whose offsets are kept: the median of an odd number is one of them.
const ANSWERS: usize = 9;

/// A moment as this machine saw it: on its clock, and on one that never jumps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    local: Timestamp,
    at: Instant,
}

/// The clock of this machine, whatever it is moved by.
pub(super) fn wall() -> Timestamp {
    Timestamp(real_us())
}

impl Moment {
    /// How long ago it was.
    pub(super) fn age(&self) -> Duration {
        self.at.elapsed()
    }
}

/// How the service's clock and this machine's compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agreement {
    Agree,
    /// The service is ahead by so much, or behind where it is negative.
    Differ(Micros),
    /// The answers contradict each other by as much as this.
    Jumps(Micros),
    /// The service has not stated any time.
    Unknown,
}

/// This machine's clock and a service's, as far as that is known.
#[derive(Clone, Debug, Default)]
pub(super) struct ServiceClock {
    /// How far this machine's time is moved on purpose.
    shift: Micros,
    answers: Arc<Mutex<Answers>>,
}

/// What the last answers said.
#[derive(Debug, Default)]
struct Answers {
    /// How far each was ahead of this machine's clock.
    offsets: VecDeque<i64>,
    /// How far the newest of all was ahead of the time with which requests are signed.
    newest: Option<i64>,
    /// What is added when requests are signed.
    signing: i64,
}

impl ServiceClock {
    /// A clock that is moved by so much.
    pub(super) fn shifted(shift: Micros) -> Self {
        Self { shift, ..Self::default() }
    }

    /// This moment.
    pub(super) fn moment(&self) -> Moment {
        Moment { local: Timestamp(real_us()) + self.shift, at: Instant::now() }
    }

    /// The earlier of the two clocks now, which is what ages are measured against.
    pub(super) fn now(&self) -> Timestamp {
        self.earlier(&self.moment())
    }

    /// The earlier of the two clocks at a moment.
    pub(super) fn earlier(&self, moment: &Moment) -> Timestamp {
        moment.local + self.offset().unwrap_or_default().min(Micros(0))
    }

    /// The later of the two clocks at a moment.
    pub(super) fn later(&self, moment: &Moment) -> Timestamp {
        moment.local + self.offset().unwrap_or_default().max(Micros(0))
    }

    /// How far the service is ahead of this machine: the median of its last answers; `None` while it has not stated a time.
    pub(super) fn offset(&self) -> Option<Micros> {
        let mut offsets: Vec<i64> = self.answers().offsets.iter().copied().collect();
        offsets.sort_unstable();
        offsets.get(offsets.len() / 2).copied().map(Micros)
    }

    pub(super) fn agreement(&self) -> Agreement {
        let Some(offset) = self.offset() else { return Agreement::Unknown };
        if offset.0.abs() > AGREE_US {
            return Agreement::Differ(offset);
        }
        let answers = self.answers();
        let farthest = answers.offsets.iter().map(|it| (it - offset.0).abs()).max().unwrap_or(0);
        if farthest > AGREE_US { Agreement::Jumps(Micros(farthest)) } else { Agreement::Agree }
    }

    /// From now on requests are signed with the time that the service has just stated; `false` where that changes nothing.
    pub(super) fn sign_with_service(&self) -> bool {
        let mut answers = self.answers();
        let Some(newest) = answers.newest.filter(|it| (it - answers.signing).abs() > NOISE_US) else { return false };
        answers.signing = newest;
        true
    }

    /// Takes note of what an answer says about the time.
    fn note(&self, service_us: i64) {
        let local = real_us();
        // The header is up to a second in the past.
        let round = |offset: i64| if (offset + 500_000).abs() < NOISE_US { 0 } else { offset + 500_000 };
        let mut answers = self.answers();
        if answers.offsets.len() == ANSWERS {
            answers.offsets.pop_front();
        }
        answers.offsets.push_back(round(service_us - local - self.shift.0));
        answers.newest = Some(round(service_us - local));
    }

    fn answers(&self) -> std::sync::MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn real_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Requests are signed with this machine's time until the service has refused it.
impl TimeSource for ServiceClock {
    fn now(&self) -> SystemTime {
        let us = real_us().saturating_add(self.answers().signing);
        UNIX_EPOCH + Duration::from_micros(us.max(0).unsigned_abs())
    }
}

impl Intercept for ServiceClock {
    fn name(&self) -> &'static str {
        "ServiceClock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        if let Some(date) = date.and_then(|it| DateTime::from_str(it, Format::HttpDate).ok()) {
            self.note(date.secs().saturating_mul(1_000_000));
        }
        Ok(())
    }
}

/// What the records of an account prove about the time. Only instants that the service itself wrote count: of executions, their
/// events, state machines and metrics. What clients write (segments, a function's own lines) may lie in the future, and what we
/// write ourselves proves nothing.
#[derive(Debug, Default)]
pub(super) struct RecordClock {
    /// The newest record that was stored before. It is not used to tell the time by, since files may have brought it.
    stored: Cell<Option<Timestamp>>,
    /// The newest record that was read.
    read: Cell<Option<Timestamp>>,
    /// The record that is the most ahead of a clock that never jumps, and when it was read.
    lead: Cell<Option<(Instant, Timestamp)>>,
}

impl RecordClock {
    /// Takes note of a record that was stored before.
    pub(super) fn note_stored(&self, at: Timestamp) {
        self.stored.set(self.stored.get().max(Some(at)));
    }

    /// Whether a record that is read now says more than those before it.
    pub(super) fn is_news(&self, at: Timestamp) -> bool {
        self.read.get().is_none_or(|it| it < at)
    }

    /// Takes note of a record that has just been read.
    pub(super) fn note(&self, at: Timestamp) {
        self.note_at(at, Instant::now());
    }

    fn note_at(&self, record: Timestamp, now: Instant) {
        self.read.set(self.read.get().max(Some(record)));
        if self.proven(now).is_none_or(|it| it < record) {
            self.lead.set(Some((now, record)));
        }
    }

    /// It was not earlier than this then: records had shown it before, or showed it later by the same distance.
    fn proven(&self, then: Instant) -> Option<Timestamp> {
        let (at, record) = self.lead.get()?;
        let us = |it: Duration| Micros(i64::try_from(it.as_micros()).unwrap_or(i64::MAX));
        Some(record + us(then.saturating_duration_since(at)) - us(at.saturating_duration_since(then)))
    }

    /// Up to when a span that was read at a moment has certainly been read, going by records alone.
    pub(super) fn certain(&self, moment: &Moment) -> Option<Timestamp> {
        self.proven(moment.at).max(self.reached(moment))
    }

    /// The same, but not beyond the newest record: this may be stored.
    pub(super) fn reached(&self, moment: &Moment) -> Option<Timestamp> {
        self.read.get().min(self.proven(moment.at)).max(self.stored.get())
    }

    pub(super) fn newest(&self) -> Option<Timestamp> {
        self.read.get().max(self.stored.get())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: i64 = 60_000_000;

    fn clock(offsets: &[i64]) -> ServiceClock {
        let clock = ServiceClock::default();
        clock.answers().offsets.extend(offsets);
        clock
    }

    #[test]
    fn one_odd_answer_does_not_move_the_clock() {
        let clock = clock(&[0, 0, 60 * MINUTE, 0, 0]);
        assert_eq!(clock.offset(), Some(Micros(0)));
        assert_eq!(clock.agreement(), Agreement::Jumps(Micros(60 * MINUTE)));
        assert_eq!(ServiceClock::default().agreement(), Agreement::Unknown);
        assert_eq!(self::clock(&[MINUTE / 2]).agreement(), Agreement::Agree);
        assert_eq!(self::clock(&[-7 * MINUTE]).agreement(), Agreement::Differ(Micros(-7 * MINUTE)));
    }

    #[test]
    fn an_old_answer_is_forgotten() {
        let clock = ServiceClock::default();
        for _ in 0..ANSWERS {
            clock.note(real_us() + 60 * MINUTE);
        }
        assert!(matches!(clock.agreement(), Agreement::Differ(_)));
        for _ in 0..ANSWERS {
            clock.note(real_us());
        }
        assert_eq!(clock.agreement(), Agreement::Agree);
    }

    #[test]
    fn requests_are_signed_with_the_time_here_until_that_is_refused() {
        let clock = ServiceClock::shifted(Micros(5 * MINUTE));
        clock.note(real_us() - 60 * MINUTE);
        let signed = || {
            let since = TimeSource::now(&clock).duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since.as_micros()).unwrap_or(0) - real_us()
        };
        assert!(signed().abs() < MINUTE);
        assert!(clock.sign_with_service(), "it helps");
        assert!((signed() + 60 * MINUTE).abs() < MINUTE);
        assert!(!clock.sign_with_service(), "it would not help again");
    }

    proptest! {
        /// Whatever records are read and when, no moment is said to be later than it was.
        #[test]
        fn records_never_prove_more_than_the_truth(
            reads in prop::collection::vec((0_u64..100_000, 0_i64..50_000), 1..20), asked in 0_u64..100_000,
        ) {
            let begun = Instant::now();
            let moment = |ms: u64| Moment { local: Timestamp(0), at: begun + Duration::from_millis(ms) };
            let truth = |ms: u64| i64::try_from(ms).unwrap_or(0) * 1_000;
            let clock = RecordClock::default();
            for (ms, age) in reads {
                // A record is some time old when it is read.
                clock.note_at(Timestamp(truth(ms) - age), moment(ms).at);
            }
            let at = moment(asked);
            prop_assert!(clock.certain(&at).is_some_and(|it| it.0 <= truth(asked)));
            prop_assert!(clock.reached(&at) <= clock.certain(&at));
            prop_assert!(clock.reached(&at) <= clock.newest());
        }
    }
}
