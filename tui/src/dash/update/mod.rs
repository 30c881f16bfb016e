//! How the dashboard moves: messages in, the next state and effects out.

mod keys;
mod loading;
mod menus;
mod mouse;
mod moving;
mod typing;

use analyzer::model::Timestamp;
use analyzer::what_if::Scenario;

use super::data::{Content, Effects, Findout, Span};
use super::keys::{Action, Key};
use super::screen::{MachineRef, Stop, Subject, TimeRange, View};
use super::ui::{Form, Mode, Ui};
use super::views::Shown;
use super::{view, views};
use crate::collecting::CollectorState;
use keys::{act, press};
use loading::{changed, found_out, load, simulated, take};
use mouse::{click, drag};

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
    /// What the collector says about itself.
    Collector(Box<CollectorState>),
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
        Msg::Collector(state) => ui.collecting = Some(*state),
    }
    Vec::new()
}
