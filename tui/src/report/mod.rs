//! One report, five output forms.

mod csv;
mod json;
pub(crate) mod page;
mod table;

use std::io::{self, Write};

use clap::ValueEnum;
use serde_json::{Map, Value};

use crate::failure::Failure;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    #[default]
    Table,
    Json,
    Ndjson,
    Csv,
    Markdown,
}

/// What a command found: the JSON of the contract, and the same for people.
pub(crate) struct Report {
    /// The command's name, for `"schema": "stepscope.<command>/1"`.
    pub(crate) command: &'static str,
    pub(crate) fields: Map<String, Value>,
    /// The key whose list makes the lines of NDJSON and CSV.
    pub(crate) rows: &'static str,
    pub(crate) table: TextTable,
    /// Sentences above and below the table.
    pub(crate) heading: String,
    pub(crate) footer: String,
}

/// A table for people.
#[derive(Default)]
pub(crate) struct TextTable {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// A column with its heading; numbers stand to the right.
pub(crate) struct Column {
    pub(crate) title: String,
    pub(crate) is_number: bool,
}

impl TextTable {
    /// Columns from their titles; a leading `#` marks a number.
    pub(crate) fn with_columns(titles: &[&str]) -> Self {
        let column = |title: &&str| Column {
            title: title.trim_start_matches('#').to_owned(),
            is_number: title.starts_with('#'),
        };
        Self { columns: titles.iter().map(column).collect(), rows: Vec::new() }
    }
}

impl Report {
    pub(crate) fn print(&self, output: Output) -> Result<(), Failure> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        self.write(&mut out, output)?;
        out.flush()?;
        Ok(())
    }

    /// What [`Report::print`] prints.
    pub(crate) fn to_text(&self, output: Output) -> Result<String, Failure> {
        let mut text = Vec::new();
        self.write(&mut text, output)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn write(&self, out: &mut impl Write, output: Output) -> Result<(), Failure> {
        match output {
            Output::Table => table::write(out, self)?,
            Output::Markdown => table::write_markdown(out, self)?,
            Output::Json => json::write(out, self)?,
            Output::Ndjson => json::write_lines(out, self)?,
            Output::Csv => csv::write(out, self)?,
        }
        Ok(())
    }

    fn lines(&self) -> Vec<Value> {
        match self.fields.get(self.rows) {
            Some(Value::Array(rows)) => rows.clone(),
            _ => vec![Value::Object(self.fields.clone())],
        }
    }
}
