//! The collector against emulators: LocalStack interprets machines for real, moto keeps traces, metrics and roles.

use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{assert_same, result, with_credentials};
use crate::emulator::{Caller, Emulator, SOMEBODY};
use crate::stand_in::real_us;
use crate::stepscope::Bench;

const EACH: usize = 35;

fn states(emulator: &Emulator, action: &str, body: &Value) -> Value {
    emulator.json(&SOMEBODY, "states", &format!("AWSStepFunctions.{action}"), body)
}

fn machine(emulator: &Emulator, name: &str, definition: &Value, express: bool, is_logged: bool) -> String {
    let mut body = json!({
        "name": name, "definition": definition.to_string(), "roleArn": "arn:aws:iam::000000000000:role/r",
        "type": if express { "EXPRESS" } else { "STANDARD" },
    });
    if is_logged {
        let group = format!("/aws/vendedlogs/states/{name}-Logs");
        emulator.json(&SOMEBODY, "logs", "Logs_20140328.CreateLogGroup", &json!({"logGroupName": group}));
        let arn = format!("arn:aws:logs:eu-west-1:000000000000:log-group:{group}:*");
        body["loggingConfiguration"] = json!({
            "level": "ALL", "includeExecutionData": false, "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": arn}}],
        });
    }
    states(emulator, "CreateStateMachine", &body)["stateMachineArn"].as_str().expect("an ARN").to_owned()
}

/// Six machines: Parallel, Map, Retry with Catch, a callback, choices with a wait, and an Express one.
fn machines(emulator: &Emulator) -> Vec<String> {
    let queue = emulator.json(&SOMEBODY, "sqs", "AmazonSQS.CreateQueue", &json!({"QueueName": "tokens"}));
    let queue = queue["QueueUrl"].clone();
    let pass = |name: &str| json!({"StartAt": name, "States": {name: {"Type": "Pass", "End": true}}});
    let parallel = json!({"StartAt": "Both", "States": {"Both": {
        "Type": "Parallel", "End": true, "Branches": [pass("Left"), {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 1, "End": true}}}],
    }}});
    let map = json!({"StartAt": "Each", "States": {"Each": {
        "Type": "Map", "ItemsPath": "$.items", "MaxConcurrency": 2, "End": true,
        "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}, "StartAt": "One", "States": {"One": {"Type": "Pass", "End": true}}},
    }}});
    let missing = json!({"QueueUrl": "http://127.0.0.1:1/000000000000/missing", "MessageBody": "x"});
    let retry = json!({"StartAt": "Try", "States": {
        "Try": {
            "Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": missing, "Next": "Done",
            "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1}],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}],
        },
        "Done": {"Type": "Succeed"}, "Caught": {"Type": "Fail", "Error": "Caught"},
    }});
    let callback = json!({"StartAt": "Ask", "States": {"Ask": {
        "Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", "TimeoutSeconds": 8, "End": true,
        "Parameters": {"QueueUrl": queue, "MessageBody": {"token.$": "$$.Task.Token"}},
    }}});
    let choice = json!({"StartAt": "Which", "States": {
        "Which": {"Type": "Choice", "Default": "Later", "Choices": [{"Variable": "$.now", "BooleanEquals": true, "Next": "Now"}]},
        "Now": {"Type": "Succeed"}, "Later": {"Type": "Wait", "Seconds": 1, "Next": "Now"},
    }});
    vec![
        machine(emulator, "parallel", &parallel, false, false),
        machine(emulator, "map", &map, false, false),
        machine(emulator, "retry", &retry, false, false),
        machine(emulator, "callback", &callback, false, false),
        machine(emulator, "choice", &choice, false, true),
        machine(emulator, "express", &map, true, true),
    ]
}

