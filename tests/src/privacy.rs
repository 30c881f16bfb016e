//! What must not be kept is kept nowhere: not under `--payloads none` or `redacted`, in whatever form and member it comes.

use std::fs;
use std::io::Write;
use std::path::Path;

use collector::synthetic::Random;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};

use crate::stepscope::Bench;

const PREFIX: &str = "arn:aws:states:us-east-1:123456789012";
/// Members whose lists are structure: what is put in there would be a record of its own.
const STRUCTURE: [&str; 7] = ["events", "Traces", "Segments", "subsegments", "executions", "exceptions", "logEvents"];

const VIEWS: [&str; 20] = [
    "machines",
    "definitions",
    "executions",
    "events",
    "payloads",
    "visits",
    "attempts",
    "critical_path",
    "segments",
    "lambda_reports",
    "tags",
    "metrics",
    "prices",
    "quarantine",
    "settings",
    "versions",
    "marks",
    "collected_spans",
    "gaps",
    "coverage",
];

/// Puts marks into a document, each of its own, and in every way in which something unknown may come.
struct Planter {
    random: Random,
    n_planted: u64,
}

impl Planter {
    fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), n_planted: 0 }
    }

    fn text(&mut self) -> String {
        self.n_planted += 1;
        // Of payloads, keys that read like names stay in their shape: these are numbers of something.
        format!("CANARY{:05}", self.n_planted)
    }

    /// A value with marks: a text, a number, a list, an object with a mark for a key, or all of that nested.
    fn value(&mut self, depth: usize) -> Value {
        match self.random.below(if depth > 3 { 2 } else { 6 }) {
            0 => self.text().into(),
            1 => {
                self.n_planted += 1;
                (777_000_000_u64 + self.n_planted).into()
            }
            2 => vec![self.value(depth + 1), self.value(depth + 1)].into(),
            3 => Value::from(json!({"note": self.text()}).to_string()),
            _ => {
                let (key, inner) = (self.text(), self.value(depth + 1));
                let fields = [(key, inner), ("value".to_owned(), self.value(depth + 1))];
                Value::Object(fields.into_iter().collect())
            }
        }
    }

    fn plant(&mut self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (key, it) in fields.iter_mut() {
                    if it.is_object() || STRUCTURE.contains(&key.as_str()) {
                        self.plant(it);
                    }
                }
                let new = [("newMember", 0), ("brand_new", 0), ("outputs", 0), ("causeDetails", 0), ("value", 0)];
                for (key, _) in new.iter().filter(|_| self.random.below(2) == 0).collect::<Vec<_>>() {
                    let value = self.value(0);
                    fields.entry(*key).or_insert(value);
                }
                let (key, value) = (self.text(), self.value(0));
                fields.insert(key, value);
            }
            Value::Array(items) => items.iter_mut().for_each(|it| self.plant(it)),
            _ => {}
        }
    }

    /// What the users put in: the keys are data, too.
    fn payload(&mut self) -> String {
        let key = format!("{}@example.com", self.text());
        let fields: Map<String, Value> =
            [(key, self.value(0)), ("order".to_owned(), self.value(0))].into_iter().collect();
        Value::Object(fields).to_string()
    }
}

fn log_lines(planter: &mut Planter, arn: &str) -> Vec<String> {
    let kinds: [(&str, Value); 12] = [
        ("ExecutionStarted", json!({"input": planter.payload(), "roleArn": "arn:aws:iam::123456789012:role/r"})),
        ("TaskStateEntered", json!({"name": "A", "input": planter.payload(), "inputDetails": {"truncated": true}})),
        ("TaskScheduled", json!({"resourceType": "lambda", "resource": "invoke", "region": "eu-west-1", "parameters": planter.payload(), "timeoutInSeconds": [planter.value(0)], "taskCredentials": {"roleArn": planter.text()}})),
        ("TaskStarted", json!({"resourceType": "lambda", "resource": "invoke", "name": planter.text(), "index": 3})),
        ("TaskFailed", json!({"resourceType": "lambda", "resource": "invoke", "error": "E", "cause": planter.payload()})),
        ("TaskStateExited", json!({"name": "A", "output": planter.payload(), "assignedVariables": {"v": planter.payload()}})),
        ("MapStateStarted", json!({"length": 3, "items": [planter.value(0)]})),
        ("SomethingNew", json!({"input": planter.payload(), "name": planter.text(), "error": planter.text(), "resource": planter.text(), "nested": {"output": planter.payload()}})),
        (&*format!("CANARY{}Happened", 4711), json!({"value": planter.value(0)})),
        ("ActivityStarted", json!({"workerName": planter.text()})),
        ("EvaluationFailed", json!({"state": "A", "error": "States.QueryEvaluationError", "location": planter.payload(), "cause": planter.text()})),
        ("ExecutionFailed", json!({"error": "E", "cause": planter.text()})),
    ]
    .map(|(kind, details)| (Box::leak(kind.to_owned().into_boxed_str()) as &str, details));
    let mut lines = Vec::new();
    for (index, (kind, details)) in kinds.into_iter().enumerate() {
        let mut line = json!({
            "id": (index + 1).to_string(), "type": kind, "details": details, "previous_event_id": index.to_string(),
            "event_timestamp": (1_790_000_000_000 + index * 10).to_string(), "execution_arn": arn, "redrive_count": "0",
        });
        planter.plant(&mut line);
        lines.push(line.to_string());
    }
    lines
}

