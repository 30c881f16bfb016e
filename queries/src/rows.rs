//! The rows of the tables that imports fill, as columns for DuckDB's Arrow appender.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use duckdb::arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder, UInt8Builder,
    UInt32Builder, UInt64Builder,
};
use duckdb::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use duckdb::arrow::record_batch::RecordBatch;
use duckdb::{Appender, Connection};
use rustc_hash::FxHashMap;

use crate::StoreError;

/// An instant in microseconds, as `TIMESTAMP` columns hold it.
#[derive(Clone, Copy)]
pub(crate) struct At(pub(crate) i64);

/// A type that a column can hold.
pub(crate) trait Value {
    type Builder: Default;
    fn data_type() -> DataType;
    fn push(builder: &mut Self::Builder, value: Option<Self>)
    where
        Self: Sized;
    fn finish(builder: &mut Self::Builder) -> ArrayRef;
}

macro_rules! primitive {
    ($type:ty, $builder:ty, $data_type:expr, $raw:expr) => {
        impl Value for $type {
            type Builder = $builder;

            fn data_type() -> DataType {
                $data_type
            }

            fn push(builder: &mut Self::Builder, value: Option<Self>) {
                builder.append_option(value.map($raw));
            }

            fn finish(builder: &mut Self::Builder) -> ArrayRef {
                Arc::new(builder.finish())
            }
        }
    };
}

primitive!(u8, UInt8Builder, DataType::UInt8, |it| it);
primitive!(u32, UInt32Builder, DataType::UInt32, |it| it);
primitive!(u64, UInt64Builder, DataType::UInt64, |it| it);
primitive!(i64, Int64Builder, DataType::Int64, |it| it);
primitive!(bool, BooleanBuilder, DataType::Boolean, |it| it);
primitive!(At, TimestampMicrosecondBuilder, DataType::Timestamp(TimeUnit::Microsecond, None), |it: At| it.0);
primitive!(Box<[u8]>, BinaryBuilder, DataType::Binary, |it| it);
primitive!(Box<str>, StringBuilder, DataType::Utf8, |it| it);

macro_rules! table {
    ($(#[$doc:meta])* $rows:ident, $row:ident, $table:literal { $($column:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Default)]
        pub(crate) struct $rows {
            n_rows: usize,
            $($column: <$type as Value>::Builder,)*
        }

        pub(crate) struct $row {
            $(pub(crate) $column: Option<$type>,)*
        }

        impl $rows {
            pub(crate) fn push(&mut self, row: $row) {
                self.n_rows += 1;
                $(<$type as Value>::push(&mut self.$column, row.$column);)*
            }

            /// Appends all rows to the table and forgets them.
            pub(crate) fn append_to(&mut self, appenders: &mut Appenders<'_>) -> Result<(), StoreError> {
                if self.n_rows == 0 {
                    return Ok(());
                }
                self.n_rows = 0;
                let fields = vec![$(Field::new(stringify!($column), <$type as Value>::data_type(), true),)*];
                let columns: Vec<ArrayRef> = vec![$(<$type as Value>::finish(&mut self.$column),)*];
                appenders.append($table, fields, columns)
            }
        }
    };
}

/// Rows that an appender holds before it hands them to the table, which costs a good deal each time.
const HELD_ROWS: usize = 40_000;
const HELD_BYTES: usize = 8 << 20;

/// The open appenders of a connection. They are flushed by hand: dropping one would swallow errors.
pub(crate) struct Appenders<'a> {
    connection: &'a Connection,
    open: FxHashMap<&'static str, Held<'a>>,
    /// Rows of a lake, which are appended only when they are committed.
    kept: Option<Vec<Kept>>,
}

/// Rows of one table.
#[derive(Clone)]
pub(crate) struct Kept {
    table: &'static str,
    batch: RecordBatch,
}

struct Held<'a> {
    appender: Appender<'a>,
    n_rows: usize,
    n_bytes: usize,
}

impl<'a> Appenders<'a> {
    pub(crate) fn new(connection: &'a Connection) -> Self {
        Self { connection, open: FxHashMap::default(), kept: None }
    }

    /// Appenders that keep what they are given.
    pub(crate) fn keeping(connection: &'a Connection) -> Self {
        Self { kept: Some(Vec::new()), ..Self::new(connection) }
    }

