//! The definition, drawn, with heat; and its states as numbers.

use std::collections::HashMap;

use analyzer::asl::{State, StateMachine};
use analyzer::model::{Micros, Name, StateType, Usd};

use super::super::charts::{bar, heat, sparkline, squeezed};
use super::super::data::{Content, MoneyItem, StateItem, Study};
use super::super::graph::{self, Caption, Graph, Style};
use super::super::keys::Action;
use super::super::line::{Line, Tone};
use super::super::screen::Heat;
use super::super::table::{Table, Value, number, words};
use super::super::ui::Ui;
use super::super::view::{Area, BodyLine, first_visible, rule};
use super::page::dim;
use super::{Panel, Step, money};
use crate::gantt;
use crate::text;

pub(super) struct Machine;

/// From this width on, the states stand beside the drawing, if that leaves the columns that they need.
const WIDE: usize = 130;
const TABLE: usize = 84;
/// Columns of a histogram.
const HISTOGRAM: usize = 16;
const VARIANTS: usize = 3;
const VERSIONS: usize = 3;

pub(super) fn study(ui: &Ui) -> Option<&Study> {
    match &ui.stop().content {
        Some(Content::Study(it)) => Some(it),
        _ => None,
    }
}

const ORDERS: [&str; 7] = ["definition", "critical share", "p95", "failures", "retries", "visits", "money"];

/// The states in the order that was chosen: that of the definition, with those that only the runs know last.
fn states(ui: &Ui) -> Vec<StateItem> {
    let Some(study) = study(ui) else { return Vec::new() };
    let stop = ui.stop();
    let wanted = stop.filter.to_lowercase();
    let mut rows: Vec<StateItem> = study.states.clone();
    if study.is_express {
        share_money(ui, &mut rows);
    }
    if let Some(definition) = &study.definition {
        let never = |it: &&State| !study.states.iter().any(|row| *row.state == *it.name);
        rows.extend(definition.all_states().iter().copied().filter(never).map(unvisited));
        let place: HashMap<&str, usize> =
            definition.all_states().iter().enumerate().map(|(index, it)| (&*it.name, index)).collect();
        rows.sort_by_key(|it| place.get(it.state.as_str()).copied().unwrap_or(usize::MAX));
    }
    rows.retain(|it| it.state.to_lowercase().contains(&wanted));
    match stop.sort.order {
        1 => rows.sort_by(|a, b| b.share.total_cmp(&a.share)),
        2 => rows.sort_by_key(|it| std::cmp::Reverse(it.p95)),
        3 => rows.sort_by_key(|it| std::cmp::Reverse(it.failures)),
        4 => rows.sort_by_key(|it| std::cmp::Reverse(it.retries)),
        5 => rows.sort_by_key(|it| std::cmp::Reverse(it.visits)),
        6 => rows.sort_by_key(|it| std::cmp::Reverse(it.usd)),
        _ => {}
    }
    if stop.sort.is_reversed {
        rows.reverse();
    }
    rows
}

/// An Express machine pays for time: what it paid is shared by time on the critical path.
fn share_money(ui: &Ui, rows: &mut [StateItem]) {
    let own = |it: &&MoneyItem| ui.stop().machine.as_ref().is_some_and(|machine| machine.arn == it.arn);
    let paid = ui.findout.money.iter().find(own).and_then(|it| it.paid);
    let path: u128 = rows.iter().map(|it| u128::from(it.critical.0.max(0).unsigned_abs())).sum();
    for it in rows {
        let part = u128::from(it.critical.0.max(0).unsigned_abs());
        it.usd = paid.filter(|_| path > 0).map(|paid| paid.scaled(part, path));
    }
}

fn unvisited(it: &State) -> StateItem {
    StateItem {
        state: it.name.to_string(),
        kind: it.kind,
        visits: 0,
        failures: 0,
        retries: 0,
        p50: None,
        p95: None,
        p99: None,
        max: None,
        critical: Micros::ZERO,
        share: 0.0,
        split: analyzer::timeline::Split::default(),
        usd: None,
        histogram: Vec::new(),
    }
}

/// What the figures rest on, and what slack, gains and what-if do.
pub(super) fn runs(study: &Study) -> String {
    let (n, of) = (text::count(study.sampled), text::count(study.of));
    match (study.is_cut, study.sampled < study.of) {
        (true, _) => format!("{of} executions; replayed: {n}, from all over the range"),
        (false, true) => format!("{of} executions; replayed: the {n} that are closed and known in full"),
        (false, false) => format!("{n} executions"),
    }
}

