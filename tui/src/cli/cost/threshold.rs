//! `--fail-on`: which amount must not be crossed?

use std::fmt;

use analyzer::model::Usd;

use super::advice::Advice;
use crate::cli::bill::MachineCost;
use crate::failure::Failure;

/// A condition on an amount of all machines together.
pub(super) struct Threshold {
    metric: Metric,
    above: bool,
    or_equal: bool,
    limit: Usd,
    text: String,
}

#[derive(Clone, Copy)]
enum Metric {
    Usd,
    MonthUsd,
    SavesUsd,
    RetriesUsd,
    FailedUsd,
    PollingUsd,
}

const METRICS: [(&str, Metric); 6] = [
    ("usd", Metric::Usd),
    ("month_usd", Metric::MonthUsd),
    ("saves_usd", Metric::SavesUsd),
    ("retries_usd", Metric::RetriesUsd),
    ("failed_usd", Metric::FailedUsd),
    ("polling_usd", Metric::PollingUsd),
];

impl Threshold {
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let refuse = || {
            let known = METRICS.map(|it| it.0).join(", ");
            Failure::usage(format!("`{text}` is no condition"))
                .hint(format!("write METRIC>AMOUNT, such as 'usd>100'; >=, < and <= work too; the metrics are {known}"))
        };
        let at = text.find(['>', '<']).ok_or_else(refuse)?;
        let name = text[..at].trim();
        let metric = METRICS.into_iter().find(|it| it.0 == name).ok_or_else(refuse)?.1;
        let above = text[at..].starts_with('>');
        let rest = &text[at + 1..];
        let or_equal = rest.starts_with('=');
        let limit = Usd::parse(rest.trim_start_matches('=').trim().trim_start_matches('$')).ok_or_else(refuse)?;
        Ok(Self { metric, above, or_equal, limit, text: text.to_owned() })
    }

    /// Whether it is about a month, of which nothing may be known.
    pub(super) fn is_of_month(&self) -> bool {
        matches!(self.metric, Metric::MonthUsd)
    }

    pub(super) fn is_crossed(&self, all: &[(MachineCost, Advice)], month: Option<Usd>, saves: Option<Usd>) -> bool {
        match self.metric {
            Metric::MonthUsd => return month.is_some_and(|it| self.is_crossed_by(it)),
            Metric::SavesUsd => return saves.is_some_and(|it| self.is_crossed_by(it)),
            _ => {}
        }
        let amount = |(it, advice): &(MachineCost, Advice)| match self.metric {
            Metric::Usd => it.actual,
            Metric::MonthUsd | Metric::SavesUsd => None,
            Metric::RetriesUsd => advice.waste.retries,
            Metric::FailedUsd => advice.waste.failed,
            Metric::PollingUsd => advice.waste.polling,
        };
        self.is_crossed_by(all.iter().filter_map(amount).sum())
    }

    fn is_crossed_by(&self, total: Usd) -> bool {
        (self.or_equal && total == self.limit) || if self.above { total > self.limit } else { total < self.limit }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
