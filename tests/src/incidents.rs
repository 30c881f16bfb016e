//! Injected incidents, scored: does `compare` name the right cause first, and is it silent when nothing happened?
//!
//! The simulator injects, the comparison knows nothing of it. `CASES=30 cargo test … incidents -- --nocapture` prints the table
//! for other numbers of cases a kind; `SEED` gives cases never used before.

use std::collections::BTreeMap;

use analyzer::compare::{CauseKind, Comparison, Side};
use analyzer::execution::Run;
use analyzer::timeline::Category;
use collector::synthetic::{Incident, IncidentKind, Plan, Random, image_ingest, order_processing, simulate};

use crate::stepscope::Bench;
use crate::synthetic::reconstruct;

const START_MS: i64 = 1_790_000_000_000;

/// A fault and what has to be named for it; `None` where nothing may be.
struct Fault {
    kind: &'static str,
    plan: fn() -> Plan,
    incident: Option<Incident>,
    expected: Option<(&'static str, &'static [&'static str])>,
}

fn faults(random: &mut Random) -> Vec<Fault> {
    let at = |state, kind| Some(Incident { state, kind });
    let slow = 2 + random.below(4);
    let rate = u32::try_from(250 + random.below(300)).unwrap_or(300);
    let new_error = u32::try_from(60 + random.below(200)).unwrap_or(100);
    let branch = u32::try_from(6 + random.below(14)).unwrap_or(10);
    let orders = order_processing as fn() -> Plan;
    let images = image_ingest as fn() -> Plan;
    let fault = |kind, plan, incident, expected| Fault { kind, plan, incident, expected };
    vec![
        fault(
            "slow state",
            orders,
            at("ValidateOrder", IncidentKind::SlowState(slow)),
            Some(("ValidateOrder", &["work"])),
        ),
        fault("slow state", images, at("ResizeImage", IncidentKind::SlowState(slow)), Some(("ResizeImage", &["work"]))),
        fault(
            "retry storm",
            images,
            at("ResizeImage", IncidentKind::RetryStorm(rate)),
            Some(("ResizeImage", &["backoff", "work", "errors"])),
        ),
        fault(
            "throttling",
            orders,
            at("ChargeCard", IncidentKind::Throttling(rate)),
            Some(("ChargeCard", &["backoff", "work"])),
        ),
        fault(
            "concurrency drop",
            orders,
            at("PackItems", IncidentKind::ConcurrencyDrop(1)),
            Some(("PackItems", &["slot_wait"])),
        ),
        fault(
            "cold starts",
            images,
            at("ResizeImage", IncidentKind::ColdStarts(rate, 900)),
            Some(("ResizeImage", &["work"])),
        ),
        fault("branch mix", images, at("IsImage", IncidentKind::BranchMix(branch)), Some(("IsImage", &["path_mix"]))),
        fault(
            "new error",
            orders,
            at("NotifyCustomer", IncidentKind::NewError(new_error)),
            Some(("NotifyCustomer", &["errors"])),
        ),
        fault(
            "downstream timeout",
            images,
            at("StoreMetadata", IncidentKind::DownstreamTimeout(new_error)),
            Some(("StoreMetadata", &["errors", "work", "backoff", "queue"])),
        ),
        fault("fan-out growth", orders, at("PackItems", IncidentKind::FanOut(3)), Some(("PackItems", &["path_mix"]))),
        fault("payload growth", orders, at("ValidateOrder", IncidentKind::PayloadGrowth(4)), None),
        fault("no fault", orders, None, None),
        fault("no fault", images, None, None),
    ]
}

fn run_of(plan: &Plan, number: i64, random: &mut Random) -> Run {
    let run = simulate(plan, START_MS + number * 2_000, random);
    let arn = format!("arn:aws:states:us-east-1:123456789012:execution:{}:run-{number}", plan.machine);
    reconstruct(&run, arn)
}

#[derive(Default)]
struct Score {
    cases: u32,
    first: u32,
    in_three: u32,
    alarms: u32,
    missed: Vec<String>,
}

fn env(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|it| it.parse().ok()).unwrap_or(default)
}

#[test]
fn the_injected_cause_is_named_first_and_nothing_else_is_an_alarm() {
    let (cases, seed) = (env("CASES", 2), env("SEED", 20_261_125));
    let mut scores: BTreeMap<&'static str, Score> = BTreeMap::new();
    for case in 0..cases {
        let mut random = Random::new(seed.wrapping_add(case * 7_919));
        for fault in faults(&mut random) {
            let plan = (fault.plan)();
            let changed = fault.incident.map_or_else(|| plan.clone(), |it| it.applied_to(&plan));
            let mut comparison = Comparison::default();
            for number in 0..400 {
                comparison.add(&run_of(&plan, number, &mut random), Side::Baseline);
            }
            for number in 400..650 {
                comparison.add(&run_of(&changed, number, &mut random), Side::Incident);
            }
            let compared = comparison.finish();
            let sum: f64 = compared.causes.iter().map(|it| it.contribution_ms).sum();
            let difference = compared.difference_ms.expect("both sides have executions");
            assert!((sum - difference).abs() < 1e-6, "the parts add up: {sum} {difference}");
            let named: Vec<_> = compared.causes.iter().filter(|it| it.is_named()).collect();
            let score = scores.entry(fault.kind).or_default();
            score.cases += 1;
            let Some((state, categories)) = fault.expected else {
                score.alarms += u32::from(!named.is_empty());
                if let Some(it) = named.first() {
                    score.missed.push(format!("{:?} {} q={:.4}", it.state, it.kind.as_str(), it.q_value));
                }
                continue;
            };
            let is_right = |it: &&analyzer::compare::Cause| {
                let here = it.state.as_deref() == Some(state);
                here && categories.contains(&it.kind.as_str())
            };
            let place = named.iter().position(is_right);
            score.first += u32::from(place == Some(0));
            score.in_three += u32::from(place.is_some_and(|it| it < 3));
            if place != Some(0) {
                let first =
                    named.first().map(|it| format!("{:?} {} {:.0} ms", it.state, it.kind.as_str(), it.contribution_ms));
                score.missed.push(format!("{place:?} {first:?} of {difference:.0} ms"));
            }
        }
    }
    eprintln!("| kind | cases | first right | in the first three | false alarms |");
    eprintln!("| --- | ---: | ---: | ---: | ---: |");
    let (mut with, mut first, mut in_three, mut without, mut alarms) = (0, 0, 0, 0, 0);
    for (kind, it) in &scores {
        let is_fault = !matches!(*kind, "no fault" | "payload growth");
        eprintln!("| {kind} | {} | {} | {} | {} |", it.cases, it.first, it.in_three, it.alarms);
        for missed in &it.missed {
            eprintln!("|   {missed}");
        }
        if is_fault {
            (with, first, in_three) = (with + it.cases, first + it.first, in_three + it.in_three);
        } else {
            (without, alarms) = (without + it.cases, alarms + it.alarms);
        }
    }
    eprintln!("| all | {} | {first} of {with} | {in_three} of {with} | {alarms} of {without} |", with + without);
    assert!(first * 100 >= with * 95, "first right: {first} of {with}");
    assert!(in_three * 100 >= with * 99, "in the first three: {in_three} of {with}");
    assert!(alarms * 100 <= without * 5 || alarms <= 1, "false alarms: {alarms} of {without}");
}

/// A state that becomes slower beside a longer branch has no effect, and that is said.
#[test]
fn a_decoy_off_the_path_is_harmless() {
    let plan = order_processing();
    let decoy = Incident { state: "ReserveStock", kind: IncidentKind::SlowState(2) };
    let changed = decoy.applied_to(&plan);
    let mut random = Random::new(11);
    let mut comparison = Comparison::default();
    for number in 0..400 {
        comparison.add(&run_of(&plan, number, &mut random), Side::Baseline);
        comparison.add(&run_of(&changed, number, &mut random), Side::Incident);
    }
    let compared = comparison.finish();
    let named = compared.causes.iter().filter(|it| it.is_named());
    let is_there = |it: &&analyzer::compare::Cause| {
        it.state.as_deref() == Some("ReserveStock") && it.kind == CauseKind::Time(Category::Work)
    };
    let is_named = named.clone().any(|it| is_there(&it));
    assert!(is_named || compared.harmless.iter().any(|it| &*it.state == "ReserveStock"));
}

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
    let output = bench.run(&["compare", "image-ingest"]);
    assert_eq!(output.status.code(), Some(2));
}
