//! The Prometheus text format: gauges over what is stored, for a textfile collector.

use analyzer::model::{Micros, Usd};

use crate::cli::bill::{MachineCost, Prices, paid};
use crate::cli::{Context, Range};
use crate::failure::Failure;

/// A metric: its name, what it means, and its value for a machine.
type Metric = (&'static str, &'static str, fn(&MachineCost) -> Option<f64>);

const METRICS: [Metric; 10] = [
    ("stepscope_executions", "Executions stored.", |it| Some(count(it.machine.executions))),
    ("stepscope_executions_running", "Executions that have not ended.", |it| Some(count(it.machine.running))),
    ("stepscope_executions_failed", "Executions that failed, timed out or were aborted.", |it| {
        Some(count(it.machine.failed))
    }),
    ("stepscope_execution_failure_ratio", "Failed executions of all; absent where only failures are logged.", |it| {
        it.machine.failure_rate.value()
    }),
    ("stepscope_execution_duration_p50_seconds", "Median duration.", |it| seconds(it.machine.p50)),
    ("stepscope_execution_duration_p95_seconds", "95th percentile of the duration.", |it| seconds(it.machine.p95)),
    ("stepscope_execution_duration_p99_seconds", "99th percentile of the duration.", |it| seconds(it.machine.p99)),
    ("stepscope_billed_transitions", "Billed state transitions.", |it| Some(count(it.transitions))),
    ("stepscope_list_price_usd", "Step Functions at list price, without the free tier.", |it| it.list.map(Usd::as_f64)),
    ("stepscope_coverage_ratio", "Executions whose events are known in full.", |it| {
        (it.machine.executions > 0).then(|| count(it.machine.complete) / count(it.machine.executions))
    }),
];

pub(super) fn export(context: &Context, range: &Range) -> Result<String, Failure> {
    let reader = context.reader()?;
    let (since, until) = context.range(range)?;
    let all = paid(&reader, &Prices::new(context)?, since, until)?;
    let mut text = String::new();
    for (name, help, value) in METRICS {
        text += &format!("# HELP {name} {help}\n# TYPE {name} gauge\n");
        for it in &all {
            if let Some(value) = value(it) {
                let machine = &it.machine;
                text += &format!(
                    "{name}{{state_machine=\"{}\",account=\"{}\",region=\"{}\",type=\"{}\"}} {value}\n",
                    escaped(&machine.name),
                    escaped(&machine.account),
                    escaped(&machine.region),
                    machine.workflow_type.as_str()
                );
            }
        }
    }
    Ok(text)
}

fn escaped(label: &str) -> String {
    // First what cannot be seen, by its number; the backslashes of that are escaped like any other.
    tui::safe::plain(label).replace('\\', "\\\\").replace('"', "\\\"")
}

#[expect(clippy::cast_precision_loss, reason = "the format has floating point numbers only")]
fn count(it: u64) -> f64 {
    it as f64
}

fn seconds(it: Option<Micros>) -> Option<f64> {
    it.map(|it| it.as_millis() / 1_000.0)
}
