//! Printing: an answer as a file in which a change is one line.

use serde_json::Value;

/// What fits is one line.
const WIDTH: usize = 120;

/// The text of a golden file.
pub(super) fn document(value: &Value) -> String {
    let mut text = String::new();
    put(value, 0, 0, &mut text);
    text.push('\n');
    text
}

/// Appends a value whose key took so many columns.
fn put(value: &Value, depth: usize, key: usize, text: &mut String) {
    let line = value.to_string();
    let is_whole = depth > 1 && depth + key + line.chars().count() <= WIDTH;
    match value {
        Value::Array(all) if !all.is_empty() && !is_whole => {
            put_all(all.iter().map(|it| (String::new(), it)), ['[', ']'], depth, text);
        }
        Value::Object(all) if !all.is_empty() && !is_whole => {
            let all = all.iter().map(|(key, it)| (format!("{}: ", Value::from(key.as_str())), it));
            put_all(all, ['{', '}'], depth, text);
        }
        _ => text.push_str(&line),
    }
}

fn put_all<'a>(
    all: impl Iterator<Item = (String, &'a Value)>,
    [open, close]: [char; 2],
    depth: usize,
    text: &mut String,
) {
    text.push(open);
    for (n, (key, value)) in all.enumerate() {
        text.push_str(if n == 0 { "\n" } else { ",\n" });
        text.push_str(&" ".repeat(depth + 1));
        text.push_str(&key);
        put(value, depth + 1, key.chars().count(), text);
    }
    text.push('\n');
    text.push_str(&" ".repeat(depth));
    text.push(close);
}
