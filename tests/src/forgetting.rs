//! What is forgotten is in no file any more, and does not come back until it is wanted.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use collector::synthetic::Random;
use serde_json::{Value, json};

use crate::privacy::all_text;
use crate::stepscope::Bench;

const PREFIX: &str = "arn:aws:states:us-east-1:123456789012";
/// The execution that is forgotten: the only one of its state machine, started by another, in a trace of its own.
const NAME: &str = "CANARYNAME-7f3a";
const REQUEST: &str = "8cb7aeb9-0000-4c1c-9c07-canaryreq001";
const TRACE: &str = "1-5f84c7a1-canarytrace0000000000001";
/// Every text that stands for it.
const MARKS: [&str; 4] = ["CANARY", "canary", REQUEST, TRACE];

fn arn() -> String {
    format!("{PREFIX}:execution:secrets:{NAME}")
}

fn history(arn: &str, events: &[(&str, Value)]) -> String {
    let event = |(index, (kind, details)): (usize, &(&str, Value))| {
        let key = match *kind {
            it if it.ends_with("StateEntered") => "stateEnteredEventDetails".to_owned(),
            it if it.ends_with("StateExited") => "stateExitedEventDetails".to_owned(),
            it => format!("{}{}EventDetails", it[..1].to_lowercase(), &it[1..]),
        };
        let mut event =
            json!({"id": index + 1, "previousEventId": index, "type": kind, "timestamp": 1_790_000_000 + index});
        event[key] = details.clone();
        event
    };
    let events: Vec<Value> = events.iter().enumerate().map(event).collect();
    json!({"executionArn": arn, "events": events}).to_string()
}

/// The forgotten one, with marks in everything that is kept of it.
fn own_history() -> String {
    let output = json!({"card": "CANARYOUT", "SdkResponseMetadata": {"RequestId": REQUEST}}).to_string();
    history(
        &arn(),
        &[
            (
                "ExecutionStarted",
                json!({"input": "{\"card\":\"CANARYIN\",\"orderId\":\"CANARYKEY\"}", "roleArn": "arn:aws:iam::1:role/CANARYROLE"}),
            ),
            ("TaskStateEntered", json!({"name": "CANARYSTATE", "input": "{}"})),
            (
                "TaskScheduled",
                json!({"resourceType": "lambda", "resource": "CANARYRESOURCE", "region": "us-east-1", "parameters": "\"CANARYPARAM\""}),
            ),
            ("TaskSucceeded", json!({"resourceType": "lambda", "resource": "CANARYRESOURCE", "output": output})),
            (
                "TaskStateExited",
                json!({"name": "CANARYSTATE", "output": output, "assignedVariables": {"v": "\"CANARYVAR\""}}),
            ),
            ("CANARYKIND", json!({"unknown": "CANARYUNKNOWN"})),
            ("ExecutionFailed", json!({"error": "Err CANARYERR", "cause": "CANARYCAUSE"})),
        ],
    )
}

/// The one that had started it: what it got and gave stands in its own events.
fn parents_history() -> String {
    let answer = json!({"ExecutionArn": arn(), "Name": NAME, "Input": "{\"card\":\"CANARYIN\"}", "Output": "{\"card\":\"CANARYOUT\"}"}).to_string();
    let call = |more: Value| {
        let mut it = json!({"resourceType": "states", "resource": "startExecution.sync:2"});
        it.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        it
    };
    history(
        &format!("{PREFIX}:execution:parents:parent-1"),
        &[
            ("ExecutionStarted", json!({"input": "{\"mine\":\"kept-by-the-parent\"}"})),
            ("TaskStateEntered", json!({"name": "Start", "input": "{}"})),
            (
                "TaskScheduled",
                call(
                    json!({"region": "us-east-1", "parameters": json!({"Input": {"card": "CANARYIN"}, "Name": NAME}).to_string()}),
                ),
            ),
            ("TaskStarted", call(json!({}))),
            ("TaskSubmitted", call(json!({"output": json!({"ExecutionArn": arn()}).to_string()}))),
            ("TaskSucceeded", call(json!({"output": answer}))),
            (
                "TaskStateExited",
                json!({"name": "Start", "output": json!({"mine": "kept-by-the-parent", "child": answer}).to_string()}),
            ),
            (
                "ExecutionSucceeded",
                json!({"output": json!({"child": [serde_json::from_str::<Value>(&answer).expect("JSON")]}).to_string()}),
            ),
        ],
    )
}

