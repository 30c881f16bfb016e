//! Logs, traces, metrics and settings; plans, policies and what the doctor says.

use std::sync::Arc;

use collector::synthetic::{image_ingest, order_processing};
use serde_json::{Value, json};

use super::{
    BEGIN_US, SECOND_US, assert_same, collect, imported, result, served, service, two_machines, with_credentials,
};
use crate::stand_in::{Faults, Machine, Service, World};
use crate::stepscope::Bench;

/// A Standard and an Express machine that log everything, and an Express one that logs errors only.
fn logged(n_executions: usize) -> World {
    let mut world = World::new(7);
    let (orders, images) = (order_processing(), image_ingest());
    let standard = world.add_machine(Machine { log_level: "ALL", ..Machine::of_plan(&orders) });
    let express = world.add_machine(Machine { log_level: "ALL", is_express: true, ..Machine::of_plan(&images) });
    world.add_runs(standard, &orders, n_executions, BEGIN_US, SECOND_US);
    world.add_runs(express, &images, n_executions, BEGIN_US, SECOND_US);
    let mut quiet = Machine { log_level: "ERROR", is_express: true, ..Machine::of_plan(&images) };
    quiet.arn += "-quiet";
    quiet.name += "-quiet";
    world.add_machine(quiet);
    world
}

/// Only logs know how long their messages are.
fn assert_same_but_for_log_bytes(bench: &Bench, other: &Bench) {
    let events =
        "SELECT execution_arn, id, previous_event_id, type, timestamp, state, resource, number, error FROM events";
    for query in [events, "FROM visits", "FROM attempts", "FROM critical_path"] {
        assert!(bench.rows(query) == other.rows(query), "{query}");
    }
}

#[test]
fn logs_tell_express_and_standard_executions_alike_and_cheaper() {
    let (service, address) = served(Service { faults: Faults::all(5), page: 300, ..Service::new(logged(30)) });
    let bench = Bench::new();
    let collected = result(&collect(&bench, &address, &["--source", "history,logs"]));
    assert_eq!(collected["targets"][0]["executions"], 60, "{collected}");
    assert_eq!(collected["calls"].get("GetExecutionHistory"), None, "the logs tell everything: {collected}");
    let gaps = collected["targets"][0]["gaps"].to_string();
    assert!(gaps.contains("level ERROR"), "{gaps}");
    let events =
        "SELECT execution_arn, id, previous_event_id, type, timestamp, state, resource, number, error FROM events";
    assert!(bench.rows(events) == imported(&service.world).rows(events));
    let again = result(&collect(&bench, &address, &["--source", "history,logs"]));
    assert_eq!(again["new_events"], 0);
    assert_eq!(bench.rows("SELECT count(*) FROM executions WHERE log_bytes > 0"), ["[60]"]);
}

#[test]
fn machines_that_share_a_log_group_are_read_each_by_itself() {
    let mut world = logged(5);
    for machine in &mut world.machines {
        machine.shares_group = true;
    }
    let (_, address) = served(service(world));
    let bench = Bench::new();
    result(&collect(&bench, &address, &["--source", "logs", "--machine", "order-processing"]));
    assert_eq!(bench.rows("SELECT count(*) FROM executions"), ["[5]"]);
    result(&collect(&bench, &address, &["--source", "logs"]));
    assert_eq!(bench.rows("SELECT count(*) FROM executions WHERE complete"), ["[10]"]);
}

#[test]
fn log_groups_of_another_account_are_asked_for_by_their_arn() {
    let mut world = logged(5);
    for machine in &mut world.machines {
        machine.group_account = "999999999999";
    }
    let (_, address) = served(service(world));
    let bench = Bench::new();
    result(&collect(&bench, &address, &["--source", "logs"]));
    assert_eq!(bench.rows("SELECT count(*) FROM executions WHERE complete"), ["[10]"]);
}

#[test]
fn events_that_come_late_are_found_by_the_overlap() {
    let mut world = World::new(7);
    let images = image_ingest();
    let express = world.add_machine(Machine { log_level: "ALL", is_express: true, ..Machine::of_plan(&images) });
    world.add_runs(express, &images, 40, BEGIN_US, SECOND_US);
    world.set_now(BEGIN_US + 60 * SECOND_US);
    let (service, address) = served(Service { late: 200, ..service(world) });
    let bench = Bench::new();
    result(&collect(&bench, &address, &["--source", "logs"]));
    let count = "SELECT count(*) FROM events";
    assert_ne!(bench.rows(count), [format!("[{}]", service.world.n_events())], "some come late");
    service.world.set_now(BEGIN_US + 10 * 60 * SECOND_US);
    result(&collect(&bench, &address, &["--source", "logs"]));
    assert_same_but_for_log_bytes(&bench, &imported(&service.world));
}

