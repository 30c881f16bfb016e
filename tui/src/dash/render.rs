//! Layout and styles only.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as Text, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::view::{LINES_BELOW, Line, Vm};
use crate::gantt::Cell;
use analyzer::timeline::Category;

/// Draws a frame.
pub fn render(frame: &mut Frame<'_>, vm: &Vm) {
    let detail = u16::try_from(vm.detail.len().min(LINES_BELOW)).unwrap_or(0);
    let [title, answer, head, list, separator, below, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(u16::from(detail > 0)),
        Constraint::Length(detail),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(vm.title.as_str()).style(Modifier::BOLD), title);
    let trouble = if vm.is_trouble { Style::new().fg(Color::Red).add_modifier(Modifier::BOLD) } else { Style::new() };
    frame.render_widget(Paragraph::new(vm.answer.as_str()).style(trouble), answer);
    frame.render_widget(Paragraph::new(format!("  {}", vm.head)).style(Style::new().fg(Color::DarkGray)), head);
    let lines: Vec<Text<'_>> =
        vm.lines.iter().enumerate().map(|(index, it)| line(it, vm.cursor == Some(index))).collect();
    frame.render_widget(Paragraph::new(lines), list);
    frame.render_widget(
        Paragraph::new("─".repeat(usize::from(separator.width))).style(Style::new().fg(Color::DarkGray)),
        separator,
    );
    frame.render_widget(Paragraph::new(vm.detail.iter().map(|it| Text::from(it.as_str())).collect::<Vec<_>>()), below);
    frame.render_widget(Paragraph::new(vm.keys.as_str()).style(Style::new().fg(Color::DarkGray)), keys);
    if let Some(help) = &vm.help {
        overlay(frame, help);
    }
}

fn line(line: &Line, is_under_cursor: bool) -> Text<'_> {
    let mut style = Style::new();
    if line.is_bad {
        style = style.fg(Color::Red);
    }
    if is_under_cursor {
        style = style.add_modifier(Modifier::REVERSED);
    }
    let mut spans =
        vec![Span::raw(if is_under_cursor { "▸ " } else { "  " }), Span::styled(line.label.as_str(), style)];
    spans.extend(line.cells.iter().map(|it| cell(*it)));
    spans.push(Span::raw(line.rest.as_str()));
    Text::from(spans)
}

fn cell(cell: Cell) -> Span<'static> {
    let colour = match cell {
        Cell::Empty => Color::Reset,
        Cell::Failure => Color::Red,
        Cell::Inside { .. } => Color::DarkGray,
        Cell::Below => Color::Gray,
        Cell::Time { category, .. } => match category {
            Category::Work => Color::Green,
            Category::Queue => Color::Yellow,
            Category::Backoff => Color::Red,
            Category::Callback => Color::Cyan,
            Category::Wait => Color::Blue,
            Category::SlotWait => Color::Magenta,
            Category::Overhead | Category::RedriveIdle => Color::DarkGray,
        },
    };
    let mut style = Style::new().fg(colour);
    if cell.is_critical() {
        style = style.add_modifier(Modifier::UNDERLINED | Modifier::BOLD);
    }
    Span::styled(cell.glyph().to_string(), style)
}

fn overlay(frame: &mut Frame<'_>, lines: &[&'static str]) {
    let area = frame.area();
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(area.height);
    let width = 84.min(area.width);
    let place = Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
    frame.render_widget(Clear, place);
    let text: Vec<Text<'_>> = lines.iter().map(|it| Text::from(*it)).collect();
    frame.render_widget(Paragraph::new(text).block(Block::bordered().title(" help ")), place);
}
