//! What a reader may do to a database, and to a process that writes it: read.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::stepscope::Bench;

/// Statements that write, leave their transaction, change settings or read elsewhere, as they are and in disguise.
pub(crate) const HOSTILE: [&str; 26] = [
    "SELECT $$'$$; CREATE TEMP TABLE zz AS SELECT 42 AS a; SELECT a, $$'$$ FROM zz",
    "SELECT E'\\''; CREATE TEMP TABLE zz AS SELECT 43 AS a; SELECT a, E'x\\'' FROM zz",
    "SELECT $$'$$; ROLLBACK; DELETE FROM execution; SELECT (SELECT count(*) FROM execution), $$'$$",
    "SELECT $$'$$; ROLLBACK; DROP TABLE execution CASCADE; SELECT $$'$$",
    "SELECT 1 /* /* */ ' */; DROP TABLE execution CASCADE; SELECT '",
    "SELECT $$'$$; COPY (SELECT 1 AS a) TO '{dir}/evil.parquet'; SELECT 1, $$'$$",
    "SELECT $$'$$; ATTACH '{dir}/lake.db' AS c (TYPE sqlite); DELETE FROM c.ducklake_snapshot; SELECT 1, $$'$$",
    "WITH x AS (SELECT 1) DELETE FROM execution",
    "EXPLAIN ANALYZE DELETE FROM execution",
    "FROM enable_logging('QueryLog', storage_path = '{dir}/log')",
    "FROM enable_logging('QueryLog', storage = 'stdout')",
    "FROM enable_profiling()",
    "FROM truncate_duckdb_logs()",
    "FROM checkpoint()",
    "FROM query('SELECT 1')",
    "FROM read_blob('{dir}/**')",
    "FROM read_parquet('{dir}/**/*.parquet')",
    "FROM '{dir}/x.csv'",
    "FROM sqlite_scan('{dir}/lake.db', 'ducklake_snapshot')",
    "FROM glob('/*')",
    "FROM ducklake_snapshots('stepscope')",
    "FROM __ducklake_metadata_stepscope.ducklake_snapshot",
    "FROM execution AT (VERSION => 1)",
    "FROM duckdb_secrets()",
    "SELECT current_setting('home_directory')",
    "PIVOT executions ON status",
];

/// Everything below a folder, by name and content.
pub(crate) fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(content(&path));
        } else if path.is_file() {
            found.insert(path.to_string_lossy().into_owned(), fs::read(&path).expect("a file"));
        }
    }
    found
}

/// Asks all of it of a database, in a process each; every one is refused with a reason, and the count stays.
pub(crate) fn all_are_refused(bench: &Bench, database: &str) {
    let count = ["--db", database, "sql", "SELECT count(*), sum(duration_ms) FROM executions"];
    let before = bench.json(&count);
    let folder = bench.folder.path().to_string_lossy();
    for sql in HOSTILE {
        let sql = sql.replace("{dir}", &folder);
        let refused = bench.run(&["--db", database, "sql", &sql]);
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{database}: {sql}: {told}");
        assert!(told.contains("the console only reads"), "{database}: {sql}: {told}");
        if sql.starts_with("SELECT $$") || sql.starts_with("SELECT E") {
            assert!(told.contains("give one statement at a time"), "{sql}: {told}");
        }
        assert!(refused.stdout.is_empty(), "{sql}");
    }
    assert_eq!(bench.json(&count), before, "{database}");
}

/// An import that waits for more input, and holds the database until then.
struct Writer {
    child: Child,
    input: ChildStdin,
}

impl Writer {
    fn start(mut command: Command, socket: &Path) -> Self {
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.expect("it runs");
        let input = child.stdin.take().expect("a pipe");
        let begun = Instant::now();
        while !socket.exists() {
            assert!(begun.elapsed() < Duration::from_mins(1), "it listens at {}", socket.display());
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, input }
    }

    /// Lets it end, which it does as an import of nothing does.
    fn end(self) {
        let Self { child, input } = self;
        drop(input);
        let output = child.wait_with_output().expect("it ends");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(0 | 1)), "{told}");
        assert!(!told.contains("terminate called") && !told.contains("panicked"), "{told}");
    }
}

