//! Small histories, written as `id <- previous kind name at`.

use crate::critical_path::{Step, merged};
use crate::execution::Run;
use crate::model::{Event, EventKind, ExecutionRecord, Micros, Name, Timestamp};

/// Reads one event per line: `id<-previous Kind [name|#number|!error]… +ms`.
fn events(text: &str) -> Vec<Event> {
    text.lines().map(str::trim).filter(|it| !it.is_empty()).map(event).collect()
}

fn event(line: &str) -> Event {
    let mut words = line.split_whitespace();
    let (id, previous) = words.next().and_then(|it| it.split_once("<-")).expect("id<-previous");
    let mut event = Event {
        id: id.parse().expect("an id"),
        previous: previous.parse().expect("an id"),
        at: Timestamp(0),
        kind: EventKind::parse(words.next().expect("a kind")),
        name: None,
        resource: None,
        number: None,
        log_bytes: 0,
        detail: None,
    };
    for word in words {
        match word.split_at(1) {
            ("+", ms) => event.at = Timestamp::from_millis(ms.parse().expect("milliseconds")),
            ("#", number) => event.number = number.parse().ok(),
            ("!", error) => event.detail_mut().error = Some(error.into()),
            _ => event.name = Some(word.into()),
        }
    }
    event
}

fn run(text: &str) -> Run {
    Run::of(Name::from("arn:aws:states:us-east-1:123456789012:execution:m:r"), events(text), ExecutionRecord::default())
}

fn check(text: &str, visits: &str, path: &str) {
    let run = run(text);
    let shown: Vec<String> = run
        .timeline
        .visits
        .iter()
        .map(|it| {
            let end = it.exited_at.map_or_else(|| "…".to_owned(), |it| (it.0 / 1_000).to_string());
            format!("{} {}..{end} {} x{}", it.state, it.entered_at.0 / 1_000, it.status.as_str(), it.attempts.len())
        })
        .collect();
    assert_eq!(shown.join("; "), visits);
    let steps: Vec<String> = merged(&run.path)
        .iter()
        .map(|it| {
            let state = it.owner.map_or("-", |it| run.timeline.visits[it].state.as_str());
            format!("{state} {} {}", it.category.as_str(), it.span().0 / 1_000)
        })
        .collect();
    assert_eq!(steps.join("; "), path);
    let total: Micros = run.path.iter().map(Step::span).sum();
    assert_eq!(Some(total), run.execution.duration(), "the path is a partition of the wall time");
}

#[test]
fn back_to_back_states_with_equal_ticks_are_all_on_the_path() {
    // Twenty states, each leaving in the very millisecond in which the next is entered: a rule that asks for a strict
    // order of times loses every other one of them.
    let mut text = "1<-0 ExecutionStarted +0\n".to_owned();
    for state in 0..20 {
        let (entered, previous) = (2 + state * 2, if state == 0 { 0 } else { 1 + state * 2 });
        text += &format!("{entered}<-{previous} WaitStateEntered W{state} +{}\n", state * 100);
        text += &format!("{}<-{entered} WaitStateExited W{state} +{}\n", entered + 1, state * 100 + 100);
    }
    text += "42<-41 ExecutionSucceeded +2000\n";
    let run = run(&text);
    let on_path: Micros = run.path.iter().filter(|it| it.owner.is_some()).map(Step::span).sum();
    assert_eq!(on_path, Micros::from_millis(2_000));
    assert_eq!(merged(&run.path).len(), 20);
}

