//! The dashboard: state moves in `update`, effects are data, a frame is a function of a view model.
//!
//! ```text
//!   keys, mouse, answers -> Msg -> update(Ui) -> Effects -> (the shell loads) -> Msg
//!                                     |
//!                                    view -> Vm -> render -> frame
//! ```
//!
//! The user moves along a trail of stops, each a view of something with the state it is looked at in; what is loaded for a
//! stop carries a number, and an answer that nobody waits for any more is dropped.

mod canvas;
mod charts;
mod complete;
mod data;
mod graph;
mod keys;
mod line;
mod ranks;
mod render;
mod report;
mod screen;
mod table;
mod theme;
mod ui;
mod update;
mod view;
mod views;

pub use data::*;
pub use keys::{Action, Key, KeyMap};
pub use render::render;
pub use report::Page;
pub use screen::{Heat, MachineRef, Sort, Subject, TimeRange, View};
pub use theme::Theme;
pub use ui::{Form, Mode, Preferences, Ui, Word};
pub use update::{Effect, Load, Msg, go_to, start, update};
pub use view::{Vm, view};
pub use views::Shown;

#[cfg(test)]
mod tests;
