//! What do the log groups of machines and of Lambda functions tell?
//!
//! A group is read in slices of time, the newest first, each from its oldest event to its newest. A slice is marked as read
//! once all its pages were. What was read last is read again a while later, for events that come late.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use analyzer::model::{Micros, Name, Observation, Timestamp};
use analyzer::spans::{Span, Spans};
use aws_sdk_cloudwatchlogs::types::LogGroup;
use rustc_hash::FxHashMap;

use super::budget::Priority;
use super::call::{Refused, Trouble};
use super::clock::Moment;
use super::machines::machine_of;
use super::walk::Walk;
use crate::import::Stopped;
use crate::import::logs::{Message, message};

/// The name under which spans of this source are stored.
pub(super) const SOURCE: &str = "logs";
const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;
/// Times that a slice whose token has expired is read again.
const RESTARTS: u32 = 3;
/// Express executions that have ended are not thought of after this while the past is read.
const FORGET_AFTER: Duration = Duration::from_secs(90);

/// What a log group is read for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// Events of these machines.
    Machines(BTreeSet<Name>),
    /// Reports of a Lambda function.
    Function,
}

/// A log group and what reading it needs.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) arn: Name,
    pub(super) reason: Reason,
    /// Events of the last while, by their ids, where the last while is read again and again.
    seen: Option<RefCell<FxHashMap<u64, Timestamp>>>,
    newest: RefCell<Option<Timestamp>>,
}

impl Group {
    pub(super) fn new(arn: Name, reason: Reason) -> Self {
        Self { arn, reason, seen: None, newest: RefCell::default() }
    }

    /// What is marked as read: for machines each by itself, since others may be read from the same group another time.
    pub(super) fn subjects(&self) -> Vec<Name> {
        match &self.reason {
            Reason::Machines(machines) => {
                let name = |arn: &Name| arn.rsplit(':').next().unwrap_or(arn).to_owned();
                machines.iter().map(|it| format!("{} {}", self.arn, name(it)).into()).collect()
            }
            Reason::Function => vec![self.arn.clone()],
        }
    }

    /// The plain name of the group.
    pub(super) fn name(&self) -> &str {
        self.arn.split(':').nth(6).unwrap_or(&self.arn)
    }

    /// Whether a description is this group's, and not that of another account's with the same name.
    fn is(&self, described: &LogGroup) -> bool {
        let is_arn = |it: &str| it.trim_end_matches(":*") == &*self.arn;
        described.log_group_name() == Some(self.name()) && described.arn().is_none_or(is_arn)
    }

    fn account(&self) -> Option<&str> {
        self.arn.split(':').nth(4)
    }

    /// A group whose last while is read again and again: what was shown is not sent again.
    pub(super) fn followed(self) -> Self {
        Self { seen: Some(RefCell::default()), ..self }
    }

    /// Forgets what is too old to be shown again.
    pub(super) fn forget_before(&self, at: Timestamp) {
        if let Some(seen) = &self.seen {
            seen.borrow_mut().retain(|_, seen| *seen >= at);
        }
    }

    /// The newest event that was read.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        *self.newest.borrow()
    }

    /// What is not known without it.
    fn loss(&self) -> String {
        match &self.reason {
            Reason::Function => "durations, memory and money of Lambda invocations".to_owned(),
            Reason::Machines(_) => format!("events in the log group `{}`", self.name()),
        }
    }

    fn is_new(&self, id: &str, at: Timestamp) -> bool {
        let seen = |it: &RefCell<FxHashMap<u64, Timestamp>>| {
            it.borrow_mut().insert(analyzer::assembly::hash_of(id), at).is_some()
        };
        !self.seen.as_ref().is_some_and(seen)
    }
}

/// One event of a log group, however it came.
pub(super) struct LogEvent<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) stream: &'a str,
    pub(super) at: Timestamp,
    pub(super) message: &'a str,
}

