//! Where does each part of a definition stand in its text?

use std::collections::HashMap;

use jsonc_parser::ast;
use saphyr::{MarkedYaml, Scalar, YamlData};

use super::parse::{json_options, looks_like_json, with_quoted_substitutions};
use super::yaml::{self, Readable};

/// A line and a column, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    pub const START: Self = Self { line: 1, column: 1 };
}

/// The places of all keys and items, by paths as AWS writes them: `/States/Charge/Retry[0]/ErrorEquals`.
#[derive(Clone, Debug, Default)]
pub struct Places {
    of: HashMap<String, At>,
    lines: Lines,
    /// Where block texts of YAML begin, which hold a text of their own: their first line, and by how much they are indented.
    blocks: HashMap<String, Place>,
}

/// A place that is known, or a byte of the text; its column is counted when somebody asks.
#[derive(Clone, Copy, Debug)]
enum At {
    Byte(usize),
    Place(Place),
}

impl Places {
    /// Reads the places; empty where the text cannot be read.
    pub fn of_text(text: &str) -> Self {
        let mut places = Self::default();
        let text = text.trim_start_matches('\u{feff}');
        if looks_like_json(text) {
            if !places.add_text(text)
                && let Some(filled) = with_quoted_substitutions(text)
            {
                places.add_text(&filled);
            }
        } else if let Ok(readable) = yaml::readable(text)
            && let Ok(documents) = yaml::load::<MarkedYaml<'_>>(&readable.text)
            && let Some(root) = documents.first()
        {
            places.add_yaml(root, "", &Yaml { lines: text.lines().collect(), readable: &readable });
        }
        places
    }

    /// The place of a path, or else of the nearest part around it.
    pub fn of(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            match self.of.get(path) {
                Some(At::Place(place)) => return *place,
                Some(At::Byte(byte)) => return self.lines.place(*byte),
                None => {}
            }
            match path.rfind(['/', '[']) {
                Some(end) => path = &path[..end],
                None => return Place::START,
            }
        }
    }

    /// Where the block text at a path begins: its first line, and the column of its own first column.
    pub fn block(&self, path: &str) -> Option<Place> {
        self.blocks.get(path).copied()
    }

    pub(super) fn insert(&mut self, path: String, place: Place) {
        self.of.entry(path).or_insert(At::Place(place));
    }

    /// Whether the text could be read.
    fn add_text(&mut self, text: &str) -> bool {
        let options = jsonc_parser::CollectOptions::default();
        let Ok(parsed) = jsonc_parser::parse_to_ast(text, &options, &json_options()) else { return false };
        if let Some(ast::Value::Object(root)) = parsed.value {
            self.add_object(&root, "");
        }
        self.lines = Lines::of(text);
        true
    }

    fn add_object(&mut self, object: &ast::Object<'_>, path: &str) {
        for property in &object.properties {
            let here = format!("{path}/{}", property.name.as_str());
            self.add_json(&property.value, &here);
            self.of.entry(here).or_insert(At::Byte(property.range.start));
        }
    }

    fn add_json(&mut self, value: &ast::Value<'_>, path: &str) {
        match value {
            ast::Value::Object(object) => self.add_object(object, path),
            ast::Value::Array(items) => {
                for (index, item) in items.elements.iter().enumerate() {
                    let here = format!("{path}[{index}]");
                    self.add_json(item, &here);
                    self.of.entry(here).or_insert(At::Byte(range_of(item).start));
                }
            }
            _ => {}
        }
    }

    fn add_yaml(&mut self, node: &MarkedYaml<'_>, path: &str, text: &Yaml<'_>) {
        match &node.data {
            YamlData::Mapping(entries) => {
                for (key, value) in entries {
                    let name = match &key.data {
                        YamlData::Value(Scalar::String(it)) | YamlData::Representation(it, ..) => it.to_string(),
                        YamlData::Value(Scalar::Integer(it)) => it.to_string(),
                        YamlData::Value(Scalar::Boolean(it)) => it.to_string(),
                        _ => continue,
                    };
                    let here = format!("{path}/{name}");
                    self.add_yaml(value, &here, text);
                    let place = text.place(key);
                    if let Some(block) =
                        block_between(&text.lines, place.line, text.place(value).line).filter(|_| is_text(value))
                    {
                        self.blocks.insert(here.clone(), block);
                    }
                    self.insert(here, place);
                }
            }
            YamlData::Sequence(items) => {
                for (index, item) in items.iter().enumerate() {
                    let here = format!("{path}[{index}]");
                    self.add_yaml(item, &here, text);
                    let place = text.place(item);
                    if let Some(block) = block_between(&text.lines, place.line.saturating_sub(1).max(1), place.line)
                        .filter(|_| is_text(item))
                    {
                        self.blocks.insert(here.clone(), block);
                    }
                    self.insert(here, place);
                }
            }
            // The one function whose argument stays a tree.
            YamlData::Tagged(tag, inner) if tag.suffix == "ToJsonString" => {
                self.add_yaml(inner, &format!("{path}/Fn::ToJsonString"), text);
            }
            YamlData::Tagged(_, inner) => self.add_yaml(inner, path, text),
            _ => {}
        }
    }
}

