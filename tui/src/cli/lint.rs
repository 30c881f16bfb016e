//! `lint`: definitions in files, folders and templates, or of a machine whose runs are stored.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use analyzer::asl::{StateMachine, text_to_value};
use analyzer::lint::{Finding, RULES, Severity, lint, locate, rule_named};
use clap::Args;
use serde_json::{Value, json};
use tui::text;

use super::{Context, select};
use crate::Outcome;
use crate::failure::{EXIT_THRESHOLD, Failure};
use crate::report::{Report, TextTable};

/// AWS takes definitions of at most 1 MB; templates may hold several.
const LARGEST: u64 = 16 << 20;

#[derive(Args)]
pub(crate) struct LintArguments {
    /// Files, folders, or a machine whose definition and runs are stored.
    #[arg(required_unless_present = "explain", value_name = "FILE|MACHINE")]
    targets: Vec<String>,
    /// End with 3 when something of this severity or worse is found: error, warning or info.
    #[arg(long, value_name = "SEVERITY")]
    fail_on: Option<String>,
    /// Print the result as SARIF 2.1.0.
    #[arg(long)]
    sarif: bool,
    /// Say what a rule is about.
    #[arg(long, value_name = "RULE", conflicts_with = "targets")]
    explain: Option<String>,
}

/// A finding with its place.
struct Placed {
    source: String,
    line: usize,
    column: usize,
    finding: Finding,
}

#[derive(Default)]
struct Checked {
    files: u64,
    definitions: u64,
    findings: Vec<Placed>,
}

pub(crate) fn run(context: &Context, arguments: &LintArguments) -> Outcome {
    if let Some(name) = &arguments.explain {
        return explain(name);
    }
    let threshold = arguments.fail_on.as_deref().map(parse_severity).transpose()?;
    let mut checked = Checked::default();
    for target in &arguments.targets {
        let path = Path::new(target);
        if path.exists() {
            check_path(path, true, &mut checked)?;
        } else {
            check_machine(context, target, &mut checked)?;
        }
    }
    let worst = checked.findings.iter().map(|it| it.finding.severity).max();
    if arguments.sarif {
        use std::io::Write;
        writeln!(std::io::stdout(), "{:#}", sarif(&checked))?;
    } else {
        report(&checked).print(context.output)?;
    }
    let is_crossed = threshold.zip(worst).is_some_and(|(threshold, worst)| worst >= threshold);
    Ok(if is_crossed { EXIT_THRESHOLD } else { 0 })
}

fn parse_severity(text: &str) -> Result<Severity, Failure> {
    Severity::parse(text)
        .ok_or_else(|| Failure::usage(format!("`{text}` is no severity")).hint("use error, warning or info"))
}

fn explain(name: &str) -> Outcome {
    use std::io::Write;
    let rule = rule_named(name).ok_or_else(|| {
        let known = RULES.map(|it| it.name).join(", ");
        Failure::usage(format!("there is no rule `{name}`")).hint(format!("the rules are {known}"))
    })?;
    writeln!(
        std::io::stdout(),
        "{} ({})\n\n{}\n\nWhat to do: {}\n\nTo spare a state this rule, write `stepscope:ignore {}` into its Comment.",
        rule.name,
        rule.severity.as_str(),
        rule.why,
        rule.fix,
        rule.name
    )?;
    Ok(0)
}

/// A file named by the user has to hold a definition; others in a folder may be anything.
fn check_path(path: &Path, is_named: bool, checked: &mut Checked) -> Result<(), Failure> {
    if path.is_dir() {
        let mut entries: Vec<PathBuf> = std::fs::read_dir(path)?.filter_map(Result::ok).map(|it| it.path()).collect();
        entries.retain(|it| !it.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')));
        entries.sort();
        return entries.iter().try_for_each(|it| check_path(it, false, checked));
    }
    let is_candidate = path.extension().is_some_and(|it| {
        ["json", "json5", "yaml", "yml", "asl", "template"].iter().any(|known| it.eq_ignore_ascii_case(known))
    });
    if (!is_candidate && !is_named) || std::fs::metadata(path).map_or(true, |it| it.len() > LARGEST) {
        return Ok(());
    }
    let source = path.display().to_string();
    let Ok(text) = std::fs::read_to_string(path) else {
        return if is_named { Err(Failure::new(format!("`{source}` cannot be read as text"))) } else { Ok(()) };
    };
    let may_hold_one = text.contains("StartAt") && text.contains("States");
    let value = match text_to_value(&text) {
        Ok(value) => value,
        Err(error) => {
            if is_named || (may_hold_one && text.trim_start().starts_with(['{', '/'])) {
                checked.files += 1;
                let finding = broken("", error.to_string());
                checked.findings.push(Placed { source, line: 1, column: 1, finding });
            }
            return Ok(());
        }
    };
    let mut definitions = Vec::new();
    collect(&value, String::new(), &mut definitions);
    if definitions.is_empty() {
        if is_named && (value.get("States").is_some() || value.get("StartAt").is_some()) {
            checked.files += 1;
            let missing = if value.get("States").is_some() { "StartAt" } else { "States" };
            let finding = broken("", format!("the field `{missing}` is missing"));
            checked.findings.push(Placed { source, line: 1, column: 1, finding });
        } else if is_named {
            return Err(Failure::usage(format!("`{source}` holds no definition"))
                .hint("give a file with StartAt and States, or a template that has one inside"));
        }
        return Ok(());
    }
    checked.files += 1;
    for (place, value) in definitions {
        checked.definitions += 1;
        let findings = match StateMachine::from_value(&value) {
            Ok(machine) => lint(&machine, &BTreeMap::new()),
            Err(error) => vec![broken("", error.to_string())],
        };
        for finding in findings {
            let (line, column) = locate(&text, &format!("{place}{}", finding.path));
            checked.findings.push(Placed { source: source.clone(), line, column, finding });
        }
    }
    Ok(())
}

fn broken(path: &str, message: String) -> Finding {
    let rule = &RULES[0];
    Finding { path: path.to_owned(), rule: rule.name, severity: rule.severity, message, fix: rule.fix, evidence: None }
}

/// The definitions inside a value: itself, or parts of a template, also as texts.
fn collect(value: &Value, place: String, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(fields) => {
            if fields.get("States").is_some_and(Value::is_object) && fields.contains_key("StartAt") {
                found.push((place, value.clone()));
                return;
            }
            for (key, inner) in fields {
                if let (true, Some(text)) = (key.to_ascii_lowercase().contains("definition"), inner.as_str())
                    && let Ok(inner) = text_to_value(text)
                {
                    collect(&inner, format!("{place}/{key}"), found);
                    continue;
                }
                collect(inner, format!("{place}/{key}"), found);
            }
        }
        Value::Array(items) => {
            for item in items {
                collect(item, place.clone(), found);
            }
        }
        _ => {}
    }
}

