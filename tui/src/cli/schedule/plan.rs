//! When is a schedule due? A pure question: the clock is an argument.

use analyzer::model::{Micros, Timestamp};
use cronexpr::MakeTimestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::cli::state_file::Remembered;
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
    /// The newest report, as far as deliveries have not received it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) owed: Option<Owed>,
}

/// A report that was made, and has not reached every delivery: it is made and sent again for those. A newer one takes its place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owed {
    /// The end of its period, in microseconds since the epoch.
    pub(super) until: i64,
    pub(super) to: Vec<String>,
    pub(super) attempts: u32,
    pub(super) error: String,
    /// Not before this time.
    pub(super) retry_at: i64,
}

/// The longest pause between two attempts to deliver a report.
const LONGEST_PAUSE: Micros = Micros(3_600_000_000);

impl Owed {
    /// What is owed after another attempt: the first is repeated at the next run, then the pauses double from a minute to an hour, since each
    /// attempt makes the report again.
    pub(super) fn after(
        before: Option<&Self>,
        until: Timestamp,
        to: Vec<String>,
        error: String,
        now: Timestamp,
    ) -> Self {
        let attempts = before.filter(|it| it.until == until.0).map_or(0, |it| it.attempts).saturating_add(1);
        let minutes = attempts.checked_sub(2).map_or(0, |it| 1_i64 << it.min(6));
        let pause = LONGEST_PAUSE.min(Micros::from_seconds(60 * minutes));
        Self { until: until.0, to, attempts, error, retry_at: (now + pause).0 }
    }
}

/// How far back the newest time that was due is looked for, in hours: what comes every minute is found in the last hour.
const LOOKS_BACK: [i64; 5] = [1, 24, 40 * 24, 400 * 24, 9 * 366 * 24];
const HOUR: Micros = Micros(3_600_000_000);

impl Remembered for Vec<Schedule> {
    const LOST: &str = "then the schedules have to be added again";

    fn fault(&self) -> Option<String> {
        self.iter().find_map(|it| {
            let times =
                [Some(it.done_until), it.owed.as_ref().map(|it| it.until), it.owed.as_ref().map(|it| it.retry_at)];
            let wrong = times.into_iter().flatten().find(|it| !analyzer::time::is_plausible(Timestamp(*it)))?;
            Some(format!("`{}`: {wrong} microseconds since 1970 is not a time that a schedule can have", it.name))
        })
    }
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
        Failure::usage(format!("invalid schedule `{}` in the time zone `{}`", self.cron, self.time_zone))
            .because(why.to_string())
            .hint("five fields and a time zone, such as --cron '0 7 * * MON' --time-zone Europe/Berlin")
    }

    /// The newest time that has come and is not done with: what was missed in between is caught up once.
    pub(super) fn due(&self, now: Timestamp) -> Result<Option<Timestamp>, Failure> {
        let done = Timestamp(self.done_until);
        let starts = LOOKS_BACK.iter().map(|hours| done.max(now - Micros(HOUR.0 * hours))).chain([done]);
        for start in starts {
            let mut due = None;
            let mut next = self.next_after(start)?;
            while next <= now {
                due = Some(next);
                next = self.next_after(next)?;
            }
            if due.is_some() || start == done {
                return Ok(due);
            }
        }
        Ok(None)
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
            owed: None,
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
                fired.push(analyzer::time::minute(due));
                it.done_until = due.0;
            }
        }
        fired
    }

    #[test]
    fn a_week_over_the_end_of_summer_time_fires_at_seven_on_the_wall() {
        let it = schedule("0 7 * * *", "Europe/Berlin", "2026-10-22T00:00:00Z");
        let expected = [
            "2026-10-22 05:00",
            "2026-10-23 05:00",
            "2026-10-24 05:00",
            "2026-10-25 06:00",
            "2026-10-26 06:00",
            "2026-10-27 06:00",
            "2026-10-28 06:00",
        ];
        assert_eq!(fired(it, "2026-10-29T00:00:00Z"), expected);
    }

    #[test]
    fn the_hour_that_comes_twice_fires_once_and_the_one_that_is_left_out_does_not_go_missing() {
        let autumn = fired(schedule("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z"), "2026-10-26T12:00:00Z");
        assert_eq!(autumn, ["2026-10-25 00:30", "2026-10-26 01:30"]);
        let spring = fired(schedule("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z"), "2026-03-30T12:00:00Z");
        assert_eq!(spring, ["2026-03-29 01:30", "2026-03-30 00:30"]);
        // What runs every hour runs in both of the hours that look alike.
        let hourly = fired(schedule("0 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z"), "2026-10-25T03:30:00Z");
        assert_eq!(hourly.len(), 4, "{hourly:?}");
    }

    #[test]
    fn mondays_are_mondays_and_what_was_slept_through_comes_once() {
        let it = schedule("0 7 * * MON", "UTC", "2026-11-01T00:00:00Z");
        assert_eq!(fired(it.clone(), "2026-11-15T00:00:00Z"), ["2026-11-02 07:00", "2026-11-09 07:00"]);
        let now = analyzer::time::parse("2026-11-24T12:00:00Z").expect("a time");
        assert_eq!(it.due(now).expect("a schedule").map(analyzer::time::minute), Some("2026-11-23 07:00".to_owned()));
    }

    #[test]
    fn what_is_no_schedule_is_said() {
        assert!(schedule("every monday", "UTC", "2026-11-01").next_after(Timestamp(0)).is_err());
        assert!(schedule("0 7 * * *", "Mars/Olympus", "2026-11-01").next_after(Timestamp(0)).is_err());
    }

    #[test]
    fn years_of_minutes_are_caught_up_at_once_and_leap_days_are_not_missed() {
        let now = analyzer::time::parse("2026-11-24T12:00:30Z").expect("a time");
        let due =
            |cron: &str| schedule(cron, "UTC", "1999-01-01").due(now).expect("a schedule").map(analyzer::time::minute);
        assert_eq!(due("* * * * *").as_deref(), Some("2026-11-24 12:00"));
        assert_eq!(due("0 7 29 2 *").as_deref(), Some("2024-02-29 07:00"));
        let just_added = schedule("0 7 * * *", "UTC", "2026-11-24T12:00:00Z");
        assert_eq!(just_added.due(now).expect("a schedule"), None);
    }

    #[test]
    fn a_report_is_tried_again_at_once_and_then_less_and_less_often() {
        let (until, now) = (Timestamp(1), Timestamp(1_000_000_000));
        let mut owed: Option<Owed> = None;
        let mut pauses = Vec::new();
        for _ in 0..10 {
            let next = Owed::after(owed.as_ref(), until, Vec::new(), String::new(), now);
            pauses.push((next.retry_at - now.0) / 60_000_000);
            owed = Some(next);
        }
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        let newer = Owed::after(owed.as_ref(), Timestamp(2), Vec::new(), String::new(), now);
        assert_eq!(newer.attempts, 1);
    }
}
