//! Thousands of statements, most of them hostile, that must not change anything: rows, settings, files, environment.
//!
//! `STEPSCOPE_CONSOLE_STATEMENTS` says how many for each kind of database, `STEPSCOPE_CONSOLE_SEED` which; both are printed.

#![expect(clippy::print_stdout, reason = "how many statements were tried is put on record")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use duckdb::Connection;

use crate::lake::Lake;
use crate::{Ingest, Limits, Reader, Store, StoreError};

const STATEMENTS: u64 = 500;
const SEED: u64 = 20_261_130;
/// Statements between two looks at what is there.
const BETWEEN: u64 = 250;
const LIMITS: Limits = Limits { rows: 50, bytes: 1 << 20, time: Duration::from_secs(2) };

/// What changes something; `{dir}` is a folder next to the database.
const WRITERS: [&str; 48] = [
    "DELETE FROM execution",
    "DROP TABLE execution CASCADE",
    "DROP VIEW executions",
    "TRUNCATE execution",
    "UPDATE execution SET status = 2",
    "INSERT INTO quarantined (source, line, reason) VALUES ('a', 1, 'b')",
    "INSERT INTO execution SELECT * FROM execution",
    "MERGE INTO execution USING (SELECT 1 AS id) n ON execution.id = n.id WHEN MATCHED THEN DELETE",
    "CREATE TABLE zz AS SELECT 1",
    "CREATE TEMP TABLE zz AS SELECT 1",
    "CREATE OR REPLACE VIEW executions AS SELECT 1",
    "CREATE TEMP VIEW zz AS SELECT 1",
    "CREATE TEMP MACRO zz(a) AS a",
    "CREATE SCHEMA zz",
    "CREATE SEQUENCE zz",
    "CREATE TYPE zz AS ENUM ('a')",
    "CREATE SECRET zz (TYPE s3)",
    "CREATE INDEX zz ON execution (id)",
    "ALTER TABLE execution ADD COLUMN zz INTEGER",
    "COMMENT ON TABLE execution IS 'zz'",
    "ROLLBACK",
    "COMMIT",
    "BEGIN",
    "SET threads = 1",
    "SET GLOBAL memory_limit = '1GB'",
    "SET SESSION search_path = 'main'",
    "SET VARIABLE zz = 1",
    "RESET threads",
    "SET schema = 'main'",
    "PRAGMA enable_profiling",
    "PRAGMA threads = 1",
    "PRAGMA force_checkpoint",
    "PRAGMA add_parquet_key('a', '0123456789112345')",
    "COPY (SELECT 1) TO '{dir}/evil.csv'",
    "COPY execution TO '{dir}/evil.parquet' (FORMAT parquet)",
    "COPY execution FROM '{dir}/evil.csv'",
    "EXPORT DATABASE '{dir}/evil'",
    "IMPORT DATABASE '{dir}/evil'",
    "ATTACH '{dir}/evil.db' AS zz",
    "DETACH stepscope",
    "USE memory",
    "INSTALL httpfs",
    "LOAD httpfs",
    "CALL enable_logging('QueryLog', storage_path = '{dir}/evil')",
    "CALL force_checkpoint()",
    "CHECKPOINT",
    "VACUUM ANALYZE",
    "PREPARE zz AS DELETE FROM execution",
];

