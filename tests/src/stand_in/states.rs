//! Step Functions.

use std::sync::Arc;

use serde_json::{Value, json};

use super::service::{Answer, Call};
use super::world::{Machine, REGION, Run};

/// Entries of a page: the most that the API gives.
const MOST: usize = 1_000;
const BEGIN_S: f64 = 1_780_000_000.0;

impl Call<'_> {
    pub(super) fn states(&mut self, action: &str) -> Answer {
        let world = &self.service.world;
        match action {
            "ListStateMachines" => {
                let print = |it: usize| {
                    let machine = &world.machines[it];
                    json!({
                        "stateMachineArn": machine.arn, "name": machine.name, "type": kind(machine), "creationDate": BEGIN_S,
                    })
                    .to_string()
                };
                self.page("stateMachines", world.machines.len(), MOST, print)
            }
            "DescribeStateMachine" => self.describe_state_machine(),
            "DescribeStateMachineForExecution" => {
                let Some(run) = world.run(self.text("executionArn")) else { return missing("ExecutionDoesNotExist") };
                let machine = &world.machines[run.machine];
                Answer::ok(&json!({
                    "stateMachineArn": machine.arn, "name": machine.name, "definition": machine.definition,
                    "roleArn": "arn:aws:iam::123456789012:role/x", "updateDate": BEGIN_S + 86_400.0,
                }))
            }
            "ListTagsForResource" => Answer::ok(&json!({"tags": [{"key": "team", "value": "payments"}]})),
            "ListStateMachineVersions" => {
                let Some((_, machine)) = world.machine(self.text("stateMachineArn")) else {
                    return missing("StateMachineDoesNotExist");
                };
                let version = |it: u64| json!({"stateMachineVersionArn": format!("{}:{it}", machine.arn), "creationDate": BEGIN_S + 3_600.0 * f64::from(u32::try_from(it).unwrap_or(0))});
                let versions: Vec<Value> = (1..=machine.versions).rev().map(version).collect();
                Answer::ok(&json!({"stateMachineVersions": versions}))
            }
            "ListStateMachineAliases" => {
                let Some((_, machine)) = world.machine(self.text("stateMachineArn")) else {
                    return missing("StateMachineDoesNotExist");
                };
                let alias = json!({"stateMachineAliasArn": format!("{}:live", machine.arn), "creationDate": BEGIN_S});
                let aliases = if machine.versions > 0 { vec![alias] } else { Vec::new() };
                Answer::ok(&json!({"stateMachineAliases": aliases}))
            }
            "DescribeStateMachineAlias" => {
                let alias = self.text("stateMachineAliasArn");
                let machine = alias.rsplit_once(':').map_or(alias, |it| it.0);
                let routes = json!([
                    {"stateMachineVersionArn": format!("{machine}:1"), "weight": 90},
                    {"stateMachineVersionArn": format!("{machine}:2"), "weight": 10},
                ]);
                Answer::ok(&json!({
                    "stateMachineAliasArn": alias, "name": "live", "routingConfiguration": routes, "creationDate": BEGIN_S,
                    "updateDate": BEGIN_S,
                }))
            }
            "ListExecutions" => self.list_executions(),
            "GetExecutionHistory" => self.history(),
            "ListMapRuns" => self.list_map_runs(),
            "DescribeMapRun" => self.describe_map_run(),
            "GetProducts" => self.products(),
            _ => Answer::error(400, "UnknownOperationException", action),
        }
    }

    fn describe_state_machine(&self) -> Answer {
        let arn = self.text("stateMachineArn");
        let world = &self.service.world;
        let Some((_, machine)) = world.machine(arn) else { return missing("StateMachineDoesNotExist") };
        let with_definition = self.text("includedData") != "METADATA_ONLY";
        if machine.is_encrypted && with_definition {
            return Answer::error(400, "KmsAccessDeniedException", "the key may not be used");
        }
        let definition = world.definitions_of_versions.get(arn).unwrap_or(&machine.definition);
        let mut described = json!({
            "stateMachineArn": arn, "name": machine.name, "type": kind(machine), "creationDate": BEGIN_S, "status": "ACTIVE",
            "roleArn": "arn:aws:iam::123456789012:role/x", "revisionId": "r1",
            "definition": if with_definition { definition.as_str() } else { "{}" },
            "tracingConfiguration": {"enabled": machine.is_traced},
            "loggingConfiguration": {"level": machine.log_level, "includeExecutionData": false},
        });
        if machine.is_encrypted {
            described["encryptionConfiguration"] =
                json!({"type": "CUSTOMER_MANAGED_KMS_KEY", "kmsKeyId": "arn:aws:kms:us-east-1:123456789012:key/k"});
        }
        if machine.log_level != "OFF" {
            let group = json!({"logGroupArn": format!("{}:*", machine.group_arn())});
            described["loggingConfiguration"]["destinations"] = json!([{"cloudWatchLogsLogGroup": group}]);
        }
        Answer::ok(&described)
    }

    /// Running ones first, then the others, the newest first.
    fn list_executions(&mut self) -> Answer {
        let world = &self.service.world;
        let (machine_arn, map_run) = (self.text("stateMachineArn").to_owned(), self.text("mapRunArn").to_owned());
        let now = world.now_us();
        let place = world.machine(&machine_arn).map(|it| it.0);
        if place.is_some_and(|it| world.machines[it].is_express) {
            return Answer::error(400, "StateMachineTypeNotSupported", "Express");
        }
        let key = (if map_run.is_empty() { machine_arn } else { map_run.clone() }, now);
        let known = self.service.listings.lock().expect("the lock").get(&key).cloned();
        let listed = known.unwrap_or_else(|| {
            let belongs = |run: &Run| match &run.child_of {
                Some(it) => *it == map_run,
                None => map_run.is_empty() && Some(run.machine) == place,
            };
            let mut listed: Vec<usize> = (0..world.runs.len())
                .filter(|it| belongs(&world.runs[*it]) && world.runs[*it].start_us <= now)
                .collect();
            listed.sort_by_key(|it| {
                let run = &world.runs[*it];
                std::cmp::Reverse(run.closed(now).map_or((1, run.start_us), |(at, _)| (0, at)))
            });
            let listed = Arc::new(listed);
            let mut listings = self.service.listings.lock().expect("the lock");
            if listings.len() > 64 {
                listings.clear();
            }
            listings.insert(key, Arc::clone(&listed));
            listed
        });
        let print = |it: usize| {
            let run = &world.runs[listed[it]];
            let machine = &world.machines[run.machine];
            let mut item = json!({
                "executionArn": run.arn, "stateMachineArn": machine.arn, "name": run.arn.rsplit(':').next(),
                "startDate": seconds(run.start_us), "status": "RUNNING", "redriveCount": run.redrives(now),
            });
            if let Some((at, kind)) = run.closed(now) {
                item["status"] = match kind {
                    "ExecutionTimedOut" => "TIMED_OUT".into(),
                    other => other.trim_start_matches("Execution").to_uppercase().into(),
                };
                item["stopDate"] = seconds(at).into();
            }
            if let Some(map_run) = &run.child_of {
                item["mapRunArn"] = map_run.as_str().into();
            }
            item.to_string()
        };
        self.page("executions", listed.len(), MOST, print)
    }

    fn history(&mut self) -> Answer {
        let world = &self.service.world;
        let Some(run) = world.run(self.text("executionArn")).filter(|it| !it.is_gone) else {
            return missing("ExecutionDoesNotExist");
        };
        let machine = &world.machines[run.machine];
        if machine.is_encrypted {
            return Answer::error(400, "KmsAccessDeniedException", "the key may not be used");
        }
        if machine.is_express {
            return Answer::error(400, "InvalidArn", "Express");
        }
        let count = run.n_events(world.now_us());
        let flag = |key: &str, usual: bool| self.body.get(key).and_then(Value::as_bool).unwrap_or(usual);
        let (is_reverse, with_data) = (flag("reverseOrder", false), flag("includeExecutionData", true));
        let print = |it: usize| {
            let it = if is_reverse { count - 1 - it } else { it };
            run.template.events[it].history(run.start_us, run.started.as_deref(), with_data)
        };
        self.page("events", count, MOST, print)
    }

    fn list_map_runs(&mut self) -> Answer {
        let world = &self.service.world;
        let arn = self.text("executionArn").to_owned();
        let Some(run) = world.run(&arn) else { return missing("ExecutionDoesNotExist") };
        let runs: Vec<Value> = run
            .started
            .iter()
            .map(|it| {
                let machine = &world.machines[run.machine];
                json!({"executionArn": arn, "mapRunArn": it, "stateMachineArn": machine.arn, "startDate": seconds(run.start_us)})
            })
            .collect();
        Answer::ok(&json!({"mapRuns": runs}))
    }

    fn describe_map_run(&mut self) -> Answer {
        let world = &self.service.world;
        let arn = self.text("mapRunArn").to_owned();
        let Some(parent) = world.runs.iter().find(|it| it.started.as_deref() == Some(arn.as_str())) else {
            return missing("ResourceNotFound");
        };
        let children = world.runs.iter().filter(|it| it.child_of.as_deref() == Some(arn.as_str())).count();
        let counts = json!({
            "pending": 0, "running": 0, "succeeded": children, "failed": 0, "timedOut": 0, "aborted": 0, "total": children,
            "resultsWritten": children,
        });
        Answer::ok(&json!({
            "mapRunArn": arn, "executionArn": parent.arn, "status": "SUCCEEDED", "startDate": seconds(parent.start_us),
            "maxConcurrency": 10, "toleratedFailurePercentage": 0.0, "toleratedFailureCount": 0, "itemCounts": counts,
            "executionCounts": counts,
        }))
    }

    /// Products as the Price List API prints them: a text each.
    fn products(&mut self) -> Answer {
        let product = |sku: &str, usage: &str, tiers: &[(&str, &str)]| {
            let dimension = |(begin, usd): &(&str, &str)| {
                (format!("{sku}.J.{begin}"), json!({"beginRange": begin, "pricePerUnit": {"USD": usd}, "unit": "x"}))
            };
            let dimensions: serde_json::Map<String, Value> = tiers.iter().map(dimension).collect();
            let product = json!({
                "product": {"sku": sku, "attributes": {"regionCode": "eu-west-3", "usagetype": usage}},
                "serviceCode": "AmazonStates", "publicationDate": "2026-11-20T00:00:00Z",
                "terms": {"OnDemand": {format!("{sku}.J"): {"priceDimensions": dimensions}}},
            });
            json!(product.to_string()).to_string()
        };
        let products = [
            product("A1", "EUW3-StateTransition", &[("0", "0.0000297000")]),
            product("A2", "EUW3-StepFunctions-Request", &[("0", "0.0000010000")]),
            product("A3", "EUW3-StepFunctions-GB-Second", &[("0", "0.0000166700"), ("3600000", "0.0000083300")]),
        ];
        self.page("PriceList", products.len(), 2, |it| products[it].clone())
    }
}

fn kind(machine: &Machine) -> &'static str {
    if machine.is_express { "EXPRESS" } else { "STANDARD" }
}

fn missing(code: &str) -> Answer {
    Answer::error(400, code, &format!("not there, in {REGION}"))
}

#[expect(clippy::cast_precision_loss, reason = "the protocol's timestamps are floating point seconds")]
pub(super) fn seconds(us: i64) -> f64 {
    us as f64 / 1e6
}
