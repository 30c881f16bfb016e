//! The collector against the stand-in for AWS, and against emulators.

mod clocks;
mod collecting;
mod emulated;
mod faults;
mod following;
mod sources;
mod watching;

use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use collector::synthetic::{image_ingest, order_processing};
use serde_json::Value;

use crate::stand_in::{Machine, Service, World, serve};
use crate::stepscope::Bench;

const BEGIN_US: i64 = 1_790_000_000_000_000;
const SECOND_US: i64 = 1_000_000;

/// What is served, by its address.
static CLOCKS: Mutex<BTreeMap<String, Arc<Service>>> = Mutex::new(BTreeMap::new());

/// Nothing waits for these: the stand-in answers as often as it is asked.
const FAST: [&str; 14] = [
    "BatchGetTraces",
    "DescribeMapRun",
    "DescribeStateMachine",
    "DescribeStateMachineAlias",
    "DescribeStateMachineForExecution",
    "FilterLogEvents",
    "GetExecutionHistory",
    "GetTraceSummaries",
    "ListExecutions",
    "ListMapRuns",
    "ListStateMachineAliases",
    "ListStateMachineVersions",
    "ListStateMachines",
    "ListTagsForResource",
];

/// Two Standard machines with so many executions each, all of which have ended.
fn two_machines(n_executions: usize) -> World {
    let mut world = World::new(20_261_125);
    for plan in [order_processing(), image_ingest()] {
        let machine = world.add_machine(Machine::of_plan(&plan));
        world.add_runs(machine, &plan, n_executions, BEGIN_US, SECOND_US);
    }
    world
}

/// A service with small pages, so that every history has several.
fn service(world: World) -> Service {
    Service { page: 10, ..Service::new(world) }
}

fn command(bench: &Bench, address: &str, more: &[&str]) -> Command {
    let arguments = ["collect", "--endpoint-url", address, "--region", "us-east-1", "--share", "1"];
    let mut command = bench.command(&arguments);
    for api in FAST {
        command.args(["--quota", &format!("{api}=100000/100000")]);
    }
    // A world of another time is read at its time.
    let now = CLOCKS.lock().expect("the lock").get(address).map(|it| it.world.clock_us());
    if let Some(us) = now.filter(|_| !more.contains(&"--now")) {
        command.args(["--now", &analyzer::time::format(analyzer::model::Timestamp(us))]);
    }
    command.args(more).args(["-o", "json"]);
    with_credentials(&mut command);
    command
}

fn collect(bench: &Bench, address: &str, more: &[&str]) -> Output {
    command(bench, address, more).output().expect("it runs")
}

/// The same for tests elsewhere.
pub(crate) fn command_of_stand_in(bench: &Bench, address: &str, more: &[&str]) -> Command {
    command(bench, address, more)
}

/// Two machines with so many executions each, served.
pub(crate) fn served_machines(n_executions: usize) -> (Arc<Service>, String) {
    served(service(two_machines(n_executions)))
}

/// A service without state machines whose clock is that of this machine.
pub(crate) fn served_in_real_time() -> (Arc<Service>, String) {
    served(Service::new(World::in_real_time(1)))
}

/// Made-up credentials, and nothing that belongs to the machine.
pub(crate) fn with_credentials(command: &mut Command) -> &mut Command {
    command
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_CONFIG_FILE", "/nowhere/config")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/credentials")
        .env("AWS_EC2_METADATA_DISABLED", "true")
}

fn result(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The same executions as files, for comparison.
fn imported(world: &World) -> Bench {
    let bench = Bench::new();
    let path = bench.write("histories.jsonl", world.documents());
    bench.json(&["import", "--payloads", "none", &path.to_string_lossy()]);
    bench
}

/// A service that is served, with its address.
fn served(service: Service) -> (Arc<Service>, String) {
    let service = Arc::new(service);
    let address = serve(Arc::clone(&service));
    CLOCKS.lock().expect("the lock").insert(address.clone(), Arc::clone(&service));
    (service, address)
}

fn assert_same(bench: &Bench, other: &Bench) {
    for view in ["events", "visits", "attempts", "critical_path"] {
        let query = format!("FROM {view}");
        assert!(bench.rows(&query) == other.rows(&query), "{view}");
    }
}
