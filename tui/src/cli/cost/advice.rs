//! What would be cheaper, what stands against it, and what is wasted?

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use analyzer::asl::StateMachine;
use analyzer::eligibility::{Eligibility, assess};
use analyzer::hybrid::{self, Hybrid, Rates, Region};
use analyzer::model::{Micros, Name, Timestamp, Usd, WorkflowType};
use analyzer::patterns::{Pattern, Patterns};
use analyzer::pricing::{LambdaRates, billed_memory_mb, log_ingestion};
use queries::{ExecutionFilter, MachineMeasures, Observing, Reader, RetriedError, StateTransitions, SubjectSpans};
use serde_json::Value;

use super::express::AsOther;
use super::functions::{FunctionCost, FunctionUse, note_functions};
use super::months::{Month, MonthForecast};
use crate::cli::bill::{BASE_MEMORY, Ledger, MachineCost, Prices, Usage};
use crate::cli::show::for_each_traced_run;
use crate::failure::Failure;

/// Runs of a machine that are looked at one by one, the newest; more are priced in proportion.
const LOOKED_AT: u64 = 50_000;

/// Everything about one machine's bill beyond the amounts.
pub(super) struct Advice {
    pub(super) eligibility: Eligibility,
    pub(super) hybrid: Vec<Part>,
    /// The definition of the parent that calls the parts.
    pub(super) hybrid_parent: Option<Value>,
    pub(super) break_even: Option<BreakEven>,
    pub(super) projection: Option<Month>,
    /// Why there is none.
    pub(super) projection_reason: Option<String>,
    pub(super) forecast: Option<MonthForecast>,
    pub(super) waste: Waste,
    pub(super) observing: ObservingCost,
    pub(super) as_other: AsOther,
    /// Lambda's price of each state's calls, and the service that a function does nothing but call.
    pub(super) functions: BTreeMap<Name, FunctionCost>,
    pub(super) recommendation: Recommendation,
    /// What the recommendation would have saved of what was measured.
    pub(super) saves: Option<Usd>,
    pub(super) saves_per_month: Option<Usd>,
}

/// A part of a Standard machine that would be cheaper as an Express child.
pub(super) struct Part {
    pub(super) region: Region,
    /// Transitions that the parent does not make any more, less those of the calls, at list price.
    pub(super) removed: Usd,
    pub(super) saves: Usd,
    pub(super) saves_between: Option<(Usd, Usd)>,
    pub(super) child: Value,
}

/// Where Standard and Express cost the same, list prices of the first tier, without logs.
pub(super) struct BreakEven {
    /// With the executions' own duration, so many transitions.
    pub(super) transitions: f64,
    /// With the executions' own transitions, so long a duration.
    pub(super) duration_s: f64,
    pub(super) own_transitions: f64,
    pub(super) own_duration_s: f64,
}

#[derive(Default)]
pub(super) struct Waste {
    pub(super) retries: Option<Usd>,
    pub(super) failed: Option<Usd>,
    pub(super) polling: Option<Usd>,
    /// Pass states that hand their input on as it is.
    pub(super) idle_passes: Option<Usd>,
    /// The transitions that redrives bill themselves.
    pub(super) redrives: Option<Usd>,
    pub(super) by_error: Vec<(String, u64, Micros, Option<Usd>)>,
}

/// Amounts that are not Step Functions' own; `None` where nothing was measured or no price is known.
#[derive(Default)]
pub(super) struct ObservingCost {
    pub(super) logs: Option<Usd>,
    pub(super) xray: Option<Usd>,
    pub(super) lambda: Option<Usd>,
}

/// What logging every event would cost an Express machine, whose timelines are in its logs alone.
#[derive(Clone, Copy)]
pub(crate) struct ExpressLogs {
    pub(crate) usd: Usd,
    pub(crate) is_measured: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Recommendation {
    Stay,
    MoveToExpress,
    MoveToStandard,
    MoveParts,
    Unknown,
}

impl Recommendation {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Stay => "stay",
            Self::MoveToExpress => "move_to_express",
            Self::MoveToStandard => "move_to_standard",
            Self::MoveParts => "move_parts_to_express",
            Self::Unknown => "unknown",
        }
    }
}

/// What a walk over the runs found.
#[derive(Default)]
struct Looked {
    patterns: Vec<Pattern>,
    /// Parts to move, and the parent's definition without them.
    parts: Vec<Part>,
    parent: Option<Value>,
    functions: BTreeMap<Name, FunctionUse>,
}

