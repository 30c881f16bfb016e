//! What a period cost, machine by machine and day by day: for reports.

use analyzer::model::{Timestamp, Usd};
use queries::Reader;

use super::advice::{Adviser, Waste};
use super::groups::{GroupBy, groups};
use super::study::saving;
use crate::cli::bill::{Ledger, MachineCost, Prices, costs_of};
use crate::failure::Failure;

/// One machine in a period.
pub(crate) struct MachinePeriod {
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) executions: u64,
    pub(crate) transitions: u64,
    /// `None` where the region has no known price.
    pub(crate) paid: Option<Usd>,
    /// The same without the free tier and volume tiers.
    pub(crate) list: Option<Usd>,
    /// Calendar days (UTC) and what was paid in each.
    pub(crate) days: Vec<(String, Option<Usd>)>,
    /// Only where it was asked for: it looks at every run.
    pub(crate) outlook: Option<Outlook>,
}

/// What a period means for a month, and what could be done about it.
pub(crate) struct Outlook {
    pub(crate) month: Option<Usd>,
    /// What could be saved in a month, and how.
    pub(crate) saving: Option<(Usd, String)>,
    /// What was paid for nothing, by kind.
    pub(crate) waste: Vec<(&'static str, Usd)>,
}

/// From, inclusive, to, exclusive.
type Span = (Timestamp, Timestamp);

/// What was paid.
pub(crate) fn paid_in(reader: &Reader, prices: &Prices, span: Span) -> Result<Vec<MachinePeriod>, Failure> {
    periods(reader, prices, span, |_, _| Ok(None))
}

/// The same with what could be saved.
pub(crate) fn paid_in_with_outlook(
    reader: &Reader,
    prices: &Prices,
    span: Span,
) -> Result<Vec<MachinePeriod>, Failure> {
    periods(reader, prices, span, |adviser, it| {
        let advice = adviser.advise(it)?;
        let month = adviser.project(it)?.map(|it| it.usd);
        Ok(Some(Outlook { month, saving: saving(&advice), waste: waste(&advice.waste) }))
    })
}

fn periods(
    reader: &Reader,
    prices: &Prices,
    (since, until): Span,
    outlook: impl Fn(&Adviser<'_>, &MachineCost) -> Result<Option<Outlook>, Failure>,
) -> Result<Vec<MachinePeriod>, Failure> {
    let ledger = Ledger::of_starts(reader, prices, (Some(since), Some(until)))?;
    let everything = costs_of(&ledger, reader.machines(Some(since), Some(until))?)?;
    let adviser = Adviser::new(&ledger, &everything)?;
    let by_day = groups(&GroupBy::Day, &adviser, &everything)?;
    let one = |it: &MachineCost| {
        let days = by_day.iter().filter(|group| group.is_of(&it.machine.arn));
        let days = days.filter_map(|group| Some((group.key()?.to_owned(), group.usd())));
        Ok(MachinePeriod {
            arn: it.machine.arn.clone(),
            name: it.machine.name.clone(),
            executions: it.machine.executions,
            transitions: it.transitions,
            paid: it.actual,
            list: it.list,
            days: days.collect(),
            outlook: outlook(&adviser, it)?,
        })
    };
    everything.iter().map(one).collect()
}

fn waste(it: &Waste) -> Vec<(&'static str, Usd)> {
    let kinds = [
        ("retries", it.retries),
        ("failed executions", it.failed),
        ("polling", it.polling),
        ("Pass states that change nothing", it.idle_passes),
        ("redrives", it.redrives),
    ];
    kinds.into_iter().filter_map(|(kind, usd)| Some((kind, usd.filter(|it| *it > Usd::ZERO)?))).collect()
}
