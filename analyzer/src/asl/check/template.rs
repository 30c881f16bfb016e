//! Are the paths and calls of payload templates ones?

use serde_json::Value;

use super::Problem;

/// In a payload template, what a key ending in `.$` has is a path or the call of an intrinsic function.
pub(super) fn check(value: &Value, path: &str, found: &mut Vec<Problem>) {
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields {
                let here = format!("{path}/{key}");
                if !key.ends_with(".$") {
                    check(inner, &here, found);
                } else if !inner.as_str().is_some_and(is_path_or_call) {
                    found.push(Problem {
                        rule: "invalid",
                        path: here,
                        message: "neither a path nor the call of an intrinsic function".to_owned(),
                    });
                }
            }
        }
        Value::Array(items) => {
            for (index, it) in items.iter().enumerate() {
                check(it, &format!("{path}[{index}]"), found);
            }
        }
        _ => {}
    }
}

fn is_path_or_call(text: &str) -> bool {
    const INTRINSICS: [&str; 18] = [
        "Format",
        "StringToJson",
        "JsonToString",
        "Array",
        "ArrayPartition",
        "ArrayContains",
        "ArrayRange",
        "ArrayGetItem",
        "ArrayLength",
        "ArrayUnique",
        "Base64Encode",
        "Base64Decode",
        "Hash",
        "JsonMerge",
        "MathRandom",
        "MathAdd",
        "StringSplit",
        "UUID",
    ];
    let text = text.trim();
    if let Some(call) = text.strip_prefix("States.") {
        return call.split_once('(').is_some_and(|(name, _)| INTRINSICS.contains(&name.trim())) && is_balanced(call);
    }
    match text.strip_prefix("$$") {
        Some(rest) => rest.is_empty() || rest.starts_with(['.', '[']),
        // A path, a variable, or a text that deployment substitutes.
        None => text.starts_with('$') || text.contains("${") || (text.starts_with('%') && text.ends_with('%')),
    }
}

/// Whether every bracket of a call is closed, outside of its texts.
fn is_balanced(call: &str) -> bool {
    let (mut depth, mut is_quoted, mut is_escaped) = (0_i32, false, false);
    for it in call.chars() {
        match it {
            '\'' if !is_escaped => is_quoted = !is_quoted,
            '(' if !is_quoted => depth += 1,
            ')' if !is_quoted => depth -= 1,
            _ => {}
        }
        is_escaped = it == '\\' && !is_escaped;
    }
    depth == 0 && !is_quoted
}