/// The same as a history.
fn history(planter: &mut Planter, arn: &str) -> Value {
    let event = |line: &String| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let kind = line["type"].as_str().expect("a type");
        let key = match kind {
            it if it.ends_with("StateEntered") => "stateEnteredEventDetails".to_owned(),
            it if it.ends_with("StateExited") => "stateExitedEventDetails".to_owned(),
            it => format!("{}{}EventDetails", it[..1].to_lowercase(), &it[1..]),
        };
        let id: u64 = line["id"].as_str().and_then(|it| it.parse().ok()).expect("an id");
        let mut event = json!({"id": id, "previousEventId": id - 1, "type": kind, "timestamp": 1_790_000_000 + id});
        event[key] = line["details"].clone();
        event
    };
    let events: Vec<Value> = log_lines(planter, arn).iter().map(event).collect();
    let mut whole = json!({"executionArn": arn, "events": events});
    planter.plant(&mut whole);
    whole
}

fn segments(planter: &mut Planter, arn: &str) -> Vec<Value> {
    let trace = "1-5f84c7a1-aaaaaaaaaaaaaaaaaaaaaaaa";
    let mut all = vec![
        json!({
            "id": "aaaaaaaaaaaaaaaa", "trace_id": trace, "name": "orders", "origin": "AWS::StepFunctions::StateMachine",
            "start_time": 1_790_000_000.0, "end_time": 1_790_000_001.0, "aws": {"resource_arn": arn, "xray": planter.value(0)},
            "subsegments": [{
                "id": "bbbbbbbbbbbbbbbb", "name": "Call", "start_time": 1_790_000_000.1, "end_time": 1_790_000_000.9, "namespace": "aws",
                "aws": {"operation": "Invoke", "request_id": "r-1", "queue_url": format!("https://q/{}", planter.text())},
                "http": {"request": {"method": "POST", "url": format!("https://x/?card={}", planter.text())}, "response": {"status": 200}},
                "annotations": {planter.text(): planter.text()}, "metadata": {"default": {planter.text(): planter.value(0)}},
                "sql": {"sanitized_query": planter.text()},
                "cause": {"working_directory": planter.text(), "exceptions": [
                    {"id": "cccccccccccccccc", "type": "E", "message": planter.text(), "stack": [{"path": planter.text(), "label": planter.text()}]},
                ]},
            }],
        }),
        json!({
            "id": "dddddddddddddddd", "trace_id": trace, "parent_id": "bbbbbbbbbbbbbbbb", "name": "fn", "origin": "AWS::Lambda::Function",
            "start_time": 1_790_000_000.2, "end_time": 1_790_000_000.8, "user": planter.text(), "service": {"version": planter.text()},
        }),
    ];
    for it in &mut all {
        planter.plant(it);
    }
    all
}

