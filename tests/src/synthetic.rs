//! For any simulated execution, the reconstructed timeline is the simulator's own truth.

use std::collections::BTreeMap;

use analyzer::critical_path::merged;
use analyzer::execution::Run;
use analyzer::model::{Event, Interner, Micros, Observation};
use analyzer::replay::{Program, Replay, States};
use analyzer::timeline::{Attempt, Category};
use analyzer::traces::{self, Evidence, Trace};
use analyzer::what_if::Scenario;
use collector::synthetic::{
    ColdStart, Plan, Random, Simulated, Started, TruthVisit, all_shapes, api_enrich, cold_starts, image_ingest,
    ml_inference, observations, order_processing, simulate, xray_documents,
};
use proptest::prelude::*;

const START_MS: i64 = 1_790_000_000_000;

fn plans() -> Vec<Plan> {
    vec![all_shapes(), order_processing(), image_ingest(), ml_inference(), api_enrich()]
}

/// What the timeline makes of the simulated events.
pub(crate) fn reconstruct(run: &Simulated, arn: String) -> Run {
    let started = Started { execution_arn: arn, run: run.clone(), payload: 0 };
    let mut names = Interner::with_capacity(1_000);
    let events: Vec<Event> = observations(&started, &mut names)
        .into_iter()
        .filter_map(|it| match it {
            Observation::Event { event, .. } => Some(event),
            _ => None,
        })
        .collect();
    Run::of(started.execution_arn.as_str().into(), events, analyzer::model::ExecutionRecord::default())
}

pub(crate) fn arn() -> String {
    "arn:aws:states:us-east-1:123456789012:execution:synthetic:run".to_owned()
}

fn millis(at: analyzer::model::Timestamp) -> i64 {
    at.0 / 1_000
}

/// Inside a container that was cleaned up, a history does not tell a state that waited for its next attempt from one that
/// had failed for good while the container waited for its next round: the clean-up events have no names.
fn is_unclear(visit: &TruthVisit, by_id: &BTreeMap<u64, &TruthVisit>) -> bool {
    let had_failed = ["aborted", "failed", "timed_out"].contains(&visit.status);
    let ancestors = std::iter::successors(visit.parent, |it| by_id[it].parent);
    had_failed && ancestors.map(|it| by_id[&it].status).any(|it| it == "aborted")
}

pub(crate) fn check_visits(truth: &Simulated, run: &Run) {
    assert_eq!(run.timeline.visits.len(), truth.visits.len(), "number of visits");
    let by_id = truth.visits.iter().map(|it| (it.id, it)).collect();
    for (visit, truth) in run.timeline.visits.iter().zip(&truth.visits) {
        assert_eq!(
            (visit.id, &*visit.state, visit.parent, visit.iteration),
            (truth.id, truth.state, truth.parent, truth.iteration)
        );
        if is_unclear(truth, &by_id) && ["aborted", "failed", "timed_out"].contains(&visit.status.as_str()) {
            continue;
        }
        assert_eq!(visit.status.as_str(), truth.status, "status of {} #{}", truth.state, truth.id);
        assert_eq!(millis(visit.entered_at), truth.entered_ms, "entry of {} #{}", truth.state, truth.id);
        assert_eq!(visit.exited_at.map(millis), Some(truth.exited_ms), "exit of {} #{}", truth.state, truth.id);
        assert_eq!(visit.attempts.len(), truth.n_attempts, "attempts of {} #{}", truth.state, truth.id);
        let mut split: Vec<(&str, i64)> = Category::ALL
            .into_iter()
            .map(|it| (it.as_str(), visit.split[it].0 / 1_000))
            .filter(|it| it.1 > 0)
            .collect();
        split.sort_unstable();
        assert_eq!(split, truth.split, "split of {} #{}", truth.state, truth.id);
    }
}

