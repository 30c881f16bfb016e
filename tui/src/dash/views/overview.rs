//! Is anything wrong, and what does it cost?

use std::sync::Arc;

use analyzer::failure_rate::FailureRate;
use analyzer::model::{Micros, Usd};

use super::super::charts::{sparkline, squeezed};
use super::super::data::{Look, LookKind, MachineItem, MoneyItem};
use super::super::keys::Action;
use super::super::line::{Line, Tone, wrapped};
use super::super::screen::{MachineRef, Stop, Subject, View};
use super::super::table::{Table, Value, number, words};
use super::super::ui::Ui;
use super::super::view::{Area, BodyLine, first_visible, light_tone, rule};
use super::executions;
use super::page::dim;
use super::{Content, Panel, Step, machine_copies, money, month};
use crate::collecting::Colour;
use crate::text;

pub(super) struct Overview;

/// Lines of what needs a look, at most, and of how collecting goes.
const LOOKS: usize = 6;
const COLLECTOR: usize = 3;
/// Columns of a small chart.
const CHART: usize = 12;

fn overview(ui: &Ui) -> Option<&Arc<super::super::data::Overview>> {
    match &ui.stop().content {
        Some(Content::Overview(it)) => Some(it),
        _ => None,
    }
}

const ORDERS: [&str; 8] = ["trouble", "name", "failed", "p95", "executions", "paid", "running", "started last hour"];

/// The machines that pass the filter, in the order that was chosen.
fn machines(ui: &Ui) -> Vec<&MachineItem> {
    let stop = ui.stop();
    let wanted = stop.filter.to_lowercase();
    let fits = |it: &&MachineItem| {
        [&it.name, &it.account, &it.region].iter().any(|text| text.to_lowercase().contains(&wanted))
    };
    let mut rows: Vec<&MachineItem> =
        overview(ui).map(|it| it.machines.iter().filter(fits).collect()).unwrap_or_default();
    let share = |it: &MachineItem| it.failure_rate.value().unwrap_or(0.0);
    // Those with something to look at come first, in the order of what it is.
    let looks = &ui.findout.looks;
    let worst = |it: &MachineItem| looks.iter().position(|look| look.machine.arn == it.arn).unwrap_or(usize::MAX);
    match stop.sort.order {
        1 => rows.sort_by(|a, b| a.name.cmp(&b.name)),
        2 => rows.sort_by(|a, b| share(b).total_cmp(&share(a))),
        3 => rows.sort_by_key(|it| std::cmp::Reverse(it.p95)),
        4 => rows.sort_by_key(|it| std::cmp::Reverse(it.executions)),
        5 => rows.sort_by_key(|it| std::cmp::Reverse(money_of(ui, it).and_then(|it| it.paid))),
        6 => rows.sort_by_key(|it| std::cmp::Reverse(it.running)),
        7 => rows.sort_by_key(|it| std::cmp::Reverse(it.last_hour)),
        _ => rows.sort_by_key(|it| worst(it)),
    }
    if stop.sort.is_reversed {
        rows.reverse();
    }
    rows
}

/// What a machine costs, once that is known.
fn money_of<'a>(ui: &'a Ui, machine: &MachineItem) -> Option<&'a MoneyItem> {
    ui.findout.money.iter().find(|it| it.arn == machine.arn)
}

/// What needs a look; with a filter, none: the filter is for machines.
fn looks(ui: &Ui) -> &[Look] {
    if ui.stop().filter.is_empty() { &ui.findout.looks } else { &[] }
}

/// The machine or the look on a row.
enum Row<'a> {
    Look(&'a Look),
    Machine(&'a MachineItem),
}

fn row(ui: &Ui, row: usize) -> Option<Row<'_>> {
    let looks = looks(ui);
    match looks.get(row) {
        Some(look) => Some(Row::Look(look)),
        None => machines(ui).get(row - looks.len()).map(|it| Row::Machine(it)),
    }
}

