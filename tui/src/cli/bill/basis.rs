//! What the free tier in a bill rests on: everything of the account, or only what is stored.

use std::collections::BTreeMap;

use analyzer::model::{Timestamp, Usd, WorkflowType};
use analyzer::spans::{Span, Spans};
use serde_json::{Map, Value, json};
use tui::text;

use super::free_tier::month_of;
use super::ledger::{Kind, Ledger, Swapped};
use super::number;
use crate::failure::Failure;

/// The free tier of one account in one month.
pub(crate) struct FreeTierMonth {
    pub(crate) account: String,
    /// Such as `2026-11`.
    month: String,
    limit: u64,
    /// Transitions stored here that it covers, whether they are selected or not.
    used: u64,
    /// When it was used up.
    exhausted_at: Option<Timestamp>,
    /// Whether every state machine of the account is covered from the first instant of the month.
    pub(crate) is_whole: bool,
    /// What its transitions in the selection would have cost.
    pub(crate) usd: Usd,
}

impl FreeTierMonth {
    /// The most that the bill can be wrong because something is not stored: then none of it would be left.
    pub(crate) fn uncertainty(&self) -> Usd {
        if self.is_whole { Usd::ZERO } else { self.usd }
    }

    fn basis(&self) -> &'static str {
        if self.is_whole { "account" } else { "stored_part" }
    }

    fn to_json(&self) -> Value {
        json!({
            "account": self.account,
            "month": self.month,
            "transitions": self.limit,
            "used": self.used,
            "exhausted_at": self.exhausted_at.map(analyzer::time::format),
            "basis": self.basis(),
            "free_usd": number(self.usd),
            "uncertainty_usd": number(self.uncertainty()),
        })
    }
}

impl Ledger<'_> {
    /// The free tier in each account and month that the selection reaches.
    pub(crate) fn free_tier(&self) -> Result<Vec<FreeTierMonth>, Failure> {
        let mut free: BTreeMap<(String, Timestamp), Usd> = BTreeMap::new();
        for it in self.exceptions(&Swapped::new())?.iter().filter(|it| it.kind == Kind::Free) {
            if let Some(machine) = self.machines.get(it.of.machine_arn.as_str()) {
                *free.entry((machine.account.clone(), month_of(it.at))).or_default() += it.usd;
            }
        }
        let spans = self.reader.collected_spans()?;
        let logged_in_part = self.reader.logged_in_part()?;
        let mut found = Vec::new();
        for (account, months) in &self.accounts {
            for month in months.iter().filter(|it| self.limit(it.0) > 0) {
                let (used, exhausted_at) = self.free_tier_of(account, *month)?;
                let own = self.machines.values().filter(|it| {
                    it.account == *account && it.workflow_type == WorkflowType::Standard && !it.arn.contains('/')
                });
                let last = self.machines.values().filter(|it| it.account == *account).filter_map(|it| it.last_at).max();
                // What happened after the last free transition cannot change which ones are free.
                let to = exhausted_at.or(last).map_or(month.1, |it| Timestamp(it.0 + 1).min(month.1));
                let mut own = own.peekable();
                let is_known = own.peek().is_some();
                let is_whole = is_known
                    && own.all(|it| {
                        let from = it.created_at.map_or(month.0, |at| at.max(month.0));
                        let is_read = |source: &str| {
                            let own =
                                spans.iter().filter(|((of, subject), _)| of == source && is_about(subject, &it.arn));
                            let read: Spans = own.flat_map(|(_, (_, spans))| spans.as_slice()).copied().collect();
                            read.missing(Span { from, to }).is_empty()
                        };
                        is_read("history") || is_read("logs") && !logged_in_part.contains(&it.arn)
                    });
                found.push(FreeTierMonth {
                    account: account.clone(),
                    month: analyzer::time::month(month.0),
                    limit: self.limit(month.0),
                    used,
                    exhausted_at,
                    is_whole,
                    usd: free.get(&(account.clone(), month.0)).copied().unwrap_or_default(),
                });
            }
        }
        Ok(found)
    }
}

/// Whether what was collected tells of a machine: the subject is its ARN or, of logs, the group's ARN and the machine's name.
pub(crate) fn is_about(subject: &str, machine_arn: &str) -> bool {
    let place = |arn: &str| arn.split(':').skip(3).take(2).map(str::to_owned).collect::<Vec<_>>();
    let is_in = |(group, name): (&str, &str)| {
        machine_arn.rsplit(':').next() == Some(name) && place(group) == place(machine_arn)
    };
    subject == machine_arn || subject.rsplit_once(' ').is_some_and(is_in)
}

/// The free tier as a bill has it in JSON.
pub(crate) fn free_tier_fields(months: &[FreeTierMonth], fields: &mut Map<String, Value>) {
    let is_whole = months.iter().all(|it| it.is_whole);
    let basis = if is_whole { "account" } else { "stored_part" };
    let basis = if months.is_empty() { Value::Null } else { basis.into() };
    fields.insert("free_tier_basis".to_owned(), basis);
    let uncertainty: Usd = months.iter().map(FreeTierMonth::uncertainty).sum();
    fields.insert("free_tier_uncertainty_usd".to_owned(), number(uncertainty));
    fields.insert("free_tier".to_owned(), months.iter().map(FreeTierMonth::to_json).collect());
}

/// The same as a sentence, where something is not sure.
pub(crate) fn free_tier_note(months: &[FreeTierMonth]) -> Option<String> {
    let uncertainty: Usd = months.iter().map(FreeTierMonth::uncertainty).sum();
    (uncertainty > Usd::ZERO).then(|| {
        format!(
            "The free tier is counted over what is stored here, not over the whole account: up to {} more may have been \
             paid. `free_tier_used` says how many transitions a month are used up elsewhere.",
            text::usd(uncertainty)
        )
    })
}
