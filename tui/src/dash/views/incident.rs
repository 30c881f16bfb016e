//! What changed, where, since when, how sure? Two ranges are chosen on a chart, with the keyboard or the mouse.

use analyzer::model::{Micros, Timestamp};

use super::super::charts::{columns, sparkline};
use super::super::data::{CauseItem, Compared, Content, SeriesItem, Span};
use super::super::keys::Action;
use super::super::line::{Line, Tone, wrapped};
use super::super::screen::Stop;
use super::super::table::{Table, Value, number, words};
use super::super::ui::Ui;
use super::super::view::{Area, BodyLine, first_visible, rule};
use super::{Panel, Step};
use crate::text;

pub(super) struct Incident;

/// Columns left of the chart.
const LABEL: usize = 11;

fn incident(ui: &Ui) -> Option<&super::super::data::Incident> {
    match &ui.stop().content {
        Some(Content::Incident(it)) => Some(it),
        _ => None,
    }
}

/// The comparison of the ranges that are marked; none while they are being chosen.
fn compared(ui: &Ui) -> Option<&Compared> {
    let (baseline, incident_range) = ranges(ui);
    let it = incident(ui)?;
    let is_of_these = it.ranges.is_some() && it.ranges == baseline.zip(incident_range);
    it.compared.as_ref().filter(|_| is_of_these)
}

fn causes(ui: &Ui) -> &[CauseItem] {
    compared(ui).map_or(&[], |it| &it.causes)
}

/// The two ranges: as chosen, or else as proposed.
fn ranges(ui: &Ui) -> (Option<Span>, Option<Span>) {
    let stop = ui.stop();
    let proposed = incident(ui).and_then(|it| it.ranges);
    let is_chosen = stop.baseline.is_some() || stop.incident.is_some();
    let proposed = proposed.filter(|_| !is_chosen);
    (stop.baseline.or(proposed.map(|it| it.0)), stop.incident.or(proposed.map(|it| it.1)))
}

/// What the columns of the chart stand for.
struct Grid {
    first: Timestamp,
    /// Microseconds of a column.
    step: i64,
    n: usize,
}

impl Grid {
    fn of(ui: &Ui, width: usize) -> Option<Self> {
        let it = incident(ui)?;
        let (first, last) = (it.series.first()?.from, it.series.last()?.from);
        let span = it.span.0.max(1);
        let n_spans = usize::try_from((last - first).0 / span + 1).unwrap_or(1);
        let room = width.saturating_sub(LABEL + 3).max(8);
        let per_column = i64::try_from(n_spans.div_ceil(room)).unwrap_or(1);
        let n = n_spans.div_ceil(usize::try_from(per_column).unwrap_or(1));
        Some(Self { first, step: span * per_column, n })
    }

    fn column(&self, at: Timestamp) -> usize {
        usize::try_from((at - self.first).0.div_euclid(self.step)).unwrap_or(0).min(self.n - 1)
    }

    fn from(&self, column: usize) -> Timestamp {
        self.first + Micros(self.step * i64::try_from(column).unwrap_or(0))
    }

    /// The span of some columns, both included.
    fn span(&self, a: usize, b: usize) -> Span {
        (self.from(a.min(b)), self.from(a.max(b) + 1))
    }

    fn folded(&self, series: &[SeriesItem]) -> Vec<Vec<SeriesItem>> {
        let mut columns = vec![Vec::new(); self.n];
        for it in series {
            columns[self.column(it.from)].push(*it);
        }
        columns
    }
}

fn cursor(ui: &Ui, grid: &Grid) -> usize {
    ui.stop().column.min(grid.n - 1)
}

