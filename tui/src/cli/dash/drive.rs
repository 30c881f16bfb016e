//! The shell around the dashboard: the terminal, keys and the mouse, the clock, and what leaves it.

use std::io::{self, Write};
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crossbeam_channel::{Receiver, Sender, select, unbounded};
use ratatui::crossterm::event::{
    self, DisableMouseCapture, EnableMouseCapture, Event, KeyCode, KeyEventKind, KeyModifiers, MouseButton,
    MouseEventKind,
};
use ratatui::crossterm::execute;
use signal_hook::consts::{SIGHUP, SIGTERM};
use tui::collecting::CollectorState;
use tui::dash::{Effect, Form, Key, Msg, Shown, Ui, render, start, update, view};

use super::collector::Watch;
use super::loader::{Background, Loader};
use super::memory;
use super::once;
use crate::failure::Failure;
use crate::report::{Output, Report, TextTable};

/// How often the file is looked at while nothing happens: an event is on screen within a second of its being stored, and an
/// idle dashboard costs next to nothing.
const TICK: Duration = Duration::from_millis(100);
/// How often the clock and what grows older are drawn anew.
const SECOND: Duration = Duration::from_secs(1);

pub(super) fn run(loader: &Loader, ui: Ui, view: Option<&str>, watch: &Watch) -> Result<(), Failure> {
    let mut terminal = ratatui::init();
    // Of a panic the library's own hook restores all but this.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let _ = execute!(io::stdout(), DisableMouseCapture);
        hook(info);
    }));
    let _ = execute!(io::stdout(), EnableMouseCapture);
    let result = drive(&mut terminal, loader, ui, view, watch);
    let _ = execute!(io::stdout(), DisableMouseCapture);
    ratatui::restore();
    memory::remember(&result?.preferences);
    Ok(())
}

fn drive(
    terminal: &mut ratatui::DefaultTerminal,
    loader: &Loader,
    ui: Ui,
    wanted: Option<&str>,
    watch: &Watch,
) -> Result<Ui, Failure> {
    let size = terminal.size()?;
    let (answer, answers) = unbounded();
    let (mut ui, mut effects) = start(ui);
    (ui.width, ui.height) = (size.width, size.height);
    if let Some(wanted) = wanted {
        let more;
        (ui, more) = once::go(loader, ui, wanted)?;
        effects.extend(more);
    }
    let background = Background::start(loader, &answer);
    let mut shell = Shell { loader, background, watch, answer, ui: Some(ui), is_dirty: true, is_over: false };
    shell.perform(effects);
    shell.until_over(terminal, &answers)?;
    shell.ui.ok_or_else(|| Failure::new("the dashboard lost its state"))
}

struct Shell<'a> {
    loader: &'a Loader,
    background: Background,
    watch: &'a Watch,
    answer: Sender<Msg>,
    /// Always there, but while it is being updated.
    ui: Option<Ui>,
    is_dirty: bool,
    is_over: bool,
}

impl Shell<'_> {
    fn until_over(&mut self, terminal: &mut ratatui::DefaultTerminal, answers: &Receiver<Msg>) -> Result<(), Failure> {
        let hands = start_reading();
        // Whoever is asked to end leaves the terminal as it was, too.
        let is_asked_to_end = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&is_asked_to_end))?;
        }
        let mut file = FileWatch::new(&self.loader.context.config.local_file());
        let (mut ticked, mut heard) = (Instant::now(), Instant::now());
        while !self.is_over && !is_asked_to_end.load(Ordering::Relaxed) {
            if let Some(ui) = self.ui.as_ref().filter(|_| self.is_dirty) {
                let vm = view(ui);
                terminal.draw(|frame| render(frame, &vm))?;
                self.is_dirty = false;
            }
            select! {
                recv(hands) -> msg => self.take(msg.map_err(|_| Failure::new("the terminal is gone"))?),
                recv(answers) -> msg => self.take(msg.map_err(|_| Failure::new("nobody loads any more"))?),
                default(TICK) => {}
            }
            // A held key is drawn once, not once for each repeat.
            hands.try_iter().chain(answers.try_iter()).for_each(|it| self.take(it));
            if heard.elapsed() >= self.watch.every() {
                heard = Instant::now();
                let news = self.watch.news();
                let is_news =
                    |it: &CollectorState| self.ui.as_ref().is_some_and(|ui| ui.collecting.as_ref() != Some(it));
                if let Some(state) = news.filter(is_news) {
                    self.take(Msg::Collector(Box::new(state)));
                }
            }
            // What comes is shown at the time at which it comes.
            if self.is_dirty || ticked.elapsed() >= SECOND {
                self.take(Msg::Tick(self.loader.context.now()?));
                ticked = Instant::now();
            }
            // While it is frozen or still loading, a change waits.
            let takes_changes = self.ui.as_ref().is_some_and(|it| !it.is_frozen && it.stop_is_idle());
            if takes_changes && file.has_changed() {
                self.take(Msg::Changed);
            }
        }
        Ok(())
    }

    fn take(&mut self, msg: Msg) {
        let Some(ui) = self.ui.take() else { return };
        let (ui, effects) = update(ui, msg);
        self.ui = Some(ui);
        self.is_dirty = true;
        self.perform(effects);
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Exit => self.is_over = true,
                Effect::Copy(text) => {
                    let said = copy(&text).map_or_else(|error| error.to_string(), |()| "copied".to_owned());
                    let _ = self.answer.send(Msg::Notice(said));
                }
                Effect::Export(form, shown) => {
                    let csv = self.loader.context.csv();
                    let said = export(form, &shown, csv).unwrap_or_else(|failure| failure.to_string());
                    let _ = self.answer.send(Msg::Notice(said));
                }
                load => self.background.take(load),
            }
        }
    }
}

