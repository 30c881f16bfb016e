//! `compare`: a baseline against an incident. What changed, where, since when, and how sure is that?

mod beside;
mod contents;
pub(crate) mod effect;
pub(crate) mod evidence;
mod exemplars;
mod json;
pub(crate) mod sides;
mod twins;

use std::path::PathBuf;
use std::thread;

use analyzer::compare::{Cause, CauseKind, Compared, Comparison, Side, SideSummary};
use analyzer::digest::Digest;
use analyzer::error_groups::ErrorGroup;
use analyzer::model::{Micros, Name, Timestamp, Usd, WorkflowType};
use analyzer::slices::Slice;
use clap::Args;
use crossbeam_channel::bounded;
use queries::{ExecutionFilter, Reader};
use serde_json::json;
use tui::safe::Command;
use tui::text;

use super::bill::Prices;
use super::coverage::Coverage;
use super::show::for_each_run_of;
use super::{Context, incidents};
use crate::Outcome;
use crate::failure::Failure;
use crate::report::{Report, TextTable, page, sentences};
use beside::Beside;
use contents::page_of;
use evidence::slice_sentence;
use exemplars::Shown;
use json::report;
use sides::{Sides, Span, machine, sides};

/// Executions that are read ahead of the comparison.
const TOGETHER: usize = 1_000;
/// Slices and errors that the footer names.
const TOLD: usize = 3;

#[derive(Args, Default)]
pub(crate) struct CompareArguments {
    /// A state machine: its ARN, its name, or a unique part of it; not needed when only one is stored. Or an execution.
    machine: Option<String>,
    /// Another execution: where do the two differ?
    #[arg(value_name = "EXECUTION", conflicts_with_all = ["baseline", "incident", "around", "versions", "since_deploy", "report"])]
    other: Option<String>,
    /// The usual: FROM/TO by start time.
    #[arg(long, value_name = "FROM/TO", requires = "incident")]
    baseline: Option<String>,
    /// What is to be explained: FROM/TO by start time.
    #[arg(long, value_name = "FROM/TO", requires = "baseline")]
    incident: Option<String>,
    /// The hour before this time against the hour after it.
    #[arg(long, value_name = "TIME", conflicts_with_all = ["baseline", "versions"])]
    around: Option<String>,
    /// Two versions, old and new: their numbers or ARNs.
    #[arg(long, value_name = "OLD,NEW", conflicts_with = "baseline")]
    versions: Option<String>,
    /// Before and after the newest deployment, or the newest one with this label: marks, versions and definitions.
    #[arg(long, value_name = "LABEL", num_args = 0..=1, require_equals = true, default_missing_value = "",
        conflicts_with_all = ["baseline", "around", "versions"])]
    since_deploy: Option<String>,
    /// List also what is not significant.
    #[arg(long)]
    all: bool,
    /// Write a page to share: .md, .html (stands alone) or .json; account numbers are masked.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

pub(crate) fn run(context: &Context, arguments: &CompareArguments) -> Outcome {
    found(context, arguments)?.print(context.output)?;
    Ok(0)
}

/// What the command finds.
pub(crate) fn found(context: &Context, arguments: &CompareArguments) -> Result<Report, Failure> {
    let reader = context.reader()?;
    if let (Some(first), Some(second)) = (&arguments.machine, &arguments.other) {
        return twins::found(&reader, first, second);
    }
    let (told, page) = paged(context, &reader, arguments, arguments.report.is_some())?;
    if let Some((path, page)) = arguments.report.as_ref().zip(page) {
        page::write(path, &page, &told, context.csv())?;
        eprintln!("written to {}", path.display());
    }
    Ok(told)
}

/// Two ranges of a machine against each other, as a page to hand on.
pub(super) fn page_of_ranges(
    context: &Context,
    machine: &str,
    (baseline, incident): (Span, Span),
) -> Result<(Report, Option<page::Page>), Failure> {
    let arguments = CompareArguments {
        machine: Some(machine.to_owned()),
        baseline: Some(incidents::range(baseline)),
        incident: Some(incidents::range(incident)),
        ..CompareArguments::default()
    };
    paged(context, &context.reader()?, &arguments, true)
}

