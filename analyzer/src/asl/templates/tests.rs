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
