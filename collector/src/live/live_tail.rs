//! What do log groups say this very second? By Live Tail, whose sessions are billed by the minute.
//!
//! A session may leave events out when there are many, and it ends after three hours: it only makes what is read early come
//! sooner. Reading the groups goes on beside it, and finds what a session has left out.

use std::time::Duration;

use analyzer::model::Timestamp;
use aws_sdk_cloudwatchlogs::types::{LiveTailSessionUpdate, StartLiveTailResponseStream};
use tokio::time::{Instant, sleep};

use super::budget::Priority;
use super::call_prices::CALL_PRICES;
use super::logs::{Group, LogEvent};
use super::walk::Walk;
use crate::import::Stopped;

/// Groups of one session: the most that there can be.
pub(super) const GROUPS: usize = 10;
const AFTER_REFUSAL: Duration = Duration::from_secs(30);

impl Walk<'_> {
    /// Follows up to ten groups, session after session, until it is dropped.
    pub(super) async fn tail_groups(&self, groups: &[&Group]) -> Result<(), Stopped> {
        let arns: Vec<String> = groups.iter().map(|it| it.arn.to_string()).collect();
        loop {
            let start = || self.tail().start_live_tail().set_log_group_identifiers(Some(arns.clone())).send();
            match self.call("StartLiveTail", Priority::Fresh, start).await {
                Ok(mut session) => {
                    let begun = Instant::now();
                    let mut minutes = 0;
                    while let Ok(Some(event)) = session.response_stream.recv().await {
                        if let StartLiveTailResponseStream::SessionUpdate(update) = event {
                            self.tailed(groups, &update)?;
                            let begun_minutes = begun.elapsed().as_secs() / 60 + 1;
                            self.spend(CALL_PRICES.live_tail_minute, begun_minutes - minutes);
                            minutes = begun_minutes;
                        }
                    }
                }
                Err(refused) => {
                    self.refuse("Live Tail: events come a little later without it", &refused);
                    sleep(AFTER_REFUSAL).await;
                }
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    fn tailed(&self, groups: &[&Group], update: &LiveTailSessionUpdate) -> Result<(), Stopped> {
        for it in update.session_results() {
            let named = it.log_group_identifier().unwrap_or_default();
            let group = groups.iter().find(|group| named.ends_with(group.name())).or(groups.first());
            let (Some(group), Some(at), Some(message)) = (group, it.timestamp(), it.message()) else { continue };
            let stream = it.log_stream_name().unwrap_or_default();
            self.log_event(group, &LogEvent { id: None, stream, at: Timestamp(at * 1_000), message })?;
        }
        self.flush()
    }
}
