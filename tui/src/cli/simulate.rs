//! stub
#[derive(clap::Args)]
pub(crate) struct SimulateArguments {}
pub(crate) fn run(_a: &SimulateArguments) -> crate::Outcome { Ok(0) }
