//! How fast may each API be called? One token bucket per API, at a share of its quota, so that others are not starved.
//!
//! The quotas are AWS's defaults of the smaller regions (bucket size and calls a second); a throttled call waits longer.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Bucket size and refill a second of the APIs that are called.
const QUOTAS: [(&str, f64, f64); 5] = [
    ("ListStateMachines", 100.0, 5.0),
    ("DescribeStateMachine", 200.0, 20.0),
    ("ListTagsForResource", 100.0, 1.0),
    ("ListExecutions", 100.0, 2.0),
    ("GetExecutionHistory", 400.0, 20.0),
];

/// The buckets of one account and region.
pub(super) struct Budget {
    buckets: BTreeMap<&'static str, Bucket>,
    pub(super) calls: BTreeMap<&'static str, u64>,
    pub(super) throttled: BTreeMap<&'static str, u64>,
}

struct Bucket {
    tokens: f64,
    most: f64,
    per_second: f64,
    filled: Instant,
}

impl Budget {
    pub(super) fn new(share: f64) -> Self {
        let bucket = |(api, most, per_second): (&'static str, f64, f64)| {
            let most = (most * share).max(1.0);
            (api, Bucket { tokens: most, most, per_second: per_second * share, filled: Instant::now() })
        };
        Self { buckets: QUOTAS.map(bucket).into(), calls: BTreeMap::new(), throttled: BTreeMap::new() }
    }

    /// How long so many calls take at this share, when the bucket is full at first.
    pub(super) fn seconds(&self, api: &str, calls: u64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let calls = calls as f64;
        self.buckets.get(api).map_or(0.0, |it| ((calls - it.most) / it.per_second).max(0.0))
    }

    /// What limits an API, in a sentence.
    pub(super) fn limit(&self, api: &str) -> Option<String> {
        let it = self.buckets.get(api)?;
        Some(format!(
            "{api}: {:.0} at once and {:.1} a second (the share of the quota that may be used)",
            it.most, it.per_second
        ))
    }

    /// Waits until a call is allowed, and counts it.
    pub(super) async fn take(&mut self, api: &'static str) {
        *self.calls.entry(api).or_default() += 1;
        let Some(bucket) = self.buckets.get_mut(api) else { return };
        let now = Instant::now();
        bucket.tokens = (bucket.tokens + (now - bucket.filled).as_secs_f64() * bucket.per_second).min(bucket.most);
        bucket.filled = now;
        bucket.tokens -= 1.0;
        if bucket.tokens < 0.0 {
            sleep_until(now + Duration::from_secs_f64(-bucket.tokens / bucket.per_second)).await;
        }
    }

    /// The service said it is asked too often: the bucket starts again from nothing.
    pub(super) fn throttle(&mut self, api: &'static str) {
        *self.throttled.entry(api).or_default() += 1;
        if let Some(bucket) = self.buckets.get_mut(api) {
            bucket.tokens = bucket.tokens.min(0.0);
        }
    }
}
