//! What a period cost, machine by machine and day by day: for reports.

use analyzer::model::{Timestamp, Usd};
use queries::Reader;

use super::advice::{Advice, Adviser, Waste};
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

/// What could be done about a period's cost.
pub(crate) struct Outlook {
    /// What could be saved in a month, and how.
    pub(crate) saving: Option<(Usd, String)>,
    /// What was paid for nothing, by kind.
    pub(crate) waste: Vec<(&'static str, Usd)>,
}

/// A month at the rate of a period; `None` where nothing is projected.
#[derive(Clone, Copy)]
pub(crate) struct Months {
    /// What it costs, free tier counted.
    pub(crate) usd: Option<Usd>,
    /// What all that could be done saves together.
    pub(crate) saves: Option<Usd>,
}

/// From, inclusive, to, exclusive.
type Span = (Timestamp, Timestamp);

/// What was paid.
pub(crate) fn paid_in(reader: &Reader, prices: &Prices, span: Span) -> Result<Vec<MachinePeriod>, Failure> {
    let ledger = Ledger::of_starts(reader, prices, (Some(span.0), Some(span.1)))?;
    let everything = costs_of(&ledger, reader.machines(Some(span.0), Some(span.1))?)?;
    periods(&Adviser::new(&ledger, &everything)?, &everything, |_| Ok(None))
}

/// The same with what could be saved, and a month at this rate.
pub(crate) fn paid_in_with_outlook(
    reader: &Reader,
    prices: &Prices,
    span: Span,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<(Vec<MachinePeriod>, Months), Failure> {
    let ledger = Ledger::of_starts(reader, prices, (Some(span.0), Some(span.1)))?;
    let everything = costs_of(&ledger, reader.machines(Some(span.0), Some(span.1))?)?;
    let adviser = Adviser::new(&ledger, &everything)?;
    let wanted: Vec<&MachineCost> = everything.iter().filter(|it| is_wanted(&it.machine.arn)).collect();
    let month = adviser.project_all(&wanted)?.ok().map(|it| it.usd);
    let advice = everything.iter().map(|it| adviser.advise(it)).collect::<Result<Vec<Advice>, _>>()?;
    // What is too little to be an action is none here, either.
    let actions = everything.iter().zip(&advice).filter(|it| is_wanted(&it.0.machine.arn) && saving(it.1).is_some());
    let saves = adviser.saves_together(actions)?;
    let mut advice = advice.iter();
    let periods = periods(&adviser, &everything, |_| {
        let outlook = |it: &Advice| Outlook { saving: saving(it), waste: waste(&it.waste) };
        Ok(advice.next().map(outlook))
    })?;
    Ok((periods, Months { usd: month, saves }))
}

fn periods(
    adviser: &Adviser<'_>,
    everything: &[MachineCost],
    mut outlook: impl FnMut(&MachineCost) -> Result<Option<Outlook>, Failure>,
) -> Result<Vec<MachinePeriod>, Failure> {
    let by_day = groups(&GroupBy::Day, adviser, everything)?;
    let mut one = |it: &MachineCost| {
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
            outlook: outlook(it)?,
        })
    };
    everything.iter().map(&mut one).collect()
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
