//! stub
#[derive(clap::Args)]
pub(crate) struct SchemaArguments {}
pub(crate) fn run(_a: &SchemaArguments) -> crate::Outcome { Ok(0) }
