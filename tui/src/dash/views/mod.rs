//! The views: one file for each.

mod bottlenecks;
mod cost;
mod executions;
mod incident;
mod machine;
mod overview;
mod page;
mod timeline;
mod twins;

use super::data::{Content, ExecutionItem};
use super::keys::Action;
use super::line::{Line, Tone};
use super::screen::{MachineRef, Stop, Subject, View};
use super::table::Table;
use super::ui::Ui;
use super::view::{Area, BodyLine, Scroll, view};
use crate::safe::{Command, plain};
use analyzer::execution::Execution;

/// What a view does with an action of its own.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Stay,
    Go(Box<Stop>),
    Load,
    /// What is folded or opened has changed.
    LayOut,
    Simulate,
}

/// What is shown, for an export: the frame as text, and the whole table behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    pub view: &'static str,
    pub machine: Option<String>,
    pub answer: String,
    pub text: String,
    /// Titles, and whether numbers stand below.
    pub columns: Vec<(String, bool)>,
    pub rows: Vec<Vec<String>>,
}

/// One view.
trait Panel {
    /// What it is for, in a few lines.
    fn about(&self) -> &'static [&'static str];
    fn answer(&self, ui: &Ui) -> Line;
    fn body(&self, ui: &Ui, area: Area) -> Vec<BodyLine>;
    fn n_rows(&self, ui: &Ui) -> usize;
    /// The keys worth naming, the most important first.
    fn keys(&self) -> &'static [Action];

    /// Does what only this view does; `None` leaves an action to the general rules.
    fn act(&self, _ui: &mut Ui, _action: Action) -> Option<Step> {
        None
    }

    /// What the list can be sorted by; the first is its own order.
    fn orders(&self) -> &'static [&'static str] {
        &[]
    }

    /// What stays under the cursor when the list changes.
    fn key(&self, _ui: &Ui, _row: usize) -> Option<String> {
        None
    }

    fn machine(&self, _ui: &Ui, _row: usize) -> Option<MachineRef> {
        None
    }

    /// A letter, what it copies, and the text.
    fn copies(&self, ui: &Ui) -> Vec<(char, String, String)> {
        machine_copies(ui.stop().machine.as_ref())
    }

    /// All of what is shown, as a table.
    fn table(&self, ui: &Ui) -> Table;

    /// What lies over the view when something is opened in it.
    fn detail(&self, _ui: &Ui) -> Option<Scroll> {
        None
    }
}

fn panel(view: View) -> &'static dyn Panel {
    match view {
        View::Overview => &overview::Overview,
        View::Executions => &executions::Executions,
        View::Timeline => &timeline::Timeline,
        View::Machine => &machine::Machine,
        View::Bottlenecks => &bottlenecks::Bottlenecks,
        View::Cost => &cost::Cost,
        View::Incident => &incident::Incident,
        View::Twins => &twins::Twins,
        View::Collector | View::Report => &page::Report,
    }
}

fn own(ui: &Ui) -> &'static dyn Panel {
    panel(ui.stop().view)
}

pub(super) fn about(view: View) -> &'static [&'static str] {
    panel(view).about()
}

pub(super) fn answer(ui: &Ui) -> Line {
    own(ui).answer(ui)
}

pub(super) fn body(ui: &Ui, area: Area) -> Vec<BodyLine> {
    if ui.stop().content.is_none() { Vec::new() } else { own(ui).body(ui, area) }
}

pub(super) fn n_rows(ui: &Ui) -> usize {
    own(ui).n_rows(ui)
}

pub(super) fn keys(ui: &Ui) -> &'static [Action] {
    own(ui).keys()
}

pub(super) fn act(ui: &mut Ui, action: Action) -> Option<Step> {
    if ui.stop().content.is_none() { None } else { own(ui).act(ui, action) }
}

pub(super) fn orders(stop: &Stop) -> &'static [&'static str] {
    panel(stop.view).orders()
}

pub(super) fn key_under_cursor(ui: &Ui) -> Option<String> {
    own(ui).key(ui, ui.stop().row)
}

pub(super) fn row_of_key(ui: &Ui, key: &str) -> Option<usize> {
    (0..n_rows(ui)).find(|row| own(ui).key(ui, *row).as_deref() == Some(key))
}

pub(super) fn machine_under_cursor(ui: &Ui) -> Option<MachineRef> {
    own(ui).machine(ui, ui.stop().row)
}

/// The machine that a view is about: its own, or that of the execution that is open.
pub(super) fn machine(ui: &Ui) -> Option<MachineRef> {
    let stop = ui.stop();
    let of_run = |it: &Execution| MachineRef { arn: it.machine_arn.to_string(), name: it.machine.to_string() };
    let of_content = || match &stop.content {
        Some(Content::Run(it)) => Some(of_run(&it.run.execution)),
        Some(Content::Twins(it)) => Some(of_run(&it.0.run.execution)),
        _ => None,
    };
    stop.machine.clone().or_else(of_content)
}

pub(super) fn copies(ui: &Ui) -> Vec<(char, String, String)> {
    own(ui).copies(ui)
}

pub(super) fn detail(ui: &Ui) -> Option<Scroll> {
    own(ui).detail(ui)
}

pub(super) fn click_chart(ui: &mut Ui, area: Area, column: u16, line: u16) -> bool {
    ui.stop().view == View::Incident && incident::click(ui, area, column, line)
}

pub(super) fn drag_chart(ui: &mut Ui, area: Area, column: u16, line: u16) {
    if ui.stop().view == View::Incident {
        incident::drag(ui, area, column, line);
    }
}

