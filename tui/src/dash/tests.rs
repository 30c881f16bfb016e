//! Each panel narrow, wide, empty, loading and failing; each move as values.

use std::sync::Arc;

use analyzer::asl::StateMachine;
use analyzer::execution::Run;
use analyzer::model::{Event, EventKind, ExecutionRecord, Micros, Name, StateType, Status, Timestamp, Usd};
use analyzer::population::Population;
use analyzer::timeline::{Category, Split};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::screen::{MachineRef, Subject, TimeRange, View};
use super::ui::{Form, Mode, Preferences, Word};
use super::*;

const NOW: Timestamp = Timestamp(1_790_000_600_000_000);

fn reference(name: &str) -> MachineRef {
    MachineRef { arn: format!("arn:aws:states:us-east-1:123456789012:stateMachine:{name}"), name: name.to_owned() }
}

fn machine(name: &str, failed: u64) -> MachineItem {
    MachineItem {
        arn: reference(name).arn,
        name: name.to_owned(),
        account: "123456789012".to_owned(),
        region: "us-east-1".to_owned(),
        workflow_type: "STANDARD",
        executions: 1_100,
        running: 2,
        failed,
        closed: 1_098,
        complete: 1_098,
        counted: None,
        p50: Some(Micros::from_millis(978)),
        p95: Some(Micros::from_millis(2_160)),
        last_hour: 45,
        trend: vec![Some(Micros::from_millis(900)), None, Some(Micros::from_millis(2_000))],
        starts: vec![4, 0, 9],
    }
}

fn overview() -> Content {
    let machines = vec![
        machine("order-processing", 90),
        machine("image-ingest", 0),
        machine("a-machine-with-a-name-that-is-far-too-long", 0),
    ];
    let collector =
        vec!["collecting 123456789012 eu-west-1: 1,204 calls; ListExecutions 3/100 left, 10/s, 4 wait".to_owned()];
    Content::Overview(Arc::new(Overview { machines, collector, newest: Some(NOW), span: None }))
}

fn findout() -> Findout {
    let look = |kind, machine: &str, what: &str, detail: &str, view| Look {
        kind,
        machine: reference(machine),
        what: what.to_owned(),
        detail: detail.to_owned(),
        view,
    };
    let money = |name: &str| MoneyItem {
        arn: reference(name).arn,
        paid: Usd::parse("0.3868"),
        per_day: Usd::parse("0.3868"),
        month: Usd::parse("11.77").map(|it| (it, Usd::parse("11").zip(Usd::parse("13")))),
    };
    Findout {
        looks: vec![
            look(
                LookKind::Slower,
                "order-processing",
                "p95 8.54 s, was 1.35 s",
                "since 11-25 17:36   ChargeCard backoff +2.65 s (82 % of it)",
                View::Incident,
            ),
            look(
                LookKind::Money,
                "image-ingest",
                "$2.83 a month can be saved",
                "as Express, logs counted, 3 risks",
                View::Cost,
            ),
        ],
        money: vec![money("order-processing"), money("image-ingest")],
        limits: None,
    }
}

fn execution(id: u32, status: Status) -> ExecutionItem {
    ExecutionItem {
        id,
        arn: format!("arn:aws:states:us-east-1:123456789012:execution:order-processing:run-{id}"),
        machine: reference("order-processing"),
        name: format!("run-{id}"),
        status,
        started_at: Some(Timestamp::from_millis(1_790_000_000_000 + i64::from(id) * 60_000)),
        duration: status.is_closed().then(|| Micros::from_millis(i64::from(id) * 100)),
        current: if status.is_closed() { Vec::new() } else { vec!["ChargeCard".to_owned(), "PackItem ×3".to_owned()] },
        transitions: 23,
        usd: Usd::parse("0.000575"),
        complete: status.is_closed(),
        error: (status == Status::Failed).then(|| "OrderRefused".to_owned()),
        version: None,
    }
}

fn executions() -> Content {
    let mut rows = vec![execution(9, Status::Running), execution(8, Status::Failed)];
    rows.extend((1..8).rev().map(|id| execution(id, Status::Succeeded)));
    Content::Executions(Arc::new(Executions::new(rows, Some(9))))
}

/// A Task that fails once inside a Parallel, beside a Map of three items; open runs end before the Parallel does.
fn run(is_open: bool) -> Run {
    let at = |ms: i64| Timestamp::from_millis(1_790_000_000_000 + ms);
    let kinds: [(u64, u64, EventKind, Option<&str>, i64); 12] = [
        (1, 0, EventKind::ExecutionStarted, None, 0),
        (2, 0, EventKind::ParallelStateEntered, Some("Fulfil"), 20),
        (3, 2, EventKind::ParallelStateStarted, None, 20),
        (4, 3, EventKind::TaskStateEntered, Some("ChargeCard"), 25),
        (5, 4, EventKind::TaskScheduled, None, 25),
        (6, 5, EventKind::TaskStarted, None, 60),
        (7, 6, EventKind::TaskFailed, None, 260),
        (8, 7, EventKind::TaskScheduled, None, 760),
        (9, 8, EventKind::TaskStarted, None, 780),
        (10, 9, EventKind::TaskSucceeded, None, 980),
        (11, 10, EventKind::TaskStateExited, Some("ChargeCard"), 990),
        (12, 11, EventKind::ParallelStateExited, Some("Fulfil"), 1_000),
    ];
    let mut events: Vec<Event> = kinds
        .into_iter()
        .map(|(id, previous, kind, name, ms)| Event {
            id,
            previous,
            at: at(ms),
            kind,
            name: name.map(Name::from),
            resource: (id == 5 || id == 8).then(|| "lambda:invoke".into()),
            number: None,
            log_bytes: 0,
            detail: None,
        })
        .collect();
    events[6].detail_mut().error = Some("Lambda.TooManyRequestsException".into());
    let input = analyzer::model::Payload {
        field: analyzer::model::PayloadField::Input,
        body: r#"{"orderId":"A-1","items":[1,2]}"#.into(),
    };
    events[3].detail_mut().payloads.push(input);
    if is_open {
        events.truncate(9);
    } else {
        let closing = Event {
            id: 13,
            previous: 12,
            at: at(1_010),
            kind: EventKind::ExecutionSucceeded,
            name: None,
            ..events[2].clone()
        };
        events.push(closing);
    }
    let name = if is_open { "run-9" } else { "run-7" };
    let arn = format!("arn:aws:states:us-east-1:123456789012:execution:order-processing:{name}");
    Run::of(arn.as_str().into(), events, ExecutionRecord::default())
}

