//! The lines of a chart as text and cells, for those that are looked at.

use std::ops::Range;

use analyzer::execution::Run;
use analyzer::model::{Micros, StateType, Timestamp};
use analyzer::timeline::{Attempt, Category, Visit, VisitStatus};
use analyzer::traces::{Span, SpanOutcome};

use super::layout::{Items, Layout, Slot};
use super::{Cell, Row, Scale, Traced};
use crate::text;

impl Layout {
    /// Draws some of the lines.
    pub fn draw(&self, run: &Run, traced: Traced<'_>, rows: Range<usize>, scale: &Scale) -> Vec<Row> {
        let slots = &self.slots[rows.start.min(self.slots.len())..rows.end.min(self.slots.len())];
        let draw = |slot: &Slot| match slot {
            Slot::Visit { index, depth, is_folded } => {
                Some(self.visit_row(run, &run.timeline.visits[*index], *depth, *is_folded, scale))
            }
            Slot::Strip { visit, depth, n_hidden } => {
                self.items.get(visit).map(|it| strip_row(it, *depth, *n_hidden, scale.width))
            }
            Slot::Span { span, depth } => {
                traced.and_then(|it| it.0.spans.get(*span)).map(|it| span_row(it, 2 * (*depth + 1), scale))
            }
        };
        slots.iter().filter_map(draw).collect()
    }

    fn visit_row(&self, run: &Run, visit: &Visit, depth: usize, is_folded: bool, scale: &Scale) -> Row {
        let mut cells = vec![Cell::Empty; scale.width];
        let end = visit.exited_at.unwrap_or(scale.to.max(visit.entered_at));
        self.draw_slot_wait(&mut cells, run, visit, scale);
        let time = |category| Cell::Time { category, is_critical: false };
        let base = match visit.kind {
            kind if kind.is_container() => Cell::Inside { is_critical: false },
            StateType::Wait => time(Category::Wait),
            _ => time(Category::Overhead),
        };
        scale.fill(&mut cells, visit.entered_at, end, base);
        for (index, attempt) in visit.attempts.iter().enumerate() {
            // From one run to the next nothing backs off: the execution was closed.
            let next = visit.attempts.get(index + 1).filter(|it| it.redrive == attempt.redrive);
            let next = next.and_then(|it| it.scheduled_at.or(it.started_at));
            draw_attempt(&mut cells, scale, attempt, next, end);
        }
        for &(closed_at, redriven_at) in &run.timeline.rests {
            let (from, to) = (closed_at.max(visit.entered_at), redriven_at.min(end));
            if from < to {
                scale.fill(&mut cells, from, to, time(Category::RedriveIdle));
            }
        }
        // A visit shorter than a column is still there.
        let first = scale.column(visit.entered_at).min(scale.width.saturating_sub(1));
        let is_in_sight = visit.entered_at <= scale.to && end >= scale.from;
        if is_in_sight && cells[first] == Cell::Empty {
            cells[first] = time(shortest(visit));
        }
        mark_critical(&mut cells, scale, self.critical.get(&visit.id).map_or(&[], Vec::as_slice));
        for attempt in visit.attempts.iter().filter(|it| it.error.is_some()) {
            if let Some(ended) = attempt.ended_at.filter(|it| scale.is_within(*it)) {
                let column = scale.column(ended).saturating_sub(1).max(first).min(scale.width - 1);
                cells[column] = Cell::Failure;
            }
        }
        let is_bad = matches!(visit.status, VisitStatus::Failed | VisitStatus::TimedOut | VisitStatus::Aborted);
        let fold = match visit.kind.is_container() {
            true if is_folded => "▸ ",
            true => "▾ ",
            false => "",
        };
        let span = match visit.active() {
            None if visit.status == VisitStatus::Running => text::span(scale.to - visit.entered_at),
            it => text::opt_span(it),
        };
        Row {
            label: format!("{} {}{}{fold}{}", mark(visit.status), "  ".repeat(depth), item(visit), visit.state),
            cells,
            span,
            note: self.note(run, visit),
            is_bad,
            is_critical: self.critical.contains_key(&visit.id),
        }
    }

    /// An item that came when all slots of its Map were taken has waited since the Map began.
    fn draw_slot_wait(&self, cells: &mut [Cell], run: &Run, visit: &Visit, scale: &Scale) {
        let (Some(parent), Some(item)) = (visit.parent, visit.iteration) else { return };
        let Some(items) = self.items.get(&parent) else { return };
        let is_first = items.spans.get(&item).is_some_and(|it| it.0 == visit.entered_at);
        let began = run.timeline.visits.iter().find(|it| it.id == parent).map(|it| it.entered_at);
        let waits = usize::try_from(item).is_ok_and(|it| it >= items.most_at_once);
        if let Some(began) = began.filter(|_| is_first && waits) {
            scale.fill(cells, began, visit.entered_at, Cell::Time { category: Category::SlotWait, is_critical: false });
        }
    }

