//! All targets side by side, once or until somebody says stop. One that fails does not stop the others.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use analyzer::model::{Micros, Name, Observed, Timestamp, WorkflowType};
use analyzer::spans::Span;
use futures_util::FutureExt;
use futures_util::future::{Either, join_all, select, try_join, try_join_all, try_join3};
use tokio::time::{Instant, sleep};

use super::budget::Priority;
use super::clock::{Moment, wall};
use super::history::End;
use super::logs::Group;
use super::objects::Objects;
use super::outbox::Outbox;
use super::walk::{Accounts, Walk};
use super::{CollectError, Known, LiveOptions, LiveReport, LiveTarget, TargetReport, executions, live_tail, logs};
use crate::import::Stopped;

/// How often whoever follows is told how it goes, and whether it should stop is asked.
const TELL: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(50);
/// Log groups are read at most this often when following, and with Live Tail beside it.
const LOGS_EVERY: Duration = Duration::from_millis(400);
const LOGS_BESIDE_TAIL: Duration = Duration::from_secs(30);
/// What is read again of a log group each time, and how often the whole overlap is.
const SHORT_OVERLAP: Micros = Micros(10_000_000);
const WHOLE_OVERLAP_EVERY: Duration = Duration::from_secs(300);
const WHOLE_OVERLAP_US: Micros = Micros(300_000_000);
/// The past that could not be read is tried again after this, then ever later.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);
/// Denied calls and gaps are told anew after this: what was missing may have come.
const FORGIVE: Duration = Duration::from_secs(300);
/// What is known of finished executions is forgotten after this: no overlap shows them any more.
const FORGET: Duration = Duration::from_secs(3_600);

type Send<'a> = &'a mut dyn FnMut(Observed) -> Result<(), Stopped>;

/// Collects once from every target, telling about once a second how it goes.
pub fn collect(
    targets: &[LiveTarget],
    options: &LiveOptions,
    known: &Known,
    send: Send<'_>,
    tell: &mut dyn FnMut(LiveReport),
) -> Result<LiveReport, CollectError> {
    runtime()?.block_on(async {
        let (outbox, accounts) = (Outbox::new(send), Accounts::default());
        let walks = walks(targets, options, known, &outbox, &accounts).await;
        let objects = objects(targets, options, known, &outbox).await;
        let reading =
            try_join(try_join_all(walks.iter().map(once)), try_join_all(objects.iter().map(Objects::read_all)));
        let telling = tell_often(|| tell(report(&walks, &objects)));
        if let Either::Left((read, _)) = select(reading.boxed_local(), telling.boxed_local()).await {
            read.map_err(|Stopped| CollectError::Stopped)?;
        }
        outbox.flush().map_err(|Stopped| CollectError::Stopped)?;
        Ok(report(&walks, &objects))
    })
}

/// Tells how it goes until it is dropped.
async fn tell_often(mut tell: impl FnMut()) {
    loop {
        sleep(TELL).await;
        tell();
    }
}

/// Collects from every target until `stop` says so, telling about once a second how it goes.
pub fn follow(
    targets: &[LiveTarget],
    options: &LiveOptions,
    known: &Known,
    send: Send<'_>,
    stop: &dyn Fn() -> bool,
    tell: &mut dyn FnMut(LiveReport),
) -> Result<LiveReport, CollectError> {
    runtime()?.block_on(async {
        let (outbox, accounts) = (Outbox::new(send), Accounts::default());
        let walks = walks(targets, options, known, &outbox, &accounts).await;
        let objects = objects(targets, options, known, &outbox).await;
        let following = try_join3(
            try_join_all(walks.iter().map(|it| forever(it, &outbox))),
            try_join_all(objects.iter().map(Objects::follow)),
            flush_often(&outbox),
        );
        let watching = async {
            let mut told = Instant::now();
            while !stop() {
                sleep(LOOK).await;
                if told.elapsed() >= TELL {
                    told = Instant::now();
                    tell(report(&walks, &objects));
                }
            }
        };
        let ended = select(following.boxed_local(), watching.boxed_local()).await;
        if let Either::Left((Err(Stopped), _)) = &ended {
            return Err(CollectError::Stopped);
        }
        drop(ended);
        outbox.flush().map_err(|Stopped| CollectError::Stopped)?;
        Ok(report(&walks, &objects))
    })
}

/// A machine of one of the targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundMachine {
    /// Which of the targets.
    pub target: usize,
    pub arn: Name,
    pub log_group: Option<Name>,
}

