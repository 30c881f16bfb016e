//! Definitions of others under the advisor's eyes: no false error on a valid one, an error on each that is meant to be invalid.

use serde_json::Value;

use crate::stepscope::{Bench, corpora};

/// The deliberately invalid definitions among the copied corpora; every other one is valid.
const INVALID: [&str; 23] = [
    "backoff-with-backoffrate-between-0-and-1",
    "backoff-with-backoffrate-negative",
    "choice-with-parameters",
    "choice-with-resultpath",
    "choice-with-resultselector",
    "empty-error-equals-on-catch",
    "fail-with-resultpath",
    "fail-with-resultselector",
    "has-dupes",
    "invalid-function-invocation",
    "linked-parallel",
    "map-with-itemprocessor-and-iterator",
    "no-terminal",
    "parameter-path-problems",
    "pass-with-resultselector",
    "succeed-with-parameters",
    "succeed-with-resultpath",
    "succeed-with-resultselector",
    "task-with-invalid-credentials",
    "task-with-static-and-dynamic-timeout",
    "wait-with-parameters",
    "wait-with-resultpath",
    "wait-with-resultselector",
];

fn stem(source: &str) -> &str {
    source.rsplit('/').next().unwrap_or(source).split('.').next().unwrap_or(source)
}

#[test]
fn exactly_the_invalid_definitions_have_errors() {
    let bench = Bench::new();
    let result = bench.json(&["lint", &corpora().join("asl").to_string_lossy()]);
    let findings = result["findings"].as_array().expect("findings");
    let mut wrong: Vec<&str> = findings
        .iter()
        .filter(|it| it["severity"] == "error")
        .filter_map(|it| it["source"].as_str())
        .map(stem)
        .collect();
    wrong.sort_unstable();
    wrong.dedup();
    assert_eq!(wrong, INVALID);
    assert!(result["definitions"].as_u64().is_some_and(|it| it > 80), "{}", result["definitions"]);
}

#[test]
fn findings_have_lines_and_thresholds_end_with_three() {
    let bench = Bench::new();
    let yaml = "StartAt: Ask\nStates:\n  Ask:\n    Type: Task\n    Resource: arn:aws:states:::sqs:sendMessage.waitForTaskToken\n    End: true\n";
    let path = bench.write("ask.asl.yaml", yaml.as_bytes());
    let path = path.to_string_lossy().into_owned();
    let result = bench.json(&["lint", &path]);
    let found = result["findings"].as_array().expect("findings");
    let of = |rule: &str| found.iter().find(|it| it["rule"] == rule).cloned().unwrap_or(Value::Null);
    assert_eq!(
        (&of("callback_without_timeout")["line"], &of("callback_without_timeout")["column"]),
        (&3.into(), &3.into())
    );
    for (severity, code) in [("error", 0), ("warning", 3), ("info", 3), ("fatal", 2)] {
        assert_eq!(bench.run(&["lint", &path, "--fail-on", severity]).status.code(), Some(code), "{severity}");
    }
    let sarif = bench.run(&["lint", &path, "--sarif"]);
    let sarif: Value = serde_json::from_slice(&sarif.stdout).expect("SARIF");
    assert_eq!(sarif["runs"][0]["results"].as_array().map(Vec::len), Some(found.len()));
}

/// A definition inside a template, as an object and as a text.
#[test]
fn definitions_inside_templates_are_found() {
    let bench = Bench::new();
    let inner = r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"Gone"}}}"#;
    let template = format!(
        r#"{{"Resources":{{"One":{{"Type":"AWS::Serverless::StateMachine","Properties":{{"Definition":{inner}}}}},
            "Two":{{"Type":"AWS::StepFunctions::StateMachine","Properties":{{"DefinitionString":{}}}}}}}}}"#,
        Value::from(inner)
    );
    let path = bench.write("template.json", template.as_bytes());
    let result = bench.json(&["lint", &path.to_string_lossy()]);
    assert_eq!(result["definitions"], 2);
    let errors = result["findings"].as_array().expect("findings").iter().filter(|it| it["severity"] == "error").count();
    assert!(errors >= 2);
}
