//! Which account and region does a command speak to?

use clap::Args;
use collector::live::{LiveTarget, profile_files, profiles};
use tui::text;

use super::Context;
use crate::config::TargetConfig;
use crate::failure::Failure;

#[derive(Args)]
pub(crate) struct AwsArguments {
    /// A profile of the AWS configuration; `collect` takes several.
    #[arg(long)]
    profile: Vec<String>,
    /// The region; that of the profile or the environment when not given; `collect` takes several.
    #[arg(long)]
    region: Vec<String>,
    /// A role to assume; `collect` takes several. Several with commas between are a chain.
    #[arg(long, value_name = "ARN")]
    role_arn: Vec<String>,
    /// The external id that the roles ask for.
    #[arg(long, value_name = "ID")]
    external_id: Option<String>,
    /// Another endpoint than AWS's, such as an emulator's.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
}

impl AwsArguments {
    /// The first account and region.
    pub(crate) fn target(&self, context: &Context) -> LiveTarget {
        self.targets(context, &[]).into_iter().next().unwrap_or_default()
    }

    /// Whether anything was said.
    pub(crate) fn is_given(&self) -> bool {
        !(self.profile.is_empty() && self.region.is_empty() && self.role_arn.is_empty() && self.endpoint_url.is_none())
    }

    /// Refuses a profile that is not in the files of the AWS configuration.
    pub(crate) fn check_profiles(&self) -> Result<(), Failure> {
        let known = profiles();
        let Some(unknown) = self.profile.iter().find(|it| !known.contains(*it)) else { return Ok(()) };
        let files: Vec<String> = profile_files().iter().map(|it| format!("`{}`", it.display())).collect();
        let failure = Failure::usage(format!("unknown profile `{}`", text::plain(unknown)))
            .because(format!("it is not in {}", files.join(" or ")));
        Err(if known.is_empty() {
            failure.hint(format!("create it: `aws configure sso --profile {}`", text::quoted(unknown)))
        } else {
            let known: Vec<String> = known.iter().map(|it| format!("`{}`", text::plain(it))).collect();
            failure.hint(format!("these profiles exist: {}", known.join(", ")))
        })
    }

    /// Every account and region: each profile with each role in each region; where nothing is said, those of the configuration.
    pub(crate) fn targets(&self, context: &Context, machines: &[String]) -> Vec<LiveTarget> {
        let mut targets = if self.is_given() || context.config.targets.is_empty() {
            self.given().iter().flat_map(TargetConfig::targets).collect::<Vec<_>>()
        } else {
            context.config.targets.iter().flat_map(TargetConfig::targets).collect()
        };
        if !machines.is_empty() {
            for it in &mut targets {
                it.machines = machines.to_vec();
            }
        }
        targets
    }

    fn given(&self) -> Vec<TargetConfig> {
        let each = |given: &[String]| -> Vec<Option<String>> {
            if given.is_empty() { vec![None] } else { given.iter().cloned().map(Some).collect() }
        };
        let mut targets = Vec::new();
        for profile in each(&self.profile) {
            targets.extend(each(&self.role_arn).into_iter().map(|role| TargetConfig {
                profile: profile.clone(),
                regions: self.region.clone(),
                roles: role.iter().flat_map(|it| it.split(',')).map(str::to_owned).collect(),
                external_id: self.external_id.clone(),
                endpoint_url: self.endpoint_url.clone(),
                machines: Vec::new(),
            }));
        }
        targets
    }
}
