//! From AWS: machines with their definitions and settings, executions, histories, logs, traces, metrics.
//!
//! ```text
//!   run ── walk (one account and region) ── machines │ executions ─ history ─ Map Runs │ logs, Live Tail │ traces │ metrics
//!                └── call (tries, troubles) ── budget (one bucket per API) ── quotas (data)
//! ```
//!
//! Nothing is lost: a span of time is marked as read only when all of it was sent, and the mark is stored together with what
//! was sent before it. Nothing comes twice: events have ids, and the store merges what it is told again. A denied call never
//! ends the run: the report says which permission is missing and what is lost without it.

mod budget;
mod call;
mod call_prices;
mod clock;
mod connection;
mod executions;
mod from_aws;
mod health;
mod history;
mod live_tail;
mod logs;
mod machines;
mod metrics;
mod objects;
mod options;
mod outbox;
mod plan;
mod policy;
mod price_list;
mod probe;
mod profiles;
mod progress;
mod quotas;
mod report;
mod run;
mod traces;
mod walk;

pub use health::{Failing, Health, Obstacle};
pub use objects::ObjectsReport;
pub use options::{Known, LiveOptions, LiveTarget, RunningExecution, Sources};
pub use policy::{PolicyScope, policy};
pub use price_list::price_list;
pub use probe::{Check, probe};
pub use profiles::{profile_files, profiles};
pub use progress::Stored;
pub use quotas::{Quota, Quotas};
pub use report::{Ahead, ClockDifference, CollectError, Denied, GapKind, LiveReport, Planned, TargetGap, TargetReport};
pub use run::{FoundMachine, collect, discover, follow, plan};