/// One that it had started, which names it in its input.
fn childs_history() -> String {
    let input = json!({"AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": arn(), "own": "kept-by-the-child"}).to_string();
    history(
        &format!("{PREFIX}:execution:children:child-1"),
        &[("ExecutionStarted", json!({"input": input})), ("ExecutionSucceeded", json!({"output": "{}"}))],
    )
}

fn logs() -> String {
    let line = |id: u64, kind: &str, details: Value| {
        json!({
            "id": id.to_string(), "type": kind, "details": details, "previous_event_id": (id - 1).to_string(),
            "event_timestamp": (1_790_000_000_000 + id).to_string(), "execution_arn": arn(), "redrive_count": "0",
        })
    };
    [
        line(1, "ExecutionStarted", json!({"input": "CANARYIN"})),
        line(2, "ExecutionFailed", json!({"error": "Err CANARYERR", "cause": "CANARYCAUSE"})),
    ]
    .map(|it| it.to_string())
    .join("\n")
}

fn traces() -> String {
    let segment = |id: &str, parent: Option<&str>, more: Value| {
        let mut it = json!({"id": id, "trace_id": TRACE, "name": "n", "start_time": 1_790_000_000.0, "end_time": 1_790_000_001.0});
        it.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        if let Some(parent) = parent {
            it["parent_id"] = parent.into();
        }
        json!({"Id": id, "Document": it.to_string()})
    };
    let of_function = segment(
        "bbbbbbbbbbbbbbbb",
        Some("cccccccccccccccc"),
        json!({"origin": "AWS::Lambda::Function", "metadata": {"m": "CANARYMETA"}}),
    );
    let own = segment(
        "aaaaaaaaaaaaaaaa",
        None,
        json!({"origin": "AWS::StepFunctions::StateMachine", "aws": {"execution_arn": arn()}, "metadata": {"default": {"p": "CANARYF4"}},
            "subsegments": [{"id": "cccccccccccccccc", "name": "CANARYSTATE", "start_time": 1_790_000_000.0, "aws": {"request_id": REQUEST}}]}),
    );
    json!({"Traces": [{"Id": TRACE, "Segments": [of_function, own]}]}).to_string()
}

fn other_segment() -> String {
    json!({"id": "eeeeeeeeeeeeeeee", "trace_id": "1-5f84c7a1-bbbbbbbbbbbbbbbbbbbbbbbb", "name": "kept", "start_time": 1_790_000_000.0,
        "aws": {"resource_arn": format!("{PREFIX}:execution:parents:parent-1")}, "annotations": {"started": arn()}})
    .to_string()
}

fn report(request: &str, trace: &str) -> String {
    format!(
        "2026-09-21T14:13:20.010Z REPORT RequestId: {request}\tDuration: 5.00 ms\tBilled Duration: 8 ms\tMemory Size: 128 MB\tMax Memory Used: 70 MB\tXRAY TraceId: {trace}\t\n"
    )
}

/// Every form in which the forgotten one may be told again, each in a file of its own.
fn forms() -> Vec<(&'static str, String)> {
    let record = json!({
        "executionArn": arn(), "stateMachineArn": format!("{PREFIX}:stateMachine:secrets"), "name": NAME, "status": "FAILED",
        "startDate": 1_790_000_000.0, "stopDate": 1_790_000_006.0,
    });
    let mut described = record.clone();
    described["error"] = "Err CANARYERR".into();
    described["input"] = "CANARYIN".into();
    let event = json!({"version": "0", "id": "1", "detail-type": "Step Functions Execution Status Change", "source": "aws.states", "detail": described});
    vec![
        ("history.json", own_history()),
        ("logs.jsonl", logs()),
        ("listing.json", json!({"executions": [record]}).to_string()),
        ("described.json", described.to_string()),
        ("event.json", event.to_string()),
        ("traces.json", traces()),
        ("by-request.log", report(REQUEST, "1-5f84c7a1-cccccccccccccccccccccccc")),
        ("by-trace.log", report("another-request", TRACE)),
        ("parent.json", parents_history()),
        ("child.json", childs_history()),
        ("of-parent.json", other_segment()),
    ]
}