/// Sums of states are of whole hours where the range is too long to be read run by run.
fn hours(study: &Study) -> &'static str {
    if study.is_of_whole_hours { "   states: whole hours around the range" } else { "" }
}

impl Panel for Machine {
    fn about(&self) -> &'static [&'static str] {
        &[
            "The definition from top to bottom, and its states as numbers. h turns the heat: share of the critical",
            "path, failures, money, visits. ◇ Choice  · Wait  ○ Pass  ✓ Succeed  ✗ Fail  ↺ leads back to.",
            "Double boxes are Parallel and Map. Percentages at edges: how often the way was taken, in the sample.",
            "Beyond 100,000 executions figures are within one percent, from the sums of whole hours.",
        ]
    }

    fn answer(&self, ui: &Ui) -> Line {
        let Some(study) = study(ui) else { return Line::default() };
        let mut line = Line::new(format!("{} states, ", study.states.len()));
        match study.findings.states.first() {
            Some(top) => {
                line.push(format!("{} is {:.0} % of the critical path", top.state, top.share * 100.0), Tone::Strong);
            }
            None => line.push("nothing known of its runs", Tone::Dim),
        }
        line.push(format!("   heat: {}", ui.preferences.heat.as_str()), Tone::Accent);
        if study.definition.is_none() {
            line.push("   its definition is not stored: import it, or collect", Tone::Warn);
        }
        line.with(format!("   {}{}", runs(study), hours(study)), Tone::Dim)
    }

    fn body(&self, ui: &Ui, area: Area) -> Vec<BodyLine> {
        let Some(study) = study(ui) else { return Vec::new() };
        let rows = states(ui);
        let selected = rows.get(ui.stop().row).map(|it| it.state.clone());
        let known = known_lines(study, rows.get(ui.stop().row), area.width);
        let room = area.height.saturating_sub(known.len() + 1);
        let graph = study.definition.as_ref().map(|it| drawn(ui, study, it, selected.as_deref()));
        let fits_beside = |it: &Graph| area.width >= WIDE && it.canvas.width() + TABLE <= area.width;
        let mut lines = match &graph {
            Some(graph) if fits_beside(graph) => beside(ui, &rows, graph, selected.as_deref(), area.width, room),
            Some(graph) => above(ui, &rows, graph, selected.as_deref(), area.width, room),
            None => list(ui, &rows, area.width, room),
        };
        lines.resize_with(room, BodyLine::default);
        lines.push(rule(area.width));
        lines.extend(known);
        lines
    }

    fn n_rows(&self, ui: &Ui) -> usize {
        states(ui).len()
    }

    fn keys(&self) -> &'static [Action] {
        use Action::{Back, Bottlenecks, Cost, Executions, Export, Filter, Heat, NextMachine, Quit, Sort};
        &[Heat, Sort, Filter, Executions, Bottlenecks, Cost, NextMachine, Export, Back, Quit]
    }

    fn act(&self, ui: &mut Ui, action: Action) -> Option<Step> {
        match action {
            Action::Heat => {
                ui.preferences.heat = ui.preferences.heat.next();
                Some(Step::Stay)
            }
            Action::Open | Action::Right => Some(Step::Go(Box::new(super::super::screen::Stop::new(
                super::View::Bottlenecks,
                ui.stop().machine.clone(),
                super::Subject::Nothing,
            )))),
            _ => None,
        }
    }

    fn orders(&self) -> &'static [&'static str] {
        &ORDERS
    }

    fn key(&self, ui: &Ui, row: usize) -> Option<String> {
        states(ui).get(row).map(|it| it.state.clone())
    }

    fn table(&self, ui: &Ui) -> Table {
        table(&states(ui))
    }
}

/// How hot a state is, and the number that says so.
#[expect(clippy::cast_precision_loss, reason = "shares")]
fn warmth(it: &StateItem, by: Heat) -> (f64, String) {
    match by {
        Heat::CriticalShare => (it.share, format!("{:.0} %", it.share * 100.0)),
        Heat::Failures => (
            it.failures as f64,
            if it.failures == 0 { String::new() } else { format!("{} failed", text::count(it.failures)) },
        ),
        Heat::Money => (it.usd.map_or(0.0, Usd::as_f64), it.usd.map_or_else(String::new, text::usd)),
        Heat::Visits => (it.visits as f64, format!("×{}", text::count(it.visits))),
    }
}

