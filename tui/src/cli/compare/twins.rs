//! `compare EXECUTION EXECUTION`: where do two runs differ?

use analyzer::execution::Run;
use analyzer::model::{Micros, Name};
use analyzer::twins::{Part, differences};
use queries::{ExecutionRow, Reader};
use serde_json::{Value, json};
use tui::text;

use crate::cli::{select, show};
use crate::failure::Failure;
use crate::report::{Report, TextTable, sentences};

pub(super) fn found(reader: &Reader, first: &str, second: &str) -> Result<Report, Failure> {
    let rows = [select::execution(reader, first)?, select::execution(reader, second)?];
    if rows[0].id == rows[1].id {
        return Err(Failure::usage("both names are of the same execution").hint("give two different ones"));
    }
    let mut runs: Vec<Run> = Vec::new();
    for row in &rows {
        show::for_each_run(reader, std::slice::from_ref(row), |_, run| {
            runs.push(run.clone());
            Ok(())
        })?;
    }
    let [first, second] = &runs[..] else { return Err(Failure::new("an execution is not stored any more")) };
    Ok(report(&rows, first, second))
}

fn report(rows: &[ExecutionRow; 2], first: &Run, second: &Run) -> Report {
    let parts = differences(first, second);
    let mut table = TextTable::with_columns(&["on the critical path", "what", "#first", "#second", "#difference"]);
    for it in &parts {
        table.rows.push(vec![
            text::cut(it.state.as_deref().unwrap_or("the execution itself"), 40),
            it.category.as_str().to_owned(),
            text::span(it.first),
            text::span(it.second),
            text::signed_span(it.difference()),
        ]);
    }
    let difference: Micros = parts.iter().map(Part::difference).sum();
    let side = |row: &ExecutionRow| {
        json!({
            "execution_arn": row.arn, "status": row.status.as_str(), "started_at": row.started_at.map(analyzer::time::format),
            "duration_ms": row.duration.map(Micros::as_millis), "active_ms": row.active.map(Micros::as_millis), "complete": row.complete,
        })
    };
    let partly = rows
        .iter()
        .filter(|it| !it.complete)
        .map(|it| format!("`{}` is known in part: its path may not be all of it.", it.name));
    Report {
        command: "compare",
        fields: [
            ("executions".to_owned(), rows.iter().map(side).collect::<Value>()),
            ("difference_ms".to_owned(), difference.as_millis().into()),
            ("parts".to_owned(), parts.iter().map(part_to_json).collect()),
        ]
        .into_iter()
        .collect(),
        rows: "parts",
        table,
        heading: sentences([format!(
            "{} took {}, {} took {}: {}, which is the sum of what follows.",
            rows[0].name,
            text::opt_span(rows[0].active.or(rows[0].duration)),
            rows[1].name,
            text::opt_span(rows[1].active.or(rows[1].duration)),
            text::signed_span(difference)
        )]),
        footer: sentences(partly),
    }
}

fn part_to_json(it: &Part) -> Value {
    json!({
        "state": it.state.as_ref().map(Name::as_str), "category": it.category.as_str(), "first_ms": it.first.as_millis(),
        "second_ms": it.second.as_millis(), "difference_ms": it.difference().as_millis(),
    })
}