fn filled() -> Bench {
    let bench = Bench::demo(150);
    assert!(bench.db().exists());
    bench
}

fn beside(bench: &Bench) -> std::path::PathBuf {
    bench.folder.path().join(".test.duckdb.sock")
}

#[test]
fn the_console_changes_no_file() {
    let bench = filled();
    let before = content(bench.folder.path());
    all_are_refused(&bench, &bench.db().to_string_lossy());
    assert!(content(bench.folder.path()) == before);
}

#[test]
fn the_console_neither_ends_nor_changes_a_writer() {
    let bench = filled();
    let writer = Writer::start(bench.command(&["import", "-"]), &beside(&bench));
    all_are_refused(&bench, &bench.db().to_string_lossy());
    let settings = bench.json(&["sql", "SELECT 1 AS it"]);
    assert_eq!(settings["rows"][0][0], 1);
    writer.end();
    assert!(!beside(&bench).exists(), "the socket goes with the writer");
    assert!(bench.run(&["executions"]).status.success());
}

#[test]
fn the_console_changes_no_lake() {
    for kind in ["", "sqlite:"] {
        let bench = Bench::new();
        let name = format!("ducklake:{kind}{}", bench.folder.path().join("lake.db").display());
        let log = bench.write("log.jsonl", bench.run(&["simulate", "--executions", "30"]).stdout);
        bench.json(&["--db", &name, "import", &log.to_string_lossy()]);
        let before = content(bench.folder.path());
        all_are_refused(&bench, &name);
        assert!(content(bench.folder.path()) == before, "{kind}");
    }
}

#[test]
fn every_command_says_the_same_through_a_writer() {
    let bench = filled();
    let commands: [&[&str]; 14] = [
        &["executions"],
        &["show", "--all"],
        &["states"],
        &["bottlenecks"],
        &["cost"],
        &["incidents"],
        &["versions", "order-processing"],
        &["audit"],
        &["compare", "order-processing", "--around", "2026-10-31T22:50:00Z"],
        &["whatif", "order-processing", "--no-retries"],
        &["report", "all", "--period", "12h"],
        &["lint", "order-processing"],
        &["redrivable"],
        &["sql", "FROM visits ORDER BY ALL"],
    ];
    let now = |command: &[&'static str]| [&["--now", "2026-11-01"], command].concat();
    let alone: Vec<Value> = commands.iter().map(|it| bench.json(&now(it))).collect();
    let writer = Writer::start(bench.command(&["import", "-"]), &beside(&bench));
    for (command, alone) in commands.iter().zip(&alone) {
        assert!(&bench.json(&now(command)) == alone, "{command:?}");
    }
    writer.end();
}

#[test]
fn reader_and_writer_meet_whatever_their_environment() {
    let bench = filled();
    let folder = bench.folder.path().join("a".repeat(100)).join("b".repeat(100));
    fs::create_dir_all(&folder).expect("a folder");
    let database = folder.join("x.duckdb");
    fs::rename(bench.db(), &database).expect("a file");
    let mut command = bench.command(&["--db", &database.to_string_lossy(), "import", "-"]);
    command.env("USER", "other").env("XDG_RUNTIME_DIR", "/nowhere").env("TMPDIR", bench.folder.path());
    let writer = Writer::start(command, &folder.join(".x.duckdb.sock"));
    let mut reader =
        bench.command(&["--db", &database.to_string_lossy(), "sql", "SELECT count(*) FROM executions", "-o", "csv"]);
    let output = reader.env_remove("USER").env_remove("XDG_RUNTIME_DIR").output().expect("it runs");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "count_star()\n150\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    writer.end();
}

#[test]
fn a_socket_that_is_none_of_ours_is_left_alone() {
    let bench = filled();
    // What lies where the socket would be is not removed; another place is found, or the writer says that there is none.
    let place = beside(&bench);
    fs::write(&place, "mine").expect("a file");
    let writer = Writer::start(bench.command(&["import", "-"]), &place);
    writer.end();
    assert_eq!(fs::read(&place).expect("a file"), b"mine");
}

#[test]
fn an_answer_is_cut_at_its_limits_and_says_so() {
    let bench = filled();
    let endless = "SELECT count(*) FROM range(10000000) a, range(10000000) b";
    let cases = [
        (vec!["sql", "FROM range(200)", "--max-rows", "7"], 7, "--max-rows"),
        (vec!["sql", "FROM range(200)", "--max-bytes", "80"], 10, "--max-bytes"),
        (vec!["sql", endless, "--max-seconds", "1"], 0, "--max-seconds"),
    ];
    let check = |kind: &str| {
        for (arguments, n_rows, option) in &cases {
            let output = bench.run(&[&arguments[..], &["-o", "json"]].concat());
            assert_eq!(output.status.code(), Some(1), "{kind} {arguments:?}");
            assert!(String::from_utf8_lossy(&output.stderr).contains(option), "{kind} {arguments:?}");
            let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            crate::command_line::is_valid(&bench, "sql", &answer);
            assert_eq!(
                (&answer["truncated"], answer["rows"].as_array().map(Vec::len)),
                (&Value::Bool(true), Some(*n_rows))
            );
        }
        assert_eq!(bench.json(&["sql", "FROM range(7)", "--max-rows", "7"])["truncated"], false, "{kind}");
    };
    check("a file");
    let writer = Writer::start(bench.command(&["import", "-"]), &beside(&bench));
    check("a writer");
    writer.end();
}

#[test]
fn several_statements_of_an_input_run_in_turn() {
    let bench = filled();
    let input = b"SELECT 1 AS a; SELECT ';' AS b -- don't; really\n;\n/* ; */ SELECT\n 3 AS c; -- the end";
    let output = bench.run_with_input(&["sql", "-o", "csv"], input);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "a\n1\nb\n;\nc\n3\n");
    let refused = bench.run_with_input(&["sql"], b"SELECT 1; DROP TABLE execution; SELECT 2;");
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("`DROP`"));
}

