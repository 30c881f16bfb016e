//! A page to hand on, as Markdown or as HTML that stands alone: no script, nothing fetched, readable on paper, on a phone and in the dark.

use std::path::Path;

use analyzer::model::Timestamp;
use queries::SpanRow;
use serde_json::Value;

use super::{Output, Report, TextTable};
use crate::failure::Failure;
use tui::safe::{self, html as escaped, markdown_cell, markdown_line};

/// What the page says.
pub(crate) struct Page {
    pub(crate) title: String,
    /// The answer, in sentences.
    pub(crate) answer: Vec<String>,
    pub(crate) facts: Vec<(String, String)>,
    pub(crate) sections: Vec<Section>,
    pub(crate) commands: Vec<String>,
    pub(crate) chart: Option<Chart>,
}

/// A picture; what it shows stands in words or tables, too.
pub(crate) enum Chart {
    Durations(Durations),
    Bars(Bars),
}

impl Section {
    /// A table of these columns, still without rows.
    pub(crate) fn new(title: impl Into<String>, said: impl Into<String>, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|it| (*it).to_owned()).collect();
        Self { title: title.into(), said: said.into(), columns, rows: Vec::new() }
    }

    pub(crate) fn with_rows(self, rows: Vec<Vec<String>>) -> Self {
        Self { rows, ..self }
    }
}

/// Amounts side by side, in two tones: the period before, and the one that is told.
pub(crate) struct Bars {
    pub(crate) caption: String,
    /// What each bar is, its height, how that is said, and whether it belongs to the period.
    pub(crate) bars: Vec<(String, f64, String, bool)>,
}

