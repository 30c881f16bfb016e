//! Executions and their histories: all of them, each once, for no more calls than it takes.

use std::sync::Arc;

use collector::synthetic::{Random, order_processing};
use serde_json::{Value, json};

use super::{
    BEGIN_US, SECOND_US, assert_same, collect, command, imported, result, served, service, two_machines,
    with_credentials,
};
use crate::stand_in::{Faults, Machine, Service, Template, World};
use crate::stepscope::Bench;

const HISTORY: &[&str] = &["--source", "history"];

#[test]
fn what_is_collected_equals_what_the_service_has_also_when_it_misbehaves() {
    for seed in 0..4 {
        let (service, address) = served(Service { faults: Faults::all(seed), ..service(two_machines(12)) });
        let bench = Bench::new();
        let mut first = result(&collect(&bench, &address, HISTORY));
        assert_eq!(first["targets"][0]["executions"], 24, "seed {seed}");
        if seed == 0 {
            let schema = bench.run(&["schema", "collect"]);
            let schema: Value = serde_json::from_slice(&schema.stdout).expect("a schema");
            assert!(jsonschema::is_valid(&schema, &first), "{first}");
        }
        // What failed too often is read the next time.
        for _ in 0..3 {
            if first["targets"][0]["gaps"] == json!([]) {
                break;
            }
            first = result(&collect(&bench, &address, HISTORY));
        }
        assert_same(&bench, &imported(&service.world));
    }
}

#[test]
fn nothing_is_read_twice() {
    let (service, address) = served(service(two_machines(4)));
    let bench = Bench::new();
    let first = result(&collect(&bench, &address, HISTORY));
    let pages: usize = service.world.runs.iter().map(|it| it.template.events.len().div_ceil(service.page)).sum();
    assert_eq!(first["calls"]["GetExecutionHistory"], pages, "one call a page and no more");
    assert_eq!(first["new_events"], service.world.n_events());
    let again = result(&collect(&bench, &address, HISTORY));
    assert_eq!((&again["calls"]["GetExecutionHistory"], &again["new_events"]), (&Value::Null, &json!(0)));
    // In another database that knows the same executions from files, neither.
    let files = imported(&service.world);
    let known = result(&collect(&files, &address, HISTORY));
    assert_eq!((&known["calls"]["GetExecutionHistory"], &known["new_events"]), (&Value::Null, &json!(0)));
}

#[test]
fn a_running_execution_is_followed_from_its_newest_events() {
    let (service, address) = served(service(two_machines(1)));
    let bench = Bench::new();
    let run = &service.world.runs[0];
    let offsets: Vec<i64> = run.template.events.iter().map(|it| it.offset_us).collect();
    let half = offsets.len() / 2;
    service.world.set_now(run.start_us + offsets[half]);
    let first = result(&collect(&bench, &address, HISTORY));
    let seen = service.world.n_events();
    assert_eq!(first["new_events"], seen);
    let status = format!("SELECT status FROM executions WHERE execution_arn = '{}'", run.arn);
    assert_eq!(bench.rows(&status), ["[\"RUNNING\"]"]);
    // A few events later: one call for this execution, and not its history from the beginning.
    let later = (half + 5).min(offsets.len() - 2);
    service.world.set_now(run.start_us + offsets[later]);
    let before = service.count("GetExecutionHistory");
    let second = result(&collect(&bench, &address, &["--source", "history", "--machine", "order-processing"]));
    assert_eq!(service.count("GetExecutionHistory") - before, 1, "{second}");
    service.world.set_now(BEGIN_US + 3_600 * SECOND_US);
    result(&collect(&bench, &address, HISTORY));
    assert_same(&bench, &imported(&service.world));
}

