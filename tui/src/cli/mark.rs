//! `mark`: notes when something was deployed, for comparisons and charts.

use clap::{Args, Subcommand};
use queries::Store;
use serde_json::{Map, Value};

use super::{Context, select, when};
use crate::Outcome;
use crate::failure::Failure;
use crate::report::{Report, TextTable, sentences};

#[derive(Args)]
pub(crate) struct MarkArguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Note a deployment: of a machine, or of all of them.
    Deploy {
        /// A state machine: its ARN, its name, or a unique part of it.
        machine: Option<String>,
        /// When: RFC 3339, a date, or a span back from now [default: now].
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
        /// What: a version, a commit, a ticket.
        #[arg(long)]
        label: String,
    },
}

pub(crate) fn run(context: &Context, arguments: &MarkArguments) -> Outcome {
    let What::Deploy { machine, at, label } = &arguments.what;
    let now = context.now()?;
    let at = at.as_deref().map_or(Ok(now), |it| when::instant(it, now))?;
    if label.trim().is_empty() {
        return Err(Failure::usage("a mark needs a label").hint("such as --label v14 or --label 'commit 3f2a'"));
    }
    let machine_arn = match machine {
        Some(wanted) => Some(select::machine(&context.reader()?, wanted)?),
        None => None,
    };
    let is_new = Store::open(&context.config.db_path())?.mark(machine_arn.as_deref(), at, label)?;
    let at = analyzer::time::format(at);
    let of = machine_arn.as_deref().map_or("all machines", |it| it.rsplit(':').next().unwrap_or(it));
    let said = if is_new {
        format!("Marked: {label} was deployed to {of} at {at}.")
    } else {
        "It is marked already.".to_owned()
    };
    let fields: [(&str, Value); 5] = [
        ("kind", "deploy".into()),
        ("at", at.into()),
        ("label", label.as_str().into()),
        ("state_machine_arn", machine_arn.as_deref().into()),
        ("new", is_new.into()),
    ];
    let fields: Map<String, Value> = fields.into_iter().map(|(key, it)| (key.to_owned(), it)).collect();
    Report {
        command: "mark",
        fields,
        rows: "",
        table: TextTable::default(),
        heading: sentences([said]),
        footer: String::new(),
    }
    .print(context.output)?;
    Ok(0)
}
