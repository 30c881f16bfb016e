//! Runs the product as a user does.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A folder of its own, with a database in it.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
}

pub(crate) fn binary() -> PathBuf {
    let here = std::env::current_exe().expect("the test binary has a path");
    let folder = here.parent().and_then(Path::parent).expect("it lies in `deps`");
    let binary = folder.join("stepscope");
    assert!(binary.exists(), "`cargo build -p stepscope` comes first; `make test` does both");
    binary
}

pub(crate) fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora")
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A bench whose database holds a demo of so many executions that ends at `end`.
    pub(crate) fn demo_until(executions: u64, end: &str) -> Self {
        let bench = Self::new();
        let (count, path) = (executions.to_string(), bench.db());
        let path = path.to_string_lossy();
        let output = bench.run(&["demo", "--once", "--executions", &count, "--end", end, "--keep", &path]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        bench
    }

    pub(crate) fn demo(executions: u64) -> Self {
        Self::demo_until(executions, "2026-11-01T00:00:00Z")
    }

    pub(crate) fn db(&self) -> PathBuf {
        self.folder.path().join("test.duckdb")
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("inside the folder")).expect("a folder");
        std::fs::write(&path, content).expect("a file");
        path
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .env("STEPSCOPE_DB", self.db())
            .env("XDG_CONFIG_HOME", self.folder.path())
            .env_remove("STEPSCOPE_PRICES");
        command.args(arguments).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("it runs")
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        child.stdin.take().expect("a pipe").write_all(input).expect("it reads");
        child.wait_with_output().expect("it ends")
    }

    /// The JSON result of a command that succeeds.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["-o", "json"]).collect();
        let output = self.run(&arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// The rows of a query, sorted.
    pub(crate) fn rows(&self, query: &str) -> Vec<String> {
        let mut rows: Vec<String> =
            self.json(&["sql", query])["rows"].as_array().expect("rows").iter().map(Value::to_string).collect();
        rows.sort();
        rows
    }

    /// Everything that is stored, as far as it does not name the place it came from.
    pub(crate) fn everything(&self) -> Vec<Vec<String>> {
        [
            "executions",
            "events",
            "payloads",
            "visits",
            "attempts",
            "critical_path",
            "segments",
            "definitions",
            "lambda_reports",
        ]
        .iter()
        .map(|view| self.rows(&format!("FROM {view}")))
        .collect()
    }
}
