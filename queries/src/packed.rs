//! The events of one execution as one value, in as few bytes as may be.
//!
//! Whoever wants events wants all of an execution's, so they are stored together: reading them back is one row, and
//! appending them costs a third of what a row each did. SQL sees them as rows through `events_of`.
//!
//! An event is a byte of flags, the id of its type, the time since the event before, and whatever the flags announce.
//! Numbers are those of [`crate::varint`].

use std::sync::Arc;

use duckdb::arrow::array::{ArrayRef, TimestampMicrosecondArray, UInt32Array};
use duckdb::arrow::datatypes::Field;

use crate::StoreError;
use crate::unpacked::{Row, number, time};
use crate::varint::{put, small, take, unzigzag, zigzag};

/// What every event has, with ids for its strings; 0 stands for "none".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PackedEvent {
    pub(crate) id: u64,
    pub(crate) previous: u64,
    pub(crate) kind: u32,
    /// Microseconds since the epoch.
    pub(crate) at: i64,
    pub(crate) name: u32,
    pub(crate) resource: u32,
    pub(crate) number: Option<u64>,
    pub(crate) log_bytes: u32,
}

const ID_JUMPS: u8 = 1;
const PREVIOUS_IS_NOT_THE_LAST: u8 = 2;
const MICROSECONDS: u8 = 4;
const NAME: u8 = 8;
const RESOURCE: u8 = 16;
const NUMBER: u8 = 32;
const LOG_BYTES: u8 = 64;

/// Packs events one after the other.
#[derive(Default)]
pub(crate) struct Packer {
    bytes: Vec<u8>,
    last: PackedEvent,
}

impl Packer {
    pub(crate) fn push(&mut self, event: &PackedEvent) {
        let start = self.bytes.len();
        self.bytes.push(0);
        put(&mut self.bytes, event.kind.into());
        let span = event.at.wrapping_sub(self.last.at);
        let mut flags = 0;
        if span % 1_000 == 0 {
            put(&mut self.bytes, zigzag(span / 1_000));
        } else {
            flags |= MICROSECONDS;
            put(&mut self.bytes, zigzag(span));
        }
        let mut member = |flag: u8, is_there: bool, value: u64| {
            if is_there {
                flags |= flag;
                put(&mut self.bytes, value);
            }
        };
        let step = event.id.wrapping_sub(self.last.id);
        member(ID_JUMPS, step != 1, zigzag(step.cast_signed()));
        let back = event.id.wrapping_sub(event.previous);
        member(PREVIOUS_IS_NOT_THE_LAST, back != 1, zigzag(back.cast_signed()));
        member(NAME, event.name != 0, event.name.into());
        member(RESOURCE, event.resource != 0, event.resource.into());
        member(NUMBER, event.number.is_some(), event.number.unwrap_or_default());
        member(LOG_BYTES, event.log_bytes != 0, event.log_bytes.into());
        self.bytes[start] = flags;
        self.last = *event;
    }

    /// The packed events; the packer is as new, and keeps its memory.
    pub(crate) fn take(&mut self, use_bytes: impl FnOnce(&[u8])) {
        use_bytes(&self.bytes);
        self.bytes.clear();
        self.last = PackedEvent::default();
    }
}

/// The inverse of packing.
pub(crate) fn unpack(bytes: &[u8]) -> Result<Vec<PackedEvent>, StoreError> {
    let mut rest = bytes;
    let mut events = Vec::with_capacity(bytes.len() / 6);
    let mut last = PackedEvent::default();
    while let Some((&flags, after)) = rest.split_first() {
        rest = after;
        let kind = small(take(&mut rest)?)?;
        let span = unzigzag(take(&mut rest)?);
        let span = if flags & MICROSECONDS == 0 { span.wrapping_mul(1_000) } else { span };
        let mut member = |flag: u8, without: u64| if flags & flag == 0 { Ok(without) } else { take(&mut rest) };
        let step = unzigzag(member(ID_JUMPS, zigzag(1))?);
        let back = unzigzag(member(PREVIOUS_IS_NOT_THE_LAST, zigzag(1))?);
        let id = last.id.wrapping_add(step.cast_unsigned());
        last = PackedEvent {
            id,
            previous: id.wrapping_sub(back.cast_unsigned()),
            kind,
            at: last.at.wrapping_add(span),
            name: small(member(NAME, 0)?)?,
            resource: small(member(RESOURCE, 0)?)?,
            number: if flags & NUMBER == 0 { None } else { Some(member(NUMBER, 0)?) },
            log_bytes: small(member(LOG_BYTES, 0)?)?,
        };
        events.push(last);
    }
    Ok(events)
}

impl Row for PackedEvent {
    const FUNCTION: &str = "events_of";

    fn fields() -> Vec<Field> {
        let numbers = ["name_id", "resource_id", "number", "log_bytes"].map(number);
        [number("event_id"), number("previous_event_id"), number("type_id"), time("happened_at")]
            .into_iter()
            .chain(numbers)
            .collect()
    }

    fn unpack(bytes: &[u8]) -> Result<Vec<Self>, StoreError> {
        unpack(bytes)
    }

    fn columns(rows: &[Self]) -> Vec<ArrayRef> {
        let numbers = |member: fn(&Self) -> u64| -> ArrayRef {
            Arc::new(rows.iter().map(|it| u32::try_from(member(it)).ok()).collect::<UInt32Array>())
        };
        vec![
            numbers(|it| it.id),
            numbers(|it| it.previous),
            numbers(|it| it.kind.into()),
            Arc::new(rows.iter().map(|it| Some(it.at)).collect::<TimestampMicrosecondArray>()),
            numbers(|it| it.name.into()),
            numbers(|it| it.resource.into()),
            numbers(|it| it.number.unwrap_or(u64::MAX)),
            numbers(|it| it.log_bytes.into()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_event() -> impl Strategy<Value = PackedEvent> {
        let ids = (any::<u64>(), any::<u64>(), any::<u32>(), any::<i64>());
        let rest = (any::<u32>(), any::<u32>(), any::<Option<u64>>(), any::<u32>());
        (ids, rest).prop_map(|((id, previous, kind, at), (name, resource, number, log_bytes))| PackedEvent {
            id,
            previous,
            kind,
            at,
            name,
            resource,
            number,
            log_bytes,
        })
    }

    fn packed(events: &[PackedEvent]) -> Vec<u8> {
        let mut packer = Packer::default();
        for it in events {
            packer.push(it);
        }
        let mut bytes = Vec::new();
        packer.take(|it| bytes.extend_from_slice(it));
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_events_come_back_as_they_were(events in prop::collection::vec(any_event(), 0..20)) {
            prop_assert_eq!(unpack(&packed(&events)).ok(), Some(events));
        }

        #[test]
        fn damaged_bytes_are_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = unpack(&bytes);
        }
    }

    #[test]
    fn a_usual_event_takes_five_bytes() {
        let event = |id: u64| PackedEvent {
            id,
            previous: id - 1,
            kind: 3,
            at: id.cast_signed() * 42_000,
            name: 7,
            ..PackedEvent::default()
        };
        let n_bytes = |n: u64| packed(&(1..=n).map(event).collect::<Vec<_>>()).len();
        assert_eq!(n_bytes(101) - n_bytes(1), 100 * 4);
        let with_bytes = |id: u64| PackedEvent { log_bytes: 100, ..event(id) };
        assert_eq!(
            packed(&(1..=101).map(with_bytes).collect::<Vec<_>>()).len() - packed(&[with_bytes(1)]).len(),
            100 * 5
        );
    }
}
