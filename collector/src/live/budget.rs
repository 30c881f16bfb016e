//! When may a call be made? One token bucket per API of an account and region, at a share of its quota, so that its other
//! users are not starved. A throttled call shrinks the share, and it grows again while nothing is throttled.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::quotas::{Quota, Quotas};

/// What is left of the rate after a throttled call, the least that is kept, and what comes back each second.
const AFTER_THROTTLE: f64 = 0.7;
const LEAST: f64 = 0.1;
const RECOVERY_PER_SECOND: f64 = 0.05;
/// Throttled calls within this time count once.
const ONE_THROTTLE: Duration = Duration::from_millis(500);
/// How long a call of low priority waits before it looks again.
const LOOK: Duration = Duration::from_millis(20);

/// What is new comes before what fills the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Priority {
    Fresh,
    Backfill,
}

/// How one API is used at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Use {
    pub(super) waited: Duration,
    pub(super) waiting: u64,
    pub(super) tokens: f64,
    pub(super) bucket: f64,
    pub(super) per_second: f64,
}

/// The buckets of one account and region.
pub(super) struct Budget {
    quotas: Quotas,
    region: Option<String>,
    share: f64,
    buckets: RefCell<BTreeMap<&'static str, Bucket>>,
}

struct Bucket {
    tokens: f64,
    quota: Quota,
    share: f64,
    filled: Instant,
    throttled: Option<Instant>,
    waited: Duration,
    waiting: u64,
    /// Those of them that come first.
    fresh_waiting: u64,
}

impl Bucket {
    fn most(&self) -> f64 {
        self.quota.bucket
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = (now - self.filled).as_secs_f64();
        self.filled = now;
        self.tokens = (self.tokens + elapsed * self.quota.per_second * self.share).min(self.most());
        self.share = (self.share + elapsed * RECOVERY_PER_SECOND).min(1.0);
    }

    /// How long until the tokens come back to zero.
    fn debt(&self) -> Duration {
        Duration::from_secs_f64((-self.tokens).max(0.0) / (self.quota.per_second * self.share))
    }
}

impl Budget {
    pub(super) fn new(quotas: Quotas, region: Option<String>, share: f64) -> Self {
        Self { quotas, region, share, buckets: RefCell::default() }
    }

    /// The part of an API's quota that may be used.
    pub(super) fn allowance(&self, api: &str) -> Option<Quota> {
        let it = self.quotas.of(api, self.region.as_deref())?;
        Some(Quota { bucket: (it.bucket * self.share).max(1.0), per_second: it.per_second * self.share, ..it })
    }

    /// How long so many calls take when the bucket is full at first.
    pub(super) fn seconds(&self, api: &str, calls: u64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let calls = calls as f64;
        self.allowance(api).map_or(0.0, |it| ((calls - it.bucket) / it.per_second).max(0.0))
    }

    /// Waits until a call is allowed.
    pub(super) async fn take(&self, api: &'static str, priority: Priority) {
        let begun = Instant::now();
        match priority {
            Priority::Fresh => self.take_next(api).await,
            Priority::Backfill => self.take_spare(api).await,
        }
        self.with(api, |it| it.waited += begun.elapsed());
    }

    /// The next token that comes is taken now, and waited for.
    async fn take_next(&self, api: &'static str) {
        let debt = self.with(api, |it| {
            it.tokens -= 1.0;
            it.debt()
        });
        let Some(debt) = debt.filter(|it| !it.is_zero()) else { return };
        let _waiting = Waiting::new(self, api, true);
        sleep_until(Instant::now() + debt).await;
    }

    /// A token is taken once there is one that nobody else waits for.
    async fn take_spare(&self, api: &'static str) {
        // Nothing is held while waiting: whoever waits here may not be looked at for a while.
        let _waiting = Waiting::new(self, api, false);
        loop {
            let wait = self.with(api, |it| {
                if it.fresh_waiting == 0 && it.tokens >= 1.0 {
                    it.tokens -= 1.0;
                    return None;
                }
                let missing = (1.0 - it.tokens).max(0.0) / (it.quota.per_second * it.share);
                Some(Duration::from_secs_f64(missing).clamp(Duration::from_millis(1), LOOK))
            });
            match wait.flatten() {
                Some(wait) => sleep(wait).await,
                None => return,
            }
        }
    }

