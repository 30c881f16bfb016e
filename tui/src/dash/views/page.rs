//! A report: what a reporting command says, scrolled and filtered.

use super::super::keys::Action;
use super::super::line::{Line, Tone};
use super::super::report::Page;
use super::super::screen::{Subject, View};
use super::super::table::Table;
use super::super::ui::Ui;
use super::super::view::{Area, BodyLine, first_visible, light_tone};
use super::{Content, Panel, Step};

pub(super) struct Report;

fn page(ui: &Ui) -> Option<&Page> {
    match &ui.stop().content {
        Some(Content::Page(it)) => Some(it),
        _ => None,
    }
}

fn lines(ui: &Ui, width: usize) -> (Line, Vec<Line>) {
    page(ui).map_or_else(Default::default, |it| it.lines(&ui.stop().filter, width.saturating_sub(2)))
}

impl Panel for Report {
    fn about(&self) -> &'static [&'static str] {
        &[
            "What a reporting command says. `:` runs any of them, with all of its options; tab completes.",
            "Columns that do not fit are left out from the right; a wider window or an export has all of them.",
        ]
    }

    fn answer(&self, ui: &Ui) -> Line {
        let said = page(ui).map_or_else(Line::default, |it| Line::new(it.answer()));
        if ui.stop().view != View::Collector || ui.collecting.is_none() {
            return said;
        }
        let light = ui.light();
        let parts = std::iter::once(format!("{} {}", light.sign(), light.words))
            .chain(light.next.clone())
            .chain(light.fix.clone());
        Line::toned(parts.collect::<Vec<_>>().join("   "), light_tone(&light)).with("   ", Tone::Plain).and(said)
    }

    fn body(&self, ui: &Ui, area: Area) -> Vec<BodyLine> {
        let (head, lines) = lines(ui, area.width);
        let height = area.height.saturating_sub(1);
        let first = first_visible(ui.stop().row, lines.len(), height);
        let head = BodyLine::of(Line::new("  ").and(head));
        let rows = lines.into_iter().enumerate().skip(first).take(height);
        std::iter::once(head).chain(rows.map(|(row, line)| BodyLine::row(row, line))).collect()
    }

    fn n_rows(&self, ui: &Ui) -> usize {
        lines(ui, usize::from(ui.width)).1.len()
    }

    fn keys(&self) -> &'static [Action] {
        &[Action::Back, Action::Filter, Action::Command, Action::Export, Action::Reload, Action::Quit]
    }

    fn act(&self, ui: &mut Ui, action: Action) -> Option<Step> {
        (action == Action::Open).then(|| {
            ui.notice = Some("a report has nothing to open; y copies the command, e exports it".to_owned());
            Step::Stay
        })
    }

    fn copies(&self, ui: &Ui) -> Vec<(char, String, String)> {
        let mut copies = Vec::new();
        if let Subject::Words(words) = &ui.stop().subject {
            copies.push(('s', "command".to_owned(), format!("stepscope {}", words.join(" "))));
        }
        if let Some(line) = lines(ui, 4_000).1.get(ui.stop().row) {
            copies.push(('l', "line".to_owned(), line.text().trim().to_owned()));
        }
        copies
    }

    fn table(&self, ui: &Ui) -> Table {
        page(ui).map_or_else(Table::default, |it| it.table(&ui.stop().filter))
    }
}

/// A line in a dim tone.
pub(super) fn dim(text: impl Into<String>) -> BodyLine {
    BodyLine::of(Line::toned(text, Tone::Dim))
}
