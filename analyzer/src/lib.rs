//! The domain of stepscope and everything computed from it: no I/O, no clock, no threads.
//!
//! `model` holds the nouns. Every other module answers one question about them.

pub mod asl;
pub mod assembly;
pub mod billed;
pub mod change_point;
pub mod compare;
pub mod critical_path;
pub mod digest;
pub mod eligibility;
pub mod error_groups;
pub mod execution;
pub mod failure_rate;
pub mod gaps;
pub mod histogram;
pub mod hybrid;
pub mod lint;
pub mod model;
pub mod outcome;
pub mod patterns;
pub mod population;
pub mod pricing;
pub mod projection;
pub mod quantile;
mod random;
pub mod replay;
pub mod runs;
pub mod sequential;
pub mod slices;
pub mod spans;
pub mod statistics;
pub mod time;
pub mod timeline;
pub mod traces;
pub mod transitions;
pub mod twins;
pub mod what_if;
