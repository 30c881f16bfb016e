//! Rules that are watched, and where what they find is sent.

use serde::{Deserialize, Serialize};

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AlertConfig {
    pub(crate) name: String,
    /// What is measured: see `docs/alerts.md`.
    pub(crate) rule: String,
    /// A machine's name or ARN; every machine without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) machine: Option<String>,
    /// It fires above this,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) above: Option<f64>,
    /// or below this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) below: Option<f64>,
    /// How far back is looked, such as `1h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) window: Option<String>,
    /// How long it has to be so before it fires, such as `10m`.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub(crate) hold: Option<String>,
    /// How far it has to be back, as a part of the threshold, before it is over: 0.1 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hysteresis: Option<f64>,
    /// An objective, such as 0.995 of the executions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) objective: Option<f64>,
    /// Executions that take longer than this miss a latency objective.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency_ms: Option<f64>,
    /// Nothing is sent until this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) silenced_until: Option<String>,
    /// Names of deliveries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) to: Vec<String>,
}

/// Where something is sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DeliveryConfig {
    pub(crate) name: String,
    /// `folder`, `s3`, `webhook`, `slack` or `mail`.
    pub(crate) kind: String,
    /// The folder, or `s3://bucket/prefix`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    /// The environment variable that holds the address,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url_env: Option<String>,
    /// a command that prints it,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url_command: Option<String>,
    /// or the address itself, in clear. Of mail it is the server: `smtps://user:word@host`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// Of S3: the region, the profile, and where it is, unless with AWS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) profile: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint_url: Option<String>,
    /// Who mail is from,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<String>,
    /// and who it goes to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) recipients: Vec<String>,
    /// How long all that goes there in one run may take, such as `20s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout: Option<String>,
}
