//! From the state to finished strings.

use analyzer::model::{Micros, Status};
use analyzer::timeline::Category;
use unicode_width::UnicodeWidthStr;

use super::ui::{ExecutionItem, MachineItem, Screen, Ui};
use crate::gantt::{self, Cell};
use crate::text;

/// The line of the screen on which a list begins: title, question and column heads stand above it.
pub(super) const FIRST_ROW: usize = 3;
/// Lines below a list of the timeline: what is known of the visit under the cursor.
const DETAIL: usize = 7;

/// A frame as finished strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vm {
    pub title: String,
    /// The answer to the view's question, or what hinders it.
    pub answer: String,
    pub is_trouble: bool,
    pub head: String,
    pub lines: Vec<Line>,
    /// Which of the lines is under the cursor.
    pub cursor: Option<usize>,
    pub detail: Vec<String>,
    pub keys: String,
    pub help: Option<Vec<&'static str>>,
}

/// One line of a list: text, and in the timeline the cells of its bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub label: String,
    pub cells: Vec<Cell>,
    pub rest: String,
    pub is_bad: bool,
}

/// Lines that the list on screen has room for.
pub(super) fn list_height(ui: &Ui) -> usize {
    let below = 1 + match ui.screen {
        Screen::Timeline => DETAIL,
        Screen::Machines if !ui.collector.is_empty() => ui.collector.len().min(LINES_BELOW) + 1,
        _ => 0,
    };
    usize::from(ui.height).saturating_sub(FIRST_ROW + below)
}

/// Lines below a list that can be shown.
pub(super) const LINES_BELOW: usize = 6;

/// The first row on screen: the cursor is always visible.
pub(super) fn first_visible(ui: &Ui) -> usize {
    let height = list_height(ui).max(1);
    (ui.row() + 1).saturating_sub(height)
}

/// Builds the frame for a state.
pub fn view(ui: &Ui) -> Vm {
    let mut vm = match ui.screen {
        Screen::Machines => machines(ui),
        Screen::Executions => executions(ui),
        Screen::Timeline => timeline(ui),
        Screen::Page => super::page::page(ui),
    };
    if let Some(trouble) = &ui.trouble {
        (vm.answer, vm.is_trouble) = (trouble.clone(), true);
    } else if ui.is_loading {
        vm.answer = "loading …".to_owned();
    }
    if let Some(place) = ui.place().filter(|it| ui.is_filtering || !it.filter.is_empty()) {
        vm.keys = format!("/{}{}   enter keep   esc clear", place.filter, if ui.is_filtering { "▏" } else { "" });
    }
    if let Some(command) = &ui.command {
        vm.keys =
            format!(":{command}▏   such as cost --since 24h, whatif MACHINE --no-backoff, versions MACHINE   esc");
    }
    vm.help = ui.is_help_open.then(help);
    vm
}

fn help() -> Vec<&'static str> {
    vec![
        "↑ ↓  j k      move            PgUp PgDn  a page      Home End  first, last",
        "enter  click  open            esc ←      back        q         quit",
        "/             filter          s          sort        r         reload",
        "space         fold a Parallel or Map in the timeline",
        "t states      b bottlenecks   c cost   i incidents   x compare   v collector",
        ":             any reporting command: cost --since 24h, whatif orders --no-backoff, …",
        "",
        "work █  queue ░  back-off ┄  callback ≈  wait ·  overhead ▁  failed ✗  inside ─",
        "A bar is underlined where it lies on the critical path: what decided the end.",
        "● marks states on that path. p95: 95 of 100 executions took at most that long; ≈ within one percent.",
    ]
}

/// A column: title, width, and whether numbers stand in it. Columns come in the order of importance.
pub(super) struct Columns {
    shown: Vec<(String, usize, bool)>,
}

impl Columns {
    /// Keeps the columns that fit, the first one taking what is left; the others are dropped from the right.
    fn fitting(first: &'static str, at_least: usize, others: &[(&'static str, usize, bool)], width: usize) -> Self {
        let all = std::iter::once((first.to_owned(), at_least, false));
        let mut columns = Self::of(all.chain(others.iter().map(|it| (it.0.to_owned(), it.1, it.2))).collect(), width);
        let used: usize = columns.shown.iter().map(|it| it.1 + 2).sum();
        columns.shown[0].1 += width.saturating_sub(used).min(30);
        columns
    }

    /// Keeps the columns that fit; the others are dropped from the right, never the first.
    pub(super) fn of(all: Vec<(String, usize, bool)>, width: usize) -> Self {
        let mut left = width + 2;
        let mut shown = Vec::new();
        for (title, size, is_number) in all {
            if size + 2 > left && !shown.is_empty() {
                break;
            }
            let size = size.min(width.max(1));
            left = left.saturating_sub(size + 2);
            shown.push((title, size, is_number));
        }
        Self { shown }
    }

    pub(super) fn head(&self) -> String {
        self.line(&self.shown.iter().map(|it| it.0.clone()).collect::<Vec<_>>())
    }

    /// Joins as many cells as there are columns.
    pub(super) fn line(&self, cells: &[String]) -> String {
        let cell = |((_, size, is_number), text): (&(String, usize, bool), &String)| {
            let text = text::cut(text, *size);
            let pad = " ".repeat(size.saturating_sub(text.width()));
            if *is_number { format!("{pad}{text}") } else { format!("{text}{pad}") }
        };
        self.shown.iter().zip(cells).map(cell).collect::<Vec<_>>().join("  ").trim_end().to_owned()
    }
}

