//! `policy`: what the collector has to be allowed, and nothing more.

use std::io::Write;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::Context;
use crate::Outcome;

#[derive(Args)]
pub(crate) struct PolicyArguments {
    #[arg(long, value_enum, default_value_t)]
    format: PolicyFormat,
    /// The account that the policy is for; every one when not given.
    #[arg(long, value_name = "ID", default_value = "*")]
    account: String,
    #[arg(long, value_name = "REGION", default_value = "*")]
    region: String,
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

pub(crate) fn run(_context: &Context, arguments: &PolicyArguments) -> Outcome {
    let document = document(arguments);
    let text = match arguments.format {
        PolicyFormat::Json => format!("{document:#}\n"),
        PolicyFormat::Cloudformation => {
            let template = json!({
                "AWSTemplateFormatVersion": "2010-09-09",
                "Resources": {"StepscopeCollector": {
                    "Type": "AWS::IAM::ManagedPolicy",
                    "Properties": {"Description": "Read-only access for the stepscope collector", "PolicyDocument": document},
                }},
            });
            format!("{template:#}\n")
        }
        PolicyFormat::Terraform => format!(
            "resource \"aws_iam_policy\" \"stepscope_collector\" {{\n  name        = \"stepscope-collector\"\n  description = \"Read-only access for the stepscope collector\"\n  policy      = <<-POLICY\n{document:#}\nPOLICY\n}}\n"
        ),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(0)
}

fn document(arguments: &PolicyArguments) -> Value {
    let arn = |what: &str| format!("arn:aws:states:{}:{}:{what}", arguments.region, arguments.account);
    let mut statements = vec![
        // Listing has no resource to name.
        json!({"Sid": "FindMachines", "Effect": "Allow", "Action": ["states:ListStateMachines"], "Resource": "*"}),
        json!({
            "Sid": "ReadMachines", "Effect": "Allow", "Action": ["states:DescribeStateMachine", "states:ListExecutions", "states:ListTagsForResource"],
            "Resource": arn("stateMachine:*"),
        }),
        json!({
            "Sid": "ReadExecutions", "Effect": "Allow", "Action": ["states:GetExecutionHistory"],
            "Resource": arn("execution:*:*"),
        }),
    ];
    if !arguments.kms_key.is_empty() {
        statements.push(json!({
            "Sid": "DecryptHistories", "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": arguments.kms_key,
            "Condition": {"StringLike": {"kms:ViaService": format!("states.{}.amazonaws.com", arguments.region)}},
        }));
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}