impl Walk<'_> {
    /// The log groups of all machines, and of the functions that they call where that is wanted.
    pub(super) fn groups(&self) -> Vec<Group> {
        let mut machines: BTreeMap<Name, BTreeSet<Name>> = BTreeMap::new();
        let mut functions = BTreeSet::new();
        for (arn, machine) in self.machines.borrow().iter().filter(|(_, it)| it.described.is_some()) {
            let Some(settings) = &machine.settings else { continue };
            if let Some(group) = settings.log_group_arn.clone().filter(|_| &*settings.log_level != "OFF") {
                machines.entry(group).or_default().insert(arn.clone());
            }
            let parts: Vec<&str> = arn.split(':').collect();
            if self.options.sources.lambda_logs
                && let [_, partition, _, region, account, ..] = parts[..]
            {
                let group = |it: &Name| format!("arn:{partition}:logs:{region}:{account}:log-group:/aws/lambda/{it}");
                functions.extend(machine.functions.iter().map(|it| Name::from(group(it))));
            }
        }
        let of_machines = machines.into_iter().map(|(arn, of)| Group::new(arn, Reason::Machines(of)));
        let of_machines = of_machines.filter(|_| self.options.sources.logs);
        of_machines.chain(functions.into_iter().map(|it| Group::new(it, Reason::Function))).collect()
    }

    /// Reads what is missing of a group between an instant and now, the newest first, and the last while again.
    pub(super) async fn read_group(&self, group: &Group, priority: Priority) -> Result<(), Stopped> {
        self.note_retention(group, priority).await?;
        let begun = self.clock.moment();
        for span in self.missing_of_group(group, self.horizon(&begun)).as_slice().iter().rev() {
            for slice in slices(*span) {
                if !self.read_slice(group, slice, priority).await? {
                    return Ok(());
                }
                self.mark_group(group, slice, &begun)?;
                self.progress.borrow_mut().forget_finished_express(FORGET_AFTER);
            }
        }
        Ok(())
    }

    /// What is missing of any of a group's subjects up to an instant.
    pub(super) fn missing_of_group(&self, group: &Group, to: Timestamp) -> Spans {
        group.subjects().iter().flat_map(|it| self.missing(SOURCE, it, self.options.overlap, to)).collect()
    }

    /// Everything of a span of a group has been sent.
    pub(super) fn mark_group(&self, group: &Group, span: Span, moment: &Moment) -> Result<(), Stopped> {
        group.subjects().iter().try_for_each(|it| self.mark(SOURCE, it, span, moment))
    }

    /// What was wanted and the group has never had, or has no more, is not asked for.
    async fn note_retention(&self, group: &Group, priority: Priority) -> Result<(), Stopped> {
        let Ok(Some(described)) = self.describe_group(group, priority).await else { return Ok(()) };
        let created = described.creation_time().map(|it| Timestamp(it * 1_000));
        let now = self.clock.moment();
        let kept = described.retention_in_days().zip(self.certain(&now));
        let kept = kept.map(|(days, present)| (days, present - Micros(i64::from(days) * DAY_US)));
        for subject in group.subjects() {
            let (wanted, _) = self.collected(SOURCE, &subject);
            if let Some(created) = created.filter(|it| *it - Micros(DAY_US) > wanted) {
                self.mark(SOURCE, &subject, Span { from: wanted, to: created - Micros(DAY_US) }, &now)?;
            }
            if let Some((days, kept)) = kept {
                let from = created.map_or(wanted, |it| it.max(wanted));
                let reason = format!("its events are kept for {days} days only");
                self.lose_span(SOURCE, &subject, Span { from, to: kept }, &reason)?;
            }
        }
        Ok(())
    }

    /// How long a group keeps its events and how much it holds; `None` where that cannot be known.
    pub(super) async fn describe_group(&self, group: &Group, priority: Priority) -> Result<Option<LogGroup>, Refused> {
        let is_own = group.account() == self.report.borrow().account.as_deref();
        let request = || {
            let request = self.logs().describe_log_groups().log_group_name_prefix(group.name());
            let request = if is_own { request } else { request.include_linked_accounts(true) };
            request.limit(50).send()
        };
        match self.call("DescribeLogGroups", priority, request).await {
            Ok(it) => Ok(it.log_groups().iter().find(|it| group.is(it)).cloned()),
            Err(refused) => {
                if refused.trouble == Trouble::Denied {
                    self.refuse("how long log groups keep their events", &refused);
                }
                Err(refused)
            }
        }
    }

    /// Reads one slice of time to its end; `false` when that was not possible.
    pub(super) async fn read_slice(&self, group: &Group, slice: Span, priority: Priority) -> Result<bool, Stopped> {
        let (mut token, mut restarts): (Option<String>, u32) = (None, 0);
        let is_own = group.account() == self.report.borrow().account.as_deref();
        loop {
            let request = || {
                let request = self.logs().filter_log_events();
                let request = if is_own {
                    request.log_group_name(group.name())
                } else {
                    request.log_group_identifier(group.arn.as_str())
                };
                let request = match group.reason {
                    Reason::Machines(_) => request,
                    Reason::Function => request.filter_pattern("REPORT"),
                };
                let (from, to) = (slice.from.0.div_euclid(1_000), slice.to.0.div_euclid(1_000));
                request.start_time(from.max(0)).end_time(to).set_next_token(token.clone()).send()
            };
            let page = match self.call("FilterLogEvents", priority, request).await {
                Ok(page) => page,
                Err(refused) if refused.trouble == Trouble::Token && restarts < RESTARTS => {
                    (token, restarts) = (None, restarts + 1);
                    continue;
                }
                Err(refused) => {
                    self.refuse(&group.loss(), &refused);
                    self.note_readable(group, false);
                    return Ok(false);
                }
            };
            for it in page.events() {
                let (Some(at), Some(message)) = (it.timestamp(), it.message()) else { continue };
                // Whoever writes a line says when it was written; the service says when it came.
                if let Some(ms) = it.ingestion_time() {
                    self.note_record(Timestamp(ms * 1_000));
                }
                let (id, stream) = (it.event_id(), it.log_stream_name().unwrap_or_default());
                self.log_event(group, &LogEvent { id, stream, at: Timestamp(at * 1_000), message })?;
            }
            // A page may be empty and not the last.
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                self.note_readable(group, true);
                return Ok(true);
            }
        }
    }

    /// Where logs cannot be read, histories are not left to them.
    fn note_readable(&self, group: &Group, is_readable: bool) {
        if let Reason::Machines(machines) = &group.reason {
            for arn in machines {
                self.with_machine(arn, |it| it.is_log_unread = !is_readable);
            }
        }
    }

    /// Sends what one event of a group says, if it is of a machine that is wanted.
    pub(super) fn log_event(&self, group: &Group, it: &LogEvent<'_>) -> Result<(), Stopped> {
        if it.id.is_some_and(|id| !group.is_new(id, it.at)) {
            return Ok(());
        }
        let read = message(it.message, Some(it.at), &self.options.privacy, &mut self.names.borrow_mut());
        match (read, &group.reason) {
            (Message::Event(arn, event), Reason::Machines(wanted)) => {
                if machine_of(&arn).is_some_and(|it| wanted.contains(&it)) {
                    self.event(&arn, event)?;
                }
                let mut newest = group.newest.borrow_mut();
                *newest = (*newest).max(Some(it.at));
                Ok(())
            }
            (Message::Report(report), Reason::Function) => self.observe(Observation::LambdaReport(Box::new(report))),
            (Message::Damaged(reason), _) => {
                let source = format!("{}:{}", group.name(), it.stream).into();
                self.observe(Observation::Quarantined { source, line: None, reason })
            }
            _ => Ok(()),
        }
    }
}

/// A span in slices, the newest first: an hour, then ever longer ones.
fn slices(span: Span) -> Vec<Span> {
    let mut slices = Vec::new();
    let (mut to, mut length) = (span.to, HOUR_US);
    while to > span.from {
        let from = (to - Micros(length)).max(span.from);
        slices.push(Span { from, to });
        (to, length) = (from, length.saturating_mul(2));
    }
    slices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_span_takes_few_slices_and_loses_nothing() {
        let span = Span { from: Timestamp(0), to: Timestamp(365 * DAY_US) };
        let slices = slices(span);
        assert!(slices.len() < 16, "{}", slices.len());
        assert_eq!(slices.first().map(|it| it.to), Some(span.to));
        assert_eq!(slices.last().map(|it| it.from), Some(span.from));
        assert!(slices.windows(2).all(|pair| pair[0].from == pair[1].to));
    }
}
