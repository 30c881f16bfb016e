//! Running: what do the invocations print, over databases that are made once?

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use tempfile::TempDir;

use super::plan::{Database, Invocation};
use crate::stepscope::binary;

/// How many commands run side by side.
const THREADS: usize = 4;

/// What one command printed and wrote.
pub(super) struct Run {
    /// As it was given, without what every command gets.
    pub(super) command: String,
    pub(super) exit: Option<i32>,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
    /// Files that it wrote into its `out`, by name.
    pub(super) written: BTreeMap<String, Vec<u8>>,
}

/// A folder with a database, and a home without anything in it.
struct Place {
    folder: PathBuf,
    now: String,
}

impl Place {
    fn new(folder: PathBuf, now: &str) -> Self {
        fs::create_dir_all(folder.join("home")).expect("a home");
        fs::create_dir_all(folder.join("data")).expect("a folder for the database");
        Self { folder, now: now.to_owned() }
    }

    /// The same database, in another folder.
    fn copied_to(&self, folder: PathBuf) -> Self {
        let copy = Self::new(folder, &self.now);
        for entry in fs::read_dir(self.folder.join("data")).expect("the database") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                let name = path.file_name().expect("a name");
                fs::copy(&path, copy.folder.join("data").join(name)).expect("a copy");
            }
        }
        copy
    }

    /// The binary in the folder of the inputs, with nothing of the user's in its environment.
    fn binary(&self) -> Command {
        let home = self.folder.join("home");
        let mut command = Command::new(binary());
        command.current_dir(super::folder().join("inputs")).env_clear().stdin(Stdio::null());
        for variable in
            ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"]
        {
            command.env(variable, &home);
        }
        command.env("STEPSCOPE_DB", self.folder.join("data/golden.duckdb"));
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("TZ", "UTC").env("COLUMNS", "120");
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    /// Runs a command; `{out}` in it is a folder for what it writes.
    fn run(&self, words: &[String], out: &Path) -> Run {
        fs::create_dir_all(out).expect("a folder for what is written");
        let mut command = self.binary();
        for (option, value) in [("--now", self.now.as_str()), ("-o", "json")] {
            if !words.iter().any(|it| it == option) {
                command.args([option, value]);
            }
        }
        command.args(words.iter().map(|it| it.replace("{out}", &out.to_string_lossy())));
        let output = command.output().expect("it runs");
        let plain = |bytes: Vec<u8>| self.without_paths(bytes, out);
        Run {
            command: shown(words),
            exit: output.status.code(),
            stdout: plain(output.stdout),
            stderr: String::from_utf8_lossy(&plain(output.stderr)).into_owned(),
            written: written(out).into_iter().map(|(name, bytes)| (name, plain(bytes))).collect(),
        }
    }

    /// Takes folders of this run and of this computer out of a text.
    fn without_paths(&self, bytes: Vec<u8>, out: &Path) -> Vec<u8> {
        match String::from_utf8(bytes) {
            Ok(text) => {
                let text = text.replace(out.to_string_lossy().as_ref(), "{out}");
                let text = text.replace(binary().to_string_lossy().as_ref(), "{stepscope}");
                let text = text.replace(self.folder.to_string_lossy().as_ref(), "{folder}");
                text.replace(env!("CARGO_MANIFEST_DIR"), "{tests}").into_bytes()
            }
            Err(it) => it.into_bytes(),
        }
    }
}

/// A command as a shell would take it.
fn shown(words: &[String]) -> String {
    let quoted = words.iter().map(|it| if it.contains([' ', '*', '(']) { format!("'{it}'") } else { it.clone() });
    std::iter::once("stepscope".to_owned()).chain(quoted).collect::<Vec<_>>().join(" ")
}

/// The files below a folder.
fn written(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(place) = open.pop() {
        for entry in fs::read_dir(place).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("below it").to_string_lossy().into_owned();
                found.insert(name, fs::read(&path).expect("a file"));
            }
        }
    }
    found
}

/// Makes every database, then runs every invocation.
pub(super) fn all(databases: &[Database]) -> BTreeMap<String, Vec<Run>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut runs = BTreeMap::new();
    let mut places = BTreeMap::new();
    for (database, place, setup) in side_by_side(databases, |it| made(it, &folder)) {
        places.insert(database.name.as_str(), place);
        if !setup.is_empty() {
            runs.insert(database.setup_name(), setup);
        }
    }
    let mut jobs: Vec<(&Place, &Invocation)> = Vec::new();
    for database in databases {
        jobs.extend(database.invocations.iter().map(|it| (&places[database.name.as_str()], it)));
    }
    runs.extend(side_by_side(&jobs, |(place, it)| (it.name.clone(), run(place, it, &folder))));
    runs
}

/// Makes a database.
fn made<'a>(database: &'a Database, folder: &TempDir) -> (&'a Database, Place, Vec<Run>) {
    let place = Place::new(folder.path().join(&database.name), &database.now);
    let mut runs = Vec::new();
    for words in &database.setup {
        let run = place.run(words, &place.folder.join("out"));
        assert_eq!(run.exit, Some(0), "{}: {}", run.command, run.stderr);
        runs.push(run);
    }
    (database, place, runs)
}

/// Runs the commands of an invocation, one after the other; those that write get a copy.
fn run(place: &Place, invocation: &Invocation, folder: &TempDir) -> Vec<Run> {
    let own = folder.path().join("own").join(&invocation.name);
    let copy = invocation.is_writing.then(|| place.copied_to(own.clone()));
    let place = copy.as_ref().unwrap_or(place);
    invocation.steps.iter().map(|it| place.run(it, &own.join("out"))).collect()
}

/// Does a thing for each, a few at a time.
fn side_by_side<'a, T: Sync, R: Send>(all: &'a [T], act: impl Fn(&'a T) -> R + Sync) -> Vec<R> {
    let (next, done) = (Mutex::new(all.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let Some(it) = next.lock().expect("a queue").next() else { return };
                    let result = act(it);
                    done.lock().expect("a list").push(result);
                }
            });
        }
    });
    done.into_inner().expect("no thread panicked")
}
