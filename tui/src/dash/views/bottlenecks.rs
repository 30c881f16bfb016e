//! Which states decide how long runs take, and what would help?

use analyzer::model::{Micros, Name, StateType, Usd};
use analyzer::outcome::Distribution;
use analyzer::population::StateFinding;
use analyzer::timeline::Category;

use super::super::charts::bar;
use super::super::data::Effects;
use super::super::keys::Action;
use super::super::line::{Line, Tone};
use super::super::screen::Stop;
use super::super::table::{Table, Value, number, words};
use super::super::ui::Ui;
use super::super::view::{Area, BodyLine, first_visible, rule};
use super::machine::{runs, study};
use super::{Panel, Step, money};
use crate::gantt;
use crate::safe::Command;
use crate::text;

pub(super) struct Bottlenecks;

/// Columns of a share's bar, and of a slider.
const BAR: usize = 20;
const SLIDER: usize = 20;
/// A step of the slider.
const STEP: f64 = 0.1;
/// Lines of the what-if.
const WHAT_IF: usize = 9;

const ORDERS: [&str; 5] = ["share", "gain if free", "p99", "retries", "slack"];

fn rows(ui: &Ui) -> Vec<&StateFinding> {
    let Some(study) = study(ui) else { return Vec::new() };
    let stop = ui.stop();
    let wanted = stop.filter.to_lowercase();
    let mut rows: Vec<&StateFinding> =
        study.findings.states.iter().filter(|it| it.state.to_lowercase().contains(&wanted)).collect();
    match stop.sort.order {
        1 => rows.sort_by_key(|it| std::cmp::Reverse(it.bound_p95)),
        2 => rows.sort_by_key(|it| std::cmp::Reverse(it.p99)),
        3 => rows.sort_by_key(|it| std::cmp::Reverse(it.retried_visits)),
        4 => rows.sort_by_key(|it| it.slack_p50),
        _ => {}
    }
    if stop.sort.is_reversed {
        rows.reverse();
    }
    rows
}

/// The category that a state's part of the path is most in, and its share of that.
#[expect(clippy::cast_precision_loss, reason = "a share")]
fn mostly(it: &StateFinding) -> Option<(Category, f64)> {
    let total = it.critical.total().0 as f64;
    let most = Category::ALL.into_iter().max_by_key(|category| it.critical[*category])?;
    (total > 0.0).then(|| (most, it.critical[most].0 as f64 / total))
}

