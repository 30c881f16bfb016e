//! Where did the time of this run go?

use analyzer::execution::Run;
use analyzer::model::{Event, Micros, PayloadField, Timestamp};
use analyzer::timeline::{Category, Visit};

use super::super::data::{Content, OpenedRun};
use super::super::keys::Action;
use super::super::line::{Line, Tone, wrapped};
use super::super::screen::{Stop, Subject, View};
use super::super::table::{Table, Value, number, words};
use super::super::ui::Ui;
use super::super::view::{Area, BodyLine, Scroll, first_visible, rule};
use super::{Panel, Step, execution_copies, money};
use crate::gantt::{self, Cell, Row, Scale};
use crate::text;

pub(super) struct Timeline;

/// Lines below the chart: what is known of the visit under the cursor.
const DETAIL: usize = 6;
/// Lines of an opened visit, at most: inputs may be huge.
const OPENED: usize = 5_000;
/// The shortest window that can be zoomed to.
const SHORTEST: i64 = 20;

fn opened(ui: &Ui) -> Option<&OpenedRun> {
    match &ui.stop().content {
        Some(Content::Run(it)) => Some(it),
        _ => None,
    }
}

fn selected<'a>(ui: &Ui, run: &'a Run) -> Option<(usize, &'a Visit)> {
    let id = ui.stop().layout.as_ref()?.visit(ui.stop().row)?;
    run.timeline.visits.iter().enumerate().find(|it| it.1.id == id)
}

/// All of the run, or the part that is zoomed to.
fn scale(ui: &Ui, run: &Run, width: usize) -> Scale {
    let whole = Scale::whole(run, Some(ui.now), width);
    match ui.stop().window {
        Some((from, to)) => Scale { from, to, ..whole },
        None => whole,
    }
}

