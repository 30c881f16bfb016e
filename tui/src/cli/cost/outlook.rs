//! What could be saved on each machine, and what a measured amount comes to in a month.

use analyzer::model::{Name, Usd};
use queries::Reader;

use super::advice::{Adviser, Recommendation};
use super::functions::Glue;
use super::study::saving;
use crate::cli::bill::{Ledger, MachineCost, Prices, costs_of};
use crate::failure::Failure;

/// What is known of a machine's money.
pub(crate) struct Outlook {
    pub(crate) cost: MachineCost,
    /// What the other type, or parts of it, would save in a month, and how.
    pub(crate) saving: Option<Saving>,
    /// States whose functions do nothing but call a service, with what they cost.
    pub(crate) glue: Vec<(Name, Name, Option<Usd>)>,
    /// What one dollar of the measured time comes to in a month.
    month_of_dollar: Option<Usd>,
}

pub(crate) struct Saving {
    pub(crate) usd_per_month: Usd,
    pub(crate) how: String,
    /// Whether the whole machine is to move, and not parts of it.
    pub(crate) is_whole: bool,
}

/// Looks at every machine that is stored.
pub(crate) fn outlooks(reader: &Reader, prices: &Prices) -> Result<Vec<Outlook>, Failure> {
    let ledger = Ledger::of_starts(reader, prices, (None, None))?;
    let everything = costs_of(&ledger, reader.machines(None, None)?)?;
    let adviser = Adviser::new(&ledger, &everything)?;
    let mut found = Vec::with_capacity(everything.len());
    for it in &everything {
        let advice = adviser.advise(it)?;
        let is_whole = advice.recommendation != Recommendation::MoveParts;
        let saving = saving(&advice).map(|(usd_per_month, how)| Saving { usd_per_month, how, is_whole });
        let glue = advice.functions.into_iter().filter_map(|(state, it)| match it.glue? {
            Glue::Service(service) => Some((state, service, it.usd)),
            Glue::Computes => None,
        });
        found.push((saving, glue.collect(), adviser.monthly(it, dollar())));
    }
    let outlook = |(cost, (saving, glue, month_of_dollar))| Outlook { cost, saving, glue, month_of_dollar };
    Ok(everything.into_iter().zip(found).map(outlook).collect())
}

impl Outlook {
    /// What an amount of the measured time comes to in a month.
    pub(crate) fn monthly(&self, amount: Usd) -> Option<Usd> {
        let dollar = dollar().atto().unsigned_abs();
        self.month_of_dollar.map(|it| it.scaled(amount.atto().unsigned_abs(), dollar))
    }
}

fn dollar() -> Usd {
    Usd::from_atto(1_000_000_000_000_000_000)
}
