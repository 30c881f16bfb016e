//! `collect --shard auto`: one of many collectors that write the same lake.
//!
//! ```text
//!   join ── discover machines ── claim slices ── collect them ──┬─ once: give them back as done, claim more
//!     ▲                                                         └─ follow: until slices come or go
//!     └── fenced: others have taken over, so begin anew from what is stored
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use collector::import::Stopped;
use collector::live::{FoundMachine, LiveOptions, LiveReport, LiveTarget, collect, discover, follow};
use queries::{Catalogue, Held, ImportStats, Lake, Membership, Role, Store};

use super::options::Resolved;
use super::{CollectArguments, Context, result};
use crate::Outcome;
use crate::failure::{EXIT_SET_ASIDE, Failure};
use crate::ingest::{Pace, interrupted, run_live};

const LEASE: Duration = Duration::from_secs(30);
/// Machines are looked for anew after this.
const DISCOVER_AFTER: Duration = Duration::from_secs(600);
/// Whoever collects once takes one part of so many at a time.
const PARTS: usize = 16;
/// How long one who has nothing to do waits for what others may leave.
const WAIT: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Sharding {
    /// Slices are taken while no other collector holds them, up to a fair share.
    Auto,
}

pub(super) fn run(context: &Context, arguments: &CollectArguments, resolved: Resolved) -> Outcome {
    if arguments.service.is_more_than_logging() {
        return Err(Failure::usage(
            "a collector that shares keeps no metrics, forgets nothing and stops by a signal alone",
        )
        .hint("leave out --retain, --metrics-file and --metrics-port; `prune` forgets"));
    }
    crate::logging::start(arguments.service.log_format(), false);
    let begun = Instant::now();
    let lake = lake(context)?;
    if resolved.options.sources.xray || resolved.options.sources.lambda_logs {
        tracing::info!(
            "traces and Lambda's logs belong to no slice: read them with one collector of --source xray,lambda-logs"
        );
    }
    let shard = Shard {
        context: context.clone(),
        lake,
        lease: arguments.lease.map_or(LEASE, Duration::from_secs),
        follows: arguments.follow,
        resolved,
        again: arguments.again,
    };
    let mut told = (LiveReport::default(), ImportStats::default());
    while !shard.work(&mut told)? {}
    result::report(&told.0, &told.1, begun.elapsed().as_millis()).print(context.output)?;
    Ok(if arguments.strict && super::is_lacking(&told.0, &told.1) { EXIT_SET_ASIDE } else { 0 })
}

fn lake(context: &Context) -> Result<Lake, Failure> {
    let path = context.config.db_path();
    Lake::of(&path).filter(Lake::is_shared).ok_or_else(|| {
        Failure::usage(format!("`{}` is no database that several can write", path.display()))
            .hint("use a lake whose catalogue is in PostgreSQL: --db ducklake:postgres:…")
    })
}

/// What one of the collectors knows.
struct Shard {
    context: Context,
    lake: Lake,
    lease: Duration,
    follows: bool,
    resolved: Resolved,
    again: bool,
}

/// Slices by name, with what each holds.
type Slices = Vec<(String, Slice)>;

#[derive(Clone, Debug)]
enum Slice {
    Machines(Vec<FoundMachine>),
    Bucket(String),
}

impl Shard {
    /// Joins and works until there is nothing left or somebody says stop; `false` when others have taken over meanwhile.
    fn work(&self, told: &mut (LiveReport, ImportStats)) -> Result<bool, Failure> {
        let membership = Membership::join(&self.lake, Role::Shard, self.lease)?;
        let membership = membership.ok_or_else(|| Failure::new("the catalogue cannot be written by several"))?;
        let is_lost = membership.is_lost();
        tracing::info!(collector = membership.id().0, "joined");
        let worked = if self.follows { self.follow(&membership, told) } else { self.once(&membership, told) };
        match worked {
            Ok(()) if interrupted().load(Ordering::Relaxed) || !is_lost.load(Ordering::Relaxed) => Ok(true),
            Err(failure) if failure.is_stale() => {
                tracing::warn!("somebody else wrote the same executions; beginning anew from what is stored");
                Ok(false)
            }
            Err(failure) if !is_lost.load(Ordering::Relaxed) && membership.is_current()? => Err(failure),
            _ => {
                tracing::warn!(
                    collector = membership.id().0,
                    "others have taken over; beginning anew from what is stored"
                );
                Ok(false)
            }
        }
    }