#[test]
fn holes_in_the_logs_of_standard_executions_are_filled_from_their_histories() {
    let mut world = World::new(7);
    let orders = order_processing();
    let machine = world.add_machine(Machine { log_level: "ALL", ..Machine::of_plan(&orders) });
    world.add_runs(machine, &orders, 20, BEGIN_US, SECOND_US);
    world.set_now(BEGIN_US + 60 * SECOND_US);
    // What is late by eight minutes is a hole for now.
    let (service, address) = served(Service { late: 10, ..service(world) });
    let bench = Bench::new();
    let collected = result(&collect(&bench, &address, &["--source", "logs,history"]));
    let calls = collected["calls"]["GetExecutionHistory"].as_u64().unwrap_or(0);
    assert!(calls > 0, "{collected}");
    assert_same_but_for_log_bytes(&bench, &imported(&service.world));
}

#[test]
fn traces_are_read_wherever_an_account_keeps_them() {
    for has_transaction_search in [false, true] {
        let mut world = two_machines(12);
        world.machines[0].is_traced = true;
        let documents: usize =
            world.runs.iter().filter(|it| it.machine == 0).map(|it| it.template.documents.len()).sum();
        let (_, address) = served(Service { has_transaction_search, faults: Faults::all(2), ..service(world) });
        let bench = Bench::new();
        for _ in 0..2 {
            result(&collect(&bench, &address, &["--source", "history,xray"]));
        }
        let count = "SELECT count(*), count(DISTINCT segment_id) FROM segments";
        assert_eq!(bench.rows(count), [format!("[{documents},{documents}]")]);
        let joined = "SELECT count(DISTINCT execution_arn) FROM segments WHERE execution_arn IN (SELECT execution_arn FROM executions)";
        assert_eq!(bench.rows(joined), ["[12]"]);
    }
}

#[test]
fn coverage_counts_what_cloudwatch_counted_and_was_not_seen() {
    let mut world = two_machines(20);
    let dark = world.add_machine(Machine { is_express: true, ..Machine::of_plan(&image_ingest()) });
    world.machines[dark].arn += "-dark";
    world.machines[dark].name += "-dark";
    world.add_runs(dark, &image_ingest(), 9, BEGIN_US, SECOND_US);
    world.runs[0].is_gone = true;
    let (_, address) = served(service(world));
    let bench = Bench::new();
    let collected = result(&collect(&bench, &address, &["--source", "history,metrics"]));
    assert!(collected["calls_usd"].as_f64().is_some_and(|it| it > 0.0 && it < 0.001), "{collected}");
    let coverage = bench.rows("SELECT machine, started, seen, round(coverage, 3) FROM coverage");
    assert_eq!(
        coverage,
        ["[\"image-ingest\",20,20,1.0]", "[\"image-ingest-dark\",9,0,0.0]", "[\"order-processing\",20,20,0.95]"]
    );
    let cost = bench.json(&["cost"]);
    let of = |name: &str| {
        let machines = cost["machines"].as_array().expect("machines");
        machines.iter().find(|it| it["state_machine_arn"].as_str().is_some_and(|it| it.ends_with(name))).cloned()
    };
    assert_eq!(of(":order-processing").map(|it| it["coverage"].clone()), Some(json!(0.95)));
    // Hours that were read are not asked for again.
    let again = result(&collect(&bench, &address, &["--source", "history,metrics"]));
    assert_eq!((again["calls"].get("GetMetricData"), &again["calls_usd"]), (None, &json!(0)));
}

