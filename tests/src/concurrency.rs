//! One process writes while others read, and any of them may be killed.

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::stepscope::Bench;

fn simulated(bench: &Bench, executions: &str) -> String {
    let log = bench.run(&["simulate", "--executions", executions]);
    bench.write("log.jsonl", log.stdout).to_string_lossy().into_owned()
}

#[test]
fn reading_works_while_another_process_writes() {
    use std::io::Write;
    let bench = Bench::new();
    let path = simulated(&bench, "300");
    bench.json(&["import", &path]);
    let before = bench.json(&["executions"]);
    // An import that waits for more input keeps the database open for writing.
    let mut writer =
        bench.command(&["import", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it runs");
    let mut input = writer.stdin.take().expect("a pipe");
    input.write_all(b"\n").expect("it reads");
    thread::sleep(Duration::from_millis(500));
    let began = Instant::now();
    assert_eq!(bench.json(&["executions"]), before, "the same answer as from the file");
    assert!(bench.run(&["show", "--all", "-o", "json"]).status.success());
    let refused = bench.run(&["sql", "DELETE FROM event"]);
    assert_eq!(refused.status.code(), Some(1));
    let refused = bench.run(&["sql", "WITH x AS (SELECT 1) DELETE FROM event"]);
    assert_eq!(refused.status.code(), Some(1), "nothing is written through the reading door");
    assert!(began.elapsed() < Duration::from_secs(20), "nobody waits for the writer");
    // A valid answer that is empty: there was nothing to import, which is a success.
    input.write_all(b"{\"events\": []}\n").expect("it reads");
    drop(input);
    assert!(writer.wait().expect("it ends").success());
    assert_eq!(bench.json(&["executions"]), before);
}

#[test]
fn an_import_that_is_killed_is_completed_by_the_next() {
    let bench = Bench::new();
    let path = simulated(&bench, "3000");
    let whole = Bench::new();
    whole.json(&["import", &path]);
    for delay in [60, 150, 400] {
        let mut victim =
            bench.command(&["import", &path]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        thread::sleep(Duration::from_millis(delay));
        victim.kill().expect("it is ours");
        victim.wait().expect("it ends");
    }
    bench.json(&["import", &path]);
    for view in ["executions", "visits", "attempts", "critical_path"] {
        assert_eq!(bench.rows(&format!("FROM {view}")), whole.rows(&format!("FROM {view}")), "{view}");
    }
    let count = "SELECT count(*), count(DISTINCT (execution_arn, id)) FROM events";
    assert_eq!(bench.rows(count), whole.rows(count));
}

#[test]
fn an_execution_that_arrives_in_pieces_is_running_until_it_ends() {
    let bench = Bench::new();
    let log = bench.run(&["simulate", "--executions", "3"]);
    let lines: Vec<&str> = std::str::from_utf8(&log.stdout).expect("text").lines().collect();
    let half = lines.len() / 2;
    let first = bench.write("first.jsonl", lines[..half].join("\n"));
    let second = bench.write("second.jsonl", lines[half..].join("\n"));
    bench.json(&["import", &first.to_string_lossy()]);
    let running = bench.rows("SELECT status FROM executions WHERE NOT complete");
    assert!(running.iter().all(|it| it == "[\"RUNNING\"]"), "{running:?}");
    bench.json(&["import", &second.to_string_lossy()]);
    assert!(bench.rows("FROM executions WHERE NOT complete").is_empty());
    let at_once = Bench::new();
    let all = at_once.write("all.jsonl", &log.stdout);
    at_once.json(&["import", &all.to_string_lossy()]);
    assert_eq!(bench.everything(), at_once.everything());
}

#[test]
fn two_writers_take_turns() {
    let bench = Bench::new();
    let path = simulated(&bench, "200");
    let mut children: Vec<_> =
        (0..2).map(|_| bench.command(&["import", &path]).stdout(Stdio::null()).spawn().expect("it runs")).collect();
    for child in &mut children {
        assert!(child.wait().expect("it ends").success());
    }
    assert_eq!(bench.rows("SELECT count(*) FROM executions"), ["[200]"]);
}

#[test]
fn an_interrupted_import_stores_what_it_has_read() {
    use std::io::Write;
    let bench = Bench::new();
    let log = bench.run(&["simulate", "--executions", "60"]);
    let mut child = bench
        .command(&["import", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(&log.stdout).expect("it reads");
    thread::sleep(Duration::from_millis(800));
    let killed =
        std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill is there");
    assert!(killed.success());
    // The pipe is still open: the import must not wait for more.
    let output = child.wait_with_output().expect("it ends");
    drop(input);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("interrupted"));
    let n_events = bench.rows("SELECT count(*) FROM events");
    assert_ne!(n_events, ["[0]"]);
}
