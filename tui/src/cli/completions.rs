//! `completions`: a script for the shell.

use clap::{Args, CommandFactory};

use super::Arguments;
use crate::Outcome;

#[derive(Args)]
pub(crate) struct CompletionsArguments {
    shell: clap_complete::Shell,
}

pub(crate) fn run(arguments: &CompletionsArguments) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "stepscope", &mut script);
    std::io::Write::write_all(&mut crate::output::text(), &script)?;
    Ok(0)
}
