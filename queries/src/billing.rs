//! What does AWS's own bill say? A Cost and Usage Report or a FOCUS export, CSV (also packed) or Parquet, read by DuckDB
//! in a database of its own, in memory.

use std::path::Path;

use duckdb::Connection;

use crate::cell::Take;
use crate::{Cell, StoreError, reader};

const SQL: &str = include_str!("../sql/bill_cur.sql");

/// The usage of one kind on one day.
#[derive(Clone, Debug, PartialEq)]
pub struct BilledUsage {
    pub day: String,
    /// AWS's usage type, or the unit in a FOCUS export.
    pub usage_type: String,
    pub quantity: f64,
    pub usd: f64,
}

/// Columns of the known forms: start, usage type, amount, cost, and the condition for Step Functions.
const FORMS: [[&str; 5]; 3] = [
    [
        "lineItem/UsageStartDate",
        "lineItem/UsageType",
        "lineItem/UsageAmount",
        "lineItem/UnblendedCost",
        "\"lineItem/ProductCode\" = 'AmazonStates'",
    ],
    [
        "line_item_usage_start_date",
        "line_item_usage_type",
        "line_item_usage_amount",
        "line_item_unblended_cost",
        "line_item_product_code = 'AmazonStates'",
    ],
    [
        "ChargePeriodStart",
        "ConsumedUnit",
        "ConsumedQuantity",
        "BilledCost",
        "(contains(lower(ServiceName), 'step functions') OR contains(ServiceName, 'AmazonStates'))",
    ],
];

/// Reads the Step Functions usage of a bill by day.
pub fn billed_usage(path: &Path) -> Result<Vec<BilledUsage>, StoreError> {
    let connection = Connection::open_in_memory()?;
    let file = path.to_string_lossy().replace('\'', "''");
    let is_parquet = path.extension().is_some_and(|it| it.eq_ignore_ascii_case("parquet"));
    let source =
        if is_parquet { format!("read_parquet('{file}')") } else { format!("read_csv('{file}', all_varchar = true)") };
    let described = reader::run(&connection, &format!("DESCRIBE SELECT * FROM {source}"), &[])?;
    let columns: Vec<String> = described
        .rows
        .into_iter()
        .filter_map(|row| match row.into_iter().next() {
            Some(Cell::Text(name)) => Some(name),
            _ => None,
        })
        .collect();
    let form = FORMS.iter().find(|form| form[..4].iter().all(|it| columns.iter().any(|column| column == it)));
    let Some([start, usage_type, amount, cost, service]) = form else {
        return Err(StoreError::NotAllowed(format!(
            "`{}` has neither the columns of a Cost and Usage Report nor those of a FOCUS export",
            path.display()
        )));
    };
    let quoted = |name: &str| format!("\"{name}\"");
    let sql = SQL
        .replace("$file", &source)
        .replace("$start", &quoted(start))
        .replace("$usage_type", &quoted(usage_type))
        .replace("$amount", &quoted(amount))
        .replace("$cost", &quoted(cost))
        .replace("$service", service);
    let rows = reader::run(&connection, &sql, &[])?.rows;
    let row = |cells: Vec<Cell>| {
        let mut it = Take::new(cells);
        let mut text = || it.opt_text().unwrap_or_default();
        let (day, usage_type) = (text(), text());
        let mut float = || match it.next() {
            Cell::Float(value) => value,
            _ => 0.0,
        };
        BilledUsage { day, usage_type, quantity: float(), usd: float() }
    };
    Ok(rows.into_iter().map(row).collect())
}