/// A stored definition, with what its runs say.
fn check_machine(context: &Context, target: &str, checked: &mut Checked) -> Result<(), Failure> {
    let reader = context.reader().map_err(|failure| {
        failure.hint(format!("there is no file `{target}`; a machine is looked up in the database"))
    })?;
    let arn = select::machine(&reader, target)?;
    let text = reader.definitions(&arn)?.into_iter().next().ok_or_else(|| {
        Failure::usage(format!("no definition of `{target}` is stored"))
            .hint("import its file or a `describe-state-machine` answer with `stepscope import`")
    })?;
    checked.files += 1;
    checked.definitions += 1;
    let findings = match StateMachine::parse(&text) {
        Ok(machine) => lint(&machine, &reader.state_evidence(&arn)?),
        Err(error) => vec![broken("", error.to_string())],
    };
    for finding in findings {
        let (line, column) = locate(&text, &finding.path);
        checked.findings.push(Placed { source: arn.to_string(), line, column, finding });
    }
    Ok(())
}

fn report(checked: &Checked) -> Report {
    let mut table = TextTable::with_columns(&["where", "severity", "rule", "what", "evidence"]);
    for it in &checked.findings {
        table.rows.push(vec![
            format!("{}:{}:{}", it.source, it.line, it.column),
            it.finding.severity.as_str().to_owned(),
            it.finding.rule.to_owned(),
            text::cut(&it.finding.message, 80),
            it.finding.evidence.clone().unwrap_or_default(),
        ]);
    }
    let count =
        |severity: Severity| checked.findings.iter().filter(|it| it.finding.severity == severity).count() as u64;
    let findings: Vec<Value> = checked.findings.iter().map(to_json).collect();
    let fields = [
        ("files".to_owned(), Value::from(checked.files)),
        ("definitions".to_owned(), checked.definitions.into()),
        ("findings".to_owned(), findings.into()),
    ];
    Report {
        command: "lint",
        fields: fields.into_iter().collect(),
        rows: "findings",
        table,
        heading: format!(
            "{} definitions in {} files: {} errors, {} warnings, {} infos.",
            text::count(checked.definitions),
            text::count(checked.files),
            text::count(count(Severity::Error)),
            text::count(count(Severity::Warning)),
            text::count(count(Severity::Info))
        ),
        footer: if checked.findings.is_empty() {
            String::new()
        } else {
            "`stepscope lint --explain RULE` says why and what to do.".to_owned()
        },
    }
}

fn to_json(it: &Placed) -> Value {
    let finding = &it.finding;
    json!({
        "source": it.source, "line": it.line, "column": it.column, "path": finding.path, "rule": finding.rule,
        "severity": finding.severity.as_str(), "message": finding.message, "fix": finding.fix, "evidence": finding.evidence,
    })
}

/// SARIF 2.1.0, which code scanning reads.
fn sarif(checked: &Checked) -> Value {
    let level = |severity: Severity| match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    };
    let rules: Vec<Value> = RULES
        .iter()
        .map(|it| {
            json!({
                "id": it.name, "shortDescription": {"text": it.why}, "help": {"text": it.fix},
                "defaultConfiguration": {"level": level(it.severity)},
            })
        })
        .collect();
    let results: Vec<Value> = checked
        .findings
        .iter()
        .map(|it| {
            json!({
                "ruleId": it.finding.rule, "level": level(it.finding.severity), "message": {"text": it.finding.message},
                "locations": [{"physicalLocation": {
                    "artifactLocation": {"uri": it.source}, "region": {"startLine": it.line, "startColumn": it.column},
                }}],
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": {"name": "stepscope", "version": env!("CARGO_PKG_VERSION"), "rules": rules}}, "results": results}],
    })
}
