//! The advisor with runs: the account's audit, what changed between definitions, and what it did.

use std::collections::BTreeMap;
use std::process::Command;

use collector::synthetic::{PLANTED, Planted};
use serde_json::{Value, json};

use crate::stepscope::Bench;

const ORDERS: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:order-processing";

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().expect("a list")
}

/// A definition of the demo, as it is stored.
fn stored(bench: &Bench, machine: &str) -> Value {
    let query = format!("SELECT text FROM definitions WHERE state_machine_arn LIKE '%:{machine}'");
    let rows = bench.json(&["sql", &query]);
    serde_json::from_str(rows["rows"][0][0].as_str().expect("a text")).expect("JSON")
}

/// What `describe-state-machine` says.
fn description(definition: &Value, updated: &str, more: &Value) -> String {
    let mut it = json!({
        "stateMachineArn": ORDERS, "name": "order-processing", "type": "STANDARD", "definition": definition.to_string(),
        "creationDate": "2026-10-01T00:00:00Z", "updateDate": updated, "roleArn": "arn:aws:iam::123456789012:role/orders",
    });
    if let (Some(it), Some(more)) = (it.as_object_mut(), more.as_object()) {
        it.extend(more.clone());
    }
    it.to_string()
}

#[test]
fn the_audit_ranks_what_was_planted_first_with_its_money() {
    let bench = Bench::demo(2_000);
    let audit = bench.json(&["audit"]);
    let findings = list(&audit["findings"]);
    let key = |machine: &str, rule: &str, states: &[String]| format!("{machine} {rule} {}", states.join(","));
    let found = |it: &Value| {
        let states: Vec<String> = list(&it["states"]).iter().filter_map(|it| it.as_str().map(str::to_owned)).collect();
        key(it["machine"].as_str().unwrap_or_default(), it["rule"].as_str().unwrap_or_default(), &states)
    };
    let planted = |it: &Planted| {
        let states: Vec<String> = it.states.iter().map(|it| (*it).to_owned()).collect();
        key(it.machine, it.rule, &states)
    };
    let mut first: Vec<String> = findings.iter().take(PLANTED.len()).map(found).collect();
    let mut expected: Vec<String> = PLANTED.iter().map(planted).collect();
    first.sort();
    expected.sort();
    assert_eq!(first, expected);
    // The money: every visit and retry of the states at the list price of a transition, counted from what `show` tells.
    let mut transitions: BTreeMap<String, u64> = BTreeMap::new();
    for run in list(&bench.json(&["show", "--all"])["executions"]) {
        for visit in list(&run["visits"]) {
            let state = visit["state"].as_str().unwrap_or_default().to_owned();
            let attempts = list(&visit["attempts"]).len() as u64;
            *transitions.entry(state).or_default() += 1 + attempts.saturating_sub(1);
        }
    }
    let mut n_priced = 0;
    for planted in PLANTED.iter().filter(|it| !it.costs.is_empty()) {
        let it = findings.iter().find(|it| it["machine"] == planted.machine && it["rule"] == planted.rule).expect("it");
        let count: u64 = planted.costs.iter().map(|it| transitions[*it]).sum();
        let pico = |value: &Value| {
            format!("{:.12}", value.as_f64().expect("money")).replace('.', "").parse::<u64>().expect("digits")
        };
        assert_eq!(pico(&it["usd"]), count * 25_000_000, "{it}");
        n_priced += 1;
    }
    assert_eq!(n_priced, 2);
    // And the saving as Express is the bill's own.
    let cost = bench.json(&["cost"]);
    for machine in list(&cost["machines"]) {
        let saving = findings.iter().find(|it| {
            it["state_machine_arn"] == machine["state_machine_arn"]
                && ["express_candidate", "parts_express"].contains(&it["rule"].as_str().unwrap_or_default())
        });
        assert_eq!(saving.expect("a saving")["usd_per_month"], machine["saves_usd_per_month"]);
    }
    let months: Vec<f64> = findings.iter().filter_map(|it| it["usd_per_month"].as_f64()).collect();
    assert!(months.is_sorted_by(|a, b| a >= b), "{months:?}");
    assert_eq!(bench.run(&["audit", "--fail-on", "warning"]).status.code(), Some(3));
    assert_eq!(bench.run(&["audit", "--fail-on", "error"]).status.code(), Some(0));
}

#[test]
fn what_is_not_known_is_no_finding_and_descriptions_make_it_known() {
    let bench = Bench::demo(300);
    let standing = |practice: &str| {
        let audit = bench.json(&["audit"]);
        let it = list(&audit["machines"]).iter().find(|it| it["state_machine_arn"] == ORDERS).expect("it").clone();
        it["practices"][practice].as_str().expect("a standing").to_owned()
    };
    assert_eq!(["logging", "tracing", "encryption", "privileges"].map(standing), ["unknown"; 4]);
    let definition = stored(&bench, "order-processing");
    let logged = json!({
        "loggingConfiguration": {"level": "ALL", "includeExecutionData": true, "destinations": [
            {"cloudWatchLogsLogGroup": {"logGroupArn": "arn:aws:logs:us-east-1:123456789012:log-group:orders:*"}}]},
        "tracingConfiguration": {"enabled": true},
    });
    let path = bench.write("described.json", description(&definition, "2026-10-31T12:00:00Z", &logged));
    let again = bench.write("older.json", description(&definition, "2026-10-30T12:00:00Z", &json!({})));
    for path in [&path, &again, &path] {
        bench.json(&["import", &path.to_string_lossy()]);
    }
    assert_eq!(["logging", "tracing", "encryption", "privileges"].map(standing), ["info", "ok", "info", "ok"]);
    let audit = bench.json(&["audit"]);
    let rules: Vec<&str> = list(&audit["findings"]).iter().filter_map(|it| it["rule"].as_str()).collect();
    assert!(rules.contains(&"log_group_prefix") && rules.contains(&"data_in_logs") && !rules.contains(&"logging_off"));
    assert_eq!(bench.rows("SELECT log_level FROM settings"), ["[\"ALL\"]"]);
}

