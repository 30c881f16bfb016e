//! The writer's side: answers readers until it is dropped.
//!
//! A statement runs only after the same check as in a reader's own process, whoever sent it, so it can neither end its transaction nor
//! reach the settings of this process. What a reader asks and does not take costs a frame of memory; what it gives up is interrupted.

use std::fs;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use duckdb::Connection;

use super::peer;
use super::place::{Bound, places};
use super::protocol::{End, FRAME, Kind, LONGEST_REQUEST, Request, VERSION, read_head, write_frame, write_row};
use crate::console::{Asker, Checker};
use crate::run::{self, Sink};
use crate::store::another;
use crate::{Cell, StoreError};

/// Readers that are answered at once.
const MOST: usize = 32;
/// How long a reader may take to ask.
const TO_ASK: Duration = Duration::from_secs(10);
/// How long a reader may leave rows untaken: a person may be paging through them.
const TO_TAKE: Duration = Duration::from_secs(600);
/// How often a reader hears that its statement goes on.
const ALIVE: Duration = Duration::from_secs(5);
/// How long the end of the server waits for the thread that accepts callers.
const TO_STOP: Duration = Duration::from_secs(2);
/// Requests that are being received, together.
const RECEIVED: usize = 4 * LONGEST_REQUEST;
/// DuckDB plans a statement on the thread that asks.
const STACK: usize = 64 << 20;

/// Listens until it is dropped.
pub(crate) struct Server {
    shared: Arc<Shared>,
    bound: Bound,
    accepting: Option<JoinHandle<()>>,
}

/// What all threads of the server know.
struct Shared {
    connection: Mutex<Connection>,
    checker: OnceLock<Mutex<Checker>>,
    file_owner: u32,
    is_stopped: AtomicBool,
    n_received: AtomicUsize,
    callers: Mutex<Vec<Caller>>,
}

/// One reader that is connected.
struct Caller {
    id: u64,
    stream: UnixStream,
    has_asked: bool,
}

impl Server {
    /// Starts to listen; `Err` says why there is no place for that, in a line.
    pub(crate) fn start(path: &Path, connection: Connection) -> Result<Self, String> {
        let in_a_line = |error: io::Error| format!("`{}`: {error}", path.display());
        let file_owner = fs::metadata(path).map_err(in_a_line)?.uid();
        let mut causes = Vec::new();
        let mut bound = None;
        for place in places(path).map_err(in_a_line)? {
            match place.bind(file_owner) {
                Ok(it) => {
                    bound = Some(it);
                    break;
                }
                Err(cause) => causes.push(cause),
            }
        }
        let bound = bound.ok_or_else(|| causes.join("; "))?;
        let shared = Arc::new(Shared {
            connection: Mutex::new(connection),
            checker: OnceLock::new(),
            file_owner,
            is_stopped: AtomicBool::new(false),
            n_received: AtomicUsize::new(0),
            callers: Mutex::default(),
        });
        let listener = bound.listener.try_clone().map_err(in_a_line)?;
        let own = Arc::clone(&shared);
        let accepting = thread::spawn(move || {
            for (id, stream) in (0..).zip(listener.incoming()) {
                if own.is_stopped.load(Ordering::SeqCst) {
                    return;
                }
                match stream {
                    Ok(stream) => admit(&own, id, stream),
                    // Out of descriptors, for now.
                    Err(_) => thread::sleep(Duration::from_millis(50)),
                }
            }
        });
        Ok(Self { shared, bound, accepting: Some(accepting) })
    }
}

#[cfg(test)]
impl Server {
    pub(crate) fn n_callers(&self) -> usize {
        locked(&self.shared.callers).len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.is_stopped.store(true, Ordering::SeqCst);
        // Both, since the folder may be gone, and not every system lets go of a listener that is shut down.
        let _ = rustix::net::shutdown(&self.bound.listener, rustix::net::Shutdown::Both);
        self.bound.wake();
        for caller in locked(&self.shared.callers).drain(..) {
            let _ = caller.stream.shutdown(Shutdown::Both);
        }
        let deadline = Instant::now() + TO_STOP;
        while self.accepting.as_ref().is_some_and(|it| !it.is_finished()) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        self.accepting = None;
    }
}

