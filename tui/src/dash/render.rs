//! Layout and styles only.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::symbols::border;
use ratatui::text::{Line as Text, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::line::{Line, Piece, Tone};
use super::theme::{Theme, to_ascii};
use super::view::{Overlay, Vm};
use crate::safe::plain;

/// Draws a frame.
pub fn render(frame: &mut Frame<'_>, vm: &Vm) {
    let [title, tabs, answer, body, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(u16::try_from(vm.answer.len()).unwrap_or(1)),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let look = Look { theme: vm.theme, is_ascii: vm.is_ascii };
    for (area, line) in [(title, &vm.title), (tabs, &vm.tabs), (keys, &vm.keys)] {
        frame.render_widget(look.line(line), area);
    }
    for (area, lines) in [(answer, &vm.answer), (body, &vm.body)] {
        let lines: Vec<Text<'_>> = lines.iter().map(|it| look.line(it)).collect();
        frame.render_widget(Paragraph::new(lines), area);
    }
    if let Some(overlay) = &vm.overlay {
        look.overlay(frame, overlay);
    }
}

struct Look {
    theme: Theme,
    is_ascii: bool,
}

impl Look {
    fn line<'a>(&self, line: &'a Line) -> Text<'a> {
        Text::from(line.pieces.iter().map(|it| self.piece(it, line.is_selected)).collect::<Vec<_>>())
    }

    fn piece<'a>(&self, piece: &'a Piece, is_selected: bool) -> Span<'a> {
        let mut style = self.theme.style(piece.tone);
        let is_bar = matches!(piece.tone, Tone::Time(..) | Tone::Inside(_));
        if is_selected && !is_bar {
            style = style.add_modifier(Modifier::REVERSED);
        }
        if self.is_ascii {
            Span::styled(to_ascii(&piece.text), style)
        } else {
            Span::styled(piece.text.as_str(), style)
        }
    }

    fn overlay(&self, frame: &mut Frame<'_>, overlay: &Overlay) {
        let place = Rect { x: overlay.place.0, y: overlay.place.1, width: overlay.size.0, height: overlay.size.1 };
        let place = place.intersection(frame.area());
        frame.render_widget(Clear, place);
        let text: Vec<Text<'_>> = overlay.lines.iter().map(|it| self.line(it)).collect();
        let title = plain(&overlay.title);
        let mut block = Block::bordered().title(if self.is_ascii { to_ascii(&title) } else { title });
        if self.is_ascii {
            block = block.border_set(ASCII);
        }
        block = block.border_style(self.theme.style(Tone::Dim)).style(Style::new());
        let inner = block.inner(place);
        frame.render_widget(block, place);
        let [_, inner, _] =
            Layout::horizontal([Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)]).areas(inner);
        frame.render_widget(Paragraph::new(text), inner);
    }
}

const ASCII: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};