impl Panel for Timeline {
    fn about(&self) -> &'static [&'static str] {
        &[
            "Where did the time of this run go? One line a visit; below, what is known of the one under the cursor.",
            "The first line is the critical path: what decided when the run ended, from its start to its end.",
            "A long Map shows the items on the path and the longest; the ⋮ line has all items, as high as long.",
            "enter opens the visit: its events, inputs and outputs where they are kept, or the run that it started.",
        ]
    }

    fn answer(&self, ui: &Ui) -> Line {
        let Some(it) = opened(ui) else { return Line::default() };
        let execution = &it.run.execution;
        let mut line = Line::toned(
            format!("{} {}", gantt::mark_of_status(execution.status), execution.status.as_str()),
            super::toned_status(execution.status),
        );
        let age = execution.active().or_else(|| execution.started_at.map(|at| (ui.now - at).max(Micros::ZERO)));
        line.push(format!("   {}", text::opt_span(age)), Tone::Strong);
        line.push(
            format!("   {} transitions   {}", text::count(execution.transitions.billed().0), money(it.usd)),
            Tone::Plain,
        );
        if let Some(version) = execution.version_arn.as_deref().and_then(|it| it.rsplit(':').next()) {
            line.push(format!("   v{version}"), Tone::Plain);
        }
        if let Some(error) = &execution.error {
            line.push(format!("   {error}"), Tone::Bad);
        }
        let gap = execution.gaps.iter().find(|it| it.incomplete).or_else(|| execution.gaps.first());
        match gap {
            Some(gap) if gap.incomplete => line.push(format!("   partly known: {}", gap.text), Tone::Warn),
            Some(gap) => line.push(format!("   {}", gap.text), Tone::Warn),
            None if execution.status.is_closed() => line.push("   complete", Tone::Dim),
            None => line.push("   so far", Tone::Dim),
        }
        if let Some(at) = execution.started_at {
            line.push(format!("   {} UTC", analyzer::time::short(at)), Tone::Dim);
        }
        line
    }

    fn body(&self, ui: &Ui, area: Area) -> Vec<BodyLine> {
        let (Some(it), Some(layout)) = (opened(ui), ui.stop().layout.as_ref()) else { return Vec::new() };
        let (label, bar, note) = gantt::widths_with_notes(area.width.saturating_sub(2));
        let scale = scale(ui, &it.run, bar);
        let mut lines = vec![
            BodyLine::of(Line::new(" ".repeat(label + 3)).with(scale.axis(), Tone::Dim)),
            BodyLine::of(path_line(&it.run, label, &scale)),
        ];
        let detail = if area.height > DETAIL + 8 { DETAIL } else { 2 };
        let room = area.height.saturating_sub(lines.len() + detail + 1);
        let first = first_visible(ui.stop().row, layout.len(), room);
        let traced = if ui.stop().has_traces { it.traced() } else { None };
        let rows = layout.draw(&it.run, traced, first..first + room, &scale);
        let n_rows = rows.len();
        lines.extend(
            rows.into_iter().enumerate().map(|(index, row)| BodyLine::row(first + index, row_line(&row, label, note))),
        );
        lines.extend((n_rows..room).map(|_| BodyLine::default()));
        lines.push(rule(area.width));
        let known = selected(ui, &it.run)
            .map(|(index, visit)| about_visit(&it.run, index, visit, (area.width.saturating_sub(2), detail)))
            .unwrap_or_default();
        lines.extend(known.into_iter().map(|it| BodyLine::of(Line::new(" ").and(it))));
        lines
    }

    fn n_rows(&self, ui: &Ui) -> usize {
        ui.stop().layout.as_ref().map_or(0, gantt::Layout::len)
    }

    fn keys(&self) -> &'static [Action] {
        use Action::{Back, Copy, Export, Fold, Open, Quit, Traces, Twin, ZoomIn, ZoomOut};
        &[Open, Fold, ZoomIn, ZoomOut, Traces, Twin, Copy, Export, Back, Quit]
    }

    fn act(&self, ui: &mut Ui, action: Action) -> Option<Step> {
        match action {
            Action::Open => Some(open(ui)),
            Action::Fold => Some(fold(ui)),
            Action::ZoomIn => Some(zoom(ui, 1, 2)),
            Action::ZoomOut => Some(zoom(ui, 2, 1)),
            Action::Fit => {
                ui.stop_mut().window = None;
                Some(Step::Stay)
            }
            Action::Left if ui.stop().window.is_some() => Some(pan(ui, -1)),
            Action::Right => Some(if ui.stop().window.is_some() { pan(ui, 1) } else { open(ui) }),
            Action::Parent => Some(go_to_parent(ui)),
            Action::Traces => Some(turn_traces(ui)),
            Action::Twin => {
                let arn = opened(ui)?.run.execution.arn.to_string();
                let machine = ui.stop().machine.clone();
                Some(Step::Go(Box::new(Stop::new(View::Twins, machine, Subject::Pair(arn, None)))))
            }
            _ => None,
        }
    }

    fn key(&self, ui: &Ui, row: usize) -> Option<String> {
        // A running execution grows: the cursor stays on its visit.
        ui.stop().layout.as_ref()?.visit(row).map(|it| it.to_string())
    }

    fn copies(&self, ui: &Ui) -> Vec<(char, String, String)> {
        let Some(it) = opened(ui) else { return Vec::new() };
        let mut copies = execution_copies(&it.run.execution.arn);
        let attempt = selected(ui, &it.run).and_then(|it| it.1.attempts.last());
        if let Some(resource) = attempt.and_then(|it| it.resource.as_deref()) {
            copies.push(('r', "resource".to_owned(), resource.to_owned()));
        }
        if let Some((_, child)) = child_of(ui, &it.run) {
            copies.push(('c', "ARN of the execution it started".to_owned(), child));
        }
        copies
    }

    fn table(&self, ui: &Ui) -> Table {
        let mut table = Table::new(vec![
            words("state", 40),
            words("type", 8),
            words("status", 10),
            words("entered (UTC)", 24),
            number("duration ms"),
            number("attempts"),
            number("on the critical path ms"),
            words("error", 60),
        ]);
        let Some(it) = opened(ui) else { return table };
        for (index, visit) in it.run.timeline.visits.iter().enumerate() {
            table.rows.push(vec![
                Value::text(&*visit.state),
                Value::text(visit.kind.as_str()),
                Value::text(visit.status.as_str()),
                Value::text(analyzer::time::format(visit.entered_at)),
                Value::text(visit.duration().map_or_else(String::new, |it| it.as_millis().to_string())),
                Value::text(visit.attempts.len().to_string()),
                Value::text(on_path(&it.run, index).as_millis().to_string()),
                Value::text(visit.error.as_deref().unwrap_or("")),
            ]);
        }
        table
    }

    fn detail(&self, ui: &Ui) -> Option<Scroll> {
        let it = opened(ui)?;
        let (index, visit) = selected(ui, &it.run)?;
        let width = usize::from(ui.width).saturating_sub(8).max(20);
        let room = usize::from(ui.height).saturating_sub(4).max(1);
        Some(Scroll { title: visit.state.to_string(), lines: visit_lines(it, index, width), width, room })
    }
}

