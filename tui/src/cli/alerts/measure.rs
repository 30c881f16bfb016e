//! What a rule measures now.

use analyzer::model::{Micros, Name, Status, Timestamp, Usd};
use analyzer::sequential::evidence_of_more;
use queries::{ExecutionFilter, ExecutionRow, MachineRow, Reader};

use super::span;
use crate::cli::bill::{Ledger, Prices, by_usage_day, paid};
use crate::cli::coverage::Coverage;
use crate::cli::{Context, select};
use crate::config::AlertConfig;
use crate::failure::Failure;

const HOUR: Micros = Micros(3_600_000_000);
const DAY: Micros = Micros(24 * 3_600_000_000);
/// Days that an hour's p95 and a day's cost are set against.
const WEEK: u32 = 7;
/// A burn rate has to hold in this part of its window, too: it ends soon after the trouble does.
const SHORT: i64 = 12;

/// A machine, `None` where it is about all together, and its value, `None` where that cannot be known.
type Measured = Vec<(Option<String>, Option<f64>)>;

const RULES: &str = "failure_rate, p95_ms, p95_ratio, stuck_executions, budget_day_usd, budget_month_usd, cost_spike, \
                     execution_events, throttled, coverage, collector_lag_s, slo_success, slo_latency, \
                     anomaly_failures or anomaly_latency";

pub(super) fn measured(
    context: &Context,
    reader: &Reader,
    rule: &AlertConfig,
    now: Timestamp,
) -> Result<Measured, Failure> {
    let machine = select::optional_machine(reader, rule.machine.as_deref())?;
    let window = rule.window.as_deref().map(|it| span(rule, it)).transpose()?;
    let it = Watch { context, reader, rule, machine, window, now };
    match rule.rule.as_str() {
        "failure_rate" => it.each(it.back(HOUR), |it| it.failure_rate.value()),
        "p95_ms" => it.each(it.back(HOUR), |it| it.p95.map(Micros::as_millis)),
        "p95_ratio" => it.p95_ratio(),
        "stuck_executions" => it.stuck(),
        "execution_events" => it.events(),
        "budget_day_usd" => Ok(it.whole(it.billed(it.day(), now)?)),
        "budget_month_usd" => Ok(it.whole(it.billed(it.month(), now)?)),
        "cost_spike" => Ok(it.whole(it.cost_spike()?)),
        "throttled" => it.throttled(),
        "coverage" => {
            let coverage = Coverage::load(reader, Some(it.back(DAY)), Some(now))?;
            it.each(it.back(DAY), |it| coverage.of(&it.arn))
        }
        "collector_lag_s" => Ok(vec![(None, reader.newest_collected()?.map(|newest| seconds(now - newest)))]),
        "anomaly_failures" => it.anomaly(|row, _| Ok(row.failure_rate.counts())),
        "anomaly_latency" => it.anomaly(|row, usual| it.slower(row, usual)),
        "slo_success" => it.burning(|_, row| Ok(row.failure_rate.value())),
        "slo_latency" => it.burning(|since, row| it.slow(since, &row.arn)),
        other => {
            let what = format!("unknown rule `{other}` of the alert `{}`", rule.name);
            Err(Failure::usage(what).hint(format!("use {RULES}")))
        }
    }
}

/// A rule that is looked at.
struct Watch<'a> {
    context: &'a Context,
    reader: &'a Reader,
    rule: &'a AlertConfig,
    machine: Option<Name>,
    window: Option<Micros>,
    now: Timestamp,
}

