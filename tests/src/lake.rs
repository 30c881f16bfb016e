//! A lake as the database: the same answers as a single file, from Parquet files and a catalogue.

use crate::emulator::Postgres;
use crate::stepscope::Bench;

const COMMANDS: [&[&str]; 10] = [
    &["executions"],
    &["show", "--all"],
    &["states"],
    &["bottlenecks"],
    &["cost"],
    &["incidents"],
    &["audit"],
    &["compare", "order-processing", "--around", "2026-10-31T22:50:00Z"],
    &["report", "health", "--period", "12h"],
    &["sql", "FROM visits ORDER BY ALL"],
];

/// A command on a database, at a time after everything.
fn at<'a>(name: &'a str, command: &[&'a str]) -> Vec<&'a str> {
    [&["--db", name, "--now", "2026-11-01"][..], command].concat()
}

/// A lake with its catalogue in a file of DuckDB's or of SQLite's.
fn lake(bench: &Bench, kind: &str) -> String {
    format!("ducklake:{kind}{}", bench.folder.path().join("lake.db").display())
}

#[test]
fn a_lake_answers_as_a_single_file_does() {
    let bench = Bench::new();
    let log = bench
        .write("log.jsonl", bench.run(&["simulate", "--executions", "200", "--end", "2026-11-01T00:00:00Z"]).stdout);
    let log = log.to_string_lossy().into_owned();
    bench.json(&["import", &log]);
    for kind in ["", "sqlite:"] {
        let other = Bench::new();
        let name = lake(&other, kind);
        let imported = other.json(&at(&name, &["import", &log]));
        assert_eq!(imported["executions"], 200, "{kind}");
        let again = other.json(&at(&name, &["import", &log]));
        assert_eq!((&again["executions"], &again["events"]), (&0.into(), &0.into()), "{kind}");
        for command in COMMANDS {
            let own = bench.json(&[&["--now", "2026-11-01"][..], command].concat());
            assert!(own == other.json(&at(&name, command)), "{kind} {command:?}");
        }
    }
}

#[test]
fn a_lake_is_made_looked_at_and_put_in_order() {
    let bench = Bench::new();
    let (name, data) = (lake(&bench, "sqlite:"), bench.folder.path().join("data").to_string_lossy().into_owned());
    let missing = bench.run(&at(&name, &["states"]));
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&missing.stderr).contains("there is no"),
        "{}",
        String::from_utf8_lossy(&missing.stderr)
    );
    let bucket = bench.run(&at(&name, &["lake", "init", "--data", "gs://bucket/lake"]));
    assert_eq!(bucket.status.code(), Some(2), "of buckets there are S3's");
    let made = bench.json(&at(&name, &["lake", "init", "--data", &data]));
    assert_eq!(made["files"], 1, "the version of the schema is a row");
    for seed in ["1", "2", "3"] {
        let log = bench.write("log.jsonl", bench.run(&["simulate", "--executions", "100", "--seed", seed]).stdout);
        bench.json(&at(&name, &["import", &log.to_string_lossy()]));
    }
    let before = bench.json(&at(&name, &["lake", "status"]));
    crate::command_line::is_valid(&bench, "lake", &before);
    let visits = bench.json(&at(&name, &["sql", "SELECT count(*), sum(duration_ms) FROM visits"]));
    let after = bench.json(&at(&name, &["lake", "compact", "--keep", "0"]));
    assert!(after["files"].as_u64() < before["files"].as_u64(), "{before} {after}");
    assert_eq!(bench.json(&at(&name, &["sql", "SELECT count(*), sum(duration_ms) FROM visits"])), visits);
    let pq = bench.folder.path().join("pq").to_string_lossy().into_owned();
    assert!(bench.run(&at(&name, &["export", "parquet", "--partitioned", "--out", &pq])).status.success());
    // What is forgotten is in no file any more: no snapshot has it.
    let arn = bench.json(&at(&name, &["executions", "--limit", "1"]))["executions"][0]["execution_arn"].clone();
    let arn = arn.as_str().expect("an ARN").to_owned();
    let forgotten = bench.run(&at(&name, &["forget", &arn]));
    assert!(String::from_utf8_lossy(&forgotten.stdout).contains("older snapshots of the lake are gone"));
    let emptied = bench.json(&at(&name, &["lake", "compact", "--keep", "0"]));
    let left = emptied["tables"].as_array().expect("tables").iter().filter(|it| it["delete_files"] != 0).count();
    assert_eq!(left, 0, "{emptied}");
    assert_eq!(bench.json(&at(&name, &["lake", "status"]))["snapshots"], 1);
    let closed = bench.run(&at(&name, &["sql", "FROM read_csv('/etc/hostname')"]));
    assert_eq!(closed.status.code(), Some(1), "the console reaches nothing but the lake");
    assert_eq!(bench.run(&["lake", "status"]).status.code(), Some(2), "a file is no lake");
}

#[test]
fn the_catalogue_may_be_in_postgresql() {
    let bench = Bench::new();
    let server = Postgres::start(&bench.folder.path().join("postgres"));
    let name = server.lake();
    let data = bench.folder.path().join("data").to_string_lossy().into_owned();
    let log = bench
        .write("log.jsonl", bench.run(&["simulate", "--executions", "100", "--end", "2026-11-01T00:00:00Z"]).stdout);
    let log = log.to_string_lossy().into_owned();
    bench.json(&["import", &log]);
    bench.json(&at(&name, &["lake", "init", "--data", &data]));
    assert_eq!(bench.json(&at(&name, &["import", &log]))["executions"], 100);
    assert_eq!(bench.json(&at(&name, &["import", &log]))["executions"], 0);
    for command in [&["states"][..], &["cost"], &["show", "--all"]] {
        let own = bench.json(&[&["--now", "2026-11-01"][..], command].concat());
        assert!(own == bench.json(&at(&name, command)), "{command:?}");
    }
    crate::doors::all_are_refused(&bench, &name);
    let told = bench.run(&at("ducklake:postgres:dbname=lake password=secret", &["states"]));
    assert_eq!(told.status.code(), Some(2));
    assert!(!String::from_utf8_lossy(&told.stderr).contains("secret"));
}
