//! The recorded histories are the judge: what AWS wrote has to come out of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::stepscope::{Bench, corpora};

const PREFIX: &str = "arn:aws:states:local:000000000000:execution";

/// Every recorded history of a folder: the ARN it gets, and its events.
fn histories(folder: &str) -> BTreeMap<String, Vec<Value>> {
    let mut histories = BTreeMap::new();
    for entry in fs::read_dir(corpora().join(folder)).expect("the corpus") {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let is_history = path.extension().is_some_and(|it| it == "json")
            && (folder == "histories" && stem != "index" || stem.starts_with("history-"));
        if is_history {
            let value: Value = serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
            let events = value.get("events").unwrap_or(&value).as_array().expect("events").clone();
            histories.insert(format!("{PREFIX}:{folder}:{stem}"), events);
        }
    }
    histories
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}

fn kind(event: &Value) -> &str {
    event["type"].as_str().expect("a type")
}

fn check(arn: &str, events: &[Value], shown: &Value) {
    let visits = shown["visits"].as_array().expect("visits");
    let mut entered: Vec<u64> = events
        .iter()
        .filter(|it| kind(it).ends_with("StateEntered"))
        .map(|it| it["id"].as_u64().expect("an id"))
        .collect();
    entered.sort_unstable();
    let seen: Vec<u64> = visits.iter().map(|it| it["id"].as_u64().expect("an id")).collect();
    assert_eq!(seen, entered, "{arn}: a visit for each state entered");
    let is_closed = shown["status"] != "RUNNING";
    let by_id: BTreeMap<u64, &Value> = visits.iter().map(|it| (it["id"].as_u64().expect("an id"), it)).collect();
    for visit in visits {
        assert!(!is_closed || !visit["exited_at"].is_null(), "{arn}: {} is left open", visit["state"]);
        check_parent(arn, visit, &by_id);
        if visit["type"] != "Map" && visit["type"] != "Parallel" && !visit["duration_ms"].is_null() {
            let split: f64 = visit["split_ms"].as_object().expect("a split").values().map(number).sum();
            assert!(
                (split - number(&visit["duration_ms"])).abs() < 1e-6,
                "{arn}: the split of {} adds up",
                visit["state"]
            );
        }
    }
    if is_closed && !shown["duration_ms"].is_null() {
        check_path(arn, shown);
    }
    check_transitions(arn, events, shown);
}

fn check_parent(arn: &str, visit: &Value, by_id: &BTreeMap<u64, &Value>) {
    let Some(parent) = visit["parent"].as_u64() else { return };
    let parent = by_id[&parent];
    let state = &visit["state"];
    match parent["type"].as_str() {
        Some("Map") => assert!(visit["iteration"].is_u64(), "{arn}: {state} belongs to an item"),
        Some("Parallel") => assert!(visit["branch"].is_u64(), "{arn}: {state} belongs to a branch"),
        other => panic!("{arn}: {state} lies inside a {other:?}"),
    }
    assert!(visit["entered_at"].as_str() >= parent["entered_at"].as_str(), "{arn}: {state} starts inside its parent");
    if let (Some(end), Some(outer)) = (visit["exited_at"].as_str(), parent["exited_at"].as_str()) {
        assert!(end <= outer, "{arn}: {state} ends inside its parent");
    }
}

fn check_path(arn: &str, shown: &Value) {
    let path = shown["critical_path"].as_array().expect("a path");
    let total: f64 = path.iter().map(|it| number(&it["ms"])).sum();
    assert!((total - number(&shown["duration_ms"])).abs() < 1e-6, "{arn}: the path adds up to the duration");
    for pair in path.windows(2) {
        assert_eq!(pair[0]["to"], pair[1]["from"], "{arn}: the path has no gap");
    }
    if let (Some(first), Some(last)) = (path.first(), path.last()) {
        assert_eq!(
            (&first["from"], &last["to"]),
            (&shown["started_at"], &shown["stopped_at"]),
            "{arn}: from start to end"
        );
    }
}

