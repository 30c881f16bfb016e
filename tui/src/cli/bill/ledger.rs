//! The ledger of everything that is stored: list prices of sums, and the exceptions from them.
//!
//! Sums by machine and key come from the database at list price. What differs from that is one of three kinds, each known transition by
//! transition or execution by execution: transitions of the free tier, at most a few thousand of an account and month; transitions after
//! the day on which another price book begins; and Express executions that start at the very instant at which a tier ends.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use analyzer::model::{GbMillis, Micros, Name, Timestamp, Usd, WorkflowType};
use analyzer::pricing::{ExpressBill, ExpressUsage, StandardBill};
use queries::{BillingMachine, Metered, Range, Reader, StateTransitions};

use super::free_tier::{FreeTier, months, reached};
use super::memory::Memory;
use super::pools::Pools;
use super::runs::{Described, Runs};
use super::{MemorySource, Prices};
use crate::failure::Failure;

/// Machines that are priced as the type that they are not.
pub(crate) type Swapped = BTreeSet<String>;

/// What a machine used under one key, and what that costs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Line {
    pub(crate) executions: u64,
    /// Executions whose duration is known.
    pub(crate) timed: u64,
    /// Those that starts bill by themselves included.
    pub(crate) transitions: u64,
    pub(crate) usage: ExpressUsage,
    /// `None` where the region has no known price.
    pub(crate) standard: Option<StandardBill>,
    pub(crate) express: Option<ExpressBill>,
    pub(crate) memory: Option<(u64, MemorySource)>,
}

/// What one transition, or one execution, costs beyond what the sums say.
#[derive(Clone, Debug)]
pub(super) struct Exception {
    pub(super) of: Rc<Described>,
    /// When the transition was made.
    pub(super) at: Timestamp,
    pub(super) state: Option<Name>,
    pub(super) kind: Kind,
    pub(super) usd: Usd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The free tier covers it: it costs so much less.
    Free,
    /// Another book than that of the start prices it.
    Book,
    /// An execution at the end of a tier.
    Tier,
}

/// Rows of usage by key and range.
type Asked = BTreeMap<(String, Range), Rc<Vec<Metered>>>;

/// What the executions of a machine and day used, whatever the machine's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) machine_arn: String,
    pub(crate) key: Option<String>,
    pub(crate) executions: u64,
    pub(crate) transitions: u64,
    pub(crate) express: ExpressUsage,
}

pub(crate) struct Ledger<'a> {
    pub(crate) reader: &'a Reader,
    pub(crate) prices: &'a Prices,
    /// What is selected: executions by their start, or transitions by their own instant.
    pub(super) range: Range,
    pub(super) is_of_starts: bool,
    pub(super) machines: BTreeMap<String, BillingMachine>,
    pub(super) starts: Option<String>,
    memory: Memory,
    /// The accounts that have Standard executions in the selection, and the months that those reach.
    pub(super) accounts: Vec<(String, Vec<(Timestamp, Timestamp)>)>,
    pub(super) runs: Runs<'a>,
    metered: RefCell<Asked>,
    pub(super) free: FreeTier,
    pools: RefCell<BTreeMap<Swapped, Rc<Pools>>>,
    states: RefCell<Option<Rc<Vec<StateTransitions>>>>,
}

impl<'a> Ledger<'a> {
    /// Of the executions that started in a range.
    pub(crate) fn of_starts(reader: &'a Reader, prices: &'a Prices, range: Range) -> Result<Self, Failure> {
        Self::new(reader, prices, range, true)
    }

    /// Of the transitions that were made in a range, and the Express executions that started in it.
    pub(crate) fn of_transitions(reader: &'a Reader, prices: &'a Prices, range: Range) -> Result<Self, Failure> {
        Self::new(reader, prices, range, false)
    }

