//! Step Functions data in, domain values out.
//!
//! `live` reads from AWS; `import` reads files, folders and streams in every form that AWS tools print; `synthetic` makes up executions whose
//! truth is known. They end in batches of [`analyzer::model::Observation`]. `deliver` hands on what the product makes of them.

pub mod deliver;
pub mod import;
pub mod limits;
pub mod live;
pub mod synthetic;
