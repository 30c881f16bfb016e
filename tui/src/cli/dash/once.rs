//! `dash --once`: one view as text, for scripts and screenshots.

use std::io::Write;
use std::path::Path;

use queries::Reader;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use tui::dash::{Effect, Msg, Ui, render, update, view};

use super::{Context, Loader, collector_lines};
use crate::Outcome;
use crate::failure::Failure;

/// The smallest and the largest frame.
const LEAST: (u16, u16) = (40, 8);
const MOST: u16 = 1_000;

pub(super) fn print(context: &Context, path: &Path, wanted: &str, size: &str) -> Outcome {
    Reader::open(path)?;
    let (width, height) = parse(size)?;
    let loader = Loader::new(context, path)?;
    let mut ui = Ui::new("stepscope", width, height);
    ui = step(&loader, ui, Msg::Machines(Vec::new()));
    ui = answered(&loader, ui, &Effect::LoadMachines);
    (ui, _) = update(ui, Msg::Collector(collector_lines(path).unwrap_or_default()));
    match wanted {
        "overview" | "machines" => {}
        "executions" => ui = step(&loader, ui, Msg::Open),
        command => {
            ui = step(&loader, ui, Msg::Command);
            for it in command.chars() {
                (ui, _) = update(ui, Msg::Type(it));
            }
            ui = step(&loader, ui, Msg::Open);
        }
    }
    let vm = view(&ui);
    let mut terminal = Terminal::new(TestBackend::new(width, height)).map_err(|it| Failure::new(it.to_string()))?;
    terminal.draw(|frame| render(frame, &vm)).map_err(|it| Failure::new(it.to_string()))?;
    std::io::stdout().lock().write_all(text(terminal.backend().buffer()).as_bytes())?;
    match ui.trouble {
        Some(trouble) => Err(Failure::usage(format!("`{wanted}` cannot be shown")).because(trouble)),
        None => Ok(0),
    }
}

/// Moves on, and waits for what has to be loaded.
fn step(loader: &Loader, ui: Ui, msg: Msg) -> Ui {
    match update(ui, msg) {
        (ui, None | Some(Effect::Exit)) => ui,
        (ui, Some(effect)) => answered(loader, ui, &effect),
    }
}

fn answered(loader: &Loader, ui: Ui, effect: &Effect) -> Ui {
    let msg = loader.load(effect).unwrap_or_else(|failure| Msg::Trouble(failure.to_string()));
    update(ui, msg).0
}

fn parse(size: &str) -> Result<(u16, u16), Failure> {
    let sides = size.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    sides
        .filter(|it: &(u16, u16)| it.0 >= LEAST.0 && it.1 >= LEAST.1 && it.0 <= MOST && it.1 <= MOST)
        .ok_or_else(|| Failure::usage(format!("`{size}` is no size")).hint("write COLUMNSxROWS, such as 80x24"))
}

/// The characters of a frame, without what is blank at the ends of lines.
fn text(buffer: &Buffer) -> String {
    let mut text = String::new();
    for row in 0..buffer.area.height {
        let mut line = String::new();
        let mut skip = 0;
        for column in 0..buffer.area.width {
            let symbol = buffer[(column, row)].symbol();
            if skip > 0 {
                skip -= 1;
                continue;
            }
            // A wide character covers the cell after it, too.
            skip = unicode_width::UnicodeWidthStr::width(symbol).saturating_sub(1);
            line.push_str(symbol);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
