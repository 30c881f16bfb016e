//! Would the collector work here? Each permission is tried once, on what is there, and every setting that matters is looked at.

use analyzer::model::{MachineSettings, Micros, Name};
use analyzer::spans::Span;

use super::budget::Priority;
use super::call::{Refused, Trouble};
use super::outbox::Outbox;
use super::run::runtime;
use super::walk::{Accounts, Walk};
use super::{CollectError, Known, LiveOptions, LiveTarget, logs};

/// Machines whose settings are looked at.
const MACHINES: usize = 50;
/// A clock that is off by more than this spoils signatures.
const SKEW_US: i64 = 120_000_000;
const MINUTE_US: i64 = 60_000_000;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub what: String,
    /// `None` for what was not looked at.
    pub ok: Option<bool>,
    pub detail: String,
    pub fix: Option<String>,
}

impl Check {
    fn well(what: &str, detail: impl Into<String>) -> Self {
        Self { what: what.to_owned(), ok: Some(true), detail: detail.into(), fix: None }
    }

    fn wrong(what: &str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.to_owned(), ok: Some(false), detail: detail.into(), fix: Some(fix.into()) }
    }

    fn unseen(what: &str, detail: impl Into<String>) -> Self {
        Self { what: what.to_owned(), ok: None, detail: detail.into(), fix: None }
    }
}

/// Looks at everything that collecting from a target needs.
pub fn probe(target: &LiveTarget, options: &LiveOptions) -> Result<Vec<Check>, CollectError> {
    runtime()?.block_on(async {
        let mut nowhere = |_| Ok(());
        let (outbox, accounts, known) = (Outbox::new(&mut nowhere), Accounts::default(), Known::default());
        let walk = Walk::new(target, options, &known, &outbox, &accounts).await;
        walk.is_planning.set(true);
        let mut checks = vec![walk.check_identity().await];
        checks.extend(walk.check_service().await);
        checks.push(walk.check_clock());
        Ok(checks)
    })
}

