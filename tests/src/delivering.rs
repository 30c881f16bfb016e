//! What becomes of a message when its delivery is down, slow, or the process that sends it is killed: it arrives, and no delivery gets it twice
//! because of another one's trouble.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::automation::next;
use crate::stepscope::Bench;

/// Twelve minutes after three failed executions.
const NOW: &str = "2025-11-24T16:12:00Z";
const ARN: &str = "arn:aws:states:us-east-1:123456789012:execution:orders";
const START_MS: i64 = 1_764_000_000_000;

/// A webhook that answers with whatever status is in force, and shows each request before it answers it.
struct Hook {
    port: u16,
    status: Arc<Mutex<u16>>,
    received: Receiver<(String, Vec<u8>)>,
    /// Where requests wait before they are answered, if they are to.
    gate: Arc<Mutex<Option<Receiver<()>>>>,
}

impl Hook {
    fn open(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (send, received) = channel();
        let status = Arc::new(Mutex::new(status));
        let gate = Arc::new(Mutex::new(None::<Receiver<()>>));
        let (answer, waits) = (Arc::clone(&status), Arc::clone(&gate));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (send, answer, waits) = (send.clone(), Arc::clone(&answer), Arc::clone(&waits));
                thread::spawn(move || serve(stream, &send, &answer, &waits));
            }
        });
        Self { port, status, received, gate }
    }

    fn answers(&self, status: u16) {
        *self.status.lock().expect("a lock") = status;
    }

    /// From here on requests wait until this end is dropped.
    fn close(&self) -> Sender<()> {
        let (open, gate) = channel();
        *self.gate.lock().expect("a lock") = Some(gate);
        open
    }

    fn texts(&self) -> Vec<String> {
        let text = |(_, body): (String, Vec<u8>)| {
            let body: Value = serde_json::from_slice(&body).expect("JSON");
            body["text"].as_str().expect("a text").to_owned()
        };
        self.received.try_iter().map(text).collect()
    }
}

fn serve(stream: TcpStream, send: &Sender<(String, Vec<u8>)>, status: &Mutex<u16>, gate: &Mutex<Option<Receiver<()>>>) {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).is_err() || line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let length =
        lines.iter().find_map(|it| it.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    let mut body = vec![0; length.and_then(|it| it.parse().ok()).unwrap_or(0)];
    let _ = reader.read_exact(&mut body);
    let _ = send.send((lines.first().cloned().unwrap_or_default(), body));
    let waits = gate.lock().expect("a lock").take();
    if let Some(gate) = waits {
        let _ = gate.recv();
    }
    let status = *status.lock().expect("a lock");
    let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let _ = reader.get_mut().write_all(answer.as_bytes());
}

/// A database with failures, a rule that fires on them, and its deliveries.
struct Watched {
    bench: Bench,
    config: String,
}

impl Watched {
    fn new(to: &[&str], deliveries: &str) -> Self {
        let bench = Bench::new();
        let lines: String = (0..3).flat_map(|it| execution(it, START_MS + it * 1_000, "Failed")).collect();
        let log = bench.write("failures.jsonl", lines);
        let output = bench.run(&["import", &log.to_string_lossy()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let rule = format!(
            "[[alerts]]\nname = \"fails\"\nrule = \"failure_rate\"\nabove = 0.01\nwindow = \"1h\"\nto = {}\n{deliveries}",
            json!(to)
        );
        let config = bench.write("config.toml", rule).to_string_lossy().into_owned();
        Self { bench, config }
    }

    fn arguments<'a>(&'a self, now: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        [&["--config", &self.config, "--now", now, "-o", "json", "alerts"][..], more].concat()
    }

    fn run(&self) -> Output {
        self.run_at(NOW)
    }

    fn run_at(&self, now: &str) -> Output {
        self.bench.run(&self.arguments(now, &["run"]))
    }

    fn start(&self) -> Child {
        self.bench
            .command(&self.arguments(NOW, &["run"]))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs")
    }

    /// Later executions that all succeed: the rule recovers.
    fn recovers(&self) -> &'static str {
        let lines: String = (0..9).flat_map(|it| execution(100 + it, START_MS + 7_200_000, "Succeeded")).collect();
        let log = self.bench.write("well.jsonl", lines);
        assert!(self.bench.run(&["import", &log.to_string_lossy()]).status.success());
        "2025-11-24T18:10:00Z"
    }

    fn undelivered(&self) -> Vec<Value> {
        let output = self.bench.run(&self.arguments(NOW, &["list"]));
        let result: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        crate::command_line::is_valid(&self.bench, "alerts", &result);
        result["undelivered"].as_array().expect("a list").clone()
    }

    fn state(&self) -> PathBuf {
        let mut name = self.bench.db().into_os_string();
        name.push(".alerts.json");
        name.into()
    }
}

