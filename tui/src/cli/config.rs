//! `config`: the configuration in force, without what is secret in it.

use std::io::Write;

use serde_json::{Map, Value};
use tui::safe::{markdown_code, plain};

use super::Context;
use crate::Outcome;
use crate::failure::Failure;
use crate::output;
use crate::report::{Output, Report, TextTable};

/// What stands for a value that is not shown.
const HIDDEN: &str = "***";

/// The keys whose values are shown, by their tables; `*` is any key. Whatever is not in this list is hidden, so that a key
/// that is new and secret is not shown because nobody thought of it.
const SHOWN: &[&str] = &[
    "db",
    "payloads",
    "prices",
    "price_region",
    "discounts.*",
    "function_memory.*",
    "repeatable",
    "index",
    "redact_paths",
    "redact_patterns",
    "backfill",
    "overlap",
    "share",
    "sources",
    "live_tail",
    "quotas.*",
    "dash.theme",
    "dash.ascii",
    "dash.keys.*",
    "alerts.name",
    "alerts.rule",
    "alerts.machine",
    "alerts.above",
    "alerts.below",
    "alerts.window",
    "alerts.for",
    "alerts.hysteresis",
    "alerts.objective",
    "alerts.latency_ms",
    "alerts.silenced_until",
    "alerts.to",
    "deliveries.name",
    "deliveries.kind",
    "deliveries.path",
    "deliveries.url_env",
    "deliveries.region",
    "deliveries.profile",
    "deliveries.endpoint_url",
    "deliveries.timeout",
    "deliveries.from",
    "deliveries.recipients",
    "targets.profile",
    "targets.regions",
    "targets.roles",
    "targets.endpoint_url",
    "targets.machines",
];

pub(crate) fn run(context: &Context) -> Outcome {
    let mut config = context.config.clone();
    config.db = Some(config.db_path());
    config.payloads = Some(config.payload_policy()?.as_str().to_owned());
    config.price_region = Some(config.price_region().to_owned());
    let fields = match serde_json::to_value(&config) {
        Ok(Value::Object(fields)) => masked(fields, ""),
        _ => Map::new(),
    };
    let text = toml::to_string(&on_one_line(Value::Object(fields.clone())))
        .map_err(|error| Failure::new(error.to_string()))?;
    if context.output == Output::Markdown {
        // What can be pasted into a file is a block of code.
        let mut out = output::text();
        for line in text.lines() {
            writeln!(out, "    {}", markdown_code(line))?;
        }
        out.flush()?;
        return Ok(0);
    }
    let report = Report {
        command: "config",
        fields,
        rows: "settings",
        table: TextTable::default(),
        heading: text.trim_end().to_owned(),
        footer: String::new(),
    };
    report.print(context.output)?;
    Ok(0)
}

/// The same with every text on one line: TOML writes those of several lines as they are.
fn on_one_line(value: Value) -> Value {
    match value {
        Value::String(text) => plain(&text).into(),
        Value::Array(items) => items.into_iter().map(on_one_line).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, it)| (key, on_one_line(it))).collect(),
        other => other,
    }
}

fn masked(fields: Map<String, Value>, table: &str) -> Map<String, Value> {
    let one = |(key, value): (String, Value)| {
        let place = if table.is_empty() { key.clone() } else { format!("{table}.{key}") };
        let any = format!("{table}.*");
        let is_shown = SHOWN.iter().any(|it| *it == place || *it == any);
        let value = match value {
            Value::Object(inner) => Value::Object(masked(inner, &place)),
            Value::Array(items) => items.into_iter().map(|it| item(it, &place, is_shown)).collect(),
            other => item(other, &place, is_shown),
        };
        (key, value)
    };
    fields.into_iter().map(one).collect()
}

fn item(value: Value, place: &str, is_shown: bool) -> Value {
    match value {
        Value::Object(inner) => Value::Object(masked(inner, place)),
        Value::Array(items) => items.into_iter().map(|it| item(it, place, is_shown)).collect(),
        Value::String(text) if is_shown => without_credentials(&text).into(),
        other if is_shown => other,
        _ => HIDDEN.into(),
    }
}

/// An address without the user, the password and the parameters in it.
fn without_credentials(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or_else(|| host.to_owned(), |(_, host)| format!("{HIDDEN}@{host}"));
    let path = path.split_once('?').map_or_else(|| path.to_owned(), |(path, _)| format!("{path}?{HIDDEN}"));
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(value: Value) -> Value {
        let Value::Object(fields) = value else { return Value::Null };
        Value::Object(masked(fields, ""))
    }

    #[test]
    fn what_is_not_known_to_be_harmless_is_hidden() {
        let config = json!({
            "db": "a.duckdb", "index_salt": "S", "new_key": "S", "new_number": 5, "new": {"a": {"b": ["S"]}},
            "discounts": {"all": 5.0}, "dash": {"theme": "plain", "keys": {"quit": "q"}, "token": "S"},
            "deliveries": [{"name": "n", "url": "S", "url_command": "echo S", "headers": {"a": "S"}, "recipients": ["a@b"]}],
            "targets": [{"roles": ["r"], "external_id": "S", "endpoint_url": "https://u:S@h:1/p?x=S"}],
        });
        let expected = json!({
            "db": "a.duckdb", "index_salt": "***", "new_key": "***", "new_number": "***", "new": {"a": {"b": ["***"]}},
            "discounts": {"all": 5.0}, "dash": {"theme": "plain", "keys": {"quit": "q"}, "token": "***"},
            "deliveries": [{"name": "n", "url": "***", "url_command": "***", "headers": {"a": "***"}, "recipients": ["a@b"]}],
            "targets": [{"roles": ["r"], "external_id": "***", "endpoint_url": "https://***@h:1/p?***"}],
        });
        assert_eq!(shown(config), expected);
    }

    #[test]
    fn addresses_lose_their_credentials_alone() {
        assert_eq!(without_credentials("s3://bucket/a@b/c"), "s3://bucket/a@b/c");
        assert_eq!(without_credentials("ducklake:postgres://u:p@h/db"), "ducklake:postgres://***@h/db");
        assert_eq!(without_credentials("a.duckdb"), "a.duckdb");
    }
}
