//! Injected incidents, scored: does `compare` name the right cause first, and is it silent when nothing happened?
//!
//! The simulator injects, the comparison knows nothing of it. `CASES=30 cargo test … attribution -- --nocapture` prints the table
//! for other numbers of cases a kind; `SEED` gives cases never used before.

use std::collections::{BTreeMap, BTreeSet};

use analyzer::compare::{CauseKind, Comparison, Side};
use analyzer::digest::Digest;
use analyzer::execution::Run;
use analyzer::timeline::Category;
use collector::synthetic::{
    Incident, IncidentKind, Plan, Random, api_enrich, image_ingest, ml_inference, order_processing, simulate,
    twenty_states,
};

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

/// The same kinds on machines that nothing was tuned on.
fn unseen_faults(random: &mut Random) -> Vec<Fault> {
    let rate = u32::try_from(250 + random.below(300)).unwrap_or(300);
    let new_error = u32::try_from(60 + random.below(200)).unwrap_or(100);
    let slow = IncidentKind::SlowState(2 + random.below(4));
    let weight = u32::try_from(8 + random.below(25)).unwrap_or(20);
    let (steps, enrich, inference) =
        (twenty_states as fn() -> Plan, api_enrich as fn() -> Plan, ml_inference as fn() -> Plan);
    let fault = |kind, plan, (state, incident), categories: &'static [&'static str]| Fault {
        kind,
        plan,
        incidents: vec![Incident { state, kind: incident }],
        expected: if categories.is_empty() { Vec::new() } else { vec![(state, categories)] },
    };
    let two = |plan,
               first: (&'static str, IncidentKind, &'static [&'static str]),
               second: (&'static str, IncidentKind, &'static [&'static str])| Fault {
        kind: "two at once",
        plan,
        incidents: [first, second].map(|(state, kind, _)| Incident { state, kind }).into(),
        expected: [first, second].map(|(state, _, categories)| (state, categories)).into(),
    };
    let retried: &[&str] = &["backoff", "work", "errors"];
    let timed_out: &[&str] = &["errors", "work", "backoff", "queue"];
    let cold = IncidentKind::ColdStarts(rate, 900);
    let none = |plan| Fault { kind: "no fault", plan, incidents: Vec::new(), expected: Vec::new() };
    vec![
        fault("slow state", steps, ("Step03", slow), &["work"]),
        fault("slow state", steps, ("Step14", slow), &["work"]),
        fault("slow state", inference, ("PrepareBatch", IncidentKind::SlowState(40)), &["work"]),
        fault("retry storm", steps, ("Step06", IncidentKind::RetryStorm(rate)), retried),
        fault("throttling", steps, ("Step16", IncidentKind::Throttling(rate)), retried),
        fault("concurrency drop", steps, ("EachItem", IncidentKind::ConcurrencyDrop(1)), &["slot_wait"]),
        fault("cold starts", steps, ("Step02", cold), &["work"]),
        fault("cold starts", enrich, ("Lookup", cold), &["work"]),
        fault("branch mix", enrich, ("Known", IncidentKind::BranchMix(weight)), &["path_mix"]),
        fault("new error", steps, ("Step05", IncidentKind::NewError(new_error)), &["errors"]),
        fault("new error", enrich, ("Lookup", IncidentKind::NewError(new_error)), &["errors"]),
        fault("downstream timeout", steps, ("Step08", IncidentKind::DownstreamTimeout(new_error)), timed_out),
        fault("fan-out growth", steps, ("EachItem", IncidentKind::FanOut(3)), &["path_mix"]),
        fault("payload growth", steps, ("Step01", IncidentKind::PayloadGrowth(4)), &[]),
        two(steps, ("Step03", slow, &["work"]), ("Step06", IncidentKind::RetryStorm(rate), retried)),
        two(steps, ("Step05", slow, &["work"]), ("EachItem", IncidentKind::FanOut(3), &["path_mix"])),
        none(steps),
        none(enrich),
        none(inference),
        none(steps),
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
    /// The same when lines are counted, not states.
    in_three_lines: u32,
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
    judge_all(faults, env("CASES", 2));
}

#[test]
fn so_it_is_on_machines_that_nothing_was_tuned_on() {
    judge_all(unseen_faults, env("CASES", 1));
}

fn judge_all(faults: fn(&mut Random) -> Vec<Fault>, cases: u64) {
    let seed = env("SEED", 20_261_125);
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
            all.in_three_lines += it.in_three_lines;
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
    eprintln!("in the first three lines: {} of {with}", all.in_three_lines);
    assert!(first * 100 >= with * 95, "first right: {first} of {with}");
    assert!(in_three * 100 >= with * 99, "in the first three: {in_three} of {with}");
    assert!(alarms * 100 <= without * 5 || alarms <= 1, "false alarms: {alarms} of {without}");
    assert!(all.others.iter().all(|it| *it < first), "no simpler ranking is as good: {:?} {first}", all.others);
}

fn digest(run: &Run) -> Digest {
    Digest::of(run).expect("a closed and complete run")
}

fn judge(fault: &Fault, random: &mut Random, score: &mut Score) {
    let plan = (fault.plan)();
    let changed = fault.incidents.iter().fold(plan.clone(), |plan, it| it.applied_to(&plan));
    let (mut comparison, mut rankings) = (Comparison::default(), Rankings::new());
    for number in 0..650 {
        let (side, plan) = if number < 400 { (Side::Baseline, &plan) } else { (Side::Incident, &changed) };
        let run = run_of(plan, number, random);
        rankings.add(&run, usize::from(side == Side::Incident));
        comparison.add(&digest(&run), side);
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
    let is_in_three = |places: &[Option<usize>]| places.iter().all(|it| it.is_some_and(|it| it < 3));
    // Errors, back-off and work of one state are one cause in three lines.
    let by_state: Vec<Option<usize>> = places.iter().map(|it| it.map(|it| n_states(&named[..it]))).collect();
    score.in_three += u32::from(is_in_three(&by_state));
    score.in_three_lines += u32::from(is_in_three(&places));
    for (right, first) in score.others.iter_mut().zip(rankings.first()) {
        *right += u32::from(fault.expected.iter().any(|it| first.as_deref() == Some(it.0)));
    }
    if !is_first || !is_in_three(&by_state) {
        let told = |it: &&analyzer::compare::Cause| {
            let state = it.state.as_deref().unwrap_or_default();
            format!("{state} {} {:.0} ms", it.kind.as_str(), it.contribution_ms)
        };
        let first: Vec<String> = named.iter().take(4).map(told).collect();
        score.missed.push(format!("{places:?} {first:?} of {difference:.0} ms"));
    }
}

fn n_states(causes: &[&analyzer::compare::Cause]) -> usize {
    causes.iter().map(|it| &it.state).collect::<BTreeSet<_>>().len()
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
                comparison.add(&digest(&usual), Side::Baseline);
                continue;
            }
            let slow = run(&changed);
            let span = |it: &Run| it.execution.duration().map_or(0, |it| it.0);
            effect += span(&slow) - span(&usual);
            comparison.add(&digest(&slow), Side::Incident);
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
        comparison.add(&digest(&run_of(&plan, number, &mut random)), Side::Baseline);
        comparison.add(&digest(&run_of(&changed, number, &mut random)), Side::Incident);
    }
    let compared = comparison.finish();
    let named = compared.causes.iter().filter(|it| it.is_named());
    let is_there = |it: &&analyzer::compare::Cause| {
        it.state.as_deref() == Some("ReserveStock") && it.kind == CauseKind::Time(Category::Work)
    };
    let is_named = named.clone().any(|it| is_there(&it));
    assert!(is_named || compared.harmless.iter().any(|it| &*it.state == "ReserveStock"));
}
