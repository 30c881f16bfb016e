//! How other processes read while this one writes.
//!
//! DuckDB lets a file be open for writing in one process only, and then nothing else can open it at all. So the writer listens on a local
//! socket, runs each reader's statement on a connection of its own, inside a read-only transaction, and answers with the rows: a
//! snapshot, as DuckDB's own concurrency control gives it.
//!
//! ```text
//!   reader                             writer
//!   place ── who listens there? ──▶    place ── who calls? ──▶  a thread a reader, at most 32
//!   request (SQL, parameters)   ──▶    one SELECT of ours? ──▶  statement, read-only
//!   rows                        ◀──    frames of 64 KiB, as fast as they are read
//!   (gone)                      ──▶    interrupts the statement
//! ```

#[cfg(unix)]
mod client;
#[cfg(unix)]
mod peer;
#[cfg(unix)]
mod place;
mod protocol;
#[cfg(unix)]
mod server;
#[cfg(all(test, unix))]
mod tests;

#[cfg(unix)]
pub(crate) use client::{Calls, ask};
pub(crate) use protocol::Request;
#[cfg(unix)]
pub(crate) use server::Server;

#[cfg(not(unix))]
pub(crate) use nowhere::{Calls, Server, ask};

/// Without local sockets there is no reading while another process writes.
#[cfg(not(unix))]
mod nowhere {
    use std::path::Path;

    use super::Request;
    use crate::StoreError;
    use crate::run::{Limit, Sink};

    #[derive(Default)]
    pub(crate) struct Calls;

    impl Calls {
        pub(crate) fn give_up(&self) {}
    }

    pub(crate) struct Server;

    impl Server {
        pub(crate) fn start(_path: &Path, _connection: duckdb::Connection) -> Result<Self, String> {
            Err("this platform has no local sockets".to_owned())
        }
    }

    pub(crate) fn ask<E: From<StoreError>>(
        path: &Path,
        _calls: &Calls,
        _request: &Request,
        _sink: &mut impl Sink<E>,
    ) -> Result<Option<Limit>, E> {
        Err(E::from(StoreError::Busy(path.to_owned())))
    }
}