/// Usage by the time that it is of.
pub(super) type Usages = BTreeMap<(Timestamp, Timestamp), Rc<Vec<Usage>>>;

/// What all machines' advice is made from.
pub(super) struct Adviser<'a> {
    pub(super) ledger: &'a Ledger<'a>,
    pub(super) reader: &'a Reader,
    pub(super) prices: &'a Prices,
    /// Every machine of the accounts.
    pub(super) all: &'a [MachineCost],
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    pub(super) measures: BTreeMap<String, MachineMeasures>,
    pub(super) all_types: BTreeMap<String, WorkflowType>,
    retried: Vec<RetriedError>,
    pub(super) states: Vec<StateTransitions>,
    observing: Vec<Observing>,
    /// What was collected, by source and subject.
    pub(super) collected: BTreeMap<(String, String), SubjectSpans>,
    /// Usage of the times that projections rest on.
    pub(super) usages: RefCell<Usages>,
    /// By calendar day.
    pub(super) calendar: Vec<Usage>,
    pub(super) end: Option<Timestamp>,
}

/// Where what is known ends: a range that reaches beyond what is stored says nothing about the time after it.
pub(super) fn end(all: &[MachineCost], until: Option<Timestamp>) -> Option<Timestamp> {
    let last = all.iter().filter_map(|it| it.machine.last_at).max().map(|it| it + Micros(1));
    last.map(|last| until.map_or(last, |until| until.min(last)))
}

impl<'a> Adviser<'a> {
    pub(super) fn new(ledger: &'a Ledger<'a>, all: &'a [MachineCost]) -> Result<Self, Failure> {
        let (reader, prices, (since, until)) = (ledger.reader, ledger.prices, ledger.range());
        let end = end(all, until);
        Ok(Self {
            ledger,
            reader,
            prices,
            all,
            since,
            until,
            all_types: all.iter().map(|it| (it.machine.arn.clone(), it.machine.workflow_type)).collect(),
            measures: reader.measures(since, until)?.into_iter().collect(),
            retried: reader.retried_errors(since, until)?,
            states: ledger.states()?,
            observing: reader.observing(since, until)?,
            collected: reader.collected_spans()?.into_iter().collect(),
            usages: RefCell::default(),
            calendar: ledger.calendar()?,
            end,
        })
    }

    /// Looks at one machine.
    pub(super) fn advise(&self, it: &MachineCost) -> Result<Advice, Failure> {
        let arn = &it.machine.arn;
        let measures = self.measures.get(arn).cloned().unwrap_or_default();
        let texts = self.reader.definitions(arn)?;
        let definition = texts.first().and_then(|it| StateMachine::parse(it).ok());
        let eligibility = self.eligibility(it, definition.as_ref());
        let looked = self.look(it, definition.as_ref())?;
        let projection = self.project(it)?;
        let observing = self.observing_cost(it);
        let mut advice = Advice {
            hybrid: looked.parts,
            hybrid_parent: looked.parent,
            break_even: self.break_even(it),
            waste: self.waste(it, &measures, &looked.patterns, definition.as_ref()),
            projection_reason: self.basis(it).err().map(|why| why.to_string()),
            projection,
            functions: functions_of(looked.functions, self.prices.book().lambda(&it.region)),
            as_other: self.as_other(
                it,
                eligibility.eligible == Some(false) && it.machine.workflow_type == WorkflowType::Standard,
            )?,
            forecast: self.forecast(it),
            observing,
            eligibility,
            recommendation: Recommendation::Unknown,
            saves: None,
            saves_per_month: None,
        };
        self.recommend(it, &mut advice)?;
        Ok(advice)
    }

