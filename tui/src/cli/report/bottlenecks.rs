//! `report bottlenecks`: which states decide how long executions take, beside the period before.

use std::collections::BTreeMap;

use queries::Reader;
use serde_json::{Map, Value};

use super::{Action, Asked, Span, actions_section, nothing};
use crate::cli::bottlenecks::{self, BottlenecksArguments};
use crate::cli::{Context, Range};
use crate::failure::Failure;
use crate::report::page::{Page, Section};
use crate::report::{Report, TextTable};

/// A state counts as a bottleneck from this share of the critical path on.
const LEAST: f64 = 0.05;
/// States of a machine that are listed.
const LISTED: usize = 5;

type States = BTreeMap<(String, String), Value>;

pub(super) fn told(context: &Context, reader: &Reader, asked: &Asked) -> Result<(Report, Page), Failure> {
    let found = |span: Span| {
        let arguments =
            BottlenecksArguments::of_range(asked.machine.as_deref().map(str::to_owned), Range::between(span.0, span.1));
        bottlenecks::found(context, &arguments)
    };
    let now = found(asked.period)?;
    let before = states(&found(asked.before)?);
    let machines = now.fields.get("machines").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut rows = Vec::new();
    let mut actions = Vec::new();
    for machine in &machines {
        let (arn, name) = (text_of(machine, "state_machine_arn"), short(machine));
        let listed = machine["states"].as_array().into_iter().flatten();
        let listed = listed.filter(|it| it["critical_share"].as_f64().is_some_and(|it| it >= LEAST)).take(LISTED);
        for (place, it) in listed.enumerate() {
            let state = text_of(it, "state");
            let earlier = before.get(&(arn.clone(), state.clone()));
            if place == 0 {
                actions.push(Action {
                    what: format!(
                        "Make `{state}` of `{name}` faster: it is {} of the critical path, at most {} of the p95",
                        share(it),
                        ms(&it["speedup_bound"]["p95_ms"])
                    ),
                    usd_per_month: None,
                    command: format!(
                        "stepscope whatif {} --work {}=0.5",
                        tui::text::quoted(&name),
                        tui::text::quoted(&state)
                    ),
                });
            }
            rows.push(vec![
                name.clone(),
                state,
                share(it),
                earlier.map_or_else(|| "–".to_owned(), share),
                ms(&it["critical_ms_mean"]),
                earlier.map_or_else(|| "–".to_owned(), |it| ms(&it["critical_ms_mean"])),
                ms(&it["p95_ms"]),
                ms(&it["speedup_bound"]["p95_ms"]),
            ]);
        }
    }
    let columns =
        ["machine", "state", "share of path", "before", "on the path, mean", "before", "p95", "p95 could fall by"];
    let answer = match actions.first() {
        None => vec![nothing(reader)?],
        Some(_) => actions.iter().map(|it| format!("{}.", it.what)).collect(),
    };
    let said = "The critical path is the chain of states that decided when an execution ended; what is beside it costs no time.";
    let page = Page {
        title: String::new(),
        answer,
        facts: Vec::new(),
        sections: vec![actions_section(&actions), Section::new("States", said, &columns).with_rows(rows.clone())],
        commands: vec!["stepscope bottlenecks".to_owned()],
        chart: None,
    };
    let mut table = TextTable::with_columns(&columns);
    table.rows = rows;
    let mut fields = Map::new();
    fields.insert("actions".to_owned(), actions.iter().map(Action::to_json).collect());
    fields.insert("machines".to_owned(), machines.into());
    let report =
        Report { command: "report", fields, rows: "machines", table, heading: String::new(), footer: now.footer };
    Ok((report, page))
}

/// The states of all machines.
fn states(report: &Report) -> States {
    let machines = report.fields.get("machines").and_then(Value::as_array).into_iter().flatten();
    let of = |machine: &Value| {
        let arn = text_of(machine, "state_machine_arn");
        let states = machine["states"].as_array().cloned().unwrap_or_default();
        states.into_iter().map(move |it| ((arn.clone(), text_of(&it, "state")), it))
    };
    machines.flat_map(of).collect()
}

fn text_of(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn short(machine: &Value) -> String {
    let arn = text_of(machine, "state_machine_arn");
    arn.rsplit(':').next().unwrap_or(&arn).to_owned()
}

fn share(state: &Value) -> String {
    state["critical_share"].as_f64().map_or_else(|| "–".to_owned(), |it| format!("{:.0} %", it * 100.0))
}

#[expect(clippy::cast_possible_truncation, reason = "milliseconds for people")]
fn ms(value: &Value) -> String {
    let us = value.as_f64().map(|it| analyzer::model::Micros((it * 1e3).round() as i64));
    tui::text::opt_span(us)
}
