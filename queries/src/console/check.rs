//! Is a statement one that only reads, and only what is ours?
//!
//! ```text
//!   text ─▶ DuckDB's parser ─▶ one SELECT ─▶ every node of its tree ─▶ relations ours or its own, functions by list
//! ```
//!
//! Nodes that are not known are refused, so that a new version of DuckDB cannot bring in what was never thought of. The check covers what
//! was written; the bodies of our views are trusted.

use serde_json::{Map, Value};

use super::explain::{explained, first_word};
use super::parser::{Parsed, Parser};
use super::{functions, relations, size};
use crate::StoreError;

/// The longest text of the console.
const LONGEST: usize = 64 << 10;
/// Functions of a lambda inside each other: what DuckDB does to plan them doubles with each.
const LAMBDAS: usize = 6;
/// Prefixes of a text that are tried when it is not one statement.
const PREFIXES: usize = 50;

/// Who wrote a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// A person, or a program on behalf of one.
    Console,
    /// This program.
    Own,
}

/// Checks statements.
pub(crate) struct Checker {
    parser: Parser,
}

impl Checker {
    pub(crate) fn new() -> Result<Self, StoreError> {
        Ok(Self { parser: Parser::new()? })
    }

    /// A second one for another thread.
    pub(crate) fn another(&self) -> Result<Self, StoreError> {
        Ok(Self { parser: self.parser.another()? })
    }

    /// The statement that may run, or why none may.
    pub(crate) fn check(&self, sql: &str, asker: Asker) -> Result<String, StoreError> {
        if asker == Asker::Console && sql.len() > LONGEST {
            return refuse(&format!("the statement is longer than {} KiB", LONGEST >> 10));
        }
        if let Some((explain, rest)) = explained(sql) {
            self.select(rest, rest, asker)?;
            return Ok(format!("{explain}{rest}"));
        }
        match asker {
            Asker::Console => self.select(sql, sql, asker)?,
            // What the text says apart from its numbers is the same.
            Asker::Own => self.select(&folded(sql), sql, asker)?,
        }
        Ok(sql.to_owned())
    }

    fn select(&self, sql: &str, whole: &str, asker: Asker) -> Result<(), StoreError> {
        match self.parser.parse(sql)? {
            Parsed::Selects(statements) => match statements.as_slice() {
                [] => refuse("the statement is empty"),
                [one] => {
                    let is_bounded = |()| if asker == Asker::Console { size::bounded(&one["node"]) } else { Ok(()) };
                    Walk::new(asker).value(&one["node"]).and_then(is_bounded).or_else(|reason| refuse(&reason))
                }
                _ => refuse("give one statement at a time"),
            },
            _ if self.is_several(whole)? => refuse("give one statement at a time"),
            Parsed::Other => refuse(&not_a_select(whole)),
            Parsed::Wrong(reason) => Err(StoreError::NotAllowed(reason)),
        }
    }

    /// Whether a whole statement stands before a `;` and something behind it.
    fn is_several(&self, sql: &str) -> Result<bool, StoreError> {
        let has_statement =
            |it: &Parsed| !matches!(it, Parsed::Wrong(_)) && !matches!(it, Parsed::Selects(all) if all.is_empty());
        for (at, _) in sql.match_indices(';').take(PREFIXES) {
            if has_statement(&self.parser.parse(&sql[..at])?) {
                return Ok(!matches!(self.parser.parse(&sql[at + 1..])?, Parsed::Selects(all) if all.is_empty()));
            }
        }
        Ok(false)
    }
}

fn refuse<T>(reason: &str) -> Result<T, StoreError> {
    Err(StoreError::NotAllowed(format!("the console only reads: {reason}")))
}

fn not_a_select(sql: &str) -> String {
    let word = first_word(sql).to_ascii_uppercase();
    if sql.to_ascii_uppercase().split(|it: char| !it.is_ascii_alphanumeric()).any(|it| it == "PIVOT") {
        return "PIVOT is not offered, since it creates a type; count with `FILTER (WHERE …)` instead".to_owned();
    }
    format!("`{word}` is not among SELECT, FROM, WITH, VALUES, DESCRIBE, SHOW, SUMMARIZE and EXPLAIN")
}

