//! Loads what the dashboard asks for, beside it, and gives up what nobody waits for any more.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crossbeam_channel::{Receiver, Sender, unbounded};
use tui::dash::{Effect, Msg};

use super::study::Rehearsals;
use super::{find_out, load, study};
use crate::cli::bill::Prices;
use crate::cli::{Context, Patience};
use crate::failure::{EXIT_FAILED, Failure};
use crate::report::Output;

/// Loads at the same time: what has been given up may take a moment to notice.
const WORKERS: usize = 2;

/// What loading needs.
#[derive(Clone)]
pub(super) struct Loader {
    pub(super) context: Context,
    pub(super) prices: Arc<Prices>,
    /// Runs that were prepared for what-if.
    pub(super) rehearsals: Rehearsals,
    /// The exit code of the load that failed last.
    pub(super) code: Arc<AtomicU8>,
}

/// Loads in the background, as the dashboard asks; the answers come as messages.
pub(super) struct Background {
    /// Those that somebody waits for, by number.
    waiting: Arc<Waiting>,
    requests: Sender<(u64, Effect)>,
    loader: Loader,
    answers: Sender<Msg>,
}

#[derive(Default)]
struct Waiting(Mutex<HashMap<u64, Patience>>);

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Patience>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Background {
    pub(super) fn start(loader: &Loader, answers: &Sender<Msg>) -> Self {
        let (requests, wanted) = unbounded();
        let waiting = Arc::<Waiting>::default();
        for _ in 0..WORKERS {
            let worker = Worker { loader: loader.clone(), waiting: Arc::clone(&waiting), answers: answers.clone() };
            let wanted = wanted.clone();
            thread::spawn(move || worker.run(&wanted));
        }
        Self { waiting, requests, loader: loader.clone(), answers: answers.clone() }
    }

    /// Takes a request on. What is not for it is left alone.
    pub(super) fn take(&self, effect: Effect) {
        match effect {
            Effect::Load(ticket, _) | Effect::Simulate(ticket, ..) => {
                self.waiting.lock().insert(ticket, Patience::default());
                let _ = self.requests.send((ticket, effect));
            }
            Effect::Cancel(ticket) => {
                if let Some(patience) = self.waiting.lock().remove(&ticket) {
                    patience.end();
                }
            }
            // It takes long, and there is one at a time: it has a thread of its own.
            Effect::FindOut(_) => {
                let (loader, answers) = (self.loader.clone(), self.answers.clone());
                thread::spawn(move || {
                    if let Some(msg) = loader.answer(effect) {
                        let _ = answers.send(msg);
                    }
                });
            }
            Effect::Copy(_) | Effect::Export(..) | Effect::Exit => {}
        }
    }
}

struct Worker {
    loader: Loader,
    waiting: Arc<Waiting>,
    answers: Sender<Msg>,
}

impl Worker {
    fn run(&self, wanted: &Receiver<(u64, Effect)>) {
        for (ticket, effect) in wanted {
            // What was given up in the meantime is not begun.
            let Some(patience) = self.waiting.lock().get(&ticket).cloned() else { continue };
            let msg = self.loader.with_patience(patience).answer(effect);
            self.waiting.lock().remove(&ticket);
            if msg.is_some_and(|it| self.answers.send(it).is_err()) {
                return;
            }
        }
    }
}

impl Loader {
    pub(super) fn new(context: &Context, path: &Path) -> Result<Self, Failure> {
        let mut context = context.clone();
        context.config.db = Some(path.to_path_buf());
        // Pages are tables, whatever the output of commands is.
        context.output = Output::Table;
        let prices = Arc::new(Prices::new(&context)?);
        Ok(Self { context, prices, rehearsals: Rehearsals::default(), code: Arc::new(AtomicU8::new(EXIT_FAILED)) })
    }

    /// Loads at once.
    pub(super) fn answer(&self, effect: Effect) -> Option<Msg> {
        Some(match effect {
            Effect::Load(ticket, load) => {
                let path = self.context.config.db_path();
                let loaded = load::content(self, &load).map_err(|it| {
                    self.code.store(it.code, Ordering::Relaxed);
                    it.of_database(&path).in_a_line()
                });
                Msg::Loaded(ticket, loaded)
            }
            Effect::Simulate(ticket, machine, range, scenario) => {
                let effects = study::simulate(self, &machine, range, &scenario);
                Msg::Simulated(ticket, effects.map_err(|it| it.in_a_line()))
            }
            Effect::FindOut(range) => {
                Msg::FoundOut(range, find_out::find_out(self, range).map_err(|it| it.in_a_line()))
            }
            Effect::Cancel(_) | Effect::Copy(_) | Effect::Export(..) | Effect::Exit => return None,
        })
    }

    fn with_patience(&self, patience: Patience) -> Self {
        Self { context: self.context.with_patience(patience), ..self.clone() }
    }
}
