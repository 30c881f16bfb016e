//! A stand-in for AWS: an HTTP server that speaks the protocols of its services, has a world of its own with a clock of its
//! own, keeps AWS's limits, and misbehaves by seed.
//!
//! ```text
//!   http (connections) ── service (actions) ── world (machines, runs, events in time)
//!                              └── faults     └── template (what an execution looks like)
//! ```

mod event_stream;
mod faults;
mod http;
mod logs;
mod metrics;
mod service;
mod states;
mod template;
mod traces;
mod world;

pub(crate) use faults::Faults;
pub(crate) use http::{serve, serve_on};
pub(crate) use service::{Answer, DateHeader, Outage, Service};
pub(crate) use template::Template;
pub(crate) use world::{Machine, World, real_us};
