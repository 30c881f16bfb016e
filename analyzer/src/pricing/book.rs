//! The price book: rates as data, with region, date and source.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::Usd;

/// The book that comes with this version.
const BUILT_IN: &str = include_str!("../../prices/2026-11-01.toml");

/// Prices of one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceBook {
    pub as_of: String,
    pub source: String,
    /// Transitions billed beyond those counted, per execution; 0 unless calibrated.
    pub extra_transitions: u64,
    pub free_transitions: u64,
    standard: BTreeMap<String, Usd>,
    express: ExpressRates,
    confirmed_express: Vec<String>,
    logs: BTreeMap<String, LogRates>,
    xray: BTreeMap<String, XrayRates>,
    lambda: BTreeMap<String, LambdaRates>,
    kms: BTreeMap<String, Usd>,
}

/// Prices of CloudWatch Logs that AWS services deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRates {
    /// Ascending thresholds in gigabytes a month.
    pub tiers: Vec<(u64, Usd)>,
    pub per_gb_month_stored: Usd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XrayRates {
    pub per_trace: Usd,
    pub free_traces: u64,
}

/// Prices of Lambda's first tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LambdaRates {
    pub per_request: Usd,
    pub per_gb_second: Usd,
    pub per_gb_second_arm: Usd,
}

/// What a contract takes off list prices, in hundredths of a percent by service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discounts {
    pub standard: u32,
    pub express: u32,
    pub logs: u32,
    pub xray: u32,
    pub lambda: u32,
}

/// A hundred percent, in hundredths of a percent.
const WHOLE: u32 = 10_000;

fn reduced(rate: Usd, by: u32) -> Usd {
    rate.scaled(WHOLE.saturating_sub(by).into(), WHOLE.into())
}

/// The price of one transition in a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandardRate {
    pub per_transition: Usd,
}

/// Express prices: per request, and per GB-second above each threshold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressRates {
    pub per_request: Usd,
    /// Ascending thresholds in GB-seconds.
    pub tiers: Vec<(u64, Usd)>,
}

/// Why a text is no price book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookError(pub String);

impl std::fmt::Display for BookError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BookError {}

#[derive(Deserialize)]
struct BookFile {
    as_of: String,
    source: String,
    transitions_per_execution_extra: u64,
    free_transitions_per_month: u64,
    express: ExpressFile,
    standard: StandardFile,
    #[serde(default)]
    logs: Vec<LogsFile>,
    #[serde(default)]
    xray: Vec<XrayFile>,
    #[serde(default)]
    lambda: Vec<LambdaFile>,
    #[serde(default)]
    kms: Vec<KmsFile>,
}

#[derive(Deserialize)]
struct KmsFile {
    region: String,
    usd_per_request: String,
}

#[derive(Deserialize)]
struct LogsFile {
    region: String,
    usd_per_gb_month_stored: String,
    tiers: Vec<LogTierFile>,
}

#[derive(Deserialize)]
struct LogTierFile {
    above_gb: u64,
    usd_per_gb: String,
}

#[derive(Deserialize)]
struct XrayFile {
    region: String,
    usd_per_trace: String,
    free_traces_per_month: u64,
}

#[derive(Deserialize)]
struct LambdaFile {
    region: String,
    usd_per_request: String,
    usd_per_gb_s: String,
    usd_per_gb_s_arm: String,
}

#[derive(Deserialize)]
struct ExpressFile {
    usd_per_request: String,
    confirmed_regions: Vec<String>,
    tiers: Vec<TierFile>,
}

#[derive(Deserialize)]
struct TierFile {
    above_gb_s: u64,
    usd_per_gb_s: String,
}

#[derive(Deserialize)]
struct StandardFile {
    usd_per_transition: BTreeMap<String, String>,
}

impl PriceBook {
    /// The book that comes with this version; a test proves that it can be read.
    pub fn built_in() -> Result<Self, BookError> {
        Self::parse(BUILT_IN)
    }

    pub fn parse(text: &str) -> Result<Self, BookError> {
        let file: BookFile = toml::from_str(text).map_err(|error| BookError(error.to_string()))?;
        let usd = |text: &str| Usd::parse(text).ok_or_else(|| BookError(format!("`{text}` is no decimal amount")));
        let tiers = file
            .express
            .tiers
            .iter()
            .map(|it| Ok((it.above_gb_s, usd(&it.usd_per_gb_s)?)))
            .collect::<Result<Vec<_>, _>>()?;
        if tiers.first().is_none_or(|it| it.0 != 0) || tiers.windows(2).any(|it| it[0].0 >= it[1].0) {
            return Err(BookError("the tiers begin at 0 and ascend".to_owned()));
        }
        let logs = |it: &LogsFile| {
            let tiers = it.tiers.iter().map(|it| Ok((it.above_gb, usd(&it.usd_per_gb)?))).collect::<Result<_, _>>()?;
            Ok((it.region.clone(), LogRates { tiers, per_gb_month_stored: usd(&it.usd_per_gb_month_stored)? }))
        };
        let xray = |it: &XrayFile| {
            let rates = XrayRates { per_trace: usd(&it.usd_per_trace)?, free_traces: it.free_traces_per_month };
            Ok((it.region.clone(), rates))
        };
        let lambda = |it: &LambdaFile| {
            let rates = LambdaRates {
                per_request: usd(&it.usd_per_request)?,
                per_gb_second: usd(&it.usd_per_gb_s)?,
                per_gb_second_arm: usd(&it.usd_per_gb_s_arm)?,
            };
            Ok((it.region.clone(), rates))
        };
        Ok(Self {
            logs: file.logs.iter().map(logs).collect::<Result<_, BookError>>()?,
            xray: file.xray.iter().map(xray).collect::<Result<_, BookError>>()?,
            lambda: file.lambda.iter().map(lambda).collect::<Result<_, BookError>>()?,
            kms: file
                .kms
                .iter()
                .map(|it| Ok((it.region.clone(), usd(&it.usd_per_request)?)))
                .collect::<Result<_, BookError>>()?,
            as_of: file.as_of,
            source: file.source,
            extra_transitions: file.transitions_per_execution_extra,
            free_transitions: file.free_transitions_per_month,
            standard: file
                .standard
                .usd_per_transition
                .iter()
                .map(|(region, it)| Ok((region.clone(), usd(it)?)))
                .collect::<Result<_, _>>()?,
            express: ExpressRates { per_request: usd(&file.express.usd_per_request)?, tiers },
            confirmed_express: file.express.confirmed_regions,
        })
    }

