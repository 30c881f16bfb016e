//! How spans, amounts and counts are written for people.

use analyzer::failure_rate::FailureRate;
use analyzer::model::{Micros, Timestamp, Usd};

pub use crate::safe::{plain, quoted};

/// A span with three significant digits and the unit that suits it: `0 ms`, `12.5 ms`, `3.21 s`, `2 m 05 s`, `31 h 10 m`.
pub fn span(span: Micros) -> String {
    let sign = if span < Micros::ZERO { "−" } else { "" };
    let us = span.0.saturating_abs();
    let text = match us {
        0 => "0 ms".to_owned(),
        1..10_000 => decimals(us, 1_000, 2, "ms"),
        10_000..100_000 => decimals(us, 1_000, 1, "ms"),
        100_000..1_000_000 => decimals(us, 1_000, 0, "ms"),
        1_000_000..60_000_000 => decimals(us, 1_000_000, if us < 10_000_000 { 2 } else { 1 }, "s"),
        60_000_000..3_600_000_000 => format!("{} m {:02} s", us / 60_000_000, us / 1_000_000 % 60),
        3_600_000_000..172_800_000_000 => format!("{} h {:02} m", us / 3_600_000_000, us / 60_000_000 % 60),
        _ => format!("{} d {:02} h", us / 86_400_000_000, us / 3_600_000_000 % 24),
    };
    format!("{sign}{text}")
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn decimals(us: i64, unit: i64, places: usize, name: &str) -> String {
    let text = format!("{:.places$}", us as f64 / unit as f64);
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} {name}")
}

/// An instant in UTC to the minute: `2026-11-25 14:05`.
pub fn minute(at: Timestamp) -> String {
    analyzer::time::minute(at)
}

/// The same without the year, where it is clear: `11-25 14:05`.
pub fn day_and_minute(at: Timestamp) -> String {
    let minute = minute(at);
    // The year is all up to the dash before the month, whatever its length and sign.
    let tail = minute.len().saturating_sub("11-25 14:05".len());
    minute.get(tail..).unwrap_or(&minute).to_owned()
}

/// Hours and minutes in UTC: `14:05`.
pub fn time_of_day(at: Timestamp) -> String {
    let minute = minute(at);
    minute.rsplit(' ').next().unwrap_or(&minute).to_owned()
}

/// A span that may not be known.
pub fn opt_span(it: Option<Micros>) -> String {
    it.map_or_else(|| "–".to_owned(), span)
}

/// A difference of spans: what is longer has a `+`.
pub fn signed_span(it: Micros) -> String {
    if it > Micros::ZERO { format!("+{}", span(it)) } else { span(it) }
}

/// Dollars: cents from a dollar up, more digits below.
pub fn usd(amount: Usd) -> String {
    let value = amount.as_f64();
    match value.abs() {
        0.0 => "$0".to_owned(),
        it if it >= 1.0 => format!("${value:.2}"),
        it if it >= 0.01 => format!("${value:.4}"),
        it if it >= 0.000_001 => format!("${value:.6}"),
        _ => "< $0.000001".to_owned(),
    }
}

/// The least amount that anybody does something for.
pub const CENT: Usd = Usd::from_atto(10_000_000_000_000_000);

/// Dollars in a sentence: what is less than a cent is said to be.
pub fn amount(amount: Usd) -> String {
    if amount > Usd::ZERO && amount < CENT { "< $0.01".to_owned() } else { usd(amount) }
}

/// A value of a metric, whose name says what it is: `p95_ms`, `budget_day_usd`, `failure_rate`.
#[expect(clippy::cast_possible_truncation, reason = "for people")]
pub fn measure(metric: &str, value: f64) -> String {
    match metric.rsplit('_').next() {
        Some("ms") => span(Micros((value * 1e3).round() as i64)),
        Some("s") => span(Micros((value * 1e6).round() as i64)),
        Some("usd") => usd(Usd::from_atto((value * 1e18) as i128)),
        Some("rate" | "coverage") => format!("{:.1} %", value * 100.0),
        _ => format!("{}", (value * 1e4).round() / 1e4),
    }
}

/// A count with thin groups of three digits.
pub fn count(it: u64) -> String {
    let digits = it.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count in at most four characters: `812`, `5.2 k`, `50 k`, `3 M`.
pub fn short_count(it: u64) -> String {
    match it {
        0..1_000 => it.to_string(),
        1_000..10_000 => format!("{}.{} k", it / 1_000, it / 100 % 10),
        10_000..1_000_000 => format!("{} k", it / 1_000),
        _ => format!("{} M", it / 1_000_000),
    }
}

/// A share of a whole in percent; `–` of nothing.
#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "–".to_owned() } else { format!("{:.1} %", part as f64 * 100.0 / whole as f64) }
}

/// A failure rate, and where it is known from if not from the stored executions.
pub fn failure_rate(it: FailureRate) -> String {
    match it {
        FailureRate::Stored { failed, of } => percent(failed, of),
        FailureRate::Counted { failed, of } => format!("{} (CloudWatch)", percent(failed, of)),
        FailureRate::Unknown { .. } => "not known".to_owned(),
    }
}

/// Cuts a text to a width in terminal columns, as a terminal may show it; the last column shows that something is missing.
pub fn cut(text: &str, width: usize) -> String {
    use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};
    let text = plain(text);
    if text.width() <= width {
        return text;
    }
    let mut used = 0;
    let mut kept = String::new();
    for it in text.chars() {
        used += it.width().unwrap_or(0);
        if used >= width {
            break;
        }
        kept.push(it);
    }
    if width > 0 {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short_and_keep_three_digits() {
        let spans = [0, 4_250, 12_500, 250_000, 1_000_000, 3_210_000, 125_000_000, 112_200_000_000, 259_200_000_000];
        let texts = spans.map(|it| span(Micros(it)));
        assert_eq!(
            texts,
            ["0 ms", "4.25 ms", "12.5 ms", "250 ms", "1 s", "3.21 s", "2 m 05 s", "31 h 10 m", "3 d 00 h"]
        );
    }

    #[test]
    fn long_texts_end_with_an_ellipsis() {
        assert_eq!(cut("ValidateOrder", 9), "Validate…");
        assert_eq!(cut("Short", 9), "Short");
        assert_eq!(cut("a\u{1b}b", 5), "a\\u{…");
        let atto = |it: i128| Usd::from_atto(it);
        assert_eq!([atto(0), atto(1), CENT].map(amount), ["$0", "< $0.01", "$0.0100"]);
        assert_eq!(usd(atto(710_000_000_000)), "< $0.000001");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!([812, 5_240, 50_900, 3_000_000].map(short_count), ["812", "5.2 k", "50 k", "3 M"]);
    }
}
