//! `report incident`: the newest change within the period, explained as `compare` does.

use queries::Reader;
use serde_json::Map;
use tui::text;

use super::{Asked, nothing};
use crate::cli::{Context, compare, incidents};
use crate::failure::Failure;
use crate::report::page::Page;
use crate::report::{Report, TextTable};

pub(super) fn told(context: &Context, reader: &Reader, asked: &Asked) -> Result<(Report, Page), Failure> {
    let mut changes = Vec::new();
    let mut n_machines = 0;
    for machine in reader.machines(Some(asked.before.0), Some(asked.period.1))? {
        if !asked.is_wanted(&machine.arn) {
            continue;
        }
        n_machines += 1;
        let found = incidents::found_of(reader, &machine, (Some(asked.before.0), Some(asked.period.1)))?;
        changes.extend(found.into_iter().filter(|it| it.at >= asked.period.0));
    }
    let Some(it) = incidents::newest(&changes) else {
        let said = if n_machines == 0 {
            nothing(reader)?
        } else {
            "No machine changed significantly in the period.".to_owned()
        };
        return Ok(quiet(said));
    };
    let (report, page) = compare::page_of_ranges(context, &it.machine, (it.baseline, it.incident))?;
    let mut page = page.unwrap_or_else(|| quiet(String::new()).1);
    let machine = it.machine.rsplit(':').next().unwrap_or(&it.machine);
    let since = text::minute(it.at);
    page.answer.insert(0, format!("`{machine}` changed at {since} UTC."));
    Ok((Report { footer: report.footer.clone(), ..report }, page))
}

/// When nothing happened.
fn quiet(said: String) -> (Report, Page) {
    let page = Page {
        title: String::new(),
        answer: vec![said],
        facts: Vec::new(),
        sections: Vec::new(),
        commands: vec!["stepscope incidents".to_owned()],
        chart: None,
    };
    let fields = Map::from_iter([("causes".to_owned(), Vec::<u8>::new().into())]);
    let (table, heading, footer) = (TextTable::default(), String::new(), String::new());
    (Report { command: "report", fields, rows: "causes", table, heading, footer }, page)
}
