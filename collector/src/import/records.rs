//! A stream of bytes cut into records: one JSON value each, on one line or on many, with or without a prefix.

use std::io::{self, BufRead};

use serde_json::Value;

/// A value that is longer than this is no record but a mistake.
const LONGEST: usize = 1 << 30;
/// An envelope around log messages is handed on in pieces of about this size.
const PIECE: usize = 4 << 20;

/// What stands in the stream.
pub(super) enum Record<'a> {
    Value {
        value: Value,
        text: &'a str,
    },
    /// A line of no JSON.
    Text(&'a str),
    Damaged(String),
}

/// Receives records with the number of the line they begin in.
pub(super) trait Receive {
    /// Offers a line before anything else is tried; `true` when it is done with.
    fn line(&mut self, line: &[u8]) -> bool;
    fn record(&mut self, record: Record<'_>, line: u64);
    fn wants_more(&self) -> bool;
}

/// Reads the stream to its end.
pub(super) fn read(mut input: impl BufRead, receive: &mut impl Receive) -> io::Result<()> {
    // The part of a line that began in an earlier buffer; other lines are used where they lie.
    let mut carried: Vec<u8> = Vec::new();
    let mut open = Open::default();
    let mut number = 0;
    while receive.wants_more() {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            break;
        }
        let n_bytes = buffer.len();
        let mut from = 0;
        for end in memchr::memchr_iter(b'\n', buffer) {
            number += 1;
            if carried.is_empty() {
                take_line(&buffer[from..end], number, &mut open, receive);
            } else {
                carried.extend_from_slice(&buffer[from..end]);
                take_line(&carried, number, &mut open, receive);
                carried.clear();
            }
            from = end + 1;
        }
        carried.extend_from_slice(&buffer[from..]);
        input.consume(n_bytes);
    }
    if !carried.is_empty() && receive.wants_more() {
        take_line(&carried, number + 1, &mut open, receive);
    }
    if !open.is_empty() {
        open.give_up("the text ends in the middle of a value", receive);
    }
    Ok(())
}

fn take_line(line: &[u8], number: u64, open: &mut Open, receive: &mut impl Receive) {
    let line = line.trim_ascii_end();
    if !open.is_empty() {
        go_on(line, number, open, receive);
    } else if !receive.line(line) {
        begin(line, number, open, receive);
    }
}

/// A value whose end has not come yet.
#[derive(Default)]
struct Open {
    text: Vec<u8>,
    first_line: u64,
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// Where the objects lie that are complete in a list of the outermost object, and where one has begun.
    items: Vec<std::ops::Range<usize>>,
    item_start: Option<usize>,
}

impl Open {
    fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Adds a line and follows its brackets.
    fn push(&mut self, line: &[u8]) {
        let begin = self.text.len();
        for (offset, &byte) in line.iter().enumerate() {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
            } else {
                match byte {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => {
                        if self.depth == 2 && byte == b'{' {
                            self.item_start = Some(begin + offset);
                        }
                        self.depth += 1;
                    }
                    b'}' | b']' => {
                        self.depth = self.depth.saturating_sub(1);
                        if self.depth == 2
                            && let Some(start) = self.item_start.take()
                        {
                            self.items.push(start..begin + offset + 1);
                        }
                    }
                    _ => {}
                }
            }
        }
        self.text.extend_from_slice(line);
        self.text.push(b'\n');
    }

    /// Hands the complete messages of a long envelope on, so that it need not be held as a whole.
    fn hand_on_messages(&mut self, receive: &mut impl Receive) {
        let items = std::mem::take(&mut self.items);
        let (Some(first), Some(last)) = (items.first().map(|it| it.start), items.last().map(|it| it.end)) else {
            return;
        };
        let values: Vec<Value> = items.iter().filter_map(|it| parse(&self.text[it.clone()]).map(|it| it.0)).collect();
        let are_messages =
            values.len() == items.len() && values.iter().all(|it| it.get("message").is_some_and(Value::is_string));
        if !are_messages {
            return;
        }
        let envelope = Value::Object([("events".to_owned(), Value::from(values))].into_iter().collect());
        receive.record(Record::Value { value: envelope, text: "" }, self.first_line);
        let rest = &self.text[last..];
        let n_separators = rest.iter().take_while(|it| matches!(it, b',' | b'\n' | b' ' | b'\t')).count();
        let removed = last + n_separators - first;
        self.item_start = self.item_start.map(|it| it - removed);
        self.text.drain(first..last + n_separators);
    }

    /// The value cannot be completed: its lines are taken one by one, and what is no value is damaged.
    fn give_up(&mut self, reason: &str, receive: &mut impl Receive) {
        let text = std::mem::take(&mut self.text);
        let first = self.first_line;
        *self = Self::default();
        receive.record(Record::Damaged(reason.to_owned()), first);
        for (offset, line) in text.split(|&it| it == b'\n').enumerate().skip(1) {
            let number = first + offset as u64;
            if line.first() == Some(&b'{')
                && !receive.line(line)
                && let Some((value, text)) = parse(line)
            {
                receive.record(Record::Value { value, text }, number);
            }
        }
    }
}

