//! stub
#[derive(clap::Args)]
pub(crate) struct DemoArguments {}
pub(crate) fn run(_c: &super::Context, _a: &DemoArguments) -> crate::Outcome { Ok(0) }
