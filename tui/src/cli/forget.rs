//! `forget` and `prune`: executions out of the database, with everything that is kept of them.

use std::time::Instant;

use clap::Args;
use queries::Store;
use serde_json::{Value, json};

use super::{Context, select, when};
use crate::Outcome;
use crate::failure::Failure;
use crate::report::{Report, TextTable, sentences};

#[derive(Args)]
pub(crate) struct ForgetArguments {
    /// Executions, each by its ARN, its name, or a unique part of it.
    #[arg(required = true, value_name = "EXECUTION")]
    executions: Vec<String>,
}

#[derive(Args)]
pub(crate) struct PruneArguments {
    /// Delete closed executions that started before this time, such as 90d.
    #[arg(long, value_name = "TIME")]
    before: String,
    /// Rewrite the file afterwards, so that it shrinks and holds nothing of what was deleted.
    #[arg(long)]
    compact: bool,
}

pub(crate) fn forget(context: &Context, arguments: &ForgetArguments) -> Outcome {
    let begun = Instant::now();
    let path = context.config.db_path();
    let arns = {
        let reader = context.reader()?;
        let arn = |it: &String| Ok(select::execution(&reader, it)?.arn);
        arguments.executions.iter().map(arn).collect::<Result<Vec<String>, Failure>>()?
    };
    let store = Store::open_alone(&path)?;
    let forgot = store.forget(&arns, &context.config.local_file())?;
    store.erase(&path).map_err(|error| unfinished(&error.into()))?;
    let files: Vec<String> = forgot.files.iter().map(|it| it.display().to_string()).collect();
    let heading = match arns.as_slice() {
        [arn] => format!("`{arn}` is forgotten; rewriting the database took {}.", seconds(begun)),
        _ => format!("{} executions are forgotten; rewriting the database took {}.", forgot.executions, seconds(begun)),
    };
    let heading = sentences([heading]);
    let mut footer = "Imports and collectors leave them out from now on; `--again` takes them in.".to_owned();
    if !files.is_empty() {
        footer = format!("Also removed from: {}.\n{footer}", files.join(", "));
    }
    if context.config.is_lake() {
        footer = format!("All older snapshots of the lake are gone.\n{footer}");
    }
    let fields = [
        ("forgotten", json!(forgot.executions)),
        ("rewritten", json!(true)),
        ("files", json!(files)),
        ("elapsed_ms", elapsed(begun)),
    ];
    report("forget", &fields, heading, footer).print(context.output)?;
    Ok(0)
}

pub(crate) fn prune(context: &Context, arguments: &PruneArguments) -> Outcome {
    let begun = Instant::now();
    let before = when::instant(&arguments.before, context.now()?)?;
    // Reports that there is nothing, instead of creating an empty database.
    drop(context.reader()?);
    let path = context.config.db_path();
    let store = Store::open_alone(&path)?;
    let pruned = store.prune(before)?;
    if arguments.compact {
        store.erase(&path).map_err(|error| unfinished(&error.into()))?;
    }
    let rewritten = if arguments.compact { format!("; rewritten in {}", seconds(begun)) } else { String::new() };
    let heading = format!(
        "{} executions from before {} are deleted{rewritten}.",
        pruned.executions,
        analyzer::time::format(before)
    );
    let footer = match (arguments.compact, context.config.is_lake()) {
        (true, _) => "",
        (false, true) => "Older snapshots have them until `stepscope lake compact --keep 0`.",
        (false, false) => "The file keeps its size, and its free space is used again; `--compact` rewrites it.",
    };
    let fields = [
        ("forgotten", json!(pruned.executions)),
        ("rewritten", json!(arguments.compact)),
        ("elapsed_ms", elapsed(begun)),
    ];
    report("prune", &fields, heading, footer.to_owned()).print(context.output)?;
    Ok(0)
}

/// The rows are gone, and the next command that writes the database finishes the rest.
fn unfinished(failure: &Failure) -> Failure {
    Failure::new(
        "the executions are deleted, but the database could not be rewritten: their bytes are still in the file",
    )
    .because(failure.in_a_line())
    .hint("any command that writes the database, such as `import`, rewrites it first")
}

fn elapsed(begun: Instant) -> Value {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX).into()
}

fn seconds(begun: Instant) -> String {
    format!("{:.1} s", begun.elapsed().as_secs_f64())
}

fn report(command: &'static str, fields: &[(&str, Value)], heading: String, footer: String) -> Report {
    Report {
        command,
        fields: fields.iter().map(|(key, it)| ((*key).to_owned(), it.clone())).collect(),
        rows: "forgotten",
        table: TextTable::default(),
        heading,
        footer,
    }
}
