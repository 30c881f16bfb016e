//! One account and region: what everyone who reads from it shares.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use analyzer::model::{
    ApiUse, Collected, Event, Gap, Interner, MachineSettings, Micros, Name, Observation, Timestamp, Usd, WorkflowType,
};
use analyzer::spans::{Span, Spans};
use analyzer::time::format;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::time::Instant;

use super::budget::{Budget, Priority};
use super::call::{Caller, Refused, Trouble};
use super::call_prices::times;
use super::clock::{AGREE_US, Agreement, Moment, RecordClock, ServiceClock};
use super::connection::Clients;
use super::machines::machine_of;
use super::outbox::Outbox;
use super::progress::Progress;
use super::{
    Ahead, ClockDifference, Denied, GapKind, Known, LiveOptions, LiveTarget, Planned, TargetGap, TargetReport,
};
use crate::import::Stopped;

const INTERNED: usize = 50_000;
/// Gaps that a report names.
const GAPS: usize = 1_000;
/// Both clocks may be behind a record by this.
const BELIEVED: Micros = Micros(86_400_000_000);
/// Claims of a subject that are kept while clocks differ.
const CLAIMS: usize = 16;
/// Credentials are looked for anew at most this often.
const RECONNECT: std::time::Duration = std::time::Duration::from_secs(10);

/// What is known of a state machine between two looks at it.
#[derive(Debug, Default)]
pub(super) struct Machine {
    pub(super) is_express: bool,
    pub(super) settings: Option<MachineSettings>,
    /// Whether its definition has a Distributed Map; `None` while the definition is not known.
    pub(super) has_map_runs: Option<bool>,
    /// Names of the Lambda functions that its definition calls.
    pub(super) functions: Vec<Name>,
    pub(super) described: Option<Instant>,
    pub(super) tagged: Option<Instant>,
    /// Executions that have not ended.
    pub(super) running: BTreeMap<Name, Running>,
    /// Histories were refused: they are not asked for again in this round.
    pub(super) is_unreadable: bool,
    /// Its log group could not be read the last time.
    pub(super) is_log_unread: bool,
}

impl Machine {
    /// Whether its logs tell everything, a little later.
    pub(super) fn logs_everything(&self) -> bool {
        !self.is_log_unread
            && self.settings.as_ref().is_some_and(|it| &*it.log_level == "ALL" && it.log_group_arn.is_some())
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Running {
    pub(super) started_at: Option<Timestamp>,
    pub(super) looked: Option<Instant>,
}

/// What all targets of an account share.
#[derive(Default)]
pub(super) struct Accounts {
    /// Allowances, by account and region.
    budgets: RefCell<BTreeMap<(String, String), Rc<Budget>>>,
    /// What records prove about the time, by account.
    records: RefCell<BTreeMap<String, Rc<RecordClock>>>,
}

/// What of a subject has been read.
#[derive(Clone, Debug, Default)]
struct Covered {
    wanted_from: Timestamp,
    /// What has been read, as far as this run can tell.
    read: Spans,
    /// What is stored as read: it does not reach beyond what holds whichever clock is wrong.
    stored: Spans,
    /// What was read at a moment, where it is not certain yet how far that reached.
    claims: Vec<(Span, Moment)>,
    source: &'static str,
    is_checked: bool,
    /// A mark was taken back, which is to be stored.
    is_cut: bool,
}

/// One account and region, with everything that reading it needs.
pub(super) struct Walk<'a> {
    pub(super) target: &'a LiveTarget,
    pub(super) options: &'a LiveOptions,
    clients: RefCell<Clients>,
    reconnected: Cell<Option<Instant>>,
    reconnecting: tokio::sync::Mutex<()>,
    pub(super) clock: ServiceClock,
    pub(super) caller: Caller,
    outbox: &'a Outbox<'a>,
    pub(super) names: RefCell<Interner>,
    pub(super) progress: RefCell<Progress>,
    pub(super) machines: RefCell<BTreeMap<Name, Machine>>,
    pub(super) definitions: RefCell<FxHashSet<u64>>,
    collected: RefCell<FxHashMap<(String, String), Covered>>,
    /// What the records of the account prove about the time.
    records: RefCell<Rc<RecordClock>>,
    /// The newest stored record of each account.
    stored_newest: &'a FxHashMap<String, Timestamp>,
    pub(super) mean_events: &'a FxHashMap<Name, u64>,
    pub(super) traces: RefCell<FxHashSet<String>>,
    /// When traces were listed last, and up to when each machine's metrics were read.
    pub(super) traces_read: Cell<Option<Moment>>,
    pub(super) metrics_read: RefCell<FxHashMap<Name, Timestamp>>,
    /// The service cannot list the traces of Step Functions alone.
    pub(super) lists_all_traces: Cell<bool>,
    /// The newest event that was read.
    newest: Cell<Option<Timestamp>>,
    /// Executions whose Map Runs were read to the end.
    pub(super) map_runs_read: RefCell<FxHashSet<u64>>,
    pub(super) report: RefCell<TargetReport>,
    pub(super) plan: RefCell<Vec<Planned>>,
    pub(super) usd: Cell<Usd>,
    pub(super) is_planning: Cell<bool>,
    /// Reading goes on until somebody says stop.
    pub(super) follows: Cell<bool>,
    /// The past has been read.
    pub(super) is_caught_up: Cell<bool>,
    accounts: &'a Accounts,
}

impl Covered {
    /// What is to be stored.
    fn marks(&self, subject: Name) -> Collected {
        Collected { source: self.source, subject, wanted_from: self.wanted_from, spans: self.stored.clone() }
    }

