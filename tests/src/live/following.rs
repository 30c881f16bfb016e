//! The collector as a service: it follows what happens, and ends when it is told to.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use collector::synthetic::{image_ingest, order_processing};
use serde_json::Value;

use super::{command, served};
use crate::stand_in::{DateHeader, Machine, Service, World, real_us};
use crate::stepscope::Bench;

const COUNT: &str = "SELECT count(*) FROM events";
const PATIENCE: Duration = Duration::from_secs(100);

/// Executions of a Standard and a logged Express machine, which go on for as long as a test takes.
fn busy() -> World {
    let mut world = World::in_real_time(11);
    let (orders, images) = (order_processing(), image_ingest());
    let standard = world.add_machine(Machine::of_plan(&orders));
    let express = world.add_machine(Machine { log_level: "ALL", is_express: true, ..Machine::of_plan(&images) });
    let begin_us = real_us() - 5_000_000;
    world.add_runs(standard, &orders, 600, begin_us, 200_000);
    world.add_runs(express, &images, 1_200, begin_us, 100_000);
    world
}

fn follow(bench: &Bench, address: &str, more: &[&str]) -> Child {
    let mut command = command(bench, address, &["--follow", "--interval", "1"]);
    command.args(more).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
}

fn n_events(bench: &Bench) -> usize {
    let rows = bench.rows(COUNT);
    rows[0].trim_matches(['[', ']']).parse().expect("a number")
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        sleep(Duration::from_millis(50));
    }
}

fn stop(child: Child) -> (Value, String) {
    let killed = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill");
    assert!(killed.success());
    let output = child.wait_with_output().expect("it ends");
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{log}");
    (serde_json::from_slice(&output.stdout).expect("JSON"), log)
}

fn get(port: u16, path: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return String::new() };
    let mut answer = String::new();
    let _ = write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn what_happens_is_stored_soon_and_nothing_is_lost_when_it_is_told_to_stop() {
    let (service, address) = served(Service::new(busy()));
    let bench = Bench::new();
    let port = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port").port();
    let (metrics, port_text) = (bench.folder.path().join("own.prom"), port.to_string());
    let more = ["--metrics-port", &port_text, "--metrics-file", &metrics.to_string_lossy(), "--log-format", "json"];
    let child = follow(&bench, &address, &more);
    wait_until("the database is made", || bench.db().exists() && bench.run(&["sql", COUNT]).status.success());
    wait_until("the first events come", || n_events(&bench) > 300);
    // What has happened by now comes by itself; how soon is measured in BENCHMARKS.md.
    for _ in 0..4 {
        let before = service.world.n_events_at(real_us());
        wait_until("what has happened is stored", || n_events(&bench) >= before);
    }
    wait_until("it is healthy", || get(port, "/healthz").starts_with("HTTP/1.1 200"));
    let told = get(port, "/metrics");
    assert!(
        told.contains("stepscope_collector_up{target=\"0\",account=\"123456789012\",region=\"us-east-1\"} 1"),
        "{told}"
    );
    assert!(std::fs::read_to_string(&metrics).is_ok_and(|it| it.contains("stepscope_collector_calls_total")));
    // Somebody else who wants to write is told so, and those who read go on.
    let file = bench.write("x.json", "{}");
    let refused = bench.run(&["import", &file.to_string_lossy()]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("another process"), "{said}");
    let until = real_us();
    let (result, log) = stop(child);
    assert!(result["targets"][0]["events"].as_u64().is_some_and(|it| it > 100), "{result}");
    assert!(log.lines().all(|it| serde_json::from_str::<Value>(it).is_ok()), "{log}");
    assert!(!log.contains("Credential") && !log.contains("AWS4-HMAC"), "{log}");
    // A later run finds the rest, and nothing is there twice.
    super::result(&super::collect(&bench, &address, &[]));
    assert!(n_events(&bench) >= service.world.n_events_at(until));
    let twice = "SELECT count(*) FROM (SELECT execution_arn, id FROM events GROUP BY ALL HAVING count(*) > 1)";
    assert_eq!(bench.rows(twice), ["[0]"]);
}