/// What collects more than DuckDB counts as its memory is stopped, and what cannot be stopped does not begin.
#[cfg(target_os = "linux")]
#[test]
fn no_statement_fills_the_process() {
    use std::os::unix::process::ExitStatusExt;
    const MOST_KB: u64 = 1_400_000;
    let bench = Bench::demo(40);
    for sql in [
        "SELECT length(string_agg(repeat('x', 9999), '')) FROM range(3000000)",
        "SELECT len(list(i)) FROM range(2000000000) t(i)",
        "SELECT count(DISTINCT repeat('x', 9999) || i) FROM range(3000000) t(i)",
        "SELECT histogram(repeat('x', 900) || i) FROM range(30000000) t(i)",
        "SELECT median(i) FROM range(3000000000) t(i)",
        "SELECT length(list_reduce(list_transform(range(28), lambda x: 'xxxxxxxxxxxxxxxx'), lambda a, b: a || a))",
        "SELECT replace(repeat('x', 10000) || i, 'x', repeat('y', 10000)) FROM range(2000) t(i)",
        "WITH RECURSIVE t AS (SELECT 'x' AS a UNION ALL SELECT a || a FROM t) SELECT max(length(a)) FROM t",
    ] {
        let script = "ulimit -t 60; \"$@\"; code=$?; exit $code";
        let mut child = std::process::Command::new("/bin/sh")
            .args(["-c", script, "sh"])
            .arg(crate::stepscope::binary())
            .args(["sql", sql, "--max-seconds", "20"])
            .env("STEPSCOPE_DB", bench.db())
            .env("XDG_CONFIG_HOME", bench.folder.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("it runs");
        let mut most = 0;
        let status = loop {
            for pid in descendants(child.id()) {
                let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
                let kb = text.lines().find_map(|it| it.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
                most = most.max(kb.unwrap_or(0_u64));
            }
            if let Some(status) = child.try_wait().expect("it can be asked") {
                break status;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        };
        assert_eq!((status.code(), status.signal()), (Some(1), None), "{sql}");
        assert!(most < MOST_KB, "{sql}: {most} KB");
    }
}

/// A process and those that it has started.
#[cfg(target_os = "linux")]
fn descendants(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|it| it.parse().ok());
    std::iter::once(pid).chain(children.flat_map(descendants)).collect()
}
