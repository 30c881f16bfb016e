//! How does DuckDB read a text? As a tree, in JSON, without running anything.

use std::thread;

use duckdb::{Config, Connection};
use serde::Deserialize;
use serde_json::Value;

use crate::StoreError;

/// Parsers recurse; a thread with this much stack reads what DuckDB's own limits of depth let pass.
const STACK: usize = 64 << 20;
/// Levels of the tree. A sum of 200 terms is 400 deep, a subquery in a subquery 4.
const DEPTH: usize = 500;
/// Comments in comments take DuckDB a time that grows with the square of their number.
const COMMENTS: usize = 200;

/// A database in memory that has nothing in it, and only reads texts.
pub(crate) struct Parser {
    connection: Connection,
}

/// What a text is.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// Statements that read, each as its tree.
    Selects(Vec<Value>),
    /// Statements, and at least one that is not a SELECT.
    Other,
    /// Not SQL.
    Wrong(String),
}

impl Parser {
    pub(crate) fn new() -> Result<Self, StoreError> {
        let config = Config::default()
            .with("enable_external_access", "false")?
            .with("autoinstall_known_extensions", "false")?
            .with("autoload_known_extensions", "false")?
            .with("threads", "1")?
            .with("lock_configuration", "true")?;
        Ok(Self { connection: Connection::open_in_memory_with_flags(config)? })
    }

    /// A second one for another thread.
    pub(crate) fn another(&self) -> Result<Self, StoreError> {
        Ok(Self { connection: self.connection.try_clone()? })
    }

    /// Parses a text, on a thread of its own that has room for it.
    pub(crate) fn parse(&self, sql: &str) -> Result<Parsed, StoreError> {
        let own = self.another()?;
        thread::scope(|scope| {
            let parsing = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, move || own.parse_here(sql))?;
            parsing.join().unwrap_or_else(|_| Err(StoreError::NotAllowed("the statement cannot be parsed".to_owned())))
        })
    }

    fn parse_here(&self, sql: &str) -> Result<Parsed, StoreError> {
        if sql.contains('\0') {
            return Ok(Parsed::Wrong("the statement contains a zero byte".to_owned()));
        }
        if sql.matches("/*").count() > COMMENTS {
            return Ok(Parsed::Wrong("the statement has too many comments".to_owned()));
        }
        let tree: String =
            self.connection.query_row("SELECT json_serialize_sql($1::VARCHAR)::VARCHAR", [sql], |row| row.get(0))?;
        if depth(tree.as_bytes()) > DEPTH {
            return Ok(Parsed::Wrong("the statement is nested too deeply".to_owned()));
        }
        let wrong =
            |error: serde_json::Error| StoreError::NotAllowed(format!("the statement cannot be parsed: {error}"));
        let mut reader = serde_json::Deserializer::from_str(&tree);
        // The depth was measured, and the stack has room for it.
        reader.disable_recursion_limit();
        let mut tree = Value::deserialize(&mut reader).map_err(wrong)?;
        if tree["error"] == Value::Bool(false) {
            return Ok(match tree["statements"].take() {
                Value::Array(statements) => Parsed::Selects(statements),
                _ => Parsed::Other,
            });
        }
        let message = tree["error_message"].as_str().unwrap_or("it cannot be parsed").to_owned();
        Ok(if tree["error_type"] == "not implemented" { Parsed::Other } else { Parsed::Wrong(message) })
    }
}

/// How deep brackets are nested, outside of texts.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut is_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'[' | b'{' if !is_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_do_not_count_as_depth() {
        assert_eq!(depth(br#"{"a":["[[[\"[["]}"#), 2);
    }

    #[test]
    fn what_is_nested_without_end_is_refused() {
        let parser = Parser::new().expect("a parser");
        let nested = |open: &str, middle: &str, close: &str, n: usize| {
            format!("SELECT {}{middle}{}", open.repeat(n), close.repeat(n))
        };
        for n in [300, 1_000, 5_000, 20_000] {
            for (open, middle, close) in [
                ("(SELECT ", "1", ")"),
                ("abs(", "1", ")"),
                ("[", "1", "]"),
                ("{'a':", "1", "}"),
                ("CASE WHEN true THEN ", "1", " END"),
                ("EXISTS(SELECT ", "1", ")"),
                ("list_transform([1], lambda x: ", "x", ")"),
                ("", "1", "+1"),
            ] {
                let parsed = parser.parse(&nested(open, middle, close, n)).expect("an answer");
                assert!(matches!(parsed, Parsed::Wrong(_)), "{open} {n}");
            }
            // Brackets that mean nothing are no tree.
            for (open, close) in [("(", ")"), ("- ", ""), ("/*", "*/")] {
                let parsed = parser.parse(&nested(open, "1 ", close, n)).expect("an answer");
                assert!(!matches!(parsed, Parsed::Other), "{open} {n}");
            }
        }
    }
}
