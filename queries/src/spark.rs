//! The portable statements on Spark: the files of a lake, read by a cluster that need not know of DuckLake.
//!
//! What the catalogue says the tables are made of now goes to a script that `spark-submit` runs, and then one statement after the other.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use duckdb::Connection;
use rustc_hash::FxHashMap;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cell::Take;
use crate::{Cell, StoreError, reader};

const SCRIPT: &str = include_str!("../sql/portable/run.py");
const FUNCTIONS: &str = include_str!("../sql/portable/functions.spark.sql");
/// Where what Spark says is kept.
const SAID: &str = "said";
/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(300);
/// The tables that portable statements read; the last two are views over rows that may come twice.
const TABLES: [&str; 8] =
    ["execution", "visit", "state_rollup", "state_histogram", "run_rollup", "run_histogram", "name_row", "machine_row"];
const VIEWS: [&str; 2] = [
    "CREATE OR REPLACE TEMPORARY VIEW name AS SELECT DISTINCT id, text FROM name_row",
    "CREATE OR REPLACE TEMPORARY VIEW machine AS SELECT DISTINCT id, arn, name, region, account FROM machine_row",
];

/// Where Spark is and what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SparkOptions {
    pub master: String,
    /// The program, when it is not the one that SPARK_HOME or PATH have.
    pub submit: Option<PathBuf>,
    /// More options for it, such as `--conf KEY=VALUE`.
    pub more: Vec<String>,
}

/// A Spark application that answers statements as long as this lives.
pub(crate) struct Spark {
    child: Child,
    channel: Mutex<Option<BufReader<TcpStream>>>,
    /// What was answered: the files are those of one moment, and several reports ask the same.
    answered: Mutex<FxHashMap<String, Vec<Vec<Cell>>>>,
    /// The script, and what Spark says.
    folder: TempDir,
}

impl Spark {
    /// Starts an application that has the tables of the lake as they are now.
    pub(crate) fn start(options: &SparkOptions, lake: &Connection) -> Result<Self, StoreError> {
        let tables = TABLES.iter().map(|it| table(lake, it)).collect::<Result<Vec<_>, _>>()?;
        let folder = tempfile::tempdir()?;
        let script = folder.path().join("stepscope.py");
        fs::write(&script, SCRIPT)?;
        let said = File::create(folder.path().join(SAID))?;
        let submit = options.submit.clone().unwrap_or_else(|| match std::env::var_os("SPARK_HOME") {
            Some(home) => PathBuf::from(home).join("bin/spark-submit"),
            None => PathBuf::from("spark-submit"),
        });
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let token = format!("{:016x}", RandomState::new().hash_one(folder.path()));
        let mut command = Command::new(&submit);
        command.arg("--master").arg(&options.master).args(&options.more).arg(&script);
        command.arg(listener.local_addr()?.port().to_string()).env("STEPSCOPE_SPARK_TOKEN", &token);
        command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
        let started = command.spawn();
        let child = started.map_err(|error| StoreError::Spark(format!("`{}`: {error}", submit.display())))?;
        let mut own = Self { child, channel: Mutex::new(None), answered: Mutex::default(), folder };
        let channel = own.accept(&listener, &token)?;
        own.channel = Mutex::new(Some(channel));
        let statements: Vec<&str> = FUNCTIONS.split(';').filter(|it| it.contains("FUNCTION")).chain(VIEWS).collect();
        own.ask(&json!({"tables": tables, "statements": statements}))?;
        Ok(own)
    }

