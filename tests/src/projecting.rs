//! What a month costs is said where enough is known, and nowhere else.

use serde_json::{Value, json};

use crate::stepscope::Bench;

/// Executions of one state, at these milliseconds.
fn log(starts: impl Iterator<Item = i64>) -> String {
    let one = |(n, at): (usize, i64)| {
        let event = |id: u64, kind: &str, details: Value| {
            let line = json!({
                "id": id.to_string(), "type": kind, "details": details, "previous_event_id": (id - 1).to_string(),
                "event_timestamp": (at + 10 * id.cast_signed()).to_string(), "redrive_count": "0",
                "execution_arn": format!("arn:aws:states:us-east-1:123456789012:execution:orders:e{n}"),
            });
            format!("{line}\n")
        };
        [
            event(1, "ExecutionStarted", json!({"input": "{}"})),
            event(2, "PassStateEntered", json!({"name": "A", "input": "{}"})),
            event(3, "PassStateExited", json!({"name": "A", "output": "{}"})),
            event(4, "ExecutionSucceeded", json!({"output": "{}"})),
        ]
        .concat()
    };
    starts.enumerate().map(one).collect()
}

const START_MS: i64 = 1_764_000_000_000;
const HOUR_MS: i64 = 3_600_000;

fn stored(starts: impl Iterator<Item = i64>) -> Bench {
    let bench = Bench::new();
    let path = bench.write("log.jsonl", log(starts));
    assert!(bench.run(&["import", &path.to_string_lossy()]).status.success());
    bench
}

/// Every command that speaks of a month, over a database.
fn months_are_not_known(bench: &Bench) {
    let cost = bench.json(&["cost"]);
    crate::command_line::is_valid(bench, "cost", &cost);
    for it in [&cost, &cost["machines"][0]] {
        assert_eq!(it["projection_month"], Value::Null);
        assert!(it["projection_reason"].as_str().is_some_and(|it| it.contains("24")), "{it}");
    }
    assert_eq!(cost["machines"][0]["forecast_month"], Value::Null);
    assert_eq!(cost["machines"][0]["saves_usd_per_month"], Value::Null);
    let crossed = bench.run(&["cost", "--fail-on", "month_usd>=0"]);
    assert_eq!(crossed.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&crossed.stderr).contains("month_usd is not known"));
    let usage = bench.run(&["export", "infracost"]);
    let usage = String::from_utf8_lossy(&usage.stdout).into_owned();
    assert!(usage.contains("no month is projected") && !usage.contains("monthly_"), "{usage}");
    for command in [&["cost"][..], &["audit"], &["report", "cost"], &["dash", "--once", "--view", "cost"]] {
        let output = bench.run(command);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!text.contains(" a month at this rate"), "{command:?}: {text}");
        let has_exponent = text.split('$').skip(1).any(|it| {
            it.split(|it: char| !it.is_ascii_alphanumeric() && !".-".contains(it))
                .next()
                .unwrap_or_default()
                .contains("e-")
        });
        assert!(!has_exponent, "{command:?}: {text}");
    }
}

#[test]
fn one_execution_projects_nothing() {
    months_are_not_known(&stored(std::iter::once(START_MS)));
}

#[test]
fn an_hour_or_a_midnight_projects_nothing() {
    months_are_not_known(&stored((0..60).map(|it| START_MS + it * 60_000)));
    let midnight = START_MS - START_MS % (24 * HOUR_MS);
    months_are_not_known(&stored([midnight - 60_000, midnight + 60_000].into_iter()));
}

#[test]
fn whole_days_project_a_month_at_list_price() {
    // 10 days with 200 executions each, of one transition.
    let midnight = START_MS - START_MS % (24 * HOUR_MS);
    let bench = stored((0..2_000).map(|it| midnight + it * 24 * HOUR_MS / 200));
    let cost = bench.json(&["cost"]);
    crate::command_line::is_valid(&bench, "cost", &cost);
    let month = &cost["machines"][0]["projection_month"];
    let transitions = cost["machines"][0]["billed_transitions"].as_f64().expect("a count");
    let expected = transitions * 0.000_025 / 10.0 * 30.437;
    let usd = month["usd"].as_f64().expect("a month");
    assert!((usd - expected).abs() < 1e-9, "{usd} {expected}");
    assert_eq!((month["rough"].as_bool(), month["basis_days"].as_f64()), (Some(false), Some(10.0)));
    // 6,000 a month are above the free tier of the account; so much less does it pay.
    let account = cost["projection_month"]["usd"].as_f64().expect("a month");
    assert!((usd - account - 0.1).abs() < 1e-9, "{usd} {account}");
    let rough = bench.json(&["cost", "--since", "2025-11-28", "--until", "2025-12-01"]);
    assert_eq!(rough["machines"][0]["projection_month"]["rough"], true);
    assert_eq!(rough["machines"][0]["projection_month"]["basis_days"].as_f64(), Some(3.0));
}

#[test]
fn the_demo_counts_as_a_day_that_was_collected() {
    let bench = Bench::demo(400);
    let cost = bench.json(&["cost"]);
    for it in cost["machines"].as_array().expect("machines") {
        let month = &it["projection_month"];
        assert_eq!((month["rough"].as_bool(), month["basis_days"].as_f64()), (Some(true), Some(1.0)), "{it}");
        assert_eq!(it["projection_reason"], Value::Null);
    }
    let hour = bench.json(&["cost", "--since", "2026-10-31T23:00:00Z"]);
    assert_eq!(hour["machines"][0]["projection_month"], Value::Null);
}