fn import(bench: &Bench, name: &str, content: &str, more: &[&str]) -> Value {
    let path = bench.write(&format!("in/{name}"), content).to_string_lossy().into_owned();
    let keys = "index = [\"$.orderId\"]\n";
    bench.write("stepscope/config.toml", keys);
    bench.json(&[&["import"][..], more, &[&path]].concat())
}

/// A database with a few others and the one to be forgotten, in every table that may tell of it, and its sidecars.
fn filled() -> Bench {
    let bench = Bench::new();
    let log = bench.run(&["simulate", "--executions", "200", "--seed", "7"]).stdout;
    import(&bench, "others.jsonl", &String::from_utf8(log).expect("text"), &[]);
    for (name, content) in forms() {
        import(&bench, name, &content, &[]);
    }
    let machine = format!("{PREFIX}:stateMachine:secrets");
    import(
        &bench,
        "tags.json",
        &json!({"resourceArn": machine, "tags": [{"key": "CANARYTAG", "value": "CANARYTAGVALUE"}]}).to_string(),
        &[],
    );
    // Two tellings that contradict one another are noted in the quarantine, by the execution's ARN.
    import(&bench, "conflict.json", &history(&arn(), &[("ExecutionSucceeded", json!({"output": "{}"}))]), &[]);
    assert!(
        bench
            .run(&["mark", "deploy", "--at", "2026-09-21T00:00:00Z", "--label", &format!("after {NAME}")])
            .status
            .success()
    );
    let beside =
        |suffix: &str, content: &str| fs::write(format!("{}{suffix}", bench.db().display()), content).expect("a file");
    beside(".v1.bak", &format!("as it was before: {}", arn()));
    beside(".collect.log", &format!("2026-09-21 fine\n2026-09-21 read {}\n2026-09-21 well\n", arn()));
    beside(".alerts.json", &json!({"rule": {"seen": arn()}}).to_string());
    beside(".rewrite-1", &arn());
    bench
}

/// The marks that are found in the files and in the answers.
fn found(bench: &Bench) -> Vec<String> {
    let text = all_text(bench, bench.folder.path());
    let around = |at: usize| text.chars().skip(text[..at].chars().count().saturating_sub(50)).take(120).collect();
    MARKS.iter().filter_map(|it| text.find(it)).map(around).collect()
}

#[test]
fn nothing_of_it_is_left_in_any_file_and_the_rest_is_whole() {
    let bench = filled();
    let counts = |bench: &Bench| {
        [
            "executions",
            "events",
            "payloads",
            "visits",
            "attempts",
            "critical_path",
            "segments",
            "lambda_reports",
            "marks",
            "tags",
        ]
        .map(|it| bench.rows(&format!("SELECT count(*) FROM {it}")).remove(0))
    };
    assert!(!found(&bench).is_empty(), "what is looked for can be found");
    assert_ne!(bench.rows("SELECT count(*) FROM quarantine"), ["[0]"]);
    let before = counts(&bench);
    let states = "SELECT state, type, count(*), sum(duration_ms)::VARCHAR FROM visits WHERE NOT contains(execution_arn, 'CANARY') GROUP BY ALL";
    let others = bench.rows(states);
    let result = bench.json(&["forget", NAME]);
    crate::command_line::is_valid(&bench, "forget", &result);
    assert_eq!((&result["forgotten"], &result["rewritten"]), (&json!(1), &json!(true)));
    assert_eq!(result["files"].as_array().map(Vec::len), Some(3), "{result}");
    assert_eq!(found(&bench), Vec::<String>::new());
    assert!(!Path::new(&format!("{}.rewrite-1", bench.db().display())).exists());
    let after = counts(&bench);
    assert_eq!(bench.rows(states), others, "the others are as they were");
    let number = |text: &str| text.trim_matches(['[', ']']).parse::<i64>().expect("a number");
    let gone: Vec<i64> = before.iter().zip(&after).map(|(one, other)| number(one) - number(other)).collect();
    assert_eq!((gone[0], gone[1], gone[6], gone[7], gone[8], gone[9]), (1, 7, 2, 2, 1, 1), "{before:?} {after:?}");
    // What others hold of their own stays with them.
    let kept = bench.rows("SELECT body FROM payloads").join("\n");
    assert!(
        kept.contains("kept-by-the-parent") && kept.contains("kept-by-the-child") && kept.contains("[forgotten]"),
        "{kept}"
    );
    let log = fs::read_to_string(format!("{}.collect.log", bench.db().display())).expect("a log");
    assert_eq!(log, "2026-09-21 fine\n2026-09-21 well\n");
    // The rollups agree with the visits, and the file with what a new one would be.
    assert_eq!(
        bench.json(&["states"])["machines"].as_array().map(Vec::len),
        bench.json(&["states", "--since", "2020-01-01"])["machines"].as_array().map(Vec::len)
    );
    assert_eq!(bench.run(&["forget", NAME]).status.code(), Some(2), "it is not there");
}

