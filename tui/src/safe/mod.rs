//! What makes a text safe for the place where it is printed: one file for each kind of place.
//!
//! Names, errors and causes come from accounts and files that others write. A terminal takes some of their characters as
//! commands, a shell others, Markdown, HTML and spreadsheets others again. Nothing is lost: what cannot stand as it is gets
//! written in another way.

mod csv;
mod html;
mod markdown;
mod shell;
mod terminal;

pub use csv::{cell, is_plain_number, raw_cell};
pub use html::{html, slack};
pub use markdown::{markdown, markdown_cell, markdown_code, markdown_line};
pub use shell::{Command, quoted};
pub use terminal::{indented, is_unsafe, json, lines, plain};
