//! The attempts of one execution as one value, for the same reason as its events (`packed.rs`).
//!
//! A byte says the format. An attempt is a number of flags, a byte of status, the visit where it is not that of the attempt
//! before, its moments, each as the time since the one before it, and the redrive that it belongs to.

use std::sync::Arc;

use duckdb::arrow::array::{ArrayRef, TimestampMicrosecondArray, UInt8Array, UInt32Array};
use duckdb::arrow::datatypes::Field;

use crate::StoreError;
use crate::unpacked::{Row, code, number, time};
use crate::varint::{damaged, put, small, take, unzigzag, zigzag};

/// One attempt; times are microseconds since the epoch, strings are ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PackedAttempt {
    pub(crate) visit: u32,
    /// Counted from 1.
    pub(crate) number: u32,
    pub(crate) scheduled: Option<i64>,
    pub(crate) started: Option<i64>,
    pub(crate) submitted: Option<i64>,
    pub(crate) ended: Option<i64>,
    pub(crate) status: u8,
    pub(crate) error: Option<u32>,
    pub(crate) resource: Option<u32>,
    pub(crate) redrive: Option<u32>,
}

impl PackedAttempt {
    fn moments(&self) -> [Option<i64>; 4] {
        [self.scheduled, self.started, self.submitted, self.ended]
    }

    /// The first moment of an attempt, from which the next one counts.
    fn first(&self) -> i64 {
        self.moments().into_iter().flatten().next().unwrap_or_default()
    }
}

/// The layout that this file writes and reads. Whoever changes it counts this up.
const FORMAT: u8 = 1;

const OTHER_VISIT: u64 = 1;
const STARTED: u64 = 2;
const SUBMITTED: u64 = 4;
const ENDED: u64 = 8;
const ERROR: u64 = 16;
const RESOURCE: u64 = 32;
const MICROSECONDS: u64 = 64;
/// Rare ones, which take a second byte.
const UNSCHEDULED: u64 = 128;
const REDRIVE: u64 = 256;

/// Packs the attempts of one execution, those of a visit one after the other and counted up from 1.
pub(crate) fn pack(attempts: impl Iterator<Item = PackedAttempt>, bytes: &mut Vec<u8>) {
    let mut last = PackedAttempt::default();
    for it in attempts {
        if bytes.is_empty() {
            bytes.push(FORMAT);
        }
        let in_micros = it.moments().into_iter().flatten().any(|it| it % 1_000 != 0);
        let present = |flag: u64, is_there: bool| if is_there { flag } else { 0 };
        let flags = present(OTHER_VISIT, it.visit != last.visit)
            | present(STARTED, it.started.is_some())
            | present(SUBMITTED, it.submitted.is_some())
            | present(ENDED, it.ended.is_some())
            | present(ERROR, it.error.is_some())
            | present(RESOURCE, it.resource.is_some())
            | present(MICROSECONDS, in_micros)
            | present(UNSCHEDULED, it.scheduled.is_none())
            | present(REDRIVE, it.redrive.is_some());
        put(bytes, flags);
        bytes.push(it.status);
        if it.visit != last.visit {
            put(bytes, zigzag(i64::from(it.visit) - i64::from(last.visit)));
        }
        let unit = if in_micros { 1 } else { 1_000 };
        // Units differ from attempt to attempt, so the first moment counts from the last whole millisecond.
        let mut before = whole(last.first());
        for moment in it.moments().into_iter().flatten() {
            put(bytes, zigzag(moment.wrapping_sub(before) / unit));
            before = moment;
        }
        for number in [it.error, it.resource, it.redrive].into_iter().flatten() {
            put(bytes, number.into());
        }
        last = it;
    }
}

fn whole(moment: i64) -> i64 {
    moment - moment.rem_euclid(1_000)
}

