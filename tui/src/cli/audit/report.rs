//! The audit as a scorecard and a ranked list.

use analyzer::lint::Severity;
use analyzer::model::{Name, Usd};
use serde_json::{Map, Value, json};
use tui::text;

use super::practices::NAMES;
use super::{Audited, Ranked};
use crate::cli::bill::number;
use crate::report::{Report, TextTable, sentences};

/// States that a line names.
const NAMED: usize = 3;

pub(super) fn report(machines: &[Audited], ranked: &[Ranked], limit: Option<usize>) -> Report {
    let shown = &ranked[..limit.map_or(ranked.len(), |it| it.min(ranked.len()))];
    let mut table = TextTable::with_columns(&["#", "machine", "#a month", "severity", "rule", "what"]);
    for (place, it) in (1_u64..).zip(shown) {
        table.rows.push(vec![
            place.to_string(),
            it.machine.clone(),
            it.usd_per_month.map_or_else(|| "–".to_owned(), text::usd),
            it.finding.severity.as_str().to_owned(),
            it.finding.rule.to_owned(),
            text::cut(&what(it), 52),
        ]);
    }
    let findings: Vec<Value> = (1_u64..).zip(shown).map(|(rank, it)| to_json(rank, it)).collect();
    let fields = [
        ("machines".to_owned(), Value::from(machines.iter().map(|it| machine_to_json(it, ranked)).collect::<Vec<_>>())),
        ("findings".to_owned(), findings.into()),
    ];
    Report {
        command: "audit",
        fields: fields.into_iter().collect(),
        rows: "findings",
        table,
        heading: scorecard(machines),
        footer: footer(ranked, shown.len()),
    }
}

/// What is wrong, and in which states where there are several.
fn what(it: &Ranked) -> String {
    if it.states.len() < 2 {
        return it.finding.message.clone();
    }
    let names: Vec<String> = it.states.iter().take(NAMED).map(|it| format!("`{it}`")).collect();
    let more = it.states.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let first = it.finding.state.as_deref().unwrap_or_default();
    it.finding.message.replacen(&format!("`{first}`"), &format!("each of {}{more}", names.join(", ")), 1)
}

/// A line a machine, a column a practice.
fn scorecard(machines: &[Audited]) -> String {
    let width = machines.iter().map(|it| it.name.chars().count()).max().unwrap_or(7).max(7);
    let mut lines =
        vec![format!("{:width$}  {}", "machine", NAMES.map(|it| format!("{it:10}")).join(" ")).trim_end().to_owned()];
    for it in machines {
        let signs = it.practices.0.map(|it| format!("{:10}", it.sign())).join(" ");
        lines.push(format!("{:width$}  {signs}", it.name).trim_end().to_owned());
    }
    lines.push(String::new());
    sentences(&lines)
}

fn footer(ranked: &[Ranked], n_shown: usize) -> String {
    let count = |severity: Severity| ranked.iter().filter(|it| it.finding.severity == severity).count() as u64;
    let mut lines = vec![format!(
        "{} errors, {} warnings, {} infos; `stepscope lint MACHINE` says what was measured, `lint --explain RULE` why and what to do.",
        text::count(count(Severity::Error)),
        text::count(count(Severity::Warning)),
        text::count(count(Severity::Info))
    )];
    if n_shown < ranked.len() {
        lines.push(format!("{} more are not shown.", text::count((ranked.len() - n_shown) as u64)));
    }
    if ranked.iter().any(|it| it.usd_per_month.is_some_and(|it| it > Usd::ZERO)) {
        lines.push(
            "A month is what was measured, stretched to 30 days, at list price. Savings of one machine overlap: as Express it pays for no transitions, those of polling among them."
                .to_owned(),
        );
    }
    lines.push("`?` is not known: no definition is stored, or the machine was not described (`stepscope collect`, or import a `describe-state-machine` answer).".to_owned());
    sentences(&lines)
}

fn to_json(rank: u64, it: &Ranked) -> Value {
    json!({
        "rank": rank, "state_machine_arn": it.arn, "machine": it.machine, "rule": it.finding.rule,
        "severity": it.finding.severity.as_str(), "states": it.states.iter().map(Name::as_str).collect::<Vec<_>>(),
        "message": what(it), "fix": it.finding.fix, "path": it.finding.path, "evidence": it.evidence,
        "usd": it.usd.map(number), "usd_per_month": it.usd_per_month.map(number),
    })
}

fn machine_to_json(it: &Audited, ranked: &[Ranked]) -> Value {
    let practices: Map<String, Value> =
        NAMES.iter().zip(it.practices.0).map(|(name, it)| ((*name).replace('-', "_"), it.as_str().into())).collect();
    let own = || ranked.iter().filter(|found| found.arn == it.arn);
    let count = |severity: Severity| own().filter(|it| it.finding.severity == severity).count();
    json!({
        "state_machine_arn": it.arn, "machine": it.name, "executions": it.runs.executions, "practices": practices,
        "errors": count(Severity::Error), "warnings": count(Severity::Warning), "infos": count(Severity::Info),
    })
}
