//! Small histories whose right answer is known, from the command line (`tests/timelines`).

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::stepscope::Bench;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("timelines")
}

fn input(name: &str) -> String {
    folder().join(name).to_string_lossy().into_owned()
}

/// A bench with one input imported, and what `show` says of its only execution.
fn shown(name: &str) -> (Bench, Value) {
    let bench = Bench::new();
    bench.json(&["import", &input(name)]);
    let shown = bench.json(&["show", "--all"])["executions"][0].clone();
    (bench, shown)
}

fn kinds(shown: &Value) -> Vec<&str> {
    shown["gaps"].as_array().expect("gaps").iter().map(|it| it["kind"].as_str().expect("a kind")).collect()
}

/// Whether a value is the expected one: a single value, or a range of texts with `null` where that is allowed, too.
fn is_as(found: &Value, expected: &Value) -> bool {
    let Some(range) = expected.as_array() else { return found == expected };
    if found.is_null() {
        return range.iter().any(Value::is_null);
    }
    let within = |place: usize, is_in: &dyn Fn(&str, &str) -> bool| match (&range[place], found.as_str()) {
        (Value::String(limit), Some(found)) => is_in(found, limit),
        _ => true,
    };
    within(0, &|found, low| found >= low) && within(1, &|found, high| found <= high)
}

fn check_show(name: &str, shown: &Value, expected: &Value) {
    for key in ["complete", "billed_transitions"] {
        if let Some(expected) = expected.get(key) {
            assert_eq!(&shown[key], expected, "{name}: {key}");
        }
    }
    if let Some(expected) = expected.get("map_children") {
        assert_eq!(&shown["transitions"]["map_children"], expected, "{name}");
    }
    for (limit, found) in
        [("retries_at_most", &shown["transitions"]["retries"]), ("billed_at_most", &shown["billed_transitions"])]
    {
        if let Some(limit) = expected.get(limit).and_then(Value::as_u64) {
            assert!(found.as_u64().is_some_and(|it| it <= limit), "{name}: {found} > {limit}");
        }
    }
    for (id, expected) in expected.get("visits").and_then(Value::as_object).into_iter().flatten() {
        let visits = shown["visits"].as_array().expect("visits");
        let visit = visits
            .iter()
            .find(|it| it["id"].as_u64() == id.parse().ok())
            .unwrap_or_else(|| panic!("{name}: no visit {id}"));
        for (key, expected) in expected.as_object().expect("an object") {
            let attempts = visit["attempts"].as_array().expect("attempts");
            let found = match key.as_str() {
                "attempts" => Value::from(attempts.len()),
                "attempt_ended_at" => attempts.last().map_or(Value::Null, |it| it["ended_at"].clone()),
                key => visit[key].clone(),
            };
            assert!(is_as(&found, expected), "{name}: {key} of visit {id} is {found}, not {expected}");
        }
    }
}

fn check_others(name: &str, bench: &Bench, expected: &Value) {
    if let Some(whatif) = expected.get("whatif") {
        let arguments = whatif["args"].as_array().expect("arguments").iter().filter_map(Value::as_str);
        let found = bench.json(&["whatif"].into_iter().chain(arguments).collect::<Vec<_>>());
        for (key, expected) in whatif["after"].as_object().expect("an object") {
            let (found, expected) = (found["after"][key].as_f64(), expected.as_f64());
            assert_eq!(found, expected, "{name}: {key} after");
        }
    }
    if let Some(most) = expected.pointer("/states/max_retries").and_then(Value::as_u64) {
        let states = bench.json(&["states"]);
        let states = states["machines"][0]["states"].as_array().expect("states");
        assert!(states.iter().all(|it| it["retries"].as_u64().is_some_and(|it| it <= most)), "{name}: {states:?}");
    }
}

#[test]
fn every_timeline_is_as_expected() {
    let mut n_checked = 0;
    let mut names: Vec<PathBuf> =
        fs::read_dir(folder()).expect("the folder").map(|it| it.expect("an entry").path()).collect();
    names.sort();
    for path in names.iter().filter(|it| it.to_string_lossy().ends_with(".expected.json")) {
        let name = path.file_name().expect("a name").to_string_lossy().replace(".expected.json", "");
        let expected: Value = serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON");
        let found = ["", ".json", ".ndjson"].map(|it| folder().join(format!("{name}{it}")));
        let source = found.iter().find(|it| it.exists()).expect("an input");
        let bench = Bench::new();
        bench.json(&["import", &source.to_string_lossy()]);
        let shown = match expected.get("show_of").and_then(Value::as_str) {
            Some(arn) => bench.json(&["show", arn]),
            None => bench.json(&["show", "--all"])["executions"][0].clone(),
        };
        check_show(&name, &shown, expected.get("show").unwrap_or(&Value::Null));
        check_others(&name, &bench, &expected);
        n_checked += 1;
    }
    assert_eq!(n_checked, 8);
}

