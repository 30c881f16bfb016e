//! Tags of a state machine, as `list-tags-for-resource` prints them.

use analyzer::model::{MachineTags, Observation};
use serde_json::Value;

use super::fields::text;
use super::sink::Sink;

/// Whether this value is a list of tags.
pub(super) fn is_tags(value: &Value) -> bool {
    let tags = value.get("tags").and_then(Value::as_array);
    tags.is_some_and(|it| it.iter().all(|it| text(it, "key").is_some()))
}

/// Sends the tags of the machine that the document or the option names.
pub(super) fn send(value: &Value, machine_arn: Option<&str>, line: Option<u64>, sink: &mut Sink<'_>) {
    let Some(machine_arn) = text(value, "resourceArn").or(machine_arn) else {
        sink.mark_likely();
        sink.quarantine(line, "tags without a state machine: name it with `--state-machine`");
        return;
    };
    let tag = |it: &Value| Some((text(it, "key")?.to_owned(), text(it, "value").unwrap_or_default().to_owned()));
    let tags = value["tags"].as_array().into_iter().flatten().filter_map(tag).collect();
    sink.observe(Observation::Tags(Box::new(MachineTags { machine_arn: machine_arn.into(), tags })), line);
}
