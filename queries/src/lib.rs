//! The DuckDB store: schema, migrations and every statement.
//!
//! One process writes ([`Store`]); any number read ([`Reader`]), also while it writes: the writer answers them over a
//! local socket, because DuckDB lets a file be open for writing in one process only.

mod advised;
mod batch;
mod beside;
mod billing;
mod catalogue;
mod cell;
mod children;
mod collected;
mod digests;
mod doubles;
mod error;
mod evidence;
mod executions;
mod forget;
mod history;
mod ingest;
mod lake;
mod machines;
mod marks;
mod membership;
mod names;
mod packed;
mod packed_attempts;
mod packed_path;
mod packed_sums;
mod parquet;
mod reader;
mod rollup;
mod rows;
mod server;
mod spark;
mod spending;
mod states;
mod store;
mod unpacked;
mod varint;
mod versions;
mod writer;

pub use billing::{BilledUsage, billed_usage};
pub use catalogue::{Catalogue, CollectorId, Held, Role};
pub use cell::{Cell, Table};
pub use children::OpenedRow;
pub use collected::{CoverageRow, KnownExecution, SubjectSpans};
pub use digests::DigestRow;
pub use error::StoreError;
pub use executions::{ExecutionFilter, ExecutionRow};
pub use history::StoredExecution;
pub use ingest::{ImportStats, Ingest, QuarantineRow};
pub use lake::{Lake, LakeStatus, LakeTable};
pub use machines::{Activity, BilledRun, MachineRow, MonthTransitions, SpanRow, StateTransitions};
pub use marks::Deployment;
pub use membership::Membership;
pub use parquet::export_parquet;
pub use reader::{Interrupter, Reader};
pub use rollup::{Hours, StateHistogram};
pub use spark::SparkOptions;
pub use spending::{Calibration, MachineMeasures, Observing, RetriedError, Usage};
pub use states::{PathRow, Runs, StateRow};
pub use store::Store;
pub use versions::{DeployedDefinition, VersionRow};
