//! What safe means, for each kind of place; written from the outside, without the product's own functions.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// How much was looked at.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) outputs: usize,
    pub(super) files: usize,
    /// Commands that were suggested.
    pub(super) commands: Vec<String>,
    /// What does not hold.
    pub(super) faults: Vec<String>,
}

impl Checked {
    fn hold(&mut self, is_so: bool, otherwise: impl FnOnce() -> String) {
        if !is_so {
            self.faults.push(otherwise().chars().take(600).collect());
        }
    }
}

fn is_dangerous(it: char) -> bool {
    it < ' '
        || matches!(it, '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// Nothing that a terminal obeys.
pub(super) fn check_plain(place: &str, text: &str, checked: &mut Checked) {
    if let Some(found) = text.chars().find(|it| *it != '\n' && is_dangerous(*it)) {
        let at = text.find(found).unwrap_or(0);
        let around: String = text[at..].chars().take(40).collect();
        let before: String = text[..at].chars().rev().take(60).collect::<Vec<_>>().into_iter().rev().collect();
        checked.hold(false, || format!("{place}: {found:?} after {before:?} in {around:?}"));
    }
}

/// The same, and no line that only looks like one of ours.
pub(super) fn check_lines(place: &str, text: &str, checked: &mut Checked) {
    check_plain(place, text, checked);
    let forged = text.lines().find(|it| it.starts_with("FORGED"));
    checked.hold(forged.is_none(), || format!("{place}: {forged:?}"));
}

pub(super) fn check_json(place: &str, text: &str, checked: &mut Checked) {
    check_plain(place, text, checked);
    if text.trim().is_empty() {
        return;
    }
    let value: Result<Value, _> = serde_json::from_str(text);
    match value {
        Ok(value) => commands_of(&value, &mut checked.commands),
        Err(error) => checked.hold(false, || format!("{place}: {error}: {text}")),
    }
}

fn commands_of(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|it| commands_of(it, found)),
        Value::Object(fields) => {
            for (key, inner) in fields {
                match inner {
                    Value::String(text) if key == "command" => found.push(text.clone()),
                    inner => commands_of(inner, found),
                }
            }
        }
        _ => {}
    }
}

/// Cells are texts and numbers, and every row has as many.
pub(super) fn check_csv(place: &str, text: &str, checked: &mut Checked) {
    let allowed = |it: char| it == '\n' || it == '\t';
    checked.hold(!text.chars().any(|it| is_dangerous(it) && !allowed(it)), || format!("{place}: {text:?}"));
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    for record in reader.records() {
        let Ok(record) = record else { return checked.hold(false, || format!("{place}: {record:?}")) };
        for cell in &record {
            let is_number = cell.parse::<f64>().is_ok();
            checked
                .hold(is_number || !cell.trim_start_matches(' ').starts_with(['=', '+', '-', '@', '\t', '\r']), || {
                    format!("{place}: {cell:?}")
                });
        }
    }
}

/// No HTML, no link, no cell that breaks its table.
pub(super) fn check_markdown(place: &str, text: &str, checked: &mut Checked) {
    check_plain(place, text, checked);
    let mut is_in_fence = false;
    let mut n_cells = None;
    for line in text.lines() {
        if line.starts_with("```") {
            is_in_fence = !is_in_fence;
            continue;
        }
        let is_code = is_in_fence || line.starts_with("    ");
        let tag = line
            .match_indices('<')
            .find(|it| line[it.0 + 1..].starts_with(|it: char| it.is_ascii_alphabetic() || "/!?".contains(it)));
        checked.hold(tag.is_none(), || format!("{place}: {line}"));
        checked.hold(!line.contains("]("), || format!("{place}: {line}"));
        checked.hold(is_code || !line.starts_with("FORGED"), || format!("{place}: {line}"));
        if is_in_fence {
            checked.commands.extend(commands_in(line));
        }
        let n_bars = line.replace("\\\\", "").replace("\\|", "").matches('|').count();
        n_cells = if line.starts_with('|') && !is_code {
            checked.hold(n_cells.is_none_or(|it| it == n_bars), || format!("{place}: {n_cells:?} {n_bars} {line}"));
            Some(n_bars)
        } else {
            None
        };
    }
    checked.hold(!is_in_fence, || format!("{place}: code without an end"));
}

