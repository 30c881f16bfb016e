//! The list of invocations: what is run over which database? (`tests/golden/invocations.txt`)

use std::fs;

/// A database, how it is made, and what is run over it.
pub(super) struct Database {
    pub(super) name: String,
    /// The time that every command takes for now.
    pub(super) now: String,
    pub(super) invocations: Vec<Invocation>,
    /// What makes the database, in order.
    pub(super) setup: Vec<Vec<String>>,
}

/// One or several commands, which have one golden file.
#[derive(Clone)]
pub(super) struct Invocation {
    pub(super) name: String,
    /// Whether it runs over a copy of its own.
    pub(super) is_writing: bool,
    pub(super) steps: Vec<Vec<String>>,
}

impl Database {
    /// The name of what makes it: an import has an answer, too.
    pub(super) fn setup_name(&self) -> String {
        format!("{}-setup", self.name)
    }

    /// The names of its golden files.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        let setup = (!self.setup.is_empty()).then(|| self.setup_name());
        setup.into_iter().chain(self.invocations.iter().map(|it| it.name.clone()))
    }
}

/// Reads the list.
pub(super) fn databases() -> Vec<Database> {
    let text = fs::read_to_string(super::folder().join("invocations.txt")).expect("the list of invocations");
    let mut all: Vec<Database> = Vec::new();
    for line in text.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
            all.push(database(name));
            continue;
        }
        let last = all.last_mut().expect("a database comes first");
        match line.split_once(' ').expect("a word, and what it is about") {
            ("now", now) => now.clone_into(&mut last.now),
            ("setup", command) => last.setup.push(words(command)),
            _ => last.invocations.push(invocation(line)),
        }
    }
    all
}

fn database(name: &str) -> Database {
    Database { name: name.to_owned(), now: String::new(), setup: Vec::new(), invocations: Vec::new() }
}

/// Reads `NAME | COMMAND && COMMAND`; `NAME! |` is one that writes.
fn invocation(line: &str) -> Invocation {
    let (name, commands) = line.split_once(" | ").unwrap_or_else(|| panic!("`{line}` is not `NAME | COMMAND`"));
    let name = name.trim();
    Invocation {
        name: name.trim_end_matches('!').to_owned(),
        is_writing: name.ends_with('!'),
        steps: commands.split(" && ").map(words).collect(),
    }
}

/// The words of a command; a pair of quotation marks keeps blanks together.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (place, part) in command.trim().split('\'').enumerate() {
        if place % 2 == 0 {
            words.extend(part.split_whitespace().map(str::to_owned));
        } else {
            words.push(part.to_owned());
        }
    }
    words
}