pub(crate) fn check_path(truth: &Simulated, run: &Run) {
    let path: Vec<_> = merged(&run.path)
        .into_iter()
        .map(|it| (it.owner.map(|it| run.timeline.visits[it].id), it.category.as_str(), millis(it.from), millis(it.to)))
        .collect();
    let expected: Vec<_> = truth.path.iter().map(|it| (it.visit, it.category, it.from_ms, it.to_ms)).collect();
    assert_eq!(path, expected, "critical path");
    let total: Micros = run.path.iter().map(analyzer::critical_path::Step::span).sum();
    assert_eq!(Some(total), run.execution.duration(), "the path partitions the wall time");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_timeline_of_any_simulated_execution_is_its_truth(seed in any::<u64>(), plan in 0..5_usize) {
        let truth = simulate(&plans()[plan], START_MS, &mut Random::new(seed));
        let run = reconstruct(&truth, arn());
        prop_assert!(run.execution.complete, "{:?}", run.execution.gaps);
        check_visits(&truth, &run);
        check_path(&truth, &run);
        prop_assert_eq!(run.execution.transitions.billed().0, truth.billed_transitions);
    }

    #[test]
    fn a_replay_without_a_change_gives_back_every_timestamp(seed in any::<u64>(), plan in 0..5_usize) {
        let truth = simulate(&plans()[plan], START_MS, &mut Random::new(seed));
        let run = reconstruct(&truth, arn());
        let replay = Replay::new(&run).expect("a complete run");
        prop_assert_eq!(replay.error(), Some(Micros::ZERO));
        let identity = replay.simulate(&Scenario::default()).expect("the model follows it");
        prop_assert_eq!(Some(identity.duration), run.execution.duration());
    }

    #[test]
    fn taking_time_away_never_makes_a_run_longer(seed in any::<u64>(), plan in 0..5_usize) {
        let truth = simulate(&plans()[plan], START_MS, &mut Random::new(seed));
        let run = reconstruct(&truth, arn());
        let replay = Replay::new(&run).expect("a complete run");
        let recorded = run.execution.duration().expect("a closed run");
        let mut scenarios: Vec<Scenario> = run.timeline.visits.iter().map(|it| Scenario::freeing(&it.state)).collect();
        scenarios.push(Scenario { no_retries: true, ..Scenario::default() });
        scenarios.push(Scenario { no_backoff: true, ..Scenario::default() });
        for scenario in scenarios {
            let after = replay.simulate(&scenario).expect("the model follows it").duration;
            prop_assert!(after <= recorded, "{scenario:?}: {after:?} > {recorded:?}");
        }
        let backoff: Micros = run.path.iter().filter(|it| it.category == Category::Backoff).map(analyzer::critical_path::Step::span).sum();
        let without = replay.simulate(&Scenario { no_backoff: true, ..Scenario::default() }).expect("the model follows it").duration;
        // Where items share slots, one may move to a slot that is free earlier, and more is won.
        prop_assert!(plan < 2 || recorded - without <= backoff, "no more is won than the path has of it");
    }
}

/// Two items wait for their next attempt when a branch beside their Map times out: they are aborted, and have not failed.
#[test]
fn what_waits_to_be_retried_beside_a_failure_is_aborted() {
    let truth = simulate(&all_shapes(), START_MS, &mut Random::new(12_861_421_617_729_639_735));
    check_visits(&truth, &reconstruct(&truth, arn()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_trace_opens_every_call_and_its_cold_starts_are_those_of_the_functions(seed in any::<u64>(), plan in 0..5_usize) {
        let started = Started { execution_arn: arn(), run: simulate(&plans()[plan], START_MS, &mut Random::new(seed)), payload: 0 };
        let mut run = reconstruct(&started.run, arn());
        let documents: Vec<String> = xray_documents(&started).iter().map(ToString::to_string).collect();
        let evidence = Evidence { trace: Trace::parse(documents.iter().map(String::as_str)), ..Evidence::default() };
        let joined = traces::join(&mut run, &evidence);
        prop_assert_eq!((joined.matched, joined.unmatched), (run.timeline.visits.len(), 0));
        let n_calls: usize = started.run.visits.iter().map(|it| it.calls.len()).sum();
        prop_assert_eq!(joined.calls.values().map(Vec::len).sum::<usize>(), n_calls);
        let found: Vec<ColdStart> = run.timeline.visits.iter().flat_map(|visit| {
            let cold = |(attempt, it): (usize, &Attempt)| {
                let ms = it.cold_start.filter(|it| *it > Micros::ZERO)?.0 / 1_000;
                Some(ColdStart { visit: visit.id, attempt, ms })
            };
            visit.attempts.iter().enumerate().filter_map(cold).collect::<Vec<_>>()
        }).collect();
        prop_assert_eq!(&found, &cold_starts(&started));
        // Without them the run ends earlier by what they took on the path, and never later.
        let replay = Replay::new(&run).expect("a complete run");
        let without = replay.simulate(&Scenario { no_cold_starts: true, ..Scenario::default() }).expect("followed").duration;
        let recorded = run.execution.duration().expect("a closed run");
        prop_assert!(without <= recorded);
        let mut states = States::default();
        let program = Program::of(&replay, &mut states).expect("the recording tells all");
        prop_assert_eq!(program.duration(&states.plan(&Scenario { no_cold_starts: true, ..Scenario::default() })), Some(without));
    }
}
