//! What keys do.

use super::loading::{lay_out, load, simulate};
use super::menus::{choose, copy_menu, export_menu, range_menu};
use super::moving::{back, forward, go, switch, turn, turn_machine};
use super::typing::{filter, type_on};
use super::{Effect, view, views};
use crate::dash::keys::{Action, Key};
use crate::dash::screen::{Sort, View};
use crate::dash::ui::{Mode, Prompt, PromptKind, Ui};

pub(super) fn press(ui: &mut Ui, key: Key) -> Vec<Effect> {
    if key == Key::Ctrl('c') {
        return vec![Effect::Exit];
    }
    match ui.mode.clone() {
        Mode::Moving => {}
        Mode::Filtering => return filter(ui, key),
        Mode::Typing(prompt) => return type_on(ui, prompt, key),
        Mode::Choosing(menu) => return choose(ui, menu, key),
        Mode::Helping(scrolled) => {
            let action = ui.preferences.keys.action(key, ui.stop().view);
            let most = view::most_scrolled(ui);
            ui.mode = match action {
                Some(Action::Down) => Mode::Helping((scrolled + 1).min(most)),
                Some(Action::Up) => Mode::Helping(scrolled.saturating_sub(1)),
                Some(Action::PageDown) => Mode::Helping((scrolled + 10).min(most)),
                Some(Action::PageUp) => Mode::Helping(scrolled.saturating_sub(10)),
                _ => Mode::Moving,
            };
            return Vec::new();
        }
    }
    if let Some(action) = ui.preferences.keys.action(key, ui.stop().view) {
        return act(ui, action);
    }
    let help = ui.preferences.keys.key(Action::Help);
    let help = help.map_or_else(String::new, |it| format!("; {it} lists what does"));
    ui.notice = Some(format!("{key} does nothing here{help}"));
    Vec::new()
}

pub(super) fn act(ui: &mut Ui, action: Action) -> Vec<Effect> {
    if let Some(scrolled) = ui.stop().detail {
        return scroll_detail(ui, scrolled, action);
    }
    if let Some(step) = views::act(ui, action) {
        return follow(ui, step);
    }
    let page = view::list_height(ui).max(1);
    let last = views::n_rows(ui).saturating_sub(1);
    let stop = ui.stop_mut();
    match action {
        Action::Up => stop.row = stop.row.saturating_sub(1),
        Action::Down => stop.row += 1,
        Action::PageUp => stop.row = stop.row.saturating_sub(page),
        Action::PageDown => stop.row += page,
        Action::First => stop.row = 0,
        Action::Last => stop.row = last,
        Action::Back | Action::Left => return back(ui),
        Action::Forward => return forward(ui),
        Action::NextView => return turn(ui, 1),
        Action::PreviousView => return turn(ui, -1),
        Action::Overview => return switch(ui, View::Overview),
        Action::Executions => return switch(ui, View::Executions),
        Action::Machine => return switch(ui, View::Machine),
        Action::Bottlenecks => return switch(ui, View::Bottlenecks),
        Action::Cost => return switch(ui, View::Cost),
        Action::Incident => return switch(ui, View::Incident),
        Action::Collector => return switch(ui, View::Collector),
        Action::NextMachine => return turn_machine(ui, 1),
        Action::PreviousMachine => return turn_machine(ui, -1),
        Action::Range => ui.mode = Mode::Choosing(range_menu(ui.preferences.range)),
        Action::Filter => ui.mode = Mode::Filtering,
        Action::Find => ui.mode = Mode::Typing(Prompt::new(PromptKind::Find)),
        Action::Command => ui.mode = Mode::Typing(Prompt::new(PromptKind::Command)),
        Action::Sort => sort(ui, |it, n| it.order = (it.order + 1) % n.max(1)),
        Action::Reverse => sort(ui, |it, _| it.is_reversed = !it.is_reversed),
        Action::Reload => return load(ui),
        Action::Freeze => {
            ui.is_frozen = !ui.is_frozen;
            if !ui.is_frozen {
                return load(ui);
            }
        }
        Action::Copy => ui.mode = copy_menu(ui),
        Action::Export => ui.mode = Mode::Choosing(export_menu()),
        Action::Theme => {
            ui.preferences.theme = ui.preferences.theme.next();
            ui.notice = Some(format!("theme: {}", ui.preferences.theme.as_str()));
        }
        Action::Help => ui.mode = Mode::Helping(0),
        Action::Quit => return vec![Effect::Exit],
        _ => {}
    }
    Vec::new()
}

/// Goes where a view leads.
pub(super) fn follow(ui: &mut Ui, next: views::Step) -> Vec<Effect> {
    match next {
        views::Step::Stay => Vec::new(),
        views::Step::Go(stop) => go(ui, *stop),
        views::Step::Load => load(ui),
        views::Step::LayOut => {
            lay_out(ui.stop_mut());
            Vec::new()
        }
        views::Step::Simulate => simulate(ui),
    }
}

pub(super) fn sort(ui: &mut Ui, change: impl Fn(&mut Sort, usize)) {
    let orders = views::orders(ui.stop());
    if orders.is_empty() {
        ui.notice = Some("this view has an order of its own".to_owned());
        return;
    }
    let stop = ui.stop_mut();
    change(&mut stop.sort, orders.len());
    stop.row = 0;
    let (view, sort) = (stop.view, stop.sort);
    ui.preferences.sorts.insert(view, sort);
    let reversed = if sort.is_reversed { ", the other way round" } else { "" };
    ui.notice = Some(format!("sorted by {}{reversed}", orders[sort.order % orders.len()]));
}

pub(super) fn scroll_detail(ui: &mut Ui, scrolled: usize, action: Action) -> Vec<Effect> {
    let page = usize::from(ui.height).saturating_sub(6).max(1);
    let most = view::most_scrolled(ui);
    let scrolled = match action {
        Action::Down => scrolled + 1,
        Action::Up => scrolled.saturating_sub(1),
        Action::PageDown => scrolled + page,
        Action::PageUp => scrolled.saturating_sub(page),
        Action::First => 0,
        Action::Last => most,
        Action::Quit => return vec![Effect::Exit],
        Action::Copy => {
            ui.mode = copy_menu(ui);
            return Vec::new();
        }
        _ => {
            ui.stop_mut().detail = None;
            return Vec::new();
        }
    };
    ui.stop_mut().detail = Some(scrolled.min(most));
    Vec::new()
}
