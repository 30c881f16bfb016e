//! A few things to choose from.

use std::sync::Arc;

use super::loading::load;
use super::{Effect, views};
use crate::dash::data::Content;
use crate::dash::keys::Key;
use crate::dash::screen::{TimeRange, View};
use crate::dash::ui::{Choice, Form, Menu, Mode, Prompt, PromptKind, Ui};

pub(super) fn range_menu(now: TimeRange) -> Menu {
    let letters = "0123456789".chars();
    let mut choices: Vec<(char, String, Choice)> =
        letters.zip(TimeRange::CHOICES).map(|(letter, it)| (letter, it.said(), Choice::Range(it))).collect();
    choices.push(('/', "another …".to_owned(), Choice::TypeRange));
    let row = TimeRange::CHOICES.iter().position(|it| *it == now).unwrap_or(TimeRange::CHOICES.len());
    Menu { title: "started in", row, choices }
}

pub(super) fn export_menu() -> Menu {
    let form = |letter, what: &str, form| (letter, what.to_owned(), Choice::Export(form));
    Menu {
        title: "export what is shown",
        row: 0,
        choices: vec![
            form('t', "text, as on screen", Form::Text),
            form('j', "JSON", Form::Json),
            form('c', "CSV", Form::Csv),
            form('m', "Markdown", Form::Markdown),
        ],
    }
}

pub(super) fn copy_menu(ui: &mut Ui) -> Mode {
    let choices: Vec<(char, String, Choice)> =
        views::copies(ui).into_iter().map(|(letter, what, text)| (letter, what, Choice::Copy(text))).collect();
    if choices.is_empty() {
        ui.notice = Some("there is nothing to copy here".to_owned());
        return Mode::Moving;
    }
    Mode::Choosing(Menu { title: "copy", row: 0, choices })
}

pub(super) fn choose(ui: &mut Ui, mut menu: Menu, key: Key) -> Vec<Effect> {
    let last = menu.choices.len().saturating_sub(1);
    match key {
        Key::Up => menu.row = menu.row.saturating_sub(1),
        Key::Down => menu.row = (menu.row + 1).min(last),
        Key::Enter => {
            let choice = menu.choices.get(menu.row).map(|it| it.2.clone());
            return chosen(ui, choice);
        }
        Key::Char(letter) => {
            if let Some(it) = menu.choices.iter().find(|it| it.0 == letter) {
                let choice = it.2.clone();
                return chosen(ui, Some(choice));
            }
            match letter {
                'j' => menu.row = (menu.row + 1).min(last),
                'k' => menu.row = menu.row.saturating_sub(1),
                _ => {}
            }
        }
        _ => {
            ui.mode = Mode::Moving;
            return Vec::new();
        }
    }
    ui.mode = Mode::Choosing(menu);
    Vec::new()
}

pub(super) fn chosen(ui: &mut Ui, choice: Option<Choice>) -> Vec<Effect> {
    ui.mode = Mode::Moving;
    match choice {
        None => Vec::new(),
        Some(Choice::Range(range)) => set_range(ui, range),
        Some(Choice::TypeRange) => {
            ui.mode = Mode::Typing(Prompt::new(PromptKind::Range));
            Vec::new()
        }
        Some(Choice::Export(form)) => vec![Effect::Export(form, views::shown(ui))],
        Some(Choice::Copy(text)) => vec![Effect::Copy(text)],
    }
}

/// Another range: everything that was loaded for the one before is old.
pub(super) fn set_range(ui: &mut Ui, range: TimeRange) -> Vec<Effect> {
    ui.preferences.range = range;
    (ui.findout_at, ui.findout_again, ui.findout) = (None, None, Arc::default());
    for stop in ui.trail.iter_mut().rev().skip(1).chain(&mut ui.undone) {
        if !matches!(stop.view, View::Timeline | View::Twins) {
            // The overview keeps its machines: others ask it for their names.
            stop.content = stop.content.take().filter(|it| matches!(it, Content::Overview(_)));
            stop.is_old = true;
        }
    }
    load(ui)
}