fn opened(is_open: bool) -> OpenedRun {
    OpenedRun { id: 7, run: run(is_open), traced: None, usd: Usd::parse("0.0001"), parent: None }
}

const DEFINITION: &str = r#"{"StartAt": "Fulfil", "States": {
    "Fulfil": {"Type": "Parallel", "Next": "Ask", "Branches": [
        {"StartAt": "ChargeCard", "States": {"ChargeCard": {"Type": "Task", "Resource": "r", "End": true}}}]},
    "Ask": {"Type": "Choice", "Choices": [{"Next": "Tell"}], "Default": "Pause"},
    "Pause": {"Type": "Wait", "Seconds": 1, "Next": "Ask"},
    "Tell": {"Type": "Succeed"}}}"#;

fn study() -> Content {
    let mut population = Population::default();
    population.add(&run(false));
    let item = |state: &str, kind, share| StateItem {
        state: state.to_owned(),
        kind: Some(kind),
        visits: 1_000,
        failures: if state == "ChargeCard" { 40 } else { 0 },
        retries: if state == "ChargeCard" { 70 } else { 0 },
        p50: Some(Micros::from_millis(500)),
        p95: Some(Micros::from_millis(1_900)),
        p99: Some(Micros::from_millis(4_600)),
        max: Some(Micros::from_millis(9_000)),
        critical: Micros::from_millis(1_000),
        share,
        split: {
            let mut split = Split::default();
            split[Category::Work] = Micros::from_millis(700);
            split[Category::Backoff] = Micros::from_millis(300);
            split
        },
        usd: Usd::parse("0.025"),
        histogram: vec![
            (Micros::from_millis(100), 900),
            (Micros::from_millis(1_000), 90),
            (Micros::from_millis(9_000), 2),
        ],
    };
    Content::Study(Arc::new(Study {
        definition: StateMachine::parse(DEFINITION).ok(),
        findings: population.finish(),
        patterns: vec![
            "`ChargeCard` was retried 70 times in 1,000 visits, mostly after `Lambda.TooManyRequestsException`."
                .to_owned(),
        ],
        sampled: 1_000,
        of: 12_000,
        is_cut: true,
        is_of_whole_hours: false,
        is_express: false,
        states: vec![
            item("Fulfil", StateType::Parallel, 0.02),
            item("ChargeCard", StateType::Task, 0.9),
            item("Ask", StateType::Choice, 0.0),
        ],
        versions: Vec::new(),
    }))
}

fn cost() -> Content {
    let usd = Usd::parse;
    Content::Cost(Arc::new(CostStudy {
        prices: "prices of 2026-11-01".to_owned(),
        assumptions: vec![
            "Start and end of an execution count as 0 transitions: no public page settles it.".to_owned(),
        ],
        workflow_type: "STANDARD",
        executions: 1_100,
        transitions: 18_587,
        paid: usd("118.40"),
        standard: usd("118.40"),
        express: usd("9.71"),
        express_logs: usd("31.20"),
        hybrid: vec![HybridPart {
            states: vec!["Validate".to_owned(), "Price".to_owned()],
            saves: Usd::parse("90").unwrap_or_default(),
            saves_between: None,
        }],
        is_eligible: Some(false),
        blockers: vec![("WaitForApproval".to_owned(), "waits for a task token (up to 3 days)".to_owned())],
        risks: vec![(
            "ChargeCard".to_owned(),
            "not idempotent as far as we know: an Express child may run it twice".to_owned(),
        )],
        waste: vec![("retries", Usd::parse("19.80").unwrap_or_default())],
        by_state: vec![
            ("ChargeCard".to_owned(), 9_000, 1_200, usd("60")),
            ("Validate".to_owned(), 4_000, 0, usd("30")),
        ],
        by_day: vec![
            ("2026-11-24".to_owned(), usd("50"), usd("4")),
            ("2026-11-25".to_owned(), usd("68.40"), usd("5.71")),
        ],
        month: usd("118").map(|it| (it, usd("112").zip(usd("124")))),
        saves_a_month: usd("90"),
        break_even: Some(BreakEven { transitions: 6.3, duration_s: 40.0, own_transitions: 13.6, own_duration_s: 2.0 }),
        sentences: Vec::new(),
    }))
}

fn at_minute(minute: i64) -> Timestamp {
    Timestamp(1_790_000_000_000_000 + minute * 60_000_000)
}