    /// The book with a contract's discounts taken off its rates.
    #[must_use]
    pub fn discounted(mut self, by: &Discounts) -> Self {
        for rate in self.standard.values_mut() {
            *rate = reduced(*rate, by.standard);
        }
        self.express.per_request = reduced(self.express.per_request, by.express);
        for (_, rate) in &mut self.express.tiers {
            *rate = reduced(*rate, by.express);
        }
        for rates in self.logs.values_mut() {
            rates.per_gb_month_stored = reduced(rates.per_gb_month_stored, by.logs);
            for (_, rate) in &mut rates.tiers {
                *rate = reduced(*rate, by.logs);
            }
        }
        for rates in self.xray.values_mut() {
            rates.per_trace = reduced(rates.per_trace, by.xray);
        }
        for rates in self.lambda.values_mut() {
            for rate in [&mut rates.per_request, &mut rates.per_gb_second, &mut rates.per_gb_second_arm] {
                *rate = reduced(*rate, by.lambda);
            }
        }
        if *by != Discounts::default() {
            self.source += ", less discounts";
        }
        self
    }

    /// The Standard rate of a region; `None` where it is not known.
    pub fn standard(&self, region: &str) -> Option<StandardRate> {
        self.standard.get(region).map(|&per_transition| StandardRate { per_transition })
    }

    /// The Express rates of a region; `None` where not even the Standard rate is known.
    pub fn express(&self, region: &str) -> Option<&ExpressRates> {
        self.standard.contains_key(region).then_some(&self.express)
    }

    pub fn logs(&self, region: &str) -> Option<&LogRates> {
        self.logs.get(region)
    }

    pub fn xray(&self, region: &str) -> Option<XrayRates> {
        self.xray.get(region).copied()
    }

    pub fn lambda(&self, region: &str) -> Option<LambdaRates> {
        self.lambda.get(region).copied()
    }

    /// What a request of a KMS key costs.
    pub fn kms_request(&self, region: &str) -> Option<Usd> {
        self.kms.get(region).copied()
    }

    /// Whether the Express rates of a region are confirmed there, or assumed to be those of us-east-1.
    pub fn is_express_confirmed(&self, region: &str) -> bool {
        self.confirmed_express.iter().any(|it| it == region)
    }

    pub fn regions(&self) -> impl Iterator<Item = &str> {
        self.standard.keys().map(String::as_str)
    }
}

/// Price books of several days: what happened is priced by the book of its day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceBooks {
    /// In ascending order of their dates; there is one at least.
    books: Vec<PriceBook>,
}

impl PriceBooks {
    /// Books in any order; `None` without any.
    pub fn new(mut books: Vec<PriceBook>) -> Option<Self> {
        books.sort_by(|a, b| a.as_of.cmp(&b.as_of));
        (!books.is_empty()).then_some(Self { books })
    }

    /// The newest book, for prices of today and of what might be.
    pub fn newest(&self) -> &PriceBook {
        &self.books[self.books.len() - 1]
    }

    /// The days from which on the books after the first apply.
    pub fn starts(&self) -> Vec<&str> {
        self.books[1..].iter().map(|it| it.as_of.as_str()).collect()
    }

    /// The book by its place; what lies before the first book's day is priced by the first.
    pub fn get(&self, place: usize) -> &PriceBook {
        &self.books[place.min(self.books.len() - 1)]
    }

    pub fn iter(&self) -> impl Iterator<Item = &PriceBook> {
        self.books.iter()
    }

    /// Changes every book alike.
    pub fn for_each(&mut self, change: impl FnMut(&mut PriceBook)) {
        self.books.iter_mut().for_each(change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discounts_are_exact_and_named() {
        let by = Discounts { standard: 1_250, ..Discounts::default() };
        let book = PriceBook::built_in().expect("it is read").discounted(&by);
        let rate = book.standard("us-east-1").expect("known").per_transition;
        assert_eq!(rate, Usd::parse("0.000021875").expect("an amount"));
        assert!(book.source.ends_with("less discounts"));
    }

    #[test]
    fn the_book_of_a_day_is_the_last_that_began_by_then() {
        let at = |day: &str| PriceBook { as_of: day.to_owned(), ..PriceBook::built_in().expect("it is read") };
        let books =
            PriceBooks::new(vec![at("2026-11-01"), at("2025-03-01"), at("2026-02-01")]).expect("there are some");
        assert_eq!(books.starts(), ["2026-02-01", "2026-11-01"]);
        assert_eq!((books.get(0).as_of.as_str(), books.newest().as_of.as_str()), ("2025-03-01", "2026-11-01"));
    }
}
