//! `compare`: a baseline against an incident. What changed, where, since when, and how sure is that?

mod evidence;
mod page;
mod twins;

use std::path::PathBuf;

use analyzer::compare::{Billed, Cause, CauseKind, Compared, Comparison, Failing, Side, SideSummary};
use analyzer::error_groups::ErrorGroup;
use analyzer::model::{Micros, Name, Timestamp, Usd};
use analyzer::slices::{Slice, Slices};
use clap::Args;
use queries::{Deployment, ExecutionFilter, ExecutionRow, Reader};
use serde_json::{Map, Value, json};
use tui::text;

use super::bill::Prices;
use super::coverage::Coverage;
use super::show::for_each_run;
use super::{Context, incidents, select, when};
use crate::Outcome;
use crate::failure::Failure;
use crate::report::{Report, TextTable};
use evidence::{deployment_sentence, deployment_to_json, error_to_json, slice_name, slice_sentence, slice_to_json};
use jiff::tz::{Offset, TimeZone};
use page::{Chart, Page, Section};

/// How long before and after `--around` is looked at.
const AROUND: Micros = Micros(3_600_000_000);
/// How long before a deployment is looked at, unless there is another in that time.
const BEFORE_DEPLOYMENT: Micros = Micros(86_400_000_000);
/// Slices and errors that the footer names.
const TOLD: usize = 3;

#[derive(Args)]
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
    /// Write a page to hand on: .md, .html (stands alone) or .json; account numbers are masked.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// From when to when.
type Span = (Timestamp, Timestamp);

/// The executions of the two sides.
struct Sides {
    baseline: ExecutionFilter,
    incident: ExecutionFilter,
    chosen: String,
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
    let machine = machine(&reader, arguments.machine.as_deref())?;
    let sides = sides(context, &reader, &machine, arguments)?;
    let it = explained(&reader, &machine, &sides)?;
    if it.compared.baseline.n == 0 || it.compared.incident.n == 0 {
        let which = if it.compared.baseline.n == 0 { "baseline" } else { "incident" };
        return Err(Failure::usage(format!(
            "no closed and complete execution of `{}` is in the {which}",
            short(&machine)
        ))
        .hint("`stepscope executions` lists what is stored, `stepscope incidents` proposes ranges"));
    }
    let rate = Prices::new(context)?.transitions(&machine, 1);
    let mut told = report(&machine, &it, &sides, arguments.all, rate);
    let covered = |it: &ExecutionFilter| Coverage::load(&reader, it.since, it.until);
    let (baseline, incident) = (covered(&sides.baseline)?, covered(&sides.incident)?);
    let coverage = json!({"baseline": baseline.of(&machine), "incident": incident.of(&machine)});
    told.fields.insert("coverage".to_owned(), coverage);
    incident.tell(&mut told, Some(&machine));
    if let Some(path) = &arguments.report {
        page::write(path, &page_of(&reader, &machine, &it, &sides, &told)?, &told)?;
        eprintln!("written to {}", path.display());
    }
    Ok(told)
}

/// Two sides with everything that explains their difference.
struct Explained {
    compared: Compared,
    /// Executions that are running, or not known in full.
    left_out: u64,
    slices: Vec<Slice>,
    errors: Vec<ErrorGroup>,
    deployments: Vec<Deployment>,
}

fn explained(reader: &Reader, machine: &Name, sides: &Sides) -> Result<Explained, Failure> {
    let mut slices = Slices::default();
    let (compared, left_out, rows) = compared(reader, &sides.baseline, &sides.incident, &mut slices)?;
    let slices = if is_different(&compared) { slices.finish() } else { Vec::new() };
    let errors = evidence::errors(reader, [(&rows[0], Side::Baseline), (&rows[1], Side::Incident)])?;
    let mut it = Explained {
        compared,
        left_out,
        slices,
        errors: Vec::new(),
        deployments: evidence::deployments(reader, machine, sides.baseline.since, sides.incident.until)?,
    };
    // What has risen most comes first.
    let mut errors: Vec<(f64, ErrorGroup)> = errors
        .into_iter()
        .map(|error| {
            let [before, after] = rates(&it, &error);
            (after - before, error)
        })
        .collect();
    errors.sort_by(|a, b| b.0.total_cmp(&a.0));
    it.errors = errors.into_iter().map(|it| it.1).collect();
    Ok(it)
}

