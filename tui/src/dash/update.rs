//! How the dashboard moves.

use std::sync::Arc;

use analyzer::model::{Micros, Timestamp};
use analyzer::what_if::Scenario;

use super::complete::{completions, with_last_word};
use super::data::{Content, Effects, Findout, Span};
use super::keys::{Action, Key};
use super::screen::{MachineRef, Sort, Stop, Subject, TimeRange, View};
use super::ui::{Choice, Form, Menu, Mode, Prompt, PromptKind, Ui};
use super::view::{self, Area};
use super::views::{self, Shown};
use crate::gantt::Layout;

/// How often the slower questions are asked again.
const FIND_OUT_EVERY: Micros = Micros(60_000_000);

/// And how soon for the sake of a machine that was not there before.
const FIND_OUT_NEW: Micros = Micros(5_000_000);

/// What can happen.
#[derive(Clone, Debug)]
pub enum Msg {
    Key(Key),
    /// The left button at a column and a line of the screen.
    Click(u16, u16),
    Drag(u16, u16),
    /// The left button is let go.
    Release,
    Wheel {
        is_down: bool,
    },
    Resize(u16, u16),
    /// Time has passed.
    Tick(Timestamp),
    /// Somebody has written the database.
    Changed,
    /// What was asked for with a number, or why not.
    Loaded(u64, Result<Content, String>),
    /// What was found out about a range, or why not.
    FoundOut(TimeRange, Result<Findout, String>),
    /// What a change does.
    Simulated(u64, Result<Effects, String>),
    Notice(String),
}

/// What the shell is asked to load.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    pub view: View,
    pub machine: Option<MachineRef>,
    pub subject: Subject,
    pub range: TimeRange,
    /// Baseline and incident.
    pub ranges: Option<(Span, Span)>,
    pub has_all: bool,
}

/// What the shell is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Load(u64, Load),
    /// Nobody waits for this any more.
    Cancel(u64),
    FindOut(TimeRange),
    Simulate(u64, MachineRef, TimeRange, Scenario),
    Copy(String),
    Export(Form, Shown),
    Exit,
}

/// Begins: what has to be loaded first.
pub fn start(mut ui: Ui) -> (Ui, Vec<Effect>) {
    let effects = load(&mut ui);
    (ui, effects)
}

/// Opens a view as if the user had gone there.
pub fn go_to(mut ui: Ui, view: View, machine: Option<MachineRef>, subject: Subject) -> (Ui, Vec<Effect>) {
    let mut stop = Stop::new(view, machine, subject);
    stop.sort = ui.preferences.sort(view);
    // The root goes on loading: others ask it for the names of machines.
    ui.trail.push(stop);
    let effects = load(&mut ui);
    (ui, effects)
}

/// The next state, and what has to be done for it.
pub fn update(mut ui: Ui, msg: Msg) -> (Ui, Vec<Effect>) {
    let effects = step(&mut ui, msg);
    let last = views::n_rows(&ui).saturating_sub(1);
    let stop = ui.stop_mut();
    stop.row = stop.row.min(last);
    (ui, effects)
}

fn step(ui: &mut Ui, msg: Msg) -> Vec<Effect> {
    match msg {
        Msg::Key(key) => {
            ui.notice = None;
            return press(ui, key);
        }
        Msg::Click(column, line) => return click(ui, column, line),
        Msg::Drag(column, line) => drag(ui, column, line),
        Msg::Release => {
            if views::has_drawn_ranges(ui) {
                return load(ui);
            }
        }
        Msg::Wheel { is_down } => {
            let key = if is_down { Key::Down } else { Key::Up };
            return match ui.mode {
                Mode::Typing(_) => Vec::new(),
                Mode::Filtering => act(ui, if is_down { Action::Down } else { Action::Up }),
                _ => press(ui, key),
            };
        }
        Msg::Resize(width, height) => (ui.width, ui.height) = (width, height),
        Msg::Tick(now) => ui.now = now,
        Msg::Changed => return changed(ui),
        Msg::Loaded(ticket, loaded) => return take(ui, ticket, loaded),
        Msg::FoundOut(range, findout) => return found_out(ui, range, findout),
        Msg::Simulated(ticket, effects) => simulated(ui, ticket, effects),
        Msg::Notice(text) => ui.notice = Some(text),
    }
    Vec::new()
}

// ---- loading --------------------------------------------------------------------------------------------------------

