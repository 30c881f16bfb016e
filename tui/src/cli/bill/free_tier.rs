//! Which transitions does the free tier cover? The first ones of each account and month, whatever is selected.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use analyzer::model::{Name, Timestamp, WorkflowType};
use analyzer::pricing::{First, Place};
use queries::{BilledExecution, BillingMachine, Range};

use super::ledger::{Exception, Kind, Ledger, Swapped};
use super::runs::{Described, Known};
use crate::failure::Failure;

/// Executions of a month that are looked up together, and those that are read together.
const PAGE: usize = 8_192;
const TOGETHER: usize = 512;

/// One of the free transitions of an account and month.
#[derive(Clone)]
pub(super) struct Freed {
    of: Rc<Described>,
    state: Option<Name>,
}

type Freeds = Rc<Vec<(Place, Freed)>>;
/// Whose free transitions: an account's Standard machines without some, or one machine's; and from which instant on.
type Whose = (Result<String, String>, Swapped, Timestamp);
/// A page of the executions of an account or a machine in a month.
type Page = (Result<String, String>, Timestamp, usize);

/// What is known already: the same is asked for with other machines swapped.
#[derive(Default)]
pub(super) struct FreeTier {
    candidates: RefCell<BTreeMap<Page, Rc<Vec<BilledExecution>>>>,
    firsts: RefCell<BTreeMap<Whose, Freeds>>,
}

impl Ledger<'_> {
    /// The transitions of the selection that the free tier covers.
    pub(super) fn freed(&self, swapped: &Swapped) -> Result<Vec<Exception>, Failure> {
        let mut found = Vec::new();
        for (account, months) in self.months_with(swapped) {
            for month in months {
                for (place, it) in self.free_transitions(&account, month, swapped)?.iter() {
                    let Some(machine) = self.machines.get(it.of.machine_arn.as_str()) else { continue };
                    let region = self.prices.region(&machine.region).0;
                    let rate = self.prices.book_at(Some(place.at)).standard(region);
                    if let Some(rate) = rate.filter(|_| self.is_selected(&it.of, place.at)) {
                        found.push(Exception {
                            of: Rc::clone(&it.of),
                            at: place.at,
                            state: it.state.clone(),
                            kind: Kind::Free,
                            usd: rate.per_transition,
                        });
                    }
                }
            }
        }
        Ok(found)
    }

    /// The accounts and months of the selection, those of machines that are priced as Standard instead among them.
    fn months_with(&self, swapped: &Swapped) -> BTreeMap<String, BTreeSet<(Timestamp, Timestamp)>> {
        let mut all: BTreeMap<String, BTreeSet<(Timestamp, Timestamp)>> = BTreeMap::new();
        for (account, months) in &self.accounts {
            all.entry(account.clone()).or_default().extend(months);
        }
        for machine in swapped.iter().filter_map(|it| self.machines.get(it)) {
            if let (WorkflowType::Express, Some(first), Some(last)) =
                (machine.workflow_type, machine.first_at, machine.last_at)
            {
                let first = self.range.0.map_or(first, |it| it.max(first));
                all.entry(machine.account.clone()).or_default().extend(months(first, last));
            }
        }
        all
    }

    /// The free transitions of an account and month, in their order.
    fn free_transitions(
        &self,
        account: &str,
        month: (Timestamp, Timestamp),
        swapped: &Swapped,
    ) -> Result<Freeds, Failure> {
        let own = |it: &&String| self.machines.get(*it).is_some_and(|it| it.account == account);
        let (added, without): (Vec<&String>, Vec<&String>) = swapped
            .iter()
            .filter(own)
            .partition(|it| self.machines.get(*it).is_some_and(|it| it.workflow_type == WorkflowType::Express));
        let without: Swapped = without.into_iter().cloned().collect();
        let standard = self.first(&Ok(account.to_owned()), &without, month)?;
        if added.is_empty() {
            return Ok(standard);
        }
        let mut first = First::new(self.limit(month.0));
        standard.iter().for_each(|(place, it)| first.add(place.clone(), it.clone()));
        for arn in added {
            let own = self.first(&Err(arn.clone()), &Swapped::new(), month)?;
            own.iter().for_each(|(place, it)| first.add(place.clone(), it.clone()));
        }
        Ok(Rc::new(first.into_sorted()))
    }

    /// How many transitions of a month are free and not used elsewhere.
    pub(super) fn limit(&self, month: Timestamp) -> u64 {
        self.prices.book_at(Some(month)).free_transitions.saturating_sub(self.prices.free_tier_used)
    }

    /// The first transitions of a month, of the Standard machines of an account or of one machine. Executions are read in the order of
    /// their starts, until nothing that starts later can be among them.
    fn first(
        &self,
        whose: &Result<String, String>,
        without: &Swapped,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Freeds, Failure> {
        let place = (whose.clone(), without.clone(), from);
        if let Some(found) = self.free.firsts.borrow().get(&place) {
            return Ok(Rc::clone(found));
        }
        let mut first = First::new(self.limit(from));
        let mut page = 0;
        'pages: while first.room() > 0 || page > 0 {
            let candidates = self.candidates(whose, (from, to), page)?;
            let mut left = candidates.iter().filter(|it| !without.contains(&it.machine_arn)).peekable();
            while left.peek().is_some() {
                let (mut ids, mut expected) = (Vec::new(), first.room() as u64);
                let was_full = expected == 0;
                while let Some(it) = left.next_if(|it| it.started_at.is_none_or(|at| first.reaches(at))) {
                    ids.push(it.id);
                    expected = expected.saturating_sub(it.billed_transitions.max(1));
                    if ids.len() == TOGETHER || (expected == 0 && !was_full) {
                        break;
                    }
                }
                for it in self.runs.known(&ids, |at| self.billed_at_start(at))? {
                    add_within(&mut first, &it, from, to);
                }
                if ids.is_empty() {
                    break 'pages;
                }
            }
            if candidates.len() < PAGE {
                break;
            }
            page += 1;
        }
        let found = Rc::new(first.into_sorted());
        self.free.firsts.borrow_mut().insert(place, Rc::clone(&found));
        Ok(found)
    }

    fn candidates(
        &self,
        whose: &Result<String, String>,
        (from, to): (Timestamp, Timestamp),
        page: usize,
    ) -> Result<Rc<Vec<BilledExecution>>, Failure> {
        let place = (whose.clone(), from, page);
        if let Some(found) = self.free.candidates.borrow().get(&place) {
            return Ok(Rc::clone(found));
        }
        let of = whose.as_ref().map(String::as_str).map_err(String::as_str);
        let are_starts_billed = self.prices.books.iter().any(|it| it.extra_transitions > 0);
        let found = self.reader.billed_executions(of, (from, to), are_starts_billed, (PAGE, page * PAGE))?;
        let found = Rc::new(found);
        self.free.candidates.borrow_mut().insert(place, Rc::clone(&found));
        Ok(found)
    }

    /// The instant of the last free transition of an account's month, once all are used, and how many of them are stored.
    pub(super) fn free_tier_of(
        &self,
        account: &str,
        month: (Timestamp, Timestamp),
    ) -> Result<(u64, Option<Timestamp>), Failure> {
        let found = self.free_transitions(account, month, &Swapped::new())?;
        let n = found.len() as u64;
        Ok((n, found.last().filter(|_| n >= self.limit(month.0)).map(|it| it.0.at)))
    }
}