/// Whether there is a difference to be carried by anybody: the durations differ, and by one percent.
fn is_different(it: &Compared) -> bool {
    let share = it.difference_ms.zip(it.baseline.mean_ms).map(|(difference, mean)| (difference / mean.max(1e-9)).abs());
    it.shift_p_value <= 0.05 && share.is_some_and(|it| it >= 0.01)
}

/// Both sides against each other, how many executions are left out, and those that are not.
fn compared(
    reader: &Reader,
    baseline: &ExecutionFilter,
    incident: &ExecutionFilter,
    slices: &mut Slices,
) -> Result<(Compared, u64, [Vec<ExecutionRow>; 2]), Failure> {
    let mut comparison = Comparison::default();
    let mut left_out = 0_u64;
    let mut of_side = |side: Side, filter: &ExecutionFilter| -> Result<Vec<ExecutionRow>, Failure> {
        let mut rows = reader.executions(filter)?;
        let n_all = rows.len();
        rows.retain(|it| it.status.is_closed() && it.complete);
        left_out += (n_all - rows.len()) as u64;
        for_each_run(reader, &rows, |_, run| {
            comparison.add(run, side);
            slices.add(run, side);
            Ok(())
        })?;
        Ok(rows)
    };
    let rows = [of_side(Side::Baseline, baseline)?, of_side(Side::Incident, incident)?];
    Ok((comparison.finish(), left_out, rows))
}

/// What the dashboard says of two ranges: at most so many executions of each, the newest, and the price of a transition.
pub(super) fn told(
    reader: &Reader,
    machine: &Name,
    (baseline, incident): ((Timestamp, Timestamp), (Timestamp, Timestamp)),
    all: bool,
    (limit, rate): (u64, Option<Usd>),
) -> Result<Option<tui::dash::Compared>, Failure> {
    let filter = |(since, until): (Timestamp, Timestamp)| ExecutionFilter {
        machine_arn: Some(machine.clone()),
        since: Some(since),
        until: Some(until),
        limit: Some(limit),
        ..ExecutionFilter::default()
    };
    let mut slices = Slices::default();
    let (compared, left_out, _) = compared(reader, &filter(baseline), &filter(incident), &mut slices)?;
    if compared.baseline.n == 0 || compared.incident.n == 0 {
        return Ok(None);
    }
    let named: Vec<&Cause> = compared.causes.iter().filter(|it| all || it.is_named()).collect();
    let (b, i) = (&compared.baseline, &compared.incident);
    let difference = compared.difference_ms.map_or_else(String::new, |it| format!("   {}", signed(it)));
    let paid = |it: &SideSummary| it.mean_transitions.zip(rate).map(|(mean, rate)| mean * rate.as_f64());
    let paid = paid(b).zip(paid(i)).map_or_else(String::new, |(b, i)| format!("   a run ${b:.6} → ${i:.6}"));
    let answer = format!(
        "mean {} → {}{difference}   p95 {} → {}   failed {} → {}{paid}   {} runs against {}",
        ms(b.mean_ms),
        ms(i.mean_ms),
        text::opt_span(b.p95),
        text::opt_span(i.p95),
        text::percent(b.failed, b.n as u64),
        text::percent(i.failed, i.n as u64),
        text::count(i.n as u64),
        text::count(b.n as u64),
    );
    let item = |it: &&Cause| {
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
    };
    let command = format!(
        "stepscope compare {} --baseline {} --incident {}{}",
        text::quoted(machine),
        incidents::range(baseline),
        incidents::range(incident),
        if all { " --all" } else { "" }
    );
    let notes = footer(&compared, &named, all, left_out);
    let notes = notes.lines().filter(|it| !it.starts_with("See for yourself")).map(str::to_owned);
    let is_cut = [b.n, i.n].iter().any(|n| *n as u64 + left_out >= limit);
    let cut = is_cut
        .then(|| format!("At most the newest {} executions of each range are compared here.", text::count(limit)));
    let carried = if is_different(&compared) { slices.finish() } else { Vec::new() };
    let notes = carried.iter().take(TOLD).map(slice_sentence).chain(notes).chain(cut).collect();
    Ok(Some(tui::dash::Compared { answer, causes: named.iter().map(item).collect(), notes, command }))
}