/// Answers callbacks, half of them at most; the others time out.
fn answer_callbacks(emulator: &Emulator) {
    let url =
        emulator.json(&SOMEBODY, "sqs", "AmazonSQS.GetQueueUrl", &json!({"QueueName": "tokens"}))["QueueUrl"].clone();
    let begun = Instant::now();
    let mut answered = 0;
    while answered < EACH / 2 && begun.elapsed() < Duration::from_secs(10) {
        let request = json!({"QueueUrl": url, "MaxNumberOfMessages": 10});
        let received = emulator.json(&SOMEBODY, "sqs", "AmazonSQS.ReceiveMessage", &request);
        for message in received["Messages"].as_array().into_iter().flatten() {
            let body: Value = serde_json::from_str(message["Body"].as_str().unwrap_or_default()).unwrap_or_default();
            let answer = json!({"taskToken": body["token"], "output": "{}"});
            // Some have timed out by now.
            let is_answered = emulator.try_json(&SOMEBODY, "states", "AWSStepFunctions.SendTaskSuccess", &answer);
            answered += usize::from(is_answered);
            if answered >= EACH / 2 {
                return;
            }
        }
    }
}

fn collect(bench: &Bench, address: &str) -> std::process::Command {
    let arguments = [
        "collect",
        "--endpoint-url",
        address,
        "--region",
        "eu-west-1",
        "--source",
        "history,logs",
        "--share",
        "1",
        "-o",
        "json",
    ];
    let mut command = bench.command(&arguments);
    with_credentials(&mut command);
    command
}

/// What the API answers, as files.
fn answered(emulator: &Emulator, machines: &[String]) -> Bench {
    let bench = Bench::new();
    let mut lines = String::new();
    for arn in machines.iter().filter(|it| !it.ends_with(":express")) {
        let listed = states(emulator, "ListExecutions", &json!({"stateMachineArn": arn, "maxResults": 1000}));
        for it in listed["executions"].as_array().expect("executions") {
            let request = json!({"executionArn": it["executionArn"], "maxResults": 1000, "includeExecutionData": true});
            let history = states(emulator, "GetExecutionHistory", &request);
            lines += &format!("{}\n", json!({"executionArn": it["executionArn"], "events": history["events"]}));
        }
    }
    for name in ["express", "choice"] {
        let request = json!({"logGroupName": format!("/aws/vendedlogs/states/{name}-Logs"), "limit": 10_000});
        let logged = emulator.json(&SOMEBODY, "logs", "Logs_20140328.FilterLogEvents", &request);
        for it in logged["events"].as_array().expect("events") {
            let message = it["message"].as_str().unwrap_or_default();
            if message.starts_with('{') {
                lines += &format!("{message}\n");
            }
        }
    }
    let path = bench.write("answers.jsonl", lines);
    bench.json(&["import", "--payloads", "none", &path.to_string_lossy()]);
    bench
}

