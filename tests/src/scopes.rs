//! Clean-up in any order, redrives, and histories that lost an event: what is whole stays exact, and nothing is invented.

use std::collections::BTreeMap;

use analyzer::critical_path::Step;
use analyzer::execution::Run;
use analyzer::model::{Event, ExecutionRecord, Micros};
use analyzer::timeline::{Visit, VisitStatus};
use collector::synthetic::{Plan, Random, Rerun, Simulated, simulate, simulate_redriven};
use proptest::prelude::*;

use crate::shapes::any_plan;
use crate::synthetic::{arn, check_path, check_visits, reconstruct};

const START_MS: i64 = 1_790_000_000_000;
/// Orders of the clean-up events of one failure that are tried where there are more.
const ORDERS: usize = 12;
/// Redrives are looked for in so many simulations of a plan.
const TRIES: u64 = 8;
/// Histories of so many events lose each of them in turn; larger ones lose one.
const EVERY: usize = 150;

fn analysed(events: Vec<Event>) -> Run {
    Run::of(arn().as_str().into(), events, ExecutionRecord::default())
}

/// Clean-up events of one failure that stand behind each other, written in the same millisecond.
fn groups(events: &[Event]) -> Vec<std::ops::Range<usize>> {
    let mut groups = Vec::new();
    let mut from = 0;
    while from < events.len() {
        let first = &events[from];
        let is_alike = |it: &&Event| it.kind.cleans_up() && (it.previous, it.at) == (first.previous, first.at);
        let n_alike = events[from..].iter().take_while(is_alike).count();
        if n_alike > 1 {
            groups.push(from..from + n_alike);
        }
        from += n_alike.max(1);
    }
    groups
}

/// The events of a range in another order: ids and moments stay where they are, links to them follow.
fn reordered(events: &[Event], range: &std::ops::Range<usize>, order: &[usize]) -> Vec<Event> {
    let mut all = events.to_vec();
    let mut new_id = BTreeMap::new();
    for (place, &from) in order.iter().enumerate() {
        let (slot, moved) = (range.start + place, range.start + from);
        let id = events[slot].id;
        new_id.insert(events[moved].id, id);
        all[slot] = Event { id, ..events[moved].clone() };
    }
    for event in &mut all {
        event.previous = new_id.get(&event.previous).copied().unwrap_or(event.previous);
    }
    all
}

fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for shorter in permutations(n - 1) {
        for place in 0..n {
            let mut order = shorter.clone();
            order.insert(place, n - 1);
            all.push(order);
        }
    }
    all
}

fn orders(n: usize, random: &mut Random) -> Vec<Vec<usize>> {
    if n <= 4 {
        return permutations(n);
    }
    let shuffled = |random: &mut Random| {
        let mut order: Vec<usize> = (0..n).collect();
        for index in (1..n).rev() {
            order.swap(index, usize::try_from(random.below(index as u64 + 1)).unwrap_or(0));
        }
        order
    };
    (0..ORDERS).map(|_| shuffled(random)).collect()
}

fn any_order_gives_the_same_visits(truth: &Simulated, seed: u64) {
    let run = reconstruct(truth, arn());
    let mut random = Random::new(seed);
    for group in groups(&run.events) {
        for order in orders(group.len(), &mut random) {
            let other = analysed(reordered(&run.events, &group, &order));
            assert_eq!(other.timeline.visits, run.timeline.visits, "{group:?} as {order:?}");
            assert!(other.execution.complete, "{:?}", other.execution.gaps);
            assert_eq!(other.execution.transitions, run.execution.transitions);
        }
    }
}

fn partitions_its_wall_time(run: &Run) {
    let total: Micros = run.path.iter().map(Step::span).sum();
    if run.events.first().is_some_and(|it| it.id == 1) && run.execution.duration().is_some() {
        assert_eq!(Some(total), run.execution.duration(), "the path partitions the wall time");
    }
}

/// What of a visit does not depend on where it lies.
fn own(visit: &Visit) -> (String, i64, Option<i64>, VisitStatus, usize, u64) {
    (
        visit.state.to_string(),
        visit.entered_at.0,
        visit.exited_at.map(|it| it.0),
        visit.status,
        visit.attempts.len(),
        visit.n_retries,
    )
}

/// Whether a visit depends on an event: it is its entry, one of its attempts or its exit, or one of those links to it.
fn depends_on(run: &Run, index: usize, lost: u64) -> bool {
    let links = &run.timeline.links;
    let id = run.timeline.visits[index].id;
    let is_own =
        |it: &usize| run.events[*it].id == id || links[*it].owner == Some(index) && !run.events[*it].kind.cleans_up();
    (0..links.len()).filter(is_own).any(|it| run.events[it].id == lost || run.events[it].previous == lost)
}

