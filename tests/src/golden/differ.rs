//! Comparison: where do two answers differ, and how?

use std::collections::BTreeSet;

use serde_json::Value;

/// How many differences of an invocation are printed.
pub(super) const SHOWN: usize = 10;

/// How far two floats may be apart, of the larger one: sums of engines depend on their order.
const TOLERANCE: f64 = 1e-12;

/// The differences of two answers, a line each. Integers and money are compared exactly; the order of keys means nothing.
pub(super) fn values(old: &Value, new: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    compare(old, new, "", false, &mut lines);
    lines
}

fn compare(old: &Value, new: &Value, path: &str, is_money: bool, lines: &mut Vec<String>) {
    match (old, new) {
        (Value::Array(old), Value::Array(new)) => {
            for place in 0..old.len().max(new.len()) {
                part(old.get(place), new.get(place), &format!("{path}[{place}]"), is_money, lines);
            }
        }
        (Value::Object(old), Value::Object(new)) => {
            let keys = old.keys().chain(new.keys().filter(|it| !old.contains_key(*it)));
            for key in keys {
                part(old.get(key), new.get(key), &format!("{path}.{key}"), is_money || key.contains("usd"), lines);
            }
        }
        _ if is_same(old, new, is_money) => {}
        _ => lines.push(format!("{path}: {} is now {}", short(Some(old)), short(Some(new)))),
    }
}

fn part(old: Option<&Value>, new: Option<&Value>, path: &str, is_money: bool, lines: &mut Vec<String>) {
    match (old, new) {
        (Some(old), Some(new)) => compare(old, new, path, is_money, lines),
        _ => lines.push(format!("{path}: {} is now {}", short(old), short(new))),
    }
}

fn is_same(old: &Value, new: &Value, is_money: bool) -> bool {
    if is_money || !(old.is_f64() || new.is_f64()) {
        return old == new || old.is_number() && old.as_f64() == new.as_f64();
    }
    let (Some(old), Some(new)) = (old.as_f64(), new.as_f64()) else { return false };
    (old - new).abs() <= TOLERANCE * old.abs().max(new.abs())
}

/// A value in one line, cut off where it is long.
fn short(value: Option<&Value>) -> String {
    let text = value.map_or_else(|| "absent".to_owned(), Value::to_string);
    if text.chars().count() > 160 { format!("{}…", text.chars().take(160).collect::<String>()) } else { text }
}

/// The lines that only one of two texts has.
pub(super) fn lines(old: &str, new: &str) -> Vec<String> {
    let only = |these: &str, others: &str, what: &str| {
        let others: BTreeSet<&str> = others.lines().collect();
        let found = these.lines().filter(|it| !others.contains(it)).map(|it| format!("prose {what}: {it}"));
        found.collect::<Vec<_>>()
    };
    [only(old, new, "was"), only(new, old, "is now")].concat()
}
