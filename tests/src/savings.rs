//! What a change saves is what the account pays less after it: the free tier is there once, for all machines and each month.

use serde_json::{Value, json};

use crate::stepscope::Bench;

const DAY_MS: i64 = 86_400_000;
/// 2026-10-02.
const BEGIN_MS: i64 = 1_790_899_200_000;
/// Dollars of a transition in us-east-1.
const TRANSITION: f64 = 0.000_025;
const FREE: f64 = 4_000.0;
/// A month has so many days.
const MONTH: f64 = 30.437;

/// Log lines of executions of so many states, each of which takes so many milliseconds.
fn log(machine: &str, is_express: bool, starts: impl Iterator<Item = i64>, (states, ms): (usize, i64)) -> String {
    let kind = if is_express { "express" } else { "execution" };
    let mut lines = String::new();
    for (n, begun) in starts.enumerate() {
        let suffix = if is_express { format!(":{n:08}-0000-4000-8000-000000000000") } else { String::new() };
        let arn = format!("arn:aws:states:us-east-1:111111111111:{kind}:{machine}:n{n}{suffix}");
        let (mut id, mut at) = (0_u64, begun);
        let mut add = |kind: &str, details: Value, after: i64| {
            (id, at) = (id + 1, at + after);
            let line = json!({
                "id": id.to_string(), "type": kind, "details": details, "previous_event_id": (id - 1).to_string(),
                "event_timestamp": at.to_string(), "redrive_count": "0", "execution_arn": arn,
            });
            lines += &format!("{line}\n");
        };
        add("ExecutionStarted", json!({"input": "{}"}), 0);
        for state in 0..states {
            let name = format!("S{}", state % 4);
            add("WaitStateEntered", json!({"name": name, "input": "{}"}), 0);
            add("WaitStateExited", json!({"name": name, "output": "{}"}), ms);
        }
        add("ExecutionSucceeded", json!({"output": "{}"}), 0);
    }
    lines
}

fn stored(logs: &[String]) -> Bench {
    let bench = Bench::new();
    let path = bench.write("log.jsonl", logs.concat());
    assert!(bench.run(&["import", &path.to_string_lossy()]).status.success());
    bench
}

fn usd(it: &Value) -> f64 {
    it.as_f64().unwrap_or_else(|| panic!("{it} is an amount"))
}

fn is_about(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
}

#[test]
fn what_others_pay_more_counts_against_a_move_to_standard() {
    let hour = DAY_MS / 24;
    let bench = stored(&[
        log("exp", true, (0..100).map(|it| BEGIN_MS + it * hour), (40, 1_500)),
        log("std", false, (0..100).map(|it| BEGIN_MS + 18 * DAY_MS + it * hour), (40, 1)),
    ]);
    let cost = bench.json(&["cost", "exp", "--what-if", "type=standard"]);
    crate::command_line::is_valid(&bench, "cost", &cost);
    let machine = &cost["machines"][0];
    assert_eq!(machine["recommendation"], "stay", "{machine}");
    assert_eq!(machine["saves_usd"], 0);
    // The first 4,000 are free, and the other machine's 4,000 would not be any more.
    let saves = usd(&machine["of_usd"]) - FREE * TRANSITION;
    for it in [&machine["standard"], &machine["what_if"], &cost["what_if"]] {
        is_about(usd(&it["saves_usd"]), saves);
    }
    assert_eq!(cost["what_if"]["others_save_usd"], 0);
}

#[test]
fn a_month_has_its_free_tier_once_however_short_the_measured_time() {
    // 4,000 transitions in twelve days are free, and 10,146 in a month are not.
    let starts = (0..100).map(|it| BEGIN_MS + it * 12 * DAY_MS / 100);
    let bench = stored(&[log("exp", true, starts, (40, 7_000))]);
    let cost = bench.json(&["cost"]);
    let machine = &cost["machines"][0];
    assert_eq!((machine["standard"]["usd"].as_f64(), &machine["recommendation"]), (Some(0.0), &json!("stay")));
    assert!(usd(&machine["standard"]["saves_usd"]) > 0.0);
    assert_eq!((usd(&machine["saves_usd_per_month"]), usd(&cost["saves_usd_per_month"])), (0.0, 0.0));
    assert_eq!(bench.run(&["cost", "--fail-on", "saves_usd>0"]).status.code(), Some(0));
}

