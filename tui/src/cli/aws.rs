//! Which account and region does a command speak to?

use clap::Args;
use collector::live::LiveOptions;

#[derive(Args)]
pub(crate) struct AwsArguments {
    /// A profile of the AWS configuration.
    #[arg(long)]
    profile: Option<String>,
    /// The region; that of the profile or the environment when not given.
    #[arg(long)]
    region: Option<String>,
    /// A role to assume.
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,
    /// Another endpoint than AWS's, such as an emulator's.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
}

impl AwsArguments {
    /// Options that name the account and region, and nothing else.
    pub(crate) fn options(&self) -> LiveOptions {
        LiveOptions {
            profile: self.profile.clone(),
            region: self.region.clone(),
            role_arn: self.role_arn.clone(),
            endpoint_url: self.endpoint_url.clone(),
            ..LiveOptions::default()
        }
    }
}
