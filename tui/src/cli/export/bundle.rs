//! `export bundle`: executions as evidence to hand on, which `import` reads back. Histories without inputs, outputs and causes; accounts
//! have other numbers.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use analyzer::execution::Run;
use analyzer::model::{Event, EventKind, Name, Timestamp};
use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use queries::{ExecutionFilter, ExecutionRow, Reader};
use serde_json::{Map, Value, json};

use super::create;
use crate::Outcome;
use crate::cli::show::for_each_run;
use crate::cli::{Context, Range, select};
use crate::failure::Failure;

#[derive(Args)]
pub(super) struct BundleArguments {
    /// Executions: their ARNs, names, or unique parts of them; without any, all of the machine and range.
    #[arg(value_name = "EXECUTION")]
    executions: Vec<String>,
    /// A state machine: its ARN, its name, or a unique part of it.
    #[arg(long)]
    machine: Option<String>,
    #[command(flatten)]
    range: Range,
}

pub(super) fn run(context: &Context, arguments: &BundleArguments, out: Option<&Path>) -> Outcome {
    let reader = context.reader()?;
    let rows = wanted(context, &reader, arguments)?;
    let mut accounts = BTreeMap::new();
    let mut lines: Box<dyn Write> = match out {
        Some(path) if path.extension().is_some_and(|it| it == "gz") => {
            Box::new(GzEncoder::new(create(path)?, Compression::default()))
        }
        Some(path) => Box::new(create(path)?),
        None => Box::new(crate::output::json()),
    };
    let mut machines: BTreeMap<&str, &ExecutionRow> = BTreeMap::new();
    machines.extend(rows.iter().map(|it| (it.machine_arn.as_str(), it)));
    for (arn, row) in machines {
        if let Some(text) = reader.definitions(arn)?.first() {
            let described = json!({
                "stateMachineArn": arn, "name": row.machine, "type": row.workflow_type.as_str(), "definition": text,
            });
            writeln!(lines, "{}", renumbered(&described.to_string(), &mut accounts))?;
        }
    }
    for_each_run(&reader, &rows, |_, run| {
        writeln!(lines, "{}", renumbered(&history(run).to_string(), &mut accounts))?;
        Ok(())
    })?;
    lines.flush()?;
    drop(lines);
    eprintln!("{} executions, without payloads; `stepscope import` reads them", rows.len());
    Ok(0)
}

fn wanted(context: &Context, reader: &Reader, arguments: &BundleArguments) -> Result<Vec<ExecutionRow>, Failure> {
    if !arguments.executions.is_empty() {
        return arguments.executions.iter().map(|it| select::execution(reader, it)).collect();
    }
    let (since, until) = context.range(&arguments.range)?;
    let machine_arn = select::optional_machine(reader, arguments.machine.as_deref())?;
    let rows = reader.executions(&ExecutionFilter { machine_arn, since, until, ..ExecutionFilter::default() })?;
    if rows.is_empty() {
        return Err(Failure::usage("no execution is in the range").hint("`stepscope executions` lists what is stored"));
    }
    Ok(rows)
}

/// The text with a number of its own for each account: wherever twelve digits stand between the colons of an ARN.
fn renumbered(text: &str, accounts: &mut BTreeMap<String, String>) -> String {
    let mut told = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(':') {
        let (before, after) = rest.split_at(at + 1);
        told.push_str(before);
        let is_account =
            after.len() > 12 && after.as_bytes()[..12].iter().all(u8::is_ascii_digit) && after.as_bytes()[12] == b':';
        rest = after;
        if is_account {
            let next = format!("{:012}", accounts.len() + 1);
            told.push_str(accounts.entry(after[..12].to_owned()).or_insert(next));
            rest = &after[12..];
        }
    }
    told + rest
}

