//! What a collector says about itself, and what others make of it: live is an answer of AWS, not a process that runs.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{collect, command, served, service, two_machines, with_credentials};
use crate::stand_in::{Outage, Service, World, serve_on};
use crate::stepscope::Bench;

const PATIENCE: Duration = Duration::from_secs(90);

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        sleep(Duration::from_millis(50));
    }
}

/// A collector that follows, and the lines that it says about itself.
struct Watched {
    child: Child,
    said: Arc<Mutex<Vec<Value>>>,
}

impl Watched {
    fn start(mut command: Command) -> Self {
        command.args(["--follow", "--interval", "1", "--until-input-ends"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it runs");
        let said = Arc::<Mutex<Vec<Value>>>::default();
        let (stdout, heard) = (child.stdout.take().expect("a pipe"), Arc::clone(&said));
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Ok(line) = serde_json::from_str(&line) {
                    heard.lock().expect("the lock").push(line);
                }
            }
        });
        Self { child, said }
    }

    fn of(bench: &Bench, address: &str) -> Self {
        Self::start(command(bench, address, &["--source", "history"]))
    }

    fn last(&self) -> Value {
        self.said.lock().expect("the lock").last().cloned().unwrap_or_default()
    }

    /// Waits until the first target has this obstacle, or none.
    fn has(&self, obstacle: Option<&str>) -> Value {
        let what = format!("{obstacle:?} in {}", self.last());
        wait_until(&what, || {
            let last = self.last();
            let failing = last["targets"][0]["failing"].as_array().cloned().unwrap_or_default();
            match obstacle {
                Some(it) => failing.iter().any(|failing| failing["obstacle"] == it),
                None => failing.is_empty() && last["targets"][0]["answered_at_us"].is_i64(),
            }
        });
        self.last()
    }

    fn stop(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().expect("it ends").success());
    }
}

/// What `doctor` says of the collector: whether it is well, what it found, and what to do.
fn doctor(bench: &Bench) -> (Option<bool>, String, String) {
    let output = bench.run(&["doctor", "--offline", "-o", "json"]);
    let checks: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let checks = checks["checks"].as_array().cloned().unwrap_or_default();
    let check = checks.into_iter().find(|it| it["check"] == "collector").expect("a check");
    let text = |key: &str| check[key].as_str().unwrap_or_default().to_owned();
    (check["ok"].as_bool(), text("detail"), text("fix"))
}

/// What a dashboard that only watches the database shows.
fn screen(bench: &Bench, view: &str) -> String {
    let output = bench.run(&["dash", "--once", "--view", view, "--size", "160x20"]);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until `doctor` says so, and the dashboard has it in its header.
fn says(bench: &Bench, ok: Option<bool>, words: &str, sign: &str) {
    wait_until(&format!("`{words}`, not {:?}", doctor(bench)), || {
        let (is_ok, detail, _) = doctor(bench);
        is_ok == ok && detail.contains(words)
    });
    wait_until(&format!("`{sign}`, not:\n{}", screen(bench, "overview")), || {
        screen(bench, "overview").lines().next().is_some_and(|it| it.contains(sign) && it.contains(words))
    });
}

#[test]
fn a_service_that_answers_is_live_and_one_that_is_gone_is_not() {
    let service = Arc::new(Service::new(World::in_real_time(3)));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = serve_on(Arc::clone(&service), listener);
    let bench = Bench::new();
    let watched = Watched::of(&bench, &address);
    let state = watched.has(None);
    assert_eq!((&state["schema"], &state["follows"]), (&"stepscope.collector_state/1".into(), &true.into()));
    says(&bench, Some(true), "live", "●");
    assert!(screen(&bench, "overview").contains("has found nothing"), "{}", screen(&bench, "overview"));
    wait_until("it is stored", || watched.last()["stored_at_us"].is_i64());
    *service.outage.lock().expect("the lock") = Outage::Down;
    let state = watched.has(Some("unreachable"));
    assert!(state["targets"][0]["next_try_at_us"].is_i64(), "{state}");
    says(&bench, Some(false), "AWS unreachable since", "✗");
    let empty = screen(&bench, "overview");
    assert!(empty.contains("nothing is stored yet") && empty.contains("check the network"), "{empty}");
    *service.outage.lock().expect("the lock") = Outage::None;
    watched.has(None);
    says(&bench, Some(true), "live", "●");
    watched.stop();
    let (ok, detail, _) = doctor(&bench);
    assert_eq!(ok, Some(true), "{detail}");
    assert!(detail.starts_with("collector stopped"), "{detail}");
}

#[test]
fn without_credentials_nothing_is_live() {
    let (_service, address) = served(service(two_machines(1)));
    let bench = Bench::new();
    let config = bench.write("aws/config", "[profile x]\nregion = us-east-1\n");
    let arguments = ["collect", "--endpoint-url", &address, "--profile", "x", "--source", "history"];
    let without = |more: &[&str]| {
        let mut command = bench.command(&[&arguments[..], more].concat());
        with_credentials(&mut command);
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").env("AWS_CONFIG_FILE", &config);
        command
    };
    let watched = Watched::start(without(&[]));
    watched.has(Some("no_credentials"));
    says(&bench, Some(false), "no credentials for profile `x`", "✗");
    let (_, _, fix) = doctor(&bench);
    assert!(fix.contains("aws sso login --profile"), "{fix}");
    for view in ["overview", "collector"] {
        let screen = screen(&bench, view);
        assert!(screen.contains("not collecting") && screen.contains("aws sso login --profile"), "{screen}");
        assert!(!screen.contains("No collector has written"), "{screen}");
    }
    watched.stop();
    // A single run says the same.
    let output = without(&[]).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("because: no credentials for profile `x`") && said.contains("aws sso login"), "{said}");
    let (ok, detail, _) = doctor(&bench);
    assert_eq!(ok, Some(false));
    assert!(detail.contains("(exit 1): no credentials for profile `x`"), "{detail}");
}

