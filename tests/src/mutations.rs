//! One record must not spoil a report: files of the corpus are damaged in every way, imported, and every command that reads runs
//! over what came of them.
//!
//! `STEPSCOPE_MUTATIONS` is how many files are damaged (2,000 for the record), `STEPSCOPE_MUTATIONS_TOGETHER` how many of them go
//! into one database, `STEPSCOPE_MUTATIONS_SEED` where the seeds begin.

use std::fs;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::stepscope::{Bench, corpora};

/// Damaged files, and how many of them go into one database.
const FILES: u64 = 40;
const TOGETHER: u64 = 40;
/// A command that takes so long hangs.
const PATIENCE: Duration = Duration::from_mins(5);
/// What no command may say.
const NEVER: [&str; 9] = [
    "panicked",
    "does not understand",
    "refused a statement",
    "Conversion Error",
    "Out of Range",
    "Binder Error",
    "Catalog Error",
    "INTERNAL",
    "overflow",
];

/// A small generator, so that a seed says everything about a file.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let it = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let it = (it ^ (it >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        it ^ (it >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(n.max(1)).expect("it fits")).expect("it fits")
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }
}

/// The files of the corpus that hold executions, in order.
fn sources() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in ["histories", "logs", "samples", "sync-express", "xray", "events", "api"] {
        let mut folders = vec![corpora().join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("the corpus").map(|it| it.expect("an entry").path()) {
                if entry.is_dir() {
                    folders.push(entry);
                } else if fs::metadata(&entry).is_ok_and(|it| it.len() < 200_000) {
                    files.push(entry);
                }
            }
        }
    }
    files.sort();
    files
}

/// The values of a file: a document, or one a line.
fn values(text: &str) -> Option<Vec<Value>> {
    serde_json::from_str(text)
        .map(|it| vec![it])
        .or_else(|_| text.lines().filter(|it| !it.is_empty()).map(serde_json::from_str).collect())
        .ok()
}

fn damaged(content: &[u8], random: &mut Random) -> Vec<u8> {
    let values = std::str::from_utf8(content).ok().and_then(values).filter(|_| random.below(5) > 0);
    let Some(mut values) = values else {
        let mut bytes = content.to_vec();
        for _ in 0..=random.below(4) {
            if let Some(at) = (!bytes.is_empty()).then(|| random.below(bytes.len())) {
                bytes[at] = u8::try_from(random.below(256)).expect("a byte");
            }
        }
        if random.below(4) == 0 {
            bytes.truncate(random.below(bytes.len()));
        }
        return bytes;
    };
    for _ in 0..=random.below(3) {
        damage(&mut values, random);
    }
    values.iter().map(|it| format!("{it}\n")).collect::<String>().into_bytes()
}

/// Damages the values in one of many ways.
fn damage(values: &mut Vec<Value>, random: &mut Random) {
    let n_nodes = values.iter().map(size).sum::<usize>();
    let how = random.below(12);
    if how < 4 || values.is_empty() {
        // Any value becomes another.
        let other = another(random);
        change(values, random.below(n_nodes), &mut |it| *it = other.clone());
    } else if how < 6 {
        let (key, other) = (random.of(&NUMBERS), random.of(&HUGE));
        let other: Value = serde_json::from_str(other).expect("a number");
        let other = if random.below(2) == 0 { Value::from(other.to_string()) } else { other };
        let nth = random.below(6);
        change_named(values, key, nth, &other);
    } else if how < 8 {
        let (key, nth) = (random.of(&TIMES), random.below(6));
        let other: Value = serde_json::from_str(random.of(&INSTANTS)).expect("a time");
        change_named(values, key, nth, &other);
    } else if how == 8 {
        let kind = Value::from(random.of(&TYPES));
        let nth = random.below(10);
        change_named(values, "type", nth, &kind);
    } else {
        // The longest list, or the lines.
        let mut list = std::mem::take(values);
        if list.len() == 1
            && let Some(inner) = list[0].as_object_mut().and_then(longest)
        {
            rearrange(inner, how, random);
        } else if list.len() == 1
            && let Some(inner) = list[0].as_array_mut()
        {
            rearrange(inner, how, random);
        } else {
            rearrange(&mut list, how, random);
        }
        *values = list;
    }
}