#[test]
fn a_redriven_execution_is_read_on_from_where_it_had_ended() {
    let steps = [
        (0, "ExecutionStarted", json!({"roleArn": "r"})),
        (5, "TaskStateEntered", json!({"name": "Charge"})),
        (6, "TaskScheduled", json!({"resource": "invoke", "resourceType": "lambda", "region": "us-east-1"})),
        (8, "TaskStarted", json!({"resource": "invoke", "resourceType": "lambda"})),
        (900, "TaskFailed", json!({"resource": "invoke", "resourceType": "lambda", "error": "Declined"})),
        (901, "ExecutionFailed", json!({"error": "Declined"})),
        (600_000, "ExecutionRedriven", json!({"redriveCount": 1})),
        (600_004, "TaskScheduled", json!({"resource": "invoke", "resourceType": "lambda", "region": "us-east-1"})),
        (600_006, "TaskStarted", json!({"resource": "invoke", "resourceType": "lambda"})),
        (600_700, "TaskSucceeded", json!({"resource": "invoke", "resourceType": "lambda"})),
        (600_701, "TaskStateExited", json!({"name": "Charge"})),
        (600_702, "ExecutionSucceeded", json!({})),
    ];
    let mut world = World::new(1);
    let definition = json!({"StartAt": "Charge", "States": {"Charge": {"Type": "Task", "Resource": "x", "End": true}}});
    let machine = world.add_machine(Machine::new("charges", &definition));
    world.add_run(machine, "one", &Arc::new(Template::of_steps(&steps)), BEGIN_US);
    world.set_now(BEGIN_US + 60 * SECOND_US);
    let (service, address) = served(service(world));
    let bench = Bench::new();
    result(&collect(&bench, &address, HISTORY));
    assert_eq!(bench.rows("SELECT status, redrives FROM executions"), ["[\"FAILED\",0]"]);
    service.world.set_now(BEGIN_US + 3_600 * SECOND_US);
    let second = result(&collect(&bench, &address, HISTORY));
    assert_eq!(second["calls"]["GetExecutionHistory"], 1);
    assert_eq!(bench.rows("SELECT status, redrives, events FROM executions"), ["[\"SUCCEEDED\",1,12]"]);
    assert_same(&bench, &imported(&service.world));
}

/// A world with one execution that starts a Map Run of so many children.
fn with_map_run(n_children: usize) -> World {
    let parent = [
        (0, "ExecutionStarted", json!({"roleArn": "r"})),
        (5, "MapStateEntered", json!({"name": "Each"})),
        (6, "MapStateStarted", json!({"length": 0})),
        (30, "MapRunStarted", json!({"mapRunArn": "$MAPRUN"})),
        (9_000, "MapRunSucceeded", Value::Null),
        (9_001, "MapStateSucceeded", Value::Null),
        (9_002, "MapStateExited", json!({"name": "Each"})),
        (9_010, "ExecutionSucceeded", json!({})),
    ];
    let child = [
        (0, "ExecutionStarted", json!({"roleArn": "r"})),
        (3, "PassStateEntered", json!({"name": "One"})),
        (4, "PassStateExited", json!({"name": "One"})),
        (6, "ExecutionSucceeded", json!({})),
    ];
    let definition = json!({"StartAt": "Each", "States": {"Each": {"Type": "Map", "End": true, "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "One", "States": {"One": {"Type": "Pass", "End": true}},
    }}}});
    let mut world = World::new(1);
    let machine = world.add_machine(Machine::new("batch", &definition));
    let (parent, child) = (Arc::new(Template::of_steps(&parent)), Arc::new(Template::of_steps(&child)));
    world.add_map_run(machine, "big", &parent, &child, n_children);
    world
}

#[test]
fn children_of_map_runs_are_found_also_when_histories_cannot_be_read() {
    let (_, address) = served(service(with_map_run(25)));
    let bench = Bench::new();
    let collected = result(&collect(&bench, &address, HISTORY));
    assert_eq!((&collected["targets"][0]["executions"], &collected["calls"]["ListMapRuns"]), (&json!(26), &json!(1)));
    let children = "SELECT count(*), count(*) FILTER (WHERE complete), count(DISTINCT parent_execution_arn) FROM executions WHERE map_run_arn IS NOT NULL AND execution_arn LIKE '%/Items:%'";
    assert_eq!(bench.rows(children), ["[25,25,1]"]);
    let parent = "SELECT map_children, billed_transitions FROM executions WHERE execution_arn LIKE '%:batch:big'";
    assert_eq!(bench.rows(parent), ["[25,26]"], "each child is a transition of its parent");
    let mut blind = service(with_map_run(5));
    blind.denied.insert("GetExecutionHistory");
    let (_, address) = served(blind);
    let bench = Bench::new();
    let collected = result(&collect(&bench, &address, HISTORY));
    assert_eq!(collected["targets"][0]["executions"], 6, "{collected}");
    assert_eq!(collected["calls"]["GetExecutionHistory"], 1, "what is denied is not asked for again and again");
    let listed = bench.json(&["executions"]);
    assert_eq!(listed["executions"].as_array().map(Vec::len), Some(6));
}