pub(super) fn window<T>(ui: &Ui, rows: Vec<T>, line: impl Fn(T) -> Line) -> (Vec<Line>, Option<usize>) {
    let first = first_visible(ui);
    let n_rows = rows.len();
    let lines = rows.into_iter().skip(first).take(list_height(ui)).map(line).collect();
    (lines, (n_rows > 0).then(|| ui.row() - first))
}

fn plain(label: String, is_bad: bool) -> Line {
    Line { label, cells: Vec::new(), rest: String::new(), is_bad }
}

// ---- machines -------------------------------------------------------------------------------------------------------

fn machines(ui: &Ui) -> Vm {
    let columns = Columns::fitting(
        "machine",
        18,
        &[
            ("type", 4, false),
            ("failed", 7, true),
            ("p95 ≈", 9, true),
            ("p50 ≈", 9, true),
            ("runs", 8, true),
            ("paid", 9, true),
            ("now", 5, true),
            ("p95 ≈ over time", 24, false),
            ("as Standard", 11, true),
            ("as Express", 11, true),
        ],
        usize::from(ui.width).saturating_sub(2),
    );
    let rows = ui.visible_machines();
    let failed: u64 = rows.iter().map(|it| it.failed).sum();
    let closed: u64 = rows.iter().map(|it| it.closed).sum();
    let total: u64 = rows.iter().map(|it| it.executions).sum();
    let covered = |it: &&MachineItem| it.counted.unwrap_or((it.complete, it.executions));
    let (complete, there_were) = rows.iter().map(covered).fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
    let paid: Option<analyzer::model::Usd> = rows.iter().map(|it| it.paid).sum();
    let answer = if rows.is_empty() {
        if ui.machines.is_empty() {
            "nothing is stored yet: `stepscope import FILES…`".to_owned()
        } else {
            "no machine fits the filter".to_owned()
        }
    } else {
        format!(
            "{} machines, {} executions, {} failed ({}), {} paid, coverage {}",
            rows.len(),
            text::count(total),
            text::count(failed),
            text::percent(failed, closed),
            paid.map_or_else(|| "not known".to_owned(), text::usd),
            text::percent(complete, there_were),
        )
    };
    let (lines, cursor) = window(ui, rows, |it| plain(columns.line(&machine_cells(it)), it.failed * 20 > it.closed));
    Vm {
        title: ui.title.clone(),
        answer,
        is_trouble: false,
        head: columns.head(),
        lines,
        cursor,
        detail: ui.collector.clone(),
        keys: "enter open  t states  b bottlenecks  c cost  i incidents  x compare  ? help".to_owned(),
        help: None,
    }
}

fn machine_cells(it: &MachineItem) -> Vec<String> {
    let money = |it: Option<analyzer::model::Usd>| it.map_or_else(|| "–".to_owned(), text::usd);
    vec![
        it.name.clone(),
        if it.workflow_type == "EXPRESS" { "EXP" } else { "STD" }.to_owned(),
        text::percent(it.failed, it.closed),
        text::opt_span(it.p95),
        text::opt_span(it.p50),
        text::count(it.executions),
        money(it.paid),
        text::count(it.running),
        sparkline(&it.trend),
        money(it.as_standard),
        money(it.as_express),
    ]
}

/// Bars of eight heights; a blank where nothing is known.
fn sparkline(values: &[Option<Micros>]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let highest = values.iter().flatten().map(|it| it.0).max().unwrap_or(0).max(1);
    let bar = |it: Micros| BARS[usize::try_from((it.0 * 7 + highest / 2) / highest).unwrap_or(0).min(7)];
    values.iter().map(|it| it.map_or(' ', bar)).collect()
}

// ---- executions -----------------------------------------------------------------------------------------------------

