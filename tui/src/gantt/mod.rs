//! A run as a chart: one line per visit, indented by nesting, with its time drawn in the categories it was spent on.
//!
//! [`Layout`] decides which lines there are, once; drawing makes the cells of those that are looked at. The command line and
//! the dashboard draw the same picture.

mod draw;
mod layout;

use analyzer::execution::Run;
use analyzer::model::{Micros, Timestamp};
use analyzer::timeline::Category;
use analyzer::traces::{Joined, Trace};

pub(crate) use draw::short_resource;
pub use layout::{Folds, Layout, Shown};

use crate::text;

const LABEL: usize = 34;

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
    pub label: String,
    pub cells: Vec<Cell>,
    pub span: String,
    pub note: String,
    pub is_bad: bool,
    /// Whether any of it lies on the critical path, also where that is too short to be seen.
    pub is_critical: bool,
}

/// One column of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    Empty,
    Time {
        category: Category,
        is_critical: bool,
    },
    /// Work in which a function was initialised.
    ColdStart {
        is_critical: bool,
    },
    /// A Parallel or Map while what is inside it runs.
    Inside {
        is_critical: bool,
    },
    Failure,
    /// What a trace tells of a call below a Task.
    Below,
    /// Items of a Map, in their order, as high as the longest of them.
    Item {
        height: u8,
        is_critical: bool,
        is_outlier: bool,
    },
}

const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

impl Cell {
    /// The character that tells the cell apart without colour.
    pub fn glyph(self) -> char {
        match self {
            Self::Empty => ' ',
            Self::Failure => '✗',
            Self::Below => '╍',
            Self::Inside { .. } => '─',
            Self::ColdStart { .. } => '▓',
            Self::Item { height, .. } => HEIGHTS[usize::from(height).min(7)],
            Self::Time { category, .. } => glyph(category),
        }
    }

    pub fn is_critical(self) -> bool {
        match self {
            Self::Time { is_critical, .. }
            | Self::Inside { is_critical }
            | Self::ColdStart { is_critical }
            | Self::Item { is_critical, .. } => is_critical,
            Self::Empty | Self::Failure | Self::Below => false,
        }
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
    "work █   cold start ▓   queue ░   back-off ┄   callback ≈   wait ·   slot wait ▒   overhead ▁   failed ✗   inside ─   critical path: marked ━ below".to_owned()
}

/// The window of time that is drawn, and how wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Where the run began: ticks count from there.
    pub origin: Timestamp,
    pub from: Timestamp,
    pub to: Timestamp,
    pub width: usize,
}

impl Scale {
    /// All of a run, until `now` while it is open.
    pub fn whole(run: &Run, now: Option<Timestamp>, width: usize) -> Self {
        let from = began(run);
        let to = ended(run).max(now.filter(|_| !run.execution.status.is_closed()).unwrap_or(from)).max(from);
        Self { origin: from, from, to, width }
    }

    fn span(&self) -> i64 {
        (self.to - self.from).0.max(1)
    }

    /// The column of an instant; the ends are those of the window.
    fn column(&self, at: Timestamp) -> usize {
        let offset = (at - self.from).0.clamp(0, self.span());
        let width = i64::try_from(self.width).unwrap_or(i64::MAX);
        usize::try_from(offset.saturating_mul(width) / self.span()).unwrap_or(0).min(self.width)
    }

    fn is_within(&self, at: Timestamp) -> bool {
        at >= self.from && at <= self.to
    }

    /// Fills the columns of a span.
    pub fn paint(&self, cells: &mut [Cell], from: Timestamp, to: Timestamp, cell: Cell) {
        if to >= self.from && from <= self.to {
            self.fill(cells, from, to, cell);
        }
    }

    fn fill(&self, cells: &mut [Cell], from: Timestamp, to: Timestamp, cell: Cell) {
        let (first, last) = (self.column(from), self.column(to));
        for it in &mut cells[first.min(self.width)..last.max(first).min(self.width)] {
            *it = cell;
        }
    }

    /// Ticks at round spans since the run began.
    pub fn axis(&self) -> String {
        let mut line = vec![' '; self.width];
        let step = round_step(self.span() / 4);
        let mut at = (self.from - self.origin).0.max(0).div_euclid(step) * step;
        let last = (self.to - self.origin).0;
        while at < last {
            let tick = self.origin + Micros(at);
            if self.is_within(tick) {
                write_label(&mut line, self.column(tick), at);
            }
            at += step;
        }
        line.into_iter().collect::<String>().trim_end().to_owned()
    }
}

/// A label that would touch the one before, or not fit, is left out.
fn write_label(line: &mut [char], column: usize, at: i64) {
    let label = if at == 0 { "0".to_owned() } else { text::span(Micros(at)) };
    let is_free = column == 0 || line.get(column - 1) == Some(&' ');
    if column + label.chars().count() > line.len() || !is_free {
        return;
    }
    for (place, it) in line[column..].iter_mut().zip(label.chars()) {
        *place = it;
    }
}

