//! What reader and writer say to each other: frames, each a kind, a length, and so many bytes.
//!
//! One connection is one question. The request is JSON; rows are a stream of tagged values that is cut into frames wherever they are
//! full, so that neither a long answer nor a long value has to be in memory as a whole.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use crate::run::{Limit, Limits};
use crate::{Cell, StoreError};

/// Changes with anything below.
pub(super) const VERSION: u32 = 1;
/// The longest request: a statement with the ids of a million executions fits.
pub(super) const LONGEST_REQUEST: usize = 16 << 20;
/// How many bytes of an answer are sent at once.
pub(super) const FRAME: usize = 64 << 10;
/// Lists in lists that are understood.
const DEPTH: usize = 200;

/// A reader's question.
#[derive(Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) version: u32,
    pub(crate) sql: String,
    pub(crate) params: Vec<Cell>,
    /// Those of the console, whose statements were written by a person.
    pub(crate) console: Option<Limits>,
}

impl Request {
    pub(crate) fn own(sql: &str, params: &[Cell]) -> Self {
        Self { version: VERSION, sql: sql.to_owned(), params: params.to_vec(), console: None }
    }

    pub(crate) fn console(sql: &str, limits: Limits) -> Self {
        Self { version: VERSION, sql: sql.to_owned(), params: Vec::new(), console: Some(limits) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Request = 1,
    /// Names of the columns, as JSON.
    Columns,
    /// A piece of the rows.
    Rows,
    /// The last frame of an answer: an [`End`].
    End,
    /// Nothing yet, but the writer is alive.
    Alive,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        [Self::Request, Self::Columns, Self::Rows, Self::End, Self::Alive].into_iter().find(|it| *it as u8 == byte)
    }
}

/// How an answer ends.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum End {
    Whole,
    Truncated(Limit),
    /// The statement is one that may not run.
    NotAllowed(String),
    Failed(String),
}

pub(super) fn write_frame(out: &mut impl Write, kind: Kind, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut frame = Vec::with_capacity(bytes.len() + 5);
    frame.push(kind as u8);
    frame.extend(length.to_le_bytes());
    frame.extend(bytes);
    out.write_all(&frame)
}

/// Kind and length of the next frame.
pub(super) fn read_head(input: &mut impl Read, longest: usize) -> io::Result<(Kind, usize)> {
    let mut head = [0; 5];
    input.read_exact(&mut head)?;
    let [kind, length @ ..] = head;
    let kind = Kind::of(kind).ok_or(io::ErrorKind::InvalidData)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > longest { Err(io::ErrorKind::InvalidData.into()) } else { Ok((kind, length)) }
}

/// Writes a row. Numbers are little-endian; a text is its length and its bytes.
pub(super) fn write_row(out: &mut impl Write, cells: &[Cell]) -> io::Result<()> {
    out.write_all(b"r")?;
    cells.iter().try_for_each(|it| write_cell(out, it))
}

fn write_cell(out: &mut impl Write, cell: &Cell) -> io::Result<()> {
    let mut long = |tag: u8, bytes: &[u8]| {
        out.write_all(&[tag])?;
        out.write_all(&(bytes.len() as u64).to_le_bytes())?;
        out.write_all(bytes)
    };
    match cell {
        Cell::Text(it) => return long(b's', it.as_bytes()),
        Cell::Bytes(it) => return long(b'x', it),
        Cell::List(items) => {
            out.write_all(b"l")?;
            out.write_all(&(items.len() as u64).to_le_bytes())?;
            return items.iter().try_for_each(|it| write_cell(out, it));
        }
        _ => {}
    }
    let (tag, number) = match cell {
        Cell::Bool(it) => return out.write_all(if *it { b"1" } else { b"0" }),
        Cell::Int(it) => (b'i', it.to_le_bytes()),
        Cell::Big(it) => (b'u', it.to_le_bytes()),
        Cell::Float(it) => (b'f', it.to_le_bytes()),
        Cell::Time(it) => (b't', it.to_le_bytes()),
        _ => return out.write_all(b"n"),
    };
    out.write_all(&[tag])?;
    out.write_all(&number)
}

