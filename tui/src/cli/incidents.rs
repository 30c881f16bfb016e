//! `incidents`: since when is something different? Found by the change-point detector, machine by machine.

use analyzer::change_point::{ALPHA, ChangePoint, change_points};
use analyzer::model::{Micros, Name, Timestamp};
use clap::Args;
use queries::{Figures, MachineRow, Reader, SpanRow};
use serde_json::{Value, json};
use tui::text;

use super::{Context, Range, select};
use crate::Outcome;
use crate::failure::Failure;
use crate::report::{Report, TextTable};

/// Spans that the stored time is cut into at most; none shorter than a minute, and so that each has some executions.
const SPANS: u64 = 240;
const EXECUTIONS_A_SPAN: u64 = 5;
/// Changes of a machine's metrics that are at most so many spans apart are taken for one.
const SAME: i64 = 3;

#[derive(Args)]
pub(crate) struct IncidentsArguments {
    /// A state machine: its ARN, its name, or a unique part of it.
    machine: Option<String>,
    #[command(flatten)]
    range: Range,
}

/// A change of a machine. `before` and `after` are the figures of its two ranges, wherever it is shown.
pub(super) struct Found {
    pub(super) machine: Name,
    /// `None` of the machine as a whole.
    pub(super) state: Option<String>,
    pub(super) metric: &'static str,
    pub(super) at: Timestamp,
    pub(super) before: f64,
    pub(super) after: f64,
    pub(super) p_value: f64,
    /// How finely time was looked at.
    span: Micros,
    pub(super) baseline: (Timestamp, Timestamp),
    pub(super) incident: (Timestamp, Timestamp),
}

pub(crate) fn run(context: &Context, arguments: &IncidentsArguments) -> Outcome {
    listed(context, arguments)?.print(context.output)?;
    Ok(0)
}

/// What the command finds.
pub(crate) fn listed(context: &Context, arguments: &IncidentsArguments) -> Result<Report, Failure> {
    let reader = context.reader()?;
    let (since, until) = context.range(&arguments.range)?;
    let wanted = select::optional_machine(&reader, arguments.machine.as_deref())?;
    let mut all = Vec::new();
    for machine in reader.machines(since, until)? {
        if wanted.as_deref().is_none_or(|it| it == machine.arn) {
            all.extend(found_of(&reader, &machine, (since, until))?);
            all.extend(found_in_states(&reader, &machine, (since, until))?);
        }
    }
    all.sort_by_key(|it| std::cmp::Reverse(it.at));
    let n_without = reader.without_start(wanted.as_deref())?;
    let mut table =
        TextTable::with_columns(&["since (UTC)", "machine", "state", "what", "#before", "#after", "#p", "to compare"]);
    for it in &all {
        table.rows.push(vec![
            text::minute(it.at),
            text::cut(it.machine.rsplit(':').next().unwrap_or(&it.machine), 28),
            it.state.as_ref().map_or_else(|| "–".to_owned(), |it| text::cut(it, 28)),
            it.metric.replace('_', " "),
            text::measure(it.metric, it.before),
            text::measure(it.metric, it.after),
            format!("{:.0e}", it.p_value),
            format!("--baseline {} --incident {}", range(it.baseline), range(it.incident)),
        ]);
    }
    let incidents: Vec<Value> = all.iter().map(to_json).collect();
    Ok(Report {
        command: "incidents",
        fields: [("incidents".to_owned(), incidents.into()), ("without_start_count".to_owned(), n_without.into())]
            .into_iter()
            .collect(),
        rows: "incidents",
        table,
        heading: if all.is_empty() { "No significant change.".to_owned() } else { String::new() },
        footer: match n_without {
            0 => String::new(),
            1 => "1 execution without a known start is left out.".to_owned(),
            n => format!("{} executions without a known start are left out.", text::count(n)),
        },
    })
}

pub(super) fn range((from, to): (Timestamp, Timestamp)) -> String {
    let short = |it| analyzer::time::format(it).replace(".000Z", "Z");
    format!("{}/{}", short(from), short(to))
}

