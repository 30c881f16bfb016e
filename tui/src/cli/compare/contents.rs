//! What the page of `--report` says.

use analyzer::compare::SideSummary;
use analyzer::error_groups::ErrorGroup;
use analyzer::model::{Name, Timestamp};
use jiff::tz::{Offset, TimeZone};
use queries::{ExecutionFilter, Reader};
use tui::safe::Command;
use tui::text;

use super::evidence::{Deployed, changes_told, deployed, slice_name};
use super::exemplars::{Shown, side_by_side};
use super::json::throttled_told;
use super::sides::Sides;
use super::{Explained, TOLD, minute, ms, short};
use crate::cli::incidents;
use crate::failure::Failure;
use crate::report::page::{Chart, Durations, Page, Section};
use crate::report::{Report, sentences};

/// The range on the clock of whoever asks; `None` where that is UTC, or not known.
pub(super) fn local_range(since: Timestamp, until: Timestamp) -> Option<String> {
    let zone = TimeZone::try_system().ok()?;
    let local = |at: Timestamp| Some(jiff::Timestamp::from_microsecond(at.0).ok()?.to_zoned_datetime(zone.clone()));
    let (since, until) = (local(since)?, local(until)?);
    let is_utc = since.offset() == Offset::UTC && until.offset() == Offset::UTC;
    (!is_utc).then(|| format!("{} to {}", since.strftime("%Y-%m-%d %H:%M"), until.strftime("%Y-%m-%d %H:%M %Z")))
}

/// The page to hand on.
pub(super) fn page_of(
    reader: &Reader,
    machine: &Name,
    it: &Explained,
    sides: &Sides,
    told: &Report,
    notes: &[String],
) -> Result<Page, Failure> {
    let (b, i) = (&it.compared.baseline, &it.compared.incident);
    let range = |filter: &ExecutionFilter| match (filter.since, filter.until, &filter.version) {
        (_, _, Some(version)) => format!("version {version}"),
        (from, to, None) => format!("{} to {}", minute(from), minute(to)),
    };
    let pair = |of: &dyn Fn(&SideSummary) -> String| format!("{} → {}", of(b), of(i));
    let local = |filter: &ExecutionFilter| local_range(filter.since?, filter.until?);
    let facts = [
        ("baseline", Some(format!("{} UTC, {} runs", range(&sides.baseline), text::count(b.n as u64)))),
        ("baseline, local time", local(&sides.baseline)),
        ("incident", Some(format!("{} UTC, {} runs", range(&sides.incident), text::count(i.n as u64)))),
        ("incident, local time", local(&sides.incident)),
        ("mean", Some(pair(&|it| ms(it.mean_ms)))),
        ("p50", Some(pair(&|it| text::opt_span(it.p50)))),
        ("p95", Some(pair(&|it| text::opt_span(it.p95)))),
        ("failed", Some(pair(&|it| text::percent(it.failed, it.n as u64)))),
    ];
    let ranges = sides.baseline.since.zip(sides.baseline.until).zip(sides.incident.since.zip(sides.incident.until));
    let chart = match ranges {
        Some((baseline, incident)) => {
            let series =
                incidents::series(reader, machine, Some(baseline.0.min(incident.0)), Some(baseline.1.max(incident.1)))?;
            series.map(|it| Chart::Durations(Durations { spans: it.spans, baseline, incident }))
        }
        None => None,
    };
    let name = short(machine);
    let mut commands = vec![match ranges {
        Some((baseline, incident)) => super::command_of_ranges(name, baseline, incident).to_string(),
        None => Command::new("stepscope compare").argument(name).to_string(),
    }];
    let examples = it.compared.causes.iter().filter(|it| it.is_named()).filter_map(|it| it.evidence.first());
    let example =
        |arn: &Name| Command::new("stepscope show").argument(arn.rsplit(':').next().unwrap_or(arn)).to_string();
    for command in side_by_side(&it.exemplars).into_iter().chain(examples.map(example)).take(TOLD) {
        if !commands.contains(&command) {
            commands.push(command);
        }
    }
    Ok(Page {
        title: format!("{name}: what changed"),
        answer: told.heading.lines().map(str::to_owned).collect(),
        facts: facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
        sections: sections(it, told, notes),
        commands,
        chart,
    })
}