/// The machines of all targets that can be found, in the order of their ARNs.
pub fn discover(targets: &[LiveTarget], options: &LiveOptions) -> Result<Vec<FoundMachine>, CollectError> {
    let known = Known::default();
    runtime()?.block_on(async {
        let mut nowhere = |_: Observed| Ok(());
        let (outbox, accounts) = (Outbox::new(&mut nowhere), Accounts::default());
        let walks = walks(targets, options, &known, &outbox, &accounts).await;
        for walk in &walks {
            walk.is_planning.set(true);
        }
        try_join_all(walks.iter().map(Walk::find_machines)).await.map_err(|Stopped| CollectError::Stopped)?;
        let mut found = Vec::new();
        for (target, walk) in walks.iter().enumerate() {
            for (arn, it) in walk.machines.borrow().iter().filter(|(_, it)| it.described.is_some()) {
                let log_group = it.settings.as_ref().and_then(|it| it.log_group_arn.clone());
                found.push(FoundMachine { target, arn: arn.clone(), log_group });
            }
        }
        found.sort_by(|one, other| one.arn.cmp(&other.arn));
        found.dedup_by(|one, other| one.arn == other.arn);
        Ok(found)
    })
}

/// What collecting would read, with how many calls, how long and for how much; nothing is read that would be stored.
pub fn plan(targets: &[LiveTarget], options: &LiveOptions, known: &Known) -> Result<LiveReport, CollectError> {
    runtime()?.block_on(async {
        let mut nowhere = |_: Observed| Ok(());
        let (outbox, accounts) = (Outbox::new(&mut nowhere), Accounts::default());
        let walks = walks(targets, options, known, &outbox, &accounts).await;
        try_join_all(walks.iter().map(Walk::make_plan)).await.map_err(|Stopped| CollectError::Stopped)?;
        Ok(report(&walks, &[]))
    })
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, CollectError> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().map_err(|error| CollectError::Runtime(error.to_string()))
}

async fn walks<'a>(
    targets: &'a [LiveTarget],
    options: &'a LiveOptions,
    known: &'a Known,
    outbox: &'a Outbox<'a>,
    accounts: &'a Accounts,
) -> Vec<Walk<'a>> {
    // Where only buckets are read, no account is asked for anything.
    let targets = targets.iter().filter(|_| options.sources.is_any());
    join_all(targets.map(|it| Walk::new(it, options, known, outbox, accounts))).await
}

/// Buckets are reached as the first account is.
async fn objects<'a>(
    targets: &'a [LiveTarget],
    options: &'a LiveOptions,
    known: &'a Known,
    outbox: &'a Outbox<'a>,
) -> Vec<Objects<'a>> {
    let target = targets.first().cloned().unwrap_or_default();
    join_all(options.buckets.iter().map(|it| Objects::new(it, &target, options, known, outbox))).await
}

fn report(walks: &[Walk<'_>], objects: &[Objects<'_>]) -> LiveReport {
    let objects = objects.iter().map(Objects::report).collect();
    let mut all = LiveReport { objects, ..LiveReport::default() };
    for walk in walks {
        all.targets.push(TargetReport { health: walk.caller.pulse.health(), ..walk.report.borrow().clone() });
        all.plan.extend(walk.plan.borrow().iter().cloned());
        all.usd += walk.usd.get();
        for (sums, counts) in [(&mut all.calls, &walk.caller.calls), (&mut all.throttled, &walk.caller.throttled)] {
            for (api, count) in counts.borrow().iter() {
                *sums.entry(api).or_default() += count;
            }
        }
    }
    all
}

// ---- once -----------------------------------------------------------------------------------------------------------

async fn once(walk: &Walk<'_>) -> Result<(), Stopped> {
    if !walk.find_machines().await? && !walk.options.sources.xray_of_callers {
        return Ok(());
    }
    walk.tell_unseen();
    let sources = walk.options.sources;
    let traces = async { if sources.xray { walk.traces(Priority::Fresh).await } else { Ok(()) } };
    let metrics = async { if sources.metrics { walk.metrics().await } else { Ok(()) } };
    let beside = try_join3(walk.labels(), traces, metrics);
    Box::pin(try_join(events(walk, Priority::Fresh), beside)).await?;
    walk.settle_marks()?;
    walk.report_clocks();
    walk.tell_use()
}

