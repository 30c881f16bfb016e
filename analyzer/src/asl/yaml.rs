//! YAML as the tools read it that deploy definitions, which are more lenient than the standard.
//!
//! CloudFormation, SAM and PyYAML pay no attention to indentation inside brackets and quotes, take a comment that follows
//! them without a blank, and let the last of two equal keys count. A text that the standard refuses for one of the first
//! two is read once more with blanks where the standard wants them; lines stay what they are, and columns are counted back.

use std::borrow::Cow;

use saphyr::{LoadableYamlNode, ScanError, YamlLoader};
use saphyr_parser::Parser;

use super::{ParseError, Place};

/// A text that can be read, and by how much each of its lines is indented more than in the file.
pub(super) struct Readable<'a> {
    pub(super) text: Cow<'a, str>,
    shifts: Vec<usize>,
}

impl Readable<'_> {
    /// A place of this text as a place in the file.
    pub(super) fn place(&self, line: usize, column: usize) -> Place {
        let shift = line.checked_sub(1).and_then(|it| self.shifts.get(it)).copied().unwrap_or(0);
        Place { line: line.max(1), column: column.saturating_sub(shift).max(1) }
    }
}

/// The text, with blanks added where it is only readable with them.
pub(super) fn readable(text: &str) -> Result<Readable<'_>, ParseError> {
    if is_too_deep(text) {
        return Err(ParseError::new(format!("not YAML: nested more than {DEEPEST} deep")));
    }
    let whole = Readable { text: Cow::Borrowed(text), shifts: Vec::new() };
    let Err(error) = load::<saphyr::Yaml<'_>>(text) else { return Ok(whole) };
    let (indented, shifts) = indented(text);
    if indented == text {
        return Err(refused(&error, &whole));
    }
    let lenient = Readable { text: Cow::Owned(indented), shifts };
    let error = load::<saphyr::Yaml<'_>>(&lenient.text).err();
    error.map_or(Ok(()), |error| Err(refused(&error, &lenient))).map(|()| lenient)
}

fn refused(error: &ScanError, text: &Readable<'_>) -> ParseError {
    let at = text.place(error.marker().line(), error.marker().col() + 1);
    let message = format!("not YAML: {} at line {}, column {}", error.info(), at.line, at.column);
    ParseError::at(message, at.line, at.column)
}

/// The documents of a text; of equal keys the last one counts.
pub(super) fn load<'a, Node: LoadableYamlNode<'a>>(text: &'a str) -> Result<Vec<Node>, ScanError> {
    let mut loader = YamlLoader::default();
    loader.allow_duplicate_keys(true);
    Parser::new_from_str(text).load(&mut loader, true)?;
    match loader.error() {
        Some(error) => Err(error.clone()),
        None => Ok(loader.into_documents()),
    }
}

/// Where a key stands that has stood in the same mapping before: the first such place of a text in YAML.
pub fn duplicate_key(text: &str) -> Option<Place> {
    let text = text.trim_start_matches('\u{feff}');
    if super::parse::looks_like_json(text) {
        return None;
    }
    let readable = readable(text).ok()?;
    // What can be read is refused for this alone.
    let error = saphyr::Yaml::load_from_str(&readable.text).err()?;
    Some(readable.place(error.marker().line(), error.marker().col() + 1))
}

/// Deeper than any definition, and shallow enough for every stack.
const DEEPEST: usize = 400;

fn is_too_deep(text: &str) -> bool {
    let mut depth = 0_usize;
    for line in text.lines() {
        let indented = line.trim_start_matches([' ', '-', '?', '\t']);
        let dashes = line[..line.len() - indented.len()].matches(['-', '?']).count();
        if dashes > DEEPEST || line.len() - indented.len() > 4 * DEEPEST {
            return true;
        }
        for byte in line.bytes() {
            match byte {
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > DEEPEST {
                return true;
            }
        }
    }
    false
}

/// What a place in a text is inside of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Block,
    /// Between brackets, so many of them.
    Flow(usize),
    /// Between quotes, within so many brackets.
    Quotes(char, usize),
}

