//! What lies below an execution's own events: executions it waited for, traces, reports of functions.

use serde_json::{Value, json};

use crate::stepscope::Bench;

const MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine";
const EXECUTION: &str = "arn:aws:states:us-east-1:123456789012:execution";

/// A history: an event a row, each with its time in milliseconds, its type, and its details.
fn history(arn: &str, rows: &[(u64, &str, Value)]) -> String {
    let event = |(index, (ms, kind, details)): (usize, &(u64, &str, Value))| {
        let mut event = json!({
            "id": index + 1, "previousEventId": index, "type": kind,
            "timestamp": format!("2026-10-31T12:00:{:02}.{:03}Z", ms / 1_000, ms % 1_000),
        });
        let key = match *kind {
            it if it.ends_with("StateEntered") => "stateEnteredEventDetails".to_owned(),
            it if it.ends_with("StateExited") => "stateExitedEventDetails".to_owned(),
            it => format!("{}{}EventDetails", it[..1].to_lowercase(), &it[1..]),
        };
        event[key] = details.clone();
        event
    };
    let events: Vec<Value> = rows.iter().enumerate().map(event).collect();
    json!({"executionArn": arn, "events": events}).to_string()
}

/// A Task that calls a resource, and what it answers.
fn task(name: &str, kind: &str, action: &str, times: [u64; 4], output: &str) -> Vec<(u64, &'static str, Value)> {
    let resource = json!({"resourceType": kind, "resource": action});
    let mut rows = vec![
        (times[0], "TaskStateEntered", json!({"name": name})),
        (
            times[0],
            "TaskScheduled",
            json!({"resourceType": kind, "resource": action, "region": "us-east-1", "parameters": "{}"}),
        ),
        (times[1], "TaskStarted", resource.clone()),
    ];
    if action.ends_with(".sync:2") {
        rows.push((times[2], "TaskSubmitted", json!({"resourceType": kind, "resource": action, "output": output})));
    }
    rows.push((times[3], "TaskSucceeded", json!({"resourceType": kind, "resource": action, "output": output})));
    rows.push((times[3], "TaskStateExited", json!({"name": name})));
    rows
}