#[test]
fn it_does_not_come_back_in_any_form_until_it_is_wanted() {
    let bench = filled();
    bench.json(&["forget", NAME]);
    let before = bench.everything();
    for (name, content) in forms() {
        let result = import(&bench, name, &content, &[]);
        crate::command_line::is_valid(&bench, "import", &result);
        let is_of_others = ["parent.json", "child.json", "of-parent.json"].contains(&name);
        assert_eq!(result["forgotten"].as_u64().is_some_and(|it| it > 0), !is_of_others, "{name}: {result}");
        assert_eq!(
            (&result["events"], &result["segments"], &result["lambda_reports"]),
            (&json!(0), &json!(0), &json!(0)),
            "{name}: {result}"
        );
        assert_eq!(found(&bench), Vec::<String>::new(), "{name}");
    }
    assert!(before == bench.everything(), "nothing has changed");
    // All at once, in the order of a folder.
    let folder = bench.folder.path().join("again");
    fs::create_dir(&folder).expect("a folder");
    for (name, content) in forms() {
        fs::write(folder.join(name), content).expect("a file");
    }
    let folder = folder.to_string_lossy().into_owned();
    let result = bench.json(&["import", &folder]);
    assert_eq!(
        (&result["executions"], &result["events"], &result["segments"]),
        (&json!(0), &json!(0), &json!(0)),
        "{result}"
    );
    assert!(before == bench.everything());
    let result = bench.json(&["import", "--again", &folder]);
    assert_eq!((&result["forgotten"], &result["segments"]), (&json!(0), &json!(3)), "{result}");
    assert_eq!(
        bench.rows(&format!("SELECT error FROM executions WHERE execution_arn = '{}'", arn())),
        ["[\"Err CANARYERR\"]"]
    );
    assert_eq!(bench.rows("SELECT count(*) FROM lambda_reports"), ["[2]"]);
    assert!(
        bench.rows("SELECT body FROM payloads WHERE contains(execution_arn, 'parents')").join("").contains("CANARYOUT")
    );
    assert_eq!(bench.json(&["import", &folder])["forgotten"], 0, "it is no longer forgotten");
}

#[test]
fn a_trace_that_comes_in_pieces_does_not_bring_it_back() {
    let bench = Bench::new();
    import(&bench, "history.json", &own_history(), &["--payloads", "none"]);
    let all: Value = serde_json::from_str(&traces()).expect("JSON");
    let piece = |index: usize| {
        json!({"Traces": [{"Id": TRACE, "Segments": [all["Traces"][0]["Segments"][index]]}]}).to_string()
    };
    bench.json(&["forget", NAME]);
    // The function's segment alone names nobody; once its caller's is seen, it goes too, and is known from then on.
    assert_eq!(import(&bench, "function.json", &piece(0), &[])["segments"], 1);
    let result = import(&bench, "own.json", &piece(1), &[]);
    assert_eq!((&result["segments"], &result["forgotten"]), (&json!(0), &json!(1)), "{result}");
    assert_eq!(bench.rows("SELECT count(*) FROM segments"), ["[0]"]);
    assert_eq!(import(&bench, "function.json", &piece(0), &[])["segments"], 0);
    assert_eq!(
        import(&bench, "report.log", &report(REQUEST, "1-5f84c7a1-cccccccccccccccccccccccc"), &[])["lambda_reports"],
        0
    );
}

