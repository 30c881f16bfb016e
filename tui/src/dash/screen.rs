//! Where the user is, and how they came there.

use std::collections::BTreeSet;

use analyzer::model::{Micros, Name, Timestamp};
use analyzer::what_if::Scenario;

use super::data::{Content, Effects, Span};
use crate::gantt::{Folds, Layout};

/// The views.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum View {
    #[default]
    Overview,
    Executions,
    Timeline,
    Machine,
    Bottlenecks,
    Cost,
    Incident,
    Collector,
    Twins,
    Report,
}

impl View {
    pub const ALL: [Self; 10] = [
        Self::Overview,
        Self::Executions,
        Self::Timeline,
        Self::Machine,
        Self::Bottlenecks,
        Self::Cost,
        Self::Incident,
        Self::Collector,
        Self::Twins,
        Self::Report,
    ];

    /// Those that have a tab, in its order.
    pub const TABS: [Self; 7] = [
        Self::Overview,
        Self::Executions,
        Self::Machine,
        Self::Bottlenecks,
        Self::Cost,
        Self::Incident,
        Self::Collector,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Executions => "executions",
            Self::Timeline => "timeline",
            Self::Machine => "machine",
            Self::Bottlenecks => "bottlenecks",
            Self::Cost => "cost",
            Self::Incident => "incident",
            Self::Collector => "collector",
            Self::Twins => "twins",
            Self::Report => "report",
        }
    }

    /// The tab that is lit while the view is open.
    pub(super) fn tab(self) -> Option<usize> {
        let of = match self {
            Self::Timeline => Self::Executions,
            Self::Twins => Self::Incident,
            own => own,
        };
        Self::TABS.iter().position(|it| *it == of)
    }

    /// Whether it is about one machine.
    pub fn is_of_machine(self) -> bool {
        matches!(self, Self::Executions | Self::Machine | Self::Bottlenecks | Self::Cost | Self::Incident)
    }
}

/// A machine by ARN and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineRef {
    pub arn: String,
    pub name: String,
}

/// What a view is about, beyond its machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Subject {
    #[default]
    Nothing,
    /// An execution by its ARN.
    Execution(String),
    /// Executions that have not ended, whenever they began; the oldest first.
    Open,
    /// The children of a Map Run.
    MapRun(String),
    /// Executions with a text in their ARN, error, inputs or outputs.
    Found(String),
    /// Two executions; without the second, a typical one of the same machine.
    Pair(String, Option<String>),
    Words(Vec<String>),
}

/// A range of start times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeRange {
    #[default]
    All,
    Last(Micros),
    Between(Option<Timestamp>, Option<Timestamp>),
}

const MINUTE: i64 = 60_000_000;

impl TimeRange {
    pub(super) const CHOICES: [Self; 8] = [
        Self::All,
        Self::Last(Micros(15 * MINUTE)),
        Self::Last(Micros(60 * MINUTE)),
        Self::Last(Micros(6 * 60 * MINUTE)),
        Self::Last(Micros(24 * 60 * MINUTE)),
        Self::Last(Micros(3 * 24 * 60 * MINUTE)),
        Self::Last(Micros(7 * 24 * 60 * MINUTE)),
        Self::Last(Micros(30 * 24 * 60 * MINUTE)),
    ];

    /// The text that [`TimeRange::parse`] reads.
    pub fn label(self) -> String {
        let short =
            |it: Option<Timestamp>| it.map_or_else(String::new, |it| analyzer::time::format(it).replace(".000Z", "Z"));
        match self {
            Self::All => "all".to_owned(),
            Self::Last(Micros(us)) if us % (24 * 60 * MINUTE) == 0 && us > 24 * 60 * MINUTE => {
                format!("{}d", us / (24 * 60 * MINUTE))
            }
            Self::Last(Micros(us)) if us % (60 * MINUTE) == 0 => format!("{}h", us / (60 * MINUTE)),
            Self::Last(Micros(us)) => format!("{}m", us / MINUTE),
            Self::Between(from, to) => format!("{}/{}", short(from), short(to)),
        }
    }

    /// How it is said.
    pub(super) fn said(self) -> String {
        match self {
            Self::All => "all time".to_owned(),
            Self::Last(_) => format!("last {}", self.label()),
            Self::Between(..) => self.label(),
        }
    }

    /// Reads `all`, `90m`, `24h`, `7d`, or `FROM/TO` where either may be missing.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text == "all" || text.is_empty() {
            return Some(Self::All);
        }
        if let Some((from, to)) = text.split_once('/') {
            let instant = |it: &str| match it.trim() {
                "" => Some(None),
                it => analyzer::time::parse(it).map(Some),
            };
            let (from, to) = (instant(from)?, instant(to)?);
            return (from.is_none_or(|from| to.is_none_or(|to| from < to))).then_some(Self::Between(from, to));
        }
        let unit = match text.chars().last()? {
            'm' => MINUTE,
            'h' => 60 * MINUTE,
            'd' => 24 * 60 * MINUTE,
            _ => return None,
        };
        let number: i64 = text[..text.len() - 1].parse().ok()?;
        (number > 0).then(|| number.checked_mul(unit).map(|it| Self::Last(Micros(it)))).flatten()
    }

    /// The same, where spans back from now begin with a whole minute: what is loaded in parts is of one range.
    pub fn bounds_of_minute(self, now: Timestamp) -> (Option<Timestamp>, Option<Timestamp>) {
        let whole = |it: Timestamp| Timestamp(it.0.div_euclid(MINUTE) * MINUTE);
        match self {
            Self::Last(_) => self.bounds(whole(now)),
            _ => self.bounds(now),
        }
    }

    /// From when to when.
    pub fn bounds(self, now: Timestamp) -> (Option<Timestamp>, Option<Timestamp>) {
        match self {
            Self::All => (None, None),
            Self::Last(span) => (Some(Timestamp(now.0 - span.0)), None),
            Self::Between(from, to) => (from, to),
        }
    }
}

