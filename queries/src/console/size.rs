//! How large may what a statement makes become, and how much work is one value?
//!
//! What an answer of many rows takes is bounded while it is streamed, and what a statement collects is watched while it
//! runs (`memory.rs`). In between lies what DuckDB does at once, for 2,048 rows: it neither counts as its memory nor can it
//! be interrupted. So every value is estimated before anything runs, from the leaves up: literals by their length, columns
//! by an assumption, calls by what they make of their arguments. What a query in the statement gives counts as a column of
//! the queries around it.

use serde_json::{Map, Value};

/// The most bytes of one value: 160 MB for the rows that are made at once.
const BYTES: u64 = 80_000;
/// The most steps for one value: a second or two for the rows that are made at once.
const WORK: u64 = 1_000_000;
/// What a stored value is taken to be.
const COLUMN: Cost = Cost { bytes: 1_000, items: 100, work: 1 };
/// The most that a count may be.
const COUNT: u64 = 10_000;

/// Refuses a statement that makes something too large, or takes too long for one value.
pub(super) fn bounded(statement: &Value) -> Result<(), String> {
    Sizes { column: COLUMN, recursive: false }.parts(statement).map(|_| ())
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cost {
    bytes: u64,
    /// Elements, where it is a list.
    items: u64,
    work: u64,
}

impl Cost {
    /// One of two values.
    fn or(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.max(other.bytes),
            items: self.items.max(other.items),
            work: self.work.saturating_add(other.work),
        }
    }

    /// Both of two values.
    fn and(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            items: self.items.saturating_add(other.items),
            work: self.work.saturating_add(other.work),
        }
    }

    fn widest(self, other: Self) -> Self {
        Self { work: 1, ..self.or(other) }
    }
}

struct Sizes {
    /// The widest that a column can be at this place.
    column: Cost,
    /// In the half of a recursive query that runs again and again.
    recursive: bool,
}

type Sized = Result<Cost, String>;

impl Sizes {
    /// Everything in a node that is no expression or query itself.
    fn parts(&mut self, it: &Value) -> Sized {
        match it {
            Value::Array(items) => items.iter().try_fold(Cost::default(), |cost, it| Ok(cost.or(self.parts(it)?))),
            Value::Object(members) => {
                if let Some(class) = members.get("class").and_then(Value::as_str) {
                    return self.expression(class, members);
                }
                let kind = members.get("type").and_then(Value::as_str).unwrap_or_default();
                match kind {
                    // It gives rows, which are streamed.
                    "TABLE_FUNCTION" => self.parts(&members["function"]["children"]),
                    _ if kind.ends_with("_NODE") => self.query(kind, members),
                    _ => self.members(members, &[]),
                }
            }
            _ => Ok(Cost::default()),
        }
    }

    fn members(&mut self, it: &Map<String, Value>, without: &[&str]) -> Sized {
        let own = it.iter().filter(|(key, _)| !without.contains(&key.as_str()));
        own.map(|(_, part)| part).try_fold(Cost::default(), |cost, part| Ok(cost.or(self.parts(part)?)))
    }

    /// A query: what it reads comes before what it makes of that.
    fn query(&mut self, kind: &str, it: &Map<String, Value>) -> Sized {
        const FIRST: [&str; 4] = ["cte_map", "from_table", "left", "right"];
        for key in FIRST {
            let Some(part) = it.get(key) else { continue };
            let around = self.recursive;
            self.recursive |= kind == "RECURSIVE_CTE_NODE" && key == "right";
            let cost = self.parts(part);
            self.recursive = around;
            self.column = self.column.widest(cost?);
        }
        let cost = self.members(it, &FIRST)?;
        self.column = self.column.widest(cost);
        Ok(Cost { work: 1, ..cost })
    }

