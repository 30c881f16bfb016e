//! Advice about Retry and Catch: what never applies, what hides failures, what retries too much.

use std::collections::BTreeMap;

use super::{Around, Sink, StateRuns, most_frequent};
use crate::asl::State;
use crate::model::{Name, StateType};

/// Visits from which on it means something that a handler was never needed.
const ENOUGH: u64 = 100;
/// A Retry that may wait longer than this between two attempts is said to have no limit, in seconds.
const LONG_DELAY: f64 = 3_600.0;

pub(super) fn check(state: &State, around: &Around<'_>, runs: Option<&StateRuns>, sink: &mut Sink<'_>) {
    check_dead(state, sink);
    for (index, retrier) in state.retry.iter().enumerate() {
        let place = format!("/Retry[{index}]");
        check_delays(state, index, around, sink);
        if let Some(runs) = runs.filter(|it| it.visits >= ENOUGH) {
            let mut earlier = state.retry[..index].iter();
            let applies = |error: &Name| {
                takes(&retrier.error_equals, error) && !earlier.clone().any(|it| takes(&it.error_equals, error))
            };
            if !runs.errors.keys().any(applies) && earlier.all(|it| !it.error_equals.is_empty()) {
                let finding =
                    sink.add("retry_unused", &place, format!("this Retry of `{}` was never needed", state.name));
                finding.evidence = Some(format!("none of its errors in {} visits", runs.visits));
            }
        }
    }
    if !state.retry.is_empty() && state.kind.is_some_and(StateType::is_container) {
        let message = format!("a Retry of `{}` runs everything inside it again", state.name);
        let finding = sink.add("retry_of_container", "/Retry", message);
        finding.evidence =
            runs.filter(|it| it.retries > 0).map(|it| format!("{} retries in {} visits", it.retries, it.visits));
    }
    check_catches(state, around, runs, sink);
}

/// Whether the errors named take this one in.
pub(super) fn takes(named: &[Name], error: &Name) -> bool {
    let is_terminal = ["States.Runtime", "States.DataLimitExceeded"].contains(&&**error);
    named.iter().any(|it| match &**it {
        "States.ALL" => !is_terminal,
        "States.TaskFailed" => !is_terminal && **error != *"States.Timeout",
        _ => it == error && **error != *"States.Runtime",
    })
}

/// Errors that a handler names and that an earlier one has taken, or that none can take.
fn check_dead(state: &State, sink: &mut Sink<'_>) {
    let retries = state.retry.iter().map(|it| &it.error_equals).enumerate();
    let catches = state.catch.iter().map(|it| &it.error_equals).enumerate();
    for (kind, handlers) in [("Retry", retries.collect::<Vec<_>>()), ("Catch", catches.collect())] {
        let mut before: Vec<Name> = Vec::new();
        for (index, errors) in handlers {
            for error in errors {
                let why = if **error == *"States.Runtime" {
                    "nothing takes `States.Runtime`"
                } else if before.iter().any(|it| it == error)
                    || (takes(&before, error) && !error.starts_with("States."))
                {
                    "an earlier part takes it already"
                } else {
                    continue;
                };
                let message = format!("`{}` names `{error}` in vain: {why}", state.name);
                sink.add("handler_never_applies", &format!("/{kind}[{index}]/ErrorEquals"), message);
            }
            before.extend(errors.iter().cloned());
        }
    }
}

fn check_delays(state: &State, index: usize, around: &Around<'_>, sink: &mut Sink<'_>) {
    let (retrier, place) = (&state.retry[index], format!("/Retry[{index}]"));
    let last = i32::try_from(retrier.max_attempts.saturating_sub(1)).unwrap_or(i32::MAX);
    let longest = retrier.interval_seconds * retrier.backoff_rate.powi(last);
    if retrier.max_delay_seconds.is_none() && longest > LONG_DELAY {
        let message = format!("the last delay of `{}` may be {}", state.name, hours(longest));
        sink.add("retry_without_max_delay", &place, message);
    }
    let written = state.fields.get("Retry").and_then(|it| it.get(index));
    let has_jitter = written.is_some_and(|it| it.get("JitterStrategy").is_some());
    if around.is_fanned_out && !has_jitter && retrier.max_attempts > 1 && state.kind == Some(StateType::Task) {
        let message = format!("`{}` runs many times at once, and its retries come all at once", state.name);
        sink.add("retry_without_jitter", &place, message);
    }
}

fn hours(seconds: f64) -> String {
    const DAY: f64 = 86_400.0;
    match seconds {
        it if it > 366.0 * DAY => "more than a year".to_owned(),
        it if it > 2.0 * DAY => format!("{:.0} days", it / DAY),
        it => format!("{:.0} h", it / 3_600.0),
    }
}

fn check_catches(state: &State, around: &Around<'_>, runs: Option<&StateRuns>, sink: &mut Sink<'_>) {
    for (index, catcher) in state.catch.iter().enumerate() {
        let place = format!("/Catch[{index}]");
        let taken: BTreeMap<Name, u64> = runs
            .map(|it| {
                it.caught
                    .iter()
                    .filter(|(error, _)| takes(&catcher.error_equals, error))
                    .map(|(error, count)| (error.clone(), *count))
                    .collect()
            })
            .unwrap_or_default();
        let takes_all = catcher.error_equals.iter().any(|it| **it == *"States.ALL");
        if around.is_outermost
            && takes_all
            && let Some(next) = catcher.next.as_ref().and_then(|it| around.graph.state(it))
            && ends_well_at_once(next)
        {
            let message = format!("whatever fails in `{}` ends as a success at `{}`", state.name, next.name);
            let finding = sink.add("catch_hides_failure", &place, message);
            let n_taken: u64 = taken.values().sum();
            finding.evidence = (n_taken > 0).then(|| {
                let names: Vec<String> = most_frequent(&taken)
                    .into_iter()
                    .take(3)
                    .map(|(name, count)| format!("{name} {count} times"))
                    .collect();
                format!("it took {}", names.join(", "))
            });
        }
        if let Some(runs) = runs.filter(|it| it.visits >= ENOUGH && taken.is_empty()) {
            let is_reached_earlier = state.catch[..index].iter().any(|it| it.error_equals == catcher.error_equals);
            if !is_reached_earlier {
                let finding =
                    sink.add("catch_unused", &place, format!("this Catch of `{}` was never taken", state.name));
                finding.evidence = Some(format!("none of its errors was left in {} visits", runs.visits));
            }
        }
    }
    let is_catch_all = state.catch.iter().any(|it| it.error_equals.iter().any(|it| **it == *"States.ALL"));
    let names_limit = state.catch.iter().any(|it| it.error_equals.iter().any(|it| **it == *"States.DataLimitExceeded"));
    let terminal: u64 = runs.map_or(0, |it| {
        ["States.Runtime", "States.DataLimitExceeded"].iter().filter_map(|error| it.fatal.get(*error)).sum()
    });
    if is_catch_all && !names_limit && terminal > 0 {
        let message = format!(
            "the Catch of `{}` for States.ALL takes neither States.Runtime nor States.DataLimitExceeded",
            state.name
        );
        sink.add("catch_all_is_not_all", "/Catch", message).evidence =
            Some(format!("{terminal} executions failed with them here"));
    }
}

/// Whether an execution that gets here ends at once as a success.
fn ends_well_at_once(state: &State) -> bool {
    state.kind == Some(StateType::Succeed) || (state.is_idle() && state.end)
}
