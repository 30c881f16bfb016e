//! What may a statement of a reader do? Nothing but read our own relations.
//!
//! DuckDB's own parser decides: the text is parsed on an empty database in memory, without running it, and the tree is walked
//! (`check.rs`). Functions are allowed by name (`functions.txt`), relations are ours or the statement's own.

mod check;
mod explain;
mod functions;
mod parser;
#[cfg(test)]
mod property;
mod relations;
mod size;
mod split;

pub(crate) use check::{Asker, Checker};
pub use split::{Split, split};
