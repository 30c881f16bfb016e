//! `policy`: what the collector has to be allowed, and nothing more.

use std::io::Write;

use clap::{Args, ValueEnum};
use collector::live::{PolicyScope, policy};
use serde_json::{Value, json};

use super::Context;
use super::collect::SourceName;
use crate::Outcome;
use crate::output;

#[derive(Args)]
pub(crate) struct PolicyArguments {
    #[arg(long, value_enum, default_value_t)]
    format: PolicyFormat,
    /// The account that the policy is for; every one when not given.
    #[arg(long, value_name = "ID", default_value = "*")]
    account: String,
    #[arg(long, value_name = "REGION", default_value = "*")]
    region: String,
    /// What is read [default: history,logs,xray,metrics].
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SOURCE")]
    source: Vec<SourceName>,
    /// Name of a machine, which may end in *; every one when not given; may be repeated.
    #[arg(long = "machine", value_name = "NAME")]
    machines: Vec<String>,
    /// Name of a log group, which may end in *, such as /aws/vendedlogs/states/*; every one when not given; may be repeated.
    #[arg(long = "log-group", value_name = "NAME")]
    log_groups: Vec<String>,
    /// Log groups are followed by Live Tail.
    #[arg(long)]
    live_tail: bool,
    /// A key that encrypts the machines' data; may be repeated.
    #[arg(long, value_name = "ARN")]
    kms_key: Vec<String>,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum PolicyFormat {
    #[default]
    Json,
    Cloudformation,
    Terraform,
}

pub(crate) fn run(context: &Context, arguments: &PolicyArguments) -> Outcome {
    let document = policy(&PolicyScope {
        account: arguments.account.clone(),
        region: arguments.region.clone(),
        machines: arguments.machines.clone(),
        log_groups: arguments.log_groups.clone(),
        kms_keys: arguments.kms_key.clone(),
        sources: SourceName::in_force(context, &arguments.source)?,
        live_tail: arguments.live_tail || context.config.live_tail.unwrap_or(false),
    });
    let text = match arguments.format {
        PolicyFormat::Json => format!("{document:#}\n"),
        PolicyFormat::Cloudformation => format!("{:#}\n", template(&document)),
        PolicyFormat::Terraform => format!(
            "resource \"aws_iam_policy\" \"stepscope_collector\" {{\n  name        = \"stepscope-collector\"\n  description = \"Read-only access for the stepscope collector\"\n  policy      = <<-POLICY\n{}\nPOLICY\n}}\n",
            // What begins like this is filled in by Terraform.
            format!("{document:#}").replace("${", "$${").replace("%{", "%%{")
        ),
    };
    output::json().write_all(text.as_bytes())?;
    Ok(0)
}

fn template(document: &Value) -> Value {
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Resources": {"StepscopeCollector": {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {"Description": "Read-only access for the stepscope collector", "PolicyDocument": document},
        }},
    })
}
