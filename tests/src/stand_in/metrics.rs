//! CloudWatch metrics and the caller's identity, in the query protocol.

use std::collections::BTreeMap;

use super::service::{Answer, Call};
use super::world::ACCOUNT;

const HOUR_US: i64 = 3_600_000_000;

impl Call<'_> {
    /// Counts of executions by the hour; of a machine that does not count, nothing.
    pub(super) fn metric_data(&mut self, form: &BTreeMap<String, String>) -> Answer {
        let at = |key: &str| form.get(key).and_then(|it| analyzer::time::parse(it)).map_or(0, |it| it.0);
        let (from, to) = (at("StartTime"), at("EndTime"));
        let mut results = String::new();
        for index in 1.. {
            let query = format!("MetricDataQueries.member.{index}");
            let Some(id) = form.get(&format!("{query}.Id")) else { break };
            let metric = format!("{query}.MetricStat.Metric");
            let name = form.get(&format!("{metric}.MetricName")).map_or("", String::as_str);
            let arn = form.get(&format!("{metric}.Dimensions.member.1.Value")).map_or("", String::as_str);
            let (mut times, mut values) = (String::new(), String::new());
            if name == "ExecutionsStarted" {
                for (hour, count) in self.started(arn, from, to) {
                    let time = analyzer::time::format(analyzer::model::Timestamp(hour));
                    times += &format!("<member>{time}</member>");
                    values += &format!("<member>{count}.0</member>");
                }
            }
            results += &format!(
                "<member><Id>{id}</Id><Label>{name}</Label><Timestamps>{times}</Timestamps><Values>{values}</Values><StatusCode>Complete</StatusCode></member>"
            );
        }
        Answer::Xml(format!(
            "<GetMetricDataResponse xmlns=\"http://monitoring.amazonaws.com/doc/2010-08-01/\"><GetMetricDataResult><MetricDataResults>{results}</MetricDataResults></GetMetricDataResult></GetMetricDataResponse>"
        ))
    }

    fn started(&self, machine_arn: &str, from: i64, to: i64) -> BTreeMap<i64, u64> {
        let world = &self.service.world;
        let Some((place, _)) = world.machine(machine_arn) else { return BTreeMap::new() };
        let mut hours = BTreeMap::new();
        for run in world.runs.iter().filter(|it| it.machine == place && it.child_of.is_none()) {
            if (from..to).contains(&run.start_us) {
                *hours.entry(run.start_us.div_euclid(HOUR_US) * HOUR_US).or_default() += 1;
            }
        }
        hours
    }
}

pub(super) fn identity() -> String {
    format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Arn>arn:aws:iam::{ACCOUNT}:user/somebody</Arn><UserId>U</UserId><Account>{ACCOUNT}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
    )
}