#[test]
fn what_localstack_answers_is_stored_event_for_event_however_often_the_run_is_killed() {
    let emulator = Emulator::localstack();
    let machines = machines(&emulator);
    let bench = Bench::new();
    let mut killed = 0;
    let mut kill_one = |after: u64| {
        let mut child =
            collect(&bench, &emulator.address()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        sleep(Duration::from_millis(after));
        child.kill().expect("it is ours");
        child.wait().expect("it ends");
        killed += 1;
    };
    for number in 0..EACH {
        for arn in &machines {
            let input = json!({"items": [1, 2, 3], "now": number % 2 == 0}).to_string();
            states(
                &emulator,
                "StartExecution",
                &json!({"stateMachineArn": arn, "name": format!("run-{number}"), "input": input}),
            );
        }
        if number % 7 == 6 {
            // Also while executions run.
            kill_one(60 + 40 * number as u64);
        }
    }
    answer_callbacks(&emulator);
    let begun = Instant::now();
    for arn in machines.iter().filter(|it| !it.ends_with(":express")) {
        let running = || {
            let request = json!({"stateMachineArn": arn, "statusFilter": "RUNNING"});
            states(&emulator, "ListExecutions", &request)["executions"].as_array().map_or(0, Vec::len)
        };
        while running() > 0 {
            assert!(begun.elapsed() < Duration::from_secs(45), "executions of {arn} do not end");
            sleep(Duration::from_millis(200));
        }
    }
    for round in 0..5 {
        kill_one(100 + round * 150);
    }
    assert_eq!(killed, 10);
    result(&collect(&bench, &emulator.address()).output().expect("it runs"));
    let told = answered(&emulator, &machines);
    assert_eq!(told.rows("SELECT count(*) FROM executions"), [format!("[{}]", EACH * 6)]);
    assert_same(&bench, &told);
    let statuses = "SELECT machine, status, count(*) FROM executions GROUP BY ALL";
    assert_eq!(bench.rows(statuses), told.rows(statuses));
}

/// A trace of a machine, as a segment document.
fn segment(id: u32, seconds: f64) -> String {
    json!({
        "id": format!("{id:016x}"), "trace_id": format!("1-{:08x}-{id:024x}", whole(seconds)), "name": "orders",
        "start_time": seconds, "end_time": seconds + 1.5, "origin": "AWS::StepFunctions::StateMachine",
        "aws": {"resource_arn": format!("arn:aws:states:eu-west-1:123456789012:execution:orders:run-{id}")},
        "metadata": {"card": "4111-1111-secret"},
    })
    .to_string()
}

#[expect(clippy::cast_possible_truncation, reason = "seconds of this century")]
fn whole(seconds: f64) -> i64 {
    seconds as i64
}

#[test]
fn traces_metrics_and_roles_of_moto_are_read() {
    let emulator = Emulator::moto();
    let now = real_us();
    #[expect(clippy::cast_precision_loss, reason = "seconds of this century")]
    let seconds = (now / 1_000_000) as f64;
    let documents: Vec<String> = (0..12).map(|it| segment(it, seconds - 60.0 * f64::from(it) - 30.0)).collect();
    emulator.rest(&SOMEBODY, "xray", "/TraceSegments", &json!({"TraceSegmentDocuments": documents}));
    // A machine in the account of a role that asks for an external id, with a metric.
    let form = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::222222222222:role/obs&RoleSessionName=s&ExternalId=x";
    let assumed = emulator.query(&SOMEBODY, "sts", form);
    let key = assumed.split("<AccessKeyId>").nth(1).and_then(|it| it.split('<').next()).expect("a key").to_owned();
    let other = Caller { access_key: &key, region: "eu-west-1" };
    let definition = json!({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}).to_string();
    let create = json!({"name": "orders", "definition": definition, "roleArn": "arn:aws:iam::222222222222:role/r"});
    let made = emulator.json(&other, "states", "AWSStepFunctions.CreateStateMachine", &create);
    let arn = made["stateMachineArn"].as_str().expect("an ARN").to_owned();
    assert!(arn.contains(":222222222222:"), "{arn}");
    let hour = (now / 3_600_000_000 - 2) * 3_600;
    let metric = format!(
        "Action=PutMetricData&Version=2010-08-01&Namespace=AWS/States&MetricData.member.1.MetricName=ExecutionsStarted&MetricData.member.1.Value=7&MetricData.member.1.Timestamp={}&MetricData.member.1.Dimensions.member.1.Name=StateMachineArn&MetricData.member.1.Dimensions.member.1.Value={arn}",
        analyzer::time::format(analyzer::model::Timestamp((hour + 60) * 1_000_000))
    );
    emulator.query(&other, "monitoring", &metric);
    let bench = Bench::new();
    let run = |more: &[&str]| {
        let address = emulator.address();
        let arguments = ["collect", "--endpoint-url", &address, "--region", "eu-west-1", "-o", "json"];
        let mut command = bench.command(&arguments);
        with_credentials(command.args(more)).output().expect("it runs")
    };
    let traced = result(&run(&["--source", "xray"]));
    assert_eq!(traced["targets"][0]["segments"], 12, "{traced}");
    assert_eq!(bench.rows("SELECT count(*), count(DISTINCT execution_arn) FROM segments"), ["[12,12]"]);
    assert_eq!(bench.rows("SELECT count(*) FROM segments WHERE document LIKE '%4111-1111%'"), ["[0]"]);
    let role = ["--source", "metrics", "--role-arn", "arn:aws:iam::222222222222:role/obs", "--external-id", "x"];
    let measured = result(&run(&role));
    assert_eq!(measured["targets"][0]["account"], "222222222222", "{measured}");
    let stored = bench.rows("SELECT name, value, period_s FROM metrics");
    assert_eq!(stored, ["[\"ExecutionsStarted\",7.0,3600]"]);
}
