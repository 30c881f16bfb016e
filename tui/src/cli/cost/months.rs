//! What does a month cost: at the rate so far, and by its end? From less than a day nothing is said.

use std::collections::BTreeMap;
use std::rc::Rc;

use analyzer::model::{Micros, Timestamp, Usd, WorkflowType};
use analyzer::projection::{Basis, Forecast, TooLittle, month_interval};
use analyzer::spans::Spans;
use queries::SubjectSpans;

use super::advice::Adviser;
use crate::cli::bill::{MachineCost, Usage, is_about};
use crate::failure::Failure;

const DAY: i64 = 86_400_000_000;

/// A month as the executions so far suggest, at list price.
pub(super) struct Month {
    pub(super) usd: Usd,
    pub(super) interval: Option<(Usd, Usd)>,
    /// How much time it rests on, and whether that is less than a week.
    pub(super) days: f64,
    pub(super) is_rough: bool,
}

/// What the month in which the last execution started will cost.
pub(super) struct MonthForecast {
    pub(super) month: String,
    pub(super) so_far: Usd,
    pub(super) forecast: Forecast,
}

impl Adviser<'_> {
    /// What a projection of one machine may rest on.
    pub(super) fn basis(&self, it: &MachineCost) -> Result<Basis, TooLittle> {
        basis_of(&self.collected, it, self.end, (self.since, self.until))
    }

    fn collected_at_all(&self) -> Spans {
        collected_at_all(&self.collected)
    }

    /// What one machine used of a time, day by day, counted back from its end.
    fn usage(&self, basis: &Basis) -> Result<Rc<Vec<Usage>>, Failure> {
        let key = (basis.begin, basis.end);
        if let Some(known) = self.usages.borrow().get(&key) {
            return Ok(Rc::clone(known));
        }
        let found = Rc::new(self.ledger.days_back(basis.begin, basis.end)?);
        self.usages.borrow_mut().insert(key, Rc::clone(&found));
        Ok(found)
    }

    /// A month of one machine, at list price; `None` where too little is covered, or a price is not known.
    pub(super) fn project(&self, it: &MachineCost) -> Result<Option<Month>, Failure> {
        let Ok(basis) = self.basis(it) else { return Ok(None) };
        self.month(&basis, &[it], None)
    }

    /// The same as either type; `None` as well where that has no known price.
    pub(super) fn month_as(&self, it: &MachineCost, as_type: WorkflowType) -> Result<Option<Usd>, Failure> {
        let Ok(basis) = self.basis(it) else { return Ok(None) };
        Ok(self.month(&basis, &[it], Some(as_type))?.map(|it| it.usd))
    }

    fn month(
        &self,
        basis: &Basis,
        machines: &[&MachineCost],
        as_type: Option<WorkflowType>,
    ) -> Result<Option<Month>, Failure> {
        let mut days = vec![Usd::ZERO; basis.whole_days()];
        let mut total = Usd::ZERO;
        for row in self.usage(basis)?.iter() {
            let Some(it) = machines.iter().find(|it| it.machine.arn == row.machine_arn) else { continue };
            let as_type = as_type.unwrap_or(it.machine.workflow_type);
            let Some(amount) = self.list_price_as(it, row, as_type) else { return Ok(None) };
            total += amount;
            let day = row.key.as_deref().and_then(|it| it.parse::<usize>().ok());
            if let Some(day) = day.and_then(|it| days.get_mut(it)) {
                *day += amount;
            }
        }
        Ok(Some(Month {
            usd: basis.month_of(total),
            interval: month_interval(&days),
            days: basis.days(),
            is_rough: basis.is_rough(),
        }))
    }

    /// A month of all machines together, less the free tier of their accounts; or why there is none.
    pub(super) fn project_all(&self, all: &[&MachineCost]) -> Result<Result<Month, String>, Failure> {
        let first = all.iter().filter_map(|it| it.machine.first_at).min();
        let starts = first.zip(self.end.map(|end| end - Micros(1)));
        let basis = match analyzer::projection::basis(&self.collected_at_all(), starts, (self.since, self.until)) {
            Ok(basis) => basis,
            Err(why) => return Ok(Err(why.to_string())),
        };
        let Some(gross) = self.month(&basis, all, None)? else {
            return Ok(Err("the price of a region is not known".to_owned()));
        };
        let mut accounts: Vec<&str> = all.iter().map(|it| it.machine.account.as_str()).collect();
        accounts.sort_unstable();
        accounts.dedup();
        let mut free = Usd::ZERO;
        for account in accounts {
            let own: Vec<&MachineCost> = all
                .iter()
                .copied()
                .filter(|it| it.machine.account == account && it.machine.workflow_type == WorkflowType::Standard)
                .collect();
            let Some(standard) = self.month(&basis, &own, None)? else { continue };
            free += self.free_tier_of(account).min(standard.usd);
        }
        let net = |amount: Usd| if amount > free { amount - free } else { Usd::ZERO };
        Ok(Ok(Month {
            usd: net(gross.usd),
            interval: gross.interval.map(|(low, high)| (net(low), net(high))),
            ..gross
        }))
    }

    /// The month that has begun: what it has cost, and its remaining time at the rate of the whole days so far.
    pub(super) fn forecast(&self, it: &MachineCost) -> Option<MonthForecast> {
        self.basis(it).ok()?;
        let (end, first) = (self.end?, it.machine.first_at?);
        let month = analyzer::time::month(end);
        let (year, number) = month.split_once('-')?;
        let (year, number): (u32, u32) = (year.parse().ok()?, number.parse().ok()?);
        let (year, number) = if number == 12 { (year + 1, 1) } else { (year, number + 1) };
        let next_month = analyzer::time::parse(&format!("{year}-{number:02}-01"))?;
        // The first day is whole only where the range begins with it, and the last one is not over.
        let first_whole = self.since.map_or(first.0.div_euclid(DAY) + 1, |since| (since.0 + DAY - 1).div_euclid(DAY));
        let last = end.0.div_euclid(DAY);
        let mut days = vec![Usd::ZERO; usize::try_from(last - first_whole).unwrap_or(0)];
        let mut so_far = Usd::ZERO;
        for row in self.calendar.iter().filter(|row| row.machine_arn == it.machine.arn) {
            let Some(key) = row.key.as_deref() else { continue };
            let amount = self.list_price(it, row)?;
            if key.starts_with(&month) {
                so_far += amount;
            }
            let day = analyzer::time::parse(key)?.0.div_euclid(DAY) - first_whole;
            if let Some(day) = usize::try_from(day).ok().and_then(|it| days.get_mut(it)) {
                *day += amount;
            }
        }
        let remaining = u64::try_from((next_month - end).0 / (DAY / 1_000)).unwrap_or(0);
        let forecast = analyzer::projection::forecast(&days, so_far, remaining)?;
        Some(MonthForecast { month, so_far, forecast })
    }

    fn list_price(&self, it: &MachineCost, row: &Usage) -> Option<Usd> {
        self.list_price_as(it, row, it.machine.workflow_type)
    }

    /// What usage would cost as either type, at list price.
    pub(super) fn list_price_as(&self, it: &MachineCost, row: &Usage, as_type: WorkflowType) -> Option<Usd> {
        match as_type {
            WorkflowType::Standard => {
                let extra = self.prices.book().extra_transitions * row.executions;
                Some(self.prices.book().standard(&it.region)?.per_transition * (row.transitions + extra))
            }
            WorkflowType::Express => {
                // Where it cannot be priced at all, a day cannot either.
                it.express?;
                Some(row.express.list(self.prices.book().express(&it.region)?).list_total())
            }
        }
    }

    /// An amount of the whole period as that of a month.
    pub(super) fn monthly(&self, it: &MachineCost, amount: Usd) -> Option<Usd> {
        self.basis(it).ok().map(|basis| basis.month_of(amount))
    }
}

