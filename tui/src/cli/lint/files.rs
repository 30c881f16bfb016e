//! Definitions in files: each by itself, or as a template deploys it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use analyzer::asl::{Content, Deployment, Found, StateMachine, definitions_in, duplicate_key, text_to_value};
use analyzer::lint::{Finding, Subject, ignored_in, lint};
use serde_json::Value;

use super::{Checked, Placed, broken};
use crate::failure::Failure;

/// AWS takes definitions of at most 1 MB; templates may hold several.
const LARGEST: u64 = 16 << 20;
const LARGEST_DEFINITION: usize = 1 << 20;
pub(super) const EXTENSIONS: [&str; 8] = ["json", "json5", "yaml", "yml", "asl", "template", "tf", "hcl"];
/// Folders of what others wrote.
const FOREIGN: [&str; 3] = ["node_modules", "target", "venv"];

/// What a text holds that is meant to have a definition in it, or to deploy one.
const MARKS: [&str; 5] =
    ["StartAt", "AWS::StepFunctions::", "AWS::Serverless::StateMachine", "aws_sfn_state_machine", "stepFunctions:"];
/// How the name of a definition ends.
const NAMES: [&str; 3] = [".asl.json", ".asl.yaml", ".asl.yml"];

/// A file that may hold definitions.
struct File {
    path: PathBuf,
    /// Named by the user; others in a folder may be anything.
    is_named: bool,
    text: String,
}

impl File {
    /// Whether it is meant to hold a definition: then it is an error when it cannot be read.
    fn looks_like_one(&self) -> bool {
        has_name_of_one(&self.path) || MARKS.iter().any(|it| self.text.contains(it))
    }
}

fn has_name_of_one(path: &Path) -> bool {
    let name = path.file_name().map(|it| it.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    NAMES.iter().any(|it| name.ends_with(it))
}

/// The machine that a template makes of a file, how it is set up, and what the template calls the file.
struct FromFile {
    name: Option<String>,
    deployment: Deployment,
    shown: PathBuf,
}

/// By what the file's path is in full.
type Deployed = BTreeMap<PathBuf, FromFile>;

/// Files that are named have to hold a definition, unless others are to be passed over.
pub(super) fn check(targets: &[&String], skips_foreign: bool, checked: &mut Checked) -> Result<(), Failure> {
    let mut files = Vec::new();
    for target in targets {
        let path = Path::new(target.as_str());
        for found in files_below(path)? {
            let is_named = found == path && !skips_foreign;
            match text_of(&found) {
                Ok(text) => files.push(File { path: found, is_named, text }),
                Err(NoText { reason, looks_like_one }) if is_named || looks_like_one => {
                    checked.refuse(&found, "unreadable", reason, None);
                }
                Err(_) => {}
            }
        }
    }
    let mut deployed = Deployed::new();
    let mut known: BTreeSet<PathBuf> = files.iter().filter_map(|it| it.path.canonicalize().ok()).collect();
    let mut read: Vec<(File, Vec<Found>)> = Vec::new();
    let mut waiting: VecDeque<File> = files.into();
    while let Some(file) = waiting.pop_front() {
        if let Some(found) = definitions_of(&file, checked)? {
            // What a template deploys from a file is looked at also where that file was not named.
            for (path, it) in deployed_by(&file.path, &found) {
                if known.insert(path.clone()) && path.exists() {
                    match text_of(&path) {
                        Ok(text) => waiting.push_back(File { path: it.shown.clone(), is_named: false, text }),
                        Err(NoText { reason, .. }) => checked.refuse(&it.shown, "unreadable", reason, None),
                    }
                }
                deployed.insert(path, it);
            }
            read.push((file, found));
        }
    }
    for (file, found) in &read {
        check_file(file, found, &deployed, checked);
    }
    Ok(())
}

/// Why a file has no text.
struct NoText {
    reason: String,
    looks_like_one: bool,
}

fn text_of(path: &Path) -> Result<String, NoText> {
    let refused = |reason: String| NoText { reason, looks_like_one: has_name_of_one(path) };
    let about = std::fs::metadata(path).map_err(|error| refused(error.to_string()))?;
    if !about.is_file() {
        return Err(refused("it is no regular file".to_owned()));
    }
    if about.len() > LARGEST {
        return Err(refused(format!("it has {} bytes, and {LARGEST} are read", about.len())));
    }
    let bytes = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| {
        // UTF-16 is what it was with a zero in every other place.
        let bytes = error.as_bytes();
        let is_utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
        let reason = if is_utf16 { "it is UTF-16 text; UTF-8 is read" } else { "it is no UTF-8 text" };
        let text = String::from_utf8_lossy(bytes).replace('\0', "");
        NoText {
            reason: reason.to_owned(),
            looks_like_one: has_name_of_one(path) || MARKS.iter().any(|it| text.contains(it)),
        }
    })
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
        // Links to folders may lead in circles, and what is no file may never end.
        let Ok(kind) = std::fs::symlink_metadata(&entry).map(|it| it.file_type()) else { continue };
        if kind.is_dir() {
            found.extend(files_below(&entry)?);
        } else if is_candidate && std::fs::metadata(&entry).is_ok_and(|it| it.is_file()) {
            found.push(entry);
        }
    }
    Ok(found)
}