/// The text with the lines inside brackets and quotes indented more than what they belong to, and with a blank before
/// comments that have none.
fn indented(text: &str) -> (String, Vec<usize>) {
    let mut out = String::with_capacity(text.len() + 64);
    let mut shifts = Vec::new();
    let (mut inside, mut parent) = (Inside::Block, 0);
    // A block text goes on while lines are blank, or indented more than this.
    let mut block_text: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end();
        let indent = bare.len() - bare.trim_start_matches(' ').len();
        if let Some(around) = block_text {
            if bare.is_empty() || indent > around {
                out.push_str(line);
                shifts.push(0);
                continue;
            }
            block_text = None;
        }
        let mut shift = 0;
        if inside == Inside::Block {
            parent = indent_with_dashes(bare);
        } else if !bare.is_empty() && indent <= parent {
            shift = parent + 1 - indent;
            out.extend(std::iter::repeat_n(' ', shift));
        }
        shifts.push(shift);
        inside = scan(line, inside, &mut out);
        if inside == Inside::Block && is_head_of_block(bare) {
            block_text = Some(parent);
        }
    }
    (out, shifts)
}

/// The column at which the contents of a line stand, behind the dashes of lists.
fn indent_with_dashes(line: &str) -> usize {
    let mut rest = line.trim_start_matches(' ');
    let mut at = line.len() - rest.len();
    while let Some(behind) = rest.strip_prefix("- ") {
        let next = behind.trim_start_matches(' ');
        // What a list holds directly belongs to the dash.
        if !(next.starts_with("- ") || next.contains(": ") || next.ends_with(':')) {
            return at;
        }
        at += rest.len() - next.len();
        rest = next;
    }
    at
}

/// Whether a line ends with `|` or `>`, and so begins a block text.
fn is_head_of_block(line: &str) -> bool {
    let bare = line.split(" #").next().unwrap_or(line).trim_end();
    let bare = bare.trim_end_matches(|it: char| it == '-' || it == '+' || it.is_ascii_digit());
    let before = bare.strip_suffix(['|', '>']);
    before.is_some_and(|it| it.is_empty() || it.ends_with([' ', '\t']))
}

/// Copies a line, and follows the brackets and quotes in it.
fn scan(line: &str, mut inside: Inside, out: &mut String) -> Inside {
    // A quote or a bracket means something only where a value may begin.
    let mut may_begin = true;
    let mut signs = line.chars().peekable();
    let mut before = ' ';
    while let Some(it) = signs.next() {
        match inside {
            Inside::Quotes('"', _) if it == '\\' => {
                out.push(it);
                out.extend(signs.next());
                continue;
            }
            Inside::Quotes(quote, depth) if it == quote => {
                if quote == '\'' && signs.peek() == Some(&'\'') {
                    out.push(it);
                    out.extend(signs.next());
                    continue;
                }
                inside = if depth == 0 { Inside::Block } else { Inside::Flow(depth) };
                may_begin = false;
            }
            Inside::Quotes(..) => {}
            Inside::Block | Inside::Flow(_) => {
                let depth = if let Inside::Flow(depth) = inside { depth } else { 0 };
                match it {
                    '#' if before.is_whitespace()
                        || matches!(before, '"' | '\'' | ']' | '}' | ',') && !may_be_text(before, depth) =>
                    {
                        if !before.is_whitespace() {
                            out.push(' ');
                        }
                        out.push(it);
                        out.extend(signs);
                        return inside;
                    }
                    '"' | '\'' if may_begin => inside = Inside::Quotes(it, depth),
                    '[' | '{' if may_begin || depth > 0 => (inside, may_begin) = (Inside::Flow(depth + 1), true),
                    ']' | '}' if depth > 0 => {
                        inside = if depth == 1 { Inside::Block } else { Inside::Flow(depth - 1) };
                        may_begin = false;
                    }
                    ',' if depth > 0 => may_begin = true,
                    ' ' | '\t' | '\r' | '\n' => may_begin |= before == ':',
                    // A tag or an anchor stands before a value.
                    _ if may_begin && (it == '!' || it == '&') => {
                        out.push(it);
                        before = it;
                        while let Some(next) = signs.next_if(|it| {
                            !(it.is_whitespace() || depth > 0 && matches!(it, ',' | ']' | '}' | '[' | '{'))
                        }) {
                            out.push(next);
                            before = next;
                        }
                        continue;
                    }
                    // A dash or a question mark may stand before one.
                    '-' | '?' if may_begin && signs.peek().is_some_and(|it| it.is_whitespace()) => {}
                    ':' if depth > 0 => may_begin = true,
                    _ => may_begin = false,
                }
            }
        }
        out.push(it);
        before = it;
    }
    inside
}

