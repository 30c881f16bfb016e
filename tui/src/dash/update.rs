//! How the dashboard moves.

use std::sync::Arc;

use analyzer::execution::Run;

use super::page::Page;
use super::ui::{ExecutionItem, MachineItem, Place, Screen, Ui};
use super::view;

/// What can happen.
#[derive(Clone, Debug)]
pub enum Msg {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Open,
    Back,
    Help,
    Filter,
    Sort,
    Fold,
    Reload,
    Quit,
    /// A character while the filter is typed.
    Type(char),
    Erase,
    /// A click on a line of the screen.
    Click(u16),
    Resize(u16, u16),
    Machines(Vec<MachineItem>),
    /// How collecting goes, in sentences; none where nobody collects.
    Collector(Vec<String>),
    /// A report that was asked for.
    Page(Page),
    /// Asks for a report, about the machine at hand: the command's name.
    Show(&'static str),
    /// Begins to type a command.
    Command,
    Executions(Vec<ExecutionItem>),
    Run(Arc<Run>),
    Trouble(String),
}

/// What the shell is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    LoadMachines,
    /// A command that reports, as it would be typed after `stepscope`.
    LoadPage {
        words: Vec<String>,
    },
    LoadExecutions {
        machine_arn: String,
    },
    LoadRun {
        id: u32,
    },
    Exit,
}

/// The next state, and what has to be done for it.
pub fn update(mut ui: Ui, msg: Msg) -> (Ui, Option<Effect>) {
    if ui.command.is_some() && !is_answer(&msg) {
        let effect = type_command(&mut ui, &msg);
        return (ui, effect);
    }
    let effect = if ui.is_filtering { type_filter(&mut ui, &msg) } else { None };
    if (ui.is_filtering || matches!(msg, Msg::Type(_) | Msg::Erase)) && !is_answer(&msg) {
        return (ui, effect);
    }
    if ui.is_help_open && matches!(msg, Msg::Back | Msg::Help | Msg::Open | Msg::Quit | Msg::Click(_)) {
        ui.is_help_open = false;
        return (ui, None);
    }
    let effect = step(&mut ui, msg);
    let last = ui.n_rows().saturating_sub(1);
    if ui.row() > last {
        ui.set_row(last);
    }
    (ui, effect)
}

/// Whether a message comes from elsewhere than the user's hands.
fn is_answer(msg: &Msg) -> bool {
    matches!(
        msg,
        Msg::Machines(_)
            | Msg::Collector(_)
            | Msg::Page(_)
            | Msg::Executions(_)
            | Msg::Run(_)
            | Msg::Trouble(_)
            | Msg::Resize(..)
            | Msg::Reload
    )
}

/// Keys while a command is typed.
fn type_command(ui: &mut Ui, msg: &Msg) -> Option<Effect> {
    let command = ui.command.as_mut()?;
    match msg {
        Msg::Type(it) => command.push(*it),
        Msg::Erase => {
            command.pop();
        }
        Msg::Open => {
            let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
            ui.command = None;
            return match words.first().map(String::as_str) {
                None => None,
                Some("q" | "quit") => Some(Effect::Exit),
                Some(_) => Some(show(ui, words)),
            };
        }
        Msg::Back => ui.command = None,
        _ => {}
    }
    None
}

/// Shows a report over the level at hand.
fn show(ui: &mut Ui, words: Vec<String>) -> Effect {
    if ui.screen != Screen::Page {
        ui.below_page = ui.screen;
    }
    (ui.screen, ui.page, ui.page_place, ui.is_loading) = (Screen::Page, None, Place::default(), true);
    (ui.page_words, ui.trouble) = (words.clone(), None);
    Effect::LoadPage { words }
}

/// A command about the machine at hand: the one that was opened, or the one under the cursor.
fn about_machine(ui: &mut Ui, command: &str) -> Vec<String> {
    if ui.screen == Screen::Machines {
        ui.machine = ui.visible_machines().get(ui.row()).map(|it| (it.arn.clone(), it.name.clone()));
    }
    let machine = ui.machine.as_ref().filter(|_| command != "collector").map(|it| it.0.clone());
    std::iter::once(command.to_owned()).chain(machine).collect()
}

