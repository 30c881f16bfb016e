//! Which machine or execution does the user mean?

use analyzer::model::Name;
use queries::{ExecutionFilter, ExecutionRow, Reader};

use crate::failure::Failure;

/// How many candidates an ambiguous name lists.
const CANDIDATES: usize = 10;

/// A state machine's ARN from its ARN, its name, or a unique part of it.
pub(crate) fn machine(reader: &Reader, wanted: &str) -> Result<Name, Failure> {
    let machines = reader.machines(None, None)?;
    let mut arns: Vec<&str> =
        machines.iter().filter(|it| it.arn == wanted || it.name == wanted).map(|it| it.arn.as_str()).collect();
    if arns.is_empty() {
        arns = machines.iter().filter(|it| it.arn.contains(wanted)).map(|it| it.arn.as_str()).collect();
    }
    if arns.is_empty() {
        // One that is described has a definition to be looked at, though nothing ran.
        let described = reader.machines_without_runs()?;
        let is_it = |it: &&str| *it == wanted || it.rsplit(':').next() == Some(wanted);
        let found: Vec<&str> = described.iter().map(String::as_str).filter(is_it).collect();
        if !found.is_empty() {
            return only("state machine", wanted, &found).map(Name::from);
        }
    }
    only("state machine", wanted, &arns).map(Name::from)
}

/// Like [`machine`], for an argument that may be missing.
pub(crate) fn optional_machine(reader: &Reader, wanted: Option<&str>) -> Result<Option<Name>, Failure> {
    wanted.map(|it| machine(reader, it)).transpose()
}

/// An execution from its ARN, its name, or a unique part of its ARN.
pub(crate) fn execution(reader: &Reader, wanted: &str) -> Result<ExecutionRow, Failure> {
    let filter = ExecutionFilter { matching: Some(wanted.to_owned()), ..ExecutionFilter::default() };
    let mut found = reader.executions(&filter)?;
    if found.iter().any(|it| it.arn == wanted) {
        found.retain(|it| it.arn == wanted);
    } else if found.iter().any(|it| it.name == wanted) {
        found.retain(|it| it.name == wanted);
    }
    let arns: Vec<&str> = found.iter().map(|it| it.arn.as_str()).collect();
    only("execution", wanted, &arns)?;
    found.pop().ok_or_else(|| Failure::usage(format!("there is no execution `{wanted}`")))
}

fn only<'a>(what: &str, wanted: &str, arns: &[&'a str]) -> Result<&'a str, Failure> {
    match arns {
        [] => Err(Failure::usage(format!("there is no {what} `{wanted}`"))
            .hint(format!("`stepscope executions` lists what is stored; give the {what}'s ARN, name or a part of it"))),
        [arn] => Ok(arn),
        many => {
            let shown =
                many.iter().take(CANDIDATES).map(|it| format!("\n{}", tui::safe::plain(it))).collect::<String>();
            let more = if many.len() > CANDIDATES {
                format!("\n… and {} more", many.len() - CANDIDATES)
            } else {
                String::new()
            };
            Err(Failure::usage(format!("`{wanted}` fits {} {what}s", many.len()))
                .hint(format!("say which one:{shown}{more}")))
        }
    }
}
