//! One record that AWS cannot have sent, or that lacks its start, leaves every report about the others as it is.

use serde_json::json;

use crate::stepscope::Bench;

const ARN: &str = "arn:aws:states:eu-west-1:123456789012:execution:orders";

/// A history of three events that begins at a time.
fn history(name: &str, start: &serde_json::Value) -> String {
    let event = |id: u64, kind: &str| json!({"id": id, "previousEventId": id - 1, "type": kind, "timestamp": start});
    let events = [event(1, "ExecutionStarted"), event(2, "ExecutionSucceeded")];
    json!({"executionArn": format!("{ARN}:{name}"), "events": events}).to_string()
}

fn import(bench: &Bench) -> serde_json::Value {
    bench.json(&["import", &bench.folder.path().join("in").to_string_lossy()])
}

#[test]
fn an_execution_without_a_start_is_left_out_of_statistics_by_time_and_counted() {
    let bench = Bench::new();
    let log = bench.run(&["simulate", "--executions", "30"]);
    let log = String::from_utf8(log.stdout).expect("text");
    let mut lines: Vec<&str> = log.lines().collect();
    // A log that was cut at the front.
    let first = serde_json::from_str::<serde_json::Value>(lines[0]).expect("JSON")["execution_arn"].clone();
    lines.retain(|it| !(it.contains(first.as_str().expect("an ARN")) && it.contains("\"ExecutionStarted\"")));
    bench.write("in/log.jsonl", lines.join("\n"));
    import(&bench);
    assert_eq!(bench.rows("SELECT count(*) FROM executions WHERE started_at IS NULL"), ["[1]"]);
    assert_eq!(bench.json(&["incidents"])["without_start_count"], 1);
    for command in ["incidents", "audit", "states", "bottlenecks", "report health", "cost --by day"] {
        let arguments: Vec<&str> = command.split(' ').collect();
        let output = bench.run(&arguments);
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn times_that_cannot_be_are_set_aside_with_a_reason() {
    for (start, bound) in [
        (json!("0000-01-01T00:00:00Z"), "MIN_TIME"),
        (json!(0), "MIN_TIME"),
        (json!("1999-12-31T23:59:59Z"), "MIN_TIME"),
        (json!("9999-01-01T00:00:00Z"), "MAX_AHEAD"),
    ] {
        let bench = Bench::new();
        bench.write("in/good.json", history("good", &json!("2026-09-01T00:00:00Z")));
        bench.write("in/odd.json", history("odd", &start));
        let result = import(&bench);
        assert_eq!((&result["executions"], &result["quarantined"]), (&1.into(), &2.into()), "{result}");
        assert!(result["quarantine"][0]["reason"].as_str().is_some_and(|it| it.contains(bound)), "{result}");
        // What `--now` says changes nothing of it.
        let again = Bench::new();
        let path = again.write("odd.json", history("odd", &start));
        let output = again.run(&["import", "--now", "9998-12-01", &path.to_string_lossy()]);
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn numbers_that_cannot_be_are_set_aside_and_sums_stay_sums() {
    let bench = Bench::new();
    bench.write("in/good.json", history("good", &json!("2026-09-01T00:00:00Z")));
    for (name, memory) in [("huge", "18446744073709551615"), ("beyond", "1e30")] {
        let answer = format!(
            "{{\"executionArn\":\"arn:aws:states:eu-west-1:123456789012:express:orders:{name}:0f\",\"name\":\"{name}\",\"status\":\"SUCCEEDED\",\"startDate\":1790000000,\"stopDate\":1790000001,\"billingDetails\":{{\"billedMemoryUsedInMB\":{memory},\"billedDurationInMilliseconds\":100}}}}"
        );
        bench.write(&format!("in/{name}.json"), answer);
    }
    let result = import(&bench);
    assert_eq!((&result["executions"], &result["quarantined"]), (&1.into(), &2.into()), "{result}");
    for command in ["cost", "audit", "export focus", "dash --once --offline --view cost"] {
        let arguments: Vec<&str> = command.split(' ').collect();
        let output = bench.run(&arguments);
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