/// The log of an execution with one state.
fn execution(n: i64, at_ms: i64, end: &str) -> Vec<String> {
    let event = |id: u64, kind: &str, details: Value, ms: i64| {
        let line = json!({
            "id": id.to_string(), "type": kind, "details": details, "previous_event_id": (id - 1).to_string(),
            "event_timestamp": (at_ms + ms).to_string(), "execution_arn": format!("{ARN}:e{n}"), "redrive_count": "0",
        });
        format!("{line}\n")
    };
    vec![
        event(1, "ExecutionStarted", json!({"input": "{}"}), 0),
        event(2, "PassStateEntered", json!({"name": "A", "input": "{}"}), 10),
        event(3, "PassStateExited", json!({"name": "A", "output": "{}"}), 20),
        event(4, &format!("Execution{end}"), json!({"error": "Boom", "cause": "c"}), 30),
    ]
}

fn webhook(name: &str, port: u16) -> String {
    format!("[[deliveries]]\nname = \"{name}\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{port}/hooks/secret\"\n")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_could_not_be_delivered_is_delivered_at_the_next_evaluation_and_to_each_once() {
    let (down, well) = (Hook::open(500), Hook::open(200));
    let watched = Watched::new(&["down", "well"], &(webhook("down", down.port) + &webhook("well", well.port)));
    let output = watched.run();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("delivery failed") && said(&output).contains("`down`"), "{}", said(&output));
    assert!(!said(&output).contains("secret"), "{}", said(&output));
    assert_eq!(down.texts().len(), 4, "four tries");
    assert_eq!(well.texts(), ["FIRING fails: failure_rate of orders is 100.0 % (fires above 1.0 %)"]);
    let owed = watched.undelivered();
    assert_eq!((owed.len(), &owed[0]["delivery"], &owed[0]["attempts"]), (1, &json!("down"), &json!(1)), "{owed:?}");
    down.answers(200);
    let output = watched.run();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let late = down.texts();
    assert!(
        late.len() == 1 && late[0].starts_with("FIRING fails:") && late[0].contains("2025-11-24 16:12 UTC"),
        "{late:?}"
    );
    assert_eq!(well.texts(), [""; 0], "nothing twice");
    assert_eq!(watched.undelivered(), Vec::<Value>::new());
    assert_eq!(watched.run().status.code(), Some(0));
    assert_eq!((down.texts(), well.texts()), (vec![], vec![]));
}

#[test]
fn who_could_not_hear_that_it_fired_hears_that_it_fired_and_recovered() {
    let (down, well) = (Hook::open(503), Hook::open(200));
    let watched = Watched::new(&["down", "well"], &(webhook("down", down.port) + &webhook("well", well.port)));
    assert_eq!(watched.run().status.code(), Some(1));
    let _ = (down.texts(), well.texts());
    down.answers(200);
    let output = watched.run_at(watched.recovers());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let both = down.texts();
    assert!(both.len() == 1 && both[0].starts_with("FIRED AND RESOLVED fails:"), "{both:?}");
    assert!(
        both[0].contains("100.0 % at 2025-11-24 16:12 UTC") && both[0].contains("2025-11-24 18:10 UTC"),
        "{both:?}"
    );
    assert_eq!(well.texts(), ["RESOLVED fails: failure_rate of orders is 0.0 % (fires above 1.0 %)"]);
}

#[test]
fn a_delivery_that_hangs_holds_up_neither_other_deliveries_nor_other_evaluations() {
    let (slow, well) = (Hook::open(200), Hook::open(200));
    let slow_config = webhook("slow", slow.port) + "timeout = \"10m\"\n";
    let watched = Watched::new(&["slow", "well"], &(slow_config + &webhook("well", well.port)));
    let open = slow.close();
    let mut first = watched.start();
    next(&slow.received);
    next(&well.received);
    // The first is sending, and waits for an answer: the second evaluates, adds what is news, and leaves.
    let output = watched.run_at(watched.recovers());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("RESOLVED fails"), "{}", said(&output));
    assert!(first.try_wait().expect("it was started").is_none(), "the first still waits");
    drop(open);
    // What the second added goes with the first.
    let more = [next(&slow.received), next(&well.received)].map(|it| String::from_utf8_lossy(&it.1).into_owned());
    assert!(more.iter().all(|it| it.contains("RESOLVED")), "{more:?}");
    assert_eq!(first.wait().expect("it ends").code(), Some(0));
    assert_eq!(watched.undelivered(), Vec::<Value>::new());
}