/// The demo's incident, as if another definition had brought it.
#[test]
fn a_change_is_told_with_what_it_did() {
    let bench = Bench::demo(2_000);
    let old = stored(&bench, "order-processing");
    let text = old.to_string().replace("\"MaxAttempts\":4", "\"MaxAttempts\":6");
    let new: Value = serde_json::from_str(&text).expect("JSON");
    for (name, definition, updated) in [("old", &old, "2026-10-30T00:00:00Z"), ("new", &new, "2026-10-31T22:40:00Z")] {
        let path = bench.write(&format!("{name}.describe.json"), description(definition, updated, &json!({})));
        bench.json(&["import", &path.to_string_lossy()]);
    }
    let diff = bench.json(&["diff", "order-processing"]);
    let change = &diff["changes"][0];
    assert_eq!(
        change["what"],
        "`ChargeCard` retries `Lambda.TooManyRequestsException`: up to 6 times instead of 4 times"
    );
    assert!(change["effect"]["latency_ms"].as_f64().is_some_and(|it| it > 1_000.0), "{change}");
    assert!(change["effect"]["usd"].as_f64().is_some_and(|it| it > 0.0), "{change}");
    assert_eq!(diff["effect"]["causes"][0]["state"], "ChargeCard");
    let compared = bench.json(&["compare", "order-processing", "--since-deploy"]);
    assert_eq!(diff["effect"]["after"]["n"], compared["latency"]["incident"]["n"], "the same executions as `compare`");
    assert_eq!(diff["effect"]["after"]["mean_ms"], compared["latency"]["incident"]["mean_ms"]);
    let versions = bench.json(&["versions", "order-processing"]);
    let entry = &versions["log"][0];
    assert_eq!((&entry["at"], &entry["effect"]), (&"2026-10-31T22:40:00.000Z".into(), &diff["effect"]));
    assert_eq!(entry["changes"][0]["what"], change["what"]);
    crate::command_line::is_valid(&bench, "diff", &diff);
    crate::command_line::is_valid(&bench, "versions", &versions);
    // The same from files, with the time of the deployment given.
    let [old, new] = [("a.json", &old), ("b.json", &new)].map(|(name, it)| bench.write(name, it.to_string()));
    let [old, new] = [old, new].map(|it| it.to_string_lossy().into_owned());
    let at = ["--machine", "order-processing", "--deployed-at", "2026-10-31T22:40:00Z"];
    assert_eq!(bench.json(&[&["diff", &old, &new][..], &at].concat())["effect"], diff["effect"]);
    assert_eq!(bench.json(&["diff", &old, &new])["effect"], Value::Null);
}

#[test]
fn revisions_of_git_are_compared() {
    let bench = Bench::new();
    let git = |arguments: &[&str]| {
        let folder = bench.folder.path();
        let mut command = Command::new("git");
        command.args(["-c", "user.name=a", "-c", "user.email=a@example.com"]).args(arguments).current_dir(folder);
        assert!(command.output().expect("git").status.success(), "{arguments:?}");
    };
    let machine = |seconds: u32| {
        format!(r#"{{"StartAt":"A","States":{{"A":{{"Type":"Wait","Seconds":{seconds},"End":true}}}}}}"#)
    };
    git(&["init", "--quiet"]);
    for seconds in [5, 9] {
        bench.write("m.asl.json", machine(seconds));
        git(&["add", "m.asl.json"]);
        git(&["commit", "--quiet", "-m", "x"]);
    }
    bench.write("m.asl.json", machine(12));
    let run = |old: &str, new: &str| {
        let mut command = bench.command(&["diff", old, new, "-o", "json"]);
        let output = command.current_dir(bench.folder.path()).output().expect("it runs");
        let value: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code(), value["changes"][0]["what"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(run("HEAD~1:m.asl.json", "HEAD:m.asl.json"), (Some(0), "`A` waits 9 s instead of 5 s".to_owned()));
    assert_eq!(run("HEAD:m.asl.json", "m.asl.json").1, "`A` waits 12 s instead of 9 s");
    assert_eq!(run("HEAD:gone.json", "m.asl.json").0, Some(2));
}

/// A machine that is described has a definition to be looked at, though nothing ran.
#[test]
fn machines_without_executions_are_looked_at_too() {
    let bench = Bench::new();
    let definition = json!({"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "arn:aws:states:::glue:startJobRun.sync", "End": true}}});
    let text = description(&definition, "2026-10-30T00:00:00Z", &json!({"type": "EXPRESS"}));
    let path = bench.write("new.describe.json", text);
    bench.json(&["import", &path.to_string_lossy()]);
    let audit = bench.json(&["audit"]);
    assert_eq!(audit["machines"][0]["executions"], 0);
    assert_eq!(audit["findings"][0]["rule"], "express_unsupported");
    assert_eq!(bench.run(&["audit", "--fail-on", "error"]).status.code(), Some(3));
    let found = bench.json(&["lint", "order-processing", "--fail-on", "never"]);
    assert!(list(&found["findings"]).iter().any(|it| it["rule"] == "express_without_logs"));
    for refused in
        [&["lint", "gone.json"][..], &["diff", "gone.json", "also/gone.json"], &["diff", &path.to_string_lossy()]]
    {
        assert_eq!(bench.run(refused).status.code(), Some(2), "{refused:?}");
    }
}
