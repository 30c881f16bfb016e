//! A table whose columns give way from the right.

use unicode_width::UnicodeWidthStr;

use super::line::{Line, Tone};
use crate::text;

/// The first column is made no narrower than this for the sake of others.
const FIRST: usize = 22;

/// A cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) text: String,
    pub(super) tone: Tone,
}

impl Value {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: Tone::Plain }
    }

    pub(super) fn toned(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }
}

/// A column: its title, whether numbers stand in it, and how wide it may become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) title: String,
    pub(super) is_number: bool,
    pub(super) least: usize,
    pub(super) widest: usize,
}

/// A column of numbers.
pub(super) fn number(title: &str) -> Column {
    Column { title: title.to_owned(), is_number: true, least: 0, widest: 24 }
}

/// A column of texts.
pub(super) fn words(title: &str, widest: usize) -> Column {
    Column { title: title.to_owned(), is_number: false, least: 0, widest }
}

impl Column {
    /// The same, never narrower than this: it keeps its place while other rows come into sight.
    pub(super) fn at_least(mut self, least: usize) -> Self {
        self.least = least;
        self
    }
}

/// Rows of cells, in the order of the columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Value>>,
}

impl Table {
    pub(super) fn new(columns: Vec<Column>) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// The head and the lines of some rows, in so many columns of the terminal. Of the columns those that fit are kept, from
    /// the left; the first takes what is left, and gives way last.
    pub(super) fn lines(&self, width: usize, rows: std::ops::Range<usize>) -> (Line, Vec<Line>) {
        let shown = self.fitting(width);
        let mut head = Line::default();
        for (index, (column, size)) in self.columns.iter().zip(&shown).enumerate() {
            push_cell(&mut head, index, &column.title, *size, column.is_number, Tone::Dim);
        }
        let line = |row: &Vec<Value>| {
            let mut line = Line::default();
            for (index, ((value, column), size)) in row.iter().zip(&self.columns).zip(&shown).enumerate() {
                push_cell(&mut line, index, &value.text, *size, column.is_number, value.tone);
            }
            line
        };
        let rows = &self.rows[rows.start.min(self.rows.len())..rows.end.min(self.rows.len())];
        (head, rows.iter().map(line).collect())
    }

    /// The widths of the columns that fit.
    fn fitting(&self, width: usize) -> Vec<usize> {
        let longest = |index: usize| {
            self.rows.iter().filter_map(|row| row.get(index)).map(|it| it.text.width()).max().unwrap_or(0)
        };
        let size = |(index, column): (usize, &Column)| {
            longest(index).min(column.widest).max(column.title.width()).max(column.least).min(width.max(1))
        };
        let sizes: Vec<usize> = self.columns.iter().enumerate().map(size).collect();
        let Some(&first) = sizes.first() else { return Vec::new() };
        // A long first column gives way a little before others are left out.
        let least = first.min(FIRST.max(self.columns[0].least));
        let needed = |n: usize| sizes[1..n].iter().map(|it| it + 2).sum::<usize>();
        let n = (1..=sizes.len()).rev().find(|n| least + needed(*n) <= width).unwrap_or(1);
        let mut shown = sizes[..n].to_vec();
        let left = width.saturating_sub(needed(n));
        shown[0] = longest(0).max(self.columns[0].least).min(left).max(least.min(left));
        // What is half there would mislead in a number; a text may be cut.
        let left = width.saturating_sub(shown[0] + needed(n) + 2);
        if let Some(next) = self.columns.get(n).filter(|it| !it.is_number && left >= it.title.width().max(8)) {
            shown.push(left.min(next.widest));
        }
        shown
    }
}

fn push_cell(line: &mut Line, index: usize, value: &str, size: usize, is_number: bool, tone: Tone) {
    if index > 0 {
        line.push("  ", Tone::Plain);
    }
    let value = text::cut(value, size);
    let pad = " ".repeat(size.saturating_sub(value.width()));
    if is_number {
        line.push(pad, Tone::Plain);
        line.push(value, tone);
    } else {
        line.push(value, tone);
        line.push(pad, Tone::Plain);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let row =
            |name: &str, n: f64, what: &str| vec![Value::text(name), Value::text(format!("{n}")), Value::text(what)];
        Table {
            columns: vec![words("state", 20), number("visits"), words("of that", 30)],
            rows: vec![row("ValidateThePaymentOfTheOrder", 3.0, "back-off"), row("Pay", 40.0, "work")],
        }
    }

    #[test]
    fn columns_give_way_from_the_right_and_numbers_are_never_cut() {
        let (head, lines) = table().lines(60, 0..2);
        assert_eq!(head.text().trim_end(), "state                         visits  of that");
        assert_eq!(lines[1].text().trim_end(), "Pay                               40  work");
        let (head, lines) = table().lines(26, 0..2);
        assert_eq!(head.text().trim_end(), "state");
        assert!(lines[0].text().starts_with("ValidateThePaymentOfTheOr"), "{}", lines[0].text());
        let (head, _) = table().lines(28, 0..2);
        assert_eq!(head.text(), "state                 visits");
    }
}