const NUMBERS: [&str; 18] = [
    "id",
    "previousEventId",
    "previous_event_id",
    "index",
    "length",
    "redriveCount",
    "redrive_count",
    "billedDurationInMilliseconds",
    "billedMemoryUsedInMB",
    "total",
    "pending",
    "maxConcurrency",
    "timeoutInSeconds",
    "Sum",
    "Average",
    "heartbeatInSeconds",
    "event_timestamp",
    "itemCount",
];
const HUGE: [&str; 12] = [
    "0",
    "1",
    "-1",
    "2147483648",
    "4294967297",
    "9007199254740993",
    "9223372036854775807",
    "18446744073709551615",
    "1e30",
    "100000000",
    "1000000000",
    "0.5",
];
const TIMES: [&str; 8] =
    ["timestamp", "event_timestamp", "startDate", "stopDate", "start_time", "end_time", "Timestamp", "updateDate"];
const INSTANTS: [&str; 14] = [
    "0",
    "\"0000-01-01T00:00:00Z\"",
    "\"1970-01-01T00:00:00Z\"",
    "\"1999-12-31T23:59:59Z\"",
    "\"2000-01-01T00:00:00Z\"",
    "\"2016-12-01T00:00:00Z\"",
    "\"2026-01-31T23:59:59.999Z\"",
    "\"2027-06-01T00:00:00Z\"",
    "\"9999-12-31T23:59:59Z\"",
    "99999999999999",
    "1790000000",
    "1790000000.123456789",
    "\"1600000000000\"",
    "-62167219200",
];
const TYPES: [&str; 12] = [
    "ExecutionStarted",
    "ExecutionSucceeded",
    "ExecutionFailed",
    "ExecutionRedriven",
    "MapStateStarted",
    "MapIterationFailed",
    "ParallelStateSucceeded",
    "TaskSubmitted",
    "TaskTimedOut",
    "PassStateExited",
    "MapRunRedriven",
    "Novelty",
];

fn another(random: &mut Random) -> Value {
    match random.below(9) {
        0 => Value::Null,
        1 => true.into(),
        2 => "".into(),
        3 => json!([]),
        4 => json!({}),
        5 => json!({"a": [1, {"b": null}]}),
        6 => "\u{202e}\u{1b}[31m'; DROP TABLE x; --\0".into(),
        7 => "é".repeat(random.below(3_000)).into(),
        _ => serde_json::from_str(random.of(&HUGE)).expect("a number"),
    }
}

fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(fields) => fields.values().map(size).sum(),
        _ => 0,
    }
}

/// Changes the nth value, counted from the outside in.
fn change(values: &mut [Value], nth: usize, how: &mut dyn FnMut(&mut Value)) {
    fn visit(value: &mut Value, left: &mut usize, how: &mut dyn FnMut(&mut Value)) -> bool {
        if *left == 0 {
            how(value);
            return true;
        }
        *left -= 1;
        match value {
            Value::Array(items) => items.iter_mut().any(|it| visit(it, left, how)),
            Value::Object(fields) => fields.values_mut().any(|it| visit(it, left, how)),
            _ => false,
        }
    }
    let mut left = nth;
    let _ = values.iter_mut().any(|it| visit(it, &mut left, how));
}

/// Changes the nth value with a name; removes it where it is to be null.
fn change_named(values: &mut [Value], key: &str, nth: usize, other: &Value) {
    fn visit(value: &mut Value, key: &str, left: &mut usize, other: &Value) -> bool {
        match value {
            Value::Array(items) => items.iter_mut().any(|it| visit(it, key, left, other)),
            Value::Object(fields) => {
                if fields.contains_key(key) {
                    if *left == 0 {
                        fields.insert(key.to_owned(), other.clone());
                        return true;
                    }
                    *left -= 1;
                }
                fields.values_mut().any(|it| visit(it, key, left, other))
            }
            _ => false,
        }
    }
    let mut left = nth;
    let _ = values.iter_mut().any(|it| visit(it, key, &mut left, other));
}

