//! What would collecting take, machine by machine, and what do a machine's settings make impossible?

use analyzer::model::{Micros, Name, Usd};
use analyzer::spans::Span;

use super::budget::Priority;
use super::call_prices::{CALL_PRICES, times};
use super::executions::{Listing, OVERLAP_US};
use super::logs::Group;
use super::probe::logging_command;
use super::walk::Walk;
use super::{Planned, executions, logs, metrics};
use crate::import::Stopped;

/// Entries of a page of executions or events.
const PAGE: u64 = 1_000;
/// Events of an execution where none is stored.
const MEAN_EVENTS: u64 = 30;
/// Bytes of a log event without payloads, and those of a page.
const LOG_EVENT_BYTES: u64 = 400;
const LOG_PAGE_BYTES: u64 = 1_000_000;

impl Walk<'_> {
    /// Reckons what every machine would take; only listings are read.
    pub(super) async fn make_plan(&self) -> Result<(), Stopped> {
        self.is_planning.set(true);
        if !self.find_machines().await? {
            return Ok(());
        }
        let groups = self.groups();
        let machines: Vec<Name> =
            self.machines.borrow().iter().filter(|(_, it)| it.described.is_some()).map(|it| it.0.clone()).collect();
        for arn in &machines {
            let planned = self.plan_of(arn, &groups).await?;
            self.plan.borrow_mut().push(planned);
        }
        Ok(())
    }

    async fn plan_of(&self, arn: &Name, groups: &[Group]) -> Result<Planned, Stopped> {
        let (is_express, settings) = self.with_machine(arn, |it| (it.is_express, it.settings.clone()));
        let sources = self.options.sources;
        let group = groups.iter().find(|it| matches!(&it.reason, logs::Reason::Machines(of) if of.contains(arn)));
        let level = settings.as_ref().map_or("OFF", |it| &it.log_level).to_owned();
        let is_logged = sources.logs && group.is_some();
        let logs_all = is_logged && level == "ALL";
        let mut limits = self.limits_of_settings(arn, is_express, &level);
        let executions = match is_express {
            true => self.started(arn).await?,
            false if sources.history => Some(self.listed_executions(arn).await?),
            false => None,
        };
        let events = self.mean_events.get(arn).copied().unwrap_or(MEAN_EVENTS).max(1);
        if !self.mean_events.contains_key(arn) {
            limits.push(format!("an execution is taken to have {MEAN_EVENTS} events: none is stored yet"));
        }
        let (mut calls, mut seconds) = (0, 0.0_f64);
        let budget = self.caller.budget.borrow().clone();
        let mut add = |api: &str, n_calls: u64| {
            calls += n_calls;
            seconds = seconds.max(budget.seconds(api, n_calls));
        };
        if is_logged {
            let bytes = executions.unwrap_or(0) * events * LOG_EVENT_BYTES;
            add("FilterLogEvents", 1 + bytes.div_ceil(LOG_PAGE_BYTES));
        }
        if !is_express && sources.history {
            let listed = executions.unwrap_or(0);
            add("ListExecutions", listed.div_ceil(PAGE).max(1));
            // What the logs tell in full is not asked for again.
            add("GetExecutionHistory", if logs_all { 0 } else { listed * events.div_ceil(PAGE) });
            if let Some(it) = budget.allowance("GetExecutionHistory").filter(|_| !logs_all) {
                limits.push(format!(
                    "GetExecutionHistory: {:.0} at once and {:.1} a second (the share of the quota that may be used)",
                    it.bucket, it.per_second
                ));
            }
        }
        let mut usd = Usd::ZERO;
        if sources.metrics {
            add("GetMetricData", 1);
            usd += times(CALL_PRICES.metric, metrics::count(is_express) as u64);
        }
        if sources.xray && settings.as_ref().is_some_and(|it| it.is_traced) {
            let traced = executions.unwrap_or(0);
            add("BatchGetTraces", 1 + traced.div_ceil(5));
            usd += times(CALL_PRICES.trace, 2 * traced);
            limits.push("X-Ray: at most as many traces as executions; sampling decides how many there are".to_owned());
        }
        if self.options.live_tail && is_logged {
            let per_month = times(CALL_PRICES.live_tail_minute, 60 * 24 * 30).as_f64();
            limits.push(format!("Live Tail: ${per_month:.0} a month for each ten log groups while following"));
        }
        // Calls of Step Functions' own API are not billed.
        let source = match (is_logged, is_express) {
            (true, true) => "logs",
            (true, false) if logs_all || !sources.history => "logs",
            (_, false) if sources.history => "history",
            _ => "none",
        };
        Ok(Planned {
            state_machine_arn: arn.to_string(),
            source: source.to_owned(),
            executions,
            calls,
            seconds,
            usd,
            limits,
        })
    }

    /// What the settings of a machine make impossible, and what would change that.
    fn limits_of_settings(&self, arn: &Name, is_express: bool, level: &str) -> Vec<String> {
        let mut limits = Vec::new();
        let settings = self.with_machine(arn, |it| it.settings.clone());
        let fix = logging_command(arn, settings.as_ref().and_then(|it| it.log_group_arn.as_deref()));
        match (&settings, is_express, level) {
            (None, ..) => limits.push("its settings cannot be read: its log group is not known".to_owned()),
            (_, true, "OFF") => limits.push(format!("Express without logs: nothing of it can be seen. `{fix}`")),
            (_, true, "ERROR" | "FATAL") => {
                limits.push(format!("Express with logs at level {level}: failures, but no timelines. `{fix}`"));
            }
            (_, true, _) if !self.options.sources.logs => {
                limits.push("Express: only its logs tell of it, and they are not among the sources".to_owned());
            }
            _ => {}
        }
        if settings.is_some_and(|it| !it.is_traced) && self.options.sources.xray {
            limits.push("tracing is off: cold starts are seen only in traces that callers begin".to_owned());
        }
        limits
    }

    /// Executions that would be read of a Standard machine.
    async fn listed_executions(&self, arn: &Name) -> Result<u64, Stopped> {
        let missing = self.missing(executions::SOURCE, arn, Micros(OVERLAP_US), self.horizon(&self.clock.moment()));
        let Some(first) = missing.first() else { return Ok(0) };
        let before = self.report.borrow().executions;
        let listing = Listing::Machine { machine_arn: arn, down_to: first.from };
        self.listed(listing, Priority::Fresh).await?;
        Ok(self.report.borrow().executions - before)
    }

    /// Executions that CloudWatch has counted of what is missing; `None` where it cannot be asked.
    async fn started(&self, arn: &Name) -> Result<Option<u64>, Stopped> {
        if !self.options.sources.metrics {
            return Ok(None);
        }
        let groups = self.groups();
        let group = groups.iter().find(|it| matches!(&it.reason, logs::Reason::Machines(of) if of.contains(arn)));
        let Some(group) = group else { return Ok(None) };
        let name = arn.rsplit(':').next().unwrap_or(arn);
        let to = self.horizon(&self.clock.moment());
        let missing = self.missing(logs::SOURCE, &format!("{} {name}", group.arn), self.options.overlap, to);
        let from = missing.first().map_or(to, |it| it.from);
        Ok(self.count_started(arn, Span { from, to }).await)
    }
}
