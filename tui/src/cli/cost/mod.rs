//! `cost`: what was billed, and what Standard and Express would cost for the very same executions.

use std::path::PathBuf;

use analyzer::model::{Name, Timestamp, Usd, WorkflowType};
use analyzer::projection::{Basis, TooLittle};
use clap::{Args, Subcommand};
use queries::{Calibration, Reader};
use serde_json::{Map, Value, json};
use tui::text;

use super::bill::{
    Ledger, MachineCost, MemorySource, Prices, costs_of, free_tier_fields, free_tier_note, number, period,
};
use super::{Context, Range, select};
use crate::Outcome;
use crate::cli::coverage::Coverage;
use crate::failure::{EXIT_THRESHOLD, Failure};
use crate::report::{Report, TextTable};

mod advice;
mod express;
mod functions;
mod groups;
mod json;
mod months;
pub(crate) mod outlook;
mod period;
mod reconcile;
mod savings;
mod study;
mod threshold;

use advice::{Advice, Adviser, Recommendation, Waste};
use functions::Glue;
use groups::{Group, GroupBy};
use months::{Month, MonthForecast};
use threshold::Threshold;

pub(crate) use express::AsOther;
pub(crate) use period::{MachinePeriod, Months, Outlook, paid_in, paid_in_with_outlook};
pub(crate) use study::{Spending, spending, study};

/// What an execution type that a machine does not have would cost, for the tables: with logs at level ALL, and whether it is possible.
pub(crate) fn as_express(it: &AsOther) -> String {
    let usd = it.express_with_logs().map_or_else(|| "not known".to_owned(), text::usd);
    if it.is_blocked { format!("{usd} (blocked)") } else { usd }
}

/// Each machine as the type that it is not.
pub(crate) fn as_others(ledger: &Ledger<'_>, all: &[MachineCost]) -> Result<Vec<AsOther>, Failure> {
    let adviser = Adviser::new(ledger, all)?;
    all.iter().map(|it| adviser.as_other_alone(it)).collect()
}

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct CostArguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// A state machine: its ARN, its name, or a unique part of it.
    machine: Option<String>,
    /// Price every transition, also those of the free tier.
    #[arg(long)]
    no_free_tier: bool,
    /// Split what was paid by state, day (of the start), usage-day (of the transition), error, version, path, account, region or tag:KEY.
    #[arg(long, value_name = "WHAT")]
    by: Option<GroupBy>,
    /// End with 3 when an amount of all machines together crosses a threshold, such as 'usd>100'.
    #[arg(long, value_name = "CONDITION")]
    fail_on: Vec<String>,
    /// What the executions would cost with something different: type=express or type=standard.
    #[arg(long, value_name = "type=TYPE")]
    what_if: Option<String>,
    #[command(flatten)]
    range: Range,
}

#[derive(Subcommand)]
enum Action {
    /// Compare a Cost and Usage Report or a FOCUS export of AWS (CSV or Parquet) with what was counted.
    Reconcile {
        file: PathBuf,
        #[command(flatten)]
        range: Range,
    },
}

pub(crate) fn run(context: &Context, arguments: &CostArguments) -> Outcome {
    if let Some(Action::Reconcile { file, range }) = &arguments.action {
        return reconcile::run(context, file, range);
    }
    let thresholds = arguments.fail_on.iter().map(|it| Threshold::parse(it)).collect::<Result<Vec<_>, _>>()?;
    let (report, all, month, saves) = priced(context, arguments)?;
    report.print(context.output)?;
    let crossed: Vec<&Threshold> =
        thresholds.iter().filter(|it| it.is_crossed(&all, month.as_ref().ok().copied(), saves)).collect();
    if let Some(why) = month.as_ref().err().filter(|_| thresholds.iter().any(Threshold::is_of_month)) {
        eprintln!("month_usd is not known: {why}");
    }
    for it in &crossed {
        eprintln!("the threshold {it} is crossed");
    }
    Ok(if crossed.is_empty() { 0 } else { EXIT_THRESHOLD })
}