#[test]
fn several_changes_save_what_they_save_together() {
    // Each alone would stay within the free tier of a month; both together do not.
    let of_month = |it: i64| BEGIN_MS + it * 28 * DAY_MS / 90;
    let bench = stored(&["a", "b"].map(|it| log(it, true, (0..90).map(of_month), (40, 30_000))));
    let cost = bench.json(&["cost"]);
    let machines = cost["machines"].as_array().expect("machines");
    let each: Vec<f64> = machines.iter().map(|it| usd(&it["saves_usd_per_month"])).collect();
    assert!(machines.iter().all(|it| it["recommendation"] == "move_to_standard"), "{cost}");
    let paid: f64 = machines.iter().map(|it| usd(&it["projection_month"]["usd"])).sum();
    // Free alone: everything is saved. Together the transitions beyond 4,000 are paid; the logs are not needed any more.
    let days = usd(&machines[0]["projection_month"]["basis_days"]);
    let transitions = 2.0 * 3_600.0 / days * MONTH;
    let logs: f64 = machines.iter().map(|it| it["logs_usd"].as_f64().unwrap_or(0.0)).sum::<f64>() / days * MONTH;
    let together = paid + logs - (transitions - FREE) * TRANSITION;
    is_about(usd(&cost["saves_usd_per_month"]), together);
    assert!(each.iter().sum::<f64>() > together + 0.01, "{each:?}");
    let report = bench.json(&["report", "cost", "--since", "2026-10-01", "--until", "2026-11-01"]);
    crate::command_line::is_valid(&bench, "report", &report);
    assert_eq!(report["actions"].as_array().map(Vec::len), Some(2));
    let page = bench.run(&["report", "cost", "--since", "2026-10-01", "--until", "2026-11-01", "-o", "markdown"]);
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    assert!(page.contains("2 changes together would save"), "{page}");
}

#[test]
fn from_a_part_of_the_transitions_nothing_is_promised() {
    let whole = log("exp", true, (0..50).map(|it| BEGIN_MS + it * DAY_MS / 2), (40, 1_500));
    // Of one only the beginning and the end are known.
    let cut: String =
        whole.lines().filter(|it| !(it.contains("n7:") && it.contains("StateE"))).collect::<Vec<_>>().join("\n");
    let bench = stored(&[cut]);
    let machine = &bench.json(&["cost"])["machines"][0];
    assert_eq!(machine["standard"]["usd"], Value::Null, "{machine}");
    assert_eq!((&machine["recommendation"], &machine["saves_usd"]), (&json!("unknown"), &Value::Null));
    assert!(usd(&machine["actual_usd"]) > 0.0);
}

#[test]
fn a_month_of_express_is_its_list_price_by_the_memory_that_was_billed() {
    // Four days, four runs of a minute in each; CloudWatch says that 256 MB were billed.
    let starts = (0..16).map(|it| BEGIN_MS + it * DAY_MS / 4);
    let bench = stored(&[log("exp", true, starts, (1, 60_000))]);
    let arn = "arn:aws:states:us-east-1:111111111111:stateMachine:exp";
    let data = json!({"MetricDataResults": [{
        "Label": "ExpressExecutionBilledMemory", "Timestamps": ["2026-10-02T00:00:00Z"], "Values": [256.0],
    }]});
    let path = bench.write("metric.json", data.to_string());
    bench.json(&["import", "--state-machine", arn, &path.to_string_lossy()]);
    let cost = bench.json(&["cost", "--tier-used", "18000000"]);
    let machine = &cost["machines"][0];
    assert_eq!(machine["express"]["billed_memory_mb"], 256);
    let month = &machine["projection_month"];
    // The tiers that were used up elsewhere make it cheaper, and list price knows nothing of them.
    assert!(usd(&machine["actual_usd"]) < usd(&machine["list_usd"]));
    is_about(usd(&month["usd"]), usd(&machine["list_usd"]) / 4.0 * MONTH);
}

#[test]
fn a_free_tier_that_is_used_elsewhere_is_not_in_the_months_projection() {
    let bench = Bench::demo(400);
    let month = |options: &[&str]| usd(&bench.json(&[&["cost"], options].concat())["projection_month"]["usd"]);
    is_about(month(&["--free-tier-used", "4000"]) - month(&[]), FREE * TRANSITION);
    is_about(month(&["--free-tier-used", "1000"]) - month(&[]), 1_000.0 * TRANSITION);
}