impl Panel for Bottlenecks {
    fn about(&self) -> &'static [&'static str] {
        &[
            "Which states decide how long runs take? The share of the critical path ranks them.",
            "if free: by how much the p95 would fall if the state took no time at all. slack: by how much it could be",
            "slower without effect. ← → slide the work of the state under the cursor, - + the items of a Map at once;",
            "o, R, C leave out back-off, retries and cold starts; 0 takes it all back. Runs are re-simulated, not scaled.",
        ]
    }

    fn answer(&self, ui: &Ui) -> Line {
        let Some(study) = study(ui) else { return Line::default() };
        let it = &study.findings;
        let mut line = match it.states.first().zip(it.states.first().and_then(mostly)) {
            Some((top, (category, share))) => Line::toned(
                format!(
                    "{} is {:.0} % of the critical path; {:.0} % of that is {}",
                    top.state,
                    top.share * 100.0,
                    share * 100.0,
                    category.as_str()
                ),
                Tone::Strong,
            ),
            None => Line::new("no closed and complete run to judge by"),
        };
        line.push(
            format!(
                "   p50 {}  p95 {}  p99 {}",
                text::opt_span(it.p50),
                text::opt_span(it.p95),
                text::opt_span(it.p99)
            ),
            Tone::Plain,
        );
        line.with(format!("   {}", runs(study)), Tone::Dim)
    }

    fn body(&self, ui: &Ui, area: Area) -> Vec<BodyLine> {
        let rows = rows(ui);
        let below = what_if(ui, rows.get(ui.stop().row).copied(), area.width);
        let room = area.height.saturating_sub(below.len() + 2).min(rows.len());
        let first = first_visible(ui.stop().row, rows.len(), room);
        let table = table(&rows);
        let (head, lines) = table.lines(area.width.saturating_sub(2), first..first + room);
        let mut all = vec![BodyLine::of(Line::new("  ").and(head))];
        all.extend(lines.into_iter().enumerate().map(|(index, it)| BodyLine::row(first + index, it)));
        all.push(rule(area.width));
        all.extend(below.into_iter().map(BodyLine::of));
        let left = area.height.saturating_sub(all.len());
        all.extend(patterns(ui, area.width, left));
        all
    }

    fn n_rows(&self, ui: &Ui) -> usize {
        rows(ui).len()
    }

    fn keys(&self) -> &'static [Action] {
        use Action::{Back, Left, MoreSlots, NextMachine, NoBackoff, NoRetries, Quit, Reset, Right, Sort};
        &[Left, Right, NoBackoff, NoRetries, MoreSlots, Reset, Sort, NextMachine, Back, Quit]
    }

    fn act(&self, ui: &mut Ui, action: Action) -> Option<Step> {
        let rows = rows(ui);
        let state = rows.get(ui.stop().row).map(|it| (it.state.clone(), it.kind, slots(it)));
        match action {
            Action::Left => slide(ui, state?.0, -STEP),
            Action::Right => slide(ui, state?.0, STEP),
            Action::MoreSlots => step_slots(ui, state?, true),
            Action::FewerSlots => step_slots(ui, state?, false),
            Action::NoBackoff => ui.stop_mut().scenario.no_backoff ^= true,
            Action::NoRetries => ui.stop_mut().scenario.no_retries ^= true,
            Action::NoColdStarts => ui.stop_mut().scenario.no_cold_starts ^= true,
            Action::Reset => ui.stop_mut().scenario = analyzer::what_if::Scenario::default(),
            Action::Open => {
                let arn = rows.get(ui.stop().row)?.worst.as_ref()?.to_string();
                let machine = ui.stop().machine.clone();
                let stop = Stop::new(super::View::Timeline, machine, super::Subject::Execution(arn));
                return Some(Step::Go(Box::new(stop)));
            }
            _ => return None,
        }
        Some(Step::Simulate)
    }

    fn orders(&self) -> &'static [&'static str] {
        &ORDERS
    }

    fn key(&self, ui: &Ui, row: usize) -> Option<String> {
        rows(ui).get(row).map(|it| it.state.to_string())
    }

    fn table(&self, ui: &Ui) -> Table {
        table(&rows(ui))
    }

    fn copies(&self, ui: &Ui) -> Vec<(char, String, String)> {
        let machine = ui.stop().machine.as_ref().map_or("", |it| &it.arn);
        vec![('s', "command that asks the same of all runs".to_owned(), command(ui, machine))]
    }
}

/// The command of the scenario.
fn command(ui: &Ui, machine: &str) -> String {
    let scenario = &ui.stop().scenario;
    let mut command = Command::new("stepscope whatif").argument(machine);
    for (state, factor) in &scenario.work {
        command = command.option("--work", &format!("{state}={factor:.1}"));
    }
    for (map, limit) in &scenario.concurrency {
        command = command.option("--concurrency", &format!("{map}={limit}"));
    }
    let (since, until) = ui.preferences.range.bounds(ui.now);
    for (flag, at) in [("--since", since), ("--until", until)] {
        if let Some(at) = at {
            command = command.plain_option(&format!("{flag} {}", analyzer::time::format(at)));
        }
    }
    for (is_on, flag) in [
        (scenario.no_backoff, "--no-backoff"),
        (scenario.no_retries, "--no-retries"),
        (scenario.no_cold_starts, "--no-cold-starts"),
    ] {
        if is_on {
            command = command.plain_option(flag);
        }
    }
    command.to_string()
}

fn slide(ui: &mut Ui, state: Name, step: f64) {
    let work = &mut ui.stop_mut().scenario.work;
    let factor = work.get(&state).copied().unwrap_or(1.0) + step;
    // Tenths, so that ten steps are exactly one.
    let factor = ((factor / STEP).round() * STEP * 10.0).round() / 10.0;
    if (factor - 1.0).abs() < STEP / 2.0 {
        work.remove(&state);
    } else {
        work.insert(state, factor.clamp(0.0, 3.0));
    }
}

/// How many items of a Map run at once: as observed where some waited, else as allowed.
fn slots(it: &StateFinding) -> Option<usize> {
    it.limit.or(it.allowed)
}

