//! The files next to a database that belong to it, and what of a forgotten execution they hold.
//!
//! Backups of migrations go as a whole. State of alerts and schedules, and logs of collectors, lose what names it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What stands in the place of what was forgotten.
use crate::forgotten::MARK;

/// A file larger than this is none of ours: state and logs are small.
const LARGEST: u64 = 256 << 20;
/// A shorter text is left alone: it would stand in what has nothing to do with it.
const SHORTEST: usize = 8;

/// Removes from the files of a database what any of the texts stands in; says which files changed or went.
pub fn scrub_sidecars(database: &Path, texts: &[String]) -> io::Result<Vec<PathBuf>> {
    let database = database.canonicalize().unwrap_or_else(|_| database.to_owned());
    let (Some(folder), Some(name)) = (database.parent(), database.file_name()) else { return Ok(Vec::new()) };
    let name = format!("{}.", name.to_string_lossy());
    let texts: Vec<&str> = texts.iter().map(String::as_str).filter(|it| it.len() >= SHORTEST).collect();
    let mut changed = Vec::new();
    for entry in fs::read_dir(folder)?.flatten() {
        let found = entry.file_name().to_string_lossy().into_owned();
        let Some(rest) = found.strip_prefix(&name) else { continue };
        let path = entry.path();
        let is_file = fs::symlink_metadata(&path).is_ok_and(|it| it.is_file() && it.len() <= LARGEST);
        if is_backup(rest) {
            fs::remove_file(&path)?;
            changed.push(path);
        } else if is_file && is_ours(rest) && scrub(&path, &texts)? {
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
fn scrub(path: &Path, texts: &[&str]) -> io::Result<bool> {
    let Ok(content) = fs::read_to_string(path) else { return Ok(false) };
    if !texts.iter().any(|it| content.contains(it)) {
        return Ok(false);
    }
    let is_log = path.extension().is_some_and(|it| it == "log");
    let clean = if is_log {
        content.split_inclusive('\n').filter(|line| !texts.iter().any(|it| line.contains(it))).collect()
    } else {
        texts.iter().fold(content, |content, it| content.replace(it, MARK))
    };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".scrubbed");
    let permissions = fs::metadata(path)?.permissions();
    fs::write(&beside, clean)?;
    fs::set_permissions(&beside, permissions)?;
    fs::File::open(&beside)?.sync_all()?;
    fs::rename(&beside, path)?;
    Ok(true)
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
        write("db.v1.bak", "secret-name");
        write("db.collect.log", "one\ntwo secret-name\nthree\n");
        write("db.alerts.json", r#"{"of":"secret-name"}"#);
        write("db.v1.bak.txt", "secret-name");
        write("dbother.log", "secret-name");
        let texts = ["secret-name".to_owned(), "on".to_owned()];
        let changed = scrub_sidecars(&folder.path().join("db"), &texts).expect("it works");
        assert_eq!(changed.len(), 3, "{changed:?}");
        assert!(!folder.path().join("db.v1.bak").exists());
        assert_eq!(read("db.collect.log"), "one\nthree\n");
        assert_eq!(read("db.alerts.json"), r#"{"of":"[forgotten]"}"#);
        assert_eq!(read("dbother.log"), "secret-name", "of another database");
    }
}
