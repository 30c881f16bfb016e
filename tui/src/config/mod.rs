//! The settings in force: option, then environment, then file, then default.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use analyzer::pricing::Discounts;
use collector::import::{PayloadPolicy, Privacy};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

mod alerts;
pub(crate) mod database;
mod target;

pub(crate) use alerts::{AlertConfig, DeliveryConfig};
pub(crate) use target::TargetConfig;

/// The configuration file, and what `stepscope config` prints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The file that this was read from.
    #[serde(skip)]
    pub(crate) file: Option<PathBuf>,
    /// The database file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) db: Option<PathBuf>,
    /// What is kept of inputs and outputs: `none`, `redacted` or `full`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) payloads: Option<String>,
    /// A price book instead of the built-in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prices: Option<PathBuf>,
    /// The region whose prices apply to executions without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) price_region: Option<String>,
    /// Percents that a contract takes off list prices, by service: `standard`, `express`, `logs`, `xray`, `lambda`, or `all`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) discounts: BTreeMap<String, f64>,
    /// Transitions of each month's free tier that are used up elsewhere: by accounts or regions that are not stored here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) free_tier_used: Option<u64>,
    /// GB-seconds of each month's Express tiers that are used up elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tier_used: Option<u64>,
    /// Megabytes of functions by name, `*` for all others: prices calls that traces show and no report does.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) function_memory: BTreeMap<String, u64>,
    /// States that may run twice without harm, whatever they call: `MACHINE/STATE`, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) repeatable: Vec<String>,
    /// JSON paths of the business keys that are kept of the input of an execution, whatever `payloads` says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) index: Vec<String>,
    /// Keys are kept as hashes, salted with this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) index_salt: Option<String>,
    /// JSON paths of what is blotted out of inputs, outputs and traces before anything is written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) redact_paths: Vec<String>,
    /// Regular expressions of what is blotted out of texts before anything is written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) redact_patterns: Vec<String>,
    /// How far a first run of `collect` reaches back, such as `7d`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) backfill: Option<String>,
    /// What `collect` reads again of logs for events that came late, such as `15m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) overlap: Option<String>,
    /// The part of each API quota that `collect` may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) share: Option<f64>,
    /// What `collect` reads: `history`, `logs`, `xray`, `metrics`, `lambda-logs`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) sources: Vec<String>,
    /// Log groups are followed by Live Tail, which is billed by the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) live_tail: Option<bool>,
    /// Quotas that the accounts have instead of AWS's defaults: `API = "BUCKET/PER_SECOND"`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) quotas: BTreeMap<String, String>,
    /// How the dashboard looks, and what its keys do.
    #[serde(skip_serializing_if = "DashConfig::is_default")]
    pub(crate) dash: DashConfig,
    /// Rules that `alerts` looks at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) alerts: Vec<AlertConfig>,
    /// Where what they find, and reports, are sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) deliveries: Vec<DeliveryConfig>,
    /// Accounts and regions that `collect` and `dash` read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) targets: Vec<TargetConfig>,
}

/// The dashboard's part of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DashConfig {
    /// `terminal`, `colour-blind`, `high-contrast` or `plain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) theme: Option<String>,
    /// Characters of ASCII alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ascii: Option<bool>,
    /// Other keys: what is done, and the keys that do it, with blanks between.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) keys: BTreeMap<String, String>,
}

