//! What do we pay, what would we pay, what should we do?

use analyzer::model::Usd;
use unicode_width::UnicodeWidthStr;

use super::super::charts::bar;
use super::super::data::{BreakEven, Content, CostStudy, HybridPart};
use super::super::keys::Action;
use super::super::line::{Line, Tone, wrapped};
use super::super::table::{Table, Value, number, words};
use super::super::ui::Ui;
use super::super::view::{Area, BodyLine, first_visible};
use super::{Panel, Step, money, month};
use crate::text;

pub(super) struct Cost;

const LABEL: usize = 18;
/// Days and states that are shown, at most.
const DAYS: usize = 31;
const STATES: usize = 40;
/// Rows and columns of the break-even plot.
const PLOT: (usize, usize) = (8, 60);

fn study(ui: &Ui) -> Option<&CostStudy> {
    match &ui.stop().content {
        Some(Content::Cost(it)) => Some(it),
        _ => None,
    }
}

impl Panel for Cost {
    fn about(&self) -> &'static [&'static str] {
        &[
            "What do we pay, what would we pay, what should we do? The same runs, measured, priced as either type.",
            "Paid is net of the free tier; bars are list prices, but for the states of an Express machine.",
            "Express needs logs at level ALL for its timelines: they are part of its price.",
            "n and p turn to the next machine; `:cost --by error` and the like split the bill in other ways.",
        ]
    }

    fn answer(&self, ui: &Ui) -> Line {
        let Some(it) = study(ui) else { return Line::default() };
        if it.executions == 0 {
            return Line::toned(
                format!("nothing of it ran in this range ({})", ui.preferences.range.label()),
                Tone::Dim,
            );
        }
        let mut line = Line::toned(format!("{} paid", money(it.paid)), Tone::Strong);
        line.push(format!(" for {} executions", text::count(it.executions)), Tone::Plain);
        if let Some((usd, interval)) = it.month {
            line.push(format!("   {} a month", month(usd, interval)), Tone::Plain);
        }
        match it.saves_a_month.filter(|it| *it > Usd::ZERO) {
            Some(saves) => line.push(format!("   {} a month can be saved", text::usd(saves)), Tone::Warn),
            None => line.push("   nothing known to save", Tone::Dim),
        }
        line.with(format!("   {}", it.prices), Tone::Dim)
    }

    fn body(&self, ui: &Ui, area: Area) -> Vec<BodyLine> {
        let lines = lines(ui, area.width);
        let first = first_visible(ui.stop().row, lines.len(), area.height);
        lines.into_iter().enumerate().skip(first).take(area.height).map(|(row, it)| BodyLine::row(row, it)).collect()
    }

    fn n_rows(&self, ui: &Ui) -> usize {
        lines(ui, usize::from(ui.width)).len()
    }

    fn keys(&self) -> &'static [Action] {
        use Action::{Back, Bottlenecks, Command, Export, NextMachine, Quit, Range};
        &[NextMachine, Range, Bottlenecks, Export, Command, Back, Quit]
    }

    fn act(&self, ui: &mut Ui, action: Action) -> Option<Step> {
        (action == Action::Open).then(|| {
            ui.notice =
                Some("`:cost --by error`, `:cost --what-if type=express` and `export focus` have more".to_owned());
            Step::Stay
        })
    }

    fn table(&self, ui: &Ui) -> Table {
        let mut table = Table::new(vec![words("what", 24), words("of", 40), number("transitions"), number("usd")]);
        let Some(it) = study(ui) else { return table };
        let mut row = |what: &str, of: &str, transitions: Option<u64>, usd: Option<Usd>| {
            let transitions = transitions.map_or_else(String::new, |it| it.to_string());
            let usd = usd.map_or_else(String::new, Usd::to_decimal);
            table.rows.push(vec![Value::text(what), Value::text(of), Value::text(transitions), Value::text(usd)]);
        };
        row("paid", it.workflow_type, Some(it.transitions), it.paid);
        row("as Standard", "", Some(it.transitions), it.standard);
        row("as Express", "", None, it.express);
        row("logs of Express", "", None, it.express_logs);
        for HybridPart { states, saves, .. } in &it.hybrid {
            row("saved by an Express child", &states.join(", "), None, Some(*saves));
        }
        for (what, usd) in &it.waste {
            row("waste", what, None, Some(*usd));
        }
        for (state, transitions, _, usd) in &it.by_state {
            row("state", state, Some(*transitions), *usd);
        }
        for (day, standard, express) in &it.by_day {
            row("day as Standard", day, None, *standard);
            row("day as Express", day, None, *express);
        }
        table
    }
}