pub(super) fn sections(it: &Explained, told: &Report, notes: &[String]) -> Vec<Section> {
    let causes = Section {
        title: "Causes".to_owned(),
        said: "Contributions and the unexplained rest add up to the difference of the means. q is the false-alarm rate over \
               all that was asked."
            .to_owned(),
        columns: columns(&["#", "cause", "what", "contribution", "share", "95 % interval", "q", "since (UTC)"]),
        rows: told.table.rows.clone(),
    };
    let slices = Section {
        title: "Who carries it".to_owned(),
        said: if it.slices.is_empty() {
            "No part of the executions carries more of it than its size.".to_owned()
        } else {
            String::new()
        },
        columns: columns(&[
            "executions",
            "share of the difference",
            "part of the executions",
            "mean before",
            "mean after",
        ]),
        rows: it
            .slices
            .iter()
            .map(|it| {
                let percent = |it: f64| format!("{:.0} %", it * 100.0);
                vec![
                    slice_name(it),
                    percent(it.share),
                    percent(it.weight),
                    ms(it.mean_baseline_ms),
                    ms(it.mean_incident_ms),
                ]
            })
            .collect(),
    };
    let money = Section {
        title: "Transitions".to_owned(),
        said: "Mean billed transitions of an execution by state; the differences add up.".to_owned(),
        columns: columns(&["state", "before", "after", "difference"]),
        rows: it
            .compared
            .transitions
            .iter()
            .filter(|it| (it.after - it.before).abs() >= 0.005)
            .map(|it| {
                let state = it.state.as_deref().unwrap_or("redrives, Map Run children").to_owned();
                vec![
                    state,
                    format!("{:.2}", it.before),
                    format!("{:.2}", it.after),
                    format!("{:+.2}", it.after - it.before),
                ]
            })
            .collect(),
    };
    let errors = Section {
        title: "Errors".to_owned(),
        said: if it.errors.is_empty() {
            "None on either side.".to_owned()
        } else {
            "Executions that met each; ids, numbers and times in causes are masked.".to_owned()
        },
        columns: columns(&[
            "state",
            "error",
            "cause",
            "before",
            "after",
            "retried",
            "caught",
            "fatal",
            "first seen (UTC)",
            "last seen (UTC)",
        ]),
        rows: it.errors.iter().map(error_row).collect(),
    };
    let deployments = Section {
        title: "Deployments in the window".to_owned(),
        said: if it.deployments.is_empty() { "None is known.".to_owned() } else { String::new() },
        columns: columns(&["when (UTC)", "what"]),
        rows: it.deployments.iter().flat_map(deployment_rows).collect(),
    };
    let exemplars = Section {
        title: "Executions to look at".to_owned(),
        said: "The typical one of the incident, its worst, and one before that went the same way with as many items; what they say \
               themselves."
            .to_owned(),
        columns: columns(&["which", "execution", "took", "when (UTC)", "says"]),
        rows: it.exemplars.iter().flat_map(exemplar_rows).collect(),
    };
    // What has a section of its own is not said twice.
    let notes = Section {
        title: "How sure".to_owned(),
        said: sentences(notes.iter().cloned().chain(throttled_told(it.throttled))),
        columns: columns(&[]),
        rows: Vec::new(),
    };
    vec![causes, slices, errors, money, deployments, exemplars, notes]
}

fn deployment_rows(it: &Deployed) -> Vec<Vec<String>> {
    let changes = it.changes.as_deref().map(changes_told).unwrap_or_default();
    let first = vec![minute(Some(it.it.at)), deployed(&it.it)];
    std::iter::once(first).chain(changes.into_iter().map(|it| vec![String::new(), it])).collect()
}

fn exemplar_rows(it: &Shown) -> Vec<Vec<String>> {
    let name = it.arn.rsplit(':').next().unwrap_or(&it.arn).to_owned();
    let mut rows = vec![vec![it.role.to_owned(), name, text::span(it.duration), String::new(), String::new()]];
    let line = |(at, said): &(Timestamp, String)| {
        vec![
            String::new(),
            String::new(),
            String::new(),
            analyzer::time::format(*at).trim_end_matches('Z').replace('T', " "),
            said.clone(),
        ]
    };
    rows.extend(it.lines.iter().map(line));
    rows
}

pub(super) fn error_row(it: &ErrorGroup) -> Vec<String> {
    vec![
        it.state.as_deref().unwrap_or("–").to_owned(),
        it.error.to_string(),
        it.cause.clone().unwrap_or_else(|| "–".to_owned()),
        text::count(it.executions[0]),
        text::count(it.executions[1]),
        text::count(it.retried),
        text::count(it.caught),
        text::count(it.fatal),
        minute(it.first_seen),
        minute(it.last_seen),
    ]
}

fn columns(titles: &[&str]) -> Vec<String> {
    titles.iter().map(|it| (*it).to_owned()).collect()
}
