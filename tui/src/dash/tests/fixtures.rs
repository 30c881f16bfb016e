//! Contents of every view, and how a test opens, draws and presses.

use std::sync::Arc;

use analyzer::asl::StateMachine;
use analyzer::execution::Run;
use analyzer::model::{Event, EventKind, ExecutionRecord, Micros, Name, StateType, Status, Timestamp, Usd};
use analyzer::population::Population;
use analyzer::timeline::{Category, Split};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::super::screen::{MachineRef, Subject, TimeRange, View};
use super::super::ui::Preferences;
use super::super::*;
use crate::collecting::{CollectorState, Ended, FailingApi, Obstacle, TargetState};

pub(super) const NOW: Timestamp = Timestamp(1_790_000_600_000_000);

pub(super) fn reference(name: &str) -> MachineRef {
    MachineRef { arn: format!("arn:aws:states:us-east-1:123456789012:stateMachine:{name}"), name: name.to_owned() }
}

pub(super) fn machine(name: &str, failed: u64) -> MachineItem {
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
        failure_rate: analyzer::failure_rate::FailureRate::Stored { failed, of: 1_098 },
        complete: 1_098,
        counted: None,
        p50: Some(Micros::from_millis(978)),
        p95: Some(Micros::from_millis(2_160)),
        last_hour: 45,
        trend: vec![Some(Micros::from_millis(900)), None, Some(Micros::from_millis(2_000))],
        starts: vec![4, 0, 9],
    }
}

pub(super) fn overview() -> Content {
    let machines = vec![
        machine("order-processing", 90),
        machine("image-ingest", 0),
        machine("a-machine-with-a-name-that-is-far-too-long", 0),
    ];
    let collector =
        vec!["collecting 123456789012 eu-west-1: 1,204 calls; ListExecutions 3/100 left, 10/s, 4 wait".to_owned()];
    Content::Overview(Arc::new(Overview { machines, collector, newest: Some(NOW), span: None }))
}

