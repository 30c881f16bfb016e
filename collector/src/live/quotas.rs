//! How often may each API be called? Data in `quotas.toml`, which settings may replace line by line.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// Regions with the larger quotas.
const LARGE: [&str; 3] = ["us-east-1", "us-west-2", "eu-west-1"];

static BUILT_IN: LazyLock<BTreeMap<String, Entry>> =
    LazyLock::new(|| toml::from_str(include_str!("quotas.toml")).unwrap_or_default());

#[derive(Clone, Debug, Deserialize)]
struct Entry {
    action: String,
    large: Option<[f64; 2]>,
    other: [f64; 2],
    #[serde(default)]
    regions: BTreeMap<String, [f64; 2]>,
    #[serde(default)]
    assumed: bool,
}

/// Calls at once, and calls that come back each second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quota {
    pub bucket: f64,
    pub per_second: f64,
    /// No page gives it.
    pub is_assumed: bool,
}

/// Quotas that an account has instead of AWS's defaults, by API.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quotas {
    own: BTreeMap<String, Quota>,
}

impl Quotas {
    /// Sets the quota of one API.
    pub fn set(&mut self, api: &str, bucket: f64, per_second: f64) -> Result<(), String> {
        if !BUILT_IN.contains_key(api) {
            let known: Vec<&str> = BUILT_IN.keys().map(String::as_str).collect();
            return Err(format!("`{api}` is no API that is called; these are: {}", known.join(", ")));
        }
        if bucket < 1.0 || per_second <= 0.0 || !bucket.is_finite() || !per_second.is_finite() {
            return Err(format!("`{bucket}/{per_second}` is no quota: both parts are above 0"));
        }
        self.own.insert(api.to_owned(), Quota { bucket, per_second, is_assumed: false });
        Ok(())
    }

    pub fn of(&self, api: &str, region: Option<&str>) -> Option<Quota> {
        if let Some(own) = self.own.get(api) {
            return Some(*own);
        }
        let entry = BUILT_IN.get(api)?;
        let region = region.unwrap_or_default();
        let of_size = if LARGE.contains(&region) { entry.large.unwrap_or(entry.other) } else { entry.other };
        let [bucket, per_second] = entry.regions.get(region).copied().unwrap_or(of_size);
        Some(Quota { bucket, per_second, is_assumed: entry.assumed })
    }
}

/// The IAM action that an API needs.
pub(super) fn action(api: &str) -> String {
    match api {
        "ListObjectsV2" => "s3:ListBucket".to_owned(),
        "GetObject" => "s3:GetObject".to_owned(),
        _ => BUILT_IN.get(api).map_or_else(|| api.to_owned(), |it| it.action.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_differ_and_own_quotas_come_first() {
        let mut quotas = Quotas::default();
        let rate = |quotas: &Quotas, api: &str, region: &str| quotas.of(api, Some(region)).map(|it| it.per_second);
        assert_eq!(rate(&quotas, "ListExecutions", "eu-west-1"), Some(5.0));
        assert_eq!(rate(&quotas, "ListExecutions", "eu-north-1"), Some(2.0));
        assert_eq!(rate(&quotas, "FilterLogEvents", "eu-central-1"), Some(5.0));
        assert_eq!(rate(&quotas, "FilterLogEvents", "us-east-1"), Some(25.0));
        quotas.set("ListExecutions", 1_000.0, 50.0).expect("it is called");
        assert_eq!(rate(&quotas, "ListExecutions", "eu-north-1"), Some(50.0));
        assert!(quotas.set("StopExecution", 1.0, 1.0).is_err());
        assert!(BUILT_IN.len() > 15, "the data is read");
    }
}
