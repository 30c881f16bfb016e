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

    /// Whether the Express rates of a region are confirmed there, or assumed to be those of us-east-1.
    pub fn is_express_confirmed(&self, region: &str) -> bool {
        self.confirmed_express.iter().any(|it| it == region)
    }

    pub fn regions(&self) -> impl Iterator<Item = &str> {
        self.standard.keys().map(String::as_str)
    }
}