/// The command that compares two ranges of a machine.
pub(super) fn command_of_ranges(machine: &str, baseline: Span, incident: Span) -> Command {
    let ranges = format!("--baseline {} --incident {}", incidents::range(baseline), incidents::range(incident));
    Command::new("stepscope compare").argument(machine).plain_option(&ranges)
}

fn paged(
    context: &Context,
    reader: &Reader,
    arguments: &CompareArguments,
    has_page: bool,
) -> Result<(Report, Option<page::Page>), Failure> {
    let machine = machine(reader, arguments.machine.as_deref())?;
    let Some(sides) = sides(context, reader, &machine, arguments)? else { return Ok((quiet(&machine), None)) };
    let it = explained(reader, &machine, &sides)?;
    if it.compared.baseline.n == 0 || it.compared.incident.n == 0 {
        let which = if it.compared.baseline.n == 0 { "baseline" } else { "incident" };
        return Err(Failure::usage(format!("no closed execution of `{}` is in the {which}", short(&machine)))
            .hint("`stepscope executions` lists what is stored, `stepscope incidents` proposes ranges"));
    }
    let rate = by_transitions(Prices::new(context)?.transitions(&machine, 1), it.is_express);
    let mut told = report(&machine, &it, &sides, arguments.all, rate);
    let covered = |it: &ExecutionFilter| Coverage::load(reader, it.since, it.until);
    let (baseline, incident) = (covered(&sides.baseline)?, covered(&sides.incident)?);
    let coverage = json!({"baseline": baseline.of(&machine), "incident": incident.of(&machine)});
    told.fields.insert("coverage".to_owned(), coverage);
    incident.tell(reader, &mut told, Some(&machine))?;
    let mut page = None;
    if has_page {
        let named = listed(&it.compared, arguments.all);
        let notes = findings(&it.compared, &named, arguments.all, it.left_out);
        let notes: Vec<String> = notes.into_iter().chain(incident.notes(Some(&machine))).collect();
        page = Some(page_of(reader, &machine, &it, &sides, &told, &notes)?);
    }
    Ok((told, page))
}

/// When nothing changed, which is an answer, too.
fn quiet(machine: &Name) -> Report {
    let fields = [("state_machine_arn", json!(machine.as_str())), ("causes", json!([]))];
    Report {
        command: "compare",
        fields: fields.into_iter().map(|(key, it)| (key.to_owned(), it)).collect(),
        rows: "causes",
        table: TextTable::default(),
        heading: sentences([format!("Nothing changed significantly in `{}`.", short(machine))]),
        footer: "Give --baseline FROM/TO --incident FROM/TO, --around TIME or --versions OLD,NEW to compare anyway."
            .to_owned(),
    }
}

/// Two sides with everything that explains their difference.
struct Explained {
    compared: Compared,
    /// Executions that have not ended, or whose duration is not known.
    left_out: u64,
    is_express: bool,
    slices: Vec<Slice>,
    errors: Vec<ErrorGroup>,
    deployments: Vec<evidence::Deployed>,
    /// How often the service throttled the machine before and after, where metrics tell.
    throttled: [Option<f64>; 2],
    exemplars: Vec<Shown>,
}

fn explained(reader: &Reader, machine: &Name, sides: &Sides) -> Result<Explained, Failure> {
    let mut beside = Beside::with_errors();
    let Measured { compared, left_out, is_express, .. } =
        measured(reader, [&sides.baseline, &sides.incident], &mut beside)?;
    let mut errors = beside.errors;
    // What has risen most comes first.
    let risen = |it: &ErrorGroup| rates(&compared, it)[1] - rates(&compared, it)[0];
    errors.sort_by(|a, b| risen(b).total_cmp(&risen(a)));
    Ok(Explained {
        slices: carriers(beside.found, &compared),
        errors,
        deployments: evidence::deployed_in(reader, machine, sides.baseline.since, sides.incident.until)?,
        throttled: throttled(reader, machine, sides)?,
        exemplars: exemplars::shown(reader, compared.exemplars.as_ref())?,
        compared,
        left_out,
        is_express,
    })
}

