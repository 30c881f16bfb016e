//! stub
#[derive(clap::Args)]
pub(crate) struct DashArguments {}
pub(crate) fn run(_c: &super::Context) -> crate::Outcome { Ok(0) }
pub(crate) fn open(_c: &super::Context, _p: &std::path::Path, _e: Option<analyzer::model::Timestamp>) -> crate::Outcome { Ok(0) }
