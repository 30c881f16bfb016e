//! The critical path of one execution as one value, for the same reason as its events (`packed.rs`).
//!
//! A step is a byte (category and flags), the visit it belongs to, and its length; it begins where the one before it ended,
//! unless a flag says otherwise.

use std::sync::Arc;

use duckdb::arrow::array::{ArrayRef, TimestampMicrosecondArray, UInt8Array, UInt32Array};
use duckdb::arrow::datatypes::Field;

use crate::StoreError;
use crate::unpacked::{Row, code, number, time};
use crate::varint::{put, small, take, unzigzag, zigzag};

/// A span of the path, in microseconds since the epoch; without a visit it is the execution's own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PackedStep {
    pub(crate) visit: Option<u32>,
    pub(crate) category: u8,
    pub(crate) from: i64,
    pub(crate) to: i64,
}

const CATEGORY: u8 = 0x0f;
const HAS_VISIT: u8 = 0x10;
const BEGINS_ELSEWHERE: u8 = 0x20;
const MICROSECONDS: u8 = 0x40;

/// Packs the steps of one path, in order of time.
pub(crate) fn pack(steps: impl Iterator<Item = PackedStep>, bytes: &mut Vec<u8>) {
    let (mut end, mut last) = (0_i64, 0_u32);
    for step in steps {
        let start = bytes.len();
        bytes.push(0);
        let mut flags = step.category & CATEGORY;
        if let Some(visit) = step.visit {
            flags |= HAS_VISIT;
            put(bytes, zigzag(i64::from(visit) - i64::from(last)));
            last = visit;
        }
        if step.from != end {
            flags |= BEGINS_ELSEWHERE;
            put(bytes, zigzag(step.from.wrapping_sub(end)));
        }
        let length = step.to.wrapping_sub(step.from);
        if length % 1_000 == 0 {
            put(bytes, zigzag(length / 1_000));
        } else {
            flags |= MICROSECONDS;
            put(bytes, zigzag(length));
        }
        bytes[start] = flags;
        end = step.to;
    }
}

/// The inverse of packing.
fn unpack(bytes: &[u8]) -> Result<Vec<PackedStep>, StoreError> {
    let mut rest = bytes;
    let (mut end, mut last) = (0_i64, 0_i64);
    let mut steps = Vec::with_capacity(bytes.len() / 4);
    while let Some((&flags, after)) = rest.split_first() {
        rest = after;
        let visit = if flags & HAS_VISIT == 0 {
            None
        } else {
            last = last.wrapping_add(unzigzag(take(&mut rest)?));
            Some(small(last.cast_unsigned())?)
        };
        let from = if flags & BEGINS_ELSEWHERE == 0 { end } else { end.wrapping_add(unzigzag(take(&mut rest)?)) };
        let length = unzigzag(take(&mut rest)?);
        let length = if flags & MICROSECONDS == 0 { length.wrapping_mul(1_000) } else { length };
        end = from.wrapping_add(length);
        steps.push(PackedStep { visit, category: flags & CATEGORY, from, to: end });
    }
    Ok(steps)
}

impl Row for PackedStep {
    const FUNCTION: &str = "path_of";

    fn fields() -> Vec<Field> {
        vec![number("visit_id"), code("category"), time("from_at"), time("to_at")]
    }

    fn unpack(bytes: &[u8]) -> Result<Vec<Self>, StoreError> {
        unpack(bytes)
    }

    fn columns(rows: &[Self]) -> Vec<ArrayRef> {
        vec![
            Arc::new(rows.iter().map(|it| it.visit).collect::<UInt32Array>()),
            Arc::new(rows.iter().map(|it| Some(it.category)).collect::<UInt8Array>()),
            Arc::new(rows.iter().map(|it| Some(it.from)).collect::<TimestampMicrosecondArray>()),
            Arc::new(rows.iter().map(|it| Some(it.to)).collect::<TimestampMicrosecondArray>()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_step() -> impl Strategy<Value = PackedStep> {
        let day = 86_400_000_000_i64;
        (any::<Option<u32>>(), 0..16_u8, -day..day, 0..day).prop_map(|(visit, category, from, length)| PackedStep {
            visit,
            category,
            from,
            to: from + length,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_path_comes_back_as_it_was(steps in prop::collection::vec(any_step(), 0..20)) {
            let mut bytes = Vec::new();
            pack(steps.iter().copied(), &mut bytes);
            prop_assert_eq!(unpack(&bytes).ok(), Some(steps));
        }

        #[test]
        fn damaged_bytes_are_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = unpack(&bytes);
        }
    }
}