/// Why there is nothing, and what to do about it.
fn nothing_stored(ui: &Ui) -> Line {
    let light = ui.light();
    match light.colour {
        Colour::Off => Line::new("nothing is stored yet: `stepscope import FILES…` or `stepscope collect`"),
        Colour::Starting => Line::new("nothing is stored yet: the collector is starting"),
        Colour::Live => {
            Line::new(format!("nothing is stored yet: the collector is {}, and has found nothing", light.words))
        }
        Colour::Partly | Colour::Down => {
            let parts = std::iter::once(&light.words).chain(&light.next).chain(&light.fix).cloned().collect::<Vec<_>>();
            let text = format!("{} nothing is stored yet   {}", light.sign(), parts.join("   "));
            Line::toned(text, light_tone(&light))
        }
    }
}

fn reference(it: &MachineItem) -> MachineRef {
    MachineRef { arn: it.arn.clone(), name: it.name.clone() }
}

impl Panel for Overview {
    fn about(&self) -> &'static [&'static str] {
        &[
            "Is anything wrong, and what does it cost? What needs a look comes first; enter goes to it.",
            "▲ slower or failing   ‖ stuck: longer than 99 % of the machine's own   ? not all is known",
            "$ could be cheaper   ▽ better than before.   paid: net of the free tier.",
            "a day, a month: at list price, at the rate of the whole days so far, ± its 95 % interval; `?`: too few days.",
        ]
    }

    fn answer(&self, ui: &Ui) -> Line {
        let rows = machines(ui);
        let Some(overview) = overview(ui) else { return Line::default() };
        if overview.machines.is_empty() {
            return match overview.newest {
                None => nothing_stored(ui),
                Some(newest) => Line::new(format!(
                    "nothing started in the {}; the newest execution started {} ago: t chooses another time",
                    ui.preferences.range.said(),
                    text::span(ui.now - newest)
                )),
            };
        }
        if rows.is_empty() {
            return Line::new("no machine fits the filter");
        }
        let sum = |of: fn(&MachineItem) -> u64| rows.iter().map(|it| of(it)).sum::<u64>();
        let covered = |it: &&&MachineItem| it.counted.unwrap_or((it.complete, it.executions));
        let (complete, there_were) =
            rows.iter().map(|it| covered(&it)).fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        let paid: Option<Usd> = rows.iter().map(|it| money_of(ui, it).and_then(|it| it.paid)).sum();
        let failed = FailureRate::of_all(rows.iter().map(|it| it.failure_rate));
        let n_wrong = ui.findout.looks.iter().filter(|it| it.kind < LookKind::Money).count();
        let mut line = match n_wrong {
            0 if ui.findout_trouble.is_some() => Line::toned("whether anything is wrong is not known", Tone::Warn),
            0 if ui.findout_again.is_none() => Line::toned("looking …", Tone::Dim),
            0 => Line::toned("nothing is wrong", Tone::Good),
            n => Line::toned(format!("{n} {} wrong", if n == 1 { "thing is" } else { "things are" }), Tone::Bad),
        };
        line.push(
            format!(
                "   {} machines, {} executions   {} failed ({})   paid {}   coverage {}",
                rows.len(),
                text::count(sum(|it| it.executions)),
                text::count(failed.failed()),
                text::failure_rate(failed),
                match paid {
                    Some(paid) => text::usd(paid),
                    None if ui.findout.money.is_empty() => "…".to_owned(),
                    None => "not known".to_owned(),
                },
                text::percent(complete, there_were),
            ),
            Tone::Plain,
        );
        let light = ui.light();
        if light.colour == Colour::Down {
            let parts = std::iter::once(&light.words).chain(&light.next).chain(&light.fix).cloned().collect::<Vec<_>>();
            line.push(format!("   {} {}", light.sign(), parts.join("   ")), Tone::Bad);
        }
        for it in ui.findout_trouble.iter().chain(&ui.findout.limits) {
            line.push(format!("   {it}"), Tone::Warn);
        }
        line
    }

    fn body(&self, ui: &Ui, area: Area) -> Vec<BodyLine> {
        let Some(overview) = overview(ui) else { return Vec::new() };
        let looks = looks(ui);
        let mut lines = look_lines(ui, looks, area);
        let said = overview.collector.iter().flat_map(|it| wrapped(it, area.width.saturating_sub(2)));
        let collector: Vec<BodyLine> = said.take(COLLECTOR).map(|it| dim(format!("  {it}"))).collect();
        let below = if collector.is_empty() { 0 } else { collector.len() + 1 };
        let table = table(ui);
        let room = area.height.saturating_sub(lines.len() + 1 + below);
        let cursor = ui.stop().row.saturating_sub(looks.len());
        let first = first_visible(cursor, table.rows.len(), room);
        let (head, rows) = table.lines(area.width.saturating_sub(2), first..first + room);
        lines.push(BodyLine::of(Line::new("  ").and(head)));
        let n_rows = rows.len();
        lines.extend(rows.into_iter().enumerate().map(|(index, it)| BodyLine::row(looks.len() + first + index, it)));
        if below > 0 {
            lines.extend((n_rows..room).map(|_| BodyLine::default()));
            lines.push(rule(area.width));
            lines.extend(collector);
        }
        lines
    }

    fn n_rows(&self, ui: &Ui) -> usize {
        looks(ui).len() + machines(ui).len()
    }

    fn keys(&self) -> &'static [Action] {
        use Action::{Bottlenecks, Command, Cost, Filter, Incident, Machine, Open, Quit, Range, Sort};
        &[Open, Bottlenecks, Cost, Incident, Machine, Range, Sort, Filter, Command, Quit]
    }

    fn act(&self, ui: &mut Ui, action: Action) -> Option<Step> {
        if !matches!(action, Action::Open | Action::Right) {
            return None;
        }
        Some(match row(ui, ui.stop().row) {
            Some(Row::Look(look)) => Step::Go(Box::new(stop_of(look))),
            Some(Row::Machine(it)) => {
                Step::Go(Box::new(Stop::new(View::Executions, Some(reference(it)), Subject::Nothing)))
            }
            None => Step::Stay,
        })
    }

    fn orders(&self) -> &'static [&'static str] {
        &ORDERS
    }

    fn key(&self, ui: &Ui, at: usize) -> Option<String> {
        Some(match row(ui, at)? {
            Row::Look(it) => format!("{:?} {} {}", it.kind, it.machine.arn, it.what),
            Row::Machine(it) => it.arn.clone(),
        })
    }

    fn machine(&self, ui: &Ui, at: usize) -> Option<MachineRef> {
        Some(match row(ui, at)? {
            Row::Look(it) => it.machine.clone(),
            Row::Machine(it) => reference(it),
        })
    }

    fn copies(&self, ui: &Ui) -> Vec<(char, String, String)> {
        machine_copies(self.machine(ui, ui.stop().row).as_ref())
    }

    fn table(&self, ui: &Ui) -> Table {
        table(ui)
    }
}

