//! Quantities times rates.

use super::{ExpressRates, LogRates, StandardRate};
use crate::model::{GbMillis, Micros, Transitions, Usd};

/// A month's Standard bill of one machine, with its share of the account's free tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StandardBill {
    pub gross: Usd,
    pub free: Usd,
}

impl StandardBill {
    pub fn net(&self) -> Usd {
        self.gross - self.free
    }
}

/// What Express executions used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExpressUsage {
    pub requests: u64,
    pub memory_time: GbMillis,
}

impl std::ops::AddAssign for ExpressUsage {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.memory_time += other.memory_time;
    }
}

/// A month's Express bill of one machine, with its share of the account's tiers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExpressBill {
    pub requests: Usd,
    pub duration: Usd,
}

impl ExpressBill {
    pub fn total(&self) -> Usd {
        self.requests + self.duration
    }
}

/// The duration that is billed: up to the next 100 ms, and at least that.
pub fn billed_ms(duration: Micros) -> u64 {
    u64::try_from(duration.0.max(1)).unwrap_or(0).div_ceil(100_000) * 100
}

/// The memory that is billed: up to the next 64 MB.
pub fn billed_memory_mb(bytes: u64) -> u64 {
    bytes.max(1).div_ceil(64_000_000) * 64
}

/// Prices a machine's transitions of one month. The free tier belongs to the account: each machine has the share that it
/// has in the account's transitions.
pub fn standard(own: Transitions, account: Transitions, free: u64, rate: StandardRate) -> StandardBill {
    let gross = rate.per_transition * own.0;
    let free = free.min(account.0);
    let share = (rate.per_transition * free).scaled(u128::from(own.0), u128::from(account.0.max(1)));
    StandardBill { gross, free: share }
}

/// Prices a machine's Express usage of one month, with its share of the account's tiers.
pub fn express(own: ExpressUsage, account: GbMillis, rates: &ExpressRates) -> ExpressBill {
    let all = tiered(account, rates);
    ExpressBill {
        requests: rates.per_request * own.requests,
        duration: all.scaled(own.memory_time.0, account.0.max(1)),
    }
}

/// The price of memory-time over marginal tiers.
fn tiered(amount: GbMillis, rates: &ExpressRates) -> Usd {
    // One GB-second is 1,024 MB for 1,000 ms.
    const GB_SECOND: u128 = 1_024_000;
    let bounds = rates.tiers.iter().skip(1).map(|it| u128::from(it.0) * GB_SECOND).chain([u128::MAX]);
    let mut sum = Usd::ZERO;
    for (&(above, rate), below) in rates.tiers.iter().zip(bounds) {
        let within = amount.0.min(below).saturating_sub(u128::from(above) * GB_SECOND);
        sum += rate.scaled(within, GB_SECOND);
    }
    sum
}

/// The price of log bytes of one month over marginal tiers. A gigabyte is 10^9 bytes here, as the tiers are terabytes of a
/// thousand gigabytes.
pub fn log_ingestion(bytes: u64, rates: &LogRates) -> Usd {
    const GB: u128 = 1_000_000_000;
    let bytes = u128::from(bytes);
    let bounds = rates.tiers.iter().skip(1).map(|it| u128::from(it.0) * GB).chain([u128::MAX]);
    let mut sum = Usd::ZERO;
    for (&(above, rate), below) in rates.tiers.iter().zip(bounds) {
        sum += rate.scaled(bytes.min(below).saturating_sub(u128::from(above) * GB), GB);
    }
    sum
}

