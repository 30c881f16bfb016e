//! From the state to finished lines.

use super::complete::completions;
use super::keys::Action;
use super::line::{Line, Tone, wrapped};
use super::screen::View;
use super::theme::Theme;
use super::ui::{Menu, Mode, Prompt, PromptKind, Ui};
use super::views;
use crate::collecting::{Colour, Light};

/// Lines above the answer to the view's question: where one is, and the tabs.
const ABOVE: usize = 2;
/// Lines below the body: the keys.
const BELOW: usize = 1;
/// Lines that an answer may take.
const ANSWER: usize = 3;
/// Columns of the help.
const HELP: usize = 92;

/// A frame as finished lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Vm {
    pub title: Line,
    pub tabs: Line,
    pub answer: Vec<Line>,
    pub body: Vec<Line>,
    pub keys: Line,
    pub overlay: Option<Overlay>,
    pub theme: Theme,
    pub is_ascii: bool,
}

/// What lies over the body: left, top, width, and its lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Overlay {
    pub title: String,
    pub place: (u16, u16),
    pub size: (u16, u16),
    pub lines: Vec<Line>,
}

/// Columns and lines that the body has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Area {
    pub(super) fn of(ui: &Ui) -> Self {
        let width = usize::from(ui.width);
        let height = usize::from(ui.height).saturating_sub(ABOVE + answer(ui, width).len() + BELOW);
        Self { width, height }
    }

    /// The line of the body that a line of the screen is.
    pub(super) fn line(ui: &Ui, line: u16) -> Option<usize> {
        usize::from(line).checked_sub(ABOVE + answer(ui, usize::from(ui.width)).len())
    }
}

/// One line of the body, and the row of the list that it stands for.
#[derive(Clone, Debug, Default)]
pub(super) struct BodyLine {
    pub(super) line: Line,
    pub(super) row: Option<usize>,
    /// Whether the line says itself where the cursor is.
    pub(super) is_marked: bool,
}

impl BodyLine {
    pub(super) fn of(line: impl Into<Line>) -> Self {
        Self { line: line.into(), row: None, is_marked: false }
    }

    pub(super) fn row(row: usize, line: Line) -> Self {
        Self { line, row: Some(row), is_marked: false }
    }

    /// A line for a row that has more in it than that.
    pub(super) fn marked(row: Option<usize>, line: Line) -> Self {
        Self { line, row, is_marked: true }
    }
}

/// A line across the body.
pub(super) fn rule(width: usize) -> BodyLine {
    BodyLine::of(Line::toned("─".repeat(width), Tone::Dim))
}

/// The first of `n` rows to show in a list of a height: the cursor stays near the middle.
pub(super) fn first_visible(row: usize, n: usize, height: usize) -> usize {
    row.saturating_sub(height / 2).min(n.saturating_sub(height))
}

/// Lines that the list on screen has room for, about.
pub(super) fn list_height(ui: &Ui) -> usize {
    Area::of(ui).height.saturating_sub(2)
}

/// Builds the frame for a state.
pub fn view(ui: &Ui) -> Vm {
    let area = Area::of(ui);
    let selected = ui.stop().row;
    let finish = |it: BodyLine| {
        let is_selected = it.row == Some(selected) && !it.is_marked;
        let mut line = match it.row {
            Some(_) if is_selected => Line::toned("▸ ", Tone::Accent).and(it.line),
            Some(_) if !it.is_marked => Line::new("  ").and(it.line),
            _ => it.line,
        };
        line.is_selected = is_selected;
        line.cut(area.width);
        line
    };
    let mut body: Vec<Line> = views::body(ui, area).into_iter().map(finish).collect();
    body.truncate(area.height);
    Vm {
        title: title(ui),
        tabs: tabs(ui),
        answer: answer(ui, area.width),
        body,
        keys: keys(ui),
        overlay: overlay(ui),
        theme: ui.preferences.theme,
        is_ascii: ui.preferences.is_ascii,
    }
}

