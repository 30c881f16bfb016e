//! `dash`: the shell around the dashboard: terminal, keys, and loading in a thread of its own.

mod once;

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use analyzer::execution::Run;
use analyzer::model::{ApiUse, Micros, Name};
use clap::Args;
use crossbeam_channel::{Receiver, Sender, unbounded};
use queries::{ExecutionFilter, Reader};
use ratatui::crossterm::event::{
    self, DisableMouseCapture, EnableMouseCapture, Event, KeyCode, KeyEventKind, KeyModifiers, MouseButton,
    MouseEventKind,
};
use ratatui::crossterm::execute;
use tui::dash::{Effect, ExecutionItem, LISTED, MachineItem, Msg, Ui, render, update, view};
use tui::text;

use super::Context;
use super::aws::AwsArguments;
use super::bill::{MachineCost, Prices, costs_of};
use super::coverage::Coverage;
use crate::Outcome;
use crate::failure::Failure;
use crate::report::Output;

const TREND: usize = 24;
/// How often keys are looked for while nothing happens, and how often the file is.
const TICK: Duration = Duration::from_millis(100);
const LOOK: Duration = Duration::from_secs(2);
/// What was said of collecting before is old.
const COLLECTED_LATELY: Micros = Micros(120_000_000);
/// How long a collector that was just started may take to make the database.
const TO_START: Duration = Duration::from_secs(5);

#[derive(Args)]
pub(crate) struct DashArguments {
    #[command(flatten)]
    aws: AwsArguments,
    /// Do not collect, also where the configuration names targets.
    #[arg(long)]
    offline: bool,
    /// Print one view as text and end: overview, executions, or a reporting command such as "cost orders --since 24h".
    #[arg(long, value_name = "VIEW", requires = "once")]
    view: Option<String>,
    /// Print instead of opening the dashboard.
    #[arg(long)]
    once: bool,
    /// The size of the printed view, such as 80x24.
    #[arg(long, default_value = "120x40", value_name = "COLUMNSxROWS")]
    size: String,
}

pub(crate) fn run(context: &Context, arguments: &DashArguments) -> Outcome {
    let path = context.config.db_path();
    if arguments.once {
        return once::print(context, &path, arguments.view.as_deref().unwrap_or("overview"), &arguments.size);
    }
    let is_live = !arguments.offline && (arguments.aws.is_given() || !context.config.targets.is_empty());
    if !is_live {
        // Says plainly when there is nothing to show, before the screen is taken.
        Reader::open(&path)?;
        return open(context, &path);
    }
    must_be_terminal()?;
    let collector = Collector::start(&path)?;
    let outcome = open(context, &path);
    collector.stop();
    outcome
}

fn must_be_terminal() -> Result<(), Failure> {
    if io::stdout().is_terminal() && io::stdin().is_terminal() {
        return Ok(());
    }
    Err(Failure::usage("the dashboard needs a terminal").hint("`stepscope dash --once` prints what it shows"))
}

/// A collector beside the dashboard, in a process of its own: it alone writes the database.
struct Collector(Child);

