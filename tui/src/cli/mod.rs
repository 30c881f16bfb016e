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
    /// Output format.
    #[arg(short, long, global = true, value_enum, default_value_t)]
    output: Output,
    /// Write CSV cells that a spreadsheet could run as a formula unchanged, without a leading apostrophe.
    #[arg(long, global = true)]
    csv_raw: bool,
    /// When to use colour.
    #[arg(long, global = true, value_enum, default_value_t)]
    color: Color,
    /// Use this time as "now", for spans such as 24h.
    #[arg(long, global = true, value_name = "TIME")]
    now: Option<String>,
    /// A price book to use instead of the built-in one, or a folder of them; each applies from its date on.
    #[arg(long, global = true, env = "STEPSCOPE_PRICES", value_name = "PATH")]
    prices: Option<PathBuf>,
    /// Region whose prices apply to executions without a region [default: us-east-1].
    #[arg(long, global = true, value_name = "REGION")]
    price_region: Option<String>,
    /// Free-tier transitions per month that other workloads of the account use.
    #[arg(long, global = true, value_name = "N")]
    free_tier_used: Option<u64>,
    /// Express GB-seconds per month that other workloads of the account use.
    #[arg(long, global = true, value_name = "GB_S")]
    tier_used: Option<u64>,
    /// Memory of a Lambda function in MB, where no report states it; `*` for all others; may be repeated.
    #[arg(long, global = true, value_name = "NAME=MB")]
    function_memory: Vec<String>,
    /// A state that is safe to run twice, such as orders/Charge; may be repeated.
    #[arg(long, global = true, value_name = "MACHINE/STATE")]
    repeatable: Vec<String>,
    /// A contract discount on list prices in percent, such as standard=12.5 or all=5; may be repeated.
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
    /// Create a temporary database with a synthetic workload and open the dashboard.
    Demo(demo::DemoArguments),
    /// Import histories, logs, traces and definitions from files, folders or standard input.
    Import(import::ImportArguments),
    /// Collect state machines, executions and histories from AWS.
    Collect(collect::CollectArguments),
    /// Check the database, configuration, prices and connection to AWS.
    Doctor(doctor::DoctorArguments),
    /// Print the minimal IAM policy that `collect` needs.
    Policy(policy::PolicyArguments),
    /// Open the dashboard.
    Dash(dash::DashArguments),
    /// List executions, newest first.
    Executions(executions::ExecutionsArguments),
    /// Show the timeline, attempts and critical path of executions.
    Show(show::ShowArguments),
    /// Show where executions spend their time, by state.
    States(states::StatesArguments),
    /// Rank states by their share of the critical path and suggest improvements.
    Bottlenecks(bottlenecks::BottlenecksArguments),
    /// Simulate recorded executions with a change, such as no back-off.
    Whatif(whatif::WhatifArguments),
    /// Compare two sets of executions: causes, contributions and confidence.
    Compare(compare::CompareArguments),
    /// Detect when latency or failure rate changed.
    Incidents(incidents::IncidentsArguments),
    /// Compare a period with the previous one and write a shareable report.
    Report(report::ReportArguments),
    /// Run reports on a schedule.
    Schedule(schedule::ScheduleArguments),
    /// Evaluate the configured alert rules and notify their recipients.
    Alerts(alerts::AlertsArguments),
    /// Record a deployment.
    Mark(mark::MarkArguments),
    /// Show what was billed and what Standard and Express would cost.
    Cost(cost::CostArguments),
    /// Check definitions: errors that AWS rejects, bad practices, findings from recorded executions.
    Lint(lint::LintArguments),
    /// Create, inspect and compact a DuckLake database.
    Lake(lake::LakeArguments),
    /// Check all state machines against best practices, ranked by money and risk.
    Audit(audit::AuditArguments),
    /// List deployed versions with their performance and definition changes.
    Versions(versions::VersionsArguments),
    /// Show the differences between two definitions.
    Diff(diff::DiffArguments),
    /// List failed executions that can still be redriven, with the command for each.
    Redrivable(redrivable::RedrivableArguments),
    /// Delete executions and all their data, and rewrite the database so that nothing is left in its files.
    Forget(forget::ForgetArguments),
    /// Delete closed executions that started before a given time.
    Prune(forget::PruneArguments),
    /// Export data: evidence bundles, FOCUS, Infracost, OTLP, Parquet, Perfetto, Prometheus.
    Export(export::ExportArguments),
    /// Show the prices in use.
    Prices(prices::PricesArguments),
    /// Run a read-only SQL query over the documented views.
    Sql(sql::SqlArguments),
    /// Print the JSON Schema of a command's result.
    Schema(schema::SchemaArguments),
    /// Print the effective configuration.
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
    /// Only executions that started at or after this time: RFC 3339, a date, or a span back from now such as 90m, 24h, 7d.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only executions that started before this time.
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