/// What projections of machines may rest on, or why there is none; in their order.
pub(crate) fn bases(
    reader: &Reader,
    all: &[MachineCost],
    range: (Option<Timestamp>, Option<Timestamp>),
) -> Result<Vec<Result<Basis, TooLittle>>, Failure> {
    let collected = reader.collected_spans()?.into_iter().collect();
    let end = advice::end(all, range.1);
    Ok(all.iter().map(|it| months::basis_of(&collected, it, end, range)).collect())
}

/// What the command finds.
pub(crate) fn found(context: &Context, arguments: &CostArguments) -> Result<Report, Failure> {
    priced(context, arguments).map(|it| it.0)
}

/// The report, every machine that it is about, a month of them together, and what the advice would save in it.
type Priced = (Report, Vec<(MachineCost, Advice)>, Result<Usd, String>, Option<Usd>);

fn priced(context: &Context, arguments: &CostArguments) -> Result<Priced, Failure> {
    let what_if = arguments.what_if.as_deref().map(parse_what_if).transpose()?;
    let reader = context.reader()?;
    let (since, until) = context.range(&arguments.range)?;
    let machine = select::optional_machine(&reader, arguments.machine.as_deref())?;
    let mut prices = Prices::new(context)?;
    if arguments.no_free_tier {
        prices.books.for_each(|it| it.free_transitions = 0);
    }
    // The whole account is priced also for one machine: it has its share of tiers and free tier.
    let ledger = Ledger::of_starts(&reader, &prices, (since, until))?;
    let everything = costs_of(&ledger, reader.machines(since, until)?)?;
    let adviser = Adviser::new(&ledger, &everything)?;
    let is_wanted = |it: &&MachineCost| machine.as_deref().is_none_or(|arn| it.machine.arn == arn);
    let advice: Vec<Advice> =
        everything.iter().filter(is_wanted).map(|it| adviser.advise(it)).collect::<Result<_, _>>()?;
    let wanted: Vec<&MachineCost> = everything.iter().filter(is_wanted).collect();
    let month = adviser.project_all(&wanted)?;
    let groups = arguments.by.as_ref().map(|by| groups::groups(by, &adviser, &everything)).transpose()?;
    let states = groups::groups(&GroupBy::State, &adviser, &everything)?;
    let all: Vec<(MachineCost, Advice)> = everything.iter().filter(is_wanted).cloned().zip(advice).collect();
    let saves = adviser.saves_together(all.iter().map(|it| (&it.0, &it.1)))?;
    let (first, last) = period(all.iter().map(|it| &it.0));
    let from = since.or(first).map(analyzer::time::format);
    let to = until.or(last).map(analyzer::time::format);
    let mut report = report(&all, &states, &prices, json!({"from": from, "to": to}));
    let free_tier = ledger.free_tier()?;
    free_tier_fields(&free_tier, &mut report.fields);
    report.footer += &free_tier_note(&free_tier).map_or_else(String::new, |it| format!("\n{it}"));
    add_calibrations(&mut report, &reader.calibrations()?, &prices);
    Coverage::load(&reader, since, until)?.tell(&reader, &mut report, machine.as_deref())?;
    if let Some(what_if) = what_if {
        add_what_if(&mut report, &adviser, &all, what_if)?;
    }
    if let Some((by, groups)) = arguments.by.as_ref().zip(groups) {
        groups::add(&mut report, &all, by, &groups);
    }
    let field = |key: &str, value: Value| (key.to_owned(), value);
    report.fields.extend([
        field("projection_month", month.as_ref().map_or(Value::Null, json::month_to_json)),
        field("saves_usd_per_month", saves.map_or(Value::Null, number)),
        field("projection_reason", month.as_ref().err().map_or(Value::Null, |why| why.as_str().into())),
    ]);
    Ok((report, all, month.map(|it| it.usd), saves))
}