#[test]
fn a_rewriting_that_is_killed_leaves_a_database_that_is_whole() {
    // A hundred and more are for the record: STEPSCOPE_KILLS=200.
    let kills: usize = std::env::var("STEPSCOPE_KILLS").ok().and_then(|it| it.parse().ok()).unwrap_or(12);
    let bench = Bench::new();
    let log = bench.run(&["simulate", "--executions", "1000", "--seed", "3"]).stdout;
    import(&bench, "others.jsonl", &String::from_utf8(log).expect("text"), &[]);
    let mut arns: Vec<String> = bench
        .rows("SELECT execution_arn FROM executions")
        .iter()
        .map(|it| it.trim_matches(['[', ']', '"']).to_owned())
        .collect();
    let mut random = Random::new(20_261_130);
    let n_before = arns.len();
    let mut n_killed = 0;
    for _ in 0..kills {
        let arn = arns.pop().expect("one more");
        let log = bench.write("test.duckdb.collect.log", format!("one line\nread {arn}\n"));
        let mut victim =
            bench.command(&["forget", &arn]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        thread::sleep(Duration::from_millis(random.below(1_200)));
        victim.kill().expect("it is ours");
        n_killed += usize::from(!victim.wait().expect("it ends").success());
        // Readable at once, and whole: each execution is there with all of its events, or not at all.
        let torn = "SELECT count(*) FROM executions e WHERE events != (SELECT count(*) FROM events v WHERE v.execution_arn = e.execution_arn)";
        assert_eq!(bench.rows(torn), ["[0]"]);
        let n_left: usize =
            bench.rows("SELECT count(*) FROM executions")[0].trim_matches(['[', ']']).parse().expect("a number");
        assert!(n_left == arns.len() || n_left == arns.len() + 1, "{n_left} of {}", arns.len());
        if n_left > arns.len() {
            assert!(bench.run(&["forget", &arn]).status.success());
        }
        // The next that writes finishes what was left.
        let empty = bench.write("in/empty.json", "{\"events\": []}").to_string_lossy().into_owned();
        bench.run(&["import", &empty]);
        let text = String::from_utf8_lossy(&fs::read(bench.db()).expect("a file")).into_owned();
        assert!(!text.contains(&arn), "{arn}");
        // What lies next to it was cleaned before the rows were gone: later nothing tells what to look for.
        assert_eq!(fs::read_to_string(&log).expect("a log"), "one line\n", "{arn}");
        assert_eq!(bench.rows(&format!("SELECT count(*) FROM events WHERE execution_arn = '{arn}'")), ["[0]"]);
    }
    eprintln!("{n_killed} of {kills} were killed before their end");
    assert_eq!(bench.rows("SELECT count(*) FROM executions"), [format!("[{}]", n_before - kills)]);
    let left: Vec<String> = fs::read_dir(bench.folder.path())
        .expect("a folder")
        .flatten()
        .map(|it| it.file_name().to_string_lossy().into_owned())
        .collect();
    assert!(!left.iter().any(|it| ["rewrite", ".tmp", ".wal"].iter().any(|part| it.contains(part))), "{left:?}");
}

#[test]
fn the_new_file_is_private_and_has_the_views_and_what_a_link_leads_to() {
    use std::os::unix::fs::PermissionsExt;
    let bench = filled();
    let link = bench.folder.path().join("link.duckdb");
    std::os::unix::fs::symlink(bench.db(), &link).expect("a link");
    let describe = |name: &str| bench.rows(&format!("DESCRIBE {name}"));
    let before = ["executions", "events", "segments"].map(describe);
    let link = link.to_string_lossy().into_owned();
    bench.json(&["--db", &link, "forget", NAME]);
    assert!(fs::symlink_metadata(&link).expect("a link").is_symlink(), "the link is left alone");
    assert_eq!(["executions", "events", "segments"].map(describe), before);
    let mode = fs::metadata(bench.db()).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    import(&bench, "more.json", &childs_history(), &[]);
}

#[test]
fn pruning_is_all_or_nothing_and_compacting_shrinks_the_file() {
    let bench = Bench::demo(4_000);
    let size = || fs::metadata(bench.db()).expect("a file").len();
    let before = size();
    let n_names = || bench.rows("SELECT count(DISTINCT state) FROM visits");
    let total = bench.rows("SELECT count(*) FROM executions")[0].clone();
    let mut random = Random::new(11);
    for _ in 0..6 {
        let mut victim = bench
            .command(&["prune", "--before", "2026-10-31T18:00:00Z"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        thread::sleep(Duration::from_millis(random.below(400)));
        victim.kill().expect("it is ours");
        let ended = victim.wait().expect("it ends").success();
        let left = bench.rows("SELECT count(*) FROM executions")[0].clone();
        let old = bench
            .rows("SELECT count(*) FROM executions WHERE started_at < '2026-10-31 18:00' AND status != 'RUNNING'")[0]
            .clone();
        assert!(left == total || old == "[0]", "{left} of {total}, {old} of them old");
        if ended || old == "[0]" {
            break;
        }
    }
    assert!(!n_names().is_empty());
    let pruned = bench.json(&["prune", "--before", "2026-10-31T18:00:00Z", "--compact"]);
    crate::command_line::is_valid(&bench, "prune", &pruned);
    assert_eq!(pruned["rewritten"], true);
    assert!(size() * 4 < before * 3, "{} of {before} bytes", size());
    assert_eq!(
        bench.rows("SELECT count(*) FROM executions WHERE started_at < '2026-10-31 18:00' AND status != 'RUNNING'"),
        ["[0]"]
    );
    assert!(bench.json(&["states"])["machines"].as_array().is_some_and(|it| !it.is_empty()));
}

#[test]
fn what_does_not_fit_into_memory_goes_next_to_the_database_and_leaves_with_the_process() {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    let elsewhere = tempfile::tempdir().expect("a folder");
    let spill = format!("{}.tmp", bench.db().display());
    // As a process leaves it that was killed.
    fs::create_dir(&spill).expect("a folder");
    fs::set_permissions(&spill, fs::Permissions::from_mode(0o700)).expect("a mode");
    fs::create_dir(format!("{spill}/1-0")).expect("a folder");
    for name in ["alive", "duckdb_temp_storage_DEFAULT-0.tmp"] {
        fs::write(format!("{spill}/1-0/{name}"), "rows").expect("a file");
    }
    let mut writer = bench
        .command(&["import", "-"])
        .current_dir(elsewhere.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it runs");
    let mut input = writer.stdin.take().expect("a pipe");
    input.write_all(b"\n").expect("it reads");
    let mut begun = 0;
    while !bench.db().exists() && begun < 600 {
        thread::sleep(Duration::from_millis(50));
        begun += 1;
    }
    thread::sleep(Duration::from_millis(500));
    assert!(!Path::new(&format!("{spill}/1-0")).exists(), "the next start removes it");
    assert_eq!(fs::metadata(&spill).expect("a folder").permissions().mode() & 0o777, 0o700);
    drop(input);
    writer.wait().expect("it ends");
    assert!(!Path::new(&spill).exists());
    assert_eq!(fs::read_dir(elsewhere.path()).expect("a folder").count(), 0, "nothing is left in the present folder");
    // A reader in a folder that it cannot write reads all the same.
    let status =
        Command::new("chmod").args(["0500", &bench.folder.path().to_string_lossy()]).status().expect("chmod runs");
    assert!(status.success());
    let read = bench.run(&["sql", "SELECT count(*) FROM executions"]);
    let _ = Command::new("chmod").args(["0700", &bench.folder.path().to_string_lossy()]).status();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
}