    /// What was kept so far.
    pub(crate) fn take_kept(&mut self) -> Vec<Kept> {
        self.kept.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Appends rows that were kept.
    pub(crate) fn append_kept(&mut self, kept: &Kept) -> Result<(), StoreError> {
        // In a lake these are views over rows that several writers may bring.
        let table = match kept.table {
            "name" => "name_row",
            "machine" => "machine_row",
            table => table,
        };
        self.append_batch(table, kept.batch.clone())
    }

    fn append(&mut self, table: &'static str, fields: Vec<Field>, columns: Vec<ArrayRef>) -> Result<(), StoreError> {
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
            .map_err(|error| StoreError::Corrupt(format!("rows of `{table}`: {error}")))?;
        if let Some(kept) = &mut self.kept {
            kept.push(Kept { table, batch });
            return Ok(());
        }
        self.append_batch(table, batch)
    }

    fn append_batch(&mut self, table: &'static str, batch: RecordBatch) -> Result<(), StoreError> {
        let held = match self.open.entry(table) {
            Entry::Occupied(it) => it.into_mut(),
            Entry::Vacant(it) => it.insert(Held { appender: self.connection.appender(table)?, n_rows: 0, n_bytes: 0 }),
        };
        held.n_rows += batch.num_rows();
        held.n_bytes += batch.get_array_memory_size();
        held.appender.append_record_batch(batch)?;
        if held.n_rows >= HELD_ROWS || held.n_bytes >= HELD_BYTES { held.flush() } else { Ok(()) }
    }

    /// Hands on all that is held, which a commit needs.
    pub(crate) fn flush(&mut self) -> Result<(), StoreError> {
        self.open.values_mut().filter(|it| it.n_rows > 0).try_for_each(Held::flush)
    }
}

impl Held<'_> {
    fn flush(&mut self) -> Result<(), StoreError> {
        (self.n_rows, self.n_bytes) = (0, 0);
        self.appender.flush()?;
        Ok(())
    }
}

table!(NameRows, NameLine, "name" { id: u32, text: Box<str> });

table!(MachineRows, MachineLine, "machine" { id: u32, arn: Box<str>, name: Box<str>, region: Box<str>, account: Box<str> });

table!(ExecutionRows, ExecutionLine, "execution" {
    id: u64, arn: Box<str>, arn_hash: u64, machine_id: u32, name: Box<str>, workflow_type: u8, status: u8, started_at: At,
    stopped_at: At, duration_us: i64, idle_us: i64, n_events: u32, complete: bool, gaps: Box<str>, entered: u64, retries: u64,
    redrives: u64, map_children: u64, billed_transitions: u64, error_id: u32, version_arn: Box<str>, map_run_arn: Box<str>,
    log_bytes: u64, billed_ms: u64, billed_memory_mb: u64, payload_mb: u64, fingerprint: u64,
    record: Box<str>, active_us: i64, rerun: u64, runs: u64, express_ms: u64,
});

table!(HistoryRows, HistoryLine, "history" { execution_id: u64, events: Box<[u8]>, path: Box<[u8]>, attempts: Box<[u8]>, sums: Box<[u8]> });

table!(EventDetailRows, EventDetailLine, "event_detail" { execution_id: u64, event_id: u32, error_id: u32, detail: Box<str> });

table!(PayloadRows, PayloadLine, "payload" { execution_id: u64, event_id: u32, field: u8, body: Box<str> });

table!(VisitRows, VisitLine, "visit" {
    execution_id: u64, visit_id: u32, parent_id: u32, branch: u32, iteration: u32, state_id: u32, state_type: u8, entered_at: At,
    exited_at: At, duration_us: i64, status: u8, error_id: u32, n_attempts: u32, retries: u32, work_us: i64, callback_us: i64,
    queue_us: i64, backoff_us: i64, wait_us: i64, slot_wait_us: i64, overhead_us: i64, critical_us: i64, active_us: i64,
    rerun: u32,
});

table!(ChildRows, ChildLine, "child" { execution_id: u64, event_id: u32, visit_id: u32, child_arn: Box<str> });

table!(StateRollupRows, StateRollupLine, "state_rollup" {
    machine_id: u32, hour: u32, state_id: u32, state_type: u8, visits: i64, failures: i64, retries: i64, critical_us: i64, work_us: i64,
    callback_us: i64, queue_us: i64, backoff_us: i64, wait_us: i64, slot_wait_us: i64, overhead_us: i64, redrive_idle_us: i64,
    rerun: i64,
});

table!(StateHistogramRows, StateHistogramLine, "state_histogram" {
    machine_id: u32, hour: u32, state_id: u32, bucket: u32, visits: i64,
});

table!(RunRollupRows, RunRollupLine, "run_rollup" {
    machine_id: u32, hour: u32, status: u8, executions: i64, complete: i64, path_us: i64, transitions: i64,
});

table!(RunHistogramRows, RunHistogramLine, "run_histogram" { machine_id: u32, hour: u32, bucket: u32, executions: i64 });
