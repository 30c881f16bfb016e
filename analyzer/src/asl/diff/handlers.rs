//! What is retried and caught that was not, and the other way round?

use super::{ChangeKind, Found};
use crate::asl::{Catcher, Retrier, State};
use crate::model::Name;

pub(super) fn compare(old: &State, new: &State, path: &str, found: &mut Found<'_>) {
    compare_retries(old, new, path, found);
    compare_catches(old, new, path, found);
}

fn compare_retries(old: &State, new: &State, path: &str, found: &mut Found<'_>) {
    let name = &new.name;
    let key = |it: &Retrier| names(&it.error_equals);
    let mut add = |kind: ChangeKind, what: String| found.add(format!("{path}/Retry"), kind, &[name], what);
    for it in new.retry.iter().filter(|it| !old.retry.iter().any(|was| key(was) == key(it))) {
        add(ChangeKind::Added, format!("`{name}` retries {} up to {} times", key(it), it.max_attempts));
    }
    for it in old.retry.iter().filter(|it| !new.retry.iter().any(|is| key(is) == key(it))) {
        add(ChangeKind::Removed, format!("`{name}` no longer retries {} (up to {} times)", key(it), it.max_attempts));
    }
    for is in &new.retry {
        let Some(was) = old.retry.iter().find(|it| key(it) == key(is)) else { continue };
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
        if !parts.is_empty() {
            add(ChangeKind::Changed, format!("`{name}` retries {}: {}", key(is), parts.join(", ")));
        }
    }
    let jitter = |it: &State| it.fields.get("Retry").map_or(0, |it| it.to_string().matches("\"FULL\"").count());
    if jitter(old) != jitter(new) {
        let more = if jitter(new) > jitter(old) { "spread at random" } else { "no longer spread at random" };
        add(ChangeKind::Changed, format!("the retries of `{name}` are {more}"));
    }
}

fn compare_catches(old: &State, new: &State, path: &str, found: &mut Found<'_>) {
    let name = &new.name;
    let key = |it: &Catcher| names(&it.error_equals);
    let names_now = found.names;
    let target = |it: &Catcher| it.next.as_ref().map(|it| names_now.now(it).clone());
    let place = format!("{path}/Catch");
    for is in &new.catch {
        let to = is.next.as_deref().unwrap_or("nowhere");
        match old.catch.iter().find(|it| key(it) == key(is)) {
            None => found.add(
                place.clone(),
                ChangeKind::Added,
                &[name],
                format!("`{name}` catches {} and goes on to `{to}`", key(is)),
            ),
            Some(was) => {
                if let Some(before) = target(was).filter(|before| is.next.as_ref() != Some(before)) {
                    let what = format!("`{name}` catches {} and goes on to `{to}` instead of `{before}`", key(is));
                    found.add(place.clone(), ChangeKind::Changed, &[name], what);
                }
            }
        }
    }
    for was in old.catch.iter().filter(|was| !new.catch.iter().any(|is| key(is) == key(was))) {
        found.add(place.clone(), ChangeKind::Removed, &[name], format!("`{name}` no longer catches {}", key(was)));
    }
}

fn names(errors: &[Name]) -> String {
    match errors {
        [] => "nothing".to_owned(),
        [one] => format!("`{one}`"),
        [one, two] => format!("`{one}` and `{two}`"),
        [one, rest @ ..] => format!("`{one}` and {} more", rest.len()),
    }
}
