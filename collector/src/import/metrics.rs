//! Data points of CloudWatch metrics, as `get-metric-statistics` and `get-metric-data` print them.

use analyzer::model::{MetricPoint, Observation};
use serde_json::Value;

use super::fields::{as_time, text};
use super::sink::Sink;

/// Whether this value holds data points.
pub(super) fn is_metrics(value: &Value) -> bool {
    (text(value, "Label").is_some() && value.get("Datapoints").is_some_and(Value::is_array))
        || value.get("MetricDataResults").is_some_and(Value::is_array)
}

/// Sends every point; neither form names the machine, so the option has to.
pub(super) fn send(value: &Value, machine_arn: Option<&str>, line: Option<u64>, sink: &mut Sink<'_>) {
    let Some(machine_arn) = machine_arn else {
        sink.mark_likely();
        sink.quarantine(line, "metrics without a state machine: name it with `--state-machine`");
        return;
    };
    if points(value).is_empty() {
        sink.mark_used();
    } else {
        sink.recognise();
    }
    for (name, at, value, unit) in points(value) {
        let Some((at, value)) = as_time(at).zip(value.as_f64()) else {
            sink.quarantine(line, "data point: no readable time or value");
            continue;
        };
        sink.observe(
            Observation::Metric(Box::new(MetricPoint {
                machine_arn: machine_arn.into(),
                name: name.into(),
                at,
                period_s: None,
                value,
                unit: unit.map(Into::into),
            })),
            line,
        );
    }
}

/// The points of either form: the metric's name, the time, the value, the unit.
fn points(document: &Value) -> Vec<(&str, &Value, &Value, Option<&str>)> {
    let mut points = Vec::new();
    let list = |value: &'_ Value, key: &str| value.get(key).and_then(Value::as_array).map_or(0, Vec::len);
    let label = text(document, "Label").unwrap_or_default();
    for index in 0..list(document, "Datapoints") {
        let it = &document["Datapoints"][index];
        let value = ["Sum", "Average", "Maximum"].into_iter().map(|key| &it[key]).find(|it| it.is_number());
        points.push((label, &it["Timestamp"], value.unwrap_or(&Value::Null), text(it, "Unit")));
    }
    for index in 0..list(document, "MetricDataResults") {
        let result = &document["MetricDataResults"][index];
        let label = text(result, "Label").unwrap_or_default();
        points.extend(
            (0..list(result, "Values")).map(|it| (label, &result["Timestamps"][it], &result["Values"][it], None)),
        );
    }
    points
}