    fn note(&self, run: &Run, visit: &Visit) -> String {
        let mut parts = Vec::new();
        if visit.attempts.len() > 1 {
            parts.push(format!("{} attempts", visit.attempts.len()));
        }
        if visit.n_reruns > 0 {
            parts.push("redriven".to_owned());
        }
        if visit.rounds > 1 {
            parts.push(format!("{} rounds", visit.rounds));
        }
        if let Some(items) = self.items.get(&visit.id) {
            let n_items = items.spans.len();
            let at_once = if n_items > items.most_at_once && items.most_at_once > 0 {
                format!(", {} at once", items.most_at_once)
            } else {
                String::new()
            };
            parts.push(format!("{n_items} items{at_once}"));
        }
        let backoff = visit.split[Category::Backoff];
        if backoff > Micros::ZERO {
            parts.push(format!("back-off {}", text::span(backoff)));
        }
        if let Some(cold) = visit.cold_start().filter(|it| *it > Micros::ZERO) {
            parts.push(format!("cold start {}", text::span(cold)));
        }
        parts.extend(what_it_called(visit));
        if visit.status == VisitStatus::Caught {
            parts.push("caught".to_owned());
        }
        let own = |events: &[(u64, analyzer::model::Name)]| {
            events
                .iter()
                .filter(|it| run.visit_of_event(it.0).is_some_and(|it| run.timeline.visits[it].id == visit.id))
                .count()
        };
        if own(&run.execution.children) > 0 {
            parts.push("started an execution ↵".to_owned());
        } else if own(&run.execution.map_runs) > 0 {
            parts.push("Map Run ↵".to_owned());
        }
        parts.join(", ")
    }
}

/// The error, or else the service.
fn what_it_called(visit: &Visit) -> Option<String> {
    let errors: Vec<&str> = visit.attempts.iter().filter_map(|it| it.error.as_deref()).collect();
    match (errors.first().copied(), visit.error.as_deref()) {
        (Some(first), _) if errors.len() > 1 => Some(format!("{first} ×{}", errors.len())),
        (Some(error), _) | (None, Some(error)) => Some(error.to_owned()),
        (None, None) => visit.attempts.first().and_then(|it| it.resource.as_deref()).map(short_resource),
    }
}

/// The last two parts of a resource.
pub(crate) fn short_resource(resource: &str) -> String {
    let mut parts: Vec<&str> = resource.rsplit(':').take(2).collect();
    parts.reverse();
    parts.join(":")
}

fn strip_row(items: &Items, depth: usize, n_hidden: usize, width: usize) -> Row {
    let spans: Vec<(u32, Micros)> = items.spans.keys().map(|it| (*it, items.span(*it))).collect();
    let longest = spans.iter().map(|it| it.1).max().unwrap_or_default().0.max(1);
    let n_cells = spans.len().min(width);
    let mut cells = vec![Cell::Empty; width];
    for (column, cell) in cells.iter_mut().enumerate().take(n_cells) {
        let (first, last) = (column * spans.len() / n_cells, (column + 1) * spans.len() / n_cells);
        let own = &spans[first..last.max(first + 1)];
        let span = own.iter().map(|it| it.1).max().unwrap_or_default();
        let height = (span.0 * 7 + longest / 2) / longest;
        *cell = Cell::Item {
            height: u8::try_from(height).unwrap_or(0),
            is_critical: own.iter().any(|it| items.on_path.contains(&it.0)),
            is_outlier: items.is_outlier(span),
        };
    }
    let n_outliers = spans.iter().filter(|it| items.is_outlier(it.1)).count();
    let outliers = if n_outliers > 0 { format!(", {n_outliers} outliers") } else { String::new() };
    let hidden = if n_hidden > 0 { format!("{n_hidden} more items") } else { "by item".to_owned() };
    Row {
        label: format!("  {}⋮ {hidden}", "  ".repeat(depth)),
        cells,
        span: text::span(items.median),
        note: format!("median of {}, at most {}{outliers}", spans.len(), text::span(Micros(longest))),
        is_bad: false,
        is_critical: !items.on_path.is_empty(),
    }
}

fn span_row(span: &Span, indent: usize, scale: &Scale) -> Row {
    let mut cells = vec![Cell::Empty; scale.width];
    let end = span.ended_at.unwrap_or(span.started_at);
    scale.fill(&mut cells, span.started_at, end, Cell::Below);
    let operation = span.operation.as_deref().map_or_else(String::new, |it| format!(" {it}"));
    Row {
        label: format!("{}↳ {}{operation}", " ".repeat(indent), span.name),
        cells,
        span: text::opt_span(span.ended_at.map(|it| it - span.started_at)),
        note: if span.outcome == SpanOutcome::Fine { String::new() } else { span.outcome.as_str().to_owned() },
        is_bad: span.outcome != SpanOutcome::Fine,
        is_critical: false,
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
    scale.fill(cells, attempt.scheduled_at.unwrap_or(started), started, time(Category::Queue));
    let submitted = attempt.submitted_at.unwrap_or(ended);
    scale.fill(cells, started, submitted, time(Category::Work));
    if let Some(cold) = attempt.cold_start {
        scale.fill(cells, started, (started + cold).min(submitted), Cell::ColdStart { is_critical: false });
    }
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
                Cell::Time { is_critical, .. } | Cell::Inside { is_critical } | Cell::ColdStart { is_critical } => {
                    *is_critical = true;
                }
                Cell::Empty | Cell::Failure | Cell::Below | Cell::Item { .. } => {}
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
