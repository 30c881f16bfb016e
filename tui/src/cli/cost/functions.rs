//! What do the functions behind a machine's states cost, and which could the machine do without?

use std::collections::BTreeMap;

use analyzer::execution::Run;
use analyzer::model::{Micros, Name, Usd};
use analyzer::pricing::LambdaRates;

use crate::cli::bill::Prices;
use crate::cli::show::Traced;

/// What the functions of one state cost, of the calls that are known.
pub(super) struct FunctionCost {
    pub(super) calls: u64,
    pub(super) usd: Option<Usd>,
    pub(super) glue: Option<Glue>,
}

/// What the functions that a state calls used, as far as reports and traces tell.
#[derive(Default)]
pub(super) struct FunctionUse {
    calls: u64,
    mb_ms: u64,
    /// Traced calls, and those of them that did nothing but call one service, by service.
    traced: u64,
    services: BTreeMap<Name, u64>,
    /// Traced calls below which nothing was traced, and the longest that a function ran.
    silent: u64,
    longest: Micros,
}

/// What a function is that the machine may do without.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Glue {
    /// It calls one service, which a Task can call itself.
    Service(Name),
    /// It is short and calls nothing that was traced: if it only computes, an intrinsic function or JSONata does that.
    Computes,
}

/// A function that runs longer than this may well be more than a computation.
const SHORT: Micros = Micros(50_000);

impl FunctionUse {
    /// The list price of what is known of the calls.
    pub(super) fn cost(self, rates: Option<LambdaRates>) -> FunctionCost {
        let usd = rates
            .filter(|_| self.calls > 0)
            .map(|rates| rates.per_request * self.calls + rates.per_gb_second.scaled(self.mb_ms.into(), 1_024_000));
        FunctionCost { calls: self.calls, usd, glue: self.glue() }
    }

    /// What nearly every traced call did, where the machine can do that itself.
    fn glue(&self) -> Option<Glue> {
        const NATIVE: [&str; 9] =
            ["DynamoDB", "S3", "SNS", "SQS", "Events", "EventBridge", "Glue", "StepFunctions", "SecretsManager"];
        let nearly_all = |count: u64| self.traced >= 10 && count * 10 >= self.traced * 9;
        if nearly_all(self.silent) && self.longest > Micros::ZERO && self.longest <= SHORT {
            return Some(Glue::Computes);
        }
        let (service, count) = self.services.iter().max_by_key(|it| it.1)?;
        (nearly_all(*count) && NATIVE.contains(&&**service)).then(|| Glue::Service(service.clone()))
    }
}

/// Notes what reports and traces tell of the functions that a run called.
pub(super) fn note_functions(
    run: &Run,
    traced: Option<&Traced>,
    prices: &Prices,
    functions: &mut BTreeMap<Name, FunctionUse>,
) {
    for (index, visit) in run.timeline.visits.iter().enumerate() {
        for (number, attempt) in visit.attempts.iter().enumerate() {
            let calls = traced.and_then(|(trace, joined)| Some((trace, joined.calls.get(&(index, number))?)));
            if attempt.billed_mb_ms.is_none() && calls.is_none() {
                continue;
            }
            let used = functions.entry(visit.state.clone()).or_default();
            if let Some(mb_ms) = attempt.billed_mb_ms {
                used.calls += 1;
                used.mb_ms += mb_ms;
            }
            for (trace, call) in calls.into_iter().flat_map(|(trace, calls)| calls.iter().map(move |it| (trace, *it))) {
                used.traced += 1;
                // Without a report, the trace's duration and the memory that the user gives; Lambda bills whole milliseconds.
                for (name, span) in trace.functions_below(call).into_iter().filter(|_| attempt.billed_mb_ms.is_none()) {
                    if let Some(mb) = prices.function_memory(name) {
                        used.calls += 1;
                        used.mb_ms += mb * u64::try_from(span.0.max(0)).unwrap_or(0).div_ceil(1_000);
                    }
                }
                let services = trace.services_below(call);
                used.silent += u64::from(services.is_empty());
                if let (1, Some(&service)) = (services.len(), services.first()) {
                    *used.services.entry(service.clone()).or_default() += 1;
                }
                let spans = trace.functions_below(call).into_iter().map(|it| it.1);
                used.longest = spans.fold(used.longest, Micros::max);
            }
        }
    }
}
