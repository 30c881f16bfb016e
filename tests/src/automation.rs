//! What happens when nobody is looking, and what leaves the tool: alerts and schedules.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::emulator::Emulator;
use crate::stepscope::Bench;

const NOW: &str = "2026-11-01T00:00:00Z";

/// A server that takes a request for each of the answers, and hands on path and body.
pub(crate) fn server(answers: &'static [u16]) -> (u16, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (send, received) = channel();
    thread::spawn(move || {
        for status in answers {
            let Ok((stream, _)) = listener.accept() else { return };
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
            let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = reader.get_mut().write_all(answer.as_bytes());
            let _ = send.send((lines.first().cloned().unwrap_or_default(), body));
        }
    });
    (port, received)
}

pub(crate) fn next(received: &Receiver<(String, Vec<u8>)>) -> (String, Vec<u8>) {
    received.recv_timeout(Duration::from_secs(20)).expect("a request")
}

/// A report at seven, to one destination.
fn every_morning<'a>(report: &'a str, to: &'a str) -> [&'a str; 8] {
    ["schedule", "add", "--cron", "0 7 * * *", "--report", report, "--to", to]
}

/// A mail server that takes one letter and hands it on with its envelope.
fn mail_server() -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (send, received) = channel();
    thread::spawn(move || {
        let Ok((stream, _)) = listener.accept() else { return };
        let mut reader = BufReader::new(stream);
        let (mut letter, mut is_data) = (String::new(), false);
        let _ = reader.get_mut().write_all(b"220 here\r\n");
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                break;
            }
            letter += &line;
            let answer: &[u8] = match line.trim_end() {
                "." if is_data => {
                    is_data = false;
                    b"250 taken\r\n"
                }
                _ if is_data => continue,
                "DATA" => {
                    is_data = true;
                    b"354 go on\r\n"
                }
                "QUIT" => b"221 bye\r\n",
                _ => b"250 yes\r\n",
            };
            let _ = reader.get_mut().write_all(answer);
        }
        let _ = send.send(letter);
    });
    (port, received)
}

