//! A command's report as a page of the dashboard.

use std::collections::BTreeMap;

use analyzer::model::Timestamp;
use analyzer::spans::Span;
use clap::Parser;
use queries::Reader;
use serde_json::Map;
use tui::dash::Page;
use tui::text;

use super::{
    Arguments, Command, Context, bottlenecks, compare, cost, executions, incidents, redrivable, states, versions,
    whatif,
};
use crate::failure::Failure;
use crate::report::{Report, TextTable, sentences};

/// Commands whose reports can be shown.
pub(crate) const SHOWN: [&str; 10] = [
    "bottlenecks",
    "collector",
    "compare",
    "cost",
    "executions",
    "incidents",
    "redrivable",
    "states",
    "versions",
    "whatif",
];

/// Runs a command that reports, as it would be typed after `stepscope`.
pub(crate) fn page(context: &Context, words: &[String]) -> Result<Page, Failure> {
    let report = report(context, words)?;
    let columns = report.table.columns.iter().map(|it| (it.title.clone(), it.is_number)).collect();
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    Ok(Page { heading: lines(&report.heading), columns, rows: report.table.rows, notes: lines(&report.footer) })
}

fn report(context: &Context, words: &[String]) -> Result<Report, Failure> {
    if words.first().is_some_and(|it| it == "collector") {
        return collector(context);
    }
    let program = std::iter::once("stepscope".to_owned());
    let arguments = Arguments::try_parse_from(program.chain(words.iter().cloned())).map_err(|error| {
        let said = error.to_string();
        let first = said.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Failure::usage(first)
    })?;
    match arguments.command {
        Command::States(it) => states::found(context, &it),
        Command::Bottlenecks(it) => bottlenecks::found(context, &it),
        Command::Cost(it) => cost::found(context, &it),
        Command::Incidents(it) => incidents::listed(context, &it),
        Command::Compare(it) => compare::found(context, &it),
        Command::Versions(it) => versions::found(context, &it),
        Command::Redrivable(it) => redrivable::found(context, &it),
        Command::Executions(it) => executions::found(context, &it),
        Command::Whatif(it) => whatif::found(context, &it),
        _ => {
            Err(Failure::usage(format!("`{}` has no page", words.join(" "))).hint(format!("try {}", SHOWN.join(", "))))
        }
    }
}

/// How collecting goes: the use of every API, and below it gaps and input that was set aside.
fn collector(context: &Context) -> Result<Report, Failure> {
    let reader = context.reader()?;
    let mut table = TextTable::with_columns(&[
        "API",
        "account",
        "region",
        "#calls",
        "#throttled",
        "#waiting",
        "#waited",
        "#left",
        "#a second",
        "last heard of (UTC)",
    ]);
    let uses = reader.api_uses()?;
    for it in &uses {
        table.rows.push(vec![
            it.api.to_string(),
            it.account.to_string(),
            it.region.to_string(),
            text::count(it.calls),
            text::count(it.throttled),
            text::count(it.waiting),
            text::span(analyzer::model::Micros(it.waited_us)),
            format!("{:.0} of {:.0}", it.tokens, it.bucket),
            format!("{:.1}", it.per_second),
            analyzer::time::short(it.at),
        ]);
    }
    let (gaps, set_aside) = (reader.gaps()?, reader.quarantine(20)?);
    let mut notes = sources(&reader, context.now()?)?;
    notes.extend(gaps.iter().map(|(subject, reason)| format!("lost: {subject}: {reason}")));
    notes.extend(set_aside.iter().map(|(source, reason)| format!("set aside: {source}: {reason}")));
    let heading = match (uses.is_empty(), gaps.len()) {
        (true, _) if super::collector_state::read(context).is_some() => {
            "Nothing has been stored by a collector.".to_owned()
        }
        (true, _) => {
            "No collector has written to this database: `stepscope collect`, or `dash` with targets.".to_owned()
        }
        (false, 0) => "No gap is known.".to_owned(),
        (false, gaps) => format!("{gaps} gaps that cannot be filled."),
    };
    Ok(Report { command: "collector", fields: Map::new(), rows: "apis", table, heading, footer: sentences(&notes) })
}

/// Up to when each source was read: how far it lags behind, and where something is still to be read.
fn sources(reader: &Reader, now: Timestamp) -> Result<Vec<String>, Failure> {
    let mut by_source: BTreeMap<String, Vec<(String, Option<Timestamp>, usize)>> = BTreeMap::new();
    for ((source, subject), (wanted, spans)) in reader.collected_spans()? {
        let end = spans.end();
        let holes = end.map_or(0, |to| spans.missing(Span { from: wanted, to }).len());
        by_source.entry(source).or_default().push((subject, end, holes));
    }
    let line = |(source, subjects): (String, Vec<(String, Option<Timestamp>, usize)>)| {
        let newest = subjects.iter().filter_map(|it| it.1).max();
        let last = subjects.iter().min_by_key(|it| it.1);
        let lag =
            |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), |at| format!("{} ago", text::span(now - at)));
        let behind = last
            .filter(|it| it.1 != newest)
            .map_or_else(String::new, |it| format!("; {} only up to {}", it.0, lag(it.1)));
        let holes: usize = subjects.iter().map(|it| it.2).sum();
        let holes = if holes > 0 { format!("; {holes} spans are still to be read") } else { String::new() };
        format!("{source}: {} read up to {}{behind}{holes}", subjects.len(), lag(newest))
    };
    Ok(by_source.into_iter().map(line).collect())
}
