//! How changes are told.

use super::*;

fn said(old: &str, new: &str) -> Vec<String> {
    let parse = |text: &str| StateMachine::parse(text).expect("a definition");
    changes(&parse(old), &parse(new)).into_iter().map(|it| it.what).collect()
}

fn machine(states: &str) -> String {
    format!(r#"{{"StartAt":"A","States":{{{states}}}}}"#)
}

#[test]
fn changes_read_like_a_release_note() {
    let old = machine(
        r#""A":{"Type":"Task","Resource":"arn:aws:states:::sns:publish","TimeoutSeconds":5,"Next":"B"},"B":{"Type":"Succeed"}"#,
    );
    let new = machine(
        r#""C":{"Type":"Succeed"},"A":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","TimeoutSeconds":9,"Next":"C","Comment":"c",
        "Parameters":{"QueueUrl":"q"}}"#,
    );
    assert_eq!(
        said(&old, &new),
        [
            "Succeed `B` is gone",
            "Succeed `C` is new",
            "`A` leads to `C` instead of `B`",
            "Parameters of `A` is new: {\"QueueUrl\":\"q\"}",
            "`A` calls `sqs:sendMessage` instead of `sns:publish`",
            "`A` times out after 9 s instead of 5 s",
        ]
    );
    assert_eq!(said(&old, &old), Vec::<String>::new());
}

#[test]
fn a_state_between_two_others_is_one_sentence() {
    let old = machine(r#""A":{"Type":"Pass","Next":"B"},"B":{"Type":"Succeed"}"#);
    let new =
        machine(r#""A":{"Type":"Pass","Next":"X"},"X":{"Type":"Wait","Seconds":3,"Next":"B"},"B":{"Type":"Succeed"}"#);
    assert_eq!(said(&old, &new), ["Wait `X` is new between `A` and `B`"]);
}

#[test]
fn another_name_is_no_other_state() {
    let old = machine(r#""A":{"Type":"Pass","Next":"Charge"},"Charge":{"Type":"Task","Resource":"x","End":true}"#);
    assert_eq!(said(&old, &old.replace("Charge", "ChargeCard")), ["`Charge` is now called `ChargeCard`"]);
}

#[test]
fn handlers_are_told_by_what_they_do() {
    let task = |more: &str| {
        machine(&format!(
            r#""A":{{"Type":"Task","Resource":"x",{more}"Next":"B"}},"B":{{"Type":"Succeed"}},"F":{{"Type":"Fail"}}"#
        ))
    };
    let old = task(r#""Retry":[{"ErrorEquals":["X"],"MaxAttempts":3}],"#);
    let new = task(
        r#""Retry":[{"ErrorEquals":["X"],"MaxAttempts":6,"IntervalSeconds":2},{"ErrorEquals":["Y","Z","W"],"JitterStrategy":"FULL"}],
        "Catch":[{"ErrorEquals":["States.ALL"],"Next":"F"}],"#,
    );
    assert_eq!(
        said(&old, &new),
        [
            "`A` retries `Y` and 2 more up to 3 times",
            "`A` retries `X`: up to 6 times instead of 3 times, first after 2 s instead of 1 s",
            "`A` catches `States.ALL` and goes on to `F`",
        ]
    );
}

#[test]
fn choices_are_told_by_where_they_lead() {
    let choice = |more: &str, value: u32| {
        machine(&format!(
            r#""A":{{"Type":"Choice","Choices":[{{"Variable":"$.a","NumericEquals":{value},"Next":"B"}}{more}],"Default":"C"}},
            "B":{{"Type":"Succeed"}},"C":{{"Type":"Succeed"}},"D":{{"Type":"Succeed"}}"#
        ))
    };
    let more = r#",{"Variable":"$.b","IsPresent":true,"Next":"D"}"#;
    assert_eq!(said(&choice("", 1), &choice(more, 1)), ["`A` leads to `D`, too, when $.b IsPresent true"]);
    assert_eq!(said(&choice(more, 1), &choice("", 1)), ["`A` leads no more to `D`, when $.b IsPresent true"]);
    let other = ["`A` leads to `B` when $.a NumericEquals 2 instead of when $.a NumericEquals 1"];
    assert_eq!(said(&choice("", 1), &choice("", 2)), other);
}

#[test]
fn what_is_inside_a_map_is_compared_state_by_state() {
    let map = |limit: u64, resource: &str, mode: &str| {
        machine(&format!(
            r#""A":{{"Type":"Map","MaxConcurrency":{limit},"End":true,"ItemProcessor":{{"ProcessorConfig":{{"Mode":"{mode}"}},"StartAt":"I",
            "States":{{"I":{{"Type":"Task","Resource":"{resource}","Parameters":{{"FunctionName":"{resource}"}},"End":true}}}}}}}}"#
        ))
    };
    assert_eq!(
        said(&map(5, "a", "INLINE"), &map(9, "b", "DISTRIBUTED")),
        [
            "`A` runs 9 items at once instead of 5 items",
            "the Map's mode is DISTRIBUTED instead of INLINE",
            "Parameters.FunctionName of `I` is `b` instead of `a`",
            "`I` calls `b` instead of `a`",
        ]
    );
}

