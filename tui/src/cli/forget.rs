//! `forget` and `prune`: executions out of the database, with everything that is kept of them.

use clap::Args;
use queries::Store;
use serde_json::Value;

use super::{Context, select, when};
use crate::Outcome;
use crate::report::{Report, TextTable};

#[derive(Args)]
pub(crate) struct ForgetArguments {
    /// An execution: its ARN, its name, or a unique part of it.
    execution: String,
}

#[derive(Args)]
pub(crate) struct PruneArguments {
    /// Forget closed executions that started before this time, such as 90d.
    #[arg(long, value_name = "TIME")]
    before: String,
}

pub(crate) fn forget(context: &Context, arguments: &ForgetArguments) -> Outcome {
    let arn = select::execution(&context.reader()?, &arguments.execution)?.arn;
    let store = Store::open(&context.config.db_path())?;
    let forgotten = u64::from(store.forget(&arn)?);
    report(context, "forget", forgotten, format!("`{arn}` is forgotten.")).print(context.output)?;
    Ok(0)
}

pub(crate) fn prune(context: &Context, arguments: &PruneArguments) -> Outcome {
    let before = when::instant(&arguments.before, context.now()?)?;
    // Says clearly that there is nothing, instead of making an empty database.
    drop(context.reader()?);
    let forgotten = Store::open(&context.config.db_path())?.prune(before)?;
    let heading = format!("{forgotten} executions from before {} are forgotten.", analyzer::time::format(before));
    report(context, "prune", forgotten, heading).print(context.output)?;
    Ok(0)
}

fn report(context: &Context, command: &'static str, forgotten: u64, heading: String) -> Report {
    // A lake keeps what its snapshots had.
    let is_lake = queries::Lake::of(&context.config.db_path()).is_some();
    let footer =
        if is_lake && forgotten > 0 { "Older snapshots have it until `stepscope lake compact --keep 0`." } else { "" };
    Report {
        command,
        fields: [("forgotten".to_owned(), Value::from(forgotten))].into_iter().collect(),
        rows: "forgotten",
        table: TextTable::default(),
        heading,
        footer: footer.to_owned(),
    }
}