    /// One walk over the machine's runs: habits, and what its parts would cost as children.
    fn look(&self, it: &MachineCost, definition: Option<&StateMachine>) -> Result<Looked, Failure> {
        let filter = ExecutionFilter {
            machine_arn: Some(it.machine.arn.as_str().into()),
            since: self.since,
            until: self.until,
            limit: Some(LOOKED_AT),
            ..ExecutionFilter::default()
        };
        let rates = self.rates(it).filter(|_| it.machine.workflow_type == WorkflowType::Standard);
        let mut hybrid = definition.zip(rates).map(|(machine, rates)| Hybrid::new(machine, rates));
        let mut patterns = Patterns::default();
        let mut functions: BTreeMap<Name, FunctionUse> = BTreeMap::new();
        for_each_traced_run(self.reader, &self.reader.executions(&filter)?, |_, run, traced| {
            patterns.add(run);
            note_functions(run, traced, self.prices, &mut functions);
            if let Some(hybrid) = &mut hybrid {
                hybrid.add(run);
            }
            Ok(())
        })?;
        let looked = Looked { patterns: patterns.finish(), functions, ..Looked::default() };
        let (Some(hybrid), Some(machine), Some(rates)) = (hybrid, definition, rates) else {
            return Ok(looked);
        };
        let best = hybrid.best();
        if best.is_empty() {
            return Ok(looked);
        }
        let (parent, children) = hybrid::split(machine, &best);
        let n_complete = it.machine.complete.max(1);
        let part = |region: Region| {
            let child =
                children.iter().find(|child| child.0 == region.entry).map_or(Value::Null, |child| child.1.clone());
            let of_all = |it: Usd| it.scaled(n_complete.into(), hybrid.runs().max(1).into());
            let saves = of_all(region.saves(&rates));
            let saves_between = region.saves_between(&rates).map(|(low, high)| (of_all(low), of_all(high)));
            let removed = of_all(rates.per_transition * region.transitions.saturating_sub(2 * region.calls));
            Part { region, removed, saves, saves_between, child }
        };
        let parts = best.iter().cloned().map(part).collect();
        Ok(Looked { parts, parent: Some(parent), ..looked })
    }

