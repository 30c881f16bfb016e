//! Clocks that are wrong: whichever it is and by how much, nothing is lost, nothing comes twice, and the report says so.

use std::sync::{Arc, OnceLock};

use collector::synthetic::{Plan, Random, image_ingest, order_processing};
use serde_json::{Value, json};

use super::{BEGIN_US, SECOND_US, collect, result, served};
use crate::stand_in::{DateHeader, Machine, Service, Template, World};
use crate::stepscope::Bench;

const MINUTE_US: i64 = 60 * SECOND_US;
const HOUR_US: i64 = 60 * MINUTE_US;
/// Executions that begin, one a second.
const EXECUTIONS: usize = 70;
/// When executions begin, and when each run takes place: while they begin, and a while after.
const START_US: i64 = BEGIN_US + 2 * HOUR_US + 7 * MINUTE_US;
const RUNS_S: [i64; 4] = [11, 30, 48, 75];
const IDLE: &str = "idle";
/// Everything else is made of these.
const TABLES: [&str; 3] = ["executions", "events", "segments"];
/// What one run with right clocks stores after all of it.
static EXPECTED: OnceLock<Vec<Vec<String>>> = OnceLock::new();

/// A state machine of a plan under another name.
fn machine(plan: &Plan, name: &str, is_express: bool, log_level: &'static str) -> Machine {
    let mut it = Machine { is_express, log_level, is_traced: true, ..Machine::of_plan(plan) };
    it.arn = it.arn.replace(&it.name, name);
    it.name = name.to_owned();
    it
}

/// Executions begin every second: of a state machine without logs, of one with, of an Express one; and one state machine is idle
/// since the day before.
fn world() -> World {
    let mut world = World::new(20_261_130);
    let (orders, images) = (order_processing(), image_ingest());
    let busy = [(&orders, "orders", false, "OFF"), (&orders, "logged", false, "ALL"), (&images, "images", true, "ALL")];
    for (plan, name, is_express, level) in busy {
        let place = world.add_machine(machine(plan, name, is_express, level));
        world.add_runs(place, plan, EXECUTIONS, START_US, SECOND_US);
    }
    let place = world.add_machine(machine(&orders, IDLE, false, "ALL"));
    let template = Arc::new(Template::of_plan(&orders, &mut Random::new(5)));
    for number in 0..5 {
        world.add_run(place, &format!("old-{number}"), &template, START_US - 24 * HOUR_US + number * MINUTE_US);
    }
    world
}

/// Collects with the clock here off by so much.
fn run(service: &Service, bench: &Bench, address: &str, local_us: i64) -> Value {
    let now = analyzer::time::format(analyzer::model::Timestamp(service.world.clock_us() + local_us));
    result(&collect(bench, address, &["--now", &now, "--strict"]))
}

fn everything(bench: &Bench) -> Vec<Vec<String>> {
    TABLES.iter().map(|it| bench.rows(&format!("FROM {it}"))).collect()
}

fn clock_gap(collected: &Value) -> Option<Value> {
    let gaps = collected["targets"][0]["gaps"].as_array().expect("gaps");
    gaps.iter().find(|it| it["kind"].as_str().is_some_and(|it| it.starts_with("clock_"))).cloned()
}

/// Runs while executions begin, with both clocks off by so much, then one with right clocks; the reports of all.
fn check(header: DateHeader, local_us: i64) -> Vec<Value> {
    let what = format!("{header:?}, here {local_us}");
    let (service, address) = served(Service::new(world()));
    let bench = Bench::new();
    *service.date.lock().expect("the lock") = header;
    let mut reports = Vec::new();
    for seconds in RUNS_S {
        service.world.set_now(START_US + seconds * SECOND_US);
        reports.push(run(&service, &bench, &address, local_us));
    }
    *service.date.lock().expect("the lock") = DateHeader::Right;
    service.world.set_now(START_US + 20 * MINUTE_US);
    let last = run(&service, &bench, &address, 0);
    assert_eq!(clock_gap(&last), None, "{what}");
    let expected = EXPECTED.get_or_init(|| {
        let reference = Bench::new();
        run(&service, &reference, &address, 0);
        everything(&reference)
    });
    for ((table, rows), expected) in TABLES.iter().zip(everything(&bench)).zip(expected) {
        assert_eq!(rows.len(), expected.len(), "{what}: {table}");
        assert!(rows == *expected, "{what}: {table} differs");
    }
    let complete = bench.rows("SELECT count(*), count(*) FILTER (WHERE complete) FROM executions");
    let all = 3 * EXECUTIONS + 5;
    assert_eq!(complete, [format!("[{all},{all}]")], "{what}");
    let twice = "SELECT count(*) FROM (SELECT execution_arn, id FROM events GROUP BY ALL HAVING count(*) > 1)";
    assert_eq!(bench.rows(twice), ["[0]"], "{what}");
    // Nothing was marked that a right clock would not mark.
    let ahead = "SELECT count(*) FROM collected_spans WHERE \"to\" >= TIMESTAMP '2026-09-21 16:59:00'";
    assert_eq!(bench.rows(ahead), ["[0]"], "{what}");
    reports.push(last);
    reports
}