fn machine(reader: &Reader, wanted: Option<&str>) -> Result<Name, Failure> {
    if let Some(wanted) = wanted {
        return select::machine(reader, wanted);
    }
    let machines = reader.machines(None, None)?;
    match machines.as_slice() {
        [only] => Ok(only.arn.as_str().into()),
        many => {
            let names = many.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(", ");
            Err(Failure::usage("say which machine to compare").hint(format!("these are stored: {names}")))
        }
    }
}

fn sides(context: &Context, reader: &Reader, machine: &Name, arguments: &CompareArguments) -> Result<Sides, Failure> {
    let filter = |(since, until): (Timestamp, Timestamp)| ExecutionFilter {
        machine_arn: Some(machine.clone()),
        since: Some(since),
        until: Some(until),
        ..ExecutionFilter::default()
    };
    let between =
        |chosen: String, baseline, incident| Sides { baseline: filter(baseline), incident: filter(incident), chosen };
    if let (Some(baseline), Some(incident)) = (&arguments.baseline, &arguments.incident) {
        return Ok(between(String::new(), parse(context, baseline)?, parse(context, incident)?));
    }
    if let Some(around) = &arguments.around {
        let at = when::instant(around, context.now()?)?;
        return Ok(between(String::new(), (at - AROUND, at), (at, at + AROUND)));
    }
    if let Some(versions) = &arguments.versions {
        let (old, new) = versions.split_once(',').ok_or_else(|| {
            Failure::usage(format!("`{versions}` names no two versions")).hint("write OLD,NEW, such as 3,4")
        })?;
        let of = |version: &str| ExecutionFilter {
            machine_arn: Some(machine.clone()),
            version: Some(version.trim().to_owned()),
            ..ExecutionFilter::default()
        };
        return Ok(Sides { baseline: of(old), incident: of(new), chosen: String::new() });
    }
    if let Some(label) = &arguments.since_deploy {
        let (chosen, baseline, incident) = around_deployment(reader, machine, label)?;
        return Ok(between(chosen, baseline, incident));
    }
    let newest = incidents::found(reader, machine, None, None)?.into_iter().max_by_key(|it| it.at);
    let Some(it) = newest else {
        return Err(Failure::usage(format!("nothing changed significantly in `{}`", short(machine))).hint(
            "give --baseline FROM/TO --incident FROM/TO, --around TIME or --versions OLD,NEW to compare anyway",
        ));
    };
    let chosen = format!(
        "The newest change of the {} was found at {}.",
        it.metric.replace('_', " ").replace(" ms", ""),
        analyzer::time::format(it.at)
    );
    Ok(between(chosen, it.baseline, it.incident))
}

