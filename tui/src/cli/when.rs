//! Which instant does the user mean?

use std::time::{SystemTime, UNIX_EPOCH};

use analyzer::model::{Micros, Timestamp};

use crate::failure::Failure;

/// The instant given with `--now`, else the clock's.
pub(crate) fn now(text: Option<&str>) -> Result<Timestamp, Failure> {
    let clock =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| i64::try_from(it.as_micros()).unwrap_or(i64::MAX));
    match text {
        None => Ok(Timestamp(clock)),
        Some(text) => instant(text, Timestamp(clock)),
    }
}

/// RFC 3339, a date, or a span back from now.
pub(crate) fn instant(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    if let Some(span) = span(text) {
        return Ok(now - span);
    }
    analyzer::time::parse(text).ok_or_else(|| {
        Failure::usage(format!("`{text}` is no time"))
            .hint("use RFC 3339 (2026-11-25T14:00:00Z), a date, or a span back from now (90m, 24h, 7d)")
    })
}

pub(crate) fn span(text: &str) -> Option<Micros> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let count: i64 = text[..text.len() - 1].parse().ok()?;
    count.checked_mul(unit).and_then(|it| it.checked_mul(1_000_000)).map(Micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_count_back_from_now() {
        let now = Timestamp(10_000_000_000);
        assert_eq!(instant("90m", now).ok(), Some(Timestamp(4_600_000_000)));
        assert_eq!(instant("1970-01-01", now).ok(), Some(Timestamp(0)));
        assert!(instant("soon", now).is_err());
    }
}
