//! What does an execution cost, as Standard and as Express?
//!
//! Quantities are integers, rates are exact decimals from a dated price book, and amounts are rounded once, where they
//! are printed.

mod bill;
mod book;

pub use bill::{
    ExpressBill, ExpressUsage, StandardBill, billed_memory_mb, billed_ms, express, log_ingestion, rounded_to_add_up,
    standard,
};
pub use book::{
    BookError, Discounts, ExpressRates, LambdaRates, LogRates, PriceBook, PriceBooks, StandardRate, XrayRates,
};