fn drawn(ui: &Ui, study: &Study, definition: &StateMachine, selected: Option<&str>) -> Graph {
    let by = ui.preferences.heat;
    let mut states = study.states.clone();
    if study.is_express {
        share_money(ui, &mut states);
    }
    let largest = states.iter().map(|it| warmth(it, by).0).fold(0.0, f64::max);
    let caption = |state: &State| {
        let Some(it) = states.iter().find(|it| *it.state == *state.name) else {
            return Caption { text: "never visited".to_owned(), tone: Tone::Dim };
        };
        let (part, said) = warmth(it, by);
        let (level, marks) = heat(part, largest);
        let text = if marks.is_empty() { said } else { format!("{marks} {said}") };
        Caption { text, tone: Tone::Heat(level) }
    };
    let edge = |from: &Name, to: &Name| {
        let taken = &study.findings.choices.iter().find(|it| it.0 == *from)?.1;
        let all: u64 = taken.iter().map(|it| it.1).sum();
        let own = taken.iter().find(|it| it.0 == *to).map_or(0, |it| it.1);
        Some(text::percent(own, all))
    };
    graph::draw(definition, &Style { caption: &caption, edge: &edge, selected })
}

/// The part of the drawing around what is selected.
fn pane(graph: &Graph, selected: Option<&str>, width: usize, height: usize) -> Vec<Line> {
    let (x, y, own_width, own_height) =
        selected.and_then(|it| graph.places.get(&Name::from(it))).copied().unwrap_or((0, 0, 0, 0));
    let centred = |from: usize, size: usize, room: usize, all: usize| {
        // A container that is larger than the room is shown from its top.
        let middle = if size > room { from + room / 2 } else { from + size / 2 };
        middle.saturating_sub(room / 2).min(all.saturating_sub(room))
    };
    let left = centred(x, own_width, width, graph.canvas.width());
    let top = centred(y, own_height, height, graph.canvas.height());
    graph.canvas.window((left, top), (width, height))
}

fn list(ui: &Ui, rows: &[StateItem], width: usize, room: usize) -> Vec<BodyLine> {
    let table = table(rows);
    let room = room.saturating_sub(1);
    let first = first_visible(ui.stop().row, rows.len(), room);
    let (head, lines) = table.lines(width.saturating_sub(2), first..first + room);
    let head = BodyLine::of(Line::new("  ").and(head));
    std::iter::once(head)
        .chain(lines.into_iter().enumerate().map(|(index, it)| BodyLine::row(first + index, it)))
        .collect()
}

fn above(
    ui: &Ui,
    rows: &[StateItem],
    graph: &Graph,
    selected: Option<&str>,
    width: usize,
    room: usize,
) -> Vec<BodyLine> {
    // The drawing has its height, and the states at least a third.
    let below = (rows.len() + 1).min((room / 3).max(4).max(room.saturating_sub(graph.canvas.height() + 1)));
    let height = room.saturating_sub(below + 1);
    let mut lines: Vec<BodyLine> = pane(graph, selected, width.saturating_sub(2), height)
        .into_iter()
        .map(|it| BodyLine::of(Line::new("  ").and(it)))
        .collect();
    let height = height.min(graph.canvas.height().max(1));
    lines.resize_with(height, BodyLine::default);
    lines.push(rule(width));
    lines.extend(list(ui, rows, width, room.saturating_sub(lines.len())));
    lines
}

fn beside(
    ui: &Ui,
    rows: &[StateItem],
    graph: &Graph,
    selected: Option<&str>,
    width: usize,
    room: usize,
) -> Vec<BodyLine> {
    let left = (graph.canvas.width() + 2).clamp(30, width - TABLE);
    let drawing = pane(graph, selected, left, room);
    let list = list(ui, rows, width - left - 5, room);
    let line = |index: usize| {
        let mut line = Line::new(" ").and(drawing.get(index).cloned().unwrap_or_default());
        line.pad(left + 2);
        line.push("│ ", Tone::Dim);
        match list.get(index) {
            Some(it) => {
                let mark = if it.row == Some(ui.stop().row) {
                    "▸ "
                } else if it.row.is_some() {
                    "  "
                } else {
                    ""
                };
                let tone = if it.row == Some(ui.stop().row) { Tone::Accent } else { Tone::Plain };
                BodyLine::marked(it.row, line.with(mark, tone).and(it.line.clone()))
            }
            None => BodyLine::of(line),
        }
    };
    (0..room).map(line).collect()
}

