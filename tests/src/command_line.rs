//! The command line from outside: results, exit codes, errors.

use std::process::Stdio;

use serde_json::Value;

use crate::stepscope::Bench;

fn demo() -> Bench {
    Bench::demo(200)
}

pub(crate) fn is_valid(bench: &Bench, command: &str, result: &Value) {
    let schema = bench.run(&["schema", command]);
    let schema: Value = serde_json::from_slice(&schema.stdout).expect("a schema");
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    let errors: Vec<String> = validator.iter_errors(result).map(|it| format!("{}: {it}", it.instance_path())).collect();
    assert!(errors.is_empty(), "{command}: {errors:?}");
    let first = result.as_object().and_then(|it| it.keys().next().cloned());
    assert_eq!(first.as_deref(), Some("schema"), "{command}: the first key");
}

#[test]
fn every_result_is_what_its_schema_says() {
    let bench = demo();
    for arguments in [
        vec!["executions"],
        vec!["show", "--all"],
        vec!["states"],
        vec!["states", "order-processing"],
        vec!["bottlenecks"],
        vec!["bottlenecks", "ml-inference"],
        vec!["whatif", "order-processing", "--no-backoff", "--work", "ChargeCard=0.5", "--concurrency", "PackItems=40"],
        vec!["whatif", "image-ingest", "--free", "ResizeImage", "--no-retries", "--no-cold-starts"],
        vec!["cost"],
        vec!["cost", "--no-free-tier", "ml-inference"],
        vec!["cost", "--by", "error"],
        vec!["cost", "--by", "state", "--what-if", "type=express"],
        vec!["prices"],
        vec!["versions", "order-processing"],
        vec!["doctor", "--offline", "--now", "2026-11-25"],
        vec!["lint", "order-processing"],
        vec!["audit"],
        vec!["--now", "2026-11-02", "redrivable"],
        vec!["diff", "order-processing", "image-ingest"],
        vec!["incidents"],
        vec!["schedule", "list"],
        vec!["--now", "2026-11-01", "report", "cost", "--period", "12h"],
        vec!["--now", "2026-11-01", "report", "health", "--period", "12h"],
        vec!["--now", "2026-11-01", "report", "bottlenecks", "order-processing", "--period", "12h"],
        vec!["--now", "2026-11-01", "report", "incident", "--period", "12h"],
        vec!["report", "incident", "--now", "2025-01-01"],
        vec![
            "compare",
            "order-processing",
            "--baseline",
            "2026-10-31T00:00:00Z/2026-10-31T22:48:00Z",
            "--incident",
            "2026-10-31T22:50:00Z/2026-11-01T00:00:00Z",
            "--all",
        ],
        vec!["whatif", "order-processing", "--curve", "PackItems"],
        vec!["bottlenecks", "--status", "FAILED"],
        vec!["sql", "SELECT * FROM visits LIMIT 5"],
        vec!["config"],
    ] {
        let command = arguments.iter().find(|it| !it.starts_with("--") && !it.starts_with("2026")).expect("a command");
        is_valid(&bench, command, &bench.json(&arguments));
    }
    let executions = bench.json(&["executions", "--limit", "1"]);
    let arn = executions["executions"][0]["execution_arn"].as_str().expect("an ARN").to_owned();
    is_valid(&bench, "show", &bench.json(&["show", &arn]));
    let log = bench.run(&["simulate", "--executions", "20"]);
    let path = bench.write("log.jsonl", &log.stdout);
    is_valid(&bench, "import", &bench.json(&["import", &path.to_string_lossy()]));
    is_valid(&bench, "demo", &bench.json(&["demo", "--once", "--executions", "30"]));
}

#[test]
fn the_demo_is_the_same_every_time() {
    let (one, other) = (demo(), demo());
    assert_eq!(one.json(&["executions"]), other.json(&["executions"]));
    let cost = one.json(&["cost"]);
    let names: Vec<&str> =
        cost["machines"].as_array().expect("machines").iter().filter_map(|it| it["machine"].as_str()).collect();
    assert_eq!(names.len(), 3);
    for name in ["order-processing", "image-ingest", "ml-inference"] {
        assert!(names.contains(&name), "{name}");
    }
}