fn incident() -> Content {
    let ranges = ((at_minute(0), at_minute(30)), (at_minute(30), at_minute(40)));
    let item = |minute: i64| SeriesItem {
        from: at_minute(minute),
        executions: 10,
        failed: u64::from(minute == 35),
        p50: Micros::from_millis(900),
        p95: Micros::from_millis(if minute < 30 { 1_500 } else { 8_000 }),
    };
    let cause = |state: &str, what: &str, share, is_significant| CauseItem {
        state: state.to_owned(),
        what: what.to_owned(),
        contribution: "+2.65 s".to_owned(),
        share,
        interval: "+1.35 s to +4.22 s".to_owned(),
        q: "<1e-9".to_owned(),
        since: "2026-11-25 17:38".to_owned(),
        is_significant,
        examples: vec![execution(9, Status::Succeeded).arn],
    };
    Content::Incident(Arc::new(Incident {
        series: (0..40).map(item).collect(),
        span: Micros::from_seconds(60),
        changes: vec![ChangeItem {
            metric: "p95_ms",
            at: at_minute(30),
            before: 1_500.0,
            after: 8_000.0,
            p_value: 1e-9,
            ranges,
        }],
        deployments: vec![(at_minute(28), "14".to_owned())],
        ranges: Some(ranges),
        compared: Some(Compared {
            answer:
                "mean 1.04 s → 4.26 s   +3.22 s   p95 1.69 s → 17.9 s   failed 1.7 % → 0.0 %   45 runs against 1,055"
                    .to_owned(),
            causes: vec![cause("ChargeCard", "backoff", 0.82, true), cause("ReserveStock", "work", 0.01, false)],
            notes: vec!["Unexplained: −71.4 ms of +3.22 s.".to_owned()],
            command: "stepscope compare x".to_owned(),
        }),
        why_not: None,
    }))
}

fn page() -> Content {
    let row = |state: &str, share: &str, what: &str| vec![state.to_owned(), share.to_owned(), what.to_owned()];
    Content::Page(Arc::new(Page {
        heading: vec!["ChargeCard decides how long it takes".to_owned()],
        columns: vec![("state".to_owned(), false), ("share".to_owned(), true), ("of that".to_owned(), false)],
        rows: vec![row("ChargeCard", "61 %", "back-off 48 %"), row("支払いを請求する", "14 %", "work 70 %")],
        notes: vec![
            "ChargeCard is 61 % of the critical path; half of that is back-off after Lambda.TooManyRequestsException"
                .to_owned(),
        ],
    }))
}

fn content(view: View) -> Content {
    match view {
        View::Overview => overview(),
        View::Executions => executions(),
        View::Timeline => Content::Run(Arc::new(opened(false))),
        View::Twins => Content::Twins(Arc::new((opened(false), opened(true)))),
        View::Machine | View::Bottlenecks => study(),
        View::Cost => cost(),
        View::Incident => incident(),
        View::Collector | View::Report => page(),
    }
}

const VIEWS: [View; 9] = [
    View::Overview,
    View::Executions,
    View::Timeline,
    View::Machine,
    View::Bottlenecks,
    View::Cost,
    View::Incident,
    View::Twins,
    View::Report,
];

fn subject(view: View) -> Subject {
    match view {
        View::Report => Subject::Words(vec!["bottlenecks".to_owned()]),
        View::Timeline => Subject::Execution(7),
        View::Twins => Subject::Pair("a".to_owned(), None),
        _ => Subject::Nothing,
    }
}

fn at_size(size: (u16, u16)) -> Ui {
    let (ui, effects) = start(Ui::new("stepscope", Preferences::default(), NOW, size));
    assert!(matches!(effects[..], [Effect::Load(1, _)]));
    let (ui, effects) = update(ui, Msg::Loaded(1, Ok(overview())));
    assert_eq!(effects, [Effect::FindOut(TimeRange::All)]);
    update(ui, Msg::FoundOut(TimeRange::All, Ok(findout()))).0
}

/// A view that waits for what it shows, and the number of that.
fn waiting(view: View, size: (u16, u16)) -> (Ui, u64) {
    if view == View::Overview {
        let (ui, _) = start(Ui::new("stepscope", Preferences::default(), NOW, size));
        return (ui, 1);
    }
    let of = view.is_of_machine().then(|| reference("order-processing"));
    let (ui, effects) = go_to(at_size(size), view, of, subject(view));
    let Some(Effect::Load(ticket, _)) = effects.last() else { panic!("{effects:?}") };
    let ticket = *ticket;
    (ui, ticket)
}

fn showing(view: View, size: (u16, u16)) -> Ui {
    let (ui, ticket) = waiting(view, size);
    let ui = update(ui, Msg::Loaded(ticket, Ok(content(view)))).0;
    if view == View::Overview { update(ui, Msg::FoundOut(TimeRange::All, Ok(findout()))).0 } else { ui }
}

fn draw(ui: &Ui) -> String {
    let mut terminal = Terminal::new(TestBackend::new(ui.width, ui.height)).expect("a terminal");
    let vm = view(ui);
    terminal.draw(|frame| render(frame, &vm)).expect("a frame");
    terminal.backend().to_string().lines().map(|it| it.trim_matches('"').trim_end()).collect::<Vec<_>>().join("\n")
}

fn press(ui: Ui, keys: &str) -> (Ui, Vec<Effect>) {
    let mut effects = Vec::new();
    let ui = keys.split_whitespace().fold(ui, |ui, key| {
        let key = Key::parse(key).unwrap_or_else(|| panic!("no key: {key}"));
        let (ui, more) = update(ui, Msg::Key(key));
        effects.extend(more);
        ui
    });
    (ui, effects)
}

fn type_in(ui: Ui, text: &str) -> Ui {
    text.chars().fold(ui, |ui, it| update(ui, Msg::Key(Key::Char(it))).0)
}

