//! CloudWatch Logs: groups of machines and of functions, read by range or followed.

use std::sync::Arc;

use serde_json::{Value, json};

use super::service::{Answer, Call, Service};
use super::world::{ACCOUNT, Machine, REGION, World};

/// Events of a page, and of an update of a stream: the most that there are.
const MOST: usize = 10_000;
const MOST_OF_UPDATE: usize = 500;
/// How late late events come.
const LATE_US: i64 = 8 * 60_000_000;
const DAY_US: i64 = 86_400_000_000;

/// Everything of a group in order of time: when, which run, which of its events.
pub(crate) struct GroupIndex(Vec<(i64, u32, u32)>);

impl GroupIndex {
    fn of(world: &World, group: &str) -> Self {
        let mut index = Vec::new();
        for (number, run) in world.runs.iter().enumerate() {
            let machine = &world.machines[run.machine];
            if machine.log_level == "OFF" || machine.group() != group {
                continue;
            }
            for (place, event) in run.template.events.iter().enumerate() {
                if machine.log_level == "ALL" || event.kind.ends_with("Failed") {
                    let at = run.start_us + event.offset_us;
                    index.push((at, u32::try_from(number).unwrap_or(0), u32::try_from(place).unwrap_or(0)));
                }
            }
        }
        index.sort_unstable();
        Self(index)
    }
}

impl Service {
    fn group(&self, name: &str) -> Arc<GroupIndex> {
        let mut groups = self.groups.lock().expect("the lock");
        let index = groups.entry(name.to_owned()).or_insert_with(|| Arc::new(GroupIndex::of(&self.world, name)));
        Arc::clone(index)
    }

    /// When an event can be read.
    fn readable_at(&self, &(at, run, place): &(i64, u32, u32)) -> i64 {
        let is_late = self.faults.chance("late", u64::from(run) << 20 | u64::from(place)).per_mille(self.late);
        if is_late { at + LATE_US } else { at }
    }

    fn message(&self, &(at, run, place): &(i64, u32, u32)) -> (i64, String) {
        let run = &self.world.runs[run as usize];
        (at / 1_000, run.template.events[place as usize].message(run.start_us, &run.arn, false))
    }

    /// An update of a stream: what came between two instants, cut off where there is much.
    pub(super) fn tailed(&self, groups: &[String], from: i64, to: i64) -> String {
        let mut results = Vec::new();
        for arn in groups {
            let name = arn.split(':').nth(6).unwrap_or(arn);
            let index = self.group(name);
            let first = index.0.partition_point(|it| it.0 <= from);
            for it in index.0[first..].iter().take_while(|it| it.0 <= to).filter(|it| self.readable_at(it) <= to) {
                let (ms, message) = self.message(it);
                results.push(json!({
                    "logStreamName": "states/x", "logGroupIdentifier": format!("{ACCOUNT}:{name}"), "message": message,
                    "timestamp": ms, "ingestionTime": ms,
                }));
            }
        }
        let is_sampled = results.len() > MOST_OF_UPDATE;
        results.truncate(MOST_OF_UPDATE);
        json!({"sessionMetadata": {"sampled": is_sampled}, "sessionResults": results}).to_string()
    }
}

impl Call<'_> {
    pub(super) fn describe_log_groups(&mut self) -> Answer {
        let prefix = self.text("logGroupNamePrefix");
        let is_function = prefix.starts_with("/aws/lambda/");
        let names = self.service.world.machines.iter().filter(|it| it.log_level != "OFF").map(Machine::group);
        let names = names.chain(is_function.then(|| prefix.to_owned())).filter(|it| it.starts_with(prefix));
        let group = |name: String| {
            json!({
                "logGroupName": name, "arn": format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}:*"),
                "creationTime": (super::world::BEGIN_US - 30 * DAY_US) / 1_000, "retentionInDays": 30, "storedBytes": 1,
            })
        };
        Answer::ok(&json!({"logGroups": names.map(group).collect::<Vec<Value>>()}))
    }

    pub(super) fn filter_log_events(&mut self) -> Answer {
        let named = self.text("logGroupName");
        let name = if named.is_empty() {
            self.text("logGroupIdentifier").split(':').nth(6).unwrap_or_default()
        } else {
            named
        };
        if name.starts_with("/aws/lambda/") {
            return self.reports();
        }
        let world = &self.service.world;
        // A group of another account is known by its ARN alone.
        let is_named = |it: &Machine| it.group() == name && (named.is_empty() || it.group_account == ACCOUNT);
        if !world.machines.iter().any(is_named) {
            return Answer::error(400, "ResourceNotFoundException", "The specified log group does not exist.");
        }
        let index = self.service.group(name);
        let ms = |key: &str, usual: i64| self.body.get(key).and_then(Value::as_i64).unwrap_or(usual);
        let (from, to) = (ms("startTime", 0), ms("endTime", i64::MAX / 1_000));
        let first = index.0.partition_point(|it| it.0 / 1_000 < from);
        let last = index.0.partition_point(|it| it.0 / 1_000 <= to);
        let now = world.now_us();
        let readable: Vec<&(i64, u32, u32)> =
            index.0[first..last.max(first)].iter().filter(|it| self.service.readable_at(it) <= now).collect();
        let service = self.service;
        let print = |it: usize| {
            let place = readable[it];
            let (ms, message) = service.message(place);
            format!(
                "{{\"logStreamName\":\"states/x\",\"timestamp\":{ms},\"message\":{},\"ingestionTime\":{ms},\"eventId\":\"{}-{}\"}}",
                json!(message),
                place.1,
                place.2
            )
        };
        self.page("events", readable.len(), MOST, print)
    }

    /// A report of a function; others have other requests.
    fn reports(&mut self) -> Answer {
        let ms = self.service.world.now_us() / 1_000 - 3_600_000;
        let message = "REPORT RequestId: 6f2c\tDuration: 102.50 ms\tBilled Duration: 103 ms\tMemory Size: 512 MB\tMax Memory Used: 80 MB\t\n";
        let print = |_: usize| {
            json!({"logStreamName": "2026/x", "timestamp": ms, "message": message, "ingestionTime": ms, "eventId": "f"})
                .to_string()
        };
        self.page("events", 1, MOST, print)
    }

    pub(super) fn start_live_tail(&mut self) -> Answer {
        let arns = self.body.get("logGroupIdentifiers").and_then(Value::as_array).into_iter().flatten();
        Answer::LiveTail(arns.filter_map(Value::as_str).map(str::to_owned).collect())
    }
}
