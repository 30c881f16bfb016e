//! `bottlenecks` for people: the ranking, and sentences that one can act on.

use analyzer::model::{Micros, Name, StateType};
use analyzer::patterns::Pattern;
use analyzer::population::{Findings, StateFinding, Variant};
use analyzer::timeline::Category;
use queries::OpenedRow;
use serde_json::Value;
use tui::text;

use super::json::to_json;
use super::{Found, share};
use crate::cli::bill::Prices;
use crate::cli::states::by_machine;
use crate::report::{Report, TextTable};

/// A state is worth a sentence from this share of the critical path on.
const WORTH_SAYING: f64 = 0.05;

pub(crate) fn report(found: &[Found], prices: &Prices, is_approximate: bool) -> Report {
    let mut table = TextTable::with_columns(&[
        "machine",
        "state",
        "#path share",
        "of that",
        "#p95 if free",
        "#slack",
        "#p50",
        "#p99",
        "#retried",
        "#failed",
    ]);
    let mut sentences = Vec::new();
    for Found { arn, findings, stuck, opened } in found {
        let machine = arn.rsplit(':').next().unwrap_or(arn);
        for state in findings.states.iter().filter(|it| it.share >= 0.005) {
            table.rows.push(table_row(machine, state));
        }
        sentences.extend(
            findings
                .states
                .iter()
                .filter(|it| it.share >= WORTH_SAYING)
                .take(3)
                .map(|it| format!("{machine}: {}{}", sentence(it), opened_sentence(it, opened))),
        );
        sentences.extend(ways_sentence(findings).map(|it| format!("{machine}: {it}")));
        sentences.extend(findings.patterns.iter().map(|it| format!("{machine}: {}", pattern_sentence(it))));
        sentences.extend(stuck.iter().take(3).map(|it| format!("{machine}: {}", it.sentence())));
    }
    let machines: Vec<Value> = found.iter().map(|it| to_json(it, prices)).collect();
    by_machine("bottlenecks", is_approximate, machines, table, crate::report::sentences(&sentences))
}

fn table_row(machine: &str, it: &StateFinding) -> Vec<String> {
    let main = it
        .main_category()
        .map_or_else(String::new, |(category, share)| format!("{} {:.0} %", label(category), share * 100.0));
    vec![
        text::cut(machine, 28),
        text::cut(&it.state, 32),
        format!("{:.1} %", it.share * 100.0),
        main,
        it.bound_p95.map_or_else(|| "–".to_owned(), fall),
        text::opt_span(it.slack_p50),
        text::opt_span(it.p50),
        text::opt_span(it.p99),
        text::percent(it.retried_visits, it.visits),
        text::percent(it.failures, it.visits),
    ]
}

fn label(category: Category) -> &'static str {
    match category {
        Category::Backoff => "back-off",
        Category::SlotWait => "slot wait",
        Category::RedriveIdle => "redrive idle",
        other => other.as_str(),
    }
}

/// A reduction.
fn fall(by: Micros) -> String {
    if by > Micros::ZERO { format!("−{}", text::span(by)) } else { text::span(by) }
}

/// One sentence that a person can act on.
pub(super) fn sentence(it: &StateFinding) -> String {
    let mut parts = format!("`{}` is {:.0} % of the critical path", it.state, it.share * 100.0);
    if let Some((category, share)) = it.main_category() {
        parts += &format!("; {:.0} % of that is {}", share * 100.0, label(category));
        if let Some((error, _)) = it.error.as_ref().filter(|_| category == Category::Backoff) {
            parts +=
                &format!(" after `{error}` ({} of visits were retried)", text::percent(it.retried_visits, it.visits));
        }
    }
    if let Some(cold) = it.cold_start.filter(|it| *it > Micros::ZERO) {
        parts += &format!("; cold starts took {} of its work", text::span(cold));
    }
    if let Some(limit) = it.limit.filter(|_| it.kind == Some(StateType::Map)) {
        parts += &format!("; its items wait for one another, {limit} at once");
        if let Some(allowed) = it.allowed.filter(|it| *it != limit) {
            parts += &format!(" of {allowed} allowed");
        }
        if let Some(bound) = it.slot_bound_mean.filter(|it| *it > Micros::ZERO) {
            parts += &format!(", which costs {} a run", text::span(bound));
        }
    }
    if let Some(bound) = it.bound_p95.filter(|it| *it > Micros::ZERO) {
        parts += &format!("; if it took no time, the p95 would fall by {}", text::span(bound));
    }
    parts + "."
}