#[test]
fn a_map_with_two_lanes_leads_through_the_iterations_that_freed_its_slots() {
    // Four rounds of two lanes, one second each, with equal ticks.
    let mut text = "1<-0 ExecutionStarted +0\n2<-0 MapStateEntered M +0\n3<-2 MapStateStarted #8 +0\n".to_owned();
    let mut id = 3;
    let mut exits = [0; 8];
    for round in 0..4 {
        for lane in 0..2 {
            let item = round * 2 + lane;
            let previous = if round == 0 { 3 } else { exits[item - 2] };
            let (from, to) = (round * 1_000, round * 1_000 + 1_000);
            text += &format!("{}<-{previous} MapIterationStarted M #{item} +{from}\n", id + 1);
            text += &format!("{}<-{} WaitStateEntered W +{from}\n", id + 2, id + 1);
            text += &format!("{}<-{} WaitStateExited W +{to}\n", id + 3, id + 2);
            text += &format!("{}<-{} MapIterationSucceeded M #{item} +{to}\n", id + 4, id + 3);
            exits[item] = id + 3;
            id += 4;
        }
    }
    text += &format!(
        "{}<-{id} MapStateSucceeded +4000\n{}<-{id} MapStateExited M +4000\n{}<-{} ExecutionSucceeded +4000\n",
        id + 1,
        id + 2,
        id + 3,
        id + 2
    );
    let run = run(&text);
    let waits: Vec<_> = merged(&run.path).iter().map(|it| (it.category.as_str(), it.span().0 / 1_000)).collect();
    assert_eq!(waits, [("wait", 1_000); 4]);
    assert_eq!(
        run.timeline.visits.iter().filter_map(|it| it.iteration).collect::<Vec<_>>(),
        (0..8).collect::<Vec<_>>()
    );
}

#[test]
fn a_retry_is_another_attempt_and_the_time_before_it_is_back_off() {
    check(
        "1<-0 ExecutionStarted +0
         2<-0 TaskStateEntered T +5
         3<-2 TaskScheduled +6
         4<-3 TaskStarted +10
         5<-4 TaskFailed !Flaky +30
         6<-5 TaskScheduled +1030
         7<-6 TaskStarted +1032
         8<-7 TaskFailed !Flaky +1040
         9<-8 TaskStateExited T +1041
         10<-9 PassStateEntered P +1041
         11<-10 PassStateExited P +1041
         12<-11 ExecutionSucceeded +1050",
        "T 5..1041 caught x2; P 1041..1041 succeeded x0",
        "- overhead 5; T overhead 1; T queue 4; T work 20; T backoff 1000; T queue 2; T work 8; T overhead 1; P overhead 9",
    );
}

#[test]
fn a_failing_branch_aborts_the_other_and_decides_the_end() {
    check(
        "1<-0 ExecutionStarted +0
         2<-0 ParallelStateEntered P +1
         3<-2 ParallelStateStarted +1
         4<-3 TaskStateEntered A +2
         5<-4 TaskScheduled +2
         6<-3 WaitStateEntered B +3
         7<-5 TaskStarted +4
         8<-7 TaskFailed !Boom +20
         9<-8 WaitStateAborted +21
         10<-8 ParallelStateFailed +21
         11<-10 ExecutionFailed !Boom +22",
        "P 1..21 failed x0; A 2..20 failed x1; B 3..21 aborted x0",
        "- overhead 1; P overhead 1; A queue 2; A work 16; P overhead 2",
    );
}

