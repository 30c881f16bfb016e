//! Executions whose truth is known.
//!
//! A discrete-event simulator runs a [`Plan`] and emits what AWS would emit: history events, log lines, X-Ray segments.
//! It knows what really happened (visits, time per category, the critical path, billed transitions), because it decided
//! it, and shares no code with the analyzer that is tested against it.

mod containers;
mod definition;
mod emit;
mod incident;
mod kinds;
mod plan;
mod planted;
mod random;
mod redrive;
mod simulate;
mod truth;
mod workload;
mod xray;

pub use definition::definition;
pub use emit::{history_json, log_lines, observations};
pub use incident::{Incident, IncidentKind};
pub use plan::{Attempts, Call, Delay, Plan, Step};
pub use planted::{PLANTED, Planted};
pub use random::Random;
pub use redrive::Rerun;
pub use simulate::{simulate, simulate_redriven};
pub use truth::{Simulated, TruthCall, TruthStep, TruthVisit};
pub use workload::{
    Started, Workload, all_shapes, api_enrich, demo, image_ingest, ml_inference, order_processing, twenty_states,
};
pub use xray::{ColdStart, cold_starts, xray_documents};
