//! Which parts are worth naming: each with its test, its interval and its examples.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use super::seen::{Part, Seen, Spent, State};
use super::{Cause, CauseKind, Comparison, Harmless};
use crate::model::{Micros, Name};
use crate::statistics::{Block, mann_whitney, mean_difference, proportions, van_elteren};
use crate::timeline::Category;

/// Of the executions of the baseline, and of the incident.
type Values = [Vec<i64>; 2];

const MINUTE: i64 = 60_000_000;
/// Examples of each cause.
const EVIDENCE: usize = 3;

impl Comparison {
    /// The parts of the difference of the means, which add up to it, and what carries no latency.
    pub(super) fn causes(&self) -> Vec<Cause> {
        let parts = self.decomposed();
        let mut causes = Vec::new();
        // In the order of the names, not of their appearance.
        let mut time: Vec<(Part, f64)> = parts.time.into_iter().collect();
        time.sort_by_key(|((state, category), _)| (self.name_of(*state), *category));
        let mut columns = self.columns();
        for (part, us) in time {
            let values = columns.remove(&part).unwrap_or_else(|| self.values(&|_| 0));
            causes.push(self.time_cause(part, us, &values));
        }
        let mut mix: Vec<(Option<State>, f64)> = parts.mix.into_iter().collect();
        mix.sort_by_key(|(state, _)| self.name_of(*state));
        for (state, us) in mix {
            causes.push(self.mix_cause(state, us));
        }
        causes.extend(self.error_causes());
        causes.extend(self.version_cause());
        causes
    }

    /// The time of each part in every execution.
    fn columns(&self) -> FxHashMap<Part, Values> {
        let mut columns: FxHashMap<Part, Values> = FxHashMap::default();
        for (side, runs) in [&self.baseline, &self.incident].into_iter().enumerate() {
            for (place, run) in runs.iter().enumerate() {
                for (part, us) in &run.critical.0 {
                    columns.entry(*part).or_insert_with(|| self.values(&|_| 0))[side][place] += us;
                }
            }
        }
        columns
    }

    /// A measure of every execution of either side.
    fn values(&self, measure: &dyn Fn(&Seen) -> i64) -> Values {
        [&self.baseline, &self.incident].map(|side| side.iter().map(measure).collect())
    }

    fn time_cause(&self, (state, spent): Part, us: f64, values: &Values) -> Cause {
        // Fewer slots show in how many items follow one another, not in the Map's own spans.
        let inner: Vec<State> = self.maps.iter().filter(|it| Some(*it.1) == state).map(|it| *it.0).collect();
        let slots = |it: &Seen| inner.iter().map(|&inner| it.on_path.get(inner).unwrap_or(0).cast_signed()).sum();
        match spent {
            Spent::On(Category::SlotWait) if !inner.is_empty() => {
                self.cause(state, CauseKind::Time(Category::SlotWait), us, &self.values(&slots))
            }
            Spent::On(category) => self.cause(state, CauseKind::Time(category), us, values),
            Spent::ColdStart => self.cause(state, CauseKind::ColdStart, us, values),
        }
    }