/// A text without the numbers of its long lists, each in brackets of its own: `(1,2,3)` becomes `(1)`. Neither quotes nor comments
/// begin or end in what is left out.
fn folded(sql: &str) -> String {
    let mut folded = String::with_capacity(sql.len().min(LONGEST));
    let mut rest = sql;
    while let Some(at) = rest.find('(') {
        let (before, inside) = rest.split_at(at + 1);
        folded.push_str(before);
        let end = inside.find(|it: char| !it.is_ascii_digit() && it != ',').unwrap_or(inside.len());
        let first = inside[..end].split(',').next().unwrap_or_default();
        let is_list = inside[end..].starts_with(')') && inside[..end].split(',').all(|it| !it.is_empty());
        folded.push_str(if is_list { first } else { &inside[..end] });
        rest = &inside[end..];
    }
    folded.push_str(rest);
    folded
}

/// A walk over the tree of one statement.
struct Walk {
    asker: Asker,
    /// Names of the common table expressions that can be seen here.
    ctes: Vec<String>,
    lambdas: usize,
}

type Verdict = Result<(), String>;

impl Walk {
    fn new(asker: Asker) -> Self {
        Self { asker, ctes: Vec::new(), lambdas: 0 }
    }

    fn value(&mut self, it: &Value) -> Verdict {
        match it {
            Value::Array(items) => items.iter().try_for_each(|it| self.value(it)),
            Value::Object(members) => self.object(members),
            _ => Ok(()),
        }
    }

    fn members(&mut self, object: &Map<String, Value>) -> Verdict {
        object.values().try_for_each(|it| self.value(it))
    }

    fn object(&mut self, it: &Map<String, Value>) -> Verdict {
        if let Some(class) = it.get("class") {
            return self.expression(class.as_str().unwrap_or_default(), it);
        }
        match it.get("type") {
            Some(Value::String(kind)) => self.node(kind, it),
            _ => self.members(it),
        }
    }

    /// A query, a relation, or a part of either.
    fn node(&mut self, kind: &str, it: &Map<String, Value>) -> Verdict {
        match kind {
            "SELECT_NODE" | "SET_OPERATION_NODE" | "RECURSIVE_CTE_NODE" => self.query(kind, it),
            "BASE_TABLE" => self.table(it),
            "TABLE_FUNCTION" => self.rows_of(it),
            "SHOW_REF" => self.show(it),
            "PIVOT" => self.unpivot(it),
            "SUBQUERY"
            | "JOIN"
            | "EXPRESSION_LIST"
            | "EMPTY"
            | "ORDER_MODIFIER"
            | "LIMIT_MODIFIER"
            | "LIMIT_PERCENT_MODIFIER"
            | "DISTINCT_MODIFIER"
            | "ORDER_DEFAULT"
            | "ASCENDING"
            | "DESCENDING" => self.members(it),
            _ if kind.ends_with("_TYPE_INFO") => {
                let has_place = !text(it, "catalog").is_empty() || !matches!(text(it, "schema"), "" | "main");
                if has_place {
                    Err(format!("the type `{}` is not a plain name", text(it, "name")))
                } else {
                    self.members(it)
                }
            }
            _ => Err(format!("`{kind}` is not offered")),
        }
    }

    /// A query and the names that it gives to others. What a name means is what DuckDB's binder makes of it: an expression sees those before
    /// it, and itself only in the recursive half.
    fn query(&mut self, kind: &str, it: &Map<String, Value>) -> Verdict {
        let n_known = self.ctes.len();
        let entries = it.get("cte_map").and_then(|it| it["map"].as_array()).map_or(&[][..], Vec::as_slice);
        for entry in entries {
            self.value(&entry["value"])?;
            let name = entry["key"].as_str().unwrap_or_default();
            self.name_cte(name)?;
        }
        for (key, part) in it {
            let is_recursive_half = kind == "RECURSIVE_CTE_NODE" && key == "right";
            if is_recursive_half {
                self.name_cte(text(it, "cte_name"))?;
            }
            if key != "cte_map" {
                self.value(part)?;
            }
            if is_recursive_half {
                self.ctes.pop();
            }
        }
        self.ctes.truncate(n_known);
        Ok(())
    }

