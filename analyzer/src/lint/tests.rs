//! What is advised, one rule after the other.

use super::*;
use crate::model::Micros;

fn found(text: &str, deployment: &Deployment, runs: Option<&Runs>) -> Vec<Finding> {
    let machine = StateMachine::parse(text).expect("a definition");
    lint(&Subject { machine: &machine, deployment, runs })
}

fn rules(text: &str) -> Vec<String> {
    found(text, &Deployment::default(), None).into_iter().map(|it| format!("{} {}", it.rule, it.path)).collect()
}

/// One state that ends the machine; `timeout_missing` aside.
fn check(state: &str, expected: &[&str]) {
    let text = format!(r#"{{"StartAt":"A","States":{{"A":{{{state},"End":true}}}}}}"#);
    let mut said = rules(&text);
    said.retain(|it| !it.starts_with("timeout_missing"));
    assert_eq!(said, expected, "{state}");
}

const POLL: &str = r#"{"StartAt":"W","States":{
    "W":{"Type":"Wait","Seconds":5,"Next":"T"},
    "T":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:glue:getJobRun","TimeoutSeconds":10,"Next":"C"},
    "C":{"Type":"Choice","Choices":[{"Variable":"$.s","StringEquals":"DONE","Next":"E"}],"Default":"W"},
    "E":{"Type":"Succeed"}, "X":{"Type":"Pass","Comment":"stepscope:ignore pass_does_nothing","End":true}}}"#;

const CHARGE: &str =
    r#""Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"charge"}"#;