    fn mix_cause(&self, state: Option<State>, us: f64) -> Cause {
        let choices = self.baseline.iter().chain(&self.incident).flat_map(|it| &it.choices).map(|it| it.0);
        let taken: BTreeSet<State> = choices.filter(|it| Some(it.0) == state).map(|it| it.1).collect();
        let mut taken: Vec<State> = taken.into_iter().collect();
        taken.sort_by_key(|&it| self.states.name(it));
        if taken.is_empty() {
            let measure = |it: &Seen| {
                let Some(state) = state else { return 0 };
                it.items.get(state).or_else(|| it.on_path.get(state)).unwrap_or(0).cast_signed()
            };
            return self.cause(state, CauseKind::PathMix, us, &self.values(&measure));
        }
        // Each branch is asked about; the surest answer counts, corrected for their number.
        let (n_b, n_i) = (self.baseline.len() as u64, self.incident.len() as u64);
        let count = |side: &[Seen], branch: State| {
            side.iter().filter(|it| it.choices.iter().any(|it| Some(it.0.0) == state && it.0.1 == branch)).count()
                as u64
        };
        let tested = taken.iter().filter_map(|&branch| {
            let (b, i) = (count(&self.baseline, branch), count(&self.incident, branch));
            proportions(b, n_b, i, n_i).map(|it| (branch, it.0.estimate, it.1, b, i))
        });
        let Some((branch, change, p, b, i)) = tested.min_by(|x, y| x.2.total_cmp(&y.2)) else {
            return self.cause(state, CauseKind::PathMix, us, &self.values(&|_| 0));
        };
        #[expect(clippy::cast_precision_loss, reason = "a count of branches")]
        let p_value = (p * taken.len() as f64).min(1.0);
        let measure = |it: &Seen| i64::from(it.choices.iter().any(|it| it.0.1 == branch));
        let mut cause = self.cause(state, CauseKind::PathMix, us, &self.values(&measure));
        cause.p_value = p_value;
        let more = if change > 0.0 { "more" } else { "fewer" };
        let branch = self.states.name(branch);
        cause.detail = Some(format!("{more} executions go to `{branch}`: {b} of {n_b} before, {i} of {n_i} after"));
        cause
    }

    fn cause(&self, state: Option<State>, kind: CauseKind, us: f64, [b, i]: &Values) -> Cause {
        let mut sorted = b.clone();
        sorted.sort_unstable();
        let usual = sorted.get(sorted.len() * 95 / 100).or(sorted.last()).copied().unwrap_or(0);
        let mut unusual: Vec<(&Seen, i64)> =
            self.incident.iter().zip(i.iter().copied()).filter(|it| it.1 > usual).collect();
        let first_seen = unusual.iter().map(|it| it.0.started_at).min();
        unusual.sort_by(|x, y| y.1.cmp(&x.1).then_with(|| x.0.arn.cmp(&y.0.arn)));
        let is_time = kind == CauseKind::ColdStart || matches!(kind, CauseKind::Time(it) if it != Category::SlotWait);
        let interval = is_time
            .then(|| mean_difference(&blocks(&self.baseline, b), &blocks(&self.incident, i)))
            .flatten()
            // The interval of the plain difference, moved to the part of it that the cause stands for.
            .map(|it| ((us + it.low - it.estimate) / 1e3, (us + it.high - it.estimate) / 1e3));
        Cause {
            state: self.name_of(state),
            kind,
            error: None,
            contribution_ms: us / 1e3,
            share: 0.0,
            interval,
            p_value: if is_time { self.p_within_groups(b, i) } else { mann_whitney(b, i) },
            q_value: 1.0,
            first_seen,
            evidence: unusual.iter().take(EVIDENCE).map(|it| it.0.arn.clone()).collect(),
            detail: None,
        }
    }

    /// Of the executions that go the same way: fewer that go to a state do not hide that it is slower.
    fn p_within_groups(&self, baseline: &[i64], incident: &[i64]) -> f64 {
        let mut groups = vec![[Vec::new(), Vec::new()]; self.groups.len()];
        for (side, (runs, values)) in [(&self.baseline, baseline), (&self.incident, incident)].into_iter().enumerate() {
            for (run, value) in runs.iter().zip(values) {
                groups[run.group as usize][side].push(*value);
            }
        }
        van_elteren(&groups)
    }