/// Bounds are bounds, nothing is invented, and what does not depend on the lost event is exact.
fn losing_one_event_invents_nothing(whole: &Run, place: usize) {
    let lost = whole.events[place].id;
    let mut events = whole.events.clone();
    events.remove(place);
    let run = analysed(events);
    let what = format!("without event {lost}, {:?}", whole.events[place].kind);
    // When the time between two runs began and ended depends on these two.
    let kind = &whole.events[place].kind;
    let bounds_a_run = kind.closes_execution() || *kind == analyzer::model::EventKind::ExecutionRedriven;
    // Of several states that are scheduled again, nothing tells which is which.
    let n_again = whole.events.iter().filter(|it| it.previous == redriven_id(whole)).count();
    assert!(!run.execution.complete, "{what}: it is not complete");
    let (known, truth) = (run.execution.transitions, whole.execution.transitions);
    assert!(known.billed() <= truth.billed(), "{what}: {known:?} is more than {truth:?}");
    assert!(known.retries <= truth.retries && known.rerun <= truth.rerun, "{what}: {known:?}");
    partitions_its_wall_time(&run);
    let by_id: BTreeMap<u64, usize> =
        whole.timeline.visits.iter().enumerate().map(|(place, it)| (it.id, place)).collect();
    for visit in &run.timeline.visits {
        let truth = by_id.get(&visit.id).copied();
        let Some(place) = truth else { panic!("{what}: visit {} is invented", visit.id) };
        let truth = &whole.timeline.visits[place];
        assert!(visit.duration().is_none_or(|it| it >= Micros::ZERO), "{what}: {} #{}", visit.state, visit.id);
        if n_again > 1 {
            continue;
        }
        assert!(visit.n_retries <= truth.n_retries, "{what}: retries of {} #{}", visit.state, visit.id);
        assert!(visit.attempts.len() <= truth.attempts.len(), "{what}: attempts of {} #{}", visit.state, visit.id);
        let is_left = matches!(truth.status, VisitStatus::Succeeded | VisitStatus::Caught);
        // Which states a redrive ran again is told by all that had not succeeded before.
        let ran_again = truth.attempts.iter().any(|it| it.redrive.is_some()) || truth.n_reruns > 0;
        if is_left && !ran_again && !truth.kind.is_container() && !bounds_a_run && !depends_on(whole, place, lost) {
            assert_eq!(own(visit), own(truth), "{what}: {} #{} is whole", truth.state, truth.id);
            assert_eq!(visit.split, truth.split, "{what}: split of {} #{}", truth.state, truth.id);
        }
    }
}

fn redriven(plan: &Plan, rerun: Rerun, seed: u64) -> Option<Simulated> {
    (0..TRIES).find_map(|it| simulate_redriven(plan, START_MS, rerun, &mut Random::new(seed.wrapping_add(it))))
}

fn a_redrive_is_no_run_time(plan: &Plan, rerun: Rerun, seed: u64) {
    let Some(truth) = redriven(plan, rerun, seed) else { return };
    let run = reconstruct(&truth, arn());
    assert!(run.execution.complete, "{:?}", run.execution.gaps);
    assert_eq!(run.execution.transitions.billed().0, truth.billed_transitions, "billed transitions");
    assert_eq!(run.execution.transitions.redrives, 1);
    assert_eq!(run.execution.n_runs, 2);
    let idle = run.timeline.rests.iter().map(|it| it.1 - it.0).sum();
    assert_eq!(run.execution.active().map(|it| it + idle), run.execution.duration());
    partitions_its_wall_time(&run);
    // Of two states that call the same, nothing tells which is scheduled again first.
    let n_again = run.events.iter().filter(|it| it.previous == redriven_id(&run)).count();
    if n_again == 1 {
        check_visits(&truth, &run);
        check_path(&truth, &run);
    }
    for visit in &run.timeline.visits {
        assert!(visit.active().is_some_and(|it| it >= Micros::ZERO), "{} #{}", visit.state, visit.id);
        assert!(visit.active() <= run.execution.active(), "{} #{} is active for longer", visit.state, visit.id);
    }
    any_order_gives_the_same_visits(&truth, seed);
}

fn redriven_id(run: &Run) -> u64 {
    run.events.iter().find(|it| it.kind == analyzer::model::EventKind::ExecutionRedriven).map_or(0, |it| it.id)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_order_of_clean_up_events_gives_the_same_visits(plan in any_plan(), seed in any::<u64>()) {
        any_order_gives_the_same_visits(&simulate(&plan, START_MS, &mut Random::new(seed)), seed);
    }

    #[test]
    fn what_lay_between_two_runs_is_no_run_time(plan in any_plan(), seed in any::<u64>()) {
        for rerun in [Rerun::Scheduled, Rerun::Entered] {
            a_redrive_is_no_run_time(&plan, rerun, seed);
        }
    }

    #[test]
    fn a_lost_event_takes_only_what_depends_on_it(plan in any_plan(), seed in any::<u64>(), place in any::<prop::sample::Index>()) {
        let run = reconstruct(&simulate(&plan, START_MS, &mut Random::new(seed)), arn());
        let n = run.events.len();
        for place in if n <= EVERY { 0..n } else { let it = place.index(n); it..it + 1 } {
            losing_one_event_invents_nothing(&run, place);
        }
        for rerun in [Rerun::Scheduled, Rerun::Entered] {
            if let Some(truth) = redriven(&plan, rerun, seed) {
                let run = reconstruct(&truth, arn());
                losing_one_event_invents_nothing(&run, place.index(run.events.len()));
            }
        }
    }
}