#[test]
fn a_report_goes_by_mail_with_its_page() {
    let bench = Bench::demo(300);
    let (port, received) = mail_server();
    let config = format!(
        "[[deliveries]]\nname = \"leads\"\nkind = \"mail\"\nurl = \"smtp://127.0.0.1:{port}\"\nfrom = \"stepscope@example.com\"\nrecipients = [\"leads@example.com\"]\n"
    );
    let config = bench.write("config.toml", config);
    let config = config.to_string_lossy();
    let run = |more: &[&str]| bench.run(&[&["--config", &config, "schedule"][..], more].concat());
    let add = ["add", "--cron", "0 7 * * MON", "--report", "health", "--to", "leads", "--now", "2026-10-20"];
    assert!(run(&add).status.success());
    let output = run(&["run", "--now", "2026-11-02T08:00:00Z"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let letter = received.recv_timeout(Duration::from_secs(20)).expect("a letter");
    for part in [
        "RCPT TO:<leads@example.com>",
        "Subject: Step Functions health",
        "health-2026-11-02T0700.html",
        "executions failed",
    ] {
        assert!(letter.contains(part), "{part}: {}", &letter[..letter.len().min(2_000)]);
    }
    assert_eq!(run(&["add", "--cron", "0 7 * * MON", "--report", "cost", "--to", "nobody"]).status.code(), Some(2));
}

#[test]
fn an_alert_is_told_once_when_it_begins_and_once_when_it_is_over() {
    let bench = Bench::demo(1_000);
    let (port, received) = server(&[503, 200, 200]);
    let config = bench.folder.path().join("config.toml");
    let text = format!(
        "[[alerts]]\nname = \"orders slow\"\nrule = \"p95_ms\"\nmachine = \"order-processing\"\nabove = 2500.0\nwindow = \"1h\"\nto = [\"ops\", \"here\"]\n\
         [[deliveries]]\nname = \"ops\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{port}/hooks/secret\"\n\
         [[deliveries]]\nname = \"here\"\nkind = \"folder\"\npath = \"{}\"\n",
        bench.folder.path().join("told").display()
    );
    std::fs::write(&config, text).expect("a configuration");
    let config = config.to_string_lossy().into_owned();
    let run = |more: &[&str]| bench.run(&[&["--config", &config, "-o", "json", "alerts"][..], more].concat());
    let listed = run(&["list", "--now", NOW]);
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let fired = run(&["run", "--fail-on", "any", "--now", NOW]);
    let said = String::from_utf8_lossy(&fired.stderr).into_owned();
    assert_eq!(fired.status.code(), Some(3), "{said}");
    assert!(said.contains("FIRING orders slow") && !said.contains("secret"), "{said}");
    let result: Value = serde_json::from_slice(&fired.stdout).expect("JSON");
    assert_eq!(result["alerts"][0]["state"], "firing");
    crate::command_line::is_valid(&bench, "alerts", &result);
    // The first answer was no; it came again.
    let (first, again) = (next(&received), next(&received));
    assert_eq!(first, again);
    let told: Value = serde_json::from_slice(&again.1).expect("JSON");
    assert_eq!((again.0.as_str(), &told["alert"]), ("POST /hooks/secret HTTP/1.1", &"orders slow".into()));
    assert_eq!(run(&["run", "--now", NOW]).status.code(), Some(0), "told once");
    // Nothing ran the day after: that is not known to be well. At noon it was.
    let later = run(&["run", "--fail-on", "any", "--now", "2026-11-02T00:00:00Z"]);
    assert_eq!(later.status.code(), Some(3), "what is not known changes nothing");
    let over = run(&["run", "--fail-on", "orders slow", "--now", "2026-10-31T12:00:00Z"]);
    assert_eq!(over.status.code(), Some(0), "{}", String::from_utf8_lossy(&over.stderr));
    assert!(String::from_utf8_lossy(&next(&received).1).contains("RESOLVED"));
    let files = std::fs::read_dir(bench.folder.path().join("told")).expect("a folder").count();
    assert_eq!(files, 2);
    assert_eq!(run(&["run", "--fail-on", "nobody"]).status.code(), Some(2));
}

#[test]
fn every_rule_measures_something_and_what_is_no_rule_is_said() {
    let bench = Bench::demo(300);
    let rule = |rule: &str, more: &str| {
        format!("[[alerts]]\nname = \"{rule}\"\nrule = \"{rule}\"\nabove = 1e9\nwindow = \"24h\"\n{more}\n")
    };
    let rules = [
        "failure_rate",
        "p95_ms",
        "p95_ratio",
        "stuck_executions",
        "execution_events",
        "budget_day_usd",
        "budget_month_usd",
        "cost_spike",
        "throttled",
        "coverage",
        "collector_lag_s",
        "slo_success",
        "slo_latency",
        "anomaly_failures",
        "anomaly_latency",
    ];
    let text: String = rules.iter().map(|it| rule(it, "objective = 0.99\nlatency_ms = 1000.0")).collect();
    let config = bench.write("config.toml", text.as_bytes());
    let listed = bench.run(&["--config", &config.to_string_lossy(), "--now", NOW, "-o", "json", "alerts", "list"]);
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let found: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let values = |rule: &str| {
        let all = found["alerts"].as_array().expect("alerts").iter().filter(|it| it["rule"] == rule);
        all.map(|it| it["value"].clone()).collect::<Vec<_>>()
    };
    for it in [
        "failure_rate",
        "p95_ms",
        "execution_events",
        "budget_day_usd",
        "budget_month_usd",
        "slo_success",
        "slo_latency",
    ] {
        assert!(values(it).iter().any(Value::is_number), "{it}: {:?}", values(it));
    }
    // The demo counts as collected until ten minutes before its end: later executions would end after it.
    assert_eq!(values("collector_lag_s"), [600.0]);
    // No metric is stored, and no day before this one: not known, and not 0.
    for it in ["throttled", "cost_spike"] {
        assert!(values(it).iter().all(Value::is_null), "{it}: {:?}", values(it));
    }
    let config = bench.write("wrong.toml", rule("weather", "").as_bytes());
    let output = bench.run(&["--config", &config.to_string_lossy(), "alerts", "list"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("budget_month_usd"), "the rules are listed");
}

#[test]
fn a_schedule_catches_up_once_and_its_page_is_in_the_folder() {
    let bench = Bench::demo(1_000);
    let folder = bench.folder.path().join("reports");
    let to = folder.to_string_lossy().into_owned();
    let add = [&every_morning("cost", &to)[..], &["--time-zone", "Europe/Berlin", "--period", "24h"]].concat();
    assert!(bench.run(&[&add[..], &["--now", "2026-10-29T12:00:00Z"]].concat()).status.success());
    assert_eq!(bench.run(&add).status.code(), Some(2), "the name is taken");
    let listed = bench.json(&["schedule", "list", "--now", "2026-10-30T12:00:00Z"]);
    assert_eq!(listed["schedules"][0]["due_at"], "2026-10-30T06:00:00.000Z");
    for _ in 0..2 {
        let output = bench.run(&["schedule", "run", "--now", "2026-11-01T12:00:00Z"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let names: Vec<String> = std::fs::read_dir(&folder)
        .expect("a folder")
        .map(|it| it.expect("a file").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names, ["cost-2026-11-01T0600.html"], "three mornings were missed, and one page is made");
    let page = std::fs::read_to_string(folder.join(&names[0])).expect("a page");
    assert!(page.starts_with("<!doctype html>") && page.contains("order-processing"));
    assert!(bench.run(&["schedule", "install"]).stdout.starts_with(b"* * * * * "));
    assert!(bench.run(&["schedule", "remove", "cost"]).status.success());
    assert_eq!(bench.run(&["schedule", "remove", "cost"]).status.code(), Some(2));
}

/// An hour of trouble at noon is evidence on its machine alone, however often the morning was looked at.
#[test]
fn evidence_grows_where_something_happens_and_nowhere_else() {
    let bench = Bench::demo_until(4_000, "2026-11-01T12:00:00Z");
    let rule = "[[alerts]]\nname = \"slow\"\nrule = \"anomaly_latency\"\nabove = 1000.0\n";
    let config = bench.write("config.toml", rule);
    let firing = |now: &str| {
        let output = bench.run(&["--config", &config.to_string_lossy(), "--now", now, "-o", "json", "alerts", "list"]);
        let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let all = found["alerts"].as_array().expect("alerts").clone();
        assert_eq!(all.len(), 3, "{found}");
        let firing = all.iter().filter(|it| it["state"] == "firing").filter_map(|it| it["state_machine_arn"].as_str());
        firing.filter_map(|it| it.rsplit(':').next().map(str::to_owned)).collect::<Vec<_>>()
    };
    for hour in 1..11 {
        assert_eq!(firing(&format!("2026-11-01T{hour:02}:00:00Z")), [""; 0], "{hour}");
    }
    assert_eq!(firing("2026-11-01T12:00:00Z"), ["order-processing"]);
}

#[test]
fn a_report_goes_into_a_bucket() {
    let bench = Bench::demo(300);
    let moto = Emulator::moto();
    let endpoint = moto.address();
    let agent = |method: &str, path: &str| {
        let mut stream = std::net::TcpStream::connect(endpoint.trim_start_matches("http://")).expect("moto answers");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: AWS4-HMAC-SHA256 Credential=test/20261101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("it takes a request");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    let made = agent("PUT", "/reports-bucket");
    assert!(made.starts_with("HTTP/1.1 200"), "{made}");
    let config = format!(
        "[[deliveries]]\nname = \"archive\"\nkind = \"s3\"\npath = \"s3://reports-bucket/weekly/\"\nregion = \"us-east-1\"\nendpoint_url = \"{endpoint}\"\n"
    );
    let config = bench.write("config.toml", config);
    let config = config.to_string_lossy();
    let run = |more: &[&str]| {
        let mut command = bench.command(&[&["--config", &config, "schedule"][..], more].concat());
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test").output().expect("it runs")
    };
    let add = ["add", "--cron", "0 7 * * MON", "--report", "cost", "--to", "archive", "--now", "2026-10-20"];
    assert!(run(&add).status.success());
    let output = run(&["run", "--now", "2026-11-02T08:00:00Z"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = agent("GET", "/reports-bucket/weekly/cost-2026-11-02T0700.html");
    assert!(page.contains("<!doctype html>") && page.contains("text/html"), "{}", &page[..page.len().min(500)]);
}

/// Who got a report does not get it again because another could not be reached; and what rules cannot measure stops nobody.
#[test]
fn what_fails_holds_up_nobody_else() {
    let bench = Bench::demo(300);
    let folder = bench.folder.path().join("good").to_string_lossy().into_owned();
    let config = bench.write(
        "config.toml",
        format!(
            "[[alerts]]\nname = \"gone\"\nrule = \"p95_ms\"\nmachine = \"not-seen-yet\"\nabove = 1.0\nto = [\"good\"]\n\
             [[alerts]]\nname = \"slow\"\nrule = \"p95_ms\"\nabove = 1.0\nwindow = \"24h\"\nto = [\"good\"]\n\
             [[deliveries]]\nname = \"good\"\nkind = \"folder\"\npath = \"{folder}\"\n\
             [[deliveries]]\nname = \"dead\"\nkind = \"folder\"\npath = \"/proc/nowhere\"\n"
        ),
    );
    let config = config.to_string_lossy();
    let run = |more: &[&str]| bench.run(&[&["--config", &config][..], more].concat());
    let add = [&every_morning("health", "dead")[..], &["--to", "good", "--now", "2026-10-31"]].concat();
    assert!(run(&add).status.success());
    let due = ["schedule", "run", "--now", "2026-11-01T08:00:00Z"];
    assert_eq!(run(&due).status.code(), Some(1), "one could not be reached");
    let page = std::path::Path::new(&folder).join("health-2026-11-01T0700.html");
    std::fs::write(&page, "as it was").expect("the page was delivered");
    // It is tried again, and the other does not get it again.
    assert_eq!(run(&due).status.code(), Some(1));
    assert_eq!(std::fs::read(&page).expect("a page"), b"as it was");
    let listed = run(&["-o", "json", "schedule", "list", "--now", "2026-11-01T08:00:00Z"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    crate::command_line::is_valid(&bench, "schedule", &listed);
    assert_eq!(listed["schedules"][0]["undelivered"]["to"], serde_json::json!(["dead"]));
    assert_eq!(listed["schedules"][0]["undelivered"]["attempts"], 2);
    let alerts = run(&["alerts", "run", "--now", NOW]);
    assert_ne!(alerts.status.code(), Some(0));
    let files = std::fs::read_dir(&folder).expect("a folder").count();
    assert_eq!(files, 1 + 3, "a page, and a file for each machine that is slow");
}

#[test]
fn an_alert_that_begins_in_silence_is_told_after_it() {
    let bench = Bench::demo(300);
    let config = "[[alerts]]\nname = \"slow\"\nrule = \"p95_ms\"\nmachine = \"ml-inference\"\nabove = 1.0\nwindow = \"24h\"\nsilenced_until = \"2026-10-31T23:30:00Z\"\n";
    let config = bench.write("config.toml", config);
    let run = |now: &str| {
        let output = bench.run(&["--config", &config.to_string_lossy(), "--now", now, "alerts", "run"]);
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(!run("2026-10-31T23:00:00Z").contains("FIRING"));
    assert!(run("2026-10-31T23:45:00Z").contains("FIRING slow"));
    assert!(!run("2026-10-31T23:50:00Z").contains("FIRING"));
}
