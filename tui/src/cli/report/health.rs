//! `report health`: which machines fail or are slow, how that compares with the period before, and since when.

use std::collections::BTreeMap;

use analyzer::failure_rate::FailureRate;
use analyzer::model::Micros;
use analyzer::statistics::proportions;
use queries::{MachineRow, Reader};
use serde_json::{Map, Value, json};
use tui::text;

use super::{Action, Asked, actions_section, nothing};
use crate::cli::compare::command_of_ranges;
use crate::cli::coverage::Coverage;
use crate::cli::incidents::{self, Found};
use crate::failure::Failure;
use crate::report::page::{Page, Section};
use crate::report::{Report, TextTable, sentences};

/// Failure rates differ from this p-value on.
const ALPHA: f64 = 0.01;
/// Errors that are listed.
const ERRORS: usize = 15;

/// A machine in both periods.
struct Line {
    now: MachineRow,
    before: Option<MachineRow>,
    /// Whether the failure rate moved, surely.
    p_value: Option<f64>,
    changes: Vec<Found>,
}

/// Executions that ended with an error, before and now.
type Errors = BTreeMap<(String, String), (u64, u64)>;

pub(super) fn told(reader: &Reader, asked: &Asked) -> Result<(Report, Page), Failure> {
    let lines = lines(reader, asked)?;
    let errors = errors(reader, asked)?;
    let sum = |of: fn(&MachineRow) -> u64| lines.iter().map(|it| of(&it.now)).sum::<u64>();
    let executions = sum(|it| it.executions);
    let failed = FailureRate::of_all(lines.iter().map(|it| it.now.failure_rate));
    let before = FailureRate::of_all(lines.iter().filter_map(|it| it.before.as_ref()).map(|it| it.failure_rate));
    let actions = actions(&lines);
    let answer = answer(reader, &lines, executions, failed, before)?;
    let coverage = Coverage::load(reader, Some(asked.period.0), Some(asked.period.1))?;
    let notes = coverage.notes(asked.machine.as_deref()).collect::<Vec<_>>().join(" ");
    let facts = [
        ("executions", text::count(executions)),
        ("failed", format!("{} ({})", text::count(failed.failed()), text::failure_rate(failed))),
        ("failed before", format!("{} ({})", text::count(before.failed()), text::failure_rate(before))),
        ("running now", text::count(sum(|it| it.running))),
    ];
    let rest = Section::new(
        "How sure",
        format!(
            "Rates are compared exactly (Fisher) or by Newcombe's interval; changes are those of `stepscope incidents`. {notes}"
        ),
        &[],
    );
    let page = Page {
        title: String::new(),
        answer,
        facts: facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        sections: vec![
            actions_section(&actions),
            machines_section(&lines),
            changes_section(&lines),
            errors_section(&errors),
            rest,
        ],
        commands: vec!["stepscope incidents".to_owned(), "stepscope redrivable".to_owned()],
        chart: None,
    };
    Ok((report(&lines, &errors, &actions), page))
}

fn lines(reader: &Reader, asked: &Asked) -> Result<Vec<Line>, Failure> {
    let ((since, until), (from, to)) = (asked.period, asked.before);
    let mut before: BTreeMap<String, MachineRow> =
        reader.machines(Some(from), Some(to))?.into_iter().map(|it| (it.arn.clone(), it)).collect();
    // Changes are looked for in both periods together, as `report incident` does: the same change has the same ranges.
    let both = reader.machines(Some(from), Some(until))?;
    let mut lines = Vec::new();
    for now in reader.machines(Some(since), Some(until))?.into_iter().filter(|it| asked.is_wanted(&it.arn)) {
        let before = before.remove(&now.arn);
        let counts = before.as_ref().and_then(|it| it.failure_rate.counts()).zip(now.failure_rate.counts());
        let p_value = counts.and_then(|((b, of_b), (i, of_i))| proportions(b, of_b, i, of_i)).map(|it| it.1);
        let mut changes = Vec::new();
        if let Some(row) = both.iter().find(|it| it.arn == now.arn) {
            changes = incidents::found_of(reader, row, (Some(from), Some(until)))?;
            changes.retain(|it| it.at >= since);
        }
        lines.push(Line { now, before, p_value, changes });
    }
    // What ran before and not now is told, too.
    for it in before.into_values().filter(|it| asked.is_wanted(&it.arn)) {
        let failure_rate = FailureRate::default();
        let now = MachineRow {
            executions: 0,
            running: 0,
            failed: 0,
            closed: 0,
            failure_rate,
            p50: None,
            p95: None,
            ..it.clone()
        };
        lines.push(Line { now, before: Some(it), p_value: None, changes: Vec::new() });
    }
    lines.sort_by_key(|it| std::cmp::Reverse((it.changes.len(), it.now.failed)));
    Ok(lines)
}

