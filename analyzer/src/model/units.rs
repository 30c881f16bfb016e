//! One type per unit: adding seconds to dollars does not compile, and sums of money do not depend on their order.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, Neg, Sub};

/// A span of time in whole microseconds. Sums and differences end at the longest span there is: a damaged time is no reason to panic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub i64);

/// An instant: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// Billed state transitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Transitions(pub u64);

/// Billed memory over time of Express executions, in gigabytes times milliseconds times 1024, that is, megabyte-milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GbMillis(pub u128);

/// An amount of money in units of 10^-18 dollars: every product of a list price and a billed quantity is exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd {
    atto: i128,
}

impl Micros {
    pub const ZERO: Self = Self(0);

    pub fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Milliseconds with three decimals at most, as every `_ms` key of the JSON results has them.
    #[expect(clippy::cast_precision_loss, reason = "spans stay far below 2^53 microseconds (285 years)")]
    pub fn as_millis(self) -> f64 {
        self.0 as f64 / 1_000.0
    }
}

impl Timestamp {
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }
}

impl Sub for Timestamp {
    type Output = Micros;

    fn sub(self, earlier: Self) -> Micros {
        Micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Micros> for Timestamp {
    type Output = Self;

    fn add(self, span: Micros) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Micros> for Timestamp {
    type Output = Self;

    fn sub(self, span: Micros) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl Add for Micros {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Micros {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl AddAssign for Micros {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Micros {
    fn sum<I: Iterator<Item = Self>>(spans: I) -> Self {
        spans.fold(Self::ZERO, Add::add)
    }
}

impl Add for Transitions {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Transitions {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sum for Transitions {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}

impl GbMillis {
    /// The memory-time of one execution: billed megabytes for billed milliseconds.
    pub fn of(megabytes: u64, millis: u64) -> Self {
        Self(u128::from(megabytes) * u128::from(millis))
    }

    /// Gigabyte-seconds for display; bills are computed from the integer.
    #[expect(clippy::cast_precision_loss, reason = "for display only")]
    pub fn as_gb_seconds(self) -> f64 {
        self.0 as f64 / 1_024_000.0
    }
}

impl Add for GbMillis {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for GbMillis {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sum for GbMillis {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Add::add)
    }
}

impl Usd {
    pub const ZERO: Self = Self { atto: 0 };
    const PICO: i128 = 1_000_000;
    const DECIMALS: usize = 18;

    pub const fn from_atto(atto: i128) -> Self {
        Self { atto }
    }

    pub fn atto(self) -> i128 {
        self.atto
    }

    /// Reads a plain decimal such as `0.00001667`; `None` for anything else, and for more than 18 decimals.
    pub fn parse(text: &str) -> Option<Self> {
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if fraction.len() > Self::DECIMALS
            || whole.is_empty()
            || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        {
            return None;
        }
        let atto: i128 = format!("{whole}{fraction:0<18}").parse().ok()?;
        Some(Self { atto: sign * atto })
    }

    /// `numerator / denominator` of this amount, rounded half away from zero.
    #[must_use]
    pub fn scaled(self, numerator: u128, denominator: u128) -> Self {
        let d = denominator.max(1);
        let whole = self.atto.unsigned_abs();
        // Bills times shares of memory-time go beyond 128 bits: only the remainder is multiplied before it is divided.
        let (quotient, rest) = (whole / d, whole % d);
        let (part, left) = mul_div(rest, numerator, d);
        let rounded = quotient * numerator + part + u128::from(left >= d - left);
        Self { atto: self.atto.signum() * rounded.cast_signed() }
    }

    /// Whole pico-dollars (12 decimals), rounded half away from zero: the precision of every result.
    pub fn round_to_pico(self) -> i128 {
        (self.atto + self.atto.signum() * (Self::PICO / 2)) / Self::PICO
    }

    /// Dollars for charts and sorting; results are written from the integer.
    #[expect(clippy::cast_precision_loss, reason = "for charts and sorting only")]
    pub fn as_f64(self) -> f64 {
        self.round_to_pico() as f64 / 1e12
    }

    /// A decimal with at most 12 places and no trailing zeros, as the JSON results carry it.
    pub fn to_decimal(self) -> String {
        let pico = self.round_to_pico();
        let (sign, pico) = if pico < 0 { ("-", -pico) } else { ("", pico) };
        let fraction = format!("{:012}", pico % 1_000_000_000_000);
        let fraction = fraction.trim_end_matches('0');
        let whole = pico / 1_000_000_000_000;
        if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }
}

impl Add for Usd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { atto: self.atto + other.atto }
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        self.atto += other.atto;
    }
}

impl Sub for Usd {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { atto: self.atto - other.atto }
    }
}

impl Neg for Usd {
    type Output = Self;

    fn neg(self) -> Self {
        Self { atto: -self.atto }
    }
}

impl Mul<u64> for Usd {
    type Output = Self;

    fn mul(self, count: u64) -> Self {
        Self { atto: self.atto * i128::from(count) }
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_decimal())
    }
}

/// `a * n / d` with the remainder, exact also where the product has more than 128 bits; `a` is less than `d`.
fn mul_div(a: u128, n: u128, d: u128) -> (u128, u128) {
    a.checked_mul(n).map_or_else(|| mul_div_bit_by_bit(a, n, d), |product| (product / d, product % d))
}

fn mul_div_bit_by_bit(a: u128, n: u128, d: u128) -> (u128, u128) {
    let (mut quotient, mut rest) = (0, 0);
    for bit in (0..u128::BITS - n.leading_zeros()).rev() {
        quotient *= 2;
        // `rest` stays below `d`, so what a doubling or an addition overflows by is seen in the difference.
        for term in [rest, if n >> bit & 1 == 1 { a } else { 0 }] {
            if rest >= d - term && term > 0 {
                rest -= d - term;
                quotient += 1;
            } else {
                rest += term;
            }
        }
    }
    (quotient, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_read_and_written_exactly() {
        for text in ["0.000025", "0.00001667", "482.88", "-1.5", "0", "1000000"] {
            assert_eq!(Usd::parse(text).map(Usd::to_decimal).as_deref(), Some(text));
        }
        assert_eq!(Usd::parse("1e3"), None);
        assert_eq!(Usd::parse(""), None);
    }

    #[test]
    fn money_is_rounded_once_half_away_from_zero() {
        assert_eq!(Usd::from_atto(1_500_000).to_decimal(), "0.000000000002");
        assert_eq!(Usd::from_atto(-1_500_000).to_decimal(), "-0.000000000002");
        assert_eq!(Usd::from_atto(10).scaled(1, 4).atto(), 3);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..proptest::prelude::ProptestConfig::default() })]

        #[test]
        fn long_multiplication_is_that_of_the_machine(a in 0..u64::MAX, n in 0..u64::MAX, d in 1..u64::MAX) {
            let (a, n, d) = (u128::from(a % d), u128::from(n), u128::from(d));
            proptest::prop_assert_eq!(mul_div_bit_by_bit(a, n, d), (a * n / d, a * n % d));
        }

        #[test]
        fn the_whole_of_any_amount_is_itself(atto in -1_000_000_000_000_000_000_000_000_000_000_i128..1_000_000_000_000_000_000_000_000_000_000, d in 1..u128::MAX >> 2) {
            let amount = Usd::from_atto(atto);
            proptest::prop_assert_eq!(amount.scaled(d, d), amount);
        }
    }
}