#[test]
fn every_view_narrow_usual_and_wide() {
    for size in [(60, 20), (80, 24), (160, 50)] {
        for view in VIEWS {
            let name = format!("{}_{}x{}", view.as_str(), size.0, size.1);
            insta::assert_snapshot!(name, draw(&showing(view, size)));
        }
    }
}

#[test]
fn every_view_while_it_loads_and_when_that_fails() {
    for view in VIEWS {
        let (ui, ticket) = waiting(view, (80, 8));
        assert!(draw(&ui).contains("loading …"), "{}", draw(&ui));
        let failed = update(ui, Msg::Loaded(ticket, Err("the database is busy".to_owned()))).0;
        assert!(draw(&failed).contains("✗ the database is busy"), "{}", draw(&failed));
        assert!(failed.stop().awaited.is_none());
    }
}

#[test]
fn every_view_when_there_is_nothing_to_show() {
    for view in VIEWS {
        let nothing = match view {
            View::Overview => Content::Overview(Arc::default()),
            View::Executions => Content::Executions(Arc::default()),
            View::Machine | View::Bottlenecks => Content::Study(Arc::default()),
            View::Cost => Content::Cost(Arc::default()),
            View::Incident => Content::Incident(Arc::default()),
            View::Report => Content::Page(Arc::default()),
            _ => continue,
        };
        let (ui, ticket) = waiting(view, (80, 10));
        let ui = update(ui, Msg::Loaded(ticket, Ok(nothing))).0;
        insta::assert_snapshot!(format!("{}_empty", view.as_str()), draw(&ui));
    }
}

#[test]
fn every_view_in_ascii_and_in_the_smallest_frame() {
    for view in VIEWS {
        let mut ui = showing(view, (80, 24));
        ui.preferences.is_ascii = true;
        let drawn = draw(&ui);
        let other: String = drawn.chars().filter(|it| !it.is_ascii()).collect();
        assert!(other.is_empty(), "{}: {other}", view.as_str());
        draw(&update(showing(view, (80, 24)), Msg::Resize(3, 2)).0);
        draw(&update(showing(view, (80, 24)), Msg::Resize(1, 1)).0);
    }
}

#[test]
fn the_help_and_the_menus_lie_over_the_view() {
    insta::assert_snapshot!("help", draw(&press(showing(View::Incident, (80, 24)), "?").0));
    insta::assert_snapshot!("ranges", draw(&press(showing(View::Overview, (80, 24)), "t").0));
    insta::assert_snapshot!("copies", draw(&press(showing(View::Timeline, (100, 24)), "y").0));
    let ui = press(showing(View::Timeline, (100, 40)), "down enter").0;
    insta::assert_snapshot!("an_opened_visit", draw(&ui));
}

#[test]
fn what_was_opened_is_loaded_and_back_returns() {
    let (ui, effects) = press(at_size((80, 24)), "down down down enter");
    let Some(Effect::Load(ticket, load)) = effects.last() else { panic!("{effects:?}") };
    assert_eq!((load.view, load.machine.as_ref().map(|it| it.name.as_str())), (View::Executions, Some("image-ingest")));
    let ui = update(ui, Msg::Loaded(*ticket, Ok(executions()))).0;
    let (ui, effects) = press(ui, "down enter");
    assert!(matches!(&effects[..], [Effect::Load(_, load)] if load.subject == Subject::Execution(8)), "{effects:?}");
    // Who leaves gives up what they waited for; what comes after that is dropped.
    let (ui, effects) = press(ui, "esc");
    assert!(matches!(effects[..], [Effect::Cancel(3)]), "{effects:?}");
    let ui = update(ui, Msg::Loaded(3, Ok(content(View::Timeline)))).0;
    assert_eq!((ui.stop().view, ui.stop().row), (View::Executions, 1));
    let (ui, effects) = press(ui, "esc");
    assert_eq!((ui.stop().view, ui.stop().row, effects.len()), (View::Overview, 3, 0));
    let (ui, _) = press(ui, "u");
    assert_eq!(ui.stop().view, View::Executions, "going back can be undone");
}

#[test]
fn a_look_leads_to_the_view_that_explains_it() {
    let (_, effects) = press(at_size((80, 24)), "enter");
    assert!(matches!(&effects[..], [Effect::Load(_, load)] if load.view == View::Incident), "{effects:?}");
}

#[test]
fn looks_that_come_later_leave_the_cursor_on_its_machine() {
    let (ui, _) = start(Ui::new("stepscope", Preferences::default(), NOW, (80, 24)));
    let ui = update(ui, Msg::Loaded(1, Ok(overview()))).0;
    let (ui, _) = press(ui, "down");
    let ui = update(ui, Msg::FoundOut(TimeRange::All, Ok(findout()))).0;
    assert_eq!(ui.stop().row, 3);
}

#[test]
fn a_filter_narrows_as_it_is_typed_and_escape_clears_it() {
    let (ui, _) = press(at_size((80, 24)), "/");
    let ui = type_in(ui, "image");
    assert!(!draw(&ui).contains("order-processing"), "{}", draw(&ui));
    let (ui, effects) = press(ui, "enter enter");
    assert_eq!(effects.len(), 1, "the first enter keeps the filter, the second opens");
    let (ui, _) = press(ui, "esc esc");
    assert!(draw(&ui).contains("order-processing"));
}

