//! What is said where the database cannot be used: in our words, by every command, with what to do.

use std::path::Path;
use std::process::Output;

use crate::stepscope::Bench;

const LOG: &str = "{\"id\":\"1\",\"type\":\"ExecutionStarted\",\"details\":{\"input\":\"{}\"},\"previous_event_id\":\"0\",\"event_timestamp\":\"1764000000000\",\"execution_arn\":\"arn:aws:states:us-east-1:123456789012:execution:orders:e0\",\"redrive_count\":\"0\"}\n";

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a reading command, an importing one and the dashboard over a database.
fn check(bench: &Bench, database: &str, code: i32, expected: &str) {
    let log = bench.write("one.jsonl", LOG);
    let log = log.to_string_lossy();
    let commands: [&[&str]; 4] = [&["executions"], &["sql", "FROM executions"], &["import", &log], &["dash", "--once"]];
    for command in commands {
        let output = bench.run(&[&["--db", database], command].concat());
        let text = said(&output);
        assert_eq!(output.status.code(), Some(code), "{command:?} of {database}: {text}");
        assert!(text.contains(expected), "{command:?} of {database}: {text}");
        assert!(text.contains("hint: "), "{command:?} of {database}: {text}");
        for never in ["Unknown error code", "in-memory database", "INSTALL ", "refused a statement"] {
            assert!(!text.contains(never), "{command:?} of {database}: {text}");
        }
    }
}

fn file(bench: &Bench, name: &str, content: &[u8]) -> String {
    bench.write(name, content).to_string_lossy().into_owned()
}

#[test]
fn what_is_not_a_database_is_said_to_be_what_it_is() {
    let bench = Bench::new();
    let mut sqlite = b"SQLite format 3\0".to_vec();
    sqlite.resize(8_192, 0);
    let files: [(&str, &[u8], &str); 6] = [
        ("notes.json", b"{\"a\": 1}", "it is a text"),
        ("table.csv", b"a,b\n1,2\n", "it is a text"),
        ("other.sqlite", &sqlite, "it is an SQLite database"),
        ("empty", b"", "the file is empty"),
        ("table.parquet", b"PAR1\x15\x04\x15\x10", "it is a Parquet file"),
        ("bytes.bin", &[0, 1, 2, 3, 255, 254, 0, 0, 0, 9, 9, 9, 9, 9], "it does not begin as DuckDB's files do"),
    ];
    for (name, content, expected) in files {
        let path = file(&bench, name, content);
        check(&bench, &path, 1, expected);
        check(&bench, &path, 1, &format!("{name}` is not a stepscope database"));
        assert_eq!(std::fs::read(&path).expect("the file"), content, "it is left as it is");
    }
    check(&bench, &bench.folder.path().to_string_lossy(), 1, "it is a folder");
}

#[test]
fn damage_is_named_and_so_is_the_file() {
    let bench = Bench::demo(60);
    let whole = std::fs::read(bench.db()).expect("a database");
    // In the header, in the two that take turns, and where the catalogue and the rows are.
    let mut turns = whole.clone();
    (turns[4_120], turns[8_216]) = (!turns[4_120], !turns[8_216]);
    let mut header = whole.clone();
    header[30] ^= 4;
    let mut rows = whole.clone();
    let length = rows.len();
    rows[13_000..length].iter_mut().step_by(64).for_each(|it| *it ^= 0x55);
    for (name, bytes) in [
        ("header", header.as_slice()),
        ("turns", &turns),
        ("rows", &rows),
        ("half", &whole[..length / 2]),
        ("start", &whole[..5_000]),
    ] {
        let path = file(&bench, name, bytes);
        check(&bench, &path, 1, &format!("{name}` is damaged"));
    }
    let path = file(&bench, "logged", &whole);
    std::fs::write(format!("{path}.wal"), [7; 300]).expect("a file");
    check(&bench, &path, 1, "logged` is damaged");
}