    fn once(&self, membership: &Membership, told: &mut (LiveReport, ImportStats)) -> Result<(), Failure> {
        let begun = membership.catalogue().now()?;
        let slices = self.slices()?;
        let names = names(&slices);
        while !interrupted().load(Ordering::Relaxed) && !membership.catalogue().are_done(&names, begun)? {
            // A few at a time: collectors that come later find some left.
            let most = u32::try_from(names.len().div_ceil(PARTS)).unwrap_or(u32::MAX);
            let held = membership.claim_undone(&names, begun, most)?;
            if membership.is_lost().load(Ordering::Relaxed) {
                return Ok(());
            }
            if held.slices.is_empty() {
                // Others are at work, and may not come to an end.
                thread::sleep(WAIT);
                continue;
            }
            self.session(membership, &slices, &held, &membership.is_lost(), told)?;
            membership.release(&held.slices, !interrupted().load(Ordering::Relaxed))?;
        }
        Ok(())
    }

    fn follow(&self, membership: &Membership, told: &mut (LiveReport, ImportStats)) -> Result<(), Failure> {
        while !interrupted().load(Ordering::Relaxed) {
            let slices = self.slices()?;
            let names = names(&slices);
            let mut held = membership.claim(&names)?;
            let gone: BTreeSet<&String> = names.iter().collect();
            let surplus: Vec<String> = held
                .slices
                .iter()
                .filter(|it| gone.contains(it))
                .skip(held.fair)
                .chain(held.slices.iter().filter(|it| !gone.contains(it)))
                .cloned()
                .collect();
            if !surplus.is_empty() {
                membership.release(&surplus, false)?;
                held.slices.retain(|it| !surplus.contains(it));
            }
            tracing::info!(slices = held.slices.len(), of = names.len(), collectors = held.live, "collecting");
            let stop = Arc::new(AtomicBool::new(false));
            let watching = self.watch(membership, names, held.clone(), Arc::clone(&stop));
            let session = if held.slices.is_empty() {
                while !stop.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(50));
                }
                Ok(())
            } else {
                self.session(membership, &slices, &held, &stop, told)
            };
            stop.store(true, Ordering::Relaxed);
            let _ = watching.join();
            session?;
            if membership.is_lost().load(Ordering::Relaxed) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// A thread that says stop when slices come or go, machines may have, or somebody asks for it.
    fn watch(
        &self,
        membership: &Membership,
        names: Vec<String>,
        held: Held,
        stop: Arc<AtomicBool>,
    ) -> thread::JoinHandle<()> {
        let (lake, own, is_lost) = (self.lake.clone(), membership.id(), membership.is_lost());
        let every = self.lease / 3;
        thread::spawn(move || {
            let catalogue = Catalogue::of(&lake);
            let (begun, mut looked) = (Instant::now(), Instant::now());
            let is_over = || {
                is_lost.load(Ordering::Relaxed)
                    || interrupted().load(Ordering::Relaxed)
                    || begun.elapsed() >= DISCOVER_AFTER
            };
            while !stop.load(Ordering::Relaxed) && !is_over() {
                thread::sleep(Duration::from_millis(50));
                if looked.elapsed() < every {
                    continue;
                }
                looked = Instant::now();
                let Ok(Some(catalogue)) = &catalogue else { continue };
                // An answer that does not come is waited for at the next look.
                if catalogue
                    .claim(own, &names)
                    .is_ok_and(|it| it.slices != held.slices || it.live != held.live || it.slices.len() > it.fair)
                {
                    break;
                }
            }
            stop.store(true, Ordering::Relaxed);
        })
    }

    /// All slices that there are: machines that log into one group are one, any other machine is one, and so is a bucket.
    fn slices(&self) -> Result<Slices, Failure> {
        let found = discover(&self.resolved.targets, &self.resolved.options);
        let found = found.map_err(|error| Failure::new(error.to_string()))?;
        let mut slices = Slices::new();
        for it in found {
            let name = it.log_group.as_ref().filter(|_| self.resolved.options.sources.logs);
            let name = name.map_or_else(|| it.arn.to_string(), ToString::to_string);
            match slices.iter_mut().find(|(known, _)| *known == name) {
                Some((_, Slice::Machines(machines))) => machines.push(it),
                _ => slices.push((name, Slice::Machines(vec![it]))),
            }
        }
        slices.extend(self.resolved.options.buckets.iter().map(|it| (it.clone(), Slice::Bucket(it.clone()))));
        slices.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(slices)
    }

