//! `bottlenecks`: which states decide how long executions take, and what would help.

use analyzer::asl::StateMachine;
use analyzer::execution::Run;
use analyzer::model::{Micros, Name, StateType, Timestamp};
use analyzer::patterns::Pattern;
use analyzer::population::{Findings, Population, StateFinding, Variant};
use analyzer::replay::Limits;
use analyzer::timeline::Category;
use clap::Args;
use queries::{OpenedRow, PathRow, Reader, StateRow};
use serde_json::{Value, json};
use tui::text;

use super::bill::{Prices, number};
use super::coverage::Coverage;
use super::selection::Selection;
use super::show::{for_each_run, split_to_json};
use super::states::whole_hours;
use super::{Context, Range, select};
use crate::Outcome;
use crate::failure::Failure;
use crate::report::{Report, TextTable};

/// A state is worth a sentence from this share of the critical path on.
const WORTH_SAYING: f64 = 0.05;

#[derive(Args)]
pub(crate) struct BottlenecksArguments {
    /// A state machine: its ARN, its name, or a unique part of it.
    machine: Option<String>,
    /// The ranking alone, from hourly sums: at once, however many executions there are.
    #[arg(long)]
    approximate: bool,
    #[command(flatten)]
    selection: Selection,
}

impl BottlenecksArguments {
    /// Everything in a range, of one machine or of all.
    pub(crate) fn of_range(machine: Option<String>, range: Range) -> Self {
        Self { machine, approximate: false, selection: Selection::of_range(range) }
    }
}

pub(crate) fn run(context: &Context, arguments: &BottlenecksArguments) -> Outcome {
    found(context, arguments)?.print(context.output)?;
    Ok(0)
}

/// What the command finds.
pub(crate) fn found(context: &Context, arguments: &BottlenecksArguments) -> Result<Report, Failure> {
    let reader = context.reader()?;
    let wanted = select::optional_machine(&reader, arguments.machine.as_deref())?;
    let now = context.now()?;
    let prices = Prices::new(context)?;
    let mut found = Vec::new();
    if arguments.approximate {
        let (since, until) = arguments.selection.only_range(context)?;
        let hours = whole_hours(since, until)?;
        let (paths, states) = reader.rolled_up(wanted.as_deref(), hours)?;
        for path in paths {
            let arn = Name::from(path.machine_arn.as_str());
            let own = states.iter().filter(|it| it.machine_arn == path.machine_arn);
            found.push(Found { findings: ranked(&path, own), arn, stuck: Vec::new(), opened: Vec::new() });
        }
        let mut told = report(&found, &prices, true);
        Coverage::load(&reader, since, until)?.tell(&mut told, wanted.as_deref());
        return Ok(told);
    }
    for machine in reader.machines(None, None)? {
        if wanted.as_deref().is_none_or(|it| it == machine.arn) {
            let rows = reader.executions(&arguments.selection.filter(context, Some(machine.arn.as_str().into()))?)?;
            if rows.is_empty() {
                continue;
            }
            let mut population = population(&reader, &machine.arn)?;
            let mut open = Vec::new();
            for_each_run(&reader, &rows, |_, run| {
                population.add(run);
                if let Some(it) = Open::of(run, now) {
                    population.add_open(run, now);
                    open.push(it);
                }
                Ok(())
            })?;
            let findings = population.finish();
            open.retain(|it| findings.p99.is_some_and(|p99| it.age > p99));
            open.sort_by_key(|it| std::cmp::Reverse(it.age));
            let opened = reader.opened_children(&machine.arn)?;
            found.push(Found { arn: machine.arn.as_str().into(), findings, stuck: open, opened });
        }
    }
    let mut told = report(&found, &prices, false);
    let filter = arguments.selection.filter(context, None)?;
    Coverage::load(&reader, filter.since, filter.until)?.tell(&mut told, wanted.as_deref());
    Ok(told)
}

/// The ranking of states by their share of the path, without what needs every execution.
fn ranked<'a>(path: &PathRow, states: impl Iterator<Item = &'a StateRow>) -> Findings {
    let state = |it: &StateRow| StateFinding {
        state: it.state.as_str().into(),
        kind: it.kind,
        visits: it.visits,
        failures: it.failures,
        retries: it.retries,
        p50: it.p50,
        p95: it.p95,
        p99: it.p99,
        max: it.max,
        split: it.split,
        critical_total: it.critical,
        share: share(it.critical, path.path),
        ..StateFinding::default()
    };
    Findings {
        executions: usize::try_from(path.complete).unwrap_or(usize::MAX),
        p50: path.p50,
        p95: path.p95,
        p99: path.p99,
        states: states.map(state).collect(),
        ..Findings::default()
    }
}

/// An empty population of a machine, with what its newest definition says.
pub(super) fn population(reader: &Reader, machine_arn: &str) -> Result<Population, Failure> {
    let newest = reader.definitions(machine_arn)?.into_iter().next();
    let machine = newest.and_then(|it| StateMachine::parse(&it).ok());
    Ok(machine.map_or_else(Population::default, |it| Population::of_machine(it.map_limits(), it.timeouts())))
}

