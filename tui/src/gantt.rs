//! A run as a chart: one line per visit, indented by nesting, with its time drawn in the categories it was spent on.
//!
//! The chart is made of finished strings and cells, so the command line and the dashboard draw the same picture.

use analyzer::critical_path::merged;
use analyzer::execution::Run;
use analyzer::model::{Micros, StateType, Timestamp};
use analyzer::timeline::{Attempt, Category, Visit, VisitStatus};
use analyzer::traces::{Joined, Span, SpanOutcome, Trace};

use crate::text;

/// Items of a Map that are shown before it is folded.
const SHOWN_ITERATIONS: usize = 3;
const LABEL: usize = 34;

/// Which containers are folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fold {
    Nothing,
    /// Of Maps with more than a few items, the longest are shown.
    LongMaps,
    /// Long Maps, and the containers with these visit ids altogether.
    Also(Vec<u64>),
}

/// The finished picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    pub title: String,
    pub subtitle: String,
    /// Sentences on what is missing.
    pub gaps: Vec<String>,
    pub axis: String,
    pub rows: Vec<Row>,
    pub label_width: usize,
    pub bar_width: usize,
}

/// One line of the chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The visit; `None` for the line that stands for folded items.
    pub visit: Option<u64>,
    pub label: String,
    pub cells: Vec<Cell>,
    pub span: String,
    pub note: String,
    pub is_bad: bool,
}

/// One column of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    Empty,
    Time {
        category: Category,
        is_critical: bool,
    },
    /// A Parallel or Map while what is inside it runs.
    Inside {
        is_critical: bool,
    },
    Failure,
    /// What a trace tells of a call below a Task.
    Below,
}

impl Cell {
    /// The character that tells the cell apart without colour.
    pub fn glyph(self) -> char {
        match self {
            Self::Empty => ' ',
            Self::Failure => '✗',
            Self::Below => '╍',
            Self::Inside { .. } => '─',
            Self::Time { category, .. } => glyph(category),
        }
    }

    pub fn is_critical(self) -> bool {
        matches!(self, Self::Time { is_critical: true, .. } | Self::Inside { is_critical: true })
    }
}

pub fn glyph(category: Category) -> char {
    match category {
        Category::Work => '█',
        Category::Queue => '░',
        Category::Backoff => '┄',
        Category::Callback => '≈',
        Category::Wait => '·',
        Category::SlotWait => '▒',
        Category::Overhead => '▁',
        Category::RedriveIdle => ' ',
    }
}

/// What the characters mean.
pub fn legend() -> String {
    "work █   queue ░   back-off ┄   callback ≈   wait ·   overhead ▁   failed ✗   inside ─   critical path: marked ━ below".to_owned()
}

/// Draws a run for a terminal of this width.
pub fn chart(run: &Run, width: usize, fold: &Fold) -> Chart {
    drawn(run, None, width, fold)
}

/// The same, each Task opened into what its traces tell.
pub fn chart_with_traces(run: &Run, trace: &Trace, joined: &Joined, width: usize, fold: &Fold) -> Chart {
    drawn(run, Some((trace, joined)), width, fold)
}

fn drawn(run: &Run, traced: Option<(&Trace, &Joined)>, width: usize, fold: &Fold) -> Chart {
    let it = &run.execution;
    let label_width = LABEL.min(width / 3);
    let bar_width = width.saturating_sub(label_width + 12).clamp(10, 160);
    let start = it.started_at.or_else(|| run.events.first().map(|it| it.at)).unwrap_or_default();
    let end = run.events.iter().map(|it| it.at).max().unwrap_or(start).max(start);
    let scale = Scale { start, span: (end - start).0.max(1), width: bar_width };
    let error = it.error.as_deref().map_or_else(String::new, |error| format!("   {error}"));
    Chart {
        title: format!("{} › {}   {} {}{error}", it.machine, it.name, mark_of_status(it.status), it.status.as_str()),
        subtitle: format!(
            "{}   {}   {} transitions   {}   {}",
            it.started_at
                .map_or_else(|| "start not known".to_owned(), |it| format!("{} UTC", analyzer::time::short(it))),
            text::opt_span(it.duration()),
            text::count(it.transitions.billed().0),
            it.workflow_type.as_str(),
            if it.complete { "complete" } else { "partial" },
        ),
        gaps: it.gaps.clone(),
        axis: axis(&scale),
        rows: match traced {
            Some((trace, joined)) => with_spans(rows(run, &scale, fold), run, trace, joined, &scale),
            None => rows(run, &scale, fold),
        },
        label_width,
        bar_width,
    }
}

