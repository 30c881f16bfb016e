//! `collect --plan`: what would be read, machine by machine.

use collector::live::Planned;
use serde_json::{Value, json};
use tui::text;

use super::Context;
use super::options::Resolved;
use crate::Outcome;
use crate::cli::bill::number;
use crate::failure::Failure;
use crate::report::{Report, TextTable, sentences};

pub(super) fn run(context: &Context, resolved: &Resolved) -> Outcome {
    let report = collector::live::plan(&resolved.targets, &resolved.options, &resolved.known)
        .map_err(|error| Failure::new(error.to_string()))?;
    let mut table = TextTable::with_columns(&["machine", "source", "#executions", "#calls", "#seconds", "#USD"]);
    for it in &report.plan {
        table.rows.push(vec![
            name(it).to_owned(),
            it.source.clone(),
            it.executions.map_or_else(|| "–".to_owned(), text::count),
            text::count(it.calls),
            format!("{:.0}", it.seconds),
            it.usd.to_decimal(),
        ]);
    }
    let denied = report.targets.iter().flat_map(|it| &it.denied);
    let denied = denied.map(|it| format!("{} is denied: no {}", it.permission, it.lost));
    let gaps = report.targets.iter().flat_map(|it| it.gaps.iter().map(ToString::to_string));
    let mut footer: Vec<String> = denied.chain(gaps).collect();
    footer.extend(limits(&report.plan));
    let fields = [
        ("targets", json!(report.targets)),
        ("calls", json!(report.calls)),
        ("plan", report.plan.iter().map(planned).collect()),
    ];
    Report {
        command: "collect",
        footer: sentences(&footer),
        fields: fields.into_iter().map(|(key, it)| (key.to_owned(), it)).collect(),
        rows: "plan",
        table,
        heading: "Nothing is read; a machine's executions are taken to have as many events as those that are stored."
            .to_owned(),
    }
    .print(context.output)?;
    Ok(0)
}

fn planned(it: &Planned) -> Value {
    let mut line = json!(it);
    line["usd"] = number(it.usd);
    line
}

fn name(it: &Planned) -> &str {
    it.state_machine_arn.rsplit(':').next().unwrap_or(&it.state_machine_arn)
}

/// Every limit once, with the machines that it holds for.
fn limits(plan: &[Planned]) -> Vec<String> {
    let mut limits: Vec<(&str, Vec<&str>)> = Vec::new();
    for it in plan {
        for limit in &it.limits {
            match limits.iter_mut().find(|known| known.0 == limit) {
                Some(known) => known.1.push(name(it)),
                None => limits.push((limit, vec![name(it)])),
            }
        }
    }
    let of = |machines: Vec<&str>| match machines.len() {
        it if it == plan.len() => String::new(),
        1..=3 => format!("{}: ", machines.join(", ")),
        it => format!("{} and {} more: ", machines[..2].join(", "), it - 2),
    };
    limits.into_iter().map(|(limit, machines)| format!("{}{limit}", of(machines))).collect()
}
