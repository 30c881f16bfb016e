//! What the overview needs, quickly: from hourly sums where all of it is wanted, from the executions of a range.

use analyzer::model::{Micros, Timestamp};
use queries::{Activity, MachineRow, Reader};
use tui::dash::{MachineItem, Overview, TimeRange};

use super::collector;
use super::loader::Loader;
use crate::cli::coverage::Coverage;
use crate::failure::Failure;

/// Columns of the small charts.
const SPANS: usize = 24;
/// So many executions are read one by one.
const FEW: u64 = 50_000;
const HOUR: Micros = Micros(3_600_000_000);

pub(super) fn overview(loader: &Loader, reader: &Reader, range: TimeRange) -> Result<Overview, Failure> {
    let now = loader.context.now()?;
    let (since, until) = range.bounds(now);
    let (oldest, newest) = reader.first_and_last_start()?;
    let (machines, (activity, span)) = if range == TimeRange::All {
        let machines = reader.rolled_up_machines()?;
        let first = machines.iter().filter_map(|it| it.first_at).min();
        let n_executions: u64 = machines.iter().map(|it| it.executions).sum();
        // Hours say nothing about a day, and few executions are read at once.
        let is_short = first.zip(newest).is_some_and(|(first, newest)| (newest - first).0 < HOUR.0 * 48);
        let activity = if is_short && n_executions < FEW {
            activity(reader, oldest, newest.map_or(now, |it| it + Micros(1)))?
        } else {
            reader.rolled_up_activity(SPANS)?
        };
        (machines, activity)
    } else {
        (reader.machines(since, until)?, activity(reader, since.or(oldest), until.unwrap_or(now))?)
    };
    // Of what ended long ago, the last hour is that of the data.
    let end = newest.map_or(now, |it| if now - it > HOUR { it + Micros(1) } else { now });
    let last_hour = reader.started_since(Timestamp(end.0 - HOUR.0))?;
    let coverage = Coverage::load(reader, since, until)?;
    let item = |it: MachineRow| MachineItem {
        counted: coverage.counted(&it.arn),
        last_hour: last_hour.iter().find(|row| row.0 == it.arn).map_or(0, |row| row.1),
        ..machine(it, &activity)
    };
    Ok(Overview {
        machines: machines.into_iter().map(item).collect(),
        collector: collector::lines(reader, now)?,
        newest,
        span: Some(span),
    })
}

fn activity(reader: &Reader, since: Option<Timestamp>, until: Timestamp) -> Result<(Vec<Activity>, Micros), Failure> {
    let from = since.unwrap_or(until);
    let span = Micros((until - from).0 / i64::try_from(SPANS).unwrap_or(1));
    Ok((reader.activity(from, until, SPANS)?, span))
}

fn machine(it: MachineRow, activity: &[Activity]) -> MachineItem {
    let (mut trend, mut starts) = (vec![None; SPANS], vec![0; SPANS]);
    for row in activity.iter().filter(|row| row.machine_arn == it.arn && row.span < SPANS) {
        (trend[row.span], starts[row.span]) = (row.p95, row.started);
    }
    MachineItem {
        arn: it.arn,
        name: it.name,
        account: it.account,
        region: it.region,
        workflow_type: it.workflow_type.as_str(),
        executions: it.executions,
        running: it.running,
        failed: it.failed,
        closed: it.closed,
        failure_rate: it.failure_rate,
        complete: it.complete,
        p50: it.p50,
        p95: it.p95,
        trend,
        starts,
        ..MachineItem::default()
    }
}
