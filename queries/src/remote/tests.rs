//! Readers and a writer in one process.

use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::protocol::{Kind, LONGEST_REQUEST, Request, write_frame};
use super::{Calls, ask};
use crate::run::Sink;
use crate::{Answer, Cell, Limit, Limits, Reader, Store, StoreError};

const LIMITS: Limits = Limits { rows: 1_000_000, bytes: 1 << 30, time: Duration::from_secs(60) };
/// What never ends by itself.
const ENDLESS: &str = "SELECT count(*) FROM range(10000000) a, range(10000000) b";
/// Long enough for any machine.
const PATIENCE: Duration = Duration::from_secs(120);

struct Scene {
    store: Store,
    folder: tempfile::TempDir,
    path: PathBuf,
}

fn scene() -> Scene {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("test.duckdb");
    let store = Store::open(&path).expect("a database");
    assert_eq!(store.unheard(), None);
    Scene { store, folder, path }
}

fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn socket(scene: &Scene) -> PathBuf {
    scene.folder.path().join(".test.duckdb.sock")
}

fn n_callers(scene: &Scene) -> usize {
    scene.store.n_callers()
}

/// Takes so many rows and then no more.
struct First(usize);

impl Sink<StoreError> for First {
    fn columns(&mut self, _names: Vec<String>) -> Result<(), StoreError> {
        Ok(())
    }