pub(super) fn to_json(it: &Found) -> Value {
    let range = |(from, to): (Timestamp, Timestamp)| json!({"from": analyzer::time::format(from), "to": analyzer::time::format(to)});
    json!({
        "state_machine_arn": it.machine.as_str(),
        "state": it.state,
        "metric": it.metric,
        "at": analyzer::time::format(it.at),
        "before": it.before,
        "after": it.after,
        "p_value": it.p_value,
        "baseline": range(it.baseline),
        "incident": range(it.incident),
    })
}

/// A machine over time, in spans that each have some executions.
pub(super) struct Series {
    pub(super) spans: Vec<SpanRow>,
    pub(super) span: Micros,
    pub(super) last: Timestamp,
}

/// How a machine did over time; `None` where nothing of it is stored.
pub(super) fn series(
    reader: &Reader,
    machine: &Name,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<Option<Series>, Failure> {
    let row = reader.machines(since, until)?.into_iter().find(|it| it.arn == **machine);
    row.map_or(Ok(None), |row| series_of(reader, &row, (since, until)))
}

/// Seconds of a span of a machine's time, and when its newest execution started; `None` where nothing of it is stored.
fn span_of(machine: &MachineRow) -> Option<(i64, Timestamp)> {
    let (first, last) = machine.first_at.zip(machine.last_at)?;
    let n_spans = (machine.executions / EXECUTIONS_A_SPAN).clamp(1, SPANS).cast_signed();
    Some((((last - first).0 / 1_000_000 / n_spans).max(60), last))
}

/// The same of a machine as it was found in the range.
fn series_of(
    reader: &Reader,
    machine: &MachineRow,
    range: (Option<Timestamp>, Option<Timestamp>),
) -> Result<Option<Series>, Failure> {
    let Some((seconds, last)) = span_of(machine) else { return Ok(None) };
    // The last span ends with the newest execution: what began a moment ago is not diluted.
    let spans = reader.duration_series(&machine.arn, seconds, range, last + Micros(1))?;
    Ok(Some(Series { spans, span: Micros::from_seconds(seconds), last }))
}

/// The changes of one machine's typical duration and failure rate, in order of time.
pub(super) fn found(
    reader: &Reader,
    machine: &Name,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<Vec<Found>, Failure> {
    series(reader, machine, since, until)?.map_or(Ok(Vec::new()), |it| found_in(reader, machine, None, &it))
}

/// The newest change. What happened shows in several metrics a few spans apart; of those the p95 says most.
pub(super) fn newest<'a>(found: impl IntoIterator<Item = &'a Found>) -> Option<&'a Found> {
    let found: Vec<&Found> = found.into_iter().collect();
    let last = found.iter().map(|it| it.at).max()?;
    let of_the_same = found.into_iter().filter(|it| last - it.at <= Micros(it.span.0 * SAME));
    of_the_same.min_by_key(|it| (it.metric != "p95_ms", std::cmp::Reverse(it.at)))
}

/// The same of a machine as it was found in the range.
pub(super) fn found_of(
    reader: &Reader,
    machine: &MachineRow,
    range: (Option<Timestamp>, Option<Timestamp>),
) -> Result<Vec<Found>, Failure> {
    let series = series_of(reader, machine, range)?;
    series.map_or(Ok(Vec::new()), |it| found_in(reader, &machine.arn.as_str().into(), None, &it))
}

/// The changes of a machine's states. There are many series, so each has to be surer.
fn found_in_states(
    reader: &Reader,
    machine: &MachineRow,
    range: (Option<Timestamp>, Option<Timestamp>),
) -> Result<Vec<Found>, Failure> {
    let Some((seconds, last)) = span_of(machine) else { return Ok(Vec::new()) };
    let states = reader.state_series(&machine.arn, seconds, range, last + Micros(1))?;
    #[expect(clippy::cast_precision_loss, reason = "a count of states")]
    let alpha = ALPHA / states.len().max(1) as f64;
    let mut all = Vec::new();
    for (state, spans) in states {
        let series = Series { spans, span: Micros::from_seconds(seconds), last };
        let found = found_in(reader, &machine.arn.as_str().into(), Some(&state), &series)?;
        all.extend(found.into_iter().filter(|it| it.p_value <= alpha));
    }
    Ok(all)
}

