//! The files next to a database that belong to it, and what of a forgotten execution they hold.
//!
//! Backups of migrations go as a whole. State of alerts and schedules, and logs of collectors, lose what names it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::forgotten::MARK;

/// A file larger than this is none of ours: state and logs are small.
const LARGEST: u64 = 256 << 20;
/// A shorter text is left alone: it would stand in what has nothing to do with it.
const SHORTEST: usize = 8;

/// Removes from the files of a database what stands for an execution, and names that it alone had; says which files changed
/// or went.
pub(crate) fn scrub_sidecars(database: &Path, ids: &[String], names: &[String]) -> io::Result<Vec<PathBuf>> {
    let database = database.canonicalize().unwrap_or_else(|_| database.to_owned());
    let (Some(folder), Some(name)) = (database.parent(), database.file_name()) else { return Ok(Vec::new()) };
    let name = format!("{}.", name.to_string_lossy());
    let long = |texts: &[String]| texts.iter().filter(|it| it.len() >= SHORTEST).cloned().collect::<Vec<String>>();
    let (ids, names) = (long(ids), long(names));
    let mut changed = Vec::new();
    for entry in fs::read_dir(folder)?.flatten() {
        let found = entry.file_name().to_string_lossy().into_owned();
        let Some(rest) = found.strip_prefix(&name) else { continue };
        let path = entry.path();
        let about = fs::symlink_metadata(&path).ok();
        let is_file = about.as_ref().is_some_and(fs::Metadata::is_file);
        if is_file && is_ours(rest) && about.is_some_and(|it| it.len() > LARGEST) {
            let reason = format!("`{}` is too large to look through: remove it first", path.display());
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
        }
        if is_backup(rest) {
            fs::remove_file(&path)?;
            changed.push(path);
        } else if is_file && is_ours(rest) && scrub(&path, &ids, &names)? {
            changed.push(path);
        }
    }
    changed.sort();
    Ok(changed)
}

/// `v1.bak`: the database as it was before a migration.
fn is_backup(rest: &str) -> bool {
    let version = rest.strip_prefix('v').and_then(|it| it.strip_suffix(".bak"));
    version.is_some_and(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()))
}

fn is_ours(rest: &str) -> bool {
    ["log", "json", "jsonl", "new"].iter().any(|it| rest.ends_with(it))
}

/// Rewrites a text file without the texts; says whether they were there.
fn scrub(path: &Path, ids: &[String], names: &[String]) -> io::Result<bool> {
    let _alone = lock(path)?;
    let bytes = fs::read(path)?;
    let has_one = |text: &str| ids.iter().chain(names).any(|it| text.contains(it));
    let is_log = path.extension().is_some_and(|it| it == "log");
    if is_log {
        // What other programs write into a log need not be text.
        let kept = |line: &&[u8]| !has_one(&String::from_utf8_lossy(line));
        let clean: Vec<u8> = bytes.split_inclusive(|it| *it == b'\n').filter(kept).flatten().copied().collect();
        return if clean == bytes { Ok(false) } else { replace(path, &clean).map(|()| true) };
    }
    let content = String::from_utf8(bytes).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidData, format!("`{}` is no UTF-8 text: remove it first", path.display()))
    })?;
    let clean = if let Ok(value) = serde_json::from_str::<Value>(&content) {
        let clean = without(&value, ids, names);
        if clean == value {
            return Ok(false);
        }
        format!("{clean:#}")
    } else {
        replaced(&content, ids)
    };
    if clean == content { Ok(false) } else { replace(path, clean.as_bytes()).map(|()| true) }
}

/// Puts a new content in place, for the same people.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = with(path, ".scrubbed");
    let permissions = fs::metadata(path)?.permissions();
    fs::write(&beside, content)?;
    fs::set_permissions(&beside, permissions)?;
    File::open(&beside)?.sync_all()?;
    fs::rename(&beside, path)
}

/// Waits until no other process changes the file, where it is one that has a lock beside it.
fn lock(path: &Path) -> io::Result<Option<File>> {
    match File::open(with(path, ".lock")) {
        Ok(file) => {
            file.lock()?;
            Ok(Some(file))
        }
        Err(_) => Ok(None),
    }
}

/// Keys are of our own making, and only name executions where they hold an id.
fn without(value: &Value, ids: &[String], names: &[String]) -> Value {
    match value {
        Value::String(text) => replaced(&replaced(text, ids), names).into(),
        Value::Array(items) => items.iter().map(|it| without(it, ids, names)).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, it)| (replaced(key, ids), without(it, ids, names)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

fn replaced(text: &str, texts: &[String]) -> String {
    texts.iter().fold(text.to_owned(), |text, it| text.replace(it.as_str(), MARK))
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backups_go_logs_lose_lines_and_state_loses_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).expect("a file");
        write("db", "");
        fs::write(folder.path().join("db.other.log"), b"bad \xff byte\nsaw secret-name\n").expect("a file");
        write("db.v1.bak", "secret-name");
        write("db.collect.log", "one\ntwo secret-name\nthree\n");
        write("db.alerts.json", r#"{"of":"secret-name","States.Odd":"it is States.Odd"}"#);
        write("db.v1.bak.txt", "secret-name");
        write("dbother.log", "secret-name");
        let texts = ["secret-name".to_owned(), "on".to_owned()];
        let changed = scrub_sidecars(&folder.path().join("db"), &texts, &["States.Odd".to_owned()]).expect("it works");
        assert_eq!(changed.len(), 4, "{changed:?}");
        assert_eq!(fs::read(folder.path().join("db.other.log")).expect("a file"), b"bad \xff byte\n");
        assert!(!folder.path().join("db.v1.bak").exists());
        assert_eq!(read("db.collect.log"), "one\nthree\n");
        let state: Value = serde_json::from_str(&read("db.alerts.json")).expect("JSON");
        assert_eq!(state, serde_json::json!({"of": "[forgotten]", "States.Odd": "it is [forgotten]"}));
        assert_eq!(read("dbother.log"), "secret-name", "of another database");
    }
}