#[test]
fn money_adds_up_to_the_last_digit() {
    let bench = demo();
    let cost = bench.json(&["cost", "--no-free-tier"]);
    for machine in cost["machines"].as_array().expect("machines") {
        let pico = |value: &Value| {
            format!("{:.12}", value.as_f64().expect("money")).replace('.', "").parse::<i128>().expect("digits")
        };
        let parts: i128 = machine["by_state"].as_array().expect("states").iter().map(|it| pico(&it["usd"])).sum();
        assert_eq!(parts, pico(&machine["actual_usd"]), "{machine}");
        let transitions = machine["billed_transitions"].as_u64().expect("a count");
        assert_eq!(pico(&machine["actual_usd"]), i128::from(transitions) * 25_000_000, "transitions times the rate");
    }
}

#[test]
fn every_output_form_has_the_same_rows() {
    let bench = demo();
    let n_rows = bench.json(&["executions"])["executions"].as_array().expect("rows").len();
    assert_eq!(n_rows, 200);
    let lines =
        |form: &str| String::from_utf8(bench.run(&["executions", "-o", form]).stdout).expect("text").lines().count();
    assert_eq!(lines("ndjson"), n_rows);
    assert_eq!(lines("csv"), n_rows + 1);
    assert_eq!(lines("table"), 1 + 50 + 1, "head, fifty rows, and how to see more");
    assert_eq!(lines("markdown"), 2 + 50 + 2);
}