    fn new(reader: &'a Reader, prices: &'a Prices, range: Range, is_of_starts: bool) -> Result<Self, Failure> {
        let machines = reader.billing_machines()?;
        let reached = if is_of_starts { reader.months_of_accounts(range)? } else { reached(&machines, range) };
        let accounts = reached.into_iter().map(|(account, first, last)| (account, months(first, last))).collect();
        Ok(Self {
            reader,
            prices,
            range,
            is_of_starts,
            machines: machines.into_iter().map(|it| (it.arn.clone(), it)).collect(),
            starts: prices.book_starts(),
            memory: Memory::load(reader)?,
            accounts,
            runs: Runs::new(reader),
            metered: RefCell::default(),
            free: FreeTier::default(),
            pools: RefCell::default(),
            states: RefCell::default(),
        })
    }

    /// What is selected: from, inclusive, to, exclusive.
    pub(crate) fn range(&self) -> Range {
        self.range
    }

    /// What each state billed, over all periods.
    pub(crate) fn states(&self) -> Result<Vec<StateTransitions>, Failure> {
        let mut all: BTreeMap<(String, String), StateTransitions> = BTreeMap::new();
        for it in self.state_periods()?.iter() {
            let whole = all.entry((it.machine_arn.clone(), it.state.clone())).or_insert_with(|| StateTransitions {
                period: None,
                transitions: 0,
                retries: 0,
                critical: Micros::ZERO,
                ..it.clone()
            });
            whole.transitions += it.transitions;
            whole.retries += it.retries;
            whole.critical += it.critical;
        }
        let mut all: Vec<StateTransitions> = all.into_values().collect();
        all.sort_by(|a, b| (&a.machine_arn, b.transitions, &a.state).cmp(&(&b.machine_arn, a.transitions, &b.state)));
        Ok(all)
    }

    fn state_periods(&self) -> Result<Rc<Vec<StateTransitions>>, Failure> {
        if let Some(rows) = self.states.borrow().as_ref() {
            return Ok(Rc::clone(rows));
        }
        let (since, until) = self.range;
        let rows = Rc::new(self.reader.state_transitions(None, since, until, self.starts.as_deref())?);
        *self.states.borrow_mut() = Some(Rc::clone(&rows));
        Ok(rows)
    }

    /// What was paid for each state of a Standard machine, by machine and state; what no visible state billed is not in it.
    pub(crate) fn by_state(&self) -> Result<BTreeMap<(String, String), Usd>, Failure> {
        let mut paid: BTreeMap<(String, String), Usd> = BTreeMap::new();
        for it in self.state_periods()?.iter() {
            let Some(machine) = self.machines.get(&it.machine_arn) else { continue };
            let book = self.prices.book_of(it.period.as_deref());
            if let Some(rate) = book.standard(self.prices.region(&machine.region).0) {
                let key = (it.machine_arn.clone(), it.state.clone());
                *paid.entry(key).or_default() += rate.per_transition * it.transitions;
            }
        }
        for it in self.exceptions(&Swapped::new())? {
            let Some(state) = it.state else { continue };
            if let Some(paid) = paid.get_mut(&(it.of.machine_arn.to_string(), state.to_string())) {
                match it.kind {
                    Kind::Free => *paid = *paid - it.usd,
                    Kind::Book => *paid += it.usd,
                    Kind::Tier => {}
                }
            }
        }
        Ok(paid)
    }

    /// Usage by machine and day of the start.
    pub(crate) fn calendar(&self) -> Result<Vec<Usage>, Failure> {
        self.usage_by("day", self.range)
    }

    /// Usage by machine and whole day, counted back from the end of a time; 0 is the last one.
    pub(crate) fn days_back(&self, begin: Timestamp, end: Timestamp) -> Result<Vec<Usage>, Failure> {
        self.usage_by("back", (Some(begin), Some(end)))
    }