fn longest(fields: &mut Map<String, Value>) -> Option<&mut Vec<Value>> {
    fields.values_mut().filter_map(Value::as_array_mut).max_by_key(|it| it.len())
}

fn rearrange(list: &mut Vec<Value>, how: usize, random: &mut Random) {
    if list.is_empty() {
        return;
    }
    match how {
        9 => {
            for _ in 0..=random.below(list.len()).min(6) {
                if !list.is_empty() {
                    list.remove(random.below(list.len()));
                }
            }
        }
        10 => {
            let item = list[random.below(list.len())].clone();
            list.insert(random.below(list.len() + 1), item);
        }
        _ => {
            for at in (1..list.len()).rev() {
                list.swap(at, random.below(at + 1));
            }
        }
    }
}

/// Runs a command; one that hangs is a failure.
fn run(bench: &Bench, arguments: &[&str]) -> Output {
    let mut child = bench
        .command(arguments)
        .stdin(Stdio::null())
        .stdout(fs::File::create(bench.folder.path().join("out")).expect("a file"))
        .stderr(fs::File::create(bench.folder.path().join("err")).expect("a file"))
        .spawn()
        .expect("it runs");
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        if begun.elapsed() > PATIENCE {
            child.kill().expect("it ends");
            let _ = child.wait();
            panic!("{arguments:?} hangs");
        }
        std::thread::sleep(Duration::from_millis(3));
    };
    let read = |name: &str| fs::read(bench.folder.path().join(name)).expect("a file");
    Output { status, stdout: read("out"), stderr: read("err") }
}