#[test]
fn what_goes_wrong_is_said_with_the_right_exit_code() {
    let bench = Bench::new();
    let check = |arguments: &[&str], code: i32, words: &[&str]| {
        let output = bench.run(arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(output.stdout.is_empty(), "{arguments:?}: nothing but results goes to stdout");
        assert!(!text.contains("panicked"), "{text}");
        for word in words {
            assert!(text.contains(word), "{arguments:?}: `{word}` is missing in: {text}");
        }
    };
    check(&["executions"], 1, &["there is no database", "stepscope import"]);
    check(&["import", "/no/such/file"], 2, &["there is no `/no/such/file`"]);
    check(&["nonsense"], 2, &["nonsense"]);
    check(&["dash"], 1, &["there is no database"]);
    let bench = demo();
    let check = |arguments: &[&str], code: i32, words: &[&str]| {
        let output = bench.run(arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        for word in words {
            assert!(text.contains(word), "{arguments:?}: `{word}` is missing in: {text}");
        }
    };
    check(&["show", "no-such-run"], 2, &["there is no execution"]);
    check(&["show", "0000"], 2, &["fits", "say which one"]);
    check(&["states", "no-such-machine"], 2, &["there is no state machine"]);
    check(&["executions", "--since", "soon"], 2, &["is no time"]);
    check(&["executions", "--status", "odd"], 2, &["SUCCEEDED"]);
    check(&["whatif", "order-processing", "--free", "Nowhere"], 2, &["no state", "ChargeCard"]);
    check(&["whatif", "order-processing", "--work", "ChargeCard"], 2, &["STATE=VALUE"]);
    check(&["whatif", "order-processing", "--concurrency", "ChargeCard=3"], 2, &["is no Map"]);
    check(&["sql", "DELETE FROM event"], 1, &["only reads"]);
    check(&["sql", "SELECT * FROM read_csv('/etc/passwd')"], 1, &[]);
    check(&["sql", "SELECT 1; SELECT 2"], 1, &["one statement"]);
    check(&["dash"], 2, &["needs a terminal"]);
    check(&["config", "--config", "/no/such/config.toml"], 2, &["cannot be read"]);
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let bench = Bench::new();
    bench.write(
        "test.duckdb",
        "this is a text and no database at all, but it is long enough to look like a file of some kind",
    );
    for arguments in [vec!["executions"], vec!["import", "Cargo.toml"]] {
        let output = bench.run(&arguments);
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stderr).contains("is not a stepscope database"));
    }
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let bench = demo();
    let mut child = bench
        .command(&["show", "--all", "-o", "ndjson"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

#[test]
fn ranges_take_the_start_inclusively_and_the_end_exclusively() {
    let bench = demo();
    let starts = bench.rows("SELECT started_at FROM executions ORDER BY 1");
    let middle: String = starts[100].trim_matches(['[', ']', '"']).to_owned();
    let count = |arguments: &[&str]| bench.json(arguments)["executions"].as_array().expect("rows").len();
    let before = count(&["executions", "--until", &middle]);
    let after = count(&["executions", "--since", &middle]);
    assert_eq!((before, after), (100, 100));
    assert_eq!(count(&["executions", "--since", "25h", "--now", "2026-11-01T00:00:00Z"]), 200);
    assert_eq!(count(&["executions", "--since", "25h", "--now", "2026-11-03T00:00:00Z"]), 0);
}

#[test]
fn the_database_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let bench = demo();
    let mode = std::fs::metadata(bench.db()).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn completions_and_help_are_there() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(!bench.run(&["completions", shell]).stdout.is_empty(), "{shell}");
    }
    let help = String::from_utf8(bench.run(&["--help"]).stdout).expect("text");
    for command in
        ["demo", "import", "dash", "executions", "show", "states", "cost", "sql", "schema", "config", "completions"]
    {
        assert!(help.contains(command), "{command}");
    }
}

#[test]
fn what_if_and_bottlenecks_agree_about_a_state_that_takes_no_time() {
    let bench = demo();
    let unchanged = bench.json(&["whatif", "order-processing"]);
    assert_eq!((&unchanged["before"], &unchanged["replay_error_ms"]), (&unchanged["after"], &0.0.into()));
    let found = bench.json(&["bottlenecks", "order-processing"]);
    let states = found["machines"][0]["states"].as_array().expect("states");
    let shares: f64 = states.iter().map(|it| it["critical_share"].as_f64().expect("a share")).sum();
    assert!(shares > 0.9 && shares <= 1.0, "all but the step into the first state belongs to a state: {shares}");
    let first = &states[0];
    let free = bench.json(&["whatif", "order-processing", "--free", first["state"].as_str().expect("a name")]);
    let fall = free["before"]["p95_ms"].as_f64().expect("p95") - free["after"]["p95_ms"].as_f64().expect("p95");
    let bound = first["speedup_bound"]["p95_ms"].as_f64().expect("a bound");
    assert!((fall - bound).abs() < 0.002, "{fall} and {bound}");
    assert!(first["finding"].as_str().is_some_and(|it| it.contains("of the critical path")), "{first}");
}

#[test]
fn what_cannot_be_priced_is_not_said_to_cost_nothing() {
    let bench = Bench::new();
    let last = |kind: &str, arn: &str| {
        format!(
            r#"{{"id":"9","type":"ExecutionFailed","details":{{"error":"Boom"}},"previous_event_id":"8","event_timestamp":"1790000000000","execution_arn":"arn:aws:states:{kind}:123456789012:{arn}","redrive_count":"0"}}"#
        )
    };
    let lines = [
        last("eu-west-1", "execution:standard:run"),
        last("eu-west-1", "express:express:run:0f"),
        last("xx-nowhere-1", "execution:far:run"),
    ];
    let path = bench.write("errors.jsonl", lines.join("\n"));
    bench.json(&["import", &path.to_string_lossy()]);
    let cost = bench.json(&["cost"]);
    for machine in cost["machines"].as_array().expect("machines") {
        assert!(machine["actual_usd"].is_null(), "{machine}");
        assert!(machine["unpriced"].as_array().is_some_and(|it| !it.is_empty()), "{machine}");
    }
    let executions = bench.json(&["executions"]);
    for execution in executions["executions"].as_array().expect("executions") {
        assert!(execution["usd"].is_null() && !execution["gaps"].as_array().expect("gaps").is_empty(), "{execution}");
    }
}

#[test]
fn what_is_forgotten_or_pruned_is_gone_with_everything_of_it() {
    let bench = demo();
    let newest = bench.json(&["executions", "--limit", "1"]);
    let arn = newest["executions"][0]["execution_arn"].as_str().expect("an ARN").to_owned();
    is_valid(&bench, "forget", &bench.json(&["forget", &arn]));
    for view in ["executions", "events", "visits", "attempts", "critical_path"] {
        let rows = bench.rows(&format!("SELECT count(*) FROM {view} WHERE execution_arn = '{arn}'"));
        assert_eq!(rows, ["[0]"], "{view}");
    }
    assert_eq!(bench.run(&["forget", &arn]).status.code(), Some(2));
    let pruned = bench.json(&["prune", "--before", "2026-10-31T12:00:00Z"]);
    is_valid(&bench, "prune", &pruned);
    assert!(pruned["forgotten"].as_u64().is_some_and(|it| it > 50), "{pruned}");
    assert_eq!(bench.rows("SELECT count(*) FROM executions WHERE started_at < '2026-10-31 12:00'"), ["[0]"]);
}

#[test]
fn every_view_goes_out_as_parquet() {
    let bench = demo();
    let folder = bench.folder.path().join("out");
    let out = folder.to_string_lossy().into_owned();
    assert_eq!(bench.run(&["export", "parquet"]).status.code(), Some(2), "it needs a folder");
    for _ in 0..2 {
        assert!(bench.run(&["export", "parquet", "--out", &out]).status.success());
    }
    for view in ["machines", "executions", "visits", "attempts", "critical_path", "events"] {
        let bytes = std::fs::read(folder.join(format!("{view}.parquet"))).expect("a file");
        assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"), "{view}");
    }
    // Nothing of the console's closedness is lost by it.
    assert_ne!(bench.run(&["sql", "SELECT * FROM read_parquet('x.parquet')"]).status.code(), Some(0));
}

/// What was not written has to be said, whatever the form, and a reader that has had enough is no error.
#[cfg(target_os = "linux")]
#[test]
fn what_does_not_reach_its_reader_is_an_error_and_a_closed_pipe_is_none() {
    let bench = demo();
    let arn = "arn:aws:states:us-east-1:123456789012:stateMachine:order-processing";
    let mut all: Vec<Vec<&str>> = vec![
        vec!["export", "focus"],
        vec!["export", "infracost"],
        vec!["export", "prometheus"],
        vec!["export", "perfetto", "--all"],
        vec!["policy"],
        vec!["schema", "cost"],
        vec!["completions", "bash"],
        vec!["dash", "--once"],
        vec!["config"],
        vec!["lint", "--explain", "timeout"],
        vec!["report", "cost", "-o", "markdown"],
        vec!["report", "health"],
        vec!["export", "bundle", arn],
    ];
    for form in ["table", "json", "ndjson", "csv", "markdown"] {
        all.push(vec!["executions", "-o", form]);
        all.push(vec!["states", "-o", form]);
        all.push(vec!["sql", "SELECT * FROM events", "-o", form]);
    }
    for arguments in &all {
        let works = bench.run(arguments);
        if works.status.code() == Some(2) || works.stdout.is_empty() {
            continue;
        }
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("it is there");
        let output = bench.command(arguments).stdout(full).stderr(Stdio::piped()).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("No space left"), "{arguments:?}: {said}");
        let mut child =
            bench.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && !said.contains("error"), "{arguments:?}: {said}");
    }
}

