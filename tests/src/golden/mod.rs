//! Golden answers: does every command still say what it said?
//!
//! ```text
//!   invocations.txt -> databases, made once -> runs, side by side -> answers -> masks -> answers/NAME.json
//!   + inputs/                                                                       \-> prose/NAME.txt
//! ```
//!
//! `answers/` holds figures, names and times of the data; `prose/` holds the sentences that were masked there, so that a
//! change of wording and a change of a value are seen apart. `UPDATE_GOLDEN=1` records both; `GOLDEN=TEXT` runs only the
//! invocations with this text in their names, and what makes their databases.

mod answer;
mod differ;
mod masks;
mod plan;
mod print;
mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use answer::Golden;
use plan::{Database, databases};

/// Commands without an invocation, each with its reason.
const LEFT_OUT: [(&str, &str); 7] = [
    ("collect", "reads AWS; `live` runs it against a stand-in"),
    ("dash", "a picture of the screen, not an answer; `dashboard` and `terminal` test it"),
    ("completions", "the command line itself"),
    ("help", "the command line itself"),
    ("schema", "prints a file of the sources; `forms` holds every answer against it"),
    ("prices refresh", "reads AWS"),
    ("lake", "needs DuckDB's extension; `lake` and `sharing` compare its answers with those of a file"),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn is_update() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

/// The invocations that were asked for: all of them, or those that `GOLDEN` names.
fn chosen() -> Vec<Database> {
    let text = std::env::var("GOLDEN").unwrap_or_default();
    let mut all = databases();
    for database in &mut all {
        database.invocations.retain(|it| it.name.contains(&text));
    }
    all.retain(|it| !it.invocations.is_empty());
    all
}

/// Where the answer of an invocation is, and where its prose.
fn files(name: &str) -> [PathBuf; 2] {
    [folder().join("answers").join(format!("{name}.json")), folder().join("prose").join(format!("{name}.txt"))]
}

/// Writes an answer, and its prose where it has any.
fn write(name: &str, golden: &Golden) {
    let [answers, prose] = files(name);
    fs::write(answers, print::document(&golden.answers)).expect("a golden file");
    if golden.prose.is_empty() {
        drop(fs::remove_file(prose));
    } else {
        fs::write(prose, &golden.prose).expect("a golden file");
    }
}

/// Removes what belongs to no invocation any more.
fn remove_orphans() {
    for path in orphans() {
        fs::remove_file(path).expect("an orphan");
    }
}

/// Files of answers and prose that no invocation has.
fn orphans() -> Vec<PathBuf> {
    let names: BTreeSet<String> = databases().iter().flat_map(Database::names).collect();
    let mut found = Vec::new();
    for kind in ["answers", "prose"] {
        for entry in fs::read_dir(folder().join(kind)).expect("the golden files") {
            let path = entry.expect("an entry").path();
            if !path.file_stem().is_some_and(|it| names.contains(it.to_string_lossy().as_ref() as &str)) {
                found.push(path);
            }
        }
    }
    found
}

/// What differs from the files of an invocation; `None` where nothing does.
fn differences(name: &str, golden: &Golden) -> Option<String> {
    let [answers, prose] = files(name);
    let recorded = fs::read(&answers).unwrap_or_else(|_| b"null".to_vec());
    let recorded = serde_json::from_slice(&recorded).unwrap_or_else(|it| panic!("{}: {it}", answers.display()));
    let mut lines = differ::values(&recorded, &golden.answers);
    lines.extend(differ::lines(&fs::read_to_string(prose).unwrap_or_default(), &golden.prose));
    if lines.is_empty() {
        return None;
    }
    let more = lines.len().saturating_sub(differ::SHOWN);
    lines.truncate(differ::SHOWN);
    let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    Some(format!("{name}: {}\n  {}{more}", golden.commands.join(" && "), lines.join("\n  ")))
}

#[test]
fn every_answer_is_as_recorded() {
    let runs = run::all(&chosen());
    let golden: BTreeMap<String, Golden> = runs.into_iter().map(|(name, it)| (name, answer::golden(&it))).collect();
    assert!(!golden.is_empty(), "`GOLDEN` names no invocation");
    if is_update() {
        for (name, it) in &golden {
            write(name, it);
        }
        return remove_orphans();
    }
    let changed: Vec<String> = golden.iter().filter_map(|(name, it)| differences(name, it)).collect();
    assert!(
        changed.is_empty(),
        "{} of {} answers changed (`UPDATE_GOLDEN=1` records them; a commit says which and why):\n{}",
        changed.len(),
        golden.len(),
        changed.join("\n")
    );
}

#[test]
fn every_golden_file_has_its_invocation() {
    if !is_update() {
        assert_eq!(orphans(), Vec::<PathBuf>::new(), "`UPDATE_GOLDEN=1` removes them");
    }
}

#[test]
fn every_command_has_an_invocation() {
    let all = crate::hostile::commands();
    let databases = databases();
    let words: Vec<&Vec<String>> = databases.iter().flat_map(|it| &it.invocations).flat_map(|it| &it.steps).collect();
    let is_covered = |command: &str| {
        let command: Vec<&str> = command.split(' ').collect();
        words.iter().any(|it| it.len() >= command.len() && it.iter().zip(&command).all(|(a, b)| a == b))
    };
    let is_left_out =
        |command: &str| LEFT_OUT.iter().any(|it| command == it.0 || command.split(' ').next() == Some(it.0));
    let missed: Vec<&String> = all.iter().filter(|it| !is_left_out(it) && !is_covered(it)).collect();
    assert!(all.len() > 40 && missed.is_empty(), "no golden answer of {missed:?}; see tests/golden/invocations.txt");
    let needless: Vec<&str> = LEFT_OUT.iter().map(|it| it.0).filter(|it| is_covered(it)).collect();
    assert_eq!(needless, Vec::<&str>::new(), "these have an answer");
}
