//! A stream of bytes cut into records: one JSON value each, on one line or on many, with or without a prefix.

use std::io::{self, BufRead};

use memchr::memchr;
use serde_json::Value;

use super::document::Document;
use super::packed::Fault;
use crate::limits::{MAX_DEPTH, MAX_RECORD_BYTES, MAX_RECORD_VALUES, PIECE_BYTES};

/// What stands in the stream.
pub(super) enum Record<'a> {
    Value {
        value: Value,
        text: &'a str,
    },
    /// A part of a long document: some of its records, and what stands around them.
    Piece {
        value: Value,
        /// How many records of the list came before.
        first_item: u64,
    },
    /// A line of no JSON.
    Text(&'a str),
    Damaged(String),
    /// A bound of `limits.rs` was reached.
    Refused(String),
}

/// Receives records with the number of the line they begin in.
pub(super) trait Receive {
    /// Offers a line, with its number, before anything else is tried; `true` when it is done with.
    fn line(&mut self, line: &[u8], number: u64) -> bool;
    fn record(&mut self, record: Record<'_>, line: u64);
    /// A document that came in pieces has ended.
    fn ended(&mut self);
    fn wants_more(&self) -> bool;
}

/// Reads the stream to its end, or to its fault; returns the number of the line that it ends in.
pub(super) fn read(mut input: impl BufRead, fault: &Fault, receive: &mut impl Receive) -> io::Result<u64> {
    let mut lines = Lines::default();
    while receive.wants_more() {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            break;
        }
        let n_bytes = buffer.len();
        lines.take(buffer, receive);
        input.consume(n_bytes);
    }
    let is_inside_line = !lines.carried.is_empty() || lines.is_long || lines.is_left_out;
    if receive.wants_more() {
        lines.end(fault.is_noted(), receive);
    }
    Ok(lines.number + u64::from(is_inside_line))
}

#[derive(Default)]
struct Lines {
    /// The part of a line that began in an earlier buffer; other lines are used where they lie.
    carried: Vec<u8>,
    document: Document,
    number: u64,
    /// The line goes into the document as it comes.
    is_long: bool,
    /// The line is too long for a text.
    is_left_out: bool,
}

impl Lines {
    fn take(&mut self, buffer: &[u8], receive: &mut impl Receive) {
        let mut from = 0;
        for end in memchr::memchr_iter(b'\n', buffer) {
            self.number += 1;
            let is_blank = from == end && self.carried.is_empty() && !self.is_long && self.document.is_empty();
            if !is_blank || self.is_left_out {
                self.end_line(&buffer[from..end], receive);
            }
            from = end + 1;
        }
        self.go_on_with_line(&buffer[from..], receive);
    }

    fn end_line(&mut self, part: &[u8], receive: &mut impl Receive) {
        if std::mem::take(&mut self.is_left_out) {
            return;
        }
        if self.is_long {
            self.feed(part, receive);
            if std::mem::take(&mut self.is_long) {
                return self.end_document_line(receive);
            }
        } else if self.carried.is_empty() {
            return self.take_line(part, self.number, receive);
        } else {
            self.carried.extend_from_slice(part);
        }
        let line = std::mem::take(&mut self.carried);
        self.take_line(&line, self.number, receive);
        self.carried = line;
        self.carried.clear();
    }