/// What is known of the state under the cursor, of the ways that runs take, and of versions.
fn known_lines(study: &Study, selected: Option<&StateItem>, width: usize) -> Vec<BodyLine> {
    let mut lines = Vec::new();
    if let Some(it) = selected {
        let mut line = Line::toned(format!(" {}", it.state), Tone::Strong);
        let total = it.split.total();
        for category in analyzer::timeline::Category::ALL {
            let span = it.split[category];
            if span > Micros::ZERO {
                line.push(format!("   {} ", gantt::glyph(category)), Tone::Time(category, false));
                line.push(
                    format!("{} {}", category.as_str(), text::percent(span.0.unsigned_abs(), total.0.unsigned_abs())),
                    Tone::Plain,
                );
            }
        }
        if it.visits == 0 {
            line.push("   no run visited it", Tone::Warn);
        }
        lines.push(BodyLine::of(line));
    }
    let variants = &study.findings.variants;
    for it in variants.iter().take(VARIANTS) {
        let share = text::percent(it.durations.n_runs as u64, study.findings.executions as u64);
        let states = it.states.iter().map(|it| &**it).collect::<Vec<_>>().join(" → ");
        let head = format!(" {share:>7}  p50 {:>8}  ", text::opt_span(it.durations.p50));
        let room = width.saturating_sub(head.chars().count());
        lines.push(BodyLine::of(Line::toned(head, Tone::Plain).with(text::cut(&states, room), Tone::Dim)));
    }
    if variants.len() > VARIANTS {
        lines.push(dim(format!(" … and {} more ways", variants.len() - VARIANTS)));
    }
    for it in study.versions.iter().filter(|_| study.versions.len() > 1).take(VERSIONS) {
        let since = it.first_at.map_or_else(|| "–".to_owned(), analyzer::time::short);
        lines.push(dim(format!(
            " version {} (all time)  since {since}  {} executions  {} failed  p50 {}  p95 {}",
            it.name,
            text::count(it.executions),
            text::percent(it.failed, it.executions),
            text::opt_span(it.p50),
            text::opt_span(it.p95)
        )));
    }
    lines
}

fn table(rows: &[StateItem]) -> Table {
    let mut table = Table::new(vec![
        words("state", 30).at_least(12),
        words("type", 8),
        number("share"),
        number("p50 ≈"),
        number("p95 ≈"),
        number("visits"),
        number("failed"),
        number("retries"),
        words("durations", HISTOGRAM),
        number("p99 ≈"),
        number("usd"),
        words("of the critical path", 20),
    ]);
    table.rows = rows.iter().map(cells).collect();
    table
}

fn cells(it: &StateItem) -> Vec<Value> {
    let span = |it: Option<Micros>| Value::text(text::opt_span(it));
    let failed = if it.failures > 0 { Tone::Bad } else { Tone::Dim };
    let retried = if it.retries > 0 { Tone::Warn } else { Tone::Dim };
    vec![
        Value::text(it.state.clone()).toned(if it.visits == 0 { Tone::Dim } else { Tone::Plain }),
        Value::text(it.kind.map_or("–", StateType::as_str)),
        Value::text(format!("{:.1} %", it.share * 100.0)),
        span(it.p50),
        span(it.p95),
        Value::text(text::count(it.visits)),
        Value::text(text::count(it.failures)).toned(failed),
        Value::text(text::count(it.retries)).toned(retried),
        Value::text(histogram(&it.histogram)),
        span(it.p99),
        Value::text(money(it.usd)),
        Value::text(bar(it.share, 20)).toned(Tone::Strong),
    ]
}

/// Durations from the shortest to the longest, in equal steps of their logarithm.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "columns of a chart"
)]
fn histogram(buckets: &[(Micros, u64)]) -> String {
    let log = |it: Micros| (it.0.max(1) as f64).ln();
    let (Some(first), Some(last)) = (buckets.first().map(|it| log(it.0)), buckets.last().map(|it| log(it.0))) else {
        return String::new();
    };
    let mut columns = [0_u64; HISTOGRAM];
    for (span, count) in buckets {
        let place = if last > first { (log(*span) - first) / (last - first) } else { 0.0 };
        columns[((place * HISTOGRAM as f64) as usize).min(HISTOGRAM - 1)] += count;
    }
    // A few among many still show.
    let height = |it: &u64| if *it == 0 { None } else { Some(((*it as f64).ln_1p() * 1_000.0) as i64) };
    sparkline(&squeezed(&columns.iter().map(height).collect::<Vec<_>>(), HISTOGRAM))
}