/// Sources that know when executions start: what was read of traces or metrics says nothing of them.
fn is_read(source: &str) -> bool {
    !matches!(source, "xray" | "metrics" | "lambda-logs" | "machines" | "definitions")
}

/// What was collected, by source and subject.
pub(super) type Collected = BTreeMap<(String, String), SubjectSpans>;

/// What a projection of one machine may rest on, where the newest execution of all started before `end`.
pub(super) fn basis_of(
    collected: &Collected,
    it: &MachineCost,
    end: Option<Timestamp>,
    range: (Option<Timestamp>, Option<Timestamp>),
) -> Result<Basis, TooLittle> {
    let own = collected.iter().filter(|((source, subject), _)| is_read(source) && is_about(subject, &it.machine.arn));
    let mut spans: Spans = own.flat_map(|(_, it)| it.1.as_slice()).copied().collect();
    if spans.start().is_none() {
        spans = collected_at_all(collected);
    }
    // Machines are seen for as long as any is: one that has not run since yesterday has not.
    let starts = it.machine.first_at.zip(end.map(|end| end - Micros(1)));
    analyzer::projection::basis(&spans, starts, range)
}

fn collected_at_all(collected: &Collected) -> Spans {
    let all = collected.iter().filter(|((source, _), _)| is_read(source));
    all.flat_map(|(_, it)| it.1.as_slice()).copied().collect()
}