fn step_slots(ui: &mut Ui, (state, kind, slots): (Name, Option<StateType>, Option<usize>), is_up: bool) {
    if kind != Some(StateType::Map) {
        ui.notice = Some(format!("{state} is no Map: only a Map has a limit of items at once"));
        return;
    }
    let concurrency = &mut ui.stop_mut().scenario.concurrency;
    let Some(now) = concurrency.get(&state).copied().or(slots) else {
        ui.notice = Some(format!("{state} has no limit that is known: `:whatif` takes one with --concurrency"));
        return;
    };
    let next = if is_up { now + 1 } else { now.saturating_sub(1).max(1) };
    if Some(next) == slots {
        concurrency.remove(&state);
    } else {
        concurrency.insert(state, next);
    }
}

// ---- what is drawn --------------------------------------------------------------------------------------------------

fn table(rows: &[&StateFinding]) -> Table {
    let mut table = Table::new(vec![
        words("state", 28).at_least(12),
        words("share of the critical path", BAR + 6),
        words("of that", 22),
        number("p95 if free"),
        number("slack"),
        number("p50"),
        number("p99"),
        number("tail"),
        number("retried"),
        number("failed"),
        words("error", 40),
    ]);
    table.rows = rows.iter().map(|it| cells(it)).collect();
    table
}

#[expect(clippy::cast_precision_loss, reason = "ratios for people")]
fn cells(it: &StateFinding) -> Vec<Value> {
    let bar = bar(it.share, BAR);
    let pad = " ".repeat(BAR.saturating_sub(bar.chars().count()));
    let of_that = mostly(it).map_or_else(String::new, |(category, share)| {
        format!("{} {} {:.0} %", gantt::glyph(category), category.as_str(), share * 100.0)
    });
    let tail = it.p50.zip(it.p99).filter(|it| it.0.0 > 0).map(|(p50, p99)| p99.0 as f64 / p50.0 as f64);
    let span = |it: Option<Micros>| Value::text(text::opt_span(it));
    let retried = if it.retried_visits > 0 { Tone::Warn } else { Tone::Dim };
    let failed = if it.failures > 0 { Tone::Bad } else { Tone::Dim };
    vec![
        Value::text(&*it.state),
        Value::text(format!("{bar}{pad} {:>3.0} %", it.share * 100.0)).toned(Tone::Strong),
        Value::text(of_that).toned(mostly(it).map_or(Tone::Plain, |it| Tone::Time(it.0, false))),
        Value::text(it.bound_p95.map_or_else(|| "–".to_owned(), |it| text::span(Micros(-it.0)))),
        span(it.slack_p50),
        span(it.p50),
        span(it.p99),
        Value::text(tail.map_or_else(|| "–".to_owned(), |it| format!("×{it:.1}"))),
        Value::text(text::percent(it.retried_visits, it.visits)).toned(retried),
        Value::text(text::percent(it.failures, it.visits)).toned(failed),
        Value::text(it.error.as_ref().map_or_else(String::new, |(error, count)| format!("{error} ×{count}"))),
    ]
}

/// The sliders, and what they do.
fn what_if(ui: &Ui, selected: Option<&StateFinding>, width: usize) -> Vec<Line> {
    let stop = ui.stop();
    let scenario = &stop.scenario;
    let mut lines = Vec::new();
    let mut first = Line::toned(" What if", Tone::Strong);
    if let Some(it) = selected {
        let factor = scenario.work.get(&it.state).copied().unwrap_or(1.0);
        first.push(format!("   work of {}", it.state), Tone::Plain);
        first.push(format!(" {:.0} % ", factor * 100.0), Tone::Strong);
        first.push(slider(factor / 2.0), Tone::Accent);
        if it.kind == Some(StateType::Map) {
            let limit = scenario.concurrency.get(&it.state).copied().or(slots(it));
            let said = limit.map_or_else(|| "not limited".to_owned(), |limit| format!("{limit} at once"));
            first.push(format!("   items: {said}"), Tone::Strong);
        }
    }
    lines.push(first);
    let changed: Vec<String> = stop
        .changed_states()
        .iter()
        .filter(|name| selected.is_none_or(|it| it.state != **name))
        .map(|name| {
            let work = scenario.work.get(name).map(|it| format!("work {:.0} %", it * 100.0));
            let slots = scenario.concurrency.get(name).map(|it| format!("{it} at once"));
            format!("{name}: {}", work.into_iter().chain(slots).collect::<Vec<_>>().join(", "))
        })
        .collect();
    let mut flags = Line::new("  ");
    for (is_on, what) in [
        (scenario.no_backoff, "no back-off"),
        (scenario.no_retries, "no retries"),
        (scenario.no_cold_starts, "no cold starts"),
    ] {
        flags.push(
            format!(" [{}] {what}  ", if is_on { 'x' } else { ' ' }),
            if is_on { Tone::Strong } else { Tone::Dim },
        );
    }
    flags.push(changed.join("   "), Tone::Strong);
    lines.push(flags);
    match (&stop.effects, *scenario == analyzer::what_if::Scenario::default()) {
        (_, true) => lines.push(Line::toned("  as recorded; ← → slide the work of this state", Tone::Dim)),
        (Some((of, effects)), false) if of == scenario => lines.extend(effect_lines(effects, width)),
        (_, false) => lines.push(Line::toned("  re-simulating …", Tone::Dim)),
    }
    lines.truncate(WHAT_IF);
    lines
}

