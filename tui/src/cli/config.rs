//! `config`: the configuration in force.

use serde_json::{Map, Value};

use super::Context;
use crate::Outcome;
use crate::failure::Failure;
use crate::report::{Report, TextTable};

pub(crate) fn run(context: &Context) -> Outcome {
    let mut config = context.config.clone();
    config.db = Some(config.db_path());
    config.payloads = Some(config.payload_policy()?.as_str().to_owned());
    config.price_region = Some(config.price_region().to_owned());
    let text = toml::to_string(&config).map_err(|error| Failure::new(error.to_string()))?;
    let fields = match serde_json::to_value(&config) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
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