/// The newest deployment with executions on both sides, and the ranges before and after it.
fn around_deployment(reader: &Reader, machine: &Name, label: &str) -> Result<(String, Span, Span), Failure> {
    let all = reader.deployments(machine)?;
    let own = reader.machines(None, None)?.into_iter().find(|it| it.arn == **machine);
    let (first, last) = own.and_then(|it| it.first_at.zip(it.last_at)).unwrap_or_default();
    let fits = |it: &&Deployment| label.is_empty() || it.label == label || it.label.ends_with(&format!(":{label}"));
    let chosen = all.iter().filter(fits).rfind(|it| it.at > first && it.at <= last).ok_or_else(|| {
        let hint =
            "`stepscope mark deploy --at TIME --label LABEL` notes one; versions and definitions count by themselves";
        Failure::usage(format!("no deployment of `{}` has executions before and after it", short(machine))).hint(hint)
    })?;
    let before = all.iter().map(|it| it.at).filter(|it| *it < chosen.at).max();
    let from = before.unwrap_or(first).max(Timestamp(chosen.at.0 - BEFORE_DEPLOYMENT.0));
    let to = all.iter().map(|it| it.at).filter(|it| *it > chosen.at).min().unwrap_or(Timestamp(last.0 + 1));
    let said = format!("The deployment: {}.", deployment_sentence(chosen));
    Ok((said, (from, chosen.at), (chosen.at, to)))
}

/// `FROM/TO`, each as `--since` takes it.
fn parse(context: &Context, text: &str) -> Result<(Timestamp, Timestamp), Failure> {
    let refuse = || {
        Failure::usage(format!("`{text}` is no range"))
            .hint("write FROM/TO, such as 2026-11-01T13:00Z/2026-11-01T14:00Z")
    };
    let (from, to) = text.split_once('/').ok_or_else(refuse)?;
    let now = context.now()?;
    let range = (when::instant(from.trim(), now)?, when::instant(to.trim(), now)?);
    if range.0 >= range.1 { Err(refuse()) } else { Ok(range) }
}

