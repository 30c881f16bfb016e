//! What a run of `collect` found, for people and for programs.

use analyzer::model::Usd;
use collector::live::LiveReport;
use queries::ImportStats;
use serde_json::{Map, Value, json};
use tui::text;

use crate::cli::bill::number;
use crate::report::{Report, TextTable, sentences};

pub(super) fn report(report: &LiveReport, stats: &ImportStats, elapsed_ms: u128) -> Report {
    let columns = ["account", "region", "#machines", "#executions", "#events", "#segments", "denied", "#gaps"];
    let mut table = TextTable::with_columns(&columns);
    for it in &report.targets {
        table.rows.push(vec![
            it.account.clone().unwrap_or_else(|| "–".to_owned()),
            it.region.clone().unwrap_or_else(|| "–".to_owned()),
            text::count(it.machines),
            text::count(it.executions),
            text::count(it.events),
            text::count(it.segments),
            it.denied.iter().map(|it| it.permission.as_str()).collect::<Vec<_>>().join(", "),
            it.gaps.len().to_string(),
        ]);
    }
    let gaps = report.targets.iter().flat_map(|it| &it.gaps);
    let lost = report
        .targets
        .iter()
        .flat_map(|it| &it.denied)
        .map(|it| format!("{} is denied: no {}", it.permission, it.lost));
    let of_buckets = report.objects.iter().flat_map(|it| {
        let read = format!("{}: {} objects, {} bytes", it.source, text::count(it.objects), text::count(it.bytes));
        std::iter::once(read).chain(it.gaps.iter().map(ToString::to_string))
    });
    let footer: Vec<String> = lost.chain(gaps.map(ToString::to_string)).chain(of_buckets).collect();
    let fields: [(&str, Value); 11] = [
        ("targets", json!(report.targets)),
        ("objects", json!(report.objects)),
        ("calls", json!(report.calls)),
        // Calls of Step Functions' own API are not billed.
        ("calls_usd", number(report.usd)),
        ("throttled", json!(report.throttled)),
        ("new_executions", stats.executions.into()),
        ("new_events", stats.events.into()),
        ("duplicates", stats.duplicates.into()),
        ("quarantined", stats.quarantined.into()),
        ("forgotten", stats.forgotten.into()),
        ("elapsed_ms", u64::try_from(elapsed_ms).unwrap_or(u64::MAX).into()),
    ];
    Report {
        command: "collect",
        fields: fields.into_iter().map(|(key, it)| (key.to_owned(), it)).collect::<Map<_, _>>(),
        rows: "targets",
        table,
        heading: heading(report, stats, elapsed_ms),
        footer: sentences(&footer),
    }
}

fn heading(report: &LiveReport, stats: &ImportStats, elapsed_ms: u128) -> String {
    let calls: u64 = report.calls.values().sum();
    let throttled: u64 = report.throttled.values().sum();
    let mut heading = format!(
        "{} new executions or changes, {} new events, {} calls, {} throttled ({} ms)",
        text::count(stats.executions),
        text::count(stats.events),
        text::count(calls),
        text::count(throttled),
        elapsed_ms
    );
    if report.usd > Usd::ZERO {
        heading += &format!(", ${} for calls", report.usd.to_decimal());
    }
    heading
}
