//! What is it, if it is none of ours? The half of a reason that says what was found in a file.

use serde_json::Value;

use super::Format;

const KEYS: usize = 6;
const LONGEST: usize = 40;

/// Of text at most one byte in so many is a zero byte.
const RARE: usize = 32;

/// What was expected, in the words of a reason.
pub(super) fn expected(format: Option<Format>) -> &'static str {
    match format {
        None => {
            "an execution history, Step Functions or Lambda logs, X-Ray traces, a state machine definition, executions or EventBridge events"
        }
        Some(Format::History) => "an execution history: JSON with `events` (`--format history`)",
        Some(Format::Logs) => "Step Functions log events with `execution_arn`, or Lambda reports (`--format logs`)",
        Some(Format::Xray) => "X-Ray traces or segments (`--format xray`)",
        Some(Format::Definition) => "a state machine definition with `StartAt` and `States` (`--format definition`)",
        Some(Format::Executions) => "listings or descriptions of executions (`--format executions`)",
        Some(Format::EventBridge) => "EventBridge status changes of executions (`--format eventbridge`)",
    }
}

/// A text of an input, fit for a reason: short, on one line, without control characters.
pub(super) fn quoted(text: &str) -> String {
    let cut: String =
        text.chars().take(LONGEST).map(|it| if it.is_control() || it == '`' { '?' } else { it }).collect();
    if cut.len() < text.len() { format!("{cut}…") } else { cut }
}

/// A JSON value that no form takes.
pub(super) fn value(it: &Value) -> String {
    match it {
        Value::Object(fields) if fields.is_empty() => "an empty JSON object".to_owned(),
        Value::Object(fields) => {
            let keys: Vec<String> = fields.keys().take(KEYS).map(|it| format!("`{}`", quoted(it))).collect();
            let more = if fields.len() > KEYS { ", …" } else { "" };
            format!("JSON object with keys {}{more}", keys.join(", "))
        }
        Value::Array(items) => match items.first() {
            None => "an empty JSON array".to_owned(),
            Some(Value::Object(_)) => format!("JSON array whose first item is a {}", value(&items[0])),
            Some(_) => "JSON array of plain values".to_owned(),
        },
        _ => "a single JSON value".to_owned(),
    }
}

/// What the first bytes show that are no text; `None` for a text in UTF-8.
pub(super) fn bytes(head: &[u8]) -> Option<String> {
    const MAGIC: [(&[u8], &str); 18] = [
        (b"\x89PNG", "PNG image"),
        (b"\xff\xd8\xff", "JPEG image"),
        (b"GIF8", "GIF image"),
        (b"%PDF", "PDF document"),
        (b"PK\x03\x04", "ZIP archive (unpack it first)"),
        (b"PK\x05\x06", "empty ZIP archive"),
        (b"SQLite format 3", "SQLite database"),
        (b"PAR1", "Parquet file"),
        (b"Obj\x01", "Avro file"),
        (b"ORC", "ORC file"),
        (b"\x7fELF", "program (ELF)"),
        (b"BZh", "bzip2 archive (unpack it first)"),
        (b"\xfd7zXZ", "xz archive (unpack it first)"),
        (b"7z\xbc\xaf", "7z archive (unpack it first)"),
        (b"\x04\x22\x4d\x18", "lz4 archive (unpack it first)"),
        (b"\xff\xfe\x00\x00", "UTF-32 text (convert it to UTF-8)"),
        (b"\xff\xfe", "UTF-16 text (convert it to UTF-8)"),
        (b"\xfe\xff", "UTF-16 text (convert it to UTF-8)"),
    ];
    if let Some((_, what)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some((*what).to_owned());
    }
    if head.get(8..12) == Some(b"DUCK") {
        return Some("DuckDB database".to_owned());
    }
    if head.get(257..262) == Some(b"ustar") {
        return Some("tar archive (unpack it first)".to_owned());
    }
    let start = &head[..head.len().min(8_192)];
    let zero = start.iter().position(|&it| it == 0)?;
    // A few of them in a text damage the lines they are in, and nothing else.
    let n_zeros = start.split(|&it| it == 0).count() - 1;
    if n_zeros * RARE < start.len() {
        return None;
    }
    if head.len() >= 4 && (head[1] == 0 && head[3] == 0 || head[0] == 0 && head[2] == 0) {
        return Some("UTF-16 text without a byte order mark (convert it to UTF-8)".to_owned());
    }
    Some(format!("binary data (a zero byte at {zero})"))
}

/// A text in which no line is JSON.
pub(super) fn text(head: &[u8]) -> Option<String> {
    let start = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let lower = start[..start.len().min(64)].to_ascii_lowercase();
    if start.is_empty() {
        return Some(if head.is_empty() { "the file is empty." } else { "the file holds only blanks." }.to_owned());
    }
    if lower.starts_with(b"<!doctype html") || lower.starts_with(b"<html") {
        return Some("HTML page".to_owned());
    }
    if lower.starts_with(b"<?xml") {
        return Some("XML document".to_owned());
    }
    if start.starts_with(b"{") || start.starts_with(b"[") {
        return None;
    }
    match std::str::from_utf8(&start[..start.len().min(4_096)]) {
        Err(error) if error.error_len().is_some() => Some("text that is not UTF-8".to_owned()),
        _ => Some("text without JSON lines".to_owned()),
    }
}

/// Whether a text names what only our forms name, so that damage in it is worth a word wherever it is found.
pub(super) fn names_ours(head: &[u8]) -> bool {
    const NAMES: [&[u8]; 6] = [
        b"\"execution_arn\"",
        b"\"previousEventId\"",
        b"\"executionArn\"",
        b"StateEntered\"",
        b"\"ExecutionStarted\"",
        b":stateMachine:",
    ];
    let is_json = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start().starts_with(b"{")
        || head.trim_ascii_start().starts_with(b"[");
    is_json && NAMES.iter().any(|it| memchr::memmem::find(head, it).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_none_of_ours_is_named() {
        assert_eq!(value(&json!({"a": 1, "b\n`": 2})), "JSON object with keys `a`, `b??`");
        assert_eq!(value(&json!([{"a": 1}])), "JSON array whose first item is a JSON object with keys `a`");
        assert_eq!(bytes(b"\x89PNG\r\n").as_deref(), Some("PNG image"));
        assert_eq!(bytes(b"\xff\xfe{\0").as_deref(), Some("UTF-16 text (convert it to UTF-8)"));
        assert_eq!(bytes(b"{\0\"\0").as_deref(), Some("UTF-16 text without a byte order mark (convert it to UTF-8)"));
        assert_eq!(bytes(b"abc\0").as_deref(), Some("binary data (a zero byte at 3)"));
        assert_eq!(bytes(&[&b"\0{\"a\":1}\n"[..], &b"{\"a\": 22222222}\n".repeat(9)].concat()), None);
        assert_eq!(text(b"").as_deref(), Some("the file is empty."));
        assert_eq!(text(b" \n").as_deref(), Some("the file holds only blanks."));
        assert_eq!(text(b"# Notes\n").as_deref(), Some("text without JSON lines"));
        assert_eq!((bytes(b"{}"), text(b"{}")), (None, None));
    }
}
