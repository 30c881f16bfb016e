//! `report cost`: what was paid, what changed and why, and what could be saved.
//!
//! The change of a machine's bill is split exactly in three: more or fewer executions at the mean of both list prices of an execution, a
//! dearer or cheaper execution at list price, and what the free tier and volume tiers took off in each period.

use std::collections::BTreeMap;

use analyzer::model::Usd;
use queries::Reader;
use serde_json::{Map, Value, json};
use tui::safe::Command;
use tui::text;

use super::{Action, Asked, actions_section, change, nothing};
use crate::cli::Context;
use crate::cli::bill::{Prices, number};
use crate::cli::cost::{self, MachinePeriod, Months, Outlook};
use crate::cli::coverage::Coverage;
use crate::failure::Failure;
use crate::report::page::{Bars, Chart, Page, Section};
use crate::report::{Report, TextTable, sentences};

/// A machine in both periods.
struct Line {
    name: String,
    arn: String,
    before: Option<MachinePeriod>,
    now: Option<MachinePeriod>,
}

/// The parts of a change of the bill.
#[derive(Clone, Copy)]
struct Split {
    /// By more or fewer executions, at list price.
    executions: Usd,
    /// By a dearer or cheaper execution, at list price.
    price: Usd,
    /// By the free tier and volume tiers, of which one of the periods had more.
    allowances: Usd,
}

impl Line {
    fn outlook(&self) -> Option<&Outlook> {
        self.now.as_ref()?.outlook.as_ref()
    }

    fn executions(&self) -> (u64, u64) {
        let of = |it: &Option<MachinePeriod>| it.as_ref().map_or(0, |it| it.executions);
        (of(&self.before), of(&self.now))
    }

    /// What was paid before and now; `None` where a price is not known.
    fn paid(&self) -> Option<(Usd, Usd)> {
        let of = |it: &Option<MachinePeriod>| it.as_ref().map_or(Some(Usd::ZERO), |it| it.paid);
        Some((of(&self.before)?, of(&self.now)?))
    }

    /// The same at list price.
    fn list(&self) -> Option<(Usd, Usd)> {
        let of = |it: &Option<MachinePeriod>| it.as_ref().map_or(Some(Usd::ZERO), |it| it.list);
        Some((of(&self.before)?, of(&self.now)?))
    }

    /// What the change is made of; the parts add up to it.
    fn split(&self) -> Option<Split> {
        let ((paid_before, paid_now), (before, now)) = (self.paid()?, self.list()?);
        let (n_before, n_now) = self.executions();
        let difference = now - before;
        let allowances = paid_now - paid_before - difference;
        if n_before == 0 || n_now == 0 {
            return Some(Split { executions: difference, price: Usd::ZERO, allowances });
        }
        let moved = u128::from(n_now.abs_diff(n_before));
        let half = |list: Usd, n: u64| list.scaled(moved, 2 * u128::from(n));
        let volume = half(before, n_before) + half(now, n_now);
        let volume = if n_now >= n_before { volume } else { -volume };
        Some(Split { executions: volume, price: difference - volume, allowances })
    }
}

pub(super) fn told(context: &Context, reader: &Reader, asked: &Asked) -> Result<(Report, Page), Failure> {
    let prices = Prices::new(context)?;
    let (lines, month) = lines(reader, &prices, asked)?;
    let sum = |of: &dyn Fn(&Line) -> Option<Usd>| lines.iter().map(of).sum::<Option<Usd>>();
    let total = sum(&|it| it.paid().map(|it| it.0)).zip(sum(&|it| it.paid().map(|it| it.1)));
    let executions: (u64, u64) =
        lines.iter().map(Line::executions).fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
    let actions = actions(&lines);
    let mut answer = vec![match total {
        _ if executions.1 == 0 => nothing(reader)?,
        Some((before, now)) => format!(
            "{} was paid for {} executions{}.",
            text::amount(now),
            text::count(executions.1),
            if executions.0 == 0 {
                "; nothing ran in the period before".to_owned()
            } else {
                format!(", {} ({} in the period before)", change(before.as_f64(), now.as_f64()), text::amount(before))
            }
        ),
        None => "What was paid is not known: the price of a region is missing.".to_owned(),
    }];
    answer.extend(largest_change(&lines).filter(|_| executions.0 > 0 && executions.1 > 0));
    if let Some(saved) = month.saves.filter(|it| !actions.is_empty() && *it > Usd::ZERO) {
        let what = if actions.len() == 1 {
            "1 change would save"
        } else {
            &format!("{} changes together would save", actions.len())
        };
        answer.push(format!("{what} {} a month.", text::amount(saved)));
    }
    let coverage = Coverage::load(reader, Some(asked.period.0), Some(asked.period.1))?;
    let notes: Vec<String> = coverage.notes(asked.machine.as_deref()).collect();
    let facts = [
        ("paid", total.map(|it| text::usd(it.1))),
        ("before", total.map(|it| text::usd(it.0))),
        ("executions", Some(text::count(executions.1))),
        ("a month at this rate", month.usd.map(text::amount)),
        ("prices of", Some(prices.book().as_of.clone())),
    ];
    let page = Page {
        title: String::new(),
        answer,
        facts: facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
        sections: vec![
            actions_section(&actions),
            changes_section(&lines),
            waste_section(&lines),
            days_section(&lines),
            basis(notes),
        ],
        commands: vec!["stepscope cost --by day".to_owned(), "stepscope cost --by state".to_owned()],
        chart: Some(Chart::Bars(bars(&lines))),
    };
    Ok((report(&lines, &actions, total, executions, month), page))
}

