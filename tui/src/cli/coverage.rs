//! How much of what happened do the numbers rest on? Said beside every number that depends on it.

use analyzer::model::Timestamp;
use queries::{CoverageRow, Reader};
use serde_json::{Value, json};
use tui::text;

use crate::failure::Failure;
use crate::report::Report;

/// How much of each machine is known in a range.
pub(crate) struct Coverage(Vec<CoverageRow>);

impl Coverage {
    pub(crate) fn load(reader: &Reader, since: Option<Timestamp>, until: Option<Timestamp>) -> Result<Self, Failure> {
        // Without counts there is nothing to compare with, and nothing to look up.
        Ok(Self(if reader.has_counts()? { reader.coverage(since, until)? } else { Vec::new() }))
    }

    /// The part of a machine's executions that is known in full.
    pub(crate) fn of(&self, machine_arn: &str) -> Option<f64> {
        self.0.iter().find(|it| it.machine_arn == machine_arn)?.coverage
    }

    /// Executions known in full, and those that there were, of a machine that CloudWatch has counted.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "counts")]
    pub(crate) fn counted(&self, machine_arn: &str) -> Option<(u64, u64)> {
        let row = self.0.iter().find(|it| it.machine_arn == machine_arn)?;
        let started = row.started.filter(|it| *it > 0)?;
        Some(((row.coverage? * started as f64).round() as u64, started))
    }

    /// Puts the coverage beside the machines of a report, and says what is missing and what is left out.
    pub(crate) fn tell(&self, reader: &Reader, report: &mut Report, machine_arn: Option<&str>) -> Result<(), Failure> {
        if let Some(machines) = report.fields.get_mut("machines").and_then(Value::as_array_mut) {
            for machine in machines {
                let counted = machine["state_machine_arn"].as_str().and_then(|arn| self.of(arn));
                if let Some(coverage) = counted.or_else(|| complete_share(machine)) {
                    machine["coverage"] = json!(coverage);
                }
            }
        }
        let n_without = reader.without_start(machine_arn)?;
        report.fields.insert("without_start_count".to_owned(), n_without.into());
        let left_out = (n_without > 0).then(|| {
            let executions =
                if n_without == 1 { "1 execution" } else { &format!("{} executions", text::count(n_without)) };
            format!("{executions} without a known start: left out of statistics by time")
        });
        for note in self.notes(machine_arn).chain(left_out) {
            if !report.footer.is_empty() {
                report.footer.push('\n');
            }
            report.footer += &tui::safe::plain(&note);
        }
        Ok(())
    }

    /// Where something is missing.
    pub(crate) fn notes(&self, machine_arn: Option<&str>) -> impl Iterator<Item = String> {
        self.0.iter().filter(move |it| machine_arn.is_none_or(|arn| arn == it.machine_arn)).filter_map(note)
    }
}

/// The part of the stored executions that is known in full.
fn complete_share(machine: &Value) -> Option<f64> {
    let (complete, executions) = (machine["complete"].as_f64()?, machine["executions"].as_f64()?);
    (executions > 0.0).then(|| complete / executions)
}

/// What is missing of a machine that CloudWatch has counted.
fn note(it: &CoverageRow) -> Option<String> {
    let started = it.started.filter(|started| *started > 0)?;
    let coverage = it.coverage.filter(|coverage| *coverage < 1.0)?;
    Some(match it.seen.unwrap_or(0) {
        0 => format!(
            "{}: CloudWatch counted {} executions and none of them is stored: they are in no number here",
            it.machine,
            text::count(started)
        ),
        _ => format!(
            "{}: {:.1} % of the {} executions that CloudWatch counted are known in full",
            it.machine,
            coverage * 100.0,
            text::count(started)
        ),
    })
}
