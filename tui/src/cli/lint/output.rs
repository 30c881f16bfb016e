//! Findings as lines that editors jump from, as tables and JSON, as SARIF, as annotations; and the pages of the rules.

use std::io::Write;

use analyzer::lint::{RULES, Rule, Severity, rule_named};
use serde_json::{Value, json};
use tui::text;

use super::{Checked, LintArguments, Placed};
use crate::Outcome;
use crate::cli::bill::number;
use crate::failure::Failure;
use crate::output;
use crate::report::{Output, Report, TextTable};

pub(super) fn print(checked: &Checked, arguments: &LintArguments, output: Output) -> Result<(), Failure> {
    let mut out = if arguments.sarif { output::json() } else { output::text() };
    if arguments.sarif {
        writeln!(out, "{:#}", sarif(checked))?;
    } else if arguments.github {
        for it in &checked.findings {
            writeln!(out, "{}", annotation(it))?;
        }
    } else if output == Output::Table {
        lines(&mut out, checked)?;
    } else {
        drop(out);
        return report(checked).print(output);
    }
    out.flush()?;
    Ok(())
}

/// `file:line:column: severity: message [rule]`, with what was measured below it.
fn lines(out: &mut impl Write, checked: &Checked) -> Result<(), Failure> {
    for it in &checked.findings {
        let (finding, place) = (&it.finding, format!("{}:{}:{}", text::plain(&it.source), it.line, it.column));
        let message = text::plain(&finding.message);
        writeln!(out, "{place}: {}: {message} [{}]", finding.severity.as_str(), finding.rule)?;
        if let Some(evidence) = &finding.evidence {
            writeln!(out, "    {}", text::plain(evidence))?;
        }
    }
    writeln!(out, "{}", summary(checked))?;
    if !checked.findings.is_empty() {
        writeln!(out, "`stepscope lint --explain RULE` says why and what to do.")?;
    }
    Ok(())
}

fn summary(checked: &Checked) -> String {
    let count =
        |severity: Severity| checked.findings.iter().filter(|it| it.finding.severity == severity).count() as u64;
    format!(
        "{} definitions in {} files: {} errors, {} warnings, {} infos.",
        text::count(checked.definitions),
        text::count(checked.files),
        text::count(count(Severity::Error)),
        text::count(count(Severity::Warning)),
        text::count(count(Severity::Info))
    )
}

fn report(checked: &Checked) -> Report {
    let mut table = TextTable::with_columns(&["where", "severity", "rule", "what", "evidence"]);
    for it in &checked.findings {
        table.rows.push(vec![
            format!("{}:{}:{}", it.source, it.line, it.column),
            it.finding.severity.as_str().to_owned(),
            it.finding.rule.to_owned(),
            it.finding.message.clone(),
            it.finding.evidence.clone().unwrap_or_default(),
        ]);
    }
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
        heading: summary(checked),
        footer: String::new(),
    }
}

fn to_json(it: &Placed) -> Value {
    let finding = &it.finding;
    json!({
        "source": it.source, "line": it.line, "column": it.column, "machine": it.machine, "path": finding.path,
        "state": finding.state.as_deref(), "rule": finding.rule, "severity": finding.severity.as_str(), "message": finding.message,
        "fix": finding.fix, "evidence": finding.evidence, "usd": finding.cost.map(number),
    })
}

/// A command of GitHub's workflows, which shows the finding beside the line.
fn annotation(it: &Placed) -> String {
    let kind = match it.finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "notice",
    };
    let escaped = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| escaped(text).replace(':', "%3A").replace(',', "%2C");
    format!(
        "::{kind} file={},line={},col={},title=stepscope {}::{} {}",
        property(&it.source),
        it.line,
        it.column,
        it.finding.rule,
        escaped(&it.finding.message),
        escaped(it.finding.fix)
    )
}

/// SARIF 2.1.0, which code scanning reads.
fn sarif(checked: &Checked) -> Value {
    let rules: Vec<Value> = RULES
        .iter()
        .map(|it| {
            json!({
                "id": it.name, "shortDescription": {"text": it.why}, "help": {"text": help(it)},
                "defaultConfiguration": {"level": level(it.severity)},
            })
        })
        .collect();
    let index = |name: &str| RULES.iter().position(|it| it.name == name);
    let results: Vec<Value> = checked
        .findings
        .iter()
        .map(|it| {
            let evidence = it.finding.evidence.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
            json!({
                "ruleId": it.finding.rule, "ruleIndex": index(it.finding.rule), "level": level(it.finding.severity),
                "message": {"text": format!("{}{evidence}", it.finding.message)},
                "locations": [{
                    "physicalLocation": {
                        "artifactLocation": {"uri": uri(&it.source)},
                        "region": {"startLine": it.line, "startColumn": it.column},
                    },
                    "logicalLocations": [{"fullyQualifiedName": it.finding.path}],
                }],
                // The same finding in the next run, also where lines have moved.
                "partialFingerprints": {"stepscope/1": format!("{}:{}:{}", it.finding.rule, it.machine.as_deref().unwrap_or(""), it.finding.path)},
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"columnKind": "unicodeCodePoints", "tool": {"driver": {"name": "stepscope", "version": env!("CARGO_PKG_VERSION"), "rules": rules}}, "results": results}],
    })
}

/// A path as a relative address: what has a meaning there is written in hexadecimal.
fn uri(path: &str) -> String {
    let kept = |it: u8| it.is_ascii_alphanumeric() || b"/-._~".contains(&it);
    path.bytes().map(|it| if kept(it) { char::from(it).to_string() } else { format!("%{it:02X}") }).collect()
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

fn help(rule: &Rule) -> String {
    if rule.example.is_empty() { rule.fix.to_owned() } else { format!("{}\n\n{}", rule.fix, rule.example) }
}

pub(super) fn explain(name: &str) -> Outcome {
    let rule = rule_named(name).ok_or_else(|| {
        let known = RULES.map(|it| it.name).join(", ");
        Failure::usage(format!("there is no rule `{name}`")).hint(format!("the rules are {known}"))
    })?;
    let mut out = output::text();
    writeln!(out, "{} ({})\n\n{}\n\nWhat to do: {}\n", rule.name, rule.severity.as_str(), rule.why, rule.fix)?;
    if !rule.example.is_empty() {
        writeln!(out, "    {}\n", rule.example.replace('\n', "\n    "))?;
    }
    writeln!(
        out,
        "To spare a state this rule, write `stepscope:ignore {}` into its Comment, or into a comment on its line or the one\n\
         above (YAML, JSON5, Terraform); into the Comment of the machine to spare all of it.",
        rule.name
    )?;
    Ok(0)
}

pub(super) fn list_rules(output: Output) -> Outcome {
    let mut table = TextTable::with_columns(&["rule", "severity", "why"]);
    let row = |it: &Rule| vec![it.name.to_owned(), it.severity.as_str().to_owned(), it.why.to_owned()];
    table.rows = RULES.iter().map(row).collect();
    let rules = RULES.iter().map(|it| {
        json!({"rule": it.name, "severity": it.severity.as_str(), "why": it.why, "fix": it.fix, "example": it.example})
    });
    let report = Report {
        command: "lint-rules",
        fields: [("rules".to_owned(), rules.collect())].into_iter().collect(),
        rows: "rules",
        table,
        heading: String::new(),
        footer: String::new(),
    };
    report.print(output)?;
    Ok(0)
}