    fn expression(&mut self, class: &str, it: &Map<String, Value>) -> Sized {
        let cost = match class {
            "CONSTANT" => {
                let length = it.get("value").map_or(0, |it| match &it["value"] {
                    Value::String(text) => text.len(),
                    other => other.to_string().len(),
                });
                Cost { bytes: length as u64, items: length as u64, work: 1 }
            }
            "COLUMN_REF" | "POSITIONAL_REFERENCE" | "LAMBDA_REF" | "PARAMETER" => self.column,
            "STAR" => self.column.or(self.members(it, &[])?),
            "FUNCTION" | "WINDOW" => self.call(it)?,
            // Texts of numbers and times are short.
            "CAST" => {
                let cost = self.members(it, &[])?;
                Cost { bytes: cost.bytes.max(64), ..cost }
            }
            _ => self.members(it, &[])?,
        };
        match cost {
            Cost { bytes, .. } if bytes > BYTES => Err(format!(
                "a value may become longer than {BYTES} bytes: shorten what goes in with `left(…, n)`, or make less of it"
            )),
            Cost { work, .. } if work > WORK => {
                Err("one value takes too much work: shorten what goes in with `left(…, n)`, or compare fewer"
                    .to_owned())
            }
            cost => Ok(cost),
        }
    }

    fn call(&mut self, it: &Map<String, Value>) -> Sized {
        let name = it.get("function_name").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
        let arguments = it.get("children").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let costs = arguments.iter().map(|it| self.parts(it)).collect::<Result<Vec<Cost>, _>>()?;
        let rest = self.members(it, &["children"])?;
        let made = made(&name, arguments, &costs)?;
        if self.recursive {
            self.grows_slowly(&name, arguments, made)?;
        }
        Ok(Cost { work: made.work.saturating_add(rest.work).saturating_add(made.bytes / 8), ..made })
    }

    /// What is made of its own result again and again may become longer by what is written there, and not by itself.
    fn grows_slowly(&mut self, name: &str, arguments: &[Value], made: Cost) -> Result<(), String> {
        if self.column.bytes > COLUMN.bytes * 4 {
            return Ok(());
        }
        let mut twice = Sizes { column: Cost { bytes: self.column.bytes * 2, ..self.column }, recursive: false };
        let costs = arguments.iter().map(|it| twice.parts(it)).collect::<Result<Vec<Cost>, _>>()?;
        let grown = self::made(name, arguments, &costs)?.bytes.saturating_sub(made.bytes);
        if grown > self.column.bytes {
            return Err(format!("in the recursive half `{name}` may be given one column, so that nothing doubles"));
        }
        Ok(())
    }
}

