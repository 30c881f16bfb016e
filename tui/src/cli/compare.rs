//! `compare`: a baseline against an incident. What changed, where, since when, and how sure is that?

use analyzer::compare::{Cause, CauseKind, Compared, Comparison, Side, SideSummary};
use analyzer::model::{Micros, Name, Timestamp, Usd};
use clap::Args;
use queries::{ExecutionFilter, Reader};
use serde_json::{Map, Value, json};
use tui::text;

use super::bill::Prices;
use super::coverage::Coverage;
use super::show::for_each_run;
use super::{Context, incidents, select, when};
use crate::Outcome;
use crate::failure::Failure;
use crate::report::{Report, TextTable};

/// How long before and after `--around` is looked at.
const AROUND: Micros = Micros(3_600_000_000);

#[derive(Args)]
pub(crate) struct CompareArguments {
    /// A state machine: its ARN, its name, or a unique part of it; not needed when only one is stored.
    machine: Option<String>,
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
    /// List also what is not significant.
    #[arg(long)]
    all: bool,
}

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
    let machine = machine(&reader, arguments.machine.as_deref())?;
    let sides = sides(context, &reader, &machine, arguments)?;
    let (compared, left_out) = compared(&reader, &sides.baseline, &sides.incident)?;
    if compared.baseline.n == 0 || compared.incident.n == 0 {
        let which = if compared.baseline.n == 0 { "baseline" } else { "incident" };
        return Err(Failure::usage(format!(
            "no closed and complete execution of `{}` is in the {which}",
            short(&machine)
        ))
        .hint("`stepscope executions` lists what is stored, `stepscope incidents` proposes ranges"));
    }
    let rate = Prices::new(context)?.transitions(&machine, 1);
    let mut told = report(&machine, &compared, &sides, arguments.all, left_out, rate);
    let covered = |it: &ExecutionFilter| Coverage::load(&reader, it.since, it.until);
    let (baseline, incident) = (covered(&sides.baseline)?, covered(&sides.incident)?);
    let coverage = json!({"baseline": baseline.of(&machine), "incident": incident.of(&machine)});
    told.fields.insert("coverage".to_owned(), coverage);
    incident.tell(&mut told, Some(&machine));
    Ok(told)
}

/// Both sides against each other, and how many executions are left out: running, or not known in full.
fn compared(
    reader: &Reader,
    baseline: &ExecutionFilter,
    incident: &ExecutionFilter,
) -> Result<(Compared, u64), Failure> {
    let mut comparison = Comparison::default();
    let mut left_out = 0_u64;
    for (side, filter) in [(Side::Baseline, baseline), (Side::Incident, incident)] {
        let mut rows = reader.executions(filter)?;
        let n_all = rows.len();
        rows.retain(|it| it.status.is_closed() && it.complete);
        left_out += (n_all - rows.len()) as u64;
        for_each_run(reader, &rows, |_, run| {
            comparison.add(run, side);
            Ok(())
        })?;
    }
    Ok((comparison.finish(), left_out))
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
    let (compared, left_out) = compared(reader, &filter(baseline), &filter(incident))?;
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
    let notes = notes.chain(cut).collect();
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

fn report(machine: &Name, compared: &Compared, sides: &Sides, all: bool, left_out: u64, rate: Option<Usd>) -> Report {
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
    Report {
        command: "compare",
        fields: fields(machine, compared, sides, &named, all, left_out, rate),
        rows: "causes",
        table,
        heading,
        footer: footer(compared, &named, all, left_out),
    }
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
