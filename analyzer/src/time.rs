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

/// RFC 3339 in UTC with milliseconds. Years that have no four digits are written as ISO 8601 expands them (`+294247-01-10T04:00:54.775Z`), so that
/// every instant has a text.
pub fn format(at: Timestamp) -> String {
    let it = Written::of(at);
    format!("{}T{}.{:03}Z", it.date(), it.time_of_day(), it.micros / 1_000)
}

/// The month of an instant in UTC, such as `2026-11`: the period of tiers and free tiers.
pub fn month(at: Timestamp) -> String {
    let it = Written::of(at);
    format!("{}-{:02}", it.year(), it.month)
}

/// The date in UTC, such as `2026-11-25`.
pub fn date(at: Timestamp) -> String {
    Written::of(at).date()
}

/// The time of day with milliseconds, for tables and charts.
pub fn clock(at: Timestamp) -> String {
    let it = Written::of(at);
    format!("{}.{:03}", it.time_of_day(), it.micros / 1_000)
}

/// The time of day to the second.
pub fn time_of_day(at: Timestamp) -> String {
    Written::of(at).time_of_day()
}

/// Date and time to the second, for tables.
pub fn short(at: Timestamp) -> String {
    let it = Written::of(at);
    format!("{} {}", it.date(), it.time_of_day())
}

/// Date and time to the minute, for tables and sentences.
pub fn minute(at: Timestamp) -> String {
    let it = Written::of(at);
    format!("{} {:02}:{:02}", it.date(), it.seconds / 3_600, it.seconds / 60 % 60)
}

/// Whether an instant lies between the first of January 1970 and the end of the year 9999: what is stored of our own clock does.
pub fn is_plausible(at: Timestamp) -> bool {
    at.0 >= 0 && Written::of(at).year <= 9_999
}

/// An instant taken apart in UTC. Unlike a library's calendar it ends nowhere: a time that came out of a damaged file can still be shown.
struct Written {
    year: i64,
    month: i64,
    day: i64,
    seconds: i64,
    micros: i64,
}

impl Written {
    /// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
    fn of(at: Timestamp) -> Self {
        let (seconds, micros) = (at.0.div_euclid(1_000_000), at.0.rem_euclid(1_000_000));
        let (days, seconds) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Years begin in March here, so that the leap day is the last, and days count from March of the year 0.
        let days = days + 719_468;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self { year, month, day, seconds, micros }
    }

    fn year(&self) -> String {
        if (0..=9_999).contains(&self.year) { format!("{:04}", self.year) } else { format!("{:+07}", self.year) }
    }

    fn date(&self) -> String {
        format!("{}-{:02}-{:02}", self.year(), self.month, self.day)
    }

    fn time_of_day(&self) -> String {
        format!("{:02}:{:02}:{:02}", self.seconds / 3_600, self.seconds / 60 % 60, self.seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    #[test]
    fn every_instant_has_a_text() {
        assert_eq!(format(Timestamp(i64::MAX)), "+294247-01-10T04:00:54.775Z");
        assert_eq!(format(Timestamp(i64::MIN)), "-290308-12-21T19:59:05.224Z");
        assert_eq!(minute(Timestamp(i64::MAX)), "+294247-01-10 04:00");
        assert_eq!(
            (month(Timestamp(-1)), minute(Timestamp(-1))),
            ("1969-12".to_owned(), "1969-12-31 23:59".to_owned())
        );
        assert!(is_plausible(Timestamp(0)) && !is_plausible(Timestamp(i64::MAX)) && !is_plausible(Timestamp(-1)));
    }

    proptest! {
        #[test]
        fn the_calendar_is_that_of_the_library(us in -62_167_219_200_000_000_i64..253_402_000_000_000_000) {
            let known = jiff::Timestamp::from_microsecond(us).expect("in its calendar");
            let known = Offset::UTC.to_datetime(known);
            prop_assert_eq!(format(Timestamp(us)), known.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string());
            prop_assert_eq!(short(Timestamp(us)), known.strftime("%Y-%m-%d %H:%M:%S").to_string());
        }

        #[test]
        fn no_instant_panics(us in any::<i64>()) {
            prop_assert!(format(Timestamp(us)).ends_with('Z'));
            prop_assert!(short(Timestamp(us)).starts_with(&minute(Timestamp(us))));
        }
    }
}