#[test]
fn the_range_is_for_every_view_and_what_was_loaded_before_is_old() {
    let (ui, effects) = press(showing(View::Executions, (80, 24)), "t 2");
    assert!(matches!(&effects[..], [Effect::Load(_, load)] if load.range.label() == "1h"), "{effects:?}");
    let (ui, _) = press(ui, "t /");
    let ui = type_in(ui, "2026-11-25T13:00Z/2026-11-25T14:00Z");
    let (ui, effects) = press(ui, "enter");
    assert!(
        matches!(&effects[..], [Effect::Cancel(_), Effect::Load(_, load)] if matches!(load.range, TimeRange::Between(Some(_), Some(_)))),
        "{effects:?}"
    );
    let (ui, _) = press(type_in(press(ui, "t /").0, "yesterday"), "enter");
    assert!(ui.notice.as_deref().is_some_and(|it| it.contains("yesterday")));
}

#[test]
fn sorting_goes_round_the_orders_and_can_be_reversed() {
    let (ui, _) = press(showing(View::Executions, (80, 24)), "s");
    assert!(draw(&ui).contains("sorted by slowest"));
    let order = |ui: &Ui| {
        draw(ui)
            .lines()
            .skip(5)
            .map(|it| it.trim_start_matches(['▸', ' ']).split(' ').next().unwrap_or("").to_owned())
            .take(3)
            .collect::<Vec<_>>()
    };
    assert_eq!(order(&ui), ["run-9", "run-8", "run-7"], "what runs is old already");
    let (ui, _) = press(ui, "S");
    assert_eq!(order(&ui), ["run-1", "run-2", "run-3"]);
}

#[test]
fn two_marked_executions_are_put_side_by_side() {
    let (ui, effects) = press(showing(View::Executions, (80, 24)), "m m x");
    assert!(
        matches!(&effects[..], [Effect::Load(_, load)] if matches!(&load.subject, Subject::Pair(a, Some(b)) if a.ends_with("run-9") && b.ends_with("run-8"))),
        "{effects:?}"
    );
    assert_eq!(ui.marks.len(), 2);
    let (ui, effects) = press(showing(View::Executions, (80, 24)), "x");
    assert!(effects.is_empty() && ui.notice.is_some());
}

#[test]
fn a_timeline_folds_zooms_and_pans() {
    let ui = showing(View::Timeline, (100, 30));
    let n_rows = |ui: &Ui| super::views::n_rows(ui);
    assert_eq!(n_rows(&ui), 2);
    let (ui, _) = press(ui, "space");
    assert_eq!(n_rows(&ui), 1);
    let (ui, _) = press(ui, "space down +");
    let (from, to) = ui.stop().window.expect("a window");
    assert_eq!(to - from, Micros::from_millis(505));
    let (ui, _) = press(ui, "left");
    assert!(ui.stop().window.expect("a window").0 < from, "panned");
    let (ui, _) = press(ui, "-");
    assert_eq!(ui.stop().window, None, "zoomed out to the whole");
    let (ui, _) = press(ui, "left");
    assert_eq!(ui.stop().view, View::Overview, "without a window, left goes back");
}

#[test]
fn a_running_execution_grows() {
    let (ui, ticket) = waiting(View::Timeline, (100, 30));
    let ui = update(ui, Msg::Loaded(ticket, Ok(Content::Run(Arc::new(opened(true)))))).0;
    let (before, ui) = (draw(&ui), update(ui, Msg::Tick(Timestamp(NOW.0 + 3_600_000_000))).0);
    assert_ne!(before, draw(&ui));
    let (_, effects) = update(ui, Msg::Changed);
    assert!(matches!(effects[..], [Effect::Load(..)]), "and is loaded anew when something was written");
    let (_, effects) = update(showing(View::Timeline, (100, 30)), Msg::Changed);
    assert!(effects.is_empty(), "one that has ended is not");
}