    /// The service said it is asked too often.
    pub(super) fn throttle(&self, api: &'static str) {
        self.with(api, |it| {
            let now = Instant::now();
            if it.throttled.is_none_or(|at| now - at >= ONE_THROTTLE) {
                it.throttled = Some(now);
                it.share = (it.share * AFTER_THROTTLE).max(LEAST);
            }
            it.tokens = it.tokens.min(0.0);
        });
    }

    pub(super) fn uses(&self) -> BTreeMap<&'static str, Use> {
        let apis: Vec<&'static str> = self.buckets.borrow().keys().copied().collect();
        let of = |api| {
            self.with(api, |it| Use {
                waited: it.waited,
                waiting: it.waiting,
                tokens: it.tokens.max(0.0),
                bucket: it.quota.bucket,
                per_second: it.quota.per_second * it.share,
            })
        };
        apis.into_iter().filter_map(|api| Some((api, of(api)?))).collect()
    }

    fn with<T>(&self, api: &'static str, change: impl FnOnce(&mut Bucket) -> T) -> Option<T> {
        let quota = self.allowance(api)?;
        let mut buckets = self.buckets.borrow_mut();
        let now = Instant::now();
        let bucket = buckets.entry(api).or_insert_with(|| Bucket {
            tokens: quota.bucket,
            quota,
            share: 1.0,
            filled: now,
            throttled: None,
            waited: Duration::ZERO,
            waiting: 0,
            fresh_waiting: 0,
        });
        bucket.fill(now);
        Some(change(bucket))
    }
}

/// Counts a call that waits, until it is dropped.
struct Waiting<'a> {
    budget: &'a Budget,
    api: &'static str,
    is_fresh: bool,
}

impl<'a> Waiting<'a> {
    fn new(budget: &'a Budget, api: &'static str, is_fresh: bool) -> Self {
        budget.with(api, |it| {
            it.waiting += 1;
            it.fresh_waiting += u64::from(is_fresh);
        });
        Self { budget, api, is_fresh }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.budget.with(self.api, |it| {
            it.waiting -= 1;
            it.fresh_waiting -= u64::from(self.is_fresh);
        });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    fn budget(bucket: f64, per_second: f64) -> Budget {
        let mut quotas = Quotas::default();
        quotas.set("GetExecutionHistory", bucket, per_second).expect("it is called");
        Budget::new(quotas, None, 0.5)
    }

    const API: &str = "GetExecutionHistory";

    fn run<T>(future: impl Future<Output = T>) -> T {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().expect("a runtime").block_on(future)
    }

    #[test]
    fn half_of_the_quota_is_used_and_all_of_that_half() {
        run(async {
            let budget = budget(20.0, 10.0);
            let begun = Instant::now();
            join_all((0..110).map(|_| budget.take(API, Priority::Fresh))).await;
            let seconds = begun.elapsed().as_secs_f64();
            assert!((19.9..20.2).contains(&seconds), "10 at once and 100 at 5 a second: {seconds}");
        });
    }

    #[test]
    fn what_is_new_comes_before_what_fills_the_past() {
        run(async {
            let budget = budget(2.0, 10.0);
            let past = async {
                for _ in 0..40 {
                    budget.take(API, Priority::Backfill).await;
                }
                Instant::now()
            };
            let fresh = async {
                sleep(Duration::from_secs(1)).await;
                let begun = Instant::now();
                join_all((0..10).map(|_| budget.take(API, Priority::Fresh))).await;
                begun.elapsed()
            };
            let begun = Instant::now();
            let (past, fresh) = futures_util::future::join(past, fresh).await;
            assert!(fresh < Duration::from_millis(2_400), "{fresh:?}");
            let seconds = (past - begun).as_secs_f64();
            assert!((9.5..10.5).contains(&seconds), "nothing is wasted: {seconds}");
        });
    }

    #[test]
    fn a_throttled_call_slows_down_and_the_rate_comes_back() {
        run(async {
            let budget = budget(2.0, 10.0);
            budget.take(API, Priority::Fresh).await;
            budget.throttle(API);
            let rate = |it: &Budget| it.uses()[API].per_second;
            assert!((rate(&budget) - 3.5).abs() < 0.01);
            sleep(Duration::from_secs(20)).await;
            assert!((rate(&budget) - 5.0).abs() < 0.01);
        });
    }
}
