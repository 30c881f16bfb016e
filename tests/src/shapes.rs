//! Machines of any shape: nested Parallels, Maps, retries and catches, drawn at random.

use analyzer::execution::Run;
use analyzer::model::{Micros, Name};
use analyzer::replay::{Program, Replay, States};
use analyzer::what_if::Scenario;
use collector::synthetic::{Attempts, Call, Delay, Plan, Random, Step, simulate};
use proptest::prelude::*;

use crate::synthetic::{arn, check_path, check_visits, reconstruct};

const START_MS: i64 = 1_790_000_000_000;
/// Names for the states of one machine.
const NAMES: [&str; 24] = [
    "Ash", "Bay", "Cay", "Den", "Elm", "Fen", "Gap", "Hay", "Ivy", "Jay", "Kit", "Log", "Map", "Nut", "Oak", "Pea",
    "Qat", "Rye", "Sea", "Tea", "Urn", "Vat", "Wax", "Yew",
];

/// The shape of a step; names come later, so that each is used once.
#[derive(Clone, Debug)]
enum Shape {
    Pass,
    Wait(u64),
    Task { call: usize, typical_ms: u64, fails: u32, retries: u32, times_out: bool, is_caught: bool },
    Parallel { branches: Vec<Vec<Shape>>, retries: u32, is_caught: bool },
    Map { items: (u64, u64), limit: usize, body: Vec<Shape>, retries: u32, is_caught: bool },
}

fn any_shape() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        Just(Shape::Pass),
        (1..300_u64).prop_map(Shape::Wait),
        (0..6_usize, 1..300_u64, prop_oneof![Just(0), Just(150), Just(500)], 0..3_u32, any::<bool>(), any::<bool>())
            .prop_map(|(call, typical_ms, fails, retries, times_out, is_caught)| Shape::Task {
                call,
                typical_ms,
                fails,
                retries,
                times_out,
                is_caught,
            }),
    ];
    leaf.prop_recursive(4, 20, 3, |inner| {
        let steps = || prop::collection::vec(inner.clone(), 1..3);
        prop_oneof![
            (prop::collection::vec(steps(), 1..4), 0..2_u32, any::<bool>())
                .prop_map(|(branches, retries, is_caught)| Shape::Parallel { branches, retries, is_caught }),
            (0..2_u64, 0..7_u64, 0..4_usize, steps(), 0..2_u32, any::<bool>()).prop_map(
                |(least, more, limit, body, retries, is_caught)| Shape::Map {
                    items: (least, least + more),
                    limit,
                    body,
                    retries,
                    is_caught,
                }
            ),
        ]
    })
}

pub(crate) fn any_plan() -> impl Strategy<Value = Plan> {
    prop::collection::vec(any_shape(), 1..4).prop_map(|shapes| plan_of(&shapes))
}

fn plan_of(shapes: &[Shape]) -> Plan {
    let mut names = NAMES.iter().copied().cycle();
    let steps = shapes.iter().map(|it| step(it, &mut names)).collect();
    Plan { machine: "any-shape", is_express: false, steps, payload: 0 }
}

fn step(shape: &Shape, names: &mut dyn Iterator<Item = &'static str>) -> Step {
    let name = names.next().expect("names go round");
    let mut steps = |shapes: &[Shape]| shapes.iter().map(|it| step(it, names)).collect::<Vec<Step>>();
    match shape {
        Shape::Pass => Step::Pass(name),
        Shape::Wait(typical_ms) => Step::Wait(name, Delay::of(*typical_ms)),
        Shape::Task { call, typical_ms, fails, retries, times_out, is_caught } => {
            let calls = [
                Call::Invoke,
                Call::Function,
                Call::Service("dynamodb", "putItem"),
                Call::Job("glue", "startJobRun"),
                Call::Token("sqs", "sendMessage"),
                Call::Activity,
            ];
            let error = if *times_out { "States.Timeout" } else { "Flaky" };
            let attempts = Attempts {
                fails_per_mille: *fails,
                error,
                times_out: *times_out,
                max_retries: *retries,
                interval_ms: 40,
                is_caught: *is_caught,
            };
            Step::Task { name, call: calls[*call], work: Delay::of(*typical_ms), queue_ms: 5, attempts }
        }
        Shape::Parallel { branches, retries, is_caught } => Step::Parallel {
            name,
            branches: branches.iter().map(|it| steps(it)).collect(),
            max_retries: *retries,
            is_caught: *is_caught,
        },
        Shape::Map { items, limit, body, retries, is_caught } => Step::Map {
            name,
            items: *items,
            max_concurrency: *limit,
            body: steps(body),
            max_retries: *retries,
            is_caught: *is_caught,
        },
    }
}