fn lines(ui: &Ui, width: usize) -> Vec<Line> {
    let Some(it) = study(ui).filter(|it| it.executions > 0) else { return Vec::new() };
    let width = width.saturating_sub(2);
    let mut lines = types(it, width);
    lines.extend(findings("blocker", Tone::Bad, &it.blockers, width));
    for it in &it.sentences {
        lines.extend(labelled("", Tone::Plain, it, width));
    }
    lines.extend(waste(it, width));
    lines.extend(by_state(it, width));
    lines.extend(by_day(it, width));
    if let Some(break_even) = it.break_even {
        lines.extend(plot(break_even, it.workflow_type, width));
    }
    if !it.risks.is_empty() {
        lines.extend(heading("Risks", "of moving to Express"));
        lines.extend(findings("risk", Tone::Warn, &it.risks, width));
    }
    lines.push(Line::default());
    lines.extend(it.assumptions.iter().flat_map(|it| wrapped(it, width)).map(|it| Line::toned(it, Tone::Dim)));
    lines
}

fn findings(label: &str, tone: Tone, found: &[(String, String)], width: usize) -> Vec<Line> {
    let said = |(state, detail): &(String, String)| {
        if state.is_empty() { detail.clone() } else { format!("{state}: {detail}") }
    };
    found.iter().flat_map(|it| labelled(label, tone, &said(it), width)).collect()
}

fn heading(text: &str, note: &str) -> [Line; 2] {
    [Line::default(), Line::toned(text, Tone::Strong).with(format!("   {note}"), Tone::Dim)]
}

/// A text behind a label, in lines.
fn labelled(label: &str, tone: Tone, said: &str, width: usize) -> Vec<Line> {
    let pieces = wrapped(said, width.saturating_sub(LABEL));
    let line = |(index, text): (usize, String)| {
        let label = if index == 0 { label } else { "" };
        Line::toned(format!("{label:<LABEL$}"), tone).with(text, Tone::Plain)
    };
    pieces.into_iter().enumerate().map(line).collect()
}

/// An amount with its bar, and a note behind it, or below it where there is no room.
fn amount(label: &str, usd: Option<Usd>, of: f64, width: usize, tone: Tone, note: &str) -> Vec<Line> {
    let room = width.saturating_sub(LABEL + 50).clamp(10, 60);
    let part = usd.map_or(0.0, Usd::as_f64) / of.max(f64::MIN_POSITIVE);
    let mut line = Line::new(format!("{:<LABEL$}", text::cut(label, LABEL - 1)));
    line.push(format!("{:>12}  ", money(usd)), Tone::Strong);
    line.push(bar(part, room), tone);
    line.pad(LABEL + 14 + room + 2);
    if line.width() + note.width() <= width {
        return vec![line.with(note, Tone::Dim)];
    }
    let below = wrapped(note, width.saturating_sub(LABEL + 2));
    let below = below.into_iter().map(|it| Line::toned(format!("{:LABEL$}{it}", ""), Tone::Dim));
    std::iter::once(line).chain(below).collect()
}

fn types(it: &CostStudy, width: usize) -> Vec<Line> {
    let express = it.express.zip(it.express_logs).map(|(usd, logs)| usd + logs);
    let saved: Usd = it.hybrid.iter().map(|it| it.saves).sum();
    let hybrid = it.standard.filter(|_| !it.hybrid.is_empty()).map(|usd| usd - saved.min(usd));
    let most = [it.standard, express, hybrid].into_iter().flatten().map(Usd::as_f64).fold(0.0, f64::max);
    let is_standard = it.workflow_type == "STANDARD";
    let now = |is_now: bool| if is_now { " (now)" } else { "" };
    let logs =
        it.express_logs.map_or_else(String::new, |logs| format!("{} + logs {}", money(it.express), text::usd(logs)));
    let possible = match it.is_eligible {
        Some(true) if is_standard => format!("{logs}   possible"),
        Some(false) => format!("{logs}   not possible: {} blockers", it.blockers.len()),
        _ => logs,
    };
    let free = it.standard.zip(it.paid).map(|(list, paid)| list - paid).filter(|free| is_standard && *free > Usd::ZERO);
    let free = free.map_or_else(String::new, |free| format!(", {} of it free", text::usd(free)));
    let transitions = format!("{} transitions{free}", text::count(it.transitions));
    let mut lines =
        amount(&format!("Standard{}", now(is_standard)), it.standard, most, width, Tone::Accent, &transitions);
    lines.extend(amount(&format!("Express{}", now(!is_standard)), express, most, width, Tone::Good, &possible));
    if hybrid.is_some() {
        lines.extend(amount("Hybrid", hybrid, most, width, Tone::Warn, &format!("saves {}", text::usd(saved))));
        for HybridPart { states, saves, saves_between } in &it.hybrid {
            let sure = saves_between
                .map_or_else(String::new, |(low, high)| format!(" ({} to {})", text::usd(low), text::usd(high)));
            let said = format!("{} as an Express child saves {}{sure}", states.join(", "), text::usd(*saves));
            lines.extend(labelled("", Tone::Plain, &said, width));
        }
    }
    lines
}

