//! Machines and their executions, all of which happen at a time of the world's own clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use collector::synthetic::{Plan, Random, definition};
use serde_json::{Value, json};

use super::template::Template;

pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const REGION: &str = "us-east-1";
/// When the world begins.
pub(crate) const BEGIN_US: i64 = 1_790_000_000_000_000;
const HOUR_US: i64 = 3_600_000_000;

/// A state machine and how it is set up.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "settings that have nothing to do with each other")]
pub(crate) struct Machine {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) is_express: bool,
    pub(crate) log_level: &'static str,
    /// The account that has its log group.
    pub(crate) group_account: &'static str,
    /// Several machines write to one log group.
    pub(crate) shares_group: bool,
    pub(crate) is_traced: bool,
    pub(crate) is_encrypted: bool,
    /// Version numbers that were published.
    pub(crate) versions: u64,
    pub(crate) definition: String,
}

impl Machine {
    pub(crate) fn new(name: &str, definition: &Value) -> Self {
        Self {
            name: name.to_owned(),
            arn: format!("arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{name}"),
            is_express: false,
            log_level: "OFF",
            group_account: ACCOUNT,
            shares_group: false,
            is_traced: false,
            is_encrypted: false,
            versions: 0,
            definition: definition.to_string(),
        }
    }

    pub(crate) fn of_plan(plan: &Plan) -> Self {
        Self { is_express: plan.is_express, ..Self::new(plan.machine, &definition(plan)) }
    }

    pub(crate) fn group_arn(&self) -> String {
        format!("arn:aws:logs:{REGION}:{}:log-group:{}", self.group_account, self.group())
    }

    pub(crate) fn group(&self) -> String {
        let name = if self.shares_group { "shared" } else { &self.name };
        format!("/aws/vendedlogs/states/{name}-Logs")
    }
}

/// One execution.
pub(crate) struct Run {
    pub(crate) arn: String,
    pub(crate) machine: usize,
    pub(crate) template: Arc<Template>,
    pub(crate) start_us: i64,
    /// The Map Run that it is a child of, and the one that it starts.
    pub(crate) child_of: Option<String>,
    pub(crate) started: Option<String>,
    /// Its history is not kept any more.
    pub(crate) is_gone: bool,
}

impl Run {
    /// Events that have happened by now.
    pub(crate) fn n_events(&self, now_us: i64) -> usize {
        let elapsed = now_us - self.start_us;
        self.template.events.partition_point(|it| it.offset_us <= elapsed)
    }

    /// When it closed, and how; `None` while it runs.
    pub(crate) fn closed(&self, now_us: i64) -> Option<(i64, &str)> {
        self.template.closed_at(now_us - self.start_us).map(|(offset, kind)| (self.start_us + offset, kind))
    }

    /// How often it was redriven by now.
    pub(crate) fn redrives(&self, now_us: i64) -> usize {
        self.template.events[..self.n_events(now_us)].iter().filter(|it| it.kind == "ExecutionRedriven").count()
    }
}

