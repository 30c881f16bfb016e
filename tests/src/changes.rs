//! A change has one pair of figures, wherever it is shown, and what the figures rest on is stated.

use serde_json::{Value, json};

use crate::stepscope::Bench;

/// The state machine that has the incident.
const ORDERS: &str = "order-processing";

fn text_of(bench: &Bench, arguments: &[&str]) -> String {
    let output = bench.run(&[&["--now", "2026-11-01T00:00:00Z"], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Seconds with two or one decimal, as every face writes them.
fn seconds(ms: f64) -> String {
    let text = if ms < 10_000.0 { format!("{:.2}", ms / 1e3) } else { format!("{:.1}", ms / 1e3) };
    format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
}

#[test]
fn every_face_shows_the_same_pair_for_a_change() {
    let bench = Bench::demo(2_000);
    let found = bench.json(&["incidents", ORDERS]);
    let is_p95 = |it: &&Value| it["metric"] == "p95_ms" && it["state"].is_null();
    let change = found["incidents"].as_array().expect("changes").iter().find(is_p95).expect("a change of the p95");
    let (before, after) = (change["before"].as_f64().expect("ms"), change["after"].as_f64().expect("ms"));
    // The comparison of its ranges, and the one that is proposed without any.
    let range = |side: &str| {
        let at = |end: &str| change[side][end].as_str().expect("a time").to_owned();
        format!("{}/{}", at("from"), at("to"))
    };
    let (baseline, incident) = (range("baseline"), range("incident"));
    let given = bench.json(&["compare", ORDERS, "--baseline", &baseline, "--incident", &incident]);
    let proposed = bench.json(&["compare", ORDERS]);
    for compared in [&given, &proposed] {
        let p95 = |side: &str| compared["latency"][side]["p95_ms"].as_f64().expect("ms");
        assert!((p95("baseline") - before).abs() < 0.001, "{before} {}", compared["latency"]);
        assert!((p95("incident") - after).abs() < 0.001, "{after} {}", compared["latency"]);
    }
    // The same words on every screen.
    let (before, after) = (seconds(before), seconds(after));
    let overview = text_of(&bench, &["dash", "--once", "--size", "160x40"]);
    assert!(overview.contains(&format!("p95 {after}, was {before}")), "{before} {after}\n{overview}");
    let view = text_of(&bench, &["dash", "--once", "--view", "incident order-processing", "--size", "160x40"]);
    assert!(view.contains(&format!("p95 {before} → {after}")), "{before} {after}\n{view}");
    let listed = text_of(&bench, &["incidents", ORDERS]);
    assert!(listed.lines().any(|it| it.contains(&before) && it.contains(&after)), "{listed}");
}

#[test]
fn a_report_of_the_whole_time_shows_that_pair_too() {
    let bench = Bench::demo(2_000);
    let period = ["--since", "2026-10-31T12:00:00Z", "--until", "2026-11-01T00:00:00Z"];
    let health = bench.json(&[&["report", "health"], &period[..]].concat());
    let is_orders = |it: &&Value| it["machine"] == ORDERS;
    let machine = health["machines"].as_array().expect("machines").iter().find(is_orders).expect("the machine");
    let is_p95 = |it: &&Value| it["metric"] == "p95_ms";
    let change = machine["changes"].as_array().expect("changes").iter().find(is_p95).expect("a change");
    let incident = bench.json(&[&["report", "incident"], &period[..]].concat());
    let range = |value: &Value, side: &str| (value[side]["from"].clone(), value[side]["to"].clone());
    assert_eq!(range(change, "baseline"), range(&incident, "baseline"));
    let p95 = |side: &str| incident["latency"][side]["p95_ms"].as_f64().expect("ms");
    assert!((p95("baseline") - change["before"].as_f64().expect("ms")).abs() < 0.001, "{change} {incident}");
    assert!((p95("incident") - change["after"].as_f64().expect("ms")).abs() < 0.001, "{change} {incident}");
}

/// The view replays a sample, but what it says of all executions is what the command says of them.
#[test]
fn the_dashboard_rests_on_all_executions_of_the_range() {
    let bench = Bench::demo(8_000);
    let told = bench.json(&["bottlenecks", ORDERS]);
    let machine = &told["machines"][0];
    assert!(machine["executions"].as_u64() > Some(2_000), "more than are replayed");
    let p95 = seconds(machine["p95_ms"].as_f64().expect("ms"));
    let top = &machine["states"][0];
    let share = (top["critical_share"].as_f64().expect("a share") * 100.0).round();
    let view = text_of(&bench, &["dash", "--once", "--view", "bottlenecks order-processing", "--size", "160x40"]);
    assert!(view.contains(&format!("p95 {p95}")), "{p95}\n{view}");
    assert!(view.contains(&format!("ChargeCard is {share} % of the critical path")), "{share}\n{view}");
    assert!(view.contains("replayed: "), "{view}");
}

#[test]
fn errors_on_the_way_are_found() {
    let bench = Bench::demo(2_000);
    let count = |arguments: &[&str]| bench.json(arguments)["executions"].as_array().expect("rows").len();
    let retried = "Lambda.TooManyRequestsException";
    let by_sql = bench.json(&[
        "sql",
        "SELECT count(DISTINCT execution_arn) FROM events WHERE error = 'Lambda.TooManyRequestsException'",
    ]);
    let met = by_sql["rows"][0][0].as_u64().expect("a count");
    assert!(met > 20, "{by_sql}");
    assert_eq!(count(&["executions", "--error", retried]) as u64, met);
    assert_eq!(count(&["executions", "--search", "TooManyRequests"]) as u64, met);
}

/// One log line of an Express execution.
fn line(name: usize, id: u64, kind: &str, details: &str, at: u64) -> String {
    format!(
        r#"{{"id":"{id}","type":"{kind}","details":{details},"previous_event_id":"{}","event_timestamp":"{at}","execution_arn":"arn:aws:states:us-east-1:123456789012:express:checkout:run{name}:0d4a{name}"}}"#,
        id - 1
    ) + "\n"
}

/// At level ERROR only failures are logged: 100 % of what is seen failed, which says nothing.
#[test]
fn a_failure_rate_is_not_known_where_only_failures_are_logged() {
    let bench = Bench::new();
    let failures: String = (0..30)
        .map(|run| {
            let at = 1_793_491_200_000 + run as u64 * 60_000;
            line(
                run,
                4,
                "TaskFailed",
                r#"{"resourceType":"lambda","resource":"invoke","error":"Boom","cause":"x"}"#,
                at,
            ) + &line(run, 5, "ExecutionFailed", r#"{"error":"Boom","cause":"x"}"#, at + 5)
        })
        .collect();
    let log = bench.write("errors.jsonl", failures);
    bench.json(&["import", &log.to_string_lossy()]);
    let overview = text_of(&bench, &["dash", "--once"]);
    assert!(overview.contains("not known") && !overview.contains("100.0 %"), "{overview}");
    assert!(!overview.contains("of all executions fail"), "{overview}");
    // CloudWatch's counts make it known.
    let counts = [("ExecutionsStarted", 1_000), ("ExecutionsFailed", 28), ("ExecutionsTimedOut", 2)];
    let results: Vec<Value> = counts
        .iter()
        .map(|(name, value)| json!({"Label": name, "Timestamps": ["2026-11-01T00:00:00Z"], "Values": [value]}))
        .collect();
    let metrics = bench.write("metrics.json", json!({"MetricDataResults": results}).to_string());
    let machine = "arn:aws:states:us-east-1:123456789012:stateMachine:checkout";
    bench.json(&["import", "--state-machine", machine, &metrics.to_string_lossy()]);
    let overview = text_of(&bench, &["dash", "--once", "--size", "160x40"]);
    assert!(overview.contains("3.0 % (CloudWatch)"), "{overview}");
}