impl Walk<'_> {
    async fn check_identity(&self) -> Check {
        let what = "credentials";
        match self.sts().get_caller_identity().send().await {
            Ok(it) => {
                let (arn, account) = (it.arn().unwrap_or("somebody"), it.account().unwrap_or("unknown"));
                let region = self.report.borrow().region.clone().unwrap_or_else(|| "no region".to_owned());
                Check::well(what, format!("`{arn}` in account {account}, {region}"))
            }
            Err(error) => {
                let refused = super::call::refused("GetCallerIdentity", &error);
                let fix = "sign in (`aws sso login`, `aws configure`), or name a --profile";
                match refused.trouble {
                    Trouble::Credentials | Trouble::Denied => Check::wrong(what, refused.message, fix),
                    _ => Check::unseen(what, format!("not known: {}", refused.message)),
                }
            }
        }
    }

    fn check_clock(&self) -> Check {
        let what = "clock";
        match self.clock.offset() {
            None => Check::unseen(what, "the service has not said what time it is"),
            Some(Micros(us)) if us.abs() > SKEW_US => {
                let detail = format!("{} s away from the service's", us / 1_000_000);
                Check::wrong(what, detail, "set the clock; until then requests are signed with the service's time")
            }
            Some(_) => Check::well(what, "agrees with the service's"),
        }
    }

    async fn check_service(&self) -> Vec<Check> {
        if let Ok(true) = self.find_machines().await {
        } else {
            let report = self.report.borrow();
            let why = report
                .gaps
                .first()
                .map(|it| it.text.clone())
                .or_else(|| report.denied.first().map(|it| format!("{} is denied", it.permission)));
            let fix = "check credentials, region and network; `stepscope policy` prints the permissions; --offline leaves this out";
            return vec![Check::wrong("aws", why.unwrap_or_else(|| "no answer".to_owned()), fix)];
        }
        let machines: Vec<Name> = self.machines.borrow().keys().cloned().collect();
        let mut checks =
            vec![Check::well("aws", format!("Step Functions answers and lists {} machines", machines.len()))];
        let denied: Vec<Check> =
            self.report.borrow().denied.iter().map(|it| permission(&it.permission, &it.lost)).collect();
        checks.extend(denied);
        checks.extend(self.check_histories(&machines).await);
        checks.extend(self.check_sides().await);
        for arn in machines.iter().take(MACHINES) {
            let settings = self.with_machine(arn, |it| (it.is_express, it.settings.clone()));
            if let (is_express, Some(settings)) = settings {
                checks.extend(of_settings(arn, is_express, &settings));
            }
        }
        if machines.len() > MACHINES {
            let rest = machines.len() - MACHINES;
            checks.push(Check::unseen(
                "settings",
                format!("those of {rest} more machines: `collect --plan` tells of all"),
            ));
        }
        checks
    }

    /// Whether executions can be listed, and the history of one be read.
    async fn check_histories(&self, machines: &[Name]) -> Vec<Check> {
        let standard = machines.iter().filter(|arn| !self.with_machine(arn, |it| it.is_express));
        for arn in standard.take(5) {
            let list = || self.sfn().list_executions().state_machine_arn(arn.as_str()).max_results(1).send();
            let listed = match self.call("ListExecutions", Priority::Fresh, list).await {
                Ok(it) => it,
                Err(refused) => return vec![of_refusal("executions", &refused)],
            };
            let Some(execution) = listed.executions().first().map(|it| it.execution_arn().to_owned()) else { continue };
            let read = || self.sfn().get_execution_history().execution_arn(&execution).max_results(1).send();
            return vec![match self.call("GetExecutionHistory", Priority::Fresh, read).await {
                Ok(_) => Check::well("executions", "can be listed, and their histories be read"),
                Err(refused) => of_refusal("histories", &refused),
            }];
        }
        vec![Check::unseen("executions", "no Standard machine has any: their permissions were not tried")]
    }

    /// Logs, traces and metrics, as far as they are among the sources.
    async fn check_sides(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        let now = self.clock.now();
        let minute = Span { from: now - Micros(MINUTE_US), to: now };
        let groups = self.groups();
        if let Some(group) = groups.iter().find(|it| matches!(it.reason, logs::Reason::Machines(_))) {
            let is_read = self.read_slice(group, minute, Priority::Fresh).await.is_ok_and(|it| it);
            if is_read {
                checks.push(Check::well("logs", format!("`{}` can be read", group.name())));
            }
        }
        if self.options.sources.xray {
            let (from, to) = (minute.from.0 / 1_000_000, minute.to.0 / 1_000_000);
            let date = aws_sdk_xray::primitives::DateTime::from_secs;
            let list = || self.xray().get_trace_summaries().start_time(date(from)).end_time(date(to)).send();
            checks.push(match self.call("GetTraceSummaries", Priority::Fresh, list).await {
                Ok(_) => Check::well("xray", "traces can be listed"),
                Err(refused) => of_refusal("xray", &refused),
            });
        }
        let first = self.machines.borrow().keys().next().cloned();
        if let Some(arn) = first.filter(|_| self.options.sources.metrics) {
            let hour = Span { from: now - Micros(60 * MINUTE_US), to: now };
            checks.push(match self.count_started_or(&arn, hour).await {
                Ok(_) => Check::well("metrics", "can be read"),
                Err(refused) => of_refusal("metrics", &refused),
            });
        }
        let report = self.report.borrow();
        let logs = report.denied.iter().filter(|it| it.permission.starts_with("logs:"));
        checks.extend(logs.map(|it| permission(&it.permission, &it.lost)));
        checks
    }
}

fn permission(action: &str, lost: &str) -> Check {
    let fix = format!("allow `{action}` (`stepscope policy` prints everything that is needed)");
    Check::wrong("permission", format!("{action} is denied; lost without it: {lost}"), fix)
}

