//! The Amazon States Language: one model for JSON, JSON5 and YAML, JSONPath and JSONata.
//!
//! It serves the timeline, the cost engine, the graph and the advisor. Fields that we do not model stay in
//! [`State::fields`], so nothing of a definition is lost.

mod check;
mod diff;
mod graph;
mod intrinsics;
mod model;
mod parse;
mod places;
mod templates;
mod yaml;

pub use check::{Problem, express_problems, problems};

pub use diff::{Change, ChangeKind, changes};
pub use graph::Graph;
pub use model::{Catcher, ProcessorMode, Retrier, SERVICE_LIMIT, State, StateMachine};
pub use parse::{ParseError, is_definition, text_to_value};
pub use places::{Place, Places};
pub use templates::{Content, Deployment, Found, definitions_in};
pub use yaml::duplicate_key;
