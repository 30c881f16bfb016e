//! What does a text begin with, comments and blanks left aside?

/// A statement behind EXPLAIN, and what to put before it.
pub(super) fn explained(sql: &str) -> Option<(&'static str, &str)> {
    let rest = after(sql, "EXPLAIN")?;
    Some(after(rest, "ANALYZE").map_or(("EXPLAIN ", rest), |it| ("EXPLAIN ANALYZE ", it)))
}

/// The first word.
pub(super) fn first_word(sql: &str) -> &str {
    let start = code(sql);
    let end = start.find(|it: char| !it.is_alphanumeric() && it != '_').unwrap_or(start.len());
    &start[..end]
}

fn after<'a>(sql: &'a str, word: &str) -> Option<&'a str> {
    let found = first_word(sql);
    found.eq_ignore_ascii_case(word).then(|| &code(sql)[found.len()..])
}

/// The text from where it is neither blank nor comment.
fn code(sql: &str) -> &str {
    let mut rest = sql.trim_start();
    loop {
        let next = if rest.starts_with("--") {
            rest.find(['\n', '\r']).map_or("", |it| &rest[it..])
        } else if rest.starts_with("/*") {
            after_comment(rest)
        } else {
            return rest;
        };
        rest = next.trim_start();
    }
}

/// What follows a comment, which may have others in it.
fn after_comment(sql: &str) -> &str {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < sql.len() {
        let rest = &sql[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return &sql[at..];
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_blanks_are_left_aside() {
        assert_eq!(first_word("/* a /* b */ c */ -- d\n  Delete FROM x"), "Delete");
        assert_eq!(explained("EXPLAIN/**/SELECT 1"), Some(("EXPLAIN ", "/**/SELECT 1")));
        assert_eq!(explained("explain\nanalyze FROM x"), Some(("EXPLAIN ANALYZE ", " FROM x")));
        assert_eq!(explained("EXPLAINS"), None);
        assert_eq!(first_word("/* never ends"), "");
    }
}