fn lines(reader: &Reader, prices: &Prices, asked: &Asked) -> Result<(Vec<Line>, Months), Failure> {
    let mut lines: BTreeMap<String, Line> = BTreeMap::new();
    let before = cost::paid_in(reader, prices, asked.before)?;
    let (now, month) = cost::paid_in_with_outlook(reader, prices, asked.period, |arn| asked.is_wanted(arn))?;
    for (all, is_now) in [(before, false), (now, true)] {
        for it in all {
            if !asked.is_wanted(&it.arn) {
                continue;
            }
            let line = lines.entry(it.arn.clone()).or_insert_with(|| Line {
                name: it.name.clone(),
                arn: it.arn.clone(),
                before: None,
                now: None,
            });
            *(if is_now { &mut line.now } else { &mut line.before }) = Some(it);
        }
    }
    let mut lines: Vec<Line> = lines.into_values().collect();
    lines.sort_by_key(|it| std::cmp::Reverse(it.paid().map(|it| it.1)));
    Ok((lines, month))
}

/// The machine whose bill moved most, and why.
fn largest_change(lines: &[Line]) -> Option<String> {
    let moved = |it: &&Line| it.paid().map_or(0, |(before, now)| (now - before).atto().abs());
    let it = lines.iter().max_by_key(moved).filter(|it| moved(it) > 0)?;
    let ((before, now), split, (n_before, n_now)) = (it.paid()?, it.split()?, it.executions());
    if n_before == 0 || n_now == 0 {
        let what = if n_before == 0 { "ran in this period only" } else { "ran in the period before only" };
        return Some(format!("Most of it is `{}`, which {what} ({}).", it.name, signed(now - before)));
    }
    Some(format!(
        "The largest change is `{}`, {}: {} by the number of executions ({}), {} by the price of one{}.",
        it.name,
        signed(now - before),
        signed(split.executions),
        change(as_float(n_before), as_float(n_now)),
        signed(split.price),
        if split.allowances == Usd::ZERO {
            String::new()
        } else {
            format!(", {} by the free tier and volume tiers", signed(split.allowances))
        }
    ))
}

#[expect(clippy::cast_precision_loss, reason = "a share")]
fn as_float(n: u64) -> f64 {
    n as f64
}

fn signed(usd: Usd) -> String {
    match usd.cmp(&Usd::ZERO) {
        std::cmp::Ordering::Greater => format!("+{}", text::usd(usd)),
        std::cmp::Ordering::Equal => text::usd(usd),
        std::cmp::Ordering::Less => format!("−{}", text::usd(-usd)),
    }
}

fn actions(lines: &[Line]) -> Vec<Action> {
    let one = |it: &Line| {
        let (usd, how) = it.outlook()?.saving.clone()?;
        Some(Action {
            what: format!("`{}`: {how}", it.name),
            usd_per_month: Some(usd),
            command: Command::new("stepscope cost").argument(&it.name).to_string(),
        })
    };
    let mut actions: Vec<Action> = lines.iter().filter_map(one).collect();
    actions.sort_by_key(|it| std::cmp::Reverse(it.usd_per_month));
    actions
}

fn changes_section(lines: &[Line]) -> Section {
    let usd = |it: Option<Usd>| it.map_or_else(|| "not known".to_owned(), text::usd);
    let rows = lines.iter().map(|it| {
        let (n_before, n_now) = it.executions();
        let (paid, split) = (it.paid(), it.split());
        let told = |it: Option<Usd>| it.map_or_else(|| "not known".to_owned(), signed);
        vec![
            it.name.clone(),
            usd(paid.map(|it| it.0)),
            usd(paid.map(|it| it.1)),
            told(paid.map(|it| it.1 - it.0)),
            told(split.map(|it| it.executions)),
            told(split.map(|it| it.price)),
            told(split.map(|it| it.allowances)),
            text::count(n_before),
            text::count(n_now),
        ]
    });
    let columns = [
        "machine",
        "before",
        "paid",
        "change",
        "by executions",
        "by price of one",
        "by free tier",
        "executions before",
        "executions",
    ];
    let said = "The parts of a change add up to it. Executions and their price are at list price; what the free tier and volume tiers took off stands by itself.";
    Section::new("What changed and why", said, &columns).with_rows(rows.collect())
}

