//! A usage file for Infracost, from measured numbers: a month of each machine.

use analyzer::model::WorkflowType;

use crate::cli::bill::{Prices, paid};
use crate::cli::{Context, Range, cost};
use crate::failure::Failure;

pub(super) fn export(context: &Context, range: &Range) -> Result<String, Failure> {
    let reader = context.reader()?;
    let (since, until) = context.range(range)?;
    let prices = Prices::new(context)?;
    let all = paid(&reader, &prices, since, until)?;
    let mut text =
        "# Measured by stepscope. Name the resources as your Terraform code does.\nversion: 0.1\nresource_usage:\n"
            .to_owned();
    for (it, basis) in all.iter().zip(cost::bases(&reader, &all, (since, until))?) {
        let basis = match basis {
            Ok(basis) => basis,
            Err(why) => {
                text += &format!("  # {}: no month is projected: {why}\n", resource_name(&it.machine.name));
                continue;
            }
        };
        let monthly = |count: u64| basis.month_of_count(count);
        text += &format!("  aws_sfn_state_machine.{}:\n", resource_name(&it.machine.name));
        match it.machine.workflow_type {
            WorkflowType::Standard => text += &format!("    monthly_transitions: {}\n", monthly(it.transitions)),
            WorkflowType::Express => {
                let memory = it.memory_mb.unwrap_or(64);
                let mean_ms = it.usage.memory_time.0 / u128::from(memory * it.usage.requests.max(1));
                text += &format!("    monthly_requests: {}\n", monthly(it.machine.executions));
                text += &format!("    workflow_duration_ms: {mean_ms}\n    memory_mb: {memory}\n");
            }
        }
    }
    Ok(text)
}

/// A machine's name as a Terraform resource name.
fn resource_name(name: &str) -> String {
    let letters: String =
        name.chars().map(|it| if it.is_ascii_alphanumeric() || it == '-' { it } else { '_' }).collect();
    if letters.starts_with(|it: char| it.is_ascii_digit()) { format!("_{letters}") } else { letters }
}