/// The largest of 1, 2, 5 times a power of ten that is not above `span`, and at least 1.
fn round_step(span: i64) -> i64 {
    let steps = (0..17).flat_map(|power| [1, 2, 5].map(|it| it * 10_i64.pow(power)));
    steps.take_while(|it| *it <= span).last().unwrap_or(1)
}

/// When a run began, as far as is known.
pub fn began(run: &Run) -> Timestamp {
    run.execution.started_at.or_else(|| run.events.first().map(|it| it.at)).unwrap_or_default()
}

/// The last that is known of a run.
pub fn ended(run: &Run) -> Timestamp {
    run.events.iter().map(|it| it.at).max().unwrap_or_else(|| began(run))
}

/// Draws a run for a terminal of this width.
pub fn chart(run: &Run, width: usize, folds: &Folds) -> Chart {
    drawn(run, None, width, folds)
}

/// The same, each Task opened into what its traces tell.
pub fn chart_with_traces(run: &Run, trace: &Trace, joined: &Joined, width: usize, folds: &Folds) -> Chart {
    drawn(run, Some((trace, joined)), width, folds)
}

/// What the traces of a run tell, and which attempt each span belongs to.
pub type Traced<'a> = Option<(&'a Trace, &'a Joined)>;

fn drawn(run: &Run, traced: Traced<'_>, width: usize, folds: &Folds) -> Chart {
    let layout = Layout::of(run, traced, folds);
    let (label_width, bar_width) = widths(width);
    let scale = Scale::whole(run, None, bar_width);
    Chart {
        title: title(run),
        subtitle: subtitle(run),
        gaps: run.execution.gaps.iter().map(|it| it.text.clone()).collect(),
        axis: scale.axis(),
        rows: layout.draw(run, traced, 0..layout.len(), &scale),
        label_width,
        bar_width,
    }
}

/// Columns of the labels and of the bars.
pub fn widths(width: usize) -> (usize, usize) {
    let label = LABEL.min(width / 3);
    (label, width.saturating_sub(label + 12).clamp(10, 400))
}

/// Columns of labels, bars and notes where lines may not be longer than this.
pub fn widths_with_notes(width: usize) -> (usize, usize, usize) {
    let label = LABEL.min(width / 3);
    let note = if width >= 100 { (width / 4).min(44) } else { 0 };
    // Beside them stand a mark of three columns, and the span with the blanks around it.
    (label, width.saturating_sub(label + note + 14).clamp(10, 400), note)
}

pub fn title(run: &Run) -> String {
    let it = &run.execution;
    let error = it.error.as_deref().map_or_else(String::new, |error| format!("   {error}"));
    format!("{} › {}   {} {}{error}", it.machine, it.name, mark_of_status(it.status), it.status.as_str())
}

pub fn subtitle(run: &Run) -> String {
    let it = &run.execution;
    format!(
        "{}   {}   {} transitions   {}   {}",
        it.started_at.map_or_else(|| "start not known".to_owned(), |it| format!("{} UTC", analyzer::time::short(it))),
        match it.active().filter(|_| it.n_runs > 1) {
            Some(active) => format!("{} in {} runs", text::span(active), it.n_runs),
            None => text::opt_span(it.duration()),
        },
        text::count(it.transitions.billed().0),
        it.workflow_type.as_str(),
        if it.complete { "complete" } else { "partial" },
    )
}

pub fn mark_of_status(status: analyzer::model::Status) -> char {
    use analyzer::model::Status;
    match status {
        Status::Succeeded => '✓',
        Status::Running | Status::PendingRedrive => '▸',
        Status::Failed | Status::TimedOut | Status::Aborted => '✗',
    }
}

/// The chart as lines of text, with colour as terminals understand it where that is wanted.
pub fn to_text(chart: &Chart, coloured: bool) -> Vec<String> {
    let mut lines = vec![text::plain(&chart.title), text::plain(&chart.subtitle)];
    lines.extend(chart.gaps.iter().map(|it| format!("gap: {}", text::plain(it))));
    lines.push(legend());
    lines.push(format!("{:label$} {}", "", chart.axis, label = chart.label_width));
    for row in &chart.rows {
        let label = text::cut(&row.label, chart.label_width);
        let pad = " ".repeat(chart.label_width - unicode_width::UnicodeWidthStr::width(label.as_str()));
        let bar = bar(&row.cells, chart.bar_width, coloured);
        lines.push(format!("{label}{pad} {bar} {:>9}  {}", row.span, text::plain(&row.note)).trim_end().to_owned());
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
        Cell::Below | Cell::Item { is_outlier: false, .. } => 37,
        Cell::Item { .. } => 33,
        Cell::ColdStart { .. } => 32,
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