/// Events of every machine: from logs first, which tell many executions in one call; then what is missing, from histories.
async fn events(walk: &Walk<'_>, priority: Priority) -> Result<(), Stopped> {
    let groups = walk.groups();
    try_join_all(groups.iter().map(|it| walk.read_group(it, priority))).await?;
    if !walk.options.sources.history {
        return Ok(());
    }
    let machines = walk.machine_arns(WorkflowType::Standard);
    let of_machine = async |arn: &Name| {
        let to = walk.horizon(&walk.clock.moment());
        let missing = walk.missing(executions::SOURCE, arn, Micros(executions::OVERLAP_US), to);
        if let Some(first) = missing.first() {
            walk.executions(arn, first.from, priority).await?;
        }
        if priority == Priority::Fresh { walk.follow_running(arn).await } else { Ok(()) }
    };
    try_join_all(machines.iter().map(of_machine)).await.map(|_| ())
}

// ---- following ------------------------------------------------------------------------------------------------------

async fn forever(walk: &Walk<'_>, outbox: &Outbox<'_>) -> Result<(), Stopped> {
    walk.follows.set(true);
    while !walk.find_machines().await? {
        walk.tell_use()?;
        let pause = walk.options.interval.max(Duration::from_secs(5));
        walk.caller.pulse.tries_again(wall(), pause);
        sleep(pause).await;
    }
    walk.report.borrow_mut().ok = true;
    walk.tell_unseen();
    let begun = walk.clock.moment();
    let heads = try_join(follow_executions(walk, begun), follow_logs(walk));
    let sides = try_join3(follow_sides(walk), follow_labels(walk), flush_often(outbox));
    Box::pin(try_join3(heads, sides, backfill(walk, begun))).await.map(|_| ())
}

