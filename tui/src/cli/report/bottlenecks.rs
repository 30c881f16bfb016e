//! `report bottlenecks`: which states decide how long executions take, beside the period before.

use analyzer::model::Micros;
use analyzer::population::{Findings, StateFinding};
use queries::{ExecutionFilter, Reader, Runs};
use serde_json::Map;
use tui::safe::Command;
use tui::text;

use super::{Action, Asked, actions_section, nothing};
use crate::cli::Context;
use crate::cli::bill::Prices;
use crate::cli::bottlenecks::{Found, look, ranking, report as bottlenecks_report};
use crate::failure::Failure;
use crate::report::page::{Page, Section};
use crate::report::{Report, TextTable};

/// A state counts as a bottleneck from this share of the critical path on.
const LEAST: f64 = 0.05;
/// States of a machine that are listed.
const LISTED: usize = 5;

const COLUMNS: [&str; 8] =
    ["machine", "state", "share of path", "before", "on the path, mean", "before", "p95", "p95 could fall by"];

pub(super) fn told(context: &Context, reader: &Reader, asked: &Asked) -> Result<(Report, Page), Failure> {
    let (since, until) = (Some(asked.period.0), Some(asked.period.1));
    let machine_arn = asked.machine.clone();
    let now = look(context, reader, &ExecutionFilter { machine_arn, since, until, ..ExecutionFilter::default() })?;
    // Of the time before only shares and means are told: sums have them.
    let runs = Runs {
        machine: asked.machine.as_deref().map(str::to_owned),
        since: Some(asked.before.0),
        until: Some(asked.before.1),
        ids: None,
    };
    let before = ranking(&reader.paths(&runs)?, &reader.states(&runs)?);
    let rows: Vec<Vec<String>> = now.iter().flat_map(|it| rows(it, &before)).collect();
    let actions: Vec<Action> = now.iter().filter_map(action).collect();
    let answer = match actions.first() {
        None => vec![nothing(reader)?],
        Some(_) => actions.iter().map(|it| format!("{}.", it.what)).collect(),
    };
    let said = "The critical path is the chain of states that decided when an execution ended; what is beside it costs no time.";
    let page = Page {
        title: String::new(),
        answer,
        facts: Vec::new(),
        sections: vec![actions_section(&actions), Section::new("States", said, &COLUMNS).with_rows(rows.clone())],
        commands: vec!["stepscope bottlenecks".to_owned()],
        chart: None,
    };
    let table = TextTable { rows, ..TextTable::with_columns(&COLUMNS) };
    let found = bottlenecks_report(&now, &Prices::new(context)?, false);
    let mut fields = Map::new();
    fields.insert("actions".to_owned(), actions.iter().map(Action::to_json).collect());
    fields.extend(found.fields);
    let heading = String::new();
    Ok((Report { command: "report", fields, rows: "machines", table, heading, footer: found.footer }, page))
}

fn listed(it: &Found) -> impl Iterator<Item = &StateFinding> {
    it.findings.states.iter().filter(|it| it.share >= LEAST).take(LISTED)
}

fn name(it: &Found) -> &str {
    it.arn.rsplit(':').next().unwrap_or(&it.arn)
}

fn rows(it: &Found, before: &[Found]) -> Vec<Vec<String>> {
    let earlier = before.iter().find(|before| before.arn == it.arn);
    let row = |state: &StateFinding| {
        let earlier = earlier.and_then(|it| Some((it, it.findings.states.iter().find(|it| it.state == state.state)?)));
        vec![
            name(it).to_owned(),
            state.state.to_string(),
            percent(state.share),
            earlier.map_or_else(|| "–".to_owned(), |it| percent(it.1.share)),
            text::opt_span(mean(&it.findings, state)),
            text::opt_span(earlier.and_then(|it| mean(&it.0.findings, it.1))),
            text::opt_span(state.p95),
            text::opt_span(state.bound_p95),
        ]
    };
    listed(it).map(row).collect()
}

fn action(it: &Found) -> Option<Action> {
    let (first, name) = (listed(it).next()?, name(it));
    Some(Action {
        what: format!(
            "Make `{}` of `{name}` faster: it is {} of the critical path, at most {} of the p95",
            first.state,
            percent(first.share),
            text::opt_span(first.bound_p95)
        ),
        usd_per_month: None,
        command: Command::new("stepscope whatif")
            .argument(name)
            .option("--work", &format!("{}=0.5", first.state))
            .to_string(),
    })
}

/// The state's time on the path, over all executions.
fn mean(findings: &Findings, state: &StateFinding) -> Option<Micros> {
    let n = i64::try_from(findings.executions).ok().filter(|it| *it > 0)?;
    Some(Micros(state.critical_total.0 / n))
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
