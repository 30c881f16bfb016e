//! What stands beside the causes: errors by group, slices that carry the difference, deployments in the window.

use analyzer::asl::{Change, StateMachine, changes};
use analyzer::error_groups::ErrorGroup;
use analyzer::model::{Name, Timestamp};
use analyzer::slices::{Dimension, Slice};
use queries::{DeployedDefinition, Deployment, Reader};
use serde_json::{Value, json};

use super::json::rounded;
use super::minute;
use crate::failure::Failure;

/// Differences of definitions that are told of a deployment.
const CHANGES: usize = 8;

/// What was deployed in the window, and what it changed in the definition, where both are stored.
pub(crate) struct Deployed {
    pub(crate) it: Deployment,
    pub(crate) changes: Option<Vec<Change>>,
}

/// Deployments in the window with what they changed.
pub(crate) fn deployed_in(
    reader: &Reader,
    machine: &str,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
) -> Result<Vec<Deployed>, Failure> {
    let found = deployments(reader, machine, from, to)?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let definitions = reader.deployed_definitions(machine)?;
    Ok(found.into_iter().map(|it| Deployed { changes: changes_of(&it, &definitions), it }).collect())
}

/// Against the definition of the same kind before it.
fn changes_of(it: &Deployment, definitions: &[DeployedDefinition]) -> Option<Vec<Change>> {
    let new = definitions.iter().position(|new| new.kind == it.kind && new.label == it.label)?;
    let old = definitions.get(new.checked_sub(1)?).filter(|old| old.kind == it.kind)?;
    let parsed = |it: &DeployedDefinition| StateMachine::parse(&it.text).ok();
    Some(changes(&parsed(old)?, &parsed(&definitions[new])?))
}

/// What a deployment changed, a few lines.
pub(super) fn changes_told(changes: &[Change]) -> Vec<String> {
    let more = changes.len().saturating_sub(CHANGES);
    let told = changes.iter().take(CHANGES).map(|it| format!("{} ({})", it.what, it.path));
    told.chain((more > 0).then(|| format!("and {more} more: `stepscope diff` tells all"))).collect()
}

/// Deployments from the beginning of the baseline to the end of the incident.
pub(super) fn deployments(
    reader: &Reader,
    machine: &str,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
) -> Result<Vec<Deployment>, Failure> {
    let mut all = reader.deployments(machine)?;
    all.retain(|it| from.is_none_or(|from| it.at >= from) && to.is_none_or(|to| it.at < to));
    Ok(all)
}

pub(super) fn error_to_json(it: &ErrorGroup) -> Value {
    json!({
        "state": it.state.as_deref(), "error": it.error.as_str(), "cause": it.cause,
        "baseline_executions": it.executions[0], "incident_executions": it.executions[1],
        "retried": it.retried, "caught": it.caught, "fatal": it.fatal,
        "first_seen": it.first_seen.map(analyzer::time::format), "last_seen": it.last_seen.map(analyzer::time::format),
        "examples": it.examples.iter().map(Name::as_str).collect::<Vec<_>>(),
    })
}

pub(super) fn slice_to_json(it: &Slice) -> Value {
    let of = |(dimension, value): &(Dimension, String)| json!({"dimension": dimension.as_str(), "state": dimension.state().map(Name::as_str), "value": value});
    json!({
        "of": it.of.iter().map(of).collect::<Vec<_>>(),
        "baseline_executions": it.n_baseline, "incident_executions": it.n_incident,
        "baseline_mean_ms": it.mean_baseline_ms.map(rounded), "incident_mean_ms": it.mean_incident_ms.map(rounded),
        "contribution_ms": rounded(it.contribution_ms), "contribution_share": it.share, "weight": it.weight, "q_value": it.q_value,
    })
}

pub(super) fn deployment_to_json(it: &Deployed) -> Value {
    let change = |it: &Change| json!({"path": it.path, "kind": it.kind.as_str(), "what": it.what});
    let changes = it.changes.as_ref().map(|all| all.iter().map(change).collect::<Vec<_>>());
    json!({"at": analyzer::time::format(it.it.at), "kind": it.it.kind, "label": it.it.label, "changes": changes})
}

/// A slice in words.
pub(super) fn slice_name(it: &Slice) -> String {
    let one = |(dimension, value): &(Dimension, String)| match dimension {
        Dimension::Branch(state) => format!("`{state}` leads to `{value}`"),
        Dimension::Items(state) => format!("{value} items of `{state}`"),
        Dimension::Resource(state) => format!("`{state}` calls {value}"),
        Dimension::Input => format!("input of {value}"),
        Dimension::Version | Dimension::Alias | Dimension::Status | Dimension::Error | Dimension::Hour => {
            format!("{} {value}", dimension.as_str())
        }
    };
    it.of.iter().map(one).collect::<Vec<_>>().join(" and ")
}

pub(super) fn slice_sentence(it: &Slice) -> String {
    format!(
        "{:.0} % of the difference is carried by {:.0} % of the executions: {}.",
        it.share * 100.0,
        it.weight * 100.0,
        slice_name(it)
    )
}

pub(super) fn deployment_sentence(it: &Deployment) -> String {
    format!("{} at {}", deployed(it), minute(Some(it.at)))
}

/// What was deployed.
pub(crate) fn deployed(it: &Deployment) -> String {
    let label = it.label.rsplit(':').next().unwrap_or(&it.label);
    match it.kind.as_str() {
        "version" => format!("version {label} ran first"),
        "definition" => "another definition was seen first".to_owned(),
        _ => format!("{label} was deployed"),
    }
}