    /// Collects what is held, once or until it is told to stop.
    fn session(
        &self,
        membership: &Membership,
        slices: &Slices,
        held: &Held,
        stop: &Arc<AtomicBool>,
        told: &mut (LiveReport, ImportStats),
    ) -> Result<(), Failure> {
        let (targets, options) = self.wanted(slices, held);
        let known = Resolved::known(&self.context, &options)?;
        let (path, own, again) = (self.context.config.db_path(), membership.id(), self.again);
        let (lake, prices) = (self.lake.clone(), crate::cli::bill::price_lines(&self.context.price_books()?));
        let open = move || {
            let store = Store::open_lake(&path, &lake, None)?.taking_again(again).of_collector(own);
            store.set_prices(&prices)?;
            Ok(store)
        };
        let (sender, ended) = channel();
        let (stop, follows) = (Arc::clone(stop), self.follows);
        let source_stop = Arc::clone(&stop);
        let stored = run_live(open, &Pace { ends_by_itself: true, ..Pace::LAKE }, move |send| {
            let is_stopped = || source_stop.load(Ordering::Relaxed) || interrupted().load(Ordering::Relaxed);
            // What a collector uses of an API is a part of what all use, which no row could say.
            let mut send = |mut batch: analyzer::model::Observed| {
                batch.retain(|it| !matches!(it, analyzer::model::Observation::ApiUse(_)));
                if is_stopped() && !follows { Err(Stopped) } else { send(batch) }
            };
            let result = if follows {
                follow(&targets, &options, &known, &mut send, &is_stopped, &mut |_| {})
            } else {
                collect(&targets, &options, &known, &mut send, &mut |_| {})
            };
            let outcome = if result.is_ok() { Ok(()) } else { Err(Stopped) };
            let _ = sender.send(result);
            outcome
        });
        if stored.is_err() {
            // The source may be waiting for something that comes later.
            stop.store(true, Ordering::Relaxed);
        }
        add(&mut told.1, &stored?);
        match ended.recv() {
            Ok(Ok(report)) => {
                join(&mut told.0, report);
                Ok(())
            }
            Ok(Err(error)) => Err(Failure::new(error.to_string())),
            Err(_) => Err(Failure::new("the collecting thread broke down")),
        }
    }

    /// The targets with the machines that are held, and this collector's part of each allowance.
    fn wanted(&self, slices: &Slices, held: &Held) -> (Vec<LiveTarget>, LiveOptions) {
        let held_slices: BTreeSet<&String> = held.slices.iter().collect();
        let own: Vec<&Slice> = slices.iter().filter(|it| held_slices.contains(&it.0)).map(|it| &it.1).collect();
        let mut targets = self.resolved.targets.clone();
        for (index, target) in targets.iter_mut().enumerate() {
            let machines = own.iter().flat_map(|it| match it {
                Slice::Machines(machines) => machines.as_slice(),
                Slice::Bucket(_) => &[],
            });
            target.only = Some(machines.filter(|it| it.target == index).map(|it| it.arn.to_string()).collect());
        }
        targets.retain(|it| it.only.as_ref().is_some_and(|it| !it.is_empty()));
        let buckets = own.iter().filter_map(|it| match it {
            Slice::Bucket(place) => Some(place.clone()),
            Slice::Machines(_) => None,
        });
        let mut options = LiveOptions { buckets: buckets.collect(), ..self.resolved.options.clone() };
        (options.sources.xray, options.sources.xray_of_callers, options.sources.lambda_logs) = (false, false, false);
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let live = held.live.max(1) as f64;
        options.share /= live;
        // Buckets are reached as the first account is.
        if targets.is_empty() {
            (options.sources.history, options.sources.logs, options.sources.metrics) = (false, false, false);
            targets.extend(self.resolved.targets.first().cloned());
        }
        (targets, options)
    }
}

fn names(slices: &Slices) -> Vec<String> {
    slices.iter().map(|it| it.0.clone()).collect()
}

fn add(sum: &mut ImportStats, it: &ImportStats) {
    sum.executions += it.executions;
    sum.events += it.events;
    sum.duplicates += it.duplicates;
    sum.quarantined += it.quarantined;
    sum.forgotten += it.forgotten;
}

/// Adds what a session did to what those before it did; of one target the numbers are added up.
fn join(sum: &mut LiveReport, it: LiveReport) {
    for (api, count) in it.calls {
        *sum.calls.entry(api).or_default() += count;
    }
    for (api, count) in it.throttled {
        *sum.throttled.entry(api).or_default() += count;
    }
    sum.usd += it.usd;
    for target in it.targets {
        let known = sum.targets.iter_mut().find(|it| (&it.account, &it.region) == (&target.account, &target.region));
        let Some(known) = known else {
            sum.targets.push(target);
            continue;
        };
        known.machines = known.machines.max(target.machines);
        known.executions += target.executions;
        known.events += target.events;
        known.denied = target.denied;
        known.gaps = target.gaps;
    }
    for objects in it.objects {
        match sum.objects.iter_mut().find(|it| it.source == objects.source) {
            Some(known) => {
                known.objects += objects.objects;
                known.bytes += objects.bytes;
                known.gaps = objects.gaps;
            }
            None => sum.objects.push(objects),
        }
    }
}