/// Where a look leads: to the executions that it is about, where it is about some.
fn stop_of(look: &Look) -> Stop {
    let mut stop = Stop::new(look.view, Some(look.machine.clone()), Subject::Nothing);
    // The view shows the figures of the same ranges.
    (stop.baseline, stop.incident) = look.ranges.unzip();
    match look.kind {
        LookKind::Stuck | LookKind::Unseen if look.view == View::Executions => {
            stop.subject = Subject::Open;
            stop.sort.order = executions::SLOWEST;
        }
        LookKind::Failing if look.view == View::Executions => stop.sort.order = executions::FAILED,
        _ => {}
    }
    stop
}

fn look_lines(ui: &Ui, looks: &[Look], area: Area) -> Vec<BodyLine> {
    if looks.is_empty() {
        return Vec::new();
    }
    let cursor = ui.stop().row;
    // On a low screen the machines come before the last of the looks.
    let room = LOOKS.min(area.height / 3).max(1);
    let first = first_visible(cursor.min(looks.len() - 1), looks.len(), room);
    let widest =
        |of: fn(&Look) -> &str| looks.iter().map(|it| unicode_width::UnicodeWidthStr::width(of(it))).max().unwrap_or(0);
    let (name, what) = (widest(|it| &it.machine.name).min(28), widest(|it| &it.what).min(48));
    let hidden = looks.len().saturating_sub(room);
    let more = if hidden > 0 { format!(" ({} of {})", room, looks.len()) } else { String::new() };
    let mut lines = vec![BodyLine::of(Line::toned(format!("  Needs a look{more}"), Tone::Strong))];
    for (row, it) in looks.iter().enumerate().skip(first).take(room) {
        let (sign, tone) = sign(it.kind);
        let mut line = Line::toned(format!("{sign} "), tone);
        let mut machine = Line::new(text::cut(&it.machine.name, name));
        machine.pad(name + 2);
        let mut told = Line::toned(text::cut(&it.what, what), tone);
        told.pad(what + 2);
        line = line.and(machine).and(told);
        let is_cut = line.width() + 2 + unicode_width::UnicodeWidthStr::width(it.detail.as_str()) > area.width;
        lines.push(BodyLine::row(row, line.with(it.detail.clone(), Tone::Plain)));
        // Of the one under the cursor everything can be read.
        if is_cut && row == cursor {
            let whole = wrapped(&it.detail, area.width.saturating_sub(7));
            lines.extend(whole.into_iter().map(|it| BodyLine::of(Line::toned(format!("      {it}"), Tone::Plain))));
        }
    }
    lines.push(rule(area.width));
    lines
}

