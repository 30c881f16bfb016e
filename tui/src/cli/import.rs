//! `import`: files, folders and streams into the database.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use collector::import::{Format, ImportOptions, Input};
use queries::{ImportStats, SkippedFile};
use serde_json::{Map, Value, json};
use tui::safe::Command;
use tui::text;

use super::Context;
use crate::Outcome;
use crate::failure::{EXIT_FAILED, EXIT_SET_ASIDE, Failure};
use crate::output;
use crate::report::{Report, TextTable};

/// Files and records that are named on stderr.
const MOST_TOLD: usize = 20;

#[derive(Args)]
pub(crate) struct ImportArguments {
    /// Files or folders; `-` for standard input.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Input format; detected from the content when not given.
    #[arg(long, value_enum, default_value_t)]
    format: FormatArgument,
    /// The execution that a history without an ARN belongs to.
    #[arg(long, value_name = "ARN")]
    execution_arn: Option<String>,
    /// The state machine that definitions and histories without an ARN belong to.
    #[arg(long = "state-machine", alias = "state-machine-arn", value_name = "ARN")]
    state_machine_arn: Option<String>,
    /// What is kept of inputs, outputs, parameters and causes: none, redacted (their shape) or full; with the first two, of
    /// everything else only fields known to be harmless [default: full].
    #[arg(long, value_name = "POLICY")]
    payloads: Option<String>,
    /// Take in executions again that were forgotten.
    #[arg(long)]
    again: bool,
    /// End with 4 when some input was set aside, or a named file was skipped.
    #[arg(long)]
    strict: bool,
    /// List every skipped file with the reason on stderr.
    #[arg(long)]
    verbose: bool,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum FormatArgument {
    #[default]
    Auto,
    History,
    Logs,
    Xray,
    Definition,
    Executions,
    Eventbridge,
}

impl FormatArgument {
    fn forced(self) -> Option<Format> {
        match self {
            Self::Auto => None,
            Self::History => Some(Format::History),
            Self::Logs => Some(Format::Logs),
            Self::Xray => Some(Format::Xray),
            Self::Definition => Some(Format::Definition),
            Self::Executions => Some(Format::Executions),
            Self::Eventbridge => Some(Format::EventBridge),
        }
    }
}

pub(crate) fn run(context: &Context, arguments: &ImportArguments) -> Outcome {
    let inputs = inputs(&arguments.paths)?;
    let mut config = context.config.clone();
    config.payloads = arguments.payloads.clone().or(config.payloads);
    if let Some(arn) =
        arguments.execution_arn.as_deref().filter(|it| analyzer::model::ExecutionArn::parse(it).is_none())
    {
        return Err(Failure::usage(format!("`{arn}` is no execution ARN"))
            .hint("it looks like arn:aws:states:REGION:ACCOUNT:execution:MACHINE:NAME"));
    }
    let options = ImportOptions {
        format: arguments.format.forced(),
        execution_arn: arguments.execution_arn.clone(),
        state_machine_arn: arguments.state_machine_arn.clone(),
        privacy: config.privacy()?,
        // The clock's own time: `--now` says what "now" means in reports, not how wrong a time may be.
        now: Some(super::now()?),
    };
    let begun = Instant::now();
    let prices = super::bill::price_lines(&context.price_books()?);
    let again = arguments.again;
    let open = || {
        let store = super::opened(&config.db_path())?.taking_again(again);
        store.set_prices(&prices)?;
        Ok(store)
    };
    let stats = crate::ingest::run(open, move |send| {
        let mut progress = Progress::new(begun);
        collector::import::import(&inputs, &options, &mut |batch| {
            progress.add(batch.len());
            send(batch)
        })
    })?;
    tell(&stats, arguments.verbose);
    report(&stats, begun.elapsed().as_millis()).print(context.output)?;
    let is_set_aside = stats.quarantined > 0 || stats.skipped_files.iter().any(|it| it.is_named);
    Ok(match stats.used_files {
        0 => EXIT_FAILED,
        _ if is_set_aside && arguments.strict => EXIT_SET_ASIDE,
        _ => 0,
    })
}

/// Says on stderr what was passed over, and why nothing went in where nothing did.
fn tell(stats: &ImportStats, is_verbose: bool) {
    let is_nothing = stats.used_files == 0;
    if is_nothing {
        eprintln!("error: nothing was imported: no input is of a known form and readable");
    }
    let n_named = stats.skipped_files.iter().filter(|it| it.is_named).count();
    let is_told = |it: &&SkippedFile| is_verbose || it.is_named || (is_nothing && n_named == 0);
    let skipped: Vec<&SkippedFile> = stats.skipped_files.iter().filter(is_told).collect();
    let most = if is_verbose { usize::MAX } else { MOST_TOLD };
    for it in skipped.iter().take(most) {
        eprintln!("skipped `{}`: {}", it.source, it.reason);
    }
    let n_more = skipped.len().saturating_sub(most);
    if n_more > 0 {
        eprintln!("… and {n_more} more; `--verbose` lists them all");
    }
    for it in stats.quarantine.iter().take(MOST_TOLD).filter(|_| is_nothing) {
        let line = it.line.map(|it| format!(", line {it}")).unwrap_or_default();
        eprintln!("set aside `{}`{line}: {}", it.source, it.reason);
    }
}

fn inputs(paths: &[PathBuf]) -> Result<Vec<Input>, Failure> {
    let input = |path: &PathBuf| {
        if path.as_os_str() == "-" {
            Ok(Input::Stdin)
        } else if path.exists() {
            Ok(Input::Path(path.clone()))
        } else if path.to_string_lossy().starts_with("s3://") {
            Err(Failure::usage("buckets are read by `collect`")
                .hint(Command::new("stepscope collect").option("--source", &path.display().to_string()).to_string()))
        } else {
            Err(Failure::usage(format!("there is no `{}`", path.display()))
                .hint("give files, folders, or `-` for standard input"))
        }
    };
    paths.iter().map(input).collect()
}

/// A line on the terminal that tells how far the import is.
struct Progress {
    n_observations: usize,
    shown: Instant,
    begun: Instant,
    is_terminal: bool,
}

impl Progress {
    fn new(begun: Instant) -> Self {
        Self { n_observations: 0, shown: begun, begun, is_terminal: output::is_stderr_a_terminal() }
    }