#[test]
fn nested_maps_repeat_their_states_without_mixing_them_up() {
    let run = run("1<-0 ExecutionStarted +0
         2<-0 MapStateEntered Outer +0
         3<-2 MapStateStarted #2 +0
         4<-3 MapIterationStarted Outer #0 +0
         5<-3 MapIterationStarted Outer #1 +0
         6<-4 MapStateEntered Inner +1
         7<-5 MapStateEntered Inner +1
         8<-6 MapStateStarted #1 +1
         9<-7 MapStateStarted #1 +1
         10<-8 MapIterationStarted Inner #0 +1
         11<-9 MapIterationStarted Inner #0 +1
         12<-11 PassStateEntered X +2
         13<-10 PassStateEntered X +2
         14<-13 PassStateExited X +3
         15<-12 PassStateExited X +4
         16<-14 MapIterationSucceeded Inner #0 +4
         17<-15 MapIterationSucceeded Inner #0 +5
         18<-16 MapStateSucceeded +5
         19<-16 MapStateExited Inner +5
         20<-17 MapStateSucceeded +6
         21<-17 MapStateExited Inner +6
         22<-19 MapIterationSucceeded Outer #0 +6
         23<-21 MapIterationSucceeded Outer #1 +7
         24<-23 MapStateSucceeded +7
         25<-23 MapStateExited Outer +7
         26<-25 ExecutionSucceeded +8");
    let parents: Vec<_> = run.timeline.visits.iter().map(|it| (it.id, it.parent, it.iteration)).collect();
    assert_eq!(
        parents,
        [(2, None, None), (6, Some(2), Some(0)), (7, Some(2), Some(1)), (12, Some(7), Some(0)), (13, Some(6), Some(0))]
    );
    assert!(run.execution.complete, "{:?}", run.execution.gaps);
}

#[test]
fn the_idle_time_before_a_redrive_is_no_work() {
    let text = "1<-0 ExecutionStarted +0
         2<-0 TaskStateEntered T +1
         3<-2 TaskScheduled +1
         4<-3 TaskStarted +2
         5<-4 TaskFailed !Boom +10
         6<-5 ExecutionFailed !Boom +11
         7<-0 ExecutionRedriven #1 +5000
         8<-7 TaskScheduled +5001
         9<-8 TaskStarted +5002
         10<-9 TaskSucceeded +5010
         11<-10 TaskStateExited T +5011
         12<-11 ExecutionSucceeded +5012";
    check(
        text,
        "T 1..5011 succeeded x2",
        "- overhead 1; T queue 1; T work 8; T overhead 1; - redrive_idle 4989; T overhead 1; T queue 1; T work 8; T overhead 2",
    );
    let run = run(text);
    assert_eq!(run.execution.active(), Some(Micros::from_millis(23)));
    assert_eq!((run.execution.transitions.redrives, run.execution.transitions.billed().0), (1, 3));
}

#[test]
fn a_redrive_that_enters_the_state_again_is_understood_too() {
    let run = run("1<-0 ExecutionStarted +0
         2<-0 ParallelStateEntered P +1
         3<-2 ParallelStateStarted +1
         4<-3 TaskStateEntered A +2
         5<-4 TaskScheduled +2
         6<-5 TaskStarted +3
         7<-6 TaskFailed !Boom +4
         8<-7 ParallelStateFailed +4
         9<-8 ExecutionFailed !Boom +5
         10<-9 ExecutionRedriven #1 +100
         11<-10 TaskStateEntered A +101
         12<-11 TaskScheduled +101
         13<-12 TaskStarted +102
         14<-13 TaskSucceeded +103
         15<-14 TaskStateExited A +104
         16<-15 ParallelStateSucceeded +104
         17<-15 ParallelStateExited P +104
         18<-17 ExecutionSucceeded +105");
    let visits: Vec<_> = run.timeline.visits.iter().map(|it| (it.id, it.parent, it.status.as_str())).collect();
    assert_eq!(visits, [(2, None, "succeeded"), (4, Some(2), "failed"), (11, Some(2), "succeeded")]);
    assert!(run.execution.complete, "{:?}", run.execution.gaps);
}

#[test]
fn an_aborted_execution_ends_with_the_state_that_was_open() {
    check(
        "1<-0 ExecutionStarted +0
         2<-0 TaskStateEntered T +1
         3<-2 TaskScheduled +1
         4<-3 TaskStarted +3
         5<-4 TaskSubmitted +5
         6<-0 ExecutionAborted +1005",
        "T 1..1005 aborted x1",
        "- overhead 1; T queue 2; T work 2; T callback 1000",
    );
}

#[test]
fn a_query_that_fails_belongs_to_the_state_it_names() {
    check(
        "1<-0 ExecutionStarted +0
         2<-0 PassStateEntered A +1
         3<-2 PassStateExited A +2
         4<-3 PassStateEntered B +2
         5<-3 EvaluationFailed B !States.QueryEvaluationError +4
         6<-5 ExecutionFailed !States.QueryEvaluationError +5",
        "A 1..2 succeeded x0; B 2..4 failed x0",
        "- overhead 1; A overhead 1; B overhead 3",
    );
}

#[test]
fn what_is_missing_is_said_and_the_rest_survives() {
    let run = run("4<-3 TaskFailed !Boom +10
                   5<-4 ExecutionFailed !Boom +11");
    assert!(!run.execution.complete);
    assert_eq!(run.execution.duration(), None, "the start is not known");
    assert!(run.execution.gaps[0].text.contains("3 of 5 events are missing"), "{:?}", run.execution.gaps);
    let open = self::run("1<-0 ExecutionStarted +0\n2<-0 WaitStateEntered W +1");
    assert_eq!(open.timeline.visits[0].exited_at, None);
    assert!(open.execution.gaps[0].text.contains("no closing event"), "{:?}", open.execution.gaps);
}

/// A Map of so many items, each with one Pass.
fn wide(n_items: u64) -> String {
    let mut text = format!("1<-0 ExecutionStarted +0\n2<-0 MapStateEntered M +0\n3<-2 MapStateStarted #{n_items} +0\n");
    let mut id = 3;
    for item in 0..n_items {
        text += &format!(
            "{}<-3 MapIterationStarted M #{item} +{item}\n{}<-{} PassStateEntered P +{item}\n",
            id + 1,
            id + 2,
            id + 1
        );
        text += &format!(
            "{}<-{} PassStateExited P +{}\n{}<-{} MapIterationSucceeded M #{item} +{}\n",
            id + 3,
            id + 2,
            item + 1,
            id + 4,
            id + 3,
            item + 1
        );
        id += 4;
    }
    text + &format!(
        "{}<-{id} MapStateSucceeded +{n_items}\n{}<-{id} MapStateExited M +{n_items}\n{}<-{} ExecutionSucceeded +{n_items}\n",
        id + 1,
        id + 2,
        id + 3,
        id + 2
    )
}

/// Parallels inside one another, with one Pass in the innermost.
fn deep(depth: u64) -> String {
    let mut text = "1<-0 ExecutionStarted +0\n".to_owned();
    for level in 0..depth {
        let (id, previous) = (2 + level * 2, if level == 0 { 0 } else { 1 + level * 2 });
        text += &format!(
            "{id}<-{previous} ParallelStateEntered P{level} +{level}\n{}<-{id} ParallelStateStarted +{level}\n",
            id + 1
        );
    }
    let mut id = 2 + depth * 2;
    text += &format!("{id}<-{} PassStateEntered L +{depth}\n{}<-{id} PassStateExited L +{depth}\n", id - 1, id + 1);
    id += 1;
    for level in (0..depth).rev() {
        text += &format!(
            "{}<-{id} ParallelStateSucceeded +{depth}\n{}<-{id} ParallelStateExited P{level} +{depth}\n",
            id + 1,
            id + 2
        );
        id += 2;
    }
    text + &format!("{}<-{id} ExecutionSucceeded +{depth}\n", id + 1)
}

#[test]
fn wide_deep_and_empty_shapes_are_whole_and_replayed_exactly() {
    for (text, n_visits) in [(wide(6_000), 6_001), (deep(200), 201), (wide(0), 1)] {
        let run = run(&text);
        assert!(run.execution.complete, "{:?}", run.execution.gaps);
        assert_eq!(run.timeline.visits.len(), n_visits);
        let total: Micros = run.path.iter().map(Step::span).sum();
        assert_eq!(Some(total), run.execution.duration());
        let replay = crate::replay::Replay::new(&run).expect("a complete run");
        assert_eq!(replay.error(), Some(Micros::ZERO));
    }
}

#[test]
fn a_map_run_that_goes_on_after_a_redrive_leaves_nothing_over() {
    let run = run("
        1<-0 ExecutionStarted +0
        2<-0 MapStateEntered M +0
        3<-2 MapStateStarted +1
        4<-3 MapRunStarted +1
        5<-4 MapRunFailed +10
        6<-5 MapStateFailed +10
        7<-6 ExecutionFailed +10
        8<-7 ExecutionRedriven #1 +100
        9<-8 MapRunRedriven +101
        10<-9 MapRunSucceeded +110
        11<-10 MapStateSucceeded +110
        12<-11 MapStateExited M +110
        13<-12 ExecutionSucceeded +111
    ");
    assert!(run.execution.complete, "{:?}", run.execution.gaps);
    assert!(run.execution.gaps.iter().all(|it| it.kind.as_str() != "unknown_state"), "{:?}", run.execution.gaps);
}

#[test]
fn the_path_goes_on_before_a_lost_entry() {
    check(
        "
        1<-0 ExecutionStarted +0
        2<-0 WaitStateEntered A +0
        3<-2 WaitStateExited A +50
        5<-4 PassStateExited B +60
        6<-5 WaitStateEntered C +60
        7<-6 WaitStateExited C +90
        8<-7 ExecutionSucceeded +90
        ",
        "A 0..50 succeeded x0; C 60..90 succeeded x0",
        "A wait 50; - overhead 10; C wait 30",
    );
}
