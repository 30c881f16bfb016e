//! When is a schedule due? A pure question: the clock is an argument.

use analyzer::model::Timestamp;
use cronexpr::MakeTimestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// A report that is made again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Schedule {
    pub(super) name: String,
    /// Minute, hour, day of the month, month, day of the week.
    pub(super) cron: String,
    /// An IANA name: the hours of the expression are hours there, summer and winter.
    pub(super) time_zone: String,
    pub(super) report: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) machine: Option<String>,
    pub(super) period: String,
    pub(super) to: Vec<String>,
    /// The last time that was due and is done with; at first, when it was added. Microseconds since the epoch.
    pub(super) done_until: i64,
}

impl Schedule {
    /// The first time after an instant. An hour that comes twice counts once, and a time that the clock leaves out comes as much later
    /// as the clock was put forward; what runs every hour anyway goes by elapsed time (as cron has done since Vixie's).
    pub(super) fn next_after(&self, at: Timestamp) -> Result<Timestamp, Failure> {
        let zone = TimeZone::get(&self.time_zone).map_err(|it| self.wrong(&it))?;
        if self.cron.split_whitespace().nth(1).is_some_and(|hour| hour.starts_with('*')) {
            return self.found(&self.time_zone, at);
        }
        let instant = |it: Timestamp| jiff::Timestamp::from_microsecond(it.0).map_err(|it| self.wrong(&it));
        // The hands of the clock there, as if they were those of UTC.
        let hands = zone.to_datetime(instant(at)?);
        let wall = TimeZone::UTC.to_timestamp(hands).map_err(|it| self.wrong(&it))?;
        let mut wall = Timestamp(wall.as_microsecond());
        loop {
            wall = self.found("UTC", wall)?;
            let hands = TimeZone::UTC.to_datetime(instant(wall)?);
            let next = zone.to_timestamp(hands).map_err(|it| self.wrong(&it))?.as_microsecond();
            if next > at.0 {
                return Ok(Timestamp(next));
            }
        }
    }

    fn found(&self, zone: &str, at: Timestamp) -> Result<Timestamp, Failure> {
        let crontab = cronexpr::parse_crontab(&format!("{} {zone}", self.cron)).map_err(|it| self.wrong(&it))?;
        let from = MakeTimestamp::from_microsecond(at.0).map_err(|it| self.wrong(&it))?;
        let next = crontab.find_next(from).map_err(|it| self.wrong(&it))?;
        Ok(Timestamp(next.timestamp().as_microsecond()))
    }

    fn wrong(&self, why: &dyn std::fmt::Display) -> Failure {
        Failure::usage(format!("`{}` in `{}` is no schedule", self.cron, self.time_zone))
            .because(why.to_string())
            .hint("five fields and a time zone, such as --cron '0 7 * * MON' --time-zone Europe/Berlin")
    }

    /// The newest time that has come and is not done with: what was missed in between is caught up once.
    pub(super) fn due(&self, now: Timestamp) -> Result<Option<Timestamp>, Failure> {
        let mut due = None;
        let mut next = self.next_after(Timestamp(self.done_until))?;
        while next <= now {
            due = Some(next);
            next = self.next_after(next)?;
        }
        Ok(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;

    fn schedule(cron: &str, time_zone: &str, from: &str) -> Schedule {
        Schedule {
            name: "x".to_owned(),
            cron: cron.to_owned(),
            time_zone: time_zone.to_owned(),
            report: "cost".to_owned(),
            machine: None,
            period: "7d".to_owned(),
            to: Vec::new(),
            done_until: analyzer::time::parse(from).expect("a time").0,
        }
    }

    /// What runs when a clock that shows every minute goes from one time to another.
    fn fired(mut it: Schedule, until: &str) -> Vec<String> {
        let until = analyzer::time::parse(until).expect("a time").0;
        let mut fired = Vec::new();
        let mut now = it.done_until;
        while now < until {
            now += MINUTE;
            if let Some(due) = it.due(Timestamp(now)).expect("a schedule") {
                fired.push(analyzer::time::format(due)[..16].to_owned());
                it.done_until = due.0;
            }
        }
        fired
    }

    #[test]
    fn a_week_over_the_end_of_summer_time_fires_at_seven_on_the_wall() {
        let it = schedule("0 7 * * *", "Europe/Berlin", "2026-10-22T00:00:00Z");
        let expected = [
            "2026-10-22T05:00",
            "2026-10-23T05:00",
            "2026-10-24T05:00",
            "2026-10-25T06:00",
            "2026-10-26T06:00",
            "2026-10-27T06:00",
            "2026-10-28T06:00",
        ];
        assert_eq!(fired(it, "2026-10-29T00:00:00Z"), expected);
    }

    #[test]
    fn the_hour_that_comes_twice_fires_once_and_the_one_that_is_left_out_does_not_go_missing() {
        let autumn = fired(schedule("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z"), "2026-10-26T12:00:00Z");
        assert_eq!(autumn, ["2026-10-25T00:30", "2026-10-26T01:30"]);
        let spring = fired(schedule("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z"), "2026-03-30T12:00:00Z");
        assert_eq!(spring, ["2026-03-29T01:30", "2026-03-30T00:30"]);
        // What runs every hour runs in both of the hours that look alike.
        let hourly = fired(schedule("0 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z"), "2026-10-25T03:30:00Z");
        assert_eq!(hourly.len(), 4, "{hourly:?}");
    }

    #[test]
    fn mondays_are_mondays_and_what_was_slept_through_comes_once() {
        let it = schedule("0 7 * * MON", "UTC", "2026-11-01T00:00:00Z");
        assert_eq!(fired(it.clone(), "2026-11-15T00:00:00Z"), ["2026-11-02T07:00", "2026-11-09T07:00"]);
        let now = analyzer::time::parse("2026-11-24T12:00:00Z").expect("a time");
        assert_eq!(
            it.due(now).expect("a schedule").map(|it| analyzer::time::format(it)[..16].to_owned()),
            Some("2026-11-23T07:00".to_owned())
        );
    }

    #[test]
    fn what_is_no_schedule_is_said() {
        assert!(schedule("every monday", "UTC", "2026-11-01").next_after(Timestamp(0)).is_err());
        assert!(schedule("0 7 * * *", "Mars/Olympus", "2026-11-01").next_after(Timestamp(0)).is_err());
    }
}
