//! Executions that are stored twice, which only two who write a lake at the same moment can bring about: found, and put together.

use analyzer::model::{Observation, Observed, PayloadField};

use crate::cell::Take;
use crate::history::stored_executions;
use crate::{Ingest, Store, StoreError, reader, writer};

const DOUBLES: &str = "SELECT id, arn FROM execution WHERE arn_hash IN (SELECT arn_hash FROM execution GROUP BY arn_hash HAVING count(*) > 1)
    QUALIFY row_number() OVER (PARTITION BY arn ORDER BY id) > 1 ORDER BY id";
/// Executions that are put together at once.
const TOGETHER: usize = 1_000;

impl Store {
    /// Leaves one of each execution, which knows what all of them knew; says how many went.
    pub fn merge_doubles(&self) -> Result<u64, StoreError> {
        let mut ids = Vec::new();
        for row in reader::run(&self.connection, DOUBLES, &[])?.rows {
            ids.push(Take::new(row).count()?);
        }
        for ids in ids.chunks(TOGETHER) {
            let query =
                |sql: &str, params: &[crate::Cell]| reader::run(&self.connection, sql, params).map(|it| it.rows);
            let stored = stored_executions(&query, ids, &PayloadField::ALL)?;
            let as_read: Vec<u64> = stored.iter().map(|it| it.fingerprint).collect();
            // What they know is told to the first, and is stored there before they go.
            let mut ingest = Ingest::new(self)?;
            ingest.forget_ids(ids)?;
            for it in stored {
                let events = it.events.into_iter();
                let mut told: Observed =
                    events.map(|event| Observation::Event { execution_arn: it.arn.clone(), event }).collect();
                told.extend(
                    it.record.map(|record| Observation::Execution {
                        execution_arn: it.arn.clone(),
                        record: Box::new(record),
                    }),
                );
                ingest.observe(told)?;
            }
            ingest.finish()?;
            self.in_transaction(|| {
                writer::check_unchanged(&self.connection, ids, &as_read)?;
                writer::delete(&self.connection, ids)
            })?;
        }
        Ok(ids.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use analyzer::model::{Event, EventKind, ExecutionArn, Name, Timestamp};

    use super::*;

    const ARN: &str = "arn:aws:states:eu-west-1:123456789012:execution:m:e";

    fn event(id: u64, kind: &str) -> Observation {
        let event = Event {
            id,
            previous: id - 1,
            at: Timestamp(id.cast_signed() * 1_000_000),
            kind: EventKind::parse(kind),
            name: None,
            resource: None,
            number: None,
            log_bytes: 0,
            detail: None,
        };
        Observation::Event { execution_arn: Name::from(ARN), event }
    }

    #[test]
    fn what_two_wrote_at_once_becomes_one_that_knows_all() {
        assert!(ExecutionArn::parse(ARN).is_some());
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("db")).expect("a database");
        let mut one = Ingest::new(&store).expect("a writer");
        let mut other = Ingest::new(&store).expect("a writer");
        other.begin_ids_at(100);
        one.observe(vec![event(1, "ExecutionStarted"), event(2, "PassStateEntered")]).expect("it takes them");
        other.observe(vec![event(2, "PassStateEntered"), event(4, "ExecutionSucceeded")]).expect("it takes them");
        one.finish().expect("it stores them");
        other.finish().expect("it stores them");
        let count = |sql: &str| {
            let row = reader::run(&store.connection, sql, &[]).expect("a number").rows.remove(0);
            Take::new(row).count().expect("a number")
        };
        assert_eq!(count("SELECT count(*) FROM execution"), 2);
        assert_eq!(store.merge_doubles().expect("it merges"), 1);
        assert_eq!(count("SELECT count(*) FROM execution"), 1);
        assert_eq!(count("SELECT n_events FROM execution"), 3);
        assert_eq!(count("SELECT sum(executions) FROM run_rollup"), 1);
        assert_eq!(store.merge_doubles().expect("it looks"), 0);
    }
}
