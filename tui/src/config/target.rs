//! An account, or many, as the configuration names them.

use collector::live::LiveTarget;
use serde::{Deserialize, Serialize};

/// One entry of `[[targets]]`: a way to an account, and the regions that are read through it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TargetConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) profile: Option<String>,
    /// The region of the profile or the environment where none is given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) regions: Vec<String>,
    /// Roles to assume, each with the credentials of the one before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) roles: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) external_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint_url: Option<String>,
    /// Parts of machine names or ARNs; none for all machines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) machines: Vec<String>,
}

impl TargetConfig {
    /// One target for each region.
    pub(crate) fn targets(&self) -> Vec<LiveTarget> {
        let regions: Vec<Option<String>> =
            if self.regions.is_empty() { vec![None] } else { self.regions.iter().cloned().map(Some).collect() };
        let target = |region| LiveTarget {
            profile: self.profile.clone(),
            region,
            role_chain: self.roles.clone(),
            external_id: self.external_id.clone(),
            endpoint_url: self.endpoint_url.clone(),
            machines: self.machines.clone(),
            only: None,
        };
        regions.into_iter().map(target).collect()
    }
}
