//! `lake`: a database that is a lake: made, looked at, put in order.

use clap::{Args, Subcommand};
use queries::{Lake, LakeStatus, Store};
use serde_json::{Value, json};
use tui::text;

use super::Context;
use crate::Outcome;
use crate::failure::Failure;
use crate::report::{Report, TextTable, sentences};

#[derive(Args)]
pub(crate) struct LakeArguments {
    #[command(subcommand)]
    command: LakeCommand,
}

#[derive(Subcommand)]
enum LakeCommand {
    /// Make the lake that `--db ducklake:…` names, and say where its data is to lie.
    Init {
        /// A folder, or s3://BUCKET/PREFIX/; without it, beside the catalogue.
        #[arg(long, value_name = "PLACE")]
        data: Option<String>,
    },
    /// Say how many files and snapshots it has.
    Status,
    /// Put small files together, and remove what no snapshot needs any more.
    Compact {
        /// Size of the files that are made, in megabytes.
        #[arg(long, value_name = "MB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=4_096))]
        file_size: u64,
        /// Snapshots of so many days are kept.
        #[arg(long, value_name = "DAYS", default_value_t = 7)]
        keep: u32,
    },
}

pub(crate) fn run(context: &Context, arguments: &LakeArguments) -> Outcome {
    let path = context.config.db_path();
    let lake = Lake::of(&path).ok_or_else(|| {
        Failure::usage(format!("`{}` is no lake", path.display()))
            .hint("name one with --db ducklake:PATH, ducklake:sqlite:PATH or ducklake:postgres:…")
    })?;
    match &arguments.command {
        LakeCommand::Init { data } => {
            if let Some(place) = data.as_ref().filter(|it| it.contains("://") && !it.starts_with("s3://")) {
                return Err(Failure::usage(format!("`{place}` is no place for data"))
                    .hint("give a folder, or s3://BUCKET/PREFIX/"));
            }
            drop(Store::open_lake(&path, &lake, data.as_deref())?);
        }
        LakeCommand::Status => {}
        LakeCommand::Compact { file_size, keep } => {
            let merged = if lake.status()?.doubles > 0 { Store::open(&path)?.merge_doubles()? } else { 0 };
            if merged > 0 {
                eprintln!("{} executions were stored twice and are put together", text::count(merged));
            }
            lake.compact(file_size << 20, *keep)?;
        }
    }
    report(&lake.status()?).print(context.output)?;
    Ok(0)
}

fn report(it: &LakeStatus) -> Report {
    let mut table = TextTable::with_columns(&["table", "#files", "#bytes", "#files of deletions"]);
    for row in &it.tables {
        table.rows.push(vec![
            row.name.clone(),
            text::count(row.files),
            text::count(row.bytes),
            text::count(row.delete_files),
        ]);
    }
    let tables = it
        .tables
        .iter()
        .map(|it| json!({"table": it.name, "files": it.files, "bytes": it.bytes, "delete_files": it.delete_files}));
    let sum = |of: fn(&queries::LakeTable) -> u64| it.tables.iter().map(of).sum::<u64>();
    let (files, bytes) = (sum(|it| it.files), sum(|it| it.bytes));
    let fields = [
        ("data_path".to_owned(), Value::from(it.data_path.clone())),
        ("snapshots".to_owned(), it.snapshots.into()),
        ("doubles".to_owned(), it.doubles.into()),
        ("collectors".to_owned(), json!(it.collectors)),
        ("slices".to_owned(), json!(it.slices)),
        ("held_slices".to_owned(), json!(it.held_slices)),
        ("files".to_owned(), files.into()),
        ("bytes".to_owned(), bytes.into()),
        ("tables".to_owned(), tables.collect()),
    ];
    Report {
        command: "lake",
        fields: fields.into_iter().collect(),
        rows: "tables",
        table,
        heading: format!(
            "{}: {} files, {} bytes, {} snapshots.",
            it.data_path,
            text::count(files),
            text::count(bytes),
            text::count(it.snapshots)
        ),
        footer: footer(it),
    }
}

fn footer(it: &LakeStatus) -> String {
    let mut lines = Vec::new();
    if let (Some(collectors), Some(slices), Some(held)) = (it.collectors, it.slices, it.held_slices) {
        lines.push(format!("{collectors} writing now; {held} of {slices} slices are held."));
    }
    if it.doubles > 0 {
        let doubles = text::count(it.doubles);
        lines.push(format!(
            "{doubles} executions are stored twice, and counted twice: `stepscope lake compact` puts them together."
        ));
    }
    sentences(&lines)
}