fn records(planter: &mut Planter) -> Vec<(&'static str, Value)> {
    let arn = |kind: &str, name: &str| format!("{PREFIX}:{kind}:orders:{name}");
    let mut describe = json!({
        "executionArn": arn("execution", "described"), "stateMachineArn": format!("{PREFIX}:stateMachine:orders"), "name": "described",
        "status": "FAILED", "startDate": 1_790_000_000.5, "stopDate": 1_790_000_002.5, "input": planter.payload(), "output": planter.payload(),
        "inputDetails": {"included": true}, "error": "E", "cause": planter.text(),
        "traceHeader": format!("Root={};Sampled=1", planter.text().replace("CANARY", "CANARY ")),
    });
    let mut listing = json!({"executions": [
        {"executionArn": arn("execution", "listed"), "stateMachineArn": format!("{PREFIX}:stateMachine:orders"), "name": "listed", "status": "SUCCEEDED",
         "startDate": 1_790_000_000.5, "stopDate": 1_790_000_002.5},
    ]});
    let mut sync = json!({
        "executionArn": arn("express", "sync:1"), "stateMachineArn": format!("{PREFIX}:stateMachine:orders"), "name": "sync", "status": "SUCCEEDED",
        "startDate": 1_790_000_000.5, "stopDate": 1_790_000_002.5, "input": planter.payload(), "output": planter.payload(),
        "billingDetails": {"billedMemoryUsedInMB": 64, "billedDurationInMilliseconds": 2_000},
    });
    let mut event = json!({
        "version": "0", "id": "1", "detail-type": "Step Functions Execution Status Change", "source": "aws.states", "region": "us-east-1",
        "time": "2026-09-21T00:00:00Z", "resources": [], "detail": {
            "executionArn": arn("execution", "announced"), "stateMachineArn": format!("{PREFIX}:stateMachine:orders"), "name": "announced",
            "status": "FAILED", "startDate": 1_790_000_000_500_u64, "stopDate": 1_790_000_002_500_u64, "input": planter.payload(), "output": planter.payload(),
            "inputDetails": {"included": true}, "error": "E", "cause": planter.text(),
        },
    });
    let mut map_run = json!({
        "mapRunArn": format!("{PREFIX}:mapRun:orders/Map:1"), "executionArn": arn("execution", "described"), "status": planter.text(),
        "startDate": 1_790_000_000.5, "maxConcurrency": 5, "executionCounts": {"total": 3, "pending": 0}, "itemCounts": {"total": 3},
    });
    for it in [&mut describe, &mut listing, &mut sync, &mut event, &mut map_run] {
        planter.plant(it);
    }
    vec![("describe", describe), ("listing", listing), ("sync", sync), ("event", event), ("map-run", map_run)]
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).expect("memory");
    packed.finish().expect("memory")
}