fn title(ui: &Ui) -> Line {
    let width = usize::from(ui.width);
    let mut left = Line::toned(format!(" {}", ui.title), Tone::Strong);
    if let Some(machine) = views::machine(ui).map(|it| it.name) {
        left.push(" › ", Tone::Dim);
        left.push(machine, Tone::Strong);
    }
    for stop in ui.trail.iter().filter(|it| it.view != View::Overview) {
        left.push(" › ", Tone::Dim);
        left.push(stop.name(), Tone::Plain);
    }
    let light = ui.light();
    let (live, short) = if ui.is_frozen {
        (Line::toned("❚❚ frozen", Tone::Warn), Line::toned("❚❚ frozen", Tone::Warn))
    } else {
        let short = Line::toned(format!("{} {}", light.sign(), light.short), light_tone(&light));
        (if light.colour == Colour::Off { short.clone() } else { light_line(&light) }, short)
    };
    let clock = format!("{} UTC", analyzer::time::time_of_day(ui.now));
    let range = ui.preferences.range.said();
    let busy = if ui.stop().awaited.is_some() { "loading …   " } else { "" };
    // From the right, what matters least is dropped first. Why nothing is collected matters more than the range and the time.
    let busy = Line::toned(busy, Tone::Warn);
    let with_range = |live: &Line| busy.clone().and(live.clone()).with(format!("   {range} ▾ "), Tone::Dim);
    let with_both = |live: &Line| busy.clone().and(live.clone()).with(format!("   {range} ▾   {clock} "), Tone::Dim);
    let mut wholes = vec![with_both(&live), with_range(&live)];
    if matches!(light.colour, Colour::Down | Colour::Partly) && !ui.is_frozen {
        wholes.push(live.clone().with(" ", Tone::Plain));
    }
    wholes.extend([with_both(&short), with_range(&short), short.with(" ", Tone::Plain)]);
    for right in wholes {
        if left.width() + right.width() + 2 <= width {
            left.pad(width - right.width());
            return left.and(right);
        }
    }
    left.cut(width);
    left
}

/// The sign and the words of a light, with the next try.
fn light_line(light: &Light) -> Line {
    let next = light.next.iter().map(|it| format!(", {it}")).collect::<String>();
    Line::toned(format!("{} {}{next}", light.sign(), light.words), light_tone(light))
}

/// The tone of a light, which its sign and its words say, too.
pub(super) fn light_tone(light: &Light) -> Tone {
    match light.colour {
        Colour::Off | Colour::Starting => Tone::Dim,
        Colour::Live => Tone::Good,
        Colour::Partly => Tone::Warn,
        Colour::Down => Tone::Bad,
    }
}

/// The tabs as they are drawn: each with the columns it takes.
fn tab_places(ui: &Ui) -> Vec<(View, String, usize)> {
    let lit = ui.stop().view.tab();
    let name = |it: View| {
        let name = it.as_str();
        format!("{}{}", name[..1].to_uppercase(), &name[1..])
    };
    let whole: usize = View::TABS.iter().map(|it| it.as_str().len() + 3).sum();
    let has_names = whole < usize::from(ui.width);
    let gap = if whole + View::TABS.len() < usize::from(ui.width) { 2 } else { 1 };
    let mut x = 1;
    let place = |(index, view): (usize, &View)| {
        let has_name = has_names || lit == Some(index);
        let text = if has_name { format!("{} {}", index + 1, name(*view)) } else { (index + 1).to_string() };
        let at = x;
        x += text.len() + gap;
        (*view, text, at)
    };
    View::TABS.iter().enumerate().map(place).collect()
}

fn tabs(ui: &Ui) -> Line {
    let lit = ui.stop().view.tab();
    let mut line = Line::default();
    for (index, (_, text, x)) in tab_places(ui).into_iter().enumerate() {
        if lit == Some(index) {
            // Brackets tell the open tab without colour.
            line.pad(x - 1);
            line.push(format!("[{text}]"), Tone::Accent);
        } else {
            line.pad(x);
            line.push(text, Tone::Dim);
        }
    }
    line.cut(usize::from(ui.width));
    line
}

/// The tab at a place of the screen.
pub(super) fn tab_at(ui: &Ui, column: u16, line: u16) -> Option<View> {
    let column = usize::from(column);
    let hit = |it: &(View, String, usize)| (it.2..it.2 + it.1.len()).contains(&column);
    tab_places(ui).into_iter().find(|it| line == 1 && hit(it)).map(|it| it.0)
}