/// Rounds parts to pico-dollars so that they add up to their rounded sum: the largest remainders are rounded up.
pub fn rounded_to_add_up(parts: &[Usd]) -> Vec<Usd> {
    const PICO: i128 = 1_000_000;
    let total = parts.iter().copied().sum::<Usd>().round_to_pico();
    let mut rounded: Vec<i128> = parts.iter().map(|it| it.atto().div_euclid(PICO)).collect();
    let missing = total - rounded.iter().sum::<i128>();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|&it| std::cmp::Reverse(parts[it].atto().rem_euclid(PICO)));
    for &index in order.iter().take(usize::try_from(missing).unwrap_or(0)) {
        rounded[index] += 1;
    }
    rounded.into_iter().map(|it| Usd::from_atto(it * PICO)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pricing::PriceBook;

    fn book() -> PriceBook {
        PriceBook::built_in().expect("the built-in book can be read")
    }

    fn express_alone(requests: u64, ms: u64, mb: u64) -> ExpressBill {
        let usage = ExpressUsage { requests, memory_time: GbMillis(GbMillis::of(mb, ms).0 * u128::from(requests)) };
        let book = book();
        express(usage, usage.memory_time, book.express("us-east-1").expect("known"))
    }

    #[test]
    fn the_published_express_examples_come_out_to_the_cent() {
        // Price List rates: AWS's example of 100 million executions of 10 s, and three worked bills of a public cost tool.
        for (requests, ms, mb, expected) in [
            (100_000_000, 10_000, 64, "482.88"),
            (10_000_000, 800, 512, "73.34"),
            (100_000_000, 900, 1_216, "685.23"),
            (100_000, 200, 64, "0.12"),
        ] {
            let total = express_alone(requests, ms, mb).total().as_f64();
            assert_eq!(format!("{total:.2}"), expected);
        }
    }

    #[test]
    fn standard_transitions_are_free_up_to_four_thousand_a_month() {
        let rate = book().standard("us-east-1").expect("known");
        let bill = standard(Transitions(5_000_000), Transitions(5_000_000), 4_000, rate);
        assert_eq!(bill.net().to_decimal(), "124.9");
        let half = standard(Transitions(1_000), Transitions(2_000), 4_000, rate);
        assert_eq!(half.net(), Usd::ZERO);
    }

    #[test]
    fn shares_of_a_bill_add_up_to_it() {
        let rate = book().standard("us-west-1").expect("known");
        let all = Transitions(10_007);
        let parts: Vec<Usd> = [3, 4, 10_000].map(|it| standard(Transitions(it), all, 4_000, rate).net()).to_vec();
        let rounded = rounded_to_add_up(&parts);
        let whole = standard(all, all, 4_000, rate).net();
        assert_eq!(rounded.iter().copied().sum::<Usd>().to_decimal(), whole.to_decimal());
    }

    /// The page quotes GB-hours; the Price List, which bills, GB-seconds. The page's example is kept with its own book.
    #[test]
    fn awss_example_comes_out_with_the_gb_hour_rates_of_the_page() {
        let gb_hour = |text: &str| Usd::parse(text).expect("an amount").scaled(1, 3_600);
        let rates = ExpressRates {
            per_request: Usd::parse("0.000001").expect("an amount"),
            tiers: vec![(0, gb_hour("0.06")), (3_600_000, gb_hour("0.03")), (18_000_000, gb_hour("0.01642"))],
        };
        let usage =
            ExpressUsage { requests: 100_000_000, memory_time: GbMillis(GbMillis::of(64, 10_000).0 * 100_000_000) };
        let bill = express(usage, usage.memory_time, &rates);
        assert_eq!(format!("{:.2} + {:.2}", bill.requests.as_f64(), bill.duration.as_f64()), "100.00 + 382.97");
    }

    #[test]
    fn sixty_terabytes_of_logs_cost_what_public_bills_say() {
        let book = book();
        let rates = book.logs("us-east-1").expect("known");
        assert_eq!(log_ingestion(60_000_000_000_000, rates).to_decimal(), "12500");
        assert_eq!(log_ingestion(21_000, rates).to_decimal(), "0.0000105");
    }

    #[test]
    fn durations_and_memory_round_up() {
        assert_eq!([0, 1, 100_000, 100_001].map(|it| billed_ms(Micros(it))), [100, 100, 100, 200]);
        assert_eq!([0, 62_850_000, 64_000_001].map(billed_memory_mb), [64, 64, 128]);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..proptest::prelude::ProptestConfig::default() })]

        #[test]
        fn splitting_a_month_between_machines_changes_nothing(a in 0..9_000_000_u64, b in 0..9_000_000_u64) {
            let rate = book().standard("us-east-1").expect("known");
            let all = standard(Transitions(a + b), Transitions(a + b), 4_000, rate);
            let (one, two) = (standard(Transitions(a), Transitions(a + b), 4_000, rate), standard(Transitions(b), Transitions(a + b), 4_000, rate));
            proptest::prop_assert_eq!(one.gross + two.gross, all.gross);
            // Shares of the free tier are rounded to the attodollar.
            let off = (one.free + two.free).atto() - all.free.atto();
            proptest::prop_assert!(off.abs() <= 1, "{}", off);
        }

        #[test]
        fn express_never_costs_less_than_its_requests_nor_falls_with_use(requests in 1..50_000_000_u64, ms in 1..300_000_u64, mb in 1..40_u64) {
            let bill = express_alone(requests, ms.div_ceil(100) * 100, mb * 64);
            let per_request = book().express("us-east-1").expect("known").per_request;
            proptest::prop_assert!(bill.total() > per_request * requests);
            let more = express_alone(requests + 1, ms.div_ceil(100) * 100, mb * 64);
            proptest::prop_assert!(more.total() > bill.total());
        }

        #[test]
        fn tiers_of_a_month_do_not_depend_on_how_it_is_divided(parts in proptest::collection::vec(0..40_000_000_000_000_u128, 1..6)) {
            let book = book();
            let rates = book.express("us-east-1").expect("known");
            let account = GbMillis(parts.iter().sum());
            let usage = |memory_time: GbMillis| ExpressUsage { requests: 0, memory_time };
            let whole = express(usage(account), account, rates).duration;
            let sum: Usd = parts.iter().map(|&it| express(usage(GbMillis(it)), account, rates).duration).sum();
            proptest::prop_assert!((sum.atto() - whole.atto()).abs() <= parts.len() as i128, "{:?} {:?}", sum, whole);
        }

        #[test]
        fn durations_and_memory_are_rounded_up_by_less_than_a_unit(us in 1..900_000_000_i64, bytes in 1..9_000_000_000_u64) {
            let ms = billed_ms(Micros(us));
            proptest::prop_assert!(ms.is_multiple_of(100) && i64::try_from(ms).expect("small") * 1_000 >= us && (i64::try_from(ms).expect("small") - 100) * 1_000 < us);
            let mb = billed_memory_mb(bytes);
            proptest::prop_assert!(mb.is_multiple_of(64) && mb * 1_000_000 >= bytes && (mb - 64) * 1_000_000 < bytes);
        }
    }
}
