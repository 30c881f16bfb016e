//! The only file that sees both an AWS type and one of ours. Converts once and loses nothing.

use analyzer::model::{
    DefinitionText, Event, EventKind, ExecutionRecord, Interner, MachineSettings, MachineTags, MapRunRecord, Name,
    Status, Timestamp, WorkflowType,
};
use aws_sdk_sfn::operation::describe_map_run::DescribeMapRunOutput;
use aws_sdk_sfn::operation::describe_state_machine::DescribeStateMachineOutput;
use aws_sdk_sfn::operation::describe_state_machine_alias::DescribeStateMachineAliasOutput;
use aws_sdk_sfn::operation::list_tags_for_resource::ListTagsForResourceOutput;
use aws_sdk_sfn::primitives::DateTime;
use aws_sdk_sfn::types::Tag;
use aws_sdk_sfn::types::{ExecutionListItem, HistoryEvent, StateMachineType};
use serde_json::{Map, Value};

use crate::import::Privacy;
use crate::import::fields::{self, Head};

/// The protocol writes seconds as floating point numbers, whose last digits are noise: the nearest microsecond is meant.
pub(super) fn timestamp(it: &DateTime) -> Timestamp {
    Timestamp(it.secs() * 1_000_000 + i64::from((it.subsec_nanos() + 500) / 1_000))
}

pub(super) fn workflow_type(it: &StateMachineType) -> WorkflowType {
    if *it == StateMachineType::Express { WorkflowType::Express } else { WorkflowType::Standard }
}

