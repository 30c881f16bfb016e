//! How other processes read while this one writes.
//!
//! DuckDB lets a file be open for writing in one process only, and then nobody else can open it at all. So the writer
//! listens on a local socket, runs each reader's statement on a connection of its own, inside a read-only transaction,
//! and answers with the rows: a snapshot, as DuckDB's own concurrency control gives it. The socket lies in a folder
//! that only this user can enter.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Cell, Table};

#[derive(Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) sql: String,
    pub(crate) params: Vec<Cell>,
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Response {
    Rows(Table),
    Refused(String),
}

/// Where the writer of the database at `path` listens.
pub(crate) fn socket_path(path: &Path) -> Option<PathBuf> {
    let path = path.canonicalize().ok()?;
    let base = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let user = std::env::var("USER").unwrap_or_else(|_| "user".to_owned());
    let hash = analyzer::assembly::hash_of(&path.to_string_lossy());
    Some(base.join(format!("stepscope-{user}")).join(format!("{hash:016x}.sock")))
}

#[cfg(unix)]
pub(crate) use unix::{Server, ask};

#[cfg(unix)]
mod unix {
    use std::fs;
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::{Path, PathBuf};
    use std::sync::Mutex;
    use std::thread;
    use std::time::Duration;

    use duckdb::Connection;

    use super::{Request, Response, socket_path};
    use crate::store::another;
    use crate::{StoreError, Table};

    const PATIENCE: Duration = Duration::from_secs(60);

    /// Answers readers until it is dropped.
    pub(crate) struct Server {
        socket: PathBuf,
    }

    impl Server {
        /// Starts to listen; without a place to listen there are no readers, which is no reason not to write.
        pub(crate) fn start(path: &Path, connection: Connection) -> Option<Self> {
            let socket = socket_path(path)?;
            let folder = socket.parent()?;
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).ok()?;
            let is_private = fs::metadata(folder).is_ok_and(|it| it.permissions().mode().trailing_zeros() >= 6);
            let is_mine = fs::metadata(folder).ok()?.uid() == fs::metadata(path).ok()?.uid();
            if !is_private || !is_mine {
                return None;
            }
            // A socket left behind by a process that was killed: this process holds the file's lock, so it is stale.
            let _ = fs::remove_file(&socket);
            let listener = UnixListener::bind(&socket).ok()?;
            fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).ok()?;
            let connection = Mutex::new(connection);
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let Ok(connection) = connection.lock().map_err(|_| ()).and_then(|it| another(&it).map_err(|_| ()))
                    else {
                        return;
                    };
                    thread::spawn(move || serve(&stream, &connection));
                }
            });
            Some(Self { socket })
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.socket);
        }
    }

    fn serve(stream: &UnixStream, connection: &Connection) {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|it| it > 0) {
            let response = match serde_json::from_str::<Request>(&line) {
                Ok(request) => answer(connection, &request),
                Err(error) => Response::Refused(error.to_string()),
            };
            line.clear();
            let Ok(mut text) = serde_json::to_vec(&response) else {
                return;
            };
            text.push(b'\n');
            let mut stream = stream;
            if stream.write_all(&text).is_err() {
                return;
            }
        }
    }

    fn answer(connection: &Connection, request: &Request) -> Response {
        let result = connection.execute_batch("BEGIN TRANSACTION READ ONLY").map_err(StoreError::from).and_then(|()| {
            let table = crate::reader::run(connection, &request.sql, &request.params);
            let _ = connection.execute_batch("ROLLBACK");
            table
        });
        match result {
            Ok(table) => Response::Rows(table),
            Err(StoreError::Database(error)) => Response::Refused(error.to_string()),
            Err(error) => Response::Refused(error.to_string()),
        }
    }

    /// Sends one statement to the process that writes the database at `path`.
    pub(crate) fn ask(path: &Path, request: &Request) -> Result<Table, StoreError> {
        let busy = || StoreError::Busy(path.to_owned());
        let socket = socket_path(path).ok_or_else(busy)?;
        let mut stream = UnixStream::connect(socket).map_err(|_| busy())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut text = serde_json::to_vec(request).map_err(|error| StoreError::Remote(error.to_string()))?;
        text.push(b'\n');
        stream.write_all(&text).map_err(|_| busy())?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).map_err(|_| busy())?;
        match serde_json::from_str(&line) {
            Ok(Response::Rows(table)) => Ok(table),
            Ok(Response::Refused(reason)) => Err(StoreError::Remote(reason)),
            Err(_) => Err(busy()),
        }
    }
}

#[cfg(not(unix))]
pub(crate) struct Server;

#[cfg(not(unix))]
impl Server {
    /// Without local sockets there is no reading while another process writes.
    pub(crate) fn start(_path: &Path, _connection: duckdb::Connection) -> Option<Self> {
        None
    }
}

#[cfg(not(unix))]
pub(crate) fn ask(path: &Path, _request: &Request) -> Result<Table, crate::StoreError> {
    Err(crate::StoreError::Busy(path.to_owned()))
}