    fn of((wanted_from, spans): &(Timestamp, Spans)) -> Self {
        Self { wanted_from: *wanted_from, read: spans.clone(), stored: spans.clone(), ..Self::default() }
    }
}

/// A difference between clocks, for people.
fn span(it: Micros) -> String {
    let seconds = (it.0.abs() + 500_000) / 1_000_000;
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, s) => format!("{m} min {s} s"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (d, h, ..) => format!("{d} d {h} h"),
    }
}

impl<'a> Walk<'a> {
    pub(super) async fn new(
        target: &'a LiveTarget,
        options: &'a LiveOptions,
        known: &'a Known,
        outbox: &'a Outbox<'a>,
        accounts: &'a Accounts,
    ) -> Self {
        let clock = ServiceClock::shifted(options.clock_shift);
        let clients = Clients::connect(target, &clock).await;
        let region = clients.region();
        let budget = Rc::new(Budget::new(options.quotas.clone(), region.clone(), options.share));
        let mut machines: BTreeMap<Name, Machine> = BTreeMap::new();
        for it in &known.running {
            let running = Running { started_at: it.started_at, looked: None };
            // Children of a Map Run belong to the machine of its execution.
            let machine = machine_of(&it.execution_arn).unwrap_or_else(|| it.machine_arn.clone());
            machines.entry(machine).or_default().running.insert(it.execution_arn.clone(), running);
        }
        Self {
            target,
            options,
            clients: RefCell::new(clients),
            reconnected: Cell::new(None),
            reconnecting: tokio::sync::Mutex::new(()),
            caller: Caller::new(budget, options.seed),
            clock,
            outbox,
            names: RefCell::new(Interner::with_capacity(INTERNED)),
            progress: RefCell::new(Progress::new(&known.executions)),
            machines: RefCell::new(machines),
            definitions: RefCell::new(known.definitions.clone()),
            collected: RefCell::new(known.collected.iter().map(|(key, it)| (key.clone(), Covered::of(it))).collect()),
            records: RefCell::default(),
            stored_newest: &known.newest,
            mean_events: &known.mean_events,
            traces: RefCell::default(),
            traces_read: Cell::new(None),
            metrics_read: RefCell::default(),
            lists_all_traces: Cell::new(false),
            newest: Cell::new(None),
            map_runs_read: RefCell::default(),
            report: RefCell::new(TargetReport { region, ok: true, ..TargetReport::default() }),
            plan: RefCell::default(),
            usd: Cell::new(Usd::ZERO),
            is_planning: Cell::new(false),
            follows: Cell::new(false),
            is_caught_up: Cell::new(false),
            accounts,
        }
    }

