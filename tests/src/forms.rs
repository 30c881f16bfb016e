//! Every form of input, and every way in which it can be damaged.

use std::fs;
use std::io::Write;

use crate::stepscope::{Bench, corpora};

const ARN: &str = "arn:aws:states:eu-west-1:123456789012:express:orders:run-1:9f8e";

/// Four events of one execution as log messages.
fn messages() -> Vec<String> {
    let event = |id: u64, kind: &str, details: &str, previous: u64| {
        format!(
            r#"{{"id":"{id}","type":"{kind}","details":{details},"previous_event_id":"{previous}","event_timestamp":"{}","execution_arn":"{ARN}","redrive_count":"0"}}"#,
            1_790_000_000_000 + id * 10
        )
    };
    vec![
        event(
            1,
            "ExecutionStarted",
            r#"{"input":"{\"order\":7}","inputDetails":{"truncated":false},"roleArn":"arn:aws:iam::123456789012:role/r"}"#,
            0,
        ),
        event(
            2,
            "PassStateEntered",
            r#"{"input":"{\"order\":7}","inputDetails":{"truncated":false},"name":"Check"}"#,
            0,
        ),
        event(
            3,
            "PassStateExited",
            r#"{"name":"Check","output":"{\"order\":7}","outputDetails":{"truncated":false}}"#,
            2,
        ),
        event(4, "ExecutionSucceeded", r#"{"output":"{\"order\":7}","outputDetails":{"truncated":false}}"#, 3),
    ]
}

fn imported(content: &[u8]) -> Vec<Vec<String>> {
    let bench = Bench::new();
    let path = bench.write("input", content);
    let result = bench.json(&["import", &path.to_string_lossy()]);
    assert_eq!((&result["events"], &result["quarantined"]), (&4.into(), &0.into()), "{result}");
    // Sizes of messages differ between envelopes only where the envelope adds nothing to them.
    bench.everything()
}

#[test]
fn every_envelope_of_a_log_message_gives_the_same_tables() {
    let plain = messages().join("\n");
    let expected = imported(plain.as_bytes());
    let json = |it: &String| serde_json::Value::from(it.as_str()).to_string();
    let prefixed = messages().iter().map(|it| format!("2026-09-21T14:13:20.010Z {it}\n")).collect::<String>();
    let tailed = messages()
        .iter()
        .map(|it| format!("states/orders/2026-09-21-14-13/00000000 2026-09-21T14:13:20.010000 {it}\n"))
        .collect::<String>();
    let events = messages()
        .iter()
        .map(|it| format!(r#"{{"logStreamName":"s","timestamp":1790000000010,"message":{},"eventId":"1"}}"#, json(it)))
        .collect::<Vec<_>>()
        .join(",");
    let filtered = format!(r#"{{"events":[{events}],"searchedLogStreams":[]}}"#);
    let subscription = format!(r#"{{"messageType":"DATA_MESSAGE","logGroup":"g","logEvents":[{events}]}}"#);
    let rows = messages()
        .iter()
        .map(|it| format!(r#"[{{"field":"@timestamp","value":"x"}},{{"field":"@message","value":{}}}]"#, json(it)))
        .collect::<Vec<_>>()
        .join(",");
    let insights = format!(r#"{{"results":[{rows}],"status":"Complete"}}"#);
    let csv = format!(
        "@timestamp,@message\n{}",
        messages().iter().map(|it| format!("x,\"{}\"\n", it.replace('"', "\"\""))).collect::<String>()
    );
    let array = format!("[\n{}\n]", messages().join(",\n"));
    let mut shuffled = messages();
    shuffled.reverse();
    let windows_lines = plain.replace('\n', "\r\n");
    for (what, text) in [
        ("prefixed", prefixed),
        ("tailed", tailed),
        ("filter-log-events", filtered),
        ("subscription", subscription),
        ("insights", insights),
        ("csv", csv),
        ("array", array),
        ("shuffled", shuffled.join("\n")),
        ("CRLF", windows_lines),
        ("BOM", format!("\u{feff}{plain}")),
    ] {
        assert_eq!(imported(text.as_bytes()), expected, "{what}");
    }
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(plain.as_bytes()).expect("it packs");
    assert_eq!(imported(&packer.finish().expect("it ends")), expected, "gzip");
    assert_eq!(imported(&zstd::encode_all(plain.as_bytes(), 3).expect("it packs")), expected, "zstd");
}

#[test]
fn a_damaged_line_is_named_and_the_rest_goes_in() {
    let bench = Bench::new();
    let mut lines = messages();
    lines.insert(2, lines[1][..120].to_owned());
    lines.insert(
        4,
        r#"{"id":"x","type":"PassStateEntered","execution_arn":"arn:aws:states:eu-west-1:123456789012:express:o:r:1"}"#
            .to_owned(),
    );
    let path = bench.write("log.jsonl", lines.join("\n"));
    let result = bench.json(&["import", &path.to_string_lossy()]);
    assert_eq!((&result["events"], &result["quarantined"]), (&4.into(), &2.into()), "{result}");
    let places: Vec<u64> =
        result["quarantine"].as_array().expect("a list").iter().filter_map(|it| it["line"].as_u64()).collect();
    assert_eq!(places, [3, 5]);
    let strict = bench.run(&["import", "--strict", &path.to_string_lossy()]);
    assert_eq!(strict.status.code(), Some(4));
}

#[test]
fn a_record_cut_off_between_two_members_does_not_swallow_what_follows() {
    let bench = Bench::new();
    let mut lines = messages();
    lines.insert(1, r#"{"id":"2","type":"PassStateEntered","#.to_owned());
    let path = bench.write("log.jsonl", lines.join("\n"));
    let result = bench.json(&["import", &path.to_string_lossy()]);
    assert_eq!((&result["events"], &result["quarantined"]), (&4.into(), &1.into()), "{result}");
}

#[test]
fn what_is_not_ours_is_skipped_in_a_folder_and_a_failure_when_named() {
    let bench = Bench::new();
    bench.write("folder/log.jsonl", messages().join("\n"));
    bench.write("folder/notes.md", "# Notes\n\nNothing of ours.\n");
    bench.write("folder/package.json", r#"{"name":"orders","version":"1.0.0"}"#);
    bench.write("folder/picture.png", [0x89, b'P', b'N', b'G', 0, 0, 0, 1]);
    let folder = bench.folder.path().join("folder");
    let result = bench.json(&["import", &folder.to_string_lossy()]);
    assert_eq!(
        (&result["skipped"], &result["quarantined"], &result["files"]),
        (&3.into(), &0.into(), &1.into()),
        "{result}"
    );
    let named = bench.run(&["import", "-o", "json", &folder.join("package.json").to_string_lossy()]);
    assert_eq!(named.status.code(), Some(1), "nothing that was asked for could be read");
    let named: serde_json::Value = serde_json::from_slice(&named.stdout).expect("JSON");
    assert_eq!((&named["skipped"], &named["quarantined"]), (&1.into(), &0.into()));
}

#[test]
fn standard_input_and_a_described_execution_beside_a_history_are_understood() {
    let bench = Bench::new();
    let output = bench.run_with_input(&["import", "-", "-o", "json"], messages().join("\n").as_bytes());
    assert!(output.status.success());
    let source = corpora().join("histories/base__base__state_fail.json");
    let history = if source.exists() {
        source
    } else {
        fs::read_dir(corpora().join("histories")).expect("a folder").next().expect("a file").expect("an entry").path()
    };
    let arn = "arn:aws:states:eu-west-1:123456789012:execution:described:run-7";
    bench.write("h/run.json", fs::read(history).expect("a history"));
    bench.write("h/run.describe.json", format!(r#"{{"executionArn":"{arn}","stateMachineArn":"arn:aws:states:eu-west-1:123456789012:stateMachine:described","name":"run-7","status":"SUCCEEDED","startDate":1790000000.5}}"#));
    bench.json(&["import", &bench.folder.path().join("h").to_string_lossy()]);
    let arns = bench.rows("SELECT execution_arn FROM executions WHERE machine = 'described'");
    assert_eq!(arns, [format!("[\"{arn}\"]")]);
}

#[test]
fn payloads_are_kept_redacted_or_left_out() {
    for (policy, expected) in [("full", "{\\\"order\\\":7}"), ("redacted", "{\\\"order\\\":\\\"number\\\"}")] {
        let bench = Bench::new();
        let path = bench.write("log.jsonl", messages().join("\n"));
        bench.json(&["import", "--payloads", policy, &path.to_string_lossy()]);
        let rows = bench.rows("SELECT body FROM payloads WHERE field = 'input' AND event_id = 2");
        assert_eq!(rows, [format!("[\"{expected}\"]")], "{policy}");
    }
    let bench = Bench::new();
    let path = bench.write("log.jsonl", messages().join("\n"));
    bench.json(&["import", "--payloads", "none", &path.to_string_lossy()]);
    assert_eq!(bench.rows("FROM payloads").len(), 0);
    let raw = fs::read(bench.db()).expect("the database");
    assert!(!raw.windows(8).any(|it| it == b"\"order\":"), "no payload is in the file");
}

#[test]
fn unknown_event_types_and_members_are_kept() {
    let bench = Bench::new();
    let mut lines = messages();
    lines[2] = lines[2].replace(r#""name":"Check","#, r#""name":"Check","novelty":{"a":1},"#);
    lines.insert(3, lines[2].replace("PassStateExited", "QuantumStateEntangled").replace(r#""id":"3""#, r#""id":"9""#));
    let path = bench.write("log.jsonl", lines.join("\n"));
    bench.json(&["import", &path.to_string_lossy()]);
    assert_eq!(bench.rows("SELECT type FROM events WHERE id = 9"), ["[\"QuantumStateEntangled\"]"]);
    assert_eq!(bench.rows("SELECT detail FROM events WHERE id = 3"), [r#"["{\"novelty\":{\"a\":1}}"]"#]);
}

#[test]
fn definitions_come_as_json_json5_and_yaml() {
    let bench = Bench::new();
    bench.write("d/a.asl.json", r#"{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}"#);
    bench.write("d/b.json5", "// a comment\n{StartAt: 'A', States: {A: {Type: 'Pass', End: true,},},}");
    bench.write("d/c.yaml", "StartAt: A\nStates:\n  A:\n    Type: Task\n    Resource: !Sub arn:aws:lambda:${AWS::Region}:1:function:f\n    End: true\n");
    bench.write("d/broken.json", r#"{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}"#);
    let result = bench.json(&["import", &bench.folder.path().join("d").to_string_lossy()]);
    assert_eq!((&result["definitions"], &result["quarantined"]), (&3.into(), &1.into()), "{result}");
}

#[test]
fn a_long_envelope_is_read_in_pieces_and_gives_the_same_tables() {
    let bench = Bench::new();
    let log = bench.run(&["simulate", "--executions", "160"]);
    let text = String::from_utf8(log.stdout).expect("text");
    let events: Vec<serde_json::Value> = text
        .lines()
        .map(|it| serde_json::json!({"logStreamName": "s", "timestamp": 1, "message": it, "eventId": "1"}))
        .collect();
    let envelope =
        serde_json::to_string_pretty(&serde_json::json!({"events": events, "searchedLogStreams": []})).expect("JSON");
    assert!(envelope.len() > 6_000_000, "more than one piece: {}", envelope.len());
    let plain = bench.write("log.jsonl", &text);
    bench.json(&["import", &plain.to_string_lossy()]);
    let other = Bench::new();
    let path = other.write("answer.json", envelope);
    let result = other.json(&["import", &path.to_string_lossy()]);
    assert_eq!((&result["quarantined"], &result["duplicates"]), (&0.into(), &0.into()), "{}", result["quarantined"]);
    assert_eq!(other.everything(), bench.everything());
}

/// Whatever the order of the keys, and however long: what a part of a document is known by may come behind it.
#[test]
fn a_long_list_of_histories_gives_the_tables_of_a_short_one() {
    let history = |n: usize, length: usize| {
        let mut events = vec![serde_json::json!({
            "id": 1, "previousEventId": 0, "timestamp": 1_764_000_000 + n, "type": "ExecutionStarted",
            "executionStartedEventDetails": {"input": serde_json::json!({"p": "x".repeat(length)}).to_string()},
        })];
        for id in 2..14 {
            let kind = if id % 2 == 0 { "PassStateEntered" } else { "PassStateExited" };
            let details = if id % 2 == 0 { "stateEnteredEventDetails" } else { "stateExitedEventDetails" };
            let text = serde_json::json!({"p": "y".repeat(length)}).to_string();
            let key = if id % 2 == 0 { "input" } else { "output" };
            events.push(serde_json::json!({
                "id": id, "previousEventId": id - 1, "timestamp": 1_764_000_000 + n, "type": kind,
                details: {"name": format!("S{}", id / 2), key: text},
            }));
        }
        events.push(serde_json::json!({
            "id": 14, "previousEventId": 13, "timestamp": 1_764_000_001 + n, "type": "ExecutionSucceeded",
        }));
        serde_json::Value::from(events)
    };
    let arn = |n: usize| format!("arn:aws:states:us-east-1:123456789012:execution:m:e{n}");
    let before =
        |n: usize, length: usize| format!(r#"{{"executionArn":"{}","events":{}}}"#, arn(n), history(n, length));
    let after = |n: usize, length: usize| format!(r#"{{"events":{},"executionArn":"{}"}}"#, history(n, length), arn(n));
    let list = |of: &dyn Fn(usize, usize) -> String, length: usize| {
        format!("[{}]", (0..4).map(|it| of(it, length)).collect::<Vec<_>>().join(","))
    };
    let stored = |text: String| {
        let bench = Bench::new();
        let path = bench.write("list.json", text);
        let result = bench.json(&["import", &path.to_string_lossy()]);
        assert_eq!((&result["executions"], &result["events"]), (&4.into(), &56.into()), "{result}");
        assert_eq!((&result["duplicates"], &result["quarantined"]), (&0.into(), &0.into()), "{result}");
        bench.rows("SELECT execution_arn, id, type, state FROM events")
    };
    let expected = stored(list(&before, 10));
    assert_eq!(stored(list(&after, 10)), expected);
    assert_eq!(stored(list(&after, 200_000)), expected);
    assert_eq!(stored(list(&before, 200_000)), expected);
}
