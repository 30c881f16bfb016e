//! `compare`, `incidents` and `mark` on the demo, from the outside.

use crate::stepscope::Bench;

/// The machine that has the incident.
const ORDERS: &str = "order-processing";

/// Whenever the demo ends: spans are laid from the newest execution back, not from the full hour.
#[test]
fn the_demo_has_its_incident_at_any_time_of_day() {
    for end in ["2026-11-25T09:31:00Z", "2026-11-20T03:47:11Z"] {
        let bench = Bench::demo_until(2_000, end);
        let compared = bench.json(&["compare", "order-processing"]);
        assert_eq!(compared["causes"][0]["state"], "ChargeCard", "{end}");
        let found = bench.json(&["incidents"]);
        let machines = found["incidents"].as_array().expect("incidents");
        let is_orders = |it: &serde_json::Value| {
            it["state_machine_arn"].as_str().is_some_and(|it| it.ends_with(":order-processing"))
        };
        assert!(machines.iter().all(is_orders), "{found}");
    }
}

/// On the demo the injected cause comes first, since the injected hour, and the parts add up.
#[test]
fn the_demo_names_its_incident() {
    let bench = Bench::demo(2_000);
    let found = bench.json(&["incidents", "order-processing"]);
    let at = found["incidents"][0]["at"].as_str().expect("an incident").to_owned();
    assert!(at.starts_with("2026-10-31T22:"), "{at}");
    let compared = bench.json(&["compare", "order-processing", "--all"]);
    let first = &compared["causes"][0];
    assert_eq!((&first["state"], &first["category"]), (&"ChargeCard".into(), &"backoff".into()));
    let sum: f64 =
        compared["causes"].as_array().expect("causes").iter().filter_map(|it| it["contribution_ms"].as_f64()).sum();
    let rest = compared["unexplained_ms"].as_f64().expect("a rest");
    let difference = compared["latency"]["difference_ms"].as_f64().expect("a difference");
    assert!((sum + rest - difference).abs() < 0.05, "{sum} {rest} {difference}");
    // Nothing changed elsewhere, and that is an answer.
    let quiet = bench.json(&["compare", "image-ingest"]);
    assert_eq!(quiet["causes"], serde_json::json!([]));
    crate::command_line::is_valid(&bench, "compare", &quiet);
}

/// Where nothing differs nobody carries the difference, though its parts are many times as large as it.
#[test]
fn without_a_difference_no_slice_is_named() {
    let bench = Bench::demo(2_000);
    let halves = [
        "--baseline",
        "2026-10-30T00:00:00Z/2026-10-31T12:00:00Z",
        "--incident",
        "2026-10-31T12:00:00Z/2026-11-01T00:00:00Z",
    ];
    let arguments = |machine| ["compare", machine].into_iter().chain(halves).collect::<Vec<_>>();
    let output = bench.run(&[&arguments("image-ingest")[..], &["-o", "json"]].concat());
    let same: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(same["latency"]["incident"]["n"].as_u64() > Some(100), "{same}");
    assert_eq!(same["slices"], serde_json::json!([]));
    let ranges = [
        "--baseline",
        "2026-10-30T00:00:00Z/2026-10-31T21:00:00Z",
        "--incident",
        "2026-10-31T21:00:00Z/2026-11-01T00:00:00Z",
    ];
    let different = bench.json(&[&["compare", ORDERS][..], &ranges[..]].concat());
    assert_ne!(different["slices"], serde_json::json!([]));
}

#[test]
fn a_deployment_is_marked_once_and_divides_before_from_after() {
    let bench = Bench::demo(1_000);
    let mark = ["mark", "deploy", ORDERS, "--at", "2026-10-31T22:40:00Z", "--label", "v14"];
    let first = bench.json(&mark);
    assert_eq!((&first["new"], &first["at"]), (&true.into(), &"2026-10-31T22:40:00.000Z".into()));
    assert_eq!(bench.json(&mark)["new"], false);
    let compared = bench.json(&["compare", ORDERS, "--since-deploy"]);
    assert_eq!(compared["incident"]["from"], "2026-10-31T22:40:00.000Z");
    assert_eq!(compared["causes"][0]["state"], "ChargeCard");
    assert_eq!(compared["deployments"][0]["label"], "v14");
    assert_eq!(bench.json(&["compare", ORDERS, "--since-deploy=v14"])["incident"], compared["incident"]);
    for refused in [
        &["compare", ORDERS, "--since-deploy=v15"][..],
        &["compare", "image-ingest", "--since-deploy"],
        &["mark", "deploy", "nobody", "--label", "x"],
        &["mark", "deploy", "--label", " "],
    ] {
        assert_eq!(bench.run(refused).status.code(), Some(2), "{refused:?}");
    }
}