#[test]
fn a_day_between_two_runs_is_no_run_time() {
    for name in ["redrive-scheduled.json", "redrive-entered.json"] {
        let (bench, shown) = shown(name);
        assert_eq!((shown["active_ms"].as_f64(), &shown["runs"]), (Some(210_120.0), &2.into()), "{name}");
        assert_eq!((shown["duration_ms"].as_f64(), &shown["complete"]), (Some(86_460_120.0), &true.into()), "{name}");
        let transitions = &shown["transitions"];
        let parts: Vec<u64> = ["entered", "retries", "redrives", "rerun", "map_children"]
            .iter()
            .map(|it| transitions[*it].as_u64().expect("a count"))
            .collect();
        let entered = u64::from(name.contains("entered"));
        assert_eq!(parts, [1 + entered, 1, 1, 1 - entered, 0], "{name}");
        assert_eq!(shown["billed_transitions"], 4, "{name}");
        let visits = shown["visits"].as_array().expect("visits");
        let attempts: Vec<&Value> = visits.iter().flat_map(|it| it["attempts"].as_array().expect("attempts")).collect();
        let redrives: Vec<&Value> = attempts.iter().map(|it| &it["redrive"]).collect();
        assert_eq!(redrives, [&Value::Null, &Value::Null, &1.into()], "{name}");
        let backoff: f64 = visits.iter().map(|it| it["split_ms"]["backoff"].as_f64().expect("ms")).sum();
        assert!((backoff - 30_000.0).abs() < 0.001, "{name}: {backoff}");
        let longest = visits.iter().filter_map(|it| it["active_ms"].as_f64()).fold(0.0, f64::max);
        assert!(longest <= 210_120.0, "{name}: {longest}");
        let states = bench.json(&["states"]);
        let machine = &states["machines"][0];
        assert_eq!(machine["p50_ms"].as_f64(), Some(210_120.0), "{name}");
        assert_eq!(machine["states"][0]["retries"], 1, "{name}");
        assert_eq!(machine["states"][0]["billed_transitions"], 3, "{name}: the redrive itself is no state's");
        assert!(machine["states"][0]["max_ms"].as_f64().is_some_and(|it| it <= 210_120.0), "{name}: {machine}");
        let near = bench.json(&["states", "--approximate"]);
        assert!(near["machines"][0]["p50_ms"].as_f64().is_some_and(|it| it < 220_000.0), "{name}: {near}");
        let cost = bench.json(&["cost"]);
        let machine = &cost["machines"][0];
        let blockers = machine["blockers"].as_array().expect("blockers");
        assert!(blockers.iter().all(|it| it["rule"] != "duration_over_limit"), "{name}: {blockers:?}");
        assert!(machine["express"]["billed_gb_s"].as_f64().is_some_and(|it| it < 14.0), "{name}: {machine}");
        let text = String::from_utf8_lossy(&bench.run(&["show", "--all"]).stdout).into_owned();
        assert!(text.contains("back-off 30 s") && text.contains("in 2 runs"), "{name}: {text}");
    }
}

#[test]
fn a_day_among_other_executions_moves_no_percentile() {
    let bench = Bench::new();
    for name in ["redrive-scheduled.json", "redrive-entered.json"] {
        bench.json(&[
            "import",
            &input(name),
            "--execution-arn",
            &format!("arn:aws:states:us-east-1:111122223333:execution:load:{}", name.len()),
        ]);
    }
    let history: Value =
        serde_json::from_slice(&fs::read(input("redrive-scheduled.json")).expect("a file")).expect("JSON");
    for number in 0..3 {
        let mut events: Vec<Value> = history["events"].as_array().expect("events")[..9].to_vec();
        for (id, kind) in [(10, "TaskSucceeded"), (11, "TaskStateExited"), (12, "ExecutionSucceeded")] {
            let details = serde_json::json!({"name": "Load", "resourceType": "glue", "resource": "startJobRun.sync"});
            events.push(serde_json::json!({
                "id": id, "previousEventId": id - 1, "type": kind, "timestamp": format!("2026-09-22T10:02:30.{number}00Z"),
                "eventDetails": details,
            }));
        }
        let path = bench.write(&format!("{number}.json"), serde_json::json!({"events": events}).to_string());
        let arn = format!("arn:aws:states:us-east-1:111122223333:execution:load:n{number}");
        bench.json(&["import", &path.to_string_lossy(), "--execution-arn", &arn]);
    }
    let states = bench.json(&["states"]);
    assert!(states["machines"][0]["p99_ms"].as_f64().is_some_and(|it| it < 220_000.0), "{states}");
    let bottlenecks = bench.json(&["bottlenecks"]);
    assert!(bottlenecks["machines"][0]["p99_ms"].as_f64().is_some_and(|it| it < 220_000.0), "{bottlenecks}");
    let wrong = "SELECT name FROM executions
        WHERE billed_transitions <> entered + retries + redrives + rerun + coalesce(map_children, 0)";
    assert_eq!(bench.rows(wrong), Vec::<String>::new());
}