fn run(arn: &str, tasks: Vec<(u64, &'static str, Value)>) -> String {
    let last = tasks.last().map_or(0, |it| it.0);
    let mut rows = vec![(0, "ExecutionStarted", json!({"input": "{}"}))];
    rows.extend(tasks);
    rows.push((last, "ExecutionSucceeded", json!({"output": "{}"})));
    history(arn, &rows)
}

#[test]
fn a_state_that_waits_for_an_execution_opens_into_its_path() {
    let bench = Bench::new();
    let (parent, child) = (format!("{EXECUTION}:parent:p1"), format!("{EXECUTION}:child:c1"));
    let answer = json!({"ExecutionArn": child, "StateMachineArn": format!("{MACHINE}:child")}).to_string();
    bench.write(
        "in/parent.json",
        run(&parent, task("Train", "states", "startExecution.sync:2", [100, 110, 150, 9_000], &answer)),
    );
    let mut inside = task("Prepare", "lambda", "invoke", [200, 210, 0, 1_000], "{}");
    inside.extend(task("Fit", "lambda", "invoke", [1_000, 1_010, 0, 8_000], "{}"));
    bench.write("in/child.json", run(&child, inside));
    let folder = bench.folder.path().join("in");
    bench.json(&["import", &folder.to_string_lossy()]);

    let shown = bench.json(&["show", "p1"]);
    let opened: Vec<&Value> =
        shown["critical_path"].as_array().expect("steps").iter().filter(|it| it.get("opens_into").is_some()).collect();
    assert_eq!(opened.len(), 1);
    assert_eq!(
        (&opened[0]["category"], &opened[0]["opens_into"]["execution_arn"]),
        (&json!("callback"), &json!(child))
    );
    let path = opened[0]["opens_into"]["critical_path"].as_array().expect("steps");
    let total: f64 = path.iter().map(|it| it["ms"].as_f64().expect("ms")).sum();
    assert!((total - opened[0]["opens_into"]["duration_ms"].as_f64().expect("ms")).abs() < 1e-9);

    let found = bench.json(&["bottlenecks", "parent"]);
    let train = &found["machines"][0]["states"][0];
    assert_eq!(train["state"], "Train");
    assert_eq!(
        (&train["opens_into"][0]["state"], &train["opens_into"][0]["category"]),
        (&json!("Fit"), &json!("work"))
    );
    assert_eq!(train["opens_into"][0]["time_ms"], 6_990.0);
}

#[test]
fn a_report_tells_a_cold_start_also_without_a_trace() {
    let bench = Bench::new();
    let request = "8cb7aeb9-0b0f-4c1c-9c07-b2d6f3f1a111";
    let output = json!({"Payload": {}, "SdkResponseMetadata": {"RequestId": request}, "StatusCode": 200}).to_string();
    bench.write(
        "in/run.json",
        run(&format!("{EXECUTION}:m:r1"), task("Call", "lambda", "invoke", [10, 20, 0, 820], &output)),
    );
    bench.write(
        "in/function.log",
        format!("REPORT RequestId: {request}\tDuration: 500.00 ms\tBilled Duration: 801 ms\tMemory Size: 128 MB\tMax Memory Used: 70 MB\tInit Duration: 300.25 ms\t\n"),
    );
    let folder = bench.folder.path().join("in");
    bench.json(&["import", &folder.to_string_lossy()]);
    let shown = bench.json(&["show", "r1"]);
    assert_eq!(shown["visits"][0]["split_ms"]["cold_start"], 300.25);
    assert_eq!(shown["visits"][0]["attempts"][0]["cold_start_ms"], 300.25);
    // A request, and 801 ms of 128 MB, at the first tier's list prices.
    let cost = bench.json(&["cost", "stateMachine:m"]);
    assert_eq!(cost["machines"][0]["lambda_usd"], 0.000_001_868_753);
    assert_eq!(cost["machines"][0]["by_state"][0]["lambda_usd"], 0.000_001_868_753);
    let changed = bench.json(&["whatif", "stateMachine:m", "--no-cold-starts"]);
    let mean = |side: &str| changed[side]["mean_ms"].as_f64().expect("ms");
    assert!((mean("before") - mean("after") - 300.25).abs() < 1e-9, "{changed}");
}

#[test]
fn traces_open_the_calls_of_a_demo_and_their_cold_starts_can_be_taken_away() {
    let bench = Bench::new();
    for (form, name) in [("history", "runs.jsonl"), ("xray", "traces.jsonl")] {
        let output = bench.run(&["simulate", "--executions", "60", "--format", form]);
        bench.write(&format!("in/{name}"), output.stdout);
    }
    let folder = bench.folder.path().join("in");
    bench.json(&["import", &folder.to_string_lossy()]);
    let shown = bench.json(&["show", "--all"]);
    for execution in shown["executions"].as_array().expect("executions") {
        let visits = execution["visits"].as_array().expect("visits").len();
        assert_eq!(execution["trace"]["matched"], visits, "{}", execution["execution_arn"]);
        assert_eq!(execution["trace"]["unmatched"], 0);
    }
    let found = bench.json(&["bottlenecks", "image-ingest"]);
    let states = found["machines"][0]["states"].as_array().expect("states");
    let resize = states.iter().find(|it| it["state"] == "ResizeImage").expect("a state");
    assert!(resize["split_ms"]["cold_start"].as_f64().expect("known") > 0.0);
    let changed = bench.json(&["whatif", "image-ingest", "--no-cold-starts"]);
    assert!(changed["after"]["mean_ms"].as_f64() < changed["before"]["mean_ms"].as_f64());
}

#[test]
fn a_way_selects_the_executions_that_took_it() {
    let bench = Bench::demo(300);
    let all = bench.json(&["bottlenecks", "order-processing"]);
    for variant in all["machines"][0]["variants"].as_array().expect("variants") {
        let states: Vec<&str> =
            variant["states"].as_array().expect("states").iter().filter_map(Value::as_str).collect();
        let some = bench.json(&["bottlenecks", "order-processing", "--path", &states.join(" > ")]);
        assert_eq!(some["machines"][0]["executions"], variant["executions"], "{states:?}");
        let report = bench.json(&["states", "order-processing", "--path", &states.join(" → ")]);
        assert_eq!(report["machines"][0]["executions"], variant["executions"], "{states:?}");
        assert_eq!(report["machines"][0]["p50_ms"], variant["p50_ms"], "{states:?}");
        let transitions = report["machines"][0]["states"].as_array().expect("states").iter();
        let transitions: u64 = transitions.filter_map(|it| it["billed_transitions"].as_u64()).sum();
        assert_eq!(variant["billed_transitions"], transitions, "{states:?}");
    }
}

#[test]
fn the_estimate_of_memory_counts_inputs_and_items() {
    let bench = Bench::new();
    let arn = "arn:aws:states:us-east-1:123456789012:express:fan:e1:0f";
    let input = json!({"text": "x".repeat(40_000)}).to_string();
    let mut rows = vec![
        (0, "ExecutionStarted", json!({"input": input})),
        (0, "MapStateEntered", json!({"name": "Each", "input": input})),
        (0, "MapStateStarted", json!({"length": 500})),
    ];
    for item in 0..500 {
        rows.push((1, "MapIterationStarted", json!({"name": "Each", "index": item})));
        rows.push((1, "PassStateEntered", json!({"name": "Same"})));
        rows.push((1, "PassStateExited", json!({"name": "Same"})));
        rows.push((1, "MapIterationSucceeded", json!({"name": "Each", "index": item})));
    }
    rows.push((2, "MapStateSucceeded", json!({})));
    rows.push((2, "MapStateExited", json!({"name": "Each"})));
    rows.push((2, "ExecutionSucceeded", json!({"output": "{}"})));
    let path = bench.write("fan.json", history(arn, &rows));
    bench.json(&["import", &path.to_string_lossy()]);
    let cost = bench.json(&["cost"]);
    let express = &cost["machines"][0]["express"];
    // 50 MB and 500 times 40 KB are 70 MB.
    assert_eq!((&express["billed_memory_mb"], &express["memory_source"]), (&json!(128), &json!("estimate")));
}

/// Ten calls of a function whose trace shows nothing but one call of DynamoDB, and ten of one that calls nothing.
#[test]
fn a_function_that_only_calls_one_service_is_glue() {
    let bench = Bench::new();
    let base = 1_793_448_000.0;
    for number in (0..10).chain(20..30) {
        let machine = if number < 20 { "glue" } else { "sum" };
        let arn = format!("{EXECUTION}:{machine}:g{number}");
        bench.write(&format!("in/{number}.json"), run(&arn, task("Save", "lambda", "invoke", [10, 20, 0, 220], "{}")));
        let id = |place: u64| format!("{:016x}", number * 100 + place);
        let trace = format!("1-6ae49d40-{number:024x}");
        let own = json!({
            "id": id(1), "name": "glue", "trace_id": trace, "start_time": base, "end_time": base + 0.22,
            "origin": "AWS::StepFunctions::StateMachine", "aws": {"resource_arn": arn},
            "subsegments": [{"id": id(2), "name": "Save", "start_time": base + 0.01, "end_time": base + 0.22, "subsegments": [
                {"id": id(3), "name": "Lambda", "namespace": "aws", "start_time": base + 0.02, "end_time": base + 0.22}]}],
        });
        let ended = if number < 20 { base + 0.21 } else { base + 0.06 };
        let inside = json!([{"id": id(6), "name": "DynamoDB", "namespace": "aws", "start_time": base + 0.05,
            "end_time": base + 0.2, "aws": {"operation": "PutItem"}}]);
        let inside = if number < 20 { inside } else { json!([]) };
        let function = json!({
            "id": id(4), "parent_id": id(3), "name": "save", "trace_id": trace, "origin": "AWS::Lambda::Function",
            "start_time": base + 0.03, "end_time": ended, "subsegments": [{"id": id(5), "name": "Invocation",
                "start_time": base + 0.03, "end_time": ended, "subsegments": inside}],
        });
        bench.write(&format!("in/{number}.xray.jsonl"), format!("{own}\n{function}\n"));
    }
    let folder = bench.folder.path().join("in");
    bench.json(&["import", &folder.to_string_lossy()]);
    let cost = bench.json(&["cost"]);
    let of = |name: &str| {
        let machines = cost["machines"].as_array().expect("machines");
        machines.iter().find(|it| it["machine"] == name).expect("a machine")["waste"]["glue"].clone()
    };
    // Below the other machine's function nothing was traced, and it is short.
    assert_eq!((&of("sum")[0]["state"], &of("sum")[0]["service"]), (&json!("Save"), &Value::Null));
    let glue = of("glue");
    assert_eq!((&glue[0]["state"], &glue[0]["service"]), (&json!("Save"), &json!("DynamoDB")));
    assert_eq!(glue[0]["lambda_usd"], Value::Null);
    // Ten calls of 180 ms with 512 MB: 0.9 GB-seconds and ten requests.
    let cost = bench.json(&["cost", "stateMachine:glue", "--function-memory", "save=512"]);
    let by_state = &cost["machines"][0]["by_state"][0];
    assert_eq!((&by_state["lambda_calls"], &by_state["lambda_usd"]), (&json!(10), &json!(0.000_017_000_03)));
}
