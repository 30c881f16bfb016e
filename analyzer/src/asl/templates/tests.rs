//! What is found in the templates of each tool, and where.

use super::*;

fn check(file: &str, text: &str, expected: &[&str]) {
    let found = definitions_in(file, text).expect("it is read");
    let said: Vec<String> = found
        .iter()
        .map(|it| {
            let (name, place) = (it.name.as_deref().unwrap_or("-"), it.place("/States/A"));
            let what = match &it.content {
                Content::Here(Ok(value)) => {
                    value.pointer("/States/A/Type").and_then(Value::as_str).unwrap_or("?").to_owned()
                }
                Content::Here(Err(error)) => error.to_string(),
                Content::File(file) => file.clone(),
                Content::Unknown => "unknown".to_owned(),
            };
            let kind = it.deployment.workflow_type.map_or("-", WorkflowType::as_str);
            let (level, traced) = (it.deployment.log_level.as_deref().unwrap_or("-"), it.deployment.is_traced);
            format!("{name} {what} {}:{} {kind} {level} {traced:?}", place.line, place.column)
        })
        .collect();
    assert_eq!(said, expected);
}

#[test]
fn cloudformation_and_sam_in_yaml() {
    let text = r#"
Resources:
  Plain:
    Type: AWS::Serverless::StateMachine
    Properties:
      Type: EXPRESS
      Logging: {Level: ALL, IncludeExecutionData: true}
      Tracing: {Enabled: true}
      Definition:
        StartAt: A
        States:
          A: {Type: Succeed}
  Text:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      DefinitionString: !Sub |
        {
          "StartAt": "A",
          "States": {
            "A": {"Type": "Wait", "Seconds": ${Seconds}, "End": true}
          }
        }
  Elsewhere:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri: machine/orders.asl.json
"#;
    check(
        "template.yaml",
        text,
        &[
            "Plain Succeed 12:11 EXPRESS ALL Some(true)",
            "Text Wait 20:13 STANDARD OFF Some(false)",
            "Elsewhere machine/orders.asl.json 26:7 STANDARD OFF Some(false)",
        ],
    );
}

#[test]
fn what_the_cdk_writes_is_joined() {
    let text = r#"{"Resources":{"M1":{"Type":"AWS::StepFunctions::StateMachine","Properties":{"DefinitionString":
        {"Fn::Join":["",["{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\",\"Resource\":\"",{"Fn::GetAtt":["F","Arn"]},"\",\"End\":true}}}"]]}}}}}"#;
    check("stack.template.json", text, &["M1 Task 1:77 STANDARD OFF Some(false)"]);
}

#[test]
fn the_serverless_framework() {
    let text = "stepFunctions:\n  stateMachines:\n    orders:\n      type: EXPRESS\n      loggingConfig: {level: ERROR}\n      definition:\n        StartAt: A\n        States:\n          A:\n            Type: Pass\n            End: true\n";
    check("serverless.yml", text, &["orders Pass 9:11 EXPRESS ERROR Some(false)"]);
}

#[test]
fn terraform() {
    let text = r#"
resource "aws_sfn_state_machine" "one" {
  type       = "EXPRESS"
  definition = jsonencode({
    StartAt = "A"
    States = {
      A = { Type = "Task", Resource = aws_lambda_function.f.arn, TimeoutSeconds = var.t, End = true }
    }
  })
  tracing_configuration { enabled = true }
}
resource "aws_sfn_state_machine" "two" {
  definition = <<-EOF
    {
      "StartAt": "A",
      "States": {
        "A": {"Type": "Wait", "Seconds": ${var.seconds}, "End": true}
      }
    }
  EOF
}
resource "aws_sfn_state_machine" "three" {
  definition = templatefile("${path.module}/m.asl.json", { a = 1 })
}
"#;
    check(
        "main.tf",
        text,
        &[
            "one Task 7:7 EXPRESS OFF Some(true)",
            "two Wait 17:9 STANDARD OFF Some(false)",
            "three m.asl.json 23:16 STANDARD OFF Some(false)",
        ],
    );
}

#[test]
fn a_definition_that_is_none_is_said_where_it_was_meant_to_be_one() {
    let text = r#"{"Resources":{"M":{"Type":"AWS::StepFunctions::StateMachine","Properties":{"DefinitionString":"{\"StartAt\""}}}}"#;
    let found = definitions_in("x.json", text).expect("it is read");
    assert!(matches!(&found[0].content, Content::Here(Err(_))));
}

/// What deployment fills in, in every form, is no error.
#[test]
fn what_is_filled_in_is_taken_for_any_value() {
    let errors = |file: &str, text: &str| -> Vec<String> {
        let found = definitions_in(file, text).expect("it is read");
        let here =
            found.iter().filter_map(|it| if let Content::Here(value) = &it.content { Some(value) } else { None });
        let machines =
            here.map(|it| crate::asl::StateMachine::from_value(it.as_ref().expect("read")).expect("a machine"));
        machines.flat_map(|it| crate::asl::problems(&it)).map(|it| format!("{} {}", it.path, it.message)).collect()
    };
    let yaml = r#"
Resources:
  M:
    Type: AWS::Serverless::StateMachine
    Properties:
      Definition:
        StartAt: A
        States:
          A:
            Type: Task
            Resource: !GetAtt F.Arn
            TimeoutSeconds: !Ref T
            Parameters: {a.$: !Ref P}
            Retry: [{ErrorEquals: [!Ref E], MaxAttempts: !Ref N, BackoffRate: !Ref R}]
            Next: B
          B: {Type: Wait, Seconds: !Ref T, Next: !Ref Next}
          C: {Type: Fail, Error: !Ref E, Cause: !Sub "${X} failed"}
"#;
    assert_eq!(errors("template.yaml", yaml), Vec::<String>::new());
    let serverless = "stepFunctions:\n  stateMachines:\n    m:\n      definition:\n        StartAt: A\n        States:\n          A:\n            Type: Task\n            Resource:\n              Fn::GetAtt: [hello, Arn]\n            End: true\n";
    assert_eq!(errors("serverless.yml", serverless), Vec::<String>::new());
    let cloudformation = r#"{"Resources":{"M":{"Type":"AWS::StepFunctions::StateMachine","Properties":{"DefinitionString":{"Fn::ToJsonString":{
        "StartAt":"A","States":{"A":{"Type":"Wait","Seconds":{"Ref":"T"},"End":true}}}}}}}}"#;
    assert_eq!(errors("stack.json", cloudformation), Vec::<String>::new());
    let terraform = r#"
locals { name = "A" }
resource "aws_sfn_state_machine" "m" {
  definition = jsonencode({
    StartAt = local.name
    States = {
      (local.name) = { Type = "Task", Resource = var.arn, Retry = local.retry, Next = var.x ? "B" : "C" }
      B = { Type = "Succeed" }
    }
  })
}
resource "aws_sfn_state_machine" "n" {
  definition = <<EOF
{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "${lookup(var.m, "k")}", "Parameters": ${jsonencode({ a = 1 })}, "End": true}}}
EOF
}
"#;
    assert_eq!(errors("main.tf", terraform), Vec::<String>::new());
    let whole = "Resources:\n  M:\n    Type: AWS::StepFunctions::StateMachine\n    Properties:\n      DefinitionString: !Ref Def\n      LoggingConfiguration: !If [P, {Level: ALL}, !Ref AWS::NoValue]\n";
    let found = definitions_in("x.yaml", whole).expect("it is read");
    assert_eq!((&found[0].content, &found[0].deployment.log_level), (&Content::Unknown, &None));
}
