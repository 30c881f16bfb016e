//! A JSON document whose end has not come yet. One that is long is given on in pieces, each a document of its own: the lists that
//! hold records are cut between two of them.
//!
//! ```text
//!   {"executionArn": A, "events": [ 1, 2, 3, 4, (5 …
//!   piece:  {"executionArn": A, "events": [ 1, 2, 3, 4 ]}
//!   kept:   {"executionArn": A, "events": [ (5 …
//! ```

use std::ops::Range;

use memchr::{memchr2, memchr3};
use serde_json::Value;

use super::records::{Receive, Record, parse, too_many_values};
use crate::limits::{MAX_DEPTH, MAX_RECORD_BYTES, MAX_RECORD_VALUES, PIECE_BYTES, PIECE_VALUES};

/// Bytes that are looked at before the bounds are.
const CHUNK: usize = 1 << 16;
/// Members of an object that are lists of records.
const LISTS: [&[u8]; 11] = [
    b"events",
    b"Events",
    b"logEvents",
    b"results",
    b"executions",
    b"mapRuns",
    b"Traces",
    b"Segments",
    b"Datapoints",
    b"MetricDataResults",
    b"Records",
];

#[derive(Default)]
pub(super) struct Document {
    text: Vec<u8>,
    first_line: u64,
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// The containers that lead to a list of records, from the outside in: their number is the depth at which records stand.
    path: Vec<Frame>,
    /// The last text at that depth, which is the key of what follows.
    last_string: Range<usize>,
    /// The list that has ended last, for a document that turns out to be damaged.
    last_list: Option<Frame>,
    /// Bytes that stay when a piece is taken out, and values since the last one.
    n_kept: usize,
    n_values: usize,
    n_pieces: u64,
    /// What comes is left out until this depth is reached.
    left_out_to: Option<usize>,
}

#[derive(Clone)]
struct Frame {
    start: usize,
    is_list: bool,
    /// Where the last complete record of a list ends.
    done: usize,
    n_items: u64,
    n_given: u64,
    /// In an object: what lists that have ended hold.
    ended: Vec<Range<usize>>,
}

impl Document {
    pub(super) fn begin(&mut self, line: u64) {
        *self = Self { first_line: line, ..Self::default() };
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.left_out_to.is_none()
    }

    pub(super) fn is_in_string(&self) -> bool {
        self.in_string
    }

    /// Whether a line that is a record by itself shows that this has broken off.
    pub(super) fn may_have_broken_off(&self) -> bool {
        self.text.first() == Some(&b'{') || self.left_out_to == Some(0)
    }

    /// Adds bytes up to the end of the document; how many, and whether it has ended.
    pub(super) fn push(&mut self, bytes: &[u8], receive: &mut impl Receive) -> (usize, bool) {
        let mut from = 0;
        while from < bytes.len() {
            let chunk = &bytes[from..bytes.len().min(from + CHUNK)];
            if let Some(depth) = self.left_out_to {
                from += self.pass_over(chunk, depth);
                if self.left_out_to.is_none() && self.depth == 0 {
                    return (from, true);
                }
            } else {
                from += self.take(chunk);
                if self.depth == 0 {
                    return (from, true);
                }
                self.keep_bounds(receive);
            }
        }
        (from, false)
    }