#[test]
fn errors_are_grouped_and_those_that_rose_come_first() {
    let bench = Bench::demo(2_000);
    let compared = bench.json(&["compare", ORDERS]);
    let first = &compared["errors"][0];
    assert_eq!((&first["state"], &first["error"]), (&"ChargeCard".into(), &"Lambda.TooManyRequestsException".into()));
    assert!(first["retried"].as_u64() > first["fatal"].as_u64(), "{first}");
    assert!(first["examples"].as_array().is_some_and(|it| !it.is_empty()));
    let refused = compared["errors"].as_array().expect("errors").iter().find(|it| it["error"] == "OrderRefused");
    let failed = bench.json(&["executions", ORDERS, "--status", "FAILED"]);
    let n_failed = failed["executions"].as_array().expect("executions").len() as u64;
    assert!(n_failed > 10, "{failed}");
    assert_eq!(refused.map(|it| it["fatal"].as_u64()), Some(Some(n_failed)), "each that the demo fails");
}

#[test]
fn two_executions_differ_by_the_sum_of_their_parts() {
    let bench = Bench::demo(300);
    let listed = bench.json(&["executions"]);
    let mut runs: Vec<(f64, String)> = listed["executions"]
        .as_array()
        .expect("executions")
        .iter()
        .filter(|it| it["machine"] == ORDERS)
        .map(|it| (it["duration_ms"].as_f64().unwrap_or(0.0), it["execution_arn"].as_str().unwrap_or("").to_owned()))
        .collect();
    runs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (short, long) = (&runs[0], &runs[runs.len() - 1]);
    let twins = bench.json(&["compare", &long.1, &short.1]);
    let sum: f64 = twins["parts"].as_array().expect("parts").iter().filter_map(|it| it["difference_ms"].as_f64()).sum();
    assert!((sum - twins["difference_ms"].as_f64().expect("a difference")).abs() < 1e-6);
    assert!((twins["difference_ms"].as_f64().expect("a difference") - (long.0 - short.0)).abs() < 1e-6);
    assert_eq!(bench.run(&["compare", &long.1, &long.1]).status.code(), Some(2));
}