/// Reads keys and the mouse in a thread of its own, so that neither they nor answers wait for each other.
fn start_reading() -> Receiver<Msg> {
    let (hand, hands) = unbounded();
    thread::spawn(move || {
        while let Ok(event) = event::read() {
            if msgs_of(&event).into_iter().any(|msg| hand.send(msg).is_err()) {
                return;
            }
        }
    });
    hands
}

/// Hands a text to the terminal's clipboard (OSC 52), which also works over ssh.
fn copy(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "\x1b]52;c;{}\x07", STANDARD.encode(text))?;
    out.flush()
}

/// Writes what is shown into a file of the present folder that was not there before.
fn export(form: Form, shown: &Shown, csv: Output) -> Result<String, Failure> {
    let (extension, text) = match form {
        Form::Text => ("txt", shown.text.clone()),
        Form::Json => ("json", exported(shown, Output::Json)?),
        Form::Csv => ("csv", exported(shown, csv)?),
        Form::Markdown => ("md", exported(shown, Output::Markdown)?),
    };
    let name = |number: u32| {
        let number = if number == 0 { String::new() } else { format!("-{number}") };
        PathBuf::from(format!("stepscope-{}{number}.{extension}", shown.view))
    };
    for path in (0..1_000).map(name) {
        match std::fs::File::create_new(&path) {
            Ok(mut file) => {
                file.write_all(text.as_bytes())?;
                return Ok(format!("written to {}", path.display()));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(Failure::new(format!("`{}` cannot be written", path.display())).because(error.to_string()));
            }
        }
    }
    Err(Failure::new("a thousand exports of this view are here already"))
}

fn exported(shown: &Shown, output: Output) -> Result<String, Failure> {
    let titles: Vec<String> = shown
        .columns
        .iter()
        .map(|(title, is_number)| if *is_number { format!("#{title}") } else { title.clone() })
        .collect();
    let mut table = TextTable::with_columns(&titles.iter().map(String::as_str).collect::<Vec<_>>());
    table.rows = shown.rows.clone();
    let row = |row: &Vec<String>| -> serde_json::Value {
        let cells = shown.columns.iter().zip(row).map(|(column, cell)| (column.0.clone(), cell.clone().into()));
        cells.collect::<serde_json::Map<_, _>>().into()
    };
    let fields = [
        ("view".to_owned(), shown.view.into()),
        ("state_machine_arn".to_owned(), shown.machine.clone().into()),
        ("answer".to_owned(), shown.answer.clone().into()),
        ("rows".to_owned(), shown.rows.iter().map(row).collect()),
    ];
    let report = Report {
        command: "dash",
        fields: fields.into_iter().collect(),
        rows: "rows",
        table,
        heading: shown.answer.clone(),
        footer: String::new(),
    };
    report.to_text(output)
}

/// Notices when somebody has written the database.
struct FileWatch {
    path: PathBuf,
    seen: Option<SystemTime>,
}

impl FileWatch {
    fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf(), seen: modified(path) }
    }

    fn has_changed(&mut self) -> bool {
        let now = modified(&self.path);
        std::mem::replace(&mut self.seen, now) != now
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    let of = |path: &Path| std::fs::metadata(path).and_then(|it| it.modified()).ok();
    let mut log = path.as_os_str().to_owned();
    log.push(".wal");
    of(path).max(of(Path::new(&log)))
}

fn msgs_of(event: &Event) -> Vec<Msg> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => {
            let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
            // Escape and a key right after it look like one with Alt.
            let escape = key.modifiers.contains(KeyModifiers::ALT).then_some(Key::Esc);
            escape.into_iter().chain(key_of(key.code, is_control)).map(Msg::Key).collect()
        }
        other => msg_of(other).into_iter().collect(),
    }
}

fn msg_of(event: &Event) -> Option<Msg> {
    match event {
        Event::Mouse(mouse) => match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => Some(Msg::Click(mouse.column, mouse.row)),
            MouseEventKind::Drag(MouseButton::Left) => Some(Msg::Drag(mouse.column, mouse.row)),
            MouseEventKind::Up(MouseButton::Left) => Some(Msg::Release),
            MouseEventKind::ScrollDown => Some(Msg::Wheel { is_down: true }),
            MouseEventKind::ScrollUp => Some(Msg::Wheel { is_down: false }),
            _ => None,
        },
        Event::Resize(width, height) => Some(Msg::Resize(*width, *height)),
        _ => None,
    }
}

fn key_of(code: KeyCode, is_control: bool) -> Option<Key> {
    Some(match code {
        KeyCode::Char(it) if is_control => Key::Ctrl(it),
        KeyCode::Char(it) => Key::Char(it),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::F(it) => Key::Function(it),
        _ => return None,
    })
}