impl Panel for Incident {
    fn about(&self) -> &'static [&'static str] {
        &[
            "What changed, where, since when, how sure? The detector proposes two ranges: b is the baseline, i the incident.",
            "With a range of time, the chart begins a day earlier: what is slow all the time shows against that.",
            "← → move along the chart; B begins and ends the baseline, I the incident; dragging draws the incident.",
            "v is a deployment: a mark, a version, a definition. { and } turn to other changes that were found. The contributions and the rest add up to the difference.",
            "enter opens an example of the cause, x puts it beside a typical run; a also lists what is not significant.",
        ]
    }

    fn answer(&self, ui: &Ui) -> Line {
        let Some(it) = incident(ui) else { return Line::default() };
        if let Some((is_baseline, _)) = ui.stop().begun {
            let what = if is_baseline { "B ends the baseline" } else { "I ends the incident" };
            return Line::toned(format!("← → to the other end, then {what}; esc gives it up"), Tone::Accent);
        }
        let is_chosen = ui.stop().baseline.is_some() || ui.stop().incident.is_some();
        match (compared(ui), &it.why_not) {
            (Some(compared), _) => Line::toned(compared.answer.clone(), Tone::Strong),
            (None, _) if is_chosen && ui.stop().awaited.is_some() => Line::toned("comparing …", Tone::Dim),
            (None, _) if is_chosen && ui.stop().baseline.is_none() => {
                Line::toned("B marks a baseline: what is it compared with?", Tone::Accent)
            }
            (None, Some(why)) => Line::toned(why.clone(), Tone::Good),
            (None, None) => Line::toned("B marks a baseline and I an incident: what changed between them?", Tone::Dim),
        }
    }

    fn body(&self, ui: &Ui, area: Area) -> Vec<BodyLine> {
        let (Some(it), Some(grid)) = (incident(ui), Grid::of(ui, area.width)) else {
            return vec![BodyLine::of(Line::toned(" no closed execution in this range", Tone::Dim))];
        };
        let height = chart_height(area);
        let mut lines = chart(ui, it, &grid, height);
        lines.push(rule(area.width));
        let table = table(causes(ui));
        let notes: Vec<BodyLine> = notes(ui, area.width).collect();
        let room = area.height.saturating_sub(lines.len() + 1).min(table.rows.len().max(1));
        let first = first_visible(ui.stop().row, table.rows.len(), room);
        let (head, rows) = table.lines(area.width.saturating_sub(2), first..first + room);
        if !table.rows.is_empty() {
            lines.push(BodyLine::of(Line::new("  ").and(head)));
        }
        lines.extend(rows.into_iter().enumerate().map(|(index, it)| BodyLine::row(first + index, it)));
        lines.push(BodyLine::default());
        lines.extend(notes);
        lines
    }

    fn n_rows(&self, ui: &Ui) -> usize {
        causes(ui).len()
    }

    fn keys(&self) -> &'static [Action] {
        use Action::{
            AllCauses, Back, CompareExample, MarkBaseline, MarkIncident, NextChange, NextMachine, Open, Quit,
        };
        &[Open, CompareExample, MarkBaseline, MarkIncident, NextChange, AllCauses, NextMachine, Back, Quit]
    }

    fn act(&self, ui: &mut Ui, action: Action) -> Option<Step> {
        match action {
            Action::Left | Action::Right => {
                let grid = Grid::of(ui, usize::from(ui.width))?;
                let at = cursor(ui, &grid);
                ui.stop_mut().column =
                    if action == Action::Left { at.saturating_sub(1) } else { (at + 1).min(grid.n - 1) };
                Some(Step::Stay)
            }
            Action::MarkBaseline => Some(mark(ui, true)),
            Action::MarkIncident => Some(mark(ui, false)),
            Action::NextChange => Some(turn(ui, 1)),
            Action::PreviousChange => Some(turn(ui, -1)),
            Action::AllCauses => {
                ui.stop_mut().has_all ^= true;
                Some(Step::Load)
            }
            Action::Open | Action::CompareExample => Some(example(ui, action == Action::CompareExample)),
            _ => None,
        }
    }

    fn table(&self, ui: &Ui) -> Table {
        table(causes(ui))
    }

    fn copies(&self, ui: &Ui) -> Vec<(char, String, String)> {
        let mut copies = super::machine_copies(ui.stop().machine.as_ref());
        if let Some(it) = compared(ui) {
            copies.push(('s', "command that gives the same".to_owned(), it.command.clone()));
        }
        if let Some(example) = causes(ui).get(ui.stop().row).and_then(|it| it.examples.first()) {
            copies.push(('x', "ARN of an example".to_owned(), example.clone()));
        }
        copies
    }
}

