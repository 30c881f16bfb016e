//! What may follow in a line that is being typed?

use super::ui::{Ui, Word};

/// Completions of the last word of a command: commands first, then options and machines.
pub(super) fn completions(ui: &Ui, text: &str) -> Vec<String> {
    let begun = text.rsplit(' ').next().unwrap_or("");
    let earlier: Vec<&str> = text.split_whitespace().collect();
    let is_first = !text.contains(' ');
    let candidates: Vec<String> = if is_first {
        ui.vocabulary.iter().map(|it| it.name.clone()).collect()
    } else {
        let command = ui.vocabulary.iter().find(|it| earlier.first().is_some_and(|first| *first == it.name));
        let machines = ui.machines().into_iter().map(|it| it.name);
        machines.chain(command.map(|it: &Word| it.options.clone()).unwrap_or_default()).collect()
    };
    let fits = |it: &String| it.starts_with(begun) && (is_first || !earlier.contains(&it.as_str()));
    candidates.into_iter().filter(fits).collect()
}

/// The text with its last word replaced.
pub(super) fn with_last_word(text: &str, word: &str) -> String {
    let kept = text.rfind(' ').map_or("", |at| &text[..=at]);
    format!("{kept}{word}")
}
