//! What happened in one execution? A finished one costs ceil(events/1000) calls; of one that runs, only what is new is read,
//! from its newest events backwards.

use std::collections::BTreeMap;

use analyzer::assembly::hash_of;
use analyzer::model::{EventKind, ExecutionArn, ExecutionRecord, Gap, MapRunRecord, Name, Observation};

use super::budget::Priority;
use super::call::{Refused, Trouble};
use super::executions::{Listing, SOURCE};
use super::machines::PAGE;
use super::walk::Walk;
use super::{GapKind, from_aws};
use crate::import::Stopped;

/// Times that a history whose token has expired is read again.
const RESTARTS: u32 = 3;

/// How reading a history ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    Read,
    /// It is lost for good, and that is recorded.
    Lost,
    /// It is not permitted: asking again soon does not help.
    Refused,
    /// It may be read another time.
    Unread,
}

impl End {
    pub(super) fn is_whole(self) -> bool {
        self <= Self::Lost
    }
}

/// What has to be read of an execution.
pub(super) enum Need {
    History(Name),
    /// Its events are known, from its logs or an earlier run; its Map Runs may not be.
    MapRuns(Name),
}

/// What the pages of a history have shown.
#[derive(Default)]
struct Shown {
    started_map_run: bool,
    closed: bool,
    /// Only the newest events were read.
    is_tail: bool,
}

