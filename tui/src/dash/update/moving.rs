//! Where the user goes, and how they come back.

use super::loading::{give_up, load, simulate};
use super::{Effect, views};
use crate::dash::screen::{MachineRef, Sort, Stop, Subject, View};
use crate::dash::ui::{Mode, Ui};

pub(super) fn go(ui: &mut Ui, mut stop: Stop) -> Vec<Effect> {
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

pub(super) fn back(ui: &mut Ui) -> Vec<Effect> {
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

pub(super) fn forward(ui: &mut Ui) -> Vec<Effect> {
    let Some(stop) = ui.undone.pop() else {
        ui.notice = Some("there is nothing to return to".to_owned());
        return Vec::new();
    };
    let effects = give_up(ui.stop_mut());
    ui.trail.push(stop);
    effects.into_iter().chain(come_back(ui)).collect()
}

/// Whoever comes back sees what is; unless it is frozen, what has changed in the meantime, too.
pub(super) fn come_back(ui: &mut Ui) -> Vec<Effect> {
    let stop = ui.stop();
    if stop.content.is_none() || (stop.is_old && !ui.is_frozen) {
        return load(ui);
    }
    if stop.view == View::Bottlenecks { simulate(ui) } else { Vec::new() }
}

/// The machine at hand: the one that is open, or the one under the cursor.
pub(super) fn machine_at_hand(ui: &Ui) -> Option<MachineRef> {
    views::machine_under_cursor(ui).or_else(|| views::machine(ui)).or_else(|| ui.machines().into_iter().next())
}

/// Shows a view of the machine at hand. From one view of a machine to another, the trail grows no longer.
pub(super) fn switch(ui: &mut Ui, view: View) -> Vec<Effect> {
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

pub(super) fn turn(ui: &mut Ui, step: isize) -> Vec<Effect> {
    let n = View::TABS.len();
    let at = ui.stop().view.tab().unwrap_or(0);
    switch(ui, View::TABS[(at + n).checked_add_signed(step).unwrap_or(0) % n])
}

/// The same view of the machine after or before this one.
pub(super) fn turn_machine(ui: &mut Ui, step: isize) -> Vec<Effect> {
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
