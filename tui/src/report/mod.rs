//! One report, five output forms.

mod csv;
mod json;
pub(crate) mod page;
mod table;

use std::io::Write;

use clap::ValueEnum;
use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::output::{self, Out};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    #[default]
    Table,
    Json,
    Ndjson,
    Csv,
    /// CSV for programs: what a spreadsheet would take for a formula is left as it is.
    #[value(skip)]
    RawCsv,
    Markdown,
}

impl Output {
    pub(crate) fn is_csv(self) -> bool {
        matches!(self, Self::Csv | Self::RawCsv)
    }

    /// Standard output, made safe for this form.
    pub(crate) fn out(self) -> Out {
        match self {
            Self::Table | Self::Markdown => output::text(),
            Self::Json | Self::Ndjson => output::json(),
            Self::Csv | Self::RawCsv => output::csv(),
        }
    }
}

/// What a command found: the JSON of the contract, and the same for people.
pub(crate) struct Report {
    /// The command's name, for `"schema": "stepscope.<command>/N"`.
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

/// Results whose shape has changed since the first, and the number of their schema.
const CHANGED: &[(&str, u32)] =
    &[("collect", 2), ("cost", 2), ("executions", 2), ("reconcile", 2), ("report", 2), ("show", 2)];

/// The name of the schema of a command's result.
pub(crate) fn schema_of(command: &str) -> String {
    let number = CHANGED.iter().find(|it| it.0 == command).map_or(1, |it| it.1);
    format!("stepscope.{command}/{number}")
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

/// Sentences, each on a line of its own, whatever is in it: a name with a line break begins no line.
pub(crate) fn sentences<Sentence: AsRef<str>>(all: impl IntoIterator<Item = Sentence>) -> String {
    all.into_iter().map(|it| tui::safe::plain(it.as_ref())).collect::<Vec<_>>().join("\n")
}

impl Report {
    pub(crate) fn print(&self, output: Output) -> Result<(), Failure> {
        let mut out = output.out();
        self.write(&mut out, output)?;
        out.flush()?;
        Ok(())
    }

    /// What [`Report::print`] prints.
    pub(crate) fn to_text(&self, output: Output) -> Result<String, Failure> {
        let mut text = Vec::new();
        self.write(&mut text, output)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        Ok(if matches!(output, Output::Json | Output::Ndjson) { tui::safe::json(&text) } else { text })
    }

    fn write(&self, out: &mut impl Write, output: Output) -> Result<(), Failure> {
        match output {
            Output::Table => table::write(out, self)?,
            Output::Markdown => table::write_markdown(out, self)?,
            Output::Json => json::write(out, self)?,
            Output::Ndjson => json::write_lines(out, self)?,
            Output::Csv => csv::write(out, self, tui::safe::cell)?,
            Output::RawCsv => csv::write(out, self, tui::safe::raw_cell)?,
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
