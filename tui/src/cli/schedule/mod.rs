//! `schedule`: reports on a schedule, and where they go.

mod plan;

use std::path::{Path, PathBuf};
use std::time::Duration;

use analyzer::model::Timestamp;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use tui::text;

use super::deliveries::{self, Parcel, file_name, send_all};
use super::report::{self, Kind};
use super::{Context, select, state_file, when};
use crate::Outcome;
use crate::failure::Failure;
use crate::report::page;
use crate::report::{Output, Report, TextTable, sentences};
use plan::{Owed, Schedule};

/// How long all reports of a run to one delivery may take, unless it has a limit of its own: they have pages with them.
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Args)]
pub(crate) struct ScheduleArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Add a schedule.
    Add(AddArguments),
    /// List the schedules, when each ran and when it will.
    List,
    /// Make what is due, once however often it was missed; or the one that is named, now.
    Run { name: Option<String> },
    /// Remove a schedule.
    Remove { name: String },
    /// Print the crontab line that runs what is due, or write a systemd timer.
    Install {
        /// Write `stepscope.service` and `stepscope.timer` into this folder, such as ~/.config/systemd/user.
        #[arg(long, value_name = "FOLDER")]
        systemd: Option<PathBuf>,
    },
}

#[derive(Args)]
struct AddArguments {
    /// Minute, hour, day of the month, month, day of the week, such as '0 7 * * MON'.
    #[arg(long)]
    cron: String,
    /// What to make.
    #[arg(long)]
    report: Kind,
    /// Where to: names of deliveries in the configuration, or folders; may be repeated.
    #[arg(long, required = true, value_name = "DELIVERY")]
    to: Vec<String>,
    /// A state machine; all of them without it.
    #[arg(long)]
    machine: Option<String>,
    /// The length of the period that ends when it is due.
    #[arg(long, value_name = "SPAN", default_value = "7d")]
    period: String,
    /// Where the hours of the clock are, such as Europe/Berlin.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: String,
    /// What to call it [default: the report's kind].
    #[arg(long)]
    name: Option<String>,
}

pub(crate) fn run(context: &Context, arguments: &ScheduleArguments) -> Outcome {
    let path = path(context);
    match &arguments.action {
        Action::Add(it) => add(context, &path, it)?,
        Action::List => {
            listed(&state_file::load::<Vec<Schedule>>(&path)?, context.now()?)?.print(context.output)?;
        }
        Action::Run { name } => return make(context, &path, name.as_deref()),
        Action::Remove { name } => {
            let _alone = state_file::patiently(&path)?;
            let mut all: Vec<Schedule> = state_file::load(&path)?;
            let before = all.len();
            all.retain(|it| it.name != *name);
            if all.len() == before {
                return Err(unknown(name));
            }
            state_file::store(&path, &all)?;
        }
        Action::Install { systemd } => install(context, systemd.as_deref())?,
    }
    Ok(0)
}

fn path(context: &Context) -> PathBuf {
    state_file::path(context, "schedules.json")
}

fn unknown(name: &str) -> Failure {
    Failure::usage(format!("there is no schedule `{name}`")).hint("`stepscope schedule list` lists them")
}

fn add(context: &Context, path: &Path, it: &AddArguments) -> Result<(), Failure> {
    let _alone = state_file::patiently(path)?;
    let mut all: Vec<Schedule> = state_file::load(path)?;
    let name = it.name.clone().unwrap_or_else(|| it.report.as_str().to_owned());
    if all.iter().any(|known| known.name == name) {
        return Err(Failure::usage(format!("there is a schedule `{name}` already")).hint("name this one: --name NAME"));
    }
    if when::span(&it.period).is_none_or(|it| it <= analyzer::model::Micros::ZERO) {
        return Err(Failure::usage(format!("invalid period `{}`", it.period)).hint("use 90m, 24h, 7d"));
    }
    for to in &it.to {
        let is_known = context.config.deliveries.iter().any(|known| known.name == *to);
        if !is_known && !is_folder(to) {
            return Err(Failure::usage(format!("there is no delivery `{to}`"))
                .hint("name it under `[[deliveries]]` in the configuration, or give a folder such as ./reports"));
        }
    }
    let now = context.now()?;
    let schedule = Schedule {
        name,
        cron: it.cron.clone(),
        time_zone: it.time_zone.clone(),
        report: it.report.as_str().to_owned(),
        machine: it.machine.clone(),
        period: it.period.clone(),
        to: it
            .to
            .iter()
            .map(|to| if is_folder(to) { absolute(to) } else { Ok(to.clone()) })
            .collect::<Result<_, _>>()?,
        done_until: now.0,
        owed: None,
    };
    let next = schedule.next_after(now)?;
    eprintln!("`{}` runs next at {}", schedule.name, analyzer::time::format(next));
    all.push(schedule);
    state_file::store(path, &all)
}