/// A slider from 0 to 200 %.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "columns of a screen"
)]
fn slider(part: f64) -> String {
    let at = ((part.clamp(0.0, 1.0) * SLIDER as f64).round() as usize).min(SLIDER);
    format!("[{}●{}]", "─".repeat(at), "─".repeat(SLIDER - at))
}

fn effect_lines(effects: &Effects, width: usize) -> Vec<Line> {
    let value = |of: fn(&Distribution) -> Option<Micros>| (of(&effects.before), of(&effects.after));
    let parts = [
        ("p50", value(|it| it.p50)),
        ("p95", value(|it| it.p95)),
        ("p99", value(|it| it.p99)),
        ("mean", value(|it| it.mean)),
    ];
    let longest = parts.iter().filter_map(|it| it.1.0.max(it.1.1)).max().unwrap_or_default();
    let room = width.saturating_sub(52).min(60);
    let mut lines: Vec<Line> =
        parts.into_iter().map(|(name, (before, after))| effect_line(name, before, after, longest, room)).collect();
    let mut money_line = Line::new("  list price ".to_owned());
    money_line.push(format!("{} → {}", money(effects.usd_before), money(effects.usd_after)), Tone::Strong);
    let saved = effects.usd_before.zip(effects.usd_after).map(|(a, b)| a.as_f64() - b.as_f64());
    if let Some(saved) = saved.filter(|it| it.abs() > 1e-12) {
        let usd = Usd::parse(&format!("{:.12}", saved.abs()));
        money_line.push(
            format!("  ({}{})", if saved > 0.0 { "−" } else { "+" }, usd.map_or_else(String::new, text::usd)),
            Tone::Plain,
        );
    }
    if effects.left_out > 0 {
        money_line
            .push(format!("   {} runs that cannot be re-simulated are left out of both", effects.left_out), Tone::Dim);
    }
    lines.push(money_line);
    lines
}

#[expect(clippy::cast_precision_loss, reason = "a part of a bar")]
fn effect_line(name: &str, before: Option<Micros>, after: Option<Micros>, longest: Micros, room: usize) -> Line {
    let mut line = Line::new(format!("  {name:<5}{:>10} → ", text::opt_span(before)));
    let tone = match before.cmp(&after) {
        std::cmp::Ordering::Greater => Tone::Good,
        std::cmp::Ordering::Less => Tone::Bad,
        std::cmp::Ordering::Equal => Tone::Plain,
    };
    line.push(format!("{:<10}", text::opt_span(after)), tone);
    if let (Some(before), Some(after)) = (before, after) {
        let percent = if before.0 > 0 { (after.0 - before.0) as f64 * 100.0 / before.0 as f64 } else { 0.0 };
        line.push(format!("{:>9}  ", format!("{percent:+.1} %").replace('-', "−")), tone);
        let part = |it: Micros| it.0 as f64 / longest.0.max(1) as f64;
        let kept = bar(part(before.min(after)), room);
        let rest = bar(part(before.max(after)), room).chars().count().saturating_sub(kept.chars().count());
        line.push(kept, Tone::Strong);
        line.push((if after < before { "░" } else { "▒" }).repeat(rest), tone);
    }
    line
}

/// What else was found, as far as there is room.
fn patterns(ui: &Ui, width: usize, room: usize) -> Vec<BodyLine> {
    let Some(study) = study(ui) else { return Vec::new() };
    if study.patterns.is_empty() || room < 3 {
        return Vec::new();
    }
    let lines = study.patterns.iter().flat_map(|it| super::super::line::wrapped(it, width.saturating_sub(3)));
    std::iter::once(rule(width)).chain(lines.map(|it| BodyLine::of(Line::new(format!(" {it}"))))).take(room).collect()
}