/// What a call makes of its arguments.
fn made(name: &str, arguments: &[Value], costs: &[Cost]) -> Sized {
    let of = |at: usize| costs.get(at).copied().unwrap_or_default();
    let all = costs.iter().copied().fold(Cost::default(), Cost::and);
    let wider = |by: u64| Cost { bytes: all.bytes.saturating_mul(by), ..all };
    let counted = |at: usize| count(name, arguments.get(at));
    Ok(match name {
        "list_reduce" | "array_reduce" | "reduce" => {
            return Err(format!("`{name}` is not offered: what it makes may double with each element"));
        }
        "repeat" => Cost { bytes: of(0).bytes.saturating_mul(counted(1)?), ..all },
        "lpad" | "rpad" => Cost { bytes: of(0).bytes.max(counted(1)?.saturating_mul(4)), ..all },
        "bitstring" => Cost { bytes: counted(1)?, ..all },
        "list_resize" | "array_resize" => {
            let n = counted(1)?;
            Cost { bytes: of(0).bytes.saturating_add(of(2).bytes.max(8).saturating_mul(n)), items: n, ..all }
        }
        "range" | "generate_series" => {
            let most = arguments.iter().map(bound).try_fold(1, |most, it| Some(it?.max(most)));
            let n = most.filter(|it| *it <= COUNT).ok_or_else(|| {
                format!(
                    "`{name}` as a value takes whole numbers up to {COUNT}; `FROM {name}(…)` gives rows without a limit"
                )
            })?;
            Cost { bytes: 8 * n, items: n, work: all.work.saturating_add(n) }
        }
        "format" | "printf" => {
            let width = width(name, arguments)?;
            Cost { bytes: all.bytes.saturating_add(width), ..all }
        }
        "left" | "right" | "substr" | "substring" => {
            let n = arguments.last().and_then(bound).map_or(u64::MAX, |it| it.saturating_mul(4));
            Cost { bytes: of(0).bytes.min(n), ..all }
        }
        "replace" | "regexp_replace" => {
            // Each place that is found is at least as long as a written text.
            let found = arguments.get(1).and_then(|it| it["value"]["value"].as_str()).map_or(1, |it| it.len().max(1));
            let found = if name == "replace" { found as u64 } else { 1 };
            let by = of(2).bytes.saturating_mul(of(0).bytes / found + 1);
            Cost { bytes: of(0).bytes.saturating_add(by), ..all }
        }
        "bin" | "to_binary" => wider(8),
        "translate" => wider(4),
        "hex" | "to_hex" | "url_encode" | "to_base64" | "base64" => wider(3),
        "to_json" | "row_to_json" | "array_to_json" | "json_quote" | "json_object" | "json_array" => wider(2),
        "string_split"
        | "str_split"
        | "string_to_array"
        | "split"
        | "str_split_regex"
        | "string_split_regex"
        | "regexp_split_to_array"
        | "regexp_extract_all" => {
            let n = of(0).bytes;
            Cost { bytes: n.saturating_mul(16), items: n, work: all.work.saturating_add(n) }
        }
        "array_to_string"
        | "array_to_string_comma_default"
        | "list_string_agg"
        | "list_aggr"
        | "list_aggregate"
        | "array_aggr"
        | "array_aggregate"
        | "aggregate" => {
            let between = of(costs.len().saturating_sub(1)).bytes.saturating_mul(of(0).items);
            Cost { bytes: of(0).bytes.saturating_add(between), items: of(0).items, ..all }
        }
        "list_transform" | "list_apply" | "apply" | "array_transform" | "array_apply" | "list_filter" | "filter"
        | "array_filter" => {
            let (list, body) = (of(0), of(1));
            let work = list.work.saturating_add(list.items.saturating_mul(body.work.max(1)));
            let is_filter = name.ends_with("filter");
            let bytes = if is_filter { list.bytes } else { list.items.saturating_mul(body.bytes.max(8)) };
            Cost { bytes, items: list.items, work }
        }
        "levenshtein"
        | "damerau_levenshtein"
        | "editdist3"
        | "jaro_similarity"
        | "jaro_winkler_similarity"
        | "jaccard" => {
            Cost { bytes: 8, items: 0, work: all.work.saturating_add(of(0).bytes.saturating_mul(of(1).bytes)) }
        }
        "list_sort" | "array_sort" | "list_reverse_sort" | "array_reverse_sort" | "list_grade_up"
        | "array_grade_up" | "grade_up" => Cost { work: all.work.saturating_add(all.items.saturating_mul(16)), ..all },
        "from_json" | "from_json_strict" | "json_transform" | "json_transform_strict"
            if arguments.get(1).is_none_or(|it| it["class"] != "CONSTANT") =>
        {
            return Err(format!("the structure of `{name}` has to be written out"));
        }
        "list_value" | "list_pack" | "array_value" => Cost { items: costs.len() as u64, ..all },
        // Texts and lists that are put together, and whatever gives back a part of its arguments.
        _ => all,
    })
}

