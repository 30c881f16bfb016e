//! The command line: what can be said, and which file answers it.

mod alerts;
mod audit;
mod aws;
mod bill;
mod bottlenecks;
mod collect;
mod collector_state;
mod compare;
mod completions;
mod config;
mod cost;
mod coverage;
mod dash;
mod deliveries;
mod demo;
mod diff;
mod doctor;
mod executions;
mod export;
mod forget;
mod import;
mod incidents;
mod lake;
mod lint;
mod man;
mod mark;
mod measure;
mod overview;
mod page;
mod policy;
mod prices;
mod redrivable;
mod report;
mod schedule;
mod schema;
mod select;
mod selection;
mod show;
mod simulate;
mod sql;
mod state_file;
mod states;
mod versions;
mod whatif;
pub(crate) mod when;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use analyzer::model::{Micros, Timestamp};
use analyzer::pricing::{PriceBook, PriceBooks};
use clap::{Args, Parser, Subcommand, ValueEnum};
use queries::{Interrupter, Reader, Store};

use crate::Outcome;
use crate::config::Config;
use crate::failure::Failure;
use crate::report::Output;

/// Observability and cost analysis for AWS Step Functions, in the terminal.
#[derive(Parser)]
#[command(name = "stepscope", version, max_term_width = 110)]
pub(crate) struct Arguments {
    #[command(flatten)]
    shared: Shared,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Shared {
    /// The database file; created when missing by demo and import.
    #[arg(long, global = true, env = "STEPSCOPE_DB", value_name = "PATH")]
    db: Option<PathBuf>,
    /// The configuration file.
    #[arg(long, global = true, value_name = "PATH")]
    config: Option<PathBuf>,
    /// The form of the result.
    #[arg(short, long, global = true, value_enum, default_value_t)]
    output: Output,
    /// Leave cells of CSV that a spreadsheet would take for a formula as they are, without a leading apostrophe.
    #[arg(long, global = true)]
    csv_raw: bool,
    /// Whether to use colour.
    #[arg(long, global = true, value_enum, default_value_t)]
    color: Color,
    /// What "now" means for spans such as 24h.
    #[arg(long, global = true, value_name = "TIME")]
    now: Option<String>,
    /// A price book instead of the built-in one, or a folder of them: each applies from its date on.
    #[arg(long, global = true, env = "STEPSCOPE_PRICES", value_name = "PATH")]
    prices: Option<PathBuf>,
    /// The region whose prices apply to executions without one [default: us-east-1].
    #[arg(long, global = true, value_name = "REGION")]
    price_region: Option<String>,
    /// Transitions of each month's free tier that are used up elsewhere.
    #[arg(long, global = true, value_name = "N")]
    free_tier_used: Option<u64>,
    /// GB-seconds of each month's Express tiers that are used up elsewhere.
    #[arg(long, global = true, value_name = "GB_S")]
    tier_used: Option<u64>,
    /// Megabytes of a function, `*` for all others, where no report tells; may be repeated.
    #[arg(long, global = true, value_name = "NAME=MB")]
    function_memory: Vec<String>,
    /// A state that may run twice without harm, whatever it calls, such as orders/Charge; may be repeated.
    #[arg(long, global = true, value_name = "MACHINE/STATE")]
    repeatable: Vec<String>,
    /// What a contract takes off list prices, such as standard=12.5 or all=5; may be repeated.
    #[arg(long, global = true, value_name = "SERVICE=PERCENT")]
    discount: Vec<String>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Subcommand)]
