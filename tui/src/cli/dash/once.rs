//! `dash --once`: one view as text, for scripts and screenshots; and the names of views.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::Ordering;

use queries::Reader;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use tui::dash::{Effect, Key, MachineRef, Msg, Preferences, Subject, Ui, View, go_to, render, start, update, view};

use super::loader::Loader;
use super::ui;
use crate::Outcome;
use crate::cli::{Context, select};
use crate::failure::Failure;
use crate::output;

/// The smallest and the largest frame.
const LEAST: (u16, u16) = (40, 8);
const MOST: u16 = 1_000;

/// What is to be printed.
pub(super) struct Wanted<'a> {
    pub(super) view: &'a str,
    /// Keys that are pressed before, with blanks between.
    pub(super) keys: &'a str,
    pub(super) size: &'a str,
}

pub(super) fn print(context: &Context, path: &Path, preferences: Preferences, wanted: &Wanted<'_>) -> Outcome {
    Reader::open(path)?;
    let size = parse(wanted.size)?;
    let loader = Loader::new(context, path)?;
    let is_overview = wanted.view == "overview" || wanted.view == "machines";
    let mut ui = settle(&loader, start(ui(&loader, preferences, size)?), is_overview);
    if !is_overview {
        ui = settle(&loader, go(&loader, ui, wanted.view)?, false);
    }
    for key in wanted.keys.split_whitespace() {
        let parsed = Key::parse(key).ok_or_else(|| {
            Failure::usage(format!("`{key}` is no key")).hint("write a character, ctrl-x, f5, space, enter, tab, …")
        })?;
        ui = settle(&loader, update(ui, Msg::Key(parsed)), false);
    }
    let vm = view(&ui);
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).map_err(|it| Failure::new(it.to_string()))?;
    terminal.draw(|frame| render(frame, &vm)).map_err(|it| Failure::new(it.to_string()))?;
    output::text().write_all(text(terminal.backend().buffer()).as_bytes())?;
    match &ui.stop().trouble {
        Some(trouble) => {
            let mut failure = Failure::new(format!("`{}` cannot be shown", wanted.view)).because(trouble.clone());
            failure.code = loader.code.load(Ordering::Relaxed);
            Err(failure)
        }
        None => Ok(0),
    }
}

/// Goes to a view by its name and what it is about, or to a report by its command.
pub(super) fn go(loader: &Loader, ui: Ui, wanted: &str) -> Result<(Ui, Vec<Effect>), Failure> {
    let words: Vec<&str> = wanted.split_whitespace().collect();
    let reader = loader.context.reader()?;
    let named = |name: &str| -> Result<MachineRef, Failure> {
        let arn = select::machine(&reader, name)?.to_string();
        let name = arn.rsplit(':').next().unwrap_or(&arn).to_owned();
        Ok(MachineRef { arn, name })
    };
    let execution = |name: &str| select::execution(&reader, name).map(|it| it.arn);
    let report = || {
        let words = words.iter().map(|it| (*it).to_owned()).collect();
        Ok(go_to(ui.clone(), View::Report, None, Subject::Words(words)))
    };
    let view = |name: &str| View::TABS.into_iter().find(|it| it.as_str() == name);
    match words.as_slice() {
        [] => Ok((ui, Vec::new())),
        ["timeline", name] => Ok(go_to(ui.clone(), View::Timeline, None, Subject::Execution(execution(name)?))),
        ["twins", first] => Ok(go_to(ui.clone(), View::Twins, None, Subject::Pair(execution(first)?, None))),
        ["twins", first, second] => {
            let pair = Subject::Pair(execution(first)?, Some(execution(second)?));
            Ok(go_to(ui.clone(), View::Twins, None, pair))
        }
        // Bottlenecks and cost of all machines are reports.
        ["bottlenecks" | "cost"] => report(),
        [name] if view(name).is_some() => {
            let view = view(name).unwrap_or_default();
            let machine = if view.is_of_machine() { first_machine(&reader)? } else { None };
            Ok(go_to(ui.clone(), view, machine, Subject::Nothing))
        }
        [name, machine] if view(name).is_some_and(View::is_of_machine) && !machine.starts_with('-') => {
            Ok(go_to(ui.clone(), view(name).unwrap_or_default(), Some(named(machine)?), Subject::Nothing))
        }
        _ => report(),
    }
}

/// The machine that the overview has first.
fn first_machine(reader: &Reader) -> Result<Option<MachineRef>, Failure> {
    let first = reader.rolled_up_machines()?.into_iter().next();
    Ok(first.map(|it| MachineRef { arn: it.arn, name: it.name }))
}

/// Loads all that has to be loaded, and what that leads to. What needs a look is for the overview alone.
fn settle(loader: &Loader, (mut ui, effects): (Ui, Vec<Effect>), has_looks: bool) -> Ui {
    let mut open = effects;
    while let Some(effect) = open.pop() {
        if matches!(effect, Effect::FindOut(_)) && !has_looks {
            continue;
        }
        if let Some(msg) = loader.answer(effect) {
            let (next, more) = update(ui, msg);
            ui = next;
            open.extend(more);
        }
    }
    ui
}

fn parse(size: &str) -> Result<(u16, u16), Failure> {
    let sides = size.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    sides
        .filter(|it: &(u16, u16)| it.0 >= LEAST.0 && it.1 >= LEAST.1 && it.0 <= MOST && it.1 <= MOST)
        .ok_or_else(|| Failure::usage(format!("`{size}` is no size")).hint("write COLUMNSxROWS, such as 80x24"))
}

/// The characters of a frame, without what is blank at the ends of lines.
fn text(buffer: &Buffer) -> String {
    let mut text = String::new();
    for row in 0..buffer.area.height {
        let mut line = String::new();
        let mut skip = 0;
        for column in 0..buffer.area.width {
            let symbol = buffer[(column, row)].symbol();
            if skip > 0 {
                skip -= 1;
                continue;
            }
            // A wide character covers the cell after it, too.
            skip = unicode_width::UnicodeWidthStr::width(symbol).saturating_sub(1);
            line.push_str(symbol);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