    // ---- calls -------------------------------------------------------------------------------------------------------

    pub(super) fn sfn(&self) -> aws_sdk_sfn::Client {
        self.clients.borrow().sfn.clone()
    }

    pub(super) fn logs(&self) -> aws_sdk_cloudwatchlogs::Client {
        self.clients.borrow().logs.clone()
    }

    pub(super) fn tail(&self) -> aws_sdk_cloudwatchlogs::Client {
        self.clients.borrow().tail.clone()
    }

    pub(super) fn xray(&self) -> aws_sdk_xray::Client {
        self.clients.borrow().xray.clone()
    }

    pub(super) fn cloudwatch(&self) -> aws_sdk_cloudwatch::Client {
        self.clients.borrow().metrics.clone()
    }

    pub(super) fn sts(&self) -> aws_sdk_sts::Client {
        self.clients.borrow().sts.clone()
    }

    /// Makes a call; when the credentials have expired, once more with those that can be found now; when the signature has the
    /// wrong time, once more with the service's.
    pub(super) async fn call<T, E, F>(
        &self,
        api: &'static str,
        priority: Priority,
        request: impl Fn() -> F,
    ) -> Result<T, Refused>
    where
        E: ProvideErrorMetadata,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let answer = self.caller.call(api, priority, &request).await;
        match answer {
            Err(refused) if refused.trouble == Trouble::Clock && self.clock.sign_with_service() => {
                self.caller.call(api, priority, &request).await
            }
            Err(refused) if refused.trouble == Trouble::Credentials && self.reconnect().await => {
                self.caller.call(api, priority, &request).await
            }
            answer => answer,
        }
    }

    async fn reconnect(&self) -> bool {
        let _turn = self.reconnecting.lock().await;
        // Another call may just have done it; what it found may do for this one.
        if self.reconnected.get().is_none_or(|it| it.elapsed() >= RECONNECT) {
            let clients = Clients::connect(self.target, &self.clock).await;
            self.clients.replace(clients);
            self.reconnected.set(Some(Instant::now()));
        }
        true
    }

    /// From now on the account is known, and its budget is shared with whoever else reads it.
    pub(super) fn settle_account(&self, machine_arn: &str) {
        let mut parts = machine_arn.split(':').skip(3);
        let (Some(region), Some(account)) = (parts.next(), parts.next()) else { return };
        let mut report = self.report.borrow_mut();
        if report.account.is_some() {
            return;
        }
        report.account = Some(account.to_owned());
        let own = self.caller.budget.borrow().clone();
        let mut budgets = self.accounts.budgets.borrow_mut();
        self.caller.budget.replace(budgets.entry((account.to_owned(), region.to_owned())).or_insert(own).clone());
        let shared = self.accounts.records.borrow_mut().entry(account.to_owned()).or_default().clone();
        let latest = self.clock.later(&self.clock.moment()) + Micros(AGREE_US);
        if let Some(stored) = self.stored_newest.get(account).filter(|it| **it <= latest) {
            shared.note_stored(*stored);
        }
        self.records.replace(shared);
    }

    // ---- what is found -----------------------------------------------------------------------------------------------

    pub(super) fn observe(&self, observation: Observation) -> Result<(), Stopped> {
        self.outbox.observe(observation)
    }

    pub(super) fn flush(&self) -> Result<(), Stopped> {
        self.outbox.flush()
    }

    /// Sends an event, and takes note of it. One that was seen before goes, too: another source may tell more of it.
    pub(super) fn event(&self, execution_arn: &Name, event: Event) -> Result<(), Stopped> {
        self.note_record(event.at);
        let is_first = self.progress.borrow_mut().is_first_sight(execution_arn);
        self.report.borrow_mut().executions += u64::from(is_first);
        if self.progress.borrow_mut().note(execution_arn, event.id, &event.kind) {
            self.report.borrow_mut().events += 1;
            if self.newest.get().is_none_or(|it| it < event.at) {
                self.newest.set(Some(event.at));
                let age = self.clock.now() - event.at;
                self.report.borrow_mut().lag_ms = u64::try_from(age.0 / 1_000).ok();
            }
        }
        self.observe(Observation::Event { execution_arn: execution_arn.clone(), event })
    }

    pub(super) fn refuse(&self, lost: &str, refused: &Refused) {
        if matches!(refused.trouble, Trouble::Denied | Trouble::Encrypted) {
            let denied = Denied { permission: refused.permission(), lost: lost.to_owned() };
            let mut report = self.report.borrow_mut();
            if !report.denied.contains(&denied) {
                tracing::warn!(permission = denied.permission, lost, "denied");
                report.denied.push(denied);
            }
        } else {
            self.gap(GapKind::NotCollected, format!("{lost}: {refused}"));
        }
    }

    /// Says what is missing, once.
    pub(super) fn gap(&self, kind: GapKind, text: String) {
        let mut report = self.report.borrow_mut();
        if report.gaps.len() < GAPS && !report.gaps.iter().any(|it| it.kind == kind && it.text == text) {
            tracing::warn!(gap = text, "something is missing");
            report.gaps.push(TargetGap::new(kind, text));
        }
    }

    /// Keeps in the database what is lost for good.
    pub(super) fn lose(&self, gap: Gap) -> Result<(), Stopped> {
        self.gap(GapKind::Lost, format!("`{}`: {}", gap.subject, gap.reason));
        self.observe(Observation::Gap(Box::new(gap)))
    }

    // ---- what time it is -----------------------------------------------------------------------------------------------

    /// Takes note of an instant that the service wrote. One that lies far beyond both clocks is not believed.
    pub(super) fn note_record(&self, at: Timestamp) {
        let records = self.records.borrow();
        if records.is_news(at) && at <= self.clock.later(&self.clock.moment()) + BELIEVED {
            records.note(at);
        }
    }

    /// The present of the service is not later than this: up to here is read.
    pub(super) fn horizon(&self, moment: &Moment) -> Timestamp {
        let later = self.clock.later(moment);
        self.records.borrow().certain(moment).map_or(later, |it| it.max(later))
    }

    /// Up to when what was asked for at a moment has certainly been shown; `None` while that is not known.
    pub(super) fn certain(&self, moment: &Moment) -> Option<Timestamp> {
        let earlier = self.clock.earlier(moment);
        match self.clock.agreement() {
            Agreement::Agree => Some(earlier),
            _ => self.records.borrow().certain(moment).max(self.storable(moment)),
        }
    }

    /// The same, or a guess where it is not known.
    pub(super) fn present(&self, moment: &Moment) -> Timestamp {
        self.certain(moment).unwrap_or_else(|| self.clock.earlier(moment))
    }

    /// Up to when it may be stored: never beyond the earlier clock, nor, where clocks differ, beyond the newest record.
    fn storable(&self, moment: &Moment) -> Option<Timestamp> {
        let earlier = self.clock.earlier(moment);
        match self.clock.agreement() {
            Agreement::Agree => Some(earlier),
            _ => self.records.borrow().reached(moment).map(|it| it.min(earlier)),
        }
    }

    /// Says whether the clocks differ, by how much, and what follows.
    pub(super) fn report_clocks(&self) {
        let is_of_clocks = |it: &TargetGap| matches!(it.kind, GapKind::ClockDiffers | GapKind::ClockUnknown);
        let follows = self.records.borrow().newest().map_or_else(
            || "nothing is marked as read, and the next run reads it again".to_owned(),
            |it| format!("what is newer than the newest record ({}) is read again by the next run", format(it)),
        );
        let differs = |ahead, difference: Micros, what: &str| TargetGap {
            clocks: Some(ClockDifference { ahead, difference_ms: difference.0.abs() / 1_000 }),
            ..TargetGap::new(GapKind::ClockDiffers, format!("{what}; {follows}"))
        };
        let gap = match self.clock.agreement() {
            Agreement::Agree => None,
            Agreement::Differ(it) if it.0 > 0 => {
                let what = format!("the service's clock is {} ahead of the clock here", span(it));
                Some(differs(Ahead::Service, it, &what))
            }
            Agreement::Differ(it) => {
                let what = format!("the clock here is {} ahead of the service's", span(it));
                Some(differs(Ahead::Local, it, &what))
            }
            Agreement::Jumps(it) => {
                let what = format!("the service's clock jumps by up to {} between its answers", span(it));
                Some(differs(Ahead::Unclear, it, &what))
            }
            Agreement::Unknown if self.caller.pulse.health().answered_at.is_none() => None,
            Agreement::Unknown => {
                let text = format!("the service does not state the time; {follows}");
                Some(TargetGap::new(GapKind::ClockUnknown, text))
            }
        };
        let mut report = self.report.borrow_mut();
        if let Some(gap) = &gap
            && !report.gaps.iter().any(is_of_clocks)
        {
            tracing::warn!(gap = gap.text, "clocks differ");
        }
        report.gaps.retain(|it| !is_of_clocks(it));
        report.gaps.splice(0..0, gap);
    }

    // ---- what has been read ------------------------------------------------------------------------------------------

    /// How far back a source is to be read, and what of that has been: as said, else as it once was said, else a while.
    pub(super) fn collected(&self, source: &'static str, subject: &str) -> (Timestamp, Spans) {
        let default = || self.options.since.unwrap_or_else(|| self.clock.now() - self.options.backfill);
        let mut collected = self.collected.borrow_mut();
        let known = collected
            .entry((source.to_owned(), subject.to_owned()))
            .or_insert_with(|| Covered { wanted_from: default(), ..Covered::default() });
        known.source = source;
        if !std::mem::replace(&mut known.is_checked, true) {
            self.cut_off_future(known);
        }
        if let Some(since) = self.options.since {
            known.wanted_from = known.wanted_from.min(since);
        }
        (self.options.since.unwrap_or(known.wanted_from), known.read.clone())
    }

    /// A mark that lies in the future was made by a wrong clock: what was read when it was made is not known.
    fn cut_off_future(&self, known: &mut Covered) {
        let latest = self.clock.later(&self.clock.moment()) + Micros(AGREE_US);
        if known.read.end().is_none_or(|it| it <= latest) {
            return;
        }
        let newest = self.records.borrow().newest().filter(|it| *it <= latest);
        tracing::warn!("marks in the future are cut off: they were made by a wrong clock");
        known.read = newest.map(|it| known.read.until(it)).unwrap_or_default();
        known.stored = known.read.clone();
        known.is_cut = true;
    }

    /// What of a source is missing up to an instant, in ascending order. What was read last is read again from `overlap`
    /// before.
    pub(super) fn missing(&self, source: &'static str, subject: &str, overlap: Micros, to: Timestamp) -> Vec<Span> {
        let (from, spans) = self.collected(source, subject);
        let mut missing = spans.missing(Span { from, to });
        for hole in &mut missing {
            // What came late just before a mark is behind it.
            if spans.as_slice().iter().any(|it| it.to == hole.from) {
                hole.from = (hole.from - overlap).max(from.min(hole.from));
            }
        }
        missing
    }

    /// Everything of a span that was there at a moment has been sent: the mark is stored together with it.
    pub(super) fn mark(
        &self,
        source: &'static str,
        subject: &Name,
        span: Span,
        moment: &Moment,
    ) -> Result<(), Stopped> {
        self.collected(source, subject);
        let marked = {
            let mut collected = self.collected.borrow_mut();
            let known = collected.entry((source.to_owned(), subject.to_string())).or_default();
            known.claims.push((span, *moment));
            self.settle(known);
            known.is_cut = false;
            known.marks(subject.clone())
        };
        if marked.spans.as_slice().is_empty() {
            return Ok(());
        }
        self.observe(Observation::Collected(Box::new(marked)))
    }

    /// Records that came since may show that what was read before reached further than was certain then.
    pub(super) fn settle_marks(&self) -> Result<(), Stopped> {
        let settled: Vec<Collected> = {
            let mut collected = self.collected.borrow_mut();
            let claimed = collected.iter_mut().filter(|(_, it)| it.is_cut || !it.claims.is_empty());
            claimed
                .filter_map(|((_, subject), known)| {
                    let before = known.stored.clone();
                    self.settle(known);
                    let is_news = std::mem::take(&mut known.is_cut) || known.stored != before;
                    is_news.then(|| known.marks(subject.as_str().into()))
                })
                .collect()
        };
        settled.into_iter().try_for_each(|it| self.observe(Observation::Collected(Box::new(it))))
    }

    /// Turns what is claimed into what is read and what may be stored.
    fn settle(&self, known: &mut Covered) {
        let is_final = self.clock.agreement() == Agreement::Agree;
        for (span, moment) in &known.claims {
            if let Some(certain) = self.certain(moment) {
                known.read.add(Span { to: span.to.min(certain), ..*span });
            }
        }
        let storable = known.claims.iter().filter_map(|it| self.storable(&it.1)).max();
        for it in storable.map(|it| known.read.until(it)).unwrap_or_default().as_slice() {
            known.stored.add(*it);
        }
        known.claims.retain(|(span, moment)| !is_final && self.storable(moment).is_none_or(|it| it < span.to));
        // Newer claims cover what older ones do.
        known.claims.drain(..known.claims.len().saturating_sub(CLAIMS));
    }

    /// A span can never be read any more: that is recorded, and it is not asked for again.
    pub(super) fn lose_span(
        &self,
        source: &'static str,
        subject: &Name,
        span: Span,
        reason: &str,
    ) -> Result<(), Stopped> {
        let (_, spans) = self.collected(source, subject);
        for it in spans.missing(span) {
            let (from, to) = (Some(it.from), Some(it.to));
            self.lose(Gap { source, subject: subject.clone(), from, to, reason: reason.to_owned() })?;
            self.mark(source, subject, it, &self.clock.moment())?;
        }
        Ok(())
    }

    pub(super) fn is_wanted(&self, machine_arn: &str) -> bool {
        if self.target.only.as_ref().is_some_and(|it| !it.contains(machine_arn)) {
            return false;
        }
        let wanted = &self.target.machines;
        wanted.is_empty() || wanted.iter().any(|it| machine_arn.contains(it.as_str()))
    }

    /// Nothing is read then that would be stored.
    pub(super) fn is_planning(&self) -> bool {
        self.is_planning.get()
    }

    /// Whether anything from before an instant is still to be read of a subject.
    pub(super) fn lacks_before(&self, source: &'static str, subject: &str, at: Timestamp) -> bool {
        let (from, spans) = self.collected(source, subject);
        !spans.missing(Span { from, to: at }).is_empty()
    }

    /// Changes what is known of a machine.
    pub(super) fn with_machine<T>(&self, arn: &Name, change: impl FnOnce(&mut Machine) -> T) -> T {
        change(self.machines.borrow_mut().entry(arn.clone()).or_default())
    }

    pub(super) fn machine_arns(&self, workflow_type: WorkflowType) -> Vec<Name> {
        let is_express = workflow_type == WorkflowType::Express;
        let machines = self.machines.borrow();
        machines
            .iter()
            .filter(|(_, it)| it.described.is_some() && it.is_express == is_express)
            .map(|(arn, _)| arn.clone())
            .collect()
    }

    /// How the allowances are used, for the database.
    pub(super) fn tell_use(&self) -> Result<(), Stopped> {
        let report = self.report.borrow();
        let (Some(account), Some(region)) = (&report.account, &report.region) else { return Ok(()) };
        let (calls, throttled) = (self.caller.calls.borrow(), self.caller.throttled.borrow());
        let at = self.clock.now();
        let of = |(api, it): (&'static str, super::budget::Use)| ApiUse {
            account: account.as_str().into(),
            region: region.as_str().into(),
            api: api.into(),
            calls: calls.get(api).copied().unwrap_or(0),
            throttled: throttled.get(api).copied().unwrap_or(0),
            waited_us: i64::try_from(it.waited.as_micros()).unwrap_or(i64::MAX),
            waiting: it.waiting,
            tokens: it.tokens,
            bucket: it.bucket,
            per_second: it.per_second,
            at,
        };
        let uses = self.caller.budget.borrow().uses().into_iter().map(of).collect();
        self.outbox.observe(Observation::ApiUse(uses))
    }

    /// Notes what calls to a billed API cost.
    pub(super) fn spend(&self, price: Usd, count: u64) {
        self.usd.set(self.usd.get() + times(price, count));
    }
}