#[test]
fn what_if_slides_and_is_played_at_once() {
    let (ui, effects) = press(showing(View::Bottlenecks, (100, 30)), "left left");
    let scenario = match effects.last() {
        Some(Effect::Simulate(_, _, _, scenario)) => scenario.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(scenario.work.values().copied().collect::<Vec<_>>(), [0.8]);
    let ticket = ui.stop().simulated.expect("a number");
    let distribution = |ms| analyzer::outcome::Distribution {
        n_runs: 9,
        p50: Some(Micros::from_millis(ms)),
        p95: Some(Micros::from_millis(2 * ms)),
        p99: None,
        mean: Some(Micros::from_millis(ms)),
    };
    let effects = Effects {
        before: distribution(1_000),
        after: distribution(700),
        usd_before: Usd::parse("2"),
        usd_after: Usd::parse("1"),
        left_out: 3,
    };
    let ui = update(ui, Msg::Simulated(ticket, Ok(effects))).0;
    insta::assert_snapshot!("a_what_if", draw(&ui));
    let (ui, _) = press(ui, "right right");
    assert!(ui.stop().scenario.work.is_empty() && draw(&ui).contains("as recorded"), "{}", draw(&ui));
    let (ui, _) = press(ui, "o R");
    assert!(ui.stop().scenario.no_backoff && ui.stop().scenario.no_retries);
    let (ui, _) = press(ui, "+");
    assert!(ui.notice.as_deref().is_some_and(|it| it.contains("no Map")));
}

#[test]
fn ranges_are_drawn_with_the_keyboard_and_with_the_mouse() {
    let ui = showing(View::Incident, (80, 24));
    let (_, effects) = press(ui, "home left left left I left left I");
    assert!(
        matches!(&effects[..], [Effect::Load(_, load)] if load.ranges.is_some_and(|it| it.1 == (at_minute(34), at_minute(37)))),
        "{effects:?}"
    );
    let ui = showing(View::Incident, (80, 24));
    let click = |ui: Ui, msg| update(ui, msg);
    let (ui, _) = click(ui, Msg::Click(12 + 20, 5));
    let (ui, _) = click(ui, Msg::Drag(12 + 25, 5));
    let (_, effects) = click(ui, Msg::Release);
    assert!(
        matches!(&effects[..], [Effect::Load(_, load)] if load.ranges.is_some_and(|it| it.1 == (at_minute(20), at_minute(26)))),
        "{effects:?}"
    );
}

#[test]
fn commands_are_typed_completed_and_lead_back() {
    let mut ui = showing(View::Executions, (100, 24));
    let word = |name: &str, options: &[&str]| Word {
        name: name.to_owned(),
        about: String::new(),
        options: options.iter().map(|it| (*it).to_owned()).collect(),
    };
    ui.vocabulary = vec![word("bottlenecks", &[]), word("cost", &["--by", "--since"]), word("compare", &[])].into();
    let (ui, _) = press(ui, ": c o tab");
    assert!(draw(&ui).contains(":cost▏"), "{}", draw(&ui));
    let (ui, _) = press(ui, "tab tab space");
    assert!(draw(&ui).contains(":cost ▏"), "{}", draw(&ui));
    let (ui, _) = press(ui, "o tab space - - s tab 2 4 h");
    let (ui, effects) = press(ui, "enter");
    let words = ["cost", "order-processing", "--since", "24h"].map(str::to_owned).to_vec();
    assert!(matches!(&effects[..], [Effect::Load(_, load)] if load.subject == Subject::Words(words)), "{effects:?}");
    let (ui, _) = press(ui, "esc");
    assert_eq!(ui.stop().view, View::Executions);
    assert_eq!(press(ui, ": q enter").1, [Effect::Exit]);
}

#[test]
fn a_view_is_a_command_too() {
    let ui = showing(View::Overview, (100, 24));
    let (_, effects) = press(type_in(press(ui, ":").0, "incident image-ingest"), "enter");
    assert!(
        matches!(&effects[..], [Effect::Load(_, load)] if load.view == View::Incident && load.machine == Some(reference("image-ingest"))),
        "{effects:?}"
    );
}

#[test]
fn what_is_frozen_stays_as_it_is() {
    let (ui, _) = press(showing(View::Overview, (80, 24)), "z");
    let (ui, effects) = update(ui, Msg::Changed);
    assert!(effects.is_empty() && draw(&ui).contains("frozen"));
    assert!(matches!(press(ui, "z").1[..], [Effect::Load(..)]), "it catches up when it thaws");
}

#[test]
fn what_is_shown_can_be_copied_and_exported() {
    let (_, effects) = press(showing(View::Executions, (80, 24)), "y a");
    assert!(matches!(&effects[..], [Effect::Copy(text)] if text.ends_with(":run-9")), "{effects:?}");
    let (_, effects) = press(showing(View::Executions, (80, 24)), "e c");
    let Some(Effect::Export(Form::Csv, shown)) = effects.first() else { panic!("{effects:?}") };
    assert_eq!((shown.rows.len(), shown.view), (9, "executions"), "all rows, not those on screen alone");
    assert!(shown.text.contains("run-9"));
}

#[test]
fn keys_can_be_bound_anew_and_unknown_ones_say_so() {
    let mut preferences = Preferences::default();
    preferences.keys.bind(Action::Quit, &[Key::Function(10)]);
    let (ui, _) = start(Ui::new("stepscope", preferences, NOW, (80, 24)));
    let ui = update(ui, Msg::Loaded(1, Ok(overview()))).0;
    assert_eq!(press(ui.clone(), "f10").1, [Effect::Exit]);
    let (ui, effects) = press(ui, "q");
    assert!(effects.is_empty() && ui.notice.is_some_and(|it| it.starts_with("q does nothing here")));
}

#[test]
fn tabs_and_machines_turn_in_both_directions() {
    let (ui, _) = press(showing(View::Cost, (100, 24)), "tab");
    assert_eq!(ui.stop().view, View::Incident);
    let (ui, _) = press(ui, "shift-tab shift-tab");
    assert_eq!((ui.stop().view, ui.trail.iter().count()), (View::Bottlenecks, 2), "tabs do not make the trail longer");
    let (ui, _) = press(ui, "n");
    assert_eq!(ui.stop().machine.as_ref().map(|it| it.name.as_str()), Some("image-ingest"));
    let (ui, _) = press(ui, "p p");
    assert_eq!(
        ui.stop().machine.as_ref().map(|it| it.name.as_str()),
        Some("a-machine-with-a-name-that-is-far-too-long")
    );
    let (ui, effects) = update(ui, Msg::Click(2, 1));
    assert_eq!((ui.stop().view, effects.len()), (View::Overview, 1), "a click on a tab; what was awaited is given up");
}

#[test]
fn a_click_moves_and_a_second_one_opens() {
    let ui = showing(View::Executions, (80, 24));
    let (ui, effects) = update(ui, Msg::Click(5, 7));
    assert_eq!((ui.stop().row, effects.len()), (2, 0));
    let (_, effects) = update(ui, Msg::Click(5, 7));
    assert!(matches!(effects[..], [Effect::Load(..)]));
}

#[test]
fn the_mode_of_the_help_ends_with_any_key() {
    let (ui, _) = press(showing(View::Overview, (80, 24)), "? down");
    assert!(matches!(ui.mode, Mode::Helping(1)));
    assert_eq!(press(ui, "x").0.mode, Mode::Moving);
}

#[test]
fn whatever_is_pressed_in_whatever_size_a_frame_can_be_drawn() {
    let keys: Vec<Key> = "up down left right pageup pagedown home end enter enter enter esc tab shift-tab backspace space f1 ctrl-o ctrl-u \
        0 1 2 3 4 5 6 7 + - / : ? B C F G I L O R S T a b c d e h i j k l m n o p s t u v x y z [ ] { }"
        .split_whitespace()
        .filter_map(Key::parse)
        .collect();
    let mut random: u64 = 11;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).unwrap_or(0) % below
    };
    let mut ui = at_size((80, 24));
    for step in 0..20_000 {
        let msg = match next(12) {
            0 => {
                let (width, height) = (1 + next(180), 1 + next(60));
                Msg::Resize(u16::try_from(width).unwrap_or(1), u16::try_from(height).unwrap_or(1))
            }
            1 => Msg::Click(u16::try_from(next(180)).unwrap_or(0), u16::try_from(next(60)).unwrap_or(0)),
            2 => Msg::Drag(u16::try_from(next(180)).unwrap_or(0), u16::try_from(next(60)).unwrap_or(0)),
            3 => Msg::Release,
            4 => Msg::Tick(Timestamp(NOW.0 + step * 1_000_000)),
            5 => Msg::Changed,
            _ => Msg::Key(keys[next(keys.len())]),
        };
        ui = update(ui, msg).0;
        // Sometimes what was asked for comes, sometimes it fails, sometimes it is still on its way.
        if let Some(ticket) = ui.stop().awaited {
            let view = ui.stop().view;
            match next(4) {
                0 => {}
                1 => ui = update(ui, Msg::Loaded(ticket, Err("no".to_owned()))).0,
                _ => ui = update(ui, Msg::Loaded(ticket, Ok(content(view)))).0,
            }
        }
        if step % 5 == 0 {
            draw(&ui);
        }
    }
}