#[test]
fn reports_that_are_due_and_alerts_come_from_the_collector_itself() {
    let (_service, address) = served(Service::new(busy()));
    let bench = Bench::new();
    let folder = bench.folder.path().join("told");
    let place = folder.to_string_lossy().into_owned();
    let config = format!(
        "[[alerts]]\nname = \"any run\"\nrule = \"p95_ms\"\nabove = 1.0\nwindow = \"1h\"\nto = [\"here\"]\n\
         [[deliveries]]\nname = \"here\"\nkind = \"folder\"\npath = \"{place}\"\n"
    );
    let config = bench.write("config.toml", config).to_string_lossy().into_owned();
    let add = ["schedule", "add", "--cron", "0 7 * * *", "--report", "health", "--to", "here", "--now", "2026-10-20"];
    assert!(bench.run(&[&["--config", &config][..], &add].concat()).status.success());
    let child = follow(&bench, &address, &["--config", &config]);
    let names = || {
        let files = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        files.map(|it| it.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    wait_until("the report of the last morning", || names().iter().any(|it| it.starts_with("health-")));
    wait_until("the alert", || names().iter().any(|it| it.contains("any-run") || it.contains("any run")));
    let (_, log) = stop(child);
    assert!(log.contains("schedule run: ") && log.contains("FIRING any run"), "{log}");
}

#[test]
fn live_tail_tells_of_events_at_once_and_reading_fills_what_it_leaves_out() {
    let (service, address) = served(Service::new(busy()));
    let bench = Bench::new();
    let child = follow(&bench, &address, &["--live-tail", "--source", "logs"]);
    wait_until("a session is started", || service.count("StartLiveTail") > 0);
    sleep(Duration::from_secs(1));
    let reads = service.count("FilterLogEvents");
    let begun = Instant::now();
    let logged = |us: i64| service.world.n_logged_at(us);
    for _ in 0..3 {
        let before = logged(real_us());
        wait_until("what has been logged is stored", || n_events(&bench) >= before);
    }
    // Now and then reading looks for what the stream has left out; however long this took, that is far less than once a second.
    let n_looks = begun.elapsed().as_secs() / 5;
    assert!(service.count("FilterLogEvents") <= reads + 2 + n_looks, "the stream does it");
    let (result, _) = stop(child);
    assert!(result["calls"]["StartLiveTail"].as_u64().is_some_and(|it| it > 0), "{result}");
    super::result(&super::collect(&bench, &address, &["--source", "logs"]));
    let counts = bench.rows("SELECT count(*), count(DISTINCT (execution_arn, id)) FROM events");
    let [all, distinct] = counts[0].trim_matches(['[', ']']).split(',').collect::<Vec<_>>()[..] else {
        panic!("{counts:?}")
    };
    assert_eq!(all, distinct);
}

#[test]
fn a_service_outlives_an_outage() {
    let service = Arc::new(Service::new(busy()));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let local = listener.local_addr().expect("an address");
    drop(listener);
    let bench = Bench::new();
    // Nobody listens at first.
    let child = follow(&bench, &address, &["--source", "history"]);
    sleep(Duration::from_secs(2));
    let listener = TcpListener::bind(local).expect("the same port");
    crate::stand_in::serve_on(Arc::clone(&service), listener);
    wait_until("it finds its way back", || {
        bench.db().exists() && bench.run(&["sql", COUNT]).status.success() && n_events(&bench) > 50
    });
    let (result, _) = stop(child);
    assert_eq!(result["targets"][0]["ok"], true);
}

#[test]
fn the_past_is_read_while_following_also_when_calls_have_to_wait() {
    let mut past = super::service(super::two_machines(60));
    past.quotas.insert("GetExecutionHistory", (20.0, 400.0));
    let (service, address) = served(past);
    let bench = Bench::new();
    let more = ["--source", "history", "--quota", "GetExecutionHistory=10/200", "--quota", "ListExecutions=2/40"];
    let child = follow(&bench, &address, &more);
    let expected = service.world.n_events();
    wait_until("the database is made", || bench.db().exists() && bench.run(&["sql", COUNT]).status.success());
    wait_until("all of the past comes", || n_events(&bench) == expected);
    stop(child);
}

#[test]
fn a_service_loses_nothing_while_the_date_is_off() {
    for us in [3_600_000_000, -3_600_000_000, 420_000_000] {
        let (service, address) = served(Service::new(busy()));
        *service.date.lock().expect("the lock") = DateHeader::Off(us);
        let bench = Bench::new();
        let child = follow(&bench, &address, &["--source", "history,logs"]);
        wait_until("the database is made", || bench.db().exists() && bench.run(&["sql", COUNT]).status.success());
        for _ in 0..2 {
            let before = service.world.n_events_at(real_us());
            wait_until("what has happened is stored", || n_events(&bench) >= before);
        }
        let until = real_us();
        let (result, _) = stop(child);
        let gaps = result["targets"][0]["gaps"].to_string();
        assert!(gaps.contains("clock_differs"), "{gaps}");
        *service.date.lock().expect("the lock") = DateHeader::Right;
        super::result(&super::collect(&bench, &address, &["--source", "history,logs"]));
        assert!(n_events(&bench) >= service.world.n_events_at(until), "{us}");
        let twice = "SELECT count(*) FROM (SELECT execution_arn, id FROM events GROUP BY ALL HAVING count(*) > 1)";
        assert_eq!(bench.rows(twice), ["[0]"]);
    }
}
