//! A database of names that a terminal, a shell, a page or a spreadsheet would obey.

use serde_json::{Value, json};

use crate::stepscope::Bench;

pub(super) const ARNS: &str = "arn:aws:states:us-east-1:123456789012:";
/// When the last execution began: 2026-11-01.
pub(super) const NOW: &str = "2026-11-01T00:00:00Z";
const NOW_MS: i64 = 1_793_491_200_000;
const HOUR_MS: i64 = 3_600_000;

/// Names of every kind. Each begins a line and a cell, so that what is dangerous at a beginning is there.
pub(super) fn names() -> Vec<String> {
    [
        "\u{1b}]52;c;dG91Y2ggcHduZWQ=\u{7}",
        "\u{1b}]0;title\u{7}\u{1b}[2J\u{1b}[8m\u{1b}P1$q\u{1b}\\",
        "\u{9b}31m\u{9d}0;x\u{9c}\u{85}",
        "\u{202e}evil\u{2066}x\u{200f}y\u{2028}z\u{2029}\u{200b}\u{feff}\u{ad}\u{e0041}",
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "[x](javascript:alert(1)) ![y](http://e.example/z)",
        "=cmd|'/c calc'!A0",
        "+1+cmd",
        "-2+3",
        "@SUM(1+1)",
        "\t=1",
        "\r=1",
        "it'; touch pwned; '",
        "$(touch pwned)`touch pwned`\"; touch pwned; \"",
        "x\nFORGED line\r\nFORGED again",
        "`code` |cell| *b* _i_ ~~s~~ # h ```",
        "--db=FORGED",
        "zero\0end",
        "back\\slash \\u{1b} 100 % %s %n !! ~ $HOME",
        "名前 é 🙂",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// The name that as many commands as possible are about: all dangers in one.
pub(super) fn worst() -> String {
    // A colon parts ARNs; the names that have one are there by themselves.
    names().iter().filter(|it| !it.contains('\0')).map(|it| it.replace(':', ";")).collect::<String>() + "end"
}

struct Run<'a> {
    machine: &'a str,
    name: String,
    started_ms: i64,
    work_ms: i64,
    /// What its states are called, and how it fails.
    text: &'a str,
    fails: bool,
}

/// A history, as the AWS CLI prints it.
fn history(run: &Run<'_>) -> Value {
    let Run { machine, name, started_ms, work_ms, text, fails } = run;
    let at = |after: i64| {
        let ms = started_ms + after;
        json!(ms)
    };
    let resource = json!({"resourceType": format!("lambda{text}"), "resource": text});
    let mut events = vec![
        json!({"id": 1, "previousEventId": 0, "type": "ExecutionStarted", "timestamp": at(0),
            "executionStartedEventDetails": {"input": json!({"key": text}).to_string(), "stateMachineVersionArn": format!("{ARNS}stateMachine:{machine}:{}", if *fails { 2 } else { 1 })}}),
        json!({"id": 2, "previousEventId": 0, "type": "TaskStateEntered", "timestamp": at(1), "stateEnteredEventDetails": {"name": text, "input": text}}),
        json!({"id": 3, "previousEventId": 2, "type": "TaskScheduled", "timestamp": at(2), "taskScheduledEventDetails":
            {"resourceType": resource["resourceType"], "resource": resource["resource"], "region": "us-east-1", "parameters": text}}),
        json!({"id": 4, "previousEventId": 3, "type": "TaskStarted", "timestamp": at(5), "taskStartedEventDetails": resource}),
    ];
    let end = 5 + work_ms;
    if *fails {
        events.push(json!({"id": 5, "previousEventId": 4, "type": "TaskFailed", "timestamp": at(end), "taskFailedEventDetails":
            {"resourceType": resource["resourceType"], "resource": resource["resource"], "error": text, "cause": text}}));
        events.push(json!({"id": 6, "previousEventId": 5, "type": "ExecutionFailed", "timestamp": at(end + 1),
            "executionFailedEventDetails": {"error": text, "cause": format!("{text} {text}")}}));
    } else {
        events.push(json!({"id": 5, "previousEventId": 4, "type": "TaskSucceeded", "timestamp": at(end), "taskSucceededEventDetails":
            {"resourceType": resource["resourceType"], "resource": resource["resource"], "output": text}}));
        events.push(json!({"id": 6, "previousEventId": 5, "type": "TaskStateExited", "timestamp": at(end + 1), "stateExitedEventDetails": {"name": text, "output": text}}));
        events.push(json!({"id": 7, "previousEventId": 6, "type": "ExecutionSucceeded", "timestamp": at(end + 2), "executionSucceededEventDetails": {"output": text}}));
    }
    json!({"executionArn": format!("{ARNS}execution:{machine}:{name}"), "events": events})
}

fn definition(text: &str, next: &str) -> String {
    let states = json!({
        text: {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Comment": text, "Parameters": {"FunctionName": text}, "Next": next},
        next: {"Type": "Succeed"},
    });
    json!({"Comment": text, "StartAt": text, "States": states}).to_string()
}

/// Everything of it: each name as a machine with executions, and the worst of them with an incident.
pub(super) fn bench() -> Bench {
    let bench = Bench::new();
    let mut lines = Vec::new();
    for (number, name) in (0_i64..).zip(names()) {
        for fails in [false, true] {
            let started_ms = NOW_MS - HOUR_MS - number * 60_000;
            let own = format!("{name}{}", u8::from(fails));
            lines.push(history(&Run { machine: &name, name: own, started_ms, work_ms: 1_000, text: &name, fails }));
        }
    }
    let worst = worst();
    for number in 0..160_i64 {
        let is_late = number >= 110;
        lines.push(history(&Run {
            machine: &worst,
            name: format!("{worst}{number}"),
            started_ms: NOW_MS - 160 * 300_000 + number * 300_000,
            work_ms: 900 + number % 7 * 30 + if is_late { 8_000 } else { 0 },
            text: &worst,
            fails: is_late && number % 3 == 0,
        }));
    }
    let text = lines.iter().map(|it| it.to_string() + "\n").collect::<String>();
    import(&bench, "histories.ndjson", &text);
    for (number, next) in ["Done", "Done, with a word", "Done <b>"].into_iter().enumerate() {
        let described = json!({
            "stateMachineArn": format!("{ARNS}stateMachine:{worst}"), "name": worst, "status": "ACTIVE", "type": "STANDARD",
            "definition": definition(&worst, next), "roleArn": format!("arn:aws:iam::123456789012:role/{worst}"), "creationDate": 1_793_000_000 + number,
            "loggingConfiguration": {"level": "OFF"}, "tags": [{"key": worst, "value": worst}],
        });
        import(&bench, &format!("described-{number}.json"), &described.to_string());
    }
    let label = format!("label {worst}");
    let marked =
        bench.run(&["mark", "deploy", &worst, "--at", "2026-10-31T19:55:00Z", "--label", &label, "--now", NOW]);
    assert!(marked.status.success(), "{}", String::from_utf8_lossy(&marked.stderr));
    bench
}

fn import(bench: &Bench, name: &str, text: &str) {
    let path = bench.write(name, text).to_string_lossy().into_owned();
    let output = bench.run(&["import", &path]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Files that are checked, compared and imported, under names of the same kind.
pub(super) fn files(bench: &Bench) -> Vec<String> {
    let mut paths = Vec::new();
    for (number, name) in names().iter().filter(|it| !it.contains('\0')).enumerate() {
        let file: String = name.replace('/', "_");
        let text = definition(name, &format!("Gone {name}"));
        let path = format!("lint/{number}/{file}.asl.json");
        paths.push(
            bench.write(&path, text.replacen("\"Type\":\"Succeed\"", "\"Type\":\"Pass\",\"Next\":\"\\u001b[2J\"", 1)),
        );
        paths.push(bench.write(&format!("lint/{number}/{file}.yaml"), format!("StartAt: [\n# {name}")));
        paths.push(
            bench.write(&format!("lint/{number}/{file}.asl.yaml"), format!("StartAt: {}\n\tStates:\n", json!(name))),
        );
    }
    paths.iter().map(|it| it.to_string_lossy().into_owned()).collect()
}