/// What CloudWatch says of transitions that nobody counts; it is told, and the price book decides.
fn add_calibrations(report: &mut Report, found: &[Calibration], prices: &Prices) {
    let line = |it: &Calibration| json!({"state_machine_arn": it.machine_arn, "days": it.days, "executions": it.executions, "extra_per_execution": (it.extra * 1_000.0).round() / 1_000.0});
    report.fields.insert("calibration".to_owned(), found.iter().map(line).collect());
    for it in found {
        let name = text::plain(it.machine_arn.rsplit(':').next().unwrap_or(&it.machine_arn));
        report.footer += &format!(
            "\n{name}: CloudWatch's ConsumedCapacity has {:.3} transitions per execution beyond those counted, over {} days \
             and {} executions; the price book has {} (`transitions_per_execution_extra`).",
            it.extra,
            it.days,
            text::count(it.executions),
            prices.book().extra_transitions
        );
    }
}

/// The same executions as another type: machine by machine, and all together where that is possible.
fn add_what_if(
    report: &mut Report,
    adviser: &Adviser<'_>,
    all: &[(MachineCost, Advice)],
    as_type: WorkflowType,
) -> Result<(), Failure> {
    let pairs: Vec<(&MachineCost, AsOther)> = all.iter().map(|(it, advice)| (it, advice.as_other)).collect();
    let together = adviser.together(&pairs, as_type)?;
    if let Some(Value::Array(machines)) = report.fields.get_mut("machines") {
        for (machine, (it, other)) in machines.iter_mut().zip(&pairs) {
            let is_moved = it.machine.workflow_type != as_type;
            let (usd, logs, with_logs) = match as_type {
                WorkflowType::Standard => (it.standard.map(|it| it.net()), None, it.standard.map(|it| it.net())),
                WorkflowType::Express => {
                    (it.express.map(|it| it.total()), other.logs.map(|it| it.usd), other.express_with_logs())
                }
            };
            machine["what_if"] = json!({
                "type": as_type.as_str(), "usd": usd.map(number), "logs_usd": logs.map(number), "usd_with_logs": with_logs.map(number),
                "possible": !(is_moved && other.is_blocked), "saves_usd": other.saves.filter(|_| is_moved).map(number),
            });
        }
    }
    let with_logs = together.usd.zip(together.logs).map(|(usd, logs)| usd + logs);
    let what_if = json!({
        "type": as_type.as_str(), "state_machines": together.machines, "blocked": together.blocked,
        "before_usd": together.before.map(number), "usd": together.usd.map(number), "logs_usd": together.logs.map(number),
        "usd_with_logs": with_logs.map(number), "saves_usd": together.saves.map(number),
        "others_save_usd": number(together.others_save),
    });
    report.fields.insert("what_if".to_owned(), what_if);
    let money = |it: Option<Usd>| it.map_or_else(|| "not known".to_owned(), text::usd);
    let machines =
        if together.machines == 1 { "1 state machine" } else { &format!("{} state machines", together.machines) };
    report.heading += &format!(
        "\nAs {}: {}{} instead of {}, for {machines}",
        as_type.as_str(),
        money(with_logs),
        if as_type == WorkflowType::Express { " with logs at level ALL" } else { "" },
        money(together.before)
    );
    report.heading += &match together.blocked {
        0 => ".".to_owned(),
        1 => "; 1 state machine cannot be Express and is left out.".to_owned(),
        n => format!("; {n} state machines cannot be Express and are left out."),
    };
    Ok(())
}

fn parse_what_if(text: &str) -> Result<WorkflowType, Failure> {
    let kind = text.strip_prefix("type=").and_then(|it| WorkflowType::parse(&it.to_ascii_uppercase()));
    kind.ok_or_else(|| {
        Failure::usage(format!("`{text}` changes nothing that is known")).hint("use type=express or type=standard")
    })
}

