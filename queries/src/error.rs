//! What can go wrong with the store, in our words: what DuckDB and the system say is the cause.

use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Why something failed, as a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Cause(String);

impl<T: Into<String>> From<T> for Cause {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("there is no database at `{}`", .0.display())]
    Missing(PathBuf),
    #[error("`{}` is being written by another process, and it does not answer", .0.display())]
    Busy(PathBuf),
    #[error("`{}` is being written by another process, and it does not answer: {cause}", path.display())]
    Silent { path: PathBuf, cause: String },
    #[error("`{}` is being written by another process, and only one can at a time", .0.display())]
    Taken(PathBuf),
    #[error("`{}` was deleted or replaced while it was being written", .0.display())]
    Gone(PathBuf),
    #[error("`{}` was written by a newer stepscope (schema {found}, this one knows {known})", path.display())]
    Newer { path: PathBuf, found: u32, known: u32 },
    #[error("`{}` was written by a newer DuckDB", path.display())]
    NewerEngine {
        path: PathBuf,
        #[source]
        cause: Cause,
    },
    #[error("`{}` is open in another program", path.display())]
    Held {
        path: PathBuf,
        #[source]
        cause: Cause,
    },
    #[error("`{}` is not a stepscope database", .0.display())]
    Foreign(PathBuf),
    #[error("`{}` is not a stepscope database", path.display())]
    NotDatabase {
        path: PathBuf,
        #[source]
        cause: Cause,
    },
    #[error("{} is damaged", named(path.as_deref()))]
    Damaged {
        path: Option<PathBuf>,
        #[source]
        cause: Cause,
    },
    #[error("{} cannot grow: the disk is full", named(path.as_deref()))]
    Full {
        path: Option<PathBuf>,
        #[source]
        cause: Cause,
    },
    #[error("the database `{}` cannot be created", path.display())]
    CannotCreate {
        path: PathBuf,
        #[source]
        cause: Cause,
    },
    #[error("`{}` cannot be opened", path.display())]
    Denied {
        path: PathBuf,
        #[source]
        cause: Cause,
    },
    #[error("DuckDB needs more memory than it may use")]
    Memory(#[source] Cause),
    #[error("the database refused a statement")]
    Database(#[source] Cause),
    #[error("the database file cannot be used")]
    File(#[source] io::Error),
    #[error("the process that writes the database answered: {0}")]
    Remote(String),
    #[error("there is no lake at `{0}`")]
    NoLake(String),
    #[error("the extension `{0}` of DuckDB is not there, which a `ducklake:` database needs")]
    NoExtension(&'static str),
    #[error("the lake is being written by another process, and without shards only one can at a time")]
    Shared,
    #[error("other collectors have taken over: this one did not report for longer than its lease")]
    Fenced,
    #[error("somebody else wrote the same executions at the same moment")]
    Stale,
    #[error("Spark did not answer: {0}")]
    Spark(String),
    #[error("it was given up")]
    Interrupted,
    #[error("{0}")]
    NotAllowed(String),
    #[error("the database holds a value that this version does not understand: {0}")]
    Corrupt(String),
}

/// The database, by its path where that is known.
fn named(path: Option<&Path>) -> String {
    path.map_or_else(|| "the database".to_owned(), |it| format!("`{}`", it.display()))
}

/// What DuckDB says where the disk is full, also that of its temporary files,
const FULL: [&str; 5] = [
    "No space left on device",
    "File too large",
    "Disk quota exceeded",
    "failed to offload data block",
    "max_temp_directory_size",
];
/// where bytes are not those that were written,
const DAMAGED: [&str; 7] = [
    "Corrupt database file",
    "Corrupt WAL",
    "Failure while replaying WAL file",
    "Could not read enough bytes",
    "Could not read all bytes",
    "WAL does not match",
    "Failed to deserialize",
];
/// and where the system lets nobody write.
const DENIED: [&str; 3] = ["Permission denied", "Read-only file system", "Operation not permitted"];

fn has(text: &str, any: &[&str]) -> bool {
    any.iter().any(|it| text.contains(it))
}

impl From<duckdb::Error> for StoreError {
    fn from(error: duckdb::Error) -> Self {
        let text = match error {
            // Without a text of its own there is only a number.
            duckdb::Error::DuckDBFailure(_, None) => "DuckDB gave no reason".to_owned(),
            error => error.to_string(),
        };
        if has(&text, &FULL) {
            return Self::Full { path: None, cause: plain(&text).into() };
        }
        if has(&text, &DAMAGED) {
            return Self::Damaged { path: None, cause: plain(&text).into() };
        }
        if text.starts_with("Out of Memory Error") {
            return Self::Memory(plain(&text).into());
        }
        Self::Database(text.into())
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::FileTooLarge | ErrorKind::QuotaExceeded => {
                Self::Full { path: None, cause: error.to_string().into() }
            }
            _ => Self::File(error),
        }
    }
}

/// A text of DuckDB's on one line: without the kind of error, and what it would have a user of its own do.
fn plain(text: &str) -> String {
    let first = text.split("\n\n").next().unwrap_or(text);
    let said = first.split_once(" Error: ").filter(|it| !it.0.contains(' ')).map_or(first, |it| it.1);
    said.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// Whether another process has the file open.
pub(crate) fn is_locked(error: &impl Display) -> bool {
    let text = error.to_string();
    text.contains("Could not set lock") || text.contains("Conflicting lock")
}

impl StoreError {
    /// Names the database, where the error was found without knowing it.
    #[must_use]
    pub fn at(self, database: &Path) -> Self {
        let path = Some(database.to_owned());
        match self {
            Self::Damaged { path: None, cause } => Self::Damaged { path, cause },
            Self::Full { path: None, cause } => Self::Full { path, cause },
            other => other,
        }
    }

    /// What opening the file failed with.
    pub(crate) fn opening(path: &Path, error: duckdb::Error) -> Self {
        let path = path.to_owned();
        match Self::from(error) {
            Self::Database(cause) if cause.0.contains("version of DuckDB") => {
                Self::NewerEngine { path, cause: plain(&cause.0).into() }
            }
            Self::Database(cause) if has(&cause.0, &DENIED) => Self::Denied { path, cause: plain(&cause.0).into() },
            Self::Database(cause) if cause.0.contains("encrypt") => {
                Self::NotDatabase { path, cause: "it is encrypted".into() }
            }
            Self::Database(cause) if has(&cause.0, &["not a valid DuckDB database", "magic bytes"]) => {
                Self::Foreign(path)
            }
            other => other.at(&path),
        }
    }

    /// What making the file failed with.
    pub(crate) fn creating(self, database: &Path) -> Self {
        let path = database.to_owned();
        match self {
            Self::Database(cause) => Self::CannotCreate { path, cause: plain(&cause.0).into() },
            Self::Denied { cause, .. } => Self::CannotCreate { path, cause },
            Self::File(error) => Self::CannotCreate { path, cause: error.to_string().into() },
            other => other.at(database),
        }
    }

    /// Names the program that has the file open, where that is not stepscope.
    pub(crate) fn held(self, path: &Path, error: &impl Display) -> Self {
        let text = error.to_string();
        let holder = text.split_once("held in ").and_then(|it| it.1.split_once(')')).map(|it| format!("{})", it.0));
        match holder.filter(|it| !it.contains("stepscope")) {
            Some(holder) => {
                Self::Held { path: path.to_owned(), cause: format!("DuckDB's lock is held by {holder}").into() }
            }
            None => self,
        }
    }

    /// The whole text, with what the database said.
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Database(cause) | Self::Full { cause, .. } | Self::Damaged { cause, .. } => cause.to_string(),
            other => other.to_string(),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing(_) => {
                Some("import something first: `stepscope import FILES…`, or try `stepscope demo`".to_owned())
            }
            Self::Busy(_) | Self::Silent { .. } => Some("wait until it has finished, or use another file with `--db`".to_owned()),
            Self::Shared => Some("wait until it has ended, or let both collect with `--shard auto`".to_owned()),
            Self::Spark(_) => Some("name the program with --spark-submit PATH, or set SPARK_HOME; Spark 4 is needed, and Java".to_owned()),
            Self::Stale => Some("run it again: what was written before stays, and the rest follows".to_owned()),
            Self::Fenced => Some("what it had committed is stored; start it again for the rest".to_owned()),
            Self::Taken(_) => Some(
                "stop it first (a `collect --follow`, or a dashboard that collects), or use another file with `--db`; reading goes on meanwhile"
                    .to_owned(),
            ),
            Self::Newer { .. } => Some("use the newer version, or another file with `--db`".to_owned()),
            Self::NoLake(_) => Some("make it with `stepscope --db DATABASE lake init --data FOLDER`".to_owned()),
            Self::NoExtension(_) => Some(
                "put the extensions of DuckDB 1.5.5 into the folder `extensions` beside the binary, or name theirs in STEPSCOPE_EXTENSIONS; `make extensions` fetches them"
                    .to_owned(),
            ),
            Self::Gone(_) => Some("what was read is not stored there: put the file back, or run it again".to_owned()),
            Self::NewerEngine { .. } => {
                Some("use the stepscope that wrote it, or another file with `--db`".to_owned())
            }
            Self::Held { .. } => Some("close it there, or use another file with `--db`".to_owned()),
            Self::Foreign(_) | Self::NotDatabase { .. } => {
                Some("name another file with `--db`; a new one is created by `import` and `collect`".to_owned())
            }
            Self::Damaged { .. } => Some(
                "restore it from a backup, or move it away and import or collect again; `stepscope demo` works without it".to_owned(),
            ),
            Self::Full { .. } => Some(
                "free some space, or use a file on another disk with `--db`, and run it again: what was committed is stored, and the rest follows"
                    .to_owned(),
            ),
            Self::CannotCreate { .. } => {
                Some("use a file in a folder that you may write with `--db`, such as --db ./stepscope.duckdb".to_owned())
            }
            Self::Denied { .. } => Some("check the permissions of the file and of its folder, or use another file with `--db`".to_owned()),
            Self::Memory(_) => Some("ask for less at a time, such as with --since and --until".to_owned()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    fn check(text: &str, expected: &str) {
        let error = duckdb::Error::DuckDBFailure(duckdb::ffi::Error::new(1), Some(text.to_owned()));
        let error = StoreError::opening(Path::new("x.duckdb"), error);
        let cause = error.source().map_or_else(String::new, |it| format!(": {it}"));
        assert_eq!(format!("{error}{cause}"), expected);
        assert!(error.hint().is_some(), "{error}");
    }

    #[test]
    fn what_the_engine_says_is_said_in_our_words() {
        check(
            "IO Error: Corrupt database file: computed checksum 1 does not match stored checksum 2 in block at location 0",
            "`x.duckdb` is damaged: Corrupt database file: computed checksum 1 does not match stored checksum 2 in block at location 0",
        );
        check(
            "IO Error: Could not write file \"x\": No space left on device",
            "`x.duckdb` cannot grow: the disk is full: Could not write file \"x\": No space left on device",
        );
        check(
            "IO Error: Cannot open file \"x\": Permission denied",
            "`x.duckdb` cannot be opened: Cannot open file \"x\": Permission denied",
        );
        check(
            "IO Error: Trying to read a database file with version number 200, but we can only read versions between 64 and 68.\nThe database file was created with an newer version of DuckDB.\n\nSee the storage page",
            "`x.duckdb` was written by a newer DuckDB: Trying to read a database file with version number 200, but we can only read versions between 64 and 68. The database file was created with an newer version of DuckDB.",
        );
    }

    #[test]
    fn the_program_that_holds_the_file_is_named() {
        let text = "IO Error: Could not set lock on file \"x\": Conflicting lock is held in /usr/bin/python3.12 (PID 42) by user root. See also";
        let held = StoreError::Taken("x".into()).held(Path::new("x"), &text);
        assert!(
            matches!(&held, StoreError::Held { cause, .. } if cause.0.ends_with("/usr/bin/python3.12 (PID 42)")),
            "{held:?}"
        );
        let ours = text.replace("python3.12", "stepscope");
        assert!(matches!(StoreError::Taken("x".into()).held(Path::new("x"), &ours), StoreError::Taken(_)));
    }
}
