//! What did a change do to latency, failures and money? Two sides, in a few sentences.

use std::collections::BTreeMap;

use analyzer::compare::{CauseKind, Compared, SideSummary};
use analyzer::model::{Name, Usd};
use queries::{ExecutionFilter, Reader};
use serde_json::{Value, json};
use tui::text;

use super::beside::Beside;
use super::json::rounded;
use super::sides::Span;
use super::{Measured, before_and_after, by_transitions, cause_row, measured, signed};
use crate::cli::bill::{Prices, number};
use crate::failure::Failure;

/// Executions of each side that are looked at, the newest.
const LOOKED_AT: u64 = 20_000;
/// Causes that are told.
const TOLD: usize = 3;

/// The executions of a side.
pub(crate) enum Runs {
    Between(Span),
    Version(String),
}

pub(crate) struct Effect {
    compared: Compared,
    rate: Option<Usd>,
    is_cut: bool,
}

/// What happened in a state between two sides.
#[derive(Clone, Copy, Default)]
pub(crate) struct AtState {
    latency_ms: f64,
    failures: f64,
    transitions: f64,
}

impl AtState {
    fn is_nothing(self) -> bool {
        self.latency_ms.abs() < 0.5 && self.failures.abs() < 0.001 && self.transitions.abs() < 0.001
    }
}

/// Compares two sides; `None` where one has no closed and complete execution.
pub(crate) fn effect(
    reader: &Reader,
    prices: &Prices,
    machine: &Name,
    sides: [Runs; 2],
) -> Result<Option<Effect>, Failure> {
    let filters = sides.map(|it| {
        let all = ExecutionFilter {
            machine_arn: Some(machine.clone()),
            limit: Some(LOOKED_AT),
            ..ExecutionFilter::default()
        };
        match it {
            Runs::Between((since, until)) => ExecutionFilter { since: Some(since), until: Some(until), ..all },
            Runs::Version(version) => ExecutionFilter { version: Some(version), ..all },
        }
    });
    let Measured { compared, is_cut, is_express, .. } =
        measured(reader, [&filters[0], &filters[1]], &mut Beside::default())?;
    let has_both = compared.baseline.n > 0 && compared.incident.n > 0;
    let rate = by_transitions(prices.transitions(machine, 1), is_express);
    Ok(has_both.then_some(Effect { compared, rate, is_cut }))
}

impl Effect {
    /// The whole of it, and what it comes from.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let (b, i) = (&self.compared.baseline, &self.compared.incident);
        let paid = self
            .paid(b)
            .zip(self.paid(i))
            .map_or_else(String::new, |(b, i)| format!(", a million executions ${:.2} → ${:.2}", b * 1e6, i * 1e6));
        let differences = before_and_after(b, i).join(", ");
        let (n, n_before) = (text::count(i.n as u64), text::count(b.n as u64));
        let cut = if self.is_cut { ", the newest" } else { "" };
        let mut lines = vec![format!("{differences}{paid} ({n} executions against {n_before}{cut})")];
        let named: Vec<String> = self
            .compared
            .causes
            .iter()
            .filter(|it| it.is_named())
            .take(TOLD)
            .map(|it| {
                let [_, state, what, contribution, ..] = cause_row(0, it);
                format!("{state}: {what} {contribution}")
            })
            .collect();
        lines.push(if named.is_empty() { "no significant change".to_owned() } else { named.join("; ") });
        lines
    }

    fn paid(&self, side: &SideSummary) -> Option<f64> {
        side.mean_transitions.zip(self.rate).map(|(mean, rate)| mean * rate.as_f64())
    }

    /// What happened in each state: named latency, failures, transitions.
    pub(crate) fn by_state(&self) -> BTreeMap<Name, AtState> {
        let mut found: BTreeMap<Name, AtState> = BTreeMap::new();
        for it in self.compared.causes.iter().filter(|it| it.is_named()) {
            let is_latency = !matches!(it.kind, CauseKind::Errors | CauseKind::Version);
            if let Some(state) = it.state.as_ref().filter(|_| is_latency) {
                found.entry(state.clone()).or_default().latency_ms += it.contribution_ms;
            }
        }
        for it in &self.compared.failing {
            if let Some(state) = &it.state {
                found.entry(state.clone()).or_default().failures += it.after - it.before;
            }
        }
        for it in &self.compared.transitions {
            if let Some(state) = &it.state {
                found.entry(state.clone()).or_default().transitions += it.after - it.before;
            }
        }
        found.retain(|_, it| !it.is_nothing());
        found
    }

    /// What happened in a state, in words.
    pub(crate) fn told(&self, at: AtState) -> String {
        let mut parts = Vec::new();
        if at.latency_ms.abs() >= 0.5 {
            parts.push(format!("{} a run", signed(at.latency_ms)));
        }
        if at.failures.abs() >= 0.001 {
            parts.push(format!("{:+.1} % of the runs fail here", at.failures * 100.0));
        }
        if at.transitions.abs() >= 0.001 {
            let paid = self.rate.map_or_else(String::new, |rate| {
                format!(", {} a million runs", dollars(at.transitions * rate.as_f64() * 1e6))
            });
            parts.push(format!("{:+.2} transitions a run{paid}", at.transitions));
        }
        parts.join("; ")
    }

    pub(crate) fn state_to_json(&self, at: AtState) -> Value {
        json!({
            "latency_ms": rounded(at.latency_ms), "failure_rate": at.failures, "transitions": at.transitions,
            "usd": self.rate.map(|rate| at.transitions * rate.as_f64()),
        })
    }

    pub(crate) fn to_json(&self) -> Value {
        let it = &self.compared;
        let side = |it: &SideSummary| {
            json!({
                "n": it.n, "failed": it.failed, "mean_ms": it.mean_ms.map(rounded),
                "p50_ms": it.p50.map(analyzer::model::Micros::as_millis), "p95_ms": it.p95.map(analyzer::model::Micros::as_millis),
                "mean_transitions": it.mean_transitions,
            })
        };
        let causes = it.causes.iter().filter(|it| it.is_named()).map(|it| {
            json!({
                "state": it.state.as_deref(), "category": it.kind.as_str(), "error": it.error.as_deref(),
                "contribution_ms": rounded(it.contribution_ms), "q_value": it.q_value,
            })
        });
        json!({
            "before": side(&it.baseline), "after": side(&it.incident), "p_value": it.shift_p_value,
            "difference_ms": it.difference_ms.map(rounded), "per_transition_usd": self.rate.map(number),
            "causes": causes.collect::<Vec<_>>(),
        })
    }
}

/// An amount with its sign before the currency's.
fn dollars(amount: f64) -> String {
    format!("{}${:.2}", if amount < 0.0 { "-" } else { "+" }, amount.abs())
}