/// A count that is written out.
fn count(name: &str, argument: Option<&Value>) -> Result<u64, String> {
    let counted = argument.and_then(bound).filter(|it| *it <= COUNT);
    counted
        .ok_or_else(|| format!("`{name}` takes a count up to {COUNT}, written as a number or as `least(…, {COUNT})`"))
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
fn width(name: &str, arguments: &[Value]) -> Result<u64, String> {
    let wrong = || format!("the format of `{name}` has to be a text with widths below {COUNT}");
    let format = arguments.first().and_then(|it| it["value"]["value"].as_str()).ok_or_else(wrong)?;
    let has_star = name == "printf" && format.contains('*');
    // `{:{}}` takes its width from an argument.
    let is_nested = name == "format" && format.split('{').skip(1).any(|it| it.starts_with(':') && !it.contains('}'));
    let widths = format.split(|it: char| !it.is_ascii_digit()).filter(|it| !it.is_empty());
    let widths = widths.map(|it| it.parse::<u64>().ok().filter(|it| *it < COUNT).ok_or_else(wrong));
    let sum = widths.sum::<Result<u64, String>>()?;
    if has_star || is_nested { Err(wrong()) } else { Ok(sum) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::parser::{Parsed, Parser};

    fn verdict(sql: &str) -> Result<(), String> {
        match Parser::new().expect("a parser").parse(sql).expect("it parses") {
            Parsed::Selects(statements) => bounded(&statements[0]["node"]),
            _ => panic!("{sql} is no SELECT"),
        }
    }

    #[test]
    fn what_becomes_too_large_is_refused() {
        for sql in [
            "SELECT repeat('x', 1000000000)",
            "SELECT repeat('x', state_count) FROM executions",
            "SELECT repeat(repeat('x', 9999), 9999)",
            "SELECT replace(repeat('x', 10000) || i, 'x', repeat('y', 10000)) FROM range(9) t(i)",
            "SELECT list_reduce(list_transform(range(28), lambda x: 'xxxx'), lambda a, b: a || a)",
            "SELECT replace(y, 'x', y) FROM (SELECT repeat('x', 10000) AS y)",
            "WITH a AS (SELECT repeat('x', 10000) AS y), b AS (SELECT concat(y, y, y, y, y, y, y, y) AS z FROM a) SELECT z || z FROM b",
            "SELECT concat(y, y, y, y, y, y, y, y, y) FROM (SELECT repeat(name, 10) AS y FROM executions)",
            "WITH RECURSIVE t AS (SELECT 'x' AS a UNION ALL SELECT a || a FROM t) SELECT length(a) FROM t",
            "WITH RECURSIVE t AS (SELECT 'x' AS a UNION ALL SELECT replace(a, 'x', a) FROM t) SELECT length(a) FROM t",
            "WITH RECURSIVE t AS (SELECT 'x' AS a UNION ALL SELECT repeat(a, 2) FROM t) SELECT length(a) FROM t",
            "WITH RECURSIVE t AS (SELECT [1] AS a UNION ALL SELECT list_concat(a, a) FROM t) SELECT len(a) FROM t",
            "SELECT list_transform(range(10000), lambda x: range(10000))",
            "SELECT array_to_string(list_transform(range(10000), lambda x: repeat('y', 100)), '')",
            "SELECT range(0, 1000000)",
            "SELECT regexp_replace(repeat('x', 9000), 'x', repeat('y', 9000), 'g')",
            "SELECT lpad('x', 1000000)",
            "SELECT from_json('[1]', repeat('[', 5000) || '\"INT\"' || repeat(']', 5000))",
            "SELECT [[[z for z in range(1000)] for y in range(1000)] for x in range(1000)]",
            "SELECT printf('%1000000000d', 1)",
            "SELECT printf('%*d', 1, 1)",
            "SELECT format('{:{}}', 1, 1)",
        ] {
            assert!(verdict(sql).is_err(), "{sql}");
        }
    }

    #[test]
    fn what_takes_too_long_for_one_value_is_refused() {
        for sql in [
            "SELECT levenshtein(repeat('a', 9999) || i, repeat('b', 9999)) FROM range(200) t(i)",
            "SELECT jaro_similarity(repeat('a', 9999), repeat('b', 9999))",
            "SELECT list_sum(list_transform(range(10000), lambda x: list_sum(range(10000))))",
        ] {
            assert!(verdict(sql).is_err(), "{sql}");
        }
    }

    #[test]
    fn what_people_ask_is_not() {
        for sql in [
            "SELECT state, count(*), string_agg(DISTINCT error, ', ') FROM visits GROUP BY ALL",
            "SELECT repeat('█', least(count(*), 300)::BIGINT) FROM executions GROUP BY machine",
            "SELECT i, repeat('x', 300) FROM range(1000000) t(i)",
            "SELECT list_transform([1, 2], lambda x: x + 1), [x * 2 for x in range(9) if x > 3]",
            "SELECT replace(replace(error, 'States.', ''), '_', ' ') FROM executions",
            "SELECT regexp_replace(cause, '[0-9]+', '#', 'g') FROM executions",
            "SELECT levenshtein(left(error, 200), 'States.Timeout') FROM executions",
            "SELECT lpad(name, 40), rpad(machine, 30, '.') FROM executions",
            "SELECT json_extract_string(body, '$.a.b[0]') FROM payloads",
            "SELECT CASE WHEN status = 'FAILED' THEN error WHEN status = 'ABORTED' THEN cause ELSE name END FROM executions",
            "SELECT array_to_string(list(state ORDER BY entered_at), ' > ') FROM visits GROUP BY execution_arn",
            "SELECT string_split(execution_arn, ':')[7] FROM executions",
            "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 10) SELECT * FROM t",
            "WITH RECURSIVE t AS (SELECT 'a' AS p, 1 AS n UNION ALL SELECT p || '/', n + 1 FROM t WHERE n < 9) SELECT * FROM t",
            "SELECT printf('%6.2f %s', duration_ms, name), format('{:>10}', name) FROM executions",
        ] {
            assert_eq!(verdict(sql), Ok(()), "{sql}");
        }
    }
}