    /// Bytes of a line that does not end with them.
    fn go_on_with_line(&mut self, part: &[u8], receive: &mut impl Receive) {
        if self.is_left_out || part.is_empty() {
            return;
        }
        if self.is_long {
            return self.feed(part, receive);
        }
        let part = if self.carried.is_empty() && self.document.is_empty() { part.trim_ascii_start() } else { part };
        self.carried.extend_from_slice(part);
        if self.carried.len() <= PIECE_BYTES {
            return;
        }
        let start = self.carried.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.carried);
        if !self.document.is_empty() || start.starts_with(b"{") || start.starts_with(b"[") {
            let line = std::mem::take(&mut self.carried);
            self.is_long = true;
            self.feed(line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line), receive);
        } else if self.carried.len() > MAX_RECORD_BYTES {
            let size = MAX_RECORD_BYTES >> 20;
            let reason = format!("the line is longer than {size} MiB (`MAX_RECORD_BYTES`)");
            receive.record(Record::Refused(reason), self.number + 1);
            self.carried = Vec::new();
            self.is_left_out = true;
        }
    }

    /// Gives a part of a long line to the document, and to those that follow it on the line.
    fn feed(&mut self, mut part: &[u8], receive: &mut impl Receive) {
        loop {
            if self.document.is_empty() {
                part = between(part);
                match part.first() {
                    None => return,
                    Some(b'{' | b'[') => self.document.begin(self.number + 1),
                    Some(_) => {
                        self.is_long = false;
                        self.carried.extend_from_slice(part);
                        return;
                    }
                }
            }
            let (n_bytes, has_ended) = self.document.push(part, receive);
            part = &part[n_bytes..];
            if !has_ended {
                return;
            }
            self.document.finish(receive);
        }
    }

    fn take_line(&mut self, line: &[u8], number: u64, receive: &mut impl Receive) {
        let line = line.trim_ascii_end();
        if !self.document.is_empty() {
            self.go_on(line, number, receive);
        } else if !receive.line(line, number) {
            self.begin(line, number, receive);
        }
    }

    /// A line at which a record may begin.
    fn begin(&mut self, line: &[u8], number: u64, receive: &mut impl Receive) {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii_start();
        if line.is_empty() {
            return;
        }
        let Ok(text) = std::str::from_utf8(line) else {
            return receive.record(Record::Damaged("not UTF-8".to_owned()), number);
        };
        let Some(json) = without_prefix(text) else {
            return receive.record(Record::Text(text), number);
        };
        if json.len() < text.len() && receive.line(json.as_bytes(), number) {
            return;
        }
        if has_too_many_values(json.as_bytes()) {
            self.document.begin(number);
            let (_, has_ended) = self.document.push(json.as_bytes(), receive);
            return if has_ended { self.document.finish(receive) } else { self.end_document_line(receive) };
        }
        match serde_json::from_str::<Value>(json.trim_end_matches(',')) {
            Ok(value) => receive.record(Record::Value { value, text: json }, number),
            Err(error) if error.is_eof() => {
                self.document.begin(number);
                let (_, has_ended) = self.document.push(json.as_bytes(), receive);
                if has_ended {
                    return self.document.finish(receive);
                }
                if self.document.is_in_string() {
                    return self.document.break_off(Some("the line ends in the middle of a text"), receive);
                }
                self.end_document_line(receive);
            }
            Err(error) if is_too_deep(&error) => receive.record(Record::Refused(no_json(&error)), number),
            Err(error) => several(json, number, &error, receive),
        }
    }

    /// A line inside a document that has begun.
    fn go_on(&mut self, line: &[u8], number: u64, receive: &mut impl Receive) {
        let is_message = || {
            line.starts_with(b"{\"")
                && memchr::memmem::find(line, b"\"execution_arn\"").is_some()
                && parse(line).is_ok()
        };
        if self.document.may_have_broken_off() && line.last() == Some(&b'}') && is_message() {
            self.document.break_off(Some("the value breaks off"), receive);
            if !receive.line(line, number) {
                self.begin(line, number, receive);
            }
            return;
        }
        let (n_bytes, has_ended) = self.document.push(line, receive);
        if !has_ended {
            return self.end_document_line(receive);
        }
        self.document.finish(receive);
        let rest = between(&line[n_bytes..]);
        if !rest.is_empty() && !receive.line(rest, number) {
            self.begin(rest, number, receive);
        }
    }

    fn end_document_line(&mut self, receive: &mut impl Receive) {
        if self.document.is_empty() {
            return;
        }
        if self.document.is_in_string() {
            return self.document.break_off(Some("a text breaks off at the end of a line"), receive);
        }
        self.document.push(b"\n", receive);
    }

    /// The stream has ended; where that is a fault, what it cuts off is part of it.
    fn end(&mut self, is_fault: bool, receive: &mut impl Receive) {
        if self.is_left_out {
            return;
        }
        let line = std::mem::take(&mut self.carried);
        let is_damaged = is_fault && parse(&line).is_err() && self.document.is_empty() && !is_list(&line);
        if !line.is_empty() && !is_damaged {
            self.take_line_at_end(&line, is_fault, receive);
        }
        if !self.document.is_empty() {
            let reason = (!is_fault).then_some("the text ends in the middle of a value");
            self.document.break_off(reason, receive);
        }
    }

    fn take_line_at_end(&mut self, line: &[u8], is_fault: bool, receive: &mut impl Receive) {
        if is_fault && (!self.document.is_empty() || parse(line).is_err()) {
            // Only whole records of it are used.
            self.feed(line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line), receive);
        } else {
            self.take_line(line, self.number + 1, receive);
        }
    }
}

/// Whether a text may be cut between the records of a list.
fn is_list(text: &[u8]) -> bool {
    text.starts_with(b"{") || text.starts_with(b"[")
}

/// What follows a document on its line, without separators.
fn between(part: &[u8]) -> &[u8] {
    let n_between = part.iter().take_while(|it| it.is_ascii_whitespace() || **it == b',').count();
    &part[n_between..]
}

/// Reads a value within the bounds of `limits.rs`.
pub(super) fn parse(text: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(text).map_err(|_| "not UTF-8".to_owned())?;
    if has_too_many_values(text.as_bytes()) {
        return Err(too_many_values());
    }
    serde_json::from_str(text).map_err(|error| no_json(&error))
}

pub(super) fn no_json(error: &serde_json::Error) -> String {
    if is_too_deep(error) {
        format!("a record is nested more than {MAX_DEPTH} deep (`MAX_DEPTH`)")
    } else {
        format!("no JSON: {error}")
    }
}

fn is_too_deep(error: &serde_json::Error) -> bool {
    error.to_string().starts_with("recursion limit")
}

pub(super) fn too_many_values() -> String {
    format!("holds more than {MAX_RECORD_VALUES} values (`MAX_RECORD_VALUES`)")
}

/// Texts may hold JSON too, and are read for it: so everything that may be a value counts.
fn has_too_many_values(text: &[u8]) -> bool {
    text.len() > 2 * MAX_RECORD_VALUES
        && text.iter().filter(|it| matches!(it, b',' | b'[' | b'{')).count() > MAX_RECORD_VALUES
}

/// Two values in a row on one line, or a broken one.
fn several(text: &str, number: u64, error: &serde_json::Error, receive: &mut impl Receive) {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let mut from = 0;
    let mut found = 0;
    while let Some(Ok(value)) = values.next() {
        let to = values.byte_offset();
        receive.record(Record::Value { value, text: &text[from..to] }, number);
        (from, found) = (to, found + 1);
    }
    if found == 0 || !text[from..].trim().is_empty() {
        receive.record(Record::Damaged(no_json(error)), number);
    }
}

/// The JSON of a line, behind the stream name and time that exports and tailed logs put before it.
fn without_prefix(line: &str) -> Option<&str> {
    if line.starts_with(['{', '[']) {
        return Some(line);
    }
    let start = memchr(b'{', line.as_bytes())?;
    let prefix = &line[..start];
    let has_time = prefix.split_whitespace().any(|word| word.len() >= 10 && analyzer::time::parse(word).is_some());
    (has_time && !prefix.contains('"')).then(|| &line[start..])
}
