//! CSV: the scalar members of each row; what is nested is written as JSON.

use std::io::{self, Write};

use serde_json::Value;

use super::Report;
use tui::safe::is_plain_number;

/// How a text becomes a cell.
type ToCell = fn(&str) -> String;

pub(crate) fn write(out: &mut impl Write, report: &Report, to_cell: ToCell) -> io::Result<()> {
    let rows = report.lines();
    let mut keys: Vec<String> = Vec::new();
    for row in rows.iter().filter_map(Value::as_object) {
        for key in row.keys() {
            if !keys.contains(key) {
                keys.push(key.clone());
            }
        }
    }
    let mut writer = csv::Writer::from_writer(out);
    if keys.is_empty() {
        writer.write_record(report.table.columns.iter().map(|it| to_cell(&it.title))).map_err(broken)?;
        for row in &report.table.rows {
            writer.write_record(row.iter().map(|it| text_or_number(it, to_cell))).map_err(broken)?;
        }
    } else {
        // The columns of the console may be decimals, which are texts in JSON.
        let to_text = if report.command == "sql" { text_or_number } else { |it: &str, to_cell: ToCell| to_cell(it) };
        writer.write_record(keys.iter().map(|it| to_cell(it))).map_err(broken)?;
        for row in &rows {
            let cells = keys.iter().map(|key| match row.get(key) {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(it)) => to_text(it, to_cell),
                Some(number @ Value::Number(_)) => number.to_string(),
                Some(other) => to_cell(&other.to_string()),
            });
            writer.write_record(cells).map_err(broken)?;
        }
    }
    writer.flush()
}

/// The error of the destination itself, so that a closed pipe is known as one.
fn broken(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

fn text_or_number(text: &str, to_cell: ToCell) -> String {
    if is_plain_number(text) { text.to_owned() } else { to_cell(text) }
}