/// How it is hidden. All of them have to be refused, whatever is put in.
const DISGUISES: [&str; 32] = [
    "{w}",
    "{w};",
    " \n\t{w} -- SELECT 1",
    "/* SELECT */ {w}",
    "/* /* */ SELECT 1; */ {w}",
    "SELECT 1; {w}",
    "{w}; SELECT 1",
    "SELECT 1;;{w};",
    "SELECT $$'$$; {w}; SELECT $$'$$",
    "SELECT $a$ $$ $a$; {w}; SELECT $a$ $$ $a$",
    "SELECT E'\\''; {w}; SELECT E'x\\''",
    "SELECT e'\\\\\\''; {w}; SELECT ''''",
    "SELECT 1 /* /* */ ' */; {w}; SELECT '",
    "SELECT \"\"\"\", 1; {w}",
    "SELECT 1 -- '\n; {w} --'",
    "SELECT 1 --\r; {w}",
    "SELECT '\0'; {w}",
    "\u{feff}SELECT 1; {w}",
    "SELECT\u{a0}1\u{2003};\u{a0}{w}",
    "EXPLAIN {w}",
    "EXPLAIN ANALYZE {w}",
    "EXPLAIN SELECT 1; {w}",
    "explain /* */ analyze -- x\n {w}",
    "WITH x AS ({w}) SELECT 1",
    "WITH x AS ({w} RETURNING *) FROM x",
    "SELECT * FROM ({w})",
    "SELECT ({w})",
    "FROM query('{w2}')",
    "FROM json_execute_serialized_sql(json_serialize_sql('{w2}'))",
    "PREPARE p AS {w}",
    "FROM executions UNION ALL {w}",
    "COPY ({w}) TO '{dir}/evil.csv'",
];

/// Where a call `{f}` is put as a value.
const VALUES: [&str; 20] = [
    "SELECT {f}",
    "SELECT 1 WHERE {f} IS NOT NULL",
    "SELECT count(*) FILTER (WHERE {f} IS NULL) FROM machines",
    "FROM visits ORDER BY {f}",
    "FROM visits LIMIT {f}",
    "SELECT * REPLACE ({f} AS state) FROM visits",
    "SELECT list_transform([1], lambda x: {f})",
    "SELECT [{f} for x in [1, 2]]",
    "WITH a AS (SELECT {f} AS b) SELECT * FROM a",
    "SELECT (SELECT {f})",
    "SELECT CASE WHEN true THEN {f} ELSE NULL END",
    "SELECT sum(1) OVER (PARTITION BY {f}) FROM visits",
    "SELECT {f} OVER () FROM visits",
    "SELECT 1 GROUP BY {f}",
    "SELECT TRY({f})",
    "SELECT {f}::VARCHAR",
    "SELECT 1 UNION ALL SELECT {f}",
    "VALUES ({f})",
    "SELECT unnest([{f}])",
    "EXPLAIN ANALYZE SELECT {f}",
];

/// Where it is put as rows.
const ROWS: [&str; 8] = [
    "FROM {f}",
    "SELECT * FROM {f} AS t",
    "SELECT (FROM {f})",
    "SELECT 1 WHERE EXISTS (FROM {f})",
    "FROM visits, LATERAL (FROM {f})",
    "DESCRIBE FROM {f}",
    "SUMMARIZE FROM {f}",
    "WITH a AS MATERIALIZED (FROM {f}) FROM a",
];

const ARGUMENTS: [&str; 20] = [
    "1",
    "NULL",
    "'a'",
    "-1",
    "0.5",
    "true",
    "[1, 2]",
    "{'a': 1}",
    "'QueryLog'",
    "'{dir}/evil'",
    "'/etc/passwd'",
    "'threads'",
    "'execution'",
    "'DELETE FROM execution'",
    "TIMESTAMP '2026-01-01'",
    "INTERVAL 1 DAY",
    "'\\xff\\x00'::BLOB",
    "storage_path = '{dir}/evil'",
    "lambda x: x",
    "state",
];

/// What reads, and has to be let through.
const READERS: [&str; 10] = [
    "FROM {v}",
    "SELECT count(*) FROM {v}",
    "DESCRIBE {v}",
    "SUMMARIZE {v}",
    "SHOW {v}",
    "EXPLAIN FROM {v}",
    "SELECT * FROM {v} a POSITIONAL JOIN {v} b LIMIT 5",
    "WITH a AS (FROM {v}) SELECT count(*), ';' FROM a -- ; DELETE FROM execution",
    "SELECT COLUMNS(c -> c LIKE '%a%') FROM {v} USING SAMPLE 3 ROWS",
    "FROM {v} WHERE 'DROP TABLE execution; --' <> $$; DELETE$$",
];
const VIEWS: [&str; 12] = [
    "machines",
    "executions",
    "events",
    "visits",
    "attempts",
    "critical_path",
    "coverage",
    "prices",
    "gaps",
    "marks",
    "execution",
    "main.executions",
];

