//! `schema`: the JSON Schema of a command's result.

use clap::Args;

use crate::Outcome;
use crate::failure::Failure;

const SCHEMAS: [(&str, &str); 28] = [
    ("import", include_str!("../../schemas/import.json")),
    ("executions", include_str!("../../schemas/executions.json")),
    ("show", include_str!("../../schemas/show.json")),
    ("states", include_str!("../../schemas/states.json")),
    ("bottlenecks", include_str!("../../schemas/bottlenecks.json")),
    ("whatif", include_str!("../../schemas/whatif.json")),
    ("cost", include_str!("../../schemas/cost.json")),
    ("compare", include_str!("../../schemas/compare.json")),
    ("incidents", include_str!("../../schemas/incidents.json")),
    ("lint", include_str!("../../schemas/lint.json")),
    ("audit", include_str!("../../schemas/audit.json")),
    ("lake", include_str!("../../schemas/lake.json")),
    ("diff", include_str!("../../schemas/diff.json")),
    ("mark", include_str!("../../schemas/mark.json")),
    ("alerts", include_str!("../../schemas/alerts.json")),
    ("schedule", include_str!("../../schemas/schedule.json")),
    ("report", include_str!("../../schemas/report.json")),
    ("redrivable", include_str!("../../schemas/redrivable.json")),
    ("forget", include_str!("../../schemas/forget.json")),
    ("prune", include_str!("../../schemas/prune.json")),
    ("collect", include_str!("../../schemas/collect.json")),
    ("doctor", include_str!("../../schemas/doctor.json")),
    ("versions", include_str!("../../schemas/versions.json")),
    ("prices", include_str!("../../schemas/prices.json")),
    ("reconcile", include_str!("../../schemas/reconcile.json")),
    ("sql", include_str!("../../schemas/sql.json")),
    ("demo", include_str!("../../schemas/demo.json")),
    ("config", include_str!("../../schemas/config.json")),
];

#[derive(Args)]
pub(crate) struct SchemaArguments {
    /// A command; without it, the commands that have a schema are listed.
    command: Option<String>,
}

pub(crate) fn run(arguments: &SchemaArguments) -> Outcome {
    let names = || SCHEMAS.iter().map(|it| it.0).collect::<Vec<_>>();
    let text = match arguments.command.as_deref() {
        None => format!("{}\n", names().join("\n")),
        Some(wanted) => SCHEMAS.iter().find(|it| it.0 == wanted).map(|it| it.1.to_owned()).ok_or_else(|| {
            Failure::usage(format!("`{wanted}` has no schema")).hint(format!("these have one: {}", names().join(", ")))
        })?,
    };
    std::io::Write::write_all(&mut crate::output::json(), text.as_bytes())?;
    Ok(0)
}