fn mark_of_status(status: analyzer::model::Status) -> char {
    use analyzer::model::Status;
    match status {
        Status::Succeeded => '✓',
        Status::Running | Status::PendingRedrive => '▸',
        Status::Failed | Status::TimedOut | Status::Aborted => '✗',
    }
}

struct Scale {
    start: Timestamp,
    span: i64,
    width: usize,
}

impl Scale {
    /// The column of an instant.
    fn column(&self, at: Timestamp) -> usize {
        let offset = (at - self.start).0.clamp(0, self.span);
        let width = i64::try_from(self.width).unwrap_or(i64::MAX);
        usize::try_from(offset.saturating_mul(width) / self.span).unwrap_or(0).min(self.width)
    }

    fn fill(&self, cells: &mut [Cell], from: Timestamp, to: Timestamp, cell: Cell) {
        let (first, last) = (self.column(from), self.column(to));
        for it in &mut cells[first.min(self.width)..last.max(first).min(self.width)] {
            *it = cell;
        }
    }
}

/// Ticks at round spans.
fn axis(scale: &Scale) -> String {
    let mut line = vec![' '; scale.width];
    let step = round_step(scale.span / 4);
    let mut at = 0;
    while at < scale.span {
        let column = scale.column(scale.start + Micros(at));
        let label = if at == 0 { "0".to_owned() } else { text::span(Micros(at)) };
        // A label that would touch the one before, or not fit, is left out.
        let is_free = column == 0 || line.get(column - 1) == Some(&' ');
        if column + label.len() > scale.width || !is_free {
            at += step;
            continue;
        }
        for (offset, it) in label.chars().enumerate() {
            if let Some(place) = line.get_mut(column + offset) {
                *place = it;
            }
        }
        at += step;
    }
    line.into_iter().collect::<String>().trim_end().to_owned()
}

/// The largest of 1, 2, 5 times a power of ten that is not above `span`, and at least 1.
fn round_step(span: i64) -> i64 {
    let steps = (0..17).flat_map(|power| [1, 2, 5].map(|it| it * 10_i64.pow(power)));
    steps.take_while(|it| *it <= span).last().unwrap_or(1)
}

fn rows(run: &Run, scale: &Scale, fold: &Fold) -> Vec<Row> {
    let mut rows = Vec::new();
    let critical = critical_spans(run);
    let children = Children::of(&run.timeline.visits);
    add_rows(run, scale, fold, &children, &critical, None, 0, &mut rows);
    rows
}

/// Spans that are shown of one visit.
const SHOWN_SPANS: usize = 12;

fn with_spans(rows: Vec<Row>, run: &Run, trace: &Trace, joined: &Joined, scale: &Scale) -> Vec<Row> {
    let mut opened = Vec::with_capacity(rows.len());
    for row in rows {
        let visit = row.visit.and_then(|id| run.timeline.visits.iter().position(|it| it.id == id));
        let indent = row.label.chars().take_while(|it| it.is_whitespace()).count();
        opened.push(row);
        let Some(visit) = visit else { continue };
        let calls = joined.calls.range((visit, 0)..=(visit, usize::MAX)).flat_map(|it| it.1);
        let below = calls.flat_map(|&it| trace.tree(it));
        opened.extend(below.take(SHOWN_SPANS).map(|(depth, span)| span_row(span, indent + 2 * (depth + 1), scale)));
    }
    opened
}

fn span_row(span: &Span, indent: usize, scale: &Scale) -> Row {
    let mut cells = vec![Cell::Empty; scale.width];
    let end = span.ended_at.unwrap_or(span.started_at);
    scale.fill(&mut cells, span.started_at, end, Cell::Below);
    let operation = span.operation.as_deref().map_or_else(String::new, |it| format!(" {it}"));
    Row {
        visit: None,
        label: format!("{}↳ {}{operation}", " ".repeat(indent), span.name),
        cells,
        span: text::opt_span(span.ended_at.map(|it| it - span.started_at)),
        note: if span.outcome == SpanOutcome::Fine { String::new() } else { span.outcome.as_str().to_owned() },
        is_bad: span.outcome != SpanOutcome::Fine,
    }
}

