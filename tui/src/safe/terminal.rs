//! Which characters would a terminal, or the eye of its user, take for something else?

/// Whether a character moves a cursor, changes the direction of text, ends a line, or cannot be seen at all.
///
/// Beyond control characters (C0, DEL, C1): marks, overrides and isolates of direction, the separators of lines and
/// paragraphs, and everything that has no width and no shape, with which one name passes for another.
pub fn is_unsafe(it: char) -> bool {
    it.is_control()
        || matches!(it,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// A text on one line, in which every such character is written as its number: `\u{1b}`, `\n`.
pub fn plain(text: &str) -> String {
    // Most texts are ASCII that can be read, and there are many.
    if text.bytes().all(|it| (0x20..0x7f).contains(&it)) || !text.chars().any(is_unsafe) {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for it in text.chars() {
        if is_unsafe(it) { shown.extend(it.escape_default()) } else { shown.push(it) }
    }
    shown
}

/// The same for a text of several lines.
pub fn lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

/// The same, with the second line and those after it indented: what is said cannot pass for something else that is said.
pub fn indented(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n  ")
}

/// The same for finished JSON, whose values stay what they are: such characters stand in its texts only, as `\u202e`.
pub fn json(text: &str) -> String {
    if text.bytes().all(|it| it == b'\n' || (0x20..0x7f).contains(&it)) {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for it in text.chars() {
        if it != '\n' && is_unsafe(it) {
            let mut units = [0; 2];
            shown.extend(it.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            shown.push(it);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_a_terminal_but_what_can_be_read() {
        assert_eq!(plain("a\u{1b}]52;c;eA==\u{7}b"), "a\\u{1b}]52;c;eA==\\u{7}b");
        assert_eq!(plain("\u{9b}2J\u{202e}x\u{2028}y\u{200b}"), "\\u{9b}2J\\u{202e}x\\u{2028}y\\u{200b}");
        assert_eq!(plain("a\r\nb\t\u{7f}"), "a\\r\\nb\\t\\u{7f}");
        assert_eq!(plain("Größe 名前 🙂 é"), "Größe 名前 🙂 é");
        assert_eq!(lines("a\u{1b}\nb"), "a\\u{1b}\nb");
        assert_eq!(indented("a\nerror: b"), "a\n  error: b");
    }

    #[test]
    fn json_keeps_its_values() {
        let value = serde_json::json!({"a": "\u{9b}\u{202e}\u{e0041}\u{7f}\u{1b}", "é": [1.5, "x\ny"]});
        let shown = json(&serde_json::to_string_pretty(&value).expect("JSON"));
        assert!(!shown.chars().any(|it| it != '\n' && is_unsafe(it)), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).expect("still JSON"), value);
    }
}
