//! Input that is damaged, endless, hostile or none of ours: what can be read goes in, the rest has a reason, and nothing ends the
//! process.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Output;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::stepscope::Bench;

/// Log lines of so many executions with four events each.
fn log(n_executions: u64) -> String {
    let mut text = String::new();
    for execution in 0..n_executions {
        let kinds = ["ExecutionStarted", "PassStateEntered", "PassStateExited", "ExecutionSucceeded"];
        for (id, kind) in (1..).zip(kinds) {
            let details = if kind.starts_with("Pass") { r#"{"name":"Check"}"# } else { "{}" };
            // Something that does not pack away.
            let name = format!("{:016x}", execution.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            text += &format!(
                "{{\"id\":\"{id}\",\"type\":\"{kind}\",\"details\":{details},\"previous_event_id\":\"{}\",\"event_timestamp\":\"{}\",\"execution_arn\":\"arn:aws:states:eu-west-1:123456789012:express:orders:{name}:0f\",\"redrive_count\":\"0\"}}\n",
                id - 1,
                1_790_000_000_000_u64 + execution * 1_000 + id * 10
            );
        }
    }
    text
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(text).expect("it packs");
    packer.finish().expect("it ends")
}

fn result(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// The exit code and the result of an import.
fn import(bench: &Bench, path: &Path) -> (i32, Value) {
    let output = bench.run(&["import", "-o", "json", &path.to_string_lossy()]);
    (output.status.code().expect("no signal ended it"), result(&output))
}

fn reason(result: &Value) -> &str {
    assert_eq!(result["quarantine"].as_array().map(Vec::len), Some(1), "{result}");
    result["quarantine"][0]["reason"].as_str().expect("a reason")
}

#[test]
fn what_stands_before_the_fault_of_a_packed_file_goes_in() {
    let text = log(60);
    let whole = gzip(text.as_bytes());
    let (first, second) = text.split_at(text.lines().take(120).map(|it| it.len() + 1).sum());
    let mut wrong = whole.clone();
    let trailer = wrong.len() - 8;
    wrong[trailer] ^= 0x55;
    let members = [gzip(first.as_bytes()), gzip(second.as_bytes())].concat();
    let twice = gzip(&[whole.clone(), b"garbage".to_vec()].concat());
    for (what, packed, says) in [
        ("trailing", [whole.clone(), b"garbage".to_vec()].concat(), "not gzip follows member 1 at byte"),
        ("members", [members.clone(), b"garbage".to_vec()].concat(), "not gzip follows member 2 at byte"),
        ("checksum", wrong, "the checksum of gzip member 1 is wrong"),
        (
            "zstd",
            [zstd::encode_all(text.as_bytes(), 3).expect("it packs"), b"x".to_vec()].concat(),
            "not zstd follows frame 1",
        ),
        ("twice", twice, "not gzip follows member 1"),
    ] {
        let bench = Bench::new();
        let (code, result) = import(&bench, &bench.write("log.jsonl.gz", packed));
        assert_eq!((code, &result["executions"], &result["events"]), (0, &60.into(), &240.into()), "{what}: {result}");
        assert!(reason(&result).contains(says), "{what}: {result}");
    }
    for (what, packed) in [("whole", whole.clone()), ("padded", [whole, vec![0; 2_048]].concat()), ("members", members)]
    {
        let bench = Bench::new();
        let (code, result) = import(&bench, &bench.write("log.jsonl.gz", packed));
        assert_eq!((code, &result["events"], &result["quarantined"]), (0, &240.into(), &0.into()), "{what}: {result}");
    }
}

#[test]
fn of_a_packed_file_that_is_cut_off_every_whole_line_goes_in() {
    let text = log(2_000);
    for (name, packed) in
        [("log.gz", gzip(text.as_bytes())), ("log.zst", zstd::encode_all(text.as_bytes(), 3).expect("it packs"))]
    {
        let bench = Bench::new();
        let path = bench.write(name, &packed[..packed.len() * 4 / 5]);
        let (code, result) = import(&bench, &path);
        let events = result["events"].as_u64().expect("a number");
        assert!(code == 0 && events > 5_000 && events < 8_000, "{name}: {result}");
        assert!(reason(&result).contains("is cut off in"), "{result}");
        let line = result["quarantine"][0]["line"].as_u64().expect("the line where it broke");
        assert!(line.abs_diff(events) <= 1, "{line} of {events}");
    }
}

#[test]
fn of_a_document_that_is_cut_off_the_whole_events_go_in() {
    let event = |id: u64| json!({"id": id, "previousEventId": id - 1, "type": "PassStateEntered", "timestamp": 1_790_000_000 + id, "stateEnteredEventDetails": {"name": "A", "input": "{}"}});
    let events: Vec<Value> = (1..=400).map(event).collect();
    let arn = "arn:aws:states:eu-west-1:123456789012:execution:m:r";
    let document = json!({"executionArn": arn, "events": events});
    for text in [document.to_string(), serde_json::to_string_pretty(&document).expect("JSON")] {
        for is_packed in [false, true] {
            let bench = Bench::new();
            let content = &text.as_bytes()[..text.len() / 2];
            let content = if is_packed {
                let mut packed = gzip(content);
                packed.truncate(packed.len() - 4);
                packed
            } else {
                content.to_vec()
            };
            let (code, result) = import(&bench, &bench.write("history.json", content));
            let events = result["events"].as_u64().expect("a number");
            assert!(code == 0 && (150..250).contains(&events), "{result}");
            reason(&result);
            assert_eq!(bench.rows("SELECT DISTINCT execution_arn FROM events"), [format!("[\"{arn}\"]")]);
        }
    }
}

#[test]
fn a_history_on_one_line_is_read_in_pieces_wherever_its_name_stands() {
    let payload = "x".repeat(10_000);
    let event = |id: u64| json!({"id": id, "previousEventId": id - 1, "type": "PassStateEntered", "timestamp": 1_790_000_000 + id, "stateEnteredEventDetails": {"name": format!("A{id}"), "input": payload}});
    let events = Value::from((1..=1_000).map(event).collect::<Vec<_>>()).to_string();
    let arn = "arn:aws:states:eu-west-1:123456789012:execution:m:r";
    let first = format!("{{\"executionArn\":\"{arn}\",\"events\":{events}}}");
    let last = format!("{{\"events\":{events},\"nextToken\":null,\"executionArn\":\"{arn}\"}}");
    let pages = format!("[{first},{first}]");
    let mut tables = Vec::new();
    for text in [first, last, pages] {
        assert!(text.len() > 9 << 20);
        let bench = Bench::new();
        let (code, result) = import(&bench, &bench.write("history.json", text));
        assert_eq!((code, &result["events"], &result["quarantined"]), (0, &1_000.into(), &0.into()), "{result}");
        tables.push(bench.everything());
    }
    assert!(tables.windows(2).all(|it| it[0] == it[1]));
}

#[test]
fn what_is_too_long_too_deep_or_too_many_is_set_aside_by_name_and_the_rest_goes_in() {
    let good = log(1);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let long = "x".repeat(17 << 20);
    let event = |name: &str| json!({"id": 1, "previousEventId": 0, "type": "PassStateEntered", "timestamp": 1_790_000_000, "stateEnteredEventDetails": {"name": name}});
    let in_a_list = |it: Value| {
        let arn = "arn:aws:states:eu-west-1:123456789012:execution:m:r";
        let mut second = event("B");
        second["id"] = 2.into();
        json!({"executionArn": arn, "events": [it, second]}).to_string()
    };
    let mut many = event("A");
    many["other"] = Value::from(vec![0; 1_100_000]);
    for (what, text, bound, events) in [
        ("a line", format!("{long}\n{good}"), "MAX_RECORD_BYTES", 4),
        ("a text", format!("{{\"a\":\"{long}\"}}\n{good}"), "MAX_RECORD_BYTES", 4),
        ("a key", format!("{{\"{long}\":1}}\n{good}"), "MAX_RECORD_BYTES", 4),
        ("depth", format!("{deep}\n{good}"), "MAX_DEPTH", 4),
        ("depth of an object", format!("{}\n{good}", "{\"a\":".repeat(2_000_000)), "MAX_DEPTH", 4),
        ("an event", in_a_list(event(&long)), "MAX_RECORD_BYTES", 1),
        ("a name", in_a_list(event(&"x".repeat(3_000))), "MAX_NAME_BYTES", 1),
        ("values", in_a_list(many), "MAX_RECORD_VALUES", 1),
        (
            "a cell",
            format!("@message\n\"{long}\"\n\"{}\"\n", good.lines().next().expect("a line").replace('"', "\"\"")),
            "MAX_RECORD_BYTES",
            1,
        ),
    ] {
        let bench = Bench::new();
        let (code, result) = import(&bench, &bench.write("input", text));
        assert_eq!((code, &result["events"]), (0, &events.into()), "{what}: {result}");
        assert!(reason(&result).contains(bound), "{what}: {result}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn endless_input_takes_little_memory_and_ends() {
    let zeros = |byte: u8, n_bytes: usize| gzip(&gzip(&vec![byte; n_bytes]));
    let mut numbers = b"[1".to_vec();
    numbers.extend(b",1".repeat(80 << 20));
    let small: Vec<u8> = b"{\"events\":[{}".iter().copied().chain(b",{}".repeat(6 << 20)).collect();
    for (name, packed) in [
        ("line.gz", zeros(b'a', 150 << 20)),
        ("numbers.gz", gzip(&gzip(&numbers))),
        ("objects.gz", gzip(&small)),
        ("lists.gz", gzip(&b"[[[0],[0]],".repeat(4 << 20))),
        ("thrice.gz", gzip(&zeros(b'a', 1 << 20))),
    ] {
        let bench = Bench::new();
        let path = bench.write(name, packed);
        let good = bench.write("good.jsonl", log(3));
        // DuckDB and the threads take addresses that they do not use.
        let script = format!(
            "ulimit -v 3000000; exec '{}' import -o json '{}' '{}'",
            crate::stepscope::binary().display(),
            path.display(),
            good.display()
        );
        let mut command = std::process::Command::new("bash");
        command.args(["-c", &script]).env("STEPSCOPE_DB", bench.db()).env("XDG_CONFIG_HOME", bench.folder.path());
        let output = command.output().expect("it runs");
        assert_eq!(output.status.code(), Some(0), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let result = result(&output);
        assert_eq!(result["events"], 12, "{name}: {result}");
        let passed_over = result["quarantined"].as_u64() > Some(0) || result["skipped"].as_u64() > Some(0);
        assert!(passed_over, "{name}: {result}");
    }
}

#[test]
fn aliases_of_yaml_that_multiply_are_refused() {
    let mut text =
        "StartAt: A\nStates:\n  A: {Type: Pass, End: true}\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        text += &format!("a{level}: &a{level} [{}]\n", vec![before; 10].join(", "));
    }
    let bench = Bench::new();
    let (code, result) = import(&bench, &bench.write("bomb.asl.yaml", text));
    assert_eq!((code, &result["definitions"]), (1, &0.into()), "{result}");
}

#[test]
#[cfg(unix)]
fn a_description_that_is_no_regular_file_or_too_long_is_left_out() {
    let history = json!({"events": [{"id": 1, "previousEventId": 0, "type": "ExecutionStarted", "timestamp": 1_790_000_000, "executionStartedEventDetails": {}}]});
    for what in ["fifo", "device", "long"] {
        let bench = Bench::new();
        let path = bench.write("x.json", history.to_string());
        let beside = bench.folder.path().join("x.describe.json");
        match what {
            "fifo" => assert!(std::process::Command::new("mkfifo").arg(&beside).status().expect("it runs").success()),
            "device" => std::os::unix::fs::symlink("/dev/zero", &beside).expect("a link"),
            _ => fs::write(&beside, " ".repeat(2 << 20)).expect("a file"),
        }
        let (code, result) = import(&bench, &path);
        assert_eq!((code, &result["events"]), (0, &1.into()), "{what}: {result}");
        assert!(reason(&result).contains("x.describe.json"), "{what}: {result}");
    }
}

#[test]
fn nothing_read_is_no_success_and_the_reason_says_what_was_seen() {
    let utf16: Vec<u8> = "\u{feff}{\"events\": []}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (name, content, says) in [
        ("empty.json", Vec::new(), "the file is empty"),
        ("blank.json", b" \n\n".to_vec(), "the file holds only blanks"),
        (
            "keys.json",
            br#"{"a": 1, "b": [2]}"#.to_vec(),
            "JSON object with keys `a`, `b`; expected an execution history",
        ),
        ("list.json", b"[1, 2]".to_vec(), "JSON array of plain values; expected"),
        ("utf16.json", utf16, "UTF-16 text"),
        ("picture.png", b"\x89PNG\r\n\x1a\n\0\0".to_vec(), "PNG image; expected"),
        ("notes.md", b"# Notes\n".to_vec(), "text without JSON lines; expected"),
        ("page.html", b"<!DOCTYPE html><html></html>".to_vec(), "HTML page"),
        ("program", b"\x7fELF\x02\x01\x01\0".to_vec(), "program (ELF)"),
        ("cut.json", br#"{"name": "x", "a": ["#.to_vec(), "the text ends in the middle of a value"),
    ] {
        let bench = Bench::new();
        let path = bench.write(name, content);
        let output = bench.run(&["import", "-o", "json", &path.to_string_lossy()]);
        let result = result(&output);
        assert_eq!(output.status.code(), Some(1), "{name}: {result}");
        assert_eq!((&result["skipped"], &result["files"]), (&1.into(), &0.into()), "{name}: {result}");
        let skipped = &result["skipped_files"][0];
        assert!(skipped["reason"].as_str().is_some_and(|it| it.contains(says)), "{name}: {result}");
        assert_eq!(skipped["source"].as_str(), path.to_str());
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains(says), "{name}: {told}");
        // With something that is read it is no failure, but what was asked for is missing.
        let good = bench.write("good.jsonl", log(1));
        let (path, good) = (path.to_string_lossy(), good.to_string_lossy());
        assert_eq!(bench.run(&["import", &path, &good]).status.code(), Some(0), "{name}");
        assert_eq!(bench.run(&["import", "--strict", &path, &good]).status.code(), Some(4), "{name}");
    }
}

#[test]
fn valid_answers_without_content_and_duplicates_are_a_success() {
    for content in [
        r#"{"events": []}"#,
        r#"{"events": [], "nextToken": null, "searchedLogStreams": []}"#,
        r#"{"executions": []}"#,
        r#"{"mapRuns": []}"#,
        r#"{"Traces": [], "UnprocessedTraceIds": []}"#,
        r#"{"results": [], "statistics": {}, "status": "Complete"}"#,
        "[{\"events\": []}, {\"events\": []}]",
    ] {
        let bench = Bench::new();
        let (code, result) = import(&bench, &bench.write("answer.json", content));
        assert_eq!((code, &result["files"], &result["skipped"]), (0, &1.into(), &0.into()), "{content}: {result}");
    }
    let bench = Bench::new();
    let path = bench.write("log.jsonl", log(2));
    import(&bench, &path);
    let (code, again) = import(&bench, &path);
    assert_eq!((code, &again["events"]), (0, &0.into()), "{again}");
    let foreign = bench.write("calendar.json", r#"{"events": [], "calendar": "x"}"#);
    assert_eq!(import(&bench, &foreign).0, 1);
}

#[test]
fn of_what_is_ours_and_damaged_nothing_goes_in_and_that_is_no_success() {
    let bench = Bench::new();
    let path = bench.write(
        "log.jsonl",
        r#"{"id":"x","type":"PassStateEntered","execution_arn":"arn:aws:states:eu-west-1:1:express:o:r:1"}"#,
    );
    let (code, result) = import(&bench, &path);
    assert_eq!((code, &result["files"], &result["skipped"]), (1, &1.into(), &0.into()), "{result}");
    reason(&result);
}

#[test]
fn a_folder_lists_what_it_skips() {
    let bench = Bench::new();
    bench.write("folder/log.jsonl", log(1));
    bench.write("folder/notes.md", "# Notes\n");
    let folder = bench.folder.path().join("folder");
    let folder = folder.to_string_lossy();
    let quiet = bench.run(&["import", "-o", "json", &folder]);
    let listed = result(&quiet);
    assert_eq!((quiet.status.code(), &listed["skipped"]), (Some(0), &1.into()));
    assert!(listed["skipped_files"][0]["reason"].as_str().is_some_and(|it| it.contains("text without JSON lines")));
    assert!(!String::from_utf8_lossy(&quiet.stderr).contains("notes.md"));
    let verbose = bench.run(&["import", "--verbose", &folder]);
    assert!(String::from_utf8_lossy(&verbose.stderr).contains("notes.md`: text without JSON lines"));
    assert_eq!(bench.run(&["import", "--strict", &folder]).status.code(), Some(0), "a folder holds other things too");
    fs::create_dir(bench.folder.path().join("empty")).expect("a folder");
    let empty = bench.folder.path().join("empty");
    let (code, result) = import(&bench, &empty);
    assert!(
        code == 1 && result["skipped_files"][0]["reason"].as_str().is_some_and(|it| it.contains("no files")),
        "{result}"
    );
}
