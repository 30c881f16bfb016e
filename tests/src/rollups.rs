//! Hourly sums say what every visit says, whatever was imported in what order, replaced or forgotten.

use serde_json::Value;

use crate::stepscope::{Bench, corpora};

/// The two reports: sums and counts alike, percentiles near each other.
fn compare(bench: &Bench) {
    let (exact, near) = (bench.json(&["states"]), bench.json(&["states", "--approximate"]));
    assert_eq!(near["approximate"], true);
    let machines = |it: &Value| it["machines"].as_array().expect("machines").clone();
    assert_eq!(machines(&exact).len(), machines(&near).len());
    for (exact, near) in machines(&exact).iter().zip(&machines(&near)) {
        assert_eq!(
            (&exact["state_machine_arn"], &exact["executions"], &exact["complete"]),
            (&near["state_machine_arn"], &near["executions"], &near["complete"])
        );
        let states = |it: &Value| it["states"].as_array().expect("states").clone();
        assert_eq!(states(exact).len(), states(near).len(), "{}", exact["state_machine_arn"]);
        for (exact, near) in states(exact).iter().zip(&states(near)) {
            for key in [
                "state",
                "type",
                "visits",
                "failures",
                "retries",
                "critical_ms_mean",
                "critical_share",
                "billed_transitions",
                "usd",
            ] {
                assert_eq!(exact[key], near[key], "{key} of {}", exact["state"]);
            }
            for key in ["work", "callback", "queue", "backoff", "wait", "slot_wait", "overhead"] {
                assert_eq!(exact["split_ms"][key], near["split_ms"][key], "{key} of {}", exact["state"]);
            }
            let (max, near_max) = (exact["max_ms"].as_f64().unwrap_or(0.0), near["max_ms"].as_f64().unwrap_or(0.0));
            assert!((max - near_max).abs() <= max * 0.01, "{max} and {near_max} of {}", exact["state"]);
        }
    }
}

#[test]
fn sums_and_percentiles_of_the_rollups_are_those_of_the_visits() {
    let bench = Bench::demo(3_000);
    compare(&bench);
    let (exact, near) = (bench.json(&["states"]), bench.json(&["states", "--approximate"]));
    for (exact, near) in
        exact["machines"].as_array().expect("machines").iter().zip(near["machines"].as_array().expect("machines"))
    {
        for key in ["p50_ms", "p95_ms"] {
            let (exact, near) = (exact[key].as_f64().expect("ms"), near[key].as_f64().expect("ms"));
            assert!((exact - near).abs() <= exact * 0.02, "{key}: {exact} and {near}");
        }
    }
    let (exact, near) = (bench.json(&["bottlenecks"]), bench.json(&["bottlenecks", "--approximate"]));
    let order = |it: &Value| -> Vec<String> {
        let machines = it["machines"].as_array().expect("machines");
        machines.iter().map(|it| format!("{} {}", it["state_machine_arn"], it["states"][0]["state"])).collect()
    };
    let sorted = |mut it: Vec<String>| {
        it.sort();
        it
    };
    assert_eq!(sorted(order(&exact)), sorted(order(&near)));
}

#[test]
fn what_is_replaced_or_forgotten_is_taken_out_of_the_rollups() {
    let bench = Bench::new();
    let lines = bench.run(&["simulate", "--executions", "300"]).stdout;
    let lines: Vec<&[u8]> = lines.split_inclusive(|it| *it == b'\n').collect();
    // Every third line first: most executions come in several pieces, and are replaced.
    for part in 0..3 {
        let piece: Vec<u8> = lines.iter().skip(part).step_by(3).copied().flatten().copied().collect();
        let path = bench.write(&format!("{part}.jsonl"), piece);
        bench.json(&["import", &path.to_string_lossy()]);
        compare(&bench);
    }
    bench.json(&["import", &corpora().join("histories").to_string_lossy()]);
    compare(&bench);
    let listed = bench.json(&["executions", "--limit", "5"]);
    for it in listed["executions"].as_array().expect("executions") {
        let output = bench.run(&["forget", it["execution_arn"].as_str().expect("an ARN")]);
        assert!(output.status.success());
    }
    compare(&bench);
    let output = bench.run(&["prune", "--before", "2026-10-31T12:00:00Z"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    compare(&bench);
}
