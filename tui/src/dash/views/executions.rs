//! Which executions are there, how old are they, where are they, and which are unlike the others?

use std::sync::Arc;

use analyzer::model::{Micros, Status, Timestamp};

use super::super::charts::bar;
use super::super::data::ExecutionItem;
use super::super::keys::Action;
use super::super::line::{Line, Tone};
use super::super::screen::{MachineRef, Stop, Subject, View};
use super::super::table::{Table, Value, number, words};
use super::super::ui::Ui;
use super::super::view::{Area, BodyLine, first_visible};
use super::{Content, Panel, Step, execution_copies, money, timeline_of, toned_status};
use crate::text;

pub(super) struct Executions;

/// Places among the orders.
pub(super) const SLOWEST: usize = 1;
pub(super) const FAILED: usize = 2;
const ORDERS: [&str; 6] = ["newest", "slowest", "not successful", "dearest", "transitions", "name"];
/// Columns of the bar that says where a duration lies among the others.
const RANK: usize = 8;

fn content(ui: &Ui) -> Option<&Arc<super::super::data::Executions>> {
    match &ui.stop().content {
        Some(Content::Executions(it)) => Some(it),
        _ => None,
    }
}

/// The executions that pass the filter, in the order that was chosen.
fn rows(ui: &Ui) -> Vec<&ExecutionItem> {
    let stop = ui.stop();
    let wanted = stop.filter.to_lowercase();
    let fits = |it: &&ExecutionItem| {
        let has = |text: &str| text.to_lowercase().contains(&wanted);
        wanted.is_empty()
            || has(&it.name)
            || has(it.status.as_str())
            || it.error.as_deref().is_some_and(has)
            || it.version.as_deref().is_some_and(has)
            || it.current.iter().any(|it| has(it))
    };
    let mut rows: Vec<&ExecutionItem> = content(ui).map(|it| it.rows.iter().filter(fits).collect()).unwrap_or_default();
    match stop.sort.order {
        SLOWEST => rows.sort_by_key(|it| std::cmp::Reverse(age(ui, it))),
        FAILED => rows.sort_by_key(|it| it.status <= Status::Succeeded),
        3 => rows.sort_by_key(|it| std::cmp::Reverse(it.usd)),
        4 => rows.sort_by_key(|it| std::cmp::Reverse(it.transitions)),
        5 => rows.sort_by(|a, b| a.name.cmp(&b.name)),
        _ => {}
    }
    if stop.sort.is_reversed {
        rows.reverse();
    }
    rows
}

/// How long it took, or has taken so far.
fn age(ui: &Ui, it: &ExecutionItem) -> Option<Micros> {
    if it.status.is_closed() { it.duration } else { it.started_at.map(|at| (ui.now - at).max(Micros::ZERO)) }
}

impl Panel for Executions {
    fn about(&self) -> &'static [&'static str] {
        &[
            "Executions, newest first. What runs grows older as you look, and says which states it is in.",
            "among: the percentage of the machine's own that took at most as long, of those listed.",
            "m marks two, x puts them side by side. F finds a text in names, errors, inputs and outputs;",
            "/ narrows what is listed by name, status, error, version or current state.",
        ]
    }

    fn answer(&self, ui: &Ui) -> Line {
        let Some(all) = content(ui) else { return Line::default() };
        let rows = rows(ui);
        let failed = rows.iter().filter(|it| it.status > Status::Succeeded).count();
        let running = rows.iter().filter(|it| !it.status.is_closed()).count();
        let n_listed = all.rows.len() as u64;
        let among = match all.of {
            Some(of) if of > n_listed => format!(" among the newest {} of {}", text::count(n_listed), text::count(of)),
            Some(_) => String::new(),
            None => format!(" among the newest {}; there are more", text::count(n_listed)),
        };
        let mut line = Line::new(format!("{} executions{among}, ", text::count(rows.len() as u64)));
        line.push(format!("{running} running"), if running > 0 { Tone::Accent } else { Tone::Plain });
        line.push(", ", Tone::Plain);
        line.push(format!("{failed} not successful"), if failed > 0 { Tone::Bad } else { Tone::Plain });
        let quantile = |q: f64| analyzer::quantile::of_sorted(&all.durations, q);
        if let (Some(p50), Some(p95)) = (quantile(0.5), quantile(0.95)) {
            line.push(format!("   p50 {}   p95 {} of all listed", text::span(p50), text::span(p95)), Tone::Plain);
        }
        if !ui.marks.is_empty() {
            line.push(format!("   {} marked ◆", ui.marks.len()), Tone::Accent);
        }
        line
    }

    fn body(&self, ui: &Ui, area: Area) -> Vec<BodyLine> {
        let rows = rows(ui);
        let height = area.height.saturating_sub(1);
        let first = first_visible(ui.stop().row, rows.len(), height);
        let shown = &rows[first.min(rows.len())..(first + height).min(rows.len())];
        let table = table(ui, shown);
        let (head, lines) = table.lines(area.width.saturating_sub(2), 0..shown.len());
        let head = BodyLine::of(Line::new("  ").and(head));
        let lines = lines.into_iter().enumerate().map(|(index, line)| BodyLine::row(first + index, line));
        std::iter::once(head).chain(lines).collect()
    }

    fn n_rows(&self, ui: &Ui) -> usize {
        rows(ui).len()
    }

    fn keys(&self) -> &'static [Action] {
        use Action::{Back, Bottlenecks, CompareMarked, Filter, Find, Mark, Open, Quit, Range, Sort};
        &[Open, Sort, Filter, Mark, CompareMarked, Range, Bottlenecks, Find, Back, Quit]
    }

    fn act(&self, ui: &mut Ui, action: Action) -> Option<Step> {
        match action {
            Action::Open | Action::Right => Some(rows(ui).get(ui.stop().row).map_or(Step::Stay, |it| timeline_of(it))),
            Action::Mark => {
                mark(ui);
                Some(Step::Stay)
            }
            Action::CompareMarked => Some(compare(ui)),
            _ => None,
        }
    }

    fn orders(&self) -> &'static [&'static str] {
        &ORDERS
    }

    fn key(&self, ui: &Ui, row: usize) -> Option<String> {
        // The newest stays in sight: whoever stands at the top wants to see what comes.
        if row == 0 && ui.stop().sort.order == 0 {
            return None;
        }
        rows(ui).get(row).map(|it| it.id.to_string())
    }

    fn machine(&self, ui: &Ui, row: usize) -> Option<MachineRef> {
        ui.stop().machine.clone().or_else(|| rows(ui).get(row).map(|it| it.machine.clone()))
    }

    fn copies(&self, ui: &Ui) -> Vec<(char, String, String)> {
        rows(ui).get(ui.stop().row).map(|it| execution_copies(&it.arn)).unwrap_or_default()
    }

    fn table(&self, ui: &Ui) -> Table {
        table(ui, &rows(ui))
    }
}

