//! `report`: a period against the one before, for people who were not there. What happened, what changed and why, what to do.

mod bottlenecks;
mod cost;
mod health;
mod incident;

use std::io::Write;
use std::path::PathBuf;

use analyzer::model::{Micros, Name, Timestamp};
use clap::{Args, ValueEnum};
use queries::{Reader, SparkOptions};
use serde_json::{Map, Value, json};
use tui::text;

use super::{Context, Range, select, when};
use crate::Outcome;
use crate::failure::Failure;
use crate::output;
use crate::report::page::{self, Page};
use crate::report::{Output, Report, TextTable, sentences};

const DAY: Micros = Micros(86_400_000_000);

#[derive(Args)]
pub(crate) struct ReportArguments {
    /// What it is about.
    kind: Kind,
    /// A state machine: its ARN, its name, or a unique part of it; all of them without it.
    machine: Option<String>,
    /// The length of the period, such as 7d or 24h: it ends with --until, and is set against the same span before.
    #[arg(long, value_name = "SPAN", default_value = "7d", conflicts_with = "since")]
    period: String,
    #[command(flatten)]
    range: Range,
    /// What aggregates: DuckDB in this process, or Spark on the files of a lake. The result is the same.
    #[arg(long, value_enum, default_value_t, value_name = "ENGINE")]
    engine: Engine,
    /// Spark's master, such as spark://HOST:7077 or yarn.
    #[arg(long, value_name = "URL", default_value = "local[*]")]
    master: String,
    /// The program that starts Spark [default: that of SPARK_HOME, else of PATH].
    #[arg(long, value_name = "PATH")]
    spark_submit: Option<PathBuf>,
    /// An option for it, such as --spark-conf spark.executor.memory=4g; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    spark_conf: Vec<String>,
    /// Write it here instead: .html (stands alone), .md, .json or .csv; account numbers are masked.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What aggregates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Engine {
    #[default]
    Duckdb,
    Spark,
}

/// The kinds of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// What was paid, why it changed, and what could be saved.
    Cost,
    /// Which machines fail or are slow, and since when.
    Health,
    /// Which states decide how long executions take.
    Bottlenecks,
    /// The newest change, explained.
    Incident,
    /// All of them, of one look at the database.
    All,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Cost => "cost",
            Self::Health => "health",
            Self::Bottlenecks => "bottlenecks",
            Self::Incident => "incident",
            Self::All => "all",
        }
    }
}

/// From, inclusive, to, exclusive.
pub(crate) type Span = (Timestamp, Timestamp);

/// What a report is about.
pub(crate) struct Asked {
    pub(crate) machine: Option<Name>,
    pub(crate) period: Span,
    /// As long, just before.
    pub(crate) before: Span,
}

impl Asked {
    fn is_wanted(&self, arn: &str) -> bool {
        self.machine.as_deref().is_none_or(|it| it == arn)
    }
}

/// A report in all its forms.
pub(crate) struct Told {
    pub(crate) report: Report,
    pub(crate) page: Page,
}

pub(crate) fn run(context: &Context, arguments: &ReportArguments) -> Outcome {
    let reader = reader(context, arguments)?;
    let asked = Asked {
        machine: select::optional_machine(&reader, arguments.machine.as_deref())?,
        ..asked(context, &arguments.period, &arguments.range)?
    };
    if arguments.kind == Kind::All {
        return all(context, &reader, arguments, &asked);
    }
    let told = told(context, &reader, arguments.kind, &asked)?;
    if let Some(path) = &arguments.out {
        page::write(path, &told.page, &told.report, context.csv())?;
        eprintln!("written to {}", path.display());
    } else if context.output == Output::Markdown {
        output::text().write_all(page::markdown(&told.page).as_bytes())?;
    } else {
        told.report.print(context.output)?;
    }
    Ok(0)
}

/// Every report, of one look at the database.
fn all(context: &Context, reader: &Reader, arguments: &ReportArguments, asked: &Asked) -> Outcome {
    if arguments.out.is_some() || context.output.is_csv() {
        return Err(Failure::usage("`all` is several reports, and a file of this form holds one")
            .hint("give one kind, or take JSON, NDJSON or Markdown on standard output"));
    }
    let (mut reports, mut answer) = (Vec::new(), Vec::new());
    for kind in [Kind::Cost, Kind::Health, Kind::Bottlenecks, Kind::Incident] {
        let told = told(context, reader, kind, asked)?;
        match context.output {
            Output::Markdown => {
                output::text().write_all(page::markdown(&told.page).as_bytes())?;
            }
            Output::Table => {
                if kind != Kind::Cost {
                    writeln!(output::text())?;
                }
                told.report.print(context.output)?;
            }
            _ => {
                answer.extend(told.page.answer);
                reports.push(Value::Object(told.report.fields));
            }
        }
    }
    if matches!(context.output, Output::Json | Output::Ndjson) {
        let fields = [
            ("kind", Kind::All.as_str().into()),
            ("period", span_to_json(asked.period)),
            ("before", span_to_json(asked.before)),
            ("answer", answer.into()),
            ("reports", reports.into()),
        ];
        let fields = fields.into_iter().map(|(key, it)| (key.to_owned(), it)).collect();
        let (heading, footer, table) = (String::new(), String::new(), TextTable::default());
        Report { command: "report", fields, rows: "reports", table, heading, footer }.print(context.output)?;
    }
    Ok(0)
}