/// Indices of visits by parent, in the order in which they were entered.
struct Children<'a> {
    visits: &'a [Visit],
    by_parent: std::collections::HashMap<Option<u64>, Vec<usize>>,
}

impl<'a> Children<'a> {
    fn of(visits: &'a [Visit]) -> Self {
        let mut by_parent: std::collections::HashMap<Option<u64>, Vec<usize>> = std::collections::HashMap::new();
        for (index, visit) in visits.iter().enumerate() {
            by_parent.entry(visit.parent).or_default().push(index);
        }
        // Branch by branch and item by item, each in its own order.
        for list in by_parent.values_mut() {
            list.sort_by_key(|&it| (visits[it].branch, visits[it].iteration, visits[it].id));
        }
        Self { visits, by_parent }
    }

    fn inside(&self, parent: Option<u64>) -> &[usize] {
        self.by_parent.get(&parent).map_or(&[], Vec::as_slice)
    }

    /// The items of a Map, longest first.
    fn iterations(&self, parent: u64) -> Vec<(u32, Micros)> {
        let mut spans: std::collections::BTreeMap<u32, (Timestamp, Timestamp)> = std::collections::BTreeMap::new();
        for &index in self.inside(Some(parent)) {
            let visit = &self.visits[index];
            let Some(iteration) = visit.iteration else { continue };
            let end = visit.exited_at.unwrap_or(visit.entered_at);
            let span = spans.entry(iteration).or_insert((visit.entered_at, end));
            *span = (span.0.min(visit.entered_at), span.1.max(end));
        }
        let mut items: Vec<(u32, Micros)> = spans.into_iter().map(|(item, (from, to))| (item, to - from)).collect();
        items.sort_by_key(|it| (std::cmp::Reverse(it.1), it.0));
        items
    }
}

type CriticalSpans = std::collections::HashMap<u64, Vec<(Timestamp, Timestamp)>>;

fn critical_spans(run: &Run) -> CriticalSpans {
    let mut spans = CriticalSpans::new();
    for step in merged(&run.path) {
        if let Some(owner) = step.owner {
            spans.entry(run.timeline.visits[owner].id).or_default().push((step.from, step.to));
        }
    }
    spans
}

#[expect(clippy::too_many_arguments, reason = "the walk carries the picture it draws")]
fn add_rows(
    run: &Run,
    scale: &Scale,
    fold: &Fold,
    children: &Children<'_>,
    critical: &CriticalSpans,
    parent: Option<u64>,
    depth: usize,
    rows: &mut Vec<Row>,
) {
    let folded_items = parent.and_then(|it| folded_items(children, critical, it, fold));
    for &index in children.inside(parent) {
        let visit = &run.timeline.visits[index];
        if folded_items.as_ref().is_some_and(|(shown, _)| visit.iteration.is_some_and(|it| !shown.contains(&it))) {
            continue;
        }
        rows.push(row(visit, scale, children, critical, depth));
        let is_folded = matches!(fold, Fold::Also(ids) if ids.contains(&visit.id));
        if !is_folded {
            add_rows(run, scale, fold, children, critical, Some(visit.id), depth + 1, rows);
        }
    }
    if let Some((_, note)) = folded_items {
        let label = format!("  {}⋮ {note}", "  ".repeat(depth));
        rows.push(Row {
            visit: None,
            label,
            cells: Vec::new(),
            span: String::new(),
            note: String::new(),
            is_bad: false,
        });
    }
}