fn executions(ui: &Ui) -> Vm {
    let columns = Columns::fitting(
        "execution",
        20,
        &[
            ("status", 13, false),
            ("duration", 10, true),
            ("started (UTC)", 19, false),
            ("transitions", 11, true),
            ("usd", 10, true),
            ("error", 40, false),
        ],
        usize::from(ui.width).saturating_sub(2),
    );
    let rows = ui.visible_executions();
    let failed = rows.iter().filter(|it| it.status > Status::Succeeded).count();
    let among = ui
        .executions_beyond_list()
        .map(|of| format!(" among the newest {} of {}", text::count(ui.executions.len() as u64), text::count(of)));
    let answer = format!(
        "{} executions{}, {failed} not successful, {}",
        text::count(rows.len() as u64),
        among.unwrap_or_default(),
        ui.order.as_str()
    );
    let (lines, cursor) =
        window(ui, rows, |it| plain(columns.line(&execution_cells(it)), it.status > Status::Succeeded));
    Vm {
        title: format!("{} › {}", ui.title, ui.machine.as_ref().map_or("", |it| it.1.as_str())),
        answer,
        is_trouble: false,
        head: columns.head(),
        lines,
        cursor,
        detail: Vec::new(),
        keys: "enter timeline   s sort   / filter   esc back   ? help   q quit".to_owned(),
        help: None,
    }
}

fn execution_cells(it: &ExecutionItem) -> Vec<String> {
    vec![
        it.name.clone(),
        format!("{}{}", it.status.as_str(), if it.complete { "" } else { " ~" }),
        text::opt_span(it.duration),
        it.started_at.map_or_else(|| "–".to_owned(), analyzer::time::short),
        text::count(it.transitions),
        it.usd.map_or_else(|| "–".to_owned(), text::usd),
        it.error.clone().unwrap_or_default(),
    ]
}

// ---- timeline -------------------------------------------------------------------------------------------------------

fn timeline(ui: &Ui) -> Vm {
    let keys = "↑↓ move   space fold   esc back   ? help   q quit".to_owned();
    let (Some(run), Some(chart)) = (&ui.run, ui.chart()) else {
        return Vm {
            title: ui.title.clone(),
            answer: String::new(),
            is_trouble: false,
            head: String::new(),
            lines: Vec::new(),
            cursor: None,
            detail: Vec::new(),
            keys,
            help: None,
        };
    };
    let selected = chart.rows.get(ui.run_row).and_then(|it| it.visit);
    let detail = selected.map(|id| detail(run, id)).unwrap_or_default();
    let gap = chart.gaps.first().map(|it| format!("   gap: {it}")).unwrap_or_default();
    let label_width = chart.label_width;
    let (lines, cursor) = window(ui, chart.rows, |row| {
        let on_path = if row.cells.iter().any(|it| it.is_critical()) { "●" } else { " " };
        if row.cells.is_empty() {
            return plain(row.label, false);
        }
        let label = text::cut(&row.label, label_width.saturating_sub(2));
        let pad = " ".repeat((label_width.saturating_sub(2)).saturating_sub(label.width()));
        Line {
            label: format!("{label}{pad} {on_path}"),
            cells: row.cells,
            rest: format!(" {:>9}  {}", row.span, row.note),
            is_bad: row.is_bad,
        }
    });
    Vm {
        title: chart.title,
        answer: format!("{}{gap}", chart.subtitle),
        is_trouble: false,
        head: format!("{:label_width$}{}", "", chart.axis),
        lines,
        cursor,
        detail,
        keys,
        help: None,
    }
}

/// What is known of one visit: its split, and each attempt.
fn detail(run: &analyzer::execution::Run, id: u64) -> Vec<String> {
    let Some((index, visit)) = run.timeline.visits.iter().enumerate().find(|(_, it)| it.id == id) else {
        return Vec::new();
    };
    let total = visit.split.total();
    let part = |category: Category| {
        let span = visit.split[category];
        (span > Micros::ZERO).then(|| {
            let share = text::percent(span.0.unsigned_abs(), total.0.unsigned_abs());
            format!("{} {} {} ({share})", gantt::glyph(category), category.as_str(), text::span(span))
        })
    };
    let split: Vec<String> = Category::ALL.into_iter().filter_map(part).collect();
    let critical: Micros =
        run.path.iter().filter(|it| it.owner == Some(index)).map(analyzer::critical_path::Step::span).sum();
    let mut lines = vec![
        format!("{}  {}  {}  event {}", visit.state, visit.kind.as_str(), visit.status.as_str(), visit.id),
        format!("{}   on the critical path {}", split.join("   "), text::span(critical)),
    ];
    let n_attempts = visit.attempts.len();
    for (number, attempt) in (1..).zip(&visit.attempts).skip(n_attempts.saturating_sub(DETAIL - 3)) {
        let end = attempt.ended_at.map_or_else(|| "…".to_owned(), analyzer::time::clock);
        let error = attempt.error.as_deref().unwrap_or("");
        lines.push(format!(
            "  #{number} {:9} {} → {end}   {}  {error}",
            attempt.status.as_str(),
            analyzer::time::clock(attempt.scheduled_at),
            attempt.resource.as_deref().unwrap_or("")
        ));
    }
    lines
}
