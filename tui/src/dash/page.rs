//! A report as a page: an answer, a table whose columns give way from the right, and sentences below it.

use unicode_width::UnicodeWidthStr;

use super::ui::Ui;
use super::view::{Columns, Line, Vm, window};
use crate::text;

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

    /// Rows that fit the filter, and below them what is said, in lines of a width.
    pub(super) fn lines(&self, filter: &str, width: usize) -> (String, Vec<String>) {
        let columns = self.fitting(width);
        let wanted = filter.to_lowercase();
        let is_shown = |row: &&Vec<String>| row.iter().any(|it| it.to_lowercase().contains(&wanted));
        let mut lines: Vec<String> = self.rows.iter().filter(is_shown).map(|row| columns.line(row)).collect();
        // What does not fit above the table is said whole below it.
        let n_said = usize::from(self.answer().width() <= width + 2);
        let said = self.sentences().skip(n_said);
        let wrapped: Vec<String> = said.flat_map(|it| wrapped(it, width)).collect();
        if !wrapped.is_empty() && !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(wrapped);
        (columns.head(), lines)
    }

    fn fitting(&self, width: usize) -> Columns {
        let widest = |index: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(index)).map(|it| it.width());
            cells.max().unwrap_or(0).max(self.columns[index].0.width()).min(WIDEST)
        };
        let sized: Vec<(String, usize, bool)> =
            self.columns.iter().enumerate().map(|(index, it)| (it.0.clone(), widest(index), it.1)).collect();
        Columns::of(sized, width)
    }
}

/// Words in lines of a width; what continues is indented.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let indent = if lines.is_empty() { 0 } else { 2 };
        if !line.trim().is_empty() && line.width() + 1 + word.width() > width.max(20) {
            lines.push(std::mem::take(&mut line));
            line = "  ".to_owned();
            line += word;
        } else {
            if line.width() > indent {
                line.push(' ');
            }
            line += word;
        }
    }
    lines.push(line);
    lines
}

/// The frame of a page.
pub(super) fn page(ui: &Ui) -> Vm {
    let width = usize::from(ui.width).saturating_sub(2);
    let empty = Page::default();
    let page = ui.page.as_ref().unwrap_or(&empty);
    let (head, lines) = page.lines(&ui.page_place.filter, width);
    let (lines, cursor) =
        window(ui, lines, |label| Line { label, cells: Vec::new(), rest: String::new(), is_bad: false });
    let of = ui.machine.as_ref().filter(|it| ui.page_words.contains(&it.0)).map(|it| it.1.clone());
    let words: Vec<&str> =
        ui.page_words.iter().map(|it| of.as_deref().filter(|_| it.starts_with("arn:")).unwrap_or(it)).collect();
    Vm {
        title: format!("{} › {}", ui.title, words.join(" ")),
        answer: text::cut(page.answer(), width + 2),
        is_trouble: false,
        head,
        lines,
        cursor,
        detail: Vec::new(),
        keys: "t states  b bottlenecks  c cost  i incidents  x compare  : command  esc back".to_owned(),
        help: None,
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
        assert_eq!(head, "state       share");
        assert_eq!(
            lines,
            ["ChargeCard   61 %", "", "ChargeCard is most of the critical path,", "  and most of that is back-off",]
        );
        assert_eq!(page.lines("nothing", 40).1.len(), 2, "the filter is for rows");
    }
}