/// Reads a row of so many cells; `None` at the end.
pub(super) fn read_row(input: &mut impl Read, n_columns: usize) -> io::Result<Option<Vec<Cell>>> {
    let mut tag = [0];
    if input.read(&mut tag)? == 0 {
        return Ok(None);
    }
    if tag != *b"r" {
        return Err(io::ErrorKind::InvalidData.into());
    }
    (0..n_columns).map(|_| read_cell(input, 0)).collect::<io::Result<_>>().map(Some)
}

fn read_cell(input: &mut impl Read, depth: usize) -> io::Result<Cell> {
    let mut tag = [0];
    input.read_exact(&mut tag)?;
    let wrong = || io::Error::from(io::ErrorKind::InvalidData);
    Ok(match tag[0] {
        b'n' => Cell::Null,
        b'0' => Cell::Bool(false),
        b'1' => Cell::Bool(true),
        b'i' => Cell::Int(i64::from_le_bytes(eight(input)?)),
        b'u' => Cell::Big(u64::from_le_bytes(eight(input)?)),
        b'f' => Cell::Float(f64::from_le_bytes(eight(input)?)),
        b't' => Cell::Time(i64::from_le_bytes(eight(input)?)),
        b's' => Cell::Text(String::from_utf8(long(input)?).map_err(|_| wrong())?),
        b'x' => Cell::Bytes(long(input)?),
        b'l' if depth < DEPTH => {
            let n_items = u64::from_le_bytes(eight(input)?);
            Cell::List((0..n_items).map(|_| read_cell(input, depth + 1)).collect::<io::Result<_>>()?)
        }
        _ => return Err(wrong()),
    })
}

fn eight(input: &mut impl Read) -> io::Result<[u8; 8]> {
    let mut bytes = [0; 8];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Bytes behind their length, which is believed only as far as they come.
fn long(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let length = u64::from_le_bytes(eight(input)?);
    let mut bytes = Vec::new();
    input.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

impl End {
    /// What the reader makes of it.
    pub(super) fn verdict(self) -> Result<Option<Limit>, StoreError> {
        match self {
            Self::Whole => Ok(None),
            Self::Truncated(limit) => Ok(Some(limit)),
            Self::NotAllowed(reason) => Err(StoreError::NotAllowed(reason)),
            Self::Failed(reason) => Err(StoreError::Remote(reason)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_cell() -> impl Strategy<Value = Cell> {
        let leaf = prop_oneof![
            Just(Cell::Null),
            any::<bool>().prop_map(Cell::Bool),
            any::<i64>().prop_map(Cell::Int),
            any::<u64>().prop_map(Cell::Big),
            (-1e300..1e300).prop_map(Cell::Float),
            any::<i64>().prop_map(Cell::Time),
            "\\PC*".prop_map(Cell::Text),
            any::<Vec<u8>>().prop_map(Cell::Bytes),
        ];
        leaf.prop_recursive(3, 20, 4, |item| prop::collection::vec(item, 0..4).prop_map(Cell::List))
    }

    proptest! {
        #[test]
        fn rows_come_out_as_they_went_in(rows in prop::collection::vec(prop::collection::vec(any_cell(), 3), 0..5)) {
            let mut bytes = Vec::new();
            for row in &rows {
                write_row(&mut bytes, row).expect("memory");
            }
            let mut input = bytes.as_slice();
            let mut read = Vec::new();
            while let Some(row) = read_row(&mut input, 3).expect("rows") {
                read.push(row);
            }
            prop_assert_eq!(read, rows);
        }

        #[test]
        fn whatever_comes_is_an_error_at_most(bytes in any::<Vec<u8>>(), n_columns in 0_usize..4) {
            let mut input = bytes.as_slice();
            let _ = read_row(&mut input, n_columns);
            let _ = read_head(&mut bytes.as_slice(), FRAME);
        }
    }
}