/// What the clock starts begins in another folder.
fn absolute(path: &str) -> Result<String, Failure> {
    Ok(std::path::absolute(path)?.to_string_lossy().into_owned())
}

/// A path, not the name of a delivery.
fn is_folder(to: &str) -> bool {
    to.contains(std::path::MAIN_SEPARATOR)
}

fn listed(all: &[Schedule], now: Timestamp) -> Result<Report, Failure> {
    let mut table = TextTable::with_columns(&["schedule", "cron", "zone", "report", "period", "to", "next (UTC)"]);
    let mut schedules: Vec<Value> = Vec::new();
    for it in all {
        let next = it.next_after(now)?;
        table.rows.push(vec![
            it.name.clone(),
            it.cron.clone(),
            it.time_zone.clone(),
            it.machine.as_ref().map_or_else(|| it.report.clone(), |machine| format!("{} {machine}", it.report)),
            it.period.clone(),
            it.to.join(", "),
            text::minute(next),
        ]);
        schedules.push(json!({
            "name": it.name, "cron": it.cron, "time_zone": it.time_zone, "report": it.report, "machine": it.machine,
            "period": it.period, "to": it.to, "next_at": analyzer::time::format(next),
            "due_at": it.due(now)?.map(analyzer::time::format),
            "undelivered": it.owed.as_ref().map(|it| json!({
                "period_end": analyzer::time::format(Timestamp(it.until)), "to": it.to, "attempts": it.attempts, "error": it.error,
            })),
        }));
    }
    let heading =
        if all.is_empty() { "No schedules; `stepscope schedule add` adds one.".to_owned() } else { String::new() };
    let footer: Vec<String> = all
        .iter()
        .filter_map(|it| {
            let owed = it.owed.as_ref()?;
            let (until, to) = (text::minute(Timestamp(owed.until)), owed.to.join(", "));
            Some(format!("`{}` of the period until {until} UTC is not delivered to {to}: {}.", it.name, owed.error))
        })
        .collect();
    let fields = [("schedules".to_owned(), schedules.into())].into_iter().collect();
    Ok(Report { command: "schedule", fields, rows: "schedules", table, heading, footer: sentences(footer) })
}

/// Makes what is due, and what deliveries have not received. A schedule that fails keeps its turn, and the others get theirs. The file is free while
/// reports are made and sent.
fn make(context: &Context, path: &Path, name: Option<&str>) -> Outcome {
    let Some(_run) = state_file::at_once(path, "run")? else {
        // Another process makes what is due just now. What was asked for by name would not be made.
        return name.map_or(Ok(0), |name| {
            Err(Failure::new(format!("`{name}` was not made: another process is making reports"))
                .hint("run it again when that process has ended"))
        });
    };
    let all: Vec<Schedule> = state_file::load(path)?;
    let now = context.now()?;
    if let Some(name) = name.filter(|name| !all.iter().any(|it| it.name == *name)) {
        return Err(unknown(name));
    }
    let mut failed = None;
    let mut fail = |it: &Schedule, failure: Failure| {
        eprintln!("`{}`: {}", it.name, failure.in_a_line());
        failed.get_or_insert(failure);
    };
    for it in &all {
        let is_named = name.is_some_and(|name| it.name == name);
        if name.is_some() && !is_named {
            continue;
        }
        let turn = match turn(it, is_named, now) {
            Ok(Some(turn)) => turn,
            Ok(None) => continue,
            Err(failure) => {
                fail(it, failure);
                continue;
            }
        };
        let undelivered = match one(context, it, &turn) {
            Ok(undelivered) => undelivered,
            // It could not be made: it keeps its turn.
            Err(failure) => {
                fail(it, failure);
                continue;
            }
        };
        let arrived: Vec<&str> =
            turn.to.iter().filter(|to| !undelivered.iter().any(|it| it.0 == **to)).map(String::as_str).collect();
        let period = format!("`{}` of the period until {} UTC", it.name, text::minute(turn.until));
        if !arrived.is_empty() {
            eprintln!("{period}: delivered to {}", arrived.join(", "));
        }
        if let (Some(old), false) = (&it.owed, is_named)
            && old.until != turn.until.0
        {
            let until = text::minute(Timestamp(old.until));
            eprintln!(
                "`{}` of the period until {until} UTC: not delivered to {}, and now replaced",
                it.name,
                old.to.join(", ")
            );
        }
        if !is_named {
            remember(path, it, &turn, &undelivered, now)?;
        }
        if let Some(failure) = deliveries::failed(&undelivered) {
            fail(it, failure);
        }
    }
    failed.map_or(Ok(0), Err)
}

