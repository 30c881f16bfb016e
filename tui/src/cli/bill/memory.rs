//! How much memory are Express executions billed for?

use std::collections::BTreeMap;

use analyzer::pricing::billed_memory_mb;
use queries::Reader;

use super::{BASE_MEMORY, BILLED_MEMORY, MemorySource, whole_chunks};
use crate::failure::Failure;

/// Billed megabytes, from the source that knows them best.
pub(super) struct Memory {
    metrics: BTreeMap<String, u64>,
    definitions: BTreeMap<String, u64>,
}

impl Memory {
    pub(super) fn load(reader: &Reader) -> Result<Self, Failure> {
        let metrics = reader.metric_means(BILLED_MEMORY)?.into_iter().map(|(arn, mb)| (arn, whole_chunks(mb)));
        Ok(Self { metrics: metrics.collect(), definitions: reader.definition_sizes()?.into_iter().collect() })
    }

    pub(super) fn of(&self, machine_arn: &str, billed: Option<u64>, payload_mb: u64) -> (u64, MemorySource) {
        match (billed, self.metrics.get(machine_arn)) {
            (Some(mb), _) => (mb.div_ceil(64) * 64, MemorySource::BillingDetails),
            (None, Some(mb)) => (*mb, MemorySource::Metric),
            (None, None) => {
                // The documented estimate: what the service takes, the definition, and payloads.
                let definition = self.definitions.get(machine_arn).copied().unwrap_or_default();
                (billed_memory_mb(BASE_MEMORY + definition + payload_mb * 1_000_000), MemorySource::Estimate)
            }
        }
    }
}