/// How often the service throttled the machine on each side.
fn throttled(reader: &Reader, machine: &Name, sides: &Sides) -> Result<[Option<f64>; 2], Failure> {
    let range = |it: &ExecutionFilter| it.since.zip(it.until);
    match range(&sides.baseline).zip(range(&sides.incident)) {
        Some((baseline, incident)) => Ok(reader.throttled(machine, [baseline, incident])?),
        None => Ok([None, None]),
    }
}

/// The slices that carry the difference, where the durations differ, and by one percent.
fn carriers(slices: Vec<Slice>, it: &Compared) -> Vec<Slice> {
    let share = it.difference_ms.zip(it.baseline.mean_ms).map(|(difference, mean)| (difference / mean.max(1e-9)).abs());
    let is_different = it.shift_p_value <= 0.05 && share.is_some_and(|it| it >= 0.01);
    if is_different { slices } else { Vec::new() }
}

/// Two sides, and how many executions they rest on.
struct Measured {
    compared: Compared,
    /// Executions that have not ended, or whose duration is not known.
    left_out: u64,
    /// Whether a side has as many executions as were asked for.
    is_cut: bool,
    is_express: bool,
}

/// A closed execution as it is compared.
enum Closed {
    Whole(Box<Digest>),
    /// Its duration, and whether it failed.
    Partial(Micros, bool),
}

/// Both sides against each other: one thread reads, another compares.
fn measured(reader: &Reader, filters: [&ExecutionFilter; 2], beside: &mut Beside) -> Result<Measured, Failure> {
    let (mut left_out, mut is_cut, mut is_express) = (0, false, false);
    let compared = thread::scope(|scope| {
        let (hand_on, handed_on) = bounded::<(Closed, Side)>(TOGETHER);
        let comparing = scope.spawn(move || {
            let mut comparison = Comparison::default();
            handed_on.iter().for_each(|(it, side)| match it {
                Closed::Whole(it) => comparison.add(&it, side),
                Closed::Partial(duration, has_failed) => comparison.add_partial(duration, has_failed, side),
            });
            comparison.finish()
        });
        let stopped = || Failure::new("the comparison has stopped");
        for (filter, side) in filters.into_iter().zip([Side::Baseline, Side::Incident]) {
            let mut n_all = 0;
            let mut traced: Vec<u64> = Vec::new();
            reader.for_each_digest(filter, |row| {
                n_all += 1;
                is_express |= row.workflow_type == WorkflowType::Express;
                match row.digest {
                    Some(_) if row.may_be_traced => traced.push(row.id),
                    Some(it) => {
                        beside.add(row.id, &it, side);
                        hand_on.send((Closed::Whole(Box::new(it)), side)).map_err(|_| stopped())?;
                    }
                    None => match row.outcome {
                        Some((duration, has_failed)) => {
                            hand_on.send((Closed::Partial(duration, has_failed), side)).map_err(|_| stopped())?;
                        }
                        None => left_out += 1,
                    },
                }
                Ok::<_, Failure>(())
            })?;
            is_cut |= filter.limit.is_some_and(|limit| n_all >= limit);
            // Traces tell cold starts, which the events do not.
            for_each_run_of(reader, &traced, |id, run| {
                let Some(it) = Digest::of(run) else { return Ok(()) };
                beside.add(id, &it, side);
                hand_on.send((Closed::Whole(Box::new(it)), side)).map_err(|_| stopped())
            })?;
        }
        drop(hand_on);
        beside.finish(reader)?;
        comparing.join().map_err(|_| stopped())
    })?;
    Ok(Measured { compared, left_out, is_cut, is_express })
}

/// The first cause of a change.
pub(super) fn first_cause(
    reader: &Reader,
    machine: &Name,
    ranges: (Span, Span),
) -> Result<Option<tui::dash::CauseItem>, Failure> {
    let filters = [ranges.0, ranges.1].map(|it| newest(machine, it, None));
    let it = measured(reader, [&filters[0], &filters[1]], &mut Beside::default())?;
    Ok(it.compared.causes.iter().find(|it| it.is_named()).map(cause_item))
}

/// The newest executions of a range.
fn newest(machine: &Name, (since, until): Span, limit: Option<u64>) -> ExecutionFilter {
    ExecutionFilter {
        machine_arn: Some(machine.clone()),
        since: Some(since),
        until: Some(until),
        limit,
        ..ExecutionFilter::default()
    }
}

