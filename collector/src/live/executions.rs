//! Which executions of a machine are there, and which of their histories are not known yet?
//!
//! A listing has the newest first and no range of time, so it is read from the top down to what is known. Its span is marked
//! as read only when every history in it was: what failed is listed again the next time.

use std::pin::Pin;
use std::time::Duration;

use analyzer::model::{ExecutionRecord, Micros, Name, Observation, Timestamp};
use analyzer::spans::Span;
use aws_sdk_sfn::types::ExecutionListItem;
use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use super::budget::Priority;
use super::call::Trouble;
use super::from_aws;
use super::history::{End, Need};
use super::machines::PAGE;
use super::walk::{Running, Walk};
use crate::import::Stopped;

/// The name under which spans of this source are stored.
pub(super) const SOURCE: &str = "history";
/// Histories of a machine that are read at once.
const AT_ONCE: usize = 16;
/// Listings may be this late.
pub(super) const OVERLAP_US: i64 = 5 * 60_000_000;
/// Times that a listing whose token has expired is begun again.
const RESTARTS: u32 = 3;
/// Step Functions keeps closed executions this long.
const RETENTION_US: i64 = 90 * 86_400_000_000;
/// What logs tell in full is not asked for until they have had this long.
const LOGS_MAY_TAKE_US: i64 = 60_000_000;
/// A running execution is looked at after a part of its age, and at least this often.
const PART_OF_AGE: i64 = 20;
const LONGEST_LOOK: Duration = Duration::from_secs(300);

/// What is listed, and how far down.
#[derive(Clone, Copy)]
pub(super) enum Listing<'a> {
    /// Executions of a machine that closed since then.
    Machine { machine_arn: &'a Name, down_to: Timestamp },
    /// All children of a Map Run of a machine's execution.
    MapRun { machine_arn: &'a Name, map_run_arn: &'a Name },
}

impl<'a> Listing<'a> {
    pub(super) fn machine_arn(self) -> &'a Name {
        match self {
            Self::Machine { machine_arn, .. } | Self::MapRun { machine_arn, .. } => machine_arn,
        }
    }

    fn down_to(self) -> Timestamp {
        match self {
            Self::Machine { down_to, .. } => down_to,
            Self::MapRun { .. } => Timestamp(i64::MIN),
        }
    }
}

