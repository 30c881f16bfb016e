//! The overview for people and pipes: is anything wrong, and what does it cost?

use serde_json::{Value, json};
use tui::text;

use super::bill::{MachineCost, number};
use super::cost::{self, AsOther};
use crate::report::{Report, TextTable};

/// The overview as a report.
pub(crate) fn report(costs: &[MachineCost], others: &[AsOther], command: &'static str) -> Report {
    let mut table = TextTable::with_columns(&[
        "machine",
        "type",
        "#executions",
        "#running",
        "#failed",
        "#p50",
        "#p95",
        "#p99",
        "#transitions",
        "#paid",
        "#as Standard",
        "#as Express",
    ]);
    for (it, other) in costs.iter().zip(others) {
        let machine = &it.machine;
        let money = |it: Option<analyzer::model::Usd>| it.map_or_else(|| "–".to_owned(), text::usd);
        table.rows.push(vec![
            text::cut(&machine.name, 40),
            machine.workflow_type.as_str().to_owned(),
            text::count(machine.executions),
            text::count(machine.running),
            text::failure_rate(machine.failure_rate),
            text::opt_span(machine.p50),
            text::opt_span(machine.p95),
            text::opt_span(machine.p99),
            text::count(it.transitions),
            money(it.actual),
            money(it.standard.map(|it| it.net())),
            cost::as_express(other),
        ]);
    }
    let machines: Vec<Value> = costs.iter().zip(others).map(to_json).collect();
    Report {
        command,
        fields: [("machines".to_owned(), machines.into())].into_iter().collect(),
        rows: "machines",
        table,
        heading: String::new(),
        footer: String::new(),
    }
}

fn to_json((it, other): (&MachineCost, &AsOther)) -> Value {
    let machine = &it.machine;
    let ms = |it: Option<analyzer::model::Micros>| it.map(analyzer::model::Micros::as_millis);
    json!({
        "state_machine_arn": machine.arn,
        "machine": machine.name,
        "type": machine.workflow_type.as_str(),
        "executions": machine.executions,
        "running": machine.running,
        "failed": machine.failed,
        "failure_rate": machine.failure_rate.value(),
        "p50_ms": ms(machine.p50),
        "p95_ms": ms(machine.p95),
        "p99_ms": ms(machine.p99),
        "billed_transitions": it.transitions,
        "actual_usd": it.actual.map(number),
        "standard_usd": it.standard.map(|it| number(it.net())),
        "express_usd": it.express.map(|it| number(it.total())),
        "express_usd_with_logs": other.express_with_logs().map(number),
        "express_blocked": other.is_blocked,
    })
}
