//! Texts in Markdown, which forwards, wikis and pull requests render, also with the HTML that is in it.
//!
//! Our own sentences name things between backticks; a name may hold backticks itself. So a piece between two backticks
//! stays code only where it is harmless also to a renderer that sees no code there.

use super::plain;

/// A text within a line.
pub fn markdown(text: &str) -> String {
    render(text, false)
}

/// A text in a cell of a table.
pub fn markdown_cell(text: &str) -> String {
    render(text, true)
}

/// A text that is a line of its own, and no heading, list, rule or quotation.
pub fn markdown_line(text: &str) -> String {
    let line = markdown(text.trim_start());
    let digits = line.len() - line.trim_start_matches(|it: char| it.is_ascii_digit()).len();
    if line.starts_with(['#', '-', '+', '=', '~', ':']) {
        format!("\\{line}")
    } else if digits > 0 && line[digits..].starts_with(['.', ')']) {
        format!("{}\\{}", &line[..digits], &line[digits..])
    } else {
        line
    }
}

/// A line of a block of code, harmless also to a renderer that sees no code there: `<` of a tag is written as its number.
pub fn markdown_code(line: &str) -> String {
    let mut safe = String::with_capacity(line.len() + 16);
    for (at, it) in line.char_indices() {
        let after = line[at + it.len_utf8()..].chars().next();
        match it {
            '<' if after.is_some_and(|it| it.is_ascii_alphabetic() || "/!?".contains(it)) => safe.push_str("\\u{3c}"),
            '(' if line[..at].ends_with(']') => safe.push_str("\\u{28}"),
            other => safe.push(other),
        }
    }
    safe
}

fn render(text: &str, is_cell: bool) -> String {
    let text = plain(text);
    let pieces: Vec<&str> = text.split('`').collect();
    // An odd backtick is none, and two side by side would begin code of another kind.
    if pieces.len().is_multiple_of(2) || text.contains("``") {
        return escaped(&text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for (index, piece) in pieces.iter().enumerate() {
        if index % 2 == 0 {
            safe += &escaped(piece);
        } else if piece.trim().is_empty()
            || piece.contains(['<', '>', '[', ']', '&', '\\'])
            || (is_cell && piece.contains('|'))
        {
            safe += &format!("\\`{}\\`", escaped(piece));
        } else {
            safe += &format!("`{piece}`");
        }
    }
    safe
}

fn escaped(text: &str) -> String {
    let signs: Vec<char> = text.chars().collect();
    let mut safe = String::with_capacity(text.len() + 16);
    for (at, it) in signs.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|it| signs.get(it)).copied();
        let after = signs.get(at + 1).copied();
        let is_word = |it: Option<char>| it.is_some_and(char::is_alphanumeric);
        match it {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' if after.is_some_and(|it| it == '#' || it.is_ascii_alphabetic()) => safe.push_str("&amp;"),
            '\\' | '`' | '*' | '[' | ']' | '|' | '~' => safe.extend(['\\', *it]),
            '(' if before == Some(']') => safe.push_str("\\("),
            // Within a word it is no emphasis.
            '_' if !(is_word(before) && is_word(after)) => safe.push_str("\\_"),
            // Addresses that a renderer would make links of.
            ':' if after == Some('/') => safe.push_str("\\:"),
            '.' if at >= 3 && signs[at - 3..at].iter().all(|it| matches!(it, 'w' | 'W')) => safe.push_str("\\."),
            other => safe.push(*other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_markup() {
        for (text, expected) in [
            ("<script>x</script>", "&lt;script&gt;x&lt;/script&gt;"),
            ("[x](javascript:y)", "\\[x\\]\\(javascript:y)"),
            ("![x](http://a)", "!\\[x\\]\\(http\\://a)"),
            ("order_processing, _x_ and *y*", "order_processing, \\_x\\_ and \\*y\\*"),
            ("a|b", "a\\|b"),
            ("a\u{1b}\nb", "a\\\\u{1b}\\\\nb"),
            ("&lt;b&gt;", "&amp;lt;b&amp;gt;"),
            ("5 & 6", "5 & 6"),
            ("www.example.com", "www\\.example.com"),
            ("```\nx", "\\`\\`\\`\\\\nx"),
        ] {
            assert_eq!(markdown(text), expected);
        }
    }

    #[test]
    fn code_stays_code_where_it_is_harmless() {
        assert_eq!(markdown("in `Pay` and `a|b`"), "in `Pay` and `a|b`");
        assert_eq!(markdown_cell("`a|b`"), "\\`a\\|b\\`");
        assert_eq!(markdown("`<b>` x"), "\\`&lt;b&gt;\\` x");
        assert_eq!(markdown("in `Pay"), "in \\`Pay");
        assert_eq!(markdown("`a``<b>`"), "\\`a\\`\\`&lt;b&gt;\\`");
    }

    #[test]
    fn code_has_no_tags() {
        assert_eq!(markdown_code("a < b <script>[x](y)"), "a < b \\u{3c}script>[x]\\u{28}y)");
    }

    #[test]
    fn lines_begin_nothing() {
        for (line, expected) in [
            ("# x", "\\# x"),
            ("- x", "\\- x"),
            ("    x", "x"),
            ("12. x", "12\\. x"),
            ("> x", "&gt; x"),
            ("---", "\\---"),
            ("12 x", "12 x"),
        ] {
            assert_eq!(markdown_line(line), expected);
        }
    }
}