impl Walk<'_> {
    /// Reads every execution of a machine down to an instant, and marks the span when nothing of it is missing.
    pub(super) async fn executions(
        &self,
        machine_arn: &Name,
        down_to: Timestamp,
        priority: Priority,
    ) -> Result<End, Stopped> {
        let begun = self.clock.moment();
        self.note_retention_of_histories(machine_arn, down_to)?;
        let end = self.listed(Listing::Machine { machine_arn, down_to }, priority).await?;
        if end.is_whole() && !self.is_planning() {
            let to = self.horizon(&begun);
            self.mark(SOURCE, machine_arn, Span { from: down_to, to }, &begun)?;
        }
        Ok(end)
    }

    /// What closed longer ago than Step Functions remembers is lost.
    fn note_retention_of_histories(&self, machine_arn: &Name, down_to: Timestamp) -> Result<(), Stopped> {
        let Some(present) = self.certain(&self.clock.moment()) else { return Ok(()) };
        let kept = present - Micros(RETENTION_US);
        let created = self.with_machine(machine_arn, |it| it.settings.as_ref().and_then(|it| it.created_at));
        let from = created.map_or(down_to, |it| it.max(down_to));
        if from >= kept || self.is_planning() {
            return Ok(());
        }
        self.lose_span(SOURCE, machine_arn, Span { from, to: kept }, "Step Functions keeps executions for 90 days")
    }

    /// Reads what a listing shows; says how the worst of it ended.
    pub(super) async fn listed(&self, listing: Listing<'_>, priority: Priority) -> Result<End, Stopped> {
        let mut reading = FuturesUnordered::new();
        let (mut token, mut restarts, mut worst): (Option<String>, u32, End) = (None, 0, End::Read);
        loop {
            let request = || {
                let request = self.sfn().list_executions().max_results(PAGE).set_next_token(token.clone());
                match listing {
                    Listing::Machine { machine_arn, .. } => request.state_machine_arn(machine_arn.as_str()).send(),
                    Listing::MapRun { map_run_arn, .. } => request.map_run_arn(map_run_arn.as_str()).send(),
                }
            };
            let page = Box::pin(self.call("ListExecutions", priority, request));
            let page = match beside(page, &mut reading, &mut worst).await? {
                Ok(page) => page,
                Err(refused) if refused.trouble == Trouble::Token && restarts < RESTARTS => {
                    (token, restarts) = (None, restarts + 1);
                    continue;
                }
                Err(refused) => {
                    if refused.trouble != Trouble::Gone {
                        self.refuse("executions", &refused);
                    }
                    worst = worst.max(if refused.trouble == Trouble::Denied { End::Refused } else { End::Unread });
                    break;
                }
            };
            let is_old =
                |it: &ExecutionListItem| it.stop_date().is_some_and(|it| from_aws::timestamp(it) < listing.down_to());
            let mut reaches_back = false;
            for it in page.executions() {
                self.note_record(from_aws::timestamp(it.stop_date().unwrap_or(it.start_date())));
                if is_old(it) {
                    reaches_back = true;
                    continue;
                }
                if let Some(needed) = self.needed(listing, it)? {
                    reading.push(self.read(listing.machine_arn().clone(), needed, priority));
                }
                if reading.len() >= AT_ONCE {
                    worst = worst.max(reading.next().await.transpose()?.unwrap_or(End::Read));
                }
            }
            token = page.next_token().map(str::to_owned).filter(|_| !reaches_back);
            if token.is_none() {
                break;
            }
        }
        while let Some(end) = reading.next().await {
            worst = worst.max(end?);
        }
        Ok(worst)
    }

    /// Sends what a listing tells of an execution; and what is to be read of it.
    fn needed(&self, listing: Listing<'_>, it: &ExecutionListItem) -> Result<Option<Need>, Stopped> {
        let record = from_aws::record(it);
        let arn = Name::from(it.execution_arn());
        let redrives = record.redrive_count.unwrap_or(0);
        let is_closed = record.status.is_none_or(analyzer::model::Status::is_closed);
        if is_closed && self.progress.borrow().is_complete(&arn, redrives) {
            self.with_machine(listing.machine_arn(), |it| it.running.remove(&arn));
            let lacks_map_runs = self.may_have_map_runs(listing.machine_arn(), &arn) && self.options.sources.history;
            return Ok((lacks_map_runs && !self.is_planning()).then_some(Need::MapRuns(arn)));
        }
        let logs_tell = self.options.sources.logs
            && self.follows.get()
            && self.with_machine(listing.machine_arn(), |it| it.logs_everything());
        let present = self.present(&self.clock.moment());
        let is_fresh = record.stopped_at.is_none_or(|it| (present - it).0 < LOGS_MAY_TAKE_US);
        // Should the logs not tell, the next listings show it again.
        let waits_for_logs = logs_tell && is_fresh;
        let (is_new, is_due) = self.note_running(listing.machine_arn(), &arn, &record, is_closed);
        if self.is_planning() {
            self.report.borrow_mut().executions += u64::from(is_new || is_closed);
            return Ok(None);
        }
        if is_new || is_closed {
            self.observe(Observation::Execution { execution_arn: arn.clone(), record: Box::new(record) })?;
        }
        self.note_unread(&arn);
        let has_history = !it.execution_arn().contains(":express:");
        Ok((is_due && has_history && self.options.sources.history && !waits_for_logs).then_some(Need::History(arn)))
    }

    /// Counts an execution of which no event has been seen yet, once.
    fn note_unread(&self, arn: &Name) {
        if self.progress.borrow_mut().is_first_sight(arn) {
            self.report.borrow_mut().executions += 1;
        }
    }

    /// Keeps the list of what runs; whether an execution is new in it, and whether it is time to look at it.
    fn note_running(&self, machine_arn: &Name, arn: &Name, record: &ExecutionRecord, is_closed: bool) -> (bool, bool) {
        let interval = self.look_interval();
        let now = self.clock.now();
        self.with_machine(machine_arn, |machine| {
            if is_closed {
                machine.running.remove(arn);
                return (false, true);
            }
            let is_new = !machine.running.contains_key(arn);
            let running = machine.running.entry(arn.clone()).or_default();
            running.started_at = record.started_at.or(running.started_at);
            let is_due = is_due(running, now, interval);
            if is_due {
                running.looked = Some(Instant::now());
            }
            (is_new, is_due)
        })
    }

    /// How often a running execution may be looked at: so that all of them take half of the allowance.
    fn look_interval(&self) -> Duration {
        let count: usize = self.machines.borrow().values().map(|it| it.running.len()).sum();
        let allowance = self.caller.budget.borrow().allowance("GetExecutionHistory");
        #[expect(clippy::cast_precision_loss, reason = "not that many")]
        let seconds = allowance.map_or(0.0, |it| count as f64 / (it.per_second / 2.0));
        self.options.interval.max(Duration::from_secs_f64(seconds))
    }

    /// Looks at executions that run and that no listing has shown lately.
    pub(super) async fn follow_running(&self, machine_arn: &Name) -> Result<(), Stopped> {
        if self.options.sources.logs && self.with_machine(machine_arn, |it| it.logs_everything()) {
            return Ok(());
        }
        let (interval, now) = (self.look_interval(), self.clock.now());
        let due: Vec<Name> = self.with_machine(machine_arn, |machine| {
            let due = machine.running.iter_mut().filter(|(_, it)| is_due(it, now, interval));
            due.map(|(arn, it)| {
                it.looked = Some(Instant::now());
                arn.clone()
            })
            .collect()
        });
        let mut reading = FuturesUnordered::new();
        for arn in due {
            reading.push(self.history(machine_arn.clone(), arn, Priority::Fresh));
            if reading.len() >= AT_ONCE {
                reading.next().await.transpose()?;
            }
        }
        while let Some(end) = reading.next().await {
            end?;
        }
        Ok(())
    }
}

/// Waits for a page, and for what is being read meanwhile: nobody else looks at that.
async fn beside<T>(
    mut page: Pin<Box<impl Future<Output = T>>>,
    reading: &mut FuturesUnordered<impl Future<Output = Result<End, Stopped>>>,
    worst: &mut End,
) -> Result<T, Stopped> {
    while !reading.is_empty() {
        match select(page.as_mut(), reading.next()).await {
            Either::Left((page, _)) => return Ok(page),
            Either::Right((Some(end), _)) => *worst = (*worst).max(end?),
            Either::Right((None, _)) => break,
        }
    }
    Ok(page.await)
}

/// The older an execution, the less often something happens in it.
fn is_due(running: &Running, now: Timestamp, interval: Duration) -> bool {
    let age = running.started_at.map_or(0, |it| (now - it).0.max(0));
    let after = Duration::from_micros((age / PART_OF_AGE).unsigned_abs()).clamp(interval, LONGEST_LOOK.max(interval));
    running.looked.is_none_or(|it| it.elapsed() >= after)
}