#[test]
fn a_storage_that_is_newer_is_said_to_be() {
    let bench = Bench::demo(40);
    let mut bytes = std::fs::read(bench.db()).expect("a database");
    bytes[12] = 200;
    let words = bytes[8..4_096].chunks(8).map(|it| u64::from_le_bytes(it.try_into().expect("eight bytes")));
    let sum = words.fold(5_381_u64, |sum, it| sum ^ it.wrapping_mul(0xbf58_476d_1ce4_e5b9));
    bytes[..8].copy_from_slice(&sum.to_le_bytes());
    let path = file(&bench, "newer", &bytes);
    check(&bench, &path, 1, "newer` was written by a newer DuckDB");
}

#[test]
fn what_cannot_be_created_says_where_and_why() {
    let bench = Bench::new();
    let log = bench.write("one.jsonl", LOG);
    let log = log.to_string_lossy();
    let place = bench.write("file", "x").join("x.duckdb");
    for database in [place.to_string_lossy().as_ref(), "/proc/nowhere/x.duckdb"] {
        let commands: [&[&str]; 2] =
            [&["--db", database, "import", &log], &["demo", "--once", "--executions", "40", "--keep", database]];
        for command in commands {
            let output = bench.run(command);
            let text = said(&output);
            assert_eq!(output.status.code(), Some(1), "{text}");
            assert!(text.contains(&format!("the database `{database}` cannot be created")), "{text}");
            assert!(text.contains("because: ") && text.contains("hint: ") && !text.contains("Unknown error"), "{text}");
        }
    }
}

#[test]
fn names_that_keep_nothing_are_refused() {
    let bench = Bench::new();
    let log = bench.write("one.jsonl", LOG);
    let log = log.to_string_lossy();
    for (database, instead) in [
        (":memory:", "use a file"),
        ("s3://bucket/x.duckdb", "ducklake:PATH lake init --data s3://"),
        ("gs://bucket/x.duckdb", "docs/lake.md"),
        ("http://host/x.duckdb", "docs/lake.md"),
        ("https://host/x.duckdb", "docs/lake.md"),
        ("md:x", "docs/lake.md"),
        ("postgres:dbname=x", "ducklake:postgres:"),
        ("sqlite:x.db", "ducklake:sqlite:"),
        ("ducklake::memory:", "use a file"),
    ] {
        let commands: [&[&str]; 4] = [
            &["--db", database, "executions"],
            &["--db", database, "import", &log],
            &["--db", database, "dash", "--once"],
            &["demo", "--once", "--executions", "40", "--keep", database],
        ];
        for command in commands {
            let mut command = bench.command(command);
            let output = command.current_dir(bench.folder.path()).output().expect("it runs");
            let text = said(&output);
            assert_eq!(output.status.code(), Some(2), "{database}: {text}");
            assert!(text.contains("cannot be the database") && text.contains(instead), "{database}: {text}");
        }
    }
    let names: Vec<_> = std::fs::read_dir(bench.folder.path()).expect("a folder").filter_map(Result::ok).collect();
    assert_eq!(names.len(), 1, "nothing was made: {names:?}");
}

/// A limit on the length of files is as good as a full disk.
#[test]
fn a_full_disk_leaves_what_was_committed() {
    let bench = Bench::demo(40);
    let before = bench.rows("SELECT count(*) FROM executions");
    let workload = bench.run(&["simulate", "--executions", "4000"]);
    let log = bench.write("many.jsonl", &workload.stdout);
    let blocks = std::fs::metadata(bench.db()).expect("a database").len().div_ceil(512) + 64;
    let limited = |what: &str| {
        let script = format!("ulimit -f {blocks}; exec \"$0\" --db \"$1\" {what}");
        let binary = crate::stepscope::binary();
        std::process::Command::new("sh")
            .args(["-c", &script, &binary.to_string_lossy(), &bench.db().to_string_lossy(), &log.to_string_lossy()])
            .output()
            .expect("it runs")
    };
    let output = limited("import \"$2\"");
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("test.duckdb` cannot grow: the disk is full") && text.contains("hint: "), "{text}");
    assert!(!text.contains("Unknown error code"), "{text}");
    assert!(bench.rows("SELECT count(*) FROM executions") >= before);
    let output = bench.run(&["import", &log.to_string_lossy()]);
    assert!(output.status.success(), "with room again it goes on: {}", said(&output));
    assert_eq!(bench.rows("SELECT count(*) >= 4000 FROM executions"), ["[true]"]);
    assert!(Path::new(&bench.db()).exists());
}