/// Whether a sign before `#` may belong to a plain text, as it may outside brackets.
fn may_be_text(before: char, depth: usize) -> bool {
    before == ',' && depth == 0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::asl::{Place, Places, duplicate_key, text_to_value};

    #[test]
    fn indentation_inside_brackets_and_quotes_does_not_matter() {
        for (text, expected) in [
            ("a:\n  b: [\n    x,\n    y\n  ]\nc: 1\n", json!({"a": {"b": ["x", "y"]}, "c": 1})),
            ("a:\n  b: [\n x, # d\n# e\n]\nc: 1\n", json!({"a": {"b": ["x"]}, "c": 1})),
            ("a: [\n  'x'\n  , 'y'\n]\n", json!({"a": ["x", "y"]})),
            ("a: {x: 1,\ny: {z: 2\n}\n}\n", json!({"a": {"x": 1, "y": {"z": 2}}})),
            ("a:\n  - b:\n    - c: [\n      x\n      ]\n    - d\n", json!({"a": [{"b": [{"c": ["x"]}, "d"]}]})),
            ("a:\n  - [\n    x\n  ]\n  - c\n", json!({"a": [["x"], "c"]})),
            ("a:\n  b: \"\n{\n \\\"x\\\": 1\n}\"\nc: 1\n", json!({"a": {"b": " { \"x\": 1 }"}, "c": 1})),
            ("a:\n  b: 'x\ny''z'\nc: 1\n", json!({"a": {"b": "x y'z"}, "c": 1})),
            ("a: \"x\"# c\nb: [1,# d\n2]# e\nf: x#y\n", json!({"a": "x", "b": [1, 2], "f": "x#y"})),
            ("a:\r\n  b: [\r\n    x\r\n  ]\r\nc: 1\r\n", json!({"a": {"b": ["x"]}, "c": 1})),
            ("\u{feff}a:\n  b: [\n    x\n  ]\n", json!({"a": {"b": ["x"]}})),
            (
                "a: |\n  [ ' \" {\nb: !Join ['', [\n  it's, !Sub \"x}\",\n]\n]\n",
                json!({"a": "[ ' \" {\n", "b": "it'sx}"}),
            ),
            ("a: 1\nb: 2\na: 3\n", json!({"b": 2, "a": 3})),
        ] {
            assert_eq!(text_to_value(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn places_are_those_of_the_file() {
        let text = "a:\n  b: [\nx: 1, y: [\n  2]\n  ]\nc:\n  d: 1\n";
        let places = Places::of_text(text);
        assert_eq!(places.of("/c/d"), Place { line: 7, column: 3 });
        assert_eq!(places.of("/a/b[0]"), Place { line: 3, column: 1 });
        let error = text_to_value("a:\n  b: [\n  ]\nc:\n\td: 1\n").expect_err("a tab");
        assert_eq!(error.place.map(|it| it.line), Some(5), "{error}");
    }

    #[test]
    fn what_is_no_yaml_stays_refused() {
        for text in ["a: [x\n", "a: {b: 1\n", "a: \"x\n", "a:\n\tb: 1\n", "a: [x] y\n", "a: b: c\n", "a: [x}\n"] {
            assert!(text_to_value(text).is_err(), "{text}");
        }
    }

    #[test]
    fn keys_that_stand_twice_are_found() {
        assert_eq!(duplicate_key("a:\n  b: 1\n  c: 2\n  b: 3\n"), Some(Place { line: 4, column: 3 }));
        assert_eq!(duplicate_key("a:\n  b: 1\nc:\n  b: 1\n"), None);
        assert_eq!(duplicate_key("a: ["), None);
    }
}