fn sign(kind: LookKind) -> (char, Tone) {
    match kind {
        LookKind::Failing | LookKind::Slower => ('▲', Tone::Bad),
        LookKind::Stuck => ('‖', Tone::Bad),
        LookKind::Unseen => ('?', Tone::Warn),
        LookKind::Money => ('$', Tone::Warn),
        LookKind::Better => ('▽', Tone::Good),
    }
}

fn table(ui: &Ui) -> Table {
    let rows = machines(ui);
    let overview = overview(ui);
    let differ = |of: fn(&MachineItem) -> &str| {
        overview.is_some_and(|it| it.machines.windows(2).any(|pair| of(&pair[0]) != of(&pair[1])))
    };
    let (accounts, regions) = (differ(|it| &it.account), differ(|it| &it.region));
    let mut columns = vec![
        words("machine", 30).at_least(14),
        words("type", 4),
        number("failed"),
        number("p50 ≈"),
        number("p95 ≈"),
        number("runs"),
        number("paid"),
        number("now"),
        number("last h"),
        words("p95 over time", CHART),
        number("a day"),
        number("a month"),
        words("started", CHART),
    ];
    // Where there are several, what they are told apart by comes before the small charts.
    if regions {
        columns.insert(2, words("region", 14));
    }
    if accounts {
        columns.insert(2, words("account", 12));
    }
    let mut table = Table::new(columns);
    for it in rows {
        let mut cells = machine_cells(it, money_of(ui, it));
        if regions {
            cells.insert(2, Value::text(it.region.clone()));
        }
        if accounts {
            cells.insert(2, Value::text(it.account.clone()));
        }
        table.rows.push(cells);
    }
    table
}

fn machine_cells(it: &MachineItem, costs: Option<&MoneyItem>) -> Vec<Value> {
    let span = |it: Option<Micros>| Value::text(text::opt_span(it));
    let failing = match it.failure_rate.value() {
        Some(rate) if rate > 0.05 => Tone::Bad,
        Some(_) => Tone::Plain,
        None => Tone::Dim,
    };
    let trend: Vec<Option<i64>> = it.trend.iter().map(|it| it.map(|it| it.0)).collect();
    let starts: Vec<Option<i64>> = it.starts.iter().map(|it| Some(it.cast_signed())).collect();
    vec![
        Value::text(it.name.clone()),
        Value::text(if it.workflow_type == "EXPRESS" { "EXP" } else { "STD" }),
        Value::text(text::failure_rate(it.failure_rate)).toned(failing),
        span(it.p50),
        span(it.p95),
        Value::text(text::count(it.executions)),
        Value::text(costs.map_or_else(|| "…".to_owned(), |it| money(it.paid))),
        Value::text(text::count(it.running)).toned(if it.running > 0 { Tone::Accent } else { Tone::Dim }),
        Value::text(text::count(it.last_hour)),
        Value::text(sparkline(&squeezed(&trend, CHART))),
        Value::text(costs.map_or_else(|| "…".to_owned(), |it| money(it.per_day))),
        Value::text(
            costs.map_or_else(|| "…".to_owned(), |it| it.month.map_or_else(|| "–".to_owned(), |it| month(it.0, it.1))),
        ),
        Value::text(sparkline(&squeezed(&starts, CHART))),
    ]
}
