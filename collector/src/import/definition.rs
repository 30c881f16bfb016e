//! State machine definitions: ASL texts, and `describe-state-machine` output.

use analyzer::asl::{StateMachine, is_definition, problems, text_to_value};
use analyzer::model::{DefinitionText, MachineSettings, Name, Observation, WorkflowType};
use serde_json::Value;

use super::fields::{as_time, text};
use super::sink::Sink;

/// Whether this value is a description of a state machine with its definition inside.
pub(super) fn is_description(value: &Value) -> bool {
    text(value, "definition").is_some() && text(value, "stateMachineArn").is_some()
}

/// Whether a text that is no JSON may be a definition in another notation.
pub(super) fn may_be_definition(text: &str) -> bool {
    text.contains("StartAt") && text.contains("States")
}

/// Sends a definition as it stands in a file; one that AWS would refuse is set aside. A fragment of one is not ours.
pub(super) fn send_text(source: &str, stem: &str, machine_arn: Option<&str>, sink: &mut Sink<'_>) {
    let value = match text_to_value(source) {
        Ok(value) => value,
        Err(error) => {
            // It has the keys of a definition and the brackets of JSON, so it is one that is damaged.
            if source.trim_start().starts_with(['{', '/']) {
                sink.recognise();
            }
            return sink.quarantine(None, format!("definition: {error}"));
        }
    };
    let machine = match StateMachine::from_value(&value) {
        Ok(machine) => machine,
        Err(error) => {
            if is_definition(&value) {
                sink.recognise();
            }
            return sink.quarantine(None, format!("definition: {error}"));
        }
    };
    if let Some(problem) = problems(&machine).first() {
        sink.recognise();
        return sink.quarantine(None, format!("definition: {}: {}", problem.path, problem.message));
    }
    sink.observe(
        Observation::Definition(Box::new(DefinitionText {
            machine_arn: machine_arn.map(Name::from),
            name: stem.into(),
            workflow_type: None,
            text: source.into(),
            seen_at: None,
        })),
        None,
    );
}

/// Sends the definition of a described machine. AWS runs it, so it is not judged.
pub(super) fn send_description(value: &Value, line: Option<u64>, sink: &mut Sink<'_>) {
    let (Some(definition), Some(arn)) = (text(value, "definition"), text(value, "stateMachineArn")) else {
        return;
    };
    if let Err(error) = StateMachine::parse(definition) {
        sink.mark_likely();
        return sink.quarantine(line, format!("definition: {error}"));
    }
    if let Some(settings) = settings(value, arn) {
        sink.observe(Observation::Described(Box::new(settings)), line);
    }
    let name = text(value, "name").or_else(|| arn.rsplit(':').next()).unwrap_or(arn);
    sink.observe(
        Observation::Definition(Box::new(DefinitionText {
            machine_arn: Some(arn.into()),
            name: name.into(),
            workflow_type: text(value, "type").and_then(WorkflowType::parse),
            text: definition.into(),
            seen_at: value.get("updateDate").or_else(|| value.get("creationDate")).and_then(as_time),
        })),
        line,
    );
}

/// How a described machine is set up; `None` where the description is only a part of one.
fn settings(value: &Value, arn: &str) -> Option<MachineSettings> {
    let named = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(Name::from);
    let is_true = |pointer: &str| value.pointer(pointer).and_then(Value::as_bool) == Some(true);
    let group = named("/loggingConfiguration/destinations/0/cloudWatchLogsLogGroup/logGroupArn");
    Some(MachineSettings {
        machine_arn: arn.into(),
        created_at: value.get("creationDate").and_then(as_time),
        revision_id: named("/revisionId"),
        role_arn: Some(named("/roleArn")?),
        log_level: named("/loggingConfiguration/level").unwrap_or_else(|| "OFF".into()),
        logs_execution_data: is_true("/loggingConfiguration/includeExecutionData"),
        log_group_arn: group.map(|it| it.trim_end_matches(":*").into()),
        is_traced: is_true("/tracingConfiguration/enabled"),
        kms_key: named("/encryptionConfiguration/kmsKeyId"),
        aliases: Vec::new(),
        seen_at: value.get("updateDate").or_else(|| value.get("creationDate")).and_then(as_time)?,
    })
}
