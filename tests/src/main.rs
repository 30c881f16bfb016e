//! End-to-end tests, in one binary: DuckDB is linked once.

mod advising;
mod attribution;
mod automation;
mod command_line;
mod concurrency;
mod corpus;
mod dashboard;
mod delivering;
mod emulator;
mod exports;
mod forms;
mod incidents;
mod joined;
mod lake;
mod layering;
mod linting;
mod live;
mod money;
mod reports;
mod rollups;
mod shapes;
mod sharing;
mod stand_in;
mod stepscope;
mod synthetic;
mod terminal;