#[test]
fn children_are_found_later_where_their_map_runs_could_not_be_listed_at_first() {
    let mut denying = service(with_map_run(7));
    denying.denied.insert("ListMapRuns");
    let (_, address) = served(denying);
    let bench = Bench::new();
    result(&collect(&bench, &address, HISTORY));
    assert_eq!(bench.rows("SELECT count(*) FROM executions"), ["[1]"]);
    let (_, address) = served(service(with_map_run(7)));
    result(&collect(&bench, &address, HISTORY));
    assert_eq!(bench.rows("SELECT count(*) FROM executions WHERE complete"), ["[8]"]);
}

#[test]
fn a_shorter_look_does_not_make_older_holes_forgotten() {
    let (service, address) = served(service(two_machines(6)));
    let bench = Bench::new();
    let later = analyzer::time::format(analyzer::model::Timestamp(service.world.now_us() - 3_600 * SECOND_US));
    result(&collect(&bench, &address, &["--source", "history", "--since", &later]));
    assert_eq!(bench.rows("SELECT count(*) FROM executions"), ["[0]"], "they had all ended before");
    result(&collect(&bench, &address, &["--source", "history", "--since", "2026-01-01"]));
    assert_same(&bench, &imported(&service.world));
    result(&collect(&bench, &address, &["--source", "history", "--since", &later]));
    let wanted = "SELECT DISTINCT wanted_from::DATE::VARCHAR FROM collected_spans WHERE source = 'history'";
    assert_eq!(bench.rows(wanted), ["[\"2026-01-01\"]"]);
}

#[test]
fn a_denied_call_is_named_and_the_rest_goes_in() {
    let mut denying = service(two_machines(3));
    denying.denied.insert("GetExecutionHistory");
    let (_, address) = served(denying);
    let bench = Bench::new();
    let collected = result(&collect(&bench, &address, HISTORY));
    assert_eq!(collected["targets"][0]["denied"][0]["permission"], "states:GetExecutionHistory");
    assert_eq!(bench.rows("SELECT count(*) FROM executions"), ["[6]"]);
    let strict = collect(&bench, &address, &["--source", "history", "--strict"]);
    assert_eq!(strict.status.code(), Some(4));
    // Once it is allowed, everything that was listed is read.
    let (service, address) = served(service(two_machines(3)));
    result(&collect(&bench, &address, HISTORY));
    assert_same(&bench, &imported(&service.world));
    let mut closed = super::service(two_machines(1));
    closed.denied.insert("ListStateMachines");
    let (_, address) = served(closed);
    let output = collect(&Bench::new(), &address, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("states:ListStateMachines"));
}

#[test]
fn what_is_lost_for_good_is_recorded_as_a_gap_and_not_asked_for_again() {
    let mut world = two_machines(3);
    world.runs[1].is_gone = true;
    let gone = world.runs[1].arn.clone();
    let (_, address) = served(service(world));
    let bench = Bench::new();
    let collected = result(&collect(&bench, &address, HISTORY));
    assert!(collected["targets"][0]["gaps"][0]["text"].as_str().is_some_and(|it| it.contains(&gone)), "{collected}");
    assert_eq!(bench.rows("SELECT source, subject FROM gaps"), [format!("[\"history\",\"{gone}\"]")]);
    let listed = format!("SELECT events, complete FROM executions WHERE execution_arn = '{gone}'");
    assert_eq!(bench.rows(&listed), ["[0,false]"]);
    assert_eq!(bench.rows("SELECT count(*) FROM executions WHERE complete"), ["[5]"]);
}

#[test]
fn encrypted_histories_are_told_with_the_permission_that_is_missing() {
    let mut world = two_machines(3);
    world.machines[0].is_encrypted = true;
    let (_, address) = served(service(world));
    let bench = Bench::new();
    let collected = result(&collect(&bench, &address, HISTORY));
    let denied = collected["targets"][0]["denied"].as_array().expect("a list").clone();
    assert!(denied.iter().any(|it| it["permission"] == "kms:Decrypt"), "{denied:?}");
    assert!(collected["calls"].get("GetExecutionHistory").is_some());
    assert_eq!(bench.rows("SELECT count(*), count(*) FILTER (WHERE complete) FROM executions"), ["[6,3]"]);
    assert_eq!(bench.rows("SELECT kms_key IS NOT NULL FROM settings ORDER BY ALL"), ["[false]", "[true]"]);
}