/// What a file holds; `None` where that is nothing of ours, or cannot be read.
fn definitions_of(file: &File, checked: &mut Checked) -> Result<Option<Vec<Found>>, Failure> {
    let source = file.path.display().to_string();
    let is_meant_to = file.looks_like_one();
    let is_terraform = file.path.extension().is_some_and(|it| it.eq_ignore_ascii_case("tf"));
    if !(file.is_named || is_meant_to || is_terraform) {
        return Ok(None);
    }
    match definitions_in(&source, &file.text) {
        Ok(found) if !found.is_empty() => Ok(Some(found)),
        Ok(_) => {
            let value = text_to_value(&file.text).unwrap_or_default();
            let has = |field: &str| value.get(field).is_some();
            if is_meant(&value) || ((file.is_named || has_name_of_one(&file.path)) && (has("States") || has("StartAt")))
            {
                let missing = if has("States") { "StartAt" } else { "States" };
                checked.refuse(&file.path, "invalid", format!("the field `{missing}` is missing"), None);
            } else if has_name_of_one(&file.path) {
                checked.refuse(
                    &file.path,
                    "unreadable",
                    "it holds no definition: there is no StartAt".to_owned(),
                    None,
                );
            } else if file.is_named {
                return Err(Failure::usage(format!("`{source}` holds no definition"))
                    .hint("give a file with StartAt and States, or a template that has one inside"));
            }
            Ok(None)
        }
        Err(error) => {
            if file.is_named || is_meant_to {
                checked.refuse(&file.path, "unreadable", error.to_string(), error.place);
            }
            Ok(None)
        }
    }
}

/// Whether a file that is nobody's definition is meant to be one: it has half of one, and nothing that a machine has not.
fn is_meant(value: &Value) -> bool {
    const MACHINE: [&str; 6] = ["Comment", "StartAt", "States", "TimeoutSeconds", "Version", "QueryLanguage"];
    let Some(fields) = value.as_object() else { return false };
    let is_state = |it: &Value| it.get("Type").is_some_and(Value::is_string);
    let states = fields.get("States").and_then(Value::as_object);
    let has_states = states.is_some_and(|it| !it.is_empty() && it.values().all(is_state));
    let has_start = fields.get("StartAt").is_some_and(Value::is_string);
    (has_states || has_start) && fields.keys().all(|it| MACHINE.contains(&it.as_str()))
}

/// The files that a template deploys.
fn deployed_by(template: &Path, found: &[Found]) -> Vec<(PathBuf, FromFile)> {
    let file = |it: &Found| {
        let Content::File(file) = &it.content else { return None };
        let shown = file_beside(template, file);
        let path = shown.canonicalize().ok().filter(|it| it.is_file())?;
        Some((path, FromFile { name: it.name.clone(), deployment: it.deployment.clone(), shown }))
    };
    found.iter().filter_map(file).collect()
}

/// Where a file is that a template names.
fn file_beside(template: &Path, file: &str) -> PathBuf {
    template.parent().unwrap_or(Path::new("")).join(file)
}

fn check_file(file: &File, found: &[Found], deployed: &Deployed, checked: &mut Checked) {
    let source = file.path.display().to_string();
    let own = file.path.canonicalize().ok().and_then(|it| deployed.get(&it));
    let comments = Comments::of(&file.text);
    checked.files += 1;
    if let Some(place) = duplicate_key(&file.text) {
        let finding =
            Finding::new("duplicate_key", String::new(), "the key stands twice; the last one counts".to_owned());
        if !comments.spare(place.line, finding.rule) {
            let source = source.clone();
            checked.findings.push(Placed { source, line: place.line, column: place.column, machine: None, finding });
        }
    }
    let not_read = |it: &Found, message: String, checked: &mut Checked| {
        let (place, finding) = (it.place(""), Finding::new("not_read", String::new(), message));
        let (source, machine) = (source.clone(), it.name.clone());
        checked.findings.push(Placed { source, line: place.line, column: place.column, machine, finding });
    };
    for it in found {
        let value = match &it.content {
            Content::Here(value) => value,
            Content::File(uri) => {
                // It is looked at as a file of its own, where it is there.
                if !uri.contains("${") && !file_beside(&file.path, uri).is_file() {
                    not_read(it, format!("the definition is in `{uri}`, which is not there"), checked);
                }
                continue;
            }
            Content::Unknown => {
                not_read(it, "what stands here is made at deployment, or in another document".to_owned(), checked);
                continue;
            }
        };
        checked.definitions += 1;
        let (name, deployment) = match own.filter(|_| it.name.is_none()) {
            Some(own) => (own.name.clone(), &own.deployment),
            None => (it.name.clone(), &it.deployment),
        };
        let (findings, unreadable) = match value {
            Ok(value) => (findings_of(value, deployment), None),
            Err(error) => (vec![broken(error.to_string())], Some(it.place_of(error))),
        };
        for finding in findings {
            let place = unreadable.unwrap_or_else(|| it.place(&finding.path));
            if !comments.spare(place.line, finding.rule) {
                let (source, machine) = (source.clone(), name.clone());
                checked.findings.push(Placed { source, line: place.line, column: place.column, machine, finding });
            }
        }
    }
}

/// What comments spare: by line, whether the comment stands alone there, and the rules that it names.
struct Comments(BTreeMap<usize, (bool, Vec<String>)>);

impl Comments {
    fn of(text: &str) -> Self {
        let noted = (1..).zip(text.lines()).filter(|it| it.1.contains("stepscope:ignore"));
        let comment = |(line, text): (usize, &str)| {
            let start = text.find('#').into_iter().chain(text.find("//")).min()?;
            Some((line, (text[..start].trim().is_empty(), ignored_in(&text[start..]))))
        };
        Self(noted.filter_map(comment).collect())
    }

    /// Whether a line is spared a rule: by a comment behind it, or by one that stands alone above it.
    fn spare(&self, line: usize, rule: &str) -> bool {
        let names = |rules: &[String]| rules.iter().any(|it| it == rule);
        let above = line.checked_sub(1).and_then(|it| self.0.get(&it)).filter(|it| it.0);
        self.0.get(&line).into_iter().chain(above).any(|it| names(&it.1))
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