#[test]
fn order_ways_and_what_is_kept_are_changes_too() {
    let task = |more: &str| {
        machine(&format!(
            r#""A":{{"Type":"Task","Resource":"x",{more}"Next":"B"}},"B":{{"Type":"Succeed"}},"F":{{"Type":"Fail"}}"#
        ))
    };
    let retry = |errors: &str| task(&format!(r#""Retry":[{errors}],"#));
    let (x, y) = (r#"{"ErrorEquals":["X"]}"#, r#"{"ErrorEquals":["Y","Z","V"]}"#);
    assert_eq!(
        said(&retry(&format!("{x},{y}")), &retry(&format!("{y},{x}"))),
        ["`A` looks for what to retry in another order"]
    );
    let other = y.replace("\"V\"", "\"W\"");
    assert_eq!(said(&retry(y), &retry(&other)).len(), 2, "one is new, one is gone");
    let kept = |more: &str| task(&format!(r#""Catch":[{{"ErrorEquals":["X"],{more}"Next":"F"}}],"#));
    assert_eq!(said(&kept(""), &kept(r#""ResultPath":null,"#)), ["`A` keeps something else of `X` that it catches"]);
    let choice = |first: &str, second: &str| {
        machine(&format!(
            r#""A":{{"Type":"Choice","Default":"B","Choices":[{{"Variable":"$.a","NumericEquals":1,"Next":"{first}"}},
            {{"Variable":"$.a","NumericEquals":2,"Next":"{second}"}}]}},"B":{{"Type":"Succeed"}},"C":{{"Type":"Fail"}}"#
        ))
    };
    let swapped = [
        "`A` leads to `B` when $.a NumericEquals 2 instead of when $.a NumericEquals 1",
        "`A` leads to `C` when $.a NumericEquals 1 instead of when $.a NumericEquals 2",
    ];
    assert_eq!(said(&choice("B", "C"), &choice("C", "B")), swapped);
    let text =
        |end: &str| machine(&format!(r#""A":{{"Type":"Pass","Result":"{}{end}","End":true}}"#, "same ".repeat(30)));
    assert_eq!(
        said(&text("old"), &text("new")),
        ["Result of `A` is …same same same same new` instead of …same same same same old`"]
    );
}

#[test]
fn branches_are_known_by_their_states() {
    let branch = |name: &str, seconds: u32| {
        format!(r#"{{"StartAt":"{name}","States":{{"{name}":{{"Type":"Wait","Seconds":{seconds},"End":true}}}}}}"#)
    };
    let parallel = |branches: &[String]| {
        machine(&format!(r#""A":{{"Type":"Parallel","End":true,"Branches":[{}]}}"#, branches.join(",")))
    };
    let (x, y, z) = (branch("X", 1), branch("Y", 2), branch("Z", 3));
    let old = parallel(&[x.clone(), y.clone(), z.clone()]);
    assert_eq!(said(&old, &parallel(&[z.clone(), y.clone(), x.clone()])), Vec::<String>::new());
    assert_eq!(said(&old, &parallel(&[y.clone(), z.clone()])), ["`A` has no branch any more that begins at `X`"]);
    let more = branch("W", 9);
    assert_eq!(said(&old, &parallel(&[x, y, z, more])), ["`A` has a new branch: `W`"]);
}
