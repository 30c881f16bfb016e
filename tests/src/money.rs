//! Money from outside: the parts of a bill add up to it, advice follows from what was measured, and other tools read it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::stepscope::Bench;

fn demo() -> Bench {
    Bench::demo(400)
}

/// Pico-dollars, exactly: amounts have at most twelve decimals.
fn pico(text: &str) -> i128 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{fraction:0<12}");
    digits.parse().unwrap_or_else(|_| panic!("`{text}` is no amount"))
}

/// The amounts under a key of a JSON text, as they are written.
fn written<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let marker = format!("\"{key}\": ");
    text.match_indices(&marker)
        .map(|(at, _)| {
            let rest = &text[at + marker.len()..];
            &rest[..rest.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(rest.len())]
        })
        .collect()
}

fn machine<'a>(result: &'a Value, name: &str) -> &'a Value {
    let machines = result["machines"].as_array().expect("machines");
    machines.iter().find(|it| it["machine"] == name).unwrap_or_else(|| panic!("no machine {name}"))
}

#[test]
fn every_split_of_a_bill_adds_up_to_it() {
    let bench = demo();
    for by in ["state", "day", "error", "version", "path", "account", "region"] {
        let output = bench.run(&["cost", "order-processing", "--by", by, "-o", "json"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let paid = pico(written(&text, "actual_usd")[0]);
        let groups = &text[text.find("\"groups\"").expect("groups")..];
        // What follows the list is about all of it.
        let groups = &groups[..groups.find("\n  ]").expect("the end of the list")];
        let parts: i128 = written(groups, "usd").into_iter().map(pico).sum();
        assert_eq!(parts, paid, "by {by}");
    }
}

#[test]
fn a_machine_that_needs_standard_is_not_promised_express() {
    let bench = demo();
    let cost = bench.json(&["cost"]);
    let inference = machine(&cost, "ml-inference");
    assert_eq!(inference["express_eligible"], false);
    let blockers = inference["blockers"].as_array().expect("blockers");
    let rules: Vec<&str> = blockers.iter().filter_map(|it| it["rule"].as_str()).collect();
    assert!(rules.contains(&"sync_integration") && rules.contains(&"callback"), "{rules:?}");
    assert_eq!(inference["recommendation"], "move_parts_to_express");
    for part in inference["hybrid"].as_array().expect("parts") {
        let states: Vec<&str> = part["states"].as_array().expect("states").iter().filter_map(Value::as_str).collect();
        assert!(!states.contains(&"RunTransform") && !states.contains(&"AskReviewer"), "{states:?}");
        assert!(part["child_definition"]["States"].is_object());
    }
    let orders = machine(&cost, "order-processing");
    assert_eq!((&orders["express_eligible"], &orders["recommendation"]), (&json!(true), &json!("move_to_express")));
    assert!(orders["risks"].as_array().expect("risks").iter().any(|it| it["state"] == "ChargeCard"));
}

/// The saving of a part is its transitions, less two a call, less what the child is billed: recomputed from `show`.
#[test]
fn what_a_part_saves_can_be_recomputed_from_the_timelines() {
    let bench = demo();
    let cost = bench.json(&["cost", "ml-inference"]);
    let part = &machine(&cost, "ml-inference")["hybrid"][0];
    let inside: Vec<&str> = part["states"].as_array().expect("states").iter().filter_map(Value::as_str).collect();
    let shown = bench.json(&["show", "--all"]);
    let (mut calls, mut transitions) = (0_u64, 0_u64);
    for run in shown["executions"].as_array().expect("executions").iter().filter(|it| it["machine"] == "ml-inference") {
        let visits = run["visits"].as_array().expect("visits");
        let is_inside = |it: &Value| it["state"].as_str().is_some_and(|state| inside.contains(&state));
        for (index, visit) in visits.iter().enumerate().filter(|(_, it)| is_inside(it)) {
            calls += u64::from(index == 0 || !is_inside(&visits[index - 1]));
            transitions += visit["attempts"].as_array().map_or(1, |it| it.len().max(1)) as u64;
        }
    }
    assert_eq!((part["calls"].as_u64(), part["transitions"].as_u64()), (Some(calls), Some(transitions)));
    let nano = i128::from(transitions) * 25_000 - i128::from(calls) * (2 * 25_000 + 1_000);
    let saves = pico(&part["saves_usd"].to_string());
    assert!(saves > 0 && saves < nano * 1_000, "{saves} of {nano}");
}

#[test]
fn thresholds_end_with_three_and_nonsense_with_two() {
    let bench = demo();
    for (condition, code) in
        [("usd>0.001", 3), ("usd>1000", 0), ("retries_usd>=0", 3), ("saves_usd<0", 0), ("euro>1", 2), ("usd", 2)]
    {
        let output = bench.run(&["cost", "--fail-on", condition]);
        assert_eq!(output.status.code(), Some(code), "{condition}");
    }
    let output = bench.run(&["cost", "--what-if", "type=fast"]);
    assert_eq!(output.status.code(), Some(2));
}

/// What we export as FOCUS, read back as a bill, is what we counted; and its costs are the bill.
#[test]
fn a_focus_export_reconciles_with_its_own_source() {
    let bench = demo();
    let output = bench.run(&["export", "focus"]);
    let path = bench.write("focus.csv", &output.stdout);
    let reconciled = bench.json(&["cost", "reconcile", &path.to_string_lossy()]);
    for day in reconciled["days"].as_array().expect("days") {
        assert_eq!(day["reason"], "equal", "{day}");
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let billed: i128 = text.lines().skip(1).filter_map(|it| it.split(',').next()).map(pico).sum();
    let cost = bench.run(&["cost", "-o", "json"]);
    let paid: i128 = written(&String::from_utf8_lossy(&cost.stdout), "actual_usd").into_iter().map(pico).sum();
    assert_eq!(billed, paid);
    let header: Vec<&str> = text.lines().next().unwrap_or_default().split(',').collect();
    for column in FOCUS_MANDATORY {
        assert!(header.contains(&column), "{column}");
    }
}

/// FOCUS 1.2 calls these columns mandatory.
const FOCUS_MANDATORY: [&str; 22] = [
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
];

#[test]
fn a_bill_that_counts_one_more_for_each_execution_names_the_setting() {
    let bench = demo();
    let cost = bench.json(&["cost", "--by", "day"]);
    let mut days: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for it in cost["machines"].as_array().expect("machines") {
        for group in it["groups"].as_array().expect("groups") {
            let day = days.entry(group["day"].as_str().expect("a day").to_owned()).or_default();
            day.0 += group["transitions"].as_u64().unwrap_or(0);
            day.1 += group["executions"].as_u64().unwrap_or(0);
        }
    }
    let mut report = "line_item_usage_start_date,line_item_product_code,line_item_usage_type,line_item_usage_amount,line_item_unblended_cost\n".to_owned();
    for (day, (transitions, executions)) in &days {
        report += &format!("{day}T00:00:00Z,AmazonStates,StateTransition,{},0\n", transitions + executions);
    }
    let path = bench.write("cur.csv", report.as_bytes());
    let reconciled = bench.json(&["cost", "reconcile", &path.to_string_lossy()]);
    for day in reconciled["days"].as_array().expect("days") {
        assert!(day["reason"].as_str().is_some_and(|it| it.contains("transitions_per_execution_extra = 1")), "{day}");
    }
}

#[test]
fn an_offer_file_of_aws_becomes_a_price_book() {
    let bench = demo();
    let product = |usage: &str| json!({"attributes": {"regionCode": "eu-west-3", "usagetype": usage}});
    let price = |usd: &str, begin: &str| json!({"beginRange": begin, "pricePerUnit": {"USD": usd}});
    let offer = json!({
        "offerCode": "AmazonStates", "publicationDate": "2026-11-20T00:00:00Z",
        "products": {"A": product("EUW3-StateTransition"), "B": product("EUW3-StepFunctions-Request"), "C": product("EUW3-StepFunctions-GB-Second")},
        "terms": {"OnDemand": {
            "A": {"A.1": {"priceDimensions": {"x": price("0.0000297000", "0")}}},
            "B": {"B.1": {"priceDimensions": {"x": price("0.0000010000", "0")}}},
            "C": {"C.1": {"priceDimensions": {"x": price("0.0000166700", "0"), "y": price("0.0000083300", "3600000")}}},
        }},
    });
    let offer = bench.write("offer.json", offer.to_string().as_bytes());
    let book = bench.db().with_file_name("book.toml");
    let output = bench.run(&["prices", "import", &offer.to_string_lossy(), "--to", &book.to_string_lossy()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let prices = bench.json(&["--prices", &book.to_string_lossy(), "prices", "--region", "eu-west-3"]);
    assert_eq!((&prices["as_of"], &prices["prices"][0]["usd"]), (&json!("2026-11-20"), &json!("0.0000297")));
}

#[test]
fn a_perfetto_trace_has_every_visit_and_the_whole_path() {
    let bench = demo();
    let newest = bench.json(&["executions", "order-processing", "--limit", "1"]);
    let arn = newest["executions"][0]["execution_arn"].as_str().expect("an ARN").to_owned();
    let shown = bench.json(&["show", &arn]);
    let output = bench.run(&["export", "perfetto", &arn]);
    let trace: Value = serde_json::from_slice(&output.stdout).expect("a trace");
    let events = trace["traceEvents"].as_array().expect("events");
    let visits = shown["visits"].as_array().expect("visits");
    let slices = events.iter().filter(|it| it["args"]["id"].is_u64()).count();
    assert_eq!(slices, visits.len());
    let path: f64 =
        events.iter().filter(|it| it["ph"] == "X" && it["tid"] == 2).filter_map(|it| it["dur"].as_f64()).sum();
    assert!((path / 1_000.0 - shown["duration_ms"].as_f64().expect("a duration")).abs() < 1e-6);
}

#[test]
fn infracost_and_prometheus_have_every_machine() {
    let bench = demo();
    let usage = String::from_utf8_lossy(&bench.run(&["export", "infracost"]).stdout).into_owned();
    let metrics = String::from_utf8_lossy(&bench.run(&["export", "prometheus"]).stdout).into_owned();
    for name in ["order-processing", "image-ingest", "ml-inference"] {
        assert!(usage.contains(&format!("aws_sfn_state_machine.{name}:\n    monthly_transitions: ")), "{usage}");
        assert!(metrics.contains(&format!("stepscope_executions{{state_machine=\"{name}\"")), "{metrics}");
    }
}

/// The built-in book with another date and another price of a transition.
fn book(as_of: &str, per_transition: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../analyzer/prices/2026-11-01.toml");
    let text = std::fs::read_to_string(path).expect("the built-in book");
    text.replace("as_of = \"2026-11-01\"", &format!("as_of = \"{as_of}\""))
        .replace("us-east-1 = \"0.000025\"", &format!("us-east-1 = \"{per_transition}\""))
}

/// Transitions before and from a day on, counted from the visits and attempts of `show`.
fn transitions_around(bench: &Bench, day: &str) -> (u64, u64) {
    let shown = bench.json(&["show", "--all"]);
    let (mut before, mut after) = (0, 0);
    let mut count = |at: &str| *(if at < day { &mut before } else { &mut after }) += 1;
    for run in shown["executions"].as_array().expect("executions") {
        for visit in run["visits"].as_array().expect("visits") {
            count(visit["entered_at"].as_str().expect("a time"));
            for attempt in visit["attempts"].as_array().expect("attempts").iter().skip(1) {
                count(attempt["scheduled_at"].as_str().expect("a time"));
            }
        }
    }
    (before, after)
}

#[test]
fn every_transition_is_priced_by_the_book_of_its_day() {
    // The second book begins within a month, and at the turn of one.
    for (end, day) in [("2026-10-31T12:00:00Z", "2026-10-31"), ("2026-11-01T12:00:00Z", "2026-11-01")] {
        let bench = Bench::demo_until(200, end);
        bench.write("books/old.toml", book("2026-01-01", "0.00002"));
        bench.write("books/new.toml", book(day, "0.00003"));
        let books = bench.folder.path().join("books");
        let cost = bench.run(&["cost", "--no-free-tier", "--prices", &books.to_string_lossy(), "-o", "json"]);
        let text = String::from_utf8_lossy(&cost.stdout).into_owned();
        let paid: i128 = written(&text, "actual_usd").into_iter().map(pico).sum();
        let (before, after) = transitions_around(&bench, day);
        assert!(before > 0 && after > 0);
        assert_eq!(paid, i128::from(before) * 20_000_000 + i128::from(after) * 30_000_000, "from {day} on");
        let cost: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(cost["prices"]["books"].as_array().map(Vec::len), Some(2));
    }
}

#[test]
fn a_contract_takes_its_discount_off_the_rates() {
    let bench = demo();
    let paid = |options: &[&str]| -> i128 {
        let arguments: Vec<&str> = ["cost", "--no-free-tier", "-o", "json"].iter().chain(options).copied().collect();
        let output = bench.run(&arguments);
        written(&String::from_utf8_lossy(&output.stdout), "actual_usd").into_iter().map(pico).sum()
    };
    let list = paid(&[]);
    assert_eq!(paid(&["--discount", "standard=12.5"]) * 1_000, list * 875);
    assert_eq!(paid(&["--discount", "express=40"]), list);
    assert_eq!(paid(&["--discount", "all=50", "--discount", "standard=20"]) * 10, list * 8);
    for nonsense in ["standard", "standard=120", "glue=5"] {
        assert_eq!(bench.run(&["cost", "--discount", nonsense]).status.code(), Some(2), "{nonsense}");
    }
}

#[test]
fn spending_by_tag_adds_up_and_shows_what_is_untagged() {
    let bench = demo();
    let tags = bench.write("tags.json", json!({"tags": [{"key": "team", "value": "payments"}]}).to_string());
    let arn = "arn:aws:states:us-east-1:123456789012:stateMachine:order-processing";
    for _ in 0..2 {
        bench.json(&["import", "--state-machine", arn, &tags.to_string_lossy()]);
    }
    let output = bench.run(&["cost", "--by", "tag:team", "-o", "json"]);
    let cost: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let groups = cost["groups"].as_array().expect("groups");
    let by: Vec<(&Value, &Value)> = groups.iter().map(|it| (&it["team"], &it["machines"])).collect();
    assert_eq!(by, [(&Value::Null, &json!(2)), (&json!("payments"), &json!(1))]);
    assert_eq!(groups[1]["usd"], machine(&cost, "order-processing")["actual_usd"]);
    let shares: f64 = groups.iter().map(|it| it["share"].as_f64().expect("a share")).sum();
    assert!((shares - 1.0).abs() < 1e-9);
    let table = String::from_utf8_lossy(&bench.run(&["cost", "--by", "tag:team"]).stdout).into_owned();
    assert!(table.contains("untagged") && table.contains("payments"), "{table}");
    assert_eq!(bench.run(&["cost", "--by", "tag:"]).status.code(), Some(2));
    let focus = String::from_utf8_lossy(&bench.run(&["export", "focus"]).stdout).into_owned();
    let tagged = focus.lines().filter(|it| it.contains(r#"{""team"":""payments""}"#)).count();
    assert_eq!(tagged, focus.lines().filter(|it| it.contains(":stateMachine:order-processing,")).count());
    assert!(tagged > 0);
}

/// The keys that Infracost's own example of this resource has.
#[test]
fn the_infracost_file_has_only_what_infracost_knows() {
    let bench = Bench::new();
    // Two days that are not next to each other: a month is projected from whole days.
    for (seed, end) in [("7", "2026-11-01T00:00:00Z"), ("8", "2026-11-04T00:00:00Z")] {
        for shape in ["express", "demo"] {
            let arguments = ["simulate", "--executions", "50", "--shape", shape, "--seed", seed, "--end", end];
            let lines = bench.write(&format!("{shape}-{seed}.jsonl"), bench.run(&arguments).stdout);
            bench.json(&["import", &lines.to_string_lossy()]);
        }
    }
    let text = String::from_utf8(bench.run(&["export", "infracost"]).stdout).expect("text");
    let known = ["monthly_transitions", "monthly_requests", "workflow_duration_ms", "memory_mb"];
    let mut n_values = 0;
    for line in text.lines().filter(|it| !it.starts_with('#')) {
        let (key, value) = line.split_once(':').expect("a key");
        match line.len() - line.trim_start().len() {
            0 => assert!(["version", "resource_usage"].contains(&key), "{line}"),
            2 => assert!(key.trim().starts_with("aws_sfn_state_machine.") && value.is_empty(), "{line}"),
            _ => {
                assert!(known.contains(&key.trim()) && value.trim().parse::<u64>().is_ok(), "{line}");
                n_values += 1;
            }
        }
    }
    assert_eq!(n_values, 3 + 3, "three machines with transitions, one with requests, duration and memory");
}

/// A Cost and Usage Report as Parquet (`bills/cur.parquet`), and the same as CSV.
#[test]
fn a_parquet_report_reconciles_as_its_csv_does() {
    let bench = demo();
    let folder = crate::stepscope::corpora().join("bills");
    let days = |name: &str| bench.json(&["cost", "reconcile", &folder.join(name).to_string_lossy()])["days"].clone();
    assert_eq!(days("cur.parquet"), days("cur.csv"));
    assert!(days("cur.parquet").as_array().is_some_and(|it| !it.is_empty()));
}

#[test]
fn a_state_that_may_run_twice_is_no_risk_and_parts_have_intervals() {
    let bench = demo();
    let risks = |options: &[&str]| -> Vec<String> {
        let arguments: Vec<&str> = ["cost", "order-processing"].iter().chain(options).copied().collect();
        let cost = bench.json(&arguments);
        let risks = machine(&cost, "order-processing")["risks"].as_array().expect("risks").clone();
        risks.iter().filter_map(|it| it["state"].as_str().map(str::to_owned)).collect()
    };
    assert!(risks(&[]).contains(&"ChargeCard".to_owned()));
    assert!(!risks(&["--repeatable", "order-processing/ChargeCard"]).contains(&"ChargeCard".to_owned()));
    assert!(risks(&["--repeatable", "image-ingest/ChargeCard"]).contains(&"ChargeCard".to_owned()));
}

#[test]
fn a_month_that_has_begun_is_forecast_from_its_whole_days() {
    let bench = Bench::new();
    for day in 1..=20 {
        let end = format!("2026-10-{:02}T00:00:00Z", day + 1);
        let seed = day.to_string();
        let lines = bench.run(&["simulate", "--executions", "60", "--seed", &seed, "--end", &end]).stdout;
        let path = bench.write("day.jsonl", lines);
        bench.json(&["import", &path.to_string_lossy()]);
    }
    let cost = bench.json(&["cost", "--no-free-tier", "order-processing"]);
    let it = &machine(&cost, "order-processing")["forecast_month"];
    let usd = |key: &str| it[key].as_f64().unwrap_or_else(|| panic!("{key} of {it}"));
    assert_eq!(it["month"], "2026-10");
    let paid = machine(&cost, "order-processing")["actual_usd"].as_f64().expect("paid");
    assert!((usd("so_far_usd") - paid).abs() < 1e-9);
    // Twenty days of thirty-one are over.
    assert!((usd("usd") / paid - 1.55).abs() < 0.05, "{it}");
    assert!(usd("low_usd") < usd("usd") && usd("usd") < usd("high_usd"));
    assert!(
        it["backtest"]["forecasts"].as_u64() > Some(3) && it["backtest"]["mean_error"].as_f64() < Some(0.2),
        "{it}"
    );
}

#[test]
fn the_constant_per_execution_is_told_from_the_metric() {
    let bench = Bench::new();
    for day in 1..=4 {
        let end = format!("2026-10-{:02}T00:00:00Z", day + 1);
        let lines = bench.run(&["simulate", "--executions", "60", "--seed", &day.to_string(), "--end", &end]).stdout;
        let path = bench.write("day.jsonl", lines);
        bench.json(&["import", &path.to_string_lossy()]);
    }
    // Two transitions an execution more than are counted, on the days in between.
    let days = bench.json(&["cost", "image-ingest", "--by", "day"]);
    let points: Vec<Value> = machine(&days, "image-ingest")["groups"]
        .as_array()
        .expect("days")
        .iter()
        .map(|it| {
            let sum = it["transitions"].as_u64().expect("counted") + 2 * it["executions"].as_u64().expect("counted");
            json!({"Timestamp": format!("{}T00:00:00Z", it["day"].as_str().expect("a day")), "Sum": sum, "Unit": "Count"})
        })
        .collect();
    let path = bench.write("metric.json", json!({"Label": "ConsumedCapacity", "Datapoints": points}).to_string());
    let arn = "arn:aws:states:us-east-1:123456789012:stateMachine:image-ingest";
    for _ in 0..2 {
        bench.json(&["import", "--state-machine", arn, &path.to_string_lossy()]);
    }
    let cost = bench.json(&["cost"]);
    assert_eq!(cost["calibration"][0]["extra_per_execution"], 2.0);
    assert_eq!(cost["calibration"][0]["days"], 2);
}

#[test]
fn billed_memory_comes_from_the_metric_where_no_execution_tells() {
    let bench = Bench::new();
    let lines = bench.run(&["simulate", "--executions", "50", "--shape", "express"]).stdout;
    let path = bench.write("express.jsonl", lines);
    bench.json(&["import", &path.to_string_lossy()]);
    let express = |bench: &Bench| bench.json(&["cost"])["machines"][0]["express"].clone();
    assert_eq!(
        (&express(&bench)["memory_source"], &express(&bench)["billed_memory_mb"]),
        (&json!("estimate"), &json!(64))
    );
    let data = json!({"MetricDataResults": [{
        "Label": "ExpressExecutionBilledMemory", "Timestamps": ["2026-10-31T00:00:00Z", "2026-10-31T01:00:00Z"], "Values": [128.0, 128.0],
    }]});
    let path = bench.write("metric.json", data.to_string());
    let arn = "arn:aws:states:us-east-1:123456789012:stateMachine:api-enrich";
    bench.json(&["import", "--state-machine", arn, &path.to_string_lossy()]);
    assert_eq!(
        (&express(&bench)["memory_source"], &express(&bench)["billed_memory_mb"]),
        (&json!("metric"), &json!(128))
    );
}

/// What Express is billed for, against the simulator's own truth: every execution rounded up by itself.
#[test]
fn billed_memory_time_is_that_of_the_simulated_executions() {
    let bench = Bench::new();
    let lines = bench.run(&["simulate", "--executions", "400", "--shape", "express"]).stdout;
    let path = bench.write("express.jsonl", lines);
    bench.json(&["import", &path.to_string_lossy()]);
    let workload = collector::synthetic::demo(400, 1_793_491_200_000, 7);
    let plans = vec![(collector::synthetic::api_enrich(), 400)];
    let workload = collector::synthetic::Workload { plans, incidents: Vec::new(), ..workload };
    let (mut chunks, mut transitions) = (0, 0);
    let run = workload.run(|it| -> Result<(), ()> {
        chunks += ((it.run.stopped_ms - it.run.started_ms).max(1) + 99) / 100;
        transitions += it.run.billed_transitions;
        Ok(())
    });
    assert_eq!(run, Ok(()));
    let cost = bench.json(&["cost"]);
    let it = &cost["machines"][0];
    // A chunk is 100 ms of 64 MB.
    assert_eq!(
        it["express"]["billed_gb_s"].as_f64(),
        Some(f64::from(i32::try_from(chunks * 625).expect("few")) / 100_000.0)
    );
    assert_eq!(it["billed_transitions"], transitions);
}