/// The changes in a series of a machine, or of one of its states, that are large enough to call anybody for.
pub(super) fn found_in(
    reader: &Reader,
    machine: &Name,
    state: Option<&str>,
    series: &Series,
) -> Result<Vec<Found>, Failure> {
    let mut all = Vec::new();
    for mut it in detected(machine, state, series).into_iter().filter(is_large) {
        let has_risen = it.after > it.before;
        let figures = |range| reader.figures(machine, state, range);
        let (before, after) = (value(it.metric, &figures(it.baseline)?), value(it.metric, &figures(it.incident)?));
        let (Some(before), Some(after)) = (before, after) else { continue };
        (it.before, it.after) = (before, after);
        // The detector's levels are means over spans: what the executions themselves do not show is no change.
        if is_large(&it) && (it.after > it.before) == has_risen {
            all.push(it);
        }
    }
    Ok(all)
}

/// A figure of a range by the name of its metric.
#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn value(metric: &str, of: &Figures) -> Option<f64> {
    match metric {
        "failure_rate" => (of.n > 0).then(|| of.failed as f64 / of.n as f64),
        "p50_ms" => of.p50.map(Micros::as_millis),
        _ => of.p95.map(Micros::as_millis),
    }
}

/// Whether a level moved by a tenth and by more than clocks of milliseconds can tell, or a rate by a point.
fn is_large(it: &Found) -> bool {
    match it.metric {
        "failure_rate" => (it.after - it.before).abs() >= 0.01,
        _ => (it.after / it.before.max(1e-9) - 1.0).abs() >= 0.1 && (it.after - it.before).abs() >= 2.0,
    }
}

/// What the detector finds, with the levels that it saw.
fn detected(machine: &Name, state: Option<&str>, Series { spans: series, last, span }: &Series) -> Vec<Found> {
    #[expect(clippy::cast_precision_loss, reason = "logarithms of durations")]
    let logs = |of: fn(&SpanRow) -> Micros| series.iter().map(|it| (of(it).0.max(1) as f64).ln()).collect::<Vec<f64>>();
    #[expect(clippy::cast_precision_loss, reason = "rates")]
    let failures: Vec<f64> = series.iter().map(|it| it.failed as f64 / it.executions.max(1) as f64).collect();
    let mut all = Vec::new();
    for (metric, values) in [("p50_ms", logs(|it| it.p50)), ("p95_ms", logs(|it| it.p95)), ("failure_rate", failures)] {
        let changes = change_points(&values);
        for (index, change) in changes.iter().enumerate() {
            let from = if index == 0 { 0 } else { changes[index - 1].at };
            let to = changes.get(index + 1).map_or(series.len(), |it| it.at);
            let it = of_change((machine, state), metric, series, (from, to), change, *last);
            all.push(Found { span: *span, ..it });
        }
    }
    all
}

fn of_change(
    (machine, state): (&Name, Option<&str>),
    metric: &'static str,
    series: &[SpanRow],
    (from, to): (usize, usize),
    change: &ChangePoint,
    last: Timestamp,
) -> Found {
    let at = series[change.at].from;
    let end = series.get(to).map_or(last + Micros(1_000_000), |it| it.from);
    // The detector looks at logarithms, so that one slow run does not look like a change; people want milliseconds.
    let value = |log: f64| if metric == "failure_rate" { log } else { log.exp() / 1e3 };
    Found {
        machine: machine.clone(),
        state: state.map(str::to_owned),
        metric,
        at,
        before: value(change.before),
        after: value(change.after),
        p_value: change.p_value,
        span: Micros::ZERO,
        baseline: (series[from].from, at),
        incident: (at, end),
    }
}
