//! What would a month cost less after a change? Each account is priced again, and its free tier counts once a month.

use std::collections::BTreeSet;

use analyzer::model::{Usd, WorkflowType};

use super::advice::{Advice, Adviser, Recommendation};
use crate::cli::bill::MachineCost;
use crate::failure::Failure;

/// A change to a machine, with amounts of what was measured.
#[derive(Clone, Copy)]
pub(super) enum Change {
    ToExpress {
        /// What its logs cost, and what they will at level ALL.
        logs: (Usd, Usd),
    },
    ToStandard {
        logs: Usd,
    },
    /// Some of its states become Express children.
    Parts {
        /// Transitions that are not made any more, at list price.
        removed: Usd,
        /// Those less what the children cost.
        saves: Usd,
    },
}

/// A month of an account: its transitions at list price, and everything that knows no free tier.
#[derive(Clone, Copy, Default)]
struct AccountMonth {
    transitions: Usd,
    rest: Usd,
}

impl AccountMonth {
    fn net(self, free: Usd) -> Usd {
        (self.transitions - free).max(Usd::ZERO) + self.rest
    }
}

impl Adviser<'_> {
    /// What these changes save together in a month, less than nothing where they cost more; `None` where a month of one of
    /// the machines is not known.
    pub(super) fn saves_a_month(&self, changes: &[(&MachineCost, Change)]) -> Result<Option<Usd>, Failure> {
        let mut saves = Usd::ZERO;
        let accounts: BTreeSet<&str> = changes.iter().map(|it| it.0.machine.account.as_str()).collect();
        for account in accounts {
            let own: Vec<(&MachineCost, Change)> =
                changes.iter().filter(|it| it.0.machine.account == account).copied().collect();
            let Some(less) = self.saves_in_account(account, &own)? else { return Ok(None) };
            saves += less;
        }
        Ok(Some(saves))
    }

    fn saves_in_account(&self, account: &str, changes: &[(&MachineCost, Change)]) -> Result<Option<Usd>, Failure> {
        let is_of_account = |it: &&MachineCost| it.machine.account == account;
        let mut before = AccountMonth::default();
        for it in self.all.iter().filter(is_of_account).filter(|it| it.machine.workflow_type == WorkflowType::Standard)
        {
            // Of one that nothing is known of, nothing is used up.
            before.transitions += self.month_as(it, WorkflowType::Standard)?.unwrap_or_default();
        }
        let mut after = before;
        let mut paid = Usd::ZERO;
        for (it, change) in changes {
            let Some((own_before, own_after)) = self.months_of(it, *change)? else { return Ok(None) };
            before.rest += own_before.rest;
            after.rest += own_after.rest;
            after.transitions = after.transitions + own_after.transitions - own_before.transitions;
            paid += own_before.transitions + own_before.rest;
        }
        let free = self.free_tier_of(account);
        Ok(Some((before.net(free) - after.net(free)).min(paid)))
    }

    /// A month of one machine as it is and as it would be.
    fn months_of(&self, it: &MachineCost, change: Change) -> Result<Option<(AccountMonth, AccountMonth)>, Failure> {
        let own = AccountMonth::default();
        let standard = || self.month_as(it, WorkflowType::Standard);
        let month = |amount: Usd| self.monthly(it, amount);
        Ok(match change {
            Change::ToExpress { logs } => standard()?
                .zip(self.month_as(it, WorkflowType::Express)?)
                .zip(month(logs.0).zip(month(logs.1)))
                .map(|((transitions, express), (logs, all_logs))| {
                    (AccountMonth { transitions, rest: logs }, AccountMonth { rest: express + all_logs, ..own })
                }),
            Change::ToStandard { logs } => standard()?
                .zip(self.month_as(it, WorkflowType::Express)?)
                .zip(month(logs))
                .map(|((transitions, express), logs)| {
                    (AccountMonth { rest: express + logs, ..own }, AccountMonth { transitions, ..own })
                }),
            Change::Parts { removed, saves } => {
                standard()?.zip(month(removed).zip(month(saves))).map(|(transitions, (removed, saves))| {
                    let after = AccountMonth { transitions: transitions - removed, rest: removed - saves };
                    (AccountMonth { transitions, ..own }, after)
                })
            }
        })
    }

    /// The free tier of an account's month that is not used elsewhere, in money.
    pub(super) fn free_tier_of(&self, account: &str) -> Usd {
        let mut own = self.all.iter().filter(|it| it.machine.account == account);
        let rate = own.find_map(|it| self.prices.book().standard(&it.region));
        rate.map_or(Usd::ZERO, |rate| rate.per_transition * self.prices.free_transitions())
    }

    /// What a recommendation is, as a change.
    pub(super) fn change(&self, it: &MachineCost, advice: &Advice) -> Option<Change> {
        let logs = self.present_logs(it);
        match advice.recommendation {
            Recommendation::MoveToExpress => {
                Some(Change::ToExpress { logs: (logs, advice.as_other.logs.map_or(Usd::ZERO, |it| it.usd)) })
            }
            Recommendation::MoveToStandard => Some(Change::ToStandard { logs }),
            Recommendation::MoveParts => Some(Change::Parts {
                removed: advice.hybrid.iter().map(|it| it.removed).sum(),
                saves: advice.hybrid.iter().map(|it| it.saves).sum(),
            }),
            Recommendation::Stay | Recommendation::Unknown => None,
        }
    }

    /// What all that is recommended saves together in a month.
    pub(super) fn saves_together<'b>(
        &self,
        all: impl Iterator<Item = (&'b MachineCost, &'b Advice)>,
    ) -> Result<Option<Usd>, Failure> {
        let changes: Vec<(&MachineCost, Change)> =
            all.filter_map(|(it, advice)| Some((it, self.change(it, advice)?))).collect();
        self.saves_a_month(&changes)
    }
}
