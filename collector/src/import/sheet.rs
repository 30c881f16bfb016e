//! The CSV of Logs Insights, with a column `@message`, row by row: a cell without an end is given up at the bound of a record.

use std::io::{self, BufRead};

use csv_core::{ReadRecordResult, Reader};

use super::sink::Sink;
use super::{ImportOptions, logs};
use crate::limits::{MAX_CELLS, MAX_RECORD_BYTES};

const MESSAGE: &[u8] = b"@message";

/// Whether a file begins as one.
pub(super) fn is_insights(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let first = head.split(|&it| it == b'\n').next().unwrap_or_default();
    (first.starts_with(b"@") || first.starts_with(b"\"@")) && memchr::memmem::find(first, MESSAGE).is_some()
}

/// Reads every row; `is_fault` says afterwards whether the text was cut off, and the last row with it.
pub(super) fn read(
    mut input: impl BufRead,
    is_fault: impl Fn() -> bool,
    options: &ImportOptions,
    sink: &mut Sink<'_>,
) -> io::Result<u64> {
    let mut reader = Reader::new();
    let mut row = Row::default();
    let mut column = None;
    let mut line = 1;
    loop {
        let bytes = input.fill_buf()?;
        let is_end = bytes.is_empty();
        let (result, n_in, n_out, n_ends) =
            reader.read_record(bytes, &mut row.cells[row.n_bytes..], &mut row.ends[row.n_ends..]);
        input.consume(n_in);
        row.n_bytes += n_out;
        row.n_ends += n_ends;
        match result {
            ReadRecordResult::InputEmpty if is_end && row.n_bytes == 0 => return Ok(reader.line()),
            ReadRecordResult::InputEmpty => {}
            ReadRecordResult::OutputFull => row.grow(line, sink),
            ReadRecordResult::OutputEndsFull => row.widen(line, sink),
            ReadRecordResult::Record if is_end && is_fault() => return Ok(reader.line()),
            ReadRecordResult::Record => {
                match column {
                    None => {
                        column = row.position(MESSAGE);
                        if column.is_none() {
                            return Ok(reader.line());
                        }
                        sink.mark_used();
                    }
                    Some(column) => row.send(column, line, options, sink),
                }
                row.clear();
                line = reader.line();
            }
            ReadRecordResult::End => return Ok(reader.line()),
        }
        if sink.is_stopped() {
            return Ok(line);
        }
    }
}

/// The row that is being read.
struct Row {
    cells: Vec<u8>,
    n_bytes: usize,
    ends: Vec<usize>,
    n_ends: usize,
    is_too_long: bool,
}

impl Default for Row {
    fn default() -> Self {
        Self { cells: vec![0; 1 << 12], n_bytes: 0, ends: vec![0; 32], n_ends: 0, is_too_long: false }
    }
}

impl Row {
    fn grow(&mut self, line: u64, sink: &mut Sink<'_>) {
        if self.cells.len() < MAX_RECORD_BYTES {
            return self.cells.resize(self.cells.len() * 2, 0);
        }
        let size = MAX_RECORD_BYTES >> 20;
        self.leave_out(line, &format!("the row is longer than {size} MiB (`MAX_RECORD_BYTES`)"), sink);
    }

    fn widen(&mut self, line: u64, sink: &mut Sink<'_>) {
        if self.ends.len() < MAX_CELLS {
            return self.ends.resize(self.ends.len() * 2, 0);
        }
        self.leave_out(line, &format!("the row has more than {MAX_CELLS} cells (`MAX_CELLS`)"), sink);
    }

    fn leave_out(&mut self, line: u64, reason: &str, sink: &mut Sink<'_>) {
        if !std::mem::replace(&mut self.is_too_long, true) {
            sink.cut(Some(line), reason);
        }
        (self.n_bytes, self.n_ends) = (0, 0);
    }

    fn cell(&self, column: usize) -> Option<&[u8]> {
        let end = *self.ends[..self.n_ends].get(column)?;
        let start = if column == 0 { 0 } else { self.ends[column - 1] };
        self.cells.get(start..end)
    }

    fn position(&self, name: &[u8]) -> Option<usize> {
        (0..self.n_ends).find(|&it| {
            let cell = self.cell(it).unwrap_or_default();
            cell.strip_prefix(b"\xef\xbb\xbf").unwrap_or(cell) == name
        })
    }

    fn send(&self, column: usize, line: u64, options: &ImportOptions, sink: &mut Sink<'_>) {
        if self.is_too_long {
            return;
        }
        match self.cell(column).map(std::str::from_utf8) {
            Some(Ok(message)) => logs::send_text(message, Some(line), &options.privacy, sink),
            Some(Err(_)) => sink.quarantine(Some(line), "CSV: not UTF-8"),
            None => {}
        }
    }

    fn clear(&mut self) {
        (self.n_bytes, self.n_ends, self.is_too_long) = (0, 0, false);
    }
}