    /// Waits until the script calls, unless it ends before.
    fn accept(&mut self, listener: &TcpListener, token: &str) -> Result<BufReader<TcpStream>, StoreError> {
        listener.set_nonblocking(true)?;
        let begun = Instant::now();
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false)?;
                    stream.set_read_timeout(Some(PATIENCE))?;
                    let mut channel = BufReader::new(stream);
                    let mut line = String::new();
                    // Whoever does not know the token is somebody else.
                    if channel.read_line(&mut line).is_ok() && line.trim_end() == token {
                        return Ok(channel);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if self.child.try_wait()?.is_some() || begun.elapsed() > PATIENCE {
                        return Err(self.silent());
                    }
                    thread::sleep(Duration::from_millis(50));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Runs a portable statement.
    pub(crate) fn query(&self, sql: &str, params: &[Cell]) -> Result<Vec<Vec<Cell>>, StoreError> {
        let sql = filled(sql, params);
        let known = self.answered.lock().ok().and_then(|it| it.get(&sql).cloned());
        if let Some(rows) = known {
            return Ok(rows);
        }
        let rows = self.ask(&json!({"sql": &sql}))?;
        if let Ok(mut answered) = self.answered.lock() {
            answered.insert(sql, rows.clone());
        }
        Ok(rows)
    }

    fn ask(&self, asked: &Value) -> Result<Vec<Vec<Cell>>, StoreError> {
        let mut channel = self.channel.lock().map_err(|_| StoreError::Interrupted)?;
        let Some(channel) = channel.as_mut() else { return Err(self.silent()) };
        let stream = channel.get_mut();
        // How long an answer takes is for the cluster to say.
        stream.set_read_timeout(None)?;
        writeln!(stream, "{asked}").and_then(|()| stream.flush()).map_err(|_| self.silent())?;
        let mut line = String::new();
        if channel.read_line(&mut line).map_err(|_| self.silent())? == 0 {
            return Err(self.silent());
        }
        let answer: Value = serde_json::from_str(&line).map_err(|error| StoreError::Spark(error.to_string()))?;
        if let Some(error) = answer["error"].as_str() {
            return Err(StoreError::Spark(error.to_owned()));
        }
        let rows = answer["rows"].as_array().into_iter().flatten();
        Ok(rows.map(|row| row.as_array().into_iter().flatten().map(cell).collect()).collect())
    }

    /// It ended: the last that it said tells why.
    fn silent(&self) -> StoreError {
        let said = fs::read_to_string(self.folder.path().join(SAID)).unwrap_or_default();
        let last = said.lines().rev().find(|it| it.contains("Error") || it.contains("Exception"));
        let last = last.or_else(|| said.lines().rev().find(|it| !it.trim().is_empty()));
        StoreError::Spark(last.unwrap_or("it ended without a word").trim().to_owned())
    }
}

impl Drop for Spark {
    fn drop(&mut self) {
        let is_connected = self.channel.get_mut().is_ok_and(|it| it.take().is_some());
        if !is_connected {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// The files of a table as the catalogue has them now.
fn table(lake: &Connection, name: &str) -> Result<Value, StoreError> {
    let rows = |sql: &str| reader::run(lake, sql, &[]).map(|it| it.rows);
    let mut columns = Vec::new();
    for row in rows(&format!(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = '{name}' ORDER BY column_index"
    ))? {
        let mut it = Take::new(row);
        columns.push([it.text()?, kind(&it.text()?).to_owned()]);
    }
    let (mut files, mut deletions) = (Vec::new(), serde_json::Map::new());
    for row in
        rows(&format!("SELECT data_file, delete_file FROM ducklake_list_files('stepscope', '{name}') ORDER BY ALL"))?
    {
        let mut it = Take::new(row);
        let file = it.text()?;
        if let Some(deleted) = it.opt_text() {
            deletions.insert(file.clone(), deleted.into());
        }
        files.push(file);
    }
    Ok(json!({"name": name, "columns": columns, "files": files, "deletions": deletions}))
}

/// What Spark calls a type of ours when it reads it from a file.
fn kind(of: &str) -> &'static str {
    match of {
        "BOOLEAN" => "BOOLEAN",
        "UTINYINT" => "SMALLINT",
        "UINTEGER" | "BIGINT" => "BIGINT",
        "UBIGINT" => "DECIMAL(20,0)",
        "TIMESTAMP" => "TIMESTAMP_NTZ",
        "DOUBLE" => "DOUBLE",
        _ => "STRING",
    }
}

fn cell(value: &Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Bool(it) => Cell::Bool(*it),
        Value::Number(it) => it.as_i64().map_or_else(|| Cell::Float(it.as_f64().unwrap_or(0.0)), Cell::Int),
        Value::String(it) => Cell::Text(it.clone()),
        Value::Object(it) => it.get("us").and_then(Value::as_i64).map_or(Cell::Null, Cell::Time),
        Value::Array(items) => Cell::List(items.iter().map(cell).collect()),
    }
}

/// A statement with its parameters in their places, as Spark writes them.
fn filled(sql: &str, params: &[Cell]) -> String {
    // The last first: `$1` begins `$10`.
    let numbered = params.iter().enumerate().rev();
    numbered.fold(sql.to_owned(), |sql, (index, it)| sql.replace(&format!("${}", index + 1), &literal(it)))
}

fn literal(it: &Cell) -> String {
    match it {
        Cell::Null | Cell::Bytes(_) | Cell::List(_) => "NULL".to_owned(),
        Cell::Bool(it) => it.to_string(),
        // Whole numbers of 64 bits, as DuckDB takes them.
        Cell::Int(it) => format!("{it}L"),
        Cell::Big(it) => it.to_string(),
        Cell::Float(it) => it.to_string(),
        Cell::Time(it) => format!("timestampadd(MICROSECOND, {it}, TIMESTAMP '1970-01-01 00:00:00')"),
        Cell::Text(it) => format!("'{}'", it.replace('\\', "\\\\").replace('\'', "\\'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_stand_in_the_statement_as_spark_writes_them() {
        let params = [Cell::Text(r"it's \ it".to_owned()), Cell::Null, Cell::Int(7)];
        assert_eq!(
            filled("a = $1 AND $2 IS NULL AND b < $3", &params),
            r"a = 'it\'s \\ it' AND NULL IS NULL AND b < 7L"
        );
    }
}