/// Fills the past while everything else goes on, again and again until nothing of it is missing.
async fn backfill(walk: &Walk<'_>, begun: Moment) -> Result<(), Stopped> {
    let mut pause = FIRST_PAUSE;
    loop {
        events(walk, Priority::Backfill).await?;
        if !lacks_past(walk, begun) {
            break;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    tracing::info!("the past has been read");
    walk.is_caught_up.set(true);
    Ok(())
}

/// Whether something from before following began can still be read.
fn lacks_past(walk: &Walk<'_>, begun: Moment) -> bool {
    let begun = walk.present(&begun);
    let machines = walk.machine_arns(WorkflowType::Standard);
    let mut of_machines = machines.iter().filter(|_| walk.options.sources.history);
    let lacks = |source, subject: &Name| walk.lacks_before(source, subject, begun);
    of_machines.any(|it| lacks(executions::SOURCE, it))
        || walk.groups().iter().any(|it| it.subjects().iter().any(|it| lacks(logs::SOURCE, it)))
}

/// What has been read does not wait for a batch to be full.
async fn flush_often(outbox: &Outbox<'_>) -> Result<(), Stopped> {
    loop {
        sleep(LOOK).await;
        outbox.flush()?;
    }
}

/// Lists what is new and looks at what runs: each machine by itself, so that none waits for another's.
async fn follow_executions(walk: &Walk<'_>, begun: Moment) -> Result<(), Stopped> {
    let reached: RefCell<BTreeMap<Name, Timestamp>> = RefCell::default();
    loop {
        let machines =
            if walk.options.sources.history { walk.machine_arns(WorkflowType::Standard) } else { Vec::new() };
        let following = machines.iter().map(|it| follow_machine(walk, it, begun, &reached));
        let following = async {
            try_join_all(following).await?;
            std::future::pending::<Result<(), Stopped>>().await
        };
        let changing = async {
            while walk.machine_arns(WorkflowType::Standard) == machines || !walk.options.sources.history {
                sleep(Duration::from_secs(5)).await;
            }
        };
        if let Either::Left((result, _)) = select(following.boxed_local(), changing.boxed_local()).await {
            return result;
        }
    }
}

async fn follow_machine(
    walk: &Walk<'_>,
    arn: &Name,
    begun: Moment,
    reached: &RefCell<BTreeMap<Name, Timestamp>>,
) -> Result<(), Stopped> {
    loop {
        let round = Instant::now();
        let now = walk.clock.moment();
        let from = reached.borrow().get(arn).copied().unwrap_or_else(|| walk.present(&begun));
        let from = from - Micros(executions::OVERLAP_US);
        let end = walk.executions(arn, from, Priority::Fresh).await?;
        walk.follow_running(arn).await?;
        // What failed is listed again; what is not permitted would be for ever.
        if let Some(certain) = walk.certain(&now).filter(|_| end < End::Unread) {
            reached.borrow_mut().insert(arn.clone(), certain);
        }
        let next = walk.options.interval.saturating_sub(round.elapsed());
        sleep(next.max(Duration::from_millis(100))).await;
    }
}

/// Reads log groups as often as their budget allows, and by Live Tail where that is wanted.
async fn follow_logs(walk: &Walk<'_>) -> Result<(), Stopped> {
    loop {
        let groups: Vec<Group> = walk.groups().into_iter().map(Group::followed).collect();
        let tails: Vec<&Group> = groups.iter().filter(|it| matches!(it.reason, logs::Reason::Machines(_))).collect();
        let sessions = tails.chunks(live_tail::GROUPS).filter(|_| walk.options.live_tail);
        let tailing = try_join_all(sessions.map(|it| walk.tail_groups(it)));
        let reading = try_join_all(groups.iter().map(|it| follow_group(walk, it, groups.len())));
        let again = try_join_all(groups.iter().map(|it| read_overlap_again(walk, it)));
        let reading = try_join(reading, again);
        // Machines and their settings change: groups are looked for anew after a while.
        let changing = groups_change(walk, &groups);
        let ended = select(try_join(tailing, reading).boxed_local(), changing.boxed_local()).await;
        if let Either::Left((result, changing)) = ended {
            result?;
            changing.await;
        }
    }
}

async fn groups_change(walk: &Walk<'_>, groups: &[Group]) {
    let names = |groups: &[Group]| groups.iter().map(|it| (it.arn.clone(), it.reason.clone())).collect::<Vec<_>>();
    let before = names(groups);
    loop {
        sleep(Duration::from_secs(5)).await;
        if names(&walk.groups()) != before {
            return;
        }
    }
}

async fn follow_group(walk: &Walk<'_>, group: &Group, n_groups: usize) -> Result<(), Stopped> {
    let allowance = walk.caller.budget.borrow().allowance("FilterLogEvents");
    #[expect(clippy::cast_precision_loss, reason = "few")]
    let fair = allowance.map_or(0.0, |it| 1.5 * n_groups as f64 / it.per_second);
    let every = LOGS_EVERY.max(Duration::from_secs_f64(fair));
    let every = if walk.options.live_tail { every.max(LOGS_BESIDE_TAIL) } else { every };
    let begun = walk.present(&walk.clock.moment());
    let mut from = begun - walk.options.overlap;
    let mut marked = begun;
    loop {
        let moment = walk.clock.moment();
        let to = walk.horizon(&moment);
        if walk.read_slice(group, Span { from, to }, Priority::Fresh).await?
            && let Some(certain) = walk.certain(&moment)
        {
            let certain = certain.min(to);
            let newest = group.newest().unwrap_or(begun);
            // A mark each time would write more than what is read.
            if newest > marked || (certain - marked).0 > 30_000_000 {
                walk.mark_group(group, Span { from: begun.min(from), to }, &moment)?;
                marked = certain;
            }
            from = certain - SHORT_OVERLAP;
        }
        sleep(every).await;
    }
}

/// Reads the last while of a group again from time to time, for events that come late; what is new does not wait for it.
async fn read_overlap_again(walk: &Walk<'_>, group: &Group) -> Result<(), Stopped> {
    loop {
        sleep(WHOLE_OVERLAP_EVERY).await;
        let now = walk.present(&walk.clock.moment());
        let from = now - walk.options.overlap - WHOLE_OVERLAP_US;
        walk.read_slice(group, Span { from, to: now - SHORT_OVERLAP }, Priority::Backfill).await?;
        group.forget_before(from - walk.options.overlap);
    }
}

/// Tags, versions and aliases, whose APIs are slow.
async fn follow_labels(walk: &Walk<'_>) -> Result<(), Stopped> {
    loop {
        walk.labels().await?;
        sleep(Duration::from_secs(10)).await;
    }
}

/// Machines, traces and metrics, and the state of the collector itself.
async fn follow_sides(walk: &Walk<'_>) -> Result<(), Stopped> {
    let sources = walk.options.sources;
    let mut forgiven = Instant::now();
    loop {
        walk.tell_use()?;
        walk.settle_marks()?;
        walk.report_clocks();
        if sources.metrics {
            walk.metrics().await?;
        }
        if sources.xray {
            walk.traces(Priority::Fresh).await?;
        }
        let pause = walk.options.interval.max(Duration::from_secs(1));
        walk.caller.pulse.tries_again(wall(), pause);
        sleep(pause).await;
        if forgiven.elapsed() >= FORGIVE {
            forgiven = Instant::now();
            let mut report = walk.report.borrow_mut();
            report.denied.clear();
            report.gaps.clear();
            drop(report);
            walk.tell_unseen();
        }
        if walk.is_caught_up.get() {
            walk.progress.borrow_mut().forget_finished(FORGET);
        }
        let is_ok = walk.find_machines().await?;
        walk.report.borrow_mut().ok = is_ok;
    }
}