    fn usage_by(&self, key: &str, range: Range) -> Result<Vec<Usage>, Failure> {
        let mut days: BTreeMap<(String, Option<String>), Usage> = BTreeMap::new();
        for row in self.rows(key, range)?.iter() {
            let key = (row.machine_arn.clone(), row.key.clone());
            let day = days.entry(key).or_insert_with(|| Usage {
                machine_arn: row.machine_arn.clone(),
                key: row.key.clone(),
                executions: 0,
                transitions: 0,
                express: ExpressUsage::default(),
            });
            day.executions += row.executions;
            day.transitions += row.transitions;
            day.express += self.used(row).0;
        }
        Ok(days.into_values().collect())
    }

    /// What each machine used and what it costs, by ARN.
    pub(crate) fn by_machine(&self, swapped: &Swapped) -> Result<BTreeMap<String, Line>, Failure> {
        let lines = self.by_key("machine", swapped)?;
        Ok(lines.into_iter().map(|((arn, _), line)| (arn, line)).collect())
    }

    /// The same by machine and day (of the start), error, version, path, account or region.
    pub(crate) fn by_key(
        &self,
        key: &str,
        swapped: &Swapped,
    ) -> Result<BTreeMap<(String, Option<String>), Line>, Failure> {
        let pools = self.pools(swapped)?;
        let mut lines: BTreeMap<(String, Option<String>), Line> = BTreeMap::new();
        for range in pools.cuts(self.range) {
            for row in self.rows(key, range)?.iter() {
                let Some(machine) = self.machines.get(&row.machine_arn) else { continue };
                let tier = pools.tier(machine, row.period.as_deref(), range.0);
                let line = lines.entry((row.machine_arn.clone(), row.key.clone())).or_default();
                self.add(line, row, machine, tier);
            }
        }
        for it in self.exceptions(swapped)? {
            let key = (it.of.machine_arn.to_string(), it.of.key(key, &self.machines));
            // Only what is counted can be excepted.
            if let Some(line) = lines.get_mut(&key) {
                it.add_to(line);
            }
        }
        Ok(lines)
    }

    /// Adds what executions used, at list price of their tier.
    fn add(&self, line: &mut Line, row: &Metered, machine: &BillingMachine, tier: usize) {
        let (usage, memory) = self.used(row);
        let book = self.prices.book_of(row.period.as_deref());
        let region = self.prices.region(&machine.region).0;
        let transitions = row.transitions + book.extra_transitions * row.executions;
        let is_first = line.executions == 0;
        line.executions += row.executions;
        line.timed += row.timed;
        line.transitions += transitions;
        line.usage += usage;
        let seen = line.memory.get_or_insert(memory);
        *seen = (seen.0.max(memory.0), seen.1.max(memory.1));
        let standard = book.standard(region).map(|it| it.per_transition * transitions);
        let express = book.express(region).map(|rates| {
            let bill = usage.list(rates);
            ExpressBill { duration: rates.in_tier(tier, usage.memory_time), ..bill }
        });
        let begun = |it: Option<StandardBill>| if is_first { Some(StandardBill::default()) } else { it };
        line.standard =
            begun(line.standard).zip(standard).map(|(it, gross)| StandardBill { gross: it.gross + gross, ..it });
        let before = if is_first { Some(ExpressBill::default()) } else { line.express };
        line.express = before.zip(express).map(|(mut it, bill)| {
            it += bill;
            it
        });
    }

    /// What executions of a row would be billed as Express.
    pub(super) fn used(&self, row: &Metered) -> (ExpressUsage, (u64, MemorySource)) {
        let memory = self.memory.of(&row.machine_arn, row.billed_memory_mb, row.payload_mb);
        (ExpressUsage { requests: row.requests, memory_time: GbMillis::of(memory.0, row.billed_ms) }, memory)
    }

    pub(super) fn memory_time(&self, arn: &str, billed: Option<u64>, payload_mb: u64, billed_ms: u64) -> GbMillis {
        GbMillis::of(self.memory.of(arn, billed, payload_mb).0, billed_ms)
    }