/// The answer in as many lines as it needs, within reason: it is broken where its parts end.
fn answer(ui: &Ui, width: usize) -> Vec<Line> {
    let stop = ui.stop();
    let whole = match &stop.trouble {
        Some(trouble) => Line::toned(format!("✗ {trouble}"), Tone::Bad),
        None if stop.content.is_none() => Line::toned("loading …", Tone::Dim),
        None => views::answer(ui),
    };
    let mut lines = vec![Line::new(" ")];
    for piece in whole.pieces {
        for (index, part) in piece.text.split("   ").enumerate().filter(|it| !it.1.is_empty()) {
            let n_lines = lines.len();
            let line = &mut lines[n_lines - 1];
            let gap = if index > 0 && line.width() > 1 { "   " } else { "" };
            let needed = line.width() + gap.len() + unicode_width::UnicodeWidthStr::width(part);
            if needed > width && line.width() > 1 && n_lines < ANSWER {
                lines.push(Line::new(" ").with(part.trim_start(), piece.tone));
            } else {
                line.push(format!("{gap}{part}"), piece.tone);
            }
        }
    }
    for it in &mut lines {
        it.cut(width);
    }
    lines
}

fn keys(ui: &Ui) -> Line {
    let width = usize::from(ui.width);
    let mut line = match (&ui.mode, &ui.notice) {
        (Mode::Filtering, _) => {
            return Line::toned(format!(" /{}▏", ui.stop().filter), Tone::Accent)
                .with("   enter keep   esc clear", Tone::Dim);
        }
        (Mode::Typing(prompt), _) => prompt_line(ui, prompt, width),
        (_, Some(notice)) => Line::toned(format!(" {notice}"), Tone::Warn),
        _ => key_line(ui, width),
    };
    line.cut(width);
    line
}

fn prompt_line(ui: &Ui, prompt: &Prompt, width: usize) -> Line {
    let (sign, hint) = match prompt.kind {
        PromptKind::Command => (":", "such as cost --since 24h, whatif MACHINE --no-backoff, versions MACHINE"),
        PromptKind::Find => ("find ", "a text in names, errors, inputs and outputs"),
        PromptKind::Range => ("started in ", "90m, 24h, 7d, all, or FROM/TO in RFC 3339"),
    };
    let mut line = Line::toned(format!(" {sign}{}▏", prompt.text), Tone::Accent);
    if prompt.kind != PromptKind::Command || prompt.text.is_empty() {
        return line.with(format!("   {hint}"), Tone::Dim);
    }
    let stem = prompt.taken.map_or(&prompt.text, |_| &prompt.stem);
    line.push("   ", Tone::Plain);
    for (index, it) in completions(ui, stem).into_iter().enumerate() {
        let tone = if prompt.taken == Some(index) { Tone::Strong } else { Tone::Dim };
        if line.width() + it.len() + 2 > width {
            break;
        }
        line.push(format!("{it}  "), tone);
    }
    line
}

fn key_line(ui: &Ui, width: usize) -> Line {
    let stop = ui.stop();
    if stop.detail.is_some() {
        return Line::toned(" ↑↓ scroll   y copy   esc close", Tone::Dim);
    }
    let mut line = Line::new(" ");
    if !stop.filter.is_empty() {
        line.push(format!("/{}   ", stop.filter), Tone::Accent);
    }
    let help = ui.preferences.keys.key(Action::Help).map(|it| format!("{it} help"));
    let room = width.saturating_sub(help.as_ref().map_or(0, |it| it.len() + 1));
    for action in views::keys(ui) {
        let Some(key) = ui.preferences.keys.key(*action) else { continue };
        let (key, what) = (key.to_string(), views::short_help(*action));
        if line.width() + key.chars().count() + what.len() + 4 > room {
            break;
        }
        line.push(key, Tone::Accent);
        line.push(format!(" {what}   "), Tone::Dim);
    }
    if let Some((key, what)) = help.as_deref().and_then(|it| it.split_once(' ')) {
        line.push(key, Tone::Accent);
        line.push(format!(" {what}"), Tone::Dim);
    }
    line
}

/// The row of the list on a line of the screen.
pub(super) fn row_at(ui: &Ui, line: u16) -> Option<usize> {
    views::body(ui, Area::of(ui)).get(Area::line(ui, line)?)?.row
}

// ---- what lies over it ----------------------------------------------------------------------------------------------