/// The limits of the Maps in the machine's newest definition; none without one.
pub(super) fn map_limits(reader: &Reader, machine_arn: &str) -> Result<Limits, Failure> {
    let newest = reader.definitions(machine_arn)?.into_iter().next();
    Ok(newest.and_then(|it| StateMachine::parse(&it).ok()).map_or_else(Limits::new, |it| it.map_limits()))
}

/// What was found about one machine.
struct Found {
    arn: Name,
    findings: Findings,
    /// Executions that have run for longer than 99 % of the machine's own take, the oldest first.
    stuck: Vec<Open>,
    /// What the executions that its states waited for spent their critical paths on.
    opened: Vec<OpenedRow>,
}

/// An execution that has not ended.
struct Open {
    arn: Name,
    age: Micros,
    /// The innermost state it is in, and since when.
    state: Option<(Name, Micros)>,
}

impl Open {
    fn of(run: &Run, now: Timestamp) -> Option<Self> {
        let started = run.execution.started_at.filter(|_| !run.execution.status.is_closed())?;
        let open = run.timeline.visits.iter().rev().find(|it| it.exited_at.is_none());
        let state = open.map(|it| (it.state.clone(), now - it.entered_at));
        Some(Self { arn: run.execution.arn.clone(), age: now - started, state })
    }

    fn to_json(&self, p99: Option<Micros>) -> Value {
        json!({
            "execution_arn": self.arn.as_str(),
            "age_ms": self.age.as_millis(),
            "machine_p99_ms": p99.map(Micros::as_millis),
            "state": self.state.as_ref().map(|it| it.0.as_str()),
            "in_state_ms": self.state.as_ref().map(|it| it.1.as_millis()),
        })
    }

    fn sentence(&self) -> String {
        let state = self
            .state
            .as_ref()
            .map_or_else(String::new, |(state, since)| format!(", the last {} of it in `{state}`", text::span(*since)));
        let name = self.arn.rsplit(':').next().unwrap_or(&self.arn);
        format!("`{name}` has run for {}{state}; 99 % of the machine's executions take less.", text::span(self.age))
    }
}

