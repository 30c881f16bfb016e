//! Each frame narrow, wide, empty and failing; each move as values.

use std::sync::Arc;

use analyzer::execution::Run;
use analyzer::model::{Event, EventKind, ExecutionRecord, Micros, Name, Status, Timestamp, Usd};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::{Effect, ExecutionItem, MachineItem, Msg, Page, Ui, render, update, view};

fn machine(name: &str, failed: u64) -> MachineItem {
    MachineItem {
        arn: format!("arn:aws:states:us-east-1:123456789012:stateMachine:{name}"),
        name: name.to_owned(),
        workflow_type: "STANDARD",
        executions: 1_100,
        running: 2,
        failed,
        closed: 1_098,
        complete: 1_098,
        counted: None,
        p50: Some(Micros::from_millis(978)),
        p95: Some(Micros::from_millis(2_160)),
        paid: Usd::parse("0.3868"),
        as_standard: Usd::parse("0.3868"),
        as_express: Usd::parse("0.0025"),
        trend: vec![Some(Micros::from_millis(900)), None, Some(Micros::from_millis(2_000))],
    }
}

fn execution(id: u32, status: Status) -> ExecutionItem {
    ExecutionItem {
        id,
        name: format!("run-{id}"),
        status,
        started_at: Some(Timestamp::from_millis(1_790_000_000_000 + i64::from(id) * 60_000)),
        duration: Some(Micros::from_millis(i64::from(id) * 100)),
        transitions: 23,
        usd: Usd::parse("0.000575"),
        complete: true,
        error: (status == Status::Failed).then(|| "OrderRefused".to_owned()),
    }
}

/// A Task that fails once inside a Parallel.
fn run() -> Arc<Run> {
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
    let closing = Event {
        id: 13,
        previous: 12,
        at: at(1_010),
        kind: EventKind::ExecutionSucceeded,
        name: None,
        ..events[2].clone()
    };
    events.push(closing);
    Arc::new(Run::of(
        "arn:aws:states:us-east-1:123456789012:execution:orders:run-7".into(),
        events,
        ExecutionRecord::default(),
    ))
}

fn draw(ui: &Ui) -> String {
    let mut terminal = Terminal::new(TestBackend::new(ui.width, ui.height)).expect("a terminal");
    let vm = view(ui);
    terminal.draw(|frame| render(frame, &vm)).expect("a frame");
    terminal.backend().to_string().lines().map(|it| it.trim_matches('"').trim_end()).collect::<Vec<_>>().join("\n")
}

fn after(ui: Ui, msgs: Vec<Msg>) -> (Ui, Vec<Effect>) {
    let mut effects = Vec::new();
    let ui = msgs.into_iter().fold(ui, |ui, msg| {
        let (ui, effect) = update(ui, msg);
        effects.extend(effect);
        ui
    });
    (ui, effects)
}

fn machines(width: u16, height: u16) -> Ui {
    let machines = vec![
        machine("order-processing", 90),
        machine("image-ingest", 0),
        machine("a-machine-with-a-name-that-is-far-too-long", 0),
    ];
    after(Ui::new("stepscope", width, height), vec![Msg::Machines(machines)]).0
}

fn executions() -> Ui {
    let list = vec![execution(3, Status::Succeeded), execution(2, Status::Failed), execution(1, Status::Running)];
    after(machines(80, 12), vec![Msg::Open, Msg::Executions(list)]).0
}

fn timeline(width: u16) -> Ui {
    after(executions(), vec![Msg::Open, Msg::Resize(width, 20), Msg::Run(run()), Msg::Down]).0
}

#[test]
fn machines_at_eighty_columns() {
    insta::assert_snapshot!(draw(&machines(80, 10)));
}

#[test]
fn machines_on_a_wide_screen() {
    insta::assert_snapshot!(draw(&machines(160, 8)));
}

#[test]
fn machines_while_somebody_collects() {
    let line = "collecting 123456789012 eu-west-1: 1,204 calls; ListExecutions: 3 of 100 calls left".to_owned();
    insta::assert_snapshot!(draw(&after(machines(100, 10), vec![Msg::Collector(vec![line])]).0));
}

#[test]
fn machines_when_nothing_is_stored() {
    let ui = after(Ui::new("stepscope", 80, 6), vec![Msg::Machines(Vec::new())]).0;
    insta::assert_snapshot!(draw(&ui));
}

#[test]
fn machines_when_loading_fails() {
    let ui =
        after(machines(80, 8), vec![Msg::Trouble("the database is being written by another process".to_owned())]).0;
    insta::assert_snapshot!(draw(&ui));
}

#[test]
fn executions_at_eighty_columns() {
    insta::assert_snapshot!(draw(&executions()));
}

#[test]
fn a_list_that_cannot_hold_all_executions_says_so() {
    let many = MachineItem { executions: 7_150, ..machine("orders", 0) };
    let list = (0..5_000).map(|id| execution(id, Status::Succeeded)).collect();
    let msgs = vec![Msg::Machines(vec![many]), Msg::Open, Msg::Executions(list)];
    let ui = after(Ui::new("stepscope", 100, 12), msgs).0;
    assert_eq!(view(&ui).answer, "5,000 executions among the newest 5,000 of 7,150, 0 not successful, newest first");
}

#[test]
fn a_timeline_with_the_cursor_on_a_retried_task() {
    insta::assert_snapshot!(draw(&timeline(100)));
}

#[test]
fn a_narrow_timeline() {
    insta::assert_snapshot!(draw(&timeline(60)));
}

#[test]
fn the_help_lies_over_the_view() {
    let ui = after(machines(90, 16), vec![Msg::Help]).0;
    insta::assert_snapshot!(draw(&ui));
}

