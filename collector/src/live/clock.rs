//! What time is it at the service? Learnt from the `Date` of its answers, so that a wrong clock here neither spoils
//! signatures nor loses what happened in the difference.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use analyzer::model::{Micros, Timestamp};
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::{DateTime, Format};

/// The header has whole seconds and takes time to arrive: less than this is no difference.
const NOISE_US: i64 = 2_000_000;

/// The clock of a service, as far as it is known.
#[derive(Clone, Debug, Default)]
pub(super) struct ServiceClock {
    offset_us: Arc<AtomicI64>,
    is_known: Arc<AtomicBool>,
}

impl ServiceClock {
    pub(super) fn now(&self) -> Timestamp {
        Timestamp(local_us() + self.offset_us.load(Ordering::Relaxed))
    }

    /// How far the service is ahead of this machine; `None` while it has not answered.
    pub(super) fn offset(&self) -> Option<Micros> {
        self.is_known.load(Ordering::Relaxed).then(|| Micros(self.offset_us.load(Ordering::Relaxed)))
    }
}

fn local_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Requests are signed with the service's time.
impl TimeSource for ServiceClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(Self::now(self).0.unsigned_abs())
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
            let offset = date.secs() * 1_000_000 - local_us();
            // The header is up to a second in the past.
            let offset = if (offset + 500_000).abs() < NOISE_US { 0 } else { offset };
            self.offset_us.store(offset, Ordering::Relaxed);
            self.is_known.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}
