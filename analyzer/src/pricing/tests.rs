//! Bills against public examples, and against an oracle that prices every transition of an account one by one.

use proptest::prelude::*;

use super::*;
use crate::model::{GbMillis, Micros, Name, Timestamp, Usd};

fn book() -> PriceBook {
    PriceBook::built_in().expect("the built-in book can be read")
}

fn express_alone(requests: u64, ms: u64, mb: u64) -> ExpressBill {
    let usage = ExpressUsage { requests, memory_time: GbMillis(GbMillis::of(mb, ms).0 * u128::from(requests)) };
    usage.alone(book().express("us-east-1").expect("known"))
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
fn five_million_transitions_cost_what_they_do_beyond_the_free_ones() {
    let rate = book().standard("us-east-1").expect("known").per_transition;
    let bill = StandardBill { gross: rate * 5_000_000, free: rate * book().free_transitions };
    assert_eq!(bill.net().to_decimal(), "124.9");
}

/// The page quotes GB-hours; the Price List, which bills, GB-seconds. The page's example is kept with its own book.
#[test]
fn awss_example_comes_out_with_the_gb_hour_rates_of_the_page() {
    let gb_hour = |text: &str| Usd::parse(text).expect("an amount").scaled(1, 3_600);
    let rates = ExpressRates {
        per_request: Usd::parse("0.000001").expect("an amount"),
        tiers: vec![(0, gb_hour("0.06")), (3_600_000, gb_hour("0.03")), (18_000_000, gb_hour("0.01642"))],
    };
    let usage = ExpressUsage { requests: 100_000_000, memory_time: GbMillis(GbMillis::of(64, 10_000).0 * 100_000_000) };
    let bill = usage.alone(&rates);
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

/// An Express execution: when it started, and chunks of 64 MB for 100 ms.
type Start = (i64, u64);

fn chunks(n: u64) -> GbMillis {
    GbMillis(u128::from(n) * 6_400)
}

/// Rates with tiers that a handful of executions reach.
fn steep() -> ExpressRates {
    let usd = |text: &str| Usd::parse(text).expect("an amount");
    ExpressRates {
        per_request: usd("0.000001"),
        tiers: vec![(0, usd("0.00001667")), (2, usd("0.00000833")), (5, usd("0.00000456"))],
    }
}

/// Prices chunk by chunk, in the order of starts.
fn oracle_of_tiers(starts: &[Start], rates: &ExpressRates) -> Vec<Usd> {
    let mut used = 0_u64;
    let one = |&(_, n): &Start| {
        let mut sum = Usd::ZERO;
        for _ in 0..n {
            let rate = rates.tiers.iter().rev().find(|it| used >= it.0 * 160).expect("the first begins at 0").1;
            sum += rate.scaled(1, 160);
            used += 1;
        }
        sum
    };
    starts.iter().map(one).collect()
}

/// Prices each execution by the tier that its instant begins, and those at a border by themselves.
fn by_borders(starts: &[Start], rates: &ExpressRates) -> Vec<Usd> {
    let (mut used, mut borders) = (0, Vec::new());
    for &(at, n) in starts {
        let is_left = |bound: &u64| used < bound * 160 && bound * 160 <= used + n;
        let left = rates.tiers.iter().skip(1).map(|it| it.0).filter(|it| is_left(it)).count();
        borders.extend(std::iter::repeat_n(Timestamp(at), left));
        used += n;
    }
    let borders = Borders(borders);
    let tier_of = |at: i64| borders.tier(Timestamp(at));
    let mut priced: Vec<Usd> = starts.iter().map(|&(at, n)| rates.in_tier(tier_of(at), chunks(n))).collect();
    let mut instants = borders.0.clone();
    instants.dedup();
    for Timestamp(at) in instants {
        let before: u64 = starts.iter().filter(|it| it.0 < at).map(|it| it.1).sum();
        let there: Vec<usize> = (0..starts.len()).filter(|&it| starts[it].0 == at).collect();
        let amounts: Vec<GbMillis> = there.iter().map(|&it| chunks(starts[it].1)).collect();
        for (place, more) in there.into_iter().zip(beyond_tier(rates, tier_of(at), chunks(before), &amounts)) {
            priced[place] += more;
        }
    }
    priced
}

/// A transition: account, region, instant, execution, event.
#[derive(Clone, Debug)]
struct Transition {
    account: u8,
    region: u8,
    at: i64,
    execution: u8,
    event: u64,
}

fn transitions() -> impl Strategy<Value = Vec<Transition>> {
    let one = (0..3_u8, 0..2_u8, 0..4_i64, 0..12_u8, 0..40_i64);
    prop::collection::vec(one, 0..120).prop_map(|all| {
        let place = |(event, (account, region, month, execution, offset)): (usize, (u8, u8, i64, u8, i64))| {
            Transition { account, region, at: month * 1_000 + offset, execution, event: event as u64 }
        };
        all.into_iter().enumerate().map(place).collect()
    })
}

fn rate(region: u8) -> Usd {
    let rates = ["0.000025", "0.0000375"];
    Usd::parse(rates[usize::from(region)]).expect("an amount")
}

fn place(it: &Transition) -> Place {
    let execution_arn: Name = format!("execution:{:02}", it.execution).into();
    Place { at: Timestamp(it.at), execution_arn, event: it.event }
}

/// What each costs: all of an account and month in one line, the first ones free.
fn oracle_of_free_tier(all: &[Transition], free: usize) -> Vec<Usd> {
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by_key(|&it| place(&all[it]));
    let mut prices = vec![Usd::ZERO; all.len()];
    for (position, &it) in order.iter().enumerate() {
        let earlier = order[..position]
            .iter()
            .filter(|&&other| all[other].account == all[it].account && all[other].at / 1_000 == all[it].at / 1_000);
        if earlier.count() >= free {
            prices[it] = rate(all[it].region);
        }
    }
    prices
}

/// The same by the list price of everything less that of the first ones.
fn by_first(all: &[Transition], free: usize) -> Vec<Usd> {
    let mut firsts: std::collections::BTreeMap<(u8, i64), First<usize>> = std::collections::BTreeMap::new();
    for (index, it) in all.iter().enumerate() {
        let first = firsts.entry((it.account, it.at / 1_000)).or_insert_with(|| First::new(free as u64));
        first.add(place(it), index);
    }
    let mut prices: Vec<Usd> = all.iter().map(|it| rate(it.region)).collect();
    for (_, index) in firsts.into_values().flat_map(First::into_sorted) {
        prices[index] = Usd::ZERO;
    }
    prices
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_transition_has_the_price_of_its_place_in_the_account(all in transitions(), free in 0..30_usize) {
        prop_assert_eq!(by_first(&all, free), oracle_of_free_tier(&all, free));
    }

    #[test]
    fn the_order_in_which_transitions_become_known_changes_no_price(all in transitions(), free in 0..30_usize, seed in 0..1_000_usize) {
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by_key(|it| it.wrapping_mul(seed * 2 + 1) % 127);
        let late: Vec<Transition> = order.iter().map(|&it| all[it].clone()).collect();
        let prices = by_first(&all, free);
        let expected: Vec<Usd> = order.iter().map(|&it| prices[it]).collect();
        prop_assert_eq!(by_first(&late, free), expected);
    }

    /// Executions come in the order of their starts: nothing that starts after the last free transition can be free.
    #[test]
    fn reading_stops_where_nothing_can_be_free_any_more(all in transitions(), free in 0..30_usize) {
        let month = |it: &&Transition| it.account == 0 && it.at < 1_000;
        let mut starts: Vec<(i64, u8)> = Vec::new();
        for execution in 0..12 {
            let of = all.iter().filter(month).filter(|it| it.execution == execution);
            starts.extend(of.map(|it| it.at).min().map(|at| (at, execution)));
        }
        starts.sort_unstable();
        let mut first = First::new(free as u64);
        for (at, execution) in starts {
            if !first.reaches(Timestamp(at)) {
                break;
            }
            all.iter().filter(month).filter(|it| it.execution == execution).for_each(|it| first.add(place(it), ()));
        }
        let read: Vec<Place> = first.into_sorted().into_iter().map(|it| it.0).collect();
        let mut expected: Vec<Place> = all.iter().filter(month).map(place).collect();
        expected.sort_unstable();
        expected.truncate(free);
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn every_execution_is_priced_in_the_tier_of_its_start(mut starts in prop::collection::vec((0..20_i64, 1..120_u64), 0..40)) {
        starts.sort_by_key(|it| it.0);
        prop_assert_eq!(by_borders(&starts, &steep()), oracle_of_tiers(&starts, &steep()));
    }

    #[test]
    fn parts_of_memory_time_cost_what_the_whole_does(parts in prop::collection::vec(0..20_000_000_000_u64, 1..8)) {
        let book = book();
        let rates = book.express("us-east-1").expect("known");
        let (mut used, mut sum) = (GbMillis::default(), Usd::ZERO);
        for it in parts {
            sum += rates.after(used, chunks(it));
            used += chunks(it);
        }
        prop_assert_eq!(sum, rates.after(GbMillis::default(), used));
    }

    #[test]
    fn a_discount_keeps_prices_of_parts_exact(percent in 0..10_000_u32, a in 0..9_000_000_000_u64, b in 0..9_000_000_000_u64) {
        let book = book().discounted(&Discounts { express: percent, ..Discounts::default() });
        let rates = book.express("us-east-1").expect("known");
        let whole = rates.in_tier(0, chunks(a + b));
        prop_assert_eq!(rates.in_tier(0, chunks(a)) + rates.in_tier(0, chunks(b)), whole);
        // A GB-second has 160 chunks: nothing is lost by dividing the rate.
        prop_assert_eq!(rates.in_tier(0, gb_seconds(1_000)), rates.tiers[0].1 * 1_000);
    }

    #[test]
    fn express_never_costs_less_than_its_requests_nor_falls_with_use(requests in 1..50_000_000_u64, ms in 1..300_000_u64, mb in 1..40_u64) {
        let bill = express_alone(requests, ms.div_ceil(100) * 100, mb * 64);
        let per_request = book().express("us-east-1").expect("known").per_request;
        prop_assert!(bill.total() > per_request * requests);
        let more = express_alone(requests + 1, ms.div_ceil(100) * 100, mb * 64);
        prop_assert!(more.total() > bill.total());
    }

    #[test]
    fn what_is_shared_out_adds_up_to_the_attodollar(atto in 0..1_000_000_000_000_000_000_000_i128, weights in prop::collection::vec(0..1_000_000_u128, 1..20)) {
        let parts = shared_out(Usd::from_atto(atto), &weights);
        prop_assert_eq!(parts.iter().copied().sum::<Usd>(), Usd::from_atto(atto));
        if weights.iter().any(|it| *it > 0) {
            for (part, weight) in parts.iter().zip(&weights) {
                let exact = Usd::from_atto(atto).scaled(*weight, weights.iter().sum());
                prop_assert!((part.atto() - exact.atto()).abs() <= 1);
            }
        }
    }

    #[test]
    fn durations_and_memory_are_rounded_up_by_less_than_a_unit(us in 1..900_000_000_i64, bytes in 1..9_000_000_000_u64) {
        let ms = billed_ms(Micros(us));
        prop_assert!(ms.is_multiple_of(100) && i64::try_from(ms).expect("small") * 1_000 >= us && (i64::try_from(ms).expect("small") - 100) * 1_000 < us);
        let mb = billed_memory_mb(bytes);
        prop_assert!(mb.is_multiple_of(64) && mb * 1_000_000 >= bytes && (mb - 64) * 1_000_000 < bytes);
    }
}
