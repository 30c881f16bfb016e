//! What the user likes: from the configuration, and from the last time.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tui::dash::{Action, Heat, Key, KeyMap, Preferences, Sort, Theme, TimeRange, View};

use crate::cli::Color;
use crate::cli::Context;
use crate::config::DashConfig;
use crate::failure::Failure;

/// What outlives the dashboard.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Remembered {
    theme: Option<String>,
    heat: Option<String>,
    /// By view: the place of the order, and whether it is turned round.
    sorts: BTreeMap<String, (usize, bool)>,
}

/// As the configuration says, and otherwise as it was the last time.
pub(super) fn remembered(context: &Context, is_ascii: bool) -> Result<Preferences, Failure> {
    preferences(context, is_ascii, &read())
}

/// What another version has written may not be understood; then it is the first time.
fn read() -> Remembered {
    let text = path().and_then(|it| fs::read_to_string(it).ok());
    text.and_then(|it| toml::from_str(&it).ok()).unwrap_or_default()
}

/// As the configuration says, whoever has used it before.
pub(super) fn configured(context: &Context, is_ascii: bool) -> Result<Preferences, Failure> {
    preferences(context, is_ascii, &Remembered::default())
}

fn preferences(context: &Context, is_ascii: bool, remembered: &Remembered) -> Result<Preferences, Failure> {
    let config = &context.config.dash;
    let sort = |(name, it): (&String, &(usize, bool))| {
        let view = View::ALL.into_iter().find(|it| it.as_str() == name)?;
        Some((view, Sort { order: it.0, is_reversed: it.1 }))
    };
    Ok(Preferences {
        theme: theme(context, config, remembered)?,
        is_ascii: is_ascii || config.ascii.unwrap_or_else(|| !speaks_utf8()),
        keys: keys(config)?,
        range: TimeRange::All,
        heat: Heat::ALL.into_iter().find(|it| Some(it.as_str()) == remembered.heat.as_deref()).unwrap_or_default(),
        sorts: remembered.sorts.iter().filter_map(sort).collect(),
    })
}

fn theme(context: &Context, config: &DashConfig, remembered: &Remembered) -> Result<Theme, Failure> {
    // Whoever wants no colour says so in one of the usual ways.
    if context.color == Color::Never || std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty()) {
        return Ok(Theme::Plain);
    }
    if let Some(name) = &config.theme {
        let known = Theme::ALL.map(Theme::as_str).join(", ");
        return Theme::parse(name)
            .ok_or_else(|| Failure::usage(format!("`{name}` is no theme")).hint(format!("use one of {known}")));
    }
    Ok(remembered.theme.as_deref().and_then(Theme::parse).unwrap_or_default())
}

fn keys(config: &DashConfig) -> Result<KeyMap, Failure> {
    let mut map = KeyMap::default();
    for (name, keys) in &config.keys {
        let action = Action::ALL.iter().copied().find(|it| it.as_str() == name).ok_or_else(|| {
            let known = Action::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ");
            Failure::usage(format!("`{name}` is nothing that a key can do")).hint(format!("use one of {known}"))
        })?;
        let parse = |text: &str| {
            Key::parse(text).ok_or_else(|| {
                Failure::usage(format!("`{text}` is no key"))
                    .hint("write a character, ctrl-x, f5, space, enter, tab, …")
            })
        };
        let keys: Vec<Key> = keys.split_whitespace().map(parse).collect::<Result<_, _>>()?;
        map.bind(action, &keys);
    }
    Ok(map)
}

/// Whether the locale's characters are Unicode.
fn speaks_utf8() -> bool {
    let locale =
        ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|it| std::env::var(it).ok().filter(|it| !it.is_empty()));
    // Without a locale nothing is said against it.
    locale.is_none_or(|it| {
        let it = it.to_lowercase();
        it.contains("utf-8") || it.contains("utf8")
    })
}

fn path() -> Option<PathBuf> {
    let folder = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|it| it.is_absolute());
    let folder = folder.or_else(|| std::env::home_dir().map(|it| it.join(".local/state")))?;
    Some(folder.join("stepscope").join("dash.toml"))
}

/// Keeps the layout for the next time; where that cannot be, nothing is lost.
pub(super) fn remember(preferences: &Preferences) {
    // Without colour is what was asked for this time; it says nothing about the next.
    let theme =
        if preferences.theme == Theme::Plain { read().theme } else { Some(preferences.theme.as_str().to_owned()) };
    let remembered = Remembered {
        theme,
        heat: Some(preferences.heat.as_str().to_owned()),
        sorts: preferences
            .sorts
            .iter()
            .map(|(view, it)| (view.as_str().to_owned(), (it.order, it.is_reversed)))
            .collect(),
    };
    if let (Some(path), Ok(text)) = (path(), toml::to_string(&remembered)) {
        let _ = path.parent().map(fs::create_dir_all);
        let _ = fs::write(path, text);
    }
}
