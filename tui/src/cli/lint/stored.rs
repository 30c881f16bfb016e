//! A stored definition, with what its runs say and how its machine is set up.

use analyzer::asl::{Deployment, Places, StateMachine};
use analyzer::lint::{Finding, Runs, Subject, lint};
use analyzer::model::WorkflowType;
use queries::Reader;

use super::{Checked, Placed, broken};
use crate::cli::bill::Prices;
use crate::cli::{Context, select};
use crate::failure::Failure;

/// What is known of a machine, and what is to be said about it.
pub(crate) struct Advised {
    pub(crate) runs: Runs,
    pub(crate) deployment: Deployment,
    pub(crate) findings: Vec<Finding>,
    /// The newest definition's text; `None` where none is stored.
    pub(crate) text: Option<String>,
}

/// Looks at a machine that is stored.
pub(crate) fn advise(reader: &Reader, prices: &Prices, arn: &str) -> Result<Advised, Failure> {
    let mut runs = reader.runs_of(arn)?;
    if runs.workflow_type == Some(WorkflowType::Standard) {
        runs.per_transition = prices.per_transition(arn, runs.span.map(|it| it.1));
    }
    let mut deployment = reader.settings_of(arn)?.unwrap_or_default();
    deployment.workflow_type = runs.workflow_type;
    let text = reader.definitions(arn)?.into_iter().next();
    let findings = match text.as_deref().map(StateMachine::parse) {
        Some(Ok(machine)) => lint(&Subject { machine: &machine, deployment: &deployment, runs: Some(&runs) }),
        Some(Err(error)) => vec![broken(error.to_string())],
        None => Vec::new(),
    };
    Ok(Advised { runs, deployment, findings, text })
}

pub(super) fn check(context: &Context, target: &str, checked: &mut Checked) -> Result<(), Failure> {
    let reader = context.reader().map_err(|failure| {
        failure.hint(format!("there is no file `{target}`; a machine is looked up in the database"))
    })?;
    let arn = select::machine(&reader, target)?;
    let advised = advise(&reader, &Prices::new(context)?, &arn)?;
    let text = advised.text.ok_or_else(|| {
        Failure::usage(format!("no definition of `{target}` is stored"))
            .hint("import its file or a `describe-state-machine` answer with `stepscope import`")
    })?;
    checked.files += 1;
    checked.definitions += 1;
    let places = Places::of_text(&text);
    for finding in advised.findings {
        let place = places.of(&finding.path);
        let machine = arn.rsplit(':').next().map(str::to_owned);
        checked.findings.push(Placed {
            source: arn.to_string(),
            line: place.line,
            column: place.column,
            machine,
            finding,
        });
    }
    Ok(())
}