/// Numbers by seed (xorshift).
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (below as u64)).unwrap_or(0)
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.next(of.len())]
    }
}

/// What is to become of a statement.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Runs,
    IsRefused,
    Either,
}

/// Names that DuckDB knows.
struct Names {
    functions: Vec<String>,
    settings: Vec<String>,
}

impl Names {
    fn of(connection: &Connection) -> Self {
        let names = |sql: &str| {
            let mut statement = connection.prepare(sql).expect("a statement");
            let rows = statement.query_map([], |row| row.get(0)).expect("rows");
            rows.collect::<Result<Vec<String>, _>>().expect("names")
        };
        Self {
            functions: names("SELECT DISTINCT function_name FROM duckdb_functions() ORDER BY 1"),
            settings: names("SELECT DISTINCT name FROM duckdb_settings() ORDER BY 1"),
        }
    }

    /// Every function as a value and as rows first, then whatever the dice say.
    fn statement(&self, number: u64, dice: &mut Dice, folder: &Path) -> (String, Fate) {
        let number = usize::try_from(number).unwrap_or(0);
        let (sql, fate) = match number.checked_div(self.functions.len()) {
            Some(0) => (VALUES[0].replace("{f}", &call(&self.functions[number], dice)), Fate::Either),
            Some(1) => {
                (ROWS[0].replace("{f}", &call(&self.functions[number % self.functions.len()], dice)), Fate::Either)
            }
            _ => self.any(dice),
        };
        (sql.replace("{dir}", &folder.to_string_lossy()), fate)
    }

    fn any(&self, dice: &mut Dice) -> (String, Fate) {
        let function = self.functions[dice.next(self.functions.len())].clone();
        let setting = self.settings[dice.next(self.settings.len())].clone();
        match dice.next(10) {
            0..=3 => {
                let writer = dice.pick(&WRITERS);
                let hidden = dice.pick(&DISGUISES).replace("{w2}", &writer.replace('\'', "''")).replace("{w}", writer);
                (hidden, Fate::IsRefused)
            }
            4 | 5 => (dice.pick(&VALUES).replace("{f}", &call(&function, dice)), Fate::Either),
            6 => (dice.pick(&ROWS).replace("{f}", &call(&function, dice)), Fate::Either),
            7 => (dice.pick(&["CALL {f}", "PRAGMA {f}"]).replace("{f}", &call(&function, dice)), Fate::IsRefused),
            8 => {
                let forms = [
                    "SET {s} = 1",
                    "PRAGMA {s} = 'a'",
                    "RESET {s}",
                    "SET GLOBAL {s} = true",
                    "SELECT current_setting('{s}')",
                ];
                (dice.pick(&forms).replace("{s}", &setting), Fate::IsRefused)
            }
            _ => {
                let view = dice.pick(&VIEWS);
                (dice.pick(&READERS).replace("{v}", view), Fate::Runs)
            }
        }
    }
}

fn call(function: &str, dice: &mut Dice) -> String {
    let arguments: Vec<&str> = (0..dice.next(4)).map(|_| dice.pick(&ARGUMENTS)).collect();
    let name = if function.starts_with(|it: char| it.is_alphabetic() || it == '_') {
        function.to_owned()
    } else {
        format!("\"{function}\"")
    };
    let prefix = dice.pick(&["", "", "", "main.", "system.main.", "'a'."]);
    format!("{prefix}{name}({})", arguments.join(", "))
}