    fn name_cte(&mut self, name: &str) -> Verdict {
        if name.contains(['.', '/', '\\', ':', '*', '?']) {
            return Err(format!("`{name}` looks like a file, and cannot be the name of an expression"));
        }
        self.ctes.push(name.to_lowercase());
        Ok(())
    }

    fn table(&mut self, it: &Map<String, Value>) -> Verdict {
        let (catalog, schema, name) = (text(it, "catalog_name"), text(it, "schema_name"), text(it, "table_name"));
        if it.get("at_clause").is_some_and(|it| !it.is_null()) {
            return Err("AT is not offered".to_owned());
        }
        let is_cte = catalog.is_empty()
            && (schema.is_empty() || schema.eq_ignore_ascii_case("recurring"))
            && self.ctes.contains(&name.to_lowercase());
        if !is_cte && !relations::is_own(catalog, schema, name) {
            let parts = [catalog, schema, name].into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(".");
            return Err(format!("`{parts}` is not one of the views; `SHOW TABLES` lists them"));
        }
        self.members(it)
    }

    fn rows_of(&mut self, it: &Map<String, Value>) -> Verdict {
        let empty = Map::new();
        let function = it.get("function").and_then(Value::as_object).unwrap_or(&empty);
        let name = text(function, "function_name");
        if !functions::gives_rows(name) {
            return Err(format!("the table function `{name}` is not offered"));
        }
        if name.eq_ignore_ascii_case("pragma_table_info") {
            let relation = function.get("children").and_then(|it| it[0]["value"]["value"].as_str()).unwrap_or_default();
            if !relations::is_own("", "", relation) {
                return Err(format!("`{relation}` is not one of the views"));
            }
        }
        self.members(function)
    }

    fn show(&mut self, it: &Map<String, Value>) -> Verdict {
        match text(it, "show_type") {
            "DESCRIBE" | "SUMMARY" => self.members(it),
            "SHOW_UNQUALIFIED" if text(it, "table_name") == "\"tables\"" => Ok(()),
            _ => Err("of SHOW there are `SHOW TABLES` and `SHOW view`".to_owned()),
        }
    }

    fn unpivot(&mut self, it: &Map<String, Value>) -> Verdict {
        let is_empty = |it: &Value| it.as_array().is_some_and(Vec::is_empty);
        if it.get("unpivot_names").is_none_or(is_empty) || !it.get("aggregates").is_none_or(is_empty) {
            return Err("PIVOT is not offered; count with `FILTER (WHERE …)` instead".to_owned());
        }
        self.members(it)
    }

    fn expression(&mut self, class: &str, it: &Map<String, Value>) -> Verdict {
        match class {
            "PARAMETER" if self.asker == Asker::Console => Err("there is nothing to fill a parameter with".to_owned()),
            // What was written as data is not looked into.
            "CONSTANT" | "COLUMN_REF" | "POSITIONAL_REFERENCE" | "PARAMETER" => Ok(()),
            "FUNCTION" | "WINDOW" => self.call(it),
            "LAMBDA" => {
                self.lambdas += 1;
                if self.lambdas > LAMBDAS {
                    return Err(format!("more than {LAMBDAS} lambdas are nested"));
                }
                let verdict = self.members(it);
                self.lambdas -= 1;
                verdict
            }
            "OPERATOR" | "COMPARISON" | "CONJUNCTION" | "CAST" | "CASE" | "STAR" | "SUBQUERY" | "LAMBDA_REF"
            | "BETWEEN" | "COLLATE" | "TYPE" => self.members(it),
            _ => Err(format!("`{class}` is not offered")),
        }
    }