/// Adds the transitions of an execution that were made in a month.
fn add_within(first: &mut First<Freed>, it: &Known, from: Timestamp, to: Timestamp) {
    for (at, event, state) in it.billed.iter().filter(|it| from <= it.0 && it.0 < to) {
        let place = Place { at: *at, execution_arn: it.of.arn.clone(), event: *event };
        first.add(place, Freed { of: Rc::clone(&it.of), state: state.clone() });
    }
}

/// From when to when the Standard machines of each account are stored, within a range.
pub(super) fn reached(machines: &[BillingMachine], (since, until): Range) -> Vec<(String, Timestamp, Timestamp)> {
    let mut all: BTreeMap<&str, (Timestamp, Timestamp)> = BTreeMap::new();
    for it in machines.iter().filter(|it| it.workflow_type == WorkflowType::Standard) {
        let (Some(first), Some(last)) = (it.first_at, it.last_at) else { continue };
        let known = all.entry(&it.account).or_insert((first, last));
        *known = (known.0.min(first), known.1.max(last));
    }
    let within = |(account, (first, last)): (&str, (Timestamp, Timestamp))| {
        let first = since.map_or(first, |it| it.max(first));
        let last = until.map_or(last, |it| Timestamp(it.0 - 1).min(last));
        (first <= last).then(|| (account.to_owned(), first, last))
    };
    all.into_iter().filter_map(within).collect()
}

/// The months (UTC) from the one of an instant to the one of another, each with the instant at which the next one begins.
pub(super) fn months(first: Timestamp, last: Timestamp) -> Vec<(Timestamp, Timestamp)> {
    let mut all = Vec::new();
    let mut from = month_of(first);
    while from <= last {
        let to = month_of(Timestamp(from.0 + 32 * 86_400_000_000));
        all.push((from, to));
        from = to;
    }
    all
}

/// The first instant of a month.
pub(super) fn month_of(at: Timestamp) -> Timestamp {
    analyzer::time::parse(&format!("{}-01T00:00:00Z", analyzer::time::month(at))).unwrap_or(at)
}
