//! What AWS refuses, one definition each.

use super::*;

fn said(text: &str) -> Vec<String> {
    let machine = StateMachine::parse(text).expect("a definition");
    problems(&machine).into_iter().map(|it| format!("{} {}", it.rule, it.path)).collect()
}

/// One state, which ends the machine.
fn check(state: &str, expected: &[&str]) {
    let found = said(&format!(r#"{{"StartAt":"A","States":{{"A":{{{state}}}}}}}"#));
    let expected: Vec<String> = expected.iter().map(|it| format!("invalid /States/A{it}")).collect();
    assert_eq!(found, expected, "{state}");
}

const TASK: &str = r#""Type":"Task","Resource":"arn:aws:states:::lambda:invoke","End":true"#;

#[test]
fn numbers_have_limits() {
    check(&format!(r#"{TASK},"TimeoutSeconds":0"#), &["/TimeoutSeconds"]);
    check(&format!(r#"{TASK},"TimeoutSeconds":5,"HeartbeatSeconds":5"#), &["/HeartbeatSeconds"]);
    check(&format!(r#"{TASK},"TimeoutSeconds":"${{T}}","HeartbeatSeconds":5"#), &[]);
    check(r#""Type":"Wait","Seconds":1.5,"End":true"#, &["/Seconds"]);
    check(r#""Type":"Wait","End":true"#, &[""]);
    check(r#""Type":"Wait","Timestamp":"tomorrow","End":true"#, &["/Timestamp"]);
    check(r#""Type":"Wait","Timestamp":"2026-11-26T07:00:00Z","End":true"#, &[]);
}

#[test]
fn handlers_are_in_order() {
    let retry = |text: &str, expected: &[&str]| check(&format!(r#"{TASK},"Retry":{text}"#), expected);
    retry(r#"[{"ErrorEquals":["States.ALL"]},{"ErrorEquals":["X"]}]"#, &["/Retry[0]/ErrorEquals"]);
    retry(r#"[{"ErrorEquals":["X","States.ALL"]}]"#, &["/Retry[0]/ErrorEquals"]);
    retry(
        r#"[{"ErrorEquals":["X"],"MaxAttempts":-1,"JitterStrategy":"HALF"}]"#,
        &["/Retry[0]/MaxAttempts", "/Retry[0]/JitterStrategy"],
    );
    retry(r#"[{"ErrorEquals":["X"],"MaxDelaySeconds":31622401}]"#, &["/Retry[0]/MaxDelaySeconds"]);
    retry("{}", &["/Retry"]);
    check(&format!(r#"{TASK},"Catch":[{{"ErrorEquals":["X"]}}]"#), &["/Catch[0]/Next"]);
}

#[test]
fn each_language_has_its_fields() {
    check(&format!(r#"{TASK},"Arguments":{{}}"#), &["/Arguments"]);
    check(&format!(r#"{TASK},"QueryLanguage":"JSONata","Parameters":{{}}"#), &["/Parameters"]);
    check(&format!(r#"{TASK},"QueryLanguage":"JSONata","Arguments":{{"a":"{{% 1"}}"#), &["/Arguments/a"]);
    check(&format!(r#"{TASK},"ResultPath":"x""#), &["/ResultPath"]);
    check(&format!(r#"{TASK},"ResultPath":null"#), &[]);
}

#[test]
fn rules_compare_one_thing() {
    let rule = |text: &str, expected: &[&str]| {
        let found = said(&format!(
            r#"{{"StartAt":"A","States":{{"A":{{"Type":"Choice","Choices":[{{{text},"Next":"B"}}]}},"B":{{"Type":"Succeed"}}}}}}"#
        ));
        let expected: Vec<String> = expected.iter().map(|it| format!("invalid /States/A/Choices[0]{it}")).collect();
        assert_eq!(found, expected, "{text}");
    };
    rule(r#""Variable":"$.a","StringEquals":"x""#, &[]);
    rule(r#""Variable":"$.a","StringEquals":1"#, &["/StringEquals"]);
    rule(r#""Variable":"$.a","StringLike":"x""#, &["/StringLike"]);
    rule(r#""Variable":"$.a","BooleanLessThan":true"#, &["/BooleanLessThan"]);
    rule(r#""StringEquals":"x""#, &["/Variable"]);
    rule(r#""Variable":"$.a","StringEquals":"x","NumericEquals":1"#, &[""]);
    rule(r#""And":[{"Variable":"$.a","IsPresent":true},{"Not":{"Variable":"$.b","NumericLessThanPath":"$.c"}}]"#, &[]);
    rule(r#""Or":[{"Variable":"$.a","IsPresent":1,"Next":"B"}]"#, &["/Or[0]/Next", "/Or[0]/IsPresent"]);
    rule(r#""Condition":"{% true %}""#, &["/Condition"]);
}

#[test]
fn ways_lead_somewhere_and_end() {
    let text = r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"Gone"},"B":{"Type":"Pass","Next":"A"}}}"#;
    assert_eq!(said(text), ["unreachable /States/B", "no_terminal_state /States", "missing_target /States/A/Next"]);
}

#[test]
fn express_has_no_jobs_tokens_activities_and_distributed_maps() {
    let text = r#"{"StartAt":"A","States":{
        "A":{"Type":"Task","Resource":"arn:aws:states:::glue:startJobRun.sync","Next":"B"},
        "B":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken","Next":"C"},
        "C":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","Next":"D"},
        "D":{"Type":"Map","End":true,"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},
            "StartAt":"I","States":{"I":{"Type":"Task","Resource":"arn:aws:states:::glue:startJobRun.sync","End":true}}}}}}"#;
    let machine = StateMachine::parse(text).expect("a definition");
    assert_eq!(problems(&machine), []);
    let paths: Vec<String> = express_problems(&machine).into_iter().map(|it| it.path).collect();
    let expected =
        ["/States/A/Resource", "/States/B/Resource", "/States/C/Resource", "/States/D/ItemProcessor/ProcessorConfig"];
    assert_eq!(paths, expected);
}
