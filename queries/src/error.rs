//! What can go wrong with the store.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("there is no database at `{}`", .0.display())]
    Missing(PathBuf),
    #[error("`{}` is being written by another process, and it does not answer", .0.display())]
    Busy(PathBuf),
    #[error("`{}` is being written by another process, and it does not answer", path.display())]
    Silent { path: PathBuf, cause: String },
    #[error("`{}` is being written by another process, and only one can at a time", .0.display())]
    Taken(PathBuf),
    #[error("`{}` was deleted or replaced while it was being written", .0.display())]
    Gone(PathBuf),
    #[error("`{}` was written by a newer stepscope (schema {found}, this one knows {known})", path.display())]
    Newer { path: PathBuf, found: u32, known: u32 },
    #[error("`{}` is no stepscope database", .0.display())]
    Foreign(PathBuf),
    #[error("the database refused a statement")]
    Database(#[from] duckdb::Error),
    #[error("the database file cannot be used")]
    File(#[from] std::io::Error),
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

impl StoreError {
    /// The whole text, with what the database said.
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Database(error) => error.to_string(),
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
            Self::Foreign(_) => Some("give another file with `--db`".to_owned()),
            _ => None,
        }
    }
}
