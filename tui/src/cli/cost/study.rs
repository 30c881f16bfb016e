//! The bill as the dashboard shows it: of all machines in a line each, and of one in full.

use analyzer::eligibility::Finding;
use analyzer::model::{Micros, Timestamp, Usd, WorkflowType};
use queries::{MachineRow, Reader};
use tui::dash::{BreakEven, CostStudy, HybridPart};
use tui::text;

use super::advice::{Advice, Adviser, Part, Recommendation, Waste};
use super::{assumptions, left_out, sentences};
use crate::cli::bill::{Ledger, MachineCost, Prices, costs_of, paid_of};
use crate::failure::Failure;

const DAY: i64 = 86_400_000_000;

/// What a machine costs, in a line.
pub(crate) struct Spending {
    pub(crate) cost: MachineCost,
    pub(crate) per_day: Option<Usd>,
    pub(crate) month: Option<(Usd, Option<(Usd, Usd)>)>,
    /// What could be saved in a month, and how.
    pub(crate) saving: Option<(Usd, String)>,
}

/// What every machine costs. Only where `has_advice` it is also looked for what could be saved, run by run.
pub(crate) fn spending(
    reader: &Reader,
    prices: &Prices,
    machines: Vec<MachineRow>,
    (since, until): (Option<Timestamp>, Option<Timestamp>),
    now: Timestamp,
    has_advice: bool,
) -> Result<Vec<Spending>, Failure> {
    let ledger = Ledger::of_starts(reader, prices, (since, until))?;
    // What the other type would cost is asked for only where something is to be saved.
    let everything = if has_advice { costs_of(&ledger, machines)? } else { paid_of(&ledger, machines)? };
    let adviser = Adviser::new(&ledger, &everything)?;
    let mut found = Vec::with_capacity(everything.len());
    for it in &everything {
        let saving = if has_advice { saving(&adviser.advise(it)?) } else { None };
        let month = adviser.project(it)?.map(|it| (it.usd, it.interval));
        let per_day = adviser.basis(it).ok().and_then(|_| per_day(it, since, until, now));
        found.push((per_day, month, saving));
    }
    let whole = |(cost, (per_day, month, saving))| Spending { cost, per_day, month, saving };
    Ok(everything.into_iter().zip(found).map(whole).collect())
}

pub(super) fn saving(advice: &Advice) -> Option<(Usd, String)> {
    // Less than a cent a month is nothing to do anything for.
    let usd = advice.saves_per_month.filter(|it| *it >= text::CENT)?;
    let risks = match advice.eligibility.risks.len() {
        0 => String::new(),
        1 => ", 1 risk".to_owned(),
        n => format!(", {n} risks"),
    };
    let how = match advice.recommendation {
        Recommendation::MoveToExpress => format!("as Express, logs counted{risks}"),
        Recommendation::MoveToStandard => "as Standard, logs counted".to_owned(),
        Recommendation::MoveParts => format!("{} part(s) as Express children", advice.hybrid.len()),
        Recommendation::Stay | Recommendation::Unknown => return None,
    };
    Some((usd, how))
}

/// The list price, by the days of the range; of all time, by the days from the first to the last execution.
fn per_day(it: &MachineCost, since: Option<Timestamp>, until: Option<Timestamp>, now: Timestamp) -> Option<Usd> {
    let last = if since.is_some() { until.unwrap_or(now) } else { it.machine.last_at? };
    let span = (last - since.map_or(it.machine.first_at, Some)?).0;
    // Less than an hour says nothing about a day.
    (span >= DAY / 24).then(|| Some(it.list?.scaled(DAY.cast_unsigned().into(), span.cast_unsigned().into())))?
}

