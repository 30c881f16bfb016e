//! What changed in a state that both definitions have?

use std::collections::BTreeSet;

use serde_json::Value;

use super::ways::Between;
use super::{ChangeKind, Found, handlers, ways};
use crate::asl::State;
use crate::model::Name;

/// Characters of a value that are told.
const TOLD: usize = 60;

pub(super) fn compare(old: &State, new: &State, path: &str, inserted: &[Between<'_>], found: &mut Found<'_>) {
    ways::compare(old, new, path, inserted, found);
    handlers::compare(old, new, path, found);
    let keys: BTreeSet<&String> = old.fields.keys().chain(new.fields.keys()).collect();
    for key in keys {
        // What is inside Parallels and Maps is compared state by state, ways and handlers above.
        let is_told =
            ["Comment", "Branches", "ItemProcessor", "Iterator", "Next", "End", "Default", "Choices", "Retry", "Catch"];
        if is_told.contains(&key.as_str()) {
            continue;
        }
        let (was, is) = (old.fields.get(key), new.fields.get(key));
        if was == is {
            continue;
        }
        for (place, kind, what) in told(&new.name, key, was, is) {
            found.add(format!("{path}/{place}"), kind, &[&new.name], what);
        }
    }
}

/// A field in words, with its place below the state; of larger values each part that changed.
fn told(name: &Name, key: &str, was: Option<&Value>, is: Option<&Value>) -> Vec<(String, ChangeKind, String)> {
    let kind = match (was, is) {
        (None, _) => ChangeKind::Added,
        (_, None) => ChangeKind::Removed,
        _ => ChangeKind::Changed,
    };
    let number = |it: Option<&Value>| it.and_then(Value::as_f64);
    let one = |what: String| vec![(key.to_owned(), kind, what)];
    let said = |it: Option<&Value>, none: &str| it.map_or_else(|| none.to_owned(), short);
    match key {
        "TimeoutSeconds" => one(timeout(&format!("`{name}` times out"), "time-out", was, is)),
        "HeartbeatSeconds" => one(timeout(&format!("`{name}` misses its heartbeat"), "heartbeat", was, is)),
        "MaxConcurrency" => {
            let at_once = |it: Option<&Value>| match number(it) {
                Some(it) if it > 0.0 => format!("{it} items"),
                _ => it.filter(|it| it.is_string()).map_or_else(|| "as many items as it may".to_owned(), short),
            };
            let (was, is) = (at_once(was), at_once(is));
            if was == is { Vec::new() } else { one(format!("`{name}` runs {is} at once instead of {was}")) }
        }
        "Seconds" if was.is_none() => one(format!("`{name}` waits {} s", said(is, "?"))),
        "Seconds" if is.is_none() => Vec::new(),
        "Seconds" => one(format!("`{name}` waits {} s instead of {} s", said(is, "?"), said(was, "?"))),
        "Resource" => {
            let of = |it: Option<&Value>| it.and_then(Value::as_str).map_or_else(|| "nothing".to_owned(), called);
            one(format!("`{name}` calls {} instead of {}", of(is), of(was)))
        }
        "Type" => one(format!("`{name}` is a {} and no {} any more", said(is, "?"), said(was, "?"))
            .replace('`', "")
            .replacen(&**name, &format!("`{name}`"), 1)),
        _ => match (was, is) {
            (Some(Value::Object(_)), Some(Value::Object(_))) => {
                let mut parts = Vec::new();
                leaves(was, is, key, &mut parts);
                parts
                    .into_iter()
                    .map(|(place, was, is)| {
                        let (kind, what) = sentence(name, &place.replace('/', "."), was, is);
                        (place, kind, what)
                    })
                    .collect()
            }
            _ => one(sentence(name, key, was, is).1),
        },
    }
}

/// When something times out now, and when it did.
pub(super) fn timeout(what: &str, noun: &str, was: Option<&Value>, is: Option<&Value>) -> String {
    match (was, is) {
        (None, Some(is)) => format!("{what} after {} s; it had no {noun}", short(is)),
        (Some(was), None) => format!("{what} never; it did after {} s", short(was)),
        (was, is) => {
            let of = |it: Option<&Value>| it.map_or_else(String::new, short);
            format!("{what} after {} s instead of {} s", of(is), of(was))
        }
    }
}

fn sentence(name: &Name, place: &str, was: Option<&Value>, is: Option<&Value>) -> (ChangeKind, String) {
    match (was, is) {
        (Some(was), Some(is)) => {
            let (was, is) = apart(&whole(was), &whole(is));
            (ChangeKind::Changed, format!("{place} of `{name}` is {is} instead of {was}"))
        }
        (None, Some(is)) => (ChangeKind::Added, format!("{place} of `{name}` is new: {}", short(is))),
        (Some(was), None) => (ChangeKind::Removed, format!("{place} of `{name}` is gone (was {})", short(was))),
        (None, None) => (ChangeKind::Changed, String::new()),
    }
}

/// Two values so that where they differ is seen: of long ones, what stands around the first difference.
fn apart(was: &str, is: &str) -> (String, String) {
    let same = was.chars().zip(is.chars()).take_while(|(a, b)| a == b).count();
    let from = if same + 10 > TOLD { same.saturating_sub(TOLD / 3) } else { 0 };
    let window = |text: &str| {
        let rest: String = text.chars().skip(from).collect();
        let head = if from > 0 { "…" } else { "" };
        format!("{head}{}", cut(&rest))
    };
    (window(was), window(is))
}

type Leaf<'a> = (String, Option<&'a Value>, Option<&'a Value>);

/// The parts of two values that differ, down to where they are no objects.
fn leaves<'a>(was: Option<&'a Value>, is: Option<&'a Value>, path: &str, found: &mut Vec<Leaf<'a>>) {
    match (was, is) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for key in keys {
                leaves(before.get(key), after.get(key), &format!("{path}/{key}"), found);
            }
        }
        _ if was != is => found.push((path.to_owned(), was, is)),
        _ => {}
    }
}

/// What a resource calls: the integration, or a function's name.
pub(super) fn called(resource: &str) -> String {
    if let Some((_, function)) = resource.split_once(":function:") {
        return format!("the function `{function}`");
    }
    if let Some((_, activity)) = resource.split_once(":activity:") {
        return format!("the activity `{activity}`");
    }
    format!("`{}`", resource.split_once(":::").map_or(resource, |it| it.1))
}

/// A value on one line, cut where it is long.
fn short(value: &Value) -> String {
    cut(&whole(value))
}

fn whole(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{text}`"),
        other => other.to_string(),
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= TOLD { text.to_owned() } else { text.chars().take(TOLD - 1).chain(['…']).collect() }
}
