//! `sql`: a read-only console over the documented views.

use std::io::{BufRead, IsTerminal};
use std::time::Duration;

use clap::Args;
use queries::{Answer, Cell, Limit, Limits, Split};
use serde_json::Value;

use super::Context;
use crate::Outcome;
use crate::failure::{EXIT_FAILED, Failure};
use crate::report::{Column, Output, Report, TextTable};

#[derive(Args)]
pub(crate) struct SqlArguments {
    /// One statement that reads; without it, statements are read from standard input.
    query: Option<String>,
    /// Stop after so many rows.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    max_rows: u64,
    /// Stop after so many seconds.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    max_seconds: u64,
    /// Stop before the values of the answer take more than so many bytes.
    #[arg(long, value_name = "N", default_value_t = 64 << 20)]
    max_bytes: u64,
}

impl SqlArguments {
    fn limits(&self) -> Limits {
        Limits { rows: self.max_rows, bytes: self.max_bytes, time: Duration::from_secs(self.max_seconds) }
    }
}

pub(crate) fn run(context: &Context, arguments: &SqlArguments) -> Outcome {
    let limits = arguments.limits();
    let is_whole = match arguments.query.as_deref() {
        Some(query) => answer(context, query, &limits)?,
        None => console(context, &limits)?,
    };
    Ok(if is_whole { 0 } else { EXIT_FAILED })
}

/// Prints what a statement answers, and says whether that is all of it.
fn answer(context: &Context, statement: &str, limits: &Limits) -> Result<bool, Failure> {
    // A reader of its own each time: the database stays free for whatever wants to write.
    let Answer { table, truncated } = context.reader()?.console(statement, limits)?;
    report(Answer { table, truncated }, context.output).print(context.output)?;
    let Some(limit) = truncated else { return Ok(true) };
    eprintln!("warning: the answer is truncated: it {}", reached(limit, limits));
    Ok(false)
}

fn reached(limit: Limit, limits: &Limits) -> String {
    match limit {
        Limit::Rows => format!("has more than {} rows (--max-rows)", limits.rows),
        Limit::Bytes => format!("takes more than {} bytes (--max-bytes)", limits.bytes),
        Limit::Memory => "takes too much memory: ask for less at a time, or collect fewer values".to_owned(),
        Limit::Time => format!("takes longer than {} s (--max-seconds)", limits.time.as_secs()),
    }
}

/// Reads statements, each ended by `;`, until the input ends; says whether every answer was whole.
fn console(context: &Context, limits: &Limits) -> Result<bool, Failure> {
    let input = std::io::stdin();
    let is_terminal = input.is_terminal();
    if is_terminal {
        eprintln!(
            "views: machines definitions executions events visits attempts critical_path segments metrics prices quarantine coverage"
        );
    }
    let mut is_whole = true;
    let mut text = String::new();
    loop {
        if is_terminal {
            eprint!("{}", if text.trim().is_empty() { "stepscope> " } else { "      ...> " });
        }
        let mut line = String::new();
        let has_ended = input.lock().read_line(&mut line)? == 0;
        text.push_str(&line);
        if !has_ended && !line.contains(';') {
            continue;
        }
        for statement in statements(&mut text, has_ended)? {
            match answer(context, &statement, limits) {
                Ok(all) => is_whole &= all,
                Err(failure) if is_terminal => failure.print(),
                Err(failure) => return Err(failure),
            }
        }
        if has_ended {
            return Ok(is_whole);
        }
    }
}

/// Takes the statements that are whole out of a text; at the end of the input, the last needs no `;`.
fn statements(text: &mut String, has_ended: bool) -> Result<Vec<String>, Failure> {
    if has_ended {
        // On a line of its own, in case the last one is a comment.
        text.push_str("\n;");
    }
    let Split { mut statements, rest } = queries::split(text)?;
    *text = rest;
    if has_ended && !text.trim().is_empty() {
        statements.push(std::mem::take(text));
    }
    Ok(statements)
}

fn report(Answer { table, truncated }: Answer, output: Output) -> Report {
    let mut text = TextTable::default();
    let n_rows = table.rows.len();
    let footer = format!("({n_rows} row{})", if n_rows == 1 { "" } else { "s" });
    let rows: Vec<Vec<Value>> = table.rows.iter().map(|row| row.iter().map(to_json).collect()).collect();
    for (index, title) in table.columns.iter().enumerate() {
        let is_number = table.rows.iter().any(|row| matches!(row[index], Cell::Int(_) | Cell::Big(_) | Cell::Float(_)));
        text.columns.push(Column { title: title.clone(), is_number });
    }
    text.rows = table.rows.iter().map(|row| row.iter().map(to_text).collect()).collect();
    // NDJSON and CSV name each value; JSON keeps columns and rows apart, as they may repeat a name.
    let rows: Vec<Value> = if output == Output::Ndjson || output.is_csv() {
        rows.into_iter().map(|row| Value::Object(table.columns.iter().cloned().zip(row).collect())).collect()
    } else {
        rows.into_iter().map(Value::from).collect()
    };
    Report {
        command: "sql",
        fields: [
            ("columns".to_owned(), Value::from(table.columns)),
            ("rows".to_owned(), Value::from(rows)),
            ("truncated".to_owned(), truncated.is_some().into()),
        ]
        .into_iter()
        .collect(),
        rows: "rows",
        table: text,
        heading: String::new(),
        footer,
    }
}

fn to_json(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Bool(it) => (*it).into(),
        Cell::Int(it) => (*it).into(),
        Cell::Big(it) => (*it).into(),
        Cell::Float(it) => (*it).into(),
        Cell::Time(it) => analyzer::time::format(analyzer::model::Timestamp(*it)).into(),
        Cell::Text(it) => it.clone().into(),
        Cell::Bytes(it) => it.iter().map(|it| format!("{it:02x}")).collect::<String>().into(),
        Cell::List(items) => items.iter().map(to_json).collect(),
    }
}

fn to_text(cell: &Cell) -> String {
    match to_json(cell) {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => text,
        other => other.to_string(),
    }
}
