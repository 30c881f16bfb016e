//! Advice about how a machine is set up: logs, traces, keys.

use super::{Finding, Subject};
use crate::model::WorkflowType;

pub(super) fn check(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let deployment = subject.deployment;
    let is_express = deployment.workflow_type == Some(WorkflowType::Express);
    let mut add = |rule: &'static str, message: &str| {
        found.push(Finding::new(rule, String::new(), message.to_owned()));
    };
    match deployment.log_level.as_deref() {
        Some("OFF") if is_express => {
            add("express_without_logs", "nothing of this Express machine's executions is kept");
        }
        Some("OFF") => add("logging_off", "this machine writes no logs"),
        Some("ERROR" | "FATAL") if is_express => {
            add("log_level_hides_timelines", "what this Express machine logs is not enough for a timeline");
        }
        _ => {}
    }
    if deployment
        .log_group
        .as_deref()
        .is_some_and(|it| it.contains(":log-group:") && !it.contains(":log-group:/aws/vendedlogs/"))
    {
        add("log_group_prefix", "the log group's name does not begin with `/aws/vendedlogs/`");
    }
    if deployment.is_traced == Some(false) {
        add("tracing_off", "this machine writes no X-Ray traces");
    }
    if deployment.has_own_key == Some(false) && deployment.logs_execution_data == Some(true) {
        add(
            "data_in_logs",
            "inputs and outputs are written to the logs, and no key of your own encrypts the machine's data",
        );
    }
}
