//! What has the collector to be allowed? Exactly the actions that the configured sources call, each on what it is called on.

use serde_json::{Value, json};

use super::Sources;

/// What the policy is for; `*` stands for any.
#[derive(Clone, Debug)]
pub struct PolicyScope {
    pub account: String,
    pub region: String,
    /// Names of machines, which may end in `*`; none for all.
    pub machines: Vec<String>,
    /// Names of log groups, which may end in `*`; none for all.
    pub log_groups: Vec<String>,
    /// Keys that encrypt the machines' data.
    pub kms_keys: Vec<String>,
    pub sources: Sources,
    pub live_tail: bool,
}

/// The least-privilege policy, all of it read-only.
pub fn policy(scope: &PolicyScope) -> Value {
    let names: Vec<&str> =
        if scope.machines.is_empty() { vec!["*"] } else { scope.machines.iter().map(String::as_str).collect() };
    let states = |kinds: &[(&str, &str)]| -> Vec<String> {
        let of_name = |name: &&str| -> Vec<String> {
            let arn = |(kind, tail): &(&str, &str)| {
                format!("arn:aws:states:{}:{}:{kind}:{name}{tail}", scope.region, scope.account)
            };
            kinds.iter().map(arn).collect()
        };
        names.iter().flat_map(of_name).collect()
    };
    let allow = |sid: &str, actions: &[&str], resources: Value| json!({"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources});
    let machine: Vec<String> = if scope.machines.is_empty() {
        states(&[("stateMachine", "")])
    } else {
        states(&[("stateMachine", ""), ("stateMachine", ":*")])
    };
    let mut statements = vec![
        // Listing has no resource to name.
        allow("FindMachines", &["states:ListStateMachines"], "*".into()),
        allow(
            "ReadMachines",
            &[
                "states:DescribeStateMachine",
                "states:DescribeStateMachineAlias",
                "states:ListStateMachineAliases",
                "states:ListStateMachineVersions",
                "states:ListTagsForResource",
            ],
            json!(machine),
        ),
    ];
    if scope.sources.history {
        // Children of Map Runs belong to `NAME/LABEL`.
        let executions = if scope.machines.is_empty() {
            states(&[("execution", ":*")])
        } else {
            states(&[("execution", ":*"), ("execution", "/*:*")])
        };
        statements.push(allow(
            "ReadExecutions",
            &["states:DescribeStateMachineForExecution", "states:GetExecutionHistory", "states:ListMapRuns"],
            json!(executions),
        ));
        let listed = if scope.machines.is_empty() {
            states(&[("stateMachine", ""), ("mapRun", ":*")])
        } else {
            states(&[("stateMachine", ""), ("mapRun", "/*:*")])
        };
        statements.push(allow("ListExecutions", &["states:ListExecutions"], json!(listed)));
        let runs: Vec<&String> = listed.iter().filter(|it| it.contains(":mapRun:")).collect();
        statements.push(allow("ReadMapRuns", &["states:DescribeMapRun"], json!(runs)));
    }
    if scope.sources.logs || scope.sources.lambda_logs {
        statements.push(allow("FindLogGroups", &["logs:DescribeLogGroups"], "*".into()));
        let mut actions = vec!["logs:FilterLogEvents"];
        actions.extend(scope.live_tail.then_some("logs:StartLiveTail"));
        statements.push(allow("ReadLogGroups", &actions, json!(log_groups(scope))));
    }
    if scope.sources.xray {
        // X-Ray has no resource to name for reading.
        let actions = [
            "xray:BatchGetTraces",
            "xray:GetTraceSegmentDestination",
            "xray:GetTraceSummaries",
            "xray:ListRetrievedTraces",
            "xray:StartTraceRetrieval",
        ];
        statements.push(allow("ReadTraces", &actions, "*".into()));
    }
    if scope.sources.metrics {
        statements.push(allow("ReadMetrics", &["cloudwatch:GetMetricData"], "*".into()));
    }
    if !scope.kms_keys.is_empty() {
        let arn: Vec<String> = states(&[("stateMachine", "")]);
        statements.push(json!({
            "Sid": "DecryptHistories", "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": scope.kms_keys,
            "Condition": {"StringLike": {
                "kms:ViaService": format!("states.{}.amazonaws.com", scope.region),
                "kms:EncryptionContext:aws:states:stateMachineArn": arn,
            }},
        }));
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// A group is named with and without the tail that stands for its streams: actions differ in which they ask for.
fn log_groups(scope: &PolicyScope) -> Vec<String> {
    let mut names: Vec<String> = scope.log_groups.clone();
    if names.is_empty() && scope.sources.logs {
        names.push("*".to_owned());
    } else if scope.sources.lambda_logs {
        names.push("/aws/lambda/*".to_owned());
    }
    let arns = |name: String| {
        let arn = format!("arn:aws:logs:{}:{}:log-group:{name}", scope.region, scope.account);
        if name == "*" { vec![arn] } else { vec![format!("{arn}:*"), arn] }
    };
    names.into_iter().flat_map(arns).collect()
}