/// Every command that reads: those that always have an answer, and those that need something to compare.
fn commands(machines: &[String], execution: &str, out: &str) -> Vec<(Vec<String>, &'static [i32])> {
    const ALWAYS: &[i32] = &[0];
    const MAYBE: &[i32] = &[0, 1, 2];
    let mut commands: Vec<(Vec<String>, &'static [i32])> = Vec::new();
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    for command in [
        "executions -o json",
        "executions",
        "show --all -o ndjson",
        "states -o json",
        "states",
        "bottlenecks -o json",
        "bottlenecks",
        "cost -o json",
        "cost",
        "cost --by state",
        "cost --by day",
        "cost --by error",
        "cost --by version",
        "cost --by path",
        "cost --by account",
        "cost --by region",
        "cost --by tag:team",
        "cost --what-if type=express",
        "incidents -o json",
        "incidents",
        "redrivable -o json",
        "audit -o json",
        "audit",
        "report cost --period 30d",
        "report health --period 30d",
        "report bottlenecks --period 30d",
        "report incident --period 30d",
        "report all --period 30d",
        "report all --since 2001-01-01",
        "export prometheus",
        "export infracost",
        "export focus",
        "lint",
        "dash --once --offline",
        "dash --once --offline --view executions",
        "dash --once --offline --view bottlenecks",
        "dash --once --offline --view cost",
        "dash --once --offline --view incident",
        "dash --once --offline --view collector",
    ] {
        let exact = !command.starts_with("lint") && !command.starts_with("report incident");
        commands.push((words(command), if exact { ALWAYS } else { MAYBE }));
    }
    for format in ["perfetto", "otlp", "bundle", "parquet"] {
        let is_one = format == "perfetto" || format == "otlp" || format == "bundle";
        let mut command = vec!["export".to_owned(), format.to_owned()];
        if is_one {
            command.push(execution.to_owned());
        }
        command.extend(["--out".to_owned(), format!("{out}/{format}")]);
        commands.push((command, MAYBE));
    }
    for view in [
        "executions",
        "events",
        "visits",
        "attempts",
        "critical_path",
        "segments",
        "lambda_reports",
        "metrics",
        "machines",
        "definitions",
        "payloads",
        "tags",
        "quarantine",
        "coverage",
        "settings",
        "versions",
        "gaps",
    ] {
        commands.push((vec!["sql".to_owned(), format!("FROM {view}"), "-o".to_owned(), "json".to_owned()], ALWAYS));
    }
    for (what, exits) in
        [(vec!["show", execution], ALWAYS), (vec!["dash", "--once", "--offline", "--view", "timeline {}"], MAYBE)]
    {
        let command = what.iter().map(|it| it.replace("{}", execution)).collect();
        commands.push((command, exits));
    }
    for machine in machines {
        for command in ["states", "bottlenecks", "whatif", "cost", "compare", "versions", "redrivable", "report health"]
        {
            let mut command = words(command);
            command.push(machine.clone());
            commands.push((command, MAYBE));
        }
        let view = format!("machine {machine}");
        commands.push((["dash", "--once", "--offline", "--view", &view].map(str::to_owned).to_vec(), MAYBE));
    }
    commands
}

fn check(seeds: std::ops::Range<u64>, sources: &[PathBuf]) -> Vec<String> {
    let bench = Bench::new();
    for seed in seeds.clone() {
        let mut random = Random(seed);
        let source = &sources[random.below(sources.len())];
        let content = damaged(&fs::read(source).expect("a file"), &mut random);
        let name = source.file_name().expect("a name").to_string_lossy().into_owned();
        bench.write(&format!("in/{seed}/{name}"), content);
    }
    let mut found = Vec::new();
    let mut judge = |arguments: &[&str], output: &Output, exits: &[i32]| {
        let said = String::from_utf8_lossy(&output.stderr);
        let is_wrong =
            !output.status.code().is_some_and(|it| exits.contains(&it)) || NEVER.iter().any(|it| said.contains(it));
        if is_wrong {
            let said = said.lines().take(6).collect::<Vec<_>>().join(" | ");
            found.push(format!("seeds {seeds:?}: {arguments:?} ends with {:?}: {said}", output.status.code()));
        }
    };
    let folder = bench.folder.path().join("in");
    let import = ["import", &*folder.to_string_lossy()];
    judge(&import, &run(&bench, &import), &[0, 1]);
    let all = run(&bench, &["executions", "-o", "json"]);
    let all: Value = serde_json::from_slice(&all.stdout).unwrap_or_default();
    let all = all["executions"].as_array().cloned().unwrap_or_default();
    let mut machines: Vec<String> =
        all.iter().filter_map(|it| it["state_machine_arn"].as_str().map(str::to_owned)).collect();
    machines.sort();
    machines.dedup();
    machines.truncate(2);
    let Some(execution) = all.first().and_then(|it| it["execution_arn"].as_str()) else { return found };
    let out = bench.folder.path().join("exported");
    fs::create_dir_all(&out).expect("a folder");
    for (command, exits) in commands(&machines, execution, &out.to_string_lossy()) {
        let arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        judge(&arguments, &run(&bench, &arguments), exits);
    }
    found
}

#[test]
fn no_damaged_record_keeps_a_command_from_its_answer() {
    let number =
        |name: &str, otherwise: u64| std::env::var(name).ok().map_or(otherwise, |it| it.parse().expect("a number"));
    let (n_files, first) = (number("STEPSCOPE_MUTATIONS", FILES), number("STEPSCOPE_MUTATIONS_SEED", 0));
    let together = number("STEPSCOPE_MUTATIONS_TOGETHER", TOGETHER).max(1);
    let sources = sources();
    assert!(sources.len() > 100, "{}", sources.len());
    let mut found = Vec::new();
    for begin in (first..first + n_files).step_by(usize::try_from(together).expect("it fits")) {
        found.extend(check(begin..(begin + together).min(first + n_files), &sources));
        if !found.is_empty() && found.len() < 40 {
            eprintln!("{}", found.join("\n"));
        }
    }
    assert!(found.is_empty(), "{} findings:\n{}", found.len(), found.join("\n"));
}