fn waste(it: &CostStudy, width: usize) -> Vec<Line> {
    if it.waste.is_empty() {
        return Vec::new();
    }
    let most = it.standard.map_or(0.0, Usd::as_f64);
    let mut lines: Vec<Line> = heading("Waste", "at list price; each bar is a part of all transitions").into();
    lines.extend(it.waste.iter().flat_map(|(what, usd)| amount(what, Some(*usd), most, width, Tone::Warn, "")));
    lines
}

fn by_state(it: &CostStudy, width: usize) -> Vec<Line> {
    let most = it.by_state.iter().filter_map(|it| it.3).map(Usd::as_f64).fold(0.0, f64::max);
    let note = if it.workflow_type == "STANDARD" {
        "list price of its transitions"
    } else {
        "what was paid, shared by time on the critical path"
    };
    let mut lines: Vec<Line> = heading("By state", note).into();
    for (state, transitions, retries, usd) in it.by_state.iter().take(STATES) {
        let retried = if *retries > 0 { format!(", {} of them retries", text::count(*retries)) } else { String::new() };
        lines.extend(amount(
            state,
            *usd,
            most,
            width,
            Tone::Accent,
            &format!("{} transitions{retried}", text::count(*transitions)),
        ));
    }
    lines
}

/// Each day twice: as Standard and as Express.
fn by_day(it: &CostStudy, width: usize) -> Vec<Line> {
    let days = &it.by_day[it.by_day.len().saturating_sub(DAYS)..];
    let most = days.iter().flat_map(|it| [it.1, it.2]).flatten().map(Usd::as_f64).fold(0.0, f64::max);
    let mut lines: Vec<Line> = heading("By day", "list price: Standard, and below it Express without logs").into();
    for (day, standard, express) in days {
        lines.extend(amount(day, *standard, most, width, Tone::Accent, "Standard"));
        lines.extend(amount("", *express, most, width, Tone::Good, "Express"));
    }
    lines
}

/// Money by transitions: Standard rises with them, Express does not.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a plot in characters"
)]
fn plot(it: BreakEven, workflow_type: &str, width: usize) -> Vec<Line> {
    let note = format!(
        "equal at {:.1} transitions an execution; these have {:.1} in {:.2} s",
        it.transitions, it.own_transitions, it.own_duration_s
    );
    let mut lines: Vec<Line> = heading("Break-even", &note).into();
    let (rows, columns) = (PLOT.0, PLOT.1.min(width.saturating_sub(24)).max(10));
    let most = (it.transitions.max(it.own_transitions) * 1.25).max(1.0);
    let row = |value: f64| rows - 1 - ((value / most * (rows - 1) as f64).round() as usize).min(rows - 1);
    let column = |value: f64| ((value / most * (columns - 1) as f64).round() as usize).min(columns - 1);
    let mut places = vec![vec![(' ', Tone::Plain); columns]; rows];
    for place in &mut places[row(it.transitions)] {
        *place = ('─', Tone::Good);
    }
    for at in 0..columns {
        places[row(at as f64 / (columns - 1) as f64 * most)][at] = ('╱', Tone::Accent);
    }
    let own = if workflow_type == "EXPRESS" { it.transitions } else { it.own_transitions };
    places[row(own)][column(it.own_transitions)] = ('●', Tone::Bad);
    for (index, places) in places.into_iter().enumerate() {
        let mut line = Line::toned(if index == 0 { "  $ ▏" } else { "    ▏" }, Tone::Dim);
        for (glyph, tone) in places {
            line.push(glyph.to_string(), tone);
        }
        if index == row(it.transitions) {
            line.push("  Express", Tone::Good);
        } else if index == 0 {
            line.push("  ╱ Standard", Tone::Accent);
        }
        if index == row(own) {
            line.push("  ● these", Tone::Bad);
        }
        lines.push(line);
    }
    lines.push(Line::toned(format!("    0{}{most:.0} transitions", "─".repeat(columns.saturating_sub(6))), Tone::Dim));
    lines
}