fn of_refusal(what: &str, refused: &Refused) -> Check {
    match refused.trouble {
        Trouble::Denied => Check::wrong(what, refused.to_string(), format!("allow `{}`", refused.permission())),
        Trouble::Encrypted => {
            let fix = "allow `kms:Decrypt` on the machine's key, in your policy and in the key's (`stepscope policy --kms-key ARN`)";
            Check::wrong(what, refused.to_string(), fix)
        }
        Trouble::Credentials => Check::wrong(what, refused.to_string(), "sign in again"),
        _ => Check::unseen(what, refused.to_string()),
    }
}

/// The command that makes a state machine log everything, to its log group or to a new one.
pub(super) fn logging_command(arn: &str, log_group: Option<&str>) -> String {
    let parts: Vec<&str> = arn.split(':').collect();
    let [_, partition, _, region, account, _, name] = parts[..] else {
        return format!("set the logging level of {} to ALL", shell(arn));
    };
    let group = format!("/aws/vendedlogs/states/{name}-Logs");
    let (make, group) = if let Some(group) = log_group {
        (String::new(), group.trim_end_matches(":*").to_owned())
    } else {
        let make = format!("aws logs create-log-group --region {region} --log-group-name {} && ", shell(&group));
        (make, format!("arn:{partition}:logs:{region}:{account}:log-group:{group}"))
    };
    let configuration = format!(
        "level=ALL,includeExecutionData=false,destinations=[{{cloudWatchLogsLogGroup={{logGroupArn={group}:*}}}}]"
    );
    let update = format!(
        "aws stepfunctions update-state-machine --region {region} --state-machine-arn {} --logging-configuration {}",
        shell(arn),
        shell(&configuration)
    );
    make + &update
}

/// A word as a shell takes it, whatever is in it.
fn shell(word: &str) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "_-./:".contains(it);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    let clean: String = word.chars().filter(|it| !it.is_control()).collect();
    format!("'{}'", clean.replace('\'', r"'\''"))
}

/// What the settings of one machine make impossible.
fn of_settings(arn: &str, is_express: bool, settings: &MachineSettings) -> Vec<Check> {
    let name = arn.rsplit(':').next().unwrap_or(arn);
    let mut checks = Vec::new();
    if is_express && &*settings.log_level != "ALL" {
        let detail = match &*settings.log_level {
            "OFF" => format!("`{name}` is Express and logs nothing: nothing of it can be seen"),
            level => format!("`{name}` is Express and logs at level {level}: failures can be seen, timelines cannot"),
        };
        checks.push(Check::wrong("logging", detail, logging_command(arn, settings.log_group_arn.as_deref())));
    }
    if let Some(key) = &settings.kms_key {
        let detail = format!("`{name}` is encrypted with `{key}`");
        checks.push(Check {
            what: "kms".to_owned(),
            ok: Some(true),
            detail,
            fix: Some("reading it needs `kms:Decrypt` on that key, in your policy and in the key's".to_owned()),
        });
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_for_logging_can_be_pasted() {
        let arn = "arn:aws:states:eu-west-1:123456789012:stateMachine:it's";
        let command = logging_command(arn, None);
        assert!(!command.contains('…') && !command.contains("ARN"), "{command}");
        assert!(command.starts_with(
            r"aws logs create-log-group --region eu-west-1 --log-group-name '/aws/vendedlogs/states/it'\''s-Logs' && "
        ));
        assert!(command.contains(r"--state-machine-arn 'arn:aws:states:eu-west-1:123456789012:stateMachine:it'\''s'"));
        let known = logging_command(
            "arn:aws:states:eu-west-1:1:stateMachine:a",
            Some("arn:aws:logs:eu-west-1:1:log-group:g:*"),
        );
        assert!(known.contains("logGroupArn=arn:aws:logs:eu-west-1:1:log-group:g:*}"), "{known}");
        assert!(known.starts_with("aws stepfunctions "), "{known}");
    }
}
