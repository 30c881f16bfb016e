//! `man`: the manual pages, for packages.

use std::path::PathBuf;

use clap::{Args, CommandFactory};

use super::Arguments;
use crate::Outcome;

#[derive(Args)]
pub(crate) struct ManArguments {
    /// The folder for `stepscope.1` and a page for each command.
    folder: PathBuf,
}

pub(crate) fn run(arguments: &ManArguments) -> Outcome {
    std::fs::create_dir_all(&arguments.folder)?;
    clap_mangen::generate_to(Arguments::command(), &arguments.folder)?;
    Ok(0)
}