// ---- choosing -------------------------------------------------------------------------------------------------------

/// Begins a range, or ends the one that was begun.
fn mark(ui: &mut Ui, is_baseline: bool) -> Step {
    let Some(grid) = Grid::of(ui, usize::from(ui.width)) else { return Step::Stay };
    let at = cursor(ui, &grid);
    let stop = ui.stop_mut();
    match stop.begun.take() {
        Some((same, from)) if same == is_baseline => {
            let span = grid.span(grid.column(from), at);
            set(ui, &grid, span, is_baseline)
        }
        _ => {
            stop.begun = Some((is_baseline, grid.from(at)));
            Step::Stay
        }
    }
}

/// Takes a range over; without the other one, what was proposed, or else everything before or after it.
fn set(ui: &mut Ui, grid: &Grid, span: Span, is_baseline: bool) -> Step {
    let (baseline, incident) = ranges(ui);
    let end = grid.from(grid.n);
    let stop = ui.stop_mut();
    if is_baseline {
        stop.baseline = Some(span);
        stop.incident =
            incident.filter(|it| it.0 >= span.1 || it.1 <= span.0).or(Some((span.1, end)).filter(|it| it.0 < it.1));
    } else {
        stop.incident = Some(span);
        stop.baseline = baseline
            .filter(|it| it.0 >= span.1 || it.1 <= span.0)
            .or(Some((grid.first, span.0)).filter(|it| it.0 < it.1));
    }
    if stop.baseline.is_some() && stop.incident.is_some() { Step::Load } else { Step::Stay }
}

/// The ranges of the change after or before the present one.
fn turn(ui: &mut Ui, by: isize) -> Step {
    let Some(it) = incident(ui) else { return Step::Stay };
    if it.changes.is_empty() {
        ui.notice = Some("no change was found in this range".to_owned());
        return Step::Stay;
    }
    // Without a choice the first one is shown.
    let n = it.changes.len();
    let at = ui.stop().change.unwrap_or(0).min(n - 1);
    let next = (at + n).checked_add_signed(by).unwrap_or(0) % n;
    let change = &it.changes[next];
    let notice =
        format!("{} of {n}: {} since {}", next + 1, change.metric.replace('_', " "), analyzer::time::short(change.at));
    let ranges = change.ranges;
    ui.notice = Some(notice);
    let stop = ui.stop_mut();
    (stop.baseline, stop.incident, stop.change) = (Some(ranges.0), Some(ranges.1), Some(next));
    Step::Load
}

fn example(ui: &mut Ui, is_beside_twin: bool) -> Step {
    let Some(arn) = causes(ui).get(ui.stop().row).and_then(|it| it.examples.first()).cloned() else {
        ui.notice = Some("there is no example to open".to_owned());
        return Step::Stay;
    };
    let machine = ui.stop().machine.clone();
    let stop = if is_beside_twin {
        Stop::new(super::View::Twins, machine, super::Subject::Pair(arn, None))
    } else {
        Stop::new(super::View::Timeline, machine, super::Subject::Execution(arn))
    };
    Step::Go(Box::new(stop))
}

/// The column of the chart at a place of the screen.
fn column_at(ui: &Ui, area: Area, column: u16, line: u16) -> Option<usize> {
    let grid = Grid::of(ui, area.width)?;
    let line = Area::line(ui, line)?;
    let column = usize::from(column).checked_sub(LABEL + 1)?;
    (line < chart_height(area) + 4 && column < grid.n).then_some(column)
}