/// Everything that must stay as it is.
fn state(connection: &Connection, folder: &Path) -> BTreeMap<String, String> {
    let mut state = BTreeMap::new();
    let text = |sql: &str| {
        connection.query_row(sql, [], |row| row.get::<_, Option<String>>(0)).expect("a text").unwrap_or_default()
    };
    for (what, sql) in [
        ("settings", "SELECT string_agg(name || '=' || coalesce(value, ''), ',' ORDER BY name) FROM duckdb_settings()"),
        ("databases", "SELECT string_agg(database_name, ',' ORDER BY database_name) FROM duckdb_databases()"),
        (
            "tables",
            "SELECT string_agg(database_name || table_name, ',' ORDER BY database_name, table_name) FROM duckdb_tables() WHERE database_name NOT LIKE '\\_\\_%' ESCAPE '\\'",
        ),
        ("columns", "SELECT count(*)::VARCHAR FROM duckdb_columns() WHERE database_name = current_database()"),
        (
            "views",
            "SELECT string_agg(view_name || sql, ',' ORDER BY database_name, view_name) FROM duckdb_views() WHERE NOT internal",
        ),
        ("functions", "SELECT count(*)::VARCHAR FROM duckdb_functions()"),
        ("variables", "SELECT count(*)::VARCHAR FROM duckdb_variables()"),
        ("sequences", "SELECT count(*)::VARCHAR FROM duckdb_sequences()"),
        ("types", "SELECT count(*)::VARCHAR FROM duckdb_types()"),
        ("executions", "SELECT string_agg(e::VARCHAR, ',' ORDER BY id) FROM execution e"),
        ("visits", "SELECT sum(hash(v::VARCHAR))::VARCHAR FROM visit v"),
        ("histories", "SELECT sum(hash(h::VARCHAR))::VARCHAR FROM history h"),
        ("quarantined", "SELECT count(*)::VARCHAR FROM quarantined"),
    ] {
        state.insert(what.to_owned(), text(sql));
    }
    state.insert("environment".to_owned(), format!("{:?}", env::vars_os().collect::<BTreeMap<_, _>>()));
    for root in [folder, Path::new(".")] {
        for file in files(root) {
            let bytes = fs::read(&file).map(|it| analyzer::assembly::hash_of(&String::from_utf8_lossy(&it)));
            state.insert(file.to_string_lossy().into_owned(), format!("{:?}", bytes.ok()));
        }
    }
    state
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|it| it.path());
    // Sources, and where DuckDB spills what does not fit into memory.
    let is_sound = |it: &PathBuf| {
        let name = it.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
        !matches!(name.as_str(), "src" | "sql" | "proptest-regressions") && !name.contains(".tmp")
    };
    entries.filter(is_sound).flat_map(|it| if it.is_dir() { files(&it) } else { vec![it] }).collect()
}

fn number(variable: &str, usual: u64) -> u64 {
    env::var(variable).ok().and_then(|it| it.parse().ok()).unwrap_or(usual)
}

