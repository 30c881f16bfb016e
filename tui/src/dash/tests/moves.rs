//! What keys, clicks and loads change.

use std::sync::Arc;

use analyzer::model::{Micros, Status, Timestamp};

use super::super::screen::{Subject, TimeRange, View};
use super::super::ui::{Form, Mode, Preferences, Word};
use super::super::*;
use super::fixtures::*;

#[test]
fn what_was_opened_is_loaded_and_back_returns() {
    let (ui, effects) = press(at_size((80, 24)), "down down down enter");
    let Some(Effect::Load(ticket, load)) = effects.last() else { panic!("{effects:?}") };
    assert_eq!((load.view, load.machine.as_ref().map(|it| it.name.as_str())), (View::Executions, Some("image-ingest")));
    let ui = update(ui, Msg::Loaded(*ticket, Ok(executions()))).0;
    let (ui, effects) = press(ui, "down enter");
    assert!(
        matches!(&effects[..], [Effect::Load(_, load)] if load.subject == Subject::Execution(execution(8, Status::Failed).arn)),
        "{effects:?}"
    );
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
    let (ui, effects) = go_to(at_size((80, 24)), View::Timeline, None, Subject::Execution("x".to_owned()));
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
        ranges: None,
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