pub(super) fn row_line(row: &Row, label_width: usize, note_width: usize) -> Line {
    let label = text::cut(&row.label, label_width.saturating_sub(2));
    let mut line = Line::toned(label, if row.is_bad { Tone::Bad } else { Tone::Plain });
    line.pad(label_width.saturating_sub(2));
    line.push(if row.is_critical { " ●" } else { "  " }, Tone::Strong);
    line.push(" ", Tone::Plain);
    line.push_cells(&row.cells);
    line.push(format!(" {:>9}", row.span), Tone::Strong);
    if note_width > 0 {
        line.push(format!("  {}", text::cut(&row.note, note_width.saturating_sub(2))), Tone::Dim);
    }
    line
}

/// The critical path in one line: what it consists of, from the start to the end.
pub(super) fn path_line(run: &Run, label_width: usize, scale: &Scale) -> Line {
    let mut cells = vec![Cell::Empty; scale.width];
    for step in &run.path {
        scale.paint(&mut cells, step.from, step.to, Cell::Time { category: step.category, is_critical: false });
    }
    let mut line = Line::toned("  critical path", Tone::Strong);
    line.pad(label_width + 3);
    line.push_cells(&cells);
    line
}

fn on_path(run: &Run, index: usize) -> Micros {
    run.path.iter().filter(|it| it.owner == Some(index)).map(analyzer::critical_path::Step::span).sum()
}

// ---- moving ---------------------------------------------------------------------------------------------------------

fn child_of(ui: &Ui, run: &Run) -> Option<(bool, String)> {
    let (index, _) = selected(ui, run)?;
    let own = |events: &[(u64, analyzer::model::Name)]| {
        events.iter().find(|it| run.visit_of_event(it.0) == Some(index)).map(|it| it.1.to_string())
    };
    own(&run.execution.children).map(|it| (false, it)).or_else(|| own(&run.execution.map_runs).map(|it| (true, it)))
}

/// Opens what a visit started, or the visit itself.
fn open(ui: &mut Ui) -> Step {
    let Some(it) = opened(ui) else { return Step::Stay };
    match child_of(ui, &it.run) {
        Some((true, map_run)) => Step::Go(Box::new(Stop::new(View::Executions, None, Subject::MapRun(map_run)))),
        Some((false, child)) => Step::Go(Box::new(Stop::new(View::Timeline, None, Subject::Execution(child)))),
        None => {
            ui.stop_mut().detail = Some(0);
            Step::Stay
        }
    }
}

fn fold(ui: &mut Ui) -> Step {
    let visit =
        opened(ui).and_then(|it| selected(ui, &it.run)).map(|it| (it.1.id, it.1.parent, it.1.kind.is_container()));
    let Some((id, parent, is_container)) = visit else { return Step::Stay };
    // On a state inside a container, the container is meant.
    let of = if is_container { Some(id) } else { parent };
    let Some(of) = of else { return Step::Stay };
    let n_items = ui.stop().layout.as_ref().map_or(0, |it| it.n_items(of));
    ui.stop_mut().folds.turn(of, n_items);
    Step::LayOut
}

