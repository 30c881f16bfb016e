//! What is asked for, what comes of it, and what nobody waits for any more.

use std::sync::Arc;

use analyzer::model::Micros;
use analyzer::what_if::Scenario;

use super::{Effect, Load, views};
use crate::dash::data::{Content, Effects, Findout};
use crate::dash::screen::{MachineRef, Stop, TimeRange, View};
use crate::dash::ui::Ui;
use crate::gantt::Layout;

/// How often the slower questions are asked again.
const FIND_OUT_EVERY: Micros = Micros(60_000_000);

/// And how soon for the sake of a machine that was not there before.
const FIND_OUT_NEW: Micros = Micros(5_000_000);

/// Asks for what the present stop shows.
pub(super) fn load(ui: &mut Ui) -> Vec<Effect> {
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
pub(super) fn give_up(stop: &mut Stop) -> Vec<Effect> {
    stop.is_old |= stop.awaited.is_some();
    stop.awaited.take().into_iter().chain(stop.simulated.take()).map(Effect::Cancel).collect()
}

/// Whether what has ended is shown, which does not change any more.
pub(super) fn is_settled(stop: &Stop) -> bool {
    match &stop.content {
        Some(Content::Run(it)) => it.run.execution.status.is_closed() && it.run.execution.complete,
        Some(Content::Twins(_)) => true,
        _ => false,
    }
}

/// Looks again, unless it is already looking or frozen; then, or when somebody comes back, it is made up for.
pub(super) fn changed(ui: &mut Ui) -> Vec<Effect> {
    for stop in ui.trail.iter_mut().chain(&mut ui.undone).filter(|it| !is_settled(it)) {
        stop.is_old = true;
    }
    let stop = ui.stop();
    if ui.is_frozen || stop.awaited.is_some() || !stop.is_old {
        return Vec::new();
    }
    load(ui)
}

pub(super) fn take(ui: &mut Ui, ticket: u64, loaded: Result<Content, String>) -> Vec<Effect> {
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

pub(super) fn lay_out(stop: &mut Stop) {
    stop.layout = match &stop.content {
        Some(Content::Run(it)) => {
            let traced = if stop.has_traces { it.traced() } else { None };
            Some(Layout::of(&it.run, traced, &stop.folds))
        }
        _ => None,
    };
}

/// Asks the slower questions, from time to time.
pub(super) fn find_out(ui: &mut Ui) -> Vec<Effect> {
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

pub(super) fn found_out(ui: &mut Ui, range: TimeRange, found: Result<Findout, String>) -> Vec<Effect> {
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

/// Plays the runs again, where the scenario is another than the one whose effects are shown.
pub(super) fn simulate(ui: &mut Ui) -> Vec<Effect> {
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

pub(super) fn simulated(ui: &mut Ui, ticket: u64, effects: Result<Effects, String>) {
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
