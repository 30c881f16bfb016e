//! Tables for terminals and for Markdown.

use std::io::{self, Write};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use tui::safe;

use super::Report;

pub(crate) fn write(out: &mut impl Write, report: &Report) -> io::Result<()> {
    if !report.heading.is_empty() {
        writeln!(out, "{}", safe::lines(&report.heading))?;
    }
    if !report.table.columns.is_empty() {
        writeln!(out, "{}", render(report, presets::NOTHING, safe::plain))?;
    }
    if !report.footer.is_empty() {
        writeln!(out, "{}", safe::lines(&report.footer))?;
    }
    Ok(())
}

pub(crate) fn write_markdown(out: &mut impl Write, report: &Report) -> io::Result<()> {
    if !report.heading.is_empty() {
        writeln!(out, "{}\n", markdown_lines(&report.heading))?;
    }
    if !report.table.columns.is_empty() {
        writeln!(out, "{}", render(report, presets::ASCII_MARKDOWN, safe::markdown_cell))?;
    }
    if !report.footer.is_empty() {
        writeln!(out, "\n{}", markdown_lines(&report.footer))?;
    }
    Ok(())
}

/// Several lines of sentences, with commands among them.
fn markdown_lines(text: &str) -> String {
    let is_command = |it: &str| COMMANDS.iter().any(|start| it.starts_with(start));
    let mut lines: Vec<String> = Vec::new();
    let mut is_in_code = false;
    for line in text.lines() {
        if is_command(line) != is_in_code {
            is_in_code = !is_in_code;
            lines.push(if is_in_code { "```sh".to_owned() } else { "```".to_owned() });
        }
        lines.push(if is_in_code { safe::plain(line) } else { safe::markdown_line(line) });
    }
    lines.extend(is_in_code.then(|| "```".to_owned()));
    lines.join("\n")
}

/// How a line begins that is a command and no sentence.
const COMMANDS: [&str; 2] = ["aws stepfunctions ", "stepscope "];

fn render(report: &Report, preset: &str, cell: fn(&str) -> String) -> String {
    let mut table = Table::new();
    table.load_preset(preset).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(report.table.columns.iter().map(|it| cell(&it.title)));
    for row in &report.table.rows {
        table.add_row(row.iter().map(|it| cell(it)));
    }
    for (index, column) in report.table.columns.iter().enumerate() {
        if let Some(it) = table.column_mut(index) {
            it.set_cell_alignment(if column.is_number { CellAlignment::Right } else { CellAlignment::Left });
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
