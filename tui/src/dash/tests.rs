//! Every view as it is drawn.

mod fixtures;
mod moves;

use std::sync::Arc;

use analyzer::model::{Micros, Usd};
use fixtures::*;

use super::screen::View;
use super::*;

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
fn what_the_collector_says_is_in_the_header_the_overview_and_its_own_view() {
    for (name, state) in collectors() {
        let told = |ui: Ui| update(ui, Msg::Collector(Box::new(state.clone()))).0;
        let head = |width: u16| {
            let drawn = draw(&told(showing(View::Overview, (width, 12))));
            drawn.lines().next().unwrap_or_default().to_owned()
        };
        let (ui, ticket) = waiting(View::Overview, (100, 7));
        let empty = update(ui, Msg::Loaded(ticket, Ok(Content::Overview(Arc::default())))).0;
        let (ui, ticket) = waiting(View::Collector, (100, 8));
        let collector = update(ui, Msg::Loaded(ticket, Ok(content(View::Collector)))).0;
        let mut ascii = told(showing(View::Overview, (100, 12)));
        ascii.preferences.is_ascii = true;
        let ascii = draw(&ascii).lines().next().unwrap_or_default().to_owned();
        let parts = [head(60), head(100), head(160), ascii, draw(&told(empty)), draw(&told(collector))];
        insta::assert_snapshot!(format!("collector_{name}"), parts.join("\n\n"));
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