fn history(run: &Run) -> Value {
    let (it, record) = (&run.execution, &run.record);
    let time = |at: Option<Timestamp>| at.map(micros);
    let text = |it: &Option<Name>| it.as_deref().map(str::to_owned);
    let billed = record
        .billed_ms
        .map(|ms| json!({"billedDurationInMilliseconds": ms, "billedMemoryUsedInMB": record.billed_memory_mb}));
    let described = json!({
        "executionArn": it.arn.as_str(), "name": it.name.as_str(), "stateMachineArn": it.machine_arn.as_str(),
        "status": it.status.as_str(), "startDate": time(it.started_at), "stopDate": time(it.stopped_at), "error": text(&it.error),
        "stateMachineVersionArn": text(&it.version_arn), "stateMachineAliasArn": text(&record.alias_arn),
        "mapRunArn": text(&it.map_run_arn), "redriveCount": record.redrive_count, "billingDetails": billed,
    });
    let Value::Object(mut described) = described else { return Value::Null };
    described.retain(|_, it| !it.is_null());
    json!({
        "executionArn": it.arn.as_str(),
        "execution": described,
        "events": run.events.iter().map(event).collect::<Vec<_>>(),
    })
}

/// An event as a history has it.
fn event(it: &Event) -> Value {
    let mut details = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            details.insert(key.to_owned(), value);
        }
    };
    let text = |it: Option<&Name>| it.map(|it| Value::from(it.as_str()));
    put("name", text(it.name.as_ref()));
    match it.resource.as_deref().and_then(|it| it.split_once(':')).filter(|it| it.0 != "arn") {
        Some((kind, action)) => {
            put("resourceType", Some(kind.into()));
            put("resource", Some(action.into()));
        }
        None => put("resource", text(it.resource.as_ref())),
    }
    // What an input was cannot be told again: its fingerprint stays here.
    put(number_key(&it.kind), it.number.filter(|_| it.kind != EventKind::ExecutionStarted).map(Value::from));
    if let Some(detail) = it.detail.as_deref() {
        put("error", text(detail.error.as_ref()));
        put("mapRunArn", text(detail.map_run_arn.as_ref()));
        put("stateMachineVersionArn", text(detail.version_arn.as_ref()));
        put(
            "output",
            detail.child_execution_arn.as_ref().map(|it| json!({"ExecutionArn": it.as_str()}).to_string().into()),
        );
        let rest: Map<String, Value> =
            detail.rest.as_deref().and_then(|it| serde_json::from_str(it).ok()).unwrap_or_default();
        rest.into_iter().filter(|it| is_harmless(&it.1)).for_each(|(key, value)| put(&key, Some(value)));
    }
    let mut event = Map::new();
    event.insert("timestamp".to_owned(), micros(it.at).into());
    event.insert("type".to_owned(), it.kind.as_str().into());
    event.insert("id".to_owned(), it.id.into());
    event.insert("previousEventId".to_owned(), it.previous.into());
    if !details.is_empty() {
        event.insert("eventDetails".to_owned(), Value::Object(details));
    }
    Value::Object(event)
}

/// Numbers and truths, such as time-outs, name nobody.
fn is_harmless(value: &Value) -> bool {
    value.is_number() || value.is_boolean() || value.as_object().is_some_and(|it| it.values().all(Value::is_boolean))
}

fn number_key(kind: &EventKind) -> &'static str {
    match kind.as_str() {
        it if it.starts_with("MapIteration") => "index",
        "ExecutionRedriven" => "redriveCount",
        _ => "length",
    }
}

/// RFC 3339 with microseconds: nothing is lost.
fn micros(at: Timestamp) -> String {
    let text = analyzer::time::format(Timestamp(at.0.div_euclid(1_000) * 1_000));
    format!("{}{:03}Z", text.trim_end_matches('Z'), at.0.rem_euclid(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_renumbered_in_one_pass_and_nothing_else_is() {
        let mut accounts = BTreeMap::new();
        let text =
            "arn:aws:states:x:000000000002:a arn:aws:lambda:x:000000000001:b name-000000000002 1:12345678901234:x";
        let expected =
            "arn:aws:states:x:000000000001:a arn:aws:lambda:x:000000000002:b name-000000000002 1:12345678901234:x";
        assert_eq!(renumbered(text, &mut accounts), expected);
    }
}