/// A report that is to be made now.
struct Turn {
    until: Timestamp,
    to: Vec<String>,
}

/// What a schedule asks for now: the report that is due, or the one that some deliveries have not received.
fn turn(it: &Schedule, is_named: bool, now: Timestamp) -> Result<Option<Turn>, Failure> {
    if is_named {
        return Ok(Some(Turn { until: now, to: it.to.clone() }));
    }
    if let Some(until) = it.due(now)? {
        return Ok(Some(Turn { until, to: it.to.clone() }));
    }
    let owed = it.owed.as_ref().filter(|owed| owed.retry_at <= now.0);
    Ok(owed.map(|owed| Turn { until: Timestamp(owed.until), to: owed.to.clone() }))
}

/// Notes which report is done with, and who has not received it.
fn remember(
    path: &Path,
    made: &Schedule,
    turn: &Turn,
    undelivered: &[(String, String)],
    now: Timestamp,
) -> Result<(), Failure> {
    let _alone = state_file::patiently(path)?;
    let mut all: Vec<Schedule> = state_file::load(path)?;
    // It may have been removed, or replaced, while the report was made.
    if let Some(it) = all.iter_mut().find(|it| it.name == made.name && it.done_until == made.done_until) {
        it.done_until = it.done_until.max(turn.until.0);
        it.owed = undelivered.first().map(|(_, why)| {
            let to = undelivered.iter().map(|it| it.0.clone()).collect();
            Owed::after(made.owed.as_ref(), turn.until, to, why.clone(), now)
        });
        state_file::store(path, &all)?;
    }
    Ok(())
}

/// Makes one report of the period that ends at an instant, and sends it; returns who has not received it, and why.
fn one(context: &Context, it: &Schedule, turn: &Turn) -> Result<Vec<(String, String)>, Failure> {
    let reader = context.reader()?;
    let kind = Kind::from_str(&it.report, true).map_err(Failure::usage)?;
    let length = when::span(&it.period).unwrap_or_default();
    let asked = report::Asked {
        machine: select::optional_machine(&reader, it.machine.as_deref())?,
        ..report::of_period((turn.until - length, turn.until))
    };
    let told = report::told(context, &reader, kind, &asked)?;
    let stamp = text::minute(turn.until).replace(' ', "T").replace(':', "");
    let parcel = Parcel {
        file: format!("{}-{stamp}.html", file_name(&it.name)),
        text: format!("{}\n{}", told.page.title, told.page.answer.join(" ")),
        json: serde_json::from_str(&told.report.to_text(Output::Json)?).map_err(std::io::Error::from)?,
        page: Some(page::to_html(&told.page).into_bytes()),
    };
    let parcels = turn.to.iter().map(|to| (to.clone(), parcel.clone())).collect();
    let results = send_all(context, parcels, LIMIT);
    Ok(turn.to.iter().zip(results).filter_map(|(to, result)| Some((to.clone(), result.err()?.in_a_line()))).collect())
}

/// How the system's clock runs what is due.
fn install(context: &Context, systemd: Option<&Path>) -> Result<(), Failure> {
    let binary = std::env::current_exe()?;
    let quoted = |path: &Path| -> Result<String, Failure> {
        Ok(tui::text::quoted(&std::path::absolute(path)?.to_string_lossy()))
    };
    let mut command = format!("{} --db {}", quoted(&binary)?, quoted(&context.config.db_path())?);
    if let Some(file) = &context.config.file {
        command += &format!(" --config {}", quoted(file)?);
    }
    command += " schedule run";
    let Some(folder) = systemd else {
        use std::io::Write;
        // A percent sign is the end of the line to cron.
        writeln!(crate::output::text(), "* * * * * {}", command.replace('%', "\\%"))?;
        eprintln!("add the line to `crontab -e`; schedules also run inside `collect --follow`");
        return Ok(());
    };
    std::fs::create_dir_all(folder)?;
    let service =
        format!("[Unit]\nDescription=stepscope's due reports\n\n[Service]\nType=oneshot\nExecStart={command}\n");
    let timer = "[Unit]\nDescription=stepscope's due reports, every minute\n\n[Timer]\nOnCalendar=*-*-* *:*:00\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n";
    std::fs::write(folder.join("stepscope.service"), service)?;
    std::fs::write(folder.join("stepscope.timer"), timer)?;
    eprintln!("written; `systemctl --user enable --now stepscope.timer` starts it");
    Ok(())
}

/// Whether anything may ever be due.
pub(crate) fn are_there_any(context: &Context) -> bool {
    path(context).exists()
}