impl Collector {
    /// Starts this program once more with the same options; its log goes beside the database.
    fn start(path: &Path) -> Result<Self, Failure> {
        let mut log_path = path.as_os_str().to_owned();
        log_path.push(".collect.log");
        let failed = |error: io::Error| Failure::new("the collector cannot be started").because(error.to_string());
        let log = std::fs::File::create(&log_path).map_err(failed)?;
        let mut arguments: Vec<std::ffi::OsString> = std::env::args_os().skip(1).collect();
        if let Some(command) = arguments.iter_mut().find(|it| *it == "dash") {
            *command = "collect".into();
        }
        let child = Command::new(std::env::current_exe().map_err(failed)?)
            .args(arguments)
            .args(["--follow", "--until-input-ends"])
            .env("STEPSCOPE_DB", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(failed)?;
        let mut collector = Self(child);
        collector.await_database(path, &log_path)?;
        Ok(collector)
    }

    /// The first seconds of a new database: there is nothing to read until the collector has made it.
    fn await_database(&mut self, path: &Path, log: &std::ffi::OsStr) -> Result<(), Failure> {
        let begun = Instant::now();
        loop {
            if self.0.try_wait()?.is_some() {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                return Err(Failure::new("the collector has ended at once").because(said.trim().to_owned()));
            }
            if Reader::open(path).is_ok() || begun.elapsed() >= TO_START {
                return Ok(());
            }
            thread::sleep(TICK);
        }
    }

    /// Lets it store what it has read.
    fn stop(mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Opens the dashboard on a database.
pub(crate) fn open(context: &Context, path: &Path) -> Outcome {
    must_be_terminal()?;
    let (requests, answers) = start_loader(Loader::new(context, path)?);
    let mut terminal = ratatui::init();
    let _ = execute!(io::stdout(), EnableMouseCapture);
    let result = drive(&mut terminal, path, &requests, &answers);
    let _ = execute!(io::stdout(), DisableMouseCapture);
    ratatui::restore();
    result?;
    Ok(0)
}

fn drive(
    terminal: &mut ratatui::DefaultTerminal,
    path: &Path,
    requests: &Sender<Effect>,
    answers: &Receiver<Msg>,
) -> Result<(), Failure> {
    let size = terminal.size()?;
    let mut ui = Ui::new("stepscope", size.width, size.height);
    let _ = requests.send(Effect::LoadMachines);
    let mut is_dirty = true;
    let mut file = FileWatch::new(path);
    loop {
        if is_dirty {
            let vm = view(&ui);
            terminal.draw(|frame| render(frame, &vm))?;
            is_dirty = false;
        }
        let mut msgs: Vec<Msg> = answers.try_iter().collect();
        if msgs.is_empty() && event::poll(TICK)? {
            msgs.extend(msg_of(&event::read()?, ui.is_filtering || ui.command.is_some()));
        }
        if file.has_changed() {
            msgs.push(Msg::Reload);
        }
        for msg in msgs {
            let (next, effect) = update(ui, msg);
            ui = next;
            is_dirty = true;
            match effect {
                Some(Effect::Exit) => return Ok(()),
                Some(effect) => {
                    let _ = requests.send(effect);
                }
                None => {}
            }
        }
    }
}

/// Notices when somebody has written the database.
struct FileWatch {
    path: PathBuf,
    looked: Instant,
    seen: Option<SystemTime>,
}

impl FileWatch {
    fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf(), looked: Instant::now(), seen: modified(path) }
    }

    fn has_changed(&mut self) -> bool {
        if self.looked.elapsed() < LOOK {
            return false;
        }
        self.looked = Instant::now();
        let now = modified(&self.path);
        std::mem::replace(&mut self.seen, now) != now
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    let of = |path: &Path| std::fs::metadata(path).and_then(|it| it.modified()).ok();
    let mut log = path.as_os_str().to_owned();
    log.push(".wal");
    // Small transactions are in the log beside the file for a while.
    of(path).max(of(Path::new(&log)))
}

fn msg_of(event: &Event, is_typing: bool) -> Option<Msg> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => {
            if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
                return Some(Msg::Quit);
            }
            key_msg(key.code, is_typing)
        }
        Event::Mouse(mouse) => match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => Some(Msg::Click(mouse.row)),
            MouseEventKind::ScrollDown => Some(Msg::Down),
            MouseEventKind::ScrollUp => Some(Msg::Up),
            _ => None,
        },
        Event::Resize(width, height) => Some(Msg::Resize(*width, *height)),
        _ => None,
    }
}

fn key_msg(code: KeyCode, is_typing: bool) -> Option<Msg> {
    Some(match code {
        KeyCode::Backspace if is_typing => Msg::Erase,
        KeyCode::Char(it) if is_typing => Msg::Type(it),
        KeyCode::Enter | KeyCode::Right => Msg::Open,
        KeyCode::Esc | KeyCode::Left | KeyCode::Backspace => Msg::Back,
        KeyCode::Up | KeyCode::Char('k') => Msg::Up,
        KeyCode::Down | KeyCode::Char('j') => Msg::Down,
        KeyCode::PageUp => Msg::PageUp,
        KeyCode::PageDown => Msg::PageDown,
        KeyCode::Home | KeyCode::Char('g') => Msg::First,
        KeyCode::End | KeyCode::Char('G') => Msg::Last,
        KeyCode::Char('?') => Msg::Help,
        KeyCode::Char('/') => Msg::Filter,
        KeyCode::Char(':') => Msg::Command,
        KeyCode::Char('t') => Msg::Show("states"),
        KeyCode::Char('b') => Msg::Show("bottlenecks"),
        KeyCode::Char('c') => Msg::Show("cost"),
        KeyCode::Char('i') => Msg::Show("incidents"),
        KeyCode::Char('x') => Msg::Show("compare"),
        KeyCode::Char('v') => Msg::Show("collector"),
        KeyCode::Char('s') => Msg::Sort,
        KeyCode::Char(' ') => Msg::Fold,
        KeyCode::Char('r') => Msg::Reload,
        KeyCode::Char('q') => Msg::Quit,
        _ => return None,
    })
}

/// A thread that loads what the dashboard asks for. It holds the database only while it reads.
fn start_loader(loader: Loader) -> (Sender<Effect>, Receiver<Msg>) {
    let (requests, wanted) = unbounded::<Effect>();
    let (answer, answers) = unbounded();
    thread::spawn(move || {
        for effect in &wanted {
            let msg = loader.load(&effect).unwrap_or_else(|failure| Msg::Trouble(failure.to_string()));
            let collector =
                matches!(effect, Effect::LoadMachines).then(|| collector_lines(&loader.path).unwrap_or_default());
            let is_received = answer.send(msg).is_ok();
            if !is_received || collector.is_some_and(|it| answer.send(Msg::Collector(it)).is_err()) {
                return;
            }
        }
    });
    (requests, answers)
}