fn parse(text: &[u8]) -> Option<(Value, &str)> {
    let text = std::str::from_utf8(text).ok()?;
    serde_json::from_str(text).ok().map(|value| (value, text))
}

/// A line at which a record may begin.
fn begin(line: &[u8], number: u64, open: &mut Open, receive: &mut impl Receive) {
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
    if json.len() < text.len() && receive.line(json.as_bytes()) {
        return;
    }
    match serde_json::from_str::<Value>(json.trim_end_matches(',')) {
        Ok(value) => receive.record(Record::Value { value, text: json }, number),
        Err(error) if error.is_eof() => {
            open.first_line = number;
            open.push(json.as_bytes());
            if open.in_string {
                open.give_up("the line ends in the middle of a text", receive);
            }
        }
        Err(error) => several(json, number, &error, receive),
    }
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
        receive.record(Record::Damaged(format!("no JSON: {error}")), number);
    }
}

/// The JSON of a line, behind the stream name and time that exports and tailed logs put before it.
fn without_prefix(line: &str) -> Option<&str> {
    if line.starts_with(['{', '[']) {
        return Some(line);
    }
    let start = line.find('{')?;
    let prefix = &line[..start];
    let has_time = prefix.split_whitespace().any(|word| word.len() >= 10 && analyzer::time::parse(word).is_some());
    (has_time && !prefix.contains('"')).then(|| &line[start..])
}

/// A line inside a value that has begun.
fn go_on(line: &[u8], number: u64, open: &mut Open, receive: &mut impl Receive) {
    let is_message = || {
        line.starts_with(b"{\"") && memchr::memmem::find(line, b"\"execution_arn\"").is_some() && parse(line).is_some()
    };
    if open.text.first() == Some(&b'{') && line.last() == Some(&b'}') && is_message() {
        open.give_up("the value breaks off", receive);
        if !receive.line(line) {
            begin(line, number, open, receive);
        }
        return;
    }
    open.push(line);
    if open.in_string {
        return open.give_up("a text breaks off at the end of a line", receive);
    }
    if open.text.len() > PIECE && !open.items.is_empty() && open.depth > 0 {
        open.hand_on_messages(receive);
    }
    if open.text.len() > LONGEST {
        return open.give_up("the value does not end", receive);
    }
    if open.depth == 0 {
        let text = std::mem::take(&mut open.text);
        let first = open.first_line;
        *open = Open::default();
        finish(text, first, open, receive);
    }
}

fn finish(text: Vec<u8>, first: u64, open: &mut Open, receive: &mut impl Receive) {
    let Ok(whole) = String::from_utf8(text) else {
        return receive.record(Record::Damaged("not UTF-8".to_owned()), first);
    };
    match serde_json::from_str::<Value>(&whole) {
        Ok(value) => receive.record(Record::Value { value, text: &whole }, first),
        Err(error) => {
            let at = first + (error.line() as u64).saturating_sub(1);
            let mut broken = Open { text: whole.into_bytes(), first_line: first, ..Open::default() };
            broken.give_up(&format!("no JSON: {error} (line {at} of the file)"), receive);
            *open = Open::default();
        }
    }
}
