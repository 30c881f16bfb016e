//! Two executions, one below the other, from their starts and on the same scale: where does one take longer?

use analyzer::execution::Run;
use analyzer::model::Micros;
use analyzer::twins::differences;

use super::super::data::{Content, OpenedRun};
use super::super::keys::Action;
use super::super::line::{Line, Tone};
use super::super::screen::{Stop, Subject, View};
use super::super::table::{Table, Value, number, words};
use super::super::ui::Ui;
use super::super::view::{Area, BodyLine, first_visible, rule};
use super::timeline::{path_line, row_line};
use super::{Panel, Step, execution_copies};
use crate::gantt::{self, Folds, Layout, Scale};
use crate::text;

pub(super) struct Twins;

fn pair(ui: &Ui) -> Option<&(OpenedRun, OpenedRun)> {
    match &ui.stop().content {
        Some(Content::Twins(it)) => Some(it),
        _ => None,
    }
}

fn whole(run: &Run) -> Micros {
    gantt::ended(run) - gantt::began(run)
}

impl Panel for Twins {
    fn about(&self) -> &'static [&'static str] {
        &[
            "Two executions from their starts, on the same scale. Below, where their critical paths differ:",
            "the differences of all parts add up to the difference of the two. enter opens the first of them.",
        ]
    }

    fn answer(&self, ui: &Ui) -> Line {
        let Some((a, b)) = pair(ui) else { return Line::default() };
        let (of_a, of_b) = (whole(&a.run), whole(&b.run));
        let mut line = Line::new(format!(
            "{} took {}, {} took {}",
            a.run.execution.name,
            text::span(of_a),
            b.run.execution.name,
            text::span(of_b)
        ));
        if let Some(part) = differences(&a.run, &b.run).into_iter().next() {
            let state = part.state.as_deref().unwrap_or("the execution itself").to_owned();
            line.push(
                format!(
                    "   most of the difference: {state}, {} {}",
                    part.category.as_str(),
                    text::signed_span(part.difference())
                ),
                Tone::Strong,
            );
        }
        line
    }

    fn body(&self, ui: &Ui, area: Area) -> Vec<BodyLine> {
        let Some((a, b)) = pair(ui) else { return Vec::new() };
        let table = self.table(ui);
        let n_below = table.rows.len().min((area.height / 4).max(2));
        let room = area.height.saturating_sub(n_below + 2);
        let longest = whole(&a.run).max(whole(&b.run));
        let mut lines = chart(a, longest, area.width, room / 2);
        lines.extend(chart(b, longest, area.width, room - room / 2));
        lines.push(rule(area.width));
        let first = first_visible(ui.stop().row, table.rows.len(), n_below);
        let (head, rows) = table.lines(area.width.saturating_sub(2), first..first + n_below);
        lines.push(BodyLine::of(Line::new("  ").and(head)));
        lines.extend(rows.into_iter().enumerate().map(|(index, it)| BodyLine::row(first + index, it)));
        lines
    }

    fn n_rows(&self, ui: &Ui) -> usize {
        pair(ui).map_or(0, |(a, b)| differences(&a.run, &b.run).len())
    }

    fn keys(&self) -> &'static [Action] {
        &[Action::Open, Action::Copy, Action::Export, Action::Back, Action::Quit]
    }

    fn act(&self, ui: &mut Ui, action: Action) -> Option<Step> {
        let arn = pair(ui)?.0.run.execution.arn.to_string();
        let machine = ui.stop().machine.clone();
        matches!(action, Action::Open | Action::Right)
            .then(|| Step::Go(Box::new(Stop::new(View::Timeline, machine, Subject::Execution(arn)))))
    }

    fn copies(&self, ui: &Ui) -> Vec<(char, String, String)> {
        let Some((a, b)) = pair(ui) else { return Vec::new() };
        let mut copies = execution_copies(&a.run.execution.arn);
        copies.push(('b', "ARN of the second".to_owned(), b.run.execution.arn.to_string()));
        copies
    }

    fn table(&self, ui: &Ui) -> Table {
        let mut table = Table::new(vec![
            words("on the critical path", 34),
            words("what", 12),
            number("first"),
            number("second"),
            number("difference"),
        ]);
        let Some((a, b)) = pair(ui) else { return table };
        for part in differences(&a.run, &b.run) {
            let tone = if part.first > part.second { Tone::Bad } else { Tone::Good };
            table.rows.push(vec![
                Value::text(part.state.as_deref().unwrap_or("the execution itself")),
                Value::text(format!("{} {}", gantt::glyph(part.category), part.category.as_str())),
                Value::text(text::span(part.first)),
                Value::text(text::span(part.second)),
                Value::text(text::signed_span(part.difference())).toned(tone),
            ]);
        }
        table
    }
}

/// One of the two in so many lines: its name, the axis, its path, and as many visits as there is room for.
fn chart(it: &OpenedRun, longest: Micros, width: usize, room: usize) -> Vec<BodyLine> {
    let (label, bar, note) = gantt::widths_with_notes(width.saturating_sub(2));
    let began = gantt::began(&it.run);
    let scale = Scale { origin: began, from: began, to: began + longest, width: bar };
    let layout = Layout::of(&it.run, None, &Folds::long_maps());
    let execution = &it.run.execution;
    let mut head = Line::toned(
        format!(" {} {}", gantt::mark_of_status(execution.status), text::cut(&execution.name, label)),
        super::toned_status(execution.status),
    );
    head.pad(label + 3);
    head.push(scale.axis(), Tone::Dim);
    let mut lines = vec![BodyLine::of(head), BodyLine::of(path_line(&it.run, label, &scale))];
    let n_rows = room.saturating_sub(lines.len());
    let rows = layout.draw(&it.run, None, 0..n_rows, &scale);
    lines.extend(rows.into_iter().map(|row| BodyLine::of(Line::new("  ").and(row_line(&row, label, note)))));
    if layout.len() > n_rows && n_rows > 0 {
        lines.pop();
        lines.push(BodyLine::of(Line::toned(format!("    ⋮ {} more lines", layout.len() - n_rows + 1), Tone::Dim)));
    }
    lines.resize_with(room, BodyLine::default);
    lines
}