/// How collecting goes, where somebody has collected in the last while.
fn collector_lines(path: &Path) -> Result<Vec<String>, Failure> {
    let now = super::now()?;
    let uses = Reader::open(path)?.api_uses()?;
    let recent = |it: &&ApiUse| now - it.at < COLLECTED_LATELY;
    let mut lines: Vec<(String, Vec<&ApiUse>)> = Vec::new();
    for it in uses.iter().filter(recent) {
        let place = format!("{} {}", it.account, it.region);
        match lines.iter_mut().find(|line| line.0 == place) {
            Some(line) => line.1.push(it),
            None => lines.push((place, vec![it])),
        }
    }
    Ok(lines.into_iter().map(|(place, uses)| collector_line(&place, &uses)).collect())
}

fn collector_line(place: &str, uses: &[&ApiUse]) -> String {
    let sum = |of: fn(&ApiUse) -> u64| uses.iter().map(|it| of(it)).sum::<u64>();
    let mut line = format!("collecting {place}: {} calls", text::count(sum(|it| it.calls)));
    let throttled = sum(|it| it.throttled);
    if throttled > 0 {
        line += &format!(", {} throttled", text::count(throttled));
    }
    let busiest =
        uses.iter().filter(|it| it.bucket > 0.0).min_by(|a, b| (a.tokens / a.bucket).total_cmp(&(b.tokens / b.bucket)));
    if let Some(it) = busiest {
        line += &format!(
            "; {}: {:.0} of {:.0} calls left, {:.1} a second come back, {} wait",
            it.api, it.tokens, it.bucket, it.per_second, it.waiting
        );
    }
    line
}

/// What loading needs.
pub(super) struct Loader {
    context: Context,
    path: PathBuf,
    prices: Prices,
}

impl Loader {
    fn new(context: &Context, path: &Path) -> Result<Self, Failure> {
        let mut context = context.clone();
        context.config.db = Some(path.to_path_buf());
        // Pages are tables, whatever the output of commands is.
        context.output = Output::Table;
        Ok(Self { prices: Prices::new(&context)?, path: path.to_path_buf(), context })
    }

    fn load(&self, effect: &Effect) -> Result<Msg, Failure> {
        if let Effect::LoadPage { words } = effect {
            return super::page::page(&self.context, words).map(Msg::Page);
        }
        load(&self.path, &self.prices, effect)
    }
}

fn load(path: &Path, prices: &Prices, effect: &Effect) -> Result<Msg, Failure> {
    let reader = Reader::open(path)?;
    match effect {
        Effect::LoadMachines => {
            let trend = reader.rolled_up_trend(TREND)?;
            let machines = costs_of(&reader, prices, reader.rolled_up_machines()?, None, None)?;
            let coverage = Coverage::load(&reader, None, None)?;
            Ok(Msg::Machines(machines.into_iter().map(|it| machine_item(it, &trend, &coverage)).collect()))
        }
        Effect::LoadExecutions { machine_arn } => {
            let filter = ExecutionFilter {
                machine_arn: Some(Name::from(machine_arn.as_str())),
                limit: Some(LISTED as u64),
                ..ExecutionFilter::default()
            };
            let rows = reader.executions(&filter)?;
            let item = |row: queries::ExecutionRow| ExecutionItem {
                usd: prices.execution(&row),
                id: row.id,
                name: row.name,
                status: row.status,
                started_at: row.started_at,
                duration: row.duration,
                transitions: row.billed_transitions,
                complete: row.complete,
                error: row.error,
            };
            Ok(Msg::Executions(rows.into_iter().map(item).collect()))
        }
        Effect::LoadRun { id } => {
            let stored = reader.stored_executions(&[*id], false)?.pop();
            let stored = stored.ok_or_else(|| Failure::new("this execution is not stored any more"))?;
            Ok(Msg::Run(Arc::new(Run::of(stored.arn, stored.events, stored.record.unwrap_or_default()))))
        }
        Effect::LoadPage { .. } | Effect::Exit => Err(Failure::new("there is nothing to load")),
    }
}

fn machine_item(
    it: MachineCost,
    trend: &[(String, usize, analyzer::model::Micros)],
    coverage: &Coverage,
) -> MachineItem {
    let counted = coverage.counted(&it.machine.arn);
    let mut own = vec![None; TREND];
    for (_, bucket, p95) in trend.iter().filter(|(arn, ..)| *arn == it.machine.arn) {
        if let Some(place) = own.get_mut(*bucket) {
            *place = Some(*p95);
        }
    }
    MachineItem {
        as_standard: it.standard.map(|it| it.net()),
        as_express: it.express.map(|it| it.total()),
        paid: it.actual,
        arn: it.machine.arn,
        name: it.machine.name,
        workflow_type: it.machine.workflow_type.as_str(),
        executions: it.machine.executions,
        running: it.machine.running,
        failed: it.machine.failed,
        closed: it.machine.closed,
        complete: it.machine.complete,
        counted,
        p50: it.machine.p50,
        p95: it.machine.p95,
        trend: own,
    }
}