    fn error_causes(&self) -> Vec<Cause> {
        let failures = |side: &[Seen]| {
            let mut found: BTreeMap<(Option<Name>, Name), u64> = BTreeMap::new();
            for failure in side.iter().filter_map(|it| it.failure.clone()) {
                *found.entry(failure).or_default() += 1;
            }
            found
        };
        let (b, i) = (failures(&self.baseline), failures(&self.incident));
        let (n_b, n_i) = (self.baseline.len() as u64, self.incident.len() as u64);
        let keys: BTreeSet<&(Option<Name>, Name)> = b.keys().chain(i.keys()).collect();
        let cause = |key: &(Option<Name>, Name)| {
            let (before, after) = (b.get(key).copied().unwrap_or(0), i.get(key).copied().unwrap_or(0));
            let (change, p_value) = proportions(before, n_b, after, n_i)?;
            let mut own: Vec<&Seen> = self.incident.iter().filter(|it| it.failure.as_ref() == Some(key)).collect();
            own.sort_by_key(|it| it.started_at);
            Some(Cause {
                state: key.0.clone(),
                kind: CauseKind::Errors,
                error: Some(key.1.clone()),
                contribution_ms: 0.0,
                share: 0.0,
                interval: None,
                p_value,
                q_value: 1.0,
                first_seen: own.first().map(|it| it.started_at),
                evidence: own.iter().take(EVIDENCE).map(|it| it.arn.clone()).collect(),
                detail: Some(format!(
                    "{before} of {n_b} before, {after} of {n_i} after ({:+.1} points)",
                    change.estimate * 100.0
                )),
            })
        };
        keys.into_iter().filter_map(cause).collect()
    }

    fn version_cause(&self) -> Option<Cause> {
        let newest = self.incident.iter().filter_map(|it| it.version.as_ref()).max()?;
        let with = |side: &[Seen]| side.iter().filter(|it| it.version.as_ref() == Some(newest)).count() as u64;
        let (b, i) = (with(&self.baseline), with(&self.incident));
        let (_, p_value) = proportions(b, self.baseline.len() as u64, i, self.incident.len() as u64)?;
        let own = self.incident.iter().filter(|it| it.version.as_ref() == Some(newest));
        Some(Cause {
            state: None,
            kind: CauseKind::Version,
            error: None,
            contribution_ms: 0.0,
            share: 0.0,
            interval: None,
            p_value,
            q_value: 1.0,
            first_seen: own.clone().map(|it| it.started_at).min(),
            evidence: own.take(EVIDENCE).map(|it| it.arn.clone()).collect(),
            detail: Some(format!("`{newest}`: {b} executions before, {i} after")),
        })
    }

    /// States that became a fifth slower, surely, without a named cause of their own: they are not on the path.
    pub(super) fn harmless(&self, causes: &[Cause]) -> Vec<Harmless> {
        let mut states: Vec<(&Name, State)> = self.states.ids.iter().map(|(name, id)| (name, *id)).collect();
        states.sort_unstable();
        let mut found = Vec::new();
        for (name, state) in states {
            let is_named = causes.iter().any(|it| it.is_named() && it.state.as_ref() == Some(name));
            if is_named || self.containers.contains(&state) {
                continue;
            }
            let spans = |side: &[Seen]| {
                let mut all: Vec<i64> = side.iter().filter_map(|it| it.spans.get(state)).collect();
                all.sort_unstable();
                all
            };
            let (b, i) = (spans(&self.baseline), spans(&self.incident));
            let (Some(&before), Some(&after)) = (b.get(b.len() / 2), i.get(i.len() / 2)) else { continue };
            if after * 5 > before * 6 && mann_whitney(&b, &i) < 0.001 {
                found.push(Harmless { state: name.clone(), before: Micros(before), after: Micros(after) });
            }
        }
        found
    }
}

/// Sums and counts by minute of start.
#[expect(clippy::cast_precision_loss, reason = "means")]
fn blocks(side: &[Seen], values: &[i64]) -> Vec<Block> {
    let mut minutes: BTreeMap<i64, Block> = BTreeMap::new();
    for (seen, value) in side.iter().zip(values) {
        let block = minutes.entry(seen.started_at.0.div_euclid(MINUTE)).or_default();
        *block = (block.0 + *value as f64, block.1 + 1.0);
    }
    minutes.into_values().collect()
}
