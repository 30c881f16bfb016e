//! What the dashboard shows at a moment.

use std::sync::Arc;

use analyzer::execution::Run;
use analyzer::model::{Micros, Status, Timestamp, Usd};

use super::page::Page;

/// Executions that the list holds at most: the newest.
pub const LISTED: usize = 5_000;

/// One machine as the overview needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineItem {
    pub arn: String,
    pub name: String,
    pub workflow_type: &'static str,
    pub executions: u64,
    pub running: u64,
    pub failed: u64,
    pub closed: u64,
    pub complete: u64,
    /// Executions that are known in full, and those that there were, where CloudWatch has counted them.
    pub counted: Option<(u64, u64)>,
    pub p50: Option<Micros>,
    pub p95: Option<Micros>,
    pub paid: Option<Usd>,
    pub as_standard: Option<Usd>,
    pub as_express: Option<Usd>,
    /// The 95th percentile over equal spans of the time that is stored; `None` where nothing ran.
    pub trend: Vec<Option<Micros>>,
}

/// One execution as the list needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionItem {
    pub id: u32,
    pub name: String,
    pub status: Status,
    pub started_at: Option<Timestamp>,
    pub duration: Option<Micros>,
    pub transitions: u64,
    pub usd: Option<Usd>,
    pub complete: bool,
    pub error: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExecutionOrder {
    #[default]
    Newest,
    Slowest,
    FailedFirst,
}

impl ExecutionOrder {
    pub(super) fn next(self) -> Self {
        match self {
            Self::Newest => Self::Slowest,
            Self::Slowest => Self::FailedFirst,
            Self::FailedFirst => Self::Newest,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Newest => "newest first",
            Self::Slowest => "slowest first",
            Self::FailedFirst => "failed first",
        }
    }
}

/// The three levels, each inside the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Screen {
    #[default]
    Machines,
    Executions,
    Timeline,
    /// A report, over whichever level it was asked for on.
    Page,
}

/// A cursor in a list, and the filter in force there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub row: usize,
    pub filter: String,
}

/// Everything that decides what is drawn.
#[derive(Clone, Debug, Default)]
pub struct Ui {
    pub screen: Screen,
    pub machines: Vec<MachineItem>,
    /// How collecting goes, in sentences.
    pub collector: Vec<String>,
    pub machines_place: Place,
    /// ARN and name of the machine that was opened.
    pub machine: Option<(String, String)>,
    pub executions: Vec<ExecutionItem>,
    pub executions_place: Place,
    pub order: ExecutionOrder,
    pub run: Option<Arc<Run>>,
    pub run_row: usize,
    pub folded: Vec<u64>,
    /// The report that is shown, the command that made it, and the level below it.
    pub page: Option<Page>,
    pub page_words: Vec<String>,
    pub page_place: Place,
    pub below_page: Screen,
    /// The command that is being typed.
    pub command: Option<String>,
    pub is_filtering: bool,
    pub is_help_open: bool,
    pub is_loading: bool,
    pub trouble: Option<String>,
    pub title: String,
    pub width: u16,
    pub height: u16,
}

impl Ui {
    pub fn new(title: impl Into<String>, width: u16, height: u16) -> Self {
        Self { title: title.into(), width, height, is_loading: true, ..Self::default() }
    }

    /// The machines that pass the filter, in the order of the list.
    pub fn visible_machines(&self) -> Vec<&MachineItem> {
        let wanted = self.machines_place.filter.to_lowercase();
        self.machines.iter().filter(|it| it.name.to_lowercase().contains(&wanted)).collect()
    }

    /// How many executions the opened machine has, where the list could not take them all.
    pub fn executions_beyond_list(&self) -> Option<u64> {
        let (arn, _) = self.machine.as_ref().filter(|_| self.executions.len() >= LISTED)?;
        let of = self.machines.iter().find(|it| it.arn == *arn)?.executions;
        (of > self.executions.len() as u64).then_some(of)
    }

    /// The executions that pass the filter, in the order that was chosen.
    pub fn visible_executions(&self) -> Vec<&ExecutionItem> {
        let wanted = self.executions_place.filter.to_lowercase();
        let fits = |it: &&ExecutionItem| {
            it.name.to_lowercase().contains(&wanted)
                || it.status.as_str().to_lowercase().contains(&wanted)
                || it.error.as_deref().is_some_and(|it| it.to_lowercase().contains(&wanted))
        };
        let mut visible: Vec<&ExecutionItem> = self.executions.iter().filter(fits).collect();
        match self.order {
            ExecutionOrder::Newest => {}
            ExecutionOrder::Slowest => visible.sort_by_key(|it| std::cmp::Reverse(it.duration)),
            ExecutionOrder::FailedFirst => visible.sort_by_key(|it| it.status <= Status::Succeeded),
        }
        visible
    }

    pub(super) fn place(&self) -> Option<&Place> {
        match self.screen {
            Screen::Machines => Some(&self.machines_place),
            Screen::Page => Some(&self.page_place),
            Screen::Executions => Some(&self.executions_place),
            Screen::Timeline => None,
        }
    }

    pub(super) fn place_mut(&mut self) -> Option<&mut Place> {
        match self.screen {
            Screen::Machines => Some(&mut self.machines_place),
            Screen::Page => Some(&mut self.page_place),
            Screen::Executions => Some(&mut self.executions_place),
            Screen::Timeline => None,
        }
    }

    pub(super) fn row(&self) -> usize {
        self.place().map_or(self.run_row, |it| it.row)
    }

    pub(super) fn set_row(&mut self, row: usize) {
        match self.place_mut() {
            Some(place) => place.row = row,
            None => self.run_row = row,
        }
    }

    /// Rows of the list on screen.
    pub(super) fn n_rows(&self) -> usize {
        match self.screen {
            Screen::Machines => self.visible_machines().len(),
            Screen::Page => self
                .page
                .as_ref()
                .map_or(0, |it| it.lines(&self.page_place.filter, usize::from(self.width).saturating_sub(2)).1.len()),
            Screen::Executions => self.visible_executions().len(),
            Screen::Timeline => self.chart().map_or(0, |it| it.rows.len()),
        }
    }

    pub(super) fn chart(&self) -> Option<crate::gantt::Chart> {
        let fold = crate::gantt::Fold::Also(self.folded.clone());
        self.run.as_ref().map(|run| crate::gantt::chart(run, usize::from(self.width), &fold))
    }
}
