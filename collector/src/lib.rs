//! Step Functions data in, domain values out.
//!
//! `live` reads from AWS. //! `import` reads files, folders and streams in every form that AWS tools print; `synthetic` makes up executions whose
//! truth is known. Both end in batches of [`analyzer::model::Observation`].

pub mod import;
pub mod live;
pub mod synthetic;