/// Asks for what the present stop shows.
fn load(ui: &mut Ui) -> Vec<Effect> {
    let mut effects = give_up(ui.stop_mut());
    ui.tickets += 1;
    let (ticket, range) = (ui.tickets, ui.preferences.range);
    let stop = ui.stop_mut();
    (stop.awaited, stop.is_old) = (Some(ticket), false);
    let load = Load {
        view: stop.view,
        machine: stop.machine.clone(),
        subject: stop.subject.clone(),
        range,
        ranges: stop.baseline.zip(stop.incident),
        has_all: stop.has_all,
    };
    effects.push(Effect::Load(ticket, load));
    effects
}

/// Nobody waits for it any more; it is asked for again when somebody comes back.
fn give_up(stop: &mut Stop) -> Vec<Effect> {
    stop.is_old |= stop.awaited.is_some();
    stop.awaited.take().into_iter().chain(stop.simulated.take()).map(Effect::Cancel).collect()
}

/// Whether what has ended is shown, which does not change any more.
fn is_settled(stop: &Stop) -> bool {
    match &stop.content {
        Some(Content::Run(it)) => it.run.execution.status.is_closed() && it.run.execution.complete,
        Some(Content::Twins(_)) => true,
        _ => false,
    }
}

/// Looks again, unless it is already looking or frozen; then, or when somebody comes back, it is made up for.
fn changed(ui: &mut Ui) -> Vec<Effect> {
    for stop in ui.trail.iter_mut().chain(&mut ui.undone).filter(|it| !is_settled(it)) {
        stop.is_old = true;
    }
    let stop = ui.stop();
    if ui.is_frozen || stop.awaited.is_some() || !stop.is_old {
        return Vec::new();
    }
    load(ui)
}

fn take(ui: &mut Ui, ticket: u64, loaded: Result<Content, String>) -> Vec<Effect> {
    if ui.stop().awaited != Some(ticket) {
        // A root that was left while it loads still has the names of machines for the others.
        if let Some(stop) = ui.trail.iter_mut().find(|it| it.awaited == Some(ticket)) {
            stop.awaited = None;
            stop.content = loaded.ok().or(stop.content.take());
        }
        return Vec::new();
    }
    ui.stop_mut().awaited = None;
    match loaded {
        Ok(content) => {
            let kept = views::key_under_cursor(ui);
            let stop = ui.stop_mut();
            (stop.content, stop.trouble) = (Some(content), None);
            lay_out(stop);
            if let Some(row) = kept.and_then(|key| views::row_of_key(ui, &key)) {
                ui.stop_mut().row = row;
            }
        }
        Err(why) => ui.stop_mut().trouble = Some(why),
    }
    match ui.stop().view {
        View::Overview => find_out(ui),
        // The runs may be others than before.
        View::Bottlenecks => {
            ui.stop_mut().effects = None;
            simulate(ui)
        }
        _ => Vec::new(),
    }
}

fn lay_out(stop: &mut Stop) {
    stop.layout = match &stop.content {
        Some(Content::Run(it)) => {
            let traced = if stop.has_traces { it.traced() } else { None };
            Some(Layout::of(&it.run, traced, &stop.folds))
        }
        _ => None,
    };
}

/// Asks the slower questions, from time to time.
fn find_out(ui: &mut Ui) -> Vec<Effect> {
    let is_known = |machine: &MachineRef| ui.findout.money.iter().any(|it| it.arn == machine.arn);
    let is_new = ui.machines().iter().any(|it| !is_known(it));
    let is_soon = ui.findout_at.is_none_or(|it| ui.now - it >= FIND_OUT_NEW);
    let is_due = ui.findout_again.is_none_or(|it| ui.now >= it) || (is_new && is_soon);
    if !is_due || ui.is_finding_out {
        return Vec::new();
    }
    (ui.findout_at, ui.is_finding_out) = (Some(ui.now), true);
    vec![Effect::FindOut(ui.preferences.range)]
}

fn found_out(ui: &mut Ui, range: TimeRange, found: Result<Findout, String>) -> Vec<Effect> {
    ui.is_finding_out = false;
    if range != ui.preferences.range {
        // The range was changed in the meantime: it is asked again.
        return if ui.stop().view == View::Overview { find_out(ui) } else { Vec::new() };
    }
    // What takes long is asked less often: it may have a twentieth of the time.
    let took = ui.findout_at.map_or(Micros::ZERO, |at| ui.now - at);
    ui.findout_again = Some(ui.now + FIND_OUT_EVERY.max(Micros(took.0 * 20)));
    let findout = match found {
        Ok(findout) => findout,
        Err(why) => {
            ui.findout_trouble = Some(why);
            return Vec::new();
        }
    };
    // The cursor stays on its machine; where nothing was known to be wrong, it goes from the top to what is.
    let is_at_top = ui.stop().row == 0 && ui.findout.looks.is_empty();
    let kept = if is_at_top { None } else { views::key_under_cursor(ui) };
    (ui.findout, ui.findout_trouble) = (Arc::new(findout), None);
    if let Some(row) = kept.and_then(|key| views::row_of_key(ui, &key)) {
        ui.stop_mut().row = row;
    }
    Vec::new()
}