/// The inverse of packing.
fn unpack(bytes: &[u8]) -> Result<Vec<PackedAttempt>, StoreError> {
    let Some((&format, mut rest)) = bytes.split_first() else { return Ok(Vec::new()) };
    if format != FORMAT {
        return Err(StoreError::Corrupt(format!("attempts are stored in the unknown format {format}")));
    }
    let mut attempts = Vec::with_capacity(bytes.len() / 8);
    let mut last = PackedAttempt::default();
    while !rest.is_empty() {
        let flags = take(&mut rest)?;
        let (&status, after) = rest.split_first().ok_or_else(damaged)?;
        rest = after;
        let has = |flag: u64| flags & flag != 0;
        let step = if has(OTHER_VISIT) { unzigzag(take(&mut rest)?) } else { 0 };
        let visit = small(i64::from(last.visit).wrapping_add(step).cast_unsigned())?;
        let unit = if has(MICROSECONDS) { 1 } else { 1_000 };
        let mut before = whole(last.first());
        let mut moment = |is_there: bool| {
            if !is_there {
                return Ok::<Option<i64>, StoreError>(None);
            }
            before = before.wrapping_add(unzigzag(take(&mut rest)?).wrapping_mul(unit));
            Ok(Some(before))
        };
        let scheduled = moment(!has(UNSCHEDULED))?;
        let (started, submitted, ended) = (moment(has(STARTED))?, moment(has(SUBMITTED))?, moment(has(ENDED))?);
        let mut count = |flag: u64| if has(flag) { take(&mut rest).and_then(small).map(Some) } else { Ok(None) };
        let (error, resource, redrive) = (count(ERROR)?, count(RESOURCE)?, count(REDRIVE)?);
        let number = if visit == last.visit { last.number.saturating_add(1) } else { 1 };
        last = PackedAttempt { visit, number, scheduled, started, submitted, ended, status, error, resource, redrive };
        attempts.push(last);
    }
    Ok(attempts)
}

impl Row for PackedAttempt {
    const FUNCTION: &str = "attempts_of";

    fn fields() -> Vec<Field> {
        let moments = ["scheduled_at", "started_at", "submitted_at", "ended_at"].map(time);
        let ids = [code("status"), number("error_id"), number("resource_id"), number("redrive")];
        [number("visit_id"), number("attempt")].into_iter().chain(moments).chain(ids).collect()
    }

    fn unpack(bytes: &[u8]) -> Result<Vec<Self>, StoreError> {
        unpack(bytes)
    }

    fn columns(rows: &[Self]) -> Vec<ArrayRef> {
        let numbers = |member: fn(&Self) -> Option<u32>| -> ArrayRef {
            Arc::new(rows.iter().map(member).collect::<UInt32Array>())
        };
        let times = |member: fn(&Self) -> Option<i64>| -> ArrayRef {
            Arc::new(rows.iter().map(member).collect::<TimestampMicrosecondArray>())
        };
        vec![
            numbers(|it| Some(it.visit)),
            numbers(|it| Some(it.number)),
            times(|it| it.scheduled),
            times(|it| it.started),
            times(|it| it.submitted),
            times(|it| it.ended),
            Arc::new(rows.iter().map(|it| Some(it.status)).collect::<UInt8Array>()),
            numbers(|it| it.error),
            numbers(|it| it.resource),
            numbers(|it| it.redrive),
        ]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_moment() -> impl Strategy<Value = i64> {
        prop_oneof![-9_000_000_000_i64..9_000_000_000, (-9_000_000_i64..9_000_000).prop_map(|it| it * 1_000)]
    }

    fn any_attempt() -> impl Strategy<Value = PackedAttempt> {
        let moment = || prop::option::of(any_moment());
        let times = (moment(), moment(), moment(), moment());
        let rest = (1..3_u32, 0..5_u8, any::<Option<u32>>(), any::<Option<u32>>(), any::<Option<u32>>());
        (times, rest).prop_map(|((scheduled, started, submitted, ended), (visit, status, error, resource, redrive))| {
            PackedAttempt { visit, number: 0, scheduled, started, submitted, ended, status, error, resource, redrive }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_attempts_come_back_as_they_were(mut attempts in prop::collection::vec(any_attempt(), 0..20)) {
            for index in 0..attempts.len() {
                let before = index.checked_sub(1).map(|it| attempts[it]).filter(|it| it.visit == attempts[index].visit);
                attempts[index].number = before.map_or(1, |it| it.number + 1);
            }
            let mut bytes = Vec::new();
            pack(attempts.iter().copied(), &mut bytes);
            prop_assert_eq!(unpack(&bytes).ok(), Some(attempts));
        }

        #[test]
        fn damaged_bytes_are_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = unpack(&bytes);
        }
    }
}