#[test]
fn a_run_that_is_killed_again_and_again_loses_nothing_and_counts_nothing_twice() {
    let (service, address) =
        served(Service { faults: Faults { slow: 300, ..Faults::all(3) }, ..service(two_machines(60)) });
    let bench = Bench::new();
    for round in 0..10 {
        let mut child = command(&bench, &address, HISTORY)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("it runs");
        std::thread::sleep(std::time::Duration::from_millis(150 + round * 130));
        child.kill().expect("it is ours");
        child.wait().expect("it ends");
    }
    for _ in 0..4 {
        result(&collect(&bench, &address, HISTORY));
    }
    assert_same(&bench, &imported(&service.world));
}

#[test]
fn several_targets_are_read_in_one_run_and_one_that_fails_stops_no_other() {
    let (service, address) = served(service(two_machines(4)));
    let bench = Bench::new();
    let regions = ["--source", "history", "--region", "eu-west-1"];
    let collected = result(&collect(&bench, &address, &regions));
    let targets = collected["targets"].as_array().expect("targets");
    let regions: Vec<&str> = targets.iter().filter_map(|it| it["region"].as_str()).collect();
    assert_eq!(regions, ["us-east-1", "eu-west-1"]);
    // The stand-in answers alike in both: nothing is stored twice.
    assert_eq!(collected["new_events"].as_u64(), Some(service.world.n_events() as u64));
    let config = format!(
        "[[targets]]\nregions = [\"us-east-1\"]\nendpoint_url = \"http://127.0.0.1:1\"\n[[targets]]\nregions = [\"us-east-1\"]\nendpoint_url = \"{address}\"\n"
    );
    let bench = Bench::new();
    bench.write("stepscope/config.toml", config);
    let mut command = bench.command(&["collect", "--source", "history", "-o", "json"]);
    let collected = result(&with_credentials(&mut command).output().expect("it runs"));
    let oks: Vec<&Value> = collected["targets"].as_array().expect("targets").iter().map(|it| &it["ok"]).collect();
    assert_eq!(oks, [&json!(false), &json!(true)]);
    assert_eq!(collected["targets"][1]["executions"], 8);
}

#[test]
fn business_keys_are_kept_without_payloads_and_rules_run_before_anything_is_written() {
    let plan = order_processing();
    let mut world = World::new(5);
    let machine = world.add_machine(Machine::of_plan(&plan));
    world.add_run(machine, "one", &Arc::new(Template::of_plan(&plan, &mut Random::new(1))), BEGIN_US);
    let (_, address) = served(service(world));
    let bench = Bench::new();
    result(&collect(&bench, &address, &["--source", "history", "--index", "$.id"]));
    let kept = bench.rows("SELECT field, body FROM payloads");
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(kept[0].contains("$.id"), "{kept:?}");
    let key = kept[0].split("\\\"").nth(3).expect("a value").to_owned();
    let found = bench.json(&["executions", "--key", &format!("$.id={key}")]);
    assert_eq!(found["executions"].as_array().map(Vec::len), Some(1));
    let none = bench.json(&["executions", "--key", "$.id=another"]);
    assert_eq!(none["executions"], json!([]));
    // Kept whole, but for what the rules blot out.
    let bench = Bench::new();
    let rules = ["--source", "history", "--payloads", "full", "--redact-path", "$.id", "--redact-pattern", "SKU-\\d+"];
    result(&collect(&bench, &address, &rules));
    let bodies = bench.rows("SELECT body FROM payloads WHERE field IN ('input', 'output')");
    assert!(
        !bodies.is_empty() && bodies.iter().all(|it| !it.contains("SKU-0") && it.contains("[redacted]")),
        "{bodies:?}"
    );
}

#[test]
fn what_was_forgotten_is_not_collected_until_it_is_wanted_again() {
    let (_, address) = served(service(two_machines(4)));
    let bench = Bench::new();
    let sources = ["--source", "history", "--payloads", "redacted"];
    result(&collect(&bench, &address, &sources));
    let whole = bench.everything();
    let arn = bench.rows("SELECT min(execution_arn) FROM executions")[0].trim_matches(['[', ']', '"']).to_owned();
    bench.json(&["forget", &arn]);
    let rest = bench.everything();
    assert_ne!(rest, whole);
    for more in [&[][..], &["--since", "2026-09-01"]] {
        let collected = result(&collect(&bench, &address, &[&sources, more].concat()));
        crate::command_line::is_valid(&bench, "collect", &collected);
        assert!(bench.everything() == rest, "{more:?}: {collected}");
    }
    let collected = result(&collect(&bench, &address, &[&sources[..], &["--again"]].concat()));
    assert_eq!(collected["forgotten"], 0, "{collected}");
    assert!(bench.everything() == whole, "{collected}");
}
