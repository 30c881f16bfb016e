//! Everything that decides what is drawn.

use std::collections::BTreeMap;
use std::sync::Arc;

use analyzer::model::Timestamp;

use super::data::{Content, ExecutionItem, Findout};
use super::keys::KeyMap;
use super::screen::{Heat, MachineRef, Sort, Stop, Subject, TimeRange, Trail, View};
use super::theme::Theme;
use crate::collecting::{self, CollectorState, Light};

/// What the keyboard is for at the moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Mode {
    #[default]
    Moving,
    Filtering,
    Typing(Prompt),
    Choosing(Menu),
    /// The help, scrolled by so many lines.
    Helping(usize),
}

/// A line that is being typed.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    pub kind: PromptKind,
    pub text: String,
    /// Which of the completions was taken last.
    pub taken: Option<usize>,
    /// What the text was before a completion was taken.
    pub stem: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptKind {
    Command,
    Find,
    Range,
}

/// A few things to choose from.
#[derive(Clone, Debug, PartialEq)]
pub struct Menu {
    pub title: &'static str,
    pub row: usize,
    /// A letter, what it is for, and what it does.
    pub choices: Vec<(char, String, Choice)>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    Range(TimeRange),
    TypeRange,
    Export(Form),
    Copy(String),
}

/// Forms in which a view can be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text,
    Json,
    Csv,
    Markdown,
}

/// A command that can be typed, what it does, and its options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    pub name: String,
    pub about: String,
    pub options: Vec<String>,
}

/// What the user likes; it outlives the dashboard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preferences {
    pub theme: Theme,
    pub is_ascii: bool,
    pub keys: KeyMap,
    pub range: TimeRange,
    pub heat: Heat,
    /// How lists are sorted, where that is not their own order.
    pub sorts: BTreeMap<View, Sort>,
}

impl Preferences {
    pub(super) fn sort(&self, view: View) -> Sort {
        self.sorts.get(&view).copied().unwrap_or_default()
    }
}

/// The state of the dashboard.
#[derive(Clone, Debug)]
pub struct Ui {
    pub trail: Trail,
    /// Where they went back from, the last one first to return to.
    pub undone: Vec<Stop>,
    pub mode: Mode,
    pub preferences: Preferences,
    pub vocabulary: Arc<[Word]>,
    pub(super) commands: Vec<String>,
    pub marks: Vec<ExecutionItem>,
    pub findout: Arc<Findout>,
    /// When it was asked for last, and when it is due again.
    pub findout_at: Option<Timestamp>,
    pub findout_again: Option<Timestamp>,
    pub is_finding_out: bool,
    pub findout_trouble: Option<String>,
    pub is_frozen: bool,
    /// What the collector of this database last said about itself.
    pub collecting: Option<CollectorState>,
    /// Something that was done, in a sentence, until the next key.
    pub notice: Option<String>,
    pub title: String,
    pub now: Timestamp,
    pub width: u16,
    pub height: u16,
    pub(super) tickets: u64,
}

impl Ui {
    pub fn new(title: impl Into<String>, preferences: Preferences, now: Timestamp, size: (u16, u16)) -> Self {
        let mut root = Stop::new(View::Overview, None, Subject::Nothing);
        root.sort = preferences.sort(View::Overview);
        Self {
            trail: Trail::new(root),
            undone: Vec::new(),
            mode: Mode::Moving,
            preferences,
            vocabulary: Arc::default(),
            commands: Vec::new(),
            marks: Vec::new(),
            findout: Arc::default(),
            findout_at: None,
            findout_again: None,
            is_finding_out: false,
            findout_trouble: None,
            is_frozen: false,
            collecting: None,
            notice: None,
            title: title.into(),
            now,
            width: size.0,
            height: size.1,
            tickets: 0,
        }
    }

    pub fn stop(&self) -> &Stop {
        self.trail.last()
    }

    pub(super) fn stop_mut(&mut self) -> &mut Stop {
        self.trail.last_mut()
    }

    /// How collecting goes at this moment.
    pub fn light(&self) -> Light {
        self.collecting.as_ref().map_or_else(collecting::unknown, |it| it.light(self.now))
    }

    /// The machines that are known, from wherever the overview stands in the trail.
    pub(super) fn machines(&self) -> Vec<MachineRef> {
        let overview = self.trail.iter().rev().find_map(|it| match &it.content {
            Some(Content::Overview(it)) => Some(it),
            _ => None,
        });
        let of = |it: &super::data::MachineItem| MachineRef { arn: it.arn.clone(), name: it.name.clone() };
        overview.map(|it| it.machines.iter().map(of).collect()).unwrap_or_default()
    }

    /// The commands that were typed, the last one last.
    pub(super) fn typed(&self) -> &[String] {
        &self.commands
    }

    /// Whether what is on screen waits for nothing.
    pub fn stop_is_idle(&self) -> bool {
        self.stop().awaited.is_none()
    }
}
