//! What would a state machine cost as the other type? One figure, wherever it is shown.
//!
//! The machine's executions leave their pool and take their places in the other one, in the order of time, and the account is priced again.

use std::collections::BTreeMap;

use analyzer::model::{Usd, WorkflowType};
use analyzer::pricing::{ExpressBill, log_ingestion};
use queries::MachineMeasures;

use super::advice::{Adviser, ExpressLogs, ObservingCost};
use crate::cli::bill::{Line, MachineCost, Swapped};
use crate::failure::Failure;

/// Bytes of a logged event where none was measured.
const EVENT_BYTES: u64 = 446;

/// A state machine as the type that it is not.
#[derive(Clone, Copy)]
pub(crate) struct AsOther {
    /// What Express costs by requests and duration; `None` where that is not known.
    pub(crate) express: Option<ExpressBill>,
    /// What logging every event would cost, which an Express machine's timelines need.
    pub(crate) logs: Option<ExpressLogs>,
    /// It cannot be that type.
    pub(crate) is_blocked: bool,
    /// What was paid, with the logs that there are.
    pub(crate) of: Option<Usd>,
    /// How much less the other type would have cost: less than nothing where it costs more, also where others of the account
    /// pay more for it, since the free tier is theirs no longer.
    pub(crate) saves: Option<Usd>,
}

impl AsOther {
    /// As Express, with logs at level ALL.
    pub(crate) fn express_with_logs(&self) -> Option<Usd> {
        Some(self.express?.total() + self.logs?.usd)
    }
}

/// Several state machines as the other type at once.
pub(super) struct Together {
    /// Those that can be.
    pub(super) machines: u64,
    pub(super) blocked: u64,
    /// What they paid, with their logs, and what they would have.
    pub(super) before: Option<Usd>,
    pub(super) usd: Option<Usd>,
    pub(super) logs: Option<Usd>,
    /// How much less that is, and less what other machines of the accounts would have paid more.
    pub(super) saves: Option<Usd>,
    /// What others would have paid less, since the free tier and the tiers are theirs.
    pub(super) others_save: Usd,
}

impl Adviser<'_> {
    /// A machine as the other type.
    pub(super) fn as_other(&self, it: &MachineCost, is_blocked: bool) -> Result<AsOther, Failure> {
        let measures = self.measures.get(&it.machine.arn).cloned().unwrap_or_default();
        let logs = self.express_logs(it, &measures);
        let other = AsOther { express: it.express, logs, is_blocked, of: self.paid_with_logs(it), saves: None };
        let would = match it.machine.workflow_type {
            WorkflowType::Standard => other.express_with_logs(),
            WorkflowType::Express => it.standard.map(|it| it.net()),
        };
        let saves = other.of.zip(would).map(|(of, would)| of - would);
        let is_promising = it.machine.workflow_type == WorkflowType::Express && saves.is_some_and(|it| it > Usd::ZERO);
        let of_others = if is_promising {
            let swapped = Swapped::from([it.machine.arn.clone()]);
            self.of_others(&self.ledger.by_machine(&Swapped::new())?, &self.ledger.by_machine(&swapped)?, &swapped)
        } else {
            Usd::ZERO
        };
        Ok(AsOther { saves: saves.map(|it| it + of_others.min(Usd::ZERO)), ..other })
    }

    /// What the machines that stay as they are would have paid less, or more, where others change.
    fn of_others(&self, before: &BTreeMap<String, Line>, after: &BTreeMap<String, Line>, swapped: &Swapped) -> Usd {
        let stays = |arn: &String| {
            let it = self.all_types.get(arn)?;
            let of = |line: &Line| match it {
                WorkflowType::Standard => line.standard.map(|it| it.net()),
                WorkflowType::Express => line.express.map(|it| it.total()),
            };
            Some(of(before.get(arn)?)? - of(after.get(arn)?)?)
        };
        before.keys().filter(|it| !swapped.contains(*it)).filter_map(stays).sum()
    }

    /// What was paid for the executions of a machine and for their logs.
    fn paid_with_logs(&self, it: &MachineCost) -> Option<Usd> {
        Some(it.actual? + self.present_logs(it))
    }

    pub(super) fn present_logs(&self, it: &MachineCost) -> Usd {
        let ObservingCost { logs, .. } = self.observing_cost(it);
        logs.unwrap_or(Usd::ZERO)
    }

    /// These machines as a type, those left out that are blocked.
    pub(super) fn together(&self, all: &[(&MachineCost, AsOther)], as_type: WorkflowType) -> Result<Together, Failure> {
        let others = all.iter().filter(|it| it.0.machine.workflow_type != as_type);
        let (blocked, moved): (Vec<&(&MachineCost, AsOther)>, Vec<_>) = others.partition(|it| it.1.is_blocked);
        let swapped: Swapped = moved.iter().map(|it| it.0.machine.arn.clone()).collect();
        let (before, after) = (self.ledger.by_machine(&Swapped::new())?, self.ledger.by_machine(&swapped)?);
        let own = |arn: &str| after.get(arn).map(|it| (it.standard, it.express));
        let price = |(it, _): &&(&MachineCost, AsOther)| {
            // What cannot be priced by itself cannot be together with others.
            let (standard, express) = own(&it.machine.arn)?;
            match as_type {
                WorkflowType::Standard => Some(it.standard.and(standard)?.net()),
                WorkflowType::Express => Some(it.express.and(express)?.total()),
            }
        };
        let logs = |(_, other): &&(&MachineCost, AsOther)| match as_type {
            WorkflowType::Standard => Some(Usd::ZERO),
            WorkflowType::Express => Some(other.logs?.usd),
        };
        let usd: Option<Usd> = moved.iter().map(price).sum();
        let logs: Option<Usd> = moved.iter().map(logs).sum();
        let of_others = self.of_others(&before, &after, &swapped);
        let paid: Option<Usd> = moved.iter().map(|it| it.1.of).sum();
        let would = usd.zip(logs).map(|(usd, logs)| usd + logs);
        Ok(Together {
            machines: moved.len() as u64,
            blocked: blocked.len() as u64,
            before: paid,
            usd,
            logs,
            saves: paid.zip(would).map(|(paid, would)| paid - would + of_others.min(Usd::ZERO)),
            others_save: of_others.max(Usd::ZERO),
        })
    }

    fn express_logs(&self, it: &MachineCost, measures: &MachineMeasures) -> Option<ExpressLogs> {
        let rates = self.prices.book().logs(&it.region)?;
        let is_measured = measures.logged_events > 0;
        // What is not logged is taken to be as long as what is.
        let bytes = if is_measured {
            u128::from(measures.log_bytes) * u128::from(measures.events) / u128::from(measures.logged_events)
        } else {
            u128::from(measures.events) * u128::from(EVENT_BYTES)
        };
        let usd = log_ingestion(u64::try_from(bytes).unwrap_or(u64::MAX), rates);
        (measures.events > 0).then_some(ExpressLogs { usd, is_measured })
    }
}