impl Walk<'_> {
    /// Reads what is not known yet of one execution, and the Map Runs that it started.
    pub(super) async fn history(&self, machine_arn: Name, arn: Name, priority: Priority) -> Result<End, Stopped> {
        if self.with_machine(&machine_arn, |it| it.is_unreadable) {
            self.map_runs_of_unreadable(&machine_arn, &arn, priority).await?;
            return Ok(End::Refused);
        }
        let mut shown = Shown::default();
        match self.pages(&arn, priority, &mut shown).await? {
            Ok(()) => {
                if shown.closed {
                    self.with_machine(&machine_arn, |it| it.running.remove(&arn));
                }
                let may_have_run = shown.is_tail && self.may_have_map_runs(&machine_arn, &arn);
                let has_run = shown.started_map_run || may_have_run;
                if has_run && !self.map_runs(&machine_arn, &arn, priority).await? {
                    return Ok(End::Unread);
                }
                Ok(End::Read)
            }
            Err(refused) => self.unread(machine_arn, arn, priority, &refused).await,
        }
    }

    /// Reads what an execution needs.
    pub(super) async fn read(&self, machine_arn: Name, need: Need, priority: Priority) -> Result<End, Stopped> {
        match need {
            Need::History(arn) => self.history(machine_arn, arn, priority).await,
            Need::MapRuns(arn) => {
                let is_whole = self.map_runs(&machine_arn, &arn, priority).await?;
                Ok(if is_whole { End::Read } else { End::Unread })
            }
        }
    }

    async fn unread(
        &self,
        machine_arn: Name,
        arn: Name,
        priority: Priority,
        refused: &Refused,
    ) -> Result<End, Stopped> {
        match refused.trouble {
            Trouble::Gone => {
                self.with_machine(&machine_arn, |it| it.running.remove(&arn));
                let reason =
                    "its history is not there any more (Step Functions keeps it for 90 days, or 30)".to_owned();
                self.lose(Gap { source: SOURCE, subject: arn, from: None, to: None, reason })?;
                Ok(End::Lost)
            }
            Trouble::Denied | Trouble::Encrypted => {
                let lost = match refused.trouble {
                    Trouble::Encrypted => format!("the histories of `{machine_arn}`, which are encrypted"),
                    _ => "timelines, attempts and critical paths".to_owned(),
                };
                self.refuse(&lost, refused);
                self.with_machine(&machine_arn, |it| it.is_unreadable = true);
                self.map_runs_of_unreadable(&machine_arn, &arn, priority).await?;
                Ok(End::Refused)
            }
            _ => {
                self.gap(GapKind::NotCollected, format!("the history of `{arn}` cannot be read now: {refused}"));
                Ok(End::Unread)
            }
        }
    }

    /// Reads the pages of a history: forwards when nothing of it is known, else backwards down to what is.
    async fn pages(&self, arn: &Name, priority: Priority, shown: &mut Shown) -> Result<Result<(), Refused>, Stopped> {
        let region = ExecutionArn::parse(arn).map(|it| it.region.to_owned());
        let known = self.progress.borrow().upto(arn);
        let is_reverse = known > 0;
        shown.is_tail = is_reverse;
        let (mut token, mut restarts): (Option<String>, u32) = (None, 0);
        loop {
            let request = || {
                let request = self.sfn().get_execution_history().execution_arn(arn.as_str());
                request
                    .include_execution_data(self.options.privacy.needs_payloads())
                    .reverse_order(is_reverse)
                    .max_results(PAGE)
                    .set_next_token(token.clone())
                    .send()
            };
            let page = match self.call("GetExecutionHistory", priority, request).await {
                Ok(page) => page,
                Err(refused) if refused.trouble == Trouble::Token && restarts < RESTARTS => {
                    (token, restarts) = (None, restarts + 1);
                    continue;
                }
                Err(refused) => return Ok(Err(refused)),
            };
            let mut reaches_back = false;
            for raw in page.events() {
                let event =
                    from_aws::event(raw, region.as_deref(), &self.options.privacy, &mut self.names.borrow_mut());
                if is_reverse && event.id <= known {
                    reaches_back = true;
                    continue;
                }
                shown.started_map_run |= event.kind == EventKind::MapRunStarted;
                shown.closed |= event.kind.closes_execution();
                self.event(arn, event)?;
            }
            token = page.next_token().map(str::to_owned).filter(|_| !reaches_back);
            if token.is_none() {
                return Ok(Ok(()));
            }
        }
    }

    // ---- Map Runs ----------------------------------------------------------------------------------------------------

    /// The Map Runs of an execution whose history cannot be read, where its machine may have any.
    async fn map_runs_of_unreadable(&self, machine_arn: &Name, arn: &Name, priority: Priority) -> Result<(), Stopped> {
        let is_asked = self.map_runs_read.borrow().contains(&hash_of(arn));
        let may_have = self.with_machine(machine_arn, |it| it.has_map_runs) != Some(false);
        if !is_child(arn) && !is_asked && may_have {
            self.map_runs(machine_arn, arn, priority).await?;
        }
        Ok(())
    }

    /// Whether Map Runs of an execution may be there that were not read to the end.
    pub(super) fn may_have_map_runs(&self, machine_arn: &Name, arn: &Name) -> bool {
        !is_child(arn)
            && self.with_machine(machine_arn, |it| it.has_map_runs) == Some(true)
            && !self.map_runs_read.borrow().contains(&hash_of(arn))
    }

    /// Reads the Map Runs that an execution started, and their children; says whether nothing is missing.
    async fn map_runs(&self, machine_arn: &Name, arn: &Name, priority: Priority) -> Result<bool, Stopped> {
        let mut token: Option<String> = None;
        let mut is_whole = true;
        loop {
            let request = || {
                let request = self.sfn().list_map_runs().execution_arn(arn.as_str());
                request.max_results(PAGE).set_next_token(token.clone()).send()
            };
            let page = match self.call("ListMapRuns", priority, request).await {
                Ok(page) => page,
                Err(refused) => {
                    self.refuse("children of Map Runs", &refused);
                    return Ok(false);
                }
            };
            for it in page.map_runs() {
                is_whole &= self.map_run(machine_arn, arn, &it.map_run_arn().into(), priority).await?;
            }
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        // A running execution may start more of them.
        let is_over = self.with_machine(machine_arn, |it| !it.running.contains_key(arn));
        if is_whole && is_over {
            self.map_runs_read.borrow_mut().insert(hash_of(arn));
        }
        Ok(is_whole)
    }

    async fn map_run(
        &self,
        machine_arn: &Name,
        parent: &Name,
        map_run_arn: &Name,
        priority: Priority,
    ) -> Result<bool, Stopped> {
        let request = || self.sfn().describe_map_run().map_run_arn(map_run_arn.as_str()).send();
        let run: MapRunRecord = match self.call("DescribeMapRun", priority, request).await {
            Ok(it) => from_aws::map_run(&it),
            Err(refused) => {
                self.refuse("how many children a Map Run started, and with them its transitions", &refused);
                MapRunRecord::default()
            }
        };
        let map_runs = BTreeMap::from([(map_run_arn.clone(), run)]);
        let record = ExecutionRecord { map_runs, ..ExecutionRecord::default() };
        self.observe(Observation::Execution { execution_arn: parent.clone(), record: Box::new(record) })?;
        let listing = Listing::MapRun { machine_arn, map_run_arn };
        // There may be very many: what is new elsewhere does not wait for them.
        Ok(Box::pin(self.listed(listing, Priority::Backfill)).await?.is_whole())
    }
}

fn is_child(execution_arn: &str) -> bool {
    ExecutionArn::parse(execution_arn).is_some_and(|it| it.machine.contains('/'))
}