/// A table with a title and a sentence.
pub(crate) struct Section {
    pub(crate) title: String,
    pub(crate) said: String,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// The 95th percentile over time, and the ranges.
pub(crate) struct Durations {
    pub(crate) spans: Vec<SpanRow>,
    pub(crate) baseline: (Timestamp, Timestamp),
    pub(crate) incident: (Timestamp, Timestamp),
}

/// Writes the page in the form that the name asks for.
pub(crate) fn write(path: &Path, page: &Page, report: &Report, csv: Output) -> Result<(), Failure> {
    let text = match path.extension().and_then(|it| it.to_str()) {
        Some("md" | "markdown") => masked(&markdown(page)),
        Some("html" | "htm") => masked(&html(page)),
        Some(form @ ("csv" | "json")) => {
            // Texts alone are masked: a decimal may have twelve digits, too.
            let mut fields = report.fields.clone();
            fields.values_mut().for_each(mask);
            let Report { command, rows, .. } = *report;
            let (table, heading, footer) = (TextTable::default(), String::new(), String::new());
            let form = if form == "csv" { csv } else { Output::Json };
            Report { command, fields, rows, table, heading, footer }.to_text(form)?
        }
        _ => {
            return Err(Failure::usage(format!("`{}` does not say which form the report has", path.display()))
                .hint("name it .html, .md, .json or .csv"));
        }
    };
    std::fs::write(path, text)
        .map_err(|error| Failure::new(format!("`{}` cannot be written", path.display())).because(error.to_string()))
}

/// The text without the numbers of accounts: a page is handed on.
fn masked(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut digits = String::new();
    let flush = |digits: &mut String, masked: &mut String| {
        masked.push_str(if digits.len() == 12 { "************" } else { digits });
        digits.clear();
    };
    for it in text.chars() {
        if it.is_ascii_digit() {
            digits.push(it);
        } else {
            flush(&mut digits, &mut masked);
            masked.push(it);
        }
    }
    flush(&mut digits, &mut masked);
    masked
}

/// The texts of a JSON value without them; a number is never an account.
fn mask(value: &mut Value) {
    match value {
        Value::String(text) => *text = masked(text),
        Value::Array(all) => all.iter_mut().for_each(mask),
        Value::Object(all) => all.values_mut().for_each(mask),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The page as HTML, without the numbers of accounts.
pub(crate) fn to_html(page: &Page) -> String {
    masked(&html(page))
}

pub(crate) fn markdown(page: &Page) -> String {
    let row = |cells: &[String]| {
        format!("| {} |\n", cells.iter().map(|it| markdown_cell(it)).collect::<Vec<_>>().join(" | "))
    };
    let mut text = format!("# {}\n\n{}\n", safe::markdown(&page.title), markdown_line(&page.answer.join(" ")));
    text += "\n| | |\n| --- | --- |\n";
    text.extend(page.facts.iter().map(|(name, value)| row(&[name.clone(), value.clone()])));
    for section in &page.sections {
        text += &format!("\n## {}\n", safe::markdown(&section.title));
        if !section.said.is_empty() {
            text += &format!("\n{}\n", markdown_line(&section.said));
        }
        if section.rows.is_empty() {
            continue;
        }
        text += &format!("\n{}|{}\n", row(&section.columns), " --- |".repeat(section.columns.len()));
        text.extend(section.rows.iter().map(|it| row(it)));
    }
    text + &format!("\n## See for yourself\n\n```sh\n{}\n```\n", safe::lines(&page.commands.join("\n")))
}

fn html(page: &Page) -> String {
    let mut body =
        format!("<h1>{}</h1>\n<p class=\"answer\">{}</p>\n", escaped(&page.title), escaped(&page.answer.join(" ")));
    body += "<dl>\n";
    for (name, value) in &page.facts {
        body += &format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escaped(name), escaped(value));
    }
    body += "</dl>\n";
    body += &match &page.chart {
        Some(Chart::Durations(it)) => durations(it),
        Some(Chart::Bars(it)) => bars(it),
        None => String::new(),
    };
    for section in &page.sections {
        body += &format!("<h2>{}</h2>\n<p>{}</p>\n", escaped(&section.title), escaped(&section.said));
        if section.rows.is_empty() {
            continue;
        }
        let cells = |tag: &str, row: &mut dyn Iterator<Item = &str>| {
            // What is long may be broken, what is short may not.
            let class = |it: &str| if it.chars().count() > 40 { " class=\"long\"" } else { "" };
            row.map(|it| format!("<{tag}{}>{}</{tag}>", class(it), escaped(it))).collect::<String>()
        };
        body += &format!(
            "<div class=\"wide\"><table>\n<tr>{}</tr>\n",
            cells("th", &mut section.columns.iter().map(String::as_str))
        );
        for row in &section.rows {
            body += &format!("<tr>{}</tr>\n", cells("td", &mut row.iter().map(String::as_str)));
        }
        body += "</table></div>\n";
    }
    body += &format!("<h2>See for yourself</h2>\n<pre>{}</pre>\n", escaped(&page.commands.join("\n")));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n<meta name=\"viewport\" content=\"width=device-width, \
         initial-scale=1\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        escaped(&page.title)
    )
}

/// What a browser may do with the page: show it, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#59636e;--line:#d1d9e0;--bad:#b35900;--good:#0a7f5a;--paper:#fff}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--dim:#9198a1;--line:#3d444d;--bad:#ffa657;--good:#56d4a4;--paper:#0d1117}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:60rem;margin:0 auto;padding:1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid var(--line)}
.answer{font-size:1.1rem}dl{display:flex;flex-wrap:wrap;gap:.5rem 2rem;margin:1rem 0}dt{color:var(--dim);font-size:.85rem}dd{margin:0}
figure{margin:1rem 0}figcaption{color:var(--dim);font-size:.85rem}code{font-size:.95em}td.long{white-space:normal;min-width:20rem}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;white-space:nowrap;padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}th{color:var(--dim);font-weight:600}
pre{overflow-x:auto;padding:.6rem;border:1px solid var(--line)}svg{width:100%;height:auto}
@media print{body{max-width:none;padding:0}h2{break-after:avoid}tr{break-inside:avoid}}
";