#[test]
fn settings_versions_and_aliases_are_kept() {
    let mut world = two_machines(2);
    world.machines[0].versions = 2;
    let arn = world.machines[0].arn.clone();
    let old = json!({"StartAt": "Old", "States": {"Old": {"Type": "Succeed"}}}).to_string();
    world.definitions_of_versions.insert(format!("{arn}:1"), old);
    let (service, address) = served(service(world));
    let bench = Bench::new();
    result(&collect(&bench, &address, &["--source", "history"]));
    let versions = bench.rows(&format!(
        "SELECT version_arn, d.text LIKE '%Old%' FROM versions v JOIN definitions d ON d.fingerprint = v.definition WHERE v.state_machine_arn = '{arn}'"
    ));
    assert_eq!(versions, [format!("[\"{arn}:1\",true]"), format!("[\"{arn}:2\",false]")]);
    let aliases = bench.rows(&format!("SELECT aliases FROM settings WHERE state_machine_arn = '{arn}'"));
    assert!(aliases[0].contains(":live") && aliases[0].contains("90"), "{aliases:?}");
    assert_eq!(bench.rows("SELECT count(*) FROM definitions"), ["[3]"]);
    // A definition came into force when an execution says so, not when the machine was made.
    let seen = bench
        .rows(&format!("SELECT seen_at FROM definitions WHERE state_machine_arn = '{arn}' AND NOT text LIKE '%Old%'"));
    assert!(seen[0].contains("2026-05-29") || seen[0].contains("2026-05-30"), "{seen:?}");
    let before = service.count("DescribeStateMachine");
    result(&collect(&bench, &address, &["--source", "history"]));
    assert_eq!(service.count("DescribeStateMachine") - before, 2, "versions never change");
}

#[test]
fn reports_of_functions_are_read_when_they_are_wanted() {
    let mut world = World::new(1);
    let definition = json!({"StartAt": "A", "States": {"A": {"Type": "Task", "End": true,
        "Resource": "arn:aws:lambda:us-east-1:123456789012:function:charge"}}});
    world.add_machine(Machine::new("orders", &definition));
    let (_, address) = served(service(world));
    let bench = Bench::new();
    result(&collect(&bench, &address, &["--source", "history,lambda-logs"]));
    assert_eq!(bench.rows("SELECT request_id, billed_ms, memory_mb FROM lambda_reports"), ["[\"6f2c\",103,512]"]);
}

