//! `dash`: the composition of the dashboard: its options, the collector beside it, and what it loads.

mod collector;
mod drive;
mod find_out;
mod investigate;
mod load;
mod loader;
mod memory;
mod once;
mod overview;
mod study;

use std::io::{self, IsTerminal};
use std::path::Path;

use clap::Args;
use queries::Reader;
use tui::dash::{Preferences, TimeRange, Ui, Word};

use super::aws::AwsArguments;
use super::{Context, collector_state};
use crate::Outcome;
use crate::failure::Failure;
use crate::output;
use collector::{Collector, Watch};
use loader::Loader;
use once::Wanted;

#[derive(Args)]
pub(crate) struct DashArguments {
    #[command(flatten)]
    aws: AwsArguments,
    /// Do not collect, also where the configuration names targets.
    #[arg(long)]
    offline: bool,
    /// Begin with a view: overview, executions, machine, bottlenecks, cost, incident or collector, with a machine's name or
    /// without, `timeline EXECUTION`, or a reporting command such as "cost orders --since 24h".
    #[arg(long, value_name = "VIEW")]
    view: Option<String>,
    /// Executions that started in this range: all, 90m, 24h, 7d, or FROM/TO.
    #[arg(long, value_name = "RANGE")]
    range: Option<String>,
    /// Print one view as text and end.
    #[arg(long)]
    once: bool,
    /// Keys to press before it is printed, such as "enter down t 2".
    #[arg(long, value_name = "KEYS", requires = "once")]
    keys: Option<String>,
    /// The size of the printed view, such as 80x24.
    #[arg(long, default_value = "120x40", value_name = "COLUMNSxROWS", requires = "once")]
    size: String,
    /// Characters of ASCII alone, also where the terminal knows more.
    #[arg(long)]
    ascii: bool,
}

pub(crate) fn run(context: &Context, arguments: &DashArguments) -> Outcome {
    let path = context.config.db_path();
    // What is printed depends on nothing that was done before.
    let mut preferences = if arguments.once {
        memory::configured(context, arguments.ascii)?
    } else {
        memory::remembered(context, arguments.ascii)?
    };
    if let Some(range) = &arguments.range {
        preferences.range = TimeRange::parse(range).ok_or_else(|| {
            Failure::usage(format!("`{range}` is no range"))
                .hint("write all, 90m, 24h, 7d, or FROM/TO in RFC 3339 where either may be missing")
        })?;
    }
    let view = arguments.view.as_deref();
    if arguments.once {
        let wanted = Wanted {
            view: view.unwrap_or("overview"),
            keys: arguments.keys.as_deref().unwrap_or_default(),
            size: &arguments.size,
        };
        return once::print(context, &path, preferences, &wanted);
    }
    let is_live = !arguments.offline && (arguments.aws.is_given() || !context.config.targets.is_empty());
    if !is_live {
        // Says plainly when there is nothing to show, before the screen is taken.
        Reader::open(&path)?;
        return show(context, &path, preferences, view, &Watch::of_others(context));
    }
    must_be_terminal()?;
    arguments.aws.check_profiles()?;
    let watch = Watch::Own(Collector::start(context, &path)?);
    let outcome = show(context, &path, preferences, view, &watch);
    if let Watch::Own(collector) = watch {
        collector.stop();
    }
    outcome
}

fn must_be_terminal() -> Result<(), Failure> {
    if output::is_stdout_a_terminal() && io::stdin().is_terminal() {
        return Ok(());
    }
    Err(Failure::usage("the dashboard needs a terminal").hint("`stepscope dash --once` prints what it shows"))
}

/// Opens the dashboard on a database.
pub(crate) fn open(context: &Context, path: &Path) -> Outcome {
    let mut own = context.clone();
    own.config.db = Some(path.to_path_buf());
    show(context, path, memory::remembered(context, false)?, None, &Watch::of_others(&own))
}

fn show(context: &Context, path: &Path, preferences: Preferences, view: Option<&str>, watch: &Watch) -> Outcome {
    must_be_terminal()?;
    let loader = Loader::new(context, path)?;
    let mut ui = ui(&loader, preferences, (80, 24))?;
    ui.collecting = watch.news().or(ui.collecting);
    drive::run(&loader, ui, view, watch)?;
    Ok(0)
}

fn ui(loader: &Loader, preferences: Preferences, size: (u16, u16)) -> Result<Ui, Failure> {
    let mut ui = Ui::new("stepscope", preferences, loader.context.now()?, size);
    ui.vocabulary = vocabulary().into();
    ui.collecting = collector_state::read(&loader.context);
    Ok(ui)
}

/// How long the overview takes to load, so many times.
pub(crate) fn measure_refresh(context: &Context, times: usize) -> Result<serde_json::Value, Failure> {
    let loader = Loader::new(context, &context.config.db_path())?;
    let mut spans = Vec::with_capacity(times);
    for _ in 0..times {
        let began = std::time::Instant::now();
        overview::overview(&loader, &loader.context.reader()?, TimeRange::All)?;
        spans.push(began.elapsed());
    }
    spans.sort_unstable();
    let at = |q: usize| spans.get(spans.len().saturating_sub(1) * q / 100).map(|it| it.as_secs_f64() * 1e3);
    Ok(serde_json::json!({"times": times, "p50_ms": at(50), "max_ms": at(100)}))
}

/// The commands that can be typed, with their options.
fn vocabulary() -> Vec<Word> {
    use clap::CommandFactory;
    let all = super::Arguments::command();
    let word = |name: &&str| {
        let command = all.find_subcommand(name);
        let options = command
            .into_iter()
            .flat_map(clap::Command::get_opts)
            .filter_map(|it| Some(format!("--{}", it.get_long()?)));
        let about = command.and_then(clap::Command::get_about).map(ToString::to_string).unwrap_or_default();
        Word { name: (*name).to_owned(), about, options: options.collect() }
    };
    let views = ["overview", "machine", "incident"].map(|it| Word { name: it.to_owned(), ..Word::default() });
    let mut words: Vec<Word> = super::page::SHOWN.iter().map(word).chain(views).collect();
    words.push(Word { name: "quit".to_owned(), ..Word::default() });
    words.sort_by(|a, b| a.name.cmp(&b.name));
    words
}
