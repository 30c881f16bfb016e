//! `diff`: two definitions, and what changed between them.

use std::path::Path;

use analyzer::asl::{Change, StateMachine, changes};
use clap::Args;
use serde_json::{Value, json};
use tui::text;

use super::{Context, select};
use crate::Outcome;
use crate::failure::Failure;
use crate::report::{Report, TextTable};

#[derive(Args)]
pub(crate) struct DiffArguments {
    /// The old definition: a file; or a machine alone, for its two newest stored definitions.
    old: String,
    /// The new definition: a file, or a machine for its newest stored one.
    new: Option<String>,
}

pub(crate) fn run(context: &Context, arguments: &DiffArguments) -> Outcome {
    let (old, new) = if let Some(new) = &arguments.new {
        (definition(context, &arguments.old)?, definition(context, new)?)
    } else {
        let reader = context.reader()?;
        let machine = select::machine(&reader, &arguments.old)?;
        let mut texts = reader.definitions(&machine)?.into_iter();
        let (Some(new), Some(old)) = (texts.next(), texts.next()) else {
            return Err(Failure::usage(format!("fewer than two definitions of `{}` are stored", arguments.old))
                .hint("give two files: stepscope diff OLD NEW"));
        };
        (parse(&arguments.old, &old)?, parse(&arguments.old, &new)?)
    };
    report(&changes(&old, &new)).print(context.output)?;
    Ok(0)
}

/// A definition from a file, or the newest one stored of a machine.
fn definition(context: &Context, target: &str) -> Result<StateMachine, Failure> {
    if Path::new(target).exists() {
        let text = std::fs::read_to_string(target)
            .map_err(|error| Failure::usage(format!("`{target}` cannot be read")).because(error.to_string()))?;
        return parse(target, &text);
    }
    let reader = context.reader()?;
    let machine = select::machine(&reader, target)?;
    let newest = reader.definitions(&machine)?.into_iter().next();
    parse(target, &newest.ok_or_else(|| Failure::usage(format!("no definition of `{target}` is stored")))?)
}

fn parse(source: &str, text: &str) -> Result<StateMachine, Failure> {
    StateMachine::parse(text)
        .map_err(|error| Failure::usage(format!("`{source}` is no definition")).because(error.to_string()))
}

fn report(changes: &[Change]) -> Report {
    let mut table = TextTable::with_columns(&["", "what", "where"]);
    for it in changes {
        table.rows.push(vec![it.kind.as_str().to_owned(), text::cut(&it.what, 110), it.path.clone()]);
    }
    let changes_json: Vec<Value> =
        changes.iter().map(|it| json!({"path": it.path, "kind": it.kind.as_str(), "what": it.what})).collect();
    Report {
        command: "diff",
        fields: [("changes".to_owned(), changes_json.into())].into_iter().collect(),
        rows: "changes",
        table,
        heading: if changes.is_empty() { "Nothing changed but order and comments.".to_owned() } else { String::new() },
        footer: String::new(),
    }
}