fn range_of(value: &ast::Value<'_>) -> jsonc_parser::common::Range {
    use jsonc_parser::common::Ranged;
    value.range()
}

fn is_text(node: &MarkedYaml<'_>) -> bool {
    match &node.data {
        YamlData::Tagged(_, inner) => is_text(inner),
        YamlData::Value(Scalar::String(_)) | YamlData::Representation(..) => true,
        _ => false,
    }
}

/// A text in YAML: its lines as the file has them, and the form in which it was read.
struct Yaml<'a> {
    lines: Vec<&'a str>,
    readable: &'a Readable<'a>,
}

impl Yaml<'_> {
    fn place(&self, node: &MarkedYaml<'_>) -> Place {
        self.readable.place(node.span.start.line(), node.span.start.col() + 1)
    }
}

/// The block text that begins after one of some lines, which ends in `|`, with or without signs and a comment behind it. Folded texts (`>`)
/// have no lines of their own.
fn block_between(lines: &[&str], from: usize, to: usize) -> Option<Place> {
    let is_head = |line: &str| {
        let bare = line.split(" #").next().unwrap_or(line).trim_end();
        let bare = bare.trim_end_matches(['-', '+', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
        bare.ends_with(" |") || bare == "|"
    };
    let head = (from..=to.max(from)).find(|line| lines.get(line - 1).is_some_and(|it| is_head(it)))?;
    let first = lines.iter().skip(head).find(|it| !it.trim().is_empty())?;
    Some(Place { line: head + 1, column: first.len() - first.trim_start().len() + 1 })
}

/// Finds lines and columns by bytes: whole texts stand on one line at times, and every part of them is asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    /// Where each line begins.
    starts: Vec<usize>,
    /// The bytes that begin no character: they belong to the one before.
    inner: Vec<usize>,
}

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        let places = |wanted: fn(u8) -> bool| text.bytes().enumerate().filter(move |it| wanted(it.1)).map(|it| it.0);
        let starts = std::iter::once(0).chain(places(|it| it == b'\n').map(|at| at + 1)).collect();
        Self { starts, inner: places(|it| it & 0xC0 == 0x80).collect() }
    }

    pub(super) fn place(&self, byte: usize) -> Place {
        let line = self.starts.partition_point(|it| *it <= byte).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let inner_before = |at: usize| self.inner.partition_point(|it| *it < at);
        let column = byte.saturating_sub(start) - (inner_before(byte) - inner_before(start)) + 1;
        Place { line, column }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, usize, usize)]) {
        let places = Places::of_text(text);
        for (path, line, column) in expected {
            assert_eq!(places.of(path), Place { line: *line, column: *column }, "{path}");
        }
    }

    #[test]
    fn each_key_and_item_has_its_place_in_every_notation() {
        let json = "{\n  \"States\": {\n    \"A\": {\"Retry\": [{\"Max\": 1},\n      {\"Max\": 2}]}\n  }\n}";
        check(
            json,
            &[("/States/A", 3, 5), ("/States/A/Retry[1]/Max", 4, 8), ("/States/A/Retry[1]/Gone", 4, 7), ("/X", 1, 1)],
        );
        let json5 = "// a\n{ 'States': { A: { Retry: [ // b\n {Max: 1}, ] } } }";
        check(json5, &[("/States", 2, 3), ("/States/A", 2, 15), ("/States/A/Retry[0]/Max", 3, 3)]);
        let yaml = "States:\n  A:\n    Retry:\n      - Max: 1\n      - Max: 2\n";
        check(yaml, &[("/States/A", 2, 3), ("/States/A/Retry[1]/Max", 5, 9), ("/States/A/Retry[0]", 4, 9)]);
    }

    #[test]
    fn columns_count_characters() {
        check("{\"é\": 1, \"名前\": {\n \"ü\": 1, \"b\": 2}}", &[("/名前", 1, 10), ("/名前/b", 2, 10)]);
    }

    #[test]
    fn block_texts_begin_on_the_line_after_their_key() {
        let places = Places::of_text("a:\n  b: !Sub |\n      {\n        \"x\": 1}\n");
        assert_eq!(places.block("/a/b"), Some(Place { line: 3, column: 7 }));
        assert_eq!(places.block("/a"), None);
    }
}