fn step(ui: &mut Ui, msg: Msg) -> Option<Effect> {
    let page = view::list_height(ui).max(1);
    match msg {
        Msg::Up => ui.set_row(ui.row().saturating_sub(1)),
        Msg::Down => ui.set_row(ui.row() + 1),
        Msg::PageUp => ui.set_row(ui.row().saturating_sub(page)),
        Msg::PageDown => ui.set_row(ui.row() + page),
        Msg::First => ui.set_row(0),
        Msg::Last => ui.set_row(ui.n_rows().saturating_sub(1)),
        Msg::Open => return open(ui),
        Msg::Back => return back(ui),
        Msg::Help => ui.is_help_open = true,
        Msg::Filter => ui.is_filtering = ui.place().is_some(),
        Msg::Sort => ui.order = ui.order.next(),
        Msg::Fold => fold(ui),
        Msg::Reload => return Some(reload(ui)),
        Msg::Quit => return Some(Effect::Exit),
        Msg::Click(line) => return click(ui, line),
        Msg::Resize(width, height) => (ui.width, ui.height) = (width, height),
        Msg::Machines(machines) => (ui.machines, ui.is_loading, ui.trouble) = (machines, false, None),
        Msg::Show(command) => {
            let words = about_machine(ui, command);
            return Some(show(ui, words));
        }
        Msg::Command => ui.command = Some(String::new()),
        Msg::Page(page) => (ui.page, ui.is_loading, ui.trouble) = (Some(page), false, None),
        Msg::Collector(lines) => ui.collector = lines,
        Msg::Executions(executions) => (ui.executions, ui.is_loading, ui.trouble) = (executions, false, None),
        Msg::Run(run) => (ui.run, ui.is_loading, ui.trouble) = (Some(run), false, None),
        Msg::Trouble(text) => (ui.trouble, ui.is_loading) = (Some(text), false),
        Msg::Type(_) | Msg::Erase => {}
    }
    None
}

/// Keys while the filter is typed: what is typed narrows the list at once.
fn type_filter(ui: &mut Ui, msg: &Msg) -> Option<Effect> {
    let place = ui.place_mut()?;
    match msg {
        Msg::Type(it) => place.filter.push(*it),
        Msg::Erase => {
            place.filter.pop();
        }
        Msg::Back => {
            place.filter.clear();
            ui.is_filtering = false;
            return None;
        }
        Msg::Open => {
            ui.is_filtering = false;
            return None;
        }
        _ => return None,
    }
    place.row = 0;
    None
}

fn open(ui: &mut Ui) -> Option<Effect> {
    match ui.screen {
        Screen::Machines => {
            let machine = ui.visible_machines().get(ui.row()).map(|it| (it.arn.clone(), it.name.clone()))?;
            let effect = Effect::LoadExecutions { machine_arn: machine.0.clone() };
            (ui.machine, ui.screen, ui.is_loading) = (Some(machine), Screen::Executions, true);
            (ui.executions, ui.executions_place) = (Vec::new(), Place::default());
            Some(effect)
        }
        Screen::Executions => {
            let id = ui.visible_executions().get(ui.row())?.id;
            (ui.screen, ui.run, ui.run_row, ui.is_loading) = (Screen::Timeline, None, 0, true);
            ui.folded.clear();
            Some(Effect::LoadRun { id })
        }
        Screen::Timeline => {
            fold(ui);
            None
        }
        Screen::Page => None,
    }
}

fn back(ui: &mut Ui) -> Option<Effect> {
    if let Some(place) = ui.place_mut().filter(|it| !it.filter.is_empty()) {
        place.filter.clear();
        return None;
    }
    match ui.screen {
        Screen::Machines => None,
        Screen::Page => {
            (ui.screen, ui.page, ui.trouble, ui.is_loading) = (ui.below_page, None, None, false);
            None
        }
        Screen::Executions => {
            (ui.screen, ui.is_loading) = (Screen::Machines, false);
            None
        }
        Screen::Timeline => {
            (ui.screen, ui.is_loading) = (Screen::Executions, false);
            None
        }
    }
}

fn reload(ui: &Ui) -> Effect {
    match (ui.screen, &ui.machine) {
        (Screen::Page, _) => Effect::LoadPage { words: ui.page_words.clone() },
        (Screen::Executions, Some((arn, _))) => Effect::LoadExecutions { machine_arn: arn.clone() },
        _ => Effect::LoadMachines,
    }
}

/// Folds or unfolds the Parallel or Map under the cursor.
fn fold(ui: &mut Ui) {
    let Some(visit) = ui.chart().and_then(|it| it.rows.get(ui.run_row)?.visit) else {
        return;
    };
    if let Some(index) = ui.folded.iter().position(|it| *it == visit) {
        ui.folded.remove(index);
    } else {
        ui.folded.push(visit);
    }
}

/// A click moves the cursor; one on the cursor opens.
fn click(ui: &mut Ui, line: u16) -> Option<Effect> {
    let row = usize::from(line).checked_sub(view::FIRST_ROW)? + view::first_visible(ui);
    if usize::from(line) >= view::FIRST_ROW + view::list_height(ui) || row >= ui.n_rows() {
        return None;
    }
    if row == ui.row() {
        return open(ui);
    }
    ui.set_row(row);
    None
}