#[test]
fn what_statistics_leave_out_is_counted() {
    let bench = Bench::new();
    let event = |execution: &str, id: u64, kind: &str, details: Value| {
        serde_json::json!({
            "id": id.to_string(), "type": kind, "details": details, "previous_event_id": (id - 1).to_string(),
            "event_timestamp": (1_764_000_000_000 + 10 * id).to_string(), "redrive_count": "0",
            "execution_arn": format!("arn:aws:states:us-east-1:123456789012:execution:orders:{execution}"),
        })
        .to_string()
            + "\n"
    };
    let whole = |it: &str| {
        [
            event(it, 1, "ExecutionStarted", serde_json::json!({"input": "{}"})),
            event(it, 2, "PassStateEntered", serde_json::json!({"name": "A", "input": "{}"})),
            event(it, 3, "PassStateExited", serde_json::json!({"name": "A", "output": "{}"})),
            event(it, 4, "ExecutionSucceeded", serde_json::json!({"output": "{}"})),
        ]
    };
    let path = bench.write("log.jsonl", whole("a").concat() + &whole("b")[2..].concat());
    bench.json(&["import", &path.to_string_lossy()]);
    for command in ["states", "bottlenecks", "cost"] {
        let result = bench.json(&[command]);
        is_valid(&bench, command, &result);
        assert_eq!(result["without_start_count"], 1, "{command}");
        let text = bench.run(&[command]).stdout;
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(text.contains("1 execution without a known start"), "{command}: {text}");
    }
}

