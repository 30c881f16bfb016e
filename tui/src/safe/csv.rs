//! Cells of CSV, which spreadsheets open.

use super::is_unsafe;

/// A text cell: one that a spreadsheet would take for a formula is led by `'`.
pub fn cell(text: &str) -> String {
    if is_formula(text) { format!("'{}", raw_cell(text)) } else { raw_cell(text) }
}

/// A text cell for programs: only without characters that cannot be seen; line breaks and tabs are part of CSV.
pub fn raw_cell(text: &str) -> String {
    let is_kept = |it: char| it == '\n' || it == '\t' || !is_unsafe(it);
    if text.chars().all(is_kept) {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for it in text.chars() {
        if is_kept(it) { shown.push(it) } else { shown.extend(it.escape_default()) }
    }
    shown
}

/// Also the full-width signs, which spreadsheets of some languages take, and signs behind blanks.
fn is_formula(text: &str) -> bool {
    text.starts_with(['\t', '\r', '\n']) || text.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
}

/// Whether a text is a number and nothing more, such as `-1.5`.
pub fn is_plain_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.starts_with(|it: char| it.is_ascii_digit())
        && digits.chars().all(|it| it.is_ascii_digit() || ".eE+-".contains(it))
        && text.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_texts() {
        for (text, expected) in [
            ("=cmd|'/c calc'!A0", "'=cmd|'/c calc'!A0"),
            ("+1", "'+1"),
            ("-x", "'-x"),
            ("@SUM(1)", "'@SUM(1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\\r=1"),
            (" =1", "' =1"),
            ("＝1", "'＝1"),
            ("a=b", "a=b"),
            ("a\u{1b}\0\r\nb", "a\\u{1b}\\u{0}\\r\nb"),
        ] {
            assert_eq!(cell(text), expected);
        }
        assert_eq!(raw_cell("=1"), "=1");
        assert!(["-1.5", "3", "1e-7", "-2.5E+3"].into_iter().all(is_plain_number));
        assert!(!["-", "-1+1", "-1|x", "inf", "", "=1", "-e1"].into_iter().any(is_plain_number));
    }
}