/// The p95 as bars; those of the incident are hatched differently by height and named below.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "places in a picture")]
fn durations(chart: &Durations) -> String {
    const SIZE: (f64, f64) = (900.0, 160.0);
    let (Some(first), Some(last)) = (chart.spans.first(), chart.spans.last()) else { return String::new() };
    let width = (last.from - first.from).0.max(1) as f64;
    let highest = chart.spans.iter().map(|it| it.p95.0).max().unwrap_or(1).max(1) as f64;
    let x = |at: Timestamp| ((at - first.from).0 as f64 / width * (SIZE.0 - 8.0)).clamp(0.0, SIZE.0);
    let bar = (SIZE.0 / chart.spans.len().max(1) as f64 * 0.7).max(1.5);
    let is_in = |span: (Timestamp, Timestamp), at: Timestamp| at >= span.0 && at < span.1;
    let mut bars = String::new();
    for it in &chart.spans {
        let height = it.p95.0 as f64 / highest * SIZE.1;
        let colour = match (is_in(chart.incident, it.from), is_in(chart.baseline, it.from)) {
            (true, _) => "var(--bad)",
            (_, true) => "var(--good)",
            _ => "var(--line)",
        };
        bars += &format!(
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{bar:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>",
            x(it.from),
            SIZE.1 - height
        );
    }
    let label = |span: (Timestamp, Timestamp), name: &str, y: u32| {
        format!(
            "<line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y}\" y2=\"{y}\" stroke=\"currentColor\" stroke-width=\"2\"/><text x=\"{:.1}\" \
             y=\"{}\" font-size=\"12\" fill=\"currentColor\" text-anchor=\"{}\">{name}</text>",
            x(span.0),
            x(span.1),
            if x(span.0) > SIZE.0 / 2.0 { x(span.1) } else { x(span.0) },
            y + 14,
            if x(span.0) > SIZE.0 / 2.0 { "end" } else { "start" },
        )
    };
    format!(
        "<figure><svg viewBox=\"0 0 900 205\" role=\"img\" aria-label=\"p95 over time\">{bars}{}{}</svg><figcaption>p95 by start time, \
         at most {}</figcaption></figure>\n",
        label(chart.baseline, "baseline", 168),
        label(chart.incident, "incident", 186),
        escaped(&tui::text::span(analyzer::model::Micros(highest as i64))),
    )
}

/// One bar beside the other, each with its name and amount to be read out; the first, the last and the highest are labelled.
#[expect(clippy::cast_precision_loss, reason = "places in a picture")]
fn bars(chart: &Bars) -> String {
    const SIZE: (f64, f64) = (900.0, 150.0);
    let highest = chart.bars.iter().map(|it| it.1).fold(0.0, f64::max);
    if highest <= 0.0 {
        return String::new();
    }
    let step = SIZE.0 / chart.bars.len() as f64;
    let mut drawn = String::new();
    let mut is_labelled = false;
    for (place, (name, value, said, is_own)) in chart.bars.iter().enumerate() {
        let (x, height) = (place as f64 * step, value / highest * SIZE.1);
        let colour = if *is_own { "var(--good)" } else { "var(--line)" };
        drawn += &format!(
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"{colour}\"><title>{}: {}</title></rect>",
            x + step * 0.12,
            SIZE.1 + 16.0 - height,
            (step * 0.76).min(60.0),
            escaped(name),
            escaped(said)
        );
        if *value >= highest && !is_labelled {
            is_labelled = true;
            let anchor = if x > SIZE.0 / 2.0 { "end" } else { "start" };
            let at = if x > SIZE.0 / 2.0 { x + step * 0.88 } else { x + step * 0.12 };
            drawn += &format!(
                "<text x=\"{at:.1}\" y=\"12\" font-size=\"12\" fill=\"currentColor\" text-anchor=\"{anchor}\">{}</text>",
                escaped(said)
            );
        }
    }
    let ends = [(chart.bars.first(), 0.0, "start"), (chart.bars.last(), SIZE.0, "end")];
    for (bar, x, anchor) in ends {
        let name = bar.map(|it| escaped(&it.0)).unwrap_or_default();
        drawn += &format!(
            "<text x=\"{x}\" y=\"184\" font-size=\"12\" fill=\"currentColor\" text-anchor=\"{anchor}\">{name}</text>"
        );
    }
    let caption = escaped(&chart.caption);
    format!(
        "<figure><svg viewBox=\"0 0 900 190\" role=\"img\" aria-label=\"{caption}\">{drawn}</svg><figcaption>{caption}</figcaption></figure>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_masked_and_nothing_else_is() {
        assert_eq!(
            masked("arn:aws:states:eu-west-1:123456789012:x 1234567890123 42"),
            "arn:aws:states:eu-west-1:************:x 1234567890123 42"
        );
    }
}