/// The database, with Spark where that was asked for.
fn reader(context: &Context, arguments: &ReportArguments) -> Result<Reader, Failure> {
    let reader = context.reader()?;
    if arguments.engine == Engine::Duckdb {
        return Ok(reader);
    }
    if !context.config.is_lake() {
        return Err(Failure::usage("Spark reads the files of a lake, and this database is a file of its own")
            .hint("name a lake with --db ducklake:…"));
    }
    let conf = arguments.spark_conf.iter().flat_map(|it| ["--conf".to_owned(), it.clone()]);
    let options =
        SparkOptions { master: arguments.master.clone(), submit: arguments.spark_submit.clone(), more: conf.collect() };
    Ok(reader.with_spark(&options)?)
}

/// The period that is asked for, and the one before.
fn asked(context: &Context, period: &str, range: &Range) -> Result<Asked, Failure> {
    let (since, until) = context.range(range)?;
    let until = until.map_or_else(|| context.now(), Ok)?;
    let length = match since {
        Some(since) => until - since,
        None => when::span(period)
            .ok_or_else(|| Failure::usage(format!("`{period}` is no span of time")).hint("use 90m, 24h, 7d"))?,
    };
    if length <= Micros::ZERO {
        return Err(
            Failure::usage("the period ends before it begins").hint("--since is the earlier time, --until the later")
        );
    }
    Ok(of_period((until - length, until)))
}

/// All machines in a period.
pub(crate) fn of_period(period: Span) -> Asked {
    let length = period.1 - period.0;
    Asked { machine: None, period, before: (period.0 - length, period.0) }
}

/// Makes a report of everything that was asked for.
pub(crate) fn told(context: &Context, reader: &Reader, kind: Kind, asked: &Asked) -> Result<Told, Failure> {
    let (told, mut page) = match kind {
        Kind::Cost => cost::told(context, reader, asked)?,
        Kind::Health => health::told(reader, asked)?,
        Kind::Bottlenecks => bottlenecks::told(context, reader, asked)?,
        Kind::Incident => incident::told(context, reader, asked)?,
        Kind::All => return Err(Failure::usage("`all` is several reports, and one is wanted here")),
    };
    page.title = format!("{}: {}", title(kind, asked), days(asked.period));
    let mut fields = Map::new();
    fields.insert("kind".to_owned(), kind.as_str().into());
    fields.insert("period".to_owned(), span_to_json(asked.period));
    fields.insert("before".to_owned(), span_to_json(asked.before));
    fields.insert("answer".to_owned(), page.answer.clone().into());
    fields.extend(told.fields);
    let heading = sentences([&page.title, &page.answer.join(" ")]);
    Ok(Told { report: Report { command: "report", fields, heading, ..told }, page })
}

fn title(kind: Kind, asked: &Asked) -> String {
    let what = match kind {
        Kind::Cost => "Step Functions cost",
        Kind::Health => "Step Functions health",
        Kind::Bottlenecks => "Step Functions bottlenecks",
        Kind::Incident => "Step Functions incident",
        Kind::All => "Step Functions",
    };
    match asked.machine.as_deref().and_then(|it| it.rsplit(':').next()) {
        Some(machine) => format!("{what} of {machine}"),
        None => what.to_owned(),
    }
}

/// A span of time for people, to the minute where it is not whole days.
fn days((from, to): Span) -> String {
    if [from, to].iter().all(|it| it.0.rem_euclid(DAY.0) == 0) {
        return format!("{} to {} (UTC, end exclusive)", analyzer::time::date(from), analyzer::time::date(to));
    }
    format!("{} to {} UTC", text::minute(from), text::minute(to))
}

fn span_to_json((from, to): Span) -> Value {
    json!({"from": analyzer::time::format(from), "to": analyzer::time::format(to)})
}

/// What to do, in the JSON and on the page.
struct Action {
    what: String,
    usd_per_month: Option<analyzer::model::Usd>,
    command: String,
}

impl Action {
    fn to_json(&self) -> Value {
        json!({"what": self.what, "usd_per_month": self.usd_per_month.map(super::bill::number), "command": self.command})
    }

    fn row(&self, has_money: bool) -> Vec<String> {
        let money = self.usd_per_month.map_or_else(|| "–".to_owned(), text::usd);
        let command = format!("`{}`", self.command);
        if has_money { vec![self.what.clone(), money, command] } else { vec![self.what.clone(), command] }
    }
}

/// The section of what to do; nothing to do is an answer.
fn actions_section(actions: &[Action]) -> page::Section {
    let said = if actions.is_empty() { "Nothing that the numbers ask for." } else { "" };
    let has_money = actions.iter().any(|it| it.usd_per_month.is_some());
    let rows = actions.iter().map(|it| it.row(has_money)).collect();
    let columns: &[&str] = if has_money { &["what", "saves a month", "look"] } else { &["what", "look"] };
    page::Section::new("What to do", said, columns).with_rows(rows)
}

/// When nothing started in the period: said, with where there is something.
fn nothing(reader: &Reader) -> Result<String, Failure> {
    let newest = reader.first_and_last_start()?.1.map(text::minute);
    Ok(newest.map_or_else(
        || "No execution is stored.".to_owned(),
        |at| format!("No execution started in the period; the newest stored one started at {at} UTC (`--until` chooses the end)."),
    ))
}

/// How much more or less, in words.
fn change(before: f64, after: f64) -> String {
    if before <= 0.0 {
        return if after > 0.0 { "none before".to_owned() } else { "as before".to_owned() };
    }
    let percent = ((after / before - 1.0) * 100.0).round();
    if percent == 0.0 { "as before".to_owned() } else { format!("{percent:+.0} %").replace('-', "−") }
}
