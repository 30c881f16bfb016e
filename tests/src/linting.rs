//! Definitions of others under the advisor's eyes: no false error on a valid one, an error on each that is meant to be
//! invalid; and the forms in which it speaks.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use analyzer::asl::{Content, StateMachine, definitions_in};
use analyzer::lint::{Subject, lint};
use serde_json::Value;

use crate::stepscope::{Bench, corpora};

/// Every definition of the corpora with its verdict: valid, invalid, or a fragment that is no machine.
pub(crate) fn verdicts() -> Vec<[String; 3]> {
    let text = std::fs::read_to_string(corpora().join("asl/verdicts.csv")).expect("the list");
    let field = |line: &str, index: usize| line.splitn(3, ',').nth(index).unwrap_or_default().to_owned();
    text.lines().skip(1).map(|line| [field(line, 0), field(line, 1), field(line, 2)]).collect()
}

#[test]
fn exactly_the_invalid_definitions_have_errors() {
    let bench = Bench::new();
    let folder = corpora().join("asl");
    let result = bench.json(&["lint", &folder.to_string_lossy(), "--fail-on", "never"]);
    let prefix = format!("{}/", folder.display());
    let wrong: BTreeSet<String> = result["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter(|it| it["severity"] == "error")
        .filter_map(|it| Some(it["source"].as_str()?.trim_start_matches(&prefix).to_owned()))
        .collect();
    let listed = verdicts();
    let of =
        |verdict: &str| listed.iter().filter(|it| it[1] == verdict).map(|it| it[0].clone()).collect::<BTreeSet<_>>();
    assert_eq!(wrong, of("invalid"));
    // Every other one was read, and is one that AWS takes.
    let n_machines = of("valid").len() + of("invalid").len();
    assert!(result["definitions"].as_u64().is_some_and(|it| it + 5 > n_machines as u64), "{}", result["definitions"]);
    assert!(of("valid").len() > 400 && of("fragment").len() > 20);
}

#[test]
fn findings_have_lines_and_thresholds_end_with_three() {
    let bench = Bench::new();
    let yaml = "StartAt: Ask\nStates:\n  Ask:\n    Type: Task\n    Resource: arn:aws:states:::sqs:sendMessage.waitForTaskToken\n    End: true\n";
    let path = bench.write("ask.asl.yaml", yaml.as_bytes());
    let path = path.to_string_lossy().into_owned();
    let result = bench.json(&["lint", &path, "--fail-on", "never"]);
    let found = result["findings"].as_array().expect("findings");
    let of = |rule: &str| found.iter().find(|it| it["rule"] == rule).cloned().unwrap_or(Value::Null);
    assert_eq!(
        (&of("callback_without_timeout")["line"], &of("callback_without_timeout")["column"]),
        (&3.into(), &3.into())
    );
    for (severity, code) in [("error", 0), ("warning", 3), ("info", 3), ("never", 0), ("fatal", 2)] {
        assert_eq!(bench.run(&["lint", &path, "--fail-on", severity]).status.code(), Some(code), "{severity}");
    }
    let text =
        |more: &[&str]| String::from_utf8_lossy(&bench.run(&[&["lint", &path], more].concat()).stdout).into_owned();
    let line = format!("{path}:3:3: warning: `Ask` waits for an answer without a time-out [callback_without_timeout]");
    assert_eq!(text(&[]).lines().next(), Some(line.as_str()));
    assert!(text(&["--github"]).starts_with(&format!("::warning file={path},line=3,col=3,title=stepscope callback")));
    assert!(!text(&["--min-severity", "warning"]).contains("info: "));
    let sarif: Value = serde_json::from_str(&text(&["--sarif"])).expect("SARIF");
    let results = sarif["runs"][0]["results"].as_array().expect("results");
    assert_eq!(results.len(), found.len());
    let rules = sarif["runs"][0]["tool"]["driver"]["rules"].as_array().expect("rules");
    for it in results {
        let index = usize::try_from(it["ruleIndex"].as_u64().expect("an index")).expect("small");
        assert_eq!(rules[index]["id"], it["ruleId"]);
    }
    // A comment on the line or the one above spares it.
    let spared = yaml.replace(
        "  Ask:\n",
        "  # stepscope:ignore callback_without_timeout\n  Ask: # stepscope:ignore heartbeat_missing\n",
    );
    let path = bench.write("spared.asl.yaml", spared.as_bytes());
    assert_eq!(
        bench.json(&["lint", &path.to_string_lossy(), "--fail-on", "never"])["findings"],
        Value::Array(Vec::new())
    );
}

/// What a template says of the machine counts for the definition, wherever that is written.
#[test]
fn templates_say_how_their_definitions_are_deployed() {
    let bench = Bench::new();
    let sam = "Resources:\n  Orders:\n    Type: AWS::Serverless::StateMachine\n    Properties:\n      Type: EXPRESS\n      DefinitionUri: machines/orders.asl.json\n";
    bench.write("app/template.yaml", sam);
    let job = r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::glue:startJobRun.sync","End":true}}}"#;
    bench.write("app/machines/orders.asl.json", job);
    let terraform = "resource \"aws_sfn_state_machine\" \"bills\" {\n  type = \"EXPRESS\"\n  definition = <<EOF\n{\"StartAt\": \"A\", \"States\": {\n  \"A\": {\"Type\": \"Wait\", \"Seconds\": 400, \"Next\": \"B\"}}}\nEOF\n  logging_configuration {\n    level = \"ALL\"\n  }\n}\n";
    bench.write("app/main.tf", terraform);
    bench.write("app/node_modules/x/bad.asl.json", r#"{"StartAt":"A","States":{}}"#);
    let result = bench.json(&["lint", &bench.folder.path().join("app").to_string_lossy(), "--fail-on", "never"]);
    let said: Vec<String> = result["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|it| {
            let file = it["source"].as_str().and_then(|it| it.rsplit('/').next()).unwrap_or_default();
            let text = |key: &str| it[key].as_str().unwrap_or_default().to_owned();
            format!("{file}:{} {} {}", it["line"], text("machine"), text("rule"))
        })
        .filter(|it| !it.ends_with("tracing_off"))
        .collect();
    assert_eq!(
        said,
        [
            "orders.asl.json:1 Orders express_unsupported",
            "orders.asl.json:1 Orders express_without_logs",
            "main.tf:4 bills no_terminal_state",
            "main.tf:5 bills missing_target",
            "main.tf:5 bills express_wait",
        ]
        .map(str::to_owned)
        .into_iter()
        .collect::<Vec<_>>()
    );
}

#[test]
fn a_file_that_changes_is_looked_at_again() {
    let bench = Bench::new();
    let path = bench.write("a.asl.json", r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"}}}"#);
    let mut child = bench
        .command(&["lint", "--watch", &path.to_string_lossy()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines().map_while(Result::ok);
    assert!(lines.any(|it| it.contains("1 definitions in 1 files: 2 errors")), "the first look");
    bench.write("a.asl.json", r#"{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}"#);
    assert!(lines.any(|it| it.contains("1 definitions in 1 files: 0 errors")), "the second look");
    Command::new("kill").arg(child.id().to_string()).status().expect("kill");
    child.wait().expect("it ends");
}

#[test]
fn code_scanning_reads_the_sarif() {
    let bench = Bench::new();
    let folder = corpora().join("asl").to_string_lossy().into_owned();
    let path = bench.write("found.sarif", bench.run(&["lint", &folder, "--sarif"]).stdout);
    let found = bench.json(&["lint", &folder, "--fail-on", "never"]);
    let count = |severity: &str| {
        found["findings"].as_array().map_or(0, |all| all.iter().filter(|it| it["severity"] == severity).count())
    };
    let expected = format!("{} {} {}\n", count("error"), count("warning"), count("info"));
    assert_eq!(crate::exports::read_by("readers", "sarif_file", &[&path.to_string_lossy()]), expected);
}

#[test]
fn every_rule_has_a_page() {
    let bench = Bench::new();
    let rules = bench.json(&["lint", "--rules"]);
    let rules = rules["rules"].as_array().expect("rules");
    assert!(rules.len() > 45);
    for rule in rules {
        let name = rule["rule"].as_str().expect("a name");
        let page = String::from_utf8_lossy(&bench.run(&["lint", "--explain", name]).stdout).into_owned();
        assert!(page.starts_with(name) && page.contains("What to do: "), "{page}");
    }
    assert_eq!(bench.run(&["lint", "--explain", "none"]).status.code(), Some(2));
}

/// What is written by hand, cut off or made to harm is refused with a sentence.
#[test]
fn hostile_definitions_are_refused() {
    let bench = Bench::new();
    for (name, text, place) in [
        ("cut.json", "{\"StartAt\": \"A\",\n \"States\": [}", "2:13"),
        ("cut.yaml", "StartAt: A\nStates: [", ""),
        ("cut.tf", "a = 1\nb = {\n", ""),
    ] {
        let path = bench.write(name, text);
        let said = String::from_utf8_lossy(&bench.run(&["lint", &path.to_string_lossy()]).stdout).into_owned();
        assert!(said.starts_with(&format!("{}:{place}", path.display())), "{said}");
    }
    let deep = "[".repeat(200_000);
    for (name, text) in
        [("deep.json", deep.clone()), ("deep.yaml", format!("StartAt: {deep}")), ("deep.tf", format!("a = {deep}"))]
    {
        let path = bench.write(name, text);
        let output = bench.run(&["lint", &path.to_string_lossy()]);
        assert_eq!(output.status.code(), Some(3), "{name}: an error, and no broken stack");
    }
}

/// Real definitions, cut, flipped and doubled at random, in every notation: whatever comes out, it is answered.
#[test]
fn whatever_becomes_of_a_definition_it_is_answered() {
    let listed = verdicts();
    let mut random = collector::synthetic::Random::new(20_261_126);
    let mut n_read = 0;
    for (index, it) in listed.iter().enumerate() {
        let bytes = std::fs::read(corpora().join("asl").join(&it[0])).expect("a definition");
        for round in 0..20 {
            let mut bytes = bytes.clone();
            for _ in 0..=round % 4 {
                let mut below = |most: usize| usize::try_from(random.below(most.max(1) as u64)).unwrap_or(0);
                let (at, length) = (below(bytes.len()), below(40));
                let end = (at + length).min(bytes.len());
                match below(4) {
                    0 => bytes.truncate(at),
                    1 => drop(bytes.drain(at..end)),
                    2 => {
                        let piece = bytes[at..end].to_vec();
                        bytes.splice(at..at, piece);
                    }
                    _ => {
                        if let Some(byte) = bytes.get_mut(at) {
                            *byte = b"{}[]\":,$%0\n-"[below(12)];
                        }
                    }
                }
            }
            let text = String::from_utf8_lossy(&bytes);
            let own = if it[0].ends_with("yaml") { "a.yaml" } else { "a.json" };
            let name = if (index + round) % 5 == 0 { "a.tf" } else { own };
            for found in definitions_in(name, &text).unwrap_or_default() {
                if let Content::Here(Ok(value)) = &found.content
                    && let Ok(machine) = StateMachine::from_value(value)
                {
                    let subject = Subject { machine: &machine, deployment: &found.deployment, runs: None };
                    let places: Vec<usize> = lint(&subject).iter().map(|it| found.place(&it.path).line).collect();
                    assert!(places.iter().all(|it| *it > 0));
                    n_read += 1;
                }
            }
        }
    }
    assert!(n_read > 300, "{n_read} could still be read");
}

#[test]
fn the_documentation_has_every_rule() {
    let bench = Bench::new();
    let page = std::fs::read_to_string(corpora().join("../../docs/advisor.md")).expect("the page");
    for rule in bench.json(&["lint", "--rules"])["rules"].as_array().expect("rules") {
        let text = |key: &str| rule[key].as_str().unwrap_or_default().to_owned();
        let line = format!("| `{}` | {} | {} | {} |", text("rule"), text("severity"), text("why"), text("fix"));
        assert!(page.contains(&line), "{line}");
    }
}

#[test]
fn the_hook_lets_no_invalid_definition_into_a_commit() {
    let bench = Bench::new();
    let folder = bench.folder.path();
    let path = format!(
        "{}:{}",
        crate::stepscope::binary().parent().expect("a folder").display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=a", "-c", "user.email=a@example.com"]).args(arguments);
        command.current_dir(folder).env("PATH", &path).output().expect("git")
    };
    assert!(git(&["init", "--quiet"]).status.success());
    std::fs::copy(corpora().join("../../docs/deploy/pre-commit"), folder.join(".git/hooks/pre-commit"))
        .expect("the hook");
    bench.write("notes.json", "{\"a\": 1}");
    bench.write("m.asl.json", r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"Gone"}}}"#);
    git(&["add", "notes.json", "m.asl.json"]);
    let refused = git(&["commit", "-m", "x"]);
    assert!(!refused.status.success());
    let said = [refused.stdout, refused.stderr].concat();
    assert!(String::from_utf8_lossy(&said).contains("[missing_target]"), "{}", String::from_utf8_lossy(&said));
    bench.write("m.asl.json", r#"{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}"#);
    git(&["add", "m.asl.json"]);
    let taken = git(&["commit", "-m", "x"]);
    assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
}

/// What a reader of the findings trusts: a comment spares what it stands at alone, control characters stay out of the terminal,
/// what a template deploys from elsewhere is looked at, and showing less hides nothing from a threshold.
#[test]
fn findings_are_about_what_they_say() {
    let bench = Bench::new();
    let wait = |name: &str, comment: &str, next: &str| {
        format!(r#""{name}": {{"Type": "Task", "Resource": "arn:aws:states:::sns:publish", {comment} {next}}}"#)
    };
    let spare = r#""Comment": "stepscope:ignore timeout_missing","#;
    let text = format!(
        "{{\"StartAt\": \"A\", \"States\": {{\n{},\n{}}}}}",
        wait("A", spare, r#""Next": "B""#),
        wait("B", "", r#""End": true"#)
    );
    let path = bench.write("m.asl.json", text);
    let found = bench.json(&["lint", &path.to_string_lossy(), "--fail-on", "never"]);
    let states: Vec<&str> =
        found["findings"].as_array().expect("findings").iter().filter_map(|it| it["state"].as_str()).collect();
    assert_eq!(states, ["B"], "the comment in A does not spare B");
    let code = |more: &[&str]| bench.run(&[&["lint", &path.to_string_lossy()], more].concat()).status.code();
    assert_eq!(code(&["--min-severity", "error", "--fail-on", "info"]), Some(3));
    let evil = bench.write("evil.json", "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Pass\",\"Next\":\"\\u001b[2J\\nx.json:1:1: error: forged\"}}}");
    let said = String::from_utf8_lossy(&bench.run(&["lint", &evil.to_string_lossy()]).stdout).into_owned();
    assert!(!said.contains('\u{1b}') && !said.lines().any(|it| it.starts_with("x.json")), "{said}");
    let template = "Resources:\n  M:\n    Type: AWS::Serverless::StateMachine\n    Properties:\n      DefinitionUri: inner/m.asl.json\n  N:\n    Type: AWS::Serverless::StateMachine\n    Properties:\n      DefinitionUri: gone.json\n";
    let template = bench.write("template.yaml", template);
    bench.write("inner/m.asl.json", r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"}}}"#);
    let found = bench.json(&["lint", &template.to_string_lossy(), "--fail-on", "never"]);
    let rules: Vec<&str> =
        found["findings"].as_array().expect("findings").iter().filter_map(|it| it["rule"].as_str()).collect();
    assert!(rules.contains(&"missing_target") && rules.contains(&"not_read"), "{rules:?}");
    let folder = bench.folder.path().join("links");
    std::fs::create_dir_all(&folder).expect("a folder");
    for name in ["one", "two"] {
        std::os::unix::fs::symlink(".", folder.join(name)).expect("a link");
    }
    assert_eq!(bench.json(&["lint", &folder.to_string_lossy(), "--fail-on", "never"])["files"], 0);
}

/// What looks like a definition and cannot be read is an error with its place, also where only its folder was named.
#[test]
fn what_cannot_be_read_is_an_error_in_folders_too() {
    let bench = Bench::new();
    let cases: [(&str, &[u8], u64); 12] = [
        ("a/m.asl.yaml", b"StartAt: A\nStates:\n  A: {Type: Pass, End: true\n", 0),
        (
            "b/template.json",
            b"{\"Resources\":{\"M\":{\"Type\":\"AWS::StepFunctions::StateMachine\",\"Properties\":{",
            1,
        ),
        ("c/main.tf", b"resource \"aws_sfn_state_machine\" \"m\" {\n definition = jsonencode({ StartAt = \"A\"\n", 0),
        ("d/serverless.yml", b"stepFunctions:\n  stateMachines:\n\tm:\n      definition: {}\n", 3),
        ("e/sam.yaml", b"Resources:\n  M:\n    Type: AWS::Serverless::StateMachine\n   Properties: x\n", 4),
        ("f/m.asl.json", b"", 1),
        ("g/m.asl.yml", b"just a text", 1),
        ("h/m.asl.json", b"\xff\xfe{\0}\0", 1),
        ("i/m.asl.json", b"{\"a\": 1}", 1),
        ("j/utf16.json", b"\xff\xfeS\0t\0a\0r\0t\0A\0t\0", 1),
        ("k/m.asl.json", b"{\"StartAt\": \"A\",\n \"States\": {\"A\": {]}}", 2),
        (
            "l/twice.yaml",
            b"StartAt: A\nStates:\n  A: {Type: Pass, End: true}\n  A: {Type: Succeed, Next: B}\n B: 1\n",
            5,
        ),
    ];
    for (name, text, line) in cases {
        let path = bench.write(name, text);
        let folder = path.parent().expect("a folder").to_string_lossy().into_owned();
        let file = path.to_string_lossy().into_owned();
        for arguments in [&["lint", &folder][..], &["lint", &file], &["lint", "--skip-foreign", &file]] {
            let output = bench.run(&[arguments, &["-o", "json"]].concat());
            assert_eq!(output.status.code(), Some(3), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            let finding = &found["findings"][0];
            assert_eq!(
                (&finding["rule"], &finding["severity"]),
                (&"unreadable".into(), &"error".into()),
                "{name}: {finding}"
            );
            assert!(finding["message"].as_str().is_some_and(|it| it.len() > 8), "{name}: {finding}");
            assert!(line == 0 || finding["line"] == line, "{name}: {finding}");
            assert_eq!(finding["source"], file.as_str(), "{name}");
        }
        assert_eq!(bench.run(&["lint", &folder, "--fail-on", "never"]).status.code(), Some(0), "{name}");
    }
    // What is not meant to be one is nothing to speak of.
    for (name, text) in [("notes.yaml", "a: ["), ("notes.json", "{"), ("main.tf", "a = {"), ("data.json", "{\"a\": 1}")]
    {
        let path = bench.write(&format!("other/{name}"), text).to_string_lossy().into_owned();
        assert_eq!(bench.run(&["lint", "--skip-foreign", &path]).status.code(), Some(0), "{name}");
    }
    let folder = bench.folder.path().join("other").to_string_lossy().into_owned();
    assert_eq!(bench.json(&["lint", &folder])["findings"], Value::Array(Vec::new()));
}

/// Templates that the tools which deploy them read, though the standard of YAML is stricter.
#[test]
fn yaml_is_read_as_those_read_it_who_deploy_it() {
    let bench = Bench::new();
    let machine = "  Machine:\n    Type: AWS::StepFunctions::StateMachine\n    Properties:\n      RoleArn: !GetAtt Role.Arn\n      Definition:\n        StartAt: A\n        States:\n          A:\n            Type: Pass\n            Next: Missing\n";
    for (name, before) in [
        (
            "bracket",
            "  Role:\n    Properties:\n      Resource: [\n        !GetAtt \"A.Arn\",\n        !GetAtt \"B.Arn\"\n      ]\n",
        ),
        ("quotes", "  Role:\n    Properties:\n      Text: \"\n{\n}\"\n"),
        ("comment", "  Role:\n    Properties:\n      Text: \"x\"# y\n      List: [a]# b\n"),
        ("twice", "  Role:\n    Properties: {}\n    Properties: {}\n"),
        ("anchors", "  Role: &r\n    Properties: {a: 1}\n  Other:\n    <<: *r\n"),
    ] {
        for (form, text) in [
            ("lf", format!("Resources:\n{before}{machine}")),
            ("crlf", format!("\u{feff}Resources:\n{before}{machine}").replace('\n', "\r\n")),
        ] {
            let path = bench.write(&format!("{name}-{form}/template.yaml"), &text);
            let folder = path.parent().expect("a folder").to_string_lossy().into_owned();
            let result = bench.json(&["lint", &folder, "--fail-on", "never"]);
            let found = result["findings"].as_array().expect("findings");
            let target = found.iter().find(|it| it["rule"] == "missing_target");
            let line = text.lines().position(|it| it.contains("Missing")).map(|it| it + 1);
            assert_eq!(
                target.and_then(|it| it["line"].as_u64()).and_then(|it| usize::try_from(it).ok()),
                line,
                "{name}-{form}: {found:?}"
            );
            assert_eq!(found.iter().any(|it| it["rule"] == "duplicate_key"), name == "twice", "{name}-{form}");
        }
    }
}

#[test]
fn a_deployed_definition_that_cannot_be_read_is_an_error() {
    let bench = Bench::new();
    bench.write("inner/m.asl.json", b"{\"StartAt\": \"\xff\"}");
    let template = "Resources:\n  M:\n    Type: AWS::Serverless::StateMachine\n    Properties:\n      DefinitionUri: inner/m.asl.json\n";
    let path = bench.write("template.yaml", template);
    let output = bench.run(&["lint", &path.to_string_lossy(), "-o", "json"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("unreadable") && text.contains("m.asl.json"), "{text}");
}
