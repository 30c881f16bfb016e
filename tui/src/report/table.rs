//! Tables for terminals and for Markdown.

use std::io::{self, Write};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use tui::text;

use super::Report;

pub(crate) fn write(out: &mut impl Write, report: &Report) -> io::Result<()> {
    if !report.heading.is_empty() {
        writeln!(out, "{}", plain_lines(&report.heading))?;
    }
    if !report.table.columns.is_empty() {
        writeln!(out, "{}", render(report, presets::NOTHING))?;
    }
    if !report.footer.is_empty() {
        writeln!(out, "{}", plain_lines(&report.footer))?;
    }
    Ok(())
}

pub(crate) fn write_markdown(out: &mut impl Write, report: &Report) -> io::Result<()> {
    if !report.heading.is_empty() {
        writeln!(out, "{}\n", plain_lines(&report.heading))?;
    }
    if !report.table.columns.is_empty() {
        writeln!(out, "{}", render(report, presets::ASCII_MARKDOWN))?;
    }
    if !report.footer.is_empty() {
        writeln!(out, "\n{}", plain_lines(&report.footer))?;
    }
    Ok(())
}

/// Several lines, each without signs that are not for reading.
fn plain_lines(text: &str) -> String {
    text.split('\n').map(text::plain).collect::<Vec<_>>().join("\n")
}

fn render(report: &Report, preset: &str) -> String {
    let mut table = Table::new();
    table.load_preset(preset).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(report.table.columns.iter().map(|it| it.title.as_str()));
    for row in &report.table.rows {
        table.add_row(row.iter().map(|it| text::plain(it)));
    }
    for (index, column) in report.table.columns.iter().enumerate() {
        if let Some(it) = table.column_mut(index) {
            it.set_cell_alignment(if column.is_number { CellAlignment::Right } else { CellAlignment::Left });
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