    fn row(&mut self, _cells: Vec<Cell>) -> Result<ControlFlow<()>, StoreError> {
        self.0 -= 1;
        Ok(if self.0 == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}

fn first_rows(path: &Path, n_rows: usize, sql: &str) -> Result<(), StoreError> {
    ask(path, &Calls::default(), &Request::own(sql, &[]), &mut First(n_rows)).map(|_| ())
}

#[test]
fn values_of_every_kind_arrive_as_they_are() {
    let scene = scene();
    let reader = Reader::through_writer(&scene.path);
    let sql = "SELECT NULL, true, -5::TINYINT, 18446744073709551615::UBIGINT, 1e300, TIMESTAMP '2026-01-01 00:00:01', 'ä;', '\\x00\\xff'::BLOB,
        [1, NULL]::INTEGER[], {'a': 1}, MAP {'k': 2}, 1.50::DECIMAL(9, 2), DATE '2026-01-01', 'infinity'::TIMESTAMP_S, 170141183460469231731687303715884105727::HUGEINT,
        INTERVAL 1 DAY, uuid() IS NOT NULL, 'a'::ENUM('a', 'b'), repeat('x', 9999)";
    let Answer { table, truncated } = reader.console(sql, &LIMITS).expect("an answer");
    assert_eq!(truncated, None);
    let row = &table.rows[0];
    assert_eq!(row[..4], [Cell::Null, Cell::Bool(true), Cell::Int(-5), Cell::Big(u64::MAX)]);
    assert_eq!(row[5..8], [Cell::Time(1_767_225_601_000_000), Cell::Text("ä;".to_owned()), Cell::Bytes(vec![0, 255])]);
    assert_eq!(row[18], Cell::Text("x".repeat(9999)));
    let refused = reader.console("SELECT union_value(a := 1)", &LIMITS).expect_err("its type cannot be shown");
    assert!(refused.to_string().contains("VARCHAR"), "{refused}");
}

#[test]
fn an_answer_is_cut_at_each_limit() {
    let scene = scene();
    let reader = Reader::through_writer(&scene.path);
    let cut = |sql: &str, limits: Limits| {
        let answer = reader.console(sql, &limits).expect("an answer");
        (answer.table.rows.len(), answer.truncated)
    };
    assert_eq!(cut("FROM range(10)", Limits { rows: 10, ..LIMITS }), (10, None));
    assert_eq!(cut("FROM range(11)", Limits { rows: 10, ..LIMITS }), (10, Some(Limit::Rows)));
    assert_eq!(cut("FROM range(11)", Limits { bytes: 80, ..LIMITS }), (10, Some(Limit::Bytes)));
    assert_eq!(cut(ENDLESS, Limits { time: Duration::from_millis(50), ..LIMITS }), (0, Some(Limit::Time)));
    assert_eq!(cut("SELECT 1", LIMITS), (1, None), "the next one runs");
}

#[test]
fn our_own_answers_have_no_end() {
    let scene = scene();
    let mut n_rows = 0_u64;
    let reader = Reader::through_writer(&scene.path);
    let count = |_| {
        n_rows += 1;
        Ok::<_, StoreError>(())
    };
    reader.for_each_row("SELECT i, 'x' FROM range(300000) t(i)", &[], count).expect("all rows");
    assert_eq!(n_rows, 300_000);
}

#[test]
fn what_a_reader_gives_up_is_interrupted() {
    let scene = scene();
    // One that hangs up between rows, one that hangs up before the first, one that is told to.
    first_rows(&scene.path, 3, "FROM range(100000000000)").expect("three rows");
    wait_until("the statement ends", || n_callers(&scene) == 0);
    let calls = Arc::new(Calls::default());
    let (own, path) = (Arc::clone(&calls), scene.path.clone());
    let asking = thread::spawn(move || ask(&path, &own, &Request::own(ENDLESS, &[]), &mut First(1)).map(|_| ()));
    wait_until("the statement runs", || n_callers(&scene) == 1);
    thread::sleep(Duration::from_millis(100));
    calls.give_up();
    assert!(asking.join().expect("no panic").is_err());
    wait_until("the statement ends", || n_callers(&scene) == 0);
    let reader = Reader::through_writer(&scene.path);
    let interrupter = reader.interrupter();
    let asking = thread::spawn(move || reader.query(ENDLESS, &[]));
    wait_until("the statement runs", || n_callers(&scene) == 1);
    interrupter.interrupt();
    assert!(matches!(asking.join().expect("no panic"), Err(StoreError::Interrupted)));
    wait_until("the statement ends", || n_callers(&scene) == 0);
}

#[test]
fn readers_do_not_wait_for_each_other() {
    let scene = scene();
    let reader = Reader::through_writer(&scene.path);
    let interrupter = reader.interrupter();
    let asking = thread::spawn(move || reader.query(ENDLESS, &[]));
    wait_until("the statement runs", || n_callers(&scene) == 1);
    for _ in 0..5 {
        first_rows(&scene.path, 2, "SELECT 1 UNION ALL SELECT 2").expect("an answer meanwhile");
    }
    assert!(!asking.is_finished());
    interrupter.interrupt();
    assert!(asking.join().expect("no panic").is_err());
}

#[test]
fn silent_callers_make_room() {
    let scene = scene();
    let silent: Vec<UnixStream> = (0..200).map(|_| UnixStream::connect(socket(&scene)).expect("it listens")).collect();
    first_rows(&scene.path, 2, "SELECT 1").expect("an answer meanwhile");
    assert!(n_callers(&scene) <= 32);
    drop(silent);
    wait_until("they are forgotten", || n_callers(&scene) == 0);
}

#[test]
fn what_is_no_request_is_refused() {
    let scene = scene();
    let answered = |bytes: &[u8]| {
        let mut stream = UnixStream::connect(socket(&scene)).expect("it listens");
        // It may hang up before it has read all.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    };
    // Of what it does not take, the caller may never see an answer.
    answered(&vec![b'x'; 32 << 20]);
    assert!(answered(b"GET / HTTP/1.1\r\n").contains("cannot be read"));
    let mut too_long = vec![1];
    too_long.extend((u32::try_from(LONGEST_REQUEST).expect("fits") + 1).to_le_bytes());
    assert!(answered(&too_long).contains("cannot be read"));
    let mut frame = Vec::new();
    write_frame(&mut frame, Kind::Request, b"{}").expect("memory");
    assert!(answered(&frame).contains("cannot be read"));
    let mut other = Request::own("SELECT 1", &[]);
    other.version += 1;
    let mut frame = Vec::new();
    write_frame(&mut frame, Kind::Request, &serde_json::to_vec(&other).expect("JSON")).expect("memory");
    assert!(answered(&frame).contains("another version"));
    first_rows(&scene.path, 2, "SELECT 1").expect("it still answers");
}

#[test]
fn no_caller_ends_its_transaction() {
    let scene = scene();
    for sql in [
        "ROLLBACK",
        "SELECT 1; ROLLBACK",
        "INSERT INTO quarantined VALUES ('a', 1, 'b')",
        "FROM enable_logging('QueryLog')",
        "SELECT * FROM read_text('/etc/hostname')",
        "CALL force_checkpoint()",
    ] {
        let refused = first_rows(&scene.path, 2, sql);
        assert!(matches!(refused, Err(StoreError::NotAllowed(_))), "{sql}: {refused:?}");
    }
    let failed = first_rows(&scene.path, 2, "SELECT error('no')");
    assert!(matches!(failed, Err(StoreError::Remote(_))), "{failed:?}");
}

#[test]
fn a_writer_whose_folder_is_gone_ends_all_the_same() {
    let Scene { store, folder, .. } = scene();
    drop(folder);
    drop(store);
}

#[test]
fn a_writer_that_is_gone_leaves_no_socket() {
    let Scene { folder, path, store } = scene();
    let socket = folder.path().join(".test.duckdb.sock");
    assert!(socket.exists());
    drop(store);
    assert!(!socket.exists());
    let cause = first_rows(&path, 2, "SELECT 1").expect_err("nothing listens");
    assert!(matches!(&cause, StoreError::Silent { cause, .. } if cause.contains("no stepscope listens")), "{cause:?}");
}

/// Every statement of ours that a reader may send has to pass the check that the writer makes.
#[test]
fn our_own_statements_may_run() {
    const NOT_FOR_READERS: [&str; 8] = [
        "catalogue.sql",
        "lake.sql",
        "local.sql",
        "views.sql",
        "rollup_compact.sql",
        "rollup_remove.sql",
        "functions.spark.sql",
        "bill_cur.sql",
    ];
    let checker = crate::console::Checker::new().expect("a checker");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql");
    let mut n_checked = 0;
    for file in [root.clone(), root.join("portable")].iter().flat_map(|it| std::fs::read_dir(it).expect("a folder")) {
        let path = file.expect("a file").path();
        let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default().to_owned();
        if NOT_FOR_READERS.contains(&name.as_str())
            || std::path::Path::new(&name).extension().is_none_or(|it| it != "sql")
        {
            continue;
        }
        let sql = std::fs::read_to_string(&path).expect("a text");
        let sql = sql.replace("$ids", "1,2").replace("$chosen", "TRUE").replace("$fields", "1,2");
        checker.check(&sql, crate::console::Asker::Own).unwrap_or_else(|error| panic!("{name}: {error}"));
        n_checked += 1;
    }
    assert!(n_checked > 30, "{n_checked}");
}