#[test]
fn nothing_lies_next_to_standard_input() {
    let bench = Bench::new();
    let history = serde_json::json!({"events": [
        {"id": 1, "type": "ExecutionStarted", "timestamp": "2026-10-01T00:00:00Z", "previousEventId": 0},
        {"id": 2, "type": "ExecutionSucceeded", "timestamp": "2026-10-01T00:00:01Z", "previousEventId": 1},
    ]});
    let other = "arn:aws:states:us-east-1:123456789012:execution:other:one";
    bench.write("stdin.describe.json", serde_json::json!({"executionArn": other}).to_string());
    let path = bench.write("input.json", history.to_string());
    let input = std::fs::File::open(path).expect("it is there");
    let status =
        bench.command(&["import", "-"]).current_dir(bench.folder.path()).stdin(input).status().expect("it runs");
    assert!(status.success());
    assert!(!bench.rows("SELECT execution_arn FROM executions").iter().any(|it| it.contains(":other:")));
}

/// Help is documentation: the words that `.ci/words` refuses there are refused here.
#[test]
fn help_is_in_plain_words() {
    let bench = Bench::new();
    let help = bench.run(&["help"]).stdout;
    let help = String::from_utf8(help).expect("text");
    let commands = help.lines().skip_while(|it| *it != "Commands:").skip(1).take_while(|it| !it.is_empty());
    let names = commands.filter(|it| it.starts_with("  ") && !it.starts_with("   "));
    let mut all = help.clone();
    for name in names.filter_map(|it| it.split_whitespace().next()).filter(|it| *it != "help") {
        let output = bench.run(&[name, "--help"]);
        assert!(output.status.success(), "{name}");
        all += &String::from_utf8(output.stdout).expect("text");
    }
    assert!(all.lines().count() > 300, "every command has its help: {all}");
    let path = bench.write("help.txt", all);
    let words = crate::stepscope::corpora().join("../../.ci/words");
    let output = std::process::Command::new("python3").arg(words).arg(&path).output().expect("python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn an_execution_that_ends_before_it_starts_has_no_duration() {
    let bench = Bench::new();
    let event = |id: u64, kind: &str, at: i64| {
        serde_json::json!({
            "id": id.to_string(), "type": kind, "details": {"name": "A"}, "previous_event_id": (id - 1).to_string(),
            "event_timestamp": at.to_string(), "redrive_count": "0",
            "execution_arn": "arn:aws:states:us-east-1:123456789012:execution:orders:back",
        })
        .to_string()
            + "\n"
    };
    let at = 1_764_000_000_000;
    let lines = [
        event(1, "ExecutionStarted", at),
        event(2, "PassStateEntered", at - 50_000),
        event(3, "PassStateExited", at - 99_000),
        event(4, "ExecutionSucceeded", at - 86_400_000),
    ];
    let path = bench.write("log.jsonl", lines.concat());
    bench.json(&["import", &path.to_string_lossy()]);
    let shown = bench.json(&["show", "back"]);
    assert_eq!((&shown["duration_ms"], &shown["complete"]), (&Value::Null, &false.into()), "{shown}");
    assert!(shown["gaps"].to_string().contains("contradict"), "{shown}");
    let states = bench.json(&["states"]);
    assert!(states["machines"][0]["p50_ms"].is_null(), "{states}");
    assert!(!String::from_utf8_lossy(&bench.run(&["states"]).stdout).contains('−'));
}