/// What the dashboard says of two ranges: at most so many executions of each, the newest, and the price of a transition.
pub(super) fn told(
    reader: &Reader,
    machine: &Name,
    (baseline, incident): (Span, Span),
    all: bool,
    (limit, rate): (u64, Option<Usd>),
) -> Result<Option<tui::dash::Compared>, Failure> {
    let filters = [baseline, incident].map(|it| newest(machine, it, Some(limit)));
    let mut beside = Beside::with_slices();
    let Measured { compared, left_out, is_cut, is_express } =
        measured(reader, [&filters[0], &filters[1]], &mut beside)?;
    if compared.baseline.n == 0 || compared.incident.n == 0 {
        return Ok(None);
    }
    let named = listed(&compared, all);
    let (b, i) = (&compared.baseline, &compared.incident);
    let difference = compared.difference_ms.map_or_else(String::new, |it| format!("   {}", signed(it)));
    let rate = by_transitions(rate, is_express);
    let paid = |it: &SideSummary| it.mean_transitions.zip(rate).map(|(mean, rate)| mean * rate.as_f64());
    let paid = paid(b).zip(paid(i)).map_or_else(String::new, |(b, i)| format!("   a run ${b:.6} → ${i:.6}"));
    let [mean, p95, failed] = before_and_after(b, i);
    let (n, n_before) = (text::count(i.n as u64), text::count(b.n as u64));
    let answer = format!("{mean}{difference}   {p95}   {failed}{paid}   {n} runs against {n_before}");
    let command = command_of_ranges(machine, baseline, incident);
    let command = if all { command.plain_option("--all") } else { command }.to_string();
    let cut = is_cut
        .then(|| format!("At most the newest {} executions of each range are compared here.", text::count(limit)));
    let carried = carriers(beside.found, &compared);
    let carried = carried.iter().take(TOLD).map(slice_sentence);
    let notes = carried.chain(findings(&compared, &named, all, left_out)).chain(cut).collect();
    Ok(Some(tui::dash::Compared { answer, causes: named.into_iter().map(cause_item).collect(), notes, command }))
}

/// The mean, the p95 and the failures of two sides.
fn before_and_after(b: &SideSummary, i: &SideSummary) -> [String; 3] {
    [
        format!("mean {} → {}", ms(b.mean_ms), ms(i.mean_ms)),
        format!("p95 {} → {}", text::opt_span(b.p95), text::opt_span(i.p95)),
        format!("failed {} → {}", text::percent(b.failed, b.n as u64), text::percent(i.failed, i.n as u64)),
    ]
}

fn cause_item(it: &Cause) -> tui::dash::CauseItem {
    let [_, state, what, contribution, _, interval, q, since] = cause_row(0, it);
    tui::dash::CauseItem {
        state,
        what,
        contribution,
        share: it.share,
        interval,
        q,
        since,
        is_significant: it.is_named(),
        examples: it.evidence.iter().map(ToString::to_string).collect(),
    }
}

/// The price of a transition, where executions are paid by them: an Express machine pays by time.
fn by_transitions(rate: Option<Usd>, is_express: bool) -> Option<Usd> {
    rate.filter(|_| !is_express)
}

