//! Where does one statement of an input end, and the next begin?

use super::parser::{Parsed, Parser};
use crate::StoreError;

/// An input, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Statements that are whole, each without its `;`.
    pub statements: Vec<String>,
    /// What comes after the last one, without an end yet.
    pub rest: String,
}

/// Takes an input apart at each `;` that ends a statement; DuckDB's parser knows which do.
pub fn split(text: &str) -> Result<Split, StoreError> {
    let parser = Parser::new()?;
    let mut split = Split::default();
    let mut start = 0;
    for (at, _) in text.match_indices(';') {
        let piece = &text[start..at];
        // What is wrong behind a `;` is right only where the `;` is part of a comment.
        if !matches!(parser.parse(&format!("{piece}; (("))?, Parsed::Wrong(_)) {
            continue;
        }
        match parser.parse(piece)? {
            Parsed::Wrong(_) => continue,
            Parsed::Selects(none) if none.is_empty() => {}
            _ => split.statements.push(piece.to_owned()),
        }
        start = at + 1;
    }
    let rest = &text[start..];
    // A `;` in a text or a comment that goes on ends nothing; any other ends what is wrong.
    let is_ended = rest.trim_end().ends_with(';');
    if is_ended && !matches!(parser.parse(rest)?, Parsed::Wrong(reason) if reason.contains("unterminated")) {
        split.statements.push(rest.to_owned());
    } else {
        split.rest = rest.to_owned();
    }
    Ok(split)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, statements: &[&str], rest: &str) {
        let found = split(text).expect("an answer");
        assert_eq!(
            (found.statements.iter().map(|it| it.trim()).collect::<Vec<_>>(), found.rest.trim()),
            (statements.to_vec(), rest)
        );
    }

    #[test]
    fn statements_end_where_the_parser_says() {
        check("SELECT 1; SELECT 2;", &["SELECT 1", "SELECT 2"], "");
        check("SELECT ';', $$;$$ -- ;\n; FROM visits; SELECT", &["SELECT ';', $$;$$ -- ;", "FROM visits"], "SELECT");
        check("SELECT 'a;", &[], "SELECT 'a;");
        check("SELECT 1 -- don't; do\n, 2; /* ; */ SELECT 3;", &["SELECT 1 -- don't; do\n, 2", "/* ; */ SELECT 3"], "");
        check(";; -- nothing\n;", &[], "");
        check("SELEC 1; SELECT 2;", &["SELEC 1; SELECT 2;"], "");
        check("DELETE FROM x; SELECT 1;", &["DELETE FROM x", "SELECT 1"], "");
    }
}
