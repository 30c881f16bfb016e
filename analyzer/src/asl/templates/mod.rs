//! Which definitions does a file hold? A definition itself, or a template that deploys some: CloudFormation, SAM, what the
//! CDK writes, the Serverless Framework, Terraform.

mod terraform;
mod tree;

#[cfg(test)]
mod tests;

use serde_json::Value;

use super::places::{Place, Places};
use super::{ParseError, text_to_value};
use crate::model::WorkflowType;

/// A definition in a file.
#[derive(Clone, Debug)]
pub struct Found {
    /// The machine as the template calls it; `None` for a definition that is the whole file.
    pub name: Option<String>,
    pub content: Content,
    pub deployment: Deployment,
    origin: Origin,
}

/// What a template says of a definition.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Here(Result<Value, ParseError>),
    /// In a file of its own, seen from the template.
    File(String),
    /// Made at deployment.
    Unknown,
}

/// How a machine is set up. What nobody says is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deployment {
    pub workflow_type: Option<WorkflowType>,
    /// `OFF`, `ERROR`, `FATAL` or `ALL`.
    pub log_level: Option<String>,
    pub logs_execution_data: Option<bool>,
    pub log_group: Option<String>,
    pub is_traced: Option<bool>,
    /// Whether a key of the customer's own encrypts it.
    pub has_own_key: Option<bool>,
    pub role: Option<String>,
}

/// Where the parts of a definition stand in the file.
#[derive(Clone, Debug)]
enum Origin {
    /// Part of the file's own tree, below a path.
    Tree { places: std::rc::Rc<Places>, path: String },
    /// A text inside the file, whose first line and column are known.
    Text { places: Places, start: Place },
    /// Somewhere behind one place.
    Behind(Place),
}

impl Found {
    /// The place in the file at which its text cannot be read.
    pub fn place_of(&self, error: &ParseError) -> Place {
        match (&self.origin, error.place) {
            (Origin::Text { start, .. }, Some(at)) => below(*start, at),
            _ => self.place(""),
        }
    }

    /// The place in the file of a path inside the definition.
    pub fn place(&self, path: &str) -> Place {
        match &self.origin {
            Origin::Tree { places, path: around } => places.of(&format!("{around}{path}")),
            Origin::Text { places, start } => below(*start, places.of(path)),
            Origin::Behind(place) => *place,
        }
    }
}

/// A place in a text that begins at another one; its lines are all indented alike.
fn below(start: Place, inner: Place) -> Place {
    Place { line: start.line + inner.line - 1, column: start.column + inner.column - 1 }
}

/// The definitions in a file; an error where it cannot be read at all.
pub fn definitions_in(name: &str, text: &str) -> Result<Vec<Found>, ParseError> {
    let extension = name.rsplit('.').next().unwrap_or_default();
    if extension.eq_ignore_ascii_case("tf") || extension.eq_ignore_ascii_case("hcl") {
        return terraform::definitions(text);
    }
    if terraform::has_directives(text) && text_to_value(text).is_err() {
        let origin = Origin::Behind(Place::START);
        return Ok(vec![Found { name: None, content: Content::Unknown, deployment: Deployment::default(), origin }]);
    }
    let mut found = tree::definitions(&text_to_value(text)?, text);
    if let Some(place) = second_document(text) {
        let origin = Origin::Behind(place);
        found.push(Found { name: None, content: Content::Unknown, deployment: Deployment::default(), origin });
    }
    Ok(found)
}

/// Where a second document of a YAML text begins, of which only the first is read.
fn second_document(text: &str) -> Option<Place> {
    let mut lines = text.lines().enumerate().filter(|it| !it.1.trim().is_empty() && !it.1.starts_with('#'));
    lines.next()?;
    let (line, _) = lines.find(|it| it.1.trim_end() == "---" && text.contains("StartAt"))?;
    Some(Place { line: line + 1, column: 1 })
}

/// Reads a text that stands inside a file as a definition.
fn inside(name: &str, text: &str, deployment: Deployment, start: Option<Place>, key: Place) -> Found {
    let origin = match start {
        Some(start) => Origin::Text { places: Places::of_text(text), start },
        None => Origin::Behind(key),
    };
    // With what deployment fills in it may well be one.
    let content = match text_to_value(text) {
        Err(_) if text.contains("${") => Content::Unknown,
        value => Content::Here(value),
    };
    Found { name: Some(name.to_owned()), content, deployment, origin }
}

fn workflow_type(text: Option<&str>) -> WorkflowType {
    if text.is_some_and(|it| it.eq_ignore_ascii_case("EXPRESS")) {
        WorkflowType::Express
    } else {
        WorkflowType::Standard
    }
}