fn short(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

/// The part of the executions of each side that met an error.
#[expect(clippy::cast_precision_loss, reason = "rates")]
fn rates(it: &Compared, error: &ErrorGroup) -> [f64; 2] {
    let of = |met: u64, n: usize| met as f64 / n.max(1) as f64;
    [of(error.executions[0], it.baseline.n), of(error.executions[1], it.incident.n)]
}

/// Errors that a larger part of the executions met than before.
fn errors_told(it: &Explained) -> impl Iterator<Item = String> {
    let risen =
        it.errors.iter().map(|error| (error, rates(&it.compared, error))).filter(|(_, rate)| rate[1] > rate[0] * 1.5);
    risen.take(TOLD).map(|(it, rate)| {
        format!(
            "`{}`{}: met by {:.1} % of the executions, {:.1} % before; {} times retried, {} caught, {} fatal{}.",
            it.error,
            it.state.as_ref().map_or_else(String::new, |state| format!(" in `{state}`")),
            rate[1] * 100.0,
            rate[0] * 100.0,
            it.retried,
            it.caught,
            it.fatal,
            it.cause.as_ref().map_or_else(String::new, |cause| format!(": {}", text::cut(cause, 80)))
        )
    })
}

fn heading(machine: &Name, compared: &Compared, sides: &Sides) -> String {
    let (b, i) = (&compared.baseline, &compared.incident);
    let mut heading = format!(
        "{}: {} executions against {} before. Mean {} → {}, p95 {} → {}.",
        short(machine),
        text::count(i.n as u64),
        text::count(b.n as u64),
        ms(b.mean_ms),
        ms(i.mean_ms),
        text::opt_span(b.p95),
        text::opt_span(i.p95)
    );
    if let Some(shift) = compared.shift {
        heading += &format!(
            " A typical run takes {} longer ({} to {}).",
            signed(shift.estimate),
            signed(shift.low),
            signed(shift.high)
        );
    }
    sentences([sides.chosen.as_str(), &heading].into_iter().filter(|it| !it.is_empty()))
}

fn cause_row(rank: u64, it: &Cause) -> [String; 8] {
    let state = it.state.as_deref().unwrap_or("the execution itself");
    let what = match (&it.kind, &it.error, &it.detail) {
        (CauseKind::Errors, Some(error), _) => format!("fails with {error}"),
        (CauseKind::PathMix, _, Some(detail)) => detail.clone(),
        (CauseKind::PathMix, ..) => "more or fewer items or rounds".to_owned(),
        (CauseKind::Version, ..) => "another version".to_owned(),
        (kind, ..) => kind.as_str().replace('_', " "),
    };
    let has_latency = !matches!(it.kind, CauseKind::Errors | CauseKind::Version);
    [
        rank.to_string(),
        text::cut(state, 32),
        text::cut(&what, 60),
        if has_latency { signed(it.contribution_ms) } else { it.detail.clone().unwrap_or_default() },
        if has_latency { format!("{:.0} %", it.share * 100.0) } else { "–".to_owned() },
        it.interval.map_or_else(|| "–".to_owned(), |(low, high)| format!("{} to {}", signed(low), signed(high))),
        if it.q_value < 1e-9 { "<1e-9".to_owned() } else { format!("{:.1e}", it.q_value) },
        minute(it.first_seen),
    ]
}

/// What the table does not say, a line each.
fn findings(compared: &Compared, named: &[&Cause], all: bool, left_out: u64) -> Vec<String> {
    let mut lines = Vec::new();
    if named.is_empty() {
        lines.push("No significant change.".to_owned());
    }
    if let Some(rest) = compared.unexplained_ms(all) {
        lines.push(format!("Unexplained: {} of {}.", signed(rest), signed(compared.difference_ms.unwrap_or(0.0))));
    }
    for it in &compared.harmless {
        lines.push(format!(
            "`{}` takes {} instead of {}, but is not on the critical path for it: no effect on the end.",
            it.state,
            text::span(it.after),
            text::span(it.before)
        ));
    }
    if left_out > 0 {
        let n = text::count(left_out);
        lines.push(format!("{n} executions are left out: they have not ended, or their duration is not known."));
    }
    let n_partial = compared.baseline.n_partial + compared.incident.n_partial;
    if n_partial > 0 {
        let n = text::count(n_partial as u64);
        lines.push(format!("{n} executions are not known in full: they count in the figures, but in no cause."));
    }
    lines
}

/// The causes that are listed.
fn listed(compared: &Compared, all: bool) -> Vec<&Cause> {
    compared.causes.iter().filter(|it| all || it.is_named()).collect()
}

fn minute(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "–".to_owned(), text::minute)
}

#[expect(clippy::cast_possible_truncation, reason = "for people")]
fn signed(ms: f64) -> String {
    let text = text::span(Micros((ms * 1e3).round() as i64));
    if ms > 0.0 && !text.starts_with('0') { format!("+{text}") } else { text }
}

#[expect(clippy::cast_possible_truncation, reason = "for people")]
fn ms(it: Option<f64>) -> String {
    it.map_or_else(|| "–".to_owned(), |it| text::span(Micros((it * 1e3).round() as i64)))
}
