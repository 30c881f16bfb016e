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
    incidents: Vec<Incident>,
    expected: Vec<Expected>,
}

/// A state, and the categories that are right for it.
type Expected = (&'static str, &'static [&'static str]);

fn faults(random: &mut Random) -> Vec<Fault> {
    let at = |state, kind| vec![Incident { state, kind }];
    let slow = 2 + random.below(4);
    let rate = u32::try_from(250 + random.below(300)).unwrap_or(300);
    let new_error = u32::try_from(60 + random.below(200)).unwrap_or(100);
    let branch = u32::try_from(6 + random.below(14)).unwrap_or(10);
    let orders = order_processing as fn() -> Plan;
    let images = image_ingest as fn() -> Plan;
    let fault = |kind, plan, incidents, expected: Option<Expected>| Fault {
        kind,
        plan,
        incidents,
        expected: expected.into_iter().collect(),
    };
    let two = |plan, first: Incident, second: Incident, expected: [Expected; 2]| Fault {
        kind: "two at once",
        plan,
        incidents: vec![first, second],
        expected: expected.into(),
    };
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
        two(
            orders,
            Incident { state: "ValidateOrder", kind: IncidentKind::SlowState(slow) },
            Incident { state: "ChargeCard", kind: IncidentKind::Throttling(rate) },
            [("ValidateOrder", &["work"]), ("ChargeCard", &["backoff", "work"])],
        ),
        two(
            images,
            Incident { state: "ResizeImage", kind: IncidentKind::SlowState(slow) },
            Incident { state: "IsImage", kind: IncidentKind::BranchMix(branch) },
            [("ResizeImage", &["work"]), ("IsImage", &["path_mix"])],
        ),
        fault("slow state", orders, at("ChargeCard", IncidentKind::SlowState(slow)), Some(("ChargeCard", &["work"]))),
        fault(
            "cold starts",
            orders,
            at("ValidateOrder", IncidentKind::ColdStarts(rate, 900)),
            Some(("ValidateOrder", &["work"])),
        ),
        fault(
            "new error",
            images,
            at("StoreMetadata", IncidentKind::NewError(new_error)),
            Some(("StoreMetadata", &["errors"])),
        ),
        fault("no fault", orders, Vec::new(), None),
        fault("no fault", images, Vec::new(), None),
        fault("no fault", orders, Vec::new(), None),
        fault("no fault", images, Vec::new(), None),
    ]
}

fn run_of(plan: &Plan, number: i64, random: &mut Random) -> Run {
    let run = simulate(plan, START_MS + number * 2_000, random);
    let arn = format!("arn:aws:states:us-east-1:123456789012:execution:{}:run-{number}", plan.machine);
    reconstruct(&run, arn)
}

type Values<'a> = &'a dyn Fn(usize, &str) -> Vec<i64>;

/// By state and minute, a sum and a count.
type Minutes = BTreeMap<String, BTreeMap<i64, (i64, i64)>>;

/// Other ways to rank: which state would they name first?
struct Rankings {
    /// Time in each state, by execution.
    spans: [BTreeMap<String, Vec<i64>>; 2],
    /// The same summed up by minute, and how many executions of it were in the state.
    minutes: [Minutes; 2],
}

/// BARO is its robust scorer: the largest distance of a minute's mean from the median before, in quartile distances
/// (Pham, Ha and Zhang 2024).
const RANKINGS: [&str; 4] = ["difference of p95", "difference of means", "p-value", "BARO"];

impl Rankings {
    fn new() -> Self {
        Self { spans: Default::default(), minutes: Default::default() }
    }

    fn add(&mut self, run: &Run, side: usize) {
        let mut own: BTreeMap<String, i64> = BTreeMap::new();
        for visit in run.timeline.visits.iter().filter(|it| !it.kind.is_container()) {
            *own.entry(visit.state.to_string()).or_default() += visit.duration().unwrap_or_default().0;
        }
        let minute = run.execution.started_at.map_or(0, |it| it.0.div_euclid(60_000_000));
        for (state, us) in own {
            let sum = self.minutes[side].entry(state.clone()).or_default().entry(minute).or_default();
            *sum = (sum.0 + us, sum.1 + 1);
            self.spans[side].entry(state).or_default().push(us);
        }
    }

    /// The first of each ranking, in the order of their names.
    #[expect(clippy::cast_precision_loss, reason = "scores")]
    fn first(&self) -> [Option<String>; 4] {
        let sorted = |side: usize, state: &str| {
            let mut values = self.spans[side].get(state).cloned().unwrap_or_default();
            values.sort_unstable();
            values
        };
        let states: Vec<&String> = self.spans[1].keys().collect();
        let means = |side: usize, state: &str| {
            let minutes = self.minutes[side].get(state).into_iter().flat_map(BTreeMap::values);
            let mut means: Vec<i64> = minutes.map(|(sum, count)| sum / count).collect();
            means.sort_unstable();
            means
        };
        let best_of = |values: Values<'_>, score: &dyn Fn(&[i64], &[i64]) -> f64| {
            let scored = states.iter().map(|state| (score(&values(0, state), &values(1, state)), (*state).clone()));
            scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|it| it.1)
        };
        let best = |score: &dyn Fn(&[i64], &[i64]) -> f64| best_of(&sorted, score);
        let baro = |b: &[i64], i: &[i64]| {
            let quartile = |at: usize| b.get(b.len() * at / 4).copied().unwrap_or(0);
            let scale = (quartile(3) - quartile(1)).max(1) as f64;
            i.iter().map(|it| (it - quartile(2)) as f64 / scale).fold(f64::MIN, f64::max)
        };
        let p95 = |values: &[i64]| values.get(values.len() * 95 / 100).copied().unwrap_or(0) as f64;
        let mean = |values: &[i64]| values.iter().sum::<i64>() as f64 / values.len().max(1) as f64;
        [
            best(&|b, i| p95(i) - p95(b)),
            best(&|b, i| mean(i) - mean(b)),
            best(&|b, i| -analyzer::statistics::mann_whitney(b, i)),
            best_of(&means, &baro),
        ]
    }
}