#[test]
fn a_page_that_is_not_the_last_says_so() {
    let (_, shown) = shown("newest-page-only.json");
    assert_eq!((&shown["complete"], &shown["status"]), (&false.into(), &"FAILED".into()));
    assert_eq!(shown["error"], "Lambda.TooManyRequestsException");
    assert!(kinds(&shown).contains(&"next_page") && kinds(&shown).contains(&"unknown_start"), "{:?}", shown["gaps"]);
    // What the visible events prove: a retry is scheduled after a failure.
    assert_eq!((&shown["transitions"]["retries"], &shown["billed_transitions"]), (&32.into(), &32.into()));
    assert_eq!(shown["visits"], Value::Array(Vec::new()));
}

#[test]
fn ids_that_an_emulator_does_not_publish_are_missing_events() {
    let (_, shown) = shown("emulator-dangling-ids.json");
    assert_eq!(shown["complete"], false);
    assert_eq!(kinds(&shown)[0], "missing_events");
    assert_eq!(
        (&shown["visits"][0]["state"], shown["visits"][0]["duration_ms"].as_f64()),
        (&"Both".into(), Some(400.0))
    );
    assert_eq!(shown["visits"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_payload_that_was_cut_off_is_said_and_makes_nothing_incomplete() {
    let arn = "arn:aws:states:us-east-1:123456789012:express:cut:run:4135929f-8d60-4ea5-b3c3-b243bec43271";
    let line = |id: u64, kind: &str, details: &str| {
        format!(
            r#"{{"id":"{id}","type":"{kind}","details":{details},"previous_event_id":"{}","event_timestamp":"178027200{id}000","execution_arn":"{arn}","redrive_count":"0"}}"#,
            if id == 2 { 0 } else { id - 1 }
        ) + "\n"
    };
    let lines = [
        line(1, "ExecutionStarted", r#"{"input":"{\"a","inputDetails":{"truncated":true}}"#),
        line(2, "PassStateEntered", r#"{"name":"A","input":"{}","inputDetails":{"truncated":false}}"#),
        line(3, "PassStateExited", r#"{"name":"A","output":"{\"b","outputDetails":{"truncated":true}}"#),
        line(4, "ExecutionSucceeded", "{}"),
    ];
    for payloads in ["full", "redacted", "none"] {
        let bench = Bench::new();
        let path = bench.write("cut.jsonl", lines.concat());
        bench.json(&["import", "--payloads", payloads, &path.to_string_lossy()]);
        let shown = bench.json(&["show", arn]);
        assert_eq!(shown["complete"], true, "{payloads}");
        let gap = &shown["gaps"][0];
        assert_eq!(
            (&gap["kind"], &gap["incomplete"], &gap["count"]),
            (&"truncated_payload".into(), &false.into(), &2.into())
        );
        let listed = bench.json(&["executions"]);
        assert_eq!(listed["executions"][0]["gaps"], shown["gaps"], "{payloads}");
        let table = String::from_utf8_lossy(&bench.run(&["executions"]).stdout).into_owned();
        assert!(table.contains("payload cut off"), "{table}");
        let text = String::from_utf8_lossy(&bench.run(&["show", arn]).stdout).into_owned();
        assert!(text.contains("2 payloads were cut off"), "{text}");
        let kinds = bench.rows("SELECT json_extract_string(gaps, '$[0].kind') AS kind FROM executions");
        assert!(kinds[0].contains("truncated_payload"), "{kinds:?}");
    }
}

#[test]
fn what_is_known_from_elsewhere_makes_an_old_history_incomplete() {
    let (bench, before) = shown("01-aborted-elsewhere.json");
    assert_eq!(before["complete"], true);
    let arn = before["execution_arn"].as_str().expect("an ARN").to_owned();
    let describe = |redrives: u64, status: &str| {
        serde_json::json!({
            "executionArn": arn, "stateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:f01", "name": "run",
            "status": status, "startDate": "2026-06-01T00:00:00Z", "redriveCount": redrives,
        })
    };
    let older = bench.write("older.json", describe(0, "RUNNING").to_string());
    bench.json(&["import", &older.to_string_lossy()]);
    assert_eq!(bench.json(&["show", &arn])["complete"], true, "what is older changes nothing");
    let newer = bench.write("newer.json", describe(1, "RUNNING").to_string());
    bench.json(&["import", &newer.to_string_lossy()]);
    let after = bench.json(&["show", &arn]);
    assert_eq!((&after["complete"], &after["status"]), (&false.into(), &"RUNNING".into()));
    assert!(kinds(&after).contains(&"newer_status"), "{:?}", after["gaps"]);
    assert_eq!(after["active_ms"], Value::Null);
    // A redrive that only a description tells of is one all the same.
    let row = &bench.json(&["executions"])["executions"][0];
    assert_eq!((&row["redrives"], &row["runs"]), (&1.into(), &2.into()));
    let machine = &bench.json(&["cost"])["machines"][0];
    assert_eq!(machine["express_eligible"], false, "{machine}");
    assert!(machine["blockers"].to_string().contains("redrive"), "{machine}");
}