// ---- moving about ---------------------------------------------------------------------------------------------------

fn go(ui: &mut Ui, mut stop: Stop) -> Vec<Effect> {
    if stop.sort == Sort::default() {
        stop.sort = ui.preferences.sort(stop.view);
    }
    let mut effects = give_up(ui.stop_mut());
    ui.undone.clear();
    ui.mode = Mode::Moving;
    ui.trail.push(stop);
    effects.extend(load(ui));
    effects
}

fn back(ui: &mut Ui) -> Vec<Effect> {
    let stop = ui.stop_mut();
    if stop.detail.take().is_some() || stop.begun.take().is_some() {
        return Vec::new();
    }
    if !stop.filter.is_empty() {
        stop.filter.clear();
        return Vec::new();
    }
    if ui.trail.is_root() {
        return Vec::new();
    }
    let effects = give_up(ui.stop_mut());
    ui.undone.extend(ui.trail.pop());
    effects.into_iter().chain(come_back(ui)).collect()
}

fn forward(ui: &mut Ui) -> Vec<Effect> {
    let Some(stop) = ui.undone.pop() else {
        ui.notice = Some("there is nothing to return to".to_owned());
        return Vec::new();
    };
    let effects = give_up(ui.stop_mut());
    ui.trail.push(stop);
    effects.into_iter().chain(come_back(ui)).collect()
}

/// Whoever comes back sees what is; unless it is frozen, what has changed in the meantime, too.
fn come_back(ui: &mut Ui) -> Vec<Effect> {
    let stop = ui.stop();
    if stop.content.is_none() || (stop.is_old && !ui.is_frozen) {
        return load(ui);
    }
    if stop.view == View::Bottlenecks { simulate(ui) } else { Vec::new() }
}

/// The machine at hand: the one that is open, or the one under the cursor.
fn machine_at_hand(ui: &Ui) -> Option<MachineRef> {
    views::machine_under_cursor(ui).or_else(|| views::machine(ui)).or_else(|| ui.machines().into_iter().next())
}

/// Shows a view of the machine at hand. From one view of a machine to another, the trail grows no longer.
fn switch(ui: &mut Ui, view: View) -> Vec<Effect> {
    if ui.stop().view == view && ui.stop().subject == Subject::Nothing {
        return Vec::new();
    }
    let machine = if view.is_of_machine() { machine_at_hand(ui) } else { None };
    if view.is_of_machine() && machine.is_none() {
        ui.notice = Some("no machine is known yet".to_owned());
        return Vec::new();
    }
    if view == View::Overview {
        let mut effects = give_up(ui.stop_mut());
        ui.undone = ui.trail.cut();
        effects.extend(come_back(ui));
        return effects;
    }
    let mut effects = Vec::new();
    while !ui.trail.is_root() {
        effects.extend(give_up(ui.stop_mut()));
        ui.trail.pop();
    }
    effects.extend(go(ui, Stop::new(view, machine, Subject::Nothing)));
    effects
}

fn turn(ui: &mut Ui, step: isize) -> Vec<Effect> {
    let n = View::TABS.len();
    let at = ui.stop().view.tab().unwrap_or(0);
    switch(ui, View::TABS[(at + n).checked_add_signed(step).unwrap_or(0) % n])
}

/// The same view of the machine after or before this one.
fn turn_machine(ui: &mut Ui, step: isize) -> Vec<Effect> {
    let machines = ui.machines();
    let own = ui.stop().machine.clone().filter(|_| ui.stop().view.is_of_machine());
    let Some(at) = own.and_then(|own| machines.iter().position(|it| *it == own)) else {
        ui.notice = Some("this view is of all machines".to_owned());
        return Vec::new();
    };
    let n = machines.len();
    let next = machines[(at + n).checked_add_signed(step).unwrap_or(0) % n].clone();
    let mut effects = give_up(ui.stop_mut());
    let sort = ui.stop().sort;
    *ui.stop_mut() = Stop { sort, ..Stop::new(ui.stop().view, Some(next), Subject::Nothing) };
    effects.extend(load(ui));
    effects
}

