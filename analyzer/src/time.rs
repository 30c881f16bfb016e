//! Which instant does a text or number mean, and how is an instant written?

use jiff::tz::Offset;

use crate::model::Timestamp;

/// Reads every timestamp form that AWS tools print: RFC 3339 with offset, epoch seconds with a fraction, epoch
/// milliseconds; `None` when the text is none of these.
pub fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    match text.as_bytes().first()? {
        b'0'..=b'9' | b'-' | b'+'
            if text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E')) =>
        {
            parse_number(text).or_else(|| parse_date(text))
        }
        _ => parse_date(text),
    }
}

/// Reads epoch seconds or milliseconds without a detour through floating point.
pub fn parse_number(text: &str) -> Option<Timestamp> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    let point = i32::try_from(whole.len()).ok()? + exponent;
    // Epoch seconds have ten digits before the point until the year 2286, milliseconds thirteen.
    let micros_point = match point {
        ..=11 => point + 6,
        12..=14 => point + 3,
        15..=17 => point,
        _ => return None,
    };
    let length = usize::try_from(micros_point).ok()?;
    let padded = format!("{digits:0<length$}");
    padded.get(..length)?.parse().ok().map(Timestamp)
}

fn parse_date(text: &str) -> Option<Timestamp> {
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Some(Timestamp(instant.as_microsecond()));
    }
    // `+0100` and `UTC` after a blank, and a date alone, are what logs and people write.
    if let Some(utc) = text.strip_suffix(" UTC") {
        return parse_date(&format!("{}Z", utc.trim_end()));
    }
    if let Ok(instant) = jiff::fmt::strtime::parse("%Y-%m-%dT%H:%M:%S%.f%z", text).and_then(|it| it.to_timestamp()) {
        return Some(Timestamp(instant.as_microsecond()));
    }
    let date: jiff::civil::DateTime = text.parse().ok()?;
    let instant = Offset::UTC.to_timestamp(date).ok()?;
    Some(Timestamp(instant.as_microsecond()))
}

/// RFC 3339 in UTC with milliseconds.
pub fn format(at: Timestamp) -> String {
    civil(at).map_or_else(String::new, |it| it.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

/// The month of an instant in UTC, such as `2026-11`: the period of tiers and free tiers.
pub fn month(at: Timestamp) -> String {
    civil(at).map_or_else(String::new, |it| it.strftime("%Y-%m").to_string())
}

/// The time of day with milliseconds, for tables and charts.
pub fn clock(at: Timestamp) -> String {
    civil(at).map_or_else(String::new, |it| it.strftime("%H:%M:%S%.3f").to_string())
}

/// Date and time to the second, for tables.
pub fn short(at: Timestamp) -> String {
    civil(at).map_or_else(String::new, |it| it.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

fn civil(at: Timestamp) -> Option<jiff::civil::DateTime> {
    jiff::Timestamp::from_microsecond(at.0).ok().map(|it| Offset::UTC.to_datetime(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(parse(text).map(format).as_deref(), Some(expected), "{text}");
    }

    #[test]
    fn every_form_means_the_same_instant() {
        let expected = "2021-08-25T08:41:07.853Z";
        for text in [
            "1629880867.853",
            "1.629880867853E9",
            "1629880867853",
            "2021-08-25T08:41:07.853Z",
            "2021-08-25T03:41:07.853-05:00",
            "2021-08-25T08:41:07.853+0000",
            "2021-08-25T08:41:07.853000+00:00",
            "2021-08-25 08:41:07.853",
        ] {
            check(text, expected);
        }
        check("2026-11-25", "2026-11-25T00:00:00.000Z");
        check("1629880867", "2021-08-25T08:41:07.000Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "yesterday", "12:00", "1e999", "."] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