/// Everything there is.
pub(crate) struct World {
    pub(crate) machines: Vec<Machine>,
    pub(crate) runs: Vec<Run>,
    by_arn: BTreeMap<String, usize>,
    pub(crate) definitions_of_versions: BTreeMap<String, String>,
    /// What the clock shows: this, and the time that has passed since when it runs.
    now_us: AtomicI64,
    runs_since_us: Option<i64>,
    /// When the clock was set, by that of this machine.
    set_at_us: AtomicI64,
    random: Random,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            machines: Vec::new(),
            runs: Vec::new(),
            by_arn: BTreeMap::new(),
            definitions_of_versions: BTreeMap::new(),
            now_us: AtomicI64::new(BEGIN_US + 24 * HOUR_US),
            runs_since_us: None,
            set_at_us: AtomicI64::new(real_us()),
            random: Random::new(seed),
        }
    }

    /// A world whose clock is that of this machine.
    pub(crate) fn in_real_time(seed: u64) -> Self {
        let world = Self { runs_since_us: Some(real_us()), ..Self::new(seed) };
        world.set_now(real_us());
        world
    }

    pub(crate) fn now_us(&self) -> i64 {
        let passed = self.runs_since_us.map_or(0, |it| real_us() - it);
        self.now_us.load(Ordering::SeqCst) + passed
    }

    /// What a clock shows that goes on from there: what happens stands still, but however long a run takes, the service's clock
    /// and one that was set with it agree.
    pub(crate) fn clock_us(&self) -> i64 {
        let passed = if self.runs_since_us.is_some() { 0 } else { real_us() - self.set_at_us.load(Ordering::SeqCst) };
        self.now_us() + passed
    }

    pub(crate) fn set_now(&self, us: i64) {
        self.set_at_us.store(real_us(), Ordering::SeqCst);
        self.now_us.store(us, Ordering::SeqCst);
    }

    pub(crate) fn add_machine(&mut self, machine: Machine) -> usize {
        self.machines.push(machine);
        self.machines.len() - 1
    }

    /// Executions of a machine at even distances, each like one of a few templates.
    pub(crate) fn add_runs(&mut self, machine: usize, plan: &Plan, count: usize, start_us: i64, every_us: i64) {
        let templates: Vec<Arc<Template>> =
            (0..count.min(40)).map(|_| Arc::new(Template::of_plan(plan, &mut self.random))).collect();
        for number in 0..count {
            let start = start_us + every_us * i64::try_from(number).unwrap_or(0);
            let start = start - start % 1_000;
            self.add_run(machine, &format!("run-{number:06}"), &templates[number % templates.len()], start);
        }
    }

    /// One execution; its place.
    pub(crate) fn add_run(&mut self, machine: usize, name: &str, template: &Arc<Template>, start_us: i64) -> usize {
        let (it, number) = (&self.machines[machine], self.runs.len());
        let arn = if it.is_express {
            format!("arn:aws:states:{REGION}:{ACCOUNT}:express:{}:{name}:{number:08x}-0000", it.name)
        } else {
            format!("arn:aws:states:{REGION}:{ACCOUNT}:execution:{}:{name}", it.name)
        };
        self.push(Run {
            arn,
            machine,
            template: Arc::clone(template),
            start_us,
            child_of: None,
            started: None,
            is_gone: false,
        })
    }

    /// An execution that starts a Map Run, and its children.
    pub(crate) fn add_map_run(
        &mut self,
        machine: usize,
        name: &str,
        parent: &Arc<Template>,
        child: &Arc<Template>,
        n_children: usize,
    ) {
        let machine_name = self.machines[machine].name.clone();
        let map_run = format!("arn:aws:states:{REGION}:{ACCOUNT}:mapRun:{machine_name}/Items:{name}");
        let place = self.add_run(machine, name, parent, BEGIN_US);
        self.runs[place].started = Some(map_run.clone());
        for number in 0..n_children {
            let arn = format!("arn:aws:states:{REGION}:{ACCOUNT}:execution:{machine_name}/Items:{name}-{number:04}");
            let start_us = BEGIN_US + 50_000;
            self.push(Run {
                arn,
                machine,
                template: Arc::clone(child),
                start_us,
                child_of: Some(map_run.clone()),
                started: None,
                is_gone: false,
            });
        }
    }

    fn push(&mut self, run: Run) -> usize {
        self.by_arn.insert(run.arn.clone(), self.runs.len());
        self.runs.push(run);
        self.runs.len() - 1
    }

    pub(crate) fn run(&self, arn: &str) -> Option<&Run> {
        self.by_arn.get(arn).map(|it| &self.runs[*it])
    }

    pub(crate) fn machine(&self, arn: &str) -> Option<(usize, &Machine)> {
        let plain: Vec<&str> = arn.split(':').take(7).collect();
        let plain = plain.join(":");
        self.machines.iter().enumerate().find(|(_, it)| it.arn == plain)
    }

    /// Events that can be read by now: those of Standard executions, and of Express ones that are logged.
    pub(crate) fn n_events(&self) -> usize {
        self.n_events_at(self.now_us())
    }

    /// Events of machines that log that had happened by then.
    pub(crate) fn n_logged_at(&self, now: i64) -> usize {
        let is_logged = |it: &&Run| self.machines[it.machine].log_level == "ALL" && it.start_us <= now;
        self.runs.iter().filter(is_logged).map(|it| it.n_events(now)).sum()
    }

    /// Events that could be read by then.
    pub(crate) fn n_events_at(&self, now: i64) -> usize {
        let is_readable = |it: &&Run| {
            let machine = &self.machines[it.machine];
            !it.is_gone && it.start_us <= now && (!machine.is_express || machine.log_level == "ALL")
        };
        self.runs.iter().filter(is_readable).map(|it| it.n_events(now)).sum()
    }

    /// The same executions as documents that can be imported.
    pub(crate) fn documents(&self) -> String {
        let now = self.now_us();
        let document = |run: &Run| {
            let events: Vec<String> = run.template.events[..run.n_events(now)]
                .iter()
                .map(|it| it.history(run.start_us, run.started.as_deref(), false))
                .collect();
            format!("{{\"executionArn\":{},\"events\":[{}]}}\n", json!(run.arn), events.join(","))
        };
        self.runs.iter().map(document).collect()
    }
}

pub(crate) fn real_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
