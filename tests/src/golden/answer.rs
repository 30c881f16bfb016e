//! Answers: what did the commands of an invocation print, without prose and values of the run?

use std::fmt::Write;

use serde_json::{Map, Value};

use super::masks::{self, Kind};
use super::run::Run;

/// What is compared of an invocation.
pub(super) struct Golden {
    pub(super) commands: Vec<String>,
    /// Every command with its exit code and its answer.
    pub(super) answers: Value,
    /// The masked sentences, a line each: where they were, and what they say.
    pub(super) prose: String,
}

pub(super) fn golden(runs: &[Run]) -> Golden {
    let mut prose = String::new();
    let answers = runs.iter().enumerate().map(|(n, it)| of_run(n, it, &mut prose)).collect();
    Golden { commands: runs.iter().map(|it| it.command.clone()).collect(), answers, prose }
}

fn of_run(number: usize, run: &Run, prose: &mut String) -> Value {
    let mut found = Map::new();
    found.insert("command".to_owned(), run.command.as_str().into());
    found.insert("exit".to_owned(), run.exit.into());
    found.insert("answer".to_owned(), masked(read(&run.stdout), command(run), &format!("[{number}].answer"), prose));
    if !run.written.is_empty() {
        let mut files = Map::new();
        for (name, it) in &run.written {
            let path = format!("[{number}].files.{name}");
            files.insert(name.clone(), file(it, command(run), &path, prose));
        }
        found.insert("files".to_owned(), files.into());
    }
    for line in run.stderr.lines().filter(|it| !it.trim().is_empty()) {
        said(prose, &format!("[{number}].stderr"), line);
    }
    found.into()
}

/// The command's first word: what the masks go by.
fn command(run: &Run) -> &str {
    run.command.split(' ').find(|it| *it != "stepscope" && !it.starts_with('-')).unwrap_or_default()
}

/// What a file says: of a page, that it is there; of messages in protocol buffers, a fingerprint.
fn file(bytes: &[u8], command: &str, path: &str, prose: &mut String) -> Value {
    match path.rsplit('.').next() {
        Some("html") => "(page)".into(),
        Some("pb") => format!("{} bytes, fingerprint {:016x}", bytes.len(), fingerprint(bytes)).into(),
        _ => masked(read(bytes), command, path, prose),
    }
}

/// FNV-1a: the same with every compiler.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, it| (hash ^ u64::from(*it)).wrapping_mul(0x0100_0000_01b3))
}

/// JSON, JSON lines, or lines; of what is no text, that it is there.
fn read(bytes: &[u8]) -> Value {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return "(no text)".into();
    };
    if text.is_empty() {
        return Value::Null;
    }
    if let Ok(value) = serde_json::from_str(text) {
        return value;
    }
    let lines: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
    lines.map_or_else(|_| text.lines().collect::<Vec<_>>().into(), Value::from)
}

fn masked(value: Value, command: &str, path: &str, prose: &mut String) -> Value {
    mask(value, command, &mut Vec::new(), path, prose)
}

/// Replaces what the masks name; `path` is where a value is, `keys` the same without numbers.
fn mask(value: Value, command: &str, keys: &mut Vec<String>, path: &str, prose: &mut String) -> Value {
    match (masks::kind(command, keys), value) {
        (_, Value::Null) => Value::Null,
        (Some(Kind::OfTheRun), _) => "(of the run)".into(),
        (rule, Value::String(text))
            if rule == Some(Kind::Prose) || keys.is_empty() && masks::is_prose(command, &text) =>
        {
            said(prose, path, &text);
            "(prose)".into()
        }
        (_, Value::Array(all)) => {
            let each = all.into_iter().enumerate();
            each.map(|(n, it)| mask(it, command, keys, &format!("{path}[{n}]"), prose)).collect()
        }
        (_, Value::Object(all)) => {
            let mut found = Map::new();
            for (key, it) in all {
                keys.push(key.clone());
                found.insert(key.clone(), mask(it, command, keys, &format!("{path}.{key}"), prose));
                keys.pop();
            }
            found.into()
        }
        (_, other) => other,
    }
}

fn said(prose: &mut String, path: &str, text: &str) {
    writeln!(prose, "{path}\t{}", text.replace('\n', "\\n")).expect("a text takes everything");
}