/// Marks the execution under the cursor; the older of two marks gives way to a third.
fn mark(ui: &mut Ui) {
    let Some(item) = rows(ui).get(ui.stop().row).map(|it| (*it).clone()) else { return };
    if let Some(at) = ui.marks.iter().position(|it| it.id == item.id) {
        ui.marks.remove(at);
    } else {
        ui.marks.push(item);
        let n_old = ui.marks.len().saturating_sub(2);
        ui.marks.drain(..n_old);
    }
    ui.stop_mut().row += 1;
}

/// The two marked side by side; one marked, against the one under the cursor.
fn compare(ui: &mut Ui) -> Step {
    let under = rows(ui).get(ui.stop().row).map(|it| it.arn.clone());
    let pair = match ui.marks.as_slice() {
        [a, b] => Some((a.arn.clone(), b.arn.clone())),
        [a] => under.filter(|it| *it != a.arn).map(|it| (a.arn.clone(), it)),
        _ => None,
    };
    let Some((a, b)) = pair else {
        ui.notice = Some("mark two executions with m, or one and stand on another".to_owned());
        return Step::Stay;
    };
    Step::Go(Box::new(Stop::new(View::Twins, ui.stop().machine.clone(), Subject::Pair(a, Some(b)))))
}

fn table(ui: &Ui, rows: &[&ExecutionItem]) -> Table {
    let is_of_one = ui.stop().machine.is_some();
    // The year is said where it is not this one for all of them.
    let year = |at: Timestamp| analyzer::time::month(at).rsplit_once('-').map(|it| it.0.to_owned());
    let is_of_this_year = rows.iter().filter_map(|it| it.started_at).all(|at| year(at) == year(ui.now));
    let name = if is_of_one { "execution" } else { "machine › execution" };
    let mut table = Table::new(vec![
        words(name, 40).at_least(18),
        words("status", 17).at_least(11),
        number("duration").at_least(9),
        words("among", RANK + 6).at_least(RANK + 6),
        words("started (UTC)", 14).at_least(14),
        words("state, or error", 40).at_least(18),
        number("transitions"),
        number("usd").at_least(9),
        words("version", 12),
    ]);
    table.rows = rows.iter().map(|it| cells(ui, it, is_of_one, is_of_this_year)).collect();
    table
}

fn cells(ui: &Ui, it: &ExecutionItem, is_of_one: bool, is_of_this_year: bool) -> Vec<Value> {
    let mark = if ui.marks.iter().any(|mark| mark.id == it.id) { "◆ " } else { "" };
    let name =
        if is_of_one { format!("{mark}{}", it.name) } else { format!("{mark}{} › {}", it.machine.name, it.name) };
    let age = age(ui, it);
    // Among those of other machines a place says nothing.
    let rank = content(ui).zip(age).filter(|_| is_of_one).and_then(|(all, age)| all.rank(age));
    let rank_text = rank.map_or_else(String::new, |rank| {
        let bar = bar(rank / 100.0, RANK);
        let pad = " ".repeat(RANK.saturating_sub(bar.chars().count()));
        format!("{bar}{pad} {rank:>3.0} %")
    });
    let slow = if rank.is_some_and(|it| it > 99.0) { Tone::Warn } else { Tone::Dim };
    let error = it.error.clone().unwrap_or_default();
    let what = if it.current.is_empty() {
        Value::text(error).toned(Tone::Bad)
    } else {
        Value::text(it.current.join(", ")).toned(Tone::Accent)
    };
    let duration = text::opt_span(age) + if it.status.is_closed() { "" } else { " …" };
    vec![
        Value::text(name),
        Value::text(format!(
            "{} {}{}",
            crate::gantt::mark_of_status(it.status),
            it.status.as_str(),
            if it.complete || !it.status.is_closed() { "" } else { " ~" }
        ))
        .toned(toned_status(it.status)),
        Value::text(duration),
        Value::text(rank_text).toned(slow),
        Value::text(it.started_at.map_or_else(
            || "–".to_owned(),
            |at| analyzer::time::short(at)[if is_of_this_year { 5 } else { 0 }..].to_owned(),
        )),
        what,
        Value::text(text::count(it.transitions)),
        Value::text(money(it.usd)),
        Value::text(it.version.as_deref().map_or("", |it| it.rsplit(':').next().unwrap_or(it)).to_owned()),
    ]
}
