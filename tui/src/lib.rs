//! The terminal interface: update, view models and rendering, all of it pure.

pub mod collecting;
pub mod dash;
pub mod gantt;
pub mod safe;
pub mod text;
