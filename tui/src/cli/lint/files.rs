//! Definitions in files: each by itself, or as a template deploys it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use analyzer::asl::{Content, Deployment, Found, StateMachine, definitions_in, text_to_value};
use analyzer::lint::{Finding, Subject, ignored_in, lint};
use serde_json::Value;

use super::{Checked, Placed, broken};
use crate::failure::Failure;

/// AWS takes definitions of at most 1 MB; templates may hold several.
const LARGEST: u64 = 16 << 20;
const LARGEST_DEFINITION: usize = 1 << 20;
const EXTENSIONS: [&str; 7] = ["json", "json5", "yaml", "yml", "asl", "template", "tf"];
/// Folders of what others wrote.
const FOREIGN: [&str; 3] = ["node_modules", "target", "venv"];

/// A file that may hold definitions.
struct File {
    path: PathBuf,
    /// Named by the user; others in a folder may be anything.
    is_named: bool,
    text: String,
}

/// The machine that a template makes of a file, and how it is set up.
type Deployed = BTreeMap<PathBuf, (Option<String>, Deployment)>;

/// Files that are named have to hold a definition, unless others are to be passed over.
pub(super) fn check(targets: &[&String], skips_foreign: bool, checked: &mut Checked) -> Result<(), Failure> {
    let mut files = Vec::new();
    for target in targets {
        let path = Path::new(target.as_str());
        for found in files_below(path)? {
            let is_named = found == path && !skips_foreign;
            match std::fs::read_to_string(&found) {
                Ok(text) => files.push(File { path: found, is_named, text }),
                Err(_) if is_named => return Err(Failure::new(format!("`{target}` cannot be read as text"))),
                Err(_) => {}
            }
        }
    }
    let mut deployed = Deployed::new();
    let mut read: Vec<(File, Vec<Found>)> = Vec::new();
    for file in files {
        if let Some(found) = definitions_of(&file, checked)? {
            note_deployed(&file.path, &found, &mut deployed);
            read.push((file, found));
        }
    }
    for (file, found) in &read {
        check_file(file, found, &deployed, checked);
    }
    Ok(())
}

/// The files that may hold definitions, in order of their names.
pub(super) fn files_below(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut entries: Vec<PathBuf> = std::fs::read_dir(path)?.filter_map(Result::ok).map(|it| it.path()).collect();
    entries.sort();
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with('.') || FOREIGN.contains(&name.as_str()) {
            continue;
        }
        let is_candidate =
            entry.extension().is_some_and(|it| EXTENSIONS.iter().any(|known| it.eq_ignore_ascii_case(known)));
        if entry.is_dir() {
            found.extend(files_below(&entry)?);
        } else if is_candidate && std::fs::metadata(&entry).is_ok_and(|it| it.len() <= LARGEST) {
            found.push(entry);
        }
    }
    Ok(found)
}

/// What a file holds; `None` where that is nothing of ours, or cannot be read.
fn definitions_of(file: &File, checked: &mut Checked) -> Result<Option<Vec<Found>>, Failure> {
    let source = file.path.display().to_string();
    let mut refuse = |message: String| {
        checked.files += 1;
        checked.findings.push(Placed {
            source: source.clone(),
            line: 1,
            column: 1,
            machine: None,
            finding: broken(message),
        });
    };
    let may_hold_one = file.text.contains("StartAt");
    let is_terraform = file.path.extension().is_some_and(|it| it.eq_ignore_ascii_case("tf"));
    if !(file.is_named || may_hold_one || is_terraform || file.text.contains("::StateMachine")) {
        return Ok(None);
    }
    match definitions_in(&source, &file.text) {
        Ok(found) if !found.is_empty() => Ok(Some(found)),
        Ok(_) => {
            let value = text_to_value(&file.text).unwrap_or_default();
            let has = |field: &str| value.get(field).is_some();
            if !has("States") && !has("StartAt") {
                if !file.is_named {
                    return Ok(None);
                }
                return Err(Failure::usage(format!("`{source}` holds no definition"))
                    .hint("give a file with StartAt and States, or a template that has one inside"));
            }
            let missing = if has("States") { "StartAt" } else { "States" };
            refuse(format!("the field `{missing}` is missing"));
            Ok(None)
        }
        Err(error) => {
            if file.is_named || (may_hold_one && file.text.trim_start().starts_with(['{', '/'])) {
                refuse(error.to_string());
            }
            Ok(None)
        }
    }
}

/// Notes which files a template deploys.
fn note_deployed(template: &Path, found: &[Found], deployed: &mut Deployed) {
    for it in found {
        let Content::File(file) = &it.content else { continue };
        let beside = template.parent().unwrap_or(Path::new("")).join(file);
        if let Ok(path) = beside.canonicalize() {
            deployed.insert(path, (it.name.clone(), it.deployment.clone()));
        }
    }
}

fn check_file(file: &File, found: &[Found], deployed: &Deployed, checked: &mut Checked) {
    let source = file.path.display().to_string();
    let own = file.path.canonicalize().ok().and_then(|it| deployed.get(&it));
    let lines: Vec<&str> = file.text.lines().collect();
    checked.files += 1;
    for it in found {
        let value = match &it.content {
            Content::Here(value) => value,
            // It is looked at as a file of its own, where it is among them.
            Content::File(_) => continue,
        };
        checked.definitions += 1;
        let (name, deployment) = match own.filter(|_| it.name.is_none()) {
            Some((name, deployment)) => (name.clone(), deployment),
            None => (it.name.clone(), &it.deployment),
        };
        let findings = match value {
            Ok(value) => findings_of(value, deployment),
            Err(error) => vec![broken(error.to_string())],
        };
        for finding in findings {
            let place = it.place(&finding.path);
            let is_spared = [place.line.checked_sub(2), Some(place.line - 1)].into_iter().flatten().any(|index| {
                lines.get(index).is_some_and(|line| ignored_in(line).iter().any(|rule| rule == finding.rule))
            });
            if !is_spared {
                let (source, machine) = (source.clone(), name.clone());
                checked.findings.push(Placed { source, line: place.line, column: place.column, machine, finding });
            }
        }
    }
}

fn findings_of(value: &Value, deployment: &Deployment) -> Vec<Finding> {
    let machine = match StateMachine::from_value(value) {
        Ok(machine) => machine,
        Err(error) => return vec![broken(error.to_string())],
    };
    let mut found = lint(&Subject { machine: &machine, deployment, runs: None });
    let size = value.to_string().len();
    if size > LARGEST_DEFINITION {
        found.push(broken(format!("the definition has {size} bytes, and AWS takes {LARGEST_DEFINITION}")));
    }
    found
}