/// Asks a reader all of it, and compares.
fn ask_everything(kind: &str, reader: &Reader, watching: &Connection, folder: &Path) {
    let (n_statements, seed) =
        (number("STEPSCOPE_CONSOLE_STATEMENTS", STATEMENTS), number("STEPSCOPE_CONSOLE_SEED", SEED));
    let names = Names::of(watching);
    let mut dice = Dice(seed.max(1));
    let before = state(watching, folder);
    let (mut n_run, mut n_refused, mut n_failed) = (0_u64, 0_u64, 0_u64);
    let mut recent = String::new();
    // Each function once as a value and once as rows only where there is time for it.
    let first = if n_statements > 4 * names.functions.len() as u64 { 0 } else { 2 * names.functions.len() as u64 };
    for number in 0..n_statements {
        let (sql, fate) = names.statement(first + number, &mut dice, folder);
        writeln!(recent, "{sql}").expect("memory");
        let answer = reader.console(&sql, &LIMITS);
        match &answer {
            Ok(_) => n_run += 1,
            Err(StoreError::NotAllowed(_)) => n_refused += 1,
            Err(StoreError::Interrupted | StoreError::Silent { .. }) => panic!("{kind}: {sql}: the database is gone"),
            Err(_) => n_failed += 1,
        }
        match fate {
            Fate::Runs => assert!(answer.is_ok(), "{kind}, seed {seed}: {sql}: {answer:?}"),
            // A bare word such as ROLLBACK in brackets is the name of a column, which there is not.
            Fate::IsRefused => assert!(answer.is_err(), "{kind}, seed {seed}: {sql}: {answer:?}"),
            Fate::Either => {}
        }
        if number % BETWEEN == BETWEEN - 1 || number + 1 == n_statements {
            let now = state(watching, folder);
            for (what, value) in &now {
                assert!(before.get(what) == Some(value), "{kind}, seed {seed}: `{what}` changed by one of\n{recent}");
            }
            assert_eq!(before.len(), now.len(), "{kind}, seed {seed}: one of\n{recent}");
            recent.clear();
        }
    }
    assert!(n_run > n_statements / 20 && n_refused > n_statements / 3, "{n_run} {n_refused}");
    println!(
        "{kind}: {n_statements} statements, seed {seed}: {n_run} ran, {n_refused} were refused, {n_failed} failed"
    );
}

/// An execution, and a mark on a state machine.
fn fill(store: &Store) {
    use analyzer::model::{Event, EventKind, Name, Observation, Timestamp};
    let mut ingest = Ingest::new(store).expect("a writer");
    let events = ["ExecutionStarted", "TaskStateEntered", "TaskStateExited", "ExecutionSucceeded"];
    let observed = (1..).zip(events).map(|(id, kind)| Observation::Event {
        execution_arn: Name::from("arn:aws:states:eu-west-1:123456789012:execution:m:e"),
        event: Event {
            id,
            previous: id - 1,
            at: Timestamp(id.cast_signed() * 1_000_000),
            kind: EventKind::parse(kind),
            name: (id == 2).then(|| Name::from("Work")),
            resource: None,
            number: None,
            log_bytes: 0,
            detail: None,
        },
    });
    ingest.observe(observed.collect()).expect("it takes them");
    ingest.finish().expect("it stores them");
}

fn scratch() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("test.duckdb");
    (folder, path)
}

#[test]
fn nothing_changes_a_file() {
    let (folder, path) = scratch();
    fill(&Store::open(&path).expect("a database"));
    let reader = Reader::open(&path).expect("a reader");
    let watching = reader.connection().expect("open here").try_clone().expect("a connection");
    ask_everything("a file", &reader, &watching, folder.path());
}

#[cfg(unix)]
#[test]
fn nothing_changes_what_a_writer_holds() {
    let (folder, path) = scratch();
    let store = Store::open(&path).expect("a database");
    fill(&store);
    store.checkpoint().expect("it is on disk");
    assert_eq!(store.unheard(), None);
    let reader = Reader::through_writer(&path);
    ask_everything("a writer", &reader, &store.connection, folder.path());
    // It still writes.
    store
        .connection
        .execute_batch("INSERT INTO quarantined (source, line, reason) VALUES ('a', 1, 'b')")
        .expect("it writes");
}

#[test]
fn nothing_changes_a_lake() {
    for kind in ["", "sqlite:"] {
        let (folder, path) = scratch();
        let name = PathBuf::from(format!("ducklake:{kind}{}", path.display()));
        let lake = Lake::of(&name).expect("a lake");
        match Store::open_lake(&name, &lake, None) {
            Ok(store) => fill(&store),
            Err(StoreError::NoExtension(which)) => {
                println!("the extension `{which}` is not there: a lake was not tried");
                return;
            }
            Err(error) => panic!("{error:?}"),
        }
        let reader = Reader::open(&name).expect("a reader");
        let watching = reader.connection().expect("open here").try_clone().expect("a connection");
        watching.execute_batch(crate::store::USE).expect("the lake");
        ask_everything(&format!("a lake ({kind})"), &reader, &watching, folder.path());
    }
}
