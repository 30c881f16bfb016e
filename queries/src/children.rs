//! On what did executions that others waited for spend their time?

use analyzer::model::Micros;
use analyzer::timeline::Category;

use crate::cell::Take;
use crate::machines::text;
use crate::{Reader, StoreError};

const SQL: &str = include_str!("../sql/opened_children.sql");

/// One row of `opened_children.sql`, in column order, for one waiting machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedRow {
    /// The state that waits.
    pub waiting: String,
    pub machine_arn: String,
    /// The state inside, or the execution's own time.
    pub state: Option<String>,
    pub category: Option<Category>,
    pub executions: u64,
    pub time: Micros,
}

impl Reader {
    /// The critical paths of the executions that a machine's states waited for, the largest parts first.
    pub fn opened_children(&self, machine_arn: &str) -> Result<Vec<OpenedRow>, StoreError> {
        let row = |cells| {
            let mut it = Take::new(cells);
            let _ = it.text()?;
            Ok(OpenedRow {
                waiting: it.text()?,
                machine_arn: it.text()?,
                state: it.opt_text(),
                category: usize::try_from(it.count()?).ok().and_then(|it| Category::ALL.get(it).copied()),
                executions: it.count()?,
                time: Micros(it.int()?),
            })
        };
        self.query(SQL, &[text(Some(machine_arn))])?.into_iter().map(row).collect()
    }
}
