//! Which state machines are there, and how are they set up?

use std::time::Duration;

use analyzer::assembly::hash_of;
use analyzer::model::{ExecutionArn, MachineSettings, MachineVersion, Name, Observation, Timestamp, WorkflowType};
use aws_sdk_sfn::operation::describe_state_machine::DescribeStateMachineOutput;
use aws_sdk_sfn::types::IncludedData;
use futures_util::stream::{self, StreamExt};
use serde_json::Value;
use tokio::time::Instant;

use super::budget::Priority::Fresh;
use super::call::Trouble;
use super::walk::Walk;
use super::{GapKind, from_aws};
use crate::import::Stopped;

/// Entries of a page: the most that the API gives.
pub(super) const PAGE: i32 = 1_000;
/// Machines that are described at once.
const AT_ONCE: usize = 8;
/// Settings are read again after this, tags, versions and aliases after that: their APIs allow one call a second.
const DESCRIBE_AFTER: Duration = Duration::from_secs(300);
const TAG_AFTER: Duration = Duration::from_secs(3_600);

impl Walk<'_> {
    /// Finds every machine that is wanted and brings what is known of it up to date; `false` when none can be found.
    pub(super) async fn find_machines(&self) -> Result<bool, Stopped> {
        let Some(found) = self.list_machines().await else { return Ok(false) };
        for (arn, workflow_type) in &found {
            self.with_machine(arn, |it| {
                it.is_express = *workflow_type == WorkflowType::Express;
                it.is_unreadable = false;
            });
        }
        self.report.borrow_mut().machines = found.len() as u64;
        let mut described =
            stream::iter(found.iter().map(|(arn, _)| self.bring_up_to_date(arn))).buffer_unordered(AT_ONCE);
        while let Some(result) = described.next().await {
            result?;
        }
        Ok(true)
    }

    /// Says which Express machines cannot be seen into: only their logs tell of them.
    pub(super) fn tell_unseen(&self) {
        let blind: Vec<String> = {
            let machines = self.machines.borrow();
            let express = machines.iter().filter(|(_, it)| it.is_express);
            express.filter_map(|(arn, it)| unseen(arn, it.settings.as_ref()?, self.options.sources.logs)).collect()
        };
        for it in blind {
            self.gap(GapKind::NotVisible, it);
        }
    }

    async fn list_machines(&self) -> Option<Vec<(Name, WorkflowType)>> {
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let request = || self.sfn().list_state_machines().max_results(PAGE).set_next_token(token.clone()).send();
            let page = match self.call("ListStateMachines", Fresh, request).await {
                Ok(page) => page,
                Err(refused) => {
                    self.report.borrow_mut().ok = false;
                    self.refuse("everything: no machine can be found", &refused);
                    return None;
                }
            };
            for it in page.state_machines() {
                self.settle_account(it.state_machine_arn());
                if self.is_wanted(it.state_machine_arn()) {
                    found.push((it.state_machine_arn().into(), from_aws::workflow_type(it.r#type())));
                }
            }
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                return Some(found);
            }
        }
    }

    async fn bring_up_to_date(&self, arn: &Name) -> Result<(), Stopped> {
        if is_due(self.with_machine(arn, |it| it.described), DESCRIBE_AFTER) {
            self.describe(arn).await?;
            self.with_machine(arn, |it| it.described = Some(Instant::now()));
        }
        Ok(())
    }

    /// Tags, versions and aliases of every machine, whose APIs allow a call a second: nothing else waits for them.
    pub(super) async fn labels(&self) -> Result<(), Stopped> {
        let due: Vec<Name> = {
            let machines = self.machines.borrow();
            let due = machines.iter().filter(|(_, it)| it.described.is_some() && is_due(it.tagged, TAG_AFTER));
            due.map(|it| it.0.clone()).collect()
        };
        for arn in &due {
            self.tags(arn).await?;
            self.versions(arn).await?;
            let aliases = self.aliases(arn).await;
            let changed = self.with_machine(arn, |it| {
                it.tagged = Some(Instant::now());
                let settings = it.settings.as_mut().filter(|it| it.aliases != aliases)?;
                settings.aliases = aliases;
                Some(settings.clone())
            });
            if let Some(settings) = changed {
                self.observe(Observation::Settings(Box::new(settings)))?;
            }
        }
        Ok(())
    }

    /// Definition and settings; without the definition where it is encrypted with a key that may not be used.
    async fn describe(&self, arn: &Name) -> Result<(), Stopped> {
        let describe = |data: Option<IncludedData>| {
            move || {
                self.sfn()
                    .describe_state_machine()
                    .state_machine_arn(arn.as_str())
                    .set_included_data(data.clone())
                    .send()
            }
        };
        let mut answer = self.call("DescribeStateMachine", Fresh, describe(None)).await;
        if let Err(refused) = &answer
            && refused.trouble == Trouble::Encrypted
        {
            self.refuse(&format!("the definition and the histories of `{arn}`, which are encrypted"), refused);
            self.with_machine(arn, |it| it.is_unreadable = true);
            answer = self.call("DescribeStateMachine", Fresh, describe(Some(IncludedData::MetadataOnly))).await;
        }
        let described = match answer {
            Ok(it) => it,
            Err(refused) if refused.trouble == Trouble::Gone => return Ok(()),
            Err(refused) => {
                self.refuse("definitions, and with them limits, eligibility and parts; log groups", &refused);
                return Ok(());
            }
        };
        let mut settings = from_aws::settings(&described, self.clock.now());
        if let Some(created) = settings.created_at {
            self.note_record(created);
        }
        let known = self.with_machine(arn, |it| it.settings.clone());
        settings.aliases = known.as_ref().map(|it| it.aliases.clone()).unwrap_or_default();
        self.note_definition(arn, &described).await?;
        let is_same = known.is_some_and(|it| MachineSettings { seen_at: settings.seen_at, ..it } == settings);
        self.with_machine(arn, |it| it.settings = Some(settings.clone()));
        if is_same { Ok(()) } else { self.observe(Observation::Settings(Box::new(settings))) }
    }

    /// Sends a definition that is new, and remembers of any what reading the machine needs.
    async fn note_definition(&self, arn: &Name, described: &DescribeStateMachineOutput) -> Result<(), Stopped> {
        let mut definition = from_aws::definition(described);
        if definition.text.len() <= 2 {
            return Ok(());
        }
        let value: Value = serde_json::from_str(&definition.text).unwrap_or_default();
        let (has_map_runs, functions) = (has_distributed_map(&value), functions(&value));
        self.with_machine(arn, |it| {
            it.has_map_runs = Some(has_map_runs);
            it.functions = functions;
        });
        if self.is_planning() || !self.definitions.borrow_mut().insert(fingerprint(arn, &definition.text)) {
            return Ok(());
        }
        if let Some(at) = self.changed_at(arn, &definition.text).await {
            definition.seen_at = Some(at);
        }
        self.observe(Observation::Definition(Box::new(definition)))
    }

    /// When did this definition come into force? The newest execution that ran with it knows.
    async fn changed_at(&self, arn: &Name, text: &str) -> Option<Timestamp> {
        if self.with_machine(arn, |it| it.is_express) || !self.options.sources.history {
            return None;
        }
        let newest = || self.sfn().list_executions().state_machine_arn(arn.as_str()).max_results(1).send();
        let newest = self.call("ListExecutions", Fresh, newest).await.ok()?;
        let execution = newest.executions().first()?.execution_arn().to_owned();
        let describe = || self.sfn().describe_state_machine_for_execution().execution_arn(&execution).send();
        match self.call("DescribeStateMachineForExecution", Fresh, describe).await {
            Ok(it) => (it.definition() == text).then(|| from_aws::timestamp(it.update_date())),
            Err(refused) => {
                if refused.trouble == Trouble::Denied {
                    self.refuse("when a definition came into force", &refused);
                }
                None
            }
        }
    }

    async fn tags(&self, arn: &Name) -> Result<(), Stopped> {
        let request = || self.sfn().list_tags_for_resource().resource_arn(arn.as_str()).send();
        match self.call("ListTagsForResource", Fresh, request).await {
            Ok(it) => self.observe(Observation::Tags(Box::new(from_aws::tags(arn, &it)))),
            Err(refused) => {
                self.refuse("tags, and with them the cost by tag", &refused);
                Ok(())
            }
        }
    }

    /// The definition of each version that is not known yet.
    async fn versions(&self, arn: &Name) -> Result<(), Stopped> {
        let mut token: Option<String> = None;
        loop {
            let request = || {
                let request = self.sfn().list_state_machine_versions().state_machine_arn(arn.as_str());
                request.max_results(PAGE).set_next_token(token.clone()).send()
            };
            let page = match self.call("ListStateMachineVersions", Fresh, request).await {
                Ok(page) => page,
                Err(refused) => {
                    if matches!(refused.trouble, Trouble::Denied) {
                        self.refuse("versions with their definitions", &refused);
                    }
                    return Ok(());
                }
            };
            for it in page.state_machine_versions() {
                self.version(arn, it.state_machine_version_arn(), from_aws::timestamp(it.creation_date())).await?;
            }
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                return Ok(());
            }
        }
    }

    async fn version(&self, arn: &Name, version_arn: &str, created_at: Timestamp) -> Result<(), Stopped> {
        let seen = hash_of(&format!("{arn}\u{1f}{version_arn}"));
        if !self.definitions.borrow_mut().insert(seen) {
            return Ok(());
        }
        let request = || self.sfn().describe_state_machine().state_machine_arn(version_arn).send();
        let Ok(described) = self.call("DescribeStateMachine", Fresh, request).await else { return Ok(()) };
        let mut definition = from_aws::definition(&described);
        definition.machine_arn = Some(arn.clone());
        definition.seen_at = Some(created_at);
        let version = MachineVersion {
            machine_arn: arn.clone(),
            version_arn: version_arn.into(),
            definition: definition.text.clone(),
            created_at,
        };
        self.observe(Observation::Version(Box::new(version)))?;
        let is_new = self.definitions.borrow_mut().insert(fingerprint(arn, &definition.text));
        if is_new { self.observe(Observation::Definition(Box::new(definition))) } else { Ok(()) }
    }

    /// Each alias with the versions that it leads to.
    async fn aliases(&self, arn: &Name) -> Vec<(Name, Vec<(Name, u32)>)> {
        let list = || self.sfn().list_state_machine_aliases().state_machine_arn(arn.as_str()).max_results(PAGE).send();
        let listed = match self.call("ListStateMachineAliases", Fresh, list).await {
            Ok(it) => it,
            Err(refused) => {
                if matches!(refused.trouble, Trouble::Denied) {
                    self.refuse("aliases and how they route", &refused);
                }
                return Vec::new();
            }
        };
        let mut aliases = Vec::new();
        for it in listed.state_machine_aliases() {
            let alias = it.state_machine_alias_arn();
            let request = || self.sfn().describe_state_machine_alias().state_machine_alias_arn(alias).send();
            match self.call("DescribeStateMachineAlias", Fresh, request).await {
                Ok(it) => aliases.push((alias.into(), from_aws::routes(&it))),
                Err(refused) => self.refuse("aliases and how they route", &refused),
            }
        }
        aliases
    }
}