/// Ways that are named in the sentence on them.
const NAMED_WAYS: usize = 3;

/// Which ways executions took, where there is more than one.
fn ways_sentence(findings: &Findings) -> Option<String> {
    let ways = &findings.variants;
    let total: usize = ways.iter().map(|it| it.durations.n_runs).sum();
    let way = |it: &Variant| {
        let states = it.states.iter().map(Name::as_str).collect::<Vec<_>>().join(" → ");
        let part = text::percent(it.durations.n_runs as u64, total as u64);
        format!("{part} {states} (p50 {})", text::opt_span(it.durations.p50))
    };
    let named = ways.iter().take(NAMED_WAYS).map(way).collect::<Vec<_>>().join("; ");
    (ways.len() > 1).then(|| format!("{} ways: {named}.", ways.len()))
}

/// Where the time of the executions that a state waits for goes.
fn opened_sentence(it: &StateFinding, opened: &[OpenedRow]) -> String {
    let mut inside = opened.iter().filter(|row| *row.waiting == *it.state).peekable();
    let Some(main) = inside.peek().copied() else { return String::new() };
    let total: Micros = inside.map(|it| it.time).sum();
    format!(
        " It waits for `{}`, where {:.0} % of the critical path is `{}`{}.",
        main.machine_arn.rsplit(':').next().unwrap_or(&main.machine_arn),
        share(main.time, total) * 100.0,
        main.state.as_deref().unwrap_or("the execution's own time"),
        main.category.map_or_else(String::new, |it| format!(" ({})", label(it)))
    )
}

/// One sentence about a habit.
pub(crate) fn pattern_sentence(it: &Pattern) -> String {
    let percent = |it: f64| format!("{:.0} %", it * 100.0);
    match it {
        Pattern::PollingLoop { wait, states, executions, rounds, time_share, transition_share, .. } => format!(
            "{executions} executions poll in a loop around `{wait}` ({}): {rounds} rounds, {} of the time and {} of the \
             transitions; a callback or `.sync` would need none of them.",
            states.iter().map(Name::as_str).collect::<Vec<_>>().join(", "),
            percent(*time_share),
            percent(*transition_share)
        ),
        Pattern::Stragglers { map, rounds, skewed, skew_p50, lost } => format!(
            "in {skewed} of {rounds} runs of the Map `{map}` one item takes at least three times the median one (middle \
             run: {skew_p50:.1} times); without them {} in all would not have been waited for.",
            text::span(*lost)
        ),
        Pattern::RetryStorm { state, visits, retries, error, backoff, .. } => format!(
            "`{state}` was retried {retries} times in {visits} visits{}, with {} of back-off.",
            error.as_ref().map_or_else(String::new, |it| format!(", mostly after `{it}`")),
            text::span(*backoff)
        ),
        Pattern::EventLimit { executions, most_events, example, time_left } => format!(
            "{executions} executions used at least 80 % of the 25,000 events one may have ({} in `{}`{}): split the work \
             into nested executions or a Distributed Map.",
            text::count(*most_events),
            short(example),
            time_left
                .map_or_else(String::new, |it| format!("; the first that runs reaches them in {}", text::span(it)))
        ),
        Pattern::TightTimeout { state, timeout, p99, timed_out } => format!(
            "`{state}` has a time-out of {}, and its p99 is {}{}: raise the time-out or make the call faster.",
            text::span(*timeout),
            text::span(*p99),
            if *timed_out > 0 { format!("; it was reached {timed_out} times") } else { String::new() }
        ),
        Pattern::DuplicateStarts { executions, inputs, example, .. } => format!(
            "{} while another with the same input ran ({inputs} of the inputs; `{}` and `{}`): name executions after what they \
             work on, so that a second start is refused.",
            if *executions == 1 { "1 execution began".to_owned() } else { format!("{executions} executions began") },
            short(&example.0),
            short(&example.1)
        ),
    }
}

/// What stands behind the last colon of an ARN.
fn short(arn: &Name) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}
