//! The definition of a simulated machine in the Amazon States Language.

use serde_json::{Map, Value, json};

use super::plan::{Attempts, Call, Plan, Step};

/// The definition that runs as the plan does.
pub fn definition(plan: &Plan) -> Value {
    let mut machine = flow(&plan.steps);
    machine["Comment"] = format!("Made up by stepscope: {}", plan.machine).into();
    machine
}

/// A list of states with its start.
fn flow(steps: &[Step]) -> Value {
    let mut states = Map::new();
    let start = place(steps, None, &mut states);
    // They were placed from the end to the start.
    let states: Map<String, Value> = states.into_iter().rev().collect();
    json!({"StartAt": start, "States": states})
}

/// Puts steps into the list, one after the other and then to `after`; returns the first state's name.
fn place(steps: &[Step], after: Option<&str>, states: &mut Map<String, Value>) -> String {
    let mut next = after.map(str::to_owned);
    for step in steps.iter().rev() {
        next = Some(place_one(step, next.as_deref(), states));
    }
    next.unwrap_or_default()
}

fn place_one(step: &Step, next: Option<&str>, states: &mut Map<String, Value>) -> String {
    let name = step.name().to_owned();
    let mut state = match step {
        Step::Pass(_) => json!({"Type": "Pass"}),
        Step::Wait(_, delay) => json!({"Type": "Wait", "Seconds": delay.typical_ms.div_ceil(1_000)}),
        Step::Task { call, attempts, .. } => task(*call, *attempts),
        Step::Succeed(_) => json!({"Type": "Succeed"}),
        Step::Fail { error, .. } => json!({"Type": "Fail", "Error": error}),
        Step::Parallel { branches, max_retries, .. } => {
            let branches: Vec<Value> = branches.iter().map(|it| flow(it)).collect();
            json!({"Type": "Parallel", "Branches": branches, "Retry": retry("States.ALL", *max_retries, 1_000)})
        }
        Step::Map { max_concurrency, body, max_retries, .. } => {
            let mut processor = flow(body);
            processor["ProcessorConfig"] = json!({"Mode": "INLINE"});
            json!({
                "Type": "Map", "ItemsPath": "$.items", "MaxConcurrency": max_concurrency, "ItemProcessor": processor,
                "Retry": retry("States.ALL", *max_retries, 1_000),
            })
        }
        Step::Choice { ways, .. } => {
            let targets: Vec<String> = ways.iter().map(|(_, steps)| place(steps, next, states)).collect();
            let rules: Vec<Value> = targets
                .iter()
                .enumerate()
                .skip(1)
                .map(|(way, target)| json!({"Variable": "$.way", "NumericEquals": way, "Next": target}))
                .collect();
            states.insert(name.clone(), json!({"Type": "Choice", "Choices": rules, "Default": targets.first()}));
            return name;
        }
        Step::Poll { wait, ask, decide, interval_ms, .. } => {
            let end = next.map_or_else(|| "Done".to_owned(), str::to_owned);
            if next.is_none() {
                states.insert(end.clone(), json!({"Type": "Succeed"}));
            }
            states.insert(
                (*wait).to_owned(),
                json!({"Type": "Wait", "Seconds": interval_ms.div_ceil(1_000), "Next": ask}),
            );
            let mut question = task(Call::Service("aws-sdk:glue", "getJobRun"), Attempts::sound());
            question["Next"] = (*decide).into();
            states.insert((*ask).to_owned(), question);
            states.insert(
                (*decide).to_owned(),
                json!({
                    "Type": "Choice", "Default": wait,
                    "Choices": [{"Variable": "$.state", "StringEquals": "READY", "Next": end}],
                }),
            );
            return (*wait).to_owned();
        }
    };
    let ends_by_itself = matches!(step, Step::Succeed(_) | Step::Fail { .. });
    match next {
        _ if ends_by_itself => {}
        Some(next) => state["Next"] = next.into(),
        None => state["End"] = true.into(),
    }
    let is_caught = matches!(step, Step::Task { attempts: Attempts { is_caught: true, .. }, .. })
        || matches!(step, Step::Parallel { is_caught: true, .. } | Step::Map { is_caught: true, .. });
    if let (true, Some(next)) = (is_caught, next) {
        state["Catch"] = json!([{"ErrorEquals": ["States.ALL"], "Next": next}]);
    }
    if let Some(fields) = state.as_object_mut() {
        fields.retain(|_, it| *it != json!([]));
    }
    states.insert(name.clone(), state);
    name
}

fn task(call: Call, attempts: Attempts) -> Value {
    let resource = match call {
        Call::Invoke => "arn:aws:states:::lambda:invoke".to_owned(),
        Call::Function => "arn:aws:lambda:us-east-1:123456789012:function:prepare".to_owned(),
        Call::Service(kind, action) => format!("arn:aws:states:::{kind}:{action}"),
        Call::Job(kind, action) => format!("arn:aws:states:::{kind}:{action}.sync"),
        Call::Token(kind, action) => format!("arn:aws:states:::{kind}:{action}.waitForTaskToken"),
        Call::Activity => "arn:aws:states:us-east-1:123456789012:activity:work".to_owned(),
    };
    let mut state = json!({"Type": "Task", "Resource": resource});
    state["Retry"] = retry(attempts.error, attempts.max_retries, attempts.interval_ms);
    state
}

fn retry(error: &str, max_retries: u32, interval_ms: u64) -> Value {
    if max_retries == 0 {
        return json!([]);
    }
    json!([{
        "ErrorEquals": [error], "IntervalSeconds": interval_ms.div_ceil(1_000), "MaxAttempts": max_retries, "BackoffRate": 2.0,
    }])
}

#[cfg(test)]
mod tests {
    use analyzer::asl::{StateMachine, problems};

    use super::*;
    use crate::synthetic::{api_enrich, image_ingest, ml_inference, order_processing};

    #[test]
    fn the_definitions_are_what_aws_would_take() {
        for plan in [order_processing(), image_ingest(), ml_inference(), api_enrich()] {
            let value = definition(&plan);
            let machine = StateMachine::from_value(&value).expect("a definition");
            assert_eq!(
                problems(&machine).iter().map(|it| it.message.clone()).collect::<Vec<_>>(),
                Vec::<String>::new()
            );
        }
    }
}