fn report(found: &[Found], prices: &Prices, is_approximate: bool) -> Report {
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
    Report {
        command: "bottlenecks",
        fields: [("approximate".to_owned(), is_approximate.into()), ("machines".to_owned(), machines.into())]
            .into_iter()
            .collect(),
        rows: "machines",
        table,
        heading: if is_approximate {
            "percentiles ≈ within one percent; sums are exact".to_owned()
        } else {
            String::new()
        },
        footer: sentences.join("\n"),
    }
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
fn sentence(it: &StateFinding) -> String {
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

fn opened_to_json(it: &OpenedRow, waiting: &StateFinding, findings: &Findings) -> Value {
    let path: Micros = findings.states.iter().map(|it| it.critical_total).sum();
    // The part of the waiting state's own path time that this stands for.
    let own = share(it.time.min(waiting.critical_total), path);
    json!({
        "state_machine_arn": it.machine_arn,
        "state": it.state,
        "category": it.category.map(Category::as_str),
        "executions": it.executions,
        "time_ms": it.time.as_millis(),
        "critical_share": own,
    })
}

#[expect(clippy::cast_precision_loss, reason = "shares are fractions")]
fn share(part: Micros, whole: Micros) -> f64 {
    if whole > Micros::ZERO { part.0 as f64 / whole.0 as f64 } else { 0.0 }
}

/// One sentence about a habit.
pub(super) fn pattern_sentence(it: &Pattern) -> String {
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

fn pattern_to_json(it: &Pattern, prices: &Prices, arn: &Name) -> Value {
    let usd = |transitions: u64| prices.transitions(arn, transitions).map(number);
    let mut value = match it {
        Pattern::PollingLoop { wait, states, executions, rounds, transitions, time, time_share, transition_share } => {
            json!({
                "kind": "polling_loop", "state": wait.as_str(), "states": states.iter().map(Name::as_str).collect::<Vec<_>>(),
                "executions": executions, "rounds": rounds, "transitions": transitions, "time_ms": time.as_millis(),
                "time_share": time_share, "transition_share": transition_share, "usd": usd(*transitions),
            })
        }
        Pattern::Stragglers { map, rounds, skewed, skew_p50, lost } => json!({
            "kind": "stragglers", "state": map.as_str(), "rounds": rounds, "skewed": skewed, "skew_p50": skew_p50,
            "time_ms": lost.as_millis(),
        }),
        Pattern::RetryStorm { state, visits, retries, error, backoff, transitions } => json!({
            "kind": "retry_storm", "state": state.as_str(), "visits": visits, "retries": retries,
            "error": error.as_deref(), "time_ms": backoff.as_millis(), "transitions": transitions, "usd": usd(*transitions),
        }),
        Pattern::EventLimit { executions, most_events, example, time_left } => json!({
            "kind": "event_limit", "state": Value::Null, "executions": executions, "most_events": most_events,
            "limit": analyzer::patterns::EVENT_LIMIT, "example": example.as_str(), "time_left_ms": time_left.map(Micros::as_millis),
        }),
        Pattern::TightTimeout { state, timeout, p99, timed_out } => json!({
            "kind": "tight_timeout", "state": state.as_str(), "timeout_ms": timeout.as_millis(), "p99_ms": p99.as_millis(),
            "timed_out": timed_out,
        }),
        Pattern::DuplicateStarts { executions, inputs, transitions, example } => json!({
            "kind": "duplicate_starts", "state": Value::Null, "executions": executions, "inputs": inputs,
            "examples": [example.0.as_str(), example.1.as_str()], "transitions": transitions, "usd": usd(*transitions),
        }),
    };
    value["finding"] = pattern_sentence(it).into();
    value
}

fn to_json(found: &Found, prices: &Prices) -> Value {
    let Found { arn, findings, stuck, opened } = found;
    let ms = |it: Option<Micros>| it.map(Micros::as_millis);
    json!({
        "state_machine_arn": arn.as_str(),
        "executions": findings.executions,
        "modelled": findings.modelled,
        "p50_ms": ms(findings.p50),
        "p95_ms": ms(findings.p95),
        "p99_ms": ms(findings.p99),
        "variants": findings.variants.iter().map(|it| variant_to_json(it, findings.executions, arn, prices)).collect::<Vec<_>>(),
        "choices": findings.choices.iter().map(choice_to_json).collect::<Vec<_>>(),
        "stuck": stuck.iter().map(|it| it.to_json(findings.p99)).collect::<Vec<_>>(),
        "patterns": findings.patterns.iter().map(|it| pattern_to_json(it, prices, arn)).collect::<Vec<_>>(),
        "states": findings.states.iter().map(|it| state_to_json(arn, it, findings, opened, prices)).collect::<Vec<_>>(),
    })
}

#[expect(clippy::cast_precision_loss, reason = "shares are fractions")]
fn variant_to_json(it: &Variant, executions: usize, arn: &Name, prices: &Prices) -> Value {
    let ms = |it: Option<Micros>| it.map(Micros::as_millis);
    json!({
        "states": it.states.iter().map(Name::as_str).collect::<Vec<_>>(),
        "executions": it.durations.n_runs,
        "share": it.durations.n_runs as f64 / executions.max(1) as f64,
        "p50_ms": ms(it.durations.p50),
        "p95_ms": ms(it.durations.p95),
        "mean_ms": ms(it.durations.mean),
        "billed_transitions": it.transitions,
        "usd": prices.transitions(arn, it.transitions).map(number),
    })
}

#[expect(clippy::cast_precision_loss, reason = "shares are fractions")]
fn choice_to_json((state, ways): &(Name, Vec<(Name, u64)>)) -> Value {
    let total: u64 = ways.iter().map(|it| it.1).sum();
    let way = |(next, count): &(Name, u64)| json!({"next": next.as_str(), "visits": count, "share": *count as f64 / total.max(1) as f64});
    json!({"state": state.as_str(), "branches": ways.iter().map(way).collect::<Vec<_>>()})
}

#[expect(clippy::cast_precision_loss, reason = "a mean of microseconds")]
fn state_to_json(arn: &Name, it: &StateFinding, findings: &Findings, opened: &[OpenedRow], prices: &Prices) -> Value {
    let ms = |it: Option<Micros>| it.map(Micros::as_millis);
    let mean =
        (findings.executions > 0).then(|| (it.critical_total.0 as f64 / findings.executions as f64).round() / 1_000.0);
    let exemplars: Vec<&str> = findings.medoid.iter().chain(&it.worst).map(Name::as_str).collect();
    json!({
        "state": it.state.as_str(),
        "type": it.kind.map(StateType::as_str),
        "visits": it.visits,
        "failures": it.failures,
        "retries": it.retries,
        "p50_ms": ms(it.p50),
        "p95_ms": ms(it.p95),
        "p99_ms": ms(it.p99),
        "max_ms": ms(it.max),
        "critical_ms_mean": mean,
        "critical_share": it.share,
        "slack_p50_ms": ms(it.slack_p50),
        "split_ms": split_to_json(&it.split, it.cold_start),
        "critical_split_ms": (it.critical.total() == it.critical_total).then(|| split_to_json(&it.critical, None)),
        "billed_transitions": it.visits + it.retries,
        "usd": prices.transitions(arn, it.visits + it.retries).map(number),
        "speedup_bound": {"p50_ms": ms(it.bound_p50), "p95_ms": ms(it.bound_p95)},
        "error": it.error.as_ref().map(|(error, count)| json!({"error": error.as_str(), "attempts": count})),
        "drag_ms": {"p50_ms": ms(it.drag_p50), "mean_ms": ms(it.drag_mean)},
        "concurrency_limit": it.limit,
        "concurrency_allowed": it.allowed,
        "slot_bound_ms": ms(it.slot_bound_mean),
        "executions": exemplars,
        "opens_into": opened.iter().filter(|row| *row.waiting == *it.state).map(|row| opened_to_json(row, it, findings)).collect::<Vec<_>>(),
        "finding": sentence(it),
    })
}