/// Counted by hand from the events: entered, attempts and rounds beyond the first of a visit, redrives.
fn check_transitions(arn: &str, events: &[Value], shown: &Value) {
    let count = |wanted: &dyn Fn(&str) -> bool| events.iter().filter(|it| wanted(kind(it))).count();
    let entered = count(&|it| it.ends_with("StateEntered"));
    let scheduled = count(&|it| matches!(it, "TaskScheduled" | "LambdaFunctionScheduled" | "ActivityScheduled"));
    let tasks: usize = shown["visits"]
        .as_array()
        .expect("visits")
        .iter()
        .filter(|it| it["attempts"].as_array().is_some_and(|it| !it.is_empty()))
        .count();
    let containers = events.iter().filter(|it| kind(it).ends_with("StateStarted")).count();
    let entered_containers =
        shown["visits"].as_array().expect("visits").iter().filter(|it| number(&it["rounds"]) > 0.0).count();
    if shown["complete"] == true {
        let retries = (scheduled - tasks) + (containers - entered_containers);
        // One for each child that a Map Run started, where that is known.
        let children = shown["transitions"]["map_children"].as_u64().unwrap_or(0);
        let reruns = shown["transitions"]["rerun"].as_u64().unwrap_or(0);
        let retries = retries - usize::try_from(reruns).expect("a count");
        let children = usize::try_from(children + reruns).expect("a count");
        let expected = entered + retries + count(&|it| it == "ExecutionRedriven") + children;
        assert_eq!(shown["billed_transitions"], expected, "{arn}: transitions");
    }
}

#[test]
fn every_recorded_history_comes_out_whole() {
    let bench = Bench::new();
    for folder in ["histories", "samples"] {
        bench.json(&["import", &corpora().join(folder).to_string_lossy()]);
    }
    let shown = bench.json(&["show", "--all"]);
    let shown: BTreeMap<&str, &Value> = shown["executions"]
        .as_array()
        .expect("executions")
        .iter()
        .map(|it| (it["execution_arn"].as_str().expect("an ARN"), it))
        .collect();
    let mut n_checked = 0;
    for folder in ["histories", "samples"] {
        for (arn, events) in histories(folder) {
            check(&arn, &events, shown[arn.as_str()]);
            n_checked += 1;
        }
    }
    assert_eq!(n_checked, 224, "216 recordings and 8 samples");
}

#[test]
fn what_aws_would_refuse_is_quarantined_and_everything_else_goes_in() {
    let bench = Bench::new();
    let result = bench.json(&["import", &corpora().to_string_lossy()]);
    let quarantine = result["quarantine"].as_array().expect("a list");
    let sources: BTreeSet<&str> =
        quarantine.iter().filter_map(|it| it["source"].as_str()?.split_once("/corpora/asl/")).map(|it| it.1).collect();
    let verdicts = crate::linting::verdicts();
    // What has no States at all is nothing of ours.
    let is_refused = |it: &&[String; 3]| it[1] == "invalid" && it[2] != "there are no States";
    let refused: BTreeSet<&str> = verdicts.iter().filter(is_refused).map(|it| it[0].as_str()).collect();
    assert_eq!(sources, refused);
    assert_eq!(result["executions"], 259);
    assert_eq!(result["events"], 2_221);
    assert_eq!(bench.rows("FROM quarantine").len(), refused.len());
}

#[test]
fn the_order_the_cut_and_repetition_do_not_matter() {
    let mut files: Vec<String> = Vec::new();
    for folder in ["histories", "logs", "samples", "sync-express", "api", "xray"] {
        for entry in fs::read_dir(corpora().join(folder)).expect("the corpus") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            if !name.starts_with("README") && !name.starts_with("context-object") && name != "index.json" {
                files.push(path.to_string_lossy().into_owned());
            }
        }
    }
    files.sort();
    let import = |bench: &Bench, files: &[String]| {
        let arguments: Vec<&str> = ["import"].into_iter().chain(files.iter().map(String::as_str)).collect();
        bench.json(&arguments)
    };
    let at_once = Bench::new();
    import(&at_once, &files);
    let in_pieces = Bench::new();
    let backwards: Vec<String> = files.iter().rev().cloned().collect();
    for piece in backwards.chunks(60) {
        import(&in_pieces, piece);
    }
    let expected = at_once.everything();
    assert_eq!(in_pieces.everything(), expected);
    let again = import(&in_pieces, &files);
    assert_eq!((&again["executions"], &again["events"], &again["segments"]), (&0.into(), &0.into(), &0.into()));
    assert_eq!(in_pieces.everything(), expected);
}