#[test]
fn opening_asks_for_what_is_opened_and_back_returns() {
    let (ui, effects) = after(machines(80, 12), vec![Msg::Down, Msg::Open]);
    let machine_arn = "arn:aws:states:us-east-1:123456789012:stateMachine:image-ingest".to_owned();
    assert_eq!(effects, [Effect::LoadExecutions { machine_arn }]);
    let (ui, effects) = after(ui, vec![Msg::Executions(vec![execution(9, Status::Succeeded)]), Msg::Open]);
    assert_eq!(effects, [Effect::LoadRun { id: 9 }]);
    let (ui, _) = after(ui, vec![Msg::Back, Msg::Back]);
    assert_eq!((ui.screen, ui.machines_place.row), (super::Screen::Machines, 1), "the cursor is where it was");
}

#[test]
fn a_filter_narrows_as_it_is_typed_and_escape_clears_it() {
    let typed = "image".chars().map(Msg::Type).collect::<Vec<_>>();
    let (ui, _) = after(machines(80, 12), [vec![Msg::Last, Msg::Filter], typed].concat());
    assert_eq!((ui.visible_machines().len(), ui.machines_place.row), (1, 0));
    let (ui, effects) = after(ui, vec![Msg::Open, Msg::Open]);
    assert_eq!(effects.len(), 1, "the first enter keeps the filter, the second opens");
    let (ui, _) = after(ui, vec![Msg::Back, Msg::Back]);
    assert_eq!(ui.visible_machines().len(), 3);
}

#[test]
fn the_cursor_stays_inside_the_list_and_on_the_screen() {
    let (ui, _) = after(machines(80, 5), vec![Msg::PageDown, Msg::Down, Msg::Down]);
    assert_eq!(ui.machines_place.row, 2);
    assert_eq!(view(&ui).cursor, Some(0), "a list of one line shows the line under the cursor");
    let (ui, _) = after(ui, vec![Msg::First, Msg::Up]);
    assert_eq!(ui.machines_place.row, 0);
}

#[test]
fn a_click_moves_and_a_second_one_opens() {
    let (ui, effects) = after(machines(80, 12), vec![Msg::Click(4)]);
    assert_eq!((ui.machines_place.row, effects.len()), (1, 0));
    let (_, effects) = after(ui, vec![Msg::Click(4), Msg::Click(99)]);
    assert_eq!(effects.len(), 1);
}

#[test]
fn space_folds_the_container_under_the_cursor() {
    let (ui, _) = after(timeline(100), vec![Msg::First, Msg::Fold]);
    assert_eq!(ui.n_rows(), 1);
    let (ui, _) = after(ui, vec![Msg::Fold]);
    assert_eq!(ui.n_rows(), 2);
}

fn report() -> Page {
    let row = |state: &str, share: &str, what: &str| vec![state.to_owned(), share.to_owned(), what.to_owned()];
    Page {
        heading: vec!["ChargeCard decides how long it takes".to_owned()],
        columns: vec![("state".to_owned(), false), ("share".to_owned(), true), ("of that".to_owned(), false)],
        rows: vec![row("ChargeCard", "61 %", "back-off 48 %"), row("支払いを請求する", "14 %", "work 70 %")],
        notes: vec![
            "ChargeCard is 61 % of the critical path; half of that is back-off after Lambda.TooManyRequestsException"
                .to_owned(),
        ],
    }
}

fn page(width: u16, height: u16) -> Ui {
    let (ui, effects) = after(machines(width, height), vec![Msg::Show("bottlenecks")]);
    let words = vec!["bottlenecks".to_owned(), ui.machine.clone().expect("under the cursor").0];
    assert_eq!(effects.last(), Some(&Effect::LoadPage { words }));
    after(ui, vec![Msg::Page(report())]).0
}

#[test]
fn a_report_at_eighty_columns() {
    insta::assert_snapshot!(draw(&page(80, 12)));
}

#[test]
fn a_report_where_there_is_little_room() {
    insta::assert_snapshot!(draw(&page(44, 9)));
}

#[test]
fn a_report_that_is_loading_fails_or_is_empty() {
    let (ui, _) = after(machines(80, 6), vec![Msg::Show("compare")]);
    insta::assert_snapshot!("a_report_that_is_loading", draw(&ui));
    let failed = after(ui.clone(), vec![Msg::Trouble("nothing changed significantly".to_owned())]).0;
    insta::assert_snapshot!("a_report_that_fails", draw(&failed));
    insta::assert_snapshot!("a_report_that_is_empty", draw(&after(ui, vec![Msg::Page(Page::default())]).0));
}

#[test]
fn a_command_is_typed_and_leads_back_to_where_it_was_asked() {
    let keys: Vec<Msg> = "cost --since 24h".chars().map(Msg::Type).collect();
    let (ui, _) = after(executions(), [vec![Msg::Command], keys].concat());
    assert!(draw(&ui).contains(":cost --since 24h"), "{}", draw(&ui));
    let (ui, effects) = after(ui, vec![Msg::Open]);
    let words = ["cost", "--since", "24h"].map(str::to_owned).to_vec();
    assert_eq!(effects.last(), Some(&Effect::LoadPage { words: words.clone() }));
    let (ui, effects) = after(ui, vec![Msg::Page(report()), Msg::Reload, Msg::Back]);
    assert_eq!((ui.screen, effects.last()), (super::Screen::Executions, Some(&Effect::LoadPage { words })));
    let (ui, effects) = after(ui, vec![Msg::Command, Msg::Type('q'), Msg::Back]);
    assert_eq!((ui.command.clone(), effects.len()), (None, 0), "it can be given up");
    assert_eq!(after(ui, vec![Msg::Command, Msg::Type('q'), Msg::Open]).1, [Effect::Exit]);
}