fn zoom(ui: &mut Ui, numerator: i64, denominator: i64) -> Step {
    let Some(it) = opened(ui) else { return Step::Stay };
    let scale = scale(ui, &it.run, 100);
    let whole = Scale::whole(&it.run, Some(ui.now), 100);
    let span = ((scale.to - scale.from).0 * numerator / denominator).max(SHORTEST);
    // What is under the cursor comes to the middle.
    let middle = selected(ui, &it.run).map_or(Timestamp(i64::midpoint(scale.from.0, scale.to.0)), |(_, visit)| {
        let end = visit.exited_at.unwrap_or(scale.to);
        Timestamp(i64::midpoint(visit.entered_at.0.max(scale.from.0), end.0.min(scale.to.0).max(visit.entered_at.0)))
    });
    let window = if span >= (whole.to - whole.from).0 { None } else { Some(within(whole, middle.0 - span / 2, span)) };
    ui.stop_mut().window = window;
    Step::Stay
}

fn within(whole: Scale, from: i64, span: i64) -> (Timestamp, Timestamp) {
    let from = from.clamp(whole.from.0, (whole.to.0 - span).max(whole.from.0));
    (Timestamp(from), Timestamp(from + span))
}

fn pan(ui: &mut Ui, step: i64) -> Step {
    let (Some(it), Some((from, to))) = (opened(ui), ui.stop().window) else { return Step::Stay };
    let whole = Scale::whole(&it.run, Some(ui.now), 100);
    let span = (to - from).0;
    let window = within(whole, from.0 + step * (span / 8).max(1), span);
    ui.stop_mut().window = Some(window);
    Step::Stay
}

fn go_to_parent(ui: &mut Ui) -> Step {
    let Some(parent) = opened(ui).and_then(|it| it.parent.clone()) else {
        ui.notice = Some("no execution is known that started this one".to_owned());
        return Step::Stay;
    };
    Step::Go(Box::new(Stop::new(View::Timeline, None, Subject::Execution(parent))))
}

fn turn_traces(ui: &mut Ui) -> Step {
    if opened(ui).is_some_and(|it| it.traced.is_none()) {
        ui.notice = Some("no X-Ray trace of this execution is stored".to_owned());
        return Step::Stay;
    }
    ui.stop_mut().has_traces ^= true;
    Step::LayOut
}

// ---- what is known of a visit ---------------------------------------------------------------------------------------

/// What is known of one visit in a few lines: its split, and its last attempts.
fn about_visit(run: &Run, index: usize, visit: &Visit, (width, room): (usize, usize)) -> Vec<Line> {
    let total = visit.split.total();
    let mut first = Line::toned(&*visit.state, Tone::Strong);
    first.push(format!("  {}  {}", visit.kind.as_str(), visit.status.as_str()), Tone::Plain);
    if let Some(error) = visit.error.as_deref() {
        first.push(format!("  {error}"), Tone::Bad);
    }
    let critical = on_path(run, index);
    first.push(
        format!("   on the critical path {}", text::span(critical)),
        if critical > Micros::ZERO { Tone::Strong } else { Tone::Dim },
    );
    let mut parts: Vec<Line> = Vec::new();
    for category in Category::ALL {
        let span = visit.split[category];
        if span > Micros::ZERO {
            let share = text::percent(span.0.unsigned_abs(), total.0.unsigned_abs());
            let glyph = Line::toned(gantt::glyph(category).to_string(), Tone::Time(category, false));
            parts.push(glyph.with(format!(" {} {} ({share})", category.as_str(), text::span(span)), Tone::Plain));
        }
    }
    parts.extend(visit.cold_start().map(|cold| Line::new(format!("▓ cold start {}", text::span(cold)))));
    let mut lines = vec![first, Line::default()];
    for part in parts {
        let last = lines.len() - 1;
        if lines[last].width() > 0 && lines[last].width() + 3 + part.width() > width {
            lines.push(part);
        } else {
            let gap = if lines[last].is_empty() { "" } else { "   " };
            lines[last].push(gap, Tone::Plain);
            lines[last].extend(part);
        }
    }
    let shown = room.saturating_sub(lines.len());
    let hidden = visit.attempts.len().saturating_sub(shown);
    for (number, attempt) in (1..).zip(&visit.attempts).skip(hidden) {
        let end = attempt.ended_at.map_or_else(|| "…".to_owned(), analyzer::time::clock);
        let mut line = Line::new(format!(
            "  #{number} {:9} {} → {end}",
            attempt.status.as_str(),
            attempt.scheduled_at.or(attempt.started_at).map_or_else(|| "…".to_owned(), analyzer::time::clock)
        ));
        line.push(
            format!("   {}", attempt.resource.as_deref().map_or_else(String::new, gantt::short_resource)),
            Tone::Dim,
        );
        if let Some(redrive) = attempt.redrive {
            line.push(format!("  redrive {redrive}"), Tone::Dim);
        }
        if let Some(error) = attempt.error.as_deref() {
            line.push(format!("  {error}"), Tone::Bad);
        }
        lines.push(line);
    }
    lines
}