fn locked<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives a caller a thread, if it may call and there is room: one that has not asked anything yet makes room for it.
fn admit(shared: &Arc<Shared>, id: u64, stream: UnixStream) {
    let is_trusted = peer::uid(&stream).is_ok_and(|uid| peer::is_trusted(uid, shared.file_owner));
    let Some(own) = stream.try_clone().ok().filter(|_| is_trusted) else { return };
    let mut callers = locked(&shared.callers);
    if callers.len() >= MOST {
        let Some(silent) = callers.iter().position(|it| !it.has_asked) else {
            drop(callers);
            let _ = stream.set_write_timeout(Some(Duration::from_millis(100)));
            let _ = end(&stream, &End::Failed(format!("it answers {MOST} readers already; try again")));
            return;
        };
        let _ = callers.remove(silent).stream.shutdown(Shutdown::Both);
    }
    callers.push(Caller { id, stream: own, has_asked: false });
    drop(callers);
    let own = Arc::clone(shared);
    let spawned = thread::Builder::new().stack_size(STACK).spawn(move || {
        let _ = serve(&own, id, &stream);
        let _ = stream.shutdown(Shutdown::Both);
        own.forget(id);
    });
    if spawned.is_err() {
        shared.forget(id);
    }
}

impl Shared {
    fn forget(&self, id: u64) {
        locked(&self.callers).retain(|it| it.id != id);
    }

    fn checker(&self) -> Result<Checker, StoreError> {
        if let Some(checker) = self.checker.get() {
            return locked(checker).another();
        }
        let checker = Checker::new()?;
        let own = checker.another()?;
        // Another thread may have been faster; one is as good as the other.
        let _ = self.checker.set(Mutex::new(checker));
        Ok(own)
    }
}

/// Answers one question.
fn serve(shared: &Shared, id: u64, stream: &UnixStream) -> io::Result<()> {
    stream.set_write_timeout(Some(TO_TAKE))?;
    let request = match receive(shared, stream) {
        Ok(request) => request,
        Err(error) => {
            let _ = end(stream, &End::Failed(format!("the request cannot be read: {error}")));
            return Err(error);
        }
    };
    if let Some(caller) = locked(&shared.callers).iter_mut().find(|it| it.id == id) {
        caller.has_asked = true;
    }
    let last = match answer(shared, &request, stream) {
        Ok(end) => end,
        Err(Failure::Gone) => return Ok(()),
        Err(Failure::Store(StoreError::NotAllowed(reason))) => End::NotAllowed(reason),
        Err(Failure::Store(error)) => End::Failed(error.told()),
    };
    end(stream, &last)
}

fn end(mut stream: &UnixStream, end: &End) -> io::Result<()> {
    write_frame(&mut stream, Kind::End, &serde_json::to_vec(end)?)
}

/// Reads a request, which may come slowly but not for ever, and takes memory only as it comes.
fn receive(shared: &Shared, stream: &UnixStream) -> io::Result<Request> {
    let mut input = Hasty { stream, deadline: Instant::now() + TO_ASK };
    let (kind, length) = read_head(&mut input, LONGEST_REQUEST)?;
    if kind != Kind::Request {
        return Err(io::ErrorKind::InvalidData.into());
    }
    if shared.n_received.fetch_add(length, Ordering::SeqCst) + length > RECEIVED {
        shared.n_received.fetch_sub(length, Ordering::SeqCst);
        return Err(io::Error::new(io::ErrorKind::WouldBlock, "too many requests at once"));
    }
    let mut bytes = Vec::new();
    let read = input.take(length as u64).read_to_end(&mut bytes);
    let request = read.and_then(|n_read| {
        if n_read < length {
            Err(io::ErrorKind::UnexpectedEof.into())
        } else {
            Ok(serde_json::from_slice::<Request>(&bytes)?)
        }
    });
    shared.n_received.fetch_sub(length, Ordering::SeqCst);
    let request = request?;
    if request.version != VERSION {
        return Err(io::Error::other("the process that writes is another version of stepscope"));
    }
    Ok(request)
}

