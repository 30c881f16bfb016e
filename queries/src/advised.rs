//! What the runs of a machine say about its definition, and how it is set up.

use analyzer::asl::Deployment;
use analyzer::lint::{MapRuns, Runs};
use analyzer::model::{Micros, Name, Timestamp, WorkflowType};

use crate::cell::Take;
use crate::machines::text;
use crate::{Reader, StoreError};

const STATES: &str = include_str!("../sql/state_evidence.sql");
const MAPS: &str = include_str!("../sql/map_evidence.sql");
const MACHINE: &str = include_str!("../sql/machine_evidence.sql");
const WITHOUT_RUNS: &str = include_str!("../sql/machines_without_runs.sql");
const SETTINGS: &str = include_str!("../sql/machine_settings.sql");

impl Reader {
    /// What the runs of a machine say; without prices.
    pub fn runs_of(&self, machine_arn: &str) -> Result<Runs, StoreError> {
        let mut found = Runs::default();
        for row in self.query(MACHINE, &[text(Some(machine_arn))])? {
            let mut it = Take::new(row);
            (found.executions, found.most_events) = (it.count()?, it.count()?);
            let of = |it: i64| if it == 1 { WorkflowType::Express } else { WorkflowType::Standard };
            found.workflow_type = it.opt_int().map(of);
            found.span = it.opt_int().zip(it.opt_int()).map(|(first, last)| (Timestamp(first), Timestamp(last)));
        }
        for row in self.query(STATES, &[text(Some(machine_arn))])? {
            let mut it = Take::new(row);
            let state = found.states.entry(it.text()?.into()).or_default();
            let (visits, retries) = (it.count()?, it.count()?);
            let (p99, longest, largest) = (it.opt_int().map(Micros), it.opt_int().map(Micros), it.opt_count());
            let error = it.opt_text().map(Name::from);
            let (errors, failed, caught) = (it.count()?, it.count()?, it.count()?);
            let Some(error) = error else {
                (state.visits, state.retries) = (visits, retries);
                (state.p99, state.longest, state.largest_input) = (p99, longest, largest);
                continue;
            };
            for (counts, count) in
                [(&mut state.errors, errors), (&mut state.fatal, failed), (&mut state.caught, caught)]
            {
                if count > 0 {
                    counts.insert(error.clone(), count);
                }
            }
        }
        for row in self.query(MAPS, &[text(Some(machine_arn))])? {
            let mut it = Take::new(row);
            let state = found.states.entry(it.text()?.into()).or_default();
            state.map = Some(MapRuns {
                visits: it.count()?,
                items_p50: it.count()?,
                most_items: it.count()?,
                duration_p50: Micros(it.int()?),
                longest_item_p50: Micros(it.int()?),
            });
        }
        Ok(found)
    }

    /// Machines that are described, and of which no execution is stored.
    pub fn machines_without_runs(&self) -> Result<Vec<String>, StoreError> {
        self.query(WITHOUT_RUNS, &[])?.into_iter().map(|row| Take::new(row).text()).collect()
    }

    /// How a machine is set up, as it was last described.
    pub fn settings_of(&self, machine_arn: &str) -> Result<Option<Deployment>, StoreError> {
        let row = |cells| {
            let mut it = Take::new(cells);
            let is_true = |it: Option<i64>| it.map(|it| it == 1);
            Deployment {
                workflow_type: None,
                log_level: it.opt_text(),
                logs_execution_data: is_true(it.opt_int()),
                log_group: it.opt_text(),
                is_traced: is_true(it.opt_int()),
                has_own_key: is_true(it.opt_int()),
                role: it.opt_text(),
            }
        };
        Ok(self.query(SETTINGS, &[text(Some(machine_arn))])?.into_iter().next().map(row))
    }
}