/// Of a long Map, the items that are shown, and a sentence on the others. Those on the critical path come first.
fn folded_items(
    children: &Children<'_>,
    critical: &CriticalSpans,
    parent: u64,
    fold: &Fold,
) -> Option<(Vec<u32>, String)> {
    if *fold == Fold::Nothing {
        return None;
    }
    let mut items = children.iterations(parent);
    if items.len() <= SHOWN_ITERATIONS + 2 {
        return None;
    }
    let on_path = |item: u32| {
        let own = children
            .inside(Some(parent))
            .iter()
            .map(|&it| &children.visits[it])
            .filter(|it| it.iteration == Some(item));
        own.into_iter().any(|it| critical.contains_key(&it.id))
    };
    items.sort_by_cached_key(|it| !on_path(it.0));
    let (shown, rest) = items.split_at(SHOWN_ITERATIONS);
    let mut spans: Vec<Micros> = rest.iter().map(|it| it.1).collect();
    spans.sort_unstable();
    let median = analyzer::quantile::of_sorted(&spans, 0.5).unwrap_or_default();
    let longest = spans.last().copied().unwrap_or_default();
    let note = format!("{} more items, median {}, at most {}", rest.len(), text::span(median), text::span(longest));
    Some((shown.iter().map(|it| it.0).collect(), note))
}

fn row(visit: &Visit, scale: &Scale, children: &Children<'_>, critical: &CriticalSpans, depth: usize) -> Row {
    let mut cells = vec![Cell::Empty; scale.width];
    let end = visit.exited_at.unwrap_or(scale.start + Micros(scale.span));
    if visit.kind.is_container() {
        scale.fill(&mut cells, visit.entered_at, end, Cell::Inside { is_critical: false });
    }
    let time = |category| Cell::Time { category, is_critical: false };
    if visit.kind == StateType::Wait {
        scale.fill(&mut cells, visit.entered_at, end, time(Category::Wait));
    } else if !visit.kind.is_container() {
        scale.fill(&mut cells, visit.entered_at, end, time(Category::Overhead));
    }
    for (index, attempt) in visit.attempts.iter().enumerate() {
        let next = visit.attempts.get(index + 1).map(|it| it.scheduled_at);
        draw_attempt(&mut cells, scale, attempt, next, end);
    }
    // A visit shorter than a column is still there.
    let first = scale.column(visit.entered_at).min(scale.width.saturating_sub(1));
    if cells[first] == Cell::Empty {
        cells[first] = time(shortest(visit));
    }
    mark_critical(&mut cells, scale, critical.get(&visit.id).map_or(&[], Vec::as_slice));
    for attempt in visit.attempts.iter().filter(|it| it.error.is_some()) {
        if let Some(ended) = attempt.ended_at {
            let column = scale.column(ended).saturating_sub(1).max(first).min(scale.width - 1);
            cells[column] = Cell::Failure;
        }
    }
    let is_bad = matches!(visit.status, VisitStatus::Failed | VisitStatus::TimedOut | VisitStatus::Aborted);
    Row {
        visit: Some(visit.id),
        label: format!("{} {}{}{}", mark(visit.status), "  ".repeat(depth), item(visit), visit.state),
        cells,
        span: text::opt_span(visit.duration()),
        note: note(visit, children),
        is_bad,
    }
}

fn shortest(visit: &Visit) -> Category {
    if visit.kind == StateType::Wait {
        Category::Wait
    } else if visit.attempts.is_empty() {
        Category::Overhead
    } else {
        Category::Work
    }
}

fn draw_attempt(cells: &mut [Cell], scale: &Scale, attempt: &Attempt, next: Option<Timestamp>, end: Timestamp) {
    let time = |category| Cell::Time { category, is_critical: false };
    let ended = attempt.ended_at.unwrap_or(end);
    let started = attempt.started_at.unwrap_or(ended);
    scale.fill(cells, attempt.scheduled_at, started, time(Category::Queue));
    let submitted = attempt.submitted_at.unwrap_or(ended);
    scale.fill(cells, started, submitted, time(Category::Work));
    scale.fill(cells, submitted, ended, time(Category::Callback));
    if let Some(next) = next {
        scale.fill(cells, ended, next, time(Category::Backoff));
    }
}

fn mark_critical(cells: &mut [Cell], scale: &Scale, spans: &[(Timestamp, Timestamp)]) {
    for &(from, to) in spans {
        let (first, last) = (scale.column(from), scale.column(to));
        for it in &mut cells[first.min(scale.width)..last.min(scale.width)] {
            match it {
                Cell::Time { is_critical, .. } | Cell::Inside { is_critical } => *is_critical = true,
                Cell::Empty | Cell::Failure | Cell::Below => {}
            }
        }
    }
}

