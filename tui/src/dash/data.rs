//! What was loaded: everything that a view needs, as values.

use std::sync::Arc;

use analyzer::asl::StateMachine;
use analyzer::execution::Run;
use analyzer::failure_rate::FailureRate;
use analyzer::model::{Micros, StateType, Status, Timestamp, Usd};
use analyzer::outcome::Distribution;
use analyzer::population::Findings;
use analyzer::timeline::Split;
use analyzer::traces::{Joined, Trace};

use super::report::Page;
use super::screen::{MachineRef, View};

/// Executions that a list holds at most: the newest.
pub const LISTED: usize = 5_000;

/// What a view shows.
#[derive(Clone, Debug)]
pub enum Content {
    Overview(Arc<Overview>),
    Executions(Arc<Executions>),
    Run(Arc<OpenedRun>),
    Twins(Arc<(OpenedRun, OpenedRun)>),
    Study(Arc<Study>),
    Cost(Arc<CostStudy>),
    Incident(Arc<Incident>),
    Page(Arc<Page>),
}

/// All machines.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    pub machines: Vec<MachineItem>,
    /// How collecting goes, in sentences.
    pub collector: Vec<String>,
    /// When the newest execution started, whatever the range.
    pub newest: Option<Timestamp>,
    /// The spans of time of the small charts.
    pub span: Option<Micros>,
}

/// One machine as the overview needs it.
#[derive(Clone, Debug, Default)]
pub struct MachineItem {
    pub arn: String,
    pub name: String,
    pub account: String,
    pub region: String,
    pub workflow_type: &'static str,
    pub executions: u64,
    pub running: u64,
    pub failed: u64,
    pub closed: u64,
    pub failure_rate: FailureRate,
    pub complete: u64,
    /// Executions that are known in full, and those that there were, where CloudWatch has counted them.
    pub counted: Option<(u64, u64)>,
    pub p50: Option<Micros>,
    pub p95: Option<Micros>,
    /// Executions that started in the last hour.
    pub last_hour: u64,
    /// The 95th percentile over equal spans of the range; `None` where nothing ran.
    pub trend: Vec<Option<Micros>>,
    /// Executions that started in each of these spans.
    pub starts: Vec<u64>,
}

/// What needs a look, and where to look.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    pub kind: LookKind,
    pub machine: MachineRef,
    pub what: String,
    pub detail: String,
    pub view: View,
    /// The two ranges of a change, whose figures these are.
    pub ranges: Option<(Span, Span)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LookKind {
    Failing,
    Slower,
    Stuck,
    Unseen,
    Money,
    /// Something got better.
    Better,
}

/// What takes longer to find than the overview may take.
#[derive(Clone, Debug, Default)]
pub struct Findout {
    pub looks: Vec<Look>,
    pub money: Vec<MoneyItem>,
    /// What was not looked at.
    pub limits: Option<String>,
}

/// What a machine costs.
#[derive(Clone, Debug, Default)]
pub struct MoneyItem {
    pub arn: String,
    /// Net, in the range.
    pub paid: Option<Usd>,
    /// At list price.
    pub per_day: Option<Usd>,
    /// At the rate so far, with the interval where it is known.
    pub month: Option<(Usd, Option<(Usd, Usd)>)>,
}

#[derive(Clone, Debug, Default)]
pub struct Executions {
    pub rows: Vec<ExecutionItem>,
    /// How many there are; `None` where there are more than are listed and nobody has counted them.
    pub of: Option<u64>,
    /// Durations of those that have closed, ascending.
    pub durations: Vec<Micros>,
}

impl Executions {
    pub fn new(rows: Vec<ExecutionItem>, of: Option<u64>) -> Self {
        let mut durations: Vec<Micros> =
            rows.iter().filter(|it| it.status.is_closed()).filter_map(|it| it.duration).collect();
        durations.sort_unstable();
        Self { rows, of, durations }
    }

    /// The percentage of the executions in the list that took at most as long.
    #[expect(clippy::cast_precision_loss, reason = "a percentage")]
    pub fn rank(&self, duration: Micros) -> Option<f64> {
        let below = self.durations.partition_point(|it| *it <= duration);
        (self.durations.len() >= 20).then(|| below as f64 * 100.0 / self.durations.len() as f64)
    }
}

/// One execution as the list needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutionItem {
    pub id: u64,
    pub arn: String,
    pub machine: MachineRef,
    pub name: String,
    pub status: Status,
    pub started_at: Option<Timestamp>,
    pub duration: Option<Micros>,
    /// The states it is in, while it runs.
    pub current: Vec<String>,
    pub transitions: u64,
    pub usd: Option<Usd>,
    pub complete: bool,
    pub error: Option<String>,
    pub version: Option<String>,
}

/// One execution with everything that is stored of it.
#[derive(Clone, Debug)]
pub struct OpenedRun {
    pub run: Run,
    pub traced: Option<(Trace, Joined)>,
    pub usd: Option<Usd>,
    pub parent: Option<String>,
}