#[derive(Default)]
struct Score {
    cases: u32,
    first: u32,
    in_three: u32,
    alarms: u32,
    /// How often the other rankings were right.
    others: [u32; 4],
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
            judge(&fault, &mut random, scores.entry(fault.kind).or_default());
        }
    }
    eprintln!("| kind | cases | first right | all in the first three | false alarms | {} |", RANKINGS.join(" | "));
    eprintln!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let mut all = Score::default();
    let (mut with, mut without) = (0, 0);
    for (kind, it) in &scores {
        let is_fault = !matches!(*kind, "no fault" | "payload growth");
        let [a, b, c, d] = it.others;
        eprintln!("| {kind} | {} | {} | {} | {} | {a} | {b} | {c} | {d} |", it.cases, it.first, it.in_three, it.alarms);
        for missed in &it.missed {
            eprintln!("|   {missed}");
        }
        if is_fault {
            with += it.cases;
            (all.first, all.in_three) = (all.first + it.first, all.in_three + it.in_three);
            all.others.iter_mut().zip(it.others).for_each(|(sum, own)| *sum += own);
        } else {
            (without, all.alarms) = (without + it.cases, all.alarms + it.alarms);
        }
    }
    let ([a, b, c, d], first, in_three, alarms) = (all.others, all.first, all.in_three, all.alarms);
    eprintln!(
        "| all | {} | {first} of {with} | {in_three} of {with} | {alarms} of {without} | {a} | {b} | {c} | {d} |",
        with + without
    );
    assert!(first * 100 >= with * 95, "first right: {first} of {with}");
    assert!(in_three * 100 >= with * 99, "in the first three: {in_three} of {with}");
    assert!(alarms * 100 <= without * 5 || alarms <= 1, "false alarms: {alarms} of {without}");
    assert!(all.others.iter().all(|it| *it < first), "no simpler ranking is as good: {:?} {first}", all.others);
}