    /// Adds bytes and follows their brackets, up to the end of the document or beyond the greatest depth.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let begin = self.text.len();
        self.text.extend_from_slice(bytes);
        let mut offset = 0;
        while offset < bytes.len() {
            if self.in_string {
                offset += self.pass_text(&bytes[offset..], begin + offset);
                continue;
            }
            let at = begin + offset;
            match bytes[offset] {
                b'"' => {
                    self.in_string = true;
                    if self.depth == self.path.len() {
                        self.last_string = at + 1..at + 1;
                    }
                }
                b'{' | b'[' => self.open(bytes[offset], at),
                b'}' | b']' => self.close(at),
                b',' => self.separate(at),
                _ => {}
            }
            offset += 1;
            if self.depth == 0 || self.depth > MAX_DEPTH {
                self.text.truncate(begin + offset);
                break;
            }
        }
        offset
    }

    /// Goes on inside a text; how many bytes.
    fn pass_text(&mut self, bytes: &[u8], at: usize) -> usize {
        if self.escaped {
            self.escaped = false;
            return 1;
        }
        let Some(offset) = memchr2(b'"', b'\\', bytes) else { return bytes.len() };
        if bytes[offset] == b'\\' {
            self.escaped = true;
        } else {
            self.in_string = false;
            if self.depth == self.path.len() {
                self.last_string.end = at + offset;
            }
        }
        offset + 1
    }

    fn open(&mut self, bracket: u8, at: usize) {
        self.n_values += 1;
        let is_list = bracket == b'[';
        if self.depth == self.path.len() {
            let key = self.text.get(self.last_string.clone()).unwrap_or_default();
            let leads_to_records = match self.path.last() {
                None => true,
                Some(outer) if outer.is_list => self.path.len() == 1 && !is_list,
                Some(_) => self.path.len() <= 2 && is_list && LISTS.contains(&key),
            };
            if leads_to_records {
                let done = at + 1;
                self.path.push(Frame { start: at, is_list, done, n_items: 0, n_given: 0, ended: Vec::new() });
            }
        }
        self.depth += 1;
    }

    fn close(&mut self, at: usize) {
        if self.depth == self.path.len()
            && let Some(mut frame) = self.path.pop()
            && frame.is_list
        {
            if let Some(object) = self.path.last_mut() {
                object.ended.push(frame.start + 1..at);
            }
            frame.done = at;
            self.last_list = Some(frame);
        }
        self.depth = self.depth.saturating_sub(1);
        if self.depth == self.path.len()
            && let Some(list) = self.path.last_mut().filter(|it| it.is_list)
        {
            list.done = at + 1;
            list.n_items += 1;
        }
    }

    fn separate(&mut self, at: usize) {
        self.n_values += 1;
        if self.depth != self.path.len() {
            return;
        }
        if let Some(list) = self.path.last_mut().filter(|it| it.is_list) {
            let is_first = list.done == list.start + 1;
            if is_first && self.text[list.done..at].trim_ascii().is_empty() {
                // What stood before it is given on or left out.
                self.text[at] = b' ';
                list.done = list.start + 1;
            } else {
                list.done = at;
            }
        }
    }

    /// Follows the brackets of what is left out, up to its end.
    fn pass_over(&mut self, bytes: &[u8], depth: usize) -> usize {
        let mut offset = 0;
        while offset < bytes.len() {
            if self.in_string {
                offset += self.pass_text(&bytes[offset..], 0);
                continue;
            }
            let byte = bytes[offset];
            if self.depth == depth && matches!(byte, b',' | b']' | b'}') {
                // A number or text has ended, and this is what follows it.
                self.left_out_to = None;
                break;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            offset += 1;
            if self.depth <= depth && matches!(byte, b'}' | b']') {
                self.left_out_to = None;
                break;
            }
        }
        offset
    }

    fn keep_bounds(&mut self, receive: &mut impl Receive) {
        if self.depth > MAX_DEPTH {
            return self.leave_out(&format!("is nested more than {MAX_DEPTH} deep (`MAX_DEPTH`)"), receive);
        }
        if self.text.len() - self.n_kept <= PIECE_BYTES && self.n_values <= PIECE_VALUES {
            return;
        }
        self.give_piece(receive);
        if self.text.len() > MAX_RECORD_BYTES {
            self.leave_out(&format!("is longer than {} MiB (`MAX_RECORD_BYTES`)", MAX_RECORD_BYTES >> 20), receive);
        } else if self.n_values > MAX_RECORD_VALUES {
            self.leave_out(&too_many_values(), receive);
        }
    }

    /// Sets aside the record that is being read, or the document where it is none of a list.
    fn leave_out(&mut self, why: &str, receive: &mut impl Receive) {
        if let Some(place) = self.path.iter().rposition(|it| it.is_list) {
            self.path.truncate(place + 1);
            let list = &mut self.path[place];
            list.n_items += 1;
            self.text.truncate(list.done);
            self.left_out_to = Some(place + 1);
            receive.record(Record::Refused(format!("record {} of a list {why}", list.n_items)), self.first_line);
        } else {
            self.text.clear();
            self.path.clear();
            self.left_out_to = Some(0);
            receive.record(Record::Refused(format!("a record {why}")), self.first_line);
        }
        (self.n_kept, self.n_values) = (self.text.len(), 0);
        self.last_string = 0..0;
    }

    /// Gives on the records that are complete, and keeps what stands around them.
    fn give_piece(&mut self, receive: &mut impl Receive) -> bool {
        let has_items = |it: &Frame| it.is_list && it.done > it.start + 1;
        // Of lists in lists the outermost that has some: an item that is whole says all that is known of it.
        let Some(place) = self.path.iter().position(has_items) else { return false };
        let list = self.path[place].clone();
        self.n_pieces += 1;
        // Numbers alone are none of ours.
        let ends = self.path.iter().skip(1).map(|it| it.start).take(place).chain([list.done]);
        let mut lists = self.path.iter().zip(ends).filter(|(it, _)| it.is_list);
        if lists.any(|(it, end)| memchr3(b'{', b'[', b'"', &self.text[it.start + 1..end]).is_some()) {
            self.give(&list, &self.closing(place), receive);
        }
        self.take_out(place);
        true
    }

    fn has_containers(&self, list: &Frame) -> bool {
        memchr2(b'{', b'[', &self.text[list.start + 1..list.done]).is_some()
    }

    /// The brackets that end the document behind a list.
    fn closing(&self, place: usize) -> Vec<u8> {
        self.path[..=place].iter().rev().map(|it| if it.is_list { b']' } else { b'}' }).collect()
    }

    fn give(&self, list: &Frame, closing: &[u8], receive: &mut impl Receive) {
        let piece = [&self.text[..list.done], closing].concat();
        match parse(&piece) {
            Ok(value) => receive.record(Record::Piece { value, first_item: list.n_given }, self.first_line),
            Err(_) => {
                if let Some(value) = self.salvaged(list, closing, receive) {
                    receive.record(Record::Piece { value, first_item: list.n_given }, self.first_line);
                }
            }
        }
    }

    /// The document with those records of a list that can be read; the others are damaged.
    fn salvaged(&self, list: &Frame, rest: &[u8], receive: &mut impl Receive) -> Option<Value> {
        let mut whole = self.text[..=list.start].to_vec();
        let mut n_read = 0;
        for (number, item) in (list.n_given + 1..).zip(items(&self.text[list.start + 1..list.done])) {
            match parse(item) {
                Ok(_) => {
                    whole.extend_from_slice(if n_read == 0 { b"" } else { b"," });
                    whole.extend_from_slice(item);
                    n_read += 1;
                }
                Err(error) => {
                    receive.record(Record::Damaged(format!("record {number} of a list: {error}")), self.first_line);
                }
            }
        }
        whole.extend_from_slice(rest);
        parse(&whole).ok().filter(|_| n_read > 0)
    }

    /// Takes the records that were given on out of the text.
    fn take_out(&mut self, place: usize) {
        let mut out: Vec<Range<usize>> = Vec::new();
        for index in 0..=place {
            let frame = &self.path[index];
            match self.path.get(index + 1).filter(|_| index < place) {
                Some(next) if frame.is_list => out.push(frame.start + 1..next.start),
                None if frame.is_list => {
                    let rest = &self.text[frame.done..];
                    let mut is_before_comma = true;
                    let n_between = rest.iter().take_while(|it| {
                        it.is_ascii_whitespace() || (**it == b',' && std::mem::take(&mut is_before_comma))
                    });
                    out.push(frame.start + 1..frame.done + n_between.count());
                }
                _ => out.extend(frame.ended.iter().cloned()),
            }
        }
        out.sort_by_key(|it| it.start);
        let moved = |at: usize| at - out.iter().map(|it| it.end.min(at).saturating_sub(it.start)).sum::<usize>();
        for (index, frame) in self.path.iter_mut().enumerate() {
            let is_given = index <= place;
            frame.start = moved(frame.start);
            frame.done = if is_given { frame.start + 1 } else { moved(frame.done) };
            frame.n_given = if is_given { frame.n_items } else { frame.n_given };
            if is_given {
                frame.ended.clear();
            }
            frame.ended.iter_mut().for_each(|it| *it = moved(it.start)..moved(it.end));
        }
        self.last_string = moved(self.last_string.start)..moved(self.last_string.end);
        let mut text = Vec::with_capacity(self.text.len() - out.iter().map(Range::len).sum::<usize>());
        let mut from = 0;
        for it in &out {
            text.extend_from_slice(&self.text[from..it.start]);
            from = it.end;
        }
        text.extend_from_slice(&self.text[from..]);
        self.text = text;
        self.n_kept = self.path[place].start + 1;
        self.n_values = self.text[self.n_kept..].iter().filter(|it| matches!(it, b',' | b'{' | b'[')).count();
    }

    /// The document has ended: it, or its last piece, is given on.
    pub(super) fn finish(&mut self, receive: &mut impl Receive) {
        let document = std::mem::take(self);
        if !document.text.is_empty() {
            match parse(&document.text) {
                Ok(value) if document.n_pieces > 0 => {
                    let first_item = document.last_list.as_ref().map_or(0, |it| it.n_given);
                    receive.record(Record::Piece { value, first_item }, document.first_line);
                }
                Ok(value) => {
                    let text = std::str::from_utf8(&document.text).unwrap_or_default();
                    receive.record(Record::Value { value, text }, document.first_line);
                }
                Err(error) => document.salvage(&error, receive),
            }
        }
        if document.n_pieces > 0 {
            receive.ended();
        }
    }

    /// What can be read of a document that has ended and is damaged.
    fn salvage(&self, error: &str, receive: &mut impl Receive) {
        let list = self.last_list.as_ref().filter(|it| it.done <= self.text.len() && self.has_containers(it));
        if let Some(list) = list {
            let rest = self.text[list.done..].to_vec();
            if let Some(value) = self.salvaged(list, &rest, receive) {
                return receive.record(Record::Piece { value, first_item: list.n_given }, self.first_line);
            }
        }
        self.lines(error, receive);
    }

    /// The document ends before its end: what is complete of it is given on. `reason` is left out where another place says why.
    pub(super) fn break_off(&mut self, reason: Option<&str>, receive: &mut impl Receive) {
        let mut document = std::mem::take(self);
        let has_records = document.give_piece(receive);
        if !has_records && document.n_pieces == 0 && !document.text.is_empty() {
            match reason {
                Some(reason) => document.lines(reason, receive),
                None => document.retry_lines(receive),
            }
        } else if let Some(reason) = reason.filter(|_| document.left_out_to.is_none()) {
            receive.record(Record::Damaged(reason.to_owned()), document.first_line);
        }
        if document.n_pieces > 0 {
            receive.ended();
        }
    }

    /// The document is damaged; records on lines of their own may be whole.
    fn lines(&self, reason: &str, receive: &mut impl Receive) {
        receive.record(Record::Damaged(reason.to_owned()), self.first_line);
        self.retry_lines(receive);
    }

    fn retry_lines(&self, receive: &mut impl Receive) {
        for (number, line) in (self.first_line..).zip(self.text.split(|&it| it == b'\n')).skip(1) {
            if line.first() == Some(&b'{')
                && !receive.line(line, number)
                && let Ok(value) = parse(line)
            {
                let text = std::str::from_utf8(line).unwrap_or_default();
                receive.record(Record::Value { value, text }, number);
            }
        }
    }
}

/// The lists and objects in a text between two brackets.
fn items(text: &[u8]) -> Vec<&[u8]> {
    let (mut items, mut depth, mut start, mut in_string, mut escaped) = (Vec::new(), 0_usize, 0, false, false);
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                if depth == 0 {
                    start = at;
                }
                depth += 1;
            }
            b'}' | b']' if !in_string => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    items.push(&text[start..=at]);
                }
            }
            _ => {}
        }
    }
    items
}
