//! How many executions were there really? CloudWatch counts them all, whether their events can be read or not.

use analyzer::model::{MetricPoint, Name, Observation, Timestamp};
use analyzer::spans::Span;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};

use super::budget::Priority;
use super::call::Refused;
use super::call_prices::CALL_PRICES;
use super::clock::Moment;
use super::walk::Walk;
use crate::import::Stopped;

/// The name under which spans of this source are stored.
pub(super) const SOURCE: &str = "metrics";
const NAMESPACE: &str = "AWS/States";
const PERIOD_S: i32 = 3_600;
const HOUR_US: i64 = 3_600_000_000;
/// Points may come or change this long after their hour.
const OVERLAP_US: i64 = 3 * HOUR_US;
/// CloudWatch keeps points of an hour this long.
const RETENTION_US: i64 = 455 * 24 * HOUR_US;
/// Queries of one call: the most that there can be.
const QUERIES: usize = 500;
/// What is asked for, and the statistic that makes sense of it.
const COUNTS: [(&str, &str); 7] = [
    ("ExecutionsStarted", "Sum"),
    ("ExecutionsSucceeded", "Sum"),
    ("ExecutionsFailed", "Sum"),
    ("ExecutionsTimedOut", "Sum"),
    ("ExecutionsAborted", "Sum"),
    ("ExecutionThrottled", "Sum"),
    ("ExecutionTime", "Average"),
];
const EXPRESS: [(&str, &str); 2] =
    [("ExpressExecutionBilledDuration", "Sum"), ("ExpressExecutionBilledMemory", "Average")];

struct Asked {
    machine_arn: Name,
    name: &'static str,
    statistic: &'static str,
}

/// Metrics that one machine is asked for.
pub(super) fn count(is_express: bool) -> usize {
    COUNTS.len() + if is_express { EXPRESS.len() } else { 0 }
}

impl Walk<'_> {
    /// Reads the hours that have ended since the last time, of every machine for which there are any.
    pub(super) async fn metrics(&self) -> Result<(), Stopped> {
        let begun = self.clock.moment();
        let now = self.clock.earlier(&begun);
        let to = Timestamp(now.0.div_euclid(HOUR_US) * HOUR_US);
        let mut due: Vec<(Name, Span, bool)> = Vec::new();
        for (arn, machine) in self.machines.borrow().iter().filter(|(_, it)| it.described.is_some()) {
            let (wanted, spans) = self.collected(SOURCE, arn);
            // Of an hour that is wanted in part, not all executions are read: it would count as missing.
            let whole = |at: i64| Timestamp((at + HOUR_US - 1).div_euclid(HOUR_US) * HOUR_US);
            let wanted = whole(wanted.0.max(now.0 - RETENTION_US));
            let Some(first) = spans.missing(Span { from: wanted, to }).first().copied() else { continue };
            // Where clocks differ the mark stays behind: the same hours are not paid for again and again.
            if self.metrics_read.borrow().get(arn) == Some(&to) {
                continue;
            }
            let from = whole(first.from.0 - OVERLAP_US).max(wanted);
            due.push((arn.clone(), Span { from, to }, machine.is_express));
        }
        let per_call = QUERIES / count(true);
        for machines in due.chunks(per_call) {
            if !self.metrics_of(machines, &begun).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn metrics_of(&self, machines: &[(Name, Span, bool)], begun: &Moment) -> Result<bool, Stopped> {
        let from = machines.iter().map(|it| it.1.from).min().unwrap_or_default();
        let to = machines.iter().map(|it| it.1.to).max().unwrap_or_default();
        let asked: Vec<Asked> = machines.iter().flat_map(|(arn, _, is_express)| asked(arn, *is_express)).collect();
        let queries: Vec<MetricDataQuery> = asked.iter().enumerate().map(|(index, it)| query(index, it)).collect();
        let mut token: Option<String> = None;
        loop {
            let request = || {
                let request = self.cloudwatch().get_metric_data().set_metric_data_queries(Some(queries.clone()));
                let request = request.start_time(date(from)).end_time(date(to));
                request.set_next_token(token.clone()).send()
            };
            let page = match self.call("GetMetricData", Priority::Fresh, request).await {
                Ok(page) => page,
                Err(refused) => {
                    self.refuse("metrics, and with them how many executions were not seen", &refused);
                    return Ok(false);
                }
            };
            if token.is_none() {
                self.spend(CALL_PRICES.metric, queries.len() as u64);
            }
            for result in page.metric_data_results() {
                let index = result.id().and_then(|it| it.strip_prefix('m')?.parse::<usize>().ok());
                let Some(asked) = index.and_then(|it| asked.get(it)) else { continue };
                for (at, value) in result.timestamps().iter().zip(result.values()) {
                    self.note_record(super::from_aws::timestamp(at));
                    self.observe(Observation::Metric(Box::new(MetricPoint {
                        machine_arn: asked.machine_arn.clone(),
                        name: asked.name.into(),
                        at: super::from_aws::timestamp(at),
                        period_s: u32::try_from(PERIOD_S).ok(),
                        value: *value,
                        unit: None,
                    })))?;
                }
            }
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        for (arn, span, _) in machines {
            self.mark(SOURCE, arn, *span, begun)?;
            self.metrics_read.borrow_mut().insert(arn.clone(), span.to);
        }
        Ok(true)
    }

    /// How many executions of a machine CloudWatch has counted; `None` where it does not say.
    pub(super) async fn count_started(&self, machine_arn: &Name, span: Span) -> Option<u64> {
        match self.count_started_or(machine_arn, span).await {
            Ok(count) => count,
            Err(refused) => {
                self.refuse("how many executions there are", &refused);
                None
            }
        }
    }

    pub(super) async fn count_started_or(&self, machine_arn: &Name, span: Span) -> Result<Option<u64>, Refused> {
        let asked = Asked { machine_arn: machine_arn.clone(), name: COUNTS[0].0, statistic: COUNTS[0].1 };
        let request = || {
            let request = self.cloudwatch().get_metric_data().metric_data_queries(query(0, &asked));
            request.start_time(date(span.from)).end_time(date(span.to)).send()
        };
        let page = self.call("GetMetricData", Priority::Fresh, request).await?;
        self.spend(CALL_PRICES.metric, 1);
        let values: Vec<f64> = page.metric_data_results().iter().flat_map(|it| it.values().iter().copied()).collect();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        Ok((!values.is_empty()).then(|| values.iter().sum::<f64>().round() as u64))
    }
}

fn asked(machine_arn: &Name, is_express: bool) -> Vec<Asked> {
    let express = EXPRESS.iter().filter(|_| is_express);
    let metric = |&(name, statistic)| Asked { machine_arn: machine_arn.clone(), name, statistic };
    COUNTS.iter().chain(express).map(metric).collect()
}

fn query(index: usize, asked: &Asked) -> MetricDataQuery {
    let machine = Dimension::builder().name("StateMachineArn").value(asked.machine_arn.as_str()).build();
    let metric = Metric::builder().namespace(NAMESPACE).metric_name(asked.name).dimensions(machine).build();
    let stat = MetricStat::builder().metric(metric).period(PERIOD_S).stat(asked.statistic).build();
    MetricDataQuery::builder().id(format!("m{index}")).metric_stat(stat).return_data(true).build()
}

fn date(at: Timestamp) -> DateTime {
    DateTime::from_secs(at.0.div_euclid(1_000_000))
}