fn is_due(at: Option<Instant>, after: Duration) -> bool {
    at.is_none_or(|it| it.elapsed() >= after)
}

/// What cannot be seen of an Express machine.
fn unseen(arn: &str, settings: &MachineSettings, reads_logs: bool) -> Option<String> {
    let name = arn.rsplit(':').next().unwrap_or(arn);
    match &*settings.log_level {
        "ALL" if reads_logs => None,
        "ALL" => Some(format!("`{name}` is Express: only its logs tell of it, and they are not among the sources")),
        "OFF" => Some(format!("`{name}` is Express and logs nothing: nothing of it can be seen")),
        level => Some(format!("`{name}` is Express and logs at level {level}: it has no timelines")),
    }
}

/// As the store knows a definition.
fn fingerprint(machine_arn: &str, text: &str) -> u64 {
    hash_of(&format!("{machine_arn}\u{1f}{text}"))
}

fn has_distributed_map(value: &Value) -> bool {
    match value {
        Value::Object(fields) => {
            fields.get("Mode").and_then(Value::as_str) == Some("DISTRIBUTED")
                || fields.values().any(has_distributed_map)
        }
        Value::Array(items) => items.iter().any(has_distributed_map),
        _ => false,
    }
}

/// Names of the Lambda functions that a definition calls by a fixed name.
fn functions(value: &Value) -> Vec<Name> {
    fn collect(value: &Value, found: &mut Vec<Name>) {
        match value {
            Value::Object(fields) => {
                for (key, it) in fields {
                    if let (true, Some(text)) = (key.starts_with("FunctionName") || key == "Resource", it.as_str()) {
                        found.extend(function(text, key != "Resource"));
                    }
                    collect(it, found);
                }
            }
            Value::Array(items) => items.iter().for_each(|it| collect(it, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(value, &mut found);
    found.sort_unstable();
    found.dedup();
    found
}

/// The function's name in an ARN, or a plain name, without a qualifier.
fn function(text: &str, may_be_plain: bool) -> Option<Name> {
    let name = match text.split_once(":function:") {
        Some((_, rest)) => rest.split(':').next()?,
        None if may_be_plain && !text.starts_with('$') && !text.contains(['{', '/']) => text.split(':').next()?,
        None => return None,
    };
    (!name.is_empty()).then(|| name.into())
}

/// The machine that an execution belongs to: that of the parent for children of a Map Run.
pub(super) fn machine_of(execution_arn: &str) -> Option<Name> {
    let arn = ExecutionArn::parse(execution_arn)?;
    let machine = arn.machine.split('/').next().unwrap_or(arn.machine);
    Some(ExecutionArn { machine, ..arn }.machine_arn().into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn functions_and_distributed_maps_are_found_anywhere_in_a_definition() {
        let definition = json!({"States": {
            "A": {"Resource": "arn:aws:lambda:eu-west-1:123456789012:function:charge:live"},
            "B": {"Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "pack:$LATEST"}},
            "C": {"Type": "Map", "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED"}, "States": {
                "D": {"Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName.$": "$.name"}},
            }}},
        }});
        assert_eq!(functions(&definition), ["charge".into(), "pack".into()] as [Name; 2]);
        assert!(has_distributed_map(&definition));
        let child = "arn:aws:states:eu-west-1:123456789012:express:orders/Label:run:0f";
        assert_eq!(machine_of(child).as_deref(), Some("arn:aws:states:eu-west-1:123456789012:stateMachine:orders"));
    }
}