#[test]
fn a_delivery_that_never_answers_is_given_up_at_its_limit() {
    let slow = Hook::open(200);
    let command =
        "[[deliveries]]\nname = \"stuck\"\nkind = \"webhook\"\nurl_command = \"sleep 600\"\ntimeout = \"1s\"\n";
    let config = webhook("slow", slow.port) + "timeout = \"1s\"\n" + command;
    let watched = Watched::new(&["slow", "stuck"], &config);
    let _closed = slow.close();
    let output = watched.run();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert_eq!(watched.undelivered().len(), 2);
}

#[test]
fn a_process_that_is_killed_while_it_sends_loses_nothing() {
    let hook = Hook::open(200);
    let watched = Watched::new(&["hook"], &(webhook("hook", hook.port) + "timeout = \"10m\"\n"));
    let open = hook.close();
    let mut first = watched.start();
    next(&hook.received);
    first.kill().expect("it runs");
    first.wait().expect("it ends");
    drop(open);
    let output = watched.run();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(String::from_utf8_lossy(&next(&hook.received).1).contains("FIRING fails"));
    assert_eq!(watched.undelivered(), Vec::<Value>::new());
}

#[test]
fn damaged_state_is_an_error_that_names_the_file() {
    let watched = Watched::new(&[], "");
    let key = "fails arn:aws:states:us-east-1:123456789012:stateMachine:orders";
    let with = |since: &str| format!("{{\"{key}\":{{\"phase\":\"firing\",\"since\":{since}}}}}").into_bytes();
    let owed = format!(
        "{{\"{key}\":{{\"phase\":\"firing\",\"since\":1,\"owed\":{{\"x\":{{\"alert\":\"fails\",\"machine\":null,\"news\":[{{\"phase\":\"firing\",\"at\":9e18,\"since\":null,\"value\":1}}]}}}}}}}}"
    );
    let damages: [Vec<u8>; 11] = [
        with("9223372036854775807"),
        with("-9223372036854775808"),
        with("253402300800000000"),
        with("1e300"),
        with("\"soon\""),
        owed.into_bytes(),
        Vec::new(),
        b"{".to_vec(),
        b"\xff\xfe{}".to_vec(),
        b"[1, 2]".to_vec(),
        "[".repeat(100_000).into_bytes(),
    ];
    for damage in &damages {
        std::fs::write(watched.state(), damage).expect("a file");
        for action in ["list", "run"] {
            let output = watched.bench.run(&watched.arguments(NOW, &[action]));
            let shown = String::from_utf8_lossy(&damage[..damage.len().min(200)]).into_owned();
            assert_eq!(output.status.code(), Some(1), "{action} {shown}: {}", said(&output));
            assert!(said(&output).contains("test.duckdb.alerts.json` is damaged"), "{shown}: {}", said(&output));
        }
        assert_eq!(&std::fs::read(watched.state()).expect("the file"), damage, "it is left as it is");
    }
    std::fs::remove_file(watched.state()).expect("the file");
    let mut schedules = watched.bench.db().into_os_string();
    schedules.push(".schedules.json");
    let one = r#"[{"name":"x","cron":"* * * * *","time_zone":"UTC","report":"cost","period":"7d","to":["x"],"done_until":9223372036854775807}]"#;
    for damage in [one, "", "{}", "[{}]"] {
        std::fs::write(&schedules, damage).expect("a file");
        for action in ["list", "run"] {
            let output = watched.bench.run(&["schedule", action]);
            assert_eq!(output.status.code(), Some(1), "{action} {damage}: {}", said(&output));
            assert!(said(&output).contains("test.duckdb.schedules.json` is damaged"), "{damage}: {}", said(&output));
        }
    }
}

#[test]
fn a_report_reaches_who_could_not_be_reached_and_the_others_once() {
    let hook = Hook::open(500);
    let bench = Bench::demo(40);
    let folder = bench.folder.path().join("good").to_string_lossy().into_owned();
    let config = bench.write("config.toml", webhook("hook", hook.port)).to_string_lossy().into_owned();
    let run = |more: &[&str]| bench.run(&[&["--config", &config, "schedule"][..], more].concat());
    let add =
        ["add", "--cron", "0 7 * * *", "--report", "health", "--to", "hook", "--to", &folder, "--now", "2026-10-31"];
    assert!(run(&add).status.success());
    let due = ["run", "--now", "2026-10-31T08:00:00Z"];
    let output = run(&due);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let page = PathBuf::from(&folder).join("health-2026-10-31T0700.html");
    std::fs::remove_file(&page).expect("it was delivered");
    hook.answers(200);
    assert_eq!(hook.received.try_iter().count(), 4, "four tries");
    let output = run(&due);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("delivered to hook"), "{}", said(&output));
    assert_eq!(hook.received.try_iter().count(), 1);
    assert!(!page.exists(), "who had it does not get it again");
    let output = run(&due);
    assert!(output.status.success() && output.stderr.is_empty(), "{}", said(&output));
    assert!(hook.received.recv_timeout(Duration::ZERO).is_err());
}
