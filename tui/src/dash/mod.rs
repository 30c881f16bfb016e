//! The dashboard: state moves in `update`, effects are data, a frame is a function of a view model.
//!
//! ```text
//!   keys, mouse, answers -> Msg -> update(Ui) -> Effect -> (the shell loads) -> Msg
//!                                     |
//!                                    view -> Vm -> render -> frame
//! ```

mod page;
mod render;
mod ui;
mod update;
mod view;

pub use page::Page;
pub use render::render;
pub use ui::{ExecutionItem, ExecutionOrder, LISTED, MachineItem, Screen, Ui};
pub use update::{Effect, Msg, update};
pub use view::{Line, Vm, view};

#[cfg(test)]
mod tests;
