//! What the mouse does.

use super::keys::act;
use super::menus::chosen;
use super::moving::switch;
use super::{Effect, view, views};
use crate::dash::keys::Action;
use crate::dash::ui::{Mode, Ui};
use crate::dash::view::Area;

/// A click moves the cursor, one on the cursor opens; one on a tab switches.
pub(super) fn click(ui: &mut Ui, column: u16, line: u16) -> Vec<Effect> {
    if let Mode::Choosing(menu) = ui.mode.clone() {
        let row = view::menu_row(ui, &menu, column, line);
        return chosen(ui, row.and_then(|row| menu.choices.get(row)).map(|it| it.2.clone()));
    }
    if !matches!(ui.mode, Mode::Moving | Mode::Filtering) || ui.stop().detail.is_some() {
        (ui.mode, ui.stop_mut().detail) = (Mode::Moving, None);
        return Vec::new();
    }
    if let Some(tab) = view::tab_at(ui, column, line) {
        return switch(ui, tab);
    }
    if views::click_chart(ui, Area::of(ui), column, line) {
        return Vec::new();
    }
    match view::row_at(ui, line) {
        Some(row) if row == ui.stop().row => act(ui, Action::Open),
        Some(row) => {
            ui.stop_mut().row = row;
            Vec::new()
        }
        None => Vec::new(),
    }
}

/// Dragging over a chart chooses the range of the incident.
pub(super) fn drag(ui: &mut Ui, column: u16, line: u16) {
    views::drag_chart(ui, Area::of(ui), column, line);
}
