//! `lint`: definitions in files, folders and templates, or of a machine whose runs are stored.

mod files;
mod output;
pub(crate) mod stored;
mod watch;

use std::path::Path;

use analyzer::asl::Place;
use analyzer::lint::{Finding, Severity};
use clap::Args;

use super::Context;
use crate::Outcome;
use crate::failure::{EXIT_THRESHOLD, Failure};

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command")]
pub(crate) struct LintArguments {
    /// Files, folders, or a machine whose definition and runs are stored.
    #[arg(required_unless_present_any = ["explain", "rules"], value_name = "FILE|MACHINE")]
    targets: Vec<String>,
    /// End with 3 when something of this severity or worse is found: error, warning or info; never ends with 0.
    #[arg(long, value_name = "SEVERITY", default_value = "error")]
    fail_on: String,
    /// Show only what is of this severity or worse.
    #[arg(long, value_name = "SEVERITY")]
    min_severity: Option<String>,
    /// Print the result as SARIF 2.1.0.
    #[arg(long, conflicts_with_all = ["github", "watch"])]
    sarif: bool,
    /// Print annotations for GitHub Actions.
    #[arg(long)]
    github: bool,
    /// Pass over named files that neither hold a definition nor look like one, as those of a commit may.
    #[arg(long)]
    skip_foreign: bool,
    /// Look again whenever one of the files changes.
    #[arg(long)]
    watch: bool,
    /// Say what a rule is about.
    #[arg(long, value_name = "RULE", conflicts_with = "targets")]
    explain: Option<String>,
    /// List all rules.
    #[arg(long, conflicts_with_all = ["targets", "explain"])]
    rules: bool,
}

/// A finding with its place.
pub(crate) struct Placed {
    pub(crate) source: String,
    pub(crate) line: usize,
    pub(crate) column: usize,
    /// The machine, as a template or the database calls it.
    pub(crate) machine: Option<String>,
    pub(crate) finding: Finding,
}

#[derive(Default)]
pub(crate) struct Checked {
    pub(crate) files: u64,
    pub(crate) definitions: u64,
    pub(crate) findings: Vec<Placed>,
}

impl Checked {
    /// Adds what is wrong with a file as a whole.
    fn refuse(&mut self, path: &Path, rule: &'static str, message: String, place: Option<Place>) {
        let Place { line, column } = place.unwrap_or(Place::START);
        let (source, finding) = (path.display().to_string(), Finding::new(rule, String::new(), message));
        self.files += 1;
        self.findings.push(Placed { source, line, column, machine: None, finding });
    }

    /// Keeps what is of a severity or worse.
    fn keep(&mut self, least: Option<Severity>) {
        self.findings.retain(|it| least.is_none_or(|least| it.finding.severity >= least));
    }
}

pub(crate) fn run(context: &Context, arguments: &LintArguments) -> Outcome {
    if let Some(name) = &arguments.explain {
        return output::explain(name);
    }
    if arguments.rules {
        return output::list_rules(context.output);
    }
    let threshold = match arguments.fail_on.as_str() {
        "never" => None,
        severity => Some(parse_severity(severity).map_err(|it| it.hint("use error, warning, info or never"))?),
    };
    let least = arguments.min_severity.as_deref().map(parse_severity).transpose()?;
    if arguments.watch {
        return watch::run(&arguments.targets, || {
            let mut checked = check(context, arguments)?;
            checked.keep(least);
            output::print(&checked, arguments, context.output)
        });
    }
    let mut checked = check(context, arguments)?;
    let worst = checked.findings.iter().map(|it| it.finding.severity).max();
    checked.keep(least);
    output::print(&checked, arguments, context.output)?;
    let is_crossed = threshold.zip(worst).is_some_and(|(threshold, worst)| worst >= threshold);
    Ok(if is_crossed { EXIT_THRESHOLD } else { 0 })
}

/// Whether what was given is meant to be a file: machines have neither folders nor endings.
pub(super) fn is_like_a_path(text: &str) -> bool {
    let ending = Path::new(text).extension().and_then(|it| it.to_str());
    !text.starts_with("arn:") && (text.contains('/') || ending.is_some_and(|it| files::EXTENSIONS.contains(&it)))
}

fn check(context: &Context, arguments: &LintArguments) -> Result<Checked, Failure> {
    let mut checked = Checked::default();
    let (paths, machines): (Vec<&String>, Vec<&String>) =
        arguments.targets.iter().partition(|it| Path::new(it).exists());
    files::check(&paths, arguments.skip_foreign, &mut checked)?;
    for machine in machines {
        if is_like_a_path(machine) {
            return Err(Failure::usage(format!("there is no file `{machine}`")));
        }
        stored::check(context, machine, &mut checked)?;
    }
    Ok(checked)
}

pub(super) fn parse_severity(text: &str) -> Result<Severity, Failure> {
    Severity::parse(text)
        .ok_or_else(|| Failure::usage(format!("`{text}` is no severity")).hint("use error, warning or info"))
}

/// A definition that cannot be read.
fn broken(message: String) -> Finding {
    Finding::new("invalid", String::new(), message)
}