impl DashConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Config {
    /// Reads the file that was named, else the platform's; a missing file of the platform is an empty one.
    pub(crate) fn load(named: Option<&Path>) -> Result<Self, Failure> {
        let path = named.map_or_else(default_path, Path::to_path_buf);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(_) if named.is_none() => return Ok(Self::default()),
            Err(error) => {
                return Err(Failure::usage(format!("the configuration `{}` cannot be read", path.display()))
                    .because(error.to_string()));
            }
        };
        let config: Self = toml::from_str(&text).map_err(|error| {
            Failure::usage(format!("the configuration `{}` is not valid", path.display()))
                .because(why_not(&text, &error))
                .hint("`stepscope config` prints one that is")
        })?;
        Ok(Self { file: Some(path), ..config })
    }

    pub(crate) fn db_path(&self) -> PathBuf {
        self.db.clone().unwrap_or_else(|| data_folder().join("stepscope.duckdb"))
    }

    /// The name of a database is told in messages and seen in lists of processes.
    pub(crate) fn refuse_passwords(&self) -> Result<(), Failure> {
        let name = self.db.as_deref().and_then(Path::to_str).unwrap_or_default();
        let user = name.split_once("://").and_then(|it| it.1.split_once('@')).map(|it| it.0);
        let is_told =
            name.starts_with("ducklake:") && (name.contains("password=") || user.is_some_and(|it| it.contains(':')));
        if is_told {
            return Err(Failure::usage("a password in the name of a database would be told in messages")
                .hint("give it to PostgreSQL's client in PGPASSWORD, or in ~/.pgpass"));
        }
        Ok(())
    }

    /// Whether the database is there, as far as that can be told without asking it.
    pub(crate) fn has_db(&self) -> bool {
        let path = self.db_path();
        queries::Lake::of(&path).map_or_else(|| path.exists(), |it| it.may_exist())
    }

    pub(crate) fn is_lake(&self) -> bool {
        queries::Lake::of(&self.db_path()).is_some()
    }

    /// The file beside which files of this machine's own stand: the database, the catalogue of a lake, or one of that name in the data folder.
    pub(crate) fn local_file(&self) -> PathBuf {
        let path = self.db_path();
        match queries::Lake::of(&path) {
            None => path,
            Some(lake) => lake.file().map_or_else(|| data_folder().join("lake"), std::path::Path::to_path_buf),
        }
    }

    pub(crate) fn payload_policy(&self) -> Result<PayloadPolicy, Failure> {
        match self.payloads.as_deref() {
            None => Ok(PayloadPolicy::Full),
            Some(text) => PayloadPolicy::parse(text).ok_or_else(|| {
                Failure::usage(format!("`{text}` is no payload policy")).hint("use `none`, `redacted` or `full`")
            }),
        }
    }

    /// What may be kept of users' data.
    pub(crate) fn privacy(&self) -> Result<Privacy, Failure> {
        let mut privacy = Privacy::from(self.payload_policy()?);
        let wrong = |what: &str, text: &str, why: String| Failure::usage(format!("`{text}` is no {what}")).because(why);
        for path in &self.index {
            privacy.keep_key(path).map_err(|why| wrong("JSON path", path, why))?;
        }
        for path in &self.redact_paths {
            privacy.redact_path(path).map_err(|why| wrong("JSON path", path, why))?;
        }
        for pattern in &self.redact_patterns {
            privacy.redact_pattern(pattern).map_err(|why| wrong("regular expression", pattern, why))?;
        }
        if let Some(salt) = &self.index_salt {
            privacy.hash_keys(salt);
        }
        Ok(privacy)
    }

    /// Takes the memory of a function as an option gives it.
    pub(crate) fn add_function_memory(&mut self, text: &str) -> Result<(), Failure> {
        let parts = text.split_once('=').and_then(|(name, it)| Some((name, it.parse().ok()?)));
        let (name, mb) = parts.ok_or_else(|| {
            Failure::usage(format!("`{text}` is no memory of a function"))
                .hint("write NAME=MEGABYTES, such as charge=512 or '*=256'")
        })?;
        self.function_memory.insert(name.to_owned(), mb);
        Ok(())
    }

    /// Takes a discount as an option gives it.
    pub(crate) fn add_discount(&mut self, text: &str) -> Result<(), Failure> {
        let percent = text.split_once('=').and_then(|(name, it)| Some((name, it.parse().ok()?)));
        let (name, percent) = percent.ok_or_else(|| {
            Failure::usage(format!("`{text}` is no discount")).hint("write SERVICE=PERCENT, such as standard=12.5")
        })?;
        self.discounts.insert(name.to_owned(), percent);
        Ok(())
    }

    /// The discounts in force, in hundredths of a percent.
    pub(crate) fn discounts(&self) -> Result<Discounts, Failure> {
        let mut discounts = Discounts::default();
        // `all` comes first in the alphabet, so that a service's own discount replaces it.
        for (name, percent) in &self.discounts {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 10,000")]
            let by = (0.0..=100.0).contains(percent).then(|| (percent * 100.0).round() as u32).ok_or_else(|| {
                Failure::usage(format!("{percent} is no discount")).hint("use a percentage from 0 to 100")
            })?;
            match name.as_str() {
                "all" => discounts = Discounts { standard: by, express: by, logs: by, xray: by, lambda: by },
                "standard" => discounts.standard = by,
                "express" => discounts.express = by,
                "logs" => discounts.logs = by,
                "xray" => discounts.xray = by,
                "lambda" => discounts.lambda = by,
                other => {
                    return Err(Failure::usage(format!("`{other}` is no service that is priced"))
                        .hint("use standard, express, logs, xray, lambda or all"));
                }
            }
        }
        Ok(discounts)
    }

    pub(crate) fn price_region(&self) -> &str {
        self.price_region.as_deref().unwrap_or("us-east-1")
    }
}

/// What is wrong with the file, and in which line; the line itself may hold a secret.
fn why_not(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|it| text.get(..it.start));
    let line = before.map_or_else(String::new, |it| format!("line {}: ", it.matches('\n').count() + 1));
    // What stands where something else is expected is not repeated.
    let said = error.message();
    let value = said.find("string \"").map(|it| it + "string".len()).zip(said.rfind("\", expected").map(|it| it + 1));
    let said = value.map_or_else(|| said.to_owned(), |(from, to)| format!("{}{}", &said[..from], &said[to..]));
    format!("{line}{said}")
}

fn folder(variable: &str, below_home: &str) -> PathBuf {
    let base = std::env::var_os(variable).filter(|it| !it.is_empty()).map(PathBuf::from);
    let home = || std::env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from).join(below_home);
    base.unwrap_or_else(home).join("stepscope")
}

fn data_folder() -> PathBuf {
    folder("XDG_DATA_HOME", ".local/share")
}

fn default_path() -> PathBuf {
    folder("XDG_CONFIG_HOME", ".config").join("config.toml")
}