fn report(all: &[(MachineCost, Advice)], states: &[Group], prices: &Prices, period: Value) -> Report {
    let mut table = TextTable::with_columns(&[
        "machine",
        "type",
        "#executions",
        "#transitions",
        "#paid",
        "#as Standard",
        "#as Express",
        "Express memory",
        "#a month",
        "advice",
    ]);
    for (it, advice) in all {
        table.rows.push(table_row(it, advice));
    }
    let mut fields = Map::new();
    fields.insert("period".to_owned(), period);
    fields.insert("selected_by".to_owned(), "start".into());
    fields.insert("prices".to_owned(), json::prices_to_json(all, prices));
    fields.insert(
        "machines".to_owned(),
        all.iter().map(|(it, advice)| json::machine_to_json(it, advice, states)).collect(),
    );
    fields.insert("assumptions".to_owned(), assumptions(all, prices).into());
    Report {
        command: "cost",
        fields,
        rows: "machines",
        table,
        heading: format!(
            "Prices of {} ({}). Paid is net of the free tier, of executions by their start; Express is with logs at level ALL.",
            prices.book().as_of,
            prices.book().source
        ),
        footer: crate::report::sentences(
            all.iter()
                .flat_map(|(it, advice)| sentences(it, advice))
                .chain(left_out(all))
                .chain(assumptions(all, prices)),
        ),
    }
}

fn table_row(it: &MachineCost, advice: &Advice) -> Vec<String> {
    let money = |it: Option<Usd>| it.map_or_else(|| "not known".to_owned(), text::usd);
    vec![
        text::cut(&it.machine.name, 40),
        it.machine.workflow_type.as_str().to_owned(),
        text::count(it.machine.executions),
        text::count(it.transitions),
        money(it.actual),
        money(it.standard.map(|it| it.net())),
        as_express(&advice.as_other),
        it.memory_mb.map_or_else(
            || "–".to_owned(),
            |mb| format!("{mb} MB{}", if it.memory_source == MemorySource::Estimate { " (estimate)" } else { "" }),
        ),
        advice.projection.as_ref().map_or_else(|| "–".to_owned(), |it| text::usd(it.usd)),
        advice.recommendation.as_str().replace('_', " "),
    ]
}

