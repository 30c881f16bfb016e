//! How long does a frame of the dashboard take, from a key to what goes to the terminal?

use std::sync::Arc;
use std::time::{Duration, Instant};

use analyzer::execution::Run;
use analyzer::model::{Event, EventKind, ExecutionRecord, Name, Timestamp};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use serde_json::{Value, json};
use tui::dash::{Content, Key, Msg, OpenedRun, Preferences, Subject, Ui, View, go_to, render, start, update, view};

use crate::failure::Failure;

const BEGAN: i64 = 1_790_000_000_000;
const SIZE: (u16, u16) = (160, 50);
/// Every so many frames the terminal changes its size.
const RESIZED: usize = 97;

/// Draws the timeline of one execution with so many visits, a random key before each frame.
pub(super) fn frames(visits: u64, frames: usize, seed: u64) -> Result<Value, Failure> {
    let mut ui = opened(visits)?;
    let area = Rect::new(0, 0, SIZE.0, SIZE.1);
    let backend = CrosstermBackend::new(std::io::sink());
    let mut terminal = Terminal::with_options(backend, TerminalOptions { viewport: Viewport::Fixed(area) })?;
    let keys = ["down", "up", "pagedown", "pageup", "+", "-", "left", "right", "0", "end", "home", "?", "y"];
    let keys: Vec<Key> = keys.iter().filter_map(|it| Key::parse(it)).collect();
    let mut random = seed;
    let mut spans = Vec::with_capacity(frames);
    for frame in 0..frames {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pick = usize::try_from(random >> 33).unwrap_or(0);
        let msg = if frame % RESIZED == RESIZED - 1 {
            let (width, height) =
                (80 + u16::try_from(pick % 81).unwrap_or(0), 24 + u16::try_from(pick % 27).unwrap_or(0));
            terminal.resize(Rect::new(0, 0, width, height))?;
            Msg::Resize(width, height)
        } else {
            Msg::Key(keys[pick % keys.len()])
        };
        let began = Instant::now();
        // A step back leads away from the timeline: whoever takes one is brought back.
        let (next, _) = update(ui, msg);
        let vm = view(&next);
        terminal.draw(|frame| render(frame, &vm))?;
        spans.push(began.elapsed());
        ui = if next.stop().view == View::Timeline { next } else { opened(visits)? };
    }
    spans.sort_unstable();
    let at = |q: usize| spans[(spans.len() - 1) * q / 1_000].as_secs_f64() * 1e3;
    let total: Duration = spans.iter().sum();
    Ok(json!({
        "visits": visits, "frames": frames, "p50_ms": at(500), "p99_ms": at(990), "max_ms": at(1_000),
        "seconds": total.as_secs_f64(),
    }))
}

/// The timeline with all items of its Map unfolded.
fn opened(visits: u64) -> Result<Ui, Failure> {
    let now = Timestamp::from_millis(BEGAN + 3_600_000);
    let (ui, _) = start(Ui::new("stepscope", Preferences::default(), now, SIZE));
    let (ui, _) = go_to(ui, View::Timeline, None, Subject::Execution(String::new()));
    let ticket = ui.stop().awaited.ok_or_else(|| Failure::new("the timeline asks for nothing"))?;
    let run = OpenedRun { run: map_of(visits), traced: None, usd: None, parent: None };
    let (ui, _) = update(ui, Msg::Loaded(ticket, Ok(Content::Run(Arc::new(run)))));
    let (ui, _) = update(ui, Msg::Key(Key::Char(' ')));
    Ok(ui)
}

/// A Map over so many items, forty at once, each a Task.
fn map_of(items: u64) -> Run {
    let mut events: Vec<Event> = Vec::new();
    let mut push = |previous: u64, ms: i64, kind: EventKind, name: Option<&str>, number: Option<u64>| {
        let id = events.len() as u64 + 1;
        let (at, name) = (Timestamp::from_millis(BEGAN + ms), name.map(Name::from));
        events.push(Event { id, previous, at, kind, name, resource: None, number, log_bytes: 0, detail: None });
        id
    };
    push(0, 0, EventKind::ExecutionStarted, None, None);
    let map = push(0, 1, EventKind::MapStateEntered, Some("EachItem"), None);
    let begun = push(map, 1, EventKind::MapStateStarted, None, Some(items));
    let mut last = begun;
    for item in 0..items {
        let at = 2 + i64::try_from(item / 40).unwrap_or(0) * 210;
        let iteration = push(begun, at, EventKind::MapIterationStarted, Some("EachItem"), Some(item));
        let entered = push(iteration, at, EventKind::TaskStateEntered, Some("WorkOnTheItem"), None);
        let scheduled = push(entered, at + 1, EventKind::TaskScheduled, None, None);
        let started = push(scheduled, at + 20, EventKind::TaskStarted, None, None);
        let ended =
            push(started, at + 150 + i64::try_from(item % 50).unwrap_or(0), EventKind::TaskSucceeded, None, None);
        let exited = push(ended, at + 203, EventKind::TaskStateExited, Some("WorkOnTheItem"), None);
        last = push(exited, at + 204, EventKind::MapIterationSucceeded, Some("EachItem"), Some(item));
    }
    let end = 3 + i64::try_from(items / 40 + 1).unwrap_or(0) * 210;
    let joined = push(last, end, EventKind::MapStateSucceeded, None, None);
    let exited = push(joined, end, EventKind::MapStateExited, Some("EachItem"), None);
    push(exited, end + 1, EventKind::ExecutionSucceeded, None, None);
    Run::of("arn:aws:states:us-east-1:123456789012:execution:frames:run".into(), events, ExecutionRecord::default())
}