#[test]
fn a_report_stands_alone_and_names_no_account() {
    let bench = Bench::demo(1_000);
    for name in ["incident.md", "incident.html", "incident.json"] {
        let path = bench.folder.path().join(name);
        let output = bench.run(&["compare", ORDERS, "--report", &path.to_string_lossy()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = std::fs::read_to_string(&path).expect("a page");
        assert!(name != "incident.json" || serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
        assert!(text.contains("ChargeCard") && text.contains("TooManyRequests"), "{name}");
        assert!(!text.contains("123456789012"), "{name} names the account");
        assert!(!text.contains("<script") && !text.contains("http://") && !text.contains("https://"), "{name}");
    }
    // Who reads it has a clock of their own.
    let path = bench.folder.path().join("local.md");
    let range =
        ["--baseline", "2026-10-31T20:00Z/2026-10-31T22:00Z", "--incident", "2026-10-31T22:00Z/2026-11-01T00:00Z"];
    let mut command = bench.command(&["compare", ORDERS, "--report", &path.to_string_lossy()]);
    let output = command.args(range).env("TZ", "XYZ-2").output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(&path).expect("a page");
    assert!(text.contains("| incident, local time | 2026-11-01 00:00 to 2026-11-01 02:00 XYZ |"), "{text}");
    let html = std::fs::read_to_string(bench.folder.path().join("incident.html")).expect("a page");
    assert!(html.starts_with("<!doctype html>") && html.contains("<svg") && html.trim_end().ends_with("</html>"));
    for tag in ["table", "div", "dl", "svg", "figure", "p", "h2", "tr", "td"] {
        let (opened, closed) = (
            html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count(),
            html.matches(&format!("</{tag}>")).count(),
        );
        assert_eq!(opened, closed, "{tag}");
    }
    assert_eq!(bench.run(&["compare", ORDERS, "--report", "incident.docx"]).status.code(), Some(2));
}

#[test]
fn money_and_failures_are_split_to_the_last_part() {
    let bench = Bench::demo(1_000);
    let compared = bench.json(&["compare", ORDERS]);
    let sum = |list: &serde_json::Value, of: &dyn Fn(&serde_json::Value) -> Option<f64>| {
        list.as_array().expect("a list").iter().filter_map(of).sum::<f64>()
    };
    let mean = |side: &str| compared["cost"][side]["mean_transitions"].as_f64().expect("a mean");
    let parts = sum(&compared["cost"]["by_state"], &|it| {
        Some(it["incident_mean_transitions"].as_f64()? - it["baseline_mean_transitions"].as_f64()?)
    });
    assert!((parts - (mean("incident") - mean("baseline"))).abs() < 0.01, "{parts}");
    let first = &compared["cost"]["by_state"][0]["state"];
    assert!(first == "ChargeCard" || first == "PackItem", "{first}");
    let rate = |side: &str| compared["failures"][side]["rate"].as_f64().expect("a rate");
    let parts = sum(&compared["failures"]["by_error"], &|it| it["difference"].as_f64());
    assert!((parts - (rate("incident") - rate("baseline"))).abs() < 1e-9, "{parts}");
}

/// What stands beside the causes: the runs to look at with their own lines, what was deployed and how it differs, throttling.
#[test]
fn evidence_of_other_sources_stands_beside_the_causes() {
    let bench = Bench::demo(1_000);
    let arn = "arn:aws:states:us-east-1:123456789012:stateMachine:order-processing";
    let rows = bench.json(&["sql", "SELECT text FROM definitions WHERE state_machine_arn LIKE '%order-processing'"]);
    let old = rows["rows"][0][0].as_str().expect("a definition").to_owned();
    let mut new: serde_json::Value = serde_json::from_str(&old).expect("JSON");
    new["States"]["ValidateOrder"]["TimeoutSeconds"] = 7.into();
    let described = serde_json::json!({
        "stateMachineArn": arn, "name": ORDERS, "type": "STANDARD", "definition": new.to_string(), "updateDate": "2026-10-31T22:58:00Z",
    });
    let metrics = serde_json::json!({"Label": "ExecutionThrottled", "Datapoints": [
        {"Timestamp": "2026-10-31T22:10:00Z", "Sum": 2.0, "Unit": "Count"},
        {"Timestamp": "2026-10-31T23:10:00Z", "Sum": 40.0, "Unit": "Count"},
    ]});
    for (name, document) in [("described.json", &described), ("metrics.json", &metrics)] {
        let path = bench.folder.path().join(name);
        std::fs::write(&path, document.to_string()).expect("a file");
        let output = bench.run(&["import", "--state-machine", arn, &path.to_string_lossy()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let range =
        ["--baseline", "2026-10-31T20:00Z/2026-10-31T22:57Z", "--incident", "2026-10-31T22:57Z/2026-11-01T00:00Z"];
    let compared = bench.json(&[&["compare", ORDERS][..], &range].concat());
    let change = &compared["deployments"][0]["changes"][0];
    assert!(
        change["path"].as_str().is_some_and(|it| it.contains("/States/ValidateOrder")),
        "{}",
        compared["deployments"]
    );
    assert_eq!(compared["throttled"], serde_json::json!({"baseline": 2.0, "incident": 40.0}));
    let exemplars = compared["exemplars"].as_array().expect("exemplars");
    let roles: Vec<&str> = exemplars.iter().filter_map(|it| it["role"].as_str()).collect();
    assert_eq!(roles, ["typical", "worst", "before"]);
    assert!(exemplars[1]["lines"][0]["text"].as_str().is_some_and(|it| it.contains("TooManyRequests")), "{compared}");
    assert!(exemplars[1]["duration_ms"].as_f64() >= exemplars[0]["duration_ms"].as_f64());
    let path = bench.folder.path().join("page.md");
    let page = path.to_string_lossy();
    assert!(bench.run(&[&["compare", ORDERS, "--report", &page][..], &range].concat()).status.success());
    let text = std::fs::read_to_string(&path).expect("a page");
    assert!(text.contains("TimeoutSeconds") && text.contains("throttled the machine 40 times, 2 before"), "{text}");
}

#[test]
fn the_state_that_changed_is_named_among_the_changes() {
    let bench = Bench::demo(2_000);
    let found = bench.json(&["incidents", ORDERS]);
    let states: Vec<&str> =
        found["incidents"].as_array().expect("changes").iter().filter_map(|it| it["state"].as_str()).collect();
    assert!(!states.is_empty() && states.iter().all(|it| *it == "ChargeCard"), "{found}");
}
