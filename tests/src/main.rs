//! End-to-end tests, in one binary: DuckDB is linked once.

#[cfg(test)]
mod synthetic;