// ---- keys -----------------------------------------------------------------------------------------------------------

fn press(ui: &mut Ui, key: Key) -> Vec<Effect> {
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

fn act(ui: &mut Ui, action: Action) -> Vec<Effect> {
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
fn follow(ui: &mut Ui, next: views::Step) -> Vec<Effect> {
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

/// Plays the runs again, where the scenario is another than the one whose effects are shown.
fn simulate(ui: &mut Ui) -> Vec<Effect> {
    ui.tickets += 1;
    let (ticket, range) = (ui.tickets, ui.preferences.range);
    let stop = ui.stop_mut();
    let mut effects: Vec<Effect> = stop.simulated.take().map(Effect::Cancel).into_iter().collect();
    let is_shown = stop.effects.as_ref().is_some_and(|it| it.0 == stop.scenario);
    // While the runs are loaded there is nothing to play; afterwards it is asked again.
    if stop.scenario == Scenario::default() || is_shown || stop.awaited.is_some() {
        return effects;
    }
    if let Some(machine) = stop.machine.clone() {
        stop.simulated = Some(ticket);
        effects.push(Effect::Simulate(ticket, machine, range, stop.scenario.clone()));
    }
    effects
}

fn simulated(ui: &mut Ui, ticket: u64, effects: Result<Effects, String>) {
    let stop = ui.stop_mut();
    if stop.simulated != Some(ticket) {
        return;
    }
    stop.simulated = None;
    match effects {
        Ok(effects) => (stop.effects, stop.trouble) = (Some((stop.scenario.clone(), effects)), None),
        Err(why) => stop.trouble = Some(why),
    }
}

fn sort(ui: &mut Ui, change: impl Fn(&mut Sort, usize)) {
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

fn scroll_detail(ui: &mut Ui, scrolled: usize, action: Action) -> Vec<Effect> {
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

// ---- typing ---------------------------------------------------------------------------------------------------------

impl Prompt {
    pub(super) fn new(kind: PromptKind) -> Self {
        Self { kind, text: String::new(), taken: None, stem: String::new() }
    }
}

/// Keys while the filter is typed: what is typed narrows the list at once.
fn filter(ui: &mut Ui, key: Key) -> Vec<Effect> {
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

fn type_on(ui: &mut Ui, mut prompt: Prompt, key: Key) -> Vec<Effect> {
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
fn recall(ui: &Ui, prompt: &mut Prompt, is_earlier: bool) {
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
fn complete(ui: &Ui, prompt: &mut Prompt, is_next: bool) {
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

fn typed(ui: &mut Ui, prompt: &Prompt) -> Vec<Effect> {
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

fn command(ui: &mut Ui, text: &str) -> Vec<Effect> {
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

// ---- menus ----------------------------------------------------------------------------------------------------------

fn range_menu(now: TimeRange) -> Menu {
    let letters = "0123456789".chars();
    let mut choices: Vec<(char, String, Choice)> =
        letters.zip(TimeRange::CHOICES).map(|(letter, it)| (letter, it.said(), Choice::Range(it))).collect();
    choices.push(('/', "another …".to_owned(), Choice::TypeRange));
    let row = TimeRange::CHOICES.iter().position(|it| *it == now).unwrap_or(TimeRange::CHOICES.len());
    Menu { title: "started in", row, choices }
}

fn export_menu() -> Menu {
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

fn copy_menu(ui: &mut Ui) -> Mode {
    let choices: Vec<(char, String, Choice)> =
        views::copies(ui).into_iter().map(|(letter, what, text)| (letter, what, Choice::Copy(text))).collect();
    if choices.is_empty() {
        ui.notice = Some("there is nothing to copy here".to_owned());
        return Mode::Moving;
    }
    Mode::Choosing(Menu { title: "copy", row: 0, choices })
}

fn choose(ui: &mut Ui, mut menu: Menu, key: Key) -> Vec<Effect> {
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

fn chosen(ui: &mut Ui, choice: Option<Choice>) -> Vec<Effect> {
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
fn set_range(ui: &mut Ui, range: TimeRange) -> Vec<Effect> {
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

// ---- the mouse ------------------------------------------------------------------------------------------------------

/// A click moves the cursor, one on the cursor opens; one on a tab switches.
fn click(ui: &mut Ui, column: u16, line: u16) -> Vec<Effect> {
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
fn drag(ui: &mut Ui, column: u16, line: u16) {
    views::drag_chart(ui, Area::of(ui), column, line);
}
