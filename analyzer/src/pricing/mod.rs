//! What does an execution cost, as Standard and as Express?
//!
//! Quantities are integers, rates are exact decimals from a dated price book, and amounts are rounded once, where they
//! are printed. A price belongs to a transition: which ones an account's free tier covers depends on the order of time alone
//! (`first.rs`), and so do the tiers of Express (`tiers.rs`); any part of a bill is the sum over its transitions.

mod bill;
mod book;
mod first;
mod tiers;

#[cfg(test)]
mod tests;

pub use bill::{
    ExpressBill, ExpressUsage, StandardBill, billed_memory_mb, billed_ms, log_ingestion, rounded_to_add_up, shared_out,
};
pub use book::{
    BookError, Discounts, ExpressRates, LambdaRates, LogRates, PriceBook, PriceBooks, StandardRate, XrayRates,
};
pub use first::{First, Place};
pub use tiers::{Borders, beyond_tier, gb_seconds};
