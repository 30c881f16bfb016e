//! Texts in HTML, as contents and in quoted attributes, and in Slack's messages, which share its signs.

use super::plain;

/// A text that is no markup; what stands between backticks is code.
pub fn html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 16);
    for it in plain(text).chars() {
        match it {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    let pieces: Vec<&str> = safe.split('`').collect();
    if pieces.len().is_multiple_of(2) {
        return safe;
    }
    let piece =
        |(index, it): (usize, &&str)| if index % 2 == 1 { format!("<code>{it}</code>") } else { (*it).to_owned() };
    pieces.iter().enumerate().map(piece).collect()
}

/// A text in a message of Slack: no mention, no link under another name.
pub fn slack(text: &str) -> String {
    super::lines(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_a_page() {
        assert_eq!(html("<img src=x onerror=\"x\">&'"), "&lt;img src=x onerror=&quot;x&quot;&gt;&amp;&#39;");
        assert_eq!(html("`<b>` and `\""), "`&lt;b&gt;` and `&quot;", "an odd backtick is none");
        assert_eq!(html("in `Pay`"), "in <code>Pay</code>");
        assert_eq!(html("a\u{202e}b"), "a\\u{202e}b");
    }
}