fn overlay(ui: &Ui) -> Option<Overlay> {
    if let Mode::Choosing(menu) = &ui.mode {
        return Some(menu_overlay(ui, menu));
    }
    let (scrolled, scroll) = scrolled(ui)?;
    let n_lines = scroll.lines.len();
    let first = scrolled.min(n_lines.saturating_sub(scroll.room));
    let last = (first + scroll.room).min(n_lines);
    let more = if n_lines > scroll.room { format!("{}–{last} of {n_lines} ", first + 1) } else { String::new() };
    let shown = scroll.lines.into_iter().skip(first).take(scroll.room).collect();
    Some(centred(ui, &format!(" {} {more}", scroll.title), scroll.width, shown))
}

/// A text that lies over the view and may be longer than the screen.
pub(super) struct Scroll {
    pub(super) title: String,
    pub(super) lines: Vec<Line>,
    pub(super) width: usize,
    pub(super) room: usize,
}

/// The text that lies over the view, if any, and how far it is scrolled.
fn scrolled(ui: &Ui) -> Option<(usize, Scroll)> {
    match ui.mode {
        Mode::Helping(scrolled) => Some((scrolled, help(ui))),
        _ => ui.stop().detail.and_then(|scrolled| Some((scrolled, views::detail(ui)?))),
    }
}

/// How far it can be scrolled.
pub(super) fn most_scrolled(ui: &Ui) -> usize {
    scrolled(ui).map_or(0, |(_, it)| it.lines.len().saturating_sub(it.room))
}

/// A box of lines in the middle of the screen.
fn centred(ui: &Ui, title: &str, width: usize, lines: Vec<Line>) -> Overlay {
    let width = u16::try_from(width + 4).unwrap_or(u16::MAX).min(ui.width);
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(ui.height);
    let place = ((ui.width - width) / 2, (ui.height - height) / 2);
    Overlay { title: title.to_owned(), place, size: (width, height), lines }
}

fn help(ui: &Ui) -> Scroll {
    let stop = ui.stop();
    let width = usize::from(ui.width).saturating_sub(4).min(HELP);
    let about = views::about(stop.view).join(" ");
    let mut lines: Vec<Line> = wrapped(&about, width).into_iter().map(Line::new).collect();
    lines.push(Line::default());
    let pairs = ui.preferences.keys.of_view(stop.view);
    let is_wide = ui.width >= 100;
    let per_line = if is_wide { 2 } else { 1 };
    let size = if is_wide { 44 } else { 68 };
    for pair in pairs.chunks(per_line) {
        let mut line = Line::default();
        for (index, (keys, what)) in pair.iter().enumerate() {
            line.pad(index * size);
            line.push(format!("{keys:<16}"), Tone::Accent);
            line.push(format!(" {what}"), Tone::Plain);
        }
        lines.push(line);
    }
    lines.push(Line::default());
    let more = [
        "work █  cold start ▓  queue ░  back-off ┄  callback ≈  wait ·  slot wait ▒",
        "overhead ▁  failed ✗  inside ─.  ● is on the critical path: what decided the end.",
        "p95: 95 of 100 executions took at most that long; ≈ within one percent; ~ partly known.",
        "– is not known, which is never 0. Press any other key to close this.",
    ];
    lines.extend(more.iter().flat_map(|it| wrapped(it, width)).map(|it| Line::toned(it, Tone::Dim)));
    Scroll { title: "help".to_owned(), lines, width, room: usize::from(ui.height).saturating_sub(2) }
}

fn menu_overlay(ui: &Ui, menu: &Menu) -> Overlay {
    let line = |(index, (letter, what, _)): (usize, &(char, String, super::ui::Choice))| {
        let is_selected = index == menu.row;
        let mark = if is_selected { "▸ " } else { "  " };
        let mut line =
            Line::toned(mark, Tone::Accent).with(format!("{letter}  "), Tone::Accent).with(what.clone(), Tone::Plain);
        line.is_selected = is_selected;
        line
    };
    let lines: Vec<Line> = menu.choices.iter().enumerate().map(line).collect();
    let width = lines.iter().map(Line::width).max().unwrap_or(0).max(menu.title.len());
    centred(ui, &format!(" {} ", menu.title), width, lines)
}

/// The choice at a place of the screen.
pub(super) fn menu_row(ui: &Ui, menu: &Menu, column: u16, line: u16) -> Option<usize> {
    let overlay = menu_overlay(ui, menu);
    let inside = (overlay.place.0..overlay.place.0 + overlay.size.0).contains(&column);
    let row = line.checked_sub(overlay.place.1 + 1)?;
    (inside && row + 2 < overlay.size.1).then_some(usize::from(row))
}
