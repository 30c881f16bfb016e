//! `audit`: all machines of the account against the best practices, ranked by money and risk.

mod practices;
mod report;

use std::collections::BTreeMap;

use analyzer::asl::Deployment;
use analyzer::lint::{Finding, Runs, Severity};
use analyzer::model::{Name, Usd};
use clap::Args;
use queries::Reader;
use tui::text;

use super::Context;
use super::bill::Prices;
use super::cost::outlook::{Outlook, outlooks};
use super::lint::stored::advise;
use crate::Outcome;
use crate::failure::{EXIT_THRESHOLD, Failure};
use practices::Practices;

#[derive(Args)]
pub(crate) struct AuditArguments {
    /// End with 3 when something of this severity or worse is found: error, warning or info.
    #[arg(long, value_name = "SEVERITY")]
    fail_on: Option<String>,
    /// Show only so many findings.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

/// A machine that was looked at.
struct Audited {
    arn: String,
    name: String,
    runs: Runs,
    deployment: Deployment,
    has_definition: bool,
    practices: Practices,
}

/// A rule that applies to a machine, with all states in which it does.
struct Ranked {
    machine: String,
    arn: String,
    states: Vec<Name>,
    /// The first finding; the others differ in their states.
    finding: Finding,
    evidence: Vec<String>,
    /// What it cost in the time that was measured.
    usd: Option<Usd>,
    usd_per_month: Option<Usd>,
}

pub(crate) fn run(context: &Context, arguments: &AuditArguments) -> Outcome {
    let threshold = arguments.fail_on.as_deref().map(super::lint::parse_severity).transpose()?;
    let reader = context.reader()?;
    let (machines, ranked) = audited(&reader, &Prices::new(context)?)?;
    report::report(&machines, &ranked, arguments.limit).print(context.output)?;
    let is_crossed = threshold.is_some_and(|it| ranked.iter().any(|found| found.finding.severity >= it));
    Ok(if is_crossed { EXIT_THRESHOLD } else { 0 })
}

/// All machines, and what is to be said of them: first what AWS would refuse, then by money, then by risk.
fn audited(reader: &Reader, prices: &Prices) -> Result<(Vec<Audited>, Vec<Ranked>), Failure> {
    let mut machines = Vec::new();
    let mut ranked: Vec<Ranked> = Vec::new();
    let all = outlooks(reader, prices)?;
    let mut roles: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let ran = all.iter().map(|it| (it.cost.machine.arn.clone(), Some(it)));
    let described = reader.machines_without_runs()?.into_iter().map(|arn| (arn, None));
    for (arn, outlook) in ran.chain(described) {
        let mut advised = advise(reader, prices, &arn)?;
        advised.findings.extend(outlook.map(by_money).unwrap_or_default());
        if let Some(role) = &advised.deployment.role {
            roles.entry(role.clone()).or_default().push(arn.clone());
        }
        ranked.extend(grouped(&arn, outlook, advised.findings));
        machines.push(Audited {
            name: short(&arn).to_owned(),
            arn,
            runs: advised.runs,
            deployment: advised.deployment,
            has_definition: advised.text.is_some(),
            practices: Practices::default(),
        });
    }
    ranked.extend(shared_roles(&roles));
    for it in &mut machines {
        it.practices = Practices::of(it, ranked.iter().filter(|found| found.arn == it.arn));
    }
    ranked.sort_by(|a, b| {
        rank(b).cmp(&rank(a)).then_with(|| a.arn.cmp(&b.arn)).then_with(|| a.finding.rule.cmp(b.finding.rule))
    });
    Ok((machines, ranked))
}

/// Errors first, then money, then warnings before infos, then where there are more places.
fn rank(it: &Ranked) -> (bool, i128, Severity, bool, usize) {
    let money = it.usd_per_month.unwrap_or(Usd::ZERO).round_to_pico();
    (it.finding.severity == Severity::Error, money, it.finding.severity, !it.evidence.is_empty(), it.states.len())
}

/// What the bill says: another type, or functions that only call a service.
fn by_money(outlook: &Outlook) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(saving) = &outlook.saving {
        let rule = if saving.is_whole { "express_candidate" } else { "parts_express" };
        let is_standard = outlook.cost.machine.workflow_type == analyzer::model::WorkflowType::Standard;
        let rule = if is_standard { rule } else { "standard_candidate" };
        let mut finding = Finding::new(rule, String::new(), format!("it would cost less: {}", saving.how));
        finding.evidence = Some(format!("{} executions measured", outlook.cost.machine.executions));
        found.push(finding);
    }
    for (state, service, usd) in &outlook.glue {
        let message = format!("the function of `{state}` does nothing but call {service}, as its traces say");
        let mut finding = Finding::new("lambda_native", format!("/States/{state}/Resource"), message);
        (finding.state, finding.cost) = (Some(state.clone()), *usd);
        found.push(finding);
    }
    found
}

/// A machine's findings, those of one rule together.
fn grouped(arn: &str, outlook: Option<&Outlook>, findings: Vec<Finding>) -> Vec<Ranked> {
    let mut by_rule: BTreeMap<&'static str, Vec<Finding>> = BTreeMap::new();
    for it in findings {
        by_rule.entry(it.rule).or_default().push(it);
    }
    let ranked = |(rule, all): (&'static str, Vec<Finding>)| {
        let usd = all.iter().filter_map(|it| it.cost).reduce(|a, b| a + b);
        let is_saving = rule.ends_with("_candidate") || rule == "parts_express";
        let saving = outlook.and_then(|it| it.saving.as_ref()).filter(|_| is_saving);
        let mut states: Vec<Name> = all.iter().filter_map(|it| it.state.clone()).collect();
        states.sort();
        states.dedup();
        let said = |it: &Finding| {
            let evidence = it.evidence.clone()?;
            let state = it.state.as_ref().filter(|_| states.len() > 1);
            Some(state.map_or(evidence.clone(), |state| format!("`{state}`: {evidence}")))
        };
        let evidence = all.iter().filter_map(said).collect();
        let first = all.into_iter().next()?;
        Some(Ranked {
            machine: short(arn).to_owned(),
            arn: arn.to_owned(),
            states,
            finding: first,
            evidence,
            usd,
            // Less than a cent a month heads no list.
            usd_per_month: saving
                .map(|it| it.usd_per_month)
                .or_else(|| outlook?.monthly(usd?))
                .filter(|it| *it >= text::CENT),
        })
    };
    by_rule.into_iter().filter_map(ranked).collect()
}

/// Machines that have a role in common.
fn shared_roles(roles: &BTreeMap<String, Vec<String>>) -> Vec<Ranked> {
    let shared = roles.iter().filter(|it| it.1.len() > 1);
    shared
        .flat_map(|(role, arns)| {
            let role_name = role.rsplit('/').next().unwrap_or(role);
            arns.iter().map(move |arn| Ranked {
                machine: short(arn).to_owned(),
                arn: arn.clone(),
                states: Vec::new(),
                finding: Finding::new(
                    "role_shared",
                    String::new(),
                    format!("its role `{role_name}` is that of {} machines", arns.len()),
                ),
                evidence: Vec::new(),
                usd: None,
                usd_per_month: None,
            })
        })
        .collect()
}

fn short(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}