    fn call(&mut self, it: &Map<String, Value>) -> Verdict {
        let name = text(it, "function_name").to_ascii_lowercase();
        if !functions::is_scalar(&name) {
            return Err(format!("the function `{name}` is not offered"));
        }
        if it.get("export_state") == Some(&Value::Bool(true)) {
            return Err("EXPORT_STATE is not offered".to_owned());
        }
        self.members(it)
    }
}

fn text<'a>(it: &'a Map<String, Value>, key: &str) -> &'a str {
    it.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(sql: &str) -> Result<String, String> {
        let checker = Checker::new().expect("a checker");
        checker.check(sql, Asker::Console).map_err(|error| error.to_string())
    }

    #[test]
    fn what_reads_our_views_may_run() {
        let checker = Checker::new().expect("a checker");
        for sql in [
            "SELECT ';' AS a -- ; no end\n;",
            "/* a /* b */ ; */ with t AS (SELECT 1) FROM t",
            "FROM executions",
            "TABLE executions",
            "VALUES (1), (2)",
            "DESCRIBE executions",
            "DESCRIBE SELECT 1",
            "SUMMARIZE FROM visits",
            "SHOW executions",
            "SHOW TABLES",
            "EXPLAIN SELECT 1",
            "-- plan\nexplain analyze FROM visits;",
            "SELECT $$it's; fine$$, E'\\';'",
            "FROM main.executions e JOIN visits v USING (execution_arn) POSITIONAL JOIN tags",
            "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT * FROM n",
            "SELECT COLUMNS('.*_ms') FROM visits WHERE state LIKE 'a%' QUALIFY row_number() OVER (PARTITION BY state ORDER BY id) = 1",
            "SELECT list_transform([1, 2], lambda x: x + 1), [x * 2 for x in range(9) if x > 3]",
            "SELECT i, repeat('x', 300) FROM range(1000000) t(i)",
            "FROM (UNPIVOT visits ON work_ms, wait_ms INTO NAME k VALUE v)",
            "FROM json_each('{\"a\":1}'), generate_series(1, 9) g(i), unnest([1]) u(x), pragma_table_info('visits') p",
            "SELECT count(*) FILTER (WHERE status = 'FAILED'), median(duration_ms), now(), random(), uuid() FROM executions GROUP BY ALL",
            "FROM coverage_between(NULL, '2026-01-01'::TIMESTAMP)",
            "SELECT detail->>'$.x', json_extract(detail, '$.y'), strftime(timestamp, '%Y') FROM events USING SAMPLE 10%",
            "SELECT name, stopped_at - started_at, CAST(1 AS DECIMAL(9, 2)), DATE '2026-01-01' + INTERVAL 1 DAY FROM executions ORDER BY ALL",
        ] {
            let verdict = checker.check(sql, Asker::Console);
            assert!(verdict.is_ok(), "{sql}: {}", verdict.unwrap_or_else(|it| it.to_string()));
        }
    }

    #[test]
    fn what_writes_or_reads_elsewhere_is_refused() {
        let checker = Checker::new().expect("a checker");
        for sql in [
            "",
            ";",
            "-- nothing",
            "DELETE FROM event",
            "WITH x AS (SELECT 1) DELETE FROM event",
            "ATTACH 'x'",
            "COPY event TO 'x'",
            "PRAGMA version",
            "CALL pragma_version()",
            "SET threads = 1",
            "INSTALL httpfs",
            "EXPLAIN DELETE FROM event",
            "EXPLAIN ANALYZE COPY event TO 'x'",
            "EXPLAIN SELECT 1; DROP TABLE event",
            "EXPLAIN EXPLAIN SELECT 1",
            "EXPLAIN (FORMAT json) SELECT 1",
            "PIVOT executions ON status",
            "FROM (PIVOT executions ON status IN ('FAILED') USING count(*))",
            "FROM 'x.csv'",
            "DESCRIBE 'x.csv'",
            "FROM read_csv('/etc/passwd')",
            "FROM glob('/*')",
            "SELECT (FROM read_text('/etc/passwd'))",
            "FROM query('DELETE FROM event')",
            "FROM query_table('executions')",
            "FROM enable_logging('QueryLog')",
            "FROM checkpoint()",
            "FROM histogram(executions, status)",
            "FROM duckdb_settings()",
            "FROM duckdb_settings",
            "FROM duckdb_secrets()",
            "FROM information_schema.tables",
            "FROM sqlite_master",
            "FROM pg_catalog.pg_class",
            "FROM __ducklake_metadata_stepscope.ducklake_snapshot",
            "FROM pragma_table_info('duckdb_settings')",
            "SELECT current_setting('threads')",
            "SELECT getvariable('x')",
            "SELECT getenv('HOME')",
            "SELECT nextval('s')",
            "SELECT write_log('x')",
            "SELECT json_serialize_plan('SELECT 1')",
            "SELECT sum(i EXPORT_STATE) FROM range(3) t(i)",
            "SELECT 1 LIMIT getvariable('x')",
            "SELECT * REPLACE (getvariable('x') AS state) FROM visits",
            "SELECT x.getvariable() FROM visits x",
            "SELECT sum(1) OVER (ORDER BY getvariable('x'))",
            "FROM executions AT (VERSION => 1)",
            "SELECT ?",
            "SELECT $a",
            "SELECT 'a\0'; DROP TABLE event",
            "SHOW DATABASES",
            "SHOW ALL TABLES",
            "SHOW VARIABLES",
            "SHOW TABLES FROM x",
            "WITH \"x.csv\" AS (SELECT 1) FROM \"x.csv\"",
            // A name that is given elsewhere is not given here.
            "SELECT * FROM hidden, (WITH hidden AS (SELECT 1) FROM hidden)",
            "WITH hidden AS (FROM hidden) FROM hidden",
            "WITH RECURSIVE hidden AS (FROM hidden UNION ALL FROM hidden) FROM hidden",
            "WITH a AS (FROM b), b AS (SELECT 1) FROM a",
            "SELECT repeat('x', 1000000000)",
            "SELECT range(1000000000)",
            "SELECT repeat(repeat('x', 9999), 9999)",
            "SELECT 1::other.main.type",
        ] {
            assert!(checker.check(sql, Asker::Console).is_err(), "{sql}");
        }
    }

    #[test]
    fn several_statements_are_named_as_such() {
        for sql in [
            "SELECT 1; SELECT 2",
            "SELECT $$'$$; CREATE TEMP TABLE zz AS SELECT 42 AS a; SELECT a, $$'$$ FROM zz",
            "SELECT E'\\''; CREATE TEMP TABLE zz AS SELECT 43 AS a; SELECT a, E'x\\'' FROM zz",
            "SELECT $$'$$; ROLLBACK; DELETE FROM execution; SELECT 1, $$'$$",
            "SELECT 1 /* /* */ ' */; DROP TABLE execution; SELECT '",
            "SELECT 1; nonsense",
        ] {
            let reason = verdict(sql).expect_err(sql);
            assert!(reason.contains("give one statement at a time"), "{sql}: {reason}");
        }
        assert!(verdict("PIVOT executions ON status").expect_err("refused").contains("PIVOT"));
        assert!(verdict("delete from execution").expect_err("refused").contains("`DELETE`"));
    }

    #[test]
    fn own_statements_may_be_long_and_take_parameters() {
        let checker = Checker::new().expect("a checker");
        let ids = (0..200_000).map(|it| it.to_string()).collect::<Vec<_>>().join(",");
        let sql = format!("SELECT count(*) FROM execution WHERE id IN ({ids}) AND arn = $1");
        assert_eq!(checker.check(&sql, Asker::Own).expect("it may run"), sql);
        assert!(checker.check(&format!("{sql}; DROP TABLE execution"), Asker::Own).is_err());
        assert!(checker.check("FROM enable_logging('QueryLog')", Asker::Own).is_err());
    }

    #[test]
    fn folding_leaves_quotes_alone() {
        assert_eq!(
            folded("a IN (1,2,3) AND '(4,5)' (6) (7,) f(8, 9) $a1,2$"),
            "a IN (1) AND '(4)' (6) (7,) f(8, 9) $a1,2$"
        );
    }
}
