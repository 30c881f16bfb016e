//! `schedule`: reports that are made by the clock, and where they go.

mod plan;

use std::path::{Path, PathBuf};

use analyzer::model::Timestamp;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::deliveries::{Parcel, file_name, send};
use super::report::{self, Kind};
use super::{Context, select, state_file, when};
use crate::Outcome;
use crate::failure::Failure;
use crate::report::page;
use crate::report::{Output, Report, TextTable};
use plan::Schedule;

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
    let _alone = match &arguments.action {
        // Somebody else makes what is due just now.
        Action::Run { .. } => match state_file::at_once(&path)? {
            Some(lock) => Some(lock),
            None => return Ok(0),
        },
        Action::Add(_) | Action::Remove { .. } => Some(state_file::patiently(&path)?),
        Action::List | Action::Install { .. } => None,
    };
    match &arguments.action {
        Action::Add(it) => add(context, &path, it)?,
        Action::List => listed(&state_file::load::<Vec<Schedule>>(&path)?, context.now()?)?.print(context.output)?,
        Action::Run { name } => return make(context, &path, name.as_deref()),
        Action::Remove { name } => {
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
    let mut all: Vec<Schedule> = state_file::load(path)?;
    let name = it.name.clone().unwrap_or_else(|| it.report.as_str().to_owned());
    if all.iter().any(|known| known.name == name) {
        return Err(Failure::usage(format!("there is a schedule `{name}` already")).hint("name this one: --name NAME"));
    }
    if when::span(&it.period).is_none_or(|it| it <= analyzer::model::Micros::ZERO) {
        return Err(Failure::usage(format!("`{}` is no span of time", it.period)).hint("use 90m, 24h, 7d"));
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
            analyzer::time::format(next)[..16].replace('T', " "),
        ]);
        schedules.push(json!({
            "name": it.name, "cron": it.cron, "time_zone": it.time_zone, "report": it.report, "machine": it.machine,
            "period": it.period, "to": it.to, "next_at": analyzer::time::format(next),
            "due_at": it.due(now)?.map(analyzer::time::format),
        }));
    }
    let heading =
        if all.is_empty() { "No schedules; `stepscope schedule add` adds one.".to_owned() } else { String::new() };
    let fields = [("schedules".to_owned(), schedules.into())].into_iter().collect();
    Ok(Report { command: "schedule", fields, rows: "schedules", table, heading, footer: String::new() })
}

/// Makes what is due. A schedule that fails keeps its turn, and the others get theirs.
fn make(context: &Context, path: &Path, name: Option<&str>) -> Outcome {
    let mut all: Vec<Schedule> = state_file::load(path)?;
    let now = context.now()?;
    if let Some(name) = name.filter(|name| !all.iter().any(|it| it.name == *name)) {
        return Err(unknown(name));
    }
    let mut failed = None;
    for place in 0..all.len() {
        let it = &all[place];
        let is_named = name.is_some_and(|name| it.name == name);
        let due = if is_named {
            Ok(Some(now))
        } else if name.is_none() {
            it.due(now)
        } else {
            Ok(None)
        };
        let due = due.unwrap_or_else(|failure| {
            eprintln!("`{}`: {}", it.name, failure.in_a_line());
            failed.get_or_insert(failure);
            None
        });
        let Some(due) = due else { continue };
        let made = one(context, it, due);
        let undelivered = match made {
            Ok(()) => None,
            Err(Unmade::Undelivered(failure)) => Some(failure),
            // It could not be made: it keeps its turn.
            Err(Unmade::Failed(failure)) => {
                eprintln!("`{}`: {}", it.name, failure.in_a_line());
                failed.get_or_insert(failure);
                continue;
            }
        };
        eprintln!("`{}` of {} is made", it.name, analyzer::time::format(due));
        if let Some(failure) = undelivered {
            // Those who got it are not to get it again and again.
            eprintln!("`{}`: {}", it.name, failure.in_a_line());
            failed.get_or_insert(failure);
        }
        if !is_named {
            all[place].done_until = due.0;
            state_file::store(path, &all)?;
        }
    }
    failed.map_or(Ok(0), Err)
}

/// Makes one report of the period that ends at an instant, and sends it.
fn one(context: &Context, it: &Schedule, at: Timestamp) -> Result<(), Unmade> {
    let parcel_of = || -> Result<(String, String, Vec<u8>, Value), Failure> {
        let reader = context.reader()?;
        let kind = Kind::from_str(&it.report, true).map_err(Failure::usage)?;
        let length = when::span(&it.period).unwrap_or_default();
        let asked = report::Asked {
            machine: select::optional_machine(&reader, it.machine.as_deref())?,
            ..report::of_period((at - length, at))
        };
        let told = report::told(context, &reader, kind, &asked)?;
        let html = page::to_html(&told.page);
        let stamp = analyzer::time::format(at)[..16].replace(':', "");
        let text = format!("{}\n{}", told.page.title, told.page.answer.join(" "));
        let json: Value = serde_json::from_str(&told.report.to_text(Output::Json)?).map_err(std::io::Error::from)?;
        Ok((format!("{}-{stamp}.html", file_name(&it.name)), text, html.into_bytes(), json))
    };
    let (file, text, html, json) = parcel_of().map_err(Unmade::Failed)?;
    send(context, &it.to, &Parcel { file, text: &text, json, page: Some(&html) }).map_err(Unmade::Undelivered)
}

/// Why a report did not get where it should.
enum Unmade {
    Failed(Failure),
    /// It was made, and somebody did not get it.
    Undelivered(Failure),
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
        writeln!(std::io::stdout(), "* * * * * {}", command.replace('%', "\\%"))?;
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