fn short(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

fn report(machine: &Name, it: &Explained, sides: &Sides, all: bool, rate: Option<Usd>) -> Report {
    let compared = &it.compared;
    let named: Vec<&Cause> = compared.causes.iter().filter(|it| all || it.is_named()).collect();
    let mut table = TextTable::with_columns(&[
        "#",
        "cause",
        "what",
        "#contribution",
        "#share",
        "95 % interval",
        "#q",
        "since (UTC)",
    ]);
    for (rank, it) in (1_u64..).zip(&named) {
        table.rows.push(cause_row(rank, it).into());
    }
    let mut fields = fields(machine, compared, sides, &named, all, it.left_out, rate);
    if let Some(cost) = fields.get_mut("cost") {
        cost["by_state"] = compared.transitions.iter().map(|it| billed_to_json(it, rate)).collect();
    }
    if let Some(failures) = fields.get_mut("failures") {
        failures["by_error"] = compared.failing.iter().map(failing_to_json).collect();
    }
    fields.insert("slices".to_owned(), it.slices.iter().map(slice_to_json).collect());
    fields.insert("errors".to_owned(), it.errors.iter().map(error_to_json).collect());
    fields.insert("deployments".to_owned(), it.deployments.iter().map(deployment_to_json).collect());
    let lines = footer(compared, &named, all, it.left_out);
    let beside = it
        .slices
        .iter()
        .take(TOLD)
        .map(slice_sentence)
        .chain(errors_told(it))
        .chain(it.deployments.iter().map(|it| format!("In the window: {}.", deployment_sentence(it))));
    let footer = std::iter::once(lines).chain(beside).collect::<Vec<_>>().join("\n");
    Report { command: "compare", fields, rows: "causes", table, heading: heading(machine, compared, sides), footer }
}

fn billed_to_json(it: &Billed, rate: Option<Usd>) -> Value {
    let usd = rate.map(|rate| ((it.after - it.before) * rate.as_f64() * 1e12).round() / 1e12);
    json!({
        "state": it.state.as_deref(), "baseline_mean_transitions": rounded(it.before),
        "incident_mean_transitions": rounded(it.after), "difference_usd": usd,
    })
}

fn failing_to_json(it: &Failing) -> Value {
    json!({
        "state": it.state.as_deref(), "error": it.error.as_str(), "baseline_rate": it.before, "incident_rate": it.after,
        "difference": it.after - it.before,
    })
}

/// The part of the executions of each side that met an error.
#[expect(clippy::cast_precision_loss, reason = "rates")]
fn rates(it: &Explained, error: &ErrorGroup) -> [f64; 2] {
    let of = |met: u64, n: usize| met as f64 / n.max(1) as f64;
    [of(error.executions[0], it.compared.baseline.n), of(error.executions[1], it.compared.incident.n)]
}

/// Errors that a larger part of the executions met than before.
fn errors_told(it: &Explained) -> impl Iterator<Item = String> {
    let risen = it.errors.iter().map(|error| (error, rates(it, error))).filter(|(_, rate)| rate[1] > rate[0] * 1.5);
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
    if !sides.chosen.is_empty() {
        heading = format!("{}\n{heading}", sides.chosen);
    }
    heading
}

/// The range on the clock of whoever asks; `None` where that is UTC, or not known.
fn local_range(since: Timestamp, until: Timestamp) -> Option<String> {
    let zone = TimeZone::try_system().ok()?;
    let local = |at: Timestamp| Some(jiff::Timestamp::from_microsecond(at.0).ok()?.to_zoned_datetime(zone.clone()));
    let (since, until) = (local(since)?, local(until)?);
    let is_utc = since.offset() == Offset::UTC && until.offset() == Offset::UTC;
    (!is_utc).then(|| format!("{} to {}", since.strftime("%Y-%m-%d %H:%M"), until.strftime("%Y-%m-%d %H:%M %Z")))
}

/// The page to hand on.
fn page_of(reader: &Reader, machine: &Name, it: &Explained, sides: &Sides, told: &Report) -> Result<Page, Failure> {
    let (b, i) = (&it.compared.baseline, &it.compared.incident);
    let range = |filter: &ExecutionFilter| match (filter.since, filter.until, &filter.version) {
        (_, _, Some(version)) => format!("version {version}"),
        (from, to, None) => format!("{} to {}", minute(from), minute(to)),
    };
    let pair = |of: &dyn Fn(&SideSummary) -> String| format!("{} → {}", of(b), of(i));
    let local = |filter: &ExecutionFilter| local_range(filter.since?, filter.until?);
    let facts = [
        ("baseline", Some(format!("{} UTC, {} runs", range(&sides.baseline), text::count(b.n as u64)))),
        ("baseline, local time", local(&sides.baseline)),
        ("incident", Some(format!("{} UTC, {} runs", range(&sides.incident), text::count(i.n as u64)))),
        ("incident, local time", local(&sides.incident)),
        ("mean", Some(pair(&|it| ms(it.mean_ms)))),
        ("p50", Some(pair(&|it| text::opt_span(it.p50)))),
        ("p95", Some(pair(&|it| text::opt_span(it.p95)))),
        ("failed", Some(pair(&|it| text::percent(it.failed, it.n as u64)))),
    ];
    let ranges = sides.baseline.since.zip(sides.baseline.until).zip(sides.incident.since.zip(sides.incident.until));
    let chart = match ranges {
        Some((baseline, incident)) => {
            let series =
                incidents::series(reader, machine, Some(baseline.0.min(incident.0)), Some(baseline.1.max(incident.1)))?;
            series.map(|it| Chart { spans: it.spans, baseline, incident })
        }
        None => None,
    };
    let name = short(machine);
    let mut commands = vec![match ranges {
        Some((baseline, incident)) => format!(
            "stepscope compare {} --baseline {} --incident {}",
            text::quoted(name),
            incidents::range(baseline),
            incidents::range(incident)
        ),
        None => format!("stepscope compare {}", text::quoted(name)),
    }];
    let examples = it.compared.causes.iter().filter(|it| it.is_named()).filter_map(|it| it.evidence.first());
    let example = |arn: &Name| format!("stepscope show {}", text::quoted(arn.rsplit(':').next().unwrap_or(arn)));
    for command in examples.map(example).take(TOLD) {
        if !commands.contains(&command) {
            commands.push(command);
        }
    }
    Ok(Page {
        title: format!("{name}: what changed"),
        answer: told.heading.lines().map(str::to_owned).collect(),
        facts: facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
        sections: sections(it, told),
        commands,
        chart,
    })
}

fn sections(it: &Explained, told: &Report) -> Vec<Section> {
    let causes = Section {
        title: "Causes",
        said: "Contributions and the unexplained rest add up to the difference of the means. q is the false-alarm rate over \
               all that was asked."
            .to_owned(),
        columns: vec!["#", "cause", "what", "contribution", "share", "95 % interval", "q", "since (UTC)"],
        rows: told.table.rows.clone(),
    };
    let slices = Section {
        title: "Who carries it",
        said: if it.slices.is_empty() {
            "No part of the executions carries more of it than its size.".to_owned()
        } else {
            String::new()
        },
        columns: vec!["executions", "share of the difference", "part of the executions", "mean before", "mean after"],
        rows: it
            .slices
            .iter()
            .map(|it| {
                let percent = |it: f64| format!("{:.0} %", it * 100.0);
                vec![
                    slice_name(it),
                    percent(it.share),
                    percent(it.weight),
                    ms(it.mean_baseline_ms),
                    ms(it.mean_incident_ms),
                ]
            })
            .collect(),
    };
    let money = Section {
        title: "Transitions",
        said: "Mean billed transitions of an execution by state; the differences add up.".to_owned(),
        columns: vec!["state", "before", "after", "difference"],
        rows: it
            .compared
            .transitions
            .iter()
            .filter(|it| (it.after - it.before).abs() >= 0.005)
            .map(|it| {
                let state = it.state.as_deref().unwrap_or("redrives, Map Run children").to_owned();
                vec![
                    state,
                    format!("{:.2}", it.before),
                    format!("{:.2}", it.after),
                    format!("{:+.2}", it.after - it.before),
                ]
            })
            .collect(),
    };
    let errors = Section {
        title: "Errors",
        said: if it.errors.is_empty() {
            "None on either side.".to_owned()
        } else {
            "Executions that met each; ids, numbers and times in causes are masked.".to_owned()
        },
        columns: vec![
            "state",
            "error",
            "cause",
            "before",
            "after",
            "retried",
            "caught",
            "fatal",
            "first seen (UTC)",
            "last seen (UTC)",
        ],
        rows: it.errors.iter().map(error_row).collect(),
    };
    let deployments = Section {
        title: "Deployments in the window",
        said: if it.deployments.is_empty() { "None is known.".to_owned() } else { String::new() },
        columns: vec!["when (UTC)", "what"],
        rows: it.deployments.iter().map(|it| vec![minute(Some(it.at)), evidence::deployed(it)]).collect(),
    };
    // What has a section of its own is not said twice.
    let is_elsewhere = |line: &&str| {
        line.starts_with("See for yourself")
            || line.starts_with("In the window")
            || line.contains("% of the difference is carried")
    };
    let rest = told.footer.lines().filter(|it| !is_elsewhere(it));
    let notes =
        Section { title: "How sure", said: rest.collect::<Vec<_>>().join("\n"), columns: Vec::new(), rows: Vec::new() };
    vec![causes, slices, errors, money, deployments, notes]
}

fn error_row(it: &ErrorGroup) -> Vec<String> {
    vec![
        it.state.as_deref().unwrap_or("–").to_owned(),
        it.error.to_string(),
        it.cause.clone().unwrap_or_else(|| "–".to_owned()),
        text::count(it.executions[0]),
        text::count(it.executions[1]),
        text::count(it.retried),
        text::count(it.caught),
        text::count(it.fatal),
        minute(it.first_seen),
        minute(it.last_seen),
    ]
}

fn minute(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "–".to_owned(), |at| analyzer::time::format(at)[..16].replace('T', " "))
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
        it.first_seen.map_or_else(|| "–".to_owned(), |it| analyzer::time::format(it)[..16].replace('T', " ")),
    ]
}