pub(super) fn click(ui: &mut Ui, area: Area, column: u16, line: u16) -> bool {
    let Some(column) = column_at(ui, area, column, line) else { return false };
    let grid = Grid::of(ui, area.width);
    let stop = ui.stop_mut();
    stop.column = column;
    stop.begun = grid.map(|grid| (false, grid.from(column)));
    true
}

pub(super) fn drag(ui: &mut Ui, area: Area, column: u16, line: u16) {
    let (Some(column), Some(grid)) = (column_at(ui, area, column, line), Grid::of(ui, area.width)) else { return };
    let Some((_, from)) = ui.stop().begun else { return };
    let span = grid.span(grid.column(from), column);
    let begun = ui.stop().begun;
    set(ui, &grid, span, false);
    let stop = ui.stop_mut();
    (stop.column, stop.begun, stop.is_dragging) = (column, begun, true);
}

// ---- what is drawn --------------------------------------------------------------------------------------------------

fn chart_height(area: Area) -> usize {
    (area.height / 4).clamp(3, 10)
}

/// The p95 as columns, runs and failures as small bars, the ranges, and the times.
#[expect(clippy::cast_precision_loss, reason = "heights of bars")]
fn chart(ui: &Ui, it: &super::super::data::Incident, grid: &Grid, height: usize) -> Vec<BodyLine> {
    let folded = grid.folded(&it.series);
    let p95: Vec<Option<f64>> =
        folded.iter().map(|own| own.iter().map(|it| it.p95.0 as f64).reduce(f64::max)).collect();
    let highest = p95.iter().flatten().copied().fold(0.0, f64::max);
    let (baseline, incident) = ranges(ui);
    let is_in = |span: Option<Span>, column: usize| {
        span.is_some_and(|it| grid.from(column) >= it.0 && grid.from(column) < it.1)
    };
    let tone = |column: usize| {
        if is_in(incident, column) {
            Tone::Bad
        } else if is_in(baseline, column) {
            Tone::Good
        } else {
            Tone::Plain
        }
    };
    let mut lines = Vec::new();
    for (index, bars) in columns(&p95, highest, height, tone).into_iter().enumerate() {
        #[expect(clippy::cast_possible_truncation, reason = "a label")]
        let label = match index {
            0 => "p95".to_owned(),
            1 => text::span(Micros(highest as i64)),
            _ => String::new(),
        };
        lines.push(BodyLine::of(labelled(&label).and(bars)));
    }
    let sum = |of: fn(&SeriesItem) -> u64| -> Vec<Option<i64>> {
        folded.iter().map(|own| own.iter().map(of).reduce(|a, b| a + b).map(u64::cast_signed)).collect()
    };
    let runs = sum(|it| it.executions);
    let failed: Vec<Option<i64>> = sum(|it| it.failed).into_iter().map(|it| it.filter(|it| *it > 0)).collect();
    let most =
        |values: &[Option<i64>]| text::short_count(values.iter().flatten().copied().max().unwrap_or(0).unsigned_abs());
    lines.push(BodyLine::of(labelled(&format!("runs ≤{}", most(&runs))).with(sparkline(&runs), Tone::Dim)));
    lines.push(BodyLine::of(labelled(&format!("failed ≤{}", most(&failed))).with(sparkline(&failed), Tone::Bad)));
    lines.push(BodyLine::of(mark_line(ui, it, grid, baseline, incident)));
    lines.extend(time_lines(ui, grid, baseline, incident, usize::from(ui.width)).into_iter().map(BodyLine::of));
    lines
}

fn labelled(label: &str) -> Line {
    Line::toned(format!(" {:<LABEL$}", text::cut(label, LABEL)), Tone::Dim)
}

