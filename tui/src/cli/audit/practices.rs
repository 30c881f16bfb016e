//! How does a machine stand in each practice?

use analyzer::lint::Severity;

use super::{Audited, Ranked};

/// The practices, in the order of the scorecard.
pub(super) const NAMES: [&str; 9] =
    ["cost", "time-outs", "retries", "errors", "size", "logging", "tracing", "encryption", "privileges"];

/// How a machine stands in one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    #[default]
    Unknown,
    Good,
    Found(Severity),
}

impl Standing {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Good => "ok",
            Self::Found(it) => it.as_str(),
        }
    }

    /// For people: what needs nobody's look is short.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Unknown => "?",
            Self::Good => "ok",
            Self::Found(Severity::Info) => "info",
            Self::Found(Severity::Warning) => "WARN",
            Self::Found(Severity::Error) => "ERROR",
        }
    }
}

#[derive(Clone, Copy, Default)]
pub(super) struct Practices(pub(super) [Standing; NAMES.len()]);

impl Practices {
    pub(super) fn of<'a>(machine: &Audited, found: impl Iterator<Item = &'a Ranked>) -> Self {
        let deployment = &machine.deployment;
        let of = |is_known: bool| if is_known { Standing::Good } else { Standing::Unknown };
        let by_definition = of(machine.has_definition);
        let encryption = match deployment.has_own_key {
            Some(true) => Standing::Good,
            // AWS's own key encrypts it: that is a choice, and none that is wrong.
            Some(false) => Standing::Found(Severity::Info),
            None => Standing::Unknown,
        };
        let mut standings = [
            of(machine.runs.executions > 0),
            by_definition,
            by_definition,
            by_definition,
            by_definition,
            of(deployment.log_level.is_some()),
            of(deployment.is_traced.is_some()),
            encryption,
            of(deployment.role.is_some()),
        ];
        for it in found {
            let place = practice(it.finding.rule);
            let severity = it.finding.severity;
            standings[place] = match standings[place] {
                Standing::Found(known) => Standing::Found(known.max(severity)),
                _ => Standing::Found(severity),
            };
        }
        Self(standings)
    }
}

/// The place of the practice that a rule belongs to.
fn practice(rule: &str) -> usize {
    match rule {
        "express_candidate"
        | "standard_candidate"
        | "parts_express"
        | "polling_loop"
        | "pass_does_nothing"
        | "pass_reshapes"
        | "retry_storm"
        | "lambda_native"
        | "distributed_standard_children"
        | "distributed_without_batches" => 0,
        "timeout_missing"
        | "callback_without_timeout"
        | "heartbeat_missing"
        | "timeout_near_p99"
        | "timeout_far_above_p99"
        | "express_wait" => 1,
        "lambda_transient_errors"
        | "lambda_throttling"
        | "retry_unused"
        | "retry_without_max_delay"
        | "retry_without_jitter"
        | "retry_of_container"
        | "map_throttled"
        | "map_without_limit" => 2,
        "history_near_limit" | "payload_near_limit" | "map_large" | "map_starved" | "machine_large" => 4,
        "express_without_logs" | "logging_off" | "log_level_hides_timelines" | "log_group_prefix" => 5,
        "tracing_off" => 6,
        "data_in_logs" => 7,
        "role_shared" => 8,
        _ => 3,
    }
}
