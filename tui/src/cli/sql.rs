//! `sql`: a read-only console over the documented views.

use std::io::{BufRead, IsTerminal, Write};

use clap::Args;
use queries::{Cell, Table};
use serde_json::Value;

use super::Context;
use crate::Outcome;
use crate::failure::Failure;
use crate::report::{Column, Output, Report, TextTable};

#[derive(Args)]
pub(crate) struct SqlArguments {
    /// One statement that reads; without it, statements are read from standard input.
    query: Option<String>,
}

pub(crate) fn run(context: &Context, arguments: &SqlArguments) -> Outcome {
    match arguments.query.as_deref() {
        Some(query) => {
            let table = context.reader()?.console(query)?;
            report(table, context.output).print(context.output)?;
        }
        None => console(context)?,
    }
    Ok(0)
}

/// Reads statements, each ended by `;`, until the input ends.
fn console(context: &Context) -> Result<(), Failure> {
    let input = std::io::stdin();
    let is_terminal = input.is_terminal();
    let mut statement = String::new();
    if is_terminal {
        eprintln!(
            "views: machines definitions executions events visits attempts critical_path segments metrics prices quarantine coverage"
        );
    }
    loop {
        if is_terminal {
            eprint!("{}", if statement.is_empty() { "stepscope> " } else { "      ...> " });
            std::io::stderr().flush()?;
        }
        let mut line = String::new();
        let ended = input.lock().read_line(&mut line)? == 0;
        statement.push_str(&line);
        if statement.trim_end().ends_with(';') || (ended && !statement.trim().is_empty()) {
            // A reader of its own each time: the database stays free for whoever wants to write.
            match context.reader().and_then(|it| Ok(it.console(&statement)?)) {
                Ok(table) => report(table, context.output).print(context.output)?,
                Err(failure) if is_terminal => failure.print(),
                Err(failure) => return Err(failure),
            }
            statement.clear();
        }
        if ended {
            return Ok(());
        }
    }
}

fn report(table: Table, output: Output) -> Report {
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
    let rows: Vec<Value> = if matches!(output, Output::Ndjson | Output::Csv) {
        rows.into_iter().map(|row| Value::Object(table.columns.iter().cloned().zip(row).collect())).collect()
    } else {
        rows.into_iter().map(Value::from).collect()
    };
    Report {
        command: "sql",
        fields: [("columns".to_owned(), Value::from(table.columns)), ("rows".to_owned(), Value::from(rows))]
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
