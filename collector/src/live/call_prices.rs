//! What does collecting itself cost? Data in `call_prices.toml`.

use std::sync::LazyLock;

use analyzer::model::Usd;
use serde::Deserialize;

/// Dollars for a metric that is asked for, a trace that is looked at or retrieved, and a minute of Live Tail.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CallPrices {
    pub(super) metric: Usd,
    pub(super) trace: Usd,
    pub(super) live_tail_minute: Usd,
}

#[derive(Default, Deserialize)]
struct File {
    metric: String,
    trace: String,
    live_tail_minute: String,
}

pub(super) static CALL_PRICES: LazyLock<CallPrices> = LazyLock::new(|| {
    let file: File = toml::from_str(include_str!("call_prices.toml")).unwrap_or_default();
    let usd = |text: &str| Usd::parse(text).unwrap_or_default();
    CallPrices { metric: usd(&file.metric), trace: usd(&file.trace), live_tail_minute: usd(&file.live_tail_minute) }
});

/// So many times a price.
pub(super) fn times(price: Usd, count: u64) -> Usd {
    price.scaled(count.into(), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_exactly() {
        assert_eq!(times(CALL_PRICES.metric, 9), Usd::parse("0.00009").unwrap_or_default());
        assert_eq!(times(CALL_PRICES.trace, 2_000_000), Usd::parse("1").unwrap_or_default());
        assert!(CALL_PRICES.live_tail_minute > Usd::ZERO);
    }
}
