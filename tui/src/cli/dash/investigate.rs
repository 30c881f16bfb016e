//! A machine over time, and what changed between two ranges.

use analyzer::model::{Micros, Name, Timestamp};
use queries::{Reader, SpanRow};
use tui::dash::{ChangeItem, Incident, Load, MachineRef, SeriesItem, Span};

use super::loader::Loader;
use crate::cli::{compare, incidents};
use crate::failure::Failure;

/// How much earlier than a range the chart begins.
pub(super) const DAY: Micros = Micros(86_400_000_000);
/// Executions of each range that are compared: the newest.
pub(super) const COMPARED: u64 = 100_000;

pub(super) fn incident(
    loader: &Loader,
    reader: &Reader,
    machine: &MachineRef,
    (since, until): (Option<Timestamp>, Option<Timestamp>),
    load: &Load,
) -> Result<Incident, Failure> {
    let rate = loader.prices.transitions(&machine.arn, 1);
    let arn = Name::from(machine.arn.as_str());
    // What is slow all the time shows against the day before.
    let before = since.map(|it| Timestamp(it.0 - DAY.0));
    let Some(series) = incidents::series(reader, &arn, before, until)? else { return Ok(Incident::default()) };
    let found = incidents::found_in(reader, &arn, None, &series)?;
    let newest = incidents::newest(found.iter().filter(|it| is_within(it.incident, since)));
    let ranges = load.ranges.or(newest.map(|it| (it.baseline, it.incident)));
    let mut changes: Vec<ChangeItem> = found.iter().map(change).collect();
    changes.sort_by_key(|it| (std::cmp::Reverse(it.at), it.metric != "p95_ms"));
    let compared = match ranges {
        Some(ranges) => compare::told(reader, &arn, ranges, load.has_all, (COMPARED, rate))?,
        None => None,
    };
    let why_not = match (ranges, &compared) {
        (None, _) => {
            Some("nothing changed significantly: no change of p50, p95 or failure rate stands the test".to_owned())
        }
        (Some(_), None) => Some("one of the two ranges has no closed execution".to_owned()),
        _ => None,
    };
    let name = |it: &str| it.rsplit(':').next().unwrap_or(it).to_owned();
    let deployments = reader.deployments(&machine.arn)?.iter().map(|it| (it.at, name(&it.label))).collect();
    Ok(Incident {
        series: series.spans.iter().map(series_item).collect(),
        span: series.span,
        changes,
        deployments,
        ranges,
        compared,
        why_not,
    })
}

/// Whether what began with a change still goes on in a range that begins here.
pub(super) fn is_within(incident: Span, since: Option<Timestamp>) -> bool {
    since.is_none_or(|since| incident.1 > since)
}

fn series_item(it: &SpanRow) -> SeriesItem {
    SeriesItem { from: it.from, executions: it.executions, failed: it.failed, p50: it.p50, p95: it.p95 }
}

fn change(it: &incidents::Found) -> ChangeItem {
    ChangeItem {
        metric: it.metric,
        at: it.at,
        before: it.before,
        after: it.after,
        p_value: it.p_value,
        ranges: (it.baseline, it.incident),
    }
}
