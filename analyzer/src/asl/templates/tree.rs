//! Definitions in JSON and YAML: whole files, and state machines of CloudFormation, SAM, the CDK and the Serverless Framework.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::{Content, Deployment, Found, Origin, inside, workflow_type};
use crate::asl::intrinsics::{filled, is_filled_in};
use crate::asl::is_definition;
use crate::asl::places::Places;

pub(super) fn definitions(value: &Value, text: &str) -> Vec<Found> {
    let mut walk = Walk { places: Rc::new(Places::of_text(text)), found: Vec::new() };
    if is_definition(value) {
        walk.add_tree(None, value, Deployment::default(), String::new());
    } else {
        walk.visit(value, "", "");
    }
    walk.found
}

struct Walk {
    places: Rc<Places>,
    found: Vec<Found>,
}

impl Walk {
    fn add_tree(&mut self, name: Option<&str>, value: &Value, deployment: Deployment, path: String) {
        self.found.push(Found {
            name: name.map(str::to_owned),
            content: Content::Here(Ok(value.clone())),
            deployment,
            origin: Origin::Tree { places: Rc::clone(&self.places), path },
        });
    }

    /// Looks at a value whose key is `name`.
    fn visit(&mut self, value: &Value, name: &str, path: &str) {
        match value {
            Value::Object(fields) => {
                if is_definition(value) {
                    return self.add_tree(Some(name), value, Deployment::default(), path.to_owned());
                }
                if let Some((fields, path)) = machine_of(fields, path) {
                    return self.add_machine(name, fields, &path);
                }
                for (key, inner) in fields {
                    self.visit(inner, key, &format!("{path}/{key}"));
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.visit(item, name, &format!("{path}[{index}]"));
                }
            }
            // A machine of the Serverless Framework that lies in another file.
            Value::String(text) if path.contains("/stateMachines") && is_filled_in(text) => {
                self.unknown(name, &Deployment::default(), path);
            }
            _ => {}
        }
    }

    /// A machine whose definition is made at deployment, or lies elsewhere.
    fn unknown(&mut self, name: &str, deployment: &Deployment, path: &str) {
        self.found.push(Found {
            name: Some(name.to_owned()),
            content: Content::Unknown,
            deployment: deployment.clone(),
            origin: Origin::Behind(self.places.of(path)),
        });
    }

    fn add_machine(&mut self, name: &str, fields: &Map<String, Value>, path: &str) {
        let Value::Object(fields) = filled(&Value::Object(fields.clone())) else { return };
        let deployment = deployment(&fields);
        if let Some(file) = fields.get("DefinitionUri").and_then(Value::as_str) {
            let path = format!("{path}/DefinitionUri");
            self.found.push(Found {
                name: Some(name.to_owned()),
                content: Content::File(file.to_owned()),
                deployment: deployment.clone(),
                origin: Origin::Behind(self.places.of(&path)),
            });
        }
        if fields.contains_key("DefinitionS3Location") {
            self.unknown(name, &deployment, &format!("{path}/DefinitionS3Location"));
        }
        for key in ["Definition", "definition", "DefinitionString"] {
            let Some(value) = fields.get(key) else { continue };
            let path = format!("{path}/{key}");
            if let Some(tree) = value.get("Fn::ToJsonString") {
                self.add_tree(Some(name), tree, deployment.clone(), format!("{path}/Fn::ToJsonString"));
            } else if let Some(text) = value.as_str() {
                // What deployment fills in as a whole is not known here.
                if is_filled_in(text) {
                    self.unknown(name, &deployment, &path);
                    continue;
                }
                // A text in YAML's block form begins in a line of its own, below its key or that of its function.
                let inner = format!("{path}/Fn::Sub");
                let blocks = [path.clone(), format!("{path}[0]"), format!("{inner}[0]"), inner];
                let start = blocks.iter().find_map(|it| self.places.block(it));
                self.found.push(inside(name, text, deployment.clone(), start, self.places.of(&path)));
            } else {
                // What looks like no definition here is meant to be one.
                self.add_tree(Some(name), value, deployment.clone(), path);
            }
        }
    }
}

/// The properties of a state machine and their path, where an object is one.
fn machine_of<'a>(fields: &'a Map<String, Value>, path: &str) -> Option<(&'a Map<String, Value>, String)> {
    let kind = fields.get("Type").and_then(Value::as_str);
    if matches!(kind, Some("AWS::Serverless::StateMachine" | "AWS::StepFunctions::StateMachine")) {
        return Some((fields.get("Properties")?.as_object()?, format!("{path}/Properties")));
    }
    let is_serverless = path.contains("/stateMachines/") && fields.get("definition").is_some_and(|it| !it.is_array());
    is_serverless.then(|| (fields, path.to_owned()))
}

fn deployment(fields: &Map<String, Value>) -> Deployment {
    let get = |keys: &[&str]| keys.iter().find_map(|it| fields.get(*it));
    let logging = get(&["Logging", "LoggingConfiguration", "loggingConfig"]);
    let of =
        |value: Option<&Value>, keys: &[&str]| value.and_then(|it| keys.iter().find_map(|key| it.get(key))).cloned();
    let level = of(logging, &["Level", "level"]).and_then(|it| it.as_str().map(str::to_owned));
    let tracing = get(&["Tracing", "TracingConfiguration", "tracingConfig"]);
    let is_traced = of(tracing, &["Enabled", "enabled"]);
    let kind = get(&["StateMachineType", "Type", "type"]).and_then(Value::as_str);
    let group = logging.and_then(|it| it.pointer("/Destinations/0/CloudWatchLogsLogGroup/LogGroupArn"));
    Deployment {
        workflow_type: kind.is_none_or(|it| !it.contains("${")).then(|| workflow_type(kind)),
        // Without a word about it, nothing is logged and nothing traced; what is filled in is not known.
        log_level: match logging {
            None => Some("OFF".to_owned()),
            Some(it) if it.is_object() => {
                Some(level.unwrap_or_else(|| "OFF".to_owned())).filter(|it| !it.contains("${"))
            }
            Some(_) => None,
        },
        logs_execution_data: of(logging, &["IncludeExecutionData", "includeExecutionData"]).map(|it| is_true(&it)),
        log_group: group.and_then(Value::as_str).map(str::to_owned),
        is_traced: match is_traced {
            None => tracing.is_none_or(Value::is_object).then_some(false),
            Some(it) if it.is_boolean() || it.as_str().is_some_and(|it| it == "true" || it == "false") => {
                Some(is_true(&it))
            }
            Some(_) => None,
        },
        has_own_key: Some(get(&["EncryptionConfiguration"]).is_some()),
        role: get(&["Role", "RoleArn", "role"]).and_then(Value::as_str).map(str::to_owned),
    }
}

fn is_true(value: &Value) -> bool {
    value.as_bool().unwrap_or_else(|| value.as_str() == Some("true"))
}