/// Everything that is known of one visit.
fn visit_lines(it: &OpenedRun, index: usize, width: usize) -> Vec<Line> {
    let run = &it.run;
    let visit = &run.timeline.visits[index];
    let mut lines = about_visit(run, index, visit, (width, usize::MAX));
    if let Some((trace, joined)) = &it.traced {
        let calls = joined.calls.range((index, 0)..=(index, usize::MAX)).flat_map(|it| it.1);
        for (depth, span) in calls.flat_map(|&call| trace.tree(call)) {
            let took = text::opt_span(span.ended_at.map(|it| it - span.started_at));
            let operation = span.operation.as_deref().map_or_else(String::new, |it| format!(" {it}"));
            let what =
                format!("  {}↳ {}{operation}   {took}   {}", "  ".repeat(depth), span.name, span.outcome.as_str());
            lines.push(Line::toned(what, Tone::Dim));
        }
    }
    lines.push(Line::default());
    let own = run.events.iter().filter(|it| it.id == visit.id || run.visit_of_event(it.id) == Some(index));
    let mut has_payload = false;
    for event in own {
        lines.push(event_line(event));
        for field in PayloadField::ALL {
            let Some(body) = event.payload(field) else { continue };
            has_payload = true;
            lines.push(Line::toned(format!("    {}", field.as_str()), Tone::Accent));
            lines.extend(pretty(body, width.saturating_sub(6)).into_iter().map(|it| Line::new(format!("      {it}"))));
        }
        if lines.len() > OPENED {
            lines.truncate(OPENED);
            lines.push(Line::toned("… and more: `stepscope sql` reads all of it", Tone::Dim));
            return lines;
        }
    }
    if !has_payload {
        lines.push(Line::default());
        lines.push(Line::toned("No input or output of it is kept.", Tone::Dim));
    }
    lines
}

fn event_line(event: &Event) -> Line {
    let mut line = Line::toned(format!("{:>6} ", event.id), Tone::Dim);
    line.push(format!("{} ", analyzer::time::clock(event.at)), Tone::Dim);
    line.push(event.kind.as_str().to_owned(), Tone::Plain);
    if let Some(error) = event.detail.as_ref().and_then(|it| it.error.as_deref()) {
        line.push(format!("  {error}"), Tone::Bad);
    }
    line
}

/// JSON over several lines, any other text wrapped.
fn pretty(body: &str, width: usize) -> Vec<String> {
    let text = serde_json::from_str::<serde_json::Value>(body)
        .and_then(|it| serde_json::to_string_pretty(&it))
        .unwrap_or_else(|_| body.to_owned());
    // What a terminal would obey is not shown.
    let clean = |line: &str| line.chars().map(|it| if it.is_control() { ' ' } else { it }).collect::<String>();
    text.lines().take(OPENED).flat_map(|it| broken(&clean(it), width)).collect()
}

/// A line that is too long, in pieces; what was indented stays so.
fn broken(line: &str, width: usize) -> Vec<String> {
    use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};
    if line.width() <= width {
        return vec![line.to_owned()];
    }
    if line.contains(' ') && !line.trim_start().starts_with(['"', '{', '[']) {
        return wrapped(line, width);
    }
    let mut pieces = vec![String::new()];
    let mut used = 0;
    for it in line.chars() {
        let own = it.width().unwrap_or(0);
        if used + own > width.max(10) {
            pieces.push(String::new());
            used = 0;
        }
        used += own;
        if let Some(last) = pieces.last_mut() {
            last.push(it);
        }
    }
    pieces
}