pub(super) fn definition(it: &DescribeStateMachineOutput) -> DefinitionText {
    DefinitionText {
        machine_arn: Some(it.state_machine_arn().into()),
        name: it.name().into(),
        workflow_type: Some(workflow_type(it.r#type())),
        text: it.definition().into(),
        seen_at: Some(timestamp(it.creation_date())),
    }
}

pub(super) fn tags(machine_arn: &str, it: &ListTagsForResourceOutput) -> MachineTags {
    let tag = |it: &Tag| Some((it.key()?.to_owned(), it.value().unwrap_or_default().to_owned()));
    MachineTags { machine_arn: machine_arn.into(), tags: it.tags().iter().filter_map(tag).collect() }
}

/// How a machine is set up; aliases are told elsewhere.
pub(super) fn settings(it: &DescribeStateMachineOutput, seen_at: Timestamp) -> MachineSettings {
    let logging = it.logging_configuration();
    let groups = logging.map(aws_sdk_sfn::types::LoggingConfiguration::destinations).unwrap_or_default();
    let group = groups.iter().find_map(|it| it.cloud_watch_logs_log_group()?.log_group_arn());
    MachineSettings {
        machine_arn: it.state_machine_arn().into(),
        created_at: Some(timestamp(it.creation_date())),
        revision_id: it.revision_id().map(Name::from),
        role_arn: Some(it.role_arn()).filter(|it| !it.is_empty()).map(Name::from),
        log_level: logging.and_then(|it| it.level()).map_or("OFF", |it| it.as_str()).into(),
        logs_execution_data: logging.is_some_and(aws_sdk_sfn::types::LoggingConfiguration::include_execution_data),
        log_group_arn: group.map(|it| it.trim_end_matches(":*").into()),
        is_traced: it.tracing_configuration().is_some_and(aws_sdk_sfn::types::TracingConfiguration::enabled),
        kms_key: it.encryption_configuration().and_then(|it| it.kms_key_id()).map(Name::from),
        aliases: Vec::new(),
        seen_at,
    }
}

/// The versions that an alias leads to, with the percentage of each.
pub(super) fn routes(it: &DescribeStateMachineAliasOutput) -> Vec<(Name, u32)> {
    let routes = it.routing_configuration().iter();
    routes.map(|it| (it.state_machine_version_arn().into(), it.weight().unsigned_abs())).collect()
}

pub(super) fn map_run(it: &DescribeMapRunOutput) -> MapRunRecord {
    let started = it.execution_counts().map(|it| it.total() - it.pending());
    MapRunRecord {
        status: Some(it.status().as_str().into()),
        children_started: started.map(i64::unsigned_abs),
        redrive_count: it.redrive_count().and_then(|it| u64::try_from(it).ok()),
        max_concurrency: u64::try_from(it.max_concurrency()).ok(),
    }
}

pub(super) fn record(it: &ExecutionListItem) -> ExecutionRecord {
    ExecutionRecord {
        machine_arn: Some(it.state_machine_arn().into()),
        status: Status::parse(it.status().as_str()),
        started_at: Some(timestamp(it.start_date())),
        stopped_at: it.stop_date().map(timestamp),
        version_arn: it.state_machine_version_arn().map(Name::from),
        alias_arn: it.state_machine_alias_arn().map(Name::from),
        map_run_arn: it.map_run_arn().map(Name::from),
        redrive_count: it.redrive_count().and_then(|it| u64::try_from(it).ok()),
        ..ExecutionRecord::default()
    }
}

/// A member of an event's details, as JSON; `None` where it is not there.
trait Member {
    fn json(self) -> Option<Value>;
}

impl Member for &str {
    fn json(self) -> Option<Value> {
        (!self.is_empty()).then(|| self.into())
    }
}

impl Member for Option<&str> {
    fn json(self) -> Option<Value> {
        self.map(Value::from)
    }
}

impl Member for i32 {
    fn json(self) -> Option<Value> {
        Some(self.into())
    }
}

impl Member for Option<i32> {
    fn json(self) -> Option<Value> {
        self.map(Value::from)
    }
}

impl Member for Option<i64> {
    fn json(self) -> Option<Value> {
        self.map(Value::from)
    }
}

/// Puts the members of whichever details an event has into a map, under the names that AWS's JSON gives them.
macro_rules! members {
    ($event:expr, $map:expr, $($details:ident { $($key:literal: $member:ident),* $(,)? })*) => {
        $(if let Some(details) = $event.$details() {
            $(if let Some(value) = Member::json(details.$member()) {
                $map.insert($key.to_owned(), value);
            })*
        })*
    };
}

/// One event of a history.
pub(super) fn event(raw: &HistoryEvent, region: Option<&str>, privacy: &Privacy, names: &mut Interner) -> Event {
    let head = Head {
        id: raw.id().cast_unsigned(),
        previous: raw.previous_event_id().cast_unsigned(),
        at: timestamp(raw.timestamp()),
        kind: EventKind::parse(raw.r#type().as_str()),
    };
    let mut details = Map::new();
    members! { raw, details,
        execution_started_event_details {
            "input": input, "roleArn": role_arn, "stateMachineAliasArn": state_machine_alias_arn,
            "stateMachineVersionArn": state_machine_version_arn,
        }
        execution_succeeded_event_details { "output": output }
        execution_failed_event_details { "error": error, "cause": cause }
        execution_aborted_event_details { "error": error, "cause": cause }
        execution_timed_out_event_details { "error": error, "cause": cause }
        execution_redriven_event_details { "redriveCount": redrive_count }
        state_entered_event_details { "name": name, "input": input }
        state_exited_event_details { "name": name, "output": output }
        task_scheduled_event_details {
            "resource": resource, "resourceType": resource_type, "region": region, "parameters": parameters,
            "timeoutInSeconds": timeout_in_seconds, "heartbeatInSeconds": heartbeat_in_seconds,
        }
        task_started_event_details { "resource": resource, "resourceType": resource_type }
        task_start_failed_event_details { "resource": resource, "resourceType": resource_type, "error": error, "cause": cause }
        task_submitted_event_details { "resource": resource, "resourceType": resource_type, "output": output }
        task_submit_failed_event_details { "resource": resource, "resourceType": resource_type, "error": error, "cause": cause }
        task_succeeded_event_details { "resource": resource, "resourceType": resource_type, "output": output }
        task_failed_event_details { "resource": resource, "resourceType": resource_type, "error": error, "cause": cause }
        task_timed_out_event_details { "resource": resource, "resourceType": resource_type, "error": error, "cause": cause }
        lambda_function_scheduled_event_details { "resource": resource, "input": input, "timeoutInSeconds": timeout_in_seconds }
        lambda_function_schedule_failed_event_details { "error": error, "cause": cause }
        lambda_function_start_failed_event_details { "error": error, "cause": cause }
        lambda_function_succeeded_event_details { "output": output }
        lambda_function_failed_event_details { "error": error, "cause": cause }
        lambda_function_timed_out_event_details { "error": error, "cause": cause }
        activity_scheduled_event_details {
            "resource": resource, "input": input, "timeoutInSeconds": timeout_in_seconds,
            "heartbeatInSeconds": heartbeat_in_seconds,
        }
        activity_schedule_failed_event_details { "error": error, "cause": cause }
        activity_started_event_details { "workerName": worker_name }
        activity_succeeded_event_details { "output": output }
        activity_failed_event_details { "error": error, "cause": cause }
        activity_timed_out_event_details { "error": error, "cause": cause }
        map_state_started_event_details { "length": length }
        map_iteration_started_event_details { "name": name, "index": index }
        map_iteration_succeeded_event_details { "name": name, "index": index }
        map_iteration_failed_event_details { "name": name, "index": index }
        map_iteration_aborted_event_details { "name": name, "index": index }
        map_run_started_event_details { "mapRunArn": map_run_arn }
        map_run_failed_event_details { "error": error, "cause": cause }
        map_run_redriven_event_details { "mapRunArn": map_run_arn, "redriveCount": redrive_count }
        evaluation_failed_event_details { "error": error, "cause": cause, "location": location, "state": state }
    }
    if let Some(variables) = raw.state_exited_event_details().and_then(|it| it.assigned_variables()) {
        let variables: Map<String, Value> =
            variables.iter().map(|(key, it)| (key.clone(), Value::from(it.as_str()))).collect();
        details.insert("assignedVariables".to_owned(), Value::Object(variables));
    }
    if let Some(role) = raw.lambda_function_scheduled_event_details().and_then(|it| it.task_credentials()?.role_arn()) {
        details.insert("taskCredentials".to_owned(), serde_json::json!({"roleArn": role}));
    }
    if let Some(role) = raw.task_scheduled_event_details().and_then(|it| it.task_credentials()?.role_arn()) {
        details.insert("taskCredentials".to_owned(), serde_json::json!({"roleArn": role}));
    }
    fields::event(head, details, region, privacy, names)
}