/// The collector calls nothing that the printed policy does not allow, whatever is read.
#[test]
fn the_policy_allows_what_is_called_and_nothing_else() {
    for sources in ["history", "logs", "xray", "metrics", "history,logs,xray,metrics,lambda-logs"] {
        let mut world = logged(2);
        world.machines.iter_mut().for_each(|it| it.is_traced = true);
        world.machines[0].versions = 2;
        let (service, address) = served(Service { has_transaction_search: true, ..service(world) });
        let bench = Bench::new();
        result(&collect(&bench, &address, &["--source", sources]));
        let policy: Value =
            serde_json::from_slice(&bench.run(&["policy", "--source", sources]).stdout).expect("a policy");
        let statements = policy["Statement"].as_array().expect("statements");
        let allowed: Vec<&str> = statements
            .iter()
            .flat_map(|it| it["Action"].as_array().expect("actions"))
            .filter_map(|it| it.as_str()?.split(':').nth(1))
            .collect();
        for action in service.calls.lock().expect("the lock").keys() {
            assert!(allowed.contains(&action.as_str()), "{action} with {sources}");
        }
        let reading = ["Describe", "Filter", "Get", "List", "Batch", "StartTraceRetrieval"];
        assert!(allowed.iter().all(|it| reading.iter().any(|verb| it.starts_with(verb))), "{allowed:?}");
    }
    let scoped = Bench::new().run(&[
        "policy",
        "--machine",
        "orders",
        "--account",
        "123456789012",
        "--region",
        "eu-west-1",
        "--kms-key",
        "arn:aws:kms:eu-west-1:123456789012:key/k",
    ]);
    let text = String::from_utf8_lossy(&scoped.stdout).into_owned();
    for expected in ["execution:orders/*:*", "mapRun:orders/*:*", "kms:EncryptionContext:aws:states:stateMachineArn"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn a_plan_tells_the_calls_and_reads_nothing() {
    let (service, address) = served(service(two_machines(9)));
    let bench = Bench::new();
    let planned = result(&collect(&bench, &address, &["--plan", "--source", "history"]));
    let plan = planned["plan"].as_array().expect("a plan");
    assert_eq!(plan.len(), 2);
    for it in plan {
        let told = (&it["source"], &it["executions"], &it["calls"], &it["usd"]);
        assert_eq!(told, (&json!("history"), &json!(9), &json!(10), &json!(0)), "a listing and nine histories");
    }
    assert_eq!(service.count("GetExecutionHistory"), 0);
    assert!(!bench.db().exists(), "nothing is stored");
    result(&collect(&bench, &address, &["--source", "history"]));
    let planned = result(&collect(&bench, &address, &["--plan", "--source", "history"]));
    assert!(planned["plan"].as_array().expect("a plan").iter().all(|it| it["executions"] == 0), "all is stored");
    let (_, address) = served(super::service(logged(5)));
    let planned = result(&collect(&Bench::new(), &address, &["--plan"]));
    let of = |name: &str| {
        let plan = planned["plan"].as_array().expect("a plan");
        plan.iter()
            .find(|it| it["state_machine_arn"].as_str().is_some_and(|it| it.ends_with(name)))
            .cloned()
            .expect("planned")
    };
    assert_eq!(
        (of("order-processing")["source"].clone(), of("image-ingest")["source"].clone()),
        (json!("logs"), json!("logs"))
    );
    assert_eq!(of("image-ingest")["executions"], 5, "CloudWatch has counted them");
    assert!(of("quiet")["limits"].to_string().contains("level=ALL"), "{}", of("quiet"));
}

#[test]
fn the_doctor_says_what_works_and_what_to_do() {
    let ask = |address: &str| {
        let bench = Bench::new();
        let arguments =
            ["doctor", "--endpoint-url", address, "--region", "us-east-1", "--now", "2026-11-25", "-o", "json"];
        let mut command = bench.command(&arguments);
        let output = with_credentials(&mut command).output().expect("it runs");
        let checks: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (output.status.code(), checks["checks"].as_array().expect("checks").clone())
    };
    let of = |checks: &[Value], what: &str| checks.iter().find(|it| it["check"] == what).cloned().expect("a check");
    let real = World::in_real_time(1);
    let (_, address) = served(service(real));
    let (code, checks) = ask(&address);
    assert_eq!(code, Some(0), "{checks:?}");
    assert_eq!(of(&checks, "clock")["ok"], true);
    assert!(of(&checks, "credentials")["detail"].as_str().is_some_and(|it| it.contains("123456789012")));
    // The world's clock is months behind: that is told, and nothing else fails for it.
    let (_, address) = served(service(two_machines(1)));
    let (code, checks) = ask(&address);
    assert_eq!(
        (code, &of(&checks, "clock")["ok"], &of(&checks, "executions")["ok"]),
        (Some(1), &json!(false), &json!(true))
    );
    let mut denying = service(two_machines(1));
    denying.denied.insert("GetExecutionHistory");
    let (_, address) = served(denying);
    let (code, checks) = ask(&address);
    assert_eq!(code, Some(1));
    assert!(of(&checks, "histories")["fix"].as_str().is_some_and(|it| it.contains("states:GetExecutionHistory")));
    let (_, address) = served(service(logged(1)));
    let (_, checks) = ask(&address);
    assert!(of(&checks, "logging")["fix"].as_str().is_some_and(|it| it.contains("level=ALL")));
}

#[test]
fn a_price_book_is_made_from_the_price_list() {
    let (_, address) = served(service(World::new(0)));
    let bench = Bench::new();
    let book = bench.folder.path().join("book.toml");
    let book = book.to_string_lossy().into_owned();
    let mut command = bench.command(&["prices", "refresh", "--endpoint-url", &address, "--to", &book]);
    let output = with_credentials(&mut command).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let prices = bench.json(&["prices", "--prices", &book]);
    assert_eq!(prices["as_of"], "2026-11-20");
    let usd = |item: &str, above: &str| {
        let lines = prices["prices"].as_array().expect("prices");
        lines.iter().find(|it| it["item"] == item && it["above"] == above).map(|it| it["usd"].clone())
    };
    assert_eq!(usd("standard_transition", "0"), Some("0.0000297".into()));
    assert_eq!(usd("express_duration", "3600000"), Some("0.00000833".into()));
}

#[test]
fn a_quota_is_used_and_not_exceeded() {
    // The stand-in throttles whoever asks more often than its quota allows.
    let mut limited = service(two_machines(20));
    limited.quotas.insert("GetExecutionHistory", (5.0, 100.0));
    let (service, address) = served(limited);
    let bench = Bench::new();
    let quota = ["--source", "history", "--quota", "GetExecutionHistory=5/100"];
    let begun = std::time::Instant::now();
    let collected = result(&collect(&bench, &address, &quota));
    let seconds = begun.elapsed().as_secs_f64();
    let calls = collected["calls"]["GetExecutionHistory"].as_f64().unwrap_or(0.0);
    // What is sent evenly may arrive in a bunch.
    let throttled = service.throttled.lock().expect("the lock").get("GetExecutionHistory").copied().unwrap_or(0);
    #[expect(clippy::cast_precision_loss, reason = "a few calls")]
    let share = throttled as f64 / calls;
    assert!(share <= 0.15, "{collected}");
    assert!(seconds >= (calls - 5.0) / 100.0, "{calls} calls in {seconds} s");
    assert_same(&bench, &imported(&Arc::clone(&service).world));
}