fn waste_section(lines: &[Line]) -> Section {
    let own = |it: &Line| {
        let name = it.name.clone();
        let waste = it.outlook().into_iter().flat_map(|it| it.waste.clone());
        waste.map(|(kind, usd)| (usd, vec![name.clone(), kind.to_owned(), text::usd(usd)])).collect::<Vec<_>>()
    };
    let mut all: Vec<(Usd, Vec<String>)> = lines.iter().flat_map(own).collect();
    all.sort_by_key(|it| std::cmp::Reverse(it.0));
    let said = if all.is_empty() { "Nothing." } else { "At list price, in the period." };
    Section::new("Paid for nothing", said, &["machine", "what", "paid"])
        .with_rows(all.into_iter().map(|it| it.1).collect())
}

/// What was paid on each day over all machines; a day may be cut between the periods.
fn by_day(lines: &[Line]) -> BTreeMap<(String, bool), Option<Usd>> {
    let mut days: BTreeMap<(String, bool), Option<Usd>> = BTreeMap::new();
    for (period, is_own) in lines.iter().flat_map(|it| [(&it.before, false), (&it.now, true)]) {
        for (day, usd) in period.iter().flat_map(|it| &it.days) {
            let sum = days.entry((day.clone(), is_own)).or_insert(Some(Usd::ZERO));
            *sum = sum.zip(*usd).map(|(a, b)| a + b);
        }
    }
    days
}

fn bars(lines: &[Line]) -> Bars {
    let bar = |((day, is_own), usd): ((String, bool), Option<Usd>)| {
        let usd = usd?;
        Some((day, usd.as_f64(), text::usd(usd), is_own))
    };
    Bars {
        caption: "Paid by day (UTC); the period before in grey. The numbers stand in a table below.".to_owned(),
        bars: by_day(lines).into_iter().filter_map(bar).collect(),
    }
}

fn days_section(lines: &[Line]) -> Section {
    let row = |((day, is_own), usd): ((String, bool), Option<Usd>)| {
        let period = if is_own { "this" } else { "before" };
        vec![day, period.to_owned(), usd.map_or_else(|| "not known".to_owned(), text::usd)]
    };
    Section::new("By day", "", &["day (UTC)", "period", "paid"]).with_rows(by_day(lines).into_iter().map(row).collect())
}

fn basis(notes: Vec<String>) -> Section {
    let mut said = vec![
        "Step Functions alone, by list price less what the configuration takes off, net of the free tier, of the executions that started in the period; Lambda, logs and traces stand in `stepscope cost`."
            .to_owned(),
    ];
    said.extend(notes);
    Section::new("What the numbers rest on", said.join(" "), &[])
}

fn report(
    lines: &[Line],
    actions: &[Action],
    total: Option<(Usd, Usd)>,
    executions: (u64, u64),
    month: Months,
) -> Report {
    let mut table = TextTable::with_columns(&[
        "machine",
        "#before",
        "#paid",
        "#change",
        "#by executions",
        "#by price",
        "#by free tier",
        "#executions",
    ]);
    for row in changes_section(lines).rows {
        let [name, before, paid, change, volume, each, free, _, executions] = &row[..] else { continue };
        table.rows.push([name, before, paid, change, volume, each, free, executions].map(Clone::clone).into());
    }
    let machine = |it: &Line| {
        let (paid, split, n) = (it.paid(), it.split(), it.executions());
        let transitions = |it: &Option<MachinePeriod>| it.as_ref().map_or(0, |it| it.transitions);
        json!({
            "state_machine_arn": it.arn, "machine": it.name, "executions": n.1, "executions_before": n.0,
            "transitions": transitions(&it.now), "transitions_before": transitions(&it.before),
            "usd": paid.map(|it| number(it.1)), "usd_before": paid.map(|it| number(it.0)),
            "difference_usd": paid.map(|it| number(it.1 - it.0)),
            "by_executions_usd": split.map(|it| number(it.executions)), "by_price_usd": split.map(|it| number(it.price)),
            "by_free_tier_usd": split.map(|it| number(it.allowances)),
            "list_usd": it.list().map(|it| number(it.1)), "list_usd_before": it.list().map(|it| number(it.0)),
        })
    };
    let days = by_day(lines).into_iter();
    let days: Vec<Value> =
        days.map(|((day, is_own), usd)| json!({"day": day, "usd": usd.map(number), "is_in_period": is_own})).collect();
    let fields: Map<String, Value> = [
        ("selected_by", "start".into()),
        ("usd", total.map(|it| number(it.1)).into()),
        ("usd_before", total.map(|it| number(it.0)).into()),
        ("executions", executions.1.into()),
        ("executions_before", executions.0.into()),
        ("projection_month_usd", month.usd.map(number).into()),
        ("saves_usd_per_month", month.saves.map(number).into()),
        ("actions", actions.iter().map(Action::to_json).collect()),
        ("machines", lines.iter().map(machine).collect()),
        ("days", days.into()),
    ]
    .into_iter()
    .map(|(key, value): (&str, Value)| (key.to_owned(), value))
    .collect();
    let footer = actions.iter().filter_map(|it| {
        Some(format!("{}: saves {} a month. {}", it.what, text::amount(it.usd_per_month?), it.command))
    });
    let footer = sentences(footer);
    Report { command: "report", fields, rows: "machines", table, heading: String::new(), footer }
}