    fn add(&mut self, count: usize) {
        self.n_observations += count;
        if self.is_terminal && self.shown.elapsed().as_millis() > 200 {
            self.shown = Instant::now();
            let seconds = self.begun.elapsed().as_secs();
            output::say_progress(&format!("{} events, {seconds} s ", text::count(self.n_observations as u64)));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_terminal {
            output::say_progress("");
        }
    }
}

fn report(stats: &ImportStats, elapsed_ms: u128) -> Report {
    let quarantine: Vec<Value> =
        stats.quarantine.iter().map(|it| json!({"source": it.source, "line": it.line, "reason": it.reason})).collect();
    let skipped_files: Vec<Value> =
        stats.skipped_files.iter().map(|it| json!({"source": it.source, "reason": it.reason})).collect();
    let mut table = TextTable::with_columns(&["set aside", "#line", "reason"]);
    for it in stats.quarantine.iter().take(20) {
        table.rows.push(vec![
            it.source.clone(),
            it.line.map_or_else(|| "–".to_owned(), |it| it.to_string()),
            text::cut(&it.reason, 100),
        ]);
    }
    let more = stats.quarantine.len().saturating_sub(20);
    let footer = if more > 0 {
        format!("… and {more} more; `stepscope sql 'FROM quarantine'` lists them all")
    } else {
        String::new()
    };
    if stats.quarantine.is_empty() {
        table.columns.clear();
    }
    let heading = format!(
        "{} executions, {} events, {} segments, {} definitions from {} files; {} duplicates, {} files skipped, {} set aside ({} ms)",
        text::count(stats.executions),
        text::count(stats.events),
        text::count(stats.segments),
        text::count(stats.definitions),
        text::count(stats.files),
        text::count(stats.duplicates),
        text::count(stats.skipped),
        text::count(stats.quarantined),
        elapsed_ms
    );
    let left_out =
        format!("{} left out because they were forgotten; `--again` takes them in", text::count(stats.forgotten));
    let footer = match (stats.forgotten, footer.is_empty()) {
        (0, _) => footer,
        (_, true) => left_out,
        (_, false) => format!("{footer}\n{left_out}"),
    };
    let fields: [(&str, Value); 13] = [
        ("files", stats.files.into()),
        ("executions", stats.executions.into()),
        ("events", stats.events.into()),
        ("segments", stats.segments.into()),
        ("definitions", stats.definitions.into()),
        ("lambda_reports", stats.lambda_reports.into()),
        ("duplicates", stats.duplicates.into()),
        ("forgotten", stats.forgotten.into()),
        ("skipped", stats.skipped.into()),
        ("skipped_files", skipped_files.into()),
        ("quarantined", stats.quarantined.into()),
        ("quarantine", quarantine.into()),
        ("elapsed_ms", u64::try_from(elapsed_ms).unwrap_or(u64::MAX).into()),
    ];
    Report {
        command: "import",
        fields: fields.into_iter().map(|(key, it)| (key.to_owned(), it)).collect::<Map<_, _>>(),
        rows: "quarantine",
        table,
        heading,
        footer,
    }
}
