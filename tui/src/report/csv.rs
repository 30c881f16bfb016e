//! CSV: the scalar members of each row; what is nested is written as JSON.

use std::io::{self, Write};

use serde_json::Value;

use super::Report;

pub(crate) fn write(out: &mut impl Write, report: &Report) -> io::Result<()> {
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
        writer.write_record(report.table.columns.iter().map(|it| it.title.as_str()))?;
        for row in &report.table.rows {
            writer.write_record(row)?;
        }
    } else {
        writer.write_record(&keys)?;
        for row in &rows {
            writer.write_record(keys.iter().map(|key| text(row.get(key))))?;
        }
    }
    writer.flush()
}

fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(it)) => it.clone(),
        Some(other) => other.to_string(),
    }
}