fn footer(compared: &Compared, named: &[&Cause], all: bool, left_out: u64) -> String {
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
    if let Some(example) = named.first().and_then(|it| it.evidence.first()) {
        lines.push(format!("See for yourself: stepscope show '{example}'"));
    }
    if left_out > 0 {
        lines.push(format!("{} executions are left out: running, or not known in full.", text::count(left_out)));
    }
    lines.join("\n")
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

/// Milliseconds with at most three decimals.
fn rounded(ms: f64) -> f64 {
    (ms * 1e3).round() / 1e3
}

fn fields(
    machine: &Name,
    compared: &Compared,
    sides: &Sides,
    named: &[&Cause],
    all: bool,
    left_out: u64,
    rate: Option<Usd>,
) -> Map<String, Value> {
    let (b, i) = (&compared.baseline, &compared.incident);
    let side = |it: &SideSummary| {
        let ms = |it: Option<Micros>| it.map(Micros::as_millis);
        json!({"n": it.n, "p50_ms": ms(it.p50), "p95_ms": ms(it.p95), "mean_ms": it.mean_ms.map(rounded)})
    };
    let range = |it: &ExecutionFilter| json!({"from": it.since.map(analyzer::time::format), "to": it.until.map(analyzer::time::format), "version": it.version});
    let shift = compared
        .shift
        .map(|it| json!({"estimate": rounded(it.estimate), "low": rounded(it.low), "high": rounded(it.high)}));
    let failed = |it: &SideSummary| {
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = it.failed as f64 / it.n.max(1) as f64;
        json!({"n": it.n, "failed": it.failed, "rate": rate})
    };
    let failures = compared.failures;
    let paid = |it: &SideSummary| {
        let usd = it.mean_transitions.zip(rate).map(|(mean, rate)| mean * rate.as_f64());
        json!({"mean_transitions": it.mean_transitions.map(rounded), "mean_usd": usd.map(|it| (it * 1e12).round() / 1e12)})
    };
    let causes: Vec<Value> = (1_u64..).zip(named).map(|(rank, it)| cause_to_json(rank, it)).collect();
    let harmless = |it: &analyzer::compare::Harmless| json!({"state": it.state.as_str(), "before_ms": it.before.as_millis(), "after_ms": it.after.as_millis(), "reason": "not on the critical path"});
    [
        ("state_machine_arn", Value::from(machine.as_str())),
        ("baseline", range(&sides.baseline)),
        ("incident", range(&sides.incident)),
        (
            "latency",
            json!({"baseline": side(b), "incident": side(i), "shift_ms": shift, "p_value": compared.shift_p_value, "difference_ms": compared.difference_ms.map(rounded)}),
        ),
        (
            "failures",
            json!({
                "baseline": failed(b), "incident": failed(i), "p_value": failures.map(|it| it.1),
                "difference": failures.map(|it| json!({"estimate": it.0.estimate, "low": it.0.low, "high": it.0.high})),
            }),
        ),
        ("cost", json!({"baseline": paid(b), "incident": paid(i)})),
        ("causes", causes.into()),
        ("unexplained_ms", compared.unexplained_ms(all).map(rounded).into()),
        ("harmless", compared.harmless.iter().map(harmless).collect()),
        ("left_out", left_out.into()),
    ]
    .into_iter()
    .map(|(key, it)| (key.to_owned(), it))
    .collect()
}

fn cause_to_json(rank: u64, it: &Cause) -> Value {
    json!({
        "rank": rank,
        "state": it.state.as_deref(),
        "category": it.kind.as_str(),
        "error": it.error.as_deref(),
        "contribution_ms": rounded(it.contribution_ms),
        "contribution_share": it.share,
        "estimate": rounded(it.contribution_ms),
        "low": it.interval.map(|it| rounded(it.0)),
        "high": it.interval.map(|it| rounded(it.1)),
        "p_value": it.p_value,
        "q_value": it.q_value,
        "first_seen": it.first_seen.map(analyzer::time::format),
        "evidence": it.evidence.iter().map(Name::as_str).collect::<Vec<_>>(),
        "detail": it.detail,
    })
}
