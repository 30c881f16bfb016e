//! stub
#[derive(clap::Args)]
pub(crate) struct DashArguments {}
pub(crate) fn run(_c: &super::Context) -> crate::Outcome { Ok(0) }