/// Scenarios that touch every state of a run in some way, and all at once.
fn scenarios(run: &Run) -> Vec<Scenario> {
    let mut states: Vec<Name> = run.timeline.visits.iter().map(|it| it.state.clone()).collect();
    states.sort();
    states.dedup();
    let mut all = vec![Scenario { no_retries: true, ..Scenario::default() }];
    all.push(Scenario { no_backoff: true, ..Scenario::default() });
    for state in &states {
        all.push(Scenario::freeing(state));
        all.push(Scenario::without_limit(state));
        all.push(Scenario { concurrency: [(state.clone(), 1)].into(), ..Scenario::default() });
        all.push(Scenario { work: [(state.clone(), 0.37)].into(), ..Scenario::default() });
        all.push(Scenario { work: [(state.clone(), 3.0)].into(), no_backoff: true, ..Scenario::default() });
    }
    all.push(Scenario {
        work: states.iter().map(|it| (it.clone(), 0.5)).collect(),
        no_retries: true,
        ..Scenario::default()
    });
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_timeline_of_any_machine_is_its_truth_and_its_replay_exact(plan in any_plan(), seed in any::<u64>()) {
        let truth = simulate(&plan, START_MS, &mut Random::new(seed));
        let run = reconstruct(&truth, arn());
        prop_assert!(run.execution.complete, "{:?}", run.execution.gaps);
        check_visits(&truth, &run);
        check_path(&truth, &run);
        prop_assert_eq!(run.execution.transitions.billed().0, truth.billed_transitions);
        let replay = Replay::new(&run).expect("a complete run");
        prop_assert_eq!(replay.error(), Some(Micros::ZERO));
    }

    #[test]
    fn the_short_program_of_a_run_ends_when_its_replay_does(plan in any_plan(), seed in any::<u64>()) {
        let run = reconstruct(&simulate(&plan, START_MS, &mut Random::new(seed)), arn());
        let replay = Replay::new(&run).expect("a complete run");
        let mut states = States::default();
        let program = Program::of(&replay, &mut states).expect("the recording tells all");
        prop_assert_eq!(program.duration(&states.plan(&Scenario::default())), run.execution.duration());
        for scenario in scenarios(&run) {
            let expected = replay.simulate(&scenario).map(|it| it.duration);
            prop_assert_eq!(program.duration(&states.plan(&scenario)), expected, "{:?}", scenario);
        }
    }

    #[test]
    fn a_visit_may_take_as_long_as_its_slack_says_and_no_longer(plan in any_plan(), seed in any::<u64>()) {
        slack_is_exact(&plan, seed);
    }
}

fn slack_is_exact(plan: &Plan, seed: u64) {
    let run = reconstruct(&simulate(plan, START_MS, &mut Random::new(seed)), arn());
    let replay = Replay::new(&run).expect("a complete run");
    let recorded = run.execution.duration().expect("a closed run");
    for (visit, slack) in replay.slack().into_iter().enumerate() {
        let Some(slack) = slack else { continue };
        let later = |delay: Micros| replay.simulate_with_delay(visit, delay).expect("the model follows it").duration;
        assert_eq!(later(slack), recorded, "visit {visit} has slack {slack:?}");
        assert!(later(slack + Micros(1)) > recorded, "visit {visit} has more slack than {slack:?}");
    }
}

/// An item on the path may have room where another frees a slot at the same moment; so may what failed inside it.
#[test]
fn a_failed_round_inside_an_item_with_room_is_not_said_to_have_none() {
    let job = Shape::Task { call: 3, typical_ms: 74, fails: 150, retries: 0, times_out: false, is_caught: false };
    let invoke = Shape::Task { call: 0, typical_ms: 152, fails: 0, retries: 0, times_out: false, is_caught: false };
    let empty = Shape::Map { items: (0, 0), limit: 0, body: vec![Shape::Pass], retries: 0, is_caught: false };
    let branches = vec![vec![empty], vec![job, Shape::Pass]];
    let body = vec![Shape::Parallel { branches, retries: 0, is_caught: true }, invoke];
    let shape = Shape::Map { items: (0, 4), limit: 2, body, retries: 0, is_caught: false };
    slack_is_exact(&plan_of(&[shape]), 2_581_119_476_414_175_784);
}