/// What to do about a machine and why, for somebody who pays the bill.
fn sentences(it: &MachineCost, advice: &Advice) -> Vec<String> {
    let name = &it.machine.name;
    let mut lines = Vec::new();
    let saves = match (advice.saves_per_month, advice.saves) {
        (Some(month), _) => format!("{} a month", text::amount(month)),
        (None, Some(selection)) => format!("{} over the selection", text::amount(selection)),
        (None, None) => "an unknown amount".to_owned(),
    };
    match advice.recommendation {
        Recommendation::MoveToExpress => lines.push(format!(
            "{name}: as Express it would cost {saves} less, logging at level ALL included; nothing in it needs Standard, but see the risks."
        )),
        Recommendation::MoveToStandard => {
            lines.push(format!("{name}: as Standard it would cost {saves} less, its logs counted."));
        }
        Recommendation::MoveParts => {
            let parts: Vec<String> =
                advice.hybrid.iter().map(|it| format!("{} ({})", joined(&it.region.states), text::amount(it.saves))).collect();
            lines.push(format!("{name}: moving {} into Express children would save {saves}.", parts.join("; ")));
        }
        Recommendation::Stay | Recommendation::Unknown => {}
    }
    if !advice.eligibility.blockers.is_empty() && it.machine.workflow_type == WorkflowType::Standard {
        let why: Vec<String> = advice
            .eligibility
            .blockers
            .iter()
            .map(|it| it.state.as_ref().map_or_else(|| it.detail.clone(), |state| format!("`{state}`: {}", it.detail)))
            .collect();
        lines.push(format!("{name}: cannot be Express. {}", why.join("; ")));
    }
    if let Some(Month { usd, interval, days, is_rough }) = &advice.projection {
        let sure = match interval {
            Some((low, high)) if *high >= text::CENT => {
                format!("{} to {} with 95 % confidence, from {days:.0} days", text::amount(*low), text::amount(*high))
            }
            Some(_) => format!("from {days:.0} days"),
            None => format!("from {days:.1} days, too few to say how sure"),
        };
        let rough = if *is_rough { "rough, " } else { "" };
        lines.push(format!("{name}: {} a month at this rate (list price; {rough}{sure}).", about(*usd)));
    }
    if let Some(why) = &advice.projection_reason {
        lines.push(format!("{name}: no month is projected: {why}."));
    }
    if let Some(MonthForecast { month, so_far, forecast }) = &advice.forecast {
        let sure = forecast.interval.filter(|it| it.1 >= text::CENT).map_or_else(String::new, |(low, high)| {
            format!(", {} to {} with 95 % confidence", text::amount(low), text::amount(high))
        });
        let past = forecast.backtest.map_or_else(String::new, |it| {
            format!("; week-long forecasts of the days before were off by {:.0} % on average", it.mean_error * 100.0)
        });
        lines.push(format!(
            "{name}: {} so far in {month} at list price, {} by its end{sure}{past}.",
            text::amount(*so_far),
            about(forecast.usd)
        ));
    }
    let Waste { retries, failed, polling, idle_passes, redrives, .. } = &advice.waste;
    let kinds = [
        ("retries", retries),
        ("failed executions", failed),
        ("polling", polling),
        ("Pass states that change nothing", idle_passes),
        ("redrives", redrives),
    ];
    let wasted: Vec<String> = kinds
        .into_iter()
        .filter_map(|(what, usd)| usd.filter(|it| *it > Usd::ZERO).map(|it| format!("{} in {what}", text::amount(it))))
        .collect();
    if !wasted.is_empty() {
        lines.push(format!("{name}: {}, at list price.", wasted.join(", ")));
    }
    for (state, it) in &advice.functions {
        let usd = it.usd.map_or_else(String::new, |it| format!(", which cost {} of Lambda", text::amount(it)));
        match &it.glue {
            Some(Glue::Service(service)) => lines.push(format!(
                "{name}: the function behind `{state}` only calls {service}{usd}: the Task can call it itself."
            )),
            Some(Glue::Computes) => lines.push(format!(
                "{name}: the function behind `{state}` is short and calls nothing that was traced{usd}: if it only computes, \
                 an intrinsic function or JSONata does that."
            )),
            None => {}
        }
    }
    lines
}

fn about(amount: Usd) -> String {
    if amount < text::CENT { "less than $0.01".to_owned() } else { format!("about {}", text::usd(amount)) }
}

fn joined(states: &[Name]) -> String {
    states.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ")
}

/// Machines whose amounts leave something out, a line each.
fn left_out(all: &[(MachineCost, Advice)]) -> Vec<String> {
    all.iter()
        .map(|it| &it.0)
        .filter(|it| !it.unpriced.is_empty())
        .map(|it| format!("{}: {}", it.machine.name, it.unpriced.join("; ")))
        .collect()
}

/// What the figures rest on and nobody has confirmed.
fn assumptions(all: &[(MachineCost, Advice)], prices: &Prices) -> Vec<String> {
    let all: Vec<&MachineCost> = all.iter().map(|it| &it.0).collect();
    let mut lines = vec![format!(
        "Start and end of an execution count as {} transitions: no public page settles it.",
        prices.book().extra_transitions
    )];
    if all.iter().any(|it| it.is_region_assumed) {
        lines.push("Executions without a region are priced in the assumed one (`--price-region`).".to_owned());
    }
    if all.iter().any(|it| it.memory_source == MemorySource::Estimate) {
        lines.push(
            "Express memory is the documented estimate where no billing details are known: 50 MB, the definition, and \
             inputs times branches and items where inputs are kept."
                .to_owned(),
        );
    }
    lines.push(
        "Moving to Express counts logging at level ALL, which its timelines need: measured bytes where there are logs, else 446 an event."
            .to_owned(),
    );
    if all.iter().any(|it| !prices.book().is_express_confirmed(&it.region)) {
        lines.push("Express rates outside us-east-1, sa-east-1 and ap-east-1 are assumed to be equal.".to_owned());
    }
    lines
}
