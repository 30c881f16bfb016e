//! Lines that are typed: filters, commands, texts to find, ranges.

use super::Effect;
use super::keys::act;
use super::menus::set_range;
use super::moving::{go, switch};
use crate::dash::complete::{completions, with_last_word};
use crate::dash::keys::{Action, Key};
use crate::dash::screen::{Stop, Subject, TimeRange, View};
use crate::dash::ui::{Mode, Prompt, PromptKind, Ui};

impl Prompt {
    pub(super) fn new(kind: PromptKind) -> Self {
        Self { kind, text: String::new(), taken: None, stem: String::new() }
    }
}

/// Keys while the filter is typed: what is typed narrows the list at once.
pub(super) fn filter(ui: &mut Ui, key: Key) -> Vec<Effect> {
    let stop = ui.stop_mut();
    match key {
        Key::Char(it) => stop.filter.push(it),
        Key::Backspace => {
            stop.filter.pop();
        }
        Key::Ctrl('u') => stop.filter.clear(),
        Key::Esc => {
            stop.filter.clear();
            ui.mode = Mode::Moving;
            return Vec::new();
        }
        Key::Enter | Key::Tab => {
            ui.mode = Mode::Moving;
            return Vec::new();
        }
        Key::Up | Key::Down => {
            ui.mode = Mode::Moving;
            return act(ui, if key == Key::Up { Action::Up } else { Action::Down });
        }
        _ => return Vec::new(),
    }
    stop.row = 0;
    Vec::new()
}

pub(super) fn type_on(ui: &mut Ui, mut prompt: Prompt, key: Key) -> Vec<Effect> {
    match key {
        Key::Char(it) => prompt.text.push(it),
        Key::Backspace => {
            prompt.text.pop();
        }
        Key::Ctrl('u') => prompt.text.clear(),
        Key::Tab | Key::BackTab if prompt.kind == PromptKind::Command => {
            complete(ui, &mut prompt, key == Key::Tab);
            ui.mode = Mode::Typing(prompt);
            return Vec::new();
        }
        Key::Up | Key::Down if prompt.kind == PromptKind::Command => recall(ui, &mut prompt, key == Key::Up),
        Key::Esc => {
            ui.mode = Mode::Moving;
            return Vec::new();
        }
        Key::Enter => return typed(ui, &prompt),
        _ => return Vec::new(),
    }
    prompt.taken = None;
    ui.mode = Mode::Typing(prompt);
    Vec::new()
}

/// Brings back the command before or after the one in the line.
pub(super) fn recall(ui: &Ui, prompt: &mut Prompt, is_earlier: bool) {
    let typed = ui.typed();
    let at = typed.iter().position(|it| *it == prompt.text);
    let next = match (at, is_earlier) {
        (None, true) => typed.len().checked_sub(1),
        (Some(at), true) => Some(at.saturating_sub(1)),
        (Some(at), false) => Some(at + 1),
        (None, false) => None,
    };
    prompt.text = next.and_then(|it| typed.get(it)).cloned().unwrap_or_default();
}

/// Takes the next completion of what was typed.
pub(super) fn complete(ui: &Ui, prompt: &mut Prompt, is_next: bool) {
    if prompt.taken.is_none() {
        prompt.stem = prompt.text.clone();
    }
    let found = completions(ui, &prompt.stem);
    if found.is_empty() {
        return;
    }
    let next = match prompt.taken {
        None if is_next => 0,
        None => found.len() - 1,
        Some(at) if is_next => (at + 1) % found.len(),
        Some(at) => (at + found.len() - 1) % found.len(),
    };
    prompt.text = with_last_word(&prompt.stem, &found[next]);
    if found.len() == 1 {
        prompt.text.push(' ');
        prompt.taken = None;
    } else {
        prompt.taken = Some(next);
    }
}

pub(super) fn typed(ui: &mut Ui, prompt: &Prompt) -> Vec<Effect> {
    ui.mode = Mode::Moving;
    let text = prompt.text.trim();
    match prompt.kind {
        PromptKind::Range => {
            if let Some(range) = TimeRange::parse(text) {
                return set_range(ui, range);
            }
            ui.notice = Some(format!("“{text}” is no range: 90m, 24h, 7d, all, or FROM/TO in RFC 3339"));
            Vec::new()
        }
        PromptKind::Find if text.is_empty() => Vec::new(),
        PromptKind::Find => {
            let machine = ui.stop().machine.clone();
            go(ui, Stop::new(View::Executions, machine, Subject::Found(text.to_owned())))
        }
        PromptKind::Command => {
            ui.commands.retain(|it| it != text);
            ui.commands.push(text.to_owned());
            command(ui, text)
        }
    }
}

pub(super) fn command(ui: &mut Ui, text: &str) -> Vec<Effect> {
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    match words.first().map(String::as_str) {
        None => Vec::new(),
        Some("q" | "quit") => vec![Effect::Exit],
        Some(first) => {
            let is_view = words.len() <= 2;
            let tab = View::TABS.into_iter().find(|it| it.as_str() == first && *it != View::Cost).filter(|_| is_view);
            let machine =
                words.get(1).map(|name| ui.machines().into_iter().find(|it| it.name == *name || it.arn == *name));
            match (tab, machine) {
                (Some(view), None) => switch(ui, view),
                (Some(view), Some(Some(machine))) => {
                    let machine = view.is_of_machine().then_some(machine);
                    go(ui, Stop::new(view, machine, Subject::Nothing))
                }
                _ => go(ui, Stop::new(View::Report, None, Subject::Words(words))),
            }
        }
    }
}