enum Command {
    /// Fill a temporary database with a deterministic workload and open the dashboard.
    Demo(demo::DemoArguments),
    /// Read histories, logs, traces and definitions from files, folders or standard input.
    Import(import::ImportArguments),
    /// Collect machines, executions and histories from AWS.
    Collect(collect::CollectArguments),
    /// Check the database, the configuration, the prices and the way to AWS.
    Doctor(doctor::DoctorArguments),
    /// Print the IAM policy that `collect` needs, and nothing more.
    Policy(policy::PolicyArguments),
    /// Open the dashboard.
    Dash(dash::DashArguments),
    /// List executions, newest first.
    Executions(executions::ExecutionsArguments),
    /// Show the timeline, attempts and critical path of executions.
    Show(show::ShowArguments),
    /// Show where executions spend their time, state by state.
    States(states::StatesArguments),
    /// Rank the states by what they add to the critical path, and say what would help.
    Bottlenecks(bottlenecks::BottlenecksArguments),
    /// Re-simulate executions with something changed.
    Whatif(whatif::WhatifArguments),
    /// Explain what changed between two sets of executions: causes, contributions, how sure.
    Compare(compare::CompareArguments),
    /// Find since when something is different.
    Incidents(incidents::IncidentsArguments),
    /// Tell a period against the one before: a page for people who were not there.
    Report(report::ReportArguments),
    /// Make reports by the clock.
    Schedule(schedule::ScheduleArguments),
    /// Look at the rules of the configuration, and tell who wants to know.
    Alerts(alerts::AlertsArguments),
    /// Note when something was deployed.
    Mark(mark::MarkArguments),
    /// Show what was billed, and what Standard and Express would cost.
    Cost(cost::CostArguments),
    /// Check definitions: what AWS would refuse, what is not wise, and what their runs say.
    Lint(lint::LintArguments),
    /// Make, look at and put in order a database that is a lake.
    Lake(lake::LakeArguments),
    /// Look at all machines: best practices, ranked by money and risk.
    Audit(audit::AuditArguments),
    /// Say what ran when, how each version did, and what changed.
    Versions(versions::VersionsArguments),
    /// Say what changed between two definitions.
    Diff(diff::DiffArguments),
    /// List failed runs that can still be redriven, with the command for each.
    Redrivable(redrivable::RedrivableArguments),
    /// Delete executions with everything stored of them, and rewrite the database so that nothing is left in its files.
    Forget(forget::ForgetArguments),
    /// Delete closed executions that started before a time.
    Prune(forget::PruneArguments),
    /// Hand the data on: evidence bundles, FOCUS, Infracost, OTLP, Parquet, Perfetto, Prometheus.
    Export(export::ExportArguments),
    /// Show the price book in force.
    Prices(prices::PricesArguments),
    /// Run a read-only query over the documented views.
    Sql(sql::SqlArguments),
    /// Print the JSON Schema of a command's result.
    Schema(schema::SchemaArguments),
    /// Print the configuration in force.
    Config,
    /// Print a completion script for a shell.
    Completions(completions::CompletionsArguments),
    /// Write the manual pages, for packages.
    #[command(hide = true)]
    Man(man::ManArguments),
    /// Write synthetic logs or histories, for tests and benchmarks.
    #[command(hide = true)]
    Simulate(simulate::SimulateArguments),
    /// Time the analysis alone, for benchmarks.
    #[command(hide = true)]
    Measure(measure::MeasureArguments),
}

/// A range of start times: from, inclusive, to, exclusive.
#[derive(Args, Clone, Default)]
pub(crate) struct Range {
    /// Executions that started at or after this time: RFC 3339, a date, or a span back from now such as 90m, 24h, 7d.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Executions that started before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

/// What every command has at hand.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) output: Output,
    is_csv_raw: bool,
    pub(crate) color: Color,
    now: Option<String>,
    /// Whoever waits, where it may be given up.
    patience: Option<Patience>,
}

/// Lets what is being read be given up from another thread.
#[derive(Clone, Default)]
pub(crate) struct Patience(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    is_over: bool,
    readers: Vec<Interrupter>,
}

impl Patience {
    /// Ends all that reads now or later.
    pub(crate) fn end(&self) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.is_over = true;
        waiting.readers.drain(..).for_each(|it| it.interrupt());
    }

    fn watch(&self, reader: &Reader) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.is_over {
            reader.interrupter().interrupt();
        }
        waiting.readers.push(reader.interrupter());
    }
}

/// The database, open for a while of writing; says if other processes cannot read it meanwhile.
fn opened(path: &Path) -> Result<Store, Failure> {
    let store = Store::open(path)?;
    if let Some(cause) = store.unheard() {
        eprintln!("warning: other processes cannot read while this one writes: {cause}");
    }
    Ok(store)
}

impl Context {
    fn new(shared: Shared) -> Result<Self, Failure> {
        let mut config = Config::load(shared.config.as_deref())?;
        config.db = shared.db.or(config.db);
        config.refuse_passwords()?;
        config.db.as_deref().map_or(Ok(()), crate::config::database::check)?;
        config.prices = shared.prices.or(config.prices);
        config.price_region = shared.price_region.or(config.price_region);
        config.free_tier_used = shared.free_tier_used.or(config.free_tier_used);
        config.tier_used = shared.tier_used.or(config.tier_used);
        config.repeatable.extend(shared.repeatable);
        for text in &shared.function_memory {
            config.add_function_memory(text)?;
        }
        for text in &shared.discount {
            config.add_discount(text)?;
        }
        let output = if shared.csv_raw && shared.output == Output::Csv { Output::RawCsv } else { shared.output };
        let (is_csv_raw, color) = (shared.csv_raw, shared.color);
        Ok(Self { config, output, is_csv_raw, color, now: shared.now, patience: None })
    }

    /// The form of CSV, wherever it is written.
    pub(crate) fn csv(&self) -> Output {
        if self.is_csv_raw { Output::RawCsv } else { Output::Csv }
    }