/// Only our own elements and attributes, and a policy that lets nothing be fetched or run.
pub(super) fn check_html(place: &str, text: &str, checked: &mut Checked) {
    const KNOWN: [&str; 31] = [
        "!doctype",
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "h1",
        "h2",
        "p",
        "dl",
        "div",
        "dt",
        "dd",
        "figure",
        "svg",
        "rect",
        "line",
        "text",
        "figcaption",
        "table",
        "tr",
        "th",
        "td",
        "pre",
        "code",
        "br",
        "ul",
        "li",
        "g",
        "path",
    ];
    check_plain(place, text, checked);
    checked.hold(text.contains("Content-Security-Policy") && text.contains("default-src 'none'"), || place.to_string());
    let body = text.split("</style>").nth(1).unwrap_or_default();
    for (at, _) in body.match_indices('<') {
        let tag = body[at + 1..].split('>').next().unwrap_or_default().trim_start_matches('/');
        let name = tag.split([' ', '\n']).next().unwrap_or_default();
        checked.hold(KNOWN.contains(&name), || format!("{place}: <{tag}>"));
        checked.hold(!tag.contains(" on") && !tag.contains("javascript:") && !tag.contains("href"), || {
            format!("{place}: <{tag}>")
        });
    }
}

/// Lines of a text that are commands for a shell.
pub(super) fn commands_in(text: &str) -> Vec<String> {
    let starts = ["aws stepfunctions ", "stepscope "];
    text.lines().filter(|it| starts.iter().any(|start| it.starts_with(start))).map(str::to_owned).collect()
}

/// The words that the program of a command gets from a real shell.
pub(super) fn words_of(command: &str, folder: &Path) -> Vec<String> {
    let script = format!(
        "show() {{ for it do printf '%s\\000' \"$it\"; done; }}; aws() {{ show \"$@\"; }}; stepscope() {{ show \"$@\"; }}; {command}"
    );
    let output = Command::new("sh").args(["-c", &script]).current_dir(folder).output().expect("a shell");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{command}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.split_terminator('\0').map(str::to_owned).collect()
}

/// Gives the commands to a shell: each word is one of our own, or holds a name as a whole.
pub(super) fn check_commands(commands: &[String], names: &[String], folder: &Path) {
    let worst = super::database::worst();
    let is_name = |it: &str| {
        let last = it.rsplit_once("execution:").map_or(it, |it| it.1);
        let last = last.strip_suffix("=0.5").unwrap_or(last);
        let last = last.strip_prefix("--work=").unwrap_or(last);
        let last = last.trim_end_matches(|it: char| it.is_ascii_digit());
        let is_whole = |name: &str| {
            let name = name.replace('\0', "\u{fffd}");
            let short = |it: &str| {
                it.rsplit(':').next().unwrap_or(it).trim_end_matches(|it: char| it.is_ascii_digit()).to_owned()
            };
            last == name
                || last == short(&name)
                || last == format!("{name}:{name}").trim_end_matches(|it: char| it.is_ascii_digit())
                || last == name.trim_end_matches(|it: char| it.is_ascii_digit())
        };
        is_whole(&worst)
            || last.contains("javascript")
            || names.iter().any(|name| is_whole(name))
            || last.starts_with("arn:aws:states")
    };
    let is_ours = |it: &str| it.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_.:/=".contains(&it));
    for command in commands {
        for word in words_of(command, folder) {
            assert!(is_ours(&word) || is_name(&word), "{word:?} of {command}");
        }
    }
    assert!(!folder.join("pwned").exists(), "a command did something else");
}