/// Whether the mouse has drawn a range that can be compared with another; drawing ends now.
pub(super) fn has_drawn_ranges(ui: &mut Ui) -> bool {
    let stop = ui.stop_mut();
    if stop.view != View::Incident {
        return false;
    }
    stop.begun = None;
    std::mem::take(&mut stop.is_dragging) && stop.baseline.is_some() && stop.incident.is_some()
}

/// Everything that an export may need.
pub(super) fn shown(ui: &Ui) -> Shown {
    let vm = view(ui);
    let lines = [&vm.title, &vm.tabs].into_iter().chain(&vm.answer).chain(&vm.body);
    let text: Vec<String> = lines.map(|it| it.text().trim_end().to_owned()).collect();
    let table = own(ui).table(ui);
    Shown {
        view: ui.stop().view.as_str(),
        machine: ui.stop().machine.as_ref().map(|it| it.arn.clone()),
        answer: vm.answer.iter().map(|it| it.text().trim().to_owned()).collect::<Vec<_>>().join("   "),
        text: text.join("\n") + "\n",
        columns: table.columns.iter().map(|it| (it.title.clone(), it.is_number)).collect(),
        rows: table.rows.iter().map(|row| row.iter().map(|it| it.text.clone()).collect()).collect(),
    }
}

/// What a key does, in a word or two for the last line.
pub(super) fn short_help(action: Action) -> &'static str {
    match action {
        Action::Left => "less",
        Action::Right => "more",
        Action::Executions => "executions",
        Action::Machine => "definition",
        Action::Bottlenecks => "bottlenecks",
        Action::Cost => "cost",
        Action::Incident => "incident",
        Action::Range => "time",
        Action::Sort => "sort",
        Action::Mark => "mark",
        Action::CompareMarked => "compare",
        Action::Fold => "fold",
        Action::ZoomIn => "zoom",
        Action::Traces => "X-Ray",
        Action::Twin => "twin",
        Action::Heat => "heat",
        Action::NoBackoff => "no back-off",
        Action::NoRetries => "no retries",
        Action::MoreSlots => "slots",
        Action::Reset => "reset",
        Action::MarkBaseline => "baseline",
        Action::MarkIncident => "incident range",
        Action::NextChange => "next change",
        Action::AllCauses => "all",
        Action::CompareExample => "beside twin",
        Action::NextMachine => "next machine",
        Action::Export => "export",
        other => other.help(),
    }
}

// ---- what several views share ---------------------------------------------------------------------------------------

fn machine_copies(machine: Option<&MachineRef>) -> Vec<(char, String, String)> {
    let Some(machine) = machine else { return Vec::new() };
    let region = machine.arn.split(':').nth(3).unwrap_or_default();
    let mut copies = vec![('a', format!("ARN of {}", machine.name), plain(&machine.arn))];
    if is_region(region) {
        let url = format!(
            "https://{region}.console.aws.amazon.com/states/home?region={region}#/statemachines/view/{}",
            encoded(&machine.arn)
        );
        copies.push(('u', "console URL of the machine".to_owned(), url));
    }
    copies
}

fn execution_copies(arn: &str) -> Vec<(char, String, String)> {
    let region = arn.split(':').nth(3).unwrap_or_default();
    let mut copies = vec![
        ('a', "ARN of the execution".to_owned(), plain(arn)),
        ('s', "command that shows it".to_owned(), Command::new("stepscope show").argument(arn).to_string()),
        (
            'h',
            "command that gets its history".to_owned(),
            Command::new("aws stepfunctions get-execution-history").option("--execution-arn", arn).to_string(),
        ),
    ];
    if is_region(region) {
        let page = if arn.contains(":express:") { "express-executions/details" } else { "v2/executions/details" };
        let url =
            format!("https://{region}.console.aws.amazon.com/states/home?region={region}#/{page}/{}", encoded(arn));
        copies.insert(1, ('u', "console URL of the execution".to_owned(), url));
    }
    copies
}

/// Whether an address may be made of it: what is imported says anything.
fn is_region(text: &str) -> bool {
    !text.is_empty()
        && text != "local"
        && text.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-')
}

/// What may stand in the last part of a URL; everything else as its bytes.
fn encoded(text: &str) -> String {
    let is_kept = |it: u8| it.is_ascii_alphanumeric() || b"-_.~:/".contains(&it);
    text.bytes().map(|it| if is_kept(it) { char::from(it).to_string() } else { format!("%{it:02X}") }).collect()
}

fn timeline_of(it: &ExecutionItem) -> Step {
    let machine = Some(it.machine.clone()).filter(|it| !it.arn.is_empty());
    Step::Go(Box::new(Stop::new(View::Timeline, machine, Subject::Execution(it.arn.clone()))))
}

fn toned_status(status: analyzer::model::Status) -> Tone {
    use analyzer::model::Status;
    match status {
        Status::Succeeded => Tone::Plain,
        Status::Running | Status::PendingRedrive => Tone::Accent,
        Status::Failed | Status::TimedOut | Status::Aborted => Tone::Bad,
    }
}

fn money(it: Option<analyzer::model::Usd>) -> String {
    it.map_or_else(|| "–".to_owned(), crate::text::usd)
}

/// A month with its interval, as `118 ±6` where the interval is even about it.
fn month(usd: analyzer::model::Usd, interval: Option<(analyzer::model::Usd, analyzer::model::Usd)>) -> String {
    let usd_text = crate::text::usd(usd);
    match interval {
        None => format!("{usd_text} ?"),
        Some((low, high)) => {
            let half = (high.as_f64() - low.as_f64()) / 2.0;
            if half < 0.005 { usd_text } else { format!("{usd_text} ±{half:.2}") }
        }
    }
}