#[test]
fn a_permission_that_is_lost_on_the_way_is_named() {
    let (service, address) = served(Service::new(World::in_real_time(3)));
    let bench = Bench::new();
    let watched = Watched::of(&bench, &address);
    watched.has(None);
    service.lost.lock().expect("the lock").insert("ListStateMachines");
    let state = watched.has(Some("denied"));
    assert_eq!(state["targets"][0]["failing"][0]["detail"], "states:ListStateMachines");
    wait_until("doctor names it", || {
        let (ok, detail, fix) = doctor(&bench);
        ok == Some(false) && detail.contains("`states:ListStateMachines` is denied") && fix.contains("stepscope policy")
    });
    service.lost.lock().expect("the lock").clear();
    watched.has(None);
    watched.stop();
}

#[test]
fn expired_credentials_and_a_wrong_clock_are_told_apart() {
    let (service, address) = served(Service::new(World::in_real_time(3)));
    let bench = Bench::new();
    let watched = Watched::of(&bench, &address);
    watched.has(None);
    for (code, message, obstacle, words) in [
        (
            "ExpiredTokenException",
            "The security token included in the request is expired",
            "expired_credentials",
            "have expired since",
        ),
        (
            "InvalidSignatureException",
            "Signature expired: 20261130T000000Z is now earlier than 20261130T000500Z",
            "wrong_clock",
            "this machine's clock",
        ),
        ("UnrecognizedClientException", "no", "invalid_credentials", "are refused"),
        ("InternalFailure", "no", "service_error", "AWS answers with errors"),
    ] {
        *service.outage.lock().expect("the lock") = Outage::Refuses(code, message);
        watched.has(Some(obstacle));
        says(&bench, Some(false), words, "✗");
    }
    *service.outage.lock().expect("the lock") = Outage::None;
    watched.has(None);
    watched.stop();
}

#[test]
fn a_collector_that_is_killed_is_not_live_and_one_that_comes_after_is() {
    let (_service, address) = served(Service::new(World::in_real_time(3)));
    let bench = Bench::new();
    let mut watched = Watched::of(&bench, &address);
    watched.has(None);
    says(&bench, Some(true), "live", "●");
    watched.child.kill().expect("it is ours");
    watched.child.wait().expect("it ends");
    says(&bench, Some(false), "collector ended at", "✗");
    assert!(doctor(&bench).1.contains("(killed)"), "{:?}", doctor(&bench));
    let watched = Watched::of(&bench, &address);
    watched.has(None);
    says(&bench, Some(true), "live", "●");
    // Another that may not write leaves word of its own end to its log alone: the first one goes on.
    let second = collect(&bench, &address, &["--source", "history"]);
    assert_eq!(second.status.code(), Some(1));
    says(&bench, Some(true), "live", "●");
    watched.stop();
}

#[test]
fn a_profile_that_does_not_exist_is_named() {
    let bench = Bench::new();
    let config = bench.write("aws/config", "[profile prod]\n[default]\n");
    for command in ["collect", "doctor"] {
        let mut command = bench.command(&[command, "--profile", "nope"]);
        let output = with_credentials(&mut command).env("AWS_CONFIG_FILE", &config).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("unknown profile `nope`") && said.contains("`prod`"), "{said}");
    }
}
