//! A report as a page: an answer, a table whose columns give way from the right, and sentences below it.

use super::line::{Line, wrapped};
use super::table::{Column, Table, Value};

/// The widest that a column becomes.
const WIDEST: usize = 44;

/// What a report says, as finished strings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub heading: Vec<String>,
    /// Titles, and whether numbers stand below.
    pub columns: Vec<(String, bool)>,
    pub rows: Vec<Vec<String>>,
    pub notes: Vec<String>,
}

impl Page {
    /// What the report says first.
    pub(super) fn answer(&self) -> &str {
        let nothing = if self.rows.is_empty() { "There is nothing to show." } else { "" };
        self.sentences().next().unwrap_or(nothing)
    }

    fn sentences(&self) -> impl Iterator<Item = &str> {
        self.heading.iter().chain(&self.notes).map(String::as_str)
    }

    /// The rows that fit the filter.
    pub(super) fn table(&self, filter: &str) -> Table {
        let wanted = filter.to_lowercase();
        let is_shown = |row: &&Vec<String>| row.iter().any(|it| it.to_lowercase().contains(&wanted));
        let column = |(title, is_number): &(String, bool)| Column {
            title: title.clone(),
            is_number: *is_number,
            least: 0,
            widest: WIDEST,
        };
        Table {
            columns: self.columns.iter().map(column).collect(),
            rows: self.rows.iter().filter(is_shown).map(|row| row.iter().map(Value::text).collect()).collect(),
        }
    }

    /// Rows that fit the filter, and below them what is said, in lines of a width.
    pub(super) fn lines(&self, filter: &str, width: usize) -> (Line, Vec<Line>) {
        use unicode_width::UnicodeWidthStr;
        let table = self.table(filter);
        let (head, mut lines) = table.lines(width, 0..table.rows.len());
        // What does not fit above the table is said whole below it.
        let n_said = usize::from(self.answer().width() <= width + 2);
        let said: Vec<Line> = self.sentences().skip(n_said).flat_map(|it| wrapped(it, width)).map(Line::new).collect();
        if !said.is_empty() && !lines.is_empty() {
            lines.push(Line::default());
        }
        lines.extend(said);
        (head, lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_wrapped_and_columns_give_way() {
        let page = Page {
            heading: vec!["answer".to_owned()],
            columns: vec![("state".to_owned(), false), ("share".to_owned(), true), ("what".to_owned(), false)],
            rows: vec![vec!["ChargeCard".to_owned(), "61 %".to_owned(), "back-off after throttling".to_owned()]],
            notes: vec!["ChargeCard is most of the critical path, and most of that is back-off".to_owned()],
        };
        let (head, lines) = page.lines("", 40);
        let lines: Vec<String> = lines.iter().map(|it| it.text().trim_end().to_owned()).collect();
        assert_eq!(head.text().trim_end(), "state       share  what");
        let expected = [
            "ChargeCard   61 %  back-off after throt…",
            "",
            "ChargeCard is most of the critical path,",
            "  and most of that is back-off",
        ];
        assert_eq!(lines, expected);
        assert_eq!(page.lines("nothing", 40).1.len(), 2, "the filter is for rows");
    }
}
