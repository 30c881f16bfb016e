//! Does a call make something large out of something small?
//!
//! What an answer of many rows takes is bounded while it is streamed. A single value is made whole, for 2,048 rows at once and outside of
//! what DuckDB counts as its memory, so the calls that make one of any size say how large it may become.

use serde_json::Value;

/// The most by which calls that lie in each other may lengthen a value.
const MOST: u64 = 10_000;

/// By how much a call lengthens what it is given; `Err` where that is not said or is too much.
pub(super) fn growth(name: &str, arguments: &[Value]) -> Result<u64, String> {
    let count = |at: usize| arguments.get(at).and_then(bound);
    let by = match name {
        "repeat" | "lpad" | "rpad" | "list_resize" | "array_resize" | "bitstring" => count(1),
        "range" | "generate_series" => arguments.iter().map(bound).try_fold(1, |most, it| Some(it?.max(most))),
        "format" | "printf" => return widest(name, arguments),
        _ => return Ok(1),
    };
    match by {
        Some(by) if by <= MOST => Ok(by.max(1)),
        _ if matches!(name, "range" | "generate_series") => Err(format!(
            "`{name}` as a value takes whole numbers up to {MOST}; `FROM {name}(…)` gives rows without a limit"
        )),
        _ => Err(format!("`{name}` takes a count up to {MOST}, written as a number or as `least(…, {MOST})`")),
    }
}

/// Whether calls in calls stay within the limit.
pub(super) fn within(product: u64) -> Result<(), String> {
    if product <= MOST { Ok(()) } else { Err(format!("calls in each other lengthen a value more than {MOST} times")) }
}

/// The most that a whole number can be, where its expression says so.
fn bound(expression: &Value) -> Option<u64> {
    match expression["class"].as_str()? {
        "CONSTANT" => {
            let value = &expression["value"]["value"];
            value.as_u64().or_else(|| value.as_i64().map(i64::unsigned_abs))
        }
        "CAST" => bound(&expression["child"]),
        "FUNCTION" => {
            let children = expression["children"].as_array()?;
            match expression["function_name"].as_str()? {
                "least" => children.iter().filter_map(bound).min(),
                "-" if children.len() == 1 => bound(&children[0]),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Widths in a format: it has to be written out, and its numbers to be small.
fn widest(name: &str, arguments: &[Value]) -> Result<u64, String> {
    let wrong = || format!("the format of `{name}` has to be a text with widths below {MOST}");
    let format = arguments.first().and_then(|it| it["value"]["value"].as_str()).ok_or_else(wrong)?;
    let has_star = name == "printf" && format.contains('*');
    // `{:{}}` takes its width from an argument.
    let is_nested = name == "format" && format.split('{').skip(1).any(|it| it.starts_with(':') && !it.contains('}'));
    let is_wide = format.split(|it: char| !it.is_ascii_digit()).any(|it| it.len() > 4);
    if has_star || is_nested || is_wide { Err(wrong()) } else { Ok(1) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn number(it: i64) -> Value {
        json!({"class": "CONSTANT", "value": {"value": it}})
    }

    #[test]
    fn counts_are_bounded() {
        let text = json!({"class": "CONSTANT", "value": {"value": "x"}});
        assert_eq!(growth("repeat", &[text.clone(), number(300)]), Ok(300));
        assert!(growth("repeat", &[text.clone(), number(1_000_000_000)]).is_err());
        let column = json!({"class": "COLUMN_REF", "column_names": ["n"]});
        assert!(growth("repeat", &[text.clone(), column.clone()]).is_err());
        let least = json!({"class": "FUNCTION", "function_name": "least", "children": [column, number(40)]});
        assert_eq!(growth("repeat", &[text, least]), Ok(40));
        assert!(growth("range", &[number(0), number(1_000_000)]).is_err());
        assert_eq!(growth("lower", &[]), Ok(1));
    }

    #[test]
    fn widths_are_bounded() {
        let text = |it: &str| [json!({"class": "CONSTANT", "value": {"value": it}})];
        assert!(growth("printf", &text("%1000000000d")).is_err());
        assert!(growth("printf", &text("%*d")).is_err());
        assert!(growth("format", &text("{:{}}")).is_err());
        assert!(growth("format", &text("{:016x} {}")).is_ok());
    }
}