fn mark(status: VisitStatus) -> char {
    match status {
        VisitStatus::Succeeded => '✓',
        VisitStatus::Caught => '↷',
        VisitStatus::Running => '▸',
        VisitStatus::Aborted => '–',
        VisitStatus::Failed | VisitStatus::TimedOut => '✗',
    }
}

fn item(visit: &Visit) -> String {
    match (visit.branch, visit.iteration) {
        (_, Some(iteration)) => format!("[{iteration}] "),
        (Some(_), None) => "│ ".to_owned(),
        (None, None) => String::new(),
    }
}

fn note(visit: &Visit, children: &Children<'_>) -> String {
    let mut parts = Vec::new();
    if visit.attempts.len() > 1 {
        parts.push(format!("{} attempts", visit.attempts.len()));
    }
    if visit.rounds > 1 {
        parts.push(format!("{} rounds", visit.rounds));
    }
    if visit.kind == StateType::Map {
        let n_items = children.iterations(visit.id).len();
        parts.push(format!("{n_items} items"));
    }
    let backoff = visit.split[Category::Backoff];
    if backoff > Micros::ZERO {
        parts.push(format!("back-off {}", text::span(backoff)));
    }
    let errors: Vec<&str> = visit.attempts.iter().filter_map(|it| it.error.as_deref()).collect();
    match (errors.first().copied(), visit.error.as_deref()) {
        (Some(first), _) if errors.len() > 1 => parts.push(format!("{first} ×{}", errors.len())),
        (Some(error), _) | (None, Some(error)) => parts.push(error.to_owned()),
        (None, None) => {
            if let Some(resource) = visit.attempts.first().and_then(|it| it.resource.as_deref()) {
                parts.push(
                    resource.rsplit(':').take(2).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join(":"),
                );
            }
        }
    }
    if visit.status == VisitStatus::Caught {
        parts.push("caught".to_owned());
    }
    parts.join(", ")
}

/// The chart as lines of text, with colour as terminals understand it where that is wanted.
pub fn to_text(chart: &Chart, coloured: bool) -> Vec<String> {
    let mut lines = vec![chart.title.clone(), chart.subtitle.clone()];
    lines.extend(chart.gaps.iter().map(|it| format!("gap: {it}")));
    lines.push(legend());
    lines.push(format!("{:label$} {}", "", chart.axis, label = chart.label_width));
    for row in &chart.rows {
        // The line that stands for folded items has no bar and may be as long as it is.
        let room = if row.cells.is_empty() { chart.label_width + chart.bar_width } else { chart.label_width };
        let label = text::cut(&row.label, room);
        let pad = " ".repeat(room - unicode_width::UnicodeWidthStr::width(label.as_str()));
        let bar = bar(&row.cells, chart.bar_width, coloured);
        lines.push(format!("{label}{pad} {bar} {:>9}  {}", row.span, row.note).trim_end().to_owned());
        if row.cells.iter().any(|it| it.is_critical()) {
            let under: String = row.cells.iter().map(|it| if it.is_critical() { '━' } else { ' ' }).collect();
            lines.push(format!("{:label$} {}", "", under, label = chart.label_width).trim_end().to_owned());
        }
    }
    lines
}

fn bar(cells: &[Cell], width: usize, coloured: bool) -> String {
    let mut bar = String::new();
    for &cell in cells {
        match colour(cell).filter(|_| coloured) {
            Some(code) => bar.push_str(&format!("\x1b[{code}m{}\x1b[0m", cell.glyph())),
            None => bar.push(cell.glyph()),
        }
    }
    bar.push_str(&" ".repeat(width.saturating_sub(cells.len())));
    bar
}

fn colour(cell: Cell) -> Option<u8> {
    Some(match cell {
        Cell::Empty => return None,
        Cell::Failure => 31,
        Cell::Inside { .. } => 90,
        Cell::Below => 37,
        Cell::Time { category, .. } => match category {
            Category::Work => 32,
            Category::Queue => 33,
            Category::Backoff => 31,
            Category::Callback => 36,
            Category::Wait => 34,
            Category::SlotWait => 35,
            Category::Overhead | Category::RedriveIdle => 90,
        },
    })
}