/// A stream that has to be read before a moment.
struct Hasty<'a> {
    stream: &'a UnixStream,
    deadline: Instant,
}

impl Read for Hasty<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut stream = self.stream;
        stream.read(bytes)
    }
}

/// Why an answer is not sent to its end.
enum Failure {
    Gone,
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn answer(shared: &Shared, request: &Request, stream: &UnixStream) -> Result<End, Failure> {
    let asker = if request.console.is_some() { Asker::Console } else { Asker::Own };
    let sql = shared.checker()?.check(&request.sql, asker)?;
    let connection = another(&locked(&shared.connection)).map_err(StoreError::from)?;
    let statement = connection.interrupt_handle();
    let out = Mutex::new(Out { stream, sent_at: Instant::now() });
    let (running, ended) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let out = &out;
        scope.spawn(move || {
            if is_given_up(stream, out, &ended) {
                run::interrupt_until(&statement, &ended);
            }
        });
        let result = run_read_only(&connection, &sql, request, out);
        drop(running);
        // The thread that listens for the end of the connection ends with it.
        let _ = stream.shutdown(Shutdown::Read);
        result
    })
}

fn run_read_only(connection: &Connection, sql: &str, request: &Request, out: &Mutex<Out<'_>>) -> Result<End, Failure> {
    connection.execute_batch("BEGIN TRANSACTION READ ONLY").map_err(StoreError::from)?;
    let mut rows = RowsOut { out, buffer: Vec::with_capacity(FRAME) };
    let result = match &request.console {
        None => run::stream(connection, sql, &request.params, &mut rows).map(|()| None),
        Some(limits) => run::stream_within(connection, sql, limits, &mut rows),
    };
    let sent = result.and_then(|reached| {
        rows.send().map_err(|_| Failure::Gone)?;
        Ok(reached.map_or(End::Whole, End::Truncated))
    });
    let _ = connection.execute_batch("ROLLBACK");
    sent
}

/// Waits until the reader closes its end or says anything, or the statement has ended; says meanwhile that it goes on.
fn is_given_up(mut stream: &UnixStream, out: &Mutex<Out<'_>>, ended: &mpsc::Receiver<()>) -> bool {
    let has_ended = || matches!(ended.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
    loop {
        match stream.read(&mut [0]) {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                // Where the lock is taken, rows are on their way.
                let Ok(mut out) = out.try_lock() else { continue };
                if !has_ended() && out.sent_at.elapsed() >= ALIVE && out.send(Kind::Alive, &[]).is_err() {
                    return true;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => return !has_ended(),
        }
    }
}

struct Out<'a> {
    stream: &'a UnixStream,
    sent_at: Instant,
}

impl Out<'_> {
    fn send(&mut self, kind: Kind, bytes: &[u8]) -> io::Result<()> {
        let mut stream = self.stream;
        let sent = write_frame(&mut stream, kind, bytes);
        self.sent_at = Instant::now();
        sent
    }
}

/// Rows on their way out, a frame at a time.
struct RowsOut<'a, 'b> {
    out: &'a Mutex<Out<'b>>,
    buffer: Vec<u8>,
}

impl RowsOut<'_, '_> {
    fn send(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            locked(self.out).send(Kind::Rows, &self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }
}

impl Write for RowsOut<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n_taken = bytes.len().min(FRAME - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..n_taken]);
        if self.buffer.len() == FRAME {
            self.send()?;
        }
        Ok(n_taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

impl Sink<Failure> for RowsOut<'_, '_> {
    fn columns(&mut self, names: Vec<String>) -> Result<(), Failure> {
        let names = serde_json::to_vec(&names).map_err(|_| Failure::Gone)?;
        locked(self.out).send(Kind::Columns, &names).map_err(|_| Failure::Gone)
    }

    fn row(&mut self, cells: Vec<Cell>) -> Result<ControlFlow<()>, Failure> {
        write_row(self, &cells).map_err(|_| Failure::Gone)?;
        Ok(ControlFlow::Continue(()))
    }
}