#[test]
fn loops_and_lost_states_are_found_and_comments_spare() {
    assert_eq!(rules(POLL), ["unreachable /States/X", "polling_loop /States/W"]);
    let spared =
        POLL.replace(r#"{"StartAt":"W""#, r#"{"Comment":"stepscope:ignore polling_loop, unreachable.","StartAt":"W""#);
    assert_eq!(rules(&spared), Vec::<String>::new());
    assert_eq!(
        ignored_in("# stepscope:ignore polling_loop timeout_missing because it is so"),
        ["polling_loop", "timeout_missing"]
    );
}

#[test]
fn calls_of_functions() {
    check(CHARGE, &["lambda_transient_errors /States/A"]);
    let retried = format!(r#"{CHARGE},"Retry":[{{"ErrorEquals":["Lambda.ServiceException"]}}]"#);
    check(&retried, &["lambda_throttling /States/A/Retry"]);
    check(&format!(r#"{CHARGE},"Retry":[{{"ErrorEquals":["States.ALL"]}}]"#), &[]);
    let native = CHARGE.replace("charge", "prod-Put_Item-fn");
    check(&format!(r#"{native},"Retry":[{{"ErrorEquals":["States.ALL"]}}]"#), &["lambda_native /States/A/Resource"]);
}

#[test]
fn calls_of_machines() {
    let call = |pattern: &str, input: &str| {
        format!(
            r#""Type":"Task","Resource":"arn:aws:states:::states:startExecution{pattern}","TimeoutSeconds":9,"Parameters":{{"Input":{input}}}"#
        )
    };
    check(&call(".sync", r#"{"a":1}"#), &["nested_output_text /States/A/Resource", "nested_without_parent /States/A"]);
    check(&call(".sync:2", r#"{"AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID.$":"$$.Execution.Id"}"#), &[]);
}

#[test]
fn handlers_that_never_apply_retry_too_long_or_hide() {
    let retry = |parts: &str| format!(r#""Type":"Task","Resource":"arn:aws:states:::sns:publish","Retry":[{parts}]"#);
    check(
        &retry(r#"{"ErrorEquals":["States.TaskFailed"]},{"ErrorEquals":["SNS.Oops"]}"#),
        &["handler_never_applies /States/A/Retry[1]/ErrorEquals"],
    );
    check(&retry(r#"{"ErrorEquals":["States.TaskFailed"]},{"ErrorEquals":["States.Timeout"]}"#), &[]);
    check(
        &retry(r#"{"ErrorEquals":["X"],"IntervalSeconds":60,"MaxAttempts":12}"#),
        &["retry_without_max_delay /States/A/Retry[0]"],
    );
    check(&retry(r#"{"ErrorEquals":["X"],"IntervalSeconds":60,"MaxAttempts":12,"MaxDelaySeconds":600}"#), &[]);
    let hides = r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::sns:publish","TimeoutSeconds":9,
        "Catch":[{"ErrorEquals":["States.ALL"],"Next":"B"}],"Next":"B"},"B":{"Type":"Succeed"}}}"#;
    assert_eq!(rules(hides), ["catch_hides_failure /States/A/Catch[0]"]);
}

#[test]
fn maps() {
    let map = |fields: &str, config: &str| {
        format!(
            r#""Type":"Map",{fields}"ItemProcessor":{{"ProcessorConfig":{{{config}}},"StartAt":"I","States":{{"I":{{"Type":"Task","TimeoutSeconds":5,
            "Resource":"arn:aws:states:::lambda:invoke","Retry":[{{"ErrorEquals":["States.ALL"],"JitterStrategy":"FULL"}}],"End":true}}}}}}"#
        )
    };
    check(&map("", r#""Mode":"INLINE""#), &[]);
    check(
        &map("", r#""Mode":"DISTRIBUTED","ExecutionType":"STANDARD""#),
        &[
            "map_without_limit /States/A",
            "distributed_standard_children /States/A/ItemProcessor/ProcessorConfig/ExecutionType",
            "distributed_without_batches /States/A",
        ],
    );
    check(&map(r#""MaxConcurrency":9,"ItemBatcher":{},"#, r#""Mode":"DISTRIBUTED","ExecutionType":"EXPRESS""#), &[]);
}

#[test]
fn the_runs_have_their_say() {
    let charge = StateRuns {
        visits: 200,
        retries: 50,
        p99: Some(Micros::from_seconds(9)),
        fatal: [("Oops".into(), 3)].into(),
        errors: [("Oops".into(), 53)].into(),
        ..StateRuns::default()
    };
    let runs = Runs {
        executions: 200,
        most_events: 24_000,
        per_transition: Some(Usd::from_atto(25_000_000_000_000)),
        states: [("T".into(), charge), ("W".into(), StateRuns { visits: 200, ..StateRuns::default() })].into(),
        ..Runs::default()
    };
    let found = found(POLL, &Deployment::default(), Some(&runs));
    let said = |rule: &str| {
        found.iter().find(|it| it.rule == rule).map(|it| (it.path.clone(), it.evidence.clone().unwrap_or_default()))
    };
    assert_eq!(
        said("timeout_near_p99"),
        Some(("/States/T/TimeoutSeconds".into(), "the p99 of its attempts is 9.0 s in 200 visits".into()))
    );
    assert_eq!(said("error_uncaught"), Some(("/States/T".into(), "3 of 200 executions failed with it here".into())));
    assert_eq!(said("retry_storm"), Some(("/States/T/Retry".into(), "50 retries in 200 visits, 0.00125 USD".into())));
    assert_eq!(
        said("polling_loop"),
        Some(("/States/W".into(), "450 transitions in 200 executions, 0.01125 USD".into()))
    );
    assert_eq!(said("history_near_limit"), Some((String::new(), "the longest has 24000 events".into())));
}

#[test]
fn starved_maps_and_unused_handlers_are_told_from_runs() {
    let text = r#"{"StartAt":"M","States":{"M":{"Type":"Map","MaxConcurrency":2,"End":true,"ItemProcessor":{"StartAt":"I","States":{
        "I":{"Type":"Task","Resource":"arn:aws:states:::sns:publish","TimeoutSeconds":5,"End":true,
            "Retry":[{"ErrorEquals":["A"],"JitterStrategy":"FULL"},{"ErrorEquals":["B"],"JitterStrategy":"FULL"}]}}}}}}"#;
    let map = MapRuns {
        visits: 10,
        items_p50: 20,
        most_items: 60,
        duration_p50: Micros::from_seconds(10),
        longest_item_p50: Micros::from_seconds(1),
    };
    let item = StateRuns { visits: 200, errors: [("A".into(), 2)].into(), ..StateRuns::default() };
    let runs = Runs {
        executions: 10,
        states: [("M".into(), StateRuns { visits: 10, map: Some(map), ..StateRuns::default() }), ("I".into(), item)]
            .into(),
        ..Runs::default()
    };
    let said: Vec<String> = found(text, &Deployment::default(), Some(&runs))
        .into_iter()
        .map(|it| format!("{} {}", it.rule, it.path))
        .collect();
    let inner = "/States/M/ItemProcessor/States/I/Retry[1]";
    assert_eq!(
        said,
        [
            "map_large /States/M".to_owned(),
            "map_starved /States/M/MaxConcurrency".into(),
            format!("retry_unused {inner}")
        ]
    );
}

#[test]
fn how_it_is_deployed() {
    let text = r#"{"StartAt":"A","States":{"A":{"Type":"Wait","Seconds":300,"End":true}}}"#;
    let deployment = Deployment {
        workflow_type: Some(WorkflowType::Express),
        log_level: Some("OFF".to_owned()),
        is_traced: Some(false),
        ..Deployment::default()
    };
    let said: Vec<&str> = found(text, &deployment, None).iter().map(|it| it.rule).collect();
    assert_eq!(said, ["express_without_logs", "tracing_off", "express_wait"]);
}

#[test]
fn every_rule_has_a_name_of_its_own_and_says_what_to_do() {
    let mut names: Vec<&str> = RULES.iter().map(|it| it.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), RULES.len());
    assert!(RULES.iter().all(|it| it.why.ends_with('.') && it.fix.ends_with('.')));
}
