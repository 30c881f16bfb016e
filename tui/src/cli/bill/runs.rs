//! Executions whose transitions have to be known one by one.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use analyzer::billed::{Beyond, billed};
use analyzer::execution::Run;
use analyzer::model::{Name, Timestamp};
use queries::{BillingMachine, Reader, StoredExecution};

use crate::failure::Failure;

/// Executions that are read together.
const TOGETHER: usize = 256;

/// What groups an execution belongs to.
#[derive(Clone, Debug)]
pub(super) struct Described {
    pub(super) arn: Name,
    pub(super) machine_arn: Name,
    pub(super) started_at: Option<Timestamp>,
    error: Option<Name>,
    version: Option<Name>,
    path: Option<String>,
}

/// An execution, and its billed transitions in the order of time: the instant, the event and the state of each.
pub(super) struct Known {
    pub(super) id: u64,
    pub(super) of: Rc<Described>,
    pub(super) billed: Vec<(Timestamp, u64, Option<Name>)>,
}

impl Described {
    fn of(run: &Run) -> Self {
        let it = &run.execution;
        // The outermost states in the order in which they were entered first.
        let mut path: Vec<&str> = Vec::new();
        for visit in run.timeline.visits.iter().filter(|it| it.parent.is_none()) {
            if !path.contains(&visit.state.as_str()) {
                path.push(&visit.state);
            }
        }
        Self {
            arn: it.arn.clone(),
            machine_arn: it.machine_arn.clone(),
            started_at: it.started_at,
            error: it.error.clone(),
            version: it.version_arn.clone(),
            path: (!path.is_empty()).then(|| path.join(" → ")),
        }
    }

    /// What the execution is counted under.
    pub(super) fn key(&self, key: &str, machines: &BTreeMap<String, BillingMachine>) -> Option<String> {
        let machine = machines.get(self.machine_arn.as_str());
        match key {
            "day" => self.started_at.map(day),
            "error" => self.error.as_ref().map(ToString::to_string),
            "version" => self.version.as_ref().map(ToString::to_string),
            "path" => self.path.clone(),
            "account" => machine.map(|it| it.account.clone()),
            "region" => machine.map(|it| it.region.clone()),
            _ => None,
        }
    }
}

/// The day of an instant (UTC).
pub(super) fn day(at: Timestamp) -> String {
    analyzer::time::format(at)[..10].to_owned()
}

/// Reads executions, and keeps those that may be asked for again.
pub(super) struct Runs<'a> {
    reader: &'a Reader,
    known: RefCell<BTreeMap<u64, Rc<Known>>>,
}

impl<'a> Runs<'a> {
    pub(super) fn new(reader: &'a Reader) -> Self {
        Self { reader, known: RefCell::default() }
    }

    /// These executions, with the transitions that their starts bill.
    pub(super) fn known(
        &self,
        ids: &[u64],
        extra: impl Fn(Option<Timestamp>) -> u64,
    ) -> Result<Vec<Rc<Known>>, Failure> {
        let missing: Vec<u64> = ids.iter().copied().filter(|id| !self.known.borrow().contains_key(id)).collect();
        for chunk in missing.chunks(TOGETHER) {
            let read = self.read(chunk, &extra)?;
            self.known.borrow_mut().extend(read.into_iter().map(|it| (it.id, Rc::new(it))));
        }
        let known = self.known.borrow();
        Ok(ids.iter().filter_map(|id| known.get(id).cloned()).collect())
    }

    /// Hands on these executions one after the other, without the transitions of starts.
    pub(super) fn for_each(&self, ids: &[u64], mut use_one: impl FnMut(&Known)) -> Result<(), Failure> {
        for chunk in ids.chunks(TOGETHER) {
            self.read(chunk, &|_| 0)?.iter().for_each(&mut use_one);
        }
        Ok(())
    }

    fn read(&self, ids: &[u64], extra: &dyn Fn(Option<Timestamp>) -> u64) -> Result<Vec<Known>, Failure> {
        let counts: BTreeMap<u64, (u64, u64)> = self
            .reader
            .billed_counts(ids)?
            .into_iter()
            .map(|(id, billed, children)| (id, (billed, children)))
            .collect();
        let analysed = |it: StoredExecution| (it.id, Run::of(it.arn, it.events, it.record.unwrap_or_default()));
        let runs: Vec<(u64, Run)> = self.reader.stored_executions(ids, &[])?.into_iter().map(analysed).collect();
        let has_children = |id: &u64| counts.get(id).is_some_and(|it| it.1 > 0);
        let parents = runs.iter().filter(|it| has_children(&it.0));
        let map_runs: Vec<&str> =
            parents.flat_map(|(_, run)| run.execution.map_runs.iter().map(|it| it.1.as_str())).collect();
        let mut child_starts: BTreeMap<String, Vec<Timestamp>> = BTreeMap::new();
        for (map_run, at) in self.reader.child_starts(&map_runs)? {
            child_starts.entry(map_run).or_default().push(at);
        }
        let known = |(id, run): (u64, Run)| {
            let (counted, children) = counts.get(&id).copied().unwrap_or_default();
            let starts = run
                .execution
                .map_runs
                .iter()
                .filter_map(|(_, arn)| child_starts.get(arn.as_str()).map(|it| (arn.clone(), it.clone())));
            let child_starts = starts.collect();
            let beyond = Beyond { at_start: extra(run.execution.started_at), children, child_starts, counted };
            let state = |visit: usize| run.timeline.visits[visit].state.clone();
            let billed = billed(&run, &beyond).into_iter().map(|it| (it.at, it.event, it.visit.map(state)));
            Known { id, billed: billed.collect(), of: Rc::new(Described::of(&run)) }
        };
        Ok(runs.into_iter().map(known).collect())
    }
}
