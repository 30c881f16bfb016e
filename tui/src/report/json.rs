//! JSON as the contract fixes it, and one line per row.

use std::io::{self, Write};

use serde_json::{Map, Value};

use super::{Report, schema_of};

pub(crate) fn write(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let mut whole = Map::new();
    whole.insert("schema".to_owned(), schema_of(report.command).into());
    whole.extend(report.fields.clone());
    serde_json::to_writer_pretty(&mut *out, &whole)?;
    writeln!(out)
}

pub(crate) fn write_lines(out: &mut impl Write, report: &Report) -> io::Result<()> {
    for row in report.lines() {
        let mut line = Map::new();
        line.insert("schema".to_owned(), schema_of(report.command).into());
        match row {
            Value::Object(fields) => line.extend(fields),
            other => {
                line.insert("value".to_owned(), other);
            }
        }
        serde_json::to_writer(&mut *out, &line)?;
        writeln!(out)?;
    }
    Ok(())
}
