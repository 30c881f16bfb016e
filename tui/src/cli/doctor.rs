//! `doctor`: what works, what does not, and what to do about it.

use std::path::Path;

use analyzer::model::{ApiUse, Micros, Timestamp};
use clap::Args;
use collector::live::{Check as LiveCheck, probe};
use queries::Reader;
use serde_json::{Value, json};
use tui::collecting::Colour;
use tui::text;

use super::aws::AwsArguments;
use super::collect::{SourceArguments, live_options};
use super::{Context, collector_state};
use crate::Outcome;
use crate::failure::EXIT_FAILED;
use crate::report::{Report, TextTable};

/// Prices older than this deserve a look.
const STALE: Micros = Micros(180 * 86_400_000_000);

#[derive(Args)]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    aws: AwsArguments,
    #[command(flatten)]
    sources: SourceArguments,
    /// Do not ask AWS.
    #[arg(long)]
    offline: bool,
}

/// A collector that ended longer ago is not looked at.
const A_DAY: Micros = Micros(86_400_000_000);

struct Check {
    what: String,
    /// `None` for what was not looked at.
    ok: Option<bool>,
    detail: String,
    fix: Option<String>,
}

pub(crate) fn run(context: &Context, arguments: &DoctorArguments) -> Outcome {
    let path = context.config.db_path();
    let has_db = context.config.has_db();
    arguments.aws.check_profiles()?;
    let mut checks = vec![database(&path, has_db), prices(context)?, collecting(context)];
    checks.extend(allowance(&path));
    checks.extend(service(context, arguments)?);
    let is_well = checks.iter().all(|it| it.ok != Some(false));
    report(&checks).print(context.output)?;
    Ok(if is_well { 0 } else { EXIT_FAILED })
}

fn database(path: &Path, has_db: bool) -> Check {
    let what = "database".to_owned();
    if !has_db {
        let detail = format!("`{}` does not exist yet", path.display());
        return Check {
            what,
            ok: Some(true),
            detail,
            fix: Some("`stepscope import` or `collect` makes it".to_owned()),
        };
    }
    let machines = Reader::open(path).and_then(|it| it.machines(None, None));
    match machines {
        Ok(machines) => {
            let executions: u64 = machines.iter().map(|it| it.executions).sum();
            let complete: u64 = machines.iter().map(|it| it.complete).sum();
            let detail = format!(
                "`{}`: {} machines, {} executions, {} of them known in full",
                path.display(),
                machines.len(),
                text::count(executions),
                text::count(complete)
            );
            Check { what, ok: Some(true), detail, fix: None }
        }
        Err(error) => {
            let fix = "give another file with --db, or end the process that has it open".to_owned();
            Check { what, ok: Some(false), detail: error.to_string(), fix: Some(fix) }
        }
    }
}

fn prices(context: &Context) -> Result<Check, crate::failure::Failure> {
    let books = context.price_books()?;
    let book = books.newest();
    let as_of = analyzer::time::parse(&book.as_of);
    let now = context.now()?;
    let is_stale = as_of.is_none_or(|it| now - it > STALE);
    let fix = is_stale.then(|| "`stepscope prices import` makes a book from AWS's current offer file".to_owned());
    Ok(Check {
        what: "prices".to_owned(),
        ok: Some(!is_stale),
        detail: format!("{} of {}, {} regions", book.source, book.as_of, book.regions().count()),
        fix,
    })
}

/// How the last collector of this database goes, or how it ended.
fn collecting(context: &Context) -> Check {
    let what = "collector".to_owned();
    let Some(state) = collector_state::read(context) else {
        let detail = "none has written to this database".to_owned();
        return Check { what, ok: None, detail, fix: None };
    };
    let now = collector_state::now();
    let light = state.light(now);
    let is_old = state.ended.as_ref().is_some_and(|it| now - Timestamp(it.at_us) > A_DAY);
    let ok = match light.colour {
        Colour::Off | Colour::Live => Some(true),
        Colour::Starting => None,
        Colour::Partly | Colour::Down => (!is_old).then_some(false),
    };
    let at = |at: Option<i64>| at.map_or_else(|| "never".to_owned(), |it| analyzer::time::format(Timestamp(it)));
    let answered = state.answered_at().map(|it| it.0);
    let next = light.next.iter().map(|it| format!("; {it}")).collect::<String>();
    let detail = format!("{}{next}; last answer {}, last stored {}", light.words, at(answered), at(state.stored_at_us));
    Check { what, ok, detail, fix: light.fix }
}

/// How much of its allowance the collector used when it last said so, where it waited or was throttled.
fn allowance(path: &Path) -> Vec<Check> {
    let uses =
        if path.exists() { Reader::open(path).and_then(|it| it.api_uses()).unwrap_or_default() } else { Vec::new() };
    uses.iter().filter(|it| it.waited_us > 100_000 || it.throttled > 0).map(of_use).collect()
}

fn of_use(it: &ApiUse) -> Check {
    let waited = text::span(Micros(it.waited_us));
    let detail = format!(
        "{} in {} {}: {} calls, {} throttled, waited {waited}, {:.1} calls a second allowed",
        it.api,
        it.account,
        it.region,
        text::count(it.calls),
        text::count(it.throttled),
        it.per_second
    );
    let fix = (it.throttled > 0).then(|| "others use this API, too: a lower --share leaves them more".to_owned());
    Check { what: "allowance".to_owned(), ok: Some(true), detail, fix }
}

fn service(context: &Context, arguments: &DoctorArguments) -> Result<Vec<Check>, crate::failure::Failure> {
    if arguments.offline {
        return Ok(vec![Check { what: "aws".to_owned(), ok: None, detail: "not asked".to_owned(), fix: None }]);
    }
    let options = live_options(context, &arguments.sources)?;
    let mut checks = Vec::new();
    for target in arguments.aws.targets(context, &[]) {
        let found = probe(&target, &options).map_err(|error| crate::failure::Failure::new(error.to_string()))?;
        checks.extend(found.into_iter().map(Check::from));
    }
    Ok(checks)
}

impl From<LiveCheck> for Check {
    fn from(it: LiveCheck) -> Self {
        Self { what: it.what, ok: it.ok, detail: it.detail, fix: it.fix }
    }
}

fn report(checks: &[Check]) -> Report {
    let mut table = TextTable::with_columns(&["", "what", "found", "what to do"]);
    let sign = |ok: Option<bool>| match ok {
        Some(true) => "ok",
        Some(false) => "wrong",
        None => "–",
    };
    for it in checks {
        table.rows.push(vec![
            sign(it.ok).to_owned(),
            it.what.clone(),
            it.detail.clone(),
            it.fix.clone().unwrap_or_default(),
        ]);
    }
    let line = |it: &Check| json!({"check": it.what, "ok": it.ok, "detail": it.detail, "fix": it.fix});
    Report {
        command: "doctor",
        fields: [("checks".to_owned(), checks.iter().map(line).collect::<Vec<Value>>().into())].into_iter().collect(),
        rows: "checks",
        table,
        heading: String::new(),
        footer: String::new(),
    }
}