/// A column to sort by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sort {
    /// Place in the view's list of orders; the first is the view's own.
    pub order: usize,
    pub is_reversed: bool,
}

/// What colours the definition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Heat {
    #[default]
    CriticalShare,
    Failures,
    Money,
    Visits,
}

impl Heat {
    pub(super) fn next(self) -> Self {
        match self {
            Self::CriticalShare => Self::Failures,
            Self::Failures => Self::Money,
            Self::Money => Self::Visits,
            Self::Visits => Self::CriticalShare,
        }
    }

    pub const ALL: [Self; 4] = [Self::CriticalShare, Self::Failures, Self::Money, Self::Visits];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::CriticalShare => "share of the critical path",
            Self::Failures => "failures",
            Self::Money => "money",
            Self::Visits => "visits",
        }
    }
}

/// One place in the trail: a view, what it is about, and how it is looked at.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each says something of its own")]
pub struct Stop {
    pub view: View,
    pub machine: Option<MachineRef>,
    pub subject: Subject,
    pub content: Option<Content>,
    /// The number of the load whose answer belongs here.
    pub awaited: Option<u64>,
    /// Whether what is shown is of another range, or of before the database was written.
    pub is_old: bool,
    pub trouble: Option<String>,
    pub row: usize,
    pub filter: String,
    pub sort: Sort,
    /// The window of a timeline; `None` for all of it.
    pub window: Option<Span>,
    pub folds: Folds,
    pub layout: Option<Layout>,
    pub has_traces: bool,
    /// Whether what is below a Task in detail lies over the view, and how far it is scrolled.
    pub detail: Option<usize>,
    pub scenario: Scenario,
    /// What a scenario does, and which.
    pub effects: Option<(Scenario, Effects)>,
    /// The number of the simulation whose answer belongs here.
    pub simulated: Option<u64>,
    /// Which of the changes that were found is shown.
    pub change: Option<usize>,
    /// The column under the cursor of a chart, and where a range was begun.
    pub column: usize,
    pub baseline: Option<Span>,
    pub incident: Option<Span>,
    pub begun: Option<(bool, Timestamp)>,
    /// Whether a range is being drawn with the mouse.
    pub is_dragging: bool,
    pub has_all: bool,
}

impl Stop {
    pub fn new(view: View, machine: Option<MachineRef>, subject: Subject) -> Self {
        Self {
            view,
            machine,
            subject,
            content: None,
            awaited: None,
            is_old: false,
            simulated: None,
            change: None,
            trouble: None,
            row: 0,
            filter: String::new(),
            sort: Sort::default(),
            window: None,
            folds: Folds::long_maps(),
            layout: None,
            has_traces: false,
            detail: None,
            scenario: Scenario::default(),
            effects: None,
            column: usize::MAX,
            baseline: None,
            incident: None,
            begun: None,
            is_dragging: false,
            has_all: false,
        }
    }

    /// What a breadcrumb calls it.
    pub(super) fn name(&self) -> String {
        match (&self.subject, self.view) {
            (Subject::Words(words), _) => words.first().cloned().unwrap_or_default(),
            (Subject::Open, View::Executions) => "running".to_owned(),
            (Subject::MapRun(_), View::Executions) => "Map Run".to_owned(),
            (Subject::Found(text), View::Executions) => format!("with “{text}”"),
            (_, View::Timeline) => match &self.content {
                Some(Content::Run(it)) => it.run.execution.name.to_string(),
                _ => "execution".to_owned(),
            },
            (_, view) => view.as_str().to_owned(),
        }
    }

    /// The states that the scenario changes.
    pub(super) fn changed_states(&self) -> BTreeSet<Name> {
        self.scenario.work.keys().chain(self.scenario.concurrency.keys()).cloned().collect()
    }
}

/// How the user came to where they are: a stop that everything begins with, and those after it.
#[derive(Clone, Debug)]
pub struct Trail {
    root: Stop,
    rest: Vec<Stop>,
}

impl Trail {
    pub(super) fn new(root: Stop) -> Self {
        Self { root, rest: Vec::new() }
    }

    /// Where the user is.
    pub fn last(&self) -> &Stop {
        self.rest.last().unwrap_or(&self.root)
    }

    pub(super) fn last_mut(&mut self) -> &mut Stop {
        self.rest.last_mut().unwrap_or(&mut self.root)
    }

    pub(super) fn push(&mut self, stop: Stop) {
        self.rest.push(stop);
    }

    /// Takes the last one away; nothing where the user is at the root.
    pub(super) fn pop(&mut self) -> Option<Stop> {
        self.rest.pop()
    }

    /// Goes to the root; what was left, the last one first.
    pub(super) fn cut(&mut self) -> Vec<Stop> {
        self.rest.drain(..).rev().collect()
    }

    pub(super) fn is_root(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Stop> {
        std::iter::once(&self.root).chain(&self.rest)
    }

    pub(super) fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Stop> {
        std::iter::once(&mut self.root).chain(&mut self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_they_are_written() {
        for it in TimeRange::CHOICES {
            assert_eq!(TimeRange::parse(&it.label()), Some(it), "{}", it.label());
        }
        let between = TimeRange::parse("2026-11-25T13:00:00Z/").expect("a range");
        assert_eq!(TimeRange::parse(&between.label()), Some(between));
        let refused = ["h", "0h", "-1h", "5x", "2026-11-25T14:00:00Z/2026-11-25T13:00:00Z", "99999999999999999d"];
        assert!(refused.iter().all(|it| TimeRange::parse(it).is_none()));
    }
}