    pub(crate) fn reader(&self) -> Result<Reader, Failure> {
        let reader = Reader::open(&self.config.db_path())?;
        if let Some(patience) = &self.patience {
            patience.watch(&reader);
        }
        Ok(reader)
    }

    /// The same, with readers that can be given up.
    pub(crate) fn with_patience(&self, patience: Patience) -> Self {
        Self { patience: Some(patience), ..self.clone() }
    }

    pub(crate) fn now(&self) -> Result<Timestamp, Failure> {
        when::now(self.now.as_deref())
    }

    /// How far `--now` moves the clock.
    pub(crate) fn clock_shift(&self) -> Result<Micros, Failure> {
        if self.now.is_none() { Ok(Micros(0)) } else { Ok(self.now()? - now()?) }
    }

    pub(crate) fn range(&self, range: &Range) -> Result<(Option<Timestamp>, Option<Timestamp>), Failure> {
        let now = self.now()?;
        let one = |text: &Option<String>| text.as_deref().map(|it| when::instant(it, now)).transpose();
        Ok((one(&range.since)?, one(&range.until)?))
    }

    /// The price books in force: the built-in one, a file, or all files of a folder, less the contract's discounts.
    pub(crate) fn price_books(&self) -> Result<PriceBooks, Failure> {
        let books = match &self.config.prices {
            None => vec![PriceBook::built_in()?],
            Some(path) => book_files(path)?.iter().map(|it| read_book(it)).collect::<Result<_, Failure>>()?,
        };
        let discounts = self.config.discounts()?;
        let books = books.into_iter().map(|it| it.discounted(&discounts)).collect();
        PriceBooks::new(books).ok_or_else(|| {
            Failure::usage("the folder of price books has none").hint("`stepscope prices import` makes one")
        })
    }

    /// Whether what goes to stdout may be coloured.
    pub(crate) fn is_coloured(&self) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty()) && crate::output::is_stdout_a_terminal()
            }
        }
    }
}

/// The file itself, or the price books of a folder.
fn book_files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let entries = std::fs::read_dir(path)?.map(|it| it.map(|it| it.path())).collect::<Result<Vec<_>, _>>()?;
    Ok(entries.into_iter().filter(|it| it.extension().is_some_and(|it| it == "toml")).collect())
}

fn read_book(path: &Path) -> Result<PriceBook, Failure> {
    let unreadable =
        |why: String| Failure::usage(format!("the price book `{}` cannot be read", path.display())).because(why);
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    PriceBook::parse(&text).map_err(|error| unreadable(error.to_string()))
}

/// The clock's time.
pub(crate) fn now() -> Result<Timestamp, Failure> {
    when::now(None)
}

pub(crate) fn run(arguments: Arguments) -> Outcome {
    let context = Context::new(arguments.shared)?;
    let database = context.config.db_path();
    answer(&context, arguments.command).map_err(|failure| failure.of_database(&database))
}

fn answer(context: &Context, command: Command) -> Outcome {
    match command {
        Command::Demo(it) => demo::run(context, &it),
        Command::Import(it) => import::run(context, &it),
        Command::Collect(it) => collect::run(context, &it),
        Command::Doctor(it) => doctor::run(context, &it),
        Command::Policy(it) => policy::run(context, &it),
        Command::Dash(it) => dash::run(context, &it),
        Command::Executions(it) => executions::run(context, &it),
        Command::Show(it) => show::run(context, &it),
        Command::States(it) => states::run(context, &it),
        Command::Bottlenecks(it) => bottlenecks::run(context, &it),
        Command::Whatif(it) => whatif::run(context, &it),
        Command::Compare(it) => compare::run(context, &it),
        Command::Incidents(it) => incidents::run(context, &it),
        Command::Report(it) => report::run(context, &it),
        Command::Schedule(it) => schedule::run(context, &it),
        Command::Alerts(it) => alerts::run(context, &it),
        Command::Mark(it) => mark::run(context, &it),
        Command::Cost(it) => cost::run(context, &it),
        Command::Lint(it) => lint::run(context, &it),
        Command::Lake(it) => lake::run(context, &it),
        Command::Audit(it) => audit::run(context, &it),
        Command::Versions(it) => versions::run(context, &it),
        Command::Diff(it) => diff::run(context, &it),
        Command::Redrivable(it) => redrivable::run(context, &it),
        Command::Forget(it) => forget::forget(context, &it),
        Command::Prune(it) => forget::prune(context, &it),
        Command::Export(it) => export::run(context, &it),
        Command::Prices(it) => prices::run(context, &it),
        Command::Sql(it) => sql::run(context, &it),
        Command::Schema(it) => schema::run(&it),
        Command::Config => config::run(context),
        Command::Completions(it) => completions::run(&it),
        Command::Man(it) => man::run(&it),
        Command::Simulate(it) => simulate::run(&it),
        Command::Measure(it) => measure::run(context, &it),
    }
}