pub(super) fn findout() -> Findout {
    let look = |kind, machine: &str, what: &str, detail: &str, view| Look {
        kind,
        machine: reference(machine),
        what: what.to_owned(),
        detail: detail.to_owned(),
        view,
        ranges: None,
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

pub(super) fn execution(id: u64, status: Status) -> ExecutionItem {
    ExecutionItem {
        id,
        arn: format!("arn:aws:states:us-east-1:123456789012:execution:order-processing:run-{id}"),
        machine: reference("order-processing"),
        name: format!("run-{id}"),
        status,
        started_at: Some(Timestamp::from_millis(1_790_000_000_000 + id.cast_signed() * 60_000)),
        duration: status.is_closed().then(|| Micros::from_millis(id.cast_signed() * 100)),
        current: if status.is_closed() { Vec::new() } else { vec!["ChargeCard".to_owned(), "PackItem ×3".to_owned()] },
        transitions: 23,
        usd: Usd::parse("0.000575"),
        complete: status.is_closed(),
        error: (status == Status::Failed).then(|| "OrderRefused".to_owned()),
        version: None,
    }
}

pub(super) fn executions() -> Content {
    let mut rows = vec![execution(9, Status::Running), execution(8, Status::Failed)];
    rows.extend((1..8).rev().map(|id| execution(id, Status::Succeeded)));
    Content::Executions(Arc::new(Executions::new(rows, Some(9))))
}

/// A Task that fails once inside a Parallel, beside a Map of three items; open runs end before the Parallel does.
pub(super) fn run(is_open: bool) -> Run {
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

pub(super) fn opened(is_open: bool) -> OpenedRun {
    OpenedRun { run: run(is_open), traced: None, usd: Usd::parse("0.0001"), parent: None }
}

pub(super) const DEFINITION: &str = r#"{"StartAt": "Fulfil", "States": {
    "Fulfil": {"Type": "Parallel", "Next": "Ask", "Branches": [
        {"StartAt": "ChargeCard", "States": {"ChargeCard": {"Type": "Task", "Resource": "r", "End": true}}}]},
    "Ask": {"Type": "Choice", "Choices": [{"Next": "Tell"}], "Default": "Pause"},
    "Pause": {"Type": "Wait", "Seconds": 1, "Next": "Ask"},
    "Tell": {"Type": "Succeed"}}}"#;

pub(super) fn study() -> Content {
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

pub(super) fn cost() -> Content {
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

pub(super) fn at_minute(minute: i64) -> Timestamp {
    Timestamp(1_790_000_000_000_000 + minute * 60_000_000)
}

pub(super) fn incident() -> Content {
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

pub(super) fn page() -> Content {
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

pub(super) fn content(view: View) -> Content {
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

pub(super) const VIEWS: [View; 9] = [
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

pub(super) fn subject(view: View) -> Subject {
    match view {
        View::Report => Subject::Words(vec!["bottlenecks".to_owned()]),
        View::Timeline => Subject::Execution(execution(7, Status::Running).arn),
        View::Twins => Subject::Pair("a".to_owned(), None),
        _ => Subject::Nothing,
    }
}

pub(super) fn at_size(size: (u16, u16)) -> Ui {
    let (ui, effects) = start(Ui::new("stepscope", Preferences::default(), NOW, size));
    assert!(matches!(effects[..], [Effect::Load(1, _)]));
    let (ui, effects) = update(ui, Msg::Loaded(1, Ok(overview())));
    assert_eq!(effects, [Effect::FindOut(TimeRange::All)]);
    update(ui, Msg::FoundOut(TimeRange::All, Ok(findout()))).0
}

/// A view that waits for what it shows, and the number of that.
pub(super) fn waiting(view: View, size: (u16, u16)) -> (Ui, u64) {
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

pub(super) fn showing(view: View, size: (u16, u16)) -> Ui {
    let (ui, ticket) = waiting(view, size);
    let ui = update(ui, Msg::Loaded(ticket, Ok(content(view)))).0;
    if view == View::Overview { update(ui, Msg::FoundOut(TimeRange::All, Ok(findout()))).0 } else { ui }
}

pub(super) fn draw(ui: &Ui) -> String {
    let mut terminal = Terminal::new(TestBackend::new(ui.width, ui.height)).expect("a terminal");
    let vm = view(ui);
    terminal.draw(|frame| render(frame, &vm)).expect("a frame");
    terminal.backend().to_string().lines().map(|it| it.trim_matches('"').trim_end()).collect::<Vec<_>>().join("\n")
}

pub(super) fn press(ui: Ui, keys: &str) -> (Ui, Vec<Effect>) {
    let mut effects = Vec::new();
    let ui = keys.split_whitespace().fold(ui, |ui, key| {
        let key = Key::parse(key).unwrap_or_else(|| panic!("no key: {key}"));
        let (ui, more) = update(ui, Msg::Key(key));
        effects.extend(more);
        ui
    });
    (ui, effects)
}

pub(super) fn type_in(ui: Ui, text: &str) -> Ui {
    text.chars().fold(ui, |ui, it| update(ui, Msg::Key(Key::Char(it))).0)
}

/// The last load that was asked for.
pub(super) fn asked(effects: &[Effect]) -> (u64, Load) {
    let load = effects.iter().rev().find_map(|it| match it {
        Effect::Load(ticket, load) => Some((*ticket, load.clone())),
        _ => None,
    });
    load.unwrap_or_else(|| panic!("nothing was asked for: {effects:?}"))
}

pub(super) fn effects_of(ms: i64) -> Effects {
    let p50 = Some(Micros::from_millis(ms));
    let distribution = analyzer::outcome::Distribution { n_runs: 9, p50, ..Default::default() };
    Effects { before: distribution.clone(), after: distribution, ..Effects::default() }
}

/// A collector in each state that the header can show.
pub(super) fn collectors() -> Vec<(&'static str, CollectorState)> {
    let ago = |seconds: i64| NOW.0 - seconds * 1_000_000;
    let failing = |obstacle, detail: Option<&str>| {
        let api = "ListExecutions".to_owned();
        vec![FailingApi { api, obstacle, detail: detail.map(str::to_owned), since_us: ago(130) }]
    };
    let state = |answered: Option<i64>, failing: Vec<FailingApi>| CollectorState {
        pid: 4_711,
        follows: true,
        interval_s: 15,
        started_at_us: ago(600),
        spoke_at_us: ago(1),
        stored_at_us: Some(ago(5)),
        targets: vec![TargetState {
            profile: Some("prod".to_owned()),
            answered_at_us: answered.map(ago),
            failing,
            next_try_at_us: Some(ago(-12)),
            ..TargetState::default()
        }],
        ..CollectorState::default()
    };
    let ended = |code: Option<i32>, signal: Option<i32>, reason: Option<&str>| CollectorState {
        ended: Some(Ended { at_us: ago(20), code, signal, reason: reason.map(str::to_owned), fix: None }),
        next_start_at_us: Some(ago(-8)),
        ..state(Some(21), Vec::new())
    };
    vec![
        ("live", state(Some(3), Vec::new())),
        ("starting", CollectorState { started_at_us: ago(2), ..state(None, Vec::new()) }),
        ("no_credentials", state(None, failing(Obstacle::NoCredentials, None))),
        ("expired", state(Some(140), failing(Obstacle::ExpiredCredentials, Some("ExpiredTokenException")))),
        ("wrong_clock", state(Some(140), failing(Obstacle::WrongClock, Some("InvalidSignatureException")))),
        ("unreachable", state(Some(140), failing(Obstacle::Unreachable, None))),
        ("denied", state(Some(3), failing(Obstacle::Denied, Some("states:ListExecutions")))),
        ("not_storing", CollectorState { stored_at_us: Some(ago(300)), ..state(Some(3), Vec::new()) }),
        ("ended", ended(Some(1), None, Some("the database file cannot be used: no space left on device"))),
        ("killed", ended(None, Some(9), None)),
        ("silent", CollectorState { spoke_at_us: ago(90), ..state(Some(91), Vec::new()) }),
        ("stopped", ended(Some(0), None, None)),
    ]
}
