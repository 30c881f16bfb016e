//! Loads what the dashboard asks for, each in a thread of its own, and gives up what nobody waits for any more.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crossbeam_channel::Sender;
use tui::dash::{Effect, Msg};

use super::study::Rehearsals;
use super::{find_out, load, study};
use crate::cli::bill::Prices;
use crate::cli::{Context, Patience};
use crate::failure::Failure;
use crate::report::Output;

/// What loading needs.
#[derive(Clone)]
pub(super) struct Loader {
    pub(super) context: Context,
    pub(super) prices: Arc<Prices>,
    /// Runs that were prepared for what-if.
    pub(super) rehearsals: Rehearsals,
    waiting: Arc<Mutex<HashMap<u64, Patience>>>,
}

impl Loader {
    pub(super) fn new(context: &Context, path: &Path) -> Result<Self, Failure> {
        let mut context = context.clone();
        context.config.db = Some(path.to_path_buf());
        // Pages are tables, whatever the output of commands is.
        context.output = Output::Table;
        let prices = Arc::new(Prices::new(&context)?);
        Ok(Self { context, prices, rehearsals: Rehearsals::default(), waiting: Arc::default() })
    }

    /// Loads in the background; the answer comes as a message. What is not for it is left alone.
    pub(super) fn start(&self, effect: Effect, answers: &Sender<Msg>) {
        match effect {
            Effect::Load(ticket, _) | Effect::Simulate(ticket, ..) => {
                let patience = Patience::default();
                self.waiting().insert(ticket, patience.clone());
                let (loader, answers) = (self.with_patience(patience), answers.clone());
                thread::spawn(move || {
                    let msg = loader.answer(effect);
                    loader.waiting().remove(&ticket);
                    if let Some(msg) = msg {
                        let _ = answers.send(msg);
                    }
                });
            }
            Effect::FindOut(_) => {
                let (loader, answers) = (self.clone(), answers.clone());
                thread::spawn(move || {
                    if let Some(msg) = loader.answer(effect) {
                        let _ = answers.send(msg);
                    }
                });
            }
            Effect::Cancel(ticket) => {
                if let Some(patience) = self.waiting().remove(&ticket) {
                    patience.end();
                }
            }
            Effect::Copy(_) | Effect::Export(..) | Effect::Exit => {}
        }
    }

    /// Loads at once.
    pub(super) fn answer(&self, effect: Effect) -> Option<Msg> {
        Some(match effect {
            Effect::Load(ticket, load) => Msg::Loaded(ticket, load::content(self, &load).map_err(|it| it.in_a_line())),
            Effect::Simulate(ticket, machine, range, scenario) => {
                let effects = study::simulate(self, &machine, range, &scenario);
                Msg::Simulated(ticket, effects.map_err(|it| it.in_a_line()))
            }
            Effect::FindOut(range) => Msg::FoundOut(find_out::find_out(self, range).unwrap_or_default()),
            Effect::Cancel(_) | Effect::Copy(_) | Effect::Export(..) | Effect::Exit => return None,
        })
    }

    fn with_patience(&self, patience: Patience) -> Self {
        Self { context: self.context.with_patience(patience), ..self.clone() }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, Patience>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