impl Watch<'_> {
    /// Where the window begins.
    fn back(&self, or: Micros) -> Timestamp {
        self.now - self.window.unwrap_or(or)
    }

    fn day(&self) -> Timestamp {
        Timestamp(self.now.0.div_euclid(DAY.0) * DAY.0)
    }

    fn month(&self) -> Timestamp {
        let first = format!("{}-01T00:00:00Z", analyzer::time::month(self.now));
        analyzer::time::parse(&first).unwrap_or_else(|| self.day())
    }

    fn whole(&self, value: Option<f64>) -> Measured {
        vec![(self.machine.as_deref().map(str::to_owned), value)]
    }

    fn machines(&self, since: Timestamp, until: Timestamp) -> Result<Vec<MachineRow>, Failure> {
        let mut rows = self.reader.machines(Some(since), Some(until))?;
        rows.retain(|it| self.machine.as_deref().is_none_or(|arn| arn == it.arn));
        Ok(rows)
    }

    /// Every machine that is known; of one without executions in the window nothing is.
    fn each(&self, since: Timestamp, of: impl Fn(&MachineRow) -> Option<f64>) -> Result<Measured, Failure> {
        let recent = self.machines(since, self.now)?;
        let value = |arn: &str| recent.iter().find(|it| it.arn == arn).and_then(&of);
        Ok(self.known()?.into_iter().map(|arn| (Some(arn.clone()), value(&arn))).collect())
    }

    /// The ARNs of all machines that the rule is about.
    fn known(&self) -> Result<Vec<String>, Failure> {
        let known = self.reader.machines(None, None)?.into_iter().map(|it| it.arn);
        Ok(known.filter(|arn| self.machine.as_deref().is_none_or(|it| it == arn)).collect())
    }

    fn executions(&self, filter: ExecutionFilter) -> Result<Vec<ExecutionRow>, Failure> {
        Ok(self.reader.executions(&ExecutionFilter { machine_arn: self.machine.clone(), ..filter })?)
    }

    /// The p95 of the window against that of the week before it.
    fn p95_ratio(&self) -> Result<Measured, Failure> {
        let since = self.back(HOUR);
        let usual = self.machines(since - Micros(DAY.0 * i64::from(WEEK)), since)?;
        self.each(since, |it| {
            let usual = usual.iter().find(|usual| usual.arn == it.arn)?.p95?;
            Some(it.p95?.as_millis() / usual.as_millis().max(0.001))
        })
    }

    /// Executions that have been running for longer than the window.
    fn stuck(&self) -> Result<Measured, Failure> {
        let until = Some(self.back(HOUR));
        let filter = ExecutionFilter { status: Some(Status::Running), until, ..ExecutionFilter::default() };
        Ok(self.whole(Some(count(self.executions(filter)?.len() as u64))))
    }

    /// The most events of an execution: a history ends at 25,000.
    fn events(&self) -> Result<Measured, Failure> {
        let filter = ExecutionFilter { since: Some(self.back(DAY)), ..ExecutionFilter::default() };
        Ok(self.whole(self.executions(filter)?.iter().map(|it| it.n_events).max().map(count)))
    }

    /// What the transitions made in a span are billed, and the Express executions that started in it.
    fn billed(&self, since: Timestamp, until: Timestamp) -> Result<Option<f64>, Failure> {
        let prices = Prices::new(self.context)?;
        let ledger = Ledger::of_transitions(self.reader, &prices, (Some(since), Some(until)))?;
        let all = by_usage_day(&ledger)?;
        let own = all.iter().filter(|it| self.machine.as_deref().is_none_or(|arn| arn == it.machine_arn));
        Ok(own.map(|it| it.paid).sum::<Option<Usd>>().map(Usd::as_f64))
    }

    /// The list price of the executions that started in a span.
    fn list_price(&self, since: Timestamp, until: Timestamp) -> Result<Option<f64>, Failure> {
        let all = paid(self.reader, &Prices::new(self.context)?, Some(since), Some(until))?;
        let own = all.iter().filter(|it| self.machine.as_deref().is_none_or(|arn| arn == it.machine.arn));
        Ok(own.map(|it| it.list).sum::<Option<Usd>>().map(Usd::as_f64))
    }

    /// The last 24 hours against the mean day of the week before them, as far as that is stored; without the free tier, which is the month's.
    fn cost_spike(&self) -> Result<Option<f64>, Failure> {
        let day = self.now - DAY;
        let begin = day - Micros(DAY.0 * i64::from(WEEK));
        let begin = self.reader.first_and_last_start()?.0.map_or(begin, |first| begin.max(first));
        let n_days = seconds(day - begin) / seconds(DAY);
        // Less than a day says nothing of a usual one.
        if n_days < 1.0 {
            return Ok(None);
        }
        let last = self.list_price(day, self.now)?;
        let week = self.list_price(begin, day)?.filter(|it| *it > 0.0);
        Ok(last.zip(week).map(|(last, week)| last / (week / n_days)))
    }

    /// The evidence, since the day began (UTC), that something happens more often than in the week before. It may be looked at as often as one
    /// likes: the chance that a day's evidence ever exceeds a threshold without a reason is one over it.
    fn anomaly(
        &self,
        hits: impl Fn(&MachineRow, &MachineRow) -> Result<Option<(u64, u64)>, Failure>,
    ) -> Result<Measured, Failure> {
        let day = self.day();
        let week = self.machines(day - Micros(DAY.0 * i64::from(WEEK)), day)?;
        let mut found = Vec::new();
        let today = self.machines(day, self.now)?;
        for arn in self.known()? {
            let Some(it) = today.iter().find(|it| it.arn == arn) else {
                found.push((Some(arn), None));
                continue;
            };
            let usual = week.iter().find(|usual| usual.arn == it.arn && usual.closed > 0);
            let counted =
                usual.map(|usual| Ok::<_, Failure>(Some((hits(usual, usual)?, hits(it, usual)?)))).transpose()?;
            let value = counted.flatten().and_then(|(usual, now)| {
                let ((usual, of), (hits, cases)) = (usual?, now?);
                // What never happened in the week may have happened once: the usual rate is not taken to be smaller than that.
                let rate = rate(usual + 1, of + 1)?;
                Some(evidence_of_more(rate, hits, cases))
            });
            found.push((Some(arn), value));
        }
        Ok(found)
    }

    /// Executions of a row's time that took longer than the p95 of the usual ones, and all closed ones.
    fn slower(&self, row: &MachineRow, usual: &MachineRow) -> Result<Option<(u64, u64)>, Failure> {
        let Some(limit) = usual.p95 else { return Ok(None) };
        let filter = ExecutionFilter {
            machine_arn: Some(row.arn.as_str().into()),
            since: row.first_at,
            until: row.last_at.map(|it| it + Micros(1)),
            ..ExecutionFilter::default()
        };
        let spans = self.reader.executions(&filter)?;
        let closed = spans.iter().filter_map(|it| it.active);
        Ok(Some((closed.clone().filter(|it| *it > limit).count() as u64, closed.count() as u64)))
    }

    fn throttled(&self) -> Result<Measured, Failure> {
        let range = (self.back(HOUR), self.now);
        let of = |arn: String| Ok((Some(arn.clone()), self.reader.throttled(&arn, [range, range])?[1]));
        self.known()?.into_iter().map(of).collect()
    }

    /// How many times as fast as the objective allows its budget of misses is used up: in the window, and in its last part, too.
    fn burning(
        &self,
        missed: impl Fn(Timestamp, &MachineRow) -> Result<Option<f64>, Failure>,
    ) -> Result<Measured, Failure> {
        let objective = self.rule.objective.filter(|it| (0.0..1.0).contains(it)).ok_or_else(|| {
            Failure::usage(format!("the alert `{}` has no `objective` between 0 and 1", self.rule.name))
                .hint("such as objective = 0.995")
        })?;
        let window = self.window.unwrap_or(HOUR);
        let (long, short) = (self.now - window, self.now - Micros(window.0 / SHORT));
        let (all, recent) = (self.machines(long, self.now)?, self.machines(short, self.now)?);
        let mut found = Vec::new();
        for arn in self.known()? {
            let of = |rows: &[MachineRow], since: Timestamp| -> Result<Option<f64>, Failure> {
                Ok(rows.iter().find(|it| it.arn == arn).map(|it| missed(since, it)).transpose()?.flatten())
            };
            // Without executions lately it is not known whether it still burns.
            let value =
                of(&all, long)?.zip(of(&recent, short)?).map(|(long, short)| long.min(short) / (1.0 - objective));
            found.push((Some(arn), value));
        }
        Ok(found)
    }

    /// The part of a machine's executions that took longer than they may.
    fn slow(&self, since: Timestamp, arn: &str) -> Result<Option<f64>, Failure> {
        let limit = self.rule.latency_ms;
        let limit =
            limit.ok_or_else(|| Failure::usage(format!("the alert `{}` has no `latency_ms`", self.rule.name)))?;
        let machine_arn = Some(arn.into());
        let filter =
            ExecutionFilter { machine_arn, since: Some(since), until: Some(self.now), ..ExecutionFilter::default() };
        let spans = self.reader.executions(&filter)?;
        let closed = spans.iter().filter_map(|it| it.active);
        let slow = closed.clone().filter(|it| it.as_millis() > limit).count();
        Ok(rate(slow as u64, closed.count() as u64))
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds")]
fn seconds(span: Micros) -> f64 {
    span.0 as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn rate(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[expect(clippy::cast_precision_loss, reason = "a count")]
fn count(n: u64) -> f64 {
    n as f64
}
