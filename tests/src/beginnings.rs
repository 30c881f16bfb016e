//! A database that is being created, or taken away: readers find all of it or nothing, and a writer says when its file is gone.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use crate::stepscope::Bench;

fn line(id: u64) -> String {
    let kind = if id == 1 { "ExecutionStarted" } else { "PassStateEntered" };
    format!(
        "{{\"id\":\"{id}\",\"type\":\"{kind}\",\"details\":{{\"name\":\"A\"}},\"previous_event_id\":\"{}\",\"event_timestamp\":\"{}\",\"execution_arn\":\"arn:aws:states:eu-west-1:123456789012:express:orders:r:0f\",\"redrive_count\":\"0\"}}\n",
        id - 1,
        1_790_000_000_000_u64 + id
    )
}

/// `STEPSCOPE_KILLS` is how often; moments are spread over the first 200 ms.
#[test]
fn an_import_that_is_killed_early_leaves_a_whole_database_or_none() {
    let n_kills: u64 = std::env::var("STEPSCOPE_KILLS").map_or(24, |it| it.parse().expect("a number"));
    let bench = Bench::new();
    let path = bench.write("log.jsonl", (1..200).map(line).collect::<String>());
    let path = path.to_string_lossy();
    for kill in 0..n_kills {
        let mut child =
            bench.command(&["import", &path]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        std::thread::sleep(Duration::from_millis((kill * 67) % 200));
        child.kill().expect("it ends");
        child.wait().expect("it ended");
        let read = bench.run(&["executions", "-o", "json"]);
        let said = String::from_utf8_lossy(&read.stderr);
        assert!(read.status.success() || said.contains("there is no database"), "kill {kill}: {said}");
        if kill % 3 == 0 {
            let _ = fs::remove_file(bench.db());
            let _ = fs::remove_file(bench.db().with_extension("duckdb.wal"));
        }
    }
    bench.json(&["import", &path]);
    let left: Vec<String> = fs::read_dir(bench.folder.path())
        .expect("a folder")
        .map(|it| it.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|it| it.contains(".new-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
#[cfg(unix)]
fn a_database_that_is_deleted_or_replaced_under_an_import_ends_it() {
    for is_replaced in [false, true] {
        let bench = Bench::new();
        let mut child = bench
            .command(&["import", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(line(1).as_bytes()).expect("it reads");
        // Its log appears once it is open for writing: the prices are written then.
        while !bench.db().exists() {
            std::thread::sleep(Duration::from_millis(5));
            assert!(child.try_wait().expect("a child").is_none());
        }
        std::thread::sleep(Duration::from_millis(1_500));
        fs::rename(bench.db(), bench.folder.path().join("away")).expect("it is taken away");
        if is_replaced {
            fs::write(bench.db(), "another file").expect("a file");
        }
        input.write_all(line(2).as_bytes()).expect("it reads");
        drop(input);
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("was deleted or replaced"), "{said}");
    }
}
