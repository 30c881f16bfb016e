//! What is compared with what.

use analyzer::model::{Micros, Name, Timestamp};
use queries::{Deployment, ExecutionFilter, Reader};

use super::evidence::deployment_sentence;
use super::{CompareArguments, short};
use crate::cli::{Context, incidents, select, when};
use crate::failure::Failure;

/// How long before and after `--around` is looked at.
pub(super) const AROUND: Micros = Micros(3_600_000_000);
/// How long before a deployment is looked at, unless there is another in that time.
pub(super) const BEFORE_DEPLOYMENT: Micros = Micros(86_400_000_000);

/// From when to when.
pub(crate) type Span = (Timestamp, Timestamp);

/// The executions of the two sides.
pub(super) struct Sides {
    pub(super) baseline: ExecutionFilter,
    pub(super) incident: ExecutionFilter,
    pub(super) chosen: String,
}

pub(super) fn machine(reader: &Reader, wanted: Option<&str>) -> Result<Name, Failure> {
    if let Some(wanted) = wanted {
        return select::machine(reader, wanted);
    }
    let machines = reader.machines(None, None)?;
    match machines.as_slice() {
        [only] => Ok(only.arn.as_str().into()),
        many => {
            let names = many.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(", ");
            Err(Failure::usage("say which machine to compare").hint(format!("these are stored: {names}")))
        }
    }
}

/// The two sides as the arguments choose them, or those of the newest change; `None` where nothing changed significantly.
pub(super) fn sides(
    context: &Context,
    reader: &Reader,
    machine: &Name,
    arguments: &CompareArguments,
) -> Result<Option<Sides>, Failure> {
    let filter = |(since, until): (Timestamp, Timestamp)| ExecutionFilter {
        machine_arn: Some(machine.clone()),
        since: Some(since),
        until: Some(until),
        ..ExecutionFilter::default()
    };
    let between =
        |chosen: String, baseline, incident| Sides { baseline: filter(baseline), incident: filter(incident), chosen };
    if let (Some(baseline), Some(incident)) = (&arguments.baseline, &arguments.incident) {
        return Ok(Some(between(String::new(), parse(context, baseline)?, parse(context, incident)?)));
    }
    if let Some(around) = &arguments.around {
        let at = when::instant(around, context.now()?)?;
        return Ok(Some(between(String::new(), (at - AROUND, at), (at, at + AROUND))));
    }
    if let Some(versions) = &arguments.versions {
        let (old, new) = versions.split_once(',').ok_or_else(|| {
            Failure::usage(format!("`{versions}` names no two versions")).hint("write OLD,NEW, such as 3,4")
        })?;
        let of = |version: &str| ExecutionFilter {
            machine_arn: Some(machine.clone()),
            version: Some(version.trim().to_owned()),
            ..ExecutionFilter::default()
        };
        return Ok(Some(Sides { baseline: of(old), incident: of(new), chosen: String::new() }));
    }
    if let Some(label) = &arguments.since_deploy {
        let (chosen, baseline, incident) = around_deployment(reader, machine, label)?;
        return Ok(Some(between(chosen, baseline, incident)));
    }
    let changes = incidents::found(reader, machine, None, None)?;
    let Some(it) = incidents::newest(&changes) else { return Ok(None) };
    let chosen = format!(
        "The newest change of the {} was found at {}.",
        it.metric.replace('_', " ").replace(" ms", ""),
        analyzer::time::format(it.at)
    );
    Ok(Some(between(chosen, it.baseline, it.incident)))
}

/// The newest deployment with executions on both sides, and the ranges before and after it.
pub(super) fn around_deployment(reader: &Reader, machine: &Name, label: &str) -> Result<(String, Span, Span), Failure> {
    let all = reader.deployments(machine)?;
    let own = reader.machines(None, None)?.into_iter().find(|it| it.arn == **machine);
    let (first, last) = own.and_then(|it| it.first_at.zip(it.last_at)).unwrap_or_default();
    let fits = |it: &&Deployment| label.is_empty() || it.label == label || it.label.ends_with(&format!(":{label}"));
    let chosen = all.iter().filter(fits).rfind(|it| it.at > first && it.at <= last).ok_or_else(|| {
        let hint =
            "`stepscope mark deploy --at TIME --label LABEL` notes one; versions and definitions count by themselves";
        Failure::usage(format!("no deployment of `{}` has executions before and after it", short(machine))).hint(hint)
    })?;
    let said = format!("The deployment: {}.", deployment_sentence(chosen));
    let (before, after) = around(chosen.at, &all, (first, last));
    Ok((said, before, after))
}

/// The ranges before and after a deployment: a day before it at most, and on both sides only until another one.
pub(crate) fn around(at: Timestamp, all: &[Deployment], (first, last): Span) -> (Span, Span) {
    let before = all.iter().map(|it| it.at).filter(|it| *it < at).max();
    let from = before.unwrap_or(first).max(Timestamp(at.0 - BEFORE_DEPLOYMENT.0));
    let to = all.iter().map(|it| it.at).filter(|it| *it > at).min().unwrap_or(Timestamp(last.0 + 1));
    ((from, at), (at, to))
}

/// `FROM/TO`, each as `--since` takes it.
pub(super) fn parse(context: &Context, text: &str) -> Result<(Timestamp, Timestamp), Failure> {
    let refuse = || {
        Failure::usage(format!("`{text}` is no range"))
            .hint("write FROM/TO, such as 2026-11-01T13:00Z/2026-11-01T14:00Z")
    };
    let (from, to) = text.split_once('/').ok_or_else(refuse)?;
    let now = context.now()?;
    let range = (when::instant(from.trim(), now)?, when::instant(to.trim(), now)?);
    if range.0 >= range.1 { Err(refuse()) } else { Ok(range) }
}