/// The last load that was asked for.
fn asked(effects: &[Effect]) -> (u64, Load) {
    let load = effects.iter().rev().find_map(|it| match it {
        Effect::Load(ticket, load) => Some((*ticket, load.clone())),
        _ => None,
    });
    load.unwrap_or_else(|| panic!("nothing was asked for: {effects:?}"))
}

fn effects_of(ms: i64) -> Effects {
    let p50 = Some(Micros::from_millis(ms));
    let distribution = analyzer::outcome::Distribution { n_runs: 9, p50, ..Default::default() };
    Effects { before: distribution.clone(), after: distribution, ..Effects::default() }
}

#[test]
fn a_what_if_is_played_for_the_range_and_the_scenario_that_are_shown() {
    // A range and a scenario in one go: the load is not given up for the sake of the scenario.
    let (ui, effects) = press(showing(View::Bottlenecks, (100, 30)), "t 3 o");
    let (ticket, load) = asked(&effects);
    assert_eq!((load.range.label().as_str(), ui.stop().awaited), ("6h", Some(ticket)));
    let (ui, effects) = update(ui, Msg::Loaded(ticket, Ok(study())));
    let Some(Effect::Simulate(ticket, _, range, _)) = effects.last() else { panic!("{effects:?}") };
    assert_eq!(range.label(), "6h");
    let ui = update(ui, Msg::Simulated(*ticket, Ok(effects_of(700)))).0;
    assert!(draw(&ui).contains("700 ms"), "{}", draw(&ui));
    // Another range: what was played before is of other runs.
    let (ui, effects) = press(ui, "t 0");
    let (ui, effects) = update(ui, Msg::Loaded(asked(&effects).0, Ok(study())));
    assert!(matches!(effects[..], [Effect::Simulate(..)]) && !draw(&ui).contains("700 ms"), "{}", draw(&ui));
    // Another scenario that is left before it is played is played on the way back.
    let (ui, _) = press(ui, "left enter");
    let (ui, effects) = press(ui, "esc");
    assert!(matches!(effects.last(), Some(Effect::Simulate(..))), "{effects:?}");
    assert!(draw(&ui).contains("re-simulating"), "{}", draw(&ui));
}

#[test]
fn the_overview_is_never_of_another_range_than_it_says() {
    let (ui, effects) = press(showing(View::Executions, (100, 30)), "t 1");
    let ui = update(ui, Msg::Loaded(asked(&effects).0, Ok(executions()))).0;
    let (ui, effects) = press(ui, "O");
    assert_eq!(asked(&effects).1.range.label(), "15m", "it is loaded anew");
    assert!(ui.findout.looks.is_empty(), "what was found out about another range is gone");
    // What was found out about the range before is dropped, and asked again.
    let (ui, effects) = update(ui, Msg::Loaded(asked(&effects).0, Ok(overview())));
    assert!(matches!(effects[..], [Effect::FindOut(_)]));
    let (ui, effects) = update(ui, Msg::FoundOut(TimeRange::All, Ok(findout())));
    assert!(matches!(&effects[..], [Effect::FindOut(range)] if range.label() == "15m"), "{effects:?}");
    assert!(ui.findout.looks.is_empty());
}

#[test]
fn what_could_not_be_looked_at_is_not_called_right() {
    let (ui, _) = start(Ui::new("stepscope", Preferences::default(), NOW, (100, 24)));
    let ui = update(ui, Msg::Loaded(1, Ok(overview()))).0;
    assert!(draw(&ui).contains("looking …"));
    let failed = update(ui.clone(), Msg::FoundOut(TimeRange::All, Err("the database is busy".to_owned()))).0;
    assert!(draw(&failed).contains("not known") && draw(&failed).contains("busy"), "{}", draw(&failed));
    let limits = Some("changes: of the last day alone".to_owned());
    let ui = update(ui, Msg::FoundOut(TimeRange::All, Ok(Findout { limits, ..Findout::default() }))).0;
    assert!(draw(&ui).contains("nothing is wrong") && draw(&ui).contains("last day alone"), "{}", draw(&ui));
}