/// One machine's bill in full.
pub(crate) fn study(
    reader: &Reader,
    prices: &Prices,
    machine_arn: &str,
    (since, until): (Option<Timestamp>, Option<Timestamp>),
) -> Result<CostStudy, Failure> {
    let ledger = Ledger::of_starts(reader, prices, (since, until))?;
    let mut everything = costs_of(&ledger, reader.machines(since, until)?)?;
    let adviser = Adviser::new(&ledger, &everything)?;
    let Some(place) = everything.iter().position(|it| it.machine.arn == machine_arn) else {
        return Ok(CostStudy::default());
    };
    let advice = adviser.advise(&everything[place])?;
    let by_state = by_state(&everything[place], &adviser);
    let by_day = by_day(&everything[place], &adviser);
    let all = [(everything.swap_remove(place), advice)];
    let (it, advice) = &all[0];
    let name = format!("{}: ", it.machine.name);
    let said = sentences(it, advice).into_iter().chain(left_out(&all));
    // Blockers, waste and the month have places of their own.
    let is_shown = |text: &String| {
        !text.contains(": cannot be Express.")
            && !text.ends_with(", at list price.")
            && !text.contains(" a month at this rate (")
    };
    Ok(CostStudy {
        prices: format!("prices of {}", prices.book().as_of),
        assumptions: assumptions(&all, prices),
        workflow_type: it.machine.workflow_type.as_str(),
        executions: it.machine.executions,
        transitions: it.transitions,
        paid: it.actual,
        standard: it.standard.map(|it| it.gross),
        express: it.express.map(|it| it.total()),
        express_logs: advice.as_other.logs.map(|it| it.usd),
        hybrid: advice.hybrid.iter().map(hybrid_part).collect(),
        is_eligible: advice.eligibility.eligible,
        blockers: advice.eligibility.blockers.iter().map(finding).collect(),
        risks: advice.eligibility.risks.iter().map(finding).collect(),
        waste: waste(&advice.waste),
        by_state,
        by_day,
        month: advice.projection.as_ref().map(|it| (it.usd, it.interval)),
        saves_a_month: advice.saves_per_month,
        break_even: advice.break_even.as_ref().map(|it| BreakEven {
            transitions: it.transitions,
            duration_s: it.duration_s,
            own_transitions: it.own_transitions,
            own_duration_s: it.own_duration_s,
        }),
        sentences: said.filter(is_shown).map(|it| it.strip_prefix(&name).unwrap_or(&it).to_owned()).collect(),
    })
}

fn hybrid_part(it: &Part) -> HybridPart {
    let states = it.region.states.iter().map(ToString::to_string).collect();
    HybridPart { states, saves: it.saves, saves_between: it.saves_between }
}

fn finding(it: &Finding) -> (String, String) {
    (it.state.as_deref().unwrap_or_default().to_owned(), it.detail.clone())
}

fn waste(it: &Waste) -> Vec<(&'static str, Usd)> {
    let Waste { retries, failed, polling, idle_passes, redrives, .. } = it;
    let kinds = [
        ("retries", retries),
        ("failed runs", failed),
        ("polling", polling),
        ("idle Pass states", idle_passes),
        ("redrives", redrives),
    ];
    let wasted = kinds.into_iter().filter_map(|(what, usd)| Some((what, (*usd).filter(|it| *it > Usd::ZERO)?)));
    let mut wasted: Vec<(&'static str, Usd)> = wasted.collect();
    wasted.sort_by_key(|it| std::cmp::Reverse(it.1));
    wasted
}

/// Transitions of each state at list price; of an Express machine its cost, shared by time on the path.
fn by_state(it: &MachineCost, adviser: &Adviser<'_>) -> Vec<(String, u64, u64, Option<Usd>)> {
    let own: Vec<_> = adviser.states.iter().filter(|state| state.machine_arn == it.machine.arn).collect();
    let path: Micros = own.iter().map(|it| it.critical).sum();
    let price = |state: &queries::StateTransitions| match it.machine.workflow_type {
        WorkflowType::Standard => adviser.prices.transitions(&it.machine.arn, state.transitions),
        WorkflowType::Express => it.actual.filter(|_| path > Micros::ZERO).map(|paid| {
            paid.scaled(u128::from(state.critical.0.max(0).unsigned_abs()), u128::from(path.0.unsigned_abs()))
        }),
    };
    let mut states: Vec<_> = own.iter().map(|it| (it.state.clone(), it.transitions, it.retries, price(it))).collect();
    states.sort_by_key(|it| std::cmp::Reverse((it.3, it.1)));
    states
}

fn by_day(it: &MachineCost, adviser: &Adviser<'_>) -> Vec<(String, Option<Usd>, Option<Usd>)> {
    let own = adviser.calendar.iter().filter(|row| row.machine_arn == it.machine.arn);
    own.filter_map(|row| {
        let price = |as_type| adviser.list_price_as(it, row, as_type);
        Some((row.key.clone()?, price(WorkflowType::Standard), price(WorkflowType::Express)))
    })
    .collect()
}
