//! Which account and region does a command speak to?

use clap::Args;
use collector::live::LiveOptions;

#[derive(Args)]
pub(crate) struct AwsArguments {
    /// A profile of the AWS configuration; `collect` takes several.
    #[arg(long)]
    profile: Vec<String>,
    /// The region; that of the profile or the environment when not given; `collect` takes several.
    #[arg(long)]
    region: Vec<String>,
    /// A role to assume; `collect` takes several.
    #[arg(long, value_name = "ARN")]
    role_arn: Vec<String>,
    /// Another endpoint than AWS's, such as an emulator's.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
}

impl AwsArguments {
    /// Options that name the first account and region, and nothing else.
    pub(crate) fn options(&self) -> LiveOptions {
        self.targets().into_iter().next().unwrap_or_default()
    }

    /// Options for every account and region: each profile with each role in each region.
    pub(crate) fn targets(&self) -> Vec<LiveOptions> {
        let each = |given: &[String]| -> Vec<Option<String>> {
            if given.is_empty() { vec![None] } else { given.iter().cloned().map(Some).collect() }
        };
        let mut targets = Vec::new();
        for profile in each(&self.profile) {
            for role_arn in each(&self.role_arn) {
                targets.extend(each(&self.region).into_iter().map(|region| LiveOptions {
                    profile: profile.clone(),
                    region,
                    role_arn: role_arn.clone(),
                    endpoint_url: self.endpoint_url.clone(),
                    ..LiveOptions::default()
                }));
            }
        }
        targets
    }
}