fn errors(reader: &Reader, asked: &Asked) -> Result<Errors, Failure> {
    let mut errors = Errors::new();
    for ((since, until), is_now) in [(asked.before, false), (asked.period, true)] {
        for row in reader.metered("error", (Some(since), Some(until)), false, None)? {
            let Some(error) = row.key.filter(|_| asked.is_wanted(&row.machine_arn)) else { continue };
            let machine = row.machine_arn.rsplit(':').next().unwrap_or(&row.machine_arn).to_owned();
            let counts = errors.entry((machine, error)).or_default();
            *(if is_now { &mut counts.1 } else { &mut counts.0 }) += row.executions;
        }
    }
    Ok(errors)
}

fn answer(
    reader: &Reader,
    lines: &[Line],
    executions: u64,
    failed: FailureRate,
    before: FailureRate,
) -> Result<Vec<String>, Failure> {
    if executions == 0 {
        return Ok(vec![nothing(reader)?]);
    }
    let mut answer = vec![match failed.counts() {
        Some((n, of)) => {
            let before = match before.counts() {
                Some((_, 0)) => "no executions in the previous period".to_owned(),
                _ => format!("{} in the previous period", text::failure_rate(before)),
            };
            let (n, of, rate) = (text::count(n), text::count(of), text::failure_rate(failed));
            format!("{n} of {of} closed executions failed ({rate}; {before}).")
        }
        None => format!(
            "{} executions failed; how many succeeded is not known, because some state machines log only failures.",
            text::count(failed.failed())
        ),
    }];
    let changed: Vec<&Line> = lines.iter().filter(|it| !it.changes.is_empty()).collect();
    answer.extend(changed.iter().map(|it| {
        let said = it.changes.iter().map(change_said).collect::<Vec<_>>().join("; ");
        format!("`{}`: {said}.", it.now.name)
    }));
    if changed.is_empty() {
        answer.push("No machine changed significantly within the period.".to_owned());
    }
    let moved =
        lines.iter().filter(|it| it.p_value.is_some_and(|it| it <= ALPHA)).map(|it| format!("`{}`", it.now.name));
    let moved = moved.collect::<Vec<_>>().join(", ");
    if !moved.is_empty() {
        answer.push(format!("The failure rate differs from the period before for {moved}."));
    }
    Ok(answer)
}

fn change_said(it: &Found) -> String {
    format!(
        "{} from {} to {} since {}",
        it.metric.trim_end_matches("_ms").replace('_', " "),
        text::measure(it.metric, it.before),
        text::measure(it.metric, it.after),
        text::minute(it.at)
    )
}

fn actions(lines: &[Line]) -> Vec<Action> {
    let changed = lines.iter().filter_map(|it| Some((it, it.changes.last()?))).map(|(it, change)| Action {
        what: format!("Find out why `{}` changed: {}", it.now.name, change_said(change)),
        usd_per_month: None,
        command: command_of_ranges(&it.now.name, change.baseline, change.incident).to_string(),
    });
    let failed: u64 = lines.iter().map(|it| it.now.failed).sum();
    let redrive = (failed > 0).then(|| Action {
        what: format!("See which of the {} failed executions can be redriven", text::count(failed)),
        usd_per_month: None,
        command: "stepscope redrivable".to_owned(),
    });
    changed.chain(redrive).collect()
}