fn judge(fault: &Fault, random: &mut Random, score: &mut Score) {
    let plan = (fault.plan)();
    let changed = fault.incidents.iter().fold(plan.clone(), |plan, it| it.applied_to(&plan));
    let (mut comparison, mut rankings) = (Comparison::default(), Rankings::new());
    for number in 0..650 {
        let (side, plan) = if number < 400 { (Side::Baseline, &plan) } else { (Side::Incident, &changed) };
        let run = run_of(plan, number, random);
        rankings.add(&run, usize::from(side == Side::Incident));
        comparison.add(&run, side);
    }
    let compared = comparison.finish();
    let sum: f64 = compared.causes.iter().map(|it| it.contribution_ms).sum();
    let difference = compared.difference_ms.expect("both sides have executions");
    assert!((sum - difference).abs() < 1e-6, "the parts add up: {sum} {difference}");
    let named: Vec<_> = compared.causes.iter().filter(|it| it.is_named()).collect();
    score.cases += 1;
    if fault.expected.is_empty() {
        score.alarms += u32::from(!named.is_empty());
        if let Some(it) = named.first() {
            score.missed.push(format!("{:?} {} q={:.4}", it.state, it.kind.as_str(), it.q_value));
        }
        return;
    }
    let place = |(state, categories): &Expected| {
        named.iter().position(|it| it.state.as_deref() == Some(*state) && categories.contains(&it.kind.as_str()))
    };
    let places: Vec<Option<usize>> = fault.expected.iter().map(place).collect();
    let is_first = places.contains(&Some(0));
    score.first += u32::from(is_first);
    score.in_three += u32::from(places.iter().all(|it| it.is_some_and(|it| it < 3)));
    for (right, first) in score.others.iter_mut().zip(rankings.first()) {
        *right += u32::from(fault.expected.iter().any(|it| first.as_deref() == Some(it.0)));
    }
    if !is_first {
        let first = named.first().map(|it| format!("{:?} {} {:.0} ms", it.state, it.kind.as_str(), it.contribution_ms));
        score.missed.push(format!("{places:?} {first:?} of {difference:.0} ms"));
    }
}

/// The same executions with and without a fault tell its true effect; the state's share of the difference has to be that.
#[test]
#[expect(clippy::cast_precision_loss, reason = "means")]
fn the_share_of_a_fault_is_right_to_two_points() {
    let (runs, seed) = (i64::try_from(env("RUNS", 1_000)).unwrap_or(1_000), env("SEED", 20_261_125));
    let faults: [(&str, Plan, &str, IncidentKind); 4] = [
        ("slow state", order_processing(), "ValidateOrder", IncidentKind::SlowState(3)),
        ("slow state", image_ingest(), "ResizeImage", IncidentKind::SlowState(3)),
        ("cold starts", image_ingest(), "ResizeImage", IncidentKind::ColdStarts(400, 900)),
        ("retry storm", image_ingest(), "ResizeImage", IncidentKind::RetryStorm(400)),
    ];
    eprintln!("| kind | state | true share | named share | error in points |");
    for (kind, plan, state, fault) in faults {
        let changed = Incident { state, kind: fault }.applied_to(&plan);
        let mut comparison = Comparison::default();
        let mut effect = 0;
        for number in 0..2 * runs {
            // Each execution has draws of its own: the fault changes nothing in the ones after it.
            let run =
                |plan| run_of(plan, number, &mut Random::new(seed.wrapping_mul(1_000_003) + number.unsigned_abs()));
            let usual = run(&plan);
            if number < runs {
                comparison.add(&usual, Side::Baseline);
                continue;
            }
            let slow = run(&changed);
            let span = |it: &Run| it.execution.duration().map_or(0, |it| it.0);
            effect += span(&slow) - span(&usual);
            comparison.add(&slow, Side::Incident);
        }
        let compared = comparison.finish();
        let difference = compared.difference_ms.expect("both sides have executions");
        let own = compared.causes.iter().filter(|it| it.state.as_deref() == Some(state));
        let named = own.map(|it| it.contribution_ms).sum::<f64>() / difference * 100.0;
        let truth = effect as f64 / runs as f64 / 1e3 / difference * 100.0;
        eprintln!("| {kind} | {state} | {truth:.1} % | {named:.1} % | {:.2} |", named - truth);
        assert!((named - truth).abs() <= 2.0, "{kind} of {state}: {named:.2} % for {truth:.2} %");
    }
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
    let different = bench.json(&arguments(ORDERS));
    assert_ne!(different["slices"], serde_json::json!([]));
}

/// A machine, its incident, and the run that is worst in it.
const ORDERS: &str = "order-processing";

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
    assert_eq!(refused.map(|it| it["fatal"].as_u64()), Some(Some(18)), "the eighteen that the demo fails");
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