    fn rates(&self, it: &MachineCost) -> Option<Rates> {
        let express = self.prices.book().express(&it.region)?;
        Some(Rates {
            per_transition: self.prices.book().standard(&it.region)?.per_transition,
            per_request: express.per_request,
            per_gb_second: express.tiers.first()?.1,
            memory_mb: it.memory_mb.unwrap_or_else(|| billed_memory_mb(BASE_MEMORY)),
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "averages for people")]
    fn break_even(&self, it: &MachineCost) -> Option<BreakEven> {
        let rates = self.rates(it)?;
        let timed = it.usage.requests.max(1) as f64;
        let gb_s = it.usage.memory_time.as_gb_seconds() / timed;
        let gb = rates.memory_mb as f64 / 1_024.0;
        let (transition, request, gb_second) =
            (rates.per_transition.as_f64(), rates.per_request.as_f64(), rates.per_gb_second.as_f64());
        let own_transitions = it.transitions as f64 / it.machine.executions.max(1) as f64;
        (it.usage.requests > 0).then(|| BreakEven {
            transitions: (request + gb_s * gb_second) / transition,
            duration_s: ((own_transitions * transition - request) / (gb * gb_second)).max(0.0),
            own_transitions,
            own_duration_s: gb_s / gb,
        })
    }

    fn waste(
        &self,
        it: &MachineCost,
        measures: &MachineMeasures,
        patterns: &[Pattern],
        definition: Option<&StateMachine>,
    ) -> Waste {
        // Of an Express execution nothing is billed by the transition: retries show in its duration.
        let is_standard = it.machine.workflow_type == WorkflowType::Standard;
        let rate = self.prices.book().standard(&it.region).filter(|_| is_standard).map(|it| it.per_transition);
        let arn = it.machine.arn.as_str();
        let own: Vec<&RetriedError> = self.retried.iter().filter(|row| row.machine_arn == it.machine.arn).collect();
        let polling: u64 = patterns
            .iter()
            .map(|it| if let Pattern::PollingLoop { transitions, .. } = it { *transitions } else { 0 })
            .sum();
        let idle = definition.map(|it| {
            let idle = it.idle_passes();
            let own =
                self.states.iter().filter(|row| row.machine_arn == arn && idle.iter().any(|it| **it == row.state));
            own.map(|it| it.transitions).sum::<u64>()
        });
        Waste {
            idle_passes: rate.zip(idle).map(|(rate, idle)| rate * idle),
            redrives: rate.map(|rate| rate * measures.redrives),
            retries: rate.map(|rate| rate * own.iter().map(|it| it.retries).sum::<u64>()),
            failed: rate.map(|rate| rate * measures.failed_transitions),
            polling: rate.map(|rate| rate * polling),
            by_error: own
                .iter()
                .map(|it| (it.error.clone(), it.retries, it.backoff, rate.map(|rate| rate * it.retries)))
                .collect(),
        }
    }

    /// What the type of a machine stands against.
    fn eligibility(&self, it: &MachineCost, definition: Option<&StateMachine>) -> Eligibility {
        let measures = self.measures.get(&it.machine.arn).cloned().unwrap_or_default();
        let mut eligibility = assess(definition, &measures.measured);
        let is_said_repeatable = |state: &Name| self.prices.is_repeatable(&it.machine.name, state);
        eligibility.risks.retain(|risk| !risk.state.as_ref().is_some_and(is_said_repeatable));
        eligibility
    }

    /// A machine as the other type, without all the rest of the advice.
    pub(super) fn as_other_alone(&self, it: &MachineCost) -> Result<AsOther, Failure> {
        let texts = self.reader.definitions(&it.machine.arn)?;
        let definition = texts.first().and_then(|it| StateMachine::parse(it).ok());
        let eligible = self.eligibility(it, definition.as_ref()).eligible;
        self.as_other(it, eligible == Some(false) && it.machine.workflow_type == WorkflowType::Standard)
    }

    pub(super) fn observing_cost(&self, it: &MachineCost) -> ObservingCost {
        let own: Vec<&Observing> = self.observing.iter().filter(|row| row.machine_arn == it.machine.arn).collect();
        let log_bytes: u64 = own.iter().map(|it| it.log_bytes).sum();
        let book = self.prices.book();
        let logs = book.logs(&it.region).filter(|_| log_bytes > 0);
        let traces = own.iter().filter_map(|it| it.traces).reduce(|a, b| a + b);
        let xray = traces.zip(book.xray(&it.region)).map(|(traces, rates)| rates.per_trace * traces);
        let calls = own.iter().filter_map(|it| it.invocations).reduce(|a, b| a + b);
        let lambda = calls.zip(book.lambda(&it.region)).map(|(calls, rates)| {
            let mb_ms: u64 = own.iter().filter_map(|it| it.mb_ms).sum();
            rates.per_request * calls + rates.per_gb_second.scaled(mb_ms.into(), 1_024_000)
        });
        ObservingCost {
            logs: logs.map(|rates| own.iter().map(|it| log_ingestion(it.log_bytes, rates)).sum()),
            xray,
            lambda,
        }
    }

    fn recommend(&self, it: &MachineCost, advice: &mut Advice) -> Result<(), Failure> {
        let (Some(_), Some(_), Some(whole)) = (it.standard, it.express, advice.as_other.saves) else { return Ok(()) };
        let (Some(paid), Some(list)) = (it.actual, it.list) else { return Ok(()) };
        let parts: Usd = advice.hybrid.iter().map(|it| it.saves).sum();
        // Which way is better is a matter of list prices. What it saves is not: transitions that the free tier covers are not paid.
        let is_whole_better = whole + (list - paid) >= parts;
        let removed: Usd = advice.hybrid.iter().map(|it| it.removed).sum();
        let parts = parts - (removed - paid).max(Usd::ZERO);
        let (recommendation, saves) = match it.machine.workflow_type {
            WorkflowType::Express if whole > Usd::ZERO => (Recommendation::MoveToStandard, whole),
            WorkflowType::Express => (Recommendation::Stay, Usd::ZERO),
            WorkflowType::Standard
                if advice.eligibility.eligible == Some(true) && whole > Usd::ZERO && is_whole_better =>
            {
                (Recommendation::MoveToExpress, whole)
            }
            WorkflowType::Standard if parts > Usd::ZERO => (Recommendation::MoveParts, parts),
            WorkflowType::Standard if advice.eligibility.eligible.is_some() => (Recommendation::Stay, Usd::ZERO),
            WorkflowType::Standard => return Ok(()),
        };
        (advice.recommendation, advice.saves) = (recommendation, Some(saves));
        advice.saves_per_month = match self.change(it, advice) {
            Some(change) => self.saves_a_month(&[(it, change)])?,
            None => self.monthly(it, Usd::ZERO),
        };
        // Of a part of a month more may be free than of the whole.
        if advice.saves_per_month.is_some_and(|it| it <= Usd::ZERO) && saves > Usd::ZERO {
            advice.recommendation = Recommendation::Stay;
            (advice.saves, advice.saves_per_month) = (Some(Usd::ZERO), Some(Usd::ZERO));
        }
        Ok(())
    }
}

fn functions_of(used: BTreeMap<Name, FunctionUse>, rates: Option<LambdaRates>) -> BTreeMap<Name, FunctionCost> {
    used.into_iter().map(|(state, used)| (state, used.cost(rates))).collect()
}

/// How the parent calls the child that a part becomes.
pub(super) fn call_form(entry: &Name) -> String {
    format!("arn:aws:states:::aws-sdk:sfn:startSyncExecution with ${{{}}}", hybrid::child_parameter(entry))
}