/// `b` under the baseline, `i` under the incident, `v` where something was deployed.
fn mark_line(
    ui: &Ui,
    it: &super::super::data::Incident,
    grid: &Grid,
    baseline: Option<Span>,
    incident: Option<Span>,
) -> Line {
    let mut line = labelled("ranges");
    let begun = ui.stop().begun.map(|(is_baseline, from)| (is_baseline, grid.column(from)));
    let at = cursor(ui, grid);
    for column in 0..grid.n {
        let from = grid.from(column);
        let is_in = |span: Option<Span>| span.is_some_and(|it| from >= it.0 && from < it.1);
        let growing = begun.filter(|it| (it.1.min(at)..=it.1.max(at)).contains(&column));
        let is_new = it
            .deployments
            .iter()
            .any(|it| grid.column(it.0) == column && it.0 > grid.first && it.0 < grid.from(grid.n));
        let (glyph, tone) = match () {
            () if growing.is_some() => (if growing.is_some_and(|it| it.0) { 'B' } else { 'I' }, Tone::Accent),
            () if is_new => ('v', Tone::Warn),
            () if is_in(incident) => ('i', Tone::Bad),
            () if is_in(baseline) => ('b', Tone::Good),
            () => ('·', Tone::Dim),
        };
        line.push(glyph.to_string(), tone);
    }
    line
}

/// When all that is: the cursor, and the ranges.
fn time_lines(ui: &Ui, grid: &Grid, baseline: Option<Span>, incident: Option<Span>, width: usize) -> Vec<Line> {
    let span = |it: Span| {
        let from = text::day_and_minute(it.0);
        // Within one day the day is said once.
        let is_one_day = analyzer::time::date(it.0) == analyzer::time::date(it.1);
        let to = if is_one_day { text::time_of_day(it.1) } else { text::day_and_minute(it.1) };
        format!("{from}–{to}")
    };
    let column = cursor(ui, grid);
    let said = text::day_and_minute(grid.from(column));
    // The cursor stands under its column, what it says on the side that has room.
    let mut at = labelled("");
    if column > said.len() {
        at.pad(LABEL + 1 + column - said.len() - 1);
        at.push(format!("{said} ▲"), Tone::Accent);
    } else {
        at.pad(LABEL + 1 + column);
        at.push(format!("▲ {said}"), Tone::Accent);
    }
    let mut ranges = Line::default();
    if let Some(it) = baseline {
        ranges.push(format!("b {}   ", span(it)), Tone::Good);
    }
    if let Some(it) = incident {
        ranges.push(format!("i {}", span(it)), Tone::Bad);
    }
    let indent = if LABEL + 1 + ranges.width() <= width { LABEL + 1 } else { 1 };
    vec![at, Line::new(" ".repeat(indent)).and(ranges)]
}

fn table(causes: &[CauseItem]) -> Table {
    let mut table = Table::new(vec![
        words("cause", 32).at_least(12),
        words("what", 44),
        number("share"),
        number("contribution"),
        number("95 % interval"),
        number("q"),
        words("since (UTC)", 16),
        number("examples"),
    ]);
    for it in causes {
        let tone = if it.is_significant { Tone::Plain } else { Tone::Dim };
        table.rows.push(vec![
            Value::text(it.state.clone()).toned(if it.is_significant { Tone::Strong } else { Tone::Dim }),
            Value::text(it.what.clone()).toned(tone),
            Value::text(format!("{:.0} %", it.share * 100.0)).toned(tone),
            Value::text(it.contribution.clone()).toned(tone),
            Value::text(it.interval.clone()).toned(tone),
            Value::text(it.q.clone()).toned(tone),
            Value::text(it.since.clone()).toned(tone),
            Value::text(it.examples.len().to_string()).toned(tone),
        ]);
    }
    table
}

fn notes(ui: &Ui, width: usize) -> impl Iterator<Item = BodyLine> {
    let notes = compared(ui).map_or(&[][..], |it| &it.notes);
    notes
        .iter()
        .flat_map(move |it| wrapped(it, width.saturating_sub(3)))
        .map(|it| BodyLine::of(Line::toned(format!(" {it}"), Tone::Dim)))
}
