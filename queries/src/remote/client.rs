//! The reader's side: asks the process that writes.

use std::fs;
use std::io::{self, BufReader, Read};
use std::net::Shutdown;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::peer;
use super::place::places;
use super::protocol::{End, FRAME, Kind, LONGEST_REQUEST, Request, read_head, read_row, write_frame};
use crate::StoreError;
use crate::run::{Limit, Sink};

/// The writer says every few seconds that it goes on; one that says nothing for so long is stopped or stuck.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest list of column names.
const LONGEST_NAMES: usize = 1 << 20;

/// The questions of one reader that wait for their answers, so that they can be given up.
#[derive(Default)]
pub(crate) struct Calls(Mutex<Vec<UnixStream>>);

impl Calls {
    /// Hangs up; the writer notices, and interrupts what it does for this reader.
    pub(crate) fn give_up(&self) {
        for stream in self.locked().iter() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn locked(&self) -> MutexGuard<'_, Vec<UnixStream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends one statement to the process that writes the database at `path`, and hands on its rows as they come.
pub(crate) fn ask<E: From<StoreError>>(
    path: &Path,
    calls: &Calls,
    request: &Request,
    sink: &mut impl Sink<E>,
) -> Result<Option<Limit>, E> {
    let silent = |cause: String| E::from(StoreError::Silent { path: path.to_owned(), cause });
    let failed = |error: io::Error| silent(error.to_string());
    let stream = connect(path).map_err(silent)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
    let own = stream.try_clone().map_err(failed)?;
    let id = std::os::fd::AsRawFd::as_raw_fd(&own);
    calls.locked().push(own);
    let answered = converse(&stream, request, sink, &silent);
    calls.locked().retain(|it| std::os::fd::AsRawFd::as_raw_fd(it) != id);
    answered
}

/// A connection to the first trusted process that listens where a writer would.
fn connect(path: &Path) -> Result<UnixStream, String> {
    let in_a_line = |error: io::Error| error.to_string();
    let file_owner = fs::metadata(path).map_err(in_a_line)?.uid();
    let mut causes = Vec::new();
    for place in places(path).map_err(in_a_line)? {
        match place.connect(file_owner) {
            Ok(None) => {}
            Ok(Some(stream)) => match peer::uid(&stream) {
                Ok(uid) if peer::is_trusted(uid, file_owner) => return Ok(stream),
                Ok(uid) => causes.push(format!("what listens there belongs to another user ({uid})")),
                Err(error) => causes.push(format!("what listens there cannot be identified: {error}")),
            },
            Err(cause) => causes.push(cause),
        }
    }
    if causes.is_empty() { Err("no stepscope listens there".to_owned()) } else { Err(causes.join("; ")) }
}

fn converse<E: From<StoreError>>(
    stream: &UnixStream,
    request: &Request,
    sink: &mut impl Sink<E>,
    silent: &impl Fn(String) -> E,
) -> Result<Option<Limit>, E> {
    let failed = |error: io::Error| silent(error.to_string());
    let text = serde_json::to_vec(request).map_err(|error| silent(error.to_string()))?;
    if text.len() > LONGEST_REQUEST {
        return Err(StoreError::NotAllowed("the statement is too long".to_owned()).into());
    }
    let mut out = stream;
    // A writer that refuses says so before it has read everything.
    let sent = write_frame(&mut out, Kind::Request, &text);
    let mut answer = Answer { input: BufReader::with_capacity(FRAME, stream), left: 0, end: None };
    let names = answer.names().map_err(|error| failed(sent.err().unwrap_or(error)))?;
    let n_columns = names.as_ref().map_or(0, Vec::len);
    if let Some(names) = names {
        sink.columns(names)?;
        while let Some(row) = read_row(&mut answer, n_columns).map_err(failed)? {
            if sink.row(row)?.is_break() {
                return Ok(None);
            }
        }
    }
    match answer.end {
        Some(end) => end.verdict().map_err(E::from),
        None => Err(silent("the answer breaks off".to_owned())),
    }
}

/// An answer as it comes in. Read as bytes, it is the stream of its rows.
struct Answer<'a> {
    input: BufReader<&'a UnixStream>,
    /// Bytes that are left of the frame that is being read.
    left: usize,
    end: Option<End>,
}

impl Answer<'_> {
    /// The names of the columns; `None` where the answer ends without any.
    fn names(&mut self) -> io::Result<Option<Vec<String>>> {
        match self.next_frame()? {
            Kind::Columns => {
                let mut names = Vec::new();
                self.input.by_ref().take(self.left as u64).read_to_end(&mut names)?;
                self.left = 0;
                Ok(Some(serde_json::from_slice(&names)?))
            }
            Kind::End => Ok(None),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Reads on to the next frame that says something; an end is taken in.
    fn next_frame(&mut self) -> io::Result<Kind> {
        loop {
            let (kind, length) = read_head(&mut self.input, LONGEST_NAMES)?;
            self.left = length;
            match kind {
                Kind::Alive => {}
                Kind::End => {
                    let mut end = Vec::new();
                    self.input.by_ref().take(length as u64).read_to_end(&mut end)?;
                    self.end = Some(serde_json::from_slice(&end)?);
                    self.left = 0;
                    return Ok(kind);
                }
                _ => return Ok(kind),
            }
        }
    }
}

impl Read for Answer<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 {
            if self.end.is_some() {
                return Ok(0);
            }
            match self.next_frame()? {
                Kind::Rows | Kind::End => {}
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
        let n_wanted = bytes.len().min(self.left);
        let n_read = self.input.read(&mut bytes[..n_wanted])?;
        self.left -= n_read;
        if n_read == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(n_read) }
    }
}