/// Writes every form of input; gives how many marks there are.
fn write_inputs(bench: &Bench, seed: u64) -> u64 {
    let mut planter = Planter::new(seed);
    let express = |name: &str| format!("{PREFIX}:express:orders:{name}:1");
    let write = |name: &str, content: &[u8]| drop(bench.write(&format!("in/{name}"), content));
    write("plain.jsonl", log_lines(&mut planter, &express("plain")).join("\n").as_bytes());
    let prefixed = log_lines(&mut planter, &express("prefixed")).join("\n2026-09-21T14:13:20.010Z ");
    write("prefixed.log", format!("2026-09-21T14:13:20.010Z {prefixed}").as_bytes());
    let events: Value = log_lines(&mut planter, &express("filtered"))
        .into_iter()
        .map(|it| json!({"timestamp": 1, "message": it}))
        .collect();
    write("filtered.json", json!({"events": events}).to_string().as_bytes());
    let enveloped: Vec<Value> = log_lines(&mut planter, &express("enveloped"))
        .into_iter()
        .map(|it| json!({"id": "1", "timestamp": 1, "message": it}))
        .collect();
    let envelope =
        json!({"messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "g", "logStream": "s", "logEvents": enveloped});
    write("enveloped.json.gz", &packed(envelope.to_string().as_bytes()));
    let row = |it: String| format!("2026-09-21 00:00:00.000,\"{}\"\n", it.replace('"', "\"\""));
    let csv: String = log_lines(&mut planter, &express("insights")).into_iter().map(row).collect();
    write("insights.csv", format!("@timestamp,@message\n{csv}").as_bytes());
    let results: Vec<Value> = log_lines(&mut planter, &express("queried"))
        .into_iter()
        .map(|it| json!([{"field": "@message", "value": it}]))
        .collect();
    write("queried.json", json!({"results": results, "status": "Complete"}).to_string().as_bytes());
    write("history.json", history(&mut planter, &format!("{PREFIX}:execution:orders:h1")).to_string().as_bytes());
    write("pretty.json", format!("{:#}", history(&mut planter, &format!("{PREFIX}:execution:orders:h2"))).as_bytes());
    let all = segments(&mut planter, &format!("{PREFIX}:execution:orders:h1"));
    let documents: Vec<Value> = all.iter().map(|it| json!({"Id": it["id"], "Document": it.to_string()})).collect();
    write("traces.json", json!({"Traces": [{"Id": "t", "Segments": documents}]}).to_string().as_bytes());
    let lines: Vec<String> =
        segments(&mut planter, &format!("{PREFIX}:execution:orders:h2")).iter().map(Value::to_string).collect();
    write("segments.jsonl", lines.join("\n").as_bytes());
    for (name, value) in records(&mut planter) {
        write(&format!("{name}.json"), value.to_string().as_bytes());
    }
    let report = |id: &str, trace: &str| {
        format!(
            "REPORT RequestId: {id}\tDuration: 5.00 ms\tBilled Duration: 8 ms\tMemory Size: 128 MB\tMax Memory Used: 70 MB\tXRAY TraceId: {trace}\t\n"
        )
    };
    let odd = report("r-2", "{\"card\":\"CANARY1\"}") + &report("8cb7aeb9-0b0f", "1-5f84c7a1-aaaaaaaaaaaaaaaaaaaaaaaa");
    write("function.log", odd.as_bytes());
    planter.n_planted
}

/// Every byte of every file next to the database, and everything that can be asked of it.
pub(crate) fn all_text(bench: &Bench, files: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(files).expect("a folder").flatten() {
        if entry.path().is_file() {
            text += &String::from_utf8_lossy(&fs::read(entry.path()).expect("a file"));
        }
    }
    for view in VIEWS {
        text += &bench.rows(&format!("FROM {view}")).join("\n");
    }
    text
}

fn marks(text: &str) -> Vec<&str> {
    let found = text.match_indices("CANARY").chain(text.match_indices("777000")).take(5);
    found.map(|(at, _)| text.get(at.saturating_sub(60)..(at + 40).min(text.len())).unwrap_or("…")).collect()
}

#[test]
fn nothing_unknown_is_kept_in_whatever_form_it_comes() {
    for (policy, seeds) in [("none", 0..4), ("redacted", 4..8)] {
        for seed in seeds {
            let bench = Bench::new();
            let n_planted = write_inputs(&bench, seed);
            assert!(n_planted > 500, "{n_planted}");
            let folder = bench.folder.path().join("in");
            let result = bench.json(&["import", "--payloads", policy, &folder.to_string_lossy()]);
            assert!(result["events"].as_u64() > Some(90), "{result}");
            assert!(result["segments"].as_u64() >= Some(3), "{result}");
            let text = all_text(&bench, bench.folder.path());
            assert!(text.contains("TaskStateEntered") && text.contains("h1"), "what is harmless is there");
            assert_eq!(marks(&text), Vec::<&str>::new(), "{policy}, seed {seed}");
        }
    }
    // What is looked for would be found.
    let bench = Bench::new();
    write_inputs(&bench, 0);
    bench.json(&["import", &bench.folder.path().join("in").to_string_lossy()]);
    assert!(!marks(&all_text(&bench, bench.folder.path())).is_empty());
}

#[test]
fn known_members_of_known_events_stay_and_new_ones_leave_their_shape() {
    // As AWS adds members and types: fields that no list knows, and an event of an unknown type.
    let line = |id: u64, kind: &str, details: Value| {
        json!({
            "id": id.to_string(), "type": kind, "details": details, "previous_event_id": (id - 1).to_string(),
            "event_timestamp": (1_735_689_600_000 + id).to_string(), "execution_arn": format!("{PREFIX}:execution:orders:unk"), "redrive_count": "0",
        })
        .to_string()
    };
    let lines = [
        line(1, "TaskStateEntered", json!({"name": "A", "input": "{}", "newField": "CANARY1"})),
        line(
            2,
            "TaskScheduled",
            json!({"resourceType": "lambda", "resource": "invoke", "region": "eu-west-1", "timeoutInSeconds": 60, "parameters": "{}"}),
        ),
        line(
            3,
            "TaskFailed",
            json!({"resourceType": "lambda", "resource": "invoke", "error": "E", "cause": "c", "causeDetails": {"message": "CANARY3"}}),
        ),
        line(
            4,
            "SomethingNew",
            json!({"input": "CANARY4", "value": "CANARY5", "nested": {"output": "CANARY6", "item": "CANARY7"}}),
        ),
        line(5, "MapStateStarted", json!({"length": 3, "items": ["CANARY8"]})),
        line(6, "ExecutionSucceeded", json!({"output": "x", "result": "CANARY9"})),
    ];
    let detail = |policy: &str| {
        let bench = Bench::new();
        let path = bench.write("log.jsonl", lines.join("\n"));
        bench.json(&["import", "--payloads", policy, &path.to_string_lossy()]);
        bench.rows("SELECT id, type, state, resource, number, error, detail FROM events")
    };
    assert_eq!(
        detail("none"),
        [
            r#"[1,"TaskStateEntered","A",null,null,null,null]"#,
            r#"[2,"TaskScheduled",null,"lambda:invoke",null,null,"{\"region\":\"eu-west-1\",\"timeoutInSeconds\":60}"]"#,
            r#"[3,"TaskFailed",null,"lambda:invoke",null,"E",null]"#,
            r#"[4,"SomethingNew",null,null,null,null,null]"#,
            r#"[5,"MapStateStarted",null,null,3,null,null]"#,
            r#"[6,"ExecutionSucceeded",null,null,null,null,null]"#,
        ]
    );
    let redacted = detail("redacted");
    assert!(redacted[0].contains(r#"{\"newField\":\"string\"}"#), "{redacted:?}");
    assert!(
        redacted[3].contains(r#"{\"input\":\"string\",\"nested\":\"object\",\"value\":\"string\"}"#),
        "{redacted:?}"
    );
    assert!(detail("full")[3].contains("CANARY7"));
}
