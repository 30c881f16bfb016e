//! Definitions in Terraform: `jsonencode({…})` and texts between `<<EOF` and `EOF`, of `aws_sfn_state_machine` and of locals.

use hcl_edit::Span;
use hcl_edit::expr::{Expression, ObjectKey};
use hcl_edit::structure::{Body, Structure};
use serde_json::{Map, Value};

use super::{Content, Deployment, Found, Origin, inside, workflow_type};
use crate::asl::places::{Lines, Place, Places};
use crate::asl::{ParseError, is_definition};

pub(super) fn definitions(text: &str) -> Result<Vec<Found>, ParseError> {
    let body = hcl_edit::parser::parse_body(text).map_err(|error| {
        let (at, said) = (error.location(), error.to_string());
        let reason = said.lines().last().unwrap_or_default().trim_start_matches([' ', '=']);
        ParseError::at(format!("not Terraform: {reason}"), at.line(), at.column())
    })?;
    let mut walk = Walk { text, lines: Lines::of(text), found: Vec::new() };
    walk.visit(&body, "", &Deployment::default());
    Ok(walk.found)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

struct Walk<'a> {
    text: &'a str,
    lines: Lines,
    found: Vec<Found>,
}

impl Walk<'_> {
    fn visit(&mut self, body: &Body, name: &str, around: &Deployment) {
        for structure in body {
            match structure {
                Structure::Attribute(it) => {
                    let name = if name.is_empty() { it.key.as_str() } else { name };
                    let n_before = self.found.len();
                    self.look(&it.value, name, around);
                    // A machine's definition that is not seen here is told.
                    let is_definition = around.workflow_type.is_some() || around.log_level.is_some();
                    if is_definition && it.key.as_str() == "definition" && self.found.len() == n_before {
                        let place = it.key.span().map_or(Place::START, |it| self.lines.place(it.start));
                        self.unknown(name, around, place);
                    }
                }
                Structure::Block(block) => {
                    let label = block.labels.last().map_or(name, |it| it.as_str()).to_owned();
                    let is_machine = block.labels.first().is_some_and(|it| it.as_str() == "aws_sfn_state_machine");
                    let own = if is_machine { self.deployment(&block.body) } else { around.clone() };
                    let label = if block.ident.as_str() == "locals" { "" } else { label.as_str() };
                    self.visit(&block.body, label, &own);
                }
            }
        }
    }

    /// Finds definitions in an expression, also as an argument of `jsonencode`.
    fn look(&mut self, expression: &Expression, name: &str, deployment: &Deployment) {
        match expression {
            Expression::FuncCall(call) if matches!(call.name.name.as_str(), "jsonencode" | "yamlencode") => {
                for argument in &call.args {
                    self.look(argument, name, deployment);
                }
            }
            Expression::FuncCall(call) if matches!(call.name.name.as_str(), "file" | "templatefile") => {
                let Some(written) = call.args.iter().next().and_then(|it| self.text.get(it.span()?)) else { return };
                let file = written.trim_matches('"').replace("${path.module}/", "").replace("${path.root}/", "");
                if !file.contains("${") {
                    let place = call.span().map_or(Place::START, |it| self.lines.place(it.start));
                    self.found.push(Found {
                        name: Some(name.to_owned()),
                        content: Content::File(file),
                        deployment: deployment.clone(),
                        origin: Origin::Behind(place),
                    });
                }
            }
            Expression::Parenthesis(it) => self.look(it.inner(), name, deployment),
            Expression::Object(_) => {
                let mut places = Places::default();
                self.put("", expression.span(), &mut places);
                let value = self.value(expression, "", &mut places);
                if is_definition(&value) {
                    let origin = Origin::Text { places, start: Place::START };
                    let (name, deployment) = (Some(name.to_owned()), deployment.clone());
                    self.found.push(Found { name, content: Content::Here(Ok(value)), deployment, origin });
                } else if let Expression::Object(fields) = expression {
                    for (_, value) in fields {
                        self.look(value.expr(), name, deployment);
                    }
                }
            }
            Expression::HeredocTemplate(_) => {
                let Some((text, start)) = self.heredoc(expression) else { return };
                self.add_text(name, &text, deployment, Some(start), start);
            }
            Expression::String(_) | Expression::StringTemplate(_) => {
                let Some((written, span)) = expression.span().and_then(|it| Some((self.text.get(it.clone())?, it)))
                else {
                    return;
                };
                // JSON's escapes are those of Terraform, as far as a definition needs them.
                if let Ok(text) = serde_json::from_str::<String>(written) {
                    self.add_text(name, &text, deployment, None, self.lines.place(span.start));
                }
            }
            _ => {}
        }
    }

    fn unknown(&mut self, name: &str, deployment: &Deployment, place: Place) {
        let (name, deployment) = (Some(name.to_owned()), deployment.clone());
        self.found.push(Found { name, content: Content::Unknown, deployment, origin: Origin::Behind(place) });
    }

    fn add_text(&mut self, name: &str, text: &str, deployment: &Deployment, start: Option<Place>, key: Place) {
        if !text.contains("StartAt") || !text.contains("States") {
            return;
        }
        if has_directives(text) {
            self.unknown(name, deployment, key);
        } else {
            self.found.push(inside(name, text, deployment.clone(), start, key));
        }
    }

    /// The lines between the marks, as written, without the indentation that they share.
    fn heredoc(&self, expression: &Expression) -> Option<(String, Place)> {
        let span = expression.span()?;
        let written = self.text.get(span.clone())?;
        let from = written.find('\n')? + 1;
        let inner = written.get(from..)?.trim_end();
        let to = if inner.ends_with(['}', ']']) { inner.len() } else { inner.rfind('\n')? };
        let lines: Vec<&str> = inner[..to].lines().collect();
        let indent = |it: &str| it.len() - it.trim_start().len();
        let shared = lines.iter().filter(|it| !it.trim().is_empty()).map(|it| indent(it)).min().unwrap_or(0);
        let text: Vec<&str> = lines.iter().map(|it| it.get(shared..).unwrap_or_default()).collect();
        let start = self.lines.place(span.start + from);
        Some((text.join("\n"), Place { line: start.line, column: shared + 1 }))
    }

    /// The value of an expression; what is not written down stands as `${…}`.
    fn value(&self, expression: &Expression, path: &str, places: &mut Places) -> Value {
        match expression {
            Expression::Null(_) => Value::Null,
            Expression::Bool(it) => Value::from(**it),
            Expression::Number(it) => it.as_i64().map_or_else(|| Value::from(it.as_f64()), Value::from),
            Expression::String(it) => Value::from(it.as_str()),
            Expression::Parenthesis(it) => self.value(it.inner(), path, places),
            Expression::Array(items) => {
                let values = items.iter().enumerate().map(|(index, it)| {
                    let here = format!("{path}[{index}]");
                    self.put(&here, it.span(), places);
                    self.value(it, &here, places)
                });
                values.collect()
            }
            Expression::Object(fields) => {
                let mut value = Map::new();
                for (key, inner) in fields {
                    let (name, span) = match key {
                        ObjectKey::Ident(it) => (it.as_str().to_owned(), it.span()),
                        ObjectKey::Expression(it) => {
                            (it.as_str().map_or_else(|| self.filled_in(it), str::to_owned), it.span())
                        }
                    };
                    let here = format!("{path}/{name}");
                    self.put(&here, span, places);
                    value.insert(name, self.value(inner.expr(), &here, places));
                }
                Value::Object(value)
            }
            Expression::StringTemplate(_) => {
                let written = expression.span().and_then(|it| self.text.get(it)).unwrap_or_default();
                // Its interpolations are already written `${…}`.
                Value::from(written.trim_matches('"'))
            }
            other => Value::from(self.filled_in(other)),
        }
    }

    fn filled_in(&self, expression: &Expression) -> String {
        if let Expression::Parenthesis(it) = expression {
            return self.filled_in(it.inner());
        }
        let written = expression.span().and_then(|it| self.text.get(it)).unwrap_or("?");
        format!("${{{}}}", first_line(written.trim()))
    }

    fn put(&self, path: &str, span: Option<std::ops::Range<usize>>, places: &mut Places) {
        if let Some(span) = span {
            places.insert(path.to_owned(), self.lines.place(span.start));
        }
    }

    fn deployment(&self, body: &Body) -> Deployment {
        let text = |body: &Body, key: &str| -> Option<String> {
            let value = &body.get_attribute(key)?.value;
            Some(value.as_str().map_or_else(|| self.filled_in(value), str::to_owned))
        };
        let truth = |body: &Body, key: &str| body.get_attribute(key).and_then(|it| it.value.as_bool());
        let logging = block(body, "logging_configuration");
        let kind = text(body, "type");
        Deployment {
            workflow_type: kind.as_deref().is_none_or(|it| !it.contains("${")).then(|| workflow_type(kind.as_deref())),
            log_level: match logging {
                Some(it) => Some(text(it, "level").unwrap_or_else(|| "OFF".to_owned())).filter(|it| !it.contains("${")),
                // A block that is made by `dynamic` may be there or not.
                None => block(body, "dynamic").is_none().then(|| "OFF".to_owned()),
            },
            logs_execution_data: logging.and_then(|it| truth(it, "include_execution_data")),
            log_group: logging.and_then(|it| text(it, "log_destination")),
            is_traced: match block(body, "tracing_configuration") {
                None => block(body, "dynamic").is_none().then_some(false),
                Some(it) => truth(it, "enabled"),
            },
            has_own_key: Some(block(body, "encryption_configuration").is_some()),
            role: text(body, "role_arn"),
        }
    }
}

/// Whether a text has `%{ if … }` or `%{ for … }`, which Terraform carries out.
pub(super) fn has_directives(text: &str) -> bool {
    text.contains("%{ if")
        || text.contains("%{if")
        || text.contains("%{ for")
        || text.contains("%{for")
        || text.contains("%{~")
}

fn block<'a>(body: &'a Body, ident: &str) -> Option<&'a Body> {
    body.blocks().find(|it| it.has_ident(ident)).map(|it| &it.body)
}