#[test]
fn what_changes_while_one_is_elsewhere_is_seen_when_one_comes_back() {
    let (ui, _) = update(showing(View::Executions, (80, 24)), Msg::Changed);
    let (_, effects) = press(ui, "esc");
    assert_eq!(asked(&effects).1.view, View::Overview);
}

#[test]
fn the_keys_of_an_open_execution_are_about_its_machine() {
    let (ui, effects) = go_to(at_size((80, 24)), View::Timeline, None, Subject::ExecutionOf("x".to_owned()));
    let ui = update(ui, Msg::Loaded(asked(&effects).0, Ok(content(View::Timeline)))).0;
    let (_, effects) = press(ui, "b");
    assert_eq!(asked(&effects).1.machine.map(|it| it.name).as_deref(), Some("order-processing"));
}

#[test]
fn a_view_that_is_opened_at_once_still_knows_all_machines() {
    let (ui, first) = start(Ui::new("stepscope", Preferences::default(), NOW, (80, 24)));
    let (ui, second) = go_to(ui, View::Cost, Some(reference("order-processing")), Subject::Nothing);
    assert!(!second.iter().any(|it| matches!(it, Effect::Cancel(_))));
    let ui = update(ui, Msg::Loaded(asked(&first).0, Ok(overview()))).0;
    let ui = update(ui, Msg::Loaded(asked(&second).0, Ok(cost()))).0;
    let (_, effects) = press(ui, "n");
    assert_eq!(asked(&effects).1.machine.map(|it| it.name).as_deref(), Some("image-ingest"));
}

#[test]
fn every_change_that_was_found_has_its_turn() {
    let Content::Incident(one) = incident() else { panic!("an incident") };
    let mut many = (*one).clone();
    let change = many.changes[0].clone();
    let older = ((at_minute(0), at_minute(5)), (at_minute(5), at_minute(30)));
    many.changes =
        vec![change.clone(), ChangeItem { metric: "p50_ms", ..change.clone() }, ChangeItem { ranges: older, ..change }];
    let (ui, ticket) = waiting(View::Incident, (80, 24));
    let ui = update(ui, Msg::Loaded(ticket, Ok(Content::Incident(Arc::new(many.clone()))))).0;
    let (ui, effects) = press(ui, "}");
    let ui = update(ui, Msg::Loaded(asked(&effects).0, Ok(Content::Incident(Arc::new(many))))).0;
    assert_eq!(asked(&press(ui, "}").1).1.ranges, Some(older));
}

#[test]
fn a_comparison_of_other_ranges_is_not_shown_beside_those_that_are_marked() {
    let (ui, effects) = press(showing(View::Incident, (80, 24)), "left left left I left left I");
    assert!(!draw(&ui).contains("ChargeCard") && draw(&ui).contains("comparing …"), "{}", draw(&ui));
    assert!(asked(&effects).1.ranges.is_some());
    // One that begins with the first column leaves nothing to compare with.
    let (ui, _) = update(showing(View::Incident, (80, 24)), Msg::Click(12, 5));
    let (ui, _) = update(ui, Msg::Drag(40, 5));
    let (ui, effects) = update(ui, Msg::Release);
    assert!(effects.is_empty() && draw(&ui).contains("B marks a baseline"), "{}", draw(&ui));
    // A click alone moves the cursor.
    let (ui, _) = update(showing(View::Incident, (80, 24)), Msg::Click(20, 5));
    let (ui, effects) = update(ui, Msg::Release);
    assert!(effects.is_empty() && ui.stop().begun.is_none() && ui.stop().incident.is_none());
}

#[test]
fn stuck_runs_are_listed_whenever_they_began() {
    let look = Look {
        kind: LookKind::Stuck,
        machine: reference("orders"),
        what: String::new(),
        detail: String::new(),
        view: View::Executions,
    };
    let (ui, _) = start(Ui::new("stepscope", Preferences::default(), NOW, (100, 24)));
    let ui = update(ui, Msg::Loaded(1, Ok(overview()))).0;
    let ui = update(ui, Msg::FoundOut(TimeRange::All, Ok(Findout { looks: vec![look], ..Findout::default() }))).0;
    assert_eq!(asked(&press(ui, "enter").1).1.subject, Subject::Open);
}

#[test]
fn a_state_beside_the_drawing_is_chosen_by_a_click() {
    let ui = showing(View::Machine, (160, 50));
    let line = draw(&ui).lines().position(|it| it.contains("Ask") && it.contains("Choice")).expect("a line");
    let ui = update(ui, Msg::Click(120, u16::try_from(line).unwrap_or(0))).0;
    assert_eq!(ui.stop().row, 2);
}

#[test]
fn what_lies_over_the_view_is_scrolled_no_further_than_it_is_long() {
    let (ui, _) =
        press(showing(View::Overview, (80, 24)), "? pagedown pagedown pagedown pagedown pagedown pagedown up");
    let (before, ui) = (draw(&ui), press(ui, "up").0);
    assert_ne!(before, draw(&ui));
    let ui = update(press(showing(View::Overview, (80, 24)), "t").0, Msg::Wheel { is_down: true }).0;
    assert!(matches!(&ui.mode, Mode::Choosing(menu) if menu.row == 1), "the wheel is for the menu");
    assert_eq!(ui.stop().row, 0);
}
