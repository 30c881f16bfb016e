//! What is retried and caught that was not, and the other way round?

use serde_json::Value;

use super::{ChangeKind, Found};
use crate::asl::{Catcher, Retrier, State};
use crate::model::Name;

pub(super) fn compare(old: &State, new: &State, path: &str, found: &mut Found<'_>) {
    compare_retries(old, new, path, found);
    compare_catches(old, new, path, found);
}

fn compare_retries(old: &State, new: &State, path: &str, found: &mut Found<'_>) {
    let name = &new.name;
    let errors = |it: &Retrier| it.error_equals.clone();
    let mut add = |kind: ChangeKind, what: String| found.add(format!("{path}/Retry"), kind, &[name], what);
    for it in new.retry.iter().filter(|it| !old.retry.iter().any(|was| errors(was) == errors(it))) {
        add(ChangeKind::Added, format!("`{name}` retries {} up to {} times", said(&it.error_equals), it.max_attempts));
    }
    for it in old.retry.iter().filter(|it| !new.retry.iter().any(|is| errors(is) == errors(it))) {
        let what = format!("`{name}` no longer retries {} (up to {} times)", said(&it.error_equals), it.max_attempts);
        add(ChangeKind::Removed, what);
    }
    let mut kept = Vec::new();
    for (index, is) in new.retry.iter().enumerate() {
        let Some(place) = old.retry.iter().position(|it| errors(it) == errors(is)) else { continue };
        kept.push(place);
        let parts = parts(&old.retry[place], is, [spread(old, place), spread(new, index)]);
        if !parts.is_empty() {
            add(ChangeKind::Changed, format!("`{name}` retries {}: {}", said(&is.error_equals), parts.join(", ")));
        }
    }
    if !kept.is_sorted() {
        add(ChangeKind::Changed, format!("`{name}` looks for what to retry in another order"));
    }
}

/// What is another one of a part of a Retry that takes the same errors.
fn parts(was: &Retrier, is: &Retrier, [was_spread, is_spread]: [bool; 2]) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = |what: &str, was: String, is: String| {
        if was != is {
            parts.push(format!("{what} {is} instead of {was}"));
        }
    };
    part("up to", format!("{} times", was.max_attempts), format!("{} times", is.max_attempts));
    part("first after", format!("{} s", was.interval_seconds), format!("{} s", is.interval_seconds));
    part("each delay times", was.backoff_rate.to_string(), is.backoff_rate.to_string());
    let most = |it: Option<f64>| it.map_or_else(|| "any time".to_owned(), |it| format!("{it} s"));
    part("at most after", most(was.max_delay_seconds), most(is.max_delay_seconds));
    match (was_spread, is_spread) {
        (false, true) => parts.push("spread at random".to_owned()),
        (true, false) => parts.push("no longer spread at random".to_owned()),
        _ => {}
    }
    parts
}

/// Whether a part of a Retry has jitter.
fn spread(state: &State, index: usize) -> bool {
    let part = state.fields.get("Retry").and_then(|it| it.get(index));
    part.and_then(|it| it.get("JitterStrategy")).and_then(Value::as_str) == Some("FULL")
}

fn compare_catches(old: &State, new: &State, path: &str, found: &mut Found<'_>) {
    let (name, names) = (&new.name, found.names);
    let errors = |it: &Catcher| it.error_equals.clone();
    let mut add = |kind: ChangeKind, what: String| found.add(format!("{path}/Catch"), kind, &[name], what);
    let mut kept = Vec::new();
    for (index, is) in new.catch.iter().enumerate() {
        let (taken, to) = (said(&is.error_equals), is.next.as_deref().unwrap_or("nowhere"));
        let Some(place) = old.catch.iter().position(|it| errors(it) == errors(is)) else {
            add(ChangeKind::Added, format!("`{name}` catches {taken} and goes on to `{to}`"));
            continue;
        };
        kept.push(place);
        let before = old.catch[place].next.as_ref().map(|it| names.now(it));
        if let Some(before) = before.filter(|before| is.next.as_ref() != Some(before)) {
            add(ChangeKind::Changed, format!("`{name}` catches {taken} and goes on to `{to}` instead of `{before}`"));
        }
        if kept_of(old, place) != kept_of(new, index) {
            add(ChangeKind::Changed, format!("`{name}` keeps something else of {taken} that it catches"));
        }
    }
    for was in old.catch.iter().filter(|was| !new.catch.iter().any(|is| errors(is) == errors(was))) {
        add(ChangeKind::Removed, format!("`{name}` no longer catches {}", said(&was.error_equals)));
    }
    if !kept.is_sorted() {
        add(ChangeKind::Changed, format!("`{name}` looks for what to catch in another order"));
    }
}

/// What a part of a Catch keeps of the error.
fn kept_of(state: &State, index: usize) -> [Option<&Value>; 3] {
    let part = state.fields.get("Catch").and_then(|it| it.get(index));
    ["ResultPath", "Output", "Assign"].map(|field| part.and_then(|it| it.get(field)))
}

fn said(errors: &[Name]) -> String {
    match errors {
        [] => "nothing".to_owned(),
        [one] => format!("`{one}`"),
        [one, two] => format!("`{one}` and `{two}`"),
        [one, rest @ ..] => format!("`{one}` and {} more", rest.len()),
    }
}