#[test]
fn a_date_of_the_service_that_is_off_loses_nothing_and_is_reported() {
    for (us, ahead, difference) in [
        (7 * MINUTE_US, "service", 420_000),
        (HOUR_US, "service", 3_600_000),
        (-7 * MINUTE_US, "local", 420_000),
        (-HOUR_US, "local", 3_600_000),
    ] {
        let reports = check(DateHeader::Off(us), 0);
        for it in &reports[..RUNS_S.len()] {
            let gap = clock_gap(it).expect("a gap");
            assert_eq!(
                (&gap["kind"], &gap["incomplete"], &gap["ahead"]),
                (&json!("clock_differs"), &json!(false), &json!(ahead))
            );
            let reported = gap["difference_ms"].as_i64().expect("milliseconds");
            assert!((reported - difference).abs() < 5_000, "{gap}");
            let text = gap["text"].as_str().expect("a text");
            assert!(text.contains("ahead") && text.contains("newest record"), "{text}");
        }
    }
}

#[test]
fn a_clock_here_that_is_off_loses_nothing() {
    for us in [HOUR_US, -HOUR_US] {
        let reports = check(DateHeader::Right, us);
        let gap = clock_gap(&reports[0]).expect("a gap");
        assert_eq!(gap["ahead"], if us > 0 { "local" } else { "service" });
    }
}

#[test]
fn two_clocks_that_are_off_lose_nothing() {
    check(DateHeader::Off(HOUR_US), 7 * MINUTE_US);
    check(DateHeader::Off(7 * MINUTE_US), HOUR_US);
    check(DateHeader::Off(-HOUR_US), HOUR_US);
    check(DateHeader::Off(-HOUR_US), -7 * MINUTE_US);
    // Where both are off by the same, nothing shows it; the marks are found to lie in the future later.
    let reports = check(DateHeader::Off(HOUR_US), HOUR_US);
    assert_eq!(clock_gap(&reports[0]), None);
}

#[test]
fn dates_that_jump_or_are_missing_lose_nothing() {
    let reports = check(DateHeader::Jumps(&[0, HOUR_US, 0, -7 * MINUTE_US, 0]), 0);
    assert!(reports[..RUNS_S.len()].iter().any(|it| clock_gap(it).is_some_and(|it| it["ahead"] == "unclear")));
    check(DateHeader::Jumps(&[HOUR_US, 0, HOUR_US]), 7 * MINUTE_US);
    let reports = check(DateHeader::Missing, 0);
    assert_eq!(clock_gap(&reports[0]).map(|it| it["kind"].clone()), Some(json!("clock_unknown")));
    check(DateHeader::Missing, HOUR_US);
    check(DateHeader::Missing, -HOUR_US);
}

#[test]
fn an_idle_state_machine_is_not_read_again_and_again() {
    for header in [DateHeader::Right, DateHeader::Off(HOUR_US), DateHeader::Off(-HOUR_US), DateHeader::Missing] {
        let what = format!("{header:?}");
        let (service, address) = served(Service::new(world()));
        let bench = Bench::new();
        *service.date.lock().expect("the lock") = header;
        let (arn, group) = {
            let idle = service.world.machines.iter().find(|it| it.name == IDLE).expect("it is there");
            (idle.arn.clone(), idle.group())
        };
        let mut before = (0, 0);
        for (number, seconds) in RUNS_S.into_iter().enumerate() {
            service.world.set_now(START_US + seconds * SECOND_US);
            let collected = run(&service, &bench, &address, 0);
            let asked = (service.asked_about("ListExecutions", &arn), service.asked_about("FilterLogEvents", &group));
            if number > 0 {
                let (listings, logs) = (asked.0 - before.0, asked.1 - before.1);
                assert!(listings <= 1, "{what}, run {number}: {listings} listings");
                // Up to a clock that is an hour ahead it takes two slices.
                assert!(logs <= 2, "{what}, run {number}: {logs} reads of its logs: {collected}");
            }
            before = asked;
        }
        let events: u64 =
            bench.rows("SELECT count(*) FROM events")[0].trim_matches(['[', ']']).parse().expect("a number");
        assert!(events > 0);
    }
}