const COLUMNS: [&str; 8] =
    ["machine", "executions", "failed", "failed before", "p50", "p50 before", "p95", "p95 before"];

fn machine_row(it: &Line) -> Vec<String> {
    let before = it.before.as_ref();
    let rate = |it: &MachineRow| text::failure_rate(it.failure_rate);
    let span = |it: Option<Micros>| text::opt_span(it);
    vec![
        it.now.name.clone(),
        text::count(it.now.executions),
        rate(&it.now),
        before.map_or_else(|| "–".to_owned(), rate),
        span(it.now.p50),
        span(before.and_then(|it| it.p50)),
        span(it.now.p95),
        span(before.and_then(|it| it.p95)),
    ]
}

fn machines_section(lines: &[Line]) -> Section {
    Section::new("Machines", "", &COLUMNS).with_rows(lines.iter().map(machine_row).collect())
}

fn changes_section(lines: &[Line]) -> Section {
    let rows = lines.iter().flat_map(|it| &it.changes).map(|it| {
        vec![
            text::minute(it.at),
            it.machine.rsplit(':').next().unwrap_or(&it.machine).to_owned(),
            it.metric.replace('_', " "),
            text::measure(it.metric, it.before),
            text::measure(it.metric, it.after),
            format!("{:.0e}", it.p_value),
        ]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let said = if rows.is_empty() { "None." } else { "" };
    Section::new("Changes", said, &["since (UTC)", "machine", "what", "before", "after", "p"]).with_rows(rows)
}

fn errors_section(errors: &Errors) -> Section {
    let mut all: Vec<_> = errors.iter().collect();
    all.sort_by_key(|it| std::cmp::Reverse((it.1.1, it.1.0)));
    let row = |((machine, error), (before, now)): (&(String, String), &(u64, u64))| {
        vec![machine.clone(), error.clone(), text::count(*before), text::count(*now)]
    };
    let more = all.len().saturating_sub(ERRORS);
    let said = match more {
        _ if all.is_empty() => "No execution ended with one.".to_owned(),
        0 => "Executions that ended with each.".to_owned(),
        n => format!("Executions that ended with each; {n} rarer ones are left out."),
    };
    Section::new("Errors", said, &["machine", "error", "before", "now"])
        .with_rows(all.into_iter().take(ERRORS).map(row).collect())
}

fn report(lines: &[Line], errors: &Errors, actions: &[Action]) -> Report {
    let mut table = TextTable::with_columns(&COLUMNS.map(|it| it));
    table.rows = lines.iter().map(machine_row).collect();
    let side = |it: &MachineRow| {
        json!({
            "executions": it.executions, "failed": it.failed, "failure_rate": it.failure_rate.value(), "running": it.running,
            "p50_ms": it.p50.map(Micros::as_millis), "p95_ms": it.p95.map(Micros::as_millis),
        })
    };
    let machine = |it: &Line| {
        let mut value = side(&it.now);
        value["state_machine_arn"] = it.now.arn.clone().into();
        value["machine"] = it.now.name.clone().into();
        value["before"] = it.before.as_ref().map_or(Value::Null, side);
        value["failures_p_value"] = it.p_value.into();
        value["changes"] = it.changes.iter().map(incidents::to_json).collect();
        value
    };
    let error = |((machine, error), (before, now)): (&(String, String), &(u64, u64))| json!({"machine": machine, "error": error, "executions_before": before, "executions": now});
    let fields: Map<String, Value> = [
        ("actions", actions.iter().map(Action::to_json).collect::<Value>()),
        ("machines", lines.iter().map(machine).collect()),
        ("errors", errors.iter().map(error).collect()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect();
    let footer = sentences(actions.iter().map(|it| format!("{}: {}", it.what, it.command)));
    Report { command: "report", fields, rows: "machines", table, heading: String::new(), footer }
}