impl OpenedRun {
    pub fn traced(&self) -> crate::gantt::Traced<'_> {
        self.traced.as_ref().map(|it| (&it.0, &it.1))
    }
}

/// A machine and how its executions spend their time.
#[derive(Clone, Debug, Default)]
pub struct Study {
    pub definition: Option<StateMachine>,
    /// Slack, gains and ways from a sample of the range, percentiles and shares from all of it.
    pub findings: Findings,
    /// What else they do that costs time or money, in sentences.
    pub patterns: Vec<String>,
    /// Executions that were replayed, and all in the range.
    pub sampled: u64,
    pub of: u64,
    /// Whether there are more than are looked at.
    pub is_cut: bool,
    pub is_of_whole_hours: bool,
    pub is_express: bool,
    /// From all executions.
    pub states: Vec<StateItem>,
    pub versions: Vec<VersionItem>,
}

#[derive(Clone, Debug)]
pub struct StateItem {
    pub state: String,
    pub kind: Option<StateType>,
    pub visits: u64,
    pub failures: u64,
    pub retries: u64,
    pub p50: Option<Micros>,
    pub p95: Option<Micros>,
    pub p99: Option<Micros>,
    pub max: Option<Micros>,
    pub critical: Micros,
    /// The part of all critical paths.
    pub share: f64,
    pub split: Split,
    pub usd: Option<Usd>,
    /// Buckets of durations: the middle of each, and visits.
    pub histogram: Vec<(Micros, u64)>,
}

#[derive(Clone, Debug)]
pub struct VersionItem {
    pub name: String,
    pub executions: u64,
    pub failed: u64,
    pub first_at: Option<Timestamp>,
    pub p50: Option<Micros>,
    pub p95: Option<Micros>,
}

/// What a change does to executions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    pub before: Distribution,
    pub after: Distribution,
    pub usd_before: Option<Usd>,
    pub usd_after: Option<Usd>,
    pub left_out: usize,
}

/// What a machine costs, and what it would cost.
#[derive(Clone, Debug, Default)]
pub struct CostStudy {
    pub prices: String,
    pub assumptions: Vec<String>,
    pub workflow_type: &'static str,
    pub executions: u64,
    pub transitions: u64,
    pub paid: Option<Usd>,
    /// At list price, as are the others below.
    pub standard: Option<Usd>,
    pub express: Option<Usd>,
    pub express_logs: Option<Usd>,
    pub hybrid: Vec<HybridPart>,
    pub is_eligible: Option<bool>,
    pub blockers: Vec<(String, String)>,
    pub risks: Vec<(String, String)>,
    pub waste: Vec<(&'static str, Usd)>,
    /// State, transitions, retries among them, money.
    pub by_state: Vec<(String, u64, u64, Option<Usd>)>,
    /// Day, and what it costs as Standard and as Express, at list price.
    pub by_day: Vec<(String, Option<Usd>, Option<Usd>)>,
    pub month: Option<(Usd, Option<(Usd, Usd)>)>,
    pub saves_a_month: Option<Usd>,
    pub break_even: Option<BreakEven>,
    pub sentences: Vec<String>,
}

/// A part that would be cheaper as an Express child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HybridPart {
    pub states: Vec<String>,
    pub saves: Usd,
    pub saves_between: Option<(Usd, Usd)>,
}

/// Where Standard and Express cost the same, and where the machine is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakEven {
    pub transitions: f64,
    pub duration_s: f64,
    pub own_transitions: f64,
    pub own_duration_s: f64,
}

/// A span of start times.
pub type Span = (Timestamp, Timestamp);

/// A machine over time, and what changed between two ranges.
#[derive(Clone, Debug, Default)]
pub struct Incident {
    pub series: Vec<SeriesItem>,
    pub span: Micros,
    pub changes: Vec<ChangeItem>,
    /// What was deployed, and when: marks, versions, definitions.
    pub deployments: Vec<(Timestamp, String)>,
    pub ranges: Option<(Span, Span)>,
    pub compared: Option<Compared>,
    /// Why there is no comparison.
    pub why_not: Option<String>,
}

#[derive(Clone, Copy, Debug)]
pub struct SeriesItem {
    pub from: Timestamp,
    pub executions: u64,
    pub failed: u64,
    pub p50: Micros,
    pub p95: Micros,
}

#[derive(Clone, Debug)]
pub struct ChangeItem {
    pub metric: &'static str,
    pub at: Timestamp,
    pub before: f64,
    pub after: f64,
    pub p_value: f64,
    pub ranges: (Span, Span),
}

#[derive(Clone, Debug, Default)]
pub struct Compared {
    pub answer: String,
    pub causes: Vec<CauseItem>,
    pub notes: Vec<String>,
    /// The command that gives the same.
    pub command: String,
}

#[derive(Clone, Debug, Default)]
pub struct CauseItem {
    pub state: String,
    pub what: String,
    pub contribution: String,
    pub share: f64,
    pub interval: String,
    pub q: String,
    pub since: String,
    pub is_significant: bool,
    pub examples: Vec<String>,
}