    /// Rows of usage by a key, asked for once.
    pub(super) fn rows(&self, key: &str, range: Range) -> Result<Rc<Vec<Metered>>, Failure> {
        let place = (key.to_owned(), range);
        if let Some(rows) = self.metered.borrow().get(&place) {
            return Ok(Rc::clone(rows));
        }
        // Without a range, executions whose start is not known are in it too.
        let with_unknown = self.range == (None, None) && range.0.is_none();
        let rows = Rc::new(self.reader.metered(key, range, with_unknown, self.starts.as_deref())?);
        self.metered.borrow_mut().insert(place, Rc::clone(&rows));
        Ok(rows)
    }

    pub(super) fn pools(&self, swapped: &Swapped) -> Result<Rc<Pools>, Failure> {
        if let Some(pools) = self.pools.borrow().get(swapped) {
            return Ok(Rc::clone(pools));
        }
        let pools = Rc::new(Pools::of(self, swapped)?);
        self.pools.borrow_mut().insert(swapped.clone(), Rc::clone(&pools));
        Ok(pools)
    }

    /// Everything of the selection that does not cost what the sums say.
    pub(super) fn exceptions(&self, swapped: &Swapped) -> Result<Vec<Exception>, Failure> {
        let mut found = self.freed(swapped)?;
        if self.is_of_starts {
            found.extend(self.of_other_books(swapped)?);
        }
        found.extend(self.pools(swapped)?.exceptions(self)?);
        Ok(found)
    }

    /// Whether an execution that began, or did something, at an instant is selected.
    pub(super) fn is_selected(&self, of: &Described, at: Timestamp) -> bool {
        let at = if self.is_of_starts { of.started_at } else { Some(at) };
        let (since, until) = self.range;
        let is_within = |at: Timestamp| since.is_none_or(|it| at >= it) && until.is_none_or(|it| at < it);
        at.map_or(since.is_none() && until.is_none(), is_within)
    }

    /// Transitions that the start of an execution bills by itself.
    pub(super) fn billed_at_start(&self, at: Option<Timestamp>) -> u64 {
        self.prices.book_at(at).extra_transitions
    }

    /// Transitions that another book prices than that of the start.
    fn of_other_books(&self, swapped: &Swapped) -> Result<Vec<Exception>, Failure> {
        let Some(days) = &self.starts else { return Ok(Vec::new()) };
        let ids = self.reader.crossing_executions(self.range, days)?;
        let mut found = Vec::new();
        self.runs.for_each(&ids, |it| {
            let Some(machine) = self.machines.get(it.of.machine_arn.as_str()) else { return };
            if type_of(machine, swapped) == WorkflowType::Express {
                return;
            }
            let region = self.prices.region(&machine.region).0;
            let rate = |at| self.prices.book_at(Some(at)).standard(region).map(|it| it.per_transition);
            let Some(usual) = it.of.started_at.and_then(rate) else { return };
            for (at, _, state) in &it.billed {
                if let Some(usd) = rate(*at).filter(|it| *it != usual) {
                    let (of, state) = (Rc::clone(&it.of), state.clone());
                    found.push(Exception { of, at: *at, state, kind: Kind::Book, usd: usd - usual });
                }
            }
        })?;
        Ok(found)
    }
}

impl Exception {
    pub(super) fn add_to(&self, line: &mut Line) {
        match (self.kind, &mut line.standard, &mut line.express) {
            (Kind::Free, Some(bill), _) => bill.free += self.usd,
            (Kind::Book, Some(bill), _) => bill.gross += self.usd,
            (Kind::Tier, _, Some(bill)) => bill.duration += self.usd,
            _ => {}
        }
    }
}

/// The type as which a machine is priced.
pub(super) fn type_of(machine: &BillingMachine, swapped: &Swapped) -> WorkflowType {
    match (machine.workflow_type, swapped.contains(&machine.arn)) {
        (WorkflowType::Standard, false) | (WorkflowType::Express, true) => WorkflowType::Standard,
        _ => WorkflowType::Express,
    }
}
