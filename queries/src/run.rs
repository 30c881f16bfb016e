//! Runs one statement on a connection of this process and hands on its rows as they come, within limits.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use duckdb::arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use duckdb::{Connection, InterruptHandle, Statement};
use serde::{Deserialize, Serialize};

use crate::{Cell, StoreError, Table, memory};

/// How often it is looked how much memory a statement takes.
const LOOK: Duration = Duration::from_millis(20);

/// How much a statement of the console may answer, and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub rows: u64,
    pub bytes: u64,
    pub time: Duration,
}

/// The limit at which an answer was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    Rows,
    Bytes,
    Time,
    /// Of the process that runs it.
    Memory,
}

/// An answer of the console: all rows, or those until a limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    pub table: Table,
    pub truncated: Option<Limit>,
}

/// What takes an answer: first the names of the columns, then rows. A `Break` ends the statement.
pub(crate) trait Sink<E> {
    fn columns(&mut self, names: Vec<String>) -> Result<(), E>;
    fn row(&mut self, cells: Vec<Cell>) -> Result<ControlFlow<()>, E>;
}

impl Sink<StoreError> for Table {
    fn columns(&mut self, names: Vec<String>) -> Result<(), StoreError> {
        self.columns = names;
        Ok(())
    }

    fn row(&mut self, cells: Vec<Cell>) -> Result<ControlFlow<()>, StoreError> {
        self.rows.push(cells);
        Ok(ControlFlow::Continue(()))
    }
}

/// Hands on the rows of a statement. They are fetched as they are taken, so what waits is bounded.
pub(crate) fn stream<E: From<StoreError>>(
    connection: &Connection,
    sql: &str,
    params: &[Cell],
    sink: &mut impl Sink<E>,
) -> Result<(), E> {
    let mut statement = connection.prepare(sql).map_err(StoreError::from)?;
    let params: Vec<duckdb::types::Value> = params.iter().map(bound).collect();
    drop(statement.stream_arrow(duckdb::params_from_iter(params)).map_err(StoreError::from)?);
    check_types(&statement)?;
    sink.columns(statement.column_names())?;
    let n_columns = statement.column_count();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(StoreError::from)? {
        let cells = (0..n_columns).map(|index| row.get_ref(index).map(Cell::of)).collect::<Result<_, _>>();
        if sink.row(cells.map_err(StoreError::from)?)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// The same within limits; says which was reached.
pub(crate) fn stream_within<E: From<StoreError>>(
    connection: &Connection,
    sql: &str,
    limits: &Limits,
    sink: &mut impl Sink<E>,
) -> Result<Option<Limit>, E> {
    let handle = connection.interrupt_handle();
    let (is_late, is_large) = (AtomicBool::new(false), AtomicBool::new(false));
    let (running, ended) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let (is_late, is_large) = (&is_late, &is_large);
        scope.spawn(move || {
            let over = match wait(&ended, limits.time) {
                None => return,
                Some(Limit::Memory) => is_large,
                Some(_) => is_late,
            };
            over.store(true, Ordering::SeqCst);
            interrupt_until(&handle, &ended);
        });
        let mut limited = Limited { sink, left: *limits, reached: None };
        let result = stream(connection, sql, &[], &mut limited);
        let reached = limited.reached;
        drop(running);
        match result {
            Ok(()) => Ok(reached),
            Err(_) if is_late.load(Ordering::SeqCst) => Ok(Some(Limit::Time)),
            Err(_) if is_large.load(Ordering::SeqCst) => Ok(Some(Limit::Memory)),
            Err(error) => Err(error),
        }
    })
}

/// Waits for a statement to end; says what it reached before.
fn wait(ended: &mpsc::Receiver<()>, most: Duration) -> Option<Limit> {
    let (begun, before) = (Instant::now(), memory::taken());
    loop {
        let left = most.saturating_sub(begun.elapsed());
        if ended.recv_timeout(left.min(LOOK)) != Err(RecvTimeoutError::Timeout) {
            return None;
        }
        if begun.elapsed() >= most {
            return Some(Limit::Time);
        }
        let grown = before.zip(memory::taken()).is_some_and(|(before, now)| now > before + memory::MOST);
        if grown {
            return Some(Limit::Memory);
        }
    }
}

/// Interrupts a statement until its thread says that it has ended: what is interrupted before it has begun would go on.
pub(crate) fn interrupt_until(statement: &InterruptHandle, ended: &mpsc::Receiver<()>) {
    loop {
        statement.interrupt();
        if ended.recv_timeout(Duration::from_millis(20)) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

struct Limited<'a, S> {
    sink: &'a mut S,
    left: Limits,
    reached: Option<Limit>,
}

impl<E: From<StoreError>, S: Sink<E>> Sink<E> for Limited<'_, S> {
    fn columns(&mut self, names: Vec<String>) -> Result<(), E> {
        self.sink.columns(names)
    }

    fn row(&mut self, cells: Vec<Cell>) -> Result<ControlFlow<()>, E> {
        let size = cells.iter().map(Cell::size).sum();
        self.reached = match (self.left.rows.checked_sub(1), self.left.bytes.checked_sub(size)) {
            (None, _) => Some(Limit::Rows),
            (_, None) => Some(Limit::Bytes),
            (Some(rows), Some(bytes)) => {
                self.left = Limits { rows, bytes, ..self.left };
                None
            }
        };
        if self.reached.is_some() { Ok(ControlFlow::Break(())) } else { self.sink.row(cells) }
    }
}

/// Refuses types that the driver cannot read: it would panic.
fn check_types(statement: &Statement<'_>) -> Result<(), StoreError> {
    let schema = statement.schema();
    match schema.fields().iter().find(|it| !is_read(it.data_type())) {
        None => Ok(()),
        Some(it) => {
            let name = it.name();
            Err(StoreError::NotAllowed(format!(
                "the type of the column `{name}` cannot be shown; write `{name}::VARCHAR`"
            )))
        }
    }
}

fn is_read(it: &DataType) -> bool {
    match it {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => is_read(item.data_type()),
        DataType::Struct(fields) => fields.iter().all(|it| is_read(it.data_type())),
        DataType::Dictionary(key, value) => {
            matches!(**key, DataType::UInt8 | DataType::UInt16 | DataType::UInt32) && matches!(**value, DataType::Utf8)
        }
        DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::FixedSizeBinary(_)
        | DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Timestamp(..)
        | DataType::Date32
        | DataType::Time64(TimeUnit::Microsecond)
        | DataType::Interval(IntervalUnit::MonthDayNano) => true,
        _ => false,
    }
}

/// A parameter as the driver takes it.
pub(crate) fn bound(cell: &Cell) -> duckdb::types::Value {
    use duckdb::types::{TimeUnit, Value};
    match cell {
        Cell::Null => Value::Null,
        Cell::Bool(it) => Value::Boolean(*it),
        Cell::Int(it) => Value::BigInt(*it),
        Cell::Big(it) => Value::UBigInt(*it),
        Cell::Float(it) => Value::Double(*it),
        Cell::Time(it) => Value::Timestamp(TimeUnit::Microsecond, *it),
        Cell::Text(it) => Value::Text(it.clone()),
        Cell::Bytes(it) => Value::Blob(it.clone()),
        Cell::List(items) => Value::List(items.iter().map(bound).collect()),
    }
}
